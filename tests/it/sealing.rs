//! A run that signs what it seals, over the scripted wire: with a local key, and with a KMS key that refuses, answers nonsense or is another
//! kind of key. (That KMS signs what `verify` accepts is for the emulator to show: `stock`.)

use crate::support::tsa::Authority;
use crate::support::wire::{self, Answer, World};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use freezeframe::aws::Connector;
use freezeframe::aws::plain::StaticKeys;
use freezeframe::bundle::keys::SigningKey;
use freezeframe::bundle::source::BagSource;
use freezeframe::bundle::verify::{DemandedKey, Level, SignatureResult, Verification, verify_with};
use freezeframe::clock::{Clock, FakeClock, SystemClock};
use freezeframe::engine::others::OtherCases;
use freezeframe::engine::preflight::preflight;
use freezeframe::engine::progress::Silent;
use freezeframe::engine::report::Report;
use freezeframe::engine::run::{Doors, Order, run};
use freezeframe::engine::sealing::kms::{KmsError, KmsSigner};
use freezeframe::engine::sealing::{Sealing, Tsa};
use freezeframe::engine::secrets::Secrets;
use freezeframe::model::id::RunId;
use freezeframe::model::kms_key::KmsKey;
use freezeframe::model::outcome::Outcome;
use freezeframe::model::path::BundlePath;
use freezeframe::model::web_address::WebAddress;
use freezeframe::plan::Plan;
use freezeframe::plan::adjust::Adjustments;
use freezeframe::playbook::{self, Registry};
use freezeframe::store::Store;
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

pub struct Rig {
    pub dir: TempDir,
    clock: Arc<dyn Clock>,
    pub world: Arc<World>,
    pub connector: Connector,
}

impl Rig {
    pub fn new(world: World) -> Rig {
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
        self.snapshot_of(None, sealing, Secrets::default(), Arc::new(MemStore::new())).await
    }

    /// The same, because of this event.
    pub async fn snapshot_of(&self, trigger: Option<Vec<u8>>, sealing: Sealing, secrets: Secrets, beside: Arc<dyn Store>) -> Report {
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
            trigger,
            operator: preflight.identity.arn.clone(),
            preflight: preflight.exchanges,
            guard: Default::default(),
            permit: None,
        };
        let doors = Doors {
            archive: None,
            straight: false,
            connector: self.connector.clone(),
            store: Arc::new(MemStore::new()),
            control: Arc::new(MemStore::new()),
            case_dir: self.dir.path().join("IR-TEST"),
            clock: self.clock.clone(),
            progress: Arc::new(Silent),
            interrupt: watch::channel(false).1,
            others: Arc::new(OtherCases::none(self.clock.clone())),
            sealing: Arc::new(sealing),
            secrets: Arc::new(secrets),
            beside,
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

/// The scripted wire knows no authority, so the run has a connector of its own for that: a real socket.
async fn stamped(answer: impl Fn(Vec<u8>) -> Vec<u8> + Send + 'static) -> Option<(Report, DemandedKey, Rig, Arc<Authority>)> {
    let authority = Authority::new()?;
    let address = WebAddress::parse(&authority.serve(answer)).unwrap();
    Some(stamped_by(&address, authority).await)
}

async fn stamped_by(address: &WebAddress, authority: Arc<Authority>) -> (Report, DemandedKey, Rig, Arc<Authority>) {
    let mut rig = Rig::new(World::default());
    rig.clock = Arc::new(SystemClock::new());
    let (path, public) = rig.local();
    let mut sealing = Sealing::default();
    sealing.with_local(&path).unwrap();
    let keys = StaticKeys { access_key_id: "x".into(), secret_access_key: "x".into(), session_token: None };
    let real = Connector::for_endpoint("http://127.0.0.1:9", "eu-west-1", keys, rig.clock.clone()).await;
    sealing.stamped_by(Tsa::new(&real, address));
    let report = rig.snapshot(sealing).await;
    (report, public, rig, authority)
}

fn in_bag(report: &Report, path: &str) -> Option<Vec<u8>> {
    let bag = BagSource::open(&report.bundles[0].path).unwrap();
    bag.read_small(&BundlePath::parse(path).unwrap(), 1 << 20).ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_stamps_the_signature_and_openssl_agrees() {
    let Some((report, public, _rig, authority)) = stamped(|answer| answer).await else { return };
    assert_eq!(report.outcome, Outcome::Complete, "{:?}", report.notes);
    let v = verified(&report, &[public]);
    assert_eq!((v.verdict().as_str(), found(&v)), ("whole", vec![]));
    assert!(v.timestamp.as_ref().unwrap().of_this_signature);
    let envelope: Value = serde_json::from_slice(&in_bag(&report, "seal/statement.dsse.json").unwrap()).unwrap();
    let signature = STANDARD.decode(envelope["signatures"][0]["sig"].as_str().unwrap()).unwrap();
    let tsr = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(tsr.path(), in_bag(&report, "seal/root.tsr").unwrap()).unwrap();
    assert!(authority.verifies(&signature, tsr.path()));
    assert!(!authority.verifies(b"another", tsr.path()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_does_not_stamp_is_noted_and_costs_no_evidence() {
    // The answer to another question, a page of some proxy, an answer without end.
    let other = Authority::new().map(|a| a.stamp(b"another question"));
    let Some(other) = other else { return };
    type Forge = Box<dyn Fn(Vec<u8>) -> Vec<u8> + Send>;
    let answers: [(&str, Forge); 3] = [
        ("the answer to another question", Box::new(move |_| other.clone())),
        ("no answer of RFC 3161", Box::new(|_| b"<html>".to_vec())),
        ("is too long", Box::new(|_| vec![0x30; 1 << 20])),
    ];
    for (says, answer) in answers {
        let Some((report, public, _rig, _authority)) = stamped(answer).await else { return };
        check_unstamped(&report, &public, says);
    }
}

fn check_unstamped(report: &Report, public: &DemandedKey, says: &str) {
    assert_eq!(report.outcome, Outcome::Gaps, "{says}");
    assert!(report.notes.iter().any(|n| n.contains("NOT stamped") && n.contains(says)), "{says}: {:?}", report.notes);
    assert!(report.bundles[0].path.exists() && in_bag(report, "seal/root.tsr").is_none());
    let v = verified(report, std::slice::from_ref(public));
    let told = found(&v);
    assert!(v.verdict().as_str() == "whole" && told.len() == 1 && told[0].starts_with("timestamp Warn"), "{told:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_cannot_be_reached_is_noted() {
    let Some(authority) = Authority::new() else { return };
    // A port that nobody listens on: bound, and given up again.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nobody = WebAddress::parse(&format!("http://127.0.0.1:{port}/tsr")).unwrap();
    let (report, public, _rig, _authority) = stamped_by(&nobody, authority).await;
    check_unstamped(&report, &public, "did not answer");
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
        let documents = said[who].as_array().unwrap();
        let own: Vec<&Value> =
            documents.iter().flat_map(|d| d["Statement"].as_array().unwrap()).filter(|s| s.to_string().contains("kms:Sign\"")).collect();
        assert_eq!(
            (own.len(), &own[0]["Action"], &own[0]["Resource"]),
            (1, &json!(["kms:GetPublicKey", "kms:Sign"]), &json!([ARN])),
            "{who}"
        );
    }
    assert!(!serde_json::to_string(&plan(false).permissions).unwrap().contains("kms:Sign"));
}
