//! One inline deny on the execution role, scoped to the function when others share the role (`containment.md` C7, B.3). It is the strongest
//! single step against stolen credentials: IAM is global, so one deny covers their use in every Region.
//!
//! One deny for each role that a version of the function runs under. What stands already under our name, another case's say, lets nobody go: a deny
//! of everybody stays one of everybody whatever scope this step has, and denies of the function and of old sessions are put together, whichever was
//! first (`standing_deny`). DOUBT(design): IAM gives no revision of a policy, so of two cases that read at the same moment the later write stands, be
//! it the narrower one.
//!
//! Nothing is removed; restore deletes one policy. What it never does: spare `sqs:SendMessage` for any queue but the one that the step names,
//! allow anything, meet everybody on a role that others use without somebody's word.

use super::deny::{self, Deny, Whom};
use super::qualifiers::LIST_VERSIONS;
use super::role::{self, QUARANTINE_PREFIX, Role};
use super::role_users::{self, ACCEPT, LIST_FUNCTIONS, REGIONS, Users};
use super::roles_in_use::{Gathered, roles};
use super::standing_deny::{Met, joined, met_by};
use super::{ActCx, ActError, Action, ActionSpec, AwsCli, Bearing, Cell, ContainPermit, Reading};
use crate::aws::fault::tame;
use crate::model::id::CellId;
use crate::model::params::{Param, ParamKind};
use crate::model::restorable::Restorable;
use crate::model::target::Target;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub struct QuarantineRole;

static SPEC: ActionSpec = ActionSpec {
    id: "quarantine-role",
    title: "Deny the execution role everything but its own logs and traces",
    stops: "every use of the role's credentials by this function, those of former roles that a version still runs under included, stolen copies included, in all Regions, once IAM has spread it (minutes)",
    does_not_stop: "invocations themselves, sessions of other roles already assumed, tokens from GetWebIdentityToken, data already copied; \
                    with scope `function`, sessions of the role under another session name; with scope `sessions`, whatever is issued from now on",
    side_effects: "the function fails at its first AWS call; with scope `role` so does everybody else who uses the role, and their logs \
                   outside the function's own group stop; with scope `sessions` warm environments fail until they are recycled",
    restore: "the inline policy is deleted, or set to the text that stood under its name before; denies are lifted after everything else",
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
    ],
    params: &[
        Param {
            name: "scope",
            kind: ParamKind::Word(&["auto", "function", "role", "sessions"]),
            default: "auto",
            doc: "whom the deny meets: this function's sessions, every user of the role, or sessions issued until now; auto asks who uses the role; a deny \
                  that stands already lets nobody go",
        },
        Param {
            name: "queue",
            kind: ParamKind::ArnOf("sqs"),
            default: "none",
            doc: "the quarantine queue that the role may still send to, if async events are captured; it must not need a key of the customer's",
        },
        REGIONS,
        ACCEPT,
    ],
    restore_rank: 2,
    bearing: Bearing::Disables,
};

/// The inline policy's text, decoded; `None` when there is no policy of the name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InlinePolicy(Option<String>);

/// Role and policy name of a cell. The id comes from a journal: a name that is not ours is never touched.
fn place(cell: &CellId) -> Result<(&str, &str), ActError> {
    match cell.key().split_once('/') {
        Some((role, policy)) if role::is_role_name(role) && policy.starts_with(QUARANTINE_PREFIX) => Ok((role, policy)),
        _ => Err(ActError::Refused(format!("{cell} names no quarantine policy"))),
    }
}

/// Of each role whom the deny meets, and what is known of its users.
async fn whom(cx: &ActCx<'_>, roles: &[Role]) -> Result<Vec<Result<(Whom, Value), ActError>>, ActError> {
    let all_of = |whom: Whom, alone: Vec<Result<Value, ActError>>| alone.into_iter().map(|users| Ok((whom, users?))).collect();
    Ok(match cx.params().text("scope").as_deref() {
        Some("function") => roles.iter().map(|_| Ok((Whom::Function, Value::Null))).collect(),
        Some("role") => all_of(Whom::Everybody, role_users::must_be_alone(cx, roles).await),
        Some("sessions") => all_of(Whom::SessionsBefore(deny::now(cx)?), role_users::must_be_alone(cx, roles).await),
        None | Some("auto") => {
            // Not knowing who else would be hit, hit nobody else; it must not keep us from stopping this function.
            let decide = |(role, users): (&Role, Users)| {
                if users.nobody() {
                    role_users::tell_where(cx, role);
                }
                Ok((if users.nobody() { Whom::Everybody } else { Whom::Function }, users.facts()))
            };
            roles.iter().zip(role_users::others(cx, roles).await).map(decide).collect()
        }
        Some(other) => {
            return Err(ActError::Refused(format!("`{}` is no scope: use auto, function, role or sessions", tame(other, 40))));
        }
    })
}

