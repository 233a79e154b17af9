//! EventBridge Pipes that call the function, as their target or to enrich what passes. All pipes are listed and chosen from here: the
//! service's own search knows targets only, and an enrichment sees every record.

use super::cx::at_once;
use super::qualified::is_ours;
use super::raw_list::{Members, text};
use super::{Abort, CollectCx, Collector, CollectorSpec, Question, Volatility};
use crate::aws::raw::RawCall;
use crate::model::call::{Call, Scope, Service};
use crate::model::item::{Group, Sensitivity};
use async_trait::async_trait;
use futures_util::FutureExt;
use std::collections::BTreeSet;

pub struct Pipes;

const LIST: Call = Call::read(Service::Pipes, "ListPipes", "pipes:ListPipes", Scope::Any);
const DESCRIBE: Call = Call::read(Service::Pipes, "DescribePipe", "pipes:DescribePipe", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "pipes",
    title: "Pipes",
    answers: "Which pipes call the function, as their target or for enrichment, and from which source?",
    group: Group::Triggers,
    volatility: Volatility::V2,
    calls: &[LIST, DESCRIBE],
    params: &[],
};

#[async_trait]
impl Collector for Pipes {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        let mut found = BTreeSet::new();
        let page = |token: Option<String>| {
            let query: Vec<_> = token.as_deref().map(|t| ("NextToken", t)).into_iter().collect();
            RawCall::rest(Service::Pipes, "ListPipes", "GET", &["v1", "pipes"], &query, None)
        };
        let members = Members { list: "Pipes", next: "NextToken" };
        cx.ask_json_list(Question::new(&LIST, "pipes of the account in this Region"), cx.aws(), members, page, |pipe| {
            let calls_us = ["Target", "Enrichment"].iter().any(|m| pipe[m].as_str().is_some_and(|arn| is_ours(cx, arn)));
            found.extend(text(pipe, "Name").filter(|_| calls_us));
        })
        .await?;
        at_once(found.into_iter().map(|name| read(cx, name).boxed())).await
    }
}

async fn read(cx: &CollectCx<'_>, name: String) -> Result<(), Abort> {
    // Filters and input templates may hold business data.
    let question = Question::new(&DESCRIBE, format!("pipe {name}")).sensitivity(Sensitivity::S2);
    cx.ask_json(question, cx.aws(), RawCall::rest(Service::Pipes, "DescribePipe", "GET", &["v1", "pipes", &name], &[], None)).await?;
    Ok(())
}
