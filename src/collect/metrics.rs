//! Metrics: the function's counters, minute by minute, for as long as CloudWatch keeps minutes. They survive a log group that somebody
//! deleted: an invocation that no log shows is still counted here. `ListMetrics` says which counters there are, per alias and executed
//! version too; those that every function may have are read even when it names none of them, because it forgets what was quiet for two weeks.

use super::cx::at_once;
use super::{Abort, Bound, CollectCx, Collector, CollectorSpec, Question, Volatility};
use crate::aws::fault::tame;
use crate::aws::raw::{JsonVersion, RawCall};
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
use std::sync::atomic::{AtomicU64, Ordering};

pub struct Metrics;

const LIST: Call = Call::read(Service::Cloudwatch, "ListMetrics", "cloudwatch:ListMetrics", Scope::Any);
pub(super) const DATA: Call = Call::read(Service::Cloudwatch, "GetMetricData", "cloudwatch:GetMetricData", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "metrics",
    title: "Metrics",
    answers: "How often did the function run, fail or send elsewhere, minute by minute, in every version and under every alias?",
    group: Group::Invocation,
    volatility: Volatility::V5,
    calls: &[LIST, DATA],
    params: &[
        Param {
            name: "window",
            kind: ParamKind::Duration,
            default: "3d",
            doc: "How far back to read; by the minute within 15 days, more coarsely before",
        },
        Param {
            name: "max-metrics",
            kind: ParamKind::Count,
            default: "300",
            doc: "Read at most so many metrics (name and dimensions); what is left is a gap",
        },
    ],
};

const NAMESPACE: &str = "AWS/Lambda";
/// Points that one `GetMetricData` may return (its API reference).
const POINTS: i64 = 100_800;
/// Queries that it may hold.
const QUERIES: i64 = 500;

/// What every function may have ("Types of metrics for Lambda functions", Lambda Developer Guide), and how it adds up.
const KNOWN: &[(&str, &[&str])] = &[
    ("Invocations", &["Sum"]),
    ("Errors", &["Sum"]),
    ("Throttles", &["Sum"]),
    ("Duration", &["Sum", "p50", "p99", "Maximum"]),
    ("ConcurrentExecutions", &["Maximum"]),
    ("ProvisionedConcurrencyInvocations", &["Sum"]),
    ("ProvisionedConcurrencySpilloverInvocations", &["Sum"]),
    ("AsyncEventsReceived", &["Sum"]),
    ("AsyncEventAge", &["Maximum"]),
    ("AsyncEventsDropped", &["Sum"]),
    ("DeadLetterErrors", &["Sum"]),
    ("DestinationDeliveryFailures", &["Sum"]),
    ("RecursiveInvocationsDropped", &["Sum"]),
    ("IteratorAge", &["Maximum"]),
    ("UrlRequestCount", &["Sum"]),
    ("Url4xxCount", &["Sum"]),
    ("Url5xxCount", &["Sum"]),
    ("UrlRequestLatency", &["Maximum"]),
];
/// For a metric newer than this list.
const ELSE: &[&str] = &["Sum", "Maximum"];

/// A metric: its name, and its dimensions in order.
type Metric = (String, Vec<(String, String)>);

#[async_trait]
impl Collector for Metrics {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        let metrics = which(cx).await?;
        let (from, to) = cx.window("window");
        let queries: Vec<Value> = metrics.iter().flat_map(queries_of).collect();
        let mut questions = vec![];
        let (steps, lost) = resolutions(from, to, cx.server_now());
        if let Some(oldest) = lost {
            cx.gap(GapKind::NotAcquirable, "metrics of the older part of the window", &no_older_than(oldest))?;
        }
        for (from, to, period) in steps {
            let points = (to - from).num_seconds().div_euclid(period).max(1);
            let fit = usize::try_from((POINTS / points).clamp(1, QUERIES)).unwrap_or(1);
            let parts = queries.len().div_ceil(fit);
            for (n, part) in queries.chunks(fit).enumerate() {
                let what = format!("metrics by {period} s from {} to {}, part {} of {parts}", clock::stamp(from), clock::stamp(to), n + 1);
                questions.push(data(cx, what, from, to, numbered(part, period)).boxed());
            }
        }
        at_once(questions).await
    }
}

