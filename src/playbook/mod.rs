//! Floor 4: the language. YAML in, [`Playbook`] out: which units, with which parameters, in which phases.
//!
//! ```yaml
//! playbook: snapshot-and-contain
//! title: Keep the evidence, then stop the function
//! description: >
//!   …
//! phases:
//!   - phase: collect            # collect | seal | verify | contain | archive
//!     steps:
//!       - use: all              # every collector there is, most volatile first
//!       - use: recent-invocations
//!         with: { window: 24h } # a step of its own overrules what `all` would take by default
//!   - phase: seal
//!   - phase: verify
//!   - phase: contain
//!     on-failure: hold          # or unwind
//!     steps:
//!       - use: freeze-concurrency
//!       - use: detach-permissions
//!         enabled: false        # said, and off
//! ```
//!
//! * A playbook is data: it names units by id and nothing else. It cannot name an AWS call, a file or a command.
//! * `contain` before `verify` means to change the world before the evidence is safe. It wants `override:` with the reason, which goes into
//!   the journal ahead of the first write.
//! * `approval: two-person` in a contain phase: nothing is changed without another person's word on the pinned plan.
//! * An `archive` phase keeps what is sealed in a bucket; which one, and for how long, the operator says (`--archive`, `--retain`). What is
//!   sealed after it (containment) is archived at the end of the run.
//! * `accept: approximate` (or `irreversible`) on a step of a contain phase: what cannot be restored exactly wants that word.
//! * A collect phase always holds `configuration`, `aliases`, `versions` and the resource policies, written down or not ([`ALWAYS`] says why);
//!   with `regions: all` also `enabled-regions`, with `from: trail` also `trail-archive` ([`needed`]).
//! * Everything that can be known to be wrong is told here, with line, column and what to do ([`Problem`]); nothing is left to a run.
//!
//! What it never does: look at a target, decide what may be done to it (`plan`), print. Start at `read.rs`; `lint.rs` holds the rules that
//! span steps.

mod lint;
mod node;
mod problem;
mod read;
mod registry;
mod shipped;
mod strict;

pub use node::MAX_BYTES;
pub use problem::{Invalid, Pos, Problem, choice};
pub use registry::{Registry, Unit};
pub use shipped::{LoadError, Shipped, load, shipped};
// The guard policy is read the same way.
pub(crate) use node::{Key, Kind, Node};
pub(crate) use problem::Problems;
pub(crate) use strict::{Fields, kebab};

