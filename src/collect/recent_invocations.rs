//! Recent invocations, from the log group that the function really writes to, and from its default group where that is another one (it may
//! have been redirected yesterday): how long a group keeps events and what is hidden in them, which streams are live, and the events of a
//! window, newest first, so that a bound cuts the oldest. What the events say about invocations is put together in `invocations.jsonl`.

use super::cx::at_once;
use super::facts::FunctionFact;
use super::{Abort, Bound, CollectCx, Collector, CollectorSpec, Question, Volatility, log_pages, log_query};
use crate::aws::fault::{FaultClass, tame};
use crate::clock;
use crate::model::call::{Call, Scope, Service};
use crate::model::gap::GapKind;
use crate::model::id::ItemId;
use crate::model::item::{Group, Sensitivity};
use crate::model::params::{Param, ParamKind};
use async_trait::async_trait;
use aws_sdk_cloudwatchlogs::operation::describe_account_policies::DescribeAccountPoliciesOutput;
use aws_sdk_cloudwatchlogs::operation::describe_log_groups::DescribeLogGroupsOutput;
use aws_sdk_cloudwatchlogs::operation::describe_log_streams::DescribeLogStreamsOutput;
use aws_sdk_cloudwatchlogs::operation::describe_metric_filters::DescribeMetricFiltersOutput;
use aws_sdk_cloudwatchlogs::operation::filter_log_events::FilterLogEventsOutput;
use aws_sdk_cloudwatchlogs::types::{LogGroupClass, OrderBy, PolicyType};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::json;
use std::sync::{Mutex, PoisonError};

pub struct RecentInvocations;

const GROUPS: Call = Call::read(Service::Logs, "DescribeLogGroups", "logs:DescribeLogGroups", Scope::Any);
const STREAMS: Call = Call::read(Service::Logs, "DescribeLogStreams", "logs:DescribeLogStreams", Scope::LogGroup);
const EVENTS: Call = Call::read(Service::Logs, "FilterLogEvents", "logs:FilterLogEvents", Scope::LogGroup);
pub(super) const QUERY: Call = Call::read(Service::Logs, "StartQuery", "logs:StartQuery", Scope::LogGroup);
pub(super) const RESULTS: Call = Call::read(Service::Logs, "GetQueryResults", "logs:GetQueryResults", Scope::LogGroup);
const FILTERS: Call = Call::read(Service::Logs, "DescribeMetricFilters", "logs:DescribeMetricFilters", Scope::LogGroup);
const PROTECTION: Call = Call::read(Service::Logs, "GetDataProtectionPolicy", "logs:GetDataProtectionPolicy", Scope::LogGroup);
/// IAM calls it a read; it ends a query of our own (`log_query.rs`).
pub(super) const STOP: Call = Call::read(Service::Logs, "StopQuery", "logs:StopQuery", Scope::Any);
const TRANSFORMER: Call = Call::read(Service::Logs, "GetTransformer", "logs:GetTransformer", Scope::LogGroup);
const TIER: Call = Call::read(Service::Logs, "GetStorageTierPolicy", "logs:GetStorageTierPolicy", Scope::Any);
const ACCOUNT: Call = Call::read(Service::Logs, "DescribeAccountPolicies", "logs:DescribeAccountPolicies", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "recent-invocations",
    title: "Recent invocations",
    answers: "When did the function run lately, and what did it log?",
    group: Group::Invocation,
    volatility: Volatility::V4,
    calls: &[GROUPS, STREAMS, EVENTS, QUERY, RESULTS, STOP, FILTERS, PROTECTION, TRANSFORMER, TIER, ACCOUNT],
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

/// What `DescribeLogGroups` says of one group.
#[derive(Default)]
struct About {
    /// `None` when the list could not be read.
    listed: Option<bool>,
    class: Option<LogGroupClass>,
}

#[async_trait]
impl Collector for RecentInvocations {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        let named = match cx.function_or_told().await? {
            Ok(fact) => {
                // Of a function that is gone, role and log group may be known, and never its layers.
                let gone = cx.function().await?.is_err();
                insights(cx, &fact, gone)?;
                fact.log_group.clone()
            }
            // The function is gone, its log group need not be.
            Err(fault) if fault.class == FaultClass::NotFound => None,
            Err(fault) => {
                cx.gap_from(&fault, "which log group the function writes to (the default group was read)")?;
                None
            }
        };
        let default = cx.target().default_log_group();
        let window = cx.window("window");
        let read = Mutex::new(vec![]);
        let mut questions = of_account(cx);
        if let Some(named) = named.filter(|n| *n != default) {
            questions.push(of_group(cx, named, true, window, &read));
            questions.push(of_group(cx, default, false, window, &read));
        } else {
            questions.push(of_group(cx, default, true, window, &read));
        }
        at_once(questions).await?;
        let mut items: Vec<ItemId> = read.into_inner().unwrap_or_else(PoisonError::into_inner);
        items.sort();
        log_pages::invocations(cx, items).await
    }
}

