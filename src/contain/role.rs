//! The execution role as the actions on it need to know it, and its inline policies as text.
//!
//! Restoring an inline policy must give back the bytes that were there. IAM keeps the text as it was put and hands it out URL-encoded
//! (RFC 3986), so what is kept is the decoded text, never a re-serialised document.

use super::qualifiers::LATEST;
use super::{ActCx, ActError, AwsCli};
use crate::aws::fault::tame;
use crate::model::call::{Call, Scope, Service};
use serde_json::{Value, json};

pub(super) const GET_CONFIGURATION: Call =
    Call::read(Service::Lambda, "GetFunctionConfiguration", "lambda:GetFunctionConfiguration", Scope::Function);
pub(super) const GET_ROLE: Call = Call::read(Service::Iam, "GetRole", "iam:GetRole", Scope::Role);
pub(super) const GET_ROLE_POLICY: Call = Call::read(Service::Iam, "GetRolePolicy", "iam:GetRolePolicy", Scope::Role);
pub(super) const LIST_ROLE_POLICIES: Call = Call::read(Service::Iam, "ListRolePolicies", "iam:ListRolePolicies", Scope::Role);
pub(super) const PUT_ROLE_POLICY: Call = Call::write(Service::Iam, "PutRolePolicy", "iam:PutRolePolicy", Scope::Role);
pub(super) const DELETE_ROLE_POLICY: Call = Call::write(Service::Iam, "DeleteRolePolicy", "iam:DeleteRolePolicy", Scope::Role);

/// Inline policies of these prefixes are ours: `quarantine-role` and `revoke-sessions` write no others, `detach-permissions` touches none of them.
pub(super) const QUARANTINE_PREFIX: &str = "freezeframe-quarantine-";
pub(super) const SESSIONS_PREFIX: &str = "freezeframe-revoked-sessions-";

pub(super) fn is_ours(policy: &str) -> bool {
    [QUARANTINE_PREFIX, SESSIONS_PREFIX].iter().any(|p| policy.starts_with(p))
}

/// IAM allows 10,240 characters of inline policies; this leaves room for their encoding and refuses an attack on our memory.
const DOCUMENT_LIMIT: usize = 128 << 10;

/// Characters of all inline policies of a role together, white space not counted (IAM User Guide, "IAM and AWS STS quotas").
const INLINE_QUOTA: usize = 10_240;

/// A role holds at most twenty attached policies and 10,240 characters of inline ones: more pages than this are a bug or an attack.
pub(super) const PAGES: u32 = 50;

pub(super) struct Role {
    /// As the function names it.
    pub arn: String,
    pub name: String,
    /// `AROA…`: unlike the name, never used again for another role.
    pub id: String,
    /// The group that the function writes to, when its configuration names one.
    pub log_group: Option<String>,
    /// Who may assume it: the document's text, if AWS gave it in the form that it documents.
    pub trust: Option<String>,
    /// Of the function, those that run under it: `7`, `$LATEST`.
    pub versions: Vec<String>,
}

impl Role {
    /// The role in a cell's label: with its versions where it is not `$LATEST`'s, for which a reader would take it.
    pub fn label(&self) -> String {
        match self.versions.iter().any(|v| v == LATEST) {
            true => self.name.clone(),
            false => format!("{} of {}", self.name, versions_in_words(&self.versions)),
        }
    }
    /// What every cell on a role tells of it.
    pub fn facts(&self) -> Value {
        let versions: Vec<&String> = self.versions.iter().take(50).collect();
        json!({"role": self.name, "role_id": self.id, "role_arn": self.arn, "versions": versions, "versions_counted": self.versions.len()})
    }
}

/// The first of them: a function can have hundreds.
pub(super) fn versions_in_words(versions: &[String]) -> String {
    let more = if versions.len() > 5 { format!(" and {} more", versions.len() - 5) } else { String::new() };
    format!("version {}{more}", versions.iter().take(5).cloned().collect::<Vec<_>>().join(", "))
}

