//! How each cell ended that a run dealt with: told by the last line of the case journal that names it. The same reading for whoever states it
//! (the seal) and whoever checks it (`verify`, from the run's lines in `data/90-contain/actions.jsonl`).

use crate::model::id::CellId;
use crate::model::journal_event::JournalEvent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where the run's lines of the case journal lie in a bag of containment or restore.
pub const ACTIONS: &str = "data/90-contain/actions.jsonl";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatedChange {
    pub cell: CellId,
    pub ended: ChangeEnd,
}

/// The last that the journal says of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeEnd {
    /// Written down, and nothing more is known: the run was cut off.
    Intended,
    AlreadyContained,
    /// Written, and not read back.
    Applied,
    ApplyFailed,
    /// Written, and reads as it should.
    Holds,
    DoesNotHold,
    Refused,
    /// To be put back, and nothing more is known.
    RestoreIntended,
    Restored,
    RestoreFailed,
    Drifted,
    /// Drift, or another case that may hold it, that was overruled, and nothing more is known.
    DriftOverruled,
    HeldElsewhere,
}

/// Collects line by line, so that a long journal is never held.
#[derive(Debug, Default)]
pub struct Changes {
    last: BTreeMap<CellId, ChangeEnd>,
}

impl Changes {
    pub fn of<'e>(events: impl IntoIterator<Item = &'e JournalEvent>) -> Vec<StatedChange> {
        let mut changes = Changes::default();
        events.into_iter().for_each(|e| changes.event(e));
        changes.to_vec()
    }

    pub fn event(&mut self, event: &JournalEvent) {
        use JournalEvent as E;
        let (cell, ended) = match event {
            E::Intent { cell, .. } => (cell, ChangeEnd::Intended),
            E::AlreadyContained { cell, .. } => (cell, ChangeEnd::AlreadyContained),
            E::Applied { cell, .. } => (cell, ChangeEnd::Applied),
            E::ApplyFailed { cell, .. } => (cell, ChangeEnd::ApplyFailed),
            E::ReadBack { cell, holds: true, .. } => (cell, ChangeEnd::Holds),
            E::ReadBack { cell, holds: false, .. } => (cell, ChangeEnd::DoesNotHold),
            E::Refused { cell: Some(cell), .. } => (cell, ChangeEnd::Refused),
            E::RestoreIntent { cell, .. } => (cell, ChangeEnd::RestoreIntended),
            E::Restored { cell, .. } => (cell, ChangeEnd::Restored),
            E::RestoreFailed { cell, .. } => (cell, ChangeEnd::RestoreFailed),
            E::Drift { cell, .. } => (cell, ChangeEnd::Drifted),
            E::DriftOverruled { cell, .. } => (cell, ChangeEnd::DriftOverruled),
            E::HeldElsewhere { cell, .. } => (cell, ChangeEnd::HeldElsewhere),
            _ => return,
        };
        self.last.insert(cell.clone(), ended);
    }

    /// In the order of the cells' names.
    pub fn to_vec(&self) -> Vec<StatedChange> {
        self.last.iter().map(|(cell, ended)| StatedChange { cell: cell.clone(), ended: *ended }).collect()
    }

    pub fn len(&self) -> usize {
        self.last.len()
    }
    pub fn is_empty(&self) -> bool {
        self.last.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::RunId;
    use serde_json::json;

    #[test]
    fn the_last_line_about_a_cell_tells_how_it_ended() {
        let (run, a, b) = (RunId::new(1, 2), CellId::new("x", "a"), CellId::new("x", "b"));
        let intent = |cell: &CellId| JournalEvent::RestoreIntent { run: run.clone(), cell: cell.clone(), from: json!(0), to: json!(1) };
        let events = [
            intent(&b),
            intent(&a),
            JournalEvent::Restored { run: run.clone(), cell: a.clone(), wrote: true, through: None },
            JournalEvent::Interrupted { by: "x".into() },
        ];
        let wanted = [(a, ChangeEnd::Restored), (b, ChangeEnd::RestoreIntended)].map(|(cell, ended)| StatedChange { cell, ended });
        assert_eq!(Changes::of(&events), wanted);
    }
}
