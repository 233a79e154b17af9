//! What every store must do; each back end runs it in its own tests.

use super::{MAX_OBJECT, Put, Store, StoreError};
use std::sync::Arc;

/// `fresh(n)` makes an empty store, a different one for each `n`.
pub(crate) async fn run<S: Store + 'static>(fresh: impl Fn(u32) -> S) {
    first_bytes_stay(fresh(0)).await;
    racing_puts_have_one_winner(Arc::new(fresh(1))).await;
    lists_are_sorted_and_by_segment(fresh(2)).await;
    hostile_keys_are_refused(fresh(3)).await;
    files_go_the_same_way(fresh(4)).await;
}

async fn first_bytes_stay(store: impl Store) {
    assert_eq!(store.get("journal/000001.jsonl").await.unwrap(), None);
    assert_eq!(store.put_if_absent("journal/000001.jsonl", b"first".to_vec()).await.unwrap(), Put::Stored);
    assert_eq!(store.put_if_absent("journal/000001.jsonl", b"second".to_vec()).await.unwrap(), Put::Exists);
    assert_eq!(store.get("journal/000001.jsonl").await.unwrap().unwrap(), b"first");
    assert_eq!(store.put_if_absent("empty", Vec::new()).await.unwrap(), Put::Stored);
    assert_eq!(store.get("empty").await.unwrap().unwrap(), b"");
    // A key whose parent is an object: absent on reading, never an object in a place of its own on a file system.
    assert_eq!(store.get("empty/below").await.unwrap(), None);
    let big = store.put_if_absent("big", vec![0; usize::try_from(MAX_OBJECT).unwrap() + 1]).await;
    assert!(matches!(big, Err(StoreError::TooLarge { .. })));
}

async fn racing_puts_have_one_winner(store: Arc<impl Store + 'static>) {
    for round in 0..10 {
        let key = format!("race/{round}");
        let mut tasks = tokio::task::JoinSet::new();
        for racer in 0..8u8 {
            let (store, key) = (store.clone(), key.clone());
            tasks.spawn(async move { (racer, store.put_if_absent(&key, vec![racer; 4096]).await.unwrap()) });
        }
        let winners: Vec<u8> = tasks.join_all().await.into_iter().filter(|(_, p)| *p == Put::Stored).map(|(r, _)| r).collect();
        assert_eq!(winners.len(), 1, "{winners:?}");
        assert_eq!(store.get(&key).await.unwrap().unwrap(), vec![winners[0]; 4096]);
    }
}

async fn lists_are_sorted_and_by_segment(store: impl Store) {
    for key in ["j/10", "j/2", "j/1/x", "j2/1", "a", "j/1-a"] {
        store.put_if_absent(key, b"x".to_vec()).await.unwrap();
    }
    assert_eq!(store.list("").await.unwrap(), ["a", "j/1-a", "j/1/x", "j/10", "j/2", "j2/1"]);
    assert_eq!(store.list("j").await.unwrap(), ["j/1-a", "j/1/x", "j/10", "j/2"]);
    assert_eq!(store.list("j/").await.unwrap(), store.list("j").await.unwrap());
    assert_eq!(store.list("nothing").await.unwrap(), Vec::<String>::new());
    store.put_if_absent("j/1-b/y", b"x".to_vec()).await.unwrap();
    assert_eq!(store.folders("").await.unwrap(), ["j", "j2"]);
    assert_eq!(store.folders("j").await.unwrap(), ["1", "1-b"]);
    assert_eq!(store.folders("nothing").await.unwrap(), Vec::<String>::new());
}

async fn hostile_keys_are_refused(store: impl Store) {
    for key in ["", "/etc/passwd", "../x", "a/../../x", "a//b", "a/.hidden", "a\\b", "a b", "a\n", "nul", "a/"] {
        assert!(matches!(store.put_if_absent(key, b"x".to_vec()).await, Err(StoreError::NameObject(_))), "put {key:?}");
        assert!(matches!(store.get(key).await, Err(StoreError::NameObject(_))), "get {key:?}");
    }
    for folder in ["/", "..", "../", "a//"] {
        assert!(matches!(store.list(folder).await, Err(StoreError::NameObject(_))), "list {folder:?}");
    }
    assert_eq!(store.list("").await.unwrap(), Vec::<String>::new());
}

async fn files_go_the_same_way(store: impl Store) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f");
    std::fs::write(&file, b"whole").unwrap();
    assert_eq!(store.put_file_if_absent("x/f", &file).await.unwrap(), Put::Stored);
    assert_eq!(store.put_file_if_absent("x/f", &dir.path().join("f")).await.unwrap(), Put::Exists);
    assert_eq!(store.get("x/f").await.unwrap().unwrap(), b"whole");
    assert!(matches!(store.put_file_if_absent("x/g", &dir.path().join("missing")).await, Err(StoreError::PutObject { .. })));
    assert_eq!(store.list("").await.unwrap(), ["x/f"]);
}
