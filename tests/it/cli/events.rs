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
    insta::assert_snapshot!(explained("guardduty/good/c2-activity.json"), @"");
}

#[test]
fn a_finding_that_rightly_leads_to_nothing() {
    insta::assert_snapshot!(explained("guardduty/odd/archived.json"), @"");
    insta::assert_snapshot!(explained("guardduty/odd/web-function.json"), @"");
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
    insta::assert_snapshot!(terminal.transcript_with_input(&["explain", "-"], b"\x00\xff garbage"), @"");
    insta::assert_snapshot!(terminal.transcript_with_input(&["explain", "-"], br#"{"source": "aws.health", "detail-type": "AWS Health Event", "detail": {}}"#), @"");
    insta::assert_snapshot!(terminal.transcript(&["explain", "nowhere.json"]), @"");
}
