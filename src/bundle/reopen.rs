//! A bag whose run died, taken up by another process from the files that are left: it becomes a draft once more, to which one thing is added,
//! that the run ended here, and which is then sealed like any other, as unfinished.
//!
//! What is needed for it is that the bag was carried away while it was made (`Draft::carried_by`): its journal then holds each item whole, and
//! tells of nothing that is not there. The rest is found: records of exchanges of which no line tells yet get their line, and what no item names
//! becomes evidence under the one item that is added.
//!
//! A bag whose journal ends with `seal`, and whose coverage is there, was complete: nothing is added, what lies there is left byte for byte, and
//! only what is missing is written.
//!
//! What it never does: add to a segment that is there, change or leave out a file, or believe a journal that does not chain.

use super::chain::{self, ChainError, ChainHead};
use super::documents::{BundleKind, Previous, StatedTarget, ToolRecord};
use super::draft::{Draft, DraftError, DraftInfo, Inner, Kept, NewItem, State};
use super::journal::{FileJournal, JournalError, MAX_SEGMENTS, segment_name};
use super::manifest;
use super::payload::{Digest, Payload};
use super::secrets::{COMMITMENT_KEY, Originals, SecretsOrder, StatedSecrets};
use crate::clock::Clock;
use crate::model::exchange::Exchange;
use crate::model::gap::GapKind;
use crate::model::id::{CaseId, ExchangeId, RunId};
use crate::model::item::{FileRef, Group, Item, ItemStatus, Sensitivity};
use crate::model::journal_event::{JournalEvent, JournalLine};
use crate::model::path::{BundlePath, PathError};
use crate::model::redaction::Redaction;
use crate::model::target::Target;
use crate::store::disk;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex};

/// The unit under which it stands that the run ended.
pub const SALVAGE_UNIT: &str = "salvage";
/// What that unit asks.
pub const SALVAGE_QUESTION: &str = "What else would this run have learnt, had it come to its end?";
/// The record of an exchange with a request of megabytes.
const MAX_RECORD: u64 = 16 << 20;
const MAX_DEPTH: u32 = 32;

