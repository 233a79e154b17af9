//! The log that containment lives by, and what can be computed from it: which cells this case still holds, and how they were before.
//!
//! Status is never stored; it follows from the events alone, in order, so that a process that died anywhere leaves nothing to repair.

use super::others::Restores;
use crate::contain;
use crate::model::id::{CellId, RunId};
use crate::model::journal_event::JournalEvent;
use crate::model::restorable::Restorable;
use crate::model::target::{Target, TargetSpec};
use async_trait::async_trait;
use serde_json::Value;
use std::error::Error;
use std::sync::{Mutex, PoisonError};

/// The event is not durable, or may not be. Whoever gets this changes nothing more.
#[derive(Debug, thiserror::Error)]
#[error("could not append to the case journal")]
pub struct LogError(#[source] pub Box<dyn Error + Send + Sync>);

/// Whether an event is one behind which another may not stand.
pub type Spoils<'s> = dyn Fn(&JournalEvent) -> bool + Sync + 's;

/// The case journal as the saga sees it.
#[async_trait]
pub trait IntentLog: Send + Sync {
    /// Returns only when the event is durable outside of this process.
    async fn append(&self, event: JournalEvent) -> Result<(), LogError>;
    /// The same, but only if none of the events behind the first `seen` is one that `spoils` it, whoever appended them. `false`: it is not there.
    /// As it stands here, it is enough for a log that nobody else appends to.
    async fn append_unless(&self, event: JournalEvent, seen: usize, spoils: &Spoils<'_>) -> Result<bool, LogError> {
        let events = self.events();
        if events.iter().skip(seen).any(spoils) {
            return Ok(false);
        }
        self.append(event).await.map(|()| true)
    }
    /// Everything so far, this run's events included, in order.
    fn events(&self) -> Vec<JournalEvent>;
    /// Read what others have appended since. What cannot be read now is met by the next append.
    async fn catch_up(&self) {}
}

/// A log in memory: for tests, dry runs and nothing else.
#[derive(Debug, Default)]
pub struct MemLog {
    events: Mutex<Vec<JournalEvent>>,
    /// Appending fails once so many events are held.
    refuse_at: Option<usize>,
}

impl MemLog {
    pub fn new(events: Vec<JournalEvent>) -> Self {
        MemLog { events: Mutex::new(events), refuse_at: None }
    }
    /// Holds `events` and takes no more than `room` further ones.
    pub fn refusing(events: Vec<JournalEvent>, room: usize) -> Self {
        let refuse_at = Some(events.len() + room);
        MemLog { events: Mutex::new(events), refuse_at }
    }
    /// The same log, cut after its first `n` events.
    pub fn truncated(&self, n: usize) -> Self {
        let mut events = self.events();
        events.truncate(n);
        MemLog::new(events)
    }
}

#[async_trait]
impl IntentLog for MemLog {
    async fn append(&self, event: JournalEvent) -> Result<(), LogError> {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if self.refuse_at.is_some_and(|n| events.len() >= n) {
            return Err(LogError("told to refuse".into()));
        }
        events.push(event);
        Ok(())
    }
    fn events(&self) -> Vec<JournalEvent> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// One way in which a case holds a cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Grip {
    /// We wrote (or may have written) `after` where `before` was.
    Wrote { before: Value, after: Value, restorable: Restorable },
    /// It already was as we wanted it.
    Found { state: Value },
}

/// A grip with its circumstances.
#[derive(Clone, Debug, PartialEq)]
pub struct Grasp {
    pub run: RunId,
    /// The function's ARN, as journalled.
    pub target: String,
    pub grip: Grip,
    /// Position of its event in the log.
    pub at: usize,
}

/// A cell that the case holds: every grip on it that nothing has ended, oldest first. Never empty.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenCell {
    pub cell: CellId,
    pub grasps: Vec<Grasp>,
    /// A restore of this case left it to another case, and this case took no new hold since. It still wants to be restored here, but keeps
    /// nobody else from restoring: two cases would otherwise wait for each other for ever.
    pub gave_way: bool,
}

