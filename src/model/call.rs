//! The AWS calls that a unit declares: documentation, fence and IAM policy at once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A service that we talk to. `sdk_id` is what the SDK calls itself in its operation metadata, `prefix` what IAM calls it.
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
    Sqs,
    /// A presigned download: plain HTTPS, no operation of any service.
    Https,
}

impl Service {
    pub const fn sdk_id(self) -> &'static str {
        match self {
            Service::Lambda => "Lambda",
            Service::Iam => "IAM",
            Service::Logs => "CloudWatch Logs",
            Service::Cloudtrail => "CloudTrail",
            Service::Sts => "STS",
            Service::S3 => "S3",
            Service::Events => "EventBridge",
            Service::Sqs => "SQS",
            Service::Https => "https",
        }
    }
    /// IAM's prefix, which is also the signing name of the services here.
    pub const fn prefix(self) -> &'static str {
        match self {
            Service::Lambda => "lambda",
            Service::Iam => "iam",
            Service::Logs => "logs",
            Service::Cloudtrail => "cloudtrail",
            Service::Sts => "sts",
            Service::S3 => "s3",
            Service::Events => "events",
            Service::Sqs => "sqs",
            Service::Https => "https",
        }
    }
    /// IAM answers from one place; an event about a role is in that place's CloudTrail.
    pub const fn is_global(self) -> bool {
        matches!(self, Service::Iam)
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
