//! Writing down what S3 says: an addendum of kind `archive` in the bucket, once everything is there, and its copy beside the bundle.

use super::addenda::Shelf;
use super::bucket::{Asked, Checksum, Stored};
use super::error::ArchiveError;
use super::parcel::ParcelFile;
use super::preflight::Preflight;
use super::record::{ArchiveRecord, Archived, AskedRecord, ObjectRecord};
use super::send::{How, Sending};
use crate::bundle::addenda::{About, AddendumKind, Ready, WITHIN, beside, folder};
use crate::bundle::fault_point;
use crate::bundle::tool;
use crate::clock::{seconds, stamp};
use crate::model::canon;
use crate::model::digest::Sha256;
use crate::model::outcome::Outcome;
use crate::model::path::BundlePath;
use std::collections::BTreeMap;

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
        let record = ArchiveRecord {
            v: 1,
            case: self.parcel.case.clone(),
            bundle: self.parcel.bundle.clone(),
            root: self.parcel.root,
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
        let (beside, mut notes) = (beside::place(&order.bundle, &self.parcel.bundle), vec![]);
        let mut shelf = Shelf::look(self.bucket, &self.place, &order.asked).await?;
        let one_chain = shelf.bring_up(&beside).await?;
        let told = self.put_record(&mut shelf, &record).await?;
        fault_point::reached("archive-recorded");
        if one_chain {
            shelf.bring_down(&beside).await?;
        } else {
            notes.push(format!(
                "the addenda in {} are another chain than those at {}: neither was copied to the other",
                beside.display(),
                self.place
            ));
        }
        fault_point::reached("archive-copied");
        let path = record_path(told.number)?;
        say(&format!("{} objects read back; record {}", record.objects.len(), path.as_str()));
        let outcome = match (shortfalls.is_empty(), told.missing.is_empty()) {
            (true, true) => Outcome::Complete,
            (true, false) => Outcome::Gaps,
            (false, _) => Outcome::VerificationFailed,
        };
        notes.extend(told.missing);
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
            record_copy: one_chain.then(|| beside.join(folder(told.number)).join(AddendumKind::Archive.document())),
            record: path,
            record_sha256: told.document,
            statement_sha256: told.statement,
            signed_by: told.signed_by,
            shortfalls,
            notes,
        })
    }

    /// Puts the record behind the addenda that are there. The last one of this place is looked at first: were it to say the same of the same
    /// versions, and to be signed by the same keys, a second one would tell nothing new.
    async fn put_record(&self, shelf: &mut Shelf<'_>, record: &ArchiveRecord) -> Result<Told, ArchiveError> {
        let of_this_place = |bytes: &[u8]| serde_json::from_slice::<ArchiveRecord>(bytes).ok().filter(|r| r.place == record.place);
        if let Some((number, document, before)) = shelf.newest(AddendumKind::Archive, of_this_place).await?
            && (before.root, &before.objects, &before.asked) == (record.root, &record.objects, &record.asked)
            && let Some(statement) = shelf.statement(number)
        {
            let signed_by = shelf.signed_by(number).await?;
            if self.order.signers.stated().iter().filter_map(|s| s.key).all(|key| signed_by.contains(&key)) {
                return Ok(Told { number, document, statement, signed_by, missing: vec![] });
            }
        }
        let about = About {
            case: self.parcel.case.clone(),
            bundle: self.parcel.bundle.clone(),
            root: self.parcel.root,
            operator: self.order.operator.clone(),
        };
        let bytes = canon::to_vec("the archive's record", record).map_err(ArchiveError::MakeRecord)?;
        let ready = shelf.append(&about, AddendumKind::Archive, &bytes, &self.order.signers).await?;
        let Ready { number, statement, signed_by, missing, .. } = ready;
        Ok(Told { number, document: Sha256::of(&bytes), statement, signed_by, missing })
    }
}

/// The addendum that tells of this archive.
struct Told {
    number: u32,
    document: Sha256,
    statement: Sha256,
    signed_by: Vec<Sha256>,
    missing: Vec<String>,
}

fn record_path(number: u32) -> Result<BundlePath, ArchiveError> {
    BundlePath::parse(&format!("{WITHIN}{}/{}", folder(number), AddendumKind::Archive.document())).map_err(ArchiveError::NameRecord)
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
        // An alias or a bare id S3 answers with the key's ARN, which nobody can compare.
        let named = asked.kms_key.as_deref();
        let other = named.is_some_and(|k| k.starts_with("arn:") && k.contains(":key/") && object.kms_key.as_deref() != Some(k));
        let key = named.filter(|_| other || object.encryption.as_deref() != Some("aws:kms"));
        let key = key.map(|_| "not encrypted with the key that was named".to_string());
        let version = object.version_id.is_none() && !asked.lock.is_none();
        let version = version.then(|| "no version id: S3 keeps no versions of it".to_string());
        for what in lock.chain(key).chain(version) {
            all.entry(what).or_insert((0, &object.path)).0 += 1;
        }
    }
    all.into_iter().map(|(what, (n, first))| format!("{what}: {n} objects, the first is {}", first.as_str())).collect()
}
