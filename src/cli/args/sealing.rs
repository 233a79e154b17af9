//! Who signs, and for whom secrets are sealed.

use crate::bundle::secrets::{BadRecipient, Recipient, SecretsOrder, parse_recipient};
use crate::collect::COLLECTORS;
use crate::engine::secrets::Secrets;
use crate::model::kms_key::KmsKey;
use crate::model::web_address::WebAddress;
use crate::playbook::choice;
use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::sync::Arc;

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

fn collector(text: &str) -> Result<String, String> {
    let known: Vec<&str> = COLLECTORS.iter().map(|c| c.spec().id).collect();
    known.contains(&text).then(|| text.to_string()).ok_or_else(|| format!("no collector has this name; {}", choice(text, &known)))
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
