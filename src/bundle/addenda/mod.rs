//! Addenda: what happened to a sealed bundle afterwards (archived, opened, disclosed), each its own signed statement, each naming the digest of
//! the one before. The sealed bundle itself never changes.
//!
//! ```text
//! <bundle>.addenda/NNNNNN/       beside a bundle on a disk; seal/addenda/NNNNNN/ below a bundle in a bucket
//!   <kind>.json                  the document: what happened
//!   public-key.pem  kms-public.pem  statement.dsse.json  sealing.json      where keys were given, as in seal/
//!   statement.json               in-toto Statement v1 about the document; put last: without it the addendum did not come to its end
//! ```
//!
//! Numbers count from 1. `previous` is the SHA-256 of the `statement.json` before; of the first, the bundle's root. A number that was begun by
//! somebody who was killed stays as it is, and whoever comes next says so (`unfinished`).
//!
//! A key that cannot sign costs the signature, never the addendum. `beside.rs` puts addenda on a disk, `archive::addenda` into a bucket, and
//! `verify/addenda.rs` judges both. What this never does: change or remove what is there, or use a number twice.

pub mod beside;

use super::documents::{STATEMENT_TYPE, Subject, ToolRecord};
use super::signer::{SignerKind, StatedSigner};
use super::signing::Signers;
use super::tool;
use crate::clock::{Clock, stamp};
use crate::model::canon::{self, CanonError};
use crate::model::digest::Sha256;
use crate::model::id::CaseId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub const PREDICATE_TYPE: &str = "urn:freezeframe:predicate:addendum:v1";
/// Below a bundle in a bucket.
pub const WITHIN: &str = "seal/addenda/";
pub const STATEMENT: &str = "statement.json";
pub const ENVELOPE: &str = "statement.dsse.json";
pub const PUBLIC_KEY: &str = "public-key.pem";
pub const KMS_PUBLIC_KEY: &str = "kms-public.pem";
pub const SEALING: &str = "sealing.json";
/// Documents may be long (the record of an archive of a hundred thousand files); longer is none of ours.
pub const MAX_DOCUMENT: u64 = 64 << 20;
/// Of the files around the document.
pub const MAX_AROUND: u64 = 1 << 20;
/// More addenda than any bundle has.
pub const MAX_NUMBER: u32 = 10_000;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AddendumKind {
    /// It was put into a bucket, and S3 was asked what it keeps.
    Archive,
    /// Its secrets were opened.
    Access,
    /// A copy without them was made.
    Disclosure,
}

impl AddendumKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            AddendumKind::Archive => "archive",
            AddendumKind::Access => "access",
            AddendumKind::Disclosure => "disclosure",
        }
    }

    /// The document's name.
    pub const fn document(self) -> &'static str {
        match self {
            AddendumKind::Archive => "archive.json",
            AddendumKind::Access => "access.json",
            AddendumKind::Disclosure => "disclosure.json",
        }
    }
}

/// `statement.json` of an addendum: an in-toto Statement v1 whose one subject is the document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AddendumStatement {
    /// `https://in-toto.io/Statement/v1`
    #[serde(rename = "_type")]
    pub kind: String,
    /// `<kind>.json` and its SHA-256.
    pub subject: Vec<Subject>,
    /// `urn:freezeframe:predicate:addendum:v1`
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    pub predicate: AddendumPredicate,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AddendumPredicate {
    pub case: CaseId,
    pub bundle: String,
    /// The bundle's root digest.
    pub root: Sha256,
    /// The folder's.
    pub number: u32,
    pub kind: AddendumKind,
    /// SHA-256 of the `statement.json` before it, `unfinished` ones left out; where there is none, the root.
    pub previous: Sha256,
    /// Lower numbers that had been begun and had no statement when this one was made.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub unfinished: Vec<u32>,
    pub operator: String,
    pub tool: ToolRecord,
    /// UTC, RFC 3339, milliseconds.
    pub at: String,
    /// Every key that was to sign this statement. One of them whose signature is missing is a finding.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub signers: Vec<StatedSigner>,
}

/// The bundle that an addendum is about, and who acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    pub case: CaseId,
    pub bundle: String,
    pub root: Sha256,
    /// Caller identity's ARN, or whoever it is.
    pub operator: String,
}

/// Where in its chain an addendum comes to stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub number: u32,
    pub previous: Sha256,
    pub unfinished: Vec<u32>,
}

