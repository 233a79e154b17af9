//! A small AWS in memory that speaks the wire form of the operations which actions use, and that can fail at any write: before it lands,
//! after it landed, without an answer, or by never answering (which is where a test kills the run). An operation that it does not know is a
//! panic: teach it in `lambda` or `iam`, or in a file of the service's own, when a new action needs it.

mod asked;
pub mod events;
mod iam;
mod lambda;
pub mod qualified;
pub mod surface;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;
use freezeframe::aws::Connector;
use freezeframe::aws::record::{Recorder, UnitScope};
use freezeframe::clock::FakeClock;
use freezeframe::model::exchange::Exchange;
use freezeframe::model::id::{CellId, ExchangeId};
use freezeframe::model::params::Params;
use freezeframe::model::path::BundlePath;
use freezeframe::model::target::Target;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;

pub const ACCOUNT: &str = "123456789012";
pub const REGION: &str = "eu-west-1";
pub const FUNCTION: &str = "payments-export";
pub const ROLE: &str = "shared-role";

const STATEMENT: &str = r#"{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}"#;
const TRUST: &str = r#"{ "Version":"2012-10-17",
  "Statement" : {"Effect": "Allow", "Principal": {"Service": ["lambda.amazonaws.com"]}, "Action": "sts:AssumeRole"} }
"#;
/// Stands in a trust policy for a role that was deleted.
pub const GONE: &str = "AROAGONE000000000001";

pub fn target() -> Target {
    Target { partition: "aws".into(), account: ACCOUNT.into(), region: REGION.into(), function: FUNCTION.into(), qualifier: None }
}

/// AWS's clock, which is not ours.
pub const DATE: &str = "Fri, 20 Nov 2026 12:34:56 GMT";

pub fn clock() -> Arc<FakeClock> {
    Arc::new(FakeClock::at("2026-11-20T12:00:00Z").unwrap())
}

/// What the suites give an action under `with:`; an action that does something by its defaults needs no line.
pub fn params_of(action: &str) -> Params {
    let with = WITH.iter().find(|(id, _)| *id == action).map_or("{}", |(_, with)| with);
    serde_json::from_str(with).unwrap()
}

