//! The deny of `containment.md` B.3 as text, and what IAM itself says that it does.
//!
//! What it spares is what keeps us from going blind: the function's own log group, its traces, and one quarantine queue where a step names it.
//! What it never does: allow anything.

use super::role::Role;
use super::{ActCx, ActError};
use crate::aws::fault::tame;
use crate::clock;
use crate::model::call::{Call, Scope, Service};
use crate::model::target::Target;
use aws_sdk_iam::types::{ContextEntry, ContextKeyTypeEnum, PolicyEvaluationDecisionType};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::{Value, json};

/// Whom the deny meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// Sessions of the function, by their name and by what Lambda says of the source.
    Function,
    /// Everybody who uses the role.
    Everybody,
    /// Whoever got his session before.
    SessionsBefore(DateTime<Utc>),
}

#[derive(Clone)]
pub struct Deny {
    target: Target,
    role_id: String,
    whom: Whom,
    log_group: String,
    /// ARN of the queue that may be written to.
    queue: Option<String>,
}

pub(super) const LOGS: [&str; 3] = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"];
pub(super) const TRACES: [&str; 2] = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"];
pub(super) const SEND: &str = "sqs:SendMessage";
/// Of the first statement.
pub(super) const SID: &str = "IRQuarantine";
/// Of the one that limits what the first one spares.
pub(super) const LIMIT: &str = "IRQuarantineLogs";

pub(super) const SIMULATE: Call = Call::read(Service::Iam, "SimulateCustomPolicy", "iam:SimulateCustomPolicy", Scope::Any);

/// What stolen credentials are used for first; and what the deny spares within bounds, outside of which it is denied too.
const TRIED: [&str; 12] = [
    "sts:AssumeRole",
    "iam:CreateAccessKey",
    "iam:PutRolePolicy",
    "lambda:InvokeFunction",
    "lambda:UpdateFunctionCode",
    "s3:GetObject",
    "s3:PutObject",
    "dynamodb:Scan",
    "secretsmanager:GetSecretValue",
    "kms:Decrypt",
    SEND,
    LOGS[2],
];

/// The function's own log group, unless its name could mean more than itself in a policy.
fn log_group(target: &Target, stated: Option<&str>) -> String {
    let safe = |g: &&str| !g.is_empty() && g.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/#".contains(&b));
    stated.filter(safe).map_or_else(|| target.default_log_group(), str::to_string)
}

/// The condition that old sessions meet.
pub(super) fn issued_before(at: DateTime<Utc>) -> Value {
    json!({"DateLessThan": {"aws:TokenIssueTime": clock::seconds(at)}})
}

impl Deny {
    pub(super) fn new(target: &Target, role: &Role, whom: Whom, queue: Option<String>) -> Deny {
        let log_group = log_group(target, role.log_group.as_deref());
        Deny { target: target.clone(), role_id: role.id.clone(), whom, log_group, queue }
    }

    /// The conditions under which it holds, each with the ending of its statements' ids; any one is enough.
    fn conditions(&self) -> Vec<(&'static str, Option<Value>)> {
        match self.whom {
            Whom::Everybody => vec![("", None)],
            Whom::SessionsBefore(at) => vec![("", Some(issued_before(at)))],
            Whom::Function => {
                // Lambda names the session after the function, and stolen credentials keep their session's name. The belt: Lambda's
                // credentials say which function they were issued to, whatever the session is called.
                // DOUBT(aws): whether a qualified ARN can stand in lambda:SourceFunctionArn; both forms are named.
                let arn = Target { qualifier: None, ..self.target.clone() }.arn();
                vec![
                    ("", Some(json!({"StringLike": {"aws:userid": self.userid()}}))),
                    ("Source", Some(json!({"ArnLike": {"lambda:SourceFunctionArn": [arn, format!("{arn}:*")]}}))),
                ]
            }
        }
    }

