//! Ctrl-C: drain, record, and leave a bundle that says it is unfinished.

use super::gate::{Gate, Moment};
use crate::support::emulator::{Stage, bundle, events, ok};
use freezeframe::drill::incident::names;
use freezeframe::model::journal_event::JournalEvent;
use serde_json::Value;
use std::process::Stdio;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

const CASE: &str = "IR-2026-0042";
const RUN: &[&str] = &["run", "snapshot-and-contain", names::FUNCTION, "--case", CASE, "--yes", "--json"];

fn start(mut command: Command, gate: &Gate) -> Child {
    command.env("AWS_ENDPOINT_URL", &gate.endpoint).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command.spawn().unwrap()
}

/// Ctrl-C, and wait until the program says that it heard it.
async fn interrupt(child: &mut Child) {
    let asked = Command::new("sh").arg("-c").arg(format!("kill -INT {}", child.id().unwrap())).status().await.unwrap();
    assert!(asked.success());
    let mut said = vec![];
    let stderr = child.stderr.as_mut().unwrap();
    while !String::from_utf8_lossy(&said).contains("interrupted: draining") {
        assert_ne!(stderr.read_buf(&mut said).await.unwrap(), 0, "{}", String::from_utf8_lossy(&said));
    }
}

async fn end(child: Child, code: i32) -> Value {
    let output = child.wait_with_output().await.unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}\n{stderr}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn during_collection_nothing_is_contained_and_the_bundle_says_unfinished() {
    let stage = Stage::set().await;
    let shell = stage.root();
    let gate = Gate::before(&stage.emulator.endpoint, Moment::Answered, "GET /2015-03-31/functions/payments-export/versions").await;
    let mut child = start(shell.process(RUN), &gate);
    gate.holds().await;
    interrupt(&mut child).await;
    // The gate stays shut: whoever waits for that answer must be let go.
    let report = end(child, 130).await;
    assert_eq!((report["outcome"].as_str(), report["exit_code"].as_u64()), (Some("interrupted"), Some(130)));
    assert!(report["headline"].as_str().unwrap().starts_with("interrupted, bundle unfinished; "), "{report:#}");
    assert!(report.get("containment").is_none());
    assert_eq!(report["bundles"].as_array().unwrap().len(), 1);

    let verified = ok(shell.run(&["verify", bundle(&report, 0).to_str().unwrap()]).await.unwrap(), 4);
    assert_eq!((verified["verdict"].as_str(), verified["finished"].as_bool()), (Some("unfinished"), Some(false)));
    let lost = verified["gaps"]
        .as_array()
        .unwrap()
        .iter()
        .find(|g| g["collector"] == "versions")
        .expect("the answer that was waited for is a gap");
    assert_eq!(lost["kind"], "out_of_time");
    assert_eq!(verified["gaps"], report["gaps"]);

    let events = events(&stage.case(CASE)).await;
    assert!(!events.iter().any(|e| matches!(e, JournalEvent::Intent { .. })), "{events:#?}");
    assert!(matches!(events.last(), Some(JournalEvent::RunEnded { outcome, .. }) if outcome.contains("interrupted")), "{events:#?}");
    stage.assert_as_before("after an interrupt").await;
    // Nor is it evidence to contain on.
    let refused = shell.run(&["contain", names::FUNCTION, "--case", CASE, "--yes"]).await.unwrap();
    ok(refused, 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn during_containment_the_write_is_brought_to_its_recorded_end() {
    let stage = Stage::set().await;
    let shell = stage.root();
    let gate = Gate::before(&stage.emulator.endpoint, Moment::Asked, "PUT /2017-10-31/functions/payments-export/concurrency").await;
    let mut child = start(shell.process(RUN), &gate);
    gate.holds().await;
    interrupt(&mut child).await;
    gate.open();
    let report = end(child, 130).await;
    let stands: Vec<&str> = report["containment"]["cells"].as_array().unwrap().iter().map(|c| c["stand"].as_str().unwrap()).collect();
    assert_eq!(stands[0], "contained", "{report:#}");
    assert!(!stands[1..].contains(&"contained"), "{report:#}");
    let events = events(&stage.case(CASE)).await;
    assert!(events.iter().any(|e| matches!(e, JournalEvent::ReadBack { holds: true, .. })), "{events:#?}");
    assert!(matches!(events.last(), Some(JournalEvent::RunEnded { .. })), "{events:#?}");
    for n in 0..2 {
        ok(shell.run(&["verify", bundle(&report, n).to_str().unwrap()]).await.unwrap(), 0);
    }
    ok(shell.run(&["restore", CASE, "--yes"]).await.unwrap(), 0);
    stage.assert_as_before("restored after an interrupt").await;
}
