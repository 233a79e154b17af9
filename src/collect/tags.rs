//! The function's tags: who owns it, which stack made it, and whether somebody marked it. `GetFunction` shows them too, but only to whoever
//! may list tags, and without a word where he may not.

use super::{Abort, CollectCx, Collector, CollectorSpec, Question, Volatility};
use crate::model::call::{Call, Scope, Service};
use crate::model::item::Group;
use async_trait::async_trait;

pub struct Tags;

static SPEC: CollectorSpec = CollectorSpec {
    id: "tags",
    title: "Tags",
    answers: "Whose function is it, and which stack or pipeline would deploy over it?",
    group: Group::Config,
    volatility: Volatility::V2,
    calls: &[Call::read(Service::Lambda, "ListTags", "lambda:ListTags", Scope::Function)],
    params: &[],
};

#[async_trait]
impl Collector for Tags {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        let question = Question::new(&SPEC.calls[0], "tags of the function");
        cx.ask(question, cx.aws().lambda().list_tags().resource(cx.target().arn()).send()).await?;
        Ok(())
    }
}
