//! How well a cell can be put back. Asked before anything changes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "restorable", content = "why")]
pub enum Restorable {
    /// Restore makes every read equal the read before.
    Exactly,
    /// It adds something that stays (a published version); nothing that stood before is changed, so restore has nothing to set and says what
    /// was left. The playbook must have accepted that in words.
    Leaves(String),
    /// Something is lost; the playbook must have accepted that in words.
    Approximately(String),
    /// It cannot be put back: never done without an explicit word.
    No(String),
}

/// What a playbook accepted about restoring an action, in advance and in words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Accept {
    /// Nothing less than an exact restore.
    #[default]
    ExactOnly,
    /// Something is lost, or something is left behind.
    Approximate,
    /// It cannot be put back at all.
    Irreversible,
}

impl Accept {
    pub const ALL: [Accept; 3] = [Accept::ExactOnly, Accept::Approximate, Accept::Irreversible];

    pub const fn as_str(self) -> &'static str {
        match self {
            Accept::ExactOnly => "exact-only",
            Accept::Approximate => "approximate",
            Accept::Irreversible => "irreversible",
        }
    }

    pub fn is_default(&self) -> bool {
        *self == Accept::ExactOnly
    }
}
