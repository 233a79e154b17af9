//! Resource policies as Lambda is asked about them and told of them: whole documents by the newer calls, single statements by the older.
//!
//! A write follows from a read, and between the two lies whatever the journal takes. So what was read is noted ([`ActCx::note_revision`]), and just
//! before the write it is read again: what somebody changed in between is not written over ([`ActError::Overtaken`]). The write carries the revision of
//! that second read.

use super::grants::{self, Grant};
use super::{ActCx, ActError};
use super::{qualifiers, resource_policy as policy, role};
use crate::model::call::{Call, Scope, Service};
use crate::model::id::CellId;
use crate::model::target::Target;
use aws_sdk_lambda::types::FunctionUrlAuthType;
use serde_json::Value;

// Lambda wants AddPermission and RemovePermission for putting, GetPolicy for reading and RemovePermission for deleting a document as well
// (developer guide, "Working with resource-based policies", Required permissions). All three are declared below for their own sake.
pub(super) const GET_DOCUMENT: Call = Call::read(Service::Lambda, "GetResourcePolicy", "lambda:GetResourcePolicy", Scope::Function);
pub(super) const PUT_DOCUMENT: Call = Call::write(Service::Lambda, "PutResourcePolicy", "lambda:PutResourcePolicy", Scope::Function);
pub(super) const DELETE_DOCUMENT: Call =
    Call::write(Service::Lambda, "DeleteResourcePolicy", "lambda:DeleteResourcePolicy", Scope::Function);
pub(super) const GET_POLICY: Call = Call::read(Service::Lambda, "GetPolicy", "lambda:GetPolicy", Scope::Function);
pub(super) const ADD: Call = Call::write(Service::Lambda, "AddPermission", "lambda:AddPermission", Scope::Function);
pub(super) const REMOVE: Call = Call::write(Service::Lambda, "RemovePermission", "lambda:RemovePermission", Scope::Function);

pub(super) fn arn(target: &Target, qualifier: Option<&str>) -> String {
    qualifier.map_or_else(|| target.arn(), |q| format!("{}:{q}", target.arn()))
}

/// 404 says *no policy*, and also *no such function or alias*: only the first is an answer.
async fn exists(cx: &ActCx<'_>, qualifier: Option<&str>) -> Result<(), ActError> {
    let name = qualifiers::key(&cx.target().function, qualifier);
    let call = cx.aws().lambda().get_function_configuration().function_name(&cx.target().function);
    let call = call.set_qualifier(qualifier.map(str::to_string)).send();
    cx.call(&role::GET_CONFIGURATION, &format!("reading the configuration of {name}"), call).await.map(drop)
}

/// Text and revision.
pub(super) async fn document(cx: &ActCx<'_>, qualifier: Option<&str>) -> Result<Option<(String, Option<String>)>, ActError> {
    let arn = arn(cx.target(), qualifier);
    let call = cx.aws().lambda().get_resource_policy().resource_arn(&arn).send();
    match cx.call(&GET_DOCUMENT, &format!("reading the policy document of {arn}"), call).await {
        Ok(answer) => {
            let text = answer.policy().ok_or_else(|| ActError::Refused(format!("AWS stated a policy of {arn} without its text")))?;
            Ok(Some((text.to_string(), answer.revision_id().map(str::to_string))))
        }
        Err(e) if e.is_absent() => exists(cx, qualifier).await.map(|()| None),
        Err(e) => Err(e),
    }
}

/// The policy as the older call shows it, and its revision.
pub(super) async fn statements(cx: &ActCx<'_>, qualifier: Option<&str>) -> Result<(Value, Option<String>), ActError> {
    let name = qualifiers::key(&cx.target().function, qualifier);
    let call = cx.aws().lambda().get_policy().function_name(&cx.target().function).set_qualifier(qualifier.map(str::to_string)).send();
    match cx.call(&GET_POLICY, &format!("reading the policy of {name}"), call).await {
        Ok(answer) => {
            let text = answer.policy().filter(|t| t.len() <= 4 * policy::LIMIT).unwrap_or_default();
            let value = serde_json::from_str(text).map_err(|_| ActError::Refused(format!("the policy of {name} is no JSON")))?;
            Ok((value, answer.revision_id().map(str::to_string)))
        }
        Err(e) if e.is_absent() => exists(cx, qualifier).await.map(|()| (Value::Null, None)),
        Err(e) => Err(e),
    }
}

/// `PublicPolicyException` in the words of somebody who has to decide.
fn told(error: ActError, arn: &str, restoring: bool) -> ActError {
    match &error {
        ActError::Call { source, .. } if source.code.as_deref() == Some("PublicPolicyException") => ActError::Refused(match restoring {
            true => format!(
                "AWS does not take the former policy of {arn} back, because it is public, which is not allowed here ({source}); its text stands \
                 in the case journal. Allow public policies for this function and restore again, or put a narrower policy and let this cell go"
            ),
            false => format!(
                "AWS refuses the deny for {arn} because the policy that is there is public ({source}); contain the function by its concurrency \
                 and its URLs, or use `how: statements`"
            ),
        }),
        _ => error,
    }
}

