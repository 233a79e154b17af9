//! What a restore leaves as it is for others' sake: sources of a function that another case, or a failure, keeps contained; and whatever a case may
//! hold whose journal cannot be read.

use super::rig::{Actions, Beside, Rig, never};
use crate::support::cells::{Fault, World, clock, target};
use async_trait::async_trait;
use freezeframe::bundle::case_journal::CaseJournal;
use freezeframe::contain::{ACTIONS, find};
use freezeframe::engine::log::{IntentLog, LogError, MemLog, open_cells};
use freezeframe::engine::others::{CasePlaces, OtherCases, Others, Place};
use freezeframe::engine::{Back, OnFailure, RestoreAsk, RestoreReport};
use freezeframe::model::id::{CellId, RunId};
use freezeframe::model::journal_event::JournalEvent;
use freezeframe::model::outcome::Outcome;
use freezeframe::store::mem::MemStore;
use freezeframe::store::{Put, Store, StoreError};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

pub const FREEZE: &str = "freeze-concurrency/payments-export";
const QUARANTINE: &str = "quarantine-role/shared-role/freezeframe-quarantine-payments-export";

pub fn actions(ids: &[&str]) -> Actions {
    ids.iter().map(|id| find(id).unwrap()).collect()
}

const STOPPED: [&str; 4] = ["disable-schedules", "pause-event-source-mappings", "freeze-concurrency", "quarantine-role"];

/// Whether its cells call the function once they are back.
fn feeds(cell: &CellId) -> bool {
    STOPPED[..2].contains(&cell.action())
}

pub async fn restore(rig: &Rig, log: &dyn IntentLog, others: &dyn Others, ask: RestoreAsk<'_>) -> RestoreReport {
    let ask = RestoreAsk { actions: ACTIONS, ..ask };
    rig.with(log, &never, others, async |s| s.restore(&ask).await).await
}

pub fn back<'r>(report: &'r RestoreReport, cell: &str) -> &'r Back {
    &report.cells.iter().find(|c| c.cell.0 == cell).unwrap_or_else(|| panic!("{cell} is not in {report:?}")).back
}

/// All of its sources, and none besides, wait for `on`.
#[track_caller]
pub fn sources_wait(report: &RestoreReport, on: &str) {
    let waits = |b: &Back| matches!(b, Back::Waits { on: o, .. } if o.0 == on);
    let (sources, others): (Vec<_>, Vec<_>) = report.cells.iter().partition(|c| feeds(&c.cell));
    assert!(sources.len() >= 2 && sources.iter().all(|c| waits(&c.back)), "{report:?}");
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
    // Its own hold on it has ended with that, and the function is as frozen as before.
    let report = restore(&rig, &second, &Beside("first", &first), RestoreAsk::default()).await;
    sources_wait(&report, FREEZE);
    assert_eq!(report.outcome(), Outcome::PartlyContained);
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

/// Keeps everything, and fails to give it so many times.
#[derive(Debug, Default)]
struct Moody(MemStore, AtomicUsize);

impl Moody {
    fn fails(&self, times: usize) {
        self.1.store(times, Ordering::SeqCst);
    }
}

#[async_trait]
impl Store for Moody {
    async fn put_if_absent(&self, key: &str, bytes: Vec<u8>) -> Result<Put, StoreError> {
        self.0.put_if_absent(key, bytes).await
    }
    async fn put_file_if_absent(&self, key: &str, from: &Path) -> Result<Put, StoreError> {
        self.0.put_file_if_absent(key, from).await
    }
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        if self.1.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok() {
            return Err(StoreError::GetObject { key: key.into(), place: self.describe(), source: "SlowDown".into() });
        }
        self.0.get(key).await
    }
    async fn list(&self, below: &str) -> Result<Vec<String>, StoreError> {
        self.0.list(below).await
    }
    fn describe(&self) -> String {
        "a moody store".into()
    }
}

struct IrSeven(Arc<Moody>);
#[async_trait]
impl CasePlaces for IrSeven {
    async fn places(&self) -> Result<Vec<Place>, StoreError> {
        Ok(vec![("IR-7".to_string(), Ok(self.0.clone() as Arc<dyn Store>))])
    }
}

/// A function that is frozen by the case at hand, and found frozen by IR-7, if `held`.
async fn frozen(held: bool) -> (Rig, MemLog, Arc<Moody>) {
    let (rig, log, store) = (Rig::new(World::shared_role()), MemLog::default(), Arc::new(Moody::default()));
    rig.contain(&log, &actions(&["freeze-concurrency"]), OnFailure::Hold).await;
    let theirs = CaseJournal::open(store.clone(), clock(), "bob").await.unwrap();
    let (run, cell, target) = (RunId("theirs".into()), CellId(FREEZE.into()), target().arn());
    let event = match held {
        true => JournalEvent::AlreadyContained { run, cell, target, state: json!(0) },
        false => JournalEvent::RunStarted { run, playbook: "x".into(), plan_sha256: freezeframe::model::digest::Sha256::ZERO, target },
    };
    theirs.append(event).await.unwrap();
    (rig, log, store)
}

