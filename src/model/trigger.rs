//! A trigger: a normalised reason to act, with the untouched event beside it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an event source says about a function. Claims of a stranger: nothing in it is believed before it has been asked of AWS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Trigger {
    /// The intake that understood the event: `guardduty`, `manual`.
    pub source: String,
    /// The function's ARN (or name, for a manual event), as stated.
    pub function: String,
    pub account: Option<String>,
    pub region: Option<String>,
    /// The product's own id of the finding: the key of idempotency, never the event's id.
    pub finding_id: String,
    /// The product's type: `Backdoor:Lambda/C&CActivity.B`.
    pub finding_type: String,
    /// 0 to 100, whatever scale the product uses.
    pub severity: u8,
    /// As stated by the event, RFC 3339.
    pub time: Option<String>,
    /// The case to open or join; made from the finding id when the event names none.
    pub case: Option<String>,
    /// Playbook asked for (manual events only); the handler's configuration decides whether that is allowed.
    pub playbook: Option<String>,
}
