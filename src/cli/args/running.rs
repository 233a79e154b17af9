//! Playbooks: planned, approved, run.

use super::{ArchiveOption, CaseArgs, CollectArgs, GoneArgs, GuardArgs, KmsArgs, SealArgs};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// What the operator accepts in words.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct AcceptArgs {
    /// Contain on the role although others use it too: they are stopped with it
    #[arg(long)]
    pub accept_shared_role: bool,
}

#[derive(Debug, Args)]
pub struct PlanArgs {
    /// A shipped playbook's name, or a file
    pub playbook: String,
    /// The function: a name, `name:qualifier` or an ARN
    pub function: String,
    /// Pin the plan to the world: write it here with the present state of everything that it would change, for `approve` and `run --plan`
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub collect: CollectArgs,
    #[command(flatten)]
    pub accept: AcceptArgs,
    #[command(flatten)]
    pub gone: GoneArgs,
    #[command(flatten)]
    pub guard: GuardArgs,
    #[command(flatten)]
    pub kms: KmsArgs,
    #[command(flatten)]
    pub archive: ArchiveOption,
}

#[derive(Debug, Args)]
pub struct RunArgs {
    /// A shipped playbook's name, or a file
    #[arg(required_unless_present = "plan")]
    pub playbook: Option<String>,
    /// The function: a name, `name:qualifier` or an ARN
    #[arg(required_unless_present = "plan")]
    pub function: Option<String>,
    /// Carry out exactly this pinned plan, and nothing when the world has moved since it was made
    #[arg(long, value_name = "FILE", conflicts_with_all = ["playbook", "function", "since", "until", "skip", "only", "max_log_bytes", "max_events", "set"])]
    pub plan: Option<PathBuf>,
    /// A second person's word on that plan, as `approve` wrote it
    #[arg(long, value_name = "FILE", requires = "plan")]
    pub approval: Option<PathBuf>,
    #[command(flatten)]
    pub case: CaseArgs,
    /// Contain without asking (for scripts)
    #[arg(long)]
    pub yes: bool,
    #[command(flatten)]
    pub accept: AcceptArgs,
    #[command(flatten)]
    pub collect: CollectArgs,
    #[command(flatten)]
    pub guard: GuardArgs,
    #[command(flatten)]
    pub archive: ArchiveOption,
    #[command(flatten)]
    pub seal: SealArgs,
}

#[derive(Debug, Args)]
pub struct ApproveArgs {
    /// The pinned plan, as `plan --out` wrote it
    pub plan: PathBuf,
    /// Why, for the record
    #[arg(long, value_name = "WHY")]
    pub note: Option<String>,
    /// Where the approval is written [default: beside the plan, as PLAN.approval.json]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

#[derive(Debug, Subcommand)]
pub enum PlaybookCommand {
    /// The shipped playbooks
    #[command(after_help = "Example:\n  freezeframe playbook list")]
    List,
    /// A shipped playbook's text: a starting point for your own
    #[command(after_help = "Example:\n  freezeframe playbook show snapshot-and-contain > my-playbook.yaml")]
    Show {
        /// As `playbook list` names it
        name: String,
    },
    /// Check a playbook file; says line, column and a suggestion
    #[command(after_help = "Example:\n  freezeframe playbook check my-playbook.yaml")]
    Check {
        /// The file, or a shipped playbook's name
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The event as EventBridge delivers it; `-` for standard input
    pub event: PathBuf,
}