async fn beside(store: &Arc<Moody>) -> OtherCases {
    OtherCases::open(Box::new(IrSeven(store.clone())), clock()).await.unwrap()
}

#[tokio::test]
async fn a_case_that_cannot_be_read_may_hold_anything() {
    let doubt = Back::InDoubt { case: "IR-7".into() };
    let (rig, log, store) = frozen(true).await;
    store.fails(usize::MAX);
    let others = beside(&store).await;
    let foretold = restore(&rig, &log, &others, RestoreAsk { dry_run: true, ..RestoreAsk::default() }).await;
    assert_eq!(back(&foretold, FREEZE), &doubt);
    let report = restore(&rig, &log, &others, RestoreAsk::default()).await;
    assert_eq!((back(&report, FREEZE), report.outcome(), rig.aws.landed().len()), (&doubt, Outcome::PartlyContained, 1));
    let what = &report.cells[0].error.as_ref().unwrap().what;
    for words in ["IR-7", "SlowDown", "--overrule freeze-concurrency/payments-export", "make it readable"] {
        assert!(what.contains(words), "{words}: {what}");
    }
    assert!(log.events().iter().any(|e| matches!(e, JournalEvent::RestoreFailed { error, .. } if error.contains("IR-7"))));
    assert!(!open_cells(&log.events())[0].gave_way, "in doubt both hold it");

    // It can be read again: it does hold it.
    store.fails(0);
    let report = restore(&rig, &log, &beside(&store).await, RestoreAsk::default()).await;
    assert_eq!(back(&report, FREEZE), &Back::HeldElsewhere { case: "IR-7".into() });

    // Named, it goes back in doubt, which is on record.
    let (rig, log, store) = frozen(false).await;
    store.fails(usize::MAX);
    let overrule = [CellId(FREEZE.into())];
    let report = restore(&rig, &log, &beside(&store).await, RestoreAsk { overrule: &overrule, ..RestoreAsk::default() }).await;
    assert_eq!((report.outcome(), report.cells[0].overruled, rig.aws.world()), (Outcome::Complete, true, World::shared_role()));
    let said = |e: &&JournalEvent| matches!(e, JournalEvent::DriftOverruled { who, .. } if who == "tester");
    assert_eq!(log.events().iter().filter(said).count(), 1);
}

#[tokio::test]
async fn what_could_not_be_read_is_read_once_more() {
    let (rig, log, store) = frozen(false).await;
    let others = beside(&store).await;
    store.fails(1);
    assert_eq!(restore(&rig, &log, &others, RestoreAsk::default()).await.outcome(), Outcome::Complete);
    assert_eq!(rig.aws.world(), World::shared_role());
    let (rig, log, store) = frozen(true).await;
    let others = beside(&store).await;
    store.fails(1);
    let report = restore(&rig, &log, &others, RestoreAsk::default()).await;
    assert_eq!(back(&report, FREEZE), &Back::HeldElsewhere { case: "IR-7".into() });
}

/// A log after whose intent to restore the other case cannot be read any more.
struct ThenSilence(MemLog, Arc<Moody>);
#[async_trait]
impl IntentLog for ThenSilence {
    async fn append(&self, event: JournalEvent) -> Result<(), LogError> {
        if matches!(event, JournalEvent::RestoreIntent { .. }) {
            self.1.fails(usize::MAX);
        }
        self.0.append(event).await
    }
    fn events(&self) -> Vec<JournalEvent> {
        self.0.events()
    }
}

#[tokio::test]
async fn doubt_that_comes_between_the_intent_and_the_write_keeps_from_writing() {
    let (rig, log, store) = frozen(false).await;
    let (others, log) = (beside(&store).await, ThenSilence(log, store));
    let report = restore(&rig, &log, &others, RestoreAsk::default()).await;
    assert_eq!((back(&report, FREEZE), rig.aws.landed().len()), (&Back::InDoubt { case: "IR-7".into() }, 1));
    assert!(matches!(log.events().last(), Some(JournalEvent::RestoreFailed { .. })), "the intent is not left open");
}

#[tokio::test]
async fn an_unwinding_in_doubt_leaves_what_it_contained() {
    let (rig, log, store) = (Rig::new(World::shared_role()), MemLog::default(), Arc::new(Moody::default()));
    store.0.put_if_absent("journal/000001.jsonl", b"no line".to_vec()).await.unwrap();
    rig.aws.fault(Some((2, Fault::Denied)));
    let both = actions(&["freeze-concurrency", "quarantine-role"]);
    let report = rig.contain_beside(&log, &both, OnFailure::Unwind, &never, &beside(&store).await).await;
    let unwound = report.unwound.as_ref().unwrap();
    assert_eq!(back(unwound, FREEZE), &Back::InDoubt { case: "IR-7".into() }, "{report:?}");
    assert_eq!((report.outcome(), rig.aws.landed().len()), (Outcome::PartlyContained, 1));
}
