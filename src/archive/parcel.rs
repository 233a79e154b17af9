//! A bundle made ready to be sent: read once as a stranger would, its files with the digests that its own manifests give them, in the order in
//! which they are put.

use crate::bundle::addenda::WITHIN;
use crate::bundle::documents::Statement;
use crate::bundle::manifest::TAG_MANIFEST;
use crate::bundle::seal::STATEMENT;
use crate::bundle::secrets::WRAPPED_IDENTITY;
use crate::bundle::signer::{ENVELOPE, KMS_PUBLIC_KEY, PUBLIC_KEY, TIMESTAMP};
use crate::bundle::source::{BagSource, EntryName, OpenError, ReadError};
use crate::bundle::verify::{Verdict, Verification, verify_source};
use crate::model::digest::Sha256;
use crate::model::id::CaseId;
use crate::model::path::{BundlePath, PathError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Statements are small.
const MAX_STATEMENT: u64 = 1 << 20;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParcelFile {
    pub path: BundlePath,
    pub bytes: u64,
    pub sha256: Sha256,
}

#[derive(Debug)]
pub struct Parcel {
    pub source: Arc<BagSource>,
    pub case: CaseId,
    pub bundle: String,
    pub root: Sha256,
    /// In the order in which they are put.
    pub files: Vec<ParcelFile>,
}

#[derive(Debug, thiserror::Error)]
pub enum ParcelError {
    #[error("cannot open the bundle {}", path.display())]
    Open {
        path: PathBuf,
        #[source]
        source: OpenError,
    },
    #[error("{} is broken, and is not archived: it is not what it claims to be", path.display())]
    Broken { path: PathBuf, verification: Box<Verification> },
    #[error("{} is unfinished: the run that made it did not come to its end", path.display())]
    Unfinished { path: PathBuf },
    #[error("{} was never sealed, so nothing says which case and bundle it is", path.display())]
    NeverSealed { path: PathBuf },
    #[error("cannot read the bundle's statement")]
    Statement(#[source] ReadError),
    #[error("cannot understand the bundle's statement")]
    Form(#[source] serde_json::Error),
    #[error("the bundle's own name cannot be one in a bucket")]
    Name(#[source] PathError),
}

/// Payload first, then what describes it, then the root of everything, then what vouches for the root: as long as the last is missing, whoever
/// reads the place sees that it is unfinished. The journal comes before the other descriptions, and coverage before the rest: so whoever finds
/// one of these finds all that they were made from (`bundle::reopen`). In the seal, keys come before what they signed, that before the stamp over
/// it, and the note on sealing behind both: whoever finds the note finds what it says was done, and whoever finds the envelope and no note can make
/// one from what the statement within names and what lies there (`bundle::begun_seal`).
fn rank(path: &BundlePath) -> u8 {
    match (path.top(), path.as_str()) {
        ("data", _) => 0,
        (_, p) if p.starts_with("meta/journal/") => 1,
        (_, "meta/coverage.json") => 2,
        (TAG_MANIFEST, _) => 4,
        ("seal", PUBLIC_KEY | KMS_PUBLIC_KEY | WRAPPED_IDENTITY) => 5,
        ("seal", ENVELOPE) => 6,
        ("seal", TIMESTAMP) => 7,
        ("seal", STATEMENT) => 9,
        ("seal", _) => 8,
        _ => 3,
    }
}

impl Parcel {
    /// Blocks while every byte is read once.
    pub fn open(path: &Path, accept_unfinished: bool) -> Result<Parcel, ParcelError> {
        let at = path.to_path_buf();
        let source = BagSource::open(path).map_err(|source| ParcelError::Open { path: at.clone(), source })?;
        let (verification, read) = verify_source(&source, &[], &[]);
        match verification.verdict {
            Verdict::Broken => return Err(ParcelError::Broken { path: at, verification: Box::new(verification) }),
            Verdict::Unfinished if !accept_unfinished && verification.case.is_some() => return Err(ParcelError::Unfinished { path: at }),
            _ => {}
        }
        let statement = BundlePath::parse(STATEMENT).map_err(ParcelError::Name)?;
        let Some(root) = verification.root.filter(|_| read.contains_key(&statement)) else {
            return Err(ParcelError::NeverSealed { path: at });
        };
        let bytes = source.read_small(&statement, MAX_STATEMENT).map_err(ParcelError::Statement)?;
        let stated = serde_json::from_slice::<Statement>(&bytes).map_err(ParcelError::Form)?.predicate;
        // A name of one segment, and a plain one: it becomes part of every key.
        let bundle = BundlePath::parse(&stated.bundle).map_err(ParcelError::Name)?;
        if bundle.top() != bundle.as_str() {
            return Err(ParcelError::NeverSealed { path: at });
        }
        let listed = source.files().iter().filter_map(|e| match &e.name {
            EntryName::Path(p) => Some(p),
            EntryName::Odd(_) => None,
        });
        // Addenda go by themselves (`addenda.rs`): they are no part of what was sealed.
        let mut files: Vec<ParcelFile> = listed
            .filter(|path| !path.as_str().starts_with(WITHIN))
            .filter_map(|path| read.get(path).copied().flatten().map(|(sha256, bytes)| ParcelFile { path: path.clone(), bytes, sha256 }))
            .collect();
        files.sort_by(|a, b| (rank(&a.path), &a.path).cmp(&(rank(&b.path), &b.path)));
        Ok(Parcel { source: Arc::new(source), case: stated.case, bundle: stated.bundle, root, files })
    }

    /// Files that may be put side by side: each of the ranks after the one before.
    pub fn stages(&self) -> Vec<&[ParcelFile]> {
        self.files.chunk_by(|a, b| rank(&a.path) == rank(&b.path)).collect()
    }

    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|f| f.bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_vouches_comes_last() {
        let mut all = [
            "seal/statement.json",
            "seal/sealing.json",
            "seal/root.tsr",
            "seal/statement.dsse.json",
            "seal/public-key.pem",
            "seal/kms-public.pem",
            "seal/identity.kms",
            "tagmanifest-sha256.txt",
            "meta/items.jsonl",
            "data/a",
            "meta/journal/000001.jsonl",
            "bagit.txt",
            "data/b",
        ]
        .map(|p| BundlePath::parse(p).unwrap());
        all.sort_by(|a, b| (rank(a), a).cmp(&(rank(b), b)));
        let order: Vec<&str> = all.iter().map(BundlePath::as_str).collect();
        assert_eq!(
            order,
            [
                "data/a",
                "data/b",
                "meta/journal/000001.jsonl",
                "bagit.txt",
                "meta/items.jsonl",
                "tagmanifest-sha256.txt",
                "seal/identity.kms",
                "seal/kms-public.pem",
                "seal/public-key.pem",
                "seal/statement.dsse.json",
                "seal/root.tsr",
                "seal/sealing.json",
                "seal/statement.json"
            ]
        );
        let alone: Vec<&str> =
            all.chunk_by(|a, b| rank(a) == rank(b)).filter(|stage| stage.len() == 1).map(|stage| stage[0].as_str()).collect();
        assert_eq!(alone[alone.len() - 4..], order[order.len() - 4..], "none of the last four is put beside another");
    }
}
