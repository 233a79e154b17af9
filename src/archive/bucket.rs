//! The bucket as archiving knows it: conditional puts that carry checksum and lock, and what S3 says of an object afterwards.
//!
//! What it never does: replace an object (every put is `If-None-Match: *`), delete one, or believe the answer to a put: what counts is what a
//! later `HeadObject` says.

use super::in_effect::InEffect;
use super::place::Place;
use crate::aws::fault::{Fault, FaultClass, tame};
use crate::clock::{Clock, seconds};
use crate::model::digest::Sha256;
use crate::model::lock::{Lock, LockMode, Span};
use crate::store::s3::MAX_SINGLE_PUT;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::Builder as S3Conf;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, ObjectLockEventHold, ObjectLockLegalHold, ObjectLockLegalHoldStatus, ObjectLockMode,
    ObjectLockRetention, ObjectLockRetentionMode, ServerSideEncryption,
};
use aws_smithy_types::DateTime as SdkTime;
use aws_smithy_types::byte_stream::ByteStream;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// So often do we come back after 409 `ConditionalRequestConflict` (another conditional write to the key was under way). What else passes (503, a
/// cut line) the SDK tries again by itself: every body here can be made anew.
const TRIES: u32 = 6;
/// For an upload of up to 5 GiB; stalled ones are noticed by the SDK's stalled-stream protection long before.
const UPLOAD: Duration = Duration::from_secs(30 * 60);
/// S3 takes no part smaller than this, but for the last one.
pub const MIN_PART: u64 = 5 << 20;
/// A few of these are in memory at a time.
const PART: u64 = 8 << 20;
/// S3 takes no more parts of one object.
const MAX_PARTS: u64 = 10_000;
/// A listing of more pages is no bundle and no vault of ours.
const MAX_PAGES: u32 = 1000;

/// What is asked of S3 for each object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    pub lock: Lock,
    /// SSE-KMS with this key; the bucket's own default otherwise.
    pub kms_key: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Bucket {
    pub(super) client: Client,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) name: String,
    /// Every call fails when the bucket is not this account's.
    pub(super) owner: Option<String>,
    /// Larger files go up in parts.
    pub(super) single: u64,
    part: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    Stored,
    Exists,
}

/// A version of an object, as a listing names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    pub key: String,
    pub id: Option<String>,
    pub bytes: u64,
    pub latest: bool,
    /// A delete marker: it hides what is below, and holds nothing.
    pub marker: bool,
}

impl Version {
    /// The id to ask for it with. One from before the bucket kept versions has none, and is `null` where something lies over it
    /// (https://docs.aws.amazon.com/AmazonS3/latest/userguide/versioning-workflows.html).
    pub(super) fn asked(&self) -> Option<&str> {
        self.id.as_deref().or((!self.latest).then_some("null"))
    }
}

/// How S3 checks an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChecksumKind {
    /// SHA-256 of the object: the manifest's own value.
    FullObject,
    /// SHA-256 of the parts' SHA-256s, and how many parts there are.
    Composite,
}

/// The SHA-256 that S3 keeps of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Checksum {
    pub kind: ChecksumKind,
    /// Base64, as S3 prints it; of a composite one followed by `-<parts>`.
    pub sha256: String,
    /// Of a composite one: every part but the last has so many bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub part_bytes: Option<u64>,
}

/// What S3 says of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub version: Option<String>,
    pub bytes: u64,
    pub etag: Option<String>,
    pub checksum: Option<Checksum>,
    pub lock: InEffect,
    pub encryption: Option<String>,
    pub kms_key: Option<String>,
    pub last_modified: Option<String>,
    pub replication: Option<String>,
}

impl Bucket {
    pub fn new(client: Client, clock: Arc<dyn Clock>, place: &Place, owner: Option<String>) -> Bucket {
        Bucket { client, clock, name: place.bucket.clone(), owner, single: MAX_SINGLE_PUT, part: PART }
    }

