//! A bundle's own journal: chained lines in `meta/journal/NNNNNN.jsonl`, durable before `append` returns.
//!
//! A failed append poisons the journal: nobody knows how much of the line reached the disk, so nothing may be written behind it. Such a draft
//! cannot be sealed, and what it holds stays an unfinished bag. What it never does: read itself back, or rewrite a line.

use super::chain::{self, ChainError, ChainHead};
use super::fault_point;
use crate::clock::{Clock, stamp};
use crate::model::canon::CanonError;
use crate::model::journal_event::JournalEvent;
use crate::store::{StoreError, disk};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A new segment begins after this many lines, so that one file stays readable by eye and by `jq`.
pub const SEGMENT_LINES: u32 = 2000;
/// Segment names have six digits; a seventh would sort wrongly.
pub const MAX_SEGMENTS: u32 = 999_999;

#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("the journal failed earlier; nothing more is written to it")]
    Poisoned,
    #[error("cannot make a journal line")]
    MakeLine(#[source] CanonError),
    #[error("cannot write a journal line of {bytes} bytes; at most {} are allowed", chain::MAX_LINE)]
    LineTooLong { bytes: usize },
    #[error("cannot write journal segment {number}: {bytes} bytes of events are too many at once")]
    SegmentTooLarge { number: u32, bytes: usize },
    #[error("cannot begin journal segment {number}")]
    BeginSegment {
        number: u32,
        #[source]
        source: io::Error,
    },
    #[error("cannot append to journal segment {number}")]
    AppendLine {
        number: u32,
        #[source]
        source: io::Error,
    },
    #[error("cannot begin another journal segment: {MAX_SEGMENTS} are the most there can be")]
    TooManySegments,

    // ── the case's journal, in a store ──
    #[error("cannot list the case journal")]
    ListJournal(#[source] StoreError),
    #[error("cannot read journal segment {number}")]
    ReadJournalSegment {
        number: u32,
        #[source]
        source: StoreError,
    },
    #[error("journal segment {number} is missing, although a later one exists")]
    MissingSegment { number: u32 },
    #[error("journal segment {number} is {what}")]
    DamagedSegment { number: u32, what: &'static str },
    #[error("line {line} of journal segment {number} is not what was written there")]
    CheckJournalLine {
        number: u32,
        line: usize,
        #[source]
        source: ChainError,
    },
    /// The event may have landed all the same; nothing may be concluded from this error but that nothing may be built on the event.
    #[error("cannot append journal segment {number}")]
    AppendJournalSegment {
        number: u32,
        #[source]
        source: StoreError,
    },
    #[error("cannot append to the case journal: others were faster {tries} times in a row")]
    Contended { tries: u32 },
}

/// `000001.jsonl`
pub(crate) fn segment_name(number: u32) -> String {
    format!("{number:06}.jsonl")
}

/// Wall clock, monotonic clock and actor are taken for each line at the moment of writing.
#[derive(Debug)]
pub struct FileJournal {
    dir: PathBuf,
    clock: Arc<dyn Clock>,
    segment_lines: u32,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    head: ChainHead,
    actor: String,
    file: File,
    segment: u32,
    lines: u32,
    /// The segment has ended: the next line begins another.
    ended: bool,
    poisoned: bool,
}

impl FileJournal {
    /// Begins a journal in `dir`, which must exist and hold none.
    pub fn create(dir: &Path, clock: Arc<dyn Clock>, actor: &str) -> Result<Self, JournalError> {
        Self::with_segments(dir, clock, actor, SEGMENT_LINES)
    }

    fn with_segments(dir: &Path, clock: Arc<dyn Clock>, actor: &str, segment_lines: u32) -> Result<Self, JournalError> {
        let file = begin(dir, 1)?;
        let state = State { head: ChainHead::START, actor: actor.into(), file, segment: 1, lines: 0, ended: false, poisoned: false };
        Ok(FileJournal { dir: dir.into(), clock, segment_lines, state: Mutex::new(state) })
    }

    /// Goes on behind `head`, the end of the `segments` that lie in `dir` and were checked: in a new segment.
    pub(super) fn resume(dir: &Path, clock: Arc<dyn Clock>, actor: &str, head: ChainHead, segments: u32) -> io::Result<Self> {
        let file = File::open(dir.join(segment_name(segments)))?;
        let state = State { head, actor: actor.into(), file, segment: segments, lines: 1, ended: true, poisoned: false };
        Ok(FileJournal { dir: dir.into(), clock, segment_lines: SEGMENT_LINES, state: Mutex::new(state) })
    }

    /// Ends the segment that is being written, when it holds `least` lines or more. Returns how many segments have ended: to those nothing is
    /// ever added. One in which a line may be torn never ends.
    pub(super) fn cut(&self, least: u32) -> u32 {
        let mut state = self.state();
        state.ended |= !state.poisoned && state.lines >= least.max(1);
        if state.ended { state.segment } else { state.segment - 1 }
    }

    /// Who acts from now on.
    pub fn set_actor(&self, actor: &str) {
        self.state().actor = actor.into();
    }

    /// The line is on the disk when this returns.
    pub fn append(&self, event: JournalEvent) -> Result<ChainHead, JournalError> {
        let mut state = self.state();
        if state.poisoned {
            return Err(JournalError::Poisoned);
        }
        let mut head = state.head;
        let mut bytes = chain::line(&mut head, &stamp(self.clock.now()), self.clock.monotonic_ns(), &state.actor, event)
            .map_err(JournalError::MakeLine)?;
        if bytes.len() > chain::MAX_LINE {
            return Err(JournalError::LineTooLong { bytes: bytes.len() });
        }
        bytes.push(b'\n');
        let written = self.write(&mut state, &bytes);
        match written {
            Ok(()) => {
                state.head = head;
                fault_point::reached("bundle-line");
                Ok(head)
            }
            Err(e) => {
                state.poisoned = true;
                Err(e)
            }
        }
    }

    fn write(&self, state: &mut State, bytes: &[u8]) -> Result<(), JournalError> {
        if state.ended || state.lines == self.segment_lines {
            let next = state.segment + 1;
            if next > MAX_SEGMENTS {
                return Err(JournalError::TooManySegments);
            }
            state.file = begin(&self.dir, next)?;
            (state.segment, state.lines, state.ended) = (next, 0, false);
        }
        let mut durable = || {
            state.file.write_all(bytes)?;
            state.file.sync_data()
        };
        durable().map_err(|source| JournalError::AppendLine { number: state.segment, source })?;
        state.lines += 1;
        Ok(())
    }

    pub fn head(&self) -> ChainHead {
        self.state().head
    }

    /// Names of the segments so far, in order.
    pub(crate) fn segments(&self) -> Vec<String> {
        (1..=self.state().segment).map(segment_name).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A disk that is full from now on.
    #[cfg(test)]
    pub(crate) fn fill_disk(&self) {
        self.state().file = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    }
}

fn begin(dir: &Path, number: u32) -> Result<File, JournalError> {
    let begin = || {
        let file = disk::create_new(&dir.join(segment_name(number)))?;
        disk::sync_dir(dir)?;
        Ok(file)
    };
    begin().map_err(|source| JournalError::BeginSegment { number, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::chain::tests::{event, independent};
    use crate::clock::FakeClock;

    fn clock() -> Arc<dyn Clock> {
        Arc::new(FakeClock::at("2026-11-20T12:00:00Z").unwrap())
    }

    #[test]
    fn the_chain_spans_segments() {
        let dir = tempfile::tempdir().unwrap();
        let journal = FileJournal::with_segments(dir.path(), clock(), "unknown", 20).unwrap();
        for n in 0..=20 {
            if n == 1 {
                journal.set_actor("arn:aws:sts::123456789012:assumed-role/r/s");
            }
            journal.append(event(&n.to_string())).unwrap();
        }
        assert_eq!(journal.segments(), ["000001.jsonl", "000002.jsonl"]);
        let mut all = std::fs::read(dir.path().join("000001.jsonl")).unwrap();
        assert!(all.starts_with(b"{\"actor\":\"unknown\""));
        let second = std::fs::read(dir.path().join("000002.jsonl")).unwrap();
        assert_eq!(second.iter().filter(|b| **b == b'\n').count(), 1);
        all.extend(second);
        let (head, names) = independent(&all);
        assert_eq!((head, names.len()), (journal.head().prev, 21));
    }

    #[test]
    fn a_segment_that_was_cut_is_never_added_to() {
        let dir = tempfile::tempdir().unwrap();
        let journal = FileJournal::with_segments(dir.path(), clock(), "me", 3).unwrap();
        assert_eq!(journal.cut(1), 0, "an empty segment does not end");
        journal.append(event("1")).unwrap();
        assert_eq!(journal.cut(2), 0, "too few lines");
        assert_eq!((journal.cut(1), journal.cut(1)), (1, 1), "nothing new to end");
        let first = std::fs::read(dir.path().join("000001.jsonl")).unwrap();
        for n in 2..=5 {
            journal.append(event(&n.to_string())).unwrap();
        }
        // Full after three lines, as ever; the fourth stands in a segment of its own that goes on.
        assert_eq!(journal.segments(), ["000001.jsonl", "000002.jsonl", "000003.jsonl"]);
        assert_eq!(journal.cut(2), 2);
        assert_eq!(std::fs::read(dir.path().join("000001.jsonl")).unwrap(), first);
        assert_eq!(journal.cut(1), 3);
        let head = journal.head();
        // Another process takes it up behind what has ended.
        let resumed = FileJournal::resume(dir.path(), clock(), "you", head, 3).unwrap();
        assert_eq!(resumed.cut(1), 3);
        resumed.append(event("6")).unwrap();
        assert_eq!(resumed.segments().len(), 4);
        let all: Vec<u8> = resumed.segments().iter().flat_map(|s| std::fs::read(dir.path().join(s)).unwrap()).collect();
        let (end, names) = independent(&all);
        assert_eq!((end, names.len()), (resumed.head().prev, 6));
    }

    #[test]
    fn a_line_that_may_be_torn_ends_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let journal = FileJournal::create(dir.path(), clock(), "me").unwrap();
        journal.append(event("1")).unwrap();
        journal.fill_disk();
        assert!(journal.append(event("2")).is_err());
        assert_eq!(journal.cut(1), 0);
    }

    #[test]
    fn one_failure_ends_it() {
        let dir = tempfile::tempdir().unwrap();
        let journal = FileJournal::create(dir.path(), clock(), "me").unwrap();
        let good = journal.append(event("1")).unwrap();
        journal.fill_disk();
        assert!(matches!(journal.append(event("2")), Err(JournalError::AppendLine { number: 1, .. })));
        // Room again: too late, the line may be there in part.
        journal.state().file = std::fs::OpenOptions::new().append(true).open(dir.path().join("000001.jsonl")).unwrap();
        assert!(matches!(journal.append(event("3")), Err(JournalError::Poisoned)));
        assert_eq!(journal.head(), good);
    }

    #[test]
    fn a_line_too_long_is_refused_and_harms_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let journal = FileJournal::create(dir.path(), clock(), "me").unwrap();
        assert!(matches!(journal.append(event(&"x".repeat(chain::MAX_LINE))), Err(JournalError::LineTooLong { .. })));
        assert_eq!(journal.append(event("1")).unwrap().seq, 1);
    }

    #[test]
    fn it_never_continues_a_file_that_is_there() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("000001.jsonl"), "").unwrap();
        assert!(matches!(FileJournal::create(dir.path(), clock(), "me"), Err(JournalError::BeginSegment { number: 1, .. })));
    }
}
