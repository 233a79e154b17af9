//! Restore: set every cell that the case holds to its recorded state again, from the journal alone, at any later time, from any machine.
//!
//! For each cell the world is asked first: as before → done already; as we left it → set it back and look; neither → drift, somebody else's
//! change, reported and left alone unless the cell was named. What fails is stuck, and the others go on: but not the sources of a function that
//! stays contained (`feeding.rs`), and nothing while nobody can say what another case holds (`doubt.rs`). A hold ends only if nobody wrote since the
//! look (`ending.rs`). Killed anywhere, it is run again.
//!
//! What it never does: guess a state, touch a cell that another case holds, stop at the first failure.

use super::feeding::{StillContained, of_other_runs};
use super::log::{OpenCell, in_flight, open_cells, parse_target};
use super::saga::{SETTLE_EVERY, Saga, SagaNote, Seen, Trouble, Unread};
use crate::contain::{ActCx, ContainPermit, DynAction};
use crate::model::id::CellId;
use crate::model::journal_event::JournalEvent;
use crate::model::outcome::Outcome;
use crate::model::params::Params;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// A write that was journalled and not told of yet is waited for so often.
const IN_FLIGHT_READS: u32 = 3;
/// So often is a cell looked at while another run of the case is still writing there.
const LOOKS: u32 = 4;

/// What to restore and how.
#[derive(Clone, Copy, Default)]
pub struct RestoreAsk<'a> {
    /// The actions known to this build: [`crate::contain::ACTIONS`].
    pub actions: &'a [&'static dyn DynAction],
    /// Only cells of these actions; empty means all.
    pub only: &'a [String],
    /// Cells that are set back although they have drifted, or although a case that cannot be read may hold them.
    pub overrule: &'a [CellId],
    pub dry_run: bool,
}

/// What became of a cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "back")]
pub enum Back {
    /// It reads as before.
    Restored { wrote: bool },
    /// What containment added stays, as the playbook accepted; the hold is over.
    Left { what: String },
    /// The thing itself came to its end (an execution that finished, a version or role that was deleted): nothing is left to put back.
    Over,
    /// The case had found it contained and never wrote; its hold is over.
    Released,
    /// A dry run would set it back.
    WouldRestore,
    /// Neither as before nor as we left it; left alone.
    Drift,
    /// Another case holds it; left contained. To be restored when that case lets go.
    HeldElsewhere { case: String },
    /// The journal of that case cannot be read, so nobody can say that it does not hold the cell; left contained.
    InDoubt { case: String },
    /// A source of a function that stays contained by that cell; left off, because all that it feeds would fail. The case is the one that contained
    /// it, where that is another and this restore has nothing to put back there.
    Waits {
        on: CellId,
        #[serde(skip_serializing_if = "Option::is_none")]
        case: Option<String>,
    },
    /// Could not be set back; a person is needed.
    Stuck,
    /// Interrupted, or the journal refused, before it was its turn.
    NotBegun,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RestoredCell {
    pub cell: CellId,
    /// The function's ARN, as journalled.
    pub target: String,
    #[serde(flatten)]
    pub back: Back,
    /// The recorded state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What we had left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<Value>,
    /// What the world showed first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<Value>,
    /// Drift, or doubt, was overruled by name.
    pub overruled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Trouble>,
}

#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct RestoreReport {
    pub dry_run: bool,
    pub cells: Vec<RestoredCell>,
    pub interrupted: bool,
    pub journal: Option<Trouble>,
}

impl RestoreReport {
    pub fn outcome(&self) -> Outcome {
        let any = |f: fn(&Back) -> bool| self.cells.iter().any(|c| f(&c.back));
        if self.journal.is_some() || any(|b| matches!(b, Back::Drift | Back::Stuck)) {
            Outcome::Stuck
        } else if self.interrupted && any(|b| *b == Back::NotBegun) {
            Outcome::Interrupted
        } else if any(|b| matches!(b, Back::HeldElsewhere { .. } | Back::InDoubt { .. } | Back::Waits { .. })) {
            Outcome::PartlyContained
        } else {
            Outcome::Complete
        }
    }
}

/// A state as its action shows it; of an action that this build does not know, nothing is known to be fit to be shown.
fn shown(action: Option<&'static dyn DynAction>, cell: &CellId, state: &Value) -> Value {
    action.map_or(Value::Null, |a| a.shown(cell, state))
}

