//! What a case's journal says was promised of a function, and since when. Pure.
//!
//! What it never does: promise more than was written. A deny with a date in it meets old sessions alone, a mapping that is paused stops one source.

use super::look::{LONGEST, Versions};
use super::sight::Claims;
use crate::contain;
use crate::engine::log::{Grip, OpenCell};
use crate::model::journal_event::{JournalEvent, JournalLine};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

type Time = DateTime<Utc>;

/// One cell as this case left it.
pub(super) struct Promise {
    action: String,
    /// As the journal has it: may hold what a report must not show.
    state: Value,
    /// The same as reports show it.
    pub left: Value,
    /// By the clock of whoever wrote it down.
    pub requested_at: Option<Time>,
    pub accepted_at: Option<Time>,
    /// Accepted, or found so, in AWS's time.
    since: Option<Time>,
}

/// One for each open cell, in their order. `lines` are those that `open` was computed from.
pub(super) fn promises(lines: &[JournalLine], open: &[OpenCell], skew: TimeDelta) -> Vec<Promise> {
    open.iter().map(|o| promise(lines, o, skew)).collect()
}

fn promise(lines: &[JournalLine], open: &OpenCell, skew: TimeDelta) -> Promise {
    let time = |at: usize| lines.get(at).and_then(|l| DateTime::parse_from_rfc3339(&l.t).ok()).map(|t| t.to_utc());
    let state = open.left().or(open.found()).cloned().unwrap_or_default();
    let left = contain::find(open.cell.action()).map_or(Value::Null, |a| a.shown(&open.cell, &state));
    // The newest write counts: what it found may have been somebody's undoing. Where there was none, the first time it was found contained.
    let wrote = open.grasps.iter().rev().find(|g| matches!(g.grip, Grip::Wrote { .. }));
    let (requested_at, accepted_at, since) = match wrote {
        Some(grasp) => {
            let told = |e: &JournalEvent| match e {
                JournalEvent::Applied { run, cell } | JournalEvent::ReadBack { run, cell, holds: true, .. } => {
                    *run == grasp.run && *cell == open.cell
                }
                _ => false,
            };
            let accepted = (grasp.at..lines.len()).find(|at| told(&lines[*at].event)).and_then(time);
            (time(grasp.at), accepted, accepted)
        }
        None => (None, None, open.grasps.first().and_then(|g| time(g.at))),
    };
    Promise { action: open.cell.action().to_string(), state, left, requested_at, accepted_at, since: since.map(|t| t + skew) }
}

/// What these cells together promise. A cell of which nobody wrote that AWS took it promises from `now` on, when it was first seen.
pub(super) fn claims(promises: &[Promise], versions: Option<&Versions>, now: Time) -> Claims {
    let since = |p: &Promise| p.since.unwrap_or(now);
    let managed = versions.is_some_and(|v| v.managed);
    let frozen = promises.iter().find(|p| p.action == "freeze-concurrency" && p.state == 0).map(since);
    // Managed Instances heed no reservation (`containment.md` C1, C2).
    let scaled = promises.iter().filter(|p| p.action == "scale-to-zero").map(since).max();
    let invocations = match (frozen, managed, scaled) {
        (Some(frozen), false, _) => Some(frozen),
        (Some(frozen), true, Some(scaled)) => Some(frozen.max(scaled)),
        _ => None,
    };
    let longest = versions.map_or(LONGEST, |v| v.timeout);
    Claims {
        invocations,
        running_until: invocations.map(|at| at + longest),
        credentials: promises.iter().filter(|p| denies_all(p)).map(since).min(),
    }
}

