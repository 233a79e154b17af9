//! What every action must keep, whatever goes wrong.

use super::rig::{Beside, Rig, Seen, clean_run, count, faulty_runs, intents, left_behind, lost, never, nobody, scenarios, undone};
use crate::support::cells::{Fault, params_of, target};
use freezeframe::contain::{ACTIONS, find};
use freezeframe::engine::log::{IntentLog, MemLog, holds};
use freezeframe::engine::{Back, OnFailure, RestoreAsk, RestoreReport, Stand};
use freezeframe::model::id::CellId;
use freezeframe::model::journal_event::JournalEvent;
use freezeframe::model::outcome::Outcome;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

fn is_read(operation: &str) -> bool {
    ["Describe", "Get", "List", "Simulate"].iter().any(|verb| operation.starts_with(verb))
}

/// Sources that were left off for the sake of a function that is not back.
fn waiting(report: &RestoreReport) -> impl Iterator<Item = &CellId> {
    report.cells.iter().filter(|c| matches!(c.back, Back::Waits { .. })).map(|c| &c.cell)
}

#[tokio::test]
async fn contain_then_restore_is_identity_twice() {
    for (name, world, actions) in scenarios() {
        let (rig, log) = (Rig::new(world.clone()), MemLog::default());
        for round in 1..=2 {
            let report = rig.contain(&log, &actions, OnFailure::Hold).await;
            assert_eq!(report.outcome(), Outcome::Complete, "{name}, round {round}: {report:?}");
            assert_ne!(rig.aws.world(), world, "{name}: containment does something");
            assert!(report.cells.iter().all(|c| c.stand == Stand::Contained), "{name}: {report:?}");

            // Contained again, nothing is written; and the first before-state stays the truth.
            let writes = rig.aws.landed().len();
            let again = rig.contain(&log, &actions, OnFailure::Hold).await;
            assert_eq!(again.outcome(), Outcome::Complete, "{name}: {again:?}");
            assert!(again.cells.iter().all(|c| c.stand == Stand::AlreadyContained), "{name}: {again:?}");
            assert_eq!(rig.aws.landed().len(), writes, "{name}");

            let report = rig.restore(&log).await;
            assert_eq!(report.outcome(), Outcome::Complete, "{name}, round {round}: {report:?}");
            assert!(report.cells.iter().all(|c| undone(&c.back)), "{name}: {report:?}");
            assert_eq!(rig.world(), world, "{name}, round {round}");
            rig.aws.change(|w| w.qualified.forget_what_is_left());
            assert!(rig.restore(&log).await.cells.is_empty(), "{name}: nothing is left to restore");
        }
    }
}

#[tokio::test]
async fn a_failure_at_every_write_under_hold() {
    for (name, world, actions) in scenarios() {
        let (writes, _) = clean_run(&world, &actions).await;
        assert!(writes > 0);
        for faults in faulty_runs(&actions, writes, &Fault::FAILING) {
            let at = format!("{name}, {faults:?} of {writes} writes");
            let (rig, log) = (Rig::new(world.clone()), MemLog::default());
            rig.aws.faults(faults.clone());
            let report = rig.contain(&log, &actions, OnFailure::Hold).await;
            let lost = lost(&faults);
            let expected = match (lost, writes) {
                (0, _) => Outcome::Complete,
                (lost, writes) if lost == writes => Outcome::Failed,
                _ => Outcome::PartlyContained,
            };
            assert_eq!(report.outcome(), expected, "{at}: {report:?}");
            assert_eq!(rig.aws.landed().len(), writes - lost, "{at}: the rest was tried");
            // The report says the truth of each cell: what went wrong, and how it stands all the same. Each cell is one write here.
            for (n, cell) in (1..).zip(&report.cells) {
                let fault = faults.iter().find(|(at, _)| *at == n).map(|(_, fault)| *fault);
                assert_eq!(cell.error.is_some(), fault.is_some(), "{at}: the failure is told even where the write landed: {cell:?}");
                let stand = if fault.is_none_or(Fault::lands) { Stand::Contained } else { Stand::NotHolding };
                assert_eq!(cell.stand, stand, "{at}: {cell:?}");
            }

            // A second attempt finishes the job and does not lose the truth.
            if faults[0].0 % 2 == 0 {
                assert_eq!(rig.contain(&log, &actions, OnFailure::Hold).await.outcome(), Outcome::Complete, "{at}");
            }
            let report = rig.restore(&log).await;
            assert_eq!(report.outcome(), Outcome::Complete, "{at}: {report:?}");
            assert_eq!(rig.world(), world, "{at}");
        }
    }
}