    /// The same for somebody else on the role.
    pub(super) fn of(&self, whom: Whom) -> Deny {
        Deny { whom, ..self.clone() }
    }

    fn userid(&self) -> String {
        format!("{}:{}", self.role_id, self.target.function)
    }

    /// The document that will be put. Members in a fixed order: read back, it must equal itself.
    pub(super) fn text(&self) -> String {
        let group =
            format!("arn:{}:logs:{}:{}:log-group:{}", self.target.partition, self.target.region, self.target.account, self.log_group);
        let mut spared: Vec<&str> = LOGS.iter().chain(&TRACES).copied().collect();
        let mut limited: Vec<&str> = LOGS.to_vec();
        let mut own = vec![group.clone(), format!("{group}:*")];
        if let Some(queue) = &self.queue {
            spared.push(SEND);
            limited.push(SEND);
            own.push(queue.clone());
        }
        let mut statements = vec![];
        for (ending, condition) in self.conditions() {
            let mut deny = json!({"Sid": format!("{SID}{ending}"), "Effect": "Deny", "NotAction": spared, "Resource": "*"});
            // What the first statement spares is limited to the function's own group and the one queue; X-Ray knows no resources.
            let mut limit = json!({"Sid": format!("{LIMIT}{ending}"), "Effect": "Deny", "Action": limited, "NotResource": own});
            if let Some(condition) = condition {
                deny["Condition"] = condition.clone();
                limit["Condition"] = condition;
            }
            statements.extend([deny, limit]);
        }
        json!({"Version": "2012-10-17", "Statement": statements}).to_string()
    }

    /// What a request of the function's looks like to IAM, for whoever simulates.
    fn context(&self) -> Vec<(&'static str, ContextKeyTypeEnum, String)> {
        let issued = match self.whom {
            Whom::SessionsBefore(at) => at - TimeDelta::minutes(5),
            Whom::Function | Whom::Everybody => DateTime::UNIX_EPOCH,
        };
        vec![
            ("aws:userid", ContextKeyTypeEnum::String, self.userid()),
            ("aws:TokenIssueTime", ContextKeyTypeEnum::Date, clock::seconds(issued)),
        ]
    }
}

/// Now, by AWS's own clock: by ours, which may be wrong, a deny could spare sessions or meet new ones.
pub(super) fn now(cx: &ActCx<'_>) -> Result<DateTime<Utc>, ActError> {
    cx.aws_time().ok_or_else(|| ActError::Refused("AWS's answers name no time, so it cannot be said which sessions are old".into()))
}

/// What IAM decides of the deny, before it is attached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Simulated {
    /// So many actions of a thief's were asked about, for a role that may do everything; these would go on.
    Decided { asked: usize, still_allowed: Vec<String> },
    /// IAM could not be asked. It decides nothing: the deny is put all the same.
    Unknown(String),
}

/// Ask IAM whether the deny stops what it should, even for a role that may do everything. Changes nothing.
pub async fn simulate(cx: &ActCx<'_>, deny: &Deny) -> Simulated {
    match ask(cx, deny).await {
        Ok(still_allowed) => Simulated::Decided { asked: TRIED.len(), still_allowed },
        Err(e) => Simulated::Unknown(tame(&e.to_string(), 200)),
    }
}

