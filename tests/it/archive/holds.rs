//! Event hold and SSE-KMS: what is asked of S3, header by header as botocore's model of S3 names them (1.44.5, s3/2006-03-01: `PutObjectRequest`,
//! `CreateMultipartUploadRequest`, `ObjectLockRetention`, `HeadObjectOutput`), and what is told of an S3 that does otherwise. The emulator knows no
//! event hold, so a server of our own answers here.

use super::parts::big;
use super::vault::{CASE, VAULT, Vault};
use crate::bench::sink::{Asked as Sent, Sink};
use crate::bundle::bag::{Bag, FUNCTION_ZIP, NAME};
use crate::support::emulator::{clock, ok};
use crate::support::stage::stranger;
use crate::support::tools::python_tools;
use freezeframe::archive::{Accepted, ArchiveRecord, Archived, Asked, Bucket, MIN_PART, Order, Place, archive, verify};
use freezeframe::aws::Connector;
use freezeframe::aws::plain::StaticKeys;
use freezeframe::model::id::RunId;
use freezeframe::model::lock::{Lock, LockMode, Retention, Span, parse_until};
use freezeframe::model::outcome::Outcome;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

const KEY: &str = "arn:aws:kms:eu-west-1:123456789012:key/1111-2222";

fn asked(retention: bool, span: Span) -> Asked {
    let retention = retention.then(|| Retention { mode: LockMode::Compliance, until: parse_until("2033-11-20").unwrap() });
    Asked { lock: Lock { retention, legal_hold: false, event_hold: Some(span) }, kms_key: Some(KEY.into()) }
}

async fn send(dir: &Path, sink: &Sink, asked: Asked) -> (Archived, ArchiveRecord) {
    let keys = StaticKeys { access_key_id: "x".into(), secret_access_key: "x".into(), session_token: None };
    let connector = Connector::for_endpoint(&sink.endpoint, "eu-west-1", keys, clock()).await;
    let to = Place::parse("s3://evidence-vault").unwrap();
    let bucket = Bucket::new(connector.s3_archive(), clock(), &to, None).with_sizes(MIN_PART, MIN_PART);
    let order = Order {
        bundle: dir.into(),
        to: to.clone(),
        asked,
        accepted: Accepted::default(),
        run: RunId::new(1, 7),
        operator: "a test".into(),
        signers: Default::default(),
    };
    let archived = archive(&bucket, &order, None, &|_| {}).await.unwrap();
    let record = std::fs::read(archived.record_copy.as_ref().unwrap()).unwrap();
    let place = to.below(CASE).unwrap().below(NAME).unwrap();
    verify(&bucket, &place, vec![]).await.unwrap();
    (archived, serde_json::from_slice(&record).unwrap())
}

/// The bag in a directory, which S3 takes in parts in part.
fn set() -> (tempfile::TempDir, std::path::PathBuf, usize) {
    let files = tempfile::tempdir().unwrap();
    let dir = files.path().join(NAME);
    let (bag, _) = big();
    bag.write_to(&dir);
    let count = bag.files.len();
    (files, dir, count)
}

/// What begins an object: a put, or an upload in parts.
fn begun(sink: &Sink) -> Vec<Sent> {
    let all = sink.seen().into_iter().filter(|s| !s.query.contains("uploadId") && !s.query.starts_with("retention"));
    all.filter(|s| s.method == "PUT" || s.query.contains("uploads")).collect()
}

fn headers(of: &[(&str, &str)]) -> BTreeMap<String, String> {
    of.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect()
}

