//! The report: one document for terminal, JSON, handler reply and notification. Its first line names the gaps.

use super::restore::RestoreReport;
use super::saga::ContainReport;
use super::secrets::Prepared;
use crate::archive::Archived;
use crate::bundle::documents::{BundleKind, PlannedUnit, UnitEnd};
use crate::examine::techniques::TechniqueCounts;
use crate::model::digest::Sha256;
use crate::model::gap::Gap;
use crate::model::id::{CaseId, RunId};
use crate::model::item::{Group, Item, ItemStatus};
use crate::model::journal_event::{ApprovalRecord, WatchRecord};
use crate::model::outcome::Outcome;
use crate::model::refusal::Refusal;
use crate::plan::forecast::Forecast;
use crate::plan::guard::PolicySource;
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
    /// Fingerprints of the keys that signed it.
    pub signed_by: Vec<Sha256>,
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

/// What came of one group's questions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct GroupTally {
    pub group: Group,
    /// Collectors that were planned, those that the operator skipped included.
    pub planned: u64,
    /// Of these, what did not come to its end: skipped, cut short, never begun.
    pub not_run: u64,
    pub collected: u64,
    /// AWS said that there is none: an answer.
    pub not_found: u64,
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
    /// The same by group, and which collectors were planned; groups of which nothing was asked are left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupTally>,
    /// Collectors that the operator skipped.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<String>,
    /// AWS said that the function does not exist (any more); what it left behind was collected.
    pub function_gone: bool,
    /// How many known attack techniques this bundle can show, rules out, or leaves undecided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub techniques: Option<TechniqueCounts>,
    pub gaps: Vec<Gap>,
    /// What AWS says a file hashes to and it does not.
    pub mismatches: Vec<String>,
    /// The guard policy that stood when containment was asked for; none: the built-in rules alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guard: Option<PolicySource>,
    /// Why something was not contained although the plan says so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<Refusal>,
    /// What containment was foretold to stop, to leave and to cost; of a plan that contains first, read right after its writes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forecast: Option<Forecast>,
    /// Whose word allowed the change, beside the operator's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub containment: Option<ContainReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restoration: Option<RestoreReport>,
    /// When what the case holds was observed to hold, as a watch recorded it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub watched: Vec<WatchRecord>,
    /// What was archived, and what S3 said of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub archives: Vec<Archived>,
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
            groups: vec![],
            skipped: vec![],
            function_gone: false,
            techniques: None,
            gaps: vec![],
            mismatches: vec![],
            guard: None,
            refusals: vec![],
            forecast: None,
            approval: None,
            containment: None,
            restoration: None,
            watched: vec![],
            archives: vec![],
            notes: vec![],
        }
    }
}

impl Report {
    /// How the secrets of a bag are sealed: told once for all bags of a run.
    pub(super) fn prepared(&mut self, prepared: Prepared) {
        self.unsealed(&prepared.missing);
        for note in prepared.notes {
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
    }

    /// Signatures that were to be made and were not: as grave as a gap in the evidence.
    pub(super) fn unsealed(&mut self, missing: &[String]) {
        if !missing.is_empty() {
            self.notes.extend_from_slice(missing);
            self.outcome = self.outcome.worse(Outcome::Gaps);
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

impl GroupTally {
    /// What collectors were asked for and what came of it, in the order of the groups. The plan's own items are no evidence and do not count.
    pub fn of(planned: &[PlannedUnit], items: &[Item]) -> Vec<GroupTally> {
        let count = |group: Group| {
            let units = || planned.iter().filter(move |u| u.group == group);
            let of_group =
                |wanted: &dyn Fn(ItemStatus) -> bool| items.iter().filter(|i| i.group == group && wanted(i.status)).count() as u64;
            GroupTally {
                group,
                planned: units().count() as u64,
                not_run: units().filter(|u| u.ended != UnitEnd::Done).count() as u64,
                collected: of_group(&|s| s == ItemStatus::Collected),
                not_found: of_group(&|s| s.gap().is_none() && s != ItemStatus::Collected),
                gaps: of_group(&|s| s.gap().is_some()),
            }
        };
        let asked = |t: &GroupTally| t.planned + t.collected + t.not_found + t.gaps > 0;
        Group::ALL.into_iter().filter(|g| *g != Group::Plan).map(count).filter(asked).collect()
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
    fn groups_count_units_and_items_and_leave_out_what_was_not_asked() {
        let unit = |group, ended| PlannedUnit { unit: "u".into(), title: "U".into(), question: "?".into(), group, ended, items: vec![] };
        let item = |n, group, status| Item {
            id: crate::model::id::ItemId(n),
            group,
            collector: "u".into(),
            subject: "s".into(),
            status,
            sensitivity: crate::model::item::Sensitivity::S0,
            files: vec![],
            exchanges: vec![],
            derived_from: vec![],
            provider_digest: None,
            detail: None,
            question: None,
            action: None,
        };
        let planned =
            [unit(Group::Plan, UnitEnd::Done), unit(Group::Policy, UnitEnd::Done), unit(Group::Config, UnitEnd::SkippedByOperator)];
        let statuses = [ItemStatus::Collected, ItemStatus::NotFound, ItemStatus::Empty, ItemStatus::Gap(GapKind::Denied)];
        let mut items: Vec<Item> = (1..).zip(statuses).map(|(n, s)| item(n, Group::Policy, s)).collect();
        items.push(item(9, Group::Plan, ItemStatus::Collected));
        let tally = |group, not_run, collected, not_found, gaps| GroupTally { group, planned: 1, not_run, collected, not_found, gaps };
        assert_eq!(GroupTally::of(&planned, &items), [tally(Group::Config, 1, 0, 0, 0), tally(Group::Policy, 0, 1, 2, 1)]);
    }

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
