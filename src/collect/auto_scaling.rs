//! Application Auto Scaling of provisioned concurrency: targets, policies and scheduled actions on the function's aliases and versions. What it
//! sets it sets again: whoever contains or restores provisioned concurrency must know about it, and a scheduled action is a clock of its own.

use super::cx::at_once;
use super::qualified;
use super::qualifier::LATEST;
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
use std::sync::{Mutex, PoisonError};

pub struct AutoScaling;

const TARGETS: Call =
    Call::read(Service::Autoscaling, "DescribeScalableTargets", "application-autoscaling:DescribeScalableTargets", Scope::Any);
const POLICIES: Call =
    Call::read(Service::Autoscaling, "DescribeScalingPolicies", "application-autoscaling:DescribeScalingPolicies", Scope::Any);
const SCHEDULED: Call =
    Call::read(Service::Autoscaling, "DescribeScheduledActions", "application-autoscaling:DescribeScheduledActions", Scope::Any);
const ACTIVITIES: Call =
    Call::read(Service::Autoscaling, "DescribeScalingActivities", "application-autoscaling:DescribeScalingActivities", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "auto-scaling",
    title: "Scaling of provisioned concurrency",
    answers: "Does something change the provisioned concurrency by itself, and would it undo what we set?",
    group: Group::Config,
    volatility: Volatility::V2,
    calls: &[TARGETS, POLICIES, SCHEDULED, ACTIVITIES],
    params: &[],
};

/// What one call may name (API reference of DescribeScalableTargets).
const AT_A_TIME: usize = 50;
/// Targets that are asked about one by one.
const MAX_TARGETS: usize = 50;

#[async_trait]
impl Collector for AutoScaling {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        const WHAT: &str = "scaling of provisioned concurrency";
        let names = qualified::names(cx, WHAT).await?;
        // `$LATEST` can have none, published or not.
        let qualifiers = names.iter().filter_map(|n| n.qualifier.as_ref()).filter(|q| !q.starts_with(LATEST));
        let ids: Vec<String> = qualifiers.map(|q| format!("function:{}:{q}", cx.target().function)).collect();
        if ids.is_empty() {
            return cx.not_applicable(WHAT, "no alias and no published version was read, and only those can have any").map(drop);
        }
        let found = Mutex::default();
        at_once(ids.chunks(AT_A_TIME).map(|some| targets(cx, some, &found).boxed())).await?;
        let found: BTreeSet<String> = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        if found.len() > MAX_TARGETS {
            let why = format!("{} aliases and versions are scaled; {MAX_TARGETS} of them were asked about", found.len());
            cx.gap(GapKind::TooLarge, "policies and scheduled actions of further scalable targets", &why)?;
        }
        let one = |id: &String| {
            [
                about(cx, &POLICIES, "ScalingPolicies", "scaling policies", id.clone()).boxed(),
                about(cx, &SCHEDULED, "ScheduledActions", "scheduled actions", id.clone()).boxed(),
                about(cx, &ACTIVITIES, "ScalingActivities", "what was scaled in the last six weeks", id.clone()).boxed(),
            ]
        };
        at_once(found.iter().take(MAX_TARGETS).flat_map(one)).await
    }
}

fn call(operation: &'static str, mut body: Value, token: Option<String>) -> RawCall {
    body["ServiceNamespace"] = "lambda".into();
    if let Some(token) = token {
        body["NextToken"] = token.into();
    }
    RawCall::json(Service::Autoscaling, operation, JsonVersion::V1_1, &format!("AnyScaleFrontendService.{operation}"), &body)
}

async fn targets(cx: &CollectCx<'_>, ids: &[String], found: &Mutex<BTreeSet<String>>) -> Result<(), Abort> {
    let shown = ids.iter().take(8).map(|id| id.rsplit(':').next().unwrap_or_default()).collect::<Vec<_>>().join(", ");
    let more = if ids.len() > 8 { format!(" and {} more", ids.len() - 8) } else { String::new() };
    let question = Question::new(&TARGETS, format!("scalable targets of {shown}{more}")).sensitivity(Sensitivity::S0);
    let members = Members { list: "ScalableTargets", next: "NextToken" };
    let page = |token| call("DescribeScalableTargets", json!({"ResourceIds": ids}), token);
    // Only what was asked about: an answer cannot make us ask about something else.
    let each = |t: &Value| {
        let id = text(t, "ResourceId").filter(|id| ids.contains(id));
        found.lock().unwrap_or_else(PoisonError::into_inner).extend(id);
    };
    cx.ask_json_list(question, cx.aws(), members, page, each).await.map(drop)
}

async fn about(cx: &CollectCx<'_>, what: &'static Call, list: &'static str, words: &str, id: String) -> Result<(), Abort> {
    let question = Question::new(what, format!("{words} of {id}")).sensitivity(Sensitivity::S0);
    let page = |token| call(what.operation, json!({"ResourceId": id}), token);
    cx.ask_json_list(question, cx.aws(), Members { list, next: "NextToken" }, page, |_| {}).await.map(drop)
}
