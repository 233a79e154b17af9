//! Every signature of the envelope against the keys that are at hand: judged once, for the checks and for the document.

use super::facts::{Facts, STATEMENT};
use crate::bundle::dsse::{self, Envelope};
use crate::bundle::keys::PublicKey;
use crate::bundle::signer::{SignerKind, StatedSigner};
use crate::model::digest::Sha256;
use schemars::JsonSchema;
use serde::Serialize;

/// More is none of ours, and would only keep the processor busy.
pub const MAX_SIGNATURES: usize = 32;

/// A key that a signature is demanded of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DemandedKey {
    /// Known by its fingerprint alone; the key itself is taken from the bundle.
    Fingerprint(Sha256),
    /// Known itself; what lies in the bundle does not matter.
    Key(PublicKey),
}

impl DemandedKey {
    pub fn fingerprint(&self) -> Sha256 {
        match self {
            DemandedKey::Fingerprint(f) => *f,
            DemandedKey::Key(k) => k.fingerprint(),
        }
    }
}

/// One signature, and whether it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SignatureCheck {
    /// SHA-256 of the key's SubjectPublicKeyInfo.
    pub key: Sha256,
    /// As the statement names the key; none when it does not.
    pub kind: Option<SignerKind>,
    /// Of a KMS key, as the statement names it.
    pub arn: Option<String>,
    pub result: SignatureResult,
    /// The key is one that the reader asked for.
    pub demanded: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignatureResult {
    Holds,
    DoesNotHold,
    /// The public key lies nowhere, so nobody can tell.
    NoKey,
}

/// Of the bundle's own envelope; empty without one.
pub fn judge(facts: &Facts) -> Vec<SignatureCheck> {
    let stated: Vec<StatedSigner> = facts.stated_signers().cloned().collect();
    let keys: Vec<&PublicKey> = facts.keys.values().flatten().collect();
    facts.envelope.as_ref().map(|e| of(e, &stated, &facts.demanded, &keys)).unwrap_or_default()
}

/// Each signature of an envelope, against the keys that lie beside it and those that the reader brings.
pub fn of(envelope: &Envelope, stated: &[StatedSigner], demanded: &[DemandedKey], keys: &[&PublicKey]) -> Vec<SignatureCheck> {
    let Some(payload) = envelope.payload() else { return vec![] };
    let message = dsse::pae(&envelope.payload_type, &payload);
    envelope.signatures.iter().take(MAX_SIGNATURES).map(|s| one(s, &message, stated, demanded, keys)).collect()
}

fn one(
    signature: &dsse::EnvelopeSignature,
    message: &[u8],
    stated: &[StatedSigner],
    demanded: &[DemandedKey],
    keys: &[&PublicKey],
) -> SignatureCheck {
    let stated = stated.iter().find(|k| k.key == Some(signature.keyid));
    let demanded = demanded.iter().find(|d| d.fingerprint() == signature.keyid);
    let own = match demanded {
        Some(DemandedKey::Key(key)) => Some(key),
        _ => keys.iter().copied().find(|k| k.fingerprint() == signature.keyid),
    };
    let result = match (own, signature.bytes()) {
        (None, _) => SignatureResult::NoKey,
        (Some(key), Some(bytes)) if key.verifies(message, &bytes) => SignatureResult::Holds,
        (Some(_), _) => SignatureResult::DoesNotHold,
    };
    SignatureCheck {
        key: signature.keyid,
        kind: stated.map(|s| s.kind),
        arn: stated.and_then(|s| s.arn.as_deref()).map(|a| super::shown(a, 240)),
        result,
        demanded: demanded.is_some(),
    }
}

/// Whether the envelope carries the very statement that lies beside it.
pub fn carries_the_statement(facts: &Facts, envelope: &Envelope) -> bool {
    envelope.payload().is_some_and(|p| Some(Sha256::of(&p)) == facts.digest(STATEMENT))
}
