//! `run(order, doors) → Report`: walks the phases of a plan. The only loop; both faces end here.
//!
//! Every state a kill can leave is one of: a directory that `verify` calls unfinished, a whole zip, or both; and a case journal from which
//! `restore` puts everything back. So nothing here has an order that matters only when all goes well.

use super::bag::{self, Bag};
use super::control::{Brake, Control};
use super::gather::{GatherStep, gather};
use super::guard::{self, Guarding, Sentry};
use super::log::{IntentLog, LogError};
use super::others::OtherCases;
use super::preflight::PreflightError;
use super::progress::{Note, Progress};
use super::report::{GroupTally, Report, Tally, headline};
use super::saga::{ContainReport, Saga, Stand};
use super::sealing::Sealing;
use super::secrets::{Secrets, SecretsError};
use super::{approve, straight, survey};
use crate::archive::straight::Carrier;
use crate::archive::{self, Accepted, Vault};
use crate::aws::Connector;
use crate::aws::fault::tame;
use crate::aws::record::{HeadRecorder, Recorder};
use crate::bundle::case_journal::CaseJournal;
use crate::bundle::documents::{BundleKind, PlannedUnit, UnitEnd};
use crate::bundle::draft::{Draft, DraftError, NewItem};
use crate::bundle::journal::JournalError;
use crate::bundle::seal::SealError;
use crate::bundle::tool;
use crate::bundle::verify::NotVerified;
use crate::clock::Clock;
use crate::collect::{self, Abort, CollectorSpec, Facts, Shared, Telling, Told};
use crate::contain::ContainPermit;
use crate::examine::techniques::{TechniqueCounts, is_gone};
use crate::examine::{self};
use crate::model::canon::{self, CanonError};
use crate::model::exchange::Exchange;
use crate::model::id::{CaseId, RunId};
use crate::model::item::{Group, ItemStatus};
use crate::model::journal_event::JournalEvent;
use crate::model::outcome::Outcome;
use crate::model::path::BundlePath;
use crate::model::refusal::Refusal;
use crate::plan::approval::Approval;
use crate::plan::guard::{Approval as Consent, Judgement};
use crate::plan::pin::Pinned;
use crate::plan::{Plan, PlannedPhase};
use crate::playbook::{ApprovalRule, PhaseKind};
use crate::store::Store;
use async_trait::async_trait;
use futures_util::FutureExt as _;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{OnceCell, watch};

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

