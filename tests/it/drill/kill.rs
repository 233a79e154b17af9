//! Killed anywhere (SIGKILL), a run leaves nothing that lies: a bundle is unfinished or whole and never broken, and `restore` brings the
//! function back exactly as it was. Each kill hits a known place: held in front of AWS by a [`Gate`], or at one of the program's own fault
//! points between two writes to the disk. The next run goes into the same case, on top of what the killed ones left there.

use super::gate::{Gate, Moment};
use crate::support::emulator::{Stage, bundle, events, ok};
use freezeframe::bundle::verify::{Verdict, verify};
use freezeframe::drill::command::Shell;
use freezeframe::drill::incident::names;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

/// `src/bundle/fault_point.rs` is empty in a release build.
const FAULT_POINTS: bool = cfg!(debug_assertions);

const CASE: &str = "IR-2026-0042";
const RUN: &[&str] = &["run", "snapshot-and-contain", names::FUNCTION, "--case", CASE, "--yes"];
/// The same with less to collect, where collecting is not what is killed.
const QUICK_RUN: &[&str] = &["run", QUICK_FILE, names::FUNCTION, "--case", CASE, "--yes"];
const QUICK_FILE: &str = "<the file below>";
const QUICK: &str = "\
playbook: quick-and-contain
title: Little evidence, then containment
phases:
  - phase: collect
    steps:
      - use: all
      - use: control-plane-history
        enabled: false
      - use: recent-invocations
        enabled: false
  - phase: seal
  - phase: verify
  - phase: contain
    steps:
      - use: freeze-concurrency
      - use: quarantine-role
";
const CONTAIN: &[&str] = &["contain", names::FUNCTION, "--case", CASE, "--without-evidence", "a rehearsal", "--yes"];
const RESTORE: &[&str] = &["restore", CASE, "--yes"];

const SET_CONCURRENCY: &str = "PUT /2017-10-31/functions/payments-export/concurrency";
const DELETE_CONCURRENCY: &str = "DELETE /2017-10-31/functions/payments-export/concurrency";
const LIST_VERSIONS: &str = "GET /2015-03-31/functions/payments-export/versions";
const PUT_DENY: &str = "Action=PutRolePolicy";
const DELETE_DENY: &str = "Action=DeleteRolePolicy";

