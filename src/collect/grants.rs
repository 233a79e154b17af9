//! What a resource policy grants, statement by statement: to whom, and on whose behalf (`aws:SourceArn`). Pure reading; the document is AWS's,
//! what stands in it may be an attacker's. Nothing here judges: it finds the next question.

use crate::model::id::ItemId;
use serde::Serialize;
use serde_json::Value;

/// A resource policy holds 20 KiB at most; more statements than this are no policy of Lambda's.
const STATEMENTS: usize = 2_000;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase", tag = "kind", content = "name")]
pub enum Principal {
    /// `*`, or everybody but somebody.
    Everybody,
    /// `s3.amazonaws.com`
    Service(String),
    /// An account, role, user or session.
    Aws(String),
    /// Federated, canonical user, and what may come.
    Other(String),
}

/// Which call showed a statement. `PutResourcePolicy` (2026) can write what the older call may not show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum ShownBy {
    GetPolicy,
    GetResourcePolicy,
    Both,
}

/// One statement of one policy.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    /// `the function`, `alias live`, `version 3`.
    pub whose: String,
    /// The item that holds the policy; of both calls, the older one's.
    pub item: ItemId,
    pub shown_by: ShownBy,
    pub sid: Option<String>,
    pub allow: bool,
    pub principals: Vec<Principal>,
    pub actions: Vec<String>,
    /// Values of `aws:SourceArn` in conditions that admit.
    pub sources: Vec<String>,
    pub conditions: Value,
}

/// The statements of a document; `None` when it is none.
pub(super) fn read(document: &str, whose: &str, item: ItemId, shown_by: ShownBy) -> Option<Vec<Grant>> {
    let document: Value = serde_json::from_str(document).ok()?;
    let statements: Vec<&Value> = match document.get("Statement")? {
        Value::Array(all) => all.iter().take(STATEMENTS).collect(),
        one @ Value::Object(_) => vec![one],
        _ => return None,
    };
    let grants = statements.into_iter().map(|s| Grant {
        whose: whose.to_string(),
        item,
        shown_by,
        sid: s["Sid"].as_str().map(str::to_string),
        // What we cannot read as a denial is taken to admit.
        allow: s["Effect"] != "Deny",
        principals: principals(s),
        actions: [texts(&s["Action"]), texts(&s["NotAction"]).into_iter().map(|a| format!("all but {a}")).collect()].concat(),
        sources: sources(&s["Condition"]),
        conditions: s["Condition"].clone(),
    });
    Some(grants.collect())
}

impl Grant {
    /// The same statement, whichever call showed it.
    fn says_the_same(&self, other: &Grant) -> bool {
        let words = |g: &Grant| (g.whose.clone(), g.sid.clone(), g.allow, g.principals.clone(), g.actions.clone(), g.conditions.clone());
        words(self) == words(other)
    }
}

/// The statements that the two calls showed of one policy, each once.
pub(super) fn merge(older: Vec<Grant>, newer: Vec<Grant>) -> Vec<Grant> {
    let mut all = older;
    for grant in newer {
        match all.iter_mut().find(|g| g.shown_by == ShownBy::GetPolicy && g.says_the_same(&grant)) {
            Some(known) => known.shown_by = ShownBy::Both,
            None => all.push(grant),
        }
    }
    all
}

fn principals(statement: &Value) -> Vec<Principal> {
    let mut found = vec![];
    match &statement["Principal"] {
        Value::String(who) if who == "*" => found.push(Principal::Everybody),
        Value::String(who) => found.push(Principal::Other(who.clone())),
        Value::Object(kinds) => {
            for (kind, names) in kinds {
                found.extend(texts(names).into_iter().map(|name| match kind.as_str() {
                    "AWS" if name == "*" => Principal::Everybody,
                    "AWS" => Principal::Aws(name),
                    "Service" => Principal::Service(name),
                    _ => Principal::Other(format!("{kind} {name}")),
                }));
            }
        }
        _ => {}
    }
    if !statement["NotPrincipal"].is_null() {
        found.push(Principal::Everybody);
    }
    found.sort();
    found.dedup();
    found
}

