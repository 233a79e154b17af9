//! For whom a run seals secrets, over the scripted wire: named recipients, a KMS key, nobody; and a KMS key that refuses. (That KMS decrypts what it
//! encrypted is for the emulator to show: `drill::secrets`.)

use crate::sealing::Rig;
use crate::support::wire::{Answer, World};
use age::secrecy::ExposeSecret as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use freezeframe::bundle::opening::{Opening, redactions};
use freezeframe::bundle::secrets::{Identities, SecretsOrder, WRAPPED_IDENTITY};
use freezeframe::bundle::source::BagSource;
use freezeframe::bundle::verify::verify;
use freezeframe::engine::report::Report;
use freezeframe::engine::sealing::Sealing;
use freezeframe::engine::secrets::{Secrets, unwrap};
use freezeframe::model::kms_key::KmsKey;
use freezeframe::model::outcome::Outcome;
use freezeframe::model::path::BundlePath;
use freezeframe::plan::Plan;
use freezeframe::playbook;
use freezeframe::store::Store;
use freezeframe::store::mem::MemStore;
use serde_json::{Value, json};
use std::io::{self, BufWriter, Write};
use std::sync::Arc;

const ARN: &str = "arn:aws:kms:eu-central-1:123456789012:key/3333-4444";
const TOKEN: &str = "FwoGZXIvYXdzEXAMPLE";

fn key() -> KmsKey {
    KmsKey::parse(ARN).unwrap()
}

/// A run that was asked for by an event with a session token in it.
async fn run(rig: &Rig, secrets: Secrets, beside: &Arc<dyn Store>) -> Report {
    let event = json!({"detail": {"responseElements": {"credentials": {"accessKeyId": "ASIA1", "sessionToken": TOKEN}}}}).to_string();
    rig.snapshot_of(Some(event.into_bytes()), Sealing::default(), secrets, beside.clone()).await
}

fn nothing() -> Arc<dyn Store> {
    Arc::new(MemStore::new())
}

fn statement(bag: &BagSource) -> Value {
    let path = BundlePath::parse("seal/statement.json").unwrap();
    serde_json::from_slice(&bag.read_small(&path, 1 << 20).unwrap()).unwrap()
}

/// The event that asked for the run, as it came.
fn opened(bag: &BagSource, identities: &Identities) -> Vec<u8> {
    let opening = Opening::new(bag, identities).unwrap();
    let one = opening.redactions().iter().find(|r| r.twin.path.as_str() == "data/00-plan/trigger-event.json").unwrap();
    let mut bytes = vec![];
    let said = opening.open(one, &mut bytes).unwrap();
    assert!(said.is_the_original && opening.twin_agrees(one).unwrap());
    assert_eq!(opening.where_is(TOKEN.as_bytes()).unwrap().len(), 1);
    assert!(opening.where_is(b"another").unwrap().is_empty());
    bytes
}

#[tokio::test]
async fn named_recipients_open_it_and_no_identity_is_made() {
    let rig = Rig::new(World::default());
    let (recipient, file) = Identities::make("a recipient's");
    let beside = nothing();
    let order = SecretsOrder { recipients: vec![recipient.clone()], ..SecretsOrder::default() };
    let report = run(&rig, Secrets { order, kms: None }, &beside).await;
    assert_eq!((report.outcome, beside.list("").await.unwrap().len()), (Outcome::Complete, 0));
    let bag = BagSource::open(&report.bundles[0].path).unwrap();
    let holder = Identities::parse(file.expose_secret()).unwrap();
    assert!(String::from_utf8(opened(&bag, &holder)).unwrap().contains(TOKEN));
    assert_eq!(statement(&bag)["predicate"]["secrets"]["recipients"], json!([recipient.to_string()]));
    let (_, stranger) = Identities::make("a stranger's");
    let stranger = Identities::parse(stranger.expose_secret()).unwrap();
    assert!(Opening::new(&bag, &stranger).is_err());
}

/// A full disk.
struct Full;