/// A name that can be one of a role's, from a cell's id.
pub(super) fn is_role_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b))
}

/// A role of the target's function, by its ARN. Refuses service-linked roles, which AWS lets nobody change.
pub(super) async fn of_arn(cx: &ActCx<'_>, arn: &str, versions: Vec<String>, log_group: Option<String>) -> Result<Role, ActError> {
    let function = &cx.target().function;
    let name = arn.split_once(":role/").and_then(|(_, path)| path.rsplit('/').next()).filter(|n| !n.is_empty());
    let name = name.ok_or_else(|| ActError::Refused(format!("the configuration of {function} names no execution role")))?.to_string();
    let account = arn.split(':').nth(4).unwrap_or_default();
    if account != cx.target().account {
        return Err(ActError::Refused(format!("the execution role of {function} lies in another account than the function")));
    }

    let call = cx.aws().iam().get_role().role_name(&name).send();
    let answer = cx.call(&GET_ROLE, &format!("reading the role {name}"), call).await?;
    let role = answer.role().ok_or_else(|| ActError::Refused(format!("AWS said nothing about the role {name}")))?;
    if role.path().starts_with("/aws-service-role/") {
        return Err(ActError::Refused(format!(
            "{name} is a service-linked role, which only its service can change; contain the function by its concurrency"
        )));
    }
    // It goes into a policy condition, where a wildcard would match other roles.
    if role.role_id().is_empty() || !role.role_id().bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(ActError::Refused(format!("AWS stated an id for the role {name} that is none")));
    }
    let id = role.role_id().to_string();
    let trust = role.assume_role_policy_document().and_then(decode);
    Ok(Role { arn: arn.to_string(), name, id, log_group, trust, versions })
}

/// The names of the role's inline policies.
pub(super) async fn inline_policies(cx: &ActCx<'_>, role: &str) -> Result<Vec<String>, ActError> {
    let mut names = vec![];
    let mut marker: Option<String> = None;
    for _ in 0..PAGES {
        let call = cx.aws().iam().list_role_policies().role_name(role).set_marker(marker.take()).send();
        let page = cx.call(&LIST_ROLE_POLICIES, &format!("listing the inline policies of the role {role}"), call).await?;
        names.extend(page.policy_names().iter().cloned());
        marker = page.marker().filter(|_| page.is_truncated()).map(str::to_string);
        if marker.is_none() {
            return Ok(names);
        }
    }
    Err(ActError::Refused(format!("the list of inline policies of the role {role} has no end")))
}

/// As IAM counts a policy against its quota.
fn characters(text: &str) -> usize {
    text.chars().filter(|c| !c.is_whitespace()).count()
}

/// Refuses when what is to stand under the name `policy` would not fit beside the other inline policies; `text` makes it of what stands there now. Not
/// knowing how much there is keeps nobody from trying: IAM itself refuses, and the read back tells.
pub(super) async fn must_fit(
    cx: &ActCx<'_>,
    role: &str,
    policy: &str,
    text: impl FnOnce(Option<&str>) -> Result<String, ActError> + Send,
) -> Result<(), ActError> {
    let (mut others, mut own) = (0, None);
    let Ok(names) = inline_policies(cx, role).await else { return Ok(()) };
    for name in &names {
        let Ok(there) = inline_policy(cx, role, name).await else { return Ok(()) };
        match name == policy {
            true => own = there,
            false => others += there.map_or(0, |t| characters(&t)),
        }
    }
    let ours = characters(&text(own.as_deref())?);
    if others + ours <= INLINE_QUOTA {
        return Ok(());
    }
    Err(ActError::Refused(format!(
        "the deny of {ours} characters does not fit on the role {}: its inline policies have {others} of the {INLINE_QUOTA} that IAM allows; \
         use set-permissions-boundary, which needs no room, or remove an inline policy",
        tame(role, 80)
    )))
}

