//! One pass over a bag: each file is read once, hashed (on as many cores as there are, up to four), and looked into where it is a document of
//! ours. Every check then works on what is kept here: digests, and documents of bounded size; never a file's bytes.

use super::addenda::{Gathered, Judged, addendum_file};
use super::documents::{Manifest, Strict, TagFile, strict};
use super::findings::Level;
use super::journal_reader::{JournalFacts, segment_number};
use super::lines::Line;
use super::reading::{Digested, Tap, through};
use super::room::Rooms;
use super::signatures::{DemandedKey, SignatureCheck, judge};
use crate::bundle::changes::{ACTIONS, Changes};
use crate::bundle::documents::BundleKind;
use crate::bundle::documents::{Coverage, Statement};
use crate::bundle::dsse::Envelope;
use crate::bundle::keys::PublicKey;
use crate::bundle::signer::{SealingRecord, StatedSigner};
use crate::bundle::source::BagSource;
use crate::bundle::timestamp::{self, Stamp};
use crate::bundle::zip_reader::Oddity;
use crate::model::causes::with_causes;
use crate::model::digest::Sha256;
use crate::model::exchange::Exchange;
use crate::model::id::ExchangeId;
use crate::model::item::Item;
use crate::model::journal_event::JournalLine;
use crate::model::path::BundlePath;
use crate::model::redaction::Redaction;
use std::collections::{BTreeMap, HashSet};

pub const BAGIT: &str = "bagit.txt";
pub const BAG_INFO: &str = "bag-info.txt";
pub const MANIFEST: &str = "manifest-sha256.txt";
pub const TAG_MANIFEST: &str = "tagmanifest-sha256.txt";
pub const ITEMS: &str = "meta/items.jsonl";
pub const COVERAGE: &str = "meta/coverage.json";
pub const STATEMENT: &str = "seal/statement.json";
pub use crate::bundle::secrets::REDACTIONS;
pub use crate::bundle::signer::{ENVELOPE, KMS_PUBLIC_KEY, PUBLIC_KEY, SEALING, TIMESTAMP};

/// What a disclosed copy keeps of its source.
pub const SOURCE_MANIFEST: &str = "meta/source/manifest-sha256.txt";
pub const SOURCE_TAG_MANIFEST: &str = "meta/source/tagmanifest-sha256.txt";
pub const SOURCE_BAG_INFO: &str = "meta/source/bag-info.txt";
pub(super) const SOURCE_STATEMENT: &str = "meta/source/seal/statement.json";
pub(super) const SOURCE_ENVELOPE: &str = "meta/source/seal/statement.dsse.json";
pub(super) const SOURCE_KEY: &str = "meta/source/seal/public-key.pem";
pub(super) const SOURCE_KMS_KEY: &str = "meta/source/seal/kms-public.pem";
/// How every age file begins.
pub(super) const AGE: &[u8] = b"age-encryption.org/v1\n";

/// Documents are read whole up to here; ours are far smaller.
const MAX_DOCUMENT: usize = 16 << 20;
const MAX_TROUBLES: usize = 2000;
/// A containment touches some dozens of cells.
const MAX_CELLS: usize = 100_000;

/// A document that is not of its form.
#[derive(Debug)]
pub struct Trouble {
    pub path: BundlePath,
    /// Of a document made of lines.
    pub line: Option<u64>,
    pub what: Strict,
}

/// What is kept of an exchange's record.
#[derive(Debug)]
pub struct ExchangeFact {
    pub path: BundlePath,
    pub unit: String,
    pub status: Option<u16>,
    pub body: Option<BundlePath>,
    pub body_bytes: u64,
    pub body_sha256: Option<Sha256>,
    pub sealed: Option<BundlePath>,
    /// A header or address that should have been withheld: its name.
    pub credential: Option<String>,
}

