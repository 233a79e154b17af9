//! Files that S3 takes in parts only (over 5 GiB). Of such an object S3 keeps a *composite* checksum: SHA-256 over the parts' SHA-256s, which
//! no `sha256sum` shows. So the proof has two legs: each part goes up with its own SHA-256, which S3 checks; and while the parts pass, the
//! whole is hashed and must be what the manifest says, before the upload is completed. Part size and composite are recorded, so that anybody who
//! has the bytes can compute it again.
//!
//! A process that was killed leaves an upload behind. The next one finds it by its key, asks which parts arrived, and sends the others.

use super::body;
use super::bucket::{Asked, Bucket, Put, broken, number, patient, sdk_time, sdk_word};
use crate::aws::fault::{Fault, FaultClass, tame};
use crate::bundle::fault_point;
use crate::bundle::source::BagSource;
use crate::model::digest::{Hasher, Sha256};
use crate::model::lock::Span;
use crate::model::path::BundlePath;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart, ObjectAttributes, ObjectLockEventHold,
    ObjectLockLegalHoldStatus, ObjectLockMode, ServerSideEncryption,
};
use aws_smithy_types::byte_stream::ByteStream;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

const MAX_PAGES: u32 = 100;

/// Computes the checksum that S3 keeps of an object that went up in parts, while its bytes pass.
#[derive(Default)]
pub struct Composite {
    of_parts: Hasher,
    part: Hasher,
    parts: u64,
    part_bytes: u64,
}

impl Composite {
    pub fn new(part_bytes: u64) -> Composite {
        Composite { part_bytes: part_bytes.max(1), ..Composite::default() }
    }

    pub fn update(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            let room = usize::try_from(self.part_bytes - self.part.bytes()).unwrap_or(usize::MAX);
            let (now, later) = data.split_at(room.min(data.len()));
            self.part.update(now);
            data = later;
            if self.part.bytes() == self.part_bytes {
                self.close();
            }
        }
    }

    fn close(&mut self) {
        let (digest, _) = std::mem::take(&mut self.part).finish();
        self.add(&digest);
    }

    /// A part whose digest is known.
    fn add(&mut self, digest: &Sha256) {
        self.of_parts.update(digest.as_bytes());
        self.parts += 1;
    }

    /// As S3 prints it: base64, and behind a dash how many parts there are.
    pub fn finish(mut self) -> String {
        if self.part.bytes() > 0 {
            self.close();
        }
        format!("{}-{}", self.of_parts.finish().0.to_base64(), self.parts)
    }
}

/// What of an upload is there already.
struct Begun {
    id: String,
    /// Length, SHA-256 and ETag.
    parts: BTreeMap<i32, (u64, String, String)>,
}

impl Bucket {
    /// Puts a large file where nothing is. The composite checksum that S3 should then keep comes back with the result.
    pub(super) async fn put_in_parts(
        &self,
        key: &str,
        source: &Arc<BagSource>,
        path: &BundlePath,
        (sha256, bytes): (Sha256, u64),
        asked: &Asked,
    ) -> Result<(Put, String), Fault> {
        let part_bytes = self.part_bytes(bytes);
        let begun = match self.begun(key).await? {
            Some(begun) => begun,
            None => Begun { id: self.begin(key, asked).await?, parts: BTreeMap::new() },
        };
        let (mut whole, mut composite, mut completed) = (Hasher::default(), Composite::new(part_bytes), vec![]);
        let piece = usize::try_from(part_bytes).map_err(|_| Fault::internal("a part that is larger than memory"))?;
        let mut pieces = body::pieces(source, path, piece);
        let mut at: i32 = 0;
        while let Some(piece) = pieces.recv().await {
            let piece = piece.map_err(|e| broken(&e))?;
            at += 1;
            whole.update(&piece);
            let digest = Sha256::of(&piece);
            composite.add(&digest);
            let sha256 = digest.to_base64();
            let arrived = begun.parts.get(&at).filter(|(n, theirs, _)| (*n, theirs) == (piece.len() as u64, &sha256));
            let etag = match arrived {
                Some((_, _, etag)) => etag.clone(),
                None => self.put_part(key, &begun.id, at, piece, &sha256).await?,
            };
            fault_point::reached("archive-part");
            completed.push(CompletedPart::builder().part_number(at).checksum_sha256(sha256).e_tag(etag).build());
        }
        if whole.finish() != (sha256, bytes) {
            // Nothing of it became an object. Should this fail, a lifecycle rule for unfinished uploads will end it.
            let abort = self.client.abort_multipart_upload().bucket(&self.name).key(key).upload_id(&begun.id);
            let _ = abort.set_expected_bucket_owner(self.owner.clone()).send().await;
            return Err(Fault::internal("its bytes are not those that were checked a moment ago; the upload was given up"));
        }
        let composite = composite.finish();
        self.complete(key, &begun.id, completed, &composite, bytes).await.map(|put| (put, composite))
    }

