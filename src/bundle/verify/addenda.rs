//! Addenda against the bundle and against each other: no number is missing, each names the one before, each statement is about the document that
//! lies with it, and every signature holds. Unsigned is told, wrong is an error.
//!
//! What it cannot see: that the last ones were taken away. The case journal names them (`transfer`), and so does whoever was given a copy.

use super::Check;
use super::documents::{Strict, strict};
use super::facts::{Facts, TAG_MANIFEST};
use super::findings::{Findings, Level, remedy, shown};
use super::signatures::{self, MAX_SIGNATURES, SignatureCheck, SignatureResult};
use crate::bundle::addenda::{
    self, AddendumKind, AddendumStatement, ENVELOPE, KMS_PUBLIC_KEY, MAX_AROUND, MAX_NUMBER, PREDICATE_TYPE, PUBLIC_KEY, SEALING,
    STATEMENT, WITHIN, beside,
};
use crate::bundle::documents::STATEMENT_TYPE;
use crate::bundle::dsse::{Envelope, PAYLOAD_TYPE};
use crate::bundle::keys::PublicKey;
use crate::bundle::signer::{Ended, SealingRecord};
use crate::model::digest::{self, Sha256};
use crate::store::disk;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Statements, envelopes and keys of all addenda together; ours have a few kilobytes each.
const MAX_KEPT: usize = 64 << 20;
/// More files than any addendum has.
const MAX_FILES: usize = 64;

const ASK_WRITER: &str = "Ask who may write there. The bundle itself is not touched by it: its own checks say what it is worth.";
const UNFINISHED: &str = "Whoever began it was killed, or somebody took its statement away: a later addendum that does not list it among \
                          `unfinished` says which. What lies in it is nobody's word.";
const COMPARE_KEY: &str = "Compare that fingerprint with the one that its operator gave you by another way, and demand it with `--key`.";
const UNSIGNED: &str = "Whoever may write there could have written it. Compare with the case journal, which names its document.";

/// What an addendum says, and whether that stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AddendumCheck {
    pub number: u32,
    /// Its folder, from the bundle's own directory or beside it.
    pub path: String,
    pub kind: AddendumKind,
    /// UTC, RFC 3339, by the clock of whoever made it.
    pub at: String,
    pub operator: String,
    /// SHA-256 of its document as it lies there.
    pub document: Option<Sha256>,
    /// SHA-256 of its statement.
    pub statement: Sha256,
    pub signatures: Vec<SignatureCheck>,
    /// No finding of level error is about it.
    pub stands: bool,
}

/// Number and file name of a path below `seal/addenda/`.
pub fn addendum_file(path: &str) -> Option<(u32, &str)> {
    let (folder, name) = path.strip_prefix(WITHIN)?.split_once('/')?;
    Some((addenda::number(folder)?, name))
}

/// The addenda of one place, as they were found.
#[derive(Debug, Default)]
pub struct Gathered {
    /// What their paths begin with.
    at: String,
    numbers: BTreeMap<u32, Folder>,
    kept: usize,
    /// Why not all of them were read.
    unread: Option<String>,
}

#[derive(Debug, Default)]
struct Folder {
    /// Digests as read; none where a file could not be.
    files: BTreeMap<String, Option<Sha256>>,
    /// What is no document, whole.
    around: BTreeMap<String, Vec<u8>>,
}

/// What was found of them.
#[derive(Debug, Default)]
pub struct Judged {
    pub told: Vec<AddendumCheck>,
    findings: Vec<(Level, String, String, &'static str)>,
}

impl Gathered {
    pub fn wants(name: &str) -> bool {
        matches!(name, STATEMENT | ENVELOPE | PUBLIC_KEY | KMS_PUBLIC_KEY | SEALING)
    }

    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty() && self.unread.is_none()
    }

    /// The bytes of a file that is wanted.
    pub fn keep(&mut self, number: u32, name: &str, bytes: &[u8]) {
        self.kept += bytes.len();
        if bytes.len() as u64 > MAX_AROUND || self.kept > MAX_KEPT {
            self.unread = Some("they hold more than such files can hold; what came after that was not looked at".into());
            return;
        }
        self.numbers.entry(number).or_default().around.insert(name.into(), bytes.to_vec());
    }

