//! The AWS calls that a unit declares: documentation, fence and IAM policy at once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A service that we talk to. A service without an SDK crate is reached through the signed raw path (`aws::raw`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    Lambda,
    Iam,
    Logs,
    Cloudtrail,
    Sts,
    S3,
    Events,
    /// EventBridge's buses with subscribers (2025-05-15): another API under the same IAM prefix.
    EventsV2,
    Sqs,
    Sns,
    Scheduler,
    Pipes,
    Apigateway,
    Apigatewayv2,
    Elb,
    Cloudwatch,
    Xray,
    Autoscaling,
    Kms,
    Ecr,
    Signer,
    Config,
    Cloudformation,
    AccessAnalyzer,
    Guardduty,
    Securityhub,
    Inspector,
    Ec2,
    Organizations,
    Resolver,
    // Network and deployment.
    Efs,
    S3files,
    // Detections and the triggers that came with them.
    Cloudfront,
    Eventsv2,
    Cognito,
    Iot,
    Secretsmanager,
    Ses,
    LambdaCore,
    /// A presigned download: plain HTTPS, no operation of any service.
    Https,
}

/// What a service is called, by whom.
struct Names {
    /// By the SDK, in its operation metadata (and in `AWS_ENDPOINT_URL_<ID>`).
    sdk_id: &'static str,
    /// By IAM, before the colon of an action.
    prefix: &'static str,
    /// By DNS, before the Region.
    host: &'static str,
    /// In the signature's scope.
    signing: &'static str,
}

impl Service {
    const fn names(self) -> Names {
        const fn names(sdk_id: &'static str, prefix: &'static str, host: &'static str, signing: &'static str) -> Names {
            Names { sdk_id, prefix, host, signing }
        }
        match self {
            Service::Lambda => names("Lambda", "lambda", "lambda", "lambda"),
            Service::Iam => names("IAM", "iam", "iam", "iam"),
            Service::Logs => names("CloudWatch Logs", "logs", "logs", "logs"),
            Service::Cloudtrail => names("CloudTrail", "cloudtrail", "cloudtrail", "cloudtrail"),
            Service::Sts => names("STS", "sts", "sts", "sts"),
            Service::S3 => names("S3", "s3", "s3", "s3"),
            Service::Events => names("EventBridge", "events", "events", "events"),
            Service::EventsV2 => names("EventBridgeV2", "events", "eventsv2", "events"),
            Service::Sqs => names("SQS", "sqs", "sqs", "sqs"),
            Service::Sns => names("SNS", "sns", "sns", "sns"),
            Service::Scheduler => names("Scheduler", "scheduler", "scheduler", "scheduler"),
            Service::Pipes => names("Pipes", "pipes", "pipes", "pipes"),
            Service::Apigateway => names("API Gateway", "apigateway", "apigateway", "apigateway"),
            Service::Apigatewayv2 => names("ApiGatewayV2", "apigateway", "apigateway", "apigateway"),
            Service::Elb => names("Elastic Load Balancing v2", "elasticloadbalancing", "elasticloadbalancing", "elasticloadbalancing"),
            Service::Cloudwatch => names("CloudWatch", "cloudwatch", "monitoring", "monitoring"),
            Service::Xray => names("XRay", "xray", "xray", "xray"),
            Service::Autoscaling => {
                names("Application Auto Scaling", "application-autoscaling", "application-autoscaling", "application-autoscaling")
            }
            Service::Kms => names("KMS", "kms", "kms", "kms"),
            Service::Ecr => names("ECR", "ecr", "api.ecr", "ecr"),
            Service::Signer => names("signer", "signer", "signer", "signer"),
            Service::Config => names("Config Service", "config", "config", "config"),
            Service::Cloudformation => names("CloudFormation", "cloudformation", "cloudformation", "cloudformation"),
            Service::AccessAnalyzer => names("AccessAnalyzer", "access-analyzer", "access-analyzer", "access-analyzer"),
            Service::Guardduty => names("GuardDuty", "guardduty", "guardduty", "guardduty"),
            Service::Securityhub => names("SecurityHub", "securityhub", "securityhub", "securityhub"),
            Service::Inspector => names("Inspector2", "inspector2", "inspector2", "inspector2"),
            Service::Ec2 => names("EC2", "ec2", "ec2", "ec2"),
            Service::Organizations => names("Organizations", "organizations", "organizations", "organizations"),
            Service::Resolver => names("Route53Resolver", "route53resolver", "route53resolver", "route53resolver"),
            // Network and deployment.
            Service::Efs => names("EFS", "elasticfilesystem", "elasticfilesystem", "elasticfilesystem"),
            Service::S3files => names("S3Files", "s3files", "s3files", "s3files"),
            // Detections and the triggers that came with them: serviceId, endpointPrefix and signingName of botocore 1.44.5.
            Service::Cloudfront => names("CloudFront", "cloudfront", "cloudfront", "cloudfront"),
            Service::Eventsv2 => names("EventBridgeV2", "events", "eventsv2", "events"),
            Service::Cognito => names("Cognito Identity Provider", "cognito-idp", "cognito-idp", "cognito-idp"),
            Service::Iot => names("IoT", "iot", "iot", "iot"),
            Service::Secretsmanager => names("Secrets Manager", "secretsmanager", "secretsmanager", "secretsmanager"),
            Service::Ses => names("SES", "ses", "email", "ses"),
            Service::LambdaCore => names("Lambda Core", "lambda", "lambda", "lambda"),
            Service::Https => names("https", "https", "https", "https"),
        }
    }
    pub const fn sdk_id(self) -> &'static str {
        self.names().sdk_id
    }
    pub const fn prefix(self) -> &'static str {
        self.names().prefix
    }
    pub const fn host(self) -> &'static str {
        self.names().host
    }
    pub const fn signing_name(self) -> &'static str {
        self.names().signing
    }
    /// IAM answers from one place, as CloudFront does; an event about a role is in that place's CloudTrail.
    pub const fn is_global(self) -> bool {
        matches!(self, Service::Iam | Service::Organizations | Service::Cloudfront)
    }
}

/// Whether a call can change anything. A collector may declare reads only (a test holds it to that).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    Read,
    Write,
}

/// What the call's IAM action is granted on: the narrowest ARN form that the action supports (AWS Service Authorization Reference).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// The function and its qualifiers.
    Function,
    /// The function's execution role.
    Role,
    /// The policies attached to the role.
    Policy,
    /// The log groups that the function may write to.
    LogGroup,
    /// The action takes no resource.
    Any,
}

/// One API operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Call {
    pub service: Service,
    pub operation: &'static str,
    /// The IAM action, `None` for what needs none (a presigned download, `GetCallerIdentity`).
    pub action: Option<&'static str>,
    pub access: Access,
    pub scope: Scope,
}

impl Call {
    pub const fn read(service: Service, operation: &'static str, action: &'static str, scope: Scope) -> Self {
        Call { service, operation, action: Some(action), access: Access::Read, scope }
    }
    pub const fn write(service: Service, operation: &'static str, action: &'static str, scope: Scope) -> Self {
        Call { service, operation, action: Some(action), access: Access::Write, scope }
    }
    /// A read that no IAM policy can grant or deny.
    pub const fn free(service: Service, operation: &'static str) -> Self {
        Call { service, operation, action: None, access: Access::Read, scope: Scope::Any }
    }
}
impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.service.prefix(), self.operation)
    }
}
