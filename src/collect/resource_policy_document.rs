//! The resource policies as documents, by `GetResourcePolicy` (2026): of the function, of `$LATEST` by that name, of every alias and every
//! published version. `GetPolicy`, which `resource-policy` asks, is older; `PutResourcePolicy` can write denials and conditions, and whether the
//! older call shows all of them is not known to us. So both answers are kept, and the statements of both are the one table that the search for triggers begins with
//! (`policy_report.rs`).

use super::qualifier::{LATEST, Qualifier, each_alias, each_version};
use super::{Abort, CollectCx, Collector, CollectorSpec, Volatility};
use crate::model::call::{Call, Scope, Service};
use crate::model::item::Group;
use async_trait::async_trait;
use futures_util::FutureExt;

pub struct ResourcePolicyDocument;

pub(super) static SPEC: CollectorSpec = CollectorSpec {
    id: "resource-policy-document",
    title: "Resource policy documents",
    answers: "Does a resource policy hold statements, denials or conditions that the older call does not show?",
    group: Group::Policy,
    volatility: Volatility::V2,
    calls: &[Call::read(Service::Lambda, "GetResourcePolicy", "lambda:GetResourcePolicy", Scope::Function)],
    params: &[],
};

#[async_trait]
impl Collector for ResourcePolicyDocument {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        let arn = cx.target().arn();
        let ask = |q: Qualifier| document(cx, q.words, format!("{arn}:{}", q.name)).boxed();
        tokio::try_join!(
            document(cx, "the function".into(), arn.clone()),
            document(cx, LATEST.into(), format!("{arn}:{LATEST}")),
            each_alias(cx, "resource policy documents", &ask),
            each_version(cx, "resource policy documents", &ask)
        )?;
        Ok(())
    }
}

async fn document(cx: &CollectCx<'_>, whose: String, arn: String) -> Result<(), Abort> {
    cx.policy_document(&whose, &arn).await?.ok();
    Ok(())
}
