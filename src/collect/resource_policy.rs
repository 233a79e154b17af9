//! The resource policies: of the function itself, of every alias and of every published version. Each is a policy of its own, and a
//! statement that sits on an alias alone shows nowhere else. Asked twice: `GetPolicy` has been there since 2015, `GetResourcePolicy` (2026)
//! is said to hold what `PutResourcePolicy` wrote, denials and conditions included. Whether the first shows all of the second is not known
//! to us, so both answers are kept.

use super::cx::at_once;
use super::qualifier::{each_alias, each_version};
use super::{Abort, CollectCx, Collector, CollectorSpec, Question, Volatility};
use crate::model::call::{Call, Scope, Service};
use crate::model::item::Group;
use async_trait::async_trait;
use futures_util::FutureExt;

pub struct ResourcePolicy;

const GET: Call = Call::read(Service::Lambda, "GetPolicy", "lambda:GetPolicy", Scope::Function);
const GET_WHOLE: Call = Call::read(Service::Lambda, "GetResourcePolicy", "lambda:GetResourcePolicy", Scope::Function);

static SPEC: CollectorSpec = CollectorSpec {
    id: "resource-policy",
    title: "Resource policies",
    answers: "Who outside the function's role may invoke or change it, through the function, an alias or a version?",
    group: Group::Policy,
    volatility: Volatility::V2,
    calls: &[GET, GET_WHOLE],
    params: &[],
};

#[async_trait]
impl Collector for ResourcePolicy {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        // `$LATEST` takes no statements of its own (AddPermission refuses it): the unqualified policy is its policy.
        let of_qualified = |q: super::qualifier::Qualifier| policies(cx, q.words, Some(q.name)).boxed();
        tokio::try_join!(
            policies(cx, "the function".into(), None),
            each_alias(cx, "resource policies", &of_qualified),
            each_version(cx, "resource policies", &of_qualified)
        )?;
        Ok(())
    }
}

async fn policies(cx: &CollectCx<'_>, whose: String, qualifier: Option<String>) -> Result<(), Abort> {
    let arn = qualifier.as_ref().map_or_else(|| cx.target().arn(), |q| format!("{}:{q}", cx.target().arn()));
    at_once([policy(cx, &whose, qualifier).boxed(), whole_policy(cx, &whose, arn).boxed()]).await
}

async fn policy(cx: &CollectCx<'_>, whose: &str, qualifier: Option<String>) -> Result<(), Abort> {
    let question = Question::new(&GET, format!("resource policy of {whose}"));
    cx.ask(question, cx.aws().lambda().get_policy().function_name(&cx.target().function).set_qualifier(qualifier).send()).await?;
    Ok(())
}

async fn whole_policy(cx: &CollectCx<'_>, whose: &str, arn: String) -> Result<(), Abort> {
    let question = Question::new(&GET_WHOLE, format!("resource policy document of {whose}"));
    cx.ask(question, cx.aws().lambda().get_resource_policy().resource_arn(arn).send()).await?;
    Ok(())
}
