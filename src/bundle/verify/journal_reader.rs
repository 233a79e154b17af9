//! Follows the hash chain through the journal's segments while they pass, and keeps the events that other checks compare with.

use super::documents::{Strict, strict};
use super::lines::Line;
use crate::model::canon;
use crate::model::digest::Sha256;
use crate::model::journal_event::{JournalEvent, JournalLine};
use crate::model::path::BundlePath;

/// Where the journal and its own chain disagree.
#[derive(Debug)]
pub struct Break {
    pub segment: BundlePath,
    pub line: u64,
    pub what: String,
    /// A last line without its newline: what a killed process leaves.
    pub torn: bool,
}

#[derive(Debug)]
pub struct JournalFacts {
    /// Segment numbers in the order read.
    pub segments: Vec<u64>,
    pub breaks: Vec<Break>,
    /// SHA-256 of the last line's bytes; `ZERO` where there is none.
    pub head: Sha256,
    pub count: u64,
    pub events: Vec<JournalEvent>,
    next_seq: u64,
}

impl Default for JournalFacts {
    fn default() -> Self {
        JournalFacts { segments: vec![], breaks: vec![], head: Sha256::ZERO, count: 0, events: vec![], next_seq: 1 }
    }
}

/// `meta/journal/000001.jsonl` → 1. Only the written form counts: six digits or more, none spare.
pub fn segment_number(path: &str) -> Option<u64> {
    let digits = path.strip_prefix("meta/journal/")?.strip_suffix(".jsonl")?;
    let n: u64 = digits.parse().ok()?;
    (n > 0 && digits == format!("{n:06}")).then_some(n)
}

impl JournalFacts {
    /// One line, in order. An error is about its form; breaks of the chain are kept here.
    pub fn line(&mut self, segment: &BundlePath, number: u64, line: Line<'_>) -> Result<(), Strict> {
        self.count += 1;
        let (bytes, ended) = match line {
            Line::Whole { bytes, ended } => (bytes, ended),
            Line::TooLong => {
                self.next_seq += 1;
                self.head = Sha256::ZERO;
                return Err(Strict::Form("the line is longer than any of ours".into()));
            }
        };
        if !ended {
            self.break_at(segment, number, "the last line does not end: it was cut off, or its newline was removed".into(), true);
        }
        let (expected_prev, expected_seq) = (self.head, self.next_seq);
        self.head = Sha256::of(bytes);
        self.next_seq = expected_seq + 1;
        let parsed: JournalLine = strict(bytes, Some(1))?;
        if parsed.prev != expected_prev {
            let what = format!(
                "`prev` is {}, yet the line before has the digest {expected_prev}: lines were changed, removed or moved before this one",
                parsed.prev
            );
            self.break_at(segment, number, what, false);
        }
        if parsed.seq != expected_seq {
            self.break_at(segment, number, format!("`seq` is {} where {expected_seq} comes next", parsed.seq), false);
        }
        self.next_seq = parsed.seq.saturating_add(1);
        let canonical = canon::to_vec("journal line", &parsed).map_err(|e| Strict::Form(e.to_string()))?;
        self.events.push(parsed.event);
        if canonical != bytes {
            return Err(Strict::Form("it is no canonical JSON (RFC 8785), so that its digest is not of what it says".into()));
        }
        Ok(())
    }

    fn break_at(&mut self, segment: &BundlePath, line: u64, what: String, torn: bool) {
        if self.breaks.len() < 200 {
            self.breaks.push(Break { segment: segment.clone(), line, what, torn });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::segment_number;

    #[test]
    fn only_the_written_form_is_a_segment() {
        assert_eq!(segment_number("meta/journal/000012.jsonl"), Some(12));
        assert_eq!(segment_number("meta/journal/1234567.jsonl"), Some(1_234_567));
        for bad in [
            "meta/journal/12.jsonl",
            "meta/journal/0000012.jsonl",
            "meta/journal/000000.jsonl",
            "meta/journal/x.jsonl",
            "journal/000001.jsonl",
        ] {
            assert_eq!(segment_number(bad), None, "{bad}");
        }
    }
}