/// `aws:SourceArn` under any operator that compares for likeness or equality. Condition keys know no case.
fn sources(condition: &Value) -> Vec<String> {
    let mut found = vec![];
    for (operator, keys) in condition.as_object().into_iter().flatten() {
        if operator.contains("Not") || !(operator.contains("Arn") || operator.contains("String")) {
            continue;
        }
        for (key, values) in keys.as_object().into_iter().flatten() {
            if key.eq_ignore_ascii_case("aws:SourceArn") {
                found.extend(texts(values));
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(one) => vec![one.clone()],
        Value::Array(all) => all.iter().filter_map(|v| v.as_str().map(str::to_string)).collect(),
        _ => vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn one(statement: Value) -> Grant {
        let document = json!({"Version": "2012-10-17", "Statement": statement}).to_string();
        read(&document, "the function", ItemId(1), ShownBy::GetPolicy).unwrap().remove(0)
    }

    #[test]
    fn principals_in_every_form_that_iam_stores() {
        for (principal, read) in [
            (json!("*"), vec![Principal::Everybody]),
            (json!({"AWS": "*"}), vec![Principal::Everybody]),
            (json!({"AWS": ["arn:aws:iam::111122223333:root"]}), vec![Principal::Aws("arn:aws:iam::111122223333:root".into())]),
            (
                json!({"Service": ["sns.amazonaws.com", "s3.amazonaws.com"]}),
                vec![Principal::Service("s3.amazonaws.com".into()), Principal::Service("sns.amazonaws.com".into())],
            ),
            (json!({"Federated": "x"}), vec![Principal::Other("Federated x".into())]),
            (json!(["odd"]), vec![]),
        ] {
            assert_eq!(one(json!({"Effect": "Allow", "Principal": principal})).principals, read);
        }
        assert_eq!(one(json!({"Effect": "Allow", "NotPrincipal": {"AWS": "x"}})).principals, [Principal::Everybody]);
    }

    #[test]
    fn sources_are_found_under_every_spelling_and_only_where_they_admit() {
        let grant = one(json!({"Effect": "Allow", "Condition": {
            "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::a"},
            "ForAnyValue:StringLike": {"aws:sourcearn": ["arn:aws:s3:::b", "arn:aws:s3:::a"]},
            "ArnNotLike": {"aws:SourceArn": "arn:aws:s3:::not"},
            "StringEquals": {"aws:SourceAccount": "123456789012"},
            "Bool": "odd"
        }}));
        assert_eq!(grant.sources, ["arn:aws:s3:::a", "arn:aws:s3:::b"]);
        assert!(grant.allow);
    }

    #[test]
    fn what_is_no_policy_is_said_to_be_none() {
        for odd in ["", "[]", "{}", r#"{"Statement": 3}"#, "\u{0}"] {
            assert!(read(odd, "x", ItemId(1), ShownBy::GetPolicy).is_none(), "{odd:?}");
        }
        assert_eq!(read(r#"{"Statement": []}"#, "x", ItemId(1), ShownBy::GetPolicy).unwrap().len(), 0);
    }

    #[test]
    fn a_statement_that_both_calls_show_is_one_and_what_one_alone_shows_stays() {
        let doc = |statements: Value| json!({"Statement": statements}).to_string();
        let allow = json!({"Sid": "a", "Effect": "Allow", "Principal": "*", "Action": "lambda:InvokeFunction"});
        let mut narrower = allow.clone();
        narrower["Condition"] = json!({"StringEquals": {"aws:PrincipalOrgID": "o-1"}});
        let deny = json!({"Sid": "a", "Effect": "Deny", "Principal": "*", "Action": "lambda:InvokeFunction"});
        let older = read(&doc(json!([allow])), "the function", ItemId(1), ShownBy::GetPolicy).unwrap();
        let newer = read(&doc(json!([allow, narrower, deny])), "the function", ItemId(2), ShownBy::GetResourcePolicy).unwrap();
        let merged = merge(older, newer);
        let seen: Vec<_> = merged.iter().map(|g| (g.item, g.shown_by, g.allow)).collect();
        assert_eq!(
            seen,
            [
                (ItemId(1), ShownBy::Both, true),
                (ItemId(2), ShownBy::GetResourcePolicy, true),
                (ItemId(2), ShownBy::GetResourcePolicy, false)
            ]
        );
    }
}
