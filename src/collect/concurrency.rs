//! Reserved concurrency. An answer without the member means that none is reserved, which is not the same as a reservation of zero.

use super::{Abort, CollectCx, Collector, CollectorSpec, Question, Volatility};
use crate::model::call::{Call, Scope, Service};
use crate::model::item::{Group, Sensitivity};
use async_trait::async_trait;

pub struct Concurrency;

static SPEC: CollectorSpec = CollectorSpec {
    id: "concurrency",
    title: "Reserved concurrency",
    answers: "Is the function's concurrency limited, or was it stopped or unleashed already?",
    group: Group::Config,
    volatility: Volatility::V2,
    calls: &[Call::read(Service::Lambda, "GetFunctionConcurrency", "lambda:GetFunctionConcurrency", Scope::Function)],
    params: &[],
};

#[async_trait]
impl Collector for Concurrency {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        let question = Question::new(&SPEC.calls[0], "reserved concurrency").sensitivity(Sensitivity::S0);
        cx.ask(question, cx.aws().lambda().get_function_concurrency().function_name(&cx.target().function).send()).await?;
        Ok(())
    }
}
