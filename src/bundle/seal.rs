//! Sealing: a draft that nobody may add to any more gets its manifests, its root digest and its statement.
//!
//! In two steps, because signing may take a call to KMS: [`Draft::close`] makes everything durable and the statement's bytes final;
//! [`Closed::finish`] lays the signatures beside it and writes the statement last. So a kill at any moment leaves either a bag without a
//! statement, which is unfinished, or a whole one. What it never does: sign (`signer.rs`), or give up the directory before the zip is durable.

use super::documents::{Coverage, PREDICATE_TYPE, PlannedUnit, Predicate, SCHEMAS, STATEMENT_TYPE, Statement, Subject};
use super::draft::{Draft, Inner, State};
use super::journal::JournalError;
use super::manifest::{self, DiskError, PAYLOAD_MANIFEST, TAG_MANIFEST};
use super::payload::Digest;
use super::secrets::{REDACTIONS, StatedSecrets};
use super::signer::StatedSigner;
use super::{certification, fault_point, text, zip_writer};
use crate::clock::stamp;
use crate::model::canon::{self, CanonError};
use crate::model::digest::Sha256;
use crate::model::gap::Gap;
use crate::model::item::Item;
use crate::model::journal_event::JournalEvent;
use crate::model::path::{BundlePath, PathError};
use crate::store::disk;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

pub const STATEMENT: &str = "seal/statement.json";

