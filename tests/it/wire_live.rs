//! Tape and fence against real sockets: what the scripted wire cannot show, because it is not the HTTP layer. One server thread on loopback
//! for each test; every connection gets the next answer of its script, written as raw bytes.

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_types::retry::RetryConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;
use freezeframe::aws::fault::{Fault, FaultClass};
use freezeframe::aws::raw::RawCall;
use freezeframe::aws::record::{Recorder, UnitScope};
use freezeframe::aws::{Aws, Connector};
use freezeframe::bundle::documents::{BundleKind, ToolRecord};
use freezeframe::bundle::draft::{Draft, DraftInfo};
use freezeframe::bundle::secrets::{Identities, SecretsOrder};
use freezeframe::clock::SystemClock;
use freezeframe::collect::{self, CollectCx, Facts, Shared};
use freezeframe::model::call::{Call, Scope, Service};
use freezeframe::model::digest::{Hasher, Sha256};
use freezeframe::model::exchange::{BodyEnd, Exchange};
use freezeframe::model::gap::GapKind;
use freezeframe::model::id::{ExchangeId, RunId};
use freezeframe::model::item::{Group, ItemStatus};
use freezeframe::model::params::Params;
use freezeframe::model::path::BundlePath;
use freezeframe::model::target::Target;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SECRET: &str = "never-in-evidence-secret";
const TOKEN: &str = "never-in-evidence-token";

/// What happens on one connection after the request has been read.
enum Script {
    /// These bytes, then the connection is closed.
    Say(Vec<u8>),
    /// These bytes, and then nothing until the client lets go.
    SayAndHang(Vec<u8>),
    /// A whole body of so many MiB, each byte telling its MiB.
    Stream { mebibytes: u64, written: Arc<AtomicU64> },
}

fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut all = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n",
        body.len()
    )
    .into_bytes();
    all.extend_from_slice(body);
    all
}

/// The server; what reached it lies in `requests`.
struct Server {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

fn serve(scripts: Vec<Script>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(Mutex::new(vec![]));
    let seen = requests.clone();
    std::thread::spawn(move || {
        for script in scripts {
            let (stream, _) = listener.accept().unwrap();
            seen.lock().unwrap().push(read_request(&stream));
            // A client that lets go early is what some tests are about.
            std::thread::spawn(move || play(stream, script).ok());
        }
        // Further connections are accepted, so that they are counted.
        for stream in listener.incoming().flatten() {
            seen.lock().unwrap().push(read_request(&stream));
        }
    });
    Server { url, requests }
}

fn read_request(stream: &TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
            break;
        }
        if let Some(n) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = n.trim().parse().unwrap();
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    head + &String::from_utf8_lossy(&body)
}

fn play(mut stream: TcpStream, script: Script) -> io::Result<()> {
    match script {
        Script::Say(bytes) => stream.write_all(&bytes),
        Script::SayAndHang(bytes) => {
            stream.write_all(&bytes)?;
            stream.read_to_end(&mut vec![]).map(drop)
        }
        Script::Stream { mebibytes, written } => {
            stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", mebibytes << 20).as_bytes())?;
            for mebibyte in 0..mebibytes {
                for _ in 0..64 {
                    stream.write_all(&[mebibyte as u8; 16 << 10])?;
                    written.fetch_add(16 << 10, Ordering::SeqCst);
                }
            }
            Ok(())
        }
    }
}

struct Bench {
    connector: Connector,
    draft: Arc<Draft>,
    target: Target,
    dir: tempfile::TempDir,
}