// Made in functions of their own: what a future is built from stays on the stack of whoever polls the builder, and these are large.
fn of_account<'f>(cx: &'f CollectCx<'_>) -> Vec<BoxFuture<'f, Result<(), Abort>>> {
    vec![account_policies(cx).boxed(), storage_tier(cx).boxed()]
}
fn of_group<'f>(
    cx: &'f CollectCx<'_>,
    name: String,
    used: bool,
    window: (DateTime<Utc>, DateTime<Utc>),
    read: &'f Mutex<Vec<ItemId>>,
) -> BoxFuture<'f, Result<(), Abort>> {
    group(cx, name, used, window, read).boxed()
}

/// Everything about one group. `used`: the function writes to it now, so that it is asked for even when it is not listed.
async fn group(
    cx: &CollectCx<'_>,
    group: String,
    used: bool,
    window: (DateTime<Utc>, DateTime<Utc>),
    read: &Mutex<Vec<ItemId>>,
) -> Result<(), Abort> {
    let (from, to) = window;
    let About { listed, class } = about(cx, &group).await?;
    if listed == Some(false) && !used {
        let why = "there is no such group; it is the default one, and the function writes to another";
        return cx.not_applicable(&format!("events in log group {group}"), why).map(drop);
    }
    let class = class.filter(|c| *c != LogGroupClass::Standard);
    let by_class = async {
        match &class {
            None => events(cx, &group, from, to).await.map(Some),
            // API reference of `CreateLogGroup`: kept one day, only to be forwarded to S3 or Firehose.
            Some(LogGroupClass::Delivery) => {
                let why =
                    "the group's class is DELIVERY: events are kept for a day, to be forwarded to S3 or Firehose, and no call reads them";
                cx.gap(GapKind::NotAcquirable, &format!("events in log group {group}"), why).map(|_| None)
            }
            Some(_) => log_query::events(cx, &group, from, to, bound(cx)).await,
        }
    };
    let settings = async {
        match &class {
            _ if listed == Some(false) => Ok(()),
            None => tokio::try_join!(metric_filters(cx, &group), data_protection(cx, &group), transformer(cx, &group)).map(drop),
            Some(class) => {
                let why = format!("groups of class {} have none of them", class.as_str());
                cx.not_applicable(&format!("metric filters, data protection and transformer of log group {group}"), &why).map(drop)
            }
        }
    };
    let (item, _, _) = tokio::try_join!(by_class, streams(cx, &group, from), settings)?;
    read.lock().unwrap_or_else(PoisonError::into_inner).extend(item);
    Ok(())
}

async fn about(cx: &CollectCx<'_>, group: &str) -> Result<About, Abort> {
    let mut found = About::default();
    let call = || cx.aws().logs().describe_log_groups().log_group_name_prefix(group);
    let whole = cx
        .ask_pages(
            Question::new(&GROUPS, format!("retention, class and size of log group {group} (and of groups whose name begins so)")),
            // Neighbours are listed with it; nobody needs a thousand of them.
            Bound { pages: 20, ..Bound::default() },
            |token| call().set_next_token(token).send(),
            // Groups come in the order of their names, so the group itself is on the first page, and there is no need for the neighbours.
            |out: &DescribeLogGroupsOutput| {
                out.next_token().filter(|_| !out.log_groups().iter().any(|g| g.log_group_name() == Some(group))).map(str::to_string)
            },
            |out| {
                if let Some(it) = out.log_groups().iter().find(|g| g.log_group_name() == Some(group)) {
                    found = About { listed: Some(true), class: it.log_group_class().cloned() };
                }
                out.log_groups().len()
            },
        )
        .await?;
    if whole && found.listed.is_none() {
        found.listed = Some(false);
    }
    Ok(found)
}

/// Policies of the account that decide how long events stay, and what in them is masked.
async fn account_policies(cx: &CollectCx<'_>) -> Result<(), Abort> {
    for (kind, words) in [
        (PolicyType::RetentionPolicy, "retention"),
        (PolicyType::DataProtectionPolicy, "data protection (masking)"),
        (PolicyType::TransformerPolicy, "transformers"),
    ] {
        let call = || cx.aws().logs().describe_account_policies().policy_type(kind.clone());
        cx.ask_pages(
            Question::new(&ACCOUNT, format!("the account's policies for log groups: {words}")),
            Bound { pages: 20, ..Bound::default() },
            |token| call().set_next_token(token).send(),
            |out: &DescribeAccountPoliciesOutput| out.next_token().map(str::to_string),
            |out| out.account_policies().len(),
        )
        .await?;
    }
    Ok(())
}

