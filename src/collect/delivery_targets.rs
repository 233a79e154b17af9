//! Where events leave the function by configuration (dead-letter queues, destinations of asynchronous invocations, of event source mappings
//! for what failed) and the queues that they come from. Of each, the policy and the attributes: who may read what lands there, who may put
//! something in, and how long it is kept. Messages are never received: that would count as a delivery and hide them from their owner.

use super::async_destinations::DESTINATIONS;
use super::cx::at_once;
use super::raw_list::text;
use super::reach::reaches;
use super::trigger_table::is_region;
use super::{Abort, CollectCx, Collector, CollectorSpec, Question, Volatility};
use crate::aws::raw::{JsonVersion, RawCall};
use crate::model::call::{Call, Scope, Service};
use crate::model::gap::GapKind;
use crate::model::item::Group;
use async_trait::async_trait;
use futures_util::FutureExt;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

pub struct DeliveryTargets;

const QUEUE_URL: Call = Call::read(Service::Sqs, "GetQueueUrl", "sqs:GetQueueUrl", Scope::Any);
const QUEUE: Call = Call::read(Service::Sqs, "GetQueueAttributes", "sqs:GetQueueAttributes", Scope::Any);
const TOPIC: Call = Call::read(Service::Sns, "GetTopicAttributes", "sns:GetTopicAttributes", Scope::Any);
const BUS: Call = Call::read(Service::Events, "DescribeEventBus", "events:DescribeEventBus", Scope::Any);
const BUCKET: Call = Call::read(Service::S3, "GetBucketPolicy", "s3:GetBucketPolicy", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "delivery-targets",
    title: "Queues and destinations",
    answers: "Where do the function's events and results go by configuration, and who may read them there or feed it?",
    group: Group::Policy,
    volatility: Volatility::V2,
    calls: &[QUEUE_URL, QUEUE, TOPIC, BUS, BUCKET],
    params: &[],
};

/// A configuration names three, a mapping two.
const MAX_TARGETS: usize = 100;

#[async_trait]
impl Collector for DeliveryTargets {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        let named = named(cx).await?;
        if named.is_empty() {
            return cx.not_applicable("policies of queues and destinations", "none that was read is configured").map(drop);
        }
        if named.len() > MAX_TARGETS {
            let why = format!("the configurations name {}; {MAX_TARGETS} of them were asked about", named.len());
            cx.gap(GapKind::TooLarge, "policies of further queues and destinations", &why)?;
        }
        let beyond = Mutex::default();
        at_once(named.iter().take(MAX_TARGETS).map(|arn| target(cx, arn.clone(), &beyond).boxed())).await?;
        // Where those queues in turn lay what nobody could process. One step: a dead-letter queue of a dead-letter queue holds nothing of ours.
        let beyond: BTreeSet<String> = beyond.into_inner().unwrap_or_else(PoisonError::into_inner);
        let unheard = Mutex::default();
        at_once(beyond.difference(&named).take(MAX_TARGETS).map(|arn| target(cx, arn.clone(), &unheard).boxed())).await
    }
}

/// What the configurations name. What could not be read leaves a gap.
async fn named(cx: &CollectCx<'_>) -> Result<BTreeSet<String>, Abort> {
    let mut found = BTreeSet::new();
    match cx.destinations().await? {
        Ok(list) => {
            found.extend(list.entries.iter().cloned());
            cx.gap_of_rest(&list, "policies of further destinations")?;
        }
        Err(fault) => drop(cx.gap_from_lookup(&DESTINATIONS, &fault, "policies of the destinations")?),
    }
    let configured = reaches(cx, "dead-letter queue").await?;
    found.extend(configured.all.into_iter().filter_map(|(_, r)| r.dead_letter));
    let mappings = cx.mappings().await?;
    for mapping in mappings.all.values() {
        found.extend(mapping.on_failure.clone());
        // Queues only: whoever may write there fires the function. Streams name their writers in IAM.
        found.extend(mapping.source.clone().filter(|arn| arn.split(':').nth(2) == Some("sqs")));
    }
    if let Some((kind, why)) = &mappings.unfinished {
        cx.gap(
            *kind,
            "policies of queues that further event source mappings name",
            &format!("the list it depends on is not whole: {why}"),
        )?;
    }
    found.remove("");
    Ok(found)
}

async fn target(cx: &CollectCx<'_>, arn: String, beyond: &Mutex<BTreeSet<String>>) -> Result<(), Abort> {
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
            let question = Question::new(&QUEUE, format!("policy and attributes of queue {arn}"));
            let answer = cx.ask_json(question, aws, sqs("GetQueueAttributes", &body)).await?.got();
            beyond.lock().unwrap_or_else(PoisonError::into_inner).extend(answer.as_ref().and_then(redriven_to));
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

/// The queue that takes what was received too often.
fn redriven_to(attributes: &Value) -> Option<String> {
    let policy: Value = serde_json::from_str(attributes["Attributes"]["RedrivePolicy"].as_str()?).ok()?;
    text(&policy, "deadLetterTargetArn").filter(|arn| arn.len() <= 256)
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