fn bench(server: &Server, attempts: u32) -> Bench {
    let clock = Arc::new(SystemClock::new());
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(aws_smithy_http_client::tls::Provider::Rustls(aws_smithy_http_client::tls::rustls_provider::CryptoMode::AwsLc))
        .build_https();
    let conf = SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .region(Region::new("eu-live-1"))
        .endpoint_url(&server.url)
        .credentials_provider(SharedCredentialsProvider::new(
            Credentials::builder()
                .access_key_id("AKIATESTTESTTESTTEST")
                .secret_access_key(SECRET)
                .session_token(TOKEN)
                .provider_name("test")
                .build(),
        ))
        .http_client(http)
        .retry_config(RetryConfig::standard().with_max_attempts(attempts).with_initial_backoff(Duration::from_millis(1)))
        .build();
    let dir = tempfile::tempdir().unwrap();
    let target = Target {
        partition: "aws".into(),
        account: "123456789012".into(),
        region: "eu-live-1".into(),
        function: "payments-export".into(),
        qualifier: None,
    };
    let info = DraftInfo {
        case: "IR-LIVE".parse().unwrap(),
        run: RunId("01KAGZ0000000000000000TEST".into()),
        kind: BundleKind::Acquisition,
        target: target.clone(),
        playbook: "snapshot-only".into(),
        operator: "ada".into(),
        tool: ToolRecord { name: "freezeframe".into(), version: "0.0.0".into(), commit: None, binary_sha256: None },
        previous: None,
        secrets: SecretsOrder { recipients: vec![Identities::make("a test's").0], ..SecretsOrder::default() },
    };
    let draft = Draft::open(dir.path(), info, clock.clone()).unwrap();
    Bench { connector: Connector::from_conf(conf, clock).unwrap(), draft, target, dir }
}

impl Bench {
    async fn collect(&self, id: &str) {
        let shared = self.shared();
        let collector = collect::find(id).unwrap();
        collector.collect(&CollectCx::new(collector, &shared, &Params::default())).await.unwrap();
    }
    fn shared(&self) -> Shared {
        Shared {
            target: self.target.clone(),
            connector: self.connector.clone(),
            draft: self.draft.clone(),
            facts: Facts::default(),
            params: Default::default(),
            telling: Default::default(),
            backlog: Default::default(),
        }
    }
    fn exchange(&self, number: u32) -> Exchange {
        self.draft.exchange(ExchangeId(number)).unwrap_or_else(|| panic!("no exchange {number}"))
    }
    fn body(&self, number: u32) -> Vec<u8> {
        std::fs::read(self.exchange(number).body.unwrap().under(self.draft.dir())).unwrap()
    }
    fn downloader(&self, recorder: Arc<dyn Recorder>) -> Aws {
        static CALLS: &[Call] =
            &[Call::free(Service::Https, "DownloadCode"), Call::read(Service::Lambda, "GetPolicy", "lambda:GetPolicy", Scope::Function)];
        self.connector.unit(UnitScope { unit: "function-code", group: Group::Code }, CALLS, recorder)
    }
}

fn zip_path() -> BundlePath {
    BundlePath::below(Group::Code.dir(), "$LATEST", "zip")
}

#[tokio::test]
async fn the_body_on_tape_is_what_crossed_the_socket() {
    let body = b" {\r\n\t\"ReservedConcurrentExecutions\" : 0 ,\"MemberOfTomorrow\":{\"\xc3\xa9\":[1,  2]}\n}  \n";
    let server = serve(vec![Script::Say(answer("200 OK", "x-amzn-RequestId: r-1\r\nX-New: a\r\nX-New: b\r\n", body))]);
    let bench = bench(&server, 1);
    bench.collect("concurrency").await;
    assert_eq!(bench.body(1), body);
    let x = bench.exchange(1);
    assert_eq!(
        (x.status, x.body_end.clone(), x.request_id.as_deref(), x.body_bytes),
        (Some(200), BodyEnd::Complete, Some("r-1"), body.len() as u64)
    );
    assert_eq!(x.body_sha256, Some(Sha256::of(body)));
    let repeated: Vec<_> = x.response_headers.iter().filter(|h| h.0 == "x-new").map(|h| h.1.as_str()).collect();
    assert_eq!(repeated, ["a", "b"], "repetition and order of headers are evidence");
}

#[tokio::test]
async fn chunks_are_joined_and_nothing_of_their_framing_is_kept() {
    let raw = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n1\r\n{\r\n2\r\n\n}\r\n0\r\n\r\n";
    let server = serve(vec![Script::Say(raw.to_vec())]);
    let bench = bench(&server, 1);
    bench.collect("concurrency").await;
    assert_eq!(bench.body(1), b"{\n}");
    assert_eq!(bench.exchange(1).body_end, BodyEnd::Complete);
}

