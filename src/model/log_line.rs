//! One line of a Lambda log, as far as it says something about an invocation: the platform's own lines in text and in JSON form, and the
//! runtime's words about a failure.
//!
//! Pure, and hostile by assumption: whoever controls the function's output can print every one of these lines himself. Nothing here
//! believes a line, it only says what the line claims; [`super::invocation`] notes where two lines claim different things.

use serde_json::Value;

/// How much of a text line is looked at. The platform's own are below 600 bytes.
const MAX_TEXT: usize = 4096;
/// How much of a JSON line: an event of CloudWatch Logs has at most 1 MiB.
const MAX_JSON: usize = 1 << 20;

/// What kind of line it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LineKind {
    #[default]
    Start,
    End,
    Report,
    RuntimeDone,
    InitStart,
    InitReport,
    RestoreStart,
    RestoreReport,
    /// The runtime or the platform says that something failed.
    Error,
    Extension,
}

/// What one line claims. Every text is bounded, and of few characters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogLine {
    pub kind: LineKind,
    pub request_id: Option<String>,
    pub version: Option<String>,
    /// When, in the line's own words (JSON form); RFC 3339.
    pub time: Option<String>,
    pub duration_ms: Option<f64>,
    pub billed_ms: Option<f64>,
    pub memory_mb: Option<u64>,
    pub max_memory_mb: Option<u64>,
    pub init_ms: Option<f64>,
    pub restore_ms: Option<f64>,
    /// `success`, `error`, `failure`, `timeout`.
    pub status: Option<String>,
    pub error_type: Option<String>,
    /// X-Ray: `1-…-…`.
    pub trace_id: Option<String>,
    /// Of an init report: `init`, `invoke`, `snap-start`.
    pub phase: Option<String>,
    /// `python:3.12.mainlinev2.v43`.
    pub runtime: Option<String>,
    /// The extension's name.
    pub extension: Option<String>,
}

impl LogLine {
    /// `None` when the line says nothing about an invocation: the function's own words, as a rule.
    pub fn parse(message: &str) -> Option<LogLine> {
        let message = message.trim();
        if message.starts_with('{') { of_json(message) } else { of_text(message) }
    }
}

/// The labels of text lines. A label counts at the beginning of a word and with its colon.
const LABELS: &[&str] = &[
    "RequestId:",
    "Version:",
    "Duration:",
    "Billed Duration:",
    "Memory Size:",
    "Max Memory Used:",
    "Init Duration:",
    "Restore Duration:",
    "Billed Restore Duration:",
    "Status:",
    "Error Type:",
    "XRAY TraceId:",
    "SegmentId:",
    "Sampled:",
    "Phase:",
    "Runtime Version:",
    "Runtime Version ARN:",
    "Name:",
    "State:",
    "Events:",
];

/// Label and value, in order. The value ends where the next label begins: tabs have been seen to come as spaces.
fn labelled(text: &str) -> Vec<(&'static str, &str)> {
    let mut marks: Vec<(usize, &'static str)> = vec![];
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        if let Some(label) = LABELS.iter().find(|l| rest.starts_with(**l)) {
            marks.push((at, label));
            at += label.len();
            continue;
        }
        // On to the next word.
        let word = rest.find(char::is_whitespace).unwrap_or(rest.len());
        at += word;
        at += text[at..].find(|c: char| !c.is_whitespace()).unwrap_or(text.len() - at);
    }
    let end = |i: usize| marks.get(i + 1).map_or(text.len(), |(start, _)| *start);
    marks.iter().enumerate().map(|(i, (start, label))| (*label, text[start + label.len()..end(i)].trim())).collect()
}

fn of_text(message: &str) -> Option<LogLine> {
    let text = &message[..message.floor_char_boundary(MAX_TEXT)];
    let keyword = text.split_whitespace().next()?;
    let kind = match keyword {
        "START" => LineKind::Start,
        "END" => LineKind::End,
        "REPORT" => LineKind::Report,
        "INIT_START" => LineKind::InitStart,
        "INIT_REPORT" => LineKind::InitReport,
        "RESTORE_START" => LineKind::RestoreStart,
        "RESTORE_REPORT" => LineKind::RestoreReport,
        "EXTENSION" => LineKind::Extension,
        "RequestId:" => return exit(text),
        _ => return failure(text),
    };
    let mut line = LogLine { kind, ..LogLine::default() };
    for (label, value) in labelled(&text[keyword.len()..]) {
        match label {
            // Of a label that comes twice, the first counts.
            "RequestId:" => first(&mut line.request_id, request_id(value)),
            "Version:" => first(&mut line.version, version(value)),
            "Duration:" => first(&mut line.duration_ms, number(value)),
            "Billed Duration:" => first(&mut line.billed_ms, number(value)),
            "Memory Size:" => first(&mut line.memory_mb, whole(value)),
            "Max Memory Used:" => first(&mut line.max_memory_mb, whole(value)),
            "Init Duration:" => first(&mut line.init_ms, number(value)),
            "Restore Duration:" => first(&mut line.restore_ms, number(value)),
            "Status:" => first(&mut line.status, word(value)),
            "Error Type:" => first(&mut line.error_type, error_type(value)),
            "XRAY TraceId:" => first(&mut line.trace_id, trace_id(value)),
            "Phase:" => first(&mut line.phase, word(value)),
            "Runtime Version:" => first(&mut line.runtime, runtime(value)),
            "Name:" => first(&mut line.extension, runtime(value)),
            _ => {}
        }
    }
    let about_an_invocation = matches!(kind, LineKind::Start | LineKind::End | LineKind::Report);
    (!about_an_invocation || line.request_id.is_some()).then_some(line)
}

