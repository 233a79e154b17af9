//! The case as it lies in the vault, for somebody who may have nothing of it: its journal in the bucket is the truth, and each segment lies on the
//! local disk as well, so that the case can be gone on with from here by any command.
//!
//! A segment is put into the bucket first: of two processes that append there, one is second, and goes behind the other.

use super::super::bucket::{Asked, Bucket, Put as PutThere};
use super::super::place::Place;
use super::super::vault::Vault;
use crate::aws::fault::Fault;
use crate::bundle::case_journal::{CaseJournal, MAX_SEGMENT};
use crate::bundle::journal::JournalError;
use crate::model::digest::Sha256;
use crate::model::id::CaseId;
use crate::store::dir::DirStore;
use crate::store::{MAX_OBJECT, Put, Store, StoreError};
use async_trait::async_trait;
use std::path::Path;
use std::sync::Arc;

const FOLDER: &str = "journal";

#[derive(Debug, thiserror::Error)]
pub enum CaseStoreError {
    #[error("the case {case} cannot have a place below {to}")]
    Name { case: String, to: String },
    #[error("cannot bring the case's journal together")]
    Store(#[from] StoreError),
    #[error("{segment} of the case here is another than the one in the bucket: they are two cases under one name")]
    Differs { segment: String },
    #[error("cannot read the case's journal")]
    Journal(#[source] JournalError),
}

/// The case's journal, here and there the same when this returns, and the store that it lies in. `dir` need not exist.
pub async fn case_store(vault: &Vault, case: &CaseId, dir: &Path, operator: &str) -> Result<(CaseJournal, Arc<dyn Store>), CaseStoreError> {
    let name = || CaseStoreError::Name { case: case.to_string(), to: vault.to.to_string() };
    let place = vault.to.below(case.as_str()).ok_or_else(name)?;
    let there = InVault { bucket: vault.bucket.clone(), place, asked: vault.asked.clone() };
    let here = DirStore::open(dir)?;
    let both = Both { there, here };
    for segment in both.there.list(FOLDER).await? {
        let Some(bytes) = both.there.get(&segment).await? else { continue };
        if both.here.put_if_absent(&segment, bytes.clone()).await? == Put::Exists && both.here.get(&segment).await? != Some(bytes) {
            return Err(CaseStoreError::Differs { segment });
        }
    }
    // What a run on this very disk wrote and could not carry away.
    let known = both.there.list(FOLDER).await?;
    for segment in both.here.list(FOLDER).await?.into_iter().filter(|s| !known.contains(s)) {
        let Some(bytes) = both.here.get(&segment).await? else { continue };
        if both.there.put_if_absent(&segment, bytes.clone()).await? == Put::Exists && both.there.get(&segment).await? != Some(bytes) {
            return Err(CaseStoreError::Differs { segment });
        }
    }
    let store: Arc<dyn Store> = Arc::new(both);
    let clock = vault.bucket.clock.clone();
    let journal = CaseJournal::open(store.clone(), clock, operator).await.map_err(CaseStoreError::Journal)?;
    Ok((journal, store))
}

/// A folder of the vault, put as everything there is put.
#[derive(Debug)]
struct InVault {
    bucket: Bucket,
    place: Place,
    asked: Asked,
}

#[async_trait]
impl Store for InVault {
    async fn put_if_absent(&self, key: &str, bytes: Vec<u8>) -> Result<Put, StoreError> {
        crate::store::check_size(key, bytes.len() as u64)?;
        let at = self.place.key(&crate::store::key(key)?);
        let (sha256, length) = (Sha256::of(&bytes), bytes.len() as u64);
        let bytes = bytes::Bytes::from(bytes);
        let put = self.bucket.put(&at, sha256, length, || bytes.clone().into(), &self.asked).await;
        let put = put.map_err(|f| StoreError::PutObject { key: key.into(), place: self.describe(), source: f.into() })?;
        Ok(if put == PutThere::Stored { Put::Stored } else { Put::Exists })
    }

    async fn put_file_if_absent(&self, key: &str, from: &Path) -> Result<Put, StoreError> {
        let bytes = crate::store::disk::read_bounded(from, MAX_OBJECT);
        let bytes = bytes.map_err(|e| StoreError::PutObject { key: key.into(), place: self.describe(), source: e.into() })?;
        self.put_if_absent(key, bytes.unwrap_or_default()).await
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let at = self.place.key(&crate::store::key(key)?);
        let failed = |f: Fault| StoreError::GetObject { key: key.into(), place: self.describe(), source: f.into() };
        match self.bucket.head(&at, None).await.map_err(failed)? {
            None => Ok(None),
            Some(_) => self.bucket.get_small(&at, None, MAX_SEGMENT as u64).await.map(Some).map_err(failed),
        }
    }

    async fn list(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        let (lead, folder) = (self.place.lead(), crate::store::folder(folder)?);
        let below = folder.as_ref().map_or(lead.clone(), |f| format!("{lead}{}/", f.as_str()));
        let failed = |f: Fault| StoreError::ListObjects { folder: below.clone(), place: self.describe(), source: f.into() };
        let listed = self.bucket.objects(&below).await.map_err(failed)?;
        let mut keys: Vec<String> = listed.into_iter().filter_map(|o| o.key.strip_prefix(&lead).map(str::to_string)).collect();
        keys.retain(|k| crate::store::key(k).is_ok());
        keys.sort();
        Ok(keys)
    }

    fn describe(&self) -> String {
        self.place.to_string()
    }
}

#[derive(Debug)]
struct Both {
    there: InVault,
    here: DirStore,
}

#[async_trait]
impl Store for Both {
    async fn put_if_absent(&self, key: &str, bytes: Vec<u8>) -> Result<Put, StoreError> {
        let put = self.there.put_if_absent(key, bytes.clone()).await?;
        if put == Put::Stored {
            self.here.put_if_absent(key, bytes).await?;
        }
        Ok(put)
    }
    async fn put_file_if_absent(&self, key: &str, from: &Path) -> Result<Put, StoreError> {
        self.there.put_file_if_absent(key, from).await
    }
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let there = self.there.get(key).await?;
        if let Some(bytes) = &there {
            self.here.put_if_absent(key, bytes.clone()).await?;
        }
        Ok(there)
    }
    async fn list(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        self.there.list(folder).await
    }
    fn describe(&self) -> String {
        self.there.describe()
    }
}
