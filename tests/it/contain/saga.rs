//! The engine's own rules, on an action whose cells are numbers in memory.

use super::rig::{Rig, never, nobody, permit};
use crate::support::cells::{World, target};
use async_trait::async_trait;
use freezeframe::aws::fault::{Fault, FaultClass};
use freezeframe::contain::{ActCx, ActError, Action, ActionSpec, AwsCli, Bearing, Cell, ContainPermit, DynAction, Reading};
use freezeframe::engine::log::{IntentLog, LogError, MemLog, Spoils, open_cells};
use freezeframe::engine::{Accept, Back, ContainReport, OnFailure, RestoreAsk, RestoreReport, Stand, Step};
use freezeframe::model::id::CellId;
use freezeframe::model::journal_event::JournalEvent;
use freezeframe::model::outcome::Outcome;
use freezeframe::model::params::Params;
use freezeframe::model::restorable::Restorable;
use freezeframe::model::target::Target;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// Containing sets a number to zero.
struct Numbers {
    spec: &'static ActionSpec,
    cells: Mutex<BTreeMap<String, i64>>,
    /// Reads that answer *moving* before one that is settled.
    moving: Mutex<u32>,
    /// Reads that answer that what the cells are part of is gone.
    gone: Mutex<u32>,
    restorable: Restorable,
    /// Reads after a write that still show the state before it.
    stale: Mutex<(u32, i64)>,
    /// What writing really does.
    write: fn(&mut i64, i64) -> Result<(), ActError>,
    /// What containing makes of a number.
    aim: Mutex<i64>,
    /// Writes that meet another change under way.
    conflicts: Mutex<u32>,
    /// Reading fails after the first write.
    blind: bool,
    sets: Mutex<Vec<String>>,
}

fn numbers(id: &'static str, rank: u8, cells: &[(&str, i64)]) -> Numbers {
    let spec = Box::leak(Box::new(ActionSpec {
        id,
        title: "t",
        stops: "s",
        does_not_stop: "d",
        side_effects: "e",
        restore: "r",
        calls: &[],
        params: &[],
        restore_rank: rank,
        bearing: Bearing::Neither,
    }));
    Numbers {
        spec,
        cells: Mutex::new(cells.iter().map(|(k, v)| (k.to_string(), *v)).collect()),
        moving: Mutex::new(0),
        gone: Mutex::new(0),
        restorable: Restorable::Exactly,
        stale: Mutex::new((0, 0)),
        write: |at, to| {
            *at = to;
            Ok(())
        },
        aim: Mutex::new(0),
        conflicts: Mutex::new(0),
        blind: false,
        sets: Mutex::default(),
    }
}

impl Numbers {
    fn leak(self) -> &'static Numbers {
        Box::leak(Box::new(self))
    }
    fn get(&self, key: &str) -> i64 {
        self.cells.lock().unwrap()[key]
    }
    fn put(&self, key: &str, to: i64) {
        self.cells.lock().unwrap().insert(key.into(), to);
    }
    fn sets(&self) -> Vec<String> {
        self.sets.lock().unwrap().clone()
    }
}

