//! EventBridge archives: which past events are kept, from which bus and for how long. Events that fired the function can be read there again
//! after the function and its logs are gone; replaying them is a write, and nobody's business here. Who may put events on a bus stands in the
//! list of buses (`eventbridge-rules`), with each bus's policy.

use super::cx::at_once;
use super::raw_list::{Members, text};
use super::{Abort, CollectCx, Collector, CollectorSpec, Question, Volatility};
use crate::aws::raw::{JsonVersion, RawCall};
use crate::model::call::{Call, Scope, Service};
use crate::model::gap::GapKind;
use crate::model::item::{Group, Sensitivity};
use async_trait::async_trait;
use futures_util::FutureExt;
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub struct EventArchives;

const LIST: Call = Call::read(Service::Events, "ListArchives", "events:ListArchives", Scope::Any);
const DESCRIBE: Call = Call::read(Service::Events, "DescribeArchive", "events:DescribeArchive", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "event-archives",
    title: "EventBridge archives",
    answers: "Which past events are kept, so that what fired the function can still be read?",
    group: Group::Triggers,
    // An archive outlives what it kept; events in it end with its retention.
    volatility: Volatility::V2,
    calls: &[LIST, DESCRIBE],
    params: &[],
};

const MAX_READ: usize = 100;

#[async_trait]
impl Collector for EventArchives {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        let mut found = BTreeSet::new();
        let question = Question::new(&LIST, "archives of events in this Region");
        let page = |token: Option<String>| {
            let mut body = json!({});
            if let Some(token) = token {
                body["NextToken"] = token.into();
            }
            call("ListArchives", &body)
        };
        cx.ask_json_list(question, cx.aws(), Members { list: "Archives", next: "NextToken" }, page, |archive| {
            found.extend(text(archive, "ArchiveName"));
        })
        .await?;
        if found.len() > MAX_READ {
            cx.gap(GapKind::TooLarge, "further archives", &format!("{} archives are listed; {MAX_READ} were read", found.len()))?;
        }
        at_once(found.into_iter().take(MAX_READ).map(|name| read(cx, name).boxed())).await
    }
}

fn call(operation: &'static str, body: &Value) -> RawCall {
    RawCall::json(Service::Events, operation, JsonVersion::V1_1, &format!("AWSEvents.{operation}"), body)
}

async fn read(cx: &CollectCx<'_>, name: String) -> Result<(), Abort> {
    // The pattern says which events are kept, and may hold business data.
    let question = Question::new(&DESCRIBE, format!("archive {name}: pattern, bus and retention")).sensitivity(Sensitivity::S2);
    cx.ask_json(question, cx.aws(), call("DescribeArchive", &json!({"ArchiveName": name}))).await?;
    Ok(())
}
