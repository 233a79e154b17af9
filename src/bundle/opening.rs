//! Sealed originals, opened again: which there are, what is in them, and whether they are what their twins say they are.
//!
//! Whoever calls this writes the opening into custody first. What it never does: write anything, believe a name in the bundle (what is opened is
//! handed out as a stream, under the twin's checked path), or take a bundle's word that an original fits its twin.

use super::secrets::{
    COMMITMENT_KEY, CommitKey, Identities, LARGEST, Look, OpenError, REDACTIONS, Veiled, WHOLE_SUFFIX, looked_into, redacted, veil,
};
use super::source::{BagSource, ReadError};
use crate::model::digest::{Hasher, Sha256};
use crate::model::path::BundlePath;
use crate::model::redaction::{Commitment, Field, Redaction};
use schemars::JsonSchema;
use serde::Serialize;
use std::io::{self, Read, Write};

/// All lines of `meta/redactions.jsonl` together; ours have some hundred bytes for each secret.
const MAX_REDACTIONS: u64 = 256 << 20;

#[derive(Debug, thiserror::Error)]
pub enum OpeningError {
    #[error("cannot read {what} of the bundle")]
    Read {
        what: String,
        #[source]
        source: ReadError,
    },
    #[error("line {line} of {REDACTIONS} is not of its form")]
    Line {
        line: usize,
        #[source]
        source: serde_json::Error,
    },
    #[error("cannot open {what}")]
    Open {
        what: String,
        #[source]
        source: OpenError,
    },
    #[error("cannot copy {what}")]
    Copy {
        what: String,
        #[source]
        source: io::Error,
    },
    #[error("the commitment key is none")]
    BadCommitmentKey,
}

/// `access.json` of an addendum: who opened is in its statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AccessRecord {
    /// Version of this form: 1.
    pub v: u32,
    /// UTC, RFC 3339: before the first byte was in clear.
    pub at: String,
    /// The sealed files that were to be opened.
    pub originals: Vec<BundlePath>,
    /// What they were opened with: the recipients whose identity was given, or a KMS key.
    pub with: Vec<String>,
    /// Only the commitment key was opened, to compare a value with what is redacted.
    pub proof: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// A bundle whose originals somebody may open.
pub struct Opening<'b> {
    bag: &'b BagSource,
    identities: &'b Identities,
    key: CommitKey,
    redactions: Vec<Redaction>,
}

/// What came out.
#[derive(Clone, Copy, Debug)]
pub struct Opened {
    pub bytes: u64,
    pub sha256: Sha256,
    /// Length and commitment are those that the bundle states.
    pub is_the_original: bool,
}

/// Every redaction of a bundle; none where nothing is redacted.
pub fn redactions(bag: &BagSource) -> Result<Vec<Redaction>, OpeningError> {
    let Ok(path) = BundlePath::parse(REDACTIONS) else { return Ok(vec![]) };
    if !bag.files().iter().any(|f| matches!(&f.name, super::source::EntryName::Path(p) if *p == path)) {
        return Ok(vec![]);
    }
    let bytes = bag.read_small(&path, MAX_REDACTIONS).map_err(|source| OpeningError::Read { what: REDACTIONS.into(), source })?;
    let lines = bytes.split(|b| *b == b'\n').enumerate().filter(|(_, l)| !l.is_empty());
    lines.map(|(n, l)| serde_json::from_slice(l).map_err(|source| OpeningError::Line { line: n + 1, source })).collect()
}

impl<'b> Opening<'b> {
    /// Opens the commitment key: whoever cannot open that can open nothing here.
    pub fn new(bag: &'b BagSource, identities: &'b Identities) -> Result<Self, OpeningError> {
        let redactions = redactions(bag)?;
        let what = || COMMITMENT_KEY.to_string();
        let path = BundlePath::parse(COMMITMENT_KEY).map_err(|_| OpeningError::BadCommitmentKey)?;
        let sealed = bag.stream(&path).map_err(|source| OpeningError::Read { what: what(), source })?;
        let opened = identities.open(sealed).map_err(|source| OpeningError::Open { what: what(), source })?;
        let mut text = vec![];
        opened.take(256).read_to_end(&mut text).map_err(|source| OpeningError::Copy { what: what(), source })?;
        let key = CommitKey::parse(&text).ok_or(OpeningError::BadCommitmentKey)?;
        Ok(Opening { bag, identities, key, redactions })
    }

