//! Keeping a run's bundles in the case's store: the zip, then its digest. The digest is the last thing put, so a zip that has one is whole.
//! What is archived in the store's bucket already, file by file, needs no zip there.

use super::act::ActedBundle;
use crate::model::causes::with_causes;
use crate::model::digest::{self, Sha256};
use crate::store::{Put, Store, StoreError};
use schemars::JsonSchema;
use serde::Serialize;
use std::io;
use std::path::{Path, PathBuf};

/// A bundle as it was kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Kept {
    pub name: String,
    /// The bundle's root digest.
    pub root: Sha256,
    /// Of the zip.
    pub sha256: Sha256,
    pub bytes: u64,
    /// Where it lies: the zip, or the folder of its files.
    pub at: String,
    /// Read back and checked as a stranger would; false for one that says it is unfinished.
    pub verified: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    #[error("could not hash {}", path.display())]
    HashZip {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("could not store {name}")]
    Store {
        name: String,
        #[source]
        source: StoreError,
    },
    #[error("the store holds another {name} already")]
    Other { name: String },
}

pub(super) async fn keep(case_store: &dyn Store, bundles: &[ActedBundle]) -> Result<Vec<Kept>, KeepError> {
    let mut kept = vec![];
    for bundle in bundles {
        kept.push(keep_one(case_store, bundle).await?);
    }
    Ok(kept)
}

/// What a failed run had handed over before it failed, kept under `failed/`: a zip that does not verify is still evidence, and a function's
/// disk is out of everybody's reach. Tries all of them; what could not be kept is said in the log.
pub(super) async fn keep_failed(case_store: &dyn Store, case_dir: &Path) -> Vec<String> {
    let mut kept = vec![];
    for entry in std::fs::read_dir(case_dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|n| n.ends_with(".zip")) else { continue };
        let key = format!("failed/{name}");
        match case_store.put_file_if_absent(&key, &entry.path()).await {
            Ok(_) => kept.push(key),
            Err(e) => tracing::error!(key, error = %with_causes(&e), "what the failed run left could not be kept"),
        }
    }
    kept
}

async fn keep_one(store: &dyn Store, bundle: &ActedBundle) -> Result<Kept, KeepError> {
    let path = bundle.zip.clone();
    let hashed = tokio::task::spawn_blocking(move || std::fs::File::open(path).and_then(digest::of_reader)).await;
    let (sha256, bytes) =
        hashed.unwrap_or_else(|e| Err(io::Error::other(e))).map_err(|source| KeepError::HashZip { path: bundle.zip.clone(), source })?;
    if let Some(at) = bundle.place.clone() {
        // It lies there file by file, and S3's word about each of them is recorded. The zip is a copy for the road, which anybody can make of it.
        return Ok(Kept { name: bundle.name.clone(), root: bundle.root, sha256, bytes, at, verified: bundle.verified });
    }
    let name = format!("{}.zip", bundle.name);
    let failed = |source| KeepError::Store { name: name.clone(), source };
    if store.put_file_if_absent(&name, &bundle.zip).await.map_err(failed)? == Put::Exists {
        // Ours, after an answer that was lost and a put that was repeated? The bytes tell. A zip too large to ask for counts as somebody
        // else's: another run, under another name, costs time and no evidence.
        let there = store.get(&name).await.map_err(failed)?;
        if there.is_none_or(|there| Sha256::of(&there) != sha256) {
            return Err(KeepError::Other { name });
        }
    }
    // The form of `sha256sum`, so that `sha256sum -c` works where both were copied to.
    let digest_name = format!("{name}.sha256");
    let line = format!("{sha256}  {name}\n").into_bytes();
    if store.put_if_absent(&digest_name, line.clone()).await.map_err(failed)? == Put::Exists {
        // Ours after a repeated request; anything else means that the name was taken.
        let there = store.get(&digest_name).await.map_err(failed)?;
        if there.as_deref() != Some(line.as_slice()) {
            return Err(KeepError::Other { name });
        }
    }
    let at = format!("{}/{name}", store.describe());
    Ok(Kept { name: bundle.name.clone(), root: bundle.root, sha256, bytes, at, verified: bundle.verified })
}
