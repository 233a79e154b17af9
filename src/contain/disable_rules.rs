//! EventBridge rules that target the function, disabled one by one (`containment.md` C17): on every bus, by whichever of its names.
//!
//! Events that a disabled rule would have matched are not kept for it: a bus holds events for no one. Only what the bus archives can be
//! replayed. (C17 says "without losing events"; of rules that is true of misrouting alone.)
//!
//! What it never touches: a rule that another service manages, and, without a word, one that serves others too; targets and patterns at all.

use super::qualifiers::{LIST_ALIASES, LIST_VERSIONS};
use super::sources::{self, ACCEPT_SHARED};
use super::{ActCx, ActError, Action, ActionSpec, AwsCli, Bearing, Cell, ContainPermit, Reading};
use crate::aws::fault::tame;
use crate::aws::raw::{JsonVersion, RawCall};
use crate::model::call::{Call, Scope, Service};
use crate::model::id::CellId;
use crate::model::restorable::Restorable;
use crate::model::target::Target;
use async_trait::async_trait;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

pub struct DisableRules;

static SPEC: ActionSpec = ActionSpec {
    id: "disable-rules",
    title: "Disable the EventBridge rules that target the function",
    stops: "events and schedules of EventBridge rules in this account and Region, for every target of each rule",
    does_not_stop: "rules of other accounts, rules that reach the function through a queue, topic or another bus, an event that a rule has \
                    matched already",
    side_effects: "what a disabled rule would have matched is not delivered later, unless its bus has an archive to replay; a schedule's \
                   turns are left out",
    restore: "each rule is enabled again in the way in which it was enabled; its pattern, schedule and targets were never touched",
    calls: &[LIST_ALIASES, LIST_VERSIONS, BUSES, NAMES, RULE, TARGETS, DISABLE, ENABLE, PUT],
    params: &[ACCEPT_SHARED],
    restore_rank: 4,
    bearing: Bearing::Pushes,
};

const BUSES: Call = Call::read(Service::Events, "ListEventBuses", "events:ListEventBuses", Scope::Any);
const NAMES: Call = Call::read(Service::Events, "ListRuleNamesByTarget", "events:ListRuleNamesByTarget", Scope::Any);
const RULE: Call = Call::read(Service::Events, "DescribeRule", "events:DescribeRule", Scope::Any);
const TARGETS: Call = Call::read(Service::Events, "ListTargetsByRule", "events:ListTargetsByRule", Scope::Any);
const DISABLE: Call = Call::write(Service::Events, "DisableRule", "events:DisableRule", Scope::Any);
const ENABLE: Call = Call::write(Service::Events, "EnableRule", "events:EnableRule", Scope::Any);
// Putting a rule that has a role of its own passes the role (`iam:PassRole`), which nothing here grants: such a restore is stuck and says so.
const PUT: Call = Call::write(Service::Events, "PutRule", "events:PutRule", Scope::Any);

/// Buses times names are asked one by one.
const AT_ONCE: usize = 8;

const ENABLED: &str = "ENABLED";
const DISABLED: &str = "DISABLED";
/// What `PutRule` replaces when it is left out.
const MEMBERS: [&str; 4] = ["EventPattern", "ScheduleExpression", "Description", "RoleArn"];

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleState {
    /// In EventBridge's words.
    state: String,
    /// The members that go with a state which `EnableRule` cannot set (`ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS`).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    put: Option<Map<String, Value>>,
}

fn raw(call: &Call, body: &Value) -> RawCall {
    RawCall::json(call.service, call.operation, JsonVersion::V1_1, &format!("AWSEvents.{}", call.operation), body)
}

/// Bus and rule of a cell. Partners' buses have slashes in their names, rules have not.
fn place(cell: &CellId) -> Result<(&str, &str), ActError> {
    match cell.key().rsplit_once('/') {
        Some((bus, rule)) if sources::plain(bus, true) && sources::plain(rule, false) => Ok((bus, rule)),
        _ => Err(ActError::Refused(format!("{} names no rule", tame(&cell.0, 200)))),
    }
}

async fn list(cx: &ActCx<'_>, call: &Call, doing: &str, body: Value, entries: &str) -> Result<Vec<Value>, ActError> {
    let page = |token: Option<&str>| {
        let mut body = body.clone();
        if let Some(token) = token {
            body["NextToken"] = token.into();
        }
        raw(call, &body)
    };
    cx.ask_all(call, doing, (entries, "NextToken"), page).await
}

async fn describe(cx: &ActCx<'_>, bus: &str, rule: &str) -> Result<Value, ActError> {
    let body = json!({"Name": rule, "EventBusName": bus});
    cx.ask(&RULE, &format!("reading the rule {rule} on the bus {bus}"), raw(&RULE, &body)).await
}

fn members(rule: &Value) -> Map<String, Value> {
    MEMBERS.iter().filter_map(|m| Some((m.to_string(), rule.get(m).filter(|v| !v.is_null())?.clone()))).collect()
}

