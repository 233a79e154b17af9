//! What is particular to the actions on the role: whom they meet, what they spare, what they ask first.

use super::actions::contain;
use super::rig::Rig;
use crate::support::cells::{ACCOUNT, FUNCTION, Fault, GONE, ROLE, World};
use freezeframe::contain::find;
use freezeframe::engine::log::MemLog;
use freezeframe::engine::{Back, ContainReport, Stand};
use freezeframe::model::id::CellId;
use freezeframe::model::outcome::Outcome;
use serde_json::{Value, json};

/// The function alone on its role, and the neighbour's gone.
fn alone() -> World {
    let mut world = World::shared_role();
    world.functions.remove("payments-api");
    world
}

fn our_policy(rig: &Rig) -> Value {
    serde_json::from_str(&rig.aws.world().roles[ROLE].inline[&format!("freezeframe-quarantine-{FUNCTION}")]).unwrap()
}

/// Of the one cell.
fn facts(report: &ContainReport) -> &Value {
    assert_eq!(report.outcome(), Outcome::Complete, "{report:?}");
    &report.cells[0].facts
}

#[tokio::test]
async fn the_scope_follows_from_who_else_uses_the_role() {
    let admitting = |who: &str| {
        let mut world = alone();
        world.roles.get_mut(ROLE).unwrap().trust = format!(
            r#"{{"Statement":[{{"Effect":"Allow","Principal":{{"Service":["lambda.amazonaws.com","edgelambda.amazonaws.com"],"AWS":"{who}"}}}}]}}"#
        );
        world
    };
    let mut odd = alone();
    odd.roles.get_mut(ROLE).unwrap().trust = "[]".into();
    let mut distant = alone();
    distant.elsewhere[0].2 = distant.functions[FUNCTION].role.clone();
    let own_arn = format!("arn:aws:iam::{ACCOUNT}:role/team/shared-role");
    let someone = |functions: Value, admitted: Value, unknown: Value| json!({"functions_counted": functions.as_array().unwrap().len(), "functions": functions, "admitted": admitted, "unknown": unknown});
    let none = json!([]);
    for (world, with, deny, scope, users) in [
        (World::shared_role(), json!({}), None, "function", someone(json!(["payments-api"]), none.clone(), none.clone())),
        (alone(), json!({}), None, "role", someone(none.clone(), none.clone(), none.clone())),
        (alone(), json!({"scope": "auto"}), None, "role", someone(none.clone(), none.clone(), none.clone())),
        (alone(), json!({"scope": "role"}), None, "role", someone(none.clone(), none.clone(), none.clone())),
        (alone(), json!({"scope": "function"}), None, "function", Value::Null),
        (World::shared_role(), json!({"scope": "role", "accept-shared-role": true}), None, "role", json!({"accepted": true})),
        // Whom the trust policy admits besides Lambda uses the role too; itself is nobody else, and who is gone comes never again.
        (
            admitting("arn:aws:iam::999999999999:root"),
            json!({}),
            None,
            "function",
            someone(none.clone(), json!(["arn:aws:iam::999999999999:root"]), none.clone()),
        ),
        (admitting(&own_arn), json!({}), None, "role", someone(none.clone(), none.clone(), none.clone())),
        (admitting(GONE), json!({}), None, "role", someone(none.clone(), none.clone(), none.clone())),
        // Functions of another Region, where it is named.
        (distant.clone(), json!({}), None, "role", someone(none.clone(), none.clone(), none.clone())),
        (
            distant,
            json!({"regions": "eu-west-1,us-east-1"}),
            None,
            "function",
            someone(json!(["us-east-1:distant"]), none.clone(), none.clone()),
        ),
        // Not knowing who else would be hit, nobody else is.
        (odd, json!({}), None, "function", someone(none.clone(), none.clone(), json!(["its trust policy cannot be read"]))),
        (
            alone(),
            json!({}),
            Some("ListFunctions"),
            "function",
            someone(none.clone(), none.clone(), json!(["eu-west-1: listing the functions of the Region failed"])),
        ),
    ] {
        let (rig, log) = (Rig::new(world.clone()), MemLog::default());
        if let Some(operation) = deny {
            rig.aws.deny(operation);
        }
        let report = contain(&rig, &log, "quarantine-role", with.clone()).await;
        let facts = facts(&report);
        assert_eq!((&facts["scope"], &facts["users"], &facts["role_id"]), (&json!(scope), &users, &json!("AROASHARED0001")), "{with}");
        let statements = our_policy(&rig)["Statement"].as_array().unwrap().clone();
        assert!(statements.iter().all(|s| s["Effect"] == "Deny"), "{statements:?}");
        let conditions: Vec<&Value> = statements.iter().map(|s| &s["Condition"]).collect();
        match scope {
            "function" => {
                let userid = json!({"StringLike": {"aws:userid": format!("AROASHARED0001:{FUNCTION}")}});
                let arn = format!("arn:aws:lambda:eu-west-1:{ACCOUNT}:function:{FUNCTION}");
                let source = json!({"ArnLike": {"lambda:SourceFunctionArn": [arn, format!("{arn}:*")]}});
                assert_eq!(conditions, [&userid, &userid, &source, &source]);
            }
            _ => assert_eq!(conditions, [&Value::Null, &Value::Null]),
        }
        rig.restore(&log).await;
        assert_eq!(rig.aws.world(), world);
    }
}

