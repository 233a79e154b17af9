//! What is particular to one action.

use super::rig::{Rig, never, nobody, permit};
use crate::support::cells::{FUNCTION, ROLE, World, params_of, target};
use freezeframe::contain::{ACTIONS, find};
use freezeframe::engine::log::{IntentLog, MemLog, open_cells};
use freezeframe::engine::{Accept, Back, ContainReport, OnFailure, Stand, Step};
use freezeframe::model::outcome::Outcome;
use freezeframe::model::params::Params;
use serde_json::{Value, json};

pub(super) async fn contain(rig: &Rig, log: &dyn IntentLog, action: &str, with: Value) -> ContainReport {
    let params: Params = serde_json::from_value(with).unwrap();
    let steps = [Step { action: find(action).unwrap(), params: &params, accept: Accept::Approximate }];
    rig.with(log, &never, &nobody, async |s| s.contain(&steps, &target(), &permit(), OnFailure::Hold, false).await).await
}

#[test]
fn every_action_says_what_it_does_and_declares_its_writes() {
    for spec in ACTIONS.iter().map(|a| a.spec()) {
        for text in [spec.title, spec.stops, spec.does_not_stop, spec.side_effects, spec.restore] {
            assert!(text.len() > 20, "{}", spec.id);
            assert!(!text.contains("  "), "{}: {text}", spec.id);
        }
        assert!(spec.calls.iter().any(|c| c.access == freezeframe::model::call::Access::Write), "{}", spec.id);
        assert!(spec.params.iter().all(|p| p.kind.objection(&p.default.into()).is_none()), "{}", spec.id);
    }
    let rank = |id: &str| find(id).unwrap().spec().restore_rank;
    assert!(
        rank("freeze-concurrency") < rank("detach-permissions") && rank("detach-permissions") < rank("quarantine-role"),
        "denies are lifted last"
    );
}

#[tokio::test]
async fn no_reservation_is_not_a_reservation_of_zero() {
    let (rig, log) = (Rig::new(World::shared_role()), MemLog::default());
    let report = contain(&rig, &log, "freeze-concurrency", json!({})).await;
    assert_eq!((&report.cells[0].before, &report.cells[0].after), (&Some(Value::Null), &Some(json!(0))));
    rig.restore(&log).await;
    assert_eq!(rig.aws.landed(), ["PutFunctionConcurrency", "DeleteFunctionConcurrency"]);

    rig.aws.change(|w| w.functions.get_mut(FUNCTION).unwrap().reserved = Some(0));
    let report = contain(&rig, &log, "freeze-concurrency", json!({})).await;
    assert_eq!(report.cells[0].stand, Stand::AlreadyContained);
}

#[tokio::test]
async fn a_function_that_is_gone_is_an_error_not_an_absence() {
    let (rig, log) = (Rig::new(World::shared_role()), MemLog::default());
    rig.aws.change(|w| w.functions.remove(FUNCTION));
    let report = contain(&rig, &log, "freeze-concurrency", json!({})).await;
    assert_eq!((report.outcome(), report.cells[0].stand), (Outcome::Failed, Stand::Untouched));
    assert!(report.cells[0].error.as_ref().unwrap().what.contains("ResourceNotFoundException"), "{report:?}");
    assert!(log.events().is_empty());
}

#[tokio::test]
async fn a_role_that_is_gone_is_not_a_role_without_policy() {
    let (rig, log) = (Rig::new(World::shared_role()), MemLog::default());
    contain(&rig, &log, "quarantine-role", json!({})).await;
    rig.aws.change(|w| w.roles.remove(ROLE));
    let before = rig.aws.landed().len();
    let report = rig.restore(&log).await;
    assert_eq!(report.cells[0].back, Back::Over, "nothing was put back, and nothing can be: {report:?}");
    assert_eq!((report.outcome(), rig.aws.landed().len(), open_cells(&log.events()).len()), (Outcome::Complete, before, 0));
}

#[tokio::test]
async fn service_linked_roles_are_refused_and_the_others_go_on() {
    let (rig, log) = (Rig::new(World::shared_role()), MemLog::default());
    rig.aws.change(|w| w.roles.get_mut(ROLE).unwrap().path = "/aws-service-role/x.amazonaws.com/".into());
    let before = rig.aws.world();
    let on_roles: Vec<&str> =
        ACTIONS.iter().filter(|a| a.spec().is_global() || a.spec().id == "revoke-sessions").map(|a| a.spec().id).collect();
    assert!(on_roles.len() >= 5, "{on_roles:?}");
    for action in &on_roles {
        let report = contain(&rig, &log, action, serde_json::to_value(params_of(action)).unwrap()).await;
        assert_eq!(report.outcome(), Outcome::Refused, "{report:?}");
        assert!(report.actions[0].error.what.contains("service-linked"), "{report:?}");
    }
    assert_eq!((rig.aws.world(), log.events().len()), (before, 0));
    let report = rig.contain(&log, &ACTIONS.to_vec(), OnFailure::Hold).await;
    let refused = report.actions.iter().filter(|a| on_roles.contains(&a.action)).count();
    assert_eq!((report.outcome(), refused), (Outcome::PartlyContained, on_roles.len()), "{report:?}");
    assert!(!report.cells.is_empty() && report.cells.iter().all(|c| !on_roles.contains(&c.action)), "{report:?}");
}

/// One on the function, two on its role.
fn three() -> Vec<&'static dyn freezeframe::contain::DynAction> {
    ["freeze-concurrency", "quarantine-role", "detach-permissions"].map(|id| find(id).unwrap()).to_vec()
}

#[tokio::test]
async fn a_denied_look_names_the_permission_and_the_others_go_on() {
    let (rig, log) = (Rig::new(World::shared_role()), MemLog::default());
    rig.aws.deny("GetRole");
    let report = rig.contain(&log, &three(), OnFailure::Hold).await;
    assert_eq!(report.outcome(), Outcome::PartlyContained, "{report:?}");
    assert!(report.actions.iter().all(|a| a.error.denied == Some("iam:GetRole") && !a.refused), "{report:?}");
    assert_eq!(rig.aws.landed(), ["PutFunctionConcurrency"]);

    // A playbook that unwinds is told the same, and puts back what it did.
    let (rig, log) = (Rig::new(World::shared_role()), MemLog::default());
    rig.aws.deny("GetRole");
    let report = rig.contain(&log, &three(), OnFailure::Unwind).await;
    assert_eq!((report.outcome(), rig.aws.world()), (Outcome::Unwound, World::shared_role()), "{report:?}");
}

#[tokio::test]
async fn detaching_leaves_quarantine_policies_alone() {
    let (rig, log) = (Rig::new(World::shared_role()), MemLog::default());
    contain(&rig, &log, "quarantine-role", json!({})).await;
    let report = contain(&rig, &log, "detach-permissions", json!({"accept-shared-role": true})).await;
    assert!(report.cells.iter().all(|c| c.stand == Stand::Contained), "{report:?}");
    let role = &rig.aws.world().roles[ROLE];
    let left: Vec<&String> = role.inline.keys().collect();
    assert_eq!(left, ["freezeframe-quarantine-another", "freezeframe-quarantine-payments-export"]);
    assert!(role.attached.is_empty());
    rig.restore(&log).await;
    let order = rig.aws.landed();
    assert_eq!(order.last().map(String::as_str), Some("DeleteRolePolicy"), "the deny is lifted last: {order:?}");
    assert_eq!(rig.aws.world(), World::shared_role());
}
