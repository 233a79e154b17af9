//! What lies in a place where cases are kept, a directory or a bucket: cases, their bundles, what they hold. Read, and never verified: `verify`
//! does that.
//!
//! It asks the store for names, for each case's journal and for each bundle's statement, and nothing else. What cannot be read is said.

use super::log::open_cells;
use crate::archive::ArchiveRecord;
use crate::aws::fault::{tame, tame_error};
use crate::bundle::case_journal::CaseJournal;
use crate::bundle::documents::{BundleKind, Statement};
use crate::bundle::seal::STATEMENT;
use crate::bundle::source::BagSource;
use crate::clock::Clock;
use crate::model::digest::Sha256;
use crate::model::id::CaseId;
use crate::model::journal_event::JournalEvent;
use crate::model::path::BundlePath;
use crate::store::within::Within;
use crate::store::{Store, StoreError};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// `list --json`
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Listing {
    /// Version of this form: 1.
    pub v: u32,
    pub place: String,
    pub cases: Vec<ListedCase>,
}

/// Whether a case has changed AWS, by its journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It never changed anything.
    Untouched,
    /// It holds cells that it did not put back.
    Contained,
    /// Everything that it changed was put back.
    Restored,
    /// Its journal cannot be read, or is not here.
    Unknown,
}

impl Standing {
    pub const fn as_str(self) -> &'static str {
        match self {
            Standing::Untouched => "untouched",
            Standing::Contained => "contained",
            Standing::Restored => "restored",
            Standing::Unknown => "unknown",
        }
    }
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ListedCase {
    pub case: String,
    pub standing: Standing,
    /// The cells that it holds.
    pub held: Vec<String>,
    pub bundles: Vec<ListedBundle>,
    /// What could not be read, and why.
    pub unread: Vec<String>,
}

/// How far a bundle came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Never sealed: a draft, or an archive that was cut off.
    Unsealed,
    /// Sealed, and its run did not come to its end.
    Unfinished,
    Sealed,
    /// Sealed, and the record of its archive lies here.
    Archived,
}

impl State {
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Unsealed => "unsealed",
            State::Unfinished => "unfinished",
            State::Sealed => "sealed",
            State::Archived => "archived",
        }
    }
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ListedBundle {
    pub name: String,
    /// A zip, or file by file.
    pub zip: bool,
    pub state: State,
    /// What follows is the statement's word; absent where it is not here or cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<BundleKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sealed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gaps: Option<u64>,
    /// As the case journal has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<Sha256>,
    /// Where the case journal says that it was archived.
    pub archived_to: Vec<String>,
    /// Of the newest archive record here: what S3 did not do although it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shortfalls: Option<u64>,
}

/// Names of one case, below its folder.
#[derive(Default)]
struct Names<'k> {
    journal: bool,
    zips: BTreeSet<&'k str>,
    /// Bundle → its files.
    bags: BTreeMap<&'k str, BTreeSet<&'k str>>,
}

/// Everything below the store's root. `disk` is where that is, where it is a directory: a zip can be opened there.
pub async fn list(store: Arc<dyn Store>, disk: Option<&Path>, clock: Arc<dyn Clock>) -> Result<Listing, StoreError> {
    let keys = store.list("").await?;
    let mut cases: BTreeMap<&str, Names> = BTreeMap::new();
    for key in &keys {
        let Some((case, rest)) = key.split_once('/') else { continue };
        if case.parse::<CaseId>().is_err() {
            continue;
        }
        let names = cases.entry(case).or_default();
        match rest.split_once('/') {
            Some(("journal", _)) => names.journal = true,
            // What a bag has at its top, so that a folder of something else is no bundle.
            Some((bundle, file)) if file == "bagit.txt" || ["data/", "meta/", "seal/"].iter().any(|top| file.starts_with(top)) => {
                names.bags.entry(bundle).or_default().insert(file);
            }
            Some(_) => {}
            None => names.zips.extend(rest.strip_suffix(".zip")),
        }
    }
    let mut listed = vec![];
    for (case, names) in cases {
        if names.journal || !names.zips.is_empty() || !names.bags.is_empty() {
            listed.push(one_case(&store, disk, &clock, case, &names).await?);
        }
    }
    Ok(Listing { v: 1, place: store.describe(), cases: listed })
}

