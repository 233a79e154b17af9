//! EventBridge Scheduler: schedules that call the function, disabled one by one (`containment.md` C17). An update of a schedule sets every
//! member that it leaves out to its default, so the whole schedule is read, and written back with nothing changed but its state.
//!
//! The state is the whole schedule as Scheduler tells it, members newer than this program included: restore then means what it says, and a
//! schedule that somebody else changed meanwhile is drift. Its input may hold anything; reports show its digest.

use super::sources;
use super::{ActCx, ActError, Action, ActionSpec, AwsCli, Cell, ContainPermit, Reading};
use crate::aws::fault::tame;
use crate::aws::raw::RawCall;
use crate::model::call::{Call, Scope, Service};
use crate::model::digest::Sha256;
use crate::model::id::CellId;
use crate::model::restorable::Restorable;
use crate::model::target::Target;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub struct DisableSchedules;

static SPEC: ActionSpec = ActionSpec {
    id: "disable-schedules",
    title: "Disable the schedules that call the function",
    stops: "schedules of EventBridge Scheduler whose target is the function, or a Lambda call that names it, in this account and Region",
    does_not_stop: "a turn that has begun and is being retried, schedules that reach the function through something else",
    side_effects: "turns that fall due meanwhile are left out, and a one-time schedule whose time passes does not fire any more",
    restore: "the whole schedule is written back as it was read, byte for byte, enabled",
    calls: &[LIST, GET, UPDATE],
    params: &[],
    restore_rank: 4,
};

const LIST: Call = Call::read(Service::Scheduler, "ListSchedules", "scheduler:ListSchedules", Scope::Any);
const GET: Call = Call::read(Service::Scheduler, "GetSchedule", "scheduler:GetSchedule", Scope::Any);
const UPDATE: Call = Call::write(Service::Scheduler, "UpdateSchedule", "scheduler:UpdateSchedule", Scope::Any);

/// What Scheduler tells of a schedule and takes in no update, and what the cell's id says already.
const NOT_OURS: [&str; 5] = ["Arn", "CreationDate", "LastModificationDate", "Name", "GroupName"];

/// Universal targets name no function in the list; each is read. More of them than this, and we say that we cannot tell.
const MOST_READ: usize = 2_000;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Schedule(Map<String, Value>);

/// Group and name. Neither has a slash.
fn place(cell: &CellId) -> Result<(&str, &str), ActError> {
    match cell.key().split_once('/') {
        Some((group, name)) if sources::plain(group, false) && sources::plain(name, false) => Ok((group, name)),
        _ => Err(ActError::Refused(format!("{} names no schedule", tame(&cell.0, 200)))),
    }
}

async fn get(cx: &ActCx<'_>, group: &str, name: &str) -> Result<Map<String, Value>, ActError> {
    let raw = RawCall::rest(Service::Scheduler, "GetSchedule", "GET", &["schedules", name], &[("groupName", group)], None);
    match cx.ask(&GET, &format!("reading the schedule {name} of the group {group}"), raw).await? {
        Value::Object(schedule) => Ok(schedule),
        _ => Err(ActError::Refused(format!("AWS said nothing about the schedule {name}"))),
    }
}

/// Everything that an update takes.
fn body(group: &str, name: &str, schedule: &Schedule) -> Value {
    let mut body = schedule.0.clone();
    body.insert("Name".into(), name.into());
    body.insert("GroupName".into(), group.into());
    Value::Object(body)
}

