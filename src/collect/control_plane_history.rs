//! Control-plane history from CloudTrail's `LookupEvents`: who changed the function and its role, and what sessions under the function's name
//! did. Ninety days, management events only, two requests a second for the whole account and Region, of which we take one and a half.

use super::{Abort, Bound, CollectCx, Collector, CollectorSpec, FunctionFact, Question, Volatility};
use crate::aws::fault::Fault;
use crate::clock;
use crate::model::call::{Call, Scope, Service};
use crate::model::gap::GapKind;
use crate::model::item::{Group, Sensitivity};
use crate::model::params::{Param, ParamKind};
use async_trait::async_trait;
use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::operation::lookup_events::LookupEventsOutput;
use aws_sdk_cloudtrail::types::{LookupAttribute, LookupAttributeKey};
use aws_smithy_types::DateTime as Instant;
use chrono::{DateTime, Utc};
use std::sync::Arc;

pub struct ControlPlaneHistory;

static SPEC: CollectorSpec = CollectorSpec {
    id: "control-plane-history",
    title: "Control-plane history",
    answers: "Who changed the function or its role, when, and what did sessions under the function's name do?",
    group: Group::Control,
    volatility: Volatility::V3,
    calls: &[Call::read(Service::Cloudtrail, "LookupEvents", "cloudtrail:LookupEvents", Scope::Any)],
    params: &[
        Param { name: "window", kind: ParamKind::Duration, default: "90d", doc: "How far back to look; CloudTrail keeps 90 days here" },
        Param {
            name: "max-pages",
            kind: ParamKind::Count,
            default: "200",
            doc: "Stop each search after so many pages of 50 events; what is older is a gap",
        },
    ],
};

#[async_trait]
impl Collector for ControlPlaneHistory {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        // The searches need no more of it than the role's name; but after some answer has shown AWS's clock the window is better measured.
        let fact = cx.function_or_told().await?;
        let window = cx.window("window");
        tokio::try_join!(of_function(cx, window), of_role(cx, fact, window))?;
        Ok(())
    }
}

/// From, to: the same for all searches of a run.
type Window = (DateTime<Utc>, DateTime<Utc>);

async fn of_function(cx: &CollectCx<'_>, window: Window) -> Result<(), Abort> {
    let (target, client) = (cx.target(), cx.aws().cloudtrail());
    let region = &target.region;
    // `Username` of a function's own session is the function's name.
    search(cx, client, region, LookupAttributeKey::Username, &target.function, window).await?;
    // Events name a function now by name, now by ARN: both are asked.
    search(cx, client, region, LookupAttributeKey::ResourceName, &target.function, window).await?;
    search(cx, client, region, LookupAttributeKey::ResourceName, &target.arn(), window).await
}

async fn of_role(cx: &CollectCx<'_>, fact: Result<Arc<FunctionFact>, Fault>, window: Window) -> Result<(), Abort> {
    const SUBJECT: &str = "CloudTrail events about the execution role";
    let fact = match fact {
        Ok(fact) => fact,
        Err(fault) => return cx.gap_from(&fault, SUBJECT).map(drop),
    };
    let Some(role) = fact.role_name() else {
        return cx.gap_without_role(SUBJECT).map(drop);
    };
    let region = global_region(&cx.target().partition, &cx.target().region);
    if region == cx.target().region {
        return search(cx, cx.aws().cloudtrail(), region, LookupAttributeKey::ResourceName, role, window).await;
    }
    search(cx, cx.aws().in_region(region).cloudtrail(), region, LookupAttributeKey::ResourceName, role, window).await
}

/// Where CloudTrail keeps the events of IAM, which is global in its partition. A partition that we do not know is asked in the function's own
/// Region.
/// DOUBT(aws): all but `aws` are taken from IAM's endpoints, not seen live.
fn global_region<'r>(partition: &str, own: &'r str) -> &'r str {
    match partition {
        "aws" => "us-east-1",
        "aws-cn" => "cn-north-1",
        "aws-us-gov" => "us-gov-west-1",
        "aws-iso" => "us-iso-east-1",
        "aws-iso-b" => "us-isob-east-1",
        "aws-eusc" => "eusc-de-east-1",
        _ => own,
    }
}

async fn search(
    cx: &CollectCx<'_>,
    client: &Client,
    region: &str,
    key: LookupAttributeKey,
    value: &str,
    (from, to): Window,
) -> Result<(), Abort> {
    let instant = |t: DateTime<Utc>| Instant::from_millis(t.timestamp_millis());
    let subject =
        format!("CloudTrail events in {region} with {} {value}, from {} to {}", key.as_str(), clock::stamp(from), clock::stamp(to));
    let Ok(attribute) = LookupAttribute::builder().attribute_key(key).attribute_value(value).build() else {
        return cx.gap(GapKind::Internal, &subject, "the search could not be put together").map(drop);
    };
    let call =
        || client.lookup_events().lookup_attributes(attribute.clone()).start_time(instant(from)).end_time(instant(to)).max_results(50);
    cx.ask_pages(
        // AssumeRole events hold session tokens; all of them hold people's names and addresses.
        Question::new(&SPEC.calls[0], subject).region(region).sensitivity(Sensitivity::S3),
        Bound { pages: u32::try_from(cx.count("max-pages")).unwrap_or(u32::MAX).max(1), ..Bound::default() },
        |token| call().set_next_token(token).send(),
        |out: &LookupEventsOutput| out.next_token().map(str::to_string),
        |out| out.events().len(),
    )
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::global_region;

    #[test]
    fn iam_events_lie_in_one_region_of_a_partition() {
        assert_eq!(global_region("aws", "eu-west-1"), "us-east-1");
        assert_eq!(global_region("aws-us-gov", "us-gov-east-1"), "us-gov-west-1");
        assert_eq!(global_region("aws-new", "new-north-1"), "new-north-1");
    }
}
