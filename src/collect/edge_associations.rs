//! Lambda@Edge: the CloudFront distributions that run a version of the function at the edge. Only numbered versions of functions in us-east-1
//! can be associated (`LambdaFunctionAssociation`, API reference). Copies run in the Region nearest to the viewer and log there, under
//! `/aws/lambda/us-east-1.<function>`: those groups are named here, not read.

use super::qualified::is_ours;
use super::{Abort, Bound, CollectCx, Collector, CollectorSpec, Question, Volatility};
use crate::aws::fault::tame;
use crate::aws::raw::RawCall;
use crate::aws::xml;
use crate::model::call::{Call, Scope, Service};
use crate::model::item::{Group, Sensitivity};
use async_trait::async_trait;
use serde_json::{Value, json};

pub struct EdgeAssociations;

const LIST: Call = Call::read(Service::Cloudfront, "ListDistributions", "cloudfront:ListDistributions", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "edge-associations",
    title: "Lambda@Edge associations",
    answers: "Which CloudFront distributions run a version of the function, on which requests?",
    group: Group::Triggers,
    volatility: Volatility::V2,
    calls: &[LIST],
    params: &[],
};

/// The one Region whose functions CloudFront copies.
const EDGE_REGION: &str = "us-east-1";
const API: &str = "2020-05-31";

#[async_trait]
impl Collector for EdgeAssociations {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        if cx.target().region != EDGE_REGION {
            let why = "the function is not in us-east-1, and CloudFront runs functions of us-east-1 only";
            return cx.not_applicable("CloudFront distributions that run the function", why).map(drop);
        }
        let mut found: Vec<Value> = vec![];
        let pages = cx
            .ask_all(
                Question::new(&LIST, "CloudFront distributions of the account, with the functions that they run"),
                Bound::default(),
                |marker| {
                    let mut query = vec![("MaxItems", "100")];
                    query.extend(marker.as_deref().map(|m| ("Marker", m)));
                    let call = RawCall::rest_xml(Service::Cloudfront, "ListDistributions", &[API, "distribution"], &query);
                    async move { cx.aws().raw(call).await }
                },
                |out: &Vec<u8>| xml::first(out, "NextMarker"),
                |out| {
                    let associations = xml::with_surroundings(&out, "LambdaFunctionAssociation");
                    found.extend(associations.iter().filter(|a| a.get("LambdaFunctionARN").is_some_and(|arn| is_ours(cx, arn))).map(row));
                    xml::count_within(&out, "Items", "DistributionSummary")
                },
            )
            .await?;
        if found.is_empty() {
            // The list itself says that there is none, or its gap what is open.
            return Ok(());
        }
        let document = json!({
            "function": cx.target().arn(),
            "associations": found,
            "logsOfCopies": format!("/aws/lambda/{EDGE_REGION}.{}", cx.target().function),
            "notes": [
                "Each copy runs in the Region nearest to the viewer, and its log group lies there. Those Regions were not read.",
                "Reserved concurrency and a resource policy of the function do not bind the copies: taking a version away from a distribution does.",
            ],
        });
        let bytes = serde_json::to_vec_pretty(&document).unwrap_or_default();
        cx.derive("where CloudFront runs the function", "edge-associations", "json", &bytes, vec![pages.item], Sensitivity::S1)?;
        Ok(())
    }
}

/// Nearest first: what an association says, then its cache behaviour, then its distribution.
fn row(association: &std::collections::BTreeMap<String, String>) -> Value {
    let said = |name: &str| association.get(name).map(|t| tame(t, 300));
    json!({
        "distribution": said("Id"),
        "domain": said("DomainName"),
        "enabled": said("Enabled"),
        // None for the default behaviour.
        "path": said("PathPattern"),
        "event": said("EventType"),
        "body": said("IncludeBody"),
        "function": said("LambdaFunctionARN"),
    })
}
