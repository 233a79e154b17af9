//! Credentials, where versions run under several roles: each role is judged by its own deny, and one without any is a gap and no blindfold.

use super::{Watched, event, quiet, versions, watched_with};
use crate::support::wire::{Answer, World};
use freezeframe::engine::watch::About;
use freezeframe::model::journal_event::Holding;
use freezeframe::model::outcome::Outcome;
use serde_json::{Value, json};

const LATEST: &str = "payments-role";
const FORMER: &str = "former";

fn cell(role: &str) -> String {
    format!("quarantine-role/{role}/freezeframe-quarantine-payments-export")
}

/// Used by whoever holds the function's credentials of this role, long after the deny.
fn used(role: &str) -> Answer {
    let mut event = event("a", 400, "PutObject", "payments-export", "Boto3", None);
    let text = event["CloudTrailEvent"].as_str().unwrap().replace("assumed-role/r/", &format!("assumed-role/{role}/"));
    event["CloudTrailEvent"] = text.into();
    Answer::json(&json!({"Events": [event]}))
}

/// The deny as IAM has it.
fn deny() -> Answer {
    let body = "<GetRolePolicyResponse><GetRolePolicyResult><RoleName>x</RoleName><PolicyName>p</PolicyName><PolicyDocument>{\"Effect\":\"Deny\"}</PolicyDocument></GetRolePolicyResult></GetRolePolicyResponse>";
    Answer::new(200, "text/xml", body)
}

fn unused() -> Answer {
    Answer::json(&json!({"Events": []}))
}

/// Version 1 runs under the former role, which is there and not denied; `$LATEST`'s is denied.
fn world(events: Answer) -> World {
    let two = versions(json!({"Role": format!("arn:aws:iam::123456789012:role/{FORMER}")}));
    let world = quiet().on("Lambda.ListVersionsByFunction", [two]).on("CloudTrail.LookupEvents", [events]);
    of_former(world.on("IAM.GetRolePolicy", [deny()]), "IAM.GetRolePolicy", 404, "NoSuchEntity")
}

fn of_former(world: World, key: &str, status: u16, code: &str) -> World {
    world.when(key, |s| s.says(FORMER), [Answer::error(key, status, code)])
}

/// For ten minutes, by a case that denies these roles.
async fn watched(world: World, denied: &[&str]) -> Watched {
    let cells: Vec<String> = denied.iter().map(|role| cell(role)).collect();
    let written: Vec<(&str, Value)> = cells.iter().map(|cell| (cell.as_str(), "{\"Effect\":\"Deny\"}".into())).collect();
    watched_with(world, Some(600), false, &written).await
}

#[tokio::test]
async fn a_role_that_is_gone_blinds_nobody_to_the_use_of_another() {
    let gone = |events| of_former(world(events), "IAM.GetRole", 404, "NoSuchEntity");
    let w = watched(gone(unused()), &[LATEST]).await;
    assert_eq!((w.report.outcome, w.record().holding), (Outcome::Complete, Holding::Holds), "{:#?}", w.report);
    assert!(!w.told.iter().any(|t| t.contains("credentials go on")), "{:?}", w.told);
    assert_eq!(w.sent.iter().filter(|s| s.key == "IAM.GetRole" && s.says(FORMER)).count(), 1, "once is enough");

    // The one that is gone should be able to do nothing either.
    for role in [LATEST, FORMER] {
        let w = watched(gone(used(role)), &[LATEST]).await;
        assert_eq!((w.report.outcome, w.record().holding), (Outcome::Stuck, Holding::DoesNotHold), "{role}: {:#?}", w.report);
        let words = format!("the function's credentials were used at 2026-11-20T12:06:40Z under the role {role}, and not refused");
        assert_eq!(w.record().why, [words]);
    }
}

#[tokio::test]
async fn a_role_that_is_left_alone_keeps_it_open_and_is_named() {
    let w = watched(world(unused()), &[LATEST]).await;
    assert_eq!((w.report.outcome, w.record().holding), (Outcome::Gaps, Holding::CouldNotTell), "{:#?}", w.report);
    let words = "nothing that this case holds denies the role former of version 1: its credentials go on";
    assert_eq!(w.record().why, [words]);
    let told = w.report.changes.iter().filter(|c| c.about == About::Verdict && c.words.ends_with(words) && !c.words.contains("could not"));
    assert_eq!(told.count(), 1, "told once: {:?}", w.told);
    assert!(w.sent.iter().any(|s| s.key == "CloudTrail.LookupEvents" && s.says("\"former\"")), "both roles are looked up");

    // What it is used for was not promised away; the use of the other one was.
    let w = watched(world(used(FORMER)), &[LATEST]).await;
    assert_eq!(w.record().holding, Holding::CouldNotTell, "{:#?}", w.report);
    assert_eq!(w.record().why, [format!("{words}; they were used at 2026-11-20T12:06:40Z")]);
    let w = watched(world(used(LATEST)), &[LATEST]).await;
    assert_eq!(w.record().holding, Holding::DoesNotHold, "{:#?}", w.report);

    // Whether it is there cannot be read.
    let denied = of_former(world(unused()), "IAM.GetRole", 403, "AccessDenied");
    let w = watched(denied, &[LATEST]).await;
    assert_eq!(w.record().holding, Holding::CouldNotTell, "{:#?}", w.report);
    let [why] = w.record().why.as_slice() else { panic!("{:?}", w.record()) };
    assert!(why.contains("whether it still exists could not be read") && why.contains("allow iam:GetRole)"), "{why}");
}

#[tokio::test]
async fn roles_that_are_all_denied_should_be_used_for_nothing() {
    let denied = |events| world(events).on("IAM.GetRolePolicy", [deny()]);
    let w = watched(denied(unused()), &[LATEST, FORMER]).await;
    assert_eq!(w.record().holding, Holding::Holds, "{:#?}", w.report);
    for role in [LATEST, FORMER, "another"] {
        let w = watched(denied(used(role)), &[LATEST, FORMER]).await;
        assert!(!w.says(About::Verdict, "denies the role"), "{:?}", w.told);
        assert_eq!((w.report.outcome, w.record().holding), (Outcome::Stuck, Holding::DoesNotHold), "{role}: {:#?}", w.report);
    }
}

/// Versions that nobody can list may run under any role.
#[tokio::test]
async fn roles_that_nobody_could_list_take_nothing_from_those_that_are_denied() {
    let unlisted = |events| {
        let key = "Lambda.ListVersionsByFunction";
        world(events).on(key, [Answer::error(key, 403, "AccessDeniedException")])
    };
    for events in [unused(), used(FORMER)] {
        let w = watched(unlisted(events), &[LATEST]).await;
        assert_eq!(w.record().holding, Holding::CouldNotTell, "{:#?}", w.report);
        assert!(w.record().why.iter().any(|y| y.contains("under which roles")), "{:?}", w.record());
    }
    assert_eq!(watched(unlisted(used(LATEST)), &[LATEST]).await.record().holding, Holding::DoesNotHold);
}
