//! What a plan needs beside, where what it seals is archived: the bucket's properties to be read, objects to be put below one prefix, and read back.
//!
//! What it never grants: a delete, a bypass of governance, or anything on another bucket or prefix.

use super::permits::{Effect, Permissions, Statement};
use crate::archive::{Asked, Place};
use crate::aws::archive_client::{ARCHIVE_CALLS, KMS_ACTIONS};
use crate::model::call::Call;

/// Said of a playbook that archives, as long as nobody has said where.
pub(super) const NOWHERE: &str =
    "The playbook archives what it seals, and no place is named: with --archive s3://bucket/prefix these policies grant what that needs.";

impl Permissions {
    pub(super) fn add_archive(&mut self, partition: &str, to: &Place, asked: &Asked) {
        let arn = |of: &str| format!("arn:{partition}:s3:::{of}");
        let (bucket, objects) = (arn(&to.bucket), arn(&format!("{}/{}*", to.bucket, to.lead())));
        let statement = |sid: &str, action: Vec<String>, on: &str| Statement {
            sid: sid.into(),
            effect: Effect::Allow,
            action,
            resource: vec![on.into()],
        };
        let mut statements = vec![
            statement("ArchiveBucket", actions(|c| !on_objects(c)), &bucket),
            statement("ArchiveObjects", actions(|c| on_objects(c) && is_asked(c, asked)), &objects),
        ];
        let mut notes = vec![];
        match asked.kms_key.as_deref() {
            Some(key) if key.starts_with("arn:") && key.contains(":key/") => {
                statements.push(statement("ArchiveKey", KMS_ACTIONS.iter().map(|a| a.to_string()).collect(), key));
            }
            Some(_) => notes.push(format!(
                "The archive's KMS key is not named by its ARN, so no policy can name it: {} on it are needed as well.",
                KMS_ACTIONS.join(" and ")
            )),
            None => notes.push(format!(
                "Where the archive's bucket encrypts with a KMS key by default, {} on that key are needed as well.",
                KMS_ACTIONS.join(" and ")
            )),
        }
        self.notes.retain(|n| n != NOWHERE);
        self.grant(statements, notes);
    }
}

/// IAM's names, each once, sorted.
fn actions(wanted: impl Fn(&Call) -> bool) -> Vec<String> {
    let all: std::collections::BTreeSet<&str> = ARCHIVE_CALLS.iter().filter(|c| wanted(c)).filter_map(|c| c.action).collect();
    all.into_iter().map(str::to_string).collect()
}

/// The action is granted on objects, not on their bucket. Object actions of S3 have `Object` or `Multipart` in their names and no `Bucket`.
fn on_objects(call: &Call) -> bool {
    let action = call.action.unwrap_or_default();
    !action.contains("Bucket") && (action.contains("Object") || action.contains("Multipart"))
}

/// To lock is granted only where a lock is asked for.
fn is_asked(call: &Call, asked: &Asked) -> bool {
    match call.action {
        Some("s3:PutObjectRetention") => asked.lock.retention.is_some() || asked.lock.event_hold.is_some(),
        Some("s3:PutObjectLegalHold") => asked.lock.legal_hold,
        _ => true,
    }
}
