//! Containment and restore as the AWS CLI sees them.

use super::practice;
use serde_json::{Value, json};

#[test]
fn while_contained_the_aws_cli_shows_concurrency_zero_and_the_deny() {
    let contained = &practice().contained;
    assert_eq!(contained["concurrency"], json!({"ReservedConcurrentExecutions": 0}));
    let document = &contained["deny"]["PolicyDocument"];
    let statements = document["Statement"].as_array().unwrap_or_else(|| panic!("{document:#}"));
    assert!(statements.iter().any(|s| s["Effect"] == "Deny"), "{document:#}");
    assert!(statements.iter().all(|s| s["Effect"] == "Deny"), "a quarantine allows nothing: {document:#}");
}

#[test]
fn after_restore_every_read_equals_the_read_before() {
    let [before, contained, after] = &practice().reads;
    let commands = |reads: &Value| reads.as_object().unwrap().len();
    assert!(commands(before) > 25, "{}", commands(before));
    assert_ne!(before, contained, "containment is seen by the AWS CLI");
    // As text, as a person with two terminals would.
    let text = |reads: &Value| serde_json::to_string_pretty(reads).unwrap();
    assert_eq!(text(before), text(after));
    let changed = before.as_object().unwrap().iter().filter(|(command, answer)| contained.get(command) != Some(answer)).count();
    println!("{} commands of the AWS CLI: {changed} answered otherwise while contained, none after restore", commands(before));
}

#[test]
fn containment_touches_nothing_but_its_cells() {
    let [before, contained, _] = &practice().reads;
    let changed: Vec<&str> =
        before.as_object().unwrap().iter().filter(|(c, a)| contained.get(c) != Some(a)).map(|(c, _)| c.as_str()).collect();
    assert_eq!(
        changed,
        [
            "aws iam list-role-policies --role-name payments-export-role",
            "aws lambda get-function --function-name payments-export",
            "aws lambda get-function-concurrency --function-name payments-export",
        ]
    );
}
