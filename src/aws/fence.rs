//! The fence: refuses, before anything is serialised or sent, every operation that the unit did not declare, and a few that no unit may
//! ever declare because they destroy evidence.

use crate::model::call::{Access, Call, Service};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeSerializationInterceptorContextRef;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

/// An operation that no declaration opens, and the IAM action that grants it: some are not called alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Never {
    pub service: Service,
    pub operation: &'static str,
    pub action: &'static str,
}

const fn never(service: Service, operation: &'static str, action: &'static str) -> Never {
    Never { service, operation, action }
}

/// Operations that destroy what an investigation needs, or blind it (`containment.md` B.2, C14, C17 and the last row). Hard-coded: no
/// declaration opens these. The generated policy of the container denies the same list.
pub static NEVER: &[Never] = &[
    never(Service::Lambda, "DeleteFunction", "lambda:DeleteFunction"),
    never(Service::Lambda, "DeleteLayerVersion", "lambda:DeleteLayerVersion"),
    never(Service::Lambda, "DeleteAlias", "lambda:DeleteAlias"),
    // Its address cannot be had again.
    never(Service::Lambda, "DeleteFunctionUrlConfig", "lambda:DeleteFunctionUrlConfig"),
    never(Service::Lambda, "DeleteEventSourceMapping", "lambda:DeleteEventSourceMapping"),
    never(Service::Lambda, "DeleteCapacityProvider", "lambda:DeleteCapacityProvider"),
    // Irreversible; the second one takes the payloads with it.
    never(Service::Lambda, "StopDurableExecution", "lambda:StopDurableExecution"),
    never(Service::Lambda, "DeleteDurableExecution", "lambda:DeleteDurableExecution"),
    never(Service::Logs, "DeleteLogGroup", "logs:DeleteLogGroup"),
    never(Service::Logs, "DeleteLogStream", "logs:DeleteLogStream"),
    never(Service::Logs, "PutRetentionPolicy", "logs:PutRetentionPolicy"),
    never(Service::Cloudtrail, "DeleteTrail", "cloudtrail:DeleteTrail"),
    never(Service::Cloudtrail, "DeleteEventDataStore", "cloudtrail:DeleteEventDataStore"),
    never(Service::Cloudtrail, "StopLogging", "cloudtrail:StopLogging"),
    never(Service::Cloudtrail, "PutEventSelectors", "cloudtrail:PutEventSelectors"),
    never(Service::Cloudtrail, "UpdateTrail", "cloudtrail:UpdateTrail"),
    never(Service::Guardduty, "DeleteDetector", "guardduty:DeleteDetector"),
    never(Service::Guardduty, "ArchiveFindings", "guardduty:ArchiveFindings"),
    never(Service::Securityhub, "DisableSecurityHub", "securityhub:DisableSecurityHub"),
    never(Service::Config, "DeleteConfigurationRecorder", "config:DeleteConfigurationRecorder"),
    never(Service::Config, "StopConfigurationRecorder", "config:StopConfigurationRecorder"),
    never(Service::Iam, "DeleteRole", "iam:DeleteRole"),
    never(Service::Iam, "DeletePolicy", "iam:DeletePolicy"),
    never(Service::Iam, "DeletePolicyVersion", "iam:DeletePolicyVersion"),
    // Pending deletion and disabled alike, nothing that the key protects can be read: code, environment, logs, evidence.
    never(Service::Kms, "ScheduleKeyDeletion", "kms:ScheduleKeyDeletion"),
    never(Service::Kms, "DisableKey", "kms:DisableKey"),
    never(Service::Kms, "DeleteImportedKeyMaterial", "kms:DeleteImportedKeyMaterial"),
    never(Service::S3, "DeleteBucket", "s3:DeleteBucket"),
    never(Service::S3, "DeleteObject", "s3:DeleteObject"),
    // Of one version; the operation is the same.
    never(Service::S3, "DeleteObject", "s3:DeleteObjectVersion"),
    never(Service::S3, "DeleteObjects", "s3:DeleteObject"),
    // Both spellings, and a rule may expire objects within a day.
    never(Service::S3, "PutBucketLifecycle", "s3:PutLifecycleConfiguration"),
    never(Service::S3, "PutBucketLifecycleConfiguration", "s3:PutLifecycleConfiguration"),
    never(Service::S3, "PutBucketVersioning", "s3:PutBucketVersioning"),
    never(Service::Sqs, "PurgeQueue", "sqs:PurgeQueue"),
    never(Service::Sqs, "DeleteQueue", "sqs:DeleteQueue"),
    never(Service::Sqs, "DeleteMessage", "sqs:DeleteMessage"),
    never(Service::Sqs, "DeleteMessageBatch", "sqs:DeleteMessage"),
    never(Service::Sns, "DeleteTopic", "sns:DeleteTopic"),
    // A new subscription is another one, to be confirmed by the endpoint.
    never(Service::Sns, "Unsubscribe", "sns:Unsubscribe"),
    never(Service::Events, "DeleteRule", "events:DeleteRule"),
    never(Service::Events, "DeleteEventBus", "events:DeleteEventBus"),
    never(Service::Events, "DeleteArchive", "events:DeleteArchive"),
    never(Service::Scheduler, "DeleteSchedule", "scheduler:DeleteSchedule"),
    never(Service::Pipes, "DeletePipe", "pipes:DeletePipe"),
    never(Service::Ecr, "BatchDeleteImage", "ecr:BatchDeleteImage"),
    never(Service::Ecr, "DeleteRepository", "ecr:DeleteRepository"),
    never(Service::Ec2, "DeleteNetworkInterface", "ec2:DeleteNetworkInterface"),
    never(Service::Ec2, "DeleteFlowLogs", "ec2:DeleteFlowLogs"),
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
    /// What is declared as a write is refused too: for whoever only looks through a unit that could change something.
    pub(super) reads_only: bool,
}

