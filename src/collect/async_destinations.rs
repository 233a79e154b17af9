//! Asynchronous invocation: how often a failed event is tried again, how long it may wait, and where results and failures are sent. A
//! destination receives the event and the answer of every asynchronous invocation: a way out for data that needs no line of code.

use super::{Abort, Bound, CollectCx, Collector, CollectorSpec, Question, Volatility};
use crate::model::call::{Call, Scope, Service};
use crate::model::item::Group;
use async_trait::async_trait;
use aws_sdk_lambda::operation::list_function_event_invoke_configs::ListFunctionEventInvokeConfigsOutput;

pub struct AsyncDestinations;

static SPEC: CollectorSpec = CollectorSpec {
    id: "async-destinations",
    title: "Asynchronous invocation",
    answers: "Where do results and failures of asynchronous invocations go, and is one of those places not ours?",
    group: Group::Config,
    volatility: Volatility::V2,
    calls: &[Call::read(Service::Lambda, "ListFunctionEventInvokeConfigs", "lambda:ListFunctionEventInvokeConfigs", Scope::Function)],
    params: &[],
};

#[async_trait]
impl Collector for AsyncDestinations {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        // One list holds the configurations of the function, its versions and its aliases, with every member that reading each would give.
        let call = || cx.aws().lambda().list_function_event_invoke_configs().function_name(&cx.target().function);
        cx.ask_pages(
            Question::new(&SPEC.calls[0], "asynchronous invocation of the function, its versions and aliases"),
            Bound::default(),
            |marker| call().set_marker(marker).send(),
            |out: &ListFunctionEventInvokeConfigsOutput| out.next_marker().map(str::to_string),
            |out| out.function_event_invoke_configs().len(),
        )
        .await?;
        Ok(())
    }
}
