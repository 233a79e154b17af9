//! Traces: what the function called, with timing and errors, as X-Ray saw it. Where they go is asked first: with Transaction Search they are
//! spans in CloudWatch Logs (`aws/spans`), `BatchGetTraces` finds nothing and says nothing about it, and X-Ray has to fetch them from there
//! (`trace_retrieval.rs`).

use super::cx::at_once;
use super::lookup_events::GROWN;
use super::trace_retrieval;
use super::{Abort, Bound, CollectCx, Collector, CollectorSpec, Question, Reply, Volatility};
use crate::aws::raw::RawCall;
use crate::clock;
use crate::model::call::{Call, Scope, Service};
use crate::model::gap::GapKind;
use crate::model::item::{Group, Sensitivity};
use crate::model::params::{Param, ParamKind};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

pub struct Traces;

const DESTINATION: Call = Call::read(Service::Xray, "GetTraceSegmentDestination", "xray:GetTraceSegmentDestination", Scope::Any);
const SUMMARIES: Call = Call::read(Service::Xray, "GetTraceSummaries", "xray:GetTraceSummaries", Scope::Any);
const TRACES: Call = Call::read(Service::Xray, "BatchGetTraces", "xray:BatchGetTraces", Scope::Any);

pub(super) const RETRIEVE: Call = Call::read(Service::Xray, "StartTraceRetrieval", "xray:StartTraceRetrieval", Scope::Any);
pub(super) const RETRIEVED: Call = Call::read(Service::Xray, "ListRetrievedTraces", "xray:ListRetrievedTraces", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "traces",
    title: "Traces",
    answers: "What did the function call, how long did it take, and what failed, as far as it was traced?",
    group: Group::Invocation,
    volatility: Volatility::V3,
    calls: &[DESTINATION, SUMMARIES, TRACES, RETRIEVE, RETRIEVED],
    params: &[
        Param { name: "window", kind: ParamKind::Duration, default: "24h", doc: "How far back to look for traces" },
        Param {
            name: "max-traces",
            kind: ParamKind::Count,
            default: "200",
            doc: "Read at most so many traces in full, newest first; what is left is a gap",
        },
    ],
};

/// One question covers six hours, the longest that X-Ray's own console asks for at once.
const SLICE_HOURS: i64 = 6;
/// X-Ray keeps a trace so long. DOUBT(aws): from memory; of what is older it lists nothing, without a word.
const KEPT: TimeDelta = TimeDelta::days(30);
/// Traces in one `BatchGetTraces` (its API reference).
const BATCH: usize = 5;

#[async_trait]
impl Collector for Traces {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        let elsewhere = destination(cx).await?;
        let (found, unread) = (Mutex::new(BTreeSet::new()), AtomicBool::new(false));
        let (from, to) = cx.window("window");
        let (slices, lost) = slices(from, to, cx.server_now());
        if let Some(oldest) = lost {
            let why = format!("X-Ray keeps traces for 30 days; from {} on they were asked for", clock::stamp(oldest));
            cx.gap(GapKind::NotAcquirable, "traces of the older part of the window", &why)?;
            if slices.is_empty() {
                return Ok(());
            }
        }
        let asked = (slices.last().map_or(from, |oldest| oldest.0), to);
        at_once(slices.into_iter().map(|(a, b)| summaries(cx, a, b, &found, &unread).boxed())).await?;
        let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        if elsewhere {
            // X-Ray knows of those that it indexes; by default that is one in a hundred (Transaction Search, AWS's user guide).
            let why = "spans go to CloudWatch Logs (Transaction Search): X-Ray lists the indexed part of the traces only; the others lie in the log group aws/spans, and must be queried there";
            cx.gap(GapKind::NotAcquirable, "traces that X-Ray does not index", why)?;
        }
        if found.is_empty() && unread.into_inner() {
            // The gaps of the lists say what is open: nobody knows that there is no trace.
            return Ok(());
        }
        if found.is_empty() {
            return cx.not_applicable("traces in full", "no trace was listed").map(drop);
        }
        let most = usize::try_from(cx.count("max-traces")).unwrap_or(usize::MAX);
        // A trace id holds the second in which it began.
        let newest: Vec<&String> = found.iter().rev().take(most).collect();
        if found.len() > newest.len() {
            let why = format!("{} traces were listed, {} read in full, as bounded by max-traces", found.len(), newest.len());
            cx.gap(GapKind::TooLarge, "older traces in full", &why)?;
        }
        if elsewhere {
            return trace_retrieval::all(cx, &newest, asked).await;
        }
        at_once(newest.chunks(BATCH).enumerate().map(|(n, ids)| in_full(cx, n, ids.to_vec()).boxed())).await
    }
}

/// Whether segments go somewhere else than X-Ray.
async fn destination(cx: &CollectCx<'_>) -> Result<bool, Abort> {
    let call = RawCall::rest(Service::Xray, "GetTraceSegmentDestination", "POST", &["GetTraceSegmentDestination"], &[], Some(&json!({})));
    let question = Question::new(&DESTINATION, "where the account's trace segments go");
    Ok(match cx.ask(question, cx.aws().raw(call)).await? {
        Reply::Got(answer) => body(&answer.output)["Destination"] == "CloudWatchLogs",
        Reply::Absent(_) | Reply::Gap(_) => false,
    })
}

