//! The one place where the handler meets the engine: a small trait, so that everything around it can be tried without AWS, and the engine
//! behind it.

use super::config::Mode;
use super::straight::Straight;
use crate::aws::Connector;
use crate::clock::Clock;
use crate::engine::guard::{Guarding, STORED, StoredPolicy, stored_policy};
use crate::engine::others::{CasePlaces, OtherCases, Place};
use crate::engine::preflight::{self, PreflightError};
use crate::engine::progress::{Note, Progress};
use crate::engine::report::Report;
use crate::engine::run::{self as engine, Doors, Order};
use crate::engine::sealing::Sealing;
use crate::engine::secrets::Secrets;
use crate::model::causes::with_causes;
use crate::model::digest::Sha256;
use crate::model::exchange::Exchange;
use crate::model::id::{CaseId, RunId};
use crate::model::outcome::Outcome;
use crate::model::refusal::Refusal;
use crate::model::target::{Target, TargetSpec};
use crate::plan::guard::{Ends, Face, Ourselves, Policy, Rule};
use crate::plan::{Known, Plan};
use crate::playbook::{self, Playbook};
use crate::store::within::Within;
use crate::store::{Store, StoreError};
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
    /// What the look-up told of it, for the plan.
    pub known: Known,
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
    /// Why something was not contained although the playbook says so.
    pub refusals: Vec<Refusal>,
    pub notes: Vec<String>,
}

impl Acted {
    /// How what kept it from containing may end. None where nothing did, or where something went wrong that a person has to look at first.
    pub fn refusal_ends(&self) -> Option<Ends> {
        match self.outcome {
            Outcome::Refused | Outcome::PartlyContained | Outcome::Unwound => Ends::of(&self.refusals),
            Outcome::Complete
            | Outcome::Failed
            | Outcome::Usage
            | Outcome::Gaps
            | Outcome::VerificationFailed
            | Outcome::Stuck
            | Outcome::Interrupted => None,
        }
    }
}

#[derive(Clone, Debug)]
pub struct ActedBundle {
    pub name: String,
    pub root: Sha256,
    /// The zip, below the job's `case_dir`.
    pub zip: PathBuf,
    /// Read back and checked as a stranger would; false for one that says it is unfinished.
    pub verified: bool,
    /// Where it is archived, file by file.
    pub place: Option<String>,
}

/// Its futures need not be `Send`: an invocation is one task, and the engine's borrows are nobody's business here.
#[async_trait(?Send)]
pub trait Act: Send + Sync {
    /// A shipped playbook; `None` when there is none of that name. Never a file: an event must not choose a path.
    fn playbook(&self, id: &str) -> Option<PlaybookFacts>;
    async fn look(&self, target: &TargetSpec) -> Result<Found, LookError>;
    /// Stops collecting when `interrupt` becomes true, and still seals what there is.
    async fn run(&self, job: Job, interrupt: watch::Receiver<bool>) -> Result<Acted, Cause>;
}

/// A shipped playbook by its name. Shipped alone: an event, or a variable, must not choose a file.
pub fn shipped(id: &str) -> Option<PlaybookFacts> {
    open(id).map(|p| PlaybookFacts { id: p.name.clone(), title: p.title.clone(), contains: p.contains() })
}

fn open(id: &str) -> Option<Playbook> {
    playbook::shipped().iter().any(|s| s.name == id).then(|| playbook::load(id).ok())?.map(|(playbook, _text)| playbook)
}

/// The engine, on AWS.
pub struct Engine {
    connector: Connector,
    clock: Arc<dyn Clock>,
    /// Where all cases lie: what another case holds is not restored under it.
    store: Arc<dyn Store>,
    guard: Guard,
    sealing: Arc<Sealing>,
    secrets: Arc<Secrets>,
    straight: Option<Straight>,
}

/// What stands before containment, of what the process knows when it starts.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// The policy of a file; without one, the store is asked before each containment.
    pub policy: Option<Arc<Policy>>,
    pub ourselves: Ourselves,
    pub mode: Mode,
}

impl Engine {
    pub fn new(connector: Connector, clock: Arc<dyn Clock>, store: Arc<dyn Store>, guard: Guard) -> Self {
        Engine { connector, clock, store, guard, sealing: Arc::default(), secrets: Arc::default(), straight: None }
    }

    /// The same, carrying bags into the bucket while they are made.
    pub fn straight(self, straight: Option<Straight>) -> Self {
        Engine { straight, ..self }
    }

    /// The same, signing what it seals.
    pub fn signing(self, sealing: Sealing) -> Self {
        Engine { sealing: Arc::new(sealing), ..self }
    }

    /// The same, whose secrets are sealed for these.
    pub fn secrets_for(self, secrets: Secrets) -> Self {
        Engine { secrets: Arc::new(secrets), ..self }
    }

