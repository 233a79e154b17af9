//! What a case's journal says was promised of a function, and since when. Pure.
//!
//! What it never does: promise more than was written. A deny with a date in it meets old sessions alone, a mapping that is paused stops one source.

use super::look::{LONGEST, Versions};
use super::sight::Claims;
use crate::aws::fault::tame;
use crate::contain;
use crate::engine::log::{Grip, OpenCell};
use crate::model::journal_event::{JournalEvent, JournalLine};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

type Time = DateTime<Utc>;

pub(super) const SCALE: &str = "scale-to-zero";

/// One cell as this case left it.
pub(super) struct Promise {
    action: String,
    /// What the cell's id says beside the action.
    key: String,
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
    let (action, key) = (open.cell.action().to_string(), open.cell.key().to_string());
    Promise { action, key, state, left, requested_at, accepted_at, since: since.map(|t| t + skew) }
}

/// What these cells together promise. A cell of which nobody wrote that AWS took it promises from `now` on, when it was first seen.
pub(super) fn claims(promises: &[Promise], versions: Option<&Versions>, now: Time) -> Claims {
    let frozen = promises.iter().find(|p| p.action == "freeze-concurrency" && p.state == 0).map(|p| p.since(now));
    let invocations = frozen.and_then(|frozen| Some(frozen.max(scaled(promises, versions, now)?)));
    let longest = versions.map_or(LONGEST, |v| v.timeout);
    Claims {
        invocations,
        running_until: invocations.map(|at| at + longest),
        credentials: versions.and_then(|v| credentials(promises, v, now)),
        roles_unknown: versions.is_none() && promises.iter().any(Promise::denies_all),
    }
}

/// Since when nothing runs on managed instances, which heed no reservation (`containment.md` C1, C2): each version that is on them has to stand at
/// zero, for one that does not goes on. Always, where none is on them.
fn scaled(promises: &[Promise], versions: Option<&Versions>, now: Time) -> Option<Time> {
    let mut since = Time::MIN_UTC;
    for version in versions.iter().flat_map(|v| &v.managed) {
        let of = |p: &&Promise| p.action == SCALE && p.version() == Some(version) && p.state["min"] == 0 && p.state["max"] == 0;
        since = since.max(promises.iter().find(of)?.since(now));
    }
    Some(since)
}

/// Since when the credentials of every role that a version runs under are refused.
fn credentials(promises: &[Promise], versions: &Versions, now: Time) -> Option<Time> {
    let of = |role: &String| promises.iter().filter(|p| p.denies_all() && p.role() == role).map(|p| p.since(now)).min();
    let each: Option<Vec<Time>> = versions.roles.keys().map(of).collect();
    each?.into_iter().max()
}

/// Roles that the function's versions run under and this case leaves alone, though it denies another one; in words.
pub(super) fn left_alone(promises: &[Promise], versions: &Versions) -> Vec<String> {
    let denied = |role: &str| promises.iter().any(|p| p.denies_all() && p.role() == role);
    if !promises.iter().any(Promise::denies_all) {
        return vec![];
    }
    let left = versions.roles.iter().filter(|(role, _)| !denied(role));
    left.map(|(role, versions)| {
        let more = if versions.len() > 5 { format!(" and {} more", versions.len() - 5) } else { String::new() };
        let named = versions.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
        format!("nothing that this case holds denies the role {} of version {named}{more}: its credentials go on", tame(role, 80))
    })
    .collect()
}

