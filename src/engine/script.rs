//! Restore as a shell script of plain aws-cli commands: for whoever must put things back with no freezeframe at hand. It lies in every bag of
//! containment and restore, and `restore --print-script` makes it from the journal alone.
//!
//! It knows what the journal knows and no more. It sets the recorded state whatever stands there now, so it asks nobody whether somebody else
//! changed it since, nor whether another case holds it; it writes no journal, so the case stays open until `freezeframe restore` has looked.
//! A before-state is a number, a switch, an ARN or a policy; where it may hold more (the input of a schedule), a bag's script holds it as the journal
//! beside it does, and a terminal does not see it. What the commands print goes nowhere, because AWS answers some of
//! them with a function's environment.

use super::log::{OpenCell, open_cells};
use super::restore::in_order;
use crate::aws::fault::tame;
use crate::bundle::tool;
use crate::contain::by_hand::quoted;
use crate::contain::{ACTIONS, DynAction};
use crate::model::journal_event::JournalEvent;
use std::collections::BTreeSet;

/// What is to be done for one cell, or why nothing can be.
enum Hand {
    /// The target's account and Region, and the commands.
    Do { account: String, region: String, commands: Vec<String> },
    /// Nothing is to be done, for this reason.
    Nothing(String),
    /// It cannot be said by hand, for this reason: counts as failed.
    Cannot(String),
}

/// For whom the script is: a file of the responder's and a bag may hold what the journal holds; a terminal may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    File,
    Terminal,
}

fn by_hand(action: Option<&'static dyn DynAction>, open: &OpenCell, reader: Reader) -> Hand {
    let Some(action) = action else {
        return Hand::Cannot(format!("the build that wrote this knows no action `{}`", open.cell.action()));
    };
    if let Some(what) = open.leaves() {
        return Hand::Nothing(format!("stays, as was accepted: {what}"));
    }
    let Some(before) = open.before() else {
        return Hand::Nothing("was contained before this case, which never wrote it".into());
    };
    if reader == Reader::Terminal && action.shown(&open.cell, before) != *before {
        return Hand::Cannot("it holds what is not shown on a terminal; print the script into a file".into());
    }
    let Some(target) = open.target() else { return Hand::Cannot("the journal names no function that it belongs to".into()) };
    match action.by_hand(&target, &open.cell, before) {
        Ok(all) if all.is_empty() => Hand::Nothing("reads as before whatever is done".into()),
        Ok(all) => Hand::Do { account: target.account, region: target.region, commands: all.iter().map(ToString::to_string).collect() },
        Err(e) => Hand::Cannot(e.to_string()),
    }
}

/// The case that these events belong to, as its journal opens.
fn case_of(events: &[JournalEvent]) -> &str {
    events
        .iter()
        .find_map(|e| if let JournalEvent::CaseOpen { case, .. } = e { Some(case.as_str()) } else { None })
        .unwrap_or("of this journal")
}

