//! Invocations, put together from the lines of a log: one record for each request id, each with the lines that it came from.
//!
//! Lines may come newest first, from several streams at once, and more than once (two groups, two pages): nothing here depends on their
//! order. Whoever controls the function's output can print lines that look like the platform's, so a record is a claim of its lines: where
//! two lines claim different things, the earlier stands and the member is named under `disputed`.

use super::id::ExchangeId;
use super::log_line::{LineKind, LogLine};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One invocation: a line of `data/60-invocation/invocations.jsonl`. A member that is missing was in no line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Invocation {
    pub request_id: String,
    /// `$LATEST`, or the number of a version.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<String>,
    /// When it began, RFC 3339: by the start line's own time, else by the time that CloudWatch Logs has for that line.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub start: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub duration_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub billed_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub memory_mb: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max_memory_mb: Option<u64>,
    /// The initialisation that it had to wait for: a cold start.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub init_ms: Option<f64>,
    /// The SnapStart restore that it had to wait for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub restore_ms: Option<f64>,
    /// `success`, `error`, `failure`, `timeout`. The text form states it for failures only.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error_type: Option<String>,
    /// X-Ray trace.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub trace_id: Option<String>,
    /// Members of which another line claimed a different value.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub disputed: Vec<String>,
    /// The lines that it was put together from, in the order of time; the first sixteen.
    pub source: Vec<LineRef>,
}

/// Where a line is to be found: the answer that held it, and there the stream and the time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct LineRef {
    /// Milliseconds since 1970, as CloudWatch Logs has it.
    pub timestamp: i64,
    pub exchange: ExchangeId,
    pub stream: String,
}

/// Lines kept for one invocation.
const MAX_SOURCES: usize = 16;
/// Lines without a request id kept for one stream.
const MAX_LOOSE: usize = 1000;
const MAX_STREAM: usize = 512;

/// Gathers lines; bounded in what it remembers.
#[derive(Debug)]
pub struct Invocations {
    /// Lines that may still be kept.
    room: usize,
    claims: BTreeMap<String, Vec<(LineRef, LogLine)>>,
    /// What names no request: initialisations, restores, a runtime's word about an error. By stream.
    loose: BTreeMap<String, Vec<(LineRef, LogLine)>>,
    tally: Tally,
}

/// What was looked at, and what was left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub lines: u64,
    pub extensions: u64,
    /// Lines about invocations that there was no room for.
    pub left: u64,
}

impl Invocations {
    /// Keeps at most `room` lines.
    pub fn new(room: usize) -> Self {
        Invocations { room, claims: BTreeMap::new(), loose: BTreeMap::new(), tally: Tally::default() }
    }

    /// One line of the log, wherever it stands.
    pub fn hear(&mut self, exchange: ExchangeId, stream: &str, timestamp: i64, message: &str) {
        self.tally.lines += 1;
        let Some(line) = LogLine::parse(message) else { return };
        let stream = stream[..stream.floor_char_boundary(MAX_STREAM)].to_string();
        let at = LineRef { timestamp, exchange, stream: stream.clone() };
        match (&line.request_id, line.kind) {
            (_, LineKind::Extension) => self.tally.extensions += 1,
            (Some(id), _) => {
                let claims = self.claims.get(id);
                // The same line twice: a page that was read twice, a group that is read under two names.
                if claims.is_some_and(|c| c.iter().any(|(a, l)| a.timestamp == timestamp && a.stream == at.stream && *l == line)) {
                    return;
                }
                if self.room == 0 || claims.is_some_and(|c| c.len() >= MAX_SOURCES) {
                    self.tally.left += 1;
                    return;
                }
                self.room -= 1;
                self.claims.entry(id.clone()).or_default().push((at, line));
            }
            (None, LineKind::InitReport | LineKind::RestoreReport | LineKind::Error) => {
                if self.room == 0 || self.loose.get(&stream).is_some_and(|l| l.len() >= MAX_LOOSE) {
                    self.tally.left += 1;
                    return;
                }
                self.room -= 1;
                self.loose.entry(stream).or_default().push((at, line));
            }
            _ => {}
        }
    }

    /// The invocations in the order of their time.
    pub fn finish(self) -> (Vec<Invocation>, Tally) {
        let mut all: Vec<Invocation> = self.claims.into_iter().map(|(id, claims)| put_together(id, claims)).collect();
        all.sort_by(|a, b| a.source.first().cmp(&b.source.first()).then_with(|| a.request_id.cmp(&b.request_id)));
        let mut by_stream: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (i, invocation) in all.iter().enumerate() {
            if let Some(first) = invocation.source.first() {
                by_stream.entry(first.stream.clone()).or_default().push(i);
            }
        }
        for (stream, mut loose) in self.loose {
            loose.sort_by(|a, b| a.0.cmp(&b.0));
            let Some(there) = by_stream.get(&stream) else { continue };
            for (at, line) in loose {
                if let Some(invocation) = whose(&all, there, &at, &line).and_then(|i| all.get_mut(i)) {
                    add_loose(invocation, at, line);
                }
            }
        }
        (all, self.tally)
    }
}

