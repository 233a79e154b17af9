//! Single statements of a resource policy, for where whole documents cannot be put (`containment.md` C3b): taken out by `RemovePermission`,
//! made again by `AddPermission`. Which statements those two can bring back exactly is decided here, before anything is taken out.

use super::AwsCli;
use crate::model::canon;
use serde_json::{Map, Value, json};

/// The arguments of `AddPermission` (botocore 1.44.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub sid: String,
    pub action: String,
    pub principal: String,
    pub source_arn: Option<String>,
    pub source_account: Option<String>,
    pub organisation: Option<String>,
    pub url_auth_type: Option<String>,
    pub event_source_token: Option<String>,
    pub via_function_url: Option<bool>,
}

/// Conditions that `AddPermission` writes: operator, key.
const SOURCE_ARN: (&str, &str) = ("ArnLike", "AWS:SourceArn");
const SOURCE_ACCOUNT: (&str, &str) = ("StringEquals", "AWS:SourceAccount");
const ORGANISATION: (&str, &str) = ("StringEquals", "aws:PrincipalOrgID");
const URL_AUTH_TYPE: (&str, &str) = ("StringEquals", "lambda:FunctionUrlAuthType");
const TOKEN: (&str, &str) = ("StringEquals", "lambda:EventSourceToken");
const VIA_URL: (&str, &str) = ("Bool", "lambda:InvokedViaFunctionUrl");

impl Grant {
    /// The arguments that would make exactly this statement again; `None` when no arguments would.
    pub fn of(statement: &Value) -> Option<Grant> {
        let text = |v: &Value| v.as_str().map(str::to_string);
        let condition = |(operator, key): (&str, &str)| statement.get("Condition")?.get(operator)?.get(key).and_then(text);
        let principal = match statement.get("Principal")? {
            Value::String(all) => all.clone(),
            Value::Object(kinds) if kinds.len() == 1 => kinds.values().next().and_then(text)?,
            _ => return None,
        };
        let grant = Grant {
            sid: text(statement.get("Sid")?)?,
            action: text(statement.get("Action")?)?,
            principal,
            source_arn: condition(SOURCE_ARN),
            source_account: condition(SOURCE_ACCOUNT),
            organisation: condition(ORGANISATION),
            url_auth_type: condition(URL_AUTH_TYPE),
            event_source_token: condition(TOKEN),
            via_function_url: condition(VIA_URL).map(|v| v == "true"),
        };
        // The aws-cli reads files and addresses where a value looks like one.
        let told = [Some(&grant.action), Some(&grant.principal), grant.source_arn.as_ref(), grant.event_source_token.as_ref()];
        let harmless = !told.into_iter().flatten().any(|v| v.contains("://"));
        (harmless && grant.statement(statement.get("Resource")?) == *statement).then_some(grant)
    }

    /// The statement as `AddPermission` writes it.
    fn statement(&self, resource: &Value) -> Value {
        let principal = if self.principal == "*" {
            json!("*")
        // A principal that was deleted stands there as its unique id (`AROA…`), which nobody can be granted anything by.
        } else if self.principal.starts_with("arn:") || self.principal.bytes().all(|b| b.is_ascii_digit()) {
            json!({"AWS": self.principal})
        } else if self.principal.contains('.') && self.principal.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) {
            json!({"Service": self.principal})
        } else {
            Value::Null
        };
        let mut conditions = Map::new();
        let mut add = |(operator, key): (&str, &str), value: Option<&str>| {
            if let (Some(value), Value::Object(of_operator)) = (value, conditions.entry(operator).or_insert_with(|| json!({}))) {
                of_operator.insert(key.to_string(), json!(value));
            }
        };
        add(SOURCE_ARN, self.source_arn.as_deref());
        add(SOURCE_ACCOUNT, self.source_account.as_deref());
        add(ORGANISATION, self.organisation.as_deref());
        add(URL_AUTH_TYPE, self.url_auth_type.as_deref());
        add(TOKEN, self.event_source_token.as_deref());
        add(VIA_URL, self.via_function_url.map(|v| if v { "true" } else { "false" }));
        conditions.retain(|_, of_operator| of_operator.as_object().is_some_and(|o| !o.is_empty()));
        let mut statement =
            json!({"Sid": self.sid, "Effect": "Allow", "Principal": principal, "Action": self.action, "Resource": resource});
        if !conditions.is_empty() {
            statement["Condition"] = Value::Object(conditions);
        }
        statement
    }

    /// `add-permission`, unless the statement is there.
    pub fn by_hand(&self, function: &str, qualifier: Option<&str>) -> AwsCli {
        let mut of = vec![("--function-name", function)];
        of.extend(qualifier.map(|q| ("--qualifier", q)));
        let mut options = of.clone();
        options.extend([("--statement-id", self.sid.as_str()), ("--action", &self.action), ("--principal", &self.principal)]);
        let optional = [
            ("--source-arn", &self.source_arn),
            ("--source-account", &self.source_account),
            ("--principal-org-id", &self.organisation),
            ("--function-url-auth-type", &self.url_auth_type),
            ("--event-source-token", &self.event_source_token),
        ];
        options.extend(optional.into_iter().filter_map(|(name, value)| value.as_deref().map(|v| (name, v))));
        let add = AwsCli::new("lambda", "add-permission", options);
        let add = match self.via_function_url {
            None => add,
            Some(true) => add.flag("--invoked-via-function-url"),
            Some(false) => add.flag("--no-invoked-via-function-url"),
        };
        let shown = shown(&self.sid);
        add.unless_says("lambda", "get-policy", of.into_iter().chain([("--query", shown.as_str())]), "True")
    }
}