/// What would put back everything that these events say is held. `only` cells of these actions; empty means all.
pub fn restore_script(events: &[JournalEvent], only: &[String], reader: Reader) -> String {
    let mut open = open_cells(events);
    open.retain(|o| only.is_empty() || only.iter().any(|a| a == o.cell.action()));
    let cells: Vec<(OpenCell, Hand)> =
        in_order(open, ACTIONS).into_iter().map(|(action, o)| (by_hand(action, &o, reader), o)).map(|(h, o)| (o, h)).collect();
    let case = tame(case_of(events), 64);
    let places: BTreeSet<(&str, &str)> = cells
        .iter()
        .filter_map(|(_, h)| if let Hand::Do { account, region, .. } = h { Some((account.as_str(), region.as_str())) } else { None })
        .collect();
    let accounts: BTreeSet<&str> = places.iter().map(|(account, _)| *account).collect();
    let count = cells.iter().filter(|(_, h)| !matches!(h, Hand::Nothing(_))).count();

    let mut out = String::new();
    let mut say = |line: &str| {
        out.push_str(line);
        out.push('\n');
    };
    say("#!/bin/sh");
    for line in [
        format!("# Puts back what case {case} changed in AWS: {count} settings, with the plain aws-cli. Run it as: sh restore.sh"),
        format!("# Written by {} from the first {} lines of the case journal.", tool::name_and_version(), events.len()),
        "#".into(),
        "# It may be run again: each command sets a recorded state, and setting twice is setting once. If one fails the others are still tried,".into(),
        "# and the script ends with status 1. Order: newest change first, denies on the role last.".into(),
        "#".into(),
        "# What it does NOT do: it does not look whether somebody changed a setting since (it overwrites), nor whether another case still wants it".into(),
        "# contained; it does not verify, and it does not close the case. Afterwards, from where freezeframe is at hand:".into(),
        format!("#   freezeframe restore {}", quoted(&case)),
        "# finds everything as it was, says so, and closes the case.".into(),
    ] {
        say(&line);
    }
    say("set -u");
    say("AWS_PAGER=; export AWS_PAGER");
    say("failed=0");
    say("not_done() { failed=$((failed + 1)); printf 'NOT PUT BACK: %s\\n' \"$1\" >&2; }");
    if let Some((_, region)) = places.first() {
        say("");
        say("# These credentials must be of the account that was contained.");
        say(&format!("account=$(aws sts get-caller-identity --query Account --output text --region {}) || exit 1", quoted(region)));
        let list = accounts.iter().copied().collect::<Vec<_>>().join("|");
        let names = accounts.iter().copied().collect::<Vec<_>>().join(" or ");
        say(&format!("case $account in {list}) ;; *)"));
        say(&format!(
            "  printf 'these credentials are of account %s; what is to be put back lies in {names}\\n' \"$account\" >&2; exit 1 ;;"
        ));
        say("esac");
    }
    for (n, (open, hand)) in (1..).zip(&cells) {
        let cell = tame(&open.cell.to_string(), 400);
        say("");
        say(&format!("# {n} of {}: {cell}", cells.len()));
        match hand {
            Hand::Nothing(why) => say(&format!("#   nothing to do: {}", tame(why, 300))),
            Hand::Cannot(why) => {
                say(&format!("#   {}", tame(why, 300)));
                say(&format!("not_done {}", quoted(&cell)));
            }
            Hand::Do { account, region, commands } => {
                say(&format!("#   account {account}, Region {region}"));
                say(&format!("if [ \"$account\" = {account} ] && {{"));
                for (at, command) in (1..).zip(commands) {
                    say(&format!("  {command}{}", if at < commands.len() { " &&" } else { "" }));
                }
                say(&format!("}} >/dev/null; then printf 'put back: %s\\n' {0}; else not_done {0}; fi", quoted(&cell)));
            }
        }
    }
    say("");
    say(&format!("if [ \"$failed\" -gt 0 ]; then printf '%s of {count} not put back\\n' \"$failed\" >&2; exit 1; fi"));
    say(&format!("printf 'all {count} put back; freezeframe restore %s verifies and closes the case\\n' {}", quoted(&case)));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::{CellId, RunId};
    use crate::model::journal_event::PermitRecord;
    use crate::model::restorable::Restorable;
    use serde_json::{Value, json};
    use std::process::Command;

    fn intent(cell: &str, before: Value, restorable: Restorable) -> JournalEvent {
        JournalEvent::Intent {
            run: RunId("r".into()),
            cell: CellId(cell.into()),
            target: "arn:aws:lambda:eu-west-1:123456789012:function:f".into(),
            before,
            after: json!(0),
            restorable,
            permit: PermitRecord::Override { who: "t".into(), why: "t".into() },
        }
    }

    fn events() -> Vec<JournalEvent> {
        let (run, tool) = (RunId("r".into()), "t".to_string());
        vec![
            JournalEvent::CaseOpen { case: "IR-1".into(), run: run.clone(), tool, operator: "o".into() },
            intent("freeze-concurrency/f", json!(7), Restorable::Exactly),
            intent("quarantine-role/r/freezeframe-quarantine-f", json!(null), Restorable::Exactly),
            // A name that would end a comment, and an action that nobody knows.
            intent("unknown-action/x\nrm -rf /; '$(touch pwned)'", json!(1), Restorable::Exactly),
            intent("freeze-concurrency/left", json!(1), Restorable::Leaves("a version".into())),
            JournalEvent::AlreadyContained {
                run,
                cell: CellId("freeze-concurrency/found".into()),
                target: "arn:aws:lambda:eu-west-1:123456789012:function:f".into(),
                state: json!(0),
            },
        ]
    }

    /// With an `aws` that writes down what it is asked, and says no to what the test says.
    fn run(script: &str, account: &str, refuse: &str) -> (i32, Vec<String>, String, String) {
        let dir = tempfile::tempdir().unwrap();
        let aws = format!(
            "#!/bin/sh\ncase $1 in sts) echo {account}; exit 0;; esac\nprintf '%s\\n' \"$*\" >> {}/asked\ncase $2 in {refuse}) echo no >&2; exit 1;; esac\necho '{{\"Environment\":\"secret\"}}'\n",
            dir.path().display()
        );
        std::fs::write(dir.path().join("aws"), aws).unwrap();
        std::fs::write(dir.path().join("restore.sh"), script).unwrap();
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(dir.path().join("aws"), std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:{}", dir.path().display(), std::env::var("PATH").unwrap());
        let out = Command::new("sh").arg("restore.sh").current_dir(dir.path()).env("PATH", path).output().unwrap();
        let asked = std::fs::read_to_string(dir.path().join("asked")).unwrap_or_default();
        assert!(!dir.path().join("pwned").exists());
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        (out.status.code().unwrap(), asked.lines().map(str::to_string).collect(), text(&out.stdout), text(&out.stderr))
    }

    #[test]
    fn a_shell_does_what_restore_would_and_tells_what_it_could_not() {
        let mut events = events();
        let script = restore_script(&events, &[], Reader::File);
        let (code, asked, said, complained) = run(&script, "123456789012", "none");
        assert_eq!(code, 1, "one cell is of an action that nobody knows");
        assert!(
            complained.contains("NOT PUT BACK: unknown-action/x rm -rf /") && complained.contains("1 of 3 not put back"),
            "{complained}"
        );
        assert!(!said.contains("secret"), "{said}");
        let writes: Vec<&String> = asked.iter().filter(|a| !a.contains(" get-")).collect();
        assert_eq!(writes.len(), 2, "{asked:?}");
        assert!(
            writes[0]
                .starts_with("lambda put-function-concurrency --function-name f --reserved-concurrent-executions 7 --region eu-west-1")
        );
        assert!(writes[1].starts_with("iam delete-role-policy --role-name r"), "the deny is lifted last: {asked:?}");

        // What fails does not keep the rest from being tried.
        events.retain(|e| !matches!(e, JournalEvent::Intent { cell, .. } if cell.action() == "unknown-action"));
        let script = restore_script(&events, &[], Reader::File);
        let (code, asked, ..) = run(&script, "123456789012", "put-function-concurrency");
        assert_eq!((code, asked.iter().filter(|a| a.contains("delete-role-policy")).count()), (1, 1));
        let (code, _, said, _) = run(&script, "123456789012", "none");
        assert_eq!((code, said.lines().last()), (0, Some("all 2 put back; freezeframe restore IR-1 verifies and closes the case")));
        assert!(script.contains("stays, as was accepted: a version") && script.contains("was contained before this case"));
    }

    #[test]
    fn a_terminal_does_not_see_what_reports_do_not_show() {
        let before = json!({"State": "ENABLED", "Target": {"Arn": "a", "Input": "hunter2"}});
        let events = [intent("disable-schedules/default/nightly", before, Restorable::Exactly)];
        assert!(restore_script(&events, &[], Reader::File).contains("hunter2"));
        let shown = restore_script(&events, &[], Reader::Terminal);
        assert!(!shown.contains("hunter2") && shown.contains("into a file"), "{shown}");
    }

    #[test]
    fn another_account_is_not_touched_and_a_case_that_holds_nothing_asks_nobody() {
        let (code, asked, _, complained) = run(&restore_script(&events(), &[], Reader::File), "999999999999", "none");
        assert_eq!((code, asked.len()), (1, 0), "{complained}");
        assert!(complained.contains("account 999999999999") && complained.contains("123456789012"), "{complained}");
        let (code, asked, ..) = run(&restore_script(&events()[..1], &[], Reader::File), "999999999999", "none");
        assert_eq!((code, asked.len()), (0, 0));
        let only = restore_script(&events(), &["quarantine-role".into()], Reader::File);
        assert!(only.contains("delete-role-policy") && !only.contains("put-function-concurrency"));
    }
}
