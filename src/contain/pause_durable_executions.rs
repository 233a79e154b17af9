//! Durable executions of the function, paused one by one (`containment.md` C14): while paused, Lambda does not invoke the function for them;
//! what they wait for completes all the same, and they go on from their last checkpoint when resumed.
//!
//! DOUBT(aws): what zero concurrency does to a running execution is written nowhere; at worst its next invocation fails and the execution with
//! it, for good. Pause first. What it never does: stop or delete an
//! execution, which nothing brings back; the fence refuses both. Resuming is done for those alone that were paused here.

use super::{ActCx, ActError, Action, ActionSpec, AwsCli, Bearing, Cell, ContainPermit, Reading};
use crate::aws::fault::tame;
use crate::aws::raw::RawCall;
use crate::model::call::{Call, Scope, Service};
use crate::model::id::CellId;
use crate::model::restorable::Restorable;
use crate::model::target::Target;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub struct PauseDurableExecutions;

static SPEC: ActionSpec = ActionSpec {
    id: "pause-durable-executions",
    title: "Pause the durable executions that are running",
    stops: "further invocations for each durable execution that runs or waits now, of every version of the function",
    does_not_stop: "an invocation in progress until its next checkpoint, executions that begin later (freeze the function as well), waits and \
                    callbacks, which complete and are kept",
    side_effects: "each execution's history tells of the pause; its deadline moves by as long as the pause lasts, to 366 days after its start at \
                   most; a step that was interrupted may run twice",
    restore: "those that were paused here are resumed, each once; those that came to their end meanwhile are left",
    calls: &[LIST, GET, PAUSE, RESUME],
    params: &[],
    restore_rank: 4,
    // Whether Lambda judges its own invocations for an execution is written nowhere; one that fails is lost for good, one that waits is not.
    bearing: Bearing::Pushes,
};

const LIST: Call =
    Call::read(Service::Lambda, "ListDurableExecutionsByFunction", "lambda:ListDurableExecutionsByFunction", Scope::Function);
const GET: Call = Call::read(Service::Lambda, "GetDurableExecution", "lambda:GetDurableExecution", Scope::Function);
// Newer than the SDK (aws-sdk-lambda 1.156): botocore 1.44.5 has both.
const PAUSE: Call = Call::write(Service::Lambda, "PauseDurableExecution", "lambda:PauseDurableExecution", Scope::Function);
const RESUME: Call = Call::write(Service::Lambda, "ResumeDurableExecution", "lambda:ResumeDurableExecution", Scope::Function);

const VERSION: &str = "2025-12-01";

/// Whether Lambda goes on invoking the function for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Execution {
    Running,
    /// Or about to be: an invocation in progress runs to its next checkpoint, and nobody can hurry it.
    Paused,
}

/// The execution's ARN, of the target's own function. The id comes from a journal.
fn place<'c>(target: &Target, cell: &'c CellId) -> Result<&'c str, ActError> {
    let own = format!("{}:", target.arn());
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-$.".contains(&b));
    let parts: Option<Vec<&str>> = cell.key().strip_prefix(&own).map(|rest| rest.split('/').collect());
    match parts.as_deref() {
        Some([version, "durable-execution", name, id]) if [version, name, id].iter().all(|p| plain(p)) => Ok(cell.key()),
        _ => Err(ActError::Refused(format!("{} names no durable execution of {}", tame(&cell.0, 300), target.function))),
    }
}

#[async_trait]
impl Action for PauseDurableExecutions {
    type State = Execution;

    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn cells(&self, cx: &ActCx<'_>) -> Result<Vec<Cell>, ActError> {
        let function = &cx.target().function;
        let page = |marker: Option<&str>| {
            // No qualifier: of every version. Those that are paused already count as held.
            let statuses = ["RUNNING", "PAUSING", "PAUSED"].map(|s| ("Statuses", s));
            let query: Vec<_> = statuses.into_iter().chain([("MaxItems", "1000")]).chain(marker.map(|m| ("Marker", m))).collect();
            let path = [VERSION, "functions", function, "durable-executions"];
            RawCall::rest(Service::Lambda, "ListDurableExecutionsByFunction", "GET", &path, &query, None)
        };
        let doing = format!("listing the durable executions of {function}");
        let mut cells = vec![];
        for execution in cx.ask_all(&LIST, &doing, ("DurableExecutions", "NextMarker"), page).await? {
            let arn = execution["DurableExecutionArn"].as_str().unwrap_or_default();
            let name = tame(execution["DurableExecutionName"].as_str().unwrap_or("-"), 100);
            let status = tame(execution["Status"].as_str().unwrap_or("-"), 40);
            let cell = Cell {
                id: CellId::new(SPEC.id, arn),
                label: format!("the durable execution {name}"),
                facts: json!({"status": status, "started": execution["StartTimestamp"]}),
            };
            place(cx.target(), &cell.id)?;
            cells.push(cell);
        }
        Ok(cells)
    }

