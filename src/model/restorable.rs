//! How well a cell can be put back. Asked before anything changes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "restorable", content = "why")]
pub enum Restorable {
    /// Restore makes every read equal the read before.
    Exactly,
    /// Something is lost; the playbook must have accepted that in words.
    Approximately(String),
    /// It cannot be put back: never done without an explicit word.
    No(String),
}
