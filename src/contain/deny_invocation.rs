//! A deny of every invocation in the resource policies of the function, its aliases and its versions (`containment.md` C3). An explicit deny
//! beats every grant, so nothing has to be taken away: the denies are added to the documents that are there, and restore puts back the very
//! bytes. One document for each name, because a policy may belong to one name alone.
//!
//! Where Lambda does not know whole documents yet, single grants are taken out instead (C3b, `grants`).
//!
//! What it never does: remove a statement from a document, write a document that somebody changed since it was read.

use super::policy_calls::{self as calls, arn, remade};
use super::qualifiers::{self, LATEST};
use super::{ActCx, ActError, Action, ActionSpec, AwsCli, Bearing, Cell, ContainPermit, Reading};
use super::{grants, resource_policy as policy, role};
use crate::aws::fault::{FaultClass, tame};
use crate::model::call::{Call, Service};
use crate::model::id::CellId;
use crate::model::params::{Param, ParamKind};
use crate::model::restorable::Restorable;
use crate::model::target::Target;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub struct DenyInvocation;

static SPEC: ActionSpec = ActionSpec {
    id: "deny-invocation",
    title: "Deny every invocation in the resource policies",
    stops: "every caller whose call Lambda judges by a resource policy: principals of this account and of others, services, function URLs",
    does_not_stop: "event source mappings, which poll with the execution role; invocations that already run; whoever may change the policy \
                    itself",
    side_effects: "callers are refused and may retry or drop what they carry; somebody who edits grants meanwhile (a deployment) is drift at \
                   restore; with single statements taken out, principals of this account that IAM allows can still call",
    restore: "the documents are put back byte for byte, or deleted where there was none; single statements are made again; together with the \
              other denies, late. By hand it takes an aws-cli of August 2026 or later",
    calls: &[
        qualifiers::LIST_ALIASES,
        qualifiers::LIST_VERSIONS,
        role::GET_CONFIGURATION,
        IDENTITY,
        calls::GET_DOCUMENT,
        calls::PUT_DOCUMENT,
        calls::DELETE_DOCUMENT,
        calls::GET_POLICY,
        calls::ADD,
        calls::REMOVE,
    ],
    params: &[
        qualifiers::only("the alias or version to deny alone, or $LATEST for the function's own policy; none means all of them"),
        Param {
            name: "how",
            kind: ParamKind::Word(&["auto", "document", "statements"]),
            default: "auto",
            doc: "a deny in the whole document, or single grants taken out; auto takes the document wherever Lambda knows it",
        },
        Param {
            name: "deny-updates-except",
            kind: ParamKind::ArnOf("iam"),
            default: "none",
            doc: "deny changes of code, aliases, concurrency and destinations too, to all but this role or user: the one that runs freezeframe",
        },
    ],
    restore_rank: 2,
    bearing: Bearing::Refuses,
};

const IDENTITY: Call = Call::free(Service::Sts, "GetCallerIdentity");

/// What a cell holds: a document's text, or one statement's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// As AWS states it; canonical where our denies are in it.
    Document(Option<String>),
    /// In canonical form.
    Statement(Option<String>),
}

struct Place<'c> {
    qualifier: Option<&'c str>,
    /// For a single statement.
    sid: Option<&'c str>,
}

fn place<'c>(target: &Target, cell: &'c CellId) -> Result<Place<'c>, ActError> {
    let (name, sid) = match cell.key().split_once('/') {
        None => (cell.key(), None),
        Some((name, sid)) => (name, Some(sid)),
    };
    let qualifier = qualifiers::qualifier(&target.function, cell, name)?;
    match sid {
        Some(sid) if !is_sid(sid) => Err(ActError::Refused(format!("{} names no statement", tame(&cell.0, 200)))),
        sid => Ok(Place { qualifier, sid }),
    }
}

