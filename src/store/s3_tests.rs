//! The store against a small S3 behind a socket: it keeps objects, honours `If-None-Match` and checksums, pages its listings, and can be
//! told to misbehave. The real MiniStack has its turn in the integration tests.

use super::*;
use crate::aws::connect::Connector;
use crate::aws::plain::StaticKeys;
use crate::clock::FakeClock;
use crate::store::conformance;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

#[derive(Default)]
struct Wire {
    objects: BTreeMap<String, Vec<u8>>,
    /// Conditional puts that are still answered with 409.
    conflicts: u32,
    /// The next puts are kept and answered with 500.
    lose_answers: u32,
    /// Heads tell no checksum, like an S3 that keeps none.
    no_checksums: bool,
    /// What is kept differs from what was sent.
    corrupt: bool,
    denied: bool,
    seen: Vec<String>,
}

#[derive(Clone, Default)]
struct FakeS3(Arc<Mutex<Wire>>);

struct Request {
    method: String,
    path: String,
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

async fn read(from: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    if from.read_line(&mut line).await.ok()? == 0 {
        return None;
    }
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_string(), words.next()?.to_string());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        from.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_string());
    }
    if headers.contains_key("expect") {
        from.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.ok()?;
    }
    let length = headers.get("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    from.read_exact(&mut body).await.ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let plain = |s: &str| s.replace("%2F", "/");
    let query = query.split('&').filter_map(|p| p.split_once('=')).map(|(k, v)| (k.to_string(), plain(v))).collect();
    Some(Request { method, path: path.to_string(), query, headers, body })
}

fn error(status: u16, code: &str) -> (u16, Vec<(String, String)>, Vec<u8>) {
    (status, vec![], format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>m</Message></Error>").into_bytes())
}

impl FakeS3 {
    fn wire(&self) -> std::sync::MutexGuard<'_, Wire> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, r: &Request) -> (u16, Vec<(String, String)>, Vec<u8>) {
        let mut wire = self.wire();
        wire.seen.push(format!("{} {}", r.method, r.path));
        let Some(key) = r.path.strip_prefix("/vault/") else {
            return error(404, "NoSuchBucket");
        };
        if wire.denied {
            return error(403, "AccessDenied");
        }
        let checksum = |bytes: &[u8]| ("x-amz-checksum-sha256".to_string(), Sha256::of(bytes).to_base64());
        match r.method.as_str() {
            "PUT" => {
                assert_eq!(r.headers.get("if-none-match").map(String::as_str), Some("*"), "every put is conditional");
                assert_eq!(r.headers.get("x-amz-checksum-sha256"), Some(&Sha256::of(&r.body).to_base64()), "and carries its checksum");
                if wire.conflicts > 0 {
                    wire.conflicts -= 1;
                    return error(409, "ConditionalRequestConflict");
                }
                if wire.objects.contains_key(key) {
                    return error(412, "PreconditionFailed");
                }
                let mut kept = r.body.clone();
                if wire.corrupt {
                    kept.push(b'!');
                }
                wire.objects.insert(key.to_string(), kept);
                if wire.lose_answers > 0 {
                    wire.lose_answers -= 1;
                    return error(500, "InternalError");
                }
                // No checksum in the answer, as MiniStack does.
                (200, vec![("etag".into(), "\"x\"".into())], vec![])
            }
            "HEAD" | "GET" if key.is_empty() => list(&wire, r),
            "HEAD" | "GET" => match wire.objects.get(key) {
                Some(bytes) => (200, if wire.no_checksums { vec![] } else { vec![checksum(bytes)] }, bytes.clone()),
                None => error(404, "NoSuchKey"),
            },
            _ => error(405, "MethodNotAllowed"),
        }
    }

    async fn serve(self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        while let Some(request) = read(&mut stream).await {
            let (status, headers, body) = self.answer(&request);
            let mut head = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n", body.len());
            for (name, value) in headers {
                let _ = write!(head, "{name}: {value}\r\n");
            }
            head.push_str("\r\n");
            let body = if request.method == "HEAD" { Vec::new() } else { body };
            if stream.get_mut().write_all(&[head.into_bytes(), body].concat()).await.is_err() {
                return;
            }
        }
    }
}

