//! Containment: cell by cell, the before-state durable ahead of every write, and the world asked afterwards what became of it.
//!
//! The order for a cell (`architecture.md` §4): read until settled; equal to the contained state → write nothing; not exactly restorable →
//! refuse unless accepted; intent durable; set; read back. A write that failed is never believed to have done nothing, nor one that
//! succeeded to have done everything: the read back decides, and the intent stays open either way, for restore to compare.
//!
//! Two responders may be at it at once, in one case or in two. The intent is durable before the others are looked at, and theirs before they look at
//! ours, so one sees the other: containing gives way to a restore that is under way and reads again, restoring gives way to a hold.
//!
//! What it never does: write without a durable intent, delete an intent, decide what to contain, print.
//!
//! Cancel safety: a saga may be dropped at any await. What was begun is in the log, and restore needs nothing else.

use super::log::{IntentLog, open_cells, restores_begun, same_place};
use super::others::{Others, Restores};
use crate::aws::Connector;
use crate::aws::fault::{FaultClass, tame};
use crate::aws::record::Recorder;
use crate::clock::Clock;
use crate::contain::{ActCx, ActError, Cell, ContainPermit, DynAction, Reading};
use crate::model::id::{CellId, RunId};
use crate::model::journal_event::JournalEvent;
use crate::model::outcome::Outcome;
use crate::model::params::Params;
use crate::model::refusal::Refusal;
use crate::model::restorable::{Accept, Restorable};
use crate::model::target::Target;
pub use crate::playbook::OnFailure;
use async_trait::async_trait;
use futures_util::future::join;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// A mapping takes tens of seconds to stop (`containment.md` C4); after three minutes somebody should look.
pub(super) const SETTLE_EVERY: Duration = Duration::from_secs(2);
const SETTLE_READS: u32 = 90;
/// A read right after a write may still show the old state (IAM is eventually consistent): asked again after these pauses.
const CONFIRM_AFTER: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// Somebody who began to put the cell back is waited for; after a minute he is taken for dead.
const RESTORE_READS: u32 = 30;
/// So often may others put the cell back under our hands before we give up.
const CONTENDED: u32 = 8;

/// AWS refuses a write while another change of the same thing is under way (a deployment, or an attacker's): tried again after these pauses.
const CONFLICT_AFTER: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8)];

/// One action of the plan's contain phase.
#[derive(Clone, Copy)]
pub struct Step<'s> {
    pub action: &'static dyn DynAction,
    pub params: &'s Params,
    pub accept: Accept,
}

