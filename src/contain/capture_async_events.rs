//! Asynchronous events led into a quarantine queue (`containment.md` C6): once the function is frozen, Lambda sends every asynchronous event to
//! the failure destination without a retry. With this done first, those events are caught with their payloads, for restore and for the
//! investigation, and not lost or mixed into somebody's dead-letter queue.
//!
//! What it never does: create the queue, or grant the role anything. A put replaces the whole configuration, so every member that was there
//! goes back with it, members newer than this program included.

use super::{ActCx, ActError, Action, ActionSpec, AwsCli, Bearing, Cell, ContainPermit, Reading};
use crate::aws::fault::tame;
use crate::aws::raw::RawCall;
use crate::model::call::{Call, Scope, Service};
use crate::model::id::CellId;
use crate::model::params::{Param, ParamKind};
use crate::model::restorable::Restorable;
use crate::model::target::Target;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

pub struct CaptureAsyncEvents;

static SPEC: ActionSpec = ActionSpec {
    id: "capture-async-events",
    title: "Lead failed asynchronous events into a quarantine queue",
    stops: "nothing by itself: once the function is frozen, the asynchronous events that Lambda would drop or send elsewhere are kept in the \
            queue, payloads included",
    does_not_stop: "invocations; events for an alias or version without an asynchronous configuration of its own",
    side_effects: "failures go to the quarantine queue and not to the destination that was set; the queue holds what callers sent, which may be \
                   personal data",
    restore: "each configuration is put back with every member that it had, or deleted where there was none, after the quarantine of the role \
              is lifted: Lambda checks that the role may send to the former destination",
    calls: &[LIST, GET, PUT, DELETE],
    params: &[Param {
        name: "queue",
        kind: ParamKind::ArnOf("sqs"),
        default: "none",
        doc: "the quarantine queue: a standard queue of SQS to which the function's role may send; required",
    }],
    restore_rank: 3,
    bearing: Bearing::Neither,
};

const LIST: Call = Call::read(Service::Lambda, "ListFunctionEventInvokeConfigs", "lambda:ListFunctionEventInvokeConfigs", Scope::Function);
const GET: Call = Call::read(Service::Lambda, "GetFunctionEventInvokeConfig", "lambda:GetFunctionEventInvokeConfig", Scope::Function);
const PUT: Call = Call::write(Service::Lambda, "PutFunctionEventInvokeConfig", "lambda:PutFunctionEventInvokeConfig", Scope::Function);
const DELETE: Call =
    Call::write(Service::Lambda, "DeleteFunctionEventInvokeConfig", "lambda:DeleteFunctionEventInvokeConfig", Scope::Function);

const VERSION: &str = "2019-09-25";

/// The configuration without names, times and empty members; `None` when there is none, which is not the same as an empty one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AsyncConfig(Option<Map<String, Value>>);

/// Function and qualifier of a cell: `f`, or `f:live`.
fn place<'c>(target: &Target, cell: &'c CellId) -> Result<Option<&'c str>, ActError> {
    let plain = |q: &str| !q.is_empty() && q.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_$.".contains(&b));
    match cell.key().strip_prefix(target.function.as_str()).map(|rest| (rest, rest.strip_prefix(':'))) {
        Some(("", _)) => Ok(None),
        Some((_, Some(qualifier))) if plain(qualifier) => Ok(Some(qualifier)),
        _ => Err(ActError::Refused(format!("{} is no asynchronous configuration of {}", tame(&cell.0, 200), target.function))),
    }
}

fn words(function: &str, qualifier: Option<&str>) -> String {
    qualifier.map_or_else(|| format!("the asynchronous configuration of {function}"), |q| format!("that of {function}:{q}"))
}

fn raw(call: &Call, method: &'static str, function: &str, qualifier: Option<&str>, body: Option<&Value>) -> RawCall {
    let query: Vec<_> = qualifier.map(|q| ("Qualifier", q)).into_iter().collect();
    RawCall::rest(call.service, call.operation, method, &[VERSION, "functions", function, "event-invoke-config"], &query, body)
}

