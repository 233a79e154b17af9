//! What a bucket's policy demands of whoever writes there.

use serde_json::Value;

/// What a bucket's policy denies to everybody. A reading of its plainest forms: a demand in a form that is not known here counts as missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Demands {
    pub tls: bool,
    pub if_absent: bool,
    pub no_delete: bool,
}

impl Demands {
    pub(super) fn of(policy: &str) -> Demands {
        let Ok(policy) = serde_json::from_str::<Value>(policy) else { return Demands::default() };
        let list = |v: &Value| match v {
            Value::Array(all) => all.clone(),
            Value::Null => vec![],
            one => vec![one.clone()],
        };
        let mut has = Demands::default();
        for s in list(&policy["Statement"]) {
            let everybody = s["Principal"] == "*" || list(&s["Principal"]["AWS"]).iter().any(|p| p == "*");
            if s["Effect"] != "Deny" || !everybody {
                continue;
            }
            let actions: Vec<String> = list(&s["Action"]).iter().filter_map(Value::as_str).map(str::to_ascii_lowercase).collect();
            let denies = |action: &str| {
                actions.iter().any(|a| a == "*" || a == "s3:*" || a == action || a.strip_suffix('*').is_some_and(|a| action.starts_with(a)))
            };
            let condition = |kind: &str, key: &str, value: &str| {
                let said = s["Condition"].as_object().into_iter().flatten().filter(|(k, _)| k.eq_ignore_ascii_case(kind));
                said.filter_map(|(_, keys)| keys.as_object()).flatten().any(|(k, v)| {
                    k.eq_ignore_ascii_case(key)
                        && list(v).iter().any(|v| v.as_str() == Some(value) || v.as_bool().map(|b| b.to_string()).as_deref() == Some(value))
                })
            };
            has.tls |= denies("s3:putobject") && condition("Bool", "aws:SecureTransport", "false");
            has.if_absent |= denies("s3:putobject") && condition("Null", "s3:if-none-match", "true");
            has.no_delete |= s["Condition"].is_null() && denies("s3:deleteobject") && denies("s3:deleteobjectversion");
        }
        has
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demands_of_a_policy() {
        let of = |statements: &str| Demands::of(&format!("{{\"Version\":\"2012-10-17\",\"Statement\":{statements}}}"));
        let tls =
            r#"{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}"#;
        let absent = r#"{"Effect":"Deny","Principal":{"AWS":"*"},"Action":["s3:PutObject"],"Resource":"*","Condition":{"Null":{"s3:if-none-match":"true"}}}"#;
        let delete = r#"{"Effect":"Deny","Principal":"*","Action":"s3:DeleteObject*","Resource":"*"}"#;
        assert_eq!(of(&format!("[{tls},{absent},{delete}]")), Demands { tls: true, if_absent: true, no_delete: true });
        assert_eq!(of(tls), Demands { tls: true, ..Demands::default() }, "one statement needs no list");
        assert_eq!(
            of(&delete.replace("\"*\",\"Action", "{\"AWS\":\"arn:aws:iam::1:root\"},\"Action")),
            Demands::default(),
            "not everybody"
        );
        assert_eq!(of(&tls.replace("Deny", "Allow")), Demands::default());
        assert_eq!(Demands::of("no json"), Demands::default());
    }
}