/// The order in which cells are put back: by rank, so that denies are lifted last, and newest first within a rank.
pub(super) fn in_order(open: Vec<OpenCell>, actions: &[&'static dyn DynAction]) -> Vec<(Option<&'static dyn DynAction>, OpenCell)> {
    let find = |o: &OpenCell| actions.iter().copied().find(|a| a.spec().id == o.cell.action());
    let mut order: Vec<(Option<&'static dyn DynAction>, OpenCell)> = open.into_iter().map(|o| (find(&o), o)).collect();
    order.sort_by_key(|(action, o)| (action.map_or(u8::MAX, |a| a.spec().restore_rank), std::cmp::Reverse(o.newest())));
    order
}

impl Saga<'_> {
    /// Restore what the case holds.
    pub async fn restore(&self, ask: &RestoreAsk<'_>) -> RestoreReport {
        self.log.catch_up().await;
        self.others.look_again().await;
        let mut open = open_cells(&self.log.events());
        open.retain(|o| ask.only.is_empty() || ask.only.iter().any(|a| a == o.cell.action()));
        self.put_back(open, vec![], ask).await
    }

    /// Put back what this run did, and nothing that the case held before it.
    pub(super) async fn unwind(&self, actions: &[&'static dyn DynAction]) -> RestoreReport {
        self.others.look_again().await;
        let all = open_cells(&self.log.events());
        let open = all.iter().filter_map(|o| o.of_run(self.run)).collect();
        let besides = all.into_iter().filter_map(|o| of_other_runs(o, self.run)).collect();
        self.put_back(open, besides, &RestoreAsk { actions, ..RestoreAsk::default() }).await
    }

    /// `besides` is what the case has contained and is not to put back now.
    async fn put_back(&self, open: Vec<OpenCell>, besides: Vec<OpenCell>, ask: &RestoreAsk<'_>) -> RestoreReport {
        let mut report = RestoreReport { dry_run: ask.dry_run, ..RestoreReport::default() };
        let order = in_order(open, ask.actions);
        let feeds = |action: Option<&'static dyn DynAction>| action.is_some_and(|a| a.spec().feeds());
        let fed: Vec<String> = order.iter().filter(|(a, _)| feeds(*a)).flat_map(|(_, o)| &o.grasps).map(|g| g.target.clone()).collect();
        let mut still = StillContained::new(ask.actions, besides);
        // Nobody here can put those back, and nobody can say what they do to the function.
        order.iter().filter(|(action, _)| action.is_none()).for_each(|(_, open)| still.note(open));
        for (action, open) in order {
            let mut entry = RestoredCell {
                cell: open.cell.clone(),
                target: open.grasps.last().map(|g| g.target.clone()).unwrap_or_default(),
                back: Back::NotBegun,
                before: open.before().map(|s| shown(action, &open.cell, s)),
                left: open.left().map(|s| shown(action, &open.cell, s)),
                found: None,
                overruled: false,
                error: None,
            };
            if !(self.stop)() && report.journal.is_none() {
                (self.progress)(SagaNote::Restoring { cell: &open.cell });
                if feeds(action) {
                    self.heed_others(&fed, &mut still).await;
                }
                report.journal = self.restore_until_ended(action, &open, ask, &mut still, &mut entry).await.err();
            }
            if action.is_some() && !feeds(action) {
                still.heed(&open, &entry.back);
            }
            (self.progress)(SagaNote::Back { report: &entry });
            report.cells.push(entry);
        }
        report.interrupted = (self.stop)();
        report
    }

    /// One cell, and again while another run of the case writes there. `Err` is the journal's refusal.
    async fn restore_until_ended(
        &self,
        action: Option<&'static dyn DynAction>,
        open: &OpenCell,
        ask: &RestoreAsk<'_>,
        still: &mut StillContained<'_>,
        entry: &mut RestoredCell,
    ) -> Result<(), Trouble> {
        let mut open = open.clone();
        for _ in 0..LOOKS {
            self.restore_cell(action, &open, ask, still, entry).await?;
            match self.still_held(&open, &entry.back).filter(|_| !ask.dry_run) {
                Some(held) => open = held,
                None => return Ok(()),
            }
        }
        let why = format!("another run of this case kept writing to {}; restore again when it is done", open.cell);
        self.stuck(ask, entry, Trouble::saying(why)).await
    }

    /// One look at a cell, and what follows from it.
    async fn restore_cell(
        &self,
        action: Option<&'static dyn DynAction>,
        open: &OpenCell,
        ask: &RestoreAsk<'_>,
        still: &mut StillContained<'_>,
        entry: &mut RestoredCell,
    ) -> Result<(), Trouble> {
        let Some(action) = action else {
            let why = Trouble::saying(format!("this build knows no action `{}`; use one that does", open.cell.action()));
            return self.stuck(ask, entry, why).await;
        };
        let params = Params::default();
        let target = match parse_target(&entry.target) {
            Some(target) => target,
            None => return self.stuck(ask, entry, Trouble::saying("the journal names no function that this cell belongs to")).await,
        };
        let cx = match self.cx(action, &target, &params) {
            Ok(cx) => cx,
            Err(why) => return self.stuck(ask, entry, why).await,
        };
        // Somebody of this case is about to write here, or died over it: given a moment, he tells, and the world is read after him.
        let mut moments = if ask.dry_run || open.grasps.iter().all(|g| g.run == *self.run) { 0 } else { IN_FLIGHT_READS };
        while moments > 0 && in_flight(&self.log.events(), &open.cell) {
            moments -= 1;
            self.clock.sleep(SETTLE_EVERY).await;
            self.log.catch_up().await;
        }
        let seen = self.log.events().len();
        let found = match self.settled(action, &cx, &open.cell).await {
            Ok(state) => state,
            Err(Unread::Stopped) => return Ok(()),
            Err(Unread::Over | Unread::Gone(_)) => {
                entry.back = Back::Over;
                return self.end(ask, open, &entry.cell, false, seen).await;
            }
            // What stays by design stays whether or not it can be looked at.
            Err(Unread::Failed(_)) if open.leaves().is_some() => return self.left(ask, open, entry, seen).await,
            Err(Unread::Failed(why)) => return self.stuck(ask, entry, why).await,
        };
        entry.found = Some(action.shown(&open.cell, &found));
        let Some(before) = open.before() else {
            // We never wrote here, so there is nothing to put back, whatever it reads as now: only the hold ends.
            entry.back = Back::Released;
            let author = || self.others.author(&open.cell, &target, &|after| action.same(after, &found));
            if self.others.holder(&open.cell, &target).or_else(author).is_some() {
                still.note(open);
            }
            let Some(expected) = open.found().filter(|state| !action.same(state, &found)).cloned() else {
                return self.end(ask, open, &entry.cell, false, seen).await;
            };
            if !ask.dry_run {
                self.journal(JournalEvent::Drift { run: self.run.clone(), cell: open.cell.clone(), expected, found }).await?;
            }
            // The drift ends the hold of a case that never wrote; of a run that takes back its own part, in a case that did, this line does.
            return self.end(ask, open, &entry.cell, false, seen).await;
        };
        if action.same(&found, before) {
            self.end(ask, open, &entry.cell, false, seen).await?;
            entry.back = Back::Restored { wrote: false };
            return Ok(());
        }
        if open.leaves().is_some() {
            return self.left(ask, open, entry, seen).await;
        }
        let doubt = self.in_doubt().await;
        if let Some(case) = self.others.holder(&open.cell, &target) {
            entry.back = Back::HeldElsewhere { case: case.clone() };
            let event = JournalEvent::HeldElsewhere { run: self.run.clone(), cell: open.cell.clone(), case };
            return if ask.dry_run { Ok(()) } else { self.journal(event).await };
        }
        // Not as we left it, but as another case did: two wrote one after the other, and ours is not the one that stands. What stands is that
        // case's to put back; this one keeps nobody from it.
        let ours = open.is_ours(|after| action.same(after, &found));
        if !ours && let Some(case) = self.others.author(&open.cell, &target, &|after| action.same(after, &found)) {
            entry.back = Back::HeldElsewhere { case: case.clone() };
            let event = JournalEvent::HeldElsewhere { run: self.run.clone(), cell: open.cell.clone(), case };
            return if ask.dry_run { Ok(()) } else { self.journal(event).await };
        }
        if !ours && !self.overruled(open, &found, ask, entry).await? {
            return Ok(());
        }
        if let Some(waits) = still.keeps_off(action, open, ask) {
            entry.back = waits;
            return Ok(());
        }
        if let Some((case, why)) = doubt
            && !self.doubt_overruled(open, ask, entry).await?
        {
            return self.doubted(case, &why, ask.dry_run, entry).await;
        }
        if ask.dry_run {
            entry.back = Back::WouldRestore;
            return Ok(());
        }
        if (self.stop)() {
            return Ok(());
        }
        self.set_back(action, &cx, open, &found, before, entry).await
    }

    /// Drift: whether to go on all the same.
    async fn overruled(&self, open: &OpenCell, found: &Value, ask: &RestoreAsk<'_>, entry: &mut RestoredCell) -> Result<bool, Trouble> {
        let (run, cell) = (self.run.clone(), open.cell.clone());
        entry.overruled = ask.overrule.contains(&cell);
        if !entry.overruled {
            entry.back = Back::Drift;
        }
        if !ask.dry_run {
            let event = if entry.overruled {
                JournalEvent::DriftOverruled { run, cell, who: self.who.to_string() }
            } else {
                JournalEvent::Drift { run, cell, expected: open.left().cloned().unwrap_or_default(), found: found.clone() }
            };
            self.journal(event).await?;
        }
        Ok(entry.overruled)
    }

    async fn set_back(
        &self,
        action: &'static dyn DynAction,
        cx: &ActCx<'_>,
        open: &OpenCell,
        found: &Value,
        before: &Value,
        entry: &mut RestoredCell,
    ) -> Result<(), Trouble> {
        let (run, cell) = (self.run.clone(), entry.cell.clone());
        entry.back = Back::Stuck;
        let intent = JournalEvent::RestoreIntent { run, cell: cell.clone(), from: found.clone(), to: before.clone() };
        self.journal(intent).await.inspect_err(|e| entry.error = Some(e.clone()))?;
        // Whoever took hold before our intent was durable has not seen it, and is seen now; whoever comes later sees it.
        self.others.look_again().await;
        let doubt = self.in_doubt().await;
        if let Some(case) = self.others.holder(&cell, cx.target()) {
            entry.back = Back::HeldElsewhere { case: case.clone() };
            return self.journal(JournalEvent::HeldElsewhere { run: self.run.clone(), cell, case }).await;
        }
        if let Some((case, why)) = doubt.filter(|_| !entry.overruled) {
            return self.doubted(case, &why, false, entry).await;
        }
        if let Some(other) = self.taken_since(open) {
            let why = format!("the run {other} of this case took hold of {cell} in the meantime; restore again when it is done");
            return self.failed(entry, Trouble::saying(why)).await;
        }

        let wrote = self.write(action, cx, &cell, before, &ContainPermit::to_restore(self.who)).await;
        let seen = self.log.events().len();
        match (self.confirmed(action, cx, &cell, before).await, wrote) {
            // Also after a write that was reported as failed: it landed.
            (Ok(Seen::State(state)), _) if action.same(&state, before) => {
                entry.back = Back::Restored { wrote: true };
                self.end_as(open, &cell, true, seen).await
            }
            (Ok(Seen::Over), wrote) => {
                entry.back = Back::Over;
                self.end_as(open, &cell, wrote.is_ok(), seen).await
            }
            (_, Err(e)) => self.failed(entry, Trouble::of(&e)).await,
            (Ok(_), Ok(())) => {
                let why = format!("AWS accepted the write, yet {cell} of {} does not read as before", cx.target().function);
                self.failed(entry, Trouble::saying(why)).await
            }
            (Err(why), Ok(())) => self.failed(entry, why).await,
        }
    }

    /// What containment added stays; only the hold ends.
    async fn left(&self, ask: &RestoreAsk<'_>, open: &OpenCell, entry: &mut RestoredCell, seen: usize) -> Result<(), Trouble> {
        entry.back = Back::Left { what: open.leaves().unwrap_or_default().to_string() };
        self.end(ask, open, &entry.cell, false, seen).await
    }

    async fn stuck(&self, ask: &RestoreAsk<'_>, entry: &mut RestoredCell, why: Trouble) -> Result<(), Trouble> {
        entry.back = Back::Stuck;
        if ask.dry_run {
            entry.error = Some(why);
            return Ok(());
        }
        self.failed(entry, why).await
    }

    pub(super) async fn failed(&self, entry: &mut RestoredCell, why: Trouble) -> Result<(), Trouble> {
        entry.error = Some(why.clone());
        self.journal(JournalEvent::RestoreFailed { run: self.run.clone(), cell: entry.cell.clone(), error: why.what }).await
    }

    /// The other run of this case that took hold of the cell after we looked.
    fn taken_since(&self, open: &OpenCell) -> Option<String> {
        let now = open_cells(&self.log.events()).into_iter().find(|o| o.cell == open.cell)?;
        now.grasps.iter().find(|g| g.at > open.newest() && g.run != *self.run).map(|g| g.run.to_string())
    }
}
