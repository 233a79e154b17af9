//! One case against one small AWS: run containment and restore with what a test wants to go wrong.

use crate::support::cells::{ACCOUNT, FakeAws, Fault, MemRecorder, World, clock, params_of, target};
use async_trait::async_trait;
use freezeframe::aws::Connector;
use freezeframe::contain::{ACTIONS, ContainPermit, DynAction};
use freezeframe::engine::log::{IntentLog, MemLog, OpenCell, holds, open_cells};
use freezeframe::engine::others::{Others, Restores};
use freezeframe::engine::{Accept, Back, ContainReport, OnFailure, RestoreAsk, RestoreReport, Saga, Step, Unguarded};
use freezeframe::model::id::{CellId, RunId};
use freezeframe::model::journal_event::JournalEvent;
use freezeframe::model::params::Params;
use freezeframe::model::restorable::Restorable;
use freezeframe::model::target::Target;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

pub type Actions = Vec<&'static dyn DynAction>;

/// Each action alone on each starting world, then all in order on the one, and all backwards on the other.
pub fn scenarios() -> Vec<(String, World, Actions)> {
    assert!(!ACTIONS.is_empty());
    let worlds = [("shared role", World::shared_role()), ("own role", World::own_role_with_reservation())];
    let alone =
        worlds.iter().flat_map(|(w, world)| ACTIONS.iter().map(move |a| (format!("{} on {w}", a.spec().id), world.clone(), vec![*a])));
    let all = [
        ("all on shared role".to_string(), World::shared_role(), ACTIONS.to_vec()),
        ("all backwards on own role".to_string(), World::own_role_with_reservation(), ACTIONS.iter().rev().copied().collect()),
    ];
    alone.chain(all).collect()
}

/// Every write of a run goes wrong in each of these ways. Of an action alone each in a run of its own; of all together every third write of a run,
/// each in another way than the one before: between two that go wrong others go well, and whatever one failure did to another cell shows there.
pub fn faulty_runs(actions: &Actions, writes: usize, ways: &[Fault]) -> Vec<Vec<(usize, Fault)>> {
    let apart = if actions.len() == 1 { writes } else { 3 };
    let run = |first: usize, way: usize| {
        let at = (first..=writes).step_by(apart).enumerate();
        at.map(|(k, n)| (n, ways[(way + k) % ways.len()])).collect()
    };
    (1..=apart.min(writes)).flat_map(|first| (0..ways.len()).map(move |way| run(first, way))).collect()
}

/// How many of these keep a write from landing.
pub fn lost(faults: &[(usize, Fault)]) -> usize {
    faults.iter().filter(|(_, f)| !f.lands()).count()
}

/// What was seen before need not be looked at again: from the same journal and the same world restore does the same.
#[derive(Default)]
pub struct Seen(Vec<(Vec<JournalEvent>, World)>);

impl Seen {
    pub fn is_new(&mut self, events: &[JournalEvent], world: &World) -> bool {
        // The newest first: that is the one that is the same.
        if self.0.iter().rev().any(|(e, w)| e == events && w == world) {
            return false;
        }
        self.0.push((events.to_vec(), world.clone()));
        true
    }
}

pub fn permit() -> ContainPermit {
    ContainPermit::by_override("tester", "a test")
}

pub struct Rig {
    pub aws: FakeAws,
    pub connector: Connector,
    pub recorder: Arc<MemRecorder>,
    runs: AtomicUsize,
}

pub fn never() -> bool {
    false
}
pub fn nobody(_: &CellId, _: &Target) -> Option<String> {
    None
}

/// The other case, as its log shows it.
pub struct Beside<'l>(pub &'static str, pub &'l MemLog);

#[async_trait]
impl Others for Beside<'_> {
    async fn look_again(&self) {}
    async fn glance(&self) {}
    fn holder(&self, cell: &CellId, target: &Target) -> Option<String> {
        holds(&self.1.events(), cell, target).then(|| self.0.to_string())
    }
    fn author(&self, cell: &CellId, _: &Target, same: &dyn Fn(&Value) -> bool) -> Option<String> {
        open_cells(&self.1.events()).iter().any(|o| o.cell == *cell && o.is_ours(same)).then(|| self.0.to_string())
    }
    fn restores(&self, _: &CellId) -> Restores {
        Restores::default()
    }
    fn in_doubt(&self) -> Option<(String, String)> {
        None
    }
    fn cells(&self, action: &str, _: &Target) -> Vec<CellId> {
        open_cells(&self.1.events()).into_iter().filter(|o| o.cell.action() == action).map(|o| o.cell).collect()
    }
    fn contained(&self) -> Vec<(String, OpenCell)> {
        open_cells(&self.1.events()).into_iter().map(|o| (self.0.to_string(), o)).collect()
    }
}