#[derive(Debug, thiserror::Error)]
pub enum ReopenError {
    #[error("there is no journal in it, so nothing tells what it is")]
    NoJournal,
    #[error("cannot read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("line {line} of {segment} does not continue the journal")]
    Chain {
        segment: String,
        line: u64,
        #[source]
        source: ChainError,
    },
    #[error("{segment} is cut off in a line")]
    Torn { segment: String },
    #[error("its journal was opened for another bundle than {name}")]
    Other { name: String },
    #[error("its journal does not hold item {number} whole: it was not made to be carried away, and cannot be sealed without its own disk")]
    NotWhole { number: u32 },
    #[error("its journal does not say where {} was redacted: it cannot be sealed without its own disk", twin.as_str())]
    NotPlaced { twin: BundlePath },
    #[error("it holds a file that a bundle cannot have")]
    NameFile(#[source] PathError),
    #[error("cannot take it up again")]
    Resume(#[source] io::Error),
    #[error("cannot write into its journal that it was reopened")]
    Journal(#[source] JournalError),
    #[error("cannot record that the run ended here")]
    Add(#[source] DraftError),
}

/// What is left of a bag, read and held against its journal.
#[derive(Debug)]
pub struct Remains {
    dir: PathBuf,
    name: String,
    case: CaseId,
    run: RunId,
    target: String,
    playbook: Option<String>,
    opened: String,
    head: ChainHead,
    segments: u32,
    items: Vec<Item>,
    told: BTreeSet<ExchangeId>,
    clock_skew_ms: Option<i64>,
    exchanges: BTreeMap<ExchangeId, (BundlePath, Exchange)>,
    files: BTreeMap<BundlePath, Digest>,
    redactions: BTreeMap<BundlePath, Redaction>,
    sealed_for: Option<StatedSecrets>,
    /// The run had closed it: with this end.
    closed: Option<bool>,
}

/// Who takes it up.
#[derive(Clone, Debug)]
pub struct Salvager<'s> {
    pub operator: &'s str,
    pub tool: ToolRecord,
    /// `freezeframe 0.1.0`
    pub tool_words: String,
    /// Where the bag lay.
    pub from: &'s str,
    pub target: Target,
    pub previous: Option<Previous>,
}

impl Remains {
    /// Reads the bag `name` that lies in `dir`. Blocks while every byte of its payload is read once.
    pub fn read(dir: &Path, name: &str) -> Result<Remains, ReopenError> {
        let (lines, head, segments) = journal(dir)?;
        let Some(JournalLine { t, event: JournalEvent::BundleOpen { case, run, bundle, target, .. }, .. }) = lines.first() else {
            return Err(ReopenError::NoJournal);
        };
        let other = || ReopenError::Other { name: name.into() };
        let case: CaseId = case.parse().map_err(|_| other())?;
        if bundle != name {
            return Err(other());
        }
        let mut remains = Remains {
            dir: dir.into(),
            name: name.into(),
            case,
            run: run.clone(),
            target: target.clone(),
            playbook: None,
            opened: t.clone(),
            head,
            segments,
            items: vec![],
            told: BTreeSet::new(),
            clock_skew_ms: None,
            exchanges: BTreeMap::new(),
            files: BTreeMap::new(),
            redactions: BTreeMap::new(),
            sealed_for: None,
            closed: None,
        };
        for line in &lines {
            remains.hear(&line.event)?;
        }
        let covered = dir.join("meta/coverage.json").is_file();
        remains.closed = match lines.last().map(|l| &l.event) {
            Some(JournalEvent::Seal { finished, .. }) if covered => Some(*finished),
            _ => None,
        };
        let mut files = vec![];
        walk(dir, "data", 0, &mut files)?;
        for path in files {
            let at = path.under(dir);
            let digest = manifest::hash_file(&at).map_err(|source| ReopenError::Read { path: at.clone(), source })?;
            remains.files.insert(path.clone(), digest);
            if path.as_str().ends_with(".http.json") {
                let bytes = disk::read_bounded(&at, MAX_RECORD).map_err(|source| ReopenError::Read { path: at, source })?;
                // What is none, or has a number twice, is a file without a source, and named as such.
                if let Some(exchange) = bytes.and_then(|b| serde_json::from_slice::<Exchange>(&b).ok()) {
                    remains.exchanges.entry(exchange.id).or_insert((path, exchange));
                }
            }
        }
        Ok(remains)
    }

    fn hear(&mut self, event: &JournalEvent) -> Result<(), ReopenError> {
        match event {
            JournalEvent::Plan { playbook, .. } => self.playbook = Some(playbook.clone()),
            JournalEvent::Clock { skew_ms, .. } => self.clock_skew_ms = Some(*skew_ms),
            JournalEvent::Req { exchange, .. } => _ = self.told.insert(*exchange),
            JournalEvent::SealedFor { identity, recipients, kms_key } => {
                let (identity, recipients, kms_key) = (identity.clone(), recipients.clone(), kms_key.clone());
                self.sealed_for = Some(StatedSecrets { sealed: 0, identity, recipients, kms_key });
            }
            JournalEvent::Redact { twin, sealed, original, places, whole, .. } => {
                let Some(fields) = places.clone() else { return Err(ReopenError::NotPlaced { twin: twin.path.clone() }) };
                let (twin, sealed, original) = (twin.clone(), sealed.clone(), original.clone());
                self.redactions.insert(twin.path.clone(), Redaction { twin, sealed, original, fields, whole: *whole });
            }
            JournalEvent::ItemStored { item, status, whole, .. } => {
                let number = u32::try_from(self.items.len()).unwrap_or(u32::MAX).saturating_add(1);
                match whole {
                    Some(whole) if (whole.id, whole.status) == (*item, *status) && item.0 == number => self.items.push((**whole).clone()),
                    _ => return Err(ReopenError::NotWhole { number: item.0 }),
                }
            }
            _ => {}
        }
        Ok(())
    }

    pub fn name(&self) -> &str {
        &self.name
    }
    pub fn case(&self) -> &CaseId {
        &self.case
    }
    /// The run that died.
    pub fn run(&self) -> &RunId {
        &self.run
    }
    /// As the journal's first line names it.
    pub fn target(&self) -> &str {
        &self.target
    }
    pub fn playbook(&self) -> Option<&str> {
        self.playbook.as_deref()
    }
    pub fn items(&self) -> &[Item] {
        &self.items
    }
    /// Units that made calls.
    pub fn units(&self) -> BTreeSet<&str> {
        self.exchanges.values().map(|(_, x)| x.unit.as_str()).chain(self.items.iter().map(|i| i.collector.as_str())).collect()
    }
    /// Segments of the journal that were there.
    pub fn segments(&self) -> u32 {
        self.segments
    }
    /// Where it lies.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn kind(&self) -> BundleKind {
        match &self.name {
            n if n.ends_with("-containment") => BundleKind::Containment,
            n if n.ends_with("-restore") => BundleKind::Restore,
            _ => BundleKind::Acquisition,
        }
    }

    /// The run had closed it, finished or not: what is missing is said by no question of it.
    pub fn closed(&self) -> Option<bool> {
        self.closed
    }

    /// The bag as a draft, with what was added. It is to be sealed as unfinished, or as it was closed.
    pub fn reopen(self, by: &Salvager<'_>, clock: Arc<dyn Clock>) -> Result<Arc<Draft>, ReopenError> {
        let begin = || {
            disk::make_dirs(&self.dir.join("data"))?;
            disk::make_dir(&self.dir.join("tmp"))?;
            FileJournal::resume(&self.dir.join("meta/journal"), clock.clone(), by.operator, self.head, self.segments)
        };
        let journal = begin().map_err(ReopenError::Resume)?;
        let info = DraftInfo {
            case: self.case.clone(),
            run: self.run.clone(),
            kind: self.kind(),
            target: by.target.clone(),
            playbook: self.playbook.clone().unwrap_or_else(|| "unknown".into()),
            operator: by.operator.into(),
            tool: by.tool.clone(),
            previous: by.previous.clone(),
            secrets: SecretsOrder::default(),
        };
        // Nothing is sealed any more: an identity that this process needs, and never uses.
        let originals = Originals::new(&info.secrets).map_err(|e| ReopenError::Add(e.into()))?;
        let (untold, gap) = (self.untold(), self.gap());
        let file = |path: &BundlePath| {
            let Digest { bytes, sha256 } = *self.files.get(path)?;
            Some(FileRef { path: path.clone(), bytes, sha256 })
        };
        let kept = |x: &Exchange| Kept { exchange: x.clone(), file: x.body.as_ref().and_then(&file), unwritten: None };
        let state = State {
            closed: false,
            exchanges: self.exchanges.iter().map(|(id, (_, x))| (*id, kept(x))).collect(),
            payload: Payload::found(&self.dir, self.files),
            items: self.items,
            bodies: HashMap::new(),
            clock_skew_ms: self.clock_skew_ms,
            stated: StatedTarget { arn: by.target.arn(), ..StatedTarget::default() },
            changes: None,
            redactions: self.redactions,
            kms_key: self.sealed_for.as_ref().and_then(|s| s.kms_key.clone()),
            // So that whoever has to take it up after us finds the added item whole as well.
            carried: true,
        };
        let inner = Inner {
            name: self.name,
            dir: self.dir,
            info,
            opened: self.opened,
            clock,
            journal,
            exchange_numbers: AtomicU32::new(self.exchanges.keys().next_back().map_or(0, |id| id.0)),
            part_numbers: AtomicU32::new(0),
            originals,
            closed_before: self.closed.is_some(),
            sealed_for: self.sealed_for,
            state: Mutex::new(state),
        };
        let draft = Draft { inner: Arc::new(inner) };
        if self.closed.is_none() {
            let tell = |event| draft.inner.journal.append(event).map(drop).map_err(ReopenError::Journal);
            let (tool, operator) = (by.tool_words.clone(), by.operator.to_string());
            tell(JournalEvent::Reopen { run: self.run, tool, operator, from: by.from.into() })?;
            untold.into_iter().try_for_each(tell)?;
            draft.add(gap).map_err(ReopenError::Add)?;
        }
        Ok(Arc::new(draft))
    }

    /// Lines for the exchanges whose records are there and of which no line tells.
    fn untold(&self) -> Vec<JournalEvent> {
        let untold = self.exchanges.values().filter(|(_, x)| !self.told.contains(&x.id));
        let line = |(_, x): &(BundlePath, Exchange)| JournalEvent::Req {
            exchange: x.id,
            unit: x.unit.clone(),
            operation: x.operation.clone(),
            status: x.status,
            request_id: x.request_id.clone(),
            sha256: x.body.as_ref().and(x.body_sha256),
        };
        untold.map(line).collect()
    }

    /// The one item that is added: what no item names is evidence under it.
    fn gap(&self) -> NewItem {
        let named: BTreeSet<ExchangeId> = self.items.iter().flat_map(|i| &i.exchanges).copied().collect();
        let exchanges: Vec<ExchangeId> = self.exchanges.keys().filter(|id| !named.contains(id)).copied().collect();
        let of_items = self.items.iter().flat_map(|i| &i.files).map(|f| &f.path);
        let of_exchanges = self.exchanges.values().flat_map(|(path, x)| [Some(path), x.body.as_ref()]).flatten();
        // A sealed original that no line of the journal tells of is named here, whatever its exchange says.
        let of_redactions = self.redactions.values().flat_map(|r| [&r.twin.path, &r.sealed.path]);
        let known: BTreeSet<&BundlePath> = of_items.chain(of_exchanges).chain(of_redactions).collect();
        let stray = self.files.iter().filter(|(path, _)| !known.contains(path) && path.as_str() != COMMITMENT_KEY);
        let files: Vec<FileRef> = stray.map(|(path, d)| FileRef { path: path.clone(), bytes: d.bytes, sha256: d.sha256 }).collect();
        let detail = format!(
            "the run died and was sealed by somebody else from what lay in the bucket; {} exchanges and {} files of it belong to no other item, \
             and are evidence all the same",
            exchanges.len(),
            files.len()
        );
        let status = ItemStatus::Gap(GapKind::OutOfTime);
        NewItem {
            files,
            exchanges,
            sensitivity: Sensitivity::S3,
            detail: Some(detail),
            question: Some(SALVAGE_QUESTION.into()),
            ..NewItem::new(Group::Plan, SALVAGE_UNIT, "the run ended here", status)
        }
    }
}

/// Every line, checked; where the chain ends; how many segments there are.
fn journal(dir: &Path) -> Result<(Vec<JournalLine>, ChainHead, u32), ReopenError> {
    let (mut lines, mut head) = (vec![], ChainHead::START);
    for number in 1..=MAX_SEGMENTS {
        let segment = segment_name(number);
        let path = dir.join("meta/journal").join(&segment);
        let unread = |source| ReopenError::Read { path: path.clone(), source };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound && number > 1 => return Ok((lines, head, number - 1)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(ReopenError::NoJournal),
            Err(e) => return Err(unread(e)),
        };
        let mut from = BufReader::new(file);
        for n in 1.. {
            let mut line = vec![];
            let most = chain::MAX_LINE as u64 + 1;
            if from.by_ref().take(most).read_until(b'\n', &mut line).map_err(unread)? == 0 {
                break;
            }
            let Some(line) = line.strip_suffix(b"\n") else { return Err(ReopenError::Torn { segment }) };
            let checked = chain::follow(&mut head, line);
            lines.push(checked.map_err(|source| ReopenError::Chain { segment: segment.clone(), line: n, source })?);
        }
    }
    Ok((lines, head, MAX_SEGMENTS))
}

fn walk(root: &Path, below: &str, depth: u32, found: &mut Vec<BundlePath>) -> Result<(), ReopenError> {
    let at = root.join(below);
    let unread = |source| ReopenError::Read { path: at.clone(), source };
    let entries = match fs::read_dir(&at) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(unread(e)),
    };
    for entry in entries {
        let entry = entry.map_err(unread)?;
        let shown = format!("{below}/{}", entry.file_name().to_string_lossy());
        let meta = fs::symlink_metadata(entry.path()).map_err(unread)?;
        if meta.is_dir() && depth < MAX_DEPTH {
            walk(root, &shown, depth + 1, found)?;
        } else {
            found.push(BundlePath::parse(&shown).map_err(ReopenError::NameFile)?);
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "reopen_tests.rs"]
mod tests;
