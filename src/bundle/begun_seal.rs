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