    async fn read(&self, cx: &ActCx<'_>, cell: &CellId) -> Result<Reading<Execution>, ActError> {
        let arn = place(cx.target(), cell)?;
        // Input and result are evidence for a collector, and nothing to this question.
        let query = [("IncludeExecutionData", "false")];
        let raw = RawCall::rest(Service::Lambda, "GetDurableExecution", "GET", &[VERSION, "durable-executions", arn], &query, None);
        let told = match cx.ask(&GET, &format!("reading the durable execution {arn}"), raw).await {
            // Its history was kept for as long as it was to be kept.
            Err(e) if e.is_absent() => return Ok(Reading::Over),
            told => told?,
        };
        Ok(match told["Status"].as_str() {
            Some("RUNNING") => Reading::Settled(Execution::Running),
            Some("PAUSING" | "PAUSED") => Reading::Settled(Execution::Paused),
            Some("SUCCEEDED" | "FAILED" | "TIMED_OUT" | "STOPPED" | "DELETING") => Reading::Over,
            other => {
                return Err(ActError::Refused(format!(
                    "AWS stated a status of a durable execution that this program does not know: {}",
                    tame(other.unwrap_or("none"), 40)
                )));
            }
        })
    }

    fn contained(&self, _: &Cell, _: &Execution) -> Result<Execution, ActError> {
        Ok(Execution::Paused)
    }

    fn restorable(&self, _: &Execution) -> Restorable {
        Restorable::Exactly
    }

    async fn set(&self, cx: &ActCx<'_>, cell: &CellId, to: &Execution, _: &ContainPermit) -> Result<(), ActError> {
        let arn = place(cx.target(), cell)?;
        let (call, verb, path) = match to {
            Execution::Paused => (&PAUSE, "pausing", "pause"),
            Execution::Running => (&RESUME, "resuming", "resume"),
        };
        // Within fifteen minutes Lambda takes a second request under one token as done: the token is this run's, so that a pause after a resume
        // is another pause.
        let mut body = json!({"ClientToken": cx.token(cell, call.operation)});
        if *to == Execution::Paused {
            body["Reason"] = "freezeframe containment".into();
            // Else executions would time out while they are held, and a timed-out one is over.
            body["ExecutionTimeoutPaused"] = true.into();
        }
        let raw = RawCall::rest(call.service, call.operation, "POST", &[VERSION, "durable-executions", arn, path], &[], Some(&body));
        cx.ask(call, &format!("{verb} the durable execution {arn}"), raw).await.map(drop)
    }

    fn by_hand(&self, target: &Target, cell: &CellId, before: &Execution) -> Result<Vec<AwsCli>, ActError> {
        let arn = [("--durable-execution-arn", place(target, cell)?)];
        Ok(match before {
            // Resuming what runs or has ended is an error to Lambda.
            Execution::Running => vec![AwsCli::new("lambda", "resume-durable-execution", arn).only_when(
                "lambda",
                "get-durable-execution",
                arn,
                "Status",
                &["PAUSED", "PAUSING"],
            )],
            Execution::Paused => vec![],
        })
    }

    fn shown(&self, state: &Execution) -> Value {
        match state {
            Execution::Running => "running".into(),
            Execution::Paused => "paused".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_cannot_name_another_functions_execution() {
        let target = Target {
            partition: "aws".into(),
            account: "123456789012".into(),
            region: "eu-west-1".into(),
            function: "pay".into(),
            qualifier: None,
        };
        let of =
            |rest: &str| place(&target, &CellId::new(SPEC.id, &format!("arn:aws:lambda:eu-west-1:123456789012:function:{rest}"))).is_ok();
        assert!(of("pay:$LATEST/durable-execution/order-7/0f-1_a") && of("pay:12/durable-execution/n/i"));
        for bad in [
            "pays:1/durable-execution/n/i",
            "pay/durable-execution/n/i",
            "pay:1/durable-execution/n",
            "pay:1/durable-execution/n/i/stop",
            "pay:1/x/n/i",
            "pay:1/durable-execution/../i?",
        ] {
            assert!(!of(bad), "{bad}");
        }
    }
}