    pub fn file(&mut self, number: u32, name: &str, digest: Option<Sha256>) {
        if self.at.is_empty() {
            self.at = WITHIN.into();
        }
        self.numbers.entry(number).or_default().files.insert(name.into(), digest);
    }

    /// Those in a directory; none where there is no such directory.
    pub fn beside(place: &Path) -> Gathered {
        let name = place.file_name().unwrap_or_default().to_string_lossy();
        let mut all = Gathered { at: format!("{name}/"), ..Gathered::default() };
        let numbers = beside::numbers(place).unwrap_or_else(|e| {
            all.unread = Some(format!("they could not be listed: {e}"));
            vec![]
        });
        for number in numbers {
            let folder = place.join(addenda::folder(number));
            all.numbers.entry(number).or_default();
            let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
            for name in entries.take(MAX_FILES).map(|e| e.file_name().to_string_lossy().into_owned()) {
                let at = folder.join(&name);
                if Gathered::wants(&name) {
                    let bytes = disk::read_bounded(&at, MAX_AROUND).ok().flatten();
                    all.file(number, &name, bytes.as_deref().map(Sha256::of));
                    if let Some(bytes) = &bytes {
                        all.keep(number, &name, bytes);
                    }
                } else {
                    // A link or a device in a document's place is not followed.
                    let plain = fs::symlink_metadata(&at).is_ok_and(|m| m.is_file());
                    let read = plain.then(|| fs::File::open(&at).and_then(digest::of_reader).ok()).flatten();
                    all.file(number, &name, read.map(|(sha256, _)| sha256));
                }
            }
        }
        all
    }

    pub fn judge(self, facts: &Facts) -> Judged {
        let mut judged = Judged::default();
        if let Some(why) = &self.unread {
            judged.say(Level::Error, self.at.clone(), why.clone(), ASK_WRITER);
        }
        let last = self.numbers.keys().next_back().copied().unwrap_or_default();
        if last > MAX_NUMBER {
            judged.say(Level::Error, self.at.clone(), format!("it has a number {last}: more than any bundle has"), ASK_WRITER);
            return judged;
        }
        for number in (1..last).filter(|n| !self.numbers.contains_key(n)) {
            let what = "its number is missing between others: it was taken away".to_string();
            judged.say(Level::Error, self.path(number), what, remedy::OTHER_COPY);
        }
        let mut before: BTreeMap<u32, Sha256> = BTreeMap::new();
        for (number, folder) in &self.numbers {
            judged.one(facts, *number, &self.path(*number), folder, &before);
            if let Some(statement) = folder.files.get(STATEMENT).copied().flatten() {
                before.insert(*number, statement);
            }
        }
        judged
    }

    fn path(&self, number: u32) -> String {
        format!("{}{}/", self.at, addenda::folder(number))
    }
}

impl Judged {
    fn say(&mut self, level: Level, path: String, what: String, remedy: &'static str) {
        self.findings.push((level, path, what, remedy));
    }

