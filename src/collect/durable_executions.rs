//! Durable executions: invocations that sleep, wait and go on for up to a year, with the best record of invocations that AWS keeps. Whoever
//! freezes a function should know which of them are still running; their history goes when they are deleted.

use super::cx::at_once;
use super::versions::VERSIONS;
use super::{Abort, Bound, CollectCx, Collector, CollectorSpec, Question, Volatility};
use crate::aws::fault::FaultClass;
use crate::model::call::{Call, Scope, Service};
use crate::model::gap::GapKind;
use crate::model::item::{Group, Sensitivity};
use crate::model::params::{Param, ParamKind};
use async_trait::async_trait;
use aws_sdk_lambda::operation::get_durable_execution_history::GetDurableExecutionHistoryOutput;
use aws_sdk_lambda::operation::list_durable_executions_by_function::ListDurableExecutionsByFunctionOutput;
use aws_sdk_lambda::types::ExecutionStatus;
use futures_util::FutureExt;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

pub struct DurableExecutions;

const LIST: Call =
    Call::read(Service::Lambda, "ListDurableExecutionsByFunction", "lambda:ListDurableExecutionsByFunction", Scope::Function);
const GET: Call = Call::read(Service::Lambda, "GetDurableExecution", "lambda:GetDurableExecution", Scope::Function);
const HISTORY: Call = Call::read(Service::Lambda, "GetDurableExecutionHistory", "lambda:GetDurableExecutionHistory", Scope::Function);

static SPEC: CollectorSpec = CollectorSpec {
    id: "durable-executions",
    title: "Durable executions",
    answers: "Which durable executions are running or ended lately, with what input and result, and step by step?",
    group: Group::Invocation,
    volatility: Volatility::V5,
    calls: &[LIST, GET, HISTORY],
    params: &[
        Param {
            name: "max-executions",
            kind: ParamKind::Count,
            default: "100",
            doc: "Read at most so many executions in full, running ones first; what is left is a gap",
        },
        Param {
            name: "max-bytes",
            kind: ParamKind::Bytes,
            default: "64MiB",
            doc: "Stop after so many bytes of one execution's history; what is newer is a gap",
        },
    ],
};

/// The rest of them is a gap: a list of so many has been enough to know what goes on.
const MAX_LISTED_PAGES: u32 = 20;

/// What was found, in the order of asking.
#[derive(Default)]
struct Found {
    seen: BTreeSet<String>,
    running: Vec<String>,
    ended: Vec<String>,
}

#[async_trait]
impl Collector for DurableExecutions {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        let durable = match cx.function().await? {
            Ok(fact) => fact.durable,
            // Executions outlive the function; and a function that cannot be read is no proof that it is not durable.
            Err(fault) if fault.class == FaultClass::NotFound => true,
            Err(fault) => {
                cx.gap_from(&fault, "whether the function is durable (its executions were asked for all the same)")?;
                true
            }
        };
        let mut qualifiers: Vec<String> = durable.then(|| "$LATEST".to_string()).into_iter().collect();
        let whole = match cx.versions().await? {
            Ok(versions) => {
                qualifiers.extend(versions.published().filter(|v| v.durable).map(|v| v.version.clone()));
                cx.gap_of_rest(&versions, "durable executions of further versions")?;
                versions.unfinished.is_none()
            }
            Err(fault) => {
                cx.gap_from_lookup(&VERSIONS, &fault, "durable executions of the published versions")?;
                false
            }
        };
        if qualifiers.is_empty() && !whole {
            return Ok(());
        }
        if qualifiers.is_empty() {
            return cx
                .not_applicable("durable executions", "neither $LATEST nor a published version has a durable configuration")
                .map(drop);
        }
        let found = Mutex::new(Found::default());
        // Running ones first: they are what changes.
        at_once(qualifiers.iter().map(|q| list(cx, q, true, &found).boxed())).await?;
        at_once(qualifiers.iter().map(|q| list(cx, q, false, &found).boxed())).await?;
        let Found { running, ended, .. } = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        let all: Vec<String> = running.into_iter().chain(ended).collect();
        let most = usize::try_from(cx.count("max-executions")).unwrap_or(usize::MAX);
        if all.len() > most {
            cx.gap(
                GapKind::TooLarge,
                "further durable executions in full",
                &format!("{} were listed, {most} read, as bounded by max-executions", all.len()),
            )?;
        }
        at_once(all.into_iter().take(most).map(|arn| in_full(cx, arn).boxed())).await
    }
}

async fn list(cx: &CollectCx<'_>, qualifier: &str, running: bool, found: &Mutex<Found>) -> Result<(), Abort> {
    use ExecutionStatus::{Failed, Running, Stopped, Succeeded, TimedOut};
    let (statuses, words) = if running { (vec![Running], "running") } else { (vec![Succeeded, Failed, TimedOut, Stopped], "ended") };
    // Newest first, which is the API's own order.
    let call = || {
        cx.aws()
            .lambda()
            .list_durable_executions_by_function()
            .function_name(&cx.target().function)
            .qualifier(qualifier)
            .set_statuses(Some(statuses.clone()))
    };
    cx.ask_pages(
        Question::new(&LIST, format!("durable executions of {qualifier} that are {words}")),
        Bound { pages: MAX_LISTED_PAGES, ..Bound::default() },
        |marker| call().max_items(1000).set_marker(marker).send(),
        |out: &ListDurableExecutionsByFunctionOutput| out.next_marker().map(str::to_string),
        |out| {
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            for execution in out.durable_executions() {
                let arn = execution.durable_execution_arn().to_string();
                if found.seen.insert(arn.clone()) {
                    if *execution.status() == Running { found.running.push(arn) } else { found.ended.push(arn) }
                }
            }
            out.durable_executions().len()
        },
    )
    .await?;
    Ok(())
}

async fn in_full(cx: &CollectCx<'_>, arn: String) -> Result<(), Abort> {
    tokio::try_join!(about(cx, &arn), history(cx, &arn))?;
    Ok(())
}

async fn about(cx: &CollectCx<'_>, arn: &str) -> Result<(), Abort> {
    let question = Question::new(&GET, format!("durable execution {arn} with input and result")).sensitivity(Sensitivity::S3);
    cx.ask(question, cx.aws().lambda().get_durable_execution().durable_execution_arn(arn).include_execution_data(true).send()).await?;
    Ok(())
}

async fn history(cx: &CollectCx<'_>, arn: &str) -> Result<(), Abort> {
    let call = || cx.aws().lambda().get_durable_execution_history().durable_execution_arn(arn).include_execution_data(true);
    cx.ask_pages(
        Question::new(&HISTORY, format!("history of durable execution {arn}")).sensitivity(Sensitivity::S3),
        Bound { pages: 1000, bytes: cx.bytes("max-bytes") },
        |marker| call().set_marker(marker).send(),
        |out: &GetDurableExecutionHistoryOutput| out.next_marker().map(str::to_string),
        |out| out.events().len(),
    )
    .await?;
    Ok(())
}