#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error("cannot seal the bundle twice")]
    Closed,
    #[error("cannot write {what} of the bundle")]
    Write {
        what: String,
        #[source]
        source: io::Error,
    },
    #[error("cannot write the bundle's last journal line")]
    Journal(#[source] JournalError),
    #[error("an envelope lies in seal/, and is about something else than this bundle as it lies here")]
    OtherStatement,
    #[error("cannot write a document of the bundle")]
    MakeDocument(#[source] CanonError),
    #[error("cannot seal the bundle: its directory is not as it was written")]
    Disk(#[source] DiskError),
    #[error("cannot name a file of the bundle")]
    NameFile(#[source] PathError),
    #[error("cannot write {}", path.display())]
    WriteZip {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot zip the bundle: {} changed after it was sealed", path.as_str())]
    Changed { path: BundlePath },
    #[error("cannot give up the directory: {} does not exist yet", zip.display())]
    NotZipped { zip: PathBuf },
    #[error("cannot remove {}", dir.display())]
    Discard {
        dir: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// A bundle that cannot be added to. Whether it is what it claims is for a stranger's reading to say (`verify`).
#[derive(Debug)]
pub struct Sealed {
    name: String,
    dir: PathBuf,
    root: Sha256,
    statement: Statement,
    items: Vec<Item>,
    gaps: Vec<Gap>,
    files: BTreeMap<BundlePath, Digest>,
}

/// What the statement says about signing before anybody has signed.
#[derive(Clone, Debug, Default)]
pub struct ToBeSigned {
    pub signers: Vec<StatedSigner>,
    pub timestamp_authority: Option<String>,
}

/// A draft that cannot be added to, with everything durable but its statement.
#[derive(Debug)]
pub struct Closed {
    pub(super) dir: PathBuf,
    pub(super) root: Sha256,
    pub(super) statement: Statement,
    pub(super) bytes: Vec<u8>,
    pub(super) items: Vec<Item>,
    pub(super) gaps: Vec<Gap>,
    pub(super) files: BTreeMap<BundlePath, Digest>,
}

impl Draft {
    /// [`Draft::close`] and [`Closed::finish`] at once, without a signature.
    pub fn seal(&self, planned: Vec<PlannedUnit>, finished: bool) -> Result<Sealed, SealError> {
        self.close(planned, finished, ToBeSigned::default())?.finish(&[])
    }

    /// Closes the draft for good: from here on every other method fails, and if sealing itself fails, what lies there stays an unfinished
    /// bag. Exchanges and files that have not ended are left out. Blocks while everything is made durable.
    pub fn close(&self, planned: Vec<PlannedUnit>, finished: bool, to_be: ToBeSigned) -> Result<Closed, SealError> {
        let mut state = self.inner.state();
        if std::mem::replace(&mut state.closed, true) {
            return Err(SealError::Closed);
        }
        // Taken away from their writers as well, so that nothing goes on filling the disk.
        for (_, body) in state.bodies.drain() {
            body.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
        let (root, statement, items, gaps, files) = self.inner.close(&mut state, planned, finished, to_be)?;
        let bytes = canon::to_vec("the statement", &statement).map_err(SealError::MakeDocument)?;
        Ok(Closed { dir: self.inner.dir.clone(), root, statement, bytes, items, gaps, files })
    }
}

impl Closed {
    /// The statement, byte for byte as it will lie in `seal/statement.json`: what is signed.
    pub fn statement(&self) -> &[u8] {
        &self.bytes
    }

    /// The bundle's name.
    pub fn name(&self) -> &str {
        &self.statement.predicate.bundle
    }

    /// Lays `beside` (names below `seal/`, bytes) and then the statement into `seal/`. With it the bag is sealed.
    pub fn finish(mut self, beside: &[(&str, Vec<u8>)]) -> Result<Sealed, SealError> {
        state_it(&self.dir, &self.bytes, beside, &mut self.files)?;
        fault_point::reached("sealed");
        let Closed { dir, root, statement, items, gaps, files, .. } = self;
        Ok(Sealed { name: statement.predicate.bundle.clone(), dir, root, statement, items, gaps, files })
    }
}

type Parts = (Sha256, Statement, Vec<Item>, Vec<Gap>, BTreeMap<BundlePath, Digest>);

impl Inner {
    fn close(&self, state: &mut State, planned: Vec<PlannedUnit>, finished: bool, to_be: ToBeSigned) -> Result<Parts, SealError> {
        fault_point::reached("seal-begins");
        self.write_missing_records(state)?;
        let items = state.items.clone();
        let gaps = gaps(&items, &planned);
        let (count, gap_count) = (items.len() as u64, gaps.len() as u64);
        let head = match self.closed_before {
            true => self.journal.head(),
            false => self.journal.append(JournalEvent::Seal { items: count, gaps: gap_count, finished }).map_err(SealError::Journal)?,
        };
        let predicate = Predicate {
            case: self.info.case.clone(),
            bundle: self.name.clone(),
            kind: self.info.kind,
            run: self.info.run.clone(),
            finished,
            target: state.stated.clone(),
            tool: self.info.tool.clone(),
            operator: self.info.operator.clone(),
            playbook: self.info.playbook.clone(),
            opened: self.opened.clone(),
            sealed: stamp(self.clock.now()),
            journal_head: head.prev,
            journal_count: head.seq,
            items: count,
            gaps: gap_count,
            clock_skew_ms: state.clock_skew_ms,
            previous: self.info.previous.clone(),
            containment: state.changes.clone(),
            signers: to_be.signers,
            timestamp_authority: to_be.timestamp_authority,
            secrets: stated_secrets(self, state),
            schemas: SCHEMAS.iter().map(|(name, version)| (name.to_string(), *version)).collect(),
        };

        let payload = state.payload.files();
        manifest::settle(&self.dir, payload).map_err(SealError::Disk)?;
        let mut tags = Tags { dir: &self.dir, adopt: self.closed_before, files: BTreeMap::new() };
        for segment in self.journal.segments() {
            tags.adopt(&format!("meta/journal/{segment}"))?;
        }
        tags.write("meta/items.jsonl", &lines("an item", &items)?)?;
        if !state.redactions.is_empty() {
            tags.write(REDACTIONS, &lines("a redaction", state.redactions.values())?)?;
        }
        let coverage = Coverage { v: 1, finished, groups: counts(&items), gaps: gaps.clone(), planned };
        tags.write("meta/coverage.json", &pretty("meta/coverage.json", &coverage)?)?;
        tags.write("meta/README.txt", text::readme(&predicate).as_bytes())?;
        tags.write("meta/CERTIFICATION.md", certification::template(&predicate).as_bytes())?;
        tags.write("meta/VERIFY.txt", text::verify(&predicate, &items).as_bytes())?;
        tags.write("bagit.txt", text::BAGIT.as_bytes())?;
        tags.write("bag-info.txt", text::bag_info(&predicate, manifest::oxum(payload)).as_bytes())?;
        tags.write(PAYLOAD_MANIFEST, manifest::manifest(payload).as_bytes())?;

        let root = tags.rooted()?;
        for dir in ["meta/journal", "meta", "."] {
            disk::sync_dir(&self.dir.join(dir)).map_err(failed(dir))?;
        }
        let statement = about(root, predicate);
        let mut files = tags.files;
        files.extend(payload.iter().map(|(path, digest)| (path.clone(), *digest)));
        Ok((root, statement, items, gaps, files))
    }

    /// Records of exchanges that found no room when they ended get their second and last chance.
    fn write_missing_records(&self, state: &mut State) -> Result<(), SealError> {
        let missing: Vec<_> = state.exchanges.iter().filter_map(|(id, k)| Some((*id, k.unwritten?, k.exchange.clone()))).collect();
        for (id, group, exchange) in missing {
            self.write_record(state, group, &exchange).map_err(failed(&format!("the record of {id}")))?;
            if let Some(kept) = state.exchanges.get_mut(&id) {
                kept.unwritten = None;
            }
        }
        Ok(())
    }
}

/// The statement appears whole or not at all, after what lies beside it, and behind it `tmp/` goes: then the bag is finished.
fn state_it(dir: &Path, bytes: &[u8], beside: &[(&str, Vec<u8>)], files: &mut BTreeMap<BundlePath, Digest>) -> Result<(), SealError> {
    let temp = dir.join("tmp/statement.json");
    let tmp = dir.join("tmp");
    let seal = dir.join("seal");
    let write = || {
        disk::make_dirs(&seal)?;
        disk::sync_dir(dir)?;
        for (name, bytes) in beside {
            disk::write_new(&dir.join(name), bytes)?;
            fault_point::reached("seal-file");
        }
        disk::write_new(&temp, bytes)?;
        disk::persist(tempfile::TempPath::try_from_path(temp.clone())?, &dir.join(STATEMENT))?;
        disk::sync_dir(&seal)?;
        fault_point::reached("stated");
        fs::remove_dir_all(&tmp)?;
        disk::sync_dir(dir)?;
        disk::sync_dir(dir.parent().unwrap_or(dir))
    };
    write().map_err(failed(STATEMENT))?;
    for (name, bytes) in beside.iter().map(|(name, bytes)| (*name, bytes.as_slice())).chain([(STATEMENT, bytes)]) {
        files.insert(path(name)?, Digest { bytes: bytes.len() as u64, sha256: Sha256::of(bytes) });
    }
    Ok(())
}

impl Sealed {
    pub fn name(&self) -> &str {
        &self.name
    }
    pub fn dir(&self) -> &Path {
        &self.dir
    }
    /// Digest of the tag manifest: of everything.
    pub fn root(&self) -> Sha256 {
        self.root
    }
    pub fn statement(&self) -> &Statement {
        &self.statement
    }
    pub fn items(&self) -> &[Item] {
        &self.items
    }
    pub fn gaps(&self) -> &[Gap] {
        &self.gaps
    }
    /// Where [`Sealed::zip`] puts the transport copy: `<case>/<bundle>.zip`.
    pub fn zip_path(&self) -> PathBuf {
        self.dir.with_file_name(format!("{}.zip", self.name))
    }

    /// Writes the transport copy and, beside it, its digest in the form of `sha256sum`. The same bag gives the same bytes. Everything that
    /// goes in is hashed once more and must be what was sealed. Files that came to lie in `seal/` since (signatures) go along.
    pub fn zip(&self) -> Result<PathBuf, SealError> {
        let mut files = self.files.clone();
        for entry in fs::read_dir(self.dir.join("seal")).map_err(failed("seal/"))? {
            let name = entry.map_err(failed("seal/"))?.file_name();
            let path = path(&format!("seal/{}", name.to_string_lossy()))?;
            let at = path.under(&self.dir);
            if let Entry::Vacant(new) = files.entry(path) {
                new.insert(manifest::hash_file(&at).map_err(failed("seal/"))?);
            }
        }
        let zip = self.zip_path();
        zip_writer::write(&self.dir, &self.name, &files, &zip)?;
        Ok(zip)
    }

    /// Gives up the directory, once the zip is there. A kill half-way leaves nothing under the bundle's name but the zip.
    pub fn discard_dir(&self) -> Result<(), SealError> {
        let zip = self.zip_path();
        if !zip.is_file() {
            return Err(SealError::NotZipped { zip });
        }
        let doomed = self.dir.with_file_name(format!(".discard-{}", self.name));
        let discard = || {
            fs::rename(&self.dir, &doomed)?;
            disk::sync_dir(doomed.parent().unwrap_or(&doomed))?;
            fault_point::reached("discarded");
            fs::remove_dir_all(&doomed)
        };
        discard().map_err(|source| SealError::Discard { dir: self.dir.clone(), source })
    }
}

/// The files of a bag outside `data/`.
pub(super) struct Tags<'a> {
    pub(super) dir: &'a Path,
    /// What another process wrote before it died is left as it is.
    pub(super) adopt: bool,
    pub(super) files: BTreeMap<BundlePath, Digest>,
}

impl Tags<'_> {
    pub(super) fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), SealError> {
        if self.adopt && fs::symlink_metadata(self.dir.join(name)).is_ok_and(|m| m.is_file()) {
            return self.adopt(name);
        }
        disk::write_new(&self.dir.join(name), bytes).map_err(failed(name))?;
        fault_point::reached("tag-file");
        self.files.insert(path(name)?, Digest { bytes: bytes.len() as u64, sha256: Sha256::of(bytes) });
        Ok(())
    }
    /// The tag manifest over everything that was written: its digest is the root.
    pub(super) fn rooted(&mut self) -> Result<Sha256, SealError> {
        let text = manifest::manifest(&self.files);
        // One that was there already and says otherwise would not be the root that is stated: it is not adopted, and not replaced.
        self.adopt &= fs::read(self.dir.join(TAG_MANIFEST)).is_ok_and(|there| there == text.as_bytes());
        self.write(TAG_MANIFEST, text.as_bytes())?;
        Ok(Sha256::of(text.as_bytes()))
    }
    /// A file that is there already and durable.
    fn adopt(&mut self, name: &str) -> Result<(), SealError> {
        let digest = manifest::hash_file(&self.dir.join(name)).map_err(failed(name))?;
        self.files.insert(path(name)?, digest);
        Ok(())
    }
}

/// The statement about this root.
pub(super) fn about(root: Sha256, predicate: Predicate) -> Statement {
    Statement {
        kind: STATEMENT_TYPE.into(),
        subject: vec![Subject { name: TAG_MANIFEST.into(), digest: BTreeMap::from([("sha256".into(), root.to_string())]) }],
        predicate_type: PREDICATE_TYPE.into(),
        predicate,
    }
}

fn path(name: &str) -> Result<BundlePath, SealError> {
    BundlePath::parse(name).map_err(SealError::NameFile)
}

pub(super) fn failed(what: &str) -> impl FnOnce(io::Error) -> SealError {
    let what = what.to_string();
    move |source| SealError::Write { what, source }
}

fn lines<'l, T: serde::Serialize + 'l>(what: &'static str, all: impl IntoIterator<Item = &'l T>) -> Result<Vec<u8>, SealError> {
    let mut lines = Vec::new();
    for one in all {
        lines.extend(canon::to_vec(what, one).map_err(SealError::MakeDocument)?);
        lines.push(b'\n');
    }
    Ok(lines)
}

fn stated_secrets(inner: &Inner, state: &State) -> Option<StatedSecrets> {
    let sealed = state.redactions.len() as u64;
    (sealed > 0).then(|| match &inner.sealed_for {
        Some(stated) => StatedSecrets { sealed, ..stated.clone() },
        None => inner.originals.stated(sealed, state.kms_key.clone()),
    })
}

fn pretty(what: &str, value: &impl serde::Serialize) -> Result<Vec<u8>, SealError> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|e| failed(what)(e.into()))?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn counts(items: &[Item]) -> BTreeMap<String, BTreeMap<String, u64>> {
    let mut counts: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for item in items {
        *counts.entry(item.group.as_str().into()).or_default().entry(item.status.as_str().into()).or_default() += 1;
    }
    counts
}

/// Every item whose status is a gap, with the question it leaves open: its own, or else its collector's.
fn gaps(items: &[Item], planned: &[PlannedUnit]) -> Vec<Gap> {
    let question = |item: &Item, kind: crate::model::gap::GapKind| {
        let of_unit = || planned.iter().find(|u| u.unit == item.collector).map(|u| u.question.clone());
        item.question.clone().or_else(of_unit).unwrap_or_else(|| kind.sentence().into())
    };
    let gap = |item: &Item| {
        let kind = item.status.gap()?;
        Some(Gap {
            kind,
            collector: item.collector.clone(),
            subject: item.subject.clone(),
            question: question(item, kind),
            detail: item.detail.clone().unwrap_or_default(),
            action: item.action.clone(),
            exchanges: item.exchanges.clone(),
        })
    };
    items.iter().filter_map(gap).collect()
}
