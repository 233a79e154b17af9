//! The signed raw path: for operations or services without an SDK crate. Same HTTP client, same tape, same fence, `aws-sigv4` for the
//! signature.

use super::fault::{Fault, tame};
use super::tape::{self, Listening};
use super::unit::Aws;
use crate::model::call::Service;
use crate::model::exchange::Exchange;
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime::client::retries::classifiers::{HttpStatusCodeClassifier, TransientErrorClassifier};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::error::metadata::{ErrorMetadata, ProvideErrorMetadata};
use aws_smithy_types::retry::RetryConfig;
use std::fmt;

/// A JSON-protocol call (`X-Amz-Target`).
#[derive(Clone, Debug)]
pub struct RawCall {
    pub service: Service,
    pub operation: &'static str,
    /// `X-Amz-Target`: `AWSEvents.PutRule`, `AmazonSQS.CreateQueue`.
    pub target: String,
    /// `application/x-amz-json-1.0` or `-1.1`.
    pub content_type: &'static str,
    pub body: String,
}

/// A service's refusal: code and message as in every AWS JSON protocol.
#[derive(Debug)]
struct Refusal(ErrorMetadata);
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

fn refusal(response: &HttpResponse) -> Refusal {
    let body: serde_json::Value = response.body().bytes().and_then(|b| serde_json::from_slice(b).ok()).unwrap_or_default();
    let text = |keys: &[&str]| keys.iter().find_map(|k| body.get(k)).and_then(|v| v.as_str()).map(str::to_string);
    let code = response.headers().get("x-amzn-errortype").map(str::to_string).or_else(|| text(&["__type", "code"]));
    let mut meta = ErrorMetadata::builder();
    if let Some(code) = code {
        meta = meta.code(tame(&code, 80));
    }
    if let Some(message) = text(&["message", "Message"]) {
        meta = meta.message(tame(&message, 400));
    }
    Refusal(meta.build())
}

impl Aws {
    /// Where a service without an SDK client is reached: `AWS_ENDPOINT_URL_<SERVICE>`, then the configured endpoint, then AWS's own name.
    fn raw_endpoint(&self, service: Service) -> String {
        let conf = &self.connector.conf;
        let variable = format!("AWS_ENDPOINT_URL_{}", service.sdk_id().to_ascii_uppercase().replace(' ', "_"));
        std::env::var(variable).ok().or_else(|| conf.endpoint_url().map(str::to_string)).unwrap_or_else(|| {
            let region = self.region();
            let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
            format!("https://{}.{region}.{suffix}", service.prefix())
        })
    }

    /// Make the call; the answer's body as bytes, and every exchange.
    pub async fn raw(&self, call: RawCall) -> (Result<Vec<u8>, Fault>, Vec<Exchange>) {
        let conf = &self.connector.conf;
        let (Some(http), Some(provider)) = (conf.http_client(), conf.credentials_provider()) else {
            return (Err(Fault::internal("there is no HTTP client, or there are no credentials")), vec![]);
        };
        let identity = match provider.provide_credentials().await {
            Ok(credentials) => credentials.into(),
            Err(e) => return (Err(Fault::internal(format!("no credentials: {e}"))), vec![]),
        };
        let (region, name, endpoint) = (self.region().to_string(), call.service.prefix(), self.raw_endpoint(call.service));
        let origin = endpoint.trim_end_matches('/').to_string();
        let now = self.connector.clock.now();
        let serializer_origin = origin.clone();
        let operation = Operation::builder()
            .service_name(call.service.sdk_id())
            .operation_name(call.operation)
            .behavior_version(aws_config::BehaviorVersion::latest())
            .http_client(http)
            .endpoint_url(&origin)
            .no_auth()
            .standard_retry(conf.retry_config().unwrap_or(&RetryConfig::standard()))
            .retry_classifier(TransientErrorClassifier::<Refusal>::new())
            .retry_classifier(HttpStatusCodeClassifier::default())
            .interceptor(self.fence.clone())
            .interceptor(self.tape.clone())
            .serializer(move |call: RawCall| {
                let mut request = HttpRequest::new(SdkBody::from(call.body.clone()));
                request.set_method("POST")?;
                request.set_uri("/".to_string())?;
                let host = serializer_origin.split("://").nth(1).unwrap_or_default().to_string();
                let headers = [("content-type", call.content_type.to_string()), ("x-amz-target", call.target.clone()), ("host", host)];
                let params = v4::SigningParams::builder()
                    .identity(&identity)
                    .region(&region)
                    .name(name)
                    .time(now.into())
                    .settings(SigningSettings::default())
                    .build()?;
                let url = format!("{serializer_origin}/");
                let signable = SignableRequest::new(
                    "POST",
                    &url,
                    headers.iter().map(|(k, v)| (*k, v.as_str())),
                    SignableBody::Bytes(call.body.as_bytes()),
                )?;
                let (instructions, _) = sign(signable, &params.into())?.into_parts();
                for (k, v) in headers {
                    request.headers_mut().insert(k, v);
                }
                for (k, v) in instructions.headers() {
                    request.headers_mut().insert(k.to_string(), v.to_string());
                }
                Ok(request)
            })
            .deserializer(|response: &HttpResponse| {
                if response.status().is_success() {
                    Ok(response.body().bytes().unwrap_or_default().to_vec())
                } else {
                    Err(OrchestratorError::operation(refusal(response)))
                }
            })
            .build();
        let (result, exchanges) = tape::listen(Listening::default(), operation.invoke(call)).await;
        let result = result.map_err(|e: SdkError<Refusal, HttpResponse>| Fault::of(&e, &exchanges));
        (result, exchanges)
    }
}
