//! Reading every file of a bag once: which are looked into as they pass, and who hashes the others.

use super::addenda::{Gathered, addendum_file};
use super::facts::*;
use super::journal_reader::segment_number;
use super::lines::Lines;
use crate::bundle::changes::ACTIONS;
use crate::bundle::secrets::SEALED;
use crate::bundle::source::{BagSource, EntryName};
use crate::model::causes::with_causes;
use crate::model::digest::{Hasher, Sha256};
use crate::model::path::BundlePath;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// At a time so much of a file.
const BUFFER: usize = 128 << 10;
/// More hands hash no faster than a disk or a line gives.
const MAX_HANDS: usize = 4;

/// Digest and length of a file as read; why it could not be.
pub(super) type Digested = Result<(Sha256, u64), String>;

/// What is done with a file besides hashing it.
pub(super) enum Tap {
    Nothing,
    /// The first bytes are looked at.
    Head,
    Lines(Lines, u64),
    Whole(Vec<u8>, bool),
}

impl Tap {
    /// What to do with the bytes of `path` besides hashing them.
    pub fn of(path: &BundlePath) -> Tap {
        match path.as_str() {
            MANIFEST | TAG_MANIFEST | ITEMS | ACTIONS | REDACTIONS | SOURCE_MANIFEST | SOURCE_TAG_MANIFEST => {
                Tap::Lines(Lines::default(), 0)
            }
            SOURCE_STATEMENT | SOURCE_ENVELOPE | SOURCE_KEY | SOURCE_KMS_KEY => Tap::Whole(Vec::new(), false),
            BAGIT | BAG_INFO | COVERAGE | STATEMENT | ENVELOPE | PUBLIC_KEY | KMS_PUBLIC_KEY | SEALING | TIMESTAMP => {
                Tap::Whole(Vec::new(), false)
            }
            p if p.starts_with(SEALED) => Tap::Head,
            p if p.starts_with("data/") && p.ends_with(".http.json") => Tap::Whole(Vec::new(), false),
            p if addendum_file(p).is_some_and(|(_, name)| Gathered::wants(name)) => Tap::Whole(Vec::new(), false),
            p if segment_number(p).is_some() => Tap::Lines(Lines::default(), 0),
            _ => Tap::Nothing,
        }
    }
}

impl Facts {
    /// Every file once. What is a document of ours passes here, in the order of the paths, so that the journal's segments come one after the
    /// other; what is only to be hashed is taken by whoever has nothing else to do, the longest first.
    pub(super) fn read(&mut self, source: &BagSource) -> BTreeMap<BundlePath, Digested> {
        let named = source.files().iter().filter_map(|e| match &e.name {
            EntryName::Path(path) => Some((path, e.bytes)),
            EntryName::Odd(_) => None,
        });
        let (mut plain, documents): (Vec<_>, Vec<_>) = named.partition(|(path, _)| matches!(Tap::of(path), Tap::Nothing | Tap::Head));
        plain.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
        let hands = thread::available_parallelism().map_or(1, usize::from).min(MAX_HANDS).min(plain.len().max(1));
        let (next, done) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
        let hash = || {
            let mut buf = vec![0; BUFFER];
            while let Some((path, _)) = plain.get(next.fetch_add(1, Ordering::Relaxed)) {
                let mut head = vec![];
                let read =
                    through(source, path, &mut buf, |piece| head.extend_from_slice(&piece[..piece.len().min(AGE.len() - head.len())]));
                done.lock().unwrap_or_else(PoisonError::into_inner).insert((*path).clone(), (read, head));
            }
        };
        let mut all = BTreeMap::new();
        thread::scope(|scope| {
            // A thread that cannot be had is one hand less.
            for _ in 1..hands {
                _ = thread::Builder::new().spawn_scoped(scope, hash);
            }
            let mut buf = vec![0; BUFFER];
            for (path, _) in documents {
                all.insert(path.clone(), self.one(source, path, &mut buf));
            }
            hash();
        });
        for (path, (read, head)) in done.into_inner().unwrap_or_else(PoisonError::into_inner) {
            if read.is_ok() && matches!(Tap::of(&path), Tap::Head) {
                self.sealed.insert(path.clone(), head == AGE);
            }
            all.insert(path, read);
        }
        all
    }
}

/// All of a file's bytes, each piece of them also given to `tap`.
pub(super) fn through(source: &BagSource, path: &BundlePath, buf: &mut [u8], mut tap: impl FnMut(&[u8])) -> Digested {
    let mut from = source.stream(path).map_err(|e| with_causes(&e))?;
    let mut hasher = Hasher::default();
    loop {
        match from.read(buf) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(n) => {
                hasher.update(&buf[..n]);
                tap(&buf[..n]);
            }
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e.to_string()),
        }
    }
}
