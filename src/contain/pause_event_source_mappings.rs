//! Event source mappings switched off, one by one (`containment.md` C4). The poller stops and remembers where it was, so nothing is lost but
//! by the source's own retention. Gentler on queues than zero concurrency, which lets messages be received, refused and counted.
//!
//! What it never does: delete a mapping, or change anything of it but *enabled*.

use super::qualifiers::{self, Pages};
use super::{ActCx, ActError, Action, ActionSpec, AwsCli, Bearing, Cell, ContainPermit, Reading};
use crate::aws::fault::tame;
use crate::model::call::{Call, Scope, Service};
use crate::model::id::CellId;
use crate::model::restorable::Restorable;
use crate::model::target::Target;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub struct PauseEventSourceMappings;

static SPEC: ActionSpec = ActionSpec {
    id: "pause-event-source-mappings",
    title: "Pause the event source mappings",
    stops: "what queues and streams feed to the function; the poller later resumes from the same place",
    does_not_stop: "the batch that is being worked on, every other caller of the function, somebody who switches a mapping on again",
    side_effects: "queues and streams fill up, and what their retention ends before the restore is lost; takes tens of seconds for each mapping",
    restore: "mappings that were on are switched on again, after every deny is lifted; those that were off stay off",
    calls: &[qualifiers::LIST_ALIASES, qualifiers::LIST_VERSIONS, LIST, GET, UPDATE],
    params: &[qualifiers::only("the UUID of one mapping to pause alone; none means every mapping of the function")],
    // Last of all, even after the denies: a function that is fed while its role is still denied fails on each message, and the queue counts
    // that against it until the message goes to the dead-letter queue.
    restore_rank: 4,
    bearing: Bearing::Polls,
};

const LIST: Call = Call::read(Service::Lambda, "ListEventSourceMappings", "lambda:ListEventSourceMappings", Scope::Any);
const GET: Call = Call::read(Service::Lambda, "GetEventSourceMapping", "lambda:GetEventSourceMapping", Scope::Any);
const UPDATE: Call = Call::write(Service::Lambda, "UpdateEventSourceMapping", "lambda:UpdateEventSourceMapping", Scope::Any);

/// Whether it is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Enabled(bool);

/// Mappings of the function under one name: UUID → facts.
async fn mappings_of(cx: &ActCx<'_>, name: &str, found: &mut BTreeMap<String, Value>) -> Result<(), ActError> {
    let mut pages = Pages::of(format!("the event source mappings of {name}"));
    loop {
        let call = cx.aws().lambda().list_event_source_mappings().function_name(name).set_marker(pages.marker()).send();
        let page = cx.call(&LIST, &format!("listing {}", pages.what()), call).await?;
        for mapping in page.event_source_mappings() {
            let uuid = mapping.uuid().filter(|u| is_uuid(u));
            let uuid = uuid.ok_or_else(|| ActError::Refused(format!("AWS stated a mapping of {name} without a UUID")))?;
            let source = mapping.event_source_arn().map(|a| tame(a, 300));
            found.insert(uuid.to_string(), json!({"source": source, "function": mapping.function_arn().map(|a| tame(a, 300))}));
        }
        if !pages.more(page.next_marker())? {
            return Ok(());
        }
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

fn place(cell: &CellId) -> Result<&str, ActError> {
    Some(cell.key()).filter(|k| is_uuid(k)).ok_or_else(|| ActError::Refused(format!("{} names no mapping", tame(&cell.0, 200))))
}

#[async_trait]
impl Action for PauseEventSourceMappings {
    type State = Enabled;

    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn cells(&self, cx: &ActCx<'_>) -> Result<Vec<Cell>, ActError> {
        let target = cx.target();
        // A mapping belongs to the exact ARN that it was made for, and may be listed under more than one name.
        let mut names = vec![target.function.clone()];
        names.extend(qualifiers::aliases(cx).await?.into_iter().map(|a| format!("{}:{a}", target.arn())));
        let versions = qualifiers::versions(cx).await?.into_iter().filter(|v| v.name != qualifiers::LATEST);
        names.extend(versions.map(|v| format!("{}:{}", target.arn(), v.name)));
        let mut found = BTreeMap::new();
        for name in names {
            mappings_of(cx, &name, &mut found).await?;
        }
        if found.is_empty() {
            cx.remark(format!("{} has no event source mapping", target.function));
            return Ok(vec![]);
        }
        let chosen = qualifiers::chosen(cx, found.into_iter().collect(), "mapping", |(uuid, _)| uuid)?;
        let cell = |(uuid, facts): (String, Value)| {
            let source = facts.get("source").and_then(Value::as_str).unwrap_or("a source of its own").to_string();
            Cell { id: CellId::new(SPEC.id, &uuid), label: format!("event source mapping {uuid} from {source}"), facts }
        };
        Ok(chosen.into_iter().map(cell).collect())
    }

    async fn read(&self, cx: &ActCx<'_>, cell: &CellId) -> Result<Reading<Enabled>, ActError> {
        let uuid = place(cell)?;
        let call = cx.aws().lambda().get_event_source_mapping().uuid(uuid).send();
        let mapping = cx.call(&GET, &format!("reading the event source mapping {uuid}"), call).await?;
        let arn = cx.target().arn();
        // It may have been pointed at another function meanwhile, and is then nothing of ours.
        let rest = mapping.function_arn().and_then(|a| a.strip_prefix(arn.as_str()));
        if !rest.is_some_and(|r| r.is_empty() || r.starts_with(':')) {
            let feeds = tame(mapping.function_arn().unwrap_or("nothing"), 200);
            return Err(ActError::Refused(format!("the event source mapping {uuid} feeds {feeds}, not {}", cx.target().function)));
        }
        match mapping.state().unwrap_or_default() {
            "Enabled" => Ok(Reading::Settled(Enabled(true))),
            "Disabled" => Ok(Reading::Settled(Enabled(false))),
            "Creating" | "Enabling" | "Disabling" | "Updating" => Ok(Reading::Moving),
            other => Err(ActError::Refused(format!("the event source mapping {uuid} is in the state `{}`", tame(other, 40)))),
        }
    }

    fn contained(&self, _: &Cell, _: &Enabled) -> Result<Enabled, ActError> {
        Ok(Enabled(false))
    }

    fn restorable(&self, _: &Enabled) -> Restorable {
        Restorable::Exactly
    }

    async fn set(&self, cx: &ActCx<'_>, cell: &CellId, to: &Enabled, _: &ContainPermit) -> Result<(), ActError> {
        let uuid = place(cell)?;
        // Members that are left out stay as they are.
        let call = cx.aws().lambda().update_event_source_mapping().uuid(uuid).enabled(to.0).send();
        let doing = if to.0 { "switching on" } else { "switching off" };
        cx.call(&UPDATE, &format!("{doing} the event source mapping {uuid}"), call).await.map(drop)
    }

    fn by_hand(&self, _: &Target, cell: &CellId, before: &Enabled) -> Result<Vec<AwsCli>, ActError> {
        let update = AwsCli::new("lambda", "update-event-source-mapping", [("--uuid", place(cell)?)]);
        Ok(vec![update.flag(if before.0 { "--enabled" } else { "--no-enabled" })])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_uuid_names_a_mapping() {
        let place = |key: &str| place(&CellId::new(SPEC.id, key)).is_ok();
        assert!(place("0f1e2d3c-0000-4000-8000-0123456789ab"));
        for bad in ["", "x", "0f1e2d3c-0000-4000-8000-0123456789a/", "0f1e2d3c-0000-4000-8000-0123456789abc"] {
            assert!(!place(bad), "{bad}");
        }
    }
}
