//! Sealed originals: each twin that is listed lies here redacted, and its original beside it, encrypted. What is in an original nobody can tell
//! without an identity (`freezeframe unseal` shows it).

use super::Check;
use super::facts::{Facts, REDACTIONS, STATEMENT};
use super::findings::{Findings, Level, remedy};
use super::journal_reader::segment_number;
use crate::bundle::opening::original_name;
use crate::bundle::secrets::{COMMITMENT_KEY, SEALED, WRAPPED_IDENTITY, sealed_path};
use crate::model::digest::Sha256;
use crate::model::item::FileRef;
use crate::model::journal_event::JournalEvent;
use crate::model::path::BundlePath;
use std::collections::{BTreeMap, BTreeSet};

pub struct Secrets;

const OPEN: &str = "Whoever holds an identity opens them: freezeframe unseal, or age -d.";

impl Check for Secrets {
    fn id(&self) -> &'static str {
        "secrets"
    }
    fn title(&self) -> &'static str {
        "every redacted file is listed, with its original sealed beside it"
    }
    fn run(&self, facts: &Facts, out: &mut Findings) {
        if !facts.sealed() && !facts.has(REDACTIONS) {
            return; // it is written when the bag is sealed
        }
        let payload = facts.payload();
        let nothing = BTreeMap::new();
        // A disclosed copy has no originals; its source's manifest lists them.
        let source = facts.source.manifest.as_ref().map_or(&nothing, |m| &m.lines);
        let is_copy = facts.is_disclosure();
        let listed = |file: &FileRef| payload.get(&file.path).copied().flatten() == Some(file.sha256);
        let sealed_listed = |file: &FileRef| if is_copy { source.get(&file.path) == Some(&file.sha256) } else { listed(file) };
        // A line that is not of its form might have told of what is missing from the others; schema or container has reported it.
        let known = !facts.has_trouble(REDACTIONS) && !facts.unread(|p| p == REDACTIONS);
        let mut named: BTreeSet<&str> = BTreeSet::from([COMMITMENT_KEY]);
        // Where a run died before its line about a file was in the bucket, the item that says so names the original.
        named.extend(of_items(facts));
        for r in &facts.redactions {
            let (twin, sealed) = (r.twin.path.as_str(), r.sealed.path.as_str());
            named.insert(sealed);
            if !listed(&r.twin) {
                out.add(
                    facts.absence(),
                    Some(REDACTIONS),
                    format!("it says that `{twin}` is a redacted twin, and no such file lies here"),
                    remedy::ASK_MAKER,
                );
            }
            if !sealed.starts_with(SEALED) || !sealed_listed(&r.sealed) {
                let what = format!("it says that the original of `{twin}` is `{sealed}`, and no such file lies here");
                out.add(facts.absence(), Some(REDACTIONS), what, remedy::ASK_MAKER);
            }
            let lies_with = |file: &FileRef| !facts.files.get(&file.path).is_some_and(|f| f.is_some_and(|(_, bytes)| bytes != file.bytes));
            let original = BundlePath::parse(original_name(&r.twin.path)).and_then(|p| sealed_path(&p));
            if original.ok().as_ref() != Some(&r.sealed.path) || !lies_with(&r.twin) || !lies_with(&r.sealed) {
                let what = format!("what it says of `{twin}` and `{sealed}` does not go together: their names, or how long they are");
                out.add(facts.absence(), Some(REDACTIONS), what, remedy::ASK_MAKER);
            }
            if let Some(at) = facts.unredacted.get(&r.twin.path) {
                let what = format!("no redaction stands where {REDACTIONS} lists one: {at}");
                out.add(facts.absence(), Some(twin), what, remedy::ASK_MAKER);
            }
        }
        if !facts.redactions.is_sorted_by(|a, b| a.twin.path < b.twin.path) {
            out.add(facts.absence(), Some(REDACTIONS), "its lines are not in the order of their twins, each once", remedy::ASK_MAKER);
        }
        for (path, is_age) in &facts.sealed {
            if known && !named.contains(path.as_str()) {
                let what = "nothing says of which file it is the original";
                out.add(facts.absence(), Some(path.as_str()), what, remedy::ASK_MAKER);
            }
            if !is_age {
                out.add(facts.absence(), Some(path.as_str()), "it is no file of age, so it is not sealed", remedy::ASK_MAKER);
            }
        }
        let key = BundlePath::parse(COMMITMENT_KEY).ok();
        let has_key = key.is_some_and(|k| if is_copy { source.contains_key(&k) } else { payload.contains_key(&k) });
        if !facts.redactions.is_empty() && !has_key {
            out.add(
                facts.absence(),
                Some(COMMITMENT_KEY),
                "it is missing: no leaked value could be compared with what is redacted",
                remedy::ASK_MAKER,
            );
        }
        if known {
            exchanges(facts, out);
            journal(facts, out);
            statement(facts, is_copy, out);
        }
    }
}

