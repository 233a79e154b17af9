//! `salvage(order, …)`: a bag that was carried to a vault by a run that died is sealed there by another process, which has nothing but the bucket.
//!
//! ```text
//! is the run dead? → the case's journal, here as there → fetch, checked on the way → reopen → seal → verify → claim → case journal → archive
//! ```
//!
//! What was collected stays as it was; what is added is one item that says so. Collection itself is not gone on with: a new run in the same case asks
//! everything anew, and names this bag as the one before it. Answers of two hours apart in one bag would be worth less than two bags.
//!
//! Killed at any moment, it is begun again, here or elsewhere. What it never does: salvage what may still be alive, unless told that it is not;
//! seal what contradicts itself; put anything before the bundle is its own; say of a bundle that it is sealed before it was verified as it is sealed.

use super::bag::sealed_bundles;
use super::log::parse_target;
use super::progress::{Note, Progress};
use super::run::PLAN_UNIT;
use super::sealing::{self, Sealing};
use crate::archive::straight::{self, CaseStoreError, Claimed, Look, case_store};
use crate::archive::{self, Accepted, ArchiveError, Archived, FetchError, Place, Vault};
use crate::aws::fault::tame;
use crate::bundle::begun_seal::{BegunSeal, BegunSealError};
use crate::bundle::case_journal::CaseJournal;
use crate::bundle::documents::{PlannedUnit, Previous, UnitEnd};
use crate::bundle::journal::JournalError;
use crate::bundle::reopen::{Remains, ReopenError, SALVAGE_QUESTION, SALVAGE_UNIT, Salvager};
use crate::bundle::seal::{Closed, SealError};
use crate::bundle::source::{BagSource, OpenError};
use crate::bundle::tool;
use crate::bundle::verify::{Verdict, Verification, verify_source};
use crate::clock::{Clock, seconds};
use crate::collect;
use crate::model::digest::Sha256;
use crate::model::id::{CaseId, RunId};
use crate::model::item::{Group, Item};
use crate::model::journal_event::JournalEvent;
use crate::model::outcome::Outcome;
use crate::plan::{Plan, What};
use crate::playbook::PhaseKind;
use crate::store::{Store, disk};
use schemars::JsonSchema;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A run that lives all the same stops within a second or two of its bundle being taken up: its next segment is refused. What it had under way by
/// then is taken up as well.
const PASSES: u32 = 5;
const SETTLING: Duration = Duration::from_secs(3);
/// A plan with everything that a playbook can name.
const MAX_PLAN: u64 = 16 << 20;

/// What is to be salvaged, and by whom.
pub struct SalvageOrder {
    /// The bundle's own place: `s3://bucket/prefix/case/bundle`.
    pub place: Place,
    /// The case's, by the place.
    pub case: CaseId,
    /// Where the case lies here; need not exist.
    pub case_dir: PathBuf,
    pub run: RunId,
    pub operator: String,
    /// Somebody's word that the run is dead, however young its last sign of life.
    pub is_dead: bool,
}

