//! One small request to a service that is no AWS service (a timestamp authority), through the same HTTP client and fence: no credentials, no
//! tape (it is made when the bag is closed already), and an answer of bounded size.

use super::connect::Connector;
use super::fence::Fence;
use super::fetch::{Head, TakeBody};
use crate::model::call::Call;
use crate::model::web_address::WebAddress;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;

/// What is sent.
pub struct Post<'p> {
    pub unit: &'static str,
    /// Of service `https`.
    pub calls: &'static [Call],
    pub operation: &'static str,
    pub to: &'p WebAddress,
    pub content_type: &'static str,
    pub body: Vec<u8>,
    /// Longest answer that is read.
    pub limit: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum PostError {
    #[error("there is no HTTP client")]
    NoClient,
    #[error("{to} did not answer")]
    Send {
        to: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the answer of {to} broke off")]
    Read {
        to: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the answer of {0} is too long")]
    TooLong(String),
}

impl Connector {
    pub async fn post(&self, post: Post<'_>) -> Result<Vec<u8>, PostError> {
        let http = self.conf.http_client().ok_or(PostError::NoClient)?;
        let to = post.to.to_string();
        let operation = Operation::builder()
            .service_name("https")
            .operation_name(post.operation)
            .behavior_version(aws_config::BehaviorVersion::latest())
            .http_client(http)
            .endpoint_url(post.to.origin())
            .no_auth()
            .no_retry()
            .interceptor(Fence { unit: post.unit, calls: post.calls, reads_only: false })
            .serializer(move |(path, content_type, body): (String, &'static str, Vec<u8>)| {
                let mut request = HttpRequest::new(SdkBody::from(body));
                request.set_method("POST")?;
                request.set_uri(path)?;
                request.headers_mut().insert("content-type", content_type);
                Ok(request)
            })
            .deserializer_impl::<Head, super::fetch::BadStatus>(TakeBody)
            .build();
        let answer = operation.invoke((post.to.path().to_string(), post.content_type, post.body)).await;
        let head = answer.map_err(|e| PostError::Send { to: to.clone(), source: e.into() })?;
        let mut stream = ByteStream::new(head.take_body().unwrap_or_else(SdkBody::empty));
        let mut bytes = vec![];
        while let Some(chunk) = stream.try_next().await.map_err(|e| PostError::Read { to: to.clone(), source: e.into() })? {
            if bytes.len() + chunk.len() > post.limit {
                return Err(PostError::TooLong(to));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}
