//! Is this bundle what it claims to be? Read as a stranger would, from the bytes alone.
//!
//! [`verify`] makes one pass (`facts.rs`) and hands what it saw to each of [`CHECKS`]. Every finding is collected; nothing stops at the first.
//! A finding never makes the function fail: it fails only where there is nothing to look at ([`OpenError`]).
//!
//! To add a check: one file here, one line in `CHECKS`, one broken bundle in `tests/it/bundle/`.
//!
//! What it never does: talk to anybody, change the bundle, believe a document about itself.

mod addenda;
mod chain;
mod container;
mod coverage;
mod custody;
mod disclosure;
mod documents;
mod envelope;
mod facts;
mod findings;
mod items;
mod journal_reader;
mod key;
mod layout;
mod lines;
mod manifest;
mod provider;
mod reading;
mod room;
mod root;
mod schema;
mod secrets;
mod signature;
mod signatures;
mod stored;
mod tag_manifest;
mod timestamp;
mod twins;
mod verification;
mod verified;

pub use addenda::AddendumCheck;
pub use findings::{Finding, Findings, Level, shown};
pub use signatures::{DemandedKey, SignatureCheck, SignatureResult};
pub use stored::{Kept, Stored};
pub use timestamp::TimestampCheck;
pub use verification::{CheckRun, Counts, ProviderCheck, Verdict, Verification};
pub use verified::{NotVerified, Verified};

use super::source::{BagSource, OpenError};
use crate::model::digest::Sha256;
use crate::model::path::BundlePath;
use addenda::Gathered;
use facts::Facts;
use std::collections::BTreeMap;
use std::path::Path;

/// One question about a bundle.
pub trait Check: Sync {
    /// kebab-case; stands in every finding.
    fn id(&self) -> &'static str;
    /// What holds when the check finds nothing.
    fn title(&self) -> &'static str;
    fn run(&self, facts: &Facts, out: &mut Findings);
}

/// In the order in which their findings are told: the container first, since all else was read through it.
pub static CHECKS: &[&dyn Check] = &[
    &container::Container,
    &layout::Layout,
    &manifest::Payload,
    &tag_manifest::TagManifest,
    &root::Root,
    &envelope::EnvelopeCheck,
    &signature::Signature,
    &key::Key,
    &timestamp::Timestamp,
    &chain::Chain,
    &schema::Schema,
    &items::Items,
    &secrets::Secrets,
    &disclosure::Disclosure,
    &coverage::CoverageCheck,
    &custody::Custody,
    &provider::Provider,
];

/// Check the bundle at `path`, a zip or a directory.
pub fn verify(path: &Path) -> Result<Verification, OpenError> {
    verify_with(path, &[])
}

/// The same, and each of these keys must have signed it.
pub fn verify_with(path: &Path, keys: &[DemandedKey]) -> Result<Verification, OpenError> {
    let source = BagSource::open(path)?;
    let beside = Gathered::beside(&crate::bundle::addenda::beside::place(path, source.name()));
    Ok(verify_all(&source, keys, &[], beside).0)
}

/// What was read of each file: its digest and length; none where it could not be read.
pub type FilesRead = BTreeMap<BundlePath, Option<(Sha256, u64)>>;

/// The same of a bundle that is open already, wherever it lies, with checks of its place behind [`CHECKS`].
pub fn verify_source(source: &BagSource, keys: &[DemandedKey], more: &[&dyn Check]) -> (Verification, FilesRead) {
    verify_all(source, keys, more, Gathered::default())
}

/// `beside`: addenda that do not lie in the bundle.
fn verify_all(source: &BagSource, keys: &[DemandedKey], more: &[&dyn Check], beside: Gathered) -> (Verification, FilesRead) {
    let mut facts = Facts::gather(source, keys);
    facts.judge_addenda(beside);
    let mut findings = Findings::default();
    let addenda: &[&dyn Check] = if facts.addenda.is_empty() { &[] } else { &[&addenda::Addenda] };
    let checks = CHECKS
        .iter()
        .chain(more)
        .chain(addenda)
        .map(|check| {
            findings.begin(check.id());
            check.run(&facts, &mut findings);
            let (errors, warnings) = findings.end();
            CheckRun { id: check.id(), title: check.title(), errors, warnings }
        })
        .collect();
    (Verification::from(source.name(), &facts, checks, findings.into_vec()), facts.files)
}
