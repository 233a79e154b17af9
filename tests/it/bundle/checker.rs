//! A second opinion: `tests/checker/`, in Python, written from `evidence-schema/README.md` and the schemas alone, judges every bundle of these
//! tests beside `verify`. Where the two disagree one of them is wrong, or the document is.

use super::bag::Bag;
use super::fixtures::{self, Fixture};
use crate::support::tools::repository;
use freezeframe::bundle::source::OpenError;
use freezeframe::bundle::verify::{DemandedKey, Level, verify_with};
use freezeframe::model::outcome::Outcome;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What one of the two says: exit code, verdict, and which checks found an error or something to warn of.
#[derive(Debug, PartialEq, Eq)]
pub struct Opinion {
    pub code: i64,
    verdict: Option<String>,
    fired: BTreeSet<(String, String)>,
}

/// Bundles of which the two rightly say different things, and why. Each must go on being different.
const DIFFER: &[(&str, &str)] = &[];

fn ours(place: &Path, keys: &[DemandedKey]) -> Opinion {
    let level = |l: Level| if l == Level::Error { "error" } else { "warn" }.to_string();
    match verify_with(place, keys) {
        Ok(v) => Opinion {
            code: v.outcome().exit_code().into(),
            verdict: Some(v.verdict().as_str().into()),
            fired: v.findings.iter().filter(|f| f.level != Level::Info).map(|f| (f.check.into(), level(f.level))).collect(),
        },
        // A zip that cannot even be listed is a failed verification with one thing to say; what is no bundle is a failed command.
        Err(e) if e.outcome() == Outcome::VerificationFailed => {
            Opinion { code: 4, verdict: Some("broken".into()), fired: [("container".into(), "error".into())].into() }
        }
        Err(OpenError::NotABag { .. } | OpenError::Open { .. } | OpenError::List { .. }) => {
            Opinion { code: 1, verdict: None, fired: BTreeSet::new() }
        }
        Err(e) => panic!("{e}"),
    }
}

/// The checker's command lines, all by one Python: through its `main`, with what it prints and the code it ends with.
const DRIVER: &str = "\
import contextlib, io, json, sys
import check_bundle
for line in sys.stdin:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = check_bundle.main(json.loads(line))
    print(json.dumps({'code': code, 'said': json.loads(out.getvalue())}), flush=True)
";

/// `None`, with a line that says so, where there is no Python of 3.11 or newer.
fn python() -> Option<&'static str> {
    crate::stock::stock("python3")?;
    let new = Command::new("python3").args(["-c", "import sys; sys.exit(sys.version_info < (3, 11))"]).status().unwrap().success();
    if !new {
        println!("skipped: python3 is older than 3.11");
    }
    new.then_some("python3")
}

