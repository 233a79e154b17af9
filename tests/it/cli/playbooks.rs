//! `playbook list | show | check`.

use super::Terminal;
use crate::support::tools::repository;

#[test]
fn what_is_shipped() {
    insta::assert_snapshot!(Terminal::new().transcript(&["playbook", "list"]), @r"
    $ freezeframe playbook list
    --- stdout
    snapshot-only            Keep the evidence; change nothing
    triage                   A first look in seconds; change nothing
    deep                     Everything, as far back as it goes; change nothing
    stop-sources             Keep the evidence, then stop what calls the function  [changes AWS]
    snapshot-and-contain     Keep the evidence, then stop the function and its credentials  [changes AWS]
    contain-first            Stop the function first, then keep the evidence  [changes AWS]
    contain-fully            Keep the evidence, then close every door of the function  [changes AWS]
    --- exit 0
    ");
    insta::assert_snapshot!(Terminal::new().transcript(&["playbook", "show", "snapshot"]), @r"
    $ freezeframe playbook show snapshot
    --- stderr
    error: no playbook `snapshot` is shipped
      hint: there are snapshot-only, triage, deep, stop-sources, snapshot-and-contain, contain-first, contain-fully
    --- exit 2
    ");
    for name in ["snapshot-only", "triage", "deep", "snapshot-and-contain", "contain-first"] {
        let shown = Terminal::new().run(&["playbook", "show", name]);
        assert_eq!(
            shown.stdout,
            std::fs::read(repository(&format!("playbooks/{name}.yaml"))).unwrap(),
            "{name}: byte for byte, to be edited"
        );
    }
}

#[test]
fn what_was_shown_can_be_checked() {
    let terminal = Terminal::new();
    let shown = terminal.run(&["playbook", "show", "snapshot-and-contain"]);
    std::fs::write(terminal.path().join("mine.yaml"), shown.stdout).unwrap();
    insta::assert_snapshot!(terminal.transcript(&["playbook", "check", "mine.yaml"]), @r"
    $ freezeframe playbook check mine.yaml
    --- stdout
    mine.yaml: valid (4 phases)
    --- exit 0
    ");
}

#[test]
fn every_problem_with_its_place_and_a_suggestion() {
    let terminal = Terminal::new();
    let text = "playbook: mine\ntitle: Mine\nphases:\n  - phase: collect\n    steps:\n      - use: all\n      - use: recent-invocation\n        with: { window: yesterday }\n  - phase: seal\n  - phase: verify\n  - phase: contain\n    on-failure: unwnd\n    steps:\n      - use: freeze-concurrency\n";
    std::fs::write(terminal.path().join("mine.yaml"), text).unwrap();
    insta::assert_snapshot!(terminal.transcript(&["playbook", "check", "mine.yaml"]), @r"
    $ freezeframe playbook check mine.yaml
    --- stderr
    error: the playbook has 2 problems
      hint: `freezeframe playbook show snapshot-and-contain` is a starting point
    mine.yaml:7:14: there is no collector `recent-invocation`
      7 |       - use: recent-invocation
        |              ^
        = did you mean `recent-invocations`?
    mine.yaml:12:17: `on-failure` is hold or unwind, not `unwnd`
      12 |     on-failure: unwnd
         |                 ^
         = hold keeps what was contained; unwind restores it
    --- exit 2
    ");
    insta::assert_snapshot!(terminal.transcript(&["playbook", "check", "mine.yaml", "--json"]), @r#"
    $ freezeframe playbook check mine.yaml --json
    --- stdout
    {
      "v": 1,
      "error": "the playbook has 2 problems",
      "caused_by": [],
      "hints": [
        "`freezeframe playbook show snapshot-and-contain` is a starting point"
      ],
      "problems": [
        {
          "file": "mine.yaml",
          "line": 7,
          "column": 14,
          "message": "there is no collector `recent-invocation`",
          "help": "did you mean `recent-invocations`?",
          "snippet": "      - use: recent-invocation"
        },
        {
          "file": "mine.yaml",
          "line": 12,
          "column": 17,
          "message": "`on-failure` is hold or unwind, not `unwnd`",
          "help": "hold keeps what was contained; unwind restores it",
          "snippet": "    on-failure: unwnd"
        }
      ],
      "exit_code": 2
    }
    --- stderr
    error: the playbook has 2 problems
      hint: `freezeframe playbook show snapshot-and-contain` is a starting point
    mine.yaml:7:14: there is no collector `recent-invocation`
      7 |       - use: recent-invocation
        |              ^
        = did you mean `recent-invocations`?
    mine.yaml:12:17: `on-failure` is hold or unwind, not `unwnd`
      12 |     on-failure: unwnd
         |                 ^
         = hold keeps what was contained; unwind restores it
    --- exit 2
    "#);
    let one = text.replace("invocation\n", "invocations\n").replace("yesterday", "24h");
    std::fs::write(terminal.path().join("mine.yaml"), one).unwrap();
    insta::assert_snapshot!(terminal.with_keys().transcript(&["run", "mine.yaml", "payments-export", "--case", "IR-1", "--yes"]), @r"
    $ freezeframe run mine.yaml payments-export --case IR-1 --yes
    --- stderr
    error: the playbook has 1 problem
      hint: `freezeframe playbook show snapshot-and-contain` is a starting point
    mine.yaml:12:17: `on-failure` is hold or unwind, not `unwnd`
      12 |     on-failure: unwnd
         |                 ^
         = hold keeps what was contained; unwind restores it
    --- exit 2
    ");
}

#[test]
fn a_playbook_that_is_not_there() {
    insta::assert_snapshot!(Terminal::new().transcript(&["playbook", "check", "nowhere.yaml"]), @r"
    $ freezeframe playbook check nowhere.yaml
    --- stderr
    error: the playbook cannot be used
      caused by: cannot read the playbook nowhere.yaml
      caused by: No such file or directory (os error [N])
      hint: `freezeframe playbook list` shows what is shipped
    --- exit 2
    ");
    insta::assert_snapshot!(Terminal::new().with_keys().transcript(&["plan", "snapshot-onyl", "payments-export"]), @r"
    $ freezeframe plan snapshot-onyl payments-export
    --- stderr
    error: the playbook cannot be used
      caused by: no shipped playbook is called `snapshot-onyl` (did you mean `snapshot-only`?); a file of your own is given by a path that ends in .yaml
      hint: `freezeframe playbook list` shows what is shipped
    --- exit 2
    ");
}
