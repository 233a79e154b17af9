//! What lies in the vault, read there: verified without a copy, fetched, listed; and what a stranger with a right to write there can do.

use super::vault::{CASE, PLACE, VAULT, Vault};
use crate::bundle::bag::{Bag, CONFIG, FUNCTION_ZIP, NAME, STATEMENT, sha};
use crate::support::emulator::ok;
use freezeframe::bundle::verify::{Verdict, verify};
use freezeframe::model::digest::Sha256;
use freezeframe::model::id::{CellId, RunId};
use freezeframe::model::journal_event::{JournalEvent, PermitRecord};
use freezeframe::model::restorable::Restorable;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const LOCKED: &[&str] = &["--retain", "30d", "--lock", "governance"];

fn check(document: &Value, id: &str) -> (u64, u64) {
    let all = document["checks"].as_array().unwrap();
    let c = all.iter().find(|c| c["id"] == id).unwrap_or_else(|| panic!("no {id} in {all:?}"));
    (c["errors"].as_u64().unwrap(), c["warnings"].as_u64().unwrap())
}

fn finding(document: &Value, words: &str) -> Value {
    let all = document["findings"].as_array().unwrap();
    all.iter().find(|f| f["message"].as_str().unwrap().contains(words)).unwrap_or_else(|| panic!("no `{words}` in {all:#?}")).clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_verifies_where_it_lies_as_it_does_on_a_disk() {
    let bag = Bag::good();
    let vault = Vault::set(&bag).await;
    let (shell, place) = (vault.shell(), vault.place());
    let nothing = shell.run(&["verify", &place]).await.unwrap();
    assert!(nothing.code == 1 && nothing.stderr.contains("there is nothing at"), "{}", nothing.stderr);
    ok(vault.archive(LOCKED).await, 0);

    let there = ok(shell.run(&["verify", &place]).await.unwrap(), 0);
    let here = ok(shell.run(&["verify", vault.bundle().to_str().unwrap()]).await.unwrap(), 0);
    for member in ["verdict", "bundle", "case", "root", "provider_digests", "gaps"] {
        assert_eq!(there[member], here[member], "{member}");
    }
    assert_eq!(
        there["counts"]["files"].as_u64(),
        here["counts"]["files"].as_u64().map(|n| n + 2),
        "and the archive's addendum: record, statement"
    );
    assert_eq!(check(&there, "archive"), (0, 0), "{there:#}");
    assert!(here["checks"].as_array().unwrap().iter().all(|c| c["id"] != "archive"));

    let fetched = ok(shell.run(&["fetch", &place, "--to", vault.stage.files.path().join("out").to_str().unwrap()]).await.unwrap(), 0);
    let dir = vault.stage.files.path().join("out").join(NAME);
    assert_eq!(fetched["path"], json!(dir));
    for (path, bytes) in &bag.files {
        assert_eq!(&std::fs::read(dir.join(path)).unwrap(), bytes, "{path}");
    }
    assert_eq!(verify(&dir).unwrap().verdict(), Verdict::Whole);
    let twice = shell.run(&["fetch", &place, "--to", vault.stage.files.path().join("out").to_str().unwrap()]).await.unwrap();
    assert!(twice.code == 2 && twice.stderr.contains("is there already"), "{}", twice.stderr);
    let mut left: Vec<String> =
        std::fs::read_dir(vault.stage.files.path().join("out")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    left.sort();
    assert_eq!(left, [NAME.to_string(), format!("{NAME}.addenda")]);
    assert!(!dir.join("seal/addenda").exists(), "what happened to the bundle is no part of it");
    let kept = ok(shell.run(&["verify", dir.to_str().unwrap()]).await.unwrap(), 0);
    assert_eq!((&kept["addenda"][0]["kind"], check(&kept, "addenda")), (&json!("archive"), (0, 0)));

    let wrong = shell.run(&["verify", &place, "--expected-bucket-owner", "210987654321"]).await.unwrap();
    assert!(wrong.code == 1 && wrong.stderr.contains("is not account 210987654321's"), "{}", wrong.stderr);
    let slip = shell.run(&["verify", "S3://vault/x y"]).await.unwrap();
    assert!(slip.code == 2 && slip.stderr.contains("is no place in S3"), "{}", slip.stderr);
}

/// The responder leaves its bundles as zips in a bucket.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zip_in_a_bucket_is_named_with_the_way_out() {
    let bag = Bag::good();
    let vault = Vault::set(&bag).await;
    let key = format!("prod/{CASE}/{NAME}.zip");
    vault.stage.aws.s3.put_object().bucket(VAULT).key(&key).body(bag.zip().bytes().into()).send().await.unwrap();
    let (shell, zip, out) = (vault.shell(), format!("s3://{VAULT}/{key}"), vault.stage.files.path().join("out"));
    let out = out.to_str().unwrap();
    for place in [zip.clone(), vault.place(), format!("{}/", vault.place())] {
        for args in [vec!["verify", &place], vec!["fetch", &place, "--to", out]] {
            let ended = shell.run(&args).await.unwrap();
            let says = |words: &str| ended.stderr.contains(words);
            assert!(ended.code == 1 && says(&format!("{zip} is one object")) && says(&format!("aws s3 cp {zip} .")), "{}", ended.stderr);
        }
    }
    let archived = shell.run(&["archive", &zip, PLACE]).await.unwrap();
    assert!(archived.code == 2 && archived.stderr.contains(&format!("aws s3 cp {zip} .")), "{}", archived.stderr);
}

/// Object Lock keeps versions, it does not keep anybody from putting newer ones or delete markers on top.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_stranger_puts_over_or_beside_it_is_found() {
    let vault = Vault::set(&Bag::good()).await;
    let (shell, place, s3) = (vault.shell(), vault.place(), &vault.stage.aws.s3);
    ok(vault.archive(LOCKED).await, 0);
    let key = |path: &str| format!("{}{path}", vault.lead());

    s3.put_object().bucket(VAULT).key(key(FUNCTION_ZIP)).body(b"clean code".to_vec().into()).send().await.unwrap();
    s3.delete_object().bucket(VAULT).key(key("data/20-config/000001-GetFunctionConfiguration.json")).send().await.unwrap();
    s3.put_object().bucket(VAULT).key(key("data/20-config/notes.txt")).body(b"nothing to see".to_vec().into()).send().await.unwrap();
    s3.put_object().bucket(VAULT).key(key("data/../../../x")).body(b"out".to_vec().into()).send().await.unwrap();
    let told = ok(shell.run(&["verify", &place]).await.unwrap(), 4);
    assert_eq!(told["verdict"], "broken");
    let changed = finding(&told, "its bytes were changed");
    assert_eq!((&changed["check"], &changed["path"]), (&json!("manifest"), &json!(FUNCTION_ZIP)));
    let over = finding(&told, "the archive's record names version");
    assert_eq!((&over["check"], &over["path"], &over["level"]), (&json!("archive"), &json!(FUNCTION_ZIP), &json!("error")));
    let hidden = finding(&told, "a delete marker hides it");
    assert_eq!((&hidden["check"], &hidden["level"]), (&json!("archive"), &json!("error")));
    let extra = finding(&told, "it is not listed: somebody added it");
    assert_eq!(extra["path"], "data/20-config/notes.txt");
    assert_eq!(finding(&told, "no segment may begin or end with a dot")["check"], "container");
    assert!(
        finding(&told, "are not locked")["message"].as_str().unwrap().starts_with("2 of "),
        "the two new ones and none of ours: {told:#}"
    );

    // Fetched, it gets no name under which it could be taken for the bundle, and leaves its directory for nowhere.
    let out = vault.stage.files.path().join("out");
    let fetched = ok(shell.run(&["fetch", &place, "--to", out.to_str().unwrap()]).await.unwrap(), 4);
    assert_eq!(fetched["path"], json!(out.join(format!("{NAME}.broken"))));
    assert!(!out.join("x").exists() && !vault.stage.files.path().join("x").exists());
}