const SSE: [(&str, &str); 3] = [
    ("x-amz-server-side-encryption", "aws:kms"),
    ("x-amz-server-side-encryption-aws-kms-key-id", KEY),
    ("x-amz-server-side-encryption-bucket-key-enabled", "true"),
];
const UNTIL: [(&str, &str); 2] =
    [("x-amz-object-lock-mode", "COMPLIANCE"), ("x-amz-object-lock-retain-until-date", "2033-11-20T00:00:00Z")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_object_asks_for_hold_and_key_by_the_names_of_the_model() {
    for (retention, span, duration) in [
        (false, Span::Years(7), ("x-amz-object-lock-event-hold-duration-years", "7")),
        (true, Span::Days(90), ("x-amz-object-lock-event-hold-duration-days", "90")),
    ] {
        let (_files, dir, count) = set();
        let hold = [("x-amz-object-lock-event-hold", "ON"), duration];
        let lock: &[(&str, &str)] = if retention { &UNTIL } else { &[] };
        let wanted = [lock, &hold, &SSE].concat();
        let sink = Sink::saying(dir.clone(), &wanted);
        let (archived, record) = send(&dir, &sink, asked(retention, span)).await;
        assert_eq!((archived.outcome, &archived.shortfalls[..]), (Outcome::Complete, &[][..]), "{archived:#?}");
        let begun = begun(&sink);
        assert_eq!(begun.len(), count + 2, "every file, and the addendum's two");
        assert!(begun.iter().any(|s| s.query.contains("uploads") && s.path.ends_with(FUNCTION_ZIP)));
        for s in &begun {
            assert_eq!(s.headers, headers(&wanted), "{} {}", s.method, s.path);
        }
        // As S3 said it, so it stands in the record.
        for o in &record.objects {
            assert_eq!((o.lock.event_hold, o.lock.event_hold_duration, o.lock.mode.is_some()), (true, Some(span), retention));
            assert_eq!((o.encryption.as_deref(), o.kms_key.as_deref()), (Some("aws:kms"), Some(KEY)));
        }
        assert_eq!(record.asked.event_hold, Some(span));
        assert!(!sink.seen().iter().any(|s| s.query.starts_with("retention")), "what holds is not asked for again");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_s3_does_not_do_is_told_and_the_archive_does_not_pass_for_whole() {
    let (_files, dir, count) = set();
    let shortfalls = async |says: &[(&str, &str)], asked: Asked| {
        let sink = Sink::saying(dir.clone(), says);
        let _ = std::fs::remove_dir_all(dir.with_file_name(format!("{NAME}.addenda")));
        let (archived, record) = send(&dir, &sink, asked).await;
        assert_eq!(archived.outcome, Outcome::VerificationFailed);
        assert_eq!(record.shortfalls, archived.shortfalls);
        (archived.shortfalls, sink.seen())
    };
    let all = |what: &str| format!("{what}: {count} objects, the first is data/00-plan/plan.json");

    // No hold: it is asked for once more, of the version, by the words of the model; and then it is said.
    let (told, seen) = shortfalls(&SSE, asked(false, Span::Years(7))).await;
    assert_eq!(told, [all("not locked as asked (event hold)")]);
    let again: Vec<&Sent> = seen.iter().filter(|s| s.query.starts_with("retention")).collect();
    assert_eq!(again.len(), count);
    let body = &again[0].body;
    assert!(body.contains("<EventHold>ON</EventHold><EventHoldDuration><Years>7</Years></EventHoldDuration>"), "{body}");
    assert!(!body.contains("<Mode>") && again[0].query.contains("versionId=v1"), "{:?}", again[0]);

    // A hold that is off, and the retention that was asked with it, are two things.
    let off = [&UNTIL[..1], &[("x-amz-object-lock-event-hold", "OFF")], &SSE].concat();
    let (told, _) = shortfalls(&off, asked(true, Span::Days(90))).await;
    assert_eq!(told, [all("not locked as asked (compliance until 2033-11-20T00:00:00Z)"), all("not locked as asked (event hold)")]);

    // The bucket's own key, another key, none.
    let hold = [("x-amz-object-lock-event-hold", "ON"), ("x-amz-object-lock-event-hold-duration-years", "7")];
    let another = "arn:aws:kms:eu-west-1:123456789012:key/3333-4444";
    for sse in [
        vec![("x-amz-server-side-encryption", "AES256")],
        vec![("x-amz-server-side-encryption", "aws:kms"), ("x-amz-server-side-encryption-aws-kms-key-id", another)],
        vec![],
    ] {
        let (told, _) = shortfalls(&[&hold[..], &sse].concat(), asked(false, Span::Years(7))).await;
        assert_eq!(told, [all("not encrypted with the key that was named")], "{sse:?}");
    }
}

/// The emulator knows SSE-KMS by its headers: what it then says is what was asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_emulator_keeps_the_key_that_was_named() {
    let vault = Vault::set(&Bag::good()).await;
    let (emulator, s3) = (&vault.stage.emulator, &vault.stage.aws.s3);
    let mut aws = stranger(emulator, python_tools().join("aws"), &emulator.root);
    let made: Value = serde_json::from_slice(&aws.args(["kms", "create-key", "--output", "json"]).output().unwrap().stdout).unwrap();
    let arn = made["KeyMetadata"]["Arn"].as_str().unwrap();
    let told = ok(vault.archive(&["--retain", "1d", "--sse-kms-key", arn]).await, 0);
    assert_eq!(told["shortfalls"], Value::Array(vec![]), "{told:#}");
    let head = s3.head_object().bucket(VAULT).key(format!("{}{FUNCTION_ZIP}", vault.lead())).send().await.unwrap();
    assert_eq!((head.server_side_encryption().map(|e| e.as_str()), head.ssekms_key_id()), (Some("aws:kms"), Some(arn)));
    ok(vault.shell().run(&["verify", &vault.place()]).await.unwrap(), 0);
}
