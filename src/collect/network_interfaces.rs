//! The network interfaces that the function sends through. Lambda makes one for each pair of subnet and set of security groups, and all
//! functions with that pair share it: the function's name in its description is that of one tenant, and addresses belong to the pair, never to
//! one function. Interfaces outlive a VPC configuration by some minutes, so they are also sought under the function's own name.

use super::cx::at_once;
use super::network::{self, Describe, ids_in};
use super::{Abort, CollectCx, Collector, CollectorSpec, PagesEnd, Volatility};
use crate::aws::fault::Fault;
use crate::model::call::{Call, Scope, Service};
use crate::model::gap::GapKind;
use crate::model::item::Group;
use async_trait::async_trait;
use futures_util::FutureExt;
use std::sync::Arc;

pub struct NetworkInterfaces;

pub(super) static INTERFACES: CollectorSpec = CollectorSpec {
    id: "network-interfaces",
    title: "Network interfaces",
    answers: "Under which addresses does the function reach its network, and who else sends from there?",
    group: Group::Network,
    volatility: Volatility::V4,
    calls: &[Call::read(Service::Ec2, "DescribeNetworkInterfaces", "ec2:DescribeNetworkInterfaces", Scope::Any)],
    params: &[],
};

#[async_trait]
impl Collector for NetworkInterfaces {
    fn spec(&self) -> &'static CollectorSpec {
        &INTERFACES
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        at_once([by_place(cx).boxed(), by_name(cx).boxed()]).await
    }
}

async fn by_place(cx: &CollectCx<'_>) -> Result<(), Abort> {
    const WHAT: &str = "network interfaces in the function's subnets";
    let Some(network) = network::network(cx, WHAT, "it sends from Lambda's own network, under addresses of AWS").await? else {
        return Ok(());
    };
    if network.subnets.is_empty() || network.groups.is_empty() {
        return cx.gap(GapKind::Unsupported, WHAT, "the configurations name a VPC without subnets and security groups").map(drop);
    }
    cx.interfaces(&network.subnets, &network.groups).await.map(drop)
}

/// Also of a function that is attached to no VPC any more, or is gone.
async fn by_name(cx: &CollectCx<'_>) -> Result<(), Abort> {
    // `AWS Lambda VPC ENI-payments-export-1b4d…` (AWS re:Post, "detach an elastic network interface that Lambda created"); a function's name
    // has no character that a filter takes for a pattern.
    let described = format!("AWS Lambda VPC ENI-{}-*", cx.target().function);
    let what = Describe {
        call: &INTERFACES.calls[0],
        subject: format!("network interfaces that Lambda made under the name {}", cx.target().function),
        set: "networkInterfaceSet",
        filters: &[("description", &[described])],
    };
    cx.describe(what, |_| {}).await.map(drop)
}

/// Ids of interfaces.
pub(super) struct Interfaces {
    pub ids: Vec<String>,
    pub unfinished: Option<(GapKind, String)>,
}

/// The shared look-up. `cx` must be the context of this unit.
pub(super) async fn ask(cx: &CollectCx<'_>, subnets: &[String], groups: &[String]) -> Result<Result<Arc<Interfaces>, Fault>, Abort> {
    let mut ids = vec![];
    let what = Describe {
        call: &INTERFACES.calls[0],
        subject: "network interfaces in the function's subnets with its security groups, whoever made them".to_string(),
        set: "networkInterfaceSet",
        filters: &[("subnet-id", subnets), ("group-id", groups)],
    };
    let pages = cx.describe(what, |page| ids.extend(ids_in(page, "networkInterfaceId", "eni-"))).await?;
    let unfinished = match pages.end {
        PagesEnd::Complete => None,
        PagesEnd::Stopped(kind, why) => Some((kind, why)),
        PagesEnd::Failed(fault) if pages.read == 0 => return Ok(Err(fault)),
        PagesEnd::Failed(fault) => Some((fault.gap_kind(), fault.to_string())),
    };
    Ok(Ok(Arc::new(Interfaces { ids, unfinished })))
}