#[tokio::test]
async fn a_failure_at_every_write_under_unwind() {
    for (name, world, actions) in scenarios() {
        let (writes, _) = clean_run(&world, &actions).await;
        // What landed ends nothing, so several can be tried in one run; the first that did not ends it. To the engine those are alike, and of all
        // together one way stands for them.
        let (landing, losing): (Vec<Fault>, Vec<Fault>) = Fault::FAILING.into_iter().partition(|f| f.lands());
        let losing = if actions.len() == 1 { losing } else { vec![Fault::Error] };
        let ends = losing.iter().flat_map(|f| (1..=writes).map(|n| vec![(n, *f)]));
        for faults in faulty_runs(&actions, writes, &landing).into_iter().chain(ends) {
            let at = format!("{name}, {faults:?} of {writes} writes");
            let (rig, log) = (Rig::new(world.clone()), MemLog::default());
            rig.aws.faults(faults.clone());
            let report = rig.contain(&log, &actions, OnFailure::Unwind).await;
            if lost(&faults) == 0 {
                assert_eq!(report.outcome(), Outcome::Complete, "{at}: {report:?}");
            } else {
                assert_eq!(report.outcome(), Outcome::Unwound, "{at}: {report:?}");
                assert_eq!(rig.world(), world, "{at}");
                assert_eq!(intents(&log), faults[0].0, "{at}: nothing more was begun");
            }
            assert_eq!(rig.restore(&log).await.outcome(), Outcome::Complete, "{at}");
            assert_eq!(rig.world(), world, "{at}");
        }
    }
}

#[tokio::test]
async fn a_failure_at_every_write_of_restore() {
    for (name, world, actions) in scenarios() {
        let (writes, _) = clean_run(&world, &actions).await;
        for faults in faulty_runs(&actions, writes - left_behind(&world, &actions).await, &Fault::FAILING) {
            let at = format!("{name}, {faults:?} of {writes} restoring writes");
            let (rig, log) = (Rig::new(world.clone()), MemLog::default());
            rig.contain(&log, &actions, OnFailure::Hold).await;
            rig.aws.faults(faults.clone());
            // By its name every action, so that no source waits for a function that is stuck.
            let named: Vec<String> = ACTIONS.iter().map(|a| a.spec().id.to_string()).collect();
            let report = rig.restore_with(&log, &RestoreAsk { actions: ACTIONS, only: &named, ..RestoreAsk::default() }).await;
            let told = report.cells.iter().filter(|c| c.error.is_some()).count();
            let lost = lost(&faults);
            assert_eq!(report.outcome(), if lost == 0 { Outcome::Complete } else { Outcome::Stuck }, "{at}: {report:?}");
            let stuck = report.cells.iter().filter(|c| c.back == Back::Stuck).count();
            assert_eq!((stuck, told, report.cells.len()), (lost, lost, writes), "{at}: the others went back: {report:?}");
            if lost > 0 {
                assert_eq!(rig.restore(&log).await.outcome(), Outcome::Complete, "{at}");
            }
            assert_eq!(rig.world(), world, "{at}");
        }
    }
}

#[tokio::test]
async fn drift_is_reported_and_the_rest_still_goes_back() {
    for (name, world, actions) in scenarios() {
        let probe = Rig::new(world.clone());
        let cells = probe.contain(&MemLog::default(), &actions, OnFailure::Hold).await.cells;
        for cell in cells.into_iter().map(|c| c.cell) {
            let (rig, log) = (Rig::new(world.clone()), MemLog::default());
            rig.contain(&log, &actions, OnFailure::Hold).await;
            if !rig.aws.change(|w| w.drift(&cell)) {
                continue;
            }
            // What restore must bring about: everything as before, but for the drifted cell.
            let mut expected = world.clone();
            expected.drift(&cell);
            let report = rig.restore(&log).await;
            assert_eq!(report.outcome(), Outcome::Stuck, "{name}, {cell}: {report:?}");
            // But for the sources of a function that is not back as it was: those wait for it, until they are named.
            let waiting: BTreeSet<String> = waiting(&report).map(|c| c.action().to_string()).collect();
            let sources = actions.iter().filter(|a| a.spec().waits_for(Some(find(cell.action()).unwrap().spec())));
            assert_eq!(waiting, sources.map(|a| a.spec().id.to_string()).collect(), "{name}, {cell}: {report:?}");
            if !waiting.is_empty() {
                let only: Vec<String> = waiting.into_iter().collect();
                let sources = rig.restore_with(&log, &RestoreAsk { actions: ACTIONS, only: &only, ..RestoreAsk::default() }).await;
                assert_eq!(sources.outcome(), Outcome::Complete, "{name}, {cell}: {sources:?}");
            }
            assert_eq!(rig.world(), expected, "{name}, {cell}");
            let drifted: Vec<_> = report.cells.iter().filter(|c| c.back == Back::Drift).map(|c| &c.cell).collect();
            assert_eq!(drifted, [&cell], "{name}");
            assert_eq!(count(&log, |e| matches!(e, JournalEvent::Drift { cell: c, .. } if *c == cell)), 1, "{name}");

            // Named, it is set back all the same, and that is on record.
            let overrule = [cell.clone()];
            let report = rig.restore_with(&log, &RestoreAsk { actions: ACTIONS, overrule: &overrule, ..RestoreAsk::default() }).await;
            assert_eq!(report.outcome(), Outcome::Complete, "{name}, {cell}: {report:?}");
            assert_eq!(rig.world(), world, "{name}, {cell}");
            assert_eq!(count(&log, |e| matches!(e, JournalEvent::DriftOverruled { who, .. } if who == "tester")), 1, "{name}");
        }
    }
}

