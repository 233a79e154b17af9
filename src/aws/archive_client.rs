//! The client of a store in S3: without the tape (a bundle cannot hold its own upload, and a journal's segments are not evidence of AWS),
//! but with a fence: it can put, read and list, and nothing else.

use super::connect::Connector;
use super::fence::Fence;
use crate::model::call::{Call, Scope, Service};

/// What a store in S3 does. Granted on the bucket and its objects.
pub static STORE_CALLS: &[Call] = &[
    Call::write(Service::S3, "PutObject", "s3:PutObject", Scope::Any),
    Call::read(Service::S3, "GetObject", "s3:GetObject", Scope::Any),
    Call::read(Service::S3, "HeadObject", "s3:GetObject", Scope::Any),
    // Also what makes S3 answer 404 instead of 403 for an object that does not exist.
    Call::read(Service::S3, "ListObjectsV2", "s3:ListBucket", Scope::Any),
];

/// What a store needs beside, where its objects are to be locked as they are put. No calls of their own: S3 asks for them as it takes the object.
pub static LOCK_ACTIONS: &[&str] = &["s3:PutObjectRetention", "s3:PutObjectLegalHold"];

impl Connector {
    /// For [`crate::store`]. Path-style where an endpoint is set: emulators have no names for buckets.
    #[expect(clippy::disallowed_methods, reason = "this folder is where clients are made")]
    pub fn s3_plain(&self) -> aws_sdk_s3::Client {
        // The SDK reads these two by itself; of the result it tells nobody whether there was one.
        let own = std::env::var_os("AWS_ENDPOINT_URL_S3").is_some_and(|v| !v.is_empty());
        let path_style = own || self.conf.endpoint_url().is_some();
        let fence = Fence { unit: "store", calls: STORE_CALLS, reads_only: false };
        aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(&self.conf).force_path_style(path_style).interceptor(fence).build())
    }
}

/// What archiving does beside: the preflight of a bucket, versions and locks, uploads in parts. Reading alone (`verify s3://…`, `fetch`, `list`)
/// needs the reads among these.
pub static ARCHIVE_CALLS: &[Call] = &[
    Call::write(Service::S3, "PutObject", "s3:PutObject", Scope::Any),
    // Asked only of a version that S3 did not lock as it was put.
    Call::write(Service::S3, "PutObjectRetention", "s3:PutObjectRetention", Scope::Any),
    Call::write(Service::S3, "PutObjectLegalHold", "s3:PutObjectLegalHold", Scope::Any),
    Call::write(Service::S3, "CreateMultipartUpload", "s3:PutObject", Scope::Any),
    Call::write(Service::S3, "UploadPart", "s3:PutObject", Scope::Any),
    Call::write(Service::S3, "CompleteMultipartUpload", "s3:PutObject", Scope::Any),
    // Of an upload of ours whose bytes are not what the manifest says; no object is touched by it.
    Call::write(Service::S3, "AbortMultipartUpload", "s3:AbortMultipartUpload", Scope::Any),
    Call::read(Service::S3, "ListMultipartUploads", "s3:ListBucketMultipartUploads", Scope::Any),
    Call::read(Service::S3, "ListParts", "s3:ListMultipartUploadParts", Scope::Any),
    // Of the newest version, and of one that is named: IAM tells these apart.
    Call::read(Service::S3, "GetObject", "s3:GetObject", Scope::Any),
    Call::read(Service::S3, "GetObject", "s3:GetObjectVersion", Scope::Any),
    Call::read(Service::S3, "HeadObject", "s3:GetObject", Scope::Any),
    Call::read(Service::S3, "HeadObject", "s3:GetObjectVersion", Scope::Any),
    Call::read(Service::S3, "GetObjectAttributes", "s3:GetObjectAttributes", Scope::Any),
    Call::read(Service::S3, "GetObjectAttributes", "s3:GetObjectVersionAttributes", Scope::Any),
    // Without these, HeadObject is silent about a lock.
    Call::read(Service::S3, "GetObjectRetention", "s3:GetObjectRetention", Scope::Any),
    Call::read(Service::S3, "GetObjectLegalHold", "s3:GetObjectLegalHold", Scope::Any),
    Call::read(Service::S3, "ListObjectsV2", "s3:ListBucket", Scope::Any),
    Call::read(Service::S3, "ListObjectVersions", "s3:ListBucketVersions", Scope::Any),
    Call::read(Service::S3, "HeadBucket", "s3:ListBucket", Scope::Any),
    Call::read(Service::S3, "GetBucketVersioning", "s3:GetBucketVersioning", Scope::Any),
    Call::read(Service::S3, "GetObjectLockConfiguration", "s3:GetBucketObjectLockConfiguration", Scope::Any),
    Call::read(Service::S3, "GetPublicAccessBlock", "s3:GetBucketPublicAccessBlock", Scope::Any),
    Call::read(Service::S3, "GetBucketPolicyStatus", "s3:GetBucketPolicyStatus", Scope::Any),
    Call::read(Service::S3, "GetBucketPolicy", "s3:GetBucketPolicy", Scope::Any),
    Call::read(Service::S3, "GetBucketAcl", "s3:GetBucketAcl", Scope::Any),
    Call::read(Service::S3, "GetBucketEncryption", "s3:GetEncryptionConfiguration", Scope::Any),
    Call::read(Service::S3, "GetBucketReplication", "s3:GetReplicationConfiguration", Scope::Any),
];

/// What whoever archives needs on the key, where objects are encrypted with SSE-KMS. No calls of his own: S3 makes them in his name as it takes an
/// object, puts one together from parts, and gives one back.
pub static KMS_ACTIONS: &[&str] = &["kms:Decrypt", "kms:GenerateDataKey"];

impl Connector {
    /// For [`crate::archive`]; as [`Connector::s3_plain`], with more behind the fence.
    #[expect(clippy::disallowed_methods, reason = "this folder is where clients are made")]
    pub fn s3_archive(&self) -> aws_sdk_s3::Client {
        let own = std::env::var_os("AWS_ENDPOINT_URL_S3").is_some_and(|v| !v.is_empty());
        let path_style = own || self.conf.endpoint_url().is_some();
        let fence = Fence { unit: "archive", calls: ARCHIVE_CALLS, reads_only: false };
        aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(&self.conf).force_path_style(path_style).interceptor(fence).build())
    }
}
