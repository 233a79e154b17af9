//! EventBridge Scheduler: schedules that call the function, disabled one by one (`containment.md` C17). An update of a schedule sets every
//! member that it leaves out to its default, so the whole schedule is read, and written back with nothing changed but its state.
//!
//! **A schedule that has begun.** Scheduler refuses an update whose StartDate is past ("The StartDate you specify cannot be earlier than 5 minutes
//! ago": moto #8172 of CreateSchedule; an operator's runbook has it of UpdateSchedule too, with the remedy to leave it out, and tells that a
//! `rate` then counts from the update: read in public code, not seen live). Of a schedule that has begun it says nothing any more, so it is left out
//! of what is written; and whether one of two states has none makes no difference between them. What that costs: somebody who takes a StartDate that
//! is still to come off a schedule, and changes nothing else, is not told from nobody.
//!
//! The state is the whole schedule as Scheduler tells it, members newer than this program included: restore then means what it says, and a
//! schedule that somebody else changed meanwhile is drift. Its input may hold anything; reports show its digest.

use super::by_hand::Side;
use super::sources;
use super::{ActCx, ActError, Action, ActionSpec, AwsCli, Bearing, Cell, ContainPermit, Reading};
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
    restore: "the whole schedule is written back as it was read, byte for byte, enabled; but for a StartDate that has passed, which Scheduler takes \
              no more: turns of a rate are then counted from the restore",
    calls: &[LIST, GET, UPDATE],
    params: &[],
    restore_rank: 4,
    bearing: Bearing::Pushes,
};

const LIST: Call = Call::read(Service::Scheduler, "ListSchedules", "scheduler:ListSchedules", Scope::Any);
const GET: Call = Call::read(Service::Scheduler, "GetSchedule", "scheduler:GetSchedule", Scope::Any);
const UPDATE: Call = Call::write(Service::Scheduler, "UpdateSchedule", "scheduler:UpdateSchedule", Scope::Any);

/// What Scheduler tells of a schedule and takes in no update, and what the cell's id says already.
const NOT_OURS: [&str; 5] = ["Arn", "CreationDate", "LastModificationDate", "Name", "GroupName"];

/// Universal targets name no function in the list; each is read. More of them than this, and we say that we cannot tell.
const MOST_READ: usize = 2_000;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Schedule(Map<String, Value>);

const START: &str = "StartDate";

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        let without =
            |s: &Self| s.0.iter().filter(|(member, _)| *member != START).map(|(m, v)| (m.clone(), v.clone())).collect::<Map<_, _>>();
        match (self.0.get(START), other.0.get(START)) {
            (Some(one), Some(other)) if one != other => false,
            _ => without(self) == without(other),
        }
    }
}

impl Schedule {
    /// Seconds of the epoch, the form in which the service states it; rounded down, so that it is past no later than it is.
    fn start(&self) -> Option<i64> {
        #[expect(clippy::cast_possible_truncation, reason = "`as` saturates: a date at the end of time is one to come")]
        self.0.get(START).and_then(Value::as_f64).map(|at| at.floor() as i64)
    }

    /// As it can be written at this second.
    fn at(&self, now: i64) -> Schedule {
        let mut schedule = self.clone();
        if self.start().is_some_and(|start| start <= now) {
            schedule.0.remove(START);
        }
        schedule
    }
}

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

    fn restorable(&self, before: &Schedule) -> Restorable {
        let rate = before.0.get("ScheduleExpression").and_then(Value::as_str).is_some_and(|e| e.trim_start().starts_with("rate"));
        match before.start() {
            Some(_) if rate => Restorable::Approximately(
                "its turns are counted from its StartDate, which Scheduler takes no more once it has passed: they are then counted from the \
                 restore, and fall at other times of the day"
                    .into(),
            ),
            _ => Restorable::Exactly,
        }
    }

    async fn set(&self, cx: &ActCx<'_>, cell: &CellId, to: &Schedule, _: &ContainPermit) -> Result<(), ActError> {
        let (group, name) = place(cell)?;
        if to.start().is_some() && cx.aws_time().is_none() {
            // By the clock of AWS, which a look at the schedule tells.
            get(cx, group, name).await?;
        }
        let to = cx.aws_time().map_or_else(|| to.clone(), |now| to.at(now.timestamp()));
        let raw = RawCall::rest(Service::Scheduler, "UpdateSchedule", "PUT", &["schedules", name], &[], Some(&body(group, name, &to)));
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
        let update = |schedule: &Schedule| {
            let whole = body(group, name, schedule).to_string();
            AwsCli::new("scheduler", "update-schedule", [("--cli-input-json", whole.as_str())])
        };
        Ok(match before.start() {
            None => vec![update(before)],
            Some(start) => vec![update(before).only(Side::Before, start), update(&before.at(start)).only(Side::After, start)],
        })
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

    fn schedule(expression: &str, start: Value) -> Schedule {
        Schedule(serde_json::from_value(json!({"State": "ENABLED", "ScheduleExpression": expression, "StartDate": start})).unwrap())
    }

    #[test]
    fn a_start_date_is_written_until_it_has_passed() {
        let one = schedule("cron(0 3 * * ? *)", json!(1_760_000_000.25));
        assert!(one.at(1_759_999_999).0.contains_key(START) && !one.at(1_760_000_000).0.contains_key(START));
        // Left out it makes no difference; another one does, and so does anything else.
        assert_eq!(one, one.at(1_760_000_000));
        assert_ne!(one, schedule("cron(0 3 * * ? *)", json!(1_770_000_000)));
        assert_ne!(one.at(1_760_000_000), schedule("cron(0 4 * * ? *)", json!(1_760_000_000.25)));
        assert_ne!(
            one,
            DisableSchedules.contained(&Cell { id: CellId::new("a", "b"), label: String::new(), facts: json!({}) }, &one).unwrap()
        );
    }

    #[test]
    fn by_hand_it_is_left_out_once_it_has_passed() {
        let cell = CellId::new(SPEC.id, "default/nightly");
        let target = Target { partition: "aws".into(), account: "1".into(), region: "r".into(), function: "f".into(), qualifier: None };
        let lines = |s: &Schedule| -> Vec<String> {
            DisableSchedules.by_hand(&target, &cell, s).unwrap().iter().map(ToString::to_string).collect()
        };
        let [before, after] = lines(&schedule("rate(1 day)", json!(1_760_000_000.25))).try_into().unwrap();
        assert!(before.contains("-lt 1760000000 ") && before.contains("\"StartDate\":1760000000.25"), "{before}");
        assert!(after.contains("-ge 1760000000 ") && !after.contains("StartDate") && after.contains("rate(1 day)"), "{after}");
        let [one] = lines(&schedule("rate(1 day)", json!(1)).at(2)).try_into().unwrap();
        assert!(one.starts_with("aws scheduler update-schedule"), "{one}");
    }

    #[test]
    fn only_a_rate_is_counted_from_its_start() {
        let of = |expression: &str, start: Value| DisableSchedules.restorable(&schedule(expression, start)) == Restorable::Exactly;
        assert!(of("cron(0 3 * * ? *)", json!(1)) && of("rate(1 day)", Value::Null) && !of("rate(1 day)", json!(1)));
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