    async fn begin(&self, key: &str, asked: &Asked) -> Result<String, Fault> {
        let request = self.client.create_multipart_upload().bucket(&self.name).key(key).set_expected_bucket_owner(self.owner.clone());
        let mut request = request.checksum_algorithm(ChecksumAlgorithm::Sha256).checksum_type(ChecksumType::Composite);
        if let Some(retention) = asked.lock.retention {
            request = request
                .object_lock_mode(ObjectLockMode::from(sdk_word(retention.mode)))
                .object_lock_retain_until_date(sdk_time(retention.until));
        }
        if asked.lock.legal_hold {
            request = request.object_lock_legal_hold_status(ObjectLockLegalHoldStatus::On);
        }
        if let Some(span) = asked.lock.event_hold {
            request = request.object_lock_event_hold(ObjectLockEventHold::On);
            request = match span {
                Span::Days(n) => request.object_lock_event_hold_duration_days(number(n)),
                Span::Years(n) => request.object_lock_event_hold_duration_years(number(n)),
            };
        }
        if let Some(kms_key) = &asked.kms_key {
            request = request.server_side_encryption(ServerSideEncryption::AwsKms).ssekms_key_id(kms_key).bucket_key_enabled(true);
        }
        let answer = request.send().await.map_err(|e| Fault::of(&e, &[]))?;
        answer.upload_id().map(str::to_string).ok_or_else(|| Fault::internal("S3 began an upload and gave it no id"))
    }

    /// The newest upload of this very key that is still open, with the parts that arrived.
    async fn begun(&self, key: &str) -> Result<Option<Begun>, Fault> {
        let request = self.client.list_multipart_uploads().bucket(&self.name).prefix(key).set_expected_bucket_owner(self.owner.clone());
        let page = match request.send().await.map_err(|e| Fault::of(&e, &[])) {
            Ok(page) => page,
            // Whoever may not list uploads begins anew: that costs time and nothing else.
            Err(f) if f.class == FaultClass::Denied => return Ok(None),
            Err(f) => return Err(f),
        };
        let ours = page.uploads().iter().filter(|u| u.key() == Some(key));
        let newest = ours.max_by_key(|u| u.initiated().map(|t| (t.secs(), t.subsec_nanos())));
        let Some(id) = newest.and_then(|u| u.upload_id()).map(str::to_string) else { return Ok(None) };
        let (mut parts, mut marker) = (BTreeMap::new(), None);
        for _ in 0..MAX_PAGES {
            let request = self.client.list_parts().bucket(&self.name).key(key).upload_id(&id).set_part_number_marker(marker);
            let page = match request.set_expected_bucket_owner(self.owner.clone()).send().await.map_err(|e| Fault::of(&e, &[])) {
                Ok(page) => page,
                Err(f) if matches!(f.class, FaultClass::Denied | FaultClass::NotFound) => return Ok(None),
                Err(f) => return Err(f),
            };
            parts.extend(page.parts().iter().filter_map(|p| {
                let bytes = p.size().and_then(|n| u64::try_from(n).ok())?;
                Some((p.part_number()?, (bytes, tame(p.checksum_sha256()?, 80), p.e_tag()?.to_string())))
            }));
            marker = page.next_part_number_marker().map(str::to_string);
            if page.is_truncated() != Some(true) || marker.is_none() {
                return Ok(Some(Begun { id, parts }));
            }
        }
        Err(Fault::internal("the listing of parts did not end"))
    }

