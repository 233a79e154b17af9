//! What the role is allowed to do, as IAM itself decides it: policies, boundary and organisation policies taken together, for the actions
//! that attackers need. Resource policies of others and session conditions are not part of it: "allowed" here may still be refused, and a
//! resource may open itself to the role beyond this.

use super::{Abort, Bound, CollectCx, Collector, CollectorSpec, Question, Volatility};
use crate::model::call::{Call, Scope, Service};
use crate::model::item::Group;
use async_trait::async_trait;
use aws_sdk_iam::operation::simulate_principal_policy::SimulatePrincipalPolicyOutput;

pub struct RoleSimulation;

static SPEC: CollectorSpec = CollectorSpec {
    id: "role-simulation",
    title: "What the role is allowed to do",
    answers: "Which of the actions that attackers need does the role have, all policies taken together?",
    group: Group::Identity,
    volatility: Volatility::V2,
    calls: &[Call::read(Service::Iam, "SimulatePrincipalPolicy", "iam:SimulatePrincipalPolicy", Scope::Role)],
    params: &[],
};

/// Actions by which a function's role spreads, stays, steals, hides or destroys (the techniques of our table, Stratus Red Team and Pacu). Order
/// is the order of the question; a test holds every one to IAM's list where we have the service in it.
pub const HIGH_RISK: &[&str] = &[
    // Spread: become somebody else, or make others.
    "iam:AddUserToGroup",
    "iam:AttachGroupPolicy",
    "iam:AttachRolePolicy",
    "iam:AttachUserPolicy",
    "iam:CreateAccessKey",
    "iam:CreateLoginProfile",
    "iam:CreatePolicyVersion",
    "iam:CreateRole",
    "iam:CreateUser",
    "iam:DeleteRolePermissionsBoundary",
    "iam:PassRole",
    "iam:PutGroupPolicy",
    "iam:PutRolePolicy",
    "iam:PutUserPolicy",
    "iam:SetDefaultPolicyVersion",
    "iam:UpdateAssumeRolePolicy",
    "iam:UpdateLoginProfile",
    "sts:AssumeRole",
    "sts:GetFederationToken",
    "sts:GetWebIdentityToken",
    // Stay: code that runs again.
    "lambda:AddPermission",
    "lambda:CreateEventSourceMapping",
    "lambda:CreateFunction",
    "lambda:CreateFunctionUrlConfig",
    "lambda:InvokeFunction",
    "lambda:PublishLayerVersion",
    "lambda:PutFunctionEventInvokeConfig",
    "lambda:UpdateEventSourceMapping",
    "lambda:UpdateFunctionCode",
    "lambda:UpdateFunctionConfiguration",
    "cloudformation:CreateStack",
    "ec2:RunInstances",
    "ecs:RunTask",
    "events:PutRule",
    "events:PutTargets",
    "glue:CreateDevEndpoint",
    "scheduler:CreateSchedule",
    "ssm:SendCommand",
    "ssm:StartSession",
    "states:StartExecution",
    // Steal.
    "dynamodb:GetItem",
    "dynamodb:Scan",
    "ec2:CreateSnapshot",
    "ec2:ModifySnapshotAttribute",
    "kms:CreateGrant",
    "kms:Decrypt",
    "rds:ModifyDBSnapshotAttribute",
    "s3:GetObject",
    "s3:ListAllMyBuckets",
    "s3:PutBucketPolicy",
    "s3:PutObject",
    "secretsmanager:GetSecretValue",
    "sqs:ReceiveMessage",
    "ssm:GetParameter",
    "ssm:GetParameters",
    // Destroy and hide.
    "cloudtrail:DeleteTrail",
    "cloudtrail:PutEventSelectors",
    "cloudtrail:StopLogging",
    "dynamodb:DeleteTable",
    "guardduty:DeleteDetector",
    "kms:ScheduleKeyDeletion",
    "lambda:DeleteFunction",
    "logs:DeleteLogGroup",
    "logs:DeleteLogStream",
    "logs:PutRetentionPolicy",
    "s3:DeleteBucket",
    "s3:DeleteObject",
    "s3:PutLifecycleConfiguration",
];

#[async_trait]
impl Collector for RoleSimulation {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        const SUBJECT: &str = "IAM's decisions on actions that attackers need, for the role";
        // Also of a function that is gone: the role need not be.
        let fact = match cx.function_or_told().await? {
            Ok(fact) => fact,
            Err(fault) => return cx.gap_from(&fault, SUBJECT).map(drop),
        };
        let Some(role) = fact.role_arn.as_deref() else {
            return cx.gap_without_role(SUBJECT).map(drop);
        };
        let call = || {
            let call = cx.aws().iam().simulate_principal_policy().policy_source_arn(role);
            call.set_action_names(Some(HIGH_RISK.iter().map(|a| a.to_string()).collect()))
        };
        cx.ask_pages(
            Question::new(&SPEC.calls[0], SUBJECT),
            Bound::default(),
            |marker| call().set_marker(marker).send(),
            |out: &SimulatePrincipalPolicyOutput| out.marker().filter(|_| out.is_truncated()).map(str::to_string),
            |out| out.evaluation_results().len(),
        )
        .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::HIGH_RISK;

    #[test]
    fn each_action_once_and_of_the_form_that_iam_takes() {
        for (at, action) in HIGH_RISK.iter().enumerate() {
            assert!(!HIGH_RISK[..at].contains(action), "{action} twice");
            let (service, name) = action.split_once(':').unwrap();
            assert!(
                service.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) && name.starts_with(char::is_uppercase),
                "{action}"
            );
        }
    }
}