/// A document's text as it goes into the journal, noted for the write that may follow.
pub(super) async fn read_document(cx: &ActCx<'_>, cell: &CellId, qualifier: Option<&str>) -> Result<Option<String>, ActError> {
    let text = document(cx, qualifier).await?.map(|(text, _)| policy::noted(text));
    // The text itself stands for its revision: AWS's own id may move without it, and another text is what must not be written over.
    cx.note_revision(cell, text.as_deref());
    Ok(text)
}

/// The same for a single statement, whatever the others beside it say.
pub(super) async fn read_statement(cx: &ActCx<'_>, cell: &CellId, qualifier: Option<&str>, sid: &str) -> Result<Option<String>, ActError> {
    let text = grants::statement(&statements(cx, qualifier).await?.0, sid);
    cx.note_revision(cell, text.as_deref());
    Ok(text)
}

pub(super) async fn set_document(cx: &ActCx<'_>, cell: &CellId, qualifier: Option<&str>, to: Option<&str>) -> Result<(), ActError> {
    let arn = arn(cx.target(), qualifier);
    let (text, revision) = document(cx, qualifier).await?.map_or((None, None), |(text, revision)| (Some(policy::noted(text)), revision));
    if text.as_deref() == to {
        return Ok(());
    }
    if text != cx.revision(cell) {
        return Err(ActError::Overtaken(format!("the policy of {arn}")));
    }
    match to {
        Some(to) => {
            let call = cx.aws().lambda().put_resource_policy().resource_arn(&arn).policy(to).set_revision_id(revision).send();
            let doing = format!("writing the policy document of {arn}");
            cx.call(&PUT_DOCUMENT, &doing, call).await.map(drop).map_err(|e| told(e, &arn, !policy::holds_ours(to)))
        }
        None => {
            let call = cx.aws().lambda().delete_resource_policy().resource_arn(&arn).set_revision_id(revision).send();
            match cx.call(&DELETE_DOCUMENT, &format!("deleting the policy document of {arn}"), call).await {
                Err(e) if !e.is_absent() => Err(e),
                _ => Ok(()),
            }
        }
    }
}

pub(super) async fn set_statement(
    cx: &ActCx<'_>,
    cell: &CellId,
    qualifier: Option<&str>,
    sid: &str,
    to: Option<&str>,
) -> Result<(), ActError> {
    let function = &cx.target().function;
    let name = qualifiers::key(function, qualifier);
    let grant = to.map(|text| remade(&name, text)).transpose()?;
    let (policy, mut revision) = statements(cx, qualifier).await?;
    let now = grants::statement(&policy, sid);
    if now.as_deref() == to {
        return Ok(());
    }
    if now != cx.revision(cell) {
        return Err(ActError::Overtaken(format!("the statement {sid} of the policy of {name}")));
    }
    if now.is_some() {
        let call = cx.aws().lambda().remove_permission().function_name(function).set_qualifier(qualifier.map(str::to_string));
        let call = call.statement_id(sid).set_revision_id(revision.take()).send();
        match cx.call(&REMOVE, &format!("removing the statement {sid} of {name}"), call).await {
            Err(e) if !e.is_absent() => return Err(told(e, &name, false)),
            _ => cx.note_revision(cell, None),
        }
    }
    let Some(grant) = grant else { return Ok(()) };
    let call = cx.aws().lambda().add_permission().function_name(function).set_qualifier(qualifier.map(str::to_string));
    let call = call
        .statement_id(&grant.sid)
        .action(&grant.action)
        .principal(&grant.principal)
        .set_source_arn(grant.source_arn)
        .set_source_account(grant.source_account)
        .set_principal_org_id(grant.organisation)
        .set_function_url_auth_type(grant.url_auth_type.as_deref().map(FunctionUrlAuthType::from))
        .set_event_source_token(grant.event_source_token)
        .set_invoked_via_function_url(grant.via_function_url)
        .set_revision_id(revision);
    cx.call(&ADD, &format!("adding the statement {sid} of {name}"), call.send()).await.map(drop).map_err(|e| told(e, &name, true))
}

pub(super) fn remade(name: &str, text: &str) -> Result<Grant, ActError> {
    let grant = serde_json::from_str(text).ok().and_then(|v| Grant::of(&v));
    grant.ok_or_else(|| {
        ActError::Refused(format!("AddPermission cannot make this statement of {name} again; its text stands in the case journal"))
    })
}
