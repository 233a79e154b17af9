//! Pace: token buckets, one for each shared limit of an account and Region. An investigation must not throttle the production it protects,
//! so by default we take at most half of what AWS gives (`evidence-inventory.md`, rates).

use crate::clock::Clock;
use crate::model::call::Service;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The limits of AWS that we know, and our share.
fn per_second(service: Service, operation: &str) -> (&'static str, f64) {
    match (service, operation) {
        // 100/s of its own (Lambda quotas), so generous.
        (Service::Lambda, "GetFunction") => ("lambda:GetFunction", 25.0),
        // 15/s of its own.
        (Service::Lambda, "GetPolicy") => ("lambda:GetPolicy", 7.5),
        // Everything else of the control plane shares 15/s with production deploys.
        (Service::Lambda, _) => ("lambda:control-plane", 7.5),
        // 2/s per account and Region, shared with every other user of LookupEvents.
        (Service::Cloudtrail, "LookupEvents") => ("cloudtrail:LookupEvents", 1.5),
        // Get, Describe and List: 10/s (CloudTrail quotas).
        (Service::Cloudtrail, _) => ("cloudtrail", 5.0),
        (Service::Logs, _) => ("logs", 5.0),
        (Service::Iam, _) => ("iam", 10.0),
        _ => ("other", 20.0),
    }
}

#[derive(Debug)]
pub struct Pace {
    clock: Arc<dyn Clock>,
    /// (bucket, Region) → monotonic nanoseconds at which the next call may go.
    next: Mutex<HashMap<(&'static str, String), u64>>,
}

impl Pace {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Pace { clock, next: Mutex::default() }
    }

    /// Wait for this call's turn. Turns are handed out in the order of asking, so nobody starves. Cancel safe: a turn that was given up is
    /// merely lost.
    pub async fn turn(&self, service: Service, operation: &str, region: &str) {
        let (bucket, rate) = per_second(service, operation);
        let gap_ns = (1e9 / rate) as u64;
        let now = self.clock.monotonic_ns();
        let wait = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let at = next.entry((bucket, region.to_string())).or_insert(0);
            let turn = (*at).max(now);
            *at = turn + gap_ns;
            turn - now
        };
        if wait > 0 {
            self.clock.sleep(Duration::from_nanos(wait)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::FakeClock;

    #[tokio::test]
    async fn cloudtrail_keeps_its_interval_in_each_region() {
        let clock = Arc::new(FakeClock::at("2026-11-20T12:00:00Z").unwrap());
        let pace = Pace::new(clock.clone());
        for _ in 0..4 {
            pace.turn(Service::Cloudtrail, "LookupEvents", "eu-west-1").await;
        }
        // The first goes at once, three more at 1.5/s.
        assert_eq!(clock.monotonic_ns() / 1_000_000, 1999, "three intervals of 666 ms");
        pace.turn(Service::Cloudtrail, "LookupEvents", "us-east-1").await;
        assert_eq!(clock.monotonic_ns() / 1_000_000, 1999, "another Region has its own bucket");
    }
}
