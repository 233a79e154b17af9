//! Secrets in evidence: a redacted twin that everybody may read, and the original, sealed with age.
//!
//! `veil.rs` finds secrets in JSON and puts redactions in their place, `rules.rs` says what is one, `commitment.rs` is how a leaked value can
//! later be shown to be that variable, `originals.rs` encrypts and opens what was there, `twin.rs` looks whether redactions stand where they are listed, the line of `meta/redactions.jsonl` is `model/redaction.rs`.
//! The form of all of it: `evidence-schema/README.md`, "Secrets".
//!
//! What it never does: write a secret or the digest of one in clear, or let a body pass that was to be looked into and could not be read:
//! that is sealed whole. Its own cryptography: none; age and HMAC are crates'.

mod commitment;
mod originals;
mod record;
mod rules;
mod twin;
mod veil;
#[cfg(test)]
mod veil_tests;

pub use commitment::{CommitKey, NoRandom};
pub use originals::{BadRecipient, Identities, OpenError, Originals, Recipient, SecretsOrder, WrappedIdentity, parse_recipient};
pub use record::StatedSecrets;
pub use rules::{LARGEST, Look, OPAQUE, echoes_credentials, is_presigned, looked_into, may_hold_secret};
pub use twin::{redacted, unredacted};
pub use veil::{Veiled, veil, whole};

use crate::model::call::{Call, Scope, Service};
use crate::model::path::{BundlePath, PathError};

/// One line for each twin; absent where nothing was redacted.
pub const REDACTIONS: &str = "meta/redactions.jsonl";
/// Where originals lie.
pub const SEALED: &str = "data/sealed/";
/// The key of every commitment, sealed like an original.
pub const COMMITMENT_KEY: &str = "data/sealed/commitment-key.age";
/// The bundle's own identity, as KMS encrypted it.
pub const WRAPPED_IDENTITY: &str = "seal/identity.kms";
/// What stands behind the name of a file that is sealed whole.
pub const WHOLE_SUFFIX: &str = ".redacted.json";

/// What sealing secrets with a KMS key calls. With it alone nobody can read what was sealed.
pub static SEAL_CALLS: &[Call] = &[Call::write(Service::Kms, "Encrypt", "kms:Encrypt", Scope::Any)];
/// What opening them calls: asked for by `unseal` alone, and in no plan's policy.
pub static UNSEAL_CALLS: &[Call] = &[Call::read(Service::Kms, "Decrypt", "kms:Decrypt", Scope::Any)];

/// `data/…` → `data/sealed/….age`.
pub fn sealed_path(of: &BundlePath) -> Result<BundlePath, PathError> {
    let below = of.as_str().strip_prefix("data/").unwrap_or(of.as_str());
    BundlePath::parse(&format!("{SEALED}{below}.age"))
}