    /// The same with other sizes: S3's are too large to be met in a test.
    pub fn with_sizes(self, single: u64, part: u64) -> Bucket {
        Bucket { single, part: part.max(MIN_PART), ..self }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// In parts of how many bytes a file of so many goes up.
    pub(super) fn part_bytes(&self, bytes: u64) -> u64 {
        let least = bytes.div_ceil(MAX_PARTS).next_multiple_of(1 << 20);
        self.part.max(least)
    }

    /// Puts an object where there is none. `body` makes the bytes anew for each try.
    pub(super) async fn put(
        &self,
        key: &str,
        sha256: Sha256,
        bytes: u64,
        body: impl Fn() -> ByteStream,
        asked: &Asked,
    ) -> Result<Put, Fault> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let length = i64::try_from(bytes).unwrap_or(i64::MAX);
            let request = self.client.put_object().bucket(&self.name).key(key).if_none_match("*").content_length(length).body(body());
            // The algorithm by name as well: S3 wants it (or an MD5) of whatever is put with a lock.
            let request = request.checksum_algorithm(ChecksumAlgorithm::Sha256).checksum_sha256(sha256.to_base64());
            let request = with(request.set_expected_bucket_owner(self.owner.clone()), asked);
            let fault = match request.customize().config_override(patient()).send().await {
                Ok(_) => return Ok(Put::Stored),
                Err(e) => Fault::of(&e, &[]),
            };
            match (fault.class, fault.status) {
                (FaultClass::Conflict, Some(412)) => return Ok(Put::Exists),
                (FaultClass::Conflict, Some(409)) if attempt < TRIES => self.pause(attempt).await,
                _ => return Err(fault),
            }
        }
    }

    pub(super) async fn pause(&self, attempt: u32) {
        self.clock.sleep(Duration::from_millis(50 << attempt.min(8))).await;
    }

    /// What S3 says of the version, or of the newest; `None` when there is none.
    pub(super) async fn head(&self, key: &str, version: Option<&str>) -> Result<Option<Stored>, Fault> {
        let request = self.client.head_object().bucket(&self.name).key(key).set_version_id(version.map(str::to_string));
        let request = request.checksum_mode(ChecksumMode::Enabled).set_expected_bucket_owner(self.owner.clone());
        let head = match request.send().await.map_err(|e| Fault::of(&e, &[])) {
            Ok(head) => head,
            // HEAD has no body, so no code: 404 is all that is said of a key (and of a bucket, which the preflight has met).
            Err(f) if f.class == FaultClass::NotFound => return Ok(None),
            Err(f) => return Err(f),
        };
        let checksum = head.checksum_sha256().map(|sha256| Checksum {
            // The type is not always told; the form tells it as well.
            kind: if sha256.contains('-') { ChecksumKind::Composite } else { ChecksumKind::FullObject },
            sha256: tame(sha256, 80),
            part_bytes: None,
        });
        let duration = match (head.object_lock_event_hold_duration_days(), head.object_lock_event_hold_duration_years()) {
            (Some(n), _) => u32::try_from(n).ok().map(Span::Days),
            (_, Some(n)) => u32::try_from(n).ok().map(Span::Years),
            _ => None,
        };
        Ok(Some(Stored {
            version: version.or(head.version_id()).filter(|v| *v != "null").map(|v| tame(v, 1024)),
            bytes: head.content_length().and_then(|n| u64::try_from(n).ok()).unwrap_or_default(),
            etag: head.e_tag().map(|e| tame(e.trim_matches('"'), 200)),
            checksum,
            lock: InEffect {
                mode: head.object_lock_mode().and_then(|m| LockMode::parse(m.as_str())),
                retain_until: head.object_lock_retain_until_date().and_then(stamp_of),
                legal_hold: head.object_lock_legal_hold_status() == Some(&ObjectLockLegalHoldStatus::On),
                event_hold: head.object_lock_event_hold() == Some(&ObjectLockEventHold::On),
                event_hold_duration: duration,
            },
            encryption: head.server_side_encryption().map(|e| tame(e.as_str(), 40)),
            kms_key: head.ssekms_key_id().map(|k| tame(k, 300)),
            last_modified: head.last_modified().and_then(stamp_of),
            replication: head.replication_status().map(|r| tame(r.as_str(), 40)),
        }))
    }

    /// Locks a version that is there already as far as `asked` goes beyond what is in effect. A longer retention is never shortened: S3 is
    /// asked for the later end alone.
    pub(super) async fn tighten(&self, key: &str, version: Option<&str>, now: &InEffect, asked: &Lock) -> Result<(), Fault> {
        let version = version.map(str::to_string);
        let retention = Lock { retention: asked.retention, ..Lock::default() };
        if !now.misses(&retention).is_empty() || (asked.event_hold.is_some() && !now.event_hold) {
            let stands = now.retain_until.as_deref().and_then(|t| t.parse::<DateTime<Utc>>().ok());
            let mut retention = ObjectLockRetention::builder();
            if let Some(wanted) = asked.retention {
                let mode = if now.mode == Some(LockMode::Compliance) { LockMode::Compliance } else { wanted.mode };
                let until = stands.map_or(wanted.until, |t| t.max(wanted.until));
                retention = retention.mode(ObjectLockRetentionMode::from(sdk_word(mode))).retain_until_date(sdk_time(until));
            }
            if let Some(span) = asked.event_hold {
                retention = retention.event_hold(ObjectLockEventHold::On).event_hold_duration(match span {
                    Span::Days(n) => aws_sdk_s3::types::EventHoldDuration::builder().days(number(n)).build(),
                    Span::Years(n) => aws_sdk_s3::types::EventHoldDuration::builder().years(number(n)).build(),
                });
            }
            let request = self.client.put_object_retention().bucket(&self.name).key(key).set_version_id(version.clone());
            let request = request.checksum_algorithm(ChecksumAlgorithm::Sha256).retention(retention.build());
            request.set_expected_bucket_owner(self.owner.clone()).send().await.map_err(|e| Fault::of(&e, &[]))?;
        }
        if asked.legal_hold && !now.legal_hold {
            let hold = ObjectLockLegalHold::builder().status(ObjectLockLegalHoldStatus::On).build();
            let request = self.client.put_object_legal_hold().bucket(&self.name).key(key).set_version_id(version);
            let request = request.checksum_algorithm(ChecksumAlgorithm::Sha256).legal_hold(hold);
            request.set_expected_bucket_owner(self.owner.clone()).send().await.map_err(|e| Fault::of(&e, &[]))?;
        }
        Ok(())
    }

    /// Every version and delete marker below `lead`, newest of a key first.
    pub(super) async fn versions(&self, lead: &str) -> Result<Vec<Version>, Fault> {
        let (mut all, mut key, mut version) = (vec![], None, None);
        for _ in 0..MAX_PAGES {
            let request =
                self.client.list_object_versions().bucket(&self.name).prefix(lead).set_key_marker(key).set_version_id_marker(version);
            let page = request.set_expected_bucket_owner(self.owner.clone()).send().await.map_err(|e| Fault::of(&e, &[]))?;
            let id = |id: Option<&str>| id.filter(|id| *id != "null").map(|id| tame(id, 1024));
            all.extend(page.versions().iter().filter_map(|v| {
                let bytes = v.size().and_then(|n| u64::try_from(n).ok()).unwrap_or_default();
                Some(Version { key: v.key()?.into(), id: id(v.version_id()), bytes, latest: v.is_latest().unwrap_or(false), marker: false })
            }));
            all.extend(page.delete_markers().iter().filter_map(|m| {
                Some(Version {
                    key: m.key()?.into(),
                    id: id(m.version_id()),
                    bytes: 0,
                    latest: m.is_latest().unwrap_or(false),
                    marker: true,
                })
            }));
            (key, version) = (page.next_key_marker().map(str::to_string), page.next_version_id_marker().map(str::to_string));
            if page.is_truncated() == Some(true) && key.is_none() {
                return Err(Fault::internal("the listing says that there is more, and not where it goes on"));
            }
            if page.is_truncated() != Some(true) {
                // Versions and markers come apart; put together again by key, the newest first.
                all.sort_by(|a, b| (&a.key, !a.latest).cmp(&(&b.key, !b.latest)));
                return Ok(all);
            }
        }
        Err(Fault::internal(format!("the listing did not end after {MAX_PAGES} pages")))
    }

    /// The newest objects below `lead`, for who may not list versions.
    pub(super) async fn objects(&self, lead: &str) -> Result<Vec<Version>, Fault> {
        let (mut all, mut token) = (vec![], None);
        for _ in 0..MAX_PAGES {
            let request = self.client.list_objects_v2().bucket(&self.name).prefix(lead).set_continuation_token(token);
            let page = request.set_expected_bucket_owner(self.owner.clone()).send().await.map_err(|e| Fault::of(&e, &[]))?;
            all.extend(page.contents().iter().filter_map(|o| {
                let bytes = o.size().and_then(|n| u64::try_from(n).ok()).unwrap_or_default();
                Some(Version { key: o.key()?.into(), id: None, bytes, latest: true, marker: false })
            }));
            token = page.next_continuation_token().map(str::to_string);
            if page.is_truncated() == Some(true) && token.is_none() {
                return Err(Fault::internal("the listing says that there is more, and not where it goes on"));
            }
            if token.is_none() {
                return Ok(all);
            }
        }
        Err(Fault::internal(format!("the listing did not end after {MAX_PAGES} pages")))
    }

    /// The bytes of a version. Its checksum is not asked for: who reads computes the digest anyway.
    pub(super) async fn get(&self, key: &str, version: Option<&str>) -> Result<ByteStream, Fault> {
        self.get_from(key, version, 0).await.map(|(body, _)| body)
    }

    /// The same from `offset` on, and where the bytes really begin: an S3 that does not know ranges (MiniStack, of a version) hands out all.
    pub(super) async fn get_from(&self, key: &str, version: Option<&str>, offset: u64) -> Result<(ByteStream, u64), Fault> {
        let request = self.client.get_object().bucket(&self.name).key(key).set_version_id(version.map(str::to_string));
        let request = request.set_range((offset > 0).then(|| format!("bytes={offset}-")));
        let request = request.set_expected_bucket_owner(self.owner.clone()).customize().config_override(patient());
        let answer = request.send().await.map_err(|e| Fault::of(&e, &[]))?;
        let begins = if answer.content_range().is_some_and(|r| r.starts_with(&format!("bytes {offset}-"))) { offset } else { 0 };
        Ok((answer.body, begins))
    }

    /// The whole of an object that is known to be small.
    pub(super) async fn get_small(&self, key: &str, version: Option<&str>, limit: u64) -> Result<Vec<u8>, Fault> {
        let mut body = self.get(key, version).await?;
        let mut bytes = vec![];
        while let Some(piece) = body.try_next().await.map_err(|e| broken(&e))? {
            bytes.extend_from_slice(&piece);
            if bytes.len() as u64 > limit {
                return Err(Fault::internal(format!("it has more than the {limit} bytes that such an object has")));
            }
        }
        Ok(bytes)
    }
}

