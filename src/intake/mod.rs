//! Floor 1: from a stranger's event to a reason to act. Pure: event JSON in, [`Intake`] out.
//!
//! Whoever can put an event on the bus, or invoke the handler, chooses every byte that comes in here. So texts are bounded and of a narrow
//! alphabet, function ARNs go through [`TargetSpec`], and nothing of an event is ever pasted into a path, a query or a command.
//!
//! What it never does: ask AWS, believe (the finding is a claim until the run has looked), or act on a form that it does not know. An
//! unknown form is said to be unknown, so that the handler can keep it and alert.
//!
//! To add a source: copy `manual.rs`, add a line to [`SOURCES`] and an event file under `tests/data/events/`.

pub mod guardduty;
pub mod manual;
mod read;

pub use read::Event;

use crate::model::digest::Sha256;
use crate::model::id::{CaseId, IdError};
use crate::model::path::BundlePath;
use crate::model::target::{TargetError, TargetSpec};
use crate::model::trigger::Trigger;
use schemars::JsonSchema;
use serde::Serialize;

/// Larger events are not looked into. EventBridge carries 256 KiB (1 MiB at the most), an asynchronous invocation the same.
pub const MAX_EVENT: usize = 1 << 20;

/// What an event means to us.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "intake")]
pub enum Intake {
    /// A reason to act on one function.
    Understood(Box<Understood>),
    /// A form that we know, and rightly do nothing about.
    Ignored { source: &'static str, why: String },
    /// A form that we do not know: to be kept as it is, with an alert, and nothing else done.
    Unknown { why: String },
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Understood {
    pub trigger: Trigger,
    /// The product made this finding up so that somebody can try his alerting. It names no function that exists.
    pub sample: bool,
}

/// One kind of event.
pub trait Source: Sync {
    /// Kebab-case, as in [`Trigger::source`] and `tests/data/events/<id>/`.
    fn id(&self) -> &'static str;
    fn title(&self) -> &'static str;
    /// `None` when the event is no business of this source; the next one is asked then.
    fn read(&self, event: &Event<'_>) -> Option<Intake>;
}

/// Every source that is understood, in the order of asking.
pub static SOURCES: &[&dyn Source] = &[&guardduty::GuardDuty, &manual::Manual];

/// Never panics and never fails: whatever the bytes are, they are one of the three.
pub fn understand(event: &[u8]) -> Intake {
    if event.len() > MAX_EVENT {
        return Intake::Unknown { why: format!("the event has {} bytes; at most {MAX_EVENT} are looked into", event.len()) };
    }
    // serde_json bounds the depth at 128.
    let value: serde_json::Value = match serde_json::from_slice(event) {
        Ok(value) => value,
        // Its message quotes nothing of the input but a line and a column.
        Err(e) => return Intake::Unknown { why: format!("the event is no JSON: {}", e.classify_words()) },
    };
    let Some(event) = Event::of(&value) else {
        return Intake::Unknown { why: "the event is no JSON object".into() };
    };
    SOURCES.iter().find_map(|s| s.read(&event)).unwrap_or_else(|| Intake::Unknown {
        why: match (event.source(), event.detail_type()) {
            (Some(source), Some(kind)) => format!("no source of ours reads `{kind}` of `{source}`"),
            _ => "the event is neither an EventBridge event nor a request of ours".into(),
        },
    })
}

/// Where serde_json stopped, without its text: that may quote the event.
trait ClassifyWords {
    fn classify_words(&self) -> String;
}
impl ClassifyWords for serde_json::Error {
    fn classify_words(&self) -> String {
        let what = match self.classify() {
            serde_json::error::Category::Eof => "it ends too early",
            serde_json::error::Category::Syntax => "the syntax is broken, or it nests too deep",
            serde_json::error::Category::Data | serde_json::error::Category::Io => "it cannot be read",
        };
        format!("{what} (line {}, column {})", self.line(), self.column())
    }
}

/// The case that a trigger opens or joins. A name that a path cannot carry is refused here, before anything is made from it.
pub fn case_of(trigger: &Trigger) -> Result<CaseId, CaseError> {
    let text = trigger.case.clone().unwrap_or_else(|| made_case("X", &trigger.finding_id));
    let case: CaseId = text.parse().map_err(CaseError::Name)?;
    BundlePath::parse(case.as_str()).map_err(CaseError::Path)?;
    Ok(case)
}

#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    #[error("the event names a case that cannot be")]
    Name(#[source] IdError),
    #[error("the event names a case that cannot be a path")]
    Path(#[source] crate::model::path::PathError),
}

/// The same case for every re-emission of a finding: products repeat a finding under its own id, in a new event.
pub(crate) fn made_case(prefix: &str, finding_id: &str) -> String {
    format!("{prefix}-{}", &Sha256::of(finding_id.as_bytes()).to_string()[..12])
}

/// The function as stated, or why this is no business of ours.
pub(crate) fn function(source: &'static str, stated: &str) -> Result<TargetSpec, Intake> {
    stated.parse().map_err(|e: TargetError| match e {
        TargetError::OtherService { .. } => Intake::Ignored { source, why: e.to_string() },
        _ => Intake::Unknown { why: e.to_string() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(event: &[u8]) -> String {
        match understand(event) {
            Intake::Unknown { why } => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_no_event_is_unknown() {
        assert!(unknown(b"").contains("ends too early"));
        assert!(unknown(b"[]").contains("no JSON object"));
        assert!(unknown(b"{}").contains("neither"));
        assert!(unknown(b"\xff\xfe").contains("no JSON"));
        assert!(unknown(&b"[".repeat(100_000)).contains("nests too deep"));
        let mut big = vec![b' '; MAX_EVENT];
        big.extend(b"{}");
        assert!(unknown(&big).contains("1048578 bytes"));
        let foreign = unknown(br#"{"source":"aws.ec2","detail-type":"EC2 Instance State-change Notification","detail":{}}"#);
        assert_eq!(foreign, "no source of ours reads `EC2 Instance State-change Notification` of `aws.ec2`");
    }

    /// What reaches a reason is printable and short, whatever the event holds.
    #[test]
    fn reasons_carry_no_control_characters() {
        let why = unknown(b"{\"source\":\"\\u001b[31mred\",\"detail-type\":\"x\\ny\"}");
        assert!(!why.chars().any(char::is_control), "{why:?}");
        let long = format!("{{\"source\":\"{}\",\"detail-type\":\"x\"}}", "s".repeat(10_000));
        assert!(unknown(long.as_bytes()).len() < 600);
    }

    #[test]
    fn ids_are_unique_and_kebab_case() {
        let mut ids: Vec<_> = SOURCES.iter().map(|s| s.id()).collect();
        assert!(ids.iter().all(|i| i.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')));
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), SOURCES.len());
    }
}
