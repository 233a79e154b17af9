//! A scripted AWS at the wire: an HTTP client that answers from a small healthy world (`tests/data/wire/world/`), except where a rule says
//! otherwise. Everything above it (SDK, retries, tape, fence) is real. No `test-util` feature anywhere: that would compile the SDK twice.

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;
use bytes::Bytes;
use freezeframe::model::call::Call;
use futures_util::stream;
use http_body::Frame;
use http_body_util::StreamBody;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;

pub const WORLD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/wire/world");

/// `Lambda.GetPolicy`: how operations are called here.
pub fn key(call: &Call) -> String {
    format!("{}.{}", call.service.sdk_id().replace(' ', "-"), call.operation)
}

/// What reached the wire.
#[derive(Clone, Debug)]
pub struct Sent {
    pub key: String,
    pub host: String,
    /// Path and query.
    pub uri: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// In a world that answers in rounds, the round in which this was answered; else 0.
    pub round: usize,
    /// How many requests, each sent after the answer to the one before, it took to get here; of meaning on a slow wire.
    pub step: usize,
}

impl Sent {
    /// `needle` in the address or in the body.
    pub fn says(&self, needle: &str) -> bool {
        self.uri.contains(needle) || self.body.contains(needle)
    }
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(k, _)| k.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }
}