async fn summaries(
    cx: &CollectCx<'_>,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    found: &Mutex<BTreeSet<String>>,
    unread: &AtomicBool,
) -> Result<(), Abort> {
    // A function's name is letters, digits, `-` and `_`: it cannot leave its quotes.
    let filter = format!("service(\"{}\")", cx.target().function);
    let whole = cx
        .ask_pages(
            // Summaries hold addresses and users of callers.
            Question::new(&SUMMARIES, format!("traces through the function from {} to {}", clock::stamp(from), clock::stamp(to)))
                .sensitivity(Sensitivity::S2),
            Bound { pages: 200, bytes: 64 << 20 },
            |token| {
                let mut ask =
                    json!({ "StartTime": from.timestamp(), "EndTime": to.timestamp(), "Sampling": false, "FilterExpression": filter });
                if let Some(token) = token {
                    ask["NextToken"] = token.into();
                }
                cx.aws().raw(RawCall::rest(Service::Xray, "GetTraceSummaries", "POST", &["TraceSummaries"], &[], Some(&ask)))
            },
            next_token,
            |bytes| {
                let body = body(&bytes);
                let all = body["TraceSummaries"].as_array().map(Vec::as_slice).unwrap_or_default();
                let ids = all.iter().filter_map(|s| s["Id"].as_str()).filter(|id| is_trace_id(id)).map(str::to_string);
                found.lock().unwrap_or_else(PoisonError::into_inner).extend(ids);
                all.len()
            },
        )
        .await?;
    if !whole {
        unread.store(true, Ordering::Relaxed);
    }
    Ok(())
}

async fn in_full(cx: &CollectCx<'_>, n: usize, ids: Vec<&String>) -> Result<(), Abort> {
    let mut unprocessed = 0;
    let what = format!("traces in full, batch {}: {}", n + 1, ids.iter().map(|s| s.as_str()).collect::<Vec<_>>().join(" "));
    cx.ask_pages(
        // Segments hold addresses, queries and whatever the function annotated.
        Question::new(&TRACES, &what).sensitivity(Sensitivity::S2),
        Bound { pages: 50, bytes: 64 << 20 },
        |token| {
            let mut ask = json!({ "TraceIds": ids });
            if let Some(token) = token {
                ask["NextToken"] = token.into();
            }
            cx.aws().raw(RawCall::rest(Service::Xray, "BatchGetTraces", "POST", &["Traces"], &[], Some(&ask)))
        },
        next_token,
        |bytes| {
            let body = body(&bytes);
            unprocessed += body["UnprocessedTraceIds"].as_array().map_or(0, Vec::len);
            body["Traces"].as_array().map_or(0, Vec::len)
        },
    )
    .await?;
    if unprocessed > 0 {
        cx.gap(GapKind::Truncated, &what, &format!("X-Ray left {unprocessed} of these traces unprocessed"))?;
    }
    Ok(())
}

/// From, until.
type Span = (DateTime<Utc>, DateTime<Utc>);

/// The window, as far as X-Ray keeps traces of it, in slices, newest first; and since when it keeps any, where the window begins before.
fn slices(from: DateTime<Utc>, to: DateTime<Utc>, now: DateTime<Utc>) -> (Vec<Span>, Option<DateTime<Utc>>) {
    let oldest = now - KEPT;
    let lost = (from < oldest - GROWN).then_some(oldest);
    let from = from.max(oldest);
    let (mut out, mut end) = (vec![], to);
    while end > from {
        let start = end.checked_sub_signed(TimeDelta::hours(SLICE_HOURS)).unwrap_or(from).max(from);
        out.push((start, end));
        end = start;
    }
    (out, lost)
}

/// `1-6352a70e-1e2c502e358361800241fd45`.
fn is_trace_id(id: &str) -> bool {
    id.len() <= 64 && id.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}

pub(super) fn body(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_default()
}

#[expect(clippy::ptr_arg, reason = "paging hands over what the call answered, which is a Vec")]
pub(super) fn next_token(bytes: &Vec<u8>) -> Option<String> {
    body(bytes)["NextToken"].as_str().map(str::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_asked_for_in_slices_newest_first() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let ago = |hours| now - TimeDelta::hours(hours);
        let days = |days: i64| ago(24 * days);
        assert_eq!(slices(ago(10), now, now), (vec![(ago(6), now), (ago(10), ago(6))], None));
        let (all, lost) = slices(days(365), now, now);
        assert_eq!((all.len(), all.last().copied(), lost), (120, Some((days(30), days(30) + TimeDelta::hours(6))), Some(days(30))));
        // Counted from now, wherever the window ends.
        assert_eq!(slices(days(50), days(40), now), (vec![], Some(days(30))));
        let (all, lost) = slices(days(40), days(29), now);
        assert_eq!((all.len(), lost), (4, Some(days(30))));
        // Thirty days, said some minutes ago.
        let (all, lost) = slices(days(30) - TimeDelta::minutes(20), now, now);
        assert_eq!((all.len(), lost), (120, None));
    }
}