#[derive(Debug, Default)]
pub struct Facts {
    pub has_tmp: bool,
    /// The one directory that the archive holds, where it is an archive and holds one.
    pub archive_directory: Option<String>,
    /// From the container, and from reading it.
    pub oddities: Vec<Oddity>,
    /// Digest and length as read; `None` where the bytes could not be read, which is among the oddities.
    pub files: BTreeMap<BundlePath, Option<(Sha256, u64)>>,
    pub bytes: u64,
    pub manifest: Option<Manifest>,
    pub tag_manifest: Option<Manifest>,
    pub bagit: Option<TagFile>,
    pub bag_info: Option<TagFile>,
    pub items: Option<Vec<Item>>,
    pub exchanges: BTreeMap<ExchangeId, ExchangeFact>,
    /// Records whose number another record has already.
    pub doubled_exchanges: Vec<(ExchangeId, BundlePath)>,
    pub coverage: Option<Coverage>,
    pub statement: Option<Statement>,
    pub journal: JournalFacts,
    pub troubles: Vec<Trouble>,
    /// For lines that are kept.
    pub rooms: Rooms,
    pub envelope: Option<Envelope>,
    /// By path; `None` where the file is no such key.
    pub keys: BTreeMap<&'static str, Option<PublicKey>>,
    pub sealing: Option<SealingRecord>,
    /// How the cells ended, by the run's lines of the case journal; `None` where the bag has none or they are not all of their form.
    pub changes: Option<Changes>,
    /// Lines of `meta/redactions.jsonl` that are of their form.
    pub redactions: Vec<Redaction>,
    /// How the files below `data/sealed/` begin: whether as age files do.
    pub sealed: BTreeMap<BundlePath, bool>,
    /// Twins in which a redaction that is listed does not stand: where.
    pub unredacted: BTreeMap<BundlePath, String>,
    /// Of a disclosed copy: the source's manifests, bag-info and statement.
    pub source: SourceFacts,
    /// Keys that the reader asks for.
    pub demanded: Vec<DemandedKey>,
    pub signatures: Vec<SignatureCheck>,
    /// Addenda that lie in the bundle, as they pass.
    within: Gathered,
    /// Those, and the ones beside it.
    pub addenda: Vec<Judged>,
    /// What the timestamp says; why it says nothing.
    pub timestamp: Option<Result<Stamp, String>>,
}

/// What a disclosed copy keeps of its source, below `meta/source/`.
#[derive(Debug, Default)]
pub struct SourceFacts {
    pub manifest: Option<Manifest>,
    pub tag_manifest: Option<Manifest>,
    pub statement: Option<Statement>,
    pub statement_bytes: Vec<u8>,
    pub envelope: Option<Envelope>,
    pub keys: Vec<PublicKey>,
}

impl Facts {
    pub fn gather(source: &BagSource, demanded: &[DemandedKey]) -> Facts {
        let (oddities, demanded) = (source.oddities().to_vec(), demanded.to_vec());
        let mut facts = Facts { has_tmp: source.has_tmp(), oddities, demanded, ..Facts::default() };
        facts.archive_directory = source.archive_directory().map(str::to_string);
        let said: HashSet<&str> = source.oddities().iter().filter_map(|o| o.name.as_deref()).collect();
        for (path, read) in facts.read(source) {
            let read = read.map_err(|what| {
                // Where the container already said why, once is enough.
                if !said.contains(path.as_str()) {
                    facts.oddities.push(Oddity::of(path.as_str(), what));
                }
            });
            if read.is_err() {
                facts.forget(&path);
            }
            facts.bytes += read.map_or(0, |r| r.1);
            facts.files.insert(path, read.ok());
        }
        facts.twins(source);
        facts.signatures = judge(&facts);
        facts
    }

    /// What the addenda are: those that passed, and those beside.
    pub fn judge_addenda(&mut self, beside: Gathered) {
        let mut within = std::mem::take(&mut self.within);
        for (path, read) in &self.files {
            if let Some((number, name)) = addendum_file(path.as_str()) {
                within.file(number, name, read.map(|r| r.0));
            }
        }
        self.addenda = [within, beside].into_iter().filter(|g| !g.is_empty()).map(|g| g.judge(self)).collect();
    }

