//! The program and the emulator's S3: what is put, what S3 then says, what is refused.

use super::vault::{CASE, PLACE, VAULT, Vault, property};
use crate::bundle::bag::{Bag, NAME, sha, sha_base64};
use crate::support::emulator::ok;
use aws_sdk_s3::types::{ChecksumMode, ObjectLockLegalHoldStatus, ObjectLockMode};
use serde_json::{Value, json};

const LOCKED: &[&str] = &["--retain", "7y", "--lock", "compliance", "--legal-hold", "--expected-bucket-owner", "123456789012"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_archived_is_locked_checksummed_and_told_as_s3_answered() {
    let bag = Bag::good();
    let vault = Vault::set(&bag).await;
    let told = ok(vault.archive(LOCKED).await, 0);
    let files = bag.files.len() as u64;
    assert_eq!((told["uploaded"].as_u64(), told["present"].as_u64()), (Some(files), Some(0)), "{told:#}");
    assert_eq!((&told["root"], &told["place"], &told["shortfalls"]), (&json!(bag.root()), &json!(vault.place()), &json!([])));
    assert_eq!(property(&told, "versioning"), "good: on: what is deleted or overwritten stays below");
    assert!(property(&told, "object-lock").starts_with("good: on"), "{told:#}");
    assert!(property(&told, "public-access-block").starts_with("good"), "{told:#}");
    assert!(property(&told, "replication").starts_with("weak: none"), "{told:#}");
    assert_eq!(property(&told, "owner"), "good: account 123456789012, as expected");

    // S3's own word about each object: the manifest's very value, and the lock.
    let record: Value = serde_json::from_slice(&vault.object(&format!("{}seal/addenda/000001/archive.json", vault.lead())).await).unwrap();
    assert_eq!(record["objects"].as_array().unwrap().len() as u64, files);
    for object in record["objects"].as_array().unwrap() {
        let path = object["path"].as_str().unwrap();
        let key = format!("{}{path}", vault.lead());
        let head = vault.stage.aws.s3.head_object().bucket(VAULT).key(&key).checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
        assert_eq!(head.checksum_sha256(), Some(sha_base64(&bag.files[path]).as_str()), "{path}");
        assert_eq!(head.object_lock_mode(), Some(&ObjectLockMode::Compliance), "{path}");
        assert_eq!(head.object_lock_legal_hold_status(), Some(&ObjectLockLegalHoldStatus::On), "{path}");
        assert_eq!(
            (&object["sha256"], &object["version_id"], &object["lock"]["mode"], &object["lock"]["legal_hold"]),
            (&json!(sha(&bag.files[path])), &json!(head.version_id()), &json!("compliance"), &json!(true))
        );
        let version = head.version_id().unwrap();
        let refused = vault.stage.aws.s3.delete_object().bucket(VAULT).key(&key).version_id(version).bypass_governance_retention(true);
        let refused = refused.send().await.expect_err("a locked version cannot be deleted");
        assert_eq!(refused.raw_response().unwrap().status().as_u16(), 403, "{path}");
    }
    let order: Vec<&str> = record["objects"].as_array().unwrap().iter().map(|o| o["path"].as_str().unwrap()).collect();
    assert_eq!(&order[order.len() - 2..], ["tagmanifest-sha256.txt", "seal/statement.json"]);

    // The record beside the bundle is the same, the case journal tells of it, and the journal itself lies in the vault.
    let copy = std::fs::read(vault.case().join(format!("{NAME}.addenda/000001/archive.json"))).unwrap();
    assert_eq!(sha(&copy), told["record_sha256"].as_str().unwrap());
    let last = serde_json::to_value(vault.journal().await.events().pop().unwrap()).unwrap();
    assert_eq!((&last["ev"], &last["to"], &last["record"]), (&json!("transfer"), &told["place"], &told["record_sha256"]));
    for n in 1..=2 {
        let name = format!("journal/{n:06}.jsonl");
        assert_eq!(vault.object(&format!("prod/{CASE}/{name}")).await, std::fs::read(vault.case().join(name)).unwrap());
    }

    // The same words once more: nothing is put, nothing is written down twice.
    let before = vault.versions("").await;
    let again = ok(vault.archive(LOCKED).await, 0);
    assert_eq!((again["uploaded"].as_u64(), again["present"].as_u64()), (Some(0), Some(files)), "{again:#}");
    assert_eq!(again["record_sha256"], told["record_sha256"]);
    assert_eq!(vault.versions("").await, before);
    // More is asked: what is there is locked further, and a second record follows the first.
    let longer = ok(vault.archive(&["--retain", "9y", "--lock", "compliance", "--legal-hold"]).await, 0);
    assert_eq!((longer["uploaded"].as_u64(), longer["locked_later"].as_u64()), (Some(0), Some(files)), "{longer:#}");
    let second: Value = serde_json::from_slice(&vault.object(&format!("{}seal/addenda/000002/archive.json", vault.lead())).await).unwrap();
    let stated: Value =
        serde_json::from_slice(&vault.object(&format!("{}seal/addenda/000002/statement.json", vault.lead())).await).unwrap();
    assert_eq!((&stated["predicate"]["previous"], &stated["predicate"]["number"]), (&told["statement_sha256"], &json!(2)));
    assert_eq!(stated["subject"][0]["digest"]["sha256"], longer["record_sha256"]);
    assert!(second["objects"][0]["lock"]["retain_until"].as_str() > record["objects"][0]["lock"]["retain_until"].as_str());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_that_is_not_fit_or_not_ours_is_left_alone() {
    let bag = Bag::good();
    let vault = Vault::set(&bag).await;
    let bundle = vault.bundle();
    let to = async |place: &str, more: &[&str]| {
        vault.shell().run(&[&["archive", bundle.to_str().unwrap(), place], more].concat()).await.unwrap()
    };

    vault.bucket("no-lock", true).await;
    let refused = to("s3://no-lock", &[]).await;
    assert!(refused.code == 8 && refused.stderr.contains("--accept unlocked-bucket"), "{}", refused.stderr);
    let refused = to("s3://no-lock", &["--accept", "unlocked-bucket", "--legal-hold"]).await;
    assert!(refused.code == 8 && refused.stderr.contains("a lock was asked for"), "{}", refused.stderr);
    let accepted = ok(to("s3://no-lock", &["--accept", "unlocked-bucket"]).await, 0);
    assert_eq!(accepted["accepted"], json!(["unlocked-bucket"]));

    let s3 = &vault.stage.aws.s3;
    s3.create_bucket().bucket("open-house").object_lock_enabled_for_bucket(true).send().await.unwrap();
    s3.delete_public_access_block().bucket("open-house").send().await.unwrap();
    let everybody = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::open-house/*"}]});
    s3.put_bucket_policy().bucket("open-house").policy(everybody.to_string()).send().await.unwrap();
    let refused = to("s3://open-house", &["--retain", "1d"]).await;
    assert!(refused.code == 8 && refused.stderr.contains("its policy lets everybody in"), "{}", refused.stderr);
    let accepted = ok(to("s3://open-house", &["--retain", "1d", "--accept", "public-bucket"]).await, 0);
    assert!(property(&accepted, "public").starts_with("bad"), "{accepted:#}");

    let none = to("s3://no-such-bucket-here", &[]).await;
    assert!(none.code == 1 && none.stderr.contains("there is no bucket no-such-bucket-here"), "{}", none.stderr);

    // Other bytes under the bundle's own key, and an object that is no file of it.
    let at = |path: &str| format!("other/{CASE}/{NAME}/{path}");
    s3.put_object().bucket(VAULT).key(at("data/10-code/v-LATEST.zip")).body(b"something else".to_vec().into()).send().await.unwrap();
    let differs = to("s3://evidence-vault/other", &[]).await;
    assert!(differs.code == 8 && differs.stderr.contains("v-LATEST.zip lies there already with other bytes"), "{}", differs.stderr);
    let at = |path: &str| format!("third/{CASE}/{NAME}/{path}");
    s3.put_object().bucket(VAULT).key(at("data/notes.txt")).body(b"a stranger's".to_vec().into()).send().await.unwrap();
    let stranger = to("s3://evidence-vault/third", &[]).await;
    assert!(
        stranger.code == 8 && stranger.stderr.contains("notes.txt lies there already and is no file of this bundle"),
        "{}",
        stranger.stderr
    );
    assert_eq!(vault.versions("third/").await.len(), 1, "nothing was put beside it");

    // A bundle that is not what it claims to be goes nowhere.
    let mut broken = Bag::good();
    broken.files.get_mut("data/10-code/v-LATEST.zip").unwrap()[3] ^= 1;
    std::fs::write(vault.bundle(), broken.zip().bytes()).unwrap();
    let refused = to(PLACE, &["--retain", "1d"]).await;
    assert!(refused.code == 4 && refused.stderr.contains("is broken, and is not archived"), "{}", refused.stderr);
    assert_eq!(vault.versions("prod/").await, []);
}
