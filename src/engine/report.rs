//! The report: one document for terminal, JSON, handler reply and notification. Its first line names the gaps.

use super::restore::RestoreReport;
use super::saga::ContainReport;
use crate::bundle::documents::BundleKind;
use crate::model::digest::Sha256;
use crate::model::gap::Gap;
use crate::model::id::{CaseId, RunId};
use crate::model::item::{Item, ItemStatus};
use crate::model::outcome::Outcome;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// One sealed bag of this run.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct BundleReport {
    pub name: String,
    pub kind: BundleKind,
    /// The zip that was handed over.
    pub path: PathBuf,
    pub root: Sha256,
    pub bytes: u64,
    pub items: u64,
    pub gaps: u64,
    /// Read back and checked as a stranger would.
    pub verified: bool,
}

/// How many questions came to what.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Tally {
    pub questions: u64,
    pub answered: u64,
    /// AWS said that there is none: an answer.
    pub absent: u64,
    pub gaps: u64,
}

/// `freezeframe … --json`, the handler's reply.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Report {
    /// Version of this form: 1.
    pub v: u32,
    pub outcome: Outcome,
    pub exit_code: u8,
    /// The first line of the summary: gaps first.
    pub headline: String,
    pub case: CaseId,
    pub run: RunId,
    pub target: String,
    pub playbook: String,
    pub operator: String,
    pub bundles: Vec<BundleReport>,
    pub tally: Tally,
    pub gaps: Vec<Gap>,
    /// What AWS says a file hashes to and it does not.
    pub mismatches: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub containment: Option<ContainReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restoration: Option<RestoreReport>,
    /// What else a person should know.
    pub notes: Vec<String>,
}

impl Report {
    pub(super) fn blank(case: &CaseId, run: &RunId, playbook: &str, operator: &str) -> Report {
        Report {
            v: 1,
            outcome: Outcome::Complete,
            exit_code: 0,
            headline: String::new(),
            case: case.clone(),
            run: run.clone(),
            target: String::new(),
            playbook: playbook.to_string(),
            operator: operator.to_string(),
            bundles: vec![],
            tally: Tally::default(),
            gaps: vec![],
            mismatches: vec![],
            containment: None,
            restoration: None,
            notes: vec![],
        }
    }
}

impl Tally {
    pub fn of(items: &[Item]) -> Tally {
        let mut tally = Tally::default();
        for item in items {
            tally.questions += 1;
            match item.status {
                ItemStatus::Collected => tally.answered += 1,
                ItemStatus::Empty | ItemStatus::NotFound | ItemStatus::NotApplicable => tally.absent += 1,
                ItemStatus::Gap(_) => tally.gaps += 1,
            }
        }
        tally
    }
}

/// Gaps first, by collector, with the question that each leaves open: `3 gaps: recent-invocations denied (open: What did it do?)`.
pub fn headline(tally: &Tally, gaps: &[Gap]) -> String {
    if gaps.is_empty() {
        return format!(
            "no gaps: {} questions asked, {} answered, {} answered with absence",
            tally.questions, tally.answered, tally.absent
        );
    }
    let mut by_unit: BTreeMap<&str, (BTreeMap<&str, usize>, &str)> = BTreeMap::new();
    for gap in gaps {
        let entry = by_unit.entry(&gap.collector).or_insert_with(|| (BTreeMap::new(), &gap.question));
        *entry.0.entry(gap.kind.as_str()).or_default() += 1;
    }
    let parts: Vec<String> = by_unit
        .iter()
        .map(|(unit, (kinds, question))| {
            let kinds: Vec<String> = kinds.iter().map(|(k, n)| if *n == 1 { (*k).to_string() } else { format!("{k} ×{n}") }).collect();
            format!("{unit} {} (open: {question})", kinds.join(", "))
        })
        .collect();
    format!("{} {}: {}", gaps.len(), if gaps.len() == 1 { "gap" } else { "gaps" }, parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::gap::GapKind;

    #[test]
    fn the_headline_names_gaps_and_open_questions() {
        let gap = |unit: &str, kind| Gap {
            kind,
            collector: unit.into(),
            subject: "s".into(),
            question: "What did it do?".into(),
            detail: String::new(),
            action: None,
            exchanges: vec![],
        };
        let line =
            headline(&Tally::default(), &[gap("logs", GapKind::Denied), gap("logs", GapKind::Denied), gap("role", GapKind::Throttled)]);
        assert_eq!(line, "3 gaps: logs denied ×2 (open: What did it do?); role throttled (open: What did it do?)");
    }
}
