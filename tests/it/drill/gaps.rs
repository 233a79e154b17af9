//! What could not be learned is said first, and what cannot be begun is said with a way out.

use crate::support::emulator::{Stage, bundle, ok};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{FunctionCode, Runtime};
use freezeframe::drill::Keys;
use freezeframe::drill::command::Shell;
use freezeframe::drill::incident::{code, names, operator};
use serde_json::Value;
use std::collections::BTreeSet;

const CASE: &str = "IR-2026-0042";
const SNAPSHOT: &[&str] = &["snapshot", names::FUNCTION, "--case", CASE];

/// Stdout, stderr and exit code as a person sees them.
async fn typed(mut command: tokio::process::Command) -> (String, String, i32) {
    let output = command.output().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr), output.status.code().unwrap())
}

fn collectors(gaps: &Value) -> BTreeSet<&str> {
    gaps.as_array().unwrap().iter().map(|g| g["collector"].as_str().unwrap()).collect()
}

/// The bundle says the same of its gaps, wherever it says it.
async fn assert_agreement(shell: &Shell, report: &Value) -> Value {
    let zip = bundle(report, 0);
    let verified = ok(shell.run(&["verify", zip.to_str().unwrap()]).await.unwrap(), 0);
    assert_eq!(verified["verdict"], "whole");
    let (coverage, _, code) = typed(shell.process(&["show", zip.to_str().unwrap(), "meta/coverage.json"])).await;
    assert_eq!(code, 0);
    let coverage: Value = serde_json::from_str(&coverage).unwrap();
    assert_eq!(coverage["gaps"], verified["gaps"]);
    assert_eq!(coverage["gaps"], report["gaps"]);
    let count = coverage["gaps"].as_array().unwrap().len() as u64;
    assert_eq!(
        (verified["counts"]["gaps"].as_u64(), report["tally"]["gaps"].as_u64(), report["bundles"][0]["gaps"].as_u64()),
        (Some(count), Some(count), Some(count))
    );
    coverage
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_responder_without_logs_and_iam_is_told_so_in_the_first_line() {
    let stage = Stage::set().await;
    let all = stage.permissions("snapshot-only").await;
    let keys = stage.operator("ir-junior", &operator::lacking(&all, &["logs:*", "iam:Get*"])).await;
    let shell = stage.shell(&keys);

    let report = ok(shell.run(SNAPSHOT).await.unwrap(), 3);
    let gaps = report["gaps"].as_array().unwrap();
    assert_eq!(
        collectors(&report["gaps"]),
        BTreeSet::from(["execution-role", "log-subscriptions", "recent-invocations", "service-last-accessed"])
    );
    for gap in gaps {
        assert_eq!(gap["kind"], "denied", "{gap:#}");
        let action = gap["action"].as_str().unwrap();
        assert!(action.starts_with("logs:") || action.starts_with("iam:Get"), "{gap:#}");
        assert!(!gap["question"].as_str().unwrap().is_empty() && !gap["exchanges"].as_array().unwrap().is_empty(), "{gap:#}");
    }
    let coverage = assert_agreement(&shell, &report).await;
    assert!(coverage["planned"].as_array().unwrap().iter().all(|u| u["ended"] == "done"), "{:#}", coverage["planned"]);

    // For a person: the first line of all.
    let (stdout, stderr, code) = typed(shell.process(SNAPSHOT)).await;
    assert_eq!(code, 3, "{stderr}");
    let first = stdout.lines().next().unwrap();
    assert!(first.starts_with(&format!("{} gaps: ", gaps.len())), "{first}");
    for gap in gaps {
        assert!(first.contains(gap["collector"].as_str().unwrap()), "{first}");
    }
    assert_eq!(first.matches("(open: ").count(), collectors(&report["gaps"]).len(), "{first}");
    assert!(first.ends_with("?)") && first.contains("denied"), "{first}");
    assert!(stdout.contains("— allow logs:"), "{stdout}");
    // Then by group, and what is known of techniques: the same numbers as in the bundle. Between the two runs CloudWatch may have begun to
    // count, which makes an item of an absence: both together are the same.
    for group in report["groups"].as_array().unwrap() {
        let number = |column: &str| group[column].as_u64().unwrap();
        let wanted = [number("planned"), number("not_run"), number("collected") + number("not_found"), number("gaps")];
        let said = |line: &str| {
            let mut words = line.split_whitespace();
            let name = words.next()?;
            let numbers: Vec<u64> = words.map(|w| w.parse().ok()).collect::<Option<_>>()?;
            let [planned, not_run, collected, not_found, gaps] = numbers[..] else { return None };
            (group["group"] == name).then_some([planned, not_run, collected + not_found, gaps])
        };
        assert!(stdout.lines().any(|l| said(l) == Some(wanted)), "{group}\n{stdout}");
    }
    let counts = &report["techniques"];
    let line = format!(
        "known techniques: {} this bundle can show, {} ruled out as of now, {} undecided",
        counts["can_show"], counts["ruled_out"], counts["undecided"]
    );
    assert!(stdout.contains(&line), "{stdout}");
    // What leaves one undecided is named: here the logs.
    let zip = bundle(&report, 0);
    let (told, _, _) = typed(shell.process(&["show", zip.to_str().unwrap(), "data/00-plan/techniques.json"])).await;
    let told: Value = serde_json::from_str(&told).unwrap();
    let injected = told["techniques"].as_array().unwrap().iter().find(|t| t["number"] == 16).unwrap();
    assert_eq!(injected["verdict"], "undecided");
    let why = injected["why"].as_str().unwrap();
    assert!(why.starts_with("`recent-invocations` has ") && why.contains("denied"), "{why}");
    stage.assert_as_before("after two snapshots").await;

    // Denied everything: still a bundle, whole, that says so and claims nothing.
    let nobody = stage.operator("ir-nobody", &operator::lacking(&all, &["*"])).await;
    let shell = stage.shell(&nobody);
    let report = ok(shell.run(&["snapshot", names::FUNCTION, "--case", "IR-2026-0043"]).await.unwrap(), 3);
    let coverage = assert_agreement(&shell, &report).await;
    let planned = coverage["planned"].as_array().unwrap();
    let units: BTreeSet<&str> =
        planned.iter().map(|u| u["unit"].as_str().unwrap()).filter(|u| *u != "plan" && *u != "caller-identity").collect();
    // Our own judgement asks nobody, and some reads are answered ahead of IAM by the emulator (`unused.py`).
    let mut answered = BTreeSet::from(["techniques", "traces", "runtime-management"]);
    // Detections: services that are off.
    answered.extend(["guardduty-findings", "security-hub-findings", "access-analyzer-findings", "event-subscribers"]);
    // They ask nothing until they are told what to read.
    answered.extend(["flow-records", "trail-archive"]);
    let open = collectors(&report["gaps"]);
    let silent: Vec<&&str> = units.difference(&open).filter(|u| !answered.contains(**u)).collect();
    assert!(units.len() > 8 && silent.is_empty(), "{silent:?}\n{:#}", report["gaps"]);
    // Of a function that may not be read, no session can be told apart by its role: that follows from the denials beside it.
    let follows = |g: &Value| g["collector"] == "credential-activity" && g["kind"] == "unsupported";
    assert!(report["gaps"].as_array().unwrap().iter().all(|g| g["kind"] == "denied" || follows(g)), "{:#}", report["gaps"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_begun_is_said_with_a_way_out() {
    let stage = Stage::set().await;
    let shell = stage.root();

    // Another Region has a function of that name.
    let create =
        stage.aws.lambda.create_function().function_name("payments-export-eu").runtime(Runtime::Python312).role(&stage.incident.role.arn);
    let create = create.handler("app.handler").code(FunctionCode::builder().zip_file(Blob::new(code::neighbour().unwrap())).build());
    let there = aws_sdk_lambda::Config::builder().region(aws_sdk_lambda::config::Region::new("eu-west-1"));
    create.customize().config_override(there).send().await.unwrap();
    let (stdout, stderr, code) = typed(shell.process(&["snapshot", "payments-export-eu", "--case", CASE])).await;
    assert_eq!((stdout.as_str(), code), ("", 1), "{stderr}");
    assert!(stderr.contains("there is no function `payments-export-eu` in us-east-1"), "{stderr}");
    assert!(stderr.contains("hint:") && stderr.contains("exists in eu-west-1: pass --region"), "{stderr}");
    ok(shell.run(&["snapshot", "payments-export-eu", "--region", "eu-west-1", "--case", "IR-EU"]).await.unwrap(), 0);

    let (_, stderr, code) = typed(shell.process(&["snapshot", "payments-exprot", "--case", CASE])).await;
    assert_eq!(code, 1);
    assert!(stderr.contains("no default Region of this account has a function of that name"), "{stderr}");

    let mut nowhere = shell.process(SNAPSHOT);
    nowhere.env_remove("AWS_REGION");
    let (_, stderr, code) = typed(nowhere).await;
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("hint:") && stderr.contains("--region"), "{stderr}");

    let mut nobody = shell.process(SNAPSHOT);
    nobody.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    let (_, stderr, code) = typed(nobody).await;
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("hint:") && stderr.contains("credentials"), "{stderr}");

    let good = &stage.emulator.root;
    let mut session = stage.operator("ir-responder", &stage.permissions("snapshot-only").await).await;
    session.session_token = Some("not-the-token-that-was-issued".into());
    let bad = [
        Keys { access_key_id: "AKIAGARBAGE000000000".into(), secret_access_key: "nobody-knows-this-one".into(), session_token: None },
        Keys { secret_access_key: "of-somebody-else".into(), ..good.clone() },
        session,
    ];
    for keys in bad {
        for args in [SNAPSHOT, &["plan", "snapshot-only", names::FUNCTION]] {
            let (stdout, stderr, code) = typed(stage.shell(&keys).process(args)).await;
            assert_eq!((stdout.as_str(), code), ("", 1), "{keys:?}: {stderr}");
            assert!(stderr.contains("hint:") && stderr.contains("credentials"), "{keys:?}: {stderr}");
            assert!(!stderr.contains(&keys.secret_access_key), "{stderr}");
        }
    }
    assert!(!stage.case(CASE).exists(), "what could not begin opened a case");
    stage.assert_as_before("after all that").await;
}
