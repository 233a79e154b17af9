//! What is left of asynchronous invocations: the queues that failed events fall into, how many lie there and until when. Their messages are
//! not read: receiving one changes it (its receive count, its visibility), and another consumer may be the business itself.

use super::cx::at_once;
use super::{Abort, Bound, CollectCx, Collector, CollectorSpec, Question, Volatility};
use crate::aws::Aws;
use crate::aws::raw::{JsonVersion, RawCall};
use crate::model::call::{Call, Scope, Service};
use crate::model::gap::GapKind;
use crate::model::item::Group;
use async_trait::async_trait;
use aws_sdk_lambda::operation::list_function_event_invoke_configs::ListFunctionEventInvokeConfigsOutput;
use futures_util::FutureExt;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub struct AsyncLeftovers;

const CONFIGS: Call =
    Call::read(Service::Lambda, "ListFunctionEventInvokeConfigs", "lambda:ListFunctionEventInvokeConfigs", Scope::Function);
const URL: Call = Call::read(Service::Sqs, "GetQueueUrl", "sqs:GetQueueUrl", Scope::Any);
const ATTRIBUTES: Call = Call::read(Service::Sqs, "GetQueueAttributes", "sqs:GetQueueAttributes", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "async-leftovers",
    title: "Leftovers of asynchronous invocations",
    answers: "Where do failed or finished asynchronous events go, and how many of them still lie there?",
    group: Group::Invocation,
    volatility: Volatility::V4,
    calls: &[CONFIGS, URL, ATTRIBUTES],
    params: &[],
};

#[async_trait]
impl Collector for AsyncLeftovers {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        // ARN → what it is to the function.
        let mut places: BTreeMap<String, String> = BTreeMap::new();
        match cx.function().await? {
            Ok(fact) => match &fact.dead_letter_arn {
                Some(arn) => drop(places.insert(arn.clone(), "dead-letter target".to_string())),
                None => drop(cx.not_applicable("dead-letter target", "the configuration of $LATEST names none")?),
            },
            Err(fault) => drop(cx.gap_from(&fault, "dead-letter target")?),
        }
        destinations(cx, &mut places).await?;
        at_once(places.into_iter().map(|(arn, what)| place(cx, arn, what).boxed())).await
    }
}

async fn destinations(cx: &CollectCx<'_>, places: &mut BTreeMap<String, String>) -> Result<(), Abort> {
    let call = || cx.aws().lambda().list_function_event_invoke_configs().function_name(&cx.target().function);
    cx.ask_pages(
        Question::new(&CONFIGS, "asynchronous invocation: retries, age and destinations of every version and alias"),
        Bound::default(),
        |marker| call().set_marker(marker).send(),
        |out: &ListFunctionEventInvokeConfigsOutput| out.next_marker().map(str::to_string),
        |out| {
            for config in out.function_event_invoke_configs() {
                let to = config.destination_config();
                let failure = to.and_then(|d| d.on_failure()).and_then(|d| d.destination());
                let success = to.and_then(|d| d.on_success()).and_then(|d| d.destination());
                for (arn, what) in [(failure, "on-failure destination"), (success, "on-success destination")] {
                    if let Some(arn) = arn {
                        places.entry(arn.to_string()).or_insert_with(|| what.to_string());
                    }
                }
            }
            out.function_event_invoke_configs().len()
        },
    )
    .await?;
    Ok(())
}

async fn place(cx: &CollectCx<'_>, arn: String, what: String) -> Result<(), Abort> {
    let subject = format!("{what} {arn}");
    let mut parts = arn.splitn(6, ':').skip(2);
    let (service, region, account, name) = (parts.next(), parts.next(), parts.next(), parts.next());
    match (service, region, account, name) {
        (Some("sqs"), Some(region), Some(account), Some(name)) => queue(cx, &subject, region, account, name).await,
        (Some("sns" | "lambda" | "events"), ..) => cx.not_applicable(&subject, "it passes events on and keeps none that could be counted").map(drop),
        (Some("s3"), ..) => cx.gap(GapKind::Unsupported, &subject, "failed events are objects in this bucket; they were not listed").map(drop),
        _ => cx.gap(GapKind::Unsupported, &subject, "no service that this collector knows").map(drop),
    }
}

async fn queue(cx: &CollectCx<'_>, subject: &str, region: &str, account: &str, name: &str) -> Result<(), Abort> {
    // The ARN is somebody's configuration; its Region becomes a part of a host name.
    if region.is_empty() || region.len() > 32 || !region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        return cx.gap(GapKind::Unsupported, subject, "its ARN names no Region").map(drop);
    }
    let other: Option<Aws> = (region != cx.aws().region()).then(|| cx.aws().in_region(region));
    let aws = other.as_ref().unwrap_or_else(|| cx.aws());
    let ask = json!({ "QueueName": name, "QueueOwnerAWSAccountId": account });
    let question = Question::new(&URL, format!("address of {subject}")).region(region);
    let Some(answer) = cx.ask(question, aws.raw(call("GetQueueUrl", &ask))).await?.got() else { return Ok(()) };
    let body: Value = serde_json::from_slice(&answer).unwrap_or_default();
    let Some(url) = body["QueueUrl"].as_str() else {
        return cx.gap(GapKind::Internal, subject, "SQS answered without the queue's address").map(drop);
    };
    let ask = json!({ "QueueUrl": url, "AttributeNames": ["All"] });
    let question = Question::new(&ATTRIBUTES, format!("messages, retention, policy and redrive of {subject}")).region(region);
    cx.ask(question, aws.raw(call("GetQueueAttributes", &ask))).await?;
    Ok(())
}

fn call(operation: &'static str, body: &Value) -> RawCall {
    RawCall::json(Service::Sqs, operation, JsonVersion::V1_0, &format!("AmazonSQS.{operation}"), body)
}
