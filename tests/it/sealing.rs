//! A run that signs what it seals, over the scripted wire: with a local key, and with a KMS key that refuses, answers nonsense or is another
//! kind of key. (That KMS signs what `verify` accepts is for the emulator to show: `stock`.)

use crate::support::wire::{self, Answer, World};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use freezeframe::aws::Connector;
use freezeframe::bundle::keys::SigningKey;
use freezeframe::bundle::verify::{DemandedKey, Level, SignatureResult, Verification, verify_with};
use freezeframe::clock::{Clock, FakeClock};
use freezeframe::engine::others::OtherCases;
use freezeframe::engine::preflight::preflight;
use freezeframe::engine::progress::Silent;
use freezeframe::engine::report::Report;
use freezeframe::engine::run::{Doors, Order, run};
use freezeframe::engine::sealing::Sealing;
use freezeframe::engine::sealing::kms::{KmsError, KmsSigner};
use freezeframe::model::id::RunId;
use freezeframe::model::kms_key::KmsKey;
use freezeframe::model::outcome::Outcome;
use freezeframe::plan::Plan;
use freezeframe::plan::adjust::Adjustments;
use freezeframe::playbook::{self, Registry};
use freezeframe::store::mem::MemStore;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::sync::watch;

const ARN: &str = "arn:aws:kms:eu-central-1:123456789012:key/1111-2222";

fn key() -> KmsKey {
    KmsKey::parse(ARN).unwrap()
}

/// What KMS says of a key.
fn described(change: impl FnOnce(&mut Value)) -> Answer {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let der = pair.public_key().as_der().unwrap();
    let mut said = json!({"KeyId": ARN, "KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY", "SigningAlgorithms": ["ECDSA_SHA_256"],
                          "PublicKey": STANDARD.encode(der.as_ref())});
    change(&mut said);
    Answer::json(&said)
}

struct Rig {
    dir: TempDir,
    clock: Arc<dyn Clock>,
    world: Arc<World>,
    connector: Connector,
}

impl Rig {
    fn new(world: World) -> Rig {
        let clock: Arc<dyn Clock> = Arc::new(FakeClock::at("2026-11-20T12:00:00Z").unwrap());
        let world = Arc::new(world);
        let connector = Connector::from_conf(wire::config(&world), clock.clone()).unwrap();
        Rig { dir: tempfile::tempdir().unwrap(), clock, world, connector }
    }

    fn local(&self) -> (PathBuf, DemandedKey) {
        let path = self.dir.path().join("key.pem");
        let key = SigningKey::make(&path).unwrap();
        (path, DemandedKey::Key(key.public().clone()))
    }

    async fn kms(&self) -> Result<KmsSigner, KmsError> {
        KmsSigner::connect(&self.connector, &key()).await
    }

    /// The smallest snapshot there is.
    async fn snapshot(&self, sealing: Sealing) -> Report {
        let preflight = preflight(&self.connector, &"payments-export".parse().unwrap()).await.unwrap();
        let mut playbook = playbook::load("snapshot-only").unwrap().0;
        let only = Adjustments { only: vec!["resource-policy".into()], ..Default::default() };
        only.apply(&Registry::built_in(), &mut playbook, self.clock.now()).unwrap();
        let order = Order {
            case: "IR-TEST".parse().unwrap(),
            run: RunId("01KAGZ0000000000000000TEST".into()),
            plan: Plan::make(&playbook, &preflight.target, &preflight.known),
            pinned: None,
            approval: None,
            trigger: None,
            operator: preflight.identity.arn.clone(),
            preflight: preflight.exchanges,
            guard: Default::default(),
            permit: None,
        };
        let doors = Doors {
            connector: self.connector.clone(),
            store: Arc::new(MemStore::new()),
            control: Arc::new(MemStore::new()),
            case_dir: self.dir.path().join("IR-TEST"),
            clock: self.clock.clone(),
            progress: Arc::new(Silent),
            interrupt: watch::channel(false).1,
            others: Arc::new(OtherCases::none(self.clock.clone())),
            sealing: Arc::new(sealing),
        };
        run(order, doors).await.unwrap()
    }
}

fn verified(report: &Report, keys: &[DemandedKey]) -> Verification {
    verify_with(&report.bundles[0].path, keys).unwrap()
}

/// Check, level and message of everything but notes.
fn found(v: &Verification) -> Vec<String> {
    v.findings.iter().filter(|f| f.level != Level::Info).map(|f| format!("{} {:?} {}", f.check, f.level, f.message)).collect()
}

#[tokio::test]
async fn a_local_key_signs() {
    let rig = Rig::new(World::default());
    let (path, public) = rig.local();
    let mut sealing = Sealing::default();
    sealing.with_local(&path).unwrap();
    let report = rig.snapshot(sealing).await;
    assert_eq!((report.outcome, &report.bundles[0].signed_by[..]), (Outcome::Complete, &[public.fingerprint()][..]));
    let v = verified(&report, &[public]);
    assert_eq!((v.verdict().as_str(), found(&v)), ("whole", vec![]));
    assert_eq!(v.signatures.iter().map(|s| s.result).collect::<Vec<_>>(), [SignatureResult::Holds]);
}