fn theirs(command_lines: &[Vec<String>]) -> Option<Vec<Opinion>> {
    let mut child = Command::new(python()?)
        .args(["-B", "-c", DRIVER])
        .env("PYTHONPATH", repository("tests/checker"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: String = command_lines.iter().map(|c| json!(c).to_string() + "\n").collect();
    let mut stdin = child.stdin.take().unwrap();
    let feed = std::thread::spawn(move || drop(stdin.write_all(lines.as_bytes())));
    let output = child.wait_with_output().unwrap();
    feed.join().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let opinions: Vec<Opinion> = text.lines().map(|l| opinion(&serde_json::from_str(l).unwrap())).collect();
    assert_eq!(opinions.len(), command_lines.len());
    Some(opinions)
}

fn opinion(told: &Value) -> Opinion {
    let said = &told["said"];
    let word = |f: &Value, m: &str| f[m].as_str().unwrap_or_else(|| panic!("{said}")).to_string();
    let findings = said["findings"].as_array().unwrap();
    let verdict = said["verdict"].as_str().map(str::to_string);
    assert!(findings.iter().all(|f| !word(f, "what").is_empty() && f["level"] != "fault"), "{said}");
    let worth = findings.iter().filter(|f| f["level"] != "info" && verdict.is_some());
    Opinion { code: told["code"].as_i64().unwrap(), fired: worth.map(|f| (word(f, "check"), word(f, "level"))).collect(), verdict }
}

fn command_line(place: &Path, keys: &[DemandedKey], beside: &Path, schemas: &Path) -> Vec<String> {
    let mut all = vec![place.display().to_string(), "--schemas".into(), schemas.display().to_string()];
    for (n, key) in keys.iter().enumerate() {
        all.push("--key".into());
        all.push(match key {
            DemandedKey::Fingerprint(f) => f.to_string(),
            DemandedKey::Key(key) => {
                let file = beside.join(format!("{n}.pem"));
                std::fs::write(&file, key.to_pem()).unwrap();
                file.display().to_string()
            }
        });
    }
    all
}

/// What each of the two says of each bundle: first `verify`, then the checker. `None` without a Python.
pub fn both(bundles: &[(PathBuf, Vec<DemandedKey>)]) -> Option<Vec<(Opinion, Opinion)>> {
    let beside = tempfile::tempdir().unwrap();
    // What the types say now; another test holds `evidence-schema/` to it.
    for (name, text) in freezeframe::bundle::schemas::all() {
        std::fs::write(beside.path().join(name), text).unwrap();
    }
    let lines: Vec<Vec<String>> = bundles
        .iter()
        .enumerate()
        .map(|(n, (place, keys))| {
            let at = beside.path().join(n.to_string());
            std::fs::create_dir(&at).unwrap();
            command_line(place, keys, &at, beside.path())
        })
        .collect();
    let theirs = theirs(&lines)?;
    Some(bundles.iter().map(|(place, keys)| ours(place, keys)).zip(theirs).collect())
}

#[test]
fn the_two_agree_about_every_bundle() {
    let root = tempfile::tempdir().unwrap();
    let fixtures = fixtures::all();
    let write = |(n, fixture): (usize, &Fixture)| {
        let at = root.path().join(n.to_string());
        std::fs::create_dir(&at).unwrap();
        (fixture.write(&at), fixture.keys.clone())
    };
    let Some(opinions) = both(&fixtures.iter().enumerate().map(write).collect::<Vec<_>>()) else { return };
    let differ: BTreeMap<&str, &str> = DIFFER.iter().copied().collect();
    let (mut failures, mut verdicts) = (vec![], BTreeMap::<_, u32>::new());
    for (Fixture { name, .. }, (ours, theirs)) in fixtures.iter().zip(opinions) {
        match (ours == theirs, differ.contains_key(name.as_str())) {
            (true, true) => failures.push(format!("{name}: they agree now, so the exception can go")),
            (false, false) => failures.push(format!("{name}:\n  verify  {ours:?}\n  checker {theirs:?}")),
            // However they differ: what one calls whole the other does not call broken.
            (false, true) => assert_eq!((ours.code, &ours.verdict), (theirs.code, &theirs.verdict), "{name}"),
            (true, false) => {}
        }
        *verdicts.entry(theirs.verdict.unwrap_or("no bundle".into())).or_default() += 1;
    }
    println!("{} bundles judged by both: {verdicts:?}", fixtures.len());
    let unknown: Vec<_> = differ.keys().filter(|d| !fixtures.iter().any(|f| f.name == **d)).collect();
    assert!(unknown.is_empty(), "no such fixtures: {unknown:?}");
    assert!(failures.is_empty(), "{} of {} bundles\n{}", failures.len(), fixtures.len(), failures.join("\n"));
}

/// Elsewhere no directory can hold both.
#[cfg(target_os = "linux")]
#[test]
fn the_two_agree_about_a_file_and_a_directory_of_another_case() {
    let at = tempfile::tempdir().unwrap();
    let mut parts = super::bag::Parts::good();
    for name in ["extra", "Extra/y.json"] {
        parts.payload.insert(format!("data/00-plan/{name}"), b"{}".to_vec());
    }
    let bag = parts.seal();
    let (directory, zip) = (at.path().join("bag"), at.path().join(format!("{}.zip", super::bag::NAME)));
    bag.write_to(&directory);
    std::fs::write(&zip, bag.zip().bytes()).unwrap();
    for (ours, theirs) in both(&[(directory, vec![]), (zip, vec![])]).into_iter().flatten() {
        assert!(ours.fired.contains(&("container".into(), "error".into())), "{ours:?}");
        assert_eq!(ours, theirs);
    }
}

#[test]
fn the_checker_is_a_program_that_ends_like_verify() {
    let Some(python) = python() else { return };
    let at = tempfile::tempdir().unwrap();
    let (good, broken, key) = (at.path().join("good"), at.path().join("broken"), at.path().join("no.pem"));
    Bag::good().write_to(&good);
    Bag::good().write_to(&broken);
    std::fs::write(broken.join("meta/README.txt"), "x").unwrap();
    std::fs::write(&key, "none").unwrap();
    let path = |p: &Path| p.display().to_string();
    for (arguments, code) in [
        (vec![path(&good)], 0),
        (vec![path(&broken)], 4),
        (vec![path(&good), "--key".into(), "0".repeat(64)], 4),
        (vec!["/nowhere/at/all".into()], 1),
        (vec![path(&good), "--key".into(), path(&key)], 2),
        (vec![], 2),
    ] {
        let program = repository("tests/checker/check_bundle.py");
        let output = Command::new(python).arg("-B").arg(program).args(&arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(!said.contains("Traceback"), "{said}");
        assert_eq!(serde_json::from_slice::<Value>(&output.stdout).is_ok(), code != 2, "{arguments:?}");
    }
}
