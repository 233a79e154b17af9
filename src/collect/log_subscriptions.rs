//! Subscription filters of CloudWatch Logs, in both directions: those on the function's own log groups (where its log lines are sent), those
//! on the groups that the resource policies admit (what fires the function), and the account's policies, which subscribe every group at once.

use super::cx::at_once;
use super::trigger_table::{self, Way};
use super::{Abort, Bound, CollectCx, Collector, CollectorSpec, Question, Volatility};
use crate::aws::fault::FaultClass;
use crate::model::call::{Call, Scope, Service};
use crate::model::item::Group;
use async_trait::async_trait;
use aws_sdk_cloudwatchlogs::operation::describe_account_policies::DescribeAccountPoliciesOutput;
use aws_sdk_cloudwatchlogs::operation::describe_subscription_filters::DescribeSubscriptionFiltersOutput;
use aws_sdk_cloudwatchlogs::types::PolicyType;
use futures_util::FutureExt;
use std::collections::BTreeSet;

pub struct LogSubscriptions;

const FILTERS: Call = Call::read(Service::Logs, "DescribeSubscriptionFilters", "logs:DescribeSubscriptionFilters", Scope::Any);
const POLICIES: Call = Call::read(Service::Logs, "DescribeAccountPolicies", "logs:DescribeAccountPolicies", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "log-subscriptions",
    title: "Log subscriptions",
    answers: "Where are the function's log lines sent, and do log lines of other groups fire the function?",
    group: Group::Triggers,
    volatility: Volatility::V2,
    calls: &[FILTERS, POLICIES],
    params: &[],
};

#[async_trait]
impl Collector for LogSubscriptions {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        let own = cx.target().region.clone();
        let mut groups = BTreeSet::from([(own.clone(), cx.target().default_log_group())]);
        match cx.function_or_told().await? {
            Ok(fact) => groups.extend(fact.log_group.clone().map(|g| (own, g))),
            // The function is gone, its log group need not be.
            Err(fault) if fault.class == FaultClass::NotFound => {}
            Err(fault) => {
                cx.gap_from(&fault, "subscription filters of the group that the function writes to (the default group was asked)")?;
            }
        }
        groups.extend(trigger_table::sources(cx, Way::LogGroup, "log groups").await?.into_iter().map(|s| (s.region, s.resource)));
        tokio::try_join!(account(cx), at_once(groups.into_iter().map(|(region, group)| filters(cx, region, group).boxed())))?;
        Ok(())
    }
}

async fn filters(cx: &CollectCx<'_>, region: String, group: String) -> Result<(), Abort> {
    let elsewhere = cx.aws_in(&region);
    let aws = elsewhere.as_ref().unwrap_or(cx.aws());
    let call = || aws.logs().describe_subscription_filters().log_group_name(&group);
    cx.ask_pages(
        Question::new(&FILTERS, format!("subscription filters of log group {group} in {region}")).region(&region),
        Bound::default(),
        |token| call().set_next_token(token).send(),
        |out: &DescribeSubscriptionFiltersOutput| out.next_token().map(str::to_string),
        |out| out.subscription_filters().len(),
    )
    .await?;
    Ok(())
}

async fn account(cx: &CollectCx<'_>) -> Result<(), Abort> {
    let call = || cx.aws().logs().describe_account_policies().policy_type(PolicyType::SubscriptionFilterPolicy);
    cx.ask_pages(
        Question::new(&POLICIES, "subscription policies of the account, over all log groups"),
        Bound::default(),
        |token| call().set_next_token(token).send(),
        |out: &DescribeAccountPoliciesOutput| out.next_token().map(str::to_string),
        |out| out.account_policies().len(),
    )
    .await?;
    Ok(())
}
