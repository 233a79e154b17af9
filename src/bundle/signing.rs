//! Signing a statement with every key that was named: what became of each, and what comes to lie beside the statement. The same for a bundle's
//! seal and for its addenda.
//!
//! A key that cannot sign when it comes to it (KMS denies, throttles, is not reached) costs its signature and nothing else. What it never does:
//! wait for a signature without end, or hand on one that does not verify.

use super::dsse::{self, Envelope};
use super::signer::{Ended, SealingRecord, SignatureEnd, Signer, SignerKind, StatedSigner};
use crate::aws::fault::tame_error;
use crate::clock::{Clock, stamp};
use crate::model::digest::Sha256;
use std::sync::Arc;
use std::time::Duration;

/// A signature that takes longer is given up: the responder has seconds left when it seals.
pub const PATIENCE: Duration = Duration::from_secs(12);

/// Keys that sign, and keys that were to sign and cannot be had.
#[derive(Clone, Debug, Default)]
pub struct Signers {
    ready: Vec<Arc<dyn Signer>>,
    unready: Vec<(StatedSigner, String)>,
}

/// What became of signing one statement.
#[derive(Debug, Default)]
pub struct Signing {
    /// Key and signature (DER), in the order in which the keys were named.
    pub signatures: Vec<(Sha256, Vec<u8>)>,
    /// The public half of each key that signed, in PEM.
    pub keys: Vec<(SignerKind, Vec<u8>)>,
    /// Of every key that was named.
    pub ends: Vec<SignatureEnd>,
}

impl Signers {
    pub fn with(&mut self, signer: Arc<dyn Signer>) {
        self.ready.push(signer);
    }

    /// A key that was to sign, and why it cannot.
    pub fn without(&mut self, signer: StatedSigner, why: String) {
        self.unready.push((signer, why));
    }

    /// There is a key that can be asked.
    pub fn any(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Every key that is to sign, as a statement names it beforehand.
    pub fn stated(&self) -> Vec<StatedSigner> {
        self.ready.iter().map(|s| s.stated()).chain(self.unready.iter().map(|(s, _)| s.clone())).collect()
    }

    pub async fn sign(&self, statement: &[u8], clock: &dyn Clock) -> Signing {
        let message = dsse::pae(dsse::PAYLOAD_TYPE, statement);
        let mut signing = Signing::default();
        for signer in &self.ready {
            let signed = match tokio::time::timeout(PATIENCE, signer.sign(&message)).await {
                Ok(Ok(signed)) if signer.public_key().verifies(&message, &signed.signature) => Ok(signed),
                // Whoever answered in its place would have the statement carry a signature that breaks it.
                Ok(Ok(_)) => Err("what came back is no signature of this key".to_string()),
                Ok(Err(e)) => Err(tame_error(&e, 400)),
                Err(_) => Err(format!("there was no answer within {} seconds", PATIENCE.as_secs())),
            };
            let (ended, request_id, detail) = match signed {
                Ok(signed) => {
                    signing.signatures.push((signer.public_key().fingerprint(), signed.signature));
                    signing.keys.push((signer.kind(), signer.public_key().to_pem().into_bytes()));
                    (Ended::Done, signed.request_id, None)
                }
                Err(why) => (Ended::Failed, None, Some(why)),
            };
            signing.ends.push(SignatureEnd { signer: signer.stated(), ended, at: stamp(clock.now()), request_id, detail });
        }
        for (signer, why) in &self.unready {
            let (signer, detail) = (signer.clone(), Some(why.clone()));
            signing.ends.push(SignatureEnd { signer, ended: Ended::Failed, at: stamp(clock.now()), request_id: None, detail });
        }
        signing
    }
}

impl Signing {
    pub fn signed_by(&self) -> Vec<Sha256> {
        self.signatures.iter().map(|(key, _)| *key).collect()
    }

    /// None when nobody signed.
    pub fn envelope(&self, statement: &[u8]) -> Option<Envelope> {
        (!self.signatures.is_empty()).then(|| Envelope::of(statement, &self.signatures))
    }

    /// None when nobody was to sign.
    pub fn record(&self) -> Option<SealingRecord> {
        (!self.ends.is_empty()).then(|| SealingRecord { v: 1, signatures: self.ends.clone(), timestamp: None })
    }

    /// In words, each signature of `what` that was to be and is not.
    pub fn missing(&self, what: &str) -> Vec<String> {
        self.record().map(|record| record.missing(what)).unwrap_or_default()
    }
}
