//! Resource policy documents as text: our denies added to what is there, and told apart from it again. Pure; asks nobody.
//!
//! Two forms of one text, on purpose. A document without our denies is kept byte for byte, because restore must give back exactly that. One
//! with them is kept in canonical form (RFC 8785): nobody wrote it but us, and whether Lambda keeps blanks and member order of what it is
//! given is not known (DOUBT(aws): PutResourcePolicy, 2026-07-09). So its read back equals what was written either way.

use crate::model::canon;
use serde_json::{Map, Value, json};

/// `PutResourcePolicy` takes no more (botocore 1.44.5, `ResourcePolicy`; "20 KB" in the developer guide).
pub(super) const LIMIT: usize = 20_480;

/// A hostile answer is not parsed at any length.
const READABLE: usize = 4 * LIMIT;

const INVOCATION: &str = "FreezeframeDenyInvocation";
const UPDATES: &str = "FreezeframeDenyUpdates";

/// Writes that a resource policy can speak about (developer guide, "Supported API actions" of resource-based policies), but for those that
/// the denial itself would be lifted by, and those of provisioned concurrency, which belong to the owner's scaling.
const UPDATE_ACTIONS: [&str; 10] = [
    "lambda:CreateAlias",
    "lambda:DeleteAlias",
    "lambda:DeleteFunction",
    "lambda:DeleteFunctionConcurrency",
    "lambda:DeleteFunctionEventInvokeConfig",
    "lambda:PublishVersion",
    "lambda:PutFunctionConcurrency",
    "lambda:PutFunctionEventInvokeConfig",
    "lambda:UpdateAlias",
    "lambda:UpdateFunctionCode",
];

/// Nobody may invoke `resources`.
pub(super) fn deny_invocation(resources: &[String]) -> Value {
    json!({
        "Sid": INVOCATION, "Effect": "Deny", "Principal": "*",
        "Action": ["lambda:InvokeFunction", "lambda:InvokeFunctionUrl"],
        "Resource": one_or_all(resources),
    })
}

/// Nobody but `except` may change `resources`.
pub(super) fn deny_updates(resources: &[String], except: &str) -> Value {
    json!({
        "Sid": UPDATES, "Effect": "Deny", "Principal": "*",
        "Action": UPDATE_ACTIONS,
        "Resource": one_or_all(resources),
        "Condition": {"ArnNotEquals": {"aws:PrincipalArn": except}},
    })
}

fn one_or_all(resources: &[String]) -> Value {
    match resources {
        [one] => json!(one),
        all => json!(all),
    }
}

/// What is said where nothing can be done with a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unusable(pub String);

fn parsed(text: &str) -> Result<Map<String, Value>, Unusable> {
    if text.len() > READABLE {
        return Err(Unusable(format!("it is {} bytes long", text.len())));
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(document)) => Ok(document),
        Ok(_) => Err(Unusable("it is no JSON object".into())),
        Err(e) => Err(Unusable(format!("it is no JSON: {e}"))),
    }
}

/// IAM takes one statement for a list of one.
fn statements(document: &Map<String, Value>) -> Result<Vec<Value>, Unusable> {
    match document.get("Statement") {
        None => Ok(vec![]),
        Some(Value::Array(all)) => Ok(all.clone()),
        Some(one @ Value::Object(_)) => Ok(vec![one.clone()]),
        Some(_) => Err(Unusable("its statements are neither a list nor a statement".into())),
    }
}

fn sid(statement: &Value) -> &str {
    statement.get("Sid").and_then(Value::as_str).unwrap_or_default()
}

/// A statement of our making, of this case or another.
fn is_ours(statement: &Value) -> bool {
    statement.get("Effect").and_then(Value::as_str) == Some("Deny") && [INVOCATION, UPDATES].iter().any(|s| sid(statement).starts_with(s))
}

fn same_but_for_sid(a: &Value, b: &Value) -> bool {
    let bare = |v: &Value| {
        let mut v = v.clone();
        v.as_object_mut().map(|o| o.remove("Sid"));
        v
    };
    bare(a) == bare(b)
}

fn canonical(document: &Map<String, Value>) -> Result<String, Unusable> {
    let bytes = canon::to_vec("a resource policy", document).map_err(|e| Unusable(e.to_string()))?;
    String::from_utf8(bytes).map_err(|e| Unusable(e.to_string()))
}

