//! Who is asking, by whose clock: the first things that a court asks of any record.

use super::facts::measured_skew;
use super::{Abort, CollectCx, Collector, CollectorSpec, Question, Reply, Volatility};
use crate::aws::fault::tame;
use crate::model::call::{Call, Service};
use crate::model::canon;
use crate::model::item::{Group, Sensitivity};
use crate::model::journal_event::JournalEvent;
use async_trait::async_trait;
use serde_json::json;

pub struct CallerIdentity;

static SPEC: CollectorSpec = CollectorSpec {
    id: "caller-identity",
    title: "Caller and clock",
    answers: "Who collected this evidence, with which tool, and how far was the collector's clock from AWS's?",
    group: Group::Identity,
    volatility: Volatility::V5,
    calls: &[Call::free(Service::Sts, "GetCallerIdentity")],
    params: &[],
};

#[async_trait]
impl Collector for CallerIdentity {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        let question = Question::new(&SPEC.calls[0], "identity of the caller");
        let Reply::Got(answer) = cx.ask(question, cx.aws().sts().get_caller_identity().send()).await? else { return Ok(()) };
        let out = &answer.output;
        if let Some(arn) = out.arn() {
            cx.draft().set_actor(&tame(arn, 300));
        }
        let Some(exchange) = answer.exchanges.last().and_then(|id| cx.draft().exchange(*id)) else { return Ok(()) };
        let measured = measured_skew(&exchange).map(|(skew, rtt)| (skew.num_milliseconds(), rtt));
        if let Some((skew_ms, rtt_ms)) = measured {
            cx.draft().set_clock_skew(skew_ms);
            let server_date = tame(exchange.server_date.as_deref().unwrap_or_default(), 80);
            cx.draft().journal(JournalEvent::Clock { server_date, skew_ms, rtt_ms })?;
        }
        // CloudTrail shows our own calls too: by this caller and this user agent they can be told from the attacker's.
        let agent = exchange.request_headers.iter().find(|h| h.0 == "user-agent").map(|h| h.1.as_str());
        let record = json!({
            "account": out.account(),
            "arn": out.arn(),
            "userId": out.user_id(),
            "userAgent": agent,
            "sent": exchange.sent,
            "serverDate": exchange.server_date,
            "clockSkewMs": measured.map(|m| m.0),
            "roundTripMs": measured.map(|m| m.1),
        });
        if let Ok(bytes) = canon::to_vec("the caller", &record) {
            cx.derive("caller, user agent and clock in one place", "caller", "json", &bytes, vec![answer.item], Sensitivity::S1)?;
        }
        Ok(())
    }
}