const RECORD: &str = "seal/addenda/000001/archive.json";

/// Puts another version over whatever lies there.
async fn put(vault: &Vault, path: &str, bytes: Vec<u8>) -> String {
    let put = vault.stage.aws.s3.put_object().bucket(VAULT).key(format!("{}{path}", vault.lead())).body(bytes.into());
    put.send().await.unwrap().version_id().unwrap().to_string()
}

/// Whoever may put objects can put all of a bundle of his own over the locked one, and a record that speaks of his versions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_that_is_put_over_the_archived_one_with_a_record_of_its_own_is_found() {
    let vault = Vault::set(&Bag::good()).await;
    let (shell, place) = (vault.shell(), vault.place());
    ok(vault.archive(LOCKED).await, 0);
    let mut other = Bag::good();
    let plan = "data/00-plan/plan.json";
    other.files.insert(plan.into(), b"{\"plan\":2}".to_vec());
    other.seal_again();
    let zip = vault.stage.files.path().join(format!("{NAME}.zip"));
    std::fs::write(&zip, other.zip().bytes()).unwrap();
    ok(shell.run(&["archive", zip.to_str().unwrap(), "s3://evidence-vault/other", "--retain", "1d"]).await.unwrap(), 0);
    let theirs =
        async |path: &str| -> Value { serde_json::from_slice(&vault.object(&format!("other/{CASE}/{NAME}/{path}")).await).unwrap() };

    let mut versions = BTreeMap::new();
    for (path, bytes) in &other.files {
        versions.insert(path.as_str(), put(&vault, path, bytes.clone()).await);
    }
    let mut record = theirs(RECORD).await;
    record["place"] = json!(place);
    for object in record["objects"].as_array_mut().unwrap() {
        object["version_id"] = json!(versions[object["path"].as_str().unwrap()]);
    }
    let record = serde_jcs::to_vec(&record).unwrap();
    let statement = "seal/addenda/000001/statement.json";
    let mut stated = theirs(statement).await;
    stated["subject"][0]["digest"]["sha256"] = json!(sha(&record));
    put(&vault, RECORD, record).await;
    put(&vault, statement, serde_jcs::to_vec(&stated).unwrap()).await;

    let told = ok(shell.run(&["verify", &place]).await.unwrap(), 4);
    for c in told["checks"].as_array().unwrap() {
        assert_eq!(c["errors"] == 0, c["id"] != "archive", "nothing else could tell: {c}");
    }
    let errors = |words: &str| -> Vec<&str> {
        let all = told["findings"].as_array().unwrap().iter().filter(|f| f["message"].as_str().unwrap().contains(words));
        all.filter(|f| f["level"] == "error").map(|f| f["path"].as_str().unwrap()).collect()
    };
    let changed = [plan, "manifest-sha256.txt", "seal/statement.json", "tagmanifest-sha256.txt"];
    assert_eq!(errors("a record of the archive states"), changed, "{told:#}");
    assert_eq!(errors("it was put there with"), [RECORD, statement], "{told:#}");
    assert!(errors("the archive's record names version").contains(&CONFIG), "what it names is the first version, also of what is the same");
}