/// For a progress display.
#[derive(Clone, Debug)]
pub enum SagaNote<'n> {
    Looking { action: &'n str },
    Reading { cell: &'n CellId, label: &'n str },
    Writing { cell: &'n CellId, label: &'n str },
    Contained { report: &'n CellReport },
    Restoring { cell: &'n CellId },
    Back { report: &'n super::restore::RestoredCell },
}

/// How a cell stands when containment is through with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stand {
    /// Written, and read back as contained.
    Contained,
    /// It was so before; nothing was written.
    AlreadyContained,
    /// The thing itself came to its end (an execution that finished): nothing is left to stop.
    Over,
    /// A dry run would write here.
    WouldContain,
    /// Written, yet it reads otherwise. The intent stays open.
    NotHolding,
    /// Written, and it could not be read back: it may hold. The intent stays open.
    Unknown,
    /// The action declined this cell, a guardrail said no, or it cannot be restored exactly and that was not accepted. Untouched.
    Refused,
    /// Could not be read, or the journal refused. Untouched.
    Untouched,
    /// Interrupted, or an earlier failure ended the run, before it was its turn. Untouched.
    NotBegun,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CellReport {
    pub cell: CellId,
    pub label: String,
    pub action: &'static str,
    pub facts: Value,
    pub stand: Stand,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restorable: Option<Restorable>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Trouble>,
}

/// What went wrong, fit to be shown: one line with its causes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Trouble {
    pub what: String,
    /// The IAM action that was denied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denied: Option<&'static str>,
}

impl Trouble {
    pub(super) fn of(error: &(dyn Error + 'static)) -> Trouble {
        let mut what = error.to_string();
        let mut cause = error.source();
        while let Some(c) = cause {
            what = format!("{what}: {c}");
            cause = c.source();
        }
        let denied = match error.downcast_ref::<ActError>() {
            Some(ActError::Call { action, source, .. }) if source.class == FaultClass::Denied => *action,
            _ => None,
        };
        Trouble { what: tame(&what, 600), denied }
    }
    pub(super) fn saying(what: impl AsRef<str>) -> Trouble {
        Trouble { what: tame(what.as_ref(), 600), denied: None }
    }
}

/// An action whose cells could not be found; the others went on.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ActionTrouble {
    pub action: &'static str,
    pub error: Trouble,
    /// The action itself declined (a service-linked role, say); nothing failed.
    pub refused: bool,
}

/// What an action says about what it found, where nothing is wrong: that there is nothing to pause, say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ActionRemark {
    pub action: &'static str,
    pub words: String,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ContainReport {
    pub dry_run: bool,
    pub cells: Vec<CellReport>,
    pub actions: Vec<ActionTrouble>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<ActionRemark>,
    pub interrupted: bool,
    /// The journal refused: nothing was written from then on.
    pub journal: Option<Trouble>,
    /// Present when a failure made the run unwind.
    pub unwound: Option<super::restore::RestoreReport>,
}

impl ContainReport {
    fn any(&self, stands: &[Stand]) -> bool {
        self.cells.iter().any(|c| stands.contains(&c.stand))
    }

    pub fn outcome(&self) -> Outcome {
        // Where nothing had been begun there was nothing to unwind, and the run merely failed.
        if let Some(unwound) = self.unwound.as_ref().filter(|u| !u.cells.is_empty()) {
            return match unwound.outcome() {
                Outcome::Complete => Outcome::Unwound,
                other => other,
            };
        }
        let failed = self.journal.is_some()
            || self.actions.iter().any(|a| !a.refused)
            || self.any(&[Stand::NotHolding, Stand::Unknown, Stand::Untouched]);
        let refused = self.actions.iter().any(|a| a.refused) || self.any(&[Stand::Refused]);
        let holding = self.any(&[Stand::Contained, Stand::AlreadyContained, Stand::Unknown]);
        match (failed, refused, holding) {
            (false, false, _) if self.interrupted => Outcome::Interrupted,
            (false, false, _) => Outcome::Complete,
            (_, _, true) => Outcome::PartlyContained,
            (false, true, false) => Outcome::Refused,
            (true, _, false) => Outcome::Failed,
        }
    }
}

/// Asked about each cell while its before-state is read, and heard before anything is written. A restore asks nobody.
#[async_trait]
pub trait Gate: Send + Sync {
    async fn may(&self, action: &dyn DynAction, cell: &Cell) -> Result<(), Refusal>;
}

/// Lets everything through: for restores, and for dry runs, which write nothing.
pub struct Unguarded;

#[async_trait]
impl Gate for Unguarded {
    async fn may(&self, _: &dyn DynAction, _: &Cell) -> Result<(), Refusal> {
        Ok(())
    }
}

/// A word of the gate is good for so long.
const LEAVE_NS: u64 = 1_000_000_000;

/// Everything that containment and restore reach the world through.
pub struct Saga<'d> {
    pub connector: &'d Connector,
    pub recorder: Arc<dyn Recorder>,
    /// The account of the credentials: cells of another one are never touched.
    pub account: &'d str,
    /// Who acts, for the journal.
    pub who: &'d str,
    pub run: &'d RunId,
    pub log: &'d dyn IntentLog,
    pub clock: &'d dyn Clock,
    /// True once the run should end: nothing new is begun, what is open stays journalled.
    pub stop: &'d (dyn Fn() -> bool + Sync),
    pub others: &'d dyn Others,
    /// What stands before the writes of containment.
    pub gate: &'d dyn Gate,
    pub progress: &'d (dyn Fn(SagaNote<'_>) + Sync),
}

/// A reading that did not come about.
pub(super) enum Unread {
    Failed(Trouble),
    Stopped,
    Over,
}

/// What a look after a write met.
pub(super) enum Seen {
    State(Value),
    /// The thing came to its end meanwhile, which no write can have been about.
    Over,
}

