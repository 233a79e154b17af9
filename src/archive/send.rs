//! Archiving: each file of a bundle one object, put where nothing is; then everything read back, and what S3 says of it written down.
//!
//! ```text
//! <prefix>/<case>/<bundle>/data/…                        payload, first
//! <prefix>/<case>/<bundle>/bagit.txt meta/… manifest-…   what describes it
//! <prefix>/<case>/<bundle>/tagmanifest-sha256.txt        the root of everything
//! <prefix>/<case>/<bundle>/seal/…                        what vouches for the root
//! <prefix>/<case>/<bundle>/seal/addenda/000001/archive.json   what S3 answered: its presence says that the archive came to its end
//! <prefix>/<case>/journal/NNNNNN.jsonl                   the case journal, segment by segment, this transfer included
//! ```
//!
//! Killed at any moment, it is begun again with the same words: what is there is compared (length and SHA-256) and left, the rest is put. What
//! is there and differs is never touched; it is named, and nothing more happens.
//!
//! Cancel safety: a put that is dropped half-way leaves a whole object or none.

use super::body;
use super::bucket::{Asked, Bucket, Checksum, ChecksumKind, InEffect, Put, Stored, Version, broken};
use super::parcel::{Parcel, ParcelError, ParcelFile};
use super::parts::Composite;
use super::place::Place;
use super::preflight::{Accepted, Preflight, ReachError};
use super::record::{ArchiveRecord, Archived, AskedRecord, ObjectRecord};
use crate::aws::fault::{Fault, tame};
use crate::bundle::case_journal::CaseJournal;
use crate::bundle::fault_point;
use crate::bundle::journal::JournalError;
use crate::bundle::tool;
use crate::clock::{seconds, stamp};
use crate::model::canon::{self, CanonError};
use crate::model::digest::{Hasher, Sha256};
use crate::model::id::{CaseId, RunId};
use crate::model::journal_event::JournalEvent;
use crate::model::outcome::Outcome;
use crate::model::path::{BundlePath, PathError};
use crate::model::refusal::Refusal;
use crate::store::{Store, StoreError, disk};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

/// So many small files go up at a time; large ones go one by one.
const AT_ONCE: usize = 6;
/// A record of a bundle of a hundred thousand files.
const MAX_RECORD: u64 = 64 << 20;
const ADDENDA: &str = "seal/addenda/";

/// What is to be archived, where, and how.
#[derive(Clone, Debug)]
pub struct Order {
    /// A zip or a directory.
    pub bundle: PathBuf,
    /// Where cases lie in the bucket.
    pub to: Place,
    pub asked: Asked,
    pub accepted: Accepted,
    pub run: RunId,
    pub operator: String,
}

/// A place where bundles are archived, and how.
#[derive(Clone, Debug)]
pub struct Vault {
    pub bucket: Bucket,
    /// Where cases lie in the bucket.
    pub to: Place,
    pub asked: Asked,
    pub accepted: Accepted,
}

impl Vault {
    /// Looks at the bucket and says no where it is not fit, before anything else is done.
    pub async fn preflight(&self) -> Result<Preflight, ArchiveError> {
        let preflight = self.bucket.preflight().await?;
        let refusals = preflight.refusals(self.bucket.name(), &self.asked.lock, self.accepted);
        if refusals.is_empty() { Ok(preflight) } else { Err(ArchiveError::Unfit { bucket: self.bucket.name().into(), refusals }) }
    }
}

/// The case on this side: its journal, and the store that it lies in.
#[derive(Clone, Copy)]
pub struct Case<'c> {
    pub journal: &'c CaseJournal,
    pub store: &'c dyn Store,
}

