//! The guardrails as somebody at a terminal meets them, on the emulator: an owner's tag, a halt, a policy beside the cases, a responder who may
//! not read tags; and how many steps it is to the first write.

use crate::support::delay::{Delay, Passed};
use crate::support::emulator::{Stage, bundle, events, ok};
use freezeframe::drill::incident::{names, operator};
use freezeframe::model::journal_event::JournalEvent;
use serde_json::{Value, json};
use std::time::Duration;

const HASTY: [&str; 5] = ["run", "contain-first", names::FUNCTION, "--yes", "--case"];

fn arn(stage: &Stage) -> String {
    format!("arn:aws:lambda:{}:{}:function:{}", stage.emulator.region, stage.emulator.account, names::FUNCTION)
}

async fn tag(stage: &Stage, value: Option<&str>) {
    match value {
        Some(value) => drop(stage.aws.lambda.tag_resource().resource(arn(stage)).tags("ir:contain", value).send().await.unwrap()),
        None => drop(stage.aws.lambda.untag_resource().resource(arn(stage)).tag_keys("ir:contain").send().await.unwrap()),
    }
}

async fn reserved(stage: &Stage) -> Option<i32> {
    stage.aws.lambda.get_function_concurrency().function_name(names::FUNCTION).send().await.unwrap().reserved_concurrent_executions
}

#[track_caller]
fn refused<'r>(report: &'r Value, rule: &str) -> &'r Value {
    assert_eq!(report["refusals"][0]["rule"], rule, "{report:#}");
    assert!(report["headline"].as_str().unwrap().starts_with("containment refused"), "{report:#}");
    &report["refusals"][0]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_a_halt_and_a_policy_stop_a_responder_and_each_can_be_lifted() {
    let stage = Stage::set().await;
    let policy = stage.permissions("contain-first").await;
    let shell = stage.shell(&stage.operator("ir-responder", &policy).await);
    let contain = |case| HASTY.into_iter().chain([case]).collect::<Vec<_>>();

    // The owner's tag: evidence is kept, the case says who refused, nothing is written.
    tag(&stage, Some("never")).await;
    let report = ok(shell.run(&contain("IR-1")).await.unwrap(), 8);
    assert_eq!(refused(&report, "contain-tag")["stands"], "the function's tag ir:contain=never");
    let kept = report["bundles"].as_array().unwrap().len() - 1;
    assert_eq!(ok(shell.run(&["verify", bundle(&report, kept).to_str().unwrap()]).await.unwrap(), 0)["verdict"], "whole");
    assert!(events(&stage.case("IR-1")).await.iter().any(|e| matches!(e, JournalEvent::Refused { .. })));
    assert_eq!(reserved(&stage).await, None);
    // The dry run foretells it.
    let plan = ok(shell.run(&["plan", "contain-first", names::FUNCTION]).await.unwrap(), 0);
    assert_eq!(plan["objections"][0]["rule"], "contain-tag", "{:#}", plan["objections"]);
    tag(&stage, None).await;

    // Somebody's halt: said before anything is written, and no obstacle to restoring.
    ok(shell.run(&[&contain("IR-2")[..], &["--only", "configuration"]].concat()).await.unwrap(), 0);
    let halted = ok(shell.run(&["halt", "--why", "the auditor called"]).await.unwrap(), 0);
    assert_eq!(halted["halts"].as_array().unwrap().len(), 1, "{halted:#}");
    ok(shell.run(&["restore", "IR-2", "--yes"]).await.unwrap(), 0);
    stage.assert_as_before("restored while halted").await;
    let report = ok(shell.run(&[&contain("IR-3")[..], &["--only", "configuration"]].concat()).await.unwrap(), 8);
    let why = refused(&report, "halted")["why"].as_str().unwrap();
    assert!(why.contains("the auditor called"), "{why}");
    stage.assert_as_before("after a halted run").await;
    let lifted = ok(shell.run(&["resume", "--why", "he was reassured"]).await.unwrap(), 0);
    assert_eq!((lifted["halts"].as_array().unwrap().len(), lifted["lifted"].as_array().unwrap().len()), (0, 1), "{lifted:#}");
    // By hand, with no freezeframe: what freezeframe cannot delete it says so.
    let kill = stage.cases.join("control/KILL");
    std::fs::write(&kill, "stop\n").unwrap();
    refused(&ok(shell.run(&[&contain("IR-3")[..], &["--only", "configuration"]].concat()).await.unwrap(), 8), "halted");
    ok(shell.run(&["resume", "--why", "x"]).await.unwrap(), 8);
    std::fs::remove_file(&kill).unwrap();

    // A policy beside the cases.
    let file = stage.cases.join("guard.yaml");
    std::fs::write(&file, "guard: acme\ndry-run: true\n").unwrap();
    let quick = [&contain("IR-4")[..], &["--only", "configuration"]].concat();
    let report = ok(shell.run(&quick).await.unwrap(), 8);
    assert!(refused(&report, "dry-run")["stands"].as_str().unwrap().ends_with("guard.yaml:2"), "{report:#}");
    assert_eq!(report["containment"]["cells"][0]["stand"], "would-contain", "{report:#}");
    stage.assert_as_before("after a dry run").await;
    let report = ok(shell.run(&[&quick[..], &["--in-earnest"]].concat()).await.unwrap(), 0);
    assert_eq!((&report["guard"]["name"], reserved(&stage).await), (&json!("acme"), Some(0)));
    ok(shell.run(&["restore", "IR-4", "--yes"]).await.unwrap(), 0);
    // One that is broken: nothing is done, and it is said where.
    std::fs::write(&file, "guard: acme\notherwise: perhaps\n").unwrap();
    let ended = shell.run(&quick).await.unwrap();
    assert!(ended.stderr.contains("guard.yaml:2:12"), "{}", ended.stderr);
    ok(ended, 2);
    stage.assert_as_before("after a broken policy").await;
}

