//! Flow logs over the function's network: which exist, on what, and where they are delivered. They are the only record of where packets went;
//! addresses in them belong to the pair of subnet and security groups, so to every function with that pair.

use super::cx::at_once;
use super::network::{self, Describe, MAX_VALUES, Network};
use super::network_interfaces::INTERFACES;
use super::{Abort, CollectCx, Collector, CollectorSpec, Volatility};
use crate::aws::fault::FaultClass;
use crate::aws::xml;
use crate::model::call::{Call, Scope, Service};
use crate::model::item::Group;
use async_trait::async_trait;
use futures_util::FutureExt;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

pub struct FlowLogs;

const FLOW_LOGS: Call = Call::read(Service::Ec2, "DescribeFlowLogs", "ec2:DescribeFlowLogs", Scope::Any);

pub(super) static FLOW: CollectorSpec = CollectorSpec {
    id: "flow-logs",
    title: "Flow logs",
    answers: "Is it recorded where the function connected to, and where does that record lie?",
    group: Group::Network,
    volatility: Volatility::V2,
    calls: &[FLOW_LOGS],
    params: &[],
};

#[async_trait]
impl Collector for FlowLogs {
    fn spec(&self) -> &'static CollectorSpec {
        &FLOW
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        cx.flow_logs().await.map(drop)
    }
}

/// Where records are delivered, in AWS's own words.
#[derive(Default)]
pub(super) struct FlowPlaces {
    /// Log groups of CloudWatch Logs, by name or ARN.
    pub groups: BTreeSet<String>,
    /// Buckets and delivery streams.
    pub elsewhere: BTreeSet<String>,
    /// The interfaces whose records are the function's.
    pub interfaces: Vec<String>,
    /// All flow logs over the function's network were read; `None` when it has none of its own.
    pub whole: Option<bool>,
}

/// The shared look-up. `cx` must be the context of this unit.
pub(super) async fn ask(cx: &CollectCx<'_>) -> Result<FlowPlaces, Abort> {
    const ELSEWHERE: &str = "it sends from Lambda's own network, and no flow logs exist for that";
    let gaps = || cx.draft().items().iter().filter(|i| i.collector == FLOW.id && i.status.gap().is_some()).count();
    let before = gaps();
    let found = Mutex::default();
    let Some(network) = network::network(cx, "flow logs", ELSEWHERE).await? else {
        return Ok(FlowPlaces { whole: (gaps() > before).then_some(false), ..FlowPlaces::default() });
    };
    let places: Vec<String> = network.vpcs.iter().chain(&network.subnets).cloned().collect();
    let asking = places.chunks(MAX_VALUES).map(|some| on(cx, some, "the VPCs and subnets", &found).boxed());
    at_once(asking.chain([on_interfaces(cx, &network, &found).boxed()])).await?;
    let found: FlowPlaces = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(FlowPlaces { whole: Some(gaps() == before), ..found })
}

/// Somebody may have set one on a single interface: a responder before us, or whoever wanted to see the traffic.
async fn on_interfaces(cx: &CollectCx<'_>, network: &Network, found: &Mutex<FlowPlaces>) -> Result<(), Abort> {
    const WHAT: &str = "flow logs on single network interfaces";
    if network.subnets.is_empty() || network.groups.is_empty() {
        return Ok(());
    }
    let interfaces = match cx.interfaces(&network.subnets, &network.groups).await? {
        Ok(found) => found,
        Err(fault) if fault.class == FaultClass::NotFound => return Ok(()),
        Err(fault) => return cx.gap_from_lookup(&INTERFACES, &fault, WHAT).map(drop),
    };
    if let Some((kind, why)) = &interfaces.unfinished {
        cx.gap(*kind, "flow logs on further network interfaces", &format!("the list it depends on is not whole: {why}"))?;
    }
    found.lock().unwrap_or_else(PoisonError::into_inner).interfaces.clone_from(&interfaces.ids);
    if interfaces.ids.is_empty() && interfaces.unfinished.is_none() {
        return cx.not_applicable(WHAT, "there is no interface now").map(drop);
    }
    at_once(interfaces.ids.chunks(MAX_VALUES).map(|some| on(cx, some, "single network interfaces", found).boxed())).await
}

async fn on(cx: &CollectCx<'_>, ids: &[String], words: &str, found: &Mutex<FlowPlaces>) -> Result<(), Abort> {
    let shown = ids.iter().take(8).cloned().collect::<Vec<_>>().join(", ");
    let more = if ids.len() > 8 { format!(" and {} more", ids.len() - 8) } else { String::new() };
    let subject = format!("flow logs on {words} {shown}{more}");
    let note = |page: &[u8]| {
        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
        for mut log in xml::records(page, "flowLogSet", "item") {
            let place = log.remove("logGroupName").or_else(|| log.remove("logDestination")).filter(|p| !p.is_empty());
            match log.get("logDestinationType").map(String::as_str) {
                Some("s3" | "kinesis-data-firehose") => found.elsewhere.extend(place),
                _ => found.groups.extend(place),
            }
        }
    };
    cx.describe(Describe { call: &FLOW_LOGS, subject, set: "flowLogSet", filters: &[("resource-id", ids)] }, note).await.map(drop)
}
