//! What a restore leaves as it is for others' sake: sources of a function that another case, or a failure, keeps contained.

use super::rig::{Actions, Beside, Rig, never};
use crate::support::cells::{Fault, World};
use freezeframe::contain::{ACTIONS, find};
use freezeframe::engine::log::{IntentLog, MemLog};
use freezeframe::engine::others::Others;
use freezeframe::engine::{Back, OnFailure, RestoreAsk, RestoreReport};
use freezeframe::model::id::CellId;
use freezeframe::model::outcome::Outcome;

const FREEZE: &str = "freeze-concurrency/payments-export";
const QUARANTINE: &str = "quarantine-role/shared-role/freezeframe-quarantine-payments-export";

fn actions(ids: &[&str]) -> Actions {
    ids.iter().map(|id| find(id).unwrap()).collect()
}

const STOPPED: [&str; 4] = ["disable-schedules", "pause-event-source-mappings", "freeze-concurrency", "quarantine-role"];

/// Whether its cells call the function once they are back.
fn feeds(cell: &CellId) -> bool {
    STOPPED[..2].contains(&cell.action())
}

async fn restore(rig: &Rig, log: &dyn IntentLog, others: &dyn Others, ask: RestoreAsk<'_>) -> RestoreReport {
    let ask = RestoreAsk { actions: ACTIONS, ..ask };
    rig.with(log, &never, others, async |s| s.restore(&ask).await).await
}

fn back<'r>(report: &'r RestoreReport, cell: &str) -> &'r Back {
    &report.cells.iter().find(|c| c.cell.0 == cell).unwrap_or_else(|| panic!("{cell} is not in {report:?}")).back
}

/// All of its sources, and none besides, wait for `on`.
#[track_caller]
fn sources_wait(report: &RestoreReport, on: &str) {
    let waits = Back::Waits { on: CellId(on.into()) };
    let (sources, others): (Vec<_>, Vec<_>) = report.cells.iter().partition(|c| feeds(&c.cell));
    assert!(sources.len() >= 2 && sources.iter().all(|c| c.back == waits), "{report:?}");
    assert!(others.iter().all(|c| !matches!(c.back, Back::Waits { .. })), "{report:?}");
}

#[tokio::test]
async fn a_function_that_another_case_keeps_contained_is_not_fed() {
    let (rig, first, second) = (Rig::new(World::shared_role()), MemLog::default(), MemLog::default());
    rig.contain(&first, &actions(&STOPPED), OnFailure::Hold).await;
    rig.contain_beside(&second, &actions(&["quarantine-role"]), OnFailure::Hold, &never, &Beside("first", &first)).await;
    let (contained, writes) = (rig.aws.world(), rig.aws.landed().len());

    let beside = Beside("second", &second);
    let foretold = restore(&rig, &first, &beside, RestoreAsk { dry_run: true, ..RestoreAsk::default() }).await;
    sources_wait(&foretold, QUARANTINE);
    assert_eq!(rig.aws.landed().len(), writes);
    let report = restore(&rig, &first, &beside, RestoreAsk::default()).await;
    sources_wait(&report, QUARANTINE);
    assert_eq!(report.outcome(), Outcome::PartlyContained);
    assert!(report.headline().contains(QUARANTINE) && report.rows().iter().any(|(_, how)| how.contains("--only")), "{}", report.headline());
    assert_eq!(
        (back(&report, FREEZE), rig.aws.landed().split_off(writes)),
        (&Back::Restored { wrote: true }, vec!["DeleteFunctionConcurrency".to_string()])
    );
    assert_ne!(rig.aws.world(), contained);

    // A person who names them knows that the function is contained.
    let only = [STOPPED[1].to_string()];
    let report = restore(&rig, &first, &beside, RestoreAsk { only: &only, ..RestoreAsk::default() }).await;
    assert_eq!((report.outcome(), report.cells.is_empty()), (Outcome::Complete, false), "{report:?}");
    // And when the other case lets go, the rest comes by itself.
    assert_eq!(restore(&rig, &second, &Beside("first", &first), RestoreAsk::default()).await.outcome(), Outcome::Complete);
    assert_eq!(restore(&rig, &first, &beside, RestoreAsk::default()).await.outcome(), Outcome::Complete);
    assert_eq!(rig.aws.world(), World::shared_role());
}

/// The other way round: what the case merely found contained is another case's doing, and stays.
#[tokio::test]
async fn a_case_that_found_the_function_contained_does_not_feed_it_when_it_lets_go() {
    let (rig, first, second) = (Rig::new(World::shared_role()), MemLog::default(), MemLog::default());
    rig.contain(&first, &actions(&["freeze-concurrency"]), OnFailure::Hold).await;
    let both = actions(&[STOPPED[0], STOPPED[1], "freeze-concurrency"]);
    rig.contain_beside(&second, &both, OnFailure::Hold, &never, &Beside("first", &first)).await;
    let report = restore(&rig, &second, &Beside("first", &first), RestoreAsk::default()).await;
    sources_wait(&report, FREEZE);
    assert_eq!((back(&report, FREEZE), report.outcome()), (&Back::Released, Outcome::PartlyContained));
    assert_eq!(restore(&rig, &first, &Beside("second", &second), RestoreAsk::default()).await.outcome(), Outcome::Complete);
    assert_eq!(restore(&rig, &second, &Beside("first", &first), RestoreAsk::default()).await.outcome(), Outcome::Complete);
    assert_eq!(rig.aws.world(), World::shared_role());
}

#[tokio::test]
async fn a_function_that_could_not_be_put_back_is_not_fed() {
    // Stuck: the first write of the restore fails.
    let (rig, log) = (Rig::new(World::shared_role()), MemLog::default());
    rig.contain(&log, &actions(&STOPPED), OnFailure::Hold).await;
    rig.aws.fault(Some((1, Fault::Denied)));
    let report = rig.restore(&log).await;
    sources_wait(&report, FREEZE);
    assert_eq!((back(&report, FREEZE), report.outcome()), (&Back::Stuck, Outcome::Stuck));
    rig.aws.fault(None);
    assert_eq!(rig.restore(&log).await.outcome(), Outcome::Complete);
    assert_eq!(rig.aws.world(), World::shared_role());

    // Drift, until it is named.
    let (rig, log) = (Rig::new(World::shared_role()), MemLog::default());
    rig.contain(&log, &actions(&STOPPED), OnFailure::Hold).await;
    rig.aws.change(|w| w.drift(&CellId(QUARANTINE.into())));
    let report = rig.restore(&log).await;
    sources_wait(&report, QUARANTINE);
    assert_eq!(back(&report, QUARANTINE), &Back::Drift);
    let overrule = [CellId(QUARANTINE.into())];
    let report = rig.restore_with(&log, &RestoreAsk { actions: ACTIONS, overrule: &overrule, ..RestoreAsk::default() }).await;
    assert_eq!((report.outcome(), rig.aws.world()), (Outcome::Complete, World::shared_role()));

    // A change of a kind that this build does not know: nobody can say what it does to the function.
    let (rig, log) = (Rig::new(World::shared_role()), MemLog::default());
    rig.contain(&log, &actions(&STOPPED), OnFailure::Hold).await;
    let known: Actions = ACTIONS.iter().copied().filter(|a| a.spec().id != "quarantine-role").collect();
    let report = rig.restore_with(&log, &RestoreAsk { actions: &known, ..RestoreAsk::default() }).await;
    sources_wait(&report, QUARANTINE);
    assert_eq!(back(&report, FREEZE), &Back::Restored { wrote: true });
}
