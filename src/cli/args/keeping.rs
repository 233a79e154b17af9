//! Where evidence is kept in S3, how, and how it is had back.

use super::{SealArgs, SignArgs};
use crate::archive::Place;
use crate::model::lock::{LockMode, Span, parse_until};
use chrono::{DateTime, Utc};
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct FetchArgs {
    /// The bundle's place
    #[arg(value_name = "s3://BUCKET/PREFIX/CASE/BUNDLE", value_parser = vault)]
    pub from: Place,
    /// Where a directory of the bundle's name is made
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub to: PathBuf,
    #[command(flatten)]
    pub bucket: BucketArgs,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// Where cases lie: a directory, or s3://BUCKET/PREFIX
    #[arg(default_value = ".", env = "FREEZEFRAME_CASES")]
    pub place: PathBuf,
    #[command(flatten)]
    pub bucket: BucketArgs,
}

/// How S3 is to keep what is archived.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Archive")]
pub struct VaultArgs {
    /// Nobody may delete it for so long from now (7y, 90d)
    #[arg(long, value_name = "SPAN", value_parser = span)]
    pub retain: Option<Span>,
    /// The same until a date (2033-11-20, or with a time)
    #[arg(long, value_name = "DATE", value_parser = until, conflicts_with = "retain")]
    pub retain_until: Option<DateTime<Utc>>,
    /// Who may shorten that: whoever may bypass governance (governance, the default), or nobody (compliance)
    #[arg(long, value_name = "MODE", value_parser = lock_mode)]
    pub lock: Option<LockMode>,
    /// Nobody may delete it until somebody takes this off
    #[arg(long)]
    pub legal_hold: bool,
    /// Held until the hold is released, and then so long (7y, 90d)
    #[arg(long, value_name = "SPAN", value_parser = span)]
    pub event_hold: Option<Span>,
    /// Encrypt with this KMS key instead of the bucket's default
    #[arg(long, value_name = "KEY")]
    pub sse_kms_key: Option<String>,
    #[command(flatten)]
    pub bucket: BucketArgs,
    /// Archive all the same (may be repeated): unlocked-bucket, public-bucket, unfinished-bundle
    #[arg(long, value_name = "WORD", value_parser = ["unlocked-bucket", "public-bucket", "unfinished-bundle"], hide_possible_values = true)]
    pub accept: Vec<String>,
}

/// Which bucket is meant, beyond its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Archive")]
pub struct BucketArgs {
    /// Stop unless the bucket belongs to this account
    #[arg(long, value_name = "ID", value_parser = account)]
    pub expected_bucket_owner: Option<String>,
    /// Region of the bucket, when it is not the function's
    #[arg(long, value_name = "REGION")]
    pub bucket_region: Option<String>,
}

/// Archiving as a part of a run.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Archive")]
pub struct ArchiveOption {
    /// Archive what is sealed below s3://BUCKET/PREFIX, and read back what S3 says of it
    #[arg(long = "archive", value_name = "PLACE", value_parser = vault, env = "FREEZEFRAME_ARCHIVE")]
    pub to: Option<Place>,
    /// Carry each file there as soon as it is gathered: what a run that dies had gathered can be salvaged there
    #[arg(long)]
    pub straight: bool,
    #[command(flatten)]
    pub how: VaultArgs,
}

/// Sealing what a dead run left in a bucket.
#[derive(Debug, Args)]
pub struct SalvageArgs {
    /// The bundle's place
    #[arg(value_name = "s3://BUCKET/PREFIX/CASE/BUNDLE", value_parser = vault)]
    pub from: Place,
    /// Where the case is laid on this disk
    #[arg(long, value_name = "DIR", default_value = ".", env = "FREEZEFRAME_CASES")]
    pub cases: PathBuf,
    /// You know that the run is dead, however lately it was heard of
    #[arg(long)]
    pub run_is_dead: bool,
    #[command(flatten)]
    pub vault: VaultArgs,
    #[command(flatten)]
    pub seal: SealArgs,
}

fn span(text: &str) -> Result<Span, &'static str> {
    Span::parse(text).ok_or("a span is wanted, like 90d or 7y (at most 36500d or 100y)")
}

fn until(text: &str) -> Result<DateTime<Utc>, &'static str> {
    parse_until(text).ok_or("a date is wanted, like 2033-11-20 or 2033-11-20T12:00:00Z")
}

fn lock_mode(text: &str) -> Result<LockMode, &'static str> {
    LockMode::parse(text).ok_or("governance or compliance is wanted")
}

fn account(text: &str) -> Result<String, &'static str> {
    let digits = text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.to_string()).ok_or("an account's twelve digits are wanted")
}

fn vault(text: &str) -> Result<Place, &'static str> {
    Place::parse(text).ok_or("a place in S3 is wanted, like s3://bucket/prefix (letters, digits, `.`, `_`, `-` and `/`)")
}

#[derive(Debug, Args)]
pub struct ArchiveArgs {
    /// A sealed bundle: `<bundle>.zip`, or an unpacked one
    pub bundle: PathBuf,
    /// Where cases are archived; the bundle goes to PREFIX/CASE/BUNDLE/
    #[arg(value_name = "s3://BUCKET/PREFIX", value_parser = vault)]
    pub to: Place,
    #[command(flatten)]
    pub vault: VaultArgs,
    #[command(flatten)]
    pub sign: SignArgs,
}
