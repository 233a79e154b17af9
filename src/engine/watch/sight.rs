//! What was seen of one function, and what it says. Pure: times and counts in, a judgement out, all of it in AWS's time.
//!
//! When containment is *effective* is from `containment.md` B.1 and B.2: no API ends a running invocation, so one that had begun goes on for up to
//! its timeout; IAM spreads a change within minutes; CloudWatch and CloudTrail tell late. So an hour without invocations is no proof while nobody
//! could have known of one, and what cannot be told yet is said to be so.
//!
//! What it never does: believe that silence means "held" before the silence could have been broken.

use super::roles::{Denies, Uses};
use crate::model::id::CellId;
use crate::model::journal_event::Holding;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use std::collections::BTreeMap;

type Time = DateTime<Utc>;

/// A reservation of zero takes hold at once, as far as anybody wrote; a minute is also what CloudWatch counts by.
pub(super) const SPREAD: TimeDelta = TimeDelta::minutes(1);
/// "A few minutes" (IAM User Guide, "Changes that I make are not always immediately visible"; `containment.md` B.1).
pub(super) const IAM_SPREAD: TimeDelta = TimeDelta::minutes(5);
/// So long after a minute has ended CloudWatch may still not count all of it. DOUBT(aws): from experience, no document says it of Lambda.
pub(super) const METRICS_LATE: TimeDelta = TimeDelta::minutes(3);
const MINUTE: TimeDelta = TimeDelta::minutes(1);
/// Reasons that are kept; a function that runs on all the time has one for each minute.
const WHY: usize = 20;

/// What a case's containment of a function promises.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Claims {
    /// From then on nothing new is invoked. None: nothing that this case holds stops every invocation.
    pub invocations: Option<Time>,
    /// An invocation that had begun before is over by then.
    pub running_until: Option<Time>,
    /// Whose credentials are refused, and from when on.
    pub credentials: Denies,
}

/// How a cell was last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Look {
    AsLeft,
    /// It came to its end by itself; nothing is left to stop.
    Over,
    /// It reads as it did before containment.
    AsBefore,
    /// Neither: somebody else's change.
    Adrift,
    /// AWS or this case itself is changing it just now.
    Moving,
    Unread(String),
}

