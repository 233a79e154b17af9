//! BagIt manifests: one line per file, sorted bytewise, in the very form that `sha256sum -c` reads.
//!
//! No percent-encoding: a [`BundlePath`] cannot hold any character that RFC 8493 would have encoded.

use super::payload::Digest;
use crate::model::digest;
use crate::model::path::BundlePath;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::path::Path;

pub const PAYLOAD_MANIFEST: &str = "manifest-sha256.txt";
/// Its digest is the root of the bundle.
pub const TAG_MANIFEST: &str = "tagmanifest-sha256.txt";

/// The manifest of these files. (`BTreeMap` orders paths by their bytes.)
pub(super) fn manifest(files: &BTreeMap<BundlePath, Digest>) -> String {
    files.iter().fold(String::new(), |mut text, (path, digest)| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}  {}", digest.sha256, path.as_str());
        text
    })
}

/// Octets and streams of the payload, as `Payload-Oxum` counts them.
pub(super) fn oxum(files: &BTreeMap<BundlePath, Digest>) -> (u64, usize) {
    (files.values().map(|d| d.bytes).sum(), files.len())
}

/// Reads a file to know its digest.
pub(super) fn hash_file(path: &Path) -> io::Result<Digest> {
    let (sha256, bytes) = digest::of_reader(File::open(path)?)?;
    Ok(Digest { bytes, sha256 })
}

/// What the disk holds, against what was written.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    #[error("cannot read {what} of the bundle")]
    Walk {
        what: String,
        #[source]
        source: io::Error,
    },
    #[error("{0} lies in the bundle, and freezeframe did not write it")]
    Foreign(String),
    #[error("{} was written with {written} bytes and now has {found}", path.as_str())]
    Resized { path: BundlePath, written: u64, found: u64 },
    #[error("{} was written and is not there any more", path.as_str())]
    Missing { path: BundlePath },
}

/// Makes everything below `data/` durable, and makes sure on the way that it is what was written: the same files, of the same size. (Their
/// bytes are read again when the bundle is verified.)
pub(super) fn settle(dir: &Path, files: &BTreeMap<BundlePath, Digest>) -> Result<(), DiskError> {
    let mut seen = 0;
    walk(dir, "data", files, &mut seen)?;
    if seen == files.len() {
        return Ok(());
    }
    match files.keys().find(|path| fs::symlink_metadata(path.under(dir)).is_err()) {
        Some(path) => Err(DiskError::Missing { path: path.clone() }),
        None => Ok(()),
    }
}

fn walk(dir: &Path, at: &str, files: &BTreeMap<BundlePath, Digest>, seen: &mut usize) -> Result<(), DiskError> {
    let failed = |what: &str| {
        let what = what.to_string();
        move |source| DiskError::Walk { what, source }
    };
    for entry in fs::read_dir(dir.join(at)).map_err(failed(at))? {
        let entry = entry.map_err(failed(at))?;
        let shown = format!("{at}/{}", entry.file_name().to_string_lossy().escape_default());
        let Ok(path) = BundlePath::parse(&shown) else { return Err(DiskError::Foreign(shown)) };
        let meta = fs::symlink_metadata(entry.path()).map_err(failed(&shown))?;
        if meta.is_dir() {
            walk(dir, &shown, files, seen)?;
        } else {
            match files.get(&path) {
                Some(written) if meta.is_file() && written.bytes == meta.len() => *seen += 1,
                Some(written) if meta.is_file() => return Err(DiskError::Resized { path, written: written.bytes, found: meta.len() }),
                _ => return Err(DiskError::Foreign(shown)),
            }
            crate::store::disk::sync_file(&entry.path()).map_err(failed(&shown))?;
        }
    }
    crate::store::disk::sync_dir(&dir.join(at)).map_err(failed(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Sha256;

    fn path(text: &str) -> BundlePath {
        BundlePath::parse(text).unwrap()
    }

    #[test]
    fn lines_are_sorted_bytewise() {
        let digest = Digest { bytes: 3, sha256: Sha256::of(b"abc") };
        let files: BTreeMap<_, _> = ["data/b", "data/a/z", "data/a-1", "data/B"].map(|p| (path(p), digest)).into();
        let hex = digest.sha256.to_string();
        assert_eq!(manifest(&files), format!("{hex}  data/B\n{hex}  data/a-1\n{hex}  data/a/z\n{hex}  data/b\n"));
        assert_eq!(oxum(&files), (12, 4));
    }

    #[test]
    fn the_disk_must_hold_what_was_written_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("data/x")).unwrap();
        fs::write(dir.path().join("data/x/a"), "abc").unwrap();
        let digest = hash_file(&dir.path().join("data/x/a")).unwrap();
        let mut files = BTreeMap::from([(path("data/x/a"), digest)]);
        settle(dir.path(), &files).unwrap();

        fs::write(dir.path().join("data/x/b"), "").unwrap();
        assert!(matches!(settle(dir.path(), &files), Err(DiskError::Foreign(f)) if f == "data/x/b"));
        fs::remove_file(dir.path().join("data/x/b")).unwrap();
        fs::write(dir.path().join("data/x/a"), "abcd").unwrap();
        assert!(matches!(settle(dir.path(), &files), Err(DiskError::Resized { written: 3, found: 4, .. })));
        fs::write(dir.path().join("data/x/a"), "abc").unwrap();
        files.insert(path("data/y"), digest);
        assert!(matches!(settle(dir.path(), &files), Err(DiskError::Missing { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_the_place_of_evidence_is_foreign() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("data")).unwrap();
        fs::write(dir.path().join("elsewhere"), "abc").unwrap();
        let files = BTreeMap::from([(path("data/a"), hash_file(&dir.path().join("elsewhere")).unwrap())]);
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), dir.path().join("data/a")).unwrap();
        assert!(matches!(settle(dir.path(), &files), Err(DiskError::Foreign(_))));
    }
}