#[tokio::test]
async fn a_refusing_journal_means_an_untouched_world() {
    for (name, world, actions) in scenarios() {
        let (_, length) = clean_run(&world, &actions).await;
        let mut seen = Seen::default();
        for (room, on_failure) in (0..length).flat_map(|r| [(r, OnFailure::Hold), (r, OnFailure::Unwind)]) {
            let at = format!("{name}, journal full after {room} of {length}, {on_failure:?}");
            let (rig, log) = (Rig::new(world.clone()), MemLog::refusing(vec![], room));
            let report = rig.contain(&log, &actions, on_failure).await;
            assert!(report.journal.is_some(), "{at}");
            assert!(matches!(report.outcome(), Outcome::Failed | Outcome::PartlyContained | Outcome::Stuck), "{at}: {report:?}");
            assert_eq!(rig.aws.landed().len(), intents(&log), "{at}: no write without its intent, and none after the refusal");
            if room == 0 {
                assert_eq!(rig.world(), world, "{at}");
                assert_eq!(rig.aws.tried().iter().filter(|o| !is_read(o)).count(), 0, "{at}");
            }
            if seen.is_new(&log.events(), &rig.aws.world()) {
                let log = MemLog::new(log.events());
                assert_eq!(rig.restore(&log).await.outcome(), Outcome::Complete, "{at}");
                assert_eq!(rig.world(), world, "{at}");
            }
        }
    }
}

#[tokio::test]
async fn a_refusing_journal_stops_restore_as_well() {
    for (name, world, actions) in scenarios() {
        let (rig, log) = (Rig::new(world.clone()), MemLog::default());
        rig.contain(&log, &actions, OnFailure::Hold).await;
        let contained = rig.aws.world();
        let report = rig.restore(&MemLog::refusing(log.events(), 0)).await;
        assert_eq!(report.outcome(), Outcome::Stuck, "{name}: {report:?}");
        assert_eq!(rig.aws.world(), contained, "{name}");
        rig.restore(&log).await;
        assert_eq!(rig.world(), world, "{name}");
    }
}

#[tokio::test]
async fn two_cases_hold_what_both_hold() {
    for (name, world, actions) in scenarios() {
        let rig = Rig::new(world.clone());
        let (first, second) = (MemLog::default(), MemLog::default());
        rig.contain(&first, &actions, OnFailure::Hold).await;
        let (contained, writes) = (rig.aws.world(), rig.aws.landed().len());
        let report = rig.contain_beside(&second, &actions, OnFailure::Hold, &never, &Beside("first", &first)).await;
        assert_eq!((report.outcome(), rig.aws.landed().len()), (Outcome::Complete, writes), "{name}: already contained writes nothing");
        assert_eq!(intents(&second), 0, "{name}");
        let held: Vec<_> = report.cells.iter().map(|c| c.cell.clone()).collect();

        // The first case lets go; what the second holds stays as it is.
        let restore = RestoreAsk { actions: ACTIONS, ..RestoreAsk::default() };
        let report = rig.with(&first, &never, &Beside("second", &second), async |saga| saga.restore(&restore).await).await;
        for entry in &report.cells {
            // What stays by design is put back by nobody, so nobody is in the way.
            let ok = match &entry.back {
                Back::HeldElsewhere { case } => held.contains(&entry.cell) && case == "second",
                Back::Restored { wrote } => !held.contains(&entry.cell) && *wrote,
                Back::Left { .. } => true,
                _ => false,
            };
            assert!(ok, "{name}: {entry:?}");
        }
        if held.len() > left_behind(&world, &actions).await {
            assert_eq!(report.outcome(), Outcome::PartlyContained, "{name}");
        }
        if held.len() == report.cells.len() {
            assert_eq!(rig.aws.world(), contained, "{name}");
        }

        // The second lets go: it wrote nothing, so nothing is written; the first can now put everything back.
        let report = rig.with(&second, &never, &Beside("first", &first), async |saga| saga.restore(&restore).await).await;
        assert!(report.cells.iter().all(|c| c.back == Back::Released), "{name}: {report:?}");
        assert!(held.iter().all(|c| !holds(&second.events(), c, &target())), "{name}");
        let report = rig.restore(&first).await;
        assert_eq!(report.outcome(), Outcome::Complete, "{name}: {report:?}");
        assert_eq!(rig.world(), world, "{name}");
    }
}

