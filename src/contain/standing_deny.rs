//! A deny of ours that stands in a policy already: whom its text meets, and the text that meets them together with whom another deny is about.
//!
//! The denies about one function have one name on a role, so whatever is put there replaces what stands there: whom that met has to be met by the new
//! text too. Of the standing text a moment is all that is carried over. Everything else is made anew, because anybody may have changed it.

use super::deny::{LIMIT, LOGS, SEND, SID, TRACES, issued_before};
use super::policy_text::statements;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

/// [`super::deny::Whom`], as a text tells it: of two denies in one text, both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Met {
    Everybody,
    /// Sessions of the function, sessions that were issued before a moment, or both.
    Sessions {
        of_function: bool,
        issued_before: Option<DateTime<Utc>>,
    },
}

/// Ends the ids of the statements about old sessions, where the function's stand before them.
const BESIDE: &str = "Sessions";

/// Whom a text of our own form meets, as its first statement says and the first about old sessions beside it; `None` for any other text, ours with
/// something changed in it included.
pub(super) fn met_by(text: &str) -> Option<Met> {
    let document: Value = serde_json::from_str(text).ok()?;
    let all = statements(&document)?;
    let named = |sid: &str| all.iter().find(|s| s["Sid"] == sid).and_then(|s| met_by_statement(s));
    match (named(SID)?, named(&format!("{SID}{BESIDE}"))) {
        (Met::Sessions { of_function: true, .. }, Some(Met::Sessions { of_function: false, issued_before })) => {
            Some(Met::Sessions { of_function: true, issued_before })
        }
        (first, _) => Some(first),
    }
}

fn met_by_statement(statement: &Value) -> Option<Met> {
    let spared = |a: &Value| a.as_str().is_some_and(|a| a == SEND || LOGS.contains(&a) || TRACES.contains(&a));
    let whole = statement["Effect"] == "Deny" && statement["Resource"] == "*" && statement["NotAction"].as_array()?.iter().all(spared);
    let members = statement.as_object()?.len();
    match statement["Condition"].as_object() {
        _ if !whole => None,
        None if members == 4 => Some(Met::Everybody),
        Some(c) if members == 5 && c.contains_key("StringLike") => Some(Met::Sessions { of_function: true, issued_before: None }),
        Some(c) if members == 5 && c.len() == 1 => {
            let at = DateTime::parse_from_rfc3339(c.get("DateLessThan")?["aws:TokenIssueTime"].as_str()?).ok()?;
            Some(Met::Sessions { of_function: false, issued_before: Some(at.to_utc()) })
        }
        _ => None,
    }
}

/// The text that meets whom `stands` says and whom `ours` meets, and spares what `ours` spares. `function` is our deny of the function that spares
/// the same. `None` where either meets everybody: no second deny is needed then.
pub(super) fn joined(stands: Met, ours: &str, function: &str) -> Option<String> {
    let (Met::Sessions { of_function: a, issued_before: before }, Met::Sessions { of_function: b, issued_before: until }) =
        (stands, met_by(ours)?)
    else {
        return None;
    };
    let [ours, function]: [Value; 2] = [serde_json::from_str(ours).ok()?, serde_json::from_str(function).ok()?];
    let mut all: Vec<Value> = if a || b { statements(&function)?.into_iter().cloned().collect() } else { vec![] };
    // Of two moments the later one: `None` is before any.
    if let Some(at) = before.max(until) {
        let ending = if all.is_empty() { "" } else { BESIDE };
        for sid in [SID, LIMIT] {
            let mut old = statements(&ours)?.into_iter().find(|s| s["Sid"] == sid)?.clone();
            (old["Sid"], old["Condition"]) = (format!("{sid}{ending}").into(), issued_before(at));
            all.push(old);
        }
    }
    Some(json!({"Version": "2012-10-17", "Statement": all}).to_string())
}

#[cfg(test)]
mod tests {
    use super::super::deny::{Deny, Whom};
    use super::super::role::Role;
    use super::*;
    use crate::model::target::Target;
    use std::collections::BTreeSet;

    const QUEUE: &str = "arn:aws:sqs:eu-west-1:123456789012:quarantine";