fn blank() -> Map<String, Value> {
    Map::from_iter([("Version".to_string(), json!("2012-10-17")), ("Statement".to_string(), json!([]))])
}

/// The document with these denies in it, whatever else it says left as it is. A deny that is there already is not added again.
pub(super) fn with(text: Option<&str>, denies: &[Value]) -> Result<String, Unusable> {
    let mut document = text.map_or_else(|| Ok(blank()), parsed)?;
    let mut all = statements(&document)?;
    for deny in denies {
        if all.iter().any(|s| same_but_for_sid(s, deny)) {
            continue;
        }
        // A Sid must be the only one of its name, and somebody may have taken ours.
        let mut deny = deny.clone();
        let name = sid(&deny).to_string();
        let free = (1u32..).map(|n| if n == 1 { name.clone() } else { format!("{name}{n}") });
        let taken = |s: &String| all.iter().any(|other| sid(other) == s);
        deny["Sid"] = json!(free.into_iter().find(|s| !taken(s)));
        all.push(deny);
    }
    document.insert("Statement".into(), json!(all));
    canonical(&document)
}

/// The text as it goes into the journal: see above.
pub(super) fn noted(text: String) -> String {
    match holds_ours(&text) {
        true => parsed(&text).and_then(|d| canonical(&d)).unwrap_or(text),
        false => text,
    }
}

pub(super) fn holds_ours(text: &str) -> bool {
    parsed(text).and_then(|d| statements(&d)).is_ok_and(|all| all.iter().any(is_ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    const THEIRS: &str = "{ \"Version\":\"2012-10-17\",\n \"Id\":\"default\", \"Statement\":[{\"Sid\":\"s3\",\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"lambda:InvokeFunction\",\"Resource\":\"arn\"}] }";

    fn deny() -> Value {
        deny_invocation(&["arn:f".into()])
    }

    #[test]
    fn a_deny_is_added_and_nothing_is_taken_away() {
        let text = with(Some(THEIRS), &[deny()]).unwrap();
        let (before, after): (Value, Value) = (serde_json::from_str(THEIRS).unwrap(), serde_json::from_str(&text).unwrap());
        assert_eq!(after["Statement"][0], before["Statement"][0]);
        assert_eq!((after["Id"].as_str(), after["Statement"].as_array().unwrap().len()), (Some("default"), 2));
        assert_eq!(after["Statement"][1], deny());
        assert_eq!(with(Some(&text), &[deny()]).unwrap(), text, "twice is once");
        assert!(holds_ours(&text) && !holds_ours(THEIRS));
    }

    #[test]
    fn what_we_did_not_write_is_kept_to_the_byte_and_what_we_did_in_one_form() {
        assert_eq!(noted(THEIRS.into()), THEIRS);
        let text = with(None, &[deny()]).unwrap();
        let pretty = serde_json::to_string_pretty(&serde_json::from_str::<Value>(&text).unwrap()).unwrap();
        assert_eq!(noted(pretty), text);
    }

    #[test]
    fn somebody_elses_statement_of_our_name_stays() {
        let taken = format!(
            "{{\"Statement\":{{\"Sid\":\"{INVOCATION}\",\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"lambda:InvokeFunction\",\"Resource\":\"arn:f\"}}}}"
        );
        let after: Value = serde_json::from_str(&with(Some(&taken), &[deny(), deny_updates(&["arn:f".into()], "arn:r")]).unwrap()).unwrap();
        let sids: Vec<&str> = after["Statement"].as_array().unwrap().iter().map(sid).collect();
        assert_eq!(sids, [INVOCATION, "FreezeframeDenyInvocation2", UPDATES]);
        assert!(after.get("Version").is_none(), "the version of the language is not ours to choose");
    }

    #[test]
    fn hostile_documents_are_refused_and_not_guessed_at() {
        for bad in ["", "[]", "{", "{\"Statement\":3}", &format!("{{\"Id\":\"{}\"}}", "x".repeat(READABLE))] {
            assert!(with(Some(bad), &[deny()]).is_err());
            assert!(!holds_ours(bad));
            assert_eq!(noted(bad.to_string()), bad);
        }
    }
}
