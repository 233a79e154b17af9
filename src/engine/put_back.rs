//! `put_back(order, doors) → Report`: restore a case from its journal alone, and leave a bag that says what was done.

use super::bag::{Bag, put_changes};
use super::log::{open_cells, parse_target};
use super::progress::Note;
use super::report::{Report, Tally};
use super::restore::RestoreAsk;
use super::run::{Doors, RunError, trip};
use super::saga::{Saga, Unguarded};
use super::watch;
use crate::aws::record::{HeadRecorder, Recorder};
use crate::bundle::case_journal::CaseJournal;
use crate::bundle::documents::BundleKind;
use crate::contain::ACTIONS;
use crate::model::digest::Sha256;
use crate::model::id::{CaseId, CellId, RunId};
use crate::model::journal_event::JournalEvent;
use crate::model::outcome::Outcome;
use crate::model::target::Target;
use std::sync::Arc;

/// What is to be put back.
pub struct RestoreOrder {
    pub case: CaseId,
    pub run: RunId,
    pub operator: String,
    /// The account of the credentials.
    pub account: String,
    /// Only cells of these actions; empty means all.
    pub only: Vec<String>,
    /// Cells that are set back although they have drifted, or although a case that cannot be read may hold them.
    pub overrule: Vec<CellId>,
    pub dry_run: bool,
}

/// Stands where a playbook's name stands in other bags.
pub const RESTORE: &str = "restore";

/// Put back what the case holds. A dry run writes nothing: not to AWS, not to the journal, no bag.
pub async fn put_back(order: RestoreOrder, doors: Doors) -> Result<Report, RunError> {
    let journal = CaseJournal::open(doors.store.clone(), doors.clock.clone(), &order.operator).await?;
    let open = open_cells(&journal.events());
    let mut report = Report::blank(&order.case, &order.run, RESTORE, &order.operator);
    let Some(target) = open.last().and_then(|o| o.target()).or_else(|| last_target(&journal.events())).filter(|_| !open.is_empty()) else {
        report.headline = "nothing to restore: this case holds nothing contained".to_string();
        return Ok(report);
    };
    report.target = target.to_string();
    report.watched = watch::records(&journal.events());
    let bag = Bag {
        case: &order.case,
        run: &order.run,
        playbook: RESTORE,
        operator: &order.operator,
        target: &target,
        journal: &journal,
        case_dir: &doors.case_dir,
        clock: &doors.clock,
        sealing: &doors.sealing,
        secrets: &doors.secrets,
        connector: &doors.connector,
        beside: &*doors.beside,
    };
    let draft = if order.dry_run {
        None
    } else {
        let plan_sha256 = Sha256::ZERO;
        journal
            .append(JournalEvent::RunStarted { run: order.run.clone(), playbook: RESTORE.into(), plan_sha256, target: target.to_string() })
            .await?;
        let (draft, prepared) = bag.open(BundleKind::Restore).await?;
        report.prepared(prepared);
        Some(draft)
    };
    let recorder: Arc<dyn Recorder> = match &draft {
        Some(draft) => draft.clone(),
        None => Arc::new(HeadRecorder::default()),
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
            gate: &Unguarded,
            others: &*doors.others,
            progress: &|note| doors.progress.note(Note::Cell(note.to_string())),
        };
        saga.restore(&RestoreAsk { actions: ACTIONS, only: &order.only, overrule: &order.overrule, dry_run: order.dry_run }).await
    };
    report.outcome = restored.outcome();
    report.headline = restored.headline();
    if let Some(draft) = draft {
        let question = "Does every setting that was changed read as it did before?";
        let unit = put_changes(&draft, RESTORE, question, &restored, &journal, &order.run)?;
        let outcome = bag.seal(&draft, vec![unit], true).await?;
        let (bundle, _) = bag.hand_over(&outcome, true, &*doors.progress).await?;
        report.unsealed(&outcome.missing);
        report.tally = Tally::of(outcome.sealed.items());
        report.bundles.push(bundle);
        journal.append(JournalEvent::RunEnded { run: order.run.clone(), outcome: report.outcome.sentence().to_string() }).await?;
    }
    if !order.dry_run && restored.outcome() == Outcome::Stuck {
        let why = format!("the restore of case {}: {}", order.case, restored.headline());
        report.notes.extend(trip(&doors, &order.operator, &order.run, &why).await);
    }
    report.exit_code = report.outcome.exit_code();
    report.restoration = Some(restored);
    Ok(report)
}

fn last_target(events: &[JournalEvent]) -> Option<Target> {
    events.iter().rev().find_map(|e| match e {
        JournalEvent::RunStarted { target, .. } => parse_target(target),
        _ => None,
    })
}
