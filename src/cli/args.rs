//! What may be typed. Only words here; what they mean is each command's own file.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Incident-response forensics for AWS Lambda: freeze the frame, contain, restore exactly.
#[derive(Debug, Parser)]
#[command(name = "freezeframe", version, about, max_term_width = 110)]
#[command(
    after_help = "Exit codes: 0 complete · 1 failed · 2 usage or playbook invalid · 3 finished with gaps · 4 verification failed · 5 partly contained · 6 unwound · 7 stuck or drift · 8 refused · 130 interrupted after draining\n\nStart with:  freezeframe snapshot my-function --case IR-2026-0042"
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Clone, Debug, Args)]
pub struct Global {
    /// AWS profile to use
    #[arg(long, global = true, value_name = "NAME", help_heading = "Connection")]
    pub profile: Option<String>,
    /// AWS Region of the function
    #[arg(long, global = true, value_name = "REGION", help_heading = "Connection")]
    pub region: Option<String>,
    /// Talk to this endpoint instead of AWS (an emulator, a proxy)
    #[arg(long, global = true, value_name = "URL", help_heading = "Connection")]
    pub endpoint_url: Option<String>,
    /// One JSON document on stdout, everything else on stderr
    #[arg(long, global = true, help_heading = "Output")]
    pub json: bool,
    /// No progress
    #[arg(long, short, global = true, help_heading = "Output")]
    pub quiet: bool,
    /// More of what happens on stderr (RUST_LOG is respected)
    #[arg(long, short, global = true, help_heading = "Output")]
    pub verbose: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Snapshot one function into a verified evidence bundle; changes nothing in AWS
    #[command(after_help = "Example:\n  freezeframe snapshot payments-export --case IR-2026-0042 --region eu-west-1")]
    Snapshot(SnapshotArgs),
    /// Check a bundle (zip or directory) and say everything that is wrong with it
    #[command(after_help = "Example:\n  freezeframe verify IR-2026-0042/123456789012-eu-west-1-payments-export-20261120T234640Z-01K….zip")]
    Verify(VerifyArgs),
    /// List what is in a bundle, or print one item's bytes
    #[command(
        after_help = "Examples:\n  freezeframe show IR-2026-0042/<bundle>.zip\n  freezeframe show IR-2026-0042/<bundle>.zip i000003 | jq ."
    )]
    Show(ShowArgs),
    /// Dry run of a playbook: every call, what it stops and does not stop, the IAM policy it needs
    #[command(after_help = "Example:\n  freezeframe plan snapshot-and-contain payments-export")]
    Plan(PlanArgs),
    /// Run a playbook; asks before containing
    #[command(
        after_help = "Examples:\n  freezeframe run snapshot-and-contain payments-export --case IR-2026-0042\n  freezeframe run ./my-playbook.yaml payments-export --case IR-2026-0042 --yes"
    )]
    Run(RunArgs),
    /// Contain a function of which the case already holds verified evidence
    #[command(
        after_help = "Examples:\n  freezeframe contain payments-export --case IR-2026-0042\n  freezeframe contain payments-export --case IR-2026-0042 --without-evidence \"exfiltration is running\""
    )]
    Contain(ContainArgs),
    /// Put back exactly what a case changed
    #[command(after_help = "Examples:\n  freezeframe restore IR-2026-0042 --dry-run\n  freezeframe restore IR-2026-0042")]
    Restore(RestoreArgs),
    /// The playbooks: list, show, check
    #[command(
        subcommand,
        after_help = "Examples:\n  freezeframe playbook list\n  freezeframe playbook show snapshot-and-contain > my-playbook.yaml\n  freezeframe playbook check my-playbook.yaml"
    )]
    Playbook(PlaybookCommand),
    /// Say what the responder would do with an event; asks nobody
    #[command(after_help = "Example:\n  freezeframe explain event.json")]
    Explain(ExplainArgs),
    /// Practise: seed a compromised function in a local AWS emulator and run the whole job against it
    #[cfg(feature = "drill")]
    #[command(after_help = "Examples:\n  freezeframe drill\n  freezeframe drill --keep     # leaves emulator and function running")]
    Drill(DrillArgs),
    /// Shell completions on stdout
    #[command(
        hide = true,
        after_help = "Example:\n  freezeframe completions bash > ~/.local/share/bash-completion/completions/freezeframe"
    )]
    Completions { shell: clap_complete::Shell },
}

#[derive(Clone, Debug, Args)]
pub struct CaseArgs {
    /// The case: a directory of this name is made or joined
    #[arg(long, value_name = "ID")]
    pub case: String,
    /// Where cases lie
    #[arg(long, value_name = "DIR", default_value = ".", env = "FREEZEFRAME_CASES")]
    pub cases: PathBuf,
}

#[derive(Debug, Args)]
pub struct SnapshotArgs {
    /// The function: a name, `name:qualifier` or an ARN
    pub function: String,
    #[command(flatten)]
    pub case: CaseArgs,
}

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// A bundle: `<bundle>.zip`, an unpacked one, or one still being drafted
    pub bundle: PathBuf,
}

#[derive(Debug, Args)]
pub struct ShowArgs {
    /// A bundle: its zip or its directory
    pub bundle: PathBuf,
    /// An item (`i000003`), an exchange (`x000007`) or a path in the bundle; its bytes go to stdout untouched (with --json its record instead)
    pub item: Option<String>,
}

#[derive(Debug, Args)]
pub struct PlanArgs {
    /// A shipped playbook's name, or a file
    pub playbook: String,
    /// The function: a name, `name:qualifier` or an ARN
    pub function: String,
}

#[derive(Debug, Args)]
pub struct RunArgs {
    /// A shipped playbook's name, or a file
    pub playbook: String,
    /// The function: a name, `name:qualifier` or an ARN
    pub function: String,
    #[command(flatten)]
    pub case: CaseArgs,
    /// Contain without asking (for scripts)
    #[arg(long)]
    pub yes: bool,
}

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
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
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
    /// Set this drifted cell to the recorded state although somebody else changed it (may be repeated)
    #[arg(long, value_name = "CELL")]
    pub overrule: Vec<String>,
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn clap_finds_no_fault_with_the_definition() {
        super::Cli::command().debug_assert();
    }
}