impl OpenCell {
    /// The recorded state: what the *oldest* open intent found. `None` when we never wrote.
    pub fn before(&self) -> Option<&Value> {
        self.grasps.iter().find_map(|g| match &g.grip {
            Grip::Wrote { before, .. } => Some(before),
            Grip::Found { .. } => None,
        })
    }
    /// What we left last. `None` when we never wrote.
    pub fn left(&self) -> Option<&Value> {
        self.grasps.iter().rev().find_map(|g| match &g.grip {
            Grip::Wrote { after, .. } => Some(after),
            Grip::Found { .. } => None,
        })
    }
    /// How we last found it contained already.
    pub fn found(&self) -> Option<&Value> {
        self.grasps.iter().rev().find_map(|g| match &g.grip {
            Grip::Found { state } => Some(state),
            Grip::Wrote { .. } => None,
        })
    }
    /// Whether we left the cell as `same` says. Every open intent counts, not the newest alone: when that one's write did not land, the world
    /// is still as an earlier one left it.
    pub fn is_ours(&self, same: impl Fn(&Value) -> bool) -> bool {
        self.grasps.iter().any(|g| matches!(&g.grip, Grip::Wrote { after, .. } if same(after)))
    }
    /// What our writes left behind by design, where that is all they did.
    pub fn leaves(&self) -> Option<&str> {
        self.grasps.iter().rev().find_map(|g| match &g.grip {
            Grip::Wrote { restorable: Restorable::Leaves(what), .. } => Some(what.as_str()),
            _ => None,
        })
    }
    /// The newest write's position: restore goes backwards.
    pub fn newest(&self) -> usize {
        self.grasps.last().map_or(0, |g| g.at)
    }
    /// Where the cell lies. Intents of one cell in different places are refused when they are made.
    pub fn target(&self) -> Option<Target> {
        parse_target(&self.grasps.last()?.target)
    }
    /// The same cell as one run sees it that wants to take back its own part only.
    pub fn of_run(&self, run: &RunId) -> Option<OpenCell> {
        let grasps: Vec<Grasp> = self.grasps.iter().filter(|g| g.run == *run).cloned().collect();
        (!grasps.is_empty()).then(|| OpenCell { cell: self.cell.clone(), grasps, gave_way: self.gave_way })
    }
}

/// A journalled target: always a full ARN.
pub fn parse_target(arn: &str) -> Option<Target> {
    let spec: TargetSpec = arn.parse().ok()?;
    let (partition, account, region) = (spec.partition.clone()?, spec.account.clone()?, spec.region.clone()?);
    spec.resolve(&partition, &account, &region).ok()
}

/// The cells that the case still holds, in order of their first grip.
///
/// `Restored` by a run that has grips of its own on the cell (it unwound) ends those alone; by any other run (a restore) it ends all that were
/// there when that run looked. An intent that a restore ended before its write came back is open again when it does: the restore found the world
/// as before, and then the write landed.
pub fn open_cells(events: &[JournalEvent]) -> Vec<OpenCell> {
    let mut open: Vec<OpenCell> = vec![];
    let mut ended: Vec<(CellId, Grasp)> = vec![];
    for (at, event) in events.iter().enumerate() {
        match event {
            JournalEvent::Intent { run, cell, target, before, after, restorable, .. } => {
                let grip = Grip::Wrote { before: before.clone(), after: after.clone(), restorable: restorable.clone() };
                grasp(&mut open, cell, Grasp { run: run.clone(), target: target.clone(), grip, at });
            }
            JournalEvent::AlreadyContained { run, cell, target, state } => {
                let grip = Grip::Found { state: state.clone() };
                grasp(&mut open, cell, Grasp { run: run.clone(), target: target.clone(), grip, at });
            }
            JournalEvent::Restored { run, cell, through, .. } => {
                if let Some(i) = open.iter().position(|o| o.cell == *cell) {
                    let own = open[i].grasps.iter().any(|g| g.run == *run);
                    let later = |g: &Grasp| through.is_some_and(|lines| g.at as u64 >= lines);
                    let (stay, go): (Vec<Grasp>, Vec<Grasp>) =
                        open[i].grasps.drain(..).partition(|g| if own { g.run != *run } else { later(g) });
                    open[i].grasps = stay;
                    if !own {
                        ended.extend(go.into_iter().map(|g| (cell.clone(), g)));
                    }
                    if open[i].grasps.is_empty() {
                        open.remove(i);
                    }
                }
            }
            JournalEvent::Applied { run, cell } | JournalEvent::ApplyFailed { run, cell, .. } => {
                if let Some(i) = ended.iter().rposition(|(c, g)| c == cell && g.run == *run && matches!(g.grip, Grip::Wrote { .. })) {
                    let (_, grasp_again) = ended.remove(i);
                    let held = open.iter().any(|o| o.cell == *cell && o.grasps.iter().any(|g| g.at >= grasp_again.at && g.run == *run));
                    if !held {
                        grasp(&mut open, cell, grasp_again);
                    }
                }
            }
            // Where we never wrote, drift leaves nothing to restore.
            JournalEvent::Drift { cell, .. } => open.retain(|o| o.cell != *cell || o.before().is_some()),
            JournalEvent::HeldElsewhere { cell, .. } => {
                if let Some(o) = open.iter_mut().find(|o| o.cell == *cell) {
                    o.gave_way = true;
                }
            }
            _ => {}
        }
    }
    open
}

