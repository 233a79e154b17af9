//! Taking the role's permissions away: managed policies detached, inline policies removed, each a cell of its own (`containment.md` C11).
//!
//! Weaker than quarantine (grants by resource policies remain) and harder to undo (many writes), hence off in the shipped playbooks. What it
//! never touches: the inline policies that `quarantine-role` and `revoke-sessions` wrote, the permissions boundary, the managed policies themselves.

use super::qualifiers::LIST_VERSIONS;
use super::role::{self, Role};
use super::role_users::{self, ACCEPT, LIST_FUNCTIONS, REGIONS};
use super::roles_in_use::{Gathered, roles};
use super::{ActCx, ActError, Action, ActionSpec, AwsCli, Bearing, Cell, ContainPermit, Reading};
use crate::model::call::{Call, Scope, Service};
use crate::model::id::CellId;
use crate::model::restorable::Restorable;
use crate::model::target::Target;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub struct DetachPermissions;

static SPEC: ActionSpec = ActionSpec {
    id: "detach-permissions",
    title: "Detach the role's managed policies and remove its inline policies",
    stops: "what the role may do through its own policies, for every session of it, once IAM has spread it (minutes)",
    does_not_stop: "access that resource policies grant to the role (buckets, queues, keys), invocations themselves, sessions of other roles already assumed",
    side_effects: "everybody who uses the role loses its permissions, logging included, so the function's own traces end here; several writes, \
                   which can stop half-way",
    restore: "managed policies are attached again and inline policies written back byte for byte, one by one, before any quarantine is lifted",
    calls: &[
        LIST_VERSIONS,
        role::GET_CONFIGURATION,
        role::GET_ROLE,
        LIST_FUNCTIONS,
        LIST_ATTACHED,
        role::LIST_ROLE_POLICIES,
        role::GET_ROLE_POLICY,
        DETACH,
        ATTACH,
        role::PUT_ROLE_POLICY,
        role::DELETE_ROLE_POLICY,
    ],
    params: &[REGIONS, ACCEPT],
    restore_rank: 1,
    bearing: Bearing::Disables,
};

const LIST_ATTACHED: Call = Call::read(Service::Iam, "ListAttachedRolePolicies", "iam:ListAttachedRolePolicies", Scope::Role);
const DETACH: Call = Call::write(Service::Iam, "DetachRolePolicy", "iam:DetachRolePolicy", Scope::Role);
const ATTACH: Call = Call::write(Service::Iam, "AttachRolePolicy", "iam:AttachRolePolicy", Scope::Role);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    Attached(bool),
    /// The policy's text, decoded; `None` when there is no policy of the name.
    Inline(Option<String>),
}

enum Place<'c> {
    Attached { role: &'c str, arn: &'c str },
    Inline { role: &'c str, policy: &'c str },
}

fn place(cell: &CellId) -> Result<Place<'_>, ActError> {
    let mut parts = cell.key().splitn(3, '/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some("attached"), Some(role), Some(arn)) if !role.is_empty() && arn.starts_with("arn:") => Ok(Place::Attached { role, arn }),
        (Some("inline"), Some(role), Some(policy)) if !role.is_empty() && !policy.is_empty() && !role::is_ours(policy) => {
            Ok(Place::Inline { role, policy })
        }
        _ => Err(ActError::Refused(format!("{cell} names no policy that may be detached"))),
    }
}

async fn attached_policies(cx: &ActCx<'_>, role: &str) -> Result<Vec<String>, ActError> {
    let mut arns = vec![];
    let mut marker: Option<String> = None;
    for _ in 0..role::PAGES {
        let call = cx.aws().iam().list_attached_role_policies().role_name(role).set_marker(marker.take()).send();
        let page = cx.call(&LIST_ATTACHED, &format!("listing the policies attached to the role {role}"), call).await?;
        arns.extend(page.attached_policies().iter().filter_map(|p| p.policy_arn()).map(str::to_string));
        marker = page.marker().filter(|_| page.is_truncated()).map(str::to_string);
        if marker.is_none() {
            return Ok(arns);
        }
    }
    Err(ActError::Refused(format!("the list of policies attached to the role {role} has no end")))
}

async fn of_role(cx: &ActCx<'_>, role: &Role, users: Value) -> Result<Vec<Cell>, ActError> {
    let mut facts = role.facts();
    facts["users"] = users;
    let role = &role.name;
    let mut ids = vec![];
    for arn in attached_policies(cx, role).await? {
        ids.push(CellId::new(SPEC.id, &format!("attached/{role}/{arn}")));
    }
    for policy in role::inline_policies(cx, role).await?.into_iter().filter(|p| !role::is_ours(p)) {
        ids.push(CellId::new(SPEC.id, &format!("inline/{role}/{policy}")));
    }
    // What somebody detached already is in no list any more, and is held all the same.
    let of_role = |id: &&CellId| matches!(place(id), Ok(Place::Attached { role: r, .. } | Place::Inline { role: r, .. }) if r == role);
    for id in cx.held().iter().filter(of_role) {
        if !ids.contains(id) {
            ids.push(id.clone());
        }
    }
    ids.into_iter().map(|id| Ok(Cell { label: label(&id)?, id, facts: facts.clone() })).collect()
}