async fn one_case(
    store: &Arc<dyn Store>,
    disk: Option<&Path>,
    clock: &Arc<dyn Clock>,
    case: &str,
    names: &Names<'_>,
) -> Result<ListedCase, StoreError> {
    let mut listed = ListedCase { case: case.into(), standing: Standing::Unknown, held: vec![], bundles: vec![], unread: vec![] };
    let mut events = vec![];
    if names.journal {
        let within: Arc<dyn Store> = Arc::new(Within::new(store.clone(), case)?);
        match CaseJournal::open(within, clock.clone(), "").await {
            Ok(journal) => {
                events = journal.events();
                let open = open_cells(&events);
                let changed = events.iter().any(|e| matches!(e, JournalEvent::Intent { .. } | JournalEvent::AlreadyContained { .. }));
                listed.standing = match (open.is_empty(), changed) {
                    (false, _) => Standing::Contained,
                    (true, true) => Standing::Restored,
                    (true, false) => Standing::Untouched,
                };
                listed.held = open.iter().map(|o| tame(&o.cell.0, 300)).collect();
            }
            Err(e) => listed.unread.push(format!("the case journal: {}", tame_error(&e, 400))),
        }
    } else {
        listed.unread.push("there is no case journal here, so what the case holds is not known".into());
    }
    for (name, files) in &names.bags {
        let mut bundle = blank(name, false, &events);
        if files.contains(STATEMENT) {
            match statement(store, case, name).await {
                Ok(s) => state(&mut bundle, s),
                Err(why) => listed.unread.push(format!("the statement of {name}: {why}")),
            }
        }
        let record = files.iter().filter(|f| f.starts_with("seal/addenda/") && f.ends_with("/archive.json")).max();
        if let Some(record) = record {
            match document::<ArchiveRecord>(store, &format!("{case}/{name}/{record}")).await {
                Ok(r) => {
                    bundle.shortfalls = Some(r.shortfalls.len() as u64);
                    if bundle.state == State::Sealed {
                        bundle.state = State::Archived;
                    }
                }
                Err(why) => listed.unread.push(format!("the archive record of {name}: {why}")),
            }
        }
        listed.bundles.push(bundle);
    }
    for name in &names.zips {
        let mut bundle = blank(name, true, &events);
        match disk.map(|root| of_zip(&root.join(case).join(format!("{name}.zip")))) {
            Some(Ok(s)) => state(&mut bundle, s),
            Some(Err(why)) => listed.unread.push(format!("{name}.zip: {why}")),
            // A zip in a bucket is not opened; the journal knows whether it was sealed.
            None if bundle.root.is_some() => bundle.state = State::Sealed,
            None => {}
        }
        listed.bundles.push(bundle);
    }
    Ok(listed)
}

fn blank(name: &str, zip: bool, events: &[JournalEvent]) -> ListedBundle {
    let root = events.iter().find_map(|e| match e {
        JournalEvent::Sealed { bundle, root, .. } if bundle == name => Some(*root),
        _ => None,
    });
    let archived_to = events.iter().filter_map(|e| match e {
        JournalEvent::Transfer { bundle, to, .. } if bundle == name => Some(tame(to, 600)),
        _ => None,
    });
    let archived_to: BTreeSet<String> = archived_to.collect();
    ListedBundle {
        name: name.into(),
        zip,
        state: State::Unsealed,
        kind: None,
        target: None,
        sealed: None,
        items: None,
        gaps: None,
        root,
        archived_to: archived_to.into_iter().collect(),
        shortfalls: None,
    }
}

fn state(bundle: &mut ListedBundle, statement: Statement) {
    let p = statement.predicate;
    bundle.state = if p.finished { State::Sealed } else { State::Unfinished };
    bundle.kind = Some(p.kind);
    bundle.target = Some(tame(&p.target.arn, 300));
    bundle.sealed = Some(tame(&p.sealed, 40));
    (bundle.items, bundle.gaps) = (Some(p.items), Some(p.gaps));
}

async fn statement(store: &Arc<dyn Store>, case: &str, name: &str) -> Result<Statement, String> {
    document(store, &format!("{case}/{name}/{STATEMENT}")).await
}

async fn document<T: serde::de::DeserializeOwned>(store: &Arc<dyn Store>, key: &str) -> Result<T, String> {
    match store.get(key).await {
        Ok(Some(bytes)) => serde_json::from_slice(&bytes).map_err(|e| tame(&e.to_string(), 300)),
        Ok(None) => Err("it was there, and is gone".into()),
        Err(e) => Err(tame_error(&e, 400)),
    }
}

fn of_zip(path: &Path) -> Result<Statement, String> {
    let said = |e: &(dyn std::error::Error + 'static)| tame_error(e, 400);
    let bag = BagSource::open(path).map_err(|e| said(&e))?;
    let at = BundlePath::parse(STATEMENT).map_err(|e| said(&e))?;
    let bytes = bag.read_small(&at, 1 << 20).map_err(|e| said(&e))?;
    serde_json::from_slice(&bytes).map_err(|e| said(&e))
}
