//! `playbook list | show | check`.

use super::Terminal;
use crate::support::tools::repository;

#[test]
fn what_is_shipped() {
    insta::assert_snapshot!(Terminal::new().transcript(&["playbook", "list"]), @"");
    insta::assert_snapshot!(Terminal::new().transcript(&["playbook", "show", "snapshot"]), @"");
    for name in ["snapshot-only", "snapshot-and-contain", "contain-first"] {
        let shown = Terminal::new().run(&["playbook", "show", name]);
        assert_eq!(shown.stdout, std::fs::read(repository(&format!("playbooks/{name}.yaml"))).unwrap(), "{name}: byte for byte, to be edited");
    }
}

#[test]
fn what_was_shown_can_be_checked() {
    let terminal = Terminal::new();
    let shown = terminal.run(&["playbook", "show", "snapshot-and-contain"]);
    std::fs::write(terminal.path().join("mine.yaml"), shown.stdout).unwrap();
    insta::assert_snapshot!(terminal.transcript(&["playbook", "check", "mine.yaml"]), @"");
}

#[test]
fn every_problem_with_its_place_and_a_suggestion() {
    let terminal = Terminal::new();
    let text = "playbook: mine\ntitle: Mine\nphases:\n  - phase: collect\n    steps:\n      - use: all\n      - use: recent-invocation\n        with: { window: yesterday }\n  - phase: seal\n  - phase: verify\n  - phase: contain\n    on-failure: unwnd\n    steps:\n      - use: freeze-concurrency\n";
    std::fs::write(terminal.path().join("mine.yaml"), text).unwrap();
    insta::assert_snapshot!(terminal.transcript(&["playbook", "check", "mine.yaml"]), @"");
    insta::assert_snapshot!(terminal.transcript(&["playbook", "check", "mine.yaml", "--json"]), @"");
    let one = text.replace("invocation\n", "invocations\n").replace("yesterday", "24h");
    std::fs::write(terminal.path().join("mine.yaml"), one).unwrap();
    insta::assert_snapshot!(terminal.with_keys().transcript(&["run", "mine.yaml", "payments-export", "--case", "IR-1", "--yes"]), @"");
}

#[test]
fn a_playbook_that_is_not_there() {
    insta::assert_snapshot!(Terminal::new().transcript(&["playbook", "check", "nowhere.yaml"]), @"");
    insta::assert_snapshot!(Terminal::new().with_keys().transcript(&["plan", "snapshot-onyl", "payments-export"]), @"");
}
