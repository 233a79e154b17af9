//! The code of `$LATEST`, through the presigned address that `GetFunction` gives. Streamed to disk, hashed on the way, and held against what
//! AWS says of it: `CodeSha256` and `CodeSize`. A difference is recorded, never fatal: the bytes are the evidence.

use super::code::{self, Whose};
use super::{Abort, CollectCx, Collector, CollectorSpec, Volatility};
use crate::model::item::Group;
use async_trait::async_trait;

pub struct FunctionCode;

static SPEC: CollectorSpec = CollectorSpec {
    id: "function-code",
    title: "Code of $LATEST",
    answers: "What code runs when the function is invoked without a version?",
    group: Group::Code,
    volatility: Volatility::V5,
    calls: &[code::DOWNLOAD, code::ADDRESS_AGAIN],
    params: &[code::MAX_BYTES],
};

#[async_trait]
impl Collector for FunctionCode {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        match cx.function().await? {
            Ok(fact) => code::obtain(cx, &Whose { words: "$LATEST", qualifier: None }, &fact).await,
            Err(fault) => cx.gap_from(&fault, "code of $LATEST").map(drop),
        }
    }
}
