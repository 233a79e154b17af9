//! What the handler answers: what was done, or why nothing. No secrets; nothing of an event but its ids, bounded by intake.

use super::act::Acted;
use super::config::{Mode, Settings};
use super::decide::Plan;
use super::keep::Kept;
use super::lease::Claim;
use crate::model::id::RunId;
use crate::model::outcome::Outcome;
use crate::model::refusal::Refusal;
use crate::model::trigger::Trigger;
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Did {
    /// A run was made; `outcome` says how it went.
    Acted,
    /// An earlier delivery of the same finding was dealt with.
    AlreadyHandled,
    /// Another delivery of the same finding is being dealt with.
    BeingHandled,
    /// The finding was tried too often and never brought to its end; a person is needed.
    GaveUp,
    /// A form that is known, and rightly leads to nothing.
    Ignored,
    /// A form that is not known; the event was kept.
    Unknown,
    /// Understood, and by its mode this handler only watches; the event was kept.
    Observed,
    /// Understood, and not to be done; the event was kept.
    Refused,
}

impl fmt::Display for Did {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Did::Acted => "acted",
            Did::AlreadyHandled => "already-handled",
            Did::BeingHandled => "being-handled",
            Did::GaveUp => "gave-up",
            Did::Ignored => "ignored",
            Did::Unknown => "unknown",
            Did::Observed => "observed",
            Did::Refused => "refused",
        })
    }
}

/// The finding that the reply is about.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct About {
    pub source: String,
    pub id: String,
    #[serde(rename = "type")]
    pub kind: String,
    /// 0 to 100.
    pub severity: u8,
    pub function: String,
}

impl About {
    pub(super) fn of(trigger: &Trigger) -> About {
        About {
            source: trigger.source.clone(),
            id: trigger.finding_id.clone(),
            kind: trigger.finding_type.clone(),
            severity: trigger.severity,
            function: trigger.function.clone(),
        }
    }
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Reply {
    /// Version of this form: 1.
    pub v: u32,
    pub did: Did,
    /// One sentence.
    pub why: String,
    pub mode: Mode,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finding: Option<About>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub case: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub playbook: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    pub bundles: Vec<Kept>,
    /// Questions that stayed open.
    pub gaps: u64,
    /// Key in the store under which the event was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_kept: Option<String>,
    /// Why something was not contained although the playbook says so: which rule, where it stands, what would lift it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<Refusal>,
    pub notes: Vec<String>,
}

impl Reply {
    pub(super) fn nothing(did: Did, why: String, settings: &Settings) -> Reply {
        Reply {
            v: 1,
            did,
            why,
            mode: settings.mode,
            finding: None,
            case: None,
            target: None,
            playbook: None,
            run: None,
            outcome: None,
            bundles: vec![],
            gaps: 0,
            event_kept: None,
            refusals: vec![],
            notes: vec![],
        }
    }

    pub(super) fn about(self, trigger: &Trigger) -> Reply {
        Reply { finding: Some(About::of(trigger)), case: trigger.case.clone(), ..self }
    }

    pub(super) fn planned(self, plan: &Plan) -> Reply {
        Reply { case: Some(plan.case.to_string()), playbook: Some(plan.playbook.id.clone()), ..self }
    }

    pub(super) fn acted(mut self, run: RunId, acted: Acted, bundles: Vec<Kept>) -> Reply {
        self.notes.extend(acted.notes);
        self.refusals = acted.refusals;
        Reply { did: Did::Acted, why: acted.headline, run: Some(run), outcome: Some(acted.outcome), gaps: acted.gaps, bundles, ..self }
    }

    /// Somebody else has, or had, the finding.
    pub(super) fn not_ours(self, claim: &Claim) -> Reply {
        let (did, why, run, outcome) = match claim {
            Claim::Handled { run, outcome, at } => (
                Did::AlreadyHandled,
                format!("already handled by run {run}, which ended at {at}: {}", outcome.sentence()),
                Some(run.clone()),
                Some(*outcome),
            ),
            Claim::Running { run, since, until } => {
                (Did::BeingHandled, format!("run {run} has been at it since {since}, and has until {until}"), Some(run.clone()), None)
            }
            Claim::GaveUp { tries } => (
                Did::GaveUp,
                format!("tried {tries} times and never brought to its end; a person is needed, at a terminal: freezeframe snapshot"),
                None,
                None,
            ),
            // Ours is no claim of somebody else; said so rather than panicked about.
            Claim::Ours(lease) => {
                (Did::BeingHandled, "this delivery itself holds the finding".to_string(), Some(lease.run().clone()), None)
            }
        };
        Reply { did, why, run, outcome, ..self }
    }
}
