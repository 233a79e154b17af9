//! A published version keeps the role that it was published with: of the target's function each such role is contained, and of other functions each
//! counts as a user.

use super::actions::contain;
use super::rig::{Beside, Rig, never, nobody, permit};
use crate::support::cells::{ACCOUNT, FUNCTION, ROLE, World, target};
use freezeframe::contain::find;
use freezeframe::engine::log::MemLog;
use freezeframe::engine::{Accept, ContainReport, OnFailure, RestoreAsk, Stand, Step};
use freezeframe::model::outcome::Outcome;
use freezeframe::model::params::Params;
use freezeframe::model::target::Target;
use serde_json::{Value, json};

const FORMER: &str = "lone-role";
const DENY_ALL: &str = "arn:aws:iam::aws:policy/AWSDenyAll";

fn former() -> String {
    format!("arn:aws:iam::{ACCOUNT}:role/{FORMER}")
}

/// Version 1 runs under a role of before, and nobody else uses either.
fn world() -> World {
    let mut world = World::shared_role();
    world.functions.retain(|name, _| name == FUNCTION);
    world.functions.get_mut(FUNCTION).unwrap().surface.roles.insert("1".into(), former());
    world
}

fn roles_of(report: &ContainReport) -> Vec<&str> {
    let mut roles: Vec<&str> = report.cells.iter().map(|c| c.facts["role"].as_str().unwrap()).collect();
    roles.dedup();
    roles
}

#[tokio::test]
async fn every_role_that_a_version_runs_under_is_contained() {
    for (action, with) in [
        ("quarantine-role", json!({})),
        ("quarantine-role", json!({"scope": "function"})),
        ("revoke-sessions", json!({})),
        ("block-role-assumption", json!({})),
        ("set-permissions-boundary", json!({"boundary": DENY_ALL})),
        ("detach-permissions", json!({})),
    ] {
        let (rig, log) = (Rig::new(world()), MemLog::default());
        let report = contain(&rig, &log, action, with).await;
        assert_eq!((report.outcome(), roles_of(&report)), (Outcome::Complete, vec![ROLE, FORMER]), "{action}: {report:?}");
        let (now, before) = (rig.aws.world(), world());
        assert!([ROLE, FORMER].iter().all(|r| now.roles[*r] != before.roles[*r]), "{action}");
        let of_former = report.cells.iter().find(|c| c.facts["role"] == FORMER).unwrap();
        assert_eq!(of_former.facts["versions"], json!(["1"]), "{action}");
        assert!(of_former.label.contains(FORMER), "{action}: {}", of_former.label);
        assert_eq!(rig.restore(&log).await.outcome(), Outcome::Complete, "{action}");
        assert_eq!(rig.aws.world(), before, "{action}");
    }
}

/// The deny on the role of before names that role's own sessions.
#[tokio::test]
async fn each_deny_is_of_its_own_role() {
    let (rig, log) = (Rig::new(world()), MemLog::default());
    contain(&rig, &log, "quarantine-role", json!({"scope": "function"})).await;
    for (role, id) in [(ROLE, "AROASHARED0001"), (FORMER, "AROALONE0001")] {
        let text = &rig.aws.world().roles[role].inline[&format!("freezeframe-quarantine-{FUNCTION}")];
        assert!(text.contains(&format!("{id}:{FUNCTION}")), "{role}: {text}");
    }
}

#[tokio::test]
async fn a_role_that_others_use_keeps_no_other_from_being_contained() {
    let mut shared = world();
    shared.functions.extend(World::shared_role().functions.into_iter().filter(|(name, _)| name == "zeta"));
    for (action, with) in [("set-permissions-boundary", json!({"boundary": DENY_ALL})), ("quarantine-role", json!({"scope": "role"}))] {
        let (rig, log) = (Rig::new(shared.clone()), MemLog::default());
        let report = contain(&rig, &log, action, with).await;
        assert_eq!((report.outcome(), roles_of(&report)), (Outcome::PartlyContained, vec![ROLE]), "{action}: {report:?}");
        let [left] = report.actions.as_slice() else { panic!("{report:?}") };
        assert!(left.refused && left.error.what.contains(FORMER) && left.error.what.contains("zeta"), "{left:?}");
    }
    // Where the scope follows from the users, it does so role by role.
    let (rig, log) = (Rig::new(shared), MemLog::default());
    let report = contain(&rig, &log, "quarantine-role", json!({})).await;
    let scopes: Vec<&Value> = report.cells.iter().map(|c| &c.facts["scope"]).collect();
    assert_eq!((report.outcome(), scopes), (Outcome::Complete, vec![&json!("role"), &json!("function")]), "{report:?}");
}