#[async_trait]
impl Action for Numbers {
    type State = i64;
    fn spec(&self) -> &'static ActionSpec {
        self.spec
    }
    async fn cells(&self, _: &ActCx<'_>) -> Result<Vec<Cell>, ActError> {
        Ok(self
            .cells
            .lock()
            .unwrap()
            .keys()
            .map(|k| Cell { id: CellId::new(self.spec.id, k), label: k.clone(), facts: json!({}) })
            .collect())
    }
    async fn read(&self, _: &ActCx<'_>, cell: &CellId) -> Result<Reading<i64>, ActError> {
        if self.blind && !self.sets().is_empty() {
            return Err(ActError::Refused("blind".into()));
        }
        let mut gone = self.gone.lock().unwrap();
        if *gone > 0 {
            *gone -= 1;
            let source = Fault {
                class: FaultClass::NotFound,
                code: Some("NoSuchEntity".into()),
                message: "m".into(),
                status: Some(404),
                request_id: None,
            };
            return Err(ActError::Gone { what: "the role".into(), source });
        }
        let mut moving = self.moving.lock().unwrap();
        if *moving > 0 {
            *moving -= 1;
            return Ok(Reading::Moving);
        }
        let mut stale = self.stale.lock().unwrap();
        if stale.0 > 0 && !self.sets().is_empty() {
            stale.0 -= 1;
            return Ok(Reading::Settled(stale.1));
        }
        Ok(Reading::Settled(self.get(cell.key())))
    }
    fn contained(&self, _: &Cell, _: &i64) -> Result<i64, ActError> {
        Ok(*self.aim.lock().unwrap())
    }
    fn restorable(&self, _: &i64) -> Restorable {
        self.restorable.clone()
    }
    async fn set(&self, _: &ActCx<'_>, cell: &CellId, to: &i64, _: &ContainPermit) -> Result<(), ActError> {
        self.sets.lock().unwrap().push(format!("{}={to}", cell.key()));
        let mut conflicts = self.conflicts.lock().unwrap();
        if *conflicts > 0 {
            *conflicts -= 1;
            let source = Fault { class: FaultClass::Conflict, ..Fault::internal("a deployment is under way") };
            return Err(ActError::Call { doing: "setting".into(), action: None, source });
        }
        (self.write)(self.cells.lock().unwrap().get_mut(cell.key()).unwrap(), *to)
    }
    fn by_hand(&self, _: &Target, cell: &CellId, before: &i64) -> Result<Vec<AwsCli>, ActError> {
        let n = before.to_string();
        Ok(vec![AwsCli::new("numbers", "set", [("--key", cell.key()), ("--to", n.as_str())])])
    }
}

fn rig() -> Rig {
    Rig::new(World::shared_role())
}

