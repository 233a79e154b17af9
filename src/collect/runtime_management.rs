//! Runtime management, of `$LATEST` and of every published version: a version pinned to an old runtime keeps its known holes, and one with
//! `Auto` runs, today, on another runtime than on the day of the incident.

use super::qualifier::{Qualifier, each_version};
use super::{Abort, CollectCx, Collector, CollectorSpec, Question, Volatility};
use crate::model::call::{Call, Scope, Service};
use crate::model::item::{Group, Sensitivity};
use async_trait::async_trait;
use futures_util::FutureExt;

pub struct RuntimeManagement;

static SPEC: CollectorSpec = CollectorSpec {
    id: "runtime-management",
    title: "Runtime management",
    answers: "Is the function, or a version of it, pinned to a runtime that has holes?",
    group: Group::Config,
    volatility: Volatility::V2,
    calls: &[Call::read(Service::Lambda, "GetRuntimeManagementConfig", "lambda:GetRuntimeManagementConfig", Scope::Function)],
    params: &[],
};

#[async_trait]
impl Collector for RuntimeManagement {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        let ask = |q: Qualifier| runtime(cx, q.words, Some(q.name)).boxed();
        tokio::try_join!(runtime(cx, "$LATEST".into(), None), each_version(cx, "runtime management", &ask))?;
        Ok(())
    }
}

async fn runtime(cx: &CollectCx<'_>, whose: String, qualifier: Option<String>) -> Result<(), Abort> {
    let question = Question::new(&SPEC.calls[0], format!("runtime management of {whose}")).sensitivity(Sensitivity::S0);
    let call = cx.aws().lambda().get_runtime_management_config().function_name(&cx.target().function);
    cx.ask(question, call.set_qualifier(qualifier).send()).await?;
    Ok(())
}
