//! An exchange: one HTTP attempt as it crossed the wire.

use super::digest::Sha256;
use super::id::ExchangeId;
use super::path::BundlePath;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a response body ended. Anything but `complete` means that the bytes kept are not all that AWS meant to send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "how", content = "why")]
pub enum BodyEnd {
    Complete,
    /// The caller let go before the end (timeout, interrupt).
    Dropped,
    /// The transport failed part-way.
    Failed(String),
    /// The bytes could not be written here; the call itself went on.
    Unsaved(String),
    /// More than the limit set for this exchange.
    TooLarge(String),
    /// No response at all.
    NoResponse,
}

/// A header, name in lower case. Kept as a list: order and repetition are evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Header(pub String, pub String);

impl Header {
    /// S3's own words about the bytes of an object: by them, short ones could be guessed. (`ETag` is an MD5 where an object is encrypted with S3's
    /// own keys; `x-amz-checksum-*` and `Content-MD5` are digests by name.)
    fn tells_a_digest(&self) -> bool {
        matches!(self.0.as_str(), "etag" | "content-md5" | "x-amz-crc32") || self.0.starts_with("x-amz-checksum-")
    }
}

/// The document `<seq>-<operation>.http.json` beside each body. Credentials of the request are never in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Exchange {
    pub id: ExchangeId,
    /// The unit (collector or action) that made the call.
    pub unit: String,
    /// SDK id of the service, or `https` for a presigned download.
    pub service: String,
    pub operation: String,
    pub region: String,
    /// Counts from 1; retries of one call share `invocation`.
    pub attempt: u32,
    /// `amz-sdk-invocation-id`: the same for all attempts of one call.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub invocation: Option<String>,
    pub method: String,
    /// Without the query string where that is a signature (presigned addresses).
    pub uri: String,
    /// SHA-256 of the whole address, where the query was withheld.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub uri_sha256: Option<Sha256>,
    pub request_headers: Vec<Header>,
    /// As sent; in JSON where it was CBOR, as the headers say.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request_body: Option<String>,
    /// UTC, RFC 3339 with milliseconds, when the attempt was handed to the connection.
    pub sent: String,
    /// Milliseconds until the attempt ended.
    pub took_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub status: Option<u16>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub response_headers: Vec<Header>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request_id: Option<String>,
    /// The server's `Date`, as sent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub server_date: Option<String>,
    pub body_end: BodyEnd,
    pub body_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub body_sha256: Option<Sha256>,
    /// Why the body was not kept although it could have been (secrets of somebody who is no part of the case). Size is its own; its digest is not told.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub body_withheld: Option<String>,
    /// Where the body lies; none when it was empty, withheld, or could not be saved.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub body: Option<BundlePath>,
    /// Where the body as it came lies encrypted: then `body` is its redacted twin, and size and digest are the twin's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sealed: Option<BundlePath>,
}

impl Exchange {
    /// The digest of the body, and headers that tell one, are taken out: of a body that does not lie in clear nobody is to guess what it was.
    pub fn forget_digests(&mut self) {
        self.body_sha256 = None;
        self.response_headers.retain(|h| !h.tells_a_digest());
    }
}
