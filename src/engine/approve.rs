//! Whether a second person's word counts: asked of STS, compared with the plan, spent. Everything fails closed.

use crate::aws::Connector;
use crate::aws::connect::Identity;
use crate::aws::vouch::VouchError;
use crate::model::canon::CanonError;
use crate::model::journal_event::ApprovalRecord;
use crate::plan::approval::{Approval, same_person, statement};
use crate::plan::pin::Pinned;
use crate::store::{Put, Store, StoreError};

/// Why an approval does not count. Each says what would.
#[derive(Debug, thiserror::Error)]
pub enum NotApproved {
    #[error("the approval is of another plan")]
    AnotherPlan,
    #[error("STS did not confirm who approved")]
    Vouch(#[from] VouchError),
    #[error("{approver} made or runs this plan, and cannot approve it as well")]
    OwnPlan { approver: String },
    #[error("the approver is of account {theirs}, the function of {ours}; approvals count within one account")]
    AnotherAccount { theirs: String, ours: String },
    #[error("this approval was used before; it counts once")]
    Spent,
    #[error("could not spend the approval, so it does not count")]
    Spend(#[from] StoreError),
    #[error("could not work out the plan's digest")]
    Digest(#[from] CanonError),
}

impl NotApproved {
    pub fn hint(&self) -> &'static str {
        match self {
            NotApproved::OwnPlan { .. } | NotApproved::AnotherAccount { .. } => {
                "another person runs `freezeframe approve <plan>` with credentials of their own in the function's account"
            }
            NotApproved::Vouch(_) => "an approval is good for 15 minutes: run `freezeframe approve <plan>` again",
            _ => "approve this very plan again: freezeframe approve <plan>",
        }
    }
}

/// Where spent approvals are marked, below the cases' store.
fn mark(nonce: &str) -> String {
    // The nonce comes from a file; as a digest it cannot name another place.
    format!("control/approvals/{}.json", crate::model::digest::Sha256::of(nonce.as_bytes()))
}

/// Check the approval, and spend it. `runner`: who carries the plan out.
pub async fn spend(
    connector: &Connector,
    control: &dyn Store,
    approval: &Approval,
    pinned: &Pinned,
    runner: &str,
) -> Result<ApprovalRecord, NotApproved> {
    let plan = pinned.sha256()?;
    if approval.plan_sha256 != plan || approval.nonce != pinned.nonce {
        return Err(NotApproved::AnotherPlan);
    }
    let Identity { account, arn, .. } = connector.who_vouched(&approval.voucher, statement(plan)).await?;
    if same_person(&arn, &pinned.made_by) || same_person(&arn, runner) {
        return Err(NotApproved::OwnPlan { approver: arn });
    }
    if account != pinned.plan.target.account {
        return Err(NotApproved::AnotherAccount { theirs: account, ours: pinned.plan.target.account.clone() });
    }
    let record = approval.record(&arn);
    let bytes = crate::model::canon::to_vec("the approval", &record)?;
    match control.put_if_absent(&mark(&approval.nonce), bytes).await? {
        Put::Stored => Ok(record),
        Put::Exists => Err(NotApproved::Spent),
    }
}
