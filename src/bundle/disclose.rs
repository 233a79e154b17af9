//! A copy for somebody who may not have the secrets: everything that the bundle holds but its sealed originals, as a bag of its own.
//!
//! It is sealed like any other (`Closed`), names its source and root, and brings the source's manifests and seal, so that whoever has it can check
//! that nothing but sealed originals is missing, and that the source was signed. What it never does: change or leave out anything else.

use super::certification;
use super::documents::{BundleKind, Previous, Statement, ToolRecord};
use super::manifest::{self, PAYLOAD_MANIFEST, TAG_MANIFEST};
use super::payload::Digest;
use super::seal::{Closed, STATEMENT, SealError, Tags, ToBeSigned, about, failed};
use super::secrets::{SEALED, WRAPPED_IDENTITY};
use super::source::{BagSource, EntryName, ReadError};
use super::text;
use crate::clock::{Clock, stamp};
use crate::model::canon;
use crate::model::digest::{Sha256, Tee};
use crate::model::id::CaseId;
use crate::model::item::Item;
use crate::model::path::{BundlePath, PathError};
use crate::store::disk;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufWriter};
use std::path::Path;

const ITEMS: &str = "meta/items.jsonl";
/// Tag files that the copy has of its own.
const OWN: [&str; 3] = ["meta/README.txt", "meta/VERIFY.txt", "meta/CERTIFICATION.md"];
/// Where the source's own tag files and seal come to lie.
const SOURCE: &str = "meta/source/";
const MAX_DOCUMENT: u64 = 256 << 20;

#[derive(Debug, thiserror::Error)]
pub enum DiscloseError {
    #[error("cannot read {what} of the bundle")]
    Read {
        what: String,
        #[source]
        source: ReadError,
    },
    #[error("{what} is not of its form")]
    Form {
        what: &'static str,
        #[source]
        source: serde_json::Error,
    },
    #[error("it is a disclosed copy itself: disclose its source")]
    IsCopy,
    #[error("cannot name a file of the copy")]
    NameFile(#[from] PathError),
    #[error("cannot copy {what}")]
    Copy {
        what: String,
        #[source]
        source: io::Error,
    },
    #[error("cannot seal the copy")]
    Seal(#[from] SealError),
}

/// `disclosure.json` of an addendum to the source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DisclosureRecord {
    /// Version of this form: 1.
    pub v: u32,
    /// UTC, RFC 3339.
    pub at: String,
    /// Name and root of the copy.
    pub copy: String,
    pub copy_root: Sha256,
}

/// Who discloses, and how the copy will be signed.
pub struct Discloser {
    pub operator: String,
    pub tool: ToolRecord,
    pub to_be: ToBeSigned,
}

/// Copies `bag`, which must have been verified and have this `root`, to a new directory in `out`. What comes back wants to be signed and finished.
pub fn disclose(bag: &BagSource, root: Sha256, out: &Path, by: Discloser, clock: &dyn Clock) -> Result<Closed, DiscloseError> {
    let statement: Statement = document(bag, STATEMENT)?;
    if statement.predicate.kind == BundleKind::Disclosure {
        return Err(DiscloseError::IsCopy);
    }
    let mut predicate = statement.predicate;
    let source = Previous { bundle: std::mem::take(&mut predicate.bundle), root };
    predicate.bundle = name(&source.bundle);
    predicate.kind = BundleKind::Disclosure;
    predicate.previous = Some(source);
    predicate.sealed = stamp(clock.now());
    (predicate.operator, predicate.tool) = (by.operator, by.tool);
    (predicate.signers, predicate.timestamp_authority) = (by.to_be.signers, by.to_be.timestamp_authority);

    let dir = out.join(BundlePath::parse(&predicate.bundle)?.as_str());
    disk::make_dirs(out).map_err(failed("the directory"))?;
    disk::make_dir(&dir).map_err(failed("the copy's directory"))?;
    disk::make_dir(&dir.join("tmp")).map_err(failed("tmp/"))?;
    let (mut payload, mut tags) = (BTreeMap::new(), Tags { dir: &dir, adopt: false, files: BTreeMap::new() });
    for entry in bag.files() {
        let EntryName::Path(path) = &entry.name else { continue };
        let Some(to) = place(path.as_str()) else { continue };
        let to = BundlePath::parse(&to)?;
        let digest = copy(bag, path, &to.under(&dir))?;
        if to.top() == "data" {
            payload.insert(to, digest)
        } else {
            tags.files.insert(to, digest)
        };
    }
    manifest::settle(&dir, &payload).map_err(SealError::Disk)?;
    let items = lines(bag)?;
    tags.write("meta/README.txt", text::readme(&predicate).as_bytes())?;
    tags.write("meta/CERTIFICATION.md", certification::template(&predicate).as_bytes())?;
    tags.write("meta/VERIFY.txt", text::verify(&predicate, &items).as_bytes())?;
    tags.write("bagit.txt", text::BAGIT.as_bytes())?;
    tags.write("bag-info.txt", text::bag_info(&predicate, manifest::oxum(&payload)).as_bytes())?;
    tags.write(PAYLOAD_MANIFEST, manifest::manifest(&payload).as_bytes())?;
    let copy_root = tags.rooted()?;
    let mut files = tags.files;
    files.extend(payload);
    let statement = about(copy_root, predicate);
    let bytes = canon::to_vec("the statement", &statement).map_err(SealError::MakeDocument)?;
    Ok(Closed { dir, root: copy_root, statement, bytes, items, gaps: vec![], files })
}

/// A copy is written down by name and root before it is sealed, and is given up when it cannot be.
impl Closed {
    pub fn case(&self) -> &CaseId {
        &self.statement.predicate.case
    }
    pub fn root(&self) -> Sha256 {
        self.root
    }

