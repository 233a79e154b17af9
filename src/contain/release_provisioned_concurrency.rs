//! Provisioned concurrency given back (`containment.md` C15): the environments that are kept warm end, and with them whatever an attacker
//! left in their memory. Of use where it stands in the way of zero concurrency, or where warm environments are the trouble.
//!
//! What it never does: touch the scaling targets of Application Auto Scaling, which may set it again; the words below say so.

use super::qualifiers::{self, Pages};
use super::{ActCx, ActError, Action, ActionSpec, AwsCli, Bearing, Cell, ContainPermit, Reading};
use crate::aws::fault::tame;
use crate::model::call::{Call, Scope, Service};
use crate::model::id::CellId;
use crate::model::restorable::Restorable;
use crate::model::target::Target;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::json;

pub struct ReleaseProvisionedConcurrency;

static SPEC: ActionSpec = ActionSpec {
    id: "release-provisioned-concurrency",
    title: "Give back the provisioned concurrency",
    stops: "the environments that are kept warm for an alias or a version, and what was left in their memory",
    does_not_stop: "invocations, which then start cold; those that already run; scheduled or target-tracking scaling that sets it again",
    side_effects: "the memory of those environments is gone for good, so collect first; where invocations go on, they are slower; Application \
                   Auto Scaling or a deployment that manages the setting may put it back",
    restore: "the former number is requested again, after reserved concurrency is; AWS takes minutes to have the environments ready, and \
              needs room in the account's pool",
    calls: &[LIST, GET, PUT, DELETE],
    params: &[qualifiers::only("the alias or version to release alone; none means each that has provisioned concurrency")],
    // After reserved concurrency (rank 0), which must not be below it.
    restore_rank: 1,
    bearing: Bearing::Neither,
};

const LIST: Call =
    Call::read(Service::Lambda, "ListProvisionedConcurrencyConfigs", "lambda:ListProvisionedConcurrencyConfigs", Scope::Function);
const GET: Call = Call::read(Service::Lambda, "GetProvisionedConcurrencyConfig", "lambda:GetProvisionedConcurrencyConfig", Scope::Function);
const PUT: Call =
    Call::write(Service::Lambda, "PutProvisionedConcurrencyConfig", "lambda:PutProvisionedConcurrencyConfig", Scope::Function);
const DELETE: Call =
    Call::write(Service::Lambda, "DeleteProvisionedConcurrencyConfig", "lambda:DeleteProvisionedConcurrencyConfig", Scope::Function);

/// AWS's word for *this alias has none*; the function or alias itself that is missing has another.
const NONE_SET: &str = "ProvisionedConcurrencyConfigNotFoundException";

/// What was requested. How much of it is ready is no setting: it follows in minutes, or not at all where the pool is short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Provisioned(Option<u32>);

fn none_is_set(error: &ActError) -> bool {
    matches!(error, ActError::Call { source, .. } if source.code.as_deref() == Some(NONE_SET))
}

fn place<'c>(function: &str, cell: &'c CellId) -> Result<&'c str, ActError> {
    let none = || ActError::Refused(format!("{cell} names no alias or version"));
    qualifiers::qualifier(function, cell, cell.key())?.ok_or_else(none)
}