/// What to read: what every function may have, and whatever CloudWatch lists.
async fn which(cx: &CollectCx<'_>) -> Result<Vec<Metric>, Abort> {
    let function = &cx.target().function;
    let plain = vec![("FunctionName".to_string(), function.clone())];
    let mut wanted: Vec<Metric> = KNOWN.iter().map(|(name, _)| (name.to_string(), plain.clone())).collect();
    let mut seen: BTreeSet<Metric> = wanted.iter().cloned().collect();
    let most = usize::try_from(cx.count("max-metrics")).unwrap_or(usize::MAX).max(wanted.len());
    let mut left = 0usize;
    cx.ask_pages(
        Question::new(&LIST, "metrics that CloudWatch has of the function, with their dimensions").sensitivity(Sensitivity::S0),
        Bound { pages: 100, ..Bound::default() },
        |token| {
            let mut body = json!({ "Namespace": NAMESPACE, "Dimensions": [{ "Name": "FunctionName", "Value": function }] });
            if let Some(token) = token {
                body["NextToken"] = token.into();
            }
            cx.aws().raw(call("ListMetrics", &body))
        },
        next_token,
        |bytes| {
            let listed = entries(&bytes, "Metrics");
            for metric in listed.iter().filter_map(metric_of) {
                if seen.contains(&metric) {
                    continue;
                }
                if wanted.len() < most {
                    seen.insert(metric.clone());
                    wanted.push(metric);
                } else {
                    left += 1;
                }
            }
            listed.len()
        },
    )
    .await?;
    if left > 0 {
        cx.gap(
            GapKind::TooLarge,
            "further metrics of the function",
            &format!("{left} listed metrics were not read, as bounded by max-metrics"),
        )?;
    }
    Ok(wanted)
}

async fn data(cx: &CollectCx<'_>, what: String, from: DateTime<Utc>, to: DateTime<Utc>, queries: Vec<Value>) -> Result<(), Abort> {
    let queries = &queries;
    let refused = AtomicU64::new(0);
    cx.ask_pages(
        Question::new(&DATA, &what).sensitivity(Sensitivity::S0),
        Bound { pages: 200, ..Bound::default() },
        |token| {
            // Newest first, so that a bound cuts the oldest.
            let mut body = json!({
                "MetricDataQueries": queries, "StartTime": from.timestamp(), "EndTime": to.timestamp(), "ScanBy": "TimestampDescending",
            });
            if let Some(token) = token {
                body["NextToken"] = token.into();
            }
            cx.aws().raw(call("GetMetricData", &body))
        },
        next_token,
        |bytes| {
            let results = entries(&bytes, "MetricDataResults");
            let bad = results.iter().filter(|r| matches!(r["StatusCode"].as_str(), Some("Forbidden" | "InternalError"))).count();
            refused.fetch_add(bad as u64, Ordering::Relaxed);
            results.iter().map(|r| r["Values"].as_array().map_or(0, Vec::len)).sum()
        },
    )
    .await?;
    match refused.into_inner() {
        0 => Ok(()),
        n => cx.gap(GapKind::Transport, &what, &format!("CloudWatch answered {n} of the series with Forbidden or InternalError")).map(drop),
    }
}

pub(super) fn call(operation: &'static str, body: &Value) -> RawCall {
    RawCall::json(Service::Cloudwatch, operation, JsonVersion::V1_0, &format!("GraniteServiceVersion20100801.{operation}"), body)
}

/// From, to, seconds of a period.
type Step = (DateTime<Utc>, DateTime<Utc>, i64);

/// A window in steps, newest first, each asked for in the finest form that CloudWatch still keeps of it; and before when it keeps nothing, if the
/// window reaches there.
///
/// Minutes are kept for 15 days, five minutes for 63, hours for 455 (API reference of `GetMetricData`). What counts is how old a question's start
/// is when it is put, wherever the window ends: asked too finely, it is answered with no points and no word (the same, `MetricStat`, `Period`).
pub(super) fn resolutions(from: DateTime<Utc>, to: DateTime<Utc>, now: DateTime<Utc>) -> (Vec<Step>, Option<DateTime<Utc>>) {
    let ago = |hours| now.checked_sub_signed(TimeDelta::hours(hours)).unwrap_or(DateTime::UNIX_EPOCH);
    let mut out = vec![];
    let mut end = to;
    // An hour less than is kept: until the last page is asked for, the start grows older.
    for (kept, period) in [(ago(15 * 24 - 1), 60), (ago(63 * 24 - 1), 300), (ago(455 * 24), 3600)] {
        let oldest = kept.max(from);
        if oldest < end {
            out.push((oldest, end, period));
            end = oldest;
        }
    }
    let kept = ago(455 * 24);
    (out, (from < kept).then_some(kept))
}

pub(super) fn no_older_than(oldest: DateTime<Utc>) -> String {
    format!("CloudWatch keeps metrics for 455 days; from {} on they were asked for", clock::stamp(oldest))
}