impl Promise {
    fn since(&self, now: Time) -> Time {
        self.since.unwrap_or(now)
    }
    /// Of a cell on a role: cells begin with its name.
    fn role(&self) -> &str {
        self.key.split('/').next().unwrap_or_default()
    }
    /// Of a cell on a version: `f:7`.
    fn version(&self) -> Option<&str> {
        self.key.split_once(':').map(|(_, version)| version)
    }
    /// Whether it refuses every use of its role's credentials by this function, those that are issued from now on included. Of a boundary only
    /// AWS's own denial of everything says so by its name; what another policy allows was never read.
    fn denies_all(&self) -> bool {
        match self.action.as_str() {
            "quarantine-role" => self.state.as_str().is_some_and(|text| !text.contains("aws:TokenIssueTime")),
            "set-permissions-boundary" => self.state.as_str().is_some_and(|arn| arn.ends_with(":iam::aws:policy/AWSDenyAll")),
            _ => false,
        }
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
    /// On the role `r` alone.
    fn versions(managed: &[&str]) -> Versions {
        Versions {
            timeout: TimeDelta::seconds(3),
            managed: managed.iter().map(|v| v.to_string()).collect(),
            roles: [("r".to_string(), vec!["$LATEST".to_string(), "1".into()])].into(),
            ..Versions::default()
        }
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
        let (promises, claims) = of(events, Some(&versions(&[])));
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
        assert_eq!(of(vec![found(FREEZE, json!(0))], Some(&versions(&["1"]))).1, Claims::default(), "managed instances heed it not");
        // Each version that is on them, down to zero and kept there.
        let zero = |version: &str| found(&format!("scale-to-zero/f:{version}"), json!({"min": 0, "max": 0}));
        let with = |more: Vec<JournalEvent>| {
            let events = [found(FREEZE, json!(0))].into_iter().chain(more).collect();
            of(events, Some(&versions(&["1", "2", "$LATEST.PUBLISHED"]))).1.invocations
        };
        assert_eq!(with(vec![zero("1"), zero("2"), zero("$LATEST.PUBLISHED")]), Some(t("12:00:33")));
        assert_eq!(with(vec![zero("1"), zero("2")]), None);
        assert_eq!(with(vec![zero("2")]), None, "one of several, as `only` leaves it");
        let open = |state| with(vec![zero("1"), zero("2"), found("scale-to-zero/f:$LATEST.PUBLISHED", state)]);
        for state in [json!({"min": 0}), json!({"min": 0, "max": 7}), json!({"min": 1, "max": 0}), json!({})] {
            assert_eq!(open(state), None);
        }
        let old_sessions = "{\"Condition\":{\"DateLessThan\":{\"aws:TokenIssueTime\":\"x\"}}}";
        for cell in [found(ROLE, json!(old_sessions)), found("close-function-urls/f", json!({})), found(ROLE, json!(null))] {
            assert_eq!(of(vec![cell], Some(&versions(&[]))).1, Claims::default());
        }
    }

    /// A version keeps the role that it was published with.
    #[test]
    fn credentials_are_refused_when_those_of_every_role_in_use_are() {
        let found = |cell: &str, state: &str| JournalEvent::AlreadyContained {
            run: run("1"),
            cell: CellId(cell.into()),
            target: "arn:aws:lambda:eu-west-1:123456789012:function:f".into(),
            state: state.into(),
        };
        let deny = "{\"Effect\":\"Deny\"}";
        let mut two = versions(&[]);
        two.roles.insert("former".into(), vec!["7".into()]);
        let (one, former) = (found(ROLE, deny), found("quarantine-role/former/freezeframe-quarantine-f", deny));
        let (promises, claims) = of(vec![one.clone()], Some(&two));
        assert_eq!(claims, Claims::default());
        let [left] = left_alone(&promises, &two).try_into().unwrap();
        assert!(left.contains("the role former of version 7"), "{left}");
        let (promises, claims) = of(vec![one.clone(), former], Some(&two));
        assert_eq!((claims.credentials, left_alone(&promises, &two).len()), (Some(t("12:00:31")), 0));

        // Whoever could not read the versions does not know that there is no other.
        let unread = of(vec![one], None).1;
        assert_eq!((unread.credentials, unread.roles_unknown), (None, true));
        assert!(left_alone(&[], &two).is_empty(), "no role was to be contained");

        // Of boundaries only the one that denies everything says so by its name.
        let bound = |arn: &str| of(vec![found("set-permissions-boundary/r", arn)], Some(&versions(&[]))).1.credentials;
        assert_eq!(bound("arn:aws:iam::aws:policy/AWSDenyAll"), Some(t("12:00:30")));
        assert_eq!(bound("arn:aws-cn:iam::aws:policy/AWSDenyAll"), Some(t("12:00:30")));
        for other in ["arn:aws:iam::123456789012:policy/AllowS3", "arn:aws:iam::123456789012:policy/AWSDenyAll"] {
            assert_eq!(bound(other), None, "{other}");
        }
    }
}
