//! Control-plane history, from CloudTrail's `LookupEvents` or a trail's own files: who changed the function and its role. What sessions under
//! the function's name did is `credential-activity`'s question.

use super::lookup_events::{FROM, Held, LOOKUP, MAX_PAGES, Search, Window};
use super::{Abort, CollectCx, Collector, CollectorSpec, FunctionFact, Volatility};
use crate::aws::fault::Fault;
use crate::model::item::{Group, Sensitivity};
use crate::model::params::{Param, ParamKind};
use crate::model::regions;
use async_trait::async_trait;
use aws_sdk_cloudtrail::types::LookupAttributeKey;
use std::sync::Arc;

pub struct ControlPlaneHistory;

static SPEC: CollectorSpec = CollectorSpec {
    id: "control-plane-history",
    title: "Control-plane history",
    answers: "Who changed the function or its role, and when?",
    group: Group::Control,
    volatility: Volatility::V3,
    calls: &[LOOKUP],
    params: &[
        FROM,
        Param { name: "window", kind: ParamKind::Duration, default: "90d", doc: "How far back to look; CloudTrail keeps 90 days here" },
        MAX_PAGES,
    ],
};

#[async_trait]
impl Collector for ControlPlaneHistory {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        if cx.reads_trail() {
            return of_trail(cx).await;
        }
        // The searches need no more of it than the role's name; but after some answer has shown AWS's clock the window is better measured.
        let fact = cx.function_or_told().await?;
        let Some(Held { window, .. }) = cx.history_window()? else { return Ok(()) };
        cx.expect_searches(&cx.target().region, 2);
        cx.expect_searches(regions::global(&cx.target().partition, &cx.target().region), 1);
        tokio::try_join!(of_function(cx, window), of_role(cx, fact, window))?;
        Ok(())
    }
}

async fn of_trail(cx: &CollectCx<'_>) -> Result<(), Abort> {
    const SUBJECT: &str = "the trail's records of calls that changed the function or its role";
    let reading = match cx.trail().await? {
        Ok(reading) => reading,
        Err(no) => return cx.gap(no.kind, SUBJECT, &no.why).map(drop),
    };
    if let Some((kind, why)) = &reading.short {
        cx.gap(*kind, "changes in files of the trail that were not read", &format!("what was read is not all: {why}"))?;
    }
    cx.derive(SUBJECT, "trail-changes", "jsonl", &reading.changes, reading.items.clone(), Sensitivity::S2)?;
    Ok(())
}

async fn of_function(cx: &CollectCx<'_>, window: Window) -> Result<(), Abort> {
    let target = cx.target();
    // Events name a function now by name, now by ARN: both are asked.
    search(cx, &target.region, &target.function, window).await?;
    search(cx, &target.region, &target.arn(), window).await
}

async fn of_role(cx: &CollectCx<'_>, fact: Result<Arc<FunctionFact>, Fault>, window: Window) -> Result<(), Abort> {
    const SUBJECT: &str = "CloudTrail events about the execution role";
    let fact = match fact {
        Ok(fact) => fact,
        Err(fault) => return cx.gap_from(&fault, SUBJECT).map(drop),
    };
    let Some(role) = fact.role_name() else {
        return cx.gap_without_role(SUBJECT).map(drop);
    };
    search(cx, regions::global(&cx.target().partition, &cx.target().region), role, window).await
}

async fn search(cx: &CollectCx<'_>, region: &str, value: &str, window: Window) -> Result<(), Abort> {
    let search = Search { region, key: LookupAttributeKey::ResourceName, value, window, max_pages: cx.max_pages() };
    cx.lookup(search, |_| {}).await?;
    Ok(())
}