/// An inline policy's text; `None` when the role has no policy of this name. A role that is gone is an error: its policy would not be
/// absent in a way that we could restore.
pub(super) async fn inline_policy(cx: &ActCx<'_>, role: &str, policy: &str) -> Result<Option<String>, ActError> {
    let call = cx.aws().iam().get_role_policy().role_name(role).policy_name(policy).send();
    match cx.call(&GET_ROLE_POLICY, &format!("reading the inline policy {policy} of the role {role}"), call).await {
        Ok(answer) => decode(answer.policy_document()).map(Some).ok_or_else(|| {
            ActError::Refused(format!("the inline policy {policy} of the role {role} is not the URL-encoded text that IAM documents"))
        }),
        Err(e) if e.is_absent() => {
            // `NoSuchEntity` means either; asking for the role tells which.
            cx.call(&GET_ROLE, &format!("reading the role {role}"), cx.aws().iam().get_role().role_name(role).send()).await?;
            Ok(None)
        }
        Err(e) => Err(e),
    }
}

/// The same of a deny of ours, which says nothing to anybody once its role is gone: then nothing is left to lift.
pub(super) async fn inline_deny(cx: &ActCx<'_>, role: &str, policy: &str) -> Result<Option<String>, ActError> {
    inline_policy(cx, role, policy).await.map_err(|e| e.gone(in_words(role)))
}

/// For [`ActError::gone`].
pub(super) fn in_words(role: &str) -> String {
    format!("the role {role}")
}

pub(super) async fn set_inline_policy(cx: &ActCx<'_>, role: &str, policy: &str, to: Option<&str>) -> Result<(), ActError> {
    match to {
        Some(text) => {
            let call = cx.aws().iam().put_role_policy().role_name(role).policy_name(policy).policy_document(text).send();
            cx.call(&PUT_ROLE_POLICY, &format!("writing the inline policy {policy} of the role {role}"), call).await?;
        }
        None => {
            let call = cx.aws().iam().delete_role_policy().role_name(role).policy_name(policy).send();
            match cx.call(&DELETE_ROLE_POLICY, &format!("deleting the inline policy {policy} of the role {role}"), call).await {
                Ok(_) => {}
                Err(e) if e.is_absent() => {}
                Err(e) => return Err(e),
            }
        }
    }
    Ok(())
}

/// The same by hand.
pub(super) fn inline_policy_by_hand(role: &str, policy: &str, to: Option<&str>) -> AwsCli {
    let names = [("--role-name", role), ("--policy-name", policy)];
    match to {
        Some(text) => AwsCli::new("iam", "put-role-policy", names.into_iter().chain([("--policy-document", text)])),
        None => AwsCli::new("iam", "delete-role-policy", names).if_found("iam", "get-role-policy", names),
    }
}

/// Percent-decoding as RFC 3986 has it: `+` is a plus. A text with a raw brace was never encoded (some emulators), because encoding
/// leaves none. `None` for what is neither.
pub(crate) fn decode(text: &str) -> Option<String> {
    if text.len() > DOCUMENT_LIMIT {
        return None;
    }
    if text.contains('{') {
        return Some(text.to_string());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        out.push(match b {
            b'%' => hex_digit(bytes.next()?)? << 4 | hex_digit(bytes.next()?)?,
            b => b,
        });
    }
    String::from_utf8(out).ok()
}

fn hex_digit(b: u8) -> Option<u8> {
    char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn policies_come_back_byte_for_byte() {
        assert_eq!(decode("%7B%0A%20%20%22a%22%3A%22%2B%25%C3%A9+%22%7D").as_deref(), Some("{\n  \"a\":\"+%é+\"}"));
        assert_eq!(decode("{\"a\": \"100%25 + é\"}").as_deref(), Some("{\"a\": \"100%25 + é\"}"), "never encoded, so not decoded");
        for bad in ["%7", "%zz", "%", "%FF", "%+1"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
        assert_eq!(decode(&"%20".repeat(50_000)), None);
    }
}
