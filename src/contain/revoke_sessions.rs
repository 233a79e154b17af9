//! Sessions of the role that were issued until now are denied everything but logging (`containment.md` C7r): for credentials that were stolen
//! while the function itself must go on, or together with what keeps new ones from being issued.
//!
//! *Now* is AWS's clock, read off its answers; each time the action is used it adds a policy of its own with that time in its name, so that
//! two cases never overwrite each other's moment.
//!
//! **Warm environments.** An environment keeps the credentials that it was given, so those that are warm now fail until Lambda retires them.
//! There is no call that recycles environments. An update of the function's configuration makes Lambda provide new ones, and an update that
//! sets the description to what it is changes nothing else than `RevisionId` and `LastModified` (and whatever Lambda derives from these). So
//! that is what `recycle: on` does when containing, and what restore always does before it lifts the deny: whatever an attacker left in a
//! warm environment must not wake up with the deny. What is exact about it: the configuration reads as before, member for member, but for
//! those two. What is not: published versions are immutable and cannot be recycled; their environments live until Lambda retires them.
//! DOUBT(aws): that an update which changes no member replaces environments is experience, not documentation.

use super::deny::{self, Deny, Whom};
use super::qualifiers::LIST_VERSIONS;
use super::role::{self, Role, SESSIONS_PREFIX};
use super::role_users::{self, ACCEPT, LIST_FUNCTIONS, REGIONS};
use super::roles_in_use::{Gathered, roles};
use super::{ActCx, ActError, Action, ActionSpec, AwsCli, Bearing, Cell, ContainPermit, Reading};
use crate::clock;
use crate::model::call::{Call, Scope, Service};
use crate::model::id::CellId;
use crate::model::params::{Param, ParamKind};
use crate::model::restorable::Restorable;
use crate::model::target::Target;
use async_trait::async_trait;
use aws_sdk_lambda::operation::get_function_configuration::GetFunctionConfigurationOutput;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub struct RevokeSessions;

static SPEC: ActionSpec = ActionSpec {
    id: "revoke-sessions",
    title: "Deny sessions of the role that were issued until now",
    stops: "every use of credentials that the role's sessions hold now, stolen copies included, in all Regions, once IAM has spread it (minutes)",
    does_not_stop: "credentials issued from now on: new environments get them, and code that steals may steal again; invocations; sessions of other \
                    roles already assumed",
    side_effects: "warm environments keep their old credentials and fail until they are recycled, those of other functions on the role included; \
                   environments of published versions cannot be recycled; recycling runs the function's initialisation again, whoever wrote it",
    restore: "environments of $LATEST are recycled by an update of the configuration that changes nothing but RevisionId and LastModified, then \
              the inline policy is deleted; credentials issued before are good again until they expire, twelve hours after their issue",
    calls: &[
        LIST_VERSIONS,
        role::GET_CONFIGURATION,
        role::GET_ROLE,
        LIST_FUNCTIONS,
        role::LIST_ROLE_POLICIES,
        role::GET_ROLE_POLICY,
        deny::SIMULATE,
        role::PUT_ROLE_POLICY,
        role::DELETE_ROLE_POLICY,
        UPDATE_CONFIGURATION,
    ],
    params: &[
        Param {
            name: "recycle",
            kind: ParamKind::Word(&["off", "on"]),
            default: "off",
            doc: "recycle the environments of $LATEST when containing: for a function that goes on running; one that is frozen needs it on restore only",
        },
        Param {
            name: "queue",
            kind: ParamKind::ArnOf("sqs"),
            default: "none",
            doc: "the quarantine queue that the role may still send to, if async events are captured",
        },
        REGIONS,
        ACCEPT,
    ],
    restore_rank: 2,
    bearing: Bearing::Disables,
};

const UPDATE_CONFIGURATION: Call =
    Call::write(Service::Lambda, "UpdateFunctionConfiguration", "lambda:UpdateFunctionConfiguration", Scope::Function);

/// The inline policy's text, decoded; `None` when there is no policy of the name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revocation(Option<String>);

fn place(cell: &CellId) -> Result<(&str, &str), ActError> {
    match cell.key().split_once('/') {
        Some((role, policy)) if role::is_role_name(role) && policy.starts_with(SESSIONS_PREFIX) => Ok((role, policy)),
        _ => Err(ActError::Refused(format!("{cell} names no revocation of ours"))),
    }
}

/// The configuration of `$LATEST`; `None` when the function is gone, and its environments with it.
async fn configuration(cx: &ActCx<'_>) -> Result<Option<GetFunctionConfigurationOutput>, ActError> {
    let function = &cx.target().function;
    let call = cx.aws().lambda().get_function_configuration().function_name(function).send();
    match cx.call(&role::GET_CONFIGURATION, &format!("reading the configuration of {function}"), call).await {
        Ok(conf) => Ok(Some(conf)),
        Err(e) if e.is_absent() => Ok(None),
        Err(e) => Err(e),
    }
}

