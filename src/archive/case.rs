//! The case around the bundle: the transfer goes into its journal, and the journal itself goes along, segment by segment.

use super::bucket::{Asked, Bucket, Put};
use super::error::ArchiveError;
use super::parcel::Parcel;
use super::place::Place;
use super::record::Archived;
use super::send::AT_ONCE;
use super::vault::{Case, Order, Vault};
use crate::bundle::fault_point;
use crate::model::digest::Sha256;
use crate::model::id::CaseId;
use crate::model::journal_event::JournalEvent;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

/// The transfer, unless an earlier process has written it before it was killed.
pub(super) async fn journal(case: Case<'_>, order: &Order, archived: &Archived, parcel: &Parcel) -> Result<(), ArchiveError> {
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
pub(super) async fn mirror(bucket: &Bucket, place: &Place, case: Case<'_>, asked: &Asked, done: usize) -> Result<usize, ArchiveError> {
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
