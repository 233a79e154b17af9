//! The lock of an object, as S3 says that it is in effect, beside the one that was asked for.

use crate::clock::seconds;
use crate::model::lock::{Lock, LockMode, Span};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The lock that S3 says is in effect. All absent: none is, or we may not see it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InEffect {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mode: Option<LockMode>,
    /// UTC, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retain_until: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub legal_hold: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub event_hold: bool,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub event_hold_duration: Option<Span>,
}

impl InEffect {
    pub fn is_none(&self) -> bool {
        *self == InEffect::default()
    }

    /// What of `asked` is not in effect, in words; empty when all of it is.
    pub fn misses(&self, asked: &Lock) -> Vec<String> {
        let mut missing = vec![];
        if let Some(wanted) = &asked.retention {
            // Compliance is more than governance; a later end is more than an earlier one.
            let strong = self.mode == Some(LockMode::Compliance) || self.mode == Some(wanted.mode);
            let long = self.retain_until.as_deref().and_then(|t| t.parse::<DateTime<Utc>>().ok()).is_some_and(|t| t >= wanted.until);
            if !strong || !long {
                missing.push(format!("{} until {}", wanted.mode.as_str(), seconds(wanted.until)));
            }
        }
        if asked.legal_hold && !self.legal_hold {
            missing.push("legal hold".into());
        }
        if asked.event_hold.is_some() && !self.event_hold {
            missing.push("event hold".into());
        }
        missing
    }
}

/// A lock in words, for people.
pub fn lock_words(lock: &InEffect) -> Option<String> {
    let mut words = vec![];
    if let (Some(mode), Some(until)) = (lock.mode, &lock.retain_until) {
        words.push(format!("{} until {until}", mode.as_str()));
    }
    if lock.legal_hold {
        words.push("legal hold".into());
    }
    if lock.event_hold {
        words.push(match lock.event_hold_duration {
            Some(span) => format!("event hold, then {span}"),
            None => "event hold".into(),
        });
    }
    (!words.is_empty()).then(|| words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::lock::Retention;

    #[test]
    fn more_than_was_asked_is_enough_and_less_is_said() {
        let until: DateTime<Utc> = "2033-11-21T00:00:00Z".parse().unwrap();
        let asked = Lock { retention: Some(Retention { mode: LockMode::Governance, until }), legal_hold: true, event_hold: None };
        let seen = |mode, until: &str, legal_hold| InEffect { mode, retain_until: Some(until.into()), legal_hold, ..InEffect::default() };
        assert!(seen(Some(LockMode::Governance), "2033-11-21T00:00:00Z", true).misses(&asked).is_empty());
        assert!(seen(Some(LockMode::Compliance), "2034-01-01T00:00:00Z", true).misses(&asked).is_empty());
        assert_eq!(
            seen(Some(LockMode::Governance), "2033-11-20T23:59:59Z", true).misses(&asked),
            ["governance until 2033-11-21T00:00:00Z"]
        );
        assert_eq!(seen(Some(LockMode::Governance), "2033-11-21T00:00:00Z", false).misses(&asked), ["legal hold"]);
        assert_eq!(InEffect::default().misses(&Lock { event_hold: Some(Span::Years(7)), ..asked }).len(), 3);
        assert!(InEffect::default().misses(&Lock::default()).is_empty());
    }
}
