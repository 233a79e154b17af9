//! A gap: something that we meant to learn and could not.

use super::id::ExchangeId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a question stayed open. Each kind has one fixed sentence; the question itself comes from the collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GapKind {
    Denied,
    Throttled,
    Expired,
    Truncated,
    TooLarge,
    OutOfTime,
    Unsupported,
    Transport,
    NotAcquirable,
    Internal,
}

impl GapKind {
    pub const ALL: [GapKind; 10] = [
        GapKind::Denied,
        GapKind::Throttled,
        GapKind::Expired,
        GapKind::Truncated,
        GapKind::TooLarge,
        GapKind::OutOfTime,
        GapKind::Unsupported,
        GapKind::Transport,
        GapKind::NotAcquirable,
        GapKind::Internal,
    ];

    pub const fn sentence(self) -> &'static str {
        match self {
            GapKind::Denied => "our credentials may not ask this",
            GapKind::Throttled => "AWS kept asking us to slow down until the retries were used up",
            GapKind::Expired => "a credential or a presigned address expired before the answer came",
            GapKind::Truncated => "the answer was cut short; the part that arrived is kept",
            GapKind::TooLarge => "a bound that we set was reached; what lies beyond it was left",
            GapKind::OutOfTime => "the run ended before this was answered",
            GapKind::Unsupported => "the service does not know this operation here",
            GapKind::Transport => "no usable answer came over the network",
            GapKind::NotAcquirable => "AWS offers no way to read this",
            GapKind::Internal => "freezeframe failed here; please report it",
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            GapKind::Denied => "denied",
            GapKind::Throttled => "throttled",
            GapKind::Expired => "expired",
            GapKind::Truncated => "truncated",
            GapKind::TooLarge => "too_large",
            GapKind::OutOfTime => "out_of_time",
            GapKind::Unsupported => "unsupported",
            GapKind::Transport => "transport",
            GapKind::NotAcquirable => "not_acquirable",
            GapKind::Internal => "internal",
        }
    }
}

/// One gap as it stands in coverage, report and summary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Gap {
    pub kind: GapKind,
    /// The collector whose question it was.
    pub collector: String,
    /// What was asked, in words: `policy version v3 of …`.
    pub subject: String,
    /// The investigator's question that stays open.
    pub question: String,
    /// What AWS said, or what was left: bounded, escaped, without secrets.
    pub detail: String,
    /// The IAM action that would close a `denied` gap.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub action: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub exchanges: Vec<ExchangeId>,
}
