//! What is done to a bundle after it was sealed is written down before it is done, by whom, with what, why: in an addendum beside the bundle, and in
//! the case journal where the bundle lies in its case.

use super::custody::beside;
use super::error::CliError;
use crate::bundle::addenda::{self, About, AddendumKind};
use crate::bundle::case_journal::CaseJournal;
use crate::bundle::signing::Signers;
use crate::bundle::source::BagSource;
use crate::bundle::verify::{Verdict, Verification, verify};
use crate::clock::SystemClock;
use crate::model::canon;
use crate::model::journal_event::JournalEvent;
use crate::model::outcome::Outcome;
use crate::store::dir::DirStore;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A bundle that was verified, and the case that it is kept in.
pub struct Kept {
    pub bag: BagSource,
    pub verification: Verification,
    pub case_dir: Option<PathBuf>,
    /// Where its addenda lie.
    addenda: PathBuf,
}

/// Open and verify a bundle. One that is broken is not worked with: what comes of it would look like evidence.
pub fn open(bundle: &Path, case_dir: Option<&Path>) -> Result<Kept, CliError> {
    let cannot = |e: crate::bundle::source::OpenError| {
        let (hint, outcome) = (e.hint(), e.outcome());
        CliError::new(format!("cannot read {}", bundle.display())).because(e).hint(hint).outcome(outcome)
    };
    let bag = BagSource::open(bundle).map_err(cannot)?;
    let verification = verify(bundle).map_err(cannot)?;
    if verification.verdict == Verdict::Broken {
        return Err(CliError::new("the bundle is broken; nothing was done")
            .hint("freezeframe verify says what is wrong with it")
            .outcome(Outcome::VerificationFailed));
    }
    let case_dir = case_dir.map(Path::to_path_buf).or_else(|| beside(bundle));
    if let Some(dir) = case_dir.as_ref().filter(|d| !d.join("journal").is_dir()) {
        return Err(CliError::new(format!("there is no case in {}", dir.display())).outcome(Outcome::Usage));
    }
    let addenda = addenda::beside::place(bundle, &verification.bundle);
    Ok(Kept { bag, verification, case_dir, addenda })
}

impl Kept {
    /// Durable when this returns; what of it could not be signed.
    pub async fn write_down(
        &self,
        about: &About,
        (kind, document): (AddendumKind, &impl serde::Serialize),
        event: JournalEvent,
        signers: &Signers,
    ) -> Result<Vec<String>, CliError> {
        let clock = SystemClock::new();
        if let Some(dir) = &self.case_dir {
            let failed = |e: Box<dyn std::error::Error + Send + Sync>| {
                CliError::new(format!("cannot write into the case journal in {}; nothing was done", dir.display())).because(e)
            };
            let store = DirStore::open(dir).map_err(|e| failed(e.into()))?;
            let journal = CaseJournal::open(Arc::new(store), Arc::new(SystemClock::new()), &about.operator).await;
            journal.map_err(|e| failed(e.into()))?.append(event).await.map_err(|e| failed(e.into()))?;
        }
        let failed = || CliError::new(format!("cannot write an addendum to {}; nothing was done", self.addenda.display()));
        let bytes = canon::to_vec("an addendum's document", document).map_err(|e| failed().because(e))?;
        let added = addenda::beside::append(&self.addenda, about, kind, &bytes, signers, &clock).await.map_err(|e| failed().because(e))?;
        Ok(added.missing)
    }
}

/// Who works here, where AWS is not asked: the system's user. A claim, as any name is that no signature stands behind.
pub fn local_user() -> String {
    let name = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|v| std::env::var(v).ok()).unwrap_or_default();
    let name = crate::aws::fault::tame(&name, 64);
    if name.is_empty() { "a local user".into() } else { format!("the local user {name}") }
}