use crate::collect::looks_up;
use crate::model::digest::Sha256;
use crate::model::params::Params;
use crate::model::restorable::Accept;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The collectors that every collect phase holds, written down or not: what others look up (the role's name, the aliases, the versions, whom the policies admit) is
/// asked once and recorded as theirs, whoever asks first. Were one missing, its calls would be made and stand in no plan and no IAM policy.
pub const ALWAYS: [&str; 5] = ["configuration", "aliases", "versions", "resource-policy", "resource-policy-document"];

/// The collectors that these enabled steps need beside them: those of [`ALWAYS`], and what a parameter's value makes a shared look-up of. `regions:
/// all` asks which Regions the account has enabled; `from: trail` reads the trail's files; and those whose look-ups they make ([`looks_up`]).
pub fn needed(steps: &[Step]) -> Vec<&'static str> {
    let says = |name: &str, value: &str| {
        steps.iter().filter(|s| s.enabled).any(|s| {
            let param = s.unit.params().iter().find(|p| p.name == name);
            param.is_some_and(|p| s.params.text(name).as_deref().unwrap_or(p.default).trim() == value)
        })
    };
    let mut all = ALWAYS.to_vec();
    all.extend(says("regions", "all").then_some("enabled-regions"));
    all.extend(says("from", "trail").then_some("trail-archive"));
    all.extend(steps.iter().filter(|s| s.enabled).flat_map(|s| looks_up(s.unit.id())));
    all
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Playbook {
    /// `snapshot-and-contain`
    pub name: String,
    pub title: String,
    pub description: String,
    /// Of the text as it was read, byte for byte.
    pub sha256: Sha256,
    /// In the order in which they run.
    pub phases: Vec<Phase>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Phase {
    pub phase: PhaseKind,
    /// What a failing step does to the steps before it; contain phases only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailure>,
    /// Why containment may begin before the evidence is verified.
    #[serde(rename = "override", skip_serializing_if = "Option::is_none")]
    pub overrides: Option<String>,
    /// Whose word is needed before anything is changed; contain phases only.
    #[serde(skip_serializing_if = "ApprovalRule::is_default")]
    pub approval: ApprovalRule,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    #[serde(skip)]
    pub at: Pos,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    #[serde(rename = "use")]
    pub unit: Unit,
    /// As given; the plan adds the defaults.
    #[serde(rename = "with")]
    pub params: Params,
    /// How much less than an exact restore is accepted; contain phases only.
    #[serde(skip_serializing_if = "Accept::is_default")]
    pub accept: Accept,
    /// A step that is off is kept, so that the dry run can say what is not done.
    pub enabled: bool,
    /// The operator said to skip it: no word of any playbook, and never true of one that was just read.
    #[serde(skip)]
    pub skipped: bool,
    #[serde(skip)]
    pub at: Pos,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PhaseKind {
    Collect,
    Seal,
    Verify,
    Contain,
    /// Keep what is sealed where it cannot be changed. Where that is, is the operator's word and not the playbook's.
    Archive,
}

impl PhaseKind {
    pub const ALL: [PhaseKind; 5] = [PhaseKind::Collect, PhaseKind::Seal, PhaseKind::Verify, PhaseKind::Contain, PhaseKind::Archive];

    pub const fn as_str(self) -> &'static str {
        match self {
            PhaseKind::Collect => "collect",
            PhaseKind::Seal => "seal",
            PhaseKind::Verify => "verify",
            PhaseKind::Contain => "contain",
            PhaseKind::Archive => "archive",
        }
    }
}

impl fmt::Display for PhaseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whose word containment needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ApprovalRule {
    /// The operator's own.
    #[default]
    Operator,
    /// Another person's, given on a pinned plan.
    TwoPerson,
}

impl ApprovalRule {
    pub const ALL: [ApprovalRule; 2] = [ApprovalRule::Operator, ApprovalRule::TwoPerson];

    pub const fn as_str(self) -> &'static str {
        match self {
            ApprovalRule::Operator => "operator",
            ApprovalRule::TwoPerson => "two-person",
        }
    }

    pub fn is_default(&self) -> bool {
        *self == ApprovalRule::Operator
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// Keep what holds, try the rest, report *partly contained*.
    #[default]
    Hold,
    /// Restore what this run has changed.
    Unwind,
}

impl fmt::Display for OnFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            OnFailure::Hold => "hold",
            OnFailure::Unwind => "unwind",
        })
    }
}

impl Playbook {
    pub fn phase(&self, kind: PhaseKind) -> Option<&Phase> {
        self.phases.iter().find(|p| p.phase == kind)
    }
    /// Whether running it may change anything in AWS.
    pub fn contains(&self) -> bool {
        self.phase(PhaseKind::Contain).is_some()
    }
    /// Whether it wants a place where what is sealed is kept.
    pub fn archives(&self) -> bool {
        self.phase(PhaseKind::Archive).is_some()
    }
}

/// A playbook from its text; `file` is what the user called it, for the problems.
pub fn parse(file: &str, text: &str) -> Result<Playbook, Invalid> {
    parse_with(&Registry::built_in(), file, text)
}

/// [`parse`] against a registry of one's own.
pub fn parse_with(registry: &Registry, file: &str, text: &str) -> Result<Playbook, Invalid> {
    read::read(registry, file, text)
}
