//! Lambda may no longer assume the role: a deny in its trust policy (`containment.md` C9). New environments get no credentials and fail; those
//! that were issued live on, which is what `revoke-sessions` and `quarantine-role` are for.
//!
//! Restore puts the document back as it was. IAM keeps the meaning of a trust policy rather than its text, so the meaning is what is compared
//! ([`same_trust`]); the text that is put back is the one that AWS gave, byte for byte. What it never does: take anybody's admission away but by
//! the one deny.

use super::policy_text::{admitted, is_dead_principal, same_trust, statements, without_dead_principals};
use super::qualifiers::LIST_VERSIONS;
use super::role::{self, Role};
use super::role_users::{self, ACCEPT, LIST_FUNCTIONS, REGIONS};
use super::roles_in_use::{Gathered, roles};
use super::{ActCx, ActError, Action, ActionSpec, AwsCli, Bearing, Cell, ContainPermit, Reading};
use crate::aws::fault::FaultClass;
use crate::model::call::{Call, Scope, Service};
use crate::model::id::CellId;
use crate::model::restorable::Restorable;
use crate::model::target::Target;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub struct BlockRoleAssumption;

static SPEC: ActionSpec = ActionSpec {
    id: "block-role-assumption",
    title: "Deny Lambda the assumption of the role",
    stops: "the issue of new credentials: environments that start from now on get none and fail",
    does_not_stop: "credentials already issued, to their expiry twelve hours after issue; warm environments; whoever else the trust policy admits",
    side_effects: "every function on the role fails as soon as it needs a new environment, and cannot be created or updated with this role",
    restore: "the trust policy is put back as it read before; identities in it that were deleted admit nobody and may have to be left out",
    calls: &[LIST_VERSIONS, role::GET_CONFIGURATION, role::GET_ROLE, LIST_FUNCTIONS, UPDATE],
    params: &[REGIONS, ACCEPT],
    // Before the denies: what is recycled when they are lifted needs new credentials.
    restore_rank: 1,
    bearing: Bearing::Disables,
};

const UPDATE: Call = Call::write(Service::Iam, "UpdateAssumeRolePolicy", "iam:UpdateAssumeRolePolicy", Scope::Role);
const SID: &str = "IRBlockAssumption";
const LAMBDA: &str = "lambda.amazonaws.com";
const EDGE: &str = "edgelambda.amazonaws.com";

/// The trust policy's text, decoded. Equal is what admits the same people.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Trust(String);

impl PartialEq for Trust {
    fn eq(&self, other: &Self) -> bool {
        same_trust(&self.0, &other.0)
    }
}

fn place(cell: &CellId) -> Result<&str, ActError> {
    Some(cell.key()).filter(|r| role::is_role_name(r)).ok_or_else(|| ActError::Refused(format!("{cell} names no role")))
}

/// The document with the deny; itself when it has it already. `None` when it is no policy document that can be understood.
fn denied(text: &str) -> Option<String> {
    let mut document: Value = serde_json::from_str(text).ok()?;
    let all = statements(&document)?;
    // Only who is named: another partition may not know the edge.
    let edge = admitted(text)?.contains(EDGE);
    let service = if edge { json!([LAMBDA, EDGE]) } else { json!(LAMBDA) };
    let deny = |sid: String| json!({"Sid": sid, "Effect": "Deny", "Principal": {"Service": service}, "Action": "sts:AssumeRole"});
    let sids: Vec<&str> = all.iter().filter_map(|s| s.get("Sid")?.as_str()).collect();
    let like_ours = |s: &Value| {
        let sid = s.get("Sid").and_then(Value::as_str).unwrap_or_default().to_string();
        sid.starts_with(SID) && same_trust(&s.to_string(), &deny(sid).to_string())
    };
    if all.iter().any(|s| like_ours(s)) {
        return Some(text.to_string());
    }
    let free = (1..).map(|n| if n == 1 { SID.to_string() } else { format!("{SID}{n}") }).find(|sid| !sids.contains(&sid.as_str()))?;
    let ours = deny(free);
    let list = document.get_mut("Statement")?;
    match list {
        Value::Array(all) => all.push(ours),
        one => *one = json!([one.take(), ours]),
    }
    Some(document.to_string())
}

#[async_trait]
impl Action for BlockRoleAssumption {
    type State = Trust;

    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn cells(&self, cx: &ActCx<'_>) -> Result<Vec<Cell>, ActError> {
        let roles = roles(cx).await?;
        let cell = |(role, alone): (&Role, Result<Value, ActError>)| {
            let (label, mut facts) = (format!("trust policy of the role {}", role.label()), role.facts());
            facts["users"] = alone?;
            Ok(Cell { id: CellId::new(SPEC.id, &role.name), label, facts })
        };
        let mut cells = Gathered::default();
        roles.iter().zip(role_users::must_be_alone(cx, &roles).await).map(cell).for_each(|c| cells.take(c));
        cells.done(cx)
    }

