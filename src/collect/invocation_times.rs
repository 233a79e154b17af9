//! When the function ran, by its own metric: credentials that were used while nothing ran were used by somebody else. The `metrics` collector
//! keeps far more; this is the one series that the table of keys is held against, over the whole window of its searches.

use super::lookup_events::Window;
use super::metrics;
use super::{Abort, Bound, CollectCx, Question};
use crate::clock;
use crate::model::gap::GapKind;
use crate::model::id::ItemId;
use crate::model::item::Sensitivity;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

/// Lambda ends no invocation later (Lambda quotas).
pub(super) const LONGEST: u32 = 900;
/// An environment is shut down within seconds of its invocation's end; clocks differ by some.
const SLACK: i64 = 60;
/// CloudWatch shows a minute only some minutes later.
const LAG: i64 = 15 * 60;

/// Spans of time in which the function may have been running.
#[derive(Clone, Debug, Default)]
pub(super) struct Ran {
    /// Ordered, apart from each other; seconds since 1970.
    spans: Vec<(i64, i64)>,
    known: (i64, i64),
}

impl Ran {
    /// From (begin of a metric's period, its length): an invocation that began in it lasted `timeout` at most.
    pub fn new(mut periods: Vec<(i64, i64)>, timeout: u32, known: (i64, i64)) -> Self {
        periods.sort_unstable();
        let mut spans: Vec<(i64, i64)> = vec![];
        for (begin, length) in periods {
            let end = begin.saturating_add(length).saturating_add(i64::from(timeout)).saturating_add(SLACK);
            match spans.last_mut() {
                Some(last) if begin <= last.1 => last.1 = last.1.max(end),
                _ => spans.push((begin, end)),
            }
        }
        Ran { spans, known }
    }

    /// Whether an invocation may have been running then. `None` where the metric cannot tell.
    pub fn at(&self, t: i64) -> Option<bool> {
        if t < self.known.0 || t > self.known.1 {
            return None;
        }
        let after = self.spans.partition_point(|s| s.0 <= t + SLACK);
        Some(after > 0 && t <= self.spans[after - 1].1)
    }
}

/// Ask for the series. `None` when it is not whole, or not kept: the gap that says why is in the bundle. Where only the window's older part is
/// not kept, nothing is said of that part.
pub(super) async fn ask(cx: &CollectCx<'_>, (from, to): Window, timeout: u32) -> Result<(Option<Ran>, Vec<ItemId>), Abort> {
    let function = &cx.target().function;
    let (mut periods, mut items, mut whole) = (vec![], vec![], true);
    let (steps, lost) = metrics::resolutions(from, to, cx.server_now());
    if let Some(oldest) = lost {
        let subject = format!("when the function ran, by its metric, from {} to {}", clock::stamp(from), clock::stamp(oldest.min(to)));
        cx.gap(GapKind::NotAcquirable, &subject, &metrics::no_older_than(oldest))?;
        whole &= oldest < to;
    }
    for (from, to, period) in steps {
        let subject = format!("when the function ran, by its metric, each {period} s from {} to {}", clock::stamp(from), clock::stamp(to));
        let mut refused = false;
        let pages = cx
            .ask_all(
                Question::new(&metrics::DATA, &subject).sensitivity(Sensitivity::S0),
                Bound { pages: 50, ..Bound::default() },
                |token| cx.aws().raw(metrics::call("GetMetricData", &question(function, (from, to), period, token))),
                metrics::next_token,
                |bytes| {
                    let results = metrics::entries(&bytes, "MetricDataResults");
                    refused |= results.iter().any(|r| matches!(r["StatusCode"].as_str(), Some("Forbidden" | "InternalError")));
                    let own = results.iter().filter(|r| r["Id"] == ID);
                    let mut points = 0;
                    for (begin, value) in own.flat_map(points_of) {
                        points += 1;
                        if value > 0.0 {
                            periods.push((begin, period));
                        }
                    }
                    points
                },
            )
            .await?;
        items.push(pages.item);
        whole &= matches!(pages.end, super::PagesEnd::Complete) && !refused;
    }
    let known = (lost.unwrap_or(from).timestamp(), to.timestamp().min(cx.server_now().timestamp() - LAG));
    Ok((whole.then(|| Ran::new(periods, timeout, known)), items))
}

const ID: &str = "q0";

fn question(function: &str, (from, to): (DateTime<Utc>, DateTime<Utc>), period: i64, token: Option<String>) -> Value {
    let metric =
        json!({"Namespace": "AWS/Lambda", "MetricName": "Invocations", "Dimensions": [{"Name": "FunctionName", "Value": function}]});
    let mut body = json!({
        "MetricDataQueries": [{"Id": ID, "MetricStat": {"Metric": metric, "Period": period, "Stat": "Sum"}}],
        "StartTime": from.timestamp(), "EndTime": to.timestamp(), "ScanBy": "TimestampDescending",
    });
    if let Some(token) = token {
        body["NextToken"] = token.into();
    }
    body
}

/// Times come as numbers, or as text where the service answers in another form of JSON.
fn points_of(result: &Value) -> Vec<(i64, f64)> {
    let time = |v: &Value| {
        let said = v.as_str().and_then(|t| DateTime::parse_from_rfc3339(t).ok()).map(|t| t.timestamp());
        said.or_else(|| v.as_f64().map(|t| t as i64))
    };
    let (times, values) = (result["Timestamps"].as_array(), result["Values"].as_array());
    let pairs = times.into_iter().flatten().zip(values.into_iter().flatten());
    pairs.filter_map(|(t, v)| Some((time(t)?, v.as_f64()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_held_against_the_invocations_around_it() {
        let ran = Ran::new(vec![(10_000, 60), (10_060, 60), (50_000, 300)], 30, (0, 90_000));
        assert_eq!(ran.spans.len(), 2, "minutes that touch are one span");
        for (t, running) in
            [(9_900, false), (9_950, true), (10_000, true), (10_209, true), (10_211, false), (50_389, true), (50_391, false)]
        {
            assert_eq!(ran.at(t), Some(running), "{t}");
        }
        assert_eq!((ran.at(-1), ran.at(90_001)), (None, None), "outside of what is known nothing is said");
        assert_eq!(Ran::new(vec![], 3, (0, 10)).at(5), Some(false), "never ran");
    }

    #[test]
    fn points_are_read_in_either_form_and_nonsense_is_left_out() {
        let points = json!({"Timestamps": [1795175040.0, "2026-11-20T11:43:00Z", "never", {}], "Values": [3.0, 1, 2, 2]});
        assert_eq!(points_of(&points), [(1_795_175_040, 3.0), (1_795_174_980, 1.0)]);
        assert!(points_of(&json!({"Timestamps": 7})).is_empty());
    }
}
