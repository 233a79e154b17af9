//! The addenda below a bundle in a bucket (`bundle::addenda` says what they are): put there behind those that are there, and brought together with
//! those beside the bundle on the disk, so that both places hold one chain.
//!
//! S3 puts one object at a time, so here an addendum can be half there. Its statement comes last. A number that somebody began is left to him:
//! whoever comes next waits a moment for his statement, and then goes on behind, saying which number he found unfinished.

use super::bucket::{Asked, Bucket, Put};
use super::error::ArchiveError;
use super::place::Place;
use crate::bundle::addenda::{
    self, About, AddendumKind, ENVELOPE, Link, MAX_AROUND, MAX_DOCUMENT, MAX_NUMBER, Ready, STATEMENT, WITHIN, beside, folder,
};
use crate::bundle::dsse::Envelope;
use crate::bundle::fault_point;
use crate::bundle::signing::Signers;
use crate::model::digest::Sha256;
use crate::model::path::BundlePath;
use crate::store::disk;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

/// So often is somebody's statement waited for: 50 ms, then twice as long each time.
const WAITS: u32 = 4;
/// More files than any addendum has.
const MAX_FILES: usize = 16;

/// The addenda of one bundle in one bucket, as they were seen when looked at.
pub(super) struct Shelf<'a> {
    bucket: &'a Bucket,
    place: &'a Place,
    asked: &'a Asked,
    /// Names of the files under each number.
    files: BTreeMap<u32, BTreeSet<String>>,
    /// Of each number its statement, where it has one.
    statements: BTreeMap<u32, Option<Sha256>>,
}

