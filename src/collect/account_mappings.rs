//! Event source mappings of the whole account and Region. Whoever points a mapping at another function makes it vanish from this function's
//! own list; among all mappings it still shows, with its source. A table beside the list says which mappings share a source.

use super::qualified::is_ours;
use super::{Abort, Bound, CollectCx, Collector, CollectorSpec, Question, Volatility};
use crate::model::call::{Call, Scope, Service};
use crate::model::canon;
use crate::model::item::{Group, Sensitivity};
use async_trait::async_trait;
use aws_sdk_lambda::operation::list_event_source_mappings::ListEventSourceMappingsOutput;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub struct AccountMappings;

const LIST: Call = Call::read(Service::Lambda, "ListEventSourceMappings", "lambda:ListEventSourceMappings", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "account-mappings",
    title: "Event source mappings of the account",
    answers: "Which functions drain which queues and streams, and does another one now drain a source of this one?",
    group: Group::Triggers,
    volatility: Volatility::V2,
    calls: &[LIST],
    params: &[],
};

#[async_trait]
impl Collector for AccountMappings {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        let mut by_source: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        let call = || cx.aws().lambda().list_event_source_mappings();
        let pages = cx
            .ask_all(
                // Filter patterns may hold business data.
                Question::new(&LIST, "event source mappings of the account in this Region").sensitivity(Sensitivity::S2),
                Bound::default(),
                |marker| call().set_marker(marker).send(),
                |out: &ListEventSourceMappingsOutput| out.next_marker().map(str::to_string),
                |out| {
                    for m in out.event_source_mappings() {
                        let function = m.function_arn().unwrap_or_default();
                        let entry = json!({"uuid": m.uuid(), "function": function, "state": m.state(), "ours": is_ours(cx, function)});
                        by_source.entry(m.event_source_arn().unwrap_or("none named (self-managed)").to_string()).or_default().push(entry);
                    }
                    out.event_source_mappings().len()
                },
            )
            .await?;
        let Ok(bytes) = canon::to_vec("mappings by source", &by_source) else { return Ok(()) };
        if !by_source.is_empty() {
            cx.derive("event source mappings by source", "mappings-by-source", "json", &bytes, vec![pages.item], Sensitivity::S1)?;
        }
        Ok(())
    }
}
