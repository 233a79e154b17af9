//! The documents of a bundle that we write ourselves, as types. Their JSON Schemas in `evidence-schema/` are compared with these in a test.

use super::changes::StatedChange;
use super::secrets::StatedSecrets;
use super::signer::StatedSigner;
use crate::model::digest::Sha256;
use crate::model::gap::Gap;
use crate::model::id::{CaseId, ItemId, RunId};
use crate::model::item::Group;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a bag is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BundleKind {
    /// Evidence read from AWS.
    Acquisition,
    /// What containment changed: before, after, every exchange.
    Containment,
    /// What restore put back.
    Restore,
    /// A copy of another bag, without the originals that are sealed there.
    Disclosure,
}

/// Digest of the bag before this one in the same case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Previous {
    pub bundle: String,
    pub root: Sha256,
}

/// `meta/coverage.json`: every question that was planned, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Coverage {
    /// Version of this form: 1.
    pub v: u32,
    /// False when the run was interrupted: then questions may be missing that were planned.
    pub finished: bool,
    /// In the order of the plan (order of volatility).
    pub planned: Vec<PlannedUnit>,
    /// Count of items by group and status; groups without items are left out.
    pub groups: BTreeMap<String, BTreeMap<String, u64>>,
    /// Every item whose status is a gap, spelled out.
    pub gaps: Vec<Gap>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedUnit {
    pub unit: String,
    pub title: String,
    /// The investigator's question.
    pub question: String,
    pub group: Group,
    pub ended: UnitEnd,
    pub items: Vec<ItemId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnitEnd {
    /// Ran to its end; its items tell what it learnt.
    Done,
    /// Was running when the run was interrupted or timed out.
    CutShort,
    /// Never began.
    NotRun,
    /// Planned by the playbook and skipped by the operator: its question stays open.
    SkippedByOperator,
    /// Panicked: a bug of ours, recorded as a gap of kind `internal`.
    Panicked,
}

impl UnitEnd {
    pub const fn words(self) -> &'static str {
        match self {
            UnitEnd::Done => "ran to its end",
            UnitEnd::CutShort => "cut short",
            UnitEnd::NotRun => "never began",
            UnitEnd::SkippedByOperator => "skipped by the operator",
            UnitEnd::Panicked => "panicked",
        }
    }
}

/// What made the bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ToolRecord {
    pub name: String,
    pub version: String,
    pub commit: Option<String>,
    /// SHA-256 of the running binary, when it could be read.
    pub binary_sha256: Option<Sha256>,
}

/// `seal/statement.json`: an in-toto Statement v1 whose one subject is the tag manifest, that is, the root of everything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Statement {
    /// `https://in-toto.io/Statement/v1`
    #[serde(rename = "_type")]
    pub kind: String,
    pub subject: Vec<Subject>,
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    pub predicate: Predicate,
}

pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
pub const PREDICATE_TYPE: &str = "urn:freezeframe:predicate:acquisition:v1";
/// Every kind of document in a bundle that we write ourselves, and the version of its schema.
pub const SCHEMAS: &[(&str, u32)] = &[("coverage", 1), ("exchange", 1), ("item", 1), ("journal", 1), ("redaction", 1), ("statement", 1)];

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Subject {
    /// `tagmanifest-sha256.txt`
    pub name: String,
    /// Algorithm → hex digest; `sha256` always.
    pub digest: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Predicate {
    pub case: CaseId,
    pub bundle: String,
    pub kind: BundleKind,
    pub run: RunId,
    /// False when the run was interrupted.
    pub finished: bool,
    pub target: StatedTarget,
    pub tool: ToolRecord,
    pub operator: String,
    pub playbook: String,
    /// UTC, RFC 3339, milliseconds.
    pub opened: String,
    pub sealed: String,
    /// SHA-256 of the journal's last line, and how many lines there are.
    pub journal_head: Sha256,
    pub journal_count: u64,
    pub items: u64,
    pub gaps: u64,
    /// Server time minus local time, if it could be measured.
    pub clock_skew_ms: Option<i64>,
    pub previous: Option<Previous>,
    /// How every cell that containment or restore dealt with ended; only in bags of these kinds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub containment: Option<Vec<StatedChange>>,
    /// Every key that was to sign this statement. One of them whose signature is missing is a finding.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub signers: Vec<StatedSigner>,
    /// Address of the authority that was to stamp the first signature (RFC 3161).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub timestamp_authority: Option<String>,
    /// What of the payload is sealed, and for whom; absent where nothing is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub secrets: Option<StatedSecrets>,
    /// Document → version of the schema in `evidence-schema/` that it follows.
    pub schemas: BTreeMap<String, u32>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatedTarget {
    pub arn: String,
    /// As AWS stated them for `$LATEST` at collection.
    pub revision_id: Option<String>,
    pub code_sha256: Option<String>,
}