fn is_sid(sid: &str) -> bool {
    (1..=100).contains(&sid.len()) && sid.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// The principal that may go on changing the function. It must be the one that asks, or restore would be refused by our own deny.
async fn spared(cx: &ActCx<'_>) -> Result<Option<String>, ActError> {
    let Some(spared) = cx.params().unless_none("deny-updates-except") else { return Ok(None) };
    let call = cx.aws().sts().get_caller_identity().send();
    let answer = cx.call(&IDENTITY, "asking who we are", call).await?;
    let we = answer.arn().unwrap_or_default();
    if is_principal(&spared, we) {
        return Ok(Some(spared));
    }
    let (spared, we) = (tame(&spared, 200), tame(we, 200));
    Err(ActError::Refused(format!(
        "{spared} would be spared by the deny of updates, yet {we} is at work: name its role, or its restore fails"
    )))
}

/// Whether `session` (`arn:…:sts::1:assumed-role/name/session`, or a user) acts as `principal` (`arn:…:iam::1:role/path/name`).
fn is_principal(principal: &str, session: &str) -> bool {
    let part = |arn: &str, n: usize| arn.splitn(6, ':').nth(n).unwrap_or_default().to_string();
    let (role, assumed) = (part(principal, 5), part(session, 5));
    let name = role.strip_prefix("role/").and_then(|p| p.rsplit('/').next()).filter(|n| !n.is_empty());
    let acts = name.is_some_and(|n| assumed.strip_prefix("assumed-role/").and_then(|s| s.split('/').next()) == Some(n));
    principal == session || (acts && part(principal, 4) == part(session, 4) && part(principal, 1) == part(session, 1))
}

/// The cells of whole documents.
fn documents(cx: &ActCx<'_>, names: &[Option<String>], spared: Option<&str>) -> Vec<Cell> {
    let target = cx.target();
    let cell = |qualifier: &Option<String>| {
        let arn = arn(target, qualifier.as_deref());
        // The function's own policy can speak for all its names; whether it is asked for each of them is why each gets its own.
        let resources = match qualifier {
            None => vec![arn.clone(), format!("{arn}:*")],
            Some(_) => vec![arn.clone()],
        };
        let mut denies = vec![policy::deny_invocation(&resources)];
        denies.extend(spared.map(|s| policy::deny_updates(&resources, s)));
        let name = qualifiers::key(&target.function, qualifier.as_deref());
        Cell {
            id: CellId::new(SPEC.id, &name),
            label: format!("resource policy of {name}"),
            facts: json!({"resource": arn, "denies": denies}),
        }
    };
    names.iter().map(cell).collect()
}

fn statement_cell(target: &Target, qualifier: Option<&str>, sid: &str) -> Cell {
    let name = qualifiers::key(&target.function, qualifier);
    Cell {
        id: CellId::new(SPEC.id, &format!("{name}/{sid}")),
        label: format!("statement {sid} of the resource policy of {name}"),
        facts: json!({"resource": arn(target, qualifier)}),
    }
}

/// The cells of single statements. The last comes first: they go back in the opposite order, and so each to its place.
async fn single(cx: &ActCx<'_>, names: &[Option<String>]) -> Result<Vec<Cell>, ActError> {
    let target = cx.target();
    let mut cells = vec![];
    for qualifier in names {
        let name = qualifiers::key(&target.function, qualifier.as_deref());
        for (sid, _) in grants::grants(&calls::statements(cx, qualifier.as_deref()).await?.0).into_iter().rev() {
            match sid.filter(|s| is_sid(s)) {
                Some(sid) => cells.push(statement_cell(target, qualifier.as_deref(), &sid)),
                None => cx.remark(format!("a statement of the policy of {name} lets somebody invoke and has no id to remove it by")),
            }
        }
    }
    // What was taken out already is in no policy any more, and is held all the same.
    for id in cx.held() {
        let Ok(Place { qualifier, sid: Some(sid) }) = place(target, id) else { continue };
        if names.iter().any(|n| n.as_deref() == qualifier) && !cells.iter().any(|c| c.id == *id) {
            cells.push(statement_cell(target, qualifier, sid));
        }
    }
    if cells.is_empty() {
        cx.remark(format!("no statement lets anybody invoke {}", target.function));
    }
    Ok(cells)
}

fn another_kind(cell: &CellId) -> ActError {
    ActError::State { cell: cell.to_string(), why: "the state is of another kind than the cell".into() }
}

#[async_trait]
impl Action for DenyInvocation {
    type State = Held;

    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn cells(&self, cx: &ActCx<'_>) -> Result<Vec<Cell>, ActError> {
        let spared = spared(cx).await?;
        let mut names = vec![LATEST.to_string()];
        names.extend(qualifiers::aliases(cx).await?);
        names.extend(qualifiers::versions(cx).await?.into_iter().map(|v| v.name).filter(|v| v != LATEST));
        let names: Vec<Option<String>> =
            qualifiers::chosen(cx, names, "alias or version", |n| n)?.into_iter().map(|n| Some(n).filter(|n| n != LATEST)).collect();
        let how = cx.params().text("how");
        match how.as_deref() {
            Some("document") => return Ok(documents(cx, &names, spared.as_deref())),
            Some("statements") => {}
            None | Some("auto") => match calls::document(cx, None).await {
                Ok(_) => return Ok(documents(cx, &names, spared.as_deref())),
                Err(ActError::Call { source, .. }) if source.class == FaultClass::Unsupported => {
                    cx.remark("Lambda knows no policy documents here, so single statements are taken out instead".to_string());
                }
                Err(e) => return Err(e),
            },
            Some(other) => {
                return Err(ActError::Refused(format!("`{}` is no way to deny: use auto, document or statements", tame(other, 40))));
            }
        }
        match spared {
            None => single(cx, &names).await,
            Some(_) => Err(ActError::Refused("updates can be denied in a whole document only; leave deny-updates-except out".into())),
        }
    }

    async fn read(&self, cx: &ActCx<'_>, cell: &CellId) -> Result<Reading<Held>, ActError> {
        let Place { qualifier, sid } = place(cx.target(), cell)?;
        let held = match sid {
            None => calls::read_document(cx, cell, qualifier).await.map(Held::Document),
            Some(sid) => calls::read_statement(cx, cell, qualifier, sid).await.map(Held::Statement),
        };
        // A policy that is absent has been told from a version or alias that is, and went with it. Not so the function's own: one of its name that
        // is made again may want its policy back.
        held.map(Reading::Settled).map_err(|e| match qualifier {
            Some(_) => e.gone(qualifiers::key(&cx.target().function, qualifier)),
            None => e,
        })
    }

    fn contained(&self, cell: &Cell, before: &Held) -> Result<Held, ActError> {
        let Held::Document(text) = before else { return Ok(Held::Statement(None)) };
        let denies = cell.facts.get("denies").and_then(Value::as_array);
        let denies = denies.ok_or_else(|| ActError::State { cell: cell.id.to_string(), why: "its facts hold no denies".into() })?;
        let after = policy::with(text.as_deref(), denies)
            .map_err(|e| ActError::Refused(format!("the {} cannot be added to: {}", cell.label, tame(&e.0, 200))))?;
        if after.len() > policy::LIMIT {
            return Err(ActError::Refused(format!(
                "the {} would be {} bytes with the deny in it, and Lambda takes {}; contain the function by its concurrency",
                cell.label,
                after.len(),
                policy::LIMIT
            )));
        }
        Ok(Held::Document(Some(after)))
    }

    fn restorable(&self, before: &Held) -> Restorable {
        let Held::Statement(Some(text)) = before else { return Restorable::Exactly };
        match remade("the policy", text) {
            Ok(_) => Restorable::Exactly,
            Err(_) => Restorable::No("AddPermission cannot make a statement of this form again".into()),
        }
    }

    async fn set(&self, cx: &ActCx<'_>, cell: &CellId, to: &Held, _: &ContainPermit) -> Result<(), ActError> {
        match (place(cx.target(), cell)?, to) {
            (Place { qualifier, sid: None }, Held::Document(text)) => calls::set_document(cx, cell, qualifier, text.as_deref()).await,
            (Place { qualifier, sid: Some(sid) }, Held::Statement(text)) => {
                calls::set_statement(cx, cell, qualifier, sid, text.as_deref()).await
            }
            _ => Err(another_kind(cell)),
        }
    }

    fn by_hand(&self, target: &Target, cell: &CellId, before: &Held) -> Result<Vec<AwsCli>, ActError> {
        Ok(vec![match (place(target, cell)?, before) {
            (Place { qualifier, sid: None }, Held::Document(text)) => {
                let arn = arn(target, qualifier);
                let resource = ("--resource-arn", arn.as_str());
                match text {
                    Some(text) => AwsCli::new("lambda", "put-resource-policy", [resource, ("--policy", text)]),
                    None => {
                        AwsCli::new("lambda", "delete-resource-policy", [resource]).if_found("lambda", "get-resource-policy", [resource])
                    }
                }
            }
            (Place { qualifier, sid: Some(sid) }, Held::Statement(text)) => match text {
                Some(text) => remade(&qualifiers::key(&target.function, qualifier), text)?.by_hand(&target.function, qualifier),
                None => grants::removal_by_hand(&target.function, qualifier, sid),
            },
            _ => return Err(another_kind(cell)),
        }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_who_is_at_work_is_known_by_role_or_as_a_user() {
        let role = "arn:aws:iam::123456789012:role/team/responder";
        assert!(is_principal(role, "arn:aws:sts::123456789012:assumed-role/responder/ines"));
        assert!(is_principal("arn:aws:iam::123456789012:user/x", "arn:aws:iam::123456789012:user/x"));
        for other in [
            "arn:aws:sts::999999999999:assumed-role/responder/ines",
            "arn:aws:sts::123456789012:assumed-role/responders/ines",
            "arn:aws:sts::123456789012:assumed-role/ines/responder",
            "arn:aws:iam::123456789012:user/responder",
            "",
        ] {
            assert!(!is_principal(role, other), "{other}");
        }
    }

    #[test]
    fn the_journal_form_is_a_promise() {
        for (state, text) in [
            (Held::Document(Some("{ }".into())), r#"{"document":"{ }"}"#),
            (Held::Document(None), r#"{"document":null}"#),
            (Held::Statement(Some("{}".into())), r#"{"statement":"{}"}"#),
        ] {
            assert_eq!(serde_json::to_string(&state).unwrap(), text);
            assert_eq!(serde_json::from_str::<Held>(text).unwrap(), state);
        }
    }
}
