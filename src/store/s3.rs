//! A store in an S3 bucket: an object is an object, its key the prefix and the key.
//!
//! `PutObject` with `If-None-Match: *` is what makes a put one that never replaces; a checksum goes with it, and what S3 says it has stored is
//! read back before a put counts. The bucket's owner enforces the same from his side (versioning, Object Lock, a policy that demands
//! `s3:if-none-match`); nothing here relies on the client alone being honest.
//!
//! `Exists` can mean our own object: when an answer is lost, the SDK repeats the request, and the repetition meets what the first one left.
//! Callers that care compare the bytes. The reader needs `s3:ListBucket`, or S3 answers 403 where nothing is and no read can tell *absent*
//! from *denied*.

use super::{Cause, MAX_OBJECT, Put, Store, StoreError, check_size, folder, key};
use crate::aws::fault::{Fault, FaultClass};
use crate::clock::Clock;
use crate::model::digest::{self, Sha256};
use crate::model::lock::{LockMode, Span};
use crate::model::path::BundlePath;
use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::Builder as S3Conf;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, Object, ObjectLockLegalHoldStatus, ObjectLockMode, ServerSideEncryption};
use aws_smithy_types::byte_stream::ByteStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// S3 takes no larger object in one `PutObject`, and a multipart upload has no full-object SHA-256 to compare.
pub const MAX_SINGLE_PUT: u64 = 5 << 30;
/// So often do we come back after 409 `ConditionalRequestConflict` (another conditional write to the key was under way).
const CONFLICT_TRIES: u32 = 6;
/// A listing of a million objects is no case of ours.
const MAX_PAGES: u32 = 1000;
/// For an upload of up to 5 GiB; stalled uploads are noticed by the SDK's stalled-stream protection long before.
const UPLOAD: Duration = Duration::from_secs(30 * 60);

/// How S3 is to keep each object that is put.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Nobody may delete it for so long from when it is put.
    pub retain: Option<(LockMode, Span)>,
    pub legal_hold: bool,
    /// SSE-KMS with this key; the bucket's own default otherwise.
    pub kms_key: Option<String>,
    /// Every call fails when the bucket is not this account's.
    pub owner: Option<String>,
}

#[derive(Clone, Debug)]
pub struct S3Store {
    keep: Keep,
    client: Client,
    clock: Arc<dyn Clock>,
    bucket: String,
    prefix: Option<BundlePath>,
}

/// What S3 did is not what was asked of it.
#[derive(Debug, thiserror::Error)]
enum Surprise {
    #[error("S3 says that it stored other bytes: SHA-256 {theirs}, sent were {ours}")]
    OtherBytes { ours: String, theirs: String },
    #[error("the object has {bytes} bytes; at most {limit} are read here")]
    TooLarge { bytes: u64, limit: u64 },
    #[error(
        "the file has {bytes} bytes; S3 takes at most {MAX_SINGLE_PUT} (5 GiB) in one PutObject, and freezeframe does not upload in parts"
    )]
    FileTooLarge { bytes: u64 },
    #[error("the listing did not end after {MAX_PAGES} pages")]
    EndlessListing,
    #[error("S3 says that there is nothing right after it stored the object")]
    Vanished,
}

/// What is put, to be sent anew with each try.
enum Body<'a> {
    Bytes(bytes::Bytes),
    File(&'a Path),
}

impl Body<'_> {
    async fn stream(&self) -> Result<ByteStream, Cause> {
        match self {
            Body::Bytes(bytes) => Ok(ByteStream::from(bytes.clone())),
            Body::File(path) => Ok(ByteStream::from_path(path).await?),
        }
    }
}

impl S3Store {
    /// `prefix` (may be empty) obeys the rules of a key. Nothing is asked of S3 yet.
    pub fn new(client: Client, clock: Arc<dyn Clock>, bucket: &str, prefix: &str) -> Result<Self, StoreError> {
        Ok(S3Store { keep: Keep::default(), client, clock, bucket: bucket.to_string(), prefix: folder(prefix)? })
    }

    /// The same store, which asks S3 to keep what it puts like this.
    pub fn keeping(self, keep: Keep) -> Self {
        S3Store { keep, ..self }
    }

    fn kept(&self, request: PutObjectFluentBuilder) -> PutObjectFluentBuilder {
        let mut request = request.set_expected_bucket_owner(self.keep.owner.clone());
        let until = self.keep.retain.and_then(|(mode, span)| Some((mode, span.from(self.clock.now())?)));
        if let Some((mode, until)) = until {
            let word = mode.as_str().to_ascii_uppercase();
            request = request.object_lock_mode(ObjectLockMode::from(word.as_str()));
            request = request.object_lock_retain_until_date(aws_smithy_types::DateTime::from_secs(until.timestamp()));
        }
        if self.keep.legal_hold {
            request = request.object_lock_legal_hold_status(ObjectLockLegalHoldStatus::On);
        }
        match &self.keep.kms_key {
            Some(key) => request.server_side_encryption(ServerSideEncryption::AwsKms).ssekms_key_id(key).bucket_key_enabled(true),
            None => request,
        }
    }

