//! Before a file gets its name in the bag, it is looked into: what holds secrets is parted into a twin that lies in clear and an original that
//! is sealed. Nothing below `data/` gets its name by another way.
//!
//! In two steps, since encrypting a large file takes time: [`Inner::ready`] works outside of the draft's lock, [`Inner::admit`] names things
//! under it. What it never does: let a file pass in clear because it could not be looked into or not be sealed; then it is not kept at all,
//! and whoever wrote it says so.

use super::chain::MAX_LINE;
use super::draft::{Inner, State};
use super::payload::{Part, Whole};
use super::secrets::{
    COMMITMENT_KEY, LARGEST, Look, Veiled, WHOLE_SUFFIX, echoes_credentials, is_presigned, may_hold_secret, sealed_path, veil, whole,
};
use crate::model::item::FileRef;
use crate::model::journal_event::JournalEvent;
use crate::model::path::BundlePath;
use crate::model::redaction::{Field, OriginalStated, Redaction, Rule};
use flate2::read::MultiGzDecoder;
use std::io::{self, Read, Write};

/// A file that may get its name.
pub(super) enum Ready {
    Clear(Whole),
    Veiled { twin: Whole, sealed: Whole, original: OriginalStated, fields: Vec<Field>, whole: Option<Rule> },
}

impl Inner {
    /// Look into a file, and seal it if it holds secrets or is to be sealed whole.
    pub(super) fn ready(&self, unit: &str, look: Look, file: Whole) -> io::Result<Ready> {
        let key = self.originals.commit_key();
        let seen = match look {
            _ if self.originals.seals_whole(unit) => Err(Rule::Whole),
            Look::Opaque => Err(Rule::Unreadable),
            Look::Not => Ok(Veiled::Clear),
            look => match (look, begins(&file)?) {
                (Look::BeginsAsJson, Begins::Gzip | Begins::Otherwise) => Ok(Veiled::Clear),
                // A refusal may come as plain text, or in CBOR. What is larger is none.
                (Look::Begins, Begins::Otherwise) => {
                    if file.bytes <= LARGEST && is_presigned(&all(&file)?) {
                        Err(Rule::Unreadable)
                    } else {
                        Ok(Veiled::Clear)
                    }
                }
                (_, Begins::Gzip) => {
                    let mut bytes = vec![];
                    let unpacked = MultiGzDecoder::new(io::BufReader::new(file.open()?)).take(LARGEST + 1).read_to_end(&mut bytes);
                    // What is torn has passed as far as it goes, and what is too large to be looked into is sealed.
                    let looked = unpacked.is_ok() && bytes.len() as u64 <= LARGEST;
                    let clear = looked
                        && match first(&bytes) {
                            Begins::Json => veil(&bytes, false, key) == Veiled::Clear,
                            _ => !may_hold_secret(&bytes),
                        };
                    if clear { Ok(Veiled::Clear) } else { Err(Rule::Packed) }
                }
                _ if file.bytes > LARGEST => Err(Rule::Unreadable),
                (Look::Begins | Look::BeginsAsJson, Begins::Markup) => {
                    if echoes_credentials(&all(&file)?) {
                        Err(Rule::Unreadable)
                    } else {
                        Ok(Veiled::Clear)
                    }
                }
                _ => {
                    let bytes = all(&file)?;
                    match veil(&bytes, look == Look::JsonLines, key) {
                        Veiled::Unreadable => Err(Rule::Unreadable),
                        seen => Ok(seen),
                    }
                }
            },
        };
        let (fields, by, twin) = match seen {
            Ok(Veiled::Clear) => return Ok(Ready::Clear(file)),
            Ok(Veiled::Twin { bytes, fields }) => (fields, None, Some(bytes)),
            Ok(Veiled::Unreadable) => (vec![], Some(Rule::Unreadable), None),
            Err(rule) => (vec![], Some(rule), None),
        };
        self.has_a_reader()?;
        let (part, bytes, commit) = self.originals.seal(file.open()?, self.part("sealed", u64::MAX)?)?;
        let twin = twin.unwrap_or_else(|| whole(by.unwrap_or(Rule::Unreadable), bytes, commit).into_bytes());
        let original = OriginalStated { bytes, commit };
        Ok(Ready::Veiled { twin: filled(self.part("twin", u64::MAX)?, &twin)?, sealed: ended(part)?, original, fields, whole: by })
    }

