//! A seal that somebody had begun: public keys, an envelope, a note on signing lie in `seal/`, and no statement. The run died between the two; what
//! it had put into a bucket cannot be taken back, and nobody else has its keys. So what lies there stays, and the statement is made to fit it.
//!
//! * The envelope is there: the statement is its payload, byte for byte, if it speaks of the very root that lies here. The bag is then sealed as
//!   the dead run had sealed it, signatures included.
//! * No envelope: nobody's signature can come to lie there any more without contradicting what does. The statement is made anew, names those
//!   signers of which `sealing.json` says that they could not sign, and is unsigned. Whoever takes the bag up signs what he says of it afterwards.
//!
//! What it never does: replace a file, or sign.

use super::documents::Statement;
use super::dsse::Envelope;
use super::seal::{Closed, SealError, ToBeSigned};
use super::signer::{ENVELOPE, KMS_PUBLIC_KEY, PUBLIC_KEY, SEALING, SealingRecord, TIMESTAMP};
use crate::model::digest::Sha256;
use crate::store::disk;
use serde::de::DeserializeOwned;
use std::io;
use std::path::Path;

const MAX_FILE: u64 = 4 << 20;

/// What lies there.
#[derive(Debug)]
pub struct BegunSeal {
    envelope: Option<Envelope>,
    record: Option<SealingRecord>,
}

#[derive(Debug, thiserror::Error)]
pub enum BegunSealError {
    #[error("cannot read {name}")]
    Read {
        name: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("cannot understand {name}")]
    Form {
        name: &'static str,
        #[source]
        source: serde_json::Error,
    },
    #[error("a stamp lies in seal/, and no envelope that it would be of")]
    StampAlone,
}

impl BegunSeal {
    /// `None`: nothing of a seal lies in the bag in `dir`. The wrapped identity is no part of one: it goes first.
    pub fn read(dir: &Path) -> Result<Option<BegunSeal>, BegunSealError> {
        let there = |name: &str| std::fs::symlink_metadata(dir.join(name)).is_ok();
        if ![PUBLIC_KEY, KMS_PUBLIC_KEY, ENVELOPE, TIMESTAMP, SEALING].into_iter().any(there) {
            return Ok(None);
        }
        let begun = BegunSeal { envelope: read(dir, ENVELOPE)?, record: read(dir, SEALING)? };
        if begun.envelope.is_none() && there(TIMESTAMP) {
            return Err(BegunSealError::StampAlone);
        }
        Ok(Some(begun))
    }

    /// What a statement that is made anew says about signing.
    pub fn to_be(&self) -> ToBeSigned {
        let signers = self.record.iter().flat_map(|r| &r.signatures).map(|end| end.signer.clone()).collect();
        let timestamp_authority = self.record.as_ref().and_then(|r| r.timestamp.as_ref()).map(|t| t.authority.clone());
        ToBeSigned { signers, timestamp_authority }
    }

    /// Keys whose signature lies there.
    pub fn signed_by(&self) -> Vec<Sha256> {
        self.envelope.iter().flat_map(|e| &e.signatures).map(|s| s.keyid).collect()
    }
}

impl Closed {
    /// With the statement that had been signed of it, where there is one.
    pub fn as_begun(self, begun: &BegunSeal) -> Result<Closed, SealError> {
        let Some(envelope) = &begun.envelope else { return Ok(self) };
        let bytes = envelope.payload().ok_or(SealError::OtherStatement)?;
        let statement: Statement = serde_json::from_slice(&bytes).map_err(|_| SealError::OtherStatement)?;
        let about = statement.subject.first().and_then(|s| s.digest.get("sha256"));
        if about != Some(&self.root.to_string()) || statement.predicate.bundle != self.name() {
            return Err(SealError::OtherStatement);
        }
        Ok(Closed { statement, bytes, ..self })
    }
}

fn read<T: DeserializeOwned>(dir: &Path, name: &'static str) -> Result<Option<T>, BegunSealError> {
    let bytes = disk::read_bounded(&dir.join(name), MAX_FILE).map_err(|source| BegunSealError::Read { name, source })?;
    bytes.map(|bytes| serde_json::from_slice(&bytes).map_err(|source| BegunSealError::Form { name, source })).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::signer::{Ended, SignatureEnd, SignerKind, StatedSigner};

    fn bag(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("seal")).unwrap();
        for (name, bytes) in files {
            std::fs::write(dir.path().join(name), bytes).unwrap();
        }
        dir
    }

    #[test]
    fn a_wrapped_identity_alone_is_no_seal() {
        let dir = bag(&[("seal/identity.kms", b"x")]);
        assert!(BegunSeal::read(dir.path()).unwrap().is_none());
        assert!(BegunSeal::read(tempfile::tempdir().unwrap().path()).unwrap().is_none());
    }

    #[test]
    fn who_could_not_sign_is_named_by_the_statement_that_is_made_anew() {
        let signer = StatedSigner { key: None, kind: SignerKind::Kms, arn: Some("arn:aws:kms:eu-west-1:123456789012:key/k".into()) };
        let end = SignatureEnd {
            signer: signer.clone(),
            ended: Ended::Failed,
            at: "2026-11-20T12:00:00.000Z".into(),
            request_id: None,
            detail: None,
        };
        let record = SealingRecord { v: 1, signatures: vec![end], timestamp: None };
        let dir = bag(&[(SEALING, &serde_json::to_vec(&record).unwrap())]);
        let begun = BegunSeal::read(dir.path()).unwrap().unwrap();
        assert_eq!((begun.to_be().signers, begun.signed_by()), (vec![signer], vec![]));
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let alone = bag(&[(TIMESTAMP, b"stamp")]);
        assert!(matches!(BegunSeal::read(alone.path()), Err(BegunSealError::StampAlone)));
        let torn = bag(&[(ENVELOPE, b"{\"payload\":")]);
        assert!(matches!(BegunSeal::read(torn.path()), Err(BegunSealError::Form { .. })));
    }
}
