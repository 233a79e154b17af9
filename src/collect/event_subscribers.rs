//! EventBridge v2: subscribers that deliver to the function. They call with a role of their own, so no resource policy names them; and they are
//! no rules, so nothing that reads EventBridge's first API sees them. All are listed and chosen from here. The service speaks CBOR: its answers
//! are kept as they came, and what was read of a subscriber of ours lies beside them as JSON.

use super::cx::at_once;
use super::qualified::is_ours;
use super::raw_list::{Members, text};
use super::{Abort, CollectCx, Collector, CollectorSpec, Question, Reply, Volatility};
use crate::aws::raw::RawCall;
use crate::model::call::{Call, Scope, Service};
use crate::model::gap::GapKind;
use crate::model::item::{Group, Sensitivity};
use async_trait::async_trait;
use futures_util::FutureExt;
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub struct EventSubscribers;

const LIST: Call = Call::read(Service::Eventsv2, "ListSubscribers", "events:ListSubscribers", Scope::Any);
const DESCRIBE: Call = Call::read(Service::Eventsv2, "DescribeSubscriber", "events:DescribeSubscriber", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "event-subscribers",
    title: "EventBridge subscribers",
    answers: "Which subscribers of EventBridge v2 call the function, on which events and under which role?",
    group: Group::Triggers,
    volatility: Volatility::V2,
    calls: &[LIST, DESCRIBE],
    params: &[],
};

/// Subscribers read whole. Universal targets name the function in their input only, so each of them is read too.
const MAX_READ: usize = 300;

#[async_trait]
impl Collector for EventSubscribers {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        let mut found = BTreeSet::new();
        let page = |token: Option<String>| {
            let mut body = json!({"MaxResults": 100});
            if let Some(token) = token {
                body["NextToken"] = token.into();
            }
            call("ListSubscribers", &body)
        };
        let question = Question::new(&LIST, "subscribers of the account in this Region, on every bus of EventBridge v2");
        cx.ask_json_list(question, cx.aws(), Members { list: "Subscribers", next: "NextToken" }, page, |subscriber| {
            let target = subscriber["TargetArn"].as_str().unwrap_or_default();
            if is_ours(cx, target) || target.contains(":aws-sdk:lambda:") {
                found.extend(text(subscriber, "SubscriberArn"));
            }
        })
        .await?;
        if found.len() > MAX_READ {
            let why = format!("{} subscribers may call the function; {MAX_READ} were read", found.len());
            cx.gap(GapKind::TooLarge, "further subscribers of EventBridge v2", &why)?;
        }
        at_once(found.into_iter().take(MAX_READ).enumerate().map(|(n, arn)| read(cx, n, arn).boxed())).await
    }
}

fn call(operation: &'static str, body: &Value) -> RawCall {
    RawCall::cbor(Service::Eventsv2, operation, "AWSEventsV2", body)
}

async fn read(cx: &CollectCx<'_>, n: usize, arn: String) -> Result<(), Abort> {
    // Filters, transformers and inputs may hold business data.
    let question = Question::new(&DESCRIBE, format!("subscriber {arn}")).sensitivity(Sensitivity::S2);
    let Reply::Got(answer) = cx.ask_json(question, cx.aws(), call("DescribeSubscriber", &json!({"SubscriberArn": arn}))).await? else {
        return Ok(());
    };
    let bytes = serde_json::to_vec_pretty(&answer.output).unwrap_or_default();
    let subject = format!("what subscriber {} says, as JSON", crate::aws::fault::tame(&arn, 250));
    cx.derive(&subject, &format!("subscriber-{}", n + 1), "json", &bytes, vec![answer.item], Sensitivity::S2)?;
    Ok(())
}
