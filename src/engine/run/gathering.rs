//! The phases collect and seal.

use super::{PLAN_UNIT, RunError, Running, TECHNIQUES_UNIT};
use crate::bundle::documents::{BundleKind, PlannedUnit, UnitEnd};
use crate::bundle::draft::{Draft, NewItem};
use crate::collect::{self, CollectorSpec, Facts, Shared, Telling, Told};
use crate::contain::ContainPermit;
use crate::engine::gather::{GatherStep, gather};
use crate::engine::progress::Note;
use crate::engine::report::{GroupTally, Tally};
use crate::examine::techniques::{TechniqueCounts, is_gone};
use crate::examine::{self};
use crate::model::canon;
use crate::model::item::{Group, ItemStatus};
use crate::model::journal_event::JournalEvent;
use crate::model::outcome::Outcome;
use crate::model::path::BundlePath;
use crate::plan::PlannedPhase;
use std::time::Duration;

/// No collector may hold up an investigation for longer.
const UNIT_DEADLINE: Duration = Duration::from_secs(15 * 60);

impl Running {
    pub(super) async fn collect(&mut self, phase: &PlannedPhase) -> Result<(), RunError> {
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
    pub(super) async fn seal(&mut self) -> Result<(), RunError> {
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

    /// Where collectors say how far a long reading is.
    fn telling(&self) -> Telling {
        let progress = self.doors.progress.clone();
        Telling::new(move |line| progress.note(Note::Said(line.to_string())))
    }
}

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
