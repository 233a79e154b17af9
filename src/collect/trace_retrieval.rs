//! Traces under Transaction Search: X-Ray is told to fetch them from the spans in CloudWatch Logs, and waited for. The retrieval is X-Ray's own
//! and ends by itself after an hour; it changes nothing, and is paid as a query of the logs.

use super::traces::{RETRIEVE, RETRIEVED, body, next_token};
use super::{Abort, Bound, CollectCx, Question};
use crate::aws::fault::tame;
use crate::aws::raw::{RawCall, RawResult};
use crate::model::call::Service;
use crate::model::gap::GapKind;
use crate::model::item::Sensitivity;
use chrono::{DateTime, Utc};
use serde_json::json;
use std::time::Duration;

/// Traces in one `StartTraceRetrieval` (its API reference).
const BATCH: usize = 100;
/// How long to wait for one: 1 + 2 + 4 + 5 + 5 … seconds, two minutes in all.
const POLLS: u32 = 26;

pub(super) async fn all(cx: &CollectCx<'_>, ids: &[&String], window: (DateTime<Utc>, DateTime<Utc>)) -> Result<(), Abort> {
    // One after the other: what they read is the account's share of queries.
    for (n, ids) in ids.chunks(BATCH).enumerate() {
        retrieval(cx, n + 1, ids, window).await?;
    }
    Ok(())
}

async fn retrieval(cx: &CollectCx<'_>, n: usize, ids: &[&String], (from, to): (DateTime<Utc>, DateTime<Utc>)) -> Result<(), Abort> {
    let ask = json!({"TraceIds": ids, "StartTime": from.timestamp(), "EndTime": to.timestamp()});
    let call = RawCall::rest(Service::Xray, "StartTraceRetrieval", "POST", &["StartTraceRetrieval"], &[], Some(&ask));
    let question = Question::new(&RETRIEVE, format!("retrieval {n} of traces from the spans in CloudWatch Logs: {} traces", ids.len()));
    let Some(started) = cx.ask(question, cx.aws().raw(call)).await?.got() else { return Ok(()) };
    let subject = format!("traces in full, retrieval {n}: {} traces", ids.len());
    let started = body(&started);
    let Some(token) = started["RetrievalToken"].as_str() else {
        return cx.gap(GapKind::Unsupported, &subject, "X-Ray gave the retrieval no token").map(drop);
    };
    let (mut read, mut ended) = (0, None);
    cx.ask_pages(
        Question::new(&RETRIEVED, &subject).sensitivity(Sensitivity::S2),
        Bound::default(),
        |page| answer(cx, token, page),
        next_token,
        |bytes| {
            let out = body(&bytes);
            ended = out["RetrievalStatus"].as_str().map(|s| tame(s, 40));
            let traces = out["Traces"].as_array().map_or(0, Vec::len);
            read += traces;
            traces
        },
    )
    .await?;
    match ended.as_deref() {
        None | Some("COMPLETE") => Ok(()),
        Some("SCHEDULED" | "RUNNING") => {
            cx.gap(GapKind::OutOfTime, &format!("rest of {subject}"), "X-Ray was still fetching them after two minutes").map(drop)
        }
        Some(other) => cx.gap(GapKind::Transport, &format!("rest of {subject}"), &format!("the retrieval ended as {other}")).map(drop),
    }
}

/// One page. While X-Ray fetches, its answers are empty: they are on record as exchanges of the same question.
async fn answer(cx: &CollectCx<'_>, token: &str, page: Option<String>) -> RawResult {
    let mut ask = json!({"RetrievalToken": token, "TraceFormat": "XRAY"});
    if let Some(page) = page {
        ask["NextToken"] = page.into();
    }
    let call = RawCall::rest(Service::Xray, "ListRetrievedTraces", "POST", &["ListRetrievedTraces"], &[], Some(&ask));
    let mut out = cx.aws().raw(call.clone()).await?;
    for poll in 0..POLLS {
        if !matches!(body(&out)["RetrievalStatus"].as_str(), Some("SCHEDULED" | "RUNNING")) {
            break;
        }
        cx.pause(Duration::from_secs(1 << poll.min(2)).min(Duration::from_secs(5))).await;
        out = cx.aws().raw(call.clone()).await?;
    }
    Ok(out)
}
