//! Target groups of load balancers that the resource policies admit: which load balancers send requests through them to the function.

use super::cx::at_once;
use super::trigger_table::{self, Source, Way};
use super::{Abort, CollectCx, Collector, CollectorSpec, Question, Volatility};
use crate::aws::raw::RawCall;
use crate::model::call::{Call, Scope, Service};
use crate::model::item::Group;
use async_trait::async_trait;
use futures_util::FutureExt;

pub struct LoadBalancerTargets;

const GROUPS: Call = Call::read(Service::Elb, "DescribeTargetGroups", "elasticloadbalancing:DescribeTargetGroups", Scope::Any);
const HEALTH: Call = Call::read(Service::Elb, "DescribeTargetHealth", "elasticloadbalancing:DescribeTargetHealth", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "load-balancer-targets",
    title: "Load balancer target groups",
    answers: "Which load balancers call the function, and is it registered there now?",
    group: Group::Triggers,
    volatility: Volatility::V2,
    calls: &[GROUPS, HEALTH],
    params: &[],
};

const VERSION: &str = "2015-12-01";

#[async_trait]
impl Collector for LoadBalancerTargets {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        let groups = trigger_table::sources(cx, Way::TargetGroup, "target groups").await?;
        if groups.is_empty() {
            return cx
                .not_applicable("load balancer target groups", "no statement that was read admits a load balancer by its name")
                .map(drop);
        }
        at_once(groups.into_iter().map(|group| target_group(cx, group).boxed())).await
    }
}

async fn target_group(cx: &CollectCx<'_>, group: Source) -> Result<(), Abort> {
    let elsewhere = cx.aws_in(&group.region);
    let aws = elsewhere.as_ref().unwrap_or(cx.aws());
    let call = RawCall::query(Service::Elb, "DescribeTargetGroups", VERSION, &[("TargetGroupArns.member.1", &group.arn)]);
    cx.ask(Question::new(&GROUPS, format!("target group {}", group.arn)).region(&group.region), aws.raw(call)).await?;
    let call = RawCall::query(Service::Elb, "DescribeTargetHealth", VERSION, &[("TargetGroupArn", &group.arn)]);
    cx.ask(Question::new(&HEALTH, format!("targets of target group {} and their health", group.arn)).region(&group.region), aws.raw(call))
        .await?;
    Ok(())
}
