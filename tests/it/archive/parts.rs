//! A file that S3 takes in parts only, with the sizes lowered: its own proof, its lock, and an upload that was cut off in the middle.

use super::vault::{CASE, VAULT, Vault};
use crate::bundle::bag::{Bag, FUNCTION_ZIP, NAME, Parts, sha, sha_base64};
use crate::drill::gate::{Gate, Moment};
use crate::support::emulator::clock;
use aws_sdk_s3::types::ChecksumMode;
use base64::Engine as _;
use freezeframe::archive::{Accepted, ArchiveError, Archived, Asked, Bucket, ChecksumKind, MIN_PART, Order, Place, archive, verify};
use freezeframe::aws::Connector;
use freezeframe::aws::plain::StaticKeys;
use freezeframe::bundle::verify::Verdict;
use freezeframe::model::id::RunId;
use freezeframe::model::lock::{Lock, LockMode, Retention, parse_until};
use serde_json::{Value, json};
use sha2::Digest as _;

/// Three whole parts and a bit.
const BYTES: usize = 3 * MIN_PART as usize + 12_345;

pub(super) fn big() -> (Bag, Vec<u8>) {
    let mut parts = Parts::good();
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut code = vec![0; BYTES];
    for byte in &mut code {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        *byte = state as u8;
    }
    let digest = json!(sha(&code));
    let x = parts.exchanges.get_mut("data/10-code/000002-Get.http.json").unwrap();
    (x["body_sha256"], x["body_bytes"]) = (digest.clone(), json!(code.len()));
    parts.items[1]["files"][0] = json!({"path": FUNCTION_ZIP, "bytes": code.len(), "sha256": digest});
    parts.items[1]["provider_digest"]["value"] = json!(sha_base64(&code));
    parts.journal[0][3]["sha256"] = digest;
    parts.payload.insert(FUNCTION_ZIP.into(), code.clone());
    (parts.seal(), code)
}

/// As S3 computes it, by another hand than the product's.
fn composite(bytes: &[u8]) -> String {
    let digests: Vec<u8> = bytes.chunks(MIN_PART as usize).flat_map(|p| sha2::Sha256::digest(p).to_vec()).collect();
    let of = base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(&digests));
    format!("{of}-{}", bytes.chunks(MIN_PART as usize).count())
}

async fn bucket(vault: &Vault, endpoint: &str) -> (Bucket, Place) {
    let place = Place::parse("s3://evidence-vault/prod").unwrap();
    let (emulator, keys) = (&vault.stage.emulator, &vault.stage.emulator.root);
    let keys =
        StaticKeys { access_key_id: keys.access_key_id.clone(), secret_access_key: keys.secret_access_key.clone(), session_token: None };
    let connector = Connector::for_endpoint(endpoint, &emulator.region, keys, clock()).await;
    (Bucket::new(connector.s3_archive(), clock(), &place, None).with_sizes(MIN_PART, MIN_PART), place)
}

async fn send(vault: &Vault, endpoint: &str) -> Result<Archived, ArchiveError> {
    let (bucket, to) = bucket(vault, endpoint).await;
    let retention = Retention { mode: LockMode::Governance, until: parse_until("2033-11-20").unwrap() };
    let asked = Asked { lock: Lock { retention: Some(retention), ..Lock::default() }, kms_key: None };
    let order = Order {
        bundle: vault.bundle(),
        to,
        asked,
        accepted: Accepted::default(),
        run: RunId::new(1, 7),
        operator: "a test".into(),
        signers: Default::default(),
    };
    archive(&bucket, &order, None, &|_| {}).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_file_has_its_own_proof_and_an_upload_that_was_cut_off_goes_on() {
    let (bag, code) = big();
    let vault = Vault::set(&bag).await;
    let s3 = &vault.stage.aws.s3;
    let key = format!("{}{FUNCTION_ZIP}", vault.lead());

    // The first process dies when two parts are there.
    let open = async || {
        let all = s3.list_multipart_uploads().bucket(VAULT).send().await.unwrap();
        let id = all.uploads().first()?.upload_id()?.to_string();
        let parts = s3.list_parts().bucket(VAULT).key(&key).upload_id(&id).send().await.ok()?;
        Some((id, parts.parts().iter().map(|p| (p.part_number().unwrap(), p.last_modified().copied())).collect::<Vec<_>>()))
    };
    let gate = Gate::before(&vault.stage.emulator.endpoint, Moment::Asked, "partNumber=3").await;
    tokio::select! {
        done = send(&vault, &gate.endpoint) => panic!("it was over before it could be cut off: {done:?}"),
        () = gate.holds() => {}
    }
    drop(gate);
    let (upload, before) = open().await.expect("the upload is open");
    assert_eq!((upload.is_empty(), before.len()), (false, 2));
    assert!(s3.head_object().bucket(VAULT).key(&key).send().await.is_err(), "no part of it is an object");

    let archived = send(&vault, &vault.stage.emulator.endpoint).await.unwrap();
    assert_eq!((archived.shortfalls.as_slice(), archived.exit_code), (&[][..], 0), "{archived:#?}");
    assert!(open().await.is_none(), "no upload is left open");
    let record: Value = serde_json::from_slice(&vault.object(&format!("{}seal/addenda/000001/archive.json", vault.lead())).await).unwrap();
    let object = record["objects"].as_array().unwrap().iter().find(|o| o["path"] == FUNCTION_ZIP).unwrap();
    let wanted = json!({"kind": ChecksumKind::Composite, "sha256": composite(&code), "part_bytes": MIN_PART});
    assert_eq!((&object["checksum"], &object["sha256"]), (&wanted, &json!(sha(&code))));
    // The emulator loses the lock of what went up in parts: it was seen, and put right.
    assert_eq!((&object["lock"]["mode"], &object["lock"]["retain_until"]), (&json!("governance"), &json!("2033-11-20T00:00:00Z")));
    let head = s3.head_object().bucket(VAULT).key(&key).checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
    assert_eq!(head.checksum_sha256(), Some(composite(&code).as_str()));
    assert_eq!(vault.object(&key).await, code);

    // Once more: the proof holds without a byte being sent; and it verifies where it lies, by parts as well.
    let again = send(&vault, &vault.stage.emulator.endpoint).await.unwrap();
    assert_eq!((again.uploaded, again.record_sha256), (0, archived.record_sha256));
    let (bucket, place) = bucket(&vault, &vault.stage.emulator.endpoint).await;
    let told = verify(&bucket, &place.below(&format!("{CASE}/{NAME}")).unwrap(), vec![]).await.unwrap();
    assert_eq!(told.verdict(), Verdict::Whole, "{:#?}", told.findings);
    assert!(!told.findings.iter().any(|f| f.check == "archive"), "{:#?}", told.findings);
}
