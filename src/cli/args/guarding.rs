//! What stands before containment.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Where halt, breaker and rate are kept.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Guardrails")]
pub struct ControlArgs {
    /// Where halt, breaker and rate lie: s3://bucket/prefix or a directory; otherwise beside the cases
    #[arg(long, value_name = "STORE", env = "FREEZEFRAME_CONTROL")]
    pub control: Option<String>,
    /// Region of that bucket, when it is not the function's
    #[arg(long, value_name = "REGION", env = "FREEZEFRAME_CONTROL_REGION")]
    pub control_region: Option<String>,
}

/// What stands before containment.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Guardrails")]
pub struct GuardArgs {
    /// The guard policy; otherwise `guard.yaml` beside the cases, if there is one
    #[arg(long, value_name = "FILE", env = "FREEZEFRAME_GUARD")]
    pub guard: Option<PathBuf>,
    /// Contain although the guard policy says `dry-run: true`
    #[arg(long)]
    pub in_earnest: bool,
    #[command(flatten)]
    pub control: ControlArgs,
}

#[derive(Debug, Args)]
pub struct HaltArgs {
    /// Why, for whoever is stopped by it
    #[arg(long, value_name = "WHY")]
    pub why: String,
    /// Where cases lie
    #[arg(long, value_name = "DIR", default_value = ".", env = "FREEZEFRAME_CASES")]
    pub cases: PathBuf,
    #[command(flatten)]
    pub control: ControlArgs,
}

#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// Why, for the record
    #[arg(long, value_name = "WHY")]
    pub why: String,
    /// Close the breaker instead
    #[arg(long)]
    pub breaker: bool,
    /// Where cases lie
    #[arg(long, value_name = "DIR", default_value = ".", env = "FREEZEFRAME_CASES")]
    pub cases: PathBuf,
    #[command(flatten)]
    pub control: ControlArgs,
}

#[derive(Debug, Subcommand)]
pub enum GuardCommand {
    /// Check a policy file; says line, column and a suggestion
    #[command(after_help = "Example:\n  freezeframe guard check guard.yaml")]
    Check {
        /// The file
        file: PathBuf,
    },
    /// A policy with every field there is: a starting point for your own
    #[command(after_help = "Example:\n  freezeframe guard show > guard.yaml")]
    Show,
}
