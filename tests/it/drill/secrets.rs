//! Nothing secret reaches a terminal, a report or the case journal, however talkative the program is asked to be; and the credentials that it
//! works with reach no file at all. Of the evidence, what AWS answered is redacted, and sealed for whoever holds the case's identity.

use crate::support::emulator::{Stage, bundle, ok};
use crate::support::stage::stranger;
use crate::support::tools::python_tools;
use freezeframe::drill::Keys;
use freezeframe::drill::command::Shell;
use freezeframe::drill::incident::{names, operator};
use serde_json::Value;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

const CASE: &str = "IR-2026-0042";

/// Of this run: what the program works with, and must not write down anywhere.
fn own(keys: &Keys) -> Vec<String> {
    vec![keys.secret_access_key.clone(), keys.session_token.clone().unwrap()]
}

/// What the function, its logs and its history hold.
fn theirs() -> Vec<String> {
    let values = names::SECRET_VARIABLES.iter().map(|(_, value)| (*value).to_string());
    values.chain([names::TOKEN_MARKER.to_string()]).collect()
}

/// What makes a presigned address work.
fn presigned() -> Vec<String> {
    ["X-Amz-Signature=", "X-Amz-Security-Token=", "X-Amz-Credential="].map(str::to_string).to_vec()
}

fn assert_free_of(what: &str, bytes: &[u8], secrets: &[String]) {
    for secret in secrets {
        let found = bytes.windows(secret.len()).any(|w| w.eq_ignore_ascii_case(secret.as_bytes()));
        assert!(!found, "{what} holds {}…", &secret[..8.min(secret.len())]);
    }
}

struct Terminal {
    shell: Shell,
    secrets: Vec<String>,
    said: usize,
}

impl Terminal {
    /// Type it, as text and as a document, silent and talkative; the documents and the screen are free of secrets.
    async fn type_in(&mut self, args: &[&str], code: i32) -> Value {
        let mut document = Value::Null;
        for (more, log) in [(&["--json", "-v"][..], None), (&["-v"], Some("freezeframe=trace"))] {
            let mut command = self.shell.process(args);
            command.args(more).envs(log.map(|l| ("RUST_LOG", l)));
            let output = command.output().await.unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
            assert_free_of(&format!("stdout of {args:?} {more:?}"), &output.stdout, &self.secrets);
            assert_free_of(&format!("stderr of {args:?} {more:?}"), &output.stderr, &self.secrets);
            self.said += output.stdout.len() + output.stderr.len();
            if log.is_none() {
                document = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
            }
        }
        document
    }
}