/// `salvage --json`
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Salvaged {
    /// Version of this form: 1.
    pub v: u32,
    pub outcome: Outcome,
    pub exit_code: u8,
    pub headline: String,
    pub case: CaseId,
    pub bundle: String,
    pub place: String,
    /// The run that made it.
    pub run: RunId,
    pub root: Sha256,
    /// What the run had come to. False: it was sealed as unfinished.
    pub finished: bool,
    pub items: u64,
    pub gaps: u64,
    /// The sealed bundle here.
    pub path: PathBuf,
    pub signed_by: Vec<Sha256>,
    pub archive: Archived,
    pub notes: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum SalvageError {
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error("the run may still be alive: it was heard of at {}", seconds(*heard))]
    Alive { heard: chrono::DateTime<chrono::Utc>, until: chrono::DateTime<chrono::Utc> },
    #[error("there is nothing to salvage: {place} is sealed")]
    Sealed { place: String },
    #[error("{} is there already", path.display())]
    There { path: PathBuf, to: String },
    #[error("cannot keep {}", path.display())]
    Keep {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot fetch what lies there")]
    Fetch(#[source] FetchError),
    #[error("what lies there contradicts itself, and is not sealed; it lies at {}", path.display())]
    Broken { path: PathBuf, verification: Box<Verification> },
    #[error("cannot go on with the seal that its run had begun")]
    Begun(#[from] BegunSealError),
    #[error("its run had begun to seal it, and yet had not come to its end by what its journal and coverage say")]
    NotClosed,
    #[error("cannot take the bundle up again")]
    Reopen(#[from] ReopenError),
    #[error("its journal names no function: `{target}`")]
    Target { target: String },
    #[error("it lies in the folder of case {place}, and its journal is of case {journal}")]
    OtherCase { place: String, journal: String },
    #[error("cannot bring the case together")]
    Case(#[from] CaseStoreError),
    #[error("cannot write into the case journal")]
    Journal(#[from] JournalError),
    #[error("cannot seal the bundle")]
    Seal(#[from] SealError),
    #[error("cannot read the bundle that was just sealed")]
    Sealing(#[source] OpenError),
    #[error("somebody else has taken the bundle up: segment {number} of its journal is not ours")]
    Taken { number: u32 },
    #[error("it is ours, and after {passes} looks more files still come to lie there")]
    Restless { passes: u32 },
    #[error("the reading task broke off")]
    Task(#[source] tokio::task::JoinError),
}

impl SalvageError {
    pub fn outcome(&self) -> Outcome {
        match self {
            SalvageError::Archive(e) => e.outcome(),
            SalvageError::Alive { .. } | SalvageError::Taken { .. } | SalvageError::OtherCase { .. } | SalvageError::Sealed { .. } => {
                Outcome::Refused
            }
            SalvageError::Broken { .. } | SalvageError::Begun(_) | SalvageError::NotClosed => Outcome::VerificationFailed,
            SalvageError::There { .. } => Outcome::Usage,
            _ => Outcome::Failed,
        }
    }

    pub fn hints(&self) -> Vec<String> {
        let hint = match self {
            SalvageError::Archive(e) => return e.hints(),
            SalvageError::Alive { until, .. } => {
                format!("wait until {}; or, when you know that it is dead (its host, its function is gone): --run-is-dead", seconds(*until))
            }
            SalvageError::Sealed { place } => format!("freezeframe verify {place} says how it stands"),
            SalvageError::There { path, to } => {
                format!("it is sealed already, here: freezeframe archive {} {to} --accept unfinished-bundle", path.display())
            }
            SalvageError::Broken { path, .. } => format!("freezeframe verify {} says what is wrong with it", path.display()),
            SalvageError::Taken { .. } => {
                "its run lives, or another salvages it: look again in some minutes with freezeframe verify".into()
            }
            SalvageError::Begun(_) | SalvageError::NotClosed => {
                "archive it from where it was sealed, if that disk is left: freezeframe archive <bundle> s3://…".into()
            }
            SalvageError::Reopen(ReopenError::NotWhole { .. } | ReopenError::NoJournal) => {
                "it was not made with --straight; archive it from the disk on which it was made".into()
            }
            _ => return vec![],
        };
        vec![hint]
    }
}

/// See the module.
pub async fn salvage(
    order: &SalvageOrder,
    vault: &Vault,
    sealing: &Sealing,
    clock: &Arc<dyn Clock>,
    progress: &dyn Progress,
) -> Result<Salvaged, SalvageError> {
    vault.preflight().await?;
    match straight::look(&vault.bucket, &order.place).await? {
        Look { sealed: true, .. } => return Err(SalvageError::Sealed { place: order.place.to_string() }),
        Look { alive: Some(a), .. } if !order.is_dead => return Err(SalvageError::Alive { heard: a.heard, until: a.until }),
        _ => {}
    }
    let name = order.place.name().to_string();
    let zip = order.case_dir.join(format!("{name}.zip"));
    if zip.exists() {
        return Err(SalvageError::There { path: zip, to: vault.to.to_string() });
    }
    let (journal, store) = case_store(vault, &order.case, &order.case_dir, &order.operator).await?;
    let salvaged = Salvage { order, vault, journal: &journal, store: &*store };
    for _ in 0..PASSES {
        if let Some(done) = salvaged.pass(&name, sealing, clock, progress).await? {
            return Ok(done);
        }
        progress.note(Note::Said("more came to lie there meanwhile: the run was alive until now; it is looked at anew".into()));
        clock.sleep(SETTLING).await;
    }
    Err(SalvageError::Restless { passes: PASSES })
}

/// The zip and its digest out of the hidden directory, under the names that they have in a case.
fn keep(zip: &Path, case_dir: &Path) -> std::io::Result<PathBuf> {
    let name = zip.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let to = case_dir.join(&name);
    let digest = format!("{name}.sha256");
    std::fs::rename(zip.with_file_name(&digest), case_dir.join(&digest))?;
    std::fs::rename(zip, &to)?;
    disk::sync_dir(case_dir)?;
    Ok(to)
}

struct Salvage<'s> {
    order: &'s SalvageOrder,
    vault: &'s Vault,
    journal: &'s CaseJournal,
    store: &'s dyn Store,
}

impl Salvage<'_> {
    /// Fetches what is there, and seals it. `None`: it is ours now, and yet more had come to lie there before the other process noticed.
    async fn pass(
        &self,
        name: &str,
        sealing: &Sealing,
        clock: &Arc<dyn Clock>,
        progress: &dyn Progress,
    ) -> Result<Option<Salvaged>, SalvageError> {
        let (order, vault) = (self.order, self.vault);
        // Hidden, and gone when this is left: the draft of the dead run may lie beside it under the bundle's own name.
        let scratch = tempfile::Builder::new().prefix(".salvage-").tempdir_in(&order.case_dir);
        let scratch = scratch.map_err(|source| SalvageError::Keep { path: order.case_dir.clone(), source })?;
        let fetched = archive::fetch(&vault.bucket, &order.place, scratch.path()).await.map_err(SalvageError::Fetch)?;
        let verification = fetched.verification;
        progress.note(Note::Said(format!("{} files, {} bytes were there", verification.counts.files, verification.counts.bytes)));
        if verification.verdict == Verdict::Broken {
            let _ = scratch.keep();
            return Err(SalvageError::Broken { path: fetched.path, verification: Box::new(verification) });
        }
        let (dir, of) = (fetched.path, name.to_string());
        let remains = tokio::task::spawn_blocking(move || Remains::read(&dir, &of)).await.map_err(SalvageError::Task)??;
        let sealed = self.seal(remains, sealing, clock, progress).await;
        if matches!(sealed, Err(SalvageError::Broken { .. })) {
            let _ = scratch.keep();
        }
        sealed
    }

    async fn seal(
        &self,
        remains: Remains,
        sealing: &Sealing,
        clock: &Arc<dyn Clock>,
        progress: &dyn Progress,
    ) -> Result<Option<Salvaged>, SalvageError> {
        let order = self.order;
        if remains.case() != &order.case {
            return Err(SalvageError::OtherCase { place: order.case.to_string(), journal: remains.case().to_string() });
        }
        let target = parse_target(remains.target());
        let target = target.ok_or_else(|| SalvageError::Target { target: tame(remains.target(), 300) })?;
        let (run, bundle, there) = (remains.run().clone(), remains.name().to_string(), remains.segments());
        let (closed, begun) = (remains.closed(), BegunSeal::read(remains.dir())?);
        if begun.is_some() && closed.is_none() {
            return Err(SalvageError::NotClosed);
        }
        let mut planned = planned(&remains);
        let from = order.place.to_string();
        let salvager = Salvager {
            operator: &order.operator,
            tool: tool::record(),
            tool_words: tool::name_and_version(),
            from: &from,
            target,
            previous: self.previous(&run, &bundle),
        };
        let draft = remains.reopen(&salvager, clock.clone())?;
        let items = draft.items();
        planned.push(unit(SALVAGE_UNIT, "Salvage", SALVAGE_QUESTION, Group::Plan, UnitEnd::Done, &items));
        let outcome = match begun {
            None => sealing.seal(&draft, planned, closed.unwrap_or(false), &**clock).await?,
            Some(begun) => go_on(&begun, sealing, draft.close(planned, closed.unwrap_or(false), begun.to_be())?)?,
        };
        let sealed = &outcome.sealed;
        // Nothing was said and nothing put yet: what would be broken in the bucket is not brought to an end there.
        let dir = sealed.dir().to_path_buf();
        let read = move || BagSource::open(&dir).map(|source| verify_source(&source, &[], &[]).0);
        let verification = tokio::task::spawn_blocking(read).await.map_err(SalvageError::Task)?.map_err(SalvageError::Sealing)?;
        if verification.verdict() == Verdict::Broken {
            return Err(SalvageError::Broken { path: sealed.dir().into(), verification: Box::new(verification) });
        }
        // From here on the bundle is ours, or somebody else's for good.
        if let Claimed::Theirs(number) = straight::claim(self.vault, &order.place, sealed.dir(), there).await? {
            return Err(SalvageError::Taken { number });
        }
        if straight::holds_more(self.vault, &order.place, sealed.dir()).await? {
            return Ok(None);
        }
        let zip = sealed.zip()?;
        let path = keep(&zip, &order.case_dir).map_err(|source| SalvageError::Keep { path: zip, source })?;
        let mut opening = vec![];
        if self.journal.lines().is_empty() {
            let (tool, operator) = (tool::name_and_version(), order.operator.clone());
            opening.push(JournalEvent::CaseOpen { case: order.case.to_string(), run: order.run.clone(), tool, operator });
        }
        opening.push(JournalEvent::Sealed { run: order.run.clone(), bundle: bundle.clone(), root: sealed.root() });
        self.journal.append_all(opening).await?;
        progress.note(Note::Said(format!("sealed {bundle}, root {}", sealed.root())));

        let send = archive::Order {
            bundle: path.clone(),
            to: self.vault.to.clone(),
            asked: self.vault.asked.clone(),
            accepted: Accepted { unfinished_bundle: true, ..self.vault.accepted },
            run: order.run.clone(),
            operator: order.operator.clone(),
            signers: sealing.signers().clone(),
        };
        let case = archive::Case { journal: self.journal, store: self.store };
        let say = |line: &str| progress.note(Note::Said(line.to_string()));
        let archived = archive::archive(&self.vault.bucket, &send, Some(case), &say).await?;
        let predicate = &sealed.statement().predicate;
        let outcome_now = archived.outcome.worse(if outcome.missing.is_empty() { Outcome::Complete } else { Outcome::Gaps });
        let how = if predicate.finished { "its run had come to its end" } else { "unfinished: its run died" };
        Ok(Some(Salvaged {
            v: 1,
            outcome: outcome_now,
            exit_code: outcome_now.exit_code(),
            headline: format!("salvaged and sealed, {how}; {} items, {} gaps", predicate.items, predicate.gaps),
            case: order.case.clone(),
            bundle,
            place: from,
            run,
            root: sealed.root(),
            finished: predicate.finished,
            items: predicate.items,
            gaps: predicate.gaps,
            path,
            signed_by: outcome.signed_by.clone(),
            archive: archived,
            notes: outcome.missing.clone(),
        }))
    }

    /// The bundle that the case had sealed when this one was begun: by this very run, or before it.
    fn previous(&self, run: &RunId, bundle: &str) -> Option<Previous> {
        let events = self.journal.events();
        let began = events.iter().position(|e| matches!(e, JournalEvent::RunStarted { run: r, .. } if r == run))?;
        let own = |e: &JournalEvent| matches!(e, JournalEvent::Sealed { run: r, bundle: b, .. } if r == run && b != bundle);
        let of_run: Vec<JournalEvent> = events[began..].iter().filter(|e| own(e)).cloned().collect();
        sealed_bundles(&of_run).into_iter().chain(sealed_bundles(&events[..began])).next()
    }
}

/// Seals with what lies in `seal/` already, and without a signature of our own: our keys sign the record of the archive.
fn go_on(begun: &BegunSeal, sealing: &Sealing, closed: Closed) -> Result<sealing::Outcome, SealError> {
    let signed_by = begun.signed_by();
    let (sealed, record) = closed.finish_begun(begun)?;
    // In the words of whatever wrote the note.
    let mut missing: Vec<String> = record.missing(sealed.name()).iter().map(|said| tame(said, 600)).collect();
    if signed_by.is_empty() && missing.is_empty() && sealing.signs() {
        let name = sealed.name();
        missing.push(format!("{name} is NOT signed: its run died while it was being sealed; the record of the archive is signed instead"));
    }
    Ok(sealing::Outcome { sealed, signed_by, missing })
}

/// What was planned, by the plan that lies in the bag; whether a unit came to its end nobody knows.
fn planned(remains: &Remains) -> Vec<PlannedUnit> {
    let (items, at_work) = (remains.items(), remains.units());
    let plan = disk::read_bounded(&remains.dir().join("data/00-plan/plan.json"), MAX_PLAN).ok().flatten();
    let plan = plan.and_then(|bytes| serde_json::from_slice::<Plan>(&bytes).ok());
    let question = "What was to be done, and who asked for it?";
    let mut all = vec![unit(PLAN_UNIT, "Plan and trigger", question, Group::Plan, UnitEnd::CutShort, items)];
    let collects = plan.iter().flat_map(|p| &p.phases).filter(|p| p.phase == PhaseKind::Collect);
    for phase in collects {
        for id in &phase.skipped {
            let Some(spec) = collect::find(id).map(|c| c.spec()) else { continue };
            all.push(unit(spec.id, spec.title, spec.answers, spec.group, UnitEnd::SkippedByOperator, &[]));
        }
        for step in &phase.steps {
            if let What::Collector { answers, group } = &step.what {
                let ended = if at_work.contains(step.unit.as_str()) { UnitEnd::CutShort } else { UnitEnd::NotRun };
                all.push(unit(&step.unit, &step.title, answers, *group, ended, items));
            }
        }
    }
    all
}

fn unit(id: &str, title: &str, question: &str, group: Group, ended: UnitEnd, items: &[Item]) -> PlannedUnit {
    let items = items.iter().filter(|i| i.collector == id).map(|i| i.id).collect();
    PlannedUnit { unit: id.into(), title: title.into(), question: question.into(), group, ended, items }
}
