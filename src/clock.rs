//! The only door to time. Wall clock and monotonic clock, a fake for tests, and the skew against a server's `Date`.

use async_trait::async_trait;
use chrono::{DateTime, SecondsFormat, Utc};
use std::sync::Mutex;
use std::time::{Duration, Instant};

#[async_trait]
pub trait Clock: Send + Sync + std::fmt::Debug {
    fn now(&self) -> DateTime<Utc>;
    /// Nanoseconds since some fixed point of this process.
    fn monotonic_ns(&self) -> u64;
    async fn sleep(&self, how_long: Duration);
}

/// UTC, RFC 3339, milliseconds: the one form of time in our records.
pub fn stamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// `2026-11-20T23:46:40Z`: the form that IAM takes in a condition.
pub fn seconds(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// `20261120T234640Z`: the form in names.
pub fn basic(at: DateTime<Utc>) -> String {
    at.format("%Y%m%dT%H%M%SZ").to_string()
}

/// Server time minus local time, from an HTTP `Date` header that arrived between `sent` and `received`. The header has a resolution of one
/// second, so a skew within ±(1 s + round trip) says nothing. `None` when the header is no date.
pub fn skew(date_header: &str, sent: DateTime<Utc>, received: DateTime<Utc>) -> Option<chrono::TimeDelta> {
    let server = DateTime::parse_from_rfc2822(date_header).ok()?.with_timezone(&Utc);
    let midpoint = sent + (received - sent) / 2;
    Some(server - midpoint)
}

#[derive(Debug)]
pub struct SystemClock {
    began: Instant,
}

impl SystemClock {
    pub fn new() -> Self {
        SystemClock { began: Instant::now() }
    }
}
impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the door to the wall clock")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
    fn monotonic_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
    async fn sleep(&self, how_long: Duration) {
        tokio::time::sleep(how_long).await;
    }
}

/// A clock that moves only when slept on: for tests and for nothing else.
#[derive(Debug)]
pub struct FakeClock {
    began: DateTime<Utc>,
    now: Mutex<DateTime<Utc>>,
}

impl FakeClock {
    pub fn at(rfc3339: &str) -> Option<Self> {
        let began = DateTime::parse_from_rfc3339(rfc3339).ok()?.with_timezone(&Utc);
        Some(FakeClock { began, now: Mutex::new(began) })
    }
}

#[async_trait]
impl Clock for FakeClock {
    fn now(&self) -> DateTime<Utc> {
        *self.now.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
    fn monotonic_ns(&self) -> u64 {
        (self.now() - self.began).num_nanoseconds().and_then(|n| u64::try_from(n).ok()).unwrap_or_default()
    }
    async fn sleep(&self, how_long: Duration) {
        *self.now.lock().unwrap_or_else(std::sync::PoisonError::into_inner) += how_long;
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skew_is_server_minus_local_midpoint() {
        let t = |s: &str| DateTime::parse_from_rfc3339(s).unwrap().with_timezone(&Utc);
        let d = skew("Fri, 20 Nov 2026 12:00:10 GMT", t("2026-11-20T12:00:00Z"), t("2026-11-20T12:00:02Z")).unwrap();
        assert_eq!(d.num_milliseconds(), 9000);
        assert!(skew("yesterday", t("2026-11-20T12:00:00Z"), t("2026-11-20T12:00:02Z")).is_none());
    }
}
