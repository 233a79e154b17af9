//! What the actions on a function's sources share: the names by which a source can call it, and the rule that a source which serves others as
//! well is stopped on a word only.
//!
//! Two kinds of source are never stopped, because they could not be put back as they were: an SNS subscription (a new one has another ARN, its
//! attributes must be set one by one, and what was published meanwhile is gone) and a bucket's notifications (one document for all of the
//! bucket's receivers, replaced as a whole, without a revision to hold it to). Freeze the function instead: SNS and S3 call it asynchronously,
//! and `capture-async-events` keeps what they send.

use super::qualifiers::{self, LATEST};
use super::{ActCx, ActError, Cell};
use crate::aws::fault::tame;
use crate::model::params::{Param, ParamKind};
use crate::model::target::Target;
use serde_json::{Value, json};

pub(super) const ACCEPT_SHARED: Param = Param {
    name: "accept-shared",
    kind: ParamKind::Word(&["false", "true"]),
    default: "false",
    doc: "stop a source that serves others beside this function too; without it such a source is refused, and whom it serves is said",
};

/// Every ARN under which the function can be called: a source is found under the exact one that it names.
pub(super) async fn names(cx: &ActCx<'_>) -> Result<Vec<String>, ActError> {
    let function = cx.target().arn();
    let mut all = vec![function.clone(), format!("{function}:{LATEST}")];
    all.extend(qualifiers::aliases(cx).await?.into_iter().map(|alias| format!("{function}:{alias}")));
    let versions = qualifiers::versions(cx).await?.into_iter().filter(|v| v.name != LATEST);
    all.extend(versions.map(|v| format!("{function}:{}", v.name)));
    Ok(all)
}

/// Whether the ARN is the function's, with or without a qualifier.
pub(super) fn is_ours(target: &Target, arn: &str) -> bool {
    arn.strip_prefix(target.arn().as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

/// Whether a universal target, which names the function in its input only, calls it: by name, partial ARN or ARN.
pub(super) fn input_is_ours(target: &Target, input: &str) -> bool {
    let Ok(input) = serde_json::from_str::<Value>(input) else { return false };
    let named = input["FunctionName"].as_str().unwrap_or_default();
    let partial = format!("{}:function:", target.account);
    let bare = named.strip_prefix(&partial).or_else(|| named.strip_prefix("function:")).unwrap_or(named);
    is_ours(target, named) || bare.split(':').next() == Some(target.function.as_str())
}

/// The facts of a cell: whom else the source serves (`Err` says why that is not known), and whether that was accepted.
pub(super) fn facts(cx: &ActCx<'_>, others: Result<Vec<String>, &ActError>) -> Value {
    let others = others.map_or_else(|e| json!({"unknown": e.to_string()}), |others| json!(others));
    json!({"others": others, "accept_shared": cx.params().text(ACCEPT_SHARED.name).as_deref() == Some("true")})
}

/// Refuses to stop what serves others, unless that was accepted.
pub(super) fn may_stop(cell: &Cell) -> Result<(), ActError> {
    if cell.facts["accept_shared"] == true {
        return Ok(());
    }
    let whom = match &cell.facts["others"] {
        Value::Array(others) if others.is_empty() => return Ok(()),
        Value::Array(others) => {
            let named: Vec<&str> = others.iter().filter_map(Value::as_str).collect();
            format!("it serves others too: {}", tame(&named.join(", "), 300))
        }
        _ => "whom else it serves could not be read".to_string(),
    };
    Err(ActError::Refused(format!("{} is left running: {whom}; `accept-shared: true` stops it for all of them", cell.label)))
}

/// What AWS allows in the names of rules, buses, pipes, schedules: nothing that could mean more than itself in a cell's id.
pub(super) fn plain(name: &str, slashes: bool) -> bool {
    let ok = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b) || (slashes && b == b'/');
    (1..=256).contains(&name.len()) && name.bytes().all(ok)
}

/// A name from AWS that is none: not acted upon, and told.
pub(super) fn no_name(what: &str, name: &str) -> ActError {
    ActError::Refused(format!("AWS stated a name of {what} that is none: `{}`", tame(name, 80)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::CellId;

    fn target() -> Target {
        Target {
            partition: "aws".into(),
            account: "123456789012".into(),
            region: "eu-west-1".into(),
            function: "payments".into(),
            qualifier: None,
        }
    }

    #[test]
    fn a_longer_name_is_another_function() {
        let arn = target().arn();
        for (ours, other) in [("", "x"), (":live", "-2"), (":$LATEST", "s:live")] {
            assert!(is_ours(&target(), &format!("{arn}{ours}")) && !is_ours(&target(), &format!("{arn}{other}")));
        }
        for ours in ["payments", "payments:live", "123456789012:function:payments", "function:payments:2", &arn] {
            assert!(input_is_ours(&target(), &json!({"FunctionName": ours, "Payload": "{}"}).to_string()), "{ours}");
        }
        for other in [
            "{\"FunctionName\":\"payments2\"}",
            "{}",
            "payments",
            "{\"FunctionName\":{}}",
            "{\"FunctionName\":\"999999999999:function:x\"}",
        ] {
            assert!(!input_is_ours(&target(), other), "{other}");
        }
    }

    #[test]
    fn what_serves_others_needs_a_word() {
        let cell = |facts: Value| Cell { id: CellId::new("a", "b"), label: "the rule r".into(), facts };
        assert!(may_stop(&cell(json!({"others": [], "accept_shared": false}))).is_ok());
        assert!(may_stop(&cell(json!({"others": ["x"], "accept_shared": true}))).is_ok());
        let refused = may_stop(&cell(json!({"others": ["arn:aws:sqs:::q"], "accept_shared": false}))).unwrap_err().to_string();
        assert!(refused.contains("arn:aws:sqs:::q") && refused.contains("accept-shared: true"), "{refused}");
        for unknown in [json!({"others": {"unknown": "denied"}, "accept_shared": false}), json!({})] {
            assert!(may_stop(&cell(unknown)).is_err(), "not knowing is no permission");
        }
    }
}
