//! The wire fails while the SDK repeats what failed, as it does in the program: a write may then land twice, or be refused because it landed the
//! first time (its revision has moved). Whatever it was, the report says how the cell stands, and restore brings the world back.
//!
//! `conformance` has the same faults without repetitions: each answer as the saga meets it.

use super::rig::{Rig, left_behind, scenarios, undone};
use crate::support::cells::{ATTEMPTS, Fault};
use freezeframe::engine::log::MemLog;
use freezeframe::engine::{Back, OnFailure, Stand};
use freezeframe::model::outcome::Outcome;

/// Once, so that a repetition gets through; of one action on each of two services every time as well. (The SDK's quota for repetitions is one for
/// a service in this process: what fails for good takes from it, what gets through gives it back.)
fn bursts(scenario: &str) -> &'static [(&'static str, usize)] {
    match scenario {
        "freeze-concurrency on shared role" | "quarantine-role on shared role" => &[("once", 1), ("each time", ATTEMPTS as usize)],
        _ => &[("once", 1)],
    }
}

/// Denied is an answer, and is not asked again.
fn repeated() -> impl Iterator<Item = Fault> {
    Fault::FAILING.into_iter().filter(|f| *f != Fault::Denied)
}

#[tokio::test]
async fn a_contained_cell_is_contained_and_a_lost_one_is_told() {
    for (name, world, actions) in scenarios().into_iter().filter(|(_, _, actions)| actions.len() == 1) {
        for (fault, (times, burst)) in repeated().flat_map(|f| bursts(&name).iter().map(move |b| (f, *b))) {
            let at = format!("{name}, {fault:?} {times}");
            let (rig, log) = (Rig::persistent(world.clone()), MemLog::default());
            // The first write alone, in all of its attempts: what comes after it goes well.
            rig.aws.faults((1..=burst).map(|n| (n, fault)));
            let report = rig.contain(&log, &actions, OnFailure::Hold).await;
            let first = &report.cells[0];
            if fault.lands() || burst == 1 {
                assert_eq!(first.stand, Stand::Contained, "{at}: {first:?}");
                assert_eq!(report.outcome(), Outcome::Complete, "{at}: {report:?}");
            } else {
                assert_eq!((first.stand, first.error.is_some()), (Stand::NotHolding, true), "{at}: {first:?}");
                assert_eq!(rig.aws.tried().iter().filter(|o| is_write(o)).count(), report.cells.len() - 1 + burst, "{at}: asked so often");
            }
            assert!(
                report.cells[1..].iter().all(|c| c.stand == Stand::Contained && c.error.is_none()),
                "{at}: the rest was tried: {report:?}"
            );
            let report = rig.restore(&log).await;
            assert_eq!(report.outcome(), Outcome::Complete, "{at}: {report:?}");
            assert_eq!(rig.world(), world, "{at}");
        }
    }
}

#[tokio::test]
async fn a_cell_that_went_back_went_back_and_a_stuck_one_is_told() {
    for (name, world, actions) in scenarios().into_iter().filter(|(_, _, actions)| actions.len() == 1) {
        let left = left_behind(&world, &actions).await;
        for (fault, (times, burst)) in repeated().flat_map(|f| bursts(&name).iter().map(move |b| (f, *b))) {
            let at = format!("{name}, restoring, {fault:?} {times}");
            let (rig, log) = (Rig::persistent(world.clone()), MemLog::default());
            let cells = rig.contain(&log, &actions, OnFailure::Hold).await.cells.len();
            if cells == left {
                continue;
            }
            rig.aws.faults((1..=burst).map(|n| (n, fault)));
            let report = rig.restore(&log).await;
            let stuck = report.cells.iter().filter(|c| c.back == Back::Stuck && c.error.is_some()).count();
            if fault.lands() || burst == 1 {
                assert_eq!((report.outcome(), stuck), (Outcome::Complete, 0), "{at}: {report:?}");
                assert!(report.cells.iter().all(|c| undone(&c.back)), "{at}: {report:?}");
            } else {
                assert_eq!((report.outcome(), stuck), (Outcome::Stuck, 1), "{at}: {report:?}");
                assert_eq!(rig.restore(&log).await.outcome(), Outcome::Complete, "{at}");
            }
            assert_eq!(rig.world(), world, "{at}");
        }
    }
}

fn is_write(operation: &str) -> bool {
    !["Get", "List", "Describe", "Simulate"].iter().any(|read| operation.starts_with(read))
}
