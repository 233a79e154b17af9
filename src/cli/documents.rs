//! The documents of `--json` that no lower floor knows. `schemas` lists all of them.

use super::error::CliError;
use crate::bundle::custody::{Custody, CustodyEntry};
use crate::bundle::documents::BundleKind;
use crate::bundle::verify::{SignatureCheck, TimestampCheck, Verdict};
use crate::engine::control::{Control, Standing, Stop};
use crate::model::digest::Sha256;
use crate::model::exchange::Exchange;
use crate::model::item::Item;
use crate::model::path::BundlePath;
use crate::model::redaction::Rule;
use crate::plan::Plan;
use crate::plan::forecast::Forecast;
use crate::plan::guard::PolicySource;
use crate::playbook::Problem;
use schemars::JsonSchema;
use serde::Serialize;
use std::path::PathBuf;

/// What every command prints when it could not do what was asked.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ErrorDocument {
    /// Version of this form: 1.
    pub v: u32,
    pub error: String,
    /// From the outermost cause to the first one.
    pub caused_by: Vec<String>,
    /// What the person can do.
    pub hints: Vec<String>,
    /// What is wrong with the playbook, where that is the matter.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
    pub exit_code: u8,
}

impl ErrorDocument {
    pub fn of(error: &CliError) -> Self {
        ErrorDocument {
            v: 1,
            error: error.to_string(),
            caused_by: error.causes(),
            hints: error.hints.clone(),
            problems: error.problems.clone(),
            exit_code: error.outcome.exit_code(),
        }
    }
}

/// `plan`: the plan, and what its containment would mean here.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Foretold<'p> {
    #[serde(flatten)]
    pub plan: &'p Plan,
    /// Only of a playbook that contains; what is not known is said in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forecast: Option<&'p Forecast>,
}

/// `show <bundle>`
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Contents {
    /// Version of this form: 1.
    pub v: u32,
    pub items: Vec<Item>,
}

/// `show <bundle> <item>`: what is known of it. Its bytes are for the plain form alone.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Shown {
    /// Version of this form: 1.
    pub v: u32,
    /// None where an exchange or a path was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<Item>,
    /// The exchange that was named, or those of the item.
    pub exchanges: Vec<Exchange>,
    /// The files whose bytes the plain form prints, in that order.
    pub files: Vec<ShownFile>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ShownFile {
    pub path: String,
    pub bytes: u64,
}

/// `playbook list`
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Playbooks {
    /// Version of this form: 1.
    pub v: u32,
    pub playbooks: Vec<Listed>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Listed {
    pub name: &'static str,
    pub title: String,
    /// Whether running it changes anything in AWS.
    pub contains: bool,
}

/// `playbook show`
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PlaybookText {
    /// Version of this form: 1.
    pub v: u32,
    pub name: &'static str,
    pub text: &'static str,
}

/// `playbook check`, of a good one; a bad one is an error with its problems.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PlaybookChecked {
    /// Version of this form: 1.
    pub v: u32,
    pub file: PathBuf,
    pub playbook: String,
    /// Of the text, byte for byte.
    pub sha256: String,
    /// Whether running it changes anything in AWS.
    pub contains: bool,
}

/// `halt` and `resume`: what stands now, and what was lifted.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ControlDocument {
    /// Version of this form: 1.
    pub v: u32,
    /// Where it lies.
    pub store: String,
    pub halts: Vec<Stop>,
    /// Put by runs whose containment did not hold.
    pub breakers: Vec<Stop>,
    pub lifted: Vec<Stop>,
}

impl ControlDocument {
    pub fn of(control: &Control, standing: Standing, lifted: Vec<Stop>) -> Self {
        let Standing { halts, breakers } = standing;
        ControlDocument { v: 1, store: control.describe(), halts, breakers, lifted }
    }
}

/// `guard check`, of a good policy; a bad one is an error with its problems.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct GuardChecked {
    /// Version of this form: 1.
    pub v: u32,
    #[serde(flatten)]
    pub policy: PolicySource,
}

/// `guard show`
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct GuardText {
    /// Version of this form: 1.
    pub v: u32,
    pub text: &'static str,
}

/// `custody`
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CustodyDocument {
    /// Version of this form: 1.
    pub v: u32,
    pub bundle: String,
    pub kind: Option<BundleKind>,
    pub case: Option<String>,
    pub target: Option<String>,
    pub root: Option<Sha256>,
    /// What `verify` finds, in a word.
    pub verdict: Verdict,
    pub signatures: Vec<SignatureCheck>,
    pub timestamp: Option<TimestampCheck>,
    /// By the bundle's own journal.
    pub chain: Custody,
    /// The case directory whose journal is told; none where the bundle was read by itself.
    pub case_journal: Option<PathBuf>,
    pub case_chain: Vec<CustodyEntry>,
    /// Every bundle that the case sealed, in order; each names the root of the one before it.
    pub bundles: Vec<Addendum>,
}

/// One bundle of a case.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Addendum {
    pub bundle: String,
    /// As the case's journal has it.
    pub root: Sha256,
    /// This and what follows: none where the bundle does not lie there.
    pub kind: Option<BundleKind>,
    pub verdict: Option<Verdict>,
    /// Whether what lies there is what was sealed.
    pub same_root: Option<bool>,
    pub signed_by: Vec<Sha256>,
    /// Of its timestamp.
    pub time: Option<String>,
}

/// `key new`, `key show`
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct KeyShown {
    /// Version of this form: 1.
    pub v: u32,
    /// Of a local key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Of a KMS key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// SHA-256 of the SubjectPublicKeyInfo.
    pub fingerprint: Sha256,
    /// In PEM.
    pub public_key: String,
}

/// `unseal`
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Unsealed {
    /// Version of this form: 1.
    pub v: u32,
    pub bundle: String,
    /// The directory that the originals lie in, in clear.
    pub to: PathBuf,
    pub files: Vec<UnsealedFile>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct UnsealedFile {
    /// Below the directory, and in the bundle (of the twin).
    pub path: BundlePath,
    pub bytes: u64,
    pub sha256: Sha256,
    /// Length and commitment are those that the bundle states.
    pub is_the_original: bool,
    /// The twin is this with its secrets redacted, and differs in nothing else.
    pub agrees_with_twin: bool,
}

/// `unseal --prove`
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Proven {
    /// Version of this form: 1.
    pub v: u32,
    pub bundle: String,
    /// Where the bundle redacts the very value; empty where it does nowhere.
    pub places: Vec<ProvenAt>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ProvenAt {
    pub path: BundlePath,
    /// As in `meta/redactions.jsonl`.
    pub at: String,
    pub rule: Rule,
}

/// `disclose`
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DisclosedCopy {
    /// Version of this form: 1.
    pub v: u32,
    pub bundle: String,
    pub path: PathBuf,
    pub root: Sha256,
    pub source: String,
    pub source_root: Sha256,
    /// Fingerprints of the keys that signed the copy.
    pub signed_by: Vec<Sha256>,
    pub notes: Vec<String>,
}

/// `restore --print-script`
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RestoreScript {
    /// Version of this form: 1.
    pub v: u32,
    pub case: String,
    /// POSIX shell, of plain aws-cli commands.
    pub script: String,
}

/// `drill`
#[cfg(feature = "drill")]
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Drilled {
    /// Version of this form: 1.
    pub v: u32,
    /// `--stop`: what became of the emulator that an earlier `--keep` left running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<&'static str>,
    /// Claims that were looked at.
    pub checks: usize,
    /// Those that were not seen to hold.
    pub failures: Vec<String>,
    pub bundles: Vec<PathBuf>,
}
