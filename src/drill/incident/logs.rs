//! The log of the last hours: several streams, an error with its traceback, a timeout, and lines in Lambda's own form.

use aws_sdk_cloudwatchlogs::types::InputLogEvent;
use chrono::{DateTime, Duration, Utc};

use super::{Doing as _, SeedClients, SeedError, names};

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    pub streams: Vec<String>,
    pub events: usize,
}

/// One environment's stream: which version, how long ago it began (minutes), how many calls it served, which one failed
/// and which one timed out.
struct Life {
    version: &'static str,
    began: i64,
    calls: usize,
    error: Option<usize>,
    timeout: Option<usize>,
}

const LIVES: &[Life] = &[
    Life { version: "1", began: 345, calls: 14, error: None, timeout: None },
    Life { version: "3", began: 300, calls: 30, error: Some(11), timeout: None },
    Life { version: "2", began: 180, calls: 9, error: None, timeout: Some(8) },
    Life { version: "$LATEST", began: 60, calls: 6, error: Some(2), timeout: Some(5) },
];

pub(super) async fn seed(clients: &SeedClients, now: DateTime<Utc>) -> Result<Written, SeedError> {
    let group = names::LOG_GROUP;
    clients.logs.create_log_group().log_group_name(group).send().await.doing("create the log group")?;
    let keep = clients.logs.put_retention_policy().log_group_name(group).retention_in_days(30);
    keep.send().await.doing("set the log group's retention")?;
    let mut written = Written { streams: Vec::new(), events: 0 };
    for (number, life) in LIVES.iter().enumerate() {
        let (stream, lines) = life.lines(number, now);
        let create = clients.logs.create_log_stream().log_group_name(group).log_stream_name(&stream);
        create.send().await.doing("create a log stream")?;
        let events: Result<Vec<InputLogEvent>, _> =
            lines.into_iter().map(|(at, text)| InputLogEvent::builder().timestamp(at).message(text).build()).collect();
        let events = events.doing("write the log")?;
        written.events += events.len();
        let put = clients.logs.put_log_events().log_group_name(group).log_stream_name(&stream);
        put.set_log_events(Some(events)).send().await.doing("write the log")?;
        written.streams.push(stream);
    }
    Ok(written)
}

impl Life {
    /// Stream name and (milliseconds, message) in time order.
    fn lines(&self, number: usize, now: DateTime<Utc>) -> (String, Vec<(i64, String)>) {
        let began = now - Duration::minutes(self.began);
        let stream = format!("{}/[{}]{:032x}", began.format("%Y/%m/%d"), self.version, 0xd411_0000_u128 + number as u128);
        let mut lines = vec![(
            began,
            "INIT_START Runtime Version: python:3.12.v38\tRuntime Version ARN: \
            arn:aws:lambda:us-east-1::runtime:7b3ae4b1d0a5c1c0f1a4a5ac5d9c4f6f0f4c1e6f2b9d4c7a8e5f3b2a1c0d9e8f\n"
                .to_owned(),
        )];
        for call in 0..self.calls {
            // Spread over three quarters of the stream's age, so that the newest lines are some minutes old.
            let offset = self.began * 60_000 * 3 / 4 * call as i64 / self.calls as i64;
            lines.extend(self.call(number, call, began + Duration::milliseconds(900 + offset)));
        }
        (stream, lines.into_iter().map(|(at, text)| (at.timestamp_millis(), text)).collect())
    }

    fn call(&self, number: usize, call: usize, at: DateTime<Utc>) -> Vec<(DateTime<Utc>, String)> {
        let id = format!("{number:08x}-{call:04x}-4d11-8d11-{:012x}", number * 1000 + call);
        let timed_out = self.timeout == Some(call);
        let spent = if timed_out { 3000.0 } else { 41.25 + (call * 7 % 23) as f64 };
        let end = at + Duration::milliseconds(spent as i64);
        let mut lines = vec![(at, format!("START RequestId: {id} Version: {}\n", self.version))];
        if self.error == Some(call) {
            lines.push((
                at + Duration::milliseconds(12),
                "[ERROR] ValueError: payment p-7731: negative amount\n\
                Traceback (most recent call last):\n\u{a0}\u{a0}File \"/var/task/app.py\", line 23, in handler\n\
                \u{a0}\u{a0}\u{a0}\u{a0}raise ValueError(f\"payment {row['id']}: negative amount\")\n"
                    .to_owned(),
            ));
        } else if timed_out {
            lines.push((end, format!("{} {id} Task timed out after 3.00 seconds\n\n", end.format("%Y-%m-%dT%H:%M:%S%.3fZ"))));
        } else {
            lines.push((at + Duration::milliseconds(9), format!("exported {} payments\n", 1 + call * 5 % 17)));
        }
        lines.push((end, format!("END RequestId: {id}\n")));
        let billed = spent.ceil();
        let init = if call == 0 { "\tInit Duration: 187.42 ms" } else { "" };
        lines.push((
            end,
            format!(
                "REPORT RequestId: {id}\tDuration: {spent:.2} ms\tBilled Duration: {billed:.0} ms\t\
            Memory Size: 128 MB\tMax Memory Used: 41 MB{init}\t\n"
            ),
        ));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_has_every_kind_of_line_in_time_order_and_in_the_last_hours() {
        let now = DateTime::parse_from_rfc3339("2026-11-21T12:00:00Z").unwrap().to_utc();
        let all: Vec<(String, Vec<(i64, String)>)> = LIVES.iter().enumerate().map(|(n, l)| l.lines(n, now)).collect();
        assert!(all.len() >= 3 && all.iter().all(|(stream, _)| stream.starts_with("2026/11/21/[")));
        for (_, lines) in &all {
            assert!(lines.is_sorted_by_key(|(at, _)| *at));
            let hours = (now.timestamp_millis() - 6 * 3_600_000)..now.timestamp_millis();
            assert!(lines.iter().all(|(at, _)| hours.contains(at)));
        }
        let text: String = all.iter().flat_map(|(_, lines)| lines.iter().map(|(_, text)| text.as_str())).collect();
        let count = |what: &str| text.matches(what).count();
        let calls: usize = LIVES.iter().map(|life| life.calls).sum();
        assert_eq!([count("START RequestId"), count("END RequestId"), count("REPORT RequestId")], [calls; 3]);
        assert!(count("Traceback (most recent call last)") >= 1 && count("Task timed out after 3.00 seconds") >= 1);
    }
}