/// A body that broke off.
pub(super) fn broken(error: &dyn std::error::Error) -> Fault {
    Fault { class: FaultClass::Truncated, code: None, message: tame(&error.to_string(), 400), status: None, request_id: None }
}

fn with(request: PutObjectFluentBuilder, asked: &Asked) -> PutObjectFluentBuilder {
    let lock = &asked.lock;
    let mut request = request;
    if let Some(retention) = lock.retention {
        request = request
            .object_lock_mode(ObjectLockMode::from(sdk_word(retention.mode)))
            .object_lock_retain_until_date(sdk_time(retention.until));
    }
    if lock.legal_hold {
        request = request.object_lock_legal_hold_status(ObjectLockLegalHoldStatus::On);
    }
    // DOUBT(aws): whether S3 takes an event hold without a mode has not been seen; what came of it is read back.
    if let Some(span) = lock.event_hold {
        request = request.object_lock_event_hold(ObjectLockEventHold::On);
        request = match span {
            Span::Days(n) => request.object_lock_event_hold_duration_days(number(n)),
            Span::Years(n) => request.object_lock_event_hold_duration_years(number(n)),
        };
    }
    match &asked.kms_key {
        Some(key) => request.server_side_encryption(ServerSideEncryption::AwsKms).ssekms_key_id(key).bucket_key_enabled(true),
        None => request,
    }
}

pub(super) fn patient() -> S3Conf {
    S3Conf::new().timeout_config(
        TimeoutConfig::builder().connect_timeout(Duration::from_secs(5)).read_timeout(UPLOAD).operation_attempt_timeout(UPLOAD).build(),
    )
}

/// S3 writes modes in capitals.
pub(super) const fn sdk_word(mode: LockMode) -> &'static str {
    match mode {
        LockMode::Governance => "GOVERNANCE",
        LockMode::Compliance => "COMPLIANCE",
    }
}

pub(super) fn sdk_time(at: DateTime<Utc>) -> SdkTime {
    SdkTime::from_secs(at.timestamp())
}

pub(super) fn number(n: u32) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

fn stamp_of(at: &SdkTime) -> Option<String> {
    DateTime::from_timestamp(at.secs(), 0).map(seconds)
}