impl Fence {
    pub fn admits(&self, service: &str, operation: &str) -> bool {
        let open = |c: &&Call| !self.reads_only || c.access == Access::Read;
        !NEVER.iter().any(|n| n.service.sdk_id() == service && n.operation == operation)
            && self.calls.iter().filter(open).any(|c| c.service.sdk_id() == service && c.operation == operation)
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
    use crate::model::call::Scope;

    #[test]
    fn only_what_is_declared_and_never_what_destroys() {
        static CALLS: &[Call] = &[
            Call::read(Service::Lambda, "GetPolicy", "lambda:GetPolicy", Scope::Function),
            Call::write(Service::Lambda, "DeleteFunction", "lambda:DeleteFunction", Scope::Function),
        ];
        let fence = Fence { unit: "test", calls: CALLS, reads_only: false };
        assert!(fence.admits("Lambda", "GetPolicy"));
        assert!(!fence.admits("Lambda", "GetFunction"));
        assert!(!fence.admits("IAM", "GetPolicy"));
        assert!(!fence.admits("Lambda", "DeleteFunction"), "declared, but never admitted");
    }

    #[test]
    fn whoever_only_looks_writes_nothing_that_is_declared() {
        static CALLS: &[Call] = &[
            Call::read(Service::Lambda, "GetFunctionConcurrency", "lambda:GetFunctionConcurrency", Scope::Function),
            Call::write(Service::Lambda, "PutFunctionConcurrency", "lambda:PutFunctionConcurrency", Scope::Function),
        ];
        let admits = |reads_only, operation| Fence { unit: "test", calls: CALLS, reads_only }.admits("Lambda", operation);
        assert!(admits(false, "PutFunctionConcurrency") && admits(true, "GetFunctionConcurrency"));
        assert!(!admits(true, "PutFunctionConcurrency"));
    }

    #[test]
    fn no_declaration_opens_what_is_on_the_list() {
        let calls: Vec<Call> = NEVER.iter().map(|n| Call::write(n.service, n.operation, n.action, Scope::Any)).collect();
        let fence = Fence { unit: "test", calls: Box::leak(calls.into_boxed_slice()), reads_only: false };
        for n in NEVER {
            assert!(!fence.admits(n.service.sdk_id(), n.operation), "{n:?}");
            assert!(n.action.starts_with(&format!("{}:", n.service.prefix())), "{n:?}");
        }
        for (at, n) in NEVER.iter().enumerate() {
            assert!(!NEVER[..at].contains(n), "{n:?} twice");
        }
    }
}
