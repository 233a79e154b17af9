//! How the bags of a run are sealed: with which keys, and what becomes of it.
//!
//! A key that cannot sign when it comes to it (KMS denies, throttles, is not reached) never keeps evidence from being sealed: the bag is sealed
//! without that signature, says so in its own `seal/sealing.json`, and the report says it too. What it never does: hold a private key longer
//! than the process lives, or wait for a signature without end.

pub mod kms;
mod tsa;

pub use tsa::Tsa;

use crate::aws::fault::tame_error;
use crate::bundle::documents::PlannedUnit;
use crate::bundle::draft::Draft;
use crate::bundle::keys::{KeyError, SigningKey};
use crate::bundle::seal::{Closed, SealError, Sealed, ToBeSigned};
use crate::bundle::signer::{ENVELOPE, Ended, SEALING, SealingRecord, Signer, SignerKind, StatedSigner, TIMESTAMP, TimestampEnd};
use crate::bundle::signing::{PATIENCE, Signers};
use crate::clock::{Clock, stamp};
use crate::model::canon;
use crate::model::digest::Sha256;
use crate::model::kms_key::KmsKey;
use kms::KmsError;
use std::path::Path;
use std::sync::Arc;

/// Keys that sign, and keys that were to sign and cannot be had.
#[derive(Clone, Debug, Default)]
pub struct Sealing {
    signers: Signers,
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
        self.signers.with(Arc::new(SigningKey::read(path)?));
        Ok(())
    }

    pub fn with(&mut self, signer: Arc<dyn Signer>) {
        self.signers.with(signer);
    }

    /// A KMS key whose public half could not be read: bags will say that it was to sign.
    pub fn without(&mut self, key: &KmsKey, why: &KmsError) {
        let stated = StatedSigner { key: None, kind: SignerKind::Kms, arn: Some(key.arn().into()) };
        self.signers.without(stated, tame_error(why, 400));
    }

    /// The authority that stamps the first signature.
    pub fn stamped_by(&mut self, tsa: Tsa) {
        self.tsa = Some(tsa);
    }

    pub fn signs(&self) -> bool {
        self.signers.any()
    }

    /// The keys by themselves, for statements that come after the seal.
    pub fn signers(&self) -> &Signers {
        &self.signers
    }

    pub fn to_be(&self) -> ToBeSigned {
        ToBeSigned { signers: self.signers.stated(), timestamp_authority: self.tsa.as_ref().map(Tsa::address) }
    }

    /// Close the draft, sign its statement, and write that down beside it.
    pub async fn seal(&self, draft: &Draft, planned: Vec<PlannedUnit>, finished: bool, clock: &dyn Clock) -> Result<Outcome, SealError> {
        let closed = draft.close(planned, finished, self.to_be())?;
        self.finish(closed, clock).await
    }

    /// Sign what is closed, and seal it.
    pub async fn finish(&self, closed: Closed, clock: &dyn Clock) -> Result<Outcome, SealError> {
        let signing = self.signers.sign(closed.statement(), clock).await;
        let mut beside: Vec<_> = signing.keys.iter().map(|(kind, pem)| (kind.file(), pem.clone())).collect();
        let mut record = SealingRecord { v: 1, signatures: signing.ends.clone(), timestamp: None };
        if let Some(tsa) = &self.tsa {
            let stamped = match signing.signatures.first() {
                None => Err("there is no signature to be stamped".to_string()),
                Some((_, signature)) => match tokio::time::timeout(PATIENCE, tsa.stamp(signature)).await {
                    Ok(stamped) => stamped.map_err(|e| tame_error(&e, 400)),
                    Err(_) => Err(format!("there was no answer within {} seconds", PATIENCE.as_secs())),
                },
            };
            let (ended, detail) = match stamped {
                Ok(answer) => {
                    beside.push((TIMESTAMP, answer));
                    (Ended::Done, None)
                }
                Err(why) => (Ended::Failed, Some(why)),
            };
            record.timestamp = Some(TimestampEnd { authority: tsa.address(), ended, at: stamp(clock.now()), detail });
        }
        if let Some(envelope) = signing.envelope(closed.statement()) {
            beside.push((ENVELOPE, canon::to_vec("the envelope", &envelope).map_err(SealError::MakeDocument)?));
        }
        let missing = record.missing(closed.name());
        if !record.is_empty() {
            beside.push((SEALING, canon::to_vec("the note on sealing", &record).map_err(SealError::MakeDocument)?));
        }
        Ok(Outcome { sealed: closed.finish(&beside)?, signed_by: signing.signed_by(), missing })
    }
}