#[tokio::test]
async fn without_a_key_it_is_sealed_and_said_to_be_unsigned() {
    let rig = Rig::new(World::default());
    let report = rig.snapshot(Sealing::default()).await;
    assert_eq!((report.outcome, report.bundles[0].signed_by.len()), (Outcome::Complete, 0));
    let v = verified(&report, &[]);
    assert!(v.verdict().as_str() == "whole" && v.findings.iter().any(|f| f.message.starts_with("unsigned:")), "{:#?}", v.findings);
}

#[tokio::test]
async fn a_kms_key_that_refuses_costs_the_signature_and_not_the_evidence() {
    for (says, answer) in [
        ("kms:Sign", Answer::error("KMS.Sign", 400, "AccessDeniedException")),
        ("no signature of this key", Answer::json(&json!({"KeyId": ARN, "Signature": STANDARD.encode(b"nonsense")}))),
        ("without the member Signature", Answer::json(&json!({"KeyId": ARN}))),
    ] {
        let rig = Rig::new(World::default().on("KMS.GetPublicKey", [described(|_| {})]).on("KMS.Sign", [answer]));
        let (path, public) = rig.local();
        let mut sealing = Sealing::default();
        sealing.with_local(&path).unwrap();
        sealing.with(Arc::new(rig.kms().await.unwrap()));
        let report = rig.snapshot(sealing).await;
        assert_eq!((report.outcome, &report.bundles[0].signed_by[..]), (Outcome::Gaps, &[public.fingerprint()][..]), "{says}");
        let said = report.notes.iter().find(|n| n.contains("NOT signed")).unwrap();
        assert!(said.contains(ARN), "{said}");
        let v = verified(&report, &[public]);
        // What the local key says stands; what the other was to say is missing, with its reason.
        let told = found(&v);
        assert!(v.verdict().as_str() == "whole" && told.len() == 1, "{told:#?}");
        assert!(told[0].starts_with(&format!("signature Warn the KMS key {ARN} was to sign it, and could not")), "{told:#?}");
        // In the Region of the key, over a digest and nothing more.
        let sent = rig.world.sent();
        let sign = sent.iter().find(|s| s.key == "KMS.Sign").unwrap();
        assert!(sign.host.contains("eu-central-1"), "{}", sign.host);
        let body: Value = serde_json::from_str(&sign.body).unwrap();
        assert_eq!((&body["MessageType"], &body["SigningAlgorithm"]), (&json!("DIGEST"), &json!("ECDSA_SHA_256")));
        assert_eq!(STANDARD.decode(body["Message"].as_str().unwrap()).unwrap().len(), 32);
        let why = said.split("NOT signed").nth(1).unwrap();
        assert!(says == "kms:Sign" || why.contains(says), "{why}");
    }
}

#[tokio::test]
async fn a_kms_key_that_is_out_of_reach_from_the_start_is_named_as_missing() {
    let rig = Rig::new(World::default().on("KMS.GetPublicKey", [Answer::error("KMS.GetPublicKey", 400, "AccessDeniedException")]));
    let error = rig.kms().await.unwrap_err();
    assert!(matches!(error, KmsError::GetPublicKey { .. }), "{error:?}");
    let mut sealing = Sealing::default();
    sealing.without(&key(), &error);
    assert!(!sealing.signs());
    let report = rig.snapshot(sealing).await;
    assert_eq!((report.outcome, report.bundles[0].signed_by.len()), (Outcome::Gaps, 0));
    let v = verified(&report, &[]);
    let told = found(&v);
    assert!(v.verdict().as_str() == "whole" && told.len() == 1 && told[0].contains("could not"), "{told:#?}");
}

#[tokio::test]
async fn another_kind_of_kms_key_is_refused_at_once() {
    let changes: [fn(&mut Value); 5] = [
        |k| k["KeySpec"] = json!("RSA_2048"),
        |k| k["KeyUsage"] = json!("KEY_AGREEMENT"),
        |k| k["SigningAlgorithms"] = json!(["ECDSA_SHA_384"]),
        |k| k["PublicKey"] = json!("AAAA"),
        |k| k["PublicKey"] = json!(7),
    ];
    for change in changes {
        let rig = Rig::new(World::default().on("KMS.GetPublicKey", [described(change)]));
        let error = rig.kms().await.unwrap_err();
        assert!(matches!(error, KmsError::OtherKey { .. } | KmsError::BadPublicKey(_)), "{error:?}");
        assert!(!error.hint().is_empty());
    }
}

#[test]
fn the_plan_of_a_signed_run_names_both_calls_on_that_key_alone() {
    let playbook = playbook::load("snapshot-and-contain").unwrap().0;
    let target = "payments-export".parse::<freezeframe::model::target::TargetSpec>().unwrap();
    let target = target.resolve("aws", "123456789012", "eu-west-1").unwrap();
    let plan = |signed: bool| {
        let plan = Plan::make(&playbook, &target, &Default::default());
        if signed { plan.signed_with(&key()) } else { plan }
    };
    let said = serde_json::to_value(plan(true).permissions).unwrap();
    for who in ["reader", "container"] {
        let statements = said[who]["Statement"].as_array().unwrap();
        let own: Vec<&Value> = statements.iter().filter(|s| s.to_string().contains("kms:Sign\"")).collect();
        assert_eq!(
            (own.len(), &own[0]["Action"], &own[0]["Resource"]),
            (1, &json!(["kms:GetPublicKey", "kms:Sign"]), &json!([ARN])),
            "{who}"
        );
    }
    assert!(!serde_json::to_string(&plan(false).permissions).unwrap().contains("kms:Sign"));
}
