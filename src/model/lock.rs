//! How long what is archived must stay: what is asked of S3 Object Lock. Plain words; S3's own answer is recorded beside them.

use chrono::{DateTime, Days, Months, NaiveDate, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Who may shorten a retention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LockMode {
    /// Whoever holds `s3:BypassGovernanceRetention`.
    Governance,
    /// Nobody, the account's root included.
    Compliance,
}

impl LockMode {
    pub const fn as_str(self) -> &'static str {
        match self {
            LockMode::Governance => "governance",
            LockMode::Compliance => "compliance",
        }
    }
    pub fn parse(text: &str) -> Option<LockMode> {
        [LockMode::Governance, LockMode::Compliance].into_iter().find(|m| m.as_str().eq_ignore_ascii_case(text))
    }
}

/// So long, in one unit: S3 takes an event hold's duration in days or in years and never in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Span {
    Days(u32),
    Years(u32),
}

impl Span {
    /// `90d`, `7y`. At most what S3 takes (36,500 days, 100 years), at least one.
    pub fn parse(text: &str) -> Option<Span> {
        let at = text.find(|c: char| !c.is_ascii_digit())?;
        let n: u32 = text[..at].parse().ok()?;
        match &text[at..] {
            "d" if (1..=36_500).contains(&n) => Some(Span::Days(n)),
            "y" if (1..=100).contains(&n) => Some(Span::Years(n)),
            _ => None,
        }
    }

    /// The end of a span that begins now, at the next midnight (UTC): an archive that is resumed on the same day asks for the same moment.
    pub fn from(self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let end = match self {
            Span::Days(n) => now.checked_add_days(Days::new(u64::from(n)))?,
            Span::Years(n) => now.checked_add_months(Months::new(n.checked_mul(12)?))?,
        };
        end.date_naive().succ_opt()?.and_hms_opt(0, 0, 0).map(|at| at.and_utc())
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Span::Days(n) => write!(f, "{n}d"),
            Span::Years(n) => write!(f, "{n}y"),
        }
    }
}

/// `2033-11-20`, or the same with a time: the moment until which a version must stay.
pub fn parse_until(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(at.with_timezone(&Utc));
    }
    NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0).map(|at| at.and_utc())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    pub mode: LockMode,
    pub until: DateTime<Utc>,
}

/// What is asked for each object. The default asks for nothing, and the bucket's own default stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    pub retention: Option<Retention>,
    /// Until somebody takes it off.
    pub legal_hold: bool,
    /// Held while on, and then so long from its release.
    pub event_hold: Option<Span>,
}

impl Lock {
    pub fn is_none(&self) -> bool {
        *self == Lock::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_end_at_a_midnight() {
        let now: DateTime<Utc> = "2026-11-20T23:46:40Z".parse().unwrap();
        let end = |text: &str| Span::parse(text).unwrap().from(now).unwrap().to_rfc3339();
        assert_eq!(end("7y"), "2033-11-21T00:00:00+00:00");
        assert_eq!(end("1d"), "2026-11-22T00:00:00+00:00");
        assert_eq!((end("100y").as_str(), Span::parse("7y").unwrap().to_string().as_str()), ("2126-11-21T00:00:00+00:00", "7y"));
        for bad in ["", "7", "y", "0d", "0y", "101y", "36501d", "7w", "-1d", "7 y", "99999999999d"] {
            assert_eq!(Span::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn moments_and_modes() {
        assert_eq!(parse_until("2033-11-20").unwrap().to_rfc3339(), "2033-11-20T00:00:00+00:00");
        assert_eq!(parse_until("2033-11-20T12:00:00+02:00").unwrap().to_rfc3339(), "2033-11-20T10:00:00+00:00");
        assert_eq!((parse_until("tomorrow"), parse_until("2033-13-01")), (None, None));
        assert_eq!((LockMode::parse("COMPLIANCE"), LockMode::parse("x")), (Some(LockMode::Compliance), None));
        assert!(Lock::default().is_none() && !Lock { legal_hold: true, ..Lock::default() }.is_none());
    }
}
