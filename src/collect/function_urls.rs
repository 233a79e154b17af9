//! Function URLs, of the function and of every alias: a public address that survives nothing and needs no gateway.

use super::{Abort, Bound, CollectCx, Collector, CollectorSpec, Question, Volatility};
use crate::model::call::{Call, Scope, Service};
use crate::model::item::Group;
use async_trait::async_trait;
use aws_sdk_lambda::operation::list_function_url_configs::ListFunctionUrlConfigsOutput;

pub struct FunctionUrls;

static SPEC: CollectorSpec = CollectorSpec {
    id: "function-urls",
    title: "Function URLs",
    answers: "Can the function be called from the internet through an address of its own, and without signing?",
    group: Group::Triggers,
    volatility: Volatility::V2,
    calls: &[Call::read(Service::Lambda, "ListFunctionUrlConfigs", "lambda:ListFunctionUrlConfigs", Scope::Function)],
    params: &[],
};

#[async_trait]
impl Collector for FunctionUrls {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        let call = || cx.aws().lambda().list_function_url_configs().function_name(&cx.target().function);
        cx.ask_pages(
            Question::new(&SPEC.calls[0], "function URLs of the function and its aliases"),
            Bound::default(),
            |marker| call().set_marker(marker).send(),
            |out: &ListFunctionUrlConfigsOutput| out.next_marker().map(str::to_string),
            |out| out.function_url_configs().len(),
        )
        .await?;
        Ok(())
    }
}
