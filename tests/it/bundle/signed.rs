//! Bundles that are signed, and bundles whose signature is not what it should be. The envelope is made by hand here, from the written format.

use super::bag::{Bag, NAME, Parts, STATEMENT, sha};
use super::broken::fired;
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use freezeframe::bundle::keys::PublicKey;
use freezeframe::bundle::verify::{DemandedKey, Level, SignatureResult, Verdict, Verification, verify_with};
use freezeframe::model::digest::Sha256;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::LazyLock;

pub const ENVELOPE: &str = "seal/statement.dsse.json";
const KEY: &str = "seal/public-key.pem";
const KMS: &str = "seal/kms-public.pem";
const SEALING: &str = "seal/sealing.json";
const ARN: &str = "arn:aws:kms:eu-west-1:123456789012:key/1111-2222";

/// A key of the tests' own.
pub struct TestKey {
    pair: EcdsaKeyPair,
}

impl TestKey {
    pub fn new() -> TestKey {
        TestKey { pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap() }
    }
    fn der(&self) -> Vec<u8> {
        self.pair.public_key().as_der().unwrap().as_ref().to_vec()
    }
    pub fn id(&self) -> String {
        sha(&self.der())
    }
    pub fn pem(&self) -> String {
        let text = STANDARD.encode(self.der());
        let lines: Vec<&str> = text.as_bytes().chunks(64).map(|c| std::str::from_utf8(c).unwrap()).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }
    fn fingerprint(&self) -> DemandedKey {
        DemandedKey::Fingerprint(Sha256::from_hex(&self.id()).unwrap())
    }
    fn itself(&self) -> DemandedKey {
        DemandedKey::Key(PublicKey::from_pem(self.pem().as_bytes()).unwrap())
    }
    fn sign(&self, payload: &[u8]) -> Value {
        let kind = "application/vnd.in-toto+json";
        let pae = [format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).as_bytes(), payload].concat();
        let sig = self.pair.sign(&SystemRandom::new(), &pae).unwrap();
        json!({"keyid": self.id(), "sig": STANDARD.encode(sig.as_ref())})
    }
}

static COLLECTOR: LazyLock<TestKey> = LazyLock::new(TestKey::new);
static IN_KMS: LazyLock<TestKey> = LazyLock::new(TestKey::new);
static STRANGER: LazyLock<TestKey> = LazyLock::new(TestKey::new);

fn envelope(bag: &mut Bag, keys: &[&TestKey]) {
    let payload = bag.files[STATEMENT].clone();
    let signatures: Vec<Value> = keys.iter().map(|k| k.sign(&payload)).collect();
    let envelope = json!({"payload": STANDARD.encode(&payload), "payloadType": "application/vnd.in-toto+json", "signatures": signatures});
    bag.files.insert(ENVELOPE.into(), serde_jcs::to_vec(&envelope).unwrap());
}

fn local() -> Value {
    json!({"key": COLLECTOR.id(), "kind": "local"})
}
fn in_kms() -> Value {
    json!({"key": IN_KMS.id(), "kind": "kms", "arn": ARN})
}
fn ended(signer: Value, ended: &str) -> Value {
    json!({"signer": signer, "ended": ended, "at": "2026-11-20T12:01:00.000Z"})
}

/// Signed with a local key and one in KMS.
pub fn signed(change: impl FnOnce(&mut Parts)) -> Bag {
    let mut parts = Parts::good();
    parts.predicate["signers"] = json!([local(), in_kms()]);
    change(&mut parts);
    let mut bag = parts.seal();
    envelope(&mut bag, &[&COLLECTOR, &IN_KMS]);
    bag.files.insert(KEY.into(), COLLECTOR.pem().into_bytes());
    bag.files.insert(KMS.into(), IN_KMS.pem().into_bytes());
    let record = json!({"v": 1, "signatures": [ended(local(), "done"), ended(in_kms(), "done")]});
    bag.files.insert(SEALING.into(), serde_jcs::to_vec(&record).unwrap());
    bag
}

