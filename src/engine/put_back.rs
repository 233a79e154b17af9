//! `put_back(order, doors) → Report`: restore a case from its journal alone, and leave a bag that says what was done.

use super::restore::RestoreAsk;
use super::run::{Doors, RunError, held_elsewhere, put};
use super::report::{BundleReport, Report, Tally};
use super::saga::Saga;
use crate::bundle::case_journal::CaseJournal;
use crate::bundle::documents::{BundleKind, PlannedUnit, Previous, UnitEnd};
use crate::bundle::draft::{Draft, DraftInfo, NewItem};
use crate::bundle::tool;
use crate::bundle::verify::Verified;
use crate::contain::ACTIONS;
use crate::model::canon;
use crate::model::id::{CaseId, CellId, RunId};
use crate::model::item::{Group, ItemStatus};
use crate::model::journal_event::JournalEvent;
use crate::model::path::BundlePath;
use crate::model::target::Target;
use crate::engine::log::{open_cells, parse_target};
use crate::engine::progress::Note;

/// What is to be put back.
pub struct RestoreOrder {
    pub case: CaseId,
    pub run: RunId,
    pub operator: String,
    /// The account of the credentials.
    pub account: String,
    /// Only cells of these actions; empty means all.
    pub only: Vec<String>,
    /// Drifted cells that are set back all the same.
    pub overrule: Vec<CellId>,
    pub dry_run: bool,
}

/// Put back what the case holds. A dry run writes nothing: not to AWS, not to the journal, no bag.
pub async fn put_back(order: RestoreOrder, doors: Doors) -> Result<Report, RunError> {
    let journal = CaseJournal::open(doors.store.clone(), doors.clock.clone(), &order.operator).await?;
    let events = journal.events();
    let open = open_cells(&events);
    let target = open.last().and_then(|o| o.target()).or_else(|| events.iter().rev().find_map(run_target));
    let mut report = Report {
        target: target.as_ref().map(Target::to_string).unwrap_or_default(),
        ..Report::blank(&order.case, &order.run, "restore", &order.operator)
    };
    let Some(target) = target.filter(|_| !open.is_empty()) else {
        report.headline = "nothing to restore: this case holds nothing contained".to_string();
        return Ok(report);
    };
    let writes = !order.dry_run;
    let draft = if writes { Some(open_bag(&order, &doors, &journal, &target).await?) } else { None };
    let recorder: std::sync::Arc<dyn crate::aws::record::Recorder> = match &draft {
        Some(draft) => draft.clone(),
        None => std::sync::Arc::new(crate::aws::record::HeadRecorder::default()),
    };
    let restored = {
        let saga = Saga {
            connector: &doors.connector,
            recorder,
            account: &order.account,
            who: &order.operator,
            run: &order.run,
            log: &journal,
            clock: &*doors.clock,
            stop: &|| *doors.interrupt.borrow(),
            held_by: &|cell, target| held_elsewhere(&doors.others, cell, target),
            progress: &|note| doors.progress.note(Note::Cell(note.to_string())),
        };
        saga.restore(&RestoreAsk { actions: ACTIONS, only: &order.only, overrule: &order.overrule, dry_run: order.dry_run }).await
    };
    report.outcome = restored.outcome();
    report.exit_code = report.outcome.exit_code();
    report.headline = restored.headline();
    if let Some(draft) = draft {
        let bundle = seal_bag(&draft, &restored, &journal, &order).await?;
        report.tally = Tally { questions: bundle.items, answered: bundle.items, ..Tally::default() };
        report.bundles.push(bundle);
        journal.append(JournalEvent::RunEnded { run: order.run.clone(), outcome: report.outcome.sentence().to_string() }).await?;
    }
    report.restoration = Some(restored);
    Ok(report)
}

fn run_target(event: &JournalEvent) -> Option<Target> {
    match event {
        JournalEvent::RunStarted { target, .. } => parse_target(target),
        _ => None,
    }
}

const RESTORE_UNIT: &str = "restore";

async fn open_bag(order: &RestoreOrder, doors: &Doors, journal: &CaseJournal, target: &Target) -> Result<std::sync::Arc<Draft>, RunError> {
    let started = JournalEvent::RunStarted {
        run: order.run.clone(),
        playbook: RESTORE_UNIT.to_string(),
        plan_sha256: crate::model::digest::Sha256::ZERO,
        target: target.to_string(),
    };
    journal.append(started).await?;
    let previous = journal.events().into_iter().rev().find_map(|e| match e {
        JournalEvent::Sealed { bundle, root, .. } => Some(Previous { bundle, root }),
        _ => None,
    });
    let info = DraftInfo {
        case: order.case.clone(),
        run: order.run.clone(),
        kind: BundleKind::Restore,
        target: target.clone(),
        playbook: RESTORE_UNIT.to_string(),
        operator: order.operator.clone(),
        tool: tool::record(),
        previous,
    };
    let draft = Draft::open(&doors.case_dir, info, doors.clock.clone())?;
    draft.set_actor(&order.operator);
    Ok(draft)
}

async fn seal_bag(draft: &Draft, restored: &super::restore::RestoreReport, journal: &CaseJournal, order: &RestoreOrder) -> Result<BundleReport, RunError> {
    let case_lines = super::run::event_lines(&journal.events(), &order.run)?;
    let mut units = vec![];
    for (name, extension, subject, bytes) in [
        ("restore", "json", "what was put back: before, left and found state of every cell", canon::to_vec("the restore report", restored)?),
        ("actions", "jsonl", "this run's events of the case journal", case_lines),
    ] {
        let file = draft.put(&BundlePath::below(Group::Contain.dir(), name, extension), &bytes)?;
        let id = draft.add(NewItem { files: vec![file], ..NewItem::new(Group::Contain, RESTORE_UNIT, subject, ItemStatus::Collected) })?;
        units.push(id);
    }
    let planned = PlannedUnit {
        unit: RESTORE_UNIT.to_string(),
        title: "Restore".to_string(),
        question: "Does every setting that was changed read as it did before?".to_string(),
        group: Group::Contain,
        ended: UnitEnd::Done,
        items: units,
    };
    let _ = put;
    let sealed = draft.seal(vec![planned], true)?;
    let path = sealed.zip()?;
    let verified = Verified::read_back(&path)?;
    journal.append(JournalEvent::Sealed { run: order.run.clone(), bundle: sealed.name().to_string(), root: sealed.root() }).await?;
    sealed.discard_dir()?;
    let bytes = std::fs::metadata(&path).map(|m| m.len()).unwrap_or_default();
    let predicate = &sealed.statement().predicate;
    Ok(BundleReport {
        name: sealed.name().to_string(),
        kind: BundleKind::Restore,
        path,
        root: verified.root(),
        bytes,
        items: predicate.items,
        gaps: predicate.gaps,
        verified: true,
    })
}
