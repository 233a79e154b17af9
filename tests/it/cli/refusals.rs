//! What is refused before anything is asked of AWS, in words that say what to do, with exit code 2.

use super::Terminal;

#[test]
fn no_region() {
    let terminal = Terminal::new().env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE").env("AWS_SECRET_ACCESS_KEY", "x");
    insta::assert_snapshot!(terminal.transcript(&["snapshot", "payments-export", "--case", "IR-1"]), @"");
}

#[test]
fn a_case_id_that_is_a_path() {
    insta::assert_snapshot!(Terminal::new().with_keys().transcript(&["snapshot", "payments-export", "--case", "../IR-1"]), @"");
    insta::assert_snapshot!(Terminal::new().with_keys().transcript(&["restore", "../IR-1"]), @"");
}

#[test]
fn a_case_that_is_not_there() {
    insta::assert_snapshot!(Terminal::new().with_keys().transcript(&["restore", "IR-1", "--cases", "."]), @"");
}

#[test]
fn no_function_at_all() {
    let terminal = Terminal::new().with_keys();
    insta::assert_snapshot!(terminal.transcript(&["snapshot", "payments export", "--case", "IR-1"]), @"");
    insta::assert_snapshot!(terminal.transcript(&["plan", "snapshot-only", "arn:aws:lambda:eu-west-1:12345:function:p"]), @"");
}

#[test]
fn look_alikes_are_named() {
    let terminal = Terminal::new().with_keys();
    insta::assert_snapshot!(terminal.transcript(&["snapshot", "arn:aws:lambda-core:eu-west-1:123456789012:web-function:p", "--case", "IR-1"]), @"");
    insta::assert_snapshot!(terminal.transcript(&["snapshot", "arn:aws:lambda:eu-west-1:123456789012:layer:p:1", "--case", "IR-1"]), @"");
    insta::assert_snapshot!(terminal.transcript(&["run", "snapshot-only", "arn:aws:s3:::p", "--case", "IR-1"]), @"");
}

#[test]
fn an_action_that_there_is_not() {
    let terminal = Terminal::new().with_keys();
    std::fs::create_dir_all(terminal.path().join("IR-1/journal")).unwrap();
    insta::assert_snapshot!(terminal.transcript(&["restore", "IR-1", "--only", "freeze"]), @"");
}

#[test]
fn nothing_is_left_behind() {
    let terminal = Terminal::new().with_keys();
    for args in [["snapshot", "a b", "--case", "IR-1"], ["snapshot", "p", "--case", "../IR-1"]] {
        terminal.run(&args);
    }
    assert_eq!(std::fs::read_dir(terminal.path()).unwrap().count(), 0);
}
