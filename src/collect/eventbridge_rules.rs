//! EventBridge rules, from both ends: every bus is asked which rules target the function, `$LATEST`, an alias or a version (a rule is listed under
//! the exact ARN that it names), and the rules that the resource policies admit are read as well, whether or not they still target the function.

use super::cx::at_once;
use super::qualified::{self, Named};
use super::raw_list::{Members, text};
use super::trigger_table::{self, Way};
use super::{Abort, CollectCx, Collector, CollectorSpec, Question, Volatility};
use crate::aws::raw::{JsonVersion, RawCall};
use crate::model::call::{Call, Scope, Service};
use crate::model::gap::GapKind;
use crate::model::item::{Group, Sensitivity};
use crate::model::params::{Param, ParamKind};
use async_trait::async_trait;
use futures_util::FutureExt;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

pub struct EventbridgeRules;

const BUSES: Call = Call::read(Service::Events, "ListEventBuses", "events:ListEventBuses", Scope::Any);
const NAMES: Call = Call::read(Service::Events, "ListRuleNamesByTarget", "events:ListRuleNamesByTarget", Scope::Any);
const RULE: Call = Call::read(Service::Events, "DescribeRule", "events:DescribeRule", Scope::Any);
const TARGETS: Call = Call::read(Service::Events, "ListTargetsByRule", "events:ListTargetsByRule", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "eventbridge-rules",
    title: "EventBridge rules",
    answers: "Which EventBridge rules fire the function, on what pattern or schedule, and with what input?",
    group: Group::Triggers,
    volatility: Volatility::V2,
    calls: &[BUSES, NAMES, RULE, TARGETS],
    params: &[Param {
        name: "max-searches",
        kind: ParamKind::Count,
        default: "1000",
        doc: "Stop after so many pairs of event bus and function name; the rest is a gap",
    }],
};

/// Where a rule lives.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Rule {
    region: String,
    bus: String,
    name: String,
}

#[async_trait]
impl Collector for EventbridgeRules {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        let (buses, names) = tokio::try_join!(buses(cx), qualified::names(cx, "EventBridge rules"))?;
        let found = Mutex::new(BTreeSet::new());
        let pairs: Vec<(&String, &Named)> = buses.iter().flat_map(|b| names.iter().map(move |n| (b, n))).collect();
        let most = usize::try_from(cx.count("max-searches")).unwrap_or(usize::MAX).max(1);
        if pairs.len() > most {
            let why =
                format!("{} buses and {} names make {} searches; {most} were made, as bounded", buses.len(), names.len(), pairs.len());
            cx.gap(GapKind::TooLarge, "EventBridge rules of further names and buses", &why)?;
        }
        at_once(pairs.into_iter().take(most).map(|(bus, name)| by_target(cx, &found, bus, name).boxed())).await?;
        let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        for source in trigger_table::sources(cx, Way::Rule, "EventBridge rules").await? {
            // `rule/name` on the default bus, else `rule/bus/name`.
            let Some(path) = source.resource.strip_prefix("rule/") else { continue };
            let (bus, name) = path.rsplit_once('/').unwrap_or(("default", path));
            found.insert(Rule { region: source.region, bus: bus.to_string(), name: name.to_string() });
        }
        at_once(found.into_iter().map(|rule| read(cx, rule).boxed())).await
    }
}

fn call(operation: &'static str, body: Value, token: Option<String>) -> RawCall {
    let mut body = body;
    if let Some(token) = token {
        body["NextToken"] = token.into();
    }
    RawCall::json(Service::Events, operation, JsonVersion::V1_1, &format!("AWSEvents.{operation}"), &body)
}

/// The default bus is there whether or not we may list the others.
async fn buses(cx: &CollectCx<'_>) -> Result<BTreeSet<String>, Abort> {
    let mut all = BTreeSet::from(["default".to_string()]);
    let members = Members { list: "EventBuses", next: "NextToken" };
    // With the policy of each bus: who may put events on it.
    cx.ask_json_list(
        Question::new(&BUSES, "event buses with their policies"),
        cx.aws(),
        members,
        |t| call("ListEventBuses", json!({}), t),
        |bus| {
            all.extend(text(bus, "Name"));
        },
    )
    .await?;
    Ok(all)
}

async fn by_target(cx: &CollectCx<'_>, found: &Mutex<BTreeSet<Rule>>, bus: &str, name: &Named) -> Result<(), Abort> {
    let question = Question::new(&NAMES, format!("EventBridge rules on bus {bus} that target {}", name.whose));
    let members = Members { list: "RuleNames", next: "NextToken" };
    let body = json!({"TargetArn": name.arn, "EventBusName": bus});
    cx.ask_json_list(
        question,
        cx.aws(),
        members,
        |t| call("ListRuleNamesByTarget", body.clone(), t),
        |rule| {
            if let Some(rule) = rule.as_str() {
                let rule = Rule { region: cx.target().region.clone(), bus: bus.to_string(), name: rule.to_string() };
                found.lock().unwrap_or_else(PoisonError::into_inner).insert(rule);
            }
        },
    )
    .await?;
    Ok(())
}

async fn read(cx: &CollectCx<'_>, rule: Rule) -> Result<(), Abort> {
    let elsewhere = cx.aws_in(&rule.region);
    let aws = elsewhere.as_ref().unwrap_or(cx.aws());
    let Rule { bus, name, region } = &rule;
    // Patterns and inputs may hold business data.
    let question = Question::new(&RULE, format!("EventBridge rule {name} on bus {bus} in {region}")).sensitivity(Sensitivity::S2);
    let about = cx.ask_json(question, aws, call("DescribeRule", json!({"Name": name, "EventBusName": bus}), None));
    let question = Question::new(&TARGETS, format!("targets and inputs of EventBridge rule {name} on bus {bus} in {region}"))
        .sensitivity(Sensitivity::S2);
    let members = Members { list: "Targets", next: "NextToken" };
    let body = json!({"Rule": name, "EventBusName": bus});
    let targets = cx.ask_json_list(question, aws, members, |t| call("ListTargetsByRule", body.clone(), t), |_| {});
    tokio::try_join!(about, targets)?;
    Ok(())
}
