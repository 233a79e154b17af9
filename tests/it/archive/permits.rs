//! What the plan's policies grant for the archive: every action is real, on what IAM knows for it and on nothing wider, never a delete; and with
//! exactly these a responder archives.

use super::vault::VAULT;
use crate::support::emulator::{Stage, ok};
use freezeframe::archive::{Asked, Place};
use freezeframe::aws::archive_client::{ARCHIVE_CALLS, KMS_ACTIONS};
use freezeframe::drill::incident::names::FUNCTION;
use freezeframe::drill::incident::operator;
use freezeframe::model::call::Access;
use freezeframe::model::lock::{Lock, LockMode, Retention, Span, parse_until};
use freezeframe::model::target::Target;
use freezeframe::plan::{Effect, Known, Plan};
use freezeframe::playbook;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const KEY: &str = "arn:aws:kms:eu-west-1:123456789012:key/1111-2222";

fn plan(playbook: &str) -> Plan {
    let target = Target {
        partition: "aws".into(),
        account: "123456789012".into(),
        region: "eu-west-1".into(),
        function: "f".into(),
        qualifier: None,
    };
    Plan::make(&playbook::load(playbook).unwrap().0, &target, &Known::default())
}

fn everything() -> Asked {
    let retention = Some(Retention { mode: LockMode::Compliance, until: parse_until("2033-11-20").unwrap() });
    Asked { lock: Lock { retention, legal_hold: true, event_hold: Some(Span::Years(7)) }, kms_key: Some(KEY.into()) }
}

/// Action → resources, of what is allowed in the archive's statements of either identity.
fn granted(plan: &Plan) -> [BTreeMap<String, Vec<String>>; 2] {
    let permissions = &plan.permissions;
    [&permissions.reader, &permissions.container].map(|documents| {
        let statements = documents.iter().flat_map(|d| &d.statement);
        let ours = statements.filter(|s| s.effect == Effect::Allow && s.sid.starts_with("Archive"));
        ours.flat_map(|s| s.action.iter().map(|a| (a.clone(), s.resource.clone()))).collect()
    })
}

#[test]
fn every_action_is_real_and_on_the_bucket_or_below_the_prefix_alone() {
    let list = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/iam-actions.txt")).unwrap();
    let known: BTreeMap<&str, (&str, &str)> = list
        .lines()
        .filter(|l| !l.starts_with('#'))
        .filter_map(|l| l.split_once(' ').and_then(|(action, rest)| Some((action, rest.split_once(' ')?))))
        .collect();
    for call in ARCHIVE_CALLS {
        let action = call.action.unwrap();
        let (level, _) = known.get(action).unwrap_or_else(|| panic!("there is no {action}"));
        assert_eq!(call.access == Access::Read, ["Read", "List"].contains(level), "{action} is {level}");
    }
    let place = Place::parse("s3://evidence-vault/prod").unwrap();
    for name in ["contain-fully", "snapshot-and-contain", "snapshot-only"] {
        let before = plan(name);
        let made = plan(name).archived_at(&place, &everything());
        let [reader, container] = granted(&made);
        assert_eq!(before.permissions.container.is_empty(), container.is_empty(), "{name}");
        for all in [reader, container].into_iter().filter(|all| !all.is_empty()) {
            let wanted: BTreeSet<&str> = ARCHIVE_CALLS.iter().filter_map(|c| c.action).chain(KMS_ACTIONS.iter().copied()).collect();
            assert_eq!(all.keys().map(String::as_str).collect::<BTreeSet<_>>(), wanted, "{name}");
            for (action, on) in &all {
                let (_, types) = known[action.as_str()];
                let expected = match types.split(',').map(|t| t.trim_end_matches('*')).find(|t| ["bucket", "object", "key"].contains(t)) {
                    Some("bucket") => "arn:aws:s3:::evidence-vault",
                    Some("object") => "arn:aws:s3:::evidence-vault/prod/*",
                    Some("key") => KEY,
                    other => panic!("{action}: {other:?}"),
                };
                assert_eq!(on, &[expected], "{action}");
                assert!(!["Delete", "Bypass", "PutBucket", "*"].iter().any(|w| action.contains(w)), "{action}");
            }
        }
    }
    // No more than is asked: without a lock none may be set; and a key without an ARN is told, not guessed.
    let made = plan("snapshot-only").archived_at(&place, &Asked { kms_key: Some("alias/vault".into()), ..Asked::default() });
    let [reader, _] = granted(&made);
    assert!(!reader.keys().any(|a| a.starts_with("s3:PutObject") && a != "s3:PutObject" || a.starts_with("kms:")), "{reader:#?}");
    assert!(made.permissions.notes.iter().any(|n| n.contains("is not named by its ARN")), "{:?}", made.permissions.notes);
    let bare = plan("snapshot-only").archived_at(&Place::parse("s3://evidence-vault").unwrap(), &Asked::default());
    assert_eq!(granted(&bare)[0]["s3:PutObject"], ["arn:aws:s3:::evidence-vault/*"]);
}

/// A responder with exactly what the plan names; and the proof that the emulator looks: without the archive's part nothing is put.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_responder_with_exactly_the_plans_policies_archives() {
    let stage = Stage::set().await;
    stage.aws.s3.create_bucket().bucket(VAULT).object_lock_enabled_for_bucket(true).send().await.unwrap();
    let place: &[&str] = &["--archive", "s3://evidence-vault/prod", "--retain", "1d", "--lock", "governance", "--legal-hold"];
    let planned = async |more: &[&str]| {
        let plan: Value = ok(stage.root().run(&[&["plan", "snapshot-only", FUNCTION], more].concat()).await.unwrap(), 0);
        operator::policies(&plan)
    };
    let without = stage.operator("keeper-without", &planned(&[]).await).await;
    let take = async |keys, case: &str| {
        stage.shell(keys).run(&[&["snapshot", FUNCTION, "--case", case, "--only", "tags"], place].concat()).await.unwrap()
    };
    let refused = take(&without, "IR-1").await;
    assert!(refused.code == 1 && refused.stderr.contains("may not be reached"), "{}: {}", refused.code, refused.stderr);

    let with = stage.operator("keeper", &planned(place).await).await;
    let done = ok(take(&with, "IR-2").await, 0);
    let archived = &done["archives"][0];
    assert_eq!((&archived["shortfalls"], archived["present"].as_u64()), (&Value::Array(vec![]), Some(0)), "{done:#}");
    // Nothing of the bucket was hidden from him: the one verdict that is not known would be of a property that the emulator does not have.
    let unknown: Vec<&Value> = archived["bucket"].as_array().unwrap().iter().filter(|p| p["verdict"] == "unknown").collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
    ok(stage.shell(&with).run(&["verify", archived["place"].as_str().unwrap()]).await.unwrap(), 0);
    // He can lock, and not delete.
    let key = format!("prod/IR-2/{}/bagit.txt", archived["bundle"].as_str().unwrap());
    let theirs = freezeframe::drill::clients::connect(&stage.emulator, &with, crate::support::emulator::clock()).await;
    let s3 = freezeframe::drill::clients::seed_clients(&theirs).s3;
    let refused = s3.delete_object().bucket(VAULT).key(key).send().await.expect_err("no delete is granted");
    assert_eq!(refused.raw_response().unwrap().status().as_u16(), 403);
}
