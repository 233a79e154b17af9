//! AWS Config's memory of the function and its role: how they were configured before, up to seven years back, and which rules they broke. The
//! only history of configurations that AWS keeps; but only where a recorder was on, and that is asked first.
//!
//! Config knows functions and roles. It has no type for aliases, versions and event source mappings (model of 2014-11-12, botocore 1.43).

use super::cx::at_once;
use super::raw_list::{Members, text};
use super::{Abort, Bound, CollectCx, Collector, CollectorSpec, Question, Volatility};
use crate::aws::fault::tame;
use crate::aws::raw::{JsonVersion, RawCall};
use crate::model::call::{Call, Scope, Service};
use crate::model::item::{Group, Sensitivity};
use crate::model::params::{Param, ParamKind};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub struct ConfigHistory;

const RECORDERS: Call = Call::read(Service::Config, "DescribeConfigurationRecorders", "config:DescribeConfigurationRecorders", Scope::Any);
const STATUS: Call =
    Call::read(Service::Config, "DescribeConfigurationRecorderStatus", "config:DescribeConfigurationRecorderStatus", Scope::Any);
const HISTORY: Call = Call::read(Service::Config, "GetResourceConfigHistory", "config:GetResourceConfigHistory", Scope::Any);
const COMPLIANCE: Call = Call::read(Service::Config, "GetComplianceDetailsByResource", "config:GetComplianceDetailsByResource", Scope::Any);
const DISCOVERED: Call = Call::read(Service::Config, "ListDiscoveredResources", "config:ListDiscoveredResources", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "config-history",
    title: "History in AWS Config",
    answers: "How were the function and its role configured before, and since when are they as they are?",
    group: Group::Control,
    volatility: Volatility::V1,
    calls: &[RECORDERS, STATUS, HISTORY, COMPLIANCE, DISCOVERED],
    params: &[Param {
        name: "max-pages",
        kind: ParamKind::Count,
        default: "20",
        doc: "Read so many pages of a hundred states each, the newest; what is older is a gap",
    }],
};

const NO_RECORDER: &str = "AWS Config has no recorder in this Region: nothing was recorded";
const FUNCTION: &str = "AWS::Lambda::Function";
const ROLE: &str = "AWS::IAM::Role";
/// A role and its namesakes that were deleted before it.
const MAX_ROLES: usize = 10;

#[async_trait]
impl Collector for ConfigHistory {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        let function = cx.target().function.clone();
        at_once([recorders(cx).boxed(), of(cx, FUNCTION, function, "the function".into()).boxed(), role(cx).boxed()]).await
    }
}

fn call(operation: &'static str, body: &Value) -> RawCall {
    RawCall::json(Service::Config, operation, JsonVersion::V1_1, &format!("StarlingDoveService.{operation}"), body)
}

/// What could have been recorded at all.
async fn recorders(cx: &CollectCx<'_>) -> Result<(), Abort> {
    let question = Question::new(&RECORDERS, "recorders of AWS Config, and what they record");
    let known = cx.ask_json(question, cx.aws(), call("DescribeConfigurationRecorders", &json!({}))).await?.got();
    if known.is_some_and(|k| k["ConfigurationRecorders"].as_array().is_some_and(Vec::is_empty)) {
        cx.not_applicable("what AWS Config records", NO_RECORDER)?;
    }
    let question = Question::new(&STATUS, "whether the recorders of AWS Config are on");
    let status = cx.ask_json(question, cx.aws(), call("DescribeConfigurationRecorderStatus", &json!({}))).await?.got();
    let all = status.as_ref().and_then(|s| s["ConfigurationRecordersStatus"].as_array()).map(Vec::as_slice).unwrap_or_default();
    for off in all.iter().filter(|r| r["recording"] == false).take(10) {
        let name = tame(&text(off, "name").unwrap_or_default(), 80);
        let since = off["lastStopTime"].as_f64().and_then(|t| DateTime::<Utc>::from_timestamp(t as i64, 0));
        let since = since.map_or_else(|| "it was never on".to_string(), |t| format!("since {}", crate::clock::stamp(t)));
        cx.not_applicable(
            &format!("what AWS Config records with {name}"),
            &format!("this recorder is off, {since}: nothing is being recorded by it"),
        )?;
    }
    Ok(())
}

/// IAM's ids of roles are no names; Config looks the name up, deleted ones included. Roles are recorded in one Region of an account, mostly.
async fn role(cx: &CollectCx<'_>) -> Result<(), Abort> {
    const WHAT: &str = "history of the execution role";
    let fact = match cx.function_or_told().await? {
        Ok(fact) => fact,
        Err(fault) => return cx.gap_from(&fault, WHAT).map(drop),
    };
    let Some(role) = fact.role_name() else { return cx.gap_without_role(WHAT).map(drop) };
    let mut ids = BTreeSet::new();
    let question = Question::new(&DISCOVERED, format!("role {role} as AWS Config knows it"))
        .not_in_use(&[("NoAvailableConfigurationRecorderException", NO_RECORDER)]);
    let page = |token: Option<String>| {
        let mut body = json!({"resourceType": ROLE, "resourceName": role, "includeDeletedResources": true, "limit": 100});
        if let Some(token) = token {
            body["nextToken"] = token.into();
        }
        call("ListDiscoveredResources", &body)
    };
    let members = Members { list: "resourceIdentifiers", next: "nextToken" };
    cx.ask_json_list(question, cx.aws(), members, page, |r| ids.extend(text(r, "resourceId"))).await?;
    at_once(ids.into_iter().take(MAX_ROLES).map(|id| of(cx, ROLE, id.clone(), format!("role {role} ({id})")).boxed())).await
}

/// Past states and broken rules of one resource.
async fn of(cx: &CollectCx<'_>, kind: &'static str, id: String, whose: String) -> Result<(), Abort> {
    let page = |token: Option<String>| {
        let mut body = json!({"resourceType": kind, "resourceId": id, "chronologicalOrder": "Reverse", "limit": 100});
        if let Some(token) = token {
            body["nextToken"] = token.into();
        }
        call("GetResourceConfigHistory", &body)
    };
    // A function's state holds its environment.
    let question = Question::new(&HISTORY, format!("past configurations of {whose}"))
        .sensitivity(Sensitivity::S3)
        .not_in_use(&[("NoAvailableConfigurationRecorderException", NO_RECORDER)]);
    let bound = Bound { pages: u32::try_from(cx.count("max-pages")).unwrap_or(u32::MAX), ..Bound::default() };
    cx.ask_json_pages(question, cx.aws(), bound, Members { list: "configurationItems", next: "nextToken" }, page, |_| {}).await?;

    let page = |token: Option<String>| {
        let mut body = json!({"ResourceType": kind, "ResourceId": id});
        if let Some(token) = token {
            body["NextToken"] = token.into();
        }
        call("GetComplianceDetailsByResource", &body)
    };
    let question = Question::new(&COMPLIANCE, format!("rules of AWS Config that judged {whose}"));
    cx.ask_json_list(question, cx.aws(), Members { list: "EvaluationResults", next: "NextToken" }, page, |_| {}).await.map(drop)
}
