//! The saga: what containment (`engine::contain`) and restore ([`super::restore`]) reach the world through, and the three things that both do with
//! a cell: read it until it has settled, set it, and look what became of it.
//!
//! Two responders may be at it at once, in one case or in two. The intent is durable before the others are looked at, and theirs before they look at
//! ours, so one sees the other: containing gives way to a restore that is under way and reads again, restoring gives way to a hold.
//!
//! Cancel safety: a saga may be dropped at any await. What was begun is in the log, and restore needs nothing else.

pub use super::contain_report::{ActionRemark, ActionTrouble, CellReport, ContainReport, Stand, Trouble};
use super::log::IntentLog;
use super::others::Others;
use crate::aws::Connector;
use crate::aws::fault::FaultClass;
use crate::aws::record::Recorder;
use crate::clock::Clock;
use crate::contain::{ActCx, ActError, Cell, ContainPermit, DynAction, Reading};
use crate::model::id::{CellId, RunId};
use crate::model::journal_event::JournalEvent;
use crate::model::params::Params;
use crate::model::refusal::Refusal;
use crate::model::restorable::Accept;
use crate::model::target::Target;
pub use crate::playbook::OnFailure;
use async_trait::async_trait;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// A mapping takes tens of seconds to stop (`containment.md` C4); after three minutes somebody should look.
pub(super) const SETTLE_EVERY: Duration = Duration::from_secs(2);
const SETTLE_READS: u32 = 90;
/// A read right after a write may still show the old state (IAM is eventually consistent): asked again after these pauses.
const CONFIRM_AFTER: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

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
    /// What the cell is part of is gone. To restore that is an end; to contain, which has just been told of the thing, it is a failure.
    Gone(Trouble),
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
        let mut believed = CONFIRM_AFTER.iter();
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
                // Of what was made just now IAM may not know everywhere yet: believed when it says so each time.
                Err(e @ ActError::Gone { .. }) => match believed.next() {
                    Some(pause) => self.clock.sleep(*pause).await,
                    None => return Err(Unread::Gone(Trouble::of(&e))),
                },
                Err(e) => return Err(Unread::Failed(Trouble::of(&e))),
            }
        }
        Err(Unread::Failed(Trouble::saying(format!(
            "{cell} is still changing by itself after {} seconds",
            SETTLE_EVERY.as_secs() * u64::from(SETTLE_READS)
        ))))
    }

    /// Set the cell. A conflict is no reason to give up yet; any other failure is for the read back to judge. [`ActError::Overtaken`] says that nothing
    /// at all was sent, so it is not given once there was a conflict.
    pub(super) async fn write(
        &self,
        action: &dyn DynAction,
        cx: &ActCx<'_>,
        cell: &CellId,
        to: &Value,
        permit: &ContainPermit,
    ) -> Result<(), ActError> {
        let mut pauses = CONFLICT_AFTER.iter();
        let mut sent = false;
        loop {
            match (action.set(cx, cell, to, permit).await, pauses.next()) {
                (Err(ActError::Call { source, .. }), Some(pause)) if source.class == FaultClass::Conflict => {
                    sent = true;
                    self.clock.sleep(*pause).await;
                }
                (Err(ActError::Overtaken(what)), _) if sent => {
                    return Err(ActError::Refused(format!("somebody changed {what} while it was being written")));
                }
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

    pub(super) async fn journal(&self, event: JournalEvent) -> Result<(), Trouble> {
        self.log.append(event).await.map_err(|e| Trouble::of(&e))
    }
}
