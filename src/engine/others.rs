//! The other cases: which cells they hold, and what they are putting back just now.
//!
//! Two cases know of each other through their journals alone. So that they cannot miss each other, whoever is about to change a cell first writes
//! down that he will, and then looks at the others' journals: of two who come at the same time at least one sees the other
//! (`contain.rs`, `restore.rs`). What it never does: write into another case's journal.

use super::log::{OpenCell, holds, open_cells, restores_begun, same_place};
use crate::bundle::case_journal::CaseJournal;
use crate::clock::Clock;
use crate::model::causes::with_causes;
use crate::model::id::CellId;
use crate::model::journal_event::JournalEvent;
use crate::model::target::Target;
use crate::store::{Store, StoreError};
use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Putting back of one cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restores {
    /// How often somebody began to.
    pub begun: usize,
    /// Somebody has begun and not said how it ended: he is at it, or died.
    pub open: bool,
}

impl Restores {
    pub(super) fn and(self, other: Restores) -> Restores {
        Restores { begun: self.begun + other.begun, open: self.open || other.open }
    }
}

#[async_trait]
pub trait Others: Send + Sync {
    /// Read what they have written since, and find those that are new.
    async fn look_again(&self);
    /// Read what the known ones have written since: quick, for the moment between an intent and its write.
    async fn glance(&self);
    /// The other case that holds this cell, if any.
    fn holder(&self, cell: &CellId, target: &Target) -> Option<String>;
    /// The other case that left the cell like this and has not put it back, whether or not it gave way.
    fn author(&self, cell: &CellId, target: &Target, same: &dyn Fn(&Value) -> bool) -> Option<String>;
    fn restores(&self, cell: &CellId) -> Restores;
    /// A case whose journal cannot be read, so that it may hold anything; and why it cannot.
    fn in_doubt(&self) -> Option<(String, String)>;
    /// The cells of this action that they hold where the target lies.
    fn cells(&self, action: &str, target: &Target) -> Vec<CellId>;
    /// All that they contained and have not put back, whether or not they gave way, each with its case.
    fn contained(&self) -> Vec<(String, OpenCell)>;
}

/// Cases that say nothing new and restore nothing: for tests and for whoever knows the holder by other means.
#[async_trait]
impl<F> Others for F
where
    F: Fn(&CellId, &Target) -> Option<String> + Send + Sync,
{
    async fn look_again(&self) {}
    async fn glance(&self) {}
    fn holder(&self, cell: &CellId, target: &Target) -> Option<String> {
        self(cell, target)
    }
    fn author(&self, _: &CellId, _: &Target, _: &dyn Fn(&Value) -> bool) -> Option<String> {
        None
    }
    fn restores(&self, _: &CellId) -> Restores {
        Restores::default()
    }
    fn in_doubt(&self) -> Option<(String, String)> {
        None
    }
    fn cells(&self, _: &str, _: &Target) -> Vec<CellId> {
        vec![]
    }
    fn contained(&self) -> Vec<(String, OpenCell)> {
        vec![]
    }
}

/// A case's name, and its store if that can be opened.
pub type Place = (String, Result<Arc<dyn Store>, StoreError>);

/// Where cases lie.
#[async_trait]
pub trait CasePlaces: Send + Sync {
    /// Every case but one's own that has a journal, with its store.
    async fn places(&self) -> Result<Vec<Place>, StoreError>;
}

/// A list of cases is good for so long.
const FRESH_NS: u64 = 1_000_000_000;
/// Journals that are opened at once.
const FETCH: usize = 8;

#[derive(Default)]
struct Case {
    journal: Option<Arc<CaseJournal>>,
    events: Arc<Vec<JournalEvent>>,
    /// Why its journal could not be read when it was last looked at.
    trouble: Option<String>,
}

/// The cases that can be seen from here, with their journals.
pub struct OtherCases {
    places: Option<Box<dyn CasePlaces>>,
    clock: Arc<dyn Clock>,
    cases: Mutex<BTreeMap<String, Case>>,
    /// When they were last listed, in monotonic nanoseconds.
    looked: AtomicU64,
}

impl OtherCases {
    /// There are none, and there will be none.
    pub fn none(clock: Arc<dyn Clock>) -> Self {
        OtherCases { places: None, clock, cases: Mutex::default(), looked: AtomicU64::new(0) }
    }

