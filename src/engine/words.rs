//! Reports of containment and restore in words: one line for each cell, one line for the whole.

use super::restore::{Back, RestoreReport};
use super::saga::{ContainReport, SagaNote, Stand, Trouble};
use std::collections::BTreeMap;
use std::fmt;

impl Stand {
    pub const fn words(self) -> &'static str {
        match self {
            Stand::Contained => "contained, read back",
            Stand::AlreadyContained => "was contained already; nothing written",
            Stand::Over => "over by itself; nothing left to stop",
            Stand::WouldContain => "would be contained",
            Stand::NotHolding => "TRIED, BUT DOES NOT HOLD",
            Stand::Unknown => "WRITTEN, COULD NOT BE READ BACK: it may hold",
            Stand::Refused => "refused; untouched",
            Stand::Untouched => "NOT CONTAINED: untouched",
            Stand::NotBegun => "not begun",
        }
    }
}

fn with(words: String, error: Option<&Trouble>) -> String {
    match error {
        None => words,
        Some(t) => match t.denied {
            Some(action) => format!("{words} ({}; allow {action})", t.what),
            None => format!("{words} ({})", t.what),
        },
    }
}

impl ContainReport {
    /// Cell and how it stands, actions that found no cells included.
    pub fn rows(&self) -> Vec<(String, String)> {
        let cells = self.cells.iter().map(|c| (c.label.clone(), with(c.stand.words().to_string(), c.error.as_ref())));
        let actions = self
            .actions
            .iter()
            .map(|a| (a.action.to_string(), with(if a.refused { "refused" } else { "FAILED" }.to_string(), Some(&a.error))));
        let remarks = self.remarks.iter().map(|r| (r.action.to_string(), r.words.clone()));
        let journal = self
            .journal
            .iter()
            .map(|t| ("the case journal".to_string(), format!("REFUSED: nothing was written from then on ({})", t.what)));
        cells.chain(actions).chain(remarks).chain(journal).collect()
    }
}

impl Back {
    pub fn words(&self) -> String {
        match self {
            Back::Restored { wrote: true } => "restored, read back".into(),
            Back::Restored { wrote: false } => "was as before already".into(),
            Back::Left { what } => format!("left in place, as accepted: {what}"),
            Back::Over => "over by itself; nothing left to put back".into(),
            Back::Released => "was contained before this case; hold released".into(),
            Back::WouldRestore => "would be restored".into(),
            Back::Drift => "DRIFT: somebody else changed it; left alone (--overrule with its name sets it back)".into(),
            Back::HeldElsewhere { case } => format!("left contained: case {case} holds it"),
            Back::InDoubt { case } => format!("LEFT CONTAINED, IN DOUBT: case {case} may hold it"),
            Back::Waits { on, case } => {
                let whose = case.as_ref().map(|c| format!(", which case {c} contained")).unwrap_or_default();
                format!("left off: what it feeds would fail while {on} is not back{whose}; restore again then, or name its action (--only)")
            }
            Back::Stuck => "STUCK: a person is needed".into(),
            Back::NotBegun => "not begun".into(),
        }
    }
}

impl RestoreReport {
    pub fn rows(&self) -> Vec<(String, String)> {
        let cells = self.cells.iter().map(|c| (c.cell.to_string(), with(c.back.words(), c.error.as_ref())));
        let journal = self.journal.iter().map(|t| ("the case journal".to_string(), format!("REFUSED ({})", t.what)));
        cells.chain(journal).collect()
    }

    /// Counts, and by name what a person has to look at.
    pub fn headline(&self) -> String {
        let count = |f: fn(&Back) -> bool| self.cells.iter().filter(|c| f(&c.back)).count();
        let back = count(|b| matches!(b, Back::Restored { .. } | Back::Left { .. } | Back::Over | Back::Released));
        let would = count(|b| matches!(b, Back::WouldRestore));
        let mut parts = vec![if self.dry_run {
            format!("dry run: {would} of {} cells would be restored", self.cells.len())
        } else {
            format!("{back} of {} cells restored", self.cells.len())
        }];
        let named = |back: &Back| match back {
            Back::Drift => Some("drifted".to_string()),
            Back::Stuck => Some("stuck".to_string()),
            Back::HeldElsewhere { case } => Some(format!("held by case {case}")),
            Back::InDoubt { case } => Some(format!("in doubt, because case {case} cannot be read")),
            Back::Waits { on, case: None } => Some(format!("left off until {on} is back")),
            Back::Waits { on, case: Some(case) } => Some(format!("left off until case {case} has put {on} back")),
            Back::Restored { .. } | Back::Left { .. } | Back::Over | Back::Released | Back::WouldRestore | Back::NotBegun => None,
        };
        let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for cell in &self.cells {
            if let Some(word) = named(&cell.back) {
                groups.entry(word).or_default().push(&cell.cell.0);
            }
        }
        parts.extend(groups.into_iter().map(|(word, cells)| format!("{} {word} ({})", cells.len(), cells.join(", "))));
        parts.join(", ")
    }
}

impl fmt::Display for SagaNote<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SagaNote::Looking { action } => write!(f, "… {action}"),
            SagaNote::Reading { label, .. } => write!(f, "… reading {label}"),
            SagaNote::Writing { label, .. } => write!(f, "… changing {label}"),
            SagaNote::Contained { report } => {
                write!(f, "{}: {}", report.label, with(report.stand.words().to_string(), report.error.as_ref()))
            }
            SagaNote::Restoring { cell } => write!(f, "… {cell}"),
            SagaNote::Back { report } => write!(f, "{}: {}", report.cell, with(report.back.words(), report.error.as_ref())),
        }
    }
}