/// An environment runs one invocation at a time and has its own stream: what comes before a start belongs to what starts next, an error to
/// what runs. `there` is in the order of time.
fn whose(all: &[Invocation], there: &[usize], at: &LineRef, line: &LogLine) -> Option<usize> {
    let span = |i: usize| all.get(i).and_then(|v| Some((v.source.first()?.timestamp, v.source.last()?.timestamp)));
    let before = there.iter().rev().copied().find(|i| span(*i).is_some_and(|(start, _)| start <= at.timestamp));
    let after = there.iter().copied().find(|i| span(*i).is_some_and(|(start, _)| start >= at.timestamp));
    match line.kind {
        // An initialisation that failed is repeated within the first invocation.
        LineKind::InitReport if line.phase.as_deref() == Some("invoke") => before,
        LineKind::InitReport | LineKind::RestoreReport => after,
        _ => before.filter(|i| span(*i).is_some_and(|(_, end)| at.timestamp <= end)),
    }
}

fn put_together(request_id: String, mut claims: Vec<(LineRef, LogLine)>) -> Invocation {
    claims.sort_by(|a, b| a.0.cmp(&b.0));
    let mut out = Invocation { request_id, ..Invocation::default() };
    for (at, line) in claims {
        if line.kind == LineKind::Start {
            let stamp =
                || chrono::DateTime::from_timestamp_millis(at.timestamp).map(|t| t.to_rfc3339_opts(chrono::SecondsFormat::Millis, true));
            settle(&mut out.start, line.time.clone().or_else(stamp), "start", &mut out.disputed);
        }
        let d = &mut out.disputed;
        settle(&mut out.version, line.version, "version", d);
        settle(&mut out.duration_ms, line.duration_ms, "duration_ms", d);
        settle(&mut out.billed_ms, line.billed_ms, "billed_ms", d);
        settle(&mut out.memory_mb, line.memory_mb, "memory_mb", d);
        settle(&mut out.max_memory_mb, line.max_memory_mb, "max_memory_mb", d);
        settle(&mut out.init_ms, line.init_ms, "init_ms", d);
        settle(&mut out.restore_ms, line.restore_ms, "restore_ms", d);
        settle(&mut out.status, line.status, "status", d);
        settle(&mut out.error_type, line.error_type, "error_type", d);
        settle(&mut out.trace_id, line.trace_id, "trace_id", d);
        out.source.push(at);
    }
    out
}

/// What a line without a request id adds: it fills in, it never disputes.
fn add_loose(invocation: &mut Invocation, at: LineRef, line: LogLine) {
    let fill = |slot: &mut Option<f64>, value: Option<f64>| *slot = slot.or(value);
    fill(&mut invocation.init_ms, line.init_ms);
    fill(&mut invocation.restore_ms, line.restore_ms);
    // An initialisation that succeeded says nothing about how the invocation ended.
    if line.kind == LineKind::Error || line.status.as_deref().is_some_and(|s| s != "success") {
        invocation.error_type = invocation.error_type.take().or(line.error_type);
        if line.kind == LineKind::Error {
            invocation.status = invocation.status.take().or(line.status);
        }
    }
    if invocation.source.len() < MAX_SOURCES {
        invocation.source.push(at);
        invocation.source.sort();
    }
}

