//! A person's, or an orchestrator's, own request, in two forms:
//!
//! * an event on a private bus: any `source` that is not AWS's own, `detail-type` `freezeframe snapshot request`,
//!   `detail: {function, case?, playbook?}`;
//! * a plain invocation of the handler with `{"function": "…", "case": "…", "playbook"?: "…", "request"?: "…"}`.
//!
//! IAM decides who may do either. A member that is not listed here makes the request unknown: a misspelt `playbook` must not quietly run
//! another one. `request` is any word of the sender's that makes two requests one; without it, each event or invocation stands for itself.

use super::read::{at, time, word};
use super::{Event, Intake, Source, Understood, function, made_case};
use crate::model::trigger::Trigger;
use serde_json::{Map, Value};

pub struct Manual;

const ID: &str = "manual";
pub const DETAIL_TYPE: &str = "freezeframe snapshot request";

impl Source for Manual {
    fn id(&self) -> &'static str {
        ID
    }
    fn title(&self) -> &'static str {
        "requests of our own, by event or by invocation"
    }
    fn read(&self, event: &Event<'_>) -> Option<Intake> {
        let answer = match (event.source(), event.detail_type()) {
            // No customer can send as `aws.…`; that AWS should ever use our detail-type is not to be believed.
            (Some(source), Some(DETAIL_TYPE)) if !source.starts_with("aws.") => match event.detail() {
                Some(detail) => request(detail, Some(event)),
                None => Err(unknown("the request has no detail")),
            },
            (None, None) if event.members().contains_key("function") && event.members().contains_key("case") => {
                request(event.members(), None)
            }
            _ => return None,
        };
        Some(answer.unwrap_or_else(|not| not))
    }
}

fn unknown(why: &str) -> Intake {
    Intake::Unknown { why: format!("request: {why}") }
}

fn request(from: &Map<String, Value>, envelope: Option<&Event<'_>>) -> Result<Intake, Intake> {
    const MEMBERS: [(&str, usize); 4] = [("function", 300), ("case", 64), ("playbook", 64), ("request", 128)];
    for (name, value) in from {
        let Some((known, limit)) = MEMBERS.iter().find(|(known, _)| known == name) else {
            let shown: String = name.chars().take(60).flat_map(char::escape_default).collect();
            return Err(unknown(&format!("it has a member `{shown}`, which is not known; known are function, case, playbook and request")));
        };
        if word(Some(value), *limit).is_none() {
            return Err(unknown(&format!("`{known}` is no text of 1 to {limit} printable characters")));
        }
    }
    let text = |name| at(from, &[name], 300);
    let stated = text("function").ok_or_else(|| unknown("it names no function"))?;
    let target = function(ID, stated)?;
    // EventBridge delivers at least once, each time with the same id. An invocation has no id in its payload; the handler adds Lambda's.
    let finding_id = text("request").or_else(|| envelope.and_then(|e| e.text("id", 128))).unwrap_or_default();
    let case = match text("case") {
        Some(case) => case.to_string(),
        None if finding_id.is_empty() => return Err(unknown("it names no case, and has no id to make one from")),
        None => made_case("MAN", finding_id),
    };
    let playbook = text("playbook");
    if playbook.is_some_and(|p| !p.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')) {
        return Err(unknown("`playbook` is no id of a playbook"));
    }
    let trigger = Trigger {
        source: ID.into(),
        function: stated.into(),
        account: target.account,
        region: target.region,
        finding_id: finding_id.into(),
        finding_type: "manual".into(),
        // A person asked: that outranks every product's guess.
        severity: 100,
        time: envelope.and_then(|e| time(e.text("time", 40))),
        case: Some(case),
        playbook: playbook.map(str::to_string),
    };
    super::case_of(&trigger).map_err(|e| {
        unknown(&match &e {
            super::CaseError::Name(source) => source.to_string(),
            super::CaseError::Path(source) => source.to_string(),
        })
    })?;
    Ok(Intake::Understood(Box::new(Understood { trigger, sample: false })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::understand;
    use serde_json::json;

    fn trigger(event: Value) -> Trigger {
        match understand(event.to_string().as_bytes()) {
            Intake::Understood(u) => u.trigger,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn both_forms() {
        let t = trigger(
            json!({"source": "soar.example", "detail-type": DETAIL_TYPE, "id": "e-1", "time": "2026-11-20T12:00:00Z", "detail": {"function": "payments"}}),
        );
        assert_eq!((t.finding_id.as_str(), t.time.as_deref()), ("e-1", Some("2026-11-20T12:00:00Z")));
        assert!(t.case.unwrap().starts_with("MAN-"));
        let t = trigger(json!({"function": "payments:live", "case": "IR-1", "playbook": "snapshot-only"}));
        assert_eq!((t.finding_id.as_str(), t.case.as_deref(), t.playbook.as_deref()), ("", Some("IR-1"), Some("snapshot-only")));
        let t = trigger(json!({"function": "payments", "case": "IR-1", "request": "second look"}));
        assert_eq!(t.finding_id, "second look");
    }

    #[test]
    fn nothing_is_guessed() {
        for event in [
            json!({"function": "payments"}),
            json!({"function": "payments", "case": "IR-1", "playbok": "x"}),
            json!({"function": "payments", "case": "../IR-1"}),
            json!({"function": "payments", "case": "con"}),
            json!({"function": "payments", "case": 7}),
            json!({"function": "payments; rm -rf /", "case": "IR-1"}),
            json!({"function": "payments", "case": "IR-1", "playbook": "../../etc/passwd"}),
            json!({"function": "payments", "case": "IR-1", "source": "x"}),
            json!({"source": "aws.x", "detail-type": DETAIL_TYPE, "id": "e-1", "detail": {"function": "payments"}}),
        ] {
            assert!(matches!(understand(event.to_string().as_bytes()), Intake::Unknown { .. }), "{event}");
        }
    }
}
