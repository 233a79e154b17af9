//! The function's configuration, tags and code location, in the one call that has the roomiest quota.

use super::{Abort, CollectCx, Collector, CollectorSpec, Volatility};
use crate::model::call::{Call, Scope, Service};
use crate::model::item::Group;
use async_trait::async_trait;

pub struct Configuration;

pub static CONFIGURATION: CollectorSpec = CollectorSpec {
    id: "configuration",
    title: "Configuration of $LATEST",
    answers: "How is the function configured: runtime, handler, environment, layers, role, logging, network?",
    group: Group::Config,
    volatility: Volatility::V5,
    calls: &[Call::read(Service::Lambda, "GetFunction", "lambda:GetFunction", Scope::Function)],
    params: &[],
};

#[async_trait]
impl Collector for Configuration {
    fn spec(&self) -> &'static CollectorSpec {
        &CONFIGURATION
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        // The answer's item is written by the shared look-up itself.
        cx.function().await?.ok();
        Ok(())
    }
}
