//! Containment: cell by cell, the before-state durable ahead of every write, and the world asked afterwards what became of it.
//!
//! The order for a cell (`architecture.md` §4): read until settled; equal to the contained state → write nothing; not exactly restorable →
//! refuse unless accepted; intent durable; set; read back. A write that failed is never believed to have done nothing, nor one that
//! succeeded to have done everything: the read back decides, and the intent stays open either way, for restore to compare. Only where somebody came
//! in before anything was sent is the intent taken back, and the cell read again: a hold with what he changed as no part of its before-state would
//! have restore undo it.
//!
//! What it never does: write without a durable intent, delete an intent, decide what to contain, print.

use super::contain_report::{ActionRemark, ActionTrouble, CellReport, ContainReport, Stand, Trouble};
use super::log::{open_cells, restores_begun, same_place};
use super::others::Restores;
use super::saga::{OnFailure, SETTLE_EVERY, Saga, SagaNote, Seen, Step, Unread};
use crate::aws::fault::tame;
use crate::contain::{ActCx, ActError, Cell, ContainPermit, DynAction};
use crate::model::id::CellId;
use crate::model::journal_event::JournalEvent;
use crate::model::outcome::Outcome;
use crate::model::refusal::Refusal;
use crate::model::restorable::{Accept, Restorable};
use crate::model::target::Target;
use futures_util::future::join;
use serde_json::Value;

/// Somebody who began to put the cell back is waited for; after a minute he is taken for dead.
const RESTORE_READS: u32 = 30;

/// So often may others put the cell back, or change it, under our hands before we give up.
const CONTENDED: u32 = 8;

/// A word of the gate is good for so long.
const LEAVE_NS: u64 = 1_000_000_000;

