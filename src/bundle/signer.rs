//! Who signs a bundle, and what became of it while it was sealed.
//!
//! A bundle that could not be signed is sealed all the same: evidence of a running incident outweighs a signature that can no longer be
//! had. But the statement names beforehand every key that was to sign and the authority that was to stamp, so that a signature which is
//! missing is seen to be missing; and `seal/sealing.json` tells why. That note is covered by no signature (it is about them), so it excuses
//! nothing for a reader who demands a key.

use super::keys::{PublicKey, SigningKey};
use crate::model::call::{Call, Scope, Service};
use crate::model::digest::Sha256;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A key that the bundle is to be signed with, as the statement names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatedSigner {
    /// SHA-256 of its SubjectPublicKeyInfo; unknown where KMS would not tell what the key is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key: Option<Sha256>,
    pub kind: SignerKind,
    /// Of a KMS key: `aws kms get-public-key --key-id …` proves whose it is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub arn: Option<String>,
}

impl StatedSigner {
    /// In words.
    pub fn name(&self) -> String {
        match (&self.arn, &self.key) {
            (Some(arn), _) => format!("the KMS key {arn}"),
            (None, Some(key)) => format!("the key {key}"),
            (None, None) => "a key that nobody names".into(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignerKind {
    /// A file on the collector's machine.
    Local,
    /// A key that never leaves AWS KMS.
    Kms,
}

impl SignerKind {
    /// Where its public half comes to lie.
    pub const fn file(self) -> &'static str {
        match self {
            SignerKind::Local => PUBLIC_KEY,
            SignerKind::Kms => KMS_PUBLIC_KEY,
        }
    }
}

/// What signing with KMS calls. Granted on the one key.
pub static KMS_CALLS: &[Call] =
    &[Call::read(Service::Kms, "GetPublicKey", "kms:GetPublicKey", Scope::Any), Call::write(Service::Kms, "Sign", "kms:Sign", Scope::Any)];

/// A timestamp authority is no AWS service: plain HTTPS (or HTTP: its answer is signed).
pub static TIMESTAMP_CALLS: &[Call] = &[Call::free(Service::Https, "Timestamp")];

pub const PUBLIC_KEY: &str = "seal/public-key.pem";
pub const KMS_PUBLIC_KEY: &str = "seal/kms-public.pem";
pub const ENVELOPE: &str = "seal/statement.dsse.json";
/// The authority's answer, as it came.
pub const TIMESTAMP: &str = "seal/root.tsr";
pub const SEALING: &str = "seal/sealing.json";

/// What a signer made.
#[derive(Clone, Debug)]
pub struct Signed {
    /// In DER.
    pub signature: Vec<u8>,
    /// Of the call that made it, where one did.
    pub request_id: Option<String>,
}

/// Why there is no signature.
#[derive(Debug, thiserror::Error)]
#[error("cannot sign with the key {key}")]
pub struct SignError {
    pub key: Sha256,
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

#[async_trait]
pub trait Signer: Send + Sync + std::fmt::Debug {
    fn kind(&self) -> SignerKind;
    fn public_key(&self) -> &PublicKey;
    fn arn(&self) -> Option<&str>;
    /// ECDSA over SHA-256 of `message`.
    async fn sign(&self, message: &[u8]) -> Result<Signed, SignError>;

    fn stated(&self) -> StatedSigner {
        StatedSigner { key: Some(self.public_key().fingerprint()), kind: self.kind(), arn: self.arn().map(str::to_string) }
    }
}

#[async_trait]
impl Signer for SigningKey {
    fn kind(&self) -> SignerKind {
        SignerKind::Local
    }
    fn public_key(&self) -> &PublicKey {
        self.public()
    }
    fn arn(&self) -> Option<&str> {
        None
    }
    async fn sign(&self, message: &[u8]) -> Result<Signed, SignError> {
        match SigningKey::sign(self, message) {
            Ok(signature) => Ok(Signed { signature, request_id: None }),
            Err(e) => Err(SignError { key: self.public().fingerprint(), source: e.into() }),
        }
    }
}

/// `seal/sealing.json`: what came of signing and stamping. Written only where either was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SealingRecord {
    /// Version of this form: 1.
    pub v: u32,
    pub signatures: Vec<SignatureEnd>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub timestamp: Option<TimestampEnd>,
}

impl SealingRecord {
    /// Nobody was to sign, and nobody to stamp.
    pub fn is_empty(&self) -> bool {
        self.signatures.is_empty() && self.timestamp.is_none()
    }

    /// In words, each signature and stamp of `what` that was to be and is not.
    pub fn missing(&self, what: &str) -> Vec<String> {
        let why = |detail: &Option<String>| detail.clone().unwrap_or_default();
        let unsigned = self.signatures.iter().filter(|e| e.ended == Ended::Failed);
        let unsigned = unsigned.map(|e| format!("{what} is NOT signed with {}: {}", e.signer.name(), why(&e.detail)));
        let unstamped = self.timestamp.iter().filter(|t| t.ended == Ended::Failed);
        unsigned.chain(unstamped.map(|t| format!("{what} is NOT stamped by {}: {}", t.authority, why(&t.detail)))).collect()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SignatureEnd {
    /// As the statement names it.
    pub signer: StatedSigner,
    pub ended: Ended,
    /// UTC, RFC 3339, milliseconds, by the collector's clock.
    pub at: String,
    /// Of the KMS call: it stands in CloudTrail too.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request_id: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TimestampEnd {
    /// The authority's address.
    pub authority: String,
    pub ended: Ended,
    pub at: String,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    Done,
    Failed,
}