#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error(transparent)]
    Parcel(#[from] ParcelError),
    #[error(transparent)]
    Reach(#[from] ReachError),
    #[error("the bucket {bucket} is not fit for evidence")]
    Unfit { bucket: String, refusals: Vec<Refusal> },
    #[error("cannot name a place for the bundle below {to}")]
    Name { to: String },
    #[error("cannot see what lies at {place} already")]
    List {
        place: String,
        #[source]
        source: Fault,
    },
    #[error("{key} lies there already and is no file of this bundle")]
    Stranger { key: String },
    #[error("{key} lies there already with other bytes: {what}")]
    Differs { key: String, what: String },
    #[error("cannot put {key}")]
    Put {
        key: String,
        #[source]
        source: Fault,
    },
    #[error("cannot read {key} back")]
    ReadBack {
        key: String,
        #[source]
        source: Fault,
    },
    #[error("{key} was put, and S3 says that there is nothing")]
    Vanished { key: String },
    #[error("cannot read {} again", path.as_str())]
    ReadFile {
        path: BundlePath,
        #[source]
        source: io::Error,
    },
    #[error("cannot write the archive's record down")]
    MakeRecord(#[source] CanonError),
    #[error("cannot name the archive's record")]
    NameRecord(#[source] PathError),
    #[error("cannot keep the archive's record beside the bundle, as {}", path.display())]
    KeepRecord {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot write the transfer into the case journal")]
    Journal(#[source] JournalError),
    #[error("cannot read the case journal, in order to archive it")]
    ReadJournal(#[source] StoreError),
    #[error("a task of the archive broke off")]
    Task(#[source] tokio::task::JoinError),
}

impl ArchiveError {
    pub fn outcome(&self) -> Outcome {
        match self {
            ArchiveError::Parcel(ParcelError::Broken { .. }) => Outcome::VerificationFailed,
            ArchiveError::Parcel(ParcelError::Open { source, .. }) => source.outcome(),
            ArchiveError::Parcel(ParcelError::Unfinished { .. } | ParcelError::NeverSealed { .. }) => Outcome::Refused,
            ArchiveError::Unfit { .. } | ArchiveError::Stranger { .. } | ArchiveError::Differs { .. } => Outcome::Refused,
            _ => Outcome::Failed,
        }
    }

    pub fn hints(&self) -> Vec<String> {
        let hint = match self {
            ArchiveError::Parcel(ParcelError::Broken { path, .. }) => {
                format!("freezeframe verify {} says what is wrong with it", path.display())
            }
            ArchiveError::Parcel(ParcelError::Unfinished { .. }) => "--accept unfinished-bundle archives it as it is".into(),
            ArchiveError::Parcel(ParcelError::Open { source, .. }) => source.hint().into(),
            ArchiveError::Reach(ReachError::OtherRegion { region, .. }) => format!("--bucket-region {region}"),
            ArchiveError::Reach(ReachError::Denied { .. }) => {
                "s3:ListBucket is needed on the bucket, and --expected-bucket-owner must name its account".into()
            }
            ArchiveError::Unfit { refusals, .. } => {
                return refusals.iter().map(|r| format!("{} — what would lift it: {}", r.why, r.lift)).collect();
            }
            ArchiveError::Stranger { .. } | ArchiveError::Differs { .. } => {
                "nothing there was touched; find out who put it, or archive below another prefix".into()
            }
            ArchiveError::Put { .. } | ArchiveError::ReadBack { .. } | ArchiveError::List { .. } | ArchiveError::Vanished { .. } => {
                "run the same command again: what is there already is compared and left, the rest is added".into()
            }
            _ => return vec![],
        };
        vec![hint]
    }
}

/// How an object came to be there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct How {
    uploaded: bool,
    locked_later: bool,
}

struct Sending<'a> {
    bucket: &'a Bucket,
    order: &'a Order,
    parcel: Parcel,
    place: Place,
    /// The newest version of each key that is there, as listed when the archive began.
    there: BTreeMap<String, Version>,
}

/// Archives a bundle. `say` hears what is done, in lines.
pub async fn archive(
    bucket: &Bucket,
    order: &Order,
    case: Option<Case<'_>>,
    say: &(dyn Fn(&str) + Send + Sync),
) -> Result<Archived, ArchiveError> {
    let (path, unfinished) = (order.bundle.clone(), order.accepted.unfinished_bundle);
    let opened = tokio::task::spawn_blocking(move || Parcel::open(&path, unfinished)).await;
    let parcel = opened.map_err(ArchiveError::Task)??;
    let (beside, mut notes) = (case.is_some(), vec![]);
    let case = case
        .filter(|c| c.journal.events().iter().any(|e| matches!(e, JournalEvent::CaseOpen { case, .. } if case == parcel.case.as_str())));
    let vault = Vault { bucket: bucket.clone(), to: order.to.clone(), asked: order.asked.clone(), accepted: order.accepted };
    let preflight = vault.preflight().await?;
    fault_point::reached("archive-preflight");
    let name = || ArchiveError::Name { to: order.to.to_string() };
    let case_place = order.to.below(parcel.case.as_str()).ok_or_else(name)?;
    let place = case_place.below(&parcel.bundle).ok_or_else(name)?;
    let there = there(bucket, &place, &parcel).await?;
    say(&format!("{} files, {} bytes to {place}; {} are there already", parcel.files.len(), parcel.bytes(), there.len()));
    let sending = Sending { bucket, order, parcel, place, there };

    // A case of the same name that is another's is met before anything is put.
    let mirrored = match case {
        Some(case) => mirror(bucket, &case_place, case, &order.asked, 0).await?,
        None => 0,
    };
    let mut objects = vec![];
    for stage in sending.parcel.stages() {
        let (small, large): (Vec<&ParcelFile>, Vec<&ParcelFile>) = stage.iter().partition(|f| f.bytes <= bucket.single);
        // Futures first, stream second: a closure inside of a stream would not be `Send` for every lifetime.
        let small: Vec<_> = small.into_iter().map(|f| sending.one(f)).collect();
        objects.extend(stream::iter(small).buffered(AT_ONCE).try_collect::<Vec<_>>().await?);
        for file in large {
            objects.push(sending.one(file).await?);
        }
    }
    let mut archived = sending.record(objects, preflight, say).await?;
    fault_point::reached("archive-recorded");
    archived.record_copy = Some(keep_copy(order, &archived, bucket, &sending.place).await?);
    fault_point::reached("archive-copied");
    match case {
        Some(case) => {
            journal(case, order, &archived, &sending.parcel).await?;
            mirror(bucket, &case_place, case, &order.asked, mirrored).await?;
        }
        None if beside => {
            notes.push("the case journal beside the bundle is another case's: the transfer stands in the archive's record alone".into())
        }
        None => notes.push("no case journal lies beside the bundle: the transfer stands in the archive's record alone".into()),
    }
    archived.notes = notes;
    archived.exit_code = archived.outcome.exit_code();
    Ok(archived)
}

/// The newest versions below the place. A stranger's object among them ends the archive: with it the place could never verify.
async fn there(bucket: &Bucket, place: &Place, parcel: &Parcel) -> Result<BTreeMap<String, Version>, ArchiveError> {
    let lead = place.lead();
    let listed = bucket.versions(&lead).await.map_err(|source| ArchiveError::List { place: place.to_string(), source })?;
    let there: BTreeMap<String, Version> = listed.into_iter().filter(|v| v.latest && !v.marker).map(|v| (v.key.clone(), v)).collect();
    for key in there.keys() {
        let path = key.strip_prefix(&lead).unwrap_or(key);
        if !path.starts_with(ADDENDA) && !parcel.files.iter().any(|f| f.path.as_str() == path) {
            return Err(ArchiveError::Stranger { key: tame(key, 1024) });
        }
    }
    Ok(there)
}

impl Sending<'_> {
    /// One file: put, or found there and compared; locked as asked; read back.
    async fn one(&self, file: &ParcelFile) -> Result<(ObjectRecord, How), ArchiveError> {
        let key = self.place.key(&file.path);
        let asked = &self.order.asked;
        let put_failed = |source| ArchiveError::Put { key: key.clone(), source };
        let mut how = How::default();
        let mut sent = None;
        if !self.there.contains_key(&key) {
            let put = if file.bytes > self.bucket.single {
                let what = (file.sha256, file.bytes);
                let (put, composite) =
                    self.bucket.put_in_parts(&key, &self.parcel.source, &file.path, what, asked).await.map_err(put_failed)?;
                sent = Some(composite);
                put
            } else {
                let body = || body::of_file(self.parcel.source.clone(), file.path.clone(), file.bytes);
                self.bucket.put(&key, file.sha256, file.bytes, body, asked).await.map_err(put_failed)?
            };
            how.uploaded = put == Put::Stored;
            fault_point::reached(if file.path.top() == "seal" { "archive-seal" } else { "archive-object" });
        }
        let read_failed = |source| ArchiveError::ReadBack { key: key.clone(), source };
        let vanished = || ArchiveError::Vanished { key: key.clone() };
        let mut stored = self.bucket.head(&key, None).await.map_err(read_failed)?.ok_or_else(vanished)?;
        let checksum = self.prove(&key, file, &stored, sent).await?;
        if !stored.lock.misses(&asked.lock).is_empty() {
            // What was there already, and what S3 did not lock as it came (seen of uploads in parts, on MiniStack).
            let version = stored.version.as_deref();
            match self.bucket.tighten(&key, version, &stored.lock, &asked.lock).await {
                Ok(()) => {
                    stored = self.bucket.head(&key, version).await.map_err(read_failed)?.ok_or_else(vanished)?;
                    how.locked_later = true;
                }
                // What is missing stands in the record, with S3's own word.
                Err(source) => {
                    return Ok((object(file, stored, checksum), how)).inspect(|_| tracing::warn!(key, fault = %source, "not locked"));
                }
            }
        }
        Ok((object(file, stored, checksum), how))
    }

    /// That what lies there is the file: by the checksum that S3 keeps, or by reading it back.
    async fn prove(&self, key: &str, file: &ParcelFile, stored: &Stored, sent: Option<String>) -> Result<Option<Checksum>, ArchiveError> {
        let differs = |what: String| Err(ArchiveError::Differs { key: key.into(), what });
        if stored.bytes != file.bytes {
            return differs(format!("{} bytes, and the file has {}", stored.bytes, file.bytes));
        }
        let read_failed = |source| ArchiveError::ReadBack { key: key.into(), source };
        let ours = file.sha256.to_base64();
        match &stored.checksum {
            Some(theirs) if theirs.kind == ChecksumKind::FullObject => match theirs.sha256 == ours {
                true => Ok(Some(theirs.clone())),
                false => differs(format!("SHA-256 {}, and the file has {ours}", theirs.sha256)),
            },
            Some(theirs) => {
                let (ours, part_bytes) = match sent {
                    Some(sent) => (sent, self.bucket.part_bytes(file.bytes)),
                    None => {
                        let told = self.bucket.parts_of(key, stored.version.as_deref()).await.map_err(read_failed)?;
                        let part_bytes = told.unwrap_or_else(|| self.bucket.part_bytes(file.bytes));
                        (self.composite(file, part_bytes).await?, part_bytes)
                    }
                };
                match theirs.sha256 == ours {
                    true => Ok(Some(Checksum { part_bytes: Some(part_bytes), ..theirs.clone() })),
                    false => differs(format!("SHA-256 over its parts {}, and the file has {ours}", theirs.sha256)),
                }
            }
            None => {
                let mut body = self.bucket.get(key, stored.version.as_deref()).await.map_err(read_failed)?;
                let mut hasher = Hasher::default();
                while let Some(piece) = body.try_next().await.map_err(|e| read_failed(broken(&e)))? {
                    hasher.update(&piece);
                }
                match hasher.finish() == (file.sha256, file.bytes) {
                    true => Ok(None),
                    false => differs("its bytes were read, and have another SHA-256".into()),
                }
            }
        }
    }

    async fn composite(&self, file: &ParcelFile, part_bytes: u64) -> Result<String, ArchiveError> {
        let mut composite = Composite::new(part_bytes);
        let mut pieces = body::pieces(&self.parcel.source, &file.path, 128 << 10);
        while let Some(piece) = pieces.recv().await {
            composite.update(&piece.map_err(|source| ArchiveError::ReadFile { path: file.path.clone(), source })?);
        }
        Ok(composite.finish())
    }

    /// Everything is there: write down what S3 says, unless the last record says the very same.
    async fn record(
        &self,
        all: Vec<(ObjectRecord, How)>,
        preflight: Preflight,
        say: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<Archived, ArchiveError> {
        let order = self.order;
        let count = |of: fn(&How) -> bool| all.iter().filter(|(_, how)| of(how)).count() as u64;
        let (uploaded, locked_later) = (count(|h| h.uploaded), count(|h| h.locked_later && !h.uploaded));
        let objects: Vec<ObjectRecord> = all.into_iter().map(|(object, _)| object).collect();
        let shortfalls = shortfalls(&objects, &order.asked);
        let retention = order.asked.lock.retention;
        let mut record = ArchiveRecord {
            v: 1,
            case: self.parcel.case.clone(),
            bundle: self.parcel.bundle.clone(),
            root: self.parcel.root,
            previous: self.parcel.root,
            run: order.run.clone(),
            operator: order.operator.clone(),
            tool: tool::name_and_version(),
            at: stamp(self.bucket.clock.now()),
            place: self.place.to_string(),
            region: preflight.region,
            expected_bucket_owner: self.bucket.owner.clone(),
            asked: AskedRecord {
                mode: retention.map(|r| r.mode),
                retain_until: retention.map(|r| seconds(r.until)),
                legal_hold: order.asked.lock.legal_hold,
                event_hold: order.asked.lock.event_hold,
                kms_key: order.asked.kms_key.clone(),
            },
            bucket: preflight.properties,
            accepted: order.accepted.words(),
            objects,
            shortfalls: shortfalls.clone(),
        };
        let (number, sha256) = self.put_record(&mut record).await?;
        say(&format!("{} objects read back; record {}", record.objects.len(), record_path(number)?.as_str()));
        let outcome = if shortfalls.is_empty() { Outcome::Complete } else { Outcome::VerificationFailed };
        let present = record.objects.len() as u64 - uploaded;
        let as_asked = if shortfalls.is_empty() { "every object reads back as it was asked" } else { "NOT EVERYTHING IS AS IT WAS ASKED" };
        Ok(Archived {
            v: 1,
            outcome,
            exit_code: outcome.exit_code(),
            headline: format!("archived: {uploaded} objects put, {present} were there already; {as_asked}"),
            case: record.case,
            bundle: record.bundle,
            root: record.root,
            place: record.place,
            uploaded,
            present,
            locked_later,
            bytes: self.parcel.bytes(),
            bucket: record.bucket,
            accepted: record.accepted,
            record: record_path(number)?,
            record_sha256: sha256,
            record_copy: None,
            shortfalls,
            notes: vec![],
        })
    }

    /// Puts the record under the next free number. The one before it is looked at first: were it to say the same of the same versions, a second
    /// one would tell nothing new.
    async fn put_record(&self, record: &mut ArchiveRecord) -> Result<(u32, Sha256), ArchiveError> {
        let lead = self.place.lead();
        let numbers =
            self.there.keys().filter_map(|k| k.strip_prefix(&lead)?.strip_prefix(ADDENDA)?.split_once('/')?.0.parse::<u32>().ok());
        let own = self.parcel.files.iter().filter_map(|f| f.path.as_str().strip_prefix(ADDENDA)?.split_once('/')?.0.parse::<u32>().ok());
        let mut last = numbers.chain(own).max().unwrap_or_default();
        loop {
            if last > 0
                && let Some(bytes) = self.addendum(last).await?
            {
                let before: Option<ArchiveRecord> = serde_json::from_slice(&bytes).ok();
                record.previous = Sha256::of(&bytes);
                if before.is_some_and(|b| b.root == record.root && b.objects == record.objects && b.asked == record.asked) {
                    return Ok((last, record.previous));
                }
            }
            last += 1;
            let key = self.place.key(&record_path(last)?);
            let bytes = canon::to_vec("the archive's record", &record).map_err(ArchiveError::MakeRecord)?;
            let sha256 = Sha256::of(&bytes);
            let length = bytes.len() as u64;
            let bytes = bytes::Bytes::from(bytes);
            let put = self.bucket.put(&key, sha256, length, || bytes.clone().into(), &self.order.asked).await;
            match put.map_err(|source| ArchiveError::Put { key, source })? {
                Put::Stored => return Ok((last, sha256)),
                // Another process archives the same bundle: its record is looked at, and ours comes behind it.
                Put::Exists => {}
            }
        }
    }

    async fn addendum(&self, number: u32) -> Result<Option<Vec<u8>>, ArchiveError> {
        let key = self.place.key(&record_path(number)?);
        let failed = |source| ArchiveError::ReadBack { key: key.clone(), source };
        match self.bucket.head(&key, None).await.map_err(failed)? {
            Some(_) => self.bucket.get_small(&key, None, MAX_RECORD).await.map(Some).map_err(failed),
            None => Ok(None),
        }
    }
}

fn record_path(number: u32) -> Result<BundlePath, ArchiveError> {
    BundlePath::parse(&format!("{ADDENDA}{number:06}/archive.json")).map_err(ArchiveError::NameRecord)
}

fn object(file: &ParcelFile, stored: Stored, checksum: Option<Checksum>) -> ObjectRecord {
    ObjectRecord {
        path: file.path.clone(),
        bytes: file.bytes,
        sha256: file.sha256,
        version_id: stored.version,
        etag: stored.etag,
        checksum,
        lock: stored.lock,
        encryption: stored.encryption,
        kms_key: stored.kms_key,
        last_modified: stored.last_modified,
        replication: stored.replication,
    }
}

/// What S3 did not do although it was asked, each with how many objects and the first of them.
fn shortfalls(objects: &[ObjectRecord], asked: &Asked) -> Vec<String> {
    let mut all: BTreeMap<String, (u64, &BundlePath)> = BTreeMap::new();
    for object in objects {
        let lock = object.lock.misses(&asked.lock).into_iter().map(|m| format!("not locked as asked ({m})"));
        let key = asked.kms_key.as_ref().filter(|_| object.encryption.as_deref() != Some("aws:kms"));
        let key = key.map(|_| "not encrypted with the key that was named".to_string());
        let version = object.version_id.is_none() && !asked.lock.is_none();
        let version = version.then(|| "no version id: S3 keeps no versions of it".to_string());
        for what in lock.chain(key).chain(version) {
            all.entry(what).or_insert((0, &object.path)).0 += 1;
        }
    }
    all.into_iter().map(|(what, (n, first))| format!("{what}: {n} objects, the first is {}", first.as_str())).collect()
}

/// The record beside the bundle: `<bundle>.addenda/000001/archive.json`, the very bytes that lie in the bucket.
async fn keep_copy(order: &Order, archived: &Archived, bucket: &Bucket, place: &Place) -> Result<PathBuf, ArchiveError> {
    let key = place.key(&archived.record);
    let bytes = bucket.get_small(&key, None, MAX_RECORD).await.map_err(|source| ArchiveError::ReadBack { key: key.clone(), source })?;
    if Sha256::of(&bytes) != archived.record_sha256 {
        return Err(ArchiveError::Differs { key, what: "the record that was just put reads back differently".into() });
    }
    let below = archived.record.as_str().strip_prefix(ADDENDA).unwrap_or(archived.record.as_str());
    let beside =
        order.bundle.canonicalize().unwrap_or_else(|_| order.bundle.clone()).with_file_name(format!("{}.addenda", archived.bundle));
    let path = beside.join(below);
    let keep = {
        let path = path.clone();
        move || {
            disk::make_dirs(path.parent().unwrap_or(&path))?;
            match disk::write_new(&path, &bytes) {
                // An earlier process came this far; one that was killed while it wrote left a part, and a part is no record.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => match disk::read_bounded(&path, MAX_RECORD)? {
                    Some(there) if there == bytes => Ok(()),
                    _ => {
                        let aside = tempfile::Builder::new()
                            .prefix("archive-")
                            .suffix(".json")
                            .disable_cleanup(true)
                            .make_in(path.parent().unwrap_or(&path), |p| disk::write_new(p, &bytes));
                        aside.map(|_| ())
                    }
                },
                other => other,
            }
        }
    };
    let kept = tokio::task::spawn_blocking(keep).await.map_err(ArchiveError::Task)?;
    kept.map_err(|source| ArchiveError::KeepRecord { path: path.clone(), source })?;
    Ok(path)
}

/// The transfer, unless an earlier process has written it before it was killed.
async fn journal(case: Case<'_>, order: &Order, archived: &Archived, parcel: &Parcel) -> Result<(), ArchiveError> {
    let said = case
        .journal
        .events()
        .iter()
        .any(|e| matches!(e, JournalEvent::Transfer { record, to, .. } if *record == archived.record_sha256 && *to == archived.place));
    if said {
        return Ok(());
    }
    let event = JournalEvent::Transfer {
        run: order.run.clone(),
        bundle: archived.bundle.clone(),
        root: archived.root,
        to: archived.place.clone(),
        record: archived.record_sha256,
        objects: parcel.files.len() as u64,
        bytes: archived.bytes,
    };
    case.journal.append(event).await.map_err(ArchiveError::Journal)
}

/// The case journal as it is now: what was written after its last bundle was archived.
pub async fn journal_too(vault: &Vault, id: &CaseId, case: Case<'_>) -> Result<(), ArchiveError> {
    let place = vault.to.below(id.as_str()).ok_or_else(|| ArchiveError::Name { to: vault.to.to_string() })?;
    mirror(&vault.bucket, &place, case, &vault.asked, 0).await.map(|_| ())
}

/// The case journal beside the bundles, from behind the first `done` segments on. Segments never change, so one that differs is another case's.
async fn mirror(bucket: &Bucket, place: &Place, case: Case<'_>, asked: &Asked, done: usize) -> Result<usize, ArchiveError> {
    let segments = case.store.list("journal").await.map_err(ArchiveError::ReadJournal)?;
    let lead = place.lead();
    let all: Vec<_> = segments.iter().skip(done).map(|segment| mirror_one(bucket, &lead, case, asked, segment)).collect();
    stream::iter(all).buffered(AT_ONCE).try_collect::<()>().await?;
    Ok(segments.len())
}

async fn mirror_one(bucket: &Bucket, lead: &str, case: Case<'_>, asked: &Asked, segment: &str) -> Result<(), ArchiveError> {
    let Some(bytes) = case.store.get(segment).await.map_err(ArchiveError::ReadJournal)? else { return Ok(()) };
    let (key, sha256, length) = (format!("{lead}{segment}"), Sha256::of(&bytes), bytes.len() as u64);
    let bytes = bytes::Bytes::from(bytes);
    let failed = |source| ArchiveError::Put { key: key.clone(), source };
    let there = bucket.head(&key, None).await.map_err(failed)?;
    if there.is_none() && bucket.put(&key, sha256, length, || bytes.clone().into(), asked).await.map_err(failed)? == Put::Stored {
        fault_point::reached("archive-journal");
        return Ok(());
    }
    let theirs = bucket.get_small(&key, None, length).await.map_err(failed)?;
    match theirs == bytes {
        true => Ok(()),
        false => Err(ArchiveError::Differs { key, what: "it is a segment of another case's journal, under the same case id".into() }),
    }
}

/// A lock in words, for people.
pub fn lock_words(lock: &InEffect) -> Option<String> {
    let mut words = vec![];
    if let (Some(mode), Some(until)) = (lock.mode, &lock.retain_until) {
        words.push(format!("{} until {until}", mode.as_str()));
    }
    if lock.legal_hold {
        words.push("legal hold".into());
    }
    if lock.event_hold {
        words.push(match lock.event_hold_duration {
            Some(span) => format!("event hold, then {span}"),
            None => "event hold".into(),
        });
    }
    (!words.is_empty()).then(|| words.join(", "))
}