#[async_trait]
impl Action for DetachPermissions {
    type State = Permission;

    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn cells(&self, cx: &ActCx<'_>) -> Result<Vec<Cell>, ActError> {
        let roles = roles(cx).await?;
        let mut cells = Gathered::default();
        for (role, alone) in roles.iter().zip(role_users::must_be_alone(cx, &roles).await) {
            cells.take(match alone {
                Ok(users) => of_role(cx, role, users).await,
                Err(e) => Err(e),
            });
        }
        Ok(cells.done(cx)?.into_iter().flatten().collect())
    }

    async fn read(&self, cx: &ActCx<'_>, cell: &CellId) -> Result<Reading<Permission>, ActError> {
        Ok(Reading::Settled(match place(cell)? {
            Place::Attached { role, arn } => Permission::Attached(attached_policies(cx, role).await?.iter().any(|a| a == arn)),
            Place::Inline { role, policy } => Permission::Inline(role::inline_policy(cx, role, policy).await?),
        }))
    }

    fn contained(&self, _: &Cell, before: &Permission) -> Result<Permission, ActError> {
        Ok(match before {
            Permission::Attached(_) => Permission::Attached(false),
            Permission::Inline(_) => Permission::Inline(None),
        })
    }

    fn restorable(&self, _: &Permission) -> Restorable {
        Restorable::Exactly
    }

    async fn set(&self, cx: &ActCx<'_>, cell: &CellId, to: &Permission, _: &ContainPermit) -> Result<(), ActError> {
        match (place(cell)?, to) {
            (Place::Attached { role, arn }, Permission::Attached(true)) => {
                let call = cx.aws().iam().attach_role_policy().role_name(role).policy_arn(arn).send();
                cx.call(&ATTACH, &format!("attaching {arn} to the role {role}"), call).await.map(drop)
            }
            (Place::Attached { role, arn }, Permission::Attached(false)) => {
                let call = cx.aws().iam().detach_role_policy().role_name(role).policy_arn(arn).send();
                match cx.call(&DETACH, &format!("detaching {arn} from the role {role}"), call).await {
                    Err(e) if !e.is_absent() => Err(e),
                    _ => Ok(()),
                }
            }
            (Place::Inline { role, policy }, Permission::Inline(text)) => role::set_inline_policy(cx, role, policy, text.as_deref()).await,
            _ => Err(another_kind(cell)),
        }
    }

    fn by_hand(&self, _: &Target, cell: &CellId, before: &Permission) -> Result<Vec<AwsCli>, ActError> {
        Ok(match (place(cell)?, before) {
            (Place::Attached { role, arn }, Permission::Attached(attached)) => {
                let names = [("--role-name", role), ("--policy-arn", arn)];
                // A policy that was found detached was never written; detaching twice is an error to IAM.
                match attached {
                    true => vec![AwsCli::new("iam", "attach-role-policy", names)],
                    false => vec![],
                }
            }
            (Place::Inline { role, policy }, Permission::Inline(text)) => vec![role::inline_policy_by_hand(role, policy, text.as_deref())],
            _ => return Err(another_kind(cell)),
        })
    }
}

fn label(cell: &CellId) -> Result<String, ActError> {
    Ok(match place(cell)? {
        Place::Attached { role, arn } => format!("{arn} on the role {role}"),
        Place::Inline { role, policy } => format!("inline policy {policy} of the role {role}"),
    })
}

fn another_kind(cell: &CellId) -> ActError {
    ActError::State { cell: cell.to_string(), why: "the state is of another kind than the cell".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_found_again_from_their_ids_alone() {
        let id = |s: &str| CellId(s.to_string());
        let attached = id("detach-permissions/attached/r/arn:aws:iam::123456789012:policy/team/x");
        assert!(matches!(place(&attached), Ok(Place::Attached { role: "r", arn: "arn:aws:iam::123456789012:policy/team/x" })));
        assert!(matches!(place(&id("detach-permissions/inline/r/p")), Ok(Place::Inline { role: "r", policy: "p" })));
        for bad in ["inline/r/freezeframe-quarantine-f", "inline/r", "inline//p", "attached/r/x", "other/r/p", ""] {
            assert!(place(&CellId::new(SPEC.id, bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_journal_form_is_a_promise() {
        for (state, text) in [
            (Permission::Attached(true), r#"{"attached":true}"#),
            (Permission::Inline(Some("{ }".into())), r#"{"inline":"{ }"}"#),
            (Permission::Inline(None), r#"{"inline":null}"#),
        ] {
            assert_eq!(serde_json::to_string(&state).unwrap(), text);
            assert_eq!(serde_json::from_str::<Permission>(text).unwrap(), state);
        }
    }
}
