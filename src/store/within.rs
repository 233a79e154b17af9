//! A folder of a store, as a store: how a case gets one of its own (`cases/<case>/`) wherever the cases are kept.

use super::{Put, Store, StoreError, folder, key};
use crate::model::path::BundlePath;
use async_trait::async_trait;
use std::path::Path;
use std::sync::Arc;

#[derive(Clone, Debug)]
pub struct Within {
    store: Arc<dyn Store>,
    folder: BundlePath,
}

impl Within {
    pub fn new(store: Arc<dyn Store>, folder: &str) -> Result<Self, StoreError> {
        Ok(Within { store, folder: key(folder)? })
    }

    /// The key is checked by itself before it is put behind the folder: `../x` must not become a sibling.
    fn full(&self, text: &str) -> Result<String, StoreError> {
        key(text).map(|k| format!("{}/{}", self.folder.as_str(), k.as_str()))
    }
}

#[async_trait]
impl Store for Within {
    async fn put_if_absent(&self, key: &str, bytes: Vec<u8>) -> Result<Put, StoreError> {
        self.store.put_if_absent(&self.full(key)?, bytes).await
    }
    async fn put_file_if_absent(&self, key: &str, from: &Path) -> Result<Put, StoreError> {
        self.store.put_file_if_absent(&self.full(key)?, from).await
    }
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.get(&self.full(key)?).await
    }
    async fn list(&self, below: &str) -> Result<Vec<String>, StoreError> {
        let inside = match folder(below)? {
            Some(f) => format!("{}/{}", self.folder.as_str(), f.as_str()),
            None => self.folder.as_str().to_string(),
        };
        let own = self.folder.as_str().len() + 1;
        let keys = self.store.list(&inside).await?;
        Ok(keys.iter().filter_map(|k| k.get(own..)).map(str::to_string).collect())
    }
    async fn folders(&self, below: &str) -> Result<Vec<String>, StoreError> {
        let inside = folder(below)?.map_or(self.folder.as_str().to_string(), |f| format!("{}/{}", self.folder.as_str(), f.as_str()));
        self.store.folders(&inside).await
    }
    fn describe(&self) -> String {
        format!("{}/{}", self.store.describe(), self.folder.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::mem::MemStore;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn conforms() {
        super::super::conformance::run(|_| Within::new(Arc::new(MemStore::new()), "cases/IR-1").unwrap()).await;
    }

    #[tokio::test]
    async fn neighbours_are_out_of_reach() {
        let all = Arc::new(MemStore::new());
        let (one, two) = (Within::new(all.clone(), "cases/IR-1").unwrap(), Within::new(all.clone(), "cases/IR-10").unwrap());
        one.put_if_absent("a", b"1".to_vec()).await.unwrap();
        two.put_if_absent("a", b"2".to_vec()).await.unwrap();
        assert_eq!(one.list("").await.unwrap(), ["a"]);
        assert!(one.get("../IR-10/a").await.is_err());
        assert_eq!(all.list("").await.unwrap(), ["cases/IR-1/a", "cases/IR-10/a"]);
        assert!(Within::new(all, "../x").is_err());
    }
}
