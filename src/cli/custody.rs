//! `custody`: the chain of custody of a bundle, and of the case that it lies in.

use super::args::{CustodyArgs, Global};
use super::documents::{Addendum, CustodyDocument};
use super::error::CliError;
use super::render::Screen;
use super::session::screen;
use crate::aws::fault::tame;
use crate::bundle::case_journal::CaseJournal;
use crate::bundle::custody::{self, CustodyEntry};
use crate::bundle::source::BagSource;
use crate::bundle::verify::{SignatureResult, Verdict, Verification, verify};
use crate::clock::SystemClock;
use crate::model::journal_event::JournalEvent;
use crate::model::outcome::Outcome;
use crate::store::dir::DirStore;
use comfy_table::Table;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// More bags than any case has.
const MAX_ADDENDA: usize = 1000;

pub async fn custody(global: &Global, args: CustodyArgs) -> Result<Outcome, CliError> {
    let cannot = |e: crate::bundle::source::OpenError| {
        let (hint, outcome) = (e.hint(), e.outcome());
        CliError::new(format!("cannot read {}", args.bundle.display())).because(e).hint(hint).outcome(outcome)
    };
    let bag = BagSource::open(&args.bundle).map_err(cannot)?;
    let verification = verify(&args.bundle).map_err(cannot)?;
    let own = custody::of_bundle(&bag);
    let case_dir = args.case_dir.clone().or_else(|| beside(&args.bundle));
    let (mut case, mut addenda, mut unread) = (vec![], vec![], None);
    match &case_dir {
        None => {}
        Some(dir) => match journal(dir).await {
            Ok(journal) => {
                case = custody::of_case(&journal.lines());
                addenda = sealed(dir, &journal.events());
            }
            Err(e) if args.case_dir.is_some() => return Err(e),
            Err(e) => unread = Some(format!("{e}: {}", e.causes().join(": "))),
        },
    }
    let document = CustodyDocument {
        v: 1,
        bundle: verification.bundle.clone(),
        kind: verification.kind,
        case: verification.case.clone(),
        target: verification.target.clone(),
        root: verification.root,
        verdict: verification.verdict,
        signatures: verification.signatures.clone(),
        timestamp: verification.timestamp.clone(),
        chain: own,
        case_journal: case_dir.filter(|_| unread.is_none()),
        case_chain: case,
        bundles: addenda,
    };
    let screen = screen(global);
    screen.document(&document);
    show(screen, &document, &verification);
    if let Some(why) = unread {
        screen.remark(&format!("warning: the case journal beside the bundle cannot be read: {}", tame(&why, 500)));
    }
    // A chain that cannot be followed to its end is not told in full.
    Ok(if document.chain.broken.is_some() { Outcome::VerificationFailed } else { Outcome::Complete })
}

/// The case directory that a bundle lies in, if it does.
pub fn beside(bundle: &Path) -> Option<PathBuf> {
    let parent = std::path::absolute(bundle).ok()?.parent()?.to_path_buf();
    parent.join("journal").is_dir().then_some(parent)
}

async fn journal(dir: &Path) -> Result<CaseJournal, CliError> {
    let broken = |e: Box<dyn std::error::Error + Send + Sync>| CliError::new("cannot read the case journal").because(e);
    if !dir.join("journal").is_dir() {
        return Err(CliError::new(format!("there is no case in {}", dir.display())).outcome(Outcome::Usage));
    }
    let store = DirStore::open(dir).map_err(|e| broken(e.into()))?;
    CaseJournal::open(Arc::new(store), Arc::new(SystemClock::new()), "").await.map_err(|e| broken(e.into()))
}

/// Every bundle that the case sealed, in order, with what it says of itself where it lies there still.
fn sealed(dir: &Path, events: &[JournalEvent]) -> Vec<Addendum> {
    let bundles = events.iter().filter_map(|e| match e {
        JournalEvent::Sealed { bundle, root, .. } => Some((bundle, *root)),
        _ => None,
    });
    let one = |(bundle, root): (&String, _)| {
        // The journal is a stranger's word: a name that leads out of the directory is nobody's bundle.
        let named = crate::model::path::BundlePath::parse(bundle).is_ok_and(|p| p.top() == bundle);
        let found = named.then(|| verify(&dir.join(format!("{bundle}.zip"))).ok()).flatten();
        let signed = found.iter().flat_map(|v| &v.signatures).filter(|s| s.result == SignatureResult::Holds).map(|s| s.key);
        Addendum {
            bundle: tame(bundle, 240),
            root,
            kind: found.as_ref().and_then(|v| v.kind),
            verdict: found.as_ref().map(|v| v.verdict),
            same_root: found.as_ref().map(|v| v.root == Some(root)),
            signed_by: signed.collect(),
            time: found.and_then(|v| v.timestamp).map(|t| t.time),
        }
    };
    bundles.take(MAX_ADDENDA).map(one).collect()
}

fn show(screen: Screen, d: &CustodyDocument, v: &Verification) {
    screen.text(&format!("bundle {}", tame(&d.bundle, 240)));
    screen.text(&format!("case {} · {}", d.case.as_deref().unwrap_or("–"), tame(d.target.as_deref().unwrap_or("–"), 300)));
    if let Some(root) = d.root {
        screen.text(&format!("root {root} · {}", d.verdict.as_str()));
    }
    for s in v.signatures.iter().filter(|s| s.result == SignatureResult::Holds) {
        screen.text(&format!("signed by {}{}", s.key, s.arn.as_deref().map(|a| format!(" ({a})")).unwrap_or_default()));
    }
    if v.signatures.is_empty() {
        screen.text("not signed");
    }
    if let Some(t) = &d.timestamp {
        screen.text(&format!("stamped {} (the authority's certificate was not looked at)", t.time));
    }
    screen.text("\nHow it came to be");
    table(screen, &d.chain.entries);
    if let Some(why) = &d.chain.broken {
        screen.text(&format!("THE CHAIN BREAKS HERE: {}", tame(why, 500)));
    }
    if !d.case_chain.is_empty() {
        screen.text("\nThe case's journal");
        table(screen, &d.case_chain);
    }
    if !d.bundles.is_empty() {
        screen.text("\nBundles of the case");
        for b in &d.bundles {
            let state = match (b.verdict, b.same_root) {
                (None, _) => "is not there".to_string(),
                (Some(_), Some(false)) => "IS NOT THE ONE THAT WAS SEALED: its root is another".to_string(),
                (Some(verdict), _) => verdict.as_str().to_string(),
            };
            let kind = b.kind.map(|k| format!("{k:?}").to_lowercase()).unwrap_or_else(|| "–".into());
            screen.text(&format!("  {} · {kind} · {state}\n    root {}", b.bundle, b.root));
            match &b.signed_by[..] {
                [] if b.verdict.is_some() => screen.text("    not signed"),
                keys => keys.iter().for_each(|k| screen.text(&format!("    signed by {k}"))),
            }
        }
    }
    screen.remark("\nThis tells; `freezeframe verify` proves.");
    if v.verdict == Verdict::Broken {
        screen.remark("The bundle is broken: freezeframe verify says in what.");
    }
}

fn table(screen: Screen, entries: &[CustodyEntry]) {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header(["when", "who", "what", "from"]);
    for e in entries {
        table.add_row([&e.t, &e.who, &e.what, &e.from].map(|text| tame(text, 600)));
    }
    screen.text(&table.trim_fmt());
}
