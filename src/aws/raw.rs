//! The signed raw path: for operations or services without an SDK crate. Same HTTP client, same tape, same fence, `aws-sigv4` for the
//! signature. [`Aws::raw`] gives an SDK-shaped result, so that whoever asks through an SDK client asks through this in the same words.

use super::cbor;
use super::fault::tame;
use super::unit::Aws;
use super::xml;
use crate::model::call::Service;
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime::client::retries::RetryPartition;
use aws_smithy_runtime::client::retries::classifiers::{HttpStatusCodeClassifier, TransientErrorClassifier};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::Layer;
use aws_smithy_types::error::metadata::{ErrorMetadata, ProvideErrorMetadata};
use aws_smithy_types::retry::RetryConfig;
use std::fmt;

/// A call as it goes over the wire, in one of AWS's protocols.
#[derive(Clone, Debug)]
pub struct RawCall {
    pub service: Service,
    pub operation: &'static str,
    method: &'static str,
    /// Path and query, percent-encoded.
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    form: Form,
    /// Headers of a signature that somebody else has made; ours when there is none.
    signed: Option<Vec<(&'static str, String)>>,
}

/// What an answer is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    Xml,
    Cbor,
}

impl RawCall {
    /// awsJson: `target` is the whole `X-Amz-Target` (`AWSEvents.DescribeRule`).
    pub fn json(service: Service, operation: &'static str, version: JsonVersion, target: &str, body: &serde_json::Value) -> Self {
        let content_type = match version {
            JsonVersion::V1_0 => "application/x-amz-json-1.0",
            JsonVersion::V1_1 => "application/x-amz-json-1.1",
        };
        let headers = vec![("content-type", content_type.to_string()), ("x-amz-target", target.to_string())];
        RawCall {
            service,
            operation,
            method: "POST",
            path: "/".into(),
            headers,
            body: body.to_string().into_bytes(),
            form: Form::Json,
            signed: None,
        }
    }

    /// restJson: segments and query values are percent-encoded here. `body` for POST and PUT.
    pub fn rest(
        service: Service,
        operation: &'static str,
        method: &'static str,
        segments: &[&str],
        query: &[(&str, &str)],
        body: Option<&serde_json::Value>,
    ) -> Self {
        let mut path: String = segments.iter().flat_map(|s| ["/".to_string(), encode(s)]).collect();
        let pairs: Vec<String> = query.iter().map(|(k, v)| format!("{}={}", encode(k), encode(v))).collect();
        if !pairs.is_empty() {
            path = format!("{path}?{}", pairs.join("&"));
        }
        let json = || "application/json".to_string();
        let mut headers: Vec<_> = body.map(|_| ("content-type", json())).into_iter().collect();
        if service == Service::Apigateway {
            // Who does not ask for plain JSON gets HAL, whose lists have other names. botocore (`add_accept_header` in `handlers.py`, 1.44.5) and
            // the SDKs of Go and Rust (smithy-rs issue 128) ask this service, and no other, for it.
            headers.push(("accept", json()));
        }
        let body = body.map(|b| b.to_string().into_bytes()).unwrap_or_default();
        RawCall { service, operation, method, path, headers, body, form: Form::Json, signed: None }
    }

    /// restXml, for reads without a body: the same, answered in XML.
    pub fn rest_xml(service: Service, operation: &'static str, segments: &[&str], query: &[(&str, &str)]) -> Self {
        RawCall { form: Form::Xml, ..RawCall::rest(service, operation, "GET", segments, query, None) }
    }

    /// rpc-v2-cbor (Smithy): `target` is the service's name on the wire (`AWSEventsV2`). What [`Aws::raw`] gives back is the answer as JSON; on
    /// the tape it is as it came.
    pub fn cbor(service: Service, operation: &'static str, target: &str, body: &serde_json::Value) -> Self {
        let cbor = "application/cbor".to_string();
        let headers = vec![("content-type", cbor.clone()), ("accept", cbor), ("smithy-protocol", "rpc-v2-cbor".to_string())];
        let path = format!("/service/{}/operation/{}", encode(target), encode(operation));
        RawCall { service, operation, method: "POST", path, headers, body: cbor::write(body), form: Form::Cbor, signed: None }
    }

