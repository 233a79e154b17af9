//! The customer's KMS key under which environment and code are encrypted: its state, its policy and its grants. Whoever can decrypt reads the
//! environment; a key that is disabled or dying locks everybody out, responders included. Lambda's own grants name the function in their
//! encryption context.

use super::raw_list::Members;
use super::{Abort, CollectCx, Collector, CollectorSpec, Question, Volatility};
use crate::aws::raw::{JsonVersion, RawCall};
use crate::model::call::{Call, Scope, Service};
use crate::model::item::Group;
use async_trait::async_trait;
use serde_json::{Value, json};

pub struct FunctionKey;

const DESCRIBE: Call = Call::read(Service::Kms, "DescribeKey", "kms:DescribeKey", Scope::Any);
const POLICY: Call = Call::read(Service::Kms, "GetKeyPolicy", "kms:GetKeyPolicy", Scope::Any);
const GRANTS: Call = Call::read(Service::Kms, "ListGrants", "kms:ListGrants", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "function-key",
    title: "Encryption key",
    answers: "Who may decrypt the function's environment, and is the key still in a state to do so?",
    group: Group::Policy,
    volatility: Volatility::V2,
    calls: &[DESCRIBE, POLICY, GRANTS],
    params: &[],
};

#[async_trait]
impl Collector for FunctionKey {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        const SUBJECT: &str = "customer's encryption key of the function";
        let fact = match cx.function().await? {
            Ok(fact) => fact,
            Err(fault) => return cx.gap_from(&fault, SUBJECT).map(drop),
        };
        let Some(key) = fact.kms_key.as_deref().filter(|k| !k.is_empty()) else {
            return cx.not_applicable(SUBJECT, "the function has none: AWS's own key is used").map(drop);
        };
        tokio::try_join!(describe(cx, key), policy(cx, key), grants(cx, key))?;
        Ok(())
    }
}

fn call(operation: &'static str, body: &Value) -> RawCall {
    RawCall::json(Service::Kms, operation, JsonVersion::V1_1, &format!("TrentService.{operation}"), body)
}

async fn describe(cx: &CollectCx<'_>, key: &str) -> Result<(), Abort> {
    cx.ask_json(Question::new(&DESCRIBE, format!("state of key {key}")), cx.aws(), call("DescribeKey", &json!({"KeyId": key}))).await?;
    Ok(())
}

async fn policy(cx: &CollectCx<'_>, key: &str) -> Result<(), Abort> {
    // `default` is the only name that a key policy can have (API reference).
    let body = json!({"KeyId": key, "PolicyName": "default"});
    cx.ask_json(Question::new(&POLICY, format!("policy of key {key}")), cx.aws(), call("GetKeyPolicy", &body)).await?;
    Ok(())
}

async fn grants(cx: &CollectCx<'_>, key: &str) -> Result<(), Abort> {
    let page = |token: Option<String>| {
        let mut body = json!({"KeyId": key, "Limit": 100});
        if let Some(token) = token {
            body["Marker"] = token.into();
        }
        call("ListGrants", &body)
    };
    let members = Members { list: "Grants", next: "NextMarker" };
    cx.ask_json_list(Question::new(&GRANTS, format!("grants on key {key}")), cx.aws(), members, page, |_| {}).await?;
    Ok(())
}