/// The same keys sign the statement that lies there now.
pub fn signed_again(bag: &mut Bag) {
    envelope(bag, &[&COLLECTOR, &IN_KMS]);
}

fn good() -> Bag {
    signed(|_| {})
}
fn after(change: impl FnOnce(&mut Bag)) -> Bag {
    let mut bag = good();
    change(&mut bag);
    bag
}
fn edited(path: &str, edit: impl FnOnce(&mut Value)) -> Bag {
    after(|b| {
        let mut value: Value = serde_json::from_slice(&b.files[path]).unwrap();
        edit(&mut value);
        b.files.insert(path.into(), serde_jcs::to_vec(&value).unwrap());
    })
}
/// Without the KMS key's signature, and with what `sealing.json` says of it.
fn kms_missing(said: &str) -> Bag {
    after(|b| {
        envelope(b, &[&COLLECTOR]);
        b.files.remove(KMS);
        let record = json!({"v": 1, "signatures": [ended(local(), "done"), ended(in_kms(), said)]});
        b.files.insert(SEALING.into(), serde_jcs::to_vec(&record).unwrap());
    })
}
/// Somebody who holds the whole bundle changes it, makes every manifest and the statement anew, and cannot sign.
fn forged(b: &mut Bag) {
    b.files.insert("meta/README.txt".into(), b"Another story.\n".to_vec());
    b.seal_again();
}

use Level::{Error, Warn};
pub struct Case {
    pub name: &'static str,
    pub bag: Bag,
    pub keys: Vec<DemandedKey>,
    verdict: Verdict,
    fires: &'static [(&'static str, Level)],
    says: &'static str,
}