    fn deny(whom: Whom, queue: Option<&str>) -> String {
        let target = Target {
            partition: "aws".into(),
            account: "123456789012".into(),
            region: "eu-west-1".into(),
            function: "payments".into(),
            qualifier: None,
        };
        let role = Role {
            arn: "arn:aws:iam::123456789012:role/r".into(),
            name: "r".into(),
            id: "AROAEXAMPLE".into(),
            log_group: None,
            trust: None,
            versions: vec!["$LATEST".into()],
        };
        Deny::new(&target, &role, whom, queue.map(str::to_string)).text()
    }
    fn noon(minute: u32) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(&format!("2026-11-20T12:{minute:02}:00Z")).unwrap().to_utc()
    }
    fn sessions(of_function: bool, minute: Option<u32>) -> Met {
        Met::Sessions { of_function, issued_before: minute.map(noon) }
    }
    /// What stands in the end when `ours` is put where `stands` stands.
    fn put(stands: &str, ours: Whom, queue: Option<&str>) -> String {
        joined(met_by(stands).unwrap(), &deny(ours, queue), &deny(Whom::Function, queue)).unwrap()
    }
    fn value(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn whom_a_text_meets_is_told_by_its_first_statement_and_a_changed_text_is_not_ours() {
        for (whom, met) in [
            (Whom::Everybody, Met::Everybody),
            (Whom::Function, sessions(true, None)),
            (Whom::SessionsBefore(noon(0)), sessions(false, Some(0))),
        ] {
            assert_eq!((met_by(&deny(whom, None)), met_by(&deny(whom, Some(QUEUE)))), (Some(met), Some(met)));
        }
        type Change = fn(&mut Value);
        let changes: [Change; 8] = [
            |s| s["Effect"] = "Allow".into(),
            |s| s["Resource"] = "arn:aws:s3:::x".into(),
            |s| s["NotAction"] = json!(["s3:*"]),
            |s| s["NotAction"] = "logs:PutLogEvents".into(),
            |s| s["Condition"] = json!({"Bool": {"aws:SecureTransport": "false"}}),
            |s| s["Condition"] = json!({"DateLessThan": {"aws:TokenIssueTime": "yesterday"}}),
            |s| {
                s["Condition"] =
                    json!({"DateLessThan": {"aws:TokenIssueTime": "2026-11-20T12:00:00Z"}, "Bool": {"aws:ViaAWSService": "true"}})
            },
            |s| s["Sid"] = "Another".into(),
        ];
        for change in changes {
            let mut text = value(&deny(Whom::Everybody, None));
            change(&mut text["Statement"][0]);
            assert_eq!(met_by(&text.to_string()), None, "{text}");
        }
        assert_eq!((met_by("{}"), met_by("x"), met_by("{\"Statement\":[]}")), (None, None, None));
    }

    #[test]
    fn of_two_denies_under_one_name_neither_lets_anybody_go() {
        let (function, old) = (deny(Whom::Function, None), deny(Whom::SessionsBefore(noon(0)), None));
        let both = put(&old, Whom::Function, None);
        assert_eq!(both, put(&function, Whom::SessionsBefore(noon(0)), None), "whichever was first");
        assert_eq!(met_by(&both), Some(sessions(true, Some(0))));
        let (all, first) =
            (value(&both)["Statement"].as_array().unwrap().clone(), value(&function)["Statement"].as_array().unwrap().clone());
        assert_eq!(all[..4], first[..], "the function's deny to the letter");
        for (made, alone) in all[4..].iter().zip(value(&old)["Statement"].as_array().unwrap()) {
            let mut alone = alone.clone();
            alone["Sid"] = format!("{}Sessions", alone["Sid"].as_str().unwrap()).into();
            assert_eq!(*made, alone);
        }
        let ids: BTreeSet<&str> = all.iter().map(|s| s["Sid"].as_str().unwrap()).collect();
        assert_eq!((all.len(), ids.len()), (6, 6), "IAM takes an id once");
        assert!(ids.iter().all(|id| id.bytes().all(|b| b.is_ascii_alphanumeric())), "and no other signs in it");

        // Put once more it is what it is, with a later moment it meets more, with an earlier one no fewer.
        assert_eq!(put(&both, Whom::Function, None), both);
        assert_eq!(put(&both, Whom::SessionsBefore(noon(0)), None), both);
        assert_eq!(met_by(&put(&both, Whom::SessionsBefore(noon(5)), None)), Some(sessions(true, Some(5))));
        let later = deny(Whom::SessionsBefore(noon(5)), None);
        assert_eq!(
            (put(&old, Whom::SessionsBefore(noon(5)), None), put(&later, Whom::SessionsBefore(noon(0)), None)),
            (later.clone(), later)
        );
        assert_eq!(put(&function, Whom::Function, None), function);
        assert_eq!(joined(sessions(true, None), &deny(Whom::Everybody, None), &function), None);
        assert_eq!(joined(Met::Everybody, &old, &function), None);
    }

    #[test]
    fn what_is_spared_is_what_the_later_step_names() {
        let both = put(&deny(Whom::SessionsBefore(noon(0)), None), Whom::Function, Some(QUEUE));
        for statement in value(&both)["Statement"].as_array().unwrap() {
            let spares = statement.get("NotAction").is_none_or(|a| a.as_array().unwrap().contains(&json!(SEND)));
            let limits = statement.get("NotResource").is_none_or(|r| r.as_array().unwrap().contains(&json!(QUEUE)));
            assert!(spares && limits, "{statement}");
        }
        assert!(!put(&both, Whom::Function, None).contains(QUEUE));
    }

    /// Somebody may have written into the text that stands.
    #[test]
    fn of_a_standing_text_nothing_but_a_moment_is_carried_over() {
        let mut stands = value(&put(&deny(Whom::SessionsBefore(noon(0)), None), Whom::Function, None));
        stands["Statement"][2]["Condition"]["ArnLike"] = json!({"lambda:SourceFunctionArn": "arn:of:nobody"});
        stands["Statement"].as_array_mut().unwrap().push(json!({"Sid": "Mine", "Effect": "Allow", "Action": "*", "Resource": "*"}));
        let made = put(&stands.to_string(), Whom::SessionsBefore(noon(1)), None);
        assert_eq!(made, put(&deny(Whom::Function, None), Whom::SessionsBefore(noon(1)), None));
        // A deny of old sessions that was changed is none, and takes nothing from the function's beside it.
        stands["Statement"][4]["Effect"] = "Allow".into();
        assert_eq!(met_by(&stands.to_string()), Some(sessions(true, None)));
    }
}
