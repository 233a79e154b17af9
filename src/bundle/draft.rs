//! A bundle in the making: bytes go in and cannot be changed again, items say what they mean, the journal says in which order it happened.
//!
//! A draft is shared by all units of a run. Whatever becomes part of the bag does so under one lock and never after sealing; streaming
//! itself happens outside of that lock. What it never does: replace a file, hold a body in memory, believe a name that came from AWS.

use super::chain::MAX_LINE;
use super::changes::StatedChange;
use super::documents::{BundleKind, Previous, StatedTarget, ToolRecord};
use super::journal::{FileJournal, JournalError};
use super::manifest;
use super::payload::{Follower, Part, Payload};
use super::secrets::{NoRandom, Originals, SecretsOrder, StatedSecrets, WRAPPED_IDENTITY, WrappedIdentity, looked_into};
use super::veiling::filled;
use crate::clock::{Clock, basic, stamp};
use crate::model::canon;
use crate::model::digest::Sha256;
use crate::model::exchange::Exchange;
use crate::model::id::{CaseId, ExchangeId, ItemId, RunId};
use crate::model::item::{FileRef, Group, Item, ItemStatus, ProviderDigest, Sensitivity};
use crate::model::journal_event::JournalEvent;
use crate::model::path::{BundlePath, PathError};
use crate::model::redaction::Redaction;
use crate::model::target::Target;
use crate::store::disk;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Longest free text of an item, in characters. What AWS says is a stranger's word and is bounded.
const MAX_TEXT: usize = 500;

/// What is known when a bundle begins.
#[derive(Clone, Debug)]
pub struct DraftInfo {
    pub case: CaseId,
    pub run: RunId,
    pub kind: BundleKind,
    pub target: Target,
    pub playbook: String,
    pub operator: String,
    pub tool: ToolRecord,
    pub previous: Option<Previous>,
    /// For whom secrets are sealed. With no recipient, and no identity that KMS wrapped ([`Draft::wrapped`]), a file with secrets is not kept.
    pub secrets: SecretsOrder,
}

/// An item that has no number yet.
#[derive(Clone, Debug)]
pub struct NewItem {
    pub group: Group,
    pub collector: String,
    pub subject: String,
    pub status: ItemStatus,
    pub sensitivity: Sensitivity,
    pub files: Vec<FileRef>,
    pub exchanges: Vec<ExchangeId>,
    pub derived_from: Vec<ItemId>,
    pub provider_digest: Option<ProviderDigest>,
    pub detail: Option<String>,
    pub question: Option<String>,
    pub action: Option<String>,
}

