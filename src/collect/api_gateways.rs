//! APIs that the resource policies admit: what they are, their resources or routes, their integrations, their authorizers (a function that
//! decides who may call an API is worth more to an attacker than one behind it) and their stages. An ARN does not say whether the API is of
//! the first or the second kind; both are asked, and one of them does not know it.

use super::cx::at_once;
use super::raw_list::Members;
use super::trigger_table::{self, Source, Way};
use super::{Abort, CollectCx, Collector, CollectorSpec, Question, Reply, Volatility};
use crate::aws::Aws;
use crate::aws::raw::RawCall;
use crate::model::call::{Call, Scope, Service};
use crate::model::item::{Group, Sensitivity};
use async_trait::async_trait;
use futures_util::FutureExt;
use std::collections::BTreeSet;

pub struct ApiGateways;

/// All reads of API Gateway are one IAM action.
const fn rest(operation: &'static str) -> Call {
    Call::read(Service::Apigateway, operation, "apigateway:GET", Scope::Any)
}
const fn http(operation: &'static str) -> Call {
    Call::read(Service::Apigatewayv2, operation, "apigateway:GET", Scope::Any)
}

const REST: [Call; 4] = [rest("GetRestApi"), rest("GetResources"), rest("GetAuthorizers"), rest("GetStages")];
const HTTP: [Call; 5] = [http("GetApi"), http("GetRoutes"), http("GetIntegrations"), http("GetAuthorizers"), http("GetStages")];

static SPEC: CollectorSpec = CollectorSpec {
    id: "api-gateways",
    title: "API Gateway",
    answers: "Which APIs call the function, on which paths and stages, and does it decide who may call one?",
    group: Group::Triggers,
    volatility: Volatility::V2,
    calls: &[REST[0], REST[1], REST[2], REST[3], HTTP[0], HTTP[1], HTTP[2], HTTP[3], HTTP[4]],
    params: &[],
};

/// Lists below an API: which call, the path's last segment, what is asked for in words, and the members of the answer.
const REST_LISTS: [(&Call, &str, &str, Members); 3] = [
    (&REST[1], "resources", "resources, methods and integrations", Members { list: "item", next: "position" }),
    (&REST[2], "authorizers", "authorizers", Members { list: "item", next: "position" }),
    (&REST[3], "stages", "stages", Members { list: "item", next: "position" }),
];
const HTTP_LISTS: [(&Call, &str, &str, Members); 4] = [
    (&HTTP[1], "routes", "routes", Members { list: "items", next: "nextToken" }),
    (&HTTP[2], "integrations", "integrations", Members { list: "items", next: "nextToken" }),
    (&HTTP[3], "authorizers", "authorizers", Members { list: "items", next: "nextToken" }),
    (&HTTP[4], "stages", "stages", Members { list: "items", next: "nextToken" }),
];

#[async_trait]
impl Collector for ApiGateways {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        // Many statements name one API: a statement for each method is the console's habit.
        let sources = trigger_table::sources(cx, Way::Api, "APIs").await?;
        let apis: BTreeSet<(String, String)> = sources.into_iter().map(|Source { region, resource, .. }| (region, resource)).collect();
        if apis.is_empty() {
            return cx.not_applicable("API Gateway", "no statement that was read admits an API by its name").map(drop);
        }
        at_once(apis.into_iter().map(|(region, api)| both(cx, region, api).boxed())).await
    }
}

async fn both(cx: &CollectCx<'_>, region: String, api: String) -> Result<(), Abort> {
    let elsewhere = cx.aws_in(&region);
    let aws = elsewhere.as_ref().unwrap_or(cx.aws());
    tokio::try_join!(
        one(cx, aws, &api, "REST", Service::Apigateway, &REST[0], &["restapis"], &REST_LISTS),
        one(cx, aws, &api, "HTTP or WebSocket", Service::Apigatewayv2, &HTTP[0], &["v2", "apis"], &HTTP_LISTS)
    )?;
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "a row of a table of two")]
async fn one(
    cx: &CollectCx<'_>,
    aws: &Aws,
    api: &str,
    kind: &str,
    service: Service,
    about: &'static Call,
    root: &[&str],
    lists: &[(&'static Call, &str, &str, Members)],
) -> Result<(), Abort> {
    let path: Vec<&str> = root.iter().copied().chain([api]).collect();
    let question = Question::new(about, format!("{kind} API {api} in {}", aws.region()));
    if !matches!(cx.ask_json(question, aws, RawCall::rest(service, about.operation, "GET", &path, &[], None)).await?, Reply::Got(_)) {
        return Ok(());
    }
    let whose = format!("{kind} API {api}");
    at_once(lists.iter().map(|list| parts(cx, aws, &path, &whose, service, list).boxed())).await
}

/// One list of an API's parts.
async fn parts(
    cx: &CollectCx<'_>,
    aws: &Aws,
    of: &[&str],
    whose: &str,
    service: Service,
    (call, segment, words, members): &(&'static Call, &str, &str, Members),
) -> Result<(), Abort> {
    let path: Vec<&str> = of.iter().copied().chain([*segment]).collect();
    let page = |token: Option<String>| {
        // Methods with their integrations come with the resources only when asked for.
        let mut query: Vec<(&str, &str)> = if *segment == "resources" { vec![("embed", "methods"), ("limit", "500")] } else { vec![] };
        query.extend(token.as_deref().map(|t| (members.next, t)));
        RawCall::rest(service, call.operation, "GET", &path, &query, None)
    };
    // Stage variables may hold secrets.
    let question = Question::new(call, format!("{words} of {whose} in {}", aws.region())).sensitivity(Sensitivity::S3);
    cx.ask_json_list(question, aws, *members, page, |_| {}).await?;
    Ok(())
}
