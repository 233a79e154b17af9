//! What was redacted: why, where, and how the original can be recognised.

use super::item::FileRef;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

/// Why something was redacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// A value among the function's environment variables.
    Environment,
    /// An address that opens something for whoever holds it.
    Presigned,
    /// The third part of temporary credentials.
    SessionToken,
    /// The operator wanted the file sealed.
    Whole,
    /// Secrets were expected, and it is no JSON that could be looked into.
    Unreadable,
    /// A compressed file in which a secret stands.
    Packed,
}

impl Rule {
    pub const fn as_str(self) -> &'static str {
        match self {
            Rule::Environment => "environment",
            Rule::Presigned => "presigned",
            Rule::SessionToken => "session-token",
            Rule::Whole => "whole",
            Rule::Unreadable => "unreadable",
            Rule::Packed => "packed",
        }
    }

    /// Whether all of the file is redacted.
    pub const fn is_whole(self) -> bool {
        matches!(self, Rule::Whole | Rule::Unreadable | Rule::Packed)
    }
}

/// One line of `meta/redactions.jsonl`: a file of which the bundle shows a redacted twin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Redaction {
    /// What everybody may read.
    pub twin: FileRef,
    /// The untouched bytes, encrypted with age.
    pub sealed: FileRef,
    pub original: OriginalStated,
    /// Every secret, in the order of the file; empty where all of it is sealed.
    pub fields: Vec<Field>,
    /// Why all of it is sealed, if it is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub whole: Option<Rule>,
}

/// The untouched bytes. Their SHA-256 stands nowhere: with the twin at hand, a short secret could be guessed by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OriginalStated {
    pub bytes: u64,
    pub commit: Commitment,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Field {
    /// JSON pointer (RFC 6901) into the twin. `12:` in front is the line of a file of lines; behind `#` it goes on in a JSON text that is a string.
    pub at: String,
    pub rule: Rule,
}

const PREFIX: &str = "hmac-sha256:";

/// `hmac-sha256:<64 hex digits>`
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Commitment([u8; 32]);

impl Commitment {
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Commitment(bytes)
    }

    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        let digits = text.strip_prefix(PREFIX).filter(|d| !d.bytes().any(|b| b.is_ascii_uppercase()))?;
        hex::decode_to_slice(digits, &mut bytes).ok()?;
        Some(Commitment(bytes))
    }
}

impl fmt::Display for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", hex::encode(self.0))
    }
}
impl fmt::Debug for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl Serialize for Commitment {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Commitment {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Commitment::parse(&text).ok_or_else(|| serde::de::Error::custom("not `hmac-sha256:` and 64 hex digits"))
    }
}
impl JsonSchema for Commitment {
    fn schema_name() -> Cow<'static, str> {
        "Commitment".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string", "pattern": "^hmac-sha256:[0-9a-f]{64}$",
            "description": "HMAC-SHA256 under the bundle's commitment key, which lies sealed in data/sealed/commitment-key.age"
        })
    }
}
