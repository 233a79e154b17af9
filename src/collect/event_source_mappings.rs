//! Event source mappings: the pollers that fetch from queues and streams and invoke the function. Listed for the function, every alias and
//! every published version, because a mapping belongs to the exact ARN that it was made for; then each one read, because encrypted filter
//! criteria show only there.

use super::aliases::ALIASES;
use super::cx::at_once;
use super::versions::VERSIONS;
use super::{Abort, Bound, CollectCx, Collector, CollectorSpec, Question, Volatility};
use crate::model::call::{Call, Scope, Service};
use crate::model::item::{Group, Sensitivity};
use async_trait::async_trait;
use aws_sdk_lambda::operation::list_event_source_mappings::ListEventSourceMappingsOutput;
use futures_util::FutureExt;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

pub struct EventSourceMappings;

const LIST: Call = Call::read(Service::Lambda, "ListEventSourceMappings", "lambda:ListEventSourceMappings", Scope::Any);
const GET: Call = Call::read(Service::Lambda, "GetEventSourceMapping", "lambda:GetEventSourceMapping", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "event-source-mappings",
    title: "Event source mappings",
    answers: "Which queues and streams feed the function, and is one of them not ours?",
    group: Group::Triggers,
    volatility: Volatility::V2,
    calls: &[LIST, GET],
    params: &[],
};

#[async_trait]
impl Collector for EventSourceMappings {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        // A mapping may be listed under more than one name; it is read once.
        let found = Mutex::new(BTreeSet::new());
        let arn = cx.target().arn();
        tokio::try_join!(
            list(cx, &found, "the function".into(), cx.target().function.clone()),
            of_aliases(cx, &found, &arn),
            of_versions(cx, &found, &arn)
        )?;
        let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        at_once(found.into_iter().map(|uuid| read(cx, uuid).boxed())).await
    }
}

async fn of_aliases(cx: &CollectCx<'_>, found: &Mutex<BTreeSet<String>>, arn: &str) -> Result<(), Abort> {
    match cx.aliases().await? {
        Ok(aliases) => {
            at_once(aliases.entries.iter().map(|a| list(cx, found, format!("alias {}", a.name), format!("{arn}:{}", a.name)).boxed()))
                .await?;
            cx.gap_of_rest(&aliases, "event source mappings of further aliases")
        }
        Err(fault) => cx.gap_from_lookup(&ALIASES, &fault, "event source mappings of the aliases").map(drop),
    }
}

async fn of_versions(cx: &CollectCx<'_>, found: &Mutex<BTreeSet<String>>, arn: &str) -> Result<(), Abort> {
    match cx.versions().await? {
        Ok(versions) => {
            at_once(
                versions.published().map(|v| list(cx, found, format!("version {}", v.version), format!("{arn}:{}", v.version)).boxed()),
            )
            .await?;
            cx.gap_of_rest(&versions, "event source mappings of further versions")
        }
        Err(fault) => cx.gap_from_lookup(&VERSIONS, &fault, "event source mappings of the published versions").map(drop),
    }
}

async fn list(cx: &CollectCx<'_>, found: &Mutex<BTreeSet<String>>, whose: String, name: String) -> Result<(), Abort> {
    let call = || cx.aws().lambda().list_event_source_mappings().function_name(&name);
    cx.ask_pages(
        Question::new(&LIST, format!("event source mappings of {whose}")),
        Bound::default(),
        |marker| call().set_marker(marker).send(),
        |out: &ListEventSourceMappingsOutput| out.next_marker().map(str::to_string),
        |out| {
            let uuids = out.event_source_mappings().iter().filter_map(|m| m.uuid().map(str::to_string));
            found.lock().unwrap_or_else(PoisonError::into_inner).extend(uuids);
            out.event_source_mappings().len()
        },
    )
    .await?;
    Ok(())
}

async fn read(cx: &CollectCx<'_>, uuid: String) -> Result<(), Abort> {
    // Filter patterns may hold business data.
    let question = Question::new(&GET, format!("event source mapping {uuid}")).sensitivity(Sensitivity::S2);
    cx.ask(question, cx.aws().lambda().get_event_source_mapping().uuid(uuid).send()).await?;
    Ok(())
}
