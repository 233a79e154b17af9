//! How calls waited for each other, from the exchange records of a bundle alone.
//!
//! An exchange lasts from `sent` until `took_ms` later. B *follows* A when B was sent no sooner than A had ended: only then can B have needed
//! what A answered. The **longest chain** is the most exchanges that can be put in a row so that each follows the one before. It counts every
//! dependence there was, and every wait that was none (for a turn of a token bucket, or for a free place): an upper bound of the round trips
//! that the questions themselves force. The **critical path** is the row that ends with the exchange that ended last: before each stands the
//! one that had ended last when it was sent. What lies between two of its members was spent without a call.

use freezeframe::bundle::source::{BagSource, EntryName};
use freezeframe::model::exchange::Exchange;
use std::path::Path;

/// One exchange as an interval, in milliseconds since the first was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    pub from: i64,
    pub to: i64,
    pub unit: String,
    pub service: String,
    pub operation: String,
    pub region: String,
}

/// The exchanges of a bundle, in the order in which they were sent.
pub fn spans(bundle: &Path) -> Vec<Span> {
    let bag = BagSource::open(bundle).unwrap();
    let paths = bag.files().iter().filter_map(|f| match &f.name {
        EntryName::Path(path) if path.as_str().ends_with(".http.json") => Some(path),
        _ => None,
    });
    let exchanges: Vec<Exchange> = paths.map(|path| serde_json::from_slice(&bag.read_small(path, 1 << 20).unwrap()).unwrap()).collect();
    of(&exchanges)
}

fn of(exchanges: &[Exchange]) -> Vec<Span> {
    let sent = |x: &Exchange| chrono::DateTime::parse_from_rfc3339(&x.sent).unwrap().timestamp_millis();
    let first = exchanges.iter().map(sent).min().unwrap_or_default();
    let mut spans: Vec<Span> = exchanges
        .iter()
        .map(|x| Span {
            from: sent(x) - first,
            to: sent(x) - first + i64::try_from(x.took_ms).unwrap(),
            unit: x.unit.clone(),
            service: x.service.clone(),
            operation: x.operation.clone(),
            region: x.region.clone(),
        })
        .collect();
    spans.sort_by_key(|s| (s.from, s.to));
    spans
}

/// The most spans of which each follows the one before: the greedy choice of the earliest end is the longest.
pub fn longest<'s>(spans: impl IntoIterator<Item = &'s Span>) -> Vec<&'s Span> {
    let mut by_end: Vec<&Span> = spans.into_iter().collect();
    by_end.sort_by_key(|s| (s.to, s.from));
    let mut chain: Vec<&Span> = vec![];
    for span in by_end {
        if chain.last().is_none_or(|last| span.from >= last.to) {
            chain.push(span);
        }
    }
    chain
}

/// The row that ends with what ended last; and the milliseconds in it without a call.
pub fn critical<'s>(spans: impl IntoIterator<Item = &'s Span>) -> (Vec<&'s Span>, i64) {
    let mut by_end: Vec<&Span> = spans.into_iter().collect();
    by_end.sort_by_key(|s| (s.to, s.from));
    let mut path = vec![];
    let mut idle = 0;
    let mut at = by_end.len().checked_sub(1);
    while let Some(n) = at {
        let span = by_end[n];
        path.push(span);
        // Among those that ended together the one that began last: it is the nearest to what came next.
        at = by_end[..n].iter().rposition(|s| s.to <= span.from);
        idle += span.from - at.map_or(0, |before| by_end[before].to);
    }
    path.reverse();
    (path, idle)
}

/// The most sent within any window of so many milliseconds.
pub fn busiest<'s>(spans: impl IntoIterator<Item = &'s Span>, window: i64) -> usize {
    let mut sent: Vec<i64> = spans.into_iter().map(|s| s.from).collect();
    sent.sort_unstable();
    (0..sent.len()).map(|at| sent[at..].iter().take_while(|t| **t < sent[at] + window).count()).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(intervals: &[(i64, i64)]) -> Vec<Span> {
        let span = |(n, (from, to)): (usize, &(i64, i64))| Span {
            from: *from,
            to: *to,
            unit: "u".into(),
            service: "S".into(),
            operation: n.to_string(),
            region: "r".into(),
        };
        intervals.iter().enumerate().map(span).collect()
    }

    fn names(chain: &[&Span]) -> String {
        chain.iter().map(|s| s.operation.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_ran_side_by_side_is_no_chain() {
        let side_by_side = spans(&[(0, 50), (1, 51), (2, 52)]);
        assert_eq!(longest(&side_by_side).len(), 1);
        let (path, idle) = critical(&side_by_side);
        assert_eq!((names(&path), idle), ("2".to_string(), 2));
    }

    #[test]
    fn the_longest_chain_is_not_always_the_critical_path() {
        // Four short ones in a row beside two long ones, of which the second ends last.
        let mixed = spans(&[(0, 10), (10, 20), (25, 30), (30, 40), (0, 60), (70, 200)]);
        assert_eq!(names(&longest(&mixed)), "0 1 2 3 5");
        let (path, idle) = critical(&mixed);
        assert_eq!((names(&path), idle), ("4 5".to_string(), 10));
    }

    #[test]
    fn nothing_and_points_in_time_end() {
        assert!(longest(&[]).is_empty());
        assert!(critical(&[]).0.is_empty());
        // Shorter than a millisecond, at once: each follows the other, and the walk back still ends.
        let points = spans(&[(5, 5), (5, 5), (5, 5)]);
        assert_eq!(longest(&points).len(), 3);
        assert!(critical(&points).0.len() <= 3);
    }

    #[test]
    fn the_busiest_window_is_found_wherever_it_lies() {
        let sent = spans(&[(0, 1), (900, 901), (1000, 1001), (1899, 1900), (1900, 1901)]);
        assert_eq!(busiest(&sent, 1000), 3);
        assert_eq!(busiest(&sent, 1), 1);
        assert_eq!(busiest(&[], 1000), 0);
    }
}
