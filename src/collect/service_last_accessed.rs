//! What the role really used, and when, by IAM's own record of 400 days. IAM makes a report on demand: `GenerateServiceLastAccessedDetails`
//! starts a job. It changes nothing that anybody configured (IAM itself calls the action a read), it leaves a job id that expires, and it
//! shows in CloudTrail like every other call of ours; so it is declared as a read. The record lags by up to four hours, and counts refused
//! attempts as well.

use super::{Abort, Bound, CollectCx, Collector, CollectorSpec, Question, Volatility};
use crate::aws::fault::tame;
use crate::model::call::{Call, Scope, Service};
use crate::model::gap::GapKind;
use crate::model::item::Group;
use crate::model::params::{Param, ParamKind};
use async_trait::async_trait;
use aws_sdk_iam::operation::get_service_last_accessed_details::GetServiceLastAccessedDetailsOutput;
use aws_sdk_iam::types::{AccessAdvisorUsageGranularityType, JobStatusType};
use std::time::Duration;

pub struct ServiceLastAccessed;

const START: Call = Call::read(Service::Iam, "GenerateServiceLastAccessedDetails", "iam:GenerateServiceLastAccessedDetails", Scope::Role);
const READ: Call = Call::read(Service::Iam, "GetServiceLastAccessedDetails", "iam:GetServiceLastAccessedDetails", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "service-last-accessed",
    title: "Services last accessed by the role",
    answers: "Which services and actions did the role use, or try to use, and when was the last time?",
    group: Group::Identity,
    volatility: Volatility::V1,
    calls: &[START, READ],
    params: &[Param { name: "patience", kind: ParamKind::Duration, default: "90s", doc: "How long to wait for IAM to make its report" }],
};

const SUBJECT: &str = "services and actions that the role used last";
const PAUSE: Duration = Duration::from_secs(2);

#[async_trait]
impl Collector for ServiceLastAccessed {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        // Also of a function that is gone: the role need not be.
        let fact = match cx.function_or_told().await? {
            Ok(fact) => fact,
            Err(fault) => return cx.gap_from(&fault, SUBJECT).map(drop),
        };
        let Some(role) = fact.role_arn.as_deref() else {
            return cx.gap_without_role(SUBJECT).map(drop);
        };
        let start =
            cx.aws().iam().generate_service_last_accessed_details().arn(role).granularity(AccessAdvisorUsageGranularityType::ActionLevel);
        let Some(out) = cx.ask(Question::new(&START, "IAM's report about the role, asked for"), start.send()).await?.got() else {
            return Ok(());
        };
        let Some(job) = out.job_id() else {
            return cx.gap(GapKind::Unsupported, SUBJECT, "IAM began no job").map(drop);
        };
        report(cx, job).await
    }
}

async fn report(cx: &CollectCx<'_>, job: &str) -> Result<(), Abort> {
    let patience = cx.duration("patience");
    let clock = cx.shared.connector.clock();
    let until = clock.monotonic_ns().saturating_add(u64::try_from(patience.as_nanos()).unwrap_or(u64::MAX));
    let mut last = None;
    cx.ask_pages(
        Question::new(&READ, SUBJECT),
        Bound::default(),
        |marker| {
            let call = cx.aws().iam().get_service_last_accessed_details().job_id(job).set_marker(marker);
            // The waiting belongs to the question: one item holds every answer, "in progress" too.
            async move {
                loop {
                    let out = call.clone().send().await?;
                    if *out.job_status() != JobStatusType::InProgress || clock.monotonic_ns() >= until {
                        return Ok::<_, aws_smithy_runtime_api::client::result::SdkError<_, _>>(out);
                    }
                    clock.sleep(PAUSE).await;
                }
            }
        },
        |out: &GetServiceLastAccessedDetailsOutput| out.marker().filter(|_| out.is_truncated()).map(str::to_string),
        |out| {
            last = Some((out.job_status().clone(), out.error().map(|e| tame(e.message(), 200))));
            out.services_last_accessed().len()
        },
    )
    .await?;
    match last {
        Some((JobStatusType::InProgress, _)) => cx
            .gap(
                GapKind::OutOfTime,
                SUBJECT,
                &format!("IAM was still making its report after {} s; job {}", patience.as_secs(), tame(job, 80)),
            )
            .map(drop),
        Some((JobStatusType::Failed, why)) => cx
            .gap(
                GapKind::Transport,
                SUBJECT,
                &format!("IAM could not make its report: {}", why.as_deref().unwrap_or("it does not say why")),
            )
            .map(drop),
        _ => Ok(()),
    }
}