/// Action and its `with:`, as JSON.
const WITH: &[(&str, &str)] = &[
    // The function's own surface.
    ("enforce-code-signing", r#"{"config": "arn:aws:lambda:eu-west-1:123456789012:code-signing-config:csc-0000000000000000e"}"#),
    ("capture-async-events", r#"{"queue": "arn:aws:sqs:eu-west-1:123456789012:quarantine"}"#),
    ("disable-rules", r#"{"accept-shared": true}"#),
    ("repoint-alias", r#"{"alias": "live", "version": 1, "code-sha256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}"#),
    // The role; others share it in one of the worlds.
    ("revoke-sessions", r#"{"accept-shared-role": true}"#),
    ("block-role-assumption", r#"{"accept-shared-role": true}"#),
    ("set-permissions-boundary", r#"{"boundary": "arn:aws:iam::aws:policy/AWSDenyAll", "accept-shared-role": true}"#),
    ("detach-permissions", r#"{"accept-shared-role": true}"#),
];

#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    pub role: String,
    pub reserved: Option<u32>,
    pub log_group: Option<String>,
    pub surface: surface::Surface,
    pub description: String,
    pub revision: Revision,
}

/// Counts updates. Two worlds that differ in it alone are the same: nothing can set it back.
#[derive(Clone, Copy, Debug, Default)]
pub struct Revision(pub u32);
impl PartialEq for Revision {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Role {
    pub id: String,
    pub path: String,
    pub inline: BTreeMap<String, String>,
    pub attached: BTreeSet<String>,
    pub trust: String,
    pub boundary: Option<String>,
}

/// All remote state. Comparing two of these is the whole question of restore.
#[derive(Clone, Debug, PartialEq)]
pub struct World {
    pub functions: BTreeMap<String, Function>,
    pub roles: BTreeMap<String, Role>,
    pub events: events::Events,
    pub qualified: qualified::Qualified,
    /// Functions of other Regions: Region, name, ARN of the role.
    pub elsewhere: Vec<(String, String, String)>,
    /// What AWS's clock says.
    pub date: &'static str,
}

impl World {
    /// A function on a role that a second one shares, with policies of odd texts.
    pub fn shared_role() -> World {
        let function = |role: &str, surface| Function {
            role: format!("arn:aws:iam::{ACCOUNT}:role/{role}"),
            reserved: None,
            log_group: None,
            surface,
            // As a word of the aws-cli it would be read from a file.
            description: "file:///etc/passwd \"exports\" $(echo x)".into(),
            revision: Revision(1),
        };
        let inline = [
            // Bytes that a careless round trip would change: blanks, a plus, a percent, more than ASCII, a final newline.
            ("orders", "{ \"Version\":\"2012-10-17\",\n\t\"Statement\": [ ] , \"Id\": \"a+b 100%25 é & <x>\" }\n"),
            ("with=odd,name@x", "{}"),
            ("freezeframe-quarantine-another", "{\"Statement\":[]}"),
        ];
        let attached = ["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess", "arn:aws:iam::123456789012:policy/team/payments/Broad"];
        let role = |id: &str| Role {
            id: id.into(),
            path: "/team/".into(),
            inline: inline.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
            attached: attached.iter().map(|a| a.to_string()).collect(),
            trust: TRUST.into(),
            boundary: None,
        };
        World {
            functions: [
                (FUNCTION.to_string(), function("team/shared-role", surface::Surface::rich())),
                ("payments-api".into(), function("team/shared-role", surface::Surface::bare())),
                ("zeta".into(), function("lone-role", surface::Surface::bare())),
            ]
            .into(),
            roles: [(ROLE.to_string(), role("AROASHARED0001")), ("lone-role".into(), role("AROALONE0001"))].into(),
            events: events::Events::seeded(),
            qualified: qualified::Qualified::seeded(),
            date: DATE,
            elsewhere: vec![("us-east-1".into(), "distant".into(), format!("arn:aws:iam::{ACCOUNT}:role/lone-role"))],
        }
    }

    /// The other starting points: a reservation, a role of its own, a policy under our name already.
    pub fn own_role_with_reservation() -> World {
        let mut world = World::shared_role();
        (world.events, world.qualified) = (events::Events::few(), qualified::Qualified::plain());
        world.functions.remove("payments-api");
        let f = world.functions.get_mut(FUNCTION).unwrap();
        (f.reserved, f.log_group) = (Some(7), Some("/custom/payments".into()));
        f.surface = surface::Surface::older();
        let role = world.roles.get_mut(ROLE).unwrap();
        role.inline.insert(format!("freezeframe-quarantine-{FUNCTION}"), "{\"Id\":\"somebody's\"}".into());
        role.boundary = Some(format!("arn:aws:iam::{ACCOUNT}:policy/team/bounds"));
        role.trust = format!("{{\"Statement\": [{STATEMENT}], \"Version\": \"2012-10-17\"}}");
        world
    }

    /// Somebody else changes the cell to a third state. False when it has no third state (a policy is attached or it is not).
    pub fn drift(&mut self, cell: &CellId) -> bool {
        let third = || "{\"Id\":\"drifted\"}".to_string();
        let key: Vec<&str> = cell.key().splitn(3, '/').collect();
        match (cell.action(), key.as_slice()) {
            ("freeze-concurrency", [function]) => self.functions.get_mut(*function).unwrap().reserved = Some(42),
            ("quarantine-role", [role, policy]) | ("detach-permissions", ["inline", role, policy]) => {
                self.roles.get_mut(*role).unwrap().inline.insert(policy.to_string(), third());
            }
            ("detach-permissions", ["attached", ..]) => return false,
            (
                action @ ("scale-to-zero"
                | "deny-invocation"
                | "pause-event-source-mappings"
                | "close-function-urls"
                | "release-provisioned-concurrency"
                | "enforce-code-signing"),
                _,
            ) => {
                return self.functions.get_mut(FUNCTION).unwrap().surface.drift(action, cell.key());
            }
            ("disable-rules" | "disable-schedules" | "stop-pipes" | "stop-subscribers", _) => {
                return self.events.drift(cell.action(), cell.key());
            }
            ("capture-async-events" | "repoint-alias" | "pause-durable-executions" | "publish-evidence-version", _) => {
                return self.qualified.drift(cell.action(), cell.key());
            }
            ("revoke-sessions", [role, policy]) => drop(self.roles.get_mut(*role).unwrap().inline.insert(policy.to_string(), third())),
            ("block-role-assumption", [role]) => {
                self.roles.get_mut(*role).unwrap().trust = format!(r#"{{"Statement":[{STATEMENT}],"Id":"drifted"}}"#)
            }
            ("set-permissions-boundary", [role]) => {
                self.roles.get_mut(*role).unwrap().boundary = Some(format!("arn:aws:iam::{ACCOUNT}:policy/drifted"))
            }
            other => panic!("teach tests/it/support/cells.rs how {other:?} drifts"),
        }
        true
    }
}

/// So often the program asks before it gives up.
pub const ATTEMPTS: u32 = 5;

/// How a write goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// 500; nothing was done.
    Error,
    /// 500; it was done.
    ErrorAfterLanding,
    /// No answer; nothing was done.
    Timeout,
    /// No answer; it was done.
    TimeoutAfterLanding,
    /// The connection breaks off; nothing was done.
    Cut,
    /// The connection breaks off; it was done.
    CutAfterLanding,
    Throttled,
    Denied,
    /// Never answers; `FakeAws::hung` tells when. Nothing was done.
    Hang,
    /// The same; it was done.
    HangAfterLanding,
}

impl Fault {
    pub const FAILING: [Fault; 8] = [
        Fault::Error,
        Fault::ErrorAfterLanding,
        Fault::Timeout,
        Fault::TimeoutAfterLanding,
        Fault::Cut,
        Fault::CutAfterLanding,
        Fault::Throttled,
        Fault::Denied,
    ];
    pub fn lands(self) -> bool {
        matches!(self, Fault::ErrorAfterLanding | Fault::TimeoutAfterLanding | Fault::CutAfterLanding | Fault::HangAfterLanding)
    }
}

#[derive(Debug)]
struct Inner {
    world: Mutex<World>,
    /// Operations that landed.
    landed: Mutex<Vec<String>>,
    /// Operations that were tried, reads included.
    tried: Mutex<Vec<String>>,
    /// The writes that will go wrong, counted down from now: 1 is the next.
    faults: Mutex<Vec<(usize, Fault)>>,
    denied: Mutex<BTreeSet<String>>,
    hung: Notify,
    /// Where each call waits a while before it arrives, and before its answer does.
    pauses: Option<Pauses>,
}

/// Seeded pauses of no duration: where two tasks run, who goes first is what they decide.
#[derive(Clone, Debug)]
pub struct Pauses(Arc<Mutex<u64>>);

impl Pauses {
    pub fn seeded(seed: u64) -> Pauses {
        Pauses(Arc::new(Mutex::new(seed | 1)))
    }
    pub async fn pause(&self) {
        let turns = {
            let mut x = self.0.lock().unwrap();
            // xorshift64
            *x ^= *x << 13;
            *x ^= *x >> 7;
            *x ^= *x << 17;
            // Mostly none, sometimes long: the other one then gets through several steps.
            match *x >> 60 {
                0..=7 => 0,
                8..=11 => 1,
                12..=13 => 4,
                _ => 40,
            }
        };
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
    }
}

#[derive(Clone, Debug)]
pub struct FakeAws(Arc<Inner>);

impl FakeAws {
    pub fn new(world: World) -> Self {
        Self::with(world, None)
    }
    /// One where calls overtake each other.
    pub fn pausing(world: World, pauses: Pauses) -> Self {
        Self::with(world, Some(pauses))
    }
    fn with(world: World, pauses: Option<Pauses>) -> Self {
        FakeAws(Arc::new(Inner {
            pauses,
            world: Mutex::new(world),
            landed: Mutex::default(),
            tried: Mutex::default(),
            faults: Mutex::default(),
            denied: Mutex::default(),
            hung: Notify::new(),
        }))
    }
    pub fn world(&self) -> World {
        self.0.world.lock().unwrap().clone()
    }
    pub fn change<T>(&self, how: impl FnOnce(&mut World) -> T) -> T {
        how(&mut self.0.world.lock().unwrap())
    }
    /// The writes that landed so far.
    pub fn landed(&self) -> Vec<String> {
        self.0.landed.lock().unwrap().clone()
    }
    pub fn tried(&self) -> Vec<String> {
        self.0.tried.lock().unwrap().clone()
    }
    /// Let the `n`th write from now go wrong (1 is the next), or none.
    pub fn fault(&self, fault: Option<(usize, Fault)>) {
        self.faults(fault);
    }
    /// Let each of these writes go wrong.
    pub fn faults(&self, faults: impl IntoIterator<Item = (usize, Fault)>) {
        *self.0.faults.lock().unwrap() = faults.into_iter().collect();
    }
    pub fn deny(&self, operation: &str) {
        self.0.denied.lock().unwrap().insert(operation.to_string());
    }
    /// Resolves when a write hangs.
    pub async fn hung(&self) {
        self.0.hung.notified().await;
    }

    /// One that asks once, so that a test sees what each answer does.
    pub fn connector(&self) -> Connector {
        self.asking(RetryConfig::disabled())
    }

    /// One that repeats what failed as the program's own does (`aws::connect`), without its pauses.
    pub fn persistent(&self) -> Connector {
        let at_once = RetryConfig::standard().with_initial_backoff(Duration::ZERO).with_max_backoff(Duration::ZERO);
        self.asking(at_once.with_max_attempts(ATTEMPTS))
    }

    fn asking(&self, retry: RetryConfig) -> Connector {
        let wire = SharedHttpConnector::new(Wire(self.clone()));
        let conf = SdkConfig::builder()
            .behavior_version(aws_config::BehaviorVersion::latest())
            .region(Region::new(REGION))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new("AKIDEXAMPLE", "not-a-secret", None, None, "test")))
            .retry_config(retry)
            .timeout_config(TimeoutConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .http_client(http_client_fn(move |_, _| wire.clone()))
            .build();
        Connector::from_conf(conf, clock()).unwrap()
    }

    fn answer(&self, request: &HttpRequest) -> HttpConnectorFuture {
        let call = Parsed::of(request);
        self.0.tried.lock().unwrap().push(call.operation.clone());
        if self.0.denied.lock().unwrap().contains(&call.operation) {
            return HttpConnectorFuture::ready(Ok(call.denied()));
        }
        if !call.writes() {
            // Most calls are reads, and a copy of the world would cost more than all the rest of one.
            return HttpConnectorFuture::ready(Ok(call.answer(&mut self.0.world.lock().unwrap())));
        }
        let fault = {
            let mut armed = self.0.faults.lock().unwrap();
            let now = armed.iter().find(|(n, _)| *n == 1).map(|(_, fault)| *fault);
            armed.retain_mut(|(n, _)| {
                *n -= 1;
                *n > 0
            });
            now
        };
        let mut answer = None;
        if fault.is_none_or(Fault::lands) {
            let (response, landed) = call.respond(&mut self.0.world.lock().unwrap());
            if landed {
                self.0.landed.lock().unwrap().push(call.operation.clone());
            }
            answer = Some(response);
        }
        HttpConnectorFuture::ready(match fault {
            None => Ok(answer.expect("answered above when there is no fault")),
            Some(Fault::Error | Fault::ErrorAfterLanding) => Ok(call.error(500, "ServiceException", "told to fail")),
            Some(Fault::Timeout | Fault::TimeoutAfterLanding) => Err(ConnectorError::timeout("told not to answer".into())),
            Some(Fault::Cut | Fault::CutAfterLanding) => {
                Err(ConnectorError::io(io::Error::new(io::ErrorKind::ConnectionReset, "told to break off").into()))
            }
            Some(Fault::Throttled) => Ok(call.error(429, "Throttling", "told to throttle")),
            Some(Fault::Denied) => Ok(call.denied()),
            Some(Fault::Hang | Fault::HangAfterLanding) => {
                self.0.hung.notify_one();
                return HttpConnectorFuture::new(std::future::pending());
            }
        })
    }
}

#[derive(Clone, Debug)]
struct Wire(FakeAws);
impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Some(pauses) = self.0.0.pauses.clone() else { return self.0.answer(&request) };
        let aws = self.0.clone();
        HttpConnectorFuture::new(async move {
            pauses.pause().await;
            let answer = aws.answer(&request).await;
            pauses.pause().await;
            answer
        })
    }
}

/// A request, understood.
struct Parsed {
    operation: String,
    /// IAM's form, or for Lambda `FunctionName`, `Marker` and the JSON members.
    args: BTreeMap<String, String>,
    iam: bool,
    /// For `events` and `qualified`.
    asked: Option<asked::Asked>,
}

impl Parsed {
    fn of(request: &HttpRequest) -> Parsed {
        if let Some(asked) = asked::Asked::of(request) {
            return Parsed::asked(asked);
        }
        let uri: http::Uri = request.uri().parse().unwrap();
        let body = request.body().bytes().expect("request bodies are in memory");
        // Both speak in forms and answer in XML.
        if ["iam.", "sts."].iter().any(|s| uri.host().unwrap().starts_with(s)) {
            let args = form(std::str::from_utf8(body).unwrap());
            return Parsed { operation: args["Action"].clone(), args, iam: true, asked: None };
        }
        let mut args = form(uri.query().unwrap_or_default());
        let region = uri.host().unwrap().strip_prefix("lambda.").unwrap().strip_suffix(".amazonaws.com").unwrap();
        args.insert("Region".into(), region.into());
        let path: Vec<&str> = uri.path().trim_matches('/').split('/').collect();
        let operation = match surface::operation(request.method(), &path, &args) {
            Some(operation) => {
                surface::arguments(operation, &path, body, &mut args);
                operation
            }
            None => {
                let operation = lambda::operation(request.method(), &path);
                lambda::arguments(operation, &path, body, &mut args);
                operation
            }
        };
        Parsed { operation: operation.into(), args, iam: false, asked: None }
    }

    fn writes(&self) -> bool {
        !["Get", "List", "Describe", "Simulate"].iter().any(|read| self.operation.starts_with(read))
    }

    fn denied(&self) -> HttpResponse {
        self.error(
            403,
            if self.iam { "AccessDenied" } else { "AccessDeniedException" },
            "User: arn:aws:iam::123456789012:user/x is not authorized",
        )
    }

    fn error(&self, status: u16, code: &str, message: &str) -> HttpResponse {
        if let Some(asked) = &self.asked {
            return asked.error(status, code, message);
        }
        let body = if self.iam {
            format!(
                "<ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error><RequestId>r</RequestId></ErrorResponse>"
            )
        } else {
            json!({"Type": "User", "message": message}).to_string()
        };
        let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
        if !self.iam {
            response.headers_mut().insert("x-amzn-errortype", code.to_string());
        }
        response
    }

    /// The answer, and whether it changed anything.
    fn respond(&self, world: &mut World) -> (HttpResponse, bool) {
        let before = world.clone();
        (self.answer(world), *world != before)
    }

    fn answer(&self, world: &mut World) -> HttpResponse {
        let mut response = match (&self.asked, self.operation.as_str()) {
            (Some(asked), _) => asked.respond(world),
            (None, "GetCallerIdentity") => surface::caller(),
            (None, _) if self.iam => self.iam(world),
            (None, _) => self.lambda(world),
        };
        response.headers_mut().insert("date", world.date);
        response
    }
}

fn form(text: &str) -> BTreeMap<String, String> {
    text.split('&')
        .filter(|p| !p.is_empty())
        .map(|p| p.split_once('=').unwrap_or((p, "")))
        .map(|(k, v)| (form_decoded(k), form_decoded(v)))
        .collect()
}

fn form_decoded(text: &str) -> String {
    let mut out = vec![];
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        out.push(match b {
            b'+' => b' ',
            b'%' => {
                let hex = [bytes.next().unwrap(), bytes.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap()
            }
            b => b,
        });
    }
    String::from_utf8(out).unwrap()
}

/// Keeps exchanges in a list.
#[derive(Debug, Default)]
pub struct MemRecorder {
    next: AtomicU32,
    pub exchanges: Mutex<Vec<Exchange>>,
}

impl Recorder for MemRecorder {
    fn number(&self) -> ExchangeId {
        ExchangeId(self.next.fetch_add(1, Ordering::SeqCst) + 1)
    }
    fn open_body(&self, _: ExchangeId) -> io::Result<Box<dyn Write + Send>> {
        Ok(Box::new(io::sink()))
    }
    fn finish(&self, _: &UnitScope, exchange: Exchange, _: Option<BundlePath>) -> Exchange {
        self.exchanges.lock().unwrap().push(exchange.clone());
        exchange
    }
}