fn grasp(open: &mut Vec<OpenCell>, cell: &CellId, grasp: Grasp) {
    match open.iter_mut().find(|o| o.cell == *cell) {
        Some(o) => {
            // A grip that is open again, since its write came back late, is older than others that were taken meanwhile.
            let place = o.grasps.partition_point(|g| g.at <= grasp.at);
            o.grasps.insert(place, grasp);
            o.gave_way = false;
        }
        None => open.push(OpenCell { cell: cell.clone(), grasps: vec![grasp], gave_way: false }),
    }
}

/// Whether an intent on the cell waits for what became of its write: its run is at it just now, or died over it.
pub(super) fn in_flight(events: &[JournalEvent], cell: &CellId) -> bool {
    let open = open_cells(events).into_iter().find(|o| o.cell == *cell);
    let told = |g: &Grasp| {
        events[g.at..].iter().any(|e| match e {
            JournalEvent::Applied { run, cell: c } | JournalEvent::ApplyFailed { run, cell: c, .. } => *run == g.run && c == cell,
            JournalEvent::RunEnded { run, .. } => *run == g.run,
            _ => false,
        })
    };
    open.iter().flat_map(|o| &o.grasps).any(|g| matches!(g.grip, Grip::Wrote { .. }) && !told(g))
}

/// What these events say of putting the cell back, `but` by that run.
pub(super) fn restores_begun(events: &[JournalEvent], cell: &CellId, but: Option<&RunId>) -> Restores {
    let mut found = Restores::default();
    for event in events.iter().filter(|e| e.run() != but || but.is_none()) {
        match event {
            JournalEvent::RestoreIntent { cell: c, .. } if c == cell => found = Restores { begun: found.begun + 1, open: true },
            JournalEvent::Restored { cell: c, .. }
            | JournalEvent::RestoreFailed { cell: c, .. }
            | JournalEvent::HeldElsewhere { cell: c, .. }
                if c == cell =>
            {
                found.open = false;
            }
            _ => {}
        }
    }
    found
}

/// Whether a case with these events holds the cell against another case's restore.
pub fn holds(events: &[JournalEvent], cell: &CellId, target: &Target) -> bool {
    open_cells(events).iter().any(|o| o.cell == *cell && !o.gave_way && o.grasps.iter().any(|g| same_place(cell, &g.target, target)))
}

