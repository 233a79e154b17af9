//! Floor 7, the automatic face: event → intake → target → plan → engine → reply. Runs as a Lambda function (`freezeframe-responder`).
//!
//! # Environment variables (a public promise)
//!
//! | variable | meaning |
//! |---|---|
//! | `FREEZEFRAME_STORE` | where cases are kept, required: `s3://bucket/prefix`, or a directory's path |
//! | `FREEZEFRAME_STORE_REGION` | Region of the bucket, when it is not the function's own |
//! | `FREEZEFRAME_RETAIN` | nobody may delete what is put into the bucket for so long (`7y`, `90d`); none: the bucket's own default |
//! | `FREEZEFRAME_LOCK` | who may shorten that: `governance` (whoever may bypass it, the default) or `compliance` (nobody) |
//! | `FREEZEFRAME_LEGAL_HOLD` | `on`: nobody may delete what is put there until somebody takes the hold off |
//! | `FREEZEFRAME_SSE_KMS_KEY` | encrypt what is put there with this key; otherwise the bucket's default |
//! | `FREEZEFRAME_BUCKET_OWNER` | stop unless the bucket belongs to this account |
//! | `FREEZEFRAME_ACCEPT` | `unlocked-bucket`, `public-bucket`: start all the same |
//! | `FREEZEFRAME_PLAYBOOK` | shipped playbook to run when the event names none; `snapshot-only` |
//! | `FREEZEFRAME_MODE` | how far the handler may go: `observe` (events are kept, nothing is done), `snapshot` (default: a playbook that contains is refused), `contain-with-approval` (evidence is taken, containment waits for a person), `contain` (what the guard policy lets through is contained) |
//! | `FREEZEFRAME_GUARD` | the guard policy's file; without it, the object `guard.yaml` in the store, if there is one |
//! | `FREEZEFRAME_RECIPIENTS` | recipients of age (`age1…`, separated by commas) who may open the secrets in the evidence |
//! | `FREEZEFRAME_SECRETS_KEY` | ARN of a symmetric KMS key: whoever may decrypt with it may open them too. With neither, an identity lies beside the case in the store |
//! | `FREEZEFRAME_SEAL_WHOLE` | collectors all of whose files are sealed, separated by commas |
//! | `FREEZEFRAME_KMS_KEY` | ARN of the KMS key (`ECC_NIST_P256`) that signs bundles; without it, or a key file, they are sealed and not signed |
//! | `FREEZEFRAME_SIGN_KEY` | file of a local P-256 key that signs them (PKCS#8 in PEM), alone or beside the other |
//! | `FREEZEFRAME_TSA` | address of the authority that stamps the signature (RFC 3161) |
//! | `FREEZEFRAME_SCRATCH` | where bundles are drafted before they are kept; `/tmp` |
//! | `FREEZEFRAME_LOG` | level of our own log lines: `error`, `warn`, `info` (default), `debug` |
//!
//! Any other `FREEZEFRAME_…` is refused at the start: a misspelt mode must not quietly be the default. Region, credentials and endpoints are
//! the SDK's (`AWS_REGION`, …).
//!
//! # What lies in the store
//!
//! ```text
//! cases/<case>/journal/…            the case journal; cases/<case>/ copied to a disk is a case directory of the command line
//! cases/<case>/<bundle>/…           a bundle, file by file, put while it is made; one without seal/statement.json was not brought to its end,
//!                                   and can be salvaged (`freezeframe salvage`)
//! cases/<case>/<bundle>.zip         and <bundle>.zip.sha256, which is put last: in a directory, and where the files could not be archived
//! cases/<case>/failed/<bundle>.zip  what a run that failed had handed over
//! cases/<case>/leases/<key>-1.json  who works on a finding; …-1.ended.json how that went
//! unknown/<sha256>.json             events of a form that is not known, as they came
//! refused/<sha256>.json             events that were understood and could not be acted on
//! observed/<sha256>.json            events that were understood in mode `observe`
//! guard.yaml                        the guard policy, when no file is named
//! control/…                         halt, breaker, rate (`engine::control`)
//! ```
//!
//! # What its role needs on the bucket
//!
//! Beside what its playbook's plan names: the IAM actions of `aws::archive_client::STORE_CALLS` (the case journal, leases, events) and
//! `ARCHIVE_CALLS` (bundles carried there and read back; the bucket looked at), and with a lock configured `LOCK_ACTIONS`. On the objects:
//! `s3:PutObject`, `GetObject`, `GetObjectVersion`, `GetObjectVersionAttributes`, `PutObjectRetention`, `PutObjectLegalHold`, `GetObjectRetention`,
//! `GetObjectLegalHold`, `AbortMultipartUpload`, `ListMultipartUploadParts`; on the bucket: `s3:ListBucket`, `ListBucketVersions`,
//! `ListBucketMultipartUploads`, `GetBucketVersioning`, `GetBucketObjectLockConfiguration`, `GetBucketPublicAccessBlock`, `GetBucketPolicyStatus`,
//! `GetBucketPolicy`, `GetBucketAcl`, `GetEncryptionConfiguration`, `GetReplicationConfiguration`. No delete, and nothing that takes a lock off.
//! Where it may put, and not list versions or read back, a bundle cannot be archived file by file: then its zip is kept, and the reply says so.
//!
//! # What it never does
//!
//! Contain unless its configuration says so, whatever an event asks for; and even then only what the guardrails let through (`plan::guard`):
//! a function about which nobody has said that it may be contained is not. Severity and re-verification of the finding at its source come in
//! a later version. Start at [`Handler::handle`].