impl Saga<'_> {
    /// A context in the cell's own Region.
    pub(super) fn cx<'t>(&self, action: &'static dyn DynAction, target: &'t Target, params: &'t Params) -> Result<ActCx<'t>, Trouble> {
        if target.account != self.account {
            let why = format!("{} lies in account {}, the credentials are of {}", target.function, target.account, self.account);
            return Err(Trouble::saying(why));
        }
        let connector = match self.connector.region() == target.region {
            true => self.connector.clone(),
            false => self.connector.in_region(&target.region),
        };
        Ok(ActCx::new(action.spec(), target, params, &connector, self.recorder.clone()).of_run(self.run))
    }

    /// Read until AWS has stopped changing the cell itself.
    pub(super) async fn settled(&self, action: &dyn DynAction, cx: &ActCx<'_>, cell: &CellId) -> Result<Value, Unread> {
        for n in 0..SETTLE_READS {
            if n > 0 {
                self.clock.sleep(SETTLE_EVERY).await;
            }
            if (self.stop)() {
                return Err(Unread::Stopped);
            }
            match action.read(cx, cell).await {
                Ok(Reading::Settled(state)) => return Ok(state),
                Ok(Reading::Moving) => {}
                Ok(Reading::Over) => return Err(Unread::Over),
                Err(e) => return Err(Unread::Failed(Trouble::of(&e))),
            }
        }
        Err(Unread::Failed(Trouble::saying(format!(
            "{cell} is still changing by itself after {} seconds",
            SETTLE_EVERY.as_secs() * u64::from(SETTLE_READS)
        ))))
    }

    /// Set the cell. A conflict is no reason to give up yet; any other failure is for the read back to judge.
    pub(super) async fn write(
        &self,
        action: &dyn DynAction,
        cx: &ActCx<'_>,
        cell: &CellId,
        to: &Value,
        permit: &ContainPermit,
    ) -> Result<(), ActError> {
        let mut pauses = CONFLICT_AFTER.iter();
        loop {
            match (action.set(cx, cell, to, permit).await, pauses.next()) {
                (Err(ActError::Call { source, .. }), Some(pause)) if source.class == FaultClass::Conflict => self.clock.sleep(*pause).await,
                (result, _) => return result,
            }
        }
    }

    /// What a cell reads as after a write that should have made it `wanted`. Not interruptible: a write is not left without a look.
    pub(super) async fn confirmed(&self, action: &dyn DynAction, cx: &ActCx<'_>, cell: &CellId, wanted: &Value) -> Result<Seen, Trouble> {
        let mut last = Err(Trouble::saying(format!("{cell} was still changing by itself")));
        let mut moving = 0;
        let mut pauses = CONFIRM_AFTER.iter();
        loop {
            match action.read(cx, cell).await {
                Ok(Reading::Settled(state)) if action.same(&state, wanted) => return Ok(Seen::State(state)),
                Ok(Reading::Settled(state)) => last = Ok(Seen::State(state)),
                Ok(Reading::Over) => return Ok(Seen::Over),
                Ok(Reading::Moving) if moving < SETTLE_READS => {
                    moving += 1;
                    self.clock.sleep(SETTLE_EVERY).await;
                    continue;
                }
                Ok(Reading::Moving) => return last,
                Err(e) => last = Err(Trouble::of(&e)),
            }
            match pauses.next() {
                Some(pause) => self.clock.sleep(*pause).await,
                None => return last,
            }
        }
    }

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
            let cells = match found {
                Ok(cells) => cells,
                Err(e) => {
                    report.actions.push(ActionTrouble { action: id, error: Trouble::of(&e), refused: matches!(e, ActError::Refused(_)) });
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
                Err(Unread::Failed(trouble)) => {
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
            if self.restores(id).begun == begun {
                return self.apply(action, cx, id, &after, permit, entry).await;
            }
            // Somebody put the cell back while we read: what we found may be his leavings, and must not become what we restore to.
            self.void(id).await.inspect_err(|e| entry.error = Some(e.clone()))?;
        }
        entry.stand = Stand::Untouched;
        entry.error = Some(Trouble::saying(format!("others put {id} back {CONTENDED} times while it was to be contained")));
        Ok(())
    }

    /// The intent stands: write, and look what became of it.
    async fn apply(
        &self,
        action: &'static dyn DynAction,
        cx: &ActCx<'_>,
        id: &CellId,
        after: &Value,
        permit: &ContainPermit,
        entry: &mut CellReport,
    ) -> Result<(), Trouble> {
        (self.progress)(SagaNote::Writing { cell: id, label: &entry.label });
        let wrote = self.write(action, cx, id, after, permit).await;
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
        noted.and(seen)
    }

    /// A guardrail's no, in the journal too. Untouched.
    async fn refused(&self, cell: &CellId, refusal: Refusal, entry: &mut CellReport) -> Result<(), Trouble> {
        entry.stand = Stand::Refused;
        entry.error = Some(Trouble::saying(refusal.to_string()));
        self.journal(JournalEvent::Refused { run: self.run.clone(), cell: Some(cell.clone()), refusal }).await
    }

    /// Take back an intent of this run before anything was written.
    async fn void(&self, cell: &CellId) -> Result<(), Trouble> {
        self.journal(JournalEvent::Restored { run: self.run.clone(), cell: cell.clone(), wrote: false, through: None }).await
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

    pub(super) async fn journal(&self, event: JournalEvent) -> Result<(), Trouble> {
        self.log.append(event).await.map_err(|e| Trouble::of(&e))
    }
}

/// Whether something has gone wrong so far that an unwinding playbook unwinds for.
fn failed(report: &ContainReport) -> bool {
    !matches!(report.outcome(), Outcome::Complete | Outcome::Interrupted)
}