async fn contain_at(rig: &Rig, log: &MemLog, target: &Target) -> ContainReport {
    let params = Params::default();
    let steps = [Step { action: find("quarantine-role").unwrap(), params: &params, accept: Accept::ExactOnly }];
    rig.with(log, &never, &nobody, async |s| s.contain(&steps, target, &permit(), OnFailure::Hold, false).await).await
}

#[tokio::test]
async fn versions_that_cannot_be_listed_leave_the_run_incomplete() {
    let mut world = world();
    world.functions.get_mut(FUNCTION).unwrap().surface.roles.insert("live".into(), former());
    for (qualifier, roles) in [(None, vec![ROLE]), (Some("live"), vec![ROLE, FORMER])] {
        let (rig, log) = (Rig::new(world.clone()), MemLog::default());
        rig.aws.deny("ListVersionsByFunction");
        let report = contain_at(&rig, &log, &Target { qualifier: qualifier.map(str::to_string), ..target() }).await;
        assert_eq!((report.outcome(), roles_of(&report)), (Outcome::PartlyContained, roles), "{report:?}");
        assert!(report.cells.iter().all(|c| c.stand == Stand::Contained), "what could be found is contained: {report:?}");
        assert_eq!(report.actions[0].error.denied, Some("lambda:ListVersionsByFunction"), "{report:?}");
    }
}

#[tokio::test]
async fn a_qualifier_that_is_gone_keeps_latest_from_nothing() {
    let (rig, log) = (Rig::new(world()), MemLog::default());
    rig.aws.deny("ListVersionsByFunction");
    let report = contain_at(&rig, &log, &Target { qualifier: Some("deleted".into()), ..target() }).await;
    assert_eq!((report.outcome(), roles_of(&report)), (Outcome::PartlyContained, vec![ROLE]), "{report:?}");
    assert_eq!(report.cells[0].stand, Stand::Contained, "{report:?}");
    let missing: Vec<&str> = report.actions.iter().map(|a| a.error.what.as_str()).collect();
    assert!(missing.len() == 2 && missing.iter().any(|w| w.contains(&format!("{FUNCTION}:deleted"))), "{missing:?}");
    assert!(report.actions.iter().any(|a| a.error.denied == Some("lambda:ListVersionsByFunction")), "{report:?}");

    // Where neither can be read, nothing is known to contain.
    let (rig, log) = (Rig::new(world()), MemLog::default());
    rig.aws.deny("ListVersionsByFunction");
    rig.aws.deny("GetFunctionConfiguration");
    let report = contain_at(&rig, &log, &Target { qualifier: Some("deleted".into()), ..target() }).await;
    assert!(report.cells.is_empty() && report.outcome() != Outcome::Complete, "{report:?}");
    assert_eq!(report.actions[0].error.denied, Some("lambda:GetFunctionConfiguration"), "{report:?}");
}

#[tokio::test]
async fn a_former_role_that_is_gone_is_told_and_one_that_cannot_be_read_is_missing() {
    let (rig, log) = (Rig::new(world()), MemLog::default());
    rig.aws.change(|w| w.roles.remove(FORMER));
    let report = contain(&rig, &log, "quarantine-role", json!({})).await;
    assert_eq!((report.outcome(), roles_of(&report)), (Outcome::Complete, vec![ROLE]), "{report:?}");
    assert!(report.remarks.iter().any(|r| r.words.contains("lone-role of version 1 is gone")), "{report:?}");

    let (rig, log) = (Rig::new(world()), MemLog::default());
    rig.aws.change(|w| w.roles.get_mut(FORMER).unwrap().path = "/aws-service-role/x.amazonaws.com/".into());
    let report = contain(&rig, &log, "quarantine-role", json!({})).await;
    assert_eq!((report.outcome(), roles_of(&report)), (Outcome::PartlyContained, vec![ROLE]), "{report:?}");
    assert!(report.actions[0].error.what.contains("service-linked"), "{report:?}");
}

// ── others ──

#[tokio::test]
async fn a_function_whose_older_version_runs_under_the_role_uses_it() {
    let mut world = World::shared_role();
    world.functions.remove("payments-api");
    let shared = world.functions[FUNCTION].role.clone();
    let zeta = &mut world.functions.get_mut("zeta").unwrap().surface;
    for version in ["3", "4"] {
        zeta.versions.insert(version.into(), false);
        zeta.roles.insert(version.into(), shared.clone());
    }
    let (rig, log) = (Rig::new(world.clone()), MemLog::default());
    let report = contain(&rig, &log, "quarantine-role", json!({})).await;
    assert_eq!((&report.cells[0].facts["scope"], &report.cells[0].facts["users"]["functions"]), (&json!("function"), &json!(["zeta"])));
    assert_eq!(report.cells[0].facts["users"]["functions_counted"], 1, "one function, however many of its versions");
    for (action, with) in [
        ("quarantine-role", json!({"scope": "role"})),
        ("block-role-assumption", json!({})),
        ("set-permissions-boundary", json!({"boundary": DENY_ALL})),
        ("detach-permissions", json!({})),
    ] {
        let (rig, log) = (Rig::new(world.clone()), MemLog::default());
        let report = contain(&rig, &log, action, with).await;
        assert_eq!((report.outcome(), rig.aws.landed().len()), (Outcome::Refused, 0), "{action}: {report:?}");
        assert!(report.actions[0].error.what.contains("zeta"), "{action}: {report:?}");
    }
}

