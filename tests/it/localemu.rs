//! A second opinion: one snapshot of another emulator than the drill's. Not a part of the green run (600 MB of packages, minutes, Linux with
//! network namespaces, Python 3.13), so it is run by name:
//!
//! `cargo test --test it -- --ignored --nocapture localemu`
//!
//! LocalEmu has what MiniStack lacks: code and policies per version and alias, CloudTrail that records, GuardDuty, Security Hub, X-Ray. It runs
//! no functions without docker. `tests/localemu/run.py` says how it is started, what is seeded, and why in a namespace of its own.

use crate::bench::table::Table;
use crate::stock::said;
use crate::support::tools::{environment, python_tools, repository};
use freezeframe::collect::COLLECTORS;
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

const REQUIREMENTS: &str = "tests/localemu/requirements.txt";
const PYTHON_VARIABLE: &str = "FREEZEFRAME_LOCALEMU_PYTHON";

/// LocalEmu is a syntax error below Python 3.12, and its packages are pinned for 3.13.
fn python() -> String {
    if let Ok(named) = std::env::var(PYTHON_VARIABLE) {
        return named;
    }
    let pyenv = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".pyenv/versions"));
    let versions = pyenv.into_iter().filter_map(|dir| std::fs::read_dir(dir).ok()).flatten().flatten();
    let candidates = versions.map(|v| v.path().join("bin/python3.13")).filter(|p| p.exists()).map(|p| p.to_string_lossy().into_owned());
    let mut candidates = candidates.chain(["python3.13".to_string()]);
    let works = |p: &String| Command::new(p).args(["-I", "-c", "pass"]).output().is_ok_and(|o| o.status.success());
    candidates.find(works).unwrap_or_else(|| panic!("LocalEmu needs Python 3.13: name one with {PYTHON_VARIABLE}=/path/to/python3.13"))
}

/// A network of its own: for root, or for anybody where the kernel lets users have namespaces.
fn namespace() -> Vec<&'static str> {
    for how in [vec!["unshare", "--net"], vec!["unshare", "--map-root-user", "--net"]] {
        if Command::new(how[0]).args(&how[1..]).arg("true").output().is_ok_and(|o| o.status.success()) {
            return how;
        }
    }
    panic!("LocalEmu listens on every interface: without a network namespace of its own (unshare --net) it is not started");
}

#[test]
#[ignore = "a second emulator of 600 MB: run by name"]
fn another_emulator_answers_too() {
    let bin = environment(&python(), REQUIREMENTS).unwrap_or_else(|e| panic!("cannot install LocalEmu ({REQUIREMENTS}): {e}"));
    let namespace = namespace();
    let mut command = Command::new(namespace[0]);
    command.args(&namespace[1..]).arg(bin.join("python")).arg("-B").arg(repository("tests/localemu/run.py"));
    let output = command.arg(env!("CARGO_BIN_EXE_freezeframe")).arg(python_tools().join("python3")).output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", said(&output)));

    let mut table = Table::of(&["collector", "met LocalEmu", "answers by status", "items", "not understood"]);
    let words = |counts: &Value| {
        let counts = counts.as_object().into_iter().flatten().map(|(what, n)| format!("{n} {what}"));
        counts.collect::<Vec<_>>().join(", ")
    };
    let mut met = 0;
    for id in COLLECTORS.iter().map(|c| c.spec().id) {
        let unit = &told["collectors"][id];
        let answered = unit["answers"]["200"].as_u64().unwrap_or_default() > 0;
        met += usize::from(answered);
        let asked = unit["answers"].as_object().is_some_and(|a| !a.is_empty());
        let has = match (answered, asked) {
            (true, _) => "yes",
            (false, true) => "no: not understood",
            (false, false) => "no: nothing to ask",
        };
        let refused: Vec<&str> = unit["unanswered"].as_object().into_iter().flatten().map(|(what, _)| what.as_str()).collect();
        table.row([id.to_string(), has.into(), words(&unit["answers"]), words(&unit["items"]), refused.join(", ")]);
    }
    println!("{table}\n{met} of {} collectors met LocalEmu; exit code {}, {}", COLLECTORS.len(), told["code"], told["headline"]);
    println!("not seeded: {:#}\ngaps: {:#}\ndigests that differ: {:#}", told["not_seeded"], told["gaps"], told["mismatches"]);
    let stranger: Vec<&str> = told["stranger"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    println!("\na stranger with boto3:\n{}", stranger.join("\n"));

    assert_eq!(told["verify"], 0, "the bundle verifies");
    assert_eq!(told["mismatches"].as_array().map(Vec::len), Some(0), "{:#}", told["mismatches"]);
    assert!(met >= 25, "{met}");
}
