//! The result of verifying: the document that `verify --json` prints.

use super::addenda::AddendumCheck;
use super::facts::{Facts, TAG_MANIFEST};
use super::findings::{Finding, Level, shown};
use super::provider;
use super::signatures::SignatureCheck;
use super::timestamp::{self, TimestampCheck};
use crate::bundle::documents::BundleKind;
use crate::model::digest::Sha256;
use crate::model::gap::Gap;
use crate::model::id::ItemId;
use crate::model::outcome::Outcome;
use schemars::JsonSchema;
use serde::Serialize;

/// What to make of the bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything that was checked holds, and the run had come to its end.
    Whole,
    /// Nothing contradicts itself, but the run did not come to its end.
    Unfinished,
    /// At least one error.
    Broken,
}

impl Verdict {
    pub const fn outcome(self) -> Outcome {
        match self {
            Verdict::Whole => Outcome::Complete,
            Verdict::Unfinished | Verdict::Broken => Outcome::VerificationFailed,
        }
    }
    pub const fn as_str(self) -> &'static str {
        match self {
            Verdict::Whole => "whole",
            Verdict::Unfinished => "unfinished",
            Verdict::Broken => "broken",
        }
    }
    pub const fn sentence(self) -> &'static str {
        match self {
            Verdict::Whole => "the bundle is whole: every check holds",
            Verdict::Unfinished => {
                "the bundle is unfinished: what is there does not contradict itself, but the run did not come to its end"
            }
            Verdict::Broken => "the bundle is broken: it is not what it claims to be",
        }
    }
}

/// One check, and how many findings it had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CheckRun {
    pub id: &'static str,
    /// What holds when the check finds nothing.
    pub title: &'static str,
    pub errors: u64,
    pub warnings: u64,
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Counts {
    pub files: u64,
    pub bytes: u64,
    pub items: u64,
    pub gaps: u64,
    pub exchanges: u64,
    pub journal_lines: u64,
}

/// A digest stated by AWS, recomputed from the bytes in the bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ProviderCheck {
    pub item: ItemId,
    pub subject: String,
    /// The member that states it: `CodeSha256`.
    pub name: String,
    /// As AWS printed it.
    pub value: String,
    /// What the bundle says.
    pub recorded_match: bool,
    /// What its bytes say; none where the digest is of no known form or the file could not be read.
    pub recomputed_match: Option<bool>,
}

/// What `verify --json` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Verification {
    /// Version of this form: 1.
    pub v: u32,
    pub verdict: Verdict,
    /// As the statement says; as the container is named where there is none.
    pub bundle: String,
    pub kind: Option<BundleKind>,
    pub case: Option<String>,
    /// ARN of the target, as the statement says.
    pub target: Option<String>,
    /// SHA-256 of `tagmanifest-sha256.txt` as it lies there: what a signature, a timestamp or a case file refers to.
    pub root: Option<Sha256>,
    /// Sealed, the run had come to its end, and no draft is left.
    pub finished: bool,
    pub counts: Counts,
    pub checks: Vec<CheckRun>,
    /// In the order of the checks.
    pub findings: Vec<Finding>,
    /// Who signed it, and whether that holds; empty for an unsigned bundle.
    pub signatures: Vec<SignatureCheck>,
    /// What the timestamp says. That its authority is to be believed is not checked.
    pub timestamp: Option<TimestampCheck>,
    /// What happened to it after it was sealed, as its addenda say; in the order of their numbers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addenda: Vec<AddendumCheck>,
    pub provider_digests: Vec<ProviderCheck>,
    /// What the bundle says that it could not learn. Gaps do not break a bundle.
    pub gaps: Vec<Gap>,
}

impl Verification {
    pub(super) fn from(name: &str, facts: &Facts, checks: Vec<CheckRun>, findings: Vec<Finding>) -> Self {
        let stated = facts.statement.as_ref().map(|s| &s.predicate);
        let items = facts.items.as_deref().unwrap_or_default();
        let finished = stated.is_some_and(|p| p.finished) && !facts.has_tmp;
        let broken = checks.iter().any(|c| c.errors > 0);
        Verification {
            v: 1,
            verdict: if broken {
                Verdict::Broken
            } else if finished {
                Verdict::Whole
            } else {
                Verdict::Unfinished
            },
            bundle: shown(stated.map_or(name, |p| &p.bundle), 240),
            kind: stated.map(|p| p.kind),
            case: stated.map(|p| p.case.to_string()),
            target: stated.map(|p| shown(&p.target.arn, 240)),
            root: facts.digest(TAG_MANIFEST),
            finished,
            counts: Counts {
                files: facts.files.len() as u64,
                bytes: facts.bytes,
                items: items.len() as u64,
                gaps: items.iter().filter(|i| i.status.gap().is_some()).count() as u64,
                exchanges: facts.exchanges.len() as u64,
                journal_lines: facts.journal.count,
            },
            checks,
            findings,
            signatures: facts.signatures.clone(),
            timestamp: timestamp::judge(facts),
            addenda: facts.addenda.iter().flat_map(|j| j.told.iter().cloned()).collect(),
            provider_digests: provider::recompute(facts),
            gaps: facts.coverage.iter().flat_map(|c| &c.gaps).map(harmless).collect(),
        }
    }

    pub fn verdict(&self) -> Verdict {
        self.verdict
    }
    pub fn outcome(&self) -> Outcome {
        self.verdict.outcome()
    }
    pub fn errors(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|f| f.level == Level::Error)
    }
}

/// A gap's texts come from the bundle: escape and cut them before anybody prints them.
fn harmless(gap: &Gap) -> Gap {
    Gap {
        kind: gap.kind,
        collector: shown(&gap.collector, 80),
        subject: shown(&gap.subject, 300),
        question: shown(&gap.question, 300),
        detail: shown(&gap.detail, 400),
        action: gap.action.as_deref().map(|a| shown(a, 120)),
        exchanges: gap.exchanges.clone(),
    }
}
