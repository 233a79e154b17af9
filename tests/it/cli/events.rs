//! `explain`: what the responder would do with an event.

use super::Terminal;
use crate::support::tools::repository;

fn event(path: &str) -> String {
    repository("tests/data/events").join(path).to_string_lossy().into_owned()
}

/// The transcript without its first line, which holds the path of this repository.
fn explained(path: &str) -> String {
    let all = Terminal::new().transcript(&["explain", &event(path)]);
    all.split_once('\n').unwrap().1.to_string()
}

#[test]
fn a_finding_that_leads_to_a_run() {
    insta::assert_snapshot!(explained("guardduty/good/c2-activity.json"), @r"
    --- stdout
    would act: the playbook `snapshot-only` is run in case GD-c1b3aa3405b9: evidence is taken; nothing in AWS is changed
      source   guardduty
      finding  Backdoor:Lambda/C&CActivity.B (7ac3f0d26e1b4b0f8d8e0c2a9b1d4e55), severity 80 of 100
      time     [TIME]
      function payments-export
      Region   eu-west-1
      account  123456789012
      case     GD-c1b3aa3405b9
      playbook snapshot-only
      mode     snapshot
    --- exit 0
    ");
}

#[test]
fn a_finding_that_rightly_leads_to_nothing() {
    insta::assert_snapshot!(explained("guardduty/odd/archived.json"), @r"
    --- stdout
    would do nothing (ignored): the finding 7ac3f0d26e1b4b0f8d8e0c2a9b1d4e55 is archived: somebody, or a suppression rule, has dealt with it
      mode     snapshot
    --- exit 0
    ");
    insta::assert_snapshot!(explained("guardduty/odd/web-function.json"), @r"
    --- stdout
    would do nothing (ignored): `arn:aws:lambda-core:eu-west-1:123456789012:web-function:x` names a Lambda MicroVM, Web Function or runtime; freezeframe handles Lambda functions only
      mode     snapshot
    --- exit 0
    ");
}

#[test]
fn a_hostile_event_does_not_steer_the_terminal() {
    for hostile in std::fs::read_dir(event("guardduty/hostile")).unwrap().chain(std::fs::read_dir(event("manual/hostile")).unwrap()) {
        let path = hostile.unwrap().path();
        let output = Terminal::new().run(&["explain", path.to_str().unwrap()]);
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        let steering = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        assert!(!text.contains(steering), "{}: {text:?}", path.display());
    }
}

#[test]
fn what_is_not_understood() {
    let terminal = Terminal::new();
    insta::assert_snapshot!(terminal.transcript_with_input(&["explain", "-"], b"\x00\xff garbage"), @r"
    $ freezeframe explain -
    --- stdout
    would do nothing (unknown): the event is no JSON: the syntax is broken, or it nests too deep (line 1, column 1)
      mode     snapshot
      The handler keeps the event as it is, under unknown/ in its store, and logs a warning.
    --- exit 0
    ");
    insta::assert_snapshot!(terminal.transcript_with_input(&["explain", "-"], br#"{"source": "aws.health", "detail-type": "AWS Health Event", "detail": {}}"#), @r"
    $ freezeframe explain -
    --- stdout
    would do nothing (unknown): no source of ours reads `AWS Health Event` of `aws.health`
      mode     snapshot
      The handler keeps the event as it is, under unknown/ in its store, and logs a warning.
    --- exit 0
    ");
    insta::assert_snapshot!(terminal.transcript(&["explain", "nowhere.json"]), @r"
    $ freezeframe explain nowhere.json
    --- stderr
    error: cannot read the event nowhere.json
      caused by: No such file or directory (os error [N])
    --- exit 2
    ");
}
