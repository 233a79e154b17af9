//! Pace: for each shared limit of an account and Region, so many calls in any window of time. An investigation must not throttle the production
//! it protects, so by default we take at most half of what AWS gives (`evidence-inventory.md`, rates).
//!
//! A window and no drip: whoever has few questions asks them at once. And a hard bound, not an average: the calls of any one second are never
//! more than the limit's, wherever that second begins.

use crate::clock::Clock;
use crate::model::call::Service;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// So many calls within any window so long.
struct Limit {
    bucket: &'static str,
    calls: usize,
    within: Duration,
}

/// A second, and what the time between a turn and its call may vary by: late ones must not meet those of the next window.
const SECOND: Duration = Duration::from_millis(1060);
const HALF_SECOND: Duration = Duration::from_millis(530);

/// The limits of AWS that we know, and our share.
fn limit(service: Service, operation: &str) -> Limit {
    let limit = |bucket, calls, within| Limit { bucket, calls, within };
    match (service, operation) {
        // 100/s of its own (Lambda quotas), so generous.
        (Service::Lambda, "GetFunction") => limit("lambda:GetFunction", 25, SECOND),
        // 15/s of its own.
        (Service::Lambda, "GetPolicy") => limit("lambda:GetPolicy", 7, SECOND),
        // Everything else of the control plane shares 15/s with production deploys.
        (Service::Lambda, _) => limit("lambda:control-plane", 7, SECOND),
        // 2/s per account and Region, shared with every other user of LookupEvents: three quarters, one after the other.
        (Service::Cloudtrail, "LookupEvents") => limit("cloudtrail:LookupEvents", 1, Duration::from_nanos(666_666_666)),
        // 10/s for all Get, Describe and List calls together (CloudTrail user guide, quotas); LookupEvents is not of them.
        (Service::Cloudtrail, _) => limit("cloudtrail", 5, SECOND),
        (Service::Logs, _) => limit("logs", 5, SECOND),
        // DOUBT(aws): IAM publishes no limits; ten a second have been good manners, and small bursts.
        (Service::Iam, _) => limit("iam", 5, HALF_SECOND),
        _ => limit("other", 10, HALF_SECOND),
    }
}

#[derive(Debug)]
pub struct Pace {
    clock: Arc<dyn Clock>,
    /// (bucket, Region) → monotonic nanoseconds of the latest turns, as many as one window holds.
    turns: Mutex<HashMap<(&'static str, String), VecDeque<u64>>>,
}

impl Pace {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Pace { clock, turns: Mutex::default() }
    }

    /// Wait for this call's turn. Turns are handed out in the order of asking, so nobody starves. Cancel safe: a turn that was given up is
    /// merely lost.
    pub async fn turn(&self, service: Service, operation: &str, region: &str) {
        let now = self.clock.monotonic_ns();
        let wait = self.take(service, operation, region, now).saturating_sub(now);
        if wait > 0 {
            self.clock.sleep(Duration::from_nanos(wait)).await;
        }
    }

    /// So many more calls than turns were made: the SDK repeats what was throttled or broke off without asking us. Those who come later wait
    /// for them.
    pub fn owe(&self, service: Service, operation: &str, region: &str, calls: usize) {
        let now = self.clock.monotonic_ns();
        for _ in 0..calls {
            self.take(service, operation, region, now);
        }
    }

    /// The earliest time, not before `now`, at which the window that ends there has room; taken with the asking.
    fn take(&self, service: Service, operation: &str, region: &str, now: u64) -> u64 {
        let Limit { bucket, calls, within } = limit(service, operation);
        let within = u64::try_from(within.as_nanos()).unwrap_or(u64::MAX);
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = turns.entry((bucket, region.to_string())).or_default();
        let after_last = taken.back().copied().unwrap_or_default().max(now);
        let turn = match taken.front() {
            Some(oldest) if taken.len() >= calls => after_last.max(oldest.saturating_add(within)),
            _ => after_last,
        };
        if taken.len() >= calls {
            taken.pop_front();
        }
        taken.push_back(turn);
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::FakeClock;

    fn pace() -> (Arc<FakeClock>, Pace) {
        let clock = Arc::new(FakeClock::at("2026-11-20T12:00:00Z").unwrap());
        (clock.clone(), Pace::new(clock))
    }

    #[tokio::test]
    async fn cloudtrail_keeps_its_interval_in_each_region() {
        let (clock, pace) = pace();
        for _ in 0..4 {
            pace.turn(Service::Cloudtrail, "LookupEvents", "eu-west-1").await;
        }
        // The first goes at once, three more at 1.5/s.
        assert_eq!(clock.monotonic_ns() / 1_000_000, 1999, "three intervals of 666 ms");
        pace.turn(Service::Cloudtrail, "LookupEvents", "us-east-1").await;
        assert_eq!(clock.monotonic_ns() / 1_000_000, 1999, "another Region has its own bucket");
        pace.turn(Service::Cloudtrail, "DescribeTrails", "eu-west-1").await;
        assert_eq!(clock.monotonic_ns() / 1_000_000, 1999, "trails are not read at the rate of LookupEvents");
    }

    #[tokio::test]
    async fn no_second_holds_more_than_half_of_the_control_plane() {
        let (clock, pace) = pace();
        let mut sent = vec![];
        for (n, operation) in ["ListAliases", "GetFunctionConcurrency"].into_iter().cycle().take(60).enumerate() {
            pace.turn(Service::Lambda, operation, "eu-west-1").await;
            sent.push(clock.monotonic_ns());
            // Whoever is busy in between saves nothing up.
            clock.sleep(Duration::from_millis(n as u64 % 7 * 40)).await;
        }
        let within = |at: usize, ns: u64| sent[at..].iter().take_while(|t| **t < sent[at] + ns).count();
        assert_eq!((0..sent.len()).map(|at| within(at, 1_000_000_000)).max(), Some(7), "of 15");
    }

    #[tokio::test]
    async fn few_questions_are_asked_at_once() {
        let (clock, pace) = pace();
        for _ in 0..7 {
            pace.turn(Service::Lambda, "ListAliases", "eu-west-1").await;
        }
        assert_eq!(clock.monotonic_ns(), 0);
        pace.turn(Service::Lambda, "ListAliases", "eu-west-1").await;
        assert_eq!(clock.monotonic_ns(), 1_060_000_000);
    }

    #[tokio::test]
    async fn repeated_calls_are_paid_for_by_those_that_come_later() {
        let (clock, pace) = pace();
        pace.turn(Service::Lambda, "ListAliases", "eu-west-1").await;
        pace.owe(Service::Lambda, "ListAliases", "eu-west-1", 6);
        assert_eq!(clock.monotonic_ns(), 0, "nobody waits for what has been sent");
        pace.turn(Service::Lambda, "ListTags", "eu-west-1").await;
        assert_eq!(clock.monotonic_ns(), 1_060_000_000, "the eighth");
    }
}
