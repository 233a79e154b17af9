//! A store in a local directory: an object is a file, its key the path.
//!
//! An object is written under a hidden temporary name, synced, and then given its name by an operation that never replaces; so nobody ever
//! sees half of one, and a kill leaves at most a hidden file, which is no object.

use super::{Cause, Put, Store, StoreError, check_size, disk, folder, key};
use crate::model::path::BundlePath;
use async_trait::async_trait;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

#[derive(Clone, Debug)]
pub struct DirStore {
    root: PathBuf,
}

impl DirStore {
    /// Opens the store, making the directory when it is missing.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let store = DirStore { root: root.into() };
        match disk::make_dirs(&store.root) {
            Ok(()) => Ok(store),
            Err(source) => Err(StoreError::OpenStore { place: store.describe(), source: source.into() }),
        }
    }

    fn put(&self, key: &BundlePath, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<Put> {
        let to = key.under(&self.root);
        if fs::symlink_metadata(&to).is_ok() {
            return Ok(Put::Exists);
        }
        let dir = to.parent().unwrap_or(&self.root);
        disk::make_dirs(dir)?;
        let mut temp = tempfile::Builder::new().prefix(".put-").tempfile_in(dir)?;
        fill(temp.as_file_mut())?;
        temp.as_file().sync_all()?;
        match disk::persist(temp.into_temp_path(), &to) {
            Ok(()) => disk::sync_dir(dir).map(|()| Put::Stored),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(Put::Exists),
            Err(e) => Err(e),
        }
    }

    fn put_error(&self, key: &str, source: Cause) -> StoreError {
        StoreError::PutObject { key: key.into(), place: self.describe(), source }
    }
}

/// Files below `dir` that are named as keys are. Links and hidden names are no objects.
fn walk(dir: &Path, prefix: &str, into: &mut Vec<String>) -> io::Result<()> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let full = if prefix.is_empty() { name.to_string() } else { format!("{prefix}/{name}") };
        if BundlePath::parse(&full).is_err() {
            continue;
        }
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(&entry.path(), &full, into)?;
        } else if kind.is_file() {
            into.push(full);
        }
    }
    Ok(())
}

/// Disk work runs on a thread of its own, so that a slow disk stalls no other task.
async fn off<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, Cause> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(Cause::from),
        Err(panicked) => Err(panicked.into()),
    }
}

#[async_trait]
impl Store for DirStore {
    async fn put_if_absent(&self, key_text: &str, bytes: Vec<u8>) -> Result<Put, StoreError> {
        let key = key(key_text)?;
        check_size(key_text, bytes.len() as u64)?;
        let this = self.clone();
        off(move || this.put(&key, |file| file.write_all(&bytes))).await.map_err(|e| self.put_error(key_text, e))
    }

    async fn put_file_if_absent(&self, key_text: &str, from: &Path) -> Result<Put, StoreError> {
        let key = key(key_text)?;
        let (this, from) = (self.clone(), from.to_path_buf());
        off(move || {
            let mut from = File::open(from)?;
            this.put(&key, |file| io::copy(&mut from, file).map(|_| ()))
        })
        .await
        .map_err(|e| self.put_error(key_text, e))
    }

    async fn get(&self, key_text: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let path = key(key_text)?.under(&self.root);
        off(move || disk::read_bounded(&path, super::MAX_OBJECT)).await.map_err(|source| StoreError::GetObject {
            key: key_text.into(),
            place: self.describe(),
            source,
        })
    }

    async fn list(&self, folder_text: &str) -> Result<Vec<String>, StoreError> {
        let folder = folder(folder_text)?;
        let root = self.root.clone();
        off(move || {
            let mut keys = Vec::new();
            match &folder {
                None => walk(&root, "", &mut keys)?,
                Some(f) => walk(&f.under(&root), f.as_str(), &mut keys)?,
            }
            keys.sort_unstable();
            Ok(keys)
        })
        .await
        .map_err(|source| StoreError::ListObjects { folder: folder_text.into(), place: self.describe(), source })
    }

    fn describe(&self) -> String {
        format!("directory {}", self.root.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn conforms() {
        let dir = tempfile::tempdir().unwrap();
        super::super::conformance::run(|n| DirStore::open(dir.path().join(format!("s{n}"))).unwrap()).await;
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn objects_are_private_and_links_are_none() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let store = DirStore::open(dir.path().join("case")).unwrap();
        store.put_if_absent("a/b/c", b"x".to_vec()).await.unwrap();
        let mode = |p: &str| fs::metadata(dir.path().join(p)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("case"), mode("case/a"), mode("case/a/b"), mode("case/a/b/c")), (0o700, 0o700, 0o700, 0o600));

        std::os::unix::fs::symlink("/etc/hostname", dir.path().join("case/a/link")).unwrap();
        assert_eq!(store.list("").await.unwrap(), ["a/b/c"]);
        assert!(store.get("a/link").await.is_err());
        assert_eq!(store.put_if_absent("a/link", b"y".to_vec()).await.unwrap(), Put::Exists);
    }

    /// What a kill between writing and naming leaves behind is no object.
    #[tokio::test]
    async fn a_half_written_object_cannot_be_seen() {
        let dir = tempfile::tempdir().unwrap();
        let store = DirStore::open(dir.path()).unwrap();
        let failed = store.put(&key("a/x").unwrap(), |f| f.write_all(b"half").and_then(|()| Err(io::Error::other("disk full"))));
        assert!(failed.is_err());
        fs::write(dir.path().join("a/.put-left"), b"half").unwrap();
        assert_eq!(store.list("").await.unwrap(), Vec::<String>::new());
        assert_eq!(store.get("a/x").await.unwrap(), None);
        assert_eq!(store.put_if_absent("a/x", b"whole".to_vec()).await.unwrap(), Put::Stored);
    }

    #[tokio::test]
    async fn a_get_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let store = DirStore::open(dir.path()).unwrap();
        File::create(dir.path().join("big")).unwrap().set_len(super::super::MAX_OBJECT + 1).unwrap();
        assert!(matches!(store.get("big").await, Err(StoreError::GetObject { .. })));
    }
}
