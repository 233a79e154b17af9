//! Real lines (read where the collection of them lies; skipped with a word where it does not), and hostile ones.

use super::*;
use proptest::prelude::*;

const REAL: &str = "/work/shared/data/logs/lambda-log-lines.jsonl";

#[test]
fn text_reports_are_read_whatever_stands_between_the_fields() {
    for (tab, end) in [("\t", "\t\n"), (" ", ""), ("   ", "\n")] {
        let text = [
            "REPORT RequestId: a-1",
            "Duration: 2.37 ms",
            "Billed Duration: 427 ms",
            "Memory Size: 1024 MB",
            "Max Memory Used: 95 MB",
            "Init Duration: 423.98 ms",
        ]
        .join(tab);
        let line = LogLine::parse(&format!("{text}{end}")).unwrap();
        assert_eq!((line.request_id.as_deref(), line.duration_ms, line.billed_ms), (Some("a-1"), Some(2.37), Some(427.0)));
        assert_eq!((line.memory_mb, line.max_memory_mb, line.init_ms, line.restore_ms), (Some(1024), Some(95), Some(423.98), None));
    }
    let snap = LogLine::parse("REPORT RequestId: a\tDuration: 1 ms\tBilled Duration: 2 ms\tMemory Size: 3 MB\tMax Memory Used: 3 MB\tRestore Duration: 511.25 ms\tBilled Restore Duration: 300 ms").unwrap();
    assert_eq!((snap.duration_ms, snap.billed_ms, snap.restore_ms), (Some(1.0), Some(2.0), Some(511.25)));
}

#[test]
fn what_says_nothing_of_an_invocation_is_no_line() {
    for other in [
        "",
        "  ",
        "hello",
        "REPORT invalid report log line",
        "START",
        "START RequestId: \u{1b}[31m Version: 1",
        "{\"type\":\"platform.start\"",
        "{\"type\":\"function\",\"record\":\"errorType\"}",
        "[ERROR]\tlogger",
    ] {
        assert_eq!(LogLine::parse(other), None, "{other:?}");
    }
}

#[test]
fn hostile_values_are_left_out_and_the_rest_is_kept() {
    let line = LogLine::parse(
        "REPORT RequestId: a Duration: NaN ms Billed Duration: -1 ms Memory Size: 99999999999999999999999 MB Status: \u{202e} RequestId: b",
    )
    .unwrap();
    assert_eq!(line, LogLine { kind: LineKind::Report, request_id: Some("a".into()), ..LogLine::default() });
    let deep = format!("{{\"type\":\"platform.report\",\"record\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(LogLine::parse(&deep), None);
    let long = format!("START RequestId: {} Version: 1", "a".repeat(65));
    assert_eq!(LogLine::parse(&long), None);
}

proptest! {
    #[test]
    fn no_line_panics_and_no_value_is_unbounded(message in "(REPORT|START|INIT_REPORT|RequestId:|\\[ERROR\\]|\\{\"type\":\"platform.report\")?[ \\t\\n]?(RequestId: |Duration: |Status: |Error Type: )?\\PC{0,200}(\"[a-z]{0,9}\":|Task timed out after |é)?.{0,100}") {
        if let Some(line) = LogLine::parse(&message) {
            for text in [&line.request_id, &line.version, &line.status, &line.error_type, &line.trace_id, &line.phase, &line.runtime, &line.extension].into_iter().flatten() {
                prop_assert!(text.len() <= 120 && text.chars().all(|c| c.is_ascii_graphic()));
            }
            for n in [line.duration_ms, line.billed_ms, line.init_ms, line.restore_ms].into_iter().flatten() {
                prop_assert!(n.is_finite() && n >= 0.0);
            }
        }
    }
}

/// Each of the collected lines, held against what a person read in it.
#[test]
fn real_lines_say_what_a_person_reads_in_them() {
    let Ok(text) = std::fs::read_to_string(REAL) else {
        println!("0 real lines checked: {REAL} is not here");
        return;
    };
    let mut checked = 0;
    for entry in text.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()) {
        let (id, kind) = (entry["id"].as_str().unwrap(), entry["kind"].as_str().unwrap());
        let (message, expect) = (entry["message"].as_str().unwrap(), &entry["expect"]);
        let line = LogLine::parse(message);
        if ["function", "report-malformed", "lambda_warning"].contains(&kind)
            || kind.starts_with("platform.logs")
            || kind == "platform.telemetrySubscription"
            || kind == "platform.initRuntimeDone"
        {
            assert_eq!(line, None, "{id} {kind}");
            checked += 1;
            continue;
        }
        let line = line.unwrap_or_else(|| panic!("{id} {kind}: {message}"));
        let text = |v: &Option<String>| serde_json::to_value(v).unwrap();
        let number = |v: Option<f64>| v.map_or(Value::Null, Value::from);
        // JSON lines are expected in their own members; what depends on the kind is looked up in both places.
        let init = if kind == "platform.initReport" { "/metrics/durationMs" } else { "/metrics/initDurationMs" };
        let restore = if kind == "platform.restoreReport" { "/metrics/durationMs" } else { "/metrics/restoreDurationMs" };
        let duration = if kind == "platform.report" { "/metrics/durationMs" } else { "/none" };
        let either = |a: &str, b: &str| expect.get(a).or_else(|| expect.pointer(b)).cloned().unwrap_or(Value::Null);
        let same = |what: &str, got: Value, want: Value| {
            let equal = match (got.as_f64(), want.as_f64()) {
                (Some(a), Some(b)) => a == b,
                _ => got == want,
            };
            assert!(equal, "{id} {kind}: {what}: {got} is not {want}: {message}");
        };
        if kind != "platform.fault" {
            same("request id", text(&line.request_id), either("request_id", "/requestId"));
            same(
                "trace",
                text(&line.trace_id),
                expect
                    .get("xray_trace")
                    .cloned()
                    .or_else(|| {
                        let value = expect.pointer("/tracing/value")?.as_str()?;
                        Some(value.strip_prefix("Root=")?.split(';').next()?.into())
                    })
                    .unwrap_or(Value::Null),
            );
            same("error type", text(&line.error_type), either("error_type", "/errorType"));
        } else {
            same("request id", text(&line.request_id), "d783b35e-a91d-4251-af17-035953428a2c".into());
        }
        same("version", text(&line.version), either("version", "/none"));
        same("duration", number(line.duration_ms), either("duration_ms", duration));
        same("billed", number(line.billed_ms), either("billed_ms", "/metrics/billedDurationMs"));
        same("memory", number(line.memory_mb.map(|n| n as f64)), either("memory_mb", "/metrics/memorySizeMB"));
        same("max memory", number(line.max_memory_mb.map(|n| n as f64)), either("max_memory_mb", "/metrics/maxMemoryUsedMB"));
        same("init", number(line.init_ms), either("init_ms", init));
        same("restore", number(line.restore_ms), either("restore_ms", restore));
        if line.kind != LineKind::Error {
            same("status", text(&line.status), either("status", "/status"));
        } else if kind == "timeout" {
            same("status", text(&line.status), "timeout".into());
        }
        if let Some(runtime) = expect.get("runtime") {
            same("runtime", text(&line.runtime), runtime.clone());
        }
        checked += 1;
    }
    println!("{checked} real lines checked");
    assert!(checked >= 90, "{checked}");
}
