//! The fence: refuses, before anything is serialised or sent, every operation that the unit did not declare, and a few that no unit may
//! ever declare because they destroy evidence.

use crate::model::call::Call;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeSerializationInterceptorContextRef;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

/// Operations that destroy what an investigation needs (`containment.md` B.2, last row). Hard-coded: no declaration opens these.
pub const NEVER: [(&str, &str); 15] = [
    ("Lambda", "DeleteFunction"),
    ("Lambda", "DeleteLayerVersion"),
    ("Lambda", "DeleteAlias"),
    ("Lambda", "DeleteFunctionUrlConfig"),
    ("Lambda", "DeleteEventSourceMapping"),
    ("Lambda", "StopDurableExecution"),
    ("Lambda", "DeleteDurableExecution"),
    ("CloudWatch Logs", "DeleteLogGroup"),
    ("CloudWatch Logs", "DeleteLogStream"),
    ("CloudTrail", "DeleteTrail"),
    ("CloudTrail", "StopLogging"),
    ("IAM", "DeleteRole"),
    ("IAM", "DeletePolicyVersion"),
    ("S3", "DeleteObject"),
    ("SQS", "PurgeQueue"),
];

/// A call was stopped at the fence. Nothing was sent.
#[derive(Debug, thiserror::Error)]
#[error("{service}:{operation} is not among the calls that `{unit}` declares; nothing was sent")]
pub struct Fenced {
    pub unit: &'static str,
    pub service: String,
    pub operation: String,
}

#[derive(Clone, Debug)]
pub struct Fence {
    pub(super) unit: &'static str,
    pub(super) calls: &'static [Call],
}

impl Fence {
    pub fn admits(&self, service: &str, operation: &str) -> bool {
        !NEVER.contains(&(service, operation)) && self.calls.iter().any(|c| c.service.sdk_id() == service && c.operation == operation)
    }
}

impl Intercept for Fence {
    fn name(&self) -> &'static str {
        "freezeframe::Fence"
    }

    fn read_before_serialization(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // An operation without metadata cannot be judged, so it does not pass.
        let (service, operation) = cfg.load::<Metadata>().map_or(("unknown", "unknown"), |m| (m.service(), m.name()));
        if self.admits(service, operation) {
            return Ok(());
        }
        Err(Fenced { unit: self.unit, service: service.to_string(), operation: operation.to_string() }.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::call::{Scope, Service};

    #[test]
    fn only_what_is_declared_and_never_what_destroys() {
        static CALLS: &[Call] = &[
            Call::read(Service::Lambda, "GetPolicy", "lambda:GetPolicy", Scope::Function),
            Call::write(Service::Lambda, "DeleteFunction", "lambda:DeleteFunction", Scope::Function),
        ];
        let fence = Fence { unit: "test", calls: CALLS };
        assert!(fence.admits("Lambda", "GetPolicy"));
        assert!(!fence.admits("Lambda", "GetFunction"));
        assert!(!fence.admits("IAM", "GetPolicy"));
        assert!(!fence.admits("Lambda", "DeleteFunction"), "declared, but never admitted");
    }
}