impl Link {
    /// Behind these: number → SHA-256 of its statement, `None` where it has none.
    pub fn behind(root: Sha256, there: &BTreeMap<u32, Option<Sha256>>) -> Link {
        let previous = there.values().rev().find_map(|s| *s).unwrap_or(root);
        let unfinished = there.iter().filter(|(_, s)| s.is_none()).map(|(n, _)| *n).collect();
        Link { number: there.keys().next_back().map_or(1, |n| n.saturating_add(1)), previous, unfinished }
    }
}

/// An addendum made ready: its files in the order in which they are put, the statement last.
#[derive(Clone, Debug)]
pub struct Ready {
    pub number: u32,
    pub files: Vec<(&'static str, Vec<u8>)>,
    /// Of `statement.json`.
    pub statement: Sha256,
    /// Keys whose signature it carries.
    pub signed_by: Vec<Sha256>,
    /// What was to be and is not, in words.
    pub missing: Vec<String>,
}

/// States and signs. The document is given as it is to lie there.
pub async fn ready(
    about: &About,
    kind: AddendumKind,
    document: &[u8],
    link: Link,
    signers: &Signers,
    clock: &dyn Clock,
) -> Result<Ready, CanonError> {
    let number = link.number;
    let statement = AddendumStatement {
        kind: STATEMENT_TYPE.into(),
        subject: vec![Subject {
            name: kind.document().into(),
            digest: BTreeMap::from([("sha256".into(), Sha256::of(document).to_string())]),
        }],
        predicate_type: PREDICATE_TYPE.into(),
        predicate: AddendumPredicate {
            case: about.case.clone(),
            bundle: about.bundle.clone(),
            root: about.root,
            number,
            kind,
            previous: link.previous,
            unfinished: link.unfinished,
            operator: about.operator.clone(),
            tool: tool::record(),
            at: stamp(clock.now()),
            signers: signers.stated(),
        },
    };
    let bytes = canon::to_vec("the statement of an addendum", &statement)?;
    let signing = signers.sign(&bytes, clock).await;
    let mut files = vec![(kind.document(), document.to_vec())];
    files.extend(signing.keys.iter().map(|(kind, pem)| (key_file(*kind), pem.clone())));
    if let Some(envelope) = signing.envelope(&bytes) {
        files.push((ENVELOPE, canon::to_vec("the envelope of an addendum", &envelope)?));
    }
    if let Some(record) = signing.record() {
        files.push((SEALING, canon::to_vec("the note on signing an addendum", &record)?));
    }
    let sha256 = Sha256::of(&bytes);
    files.push((STATEMENT, bytes));
    let missing = signing.missing(&format!("addendum {number} ({})", kind.as_str()));
    Ok(Ready { number, files, statement: sha256, signed_by: signing.signed_by(), missing })
}

pub const fn key_file(kind: SignerKind) -> &'static str {
    match kind {
        SignerKind::Local => PUBLIC_KEY,
        SignerKind::Kms => KMS_PUBLIC_KEY,
    }
}

/// The folder of a number: `000001`.
pub fn folder(number: u32) -> String {
    format!("{number:06}")
}

/// The number of a folder, where it is one's name.
pub fn number(folder: &str) -> Option<u32> {
    let digits = folder.len() == 6 && folder.bytes().all(|b| b.is_ascii_digit());
    folder.parse().ok().filter(|n| digits && *n > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_stands_behind_the_last_statement_and_names_what_has_none() {
        let root = Sha256::of(b"root");
        let of = |there: &[(u32, Option<&str>)]| {
            Link::behind(root, &there.iter().map(|(n, s)| (*n, s.map(|s| Sha256::of(s.as_bytes())))).collect())
        };
        assert_eq!(of(&[]), Link { number: 1, previous: root, unfinished: vec![] });
        assert_eq!(of(&[(1, Some("a"))]), Link { number: 2, previous: Sha256::of(b"a"), unfinished: vec![] });
        assert_eq!(of(&[(1, None)]), Link { number: 2, previous: root, unfinished: vec![1] });
        assert_eq!(of(&[(1, Some("a")), (2, None), (3, None)]), Link { number: 4, previous: Sha256::of(b"a"), unfinished: vec![2, 3] });
        assert_eq!(of(&[(1, None), (2, Some("b"))]), Link { number: 3, previous: Sha256::of(b"b"), unfinished: vec![1] });
    }

    #[test]
    fn folders_have_six_digits() {
        assert_eq!(number(&folder(42)), Some(42));
        for bad in ["1", "000000", "0000001", "00001a", "+00001", ""] {
            assert_eq!(number(bad), None, "{bad}");
        }
    }
}
