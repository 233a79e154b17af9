//! An approval: a second person's word on one pinned plan. Identity and time are proven by AWS ([`crate::aws::vouch`]); everything else in the
//! file is what it claims, and is compared with the plan before it counts.
//!
//! It is good for one plan (the plan's digest is what was signed), for a quarter of an hour (STS refuses older signatures), and once (its
//! nonce is spent in the cases' store before the first write). What it never does: ask AWS; `engine::approve` does.

use crate::aws::fault::tame;
use crate::aws::vouch::Voucher;
use crate::model::digest::Sha256;
use crate::model::journal_event::ApprovalRecord;
use serde::{Deserialize, Serialize};

/// The file that `approve` writes. Not evidence: it may hold a session token, so it is never put into a bundle; [`ApprovalRecord`] is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Version of this form: 1.
    pub v: u32,
    /// Of the pinned plan.
    pub plan_sha256: Sha256,
    /// The pinned plan's.
    pub nonce: String,
    /// Caller identity's ARN, as the approver's own STS call said. STS is asked again.
    pub approver: String,
    /// RFC 3339, by the approver's clock.
    pub approved_at: String,
    /// Why, in the approver's words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub note: Option<String>,
    pub voucher: Voucher,
}

impl Approval {
    /// What goes on record once STS has said who it was.
    pub fn record(&self, approver: &str) -> ApprovalRecord {
        ApprovalRecord {
            approver: approver.to_string(),
            plan_sha256: self.plan_sha256,
            nonce: self.nonce.clone(),
            approved_at: tame(&self.approved_at, 40),
            note: self.note.as_deref().map(|n| tame(n, 500)),
        }
    }
}

/// Larger files are no approvals.
pub const MAX_BYTES: u64 = 64 << 10;

/// What the signature covers: the plan's digest, under a word that no other statement begins with.
pub fn statement(plan_sha256: Sha256) -> Sha256 {
    Sha256::of(format!("freezeframe approves the pinned plan {plan_sha256}").as_bytes())
}

/// Whether two caller identities may be the same person. Sessions of one role under two names are taken for two people: who may assume a role
/// under which name is the organisation's to rule (`sts:RoleSessionName`, `sts:SourceIdentity`).
pub fn same_person(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}
