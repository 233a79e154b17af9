//! The function's tags: who owns it, which stack made it, and whether somebody marked it. `GetFunction` shows them too, but only to whoever
//! may list tags, and without a word where he may not.

use super::{Abort, CollectCx, Collector, CollectorSpec, Question, Reply, Volatility};
use crate::aws::fault::Fault;
use crate::model::call::{Call, Scope, Service};
use crate::model::item::Group;
use async_trait::async_trait;
use std::collections::HashMap;
use std::sync::Arc;

pub struct Tags;

pub(super) static TAGS: CollectorSpec = CollectorSpec {
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
        &TAGS
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        cx.tags().await.map(drop)
    }
}

/// The shared look-up. `cx` must be the context of this unit.
pub(super) async fn ask(cx: &CollectCx<'_>) -> Result<Result<Arc<HashMap<String, String>>, Fault>, Abort> {
    let question = Question::new(&TAGS.calls[0], "tags of the function");
    Ok(match cx.ask(question, cx.aws().lambda().list_tags().resource(cx.target().arn()).send()).await? {
        Reply::Got(answer) => Ok(Arc::new(answer.output.tags.unwrap_or_default())),
        Reply::Absent(fault) | Reply::Gap(fault) => Err(fault),
    })
}
