//! What may be typed. Only words here; what they mean is each command's own file.

use crate::archive::Place;
use crate::bundle::secrets::{BadRecipient, Recipient, SecretsOrder, parse_recipient};
use crate::engine::preflight::Missing;
use crate::engine::secrets::Secrets;
use crate::model::kms_key::KmsKey;
use crate::model::lock::{LockMode, Span, parse_until};
use crate::model::params::{parse_bytes, parse_duration};
use crate::model::regions::Choice;
use crate::model::s3_place::S3Place;
use crate::model::web_address::WebAddress;
use crate::plan::adjust::{Adjustments, Instant};
use chrono::{DateTime, Utc};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

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

/// Who signs what is stated about a bundle after it was sealed. No authority stamps it: S3 keeps a time of its own.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Seal")]
pub struct SignArgs {
    /// Sign with this P-256 key (PKCS#8 in PEM); otherwise with the one that `freezeframe key new` made, if there is one
    #[arg(long, value_name = "FILE", env = "FREEZEFRAME_SIGN_KEY")]
    pub sign_key: Option<PathBuf>,
    #[command(flatten)]
    pub kms: KmsArgs,
}

impl SignArgs {
    pub fn seal(&self) -> SealArgs {
        SealArgs { sign_key: self.sign_key.clone(), kms: self.kms.clone(), ..SealArgs::default() }
    }
}

/// Who signs the bundles.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Seal")]
pub struct SealArgs {
    /// Sign with this P-256 key (PKCS#8 in PEM); otherwise with the one that `freezeframe key new` made, if there is one
    #[arg(long, value_name = "FILE", env = "FREEZEFRAME_SIGN_KEY")]
    pub sign_key: Option<PathBuf>,
    #[command(flatten)]
    pub kms: KmsArgs,
    /// Have the signature stamped by this timestamp authority (RFC 3161)
    #[arg(long, value_name = "URL", env = "FREEZEFRAME_TSA", value_parser = web_address)]
    pub tsa: Option<WebAddress>,
    #[command(flatten)]
    pub secrets: SecretsArgs,
}

impl SealArgs {
    pub fn secrets(&self) -> Arc<Secrets> {
        let (recipients, whole) = (self.secrets.recipient.clone(), self.secrets.seal_whole.iter().cloned().collect());
        Arc::new(Secrets { order: SecretsOrder { recipients, whole }, kms: self.kms.secrets_key.clone() })
    }
}

/// For whom secrets in the evidence are sealed. With nothing named here, an identity is made beside the case.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Secrets")]
pub struct SecretsArgs {
    /// Who may open the secrets in the evidence: a recipient of age (may be repeated; `age-keygen` makes one)
    #[arg(long, value_name = "AGE1…", env = "FREEZEFRAME_RECIPIENTS", value_delimiter = ',', value_parser = recipient)]
    pub recipient: Vec<Recipient>,
    /// Seal all that this collector reads, not only the secrets in it (may be repeated)
    #[arg(long, value_name = "COLLECTOR", env = "FREEZEFRAME_SEAL_WHOLE", value_delimiter = ',', value_parser = collector)]
    pub seal_whole: Vec<String>,
}

fn collector(text: &str) -> Result<String, &'static str> {
    crate::collect::find(text).map(|c| c.spec().id.to_string()).ok_or("no collector has this name; `freezeframe explain` lists them")
}

fn recipient(text: &str) -> Result<Recipient, BadRecipient> {
    parse_recipient(text)
}

fn web_address(text: &str) -> Result<WebAddress, &'static str> {
    WebAddress::parse(text).ok_or("an address is wanted, like http://timestamp.example.com/tsr, without user and password")
}

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Seal")]
pub struct KmsArgs {
    /// Sign with this key of AWS KMS (ECC_NIST_P256), alone or beside a local one
    #[arg(long, value_name = "ARN", env = "FREEZEFRAME_KMS_KEY", value_parser = kms_key)]
    pub kms_key: Option<KmsKey>,
    /// Whoever may decrypt with this (symmetric) key of AWS KMS may open the secrets in the evidence; CloudTrail then tells of each opening
    #[arg(long, value_name = "ARN", env = "FREEZEFRAME_SECRETS_KEY", value_parser = kms_key)]
    pub secrets_key: Option<KmsKey>,
}