/// Where the process dies.
#[derive(Clone, Copy, Debug)]
enum At {
    /// At a fault point, for the n-th time.
    Point(&'static str, u32),
    Wire(Moment, &'static str),
}
use At::{Point, Wire};
use Moment::{Answered, Asked};

/// A place, what lies there afterwards (`kind form: verdict`), and the last line of the case journal.
struct Kill(At, &'static [&'static str], &'static str);

/// Start it, kill it at that place, and look at what it left.
async fn kill(stage: &Stage, shell: &Shell, args: &[&str], at: At) {
    let mut command = shell.process(args);
    command.arg("--json").stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let mark = stage.scratch().join("mark");
    let _ = fs::remove_file(&mark);
    let gate = match at {
        Wire(moment, needle) => Some(Gate::before(&stage.emulator.endpoint, moment, needle).await),
        Point(name, nth) => {
            command.env("FREEZEFRAME_HOLD_AT", format!("{name}:{nth}:{}", mark.display()));
            None
        }
    };
    if let Some(gate) = &gate {
        command.env("AWS_ENDPOINT_URL", &gate.endpoint);
    }
    let mut child = command.spawn().unwrap();
    let there = async {
        match &gate {
            Some(gate) => gate.holds().await,
            None => {
                while !mark.exists() {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            }
        }
    };
    tokio::select! {
        () = there => child.kill().await.unwrap(),
        ended = child.wait() => {
            let mut stderr = String::new();
            tokio::io::AsyncReadExt::read_to_string(&mut child.stderr.take().unwrap(), &mut stderr).await.unwrap();
            panic!("{at:?} was never reached: {ended:?}\n{stderr}");
        }
    }
    use std::os::unix::process::ExitStatusExt as _;
    assert_eq!(child.wait().await.unwrap().signal(), Some(9), "{at:?}");
}

/// Everything in a case that claims to be a bundle.
fn bundles(case: &Path) -> BTreeSet<PathBuf> {
    let Ok(entries) = fs::read_dir(case) else { return BTreeSet::new() };
    let claims = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name != "journal" && !name.starts_with('.') && (path.is_dir() || name.ends_with(".zip"))
    };
    entries.map(|e| e.unwrap().path()).filter(claims).collect()
}

/// `containment dir: unfinished`, by the program's own word and exit code.
async fn told(shell: &Shell, path: &Path) -> String {
    let verified = shell.run(&["verify", path.to_str().unwrap()]).await.unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    let kind = ["containment", "restore"].into_iter().find(|k| name.trim_end_matches(".zip").ends_with(k)).unwrap_or("acquisition");
    let verdict = verified.document["verdict"].as_str().unwrap_or("none");
    assert_eq!(verified.code, if verdict == "whole" { 0 } else { 4 }, "{name}: {}", verified.stderr);
    assert_ne!(verdict, "broken", "{name}: {:#}", verified.document["findings"]);
    format!("{kind} {}: {verdict}", if path.is_dir() { "dir" } else { "zip" })
}

async fn last_event(case: &Path) -> String {
    let last = events(case).await.pop();
    last.map_or("nothing".into(), |e| serde_json::to_value(&e).unwrap()["ev"].as_str().unwrap().to_string())
}

/// Kill `args` at each of the places, one after the other, in one case. `first` is done before each.
async fn survives(first: Option<&[&str]>, args: &[&str], kills: &[Kill]) {
    if !FAULT_POINTS {
        return println!("skipped: {} kills need a debug build, for its fault points", kills.len());
    }
    let stage = Stage::set().await;
    let (shell, case) = (stage.root(), stage.case(CASE));
    let quick = stage.scratch().join("quick.yaml");
    fs::write(&quick, QUICK).unwrap();
    let args: Vec<&str> = args.iter().map(|a| if *a == QUICK_FILE { quick.to_str().unwrap() } else { a }).collect();
    for Kill(at, left, last) in kills {
        if let Some(first) = first {
            ok(shell.run(first).await.unwrap(), 0);
        }
        let before = bundles(&case);
        kill(&stage, &shell, &args, *at).await;
        let mut found = vec![];
        for path in bundles(&case).difference(&before) {
            found.push(told(&shell, path).await);
        }
        found.sort();
        assert_eq!(
            (found.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), last_event(&case).await.as_str()),
            (*left, *last),
            "after {at:?}"
        );

        let restored = ok(shell.run(RESTORE).await.unwrap(), 0);
        stage.assert_as_before(&format!("restored after {at:?}")).await;
        for n in 0..restored["bundles"].as_array().unwrap().len() {
            assert_eq!(told(&shell, &bundle(&restored, n)).await, "restore zip: whole", "after {at:?}");
        }
        let again = ok(shell.run(RESTORE).await.unwrap(), 0);
        assert_eq!(again["headline"], "nothing to restore: this case holds nothing contained", "after {at:?}");
    }
    // And on top of all that, a run that nobody kills.
    let run = ok(shell.run(RUN).await.unwrap(), 0);
    for n in 0..2 {
        assert!(told(&shell, &bundle(&run, n)).await.ends_with("zip: whole"));
    }
    ok(shell.run(RESTORE).await.unwrap(), 0);
    stage.assert_as_before("at the end").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_collecting_and_sealing() {
    const DIR: &[&str] = &["acquisition dir: unfinished"];
    let kills = [
        Kill(Point("case-segment", 1), &[], "run-started"),
        Kill(Wire(Asked, LIST_VERSIONS), DIR, "run-started"),
        Kill(Wire(Answered, "Action=GetPolicyVersion"), DIR, "run-started"),
        Kill(Point("bundle-line", 30), DIR, "run-started"),
        Kill(Point("seal-begins", 1), DIR, "run-started"),
        Kill(Point("tag-file", 9), DIR, "run-started"),
        Kill(Point("stated", 1), DIR, "run-started"),
    ];
    survives(None, RUN, &kills).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_bundle_is_handed_over() {
    const DIR: &[&str] = &["acquisition dir: whole"];
    const BOTH: &[&str] = &["acquisition dir: whole", "acquisition zip: whole"];
    let kills = [
        Kill(Point("sealed", 1), DIR, "run-started"),
        Kill(Point("zip-entry", 20), DIR, "run-started"),
        Kill(Point("zip-written", 1), DIR, "run-started"),
        Kill(Point("zipped", 1), BOTH, "run-started"),
        Kill(Point("case-segment", 2), BOTH, "sealed"),
        Kill(Point("discarded", 1), &["acquisition zip: whole"], "sealed"),
    ];
    survives(None, QUICK_RUN, &kills).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_containing() {
    const OPEN: &[&str] = &["acquisition zip: whole", "containment dir: unfinished"];
    let kills = [
        // Intent durable, and the write not even tried; then tried and lost; then landed and unheard of.
        Kill(Point("case-segment", 3), OPEN, "intent"),
        Kill(Wire(Asked, SET_CONCURRENCY), OPEN, "intent"),
        Kill(Wire(Answered, SET_CONCURRENCY), OPEN, "intent"),
        Kill(Point("case-segment", 4), OPEN, "applied"),
        Kill(Wire(Asked, PUT_DENY), OPEN, "intent"),
        Kill(Wire(Answered, PUT_DENY), OPEN, "intent"),
        Kill(Point("case-segment", 8), OPEN, "read-back"),
        Kill(Point("sealed", 2), &["acquisition zip: whole", "containment dir: whole"], "read-back"),
        Kill(Point("zipped", 2), &["acquisition zip: whole", "containment dir: whole", "containment zip: whole"], "read-back"),
    ];
    survives(None, QUICK_RUN, &kills).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_restoring() {
    const OPEN: &[&str] = &["restore dir: unfinished"];
    let kills = [
        Kill(Point("case-segment", 1), &[], "run-started"),
        Kill(Wire(Asked, DELETE_CONCURRENCY), OPEN, "restore-intent"),
        Kill(Wire(Answered, DELETE_CONCURRENCY), OPEN, "restore-intent"),
        Kill(Point("case-segment", 3), OPEN, "restored"),
        Kill(Wire(Asked, DELETE_DENY), OPEN, "restore-intent"),
        Kill(Wire(Answered, DELETE_DENY), OPEN, "restore-intent"),
        Kill(Point("sealed", 1), &["restore dir: whole"], "restored"),
        Kill(Point("zipped", 1), &["restore dir: whole", "restore zip: whole"], "restored"),
    ];
    survives(Some(CONTAIN), RESTORE, &kills).await;
}

/// A kill in the middle of a write leaves half a file. Every file that sealing writes is cut short once, with all that comes after it gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_file_is_unfinished_and_not_broken() {
    if !FAULT_POINTS {
        return println!("skipped: it needs a debug build, for its fault points");
    }
    let stage = Stage::set().await;
    let (shell, case) = (stage.root(), stage.case(CASE));
    kill(&stage, &shell, &["snapshot", names::FUNCTION, "--case", CASE], Point("tag-file", 10)).await;
    let bag = bundles(&case).pop_first().unwrap();
    // Newest first: the order in which `seal.rs` writes them, backwards.
    let written = [
        "tagmanifest-sha256.txt",
        "manifest-sha256.txt",
        "bag-info.txt",
        "bagit.txt",
        "meta/VERIFY.txt",
        "meta/CERTIFICATION.md",
        "meta/README.txt",
        "meta/coverage.json",
        "meta/redactions.jsonl",
        "meta/items.jsonl",
    ];
    for name in written {
        let path = bag.join(name);
        let bytes = fs::read(&path).unwrap();
        for keep in [bytes.len() - 1, bytes.len() / 2, 0] {
            fs::write(&path, &bytes[..keep]).unwrap();
            let v = verify(&bag).unwrap();
            assert_eq!(v.verdict(), Verdict::Unfinished, "{name} cut to {keep} bytes: {:#?}", v.errors().collect::<Vec<_>>());
        }
        fs::remove_file(&path).unwrap();
    }
    let line = bag.join("meta/journal/000001.jsonl");
    let bytes = fs::read(&line).unwrap();
    fs::write(&line, &bytes[..bytes.len() - 9]).unwrap();
    assert_eq!(verify(&bag).unwrap().verdict(), Verdict::Unfinished);
}

/// Everything that can be done without a word about this function: every line of the journal of such a containment is the last one once.
const FULL: &str = "\
playbook: everything
title: All that contains without a word about this function
phases:
  - phase: contain
    override: a rehearsal
    steps:
      - use: disable-rules
        with: { accept-shared: true }
      - use: release-provisioned-concurrency
      - use: freeze-concurrency
      - use: scale-to-zero
      - use: quarantine-role
      - use: pause-event-source-mappings
      - use: deny-invocation
      - use: close-function-urls
      - use: revoke-sessions
        with: { recycle: on }
      - use: block-role-assumption
      - use: set-permissions-boundary
        with: { boundary: \"arn:aws:iam::123456789012:policy/nothing-at-all\" }
      - use: detach-permissions
";

fn full_contain<'a>(case: &'a str, file: &'a str) -> [&'a str; 10] {
    let why = ["--without-evidence", "a rehearsal", "--accept-shared-role", "--yes"];
    ["contain", names::FUNCTION, "--case", case, "--playbook", file, why[0], why[1], why[2], why[3]]
}

/// Minutes long: run by name. What is left out here is in the next one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a quarter of an hour; `at_lines_of_a_full_containment` is its every fifth line"]
async fn at_every_line_of_a_full_containment() {
    at_lines(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_lines_of_a_full_containment() {
    at_lines(5).await;
}

/// Kills a full containment at each `step`-th line of the case's journal, and at its last.
async fn at_lines(step: usize) {
    if !FAULT_POINTS {
        return println!("skipped: it needs a debug build, for its fault points");
    }
    let stage = Stage::set().await;
    let shell = stage.root();
    // The emulator has not AWS's own AWSDenyAll.
    let deny = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}"#;
    stage.aws.iam.create_policy().policy_name("nothing-at-all").policy_document(deny).send().await.unwrap();
    let full = stage.scratch().join("everything.yaml");
    fs::write(&full, FULL).unwrap();
    let (case, file) = ("IR-0", full.to_str().unwrap());
    let whole = ok(shell.run(&full_contain(case, file)).await.unwrap(), 0);
    assert!(whole["containment"]["cells"].as_array().unwrap().len() >= 12, "{whole:#}");
    let segments = fs::read_dir(stage.case(case).join("journal")).unwrap().count() as u32;
    assert!(segments > 36, "{segments}: three lines for each cell, and the case's own");
    ok(shell.run(&["restore", case, "--yes"]).await.unwrap(), 0);
    stage.assert_as_before("nobody killed it").await;

    println!("{segments} lines in the journal of a full containment, killed at each {step}.");
    for n in (1..segments).step_by(step).chain([segments]) {
        let case = format!("IR-{n}");
        kill(&stage, &shell, &full_contain(&case, file), Point("case-segment", n)).await;
        let last = last_event(&stage.case(&case)).await;
        ok(shell.run(&["restore", &case, "--yes"]).await.unwrap(), 0);
        stage.assert_as_before(&format!("restored after a kill at line {n} of {segments} ({last})")).await;
        let again = ok(shell.run(&["restore", &case, "--yes"]).await.unwrap(), 0);
        assert_eq!(again["headline"], "nothing to restore: this case holds nothing contained", "after line {n} ({last})");
    }
}