fn list(wire: &Wire, r: &Request) -> (u16, Vec<(String, String)>, Vec<u8>) {
    const PAGE: usize = 3;
    let prefix = r.query.get("prefix").cloned().unwrap_or_default();
    let after = r.query.get("continuation-token").cloned().unwrap_or_default();
    let keys: Vec<&String> = wire.objects.keys().filter(|k| k.starts_with(&prefix) && **k > after).collect();
    let mut body = String::from("<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for key in keys.iter().take(PAGE) {
        let _ = match key[prefix.len()..].split_once('/').filter(|_| r.query.contains_key("delimiter")) {
            Some((folder, _)) => write!(body, "<CommonPrefixes><Prefix>{prefix}{folder}/</Prefix></CommonPrefixes>"),
            None => write!(body, "<Contents><Key>{key}</Key></Contents>"),
        };
    }
    if keys.len() > PAGE {
        let _ = write!(body, "<IsTruncated>true</IsTruncated><NextContinuationToken>{}</NextContinuationToken>", keys[PAGE - 1]);
    }
    (200, vec![], (body + "</ListBucketResult>").into_bytes())
}

async fn client(s3: &FakeS3) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let s3 = s3.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(s3.clone().serve(stream));
        }
    });
    let keys = StaticKeys { access_key_id: "AKIDEXAMPLE".into(), secret_access_key: "not-a-secret".into(), session_token: None };
    Connector::for_endpoint(&endpoint, "eu-west-1", keys, clock()).await.s3_plain()
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(FakeClock::at("2026-11-20T12:00:00Z").unwrap())
}

async fn store(s3: &FakeS3) -> S3Store {
    S3Store::new(client(s3).await, clock(), "vault", "evidence").unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms() {
    let s3 = FakeS3::default();
    let client = client(&s3).await;
    conformance::run(|n| S3Store::new(client.clone(), clock(), "vault", &format!("s{n}/p")).unwrap()).await;
}

#[tokio::test]
async fn a_conflict_is_tried_again_and_then_given_up() {
    let s3 = FakeS3::default();
    let store = store(&s3).await;
    s3.wire().conflicts = CONFLICT_TRIES - 1;
    assert_eq!(store.put_if_absent("a", b"1".to_vec()).await.unwrap(), Put::Stored);
    s3.wire().conflicts = CONFLICT_TRIES;
    assert!(matches!(store.put_if_absent("b", b"1".to_vec()).await, Err(StoreError::PutObject { .. })));
    assert_eq!(s3.wire().conflicts, 0);
}

/// The SDK repeats a put whose answer was lost, and meets its own object: `Exists`, with our bytes in place.
#[tokio::test]
async fn a_lost_answer_leaves_our_object() {
    let s3 = FakeS3::default();
    let store = store(&s3).await;
    s3.wire().lose_answers = 1;
    assert_eq!(store.put_if_absent("a", b"ours".to_vec()).await.unwrap(), Put::Exists);
    assert_eq!(store.get("a").await.unwrap().unwrap(), b"ours");
}

#[tokio::test]
async fn what_s3_kept_is_compared() {
    let s3 = FakeS3::default();
    let store = store(&s3).await;
    for no_checksums in [false, true] {
        s3.wire().no_checksums = no_checksums;
        s3.wire().corrupt = false;
        assert_eq!(store.put_if_absent(&format!("good-{no_checksums}"), b"1".to_vec()).await.unwrap(), Put::Stored);
        s3.wire().corrupt = true;
        match store.put_if_absent(&format!("bad-{no_checksums}"), b"1".to_vec()).await {
            Err(StoreError::PutObject { source, .. }) => assert!(source.to_string().contains("stored other bytes"), "{source}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn denied_is_not_absent() {
    let s3 = FakeS3::default();
    let store = store(&s3).await;
    s3.wire().denied = true;
    assert!(matches!(store.get("a").await, Err(StoreError::GetObject { .. })));
    assert!(matches!(store.list("").await, Err(StoreError::ListObjects { .. })));
    let elsewhere = S3Store::new(client(&s3).await, clock(), "nowhere", "").unwrap();
    assert!(elsewhere.get("a").await.is_err(), "a bucket that does not exist is no absent object");
}

#[tokio::test]
async fn a_file_that_s3_takes_in_parts_only_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let (small, s3) = (dir.path().join("f"), FakeS3::default());
    let store = store(&s3).await;
    std::fs::write(&small, vec![7; 3 << 20]).unwrap();
    assert_eq!(store.put_file_if_absent("f", &small).await.unwrap(), Put::Stored);
    assert_eq!(s3.wire().objects["evidence/f"].len(), 3 << 20);
    let big = dir.path().join("big");
    std::fs::File::create(&big).unwrap().set_len(MAX_SINGLE_PUT + 1).unwrap();
    let e = store.put_file_if_absent("big", &big).await.unwrap_err();
    assert!(std::error::Error::source(&e).unwrap().to_string().contains("5 GiB"));
}

#[tokio::test]
async fn the_client_is_fenced() {
    let s3 = FakeS3::default();
    let refused = client(&s3).await.delete_object().bucket("vault").key("a").send().await;
    assert!(refused.is_err());
    assert_eq!(s3.wire().seen, Vec::<String>::new(), "nothing was sent");
}
