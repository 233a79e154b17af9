//! Where things are kept that must not change: numbered objects that can be added and read, and that nothing here can overwrite or delete.
//!
//! Putting an object under a name that is free is the one linearizable step that a directory and an S3 bucket (`If-None-Match: *`) have in
//! common. The case journal, leases and the archive are built on it. What it never does: replace, append, delete, interpret what it keeps.

pub mod dir;
pub(crate) mod disk;
pub mod mem;
pub mod s3;
pub mod within;

#[cfg(test)]
pub(crate) mod conformance;

use crate::model::path::{BundlePath, PathError};
use async_trait::async_trait;
use std::path::Path;

/// The largest object that goes through memory (`put_if_absent`, `get`). Larger things are put from a file.
pub const MAX_OBJECT: u64 = 64 << 20;

/// Whether a put made the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    Stored,
    /// Somebody's object has that key already; it was left as it is.
    Exists,
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot name an object so")]
    NameObject(#[source] PathError),
    #[error("cannot open the store in {place}")]
    OpenStore {
        place: String,
        #[source]
        source: Cause,
    },
    /// The object may have landed all the same: a put whose answer was lost is not a put that did not happen.
    #[error("cannot put {key} into {place}")]
    PutObject {
        key: String,
        place: String,
        #[source]
        source: Cause,
    },
    #[error("cannot get {key} from {place}")]
    GetObject {
        key: String,
        place: String,
        #[source]
        source: Cause,
    },
    #[error("cannot list {folder} in {place}")]
    ListObjects {
        folder: String,
        place: String,
        #[source]
        source: Cause,
    },
    #[error("{key} has {bytes} bytes; at most {MAX_OBJECT} pass through memory here")]
    TooLarge { key: String, bytes: u64 },
}

/// What a back end says: a directory and a bucket have no error type in common.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Keys are relative and obey the rules of [`BundlePath`]; anything else is refused before the back end sees it.
///
/// Cancel safety: a put that is dropped half-way may still land, whole. It never lands in part.
#[async_trait]
pub trait Store: Send + Sync + std::fmt::Debug {
    /// Keep `bytes` under `key` unless there is something already. When it returns `Stored`, the object is durable and whole; of several
    /// racing puts exactly one is `Stored`.
    async fn put_if_absent(&self, key: &str, bytes: Vec<u8>) -> Result<Put, StoreError>;
    /// The same for a file of any size, in constant memory.
    async fn put_file_if_absent(&self, key: &str, from: &Path) -> Result<Put, StoreError>;
    /// The object's bytes, or `None` when there is no such object.
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError>;
    /// The keys of all objects below `folder` (`""`: of all objects), sorted bytewise. A folder is whole segments: `journal` does not list
    /// `journal2/x`.
    async fn list(&self, folder: &str) -> Result<Vec<String>, StoreError>;
    /// The names of the folders directly below `folder`, sorted: of a store whose cases hold thousands of objects each, without a listing of them.
    async fn folders(&self, folder_text: &str) -> Result<Vec<String>, StoreError> {
        let lead = folder(folder_text)?.map_or(String::new(), |f| format!("{}/", f.as_str()));
        let keys = self.list(folder_text).await?;
        let mut names: Vec<String> =
            keys.iter().filter_map(|k| k.strip_prefix(&lead)?.split_once('/')).map(|(name, _)| name.into()).collect();
        // Sorted as keys, `a-b/x` stands before `a/x`.
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }
    /// For messages: `directory /cases/IR-1`, `s3://bucket/prefix`.
    fn describe(&self) -> String;
}

pub(crate) fn key(text: &str) -> Result<BundlePath, StoreError> {
    BundlePath::parse(text).map_err(StoreError::NameObject)
}

/// `None` stands for the whole store.
pub(crate) fn folder(text: &str) -> Result<Option<BundlePath>, StoreError> {
    if text.is_empty() { Ok(None) } else { key(text.strip_suffix('/').unwrap_or(text)).map(Some) }
}

pub(crate) fn check_size(key: &str, bytes: u64) -> Result<(), StoreError> {
    if bytes > MAX_OBJECT { Err(StoreError::TooLarge { key: key.into(), bytes }) } else { Ok(()) }
}