pub fn cases() -> Vec<Case> {
    use Verdict::{Broken, Whole};
    let case = |name, bag, verdict, fires, says| Case { name, bag, keys: vec![], verdict, fires, says };
    let demanding = |key: DemandedKey, c: Case| Case { keys: vec![key], ..c };
    vec![
        case("good", good(), Whole, &[], "which you must compare"),
        demanding(COLLECTOR.fingerprint(), case("good, by its fingerprint", good(), Whole, &[], "")),
        demanding(IN_KMS.itself(), case("good, by the key itself", good(), Whole, &[], "")),
        demanding(COLLECTOR.itself(), case("the key itself is enough", after(|b| drop(b.files.remove(KEY))), Whole, &[], "")),
        // ── the signature ──
        case(
            "signature wrong",
            edited(ENVELOPE, |e| {
                let mut sig = STANDARD.decode(e["signatures"][0]["sig"].as_str().unwrap()).unwrap();
                *sig.last_mut().unwrap() ^= 1;
                e["signatures"][0]["sig"] = json!(STANDARD.encode(sig));
            }),
            Broken,
            &[("signature", Error)],
            "is wrong",
        ),
        case(
            "signature of nothing",
            edited(ENVELOPE, |e| e["signatures"][0]["sig"] = json!("")),
            Broken,
            &[("signature", Error)],
            "is wrong",
        ),
        case(
            "signature by one key in the name of another",
            edited(ENVELOPE, |e| e["signatures"][0]["sig"] = e["signatures"][1]["sig"].clone()),
            Broken,
            &[("signature", Error)],
            "is wrong",
        ),
        case(
            "another payload type under the same signature",
            edited(ENVELOPE, |e| e["payloadType"] = json!("application/vnd.in-toto")),
            Broken,
            &[("envelope", Error), ("signature", Error)],
            "which this build does not know",
        ),
        case(
            "public key replaced",
            after(|b| drop(b.files.insert(KEY.into(), STRANGER.pem().into_bytes()))),
            Broken,
            &[("signature", Error), ("signature", Warn)],
            "whose public half lies neither here",
        ),
        case(
            "public key gone",
            after(|b| drop(b.files.remove(KEY))),
            Broken,
            &[("signature", Error)],
            "whose public half lies neither here",
        ),
        case(
            "public key is none",
            after(|b| drop(b.files.insert(KMS.into(), b"-----BEGIN PUBLIC KEY-----\n".to_vec()))),
            Broken,
            &[("signature", Error)],
            "it is no public key of P-256",
        ),
        case("a signature taken away", kms_missing("done"), Broken, &[("signature", Error)], "it was taken away"),
        case("a signature that could not be made", kms_missing("failed"), Whole, &[("signature", Warn)], "and could not"),
        case(
            "all signatures taken away",
            after(|b| b.files.retain(|p, _| !p.starts_with("seal/") || p == STATEMENT)),
            Broken,
            &[("signature", Error)],
            "it was taken away",
        ),
        case(
            "signed by a stranger too",
            after(|b| {
                envelope(b, &[&COLLECTOR, &STRANGER]);
                b.files.insert(KMS.into(), STRANGER.pem().into_bytes());
            }),
            Broken,
            &[("signature", Error), ("signature", Warn)],
            "which the statement does not name",
        ),
        // ── the envelope ──
        case(
            "the root is not the signed one",
            after(forged),
            Broken,
            &[("envelope", Error)],
            "what was signed is a statement about the root",
        ),
        case(
            "the statement is not the signed one",
            after(|b| {
                b.predicate["operator"] = json!("eve");
                b.statement();
            }),
            Broken,
            &[("envelope", Error)],
            "another statement about this root",
        ),
        case(
            "the payload is no statement",
            edited(ENVELOPE, |e| e["payload"] = json!(STANDARD.encode("{}"))),
            Broken,
            &[("envelope", Error), ("signature", Error)],
            "what was signed is not the statement",
        ),
        case(
            "payload is no base64",
            edited(ENVELOPE, |e| e["payload"] = json!("*")),
            Broken,
            &[("envelope", Error), ("signature", Error), ("signature", Warn)],
            "no base64",
        ),
        case(
            "an envelope without a signature",
            edited(ENVELOPE, |e| e["signatures"] = json!([])),
            Broken,
            &[("envelope", Error), ("signature", Error), ("signature", Warn)],
            "an envelope without a signature",
        ),
        case(
            "one key signs twice",
            edited(ENVELOPE, |e| {
                let again = e["signatures"][0].clone();
                e["signatures"].as_array_mut().unwrap().push(again);
            }),
            Broken,
            &[("envelope", Error)],
            "two signatures of the key",
        ),
        case(
            "signatures without end",
            edited(ENVELOPE, |e| {
                let all = e["signatures"].as_array_mut().unwrap();
                let one = all[0].clone();
                all.extend(std::iter::repeat_n(one, 10_000));
            }),
            Broken,
            &[("envelope", Error)],
            "no more than 32",
        ),
        case(
            "an envelope with a member more",
            edited(ENVELOPE, |e| e["note"] = json!(1)),
            Broken,
            &[("schema", Error), ("signature", Error), ("signature", Warn)],
            "/note",
        ),
        case("the note on sealing with a member more", edited(SEALING, |e| e["note"] = json!(1)), Broken, &[("schema", Error)], "/note"),
        case("the note on sealing of another version", edited(SEALING, |e| e["v"] = json!(2)), Broken, &[("schema", Error)], "version 2"),
        // ── the key that was asked for ──
        demanding(STRANGER.fingerprint(), case("not the demanded key", good(), Broken, &[("key", Error)], "it is not signed by the key")),
        demanding(
            STRANGER.itself(),
            case("not the demanded key, itself", good(), Broken, &[("key", Error)], "it is not signed by the key"),
        ),
        demanding(
            COLLECTOR.fingerprint(),
            case(
                "a key demanded whose public half is gone",
                after(|b| drop(b.files.remove(KEY))),
                Broken,
                &[("signature", Error), ("key", Error)],
                "but its public half is not here",
            ),
        ),
        demanding(
            COLLECTOR.fingerprint(),
            case("unsigned, and a key demanded", Bag::good(), Broken, &[("key", Error)], "it is not signed, and"),
        ),
        demanding(
            COLLECTOR.fingerprint(),
            case(
                "forged, and the key demanded",
                after(forged),
                Broken,
                &[("envelope", Error), ("key", Error)],
                "did not sign this statement",
            ),
        ),
        demanding(
            COLLECTOR.itself(),
            case(
                "made anew by a stranger, under the collector's key id",
                after(|b| {
                    forged(b);
                    envelope(b, &[&STRANGER, &IN_KMS]);
                    let mut e: Value = serde_json::from_slice(&b.files[ENVELOPE]).unwrap();
                    e["signatures"][0]["keyid"] = json!(COLLECTOR.id());
                    b.files.insert(ENVELOPE.into(), serde_jcs::to_vec(&e).unwrap());
                    b.files.insert(KEY.into(), STRANGER.pem().into_bytes());
                }),
                Broken,
                &[("signature", Error), ("signature", Warn), ("key", Error)],
                "the signature of the key",
            ),
        ),
        // ── what the statement says of the bundle, under a good signature ──
        case(
            "the statement contradicts the bag: gaps",
            signed(|p| {
                p.predicate["gaps"] = json!(0);
                p.journal[1].last_mut().unwrap()["gaps"] = json!(0);
            }),
            Broken,
            &[("coverage", Error)],
            "it states 4 items with 0 gaps",
        ),
        case(
            "the statement contradicts the bag: the case",
            signed(|p| p.predicate["case"] = json!("IR-9")),
            Broken,
            &[("layout", Error), ("custody", Error)],
            "IR-9",
        ),
        case(
            "the statement contradicts the bag: its name",
            signed(|p| p.predicate["bundle"] = json!(NAME.replace("export", "import"))),
            Broken,
            &[("custody", Error), ("root", Warn)],
            "the statement is about another",
        ),
        case(
            "the statement tells of a containment that no journal has",
            signed(|p| p.predicate["containment"] = json!([{"cell": "freeze-concurrency/f", "ended": "holds"}])),
            Broken,
            &[("custody", Error)],
            "it says how 1 cells ended",
        ),
    ]
}