async fn ask(cx: &ActCx<'_>, deny: &Deny) -> Result<Vec<String>, ActError> {
    const ALL: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
    let mut call = cx.aws().iam().simulate_custom_policy().policy_input_list(ALL).policy_input_list(deny.text());
    for (key, kind, value) in deny.context() {
        call = call.context_entries(ContextEntry::builder().context_key_name(key).context_key_type(kind).context_key_values(value).build());
    }
    let call = call.set_action_names(Some(TRIED.map(str::to_string).to_vec()));
    let answer = cx.call(&SIMULATE, "asking IAM what the deny would stop", call.send()).await?;
    let results = answer.evaluation_results();
    if answer.is_truncated() || results.len() < TRIED.len() {
        return Err(ActError::Refused(format!("IAM decided {} of {} actions", results.len(), TRIED.len())));
    }
    let go_on = results.iter().filter(|r| *r.eval_decision() == PolicyEvaluationDecisionType::Allowed);
    Ok(go_on.map(|r| tame(r.eval_action_name(), 80)).collect())
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
            qualifier: Some("live".into()),
        }
    }

    fn deny(whom: Whom, group: Option<&str>, queue: Option<&str>) -> Value {
        let role = Role {
            arn: "arn:aws:iam::123456789012:role/r".into(),
            name: "r".into(),
            id: "AROAEXAMPLE".into(),
            log_group: group.map(str::to_string),
            trust: None,
            versions: vec!["$LATEST".into()],
        };
        serde_json::from_str(&Deny::new(&target(), &role, whom, queue.map(str::to_string)).text()).unwrap()
    }

    #[test]
    fn the_deny_is_the_documented_one() {
        let own = [
            "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/payments",
            "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/payments:*",
        ];
        assert_eq!(
            deny(Whom::Everybody, None, None),
            json!({"Version": "2012-10-17", "Statement": [
                {"Sid": "IRQuarantine", "Effect": "Deny",
                 "NotAction": ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTraceSegments", "xray:PutTelemetryRecords"],
                 "Resource": "*"},
                {"Sid": "IRQuarantineLogs", "Effect": "Deny",
                 "Action": ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"], "NotResource": own}]})
        );
        let function = deny(Whom::Function, None, None);
        let conditions: Vec<(&str, &Value)> =
            function["Statement"].as_array().unwrap().iter().map(|s| (s["Sid"].as_str().unwrap(), &s["Condition"])).collect();
        let userid = json!({"StringLike": {"aws:userid": "AROAEXAMPLE:payments"}});
        let arn = "arn:aws:lambda:eu-west-1:123456789012:function:payments";
        let source = json!({"ArnLike": {"lambda:SourceFunctionArn": [arn, format!("{arn}:*")]}});
        assert_eq!(
            conditions,
            [
                ("IRQuarantine", &userid),
                ("IRQuarantineLogs", &userid),
                ("IRQuarantineSource", &source),
                ("IRQuarantineLogsSource", &source)
            ]
        );
        let at = DateTime::parse_from_rfc3339("2026-11-20T12:00:00Z").unwrap().to_utc();
        for statement in deny(Whom::SessionsBefore(at), None, None)["Statement"].as_array().unwrap() {
            assert_eq!(statement["Condition"], json!({"DateLessThan": {"aws:TokenIssueTime": "2026-11-20T12:00:00Z"}}));
        }
    }

    #[test]
    fn one_queue_is_spared_and_no_other() {
        let queue = "arn:aws:sqs:eu-west-1:123456789012:quarantine";
        let document = deny(Whom::Everybody, None, Some(queue));
        let [all, limit] = document["Statement"].as_array().unwrap().as_slice() else { panic!("{document}") };
        assert!(all["NotAction"].as_array().unwrap().contains(&json!("sqs:SendMessage")));
        assert!(limit["Action"].as_array().unwrap().contains(&json!("sqs:SendMessage")));
        assert!(limit["NotResource"].as_array().unwrap().contains(&json!(queue)));
        assert!(!deny(Whom::Everybody, None, None).to_string().contains("sqs"), "without a queue nothing of SQS is spared");
    }

    #[test]
    fn a_log_group_cannot_widen_the_deny() {
        assert_eq!(log_group(&target(), Some("/custom/payments")), "/custom/payments");
        for odd in ["*", "/aws/lambda/*", "a?", "${aws:userid}", "", "a:b"] {
            assert_eq!(log_group(&target(), Some(odd)), "/aws/lambda/payments", "{odd}");
        }
    }
}
