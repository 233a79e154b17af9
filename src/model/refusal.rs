//! A guardrail's no: which rule, what it objects to, where it stands, and what would lift it. Reports, replies and the case journal hold it as
//! it is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refusal {
    /// The rule, kebab-case: `contain-tag`.
    pub rule: String,
    /// What it objects to.
    pub why: String,
    /// Where the rule stands: `guard.yaml:12`, `built in`, a tag, an object of the store.
    pub stands: String,
    /// What would lift it.
    pub lift: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (rule `{}`, {}); to lift it: {}", self.why, self.rule, self.stands, self.lift)
    }
}
