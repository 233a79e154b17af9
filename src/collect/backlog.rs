//! What the searches of CloudTrail still have before them, all collectors together: they share one rate in each Region, so none of them alone
//! knows how long it will take. Pure counting; `lookup_events.rs` makes the searches and says the line.
//!
//! What it never does: hold a search back. The pace does that (`aws::pace`).

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Our share of the rate, as `aws::pace` has it: LookupEvents gives two requests a second for a whole account and Region.
pub(super) const PER_SECOND: f64 = 1.5;

/// A line is worth saying so often.
const SAY_EVERY_NS: u64 = 10_000_000_000;

#[derive(Debug, Default)]
pub struct Backlog(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// By Region.
    ahead: BTreeMap<String, Ahead>,
    said_at_ns: Option<u64>,
}

#[derive(Debug, Default)]
struct Ahead {
    /// Searches that wait for their turn.
    waiting: u32,
    /// Pages that each begun search is thought to have before it.
    begun: BTreeMap<u64, u32>,
    next: u64,
}

impl Ahead {
    fn searches(&self) -> u64 {
        u64::from(self.waiting) + self.begun.len() as u64
    }
    /// A search that waits has one page at least.
    fn pages(&self) -> u64 {
        u64::from(self.waiting) + self.begun.values().map(|p| u64::from(*p)).sum::<u64>()
    }
}

/// A search that has begun; forgotten when it ends, however it ends.
pub(super) struct Begun<'b> {
    backlog: &'b Backlog,
    region: String,
    number: u64,
}

impl Backlog {
    fn state(&self) -> MutexGuard<'_, State> {
        // Whoever panicked left numbers for an estimate, no evidence.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many searches will be made in this Region.
    pub(super) fn expect(&self, region: &str, searches: usize) {
        let more = u32::try_from(searches).unwrap_or(u32::MAX);
        let mut state = self.state();
        let ahead = state.ahead.entry(region.to_string()).or_default();
        ahead.waiting = ahead.waiting.saturating_add(more);
    }

    /// One of them begins.
    pub(super) fn begin(&self, region: &str) -> Begun<'_> {
        let mut state = self.state();
        let ahead = state.ahead.entry(region.to_string()).or_default();
        ahead.waiting = ahead.waiting.saturating_sub(1);
        let number = ahead.next;
        ahead.next += 1;
        ahead.begun.insert(number, 1);
        Begun { backlog: self, region: region.to_string(), number }
    }

    /// The line, if something takes long and nothing was said of it lately.
    pub(super) fn line(&self, now_ns: u64) -> Option<String> {
        let mut state = self.state();
        if state.said_at_ns.is_some_and(|at| now_ns.saturating_sub(at) < SAY_EVERY_NS) {
            return None;
        }
        let busy: Vec<&Ahead> = state.ahead.values().filter(|a| a.pages() > 0).collect();
        // Each Region has a rate of its own: the longest queue decides.
        let longest = busy.iter().map(|a| a.pages()).max().unwrap_or_default();
        let searches: u64 = busy.iter().map(|a| a.searches()).sum();
        let regions = busy.len();
        // What is over in a moment needs no words.
        if longest < 3 {
            return None;
        }
        state.said_at_ns = Some(now_ns);
        let seconds = (longest as f64 / PER_SECOND).ceil();
        let time = if seconds < 120.0 { format!("{seconds:.0} s") } else { format!("{:.0} min", seconds / 60.0) };
        let places = if regions == 1 { "1 Region".to_string() } else { format!("{regions} Regions") };
        let plural = if searches == 1 { "search" } else { "searches" };
        Some(format!("LookupEvents: {searches} {plural} to go in {places}, about {time} at {PER_SECOND} requests a second in each"))
    }
}

impl Begun<'_> {
    /// So many pages are thought to come.
    pub(super) fn pages_ahead(&self, pages: u32) {
        if let Some(own) = self.backlog.state().ahead.get_mut(&self.region).and_then(|a| a.begun.get_mut(&self.number)) {
            *own = pages;
        }
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        if let Some(ahead) = self.backlog.state().ahead.get_mut(&self.region) {
            ahead.begun.remove(&self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn the_longest_queue_tells_how_long_it_will_take() {
        let backlog = Backlog::default();
        assert_eq!(backlog.line(0), None, "nothing to do");
        backlog.expect("us-east-1", 30);
        backlog.expect("eu-west-1", 3);
        let line = backlog.line(0).unwrap();
        assert_eq!(line, "LookupEvents: 33 searches to go in 2 Regions, about 20 s at 1.5 requests a second in each");
        assert_eq!(backlog.line(9 * SECOND), None, "said just now");
        {
            let begun = backlog.begin("eu-west-1");
            begun.pages_ahead(600);
            let line = backlog.line(10 * SECOND).unwrap();
            assert!(line.contains("33 searches to go in 2 Regions, about 7 min"), "{line}");
        }
        let line = backlog.line(20 * SECOND).unwrap();
        assert!(line.contains("32 searches") && line.contains("20 s"), "an ended search is forgotten: {line}");
    }

    #[test]
    fn what_is_over_in_a_moment_needs_no_words() {
        let backlog = Backlog::default();
        backlog.expect("us-east-1", 2);
        assert_eq!(backlog.line(0), None);
        drop((backlog.begin("us-east-1"), backlog.begin("us-east-1"), backlog.begin("us-east-1")));
        assert_eq!(backlog.line(0), None, "more begun than expected does no harm");
    }
}
