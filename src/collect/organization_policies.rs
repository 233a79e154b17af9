//! Policies of the organisation over the account, up to the root: they bound what the role could do, and may be what a containment runs into.
//! Only the management account and delegated administrators may read them; elsewhere a denial is the usual answer, and is a gap like any other.

use super::cx::at_once;
use super::raw_list::{Members, text};
use super::{Abort, CollectCx, Collector, CollectorSpec, Question, Volatility};
use crate::aws::raw::{JsonVersion, RawCall};
use crate::model::call::{Call, Scope, Service};
use crate::model::item::Group;
use async_trait::async_trait;
use futures_util::FutureExt;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

pub struct OrganizationPolicies;

const PARENTS: Call = Call::read(Service::Organizations, "ListParents", "organizations:ListParents", Scope::Any);
const LIST: Call = Call::read(Service::Organizations, "ListPoliciesForTarget", "organizations:ListPoliciesForTarget", Scope::Any);
const DESCRIBE: Call = Call::read(Service::Organizations, "DescribePolicy", "organizations:DescribePolicy", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "organization-policies",
    title: "Organisation policies over the account",
    answers: "Which service and resource control policies bound the role, and do they bound our containment?",
    group: Group::Identity,
    volatility: Volatility::V2,
    calls: &[PARENTS, LIST, DESCRIBE],
    params: &[],
};

const KINDS: [(&str, &str); 2] =
    [("SERVICE_CONTROL_POLICY", "service control policies"), ("RESOURCE_CONTROL_POLICY", "resource control policies")];
const NOT_IN_USE: &[(&str, &str)] = &[("AWSOrganizationsNotInUseException", "the account is in no organisation, so none is over it")];
/// Organisational units nest five deep; more is a circle.
const LEVELS: usize = 8;

#[async_trait]
impl Collector for OrganizationPolicies {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        let targets = chain(cx).await?;
        let found = Mutex::new(BTreeMap::new());
        let each = targets.iter().flat_map(|target| KINDS.map(|kind| (target, kind)));
        at_once(each.map(|(target, kind)| on(cx, target, kind, &found).boxed())).await?;
        let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        at_once(found.into_iter().map(|(id, name)| describe(cx, id, name).boxed())).await
    }
}

fn call(operation: &'static str, mut body: Value, token: Option<String>) -> RawCall {
    if let Some(token) = token {
        body["NextToken"] = token.into();
    }
    RawCall::json(Service::Organizations, operation, JsonVersion::V1_1, &format!("AWSOrganizationsV20161128.{operation}"), &body)
}

/// The policies of one kind on one target, into `found`.
async fn on(cx: &CollectCx<'_>, target: &str, kind: (&str, &str), found: &Mutex<BTreeMap<String, String>>) -> Result<(), Abort> {
    let (kind, words) = kind;
    let question = Question::new(&LIST, format!("{words} on {target}")).not_in_use(NOT_IN_USE);
    let body = json!({"TargetId": target, "Filter": kind, "MaxResults": 20});
    let members = Members { list: "Policies", next: "NextToken" };
    cx.ask_json_list(
        question,
        cx.aws(),
        members,
        |t| call("ListPoliciesForTarget", body.clone(), t),
        |policy| {
            let named = text(policy, "Id").map(|id| (id, text(policy, "Name").unwrap_or_default()));
            found.lock().unwrap_or_else(PoisonError::into_inner).extend(named);
        },
    )
    .await?;
    Ok(())
}

/// The account, and what is above it.
async fn chain(cx: &CollectCx<'_>) -> Result<Vec<String>, Abort> {
    let mut chain = vec![cx.target().account.clone()];
    let mut seen = BTreeSet::from([cx.target().account.clone()]);
    while let Some(child) = chain.last().filter(|_| chain.len() <= LEVELS).cloned() {
        let mut parents = vec![];
        let question = Question::new(&PARENTS, format!("what is above {child} in the organisation")).not_in_use(NOT_IN_USE);
        let members = Members { list: "Parents", next: "NextToken" };
        cx.ask_json_list(
            question,
            cx.aws(),
            members,
            |t| call("ListParents", json!({"ChildId": child}), t),
            |parent| {
                parents.extend(text(parent, "Id").map(|id| (id, parent["Type"] == "ROOT")));
            },
        )
        .await?;
        // There is one at most.
        let Some((parent, root)) = parents.into_iter().find(|(id, _)| seen.insert(id.clone())) else { break };
        chain.push(parent);
        if root {
            break;
        }
    }
    Ok(chain)
}

async fn describe(cx: &CollectCx<'_>, id: String, name: String) -> Result<(), Abort> {
    let question = Question::new(&DESCRIBE, format!("organisation policy {id} {name}")).not_in_use(NOT_IN_USE);
    cx.ask_json(question, cx.aws(), call("DescribePolicy", json!({"PolicyId": id}), None)).await?;
    Ok(())
}
