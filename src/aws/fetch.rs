//! Presigned downloads through the SDK's own HTTP client, the same tape and the same fence. Nothing sits in memory: the bytes pass the tape
//! on their way to nobody.

use super::fault::{Fault, FaultClass, tame};
use super::tape::{self, Listening};
use super::unit::Aws;
use crate::model::exchange::{BodyEnd, Exchange};
use crate::model::path::BundlePath;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime::client::retries::classifiers::{HttpStatusCodeClassifier, TransientErrorClassifier};
use aws_smithy_runtime_api::client::interceptors::context::{Error, Output};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::ser_de::DeserializeResponse;
use aws_smithy_runtime_api::client::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::retry::RetryConfig;
use std::sync::Mutex;

/// The response's head, with the body still to be read.
#[derive(Debug)]
pub(super) struct Head {
    status: u16,
    body: Mutex<Option<SdkBody>>,
}

impl Head {
    /// The body, once.
    pub(super) fn take_body(&self) -> Option<SdkBody> {
        self.body.lock().ok().and_then(|mut b| b.take())
    }
}

/// The server answered with a status that is no success.
#[derive(Debug, thiserror::Error)]
#[error("HTTP status {0}")]
pub(super) struct BadStatus(u16);

/// Takes the body off unread, so that the orchestrator does not load it.
#[derive(Debug)]
pub(super) struct TakeBody;

impl DeserializeResponse for TakeBody {
    fn deserialize_streaming_with_config(
        &self,
        response: &mut HttpResponse,
        _: &ConfigBag,
    ) -> Option<Result<Output, OrchestratorError<Error>>> {
        if !response.status().is_success() {
            // Let it be loaded (bounded by the tape) so that the server's reason is in evidence.
            return None;
        }
        let head = Head { status: response.status().as_u16(), body: Mutex::new(Some(response.take_body())) };
        Some(Ok(Output::erase(head)))
    }
    fn deserialize_nonstreaming_with_config(&self, response: &HttpResponse, _: &ConfigBag) -> Result<Output, OrchestratorError<Error>> {
        Err(OrchestratorError::operation(Error::erase(BadStatus(response.status().as_u16()))))
    }
}

/// `https://host/path?query` → (`https://host`, `/path?query`): the orchestrator wants the bare origin, or the path is sent twice.
fn split_origin(url: &str) -> Option<(&str, &str)> {
    let scheme = url.find("://").filter(|at| matches!(&url[..*at], "http" | "https"))? + 3;
    let path = url[scheme..].find('/')? + scheme;
    (path > scheme).then(|| (&url[..path], &url[path..]))
}

impl Aws {
    /// Download `url` (a secret: it carries a signature) into the bundle under `wanted`, at most `limit` bytes. Returns the exchanges of all
    /// attempts, and the fault if the last of them brought no whole body. The partial bytes of a failed attempt stay in the bundle.
    ///
    /// `operation` is the name under which the unit declared the download (service `https`).
    pub async fn fetch(&self, operation: &'static str, url: &str, wanted: BundlePath, limit: u64) -> (Result<(), Fault>, Vec<Exchange>) {
        let Some((origin, path)) = split_origin(url) else {
            return (Err(Fault::internal("the address to download from is no http(s) address")), vec![]);
        };
        let Some(http) = self.connector.conf.http_client() else {
            return (Err(Fault::internal("there is no HTTP client")), vec![]);
        };
        let operation = Operation::builder()
            .service_name("https")
            .operation_name(operation)
            .behavior_version(aws_config::BehaviorVersion::latest())
            .http_client(http)
            .endpoint_url(origin)
            .no_auth()
            .standard_retry(&RetryConfig::standard().with_max_attempts(3))
            .retry_classifier(TransientErrorClassifier::<BadStatus>::new())
            .retry_classifier(HttpStatusCodeClassifier::default())
            .stalled_stream_protection(StalledStreamProtectionConfig::enabled().build())
            .interceptor(self.fence.clone())
            .interceptor(self.tape.clone())
            .serializer(|path: String| {
                let mut request = HttpRequest::empty();
                request.set_uri(path)?;
                Ok(request)
            })
            .deserializer_impl::<Head, BadStatus>(TakeBody)
            .build();
        let listening = Listening { wanted: Some(wanted), withhold_query: true, limit, ..Listening::default() };
        let (result, exchanges) = tape::listen(listening, async {
            match operation.invoke(path.to_string()).await {
                Ok(head) => {
                    let drained = match head.take_body() {
                        Some(body) => drain(body).await,
                        None => Ok(()),
                    };
                    Ok((head.status, drained))
                }
                Err(e) => Err(e.to_string()),
            }
        })
        .await;
        let last = exchanges.last();
        let status = last.and_then(|x| x.status);
        let fault = |class, message: String| Fault {
            class,
            code: status.map(|s| format!("HTTP {s}")),
            message: tame(&message, 300),
            status,
            request_id: None,
        };
        let result = match (result, last.map(|x| x.body_end.clone())) {
            (Ok((_, Ok(()))), Some(BodyEnd::Complete)) => Ok(()),
            (_, Some(BodyEnd::TooLarge(why))) => Err(fault(FaultClass::TooLarge, why)),
            (_, Some(BodyEnd::Unsaved(why))) => Err(fault(FaultClass::Internal, format!("the bytes could not be saved here: {why}"))),
            (Ok((_, Err(why))), _) => Err(fault(FaultClass::Truncated, why)),
            // S3 answers 403 to a presigned address that has expired, whatever the permissions.
            (Err(_), _) if status == Some(403) => {
                Err(fault(FaultClass::Credentials, "the presigned address was refused: it may have expired".into()))
            }
            // S3 asks to slow down with a 503.
            (Err(why), _) if matches!(status, Some(429 | 503)) => Err(fault(FaultClass::Throttled, why)),
            (Err(_), _) if status == Some(404) => Err(fault(FaultClass::Transport, "there is nothing at the presigned address".into())),
            (Err(why), _) => Err(fault(FaultClass::Transport, why)),
            (Ok(_), _) => Err(fault(FaultClass::Truncated, "the download ended early".into())),
        };
        (result, exchanges)
    }
}

async fn drain(body: SdkBody) -> Result<(), String> {
    let mut stream = ByteStream::new(body);
    loop {
        match stream.try_next().await {
            Ok(Some(_)) => {}
            Ok(None) => return Ok(()),
            Err(e) => return Err(e.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::split_origin;

    #[test]
    fn origin_and_path() {
        assert_eq!(split_origin("https://h.example:1/a/b?c=d"), Some(("https://h.example:1", "/a/b?c=d")));
        for bad in ["ftp://h/a", "file:///etc/passwd", "https://h", "/a", ""] {
            assert_eq!(split_origin(bad), None, "{bad}");
        }
    }
}