    async fn read(&self, cx: &ActCx<'_>, cell: &CellId) -> Result<Reading<Trust>, ActError> {
        let name = place(cell)?;
        let call = cx.aws().iam().get_role().role_name(name).send();
        let answer = cx.call(&role::GET_ROLE, &format!("reading the role {name}"), call).await.map_err(|e| e.gone(role::in_words(name)))?;
        let text = answer.role().and_then(|r| r.assume_role_policy_document()).and_then(role::decode);
        let text = text.ok_or_else(|| {
            ActError::Refused(format!("the trust policy of the role {name} is not the URL-encoded text that IAM documents"))
        })?;
        Ok(Reading::Settled(Trust(text)))
    }

    fn contained(&self, cell: &Cell, before: &Trust) -> Result<Trust, ActError> {
        let why = || ActError::State { cell: cell.id.to_string(), why: "the trust policy is no policy document".into() };
        denied(&before.0).map(Trust).ok_or_else(why)
    }

    fn restorable(&self, before: &Trust) -> Restorable {
        let gone = admitted(&before.0).is_some_and(|all| all.iter().any(|p| is_dead_principal(p)));
        match gone {
            true => Restorable::Approximately(
                "the trust policy names identities that were deleted (AROA… or AIDA…), which IAM may refuse to take again; they admit nobody, \
                 and are then left out"
                    .into(),
            ),
            false => Restorable::Exactly,
        }
    }

    async fn set(&self, cx: &ActCx<'_>, cell: &CellId, to: &Trust, _: &ContainPermit) -> Result<(), ActError> {
        let name = place(cell)?;
        let put = async |text: &str| {
            let call = cx.aws().iam().update_assume_role_policy().role_name(name).policy_document(text).send();
            cx.call(&UPDATE, &format!("writing the trust policy of the role {name}"), call).await.map(drop)
        };
        match (put(&to.0).await, without_dead_principals(&to.0)) {
            // Refused for an identity that is gone, perhaps: without it the document says the same.
            (Err(ActError::Call { source, .. }), Some(alive)) if source.class == FaultClass::Refused => put(&alive).await,
            (result, _) => result,
        }
    }

    fn by_hand(&self, _: &Target, cell: &CellId, before: &Trust) -> Result<Vec<AwsCli>, ActError> {
        let alive = without_dead_principals(&before.0);
        let text = alive.as_deref().unwrap_or(&before.0);
        Ok(vec![AwsCli::new("iam", "update-assume-role-policy", [("--role-name", place(cell)?), ("--policy-document", text)])])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deny_is_added_once_and_nothing_is_taken_away() {
        let before = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}}"#;
        let after = denied(before).unwrap();
        let document: Value = serde_json::from_str(&after).unwrap();
        assert_eq!(document["Statement"][0]["Effect"], "Allow");
        assert_eq!(
            document["Statement"][1],
            json!({"Sid": "IRBlockAssumption", "Effect": "Deny", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"})
        );
        assert_eq!(denied(&after).unwrap(), after);
        assert_ne!(Trust(before.into()), Trust(after));
        assert_eq!(denied("[]"), None);
    }

    #[test]
    fn the_edge_is_denied_where_it_is_admitted_and_sids_stay_unique() {
        let before = r#"{"Statement":[{"Sid":"IRBlockAssumption","Effect":"Allow","Principal":{"Service":["lambda.amazonaws.com","edgelambda.amazonaws.com"]},"Action":"sts:AssumeRole"}]}"#;
        let after: Value = serde_json::from_str(&denied(before).unwrap()).unwrap();
        assert_eq!(after["Statement"][1]["Sid"], "IRBlockAssumption2");
        assert_eq!(after["Statement"][1]["Principal"]["Service"], json!(["lambda.amazonaws.com", "edgelambda.amazonaws.com"]));
    }

    #[test]
    fn identities_that_are_gone_make_it_less_than_exact() {
        let doc = |p: &str| Trust(format!(r#"{{"Statement":[{{"Effect":"Allow","Principal":{{"AWS":["{p}","arn:y"]}}}}]}}"#));
        assert_eq!(BlockRoleAssumption.restorable(&doc("arn:x")), Restorable::Exactly);
        assert!(matches!(BlockRoleAssumption.restorable(&doc("AROAEXAMPLEDEAD00001")), Restorable::Approximately(_)));
    }
}
