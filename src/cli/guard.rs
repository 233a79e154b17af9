//! `guard check | show`, and the guardrails as the other commands use them: which policy stands, and what it says ahead of time.

use super::args::{Global, GuardArgs, GuardCommand};
use super::documents::{GuardChecked, GuardText};
use super::error::CliError;
use super::render::Screen;
use super::session::screen;
use crate::engine::guard::{Guarding, StoredPolicy, stored_policy};
use crate::engine::preflight::Preflight;
use crate::model::outcome::Outcome;
use crate::plan::guard::{self, Approval, Face, Ourselves, Policy};
use crate::playbook::Invalid;
use crate::playbook::MAX_BYTES;
use crate::store::Store;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

pub fn guard(global: &Global, command: GuardCommand) -> Result<Outcome, CliError> {
    let screen = screen(global);
    match command {
        GuardCommand::Check { file } => {
            let policy = read(&file)?;
            let lines = policy.functions.len() + policy.roles.len();
            screen.text(&format!("{}: valid ({lines} lines about functions and roles)", file.display()));
            let Some(source) = policy.source else { return Err(CliError::new("the guard policy has no name")) };
            screen.document(&GuardChecked { v: 1, policy: source });
        }
        GuardCommand::Show => {
            screen.text(guard::EXAMPLE.trim_end());
            screen.document(&GuardText { v: 1, text: guard::EXAMPLE });
        }
    }
    Ok(Outcome::Complete)
}

fn invalid(invalid: &Invalid) -> CliError {
    let problems = invalid.problems();
    CliError::new(format!("the guard policy has {} {}", problems.len(), if problems.len() == 1 { "problem" } else { "problems" }))
        .problems(problems)
        .hint("`freezeframe guard show` prints one with every field there is")
        .outcome(Outcome::Usage)
}

fn read(file: &Path) -> Result<Policy, CliError> {
    let cannot =
        |e: std::io::Error| CliError::new(format!("cannot read the guard policy {}", file.display())).because(e).outcome(Outcome::Usage);
    let mut text = String::new();
    // One byte more than allowed: enough to see that it is too large.
    std::fs::File::open(file).map_err(cannot)?.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(cannot)?;
    guard::read(&file.display().to_string(), &text).map_err(|e| invalid(&e))
}

/// The policy that stands: the one that was named, else the one that lies beside the cases, else the built-in rules alone.
async fn policy(args: &GuardArgs, control: &dyn Store) -> Result<Policy, CliError> {
    if let Some(file) = &args.guard {
        return read(file);
    }
    match stored_policy(control).await {
        StoredPolicy::None => Ok(Policy::default()),
        StoredPolicy::Read(policy) => Ok(*policy),
        StoredPolicy::Invalid(e) => Err(invalid(&e)),
        StoredPolicy::Unreadable(why) => Err(CliError::new("the guard policy cannot be read").because(why).outcome(Outcome::Refused)),
    }
}

/// The rules for a person at a terminal, with what the first look told.
pub async fn guarding(args: &GuardArgs, control: &dyn Store, preflight: &Preflight) -> Result<Guarding, CliError> {
    let place = control.describe();
    let bucket = place.strip_prefix("s3://").and_then(|p| p.split('/').next()).map(str::to_string);
    let ourselves = Ourselves::from_vars(|name| std::env::var(name).ok());
    Ok(Guarding {
        policy: Ok(Arc::new(policy(args, control).await?)),
        known: preflight.known.clone(),
        ourselves: Ourselves { buckets: bucket.into_iter().collect(), ..ourselves },
        face: Face::Person,
        wants_approval: false,
        in_earnest: args.in_earnest,
    })
}

/// Say ahead of time what will be refused, so that nobody confirms what will not be done. True: nothing will be contained.
pub fn foretold(screen: Screen, guarding: &Guarding, preflight: &Preflight, approver: Option<&str>) -> bool {
    let approval = approver.map(|by| Approval { by: by.to_string() });
    let judged = guarding.judge(&preflight.target, &preflight.identity.arn, approval.as_ref()).before_tags();
    for refusal in judged.refusals.iter().chain(&judged.dry_run) {
        screen.remark(&format!("guard: nothing will be contained: {refusal}"));
    }
    for refusal in &judged.of_role {
        screen.remark(&format!("guard: the role will not be written to: {refusal}"));
    }
    !judged.refusals.is_empty() || judged.dry_run.is_some()
}
