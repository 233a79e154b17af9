//! Scaling 0/0 for each published version on managed instances (`containment.md` C2). Reserved concurrency does not reach those: their
//! environments are kept by a capacity provider, and minimum and maximum of zero are the only way to have none.
//!
//! What it never does: touch the capacity provider, or the instances, which other functions share.

use super::qualifiers::{self, LATEST};
use super::{ActCx, ActError, Action, ActionSpec, AwsCli, Bearing, Cell, ContainPermit, Reading};
use crate::model::call::{Call, Scope, Service};
use crate::model::id::CellId;
use crate::model::restorable::Restorable;
use crate::model::target::Target;
use async_trait::async_trait;
use aws_sdk_lambda::types::FunctionScalingConfig;
use serde::{Deserialize, Serialize};
use serde_json::json;

pub struct ScaleToZero;

static SPEC: ActionSpec = ActionSpec {
    id: "scale-to-zero",
    title: "Scale managed instances of the function to zero",
    stops: "every new invocation of the versions that run on managed instances",
    does_not_stop: "invocations that already run (up to 90 minutes), versions that run on Lambda's own fleet, credentials already issued, \
                    other functions on the same instances",
    side_effects: "environments are drained, and what they held in memory goes with them; callers get errors; events of queues and streams \
                   are retried, asynchronous ones end in the dead-letter queue or failure destination",
    restore: "minimum and maximum are set to their former values, or unset if there were none; environments come back in minutes, not at once",
    calls: &[qualifiers::LIST_VERSIONS, GET, PUT],
    params: &[qualifiers::only("one published version to scale down alone; none means every version on managed instances")],
    // With the other limits on how much may run, before anything that depends on invocations being possible.
    restore_rank: 0,
    bearing: Bearing::Disables,
};

const GET: Call = Call::read(Service::Lambda, "GetFunctionScalingConfig", "lambda:GetFunctionScalingConfig", Scope::Function);
const PUT: Call = Call::write(Service::Lambda, "PutFunctionScalingConfig", "lambda:PutFunctionScalingConfig", Scope::Function);

/// `$LATEST` of a managed function runs as it was last published under this name; no list shows it.
const LATEST_PUBLISHED: &str = "$LATEST.PUBLISHED";

/// Limits on execution environments. A member that AWS does not state is not set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scaling {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    min: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    max: Option<u32>,
}

impl Scaling {
    /// `None` when nothing is set, and for a number that is no possible limit.
    fn config(self) -> Option<FunctionScalingConfig> {
        let number = |n: Option<u32>| n.and_then(|n| i32::try_from(n).ok());
        let config = FunctionScalingConfig::builder().set_min_execution_environments(number(self.min));
        (self != Scaling::default()).then(|| config.set_max_execution_environments(number(self.max)).build())
    }
}

async fn scaling(cx: &ActCx<'_>, version: &str) -> Result<Scaling, ActError> {
    let function = &cx.target().function;
    let call = cx.aws().lambda().get_function_scaling_config().function_name(function).qualifier(version).send();
    let answer = cx.call(&GET, &format!("reading the scaling of {function}:{version}"), call).await?;
    // While a change settles it stands under *requested*; once in effect AWS clears that and states *applied* alone (seen by
    // terraform-provider-aws, function_scaling_config.go). What was asked for is the setting; draining may take 90 minutes.
    let Some(config) = answer.requested_function_scaling_config().or(answer.applied_function_scaling_config()) else {
        return Ok(Scaling::default());
    };
    let number = |n: Option<i32>| n.map(u32::try_from).transpose();
    match (number(config.min_execution_environments()), number(config.max_execution_environments())) {
        (Ok(min), Ok(max)) => Ok(Scaling { min, max }),
        _ => Err(ActError::Refused(format!("AWS stated a negative scaling for {function}:{version}"))),
    }
}