    /// All that are there now; read again before each change.
    pub async fn open(places: Box<dyn CasePlaces>, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let others = OtherCases { places: Some(places), clock, cases: Mutex::default(), looked: AtomicU64::new(0) };
        others.read().await?;
        Ok(others)
    }

    /// Cases whose journal cannot be read, so that what they hold is not known (beyond what was read of it before).
    pub fn unreadable(&self) -> Vec<(String, String)> {
        let cases = self.cases();
        cases.iter().filter_map(|(name, case)| Some((name.clone(), case.trouble.clone()?))).collect()
    }

    fn cases(&self) -> MutexGuard<'_, BTreeMap<String, Case>> {
        self.cases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every case that there is, opened or read on.
    async fn read(&self) -> Result<(), StoreError> {
        let Some(places) = &self.places else { return Ok(()) };
        self.looked.store(self.clock.monotonic_ns(), Ordering::SeqCst);
        let found = places.places().await?;
        let reads = {
            let mut cases = self.cases();
            // What was never read and is named no more is nothing to doubt.
            cases.retain(|name, case| case.journal.is_some() || found.iter().any(|(known, _)| known == name));
            let journal = |name: &str| cases.get(name).and_then(|c| c.journal.clone());
            found.into_iter().map(|(name, store)| read_one(journal(&name), name, Some(store), self.clock.clone())).collect::<Vec<_>>()
        };
        self.take(reads).await;
        Ok(())
    }

    async fn take(&self, reads: Vec<impl Future<Output = (String, Result<Arc<CaseJournal>, String>)>>) {
        let mut read = stream::iter(reads).buffer_unordered(FETCH);
        while let Some((name, read)) = read.next().await {
            let mut cases = self.cases();
            let case = cases.entry(name).or_default();
            match read {
                Ok(journal) => {
                    *case = Case { events: Arc::new(journal.events()), journal: Some(journal), trouble: None };
                }
                // What was known stays: a hold in doubt is a hold.
                Err(why) => case.trouble = Some(why),
            }
        }
    }

    fn events(&self) -> Vec<(String, Arc<Vec<JournalEvent>>)> {
        self.cases().iter().map(|(name, case)| (name.clone(), case.events.clone())).collect()
    }
}

/// The journal with all that is in it now: opened, or read on where it was left.
async fn read_one(
    known: Option<Arc<CaseJournal>>,
    name: String,
    store: Option<Result<Arc<dyn Store>, StoreError>>,
    clock: Arc<dyn Clock>,
) -> (String, Result<Arc<CaseJournal>, String>) {
    let read = match (known, store) {
        (Some(journal), _) => journal.catch_up().await.map(|()| journal).map_err(|e| with_causes(&e)),
        (None, Some(Ok(store))) => CaseJournal::open(store, clock, "").await.map(Arc::new).map_err(|e| with_causes(&e)),
        (None, Some(Err(e))) => Err(with_causes(&e)),
        (None, None) => Err("its journal could not be opened".into()),
    };
    (name, read)
}