/// No collector may hold up an investigation for longer.
const UNIT_DEADLINE: Duration = Duration::from_secs(15 * 60);

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
            report.notes.push(format!("the last lines of the case journal did not come into the vault: {}", chain(&e)));
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

    /// Archives what is sealed and not archived yet. What goes wrong is told, and stops nothing: the bundle lies on the disk, and can be archived
    /// again; containment does not wait for a bucket.
    async fn archive(&mut self) {
        let Some(vault) = self.doors.archive.clone() else {
            self.report.notes.push("NOT ARCHIVED: the playbook has an archive phase, and no place was named for it".into());
            self.report.outcome = self.report.outcome.worse(Outcome::Failed);
            return;
        };
        for bundle in self.report.bundles.clone() {
            if self.archived.contains(&bundle.name) {
                continue;
            }
            let order = archive::Order {
                bundle: bundle.path.clone(),
                to: vault.to.clone(),
                asked: vault.asked.clone(),
                accepted: Accepted { unfinished_bundle: !bundle.verified, ..vault.accepted },
                run: self.order.run.clone(),
                operator: self.order.operator.clone(),
                signers: self.doors.sealing.signers().clone(),
            };
            let case = archive::Case { journal: &self.journal, store: &*self.doors.store };
            let progress = self.doors.progress.clone();
            let say = move |line: &str| progress.note(Note::Said(line.to_string()));
            let sending = Box::pin(archive::archive(&vault.bucket, &order, Some(case), &say));
            let sent = match self.finished {
                true => until(&mut self.doors.interrupt, true, sending).await,
                // What was carried lies there already: the rest is a matter of seconds, and makes it a bundle.
                false if self.doors.straight => tokio::time::timeout(straight::LAST_MOMENT, sending).await.ok(),
                false => None,
            };
            let failed = match sent {
                Some(Ok(archived)) => {
                    self.report.outcome = self.report.outcome.worse(archived.outcome);
                    self.report.archives.push(archived);
                    self.archived.insert(bundle.name);
                    continue;
                }
                Some(Err(e)) => chain(&e),
                None => "interrupted".to_string(),
            };
            let again = format!("again: freezeframe archive {} {}", bundle.path.display(), vault.to);
            self.report.notes.push(format!("NOT ARCHIVED: {}: {failed}; {again}", bundle.name));
            self.report.outcome = self.report.outcome.worse(Outcome::Failed);
        }
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

    /// Where collectors say how far a long reading is.
    fn telling(&self) -> Telling {
        let progress = self.doors.progress.clone();
        Telling::new(move |line| progress.note(Note::Said(line.to_string())))
    }

    async fn collect(&mut self, phase: &PlannedPhase) -> Result<(), RunError> {
        let mut steps = vec![];
        for step in &phase.steps {
            let collector = collect::find(&step.unit).ok_or_else(|| RunError::UnknownUnit(step.unit.clone()))?;
            steps.push(GatherStep { collector, params: step.params.clone() });
        }
        Box::pin(self.bring_case()).await;
        let (draft, plan_unit) = Box::pin(self.open(BundleKind::Acquisition)).await?;
        self.planned = vec![plan_unit];
        self.planned.extend(phase.skipped.iter().filter_map(|id| Some(skipped(collect::find(id)?.spec()))));
        self.draft = Some(draft.clone());
        let shared = Shared {
            target: self.order.plan.target.clone(),
            connector: self.doors.connector.clone(),
            draft: draft.clone(),
            facts: Facts::told(
                self.order.plan.gone.as_ref().map(|g| Told { role_arn: g.role_arn.clone(), log_group: g.log_group.clone() }),
            ),
            params: phase.steps.iter().map(|s| (s.unit.clone(), s.params.clone())).collect(),
            telling: self.telling(),
            backlog: Default::default(),
        };
        let gathered = Box::pin(gather(&steps, &shared, UNIT_DEADLINE, &mut self.doors.interrupt, &*self.doors.progress)).await?;
        if !gathered.finished {
            draft.journal(JournalEvent::Interrupted { by: "the operator, or the deadline".to_string() })?;
        }
        self.finished &= gathered.finished;
        self.planned.extend(gathered.planned);
        Ok(())
    }

    /// Seal what is open, hand it over as a zip, read that back as a stranger would.
    async fn seal(&mut self) -> Result<(), RunError> {
        let Some(draft) = self.draft.take() else { return Ok(()) };
        let finished = self.finished;
        let techniques = self.techniques(&draft)?;
        let planned = std::mem::take(&mut self.planned);
        let groups = GroupTally::of(&planned, &draft.items());
        let skipped = planned.iter().filter(|u| u.ended == UnitEnd::SkippedByOperator).map(|u| u.unit.clone()).collect();
        let outcome = self.bag().seal(&draft, planned, finished).await?;
        Box::pin(self.land()).await;
        let sealed = &outcome.sealed;
        let mismatches: Vec<String> = draft
            .items()
            .iter()
            .filter_map(|i| {
                i.provider_digest
                    .as_ref()
                    .filter(|d| !d.matches)
                    .map(|d| format!("{}: AWS states {} {}, the bytes differ", i.subject, d.name, d.value))
            })
            .collect();
        let (bundle, verified) = self.bag().hand_over(&outcome, finished, &*self.doors.progress).await?;
        let report = &mut self.report;
        report.unsealed(&outcome.missing);
        report.bundles.push(bundle);
        report.tally = Tally::of(sealed.items());
        report.groups = groups;
        report.skipped = skipped;
        report.techniques = Some(techniques);
        report.function_gone = is_gone(sealed.items());
        report.gaps = sealed.gaps().to_vec();
        report.mismatches = mismatches;
        if !report.gaps.is_empty() {
            report.outcome = report.outcome.worse(Outcome::Gaps);
        }
        if let Some(verified) = verified {
            self.permit = Some(ContainPermit::from_evidence(&verified));
        }
        Ok(())
    }

    /// What the bundle can decide of the known techniques, as the last item of its plan group.
    fn techniques(&mut self, draft: &Draft) -> Result<TechniqueCounts, RunError> {
        let judged = examine::examine(&self.planned, &draft.items());
        let bytes = canon::to_vec("the techniques", &judged)?;
        let file = draft.put(PLAN_UNIT, &BundlePath::below(Group::Plan.dir(), TECHNIQUES_UNIT, "json"), &bytes)?;
        let subject = "known attack techniques: which this bundle can show, rules out, or leaves undecided";
        let new = NewItem::new(Group::Plan, TECHNIQUES_UNIT, subject, ItemStatus::Collected);
        let item = draft.add(NewItem { files: vec![file], derived_from: judged.sources(), ..new })?;
        self.planned.push(PlannedUnit {
            unit: TECHNIQUES_UNIT.to_string(),
            title: "Techniques".to_string(),
            question: "What can this bundle show, and what not?".to_string(),
            group: Group::Plan,
            ended: UnitEnd::Done,
            items: vec![item],
        });
        Ok(judged.counts)
    }

    /// What has to hold before the first write, beside the permit: the world as planned, the guardrails, another person's word where one is
    /// wanted. `Err` within: why not.
    async fn gate(&mut self, phase: &PlannedPhase) -> Result<Result<Judgement, Vec<Refusal>>, RunError> {
        let who = self.order.operator.clone();
        if let Some(pinned) = &self.order.pinned {
            let moved = survey::moved(&self.doors.connector, &*self.doors.clock, &self.order.run, &who, pinned).await?;
            if !moved.is_empty() {
                let told: Vec<String> = moved.iter().map(|m| format!("{}: planned {}, found {}", m.what, m.planned, m.found)).collect();
                let why = format!("the world has moved since the plan was made: {}", told.join("; "));
                return Ok(Err(vec![refusal("moved", why, "the pinned plan", MAKE_ANEW)]));
            }
        }
        if !self.bleeds_first(phase) {
            let (known, exchanges) = guard::look(&self.doors.connector, &self.order.plan.target, self.order.guard.protects_by_tag()).await;
            self.order.guard.known = known;
            self.order.preflight.extend(exchanges);
        }
        self.report.guard = self.order.guard.policy.as_ref().ok().and_then(|p| p.source.clone());
        let mut judged = self.judge(phase, None);
        let claimed = self.order.approval.as_ref().map(|a| Consent { by: a.approver.clone() });
        let by_guard = !judged.refusals.is_empty();
        if by_guard && (claimed.is_none() || !self.judge(phase, claimed.as_ref()).refusals.is_empty()) {
            return Ok(Err(judged.refusals));
        }
        if phase.approval == ApprovalRule::TwoPerson || by_guard {
            let stands = if by_guard { "the guard policy" } else { "the playbook: `approval: two-person`" };
            let (Some(pinned), Some(approval)) = (&self.order.pinned, &self.order.approval) else {
                let why = "this playbook wants another person's word, and none was given".to_string();
                return Ok(Err(vec![refusal("two-person", why, stands, GET_APPROVAL)]));
            };
            match approve::spend(&self.doors.connector, &*self.doors.control, approval, pinned, &who).await {
                Ok(record) => {
                    self.journal.append(JournalEvent::Approval { run: self.order.run.clone(), approval: record.clone() }).await?;
                    judged = self.judge(phase, Some(&Consent { by: record.approver.clone() }));
                    self.report.approval = Some(record);
                }
                Err(e) => return Ok(Err(vec![refusal("two-person", chain(&e), stands, e.hint())])),
            }
        }
        Ok(if judged.refusals.is_empty() { Ok(judged) } else { Err(judged.refusals) })
    }

    /// Containment comes before everything else, and nobody waits: facts of a moment ago do, and what they leave open is asked on the way.
    fn bleeds_first(&self, phase: &PlannedPhase) -> bool {
        let first = self.order.plan.phases.first() == Some(phase);
        first && self.order.pinned.is_none() && !self.order.guard.only_foretells()
    }

    fn judge(&self, phase: &PlannedPhase, consent: Option<&Consent>) -> Judgement {
        let judged = self.order.guard.judge(&self.order.plan.target, &self.order.operator, consent);
        if self.bleeds_first(phase) { judged.before_tags() } else { judged }
    }

    fn sentry(&self, of_role: Vec<Refusal>, recorder: Arc<dyn Recorder>, asked: bool) -> Sentry {
        Sentry {
            control: Control::new(self.doors.control.clone(), self.doors.clock.clone()),
            guarding: self.order.guard.clone(),
            connector: self.doors.connector.clone(),
            recorder,
            target: self.order.plan.target.clone(),
            run: self.order.run.clone(),
            who: self.order.operator.clone(),
            approval: self.report.approval.as_ref().map(|a| Consent { by: a.approver.clone() }),
            of_role,
            ready: if asked { OnceCell::new_with(Some(None)) } else { OnceCell::new() },
            said: Mutex::default(),
        }
    }

    async fn foretell(&mut self, draft: &Arc<Draft>) {
        let forecast = Box::pin(survey::forecast(&self.doors.connector, draft.clone(), &*self.doors.clock, &self.order.plan)).await;
        self.report.forecast = Some(forecast);
    }

    /// Containment is refused; evidence that was taken stays.
    async fn refuse(&mut self, refusals: Vec<Refusal>) -> Result<(), RunError> {
        let event = |refusal: &Refusal| JournalEvent::Refused { run: self.order.run.clone(), cell: None, refusal: refusal.clone() };
        self.journal.append_all(refusals.iter().map(event).collect()).await?;
        self.refused(refusals);
        Ok(())
    }

    /// What stands in the journal already.
    fn refused(&mut self, refusals: Vec<Refusal>) {
        if !refusals.is_empty() {
            self.report.outcome = self.report.outcome.worse(Outcome::Refused);
        }
        self.report.refusals.extend(refusals);
    }

    async fn contain(&mut self, phase: &PlannedPhase) -> Result<(), RunError> {
        // Evidence first: whatever is open is sealed and read back before the first write.
        Box::pin(self.seal()).await?;
        let permit = match (&self.permit, &phase.override_reason) {
            (Some(permit), _) => permit.clone(),
            (None, Some(why)) => ContainPermit::by_override(&self.order.operator, why),
            (None, None) => return Err(RunError::NoPermit),
        };
        let steps = survey::steps(phase)?;
        let Judgement { of_role, dry_run, .. } = match Box::pin(self.gate(phase)).await? {
            Ok(judged) => judged,
            Err(refusals) => return self.refuse(refusals).await,
        };
        let asked = !self.bleeds_first(phase) && dry_run.is_none();
        if asked {
            // All facts are there, so this asks the store alone, and nothing of AWS.
            if let Err(refusal) = self.sentry(of_role.clone(), Arc::new(HeadRecorder::default()), false).open().await {
                return self.refuse(vec![refusal]).await;
            }
        }
        let (draft, plan_unit) = Box::pin(self.open(BundleKind::Containment)).await?;
        // Where every second counts it is read afterwards: bleeding is stopped first.
        let bleed_first = self.bleeds_first(phase);
        if !bleed_first {
            Box::pin(self.foretell(&draft)).await;
        }
        let sentry = self.sentry(of_role, draft.clone(), asked);
        if let Some(carrier) = &self.carrier {
            // What was read before the first write, out of this host before the first write; a bucket that is away holds nothing up.
            carrier.flush(straight::BEFORE_A_WRITE).await;
        }
        let contained = {
            let target = &self.order.plan.target;
            let saga = Saga {
                connector: &self.doors.connector,
                recorder: draft.clone(),
                account: &target.account,
                who: &self.order.operator,
                run: &self.order.run,
                log: &self.journal,
                clock: &*self.doors.clock,
                stop: &|| *self.doors.interrupt.borrow(),
                gate: &sentry,
                others: &*self.doors.others,
                progress: &|note| self.doors.progress.note(Note::Cell(note.to_string())),
            };
            Box::pin(saga.contain(&steps, target, &permit, phase.on_failure, dry_run.is_some())).await
        };
        self.refuse(dry_run.into_iter().collect()).await?;
        self.refused(sentry.said());
        if bleed_first {
            Box::pin(self.foretell(&draft)).await;
        }
        let mut items = plan_unit.items.clone();
        if let Some(forecast) = &self.report.forecast {
            let bytes = canon::to_vec("the forecast", forecast)?;
            items.push(bag::put(
                &draft,
                Group::Contain,
                PLAN_UNIT,
                "forecast",
                "what containment would stop, leave and cost here",
                "json",
                &bytes,
            )?);
        }
        let plan_unit = PlannedUnit { items, ..plan_unit };
        let question = "What was changed in AWS, from what to what, and does it hold?";
        let changes = bag::put_changes(&draft, "containment", question, &contained, &self.journal, &self.order.run)?;
        let outcome = Box::pin(self.bag().seal(&draft, vec![plan_unit, changes], true)).await?;
        Box::pin(self.land()).await;
        let (bundle, _) = self.bag().hand_over(&outcome, true, &*self.doors.progress).await?;
        self.report.unsealed(&outcome.missing);
        self.report.bundles.push(bundle);
        self.report.outcome = self.report.outcome.worse(contained.outcome());
        if let Some(why) = went_wrong(&contained) {
            let why = format!("case {}, {}: {why}", self.order.case, self.order.plan.target);
            self.report.notes.extend(trip(&self.doors, &self.order.operator, &self.order.run, &why).await);
        }
        self.report.watched = super::watch::records(&self.journal.events());
        self.report.containment = Some(contained);
        Ok(())
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

fn refusal(rule: &str, why: String, stands: &str, lift: &str) -> Refusal {
    Refusal { rule: rule.into(), why, stands: stands.into(), lift: lift.into() }
}

/// What opens the breaker: a write that does not hold, or whose effect nobody could read; an unwinding that got stuck.
fn went_wrong(contained: &ContainReport) -> Option<String> {
    if let Some(unwound) = contained.unwound.as_ref().filter(|u| u.outcome() == Outcome::Stuck) {
        return Some(format!("what was contained could not be unwound: {}", unwound.headline()));
    }
    let bad = contained.cells.iter().find(|c| matches!(c.stand, Stand::NotHolding | Stand::Unknown))?;
    Some(format!("{}: {}", bad.cell, bad.stand.words()))
}

/// Open the breaker, unless it is open. What is said about it goes into the report.
pub(super) async fn trip(doors: &Doors, who: &str, run: &RunId, why: &str) -> Option<String> {
    let control = Control::new(doors.control.clone(), doors.clock.clone());
    if control.standing().await.is_ok_and(|s| !s.breakers.is_empty()) {
        return None;
    }
    Some(match control.stop(Brake::Breaker, &format!("run {run} of {who}"), why).await {
        Ok(key) => format!(
            "the breaker is open now ({key}): nothing is contained automatically from here until somebody has looked \
             (freezeframe resume --breaker --why …)"
        ),
        Err(e) => format!("THE BREAKER COULD NOT BE OPENED, so the automatic face goes on: {}", chain(&e)),
    })
}

const MAKE_ANEW: &str = "look at what moved, then make the plan anew: freezeframe plan … --out plan.json";
const GET_APPROVAL: &str = "freezeframe plan … --out plan.json; another person: freezeframe approve plan.json; then: freezeframe run --plan plan.json --approval plan.approval.json --case …";

/// An error with its causes, in one line.
pub(super) fn chain(e: &dyn std::error::Error) -> String {
    let mut text = e.to_string();
    let mut next = e.source();
    while let Some(cause) = next {
        text = format!("{text}: {}", tame(&cause.to_string(), 300));
        next = cause.source();
    }
    text
}

/// The unit under which plan, trigger and preflight stand in coverage.
pub const PLAN_UNIT: &str = "plan";

/// The unit under which the judgement on techniques stands in coverage.
pub const TECHNIQUES_UNIT: &str = "techniques";

/// How a collector stands in coverage that the operator skipped: planned, not run.
fn skipped(spec: &CollectorSpec) -> PlannedUnit {
    PlannedUnit {
        unit: spec.id.to_string(),
        title: spec.title.to_string(),
        question: spec.answers.to_string(),
        group: spec.group,
        ended: UnitEnd::SkippedByOperator,
        items: vec![],
    }
}
