//! The aliases, with their routing: a small weight to a bad version is a place to hide.

use super::{Abort, CollectCx, Collector, CollectorSpec, Volatility};
use crate::model::call::{Call, Scope, Service};
use crate::model::item::Group;
use async_trait::async_trait;

pub struct Aliases;

pub static ALIASES: CollectorSpec = CollectorSpec {
    id: "aliases",
    title: "Aliases",
    answers: "Which versions do callers really reach, and is part of the traffic routed to another one?",
    group: Group::Config,
    volatility: Volatility::V2,
    calls: &[Call::read(Service::Lambda, "ListAliases", "lambda:ListAliases", Scope::Function)],
    params: &[],
};

#[async_trait]
impl Collector for Aliases {
    fn spec(&self) -> &'static CollectorSpec {
        &ALIASES
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        // The answer's item is written by the shared look-up itself.
        cx.aliases().await?.ok();
        Ok(())
    }
}
