//! `run(order, doors) → Report`: walks the phases of a plan. The only loop; both faces end here.
//!
//! Every state a kill can leave is one of: a directory that `verify` calls unfinished, a whole zip, or both; and a case journal from which
//! `restore` puts everything back. So nothing here has an order that matters only when all goes well.

mod archiving;
mod containing;
mod gathering;

pub(super) use containing::trip;

use super::bag::{self, Bag};
use super::guard::Guarding;
use super::log::{IntentLog, LogError, Spoils};
use super::others::OtherCases;
use super::preflight::PreflightError;
use super::progress::{Note, Progress};
use super::report::{Report, headline};
use super::sealing::Sealing;
use super::secrets::{Secrets, SecretsError};
use crate::archive::straight::Carrier;
use crate::archive::{self, Vault};
use crate::aws::Connector;
use crate::aws::fault::tame_error;
use crate::bundle::case_journal::CaseJournal;
use crate::bundle::documents::{BundleKind, PlannedUnit, UnitEnd};
use crate::bundle::draft::{Draft, DraftError};
use crate::bundle::journal::JournalError;
use crate::bundle::seal::SealError;
use crate::bundle::tool;
use crate::bundle::verify::NotVerified;
use crate::clock::Clock;
use crate::collect::Abort;
use crate::contain::ContainPermit;
use crate::model::canon::{self, CanonError};
use crate::model::exchange::Exchange;
use crate::model::id::{CaseId, RunId};
use crate::model::item::Group;
use crate::model::journal_event::JournalEvent;
use crate::model::outcome::Outcome;
use crate::plan::Plan;
use crate::plan::approval::Approval;
use crate::plan::pin::Pinned;
use crate::playbook::PhaseKind;
use crate::store::Store;
use async_trait::async_trait;
use futures_util::FutureExt as _;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;

/// What is to be done.
pub struct Order {
    pub case: CaseId,
    pub run: RunId,
    pub plan: Plan,
    /// The untouched event that asked for it.
    pub trigger: Option<Vec<u8>>,
    /// Caller identity's ARN, and who stands behind it if that is known.
    pub operator: String,
    /// Calls made before there was a bundle.
    pub preflight: Vec<Exchange>,
    /// The world that the plan was made for, where it was pinned.
    pub pinned: Option<Pinned>,
    /// A second person's word on it.
    pub approval: Option<Approval>,
    /// The rules that stand before containment, and the facts that were known when the run began.
    pub guard: Guarding,
    /// Evidence that the case already holds; a plan that verifies its own needs none.
    pub permit: Option<ContainPermit>,
}

/// The doors to the outside.
pub struct Doors {
    pub connector: Connector,
    /// The case's store: its journal lies here, durable ahead of every change.
    pub store: Arc<dyn Store>,
    /// Where what spans cases is kept: halt, breaker, rate, approvals that were used. The directory or prefix that the cases lie in.
    pub control: Arc<dyn Store>,
    /// Where bundles are drafted and handed over.
    pub case_dir: PathBuf,
    pub clock: Arc<dyn Clock>,
    pub progress: Arc<dyn Progress>,
    pub interrupt: watch::Receiver<bool>,
    /// The other cases that can be seen from here: a cell that one of them holds is not restored under it.
    pub others: Arc<OtherCases>,
    /// Where what is sealed is archived, if anywhere.
    pub archive: Option<Vault>,
    /// Carry each bag there while it is made, not only when it is sealed.
    pub straight: bool,
    /// How bags are signed.
    pub sealing: Arc<Sealing>,
    /// For whom their secrets are sealed.
    pub secrets: Arc<Secrets>,
    /// Where the cases lie: the identities of those without recipients are kept there.
    pub beside: Arc<dyn Store>,
}