/// Without what the request does not take and what means nothing: Lambda tells of destinations that are not set as `{}`.
fn normal(mut config: Map<String, Value>) -> Map<String, Value> {
    fn prune(value: &mut Value) {
        if let Value::Object(map) = value {
            map.values_mut().for_each(prune);
            map.retain(|_, v| !v.is_null() && v.as_object().is_none_or(|m| !m.is_empty()));
        }
    }
    config.retain(|member, _| !["FunctionArn", "LastModified"].contains(&member.as_str()));
    let mut whole = Value::Object(config);
    prune(&mut whole);
    match whole {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn destinations(config: &Map<String, Value>) -> Map<String, Value> {
    config.get("DestinationConfig").and_then(Value::as_object).cloned().unwrap_or_default()
}

/// A put's body. A request with no setting at all is refused, so destinations that are not set are said to be so.
fn body(config: &Map<String, Value>) -> Value {
    let mut ends = destinations(config);
    for end in ["OnSuccess", "OnFailure"] {
        ends.entry(end).or_insert_with(|| json!({}));
    }
    let mut body = config.clone();
    body.insert("DestinationConfig".into(), ends.into());
    Value::Object(body)
}

async fn listed(cx: &ActCx<'_>) -> Result<Vec<Value>, ActError> {
    let function = &cx.target().function;
    let page = |marker: Option<&str>| {
        let query: Vec<_> = marker.map(|m| ("Marker", m)).into_iter().collect();
        let path = [VERSION, "functions", function, "event-invoke-config", "list"];
        RawCall::rest(Service::Lambda, "ListFunctionEventInvokeConfigs", "GET", &path, &query, None)
    };
    let doing = format!("listing the asynchronous configurations of {function}");
    cx.ask_all(&LIST, &doing, ("FunctionEventInvokeConfigs", "NextMarker"), page).await
}

#[async_trait]
impl Action for CaptureAsyncEvents {
    type State = AsyncConfig;

    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn cells(&self, cx: &ActCx<'_>) -> Result<Vec<Cell>, ActError> {
        let function = &cx.target().function;
        let Some(queue) = cx.params().unless_none("queue") else {
            return Err(ActError::Refused(
                "capture-async-events has no queue to lead events into: create a standard queue of SQS, allow the function's role \
                 sqs:SendMessage to it, tell it to quarantine-role as well (`queue`), which then spares it, and name it here: `with: { queue: \
                 arn:aws:sqs:… }`"
                    .into(),
            ));
        };
        if queue.ends_with(".fifo") {
            return Err(ActError::Refused(
                "Lambda sends asynchronous events to standard queues only; the queue named is a FIFO queue".into(),
            ));
        }
        let prefix = format!("{}:", cx.target().arn());
        let configs = listed(cx).await?;
        let qualifiers = configs.iter().filter_map(|c| c["FunctionArn"].as_str()?.strip_prefix(prefix.as_str()));
        // The function's own is told as that of `$LATEST`.
        let qualifiers: BTreeSet<&str> = qualifiers.filter(|q| *q != "$LATEST").collect();
        let mut cells = vec![];
        for qualifier in [None].into_iter().chain(qualifiers.into_iter().map(Some)) {
            let key = qualifier.map_or_else(|| function.clone(), |q| format!("{function}:{q}"));
            let id = CellId::new(SPEC.id, &key);
            place(cx.target(), &id)?;
            cells.push(Cell { id, label: format!("the asynchronous configuration of {key}"), facts: json!({"queue": queue}) });
        }
        Ok(cells)
    }

    async fn read(&self, cx: &ActCx<'_>, cell: &CellId) -> Result<Reading<AsyncConfig>, ActError> {
        let (function, qualifier) = (&cx.target().function, place(cx.target(), cell)?);
        let raw = raw(&GET, "GET", function, qualifier, None);
        match cx.ask(&GET, &format!("reading {}", words(function, qualifier)), raw).await {
            Ok(Value::Object(config)) => Ok(Reading::Settled(AsyncConfig(Some(normal(config))))),
            Ok(_) => Err(ActError::Refused(format!("AWS said nothing about {}", words(function, qualifier)))),
            Err(e) if e.is_absent() => {
                // Not found is the configuration, or the function itself; the list tells which.
                listed(cx).await?;
                Ok(Reading::Settled(AsyncConfig(None)))
            }
            Err(e) => Err(e),
        }
    }

    fn contained(&self, cell: &Cell, before: &AsyncConfig) -> Result<AsyncConfig, ActError> {
        let queue = cell.facts["queue"].as_str();
        let queue = queue.ok_or_else(|| ActError::State { cell: cell.id.to_string(), why: "its facts name no queue".into() })?;
        let mut after = before.0.clone().unwrap_or_default();
        let mut ends = destinations(&after);
        // The whole end: members beside the destination belong to the former one.
        ends.insert("OnFailure".into(), json!({"Destination": queue}));
        after.insert("DestinationConfig".into(), ends.into());
        Ok(AsyncConfig(Some(after)))
    }

    fn restorable(&self, _: &AsyncConfig) -> Restorable {
        Restorable::Exactly
    }

    async fn set(&self, cx: &ActCx<'_>, cell: &CellId, to: &AsyncConfig, _: &ContainPermit) -> Result<(), ActError> {
        let (function, qualifier) = (&cx.target().function, place(cx.target(), cell)?);
        match &to.0 {
            Some(config) => {
                let raw = raw(&PUT, "PUT", function, qualifier, Some(&body(config)));
                cx.ask(&PUT, &format!("writing {}", words(function, qualifier)), raw).await.map(drop)
            }
            None => {
                let raw = raw(&DELETE, "DELETE", function, qualifier, None);
                match cx.ask(&DELETE, &format!("deleting {}", words(function, qualifier)), raw).await {
                    Err(e) if !e.is_absent() => Err(e),
                    _ => Ok(()),
                }
            }
        }
    }

    fn by_hand(&self, target: &Target, cell: &CellId, before: &AsyncConfig) -> Result<Vec<AwsCli>, ActError> {
        let (function, qualifier) = (target.function.as_str(), place(target, cell)?);
        Ok(vec![match &before.0 {
            Some(config) => {
                let mut body = body(config);
                body["FunctionName"] = function.into();
                if let Some(qualifier) = qualifier {
                    body["Qualifier"] = qualifier.into();
                }
                AwsCli::new("lambda", "put-function-event-invoke-config", [("--cli-input-json", body.to_string().as_str())])
            }
            None => {
                let names: Vec<_> = [("--function-name", function)].into_iter().chain(qualifier.map(|q| ("--qualifier", q))).collect();
                AwsCli::new("lambda", "delete-function-event-invoke-config", names.clone()).if_found(
                    "lambda",
                    "get-function-event-invoke-config",
                    names,
                )
            }
        }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_set_is_no_difference_and_what_is_unknown_is_kept() {
        let told = json!({"FunctionArn": "a", "LastModified": 1.7e9, "MaximumRetryAttempts": 0, "NewMember": {"x": [1]},
                          "DestinationConfig": {"OnSuccess": {}, "OnFailure": {"Destination": "d"}}});
        let config = normal(told.as_object().unwrap().clone());
        let expected =
            json!({"MaximumRetryAttempts": 0, "NewMember": {"x": [1]}, "DestinationConfig": {"OnFailure": {"Destination": "d"}}});
        assert_eq!(Value::Object(config.clone()), expected);
        assert_eq!(normal(body(&config).as_object().unwrap().clone()), config, "what is put reads back as what it was");
        // A configuration with nothing in it is one all the same, and can be put.
        let empty = normal(json!({"DestinationConfig": {"OnSuccess": {}, "OnFailure": {}}}).as_object().unwrap().clone());
        assert!(empty.is_empty());
        assert_eq!(body(&empty), json!({"DestinationConfig": {"OnSuccess": {}, "OnFailure": {}}}));
    }

    #[test]
    fn a_journal_cannot_lead_to_another_function() {
        let target = Target {
            partition: "aws".into(),
            account: "123456789012".into(),
            region: "eu-west-1".into(),
            function: "pay".into(),
            qualifier: None,
        };
        let of = |key: &str| place(&target, &CellId::new(SPEC.id, key)).map(|q| q.map(str::to_string)).ok();
        assert_eq!((of("pay"), of("pay:live")), (Some(None), Some(Some("live".into()))));
        for bad in ["", "pays", "pay:", "pay:a/b", "payments:live"] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
