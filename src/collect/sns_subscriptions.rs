//! Subscriptions of the topics that the resource policies admit: all of each topic, because whoever can publish to it reaches every
//! subscriber; then the attributes of those that call the function (filter policy, dead letters).

use super::cx::at_once;
use super::qualified::is_ours;
use super::trigger_table::{self, Source, Way};
use super::{Abort, Bound, CollectCx, Collector, CollectorSpec, Question, Volatility};
use crate::aws::raw::RawCall;
use crate::aws::xml;
use crate::model::call::{Call, Scope, Service};
use crate::model::item::{Group, Sensitivity};
use async_trait::async_trait;
use futures_util::FutureExt;

pub struct SnsSubscriptions;

const LIST: Call = Call::read(Service::Sns, "ListSubscriptionsByTopic", "sns:ListSubscriptionsByTopic", Scope::Any);
const GET: Call = Call::read(Service::Sns, "GetSubscriptionAttributes", "sns:GetSubscriptionAttributes", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "sns-subscriptions",
    title: "SNS subscriptions",
    answers: "Which topics fire the function, on which messages, and who else listens there?",
    group: Group::Triggers,
    volatility: Volatility::V2,
    calls: &[LIST, GET],
    params: &[],
};

const VERSION: &str = "2010-03-31";

#[async_trait]
impl Collector for SnsSubscriptions {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        let topics = trigger_table::sources(cx, Way::Topic, "SNS topics").await?;
        if topics.is_empty() {
            return cx.not_applicable("SNS subscriptions", "no statement that was read admits a topic by its name").map(drop);
        }
        at_once(topics.into_iter().map(|topic| subscriptions(cx, topic).boxed())).await
    }
}

async fn subscriptions(cx: &CollectCx<'_>, topic: Source) -> Result<(), Abort> {
    let elsewhere = cx.aws_in(&topic.region);
    let aws = elsewhere.as_ref().unwrap_or(cx.aws());
    let mut ours = vec![];
    cx.ask_pages(
        // Endpoints are people's addresses.
        Question::new(&LIST, format!("subscriptions of topic {}", topic.arn)).sensitivity(Sensitivity::S2).region(&topic.region),
        Bound::default(),
        |token| {
            let mut parameters = vec![("TopicArn", topic.arn.as_str())];
            parameters.extend(token.as_deref().map(|t| ("NextToken", t)));
            let call = RawCall::query(Service::Sns, "ListSubscriptionsByTopic", VERSION, &parameters);
            async move { aws.raw(call).await }
        },
        |out: &Vec<u8>| xml::first(out, "NextToken"),
        |out| {
            let all = xml::records(&out, "Subscriptions", "member");
            let calls_us = all.iter().filter(|s| s.get("Endpoint").is_some_and(|e| is_ours(cx, e)));
            // `PendingConfirmation` stands where an ARN will be.
            ours.extend(calls_us.filter_map(|s| s.get("SubscriptionArn").filter(|a| a.starts_with("arn:")).cloned()));
            all.len()
        },
    )
    .await?;
    for arn in ours {
        let question = Question::new(&GET, format!("subscription {arn}")).sensitivity(Sensitivity::S2).region(&topic.region);
        cx.ask(question, aws.raw(RawCall::query(Service::Sns, "GetSubscriptionAttributes", VERSION, &[("SubscriptionArn", &arn)]))).await?;
    }
    Ok(())
}