    /// There is a statement, so the maker says that the bundle is complete; before that, what is missing may just not have been written yet.
    pub fn sealed(&self) -> bool {
        BundlePath::parse(STATEMENT).is_ok_and(|p| self.files.contains_key(&p))
    }
    /// How bad it is that something is missing, torn, or not told of elsewhere: a process that was killed leaves such things, a sealed bundle
    /// has none. What contradicts its own digest is an error either way.
    pub fn absence(&self) -> Level {
        if self.sealed() { Level::Error } else { Level::Warn }
    }
    /// What the bag is about; of a disclosed copy, what its source is about.
    pub fn about(&self) -> Option<BundleKind> {
        match self.statement.as_ref()?.predicate.kind {
            BundleKind::Disclosure => self.source.statement.as_ref().map(|s| s.predicate.kind),
            kind => Some(kind),
        }
    }
    pub fn is_disclosure(&self) -> bool {
        self.statement.as_ref().is_some_and(|s| s.predicate.kind == BundleKind::Disclosure)
    }
    /// The keys that were to sign.
    pub fn stated_signers(&self) -> impl Iterator<Item = &StatedSigner> {
        self.statement.iter().flat_map(|s| &s.predicate.signers)
    }
    pub fn has_trouble(&self, path: &str) -> bool {
        self.troubles.iter().any(|t| t.path.as_str() == path)
    }
    pub fn has(&self, path: &str) -> bool {
        BundlePath::parse(path).is_ok_and(|p| self.files.contains_key(&p))
    }
    pub fn digest(&self, path: &str) -> Option<Sha256> {
        self.files.get(&BundlePath::parse(path).ok()?)?.map(|f| f.0)
    }
    /// The payload's paths and digests as the manifest claims them; without a manifest, as they are.
    pub fn payload(&self) -> BTreeMap<&BundlePath, Option<Sha256>> {
        match &self.manifest {
            Some(m) => m.lines.iter().map(|(p, d)| (p, Some(*d))).collect(),
            None => self.files.iter().filter(|(p, _)| p.top() == "data").map(|(p, f)| (p, f.map(|f| f.0))).collect(),
        }
    }

    pub(super) fn one(&mut self, source: &BagSource, path: &BundlePath, buf: &mut [u8]) -> Digested {
        let mut tap = Tap::of(path);
        if matches!(tap, Tap::Lines(..)) {
            self.begin(path);
        }
        let digested = through(source, path, buf, |piece| match &mut tap {
            Tap::Nothing | Tap::Head => {}
            Tap::Lines(lines, number) => lines.feed(piece, &mut |line| self.line(path, number, line)),
            Tap::Whole(bytes, over) => {
                *over |= bytes.len() + piece.len() > MAX_DOCUMENT;
                if !*over {
                    bytes.extend_from_slice(piece);
                }
            }
        })?;
        match tap {
            Tap::Nothing | Tap::Head => {}
            Tap::Lines(mut lines, mut number) => lines.finish(&mut |line| self.line(path, &mut number, line)),
            Tap::Whole(_, true) => self.trouble(path, None, Strict::Form("it is far longer than such a document can be".into())),
            Tap::Whole(bytes, false) => self.document(path, &bytes),
        }
        Ok(digested)
    }

    /// What was taken in of a file whose bytes turned out to be unreadable is not what it says. Without it nothing is concluded from the part:
    /// the container check has named the file, and that is all that can be known of it.
    fn forget(&mut self, path: &BundlePath) {
        self.troubles.retain(|t| t.path != *path);
        match path.as_str() {
            MANIFEST => self.manifest = None,
            TAG_MANIFEST => self.tag_manifest = None,
            ITEMS => self.items = None,
            ACTIONS => self.changes = None,
            REDACTIONS => self.redactions.clear(),
            SOURCE_MANIFEST => self.source.manifest = None,
            SOURCE_TAG_MANIFEST => self.source.tag_manifest = None,
            _ => {}
        }
    }

    /// Whether some file of this kind lies there and could not be read.
    pub fn unread(&self, kind: impl Fn(&str) -> bool) -> bool {
        self.files.iter().any(|(p, f)| f.is_none() && kind(p.as_str()))
    }

    /// A document made of lines is there, be it empty.
    fn begin(&mut self, path: &BundlePath) {
        match path.as_str() {
            MANIFEST => self.manifest = Some(Manifest::default()),
            TAG_MANIFEST => self.tag_manifest = Some(Manifest::default()),
            ITEMS => self.items = Some(Vec::new()),
            ACTIONS => self.changes = Some(Changes::default()),
            REDACTIONS => {}
            SOURCE_MANIFEST => self.source.manifest = Some(Manifest::default()),
            SOURCE_TAG_MANIFEST => self.source.tag_manifest = Some(Manifest::default()),
            p => self.journal.segments.extend(segment_number(p)),
        }
    }