#[async_trait]
impl Others for OtherCases {
    async fn look_again(&self) {
        // A case that is younger than this sees us: it looks for others when it begins, and at them before it writes.
        if self.clock.monotonic_ns().saturating_sub(self.looked.load(Ordering::SeqCst)) < FRESH_NS {
            return self.glance().await;
        }
        if let Err(e) = self.read().await {
            for case in self.cases().values_mut() {
                case.trouble.get_or_insert_with(|| with_causes(&e));
            }
        }
    }
    async fn glance(&self) {
        let reads = {
            let cases = self.cases();
            let known = cases.iter().filter_map(|(name, case)| Some((name.clone(), case.journal.clone()?)));
            known.map(|(name, journal)| read_one(Some(journal), name, None, self.clock.clone())).collect::<Vec<_>>()
        };
        self.take(reads).await;
    }
    fn holder(&self, cell: &CellId, target: &Target) -> Option<String> {
        self.events().into_iter().find(|(_, events)| holds(events, cell, target)).map(|(case, _)| case)
    }
    fn author(&self, cell: &CellId, target: &Target, same: &dyn Fn(&Value) -> bool) -> Option<String> {
        let wrote = |o: &OpenCell| o.cell == *cell && o.is_ours(same) && o.grasps.iter().any(|g| same_place(cell, &g.target, target));
        self.events().into_iter().find(|(_, events)| open_cells(events).iter().any(wrote)).map(|(case, _)| case)
    }
    fn restores(&self, cell: &CellId) -> Restores {
        self.events().iter().map(|(_, events)| restores_begun(events, cell, None)).fold(Restores::default(), Restores::and)
    }
    fn in_doubt(&self) -> Option<(String, String)> {
        self.unreadable().into_iter().next()
    }
    fn cells(&self, action: &str, target: &Target) -> Vec<CellId> {
        let mut cells = vec![];
        for (_, events) in self.events() {
            let open = open_cells(&events).into_iter().filter(|o| !o.gave_way && o.cell.action() == action);
            let here = open.filter(|o| o.grasps.iter().any(|g| same_place(&o.cell, &g.target, target)));
            cells.extend(here.map(|o| o.cell));
        }
        cells.sort();
        cells.dedup();
        cells
    }
    fn contained(&self) -> Vec<(String, OpenCell)> {
        let open = |(case, events): (String, Arc<Vec<JournalEvent>>)| open_cells(&events).into_iter().map(move |o| (case.clone(), o));
        self.events().into_iter().flat_map(open).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::FakeClock;
    use crate::engine::log::parse_target;
    use crate::model::id::RunId;
    use crate::store::mem::MemStore;
    use serde_json::json;

    struct Places(Mutex<Vec<(String, Arc<MemStore>)>>);
    #[async_trait]
    impl CasePlaces for Arc<Places> {
        async fn places(&self) -> Result<Vec<Place>, StoreError> {
            Ok(self.0.lock().unwrap().iter().map(|(name, store)| (name.clone(), Ok(store.clone() as Arc<dyn Store>))).collect())
        }
    }

    #[tokio::test]
    async fn what_is_written_later_is_seen_and_what_cannot_be_read_is_named() {
        let clock: Arc<dyn Clock> = Arc::new(FakeClock::at("2026-11-20T12:00:00Z").unwrap());
        let (first, second) = (Arc::new(MemStore::new()), Arc::new(MemStore::new()));
        let places = Arc::new(Places(Mutex::new(vec![("IR-1".to_string(), first.clone())])));
        let others = OtherCases::open(Box::new(places.clone()), clock.clone()).await.unwrap();
        let target = parse_target("arn:aws:lambda:eu-west-1:123456789012:function:f").unwrap();
        let cell = CellId::new("detach-permissions", "inline/r/p");
        let hold = JournalEvent::AlreadyContained { run: RunId("r".into()), cell: cell.clone(), target: target.arn(), state: json!(0) };
        assert_eq!((others.holder(&cell, &target), others.cells("detach-permissions", &target)), (None, vec![]));

        let journal = CaseJournal::open(first, clock.clone(), "me").await.unwrap();
        journal.append(hold.clone()).await.unwrap();
        assert_eq!(others.holder(&cell, &target), None);
        others.look_again().await;
        assert_eq!(others.holder(&cell, &target).as_deref(), Some("IR-1"));
        assert_eq!(others.cells("detach-permissions", &target), std::slice::from_ref(&cell));
        assert_eq!(others.cells("quarantine-role", &target), []);
        let contained: Vec<(String, CellId)> = others.contained().into_iter().map(|(case, open)| (case, open.cell)).collect();
        assert_eq!(contained, [("IR-1".to_string(), cell.clone())]);

        let begins = JournalEvent::RestoreIntent { run: RunId("s".into()), cell: cell.clone(), from: json!(0), to: json!(1) };
        journal.append(begins).await.unwrap();
        second.put_if_absent("journal/000001.jsonl", b"no line".to_vec()).await.unwrap();
        clock.sleep(std::time::Duration::from_secs(2)).await;
        places.0.lock().unwrap().push(("IR-2".to_string(), second));
        others.look_again().await;
        assert_eq!(others.restores(&cell), Restores { begun: 1, open: true });
        assert_eq!(others.unreadable().into_iter().map(|(name, _)| name).collect::<Vec<_>>(), ["IR-2"]);
        assert_eq!(others.in_doubt().map(|(name, _)| name).as_deref(), Some("IR-2"), "what it holds nobody knows");
        let ended = JournalEvent::Restored { run: RunId("s".into()), cell: cell.clone(), wrote: true, through: None };
        journal.append(ended).await.unwrap();
        others.look_again().await;
        assert_eq!((others.restores(&cell), others.holder(&cell, &target)), (Restores { begun: 1, open: false }, None));
    }
}