/// Cells are named without account and Region; a role's have no Region. In doubt (an unreadable target, an action that this build does not
/// know) it counts as the same place: a hold in doubt is a hold.
pub(super) fn same_place(cell: &CellId, arn: &str, target: &Target) -> bool {
    let regional = contain::find(cell.action()).is_some_and(|a| !a.spec().is_global());
    parse_target(arn)
        .is_none_or(|t| t.partition == target.partition && t.account == target.account && !(regional && t.region != target.region))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::journal_event::PermitRecord;
    use serde_json::json;

    fn run(n: &str) -> RunId {
        RunId(n.into())
    }
    fn cell() -> CellId {
        CellId::new("freeze-concurrency", "f")
    }
    fn intent(r: &str, before: Value, after: Value) -> JournalEvent {
        let permit = PermitRecord::Override { who: "t".into(), why: "t".into() };
        let target = "arn:aws:lambda:eu-west-1:123456789012:function:f".to_string();
        JournalEvent::Intent { run: run(r), cell: cell(), target, before, after, restorable: Restorable::Exactly, permit }
    }
    fn restored(r: &str) -> JournalEvent {
        JournalEvent::Restored { run: run(r), cell: cell(), wrote: true, through: None }
    }

    #[test]
    fn the_oldest_open_intent_is_the_truth() {
        let open = open_cells(&[intent("1", json!(null), json!(0)), intent("2", json!(7), json!(1))]);
        assert_eq!((open[0].before(), open[0].left()), (Some(&json!(null)), Some(&json!(1))));
        let ours = |state: i32| open[0].is_ours(|after| *after == json!(state));
        assert!(ours(0) && ours(1) && !ours(7));
    }

    #[test]
    fn a_restore_ends_all_and_an_unwind_its_own() {
        let both = [intent("1", json!(null), json!(0)), intent("2", json!(0), json!(1))];
        assert!(open_cells(&[&both[..], &[restored("3")]].concat()).is_empty());
        let left = open_cells(&[&both[..], &[restored("2")]].concat());
        assert_eq!((left.len(), left[0].before(), left[0].left()), (1, Some(&json!(null)), Some(&json!(0))));
    }

    #[test]
    fn a_restore_ends_what_it_knew_of() {
        // Another run of the case took hold while the restore was under way: its hold is not ended with the others.
        let restored = JournalEvent::Restored { run: run("3"), cell: cell(), wrote: true, through: Some(1) };
        let open = open_cells(&[intent("1", json!(null), json!(0)), intent("2", json!(null), json!(1)), restored]);
        assert_eq!((open.len(), open[0].before(), open[0].left()), (1, Some(&json!(null)), Some(&json!(1))));
    }

    #[test]
    fn a_write_that_lands_after_a_restore_looked_is_held_all_the_same() {
        let applied = |r: &str| JournalEvent::Applied { run: run(r), cell: cell() };
        let by = |r: &str, wrote| JournalEvent::Restored { run: run(r), cell: cell(), wrote, through: Some(1) };
        let mut events = vec![intent("1", json!(7), json!(0)), by("2", false)];
        assert!(open_cells(&events).is_empty());
        events.push(applied("1"));
        let open = open_cells(&events);
        assert_eq!((open.len(), open[0].before()), (1, Some(&json!(7))));
        events.push(by("3", true));
        assert!(open_cells(&events).is_empty(), "restored once more is restored");
        // What was told before the restore is not told again by it.
        assert!(open_cells(&[intent("1", json!(7), json!(0)), applied("1"), by("2", true)]).is_empty());
    }

    #[test]
    fn a_grip_that_opens_again_is_as_old_as_it_was() {
        // Two responders in one case: the restore of one looked before the write of the other had landed, and then found it contained itself.
        let by = |r: &str, through| JournalEvent::Restored { run: run(r), cell: cell(), wrote: true, through: Some(through) };
        let found = JournalEvent::AlreadyContained {
            run: run("3"),
            cell: cell(),
            target: "arn:aws:lambda:eu-west-1:123456789012:function:f".into(),
            state: json!(0),
        };
        let applied = JournalEvent::Applied { run: run("0"), cell: cell() };
        let mut events = vec![intent("0", json!(7), json!(0)), by("2", 1), found, applied];
        let open = open_cells(&events);
        assert_eq!((open[0].before(), open[0].newest()), (Some(&json!(7)), 2), "nobody took hold of it after the newest grip");
        events.push(by("4", open[0].newest() as u64 + 1));
        assert!(open_cells(&events).is_empty());
    }

    #[test]
    fn an_intent_is_in_flight_until_its_write_is_told_or_its_run_has_ended() {
        let mut events = vec![intent("1", json!(7), json!(0))];
        assert!(in_flight(&events, &cell()));
        events.push(JournalEvent::RunEnded { run: run("1"), outcome: "x".into() });
        assert!(!in_flight(&events, &cell()));
        events[1] = JournalEvent::Applied { run: run("1"), cell: cell() };
        assert!(!in_flight(&events, &cell()));
    }

    #[test]
    fn a_restore_is_open_until_it_says_how_it_ended() {
        let begins = |r: &str| JournalEvent::RestoreIntent { run: run(r), cell: cell(), from: json!(0), to: json!(1) };
        let mut events = vec![intent("1", json!(null), json!(0)), begins("2")];
        assert_eq!(restores_begun(&events, &cell(), None), Restores { begun: 1, open: true });
        assert_eq!(restores_begun(&events, &cell(), Some(&run("2"))), Restores::default(), "but by that run");
        events.push(JournalEvent::RestoreFailed { run: run("2"), cell: cell(), error: "no".into() });
        assert_eq!(restores_begun(&events, &cell(), None), Restores { begun: 1, open: false });
    }

    #[test]
    fn who_gave_way_holds_nothing_against_others() {
        let t = parse_target("arn:aws:lambda:eu-west-1:123456789012:function:f").unwrap();
        let mut events = vec![intent("1", json!(null), json!(0))];
        assert!(holds(&events, &cell(), &t));
        assert!(!holds(&events, &cell(), &Target { region: "us-east-1".into(), ..t.clone() }));
        events.push(JournalEvent::HeldElsewhere { run: run("2"), cell: cell(), case: "B".into() });
        assert!(!holds(&events, &cell(), &t));
        assert_eq!(open_cells(&events).len(), 1);
        events.push(intent("3", json!(0), json!(0)));
        assert!(holds(&events, &cell(), &t));
    }
}
