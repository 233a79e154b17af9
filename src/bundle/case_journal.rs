//! The case's journal: what was changed in AWS and put back, by whom, on what grounds. Restore reads nothing else.
//!
//! Segments `journal/NNNNNN.jsonl` in a [`Store`]; one append puts one segment under the next free number. Putting is atomic and never
//! replaces, so an append is linearizable: two collectors cannot both own a number, and the one that comes late reads what the other wrote
//! and goes behind it. The chain spans segments. Files in the folder that are named otherwise are no part of it and are left alone.
//!
//! What it never does: hand out a line that does not continue the chain, or write behind one.

use super::chain::{self, ChainHead};
use super::fault_point;
use super::journal::{JournalError, MAX_SEGMENTS, segment_name};
use crate::clock::{Clock, stamp};
use crate::model::journal_event::{JournalEvent, JournalLine};
use crate::store::{Put, Store};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const FOLDER: &str = "journal";
/// The largest segment that is written or read.
pub const MAX_SEGMENT: usize = 4 << 20;
/// So often may others be faster than we before an append gives up.
const TRIES: u32 = 32;
/// Segments that are fetched at once when a journal is opened.
const FETCH: usize = 8;

#[derive(Debug)]
pub struct CaseJournal {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    actor: Mutex<String>,
    tail: Mutex<Tail>,
    /// Held while appending or catching up, so that tasks of one process do not race each other through the store.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Tail {
    head: Option<ChainHead>,
    segments: u32,
    lines: Vec<JournalLine>,
}

impl Tail {
    fn head(&self) -> ChainHead {
        self.head.unwrap_or(ChainHead::START)
    }
}

impl CaseJournal {
    /// Reads and checks the whole journal. A store without one is a journal without lines.
    pub async fn open(store: Arc<dyn Store>, clock: Arc<dyn Clock>, actor: &str) -> Result<Self, JournalError> {
        let journal =
            CaseJournal { store, clock, actor: Mutex::new(actor.into()), tail: Mutex::default(), turn: tokio::sync::Mutex::default() };
        let keys = journal.store.list(FOLDER).await.map_err(JournalError::ListJournal)?;
        let numbers: Vec<u32> = keys.iter().filter_map(|k| number_of(k)).collect();
        for (expected, found) in (1..).zip(&numbers) {
            if *found != expected {
                return Err(JournalError::MissingSegment { number: expected });
            }
        }
        let mut segments = stream::iter(numbers).map(async |n| journal.fetch(n).await.map(|bytes| (n, bytes))).buffered(FETCH);
        while let Some((number, bytes)) = segments.try_next().await? {
            // It was listed a moment ago, and nothing deletes.
            let bytes = bytes.ok_or(JournalError::MissingSegment { number })?;
            journal.take(number, &bytes)?;
        }
        drop(segments);
        Ok(journal)
    }

    /// Who acts from now on.
    pub fn set_actor(&self, actor: &str) {
        *self.actor.lock().unwrap_or_else(PoisonError::into_inner) = actor.into();
    }

    /// Every line known here: all that were there when the journal was opened or last caught up, and all of ours.
    pub fn lines(&self) -> Vec<JournalLine> {
        self.tail().lines.clone()
    }

    /// The same without who and when.
    pub fn events(&self) -> Vec<JournalEvent> {
        self.tail().lines.iter().map(|l| l.event.clone()).collect()
    }

    pub fn head(&self) -> ChainHead {
        self.tail().head()
    }

    /// Durable, and in its place behind everything that anybody wrote before, when this returns `Ok`.
    ///
    /// Cancel safety: when dropped half-way, the event may or may not be in the journal; the next append finds out and goes behind it.
    pub async fn append(&self, event: JournalEvent) -> Result<(), JournalError> {
        self.append_all(vec![event]).await
    }

    /// Several events as one segment: all of them or none.
    pub async fn append_all(&self, events: Vec<JournalEvent>) -> Result<(), JournalError> {
        self.append_if(&events, &|_| true).await.map(drop)
    }