/// Make Lambda provide new environments for `$LATEST`, by an update that changes nothing.
async fn recycle(cx: &ActCx<'_>) -> Result<(), ActError> {
    let Some(conf) = configuration(cx).await? else { return Ok(()) };
    let function = &cx.target().function;
    let call = cx.aws().lambda().update_function_configuration().function_name(function);
    let call = call.description(conf.description().unwrap_or_default()).set_revision_id(conf.revision_id().map(str::to_string));
    let Err(error) = cx.call(&UPDATE_CONFIGURATION, &format!("recycling the environments of {function}"), call.send()).await else {
        return Ok(());
    };
    // A failed write is never believed to have done nothing. Another revision means an update, ours or somebody else's: either recycles.
    match configuration(cx).await {
        Ok(Some(now)) if now.revision_id() == conf.revision_id() => Err(error),
        Ok(_) => Ok(()),
        Err(_) => Err(error),
    }
}

async fn cell(cx: &ActCx<'_>, role: &Role, users: Value) -> Result<Cell, ActError> {
    let until = deny::now(cx)?;
    let policy = format!("{SESSIONS_PREFIX}{}", clock::basic(until));
    let deny = Deny::new(cx.target(), role, Whom::SessionsBefore(until), cx.params().unless_none("queue"));
    role::must_fit(cx, &role.name, &policy, |_| Ok(deny.text())).await?;
    let simulated = deny::simulate(cx, &deny).await;
    let mut facts = role.facts();
    (facts["until"], facts["users"]) = (clock::seconds(until).into(), users);
    (facts["document"], facts["simulated"]) = (deny.text().into(), json!(simulated));
    Ok(Cell {
        id: CellId::new(SPEC.id, &format!("{}/{policy}", role.name)),
        label: format!("sessions of the role {} issued until {}", role.label(), clock::seconds(until)),
        facts,
    })
}

#[async_trait]
impl Action for RevokeSessions {
    type State = Revocation;

    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn cells(&self, cx: &ActCx<'_>) -> Result<Vec<Cell>, ActError> {
        let roles = roles(cx).await?;
        let mut cells = Gathered::default();
        for (role, alone) in roles.iter().zip(role_users::must_be_alone(cx, &roles).await) {
            cells.take(match alone {
                Ok(users) => cell(cx, role, users).await,
                Err(e) => Err(e),
            });
        }
        cells.done(cx)
    }

    async fn read(&self, cx: &ActCx<'_>, cell: &CellId) -> Result<Reading<Revocation>, ActError> {
        let (role, policy) = place(cell)?;
        Ok(Reading::Settled(Revocation(role::inline_deny(cx, role, policy).await?)))
    }

    fn contained(&self, cell: &Cell, _: &Revocation) -> Result<Revocation, ActError> {
        let text = cell.facts.get("document").and_then(Value::as_str);
        let text = text.ok_or_else(|| ActError::State { cell: cell.id.to_string(), why: "its facts hold no document".into() })?;
        Ok(Revocation(Some(text.to_string())))
    }

    fn restorable(&self, _: &Revocation) -> Restorable {
        Restorable::Exactly
    }

    /// The deny is the cell. Recycling is no state that could be read or set back: it goes with the write, before the deny is lifted and after it
    /// is put, and is done again when the write is.
    async fn set(&self, cx: &ActCx<'_>, cell: &CellId, to: &Revocation, permit: &ContainPermit) -> Result<(), ActError> {
        let (role, policy) = place(cell)?;
        if permit.restores() {
            recycle(cx).await?;
            return role::set_inline_policy(cx, role, policy, to.0.as_deref()).await;
        }
        role::set_inline_policy(cx, role, policy, to.0.as_deref()).await?;
        match cx.params().text("recycle").as_deref() {
            Some("on") => recycle(cx).await,
            _ => Ok(()),
        }
    }

    fn by_hand(&self, target: &Target, cell: &CellId, before: &Revocation) -> Result<Vec<AwsCli>, ActError> {
        let (role, policy) = place(cell)?;
        let function = [("--function-name", target.function.as_str())];
        let (get, query) = ("get-function-configuration", "{FunctionName: FunctionName, Description: Description, RevisionId: RevisionId}");
        let recycle = AwsCli::new("lambda", "update-function-configuration", []).input_from("lambda", get, function, query);
        Ok(vec![recycle.if_found("lambda", get, function), role::inline_policy_by_hand(role, policy, before.0.as_deref())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_cannot_name_a_policy_that_is_not_ours() {
        for bad in ["revoke-sessions/r/AdminPolicy", "revoke-sessions/r", "revoke-sessions/r/freezeframe-quarantine-f", "revoke-sessions"] {
            assert!(place(&CellId(bad.into())).is_err(), "{bad}");
        }
        assert!(place(&CellId("revoke-sessions/r/freezeframe-revoked-sessions-20261120T120000Z".into())).is_ok());
    }
}
