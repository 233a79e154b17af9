//! What is asked of a bundle that exists.

use super::{BucketArgs, SealArgs};
use clap::Args;
use std::path::PathBuf;

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
