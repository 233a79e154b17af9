//! The resource policies: of the function itself, of every alias and of every published version. Each is a policy of its own, and a
//! statement that sits on an alias alone shows nowhere else.

use super::qualifier::{Qualifier, each_alias, each_version};
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
        // `$LATEST` takes no statements of its own from AddPermission, which refuses it: the unqualified policy is its policy. What PutResourcePolicy
        // may write there, `resource-policy-document` asks for.
        let ask = |q: Qualifier| policy(cx, q.words, Some(q.name)).boxed();
        tokio::try_join!(
            policy(cx, "the function".into(), None),
            each_alias(cx, "resource policies", &ask),
            each_version(cx, "resource policies", &ask)
        )?;
        super::policy_report::report(cx).await
    }
}

async fn policy(cx: &CollectCx<'_>, whose: String, qualifier: Option<String>) -> Result<(), Abort> {
    cx.policy(&whose, qualifier).await?.ok();
    Ok(())
}