#[async_trait]
impl Action for ReleaseProvisionedConcurrency {
    type State = Provisioned;

    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn cells(&self, cx: &ActCx<'_>) -> Result<Vec<Cell>, ActError> {
        let target = cx.target();
        let mut pages = Pages::of(format!("the provisioned concurrency of {}", target.function));
        let mut found: Vec<String> = vec![];
        loop {
            let call = cx.aws().lambda().list_provisioned_concurrency_configs().function_name(&target.function);
            let page = cx.call(&LIST, &format!("listing {}", pages.what()), call.set_marker(pages.marker()).send()).await?;
            for config in page.provisioned_concurrency_configs() {
                let arn = config.function_arn().unwrap_or_default();
                let qualifier = arn.strip_prefix(target.arn().as_str()).and_then(|rest| rest.strip_prefix(':')).unwrap_or_default();
                let id = CellId::new(SPEC.id, &qualifiers::key(&target.function, Some(qualifier)));
                if place(&target.function, &id).is_err() {
                    return Err(ActError::Refused(format!("AWS stated provisioned concurrency of `{}`", tame(arn, 200))));
                }
                found.push(qualifier.to_string());
            }
            if !pages.more(page.next_marker())? {
                break;
            }
        }
        // What was given back already is in no list any more, and is held all the same.
        for id in cx.held() {
            if let Ok(qualifier) = place(&target.function, id)
                && !found.iter().any(|f| f == qualifier)
            {
                found.push(qualifier.to_string());
            }
        }
        if found.is_empty() {
            cx.remark(format!("{} has no provisioned concurrency", target.function));
            return Ok(vec![]);
        }
        let chosen = qualifiers::chosen(cx, found, "provisioned concurrency of", |q| q)?;
        let cell = |qualifier: String| {
            let key = qualifiers::key(&target.function, Some(&qualifier));
            Cell { id: CellId::new(SPEC.id, &key), label: format!("provisioned concurrency of {key}"), facts: json!({}) }
        };
        Ok(chosen.into_iter().map(cell).collect())
    }

    async fn read(&self, cx: &ActCx<'_>, cell: &CellId) -> Result<Reading<Provisioned>, ActError> {
        let function = &cx.target().function;
        let qualifier = place(function, cell)?;
        let call = cx.aws().lambda().get_provisioned_concurrency_config().function_name(function).qualifier(qualifier).send();
        let answer = match cx.call(&GET, &format!("reading the provisioned concurrency of {}", cell.key()), call).await {
            Err(e) if none_is_set(&e) => return Ok(Reading::Settled(Provisioned(None))),
            answer => answer?,
        };
        match answer.requested_provisioned_concurrent_executions().map(u32::try_from) {
            Some(Ok(requested)) => Ok(Reading::Settled(Provisioned(Some(requested)))),
            _ => Err(ActError::Refused(format!("AWS stated no number of environments for {}", cell.key()))),
        }
    }

    fn contained(&self, _: &Cell, _: &Provisioned) -> Result<Provisioned, ActError> {
        Ok(Provisioned(None))
    }

    fn restorable(&self, _: &Provisioned) -> Restorable {
        Restorable::Exactly
    }

    async fn set(&self, cx: &ActCx<'_>, cell: &CellId, to: &Provisioned, _: &ContainPermit) -> Result<(), ActError> {
        let function = &cx.target().function;
        let qualifier = place(function, cell)?;
        match to.0 {
            Some(number) => {
                let wanted = i32::try_from(number)
                    .map_err(|_| ActError::State { cell: cell.to_string(), why: format!("{number} is no possible number") })?;
                let call = cx.aws().lambda().put_provisioned_concurrency_config().function_name(function).qualifier(qualifier);
                let call = call.provisioned_concurrent_executions(wanted).send();
                cx.call(&PUT, &format!("requesting {number} provisioned environments for {}", cell.key()), call).await.map(drop)
            }
            None => {
                let call = cx.aws().lambda().delete_provisioned_concurrency_config().function_name(function).qualifier(qualifier).send();
                match cx.call(&DELETE, &format!("releasing the provisioned concurrency of {}", cell.key()), call).await {
                    Err(e) if !none_is_set(&e) => Err(e),
                    _ => Ok(()),
                }
            }
        }
    }

    fn by_hand(&self, target: &Target, cell: &CellId, before: &Provisioned) -> Result<Vec<AwsCli>, ActError> {
        let names = [("--function-name", target.function.as_str()), ("--qualifier", place(&target.function, cell)?)];
        Ok(vec![match before.0 {
            Some(number) => {
                let number = number.to_string();
                let options = names.into_iter().chain([("--provisioned-concurrent-executions", number.as_str())]);
                AwsCli::new("lambda", "put-provisioned-concurrency-config", options)
            }
            None => AwsCli::new("lambda", "delete-provisioned-concurrency-config", names).if_found(
                "lambda",
                "get-provisioned-concurrency-config",
                names,
            ),
        }])
    }
}
