//! Where bundles are archived, and how: what is ordered of an archive.

use super::bucket::{Asked, Bucket};
use super::error::ArchiveError;
use super::place::Place;
use super::preflight::{Accepted, Preflight};
use crate::bundle::case_journal::CaseJournal;
use crate::bundle::signing::Signers;
use crate::model::id::RunId;
use crate::store::Store;
use std::path::PathBuf;

/// What is to be archived, where, and how.
#[derive(Clone, Debug)]
pub struct Order {
    /// A zip or a directory.
    pub bundle: PathBuf,
    /// Where cases lie in the bucket.
    pub to: Place,
    pub asked: Asked,
    pub accepted: Accepted,
    pub run: RunId,
    pub operator: String,
    /// The keys that sign the archive's addendum.
    pub signers: Signers,
}

/// A place where bundles are archived, and how.
#[derive(Clone, Debug)]
pub struct Vault {
    pub bucket: Bucket,
    /// Where cases lie in the bucket.
    pub to: Place,
    pub asked: Asked,
    pub accepted: Accepted,
}

impl Vault {
    /// Looks at the bucket and says no where it is not fit, before anything else is done.
    pub async fn preflight(&self) -> Result<Preflight, ArchiveError> {
        let preflight = self.bucket.preflight().await?;
        let refusals = preflight.refusals(self.bucket.name(), &self.asked.lock, self.accepted);
        if refusals.is_empty() { Ok(preflight) } else { Err(ArchiveError::Unfit { bucket: self.bucket.name().into(), refusals }) }
    }
}

/// The case on this side: its journal, and the store that it lies in.
#[derive(Clone, Copy)]
pub struct Case<'c> {
    pub journal: &'c CaseJournal,
    pub store: &'c dyn Store,
}