impl<'a> Shelf<'a> {
    pub async fn look(bucket: &'a Bucket, place: &'a Place, asked: &'a Asked) -> Result<Shelf<'a>, ArchiveError> {
        let lead = format!("{}{WITHIN}", place.lead());
        let listed = bucket.versions(&lead).await.map_err(|source| ArchiveError::List { place: place.to_string(), source })?;
        let mut shelf = Shelf { bucket, place, asked, files: BTreeMap::new(), statements: BTreeMap::new() };
        for version in listed.iter().filter(|v| v.latest && !v.marker) {
            let Some((number, name)) = version.key.strip_prefix(&lead).and_then(|k| k.split_once('/')) else { continue };
            // What cannot be a file of an addendum is not asked for; it takes the number all the same.
            if let Some(number) = addenda::number(number) {
                let files = shelf.files.entry(number).or_default();
                files.extend(BundlePath::parse(name).ok().filter(|p| p.top() == name).map(|p| p.as_str().to_string()));
            }
        }
        for number in shelf.files.keys().copied().collect::<Vec<_>>() {
            shelf.state(number).await?;
        }
        Ok(shelf)
    }

    fn key(&self, number: u32, name: &str) -> String {
        format!("{}{WITHIN}{}/{name}", self.place.lead(), folder(number))
    }

    /// `None` when it is not there.
    async fn read(&self, number: u32, name: &str, limit: u64) -> Result<Option<Vec<u8>>, ArchiveError> {
        let key = self.key(number, name);
        let failed = |source| ArchiveError::ReadBack { key: key.clone(), source };
        match self.bucket.head(&key, None).await.map_err(failed)? {
            Some(_) => self.bucket.get_small(&key, None, limit).await.map(Some).map_err(failed),
            None => Ok(None),
        }
    }

    /// Reads its statement, which may have come by now.
    async fn state(&mut self, number: u32) -> Result<bool, ArchiveError> {
        let bytes = self.read(number, STATEMENT, MAX_AROUND).await?;
        self.statements.insert(number, bytes.as_deref().map(Sha256::of));
        Ok(bytes.is_some())
    }

    async fn put(&self, number: u32, name: &str, bytes: &[u8]) -> Result<Put, ArchiveError> {
        let key = self.key(number, name);
        let body = bytes::Bytes::copy_from_slice(bytes);
        let put = self.bucket.put(&key, Sha256::of(bytes), bytes.len() as u64, || body.clone().into(), self.asked).await;
        put.map_err(|source| ArchiveError::Put { key, source })
    }

    /// Puts what lies beside the bundle and not here. False: the two are different chains, and neither is touched.
    pub async fn bring_up(&mut self, local: &Path) -> Result<bool, ArchiveError> {
        let unread = |source| ArchiveError::ReadAddenda { path: local.into(), source };
        let theirs = beside::statements(local).map_err(unread)?;
        let differs = |(n, s): (&u32, &Option<Sha256>)| s.is_some() && self.statements.get(n).is_some_and(|h| h.is_some() && h != s);
        if theirs.iter().any(differs) {
            return Ok(false);
        }
        for (number, statement) in theirs {
            if self.statements.contains_key(&number) {
                continue;
            }
            for (name, bytes) in files_of(local, number).map_err(unread)? {
                // Somebody who does the same puts the same.
                if self.put(number, &name, &bytes).await? == Put::Exists
                    && self.read(number, &name, MAX_DOCUMENT).await?.is_none_or(|there| there != bytes)
                {
                    let what = "what lies beside the bundle is another addendum".into();
                    return Err(ArchiveError::Differs { key: self.key(number, &name), what });
                }
                self.files.entry(number).or_default().insert(name);
            }
            self.statements.insert(number, statement);
        }
        Ok(true)
    }

    /// Puts beside the bundle what lies here and not there.
    pub async fn bring_down(&self, local: &Path) -> Result<(), ArchiveError> {
        let unread = |source| ArchiveError::ReadAddenda { path: local.into(), source };
        let there: BTreeSet<u32> = beside::numbers(local).map_err(unread)?.into_iter().collect();
        for (number, names) in self.files.iter().filter(|(n, _)| !there.contains(n)) {
            let mut files = vec![];
            for name in names.iter().take(MAX_FILES) {
                files.extend(self.read(*number, name, MAX_DOCUMENT).await?.map(|bytes| (name.clone(), bytes)));
            }
            // The statement last, here as well.
            files.sort_by_key(|(name, _)| name == STATEMENT);
            let (at, number) = (local.to_path_buf(), *number);
            let put = move || beside::put(&at, number, files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())));
            let put = tokio::task::spawn_blocking(put).await.map_err(ArchiveError::Task)?;
            // Who was faster brought the same.
            put.map_err(|source| ArchiveError::KeepRecord { path: local.into(), source })?;
        }
        Ok(())
    }

    /// Documents of this kind that stand, newest first: number and bytes. `wanted` ends it.
    pub async fn newest<T>(
        &self,
        kind: AddendumKind,
        wanted: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Option<(u32, Sha256, T)>, ArchiveError> {
        for (number, _) in self.statements.iter().rev().filter(|(_, s)| s.is_some()) {
            if self.files.get(number).is_some_and(|f| f.contains(kind.document()))
                && let Some(bytes) = self.read(*number, kind.document(), MAX_DOCUMENT).await?
                && let Some(found) = wanted(&bytes)
            {
                return Ok(Some((*number, Sha256::of(&bytes), found)));
            }
        }
        Ok(None)
    }

    pub fn statement(&self, number: u32) -> Option<Sha256> {
        self.statements.get(&number).copied().flatten()
    }

    /// Keys whose signatures it carries, by its own word.
    pub async fn signed_by(&self, number: u32) -> Result<Vec<Sha256>, ArchiveError> {
        let bytes = self.read(number, ENVELOPE, MAX_AROUND).await?;
        let envelope = bytes.and_then(|b| serde_json::from_slice::<Envelope>(&b).ok());
        Ok(envelope.map(|e| e.signatures.iter().map(|s| s.keyid).collect()).unwrap_or_default())
    }

    /// Puts an addendum behind those that are there, and reads back what was put.
    pub async fn append(&mut self, about: &About, kind: AddendumKind, document: &[u8], signers: &Signers) -> Result<Ready, ArchiveError> {
        loop {
            let link = Link::behind(about.root, &self.statements);
            if link.number > MAX_NUMBER {
                return Err(ArchiveError::Crowded { place: self.place.to_string() });
            }
            let ready =
                addenda::ready(about, kind, document, link, signers, &*self.bucket.clock).await.map_err(ArchiveError::MakeRecord)?;
            if self.place_it(&ready).await? {
                return Ok(ready);
            }
            // Somebody has the number: his statement is what ours comes behind, once it is there.
            let mut waits = 0;
            while !self.state(ready.number).await? && waits < WAITS {
                waits += 1;
                self.bucket.pause(waits).await;
            }
        }
    }

    async fn place_it(&mut self, ready: &Ready) -> Result<bool, ArchiveError> {
        for (name, bytes) in &ready.files {
            if self.put(ready.number, name, bytes).await? == Put::Exists {
                // A put whose answer was lost is tried again, and then finds itself.
                // Another's document names another run.
                let there = self.read(ready.number, name, MAX_DOCUMENT).await?;
                if there.as_deref() != Some(bytes) {
                    return Ok(false);
                }
            }
            fault_point::reached("archive-addendum");
        }
        for (name, bytes) in &ready.files {
            let key = self.key(ready.number, name);
            match self.read(ready.number, name, MAX_DOCUMENT).await? {
                Some(there) if there == *bytes => {}
                Some(_) => {
                    let what = "what was just put reads back differently".into();
                    return Err(ArchiveError::Differs { key, what });
                }
                None => return Err(ArchiveError::Vanished { key }),
            }
        }
        self.files.insert(ready.number, ready.files.iter().map(|(name, _)| name.to_string()).collect());
        self.statements.insert(ready.number, Some(ready.statement));
        Ok(true)
    }
}

/// The files of an addendum beside the bundle, its statement last.
fn files_of(local: &Path, number: u32) -> io::Result<Vec<(String, Vec<u8>)>> {
    let folder = local.join(folder(number));
    let mut files = vec![];
    for entry in fs::read_dir(&folder)?.take(MAX_FILES) {
        let name = entry?.file_name().to_string_lossy().into_owned();
        // A link or a device is nobody's addendum.
        if BundlePath::parse(&name).is_ok()
            && let Some(bytes) = disk::read_bounded(&folder.join(&name), MAX_DOCUMENT)?
        {
            files.push((name, bytes));
        }
    }
    files.sort_by_key(|(name, _)| name == STATEMENT);
    Ok(files)
}
