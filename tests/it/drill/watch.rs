//! `watch` on the emulator: a function that is contained and called all the same, and one whose containment somebody takes back.

use crate::support::emulator::{Stage, events, ok};
use aws_smithy_types::Blob;
use aws_smithy_types::error::metadata::ProvideErrorMetadata as _;
use freezeframe::drill::incident::names;
use freezeframe::model::journal_event::{Holding, JournalEvent, WatchRecord};
use serde_json::Value;
use std::time::Duration;

const CASE: &str = "IR-2026-0042";
const PLAYBOOK: &str = "playbook: freeze\ntitle: Freeze alone\nphases:\n  - phase: contain\n    override: a test\n    steps:\n      - use: freeze-concurrency\n";

async fn recorded(stage: &Stage) -> Vec<WatchRecord> {
    let all = events(&stage.case(CASE)).await.into_iter();
    all.filter_map(|e| if let JournalEvent::Watched { watched, .. } = e { Some(watched) } else { None }).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_holds_while_callers_are_turned_away_and_drift_is_named() {
    let stage = Stage::set().await;
    let own = stage.scratch().join("freeze.yaml");
    std::fs::write(&own, PLAYBOOK).unwrap();
    let own = own.to_str().unwrap();
    // With the permissions that the plan of that containment names, and no others.
    let policy = stage.permissions(own).await;
    let shell = stage.shell(&stage.operator("ir-responder", &policy).await);
    let why = ["--without-evidence", "a test", "--yes"];
    ok(shell.run(&[&["contain", names::FUNCTION, "--case", CASE, "--playbook", own][..], &why[..]].concat()).await.unwrap(), 0);

    // CloudWatch counts by the minute, so it takes a whole one after containment.
    let watching = shell.run(&["watch", names::FUNCTION, "--for", "100s", "--every", "5s"]);
    let calling = async {
        for _ in 0..16 {
            let refused = stage.aws.lambda.invoke().function_name(names::FUNCTION).payload(Blob::new("{}")).send().await;
            assert_eq!(refused.unwrap_err().code(), Some("TooManyRequestsException"));
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    };
    let (watched, ()) = tokio::join!(watching, calling);
    let watched = ok(watched.unwrap(), 0);
    let function = &watched["functions"][0];
    let held_at = function["held_at"].as_str().unwrap_or_else(|| panic!("{watched:#}")).to_string();
    assert_eq!(
        (&function["holding"], &function["invocations"], &function["cells"][0]["seen"]),
        (&"holds".into(), &0.into(), &"as-left".into())
    );
    assert!(function["throttles"].as_u64().unwrap() >= 10, "{function:#}");
    let about = |about: &str| watched["changes"].as_array().unwrap().iter().filter(|c| c["about"] == about).count();
    assert!(about("counters") >= 1 && about("verdict") == 2 && about("reading") == 0, "{watched:#}");
    let record = recorded(&stage).await.pop().unwrap();
    assert_eq!((record.holding, record.held_at.as_ref()), (Holding::Holds, Some(&held_at)));

    // Whoever looks at the case later reads it.
    let foretold = ok(shell.run(&["restore", CASE, "--dry-run"]).await.unwrap(), 0);
    assert_eq!(foretold["watched"][0]["held_at"], Value::from(held_at.clone()));
    let again = ok(shell.run(&[&["contain", names::FUNCTION, "--case", CASE, "--playbook", own][..], &why[..]].concat()).await.unwrap(), 0);
    assert_eq!(again["watched"][0]["held_at"], Value::from(held_at.clone()));

    let by_hand = stage.aws.lambda.put_function_concurrency().function_name(names::FUNCTION).reserved_concurrent_executions(5);
    by_hand.send().await.unwrap();
    let drifted = ok(shell.run(&["watch", CASE, "--for", "10s", "--every", "5s"]).await.unwrap(), 7);
    assert_eq!(drifted["functions"][0]["adrift"], serde_json::json!(["freeze-concurrency/payments-export"]));
    let cell = &drifted["functions"][0]["cells"][0];
    assert_eq!((&cell["seen"], &cell["left"], &cell["found"]), (&"drift".into(), &0.into(), &5.into()));
    assert_eq!(recorded(&stage).await.pop().unwrap().holding, Holding::DoesNotHold);

    ok(shell.run(&["restore", CASE, "--yes", "--overrule", "freeze-concurrency/payments-export"]).await.unwrap(), 0);
    stage.assert_as_before("restored").await;
    let nothing = shell.run(&["watch", CASE]).await.unwrap();
    assert!(nothing.code == 1 && nothing.stderr.contains("holds nothing contained"), "{}", nothing.stderr);
}
