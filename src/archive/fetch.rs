//! Fetching an archived bundle to a disk, checked while it is written: one pass over the wire, and at its end a verdict.
//!
//! Until then it lies under a hidden name. What is whole gets the bundle's own name; what is not keeps a name that says so.

use super::bucket::Bucket;
use super::place::Place;
use super::remote::{RemoteError, find};
use crate::bundle::addenda::{WITHIN, beside as addenda};
use crate::bundle::source::{BagSource, Elsewhere};
use crate::bundle::verify::{Verdict, Verification, verify_source};
use crate::model::path::BundlePath;
use crate::store::disk;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// `fetch --json`
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Fetched {
    /// Version of this form: 1.
    pub v: u32,
    /// Where it lies now.
    pub path: PathBuf,
    /// What was found of it on the way, what S3 says included.
    pub verification: Verification,
}

#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error(transparent)]
    Remote(#[from] RemoteError),
    #[error("{} is there already", path.display())]
    There { path: PathBuf },
    #[error("cannot write {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Fetches the bundle at `place` into a new directory of its name below `to`.
pub async fn fetch(bucket: &Bucket, place: &Place, to: &Path) -> Result<Fetched, FetchError> {
    let path = to.join(place.name());
    if fs::symlink_metadata(&path).is_ok() {
        return Err(FetchError::There { path });
    }
    bucket.reach().await.map_err(RemoteError::from)?;
    let found = find(bucket, place).await?;
    let check = found.check();
    disk::make_dirs(to).map_err(|source| FetchError::Write { path: to.into(), source })?;
    // A directory of this process alone: two that fetch the same do not write into each other's files.
    let dir = tempfile::Builder::new().prefix(&format!(".fetch-{}-", place.name())).tempdir_in(to);
    let dir = dir.map_err(|source| FetchError::Write { path: to.into(), source })?;
    let saving = Saving { from: found.files, to: dir.path().to_path_buf(), begun: Mutex::default() };
    let opened = BagSource::elsewhere(&found.place, &found.name, found.listed, Box::new(saving));
    let source = opened.map_err(|source| RemoteError::Open { place: place.to_string(), source })?;
    let checked = tokio::task::spawn_blocking(move || verify_source(&source, &[], &[&check]).0).await;
    let verification = checked.map_err(RemoteError::Task)?;
    let path = match verification.verdict() {
        Verdict::Broken => to.join(format!("{}.broken", place.name())),
        Verdict::Whole | Verdict::Unfinished => path,
    };
    let dir = dir.keep();
    let settle = || {
        if fs::symlink_metadata(&path).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        // What happened to the bundle is no part of it: on a disk it lies beside.
        let (within, beside) = (dir.join(WITHIN), addenda::place(&path, place.name()));
        if verification.verdict() != Verdict::Broken && within.is_dir() && fs::symlink_metadata(&beside).is_err() {
            fs::rename(&within, &beside)?;
        }
        fs::rename(&dir, &path)?;
        disk::sync_dir(to)
    };
    settle().map_err(|source| FetchError::Write { path: path.clone(), source })?;
    Ok(Fetched { v: 1, path, verification })
}

/// Reads through, and leaves what passes on the disk.
#[derive(Debug)]
struct Saving<F> {
    from: F,
    to: PathBuf,
    /// What was put there: a check reads some files a second time, and then nothing is written.
    begun: Mutex<BTreeSet<BundlePath>>,
}

impl<F: Elsewhere> Elsewhere for Saving<F> {
    fn stream(&self, path: &BundlePath) -> io::Result<Box<dyn Read + '_>> {
        let at = path.under(&self.to);
        if self.begun.lock().unwrap_or_else(PoisonError::into_inner).contains(path) {
            return self.from.stream(path);
        }
        disk::make_dirs(at.parent().unwrap_or(&self.to))?;
        // The directory is this process's alone, so what is there already is another name's: a directory, or a twin on a disk that knows no case.
        let into = disk::create_new(&at)?;
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).insert(path.clone());
        Ok(Box::new(Copying { from: self.from.stream(path)?, into }))
    }
}

struct Copying<'s> {
    from: Box<dyn Read + 's>,
    into: File,
}

impl Read for Copying<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buf)?;
        match n {
            0 if !buf.is_empty() => self.into.sync_all()?,
            n => self.into.write_all(&buf[..n])?,
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every file's bytes are its name.
    #[derive(Debug)]
    struct Names;

    impl Elsewhere for Names {
        fn stream(&self, path: &BundlePath) -> io::Result<Box<dyn Read + '_>> {
            Ok(Box::new(io::Cursor::new(path.as_str().as_bytes().to_vec())))
        }
    }

    fn read(from: &Saving<Names>, path: &str) -> io::Result<String> {
        let mut text = String::new();
        from.stream(&BundlePath::parse(path).unwrap())?.read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn a_file_that_cannot_be_put_on_the_disk_is_not_read_past_it() {
        let dir = tempfile::tempdir().unwrap();
        let saving = Saving { from: Names, to: dir.path().into(), begun: Mutex::default() };
        for _ in 0..2 {
            assert_eq!(read(&saving, "seal/a").unwrap(), "seal/a", "a second reading is as good as the first");
        }
        assert_eq!(fs::read_to_string(dir.path().join("seal/a")).unwrap(), "seal/a", "and was written once");
        // A bucket holds a file and, under its name, others.
        read(&saving, "seal/b/x").unwrap();
        for path in ["seal/b", "seal/a/x"] {
            read(&saving, path).expect_err(path);
        }
    }
}
