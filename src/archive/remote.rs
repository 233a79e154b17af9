//! An archived bundle, read where it lies: by version, front to back, without a copy on a disk and without ever holding a file in memory.
//!
//! What S3 says of each object is gathered beside (checksum, lock, versions, the archive's own records) and judged together with the manifests
//! (`bundle::verify::Stored`). What it never does: believe a listing about an object's bytes.

use super::bucket::{Bucket, ChecksumKind, Stored as Head, Version};
use super::in_effect::lock_words;
use super::parts::Composite;
use super::place::Place;
use super::reach::ReachError;
use super::records::{First, Records};
use crate::aws::fault::{Fault, FaultClass};
use crate::bundle::addenda::WITHIN;
use crate::bundle::source::{BagSource, Elsewhere, OpenError};
use crate::bundle::verify::{DemandedKey, Kept, Stored, Verification, verify_source};
use crate::model::path::BundlePath;
use aws_smithy_types::byte_stream::ByteStream;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;

/// So many objects are asked about at a time.
const AT_ONCE: usize = 16;
/// So often is a body that breaks off taken up again where it broke.
pub(super) const TRIES: u32 = 5;

#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    #[error(transparent)]
    Reach(#[from] ReachError),
    #[error("cannot list {place}")]
    List {
        place: String,
        #[source]
        source: Fault,
    },
    #[error("there is nothing at {place}")]
    Nothing { place: String },
    /// Its end, where a zip says what it holds, comes last, and everything is read front to back there.
    #[error("{zip} is one object, and only a bundle that lies file by file is read in a bucket")]
    Zipped { zip: String },
    #[error("cannot ask S3 about {key}")]
    Ask {
        key: String,
        #[source]
        source: Fault,
    },
    #[error("cannot open what lies at {place}")]
    Open {
        place: String,
        #[source]
        source: OpenError,
    },
    #[error("the reading task broke off")]
    Task(#[source] tokio::task::JoinError),
}

/// A file of the bundle in the bucket.
#[derive(Clone, Debug)]
struct Held {
    key: String,
    version: Option<String>,
    bytes: u64,
    /// Its parts' length, where it went up in parts.
    part_bytes: Option<u64>,
}

/// The bundle's files, as [`BagSource`] reads them.
#[derive(Clone, Debug)]
pub(super) struct Files {
    bucket: Bucket,
    handle: Handle,
    held: Arc<BTreeMap<BundlePath, Held>>,
    /// The composite checksums of what was read to its end.
    computed: Arc<Mutex<BTreeMap<BundlePath, String>>>,
}

/// A bundle that was found.
pub(super) struct Found {
    pub name: String,
    pub place: String,
    pub listed: BTreeMap<String, u64>,
    pub files: Files,
    kept: BTreeMap<BundlePath, Kept>,
    recorded: bool,
    /// What records name and nothing lies under.
    gone: Vec<BundlePath>,
    versions_seen: bool,
}

/// Checks the bundle that lies at `place`, in constant memory; each of these keys must have signed it.
pub async fn verify(bucket: &Bucket, place: &Place, keys: Vec<DemandedKey>) -> Result<Verification, RemoteError> {
    bucket.reach().await?;
    let found = find(bucket, place).await?;
    let check = found.check();
    let opened = BagSource::elsewhere(&found.place, &found.name, found.listed, Box::new(found.files));
    let source = opened.map_err(|source| RemoteError::Open { place: place.to_string(), source })?;
    tokio::task::spawn_blocking(move || verify_source(&source, &keys, &[&check]).0).await.map_err(RemoteError::Task)
}

/// Lists the bundle and asks S3 about each of its objects.
pub(super) async fn find(bucket: &Bucket, place: &Place) -> Result<Found, RemoteError> {
    let lead = place.lead();
    let (versions, all_seen) = match bucket.versions(&lead).await {
        Ok(versions) => (versions, true),
        Err(f) if f.class == FaultClass::Denied => {
            let list = bucket.objects(&lead).await;
            (list.map_err(|source| RemoteError::List { place: place.to_string(), source })?, false)
        }
        Err(source) => return Err(RemoteError::List { place: place.to_string(), source }),
    };
    let mut by_key: BTreeMap<String, Vec<Version>> = BTreeMap::new();
    for version in versions {
        by_key.entry(version.key.clone()).or_default().push(version);
    }
    let (mut listed, mut read, mut addenda) = (BTreeMap::new(), vec![], BTreeMap::new());
    for (key, versions) in by_key {
        let (Some(path), Some(newest)) = (key.strip_prefix(&lead), versions.iter().find(|v| !v.marker)) else { continue };
        listed.insert(path.to_string(), newest.bytes);
        // What cannot be a path of a bundle is listed, and never asked for.
        if let Ok(path) = BundlePath::parse(path) {
            let hidden = versions.iter().any(|v| v.latest && v.marker);
            if path.as_str().starts_with(WITHIN)
                && let Some(first) = versions.iter().rfind(|v| !v.marker)
            {
                addenda.insert(path.clone(), First { version: first.clone(), several: first != newest });
            }
            read.push((path, newest.clone(), hidden, versions.len() as u64 - 1));
        }
    }
    if listed.is_empty() {
        return Err(nothing(bucket, place).await);
    }
    let heads = stream::iter(read).map(async |(path, version, hidden, others)| match said_of(bucket, &version).await {
        Err(source) if !of_the_object(&source) => Err(RemoteError::Ask { key: version.key.clone(), source }),
        said => Ok((path, version, hidden, others, said)),
    });
    let heads: Vec<_> = heads.buffered(AT_ONCE).try_collect().await?;
    // Where none is told of, it is not for the objects.
    if let Some((_, version, .., Err(source))) = heads.first()
        && heads.iter().all(|(.., said)| said.is_err())
    {
        return Err(RemoteError::Ask { key: version.key.clone(), source: source.clone() });
    }
    let mut records = Records::read(bucket, place, &addenda).await;
    let (mut held, mut kept) = (BTreeMap::new(), BTreeMap::new());
    for (path, version, hidden, others, said) in heads {
        let untold = said.as_ref().err().map(ToString::to_string);
        let (head, part_bytes) = said.unwrap_or_default();
        let Head { version: id, checksum, lock, .. } = head.unwrap_or_else(|| Head::unknown(version.bytes));
        let id = version.id.clone().or(id);
        let recorded = records.versions.remove(&path).filter(|named| Some(named) != id.as_ref());
        kept.insert(
            path.clone(),
            Kept {
                version: id.clone(),
                // Without the parts' length nothing can be computed to compare it with.
                checksum: checksum.filter(|c| c.kind == ChecksumKind::FullObject || part_bytes.is_some()).map(|c| c.sha256),
                computed: None,
                lock: lock_words(&lock),
                others,
                hidden,
                untold,
                recorded,
                stated: records.stated.remove(&path).unwrap_or_default(),
                first: records.first.remove(&path),
            },
        );
        let id = version.asked().map(str::to_string).or(id);
        held.insert(path, Held { key: version.key, version: id, bytes: version.bytes, part_bytes });
    }
    let files = Files { bucket: bucket.clone(), handle: Handle::current(), held: Arc::new(held), computed: Arc::default() };
    Ok(Found {
        name: place.name().into(),
        place: place.to_string(),
        listed,
        files,
        kept,
        recorded: records.any,
        gone: records.stated.into_keys().collect(),
        versions_seen: all_seen,
    })
}

/// Why there is no bundle: the responder leaves its bundles as zips, and one is soon taken for the other.
async fn nothing(bucket: &Bucket, place: &Place) -> RemoteError {
    for key in [place.prefix().to_string(), format!("{}.zip", place.prefix())].into_iter().filter(|k| k.len() > ".zip".len()) {
        if let Ok(Some(_)) = bucket.head(&key, None).await {
            return RemoteError::Zipped { zip: format!("s3://{}/{key}", place.bucket) };
        }
    }
    RemoteError::Nothing { place: place.to_string() }
}

/// What S3 says of a version, and its parts' length where it went up in parts.
async fn said_of(bucket: &Bucket, version: &Version) -> Result<(Option<Head>, Option<u64>), Fault> {
    let head = bucket.head(&version.key, version.asked()).await?;
    let parts = match head.as_ref().and_then(|h| h.checksum.as_ref()).map(|c| c.kind) {
        Some(ChecksumKind::Composite) => bucket.parts_of(&version.key, version.asked()).await?,
        _ => None,
    };
    Ok((head, parts))
}

/// A refusal that may be for this one object: encrypted with a key that only a stranger has (400, without a word: HEAD has no body), or with one of
/// KMS that we may not use. It may not keep the others from being read.
fn of_the_object(fault: &Fault) -> bool {
    matches!(fault.class, FaultClass::Refused | FaultClass::Denied)
}

/// What may be otherwise a moment later.
pub(super) fn passing(fault: &Fault) -> bool {
    matches!(fault.class, FaultClass::Truncated | FaultClass::Transport | FaultClass::Timeout)
}

impl Found {
    /// What S3 says, as a check behind the others. It looks at what reading has computed, so it must run after it.
    pub fn check(&self) -> Stored {
        let (kept, computed) = (self.kept.clone(), self.files.computed.clone());
        let files = move || {
            let computed = computed.lock().unwrap_or_else(PoisonError::into_inner);
            let with = |(path, kept): (&BundlePath, &Kept)| (path.clone(), Kept { computed: computed.get(path).cloned(), ..kept.clone() });
            kept.iter().map(with).collect()
        };
        let gone = self.gone.clone();
        Stored { files: Box::new(files), recorded: self.recorded, gone, versions_seen: self.versions_seen }
    }
}

impl Elsewhere for Files {
    fn stream(&self, path: &BundlePath) -> io::Result<Box<dyn Read + '_>> {
        let held = self.held.get(path).cloned().ok_or(io::ErrorKind::NotFound)?;
        let composite = held.part_bytes.map(Composite::new);
        Ok(Box::new(Reading {
            files: self,
            path: path.clone(),
            held,
            at: 0,
            body: None,
            piece: Bytes::new(),
            composite,
            tries: 0,
            known: 0,
        }))
    }
}