#[tokio::test]
async fn a_role_that_others_use_wants_somebodys_word() {
    let role_wide = [
        ("quarantine-role", json!({"scope": "role"})),
        ("quarantine-role", json!({"scope": "sessions"})),
        ("revoke-sessions", json!({})),
        ("block-role-assumption", json!({})),
        ("set-permissions-boundary", json!({"boundary": "arn:aws:iam::aws:policy/AWSDenyAll"})),
        ("detach-permissions", json!({})),
    ];
    for (action, with) in role_wide {
        let (rig, log) = (Rig::new(World::shared_role()), MemLog::default());
        let report = contain(&rig, &log, action, with.clone()).await;
        assert_eq!((report.outcome(), report.cells.len()), (Outcome::Refused, 0), "{action}: {report:?}");
        let why = &report.actions[0].error.what;
        for word in ["payments-api", "shared-role", "--accept-shared-role", "accept-shared-role: true", "scope function"] {
            assert!(why.contains(word), "{action}: {why}");
        }
        assert_eq!((rig.aws.world(), rig.aws.landed().len()), (World::shared_role(), 0), "{action}");
        // Nor is it done where nobody could say who else uses it.
        rig.aws.change(|w| w.functions.remove("payments-api"));
        rig.aws.deny("ListFunctions");
        let report = contain(&rig, &log, action, with.clone()).await;
        assert_eq!(report.outcome(), Outcome::Refused, "{action}: {report:?}");
        assert!(report.actions[0].error.what.contains("could not be asked"), "{report:?}");

        let mut accepted = with;
        accepted["accept-shared-role"] = json!(true);
        let report = contain(&rig, &log, action, accepted).await;
        assert_eq!(report.outcome(), Outcome::Complete, "{action}: {report:?}");
        // And a role that nobody else uses wants no word.
        let (rig, log) = (Rig::new(alone()), MemLog::default());
        let with = if action == "set-permissions-boundary" { json!({"boundary": "arn:aws:iam::aws:policy/AWSDenyAll"}) } else { json!({}) };
        assert_eq!(contain(&rig, &log, action, with).await.outcome(), Outcome::Complete, "{action}");
    }
}

#[tokio::test]
async fn the_log_group_and_the_queue_that_are_spared_are_the_ones_named() {
    let (rig, log) = (Rig::new(World::own_role_with_reservation()), MemLog::default());
    let queue = "arn:aws:sqs:eu-west-1:123456789012:quarantine";
    contain(&rig, &log, "quarantine-role", json!({"queue": queue})).await;
    let group = "arn:aws:logs:eu-west-1:123456789012:log-group:/custom/payments";
    let policy = our_policy(&rig);
    assert_eq!(policy["Statement"][1]["NotResource"], json!([group, format!("{group}:*"), queue]));
    assert!(policy["Statement"][0]["NotAction"].as_array().unwrap().contains(&json!("sqs:SendMessage")));
}