    /// awsQuery and ec2Query: a form, answered in XML.
    pub fn query(service: Service, operation: &'static str, version: &str, parameters: &[(&str, &str)]) -> Self {
        let mut body = format!("Action={}&Version={}", encode(operation), encode(version));
        for (k, v) in parameters {
            body.push_str(&format!("&{}={}", encode(k), encode(v)));
        }
        let headers = vec![("content-type", "application/x-www-form-urlencoded; charset=utf-8".to_string())];
        RawCall { service, operation, method: "POST", path: "/".into(), headers, body: body.into_bytes(), form: Form::Xml, signed: None }
    }
}

impl RawCall {
    /// One more header, which the signature covers.
    pub(super) fn with_header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
    /// The same, carrying a signature that was made elsewhere.
    pub(super) fn signed_by_another(self, headers: Vec<(&'static str, String)>) -> Self {
        RawCall { signed: Some(headers), ..self }
    }

    /// ec2Query: a page of what matches all filters. Its lists are flat (`Filter.1.Value.2`), without awsQuery's `member`; a filter that matches
    /// nothing gives an empty list, where an id that is not there would fail the whole call. `*` and `?` in a value match other things too:
    /// whoever fills in a stranger's word has checked its form.
    pub fn ec2(operation: &'static str, filters: &[(&str, &[String])], page: u16, token: Option<&str>) -> Self {
        let mut parameters = vec![("MaxResults".to_string(), page.to_string())];
        parameters.extend(token.map(|t| ("NextToken".to_string(), t.to_string())));
        for (n, (name, values)) in (1..).zip(filters) {
            parameters.push((format!("Filter.{n}.Name"), (*name).to_string()));
            parameters.extend((1..).zip(*values).map(|(m, value): (u32, _)| (format!("Filter.{n}.Value.{m}"), value.clone())));
        }
        let parameters: Vec<(&str, &str)> = parameters.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        RawCall::query(Service::Ec2, operation, "2016-11-15", &parameters)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonVersion {
    V1_0,
    V1_1,
}

/// RFC 3986: everything but the unreserved characters.
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// A list in HAL: an object of links and embedded things alone (`_links`, `_embedded`), without a member of the list that was asked for.
fn is_hal_list(body: &[u8]) -> bool {
    let members: Option<serde_json::Map<String, serde_json::Value>> = serde_json::from_slice(body).ok();
    members.is_some_and(|all| !all.is_empty() && all.keys().all(|name| name.starts_with('_')))
}

/// A service's refusal: code and message, whatever the protocol.
#[derive(Debug)]
pub struct Refusal(ErrorMetadata);
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the service refused")
    }
}
impl std::error::Error for Refusal {}
impl ProvideErrorMetadata for Refusal {
    fn meta(&self) -> &ErrorMetadata {
        &self.0
    }
}

fn refusal(response: &HttpResponse, form: Form) -> Refusal {
    let bytes = response.body().bytes().unwrap_or_default();
    // A gateway before the service may answer in JSON whatever the service speaks.
    let cbor = if form == Form::Cbor { cbor::read(bytes) } else { None };
    let json: Option<serde_json::Value> = cbor.or_else(|| serde_json::from_slice(bytes).ok());
    let member = |keys: &[&str]| match &json {
        Some(body) => keys.iter().find_map(|k| body.get(k)).and_then(|v| v.as_str()).map(str::to_string),
        None => keys.iter().find_map(|k| xml::first(bytes, k)),
    };
    let code = response.headers().get("x-amzn-errortype").map(str::to_string).or_else(|| member(&["__type", "code", "Code", "ErrorCode"]));
    let mut meta = ErrorMetadata::builder();
    if let Some(code) = code {
        meta = meta.code(tame(code.split(':').next().unwrap_or_default(), 80));
    }
    if let Some(message) = member(&["message", "Message"]) {
        meta = meta.message(tame(&message, 400));
    }
    Refusal(meta.build())
}

/// What a raw call answers: the body's bytes, or an error of the form that SDK clients give.
pub type RawResult = Result<Vec<u8>, SdkError<Refusal, HttpResponse>>;

impl Aws {
    /// Where a service is reached: `AWS_ENDPOINT_URL_<ID>`, then the configured endpoint, then AWS's own name.
    fn raw_endpoint(&self, service: Service) -> String {
        let variable = format!("AWS_ENDPOINT_URL_{}", service.sdk_id().to_ascii_uppercase().replace(' ', "_"));
        std::env::var(variable).ok().or_else(|| self.connector.conf.endpoint_url().map(str::to_string)).unwrap_or_else(|| {
            let region = self.region();
            let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
            if service.is_global() {
                format!("https://{}.{suffix}", service.host())
            } else {
                format!("https://{}.{region}.{suffix}", service.host())
            }
        })
    }

