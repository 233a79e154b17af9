//! What may be typed. Only words here; what they mean is each command's own file.

mod collecting;
mod containing;
mod guarding;
mod keeping;
mod reading;
mod running;
mod sealing;

pub use collecting::{CollectArgs, Depth, GoneArgs, SnapshotArgs};
#[cfg(feature = "drill")]
pub use containing::DrillArgs;
pub use containing::{ContainArgs, RestoreArgs, WatchArgs};
pub use guarding::{ControlArgs, GuardArgs, GuardCommand, HaltArgs, ResumeArgs};
pub use keeping::{ArchiveArgs, ArchiveOption, BucketArgs, FetchArgs, ListArgs, SalvageArgs, VaultArgs};
pub use reading::{CustodyArgs, DiscloseArgs, ShowArgs, UnsealArgs, VerifyArgs};
pub use running::{AcceptArgs, ApproveArgs, ExplainArgs, PlanArgs, PlaybookCommand, RunArgs};
pub use sealing::{KeyCommand, KmsArgs, SealArgs, SecretsArgs, SignArgs};

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
    #[command(
        after_help = "Examples:\n  freezeframe snapshot payments-export --case IR-2026-0042 --region eu-west-1\n  freezeframe snapshot payments-export --case IR-2026-0042 --depth triage\n  freezeframe snapshot payments-export --case IR-2026-0042 --since 7d --skip control-plane-history\n  freezeframe snapshot payments-export --case IR-2026-0042 --since 14d --trail s3://org-trail --regions all\n  freezeframe snapshot payments-export --case IR-2026-0042 --gone"
    )]
    Snapshot(SnapshotArgs),
    /// Check a bundle (zip or directory) and say everything that is wrong with it
    #[command(
        after_help = "Examples:\n  freezeframe verify IR-2026-0042/123456789012-eu-west-1-payments-export-20261120T234640Z-01K….zip\n  freezeframe verify s3://evidence-vault/prod/IR-2026-0042/<bundle>\n  freezeframe verify <bundle>.zip --key collector.pem"
    )]
    Verify(VerifyArgs),
    /// Archive a bundle in S3: locked, checksummed, read back; resumes where it was cut off
    #[command(
        after_help = "Examples:\n  freezeframe archive IR-2026-0042/<bundle>.zip s3://evidence-vault/prod --retain 7y --lock compliance\n  freezeframe archive IR-2026-0042/<bundle>.zip s3://evidence-vault --legal-hold --expected-bucket-owner 210987654321"
    )]
    Archive(ArchiveArgs),
    /// Seal what a run that died had carried to S3 (--straight), from any machine
    #[command(after_help = "Example:\n  freezeframe salvage s3://evidence-vault/prod/IR-2026-0042/<bundle> --retain 7y --lock compliance")]
    Salvage(SalvageArgs),
    /// Fetch an archived bundle, checked while it is written
    #[command(after_help = "Example:\n  freezeframe fetch s3://evidence-vault/prod/IR-2026-0042/<bundle> --to evidence")]
    Fetch(FetchArgs),
    /// List cases: their bundles, gaps, where they are archived, whether they hold something contained
    #[command(after_help = "Examples:\n  freezeframe list\n  freezeframe list s3://evidence-vault/prod")]
    List(ListArgs),
    /// The keys that sign bundles: make one, show one
    #[command(subcommand, after_help = "Examples:\n  freezeframe key new\n  freezeframe key show")]
    Key(KeyCommand),
    /// Tell the chain of custody: who did what to a bundle and its case, when, and which line says so
    #[command(after_help = "Example:\n  freezeframe custody IR-2026-0042/<bundle>.zip")]
    Custody(CustodyArgs),
    /// Open the sealed originals of a bundle; the opening is written into custody first
    #[command(
        after_help = "Examples:\n  freezeframe unseal IR-2026-0042/<bundle>.zip --to originals --why \"rotate what leaked\"\n  freezeframe unseal <bundle>.zip --prove leaked.txt --identity ir-team.txt"
    )]
    Unseal(UnsealArgs),
    /// Copy a bundle without its sealed originals, for whoever may not have the secrets
    #[command(after_help = "Example:\n  freezeframe disclose IR-2026-0042/<bundle>.zip --to for-the-vendor")]
    Disclose(DiscloseArgs),
    /// List what is in a bundle, or print one item's bytes
    #[command(
        after_help = "Examples:\n  freezeframe show IR-2026-0042/<bundle>.zip\n  freezeframe show IR-2026-0042/<bundle>.zip i000003 | jq ."
    )]
    Show(ShowArgs),
    /// Dry run of a playbook: every call, what it stops and does not stop, the IAM policy it needs
    #[command(
        after_help = "Examples:\n  freezeframe plan snapshot-and-contain payments-export\n  freezeframe plan snapshot-and-contain payments-export --out plan.json"
    )]
    Plan(PlanArgs),
    /// Run a playbook; asks before containing
    #[command(
        after_help = "Examples:\n  freezeframe run snapshot-and-contain payments-export --case IR-2026-0042\n  freezeframe run ./my-playbook.yaml payments-export --case IR-2026-0042 --yes\n  freezeframe run --plan plan.json --approval plan.approval.json --case IR-2026-0042"
    )]
    Run(RunArgs),
    /// Put a second person's word under a pinned plan; AWS proves who it was
    #[command(after_help = "Example:\n  freezeframe approve plan.json --note \"seen with the payments team\"")]
    Approve(ApproveArgs),
    /// Contain a function of which the case already holds verified evidence
    #[command(
        after_help = "Examples:\n  freezeframe contain payments-export --case IR-2026-0042\n  freezeframe contain payments-export --case IR-2026-0042 --without-evidence \"exfiltration is running\""
    )]
    Contain(ContainArgs),
    /// See whether containment holds: follow settings, invocations, throttles, logs and events for a while; changes nothing in AWS
    #[command(
        after_help = "Examples:\n  freezeframe watch IR-2026-0042\n  freezeframe watch payments-export --for 30m\n\nExit codes: 0 it holds · 3 could not tell (yet) · 7 it does not hold: a person is needed · 130 interrupted; what was seen is recorded"
    )]
    Watch(WatchArgs),
    /// Put back exactly what a case changed
    #[command(
        after_help = "Examples:\n  freezeframe restore IR-2026-0042 --dry-run\n  freezeframe restore IR-2026-0042\n  freezeframe restore IR-2026-0042 --print-script > restore.sh"
    )]
    Restore(RestoreArgs),
    /// Nothing more is contained, by anybody who reads this store, until `resume`; restoring stays possible
    #[command(
        after_help = "Examples:\n  freezeframe halt --why \"game day is over\"\n  freezeframe halt --why \"wrong account\" --control s3://evidence-vault/prod"
    )]
    Halt(HaltArgs),
    /// Lift what `halt` said, or close the breaker that a failed containment opened
    #[command(
        after_help = "Examples:\n  freezeframe resume --why \"looked at\"\n  freezeframe resume --breaker --why \"the role was fixed\""
    )]
    Resume(ResumeArgs),
    /// The guard policy, which says what must not be contained: check, show
    #[command(subcommand, after_help = "Examples:\n  freezeframe guard show > guard.yaml\n  freezeframe guard check guard.yaml")]
    Guard(GuardCommand),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::preflight::Missing;
    use crate::model::regions::Choice;
    use crate::plan::adjust::{Adjustments, Instant};
    use clap::{CommandFactory as _, ValueEnum as _};
    use std::time::Duration;

    #[test]
    fn clap_finds_no_fault_with_the_definition() {
        Cli::command().debug_assert();
    }

    fn snapshot(more: &[&str]) -> Result<SnapshotArgs, clap::Error> {
        let all = ["freezeframe", "snapshot", "f", "--case", "c"].iter().chain(more);
        match Cli::try_parse_from(all)?.command {
            Command::Snapshot(args) => Ok(args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_collected_can_be_said() {
        let plain = snapshot(&[]).unwrap();
        assert_eq!((plain.depth.playbook(), plain.collect.adjustments()), ("snapshot-only", Adjustments::default()));
        let args = ["--depth", "deep", "--since", "7d", "--until", "2026-11-20T12:00:00Z", "--skip", "a", "--skip", "b"];
        let more = ["--max-log-bytes", "2MiB", "--max-events", "70", "--set", "x.y=z", "--trail", "s3://org-trail/a/", "--regions", "all"];
        let said = snapshot(&[&args[..], &more].concat()).unwrap();
        let a = said.collect.adjustments();
        assert_eq!((a.trail.as_ref().map(ToString::to_string).as_deref(), &a.regions), (Some("s3://org-trail/a"), &Some(Choice::All)));
        assert_eq!((said.depth.playbook(), a.skip.len(), a.max_log_bytes, a.max_events), ("deep", 2, Some(2 << 20), Some(70)));
        assert!(matches!((a.since, a.until), (Some(Instant::Ago(_)), Some(Instant::At(_)))));
        for bad in [
            &["--since", "yesterday"][..],
            &["--max-log-bytes", "0"],
            &["--max-log-bytes", "1KB"],
            &["--max-events", "-1"],
            &["--trail", "org-trail"],
            &["--regions", "everywhere"],
            &["--depth", "abyss"],
            &["--skip", "a", "--only", "b"],
            &["--role", "r"],
        ] {
            assert!(snapshot(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_watch_has_its_bounds() {
        let watch = |more: &[&str]| Cli::try_parse_from(["freezeframe", "watch", "IR-1"].iter().chain(more)).map(|cli| cli.command);
        let Command::Watch(args) = watch(&["--for", "10m", "--every", "5s"]).unwrap() else { panic!() };
        assert_eq!((args.how_long, args.every), (Some(Duration::from_secs(600)), Duration::from_secs(5)));
        for bad in [["--for", "5s"], ["--for", "13h"], ["--for", "soon"], ["--every", "1s"], ["--every", "11m"]] {
            assert!(watch(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_function_that_is_gone_is_taken_for_gone_only_when_said() {
        assert!(matches!(snapshot(&[]).unwrap().gone.missing(), Missing::Refuse));
        let gone = snapshot(&["--gone", "--role", "pay"]).unwrap().gone.missing();
        assert!(matches!(gone, Missing::Gone { role: Some(r) } if r == "pay"));
    }

    #[test]
    fn every_depth_is_a_shipped_playbook_that_changes_nothing() {
        for depth in Depth::value_variants() {
            assert!(!crate::playbook::load(depth.playbook()).unwrap().0.contains(), "{depth:?}");
        }
    }
}