/// One minute as CloudWatch counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Minute {
    pub invocations: u64,
    pub throttles: u64,
    pub errors: u64,
    /// The most that ran at once.
    pub running: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Sight {
    pub claims: Claims,
    pub cells: BTreeMap<CellId, Look>,
    pub minutes: BTreeMap<Time, Minute>,
    /// When the counters were last read, or why they were not.
    pub counted: Option<Result<Time, String>>,
    /// The newest invocation that a log line says began.
    pub began: Option<Time>,
    /// Of the function's credentials.
    pub uses: Uses,
    /// What contradicted containment during this watch, each once.
    pub contrary: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Judgement {
    pub now: Holding,
    pub why: Vec<String>,
}

pub(super) fn clock(at: Time) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

impl Sight {
    /// How it stands at `now`. What contradicts containment is remembered for good.
    pub fn judge(&mut self, now: Time) -> Judgement {
        let against: Vec<String> = [self.settings_against(), self.invocations_against(), self.claims.credentials.against(&self.uses)]
            .into_iter()
            .flatten()
            .collect();
        for words in &against {
            if !self.contrary.contains(words) && self.contrary.len() < WHY {
                self.contrary.push(words.clone());
            }
        }
        if !against.is_empty() {
            return Judgement { now: Holding::DoesNotHold, why: against };
        }
        let open: Vec<String> = [self.settings_open(), self.invocations_open(now), self.claims.credentials.open(&self.uses, now)]
            .into_iter()
            .flatten()
            .collect();
        let holding = if open.is_empty() { Holding::Holds } else { Holding::CouldNotTell };
        Judgement { now: holding, why: open }
    }

    /// Cells that are not as they were left.
    pub fn adrift(&self) -> Vec<CellId> {
        let off = |l: &Look| matches!(l, Look::AsBefore | Look::Adrift);
        self.cells.iter().filter(|(_, look)| off(look)).map(|(cell, _)| cell.clone()).collect()
    }

    fn settings_against(&self) -> Vec<String> {
        let say = |(cell, look): (&CellId, &Look)| match look {
            Look::AsBefore => Some(format!("{cell} reads as it did before containment")),
            Look::Adrift => Some(format!("{cell} was changed by somebody else")),
            _ => None,
        };
        self.cells.iter().filter_map(say).collect()
    }

    fn settings_open(&self) -> Vec<String> {
        let say = |(cell, look): (&CellId, &Look)| match look {
            Look::Moving => Some(format!("{cell} is being changed just now")),
            Look::Unread(why) => Some(format!("{cell} could not be read: {why}")),
            _ => None,
        };
        self.cells.iter().filter_map(say).collect()
    }

    /// Minutes in which the function was invoked, where nothing should have been.
    fn invocations_against(&self) -> Vec<String> {
        let Some(shows) = self.claims.invocations.map(|since| since + SPREAD) else { return vec![] };
        let counted = self.minutes.iter().filter(|(at, m)| **at >= shows && m.invocations > 0);
        let mut out: Vec<String> =
            counted.map(|(at, m)| format!("{} invocations in the minute of {}", m.invocations, clock(*at))).collect();
        out.extend(self.began.filter(|at| *at >= shows).map(|at| format!("an invocation began at {}, as its log says", clock(at))));
        out
    }

    fn invocations_open(&self, now: Time) -> Vec<String> {
        let Some(since) = self.claims.invocations else { return vec![] };
        let mut out = vec![];
        if let Some(until) = self.claims.running_until.filter(|until| now < *until) {
            out.push(format!("an invocation that had begun before may run until {}", clock(until)));
        }
        // The first whole minute that can tell, and when CloudWatch has counted it.
        let known = since + SPREAD + MINUTE + METRICS_LATE;
        match &self.counted {
            Some(Err(why)) => out.push(format!("whether it was invoked could not be read: {why}")),
            Some(Ok(at)) if *at >= known || self.bites(since) => {}
            _ => out.push(format!(
                "CloudWatch counts a minute up to {} minutes late: ask again after {}",
                METRICS_LATE.num_minutes(),
                clock(known)
            )),
        }
        out
    }

    /// Somebody was turned away in a whole minute after containment, and nobody was let in: no need to wait for more.
    fn bites(&self, since: Time) -> bool {
        self.minutes.iter().any(|(at, m)| *at >= since && m.throttles > 0 && m.invocations == 0)
    }

    /// When everything that can be told by waiting can be told.
    pub fn tells_at(&self) -> Option<Time> {
        let invocations = self.claims.invocations.map(|since| since + SPREAD + MINUTE + METRICS_LATE);
        let running = self.claims.running_until.filter(|_| invocations.is_some());
        [invocations, running, self.claims.credentials.spread()].into_iter().flatten().max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t(text: &str) -> Time {
        DateTime::parse_from_rfc3339(&format!("2026-11-20T{text}Z")).unwrap().to_utc()
    }
    fn cell() -> CellId {
        CellId::new("freeze-concurrency", "f")
    }
    fn of_r(at: &str) -> BTreeMap<Option<String>, Time> {
        [(Some("r".to_string()), t(at))].into()
    }
    /// Contained at noon, long ago, and everything reads as left.
    fn well() -> (Sight, Time) {
        let claims = Claims {
            invocations: Some(t("12:00:10")),
            running_until: Some(t("12:00:13")),
            credentials: Denies { since: [("r".to_string(), t("12:00:20"))].into(), ..Denies::default() },
        };
        let now = t("12:10:00");
        let cells = [(cell(), Look::AsLeft), (CellId::new("quarantine-role", "r/p"), Look::Over)].into();
        (Sight { claims, cells, counted: Some(Ok(now)), ..Sight::default() }, now)
    }
    fn judged(change: impl FnOnce(&mut Sight, &mut Time)) -> (Holding, String) {
        let (mut sight, mut now) = well();
        change(&mut sight, &mut now);
        let found = sight.judge(now);
        (found.now, found.why.join("; "))
    }

    #[test]
    fn all_as_left_and_nothing_invoked_holds() {
        assert_eq!(judged(|_, _| {}), (Holding::Holds, String::new()));
        // What was throttled, or ran while the change was spreading, is no contradiction.
        let spreading = |s: &mut Sight, _: &mut Time| {
            s.minutes.insert(t("12:01:00"), Minute { invocations: 2, ..Minute::default() });
            s.minutes.insert(t("12:05:00"), Minute { throttles: 9, ..Minute::default() });
            s.began = Some(t("12:01:09"));
            s.uses = Uses { passed: of_r("12:05:19"), refused: of_r("12:08:00") };
        };
        assert_eq!(judged(spreading).0, Holding::Holds);
    }

    #[test]
    fn each_contradiction_is_named() {
        type Change = fn(&mut Sight, &mut Time);
        let cases: [(Change, &str); 5] = [
            (|s, _| drop(s.cells.insert(cell(), Look::Adrift)), "freeze-concurrency/f was changed by somebody else"),
            (|s, _| drop(s.cells.insert(cell(), Look::AsBefore)), "freeze-concurrency/f reads as it did before"),
            (
                |s, _| s.minutes.extend([(t("12:02:00"), Minute { invocations: 3, ..Minute::default() })]),
                "3 invocations in the minute of 2026-11-20T12:02:00Z",
            ),
            (|s, _| s.began = Some(t("12:01:10")), "an invocation began at 2026-11-20T12:01:10Z"),
            (|s, _| s.uses.passed = of_r("12:05:20"), "credentials were used at 2026-11-20T12:05:20Z"),
        ];
        for (change, words) in cases {
            let (holding, why) = judged(change);
            assert!(holding == Holding::DoesNotHold && why.contains(words), "{why}");
        }
    }

    #[test]
    fn what_cannot_be_known_yet_is_not_held() {
        type Change = fn(&mut Sight, &mut Time);
        let cases: [(Change, &str); 9] = [
            (|s, _| s.claims.credentials.unknown = true, "under which roles its versions run could not be read"),
            (|s, _| drop(s.claims.credentials.left_alone.insert("q".into(), "nothing denies q".into())), "nothing denies q"),
            (|s, _| drop(s.cells.insert(cell(), Look::Unread("denied".into()))), "could not be read: denied"),
            (|s, _| drop(s.cells.insert(cell(), Look::Moving)), "being changed just now"),
            (|s, _| s.claims.running_until = Some(t("12:15:10")), "may run until 2026-11-20T12:15:10Z"),
            (|s, _| s.counted = Some(Err("cloudwatch:GetMetricData: denied".into())), "whether it was invoked could not be read"),
            (|s, _| s.counted = None, "CloudWatch counts a minute"),
            // One second before the first whole minute has certainly been counted.
            (|s, _| s.counted = Some(Ok(t("12:05:09"))), "ask again after 2026-11-20T12:05:10Z"),
            (|_, now| *now = t("12:05:19"), "IAM takes minutes"),
        ];
        for (change, words) in cases {
            let (holding, why) = judged(change);
            assert!(holding == Holding::CouldNotTell && why.contains(words), "{why}");
        }
    }

    #[test]
    fn being_turned_away_is_as_good_as_waiting() {
        let early = |s: &mut Sight, now: &mut Time| {
            *now = t("12:02:00");
            (s.counted, s.uses.refused) = (Some(Ok(*now)), of_r("12:00:30"));
        };
        let throttled = |at: &str, invocations| (t(at), Minute { throttles: 1, invocations, ..Minute::default() });
        let with = |minute: (Time, Minute)| {
            judged(|s, now| {
                early(s, now);
                s.minutes.extend([minute]);
            })
        };
        assert_eq!(judged(early).0, Holding::CouldNotTell);
        assert_eq!(with(throttled("12:01:00", 0)).0, Holding::Holds);
        // The minute in which it was contained says nothing about the time after; a mixed one neither.
        assert_eq!(with(throttled("12:00:00", 0)).0, Holding::CouldNotTell);
        assert_eq!(with(throttled("12:01:00", 1)).0, Holding::CouldNotTell);
    }

    #[test]
    fn what_was_not_promised_is_not_asked_for() {
        let (holding, why) = judged(|s, _| {
            s.claims = Claims::default();
            s.counted = Some(Err("denied".into()));
            s.minutes.insert(t("12:09:00"), Minute { invocations: 7, ..Minute::default() });
            s.uses.passed = of_r("12:09:00");
        });
        assert_eq!((holding, why.as_str()), (Holding::Holds, ""));
    }

    #[test]
    fn a_contradiction_is_remembered_when_it_is_over() {
        let (mut sight, now) = well();
        sight.cells.insert(cell(), Look::Adrift);
        sight.judge(now);
        sight.judge(now);
        sight.cells.insert(cell(), Look::AsLeft);
        assert_eq!(sight.judge(now).now, Holding::Holds);
        assert_eq!(sight.contrary.len(), 1);
    }
}