impl Saga<'_> {
    /// Contain the target. With `dry_run` nothing is written, neither to AWS nor to the journal.
    pub async fn contain(
        &self,
        steps: &[Step<'_>],
        target: &Target,
        permit: &ContainPermit,
        on_failure: OnFailure,
        dry_run: bool,
    ) -> ContainReport {
        let mut report =
            ContainReport { dry_run, cells: vec![], actions: vec![], remarks: vec![], interrupted: false, journal: None, unwound: None };
        self.log.catch_up().await;
        self.others.look_again().await;
        for step in steps {
            if (self.stop)() {
                report.interrupted = true;
                break;
            }
            if report.journal.is_some() || (on_failure == OnFailure::Unwind && failed(&report)) {
                break;
            }
            let id = step.action.spec().id;
            (self.progress)(SagaNote::Looking { action: id });
            let cx = match self.cx(step.action, target, step.params) {
                Ok(cx) => cx.holding(self.held(id, target)),
                Err(error) => {
                    report.actions.push(ActionTrouble { action: id, error, refused: true });
                    continue;
                }
            };
            let found = step.action.cells(&cx).await;
            report.remarks.extend(cx.remarks().into_iter().map(|words| ActionRemark { action: id, words: tame(&words, 300) }));
            let trouble = |e: &ActError| ActionTrouble { action: id, error: Trouble::of(e), refused: matches!(e, ActError::Refused(_)) };
            report.actions.extend(cx.shortfalls().iter().map(trouble));
            let cells = match found {
                Ok(cells) => cells,
                Err(e) => {
                    report.actions.push(trouble(&e));
                    continue;
                }
            };
            for cell in &cells {
                let mut entry = CellReport {
                    cell: cell.id.clone(),
                    label: tame(&cell.label, 300),
                    action: id,
                    facts: cell.facts.clone(),
                    stand: Stand::NotBegun,
                    before: None,
                    after: None,
                    restorable: None,
                    error: None,
                };
                if !(self.stop)() && report.journal.is_none() && !(on_failure == OnFailure::Unwind && failed(&report)) {
                    let refusal = Box::pin(self.contain_cell(step, &cx, cell, permit, dry_run, &mut entry)).await;
                    report.journal = report.journal.or(refusal.err());
                }
                (self.progress)(SagaNote::Contained { report: &entry });
                report.cells.push(entry);
            }
        }
        report.interrupted |= (self.stop)() && report.any(&[Stand::NotBegun]);
        if on_failure == OnFailure::Unwind && !dry_run && !report.interrupted && failed(&report) {
            let steps: Vec<&'static dyn DynAction> = steps.iter().map(|s| s.action).collect();
            report.unwound = Some(self.unwind(&steps).await);
        }
        report
    }

    /// One cell, from the first look to the last. `Err` is the journal's refusal.
    async fn contain_cell(
        &self,
        step: &Step<'_>,
        cx: &ActCx<'_>,
        cell: &Cell,
        permit: &ContainPermit,
        dry_run: bool,
        entry: &mut CellReport,
    ) -> Result<(), Trouble> {
        let (action, id, target) = (step.action, &cell.id, cx.target());
        (self.progress)(SagaNote::Reading { cell: id, label: &entry.label });
        entry.stand = Stand::Untouched;
        if open_cells(&self.log.events()).iter().any(|o| o.cell == *id && o.grasps.iter().any(|g| !same_place(id, &g.target, target))) {
            entry.error =
                Some(Trouble::saying(format!("this case already holds {id} in another account or Region; use another case for {target}")));
            return Ok(());
        }
        let mut patience = RESTORE_READS;
        let mut overtaken = None;
        for _ in 0..CONTENDED {
            // Whoever is putting the cell back is let through first; what he leaves is what we find.
            while patience > 0 && self.restores(id).open {
                patience -= 1;
                self.clock.sleep(SETTLE_EVERY).await;
                self.log.catch_up().await;
                self.others.look_again().await;
            }
            let begun = self.restores(id).begun;
            let asked = self.clock.monotonic_ns();
            let leave = async { if dry_run { Ok(()) } else { self.gate.may(action, cell).await } };
            let (read, leave) = join(self.settled(action, cx, id), leave).await;
            if let Err(refusal) = leave {
                return self.refused(id, refusal, entry).await;
            }
            let before = match read {
                Ok(state) => state,
                Err(Unread::Over) => {
                    entry.stand = Stand::Over;
                    return Ok(());
                }
                Err(Unread::Stopped) => {
                    entry.stand = Stand::NotBegun;
                    return Ok(());
                }
                Err(Unread::Failed(trouble) | Unread::Gone(trouble)) => {
                    entry.error = Some(trouble);
                    return Ok(());
                }
            };
            let (after, restorable) = match action.contained(cell, &before).and_then(|after| Ok((after, action.restorable(id, &before)?))) {
                Ok(both) => both,
                Err(e) => {
                    if matches!(e, ActError::Refused(_)) {
                        entry.stand = Stand::Refused;
                        entry.before = Some(action.shown(id, &before));
                    }
                    entry.error = Some(Trouble::of(&e));
                    return Ok(());
                }
            };
            (entry.before, entry.after) = (Some(action.shown(id, &before)), Some(action.shown(id, &after)));
            entry.restorable = Some(restorable.clone());

            if action.same(&after, &before) {
                if dry_run {
                    entry.stand = Stand::AlreadyContained;
                    return Ok(());
                }
                let event = JournalEvent::AlreadyContained { run: self.run.clone(), cell: id.clone(), target: target.arn(), state: before };
                self.journal(event).await.inspect_err(|e| entry.error = Some(e.clone()))?;
                self.others.glance().await;
                if self.restores(id).begun == begun {
                    entry.stand = Stand::AlreadyContained;
                    return Ok(());
                }
                overtaken = None;
                continue;
            }
            let (needs, why) = match &restorable {
                Restorable::Exactly => (Accept::ExactOnly, ""),
                Restorable::Leaves(what) | Restorable::Approximately(what) => (Accept::Approximate, what.as_str()),
                Restorable::No(why) => (Accept::Irreversible, why.as_str()),
            };
            if step.accept < needs {
                entry.stand = Stand::Refused;
                entry.error = Some(Trouble::saying(format!("{id} cannot be restored exactly, which the playbook did not accept: {why}")));
                return Ok(());
            }
            if dry_run {
                entry.stand = Stand::WouldContain;
                return Ok(());
            }
            if (self.stop)() {
                entry.stand = Stand::NotBegun;
                return Ok(());
            }
            // The setting was long in settling: somebody may have halted meanwhile.
            if self.clock.monotonic_ns().saturating_sub(asked) > LEAVE_NS
                && let Err(refusal) = self.gate.may(action, cell).await
            {
                return self.refused(id, refusal, entry).await;
            }

            let (run, permit_record) = (self.run.clone(), permit.record().clone());
            self.journal(JournalEvent::Intent {
                run,
                cell: id.clone(),
                target: target.arn(),
                before,
                after: after.clone(),
                restorable,
                permit: permit_record,
            })
            .await
            .inspect_err(|e| entry.error = Some(e.clone()))?;
            self.others.glance().await;
            overtaken = match self.restores(id).begun == begun {
                true => match self.apply(action, cx, id, &after, permit, entry).await? {
                    None => return Ok(()),
                    by_somebody => by_somebody,
                },
                // Somebody put the cell back while we read: what we found may be his leavings, and must not become what we restore to.
                false => None,
            };
            self.void(id).await.inspect_err(|e| entry.error = Some(e.clone()))?;
        }
        entry.stand = Stand::Untouched;
        entry.error = Some(Trouble::saying(match overtaken {
            Some(why) => format!("{}; this was the last of {CONTENDED} tries", why.what),
            None => format!("others put {id} back {CONTENDED} times while it was to be contained"),
        }));
        Ok(())
    }

    /// The intent stands: write, and look what became of it. Gives why nothing was sent, where somebody came in between: the intent is then to be
    /// taken back.
    async fn apply(
        &self,
        action: &'static dyn DynAction,
        cx: &ActCx<'_>,
        id: &CellId,
        after: &Value,
        permit: &ContainPermit,
        entry: &mut CellReport,
    ) -> Result<Option<Trouble>, Trouble> {
        (self.progress)(SagaNote::Writing { cell: id, label: &entry.label });
        let wrote = self.write(action, cx, id, after, permit).await;
        if let Err(e @ ActError::Overtaken(_)) = &wrote {
            return Ok(Some(Trouble::of(e)));
        }
        // From here on the world may have changed. A journal that refuses now ends the run, but not before the look.
        let noted = match &wrote {
            Ok(()) => self.journal(JournalEvent::Applied { run: self.run.clone(), cell: id.clone() }).await,
            Err(e) => {
                let error = Trouble::of(e);
                entry.error = Some(error.clone());
                self.journal(JournalEvent::ApplyFailed { run: self.run.clone(), cell: id.clone(), error: error.what }).await
            }
        };
        let seen = match self.confirmed(action, cx, id, after).await {
            Ok(Seen::Over) => {
                entry.stand = Stand::Over;
                // That the write failed is no news of something that was over.
                entry.error = None;
                let state = Value::from("over");
                self.journal(JournalEvent::ReadBack { run: self.run.clone(), cell: id.clone(), state, holds: true }).await
            }
            Ok(Seen::State(state)) => {
                let holds = action.same(&state, after);
                entry.stand = if holds { Stand::Contained } else { Stand::NotHolding };
                if !holds && entry.error.is_none() {
                    entry.error = Some(Trouble::saying(format!("AWS accepted the write, yet {id} reads otherwise")));
                }
                self.journal(JournalEvent::ReadBack { run: self.run.clone(), cell: id.clone(), state, holds }).await
            }
            Err(trouble) => {
                entry.stand = Stand::Unknown;
                entry.error.get_or_insert(trouble);
                Ok(())
            }
        };
        noted.and(seen).map(|()| None)
    }

    /// A guardrail's no, in the journal too. Untouched.
    async fn refused(&self, cell: &CellId, refusal: Refusal, entry: &mut CellReport) -> Result<(), Trouble> {
        entry.stand = Stand::Refused;
        entry.error = Some(Trouble::saying(refusal.to_string()));
        self.journal(JournalEvent::Refused { run: self.run.clone(), cell: Some(cell.clone()), refusal }).await
    }

    /// Take back this run's intent, of which nothing was written. It is one line and tells of no failure: a run that dies before it leaves what one
    /// leaves that dies before its write, one that dies behind it no hold; and a failure that is told of would open a hold again that a restore of
    /// another run ended ([`open_cells`]). Where one did there is nothing to take back, and the line would end other runs' holds.
    async fn void(&self, cell: &CellId) -> Result<(), Trouble> {
        let ends = |event: &JournalEvent| matches!(event, JournalEvent::Restored { run, cell: c, .. } if c == cell && run != self.run);
        loop {
            let events = self.log.events();
            if !open_cells(&events).iter().any(|o| o.cell == *cell && o.of_run(self.run).is_some()) {
                return Ok(());
            }
            let event = JournalEvent::Restored { run: self.run.clone(), cell: cell.clone(), wrote: false, through: None };
            if self.log.append_unless(event, events.len(), &ends).await.map_err(|e| Trouble::of(&e))? {
                return Ok(());
            }
        }
    }

    /// What other runs, of this case and of others, have done to put the cell back.
    fn restores(&self, cell: &CellId) -> Restores {
        restores_begun(&self.log.events(), cell, Some(self.run)).and(self.others.restores(cell))
    }

    /// The cells of this action that this case or another one holds.
    fn held(&self, action: &str, target: &Target) -> Vec<CellId> {
        let mut held = self.others.cells(action, target);
        let own = open_cells(&self.log.events()).into_iter().filter(|o| o.cell.action() == action);
        held.extend(own.filter(|o| o.grasps.iter().any(|g| same_place(&o.cell, &g.target, target))).map(|o| o.cell));
        held.sort();
        held.dedup();
        held
    }
}

/// Whether something has gone wrong so far that an unwinding playbook unwinds for.
fn failed(report: &ContainReport) -> bool {
    !matches!(report.outcome(), Outcome::Complete | Outcome::Interrupted)
}