#[tokio::test]
async fn an_interrupt_begins_nothing_more() {
    for (name, world, actions) in scenarios() {
        let mut seen = Seen::default();
        for patience in 0.. {
            let asked = AtomicUsize::new(0);
            let stop = || asked.fetch_add(1, Ordering::SeqCst) >= patience;
            let (rig, log) = (Rig::new(world.clone()), MemLog::default());
            let on_failure = if patience % 2 == 0 { OnFailure::Hold } else { OnFailure::Unwind };
            let report = rig.contain_stoppable(&log, &actions, on_failure, &stop).await;
            assert_eq!(rig.aws.landed().len(), intents(&log), "{name}, {patience}");
            let read_back = count(&log, |e| matches!(e, JournalEvent::ReadBack { holds: true, .. }));
            assert_eq!(read_back, intents(&log), "{name}, {patience}: what was begun is looked at");
            assert_eq!(
                count(&log, |e| matches!(e, JournalEvent::Restored { .. })),
                0,
                "{name}, {patience}: an interrupt is no failure to unwind for"
            );
            let done = report.outcome() == Outcome::Complete;
            if !done {
                assert_eq!(report.outcome(), Outcome::Interrupted, "{name}, {patience}: {report:?}");
            }
            if seen.is_new(&log.events(), &rig.aws.world()) {
                rig.restore(&log).await;
                assert_eq!(rig.world(), world, "{name}, {patience}");
            }
            if done {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_dry_run_writes_nothing_anywhere() {
    for (name, world, actions) in scenarios() {
        let (rig, log) = (Rig::new(world.clone()), MemLog::default());
        let params: Vec<_> = actions.iter().map(|a| params_of(a.spec().id)).collect();
        let step = |(action, params)| freezeframe::engine::Step { action, params, accept: freezeframe::engine::Accept::Approximate };
        let steps: Vec<_> = actions.iter().copied().zip(&params).map(step).collect();
        let would = rig
            .with(&log, &never, &nobody, async |s| s.contain(&steps, &target(), &super::rig::permit(), OnFailure::Hold, true).await)
            .await;
        assert!(would.cells.iter().all(|c| c.stand == Stand::WouldContain && c.after.is_some()), "{name}: {would:?}");
        assert_eq!((rig.aws.world(), log.events().len()), (world.clone(), 0), "{name}");

        let report = rig.contain(&log, &actions, OnFailure::Hold).await;
        assert_eq!(
            report.cells.iter().map(|c| (&c.cell, &c.after)).collect::<Vec<_>>(),
            would.cells.iter().map(|c| (&c.cell, &c.after)).collect::<Vec<_>>(),
            "{name}"
        );
        let (contained, lines) = (rig.aws.world(), log.events().len());
        let would = rig.restore_with(&log, &RestoreAsk { actions: ACTIONS, dry_run: true, ..RestoreAsk::default() }).await;
        assert!(would.cells.iter().all(|c| matches!(c.back, Back::WouldRestore | Back::Left { .. })), "{name}: {would:?}");
        assert_eq!((rig.aws.world(), log.events().len()), (contained, lines), "{name}");
    }
}

#[tokio::test]
async fn every_call_is_on_tape() {
    for (name, world, actions) in scenarios() {
        let (rig, log) = (Rig::new(world.clone()), MemLog::default());
        rig.contain(&log, &actions, OnFailure::Hold).await;
        rig.restore(&log).await;
        let taped: Vec<String> = rig.recorder.exchanges.lock().unwrap().iter().map(|x| x.operation.clone()).collect();
        assert_eq!(taped, rig.aws.tried(), "{name}");
    }
}
