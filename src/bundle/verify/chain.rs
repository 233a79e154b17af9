//! The journal's hash chain: no line changed, removed, added or moved, and its end is where the statement says.

use super::Check;
use super::facts::{Facts, STATEMENT};
use super::findings::{Findings, Level, remedy};
use super::journal_reader::segment_number;

pub struct Chain;

impl Check for Chain {
    fn id(&self) -> &'static str {
        "chain"
    }
    fn title(&self) -> &'static str {
        "the journal's hash chain has no break, and ends where the statement says"
    }
    fn run(&self, facts: &Facts, out: &mut Findings) {
        let journal = &facts.journal;
        if let Some((at, found)) = (1u64..).zip(&journal.segments).find(|(want, found)| want != *found) {
            let what = format!("journal segment {at:06} is missing: {found:06} comes next");
            out.error(Some("meta/journal/"), what, remedy::OTHER_COPY);
        }
        // A chain with a link that cannot be read, or was not, ends there, wherever it is.
        if facts.unread(|p| segment_number(p).is_some()) || facts.rooms.journal.full {
            return;
        }
        for b in &journal.breaks {
            // A killed process leaves its last line torn; a sealed bundle cannot have one.
            let level = if b.torn && !facts.sealed() { Level::Warn } else { Level::Error };
            out.add(level, Some(b.segment.as_str()), format!("line {}: {}", b.line, b.what), remedy::OTHER_COPY);
        }
        let Some(stated) = facts.statement.as_ref().map(|s| &s.predicate) else { return };
        if journal.segments.is_empty() {
            return; // layout says that there is none
        }
        if stated.journal_count != journal.count {
            let what =
                format!("it states {} journal lines, and there are {}: lines were cut off or added", stated.journal_count, journal.count);
            out.error(Some(STATEMENT), what, remedy::OTHER_COPY);
        } else if stated.journal_head != journal.head {
            let what = format!("it states the journal's head {}, and the last line has {}", stated.journal_head, journal.head);
            out.error(Some(STATEMENT), what, remedy::OTHER_COPY);
        }
    }
}