fn kms_key(text: &str) -> Result<KmsKey, &'static str> {
    KmsKey::parse(text).ok_or("a key's ARN is wanted (an alias can be pointed elsewhere), like arn:aws:kms:eu-west-1:123456789012:key/…")
}

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

/// What the operator accepts in words.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct AcceptArgs {
    /// Contain on the role although others use it too: they are stopped with it
    #[arg(long)]
    pub accept_shared_role: bool,
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

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// A bundle: `<bundle>.zip`, an unpacked one, one still being drafted, or s3://BUCKET/PREFIX/CASE/BUNDLE
    pub bundle: PathBuf,
    /// Demand that this key has signed it: a public key's file (PEM), or its fingerprint (may be repeated)
    #[arg(long, value_name = "FILE|FINGERPRINT")]
    pub key: Vec<String>,
    #[command(flatten)]
    pub bucket: BucketArgs,
}

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

#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a local key (ECDSA on P-256); never replaces one
    #[command(after_help = "Examples:\n  freezeframe key new\n  freezeframe key new --out /secure/seal.pem")]
    New {
        /// Where the key is written [default: $XDG_CONFIG_HOME/freezeframe/sign-key.pem, or ~/.config/freezeframe/sign-key.pem]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Print a key's public half and its fingerprint: what whoever verifies must have from you by another way
    #[command(
        after_help = "Examples:\n  freezeframe key show\n  freezeframe key show --kms-key arn:aws:kms:eu-west-1:123456789012:key/1111-2222"
    )]
    Show {
        /// The key [default: where `key new` makes one]
        #[arg(conflicts_with = "kms_key")]
        file: Option<PathBuf>,
        /// Show this key of AWS KMS instead
        // Not from the environment: a file that is named would then be in its way.
        #[arg(long, value_name = "ARN", value_parser = kms_key)]
        kms_key: Option<KmsKey>,
    },
}

#[derive(Debug, Args)]
pub struct CustodyArgs {
    /// A bundle: its zip or its directory
    pub bundle: PathBuf,
    /// The case directory, when the bundle does not lie in it
    #[arg(long, value_name = "DIR")]
    pub case_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct UnsealArgs {
    /// A bundle: its zip or its directory
    pub bundle: PathBuf,
    /// Write the originals below this directory; it must not exist yet
    #[arg(long, value_name = "DIR", required_unless_present = "prove")]
    pub to: Option<PathBuf>,
    /// An identity that opens them, as `age-keygen` writes it (may be repeated); otherwise the one beside the case
    #[arg(long, value_name = "FILE", env = "FREEZEFRAME_IDENTITY", value_delimiter = ',')]
    pub identity: Vec<PathBuf>,
    /// Have AWS KMS decrypt the bundle's own identity, with the key that its statement names
    #[arg(long)]
    pub kms: bool,
    /// Open the original of this file alone, as `meta/redactions.jsonl` names it (may be repeated)
    #[arg(long, value_name = "PATH")]
    pub file: Vec<String>,
    /// Open nothing; say where the bundle redacts the very value in this file (`-`: standard input; one newline at its end is left out)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["to", "file"])]
    pub prove: Option<PathBuf>,
    /// Why; it stands in the case journal
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
    /// The case directory, when the bundle does not lie in it: its journal is where the opening is written down
    #[arg(long, value_name = "DIR")]
    pub case_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct DiscloseArgs {
    /// A bundle: its zip or its directory
    pub bundle: PathBuf,
    /// The directory that the copy (a zip) comes to lie in
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    #[command(flatten)]
    pub seal: SealArgs,
    /// The case directory, when the bundle does not lie in it
    #[arg(long, value_name = "DIR")]
    pub case_dir: Option<PathBuf>,
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
    /// Set this drifted cell to the recorded state although somebody else changed it (may be repeated)
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

    use super::*;

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