    fn one(&mut self, facts: &Facts, number: u32, path: &str, folder: &Folder, before: &BTreeMap<u32, Sha256>) {
        let begun = self.findings.len();
        let at = |name: &str| format!("{path}{name}");
        let Some(bytes) = folder.around.get(STATEMENT) else {
            let what = "it was begun, and has no statement that can be read: it did not come to its end".to_string();
            return self.say(Level::Warn, path.into(), what, UNFINISHED);
        };
        let Some(statement) = self.parsed::<AddendumStatement>(&at(STATEMENT), bytes) else { return };
        let (said, sha256) = (&statement.predicate, Sha256::of(bytes));
        if statement.kind != STATEMENT_TYPE || statement.predicate_type != PREDICATE_TYPE {
            let what = format!("it is a `{}` of `{}`, which this build does not know", statement.kind, statement.predicate_type);
            return self.say(Level::Error, at(STATEMENT), what, remedy::NEWER_BUILD);
        }
        let own = facts.statement.as_ref().map(|s| &s.predicate);
        let root = facts.digest(TAG_MANIFEST);
        if root.is_some_and(|r| r != said.root) || own.is_some_and(|p| (&p.case, &p.bundle) != (&said.case, &said.bundle)) {
            let what =
                format!("it is about bundle `{}` of case `{}` with the root {}, and this is another", said.bundle, said.case, said.root);
            self.say(Level::Error, at(STATEMENT), what, ASK_WRITER);
        }
        if said.number != number {
            let what = format!("it was made as number {}, and lies under {number}", said.number);
            self.say(Level::Error, at(STATEMENT), what, ASK_WRITER);
        }
        let previous = before.iter().rev().find(|(n, _)| !said.unfinished.contains(n)).map(|(_, s)| *s).or(root);
        if previous.is_some_and(|p| p != said.previous) {
            let found = previous.map(|p| p.to_string()).unwrap_or_default();
            let what = format!("it names {} as the one before it, and that is {found}: one was replaced or taken away", said.previous);
            self.say(Level::Error, at(STATEMENT), what, remedy::OTHER_COPY);
        }
        let document = self.document(&statement, path, folder);
        let signatures = self.signatures(facts, &statement, bytes, path, folder);
        let known = |name: &str| Gathered::wants(name) || name == said.kind.document();
        for name in folder.files.keys().filter(|n| !known(n)).take(MAX_FILES) {
            self.say(Level::Warn, at(name), "no addendum has such a file, and no statement speaks of it".into(), ASK_WRITER);
        }
        self.told.push(AddendumCheck {
            number,
            path: shown(path, 240),
            kind: said.kind,
            at: shown(&said.at, 40),
            operator: shown(&said.operator, 240),
            document,
            statement: sha256,
            signatures,
            stands: !self.findings[begun..].iter().any(|f| f.0 == Level::Error),
        });
    }

    /// The digest of what lies there, and whether the statement is about it.
    fn document(&mut self, statement: &AddendumStatement, path: &str, folder: &Folder) -> Option<Sha256> {
        let name = statement.predicate.kind.document();
        let at = format!("{path}{name}");
        let stated = match &statement.subject[..] {
            [one] if one.name == name => one.digest.get("sha256"),
            _ => None,
        };
        let found = folder.files.get(name).copied();
        match (stated, found) {
            (None, _) => {
                let what = format!("its subject is not the SHA-256 of {name}, alone");
                self.say(Level::Error, format!("{path}{STATEMENT}"), what, ASK_WRITER);
            }
            (_, None) => self.say(Level::Error, at, "the statement is about it, and it is not there".into(), remedy::OTHER_COPY),
            (_, Some(None)) => self.say(Level::Error, at, "it cannot be read".into(), remedy::OTHER_COPY),
            (Some(stated), Some(Some(found))) if *stated == found.to_string() => {}
            (Some(stated), Some(Some(found))) => {
                let what = format!("its bytes were changed: the statement names {stated}, and it has {found}");
                self.say(Level::Error, at, what, remedy::OTHER_COPY);
            }
        }
        found.flatten()
    }