async fn contain_as(
    rig: &Rig,
    log: &dyn IntentLog,
    actions: &[&'static dyn DynAction],
    accept: Accept,
    on_failure: OnFailure,
    target: &Target,
) -> ContainReport {
    let params = Params::default();
    let steps: Vec<Step<'_>> = actions.iter().map(|a| Step { action: *a, params: &params, accept }).collect();
    rig.with(log, &never, &nobody, async |s| s.contain(&steps, target, &permit(), on_failure, false).await).await
}
async fn contain(rig: &Rig, log: &dyn IntentLog, actions: &[&'static dyn DynAction]) -> ContainReport {
    contain_as(rig, log, actions, Accept::ExactOnly, OnFailure::Hold, &target()).await
}
async fn restore(rig: &Rig, log: &dyn IntentLog, actions: &[&'static dyn DynAction]) -> RestoreReport {
    rig.restore_with(log, &RestoreAsk { actions, ..RestoreAsk::default() }).await
}

#[tokio::test]
async fn a_moving_cell_is_waited_for() {
    let mut n = numbers("n", 0, &[("a", 5)]);
    n.moving = Mutex::new(30);
    let (rig, log, n) = (rig(), MemLog::default(), n.leak());
    let report = contain(&rig, &log, &[n]).await;
    assert_eq!((report.outcome(), n.get("a")), (Outcome::Complete, 0), "{report:?}");
    assert_eq!(report.cells[0].before, Some(json!(5)), "the settled state, not a moving one");
    *n.moving.lock().unwrap() = 30;
    assert_eq!(restore(&rig, &log, &[n]).await.outcome(), Outcome::Complete);
    assert_eq!(n.get("a"), 5);
}

#[tokio::test]
async fn a_cell_that_never_settles_is_given_up_untouched() {
    let mut n = numbers("n", 0, &[("a", 5)]);
    n.moving = Mutex::new(u32::MAX);
    let (rig, log, n) = (rig(), MemLog::default(), n.leak());
    let report = contain(&rig, &log, &[n]).await;
    assert_eq!((report.outcome(), report.cells[0].stand, n.sets().len()), (Outcome::Failed, Stand::Untouched, 0), "{report:?}");
    assert!(log.events().is_empty());
}

#[tokio::test]
async fn a_stale_read_after_the_write_is_asked_again() {
    let mut n = numbers("n", 0, &[("a", 5)]);
    n.stale = Mutex::new((2, 5));
    let (rig, log, n) = (rig(), MemLog::default(), n.leak());
    assert_eq!(contain(&rig, &log, &[n]).await.cells[0].stand, Stand::Contained);
}

#[tokio::test]
async fn the_intent_is_the_line_before_the_write_and_holds_all_that_restore_needs() {
    let (rig, log, n) = (rig(), MemLog::default(), numbers("n", 0, &[("a", 5)]).leak());
    contain(&rig, &log, &[n]).await;
    let events = log.events();
    let kinds: Vec<String> = events.iter().map(|e| serde_json::to_value(e).unwrap()["ev"].as_str().unwrap().to_string()).collect();
    assert_eq!(kinds, ["intent", "applied", "read-back"]);
    assert!(
        matches!(&events[0], JournalEvent::Intent { before, after, target: t, .. } if *before == json!(5) && *after == json!(0) && *t == target().arn())
    );

    // Through the journal's own form, as another process would read it.
    let read: Vec<JournalEvent> = events.iter().map(|e| serde_json::from_str(&serde_json::to_string(e).unwrap()).unwrap()).collect();
    restore(&rig, &MemLog::new(read), &[n]).await;
    assert_eq!(n.get("a"), 5);
}

#[tokio::test]
async fn what_cannot_be_restored_exactly_wants_a_word_first() {
    for (restorable, enough) in [
        (Restorable::Approximately("order is lost".into()), Accept::Approximate),
        (Restorable::Leaves("a version stays".into()), Accept::Approximate),
        (Restorable::No("it is gone".into()), Accept::Irreversible),
    ] {
        for accept in [Accept::ExactOnly, Accept::Approximate, Accept::Irreversible] {
            let mut n = numbers("n", 0, &[("a", 5)]);
            n.restorable = restorable.clone();
            let (rig, log, n) = (rig(), MemLog::default(), n.leak());
            let report = contain_as(&rig, &log, &[n], accept, OnFailure::Hold, &target()).await;
            if accept >= enough {
                assert_eq!((report.outcome(), n.get("a")), (Outcome::Complete, 0));
            } else {
                assert_eq!((report.outcome(), report.cells[0].stand, n.get("a")), (Outcome::Refused, Stand::Refused, 5));
                assert!(log.events().is_empty());
            }
        }
    }
}

#[tokio::test]
async fn a_write_that_succeeds_without_effect_is_not_believed() {
    let mut n = numbers("n", 0, &[("a", 5), ("b", 6)]);
    n.write = |at, to| {
        if *at != 5 {
            *at = to;
        }
        Ok(())
    };
    let (rig, log, n) = (rig(), MemLog::default(), n.leak());
    let report = contain(&rig, &log, &[n]).await;
    assert_eq!(
        (report.outcome(), report.cells[0].stand, report.cells[1].stand),
        (Outcome::PartlyContained, Stand::NotHolding, Stand::Contained),
        "{report:?}"
    );
    assert!(log.events().iter().any(|e| matches!(e, JournalEvent::ReadBack { holds: false, .. })));
    assert_eq!(restore(&rig, &log, &[n]).await.outcome(), Outcome::Complete);
    assert_eq!((n.get("a"), n.get("b")), (5, 6));
}

#[tokio::test]
async fn what_cannot_be_read_back_may_hold() {
    let mut n = numbers("n", 0, &[("a", 5)]);
    n.blind = true;
    let (rig, log, n) = (rig(), MemLog::default(), n.leak());
    let report = contain(&rig, &log, &[n]).await;
    assert_eq!((report.outcome(), report.cells[0].stand), (Outcome::PartlyContained, Stand::Unknown), "{report:?}");
    let report = restore(&rig, &log, &[n]).await;
    assert_eq!((report.outcome(), n.sets().len()), (Outcome::Stuck, 1), "not set back blindly: {report:?}");
}

#[tokio::test]
async fn a_restore_that_has_no_effect_is_stuck() {
    let mut n = numbers("n", 0, &[("a", 5), ("b", 6)]);
    n.write = |at, to| {
        if to != 5 {
            *at = to;
        }
        Ok(())
    };
    let (rig, log, n) = (rig(), MemLog::default(), n.leak());
    contain(&rig, &log, &[n]).await;
    let report = restore(&rig, &log, &[n]).await;
    assert_eq!((report.outcome(), n.get("b")), (Outcome::Stuck, 6), "{report:?}");
    assert!(log.events().iter().any(|e| matches!(e, JournalEvent::RestoreFailed { cell, .. } if cell.key() == "a")));
}

#[tokio::test]
async fn restore_goes_by_rank_and_backwards_within() {
    let low = numbers("low", 0, &[("a", 1), ("b", 2)]).leak();
    let high = numbers("high", 9, &[("c", 3)]).leak();
    let (rig, log) = (rig(), MemLog::default());
    // Backwards alone would begin with the one that was contained last.
    contain(&rig, &log, &[low, high]).await;
    let report = restore(&rig, &log, &[low, high]).await;
    let order: Vec<&str> = report.cells.iter().map(|c| c.cell.key()).collect();
    assert_eq!(order, ["b", "a", "c"]);
}

#[tokio::test]
async fn an_action_that_this_build_does_not_know_is_stuck_and_the_others_go_on() {
    let (old, known) = (numbers("old", 0, &[("a", 1)]).leak(), numbers("known", 0, &[("b", 2)]).leak());
    let (rig, log) = (rig(), MemLog::default());
    contain(&rig, &log, &[old, known]).await;
    let report = restore(&rig, &log, &[known]).await;
    assert_eq!((report.outcome(), known.get("b"), old.get("a")), (Outcome::Stuck, 2, 0), "{report:?}");
    assert_eq!(restore(&rig, &log, &[known, old]).await.outcome(), Outcome::Complete);
    assert_eq!(old.get("a"), 1);
}

#[tokio::test]
async fn only_the_named_actions_are_restored() {
    let (one, two) = (numbers("one", 0, &[("a", 1)]).leak(), numbers("two", 0, &[("b", 2)]).leak());
    let (rig, log) = (rig(), MemLog::default());
    contain(&rig, &log, &[one, two]).await;
    let report = rig.restore_with(&log, &RestoreAsk { actions: &[one, two], only: &["two".into()], ..RestoreAsk::default() }).await;
    assert_eq!((report.outcome(), one.get("a"), two.get("b")), (Outcome::Complete, 0, 2));
}

#[tokio::test]
async fn the_oldest_open_intent_is_the_truth() {
    let (rig, log, n) = (rig(), MemLog::default(), numbers("n", 0, &[("a", 5)]).leak());
    contain(&rig, &log, &[n]).await;
    n.put("a", 7); // somebody lifts it; contained again, the case still restores what it found first
    contain(&rig, &log, &[n]).await;
    assert_eq!(restore(&rig, &log, &[n]).await.outcome(), Outcome::Complete);
    assert_eq!(n.get("a"), 5);
    assert!(restore(&rig, &log, &[n]).await.cells.is_empty());
}

#[tokio::test]
async fn unwinding_one_run_leaves_what_an_earlier_one_holds() {
    let mut failing = numbers("failing", 0, &[("z", 1)]);
    failing.write = |_, _| Err(ActError::Refused("no".into()));
    let (n, failing) = (numbers("n", 0, &[("a", 5)]).leak(), failing.leak());
    let (rig, log) = (rig(), MemLog::default());
    contain(&rig, &log, &[n]).await;
    let report = contain_as(&rig, &log, &[n, failing], Accept::ExactOnly, OnFailure::Unwind, &target()).await;
    assert_eq!((report.outcome(), n.get("a")), (Outcome::Unwound, 0), "the first run's containment stands: {report:?}");
    assert_eq!(restore(&rig, &log, &[n, failing]).await.outcome(), Outcome::Complete);
    assert_eq!(n.get("a"), 5, "and is still known to be ours");
}

#[tokio::test]
async fn what_is_gone_is_over_if_it_is_said_each_time_and_is_not_contained() {
    let n = numbers("n", 0, &[("a", 5)]).leak();
    let (rig, log) = (rig(), MemLog::default());
    *n.gone.lock().unwrap() = u32::MAX;
    let report = contain(&rig, &log, &[n]).await;
    assert_eq!((report.cells[0].stand, report.outcome()), (Stand::Untouched, Outcome::Failed), "{report:?}");
    assert!(report.cells[0].error.as_ref().unwrap().what.contains("the role does not exist"), "{report:?}");
    *n.gone.lock().unwrap() = 0;
    contain(&rig, &log, &[n]).await;
    // IAM does not know of everything everywhere at once.
    *n.gone.lock().unwrap() = 3;
    let report = restore(&rig, &log, &[n]).await;
    assert_eq!((&report.cells[0].back, n.get("a")), (&Back::Restored { wrote: true }, 5));
    contain(&rig, &log, &[n]).await;
    *n.gone.lock().unwrap() = u32::MAX;
    let report = restore(&rig, &log, &[n]).await;
    assert_eq!((&report.cells[0].back, report.outcome(), n.get("a")), (&Back::Over, Outcome::Complete, 0));
    assert!(open_cells(&log.events()).is_empty());
}

#[tokio::test]
async fn unwinding_respects_another_case() {
    let mut failing = numbers("zfailing", 0, &[("z", 1)]);
    failing.write = |_, _| Err(ActError::Refused("no".into()));
    let (n, failing) = (numbers("n", 0, &[("a", 5)]).leak(), failing.leak());
    let (rig, log) = (rig(), MemLog::default());
    let params = Params::default();
    let steps = [n as &'static dyn DynAction, failing].map(|action| Step { action, params: &params, accept: Accept::ExactOnly });
    let held = |cell: &CellId, _: &Target| (cell.action() == "n").then(|| "IR-2".to_string());
    let report = rig.with(&log, &never, &held, async |s| s.contain(&steps, &target(), &permit(), OnFailure::Unwind, false).await).await;
    assert_eq!((report.outcome(), n.get("a")), (Outcome::PartlyContained, 0), "{report:?}");
    assert!(report.unwound.unwrap().cells.iter().any(|c| c.back == Back::HeldElsewhere { case: "IR-2".into() }));
}

#[tokio::test]
async fn restore_ends_where_the_world_is_as_before_already() {
    let (rig, log, n) = (rig(), MemLog::default(), numbers("n", 0, &[("a", 5)]).leak());
    contain(&rig, &log, &[n]).await;
    n.put("a", 5);
    let report = restore(&rig, &log, &[n]).await;
    assert_eq!(
        (report.outcome(), &report.cells[0].back, n.sets()),
        (Outcome::Complete, &Back::Restored { wrote: false }, vec!["a=0".to_string()])
    );
}

/// A journal in which another run tells of its write just before the line that ends its hold is appended.
struct Late {
    inner: MemLog,
    numbers: &'static Numbers,
    writes: Mutex<u32>,
}
#[async_trait]
impl IntentLog for Late {
    async fn append(&self, event: JournalEvent) -> Result<(), LogError> {
        self.inner.append(event).await
    }
    async fn append_unless(&self, event: JournalEvent, seen: usize, spoils: &Spoils<'_>) -> Result<bool, LogError> {
        let late = {
            let mut left = self.writes.lock().unwrap();
            *left = left.saturating_sub(1);
            *left > 0
        };
        if let Some(JournalEvent::Intent { run, cell, .. }) = self.events().first().filter(|_| late) {
            self.numbers.put("a", 0);
            self.inner.append(JournalEvent::Applied { run: run.clone(), cell: cell.clone() }).await?;
        }
        self.inner.append_unless(event, seen, spoils).await
    }
    fn events(&self) -> Vec<JournalEvent> {
        self.inner.events()
    }
}

/// A restore begins while the write of another run of the case is under way.
async fn restored_while_writes_land(writes: u32) -> (RestoreReport, i64, usize) {
    let (rig, log, n) = (rig(), MemLog::default(), numbers("n", 0, &[("a", 5)]).leak());
    contain(&rig, &log, &[n]).await;
    n.put("a", 5);
    let late = Late { inner: log.truncated(1), numbers: n, writes: Mutex::new(writes + 1) };
    let report = restore(&rig, &late, &[n]).await;
    (report, n.get("a"), open_cells(&late.events()).len())
}

#[tokio::test]
async fn a_write_that_is_told_of_behind_the_look_is_put_back_as_well() {
    for (writes, wrote) in [(0, false), (1, true), (2, true), (3, true)] {
        let (report, a, open) = restored_while_writes_land(writes).await;
        assert_eq!((report.outcome(), a, open), (Outcome::Complete, 5, 0), "{writes}: {report:?}");
        assert_eq!(report.cells[0].back, Back::Restored { wrote });
    }
}

#[tokio::test]
async fn a_write_later_than_the_restore_that_ended_its_hold_is_put_back_by_the_next() {
    // One run intends, and its write is long in coming; a restore finds the world as before; another run contains, and is to be restored.
    let (rig, log, n) = (rig(), MemLog::default(), numbers("n", 0, &[("a", 5)]).leak());
    contain(&rig, &log, &[n]).await;
    n.put("a", 5);
    let log = log.truncated(1);
    assert_eq!(restore(&rig, &log, &[n]).await.cells[0].back, Back::Restored { wrote: false });
    *n.aim.lock().unwrap() = 1;
    contain(&rig, &log, &[n]).await;
    let late = Late { inner: log, numbers: n, writes: Mutex::new(2) };
    let report = restore(&rig, &late, &[n]).await;
    assert_eq!((report.outcome(), n.get("a"), open_cells(&late.events())), (Outcome::Complete, 5, vec![]), "{report:?}");
}

#[tokio::test]
async fn unwinding_lets_go_of_what_it_had_found_contained_and_drifted_since() {
    let (rig, log, n) = (rig(), MemLog::default(), numbers("n", 0, &[("a", 5)]).leak());
    contain(&rig, &log, &[n]).await;
    // Meanwhile somebody sets it to something else, and this run fails.
    static SEEN: Mutex<Option<&'static Numbers>> = Mutex::new(None);
    *SEEN.lock().unwrap() = Some(n);
    let mut failing = numbers("zfailing", 0, &[("z", 1)]);
    failing.write = |_, _| {
        SEEN.lock().unwrap().unwrap().put("a", 9);
        Err(ActError::Refused("no".into()))
    };
    let report = contain_as(&rig, &log, &[n, failing.leak()], Accept::ExactOnly, OnFailure::Unwind, &target()).await;
    let backs: Vec<_> = report.unwound.as_ref().unwrap().cells.iter().filter(|c| c.cell.action() == "n").map(|c| &c.back).collect();
    assert_eq!((backs, report.outcome()), (vec![&Back::Released], Outcome::Unwound), "{report:?}");
    assert_eq!(log.events().iter().filter(|e| matches!(e, JournalEvent::Drift { .. })).count(), 1);
    let open = open_cells(&log.events());
    assert_eq!((open.len(), open[0].grasps.len(), open[0].before()), (1, 1, Some(&json!(5))), "the earlier run's hold goes on");
}

#[tokio::test]
async fn a_hold_over_what_others_keep_writing_to_does_not_end() {
    let (report, _, open) = restored_while_writes_land(9).await;
    assert_eq!((report.outcome(), &report.cells[0].back, open), (Outcome::Stuck, &Back::Stuck, 1), "{report:?}");
    assert!(report.cells[0].error.as_ref().unwrap().what.contains("kept writing"), "{report:?}");
}

#[tokio::test]
async fn another_account_or_region_is_never_touched_by_mistake() {
    let (rig, log, n) = (rig(), MemLog::default(), numbers("n", 0, &[("a", 5)]).leak());
    let elsewhere = Target { account: "999999999999".into(), ..target() };
    let report = contain_as(&rig, &log, &[n], Accept::ExactOnly, OnFailure::Hold, &elsewhere).await;
    assert_eq!((report.outcome(), n.sets().len()), (Outcome::Refused, 0), "{report:?}");

    // A journal of another account, restored with these credentials.
    contain(&rig, &log, &[n]).await;
    let moved: Vec<JournalEvent> = log
        .events()
        .iter()
        .map(|e| serde_json::from_str(&serde_json::to_string(e).unwrap().replace("123456789012", "999999999999")).unwrap())
        .collect();
    let report = restore(&rig, &MemLog::new(moved), &[n]).await;
    assert_eq!((report.outcome(), n.get("a")), (Outcome::Stuck, 0), "{report:?}");

    // The same cell id in two Regions: the second is refused while the first is open, or restore could not tell them apart.
    let other = Target { region: "us-east-1".into(), ..target() };
    let freeze = freezeframe::contain::find("freeze-concurrency").unwrap();
    let log = MemLog::default();
    contain(&rig, &log, &[freeze]).await;
    let writes = rig.aws.landed().len();
    let report = contain_as(&rig, &log, &[freeze], Accept::ExactOnly, OnFailure::Hold, &other).await;
    assert_eq!((report.cells[0].stand, rig.aws.landed().len()), (Stand::Untouched, writes), "{report:?}");
    assert!(report.cells[0].error.as_ref().unwrap().what.contains("another account or Region"));
}

#[tokio::test]
async fn errors_from_outside_are_tamed() {
    let mut n = numbers("n", 0, &[("a", 5)]);
    n.write = |_, _| Err(ActError::Refused(format!("\u{1b}[31m{}", "x".repeat(5000))));
    let (rig, log, n) = (rig(), MemLog::default(), n.leak());
    let report = contain(&rig, &log, &[n]).await;
    let what = &report.cells[0].error.as_ref().unwrap().what;
    assert!(!what.contains('\u{1b}') && what.chars().count() <= 600);
    assert_eq!(report.outcome(), Outcome::Failed);
}

#[tokio::test]
async fn a_conflict_is_outlasted() {
    let (rig, log, n) = (rig(), MemLog::default(), numbers("n", 0, &[("a", 5)]).leak());
    *n.conflicts.lock().unwrap() = 3;
    assert_eq!((contain(&rig, &log, &[n]).await.outcome(), n.get("a")), (Outcome::Complete, 0));
    *n.conflicts.lock().unwrap() = 3;
    assert_eq!((restore(&rig, &log, &[n]).await.outcome(), n.get("a")), (Outcome::Complete, 5));
    // One intent and one restore each, however often it was tried.
    assert_eq!((log.events().len(), n.sets().len()), (5, 8));
    *n.conflicts.lock().unwrap() = u32::MAX;
    assert_eq!((contain(&rig, &log, &[n]).await.outcome(), n.get("a")), (Outcome::Failed, 5));
}

#[tokio::test]
async fn what_an_earlier_run_left_is_still_ours_when_a_later_write_did_not_land() {
    let mut n = numbers("n", 0, &[("a", 5)]);
    n.write = |at, to| match to {
        1 => Err(ActError::Refused("not this".into())),
        to => {
            *at = to;
            Ok(())
        }
    };
    let (rig, log, n) = (rig(), MemLog::default(), n.leak());
    contain(&rig, &log, &[n]).await;
    *n.aim.lock().unwrap() = 1;
    assert_eq!(contain(&rig, &log, &[n]).await.outcome(), Outcome::Failed);
    let report = restore(&rig, &log, &[n]).await;
    assert_eq!((report.outcome(), n.get("a")), (Outcome::Complete, 5), "{report:?}");
}

/// Refuses one line, the n-th from now (1 is the next), and takes all others.
struct FickleLog(MemLog, Mutex<usize>);
#[async_trait]
impl IntentLog for FickleLog {
    async fn append(&self, event: JournalEvent) -> Result<(), LogError> {
        let n = {
            let mut left = self.1.lock().unwrap();
            *left = left.wrapping_sub(1);
            *left
        };
        if n == 0 { Err(LogError("just this once".into())) } else { self.0.append(event).await }
    }
    fn events(&self) -> Vec<JournalEvent> {
        self.0.events()
    }
}

#[tokio::test]
async fn a_journal_that_refused_once_is_not_trusted_again() {
    // Three lines for each of three cells; one is refused.
    for n in 1..=9 {
        let (rig, log) = (rig(), FickleLog(MemLog::default(), Mutex::new(n)));
        let numbers = numbers("n", 0, &[("a", 5), ("b", 6), ("c", 7)]).leak();
        let report = contain(&rig, &log, &[numbers]).await;
        assert_eq!(report.outcome(), if n == 1 { Outcome::Failed } else { Outcome::PartlyContained }, "{n}: {report:?}");
        assert_eq!(numbers.sets().len(), (n - 1).div_ceil(3), "{n}: nothing is begun after the refusal");
        assert_eq!(restore(&rig, &MemLog::new(log.events()), &[numbers]).await.outcome(), Outcome::Complete, "{n}");
        assert_eq!(["a", "b", "c"].map(|k| numbers.get(k)), [5, 6, 7], "{n}");
    }
    // Two lines each to restore.
    for n in 1..=6 {
        let (rig, log) = (rig(), MemLog::default());
        let numbers = numbers("n", 0, &[("a", 5), ("b", 6), ("c", 7)]).leak();
        contain(&rig, &log, &[numbers]).await;
        let log = FickleLog(log, Mutex::new(n));
        let report = restore(&rig, &log, &[numbers]).await;
        assert_eq!((report.outcome(), numbers.sets().len() - 3), (Outcome::Stuck, n / 2), "{n}: {report:?}");
        assert_eq!(restore(&rig, &log.0, &[numbers]).await.outcome(), Outcome::Complete, "{n}");
        assert_eq!(["a", "b", "c"].map(|k| numbers.get(k)), [5, 6, 7], "{n}");
    }
}
