//! Killed (SIGKILL) at places of the archive that are known: held at a fault point between two steps, or with a request of it in hand, before
//! S3 hears of it and after. Another process then brings it to its end: nothing is lost, nothing is put twice, and everything is told once.

use super::vault::{CASE, PLACE, Vault};
use crate::bundle::bag::Bag;
use crate::drill::gate::{Gate, Moment};
use crate::support::emulator::ok;
use freezeframe::bundle::keys::SigningKey;
use freezeframe::model::journal_event::JournalEvent;
use serde_json::json;
use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

const LOCKED: &[&str] = &["--retain", "1y", "--lock", "governance"];
/// Document, public key, envelope, note on signing, statement.
const ADDENDUM: usize = 5;

#[derive(Clone, Copy, Debug)]
enum At {
    /// At a fault point, for the n-th time.
    Point(&'static str, u32),
    Wire(Moment, &'static str),
}
use At::{Point, Wire};
use Moment::{Answered, Asked};

/// Start it, kill it there. Whatever it holds then never comes to S3.
async fn kill(vault: &Vault, at: At) {
    let bundle = vault.bundle();
    let mut command = vault.shell().process(&[&["archive", bundle.to_str().unwrap(), PLACE], LOCKED].concat());
    command.env("FREEZEFRAME_SIGN_KEY", key(vault));
    command.stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let mark = vault.stage.files.path().join("mark");
    let _ = std::fs::remove_file(&mark);
    let gate = match at {
        Wire(moment, needle) => Some(Gate::before(&vault.stage.emulator.endpoint, moment, needle).await),
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
}

fn key(vault: &Vault) -> std::path::PathBuf {
    vault.stage.files.path().join("key.pem")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_brings_it_to_its_end() {
    if !cfg!(debug_assertions) {
        return println!("skipped: it needs a debug build, for its fault points");
    }
    let bag = Bag::good();
    let files = bag.files.len();
    let kills = [
        Point("archive-preflight", 1),
        Point("archive-journal", 1),
        Point("archive-object", 1),
        Wire(Asked, "/data/10-code/v-LATEST.zip"),
        Wire(Answered, "/data/10-code/v-LATEST.zip"),
        Point("archive-object", 11),
        Wire(Answered, "/tagmanifest-sha256.txt"),
        Point("archive-object", 19),
        Point("archive-seal", 1),
        Wire(Asked, "/seal/addenda/000001/archive.json"),
        Wire(
            Answered,
            "PUT /evidence-vault/prod/IR-2026-0042/123456789012-eu-west-1-payments-export-20261120T120000Z-01JD4M3Q3VY0000000000000AB/seal/addenda/000001/archive.json",
        ),
        // Between the files of the addendum, its statement the last of them.
        Point("archive-addendum", 1),
        Point("archive-addendum", 3),
        Point("archive-addendum", 4),
        Wire(Answered, "/seal/addenda/000001/statement.json"),
        Point("archive-recorded", 1),
        Point("addendum-made", 1),
        Point("addendum", 1),
        Point("archive-copied", 1),
        Point("case-segment", 1),
        Point("archive-journal", 2),
    ];
    let vault = Vault::set(&bag).await;
    SigningKey::make(&key(&vault)).unwrap();
    let addendum = format!("{}seal/addenda/", vault.lead());
    for at in kills {
        vault.anew(&bag).await;
        kill(&vault, at).await;
        let left: Vec<String> = vault.versions("prod/").await.into_iter().map(|(key, ..)| key).collect();
        let recorded = left.iter().any(|k| k.starts_with(&addendum) && k.ends_with("/statement.json"));
        let begun = if recorded { 0 } else { left.iter().filter(|k| k.starts_with(&addendum)).count() };
        if !left.is_empty() && !recorded {
            // What lies there says by itself that it is unfinished.
            let told = vault.shell().run(&["verify", &vault.place()]).await.unwrap();
            let sealed = left.iter().any(|k| k.ends_with("/seal/statement.json"));
            let of_bundle = left.iter().any(|k| k.starts_with(&vault.lead()));
            match (of_bundle, sealed) {
                (false, _) => assert_eq!(told.code, 1, "{at:?}: {}", told.stderr),
                (true, false) => {
                    assert_eq!((told.code, &told.document["verdict"]), (4, &json!("unfinished")), "{at:?}: {:#}", told.document)
                }
                (true, true) => assert!(told.document["findings"].to_string().contains("no record of an archive"), "{at:?}"),
            }
        }

        let key = key(&vault);
        let signed = [LOCKED, &["--sign-key", key.to_str().unwrap()]].concat();
        let done = ok(vault.archive(&signed).await, 0);
        let there = left.iter().filter(|k| k.starts_with(&vault.lead()) && !k.starts_with(&addendum)).count();
        assert_eq!((done["present"].as_u64(), done["uploaded"].as_u64()), (Some(there as u64), Some((files - there) as u64)), "{at:?}");
        let mut versions: BTreeMap<String, u32> = BTreeMap::new();
        for (key, _, marker) in vault.versions("prod/").await {
            assert!(!marker);
            *versions.entry(key).or_default() += 1;
        }
        assert!(versions.values().all(|n| *n == 1), "{at:?}: put twice: {versions:#?}");
        let all = versions.keys().filter(|k| k.starts_with(&vault.lead())).count();
        assert_eq!(all, files + begun + ADDENDUM, "{at:?}: every file, and one addendum beside what was begun of one");
        let told = ok(vault.shell().run(&["verify", &vault.place()]).await.unwrap(), 0);
        assert_eq!(told["root"], json!(bag.root()), "{at:?}");
        let here = ok(vault.shell().run(&["verify", vault.bundle().to_str().unwrap()]).await.unwrap(), 0);
        for told in [&told, &here] {
            let addenda = told["addenda"].as_array().unwrap();
            assert_eq!((addenda.len(), &addenda[0]["statement"]), (1, &done["statement_sha256"]), "{at:?}: {addenda:#?}");
            assert_eq!((&addenda[0]["stands"], &addenda[0]["signatures"][0]["result"]), (&json!(true), &json!("holds")), "{at:?}");
        }

        let journal = vault.journal().await;
        let transfers: Vec<JournalEvent> = journal.events().into_iter().filter(|e| matches!(e, JournalEvent::Transfer { .. })).collect();
        assert_eq!(transfers.len(), 1, "{at:?}: {transfers:#?}");
        let segments = std::fs::read_dir(vault.case().join("journal")).unwrap().count();
        let mirrored = versions.keys().filter(|k| k.starts_with(&format!("prod/{CASE}/journal/"))).count();
        assert_eq!(mirrored, segments, "{at:?}: the whole journal lies in the vault");
        let copy = std::path::PathBuf::from(done["record_copy"].as_str().unwrap());
        assert_eq!(std::fs::read_dir(copy.parent().unwrap()).unwrap().count(), ADDENDUM, "{at:?}");
    }
}