#[tokio::test]
async fn each_attempt_is_on_tape_with_its_own_id() {
    let server = serve(vec![
        Script::Say(answer("503 Service Unavailable", "x-amzn-RequestId: first\r\n", b"{\"busy\":true}")),
        Script::Say(answer("200 OK", "x-amzn-RequestId: second\r\n", b"{}")),
    ]);
    let bench = bench(&server, 3);
    bench.collect("concurrency").await;
    let (one, two) = (bench.exchange(1), bench.exchange(2));
    assert_eq!((one.attempt, one.status, one.request_id.as_deref()), (1, Some(503), Some("first")));
    assert_eq!((two.attempt, two.status, two.request_id.as_deref()), (2, Some(200), Some("second")));
    assert!(one.invocation.is_some() && one.invocation == two.invocation);
    assert_eq!((bench.body(1), bench.body(2)), (b"{\"busy\":true}".to_vec(), b"{}".to_vec()));
    let items = bench.draft.items();
    assert_eq!((items.len(), items[0].status, items[0].exchanges.len()), (1, ItemStatus::Collected, 2));
}

#[tokio::test]
async fn a_body_that_breaks_off_keeps_what_came() {
    let mut cut = answer("200 OK", "x-amzn-RequestId: r\r\n", &[b' '; 1000]);
    cut.truncate(cut.len() - 400);
    let server = serve(vec![Script::Say(cut)]);
    let bench = bench(&server, 1);
    bench.collect("concurrency").await;
    let x = bench.exchange(1);
    assert!(matches!(x.body_end, BodyEnd::Failed(_)), "{:?}", x.body_end);
    assert_eq!((x.status, x.body_bytes, bench.body(1).len()), (Some(200), 600, 600));
    let items = bench.draft.items();
    assert_eq!((items.len(), items[0].status, items[0].files.len()), (1, ItemStatus::Gap(GapKind::Truncated), 1));
}

#[tokio::test]
async fn an_undeclared_call_reaches_no_socket() {
    let server = serve(vec![]);
    let bench = bench(&server, 3);
    let shared = bench.shared();
    let params = Params::default();
    let cx = CollectCx::new(collect::find("concurrency").unwrap(), &shared, &params);
    let refused = cx.aws().lambda().get_policy().function_name("payments-export").send().await.unwrap_err();
    assert!(format!("{refused:?}").contains("Fenced"), "{refused:?}");
    cx.aws().iam().get_role().role_name("x").send().await.unwrap_err();
    let (fetched, exchanges) = cx.aws().fetch("DownloadCode", &format!("{}/x", server.url), zip_path(), 1 << 20).await;
    assert!(fetched.is_err() && exchanges.is_empty());
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(*server.requests.lock().unwrap(), Vec::<String>::new());
    assert!(bench.draft.exchange(ExchangeId(1)).is_none());
}

