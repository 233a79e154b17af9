//! What other people's programs say of the main job: unzip, sha256sum, bagit.py, a JSON Schema validator, the commands of the bundle's own
//! VERIFY.txt, boto3 and the AWS CLI. The job is done once for this binary, on the emulator, and then looked at from all sides.
//!
//! A program that a new machine may lack (jq, unzip, openssl) is skipped with a printed line; those of the Python environment never are.

mod bag;
mod containment;
mod coverage;
mod digests;
mod documents;
mod groups;
mod restore_script;
mod same_questions;
mod seal;
mod secrets;
mod verify_txt;

use crate::support::emulator::{Stage, bundle, ok};
use crate::support::stage::{PROGRAM, stranger};
use crate::support::tools::{python_tools, repository};
use crate::support::tsa::Authority;
use freezeframe::drill::Keys;
use freezeframe::drill::command::{Ended, Shell};
use freezeframe::drill::incident::names::{FUNCTION, NEIGHBOUR, SECRET_VARIABLES};
use freezeframe::drill::incident::operator;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, OnceLock};
use tempfile::TempDir;

pub const CASE: &str = "IR-2026-0042";

/// What is left of one practice: files and other people's words.
pub struct Practice {
    pub case_dir: PathBuf,
    /// Where the acquisition's originals lie, opened.
    pub originals: PathBuf,
    /// The zips: acquisition, containment, restore.
    pub bundles: [PathBuf; 3],
    /// The documents that the commands printed, with the schema of each.
    pub documents: Vec<(&'static str, PathBuf)>,
    /// The same, by command; and how those that were refused ended.
    pub ended: BTreeMap<&'static str, (i32, Value, String)>,
    /// The AWS CLI's reads before, contained, after.
    pub reads: [Value; 3],
    /// Single commands of the AWS CLI while contained.
    pub contained: BTreeMap<&'static str, Value>,
    /// What `compare_bodies.py` said of the bundle, and of one with a changed body: code and text.
    pub compared: (bool, String),
    pub compared_changed: (bool, String),
    /// Fingerprints of the local key, which signs everything, and of the KMS key, which signs the acquisition.
    pub keys: [String; 2],
    /// Who stamped the acquisition.
    pub authority: Option<Arc<Authority>>,
    /// Where all of it lies.
    files: TempDir,
}

/// The practice; the first test that asks waits for it.
pub fn practice() -> &'static Practice {
    static PRACTICE: OnceLock<Result<Practice, String>> = OnceLock::new();
    let practice = PRACTICE.get_or_init(|| {
        let play = || tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(play());
        // On a thread of its own, so that one panic is told to every test and not only to the first.
        std::thread::spawn(play).join().map_err(|e| {
            e.downcast::<String>()
                .map_or_else(|e| e.downcast::<&str>().map_or_else(|_| "it panicked".into(), |t| t.to_string()), |text| *text)
        })
    });
    practice.as_ref().unwrap_or_else(|e| panic!("the practice could not be played: {e}"))
}