#[async_trait]
impl IntentLog for CaseJournal {
    async fn append(&self, event: JournalEvent) -> Result<(), LogError> {
        CaseJournal::append(self, event).await.map_err(|e| LogError(e.into()))
    }
    async fn append_unless(&self, event: JournalEvent, seen: usize, spoils: &Spoils<'_>) -> Result<bool, LogError> {
        CaseJournal::append_unless(self, event, seen, spoils).await.map_err(|e| LogError(e.into()))
    }
    fn events(&self) -> Vec<JournalEvent> {
        CaseJournal::events(self)
    }
    async fn catch_up(&self) {
        // What cannot be read now is met by the next append, which then says so.
        let _ = CaseJournal::catch_up(self).await;
    }
}

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("could not read or extend the case journal")]
    CaseJournal(#[from] JournalError),
    #[error("could not draft a bundle")]
    Draft(#[from] DraftError),
    #[error("collection stopped")]
    Collect(#[from] Abort),
    #[error("could not see to it that somebody can open the bundle's secrets")]
    Secrets(#[from] SecretsError),
    #[error("could not seal the bundle")]
    Seal(#[from] SealError),
    #[error("could not write the plan down")]
    Plan(#[from] CanonError),
    #[error("the bundle that was just sealed does not verify; nothing was contained")]
    NotVerified(#[from] NotVerified),
    #[error("the plan contains before it verifies, and nothing permits that")]
    NoPermit,
    #[error("the plan names `{0}`, which this build does not know")]
    UnknownUnit(String),
    #[error("could not look at what the plan would change")]
    Survey(#[source] PreflightError),
}

/// Execute the plan. The case is opened when it is new.
pub async fn run(order: Order, doors: Doors) -> Result<Report, RunError> {
    let journal = CaseJournal::open(doors.store.clone(), doors.clock.clone(), &order.operator).await?;
    let mut opening = vec![];
    if journal.lines().is_empty() {
        opening.push(JournalEvent::CaseOpen {
            case: order.case.to_string(),
            run: order.run.clone(),
            tool: tool::name_and_version(),
            operator: order.operator.clone(),
        });
    }
    opening.push(JournalEvent::RunStarted {
        run: order.run.clone(),
        playbook: order.plan.playbook.clone(),
        plan_sha256: order.plan.sha256()?,
        target: order.plan.target.to_string(),
    });
    journal.append_all(opening).await?;
    let report =
        Report { target: order.plan.target.to_string(), ..Report::blank(&order.case, &order.run, &order.plan.playbook, &order.operator) };
    let permit = order.permit.clone();
    let mut running = Running {
        order,
        doors,
        journal,
        report,
        draft: None,
        carrier: None,
        planned: vec![],
        finished: true,
        permit,
        archived: BTreeSet::new(),
    };
    // Boxed: the whole of a run would otherwise lie, several times over, on the stack of whoever awaits it.
    let result = running.walk().boxed().await;
    if let Err(e @ RunError::NotVerified(_)) = &result
        && running.order.plan.contains()
    {
        let why = format!("case {}, {}: {e}", running.order.case, running.order.plan.target);
        let _ = trip(&running.doors, &running.order.operator, &running.order.run, &why).await;
    }
    let outcome = match &result {
        Ok(report) => report.outcome.sentence().to_string(),
        Err(e) => format!("error: {e}"),
    };
    // A journal that refuses now must not hide what happened before.
    let ended = running.journal.append(JournalEvent::RunEnded { run: running.order.run.clone(), outcome }).await;
    let mut report = result?;
    if let Some(vault) = running.doors.archive.as_ref().filter(|_| !running.archived.is_empty()) {
        let case = archive::Case { journal: &running.journal, store: &*running.doors.store };
        if let Err(e) = archive::journal_too(vault, &running.order.case, case).await {
            report.notes.push(format!("the last lines of the case journal did not come into the vault: {}", tame_error(&e, 1000)));
        }
    }
    if let Err(e) = ended {
        report.notes.push(format!("the end of the run could not be written to the case journal: {e}"));
    }
    Ok(report)
}

pub(super) struct Running {
    pub(super) order: Order,
    pub(super) doors: Doors,
    pub(super) journal: CaseJournal,
    pub(super) report: Report,
    draft: Option<Arc<Draft>>,
    /// Carries the draft that is open.
    pub(super) carrier: Option<Carrier>,
    planned: Vec<PlannedUnit>,
    pub(super) finished: bool,
    permit: Option<ContainPermit>,
    /// Bundles that are in the vault.
    archived: BTreeSet<String>,
}

impl Running {
    async fn walk(&mut self) -> Result<Report, RunError> {
        let phases = self.order.plan.phases.clone();
        for phase in &phases {
            self.doors.progress.note(Note::Phase(phase.phase.as_str()));
            match phase.phase {
                // On the heap: each holds everything below it, and a thread of tokio has two megabytes of stack.
                PhaseKind::Collect => Box::pin(self.collect(phase)).await?,
                PhaseKind::Seal => Box::pin(self.seal()).await?,
                // Sealing reads back already; what `verify` adds is that nothing after it happens without.
                PhaseKind::Verify => {}
                PhaseKind::Contain => Box::pin(self.contain(phase)).await?,
                PhaseKind::Archive => Box::pin(self.archive()).await,
            }
            if !self.finished {
                break;
            }
        }
        // A playbook that collects and never seals would leave evidence lying open.
        Box::pin(self.seal()).await?;
        if self.doors.archive.is_some() {
            Box::pin(self.archive()).await;
        }
        let mut report = self.report.clone();
        report.headline = headline(&report.tally, &report.gaps);
        if report.function_gone {
            report.headline = format!("the function does not exist any more; {}", report.headline);
        }
        if !report.refusals.is_empty() {
            let mut rules: Vec<&str> = report.refusals.iter().map(|r| r.rule.as_str()).collect();
            rules.dedup();
            let what = if report.containment.as_ref().is_some_and(|c| c.outcome() != Outcome::Refused && !c.dry_run) {
                "containment refused in part"
            } else {
                "containment refused"
            };
            report.headline = format!("{what} ({}); {}", rules.join(", "), report.headline);
        }
        if let Some(gone) = &self.order.plan.gone {
            report.notes.push(gone.words());
        }
        if !report.skipped.is_empty() {
            report.notes.push(format!("skipped by the operator: {}; what they ask stays open", report.skipped.join(", ")));
        }
        if !self.finished {
            report.outcome = report.outcome.worse(Outcome::Interrupted);
            report.headline = format!("interrupted, bundle unfinished; {}", report.headline);
        }
        report.exit_code = report.outcome.exit_code();
        Ok(report)
    }

    fn bag(&self) -> Bag<'_> {
        Bag {
            case: &self.order.case,
            run: &self.order.run,
            playbook: &self.order.plan.playbook,
            operator: &self.order.operator,
            target: &self.order.plan.target,
            journal: &self.journal,
            case_dir: &self.doors.case_dir,
            clock: &self.doors.clock,
            sealing: &self.doors.sealing,
            secrets: &self.doors.secrets,
            connector: &self.doors.connector,
            beside: &*self.doors.beside,
        }
    }

    /// A new bag of this case, with what asked for it in its plan group.
    async fn open(&mut self, kind: BundleKind) -> Result<(Arc<Draft>, PlannedUnit), RunError> {
        let (draft, prepared) = self.bag().open(kind).await?;
        // Before anything is put into it: what its journal tells of an item, it tells whole.
        self.carry(&draft)?;
        self.report.prepared(prepared);
        draft.journal(JournalEvent::Plan { playbook: self.order.plan.playbook.clone(), sha256: self.order.plan.sha256()? })?;
        let keep = |name: &str, subject: &str, bytes: &[u8]| bag::put(&draft, Group::Plan, PLAN_UNIT, name, subject, "json", bytes);
        let mut items = vec![keep("plan", "the plan, resolved", &self.order.plan.canonical()?)?];
        if let Some(text) = self.order.guard.policy.as_ref().ok().and_then(|p| p.text.as_ref()).filter(|_| self.order.plan.contains()) {
            let subject = "the guard policy that stood before containment, as it was read";
            items.push(bag::put(&draft, Group::Plan, PLAN_UNIT, "guard-policy", subject, "yaml", text.as_bytes())?);
        }
        if let Some(pinned) = &self.order.pinned {
            let bytes = canon::to_vec("the pinned plan", pinned)?;
            items.push(keep("pinned-plan", "the plan as it was pinned to the world, which was to be carried out", &bytes)?);
        }
        if let Some(raw) = &self.order.trigger {
            items.push(keep("trigger-event", "the event that asked for this run, as received", raw)?);
        }
        if !self.order.preflight.is_empty() {
            let calls = canon::to_vec("the preflight calls", &self.order.preflight)?;
            items.push(keep("preflight", "calls made before the bundle was opened, without bodies", &calls)?);
        }
        let unit = PlannedUnit {
            unit: PLAN_UNIT.to_string(),
            title: "Plan and trigger".to_string(),
            question: "What was to be done, and who asked for it?".to_string(),
            group: Group::Plan,
            ended: UnitEnd::Done,
            items,
        };
        Ok((draft, unit))
    }
}

/// The work's end, or `None` when the operator interrupts it. A run that was interrupted already does not begin it.
async fn until<T>(interrupt: &mut watch::Receiver<bool>, going: bool, work: impl Future<Output = T>) -> Option<T> {
    if !going || *interrupt.borrow() {
        return None;
    }
    tokio::select! {
        biased;
        done = work => Some(done),
        // A sender that is gone interrupts nobody.
        Ok(_) = interrupt.wait_for(|stop| *stop) => None,
    }
}

/// The unit under which plan, trigger and preflight stand in coverage.
pub const PLAN_UNIT: &str = "plan";

/// The unit under which the judgement on techniques stands in coverage.
pub const TECHNIQUES_UNIT: &str = "techniques";
