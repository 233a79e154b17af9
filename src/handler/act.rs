//! The one place where the handler meets the engine: a small trait, so that everything around it can be tried without AWS.

use crate::model::digest::Sha256;
use crate::model::exchange::Exchange;
use crate::model::id::{CaseId, RunId};
use crate::model::outcome::Outcome;
use crate::model::target::{Target, TargetSpec};
use crate::store::Store;
use async_trait::async_trait;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;

pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What must be known of a playbook before one may decide to run it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaybookFacts {
    pub id: String,
    pub title: String,
    /// It has a contain phase: running it can change AWS.
    pub contains: bool,
}

/// The target as AWS knows it.
#[derive(Clone, Debug)]
pub struct Found {
    pub target: Target,
    /// Our own ARN, for the bundle's *operator*.
    pub operator: String,
    /// The calls that it took to find out; they belong into the bundle.
    pub preflight: Vec<Exchange>,
}

#[derive(Debug)]
pub enum LookError {
    /// The function is not there, or is somebody else's. Asking again would not help.
    NotHere(String),
    Failed(Cause),
}

/// What is to be done, decided and claimed.
#[derive(Debug)]
pub struct Job {
    pub case: CaseId,
    pub run: RunId,
    pub playbook: String,
    pub found: Found,
    /// As it came.
    pub event: Vec<u8>,
    pub case_store: Arc<dyn Store>,
    /// Does not exist yet.
    pub case_dir: PathBuf,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Acted {
    pub outcome: Outcome,
    /// The summary's first line: gaps first.
    pub headline: String,
    pub bundles: Vec<ActedBundle>,
    pub gaps: u64,
    pub notes: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct ActedBundle {
    pub name: String,
    pub root: Sha256,
    /// The zip, below the job's `case_dir`.
    pub zip: PathBuf,
    /// Read back and checked as a stranger would; false for one that says it is unfinished.
    pub verified: bool,
}

#[async_trait]
pub trait Act: Send + Sync {
    /// A shipped playbook; `None` when there is none of that name. Never a file: an event must not choose a path.
    fn playbook(&self, id: &str) -> Option<PlaybookFacts>;
    async fn look(&self, target: &TargetSpec) -> Result<Found, LookError>;
    /// Stops collecting when `interrupt` becomes true, and still seals what there is.
    async fn run(&self, job: Job, interrupt: watch::Receiver<bool>) -> Result<Acted, Cause>;
}