/// EC2's protocol is its own: flat lists going out, and errors in an envelope that no other service has.
#[tokio::test]
async fn ec2_is_asked_and_understood_in_its_own_form() {
    let envelope = |code: &str, message: &str| {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>\
             <RequestID>ea966190-f9aa-478e-9ede-example</RequestID></Response>"
        )
    };
    let found = "<DescribeNetworkInterfacesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>r</requestId>\
                 <networkInterfaceSet/></DescribeNetworkInterfacesResponse>";
    let server = serve(vec![
        Script::Say(answer("503 Service Unavailable", "", envelope("RequestLimitExceeded", "Request limit exceeded.").as_bytes())),
        Script::Say(answer("200 OK", "", found.as_bytes())),
        Script::Say(answer("403 Forbidden", "", envelope("UnauthorizedOperation", "You are not authorized: 4kKq").as_bytes())),
        Script::Say(answer("400 Bad Request", "", envelope("InvalidVpcID.NotFound", "The vpc ID 'vpc-1' does not exist").as_bytes())),
    ]);
    let bench = bench(&server, 3);
    let (shared, params) = (bench.shared(), Params::default());
    let cx = CollectCx::new(collect::find("network-interfaces").unwrap(), &shared, &params);
    let values = ["subnet-1".to_string(), "subnet-2&Action=DeleteSubnet".to_string()];
    let ask = || cx.aws().raw(RawCall::ec2("DescribeNetworkInterfaces", &[("subnet-id", &values)], 1000, None));
    assert_eq!(ask().await.unwrap(), found.as_bytes(), "throttling was outlasted");
    for class in [FaultClass::Denied, FaultClass::NotFound] {
        assert_eq!(Fault::of(&ask().await.unwrap_err(), &[]).class, class);
    }
    let requests = server.requests.lock().unwrap();
    let form = "Action=DescribeNetworkInterfaces&Version=2016-11-15&MaxResults=1000&Filter.1.Name=subnet-id&Filter.1.Value.1=subnet-1\
                &Filter.1.Value.2=subnet-2%26Action%3DDeleteSubnet";
    assert_eq!(requests.len(), 4);
    assert!(requests.iter().all(|r| r.starts_with("POST / ") && r.ends_with(form)), "{requests:?}");
    assert!(requests[0].contains("/eu-live-1/ec2/aws4_request"), "{requests:?}");
}

#[tokio::test]
async fn no_credential_of_ours_is_in_any_file_of_the_bundle() {
    let server = serve(vec![
        Script::Say(answer("200 OK", "", b"{}")),
        Script::Say(answer("403 Forbidden", "x-amzn-errortype: AccessDeniedException\r\n", b"{}")),
    ]);
    let bench = bench(&server, 1);
    bench.collect("concurrency").await;
    bench.collect("aliases").await;
    let seen = server.requests.lock().unwrap().join("\n");
    let signature = seen.split("Signature=").nth(1).unwrap()[..64].to_string();
    assert!(seen.contains(TOKEN), "the token was sent: {seen}");
    let mut files = 0;
    each_file(bench.dir.path(), &mut |path| {
        files += 1;
        let bytes = std::fs::read(path).unwrap();
        for secret in [SECRET, TOKEN, signature.as_str(), "AWS4-HMAC-SHA256"] {
            assert!(!bytes.windows(secret.len()).any(|w| w == secret.as_bytes()), "{secret} in {}", path.display());
        }
    });
    assert!(files >= 5, "{files}");
    let recorded: Vec<String> = bench.exchange(1).request_headers.into_iter().map(|h| h.0).collect();
    assert!(recorded.contains(&"user-agent".to_string()) && !recorded.contains(&"authorization".to_string()), "{recorded:?}");
}

fn each_file(dir: &Path, see: &mut impl FnMut(&Path)) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { each_file(&path, see) } else { see(&path) }
    }
}

