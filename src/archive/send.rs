//! Archiving: each file of a bundle one object, put where nothing is; then everything read back, and what S3 says of it written down.
//!
//! ```text
//! <prefix>/<case>/<bundle>/data/…                        payload, first
//! <prefix>/<case>/<bundle>/bagit.txt meta/… manifest-…   what describes it
//! <prefix>/<case>/<bundle>/tagmanifest-sha256.txt        the root of everything
//! <prefix>/<case>/<bundle>/seal/…                        what vouches for the root
//! <prefix>/<case>/<bundle>/seal/addenda/NNNNNN/…         what S3 answered, stated and signed: its presence says that the archive came to its end
//! <prefix>/<case>/journal/NNNNNN.jsonl                   the case journal, segment by segment, this transfer included
//! ```
//!
//! Killed at any moment, it is begun again with the same words: what is there is compared (length and SHA-256) and left, the rest is put. What
//! is there and differs is never touched; it is named, and nothing more happens.
//!
//! Cancel safety: a put that is dropped half-way leaves a whole object or none.

use super::body;
use super::bucket::{Bucket, Put, Version};
use super::case;
use super::error::ArchiveError;
use super::parcel::{Parcel, ParcelFile};
use super::place::Place;
use super::record::{Archived, ObjectRecord};
use super::told::object;
use super::vault::{Case, Order, Vault};
use crate::aws::fault::tame;
use crate::bundle::addenda::WITHIN;
use crate::bundle::fault_point;
use crate::model::journal_event::JournalEvent;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use std::collections::BTreeMap;

/// So many small files go up at a time; large ones go one by one.
pub(super) const AT_ONCE: usize = 6;

/// How an object came to be there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct How {
    pub(super) uploaded: bool,
    pub(super) locked_later: bool,
}

pub(super) struct Sending<'a> {
    pub(super) bucket: &'a Bucket,
    pub(super) order: &'a Order,
    pub(super) parcel: Parcel,
    pub(super) place: Place,
    /// The newest version of each key that is there, as listed when the archive began.
    pub(super) there: BTreeMap<String, Version>,
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
        Some(case) => case::mirror(bucket, &case_place, case, &order.asked, 0).await?,
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
    match case {
        Some(case) => {
            case::journal(case, order, &archived, &sending.parcel).await?;
            case::mirror(bucket, &case_place, case, &order.asked, mirrored).await?;
        }
        None if beside => {
            notes.push("the case journal beside the bundle is another case's: the transfer stands in the archive's record alone".into())
        }
        None => notes.push("no case journal lies beside the bundle: the transfer stands in the archive's record alone".into()),
    }
    archived.notes.extend(notes);
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
        if !path.starts_with(WITHIN) && !parcel.files.iter().any(|f| f.path.as_str() == path) {
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
}
