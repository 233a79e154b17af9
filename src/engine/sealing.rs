//! How the bags of a run are sealed: with which keys, and what becomes of it.
//!
//! A key that cannot sign when it comes to it (KMS denies, throttles, is not reached) never keeps evidence from being sealed: the bag is sealed
//! without that signature, says so in its own `seal/sealing.json`, and the report says it too. What it never does: hold a private key longer
//! than the process lives, or wait for a signature without end.

pub mod kms;
mod tsa;

pub use tsa::Tsa;

use crate::aws::fault::tame;
use crate::bundle::documents::PlannedUnit;
use crate::bundle::draft::Draft;
use crate::bundle::dsse::{self, Envelope};
use crate::bundle::keys::{KeyError, SigningKey};
use crate::bundle::seal::{Closed, SealError, Sealed, ToBeSigned};
use crate::bundle::signer::{
    ENVELOPE, Ended, SEALING, SealingRecord, SignatureEnd, Signer, SignerKind, StatedSigner, TIMESTAMP, TimestampEnd,
};
use crate::clock::{Clock, stamp};
use crate::model::canon;
use crate::model::digest::Sha256;
use crate::model::kms_key::KmsKey;
use kms::KmsError;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A signature that takes longer is given up: the responder has seconds left when it seals.
const PATIENCE: Duration = Duration::from_secs(12);

/// Keys that sign, and keys that were to sign and cannot be had.
#[derive(Clone, Debug, Default)]
pub struct Sealing {
    signers: Vec<Arc<dyn Signer>>,
    unready: Vec<(StatedSigner, String)>,
    tsa: Option<Tsa>,
}

/// A sealed bag, and what a person should know of how it was sealed.
pub struct Outcome {
    pub sealed: Sealed,
    /// Keys whose signature it carries.
    pub signed_by: Vec<Sha256>,
    /// What was to be and is not.
    pub missing: Vec<String>,
}

impl Sealing {
    pub fn with_local(&mut self, path: &Path) -> Result<(), KeyError> {
        self.signers.push(Arc::new(SigningKey::read(path)?));
        Ok(())
    }

    pub fn with(&mut self, signer: Arc<dyn Signer>) {
        self.signers.push(signer);
    }

    /// A KMS key whose public half could not be read: bags will say that it was to sign.
    pub fn without(&mut self, key: &KmsKey, why: &KmsError) {
        let stated = StatedSigner { key: None, kind: SignerKind::Kms, arn: Some(key.arn().into()) };
        self.unready.push((stated, chain(why)));
    }

    /// The authority that stamps the first signature.
    pub fn stamped_by(&mut self, tsa: Tsa) {
        self.tsa = Some(tsa);
    }

    pub fn signs(&self) -> bool {
        !self.signers.is_empty()
    }

    pub fn to_be(&self) -> ToBeSigned {
        let ready = self.signers.iter().map(|s| s.stated());
        ToBeSigned {
            signers: ready.chain(self.unready.iter().map(|(s, _)| s.clone())).collect(),
            timestamp_authority: self.tsa.as_ref().map(Tsa::address),
        }
    }

    /// Close the draft, sign its statement, and write that down beside it.
    pub async fn seal(&self, draft: &Draft, planned: Vec<PlannedUnit>, finished: bool, clock: &dyn Clock) -> Result<Outcome, SealError> {
        let closed = draft.close(planned, finished, self.to_be())?;
        self.finish(closed, clock).await
    }

    /// Sign what is closed, and seal it.
    pub async fn finish(&self, closed: Closed, clock: &dyn Clock) -> Result<Outcome, SealError> {
        let message = dsse::pae(dsse::PAYLOAD_TYPE, closed.statement());
        let (mut signatures, mut beside, mut missing) = (vec![], vec![], vec![]);
        let mut record = SealingRecord { v: 1, signatures: vec![], timestamp: None };
        for signer in &self.signers {
            let key = signer.public_key().fingerprint();
            let signed = match tokio::time::timeout(PATIENCE, signer.sign(&message)).await {
                Ok(Ok(signed)) if signer.public_key().verifies(&message, &signed.signature) => Ok(signed),
                // Whoever answered in its place would have the bag carry a signature that breaks it.
                Ok(Ok(_)) => Err("what came back is no signature of this key".to_string()),
                Ok(Err(e)) => Err(chain(&e)),
                Err(_) => Err(format!("there was no answer within {} seconds", PATIENCE.as_secs())),
            };
            let (ended, request_id, detail) = match signed {
                Ok(signed) => {
                    signatures.push((key, signed.signature));
                    beside.push((signer.kind().file(), signer.public_key().to_pem().into_bytes()));
                    (Ended::Done, signed.request_id, None)
                }
                Err(why) => (Ended::Failed, None, Some(why)),
            };
            record.signatures.push(SignatureEnd { signer: signer.stated(), ended, at: stamp(clock.now()), request_id, detail });
        }
        for (signer, why) in &self.unready {
            let (signer, detail) = (signer.clone(), Some(why.clone()));
            record.signatures.push(SignatureEnd { signer, ended: Ended::Failed, at: stamp(clock.now()), request_id: None, detail });
        }
        for end in record.signatures.iter().filter(|e| e.ended == Ended::Failed) {
            let why = end.detail.as_deref().unwrap_or_default();
            missing.push(format!("{} is NOT signed with {}: {why}", closed.name(), end.signer.name()));
        }
        if let Some(tsa) = &self.tsa {
            let stamped = match signatures.first() {
                None => Err("there is no signature to be stamped".to_string()),
                Some((_, signature)) => match tokio::time::timeout(PATIENCE, tsa.stamp(signature)).await {
                    Ok(stamped) => stamped.map_err(|e| chain(&e)),
                    Err(_) => Err(format!("there was no answer within {} seconds", PATIENCE.as_secs())),
                },
            };
            let (ended, detail) = match stamped {
                Ok(answer) => {
                    beside.push((TIMESTAMP, answer));
                    (Ended::Done, None)
                }
                Err(why) => {
                    missing.push(format!("{} is NOT stamped by {}: {why}", closed.name(), tsa.address()));
                    (Ended::Failed, Some(why))
                }
            };
            record.timestamp = Some(TimestampEnd { authority: tsa.address(), ended, at: stamp(clock.now()), detail });
        }
        if !signatures.is_empty() {
            let envelope = Envelope::of(closed.statement(), &signatures);
            beside.push((ENVELOPE, canon::to_vec("the envelope", &envelope).map_err(SealError::MakeDocument)?));
        }
        if !record.signatures.is_empty() || record.timestamp.is_some() {
            beside.push((SEALING, canon::to_vec("the note on sealing", &record).map_err(SealError::MakeDocument)?));
        }
        let signed_by = signatures.iter().map(|(key, _)| *key).collect();
        Ok(Outcome { sealed: closed.finish(&beside)?, signed_by, missing })
    }
}

/// An error with its causes, in one bounded line.
fn chain(e: &dyn std::error::Error) -> String {
    let mut text = e.to_string();
    let mut next = e.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    tame(&text, 400)
}