#[derive(Clone, Debug)]
pub enum Answer {
    Http {
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    /// The body breaks off half-way.
    Cut {
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    /// No answer, ever.
    Never,
    /// The connection breaks before an answer.
    Broken,
}

impl Answer {
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Answer {
        Answer::Http { status, headers: vec![("content-type".into(), content_type.into())], body: body.into() }
    }
    pub fn json(body: &serde_json::Value) -> Answer {
        Answer::new(200, "application/json", body.to_string())
    }
    pub fn header(mut self, name: &str, value: &str) -> Answer {
        if let Answer::Http { headers, .. } | Answer::Cut { headers, .. } = &mut self {
            headers.push((name.into(), value.into()));
        }
        self
    }
    /// What the world writes as `THIS-REGION` is the Region that was asked: each test has its own.
    fn in_region(mut self, region: &str) -> Answer {
        if let Answer::Http { body, .. } | Answer::Cut { body, .. } = &mut self
            && let Ok(text) = std::str::from_utf8(body)
            && text.contains("THIS-REGION")
        {
            *body = text.replace("THIS-REGION", region).into_bytes();
        }
        self
    }
    pub fn cut(self) -> Answer {
        match self {
            Answer::Http { status, headers, body } => Answer::Cut { status, headers, body },
            other => other,
        }
    }
    pub fn text(&self) -> String {
        match self {
            Answer::Http { body, .. } | Answer::Cut { body, .. } => String::from_utf8_lossy(body).into_owned(),
            Answer::Never | Answer::Broken => String::new(),
        }
    }
    /// A refusal in the protocol of the operation's service.
    pub fn error(key: &str, status: u16, code: &str) -> Answer {
        match key.split('.').next() {
            Some("Lambda") => {
                Answer::new(status, "application/json", r#"{"Type":"User","Message":"as scripted"}"#).header("x-amzn-errortype", code)
            }
            Some("IAM" | "STS") => {
                let body = format!(
                    "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>as scripted</Message></Error><RequestId>r</RequestId></ErrorResponse>"
                );
                Answer::new(status, "text/xml", body)
            }
            Some("SNS" | "Elastic-Load-Balancing-v2" | "SES" | "CloudFront") => {
                let body = format!(
                    "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>as scripted</Message></Error><RequestId>r</RequestId></ErrorResponse>"
                );
                Answer::new(status, "text/xml", body)
            }
            // Network and deployment.
            Some("CloudFormation") => {
                let body = format!(
                    "<ErrorResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\"><Error><Type>Sender</Type><Code>{code}</Code><Message>as scripted</Message></Error><RequestId>r</RequestId></ErrorResponse>"
                );
                Answer::new(status, "text/xml", body)
            }
            Some("EC2") => {
                let body = format!(
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>{code}</Code><Message>as scripted</Message></Error></Errors><RequestID>r</RequestID></Response>"
                );
                Answer::new(status, "text/xml;charset=UTF-8", body)
            }
            Some("EFS" | "S3Files") => {
                Answer::new(status, "application/json", r#"{"message":"as scripted"}"#).header("x-amzn-errortype", code)
            }
            Some("S3") => {
                Answer::new(status, "application/xml", format!("<Error><Code>{code}</Code><Message>as scripted</Message></Error>"))
            }
            Some(
                "Scheduler" | "Pipes" | "API-Gateway" | "ApiGatewayV2" | "GuardDuty" | "SecurityHub" | "Inspector2" | "AccessAnalyzer"
                | "IoT" | "Lambda-Core",
            ) => Answer::new(status, "application/json", r#"{"message":"as scripted"}"#).header("x-amzn-errortype", code),
            Some("https") => Answer::new(status, "application/xml", format!("<Error><Code>{code}</Code></Error>")),
            _ => Answer::new(status, "application/x-amz-json-1.1", format!(r#"{{"__type":"{code}","message":"as scripted"}}"#)),
        }
    }
}

struct Rule {
    key: String,
    when: Box<dyn Fn(&Sent) -> bool + Send + Sync>,
    /// In order; the last one stays.
    answers: Mutex<VecDeque<Answer>>,
}

static DEFAULTS: LazyLock<BTreeMap<String, Answer>> = LazyLock::new(|| {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(Path::new(WORLD)).unwrap() {
        let path = entry.unwrap().path();
        let key = path.file_stem().unwrap().to_str().unwrap().to_string();
        let kind = match path.extension().and_then(|e| e.to_str()) {
            Some("json") => "application/json",
            Some("xml") => "text/xml",
            _ => "application/zip",
        };
        all.insert(key, Answer::new(200, kind, std::fs::read(&path).unwrap()));
    }
    all
});

/// The scripted AWS. Rules made later come first.
#[derive(Default)]
pub struct World {
    rules: Vec<Rule>,
    date: Option<&'static str>,
    sent: Mutex<Vec<Sent>>,
    rounds: Option<Arc<Mutex<Rounds>>>,
    /// Every answer takes so long: what is asked at the same time then reaches the wire before any of it is answered.
    slow: Option<Duration>,
    /// The highest step that was answered.
    answered: AtomicUsize,
}

/// Answers are held back until nobody has a further question, and then given all at once: a round trip. What is asked in round *n* needed an
/// answer of round *n* − 1, or a free place.
#[derive(Default)]
struct Rounds {
    over: usize,
    asking: Vec<oneshot::Sender<()>>,
}

impl Rounds {
    /// The round that a question belongs to, and its end.
    fn enter(rounds: &Arc<Mutex<Rounds>>) -> (usize, oneshot::Receiver<()>) {
        let (answered, wait) = oneshot::channel();
        let mut now = rounds.lock().unwrap();
        now.asking.push(answered);
        if now.asking.len() == 1 {
            tokio::spawn(Rounds::end(rounds.clone()));
        }
        (now.over + 1, wait)
    }

    /// For a runtime of one thread: nobody is at work elsewhere while this is polled.
    async fn end(rounds: Arc<Mutex<Rounds>>) {
        let asking = || rounds.lock().unwrap().asking.len();
        'more: loop {
            let before = asking();
            // For what comes from threads of files and timers.
            tokio::time::sleep(Duration::from_millis(30)).await;
            for _ in 0..100 {
                if asking() != before {
                    continue 'more;
                }
                tokio::task::yield_now().await;
            }
            break;
        }
        let mut now = rounds.lock().unwrap();
        now.over += 1;
        for answered in now.asking.drain(..) {
            // Whoever gave up asking needs no answer.
            let _ = answered.send(());
        }
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}

impl World {
    pub fn healthy(key: &str) -> Answer {
        DEFAULTS.get(key).unwrap_or_else(|| panic!("tests/data/wire/world has no answer for {key}: add one")).clone()
    }
    /// `Lambda.GetFunction@Qualifier=2` is what the world answers to a `Lambda.GetFunction` that says `Qualifier=2`.
    fn healthy_to(sent: &Sent) -> Answer {
        let particular = |k: &String| k.split_once('@').is_some_and(|(key, needle)| key == sent.key && sent.says(needle));
        DEFAULTS.iter().find(|(k, _)| particular(k)).map_or_else(|| World::healthy(&entry_for(sent)), |(_, answer)| answer.clone())
    }
    pub fn knows(key: &str) -> bool {
        DEFAULTS.contains_key(key)
    }
    /// Every request for `key` gets these answers in order, the last one for ever.
    pub fn on(self, key: &str, answers: impl IntoIterator<Item = Answer>) -> World {
        self.when(key, |_| true, answers)
    }
    pub fn when(
        mut self,
        key: &str,
        when: impl Fn(&Sent) -> bool + Send + Sync + 'static,
        answers: impl IntoIterator<Item = Answer>,
    ) -> World {
        self.rules.insert(0, Rule { key: key.into(), when: Box::new(when), answers: Mutex::new(answers.into_iter().collect()) });
        self
    }
    /// See [`Rounds`]; for a runtime of one thread.
    pub fn in_rounds(mut self) -> World {
        self.rounds = Some(Arc::default());
        self
    }
    /// `Date` of every answer.
    pub fn dated(mut self, date: &'static str) -> World {
        self.date = Some(date);
        self
    }
    pub fn slow(mut self, each: Duration) -> World {
        self.slow = Some(each);
        self
    }
    pub fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }
    fn answer(&self, sent: &Sent) -> Answer {
        let Some(rule) = self.rules.iter().find(|r| r.key == sent.key && (r.when)(sent)) else { return World::healthy_to(sent) };
        let mut left = rule.answers.lock().unwrap();
        let next = if left.len() > 1 { left.pop_front() } else { left.front().cloned() };
        next.expect("a rule has an answer")
    }
}

/// Answers that name the Region of whoever asks hold `@REGION@` in its place: each test has a Region of its own.
pub fn placed(body: &[u8], region: &str) -> Vec<u8> {
    match std::str::from_utf8(body) {
        Ok(text) if text.contains("@REGION@") => text.replace("@REGION@", region).into_bytes(),
        _ => body.to_vec(),
    }
}

/// A body as its service sends it: the world's files are JSON, and one service speaks CBOR.
pub fn as_sent(key: &str, body: Vec<u8>) -> Vec<u8> {
    match serde_json::from_slice::<serde_json::Value>(&body) {
        Ok(value) if key.starts_with("EventBridgeV2.") => freezeframe::aws::cbor::write(&value),
        _ => body,
    }
}

/// The file that a request is answered from: the operation's, but where the world holds two things of a kind.
fn entry_for(sent: &Sent) -> String {
    // invocations: the function logs elsewhere, and its default group is still there, in the class that wants queries.
    if sent.key == "CloudWatch-Logs.DescribeLogGroups" && sent.body.contains("/aws/lambda/") {
        return format!("{}.default-group", sent.key);
    }
    sent.key.clone()
}

/// Which operation a request asks for, by the protocol of its service.
fn recognise(host: &str, method: &str, uri: &str, headers: &[(String, String)], body: &str) -> String {
    let service = match host.split('.').next().unwrap_or_default() {
        // Detections, and the triggers that came with them.
        "lambda" if uri.contains("/runtimes/") => "Lambda-Core",
        "eventsv2" => "EventBridgeV2",
        "cloudfront" => "CloudFront",
        "cognito-idp" => "Cognito-Identity-Provider",
        "iot" => "IoT",
        "secretsmanager" => "Secrets-Manager",
        "email" => "SES",
        "lambda" => "Lambda",
        "iam" => "IAM",
        "sts" => "STS",
        "logs" => "CloudWatch-Logs",
        "cloudtrail" => "CloudTrail",
        // What the credentials did.
        "ec2" => "EC2",
        // The surface of the Lambda API.
        "signer" => "signer",
        _ if host.starts_with("api.ecr.") => "ECR",
        // End of the surface of the Lambda API.
        // Triggers and identity.
        "events" => "EventBridge",
        "scheduler" => "Scheduler",
        "pipes" => "Pipes",
        "sns" => "SNS",
        "sqs" => "SQS",
        "kms" => "KMS",
        "organizations" => "Organizations",
        "elasticloadbalancing" => "Elastic-Load-Balancing-v2",
        "apigateway" if uri.starts_with("/v2/") => "ApiGatewayV2",
        "apigateway" => "API-Gateway",
        // invocations
        "monitoring" => "CloudWatch",
        "xray" => "XRay",
        // Network and deployment.
        "route53resolver" => "Route53Resolver",
        "config" => "Config-Service",
        "cloudformation" => "CloudFormation",
        "application-autoscaling" => "Application-Auto-Scaling",
        "elasticfilesystem" => "EFS",
        "s3files" => "S3Files",
        // Detections.
        "guardduty" => "GuardDuty",
        "securityhub" => "SecurityHub",
        "inspector2" => "Inspector2",
        "access-analyzer" => "AccessAnalyzer",
        _ if host.starts_with("s3.") || host.contains(".s3.") => "S3",
        _ => return "https.DownloadCode".into(),
    };
    let target = headers.iter().find(|(k, _)| k.eq_ignore_ascii_case("x-amz-target")).and_then(|(_, v)| v.rsplit('.').next());
    let action = body.split('&').find_map(|p| p.strip_prefix("Action="));
    let path = uri.split('?').next().unwrap_or_default();
    let operation = target.or(action).map(str::to_string).unwrap_or_else(|| {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        match (method, parts.as_slice()) {
            ("GET", [_, "functions", _]) => "GetFunction",
            ("GET", [_, "functions", _, "policy"]) => "GetPolicy",
            // What containment does.
            ("PUT", [_, "functions", _, "concurrency"]) => "PutFunctionConcurrency",
            ("DELETE", [_, "functions", _, "concurrency"]) => "DeleteFunctionConcurrency",
            ("GET", [_, "functions", _, "configuration"]) => "GetFunctionConfiguration",
            // End of what containment does.
            ("GET", [_, "functions", _, "concurrency"]) => "GetFunctionConcurrency",
            ("GET", [_, "functions", _, "versions"]) => "ListVersionsByFunction",
            ("GET", [_, "functions", _, "aliases"]) => "ListAliases",
            ("GET", [_, "functions", _, "urls"]) => "ListFunctionUrlConfigs",
            // What the credentials did.
            ("GET", _) if service == "S3" && uri.contains("list-type=2") => "ListObjectsV2",
            // Triggers and identity.
            ("GET", [_, "functions"]) => "ListFunctions",
            ("GET", [_, "functions", _, "event-invoke-config", "list"]) => "ListFunctionEventInvokeConfigs",
            ("GET", ["schedules"]) => "ListSchedules",
            ("GET", ["schedules", _]) => "GetSchedule",
            ("GET", ["v1", "pipes"]) => "ListPipes",
            ("GET", ["v1", "pipes", _]) => "DescribePipe",
            ("GET", ["restapis", _]) => "GetRestApi",
            ("GET", ["restapis", _, "resources"]) => "GetResources",
            ("GET", ["v2", "apis", _]) => "GetApi",
            ("GET", ["v2", "apis", _, "routes"]) => "GetRoutes",
            ("GET", ["v2", "apis", _, "integrations"]) => "GetIntegrations",
            ("GET", ["restapis", _, "authorizers"] | ["v2", "apis", _, "authorizers"]) => "GetAuthorizers",
            ("GET", ["restapis", _, "stages"] | ["v2", "apis", _, "stages"]) => "GetStages",
            ("GET", _) if service == "S3" && uri.contains("?notification") => "GetBucketNotificationConfiguration",
            ("GET", _) if service == "S3" && uri.contains("?policy") => "GetBucketPolicy",
            // End of triggers and identity.
            ("GET", [_, "event-source-mappings"]) => "ListEventSourceMappings",
            ("GET", [_, "event-source-mappings", _]) => "GetEventSourceMapping",
            // invocations
            ("GET", [_, "functions", _, "durable-executions"]) => "ListDurableExecutionsByFunction",
            ("GET", [_, "durable-executions", _]) => "GetDurableExecution",
            ("GET", [_, "durable-executions", _, "history"]) => "GetDurableExecutionHistory",
            ("POST", ["GetTraceSegmentDestination"]) => "GetTraceSegmentDestination",
            ("POST", ["TraceSummaries"]) => "GetTraceSummaries",
            ("POST", ["Traces"]) => "BatchGetTraces",
            // Detections.
            ("GET", ["detector"]) => "ListDetectors",
            ("GET", ["detector", _]) => "GetDetector",
            ("POST", ["detector", _, "findings"]) => "ListFindings",
            ("POST", ["detector", _, "findings", "get"]) => "GetFindings",
            ("POST", ["findings"]) => "GetFindings",
            ("POST", ["findingHistory", "get"]) => "GetFindingHistory",
            ("GET", ["hubv2"]) => "DescribeSecurityHubV2",
            ("POST", ["findingsv2"]) => "GetFindingsV2",
            ("POST", ["status", "batch", "get"]) => "BatchGetAccountStatus",
            ("POST", ["findings", "list"]) => "ListFindings",
            ("POST", ["coverage", "list"]) => "ListCoverage",
            ("POST", ["findings", "details", "batch", "get"]) => "BatchGetFindingDetails",
            ("GET", ["analyzer"]) => "ListAnalyzers",
            ("POST", ["findingv2"]) => "ListFindingsV2",
            ("GET", ["findingv2", _]) => "GetFindingV2",
            ("GET", ["analyzed-resource"]) => "GetAnalyzedResource",
            ("POST", ["service", "AWSEventsV2", "operation", operation]) => operation,
            ("GET", ["2020-05-31", "distribution"]) => "ListDistributions",
            ("GET", ["rules", _]) => "GetTopicRule",
            ("GET", [_, "runtimes", _]) => "GetRuntime",
            ("GET", [_, "runtimes", _, "aliases", _]) => "GetRuntimeAlias",
            ("GET", [_, "runtimes", _, "versions", _]) => "GetRuntimeVersion",
            ("POST", ["StartTraceRetrieval"]) => "StartTraceRetrieval",
            ("POST", ["ListRetrievedTraces"]) => "ListRetrievedTraces",
            // End of detections.
            // The surface of the Lambda API.
            ("GET", [_, "resource-policy", _]) => "GetResourcePolicy",
            ("GET", [_, "functions", _, "provisioned-concurrency"]) if uri.contains("List=ALL") => "ListProvisionedConcurrencyConfigs",
            ("GET", [_, "functions", _, "runtime-management-config"]) => "GetRuntimeManagementConfig",
            ("GET", [_, "functions", _, "recursion-config"]) => "GetFunctionRecursionConfig",
            ("GET", [_, "functions", _, "code-signing-config"]) => "GetFunctionCodeSigningConfig",
            ("GET", [_, "functions", _, "function-scaling-config"]) => "GetFunctionScalingConfig",
            ("GET", [_, "code-signing-configs", _]) => "GetCodeSigningConfig",
            ("GET", [_, "capacity-providers", _]) => "GetCapacityProvider",
            ("GET", [_, "capacity-providers", _, "function-versions"]) => "ListFunctionVersionsByCapacityProvider",
            ("GET", [_, "account-settings"]) => "GetAccountSettings",
            ("GET", [_, "tags", _]) => "ListTags",
            ("GET", [_, "layers"]) if uri.contains("find=LayerVersion") => "GetLayerVersionByArn",
            ("GET", [_, "layers", _, "versions"]) => "ListLayerVersions",
            ("GET", [_, "layers", _, "versions", _, "policy"]) => "GetLayerVersionPolicy",
            ("GET", ["signing-jobs", _]) => "DescribeSigningJob",
            ("GET", _) if service == "S3" => match uri.split_once('?').map(|(_, query)| query).unwrap_or_default() {
                query if query.starts_with("attributes") => "GetObjectAttributes",
                query if query.starts_with("versions") => "ListObjectVersions",
                _ => "GetObject",
            },
            // End of the surface of the Lambda API.
            // Network and deployment.
            ("GET", ["2015-02-01", "access-points"]) => "DescribeAccessPoints",
            ("GET", ["2015-02-01", "file-systems"]) => "DescribeFileSystems",
            ("GET", ["2015-02-01", "file-systems", _, "policy"]) => "DescribeFileSystemPolicy",
            ("GET", ["2015-02-01", "mount-targets"]) => "DescribeMountTargets",
            ("GET", ["access-points", _]) => "GetAccessPoint",
            ("GET", ["file-systems", _]) => "GetFileSystem",
            ("GET", ["file-systems", _, "policy"]) => "GetFileSystemPolicy",
            ("GET", ["file-systems", _, "synchronization-configuration"]) => "GetSynchronizationConfiguration",
            ("GET", ["mount-targets"]) => "ListMountTargets",
            _ => panic!("no operation is known for {method} {uri}: add it here"),
        }
        .to_string()
    });
    format!("{service}.{operation}")
}

/// The Region in the signature's scope: some hosts name none.
fn headers_region(request: &HttpRequest) -> String {
    let signed = request.headers().get("authorization").unwrap_or_default();
    signed.split("Credential=").nth(1).and_then(|c| c.split('/').nth(2)).unwrap_or_default().to_string()
}

#[derive(Clone, Debug)]
struct Wire(Arc<World>);

impl HttpClient for Wire {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (host, uri) = {
            let whole: http::Uri = request.uri().parse().unwrap();
            (whole.host().unwrap_or_default().to_string(), whole.path_and_query().map(ToString::to_string).unwrap_or_default())
        };
        let headers: Vec<(String, String)> = request.headers().iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        let body = String::from_utf8_lossy(request.body().bytes().unwrap_or_default()).into_owned();
        let key = recognise(&host, request.method(), &uri, &headers, &body);
        let (round, answered) = self.0.rounds.as_ref().map(Rounds::enter).unzip();
        let step = self.0.answered.load(Ordering::SeqCst) + 1;
        let sent = Sent { key: key.clone(), host, uri, headers, body, round: round.unwrap_or_default(), step };
        let answer = self.0.answer(&sent).in_region(sent.host.split('.').nth(1).unwrap_or_default());
        let number = {
            let mut all = self.0.sent.lock().unwrap();
            all.push(sent);
            all.len()
        };
        let (status, mut headers, body, cut) = match answer {
            Answer::Http { status, headers, body } => (status, headers, body, false),
            Answer::Cut { status, headers, body } => (status, headers, body, true),
            Answer::Never => return HttpConnectorFuture::new(std::future::pending()),
            Answer::Broken => return HttpConnectorFuture::ready(Err(ConnectorError::io("connection reset, as scripted".into()))),
        };
        headers.push(("x-amzn-requestid".into(), format!("request-{number}")));
        headers.extend(self.0.date.map(|d| ("date".to_string(), d.to_string())));
        let region = headers_region(&request);
        let body = as_sent(&key, placed(&body, &region));
        let body = if cut {
            let half = Bytes::copy_from_slice(&body[..body.len().div_ceil(2)]);
            let frames = vec![Ok(Frame::data(half)), Err(io::Error::new(io::ErrorKind::UnexpectedEof, "cut off, as scripted"))];
            SdkBody::from_body_1_x(StreamBody::new(stream::iter(frames)))
        } else {
            SdkBody::from(body)
        };
        let mut response = HttpResponse::new(status.try_into().unwrap(), body);
        for (name, value) in headers {
            let cbor = name == "content-type" && key.starts_with("EventBridgeV2.") && value.contains("json");
            response.headers_mut().append(name, if cbor { "application/cbor".to_string() } else { value });
        }
        let (slow, world) = (self.0.slow, self.0.clone());
        HttpConnectorFuture::new(async move {
            if let Some(answered) = answered {
                answered.await.map_err(|e| ConnectorError::other(e.into(), None))?;
            }
            if let Some(each) = slow {
                tokio::time::sleep(each).await;
                world.answered.fetch_max(step, Ordering::SeqCst);
            }
            Ok(response)
        })
    }
}

/// A configuration over the scripted wire. Each has a Region of its own, because the SDK's retry quota is one per Region and process: many
/// failing tests would otherwise use it up for each other.
pub fn config(world: &Arc<World>) -> SdkConfig {
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    config_in(world, format!("eu-test-{}", NUMBER.fetch_add(1, Ordering::Relaxed)))
}

/// The same in a Region that means something.
pub fn config_in(world: &Arc<World>, region: String) -> SdkConfig {
    // A round lasts as long as it takes to ask everything.
    let patience = if world.rounds.is_some() { Duration::from_secs(60) } else { Duration::from_millis(300) };
    SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .region(Region::new(region))
        .credentials_provider(SharedCredentialsProvider::new(
            Credentials::builder()
                .access_key_id("AKIATESTTESTTESTTEST")
                .secret_access_key("never-in-evidence-secret")
                .session_token("never-in-evidence-token")
                .provider_name("test")
                .build(),
        ))
        .http_client(SharedHttpClient::new(Wire(world.clone())))
        .retry_config(RetryConfig::standard().with_max_attempts(5).with_initial_backoff(Duration::from_millis(1)))
        .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(patience).build())
        .build()
}