    fn line(&mut self, path: &BundlePath, number: &mut u64, line: Line<'_>) {
        *number += 1;
        let bytes = match &line {
            Line::Whole { bytes, .. } => Some(*bytes),
            Line::TooLong => None,
        };
        if !self.has_room(path, bytes.map_or(0, <[u8]>::len)) {
            return;
        }
        match path.as_str() {
            MANIFEST => self.manifest.get_or_insert_default().line(bytes),
            TAG_MANIFEST => self.tag_manifest.get_or_insert_default().line(bytes),
            SOURCE_MANIFEST => self.source.manifest.get_or_insert_default().line(bytes),
            SOURCE_TAG_MANIFEST => self.source.tag_manifest.get_or_insert_default().line(bytes),
            REDACTIONS => {
                let line = bytes.ok_or_else(|| Strict::Form("the line is longer than any of ours".into()));
                match line.and_then(|b| strict::<Redaction>(b, None)) {
                    Ok(redaction) => self.redactions.push(redaction),
                    Err(what) => self.trouble(path, Some(*number), what),
                }
            }
            ITEMS => {
                match bytes.ok_or_else(|| Strict::Form("the line is longer than any of ours".into())).and_then(|b| strict::<Item>(b, None))
                {
                    Ok(item) => self.items.get_or_insert_default().push(item),
                    Err(what) => self.trouble(path, Some(*number), what),
                }
            }
            ACTIONS => {
                let event = bytes.and_then(|b| serde_json::from_slice::<JournalLine>(b).ok());
                match (&mut self.changes, event) {
                    (Some(changes), Some(line)) if changes.len() < MAX_CELLS => changes.event(&line.event),
                    _ => self.changes = None,
                }
            }
            _ => {
                if let Err(what) = self.journal.line(path, *number, line) {
                    self.trouble(path, Some(*number), what);
                }
            }
        }
    }

    fn document(&mut self, path: &BundlePath, bytes: &[u8]) {
        let outcome = match path.as_str() {
            BAGIT => {
                self.bagit = Some(TagFile::parse(bytes));
                Ok(())
            }
            BAG_INFO => {
                self.bag_info = Some(TagFile::parse(bytes));
                Ok(())
            }
            COVERAGE => strict(bytes, Some(1)).map(|c| self.coverage = Some(c)),
            STATEMENT => strict(bytes, None).map(|s| self.statement = Some(s)),
            ENVELOPE => strict(bytes, None).map(|e| self.envelope = Some(e)),
            // What they say counts only as far as it agrees with what is here, and the disclosure check tells.
            SOURCE_STATEMENT => {
                self.source.statement = strict(bytes, None).ok();
                self.source.statement_bytes = bytes.to_vec();
                Ok(())
            }
            SOURCE_ENVELOPE => {
                self.source.envelope = strict(bytes, None).ok();
                Ok(())
            }
            SOURCE_KEY | SOURCE_KMS_KEY => {
                self.source.keys.extend(PublicKey::from_pem(bytes).ok());
                Ok(())
            }
            SEALING => strict(bytes, Some(1)).map(|r| self.sealing = Some(r)),
            TIMESTAMP => {
                self.timestamp = Some(timestamp::read(bytes).map_err(|e| with_causes(&e)));
                Ok(())
            }
            // What is no key is the signature check's to report.
            PUBLIC_KEY => {
                self.keys.insert(PUBLIC_KEY, PublicKey::from_pem(bytes).ok());
                Ok(())
            }
            KMS_PUBLIC_KEY => {
                self.keys.insert(KMS_PUBLIC_KEY, PublicKey::from_pem(bytes).ok());
                Ok(())
            }
            p => match addendum_file(p) {
                Some((number, name)) => {
                    self.within.keep(number, name, bytes);
                    Ok(())
                }
                None => strict::<Exchange>(bytes, None).map(|x| self.exchange(path, x)),
            },
        };
        if let Err(what) = outcome {
            self.trouble(path, None, what);
        }
    }

    fn exchange(&mut self, path: &BundlePath, x: Exchange) {
        if self.exchanges.contains_key(&x.id) {
            self.doubled_exchanges.push((x.id, path.clone()));
            return;
        }
        let secret = |name: &str| matches!(name, "authorization" | "x-amz-security-token" | "cookie");
        let header = x.request_headers.iter().map(|h| h.0.to_ascii_lowercase()).find(|n| secret(n));
        let credential = header.or_else(|| x.uri.to_ascii_lowercase().contains("x-amz-signature=").then(|| "X-Amz-Signature".to_string()));
        let fact = ExchangeFact {
            path: path.clone(),
            unit: x.unit,
            status: x.status,
            body: x.body,
            body_bytes: x.body_bytes,
            body_sha256: x.body_sha256,
            sealed: x.sealed,
            credential,
        };
        self.exchanges.insert(x.id, fact);
    }

    fn trouble(&mut self, path: &BundlePath, line: Option<u64>, what: Strict) {
        if self.troubles.len() < MAX_TROUBLES {
            self.troubles.push(Trouble { path: path.clone(), line, what });
        }
    }
}