    fn signatures(&mut self, facts: &Facts, s: &AddendumStatement, bytes: &[u8], path: &str, folder: &Folder) -> Vec<SignatureCheck> {
        let at = |name: &str| format!("{path}{name}");
        let envelope = folder.around.get(ENVELOPE).and_then(|b| self.parsed::<Envelope>(&at(ENVELOPE), b));
        let record = folder.around.get(SEALING).and_then(|b| self.parsed::<SealingRecord>(&at(SEALING), b));
        let mut keys = vec![];
        for name in [PUBLIC_KEY, KMS_PUBLIC_KEY] {
            match folder.around.get(name).map(|b| PublicKey::from_pem(b)) {
                None => {}
                Some(Ok(key)) => keys.push(key),
                Some(Err(_)) => {
                    self.say(Level::Error, at(name), "it is no public key of P-256 in PEM".into(), remedy::OTHER_COPY);
                }
            }
        }
        let signers = &s.predicate.signers;
        let keys: Vec<&PublicKey> = keys.iter().collect();
        let checked = envelope.as_ref().map(|e| signatures::of(e, signers, &facts.demanded, &keys)).unwrap_or_default();
        if let Some(envelope) = &envelope {
            let mut seen = BTreeSet::new();
            let twice = envelope.signatures.iter().take(MAX_SIGNATURES).any(|s| !seen.insert(s.keyid));
            if envelope.payload_type != PAYLOAD_TYPE || envelope.payload().as_deref() != Some(bytes) {
                let what = "what was signed is not the statement that lies beside it".to_string();
                self.say(Level::Error, at(ENVELOPE), what, remedy::OTHER_COPY);
            }
            if twice || envelope.signatures.is_empty() || envelope.signatures.len() > MAX_SIGNATURES {
                let what = format!("it has no signature, two of one key, or more than {MAX_SIGNATURES}");
                self.say(Level::Error, at(ENVELOPE), what, remedy::OTHER_COPY);
            }
        }
        for c in &checked {
            let whose = match &c.arn {
                Some(arn) => format!("the KMS key {arn}, {}", c.key),
                None => format!("the key {}", c.key),
            };
            let stated = signers.iter().any(|k| k.key == Some(c.key));
            match c.result {
                SignatureResult::DoesNotHold => {
                    self.say(Level::Error, at(ENVELOPE), format!("the signature of {whose} is wrong"), remedy::OTHER_COPY);
                }
                SignatureResult::NoKey => {
                    let what = format!("it has a signature of {whose}, whose public half lies neither here nor was given");
                    self.say(Level::Error, at(ENVELOPE), what, "Give the public key: `--key FILE`.");
                }
                SignatureResult::Holds if !stated => {
                    self.say(Level::Warn, at(ENVELOPE), format!("it is signed by {whose}, which its statement does not name"), ASK_WRITER);
                }
                SignatureResult::Holds if c.demanded => {}
                SignatureResult::Holds => {
                    self.say(Level::Info, at(ENVELOPE), format!("signed by {whose}, which you must compare"), COMPARE_KEY);
                }
            }
        }
        for signer in signers.iter().filter(|k| !checked.iter().any(|c| Some(c.key) == k.key)) {
            let ended = record.iter().flat_map(|r| &r.signatures).find(|e| e.signer == *signer);
            match ended.filter(|e| e.ended == Ended::Failed) {
                Some(end) => {
                    let why = end.detail.as_deref().unwrap_or("the reason was not noted");
                    self.say(Level::Warn, at(STATEMENT), format!("{} was to sign it, and could not: {why}", signer.name()), UNSIGNED);
                }
                None => {
                    let what = format!("{} was to sign it, and its signature is not here: it was taken away", signer.name());
                    self.say(Level::Error, at(STATEMENT), what, remedy::OTHER_COPY);
                }
            }
        }
        let holds = |c: &SignatureCheck| c.result == SignatureResult::Holds;
        if signers.is_empty() && envelope.is_none() && !folder.files.contains_key(ENVELOPE) {
            let level = if facts.demanded.is_empty() { Level::Info } else { Level::Warn };
            self.say(level, at(STATEMENT), "unsigned: it is the word of whoever could write it there".into(), UNSIGNED);
        } else if !facts.demanded.is_empty() && !checked.iter().any(|c| c.demanded && holds(c)) {
            // What somebody else did to the bundle later, he signs: that does not make the bundle another.
            self.say(Level::Warn, at(STATEMENT), "it is signed by none of the keys that were asked for".into(), ASK_WRITER);
        }
        checked
    }

    fn parsed<T: DeserializeOwned + Serialize>(&mut self, path: &str, bytes: &[u8]) -> Option<T> {
        let what = match strict(bytes, Some(1)) {
            Ok(parsed) => return Some(parsed),
            Err(Strict::Form(what)) => what,
            Err(Strict::Version(v)) => format!("it is of version {v} of its form, which this build does not know"),
        };
        self.say(Level::Error, path.into(), what, ASK_WRITER);
        None
    }
}

pub struct Addenda;

impl Check for Addenda {
    fn id(&self) -> &'static str {
        "addenda"
    }
    fn title(&self) -> &'static str {
        "the addenda are a chain without holes, each about its own document, each signature right"
    }
    fn run(&self, facts: &Facts, out: &mut Findings) {
        for (level, path, what, remedy) in facts.addenda.iter().flat_map(|j| &j.findings) {
            out.add(*level, Some(path), what, remedy);
        }
    }
}
