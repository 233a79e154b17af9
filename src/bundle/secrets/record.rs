//! What the statement says of sealed originals.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Member `secrets` of the statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatedSecrets {
    /// Lines of `meta/redactions.jsonl`.
    pub sealed: u64,
    /// The bundle's own identity, public half (`age1…`).
    pub identity: String,
    /// Who else can open them.
    pub recipients: Vec<String>,
    /// The KMS key that the bundle's identity is encrypted with, in `seal/identity.kms`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kms_key: Option<String>,
}
