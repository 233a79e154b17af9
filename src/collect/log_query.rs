//! Log events by query, for groups of a class that `FilterLogEvents` refuses (INFREQUENT_ACCESS, ESSENTIALS): a query is started, waited for
//! and read page by page. A query changes nothing, but it is paid by the gigabyte read, hence the window; and one that we gave up is stopped
//! (`StopQuery`, which IAM counts among the reads: it ends our own query and nothing else), because it would run and cost for an hour.

use super::recent_invocations::{QUERY, RESULTS, STOP};
use super::{Abort, Bound, CollectCx, Pages, PagesEnd, Question};
use crate::aws::fault::FaultClass;
use crate::clock;
use crate::model::gap::GapKind;
use crate::model::id::ItemId;
use crate::model::item::Sensitivity;
use aws_sdk_cloudwatchlogs::error::SdkError;
use aws_sdk_cloudwatchlogs::operation::get_query_results::{GetQueryResultsError, GetQueryResultsOutput};
use aws_sdk_cloudwatchlogs::types::QueryStatus;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// Newest first; the message itself, unmasked by nobody.
const WORDS: &str = "fields @timestamp, @message, @logStream, @ingestionTime | sort @timestamp desc";
/// Events that a query returns at most (`StartQuery`, API reference).
const MAX_EVENTS: i32 = 100_000;
/// How long to wait for it: 1 + 2 + 4 + 5 + 5 … seconds, two minutes in all.
const POLLS: u32 = 26;

/// The item that holds the events, when a query could be started.
pub(super) async fn events(
    cx: &CollectCx<'_>,
    group: &str,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    bound: Bound,
) -> Result<Option<ItemId>, Abort> {
    let logs = cx.aws().logs();
    let window = format!("{group} from {} to {}", clock::stamp(from), clock::stamp(to));
    let start = logs
        .start_query()
        .log_group_name(group)
        .start_time(from.timestamp())
        .end_time(to.timestamp())
        .query_string(WORDS)
        .limit(MAX_EVENTS);
    let question = Question::new(&QUERY, format!("query for the events of log group {window}"));
    let Some(started) = cx.ask(question, start.send()).await?.got() else { return Ok(None) };
    let Some(id) = started.query_id() else {
        cx.gap(GapKind::Internal, "answer to the query for log events", "CloudWatch Logs gave the query no id")?;
        return Ok(None);
    };
    let mut rows = 0;
    let Pages { item, end, .. } = cx
        .ask_all(
            Question::new(&RESULTS, format!("events, by query, of log group {window}")).sensitivity(Sensitivity::S3),
            bound,
            |token| answer(cx, id, token),
            |out: &GetQueryResultsOutput| out.next_token().map(str::to_string),
            |out| {
                rows += out.results().len();
                out.results().len()
            },
        )
        .await?;
    if let PagesEnd::Failed(fault) = &end
        && fault.class == FaultClass::Timeout
    {
        let question = Question::new(&STOP, format!("the query that took too long, stopped: log group {window}"))
            .not_in_use(&[("InvalidParameterException", "the query had ended by itself")]);
        cx.ask(question, logs.stop_query().query_id(id).send()).await?;
    }
    if matches!(end, PagesEnd::Complete) && i32::try_from(rows).is_ok_and(|n| n >= MAX_EVENTS) {
        cx.gap(GapKind::TooLarge, &format!("older events, by query, of log group {window}"), "a query returns 100,000 events at most")?;
    }
    Ok(Some(item))
}

/// One page. While the query runs its answers are partial: they are on record as exchanges of the same question.
async fn answer(cx: &CollectCx<'_>, id: &str, token: Option<String>) -> Result<GetQueryResultsOutput, SdkError<GetQueryResultsError>> {
    for poll in 0..POLLS {
        let out = cx.aws().logs().get_query_results().query_id(id).set_next_token(token.clone()).send().await?;
        match out.status() {
            Some(QueryStatus::Scheduled | QueryStatus::Running) => {}
            Some(QueryStatus::Failed | QueryStatus::Cancelled | QueryStatus::Timeout) => {
                return Err(SdkError::construction_failure(format!("the query ended as {}", out.status().map_or("", |s| s.as_str()))));
            }
            // `Unknown` says the API of itself: what it returns is what there is.
            _ => return Ok(out),
        }
        cx.pause(Duration::from_secs(1 << poll.min(2)).min(Duration::from_secs(5))).await;
    }
    Err(SdkError::timeout_error("the query was still running"))
}