fn queries_of(metric: &Metric) -> Vec<Value> {
    let (name, dimensions) = metric;
    let stats = KNOWN.iter().find(|(known, _)| known == name).map_or(ELSE, |(_, stats)| stats);
    let dimensions: Vec<Value> = dimensions.iter().map(|(name, value)| json!({ "Name": name, "Value": value })).collect();
    let metric = json!({ "Namespace": NAMESPACE, "MetricName": name, "Dimensions": dimensions });
    stats.iter().map(|stat| json!({ "MetricStat": { "Metric": metric, "Stat": stat } })).collect()
}

/// The label says what the series is: an id may hold letters and digits alone.
fn numbered(queries: &[Value], period: i64) -> Vec<Value> {
    queries
        .iter()
        .enumerate()
        .map(|(n, query)| {
            let mut query = query.clone();
            let stat = &query["MetricStat"];
            let dimensions = stat["Metric"]["Dimensions"].as_array().into_iter().flatten();
            let of: Vec<String> = dimensions
                .map(|d| format!("{}={}", d["Name"].as_str().unwrap_or_default(), d["Value"].as_str().unwrap_or_default()))
                .collect();
            let label = format!(
                "{} {} {}",
                stat["Metric"]["MetricName"].as_str().unwrap_or_default(),
                stat["Stat"].as_str().unwrap_or_default(),
                of.join(" ")
            );
            query["Id"] = format!("q{n}").into();
            // CloudWatch would fill in `${…}` in a label.
            query["Label"] = tame(&label, 300).replace('$', "").into();
            query["MetricStat"]["Period"] = period.into();
            query
        })
        .collect()
}

/// Of a listed metric, no more than CloudWatch allows: 30 dimensions, names and values of 1024 characters.
fn metric_of(listed: &Value) -> Option<Metric> {
    let text = |v: &Value| v.as_str().filter(|t| t.len() <= 1024).map(str::to_string);
    let mut dimensions = vec![];
    for d in listed["Dimensions"].as_array()?.iter().take(31) {
        dimensions.push((text(&d["Name"])?, text(&d["Value"])?));
    }
    dimensions.sort();
    (dimensions.len() <= 30).then_some((text(&listed["MetricName"])?, dimensions))
}

#[expect(clippy::ptr_arg, reason = "paging hands over what the call answered, which is a Vec")]
pub(super) fn next_token(bytes: &Vec<u8>) -> Option<String> {
    let body: Value = serde_json::from_slice(bytes).ok()?;
    body["NextToken"].as_str().map(str::to_string)
}

pub(super) fn entries(bytes: &[u8], member: &str) -> Vec<Value> {
    let body: Value = serde_json::from_slice(bytes).unwrap_or_default();
    match body.get(member) {
        Some(Value::Array(all)) => all.clone(),
        _ => vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_age_is_asked_for_in_the_finest_form_that_is_kept() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let ago = |days| now - TimeDelta::days(days);
        // A start that is as old as can be when it is computed would be too old when it is asked for.
        let (minutes, fives) = (ago(15) + TimeDelta::hours(1), ago(63) + TimeDelta::hours(1));
        assert_eq!(resolutions(ago(3), now, now), (vec![(ago(3), now, 60)], None));
        assert_eq!(resolutions(ago(100), now, now), (vec![(minutes, now, 60), (fives, minutes, 300), (ago(100), fives, 3600)], None));
        assert_eq!(resolutions(now, now, now), (vec![], None));
        // A window that ends in the past is as old as it is.
        assert_eq!(resolutions(ago(25), ago(20), now), (vec![(ago(25), ago(20), 300)], None));
        assert_eq!(resolutions(ago(80), ago(70), now), (vec![(ago(80), ago(70), 3600)], None));
        // What is not kept at all is not asked for.
        assert_eq!(resolutions(ago(460), ago(450), now), (vec![(ago(455), ago(450), 3600)], Some(ago(455))));
        assert_eq!(resolutions(ago(500), ago(460), now), (vec![], Some(ago(455))));
    }

    #[test]
    fn what_strangers_named_stays_a_value() {
        let metric = metric_of(&json!({ "MetricName": "Odd${x}", "Dimensions": [{ "Name": "Resource", "Value": "f:a\u{1b}" }] })).unwrap();
        let [sum, maximum] = queries_of(&metric).try_into().unwrap();
        let numbered = numbered(&[sum, maximum], 60);
        assert_eq!(numbered[1]["Id"], "q1");
        assert_eq!(numbered[1]["Label"], "Odd{x} Maximum Resource=f:a ");
        assert_eq!(numbered[0]["MetricStat"]["Metric"]["Dimensions"][0]["Value"], "f:a\u{1b}");
        assert_eq!(metric_of(&json!({ "MetricName": 7, "Dimensions": [] })), None);
    }
}
