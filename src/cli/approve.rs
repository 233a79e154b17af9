//! `approve`: a second person's word under a pinned plan.

use super::args::{ApproveArgs, Global};
use super::error::CliError;
use super::pinned;
use super::session::{self, Session};
use crate::clock::{self, Clock as _, SystemClock};
use crate::engine::preflight;
use crate::model::canon;
use crate::model::outcome::Outcome;
use crate::plan::approval::{Approval, same_person, statement};
use std::path::PathBuf;

pub async fn approve(global: &Global, args: ApproveArgs) -> Result<Outcome, CliError> {
    let plan = pinned::read_plan(&args.plan)?;
    let screen = session::screen(global);
    let session = Session::connect(global).await?;
    let identity = preflight::identify(&session.connector).await.map_err(session::connection)?;
    if same_person(&identity.arn, &plan.made_by) {
        return Err(CliError::new("who made the plan cannot approve it as well")
            .hint(format!("it was made by {}; another person runs this command with credentials of their own", plan.made_by))
            .outcome(Outcome::Refused));
    }
    if identity.account != plan.plan.target.account {
        return Err(CliError::new(format!(
            "these credentials are of account {}, the function of {}",
            identity.account, plan.plan.target.account
        ))
        .hint("approvals count within one account: choose another --profile")
        .outcome(Outcome::Refused));
    }
    for line in plan.lines() {
        screen.remark(&line);
    }
    if !args.yes {
        match screen.ask(&format!("Approve, as {}?", identity.arn)) {
            Some(true) => {}
            Some(false) => return Err(CliError::new("not approved; nothing was signed").outcome(Outcome::Refused)),
            None => {
                return Err(CliError::new("there is no terminal to ask on; nothing was signed")
                    .hint("--yes approves without asking")
                    .outcome(Outcome::Refused));
            }
        }
    }
    let digest = plan.sha256().map_err(|e| CliError::new("cannot work out the plan's digest").because(e))?;
    let voucher = session.connector.vouch(statement(digest)).await.map_err(|e| CliError::new("cannot approve").because(e))?;
    let approval = Approval {
        v: 1,
        plan_sha256: digest,
        nonce: plan.nonce.clone(),
        approver: identity.arn.clone(),
        approved_at: clock::stamp(SystemClock::new().now()),
        note: args.note,
        voucher,
    };
    let out = args.out.unwrap_or_else(|| beside(&args.plan));
    let bytes = canon::to_vec("the approval", &approval).map_err(|e| CliError::new("cannot write the approval down").because(e))?;
    pinned::write(&out, &bytes, "the approval")?;
    screen.document(&approval.record(&identity.arn));
    screen.text(&format!("approved by {}: {}", identity.arn, out.display()));
    screen.remark("It is good for 15 minutes, once, for this plan. The file is a credential for that long: hand it over as one.");
    screen.remark(&format!("carry out:  freezeframe run --plan {} --approval {} --case …", args.plan.display(), out.display()));
    Ok(Outcome::Complete)
}

/// `plan.json` → `plan.approval.json`
fn beside(plan: &std::path::Path) -> PathBuf {
    plan.with_extension("approval.json")
}