/// `RequestId: … Error: Runtime exited with error: exit status 1\nRuntime.ExitError`, `RequestId: … Process exited before completing request`.
fn exit(text: &str) -> Option<LogLine> {
    let request_id = request_id(text.strip_prefix("RequestId:")?.trim())?;
    let failed = text.contains("Error:") || text.contains("Process exited");
    let error_type = text.split_whitespace().rev().find(|w| w.starts_with("Runtime.") || w.starts_with("Extension.")).and_then(error_type);
    failed.then(|| LogLine {
        kind: LineKind::Error,
        request_id: Some(request_id),
        status: Some("error".into()),
        error_type,
        ..LogLine::default()
    })
}

/// What a runtime prints when a handler fails, and the platform when it runs out of time.
fn failure(text: &str) -> Option<LogLine> {
    let error = |request_id, status: Option<&str>, error_type| {
        Some(LogLine { kind: LineKind::Error, request_id, status: status.map(str::to_string), error_type, ..LogLine::default() })
    };
    let mut words = text.split_whitespace();
    let (head, second) = (words.next()?, words.next());
    if let Some((before, _)) = text.split_once(" Task timed out after ") {
        return error(Some(request_id(before.split_whitespace().next_back()?)?), Some("timeout"), None);
    }
    // Python: `[ERROR] ClientError: …`. With a tab in place of the space it is the function's own logger.
    if let Some(rest) = text.strip_prefix("[ERROR] ") {
        let kind = rest.split([':', '\n']).next().filter(|k| !k.is_empty() && !k.contains(char::is_whitespace));
        return error(None, Some("error"), Some(error_type(kind?)?));
    }
    // Node: `<time>\t<request id>\tERROR\tInvoke Error \t{"errorType":…}`.
    if text.contains("\tERROR\t") && (text.contains("Invoke Error") || text.contains("Uncaught Exception")) {
        let kind = text.split_once("\"errorType\":\"").and_then(|(_, rest)| error_type(rest.split('"').next()?));
        return error(second.filter(|id| *id != "undefined").and_then(request_id), Some("error"), kind);
    }
    // The runtime's last word, on a line of its own.
    let last = text.lines().last().map(str::trim).filter(|l| l.starts_with("Runtime.") && !l.contains(char::is_whitespace));
    (head == "Unknown").then_some(last).flatten().and_then(|l| error(None, Some("error"), error_type(l)))
}