/// What is hidden is put there again by whoever archives again: two versions of the same bytes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_archived_again_over_a_delete_marker_is_whole() {
    let vault = Vault::set(&Bag::good()).await;
    ok(vault.archive(LOCKED).await, 0);
    vault.stage.aws.s3.delete_object().bucket(VAULT).key(format!("{}{CONFIG}", vault.lead())).send().await.unwrap();
    let again = ok(vault.archive(LOCKED).await, 0);
    assert_eq!((again["uploaded"].as_u64(), &again["record"]), (Some(1), &json!("seal/addenda/000002/archive.json")), "{again:#}");
    put(&vault, RECORD, vault.object(&format!("{}{RECORD}", vault.lead())).await).await;
    let told = ok(vault.shell().run(&["verify", &vault.place()]).await.unwrap(), 0);
    for (path, others) in [(CONFIG, "2 other"), (RECORD, "1 other")] {
        let all = told["findings"].as_array().unwrap();
        let warned = |f: &&Value| f["path"] == path && f["level"] == "warn" && f["message"].as_str().unwrap().starts_with(others);
        assert!(all.iter().any(|f| warned(&f)), "{path}: {told:#}");
    }
}

/// One object that cannot be read is one finding; everything else is read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_stranger_puts_there_keeps_nothing_else_from_being_read() {
    let bag = Bag::good();
    let vault = Vault::set(&bag).await;
    let (shell, place, s3) = (vault.shell(), vault.place(), &vault.stage.aws.s3);
    ok(vault.archive(LOCKED).await, 0);
    let key = |path: &str| format!("{}{path}", vault.lead());
    let read = async |out: &str| {
        let told = ok(shell.run(&["verify", &place]).await.unwrap(), 4);
        let out = vault.stage.files.path().join(out);
        let fetched = ok(shell.run(&["fetch", &place, "--to", out.to_str().unwrap()]).await.unwrap(), 4);
        let dir = out.join(format!("{NAME}.broken"));
        assert_eq!(fetched["path"], json!(dir));
        for (path, bytes) in &bag.files {
            assert_eq!(&std::fs::read(dir.join(path)).unwrap(), bytes, "{path}");
        }
        told
    };

    // Larger than any record is.
    let large = put(&vault, RECORD, vec![b' '; (64 << 20) + 1]).await;
    let told = read("large").await;
    assert_eq!(finding(&told, "it was put there with")["path"], RECORD);
    s3.delete_object().bucket(VAULT).key(key(RECORD)).version_id(large).send().await.unwrap();

    // Hidden.
    let marker = s3.delete_object().bucket(VAULT).key(key(RECORD)).send().await.unwrap();
    let told = read("hidden").await;
    let hidden = finding(&told, "a delete marker hides it");
    assert_eq!((&hidden["path"], check(&told, "archive").0), (&json!(RECORD), 1), "{told:#}");
    s3.delete_object().bucket(VAULT).key(key(RECORD)).version_id(marker.version_id().unwrap()).send().await.unwrap();
    ok(shell.run(&["verify", &place]).await.unwrap(), 0);

    // Encrypted with a key that only he has: base64 of 32 times `k`, and the MD5 of that.
    let theirs = s3.put_object().bucket(VAULT).key(key("seal/theirs.txt")).body(b"nobody reads this".to_vec().into());
    let theirs = theirs.sse_customer_algorithm("AES256").sse_customer_key("a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=");
    theirs.sse_customer_key_md5("mT2HRsMGJ5IX5C+0rreZ8Q==").send().await.unwrap();
    let told = read("encrypted").await;
    assert_eq!(finding(&told, "S3 does not say what it keeps of it")["path"], "seal/theirs.txt");
}