    /// The event, unless one that `spoils` it stands behind the first `seen` lines by the time that it would be appended. `false`: it was not.
    /// Both in one: nobody can append anything between the last look and the event.
    pub async fn append_unless(
        &self,
        event: JournalEvent,
        seen: usize,
        spoils: &(dyn Fn(&JournalEvent) -> bool + Sync),
    ) -> Result<bool, JournalError> {
        self.append_if(&[event], &|lines| !lines.iter().skip(seen).any(|l| spoils(&l.event))).await
    }

    async fn append_if(&self, events: &[JournalEvent], fits: &(dyn Fn(&[JournalLine]) -> bool + Sync)) -> Result<bool, JournalError> {
        if events.is_empty() {
            return Ok(true);
        }
        let _turn = self.turn.lock().await;
        for _ in 0..TRIES {
            // A copy, so that whoever judges may ask this journal.
            let lines = self.lines();
            if !fits(&lines) {
                return Ok(false);
            }
            let (number, bytes) = self.next(events)?;
            let put = self.store.put_if_absent(&key(number), bytes.clone()).await;
            match put.map_err(|source| JournalError::AppendJournalSegment { number, source })? {
                Put::Stored => {
                    fault_point::reached("case-segment");
                    return self.take(number, &bytes).map(|()| true);
                }
                Put::Exists => {
                    let there = self.fetch(number).await?.ok_or(JournalError::MissingSegment { number })?;
                    self.take(number, &there)?;
                    // Ours already: the first answer was lost below us and the request was repeated. Somebody else's segment cannot be
                    // the same bytes, for it holds his nanosecond and his run.
                    if there == bytes {
                        return Ok(true);
                    }
                    self.catch_up_locked().await?;
                }
            }
        }
        Err(JournalError::Contended { tries: TRIES })
    }

    /// Reads what others have appended since.
    pub async fn catch_up(&self) -> Result<(), JournalError> {
        let _turn = self.turn.lock().await;
        self.catch_up_locked().await
    }

    async fn catch_up_locked(&self) -> Result<(), JournalError> {
        loop {
            let number = self.tail().segments + 1;
            match self.fetch(number).await? {
                Some(bytes) => self.take(number, &bytes)?,
                None => return Ok(()),
            }
        }
    }

    /// The next segment. It is read back here as others will read it, so that nothing is stored that would make the journal unreadable.
    fn next(&self, events: &[JournalEvent]) -> Result<(u32, Vec<u8>), JournalError> {
        let (start, number) = {
            let tail = self.tail();
            (tail.head(), tail.segments + 1)
        };
        if number > MAX_SEGMENTS {
            return Err(JournalError::TooManySegments);
        }
        let actor = self.actor.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (mut head, mut segment) = (start, Vec::new());
        for event in events {
            let line = chain::line(&mut head, &stamp(self.clock.now()), self.clock.monotonic_ns(), &actor, event.clone())
                .map_err(JournalError::MakeLine)?;
            if line.len() > chain::MAX_LINE {
                return Err(JournalError::LineTooLong { bytes: line.len() });
            }
            segment.extend(line);
            segment.push(b'\n');
        }
        if segment.len() > MAX_SEGMENT {
            return Err(JournalError::SegmentTooLarge { number, bytes: segment.len() });
        }
        read_segment(start, number, &segment)?;
        Ok((number, segment))
    }

    async fn fetch(&self, number: u32) -> Result<Option<Vec<u8>>, JournalError> {
        self.store.get(&key(number)).await.map_err(|source| JournalError::ReadJournalSegment { number, source })
    }

    /// Checks the segment and moves the tail behind it.
    fn take(&self, number: u32, bytes: &[u8]) -> Result<(), JournalError> {
        let mut tail = self.tail();
        let (head, lines) = read_segment(tail.head(), number, bytes)?;
        tail.head = Some(head);
        tail.segments = number;
        tail.lines.extend(lines);
        Ok(())
    }

    fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read_segment(mut head: ChainHead, number: u32, bytes: &[u8]) -> Result<(ChainHead, Vec<JournalLine>), JournalError> {
    let damaged = |what| JournalError::DamagedSegment { number, what };
    if bytes.len() > MAX_SEGMENT {
        return Err(damaged("larger than a segment may be"));
    }
    let Some(text) = bytes.strip_suffix(b"\n") else {
        return Err(damaged(if bytes.is_empty() { "empty" } else { "cut off" }));
    };
    let mut lines = Vec::new();
    for (n, line) in (1..).zip(text.split(|b| *b == b'\n')) {
        lines.push(chain::follow(&mut head, line).map_err(|source| JournalError::CheckJournalLine { number, line: n, source })?);
    }
    Ok((head, lines))
}

fn key(number: u32) -> String {
    format!("{FOLDER}/{}", segment_name(number))
}

fn number_of(key_text: &str) -> Option<u32> {
    let number = key_text.strip_prefix("journal/")?.strip_suffix(".jsonl")?.parse().ok()?;
    (key(number) == key_text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::chain::tests::{event, independent};
    use crate::clock::FakeClock;
    use crate::store::dir::DirStore;
    use crate::store::mem::MemStore;

    fn clock() -> Arc<dyn Clock> {
        Arc::new(FakeClock::at("2026-11-20T12:00:00Z").unwrap())
    }
    async fn open(store: &Arc<MemStore>) -> Result<CaseJournal, JournalError> {
        CaseJournal::open(store.clone(), clock(), "me").await
    }
    async fn bytes(store: &dyn Store) -> Vec<u8> {
        let mut all = Vec::new();
        for key in store.list(FOLDER).await.unwrap() {
            all.extend(store.get(&key).await.unwrap().unwrap());
        }
        all
    }

    #[tokio::test]
    async fn what_was_appended_is_read_again() {
        let store = Arc::new(MemStore::new());
        let journal = open(&store).await.unwrap();
        assert_eq!(journal.events(), []);
        journal.append(event("1")).await.unwrap();
        journal.append_all(vec![event("2"), event("3")]).await.unwrap();
        journal.append_all(vec![]).await.unwrap();
        store.put_if_absent("journal/notes.txt", b"a stranger's".to_vec()).await.unwrap();

        assert_eq!(store.list(FOLDER).await.unwrap(), ["journal/000001.jsonl", "journal/000002.jsonl", "journal/notes.txt"]);
        // Spawned, because the handler needs this future to be `Send`.
        let again = tokio::spawn({
            let store = store.clone();
            async move { open(&store).await }
        })
        .await
        .unwrap()
        .unwrap();
        assert_eq!(again.events(), [event("1"), event("2"), event("3")]);
        assert_eq!((again.lines(), again.head()), (journal.lines(), journal.head()));
    }

    /// Two processes on one directory, four tasks each: every event lands once, in one order that both agree on.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn racing_openers_share_one_chain() {
        let dir = tempfile::tempdir().unwrap();
        let mut openers = Vec::new();
        for _ in 0..2 {
            let store = Arc::new(DirStore::open(dir.path()).unwrap());
            openers.push(Arc::new(CaseJournal::open(store, clock(), "me").await.unwrap()));
        }
        let mut tasks = tokio::task::JoinSet::new();
        for (o, opener) in openers.iter().enumerate() {
            for t in 0..4 {
                let opener = opener.clone();
                tasks.spawn(async move {
                    for n in 0..5 {
                        opener.append(event(&format!("{o}-{t}-{n}"))).await.unwrap();
                    }
                });
            }
        }
        tasks.join_all().await;
        for opener in &openers {
            opener.catch_up().await.unwrap();
        }
        assert_eq!(openers[0].lines(), openers[1].lines());
        let (head, names) = independent(&bytes(&DirStore::open(dir.path()).unwrap()).await);
        assert_eq!((head, names.len()), (openers[0].head().prev, 40));
        let mut seen: Vec<String> = openers[0].events().iter().map(|e| format!("{e:?}")).collect();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 40);
    }

    #[tokio::test]
    async fn nothing_is_appended_behind_what_spoils_it() {
        let store = Arc::new(MemStore::new());
        let (ours, theirs) = (open(&store).await.unwrap(), open(&store).await.unwrap());
        theirs.append(event("1")).await.unwrap();
        // We do not know of it until we try to append.
        assert_eq!(ours.events(), []);
        let spoils = |e: &JournalEvent| *e == event("1");
        assert!(!ours.append_unless(event("2"), 0, &spoils).await.unwrap());
        assert_eq!(ours.events(), [event("1")]);
        assert!(ours.append_unless(event("2"), 1, &spoils).await.unwrap(), "what was there at the look is no news");
        theirs.append(event("3")).await.unwrap();
        assert!(ours.append_unless(event("4"), 1, &spoils).await.unwrap(), "others may append what they like");
        assert_eq!(ours.events(), [event("1"), event("2"), event("3"), event("4")]);
    }

