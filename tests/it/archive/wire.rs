//! An S3 that answers badly: a proxy before the emulator, on real sockets, that spoils the answers it is told to.

use super::vault::{VAULT, Vault};
use crate::bundle::bag::{Bag, FUNCTION_ZIP, NAME};
use crate::drill::gate::{Gate, Moment, message};
use crate::support::emulator::ok;
use freezeframe::drill::command::Ended;
use serde_json::json;
use std::sync::{Arc, Mutex};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spoil {
    /// S3 never hears of it.
    Refuse(u16, &'static str),
    /// S3 does it, and the answer is another.
    After(u16, &'static str),
    /// S3 does it, and the line is cut before the answer.
    CutAfter,
    /// Half of the answer's bytes, and then the line is cut.
    HalfAnswer,
}

/// How often, of which request, and what.
type Orders = Vec<(u32, &'static str, Spoil)>;

struct Proxy {
    endpoint: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    async fn before(upstream: &str, orders: Orders) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let upstream = upstream.strip_prefix("http://").unwrap().to_string();
        let (left, seen) = (Arc::new(Mutex::new(orders)), Arc::new(Mutex::new(vec![])));
        let proxy = Proxy { endpoint, seen: seen.clone() };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (upstream, left, seen) = (upstream.clone(), left.clone(), seen.clone());
                tokio::spawn(async move { relay(client, upstream, left, seen).await.ok() });
            }
        });
        proxy
    }

    /// Every request line that came by and holds this.
    fn seen(&self, needle: &str) -> usize {
        self.seen.lock().unwrap().iter().filter(|l| l.contains(needle)).count()
    }
}

