//! What containment says of itself: how every cell stands, what could not be found or written, and what that makes of the whole.

use super::restore::RestoreReport;
use crate::aws::fault::{FaultClass, tame};
use crate::contain::ActError;
use crate::model::causes::with_causes;
use crate::model::id::CellId;
use crate::model::outcome::Outcome;
use crate::model::restorable::Restorable;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::error::Error;

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
        let what = with_causes(error);
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

/// An action whose cells could not be found, or not all of them; what else was found went on.
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
    pub unwound: Option<RestoreReport>,
}

impl ContainReport {
    pub(super) fn any(&self, stands: &[Stand]) -> bool {
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
