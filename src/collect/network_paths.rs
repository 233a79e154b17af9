//! Ways out of the function's network: subnets, route tables, gateways, endpoints with their policies, and the other networks that are joined
//! to it. Together with the rules (`network-rules`) they say where packets could go; where they went only flow logs say.
//!
//! What it does not read: networks at the other end (another account's, mostly), prefix lists that routes name, and network firewalls.

use super::cx::at_once;
use super::network::{self, Describe, MAX_VALUES, Network, ids_in};
use super::{Abort, CollectCx, Collector, CollectorSpec, PagesEnd, Volatility};
use crate::aws::fault::{Fault, FaultClass};
use crate::model::call::{Call, Scope, Service};
use crate::model::gap::GapKind;
use crate::model::item::Group;
use async_trait::async_trait;
use futures_util::FutureExt;
use std::collections::BTreeSet;
use std::sync::Arc;

pub struct NetworkPaths;

const SUBNETS: Call = Call::read(Service::Ec2, "DescribeSubnets", "ec2:DescribeSubnets", Scope::Any);
const ROUTES: Call = Call::read(Service::Ec2, "DescribeRouteTables", "ec2:DescribeRouteTables", Scope::Any);
const NAT: Call = Call::read(Service::Ec2, "DescribeNatGateways", "ec2:DescribeNatGateways", Scope::Any);
const INTERNET: Call = Call::read(Service::Ec2, "DescribeInternetGateways", "ec2:DescribeInternetGateways", Scope::Any);
const ENDPOINTS: Call = Call::read(Service::Ec2, "DescribeVpcEndpoints", "ec2:DescribeVpcEndpoints", Scope::Any);
const TRANSIT: Call =
    Call::read(Service::Ec2, "DescribeTransitGatewayVpcAttachments", "ec2:DescribeTransitGatewayVpcAttachments", Scope::Any);
const PEERING: Call = Call::read(Service::Ec2, "DescribeVpcPeeringConnections", "ec2:DescribeVpcPeeringConnections", Scope::Any);

pub(super) static PATHS: CollectorSpec = CollectorSpec {
    id: "network-paths",
    title: "Ways out of the network",
    answers: "Could the function reach the internet, other networks or AWS's services, and through what?",
    group: Group::Network,
    volatility: Volatility::V2,
    calls: &[SUBNETS, ROUTES, NAT, INTERNET, ENDPOINTS, TRANSIT, PEERING],
    params: &[],
};

#[async_trait]
impl Collector for NetworkPaths {
    fn spec(&self) -> &'static CollectorSpec {
        &PATHS
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        const ELSEWHERE: &str = "Lambda's own network leads to the internet, and nothing in this account filters it";
        let Some(network) = network::network(cx, "routes, gateways and endpoints", ELSEWHERE).await? else { return Ok(()) };
        if network.vpcs.is_empty() {
            // The subnets were asked about; what that left is said.
            return Ok(());
        }
        let of = |call: &'static Call, words: &str, set, filter| {
            let subject = format!("{words} of {}", network.vpcs.join(", "));
            let filters = [(filter, network.vpcs.as_slice())];
            async move { cx.describe(Describe { call, subject, set, filters: &filters }, |_| {}).await.map(drop) }.boxed()
        };
        at_once([
            of(&NAT, "NAT gateways and their public addresses", "natGatewaySet", "vpc-id"),
            of(&INTERNET, "internet gateways", "internetGatewaySet", "attachment.vpc-id"),
            of(&ENDPOINTS, "VPC endpoints with their policies", "vpcEndpointSet", "vpc-id"),
            of(&TRANSIT, "attachments to transit gateways", "transitGatewayVpcAttachments", "vpc-id"),
            routes(cx, &network).boxed(),
        ])
        .await
    }
}

/// All route tables of the VPC: a subnet without one of its own follows the main one.
async fn routes(cx: &CollectCx<'_>, network: &Network) -> Result<(), Abort> {
    const PEERS: &str = "peering connections that routes lead into";
    let mut peers = BTreeSet::new();
    let what = Describe {
        call: &ROUTES,
        subject: format!("route tables of {}", network.vpcs.join(", ")),
        set: "routeTableSet",
        filters: &[("vpc-id", &network.vpcs)],
    };
    let pages = cx.describe(what, |page| peers.extend(ids_in(page, "vpcPeeringConnectionId", "pcx-"))).await?;
    let whole = matches!(pages.end, PagesEnd::Complete);
    match &pages.end {
        PagesEnd::Complete => {}
        PagesEnd::Stopped(kind, why) => drop(cx.gap(*kind, PEERS, &format!("not every route table was read: {why}"))?),
        // NotFound of the tables is no word about peers; all other faults are gaps of their own kind.
        PagesEnd::Failed(fault) if fault.class == FaultClass::NotFound => {}
        PagesEnd::Failed(fault) => drop(cx.gap(fault.gap_kind(), PEERS, &format!("the route tables could not be read: {fault}"))?),
    }
    if peers.is_empty() {
        return if whole { cx.not_applicable(PEERS, "no route leads into one").map(drop) } else { Ok(()) };
    }
    if peers.len() > MAX_VALUES {
        let why = format!("routes lead into {} of them; {MAX_VALUES} were asked about", peers.len());
        cx.gap(GapKind::TooLarge, "further peering connections", &why)?;
    }
    let ids: Vec<String> = peers.into_iter().take(MAX_VALUES).collect();
    let filters = [("vpc-peering-connection-id", ids.as_slice())];
    let what = Describe { call: &PEERING, subject: PEERS.to_string(), set: "vpcPeeringConnectionSet", filters: &filters };
    cx.describe(what, |_| {}).await.map(drop)
}

/// What the subnets' description says of them.
pub(super) struct Subnets {
    pub vpcs: BTreeSet<String>,
}

/// The shared look-up. `cx` must be the context of this unit.
pub(super) async fn ask_subnets(cx: &CollectCx<'_>, ids: &[String]) -> Result<Result<Arc<Subnets>, Fault>, Abort> {
    let mut vpcs = BTreeSet::new();
    let subject = "subnets of the function".to_string();
    let what = Describe { call: &SUBNETS, subject, set: "subnetSet", filters: &[("subnet-id", ids)] };
    let pages = cx.describe(what, |page| vpcs.extend(ids_in(page, "vpcId", "vpc-"))).await?;
    Ok(match pages.end {
        PagesEnd::Failed(fault) => Err(fault),
        PagesEnd::Complete | PagesEnd::Stopped(..) => Ok(Arc::new(Subnets { vpcs })),
    })
}
