//! How names are resolved in the function's network: the VPC with its DHCP options (which may name somebody's own DNS server), rules that send
//! questions elsewhere, and whether the questions are logged. A name that is asked for is a way out for data where every other is closed.

use super::cx::at_once;
use super::network::{self, Describe, MAX_VALUES, Network, ids_in};
use super::raw_list::{Members, text};
use super::{Abort, CollectCx, Collector, CollectorSpec, PagesEnd, Question, Volatility};
use crate::aws::fault::FaultClass;
use crate::aws::raw::{JsonVersion, RawCall};
use crate::model::call::{Call, Scope, Service};
use crate::model::gap::GapKind;
use crate::model::item::Group;
use async_trait::async_trait;
use futures_util::FutureExt;
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub struct NameResolution;

const VPCS: Call = Call::read(Service::Ec2, "DescribeVpcs", "ec2:DescribeVpcs", Scope::Any);
const OPTIONS: Call = Call::read(Service::Ec2, "DescribeDhcpOptions", "ec2:DescribeDhcpOptions", Scope::Any);
const LOGGED: Call = Call::read(
    Service::Resolver,
    "ListResolverQueryLogConfigAssociations",
    "route53resolver:ListResolverQueryLogConfigAssociations",
    Scope::Any,
);
const LOG: Call = Call::read(Service::Resolver, "GetResolverQueryLogConfig", "route53resolver:GetResolverQueryLogConfig", Scope::Any);
const FORWARDED: Call =
    Call::read(Service::Resolver, "ListResolverRuleAssociations", "route53resolver:ListResolverRuleAssociations", Scope::Any);
const RULE: Call = Call::read(Service::Resolver, "GetResolverRule", "route53resolver:GetResolverRule", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "name-resolution",
    title: "Name resolution",
    answers: "Who answers the function's DNS questions, and is it recorded what it asked for?",
    group: Group::Network,
    volatility: Volatility::V2,
    calls: &[VPCS, OPTIONS, LOGGED, LOG, FORWARDED, RULE],
    params: &[],
};

#[async_trait]
impl Collector for NameResolution {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        const ELSEWHERE: &str = "its names are resolved in Lambda's own network, and no query log exists for that";
        let Some(network) = network::network(cx, "query logs and resolvers", ELSEWHERE).await? else { return Ok(()) };
        if network.vpcs.is_empty() {
            return Ok(());
        }
        let one = |vpc: &String| [query_logs(cx, vpc.clone()).boxed(), rules(cx, vpc.clone()).boxed()];
        at_once(network.vpcs.iter().flat_map(one).chain([options(cx, &network).boxed()])).await
    }
}

async fn options(cx: &CollectCx<'_>, network: &Network) -> Result<(), Abort> {
    const WHAT: &str = "DHCP options with the DNS servers";
    let mut ids = BTreeSet::new();
    let subject = format!("VPCs {}", network.vpcs.join(", "));
    let what = Describe { call: &VPCS, subject, set: "vpcSet", filters: &[("vpc-id", &network.vpcs)] };
    let pages = cx.describe(what, |page| ids.extend(ids_in(page, "dhcpOptionsId", "dopt-"))).await?;
    match &pages.end {
        PagesEnd::Complete => {}
        PagesEnd::Stopped(kind, why) => drop(cx.gap(*kind, WHAT, &format!("not every VPC was read: {why}"))?),
        PagesEnd::Failed(fault) if fault.class == FaultClass::NotFound => return Ok(()),
        PagesEnd::Failed(fault) if pages.read == 0 => return cx.gap_from_lookup(&SPEC, fault, WHAT).map(drop),
        PagesEnd::Failed(fault) => drop(cx.gap(fault.gap_kind(), WHAT, &format!("not every VPC was read: {fault}"))?),
    }
    if ids.is_empty() {
        // `default` stands where a VPC has none of its own.
        return cx.not_applicable(WHAT, "no VPC that was read names a set of its own: AWS's resolver answers").map(drop);
    }
    let ids: Vec<String> = ids.into_iter().take(MAX_VALUES).collect();
    let subject = format!("{WHAT} {}", ids.join(", "));
    cx.describe(Describe { call: &OPTIONS, subject, set: "dhcpOptionsSet", filters: &[("dhcp-options-id", &ids)] }, |_| {}).await.map(drop)
}

fn call(operation: &'static str, body: &Value) -> RawCall {
    RawCall::json(Service::Resolver, operation, JsonVersion::V1_1, &format!("Route53Resolver.{operation}"), body)
}

fn page(operation: &'static str, filter: &str, vpc: &str, token: Option<String>) -> RawCall {
    let mut body = json!({"MaxResults": 100, "Filters": [{"Name": filter, "Values": [vpc]}]});
    if let Some(token) = token {
        body["NextToken"] = token.into();
    }
    call(operation, &body)
}

async fn query_logs(cx: &CollectCx<'_>, vpc: String) -> Result<(), Abort> {
    let mut ids = BTreeSet::new();
    let question = Question::new(&LOGGED, format!("query logs of {vpc}"));
    let members = Members { list: "ResolverQueryLogConfigAssociations", next: "NextToken" };
    let pages = |token| page("ListResolverQueryLogConfigAssociations", "ResourceId", &vpc, token);
    cx.ask_json_list(question, cx.aws(), members, pages, |a| ids.extend(text(a, "ResolverQueryLogConfigId"))).await?;
    each(cx, ids, "query logs", |id| async move {
        let question = Question::new(&LOG, format!("query log {id} and where it is delivered"));
        let body = json!({"ResolverQueryLogConfigId": id});
        cx.ask_json(question, cx.aws(), call("GetResolverQueryLogConfig", &body)).await.map(drop)
    })
    .await
}

async fn rules(cx: &CollectCx<'_>, vpc: String) -> Result<(), Abort> {
    let mut ids = BTreeSet::new();
    let question = Question::new(&FORWARDED, format!("resolver rules of {vpc}"));
    let members = Members { list: "ResolverRuleAssociations", next: "NextToken" };
    let pages = |token| page("ListResolverRuleAssociations", "VPCId", &vpc, token);
    cx.ask_json_list(question, cx.aws(), members, pages, |a| ids.extend(text(a, "ResolverRuleId"))).await?;
    each(cx, ids, "resolver rules", |id| async move {
        let question = Question::new(&RULE, format!("resolver rule {id} and where it sends questions"));
        cx.ask_json(question, cx.aws(), call("GetResolverRule", &json!({"ResolverRuleId": id}))).await.map(drop)
    })
    .await
}

/// One question for each id, of a bounded number.
async fn each<'f, F>(cx: &'f CollectCx<'_>, ids: BTreeSet<String>, what: &str, ask: impl Fn(String) -> F) -> Result<(), Abort>
where
    F: Future<Output = Result<(), Abort>> + Send + 'f,
{
    const MAX: usize = 50;
    if ids.len() > MAX {
        let why = format!("there are {}; {MAX} of them were read", ids.len());
        cx.gap(GapKind::TooLarge, &format!("further {what}"), &why)?;
    }
    at_once(ids.into_iter().take(MAX).map(|id| ask(id).boxed())).await
}
