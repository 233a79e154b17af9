//! The timestamp: it is over this signature, and at a time at which the bundle can have been signed. Whether the authority is to be believed is
//! not looked at here, and said so.

use super::Check;
use super::facts::{Facts, STATEMENT, TIMESTAMP};
use super::findings::{Findings, Level, remedy};
use crate::bundle::signer::Ended;
use crate::clock::seconds;
use crate::model::digest::Sha256;
use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::Serialize;

pub struct Timestamp;

/// Two clocks that nobody set by each other may differ so much.
const TOLERANCE: TimeDelta = TimeDelta::minutes(5);
/// A bundle is stamped when it is sealed; so much later it proves that much less.
const LATE: TimeDelta = TimeDelta::hours(1);

/// What the token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TimestampCheck {
    /// UTC, RFC 3339, by the authority's clock.
    pub time: String,
    /// As the statement names it.
    pub authority: Option<String>,
    /// OID.
    pub policy: String,
    /// In hex.
    pub serial: String,
    /// It is over the first signature of the envelope.
    pub of_this_signature: bool,
}

/// `None` without a token that can be read.
pub fn judge(facts: &Facts) -> Option<TimestampCheck> {
    let stamp = facts.timestamp.as_ref()?.as_ref().ok()?;
    let signature = facts.envelope.as_ref().and_then(|e| e.signatures.first()?.bytes());
    let authority = facts.statement.as_ref().and_then(|s| s.predicate.timestamp_authority.as_deref());
    Some(TimestampCheck {
        time: seconds(stamp.time),
        authority: authority.map(|a| super::shown(a, 300)),
        policy: stamp.policy.clone(),
        serial: stamp.serial.clone(),
        of_this_signature: signature.is_some_and(|s| Sha256::of(&s) == stamp.imprint),
    })
}

impl Check for Timestamp {
    fn id(&self) -> &'static str {
        "timestamp"
    }
    fn title(&self) -> &'static str {
        "if it is stamped, then the stamp is over this signature, and no older than it"
    }
    fn run(&self, facts: &Facts, out: &mut Findings) {
        if !facts.sealed() {
            return; // it may be half written
        }
        let at = Some(TIMESTAMP);
        match &facts.timestamp {
            None => return missing(facts, out),
            Some(Err(why)) => return out.error(at, why, remedy::OTHER_COPY),
            Some(Ok(_)) => {}
        }
        let Some(check) = judge(facts) else { return };
        if !check.of_this_signature {
            out.error(at, "it stamps something else than the first signature of this bundle", remedy::OTHER_COPY);
            return;
        }
        if check.authority.is_none() {
            let what = "the statement names no authority: somebody had it stamped afterwards";
            out.warn(at, what, "Ask who did, and why; what it proves is when the signature existed at the latest.");
        }
        let Some(stamp) = facts.timestamp.as_ref().and_then(|t| t.as_ref().ok()) else { return };
        let predicate = facts.statement.as_ref().map(|s| &s.predicate);
        let sealed = predicate.and_then(|p| DateTime::parse_from_rfc3339(&p.sealed).ok()).map(|t| t.with_timezone(&Utc));
        // By the server's clock, where the difference was measured.
        let skew = predicate.and_then(|p| p.clock_skew_ms).and_then(TimeDelta::try_milliseconds).unwrap_or_default();
        let Some(sealed) = sealed.and_then(|t| t.checked_add_signed(skew)) else { return };
        let after = stamp.time - sealed;
        if after < -TOLERANCE {
            // No sign of a change: the stamp is over this very signature, and so over that statement. What it shows is a wrong clock.
            let what = format!("it is of {}, before the bundle says it was sealed ({})", check.time, seconds(sealed));
            out.warn(
                at,
                what,
                "One of the two clocks was wrong. Go by the authority's, and trust no time in this bundle further than that.",
            );
        } else if after > LATE {
            let what = format!("it is of {}, {} minutes after the bundle was sealed", check.time, after.num_minutes());
            out.warn(at, what, "It proves that the signature existed then, and nothing about the time before.");
        }
        let what = format!("stamped {}, by an authority whose certificate was not looked at", check.time);
        let how = "Have it checked with the certificate of the authority's CA: `openssl ts -verify`, step 8 of meta/VERIFY.txt.";
        out.add(Level::Info, at, what, how);
    }
}

/// Named, and not there.
fn missing(facts: &Facts, out: &mut Findings) {
    let Some(authority) = facts.statement.as_ref().and_then(|s| s.predicate.timestamp_authority.as_deref()) else { return };
    let end = facts.sealing.as_ref().and_then(|r| r.timestamp.as_ref()).filter(|t| t.ended == Ended::Failed);
    match end {
        Some(end) => {
            let what = format!("{authority} was to stamp it, and did not: {}", end.detail.as_deref().unwrap_or("the reason was not noted"));
            out.warn(
                Some(STATEMENT),
                what,
                "When it was signed, other witnesses must say: CloudTrail (the KMS call), the object store, the case file.",
            );
        }
        None => {
            let what = format!("{authority} was to stamp it, and its stamp is not here: it was taken away");
            out.error(Some(STATEMENT), what, remedy::OTHER_COPY);
        }
    }
}
