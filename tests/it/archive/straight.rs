//! Straight to S3: a bag is in the bucket while it is made. Killed (SIGKILL) at known places, it is sealed by another process in an empty
//! directory; nothing that was there is lost, nothing is put twice, the journal goes on where it ended.

use super::vault::{PLACE, VAULT};
use crate::drill::gate::{Gate, Moment, message};
use crate::support::emulator::{Stage, ok};
use freezeframe::drill::command::Shell;
use freezeframe::drill::incident::names::FUNCTION;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::JoinHandle;

const LOCKED: &[&str] = &["--archive", PLACE, "--straight", "--retain", "1d"];
const PLAYBOOK: &str = "\
playbook: little-evidence
title: What can be asked in a second
phases:
  - phase: collect
    steps:
      - use: configuration
      - use: function-code
      - use: tags
      - use: versions
      - use: aliases
      - use: execution-role
      - use: resource-policy
      - use: event-source-mappings
  - phase: seal
  - phase: verify
";

#[derive(Clone, Copy, Debug)]
pub(super) enum At {
    /// At a fault point, for the n-th time.
    Point(&'static str, u32),
    Wire(Moment, &'static str),
}
use At::{Point, Wire};
use Moment::{Answered, Asked};

pub(super) struct Vault {
    pub(super) stage: Stage,
    playbook: String,
}

impl Vault {
    pub(super) async fn set() -> Vault {
        let stage = Stage::set().await;
        stage.aws.s3.create_bucket().bucket(VAULT).object_lock_enabled_for_bucket(true).send().await.unwrap();
        let playbook = stage.scratch().join("little.yaml");
        std::fs::write(&playbook, PLAYBOOK).unwrap();
        Vault { playbook: playbook.to_str().unwrap().into(), stage }
    }

    pub(super) fn run<'a>(&'a self, case: &'a str) -> Vec<&'a str> {
        [&["run", &self.playbook, FUNCTION, "--case", case], LOCKED].concat()
    }

    /// Another machine: a terminal with an empty directory of its own.
    pub(super) fn elsewhere(&self, name: &str) -> Shell {
        let cases = self.stage.scratch().join(name);
        std::fs::create_dir_all(&cases).unwrap();
        Shell::new(Path::new(env!("CARGO_BIN_EXE_freezeframe")), &self.stage.emulator, &self.stage.emulator.root, &cases)
    }

    /// Every version below a prefix, and how many each key has.
    pub(super) async fn there(&self, lead: &str) -> BTreeMap<String, u32> {
        let (mut all, mut key, mut version) = (BTreeMap::new(), None, None);
        loop {
            let page = self.stage.aws.s3.list_object_versions().bucket(VAULT).prefix(lead);
            let page = page.set_key_marker(key).set_version_id_marker(version).send().await.unwrap();
            assert!(page.delete_markers().is_empty());
            for v in page.versions() {
                *all.entry(v.key().unwrap().to_string()).or_default() += 1;
            }
            (key, version) = (page.next_key_marker().map(str::to_string), page.next_version_id_marker().map(str::to_string));
            if page.is_truncated() != Some(true) {
                return all;
            }
        }
    }

    pub(super) async fn object(&self, key: &str) -> Vec<u8> {
        let answer = self.stage.aws.s3.get_object().bucket(VAULT).key(key).send().await.unwrap();
        answer.body.collect().await.unwrap().to_vec()
    }

    /// Runs it, and kills it there.
    pub(super) async fn kill(&self, case: &str, at: At) {
        self.kill_it(self.stage.root().process(&self.run(case)), case, at).await;
    }

    pub(super) async fn kill_it(&self, mut command: Command, case: &str, at: At) {
        command.stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mark = self.stage.scratch().join(format!("mark-{case}"));
        let gate = match at {
            Wire(moment, needle) => Some(Gate::before(&self.stage.emulator.endpoint, moment, needle).await),
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
            // What others of the run have begun meanwhile gets so far, and no further.
            tokio::time::sleep(Duration::from_millis(300)).await;
        };
        tokio::select! {
            () = there => child.kill().await.unwrap(),
            ended = child.wait() => {
                let mut stderr = String::new();
                tokio::io::AsyncReadExt::read_to_string(&mut child.stderr.take().unwrap(), &mut stderr).await.unwrap();
                panic!("{at:?} was never reached: {ended:?}\n{stderr}");
            }
        }
    }
}

pub(super) fn errors(told: &Value) -> Vec<&Value> {
    told["findings"].as_array().unwrap().iter().filter(|f| f["level"] == "error").collect()
}

/// The bundle that lies below a case, by the keys.
pub(super) fn bundle_of(keys: &BTreeMap<String, u32>, case: &str) -> Option<String> {
    let below = format!("prod/{case}/");
    keys.keys().filter_map(|k| k.strip_prefix(&below)?.split_once('/')).map(|(b, _)| b).find(|b| *b != "journal").map(str::to_string)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_anywhere_it_is_sealed_elsewhere_with_nothing_lost() {
    if !cfg!(debug_assertions) {
        return println!("skipped: it needs a debug build, for its fault points");
    }
    let kills = [
        // Before anything of it is there.
        Point("carrier-begins", 1),
        Wire(Asked, "meta/journal/000001.jsonl"),
        // From here on there is something to salvage.
        Wire(Answered, "meta/journal/000001.jsonl"),
        Point("carried-file", 1),
        Point("carried-file", 9),
        Point("carried-file", 25),
        Point("carried-segment", 1),
        Point("carried-segment", 2),
        Point("bundle-line", 30),
        Wire(Asked, "v-LATEST.zip"),
        Wire(Answered, "v-LATEST.zip"),
        Wire(Asked, "meta/journal/000002.jsonl"),
        Wire(Answered, "meta/journal/000002.jsonl"),
        Point("seal-begins", 1),
        Point("stated", 1),
        Point("discarded", 1),
        Point("archive-preflight", 1),
        Point("archive-object", 1),
        Wire(Answered, "/tagmanifest-sha256.txt"),
    ];
    let vault = Vault::set().await;
    for (n, at) in (1..).zip(kills) {
        let case = format!("IR-KILL-{n}");
        vault.kill(&case, at).await;
        let left = vault.there(&format!("prod/{case}/")).await;
        let bundle = bundle_of(&left, &case);
        assert_eq!(bundle.is_none(), n <= 2, "{at:?}: {left:#?}");
        let Some(bundle) = bundle else { continue };
        let lead = format!("prod/{case}/{bundle}/");
        let place = format!("s3://{VAULT}/{lead}").trim_end_matches('/').to_string();
        let elsewhere = vault.elsewhere(&format!("other-{n}"));
        // As it was left: unfinished, and nothing in it contradicts itself.
        let told = ok(elsewhere.run(&["verify", &place]).await.unwrap(), 4);
        assert_eq!((&told["verdict"], errors(&told)), (&json!("unfinished"), vec![]), "{at:?}: {told:#}");
        let before: BTreeMap<&String, Vec<u8>> = {
            let mut before = BTreeMap::new();
            for key in left.keys() {
                before.insert(key, vault.object(key).await);
            }
            before
        };

        // It was alive a moment ago.
        let early = elsewhere.run(&["salvage", &place, "--retain", "1d"]).await.unwrap();
        assert!(early.code == 8 && early.stderr.contains("--run-is-dead"), "{at:?}: {}", early.stderr);
        let salvaged = ok(elsewhere.run(&["salvage", &place, "--retain", "1d", "--run-is-dead"]).await.unwrap(), 0);
        let now = vault.there(&format!("prod/{case}/")).await;
        assert!(now.values().all(|n| *n == 1), "{at:?}: put twice: {now:#?}");
        for (key, bytes) in &before {
            assert_eq!(vault.object(key).await, **bytes, "{at:?}: {key}");
        }
        let told = elsewhere.run(&["verify", &place]).await.unwrap();
        let finished = salvaged["finished"] == true;
        let (code, verdict) = if finished { (0, "whole") } else { (4, "unfinished") };
        assert_eq!((told.code, &told.document["verdict"]), (code, &json!(verdict)), "{at:?}: {:#}", told.document);
        assert_eq!((errors(&told.document), &told.document["root"]), (vec![], &salvaged["root"]), "{at:?}");
        assert!(!told.document["findings"].to_string().contains("no record of an archive"), "{at:?}");

        // Every exchange that had come there is evidence of some item.
        let items = String::from_utf8(vault.object(&format!("{lead}meta/items.jsonl")).await).unwrap();
        let items: Vec<Value> = items.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        let named: Vec<&Value> = items.iter().flat_map(|i| i["exchanges"].as_array().into_iter().flatten()).collect();
        for key in left.keys().filter(|k| k.ends_with(".http.json")) {
            let record: Value = serde_json::from_slice(&before[key]).unwrap();
            assert!(named.contains(&&record["id"]), "{at:?}: {key} belongs to nothing");
        }
        assert_eq!(items.iter().any(|i| i["subject"] == "the run ended here"), !finished, "{at:?}");

        // A second time there is nothing to do.
        let again = elsewhere.run(&["salvage", &place, "--retain", "1d", "--run-is-dead"]).await.unwrap();
        assert!(again.code == 8 && again.stderr.contains("is sealed"), "{at:?}: {}", again.stderr);

        // Collection is gone on with by a run of its own, from there, in the same case.
        if n % 5 == 2 {
            let next = ok(elsewhere.run(&vault.run(&case)).await.unwrap(), 0);
            let next = next["archives"][0]["place"].as_str().unwrap();
            let statement = vault.object(&format!("{}/seal/statement.json", next.strip_prefix(&format!("s3://{VAULT}/")).unwrap())).await;
            let statement: Value = serde_json::from_slice(&statement).unwrap();
            assert_eq!(statement["predicate"]["previous"], json!({"bundle": bundle, "root": salvaged["root"]}), "{at:?}");
            let listed = ok(elsewhere.run(&["list", PLACE]).await.unwrap(), 0);
            let listed = listed["cases"].as_array().unwrap().iter().find(|c| c["case"] == case.as_str()).unwrap();
            assert_eq!((listed["bundles"].as_array().map(Vec::len), &listed["unread"]), (Some(2), &json!([])), "{at:?}: {listed:#}");
        }
        println!("{at:?}: {} objects left, {} salvaged, finished {finished}", left.len(), now.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_never_own_the_same_segment() {
    let vault = Vault::set().await;
    let gate = Gate::before(&vault.stage.emulator.endpoint, Asked, "meta/journal/000002.jsonl").await;
    let mut slow = vault.stage.root().process(&vault.run("IR-1"));
    let slow = slow.arg("--json").env("AWS_ENDPOINT_URL", &gate.endpoint).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    gate.holds().await;
    let bundle = bundle_of(&vault.there("prod/IR-1/").await, "IR-1").unwrap();
    let place = format!("{PLACE}/IR-1/{bundle}");
    let elsewhere = vault.elsewhere("other");
    let salvaged = ok(elsewhere.run(&["salvage", &place, "--retain", "1d", "--run-is-dead"]).await.unwrap(), 0);
    // The run was alive all the same: it learns that its bundle was taken up, keeps its own, and says so.
    gate.open();
    let slow = slow.wait_with_output().await.unwrap();
    let report: Value = serde_json::from_slice(&slow.stdout).unwrap();
    let notes = report["notes"].to_string();
    assert!(
        slow.status.code() == Some(1) && notes.contains("was taken up by another process") && notes.contains("NOT ARCHIVED"),
        "{notes}"
    );
    ok(elsewhere.run(&["verify", report["bundles"][0]["path"].as_str().unwrap()]).await.unwrap(), 0);
    let told = ok(elsewhere.run(&["verify", &place]).await.unwrap(), 4);
    assert_eq!((&told["verdict"], &told["root"], errors(&told)), (&json!("unfinished"), &salvaged["root"], vec![]));
    assert!(vault.there("prod/IR-1/").await.values().all(|n| *n == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_comes_to_its_end_has_put_everything_once() {
    let vault = Vault::set().await;
    let shell = vault.stage.root();
    ok(shell.run(&["key", "new"]).await.unwrap(), 0);
    let done = ok(shell.run(&vault.run("IR-1")).await.unwrap(), 0);
    let archived = &done["archives"][0];
    let told = ok(shell.run(&["verify", archived["place"].as_str().unwrap()]).await.unwrap(), 0);
    assert_eq!((&told["verdict"], &told["root"], errors(&told)), (&json!("whole"), &done["bundles"][0]["root"], vec![]));
    assert_eq!(archived["shortfalls"], json!([]));
    let keys = vault.there("prod/IR-1/").await;
    assert!(keys.values().all(|n| *n == 1), "{keys:#?}");
    // Everything below data/ and the journal was there when the archive began; what describes and vouches for it was not.
    let bundle = done["bundles"][0]["name"].as_str().unwrap();
    let of_bundle: Vec<&str> = keys.keys().filter_map(|k| k.strip_prefix(&format!("prod/IR-1/{bundle}/"))).collect();
    let carried = of_bundle.iter().filter(|k| k.starts_with("data/") || k.starts_with("meta/journal/")).count() as u64;
    assert_eq!(archived["present"].as_u64(), Some(carried), "{done:#}");
    let notes: Vec<&Value> = done["notes"].as_array().unwrap().iter().filter(|n| !n.as_str().unwrap().starts_with("secrets are")).collect();
    assert_eq!(notes, Vec::<&Value>::new());
    let segments = of_bundle.iter().filter(|k| k.starts_with("meta/journal/")).count();
    assert!(segments > 1, "the journal went up piece by piece: {of_bundle:?}");
}

/// In front of the emulator: lets so many puts of a bundle's files through, then answers `SlowDown` to so many, and then lets all through again.
struct Refusing {
    endpoint: String,
    refused: Arc<AtomicU32>,
    task: JoinHandle<()>,
}

impl Refusing {
    async fn after(upstream: &str, good: u32, bad: u32) -> Refusing {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let upstream = upstream.strip_prefix("http://").unwrap().to_string();
        let (seen, refused) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let count = refused.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (upstream, seen, count) = (upstream.clone(), seen.clone(), count.clone());
                // Either side going away is the end of a connection and nothing more.
                tokio::spawn(async move { relay(client, &upstream, &seen, &count, good..good.saturating_add(bad)).await.ok() });
            }
        });
        Refusing { endpoint, refused, task }
    }
}

impl Drop for Refusing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Its segments are put by the case journal, not by the carrier.
const OF_CASES: [&str; 3] = ["IR-0/journal/", "IR-1/journal/", "IR-2/journal/"];

async fn relay(mut client: TcpStream, upstream: &str, seen: &AtomicU32, refused: &AtomicU32, bad: std::ops::Range<u32>) -> io::Result<()> {
    let mut aws = TcpStream::connect(upstream).await?;
    loop {
        let Some(request) = message(&mut client, None).await? else { return Ok(()) };
        let head = String::from_utf8_lossy(&request[..request.len().min(400)]).into_owned();
        let line = head.lines().next().unwrap_or_default();
        let of_bundle = line.starts_with(&format!("PUT /{VAULT}/prod/")) && !OF_CASES.iter().any(|case| line.contains(case));
        if of_bundle && bad.contains(&seen.fetch_add(1, Ordering::SeqCst)) {
            refused.fetch_add(1, Ordering::SeqCst);
            let body = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";
            let answer = format!("HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            client.write_all(answer.as_bytes()).await?;
            continue;
        }
        aws.write_all(&request).await?;
        let Some(answer) = message(&mut aws, Some(&request)).await? else { return Ok(()) };
        client.write_all(&answer).await?;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_refuses_costs_no_evidence() {
    let vault = Vault::set().await;
    let shell = vault.stage.root();
    let run = async |case: &str, endpoint: &str| {
        let output = shell.process(&vault.run(case)).arg("--json").env("AWS_ENDPOINT_URL", endpoint).output().await.unwrap();
        let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (output.status.code().unwrap(), document, String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let upstream = &vault.stage.emulator.endpoint;
    let (_, plain, stderr) = run("IR-0", upstream).await;
    let evidence = |report: &Value| report["tally"].clone();
    assert!(plain["archives"][0]["place"].is_string(), "{stderr}");

    // For a while: what was refused is carried later, or by the archive; nothing is put twice.
    let passing = Refusing::after(upstream, 7, 20).await;
    let (code, report, stderr) = run("IR-1", &passing.endpoint).await;
    assert_eq!((code, evidence(&report)), (0, evidence(&plain)), "{stderr}");
    assert!(passing.refused.load(Ordering::SeqCst) == 20, "it was refused indeed");
    ok(shell.run(&["verify", report["archives"][0]["place"].as_str().unwrap()]).await.unwrap(), 0);
    let keys = vault.there("prod/IR-1/").await;
    assert!(keys.values().all(|n| *n == 1), "{keys:#?}");

    // For good: the evidence is sealed here, and it is said that it is not there. Later it is brought to its end.
    let lasting = Refusing::after(upstream, 7, u32::MAX).await;
    let (code, report, stderr) = run("IR-2", &lasting.endpoint).await;
    assert_eq!((code, evidence(&report)), (1, evidence(&plain)), "{stderr}");
    let notes = report["notes"].to_string();
    assert!(notes.contains("not everything could be carried at once") && notes.contains("NOT ARCHIVED"), "{notes}");
    assert!(notes.contains("SlowDown") || notes.contains("reduce your request rate"), "{notes}");
    let zip = report["bundles"][0]["path"].as_str().unwrap();
    ok(shell.run(&["verify", zip]).await.unwrap(), 0);
    let there = vault.there("prod/IR-2/").await.keys().filter(|k| !k.contains("IR-2/journal/0")).count();
    assert_eq!(there, 7, "so far it came");
    let archived = ok(shell.run(&["archive", zip, PLACE, "--retain", "1d"]).await.unwrap(), 0);
    assert_eq!(archived["present"].as_u64(), Some(7), "{archived:#}");
    let keys = vault.there("prod/IR-2/").await;
    assert!(keys.values().all(|n| *n == 1), "{keys:#?}");
    ok(shell.run(&["verify", archived["place"].as_str().unwrap()]).await.unwrap(), 0);
}
