//! The chain of custody as a person reads it: who did what, when, and which line says so. From a bundle's own journal, from the lines of the
//! case journal that a bag of containment or restore carries, and from the case's journal itself where it lies at hand.
//!
//! What it never does: prove anything (that is `verify`'s), or leave out a line: what it puts together it counts.

mod words;

use super::chain::{self, ChainHead, MAX_LINE};
use super::changes::ACTIONS;
use super::source::{BagSource, EntryName};
use crate::model::journal_event::{JournalEvent, JournalLine};
use crate::model::path::BundlePath;
use schemars::JsonSchema;
use serde::Serialize;

/// Longer segments are none of ours.
const MAX_SEGMENT: u64 = 64 << 20;
/// More lines than any case has.
const MAX_LINES: usize = 500_000;

/// One step of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CustodyEntry {
    /// UTC, RFC 3339, by the clock of whoever acted.
    pub t: String,
    /// Of the last line, where several are told as one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// As AWS STS said, once it had been asked.
    pub who: String,
    pub what: String,
    /// The line that says so: file and number in a bundle, number in the case's journal.
    pub from: String,
    /// How many lines are told as this one.
    pub lines: u64,
}

/// What a bundle's own journals tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Custody {
    pub entries: Vec<CustodyEntry>,
    /// Why reading ended before the end: from there on nothing is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken: Option<String>,
}

/// How it was acquired, and what was changed.
pub fn of_bundle(bag: &BagSource) -> Custody {
    let mut teller = Teller::default();
    let mut head = ChainHead::START;
    for (path, number) in files(bag, |p| p.as_str().starts_with("meta/journal/")) {
        let told = lines(bag, &path).and_then(|lines| {
            for (n, bytes) in (1..).zip(&lines) {
                let line = chain::follow(&mut head, bytes).map_err(|e| format!("line {n}: {e}"))?;
                // What happened to the cells stands between the last exchange and the seal.
                if matches!(line.event, JournalEvent::Seal { .. }) {
                    teller.changes(bag);
                }
                teller.line(&line, || format!("{}:{n}", path.as_str()))?;
            }
            Ok(())
        });
        if let Err(why) = told {
            teller.custody.broken = Some(format!("meta/journal/{number}: {why}"));
            break;
        }
    }
    teller.done()
}

/// What the case's journal tells.
pub fn of_case(lines: &[JournalLine]) -> Vec<CustodyEntry> {
    let mut teller = Teller::default();
    for line in lines.iter().take(MAX_LINES) {
        // Bounded above, so it cannot refuse.
        let _ = teller.line(line, || format!("journal line {}", line.seq));
    }
    teller.done().entries
}

#[derive(Default)]
struct Teller {
    custody: Custody,
    lines: usize,
    /// What is being counted.
    group: Option<Group>,
}

#[derive(Default)]
struct Group {
    entry: Option<CustodyEntry>,
    requests: u64,
    items: u64,
    gaps: u64,
}

impl Teller {
    fn line(&mut self, line: &JournalLine, from: impl Fn() -> String) -> Result<(), String> {
        self.lines += 1;
        if self.lines > MAX_LINES {
            return Err(format!("it has more than {MAX_LINES} lines"));
        }
        let entry = |what: String| CustodyEntry { t: line.t.clone(), until: None, who: line.actor.clone(), what, from: from(), lines: 1 };
        let counted = match &line.event {
            JournalEvent::Req { .. } => (1, 0, 0),
            JournalEvent::ItemStored { .. } => (0, 1, 0),
            JournalEvent::Gap { .. } => (0, 0, 1),
            JournalEvent::Redact { .. } => (0, 0, 0),
            other => {
                self.close();
                self.custody.entries.push(entry(words::of(other)));
                return Ok(());
            }
        };
        if self.group.as_ref().is_some_and(|g| g.entry.as_ref().is_some_and(|e| e.who != line.actor)) {
            self.close();
        }
        let group = self.group.get_or_insert_default();
        let told = group.entry.get_or_insert_with(|| CustodyEntry { lines: 0, ..entry(String::new()) });
        told.lines += 1;
        told.until = Some(line.t.clone());
        group.requests += counted.0;
        group.items += counted.1;
        group.gaps += counted.2;
        Ok(())
    }

    fn close(&mut self) {
        let Some(Group { entry: Some(entry), requests, items, gaps }) = self.group.take() else { return };
        let what = words::acquired(requests, items, gaps);
        self.custody.entries.push(CustodyEntry { what, ..entry });
    }

    /// The run's own lines of the case journal: not a chain by themselves, for another run's may stand between them.
    fn changes(&mut self, bag: &BagSource) {
        for (path, _) in files(bag, |p| p.as_str() == ACTIONS) {
            self.close();
            let Ok(lines) = lines(bag, &path) else { continue };
            for (n, bytes) in (1..).zip(&lines) {
                if let Ok(line) = serde_json::from_slice::<JournalLine>(bytes)
                    && self.line(&line, || format!("{}:{n}", path.as_str())).is_err()
                {
                    return;
                }
            }
        }
    }

    fn done(mut self) -> Custody {
        self.close();
        self.custody
    }
}

/// Paths that are wanted, in the order of their names, with the last part of each.
fn files(bag: &BagSource, wanted: impl Fn(&BundlePath) -> bool) -> Vec<(BundlePath, String)> {
    let paths = bag.files().iter().filter_map(|f| match &f.name {
        EntryName::Path(path) if wanted(path) => Some(path.clone()),
        _ => None,
    });
    let mut all: Vec<_> = paths.map(|p| (p.clone(), p.as_str().rsplit('/').next().unwrap_or_default().to_string())).collect();
    all.sort();
    all
}

fn lines(bag: &BagSource, path: &BundlePath) -> Result<Vec<Vec<u8>>, String> {
    let bytes = bag.read_small(path, MAX_SEGMENT).map_err(|e| e.to_string())?;
    let lines: Vec<Vec<u8>> = bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(<[u8]>::to_vec).collect();
    if lines.iter().any(|l| l.len() > MAX_LINE) {
        return Err("a line is longer than any of ours".into());
    }
    Ok(lines)
}
