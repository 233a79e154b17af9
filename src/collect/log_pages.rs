//! Invocations, computed from the pages of log events that were kept: read again from the bundle, page by page, so that what is derived is
//! derived from evidence, and a log of 64 MiB needs the memory of one page.

use super::{Abort, CollectCx};
use crate::model::canon;
use crate::model::exchange::{BodyEnd, Exchange};
use crate::model::gap::GapKind;
use crate::model::id::ItemId;
use crate::model::invocation::Invocations;
use crate::model::item::{FileRef, Sensitivity};
use chrono::NaiveDateTime;
use serde::Deserialize;
use std::io::{self, Read};

/// Lines about invocations that are remembered: some 100 MB at worst.
const ROOM: usize = 200_000;
/// A page of events has 1 MB of messages, and at most six times that as JSON.
const MAX_PAGE: u64 = 64 << 20;

/// A page of `FilterLogEvents`.
#[derive(Deserialize)]
struct Filtered {
    #[serde(default)]
    events: Vec<Event>,
}
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    log_stream_name: Option<String>,
    timestamp: Option<i64>,
    message: Option<String>,
}

/// A page of `GetQueryResults`: rows of fields.
#[derive(Deserialize)]
struct Queried {
    #[serde(default)]
    results: Vec<Vec<Field>>,
}
#[derive(Deserialize)]
struct Field {
    #[serde(default)]
    field: String,
    #[serde(default)]
    value: String,
}

/// Write `invocations.jsonl` from the pages that `items` hold.
pub(super) async fn invocations(cx: &CollectCx<'_>, items: Vec<ItemId>) -> Result<(), Abort> {
    const SUBJECT: &str = "invocations";
    let mut all = Invocations::new(ROOM);
    let mut unread = 0usize;
    for id in &items {
        for (exchange, file) in pages(cx, *id) {
            if read(cx, &file, &exchange, &mut all).is_err() {
                unread += 1;
            }
            // A page is some tens of milliseconds of work.
            tokio::task::yield_now().await;
        }
    }
    if unread > 0 {
        cx.gap(
            GapKind::Internal,
            "invocations in some pages of log events",
            &format!("{unread} pages could not be read again; the events themselves are kept"),
        )?;
    }
    let (records, tally) = all.finish();
    if tally.left > 0 {
        let why = format!("{} lines about invocations had no room in invocations.jsonl; the events themselves are kept", tally.left);
        cx.gap(GapKind::TooLarge, "further invocations", &why)?;
    }
    if records.is_empty() && items.iter().any(|id| cx.draft().item(*id).is_some_and(|i| i.status.gap().is_some())) {
        // The gap of the events says what is open: nobody knows that there was no invocation.
        return Ok(());
    }
    if records.is_empty() {
        let why = format!("none of the {} log events that were read names an invocation", tally.lines);
        return cx.not_applicable(SUBJECT, &why).map(drop);
    }
    let mut lines = vec![];
    for record in &records {
        match canon::to_vec("an invocation", record) {
            Ok(line) => lines.extend(line),
            Err(e) => return cx.gap(GapKind::Internal, SUBJECT, &e.to_string()).map(drop),
        }
        lines.push(b'\n');
    }
    let subject =
        format!("{SUBJECT}: {} put together from {} log events ({} lines of extensions)", records.len(), tally.lines, tally.extensions);
    cx.derive(&subject, "invocations", "jsonl", &lines, items, Sensitivity::S1)?;
    Ok(())
}

/// The answers of an item, in order.
fn pages(cx: &CollectCx<'_>, item: ItemId) -> Vec<(Exchange, FileRef)> {
    let exchanges = cx.draft().item(item).map(|i| i.exchanges).unwrap_or_default();
    let whole = |x: &Exchange| x.status.is_some_and(|s| (200..300).contains(&s)) && x.body_end == BodyEnd::Complete;
    exchanges.into_iter().filter_map(|id| Some((cx.draft().exchange(id).filter(whole)?, cx.draft().file_of(id)?))).collect()
}

fn read(cx: &CollectCx<'_>, file: &FileRef, exchange: &Exchange, all: &mut Invocations) -> io::Result<()> {
    if file.bytes > MAX_PAGE {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(file.bytes).unwrap_or_default());
    cx.draft().open_file(file)?.take(MAX_PAGE).read_to_end(&mut bytes)?;
    if exchange.operation == "FilterLogEvents" {
        let page: Filtered = serde_json::from_slice(&bytes)?;
        for event in page.events {
            all.hear(
                exchange.id,
                event.log_stream_name.as_deref().unwrap_or_default(),
                event.timestamp.unwrap_or_default(),
                event.message.as_deref().unwrap_or_default(),
            );
        }
    } else {
        let page: Queried = serde_json::from_slice(&bytes)?;
        for row in page.results {
            let field = |name: &str| row.iter().find(|f| f.field == name).map_or("", |f| f.value.as_str());
            all.hear(exchange.id, field("@logStream"), query_time(field("@timestamp")), field("@message"));
        }
    }
    Ok(())
}

/// `2026-11-20 11:43:20.000`, which is UTC.
fn query_time(text: &str) -> i64 {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").map_or(0, |t| t.and_utc().timestamp_millis())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_querys_time_is_utc() {
        assert_eq!(super::query_time("2026-11-20 11:43:20.250"), 1_795_175_000_250);
        assert_eq!(super::query_time("yesterday"), 0);
    }
}
