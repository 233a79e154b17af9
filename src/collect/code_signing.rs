//! Code signing: whether Lambda takes unsigned code for this function, whose signatures it trusts, and who signed what is there. An
//! attacker who may change the configuration turns the check to `Warn`, or the function away from it.

use super::cx::at_once;
use super::qualifier::{LATEST_PUBLISHED, Qualifier, published_latest};
use super::versions::VERSIONS;
use super::{Abort, CollectCx, Collector, CollectorSpec, Question, Volatility};
use crate::aws::raw::RawCall;
use crate::model::call::{Call, Scope, Service};
use crate::model::item::{Group, Sensitivity};
use async_trait::async_trait;
use futures_util::FutureExt;
use std::collections::BTreeMap;

pub struct CodeSigning;

const OF_FUNCTION: Call =
    Call::read(Service::Lambda, "GetFunctionCodeSigningConfig", "lambda:GetFunctionCodeSigningConfig", Scope::Function);
const CONFIG: Call = Call::read(Service::Lambda, "GetCodeSigningConfig", "lambda:GetCodeSigningConfig", Scope::Any);
const JOB: Call = Call::read(Service::Signer, "DescribeSigningJob", "signer:DescribeSigningJob", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "code-signing",
    title: "Code signing",
    answers: "Must the code be signed, by whom, and who signed the code that is there?",
    group: Group::Code,
    volatility: Volatility::V2,
    calls: &[OF_FUNCTION, CONFIG, JOB],
    params: &[],
};

#[async_trait]
impl Collector for CodeSigning {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        tokio::try_join!(config(cx), jobs(cx))?;
        Ok(())
    }
}

async fn config(cx: &CollectCx<'_>) -> Result<(), Abort> {
    let subject = "code signing configuration";
    let question = Question::new(&OF_FUNCTION, "which code signing configuration the function has").sensitivity(Sensitivity::S0);
    let future = cx.aws().lambda().get_function_code_signing_config().function_name(&cx.target().function).send();
    let Some(out) = cx.ask(question, future).await?.got() else { return Ok(()) };
    let arn = out.code_signing_config_arn();
    if arn.is_empty() {
        return cx.not_applicable(subject, "the function names none: unsigned code is taken").map(drop);
    }
    let question = Question::new(&CONFIG, format!("{subject} {arn}")).sensitivity(Sensitivity::S0);
    cx.ask(question, cx.aws().lambda().get_code_signing_config().code_signing_config_arn(arn).send()).await?;
    Ok(())
}

/// The jobs that signed `$LATEST`, the versions and the layers: each is read once.
async fn jobs(cx: &CollectCx<'_>) -> Result<(), Abort> {
    let mut signed: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut note = |job: Option<&String>, what: String| {
        if let Some(job) = job {
            signed.entry(job.clone()).or_default().push(what);
        }
    };
    match cx.function().await? {
        Ok(fact) => {
            note(fact.signing_job.as_ref(), "$LATEST".into());
            fact.layers.iter().for_each(|l| note(l.signing_job.as_ref(), format!("layer {}", l.arn)));
        }
        Err(fault) => drop(cx.gap_from(&fault, "which job signed the code of $LATEST")?),
    }
    match cx.versions().await? {
        Ok(list) => {
            for v in list.published() {
                note(v.signing_job.as_ref(), Qualifier::version(&v.version).words);
                v.layers.iter().for_each(|l| note(l.signing_job.as_ref(), format!("layer {}", l.arn)));
            }
            if let Ok(Some(fact)) = published_latest(cx, &list, "which job signed the code").await? {
                note(fact.signing_job.as_ref(), Qualifier::version(LATEST_PUBLISHED).words);
                fact.layers.iter().for_each(|l| note(l.signing_job.as_ref(), format!("layer {}", l.arn)));
            }
            cx.gap_of_rest(&list, "which jobs signed the code of further versions")?;
        }
        Err(fault) => drop(cx.gap_from_lookup(&VERSIONS, &fault, "which jobs signed the code of the versions")?),
    }
    if signed.is_empty() {
        return cx.not_applicable("signing jobs", "no configuration that could be read names one").map(drop);
    }
    at_once(signed.into_iter().map(|(arn, mut what)| {
        what.sort();
        what.dedup();
        job(cx, arn, what.join(", ")).boxed()
    }))
    .await
}

async fn job(cx: &CollectCx<'_>, arn: String, what: String) -> Result<(), Abort> {
    let id = arn.rsplit('/').next().unwrap_or_default();
    let question = Question::new(&JOB, format!("signing job {id} of {what}"));
    let call = RawCall::rest(Service::Signer, JOB.operation, "GET", &["signing-jobs", id], &[], None);
    cx.ask(question, cx.aws().raw(call)).await?;
    Ok(())
}