pub mod act;
pub mod config;
pub mod decide;
pub mod explain;
mod keep;
pub mod lease;
pub mod reply;
pub mod serve;
mod straight;

pub use act::{Act, Acted, ActedBundle, Found, Job, LookError, PlaybookFacts};
pub use config::{Config, ConfigError, Mode, Settings};
pub use reply::{Did, Reply};

use crate::clock::Clock;
use crate::model::id::RunId;
use crate::model::outcome::Outcome;
use crate::plan::guard::Ends;
use crate::store::within::Within;
use crate::store::{Store, StoreError};
use chrono::{DateTime, Utc};
use decide::{Decision, Plan};
use lease::{Claim, Lease, LeaseError, Leases};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// So long before the end of the invocation collecting stops: time to seal, read back and keep a bundle that says it is unfinished.
pub const DRAIN: Duration = Duration::from_secs(20);

/// One delivery of an event.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Lambda's request id: its own retries of an asynchronous invocation keep it.
    pub id: String,
    /// When the invocation is cut off.
    pub deadline: Option<DateTime<Utc>>,
}

/// The event could not be dealt with, and should be delivered again.
#[derive(Debug, thiserror::Error)]
pub enum HandlerError {
    #[error("there is no shipped playbook `{0}`")]
    NoSuchPlaybook(String),
    #[error("the playbook `{0}` contains, and FREEZEFRAME_MODE is neither `contain` nor `contain-with-approval`")]
    ModeForbidsPlaybook(String),
    #[error("could not keep the event")]
    KeepEvent(#[source] StoreError),
    #[error("could not look at the target")]
    LookAtTarget(#[source] act::Cause),
    #[error("could not open the case {case}")]
    OpenCase {
        case: String,
        #[source]
        source: StoreError,
    },
    #[error("could not claim the finding")]
    Claim(#[source] LeaseError),
    #[error("could not make a scratch directory in {}", dir.display())]
    MakeScratch {
        dir: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the run {run} could not be brought to its end")]
    Run {
        run: RunId,
        #[source]
        source: act::Cause,
    },
    #[error("the bundles of run {run} could not be kept; they lie in {}", left.display())]
    KeepBundles {
        run: RunId,
        left: PathBuf,
        #[source]
        // Boxed: an error is carried through every `?`, and this one is the largest.
        source: Box<keep::KeepError>,
    },
    #[error("run {run} kept its evidence, but could not contain: {why}")]
    NotContained { run: RunId, why: String },
    #[error("run {run} ended and its bundles are kept, but that could not be written down")]
    EndLease {
        run: RunId,
        #[source]
        source: LeaseError,
    },
}

pub struct Handler {
    settings: Settings,
    scratch: PathBuf,
    store: Arc<dyn Store>,
    act: Arc<dyn Act>,
    clock: Arc<dyn Clock>,
}

impl Handler {
    /// A configuration that could never act as it says is refused here, at the start, where somebody sees it.
    pub fn new(
        settings: Settings,
        scratch: PathBuf,
        store: Arc<dyn Store>,
        act: Arc<dyn Act>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, HandlerError> {
        let facts = act.playbook(&settings.playbook).ok_or_else(|| HandlerError::NoSuchPlaybook(settings.playbook.clone()))?;
        if facts.contains && settings.mode < Mode::ContainWithApproval && settings.mode != Mode::Observe {
            return Err(HandlerError::ModeForbidsPlaybook(facts.id));
        }
        Ok(Handler { settings, scratch, store, act, clock })
    }

    /// `Err` asks for another delivery; everything that another delivery would not change is a reply.
    pub async fn handle(&self, event: &[u8], delivery: &Delivery) -> Result<Reply, HandlerError> {
        let plan = match decide::decide(event, &delivery.id, &self.settings, &|id| self.act.playbook(id)) {
            Decision::Act(plan) => plan,
            Decision::Nothing { did, why, about } => {
                let mut reply = Reply::nothing(did, why, &self.settings);
                if let Some(understood) = about {
                    reply = reply.about(&understood.trigger);
                }
                return self.kept(reply, event).await;
            }
        };
        let base = Reply::nothing(Did::Refused, String::new(), &self.settings).about(&plan.trigger).planned(&plan);
        let found = match self.act.look(&plan.target).await {
            Ok(found) => found,
            Err(LookError::NotHere(why)) => return self.kept(Reply { why, ..base }, event).await,
            Err(LookError::Failed(source)) => return Err(HandlerError::LookAtTarget(source)),
        };
        let base = Reply { target: Some(found.target.to_string()), ..base };
        let opening = |source| HandlerError::OpenCase { case: plan.case.to_string(), source };
        let case_store: Arc<dyn Store> = Arc::new(Within::new(self.store.clone(), &format!("cases/{}", plan.case)).map_err(opening)?);
        let leases = Leases::new(case_store.clone(), self.clock.clone());
        let now = u64::try_from(self.clock.now().timestamp_millis()).unwrap_or_default();
        let run = RunId::new(now, ulid::Ulid::generate().random());
        let wanted =
            lease::Wanted { finding: &plan.trigger.finding_id, target: &found.target, playbook: &plan.playbook.id, run: &run, delivery };
        match leases.claim(wanted).await.map_err(HandlerError::Claim)? {
            Claim::Ours(lease) => self.run(*plan, base, found, case_store, &leases, lease, event, delivery).await,
            other => Ok(base.not_ours(&other)),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the steps of one delivery, split for reading; they have no other caller")]
    async fn run(
        &self,
        plan: Plan,
        base: Reply,
        found: Found,
        case_store: Arc<dyn Store>,
        leases: &Leases,
        lease: Lease,
        event: &[u8],
        delivery: &Delivery,
    ) -> Result<Reply, HandlerError> {
        let run = lease.run().clone();
        let scratch = tempfile::Builder::new()
            .prefix("freezeframe-")
            .tempdir_in(&self.scratch)
            .map_err(|source| HandlerError::MakeScratch { dir: self.scratch.clone(), source })?;
        let case_dir = scratch.path().join(plan.case.as_str());
        let job = Job {
            case: plan.case.clone(),
            run: run.clone(),
            playbook: plan.playbook.id.clone(),
            found,
            event: event.to_vec(),
            case_store: case_store.clone(),
            case_dir: case_dir.clone(),
        };
        tracing::info!(case = %plan.case, run = %run, finding = %plan.trigger.finding_id, "acting");
        let acted = match self.until_deadline(job, delivery).await {
            Ok(acted) => acted,
            Err(source) => {
                let kept = keep::keep_failed(&*case_store, &case_dir).await;
                // What was drafted and never zipped stays behind for whoever can still reach this disk.
                let left = scratch.keep();
                tracing::error!(run = %run, left = %left.display(), kept = ?kept, "the run failed");
                let _ = leases.end(&lease, Outcome::Failed).await;
                return Err(HandlerError::Run { run, source });
            }
        };
        let bundles = match keep::keep(&*case_store, &acted.bundles).await {
            Ok(bundles) => bundles,
            Err(source) => {
                let left = scratch.keep();
                let _ = leases.end(&lease, Outcome::Failed).await;
                return Err(HandlerError::KeepBundles { run, left, source: Box::new(source) });
            }
        };
        // A refusal that nobody decided leaves something undone, which another run may do: at once where asking again may help, and with the next
        // delivery of the finding where only time does (a retry within minutes would take the evidence once more and be refused once more).
        let ends = acted.refusal_ends();
        let outcome = if matches!(ends, Some(Ends::Asked | Ends::Waited)) { Outcome::Failed } else { acted.outcome };
        leases.end(&lease, outcome).await.map_err(|source| HandlerError::EndLease { run: run.clone(), source })?;
        if ends == Some(Ends::Asked) {
            let why = acted.refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            tracing::error!(run = %run, why, "not contained; to be delivered again");
            return Err(HandlerError::NotContained { run, why });
        }
        let mut reply = base.acted(run, acted, bundles);
        if ends == Some(Ends::Waited) {
            reply.notes.push("refused for now: the next delivery of this finding tries again".into());
        }
        Ok(reply)
    }

    /// The run, told to stop collecting while there is time left to seal and keep.
    async fn until_deadline(&self, job: Job, delivery: &Delivery) -> Result<Acted, act::Cause> {
        let (stop, interrupt) = watch::channel(false);
        let left = delivery.deadline.map(|d| (d - self.clock.now()).to_std().unwrap_or_default().saturating_sub(DRAIN));
        let alarm = async {
            match left {
                Some(left) => self.clock.sleep(left).await,
                None => std::future::pending().await,
            }
        };
        let run = self.act.run(job, interrupt);
        tokio::pin!(alarm, run);
        tokio::select! {
            biased;
            ended = &mut run => ended,
            () = &mut alarm => {
                tracing::warn!("the invocation ends soon: collecting stops, the bundle will say that it is unfinished");
                stop.send_replace(true);
                run.await
            }
        }
    }

    /// A reply to an asynchronous invocation is read by nobody, so what could not be acted on is kept, and said in the log.
    async fn kept(&self, mut reply: Reply, event: &[u8]) -> Result<Reply, HandlerError> {
        tracing::warn!(did = %reply.did, why = %reply.why, "nothing was done");
        let folder = match reply.did {
            Did::Unknown => "unknown",
            Did::Refused => "refused",
            Did::Observed => "observed",
            _ => return Ok(reply),
        };
        let key = format!("{folder}/{}.json", crate::model::digest::Sha256::of(event));
        // An event that is there already is the same event.
        self.store.put_if_absent(&key, event.to_vec()).await.map_err(HandlerError::KeepEvent)?;
        reply.event_kept = Some(key);
        Ok(reply)
    }
}
