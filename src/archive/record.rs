//! What archiving writes down: the record that lies beside the bundle, in the bucket and on the disk alike, and the command's own document.

use super::bucket::Checksum;
use super::in_effect::InEffect;
use super::preflight::Property;
use crate::model::digest::Sha256;
use crate::model::id::{CaseId, RunId};
use crate::model::lock::{LockMode, Span};
use crate::model::outcome::Outcome;
use crate::model::path::BundlePath;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `seal/addenda/NNNNNN/archive.json`: what S3 answered, object by object, after all of them were there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ArchiveRecord {
    /// Version of this form: 1.
    pub v: u32,
    pub case: CaseId,
    pub bundle: String,
    /// The bundle's root digest.
    pub root: Sha256,
    pub run: RunId,
    /// Caller identity's ARN.
    pub operator: String,
    pub tool: String,
    /// UTC, RFC 3339: when everything had been read back.
    pub at: String,
    /// `s3://bucket/prefix/case/bundle`
    pub place: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expected_bucket_owner: Option<String>,
    pub asked: AskedRecord,
    /// The preflight.
    pub bucket: Vec<Property>,
    /// What the operator accepted in words.
    pub accepted: Vec<String>,
    /// In the order in which they were put: the payload first, the tag manifest and `seal/` last.
    pub objects: Vec<ObjectRecord>,
    /// What S3 did not do although it was asked; empty when all is as asked.
    pub shortfalls: Vec<String>,
}

/// What was asked for each object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AskedRecord {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mode: Option<LockMode>,
    /// UTC, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retain_until: Option<String>,
    pub legal_hold: bool,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub event_hold: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kms_key: Option<String>,
}

/// One object, as S3 described it when it was read back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectRecord {
    pub path: BundlePath,
    pub bytes: u64,
    /// The manifest's.
    pub sha256: Sha256,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub etag: Option<String>,
    /// The SHA-256 that S3 keeps; absent where it keeps none, and the bytes were read back instead.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub checksum: Option<Checksum>,
    pub lock: InEffect,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub encryption: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kms_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_modified: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub replication: Option<String>,
}

/// How an archive ended: `archive --json`, and a member of a run's report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Archived {
    /// Version of this form: 1.
    pub v: u32,
    pub outcome: Outcome,
    pub exit_code: u8,
    /// One sentence.
    pub headline: String,
    pub case: CaseId,
    pub bundle: String,
    pub root: Sha256,
    /// `s3://bucket/prefix/case/bundle`
    pub place: String,
    /// Objects that this run put there.
    pub uploaded: u64,
    /// Objects that were there already, with the same bytes.
    pub present: u64,
    /// Objects that were there already and were locked by this run.
    pub locked_later: u64,
    /// Of all of them.
    pub bytes: u64,
    /// The preflight.
    pub bucket: Vec<Property>,
    pub accepted: Vec<String>,
    /// The record's key below the place.
    pub record: BundlePath,
    /// Of the record's bytes.
    pub record_sha256: Sha256,
    /// Of the statement about the record, which lies with it.
    pub statement_sha256: Sha256,
    /// Keys that signed that statement.
    pub signed_by: Vec<Sha256>,
    /// The same record beside the bundle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_copy: Option<PathBuf>,
    /// What S3 did not do although it was asked.
    pub shortfalls: Vec<String>,
    pub notes: Vec<String>,
}
