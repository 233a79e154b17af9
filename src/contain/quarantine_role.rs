//! One inline deny on the execution role, scoped to the function when others share the role (`containment.md` C7, B.3). It is the strongest
//! single step against stolen credentials: IAM is global, so one deny covers their use in every Region.
//!
//! Nothing is removed; restore deletes one policy. What it never does: exempt `sqs:SendMessage` (no quarantine queue exists yet, so it would
//! only be a way out for the attacker).

use super::role::{self, QUARANTINE_PREFIX, Role};
use super::{ActCx, ActError, Action, ActionSpec, AwsCli, Cell, ContainPermit, Reading};
use crate::model::call::{Call, Scope, Service};
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
    stops: "every use of the role's credentials by this function, stolen copies included, in all Regions, once IAM has spread it (minutes)",
    does_not_stop: "invocations themselves, sessions of other roles already assumed, tokens from GetWebIdentityToken, data already copied; \
                    with scope `function`, sessions of the role under another session name",
    side_effects: "the function fails at its first AWS call; with scope `role` so does everybody else who uses the role, and their logs \
                   outside the function's own group stop",
    restore: "the inline policy is deleted, or set to the text that stood under its name before; denies are lifted after everything else",
    calls: &[
        role::GET_CONFIGURATION,
        role::GET_ROLE,
        LIST_FUNCTIONS,
        role::GET_ROLE_POLICY,
        role::PUT_ROLE_POLICY,
        role::DELETE_ROLE_POLICY,
    ],
    params: &[Param {
        name: "scope",
        kind: ParamKind::Word(&["auto", "function", "role"]),
        default: "auto",
        doc: "whom the deny meets: this function's sessions, or every user of the role; auto asks which functions of the Region use the role",
    }],
    restore_rank: 2,
};

const LIST_FUNCTIONS: Call = Call::read(Service::Lambda, "ListFunctions", "lambda:ListFunctions", Scope::Any);

/// 50 functions a page: 100,000 functions. More, and the census counts as failed.
const CENSUS_PAGES: u32 = 2_000;

/// The inline policy's text, decoded; `None` when there is no policy of the name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InlinePolicy(Option<String>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DenyScope {
    Function,
    Role,
}

/// Names of the other functions of the Region that use the role.
async fn other_users(cx: &ActCx<'_>, role: &Role) -> Result<Vec<String>, ActError> {
    let mut users = vec![];
    let mut marker: Option<String> = None;
    for _ in 0..CENSUS_PAGES {
        let call = cx.aws().lambda().list_functions().set_marker(marker.clone()).send();
        let page = cx.call(&LIST_FUNCTIONS, "listing the functions of the Region", call).await?;
        let using = page.functions().iter().filter(|f| f.role() == Some(role.arn.as_str()));
        users.extend(using.filter_map(|f| f.function_name()).filter(|n| *n != cx.target().function).map(str::to_string));
        match page.next_marker().filter(|m| !m.is_empty()) {
            None => return Ok(users),
            Some(next) if Some(next) == marker.as_deref() => {
                return Err(ActError::Refused("AWS repeated a page of the list of functions".into()));
            }
            Some(next) => marker = Some(next.to_string()),
        }
    }
    Err(ActError::Refused("the list of functions has no end".into()))
}

/// The function's own log group, unless its name could mean more than itself in a policy.
fn log_group(target: &Target, stated: Option<&str>) -> String {
    let safe = |g: &&str| !g.is_empty() && g.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/#".contains(&b));
    stated.filter(safe).map_or_else(|| target.default_log_group(), str::to_string)
}

/// The deny of `containment.md` B.3, as the text that will be put. Members in a fixed order: read back, it must equal itself.
fn document(target: &Target, role_id: &str, scope: DenyScope, log_group: &str) -> String {
    let group = format!("arn:{}:logs:{}:{}:log-group:{log_group}", target.partition, target.region, target.account);
    let mut deny = json!({
        "Sid": "IRQuarantine",
        "Effect": "Deny",
        "NotAction": ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTraceSegments", "xray:PutTelemetryRecords"],
        "Resource": "*",
    });
    // What the first statement spares is limited to the function's own group; X-Ray knows no resources.
    let mut limit = json!({
        "Sid": "IRQuarantineLogs",
        "Effect": "Deny",
        "Action": ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
        "NotResource": [group.clone(), format!("{group}:*")],
    });
    if scope == DenyScope::Function {
        // Lambda names the session after the function; stolen credentials keep their session's name.
        let condition = json!({"StringLike": {"aws:userid": format!("{role_id}:{}", target.function)}});
        deny["Condition"] = condition.clone();
        limit["Condition"] = condition;
    }
    json!({"Version": "2012-10-17", "Statement": [deny, limit]}).to_string()
}

