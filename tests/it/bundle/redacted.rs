//! Bundles whose secrets are sealed, and disclosed copies of them: good ones, and one for each way of being broken. Made by hand from the written
//! format; the age files only begin like such.

use super::bag::{Bag, CONFIG, NAME, Parts, sha, sha_base64};
use super::broken::{Expected, fired};
use super::signed::{signed, signed_again};
use freezeframe::bundle::verify::{Level, Verdict, verify};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const LIST: &str = "meta/redactions.jsonl";
const LOGS: &str = "data/60-invocation/000004-FilterLogEvents.json";
const KEY: &str = "data/sealed/commitment-key.age";
const BAG_INFO: &str = "bag-info.txt";

fn age(of: &str) -> Vec<u8> {
    format!("age-encryption.org/v1\n-> X25519 none\n{of}\n").into_bytes()
}
fn sealed_at(path: &str) -> String {
    format!("data/sealed/{}.age", path.strip_prefix("data/").unwrap())
}
fn commitment(n: u8) -> String {
    format!("hmac-sha256:{}", hex::encode([n; 32]))
}
/// As it stands in a twin.
fn redaction(rule: &str, len: usize, n: u8) -> String {
    format!(r#"{{"redacted":true,"rule":"{rule}","len":{len},"commit":"{}"}}"#, commitment(n))
}
fn file(path: &str, bytes: &[u8]) -> Value {
    json!({"path": path, "bytes": bytes.len(), "sha256": sha(bytes)})
}

/// What becomes a twin: the file, its twin and what is said of it.
struct Twin {
    of: &'static str,
    twin: String,
    text: String,
    fields: Value,
    whole: Option<&'static str>,
    commit: u8,
}

fn twins(p: &Parts) -> [Twin; 2] {
    let config: Value = serde_json::from_slice(&p.payload[CONFIG]).unwrap();
    let inner = format!(r#"{{"credentials":{{"a#b":[{}]}}}}"#, redaction("session-token", 9, 2));
    let text = format!(
        r#"{{"FunctionName":{},"CodeSha256":{},"Environment":{{"Variables":{{"a/b~":{}}}}},"CloudTrailEvent":{},"L":[{}]}}"#,
        config["FunctionName"],
        config["CodeSha256"],
        redaction("environment", 5, 1),
        json!(inner),
        json!(format!("[{}]", redaction("session-token", 9, 5)))
    );
    [
        Twin {
            of: CONFIG,
            twin: CONFIG.into(),
            text,
            fields: json!([
                {"at": "/Environment/Variables/a~1b~0", "rule": "environment"},
                {"at": "/CloudTrailEvent#/credentials/a~2b/0", "rule": "session-token"},
                {"at": "/L/0#/0", "rule": "session-token"},
            ]),
            whole: None,
            commit: 3,
        },
        Twin {
            of: LOGS,
            twin: format!("{LOGS}.redacted.json"),
            text: redaction("unreadable", 77, 4) + "\n",
            fields: json!([]),
            whole: Some("unreadable"),
            commit: 4,
        },
    ]
}

/// Two answers of the good bundle with secrets in them: one redacted here and there, one sealed whole.
fn sealed(change: impl FnOnce(&mut Parts, &mut Vec<Value>)) -> Bag {
    signed(|p| {
        let mut lines = vec![];
        for t in twins(p) {
            let text = t.text.into_bytes();
            p.payload.remove(t.of);
            p.payload.insert(t.twin.clone(), text.clone());
            p.payload.insert(sealed_at(t.of), age(t.of));
            let x = p.exchanges.values_mut().find(|x| x["body"] == t.of).unwrap();
            x["body"] = json!(t.twin);
            x["sealed"] = json!(sealed_at(t.of));
            x["body_bytes"] = json!(text.len());
            x["body_sha256"] = json!(sha(&text));
            let id = x["id"].clone();
            p.journal.iter_mut().flatten().filter(|e| e["exchange"] == id).for_each(|e| e["sha256"] = json!(sha(&text)));
            for item in p.items.iter_mut().filter(|i| i["files"][0]["path"] == t.of) {
                item["files"][0] = file(&t.twin, &text);
            }
            let bytes = if t.whole.is_some() { 77 } else { 500 };
            let mut line = json!({
                "twin": file(&t.twin, &text), "sealed": file(&sealed_at(t.of), &age(t.of)),
                "original": {"bytes": bytes, "commit": commitment(t.commit)}, "fields": t.fields,
            });
            if let Some(rule) = t.whole {
                line["whole"] = json!(rule);
            }
            let mut told = line.clone();
            told["ev"] = json!("redact");
            told["fields"] = json!(line["fields"].as_array().unwrap().len());
            p.journal[1].insert(0, told);
            lines.push(line);
        }
        p.payload.insert(KEY.into(), age("key"));
        p.predicate["secrets"] = json!({"sealed": lines.len(), "identity": "age1bundle", "recipients": ["age1ana"]});
        change(p, &mut lines);
        p.redactions = lines;
    })
}

/// The same, changed after it was made, and sealed and signed anew by the same hand.
fn resealed(change: impl FnOnce(&mut Bag)) -> Bag {
    let mut bag = sealed(|_, _| {});
    change(&mut bag);
    bag.seal_again();
    signed_again(&mut bag);
    bag
}

/// The copy of the good one that may be handed on.
fn disclosed(change: impl FnOnce(&mut Bag), seal: impl FnOnce(&mut Bag)) -> Bag {
    let source = sealed(|_, _| {});
    let mut bag = source.clone();
    let root = source.root();
    bag.files.retain(|p, _| !p.starts_with("data/sealed/"));
    for (path, bytes) in &source.files {
        if [BAG_INFO, "manifest-sha256.txt", "tagmanifest-sha256.txt"].contains(&path.as_str()) || path.starts_with("seal/") {
            bag.files.insert(format!("meta/source/{path}"), bytes.clone());
        }
    }
    bag.files.insert("meta/README.txt".into(), b"A copy.\n".to_vec());
    let p = &mut bag.predicate;
    (p["kind"], p["bundle"]) = (json!("disclosure"), json!(format!("{NAME}-disclosure")));
    p["previous"] = json!({"bundle": NAME, "root": root});
    change(&mut bag);
    bag.bag_info();
    bag.edit(BAG_INFO, |t| format!("{t}Source-Bag-Digest: {root}\n"));
    seal(&mut bag);
    bag.manifests();
    signed_again(&mut bag);
    bag
}

pub fn bags() -> Vec<(&'static str, Bag, Expected)> {
    use Level::{Error, Warn};
    const SECRETS: Expected = &[("secrets", Error)];
    const DISCLOSURE: Expected = &[("disclosure", Error)];
    let line = |n: usize, change: fn(&mut Value)| sealed(move |_, lines| change(&mut lines[n]));
    let copy = |change: fn(&mut Bag)| disclosed(change, |_| {});
    vec![
        ("good", sealed(|_, _| {}), &[]),
        ("a twin with another digest than its line says", line(0, |l| l["twin"]["sha256"] = json!(sha(b"x"))), SECRETS),
        ("a line's original is not here", line(0, |l| l["sealed"]["path"] = json!("data/sealed/nowhere.age")), SECRETS_AND_ITEMS),
        ("an original that no line names", sealed(|p, _| drop(p.payload.insert("data/sealed/x.age".into(), age("x")))), SECRETS_AND_ITEMS),
        ("an original in clear", sealed(|p, _| drop(p.payload.insert(KEY.into(), b"00".to_vec()))), SECRETS),
        ("no key of the commitments", sealed(|p, _| drop(p.payload.remove(KEY))), SECRETS),
        ("a line that says another length", line(0, |l| l["twin"]["bytes"] = json!(7)), SECRETS),
        ("a whole file of another length", line(1, |l| l["original"]["bytes"] = json!(78)), SECRETS),
        (
            "an original that an item names, as in a salvaged bundle",
            sealed(|p, _| {
                let original = age("salvaged");
                p.items[0]["files"].as_array_mut().unwrap().push(file("data/sealed/x.age", &original));
                p.payload.insert("data/sealed/x.age".into(), original);
            }),
            &[],
        ),
        ("two lines about one twin", sealed(|_, lines| lines.insert(1, lines[0].clone())), SECRETS),
        (
            "a redaction's journal line that is not of its form",
            sealed(|p, _| p.journal[1][0]["fields"] = json!("many")),
            &[("schema", Error)],
        ),
        ("lines in another order", sealed(|_, lines| lines.reverse()), SECRETS),
        ("a field that is nowhere", line(0, |l| l["fields"][0]["at"] = json!("/Environment/Variables/c")), SECRETS),
        ("a field that is clear text", line(0, |l| l["fields"][0]["at"] = json!("/FunctionName")), SECRETS),
        ("a field of another rule", line(0, |l| l["fields"][0]["rule"] = json!("presigned")), SECRETS),
        ("a field within what is no JSON text", line(0, |l| l["fields"][1]["at"] = json!("/FunctionName#/x")), SECRETS),
        ("a place by another name: a bare ~", line(0, |l| l["fields"][0]["at"] = json!("/Environment/Variables/a~1b~")), SECRETS),
        ("a place by another name: an index with a zero", line(0, |l| l["fields"][2]["at"] = json!("/L/0#/00")), SECRETS),
        ("a place by another name: an index with a sign", line(0, |l| l["fields"][2]["at"] = json!("/L/0#/+0")), SECRETS),
        ("a text by another name", line(0, |l| l["fields"][2]["at"] = json!("/L/00#/0")), SECRETS),
        ("a line of a file that has none", line(0, |l| l["fields"][0]["at"] = json!("7:/x")), SECRETS),
        ("a whole file by another rule", line(1, |l| l["whole"] = json!("packed")), SECRETS),
        ("a rule that nobody knows", line(0, |l| l["fields"][0]["rule"] = json!("hidden")), &[("schema", Error)]),
        (
            "a digest of what is sealed whole",
            sealed(|p, lines| {
                p.items[3]["files"] = json!([lines[1]["twin"]]);
                p.items[3]["provider_digest"] = json!({"name": "CodeSha256", "value": sha_base64(b"x"), "matches": true});
            }),
            &[],
        ),
        ("the statement counts otherwise", sealed(|p, _| p.predicate["secrets"]["sealed"] = json!(3)), SECRETS),
        ("the statement knows of no secrets", sealed(|p, _| drop(p.predicate.as_object_mut().unwrap().remove("secrets"))), SECRETS),
        ("a KMS key and no identity", sealed(|p, _| p.predicate["secrets"]["kmsKey"] = json!("arn:aws:kms:x")), &[("secrets", Warn)]),
        ("the journal tells of no redaction", sealed(|p, _| drop(p.journal[1].remove(0))), SECRETS),
        (
            "an exchange that does not say that its body is sealed",
            sealed(|p, _| p.exchanges.values_mut().for_each(|x| drop(x.as_object_mut().unwrap().remove("sealed")))),
            SECRETS,
        ),
        ("the list is gone", resealed(|b| drop(b.files.remove(LIST))), SECRETS_AND_ITEMS),
        (
            "a source that the statement does not name",
            resealed(|b| drop(b.files.insert("meta/source/bag-info.txt".into(), vec![]))),
            &[("disclosure", Error), ("layout", Warn)],
        ),
        // ── disclosed ──
        ("copy", copy(|_| {}), &[]),
        ("copy of another root", copy(|b| b.predicate["previous"]["root"] = json!(sha(b"x"))), DISCLOSURE),
        ("copy that does not say of what", copy(|b| b.predicate["previous"] = json!(null)), &[("disclosure", Error), ("custody", Error)]),
        (
            "copy with another source in bag-info",
            disclosed(|_| {}, |b| b.edit(BAG_INFO, |t| t.replace("Source-Bag-Digest: ", "Source-Bag-Digest: 0"))),
            DISCLOSURE,
        ),
        ("copy without a file", copy(|b| drop(b.files.remove("data/00-plan/plan.json"))), DISCLOSURE),
        ("copy with another file", copy(|b| drop(b.files.insert("data/00-plan/plan.json".into(), b"{}".to_vec()))), DISCLOSURE),
        ("copy with a file more", copy(|b| drop(b.files.insert("data/00-plan/x.json".into(), b"{}".to_vec()))), DISCLOSURE),
        ("copy with an original", copy(|b| drop(b.files.insert(KEY.into(), age("key")))), DISCLOSURE),
        ("copy with other coverage", copy(|b| b.edit("meta/coverage.json", |t| t.replace("All of it", "Some of it"))), DISCLOSURE),
        (
            "copy without its source's manifests",
            copy(|b| drop(b.files.remove("meta/source/manifest-sha256.txt"))),
            &[("disclosure", Error), ("secrets", Error)],
        ),
        (
            "copy with other manifests of its source",
            copy(|b| b.edit("meta/source/manifest-sha256.txt", |t| t.replace("plan.json", "plan.jsom"))),
            DISCLOSURE,
        ),
        ("copy without its source's statement", copy(|b| drop(b.files.remove("meta/source/seal/statement.json"))), DISCLOSURE),
        (
            "copy whose source lists no items",
            copy(|b| b.edit("meta/source/tagmanifest-sha256.txt", |t| t.replace("items.jsonl", "itemz.jsonl"))),
            DISCLOSURE,
        ),
        ("copy of what was not signed", copy(|b| drop(b.files.remove("meta/source/seal/statement.dsse.json"))), &[]),
        ("copy whose source's signature is wrong", copy(|b| drop(b.files.remove("meta/source/seal/public-key.pem"))), DISCLOSURE),
    ]
}

const SECRETS_AND_ITEMS: Expected = &[("secrets", Level::Error), ("items", Level::Error)];

pub fn covered() -> Vec<&'static str> {
    bags().iter().flat_map(|b| b.2.iter().map(|f| f.0)).collect()
}

#[test]
fn exactly_the_intended_checks_fire() {
    let mut failures = vec![];
    for (name, bag, expected) in bags() {
        let at = tempfile::tempdir().unwrap();
        bag.write_to(at.path());
        let v = verify(at.path()).unwrap();
        let expected: BTreeSet<_> = expected.iter().copied().collect();
        let broken = expected.iter().any(|e| e.1 == Level::Error);
        if fired(&v) != expected || (v.verdict() == Verdict::Broken) != broken {
            failures.push(format!("{name}: {:?}, expected {expected:?}\n{:#?}", v.verdict(), v.findings));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Read anew for each line, this takes many minutes.
#[test]
fn a_twin_is_read_once_however_many_lines_are_about_it() {
    let twin = format!(r#"{{"a":"{}","b":{}}}"#, "x".repeat(4 << 20), redaction("environment", 5, 1)).into_bytes();
    let line = json!({
        "twin": file(CONFIG, &twin), "sealed": file(&sealed_at(CONFIG), &age(CONFIG)),
        "original": {"bytes": 1, "commit": commitment(1)}, "fields": [{"at": "/b", "rule": "environment"}],
    });
    let at = tempfile::tempdir().unwrap();
    let mut bag = Bag::good();
    bag.files.insert(CONFIG.into(), twin);
    bag.files.insert(LIST.into(), (serde_jcs::to_string(&line).unwrap() + "\n").repeat(5_000).into_bytes());
    bag.write_to(at.path());
    let began = std::time::Instant::now();
    let v = verify(at.path()).unwrap();
    let secrets = v.checks.iter().find(|c| c.id == "secrets").unwrap();
    assert!(secrets.errors > 5_000, "of each line that its original is not here, and of all that they are not each once: {secrets:?}");
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
}
