//! Which CloudTrail records are about a function: by its name or ARN, its role, or a session of either. Pure. What is kept has no secret in
//! it: session tokens and secret keys are withheld wherever they stand.

use serde_json::Value;
use std::collections::BTreeSet;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filter {
    function: String,
    function_arn: String,
    role: Option<Role>,
    /// Keys whose every use is wanted.
    keys: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Role {
    arn: String,
    name: String,
    /// `…:assumed-role/<name>/`.
    session: String,
}

impl Role {
    fn of(arn: &str) -> Option<Role> {
        let name = arn.split_once(":role/")?.1.rsplit('/').next().filter(|n| !n.is_empty())?;
        Some(Role { arn: arn.to_string(), name: name.to_string(), session: format!(":assumed-role/{name}/") })
    }
}

/// Members whose values are secrets, in lower case.
const SECRETS: [&str; 4] = ["sessiontoken", "secretaccesskey", "securitytoken", "x-amz-security-token"];
const WITHHELD: &str = "[withheld]";

impl Filter {
    pub fn new(function: &str, function_arn: &str, role_arn: Option<&str>) -> Self {
        let role = role_arn.and_then(Role::of);
        Filter { function: function.to_string(), function_arn: function_arn.to_string(), role, keys: BTreeSet::new() }
    }

    /// The same, when more is known.
    pub fn knowing(&self, role_arn: Option<&str>, keys: BTreeSet<String>) -> Self {
        let role = self.role.clone().or_else(|| role_arn.and_then(Role::of));
        Filter { role, keys, ..self.clone() }
    }

    /// Whether a record that was taken is of a call that changed the function or its role: something else than what one of their sessions did.
    pub fn is_change(&self, record: &Value) -> bool {
        let Value::Object(members) = record else { return false };
        let about = ["requestParameters", "responseElements", "resources"];
        members.get("readOnly").and_then(Value::as_bool) == Some(false)
            && members.iter().any(|(member, value)| about.contains(&member.as_str()) && self.speaks(member, value))
    }

    /// The record without its secrets, if it is about the function. An error is a record that cannot be read: nested deeper than
    /// `serde_json` goes, or holding a number that is none.
    pub fn take(&self, record: &str) -> Result<Option<Value>, serde_json::Error> {
        let mut record: Value = serde_json::from_str(record)?;
        if !self.speaks("", &record) {
            return Ok(None);
        }
        withhold(&mut record);
        Ok(Some(record))
    }

    fn speaks(&self, member: &str, value: &Value) -> bool {
        match value {
            Value::String(text) => self.names(member, text),
            Value::Array(all) => all.iter().any(|v| self.speaks(member, v)),
            Value::Object(all) => all.iter().any(|(member, v)| self.speaks(member, v)),
            _ => false,
        }
    }

    fn names(&self, member: &str, text: &str) -> bool {
        let qualified = |whole: &str| text.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'));
        let role =
            self.role.as_ref().is_some_and(|r| text == r.arn || text.contains(&r.session) || (member == "roleName" && text == r.name));
        role || qualified(&self.function_arn)
            || (matches!(member, "functionName" | "FunctionName" | "roleSessionName") && qualified(&self.function))
            || (member == "principalId" && text.split_once(':').is_some_and(|(_, session)| session == self.function))
            || (member == "accessKeyId" && self.keys.contains(text))
    }
}

fn withhold(value: &mut Value) {
    match value {
        Value::Array(all) => all.iter_mut().for_each(withhold),
        Value::Object(all) => {
            for (member, value) in all.iter_mut() {
                if SECRETS.contains(&member.to_ascii_lowercase().as_str()) {
                    *value = WITHHELD.into();
                } else {
                    withhold(value);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn filter() -> Filter {
        Filter::new(
            "payments-export",
            "arn:aws:lambda:eu-west-1:123456789012:function:payments-export",
            Some("arn:aws:iam::123456789012:role/service-role/payments-role"),
        )
    }
    fn takes(record: &Value) -> bool {
        filter().take(&record.to_string()).unwrap().is_some()
    }

    #[test]
    fn records_about_the_function_its_role_and_its_sessions_are_taken() {
        for record in [
            json!({"requestParameters": {"functionName": "payments-export"}}),
            json!({"requestParameters": {"functionName": "payments-export:live"}}),
            json!({"resources": [{"ARN": "arn:aws:lambda:eu-west-1:123456789012:function:payments-export:2"}]}),
            json!({"userIdentity": {"arn": "arn:aws:sts::123456789012:assumed-role/payments-role/payments-export"}}),
            json!({"userIdentity": {"principalId": "AROAX:payments-export"}}),
            json!({"requestParameters": {"roleName": "payments-role"}}),
            json!({"requestParameters": {"roleArn": "arn:aws:iam::123456789012:role/service-role/payments-role"}}),
        ] {
            assert!(takes(&record), "{record}");
        }
        for record in [
            json!({"requestParameters": {"functionName": "payments-export-2"}}),
            json!({"resources": [{"ARN": "arn:aws:lambda:eu-west-1:123456789012:function:payments-exports"}]}),
            json!({"userIdentity": {"arn": "arn:aws:sts::123456789012:assumed-role/payments-role-2/x"}}),
            json!({"requestParameters": {"bucketName": "payments-export"}}),
            json!(["payments-export"]),
            json!(7),
        ] {
            assert!(!takes(&record), "{record}");
        }
        assert!(filter().take("{\"requestParameters\": ").is_err());
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(filter().take(&deep).is_err(), "no depth overflows our stack");
    }

    #[test]
    fn what_is_learned_later_widens_the_filter() {
        let narrow = Filter::new("payments-export", "arn:aws:lambda:eu-west-1:123456789012:function:payments-export", None);
        let by_role = json!({"requestParameters": {"roleName": "payments-role"}}).to_string();
        let by_key = json!({"userIdentity": {"accessKeyId": "ASIA2"}}).to_string();
        assert!(narrow.take(&by_role).unwrap().is_none() && narrow.take(&by_key).unwrap().is_none());
        let wide = narrow.knowing(Some("arn:aws:iam::123456789012:role/payments-role"), BTreeSet::from(["ASIA2".to_string()]));
        assert!(wide.take(&by_role).unwrap().is_some() && wide.take(&by_key).unwrap().is_some());
        assert_eq!(wide.knowing(None, BTreeSet::from(["ASIA2".to_string()])), wide, "nothing new");
    }

    #[test]
    fn a_change_is_a_write_about_the_function_or_its_role() {
        let session = json!({"arn": "arn:aws:sts::123456789012:assumed-role/payments-role/payments-export"});
        for (record, is) in [
            (json!({"readOnly": false, "requestParameters": {"functionName": "payments-export"}}), true),
            (json!({"readOnly": false, "requestParameters": {"roleName": "payments-role"}}), true),
            (json!({"readOnly": true, "requestParameters": {"functionName": "payments-export"}}), false),
            (json!({"requestParameters": {"functionName": "payments-export"}}), false),
            (json!({"readOnly": false, "userIdentity": session, "requestParameters": {"bucketName": "b"}}), false),
        ] {
            assert_eq!(filter().is_change(&record), is, "{record}");
        }
    }

    #[test]
    fn no_secret_is_taken_along() {
        let record = json!({"requestParameters": {"roleName": "payments-role"}, "responseElements": {"credentials":
            {"accessKeyId": "ASIA1", "sessionToken": "DRILLTOKEN", "SecretAccessKey": "DRILLTOKEN"}}, "list": [{"SessionToken": {"a": "DRILLTOKEN"}}]});
        let taken = filter().take(&record.to_string()).unwrap().unwrap().to_string();
        assert!(!taken.contains("DRILLTOKEN") && taken.contains("ASIA1") && taken.contains(WITHHELD), "{taken}");
    }
}
