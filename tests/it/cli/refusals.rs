//! What is refused before anything is asked of AWS, in words that say what to do, with exit code 2.

use super::Terminal;

#[test]
fn no_region() {
    let terminal = Terminal::new().env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE").env("AWS_SECRET_ACCESS_KEY", "x");
    insta::assert_snapshot!(terminal.transcript(&["snapshot", "payments-export", "--case", "IR-1"]), @r"
    $ freezeframe snapshot payments-export --case IR-1
    --- stderr
    error: could not begin
      caused by: could not connect to AWS
      caused by: no Region is set
      hint: pass --region, or set AWS_REGION, or `region` in the profile
    --- exit 2
    ");
}

#[test]
fn a_case_id_that_is_a_path() {
    insta::assert_snapshot!(Terminal::new().with_keys().transcript(&["snapshot", "payments-export", "--case", "../IR-1"]), @r"
    $ freezeframe snapshot payments-export --case ../IR-1
    --- stderr
    error: the case cannot have this name
      caused by: `../IR-1` is not a valid case id: use letters, digits, `.`, `_` and `-` only
    --- exit 2
    ");
    insta::assert_snapshot!(Terminal::new().with_keys().transcript(&["restore", "../IR-1"]), @r"
    $ freezeframe restore ../IR-1
    --- stderr
    error: the case cannot have this name
      caused by: `../IR-1` is not a valid case id: use letters, digits, `.`, `_` and `-` only
    --- exit 2
    ");
}

#[test]
fn a_case_that_is_not_there() {
    insta::assert_snapshot!(Terminal::new().with_keys().transcript(&["restore", "IR-1", "--cases", "."]), @r"
    $ freezeframe restore IR-1 --cases .
    --- stderr
    error: there is no case IR-1 in .
      hint: a case is a directory made by `freezeframe run … --case`; --cases names where they lie
    --- exit 2
    ");
}

#[test]
fn no_function_at_all() {
    let terminal = Terminal::new().with_keys();
    insta::assert_snapshot!(terminal.transcript(&["snapshot", "payments export", "--case", "IR-1"]), @r"
    $ freezeframe snapshot payments export --case IR-1
    --- stderr
    error: cannot tell which function is meant
      caused by: `payments export` is not a Lambda function: use a name, `name:qualifier`, or an ARN like arn:aws:lambda:eu-west-1:123456789012:function:name
    --- exit 2
    ");
    insta::assert_snapshot!(terminal.transcript(&["plan", "snapshot-only", "arn:aws:lambda:eu-west-1:12345:function:p"]), @r"
    $ freezeframe plan snapshot-only arn:aws:lambda:eu-west-1:12345:function:p
    --- stderr
    error: cannot tell which function is meant
      caused by: `arn:aws:lambda:eu-west-1:12345:function:p` is not a Lambda function: use a name, `name:qualifier`, or an ARN like arn:aws:lambda:eu-west-1:123456789012:function:name
    --- exit 2
    ");
}

#[test]
fn look_alikes_are_named() {
    let terminal = Terminal::new().with_keys();
    insta::assert_snapshot!(terminal.transcript(&["snapshot", "arn:aws:lambda-core:eu-west-1:123456789012:web-function:p", "--case", "IR-1"]), @r"
    $ freezeframe snapshot arn:aws:lambda-core:eu-west-1:123456789012:web-function:p --case IR-1
    --- stderr
    error: cannot tell which function is meant
      caused by: `arn:aws:lambda-core:eu-west-1:123456789012:web-function:p` names a Lambda MicroVM, Web Function or runtime; freezeframe handles Lambda functions only
    --- exit 2
    ");
    insta::assert_snapshot!(terminal.transcript(&["snapshot", "arn:aws:lambda:eu-west-1:123456789012:layer:p:1", "--case", "IR-1"]), @r"
    $ freezeframe snapshot arn:aws:lambda:eu-west-1:123456789012:layer:p:1 --case IR-1
    --- stderr
    error: cannot tell which function is meant
      caused by: `arn:aws:lambda:eu-west-1:123456789012:layer:p:1` names a layer; freezeframe handles Lambda functions only
    --- exit 2
    ");
    insta::assert_snapshot!(terminal.transcript(&["run", "snapshot-only", "arn:aws:s3:::p", "--case", "IR-1"]), @r"
    $ freezeframe run snapshot-only arn:aws:s3:::p --case IR-1
    --- stderr
    error: cannot tell which function is meant
      caused by: `arn:aws:s3:::p` names a resource of another service; freezeframe handles Lambda functions only
    --- exit 2
    ");
}

#[test]
fn an_action_that_there_is_not() {
    let terminal = Terminal::new().with_keys();
    std::fs::create_dir_all(terminal.path().join("IR-1/journal")).unwrap();
    insta::assert_snapshot!(terminal.transcript(&["restore", "IR-1", "--only", "freeze"]), @r"
    $ freezeframe restore IR-1 --only freeze
    --- stderr
    error: there is no action `freeze`
      hint: there are publish-evidence-version, stop-subscribers, stop-pipes, disable-schedules, disable-rules, repoint-alias, capture-async-events, pause-durable-executions, freeze-concurrency, quarantine-role, revoke-sessions, block-role-assumption, set-permissions-boundary, detach-permissions, scale-to-zero, deny-invocation, pause-event-source-mappings, close-function-urls, release-provisioned-concurrency, enforce-code-signing
    --- exit 2
    ");
}

#[test]
fn nothing_is_left_behind() {
    let terminal = Terminal::new().with_keys();
    for args in [["snapshot", "a b", "--case", "IR-1"], ["snapshot", "p", "--case", "../IR-1"]] {
        terminal.run(&args);
    }
    assert_eq!(std::fs::read_dir(terminal.path()).unwrap().count(), 0);
}

#[test]
fn words_about_collecting_that_fit_nothing() {
    let terminal = Terminal::new().with_keys();
    let snapshot = |more: &[&str]| terminal.transcript(&[&["snapshot", "payments-export", "--case", "IR-1"], more].concat());
    insta::assert_snapshot!(snapshot(&["--skip", "recent-invocation"]), @r"
    $ freezeframe snapshot payments-export --case IR-1 --skip recent-invocation
    --- stderr
    error: cannot collect like this
      caused by: `recent-invocation` is no collector of the playbook `snapshot-only`
      hint: did you mean `recent-invocations`?
    --- exit 2
    ");
    insta::assert_snapshot!(snapshot(&["--skip", "configuration"]), @r"
    $ freezeframe snapshot payments-export --case IR-1 --skip configuration
    --- stderr
    error: cannot collect like this
      caused by: `configuration` cannot be skipped: what other collectors look up about the function is recorded as its
    --- exit 2
    ");
    insta::assert_snapshot!(snapshot(&["--set", "recent-invocations.max-page=3"]), @r"
    $ freezeframe snapshot payments-export --case IR-1 --set recent-invocations.max-page=3
    --- stderr
    error: cannot collect like this
      caused by: `recent-invocations` has no parameter `max-page`
      hint: did you mean `max-pages`?
    --- exit 2
    ");
    insta::assert_snapshot!(snapshot(&["--since", "2020-01-02T00:00:00Z", "--until", "2020-01-01T00:00:00Z"]), @r"
    $ freezeframe snapshot payments-export --case IR-1 --since [TIME] --until [TIME]
    --- stderr
    error: cannot collect like this
      caused by: the window would begin at [TIME] and end at [TIME]: nothing can lie in it
    --- exit 2
    ");
}
