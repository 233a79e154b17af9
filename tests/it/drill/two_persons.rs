//! A plan pinned to the world, a second person's word on it, and everything that must not count as one.

use crate::support::emulator::{Stage, events, ok};
use freezeframe::drill::command::Shell;
use freezeframe::drill::incident::names;
use freezeframe::model::journal_event::JournalEvent;
use serde_json::{Value, json};

const CASE: &str = "IR-2026-0042";

/// `contain-first` with a second person's word: no evidence phase to wait for.
fn playbook(stage: &Stage) -> String {
    let text = "playbook: both-of-us\ntitle: Two persons\ndescription: Two persons\nphases:\n  - phase: contain\n    approval: two-person\n    \
                override: a test\n    steps:\n      - use: freeze-concurrency\n      - use: quarantine-role\n";
    let path = stage.scratch().join("both-of-us.yaml");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// Two people who may do the same.
async fn two(stage: &Stage, playbook: &str) -> (Shell, Shell) {
    let policy = stage.permissions(playbook).await;
    let (one, other) = (stage.operator("ir-alice", &policy).await, stage.operator("ir-bob", &policy).await);
    (stage.shell(&one), stage.shell(&other))
}

fn rule(report: &Value) -> &str {
    report["refusals"][0]["rule"].as_str().unwrap_or_else(|| panic!("{report:#}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_persons_word_is_good_once_for_one_plan() {
    let stage = Stage::set().await;
    let playbook = playbook(&stage);
    let (alice, bob) = two(&stage, &playbook).await;
    let plan = stage.scratch().join("plan.json").display().to_string();
    let approval = stage.scratch().join("plan.approval.json").display().to_string();

    // Nobody else's word, no containment; said before anything is written.
    let bare = ok(alice.run(&["run", &playbook, names::FUNCTION, "--case", CASE, "--yes"]).await.unwrap(), 8);
    assert_eq!(rule(&bare), "two-person");
    stage.assert_as_before("without a second person").await;

    let pinned = ok(alice.run(&["plan", &playbook, names::FUNCTION, "--out", &plan]).await.unwrap(), 0);
    assert_eq!(pinned["cells"].as_array().unwrap().len(), 2, "{pinned:#}");
    assert_eq!((&pinned["cells"][0]["before"], &pinned["cells"][0]["after"]), (&Value::Null, &json!(0)));
    assert!(pinned["function"]["revision_id"].is_string() && pinned["function"]["code_sha256"].is_string(), "{pinned:#}");
    // Nothing is overwritten.
    ok(alice.run(&["plan", &playbook, names::FUNCTION, "--out", &plan]).await.unwrap(), 2);

    let run = ["run", "--plan", &plan, "--approval", &approval, "--case", CASE, "--yes"];
    // Who made it cannot approve it.
    ok(alice.run(&["approve", &plan, "--yes"]).await.unwrap(), 8);
    assert!(!std::fs::exists(&approval).unwrap());
    let approved = ok(bob.run(&["approve", &plan, "--yes", "--note", "seen"]).await.unwrap(), 0);
    assert!(approved["approver"].as_str().unwrap().contains("ir-bob"), "{approved:#}");
    assert!(approved.get("voucher").is_none(), "the signature is for the file alone");
    // Nor can the approver carry it out alone.
    assert_eq!(rule(&ok(bob.run(&run).await.unwrap(), 8)), "two-person");
    stage.assert_as_before("by the approver").await;

    // A plan that somebody edited after it was approved.
    let text = std::fs::read_to_string(&plan).unwrap();
    let edited = stage.scratch().join("edited.json").display().to_string();
    std::fs::write(&edited, text.replacen("\"after\":0", "\"after\":1", 1)).unwrap();
    let refused = alice.run(&["run", "--plan", &edited, "--approval", &approval, "--case", CASE, "--yes"]).await.unwrap();
    ok(refused, 8);
    stage.assert_as_before("after an edited plan").await;
    // A step that would do something else than it says.
    std::fs::write(&edited, text.replacen("\"scope\":\"auto\"", "\"scope\":\"role\"", 1).replacen("every use of", "no use of", 1)).unwrap();
    ok(alice.run(&["run", "--plan", &edited, "--approval", &approval, "--case", CASE, "--yes"]).await.unwrap(), 2);
    // An approval that somebody moved to another plan.
    let second = stage.scratch().join("second.json").display().to_string();
    ok(alice.run(&["plan", &playbook, names::FUNCTION, "--out", &second]).await.unwrap(), 0);
    let (pinned_again, mut forged): (Value, Value) = (read(&second), read(&approval));
    forged["nonce"] = pinned_again["nonce"].clone();
    let digest = freezeframe::plan::pin::Pinned::read(std::fs::read(&second).unwrap().as_slice()).unwrap().sha256().unwrap();
    forged["plan_sha256"] = json!(digest.to_string());
    let forgery = stage.scratch().join("forged.json").display().to_string();
    std::fs::write(&forgery, forged.to_string()).unwrap();
    let report = ok(alice.run(&["run", "--plan", &second, "--approval", &forgery, "--case", CASE, "--yes"]).await.unwrap(), 8);
    assert!(report["refusals"][0]["why"].as_str().unwrap().contains("STS"), "{report:#}");
    stage.assert_as_before("after a forged approval").await;

    let report = ok(alice.run(&run).await.unwrap(), 0);
    assert!(report["approval"]["approver"].as_str().unwrap().contains("ir-bob"), "{report:#}");
    let journal = events(&stage.case(CASE)).await;
    let at = |f: fn(&JournalEvent) -> bool| journal.iter().position(f).unwrap();
    assert!(at(|e| matches!(e, JournalEvent::Approval { .. })) < at(|e| matches!(e, JournalEvent::Intent { .. })), "written down first");
    ok(alice.run(&["restore", CASE, "--yes"]).await.unwrap(), 0);
    stage.assert_as_before("restored").await;

    // Once: the same word does not count again, in another case either.
    let again = ok(alice.run(&["run", "--plan", &plan, "--approval", &approval, "--case", "IR-2", "--yes"]).await.unwrap(), 8);
    assert!(again["error"].as_str().is_some_and(|e| e.contains("moved")) || rule(&again) == "two-person", "{again:#}");
    stage.assert_as_before("after a second use").await;
}

fn read(path: &str) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_world_that_moved_is_named_and_left_alone() {
    let stage = Stage::set().await;
    let policy = stage.permissions("contain-first").await;
    let alice = stage.shell(&stage.operator("ir-alice", &policy).await);
    let plan = stage.scratch().join("plan.json").display().to_string();
    ok(alice.run(&["plan", "contain-first", names::FUNCTION, "--out", &plan]).await.unwrap(), 0);

    let lambda = &stage.aws.lambda;
    lambda.put_function_concurrency().function_name(names::FUNCTION).reserved_concurrent_executions(5).send().await.unwrap();
    let run = ["run", "--plan", &plan, "--case", CASE, "--yes"];
    let refused = alice.run(&run).await.unwrap();
    assert!(refused.stderr.contains("reserved concurrency") && refused.stderr.contains("planned null, found 5"), "{}", refused.stderr);
    ok(refused, 8);
    assert!(!stage.case(CASE).exists(), "nothing was begun");

    lambda.delete_function_concurrency().function_name(names::FUNCTION).send().await.unwrap();
    let back = alice.run(&run).await.unwrap();
    // Whether AWS gives the function a new revision id for that, only AWS knows; if it does, that is what moved.
    if back.code == 8 {
        assert!(back.stderr.contains("revision of the function"), "{}", back.stderr);
        return;
    }
    ok(back, 0);
    ok(alice.run(&["restore", CASE, "--yes"]).await.unwrap(), 0);
    stage.assert_as_before("restored").await;
}