#[tokio::test]
async fn where_nobody_was_looked_for_is_said_before_everybody_is_met() {
    let said = async |world: World, with: Value| {
        let (rig, log) = (Rig::new(world), MemLog::default());
        let report = contain(&rig, &log, "quarantine-role", with).await;
        report.remarks.into_iter().map(|r| r.words).filter(|w| w.contains("nobody else was found")).collect::<Vec<_>>()
    };
    let mut alone = World::shared_role();
    alone.functions.remove("payments-api");
    for with in [json!({}), json!({"scope": "role"})] {
        let [words] = said(alone.clone(), with).await.try_into().unwrap();
        assert!(words.contains("in eu-west-1 alone") && words.contains("regions: all"), "{words}");
    }
    let [words] = said(alone.clone(), json!({"regions": "eu-west-1,us-east-1"})).await.try_into().unwrap();
    assert!(words.contains("in eu-west-1, us-east-1 alone"), "{words}");
    assert_eq!(said(alone, json!({"scope": "function"})).await.len() + said(World::shared_role(), json!({})).await.len(), 0);
}

// ── one deny after another ──

#[tokio::test]
async fn a_deny_of_everybody_is_not_narrowed_by_a_later_one() {
    let policy = format!("freezeframe-quarantine-{FUNCTION}");
    let text = |rig: &Rig| rig.aws.world().roles[ROLE].inline[&policy].clone();
    let whole = json!({"scope": "role", "accept-shared-role": true});
    for with in [json!({}), json!({"scope": "function"}), json!({"scope": "sessions", "accept-shared-role": true})] {
        let (rig, first, second) = (Rig::new(World::shared_role()), MemLog::default(), MemLog::default());
        contain(&rig, &first, "quarantine-role", whole.clone()).await;
        let before = text(&rig);
        assert!(!before.contains("Condition"));
        let params: Params = serde_json::from_value(with.clone()).unwrap();
        let steps = [Step { action: find("quarantine-role").unwrap(), params: &params, accept: Accept::ExactOnly }];
        let beside = Beside("first", &first);
        let act = async |s: freezeframe::engine::Saga<'_>| s.contain(&steps, &target(), &permit(), OnFailure::Hold, false).await;
        let report = rig.with(&second, &never, &beside, act).await;
        assert_eq!((report.cells[0].stand, text(&rig)), (Stand::AlreadyContained, before.clone()), "{with}: {report:?}");

        // With a queue to spare it is written, and still meets everybody.
        let mut queue = with.clone();
        queue["queue"] = json!("arn:aws:sqs:eu-west-1:123456789012:q");
        let report = contain(&rig, &second, "quarantine-role", queue).await;
        assert_eq!(report.outcome(), Outcome::Complete, "{with}: {report:?}");
        assert!(!text(&rig).contains("Condition") && text(&rig).contains("sqs:SendMessage"), "{with}: {}", text(&rig));
    }
}

/// Of the statements under our name on the role: their ids, and the keys that their conditions look at.
fn denied(rig: &Rig) -> Vec<(String, Vec<String>)> {
    let text = &rig.aws.world().roles[ROLE].inline[&format!("freezeframe-quarantine-{FUNCTION}")];
    let document: Value = serde_json::from_str(text).unwrap();
    let keys = |condition: &Value| condition.as_object().unwrap().values().flat_map(|o| o.as_object().unwrap().keys().cloned()).collect();
    let all = document["Statement"].as_array().unwrap();
    assert!(all.iter().all(|s| s["Effect"] == "Deny"), "{all:?}");
    all.iter().map(|s| (s["Sid"].as_str().unwrap().to_string(), keys(&s["Condition"]))).collect()
}

async fn contain_beside(rig: &Rig, log: &MemLog, other: &MemLog, with: &Value) -> ContainReport {
    let params: Params = serde_json::from_value(with.clone()).unwrap();
    let steps = [Step { action: find("quarantine-role").unwrap(), params: &params, accept: Accept::ExactOnly }];
    let act = async |s: freezeframe::engine::Saga<'_>| s.contain(&steps, &target(), &permit(), OnFailure::Hold, false).await;
    rig.with(log, &never, &Beside("other", other), act).await
}