impl Rig {
    pub fn new(world: World) -> Rig {
        Rig::on(FakeAws::new(world))
    }

    pub fn on(aws: FakeAws) -> Rig {
        Rig { connector: aws.connector(), aws, recorder: Arc::default(), runs: AtomicUsize::new(0) }
    }

    /// The world as a run left it that ended somehow; runs of this rig are others than any before.
    pub fn after(world: World) -> Rig {
        Rig { runs: AtomicUsize::new(1_000), ..Rig::new(world) }
    }

    /// One whose calls are repeated as the program repeats them.
    pub fn persistent(world: World) -> Rig {
        let aws = FakeAws::new(world);
        Rig { connector: aws.persistent(), aws, recorder: Arc::default(), runs: AtomicUsize::new(0) }
    }

    /// The world but for what containment leaves behind by design.
    pub fn world(&self) -> World {
        let mut world = self.aws.world();
        world.qualified.forget_what_is_left();
        world
    }

    /// A fresh run id: no two runs of a test share one.
    pub fn run(&self) -> RunId {
        RunId(format!("run-{}", self.runs.fetch_add(1, Ordering::SeqCst)))
    }

    pub async fn with<T>(
        &self,
        log: &dyn IntentLog,
        stop: &(dyn Fn() -> bool + Sync),
        others: &dyn Others,
        act: impl AsyncFnOnce(Saga<'_>) -> T,
    ) -> T {
        let (run, clock) = (self.run(), clock());
        let saga = Saga {
            connector: &self.connector,
            recorder: self.recorder.clone(),
            account: ACCOUNT,
            who: "tester",
            run: &run,
            log,
            clock: clock.as_ref(),
            stop,
            gate: &Unguarded,
            others,
            progress: &|_| {},
        };
        act(saga).await
    }

    pub async fn contain_stoppable(
        &self,
        log: &dyn IntentLog,
        actions: &Actions,
        on_failure: OnFailure,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> ContainReport {
        self.contain_beside(log, actions, on_failure, stop, &nobody).await
    }

    pub async fn contain_beside(
        &self,
        log: &dyn IntentLog,
        actions: &Actions,
        on_failure: OnFailure,
        stop: &(dyn Fn() -> bool + Sync),
        others: &dyn Others,
    ) -> ContainReport {
        let params: Vec<Params> = actions.iter().map(|a| params_of(a.spec().id)).collect();
        let steps: Vec<Step<'_>> =
            actions.iter().zip(&params).map(|(a, params)| Step { action: *a, params, accept: Accept::Approximate }).collect();
        self.with(log, stop, others, async |saga| saga.contain(&steps, &target(), &permit(), on_failure, false).await).await
    }

    pub async fn contain(&self, log: &dyn IntentLog, actions: &Actions, on_failure: OnFailure) -> ContainReport {
        self.contain_stoppable(log, actions, on_failure, &never).await
    }

    pub async fn restore_with(&self, log: &dyn IntentLog, ask: &RestoreAsk<'_>) -> RestoreReport {
        self.with(log, &never, &nobody, async |saga| saga.restore(ask).await).await
    }

    pub async fn restore(&self, log: &dyn IntentLog) -> RestoreReport {
        self.restore_with(log, &RestoreAsk { actions: ACTIONS, ..RestoreAsk::default() }).await
    }
}

pub fn count(log: &dyn IntentLog, what: impl Fn(&JournalEvent) -> bool) -> usize {
    log.events().iter().filter(|e| what(e)).count()
}

pub fn intents(log: &dyn IntentLog) -> usize {
    count(log, |e| matches!(e, JournalEvent::Intent { .. }))
}

/// A clean run's writes and journal length, for a test that goes through all of them.
pub async fn clean_run(world: &World, actions: &Actions) -> (usize, usize) {
    let (rig, log) = (Rig::new(world.clone()), MemLog::default());
    rig.contain(&log, actions, OnFailure::Hold).await;
    (rig.aws.landed().len(), log.events().len())
}

/// How many of a clean run's writes are left in place by restore.
pub async fn left_behind(world: &World, actions: &Actions) -> usize {
    let (rig, log) = (Rig::new(world.clone()), MemLog::default());
    let report = rig.contain(&log, actions, OnFailure::Hold).await;
    report.cells.iter().filter(|c| matches!(c.restorable, Some(Restorable::Leaves(_)))).count()
}

/// It reads as before, by a write; or it stays by design.
pub fn undone(back: &Back) -> bool {
    matches!(back, Back::Restored { wrote: true } | Back::Left { .. })
}