    pub fn redactions(&self) -> &[Redaction] {
        &self.redactions
    }

    /// The original of one twin, into `out`, which has all of it when this returns: what it holds back is flushed, since dropping a writer tells of
    /// no error.
    pub fn open(&self, redaction: &Redaction, mut out: impl Write) -> Result<Opened, OpeningError> {
        let what = || redaction.sealed.path.as_str().to_string();
        let copying = |source| OpeningError::Copy { what: what(), source };
        let mut from = self.original(redaction)?;
        let (mut buffer, mut hasher, mut commit) = (vec![0; 64 << 10], Hasher::default(), self.key.start());
        loop {
            let n = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(copying(e)),
            };
            // More than it says it has is no original, and might be without end.
            if hasher.bytes() + n as u64 > redaction.original.bytes {
                return Err(copying(io::Error::new(io::ErrorKind::InvalidData, "it is longer than the bundle says")));
            }
            hasher.update(&buffer[..n]);
            commit.update(&buffer[..n]);
            out.write_all(&buffer[..n]).map_err(copying)?;
        }
        out.flush().map_err(copying)?;
        let (sha256, bytes) = hasher.finish();
        let is_the_original = bytes == redaction.original.bytes && commit.finish() == redaction.original.commit;
        Ok(Opened { bytes, sha256, is_the_original })
    }

    /// Whether the twin is this original with its secrets redacted, and differs in nothing else.
    pub fn twin_agrees(&self, redaction: &Redaction) -> Result<bool, OpeningError> {
        let twin = self.twin(redaction)?;
        if let Some(rule) = redaction.whole {
            let wanted = super::secrets::whole(rule, redaction.original.bytes, redaction.original.commit);
            return Ok(twin == wanted.as_bytes());
        }
        let mut original = vec![];
        let copied = self.original(redaction)?.take(LARGEST + 1).read_to_end(&mut original);
        copied.map_err(|source| OpeningError::Copy { what: redaction.sealed.path.as_str().into(), source })?;
        let lines = looked_into(&redaction.twin.path) == Look::JsonLines;
        Ok(matches!(veil(&original, lines, &self.key), Veiled::Twin { bytes, fields } if bytes == twin && fields == redaction.fields))
    }

    /// Where the bundle redacts this very value: twin and place.
    pub fn where_is(&self, value: &[u8]) -> Result<Vec<(BundlePath, Field)>, OpeningError> {
        let wanted: Commitment = self.key.of(value);
        let mut found = vec![];
        for redaction in &self.redactions {
            let twin = self.twin(redaction)?;
            let at = redaction.fields.iter().filter(|f| redacted(&twin, &f.at) == Some(wanted));
            found.extend(at.map(|f| (redaction.twin.path.clone(), f.clone())));
        }
        Ok(found)
    }

    fn original(&self, redaction: &Redaction) -> Result<Box<dyn Read + '_>, OpeningError> {
        let what = || redaction.sealed.path.as_str().to_string();
        let sealed = self.bag.stream(&redaction.sealed.path).map_err(|source| OpeningError::Read { what: what(), source })?;
        self.identities.open(sealed).map_err(|source| OpeningError::Open { what: what(), source })
    }

    fn twin(&self, redaction: &Redaction) -> Result<Vec<u8>, OpeningError> {
        let what = || redaction.twin.path.as_str().to_string();
        self.bag.read_small(&redaction.twin.path, 2 * LARGEST).map_err(|source| OpeningError::Read { what: what(), source })
    }
}

/// The name of the original of a twin: without what a whole file's twin has behind it.
pub fn original_name(twin: &BundlePath) -> &str {
    twin.as_str().strip_suffix(WHOLE_SUFFIX).unwrap_or(twin.as_str())
}