    async fn put_part(&self, key: &str, upload: &str, at: i32, bytes: Bytes, sha256: &str) -> Result<String, Fault> {
        let length = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        let request = self.client.upload_part().bucket(&self.name).key(key).upload_id(upload).part_number(at).content_length(length);
        let request = request.checksum_algorithm(ChecksumAlgorithm::Sha256).checksum_sha256(sha256).body(ByteStream::from(bytes));
        let request = request.set_expected_bucket_owner(self.owner.clone()).customize().config_override(patient());
        let answer = request.send().await.map_err(|e| Fault::of(&e, &[]))?;
        Ok(answer.e_tag().unwrap_or_default().to_string())
    }

    /// Of how many bytes the parts are that an object was put together from; `None` when S3 does not say.
    pub(super) async fn parts_of(&self, key: &str, version: Option<&str>) -> Result<Option<u64>, Fault> {
        let request = self.client.get_object_attributes().bucket(&self.name).key(key).set_version_id(version.map(str::to_string));
        let request = request.object_attributes(ObjectAttributes::ObjectParts).max_parts(1);
        match request.set_expected_bucket_owner(self.owner.clone()).send().await.map_err(|e| Fault::of(&e, &[])) {
            Ok(answer) => {
                let first = answer.object_parts().and_then(|p| p.parts().first()).and_then(|p| p.size());
                Ok(first.and_then(|n| u64::try_from(n).ok()))
            }
            Err(f) if f.class == FaultClass::Denied => Ok(None),
            Err(f) => Err(f),
        }
    }

    async fn complete(&self, key: &str, upload: &str, parts: Vec<CompletedPart>, composite: &str, bytes: u64) -> Result<Put, Fault> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let request = self.client.complete_multipart_upload().bucket(&self.name).key(key).upload_id(upload).if_none_match("*");
        let request = request.multipart_upload(parts).checksum_sha256(composite).checksum_type(ChecksumType::Composite);
        let request = request.mpu_object_size(i64::try_from(bytes).unwrap_or(i64::MAX)).set_expected_bucket_owner(self.owner.clone());
        match request.customize().config_override(patient()).send().await.map_err(|e| Fault::of(&e, &[])) {
            Ok(_) => Ok(Put::Stored),
            Err(f) if f.class == FaultClass::Conflict && f.status == Some(412) => Ok(Put::Exists),
            // The answer to a completion that went well was lost, and the SDK repeated it: the upload is gone, and the object is there.
            Err(f) if f.code.as_deref() == Some("NoSuchUpload") => match self.head(key, None).await? {
                Some(_) => Ok(Put::Exists),
                None => Err(f),
            },
            Err(f) => Err(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_composite_is_the_digest_of_the_parts_digests_whatever_the_pieces() {
        let bytes: Vec<u8> = (0..1000u32).flat_map(u32::to_le_bytes).collect();
        let mut digests = vec![];
        for part in bytes.chunks(1024) {
            digests.extend_from_slice(Sha256::of(part).as_bytes());
        }
        let expected = format!("{}-4", Sha256::of(&digests).to_base64());
        for piece in [1, 7, 1023, 1024, 1025, 4000] {
            let mut composite = Composite::new(1024);
            bytes.chunks(piece).for_each(|c| composite.update(c));
            assert_eq!(composite.finish(), expected, "in pieces of {piece}");
        }
        let mut exact = Composite::new(1024);
        exact.update(&bytes[..2048]);
        assert!(exact.finish().ends_with("-2"), "no empty part at the end");
    }
}
