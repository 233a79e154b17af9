//! Flow records of the function's interfaces, out of CloudWatch Logs: to which addresses its network connected in a window, and how much went
//! there. Not read unless a step says how much (`flow-bytes`): on a busy network they are many, and each belongs to every function with the
//! same subnets and security groups. Records in a bucket stay there: `flow-logs` says in which.

use super::cx::at_once;
use super::flow_logs::FLOW;
use super::{Abort, Bound, CollectCx, Collector, CollectorSpec, Question, Volatility};
use crate::aws::fault::tame;
use crate::clock;
use crate::model::call::{Call, Scope, Service};
use crate::model::gap::GapKind;
use crate::model::item::{Group, Sensitivity};
use crate::model::params::{Param, ParamKind};
use async_trait::async_trait;
use aws_sdk_cloudwatchlogs::operation::filter_log_events::FilterLogEventsOutput;
use chrono::{DateTime, Utc};
use futures_util::FutureExt;

pub struct FlowRecords;

const EVENTS: Call = Call::read(Service::Logs, "FilterLogEvents", "logs:FilterLogEvents", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "flow-records",
    title: "Flow records",
    answers: "To which addresses did the function's network connect in the window, and how much went there?",
    group: Group::Invocation,
    volatility: Volatility::V4,
    calls: &[EVENTS],
    params: &[
        Param { name: "window", kind: ParamKind::Duration, default: "24h", doc: "How far back to read" },
        Param {
            name: FLOW_BYTES,
            kind: ParamKind::Bytes,
            default: "0",
            doc: "Read so many bytes of flow records from CloudWatch Logs, in equal shares for each interface; `0` to leave them",
        },
    ],
};

/// At 0 the plan leaves the call out (`plan::words`).
const FLOW_BYTES: &str = "flow-bytes";
/// Interfaces times groups.
const MAX_STREAMS: usize = 50;
const SUBJECT: &str = "flow records";

#[async_trait]
impl Collector for FlowRecords {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        let bytes = cx.bytes(FLOW_BYTES);
        if bytes == 0 {
            return cx.not_applicable(SUBJECT, "not asked for: the step's parameter `flow-bytes` is 0").map(drop);
        }
        let places = cx.flow_logs().await?;
        match places.whole {
            None => return cx.not_applicable(SUBJECT, "the function is in no VPC: no flow logs exist for it").map(drop),
            Some(false) => drop(cx.gap(GapKind::Unsupported, "further flow records", &format!("{} left gaps", FLOW.title))?),
            Some(true) => {}
        }
        for place in &places.elsewhere {
            let why = "they are delivered elsewhere than to CloudWatch Logs, and stay there: fetch them for the window before they expire";
            cx.not_applicable(&format!("{SUBJECT} in {}", tame(place, 250)), why)?;
        }
        let mut streams = vec![];
        for place in &places.groups {
            let Some(group) = group(cx, place) else {
                let why = "this is no log group of this account and Region; it was not read";
                cx.gap(GapKind::Unsupported, &format!("{SUBJECT} in {}", tame(place, 250)), why)?;
                continue;
            };
            streams.extend(places.interfaces.iter().map(|interface| (group.clone(), interface.clone())));
        }
        if streams.is_empty() {
            return cx
                .not_applicable(SUBJECT, "no flow log that was read delivers to CloudWatch Logs, or no interface exists now")
                .map(drop);
        }
        if streams.len() > MAX_STREAMS {
            let why = format!("there are {} pairs of interface and log group; {MAX_STREAMS} of them were read", streams.len());
            cx.gap(GapKind::TooLarge, "flow records of further interfaces", &why)?;
            streams.truncate(MAX_STREAMS);
        }
        let share = Bound { bytes: (bytes / streams.len() as u64).max(1), ..Bound::default() };
        let window = cx.window("window");
        at_once(streams.into_iter().map(|(group, interface)| records(cx, group, interface, window, share).boxed())).await
    }
}

/// The name of a log group here, from its name or ARN.
fn group(cx: &CollectCx<'_>, place: &str) -> Option<String> {
    let parts: Vec<&str> = place.splitn(7, ':').collect();
    let name = match parts.as_slice() {
        ["arn", _, "logs", region, account, "log-group", name] => {
            if *region != cx.target().region || *account != cx.target().account {
                return None;
            }
            name.strip_suffix(":*").unwrap_or(name).to_string()
        }
        [name] => (*name).to_string(),
        _ => return None,
    };
    let plain = (1..=512).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/#".contains(&b));
    plain.then_some(name)
}

async fn records(
    cx: &CollectCx<'_>,
    group: String,
    interface: String,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
    bound: Bound,
) -> Result<(), Abort> {
    // A stream is called by its interface and the kind of traffic, `eni-…-all` (VPC User Guide, "Publish flow logs to CloudWatch Logs").
    let call = || {
        let call = cx.aws().logs().filter_log_events().log_group_name(&group).log_stream_name_prefix(&interface);
        call.start_time(from.timestamp_millis()).end_time(to.timestamp_millis())
    };
    let subject = format!("{SUBJECT} of {interface} in log group {group} from {} to {}", clock::stamp(from), clock::stamp(to));
    cx.ask_pages(
        Question::new(&EVENTS, subject).sensitivity(Sensitivity::S2),
        bound,
        |token| call().set_next_token(token).send(),
        |out: &FilterLogEventsOutput| out.next_token().map(str::to_string),
        |out| out.events().len(),
    )
    .await
    .map(drop)
}
