//! A version published from `$LATEST` (`containment.md` C19): a copy of its code and configuration inside Lambda that nobody can change, while
//! `$LATEST` can be replaced by whoever deploys next.
//!
//! It is left there: deleting it would destroy evidence, and nothing that stood before is touched. What it never does: publish where publishing
//! does more than copy. With SnapStart Lambda runs the function's initialisation code, the attacker's; on managed instances it starts some.

use super::qualifiers::LIST_VERSIONS;
use super::{ActCx, ActError, Action, ActionSpec, AwsCli, Bearing, Cell, ContainPermit, Reading};
use crate::aws::raw::RawCall;
use crate::model::call::{Call, Scope, Service};
use crate::model::id::CellId;
use crate::model::restorable::Restorable;
use crate::model::target::Target;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub struct PublishEvidenceVersion;

static SPEC: ActionSpec = ActionSpec {
    id: "publish-evidence-version",
    title: "Publish $LATEST as a version, as evidence inside Lambda",
    stops: "nothing; it keeps code and configuration of $LATEST where no deployment can replace them",
    does_not_stop: "anything: neither invocations nor deployments; whoever may delete versions may delete this one",
    side_effects: "the function has one version more and $LATEST another revision id; the version's code counts towards the account's storage",
    restore: "the version is left in place, which the step must accept (`accept: approximate`); nothing that stood before was changed",
    calls: &[LIST_VERSIONS, PUBLISH],
    params: &[],
    restore_rank: 0,
    bearing: Bearing::Neither,
};

const PUBLISH: Call = Call::write(Service::Lambda, "PublishVersion", "lambda:PublishVersion", Scope::Function);

/// What a version and `$LATEST` do not share, or what moves by itself: names, times, states, the runtime's patch level.
const NOT_CONFIGURATION: [&str; 15] = [
    "FunctionArn",
    "Version",
    "Description",
    "LastModified",
    "RevisionId",
    "ConfigSha256",
    "MasterArn",
    "State",
    "StateReason",
    "StateReasonCode",
    "LastUpdateStatus",
    "LastUpdateStatusReason",
    "LastUpdateStatusReasonCode",
    "RuntimeVersionConfig",
    "SnapStart",
];

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latest {
    /// Of `$LATEST`.
    code_sha256: String,
    /// A published version has its code and its configuration.
    kept: bool,
}

fn place<'c>(target: &Target, cell: &'c CellId) -> Result<&'c str, ActError> {
    match cell.key() == target.function {
        true => Ok(cell.key()),
        false => Err(ActError::Refused(format!("{} is no cell of {}", crate::aws::fault::tame(&cell.0, 200), target.function))),
    }
}

/// `$LATEST` and the published versions, as Lambda tells them.
async fn versions(cx: &ActCx<'_>, function: &str) -> Result<(Value, Vec<Value>), ActError> {
    let page = |marker: Option<&str>| {
        let query: Vec<_> = marker.map(|m| ("Marker", m)).into_iter().collect();
        RawCall::rest(Service::Lambda, "ListVersionsByFunction", "GET", &["2015-03-31", "functions", function, "versions"], &query, None)
    };
    let doing = format!("listing the versions of {function}");
    let all = cx.ask_all(&LIST_VERSIONS, &doing, ("Versions", "NextMarker"), page).await?;
    let (latest, published): (Vec<Value>, Vec<Value>) = all.into_iter().partition(|v| v["Version"] == "$LATEST");
    let latest = latest.into_iter().next();
    Ok((latest.ok_or_else(|| ActError::Refused(format!("AWS told of no $LATEST of {function}")))?, published))
}

fn configuration(version: &Value) -> Map<String, Value> {
    let members = version.as_object().into_iter().flatten();
    members.filter(|(k, v)| !NOT_CONFIGURATION.contains(&k.as_str()) && !v.is_null()).map(|(k, v)| (k.clone(), v.clone())).collect()
}

/// Why `$LATEST` is not to be published; nothing when it may be.
fn objection(latest: &Value) -> Option<&'static str> {
    let snap_start = latest.pointer("/SnapStart/ApplyOn").and_then(Value::as_str).is_some_and(|a| a != "None");
    if snap_start {
        return Some("with SnapStart, publishing runs the function's initialisation code; keep the code with a snapshot instead");
    }
    if latest.get("CapacityProviderConfig").is_some_and(|c| !c.is_null()) {
        return Some("on managed instances, publishing starts some; keep the code with a snapshot instead");
    }
    // Two that could not be read would look the same.
    let unread = latest.pointer("/Environment/Error").is_some_and(|e| !e.is_null());
    unread.then_some("its environment could not be decrypted, so that versions cannot be compared; allow kms:Decrypt on its key")
}