    fn s3_key(&self, key: &BundlePath) -> String {
        match &self.prefix {
            Some(prefix) => format!("{}/{}", prefix.as_str(), key.as_str()),
            None => key.as_str().to_string(),
        }
    }

    fn put_error(&self, key: &str, source: impl Into<Cause>) -> StoreError {
        StoreError::PutObject { key: key.into(), place: self.describe(), source: source.into() }
    }
    fn get_error(&self, key: &str, source: impl Into<Cause>) -> StoreError {
        StoreError::GetObject { key: key.into(), place: self.describe(), source: source.into() }
    }
    fn list_error(&self, folder: &str, source: impl Into<Cause>) -> StoreError {
        StoreError::ListObjects { folder: folder.into(), place: self.describe(), source: source.into() }
    }

    async fn put(&self, key: &BundlePath, digest: Sha256, body: Body<'_>) -> Result<Put, Cause> {
        let ours = digest.to_base64();
        let s3_key = self.s3_key(key);
        for attempt in 1.. {
            let request = self
                .client
                .put_object()
                .bucket(&self.bucket)
                .key(&s3_key)
                .if_none_match("*")
                // By name as well: S3 wants it of whatever is put with a lock.
                .checksum_algorithm(ChecksumAlgorithm::Sha256)
                .checksum_sha256(&ours)
                .body(body.stream().await?);
            let request = self.kept(request);
            let patient = TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(5))
                .read_timeout(UPLOAD)
                .operation_attempt_timeout(UPLOAD)
                .build();
            let fault = match request.customize().config_override(S3Conf::new().timeout_config(patient)).send().await {
                Ok(_) => break,
                Err(e) => Fault::of(&e, &[]),
            };
            match (fault.class, fault.status) {
                (FaultClass::Conflict, Some(412)) => return Ok(Put::Exists),
                (FaultClass::Conflict, Some(409)) if attempt < CONFLICT_TRIES => {
                    self.clock.sleep(Duration::from_millis(50 << attempt)).await
                }
                _ => return Err(fault.into()),
            }
        }
        self.read_back(&s3_key, &ours).await.map(|()| Put::Stored)
    }

    /// `PutObject`'s own answer is not asked: the object as S3 would hand it out is what counts.
    async fn read_back(&self, s3_key: &str, ours: &str) -> Result<(), Cause> {
        let head = self.client.head_object().bucket(&self.bucket).key(s3_key).checksum_mode(ChecksumMode::Enabled);
        let head = head.set_expected_bucket_owner(self.keep.owner.clone()).send().await;
        let head = head.map_err(|e| Fault::of(&e, &[]))?;
        let theirs = match head.checksum_sha256() {
            Some(theirs) => theirs.to_string(),
            // An S3 that keeps no checksum: read all of it and see.
            None => self.digest_of(s3_key).await?.to_base64(),
        };
        if theirs == ours { Ok(()) } else { Err(Surprise::OtherBytes { ours: ours.into(), theirs }.into()) }
    }

    async fn digest_of(&self, s3_key: &str) -> Result<Sha256, Cause> {
        let answer = self.client.get_object().bucket(&self.bucket).key(s3_key);
        let answer = answer.set_expected_bucket_owner(self.keep.owner.clone()).send().await;
        let mut body = match answer.map_err(|e| Fault::of(&e, &[])) {
            Ok(answer) => answer.body,
            Err(f) if f.class == FaultClass::NotFound => return Err(Surprise::Vanished.into()),
            Err(f) => return Err(f.into()),
        };
        let mut hasher = digest::Hasher::default();
        while let Some(chunk) = body.try_next().await? {
            hasher.update(&chunk);
        }
        Ok(hasher.finish().0)
    }

    async fn fetch(&self, s3_key: &str) -> Result<Option<Vec<u8>>, Cause> {
        let answer = self.client.get_object().bucket(&self.bucket).key(s3_key).checksum_mode(ChecksumMode::Enabled);
        let answer = answer.set_expected_bucket_owner(self.keep.owner.clone()).send().await;
        let mut answer = match answer.map_err(|e| Fault::of(&e, &[])) {
            Ok(answer) => answer,
            // A bucket that does not exist is no absent object.
            Err(f) if f.code.as_deref() == Some("NoSuchKey") => return Ok(None),
            Err(f) => return Err(f.into()),
        };
        let too_large = |bytes| Surprise::TooLarge { bytes, limit: MAX_OBJECT };
        let said = answer.content_length().and_then(|n| u64::try_from(n).ok()).unwrap_or_default();
        if said > MAX_OBJECT {
            return Err(too_large(said).into());
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.body.try_next().await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > MAX_OBJECT {
                return Err(too_large(bytes.len() as u64).into());
            }
        }
        Ok(Some(bytes))
    }

    fn inside(&self, below: Option<&BundlePath>) -> String {
        match (below, &self.prefix) {
            (Some(folder), _) => format!("{}/", self.s3_key(folder)),
            (None, Some(prefix)) => format!("{}/", prefix.as_str()),
            (None, None) => String::new(),
        }
    }

    async fn folders_below(&self, below: Option<&BundlePath>) -> Result<Vec<String>, Cause> {
        let inside = self.inside(below);
        let (mut names, mut token) = (Vec::new(), None);
        for _ in 0..MAX_PAGES {
            let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(&inside).delimiter("/").set_continuation_token(token);
            let request = request.set_expected_bucket_owner(self.keep.owner.clone());
            let page = request.send().await.map_err(|e| Fault::of(&e, &[]))?;
            let below = page.common_prefixes().iter().filter_map(|p| p.prefix()?.strip_prefix(&inside)?.strip_suffix('/'));
            names.extend(below.filter(|name| BundlePath::parse(name).is_ok()).map(str::to_string));
            token = page.next_continuation_token().map(str::to_string);
            if token.is_none() {
                names.sort_unstable();
                names.dedup();
                return Ok(names);
            }
        }
        Err(Surprise::EndlessListing.into())
    }

    async fn keys_below(&self, below: Option<&BundlePath>) -> Result<Vec<String>, Cause> {
        let inside = self.inside(below);
        let own = self.prefix.as_ref().map_or(0, |p| p.as_str().len() + 1);
        let (mut keys, mut token) = (Vec::new(), None);
        for _ in 0..MAX_PAGES {
            let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(&inside).set_continuation_token(token);
            let request = request.set_expected_bucket_owner(self.keep.owner.clone());
            let page = request.send().await.map_err(|e| Fault::of(&e, &[]))?;
            // What is named as no key of ours is no object of ours (a console's folder marker, say).
            let names = page.contents().iter().filter_map(Object::key).filter_map(|k| k.get(own..));
            keys.extend(names.filter(|k| BundlePath::parse(k).is_ok()).map(str::to_string));
            token = page.next_continuation_token().map(str::to_string);
            if token.is_none() {
                // Directory buckets list in no order.
                keys.sort_unstable();
                return Ok(keys);
            }
        }
        Err(Surprise::EndlessListing.into())
    }
}