/// What is to be put where `stands` stands.
fn denying(cell: &Cell, stands: Option<&str>) -> Result<String, ActError> {
    let fact = |name: &str| {
        let text = cell.facts.get(name).and_then(Value::as_str).map(str::to_string);
        text.ok_or_else(|| ActError::State { cell: cell.id.to_string(), why: format!("its facts hold no {name}") })
    };
    let text = fact("document")?;
    Ok(match stands.and_then(met_by) {
        Some(Met::Everybody) => fact("whole")?,
        Some(stands) => joined(stands, &text, &fact("of_function")?).unwrap_or(text),
        None => text,
    })
}

impl QuarantineRole {
    async fn cell(&self, cx: &ActCx<'_>, role: &Role, whom: Whom, users: Value) -> Result<Cell, ActError> {
        let target = cx.target();
        let deny = Deny::new(target, role, whom, cx.params().unless_none("queue"));
        let policy = format!("{QUARANTINE_PREFIX}{}", target.function);
        let (scope, label) = match whom {
            Whom::Function => ("function", format!("quarantine of {} on the role {}", target.function, role.label())),
            Whom::Everybody => ("role", format!("quarantine of the whole role {}", role.label())),
            Whom::SessionsBefore(_) => ("sessions", format!("quarantine of the sessions of the role {} until now", role.label())),
        };
        let mut facts = role.facts();
        (facts["scope"], facts["users"], facts["document"]) = (scope.into(), users, deny.text().into());
        // For what may stand there already.
        (facts["whole"], facts["of_function"]) = (deny.of(Whom::Everybody).text().into(), deny.of(Whom::Function).text().into());
        let mut cell = Cell { id: CellId::new(SPEC.id, &format!("{}/{policy}", role.name)), label, facts };
        role::must_fit(cx, &role.name, &policy, |stands| denying(&cell, stands)).await?;
        cell.facts["simulated"] = json!(deny::simulate(cx, &deny).await);
        Ok(cell)
    }
}

#[async_trait]
impl Action for QuarantineRole {
    type State = InlinePolicy;

    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn cells(&self, cx: &ActCx<'_>) -> Result<Vec<Cell>, ActError> {
        let roles = roles(cx).await?;
        let mut cells = Gathered::default();
        for (role, whom) in roles.iter().zip(whom(cx, &roles).await?) {
            cells.take(match whom {
                Ok((whom, users)) => self.cell(cx, role, whom, users).await,
                Err(e) => Err(e),
            });
        }
        cells.done(cx)
    }

    async fn read(&self, cx: &ActCx<'_>, cell: &CellId) -> Result<Reading<InlinePolicy>, ActError> {
        let (role, policy) = place(cell)?;
        Ok(Reading::Settled(InlinePolicy(role::inline_deny(cx, role, policy).await?)))
    }

    /// What stands under our name may be another case's deny, or this one's from before: it is never made to meet fewer.
    fn contained(&self, cell: &Cell, before: &InlinePolicy) -> Result<InlinePolicy, ActError> {
        denying(cell, before.0.as_deref()).map(Some).map(InlinePolicy)
    }

    fn restorable(&self, _: &InlinePolicy) -> Restorable {
        Restorable::Exactly
    }

    async fn set(&self, cx: &ActCx<'_>, cell: &CellId, to: &InlinePolicy, _: &ContainPermit) -> Result<(), ActError> {
        let (role, policy) = place(cell)?;
        role::set_inline_policy(cx, role, policy, to.0.as_deref()).await
    }

    fn by_hand(&self, _: &Target, cell: &CellId, before: &InlinePolicy) -> Result<Vec<AwsCli>, ActError> {
        let (role, policy) = place(cell)?;
        Ok(vec![role::inline_policy_by_hand(role, policy, before.0.as_deref())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_cannot_name_a_policy_that_is_not_ours() {
        for bad in ["quarantine-role/r/AdminPolicy", "quarantine-role/r", "quarantine-role//freezeframe-quarantine-x", "quarantine-role"] {
            assert!(place(&CellId(bad.into())).is_err(), "{bad}");
        }
        assert_eq!(place(&CellId("quarantine-role/r/freezeframe-quarantine-x".into())).unwrap(), ("r", "freezeframe-quarantine-x"));
    }
}