fn of_json(message: &str) -> Option<LogLine> {
    if message.len() > MAX_JSON || !["\"platform.", "rrorType\"", "\"extension\""].iter().any(|s| message.contains(s)) {
        return None;
    }
    let body: Value = serde_json::from_str(message).ok()?;
    let Some(kind) = body.get("type").and_then(Value::as_str) else { return of_json_error(&body) };
    let record = body.get("record").unwrap_or(&Value::Null);
    let time = body.get("time").and_then(Value::as_str).and_then(instant);
    let member = |name: &str| record.get(name).and_then(Value::as_str);
    let metric = |name: &str| record.get("metrics").and_then(|m| m.get(name)).and_then(Value::as_f64).filter(|n| sane(*n));
    let count = |name: &str| record.get("metrics").and_then(|m| m.get(name)).and_then(Value::as_u64);
    let tracing = record.get("tracing").and_then(|t| t.get("value")).and_then(Value::as_str);
    let mut line = LogLine {
        time,
        request_id: member("requestId").and_then(request_id),
        status: member("status").and_then(word),
        error_type: member("errorType").and_then(error_type),
        trace_id: tracing.and_then(|t| trace_id(t.split(';').find_map(|p| p.trim().strip_prefix("Root="))?)),
        ..LogLine::default()
    };
    line.kind = match kind {
        "platform.start" => {
            line.version = member("version").and_then(version);
            LineKind::Start
        }
        "platform.end" => LineKind::End,
        // Its duration is the runtime's, not the invocation's.
        "platform.runtimeDone" => LineKind::RuntimeDone,
        "platform.report" => {
            line.duration_ms = metric("durationMs");
            line.billed_ms = metric("billedDurationMs");
            line.memory_mb = count("memorySizeMB");
            line.max_memory_mb = count("maxMemoryUsedMB");
            line.init_ms = metric("initDurationMs");
            line.restore_ms = metric("restoreDurationMs");
            LineKind::Report
        }
        "platform.initStart" => {
            line.runtime = member("runtimeVersion").and_then(runtime);
            LineKind::InitStart
        }
        "platform.initReport" => {
            line.init_ms = metric("durationMs");
            line.phase = member("phase").and_then(word);
            LineKind::InitReport
        }
        "platform.restoreStart" => {
            line.runtime = member("runtimeVersion").and_then(runtime);
            LineKind::RestoreStart
        }
        "platform.restoreReport" => {
            line.restore_ms = metric("durationMs");
            LineKind::RestoreReport
        }
        "platform.extension" => {
            line.extension = member("name").and_then(runtime);
            LineKind::Extension
        }
        "extension" => LineKind::Extension,
        "platform.fault" => return Some(LogLine { time: line.time, ..exit(record.as_str()?)? }),
        _ => return None,
    };
    let about_an_invocation = matches!(line.kind, LineKind::Start | LineKind::End | LineKind::Report | LineKind::RuntimeDone);
    (!about_an_invocation || line.request_id.is_some()).then_some(line)
}

/// A runtime's report of an unhandled error where the function logs in JSON: `errorType` and `stackTrace` beside `requestId`.
fn of_json_error(body: &Value) -> Option<LogLine> {
    let nested = body.get("message").filter(|m| m.is_object()).unwrap_or(body);
    let kind = nested.get("errorType").and_then(Value::as_str).and_then(error_type)?;
    let trace = ["stackTrace", "stack"].iter().any(|k| nested.get(k).is_some());
    let id = ["requestId", "AWSRequestId"].iter().find_map(|k| body.get(k)).and_then(Value::as_str).and_then(request_id)?;
    let time = ["timestamp", "time"].iter().find_map(|k| body.get(k)).and_then(Value::as_str).and_then(instant);
    trace.then(|| LogLine {
        kind: LineKind::Error,
        request_id: Some(id),
        time,
        status: Some("error".into()),
        error_type: Some(kind),
        ..LogLine::default()
    })
}

fn first<T>(slot: &mut Option<T>, value: Option<T>) {
    if slot.is_none() {
        *slot = value;
    }
}

fn sane(n: f64) -> bool {
    n.is_finite() && (0.0..1e12).contains(&n)
}
/// `0.62 ms`.
fn number(value: &str) -> Option<f64> {
    value.split_whitespace().next()?.parse().ok().filter(|n| sane(*n))
}
/// `128 MB`.
fn whole(value: &str) -> Option<u64> {
    value.split_whitespace().next()?.parse().ok()
}
/// The first word, when it has these characters alone and is no longer than that.
fn token(value: &str, limit: usize, good: impl Fn(char) -> bool) -> Option<String> {
    let first = value.split_whitespace().next()?;
    (first.len() <= limit && first.chars().all(good)).then(|| first.to_string())
}
/// A UUID as a rule, but what calls the runtime API is free to make its own.
fn request_id(value: &str) -> Option<String> {
    token(value, 64, |c| c.is_ascii_alphanumeric() || c == '-')
}
fn version(value: &str) -> Option<String> {
    token(value, 64, |c| c.is_ascii_alphanumeric() || "$._-".contains(c))
}
fn word(value: &str) -> Option<String> {
    token(value, 20, |c| c.is_ascii_alphabetic() || c == '-')
}
fn error_type(value: &str) -> Option<String> {
    token(value, 120, |c| c.is_ascii_alphanumeric() || "_.$-".contains(c))
}
fn trace_id(value: &str) -> Option<String> {
    token(value, 64, |c| c.is_ascii_hexdigit() || c == '-')
}
/// A runtime's or an extension's name.
fn runtime(value: &str) -> Option<String> {
    token(value, 120, |c| c.is_ascii_alphanumeric() || "_.:/@-".contains(c))
}
/// RFC 3339, and no other text.
fn instant(value: &str) -> Option<String> {
    (value.len() <= 40 && chrono::DateTime::parse_from_rfc3339(value).is_ok()).then(|| value.to_string())
}

#[cfg(test)]
#[path = "log_line_tests.rs"]
mod tests;
