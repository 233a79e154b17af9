//! `--json`: exactly one document on stdout and nothing else, each of the form that `evidence-schema/` says, errors included.

use super::Terminal;
use crate::bundle::bag::Bag;
use crate::support::tools::{python_tools, repository};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Every command that works without AWS, with the schema of what it prints.
const COMMANDS: &[(&str, &[&str])] = &[
    ("verification", &["verify", "good.zip"]),
    ("verification", &["verify", "broken"]),
    ("error", &["verify", "nowhere.zip"]),
    ("error", &["verify", "garbage.zip"]),
    ("custody", &["custody", "good.zip"]),
    ("error", &["custody", "garbage.zip"]),
    ("key", &["key", "new"]),
    ("key", &["key", "show"]),
    ("error", &["key", "new"]),
    ("contents", &["show", "good.zip"]),
    ("shown", &["show", "good.zip", "i000002"]),
    ("shown", &["show", "good.zip", "x000003"]),
    ("shown", &["show", "good.zip", "meta/coverage.json"]),
    ("error", &["show", "good.zip", "i000099"]),
    ("playbooks", &["playbook", "list"]),
    ("playbook-text", &["playbook", "show", "contain-first"]),
    ("error", &["playbook", "show", "none"]),
    ("playbook-checked", &["playbook", "check", "good.yaml"]),
    ("error", &["playbook", "check", "bad.yaml"]),
    ("control", &["halt", "--why", "x"]),
    ("control", &["resume", "--why", "x"]),
    ("guard-text", &["guard", "show"]),
    ("guard-checked", &["guard", "check", "guard.yaml"]),
    ("error", &["guard", "check", "bad.yaml"]),
    ("explanation", &["explain", "finding.json"]),
    ("explanation", &["explain", "garbage.zip"]),
    ("error", &["explain", "nowhere.json"]),
    ("error", &["snapshot", "a b", "--case", "IR-1"]),
    ("error", &["snapshot", "p", "--case", "../IR-1"]),
    ("error", &["contain", "p", "--case", "IR-1", "--playbook", "snapshot-only"]),
    ("error", &["restore", "IR-1"]),
    ("error", &["watch", "IR-1"]),
    ("error", &["plan", "none", "p"]),
    // What clap refuses is no exception.
    ("error", &["snapshot"]),
    ("error", &["frobnicate"]),
    ("error", &["verify", "good.zip", "--frobnicate"]),
    ("error", &[]),
];

fn terminal() -> Terminal {
    let terminal = Terminal::new().with_keys();
    let at = |name: &str| terminal.path().join(name);
    std::fs::write(at("good.zip"), Bag::good().zip().bytes()).unwrap();
    std::fs::write(at("garbage.zip"), b"PK\x03\x04 and then something else").unwrap();
    std::fs::create_dir(at("broken")).unwrap();
    let mut broken = Bag::good();
    broken.edit("meta/coverage.json", |t| t + " ");
    broken.write_to(&at("broken"));
    std::fs::copy(repository("playbooks/contain-first.yaml"), at("good.yaml")).unwrap();
    std::fs::write(at("bad.yaml"), "playbook: x\ntitle: X\nphases:\n  - phase: colect\n").unwrap();
    std::fs::write(at("guard.yaml"), "guard: acme\notherwise: approve\n").unwrap();
    std::fs::copy(repository("tests/data/events/guardduty/good/c2-activity.json"), at("finding.json")).unwrap();
    terminal
}

/// Asks the independent validator about each of these documents.
pub fn valid(documents: &[(&str, PathBuf)]) -> Result<(), String> {
    let mut command = Command::new(python_tools().join("python3"));
    command.arg(repository("tests/tools/validate_documents.py")).arg(repository("evidence-schema"));
    command.args(documents.iter().map(|(form, path)| format!("{form}={}", path.display())));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if output.status.success() { Ok(()) } else { Err(said) }
}

fn save(dir: &Path, name: String, bytes: &[u8]) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn one_document_of_its_form_and_nothing_else() {
    let terminal = terminal();
    let mut documents = vec![];
    for (n, (form, args)) in COMMANDS.iter().enumerate() {
        let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        let output = terminal.run(&args);
        // serde_json refuses anything behind the document but white space.
        let document: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{args:?}: {e}: {}", String::from_utf8_lossy(&output.stdout)));
        assert_eq!(document["v"], 1, "{args:?}");
        if *form == "error" {
            assert_eq!(document["exit_code"].as_i64(), output.status.code().map(i64::from), "{args:?}");
            assert!(!output.stderr.is_empty(), "{args:?}: a person reads stderr");
        }
        documents.push((*form, save(terminal.path(), format!("{n}.json"), &output.stdout)));
    }
    valid(&documents).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn the_schemas_refuse_what_they_do_not_name() {
    let terminal = terminal();
    let mut seen = vec![];
    for (form, args) in COMMANDS {
        if seen.contains(form) {
            continue;
        }
        seen.push(*form);
        let output = terminal.run(&args.iter().copied().chain(["--json"]).collect::<Vec<_>>());
        let mut document: Value = serde_json::from_slice(&output.stdout).unwrap();
        document["note"] = "x".into();
        let path = save(terminal.path(), format!("{form}.json"), document.to_string().as_bytes());
        let said = valid(&[(form, path)]).expect_err("a member passes that no schema names");
        assert!(said.contains("note"), "{form}: {said}");
    }
}