#[tokio::test]
async fn denies_of_the_function_and_of_old_sessions_stand_together_and_go_one_by_one() {
    let sessions = json!({"scope": "sessions", "accept-shared-role": true});
    let ask = RestoreAsk { actions: freezeframe::contain::ACTIONS, ..RestoreAsk::default() };
    let both: Vec<(String, Vec<String>)> = [
        ("IRQuarantine", "aws:userid"),
        ("IRQuarantineLogs", "aws:userid"),
        ("IRQuarantineSource", "lambda:SourceFunctionArn"),
        ("IRQuarantineLogsSource", "lambda:SourceFunctionArn"),
        ("IRQuarantineSessions", "aws:TokenIssueTime"),
        ("IRQuarantineLogsSessions", "aws:TokenIssueTime"),
    ]
    .map(|(id, key)| (id.to_string(), vec![key.to_string()]))
    .into();
    for (first, second) in [(sessions.clone(), json!({})), (sessions.clone(), json!({"scope": "function"})), (json!({}), sessions.clone())]
    {
        for turns in [[0, 1, 0, 1], [1, 0, 1, 0]] {
            let at = format!("{first}, then {second}, back in turns {turns:?}");
            let (rig, logs) = (Rig::new(World::shared_role()), [MemLog::default(), MemLog::default()]);
            for (n, with) in [&first, &second].into_iter().enumerate() {
                let report = contain_beside(&rig, &logs[n], &logs[1 - n], with).await;
                assert_eq!((report.outcome(), report.cells[0].stand), (Outcome::Complete, Stand::Contained), "{at}: {report:?}");
            }
            assert_eq!(denied(&rig), both, "{at}");
            let again = contain_beside(&rig, &logs[1], &logs[0], &second).await;
            assert_eq!(again.cells[0].stand, Stand::AlreadyContained, "{at}: {again:?}");

            let mut outcomes = vec![];
            for n in turns {
                outcomes.push(rig.with(&logs[n], &never, &Beside("other", &logs[1 - n]), async |s| s.restore(&ask).await).await.outcome());
            }
            assert_eq!(outcomes[2..], [Outcome::Complete; 2], "{at}: {outcomes:?}");
            assert_eq!(rig.aws.world(), World::shared_role(), "{at}");
        }
        // In one case, and what everybody is denied over both.
        let (rig, log) = (Rig::new(World::shared_role()), MemLog::default());
        for with in [&first, &second] {
            assert_eq!(contain(&rig, &log, "quarantine-role", with.clone()).await.outcome(), Outcome::Complete);
        }
        assert_eq!(denied(&rig), both);
        let whole = json!({"scope": "role", "accept-shared-role": true});
        assert_eq!(contain(&rig, &log, "quarantine-role", whole).await.cells[0].stand, Stand::Contained);
        assert!(!rig.aws.world().roles[ROLE].inline[&format!("freezeframe-quarantine-{FUNCTION}")].contains("Condition"));
        assert_eq!(rig.restore(&log).await.outcome(), Outcome::Complete);
        assert_eq!(rig.aws.world(), World::shared_role());
    }
}

#[tokio::test]
async fn two_denies_that_do_not_fit_together_are_refused_beforehand() {
    let (rig, log) = (Rig::new(World::shared_role()), MemLog::default());
    contain(&rig, &log, "quarantine-role", json!({"scope": "sessions", "accept-shared-role": true})).await;
    let text = |rig: &Rig| rig.aws.world().roles[ROLE].inline[&format!("freezeframe-quarantine-{FUNCTION}")].clone();
    let sessions = text(&rig).len();
    // Room for either of them, and not for both.
    let alone = {
        let (rig, log) = (Rig::new(World::shared_role()), MemLog::default());
        contain(&rig, &log, "quarantine-role", json!({"scope": "function"})).await;
        text(&rig).len()
    };
    let theirs: usize = rig.aws.world().roles[ROLE].inline.values().map(String::len).sum::<usize>() - sessions;
    rig.aws.change(|w| w.roles.get_mut(ROLE).unwrap().inline.insert("huge".into(), "x".repeat(10_240 - theirs - alone - 100)));
    let before = rig.aws.world();
    let report = contain(&rig, &log, "quarantine-role", json!({"scope": "function"})).await;
    assert_eq!((report.outcome(), rig.aws.world()), (Outcome::Refused, before), "{report:?}");
    assert!(
        report.actions[0].error.what.contains("10240") && report.actions[0].error.what.contains("set-permissions-boundary"),
        "{report:?}"
    );
}
