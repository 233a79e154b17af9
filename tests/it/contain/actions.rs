//! What is particular to one action.

use super::rig::{Rig, never, nobody, permit};
use crate::support::cells::{FUNCTION, ROLE, World, target};
use freezeframe::contain::{ACTIONS, DynAction, find};
use freezeframe::engine::log::{IntentLog, MemLog};
use freezeframe::engine::{Accept, ContainReport, OnFailure, Stand, Step};
use freezeframe::model::outcome::Outcome;
use freezeframe::model::params::Params;
use serde_json::{Value, json};

async fn contain(rig: &Rig, log: &dyn IntentLog, action: &str, with: Value) -> ContainReport {
    let params: Params = serde_json::from_value(with).unwrap();
    let steps = [Step { action: find(action).unwrap(), params: &params, accept: Accept::ExactOnly }];
    rig.with(log, &never, &nobody, async |s| s.contain(&steps, &target(), &permit(), OnFailure::Hold, false).await).await
}

fn those_on_function_and_role() -> Vec<&'static dyn DynAction> {
    ["freeze-concurrency", "quarantine-role", "detach-permissions"].map(|id| find(id).unwrap()).to_vec()
}

fn our_policy(rig: &Rig) -> Value {
    serde_json::from_str(&rig.aws.world().roles[ROLE].inline[&format!("freezeframe-quarantine-{FUNCTION}")]).unwrap()
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
    let role = rig.aws.change(|w| w.roles.remove(ROLE)).unwrap();
    let report = rig.restore(&log).await;
    assert_eq!(report.outcome(), Outcome::Stuck, "the absence of its policy is not the recorded state: {report:?}");
    rig.aws.change(|w| w.roles.insert(ROLE.into(), role));
    assert_eq!(rig.restore(&log).await.outcome(), Outcome::Complete);
    assert_eq!(rig.aws.world(), World::shared_role());
}

#[tokio::test]
async fn the_scope_follows_from_who_else_uses_the_role() {
    let sole = || {
        let mut world = World::shared_role();
        world.functions.remove("payments-api");
        world
    };
    for (world, with, deny, scope, users) in [
        (World::shared_role(), json!({}), None, "function", json!(["payments-api"])),
        (sole(), json!({}), None, "role", json!([])),
        (sole(), json!({"scope": "auto"}), None, "role", json!([])),
        (sole(), json!({"scope": "function"}), None, "function", Value::Null),
        (World::shared_role(), json!({"scope": "role"}), None, "role", Value::Null),
        // Not knowing who else would be hit, nobody else is.
        (sole(), json!({}), Some("ListFunctions"), "function", json!({"unknown": "listing the functions of the Region failed"})),
    ] {
        let (rig, log) = (Rig::new(world.clone()), MemLog::default());
        if let Some(operation) = deny {
            rig.aws.deny(operation);
        }
        let report = contain(&rig, &log, "quarantine-role", with.clone()).await;
        assert_eq!(report.outcome(), Outcome::Complete, "{report:?}");
        let facts = &report.cells[0].facts;
        assert_eq!((&facts["scope"], &facts["users"], &facts["role_id"]), (&json!(scope), &users, &json!("AROASHARED0001")), "{with}");
        let condition = match scope {
            "function" => json!({"StringLike": {"aws:userid": format!("AROASHARED0001:{FUNCTION}")}}),
            _ => Value::Null,
        };
        let statements = our_policy(&rig)["Statement"].as_array().unwrap().clone();
        assert_eq!(statements.len(), 2);
        assert!(statements.iter().all(|s| s["Effect"] == "Deny" && s["Condition"] == condition), "{statements:?}");
        rig.restore(&log).await;
        assert_eq!(rig.aws.world(), world);
    }
}

#[tokio::test]
async fn the_log_group_that_is_spared_is_the_one_that_the_function_uses() {
    let (rig, log) = (Rig::new(World::own_role_with_reservation()), MemLog::default());
    contain(&rig, &log, "quarantine-role", json!({})).await;
    assert_eq!(
        our_policy(&rig)["Statement"][1]["NotResource"],
        json!([
            "arn:aws:logs:eu-west-1:123456789012:log-group:/custom/payments",
            "arn:aws:logs:eu-west-1:123456789012:log-group:/custom/payments:*"
        ])
    );
}

#[tokio::test]
async fn service_linked_roles_are_refused_and_the_others_go_on() {
    let (rig, log) = (Rig::new(World::shared_role()), MemLog::default());
    rig.aws.change(|w| w.roles.get_mut(ROLE).unwrap().path = "/aws-service-role/x.amazonaws.com/".into());
    let before = rig.aws.world();
    for action in ["quarantine-role", "detach-permissions"] {
        let report = contain(&rig, &log, action, json!({})).await;
        assert_eq!(report.outcome(), Outcome::Refused, "{report:?}");
        assert!(report.actions[0].error.what.contains("service-linked"), "{report:?}");
    }
    assert_eq!((rig.aws.world(), log.events().len()), (before, 0));
    let report = rig.contain(&log, &those_on_function_and_role(), OnFailure::Hold).await;
    assert_eq!((report.outcome(), report.cells.len(), report.actions.len()), (Outcome::PartlyContained, 1, 2), "{report:?}");
}

#[tokio::test]
async fn a_denied_look_names_the_permission_and_the_others_go_on() {
    let (rig, log) = (Rig::new(World::shared_role()), MemLog::default());
    rig.aws.deny("GetRole");
    let report = rig.contain(&log, &those_on_function_and_role(), OnFailure::Hold).await;
    assert_eq!(report.outcome(), Outcome::PartlyContained, "{report:?}");
    assert!(report.actions.iter().all(|a| a.error.denied == Some("iam:GetRole") && !a.refused), "{report:?}");
    assert_eq!(rig.aws.landed(), ["PutFunctionConcurrency"]);

    // A playbook that unwinds is told the same, and puts back what it did.
    let (rig, log) = (Rig::new(World::shared_role()), MemLog::default());
    rig.aws.deny("GetRole");
    let report = rig.contain(&log, &those_on_function_and_role(), OnFailure::Unwind).await;
    assert_eq!((report.outcome(), rig.aws.world()), (Outcome::Unwound, World::shared_role()), "{report:?}");
}

#[tokio::test]
async fn detaching_leaves_quarantine_policies_alone() {
    let (rig, log) = (Rig::new(World::shared_role()), MemLog::default());
    contain(&rig, &log, "quarantine-role", json!({})).await;
    let report = contain(&rig, &log, "detach-permissions", json!({})).await;
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
