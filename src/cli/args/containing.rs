//! Containing, watching, putting back.

use super::{AcceptArgs, CaseArgs, ControlArgs, GuardArgs, SealArgs};
use crate::model::params::parse_duration;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
pub struct ContainArgs {
    /// The function: a name, `name:qualifier` or an ARN
    pub function: String,
    #[command(flatten)]
    pub case: CaseArgs,
    /// Take the actions from this playbook's contain phase
    #[arg(long, value_name = "NAME|FILE", default_value = "snapshot-and-contain")]
    pub playbook: String,
    /// Contain although the case holds no verified bundle of this function; the reason goes into the journal
    #[arg(long, value_name = "WHY")]
    pub without_evidence: Option<String>,
    #[command(flatten)]
    pub accept: AcceptArgs,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    #[command(flatten)]
    pub guard: GuardArgs,
    #[command(flatten)]
    pub seal: SealArgs,
}

#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The case whose changes are to be put back
    pub case: String,
    /// Where cases lie
    #[arg(long, value_name = "DIR", default_value = ".", env = "FREEZEFRAME_CASES")]
    pub cases: PathBuf,
    /// Only the cells of this action (may be repeated)
    #[arg(long, value_name = "ACTION")]
    pub only: Vec<String>,
    /// Say what would be done; write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Set this cell to the recorded state although somebody else changed it, or a case that cannot be read may hold it (may be repeated)
    #[arg(long, value_name = "CELL")]
    pub overrule: Vec<String>,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// Print the same as a shell script of plain aws-cli commands; asks nobody, changes nothing
    #[arg(long, conflicts_with_all = ["dry_run", "overrule", "yes"])]
    pub print_script: bool,
    #[command(flatten)]
    pub control: ControlArgs,
    #[command(flatten)]
    pub seal: SealArgs,
}

#[derive(Debug, Args)]
pub struct WatchArgs {
    /// The case, or a function that one of the cases here holds: a name or an ARN
    #[arg(value_name = "CASE|FUNCTION")]
    pub what: String,
    /// Where cases lie
    #[arg(long, value_name = "DIR", default_value = ".", env = "FREEZEFRAME_CASES")]
    pub cases: PathBuf,
    /// Watch so long (30s, 10m, at most 12h) [default: until it can be told, 5 to 20 minutes]
    #[arg(long = "for", value_name = "DURATION", value_parser = watching)]
    pub how_long: Option<Duration>,
    /// Look so often
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = looking)]
    pub every: Duration,
}

/// Credentials that were issued before live no longer than twelve hours.
fn watching(text: &str) -> Result<Duration, &'static str> {
    let bounds = Duration::from_secs(10)..=Duration::from_secs(12 * 3600);
    parse_duration(text).filter(|d| bounds.contains(d)).ok_or("a duration is wanted, from 10s to 12h")
}

/// Each look is a dozen calls.
fn looking(text: &str) -> Result<Duration, &'static str> {
    let bounds = Duration::from_secs(2)..=Duration::from_secs(600);
    parse_duration(text).filter(|d| bounds.contains(d)).ok_or("a duration is wanted, from 2s to 10m")
}

#[cfg(feature = "drill")]
#[derive(Debug, Args)]
pub struct DrillArgs {
    /// Leave emulator and function running, and print how to reach them
    #[arg(long)]
    pub keep: bool,
    /// Stop an emulator that an earlier `--keep` left running
    #[arg(long, conflicts_with = "keep")]
    pub stop: bool,
}
