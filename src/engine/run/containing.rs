//! The contain phase: what has to hold before the first write, the writes, and a bag that tells of them.

use super::{Doors, PLAN_UNIT, RunError, Running};
use crate::aws::fault::tame_error;
use crate::aws::record::{HeadRecorder, Recorder};
use crate::bundle::documents::{BundleKind, PlannedUnit};
use crate::bundle::draft::Draft;
use crate::contain::ContainPermit;
use crate::engine::control::{Brake, Control};
use crate::engine::guard::{self, Sentry};
use crate::engine::progress::Note;
use crate::engine::saga::{ContainReport, Saga, Stand};
use crate::engine::{approve, bag, straight, survey, watch};
use crate::model::canon;
use crate::model::id::RunId;
use crate::model::item::Group;
use crate::model::journal_event::JournalEvent;
use crate::model::outcome::Outcome;
use crate::model::refusal::Refusal;
use crate::plan::PlannedPhase;
use crate::plan::guard::{Approval as Consent, Judgement};
use crate::playbook::ApprovalRule;
use std::sync::{Arc, Mutex};
use tokio::sync::OnceCell;

impl Running {
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
        // Nobody waits, but for what the first look failed to learn: it may have been turned away for a moment, and without the role nothing is contained.
        if !self.bleeds_first(phase) || self.order.guard.known.role_arn.is_none() {
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
                Err(e) => return Ok(Err(vec![refusal("two-person", tame_error(&e, 1000), stands, e.hint())])),
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

    pub(super) async fn contain(&mut self, phase: &PlannedPhase) -> Result<(), RunError> {
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
        self.report.watched = watch::records(&self.journal.events());
        self.report.containment = Some(contained);
        Ok(())
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
pub(in crate::engine) async fn trip(doors: &Doors, who: &str, run: &RunId, why: &str) -> Option<String> {
    let control = Control::new(doors.control.clone(), doors.clock.clone());
    if control.standing().await.is_ok_and(|s| !s.breakers.is_empty()) {
        return None;
    }
    Some(match control.stop(Brake::Breaker, &format!("run {run} of {who}"), why).await {
        Ok(key) => format!(
            "the breaker is open now ({key}): nothing is contained automatically from here until somebody has looked \
             (freezeframe resume --breaker --why …)"
        ),
        Err(e) => format!("THE BREAKER COULD NOT BE OPENED, so the automatic face goes on: {}", tame_error(&e, 1000)),
    })
}

const MAKE_ANEW: &str = "look at what moved, then make the plan anew: freezeframe plan … --out plan.json";
const GET_APPROVAL: &str = "freezeframe plan … --out plan.json; another person: freezeframe approve plan.json; then: freezeframe run --plan plan.json --approval plan.approval.json --case …";
