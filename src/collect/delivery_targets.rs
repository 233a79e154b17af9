//! Where events leave the function by configuration: its dead-letter queue and the destinations of asynchronous invocations. Of each, the
//! policy and the attributes: who may read what lands there, and how long it is kept. Messages are never received: that would count as a
//! delivery and hide them from their owner.

use super::cx::at_once;
use super::raw_list::text;
use super::trigger_table::is_region;
use super::{Abort, Bound, CollectCx, Collector, CollectorSpec, Question, Volatility};
use crate::aws::raw::{JsonVersion, RawCall};
use crate::model::call::{Call, Scope, Service};
use crate::model::item::Group;
use async_trait::async_trait;
use aws_sdk_lambda::operation::list_function_event_invoke_configs::ListFunctionEventInvokeConfigsOutput;
use futures_util::FutureExt;
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub struct DeliveryTargets;

const DESTINATIONS: Call =
    Call::read(Service::Lambda, "ListFunctionEventInvokeConfigs", "lambda:ListFunctionEventInvokeConfigs", Scope::Function);
const QUEUE_URL: Call = Call::read(Service::Sqs, "GetQueueUrl", "sqs:GetQueueUrl", Scope::Any);
const QUEUE: Call = Call::read(Service::Sqs, "GetQueueAttributes", "sqs:GetQueueAttributes", Scope::Any);
const TOPIC: Call = Call::read(Service::Sns, "GetTopicAttributes", "sns:GetTopicAttributes", Scope::Any);
const BUS: Call = Call::read(Service::Events, "DescribeEventBus", "events:DescribeEventBus", Scope::Any);
const BUCKET: Call = Call::read(Service::S3, "GetBucketPolicy", "s3:GetBucketPolicy", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "delivery-targets",
    title: "Dead-letter queue and destinations",
    answers: "Where do the function's events and results go by configuration, and who may read them there?",
    group: Group::Policy,
    volatility: Volatility::V2,
    calls: &[DESTINATIONS, QUEUE_URL, QUEUE, TOPIC, BUS, BUCKET],
    params: &[],
};

#[async_trait]
impl Collector for DeliveryTargets {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        let mut targets = destinations(cx).await?;
        match cx.function().await? {
            Ok(fact) => targets.extend(fact.dead_letter.clone().filter(|a| !a.is_empty())),
            Err(fault) => drop(cx.gap_from(&fault, "dead-letter queue of the function")?),
        }
        if targets.is_empty() {
            return cx.not_applicable("policies of dead-letter queue and destinations", "none that was read is configured").map(drop);
        }
        at_once(targets.into_iter().map(|arn| target(cx, arn).boxed())).await
    }
}

async fn destinations(cx: &CollectCx<'_>) -> Result<BTreeSet<String>, Abort> {
    let mut found = BTreeSet::new();
    let call = || cx.aws().lambda().list_function_event_invoke_configs().function_name(&cx.target().function);
    cx.ask_pages(
        Question::new(&DESTINATIONS, "destinations of the function, its versions and aliases"),
        Bound::default(),
        |marker| call().set_marker(marker).send(),
        |out: &ListFunctionEventInvokeConfigsOutput| out.next_marker().map(str::to_string),
        |out| {
            for to in out.function_event_invoke_configs().iter().filter_map(|c| c.destination_config()) {
                found.extend(to.on_success().and_then(|d| d.destination()).map(str::to_string));
                found.extend(to.on_failure().and_then(|d| d.destination()).map(str::to_string));
            }
            out.function_event_invoke_configs().len()
        },
    )
    .await?;
    Ok(found)
}

async fn target(cx: &CollectCx<'_>, arn: String) -> Result<(), Abort> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", _, service, region, account, name] = parts.as_slice() else { return elsewhere(cx, &arn) };
    // Buckets name no Region; whatever else names an odd one is not asked there.
    let region = if region.is_empty() { cx.target().region.as_str() } else { region };
    if !is_region(region) {
        return elsewhere(cx, &arn);
    }
    let other = cx.aws_in(region);
    let aws = other.as_ref().unwrap_or(cx.aws());
    match *service {
        "sqs" => {
            let body = json!({"QueueName": name, "QueueOwnerAWSAccountId": account});
            let reply = cx.ask_json(Question::new(&QUEUE_URL, format!("address of queue {arn}")), aws, sqs("GetQueueUrl", &body)).await?;
            let Some(url) = reply.got().as_ref().and_then(|v| text(v, "QueueUrl")) else { return Ok(()) };
            let body = json!({"QueueUrl": url, "AttributeNames": ["All"]});
            cx.ask_json(Question::new(&QUEUE, format!("policy and attributes of queue {arn}")), aws, sqs("GetQueueAttributes", &body))
                .await?;
        }
        "sns" => {
            let call = RawCall::query(Service::Sns, "GetTopicAttributes", "2010-03-31", &[("TopicArn", &arn)]);
            cx.ask(Question::new(&TOPIC, format!("policy and attributes of topic {arn}")).region(region), aws.raw(call)).await?;
        }
        "events" => {
            let bus = name.strip_prefix("event-bus/").unwrap_or(name);
            let call =
                RawCall::json(Service::Events, "DescribeEventBus", JsonVersion::V1_1, "AWSEvents.DescribeEventBus", &json!({"Name": bus}));
            cx.ask_json(Question::new(&BUS, format!("policy of event bus {arn}")), aws, call).await?;
        }
        "s3" => {
            cx.ask(
                Question::new(&BUCKET, format!("policy of bucket {arn}")).region(region),
                aws.s3().get_bucket_policy().bucket(*name).send(),
            )
            .await?;
        }
        _ => return elsewhere(cx, &arn),
    }
    Ok(())
}

fn sqs(operation: &'static str, body: &Value) -> RawCall {
    RawCall::json(Service::Sqs, operation, JsonVersion::V1_0, &format!("AmazonSQS.{operation}"), body)
}

/// A function, or something that we do not know: named, so that somebody looks.
fn elsewhere(cx: &CollectCx<'_>, arn: &str) -> Result<(), Abort> {
    let why =
        "a destination that is no queue, topic, event bus or bucket has no policy that is read here; for a function, take its own snapshot";
    cx.not_applicable(&format!("policy of destination {}", crate::aws::fault::tame(arn, 250)), why).map(drop)
}