    /// The headers that sign the call with our credentials, as of now.
    pub(super) async fn signed_headers(&self, call: &RawCall) -> Result<Vec<(String, String)>, SdkError<Refusal, HttpResponse>> {
        let conf = &self.connector.conf;
        let provider = conf.credentials_provider().ok_or_else(|| SdkError::construction_failure("there are no credentials"))?;
        let identity = provider.provide_credentials().await.map_err(SdkError::construction_failure)?.into();
        let region = if call.service.is_global() { "us-east-1" } else { self.region() };
        let origin = self.raw_endpoint(call.service).trim_end_matches('/').to_string();
        let mut headers = call.headers.clone();
        headers.push(("host", host(&origin)));
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name(call.service.signing_name())
            .time(self.connector.clock.now().into())
            .settings(SigningSettings::default())
            .build()
            .map_err(SdkError::construction_failure)?;
        let url = format!("{origin}{}", call.path);
        let body = SignableBody::Bytes(&call.body);
        let signable = SignableRequest::new(call.method, &url, headers.iter().map(|(k, v)| (*k, v.as_str())), body)
            .map_err(SdkError::construction_failure)?;
        let (instructions, _) = sign(signable, &params.into()).map_err(SdkError::construction_failure)?.into_parts();
        Ok(instructions.headers().map(|(k, v)| (k.to_string(), v.to_string())).collect())
    }

