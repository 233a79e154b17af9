//! The configuration of every published version and every alias. A version keeps the environment, role and layers that it was published
//! with: what `$LATEST` was cleaned of may live on there, and an alias may still send production to it.

use super::qualifier::{each_alias, each_version};
use super::{Abort, CollectCx, Collector, CollectorSpec, Volatility};
use crate::model::call::{Call, Scope, Service};
use crate::model::item::Group;
use async_trait::async_trait;
use futures_util::FutureExt;

pub struct QualifiedConfiguration;

pub static QUALIFIED_CONFIGURATION: CollectorSpec = CollectorSpec {
    id: "qualified-configuration",
    title: "Configuration of versions and aliases",
    answers: "How is each published version configured, and what does an alias really run?",
    group: Group::Config,
    volatility: Volatility::V2,
    calls: &[Call::read(Service::Lambda, "GetFunction", "lambda:GetFunction", Scope::Function)],
    params: &[],
};

#[async_trait]
impl Collector for QualifiedConfiguration {
    fn spec(&self) -> &'static CollectorSpec {
        &QUALIFIED_CONFIGURATION
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        // The answers' items are written by the shared look-up itself.
        let ask = |q| async move { cx.qualified(&q).await.map(drop) }.boxed();
        tokio::try_join!(each_alias(cx, "configuration", &ask), each_version(cx, "configuration", &ask))?;
        Ok(())
    }
}
