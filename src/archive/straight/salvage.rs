//! What salvaging asks of the bucket beyond fetching and archiving: whether the run still lives, and that nobody else takes the bundle up at the
//! same time.

use super::super::body;
use super::super::bucket::{Asked, Bucket, Put};
use super::super::error::ArchiveError;
use super::super::place::Place;
use super::super::vault::Vault;
use crate::aws::fault::tame;
use crate::model::digest;
use crate::model::path::BundlePath;
use chrono::{DateTime, TimeDelta, Utc};
use std::path::Path;

/// A run that carries puts a segment every half minute, or sooner. One that was silent for four times as long is taken for dead; clocks of two
/// hosts, and a bucket that is slow, have room in it.
pub const CARRYING_PAUSE: TimeDelta = TimeDelta::seconds(120);

/// The run may be at it still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StillAlive {
    /// When its last segment came into the bucket, as S3 says.
    pub heard: DateTime<Utc>,
    /// When it may be taken for dead, if nothing comes.
    pub until: DateTime<Utc>,
}

/// What can be told of a bundle from a distance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// It has a statement.
    pub sealed: bool,
    pub alive: Option<StillAlive>,
}

/// Looks at the bundle at `place` before it is fetched. S3's time of the journal's last segment is held against the local clock.
pub async fn look(bucket: &Bucket, place: &Place) -> Result<Look, ArchiveError> {
    let below = async |folder: &str| {
        let lead = format!("{}{folder}", place.lead());
        let listed = bucket.objects(&lead).await.map_err(|source| ArchiveError::List { place: place.to_string(), source })?;
        Ok::<_, ArchiveError>(listed.into_iter().filter_map(|o| o.key.strip_prefix(&lead).map(str::to_string)).collect::<Vec<_>>())
    };
    let sealed = below("seal/").await?.iter().any(|name| name == "statement.json");
    let Some(last) = below("meta/journal/").await?.into_iter().max() else { return Ok(Look { sealed, alive: None }) };
    let key = format!("{}meta/journal/{last}", place.lead());
    let head = bucket.head(&key, None).await.map_err(|source| ArchiveError::ReadBack { key: tame(&key, 1024), source })?;
    let heard = head.and_then(|h| h.last_modified?.parse::<DateTime<Utc>>().ok());
    let alive = heard.map(|heard| StillAlive { heard, until: heard + CARRYING_PAUSE });
    Ok(Look { sealed, alive: alive.filter(|a| a.until > bucket.clock.now()) })
}

/// The segments of the journal that were written since, in the bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    Ours,
    /// Somebody else wrote the segment of this number meanwhile: the run, or another who salvages.
    Theirs(u32),
}

/// Puts the segments behind the first `there` of the bag in `dir`: whoever puts his first has the bundle.
pub async fn claim(vault: &Vault, place: &Place, dir: &Path, there: u32) -> Result<Claimed, ArchiveError> {
    for number in there + 1.. {
        let path = BundlePath::parse(&format!("meta/journal/{number:06}.jsonl")).map_err(ArchiveError::NameRecord)?;
        let local = path.under(dir);
        if !local.is_file() {
            break;
        }
        let read = std::fs::File::open(&local).and_then(digest::of_reader);
        let (sha256, bytes) = read.map_err(|source| ArchiveError::ReadFile { path: path.clone(), source })?;
        let key = place.key(&path);
        let failed = |source| ArchiveError::Put { key: key.clone(), source };
        if put(&vault.bucket, &key, (sha256, bytes), &local, &vault.asked).await.map_err(failed)? == Put::Exists {
            let theirs = vault.bucket.head(&key, None).await.map_err(failed)?;
            // Ours, when an answer was lost and the put was repeated.
            if theirs.and_then(|t| t.checksum).is_none_or(|c| c.sha256 != sha256.to_base64()) {
                return Ok(Claimed::Theirs(number));
            }
        }
    }
    Ok(Claimed::Ours)
}

/// Whether something of the bundle lies there that does not lie in `dir`.
pub async fn holds_more(vault: &Vault, place: &Place, dir: &Path) -> Result<bool, ArchiveError> {
    let lead = place.lead();
    let listed = vault.bucket.objects(&lead).await.map_err(|source| ArchiveError::List { place: place.to_string(), source })?;
    let paths = listed.iter().filter_map(|o| o.key.strip_prefix(&lead)).filter(|p| !p.starts_with("seal/"));
    // What is no path of a bundle was met when it was fetched.
    Ok(paths.filter_map(|p| BundlePath::parse(p).ok()).any(|p| !p.under(dir).is_file()))
}

async fn put(
    bucket: &Bucket,
    key: &str,
    (sha256, bytes): (digest::Sha256, u64),
    local: &Path,
    asked: &Asked,
) -> Result<Put, crate::aws::fault::Fault> {
    bucket.put(key, sha256, bytes, || body::of_plain_file(local.to_path_buf(), bytes), asked).await
}
