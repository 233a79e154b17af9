//! Floor 3, changing: one file per action, one line in [`ACTIONS`].
//!
//! An action never writes an undo. It says how to find, read and set *cells* (independently writable pieces of remote state); the engine
//! journals the before-state durably ahead of every write, and restores from the journal alone by setting the cells to it again.

mod bearing;
pub mod by_hand;
mod cx;
pub mod deny;
pub mod permit;
mod policy_text;
pub(crate) mod role;
mod role_users;
mod roles_in_use;
mod standing_deny;
mod touched;

mod block_role_assumption;
mod detach_permissions;
mod freeze_concurrency;
mod quarantine_role;
mod revoke_sessions;
mod set_permissions_boundary;
// On the function's sources, its asynchronous events, aliases and durable executions.
mod capture_async_events;
mod disable_rules;
mod disable_schedules;
mod pause_durable_executions;
mod publish_evidence_version;
mod repoint_alias;
mod sources;
mod stop_pipes;
mod stop_subscribers;

// The function's own surface.
mod close_function_urls;
mod deny_invocation;
mod enforce_code_signing;
mod grants;
mod pause_event_source_mappings;
mod policy_calls;
mod qualifiers;
mod release_provisioned_concurrency;
mod resource_policy;
mod scale_to_zero;

pub use bearing::Bearing;
pub use by_hand::AwsCli;
pub use cx::ActCx;
pub use permit::ContainPermit;

use crate::aws::fault::Fault;
use crate::model::call::{Access, Call, Service};
use crate::model::id::CellId;
use crate::model::params::Param;
use crate::model::restorable::Restorable;
use crate::model::target::Target;
use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt::Debug;

#[derive(Debug)]
pub struct ActionSpec {
    pub id: &'static str,
    pub title: &'static str,
    pub stops: &'static str,
    pub does_not_stop: &'static str,
    pub side_effects: &'static str,
    /// How it is put back, in the responder's words.
    pub restore: &'static str,
    pub calls: &'static [Call],
    pub params: &'static [Param],
    /// Restore runs in ascending rank, and newest first within a rank: denies are lifted after all else (2), but for what needs the function
    /// whole again: async capture, whose former destination Lambda checks against the role (3), and sources and executions that would call
    /// a function which can do nothing yet (4).
    pub restore_rank: u8,
    /// Whether calls of the function come to anything while it is contained, and whether it calls once it is back: what sources wait for.
    pub bearing: Bearing,
}

impl ActionSpec {
    /// Whether anything that it writes is an identity's: a role, or what hangs on it.
    pub fn writes_roles(&self) -> bool {
        self.calls.iter().any(|c| c.access == Access::Write && c.service == Service::Iam)
    }
    /// Its cells lie in no Region: all that it writes is global.
    pub fn is_global(&self) -> bool {
        self.calls.iter().filter(|c| c.access == Access::Write).all(|c| c.service.is_global())
    }
}

/// A piece of remote state that one write changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    pub id: CellId,
    /// In words: `reserved concurrency of payments-export`.
    pub label: String,
    /// What `contained` needs besides the before-state, as found by `cells` (a role id, a scope). Shown in reports; the journal holds what
    /// follows from it, the after-state.
    pub facts: Value,
}

/// What a cell reads as.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading<S> {
    Settled(S),
    /// AWS is still changing it (a mapping that is `Disabling`): read again.
    Moving,
    /// The thing itself has come to its end (an execution that finished): nothing is left to stop, and nothing to put back.
    Over,
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum ActError {
    /// AWS did not do or say what was asked.
    #[error("{doing} failed")]
    Call {
        doing: String,
        /// The IAM action, to name in a hint when it was denied.
        action: Option<&'static str>,
        #[source]
        source: Fault,
    },
    /// What the cell is part of (a version, a role) does not exist, and AWS says so by the error's name; nothing is left that could be put back.
    #[error("{what} does not exist")]
    Gone {
        what: String,
        #[source]
        source: Fault,
    },
    /// A state in the journal is not of this action's form.
    #[error("the recorded state of {cell} cannot be read")]
    State { cell: String, why: String },
    /// The action does not apply, or may not be done; says why and what would lift it.
    #[error("{0}")]
    Refused(String),
    /// What is to be written follows from a read, and what was read is not there any more: somebody came in between. Nothing was sent.
    #[error("somebody changed {0} since it was read; nothing was written")]
    Overtaken(String),
}