    /// Removes what was to be sealed, and is not to be at all.
    pub fn discard(self) -> Result<(), SealError> {
        fs::remove_dir_all(&self.dir).map_err(|source| SealError::Discard { dir: self.dir, source })
    }
}

/// The source's name, and what this is of it; its beginning, where both do not fit one segment.
fn name(source: &str) -> String {
    const MAX: usize = 120;
    const SUFFIX: &str = "-disclosure";
    let kept: String = source.chars().take(MAX - SUFFIX.len()).collect();
    format!("{kept}{SUFFIX}")
}

/// Where a file of the source comes to lie in the copy, if it does.
fn place(path: &str) -> Option<String> {
    match path {
        WRAPPED_IDENTITY | "bagit.txt" => None,
        p if p.starts_with(SEALED) || p.starts_with("seal/addenda/") || p.starts_with("tmp/") || OWN.contains(&p) => None,
        "bag-info.txt" | PAYLOAD_MANIFEST | TAG_MANIFEST => Some(format!("{SOURCE}{path}")),
        p if p.starts_with("seal/") => Some(format!("{SOURCE}{p}")),
        p => Some(p.to_string()),
    }
}

fn copy(bag: &BagSource, from: &BundlePath, to: &Path) -> Result<Digest, DiscloseError> {
    let what = || from.as_str().to_string();
    let mut stream = bag.stream(from).map_err(|source| DiscloseError::Read { what: what(), source })?;
    let mut copied = || {
        disk::make_dirs(to.parent().unwrap_or(to))?;
        let mut out = Tee::new(BufWriter::new(disk::create_new(to)?), u64::MAX);
        io::copy(&mut stream, &mut out)?;
        let (file, sha256, bytes) = out.finish()?;
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        Ok(Digest { bytes, sha256 })
    };
    copied().map_err(|source| DiscloseError::Copy { what: what(), source })
}

fn document<T: serde::de::DeserializeOwned>(bag: &BagSource, what: &'static str) -> Result<T, DiscloseError> {
    let bytes =
        bag.read_small(&BundlePath::parse(what)?, MAX_DOCUMENT).map_err(|source| DiscloseError::Read { what: what.into(), source })?;
    serde_json::from_slice(&bytes).map_err(|source| DiscloseError::Form { what, source })
}

fn lines(bag: &BagSource) -> Result<Vec<Item>, DiscloseError> {
    let bytes =
        bag.read_small(&BundlePath::parse(ITEMS)?, MAX_DOCUMENT).map_err(|source| DiscloseError::Read { what: ITEMS.into(), source })?;
    let lines = bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty());
    lines.map(|l| serde_json::from_slice(l).map_err(|source| DiscloseError::Form { what: ITEMS, source })).collect()
}
