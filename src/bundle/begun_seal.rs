//! A seal that somebody had begun: public keys, an envelope, a note on signing lie in `seal/`, and no statement. The run died between the two; what
//! it had put into a bucket cannot be taken back, and nobody else has its keys. So what lies there stays, and the statement is made to fit it.
//!
//! * The envelope is there: the statement is its payload, byte for byte, if it speaks of the very root that lies here. The bag is then sealed as
//!   the dead run had sealed it, signatures included. That statement names every signer and the authority beforehand; a note on sealing comes to
//!   lie behind the envelope and the stamp, so where it had not come yet it is made from them: what is there was done, and of what is not nobody
//!   can tell more than that the run died. Its times are the statement's, so that whoever makes it makes the same one.
//! * No envelope: nobody's signature can come to lie there any more without contradicting what does. The statement is made anew, names those
//!   signers of which `sealing.json` says that they could not sign, and is unsigned. Whoever takes the bag up signs what he says of it afterwards.
//!
//! What it never does: replace a file, sign, or go on with a note that says something was done of which nothing lies there: it was taken away, or
//! another wrote the note.

use super::documents::{Predicate, Statement};
use super::dsse::Envelope;
use super::seal::{Closed, SealError, Sealed, ToBeSigned};
use super::signer::{ENVELOPE, Ended, KMS_PUBLIC_KEY, PUBLIC_KEY, SEALING, SealingRecord, SignatureEnd, TIMESTAMP, TimestampEnd};
use crate::aws::fault::tame;
use crate::model::canon;
use crate::model::digest::Sha256;
use crate::store::disk;
use serde::de::DeserializeOwned;
use std::io;
use std::path::Path;

const MAX_FILE: u64 = 4 << 20;
/// Why there is no signature or stamp of which no note had come to lie there.
const DIED: &str = "its run died while it was being sealed";

/// What lies there.
#[derive(Debug)]
pub struct BegunSeal {
    envelope: Option<Envelope>,
    stamped: bool,
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
    #[error("{SEALING} says that {what}, and that is not here: it was taken away")]
    Gone { what: String },
}

impl BegunSeal {
    /// `None`: nothing of a seal lies in the bag in `dir`. The wrapped identity is no part of one: it goes first.
    pub fn read(dir: &Path) -> Result<Option<BegunSeal>, BegunSealError> {
        let there = |name: &str| std::fs::symlink_metadata(dir.join(name)).is_ok();
        if ![PUBLIC_KEY, KMS_PUBLIC_KEY, ENVELOPE, TIMESTAMP, SEALING].into_iter().any(there) {
            return Ok(None);
        }
        let begun = BegunSeal { envelope: read(dir, ENVELOPE)?, stamped: there(TIMESTAMP), record: read(dir, SEALING)? };
        if begun.envelope.is_none() && begun.stamped {
            return Err(BegunSealError::StampAlone);
        }
        match begun.gone() {
            Some(what) => Err(BegunSealError::Gone { what }),
            None => Ok(Some(begun)),
        }
    }

    /// What the note says was done and cannot have been: what was made lies there before the note does.
    fn gone(&self) -> Option<String> {
        let (record, signed) = (self.record.as_ref()?, self.signed_by());
        let done = |e: &&SignatureEnd| e.ended == Ended::Done;
        let unsigned = record.signatures.iter().filter(done).find(|e| !e.signer.key.is_some_and(|key| signed.contains(&key)));
        let unstamped = record.timestamp.as_ref().filter(|t| t.ended == Ended::Done && !self.stamped);
        let signer = unsigned.map(|e| format!("{} signed", tame(&e.signer.name(), 300)));
        signer.or_else(|| unstamped.map(|t| format!("{} stamped it", tame(&t.authority, 300))))
    }

    /// What a statement that is made anew says about signing. Without an envelope a note tells of failures alone.
    pub fn to_be(&self) -> ToBeSigned {
        let signers = self.record.iter().flat_map(|r| &r.signatures).map(|end| end.signer.clone()).collect();
        let timestamp_authority = self.record.as_ref().and_then(|r| r.timestamp.as_ref()).map(|t| t.authority.clone());
        ToBeSigned { signers, timestamp_authority }
    }

    /// Keys whose signature lies there.
    pub fn signed_by(&self) -> Vec<Sha256> {
        self.envelope.iter().flat_map(|e| &e.signatures).map(|s| s.keyid).collect()
    }