    /// A policy that is there and cannot be read lets nothing through.
    async fn guarding(&self, known: &Known) -> Guarding {
        let unreadable = |why: String| {
            let lift = "a policy that `freezeframe guard check` calls valid, as the object guard.yaml";
            Rule::PolicyUnreadable.refuses(why, format!("{}/{STORED}", self.store.describe()), lift)
        };
        let policy = match (&self.guard.policy, stored_policy(&*self.store)) {
            (Some(policy), _) => Ok(policy.clone()),
            (None, stored) => match stored.await {
                StoredPolicy::None => Ok(Arc::default()),
                StoredPolicy::Read(policy) => Ok(Arc::new(*policy)),
                StoredPolicy::Invalid(e) => Err(unreadable(format!("the guard policy is invalid: {e}"))),
                StoredPolicy::Unreadable(e) => Err(unreadable(format!("the guard policy cannot be read: {}", with_causes(&*e)))),
            },
        };
        Guarding {
            policy,
            known: known.clone(),
            ourselves: self.guard.ourselves.clone(),
            face: Face::Automatic,
            wants_approval: self.guard.mode < Mode::Contain,
            in_earnest: false,
        }
    }

    /// The other cases with what they hold, and a remark for each whose journal cannot be read.
    async fn other_cases(&self, own: &CaseId) -> Result<(OtherCases, Vec<String>), StoreError> {
        let stored = StoredCases { store: self.store.clone(), own: own.clone() };
        let others = OtherCases::open(Box::new(stored), self.clock.clone()).await?;
        let unreadable = others.unreadable().into_iter();
        let notes = unreadable.map(|(name, e)| format!("the journal of case {name} cannot be read, so what it holds is not known: {e}"));
        Ok((others, notes.collect()))
    }
}

/// Cases below `cases/` of the store.
struct StoredCases {
    store: Arc<dyn Store>,
    own: CaseId,
}

#[async_trait]
impl CasePlaces for StoredCases {
    async fn places(&self) -> Result<Vec<Place>, StoreError> {
        // A case without a journal (yet) holds nothing.
        let names = self.store.folders("cases").await?;
        let within = |name: &str| Within::new(self.store.clone(), &format!("cases/{name}")).map(|store| Arc::new(store) as Arc<dyn Store>);
        Ok(names.into_iter().filter(|name| name != self.own.as_str()).map(|name| (name.clone(), within(&name))).collect())
    }
}

#[async_trait(?Send)]
impl Act for Engine {
    fn playbook(&self, id: &str) -> Option<PlaybookFacts> {
        shipped(id)
    }

    async fn look(&self, target: &TargetSpec) -> Result<Found, LookError> {
        match preflight::preflight(&self.connector, target).await {
            Ok(p) => Ok(Found { target: p.target, known: p.known, operator: p.identity.arn, preflight: p.exchanges }),
            Err(e @ PreflightError::Connect(_)) => Err(LookError::Failed(e.into())),
            Err(e) => Err(LookError::NotHere(with_causes(&e))),
        }
    }

    async fn run(&self, job: Job, interrupt: watch::Receiver<bool>) -> Result<Acted, Cause> {
        let playbook = open(&job.playbook).ok_or_else(|| format!("there is no shipped playbook `{}`", job.playbook))?;
        let plan = Plan::make(&playbook, &job.found.target, &job.found.known);
        // Only what contains can meet what another case holds.
        let (others, notes) = match playbook.contains() {
            true => self.other_cases(&job.case).await?,
            false => (OtherCases::none(self.clock.clone()), vec![]),
        };
        let guard = if playbook.contains() { self.guarding(&job.found.known).await } else { Guarding::default() };
        let order = Order {
            case: job.case,
            run: job.run,
            plan,
            pinned: None,
            approval: None,
            trigger: Some(job.event),
            operator: job.found.operator,
            preflight: job.found.preflight,
            guard,
            permit: None,
        };
        let doors = Doors {
            connector: self.connector.clone(),
            store: job.case_store,
            control: self.store.clone(),
            case_dir: job.case_dir,
            clock: self.clock.clone(),
            progress: Arc::new(Log),
            interrupt,
            others: Arc::new(others),
            archive: self.straight.as_ref().map(|s| s.vault(&*self.clock)),
            straight: self.straight.is_some(),
            sealing: self.sealing.clone(),
            secrets: self.secrets.clone(),
            beside: Arc::new(Within::new(self.store.clone(), "cases")?),
        };
        let mut acted = Acted::from(engine::run(order, doors).await?);
        acted.notes.extend(notes);
        Ok(acted)
    }
}

impl From<Report> for Acted {
    fn from(report: Report) -> Acted {
        let place = |name: &str| report.archives.iter().find(|a| a.bundle == name).map(|a| a.place.clone());
        let bundles = report.bundles.into_iter().map(|b| {
            let place = place(&b.name);
            ActedBundle { name: b.name, root: b.root, zip: b.path, verified: b.verified, place }
        });
        let mismatches = report.mismatches.into_iter().map(|m| format!("mismatch: {m}"));
        Acted {
            outcome: report.outcome,
            headline: report.headline,
            bundles: bundles.collect(),
            gaps: report.gaps.len() as u64,
            refusals: report.refusals,
            notes: report.notes.into_iter().chain(mismatches).collect(),
        }
    }
}

/// The engine's notes as log lines.
struct Log;
impl Progress for Log {
    fn note(&self, note: Note) {
        tracing::info!(note = %note.to_string().trim(), "run");
    }
}
