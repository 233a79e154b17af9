//! One alias led to a version that is known to be good (`containment.md` C13): the service stays up, on code that somebody vouches for by its
//! hash. The gentlest step, and the only one that keeps callers served.
//!
//! What it never does: choose the version, or believe a name. The version's hash is read from AWS and must be the one that the playbook says;
//! `$LATEST` is no version, because its code can be replaced under the alias.

use super::{ActCx, ActError, Action, ActionSpec, AwsCli, Bearing, Cell, ContainPermit, Reading};
use crate::aws::fault::tame;
use crate::model::call::{Call, Scope, Service};
use crate::model::id::CellId;
use crate::model::params::{Param, ParamKind};
use crate::model::restorable::Restorable;
use crate::model::target::Target;
use async_trait::async_trait;
use aws_sdk_lambda::types::AliasRoutingConfiguration;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;

pub struct RepointAlias;

static SPEC: ActionSpec = ActionSpec {
    id: "repoint-alias",
    title: "Lead an alias to a version that is proven good by its hash",
    stops: "calls through the alias that would have reached another version, weighted routing included",
    does_not_stop: "calls of $LATEST, of versions by number and of other aliases, invocations that already run, credentials already issued; the \
                    hash is of the code alone: layers, environment and role of the version are what they were when it was published",
    side_effects: "callers of the alias get the other version's behaviour at once; a canary that was under way ends",
    restore: "version and routing weights are set as they were; refused by AWS when somebody changes the alias at the same moment",
    calls: &[VERSION, GET, UPDATE],
    params: &[
        Param { name: "alias", kind: ParamKind::Name, default: "none", doc: "the alias to lead elsewhere; required" },
        Param { name: "version", kind: ParamKind::Name, default: "none", doc: "the number of the good version; required" },
        Param {
            name: "code-sha256",
            kind: ParamKind::CodeSha256,
            default: "none",
            doc: "the good version's CodeSha256, from a source that the attacker could not write to; required",
        },
    ],
    restore_rank: 0,
    bearing: Bearing::Neither,
};

const VERSION: Call = Call::read(Service::Lambda, "GetFunctionConfiguration", "lambda:GetFunctionConfiguration", Scope::Function);
const GET: Call = Call::read(Service::Lambda, "GetAlias", "lambda:GetAlias", Scope::Function);
const UPDATE: Call = Call::write(Service::Lambda, "UpdateAlias", "lambda:UpdateAlias", Scope::Function);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Routing {
    version: String,
    /// Share of the calls that go to another version, by version.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    weights: BTreeMap<String, f64>,
}

fn is_version(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn place(cell: &CellId) -> Result<(&str, &str), ActError> {
    let plain = |n: &str| !n.is_empty() && n.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    match cell.key().split_once('/') {
        Some((function, alias)) if plain(function) && plain(alias) => Ok((function, alias)),
        _ => Err(ActError::Refused(format!("{} names no alias", tame(&cell.0, 200)))),
    }
}

fn required(cx: &ActCx<'_>, name: &str, why: &str) -> Result<String, ActError> {
    cx.params().unless_none(name).ok_or_else(|| ActError::Refused(format!("repoint-alias needs `{name}` under `with:`: {why}")))
}

#[async_trait]
impl Action for RepointAlias {
    type State = Routing;

    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn cells(&self, cx: &ActCx<'_>) -> Result<Vec<Cell>, ActError> {
        let alias = required(cx, "alias", "the alias to lead elsewhere")?;
        let version = required(cx, "version", "the number of a version that is known to be good")?;
        let proof = required(cx, "code-sha256", "that version's CodeSha256, as the build or an earlier bundle recorded it")?;
        if !is_version(&version) {
            return Err(ActError::Refused(format!(
                "`{version}` is no published version: only a published version's code cannot be replaced"
            )));
        }
        let function = &cx.target().function;
        let call = cx.aws().lambda().get_function_configuration().function_name(function).qualifier(&version).send();
        let conf = cx.call(&VERSION, &format!("reading version {version} of {function}"), call).await?;
        let stated = conf.code_sha256().unwrap_or("none");
        if stated != proof {
            let stated = tame(stated, 80);
            return Err(ActError::Refused(format!(
                "version {version} of {function} is not what it should be: AWS states CodeSha256 {stated}, the playbook says {proof}"
            )));
        }
        let id = CellId::new(SPEC.id, &format!("{function}/{alias}"));
        place(&id)?;
        Ok(vec![Cell { id, label: format!("the alias {alias} of {function}"), facts: json!({"version": version, "code_sha256": proof}) }])
    }

    async fn read(&self, cx: &ActCx<'_>, cell: &CellId) -> Result<Reading<Routing>, ActError> {
        let (function, alias) = place(cell)?;
        let call = cx.aws().lambda().get_alias().function_name(function).name(alias).send();
        let told = cx.call(&GET, &format!("reading the alias {alias} of {function}"), call).await?;
        cx.note_revision(cell, told.revision_id());
        let weights = told.routing_config().and_then(|r| r.additional_version_weights());
        let weights = weights.into_iter().flatten().map(|(v, w)| (v.clone(), *w)).collect();
        let version = told.function_version().unwrap_or_default().to_string();
        Ok(Reading::Settled(Routing { version, weights }))
    }

    fn contained(&self, cell: &Cell, _: &Routing) -> Result<Routing, ActError> {
        let version = cell.facts["version"].as_str();
        let version = version.ok_or_else(|| ActError::State { cell: cell.id.to_string(), why: "its facts name no version".into() })?;
        Ok(Routing { version: version.to_string(), weights: BTreeMap::new() })
    }

    fn restorable(&self, _: &Routing) -> Restorable {
        Restorable::Exactly
    }

    async fn set(&self, cx: &ActCx<'_>, cell: &CellId, to: &Routing, _: &ContainPermit) -> Result<(), ActError> {
        let (function, alias) = place(cell)?;
        // Under the revision of the read that this write follows from: who came in between makes it fail, and is not overwritten.
        let revision = cx.revision(cell);
        let revision =
            revision.ok_or_else(|| ActError::Refused(format!("the alias {alias} of {function} has no revision to write under")))?;
        let weights = to.weights.iter().map(|(v, w)| (v.clone(), *w)).collect();
        // No weights is an empty map; left out, they would stay.
        let routing = AliasRoutingConfiguration::builder().set_additional_version_weights(Some(weights)).build();
        let call = cx.aws().lambda().update_alias().function_name(function).name(alias).function_version(&to.version);
        let call = call.routing_config(routing).revision_id(revision).send();
        cx.call(&UPDATE, &format!("leading the alias {alias} of {function} to version {}", to.version), call).await.map(drop)
    }

    fn by_hand(&self, _: &Target, cell: &CellId, before: &Routing) -> Result<Vec<AwsCli>, ActError> {
        let (function, alias) = place(cell)?;
        let routing = json!({"AdditionalVersionWeights": before.weights}).to_string();
        let words =
            [("--function-name", function), ("--name", alias), ("--function-version", &before.version), ("--routing-config", &routing)];
        Ok(vec![AwsCli::new("lambda", "update-alias", words)])
    }
}
