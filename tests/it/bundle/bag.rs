//! An independent builder of bags: plain JSON values, its own hashing, its own manifests.

use super::raw_zip::{RawEntry, RawZip};
use serde_json::{Value, json};
use sha2::Digest as _;
use std::collections::BTreeMap;
use std::path::Path;

pub const NAME: &str = "123456789012-eu-west-1-payments-export-20261120T120000Z-01JD4M3Q3VY0000000000000AB";
pub const STATEMENT: &str = "seal/statement.json";
pub const FUNCTION_ZIP: &str = "data/10-code/v-LATEST.zip";
pub const CONFIG: &str = "data/20-config/000001-GetFunctionConfiguration.json";

pub fn sha(bytes: &[u8]) -> String {
    hex::encode(sha2::Sha256::digest(bytes))
}
pub fn sha_base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(bytes))
}

/// What goes into a bag, before any of it is hashed.
pub struct Parts {
    pub payload: BTreeMap<String, Vec<u8>>,
    pub exchanges: BTreeMap<String, Value>,
    pub items: Vec<Value>,
    /// Journal events by segment, without `v`, `seq`, `prev` and the clock.
    pub journal: Vec<Vec<Value>>,
    pub coverage: Value,
    pub predicate: Value,
    /// Lines of `meta/redactions.jsonl`; no such file without any.
    pub redactions: Vec<Value>,
}

pub fn exchange(n: u32, operation: &str, status: u16, body: Option<(&str, &[u8])>) -> Value {
    let mut x = json!({
        "id": format!("x{n:06}"), "unit": "unit-a", "service": "Lambda", "operation": operation, "region": "eu-west-1", "attempt": 1,
        "method": "GET", "uri": "https://lambda.eu-west-1.amazonaws.com/2015-03-31/functions/payments-export",
        "request_headers": [["user-agent", "freezeframe"]], "sent": "2026-11-20T12:00:01.000Z", "took_ms": 12, "status": status,
        "response_headers": [["x-amzn-requestid", format!("r-{n}")]], "request_id": format!("r-{n}"),
        "body_end": {"how": "complete"}, "body_bytes": body.map_or(0, |b| b.1.len()),
    });
    if let Some((path, bytes)) = body {
        x["body_sha256"] = json!(sha(bytes));
        x["body"] = json!(path);
    }
    x
}

fn file(path: &str, bytes: &[u8]) -> Value {
    json!({"path": path, "bytes": bytes.len(), "sha256": sha(bytes)})
}

