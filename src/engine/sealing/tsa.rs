//! A timestamp authority (RFC 3161), asked over HTTP. The answer is believed to be about our question only when it carries our nonce and our
//! digest; it is kept as it came.

use crate::aws::Connector;
use crate::aws::post::{Post, PostError};
use crate::bundle::signer::TIMESTAMP_CALLS;
use crate::bundle::timestamp::{self, MAX_RESPONSE, Nonce, StampError};
use crate::model::web_address::WebAddress;

#[derive(Clone, Debug)]
pub struct Tsa {
    connector: Connector,
    address: WebAddress,
}

#[derive(Debug, thiserror::Error)]
pub enum TsaError {
    #[error("could not ask for a timestamp")]
    Ask(#[source] PostError),
    #[error("could not make or read a timestamp")]
    Stamp(#[source] StampError),
    #[error("the timestamp that came back is the answer to another question")]
    OtherAnswer,
}

impl Tsa {
    pub fn new(connector: &Connector, address: &WebAddress) -> Tsa {
        Tsa { connector: connector.clone(), address: address.clone() }
    }

    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// The authority's answer about `message`, as it came.
    pub(super) async fn stamp(&self, message: &[u8]) -> Result<Vec<u8>, TsaError> {
        // The low half of an ULID of now: 80 random bits.
        let nonce = Nonce(ulid::Ulid::generate().random() as u64);
        let body = timestamp::request(message, nonce).map_err(TsaError::Stamp)?;
        let post = Post {
            unit: "seal",
            calls: TIMESTAMP_CALLS,
            operation: "Timestamp",
            to: &self.address,
            content_type: "application/timestamp-query",
            body,
            limit: MAX_RESPONSE,
        };
        let answer = self.connector.post(post).await.map_err(TsaError::Ask)?;
        let stamp = timestamp::read(&answer).map_err(TsaError::Stamp)?;
        if stamp.answers(message, nonce) { Ok(answer) } else { Err(TsaError::OtherAnswer) }
    }
}
