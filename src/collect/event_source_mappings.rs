//! Event source mappings: the pollers that fetch from queues and streams and invoke the function. Listed for the function, for `$LATEST` by that
//! name, every alias and every published version, because a mapping belongs to the exact ARN that it was made for; then each one read, because
//! encrypted filter criteria show only there.

use super::aliases::ALIASES;
use super::cx::at_once;
use super::qualifier::{LATEST, LATEST_PUBLISHED, LATEST_REFUSED, Qualifier, has_published_latest};
use super::versions::VERSIONS;
use super::{Abort, Bound, CollectCx, Collector, CollectorSpec, PagesEnd, Question, Volatility};
use crate::aws::fault::{Fault, FaultClass};
use crate::model::call::{Call, Scope, Service};
use crate::model::gap::GapKind;
use crate::model::item::{Group, Sensitivity};
use async_trait::async_trait;
use aws_sdk_lambda::operation::list_event_source_mappings::ListEventSourceMappingsOutput;
use futures_util::FutureExt;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub struct EventSourceMappings;

const LIST: Call = Call::read(Service::Lambda, "ListEventSourceMappings", "lambda:ListEventSourceMappings", Scope::Any);
const GET: Call = Call::read(Service::Lambda, "GetEventSourceMapping", "lambda:GetEventSourceMapping", Scope::Any);

pub(super) static MAPPINGS: CollectorSpec = CollectorSpec {
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
        &MAPPINGS
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        let found = cx.mappings().await?;
        at_once(found.all.keys().map(|uuid| read(cx, uuid.clone()).boxed())).await
    }
}

/// What the lists say, by UUID. Strings are AWS's own and unchecked.
#[derive(Default)]
pub(super) struct Mappings {
    pub all: BTreeMap<String, MappingFact>,
    /// Why there may be others.
    pub unfinished: Option<(GapKind, String)>,
}

pub(super) struct MappingFact {
    /// ARN of the queue or stream.
    pub source: Option<String>,
    /// Where batches go that failed.
    pub on_failure: Option<String>,
}

impl Mappings {
    fn lack(&mut self, why: Option<(GapKind, String)>) {
        self.unfinished = self.unfinished.take().or(why);
    }
    fn miss(&mut self, fault: &Fault) {
        // No function, no mapping of it.
        self.lack((fault.class != FaultClass::NotFound).then(|| (fault.gap_kind(), fault.to_string())));
    }
}

/// The shared look-up. `cx` must be the context of this unit.
pub(super) async fn ask(cx: &CollectCx<'_>) -> Result<Mappings, Abort> {
    // A mapping may be listed under more than one name; it is one.
    let found = Mutex::default();
    let arn = cx.target().arn();
    tokio::try_join!(
        list(cx, &found, "the function".into(), cx.target().function.clone()),
        list(cx, &found, LATEST.into(), format!("{arn}:{LATEST}")),
        of_aliases(cx, &found, &arn),
        of_versions(cx, &found, &arn)
    )?;
    Ok(found.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn locked(found: &Mutex<Mappings>) -> MutexGuard<'_, Mappings> {
    found.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn of_aliases(cx: &CollectCx<'_>, found: &Mutex<Mappings>, arn: &str) -> Result<(), Abort> {
    match cx.aliases().await? {
        Ok(aliases) => {
            at_once(aliases.entries.iter().map(|a| list(cx, found, format!("alias {}", a.name), format!("{arn}:{}", a.name)).boxed()))
                .await?;
            locked(found).lack(aliases.unfinished.clone());
            cx.gap_of_rest(&aliases, "event source mappings of further aliases")
        }
        Err(fault) => {
            locked(found).miss(&fault);
            cx.gap_from_lookup(&ALIASES, &fault, "event source mappings of the aliases").map(drop)
        }
    }
}

async fn of_versions(cx: &CollectCx<'_>, found: &Mutex<Mappings>, arn: &str) -> Result<(), Abort> {
    match cx.versions().await? {
        Ok(versions) => {
            let published_latest = has_published_latest(&versions).then_some(LATEST_PUBLISHED);
            let names = versions.published().map(|v| v.version.as_str()).chain(published_latest);
            at_once(names.map(|v| list(cx, found, Qualifier::version(v).words, format!("{arn}:{v}")).boxed())).await?;
            locked(found).lack(versions.unfinished.clone());
            cx.gap_of_rest(&versions, "event source mappings of further versions")
        }
        Err(fault) => {
            locked(found).miss(&fault);
            cx.gap_from_lookup(&VERSIONS, &fault, "event source mappings of the published versions").map(drop)
        }
    }
}

async fn list(cx: &CollectCx<'_>, found: &Mutex<Mappings>, whose: String, name: String) -> Result<(), Abort> {
    let call = || cx.aws().lambda().list_event_source_mappings().function_name(&name);
    let refused = if whose == LATEST { LATEST_REFUSED } else { &[] };
    let pages = cx
        .ask_all(
            Question::new(&LIST, format!("event source mappings of {whose}")).not_in_use(refused),
            Bound::default(),
            |marker| call().set_marker(marker).send(),
            |out: &ListEventSourceMappingsOutput| out.next_marker().map(str::to_string),
            |out| {
                let entries = out.event_source_mappings().iter().filter_map(|m| {
                    let on_failure = m.destination_config().and_then(|d| d.on_failure()).and_then(|d| d.destination());
                    let fact = MappingFact { source: m.event_source_arn().map(str::to_string), on_failure: on_failure.map(str::to_string) };
                    Some((m.uuid()?.to_string(), fact))
                });
                locked(found).all.extend(entries);
                out.event_source_mappings().len()
            },
        )
        .await?;
    match pages.end {
        PagesEnd::Complete => {}
        PagesEnd::Stopped(kind, why) => locked(found).lack(Some((kind, why))),
        // An answer: no mapping bears that name.
        PagesEnd::Failed(fault) if refused.iter().any(|(code, _)| fault.code.as_deref() == Some(code)) => {}
        PagesEnd::Failed(fault) => locked(found).miss(&fault),
    }
    Ok(())
}

async fn read(cx: &CollectCx<'_>, uuid: String) -> Result<(), Abort> {
    // Filter patterns may hold business data.
    let question = Question::new(&GET, format!("event source mapping {uuid}")).sensitivity(Sensitivity::S2);
    cx.ask(question, cx.aws().lambda().get_event_source_mapping().uuid(uuid).send()).await?;
    Ok(())
}