    /// What came of signing what `stated` names: as the dead run noted it, or else as it lies there.
    fn record_of(&self, stated: &Predicate) -> SealingRecord {
        if let Some(record) = &self.record {
            return record.clone();
        }
        let signed = self.signed_by();
        let ended = |done: bool| if done { (Ended::Done, None) } else { (Ended::Failed, Some(DIED.to_string())) };
        let at = || stated.sealed.clone();
        let signatures = stated.signers.iter().map(|signer| {
            let (ended, detail) = ended(signer.key.is_some_and(|key| signed.contains(&key)));
            SignatureEnd { signer: signer.clone(), ended, at: at(), request_id: None, detail }
        });
        let timestamp = stated.timestamp_authority.as_ref().map(|authority| {
            let (ended, detail) = ended(self.stamped);
            TimestampEnd { authority: authority.clone(), ended, at: at(), detail }
        });
        SealingRecord { v: 1, signatures: signatures.collect(), timestamp }
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

    /// Sealed with what lies there, and with the note on sealing, where what the statement names needs one and none had come to lie there.
    pub fn finish_begun(self, begun: &BegunSeal) -> Result<(Sealed, SealingRecord), SealError> {
        let closed = self.as_begun(begun)?;
        let record = begun.record_of(&closed.statement.predicate);
        let mut beside = vec![];
        if begun.record.is_none() && !record.is_empty() {
            beside.push((SEALING, canon::to_vec("the note on sealing", &record).map_err(SealError::MakeDocument)?));
        }
        Ok((closed.finish(&beside)?, record))
    }
}

fn read<T: DeserializeOwned>(dir: &Path, name: &'static str) -> Result<Option<T>, BegunSealError> {
    let bytes = disk::read_bounded(&dir.join(name), MAX_FILE).map_err(|source| BegunSealError::Read { name, source })?;
    bytes.map(|bytes| serde_json::from_slice(&bytes).map_err(|source| BegunSealError::Form { name, source })).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::signer::{SignerKind, StatedSigner};

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

    fn at() -> String {
        "2026-11-20T12:00:00.000Z".into()
    }

    fn signer(key: Option<Sha256>) -> StatedSigner {
        StatedSigner { key, kind: SignerKind::Kms, arn: Some("arn:aws:kms:eu-west-1:123456789012:key/k".into()) }
    }

    fn note(signer: StatedSigner, signed: Ended, stamped: Ended) -> Vec<u8> {
        let end = SignatureEnd { signer, ended: signed, at: at(), request_id: None, detail: None };
        let stamp = TimestampEnd { authority: "http://tsa.example/tsr".into(), ended: stamped, at: at(), detail: None };
        serde_json::to_vec(&SealingRecord { v: 1, signatures: vec![end], timestamp: Some(stamp) }).unwrap()
    }

    fn envelope(key: Sha256) -> Vec<u8> {
        serde_json::to_vec(&Envelope::of(b"{}", &[(key, vec![1])])).unwrap()
    }

    #[test]
    fn who_could_not_sign_is_named_by_the_statement_that_is_made_anew() {
        let dir = bag(&[(SEALING, &note(signer(None), Ended::Failed, Ended::Failed))]);
        let begun = BegunSeal::read(dir.path()).unwrap().unwrap();
        let to_be = begun.to_be();
        assert_eq!((to_be.signers, begun.signed_by()), (vec![signer(None)], vec![]));
        assert_eq!(to_be.timestamp_authority.as_deref(), Some("http://tsa.example/tsr"));
    }

    #[test]
    fn a_note_on_what_is_not_there_is_not_gone_on_with() {
        let (key, other) = (Sha256::of(b"a key"), Sha256::of(b"another"));
        let said = |files: &[(&str, &[u8])]| BegunSeal::read(bag(files).path()).map(drop).map_err(|e| e.to_string());
        let unstamped = note(signer(Some(key)), Ended::Done, Ended::Failed);
        let both = note(signer(Some(key)), Ended::Done, Ended::Done);
        let (of_key, of_other) = (envelope(key), envelope(other));
        let (signed, stamped) = ("key/k signed, and that is not here", "tsa.example/tsr stamped it, and that is not here");
        // The note, what lies beside it, and what is missed.
        for (note, beside, wanted) in [
            (&unstamped, vec![], Err(signed)),
            (&unstamped, vec![(ENVELOPE, &of_other[..])], Err(signed)),
            (&unstamped, vec![(ENVELOPE, &of_key[..])], Ok(())),
            (&both, vec![(ENVELOPE, &of_key[..])], Err(stamped)),
            (&both, vec![(ENVELOPE, &of_key[..]), (TIMESTAMP, &b"stamp"[..])], Ok(())),
        ] {
            let said = said(&[&beside[..], &[(SEALING, &note[..])]].concat());
            match (&said, wanted) {
                (Ok(()), Ok(())) => {}
                (Err(told), Err(wanted)) => assert!(told.contains(wanted), "{told}"),
                _ => panic!("{said:?}, and not {wanted:?}"),
            }
        }
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let alone = bag(&[(TIMESTAMP, b"stamp")]);
        assert!(matches!(BegunSeal::read(alone.path()), Err(BegunSealError::StampAlone)));
        let torn = bag(&[(ENVELOPE, b"{\"payload\":")]);
        assert!(matches!(BegunSeal::read(torn.path()), Err(BegunSealError::Form { .. })));
    }
}
