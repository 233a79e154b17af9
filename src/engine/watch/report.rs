//! What a watch says: a line for each change while it goes on, one document at its end.

use crate::engine::saga::Trouble;
use crate::model::id::{CaseId, CellId, RunId};
use crate::model::journal_event::{Holding, WatchRecord};
use crate::model::outcome::Outcome;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// What a change is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum About {
    /// A contained setting reads otherwise than before.
    Setting,
    /// Invocations, throttles and errors, as CloudWatch counts them.
    Counters,
    /// New lines of the function's log.
    Log,
    /// An event of CloudTrail.
    Event,
    /// What is thought of it all.
    Verdict,
    /// Something cannot be read, or can be again.
    Reading,
}

/// Something that was not so at the look before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Change {
    /// When it was seen, by our clock: RFC 3339.
    pub at: String,
    pub about: About,
    /// In words, fit to be shown: no more of a stranger's words than names and codes.
    pub words: String,
}

/// How a cell was last seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SeenAs {
    AsLeft,
    Over,
    AsBefore,
    /// Neither as we left it nor as it was: somebody else's change.
    Drift,
    Moving,
    Unread,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct WatchedCell {
    pub cell: CellId,
    /// RFC 3339: when the change was written down, and when AWS took it. None where this case found it contained, or was not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted_at: Option<String>,
    pub seen: SeenAs,
    /// What it should read as, and what it last read as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One function of the case.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct WatchedFunction {
    #[serde(flatten)]
    pub watched: WatchRecord,
    pub cells: Vec<WatchedCell>,
    /// RFC 3339: until then an invocation can run that had begun before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running_until: Option<String>,
    /// Since containment, as far as it was counted.
    pub invocations: u64,
    pub throttles: u64,
    /// The case put it back while it was watched.
    pub restored: bool,
}

/// `watch --json`
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct WatchReport {
    /// Version of this form: 1.
    pub v: u32,
    pub outcome: Outcome,
    pub exit_code: u8,
    pub headline: String,
    pub case: CaseId,
    pub run: RunId,
    pub operator: String,
    pub functions: Vec<WatchedFunction>,
    pub changes: Vec<Change>,
    /// Changes beyond those that are kept; all were told.
    pub more_changes: u64,
    pub interrupted: bool,
    /// The case journal took no record of this watch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub journal: Option<Trouble>,
}

impl Holding {
    pub const fn outcome(self) -> Outcome {
        match self {
            Holding::Holds => Outcome::Complete,
            // What is not known is a gap.
            Holding::CouldNotTell => Outcome::Gaps,
            // A person is needed, as for any drift.
            Holding::DoesNotHold => Outcome::Stuck,
        }
    }
}

impl WatchReport {
    pub(super) fn finish(&mut self) {
        let worst = self.functions.iter().map(|f| f.watched.holding).max().unwrap_or(Holding::CouldNotTell);
        let mut outcome = worst.outcome();
        if self.interrupted {
            outcome = outcome.worse(Outcome::Interrupted);
        }
        if self.journal.is_some() {
            outcome = outcome.worse(Outcome::Failed);
        }
        (self.outcome, self.exit_code) = (outcome, outcome.exit_code());
        let each = self.functions.iter().map(|f| {
            let why = if f.watched.why.is_empty() { String::new() } else { format!(": {}", f.watched.why.join("; ")) };
            let since = f.watched.held_at.as_ref().map(|at| format!(", observed at {at}")).unwrap_or_default();
            format!("{} of {}{since}{why}", f.watched.holding.words(), f.watched.target)
        });
        self.headline = each.collect::<Vec<_>>().join(". ");
    }
}
