//! A request over the paths that `events` and `qualified` know: taken apart, and answered in the service's own protocol.

use super::{Parsed, REGION, World, events, form_decoded, qualified};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use freezeframe::aws::cbor;
use serde_json::{Value, json};

/// What was asked. `None` from [`Asked::of`] is for `lambda` and `iam` to answer.
pub struct Asked {
    pub operation: &'static str,
    /// Decoded.
    pub path: Vec<String>,
    pub query: Vec<(String, String)>,
    pub body: Value,
    cbor: bool,
}

pub type Answer = Result<Value, (u16, &'static str, String)>;

pub fn absent(what: &str) -> (u16, &'static str, String) {
    (404, "ResourceNotFoundException", format!("{what} does not exist."))
}

impl Asked {
    pub fn of(request: &HttpRequest) -> Option<Asked> {
        let uri: http::Uri = request.uri().parse().unwrap();
        let host = uri.host().unwrap().strip_suffix(&format!(".{REGION}.amazonaws.com"))?.to_string();
        let path: Vec<String> = uri.path().trim_matches('/').split('/').map(form_decoded).collect();
        let pairs = uri.query().unwrap_or_default().split('&').filter(|p| !p.is_empty());
        let query: Vec<(String, String)> =
            pairs.map(|p| p.split_once('=').unwrap_or((p, ""))).map(|(k, v)| (form_decoded(k), form_decoded(v))).collect();
        let bytes = request.body().bytes().expect("request bodies are in memory");
        let parts: Vec<&str> = path.iter().map(String::as_str).collect();
        let method = request.method();
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let qualified = query.iter().any(|(k, _)| k == "Qualifier");
        let operation = match host.as_str() {
            "events" | "pipes" | "scheduler" | "eventsv2" => events::operation(&host, method, &parts, target),
            // Which aliases and versions there are, and how they are configured, `surface` tells the SDK's client, and `qualified` the raw path: two small functions in one.
            "lambda" => {
                let sdk = request.headers().get("x-amz-user-agent").is_some();
                let number = query.iter().any(|(k, v)| k == "Qualifier" && v.parse::<u32>().is_ok());
                let listed = |o: &&str| match *o {
                    "ListAliases" | "ListVersionsByFunction" => !sdk,
                    "GetFunctionConfiguration" => !sdk || number,
                    _ => true,
                };
                qualified::operation(method, &parts, qualified).filter(listed)?
            }
            _ => return None,
        };
        let cbor = host == "eventsv2";
        if cbor {
            assert_eq!(request.headers().get("smithy-protocol"), Some("rpc-v2-cbor"));
        }
        let body = match bytes {
            [] => Value::Null,
            bytes if cbor => cbor::read(bytes).expect("CBOR"),
            bytes => serde_json::from_slice(bytes).expect("JSON"),
        };
        Some(Asked { operation, path, query, body, cbor })
    }

    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(k, _)| k == name).map(|(_, v)| v.as_str())
    }

    /// A text member of the body.
    pub fn text(&self, member: &str) -> &str {
        self.body[member].as_str().unwrap_or_else(|| panic!("{} needs {member}: {}", self.operation, self.body))
    }

    /// One entry on a page, so that whoever does not follow the token is found out.
    pub fn page(&self, list: &str, next: &str, token: Option<&str>, all: Vec<Value>) -> Answer {
        let at: usize = token.map_or(0, |t| t.parse().unwrap());
        let more = at + 1 < all.len();
        let page: Vec<Value> = all.into_iter().skip(at).take(1).collect();
        let mut answer = json!({list: page});
        if more {
            answer[next] = (at + 1).to_string().into();
        }
        Ok(answer)
    }

    pub fn respond(&self, world: &mut World) -> HttpResponse {
        let now = chrono::DateTime::parse_from_rfc2822(world.date).unwrap().timestamp();
        let answer = match events::answer(self, &mut world.events, now) {
            Some(answer) => answer,
            None => qualified::answer(self, &mut world.qualified),
        };
        match answer {
            Ok(body) => self.response(200, &body),
            Err((status, code, message)) => self.error(status, code, &message),
        }
    }

    pub fn error(&self, status: u16, code: &str, message: &str) -> HttpResponse {
        let mut response = self.response(status, &json!({"__type": format!("aws.api#{code}"), "message": message}));
        if !self.cbor {
            response.headers_mut().insert("x-amzn-errortype", code.to_string());
        }
        response
    }

    fn response(&self, status: u16, body: &Value) -> HttpResponse {
        let bytes = match (body, self.cbor) {
            (Value::Null, false) => vec![],
            (body, false) => body.to_string().into_bytes(),
            (body, true) => cbor::write(body),
        };
        HttpResponse::new(status.try_into().unwrap(), SdkBody::from(bytes))
    }
}

impl Parsed {
    pub(super) fn asked(asked: Asked) -> Parsed {
        Parsed { operation: asked.operation.into(), args: Default::default(), iam: false, asked: Some(asked) }
    }
}
