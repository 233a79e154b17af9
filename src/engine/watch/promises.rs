//! What a case's journal says was promised of a function, and since when. Pure.
//!
//! What it never does: promise more than was written. A deny with a date in it meets old sessions alone, a mapping that is paused stops one source.

use super::look::{LONGEST, Versions};
use super::roles::{Standing, denies};
use super::sight::Claims;
use crate::contain;
use crate::engine::log::{Grip, OpenCell};
use crate::model::id::CellId;
use crate::model::journal_event::{JournalEvent, JournalLine};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use std::collections::BTreeMap;

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

/// What these cells together promise. A cell of which nobody wrote that AWS took it promises from `now` on, when it was first seen. `standings` are
/// those of the roles that versions name and nothing denies.
pub(super) fn claims(promises: &[Promise], versions: Option<&Versions>, standings: &BTreeMap<String, Standing>, now: Time) -> Claims {
    let frozen = promises.iter().find(|p| p.action == "freeze-concurrency" && p.state == 0).map(|p| p.since(now));
    let invocations = frozen.and_then(|frozen| Some(frozen.max(scaled(promises, versions, now)?)));
    let longest = versions.map_or(LONGEST, |v| v.timeout);
    Claims { invocations, running_until: invocations.map(|at| at + longest), credentials: denies(promises, versions, standings, now) }
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

impl Promise {
    pub(super) fn since(&self, now: Time) -> Time {
        self.since.unwrap_or(now)
    }
    /// Of a cell on a role: cells begin with its name.
    pub(super) fn role(&self) -> &str {
        self.key.split('/').next().unwrap_or_default()
    }
    /// The cell of the same action on another role.
    pub(super) fn on(&self, role: &str) -> CellId {
        CellId::new(&self.action, &format!("{role}{}", &self.key[self.role().len()..]))
    }
    /// Of a cell on a version: `f:7`.
    fn version(&self) -> Option<&str> {
        self.key.split_once(':').map(|(_, version)| version)
    }
    /// Whether it refuses every use of its role's credentials by this function, those that are issued from now on included. Of a boundary only
    /// AWS's own denial of everything says so by its name; what another policy allows was never read.
    pub(super) fn denies_all(&self) -> bool {
        match self.action.as_str() {
            // The function's sessions, old or not, are denied beside everybody's old ones (`contain::standing_deny`).
            "quarantine-role" => {
                self.state.as_str().is_some_and(|text| text.contains("aws:userid") || !text.contains("aws:TokenIssueTime"))
            }
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
    use crate::model::id::RunId;
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
        let claims = claims(&promises, versions, &BTreeMap::new(), t("13:00:00"));
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
        assert_eq!((claims.running_until, claims.credentials.since["r"]), (Some(t("12:00:34")), t("12:00:34")));
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
        let both = r#"[{"StringLike":{"aws:userid":"AROA:f"}},{"DateLessThan":{"aws:TokenIssueTime":"x"}}]"#;
        assert!(of(vec![found(ROLE, json!(both))], Some(&versions(&[]))).1.credentials != Claims::default().credentials);
    }

    /// A version keeps the role that it was published with.
    #[test]
    fn each_role_is_refused_or_left_alone_by_itself() {
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
        let since = |pairs: &[(&str, &str)]| pairs.iter().map(|(role, at)| (role.to_string(), t(at))).collect::<BTreeMap<_, _>>();

        let (promises, claims) = of(vec![one.clone()], Some(&two));
        assert_eq!(claims.credentials.since, since(&[("r", "12:00:30")]));
        assert_eq!(promises[0].on("former"), CellId("quarantine-role/former/freezeframe-quarantine-f".into()));
        let standing = |standing| {
            let left = super::claims(&promises, Some(&two), &[("former".into(), standing)].into(), t("13:00:00")).credentials.left_alone;
            left.into_iter().map(|(role, words)| format!("{role}: {words}")).collect::<Vec<_>>().join("; ")
        };
        let denies = "former: nothing that this case holds denies the role former of version 7";
        assert_eq!(standing(Standing::There), format!("{denies}: its credentials go on"));
        assert_eq!(standing(Standing::Unread("denied".into())), format!("{denies}, and whether it still exists could not be read: denied"));
        assert_eq!(standing(Standing::Gone), "", "nobody gets credentials of a role that is gone");

        let both = of(vec![one.clone(), former], Some(&two)).1.credentials;
        assert_eq!((both.since, both.left_alone.len()), (since(&[("r", "12:00:30"), ("former", "12:00:31")]), 0));

        // Whoever could not read the versions does not know that there is no other.
        let unread = of(vec![one], None).1.credentials;
        assert_eq!((unread.since, unread.unknown), (since(&[("r", "12:00:30")]), true));
        assert_eq!(of(vec![], Some(&two)).1, Claims::default(), "no role was to be contained");

        // Of boundaries only the one that denies everything says so by its name.
        let bound = |arn: &str| of(vec![found("set-permissions-boundary/r", arn)], Some(&versions(&[]))).1.credentials.since;
        assert_eq!(bound("arn:aws:iam::aws:policy/AWSDenyAll"), since(&[("r", "12:00:30")]));
        assert_eq!(bound("arn:aws-cn:iam::aws:policy/AWSDenyAll"), since(&[("r", "12:00:30")]));
        for other in ["arn:aws:iam::123456789012:policy/AllowS3", "arn:aws:iam::123456789012:policy/AWSDenyAll"] {
            assert_eq!(bound(other), since(&[]), "{other}");
        }
    }
}