/// A bucket holds a file and others below its name; a disk does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_whose_name_is_a_directorys_as_well_is_no_file_of_a_whole_bundle() {
    let vault = Vault::set(&Bag::good()).await;
    let (shell, place) = (vault.shell(), vault.place());
    ok(vault.archive(LOCKED).await, 0);
    // Longer than the others, so that it is read first.
    put(&vault, &format!("{RECORD}/x"), vec![b'x'; 1 << 20]).await;
    let told = ok(shell.run(&["verify", &place]).await.unwrap(), 4);
    let twice = finding(&told, "its name is a directory's as well");
    assert_eq!((&twice["check"], &twice["path"]), (&json!("container"), &json!(RECORD)));
    let out = vault.stage.files.path().join("out");
    let fetched = ok(shell.run(&["fetch", &place, "--to", out.to_str().unwrap()]).await.unwrap(), 4);
    assert_eq!(fetched["path"], json!(out.join(format!("{NAME}.broken"))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_that_was_cut_off_is_visibly_unfinished() {
    let bag = Bag::good();
    let vault = Vault::set(&bag).await;
    let key = |path: &str| format!("{}{path}", vault.lead());
    let s3 = &vault.stage.aws.s3;
    for (path, bytes) in bag.files.iter().filter(|(p, _)| p.as_str() != STATEMENT && p.as_str() != "tagmanifest-sha256.txt") {
        s3.put_object().bucket(VAULT).key(key(path)).body(bytes.clone().into()).send().await.unwrap();
    }
    let told = ok(vault.shell().run(&["verify", &vault.place()]).await.unwrap(), 4);
    assert_eq!(told["verdict"], "unfinished", "{told:#}");
    finding(&told, "there is no record of an archive that came to its end");
    let listing = ok(vault.shell().run(&["list", PLACE]).await.unwrap(), 0);
    assert_eq!(listing["cases"][0]["bundles"][0]["state"], "unsealed", "{listing:#}");
    // What is there is kept and locked, the rest is added; then it is whole.
    let archived = ok(vault.archive(LOCKED).await, 0);
    assert_eq!(
        (archived["uploaded"].as_u64(), archived["locked_later"].as_u64()),
        (Some(2), Some(bag.files.len() as u64 - 2)),
        "{archived:#}"
    );
    let told = ok(vault.shell().run(&["verify", &vault.place()]).await.unwrap(), 0);
    assert_eq!(check(&told, "archive"), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cases_are_listed_on_a_disk_and_in_the_vault_alike() {
    let bag = Bag::good();
    let vault = Vault::set(&bag).await;
    let (run, cell) = (RunId::new(2, 2), CellId::new("freeze-concurrency", "payments-export"));
    let journal = vault.journal().await;
    let root = Sha256::from_hex(&bag.root()).unwrap();
    journal.append(JournalEvent::Sealed { run: run.clone(), bundle: NAME.into(), root }).await.unwrap();
    let intent = JournalEvent::Intent {
        run: run.clone(),
        cell: cell.clone(),
        target: "arn:aws:lambda:eu-west-1:123456789012:function:payments-export".into(),
        before: Value::Null,
        after: json!(0),
        restorable: Restorable::Exactly,
        permit: PermitRecord::Override { who: "me".into(), why: "a test".into() },
    };
    journal.append(intent).await.unwrap();
    drop(journal);
    let shell = vault.shell();
    let at = async |place: &str| ok(shell.run(&["list", place]).await.unwrap(), 0)["cases"][0].clone();
    let disk = vault.cases.to_str().unwrap();

    let case = at(disk).await;
    assert_eq!((&case["case"], &case["standing"], &case["held"]), (&json!(CASE), &json!("contained"), &json!([cell.0])), "{case:#}");
    let bundle = &case["bundles"][0];
    assert_eq!((&bundle["state"], &bundle["zip"], &bundle["root"]), (&json!("sealed"), &json!(true), &json!(bag.root())), "{case:#}");
    assert_eq!((bundle["gaps"].as_u64(), &bundle["archived_to"]), (bag.predicate["gaps"].as_u64(), &json!([])));

    ok(vault.archive(LOCKED).await, 0);
    assert_eq!(at(disk).await["bundles"][0]["archived_to"], json!([vault.place()]));
    let there = at(PLACE).await;
    let bundle = &there["bundles"][0];
    assert_eq!(
        (&there["standing"], &bundle["state"], &bundle["zip"]),
        (&json!("contained"), &json!("archived"), &json!(false)),
        "{there:#}"
    );
    assert_eq!((&bundle["shortfalls"], bundle["gaps"].as_u64()), (&json!(0), bag.predicate["gaps"].as_u64()));
    assert_eq!(there["held"], json!([cell.0]));

    vault.journal().await.append(JournalEvent::Restored { run, cell, wrote: true, through: None }).await.unwrap();
    assert_eq!(at(disk).await["standing"], "restored");
    assert_eq!(at(PLACE).await["standing"], "contained", "the vault knows what it was told last");
    ok(vault.archive(LOCKED).await, 0);
    assert_eq!(at(PLACE).await["standing"], "restored");
    let none = shell.run(&["list", "/no/such/place"]).await.unwrap();
    assert!(none.code == 2 && none.stderr.contains("there is no directory"), "{}", none.stderr);
}
