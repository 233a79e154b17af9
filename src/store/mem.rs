//! A store in memory, for tests; it can be told to refuse, or to lose its answer after the object has landed.

use super::{Put, Store, StoreError, check_size, folder, key};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
pub struct MemStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<String, Vec<u8>>,
    /// Puts that still go well; `None` is without end.
    puts_left: Option<u64>,
    /// The next put lands, and its caller hears of an error.
    lose_answer: bool,
}

impl MemStore {
    pub fn new() -> Self {
        Self::default()
    }
    /// After `puts` more, every put fails and leaves nothing behind.
    pub fn refuse_puts_after(&self, puts: u64) {
        self.state().puts_left = Some(puts);
    }
    pub fn stop_refusing(&self) {
        self.state().puts_left = None;
    }
    /// The next put lands and is reported as failed, like a request that timed out behind the server.
    pub fn lose_next_answer(&self) {
        self.state().lose_answer = true;
    }
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for MemStore {
    async fn put_if_absent(&self, key_text: &str, bytes: Vec<u8>) -> Result<Put, StoreError> {
        let key = key(key_text)?;
        check_size(key_text, bytes.len() as u64)?;
        let failed = |why: &'static str| StoreError::PutObject { key: key_text.into(), place: self.describe(), source: why.into() };
        let mut state = self.state();
        match &mut state.puts_left {
            Some(0) => return Err(failed("told to refuse")),
            Some(n) => *n -= 1,
            None => {}
        }
        if state.objects.contains_key(key.as_str()) {
            return Ok(Put::Exists);
        }
        state.objects.insert(key.into(), bytes);
        if std::mem::take(&mut state.lose_answer) { Err(failed("told to lose the answer")) } else { Ok(Put::Stored) }
    }

    async fn put_file_if_absent(&self, key_text: &str, from: &Path) -> Result<Put, StoreError> {
        let bytes = super::disk::read_bounded(from, super::MAX_OBJECT)
            .and_then(|b| b.ok_or_else(|| std::io::ErrorKind::NotFound.into()))
            .map_err(|e| StoreError::PutObject { key: key_text.into(), place: self.describe(), source: e.into() })?;
        self.put_if_absent(key_text, bytes).await
    }

    async fn get(&self, key_text: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let key = key(key_text)?;
        Ok(self.state().objects.get(key.as_str()).cloned())
    }

    async fn list(&self, folder_text: &str) -> Result<Vec<String>, StoreError> {
        let inside = folder(folder_text)?.map(|f| format!("{}/", f.as_str())).unwrap_or_default();
        Ok(self.state().objects.keys().filter(|k| k.starts_with(&inside)).cloned().collect())
    }

    fn describe(&self) -> String {
        "memory".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn conforms() {
        super::super::conformance::run(|_| MemStore::new()).await;
    }

    #[tokio::test]
    async fn refuses_when_told() {
        let store = MemStore::new();
        store.refuse_puts_after(1);
        assert_eq!(store.put_if_absent("a", vec![]).await.unwrap(), Put::Stored);
        assert!(store.put_if_absent("b", vec![]).await.is_err());
        assert_eq!(store.list("").await.unwrap(), ["a"]);
        store.stop_refusing();
        store.lose_next_answer();
        assert!(store.put_if_absent("b", vec![7]).await.is_err());
        assert_eq!(store.get("b").await.unwrap(), Some(vec![7]));
    }
}
