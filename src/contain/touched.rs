//! What a cell touches, by the names that AWS and the owner gave it: for whoever protects things by their names (`plan::guard`).
//!
//! Names that we ourselves bring along are none of them. Our own inline policy is called `freezeframe-quarantine-…` whatever a policy says of
//! functions called `freezeframe-*`; and a text, queue or boundary that is to be written there, or pointed to from there, is not itself changed.

use super::{Cell, role};
use serde_json::Value;

/// Facts that hold what we would write, or what came of trying it out: of our own making, or the playbook's.
const BROUGHT_ALONG: [&str; 8] = ["boundary", "config", "denies", "document", "of_function", "queue", "simulated", "whole"];

/// Actions whose cells are inline policies of our own: `<role>/<policy>`.
const ON_OUR_POLICIES: [&str; 2] = ["quarantine-role", "revoke-sessions"];

impl Cell {
    /// Names and ARNs, and lists of them: its id and what was found about it.
    pub fn touched(&self) -> Vec<String> {
        let key = self.id.key();
        let role = key.split_once('/').filter(|(_, policy)| ON_OUR_POLICIES.contains(&self.id.action()) && role::is_ours(policy));
        let mut texts = vec![role.map_or(key, |(role, _)| role).to_string()];
        match &self.facts {
            Value::Object(facts) => {
                facts.iter().filter(|(name, _)| !BROUGHT_ALONG.contains(&name.as_str())).for_each(|(_, fact)| collect(fact, &mut texts));
            }
            other => collect(other, &mut texts),
        }
        texts
    }
}

fn collect(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) => into.push(text.clone()),
        Value::Array(list) => list.iter().for_each(|v| collect(v, into)),
        Value::Object(map) => map.values().for_each(|v| collect(v, into)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contain::find;
    use crate::model::id::CellId;
    use serde_json::json;

    fn touched(id: &str, facts: Value) -> Vec<String> {
        Cell { id: CellId(id.into()), label: "x".into(), facts }.touched()
    }

    #[test]
    fn only_names_that_we_bring_along_are_left_out() {
        assert!(ON_OUR_POLICIES.iter().all(|id| find(id).is_some()));
        for (id, key) in [
            ("quarantine-role/r/freezeframe-quarantine-f", "r"),
            ("revoke-sessions/r/freezeframe-revoked-sessions-20261120T120000Z", "r"),
            // Somebody else's name, or of another action's cell, is what it is.
            ("quarantine-role/r/freezeframe-x", "r/freezeframe-x"),
            ("disable-schedules/default/freezeframe-quarantine-x", "default/freezeframe-quarantine-x"),
            ("freeze-concurrency/freezeframe-quarantine-x", "freezeframe-quarantine-x"),
        ] {
            assert_eq!(touched(id, json!({})), [key]);
        }
        let facts =
            json!({"users": ["freezeframe-quarantine-x"], "source": {"arn": "a"}, "document": "d", "denies": [{"Sid": "s"}], "queue": "q"});
        let mut texts = touched("x/y", facts);
        texts.sort();
        assert_eq!(texts, ["a", "freezeframe-quarantine-x", "y"]);
    }
}