#[async_trait]
pub trait Action: Send + Sync {
    /// Equality is the action's own: two states are equal when nobody needs to set the one to the other.
    type State: Serialize + DeserializeOwned + PartialEq + Clone + Debug + Send + Sync;
    fn spec(&self) -> &'static ActionSpec;
    /// Read-only: what would be touched.
    async fn cells(&self, cx: &ActCx<'_>) -> Result<Vec<Cell>, ActError>;
    /// Must work from the id alone: restore has nothing else.
    async fn read(&self, cx: &ActCx<'_>, cell: &CellId) -> Result<Reading<Self::State>, ActError>;
    /// Pure. Fails only for a cell that `cells` did not make.
    fn contained(&self, cell: &Cell, before: &Self::State) -> Result<Self::State, ActError>;
    /// Pure; asked before anything changes.
    fn restorable(&self, before: &Self::State) -> Restorable;
    /// Absolute, so repeatable: setting twice is setting once. Must work from the id alone. Gives [`ActError::Overtaken`] only before it has sent
    /// anything: the intent is then taken back.
    async fn set(&self, cx: &ActCx<'_>, cell: &CellId, to: &Self::State, permit: &ContainPermit) -> Result<(), ActError>;
    /// Pure: a state as reports show it. The journal holds the whole of it; what may be a secret has no place in a report.
    fn shown(&self, state: &Self::State) -> Value {
        serde_json::to_value(state).unwrap_or_default()
    }
    /// Pure: what `set(before)` does, as aws-cli commands that do the same when run twice. Without Region: the caller adds the target's.
    fn by_hand(&self, target: &Target, cell: &CellId, before: &Self::State) -> Result<Vec<AwsCli>, ActError>;
}

/// [`Action`] with its state erased to JSON: what registry, journal and saga speak.
#[async_trait]
pub trait DynAction: Send + Sync {
    fn spec(&self) -> &'static ActionSpec;
    async fn cells(&self, cx: &ActCx<'_>) -> Result<Vec<Cell>, ActError>;
    async fn read(&self, cx: &ActCx<'_>, cell: &CellId) -> Result<Reading<Value>, ActError>;
    fn contained(&self, cell: &Cell, before: &Value) -> Result<Value, ActError>;
    fn restorable(&self, cell: &CellId, before: &Value) -> Result<Restorable, ActError>;
    /// As reports show it; a state that is not of this action's form is shown as it is.
    fn shown(&self, cell: &CellId, state: &Value) -> Value;
    async fn set(&self, cx: &ActCx<'_>, cell: &CellId, to: &Value, permit: &ContainPermit) -> Result<(), ActError>;
    /// Whether two states are one, as the action's own `PartialEq` has it: AWS may give the same back in other words.
    fn same(&self, a: &Value, b: &Value) -> bool;
    /// In the target's Region.
    fn by_hand(&self, target: &Target, cell: &CellId, before: &Value) -> Result<Vec<AwsCli>, ActError>;
}

fn erased<S: Serialize>(cell: &CellId, state: &S) -> Result<Value, ActError> {
    serde_json::to_value(state).map_err(|e| ActError::State { cell: cell.to_string(), why: e.to_string() })
}
fn typed<S: DeserializeOwned>(cell: &CellId, state: &Value) -> Result<S, ActError> {
    serde_json::from_value(state.clone()).map_err(|e| ActError::State { cell: cell.to_string(), why: e.to_string() })
}

#[async_trait]
impl<A: Action> DynAction for A {
    fn spec(&self) -> &'static ActionSpec {
        Action::spec(self)
    }
    async fn cells(&self, cx: &ActCx<'_>) -> Result<Vec<Cell>, ActError> {
        Action::cells(self, cx).await
    }
    async fn read(&self, cx: &ActCx<'_>, cell: &CellId) -> Result<Reading<Value>, ActError> {
        Ok(match Action::read(self, cx, cell).await? {
            Reading::Settled(state) => Reading::Settled(erased(cell, &state)?),
            Reading::Moving => Reading::Moving,
            Reading::Over => Reading::Over,
        })
    }
    fn contained(&self, cell: &Cell, before: &Value) -> Result<Value, ActError> {
        erased(&cell.id, &Action::contained(self, cell, &typed(&cell.id, before)?)?)
    }
    fn restorable(&self, cell: &CellId, before: &Value) -> Result<Restorable, ActError> {
        Ok(Action::restorable(self, &typed(cell, before)?))
    }
    fn shown(&self, cell: &CellId, state: &Value) -> Value {
        typed(cell, state).map_or_else(|_| state.clone(), |state| Action::shown(self, &state))
    }
    async fn set(&self, cx: &ActCx<'_>, cell: &CellId, to: &Value, permit: &ContainPermit) -> Result<(), ActError> {
        Action::set(self, cx, cell, &typed(cell, to)?, permit).await
    }
    fn same(&self, a: &Value, b: &Value) -> bool {
        let read = |v: &Value| serde_json::from_value::<A::State>(v.clone()).ok();
        a == b || matches!((read(a), read(b)), (Some(a), Some(b)) if a == b)
    }
    fn by_hand(&self, target: &Target, cell: &CellId, before: &Value) -> Result<Vec<AwsCli>, ActError> {
        let commands = Action::by_hand(self, target, cell, &typed(cell, before)?)?;
        Ok(commands.into_iter().map(|c| c.in_region(&target.region)).collect())
    }
}

/// All actions, in the order in which a playbook should use them.
pub static ACTIONS: &[&dyn DynAction] = &[
    // Before the function is frozen: what keeps, and what stops nothing but the way there.
    &publish_evidence_version::PublishEvidenceVersion,
    &stop_subscribers::StopSubscribers,
    &stop_pipes::StopPipes,
    &disable_schedules::DisableSchedules,
    &disable_rules::DisableRules,
    &repoint_alias::RepointAlias,
    &capture_async_events::CaptureAsyncEvents,
    &pause_durable_executions::PauseDurableExecutions,
    // The function itself, then its role.
    &freeze_concurrency::FreezeConcurrency,
    &quarantine_role::QuarantineRole,
    &revoke_sessions::RevokeSessions,
    &block_role_assumption::BlockRoleAssumption,
    &set_permissions_boundary::SetPermissionsBoundary,
    &detach_permissions::DetachPermissions,
    // The function's own surface.
    &scale_to_zero::ScaleToZero,
    &deny_invocation::DenyInvocation,
    &pause_event_source_mappings::PauseEventSourceMappings,
    &close_function_urls::CloseFunctionUrls,
    &release_provisioned_concurrency::ReleaseProvisionedConcurrency,
    &enforce_code_signing::EnforceCodeSigning,
];

pub fn find(id: &str) -> Option<&'static dyn DynAction> {
    ACTIONS.iter().copied().find(|a| a.spec().id == id)
}
