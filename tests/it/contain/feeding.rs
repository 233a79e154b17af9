//! Which sources a restore keeps off, and for what: for cells that would make their calls fail, whoever contained them, as long as they stand; not for
//! what has nothing to do with calls, and not for what does not exist any more.

use super::held::{FREEZE, actions, back, restore, sources_wait};
use super::rig::{Beside, Rig, never, nobody};
use crate::support::cells::surface::Surface;
use crate::support::cells::{ACCOUNT, FUNCTION, Fault, World};
use freezeframe::engine::log::{IntentLog, MemLog, open_cells};
use freezeframe::engine::{Back, OnFailure, RestoreAsk, RestoreReport};
use freezeframe::model::id::CellId;
use freezeframe::model::outcome::Outcome;

const MAPPINGS: &str = "pause-event-source-mappings";
const SCHEDULES: &str = "disable-schedules";
const DENY: &str = "deny-invocation/payments-export";

/// The fates of an action's cells, which are all one.
#[track_caller]
fn all_of<'r>(report: &'r RestoreReport, action: &str) -> &'r Back {
    let fates: Vec<&Back> = report.cells.iter().filter(|c| c.cell.action() == action).map(|c| &c.back).collect();
    assert!(!fates.is_empty() && fates.iter().all(|b| *b == fates[0]), "{action}: {report:?}");
    fates[0]
}

const WRITTEN: Back = Back::Restored { wrote: true };

/// Pollers heed no resource policy; who pushes does.
#[tokio::test]
async fn a_policy_that_somebody_changed_keeps_no_mapping_off() {
    let (rig, log) = (Rig::new(World::shared_role()), MemLog::default());
    rig.contain(&log, &actions(&[SCHEDULES, "deny-invocation", MAPPINGS, "enforce-code-signing"]), OnFailure::Hold).await;
    let changed = [CellId(format!("{DENY}:live")), CellId("enforce-code-signing/payments-export".into())];
    rig.aws.change(|w| assert!(changed.iter().all(|cell| w.drift(cell))));
    let report = rig.restore(&log).await;
    assert!(changed.iter().all(|cell| back(&report, &cell.0) == &Back::Drift), "{report:?}");
    assert_eq!(all_of(&report, MAPPINGS), &WRITTEN);
    assert_eq!(all_of(&report, SCHEDULES), &Back::Waits { on: changed[0].clone(), case: None });
    // What has nothing to do with calls keeps nobody off.
    let overrule = [changed[0].clone()];
    let report = restore(&rig, &log, &nobody, RestoreAsk { overrule: &overrule, ..RestoreAsk::default() }).await;
    assert_eq!((back(&report, &changed[1].0), all_of(&report, SCHEDULES)), (&Back::Drift, &WRITTEN));
}

#[tokio::test]
async fn the_deny_of_a_version_or_alias_that_was_deleted_is_over() {
    for documents in [true, false] {
        let mut world = World::shared_role();
        if !documents {
            world.functions.get_mut(FUNCTION).unwrap().surface = Surface::older();
        }
        let (rig, log) = (Rig::new(world), MemLog::default());
        rig.contain(&log, &actions(&[SCHEDULES, "deny-invocation", MAPPINGS]), OnFailure::Hold).await;
        rig.aws.change(|w| {
            let surface = &mut w.functions.get_mut(FUNCTION).unwrap().surface;
            for gone in ["1", "live"] {
                surface.aliases.retain(|a| a != gone);
                surface.versions.remove(gone);
                surface.scaling.remove(gone);
                surface.policies.remove(gone);
            }
            w.qualified.versions.remove(&1);
        });
        let foretold = restore(&rig, &log, &nobody, RestoreAsk { dry_run: true, ..RestoreAsk::default() }).await;
        let report = rig.restore(&log).await;
        let of_qualifier = |report: &RestoreReport| {
            let cells = report.cells.iter().filter(|c| c.cell.0.starts_with(&format!("{DENY}:")));
            cells.map(|c| c.back.clone()).collect::<Vec<_>>()
        };
        for report in [&foretold, &report] {
            let over = of_qualifier(report);
            assert!(!over.is_empty() && over.iter().all(|b| *b == Back::Over), "{report:?}");
        }
        assert_eq!((all_of(&report, MAPPINGS), all_of(&report, SCHEDULES), report.outcome()), (&WRITTEN, &WRITTEN, Outcome::Complete));
        assert!(open_cells(&log.events()).is_empty(), "the holds have ended");
    }
}

/// The function's own policy is not over with the function: one that is made again in its name wants it back.
#[tokio::test]
async fn a_function_that_was_deleted_is_for_a_person_to_look_at() {
    let (rig, log) = (Rig::new(World::shared_role()), MemLog::default());
    rig.contain(&log, &actions(&["deny-invocation"]), OnFailure::Hold).await;
    rig.aws.change(|w| w.functions.remove(FUNCTION));
    let report = rig.restore(&log).await;
    assert_eq!((back(&report, DENY), back(&report, &format!("{DENY}:live"))), (&Back::Stuck, &Back::Over));
}