/// Keeps bodies in the draft, but stops for a while in the middle, and notes how far the server got meanwhile.
#[derive(Debug)]
struct Slow {
    draft: Arc<Draft>,
    sent: Arc<AtomicU64>,
    ahead: Arc<AtomicU64>,
}
struct SlowWriter {
    to: Box<dyn Write + Send>,
    bytes: u64,
    sent: Arc<AtomicU64>,
    ahead: Arc<AtomicU64>,
}
impl Recorder for Slow {
    fn number(&self) -> ExchangeId {
        self.draft.number()
    }
    fn open_body(&self, id: ExchangeId) -> io::Result<Box<dyn Write + Send>> {
        Ok(Box::new(SlowWriter { to: self.draft.open_body(id)?, bytes: 0, sent: self.sent.clone(), ahead: self.ahead.clone() }))
    }
    fn finish(&self, scope: &UnitScope, exchange: Exchange, wanted: Option<BundlePath>) -> Exchange {
        self.draft.finish(scope, exchange, wanted)
    }
}
impl Write for SlowWriter {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let before = self.bytes;
        let n = self.to.write(data)?;
        self.bytes += n as u64;
        if before < 8 << 20 && self.bytes >= 8 << 20 {
            std::thread::sleep(Duration::from_millis(400));
            self.ahead.store(self.sent.load(Ordering::SeqCst) - self.bytes, Ordering::SeqCst);
        }
        Ok(n)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Bounded memory, shown from outside: while the disk stalls, the server cannot push on, so nobody between the two takes the bytes in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_download_passes_through_and_waits_for_the_disk() {
    const MEBIBYTES: u64 = 64;
    let written = Arc::new(AtomicU64::new(0));
    let server = serve(vec![Script::Stream { mebibytes: MEBIBYTES, written: written.clone() }]);
    let bench = bench(&server, 1);
    let ahead = Arc::new(AtomicU64::new(u64::MAX));
    let aws = bench.downloader(Arc::new(Slow { draft: bench.draft.clone(), sent: written, ahead: ahead.clone() }));
    let (result, exchanges) =
        aws.fetch("DownloadCode", &format!("{}/code?X-Amz-Signature=presigned", server.url), zip_path(), 100 << 20).await;
    result.unwrap();
    let [x] = exchanges.try_into().unwrap();
    assert_eq!((x.body_bytes, x.body.as_ref().map(BundlePath::as_str)), (MEBIBYTES << 20, Some("data/10-code/v-LATEST.zip")));
    let mut expected = Hasher::default();
    for mebibyte in 0..MEBIBYTES {
        expected.update(&vec![mebibyte as u8; 1 << 20]);
    }
    assert_eq!(x.body_sha256, Some(expected.finish().0));
    assert_eq!(std::fs::metadata(zip_path().under(bench.draft.dir())).unwrap().len(), MEBIBYTES << 20);
    // The kernel's two socket buffers hold some; a body taken into memory would be 56 MiB ahead.
    let ahead = ahead.load(Ordering::SeqCst);
    assert!(ahead < 24 << 20, "the server was {} MiB ahead of the disk", ahead >> 20);
    assert!(
        !server.requests.lock().unwrap()[0].to_ascii_lowercase().contains("authorization"),
        "a presigned address needs no credentials of ours"
    );
}

#[tokio::test]
async fn a_download_past_its_limit_stops_there() {
    let server = serve(vec![Script::Stream { mebibytes: 8, written: Arc::default() }]);
    let bench = bench(&server, 1);
    let aws = bench.downloader(bench.draft.clone());
    let (result, exchanges) = aws.fetch("DownloadCode", &format!("{}/code", server.url), zip_path(), 1 << 20).await;
    assert_eq!(result.unwrap_err().gap_kind(), GapKind::TooLarge);
    let [x] = exchanges.try_into().unwrap();
    assert!(matches!(x.body_end, BodyEnd::TooLarge(_)) && x.body_bytes <= 1 << 20, "{x:?}");
    assert_ne!(x.body.unwrap(), zip_path(), "a part is not kept under the name of the whole");
}

#[tokio::test]
async fn letting_go_in_the_middle_of_a_body_is_on_tape() {
    let mut part = answer("200 OK", "x-amzn-RequestId: r\r\n", &[b' '; 1000]);
    part.truncate(part.len() - 400);
    // Once as a download, whose body we read ourselves, and once as a call, whose body the SDK reads.
    let server = serve(vec![Script::SayAndHang(part.clone()), Script::SayAndHang(part), Script::SayAndHang(vec![])]);
    let bench = bench(&server, 1);
    let aws = bench.downloader(bench.draft.clone());
    let url = format!("{}/code", server.url);
    let patience = Duration::from_millis(400);
    tokio::time::timeout(patience, aws.fetch("DownloadCode", &url, zip_path(), 1 << 20)).await.unwrap_err();
    tokio::time::timeout(patience, aws.lambda().get_policy().function_name("payments-export").send()).await.unwrap_err();
    for number in [1, 2] {
        let x = bench.exchange(number);
        assert_eq!((x.status, x.body_end.clone(), x.body_bytes), (Some(200), BodyEnd::Dropped, 600), "exchange {number}");
        assert_eq!(bench.body(number).len(), 600);
    }
    // And before any answer.
    tokio::time::timeout(patience, aws.lambda().get_policy().function_name("payments-export").send()).await.unwrap_err();
    let x = bench.exchange(3);
    assert_eq!((x.status, x.body_end), (None, BodyEnd::NoResponse));
}