/// The rules that target the function, as (bus, rule).
async fn found(cx: &ActCx<'_>) -> Result<BTreeSet<(String, String)>, ActError> {
    // The default bus is in the list like every other.
    let buses = list(cx, &BUSES, "listing the event buses", json!({}), "EventBuses").await?;
    let mut pairs = vec![];
    let names = sources::names(cx).await?;
    for bus in buses.iter().filter_map(|b| b["Name"].as_str()) {
        if !sources::plain(bus, true) {
            return Err(sources::no_name("an event bus", bus));
        }
        pairs.extend(names.iter().map(|name| (bus.to_string(), name.clone())));
    }
    let searches = stream::iter(pairs.into_iter().map(|(bus, name)| async move {
        let doing = format!("searching the bus {bus} for rules that target {name}");
        let rules = list(cx, &NAMES, &doing, json!({"TargetArn": name, "EventBusName": bus}), "RuleNames").await;
        match rules {
            // The bus went away since it was listed.
            Err(e) if e.is_absent() => Ok(vec![]),
            rules => rules.map(|rules| rules.iter().filter_map(Value::as_str).map(|r| (bus.clone(), r.to_string())).collect::<Vec<_>>()),
        }
    }));
    let all: Vec<Vec<(String, String)>> = searches.buffer_unordered(AT_ONCE).try_collect().await?;
    Ok(all.into_iter().flatten().collect())
}

/// The ARNs of the rule's other targets.
async fn others(cx: &ActCx<'_>, bus: &str, rule: &str) -> Result<Vec<String>, ActError> {
    let doing = format!("listing the targets of the rule {rule} on the bus {bus}");
    let targets = list(cx, &TARGETS, &doing, json!({"Rule": rule, "EventBusName": bus}), "Targets").await?;
    let arns: BTreeSet<&str> = targets.iter().filter_map(|t| t["Arn"].as_str()).filter(|arn| !sources::is_ours(cx.target(), arn)).collect();
    Ok(arns.into_iter().map(|arn| tame(arn, 300)).collect())
}

#[async_trait]
impl Action for DisableRules {
    type State = RuleState;

    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn cells(&self, cx: &ActCx<'_>) -> Result<Vec<Cell>, ActError> {
        let mut cells = vec![];
        for (bus, rule) in found(cx).await? {
            if !sources::plain(&rule, false) {
                return Err(sources::no_name("a rule", &rule));
            }
            let others = others(cx, &bus, &rule).await;
            let mut facts = sources::facts(cx, others.as_ref().cloned());
            if let Some(manager) = describe(cx, &bus, &rule).await?["ManagedBy"].as_str().filter(|m| !m.is_empty()) {
                facts["managed_by"] = tame(manager, 120).into();
            }
            cells.push(Cell {
                id: CellId::new(SPEC.id, &format!("{bus}/{rule}")),
                label: format!("the EventBridge rule {rule} on the bus {bus}"),
                facts,
            });
        }
        Ok(cells)
    }

    async fn read(&self, cx: &ActCx<'_>, cell: &CellId) -> Result<Reading<RuleState>, ActError> {
        let (bus, rule) = place(cell)?;
        let told = describe(cx, bus, rule).await?;
        let state = told["State"].as_str().ok_or_else(|| ActError::Refused(format!("AWS stated no state of the rule {rule}")))?;
        let put = (![ENABLED, DISABLED].contains(&state)).then(|| members(&told));
        Ok(Reading::Settled(RuleState { state: tame(state, 80), put }))
    }

    fn contained(&self, cell: &Cell, before: &RuleState) -> Result<RuleState, ActError> {
        if before.state == DISABLED {
            return Ok(before.clone());
        }
        if let Some(manager) = cell.facts["managed_by"].as_str() {
            return Err(ActError::Refused(format!("{} is managed by {manager}: only that service can stop it", cell.label)));
        }
        sources::may_stop(cell)?;
        Ok(RuleState { state: DISABLED.into(), put: None })
    }

    fn restorable(&self, _: &RuleState) -> Restorable {
        Restorable::Exactly
    }

    async fn set(&self, cx: &ActCx<'_>, cell: &CellId, to: &RuleState, _: &ContainPermit) -> Result<(), ActError> {
        let (bus, rule) = place(cell)?;
        let mut body = json!({"Name": rule, "EventBusName": bus});
        let call = match to.state.as_str() {
            DISABLED => &DISABLE,
            ENABLED => &ENABLE,
            state => {
                // The members as they are now: what somebody else changed meanwhile is not ours to put back.
                for (name, value) in members(&describe(cx, bus, rule).await?) {
                    body[name] = value;
                }
                body["State"] = state.into();
                &PUT
            }
        };
        cx.ask(call, &format!("setting the rule {rule} on the bus {bus} to {}", to.state), raw(call, &body)).await.map(drop)
    }

    fn by_hand(&self, _: &Target, cell: &CellId, before: &RuleState) -> Result<Vec<AwsCli>, ActError> {
        let (bus, rule) = place(cell)?;
        let names = [("--name", rule), ("--event-bus-name", bus)];
        Ok(match before.state.as_str() {
            DISABLED => vec![],
            ENABLED => vec![AwsCli::new("events", "enable-rule", names)],
            state => {
                let mut body = json!({"Name": rule, "EventBusName": bus, "State": state});
                for (name, value) in before.put.iter().flatten() {
                    body[name] = value.clone();
                }
                vec![AwsCli::new("events", "put-rule", [("--cli-input-json", body.to_string().as_str())])]
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_found_again_from_their_cells_alone() {
        let id = |key: &str| CellId::new(SPEC.id, key);
        assert_eq!(place(&id("default/r")).unwrap(), ("default", "r"));
        assert_eq!(place(&id("aws.partner/example.com/x/rule-1")).unwrap(), ("aws.partner/example.com/x", "rule-1"));
        for bad in ["", "r", "default/", "/r", "default/r*", "de fault/r", "default/r\n"] {
            assert!(place(&id(bad)).is_err(), "{bad:?}");
        }
    }
}