/// An exchange that says that its body is sealed, and the list, speak of the same.
fn exchanges(facts: &Facts, out: &mut Findings) {
    let sealed: BTreeMap<&str, &str> = facts.redactions.iter().map(|r| (r.twin.path.as_str(), r.sealed.path.as_str())).collect();
    let of_items: BTreeSet<&str> = of_items(facts).collect();
    for x in facts.exchanges.values() {
        let unlisted = x.body.as_ref().is_none_or(|b| !sealed.contains_key(b.as_str()));
        if unlisted && x.sealed.as_ref().is_some_and(|s| of_items.contains(s.as_str())) {
            continue;
        }
        let body = x.body.as_ref().map(|b| b.as_str());
        if x.sealed.as_ref().map(|s| s.as_str()) != body.and_then(|b| sealed.get(b)).copied() {
            let what = format!("what it says of its sealed body is not what {REDACTIONS} says");
            out.add(facts.absence(), Some(x.path.as_str()), what, remedy::ASK_MAKER);
        }
    }
}

/// Sealed originals that items name.
fn of_items(facts: &Facts) -> impl Iterator<Item = &str> {
    let files = facts.items.iter().flatten().flat_map(|i| &i.files).map(|f| f.path.as_str());
    files.filter(|path| path.starts_with(SEALED))
}

/// What the journal tells of redactions is what is listed.
fn journal(facts: &Facts, out: &mut Findings) {
    // A line that is not of its form, or cannot be read, may be the one that tells; schema or container has reported it.
    let is_segment = |p: &str| segment_number(p).is_some();
    if facts.unread(is_segment) || facts.troubles.iter().any(|t| is_segment(t.path.as_str())) {
        return;
    }
    let listed: BTreeSet<(&str, Sha256)> = facts.redactions.iter().map(|r| (r.twin.path.as_str(), r.sealed.sha256)).collect();
    let told = facts.journal.events.iter().filter_map(|e| match e {
        JournalEvent::Redact { twin, sealed, .. } => Some((twin.path.as_str(), sealed.sha256)),
        _ => None,
    });
    let told: BTreeSet<(&str, Sha256)> = told.collect();
    if told != listed {
        let what = format!("it lists {} redactions, and the journal tells of {}, or of others", listed.len(), told.len());
        out.add(facts.absence(), Some(REDACTIONS), what, remedy::ASK_MAKER);
    }
}

fn statement(facts: &Facts, is_copy: bool, out: &mut Findings) {
    let Some(statement) = &facts.statement else { return };
    let (count, stated) = (facts.redactions.len() as u64, statement.predicate.secrets.as_ref());
    if stated.map_or(0, |s| s.sealed) != count {
        let what = format!("it says that {} originals are sealed, and {count} are listed", stated.map_or(0, |s| s.sealed));
        out.error(Some(STATEMENT), what, remedy::ASK_MAKER);
    }
    let Some(stated) = stated.filter(|_| !is_copy) else { return };
    let kms = stated.kms_key.as_deref();
    if kms.is_some() && !facts.has(WRAPPED_IDENTITY) {
        out.warn(Some(WRAPPED_IDENTITY), "it is missing: the KMS key that the statement names opens nothing here", remedy::OTHER_COPY);
    }
    let whom: Vec<&str> = stated.recipients.iter().map(String::as_str).chain(kms).collect();
    out.add(Level::Info, Some(REDACTIONS), format!("{count} originals are sealed for {}", whom.join(", ")), OPEN);
}