    #[tokio::test]
    async fn a_refusing_store_fails_the_append_and_a_lost_answer_is_found_again() {
        let store = Arc::new(MemStore::new());
        let journal = open(&store).await.unwrap();
        journal.append(event("1")).await.unwrap();
        store.refuse_puts_after(0);
        assert!(matches!(journal.append(event("2")).await, Err(JournalError::AppendJournalSegment { number: 2, .. })));
        assert_eq!(journal.events().len(), 1);
        store.stop_refusing();
        // It lands, and we hear of a failure: the next append goes behind it.
        store.lose_next_answer();
        assert!(journal.append(event("3")).await.is_err());
        journal.append(event("4")).await.unwrap();
        assert_eq!(journal.events(), [event("1"), event("3"), event("4")]);
        assert_eq!(open(&store).await.unwrap().lines(), journal.lines());
    }

    /// A request that was repeated below us finds its own object there.
    #[tokio::test]
    async fn our_own_segment_is_not_appended_twice() {
        let store = Arc::new(MemStore::new());
        let journal = open(&store).await.unwrap();
        let (number, ours) = journal.next(&[event("1")]).unwrap();
        store.put_if_absent(&key(number), ours).await.unwrap();
        journal.append(event("1")).await.unwrap();
        assert_eq!(store.list(FOLDER).await.unwrap(), ["journal/000001.jsonl"]);
        assert_eq!(journal.events(), [event("1")]);
    }

    #[tokio::test]
    async fn damage_is_named_by_segment_and_line() {
        let good = Arc::new(MemStore::new());
        let journal = open(&good).await.unwrap();
        journal.append(event("1")).await.unwrap();
        journal.append_all(vec![event("2"), event("3")]).await.unwrap();
        journal.append(event("4")).await.unwrap();

        let with = async |number: u32, change: &dyn Fn(String) -> Option<String>| {
            let store = Arc::new(MemStore::new());
            for n in 1..=3 {
                let text = String::from_utf8(good.get(&key(n)).await.unwrap().unwrap()).unwrap();
                if let Some(text) = if n == number { change(text) } else { Some(text) } {
                    store.put_if_absent(&key(n), text.into_bytes()).await.unwrap();
                }
            }
            open(&store).await
        };
        assert!(with(0, &|_| None).await.is_ok());
        assert!(matches!(with(2, &|_| None).await, Err(JournalError::MissingSegment { number: 2 })));
        assert!(matches!(
            with(2, &|t| Some(t.replace("\"by\":\"2\"", "\"by\":\"9\""))).await,
            Err(JournalError::CheckJournalLine { number: 2, line: 2, .. })
        ));
        assert!(matches!(
            with(2, &|t| Some(t.replace("\"by\":\"3\"", "\"by\":\"9\""))).await,
            Err(JournalError::CheckJournalLine { number: 3, line: 1, .. })
        ));
        assert!(matches!(with(3, &|t| Some(t.trim_end().into())).await, Err(JournalError::DamagedSegment { number: 3, what: "cut off" })));
        assert!(matches!(with(3, &|_| Some(String::new())).await, Err(JournalError::DamagedSegment { number: 3, what: "empty" })));
        assert!(matches!(with(3, &|t| Some(format!("{t}\n"))).await, Err(JournalError::CheckJournalLine { number: 3, line: 2, .. })));
    }

    #[tokio::test]
    async fn too_much_at_once_is_refused_before_it_is_stored() {
        let store = Arc::new(MemStore::new());
        let journal = open(&store).await.unwrap();
        assert!(matches!(journal.append(event(&"x".repeat(chain::MAX_LINE))).await, Err(JournalError::LineTooLong { .. })));
        let many = vec![event(&"x".repeat(chain::MAX_LINE / 2)); 9];
        assert!(matches!(journal.append_all(many).await, Err(JournalError::SegmentTooLarge { .. })));
        assert_eq!(store.list("").await.unwrap(), Vec::<String>::new());
    }
}