#[tokio::test]
async fn a_deny_that_does_not_fit_is_refused_beforehand() {
    for (action, with) in [("quarantine-role", json!({})), ("revoke-sessions", json!({"accept-shared-role": true}))] {
        let (rig, log) = (Rig::new(World::shared_role()), MemLog::default());
        // White space does not count, so that much of it is no reason to refuse.
        rig.aws.change(|w| w.roles.get_mut(ROLE).unwrap().inline.insert("blank".into(), " ".repeat(20_000)));
        assert_eq!(contain(&rig, &log, action, with.clone()).await.outcome(), Outcome::Complete, "{action}");
        rig.restore(&log).await;
        rig.aws.change(|w| w.roles.get_mut(ROLE).unwrap().inline.insert("huge".into(), "x".repeat(9_900)));
        let before = rig.aws.world();
        let report = contain(&rig, &log, action, with.clone()).await;
        assert_eq!((report.outcome(), rig.aws.world()), (Outcome::Refused, before), "{action}: {report:?}");
        assert!(report.actions[0].error.what.contains("10240"), "{report:?}");
        // What is there cannot be counted: IAM will say.
        rig.aws.deny("ListRolePolicies");
        assert_eq!(contain(&rig, &log, action, with).await.outcome(), Outcome::Complete, "{action}");
    }
}

#[tokio::test]
async fn the_deny_is_tried_on_iam_before_it_is_attached() {
    for with in [json!({}), json!({"scope": "function"}), json!({"queue": "arn:aws:sqs:eu-west-1:123456789012:q"})] {
        let (rig, log) = (Rig::new(World::shared_role()), MemLog::default());
        let report = contain(&rig, &log, "quarantine-role", with).await;
        assert_eq!(facts(&report)["simulated"]["decided"]["still_allowed"], json!([]), "{report:?}");
        let tried = rig.aws.tried();
        let at = |op: &str| tried.iter().position(|t| t == op).unwrap();
        assert!(at("SimulateCustomPolicy") < at("PutRolePolicy"), "{tried:?}");
    }
    // IAM cannot be asked: the deny is put all the same, and the report says so.
    let (rig, log) = (Rig::new(World::shared_role()), MemLog::default());
    rig.aws.deny("SimulateCustomPolicy");
    let report = contain(&rig, &log, "quarantine-role", json!({})).await;
    assert!(facts(&report)["simulated"]["unknown"].as_str().unwrap().contains("asking IAM"), "{report:?}");
}

#[tokio::test]
async fn sessions_are_revoked_by_the_clock_of_aws() {
    let (rig, log) = (Rig::new(World::shared_role()), MemLog::default());
    let report = contain(&rig, &log, "revoke-sessions", json!({"accept-shared-role": true})).await;
    assert_eq!(facts(&report)["until"], "2026-11-20T12:34:56Z", "not our own noon");
    let role = &rig.aws.world().roles[ROLE];
    let document: Value = serde_json::from_str(&role.inline["freezeframe-revoked-sessions-20261120T123456Z"]).unwrap();
    for statement in document["Statement"].as_array().unwrap() {
        assert_eq!(statement["Condition"], json!({"DateLessThan": {"aws:TokenIssueTime": "2026-11-20T12:34:56Z"}}));
    }
    assert!(!rig.aws.tried().contains(&"UpdateFunctionConfiguration".to_string()), "a frozen function needs no recycling");
    assert_eq!(rig.aws.world().functions[FUNCTION].revision.0, 1);

    // Lifted, no warm environment wakes up with what was left in it.
    assert_eq!(rig.restore(&log).await.outcome(), Outcome::Complete);
    let tried = rig.aws.tried();
    let last = |op: &str| tried.iter().rposition(|t| t == op).unwrap();
    assert!(last("UpdateFunctionConfiguration") < last("DeleteRolePolicy"), "{tried:?}");
    let function = rig.aws.world().functions[FUNCTION].clone();
    assert_eq!((function.revision.0, &function), (2, &World::shared_role().functions[FUNCTION]), "nothing else has changed");
}

