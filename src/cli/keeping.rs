//! What is done to a bundle after it was sealed is written into the case journal before it is done: by whom, with what, why.

use super::custody::beside;
use super::error::CliError;
use crate::bundle::case_journal::CaseJournal;
use crate::bundle::source::BagSource;
use crate::bundle::verify::{Verdict, Verification, verify};
use crate::clock::SystemClock;
use crate::model::journal_event::JournalEvent;
use crate::model::outcome::Outcome;
use crate::store::dir::DirStore;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A bundle that was verified, and the case that it is kept in.
pub struct Kept {
    pub bag: BagSource,
    pub verification: Verification,
    pub case_dir: PathBuf,
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
    let case_dir = case_dir.map(Path::to_path_buf).or_else(|| beside(bundle)).ok_or_else(|| {
        CliError::new("there is no case journal beside the bundle, and what is done with it must be written down")
            .hint("--case-dir DIR names the case; a directory that does not exist yet becomes a journal for this bundle alone")
            .outcome(Outcome::Usage)
    })?;
    Ok(Kept { bag, verification, case_dir })
}

impl Kept {
    /// Durable when this returns.
    pub async fn write_down(&self, who: &str, event: JournalEvent) -> Result<(), CliError> {
        let failed = |e: Box<dyn std::error::Error + Send + Sync>| {
            CliError::new(format!("cannot write into the case journal in {}; nothing was done", self.case_dir.display())).because(e)
        };
        let store = DirStore::open(&self.case_dir).map_err(|e| failed(e.into()))?;
        let journal = CaseJournal::open(Arc::new(store), Arc::new(SystemClock::new()), who).await.map_err(|e| failed(e.into()))?;
        journal.append(event).await.map_err(|e| failed(e.into()))
    }
}

/// Who works here, where AWS is not asked: the system's user. A claim, as any name is that no signature stands behind.
pub fn local_user() -> String {
    let name = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|v| std::env::var(v).ok()).unwrap_or_default();
    let name = crate::aws::fault::tame(&name, 64);
    if name.is_empty() { "a local user".into() } else { format!("the local user {name}") }
}