    /// Make the call. Goes through tape and fence like every other.
    pub async fn raw(&self, call: RawCall) -> RawResult {
        let conf = &self.connector.conf;
        let missing = |what: &'static str| SdkError::construction_failure(what);
        let http = conf.http_client().ok_or_else(|| missing("there is no HTTP client"))?;
        let origin = self.raw_endpoint(call.service).trim_end_matches('/').to_string();
        let form = call.form;
        let may_be_hal = call.service == Service::Apigateway;
        let signed: Vec<(String, String)> = match call.signed.clone() {
            Some(theirs) => theirs.into_iter().map(|(k, v)| (k.to_string(), v)).collect(),
            None => self.signed_headers(&call).await?,
        };
        let host = host(&origin);
        let operation = Operation::builder()
            .service_name(call.service.sdk_id())
            .operation_name(call.operation)
            .behavior_version(aws_config::BehaviorVersion::latest())
            .http_client(http)
            .endpoint_url(&origin)
            .no_auth()
            // As the SDK's clients have it: one service in one Region that fails much uses up no other's retries.
            .runtime_plugin(StaticRuntimePlugin::new().with_config({
                let mut layer = Layer::new("freezeframe::RetryPartition");
                layer.store_put(RetryPartition::new(format!("{}-{}", call.service.sdk_id(), self.region())));
                layer.freeze()
            }))
            .standard_retry(conf.retry_config().unwrap_or(&RetryConfig::standard()))
            .retry_classifier(TransientErrorClassifier::<Refusal>::new())
            .retry_classifier(ThrottleClassifier)
            .retry_classifier(HttpStatusCodeClassifier::default())
            .interceptor(self.fence.clone())
            .interceptor(self.tape.clone())
            .serializer(move |call: RawCall| {
                let mut request = HttpRequest::new(SdkBody::from(call.body.clone()));
                request.set_method(call.method)?;
                request.set_uri(call.path.clone())?;
                for (k, v) in call.headers {
                    request.headers_mut().insert(k, v);
                }
                request.headers_mut().insert("host", host.clone());
                for (k, v) in &signed {
                    request.headers_mut().insert(k.clone(), v.clone());
                }
                Ok(request)
            })
            .deserializer(move |response: &HttpResponse| {
                if response.status().is_success() {
                    let body = response.body().bytes().unwrap_or_default();
                    // A page of some proxy with status 200 would read as an empty list: unknown is never clean.
                    let readable = match form {
                        // Neither do we find in HAL what we look for.
                        Form::Json if may_be_hal && is_hal_list(body) => false,
                        Form::Json => body.is_empty() || serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok(),
                        Form::Xml => xml::readable(body),
                        Form::Cbor => {
                            let value = cbor::read(body).map(|v| v.to_string().into_bytes());
                            return value.ok_or_else(|| OrchestratorError::other("the answer is no CBOR"));
                        }
                    };
                    if readable {
                        Ok(body.to_vec())
                    } else {
                        Err(OrchestratorError::other("the answer is not in the form of this service"))
                    }
                } else {
                    Err(OrchestratorError::operation(refusal(response, form)))
                }
            })
            .build();
        operation.invoke(call).await
    }
}

fn host(origin: &str) -> String {
    origin.split("://").nth(1).unwrap_or_default().to_string()
}

/// Retries what a service calls throttling: it may come with status 400, which the status alone would not retry.
#[derive(Debug)]
struct ThrottleClassifier;

impl aws_smithy_runtime_api::client::retries::classifiers::ClassifyRetry for ThrottleClassifier {
    fn classify_retry(
        &self,
        context: &aws_smithy_runtime_api::client::interceptors::context::InterceptorContext,
    ) -> aws_smithy_runtime_api::client::retries::classifiers::RetryAction {
        use aws_smithy_runtime_api::client::retries::classifiers::RetryAction;
        let code = context
            .output_or_error()
            .and_then(Result::err)
            .and_then(|e| e.as_operation_error())
            .and_then(|e| e.downcast_ref::<Refusal>())
            .and_then(|r| r.code());
        match code {
            Some(code) if super::fault::is_throttling(code) => RetryAction::throttling_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }
    fn name(&self) -> &'static str {
        "freezeframe::Throttle"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_gateway_alone_is_told_that_plain_json_is_wanted() {
        let accept = |service| RawCall::rest(service, "GetX", "GET", &["x"], &[], None).headers;
        assert_eq!(accept(Service::Apigateway), [("accept", "application/json".to_string())]);
        for other in [Service::Apigatewayv2, Service::Scheduler, Service::Efs] {
            assert_eq!(accept(other), [], "{other:?}");
        }
    }

    #[test]
    fn a_list_in_hal_is_known_by_its_members() {
        for hal in [r#"{"_links": {}}"#, r#"{"_embedded": {"item": {"id": "a"}}, "_links": {"next": {"href": "/x"}}}"#] {
            assert!(is_hal_list(hal.as_bytes()), "{hal}");
        }
        for plain in ["", "{}", "[]", r#"{"item": []}"#, r#"{"_links": {}, "item": []}"#, r#"{"_links": {}, "id": "a"}"#] {
            assert!(!is_hal_list(plain.as_bytes()), "{plain}");
        }
    }

    #[test]
    fn what_strangers_named_cannot_leave_its_place() {
        let call = RawCall::rest(Service::Scheduler, "GetSchedule", "GET", &["schedules", "a/../b?x#y"], &[("groupName", "a&b=c")], None);
        assert_eq!(call.path, "/schedules/a%2F..%2Fb%3Fx%23y?groupName=a%26b%3Dc");
        let call = RawCall::query(Service::Ec2, "DescribeSubnets", "2016-11-15", &[("SubnetId.1", "subnet-1&Action=DeleteSubnet")]);
        assert_eq!(
            String::from_utf8(call.body).unwrap(),
            "Action=DescribeSubnets&Version=2016-11-15&SubnetId.1=subnet-1%26Action%3DDeleteSubnet"
        );
        let call = RawCall::ec2(
            "DescribeSubnets",
            &[("vpc-id", &["vpc-1".to_string()]), ("subnet-id", &["subnet-1".to_string(), "subnet-2&x=y".to_string()])],
            1000,
            Some("a b"),
        );
        let body = "Action=DescribeSubnets&Version=2016-11-15&MaxResults=1000&NextToken=a%20b&Filter.1.Name=vpc-id&Filter.1.Value.1=vpc-1\
                    &Filter.2.Name=subnet-id&Filter.2.Value.1=subnet-1&Filter.2.Value.2=subnet-2%26x%3Dy";
        assert_eq!(String::from_utf8(call.body).unwrap(), body);
    }
}
