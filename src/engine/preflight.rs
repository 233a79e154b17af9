//! Before a run: who are we, and is there such a function? Both answers are needed to make a plan, and asking now is what lets the error be
//! clear. The exchanges go into the bundle's plan group later, so that every call we made is in evidence.

use super::gone;
use super::guard::known_of;
use crate::aws::connect::{ConnectError, Connector, Identity};
use crate::aws::fault::{Fault, FaultClass, tame};
use crate::aws::record::{HeadRecorder, UnitScope};
use crate::aws::tape::{self, Listening};
use crate::model::call::Call;
use crate::model::exchange::Exchange;
use crate::model::item::Group;
use crate::model::regions;
use crate::model::target::{Target, TargetError, TargetSpec};
use crate::plan::pin::PinnedFunction;
use crate::plan::{Gone, Known, PREFLIGHT};
use aws_sdk_lambda::types::FunctionConfiguration;
use futures_util::future::join;
use futures_util::stream::{self, StreamExt as _};
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, thiserror::Error)]
pub enum PreflightError {
    #[error("could not connect to AWS")]
    Connect(#[from] ConnectError),
    #[error("the target does not fit the credentials")]
    Target(#[from] TargetError),
    #[error("`{shown}` is not a role of account {account}: give its name or its ARN")]
    NotARole { shown: String, account: String },
    #[error("could not look at the function")]
    Look {
        #[source]
        source: Fault,
    },
    #[error("there is no function `{function}` in {region} of account {account}")]
    NoSuchFunction { function: String, region: String, account: String, elsewhere: Vec<String> },
}

/// What to do about a function that is not there.
#[derive(Clone, Debug, Default)]
pub enum Missing {
    /// Say so, and where else one of that name is.
    #[default]
    Refuse,
    /// Take it for gone, and look for what it left behind. `role`: the name or ARN of the role that it had, if the operator knows.
    Gone { role: Option<String> },
}

impl PreflightError {
    pub fn hint(&self) -> Option<String> {
        match self {
            PreflightError::Connect(e) => Some(e.hint().to_string()),
            PreflightError::Target(_) | PreflightError::NotARole { .. } | PreflightError::Look { .. } => None,
            PreflightError::NoSuchFunction { elsewhere, .. } if elsewhere.is_empty() => {
                Some("check the name, the account (--profile) and the Region (--region); no default Region of this account has a function of that name. If it was deleted: `snapshot --gone` collects what it left behind".into())
            }
            PreflightError::NoSuchFunction { elsewhere, function, .. } => {
                Some(format!(
                    "a function `{function}` exists in {}: pass --region. If the one meant was deleted here: `snapshot --gone` collects what it left behind",
                    elsewhere.join(", ")
                ))
            }
        }
    }
}

#[derive(Clone, Debug)]
pub struct Preflight {
    pub identity: Identity,
    pub target: Target,
    /// What the look-up already tells of the function: it narrows the permissions that a plan names.
    pub known: Known,
    /// The function is gone; what is known of it all the same.
    pub gone: Option<Gone>,
    /// Every attempt made so far, without bodies.
    pub exchanges: Vec<Exchange>,
}

/// Find out who we are and that the target exists. A denied look-up of the function is no error here: the run will record it as a gap.
pub async fn preflight(connector: &Connector, spec: &TargetSpec) -> Result<Preflight, PreflightError> {
    preflight_or(connector, spec, &Missing::Refuse).await
}

/// [`preflight`], with what to do about a function that is not there.
pub async fn preflight_or(connector: &Connector, spec: &TargetSpec, missing: &Missing) -> Result<Preflight, PreflightError> {
    let recorder = Arc::new(HeadRecorder::default());
    let calls: &[Call] = if matches!(missing, Missing::Refuse) { PREFLIGHT } else { gone::CALLS };
    let aws = connector.unit(UnitScope { unit: "preflight", group: Group::Plan }, calls, recorder.clone());
    // Beside each other: where every second counts, this is one of three steps to the first write. Should the target turn out to be somewhere
    // else, what was read is a function of the same name in our own account, and it is forgotten.
    let future = aws.lambda().get_function().function_name(&spec.function).send();
    let (identity, (answer, exchanges)) = join(connector.identity(&aws), tape::listen(Listening::default(), future)).await;
    let identity = identity?;
    let target = spec.resolve(&identity.partition, &identity.account, connector.region())?;
    let known = match answer {
        Ok(found) => known_of(&found),
        Err(e) if Fault::of(&e, &exchanges).class == FaultClass::NotFound => {
            if let Missing::Gone { role } = missing {
                let found = gone::look_back(&aws, &target, role.as_deref()).await?;
                let known = Known { role_arn: found.exact_role.clone(), log_group: found.gone.log_group.clone(), ..Known::default() };
                return Ok(Preflight { identity, target, known, gone: Some(found.gone), exchanges: recorder.taken() });
            }
            let elsewhere = elsewhere(&aws, &target).await;
            return Err(PreflightError::NoSuchFunction {
                function: target.function,
                region: target.region,
                account: target.account,
                elsewhere,
            });
        }
        // Denied or throttled: the run itself will try again and record what it meets.
        Err(_) => Known::default(),
    };
    Ok(Preflight { identity, target, known, gone: None, exchanges: recorder.taken() })
}

/// The function's state by its own words, now. What cannot be read is an error: somebody wants to know whether it moved.
pub async fn function_now(connector: &Connector, target: &Target) -> Result<PinnedFunction, PreflightError> {
    let connector = if connector.region() == target.region { connector.clone() } else { connector.in_region(&target.region) };
    let aws = connector.unit(UnitScope { unit: "preflight", group: Group::Plan }, PREFLIGHT, Arc::new(HeadRecorder::default()));
    let future = aws.lambda().get_function().function_name(&target.function).send();
    let (answer, exchanges) = tape::listen(Listening::default(), future).await;
    let found = answer.map_err(|e| PreflightError::Look { source: Fault::of(&e, &exchanges) })?;
    Ok(state_of(found.configuration()))
}

fn state_of(conf: Option<&FunctionConfiguration>) -> PinnedFunction {
    PinnedFunction {
        revision_id: conf.and_then(|c| c.revision_id()).map(|t| tame(t, 100)),
        code_sha256: conf.and_then(|c| c.code_sha256()).map(|t| tame(t, 100)),
    }
}

/// Who we are, for commands that need no function (restore).
pub async fn identify(connector: &Connector) -> Result<Identity, PreflightError> {
    let recorder = Arc::new(HeadRecorder::default());
    let aws = connector.unit(UnitScope { unit: "preflight", group: Group::Plan }, PREFLIGHT, recorder);
    Ok(connector.identity(&aws).await?)
}

/// Other Regions that have a function of this name. One quick question each, and no more than a few seconds in all.
async fn elsewhere(aws: &crate::aws::Aws, target: &Target) -> Vec<String> {
    if target.partition != "aws" {
        return vec![];
    }
    // Where a function of the same name is looked for when there is none in the Region asked.
    let asked = stream::iter(regions::BY_DEFAULT.into_iter().filter(|r| *r != target.region))
        .map(|region| async move {
            let found = aws.in_region(region).lambda().get_function().function_name(&target.function).send().await.is_ok();
            found.then(|| region.to_string())
        })
        .buffer_unordered(8)
        .filter_map(std::future::ready)
        .collect::<Vec<_>>();
    tokio::time::timeout(Duration::from_secs(6), asked).await.unwrap_or_default()
}