/// Role and policy name of a cell. The id comes from a journal: a name that is not ours is never touched.
fn place(cell: &CellId) -> Result<(&str, &str), ActError> {
    match cell.key().split_once('/') {
        Some((role, policy)) if !role.is_empty() && policy.starts_with(QUARANTINE_PREFIX) => Ok((role, policy)),
        _ => Err(ActError::Refused(format!("{cell} names no quarantine policy"))),
    }
}

#[async_trait]
impl Action for QuarantineRole {
    type State = InlinePolicy;

    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn cells(&self, cx: &ActCx<'_>) -> Result<Vec<Cell>, ActError> {
        let role = role::of_target(cx).await?;
        let (scope, users) = match cx.params().text("scope").as_deref() {
            Some("function") => (DenyScope::Function, Value::Null),
            Some("role") => (DenyScope::Role, Value::Null),
            None | Some("auto") => match other_users(cx, &role).await {
                Ok(users) if users.is_empty() => (DenyScope::Role, json!(users)),
                Ok(users) => (DenyScope::Function, json!(users)),
                // Not knowing who else would be hit, hit nobody else; it must not keep us from stopping this function.
                Err(e) => (DenyScope::Function, json!({"unknown": e.to_string()})),
            },
            Some(other) => {
                return Err(ActError::Refused(format!("`{}` is no scope: use auto, function or role", crate::aws::fault::tame(other, 40))));
            }
        };
        let target = cx.target();
        let scope_word = if scope == DenyScope::Function { "function" } else { "role" };
        let text = document(target, &role.id, scope, &log_group(target, role.log_group.as_deref()));
        Ok(vec![Cell {
            id: CellId::new(SPEC.id, &format!("{}/{QUARANTINE_PREFIX}{}", role.name, target.function)),
            label: match scope {
                DenyScope::Function => format!("quarantine of {} on the role {}", target.function, role.name),
                DenyScope::Role => format!("quarantine of the whole role {}", role.name),
            },
            facts: json!({"role": role.name, "role_id": role.id, "scope": scope_word, "users": users, "document": text}),
        }])
    }

    async fn read(&self, cx: &ActCx<'_>, cell: &CellId) -> Result<Reading<InlinePolicy>, ActError> {
        let (role, policy) = place(cell)?;
        Ok(Reading::Settled(InlinePolicy(role::inline_policy(cx, role, policy).await?)))
    }

    fn contained(&self, cell: &Cell, _: &InlinePolicy) -> Result<InlinePolicy, ActError> {
        let text = cell.facts.get("document").and_then(Value::as_str);
        let text = text.ok_or_else(|| ActError::State { cell: cell.id.to_string(), why: "its facts hold no document".into() })?;
        Ok(InlinePolicy(Some(text.to_string())))
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

    fn target() -> Target {
        Target {
            partition: "aws".into(),
            account: "123456789012".into(),
            region: "eu-west-1".into(),
            function: "payments".into(),
            qualifier: None,
        }
    }

    #[test]
    fn the_deny_is_the_documented_one() {
        let whole: Value = serde_json::from_str(&document(&target(), "AROAEXAMPLE", DenyScope::Role, "/aws/lambda/payments")).unwrap();
        assert_eq!(
            whole,
            json!({"Version": "2012-10-17", "Statement": [
                {"Sid": "IRQuarantine", "Effect": "Deny",
                 "NotAction": ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTraceSegments", "xray:PutTelemetryRecords"],
                 "Resource": "*"},
                {"Sid": "IRQuarantineLogs", "Effect": "Deny",
                 "Action": ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
                 "NotResource": ["arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/payments",
                                 "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/payments:*"]}]})
        );
        let shared: Value = serde_json::from_str(&document(&target(), "AROAEXAMPLE", DenyScope::Function, "/g")).unwrap();
        for statement in shared["Statement"].as_array().unwrap() {
            assert_eq!(statement["Condition"], json!({"StringLike": {"aws:userid": "AROAEXAMPLE:payments"}}));
        }
    }

    #[test]
    fn a_log_group_cannot_widen_the_deny() {
        assert_eq!(log_group(&target(), Some("/custom/payments")), "/custom/payments");
        for odd in ["*", "/aws/lambda/*", "a?", "${aws:userid}", "", "a:b"] {
            assert_eq!(log_group(&target(), Some(odd)), "/aws/lambda/payments", "{odd}");
        }
    }

    #[test]
    fn a_journal_cannot_name_a_policy_that_is_not_ours() {
        for bad in ["quarantine-role/r/AdminPolicy", "quarantine-role/r", "quarantine-role//freezeframe-quarantine-x", "quarantine-role"] {
            assert!(place(&CellId(bad.into())).is_err(), "{bad}");
        }
        assert_eq!(place(&CellId("quarantine-role/r/freezeframe-quarantine-x".into())).unwrap(), ("r", "freezeframe-quarantine-x"));
    }
}
