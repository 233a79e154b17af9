//! The published versions: an immutable history of the function, in which neighbours can be compared.

use super::{Abort, CollectCx, Collector, CollectorSpec, Volatility};
use crate::model::call::{Call, Scope, Service};
use crate::model::item::Group;
use async_trait::async_trait;

pub struct Versions;

pub static VERSIONS: CollectorSpec = CollectorSpec {
    id: "versions",
    title: "Versions",
    answers: "Which versions of the function are published, and does one differ from its neighbours?",
    group: Group::Config,
    volatility: Volatility::V1,
    calls: &[Call::read(Service::Lambda, "ListVersionsByFunction", "lambda:ListVersionsByFunction", Scope::Function)],
    params: &[],
};

#[async_trait]
impl Collector for Versions {
    fn spec(&self) -> &'static CollectorSpec {
        &VERSIONS
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        // The answer's item is written by the shared look-up itself.
        cx.versions().await?.ok();
        Ok(())
    }
}
