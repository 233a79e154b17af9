//! What is collected, of which function, how deep.

use super::{ArchiveOption, CaseArgs, SealArgs};
use crate::engine::preflight::Missing;
use crate::model::params::parse_bytes;
use crate::model::regions::Choice;
use crate::model::s3_place::S3Place;
use crate::plan::adjust::{Adjustments, Instant};
use clap::{Args, ValueEnum};

/// What is collected, beside what the playbook says. All of it stands in the plan.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "What is collected")]
pub struct CollectArgs {
    /// Begin every window here: a duration (24h, 7d) or a time (2026-11-20T12:00:00Z)
    #[arg(long, value_name = "TIME")]
    pub since: Option<Instant>,
    /// End every window here: a time, or so long ago
    #[arg(long, value_name = "TIME")]
    pub until: Option<Instant>,
    /// Leave this collector out (may be repeated); its question stays open, and the bundle says so
    #[arg(long, value_name = "COLLECTOR")]
    pub skip: Vec<String>,
    /// Run this collector and what it needs, and no other (may be repeated)
    #[arg(long, value_name = "COLLECTOR", conflicts_with = "skip")]
    pub only: Vec<String>,
    /// Stop reading logs after so many bytes (64MiB); what is older is a gap
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub max_log_bytes: Option<u64>,
    /// Stop each search of CloudTrail after about so many events; what is older is a gap
    #[arg(long, value_name = "COUNT")]
    pub max_events: Option<u64>,
    /// Read a trail's own files instead of searching CloudTrail's event history: the place that the trail delivers to
    #[arg(long, value_name = "s3://BUCKET/PREFIX", value_parser = place)]
    pub trail: Option<S3Place>,
    /// Where to look for what the credentials did, and for who shares the role: home, all, or names with commas between
    #[arg(long, value_name = "REGIONS", value_parser = regions)]
    pub regions: Option<Choice>,
    /// Set a collector's parameter (may be repeated)
    #[arg(long, value_name = "COLLECTOR.PARAM=VALUE")]
    pub set: Vec<String>,
}

impl CollectArgs {
    pub fn adjustments(&self) -> Adjustments {
        Adjustments {
            since: self.since,
            until: self.until,
            skip: self.skip.clone(),
            only: self.only.clone(),
            max_log_bytes: self.max_log_bytes,
            max_events: self.max_events,
            trail: self.trail.clone(),
            regions: self.regions.clone(),
            set: self.set.clone(),
            accept_shared_role: false,
        }
    }
}

fn place(text: &str) -> Result<S3Place, &'static str> {
    S3Place::parse(text).ok_or("a place in S3 is wanted, like s3://bucket/prefix: the prefix is what stands before AWSLogs/")
}

fn regions(text: &str) -> Result<Choice, &'static str> {
    Choice::parse(text).ok_or("Regions are wanted: home, all, or names like eu-west-1,us-east-1")
}

fn size(text: &str) -> Result<u64, &'static str> {
    parse_bytes(text).filter(|n| *n > 0).ok_or("a size is wanted, like 500000, 64KiB, 16MiB or 2GiB")
}

/// A function that does not exist any more.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "A function that was deleted")]
pub struct GoneArgs {
    /// Go on although there is no such function: collect what it left behind
    #[arg(long)]
    pub gone: bool,
    /// The execution role that it had, by name or ARN, if CloudTrail does not remember
    #[arg(long, value_name = "ROLE", requires = "gone")]
    pub role: Option<String>,
}

impl GoneArgs {
    pub fn missing(&self) -> Missing {
        if self.gone { Missing::Gone { role: self.role.clone() } } else { Missing::Refuse }
    }
}

/// How much a snapshot reads: shipped playbooks, under short names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Depth {
    /// A first look in seconds (playbook `triage`)
    Triage,
    /// Every collector, with bounds that keep it to minutes (`snapshot-only`)
    #[default]
    Standard,
    /// Every collector, as far back as it goes (`deep`)
    Deep,
}

impl Depth {
    pub const fn playbook(self) -> &'static str {
        match self {
            Depth::Triage => "triage",
            Depth::Standard => "snapshot-only",
            Depth::Deep => "deep",
        }
    }
}

#[derive(Debug, Args)]
pub struct SnapshotArgs {
    /// The function: a name, `name:qualifier` or an ARN
    pub function: String,
    #[command(flatten)]
    pub case: CaseArgs,
    /// How much is read: triage (seconds), standard, or deep; each is a shipped playbook
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    pub depth: Depth,
    #[command(flatten)]
    pub collect: CollectArgs,
    #[command(flatten)]
    pub gone: GoneArgs,
    #[command(flatten)]
    pub archive: ArchiveOption,
    #[command(flatten)]
    pub seal: SealArgs,
}