impl Write for Full {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::StorageFull.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The original fits into the writer's memory, so the disk is only met when that is flushed.
#[tokio::test]
async fn an_original_that_cannot_be_written_is_not_said_to_be_opened() {
    let rig = Rig::new(World::default());
    let (recipient, file) = Identities::make("a recipient's");
    let order = SecretsOrder { recipients: vec![recipient], ..SecretsOrder::default() };
    let report = run(&rig, Secrets { order, kms: None }, &nothing()).await;
    let (bag, holder) = (BagSource::open(&report.bundles[0].path).unwrap(), Identities::parse(file.expose_secret()).unwrap());
    let opening = Opening::new(&bag, &holder).unwrap();
    let one = &opening.redactions()[0];
    assert!(one.original.bytes < 8 << 10, "{one:?}");
    let failed = opening.open(one, &mut BufWriter::new(Full)).unwrap_err();
    assert!(failed.to_string().starts_with("cannot copy data/sealed/"), "{failed}");
}

#[tokio::test]
async fn with_nobody_named_the_case_has_one_identity_and_the_report_says_where() {
    let rig = Rig::new(World::default());
    let beside = nothing();
    let first = run(&rig, Secrets::default(), &beside).await;
    let file = beside.get("IR-TEST.identity").await.unwrap().unwrap();
    assert!(first.notes.iter().any(|n| n.contains("IR-TEST.identity") && n.contains("apart from the evidence")), "{:#?}", first.notes);
    assert_eq!(first.outcome, Outcome::Complete);
    let identities = Identities::parse(std::str::from_utf8(&file).unwrap()).unwrap();
    assert!(String::from_utf8(opened(&BagSource::open(&first.bundles[0].path).unwrap(), &identities)).unwrap().contains(TOKEN));
    // The next run of the case uses the same.
    std::fs::remove_dir_all(rig.dir.path().join("IR-TEST")).unwrap();
    let second = run(&rig, Secrets::default(), &beside).await;
    assert_eq!(beside.get("IR-TEST.identity").await.unwrap().unwrap(), file);
    opened(&BagSource::open(&second.bundles[0].path).unwrap(), &identities);
}

#[tokio::test]
async fn kms_encrypts_the_bundles_identity_with_case_and_bundle_as_context() {
    let ciphertext = b"ciphertext of KMS".to_vec();
    let answer =
        Answer::json(&json!({"KeyId": ARN, "CiphertextBlob": STANDARD.encode(&ciphertext), "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}));
    let rig = Rig::new(World::default().on("KMS.Encrypt", [answer]));
    let beside = nothing();
    let report = run(&rig, Secrets { order: SecretsOrder::default(), kms: Some(key()) }, &beside).await;
    assert_eq!((report.outcome, beside.list("").await.unwrap().len()), (Outcome::Complete, 0), "{:#?}", report.notes);
    let sent = rig.world.sent();
    let asked = sent.iter().find(|s| s.key == "KMS.Encrypt").unwrap();
    assert!(asked.host.contains("eu-central-1"), "{}", asked.host);
    let body: Value = serde_json::from_str(&asked.body).unwrap();
    assert_eq!(body["EncryptionContext"], json!({"case": "IR-TEST", "bundle": report.bundles[0].name}));
    let plaintext = STANDARD.decode(body["Plaintext"].as_str().unwrap()).unwrap();
    let wrapped = Identities::parse(std::str::from_utf8(&plaintext).unwrap()).unwrap();
    let bag = BagSource::open(&report.bundles[0].path).unwrap();
    assert!(String::from_utf8(opened(&bag, &wrapped)).unwrap().contains(TOKEN));
    assert_eq!(bag.read_small(&BundlePath::parse(WRAPPED_IDENTITY).unwrap(), 999).unwrap(), ciphertext);
    let stated = &statement(&bag)["predicate"]["secrets"];
    assert_eq!(
        (&stated["kmsKey"], &stated["recipients"], &stated["identity"]),
        (&json!(ARN), &json!([]), &json!(wrapped.public()[0].to_string()))
    );
    assert_eq!(verify(&report.bundles[0].path).unwrap().verdict().as_str(), "whole");
    // What went to KMS stands nowhere in the bundle.
    for file in redactions(&bag).unwrap() {
        let twin = bag.read_small(&file.twin.path, 1 << 20).unwrap();
        assert!(!String::from_utf8_lossy(&twin).contains(TOKEN));
    }

    let back = Answer::json(&json!({"KeyId": ARN, "Plaintext": STANDARD.encode(&plaintext)}));
    let rig = Rig::new(World::default().on("KMS.Decrypt", [back]));
    let case = "IR-TEST".parse().unwrap();
    let again = unwrap(&rig.connector, &key(), &ciphertext, &case, &report.bundles[0].name).await.unwrap();
    opened(&bag, &again);
    let sent = rig.world.sent();
    let body: Value = serde_json::from_str(&sent.last().unwrap().body).unwrap();
    assert_eq!(body["EncryptionContext"], json!({"case": "IR-TEST", "bundle": report.bundles[0].name}));
    assert_eq!(body["CiphertextBlob"], STANDARD.encode(&ciphertext));
}

#[tokio::test]
async fn a_key_that_refuses_costs_no_evidence_and_is_told() {
    for (says, answer) in [
        ("kms:Encrypt", Answer::error("KMS.Encrypt", 400, "AccessDeniedException")),
        ("CiphertextBlob", Answer::json(&json!({"KeyId": ARN}))),
    ] {
        let rig = Rig::new(World::default().on("KMS.Encrypt", [answer]));
        let beside = nothing();
        let report = run(&rig, Secrets { order: SecretsOrder::default(), kms: Some(key()) }, &beside).await;
        assert_eq!(report.outcome, Outcome::Gaps);
        let said = report.notes.iter().find(|n| n.contains("NOT encrypted")).unwrap();
        assert!(said.contains(ARN) && (says == "kms:Encrypt" || said.contains(says)), "{said}");
        let file = beside.get("IR-TEST.identity").await.unwrap().unwrap();
        let identities = Identities::parse(std::str::from_utf8(&file).unwrap()).unwrap();
        let bag = BagSource::open(&report.bundles[0].path).unwrap();
        assert!(String::from_utf8(opened(&bag, &identities)).unwrap().contains(TOKEN));
    }
}

#[test]
fn the_plan_grants_encrypt_on_that_key_alone_and_never_decrypt() {
    let playbook = playbook::load("snapshot-and-contain").unwrap().0;
    let target = "payments-export".parse::<freezeframe::model::target::TargetSpec>().unwrap();
    let target = target.resolve("aws", "123456789012", "eu-west-1").unwrap();
    let plan = Plan::make(&playbook, &target, &Default::default()).sealed_with(&key());
    let said = serde_json::to_value(plan.permissions).unwrap();
    for who in ["reader", "container"] {
        let all = said[who].as_array().unwrap().iter().flat_map(|d| d["Statement"].as_array().unwrap());
        let own: Vec<&Value> = all.filter(|s| s.to_string().contains("kms:Encrypt")).collect();
        assert_eq!((own.len(), &own[0]["Action"], &own[0]["Resource"]), (1, &json!(["kms:Encrypt"]), &json!([ARN])), "{who}");
    }
    let decrypt = said.to_string().matches("kms:Decrypt").count();
    let before =
        serde_json::to_string(&Plan::make(&playbook, &target, &Default::default()).permissions).unwrap().matches("kms:Decrypt").count();
    assert_eq!(decrypt, before, "opening is no part of collecting");
}
