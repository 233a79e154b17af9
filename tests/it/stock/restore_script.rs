//! The script in the bag, run by a shell with the real AWS CLI and no freezeframe: everything that containment did to function and role is undone,
//! and `restore` afterwards finds it so.

use super::{aws, reads, said, unpacked};
use crate::support::emulator::{Stage, bundle, ok};
use crate::support::stage::{PROGRAM, stranger};
use crate::support::tools::python_tools;
use freezeframe::drill::incident::names::{FUNCTION, SECRET_VARIABLES};
use serde_json::{Value, json};
use std::process::{Command, Output};

const EVERYTHING: &str = "\
playbook: everything
title: All that contains without a word about this function
phases:
  - phase: contain
    override: a rehearsal
    steps:
      - use: freeze-concurrency
      - use: quarantine-role
      - use: revoke-sessions
      - use: block-role-assumption
      - use: set-permissions-boundary
        with: { boundary: \"arn:aws:iam::123456789012:policy/ir-boundary\" }
      - use: detach-permissions
";

/// Revision ids and times of change can be set back by nobody.
fn lasting(reads: &Value) -> Value {
    match reads {
        Value::Object(members) => members
            .iter()
            .filter(|(k, _)| !["RevisionId", "LastModified"].contains(&k.as_str()))
            .map(|(k, v)| (k.clone(), lasting(v)))
            .collect(),
        // IAM promises no order of a role's policies.
        Value::Array(all) => {
            let mut all: Vec<Value> = all.iter().map(lasting).collect();
            all.sort_by_key(ToString::to_string);
            Value::Array(all)
        }
        other => other.clone(),
    }
}

/// With the AWS CLI on the path, and nothing of ours.
fn shell(stage: &Stage, script: &std::path::Path) -> Output {
    let path = format!("{}:{}", python_tools().display(), std::env::var("PATH").unwrap());
    let mut command: Command = stranger(&stage.emulator, "sh", &stage.emulator.root);
    command.arg(script).env("PATH", path).output().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_script_in_the_bag_restores_with_the_aws_cli_alone() {
    let stage = Stage::set().await;
    // MiniStack does not have AWS's own AWSDenyAll.
    let deny = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}"#;
    stage.aws.iam.create_policy().policy_name("ir-boundary").policy_document(deny).send().await.unwrap();
    let everything = stage.scratch().join("everything.yaml");
    std::fs::write(&everything, EVERYTHING).unwrap();
    let contain =
        ["contain", FUNCTION, "--case", "IR-1", "--playbook", everything.to_str().unwrap(), "--without-evidence", "no time", "--yes"];
    let before = lasting(&reads(&stage));

    // The role is not this function's alone.
    let refused = stage.root().run(&contain).await.unwrap();
    let why: Vec<&str> =
        refused.document["containment"]["actions"].as_array().unwrap().iter().map(|a| a["error"]["what"].as_str().unwrap()).collect();
    assert_eq!((refused.code, why.len()), (5, 4), "{:#}", refused.document);
    assert!(why.iter().all(|w| w.contains("payments-report") && w.contains("--accept-shared-role")), "{why:?}");
    ok(stage.root().run(&["restore", "IR-1", "--yes"]).await.unwrap(), 0);

    let contained = ok(stage.root().run(&[&contain[..], &["--accept-shared-role"]].concat()).await.unwrap(), 0);
    // Each of them is seen by the AWS CLI.
    let role = aws(&stage, &["iam", "get-role", "--role-name", "payments-export-role"]);
    let trust = &role["Role"]["AssumeRolePolicyDocument"]["Statement"];
    assert!(
        trust.as_array().unwrap().iter().any(|s| s["Effect"] == "Deny" && s["Principal"]["Service"] == "lambda.amazonaws.com"),
        "{trust}"
    );
    assert_eq!(role["Role"]["PermissionsBoundary"]["PermissionsBoundaryArn"], "arn:aws:iam::123456789012:policy/ir-boundary");
    let inline = aws(&stage, &["iam", "list-role-policies", "--role-name", "payments-export-role"])["PolicyNames"].to_string();
    assert!(inline.contains("freezeframe-quarantine-payments-export") && inline.contains("freezeframe-revoked-sessions-"), "{inline}");
    assert!(!inline.contains("export-write"), "{inline}");
    let attached = aws(&stage, &["iam", "list-attached-role-policies", "--role-name", "payments-export-role"]);
    assert_eq!(attached["AttachedPolicies"], json!([]));
    let reserved = aws(&stage, &["lambda", "get-function-concurrency", "--function-name", FUNCTION]);
    assert_eq!(reserved, json!({"ReservedConcurrentExecutions": 0}));

    // The script of the bag is the one that the journal gives, and neither holds a secret.
    let bag = unpacked(&bundle(&contained, 0));
    let script = bag.dir.join("data/90-contain/restore.sh");
    let text = std::fs::read_to_string(&script).unwrap();
    let printed = Command::new(PROGRAM).args(["restore", "IR-1", "--print-script", "--cases"]).arg(&stage.cases).output().unwrap();
    assert!(printed.status.success(), "{}", said(&printed));
    let commands = |text: &str| text.lines().filter(|l| !l.starts_with('#')).map(str::to_string).collect::<Vec<_>>();
    assert_eq!(commands(&text), commands(&String::from_utf8(printed.stdout).unwrap()));
    assert!(SECRET_VARIABLES.iter().all(|(_, value)| !text.contains(value)));

    // Twice: what is back already is put back again, and that is no failure.
    for round in 1..=2 {
        let ran = shell(&stage, &script);
        assert!(ran.status.success(), "round {round}: {}\n{text}", said(&ran));
        assert!(SECRET_VARIABLES.iter().all(|(_, value)| !said(&ran).contains(value)), "AWS's answers are not printed");
        let after = lasting(&reads(&stage));
        let differ = |c: &&String| before[c.as_str()] != after[c.as_str()];
        let commands = || before.as_object().unwrap().keys().chain(after.as_object().unwrap().keys());
        if let Some(command) = commands().find(differ) {
            panic!("round {round}, {command}:\n{:#}\n{:#}", before[command.as_str()], after[command.as_str()]);
        }
        assert!(commands().count() > 50);
    }
    let found = ok(stage.root().run(&["restore", "IR-1", "--yes"]).await.unwrap(), 0);
    for cell in found["restoration"]["cells"].as_array().unwrap() {
        assert_eq!((&cell["back"], &cell["wrote"]), (&json!("restored"), &json!(false)), "{cell:#}");
    }
    let closed = ok(stage.root().run(&["restore", "IR-1", "--yes"]).await.unwrap(), 0);
    assert_eq!(closed["headline"], "nothing to restore: this case holds nothing contained");

    // What cannot be done is told, and the rest is done.
    ok(stage.root().run(&[&contain[..], &["--accept-shared-role"]].concat()).await.unwrap(), 0);
    let broken = std::fs::read_to_string(&script).unwrap().replace("attach-role-policy", "attach-role-policy-no-such-command");
    let path = stage.scratch().join("broken.sh");
    std::fs::write(&path, broken).unwrap();
    let ran = shell(&stage, &path);
    assert!(!ran.status.success() && said(&ran).contains("NOT PUT BACK: detach-permissions/attached/"), "{}", said(&ran));
    let reserved = aws_ok(&stage, &["lambda", "get-function-concurrency", "--function-name", FUNCTION]);
    assert!(!reserved.contains("ReservedConcurrentExecutions"), "{reserved}");
    ok(stage.root().run(&["restore", "IR-1", "--yes"]).await.unwrap(), 0);
    stage.assert_as_before("at the end").await;
}

/// What it prints, which may be nothing.
fn aws_ok(stage: &Stage, words: &[&str]) -> String {
    let output = stranger(&stage.emulator, python_tools().join("aws"), &stage.emulator.root).args(words).output().unwrap();
    assert!(output.status.success(), "aws {words:?}: {}", said(&output));
    said(&output)
}