fn place<'c>(function: &str, cell: &'c CellId) -> Result<&'c str, ActError> {
    qualifiers::qualifier(function, cell, cell.key())?.ok_or_else(|| ActError::Refused(format!("{cell} names no version")))
}

#[async_trait]
impl Action for ScaleToZero {
    type State = Scaling;

    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn cells(&self, cx: &ActCx<'_>) -> Result<Vec<Cell>, ActError> {
        let function = &cx.target().function;
        let mut managed = vec![];
        for version in qualifiers::versions(cx).await?.into_iter().filter(|v| v.managed) {
            if version.name != LATEST {
                managed.push(version.name);
                continue;
            }
            match scaling(cx, LATEST_PUBLISHED).await {
                Ok(_) => managed.push(LATEST_PUBLISHED.to_string()),
                // `$LATEST` was never published, so nothing of it runs.
                Err(e) if e.is_absent() => {}
                Err(e) => return Err(e),
            }
        }
        if managed.is_empty() {
            cx.remark(format!("no version of {function} runs on managed instances, so there is no scaling to set"));
            return Ok(vec![]);
        }
        let chosen = qualifiers::chosen(cx, managed, "version on managed instances", |v| v)?;
        let cell = |version: String| Cell {
            id: CellId::new(SPEC.id, &qualifiers::key(function, Some(&version))),
            label: format!("scaling of {function}:{version}"),
            facts: json!({}),
        };
        Ok(chosen.into_iter().map(cell).collect())
    }

    async fn read(&self, cx: &ActCx<'_>, cell: &CellId) -> Result<Reading<Scaling>, ActError> {
        Ok(Reading::Settled(scaling(cx, place(&cx.target().function, cell)?).await?))
    }

    fn contained(&self, _: &Cell, _: &Scaling) -> Result<Scaling, ActError> {
        Ok(Scaling { min: Some(0), max: Some(0) })
    }

    fn restorable(&self, _: &Scaling) -> Restorable {
        Restorable::Exactly
    }

    async fn set(&self, cx: &ActCx<'_>, cell: &CellId, to: &Scaling, _: &ContainPermit) -> Result<(), ActError> {
        let function = &cx.target().function;
        let version = place(function, cell)?;
        // There is no call that deletes it. One without a configuration takes it away (terraform-provider-aws deletes it so).
        // DOUBT(aws): whether a version then reads as one that was never configured; the read back says.
        let call = cx.aws().lambda().put_function_scaling_config().function_name(function).qualifier(version);
        let call = call.set_function_scaling_config(to.config()).send();
        cx.call(&PUT, &format!("setting the scaling of {function}:{version}"), call).await.map(drop)
    }

    fn by_hand(&self, target: &Target, cell: &CellId, before: &Scaling) -> Result<Vec<AwsCli>, ActError> {
        let version = place(&target.function, cell)?;
        let members = [("MinExecutionEnvironments", before.min), ("MaxExecutionEnvironments", before.max)];
        let config: Vec<String> = members.iter().filter_map(|(name, n)| n.map(|n| format!("{name}={n}"))).collect();
        let config = config.join(",");
        let mut options = vec![("--function-name", target.function.as_str()), ("--qualifier", version)];
        options.extend((!config.is_empty()).then_some(("--function-scaling-config", config.as_str())));
        Ok(vec![AwsCli::new("lambda", "put-function-scaling-config", options)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_form_is_a_promise() {
        for (state, text) in [
            (Scaling { min: Some(3), max: Some(40) }, r#"{"min":3,"max":40}"#),
            (Scaling { min: None, max: Some(0) }, r#"{"max":0}"#),
            (Scaling::default(), "{}"),
        ] {
            assert_eq!(serde_json::to_string(&state).unwrap(), text);
            assert_eq!(serde_json::from_str::<Scaling>(text).unwrap(), state);
        }
        assert!(Scaling::default().config().is_none() && Scaling { min: Some(0), max: Some(0) }.config().is_some());
    }
}