/// Every file below `dir`.
fn files(dir: &Path, each: &mut dyn FnMut(&Path)) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, each) } else { each(&path) }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_secret_is_said_and_no_credential_of_ours_is_written() {
    let stage = Stage::set().await;
    let keys = stage.operator("ir-responder", &stage.permissions("snapshot-and-contain").await).await;
    let own = own(&keys);
    let secrets = [own.clone(), theirs(), presigned()].concat();
    let mut terminal = Terminal { shell: stage.shell(&keys), secrets: secrets.clone(), said: 0 };

    terminal.type_in(&["plan", "snapshot-and-contain", names::FUNCTION], 0).await;
    let run = terminal.type_in(&["run", "snapshot-and-contain", names::FUNCTION, "--case", CASE, "--yes"], 0).await;
    let zip = bundle(&run, 0);
    for path in [&zip, &bundle(&run, 1)] {
        terminal.type_in(&["verify", path.to_str().unwrap()], 0).await;
        terminal.type_in(&["show", path.to_str().unwrap()], 0).await;
    }
    terminal.type_in(&["contain", names::FUNCTION, "--case", CASE, "--yes"], 0).await;
    terminal.type_in(&["contain", names::FUNCTION, "--case", "IR-NONE", "--yes"], 8).await;
    terminal.type_in(&["snapshot", "payments-exprot", "--case", CASE], 3).await;
    terminal.type_in(&["restore", CASE, "--dry-run"], 0).await;
    terminal.type_in(&["restore", CASE, "--yes"], 0).await;
    stage.assert_as_before("restored").await;
    assert!(terminal.said > 20_000, "only {} bytes were said", terminal.said);

    // The case's own files: nothing secret in the journal; of ours nothing in any file, and no presigned address that still works.
    let mut journal = 0;
    let mut inside = 0;
    let mut sealed = 0;
    files(&stage.case(CASE), &mut |path| {
        let shown = path.display().to_string();
        if path.extension().is_none_or(|e| e != "zip") {
            journal += 1;
            return assert_free_of(&shown, &std::fs::read(path).unwrap(), &secrets);
        }
        let mut archive = zip::ZipArchive::new(File::open(path).unwrap()).unwrap();
        for n in 0..archive.len() {
            let mut entry = archive.by_index(n).unwrap();
            let (name, mut bytes) = (entry.name().unwrap().into_owned(), vec![]);
            entry.read_to_end(&mut bytes).unwrap();
            // What the function printed is evidence as it stands.
            let printed = name.contains("/data/60-invocation/") && !name.ends_with(".http.json");
            assert_free_of(&format!("{name} in {shown}"), &bytes, if printed { &own } else { &secrets });
            inside += 1;
            sealed += usize::from(name.contains("/data/sealed/"));
        }
    });
    assert!(journal > 10 && inside > 150, "{journal} files, {inside} entries");
    assert!(sealed > 5, "{sealed} files are sealed");
    // And the test would have seen them: the originals, opened, hold the function's secrets as AWS told them.
    let originals = stage.case(CASE).with_file_name("originals");
    let opened = terminal.shell.run(&["unseal", zip.to_str().unwrap(), "--to", originals.to_str().unwrap()]).await.unwrap();
    assert_eq!(opened.code, 0, "{}", opened.stderr);
    let mut all = vec![];
    files(&originals, &mut |path| all.extend(std::fs::read(path).unwrap()));
    for secret in [theirs(), vec!["X-Amz-Signature=".to_string()]].concat() {
        assert!(all.windows(secret.len()).any(|w| w.eq_ignore_ascii_case(secret.as_bytes())), "no original holds {}…", &secret[..8]);
    }
}

/// A new symmetric key, made by the AWS CLI.
fn symmetric_key(stage: &Stage) -> String {
    let mut aws = stranger(&stage.emulator, python_tools().join("aws"), &stage.emulator.root);
    let output = aws.args(["kms", "create-key", "--output", "json"]).output().unwrap();
    let made: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)));
    made["KeyMetadata"]["Arn"].as_str().unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kms_key_seals_for_whoever_may_decrypt_with_it() {
    let stage = Stage::set().await;
    let key = symmetric_key(&stage);
    let plan = stage.root().run(&["plan", "snapshot-only", names::FUNCTION, "--secrets-key", &key]).await.unwrap();
    let permissions = operator::policies(&plan.document);
    let shell = stage.shell(&stage.operator("ir-responder", &permissions).await);
    let snapshot = ok(shell.run(&["snapshot", names::FUNCTION, "--case", CASE, "--secrets-key", &key]).await.unwrap(), 0);
    let zip = bundle(&snapshot, 0);
    let zip = zip.to_str().unwrap();
    assert!(!stage.case(CASE).with_extension("identity").exists(), "the key is who may open it");

    let to = |name: &str| stage.case(CASE).with_file_name(name).to_str().unwrap().to_string();
    let without = shell.run(&["unseal", zip, "--to", &to("none")]).await.unwrap();
    assert!(without.code == 2 && without.stderr.contains("--kms"), "{}", without.stderr);
    // Who sealed it cannot read it back.
    let collector = shell.run(&["unseal", zip, "--to", &to("collector"), "--kms"]).await.unwrap();
    assert!(collector.code == 1 && collector.stderr.contains("did not decrypt"), "{}: {}", collector.code, collector.stderr);
    assert!(!Path::new(&to("collector")).exists());
    let opened =
        ok(stage.root().run(&["unseal", zip, "--to", &to("opened"), "--kms", "--why", "to see that it can be done"]).await.unwrap(), 0);
    assert!(opened["files"].as_array().unwrap().len() > 3, "{opened:#}");
    let mut all = vec![];
    files(Path::new(&to("opened")), &mut |path| all.extend(std::fs::read(path).unwrap()));
    let secret = names::SECRET_VARIABLES[0].1.as_bytes();
    assert!(all.windows(secret.len()).any(|w| w == secret));
    let told = ok(shell.run(&["custody", zip]).await.unwrap(), 0).to_string();
    assert!(told.contains("sealed originals of") && told.contains(&key) && told.contains("to see that it can be done"), "{told}");
}