fn settle<T: PartialEq>(slot: &mut Option<T>, value: Option<T>, name: &str, disputed: &mut Vec<String>) {
    match (&slot, value) {
        (None, value) => *slot = value,
        (Some(old), Some(new)) if *old != new && !disputed.iter().any(|d| d == name) => disputed.push(name.to_string()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: &str = "00000000-0000-4000-8000-000000000001";

    fn of(lines: &[(&str, i64, &str)]) -> Vec<Invocation> {
        let mut all = Invocations::new(100);
        for (stream, at, message) in lines {
            all.hear(ExchangeId(1), stream, *at, message);
        }
        all.finish().0
    }

    #[test]
    fn a_cold_start_that_times_out_is_one_record_in_either_order() {
        let report = format!(
            "REPORT RequestId: {ID}\tDuration: 3000.00 ms\tBilled Duration: 3000 ms\tMemory Size: 128 MB\tMax Memory Used: 64 MB\tStatus: timeout\n"
        );
        let start = format!("START RequestId: {ID} Version: 7\n");
        let timeout = format!("2026-11-20T11:43:23.000Z {ID} Task timed out after 3.00 seconds\n\n");
        let mut lines = vec![
            ("s", 1000, "INIT_START Runtime Version: python:3.12.v43\tRuntime Version ARN: arn:aws:lambda:eu-west-1::runtime:aa"),
            ("s", 1100, "INIT_REPORT Init Duration: 10007.31 ms\tPhase: init\tStatus: timeout"),
            ("s", 1200, start.as_str()),
            ("s", 1200, "the function's own words"),
            ("s", 4200, timeout.as_str()),
            ("s", 4200, report.as_str()),
        ];
        let [forward] = of(&lines).try_into().unwrap();
        assert_eq!(
            (forward.request_id.as_str(), forward.version.as_deref(), forward.start.as_deref()),
            (ID, Some("7"), Some("1970-01-01T00:00:01.200Z"))
        );
        assert_eq!(
            (forward.duration_ms, forward.billed_ms, forward.memory_mb, forward.max_memory_mb),
            (Some(3000.0), Some(3000.0), Some(128), Some(64))
        );
        assert_eq!((forward.init_ms, forward.status.as_deref(), forward.disputed.len()), (Some(10007.31), Some("timeout"), 0));
        assert_eq!(forward.source.iter().map(|s| s.timestamp).collect::<Vec<_>>(), [1100, 1200, 4200, 4200]);
        lines.reverse();
        let [backward] = of(&lines).try_into().unwrap();
        assert_eq!((backward.init_ms, &backward.status, &backward.start), (forward.init_ms, &forward.status, &forward.start));
    }

    #[test]
    fn a_printed_line_that_contradicts_the_platform_is_noticed() {
        let lines = [
            ("s", 10, format!("START RequestId: {ID} Version: $LATEST")),
            ("s", 20, format!("REPORT RequestId: {ID} Duration: 1 ms Billed Duration: 1 ms Memory Size: 128 MB Max Memory Used: 1 MB")),
            (
                "s",
                30,
                format!("REPORT RequestId: {ID} Duration: 900000 ms Billed Duration: 900000 ms Memory Size: 128 MB Max Memory Used: 1 MB"),
            ),
        ];
        let lines: Vec<_> = lines.iter().map(|(s, t, m)| (*s, *t, m.as_str())).collect();
        let [one] = of(&lines).try_into().unwrap();
        assert_eq!((one.duration_ms, one.disputed), (Some(1.0), vec!["duration_ms".to_string(), "billed_ms".into()]));
    }

    #[test]
    fn an_error_without_a_request_id_belongs_to_what_runs_in_its_stream() {
        let other = ID.replace("0001", "0002");
        let lines = [
            ("s", 10, format!("START RequestId: {ID} Version: 1")),
            ("t", 10, format!("START RequestId: {other} Version: 1")),
            ("s", 20, "[ERROR] KeyError: 'account'\nTraceback (most recent call last):".to_string()),
            ("s", 30, format!("END RequestId: {ID}")),
            ("t", 30, format!("END RequestId: {other}")),
            ("s", 40, "[ERROR] Late: nobody's".to_string()),
        ];
        let lines: Vec<_> = lines.iter().map(|(s, t, m)| (*s, *t, m.as_str())).collect();
        let all = of(&lines);
        let types: Vec<_> = all.iter().map(|v| (v.request_id.as_str(), v.error_type.as_deref(), v.status.as_deref())).collect();
        assert_eq!(types, [(ID, Some("KeyError"), Some("error")), (other.as_str(), None, None)]);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut all = Invocations::new(3);
        for n in 0..20 {
            all.hear(ExchangeId(1), "s", n, &format!("START RequestId: r{n} Version: 1"));
            all.hear(ExchangeId(1), "s", n, &format!("START RequestId: r0 Version: {n}"));
        }
        all.hear(ExchangeId(2), "s", 0, "START RequestId: r0 Version: 1");
        let (all, tally) = all.finish();
        assert_eq!(all.iter().map(|v| (v.request_id.as_str(), v.source.len())).collect::<Vec<_>>(), [("r0", 2), ("r1", 1)]);
        assert_eq!((tally.lines, tally.left), (41, 37), "the line that came twice is not counted as left");
        let mut one = Invocations::new(1000);
        (0..100).for_each(|n| one.hear(ExchangeId(1), "s", n, "START RequestId: r Version: 1"));
        let (one, tally) = one.finish();
        assert_eq!((one[0].source.len(), tally.left), (MAX_SOURCES, 84));
    }

    proptest! {
        #[test]
        fn the_order_of_the_lines_changes_nothing(order in Just((0..6usize).collect::<Vec<_>>()).prop_shuffle()) {
            let lines = [
                ("s", 1, "INIT_REPORT Init Duration: 5 ms\tPhase: init\tStatus: error\tError Type: Runtime.ExitError"),
                ("s", 2, "START RequestId: a Version: 1"),
                ("s", 3, "RequestId: a Error: Runtime exited with error: signal: killed Runtime.ExitError"),
                ("s", 4, "REPORT RequestId: a Duration: 3 ms Billed Duration: 4 ms Memory Size: 128 MB Max Memory Used: 128 MB Status: error"),
                ("s", 5, "START RequestId: b Version: 1"),
                ("t", 5, "START RequestId: c Version: 1"),
            ];
            let shuffled: Vec<_> = order.iter().map(|i| lines[*i]).collect();
            prop_assert_eq!(of(&shuffled), of(&lines));
        }
    }
}
