//! Asynchronous invocation: how often a failed event is tried again, how long it may wait, and where results and failures are sent. A
//! destination receives the event and the answer of every asynchronous invocation: a way out for data that needs no line of code.

use super::facts::{self, Listed};
use super::{Abort, Bound, CollectCx, Collector, CollectorSpec, Question, Volatility};
use crate::aws::fault::Fault;
use crate::model::call::{Call, Scope, Service};
use crate::model::item::Group;
use async_trait::async_trait;
use aws_sdk_lambda::operation::list_function_event_invoke_configs::ListFunctionEventInvokeConfigsOutput;
use std::sync::Arc;

pub struct AsyncDestinations;

pub(super) static DESTINATIONS: CollectorSpec = CollectorSpec {
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
        &DESTINATIONS
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        cx.destinations().await.map(drop)
    }
}

/// The shared look-up: every ARN that is named as a destination. `cx` must be the context of this unit.
pub(super) async fn ask(cx: &CollectCx<'_>) -> Result<Result<Arc<Listed<String>>, Fault>, Abort> {
    let mut found = vec![];
    // One list holds the configurations of the function, its versions and its aliases, with every member that reading each would give.
    let call = || cx.aws().lambda().list_function_event_invoke_configs().function_name(&cx.target().function);
    let pages = cx
        .ask_all(
            Question::new(&DESTINATIONS.calls[0], "asynchronous invocation of the function, its versions and aliases"),
            Bound::default(),
            |marker| call().set_marker(marker).send(),
            |out: &ListFunctionEventInvokeConfigsOutput| out.next_marker().map(str::to_string),
            |out| {
                for to in out.function_event_invoke_configs().iter().filter_map(|c| c.destination_config()) {
                    found.extend(to.on_success().and_then(|d| d.destination()).map(str::to_string));
                    found.extend(to.on_failure().and_then(|d| d.destination()).map(str::to_string));
                }
                out.function_event_invoke_configs().len()
            },
        )
        .await?;
    Ok(facts::listed(pages, found))
}