async fn play() -> Practice {
    let stage = Stage::set().await;
    // The stage's own files go with it; these are looked at later, and go with the target directory.
    let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
    forget_old_ones(place);
    let files = tempfile::Builder::new().prefix("stock-").tempdir_in(place).unwrap();
    let mut practice = Practice {
        case_dir: files.path().join(CASE),
        originals: PathBuf::new(),
        bundles: Default::default(),
        documents: vec![],
        ended: BTreeMap::new(),
        reads: Default::default(),
        contained: BTreeMap::new(),
        compared: Default::default(),
        compared_changed: Default::default(),
        keys: Default::default(),
        authority: None,
        files,
    };
    let created = aws(&stage, &["kms", "create-key", "--key-spec", "ECC_NIST_P256", "--key-usage", "SIGN_VERIFY"]);
    let kms = created["KeyMetadata"]["Arn"].as_str().unwrap();
    let plan = stage.root().run(&["plan", "snapshot-and-contain", FUNCTION, "--kms-key", kms]).await.unwrap();
    let permissions = operator::policies(&plan.document);
    practice.heard("foretold", "plan", &plan);
    let keys = stage.operator("ir-responder", &permissions).await;
    let shell = Shell::new(Path::new(PROGRAM), &stage.emulator, &keys, practice.files.path());
    // Under root: whoever may ask about one function alone is told nothing of another, not even that it is not there.
    let nowhere = stage.root().run(&["snapshot", "payments-exprot", "--case", "IR-0"]).await.unwrap();
    practice.heard("error", "snapshot of a function that is not there", &nowhere);
    // From here on whatever this shell seals is signed with a local key, and where it is said, with the KMS key too.
    let made = shell.run(&["key", "new"]).await.unwrap();
    practice.heard("key", "key new", &made);
    let theirs = shell.run(&["key", "show", "--kms-key", kms]).await.unwrap();
    practice.heard("key", "key show", &theirs);
    practice.keys = [&made, &theirs].map(|k| k.document["fingerprint"].as_str().unwrap().to_string());
    let early = shell.run(&["contain", FUNCTION, "--case", CASE, "--yes"]).await.unwrap();
    practice.heard("error", "contain without evidence", &early);

    // Without openssl there is no authority to ask, and the acquisition is not stamped.
    practice.authority = Authority::new();
    let mut words = vec!["snapshot", FUNCTION, "--case", CASE, "--kms-key", kms];
    let address = practice.authority.as_ref().map(|a| a.serve(|answer| answer));
    words.extend(address.iter().flat_map(|a| ["--tsa", a.as_str()]));
    let snapshot = shell.run(&words).await.unwrap();
    practice.heard("report", "snapshot", &snapshot);
    practice.bundles[0] = only_bundle(ok(snapshot, 0));
    let bag = unpacked(&practice.bundles[0]);
    let zip = practice.bundles[0].to_string_lossy().into_owned();
    let dir = practice.files.path().to_path_buf();
    let place = |name: &str| dir.join(name);
    let (originals, disclosed) = (place("originals"), place("disclosed"));
    practice.originals = originals.clone();
    let unsealed = shell.run(&["unseal", &zip, "--to", &originals.to_string_lossy(), "--why", "to compare them"]).await.unwrap();
    practice.heard("unsealed", "unseal", &unsealed);
    let leaked = place("leaked");
    std::fs::write(&leaked, format!("{}\n", SECRET_VARIABLES[0].1)).unwrap();
    let proven = shell.run(&["unseal", &zip, "--prove", &leaked.to_string_lossy()]).await.unwrap();
    practice.heard("proven", "unseal --prove", &proven);
    let copied = shell.run(&["disclose", &zip, "--to", &disclosed.to_string_lossy()]).await.unwrap();
    practice.heard("disclosed", "disclose", &copied);
    let again = shell.run(&["unseal", &zip, "--to", &originals.to_string_lossy()]).await.unwrap();
    practice.heard("error", "unseal into a directory that is there", &again);
    practice.compared = compare(&stage, &keys, &bag.dir, &["--originals", &originals.to_string_lossy()]);
    change(&bag.dir.join("data/30-policy"), ".json", "FunctionURLAllowPublicAccess", "FunctionURLAllowPublicAcces");
    change(&bag.dir.join("data/50-identity"), ".xml", "payments-export-role", "payments-export-rolf");
    change(&bag.dir.join("data/60-invocation"), ".json", "\"TracesProcessedCount\": 0", "\"TracesProcessedCount\": 1");
    // One that nobody can ask again, so that it would go unnoticed if what is left over were not counted.
    let stray = json!({
        "id": "999999", "unit": "x", "service": "Nobody", "operation": "Ask", "region": "us-east-1", "attempt": 1, "method": "GET",
        "uri": "http://127.0.0.1:1/", "request_headers": [], "sent": "2026-11-20T12:00:00.000Z", "took_ms": 1, "status": 200,
        "body_end": {"how": "complete"}, "body_bytes": 0,
    });
    std::fs::write(bag.dir.join("data/20-config/999999-Ask.http.json"), stray.to_string()).unwrap();
    practice.compared_changed = compare(&stage, &keys, &bag.dir, &["--originals", &originals.to_string_lossy(), "--without", "cloudtrail"]);

    practice.reads[0] = reads(&stage);
    let unasked = shell.run(&["contain", FUNCTION, "--case", CASE]).await.unwrap();
    practice.heard("error", "contain without a terminal", &unasked);
    let contain = shell.run(&["contain", FUNCTION, "--case", CASE, "--yes"]).await.unwrap();
    practice.heard("report", "contain", &contain);
    practice.bundles[1] = only_bundle(ok(contain, 0));
    practice.reads[1] = reads(&stage);
    let concurrency = aws(&stage, &["lambda", "get-function-concurrency", "--function-name", FUNCTION]);
    practice.contained.insert("concurrency", concurrency);
    let inline = aws(&stage, &["iam", "list-role-policies", "--role-name", "payments-export-role"]);
    for name in inline["PolicyNames"].as_array().unwrap().iter().filter_map(Value::as_str).filter(|n| *n != "export-write") {
        let policy = aws(&stage, &["iam", "get-role-policy", "--role-name", "payments-export-role", "--policy-name", name]);
        practice.contained.insert("deny", policy);
    }

    let foretold = shell.run(&["restore", CASE, "--dry-run"]).await.unwrap();
    practice.heard("report", "restore --dry-run", &foretold);
    let restore = shell.run(&["restore", CASE, "--yes"]).await.unwrap();
    practice.heard("report", "restore", &restore);
    practice.bundles[2] = only_bundle(ok(restore, 0));
    practice.reads[2] = reads(&stage);
    for (name, n) in [("verify acquisition", 0), ("verify containment", 1), ("verify restore", 2)] {
        let verified = shell.run(&["verify", &practice.bundles[n].to_string_lossy()]).await.unwrap();
        practice.heard("verification", name, &verified);
    }
    for (name, n) in [("custody acquisition", 0), ("custody containment", 1), ("custody restore", 2)] {
        let told = shell.run(&["custody", &practice.bundles[n].to_string_lossy()]).await.unwrap();
        practice.heard("custody", name, &told);
    }
    practice
}

