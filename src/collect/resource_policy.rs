//! The resource policies: of the function itself, of every alias and of every published version. Each is a policy of its own, and a
//! statement that sits on an alias alone shows nowhere else.

use super::aliases::ALIASES;
use super::cx::at_once;
use super::versions::VERSIONS;
use super::{Abort, CollectCx, Collector, CollectorSpec, Volatility};
use crate::model::call::{Call, Scope, Service};
use crate::model::item::Group;
use async_trait::async_trait;
use futures_util::FutureExt;

pub struct ResourcePolicy;

pub(super) static SPEC: CollectorSpec = CollectorSpec {
    id: "resource-policy",
    title: "Resource policies",
    answers: "Who outside the function's role may invoke or change it, through the function, an alias or a version?",
    group: Group::Policy,
    volatility: Volatility::V2,
    calls: &[Call::read(Service::Lambda, "GetPolicy", "lambda:GetPolicy", Scope::Function)],
    params: &[],
};

#[async_trait]
impl Collector for ResourcePolicy {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        tokio::try_join!(policy(cx, "the function".into(), None), of_aliases(cx), of_versions(cx))?;
        super::policy_report::report(cx).await
    }
}

async fn of_aliases(cx: &CollectCx<'_>) -> Result<(), Abort> {
    match cx.aliases().await? {
        Ok(list) => {
            at_once(list.entries.iter().map(|a| policy(cx, format!("alias {}", a.name), Some(a.name.clone())).boxed())).await?;
            cx.gap_of_rest(&list, "resource policies of further aliases")
        }
        Err(fault) => cx.gap_from_lookup(&ALIASES, &fault, "resource policies of the aliases").map(drop),
    }
}

async fn of_versions(cx: &CollectCx<'_>) -> Result<(), Abort> {
    match cx.versions().await? {
        // `$LATEST` takes no statements of its own (AddPermission refuses it): the unqualified policy is its policy.
        Ok(list) => {
            at_once(list.published().map(|v| policy(cx, format!("version {}", v.version), Some(v.version.clone())).boxed())).await?;
            cx.gap_of_rest(&list, "resource policies of further versions")
        }
        Err(fault) => cx.gap_from_lookup(&VERSIONS, &fault, "resource policies of the published versions").map(drop),
    }
}

async fn policy(cx: &CollectCx<'_>, whose: String, qualifier: Option<String>) -> Result<(), Abort> {
    cx.policy(&whose, qualifier).await?.ok();
    Ok(())
}
