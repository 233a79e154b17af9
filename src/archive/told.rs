//! Writing down what S3 says: the record in the bucket, once everything is there, and its copy beside the bundle.

use super::bucket::{Asked, Bucket, Checksum, Put, Stored};
use super::error::ArchiveError;
use super::parcel::ParcelFile;
use super::place::Place;
use super::preflight::Preflight;
use super::record::{ArchiveRecord, Archived, AskedRecord, ObjectRecord};
use super::send::{ADDENDA, How, Sending};
use super::vault::Order;
use crate::bundle::tool;
use crate::clock::{seconds, stamp};
use crate::model::canon;
use crate::model::digest::Sha256;
use crate::model::outcome::Outcome;
use crate::model::path::BundlePath;
use crate::store::disk;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

/// A record of a bundle of a hundred thousand files.
const MAX_RECORD: u64 = 64 << 20;

impl Sending<'_> {
    /// Everything is there: write down what S3 says, unless the last record says the very same.
    pub(super) async fn record(
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

pub(super) fn object(file: &ParcelFile, stored: Stored, checksum: Option<Checksum>) -> ObjectRecord {
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
pub(super) async fn keep_copy(order: &Order, archived: &Archived, bucket: &Bucket, place: &Place) -> Result<PathBuf, ArchiveError> {
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
