//! The journal against items and exchanges: nothing stored that was not journalled, nothing journalled that is not there.

use super::Check;
use super::facts::{Facts, STATEMENT};
use super::findings::{Findings, remedy};
use crate::bundle::documents::BundleKind;
use crate::model::id::{ExchangeId, ItemId};
use crate::model::item::ItemStatus;
use crate::model::journal_event::JournalEvent;
use std::collections::BTreeMap;

pub struct Custody;

const JOURNAL: Option<&str> = Some("meta/journal/");

impl Check for Custody {
    fn id(&self) -> &'static str {
        "custody"
    }
    fn title(&self) -> &'static str {
        "the journal tells of every item and exchange, as they are"
    }
    fn run(&self, facts: &Facts, out: &mut Findings) {
        // Where journal lines were unreadable their events are unknown, and so is what they would have told; schema has reported them.
        let whole = !facts.troubles.iter().any(|t| t.path.as_str().starts_with("meta/"));
        let Some(items) = facts.items.as_ref().filter(|_| whole && !facts.journal.events.is_empty()) else { return };
        ends(facts, items.len(), out);
        changes(facts, out);

        let mut stored: BTreeMap<ItemId, ItemStatus> = BTreeMap::new();
        let mut sent: BTreeMap<ExchangeId, (Option<u16>, Option<_>)> = BTreeMap::new();
        for event in &facts.journal.events {
            let twice = match event {
                JournalEvent::ItemStored { item, status, .. } => stored.insert(*item, *status).map(|_| item.to_string()),
                JournalEvent::Req { exchange, status, sha256, .. } => {
                    sent.insert(*exchange, (*status, *sha256)).map(|_| exchange.to_string())
                }
                _ => None,
            };
            if let Some(id) = twice {
                out.add(facts.absence(), JOURNAL, format!("it tells of {id} twice"), remedy::ASK_MAKER);
            }
        }
        for item in items {
            match stored.remove(&item.id) {
                None => {
                    out.add(facts.absence(), JOURNAL, format!("it does not tell of item {} ({})", item.id, item.subject), remedy::ASK_MAKER)
                }
                Some(status) if status == item.status => {}
                Some(status) => {
                    let what = format!("it says `{}` of item {}, and the item says `{}`", status.as_str(), item.id, item.status.as_str());
                    out.add(facts.absence(), JOURNAL, what, remedy::ASK_MAKER);
                }
            }
        }
        for id in stored.keys() {
            out.add(facts.absence(), JOURNAL, format!("it tells of item {id}, which is not there: it was taken away"), remedy::ASK_MAKER);
        }
        for (id, x) in &facts.exchanges {
            match sent.remove(id) {
                None => out.add(
                    facts.absence(),
                    Some(x.path.as_str()),
                    format!("the journal does not tell of exchange {id}"),
                    remedy::ASK_MAKER,
                ),
                Some((status, digest)) if status == x.status && digest.is_none_or(|d| Some(d) == x.body_sha256) => {}
                Some(_) => {
                    let what = format!("the journal gives another status or digest for exchange {id} than its record");
                    out.add(facts.absence(), Some(x.path.as_str()), what, remedy::ASK_MAKER);
                }
            }
        }
        let unparsed = facts.troubles.len(); // records that schema has reported cannot be looked up here
        for id in sent.keys().take(if unparsed > 0 { 0 } else { usize::MAX }) {
            out.add(
                facts.absence(),
                JOURNAL,
                format!("it tells of exchange {id}, of which there is no record: it was taken away"),
                remedy::ASK_MAKER,
            );
        }
    }
}

/// The first line opens this very bundle, and the last seals it with the numbers that the statement gives.
fn ends(facts: &Facts, items: usize, out: &mut Findings) {
    let Some(stated) = facts.statement.as_ref().map(|s| &s.predicate) else { return };
    match facts.journal.events.first() {
        Some(JournalEvent::BundleOpen { case, run, bundle, .. }) => {
            // A disclosed copy has its source's journal.
            let own = match (stated.kind, &stated.previous) {
                (BundleKind::Disclosure, Some(source)) => &source.bundle,
                _ => &stated.bundle,
            };
            if (case.as_str(), run, bundle) != (stated.case.as_str(), &stated.run, own) {
                let what = format!("it was opened for bundle `{bundle}` of case `{case}`, and the statement is about another");
                out.add(facts.absence(), JOURNAL, what, remedy::ASK_MAKER);
            }
        }
        _ => out.add(facts.absence(), JOURNAL, "its first line does not open a bundle", remedy::ASK_MAKER),
    }
    match facts.journal.events.last() {
        Some(JournalEvent::Seal { items: sealed, gaps, finished }) => {
            if (*sealed, *gaps, *finished) != (stated.items, stated.gaps, stated.finished) || *sealed != items as u64 {
                let what =
                    format!("it was sealed with {sealed} items, {gaps} gaps, finished {finished}; that is not what is here and stated");
                out.add(facts.absence(), JOURNAL, what, remedy::ASK_MAKER);
            }
        }
        // A journal cut short is the chain's to report.
        _ if facts.journal.count != stated.journal_count => {}
        _ => out.add(facts.absence(), Some(STATEMENT), "the journal's last line is not the sealing", remedy::ASK_MAKER),
    }
}

/// What the statement says of containment is what the run's lines of the case journal say.
fn changes(facts: &Facts, out: &mut Findings) {
    let Some(stated) = facts.statement.as_ref().and_then(|s| s.predicate.containment.as_ref()) else { return };
    let told = facts.changes.as_ref().map(|c| c.to_vec());
    if told.as_ref() != Some(stated) {
        let word = |n: Option<usize>| n.map_or("nothing that can be read".to_string(), |n| format!("{n} cells"));
        let what = format!(
            "it says how {} ended, and the journal's lines tell otherwise ({})",
            word(Some(stated.len())),
            word(told.as_ref().map(Vec::len))
        );
        out.add(facts.absence(), Some(STATEMENT), what, remedy::ASK_MAKER);
    }
}