/// Whether the policy's text, as Lambda writes it, has a statement of this id: `True` or `False`.
fn shown(sid: &str) -> String {
    format!("contains(Policy, '\"Sid\":\"{sid}\"')")
}

/// `remove-permission`, if the statement is there.
pub(super) fn removal_by_hand(function: &str, qualifier: Option<&str>, sid: &str) -> AwsCli {
    let mut of = vec![("--function-name", function)];
    of.extend(qualifier.map(|q| ("--qualifier", q)));
    let (remove, shown) = (of.clone().into_iter().chain([("--statement-id", sid)]), shown(sid));
    AwsCli::new("lambda", "remove-permission", remove).unless_says(
        "lambda",
        "get-policy",
        of.into_iter().chain([("--query", shown.as_str())]),
        "False",
    )
}

/// Statements of a policy that let somebody invoke, with their ids, each in its canonical text. One that has no id cannot be taken out.
pub(super) fn grants(policy: &Value) -> Vec<(Option<String>, String)> {
    let all = match policy.get("Statement") {
        Some(Value::Array(all)) => all.as_slice(),
        Some(one @ Value::Object(_)) => std::slice::from_ref(one),
        _ => &[],
    };
    all.iter()
        .filter(|s| lets_invoke(s))
        .filter_map(|s| Some((s.get("Sid").and_then(Value::as_str).map(str::to_string), text(s)?)))
        .collect()
}

/// The statement of this id, in its canonical text.
pub(super) fn statement(policy: &Value, sid: &str) -> Option<String> {
    match policy.get("Statement")? {
        Value::Array(all) => all.iter().find(|s| s.get("Sid").and_then(Value::as_str) == Some(sid)).and_then(text),
        one => (one.get("Sid").and_then(Value::as_str) == Some(sid)).then(|| text(one))?,
    }
}

fn text(statement: &Value) -> Option<String> {
    canon::to_vec("a statement", statement).ok().and_then(|b| String::from_utf8(b).ok())
}