impl NewItem {
    /// The four things that no item lacks; the rest is filled in by name.
    pub fn new(group: Group, collector: &str, subject: impl Into<String>, status: ItemStatus) -> Self {
        NewItem {
            group,
            collector: collector.into(),
            subject: subject.into(),
            status,
            sensitivity: Sensitivity::S2,
            files: Vec::new(),
            exchanges: Vec::new(),
            derived_from: Vec::new(),
            provider_digest: None,
            detail: None,
            question: None,
            action: None,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum DraftError {
    #[error("cannot name a bundle so")]
    NameBundle(#[source] PathError),
    #[error("cannot begin the bundle in {}", dir.display())]
    BeginBundle {
        dir: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot add to the bundle: it is sealed")]
    Closed,
    #[error("cannot write {}: evidence lies below data/", path.as_str())]
    OutsidePayload { path: BundlePath },
    #[error("cannot write {} a second time", path.as_str())]
    WriteTwice { path: BundlePath },
    #[error("cannot write {}", path.as_str())]
    WriteFile {
        path: BundlePath,
        #[source]
        source: io::Error,
    },
    #[error("cannot add an item about {}: no such file lies in the bundle", path.as_str())]
    NameFile { path: BundlePath },
    #[error("cannot make the keys that seal secrets")]
    SealSecrets(#[from] NoRandom),
    #[error("cannot keep the wrapped identity that opens the bundle's secrets")]
    KeepIdentity(#[source] io::Error),
    #[error("cannot write the bundle's journal")]
    Journal(#[source] JournalError),
}

#[derive(Debug)]
pub struct Draft {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) name: String,
    pub(super) dir: PathBuf,
    pub(super) info: DraftInfo,
    pub(super) opened: String,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) journal: FileJournal,
    pub(super) exchange_numbers: AtomicU32,
    pub(super) part_numbers: AtomicU32,
    pub(super) originals: Originals,
    /// Another process had sealed it but for the statement: what is there already is taken as it is.
    pub(super) closed_before: bool,
    /// For whom the process that began it sealed its secrets, where that was another.
    pub(super) sealed_for: Option<StatedSecrets>,
    pub(super) state: Mutex<State>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) closed: bool,
    pub(super) payload: Payload,
    pub(super) items: Vec<Item>,
    pub(super) exchanges: BTreeMap<ExchangeId, Kept>,
    /// Bodies that are being written. The writer holds the other end.
    pub(super) bodies: HashMap<ExchangeId, SharedPart>,
    pub(super) clock_skew_ms: Option<i64>,
    pub(super) stated: StatedTarget,
    pub(super) changes: Option<Vec<StatedChange>>,
    /// Somebody carries the bag away while it is made: its journal then holds each item whole.
    pub(super) carried: bool,
    /// By the twin's path.
    pub(super) redactions: BTreeMap<BundlePath, Redaction>,
    /// The key that the bundle's own identity is encrypted with.
    pub(super) kms_key: Option<String>,
}

/// `None` once it was taken away to become a file.
pub(super) type SharedPart = Arc<Mutex<Option<Part>>>;

#[derive(Debug)]
pub(super) struct Kept {
    pub(super) exchange: Exchange,
    pub(super) file: Option<FileRef>,
    /// Its `.http.json` could not be written; sealing tries again, and does not succeed without.
    pub(super) unwritten: Option<Group>,
}

impl Draft {
    /// Makes `<case_dir>/<bundle>/`, which must not exist, and the journal's first line.
    pub fn open(case_dir: &Path, info: DraftInfo, clock: Arc<dyn Clock>) -> Result<Arc<Draft>, DraftError> {
        let now = clock.now();
        let name = bundle_name(&info, &basic(now));
        BundlePath::parse(&name).map_err(DraftError::NameBundle)?;
        let dir = case_dir.join(&name);
        let begin = || {
            // Absolute, so that a change of the working directory moves nothing.
            let dir = std::path::absolute(&dir)?;
            disk::make_dirs(dir.parent().unwrap_or(case_dir))?;
            disk::make_dir(&dir)?;
            for below in ["data", "meta", "meta/journal", "tmp"] {
                disk::make_dir(&dir.join(below))?;
            }
            // So that the journal, whose lines are durable, does not lie in a directory that is not.
            for made in [dir.join("meta"), dir.clone(), dir.parent().unwrap_or(case_dir).to_path_buf()] {
                disk::sync_dir(&made)?;
            }
            Ok(dir)
        };
        let dir = begin().map_err(|source| DraftError::BeginBundle { dir, source })?;
        let journal = FileJournal::create(&dir.join("meta/journal"), clock.clone(), &info.operator).map_err(DraftError::Journal)?;
        let opened = JournalEvent::BundleOpen {
            case: info.case.to_string(),
            run: info.run.clone(),
            bundle: name.clone(),
            target: info.target.to_string(),
            tool: format!("{} {}", info.tool.name, info.tool.version),
            operator: info.operator.clone(),
        };
        journal.append(opened).map_err(DraftError::Journal)?;
        let state = State {
            closed: false,
            payload: Payload::new(&dir),
            items: Vec::new(),
            exchanges: BTreeMap::new(),
            bodies: HashMap::new(),
            clock_skew_ms: None,
            stated: StatedTarget { arn: info.target.arn(), ..StatedTarget::default() },
            changes: None,
            carried: false,
            redactions: BTreeMap::new(),
            kms_key: None,
        };
        let originals = Originals::new(&info.secrets)?;
        let inner = Inner {
            name,
            dir,
            originals,
            closed_before: false,
            sealed_for: None,
            info,
            opened: stamp(now),
            clock,
            journal,
            exchange_numbers: AtomicU32::new(0),
            part_numbers: AtomicU32::new(0),
            state: Mutex::new(state),
        };
        Ok(Arc::new(Draft { inner: Arc::new(inner) }))
    }

    pub fn name(&self) -> &str {
        &self.inner.name
    }
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }
    pub fn info(&self) -> &DraftInfo {
        &self.inner.info
    }

    /// Who acts from now on, as AWS knows us.
    pub fn set_actor(&self, arn: &str) {
        self.inner.journal.set_actor(arn);
    }
    /// For the statement; the measurement itself is a journal line and an exchange.
    pub fn set_clock_skew(&self, ms: i64) {
        self.inner.state().clock_skew_ms = Some(ms);
    }
    /// For the statement: the target as AWS stated it.
    pub fn set_stated_target(&self, stated: StatedTarget) {
        self.inner.state().stated = stated;
    }

    /// For the statement: how every cell ended.
    pub fn set_stated_changes(&self, changes: Vec<StatedChange>) {
        self.inner.state().changes = Some(changes);
    }

    /// From here on `follower` hears of each file of the payload that has its name, those that are there included, and the journal holds each
    /// item whole, and for whom secrets are sealed. The wrapped identity that opens them, if there is one, goes first.
    pub fn carried_by(&self, follower: Arc<dyn Follower>) -> Result<(), DraftError> {
        let mut state = self.inner.open_state()?;
        state.carried = true;
        let originals = &self.inner.originals;
        let (identity, recipients, kms_key) = (originals.identity(), originals.recipients(), state.kms_key.clone());
        self.inner.journal.append(JournalEvent::SealedFor { identity, recipients, kms_key }).map_err(DraftError::Journal)?;
        if state.kms_key.is_some() {
            let path = BundlePath::parse(WRAPPED_IDENTITY).map_err(DraftError::NameBundle)?;
            let digest = manifest::hash_file(&path.under(&self.inner.dir)).map_err(DraftError::KeepIdentity)?;
            follower.admitted(&FileRef { path, bytes: digest.bytes, sha256: digest.sha256 });
        }
        state.payload.follow(follower);
        Ok(())
    }

    /// Ends the journal's segment when it holds `least` lines or more, and says how many segments have ended: these do not change any more.
    pub fn cut(&self, least: u32) -> u32 {
        self.inner.journal.cut(least)
    }

    /// Durable when this returns.
    pub fn journal(&self, event: JournalEvent) -> Result<(), DraftError> {
        let _open = self.inner.open_state()?;
        self.inner.journal.append(event).map(drop).map_err(DraftError::Journal)
    }

    /// Who can open what is sealed of this bundle.
    pub fn originals(&self) -> &Originals {
        &self.inner.originals
    }

    /// The bundle's own identity, encrypted by KMS: from here on whoever may decrypt with that key can open its secrets.
    pub fn wrapped(&self, wrapped: &WrappedIdentity) -> Result<(), DraftError> {
        let mut state = self.inner.open_state()?;
        let at = self.inner.dir.join(WRAPPED_IDENTITY);
        let seal = self.inner.dir.join("seal");
        let keep = || {
            disk::make_dirs(&seal)?;
            disk::write_new(&at, &wrapped.ciphertext)?;
            disk::sync_dir(&seal)
        };
        keep().map_err(DraftError::KeepIdentity)?;
        state.kms_key = Some(wrapped.key.arn().to_string());
        Ok(())
    }

    /// A whole file of `unit`, once. Secrets in it are redacted: the file that is handed back is what lies in clear.
    pub fn put(&self, unit: &str, path: &BundlePath, bytes: &[u8]) -> Result<FileRef, DraftError> {
        let failed = |source| DraftError::WriteFile { path: path.clone(), source };
        if path.top() != "data" || path.as_str() == "data" {
            return Err(DraftError::OutsidePayload { path: path.clone() });
        }
        let part = {
            // Under the lock, so that sealing does not take `tmp/` away in between.
            let state = self.inner.open_state()?;
            if !state.payload.is_free(path) {
                return Err(DraftError::WriteTwice { path: path.clone() });
            }
            self.inner.part("f", u64::MAX).map_err(failed)?
        };
        let whole = filled(part, bytes).map_err(failed)?;
        let ready = self.inner.ready(unit, looked_into(path), whole).map_err(failed)?;
        let mut state = self.inner.open_state()?;
        self.inner.admit(&mut state, ready, path).map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => DraftError::WriteTwice { path: path.clone() },
            _ => failed(e),
        })
    }

    /// A finished exchange; its body lies on the disk.
    pub fn exchange(&self, id: ExchangeId) -> Option<Exchange> {
        self.inner.state().exchanges.get(&id).map(|k| k.exchange.clone())
    }
    /// The body of a finished exchange, if it has one.
    pub fn file_of(&self, id: ExchangeId) -> Option<FileRef> {
        self.inner.state().exchanges.get(&id).and_then(|k| k.file.clone())
    }

    /// A file of the bag, to read it again: whoever computes something from evidence computes it from what was kept. Of what is redacted, the
    /// original: what is computed from it passes the same rules.
    pub fn open_file(&self, file: &FileRef) -> io::Result<Box<dyn Read + Send>> {
        self.inner.original(file)
    }

    /// Records the outcome of a question. Its files must lie in the bag already.
    pub fn add(&self, item: NewItem) -> Result<ItemId, DraftError> {
        let mut state = self.inner.open_state()?;
        if let Some(unknown) = item.files.iter().find(|f| !state.payload.holds(f)) {
            return Err(DraftError::NameFile { path: unknown.path.clone() });
        }
        let id = ItemId(u32::try_from(state.items.len()).unwrap_or(u32::MAX).saturating_add(1));
        let item = Item {
            id,
            group: item.group,
            collector: item.collector,
            subject: bounded(item.subject),
            status: item.status,
            sensitivity: item.sensitivity,
            files: item.files,
            exchanges: item.exchanges,
            derived_from: item.derived_from,
            provider_digest: item.provider_digest,
            detail: item.detail.map(bounded),
            question: item.question.map(bounded),
            action: item.action.map(bounded),
        };
        let journal = |event| self.inner.journal.append(event).map_err(DraftError::Journal);
        let whole = state.carried.then(|| whole(&item)).transpose().map_err(DraftError::Journal)?;
        journal(JournalEvent::ItemStored { item: id, subject: item.subject.clone(), status: item.status, whole })?;
        if let Some(kind) = item.status.gap() {
            journal(JournalEvent::Gap { item: id, kind, subject: item.subject.clone() })?;
        }
        state.items.push(item);
        Ok(id)
    }

    /// An item that was recorded.
    pub fn item(&self, id: ItemId) -> Option<Item> {
        self.inner.state().items.iter().find(|i| i.id == id).cloned()
    }

    pub fn items(&self) -> Vec<Item> {
        self.inner.state().items.clone()
    }
}

impl Inner {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // A panic while it was held leaves maps that are each whole; a unit's panic must not end the other units.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_state(&self) -> Result<MutexGuard<'_, State>, DraftError> {
        let state = self.state();
        if state.closed { Err(DraftError::Closed) } else { Ok(state) }
    }

    /// A new file in `tmp/`.
    pub(super) fn part(&self, stem: &str, limit: u64) -> io::Result<Part> {
        let number = self.part_numbers.fetch_add(1, Ordering::Relaxed);
        Part::create(self.dir.join(format!("tmp/{stem}-{number:06}.part")), limit)
    }
}

/// The item as the journal of a carried bag holds it. One that names thousands of pages would not fit into a line, so these are left out: their
/// records are found in any case.
fn whole(item: &Item) -> Result<Box<Item>, JournalError> {
    let fits = canon::to_vec("an item", item).map_err(JournalError::MakeLine)?.len() <= MAX_LINE / 2;
    Ok(Box::new(if fits { item.clone() } else { Item { files: vec![], exchanges: vec![], derived_from: vec![], ..item.clone() } }))
}

fn bounded(text: String) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        None => text,
        Some((end, _)) => text[..end].to_string(),
    }
}

/// `<account>-<region>-<function>-<UTC basic>-<run>[-containment|-restore]`, in at most the 120 bytes of one path segment: of a function's
/// name too long for that the beginning stays, with eight digits of its hash.
fn bundle_name(info: &DraftInfo, at: &str) -> String {
    const MAX: usize = 120;
    let suffix = match info.kind {
        BundleKind::Acquisition => "",
        BundleKind::Containment => "-containment",
        BundleKind::Restore => "-restore",
        BundleKind::Disclosure => "-disclosure",
    };
    let (t, run) = (&info.target, &info.run);
    let name = |function: &str| format!("{}-{}-{function}-{at}-{run}{suffix}", t.account, t.region);
    let room = MAX.saturating_sub(name("").len());
    if t.function.len() <= room {
        return name(&t.function);
    }
    let hash = Sha256::of(t.function.as_bytes()).to_string();
    let start: String = t.function.chars().take(room.saturating_sub(9)).collect();
    name(&format!("{start}-{}", &hash[..8]))
}