/// A static is never dropped, so each run leaves its files: those of an hour ago are nobody's any more.
fn forget_old_ones(place: &Path) {
    for entry in std::fs::read_dir(place).into_iter().flatten().flatten() {
        let age = entry.metadata().ok().and_then(|m| m.modified().ok()).and_then(|t| t.elapsed().ok());
        if entry.file_name().to_string_lossy().starts_with("stock-") && age.is_some_and(|a| a.as_secs() > 3600) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

impl Practice {
    fn heard(&mut self, form: &'static str, command: &'static str, ended: &Ended) {
        let path = self.files.path().join(format!("{}.json", command.replace(' ', "-")));
        std::fs::write(&path, ended.document.to_string()).unwrap();
        self.documents.push((form, path));
        self.ended.insert(command, (ended.code, ended.document.clone(), ended.stderr.clone()));
    }
}

/// The one bundle that a report names.
fn only_bundle(report: Value) -> PathBuf {
    let bundles = report["bundles"].as_array().unwrap();
    assert_eq!((bundles.len(), &bundles[0]["verified"]), (1, &Value::Bool(true)));
    bundle(&report, 0)
}

fn compare(stage: &Stage, keys: &Keys, bag: &Path, more: &[&str]) -> (bool, String) {
    let mut command = stranger(&stage.emulator, python_tools().join("python3"), keys);
    command.arg(repository("tests/tools/compare_bodies.py")).arg(bag).arg(FUNCTION).args(more);
    let output = command.output().unwrap();
    (output.status.success(), said(&output))
}

fn reads(stage: &Stage) -> Value {
    let mut command = stranger(&stage.emulator, python_tools().join("python3"), &stage.emulator.root);
    let output = command.arg(repository("tests/tools/aws_reads.py")).args([FUNCTION, NEIGHBOUR]).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", said(&output)))
}

/// The AWS CLI as a person runs it.
fn aws(stage: &Stage, words: &[&str]) -> Value {
    let mut command = stranger(&stage.emulator, python_tools().join("aws"), &stage.emulator.root);
    let output = command.args(words).args(["--output", "json"]).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("aws {words:?}: {e}: {}", said(&output)))
}

pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), output.stderr.as_slice()].concat()).into_owned()
}

/// In files of `dir` with this ending, every `from` becomes `to`.
fn change(dir: &Path, ending: &str, from: &str, to: &str) {
    let mut changed = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let name = path.to_string_lossy();
        if name.ends_with(ending) && !name.ends_with(".http.json") && text.contains(from) {
            std::fs::write(&path, text.replace(from, to)).unwrap();
            changed += 1;
        }
    }
    assert!(changed > 0, "nothing in {} says {from}", dir.display());
}

/// A program of the system, or none with a line that says so.
pub fn stock(program: &str) -> Option<Command> {
    // Which option asks for the version differs; that it starts at all is what matters.
    if Command::new(program).arg("--version").stdin(std::process::Stdio::null()).output().is_ok() {
        return Some(Command::new(program));
    }
    println!("SKIPPED: {program} is not installed");
    None
}

/// A bundle out of its zip, unpacked by Python.
pub struct Unpacked {
    pub dir: PathBuf,
    _temp: TempDir,
}

pub fn unpacked(zip: &Path) -> Unpacked {
    let temp = tempfile::tempdir().unwrap();
    let python = Command::new(python_tools().join("python3")).args(["-m", "zipfile", "-e"]).arg(zip).arg(temp.path()).output().unwrap();
    assert!(python.status.success(), "{}", said(&python));
    Unpacked { dir: temp.path().join(zip.file_stem().unwrap()), _temp: temp }
}

/// One byte of a file, changed.
pub fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

/// The code of `$LATEST` in a bundle.
pub const CODE: &str = "data/10-code/v-LATEST.zip";