#[async_trait]
impl Store for S3Store {
    async fn put_if_absent(&self, key_text: &str, bytes: Vec<u8>) -> Result<Put, StoreError> {
        let key = key(key_text)?;
        check_size(key_text, bytes.len() as u64)?;
        let digest = Sha256::of(&bytes);
        self.put(&key, digest, Body::Bytes(bytes.into())).await.map_err(|e| self.put_error(key_text, e))
    }

    async fn put_file_if_absent(&self, key_text: &str, from: &Path) -> Result<Put, StoreError> {
        let key = key(key_text)?;
        let path = from.to_path_buf();
        let length = tokio::fs::metadata(from).await.map_err(|e| self.put_error(key_text, e))?.len();
        if length > MAX_SINGLE_PUT {
            return Err(self.put_error(key_text, Surprise::FileTooLarge { bytes: length }));
        }
        // Hashed first, sent second; should the file change in between, S3 refuses the body that does not match.
        let hashed = tokio::task::spawn_blocking(move || std::fs::File::open(path).and_then(digest::of_reader)).await;
        let (digest, _) = match hashed {
            Ok(result) => result.map_err(|e| self.put_error(key_text, e))?,
            Err(panicked) => return Err(self.put_error(key_text, panicked)),
        };
        self.put(&key, digest, Body::File(from)).await.map_err(|e| self.put_error(key_text, e))
    }

    async fn get(&self, key_text: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.fetch(&self.s3_key(&key(key_text)?)).await.map_err(|e| self.get_error(key_text, e))
    }

    async fn list(&self, folder_text: &str) -> Result<Vec<String>, StoreError> {
        self.keys_below(folder(folder_text)?.as_ref()).await.map_err(|e| self.list_error(folder_text, e))
    }

    async fn folders(&self, folder_text: &str) -> Result<Vec<String>, StoreError> {
        self.folders_below(folder(folder_text)?.as_ref()).await.map_err(|e| self.list_error(folder_text, e))
    }

    fn describe(&self) -> String {
        match &self.prefix {
            Some(prefix) => format!("s3://{}/{}", self.bucket, prefix.as_str()),
            None => format!("s3://{}", self.bucket),
        }
    }
}

#[cfg(test)]
#[path = "s3_tests.rs"]
mod tests;