/// One object's bytes, pulled from a thread that may block.
struct Reading<'f> {
    files: &'f Files,
    path: BundlePath,
    held: Held,
    /// Bytes that came so far.
    at: u64,
    body: Option<ByteStream>,
    piece: Bytes,
    composite: Option<Composite>,
    tries: u32,
    /// Bytes that are to come once more, and are passed over.
    known: u64,
}

impl Reading<'_> {
    /// The next piece; `None` at the end. A body that breaks off is taken up where it broke: the version cannot have changed.
    fn pull(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let fault = match &mut self.body {
                None => {
                    let open = self.files.bucket.get_from(&self.held.key, self.held.version.as_deref(), self.at);
                    match self.files.handle.block_on(open) {
                        Ok((body, begins)) => {
                            self.body = Some(body);
                            self.known = self.at.saturating_sub(begins);
                            continue;
                        }
                        Err(fault) => fault,
                    }
                }
                Some(body) => match self.files.handle.block_on(body.try_next()) {
                    Ok(Some(mut piece)) => {
                        let known = usize::try_from(self.known).unwrap_or(usize::MAX).min(piece.len());
                        self.known -= known as u64;
                        return Ok(Some(piece.split_off(known)));
                    }
                    Ok(None) if self.at < self.held.bytes => super::bucket::broken(&io::Error::from(io::ErrorKind::UnexpectedEof)),
                    Ok(None) => return Ok(None),
                    Err(e) => super::bucket::broken(&e),
                },
            };
            self.body = None;
            self.tries += 1;
            // What was not answered at all the SDK has tried again already.
            if !passing(&fault) || self.tries > TRIES {
                return Err(io::Error::other(fault));
            }
            self.files.handle.block_on(self.files.bucket.pause(self.tries));
        }
    }
}

impl Read for Reading<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() && self.at < self.held.bytes {
            match self.pull()? {
                Some(piece) => self.piece = piece,
                None => break,
            }
        }
        let n = buf.len().min(self.piece.len());
        let now = self.piece.split_to(n);
        buf[..n].copy_from_slice(&now);
        self.at += n as u64;
        if self.at > self.held.bytes {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it has more bytes than the listing says"));
        }
        if let Some(composite) = &mut self.composite {
            composite.update(&now);
        }
        if n == 0
            && !buf.is_empty()
            && let Some(composite) = self.composite.take()
        {
            let mut computed = self.files.computed.lock().unwrap_or_else(PoisonError::into_inner);
            computed.insert(self.path.clone(), composite.finish());
        }
        Ok(n)
    }
}

impl Head {
    /// Of an object that was listed a moment ago and is not to be seen: reading it will say why.
    fn unknown(bytes: u64) -> Head {
        Head {
            version: None,
            bytes,
            etag: None,
            checksum: None,
            lock: Default::default(),
            encryption: None,
            kms_key: None,
            last_modified: None,
            replication: None,
        }
    }
}