/// AWS says nothing about tags to whoever may not list them: that is no permission.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_read_tags_may_not_contain() {
    let stage = Stage::set().await;
    let policy = stage.permissions("contain-first").await;
    let less = stage.operator("ir-junior", &operator::lacking(&policy, &["lambda:ListTags"])).await;
    let run = [&HASTY[..], &["IR-1", "--only", "configuration"]].concat();
    let report = ok(stage.shell(&less).run(&run).await.unwrap(), 8);
    assert!(refused(&report, "tags-unreadable")["lift"].as_str().unwrap().contains("lambda:ListTags"), "{report:#}");
    stage.assert_as_before("after a responder who may not read tags").await;
    // A policy that protects nothing by tag lifts it.
    std::fs::write(stage.cases.join("guard.yaml"), "guard: acme\ncontain-tag: ignored\n").unwrap();
    ok(stage.shell(&less).run(&run).await.unwrap(), 0);
    assert_eq!(reserved(&stage).await, Some(0));
}

/// A request's step: one more than that of the last whose answer was there when it came.
fn steps(passed: &[Passed]) -> Vec<(usize, String)> {
    let mut by_time = passed.to_vec();
    by_time.sort_by_key(|p| p.came);
    let mut steps: Vec<(usize, Passed)> = vec![];
    for request in by_time {
        let before = steps.iter().filter(|(_, p)| p.answered <= request.came).map(|(n, _)| *n).max().unwrap_or(0);
        steps.push((before + 1, request));
    }
    steps.into_iter().map(|(n, p)| (n, p.line)).collect()
}

/// Issue 4, on the drill: at most three sequential calls after credentials, the guardrails' among them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bleed_first_writes_at_its_third_step() {
    let stage = Stage::set().await;
    let policy = stage.permissions("contain-first").await;
    let shell = stage.shell(&stage.operator("ir-responder", &policy).await);
    // Untagged, so that the tags have to be asked for as well.
    stage.aws.lambda.untag_resource().resource(arn(&stage)).tag_keys("team").send().await.unwrap();
    let delay = Delay::before(&stage.emulator.endpoint, Duration::from_millis(80));
    let run = [&HASTY[..], &["IR-1", "--only", "configuration", "--json"]].concat();
    let output = shell.process(&run).env("AWS_ENDPOINT_URL", &delay.url).output().await.unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["containment"]["cells"][0]["stand"], "contained", "{report:#}");
    let steps = steps(&delay.passed());
    let first = steps.iter().find(|(_, line)| line.starts_with("PUT ") && line.contains("/concurrency")).expect("it was written");
    assert!(first.0 <= 3, "{steps:#?}");
    let tags =
        steps.iter().find(|(_, line)| line.starts_with("GET ") && line.contains("/tags/")).expect("nothing said of tags is asked for");
    assert!(tags.0 < first.0, "{steps:#?}");
}