#[tokio::test]
async fn a_function_that_goes_on_is_recycled_at_once_and_the_report_says_when_it_was_not() {
    let with = json!({"accept-shared-role": true, "recycle": "on"});
    let (rig, log) = (Rig::new(World::shared_role()), MemLog::default());
    assert_eq!(contain(&rig, &log, "revoke-sessions", with.clone()).await.outcome(), Outcome::Complete);
    assert_eq!(rig.aws.world().functions[FUNCTION].revision.0, 2);

    // The second write of the two: the deny stands, the recycling failed or was only said to have failed.
    for fault in Fault::FAILING {
        let (rig, log) = (Rig::new(World::shared_role()), MemLog::default());
        rig.aws.fault(Some((2, fault)));
        let report = contain(&rig, &log, "revoke-sessions", with.clone()).await;
        assert_eq!(report.cells[0].stand, Stand::Contained, "{fault:?}: {report:?}");
        assert_eq!(report.cells[0].error.is_none(), fault.lands(), "{fault:?}: {report:?}");
        if !fault.lands() {
            assert!(report.cells[0].error.as_ref().unwrap().what.contains("recycling"), "{report:?}");
        }
        assert_eq!(rig.restore(&log).await.outcome(), Outcome::Complete, "{fault:?}");
        assert_eq!(rig.aws.world(), World::shared_role(), "{fault:?}");
    }
}

#[tokio::test]
async fn the_deny_is_not_lifted_before_environments_are_recycled() {
    for fault in Fault::FAILING {
        let (rig, log) = (Rig::new(World::shared_role()), MemLog::default());
        contain(&rig, &log, "revoke-sessions", json!({"accept-shared-role": true})).await;
        rig.aws.fault(Some((1, fault)));
        let report = rig.restore(&log).await;
        let lifted = rig.aws.landed().contains(&"DeleteRolePolicy".to_string());
        assert_eq!((lifted, report.outcome() == Outcome::Complete), (fault.lands(), fault.lands()), "{fault:?}: {report:?}");
        assert_eq!(rig.restore(&log).await.outcome(), Outcome::Complete, "{fault:?}");
    }
    // A function that is gone has no environments.
    let (rig, log) = (Rig::new(World::shared_role()), MemLog::default());
    contain(&rig, &log, "revoke-sessions", json!({"accept-shared-role": true})).await;
    rig.aws.change(|w| w.functions.remove(FUNCTION));
    assert_eq!(rig.restore(&log).await.outcome(), Outcome::Complete);
}

#[tokio::test]
async fn identities_that_are_gone_cost_an_exact_restore_and_nobodys_admission() {
    let mut world = alone();
    let keep = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"Service":"lambda.amazonaws.com","AWS":["{GONE}","arn:aws:iam::999999999999:role/x"]}},"Action":"sts:AssumeRole"}}]}}"#
    );
    world.roles.get_mut(ROLE).unwrap().trust = keep.clone();
    let (rig, log) = (Rig::new(world), MemLog::default());
    let report = contain(&rig, &log, "block-role-assumption", json!({"accept-shared-role": true})).await;
    assert_eq!(report.outcome(), Outcome::Complete, "{report:?}");
    let restorable = serde_json::to_value(report.cells[0].restorable.as_ref().unwrap()).unwrap();
    assert!(restorable["why"].as_str().unwrap().contains("AROA"), "{restorable}");
    assert!(rig.aws.world().roles[ROLE].trust.contains("IRBlockAssumption"));
    assert_eq!(rig.restore(&log).await.outcome(), Outcome::Complete);
    let after = rig.aws.world().roles[ROLE].trust.clone();
    assert!(!after.contains(GONE) && after.contains("role/x") && !after.contains("IRBlock"), "{after}");
}

#[tokio::test]
async fn iam_may_say_a_trust_policy_in_other_words() {
    let (rig, log) = (Rig::new(World::shared_role()), MemLog::default());
    contain(&rig, &log, "block-role-assumption", json!({"accept-shared-role": true})).await;
    rig.aws.change(|w| {
        let role = w.roles.get_mut(ROLE).unwrap();
        let document: Value = serde_json::from_str(&role.trust).unwrap();
        role.trust = serde_json::to_string_pretty(&document).unwrap();
    });
    // As we left it, in other words: not drift, and it goes back byte for byte.
    assert_eq!(rig.restore(&log).await.outcome(), Outcome::Complete);
    assert_eq!(rig.aws.world(), World::shared_role());
}

