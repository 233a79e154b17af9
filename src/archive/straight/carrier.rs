//! The carrier: one task per draft, which puts what the draft admits, a few files at a time, and the journal behind it.
//!
//! What fails is tried again, later and later, for as long as the run goes on: a bucket that is away for a minute costs nothing but that minute's
//! head start. An object of somebody else's under one of our names ends the carrying for good: then the place is not ours.

use super::super::body;
use super::super::bucket::{Asked, Bucket, ChecksumKind, Put};
use super::super::place::Place;
use super::super::vault::Vault;
use crate::aws::fault::{Fault, tame, tame_error};
use crate::bundle::draft::{Draft, DraftError};
use crate::bundle::secrets::{COMMITMENT_KEY, SEALED};
use crate::bundle::source::BagSource;
use crate::bundle::{Follower, fault_point};
use crate::model::digest::{self, Sha256};
use crate::model::item::FileRef;
use crate::model::journal_event::JournalEvent;
use crate::model::path::{BundlePath, PathError};
use crate::store::disk;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use serde::Deserialize;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// So many objects go up at a time.
const AT_ONCE: usize = 6;
/// A segment of the journal ends after so many lines, or after this time, whichever comes first.
const LINES: u32 = 50;
const TICK: Duration = Duration::from_secs(1);
/// After so long without a segment there is one all the same: a run that is silent for longer is taken for dead.
const SILENCE: Duration = Duration::from_secs(30);
/// What failed is tried again after half a second, then after twice as long each time, up to this.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// A record is read for the name of its body.
const MAX_RECORD: u64 = 16 << 20;

/// What came of carrying.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Files in the bucket, segments of the journal included.
    pub files: u64,
    pub bytes: u64,
    /// What was left to the archive.
    pub left: u64,
    /// The last thing that went wrong, if any did.
    pub trouble: Option<String>,
    /// Another process has the bundle, or the place: nothing was put after that.
    pub taken: bool,
}

#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{key} lies there already with other bytes: the bundle was taken up by another process, or the place is not ours")]
    Taken { key: String },
    #[error("cannot put {key}")]
    Put {
        key: String,
        #[source]
        source: Fault,
    },
    #[error("cannot read {path} in order to put it")]
    Read {
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("cannot name a segment of the journal")]
    Name(#[source] PathError),
}

/// Follows one draft. Dropped, it puts nothing more.
#[derive(Debug)]
pub struct Carrier {
    words: UnboundedSender<Word>,
    task: JoinHandle<Carried>,
}

#[derive(Debug)]
enum Word {
    File(FileRef),
    /// Tell me when all that was there at this moment is in the bucket, journal included.
    Flush(oneshot::Sender<()>),
    Finish,
}

#[derive(Debug)]
struct Ear(UnboundedSender<Word>);

impl Follower for Ear {
    fn admitted(&self, file: &FileRef) {
        // A carrier that is gone has nothing to do any more; the archive puts everything.
        let _ = self.0.send(Word::File(file.clone()));
    }
}

impl Carrier {
    /// Begins to carry `draft` to `place`, which is the bundle's own.
    pub fn follow(draft: &Arc<Draft>, vault: &Vault, place: Place) -> Result<Carrier, DraftError> {
        let (words, heard) = unbounded_channel();
        let now = vault.bucket.clock.monotonic_ns();
        let carrying = Carrying {
            draft: draft.clone(),
            cargo: Cargo { bucket: vault.bucket.clone(), place, asked: vault.asked.clone(), dir: draft.dir().to_path_buf() },
            words: heard,
            next: 0,
            waiting: VecDeque::new(),
            undone: BTreeMap::new(),
            segments: VecDeque::new(),
            running: FuturesUnordered::new(),
            putting_segment: false,
            claimed: false,
            ended: 0,
            flushes: vec![],
            cut_at: now,
            told_at: now,
            finishing: false,
            carried: Carried::default(),
        };
        draft.carried_by(Arc::new(Ear(words.clone())))?;
        Ok(Carrier { words, task: tokio::spawn(carrying.run()) })
    }

