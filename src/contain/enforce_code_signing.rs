//! A code signing configuration on the function (`containment.md` C20): Lambda then takes new code for it only with a signature that the
//! configuration trusts, whoever deploys. It keeps an attacker who may still deploy from putting the back door back.
//!
//! What it never does: make a configuration (whose signatures are trusted is the owner's decision), or judge code that is there.

use super::{ActCx, ActError, Action, ActionSpec, AwsCli, Bearing, Cell, ContainPermit, Reading};
use crate::aws::fault::tame;
use crate::model::call::{Call, Scope, Service};
use crate::model::id::CellId;
use crate::model::params::{Param, ParamKind};
use crate::model::restorable::Restorable;
use crate::model::target::Target;
use async_trait::async_trait;
use aws_sdk_lambda::types::CodeSigningPolicy;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub struct EnforceCodeSigning;

static SPEC: ActionSpec = ActionSpec {
    id: "enforce-code-signing",
    title: "Take only code that is signed",
    stops: "deployments of code without a trusted signature to this function, whoever makes them",
    does_not_stop: "the code that is there, changes of configuration, role, layers' versions in use or environment, whoever may change the \
                    code signing setting itself",
    side_effects: "releases that are not signed by a trusted profile fail, the repair included; functions of container images cannot have it",
    restore: "the former configuration is set again, or none where there was none; late, together with the denies",
    calls: &[GET, GET_CONFIG, PUT, DELETE],
    params: &[Param {
        name: "config",
        kind: ParamKind::ArnOf("lambda"),
        default: "none",
        doc: "the code signing configuration to put on the function; it must enforce, and be of the function's account and Region",
    }],
    // It protects like a deny does, so it ends with the denies.
    restore_rank: 2,
    bearing: Bearing::Neither,
};

const GET: Call = Call::read(Service::Lambda, "GetFunctionCodeSigningConfig", "lambda:GetFunctionCodeSigningConfig", Scope::Function);
const GET_CONFIG: Call = Call::read(Service::Lambda, "GetCodeSigningConfig", "lambda:GetCodeSigningConfig", Scope::Any);
const PUT: Call = Call::write(Service::Lambda, "PutFunctionCodeSigningConfig", "lambda:PutFunctionCodeSigningConfig", Scope::Function);
const DELETE: Call =
    Call::write(Service::Lambda, "DeleteFunctionCodeSigningConfig", "lambda:DeleteFunctionCodeSigningConfig", Scope::Function);

/// The configuration's ARN; `None` when the function takes unsigned code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Signing(Option<String>);

/// Refuses what Lambda would refuse, or would take and not enforce.
async fn enforcing(cx: &ActCx<'_>) -> Result<String, ActError> {
    let target = cx.target();
    let Some(arn) = cx.params().unless_none("config") else {
        return Err(ActError::Refused(format!(
            "no code signing configuration is named; make one that enforces (aws lambda create-code-signing-config) and give its ARN: \
             with: {{ config: arn:{}:lambda:{}:{}:code-signing-config:csc-… }}",
            target.partition, target.region, target.account
        )));
    };
    let place = format!("arn:{}:lambda:{}:{}:code-signing-config:", target.partition, target.region, target.account);
    if !arn.starts_with(&place) {
        let shown = tame(&arn, 200);
        return Err(ActError::Refused(format!("{shown} is no code signing configuration of {} in {}", target.account, target.region)));
    }
    let call = cx.aws().lambda().get_code_signing_config().code_signing_config_arn(&arn).send();
    let answer = cx.call(&GET_CONFIG, &format!("reading the code signing configuration {arn}"), call).await?;
    let policy = answer.code_signing_config().and_then(|c| c.code_signing_policies()).and_then(|p| p.untrusted_artifact_on_deployment());
    if policy != Some(&CodeSigningPolicy::Enforce) {
        return Err(ActError::Refused(format!(
            "the code signing configuration {arn} only warns; set its UntrustedArtifactOnDeployment to Enforce, or name another"
        )));
    }
    Ok(arn)
}

fn place<'c>(function: &str, cell: &'c CellId) -> Result<&'c str, ActError> {
    Some(cell.key()).filter(|k| *k == function).ok_or_else(|| ActError::Refused(format!("{cell} is no cell of {function}")))
}

#[async_trait]
impl Action for EnforceCodeSigning {
    type State = Signing;

    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn cells(&self, cx: &ActCx<'_>) -> Result<Vec<Cell>, ActError> {
        let config = enforcing(cx).await?;
        let function = &cx.target().function;
        Ok(vec![Cell {
            id: CellId::new(SPEC.id, function),
            label: format!("code signing of {function}"),
            facts: json!({"config": config}),
        }])
    }

    async fn read(&self, cx: &ActCx<'_>, cell: &CellId) -> Result<Reading<Signing>, ActError> {
        let function = place(&cx.target().function, cell)?;
        let call = cx.aws().lambda().get_function_code_signing_config().function_name(function).send();
        let answer = cx.call(&GET, &format!("reading the code signing of {function}"), call).await?;
        Ok(Reading::Settled(Signing(Some(answer.code_signing_config_arn().to_string()).filter(|a| !a.is_empty()))))
    }

    fn contained(&self, cell: &Cell, _: &Signing) -> Result<Signing, ActError> {
        let config = cell.facts.get("config").and_then(Value::as_str);
        let config = config.ok_or_else(|| ActError::State { cell: cell.id.to_string(), why: "its facts name no configuration".into() })?;
        Ok(Signing(Some(config.to_string())))
    }

    fn restorable(&self, _: &Signing) -> Restorable {
        Restorable::Exactly
    }

    async fn set(&self, cx: &ActCx<'_>, cell: &CellId, to: &Signing, _: &ContainPermit) -> Result<(), ActError> {
        let function = place(&cx.target().function, cell)?;
        match &to.0 {
            Some(arn) => {
                let call = cx.aws().lambda().put_function_code_signing_config().function_name(function).code_signing_config_arn(arn).send();
                cx.call(&PUT, &format!("putting the code signing configuration {} on {function}", tame(arn, 200)), call).await.map(drop)
            }
            None => {
                let call = cx.aws().lambda().delete_function_code_signing_config().function_name(function).send();
                match cx.call(&DELETE, &format!("taking the code signing configuration off {function}"), call).await {
                    // There is none on it: done. (A function that is gone has another code.)
                    Err(ActError::Call { source, .. }) if source.code.as_deref() == Some("CodeSigningConfigNotFoundException") => Ok(()),
                    other => other.map(drop),
                }
            }
        }
    }

    fn by_hand(&self, target: &Target, cell: &CellId, before: &Signing) -> Result<Vec<AwsCli>, ActError> {
        let function = ("--function-name", place(&target.function, cell)?);
        Ok(vec![match &before.0 {
            Some(arn) => AwsCli::new("lambda", "put-function-code-signing-config", [function, ("--code-signing-config-arn", arn.as_str())]),
            // Taking off what is not there is no error for Lambda.
            None => AwsCli::new("lambda", "delete-function-code-signing-config", [function]),
        }])
    }
}
