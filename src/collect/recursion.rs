//! The recursion guard. Lambda stops a function that calls itself through a queue, a topic or a bucket after some sixteen rounds; a function
//! set to `Allow` is not stopped, and the bill is the attack.

use super::{Abort, CollectCx, Collector, CollectorSpec, Question, Volatility};
use crate::model::call::{Call, Scope, Service};
use crate::model::item::{Group, Sensitivity};
use async_trait::async_trait;

pub struct Recursion;

static SPEC: CollectorSpec = CollectorSpec {
    id: "recursion",
    title: "Recursion guard",
    answers: "May the function call itself through a queue or a bucket without being stopped?",
    group: Group::Config,
    volatility: Volatility::V2,
    calls: &[Call::read(Service::Lambda, "GetFunctionRecursionConfig", "lambda:GetFunctionRecursionConfig", Scope::Function)],
    params: &[],
};

#[async_trait]
impl Collector for Recursion {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        let question = Question::new(&SPEC.calls[0], "recursion guard").sensitivity(Sensitivity::S0);
        cx.ask(question, cx.aws().lambda().get_function_recursion_config().function_name(&cx.target().function).send()).await?;
        Ok(())
    }
}