#[tokio::test]
async fn what_was_put_on_a_role_that_was_deleted_is_over() {
    let mut world = World::shared_role();
    world.functions.retain(|name, _| name == FUNCTION);
    let former = format!("arn:aws:iam::{ACCOUNT}:role/lone-role");
    world.functions.get_mut(FUNCTION).unwrap().surface.roles.insert("1".into(), former);
    let on_roles = ["quarantine-role", "revoke-sessions", "block-role-assumption", "set-permissions-boundary"];
    for detached in [false, true] {
        let (rig, log) = (Rig::new(world.clone()), MemLog::default());
        let mut ids = [&on_roles[..], &[MAPPINGS]].concat();
        if detached {
            ids.push("detach-permissions");
        }
        rig.contain(&log, &actions(&ids), OnFailure::Hold).await;
        rig.aws.change(|w| w.roles.remove("lone-role"));
        let report = rig.restore(&log).await;
        for action in on_roles {
            let cell = report.cells.iter().find(|c| c.cell.action() == action && c.cell.key().starts_with("lone-role"));
            assert_eq!(cell.unwrap().back, Back::Over, "{action}");
        }
        // What was taken from a role stays known, for one of its name.
        let expected = if detached { Outcome::Stuck } else { Outcome::Complete };
        assert_eq!((report.outcome(), open_cells(&log.events()).is_empty()), (expected, !detached), "{report:?}");
        assert_eq!(matches!(all_of(&report, MAPPINGS), Back::Waits { .. }), detached, "{report:?}");
    }
}

/// It never held the freeze itself.
#[tokio::test]
async fn a_case_of_its_own_for_the_sources_heeds_what_another_froze() {
    for gave_way in [false, true] {
        let (rig, first, second) = (Rig::new(World::shared_role()), MemLog::default(), MemLog::default());
        rig.contain(&first, &actions(&["freeze-concurrency"]), OnFailure::Hold).await;
        let (beside_first, beside_second) = (Beside("first", &first), Beside("second", &second));
        let theirs = actions(if gave_way { &[SCHEDULES, MAPPINGS, "freeze-concurrency"] } else { &[SCHEDULES, MAPPINGS] });
        rig.contain_beside(&second, &theirs, OnFailure::Hold, &never, &beside_first).await;
        if gave_way {
            // The author of the freeze left it to the one who found it, and he lets go of it without a write.
            let report = restore(&rig, &first, &beside_second, RestoreAsk::default()).await;
            assert_eq!(back(&report, FREEZE), &Back::HeldElsewhere { case: "second".into() });
        }
        for dry_run in [true, false, false] {
            let report = restore(&rig, &second, &beside_first, RestoreAsk { dry_run, ..RestoreAsk::default() }).await;
            sources_wait(&report, FREEZE);
            assert_eq!(report.outcome(), Outcome::PartlyContained);
        }
        let report = restore(&rig, &second, &beside_first, RestoreAsk::default()).await;
        assert!(report.headline().contains("case first") && report.rows()[0].1.contains("case first"), "{}", report.headline());

        // What stands is what counts: somebody lifted the freeze by hand, and the case that made it has not looked yet.
        rig.aws.change(|w| w.functions.get_mut(FUNCTION).unwrap().reserved = None);
        assert_eq!(restore(&rig, &second, &beside_first, RestoreAsk::default()).await.outcome(), Outcome::Complete);
        assert_eq!(restore(&rig, &first, &beside_second, RestoreAsk::default()).await.outcome(), Outcome::Complete);
        assert_eq!(rig.aws.world(), World::shared_role());
    }
}

/// The one that gave way has the cell in its journal still, and it has been put back all the same.
#[tokio::test]
async fn a_case_that_puts_back_what_another_left_to_it_feeds_at_once() {
    let (rig, first, second) = (Rig::new(World::shared_role()), MemLog::default(), MemLog::default());
    rig.contain(&second, &actions(&[SCHEDULES, MAPPINGS, "freeze-concurrency"]), OnFailure::Hold).await;
    let (beside_first, beside_second) = (Beside("first", &first), Beside("second", &second));
    // Somebody lifted it in between, so that either wrote: the one over the other.
    rig.aws.change(|w| w.functions.get_mut(FUNCTION).unwrap().reserved = None);
    rig.contain_beside(&first, &actions(&["freeze-concurrency"]), OnFailure::Hold, &never, &beside_second).await;
    assert!(matches!(back(&restore(&rig, &first, &beside_second, RestoreAsk::default()).await, FREEZE), Back::HeldElsewhere { .. }));
    let foretold = restore(&rig, &second, &beside_first, RestoreAsk { dry_run: true, ..RestoreAsk::default() }).await;
    assert!(foretold.cells.iter().all(|c| c.back == Back::WouldRestore), "{foretold:?}");
    assert_eq!(restore(&rig, &second, &beside_first, RestoreAsk::default()).await.outcome(), Outcome::Complete);
    assert_eq!(restore(&rig, &first, &beside_second, RestoreAsk::default()).await.outcome(), Outcome::Complete);
    assert_eq!(rig.aws.world(), World::shared_role());
}

#[tokio::test]
async fn an_unwinding_does_not_feed_what_an_earlier_run_froze() {
    let (rig, log) = (Rig::new(World::shared_role()), MemLog::default());
    rig.contain(&log, &actions(&["freeze-concurrency"]), OnFailure::Hold).await;
    // Two mappings are paused, and then the deny fails.
    rig.aws.fault(Some((3, Fault::Denied)));
    let report = rig.contain(&log, &actions(&[MAPPINGS, "quarantine-role"]), OnFailure::Unwind).await;
    rig.aws.fault(None);
    sources_wait(report.unwound.as_ref().unwrap(), FREEZE);
    assert_eq!(report.outcome(), Outcome::PartlyContained, "{report:?}");
    assert_eq!(rig.restore(&log).await.outcome(), Outcome::Complete);
    assert_eq!(rig.aws.world(), World::shared_role());
}