pub fn covered() -> Vec<&'static str> {
    cases().iter().flat_map(|c| c.fires.iter().map(|f| f.0)).collect()
}

fn judged(bag: &Bag, keys: &[DemandedKey]) -> Verification {
    let at = tempfile::tempdir().unwrap();
    let zip = at.path().join(format!("{NAME}.zip"));
    std::fs::write(&zip, bag.zip().bytes()).unwrap();
    let as_zip = verify_with(&zip, keys).unwrap();
    // A directory is not asked for its name, so a bag of another name is judged otherwise there.
    let dir = at.path().join(NAME);
    bag.write_to(&dir);
    let as_dir = verify_with(&dir, keys).unwrap();
    assert_eq!(as_zip.signatures, as_dir.signatures);
    as_zip
}

#[test]
fn exactly_the_intended_checks_fire() {
    let mut failures = vec![];
    for c in cases() {
        let v = judged(&c.bag, &c.keys);
        let expected: BTreeSet<_> = c.fires.iter().copied().collect();
        let said = v.findings.iter().any(|f| f.message.contains(c.says));
        if fired(&v) != expected || v.verdict() != c.verdict || !(said || c.says.is_empty()) {
            failures.push(format!(
                "{}: {:?}, expected {:?} {expected:?} saying {:?}\n{:#?}",
                c.name,
                v.verdict(),
                c.verdict,
                c.says,
                v.findings
            ));
        }
        for f in &v.findings {
            assert!(!f.message.is_empty() && (f.remedy.ends_with('.') || f.level == Level::Info), "{}: {f:?}", c.name);
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_demanded_key_that_signed_leaves_nothing_to_compare() {
    let v = judged(&good(), &[COLLECTOR.fingerprint(), IN_KMS.itself()]);
    assert_eq!((v.verdict(), v.findings.len()), (Verdict::Whole, 0), "{:#?}", v.findings);
    let all: Vec<_> = v.signatures.iter().map(|s| (s.key.to_string(), s.result, s.demanded, s.arn.clone())).collect();
    let holds = SignatureResult::Holds;
    assert_eq!(all, [(COLLECTOR.id(), holds, true, None), (IN_KMS.id(), holds, true, Some(ARN.into()))]);
}

/// A kill while the seal is being laid: the statement comes last.
pub fn half_seals() -> Vec<(String, Bag)> {
    let mut all = vec![];
    for (n, name) in [KEY, KMS, "seal/root.tsr", ENVELOPE, SEALING].into_iter().enumerate() {
        for keep in [0, 1, 40] {
            let mut bag = after(|b| drop(b.files.insert("seal/root.tsr".into(), vec![0x30; 100])));
            bag.files.remove(STATEMENT);
            for later in [KEY, KMS, "seal/root.tsr", ENVELOPE, SEALING].into_iter().skip(n + 1) {
                bag.files.remove(later);
            }
            bag.files.get_mut(name).unwrap().truncate(keep);
            all.push((format!("{name} cut to {keep}"), bag));
        }
    }
    all
}

/// Such a bundle is unfinished, and nothing in it is called wrong.
#[test]
fn half_a_seal_is_unfinished_and_not_broken() {
    for (name, bag) in half_seals() {
        let v = judged(&bag, &[]);
        assert_eq!(v.verdict(), Verdict::Unfinished, "{name}: {:#?}", v.errors().collect::<Vec<_>>());
    }
}

#[test]
fn an_unsigned_bundle_says_so_and_nothing_else() {
    let v = judged(&Bag::good(), &[]);
    assert_eq!((v.findings.len(), v.signatures.len()), (1, 0));
    assert!(v.findings[0].message.starts_with("unsigned:"), "{:?}", v.findings);
}

/// The schemas are not blessed by whoever wrote the types alone: another program holds the documents to them.
#[test]
fn an_independent_validator_knows_envelope_and_note() {
    use crate::support::tools::{python_tools, repository};
    let validate = |bag: &Bag| {
        let dir = tempfile::tempdir().unwrap();
        bag.write_to(dir.path());
        let mut python = std::process::Command::new(python_tools().join("python3"));
        let out =
            python.arg(repository("tests/tools/validate_bag.py")).arg(dir.path()).arg(repository("evidence-schema")).output().unwrap();
        (out.status.success(), String::from_utf8_lossy(&out.stdout).into_owned())
    };
    let (ok, said) = validate(&good());
    assert!(ok && said.contains("envelope: 1") && said.contains("sealing: 1"), "{said}");
    for (path, member) in [(ENVELOPE, "note"), (SEALING, "note")] {
        let (ok, said) = validate(&edited(path, |v| v[member] = json!(1)));
        assert!(!ok && said.contains(path), "{said}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever lies in `seal/`: no panic, and never a word that it is signed.
    #[test]
    fn garbage_in_the_seal_is_never_taken_for_a_signature(which in 0..4usize, at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let path = [ENVELOPE, KEY, KMS, SEALING][which];
        let mut bag = good();
        let bytes = bag.files.get_mut(path).unwrap();
        let at = at.index(bytes.len());
        let before = bytes.clone();
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        let same = *bytes == before;
        let dir = tempfile::tempdir().unwrap();
        bag.write_to(dir.path());
        let v = verify_with(dir.path(), &[COLLECTOR.fingerprint(), IN_KMS.fingerprint()]).unwrap();
        let clean = v.verdict() == Verdict::Whole && v.findings.is_empty();
        // A PEM may be wrapped otherwise and hold the same key, and a note may say another time: all else is found.
        prop_assert!(same || !clean || path != ENVELOPE, "{path} at {at}");
    }
}
