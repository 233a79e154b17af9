//! Flow logs over the function's network: which exist, on what, and where they are delivered. They are the only record of where packets went;
//! addresses in them belong to the pair of subnet and security groups, so to every function with that pair.

use super::cx::at_once;
use super::network::{self, Describe, MAX_VALUES, Network};
use super::network_interfaces::INTERFACES;
use super::{Abort, CollectCx, Collector, CollectorSpec, Volatility};
use crate::aws::fault::FaultClass;
use crate::model::call::{Call, Scope, Service};
use crate::model::item::Group;
use async_trait::async_trait;
use futures_util::FutureExt;

pub struct FlowLogs;

const FLOW_LOGS: Call = Call::read(Service::Ec2, "DescribeFlowLogs", "ec2:DescribeFlowLogs", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "flow-logs",
    title: "Flow logs",
    answers: "Is it recorded where the function connected to, and where does that record lie?",
    group: Group::Config,
    volatility: Volatility::V2,
    calls: &[FLOW_LOGS],
    params: &[],
};

#[async_trait]
impl Collector for FlowLogs {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        const ELSEWHERE: &str = "it sends from Lambda's own network, and no flow logs exist for that";
        let Some(network) = network::network(cx, "flow logs", ELSEWHERE).await? else { return Ok(()) };
        let places: Vec<String> = network.vpcs.iter().chain(&network.subnets).cloned().collect();
        at_once(
            places.chunks(MAX_VALUES).map(|some| on(cx, some, "the VPCs and subnets").boxed()).chain([on_interfaces(cx, &network).boxed()]),
        )
        .await
    }
}

/// Somebody may have set one on a single interface: a responder before us, or whoever wanted to see the traffic.
async fn on_interfaces(cx: &CollectCx<'_>, network: &Network) -> Result<(), Abort> {
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
    if interfaces.ids.is_empty() && interfaces.unfinished.is_none() {
        return cx.not_applicable(WHAT, "there is no interface now").map(drop);
    }
    at_once(interfaces.ids.chunks(MAX_VALUES).map(|some| on(cx, some, "single network interfaces").boxed())).await
}

async fn on(cx: &CollectCx<'_>, ids: &[String], words: &str) -> Result<(), Abort> {
    let shown = ids.iter().take(8).cloned().collect::<Vec<_>>().join(", ");
    let more = if ids.len() > 8 { format!(" and {} more", ids.len() - 8) } else { String::new() };
    let subject = format!("flow logs on {words} {shown}{more}");
    cx.describe(Describe { call: &FLOW_LOGS, subject, set: "flowLogSet", filters: &[("resource-id", ids)] }, |_| {}).await.map(drop)
}
