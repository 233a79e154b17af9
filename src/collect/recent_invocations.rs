//! Recent invocations, from the log group that the function really writes to: how long the group keeps events, which streams are live, and
//! the events of a window, newest first, so that a bound cuts the oldest.

use super::{Abort, Bound, CollectCx, Collector, CollectorSpec, Question, Volatility};
use crate::aws::fault::FaultClass;
use crate::clock;
use crate::model::call::{Call, Scope, Service};
use crate::model::item::{Group, Sensitivity};
use crate::model::params::{Param, ParamKind};
use async_trait::async_trait;
use aws_sdk_cloudwatchlogs::operation::describe_log_groups::DescribeLogGroupsOutput;
use aws_sdk_cloudwatchlogs::operation::describe_log_streams::DescribeLogStreamsOutput;
use aws_sdk_cloudwatchlogs::operation::filter_log_events::FilterLogEventsOutput;
use aws_sdk_cloudwatchlogs::types::OrderBy;
use chrono::{DateTime, TimeDelta, Utc};

pub struct RecentInvocations;

const GROUPS: Call = Call::read(Service::Logs, "DescribeLogGroups", "logs:DescribeLogGroups", Scope::Any);
const STREAMS: Call = Call::read(Service::Logs, "DescribeLogStreams", "logs:DescribeLogStreams", Scope::LogGroup);
const EVENTS: Call = Call::read(Service::Logs, "FilterLogEvents", "logs:FilterLogEvents", Scope::LogGroup);

static SPEC: CollectorSpec = CollectorSpec {
    id: "recent-invocations",
    title: "Recent invocations",
    answers: "When did the function run lately, and what did it log?",
    group: Group::Invocation,
    volatility: Volatility::V4,
    calls: &[GROUPS, STREAMS, EVENTS],
    params: &[
        Param { name: "window", kind: ParamKind::Duration, default: "24h", doc: "How far back to read" },
        Param {
            name: "max-bytes",
            kind: ParamKind::Bytes,
            default: "64MiB",
            doc: "Stop after so many bytes of events; what is older is a gap",
        },
        Param {
            name: "max-pages",
            kind: ParamKind::Count,
            default: "500",
            doc: "Stop after so many pages of events; what is older is a gap",
        },
    ],
};

/// FilterLogEvents reads newest first only where the window begins on or after 2024-01-01 (its API reference).
const NEWEST_FIRST_SINCE_MS: i64 = 1_704_067_200_000;

#[async_trait]
impl Collector for RecentInvocations {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        let named = match cx.function_or_told().await? {
            Ok(fact) => fact.log_group.clone(),
            // The function is gone, its log group need not be.
            Err(fault) if fault.class == FaultClass::NotFound => None,
            Err(fault) => {
                cx.gap_from(&fault, "which log group the function writes to (the default group was read)")?;
                None
            }
        };
        let group = named.unwrap_or_else(|| cx.target().default_log_group());
        let (from, to) = cx.window("window");
        tokio::try_join!(about(cx, &group), streams(cx, &group, from), events(cx, &group, from, to))?;
        Ok(())
    }
}

async fn about(cx: &CollectCx<'_>, group: &str) -> Result<(), Abort> {
    let call = || cx.aws().logs().describe_log_groups().log_group_name_prefix(group);
    cx.ask_pages(
        Question::new(&GROUPS, format!("retention, class and size of log group {group} (and of groups whose name begins so)")),
        // Neighbours are listed with it; nobody needs a thousand of them.
        Bound { pages: 20, ..Bound::default() },
        |token| call().set_next_token(token).send(),
        // Groups come in the order of their names, so the group itself is on the first page, and there is no need for the neighbours.
        |out: &DescribeLogGroupsOutput| {
            out.next_token().filter(|_| !out.log_groups().iter().any(|g| g.log_group_name() == Some(group))).map(str::to_string)
        },
        |out| out.log_groups().len(),
    )
    .await?;
    Ok(())
}

async fn streams(cx: &CollectCx<'_>, group: &str, from: DateTime<Utc>) -> Result<(), Abort> {
    // `lastEventTimestamp` lags by up to an hour (API reference), and twice that costs one page.
    let oldest = from.checked_sub_signed(TimeDelta::hours(2)).unwrap_or(from).timestamp_millis();
    let live = |out: &DescribeLogStreamsOutput| out.log_streams().last().and_then(|s| s.last_event_timestamp()).is_none_or(|t| t >= oldest);
    let call = || cx.aws().logs().describe_log_streams().log_group_name(group).order_by(OrderBy::LastEventTime).descending(true);
    cx.ask_pages(
        Question::new(&STREAMS, format!("log streams of {group} with events since {}, newest first", clock::stamp(from))),
        Bound { pages: pages(cx), ..Bound::default() },
        |token| call().set_next_token(token).send(),
        |out: &DescribeLogStreamsOutput| out.next_token().filter(|_| live(out)).map(str::to_string),
        |out| out.log_streams().len(),
    )
    .await?;
    Ok(())
}

async fn events(cx: &CollectCx<'_>, group: &str, from: DateTime<Utc>, to: DateTime<Utc>) -> Result<(), Abort> {
    let newest_first = (from.timestamp_millis() >= NEWEST_FIRST_SINCE_MS).then_some(false);
    // Never `unmask`: what a data protection policy hides stays hidden.
    let call = || {
        let call = cx.aws().logs().filter_log_events().log_group_name(group);
        call.start_time(from.timestamp_millis()).end_time(to.timestamp_millis()).set_start_from_head(newest_first)
    };
    cx.ask_pages(
        Question::new(&EVENTS, format!("log events of {group} from {} to {}", clock::stamp(from), clock::stamp(to)))
            .sensitivity(Sensitivity::S3),
        Bound { pages: pages(cx), bytes: cx.bytes("max-bytes") },
        |token| call().set_next_token(token).send(),
        |out: &FilterLogEventsOutput| out.next_token().map(str::to_string),
        |out| out.events().len(),
    )
    .await?;
    Ok(())
}

fn pages(cx: &CollectCx<'_>) -> u32 {
    u32::try_from(cx.count("max-pages")).unwrap_or(u32::MAX).max(1)
}
