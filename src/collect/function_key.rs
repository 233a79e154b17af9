//! The customer's KMS keys under which environment and code are encrypted, of `$LATEST` and of every version: each one's state, policy and grants. Whoever can decrypt reads the
//! environment; a key that is disabled or dying locks everybody out, responders included. Lambda's own grants name the function in their
//! encryption context.

use super::cx::at_once;
use super::facts::FunctionFact;
use super::qualified_configuration::QUALIFIED_CONFIGURATION;
use super::qualifier::{Qualifier, each_version};
use super::raw_list::Members;
use super::{Abort, CollectCx, Collector, CollectorSpec, Question, Volatility};
use crate::aws::raw::{JsonVersion, RawCall};
use crate::model::call::{Call, Scope, Service};
use crate::model::item::Group;
use async_trait::async_trait;
use futures_util::FutureExt;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

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
        const SUBJECT: &str = "customer's encryption keys of the function";
        let keys = Mutex::new(BTreeSet::new());
        let fact = cx.function().await?;
        match &fact {
            Ok(fact) => note(&keys, fact),
            Err(fault) => drop(cx.gap_from(fault, SUBJECT)?),
        }
        if fact.is_ok() {
            each_version(cx, "encryption keys", &|q| of_version(cx, &keys, q).boxed()).await?;
        }
        let keys = keys.into_inner().unwrap_or_else(PoisonError::into_inner);
        if keys.is_empty() {
            let why = "no configuration that could be read names one: AWS's own key is used";
            return if fact.is_ok() { cx.not_applicable(SUBJECT, why).map(drop) } else { Ok(()) };
        }
        at_once(keys.iter().flat_map(|key| [describe(cx, key).boxed(), policy(cx, key).boxed(), grants(cx, key).boxed()])).await
    }
}

async fn of_version(cx: &CollectCx<'_>, keys: &Mutex<BTreeSet<String>>, q: Qualifier) -> Result<(), Abort> {
    match cx.qualified(&q).await? {
        Ok(fact) => note(keys, &fact),
        Err(fault) => drop(cx.gap_from_lookup(&QUALIFIED_CONFIGURATION, &fault, &format!("encryption keys of {}", q.words))?),
    }
    Ok(())
}

/// The key of the environment, and that of the package.
fn note(keys: &Mutex<BTreeSet<String>>, fact: &FunctionFact) {
    let named = fact.reach.kms_key.iter().chain(&fact.source_key).cloned();
    keys.lock().unwrap_or_else(PoisonError::into_inner).extend(named);
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
