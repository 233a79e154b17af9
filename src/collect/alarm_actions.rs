//! CloudWatch alarms that call the function when they change: of every kind (metric, composite, log), with what they watch. An attacker makes
//! one to be woken by an event of his choice; a responder learns here what else fires the function.

use super::raw_list::Members;
use super::{Abort, CollectCx, Collector, CollectorSpec, Question, Volatility};
use crate::aws::raw::{JsonVersion, RawCall};
use crate::model::call::{Call, Scope, Service};
use crate::model::item::Group;
use async_trait::async_trait;
use serde_json::json;

pub struct AlarmActions;

const ALARMS: Call = Call::read(Service::Cloudwatch, "DescribeAlarms", "cloudwatch:DescribeAlarms", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "alarm-actions",
    title: "Alarms that call the function",
    answers: "Which CloudWatch alarms call the function, on what, and are they in alarm now?",
    group: Group::Triggers,
    volatility: Volatility::V2,
    calls: &[ALARMS],
    params: &[],
};

/// An answer has a list for each kind; the pages count all of them.
const KINDS: [(&str, &str, &str); 3] = [
    ("MetricAlarm", "MetricAlarms", "metric alarms"),
    ("CompositeAlarm", "CompositeAlarms", "composite alarms"),
    ("LogAlarm", "LogAlarms", "log alarms"),
];

#[async_trait]
impl Collector for AlarmActions {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        for (kind, list, words) in KINDS {
            let page = |token: Option<String>| {
                // A prefix: qualifiers come with it, and functions whose name begins so; each alarm says which it calls.
                let mut body = json!({"AlarmTypes": [kind], "ActionPrefix": cx.target().arn(), "MaxRecords": 100});
                if let Some(token) = token {
                    body["NextToken"] = token.into();
                }
                let target = "GraniteServiceVersion20100801.DescribeAlarms";
                RawCall::json(Service::Cloudwatch, "DescribeAlarms", JsonVersion::V1_0, target, &body)
            };
            let question = Question::new(&ALARMS, format!("{words} whose action begins with the function's ARN"));
            cx.ask_json_list(question, cx.aws(), Members { list, next: "NextToken" }, page, |_| {}).await?;
        }
        Ok(())
    }
}