impl Parts {
    /// Configuration and code collected, no resource policy, logs denied.
    pub fn good() -> Parts {
        let code = b"PK\x05\x06 not really code \0\x01\x02".repeat(400);
        let config = serde_json::to_vec(&json!({"FunctionName": "payments-export", "CodeSha256": sha_base64(&code)})).unwrap();
        let none = br#"{"Type":"User","Message":"The resource you requested does not exist."}"#.to_vec();
        let denied = br#"{"__type":"AccessDeniedException","Message":"not authorized"}"#.to_vec();
        let none_at = "data/30-policy/000003-GetPolicy.json";
        let denied_at = "data/60-invocation/000004-FilterLogEvents.json";
        let payload: BTreeMap<String, Vec<u8>> = [
            ("data/00-plan/plan.json", br#"{"plan":1}"#.to_vec()),
            (CONFIG, config.clone()),
            (FUNCTION_ZIP, code.clone()),
            (none_at, none.clone()),
            (denied_at, denied.clone()),
        ]
        .map(|(p, b)| (p.to_string(), b))
        .into();
        let exchanges = [
            (
                "data/20-config/000001-GetFunctionConfiguration.http.json",
                exchange(1, "GetFunctionConfiguration", 200, Some((CONFIG, &config))),
            ),
            ("data/10-code/000002-Get.http.json", exchange(2, "Get", 200, Some((FUNCTION_ZIP, &code)))),
            ("data/30-policy/000003-GetPolicy.http.json", exchange(3, "GetPolicy", 404, Some((none_at, &none)))),
            ("data/60-invocation/000004-FilterLogEvents.http.json", exchange(4, "FilterLogEvents", 403, Some((denied_at, &denied)))),
        ]
        .map(|(p, x)| (p.to_string(), x))
        .into();
        let item = |n: u32, group: &str, subject: &str, status: &str, x: u32| {
            json!({"id": format!("i{n:06}"), "group": group, "collector": "unit-a", "subject": subject, "status": status, "sensitivity": "s2",
                   "exchanges": [format!("x{x:06}")]})
        };
        let mut items = vec![
            item(1, "config", "configuration of $LATEST", "collected", 1),
            item(2, "code", "code of $LATEST", "collected", 2),
            item(3, "policy", "resource policy", "not_found", 3),
            item(4, "invocation", "recent log events", "denied", 4),
        ];
        items[0]["files"] = json!([file(CONFIG, &config)]);
        items[1]["files"] = json!([file(FUNCTION_ZIP, &code)]);
        items[1]["provider_digest"] = json!({"name": "CodeSha256", "value": sha_base64(&code), "matches": true});
        items[3]["detail"] = json!("AccessDeniedException");
        items[3]["action"] = json!("logs:FilterLogEvents");

        let mut first = vec![json!({"ev": "bundle-open", "case": "IR-2026-0042", "run": "01JD4M3Q3VY0000000000000AB", "bundle": NAME,
            "target": "arn:aws:lambda:eu-west-1:123456789012:function:payments-export", "tool": "freezeframe 0.1.0", "operator": "ana"})];
        let mut second = Vec::new();
        for (n, status, digest) in [(1, 200, sha(&config)), (2, 200, sha(&code)), (3, 404, sha(&none)), (4, 403, sha(&denied))] {
            let to: &mut Vec<Value> = if n < 3 { &mut first } else { &mut second };
            let i = &items[n - 1];
            to.push(json!({"ev": "req", "exchange": format!("x{n:06}"), "unit": "unit-a", "operation": "Op", "status": status, "sha256": digest}));
            to.push(json!({"ev": "item-stored", "item": i["id"], "subject": i["subject"], "status": i["status"]}));
        }
        second.push(json!({"ev": "gap", "item": "i000004", "kind": "denied", "subject": "recent log events"}));
        second.push(json!({"ev": "seal", "items": 4, "gaps": 1, "finished": true}));

        let coverage = json!({
            "v": 1, "finished": true,
            "planned": [
                {"unit": "unit-a", "title": "All of it", "question": "What runs here?", "group": "config", "ended": "done",
                 "items": ["i000001", "i000002", "i000003", "i000004"]},
            ],
            "groups": {"config": {"collected": 1}, "code": {"collected": 1}, "policy": {"not_found": 1}, "invocation": {"denied": 1}},
            "gaps": [{"kind": "denied", "collector": "unit-a", "subject": "recent log events", "question": "What did it do?",
                      "detail": "AccessDeniedException", "action": "logs:FilterLogEvents", "exchanges": ["x000004"]}],
        });
        let predicate = json!({
            "case": "IR-2026-0042", "bundle": NAME, "kind": "acquisition", "run": "01JD4M3Q3VY0000000000000AB", "finished": true,
            "target": {"arn": "arn:aws:lambda:eu-west-1:123456789012:function:payments-export", "revisionId": null, "codeSha256": sha_base64(&code)},
            "tool": {"name": "freezeframe", "version": "0.1.0", "commit": null, "binarySha256": null},
            "operator": "ana", "playbook": "snapshot-only", "opened": "2026-11-20T12:00:00.000Z", "sealed": "2026-11-20T12:01:00.000Z",
            "items": 4, "gaps": 1, "clockSkewMs": null, "previous": null,
            "schemas": {"coverage": 1, "exchange": 1, "item": 1, "journal": 1, "statement": 1},
        });
        Parts { payload, exchanges, items, journal: vec![first, second], coverage, predicate, redactions: vec![] }
    }

    /// The bag that a correct writer makes of these parts, contradictory or not.
    pub fn seal(self) -> Bag {
        let mut files = self.payload;
        for (path, x) in &self.exchanges {
            files.insert(path.clone(), serde_json::to_vec_pretty(x).unwrap());
        }
        let (mut prev, mut seq) = ("0".repeat(64), 0);
        for (n, events) in self.journal.iter().enumerate() {
            let mut segment = Vec::new();
            for event in events {
                seq += 1;
                let mut line = json!({"v": 1, "seq": seq, "prev": prev, "t": "2026-11-20T12:00:02.000Z", "mono_ns": seq, "actor": "arn:aws:iam::123456789012:user/ana"});
                line.as_object_mut().unwrap().extend(event.as_object().unwrap().clone());
                let bytes = serde_jcs::to_vec(&line).unwrap();
                prev = sha(&bytes);
                segment.extend(bytes);
                segment.push(b'\n');
            }
            files.insert(format!("meta/journal/{:06}.jsonl", n + 1), segment);
        }
        for (path, records) in [("meta/items.jsonl", &self.items), ("meta/redactions.jsonl", &self.redactions)] {
            let mut lines = Vec::new();
            for record in records {
                lines.extend(serde_jcs::to_vec(record).unwrap());
                lines.push(b'\n');
            }
            if !lines.is_empty() {
                files.insert(path.into(), lines);
            }
        }
        files.insert("meta/coverage.json".into(), serde_json::to_vec_pretty(&self.coverage).unwrap());
        files.insert("meta/README.txt".into(), b"What this is.\n".to_vec());
        files.insert("meta/VERIFY.txt".into(), b"How to check it.\n".to_vec());
        files.insert("bagit.txt".into(), b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n".to_vec());
        let mut predicate = self.predicate;
        predicate["journalHead"] = json!(prev);
        predicate["journalCount"] = json!(seq);
        let mut bag = Bag { files, predicate };
        bag.seal_again();
        bag
    }
}

fn list(files: &BTreeMap<String, Vec<u8>>, of: &dyn Fn(&str) -> bool) -> Vec<u8> {
    files.iter().filter(|(p, _)| of(p)).map(|(p, b)| format!("{}  {p}\n", sha(b))).collect::<String>().into_bytes()
}

/// The files of a bag, ready to be tampered with.
#[derive(Clone)]
pub struct Bag {
    pub files: BTreeMap<String, Vec<u8>>,
    pub predicate: Value,
}

impl Bag {
    pub fn good() -> Bag {
        Parts::good().seal()
    }

    /// Write `bag-info.txt`, both manifests and the statement anew, over whatever is there: the forger who knows the format.
    pub fn seal_again(&mut self) {
        self.bag_info();
        self.manifests();
    }

    pub fn bag_info(&mut self) {
        let payload: Vec<&Vec<u8>> = self.files.iter().filter(|f| f.0.starts_with("data/")).map(|f| f.1).collect();
        let oxum = format!("{}.{}", payload.iter().map(|b| b.len()).sum::<usize>(), payload.len());
        let info = format!(
            "Bag-Software-Agent: freezeframe 0.1.0\nBagging-Date: 2026-11-20\nExternal-Identifier: IR-2026-0042\nPayload-Oxum: {oxum}\n"
        );
        self.files.insert("bag-info.txt".into(), info.into_bytes());
    }

    pub fn manifests(&mut self) {
        self.files.insert("manifest-sha256.txt".into(), list(&self.files, &|p| p.starts_with("data/")));
        self.manifests_but_payload();
    }

    /// The tag manifest and the statement, over the payload manifest as it is.
    pub fn manifests_but_payload(&mut self) {
        let tags = list(&self.files, &|p| !["data/", "seal/", "tmp/", "tagmanifest-"].iter().any(|t| p.starts_with(t)));
        self.files.insert("tagmanifest-sha256.txt".into(), tags);
        self.statement();
    }

    pub fn statement(&mut self) {
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": "tagmanifest-sha256.txt", "digest": {"sha256": self.root()}}],
            "predicateType": "urn:freezeframe:predicate:acquisition:v1",
            "predicate": self.predicate,
        });
        self.files.insert(STATEMENT.into(), serde_jcs::to_vec(&statement).unwrap());
    }

    pub fn root(&self) -> String {
        sha(&self.files["tagmanifest-sha256.txt"])
    }

    pub fn edit(&mut self, path: &str, edit: impl FnOnce(String) -> String) {
        let text = String::from_utf8(self.files[path].clone()).unwrap();
        let edited = edit(text.clone());
        assert_ne!(text, edited, "the edit of {path} did not change it");
        self.files.insert(path.into(), edited.into_bytes());
    }

    pub fn write_to(&self, directory: &Path) {
        for (path, bytes) in &self.files {
            let at = directory.join(path);
            std::fs::create_dir_all(at.parent().unwrap()).unwrap();
            std::fs::write(at, bytes).unwrap();
        }
    }

    pub fn zip(&self) -> RawZip {
        let entry = |(p, b): (&String, &Vec<u8>)| {
            let name = format!("{NAME}/{p}");
            if p.ends_with(".zip") { RawEntry::stored(&name, b) } else { RawEntry::deflated(&name, b) }
        };
        RawZip { entries: self.files.iter().map(entry).collect(), ..RawZip::default() }
    }
}