fn lets_invoke(statement: &Value) -> bool {
    if statement.get("Effect").and_then(Value::as_str) != Some("Allow") {
        return false;
    }
    // All but something: in doubt it lets.
    if statement.get("NotAction").is_some() {
        return true;
    }
    let covers = |action: &str| {
        let action = action.to_ascii_lowercase();
        let before_wildcard = action.split(['*', '?']).next().unwrap_or_default();
        action.starts_with("lambda:invoke")
            || (before_wildcard.len() < action.len() && "lambda:invokefunction".starts_with(before_wildcard))
    };
    match statement.get("Action") {
        Some(Value::String(one)) => covers(one),
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).any(covers),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket() -> Value {
        json!({"Sid": "s3", "Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "lambda:InvokeFunction",
               "Resource": "arn:f:live", "Condition": {"StringEquals": {"AWS:SourceAccount": "123456789012"},
                                                       "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::b"}}})
    }

    #[test]
    fn what_add_permission_wrote_it_can_write_again() {
        let grant = Grant::of(&bucket()).unwrap();
        assert_eq!((grant.principal.as_str(), grant.source_arn.as_deref()), ("s3.amazonaws.com", Some("arn:aws:s3:::b")));
        let open = json!({"Sid": "u", "Effect": "Allow", "Principal": "*", "Action": "lambda:InvokeFunctionUrl", "Resource": "arn:f",
                          "Condition": {"StringEquals": {"lambda:FunctionUrlAuthType": "NONE"},
                                        "Bool": {"lambda:InvokedViaFunctionUrl": "true"}}});
        assert_eq!(Grant::of(&open).unwrap().via_function_url, Some(true));
        let account = json!({"Sid": "a", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
                             "Action": "lambda:*", "Resource": "arn:f"});
        assert!(Grant::of(&account).is_some());
    }

    #[test]
    fn what_it_cannot_write_is_known_before() {
        for change in [
            (|s: &mut Value| s["Principal"] = json!({"AWS": "AROAEXAMPLEOFADELETEDROLE"})) as fn(&mut Value),
            |s| s["Principal"] = json!({"AWS": ["arn:aws:iam::1:root", "arn:aws:iam::2:root"]}),
            |s| s["Principal"] = json!({"AWS": "*"}),
            |s| s["Principal"] = json!({"CanonicalUser": "arn:x"}),
            |s| s["Action"] = json!(["lambda:InvokeFunction", "lambda:GetFunction"]),
            |s| s["Condition"]["IpAddress"] = json!({"aws:SourceIp": "192.0.2.0"}),
            |s| s["Condition"]["StringEquals"]["aws:SourceVpc"] = json!("vpc-1"),
            |s| s["Condition"] = json!({"StringLike": {"AWS:SourceArn": "arn:aws:s3:::b"}}),
            |s| s["Effect"] = json!("Deny"),
            |s| s["Principal"] = json!({"Service": "file:///root/.aws/credentials"}),
            |s| s["Condition"]["ArnLike"]["AWS:SourceArn"] = json!("file:///etc/hosts"),
            |s| drop(s.as_object_mut().unwrap().remove("Sid")),
            |s| s["NotResource"] = json!("x"),
        ] {
            let mut statement = bucket();
            change(&mut statement);
            assert_eq!(Grant::of(&statement), None, "{statement}");
        }
    }

    #[test]
    fn every_statement_that_lets_invoke_is_found() {
        let with = |action: Value| json!({"Sid": "x", "Effect": "Allow", "Action": action});
        for action in ["lambda:InvokeFunction", "lambda:invokefunctionurl", "lambda:*", "*", "lambda:Inv*", "lambda:I?vokeFunction"] {
            assert!(lets_invoke(&with(json!(action))), "{action}");
        }
        assert!(lets_invoke(&with(json!(["lambda:GetFunction", "lambda:InvokeAsync"]))));
        assert!(lets_invoke(&json!({"Effect": "Allow", "NotAction": "lambda:GetFunction"})));
        for action in ["lambda:GetFunction", "lambda:Get*", "s3:*", ""] {
            assert!(!lets_invoke(&with(json!(action))), "{action}");
        }
        let policy = json!({"Statement": [bucket(), {"Effect": "Deny", "Action": "*"}, {"Effect": "Allow", "Action": "*"}]});
        let found = grants(&policy);
        assert_eq!(found.iter().map(|(sid, _)| sid.as_deref()).collect::<Vec<_>>(), [Some("s3"), None]);
        assert_eq!(statement(&policy, "s3").as_ref(), Some(&found[0].1));
        assert_eq!(statement(&policy, "other"), None);
    }

    #[test]
    fn by_hand_it_may_be_done_twice() {
        let line = Grant::of(&bucket()).unwrap().by_hand("f", Some("live")).to_string();
        assert_eq!(
            line,
            r#"if [ "$(aws lambda get-policy --function-name f --qualifier live --query 'contains(Policy, '\''"Sid":"s3"'\'')' --output text)" != True ]; "#
                .to_string()
                + "then aws lambda add-permission --function-name f --qualifier live --statement-id s3 --action lambda:InvokeFunction \
                   --principal s3.amazonaws.com --source-arn arn:aws:s3:::b --source-account 123456789012; fi"
        );
        assert!(removal_by_hand("f", None, "s3").to_string().contains("!= False ]; then aws lambda remove-permission"));
    }
}