#[tokio::test]
async fn a_boundary_must_be_named_and_a_former_one_comes_back() {
    let (rig, log) = (Rig::new(World::own_role_with_reservation()), MemLog::default());
    for with in [json!({}), json!({"boundary": "none"}), json!({"boundary": "arn:aws:iam::123456789012:role/x"})] {
        let report = contain(&rig, &log, "set-permissions-boundary", with).await;
        assert_eq!(report.outcome(), Outcome::Refused, "{report:?}");
        assert!(report.actions[0].error.what.contains("AWSDenyAll"), "{report:?}");
    }
    let deny = "arn:aws:iam::aws:policy/AWSDenyAll";
    contain(&rig, &log, "set-permissions-boundary", json!({"boundary": deny})).await;
    assert_eq!(rig.aws.world().roles[ROLE].boundary.as_deref(), Some(deny));
    rig.restore(&log).await;
    assert_eq!(rig.aws.world(), World::own_role_with_reservation());
}

#[tokio::test]
async fn a_second_case_holds_what_is_detached_already() {
    use super::rig::{Beside, never};
    use freezeframe::engine::OnFailure;
    let (rig, first, second) = (Rig::new(World::shared_role()), MemLog::default(), MemLog::default());
    let actions = vec![find("detach-permissions").unwrap()];
    let cells: Vec<CellId> = rig.contain(&first, &actions, OnFailure::Hold).await.cells.into_iter().map(|c| c.cell).collect();
    assert_eq!(cells.len(), 4);
    let report = rig.contain_beside(&second, &actions, OnFailure::Hold, &never, &Beside("first", &first)).await;
    assert_eq!(report.cells.iter().map(|c| c.stand).collect::<Vec<_>>(), [Stand::AlreadyContained; 4], "{report:?}");
    let ask = freezeframe::engine::RestoreAsk { actions: freezeframe::contain::ACTIONS, ..Default::default() };
    let report = rig.with(&first, &never, &Beside("second", &second), async |s| s.restore(&ask).await).await;
    assert!(report.cells.iter().all(|c| c.back == Back::HeldElsewhere { case: "second".into() }), "{report:?}");
}

/// Whatever goes wrong with a write, what the report says of the cell is how the cell is.
#[tokio::test]
async fn the_report_says_the_truth_whatever_the_wire_does() {
    for (name, world, actions) in super::rig::scenarios() {
        if actions.len() > 1 {
            continue;
        }
        let clean = {
            let (rig, log) = (Rig::new(world.clone()), MemLog::default());
            rig.contain(&log, &actions, freezeframe::engine::OnFailure::Hold).await
        };
        for (n, fault) in (1..=clean.cells.len()).flat_map(|n| Fault::FAILING.map(|f| (n, f))) {
            let at = format!("{name}, {fault:?} at write {n}");
            let (rig, log) = (Rig::new(world.clone()), MemLog::default());
            rig.aws.fault(Some((n, fault)));
            let report = rig.contain(&log, &actions, freezeframe::engine::OnFailure::Hold).await;
            let hit: Vec<_> = report.cells.iter().filter(|c| c.error.is_some()).collect();
            let [hit] = hit.as_slice() else { panic!("{at}: {report:?}") };
            assert_eq!(hit.stand, if fault.lands() { Stand::Contained } else { Stand::NotHolding }, "{at}: {report:?}");
            let error = hit.error.as_ref().unwrap();
            let said = match fault {
                Fault::Error | Fault::ErrorAfterLanding => "told to fail",
                Fault::Timeout | Fault::TimeoutAfterLanding => "told not to answer",
                Fault::Cut | Fault::CutAfterLanding => "told to break off",
                Fault::Throttled => "told to throttle",
                _ => "not authorized",
            };
            assert!(error.what.contains(said), "{at}: {error:?}");
            assert_eq!(error.denied.is_some(), fault == Fault::Denied, "{at}: {error:?}");
            // The world says the same: another look finds what the report said.
            rig.aws.fault(None);
            let again = rig.contain(&log, &actions, freezeframe::engine::OnFailure::Hold).await;
            let stand = again.cells.iter().find(|c| c.cell == hit.cell).map(|c| c.stand);
            assert_eq!(stand, Some(if fault.lands() { Stand::AlreadyContained } else { Stand::Contained }), "{at}: {again:?}");
        }
    }
}