async fn metric_filters(cx: &CollectCx<'_>, group: &str) -> Result<(), Abort> {
    let call = || cx.aws().logs().describe_metric_filters().log_group_name(group);
    cx.ask_pages(
        Question::new(&FILTERS, format!("metric filters of log group {group}")),
        Bound { pages: 20, ..Bound::default() },
        |token| call().set_next_token(token).send(),
        |out: &DescribeMetricFiltersOutput| out.next_token().map(str::to_string),
        |out| out.metric_filters().len(),
    )
    .await?;
    Ok(())
}

/// What of the events that we read was masked: never unmasked by us.
async fn data_protection(cx: &CollectCx<'_>, group: &str) -> Result<(), Abort> {
    let question = Question::new(&PROTECTION, format!("data protection (masking) of log group {group}"));
    cx.ask(question, cx.aws().logs().get_data_protection_policy().log_group_identifier(group).send()).await?;
    Ok(())
}

/// What changed the lines on their way in. DOUBT(aws): queries and subscriptions see the changed form, and `FilterLogEvents` the lines as they
/// were logged (AWS's user guide, from memory).
async fn transformer(cx: &CollectCx<'_>, group: &str) -> Result<(), Abort> {
    let question = Question::new(&TRANSFORMER, format!("transformer of log group {group}"));
    cx.ask(question, cx.aws().logs().get_transformer().log_group_identifier(group).send()).await?;
    Ok(())
}

/// Whether old lines lie in a slower tier: why a query may take long.
async fn storage_tier(cx: &CollectCx<'_>) -> Result<(), Abort> {
    cx.ask(Question::new(&TIER, "storage tier of the account's log groups"), cx.aws().logs().get_storage_tier_policy().send()).await?;
    Ok(())
}

/// Lambda Insights writes what it measures (memory, network, processes, by request id) to one group for the whole account.
fn insights(cx: &CollectCx<'_>, fact: &FunctionFact, gone: bool) -> Result<(), Abort> {
    const SUBJECT: &str = "telemetry of Lambda Insights";
    if gone {
        let why = "the function does not exist, and nothing tells whether it had Lambda Insights; if so, its telemetry is in /aws/lambda-insights";
        return cx.not_applicable(SUBJECT, why).map(drop);
    }
    let Some(layer) = fact.layers.iter().find(|l| l.arn.contains(":layer:LambdaInsightsExtension")) else {
        return cx.not_applicable(SUBJECT, "$LATEST brings no layer of Lambda Insights").map(drop);
    };
    let document = json!({
        "layer": tame(&layer.arn, 300),
        "logGroup": "/aws/lambda-insights",
        "look": format!("log events whose `function_name` is {} (by query: the group is the whole account's, and was not read)", cx.target().function),
    });
    let bytes = serde_json::to_vec_pretty(&document).unwrap_or_default();
    let subject = format!("{SUBJECT}: where a person looks it up");
    cx.derive(&subject, "lambda-insights", "json", &bytes, vec![fact.item], Sensitivity::S1).map(drop)
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

async fn events(cx: &CollectCx<'_>, group: &str, from: DateTime<Utc>, to: DateTime<Utc>) -> Result<ItemId, Abort> {
    let newest_first = (from.timestamp_millis() >= NEWEST_FIRST_SINCE_MS).then_some(false);
    // Never `unmask`: what a data protection policy hides stays hidden.
    let call = || {
        let call = cx.aws().logs().filter_log_events().log_group_name(group);
        call.start_time(from.timestamp_millis()).end_time(to.timestamp_millis()).set_start_from_head(newest_first)
    };
    let pages = cx
        .ask_all(
            Question::new(&EVENTS, format!("log events of {group} from {} to {}", clock::stamp(from), clock::stamp(to)))
                .sensitivity(Sensitivity::S3),
            bound(cx),
            |token| call().set_next_token(token).send(),
            |out: &FilterLogEventsOutput| out.next_token().map(str::to_string),
            |out| out.events().len(),
        )
        .await?;
    Ok(pages.item)
}

fn bound(cx: &CollectCx<'_>) -> Bound {
    Bound { pages: pages(cx), bytes: cx.bytes("max-bytes") }
}

fn pages(cx: &CollectCx<'_>) -> u32 {
    u32::try_from(cx.count("max-pages")).unwrap_or(u32::MAX).max(1)
}
