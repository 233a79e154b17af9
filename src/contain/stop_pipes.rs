//! Pipes that call the function, stopped one by one (`containment.md` C17). A pipe polls its source, and where it stopped it goes on: nothing
//! is lost within the source's retention.
//!
//! What it never touches: a pipe that is neither running nor stopped, which no write brings back to where it was; without a word, one to which
//! the function only adds (an enrichment), because its target is somebody else.

use super::sources::{self, ACCEPT_SHARED};
use super::{ActCx, ActError, Action, ActionSpec, AwsCli, Bearing, Cell, ContainPermit, Reading};
use crate::aws::fault::tame;
use crate::aws::raw::RawCall;
use crate::model::call::{Call, Scope, Service};
use crate::model::id::CellId;
use crate::model::restorable::Restorable;
use crate::model::target::Target;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub struct StopPipes;

static SPEC: ActionSpec = ActionSpec {
    id: "stop-pipes",
    title: "Stop the pipes that call the function",
    stops: "pipes whose target or enrichment is the function, in this account and Region",
    does_not_stop: "a batch that the pipe has handed over already, other pipes from the same source",
    side_effects: "the source keeps what arrives and its retention keeps ticking: what expires before the pipe is started again is lost; what \
                   follows a pipe that the function only enriches gets nothing meanwhile",
    restore: "each pipe is started again and goes on where it stopped",
    calls: &[LIST, DESCRIBE, STOP, START],
    params: &[ACCEPT_SHARED],
    restore_rank: 4,
    bearing: Bearing::Pushes,
};

const LIST: Call = Call::read(Service::Pipes, "ListPipes", "pipes:ListPipes", Scope::Any);
const DESCRIBE: Call = Call::read(Service::Pipes, "DescribePipe", "pipes:DescribePipe", Scope::Any);
const STOP: Call = Call::write(Service::Pipes, "StopPipe", "pipes:StopPipe", Scope::Any);
const START: Call = Call::write(Service::Pipes, "StartPipe", "pipes:StartPipe", Scope::Any);

const RUNNING: &str = "RUNNING";
const STOPPED: &str = "STOPPED";

/// The pipe's current state, in its own words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PipeState(String);

fn place(cell: &CellId) -> Result<&str, ActError> {
    Some(cell.key()).filter(|n| sources::plain(n, false)).ok_or_else(|| ActError::Refused(format!("{} names no pipe", tame(&cell.0, 200))))
}

fn raw(call: &Call, method: &'static str, segments: &[&str]) -> RawCall {
    let path: Vec<&str> = ["v1", "pipes"].iter().chain(segments).copied().collect();
    RawCall::rest(call.service, call.operation, method, &path, &[], None)
}

#[async_trait]
impl Action for StopPipes {
    type State = PipeState;

    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn cells(&self, cx: &ActCx<'_>) -> Result<Vec<Cell>, ActError> {
        let page = |token: Option<&str>| {
            let query: Vec<_> = token.map(|t| ("NextToken", t)).into_iter().collect();
            RawCall::rest(Service::Pipes, "ListPipes", "GET", &["v1", "pipes"], &query, None)
        };
        let mut cells = vec![];
        for pipe in cx.ask_all(&LIST, "listing the pipes of the Region", ("Pipes", "NextToken"), page).await? {
            let calls = |member: &str| pipe[member].as_str().is_some_and(|arn| sources::is_ours(cx.target(), arn));
            let (target, enriches) = (calls("Target"), calls("Enrichment"));
            if !target && !enriches {
                continue;
            }
            let name = pipe["Name"].as_str().unwrap_or_default();
            if !sources::plain(name, false) {
                return Err(sources::no_name("a pipe", name));
            }
            let others = if target { vec![] } else { vec![tame(pipe["Target"].as_str().unwrap_or("its target"), 300)] };
            cells.push(Cell { id: CellId::new(SPEC.id, name), label: format!("the pipe {name}"), facts: sources::facts(cx, Ok(others)) });
        }
        Ok(cells)
    }

    async fn read(&self, cx: &ActCx<'_>, cell: &CellId) -> Result<Reading<PipeState>, ActError> {
        let name = place(cell)?;
        let told = cx.ask(&DESCRIBE, &format!("reading the pipe {name}"), raw(&DESCRIBE, "GET", &[name])).await?;
        Ok(match told["CurrentState"].as_str() {
            Some("CREATING" | "UPDATING" | "DELETING" | "STARTING" | "STOPPING") => Reading::Moving,
            Some(state) => Reading::Settled(PipeState(tame(state, 40))),
            None => return Err(ActError::Refused(format!("AWS stated no state of the pipe {name}"))),
        })
    }

    fn contained(&self, cell: &Cell, before: &PipeState) -> Result<PipeState, ActError> {
        match before.0.as_str() {
            STOPPED => Ok(before.clone()),
            RUNNING => sources::may_stop(cell).map(|()| PipeState(STOPPED.into())),
            other => Err(ActError::Refused(format!("{} is {other}, a state that could not be brought back: stop it by hand", cell.label))),
        }
    }

    fn restorable(&self, _: &PipeState) -> Restorable {
        Restorable::Exactly
    }

    async fn set(&self, cx: &ActCx<'_>, cell: &CellId, to: &PipeState, _: &ContainPermit) -> Result<(), ActError> {
        let name = place(cell)?;
        let (call, verb, path) = match to.0.as_str() {
            STOPPED => (&STOP, "stopping", "stop"),
            RUNNING => (&START, "starting", "start"),
            other => return Err(ActError::State { cell: cell.to_string(), why: format!("no pipe can be set to {other}") }),
        };
        cx.ask(call, &format!("{verb} the pipe {name}"), raw(call, "POST", &[name, path])).await.map(drop)
    }

    fn by_hand(&self, _: &Target, cell: &CellId, before: &PipeState) -> Result<Vec<AwsCli>, ActError> {
        let name = [("--name", place(cell)?)];
        Ok(match before.0.as_str() {
            RUNNING => vec![AwsCli::new("pipes", "start-pipe", name).only_when("pipes", "describe-pipe", name, "CurrentState", &[STOPPED])],
            _ => vec![],
        })
    }

    fn shown(&self, state: &PipeState) -> Value {
        state.0.clone().into()
    }
}
