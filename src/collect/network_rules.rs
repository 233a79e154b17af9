//! The rules that packets of the function meet: security groups with their rules, and the access lists of its subnets. They are also the state
//! before any containment of the network.

use super::cx::at_once;
use super::network::{self, Describe};
use super::{Abort, CollectCx, Collector, CollectorSpec, Volatility};
use crate::model::call::{Call, Scope, Service};
use crate::model::item::Group;
use async_trait::async_trait;
use futures_util::FutureExt;

pub struct NetworkRules;

const GROUPS: Call = Call::read(Service::Ec2, "DescribeSecurityGroups", "ec2:DescribeSecurityGroups", Scope::Any);
/// Rules by id, with their tags and descriptions: what a restore of one rule needs, and what CloudTrail names.
const RULES: Call = Call::read(Service::Ec2, "DescribeSecurityGroupRules", "ec2:DescribeSecurityGroupRules", Scope::Any);
const LISTS: Call = Call::read(Service::Ec2, "DescribeNetworkAcls", "ec2:DescribeNetworkAcls", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "network-rules",
    title: "Rules of the network",
    answers: "To whom may the function connect by the rules of its network, and did somebody open them?",
    group: Group::Network,
    volatility: Volatility::V2,
    calls: &[GROUPS, RULES, LISTS],
    params: &[],
};

#[async_trait]
impl Collector for NetworkRules {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        const ELSEWHERE: &str = "no security group and no access list stands between it and the internet";
        let Some(network) = network::network(cx, "security groups and network access lists", ELSEWHERE).await? else { return Ok(()) };
        let of = |call: &'static Call, words: &str, ids: &[String], set, filter| {
            let subject = format!("{words} {}", ids.join(", "));
            let ids = ids.to_vec();
            async move {
                if ids.is_empty() {
                    return cx.not_applicable(subject.trim_end(), "the configurations name none").map(drop);
                }
                cx.describe(Describe { call, subject, set, filters: &[(filter, &ids)] }, |_| {}).await.map(drop)
            }
            .boxed()
        };
        at_once([
            of(&GROUPS, "security groups", &network.groups, "securityGroupInfo", "group-id"),
            of(&RULES, "rules, one by one, of security groups", &network.groups, "securityGroupRuleSet", "group-id"),
            of(&LISTS, "network access lists of subnets", &network.subnets, "networkAclSet", "association.subnet-id"),
        ])
        .await
    }
}
