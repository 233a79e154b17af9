//! A permissions boundary on the role (`containment.md` C10): one call, one call back. The policy must exist; where none was prepared, AWS's
//! own `AWSDenyAll` will do.
//!
//! What it never does: write the policy, judge what it allows.

use super::qualifiers::LIST_VERSIONS;
use super::role::{self, Role};
use super::role_users::{self, ACCEPT, LIST_FUNCTIONS, REGIONS};
use super::roles_in_use::{Gathered, roles};
use super::{ActCx, ActError, Action, ActionSpec, AwsCli, Bearing, Cell, ContainPermit, Reading};
use crate::model::call::{Call, Scope, Service};
use crate::model::id::CellId;
use crate::model::params::{Param, ParamKind};
use crate::model::restorable::Restorable;
use crate::model::target::Target;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub struct SetPermissionsBoundary;

static SPEC: ActionSpec = ActionSpec {
    id: "set-permissions-boundary",
    title: "Put a permissions boundary on the execution role",
    stops: "whatever the boundary does not allow, for every session of the role, in all Regions, once IAM has spread it (minutes)",
    does_not_stop: "invocations themselves, sessions of other roles already assumed; access that a resource policy grants to the role's sessions, \
                    unless the boundary denies it in so many words",
    side_effects: "everybody who uses the role is bound, logging included unless the boundary allows it, so the function's own traces may end here",
    restore: "the former boundary is put back, or the boundary is removed if there was none",
    calls: &[LIST_VERSIONS, role::GET_CONFIGURATION, role::GET_ROLE, LIST_FUNCTIONS, PUT, DELETE],
    params: &[
        Param {
            name: "boundary",
            kind: ParamKind::ArnOf("iam"),
            default: "none",
            doc: "ARN of the policy, required: one of your own, or arn:aws:iam::aws:policy/AWSDenyAll",
        },
        REGIONS,
        ACCEPT,
    ],
    restore_rank: 2,
    bearing: Bearing::Disables,
};

const PUT: Call = Call::write(Service::Iam, "PutRolePermissionsBoundary", "iam:PutRolePermissionsBoundary", Scope::Role);
const DELETE: Call = Call::write(Service::Iam, "DeleteRolePermissionsBoundary", "iam:DeleteRolePermissionsBoundary", Scope::Role);

/// The boundary's ARN; `None` is no boundary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Boundary(Option<String>);

fn place(cell: &CellId) -> Result<&str, ActError> {
    Some(cell.key()).filter(|r| role::is_role_name(r)).ok_or_else(|| ActError::Refused(format!("{cell} names no role")))
}

#[async_trait]
impl Action for SetPermissionsBoundary {
    type State = Boundary;

    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn cells(&self, cx: &ActCx<'_>) -> Result<Vec<Cell>, ActError> {
        let is_policy = |arn: &String| arn.splitn(6, ':').nth(5).is_some_and(|r| r.starts_with("policy/"));
        let boundary = cx.params().unless_none("boundary").filter(is_policy).ok_or_else(|| {
            ActError::Refused("set-permissions-boundary needs the policy: `with: { boundary: arn:aws:iam::aws:policy/AWSDenyAll }`".into())
        })?;
        let roles = roles(cx).await?;
        let cell = |(role, alone): (&Role, Result<Value, ActError>)| {
            let (label, mut facts) = (format!("permissions boundary of the role {}", role.label()), role.facts());
            (facts["users"], facts["boundary"]) = (alone?, boundary.clone().into());
            Ok(Cell { id: CellId::new(SPEC.id, &role.name), label, facts })
        };
        let mut cells = Gathered::default();
        roles.iter().zip(role_users::must_be_alone(cx, &roles).await).map(cell).for_each(|c| cells.take(c));
        cells.done(cx)
    }

    async fn read(&self, cx: &ActCx<'_>, cell: &CellId) -> Result<Reading<Boundary>, ActError> {
        let name = place(cell)?;
        let call = cx.aws().iam().get_role().role_name(name).send();
        let answer = cx.call(&role::GET_ROLE, &format!("reading the role {name}"), call).await.map_err(|e| e.gone(role::in_words(name)))?;
        let role = answer.role().ok_or_else(|| ActError::Refused(format!("AWS said nothing about the role {name}")))?;
        let arn = role.permissions_boundary().and_then(|b| b.permissions_boundary_arn());
        Ok(Reading::Settled(Boundary(arn.map(str::to_string))))
    }

    fn contained(&self, cell: &Cell, _: &Boundary) -> Result<Boundary, ActError> {
        let arn = cell.facts.get("boundary").and_then(Value::as_str);
        let arn = arn.ok_or_else(|| ActError::State { cell: cell.id.to_string(), why: "its facts hold no boundary".into() })?;
        Ok(Boundary(Some(arn.to_string())))
    }

    fn restorable(&self, _: &Boundary) -> Restorable {
        Restorable::Exactly
    }

    async fn set(&self, cx: &ActCx<'_>, cell: &CellId, to: &Boundary, _: &ContainPermit) -> Result<(), ActError> {
        let name = place(cell)?;
        match &to.0 {
            Some(arn) => {
                let call = cx.aws().iam().put_role_permissions_boundary().role_name(name).permissions_boundary(arn).send();
                cx.call(&PUT, &format!("putting the boundary {arn} on the role {name}"), call).await.map(drop)
            }
            None => {
                let call = cx.aws().iam().delete_role_permissions_boundary().role_name(name).send();
                match cx.call(&DELETE, &format!("removing the permissions boundary of the role {name}"), call).await {
                    // There is none left: the read back tells whether the role itself is gone.
                    Err(e) if !e.is_absent() => Err(e),
                    _ => Ok(()),
                }
            }
        }
    }

    fn by_hand(&self, _: &Target, cell: &CellId, before: &Boundary) -> Result<Vec<AwsCli>, ActError> {
        let role = ("--role-name", place(cell)?);
        Ok(vec![match &before.0 {
            Some(arn) => AwsCli::new("iam", "put-role-permissions-boundary", [role, ("--permissions-boundary", arn.as_str())]),
            None => {
                let query = ("--query", "Role.PermissionsBoundary.PermissionsBoundaryArn");
                AwsCli::new("iam", "delete-role-permissions-boundary", [role]).unless_says("iam", "get-role", [role, query], "None")
            }
        }])
    }
}