async fn relay(mut client: TcpStream, upstream: String, left: Arc<Mutex<Orders>>, seen: Arc<Mutex<Vec<String>>>) -> std::io::Result<()> {
    let mut s3 = TcpStream::connect(&upstream).await?;
    loop {
        let Some(request) = message(&mut client, None).await? else { return Ok(()) };
        let line = String::from_utf8_lossy(&request).lines().next().unwrap_or_default().to_string();
        let spoil = {
            let mut left = left.lock().unwrap();
            let hit = left.iter_mut().find(|(n, needle, _)| *n > 0 && line.contains(needle));
            hit.map(|(n, _, spoil)| {
                *n -= 1;
                *spoil
            })
        };
        // What answers HEAD has no body, so no code.
        let bare = line.starts_with("HEAD ");
        seen.lock().unwrap().push(line);
        let error = |status: u16, code: &str| {
            let body = if bare {
                String::new()
            } else {
                format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>told to</Message></Error>")
            };
            format!("HTTP/1.1 {status} x\r\ncontent-type: application/xml\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
        };
        if let Some(Spoil::Refuse(status, code)) = spoil {
            client.write_all(&error(status, code)).await?;
            continue;
        }
        s3.write_all(&request).await?;
        let Some(answer) = message(&mut s3, Some(&request)).await? else { return Ok(()) };
        match spoil {
            Some(Spoil::After(status, code)) => client.write_all(&error(status, code)).await?,
            Some(Spoil::CutAfter) => return Ok(()),
            Some(Spoil::HalfAnswer) => {
                client.write_all(&answer[..answer.len() / 2]).await?;
                return client.shutdown().await;
            }
            _ => client.write_all(&answer).await?,
        }
    }
}

async fn run(vault: &Vault, proxy: &Proxy, args: &[&str]) -> Ended {
    let output = vault.shell().process(args).arg("--json").env("AWS_ENDPOINT_URL", &proxy.endpoint).output().await.unwrap();
    Ended {
        code: output.status.code().unwrap_or(-1),
        document: serde_json::from_slice(&output.stdout).unwrap_or_default(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

async fn archive(vault: &Vault, orders: Orders) -> (Ended, Proxy) {
    let proxy = Proxy::before(&vault.stage.emulator.endpoint, orders).await;
    let bundle = vault.bundle();
    let ended = run(vault, &proxy, &["archive", bundle.to_str().unwrap(), "s3://evidence-vault/prod", "--retain", "1d"]).await;
    (ended, proxy)
}

const CODE: &str = "/data/10-code/v-LATEST.zip";
const PUT_CODE: &str = "v-LATEST.zip?x-id=PutObject";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_answers_cost_time_and_no_object() {
    let bag = Bag::good();
    let vault = Vault::set(&bag).await;
    let files = bag.files.len() as u64;
    for spoil in [
        Spoil::Refuse(503, "SlowDown"),
        Spoil::Refuse(500, "InternalError"),
        Spoil::Refuse(409, "ConditionalRequestConflict"),
        Spoil::After(503, "ServiceUnavailable"),
        Spoil::CutAfter,
        // Somebody was faster, or we were, and our own first answer is what was lost.
        Spoil::After(412, "PreconditionFailed"),
    ] {
        vault.anew(&bag).await;
        let (ended, proxy) = archive(&vault, vec![(2, PUT_CODE, spoil), (1, "tagmanifest-sha256.txt?x-id=PutObject", spoil)]).await;
        let told = ok(ended, 0);
        assert_eq!(told["uploaded"].as_u64().unwrap() + told["present"].as_u64().unwrap(), files, "{spoil:?}");
        assert_eq!(told["shortfalls"], json!([]), "{spoil:?}");
        let tried = proxy.seen(PUT_CODE);
        assert!(if matches!(spoil, Spoil::After(412, _)) { tried == 1 } else { tried > 1 }, "{spoil:?}: {tried}");
        let of_code = vault.versions(&format!("{}{FUNCTION_ZIP}", vault.lead())).await;
        assert_eq!(of_code.len(), 1, "{spoil:?}: {of_code:?}");
        ok(vault.shell().run(&["verify", &vault.place()]).await.unwrap(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_get_better_is_told_and_can_be_resumed() {
    let bag = Bag::good();
    let vault = Vault::set(&bag).await;
    for (spoil, words) in [
        (Spoil::Refuse(409, "ConditionalRequestConflict"), "ConditionalRequestConflict"),
        (Spoil::Refuse(503, "SlowDown"), "SlowDown"),
        (Spoil::Refuse(403, "AccessDenied"), "AccessDenied"),
        (Spoil::Refuse(400, "BadDigest"), "BadDigest"),
    ] {
        let (ended, _) = archive(&vault, vec![(u32::MAX, PUT_CODE, spoil)]).await;
        assert_eq!(ended.code, 1, "{spoil:?}: {}", ended.stderr);
        assert!(
            ended.stderr.contains(CODE) && ended.stderr.contains(words) && ended.stderr.contains("run the same command again"),
            "{}",
            ended.stderr
        );
        let there = vault.versions(&vault.lead()).await;
        assert!(!there.iter().any(|(k, ..)| k.ends_with("tagmanifest-sha256.txt") || k.contains("/seal/")), "{there:?}");
    }
    // Another's object comes in between our look and our put.
    vault.anew(&bag).await;
    let key = format!("{}{FUNCTION_ZIP}", vault.lead());
    let gate = Gate::before(&vault.stage.emulator.endpoint, Moment::Asked, PUT_CODE).await;
    let bundle = vault.bundle();
    let args = ["archive", bundle.to_str().unwrap(), "s3://evidence-vault/prod"];
    let mut command = vault.shell().process(&args);
    let (ended, ()) = tokio::join!(command.env("AWS_ENDPOINT_URL", &gate.endpoint).output(), async {
        gate.holds().await;
        vault.stage.aws.s3.put_object().bucket(VAULT).key(&key).body(b"another's".to_vec().into()).send().await.unwrap();
        gate.open();
    });
    let ended = ended.unwrap();
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.code() == Some(8) && stderr.contains("lies there already with other bytes"), "{stderr}");
    assert_eq!(vault.object(&key).await, b"another's");
}

/// What S3 cannot be asked about its bucket is said to be unknown, and nothing is made up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_of_a_bucket_is_unknown() {
    let vault = Vault::set(&Bag::good()).await;
    let denied = Spoil::Refuse(403, "AccessDenied");
    let asked = ["?versioning", "?object-lock", "?publicAccessBlock", "?policyStatus", "?acl", "?encryption", "?policy", "?replication"];
    let (ended, _) = archive(&vault, asked.iter().map(|a| (9, *a, denied)).collect()).await;
    let told = ok(ended, 0);
    for p in told["bucket"].as_array().unwrap() {
        let verdict = if p["name"] == "owner" { "weak" } else { "unknown" };
        assert_eq!(p["verdict"], verdict, "{p}");
    }
    assert_eq!(told["bucket"].as_array().unwrap().len(), 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_breaks_off_is_taken_up_where_it_broke() {
    let bag = Bag::good();
    let vault = Vault::set(&bag).await;
    let (ended, _) = archive(&vault, vec![]).await;
    ok(ended, 0);
    let get_code = "v-LATEST.zip?x-id=GetObject";
    let orders = vec![(3, get_code, Spoil::HalfAnswer), (1, "items.jsonl?x-id=GetObject", Spoil::Refuse(503, "SlowDown"))];
    let proxy = Proxy::before(&vault.stage.emulator.endpoint, orders).await;
    let out = vault.stage.files.path().join("out");
    let told = ok(run(&vault, &proxy, &["fetch", &vault.place(), "--to", out.to_str().unwrap()]).await, 0);
    assert_eq!(told["verification"]["verdict"], "whole", "{told:#}");
    assert_eq!(std::fs::read(out.join(NAME).join(FUNCTION_ZIP)).unwrap(), bag.files[FUNCTION_ZIP]);
    assert!(proxy.seen(&format!("GET /{VAULT}/{}{FUNCTION_ZIP}", vault.lead())) >= 2, "it was taken up again");
}

/// Who may not list versions cannot be told that there is only one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_that_may_not_be_listed_are_said_to_be_unknown() {
    let vault = Vault::set(&Bag::good()).await;
    let (ended, _) = archive(&vault, vec![]).await;
    ok(ended, 0);
    let unseen = |told: &serde_json::Value| {
        let all = told["findings"].as_array().unwrap();
        all.iter().filter(|f| f["message"].as_str().unwrap().contains("whether there are any is not known")).count()
    };
    for (orders, wanted) in [(vec![], 0), (vec![(9, "?versions", Spoil::Refuse(403, "AccessDenied"))], 1)] {
        let proxy = Proxy::before(&vault.stage.emulator.endpoint, orders).await;
        let told = ok(run(&vault, &proxy, &["verify", &vault.place()]).await, 0);
        assert_eq!(unseen(&told), wanted, "{told:#}");
    }
}

/// What S3 refuses of one object is found of that one; what it refuses of each is no finding about any.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_told_of_no_object_is_told_that() {
    let vault = Vault::set(&Bag::good()).await;
    let (ended, _) = archive(&vault, vec![]).await;
    ok(ended, 0);
    let untold = "S3 does not say what it keeps of it";
    for (needle, code) in [("HEAD /evidence-vault/prod/", 1), ("v-LATEST.zip", 4)] {
        let orders = vec![(u32::MAX, needle, Spoil::Refuse(403, "AccessDenied"))];
        let proxy = Proxy::before(&vault.stage.emulator.endpoint, orders).await;
        let ended = run(&vault, &proxy, &["verify", &vault.place()]).await;
        assert_eq!(ended.code, code, "{}", ended.stderr);
        let findings = ended.document["findings"].as_array().cloned().unwrap_or_default();
        let about: Vec<_> = findings.iter().filter(|f| f["message"].as_str().unwrap().contains(untold)).map(|f| &f["path"]).collect();
        match code {
            1 => assert!(ended.stderr.contains("cannot ask S3 about"), "{}", ended.stderr),
            _ => assert_eq!(about, [&json!(FUNCTION_ZIP)], "{:#}", ended.document),
        }
    }
    // What passes is waited for, or ends it: nothing is concluded from it.
    let orders = vec![(u32::MAX, "HEAD /evidence-vault/prod/", Spoil::Refuse(503, "SlowDown"))];
    let proxy = Proxy::before(&vault.stage.emulator.endpoint, orders).await;
    let ended = run(&vault, &proxy, &["verify", &vault.place()]).await;
    assert!(ended.code == 1 && ended.stderr.contains("cannot ask S3 about"), "{}: {}", ended.code, ended.stderr);
}
