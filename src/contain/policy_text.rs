//! What a policy document says, as far as containment must know: whom a trust policy admits, and whether two texts say the same.
//!
//! Documents are AWS's word and may be an attacker's: everything here is bounded by IAM's own limits, nothing is executed or interpolated.

use serde_json::Value;
use std::collections::BTreeSet;

/// The id that stands in a trust policy for a user or role that is gone (`AROA…`, `AIDA…`): as long as the identity lives, IAM shows its ARN
/// (IAM User Guide, "AWS JSON policy elements: Principal"). Such an id admits nobody, it is never given again, and IAM refuses a document
/// that names it when it is put anew ("Invalid principal in policy").
pub(super) fn is_dead_principal(text: &str) -> bool {
    ["AROA", "AIDA"].iter().any(|p| text.starts_with(p))
        && (16..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::String(s) => vec![s],
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    }
}

pub(super) fn statements(document: &Value) -> Option<Vec<&Value>> {
    match document.get("Statement")? {
        Value::Array(all) => Some(all.iter().collect()),
        one @ Value::Object(_) => Some(vec![one]),
        _ => None,
    }
}

/// Everybody whom the document admits, as it names them: ARNs, account numbers, services, `*`. `None` when it is no policy document that
/// can be understood. Conditions are not weighed: whoever is named may be admitted.
pub(super) fn admitted(document: &str) -> Option<BTreeSet<String>> {
    let document: Value = serde_json::from_str(document).ok()?;
    let mut all = BTreeSet::new();
    for statement in statements(&document)? {
        if statement.get("Effect").and_then(Value::as_str) != Some("Allow") {
            continue;
        }
        match statement.get("Principal") {
            Some(Value::String(one)) => drop(all.insert(one.clone())),
            Some(Value::Object(kinds)) => all.extend(kinds.values().flat_map(strings).map(str::to_string)),
            // `NotPrincipal` with `Allow` admits everybody but a few.
            _ => drop(all.insert("*".to_string())),
        }
    }
    Some(all)
}

/// The document without the identities that are gone, and without what is left empty by that. `None` when nothing would be left of it, or it
/// names none.
pub(super) fn without_dead_principals(document: &str) -> Option<String> {
    let mut document: Value = serde_json::from_str(document).ok()?;
    let mut dropped = false;
    let list = match document.get_mut("Statement")? {
        Value::Array(all) => std::mem::take(all),
        one => vec![one.take()],
    };
    let mut kept = vec![];
    for mut statement in list {
        let mut empty = false;
        if let Some(principal) = statement.get_mut("Principal").and_then(Value::as_object_mut) {
            for (_, named) in principal.iter_mut() {
                let alive: Vec<Value> = strings(named).into_iter().filter(|p| !is_dead_principal(p)).map(Value::from).collect();
                if alive.len() < strings(named).len() {
                    dropped = true;
                    *named = Value::Array(alive);
                }
            }
            principal.retain(|_, named| named.as_array().is_none_or(|all| !all.is_empty()));
            empty = principal.is_empty();
        }
        if !empty {
            kept.push(statement);
        }
    }
    if !dropped || kept.is_empty() {
        return None;
    }
    *document.get_mut("Statement")? = Value::Array(kept);
    Some(document.to_string())
}

/// Whether two trust policies say the same to the same people: blanks, the order of members and of lists, and lists of one do not matter, nor
/// do identities that are gone. IAM keeps the meaning of a trust policy and not its text: it stores principals by their ids and writes them out
/// again as ARNs.
pub(super) fn same_trust(a: &str, b: &str) -> bool {
    let read = |text: &str| {
        let alive = without_dead_principals(text);
        serde_json::from_str::<Value>(alive.as_deref().unwrap_or(text)).ok().map(|v| unordered(&v))
    };
    a == b || matches!((read(a), read(b)), (Some(a), Some(b)) if a == b)
}

/// A value whose equality is blind to the order of members and list entries, and to whether one thing stands in a list.
fn unordered(value: &Value) -> Value {
    match value {
        Value::Array(all) => {
            let mut all: Vec<Value> = all.iter().map(unordered).collect();
            all.sort_by_key(ToString::to_string);
            all.dedup();
            if all.len() == 1 { all.remove(0) } else { Value::Array(all) }
        }
        Value::Object(members) => {
            let mut members: Vec<(String, Value)> = members.iter().map(|(k, v)| (k.clone(), unordered(v))).collect();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(members.into_iter().collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEAD: &str = "AROAEXAMPLEDEAD00001";

    #[test]
    fn whom_a_trust_policy_admits() {
        let named =
            |statement: &str| admitted(&format!("{{\"Statement\":{statement}}}")).map(|a| a.into_iter().collect::<Vec<_>>().join(" "));
        for (statement, who) in [
            (r#"{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"}}"#, Some("lambda.amazonaws.com")),
            (r#"[{"Effect":"Allow","Principal":{"Service":["a","b"],"AWS":"c"}},{"Effect":"Deny","Principal":"*"}]"#, Some("a b c")),
            (r#"[{"Effect":"Allow","Principal":"*"}]"#, Some("*")),
            (r#"[{"Effect":"Allow","NotPrincipal":{"AWS":"x"}}]"#, Some("*")),
            (r#"[]"#, Some("")),
            (r#""x""#, None),
        ] {
            assert_eq!(named(statement).as_deref(), who, "{statement}");
        }
        assert_eq!(admitted("{"), None);
    }

    #[test]
    fn the_same_said_otherwise_is_the_same() {
        let a = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["x","y"]},"Action":"sts:AssumeRole"}]}"#;
        let b = "{\n \"Statement\": {\"Action\": [\"sts:AssumeRole\"], \"Effect\": \"Allow\", \"Principal\": {\"AWS\": [\"y\", \"x\"]}},\n \"Version\": \"2012-10-17\"}";
        assert!(same_trust(a, b));
        assert!(!same_trust(a, &b.replace("\"x\"", "\"z\"")) && !same_trust(a, &b.replace("Allow", "Deny")) && !same_trust(a, "{"));
        assert!(same_trust("{", "{"));
    }

    #[test]
    fn who_is_gone_is_left_out_and_nobody_else() {
        assert!(is_dead_principal(DEAD) && !is_dead_principal("AROA") && !is_dead_principal("arn:aws:iam::1:role/AROAEXAMPLEDEAD00001"));
        let doc = |aws: &str| {
            format!(
                r#"{{"Statement":[{{"Effect":"Allow","Principal":{{"Service":"lambda.amazonaws.com"}}}},{{"Effect":"Allow","Principal":{{"AWS":{aws}}}}}]}}"#
            )
        };
        let left = without_dead_principals(&doc(&format!("[\"{DEAD}\",\"arn:x\"]"))).unwrap();
        assert!(same_trust(&left, &doc("\"arn:x\"")) && !left.contains(DEAD));
        let gone = without_dead_principals(&doc(&format!("\"{DEAD}\""))).unwrap();
        assert_eq!(admitted(&gone).unwrap().into_iter().collect::<Vec<_>>(), ["lambda.amazonaws.com"]);
        assert_eq!(without_dead_principals(&doc("\"arn:x\"")), None, "there was none to leave out");
        assert_eq!(without_dead_principals(&format!(r#"{{"Statement":{{"Effect":"Allow","Principal":{{"AWS":"{DEAD}"}}}}}}"#)), None);
    }
}