    /// Name the file, or the twin and the sealed original. What is handed back is what lies in clear.
    pub(super) fn admit(&self, state: &mut State, ready: Ready, path: &BundlePath) -> io::Result<FileRef> {
        let (twin, sealed, original, fields, by) = match ready {
            Ready::Clear(file) => return state.payload.admit(file, path),
            Ready::Veiled { twin, sealed, original, fields, whole } => (twin, sealed, original, fields, whole),
        };
        let odd = |e| io::Error::new(io::ErrorKind::InvalidInput, e);
        let named = match by {
            Some(_) => BundlePath::parse(&format!("{}{WHOLE_SUFFIX}", path.as_str())).map_err(odd)?,
            None => path.clone(),
        };
        let sealed_at = sealed_path(path).map_err(odd)?;
        if !state.payload.is_free(&named) || !state.payload.is_free(&sealed_at) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if state.redactions.is_empty() {
            self.seal_commitment_key(state)?;
        }
        // The original first: a kill in between leaves one file too many, and none too few.
        let sealed = state.payload.admit(sealed, &sealed_at)?;
        let twin = state.payload.admit(twin, &named)?;
        let event = JournalEvent::Redact {
            twin: twin.clone(),
            sealed: sealed.clone(),
            original: original.clone(),
            fields: fields.len() as u64,
            places: state.carried.then(|| fields.clone()).filter(|f| serde_json::to_vec(f).is_ok_and(|f| f.len() <= MAX_LINE / 2)),
            whole: by,
        };
        state.redactions.insert(named, Redaction { twin: twin.clone(), sealed, original, fields, whole: by });
        // A journal that failed keeps the bag from ever being sealed.
        self.journal.append(event).map_err(io::Error::other)?;
        Ok(twin)
    }

    /// The original of a file of the bag, or the file itself where there is no other.
    pub(super) fn original(&self, file: &FileRef) -> io::Result<Box<dyn Read + Send>> {
        let sealed = self.state().redactions.get(&file.path).map(|r| r.sealed.path.clone());
        match sealed {
            None => Ok(Box::new(std::fs::File::open(file.path.under(&self.dir))?)),
            Some(sealed) => {
                let sealed = io::BufReader::new(std::fs::File::open(sealed.under(&self.dir))?);
                self.originals.open(sealed).map_err(io::Error::other)
            }
        }
    }

    fn seal_commitment_key(&self, state: &mut State) -> io::Result<()> {
        let at = BundlePath::parse(COMMITMENT_KEY).map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
        let text = self.originals.commit_key().to_text();
        let (part, ..) = self.originals.seal(text.as_bytes(), self.part("commitment", u64::MAX)?)?;
        state.payload.admit(ended(part)?, &at).map(drop)
    }

    /// Sealing for the process's own identity alone would be destroying: it ends with the process.
    fn has_a_reader(&self) -> io::Result<()> {
        if self.originals.recipients().is_empty() && self.state().kms_key.is_none() {
            return Err(io::Error::other("secrets have no recipient, and nobody could ever open them"));
        }
        Ok(())
    }
}

enum Begins {
    Json,
    /// Two bytes that no JSON begins with (RFC 1952).
    Gzip,
    /// `<`: S3, IAM and the services as old as they are answer in XML.
    Markup,
    Otherwise,
}

fn begins(file: &Whole) -> io::Result<Begins> {
    let mut head = vec![];
    file.open()?.take(64).read_to_end(&mut head)?;
    Ok(first(&head))
}

fn first(head: &[u8]) -> Begins {
    if head.starts_with(&[0x1f, 0x8b]) {
        return Begins::Gzip;
    }
    // A byte order mark and white space in front are no part of it.
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    match text.trim_ascii_start().first() {
        Some(b'{' | b'[') => Begins::Json,
        Some(b'<') => Begins::Markup,
        _ => Begins::Otherwise,
    }
}

/// Every byte of a file that is not longer than [`LARGEST`].
fn all(file: &Whole) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(file.bytes).unwrap_or_default());
    file.open()?.take(LARGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A part with these bytes, ended.
pub(super) fn filled(mut part: Part, bytes: &[u8]) -> io::Result<Whole> {
    part.write_all(bytes)?;
    ended(part)
}

/// What of a part did not come onto the disk makes all of it worthless.
fn ended(part: Part) -> io::Result<Whole> {
    let whole = part.finish()?;
    match whole.failed {
        Some(kind) => Err(kind.into()),
        None => Ok(whole),
    }
}