    /// Comes back when everything that was there when it was called is in the bucket, or after `patience`; says which.
    pub async fn flush(&self, patience: Duration) -> bool {
        let (done, wait) = oneshot::channel();
        self.words.send(Word::Flush(done)).is_ok() && matches!(tokio::time::timeout(patience, wait).await, Ok(Ok(())))
    }

    /// Carries the rest, each file tried once more at most, for no longer than `patience`. The draft must be closed by now: its last line ends the
    /// last segment.
    pub async fn finish(mut self, patience: Duration) -> Carried {
        let _ = self.words.send(Word::Finish);
        match tokio::time::timeout(patience, &mut self.task).await {
            Ok(Ok(carried)) => carried,
            Ok(Err(e)) => Carried { trouble: Some(tame(&e.to_string(), 200)), ..Carried::default() },
            Err(_) => {
                let trouble = format!("it was not done after {} seconds", patience.as_secs());
                Carried { trouble: Some(trouble), ..Carried::default() }
            }
        }
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What is to be put.
#[derive(Clone, Debug)]
struct Load {
    /// In the order of admission.
    number: u64,
    path: BundlePath,
    what: What,
    tries: u32,
    /// Not before this time, of the monotonic clock.
    not_before: u64,
}

#[derive(Clone, Debug)]
enum What {
    /// Put behind these.
    File {
        bytes: u64,
        sha256: Sha256,
        behind: Vec<BundlePath>,
    },
    Segment(u32),
}

#[derive(Clone, Debug)]
struct Cargo {
    bucket: Bucket,
    place: Place,
    asked: Asked,
    dir: PathBuf,
}

struct Carrying {
    draft: Arc<Draft>,
    cargo: Cargo,
    words: UnboundedReceiver<Word>,
    next: u64,
    waiting: VecDeque<Load>,
    /// What is waiting or under way.
    undone: BTreeMap<u64, BundlePath>,
    /// Segments that have ended, and the number that all files admitted before have less than.
    segments: VecDeque<(Load, u64)>,
    running: FuturesUnordered<BoxFuture<'static, (Load, Result<u64, Trouble>)>>,
    /// One after the other: nothing is ever behind a segment that is not there.
    putting_segment: bool,
    /// The first segment is there.
    claimed: bool,
    /// So many segments have ended.
    ended: u32,
    flushes: Vec<(u32, oneshot::Sender<()>)>,
    cut_at: u64,
    told_at: u64,
    finishing: bool,
    carried: Carried,
}

impl Carrying {
    async fn run(mut self) -> Carried {
        fault_point::reached("carrier-begins");
        self.cut(1);
        loop {
            self.cut_when_due();
            self.start();
            if self.finishing && self.running.is_empty() {
                self.carried.left = (self.undone.len() + self.segments.len()) as u64;
                return self.carried;
            }
            let clock = self.cargo.bucket.clock.clone();
            tokio::select! {
                word = self.words.recv() => match word {
                    Some(word) => self.hear(word),
                    None => self.finishing = true,
                },
                Some((load, result)) = self.running.next(), if !self.running.is_empty() => self.done(load, result),
                () = clock.sleep(TICK), if !self.finishing => {}
            }
        }
    }

    fn now(&self) -> u64 {
        self.cargo.bucket.clock.monotonic_ns()
    }

    fn hear(&mut self, word: Word) {
        match word {
            Word::File(file) => self.take(file),
            Word::Flush(done) => {
                self.cut(1);
                self.flushes.push((self.ended, done));
            }
            Word::Finish => {
                self.finishing = true;
                self.cut(1);
                // What failed gets its last chance now.
                self.waiting.iter_mut().chain(self.segments.iter_mut().map(|(load, _)| load)).for_each(|load| load.not_before = 0);
            }
        }
    }

    fn take(&mut self, file: FileRef) {
        let behind = match file.path.as_str() {
            p if p.ends_with(".http.json") => named_by(&self.cargo.dir, &file.path),
            p if p.starts_with(SEALED) && p != COMMITMENT_KEY => BundlePath::parse(COMMITMENT_KEY).into_iter().collect(),
            _ => vec![],
        };
        let what = What::File { bytes: file.bytes, sha256: file.sha256, behind };
        self.undone.insert(self.next, file.path.clone());
        self.waiting.push_back(Load { number: self.next, path: file.path, what, tries: 0, not_before: 0 });
        self.next += 1;
    }

    fn cut_when_due(&mut self) {
        let now = self.now();
        let due = now.saturating_sub(self.cut_at) >= TICK.as_nanos() as u64;
        if due && now.saturating_sub(self.told_at) >= SILENCE.as_nanos() as u64 && !self.finishing && !self.carried.taken {
            self.told_at = now;
            // A draft that is closed, or cannot write any more, has nothing to tell.
            let _ = self.draft.journal(JournalEvent::Carried { files: self.carried.files, bytes: self.carried.bytes });
        }
        self.cut(if due { 1 } else { LINES });
    }

    /// Ends the journal's segment, and lets what ended wait for all files that were admitted before.
    fn cut(&mut self, least: u32) {
        let ended = self.draft.cut(least);
        if ended == self.ended {
            return;
        }
        // A line is written after its file was admitted, so by now all of these have been heard of.
        let mut later = vec![];
        while let Ok(word) = self.words.try_recv() {
            match word {
                Word::File(file) => self.take(file),
                other => later.push(other),
            }
        }
        (self.cut_at, self.told_at) = (self.now(), self.now());
        for segment in self.ended + 1..=ended {
            match BundlePath::parse(&format!("meta/journal/{segment:06}.jsonl")) {
                Ok(path) => {
                    let load = Load { number: 0, path, what: What::Segment(segment), tries: 0, not_before: 0 };
                    self.segments.push_back((load, self.next));
                }
                Err(e) => self.carried.trouble = Some(tame_error(&Trouble::Name(e), 400)),
            }
        }
        self.ended = ended;
        later.into_iter().for_each(|word| self.hear(word));
    }

    /// Begins what may begin.
    fn start(&mut self) {
        if self.carried.taken {
            return;
        }
        let now = self.now();
        // The journal's first segment goes first: it says whose the place is, and a bag that is left without it is nobody's.
        let claimed = self.claimed;
        while self.running.len() < AT_ONCE {
            let first_undone = self.undone.keys().next().copied();
            let segment_free = self.segments.front().is_some_and(|(load, behind)| {
                !self.putting_segment && load.not_before <= now && first_undone.is_none_or(|undone| undone >= *behind)
            });
            if segment_free && let Some((load, _)) = self.segments.front().cloned() {
                self.putting_segment = true;
                self.begin(load);
                continue;
            }
            let free = |load: &Load| match &load.what {
                What::File { behind, .. } => !self.undone.values().any(|path| behind.contains(path)),
                What::Segment(_) => true,
            };
            let Some(at) = self.waiting.iter().position(|load| claimed && load.not_before <= now && free(load)) else { return };
            let Some(load) = self.waiting.remove(at) else { return };
            self.begin(load);
        }
    }

    fn begin(&mut self, load: Load) {
        let cargo = self.cargo.clone();
        self.running.push(Box::pin(async move {
            let result = cargo.put(&load).await;
            (load, result)
        }));
    }

    fn done(&mut self, mut load: Load, result: Result<u64, Trouble>) {
        if matches!(load.what, What::Segment(_)) {
            self.putting_segment = false;
        }
        match result {
            Ok(bytes) => {
                self.carried.files += 1;
                self.carried.bytes += bytes;
                match load.what {
                    What::File { .. } => _ = self.undone.remove(&load.number),
                    What::Segment(number) => {
                        self.segments.pop_front();
                        self.claimed = true;
                        let (met, open) = std::mem::take(&mut self.flushes).into_iter().partition(|(upto, _)| *upto <= number);
                        self.flushes = open;
                        for (_, done) in met as Vec<(u32, oneshot::Sender<()>)> {
                            let _ = done.send(());
                        }
                    }
                }
            }
            Err(trouble) => {
                self.carried.taken |= matches!(trouble, Trouble::Taken { .. });
                self.carried.trouble = Some(tame_error(&trouble, 400));
                tracing::warn!(path = load.path.as_str(), error = self.carried.trouble, "could not be carried yet");
                load.tries += 1;
                let wait = Duration::from_millis(500).saturating_mul(1 << load.tries.min(8)).min(LONGEST_WAIT);
                // When all is to come to its end, the rest is the archive's.
                load.not_before = if self.finishing { u64::MAX } else { self.now().saturating_add(wait.as_nanos() as u64) };
                match load.what {
                    What::File { .. } => self.waiting.push_front(load),
                    What::Segment(_) => {
                        if let Some((first, _)) = self.segments.front_mut() {
                            *first = load;
                        }
                    }
                }
                if self.finishing {
                    // A bucket that refuses one is not asked for each of the others.
                    let rest = self.waiting.iter_mut().chain(self.segments.iter_mut().map(|(load, _)| load));
                    rest.for_each(|load| load.not_before = u64::MAX);
                }
            }
        }
    }
}

impl Cargo {
    /// Puts one file; how many bytes it has.
    async fn put(&self, load: &Load) -> Result<u64, Trouble> {
        let (key, local) = (self.place.key(&load.path), load.path.under(&self.dir));
        let unread = |source| Trouble::Read { path: load.path.as_str().into(), source };
        let (bytes, sha256) = match load.what {
            What::File { bytes, sha256, .. } => (bytes, sha256),
            What::Segment(_) => {
                let (sha256, bytes) = std::fs::File::open(&local).and_then(digest::of_reader).map_err(unread)?;
                (bytes, sha256)
            }
        };
        let failed = |source| Trouble::Put { key: tame(&key, 1024), source };
        let put = if bytes > self.bucket.single {
            let dir = self.dir.clone();
            let opened = tokio::task::spawn_blocking(move || BagSource::open(&dir)).await.map_err(io::Error::other).map_err(unread)?;
            let source = Arc::new(opened.map_err(io::Error::other).map_err(unread)?);
            self.bucket.put_in_parts(&key, &source, &load.path, (sha256, bytes), &self.asked).await.map_err(failed)?.0
        } else {
            let body = || body::of_plain_file(local.clone(), bytes);
            self.bucket.put(&key, sha256, bytes, body, &self.asked).await.map_err(failed)?
        };
        match put {
            Put::Stored => {}
            // Ours, when an answer was lost and the put was repeated; S3's own checksum tells. Of what went up in parts it tells another, which
            // the archive compares part by part.
            Put::Exists => {
                let there = self.bucket.head(&key, None).await.map_err(failed)?;
                let same = there.is_some_and(|there| {
                    let sum = there.checksum.as_ref();
                    let differs = sum.is_some_and(|c| c.kind == ChecksumKind::FullObject && c.sha256 != sha256.to_base64());
                    there.bytes == bytes && !differs
                });
                if !same {
                    return Err(Trouble::Taken { key: tame(&key, 1024) });
                }
            }
        }
        fault_point::reached(if matches!(load.what, What::Segment(_)) { "carried-segment" } else { "carried-file" });
        Ok(bytes)
    }
}

/// The body that a record names, and its sealed original.
fn named_by(dir: &Path, record: &BundlePath) -> Vec<BundlePath> {
    #[derive(Deserialize)]
    struct Named {
        body: Option<BundlePath>,
        sealed: Option<BundlePath>,
    }
    let bytes = disk::read_bounded(&record.under(dir), MAX_RECORD).ok().flatten().unwrap_or_default();
    serde_json::from_slice::<Named>(&bytes).map(|n| n.body.into_iter().chain(n.sealed).collect()).unwrap_or_default()
}