#[async_trait]
impl Action for PublishEvidenceVersion {
    type State = Latest;

    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn cells(&self, cx: &ActCx<'_>) -> Result<Vec<Cell>, ActError> {
        let function = &cx.target().function;
        let (latest, _) = versions(cx, function).await?;
        if let Some(why) = objection(&latest) {
            return Err(ActError::Refused(format!("no version of {function} is published: {why}")));
        }
        let id = CellId::new(SPEC.id, function);
        Ok(vec![Cell { id, label: format!("a version of {function} as evidence"), facts: json!({}) }])
    }

    async fn read(&self, cx: &ActCx<'_>, cell: &CellId) -> Result<Reading<Latest>, ActError> {
        let function = place(cx.target(), cell)?;
        let (latest, published) = versions(cx, function).await?;
        cx.note_revision(cell, latest["RevisionId"].as_str());
        if latest["LastUpdateStatus"] == "InProgress" {
            return Ok(Reading::Moving);
        }
        let code = latest["CodeSha256"].as_str();
        let code_sha256 = code.ok_or_else(|| ActError::Refused(format!("AWS stated no CodeSha256 of {function}")))?.to_string();
        let wanted = configuration(&latest);
        let kept = objection(&latest).is_none() && published.iter().any(|v| configuration(v) == wanted);
        Ok(Reading::Settled(Latest { code_sha256, kept }))
    }

    fn contained(&self, _: &Cell, before: &Latest) -> Result<Latest, ActError> {
        Ok(Latest { kept: true, ..before.clone() })
    }

    fn restorable(&self, _: &Latest) -> Restorable {
        Restorable::Leaves("the published version that holds code and configuration of $LATEST".into())
    }

    async fn set(&self, cx: &ActCx<'_>, cell: &CellId, to: &Latest, _: &ContainPermit) -> Result<(), ActError> {
        let function = place(cx.target(), cell)?;
        if !to.kept {
            return Err(ActError::State { cell: cell.to_string(), why: "a version that was published is not taken back".into() });
        }
        let revision = cx.revision(cell);
        let revision = revision.ok_or_else(|| ActError::Refused(format!("$LATEST of {function} has no revision to publish")))?;
        let call = cx.aws().lambda().publish_version().function_name(function).code_sha256(&to.code_sha256).revision_id(revision);
        let call = call.description("Evidence, published by freezeframe: do not delete").send();
        cx.call(&PUBLISH, &format!("publishing a version of {function}"), call).await.map(drop)
    }

    fn by_hand(&self, target: &Target, cell: &CellId, _: &Latest) -> Result<Vec<AwsCli>, ActError> {
        place(target, cell)?;
        Ok(vec![])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_published_where_that_does_more_than_copy() {
        assert_eq!(
            objection(&json!({"SnapStart": {"ApplyOn": "None"}, "CapacityProviderConfig": null, "Environment": {"Variables": {}}})),
            None
        );
        for (conf, word) in [
            (json!({"SnapStart": {"ApplyOn": "PublishedVersions"}}), "initialisation"),
            (json!({"CapacityProviderConfig": {"LambdaManagedInstancesCapacityProviderConfig": {}}}), "managed instances"),
            (json!({"Environment": {"Error": {"ErrorCode": "AccessDeniedException"}}}), "kms:Decrypt"),
        ] {
            assert!(objection(&conf).unwrap().contains(word), "{conf}");
        }
    }

    #[test]
    fn the_same_configuration_under_another_name_is_the_same() {
        let latest = json!({"Version": "$LATEST", "RevisionId": "a", "CodeSha256": "x", "Timeout": 3, "KMSKeyArn": null});
        let version = json!({"Version": "7", "RevisionId": "b", "CodeSha256": "x", "Timeout": 3, "Description": "kept"});
        assert_eq!(configuration(&latest), configuration(&version));
        for other in [json!({"CodeSha256": "y", "Timeout": 3}), json!({"CodeSha256": "x", "Timeout": 3, "Layers": []})] {
            assert_ne!(configuration(&latest), configuration(&other));
        }
    }
}