#[async_trait]
impl Action for DisableSchedules {
    type State = Schedule;

    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn cells(&self, cx: &ActCx<'_>) -> Result<Vec<Cell>, ActError> {
        let page = |token: Option<&str>| {
            let query: Vec<_> = [("MaxResults", "100")].into_iter().chain(token.map(|t| ("NextToken", t))).collect();
            RawCall::rest(Service::Scheduler, "ListSchedules", "GET", &["schedules"], &query, None)
        };
        let (mut cells, mut read) = (vec![], 0);
        for schedule in cx.ask_all(&LIST, "listing the schedules of the Region", ("Schedules", "NextToken"), page).await? {
            let text = |v: &Value| v.as_str().unwrap_or_default().to_string();
            let (group, name, target) = (text(&schedule["GroupName"]), text(&schedule["Name"]), text(&schedule["Target"]["Arn"]));
            let mut ours = sources::is_ours(cx.target(), &target);
            // `arn:aws:scheduler:::aws-sdk:lambda:invoke` names the function in its input.
            if !ours && !target.contains(":aws-sdk:lambda:") {
                continue;
            }
            if !sources::plain(&group, false) || !sources::plain(&name, false) {
                return Err(sources::no_name("a schedule", &format!("{group}/{name}")));
            }
            if !ours {
                read += 1;
                if read > MOST_READ {
                    return Err(ActError::Refused(format!("more than {MOST_READ} schedules call Lambda; not all could be looked into")));
                }
                let whole = match get(cx, &group, &name).await {
                    Err(e) if e.is_absent() => continue,
                    whole => whole?,
                };
                let input = whole.get("Target").and_then(|t| t["Input"].as_str());
                ours = input.is_some_and(|input| sources::input_is_ours(cx.target(), input));
            }
            if ours {
                let id = CellId::new(SPEC.id, &format!("{group}/{name}"));
                cells.push(Cell {
                    id,
                    label: format!("the schedule {name} of the group {group}"),
                    facts: json!({"target": tame(&target, 300)}),
                });
            }
        }
        Ok(cells)
    }

    async fn read(&self, cx: &ActCx<'_>, cell: &CellId) -> Result<Reading<Schedule>, ActError> {
        let (group, name) = place(cell)?;
        let mut schedule = get(cx, group, name).await?;
        schedule.retain(|member, value| !NOT_OURS.contains(&member.as_str()) && !value.is_null());
        Ok(Reading::Settled(Schedule(schedule)))
    }

    fn contained(&self, _: &Cell, before: &Schedule) -> Result<Schedule, ActError> {
        let mut after = before.clone();
        after.0.insert("State".into(), "DISABLED".into());
        Ok(after)
    }

    fn restorable(&self, _: &Schedule) -> Restorable {
        Restorable::Exactly
    }

    async fn set(&self, cx: &ActCx<'_>, cell: &CellId, to: &Schedule, _: &ContainPermit) -> Result<(), ActError> {
        let (group, name) = place(cell)?;
        let raw = RawCall::rest(Service::Scheduler, "UpdateSchedule", "PUT", &["schedules", name], &[], Some(&body(group, name, to)));
        cx.ask(&UPDATE, &format!("writing the schedule {name} of the group {group}"), raw).await.map(drop)
    }

    fn shown(&self, state: &Schedule) -> Value {
        let mut shown = Value::Object(state.0.clone());
        if let Some(input) = shown.pointer_mut("/Target/Input") {
            let text = input.as_str().unwrap_or_default();
            *input = json!({"bytes": text.len(), "sha256": Sha256::of(text.as_bytes()).to_string()});
        }
        shown
    }

    fn by_hand(&self, _: &Target, cell: &CellId, before: &Schedule) -> Result<Vec<AwsCli>, ActError> {
        let (group, name) = place(cell)?;
        let whole = body(group, name, before).to_string();
        Ok(vec![AwsCli::new("scheduler", "update-schedule", [("--cli-input-json", whole.as_str())])])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_shows_no_input() {
        let schedule = Schedule(serde_json::from_value(json!({"State": "ENABLED", "Target": {"Arn": "a", "Input": "hunter2"}})).unwrap());
        let shown = DisableSchedules.shown(&schedule).to_string();
        assert!(!shown.contains("hunter2") && shown.contains("\"bytes\":7") && shown.contains("ENABLED"), "{shown}");
    }

    #[test]
    fn schedules_are_found_again_from_their_cells_alone() {
        let id = |key: &str| CellId::new(SPEC.id, key);
        assert_eq!(place(&id("default/nightly")).unwrap(), ("default", "nightly"));
        for bad in ["", "nightly", "default/", "a/b/c", "default/x?y"] {
            assert!(place(&id(bad)).is_err(), "{bad:?}");
        }
    }
}