/// Whether it refuses every use of the role's credentials by this function, those that are issued from now on included.
fn denies_all(p: &Promise) -> bool {
    match p.action.as_str() {
        "quarantine-role" => p.state.as_str().is_some_and(|text| !text.contains("aws:TokenIssueTime")),
        "set-permissions-boundary" => !p.state.is_null(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::log::open_cells;
    use crate::model::digest::Sha256;
    use crate::model::id::{CellId, RunId};
    use crate::model::journal_event::PermitRecord;
    use crate::model::restorable::Restorable;
    use serde_json::json;

    fn t(text: &str) -> Time {
        DateTime::parse_from_rfc3339(&format!("2026-11-20T{text}Z")).unwrap().to_utc()
    }
    fn run(n: &str) -> RunId {
        RunId(n.into())
    }
    fn intent(r: &str, cell: &str, before: Value, after: Value) -> JournalEvent {
        JournalEvent::Intent {
            run: run(r),
            cell: CellId(cell.into()),
            target: "arn:aws:lambda:eu-west-1:123456789012:function:f".into(),
            before,
            after,
            restorable: Restorable::Exactly,
            permit: PermitRecord::Override { who: "t".into(), why: "t".into() },
        }
    }
    fn applied(r: &str, cell: &str) -> JournalEvent {
        JournalEvent::Applied { run: run(r), cell: CellId(cell.into()) }
    }
    /// A second between lines, from noon on.
    fn of(events: Vec<JournalEvent>, versions: Option<&Versions>) -> (Vec<Promise>, Claims) {
        let open = open_cells(&events);
        let line = |(n, event): (u64, JournalEvent)| JournalLine {
            v: 1,
            seq: n + 1,
            prev: Sha256::ZERO,
            t: format!("2026-11-20T12:00:{n:02}.000Z"),
            mono_ns: 0,
            actor: String::new(),
            event,
        };
        let lines: Vec<JournalLine> = (0..).zip(events).map(line).collect();
        let promises = promises(&lines, &open, TimeDelta::seconds(30));
        let claims = claims(&promises, versions, t("13:00:00"));
        (promises, claims)
    }
    fn versions(managed: bool) -> Versions {
        Versions { timeout: TimeDelta::seconds(3), managed, ..Versions::default() }
    }

    const FREEZE: &str = "freeze-concurrency/f";
    const ROLE: &str = "quarantine-role/r/freezeframe-quarantine-f";

    #[test]
    fn what_was_taken_counts_from_when_it_was_taken() {
        let events = vec![
            intent("1", FREEZE, json!(null), json!(0)),
            applied("1", FREEZE),
            intent("1", ROLE, json!(null), json!("{\"Effect\":\"Deny\"}")),
            applied("2", ROLE),
            applied("1", ROLE),
        ];
        let (promises, claims) = of(events, Some(&versions(false)));
        assert_eq!((promises[1].requested_at, promises[1].accepted_at), (Some(t("12:00:02")), Some(t("12:00:04"))));
        // In AWS's time.
        assert_eq!(claims.invocations, Some(t("12:00:31")));
        assert_eq!((claims.running_until, claims.credentials), (Some(t("12:00:34")), Some(t("12:00:34"))));
    }

    #[test]
    fn what_is_not_known_is_taken_for_the_worst() {
        // Nobody wrote that it was taken; nobody could read how long the function may run.
        let (promises, claims) = of(vec![intent("1", FREEZE, json!(5), json!(0))], None);
        assert_eq!((promises[0].accepted_at, claims.invocations, claims.running_until), (None, Some(t("13:00:00")), Some(t("13:15:00"))));
        // It was contained once more after somebody had undone it.
        let again = vec![
            intent("1", FREEZE, json!(5), json!(0)),
            applied("1", FREEZE),
            intent("2", FREEZE, json!(5), json!(0)),
            applied("2", FREEZE),
        ];
        assert_eq!(of(again, None).1.invocations, Some(t("12:00:33")));
    }

    #[test]
    fn nothing_is_promised_that_is_not_stopped() {
        let found = |cell: &str, state| JournalEvent::AlreadyContained {
            run: run("1"),
            cell: CellId(cell.into()),
            target: "arn:aws:lambda:eu-west-1:123456789012:function:f".into(),
            state,
        };
        assert_eq!(of(vec![found(FREEZE, json!(0))], None).1.invocations, Some(t("12:00:30")));
        assert_eq!(of(vec![found(FREEZE, json!(0))], Some(&versions(true))).1, Claims::default(), "managed instances heed it not");
        let both = vec![found(FREEZE, json!(0)), found("scale-to-zero/f:1", json!({"min": 0}))];
        assert_eq!(of(both, Some(&versions(true))).1.invocations, Some(t("12:00:31")));
        let old_sessions = "{\"Condition\":{\"DateLessThan\":{\"aws:TokenIssueTime\":\"x\"}}}";
        for cell in [found(ROLE, json!(old_sessions)), found("close-function-urls/f", json!({})), found(ROLE, json!(null))] {
            assert_eq!(of(vec![cell], None).1, Claims::default());
        }
    }
}
