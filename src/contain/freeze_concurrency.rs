//! Zero reserved concurrency: one call stops every new invocation of all versions and aliases together (`containment.md` C1).

use super::{ActCx, ActError, Action, ActionSpec, AwsCli, Bearing, Cell, ContainPermit, Reading};
use crate::model::call::{Call, Scope, Service};
use crate::model::id::CellId;
use crate::model::restorable::Restorable;
use crate::model::target::Target;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::json;

pub struct FreezeConcurrency;

static SPEC: ActionSpec = ActionSpec {
    id: "freeze-concurrency",
    title: "Set reserved concurrency to zero",
    stops: "every new invocation of the function, through all its versions and aliases",
    does_not_stop: "invocations that already run (to their timeout: 15 minutes, up to 90 on Managed Instances), credentials already issued, \
                    copies at CloudFront edges, waits and callbacks of durable executions",
    side_effects: "callers get 429; asynchronous events go to the dead-letter queue or failure destination, or are lost where there is none; \
                   messages of queues gain receive counts and may move to their dead-letter queue",
    restore: "the reservation is set to its former value, or deleted if there was none; a former value can be refused if the account's \
              unreserved pool was meanwhile used up",
    calls: &[GET, PUT, DELETE],
    params: &[],
    restore_rank: 0,
    bearing: Bearing::Disables,
};

const GET: Call = Call::read(Service::Lambda, "GetFunctionConcurrency", "lambda:GetFunctionConcurrency", Scope::Function);
const PUT: Call = Call::write(Service::Lambda, "PutFunctionConcurrency", "lambda:PutFunctionConcurrency", Scope::Function);
const DELETE: Call = Call::write(Service::Lambda, "DeleteFunctionConcurrency", "lambda:DeleteFunctionConcurrency", Scope::Function);

/// `None` is *no reservation*, which is not a reservation of zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Reserved(Option<u32>);

#[async_trait]
impl Action for FreezeConcurrency {
    type State = Reserved;

    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn cells(&self, cx: &ActCx<'_>) -> Result<Vec<Cell>, ActError> {
        let function = &cx.target().function;
        Ok(vec![Cell { id: CellId::new(SPEC.id, function), label: format!("reserved concurrency of {function}"), facts: json!({}) }])
    }

    async fn read(&self, cx: &ActCx<'_>, cell: &CellId) -> Result<Reading<Reserved>, ActError> {
        let call = cx.aws().lambda().get_function_concurrency().function_name(cell.key()).send();
        // A function that is gone is an error here: 404 says nothing about a reservation.
        let answer = cx.call(&GET, &format!("reading the reserved concurrency of {}", cell.key()), call).await?;
        match answer.reserved_concurrent_executions().map(u32::try_from).transpose() {
            Ok(reserved) => Ok(Reading::Settled(Reserved(reserved))),
            Err(_) => Err(ActError::Refused(format!("AWS stated a negative reservation for {}", cell.key()))),
        }
    }

    fn contained(&self, _: &Cell, _: &Reserved) -> Result<Reserved, ActError> {
        Ok(Reserved(Some(0)))
    }

    fn restorable(&self, _: &Reserved) -> Restorable {
        Restorable::Exactly
    }

    async fn set(&self, cx: &ActCx<'_>, cell: &CellId, to: &Reserved, _: &ContainPermit) -> Result<(), ActError> {
        let function = cell.key();
        match to.0 {
            Some(reserved) => {
                let reserved = i32::try_from(reserved)
                    .map_err(|_| ActError::State { cell: cell.to_string(), why: format!("{reserved} is no possible reservation") })?;
                let call = cx.aws().lambda().put_function_concurrency().function_name(function).reserved_concurrent_executions(reserved);
                cx.call(&PUT, &format!("setting the reserved concurrency of {function} to {reserved}"), call.send()).await?;
            }
            None => {
                let call = cx.aws().lambda().delete_function_concurrency().function_name(function);
                cx.call(&DELETE, &format!("deleting the reserved concurrency of {function}"), call.send()).await?;
            }
        }
        Ok(())
    }

    fn by_hand(&self, _: &Target, cell: &CellId, before: &Reserved) -> Result<Vec<AwsCli>, ActError> {
        let function = ("--function-name", cell.key());
        Ok(vec![match before.0 {
            Some(n) => {
                let n = n.to_string();
                AwsCli::new("lambda", "put-function-concurrency", [function, ("--reserved-concurrent-executions", n.as_str())])
            }
            // Deleting what is not there is no error for Lambda.
            None => AwsCli::new("lambda", "delete-function-concurrency", [function]),
        }])
    }
}
