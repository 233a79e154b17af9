//! The code of every published version. A version that states the same `CodeSha256` as one that is stored already names that file; it is
//! downloaded and stored once. One version that differs from its neighbours is what an investigation looks for.

use super::code::{self, Whose};
use super::qualified_configuration::QUALIFIED_CONFIGURATION;
use super::qualifier::{Qualifier, each_version};
use super::{Abort, CollectCx, Collector, CollectorSpec, Volatility};
use crate::aws::fault::FaultClass;
use crate::model::item::Group;
use async_trait::async_trait;
use futures_util::FutureExt;

pub struct VersionCode;

static SPEC: CollectorSpec = CollectorSpec {
    id: "version-code",
    title: "Code of every version",
    answers: "What code does each published version run, and which of them differ?",
    group: Group::Code,
    volatility: Volatility::V2,
    calls: &[code::DOWNLOAD, code::ADDRESS_AGAIN],
    params: &[code::MAX_BYTES],
};

#[async_trait]
impl Collector for VersionCode {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        each_version(cx, "code", &|q| async move { version(cx, &q).await }.boxed()).await
    }
}

async fn version(cx: &CollectCx<'_>, q: &Qualifier) -> Result<(), Abort> {
    match cx.qualified(q).await? {
        Ok(fact) => code::obtain(cx, &Whose { words: &q.words, qualifier: Some(&q.name) }, &fact).await,
        Err(fault) => {
            let subject = format!("code of {}", q.words);
            if fault.class == FaultClass::NotFound {
                return cx.not_applicable(&subject, "the version was listed, and was gone when it was asked for").map(drop);
            }
            cx.gap_from_lookup(&QUALIFIED_CONFIGURATION, &fault, &subject).map(drop)
        }
    }
}
