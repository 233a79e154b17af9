//! How often and when a call is made, in words: a dry run that named twelve operations and hid that one of them is made for every policy
//! version would not be honest.

use crate::model::call::Call;
use crate::model::params::Params;

/// What is particular to a call of one unit; what is left blank follows from the operation's name. A test holds every line to a declared call.
pub const PARTICULAR: &[(&str, &str, &str)] = &[
    ("function-code", "DownloadCode", "from the presigned address that AWS gave; streamed"),
    ("function-code", "GetFunction", "only when the presigned address has expired"),
    ("recent-invocations", "FilterLogEvents", "once per page, newest first, until the window or a bound ends it"),
    // invocations
    ("recent-invocations", "StartQuery", "only for a log group that cannot be filtered; paid by the gigabyte searched"),
    ("recent-invocations", "GetQueryResults", "every few seconds until the query has ended, then once per page"),
    ("metrics", "GetMetricData", "once per 100,800 points, and per page; paid by the metric"),
    ("traces", "GetTraceSummaries", "once per six hours of the window, and per page"),
    ("traces", "BatchGetTraces", "once per five traces, and per page"),
    ("durable-executions", "ListDurableExecutionsByFunction", "of each durable version, running ones first; once per page"),
    ("durable-executions", "GetDurableExecution", "once per execution"),
    ("durable-executions", "GetDurableExecutionHistory", "once per execution and page"),
    ("control-plane-history", "LookupEvents", "several searches, once per page of 50 events; CloudTrail gives 2 requests a second"),
    (
        "credential-activity",
        "LookupEvents",
        "by name and role in each Region, then by key; once per page; 2 requests a second in each Region",
    ),
    ("credential-activity", "GetMetricData", "one series: when the function ran"),
    ("trails", "GetTrailStatus", "once per trail"),
    ("trails", "GetEventSelectors", "once per trail"),
    ("trails", "GetInsightSelectors", "once per trail"),
    ("trails", "GetEventConfiguration", "once per trail"),
    ("trails", "GetEventDataStore", "once per event data store"),
    ("trail-archive", "ListObjectsV2", "for each Region, from the first day of the window on; once per page"),
    ("trail-archive", "GetObject", "once per log file and digest; streamed"),
    ("trail-archive", "ListPublicKeys", "for each Region that signs digests; once per page"),
    ("resource-policy", "GetPolicy", "once for the function, each alias and each published version"),
    // The surface of the Lambda API.
    ("resource-policy-document", "GetResourcePolicy", "once for the function, each alias and each published version"),
    ("qualified-configuration", "GetFunction", "once for each alias and each published version"),
    ("version-code", "DownloadCode", "once for each digest that is not stored yet; streamed"),
    ("version-code", "GetFunction", "only when a presigned address has expired"),
    ("runtime-management", "GetRuntimeManagementConfig", "once for $LATEST and each published version"),
    ("layers", "DownloadCode", "once per layer version; streamed"),
    ("layers", "GetLayerVersionByArn", "once per layer version of any configuration"),
    ("layers", "GetLayerVersionPolicy", "once per layer version of this account"),
    ("code-object", "GetObject", "only when Lambda keeps no copy (REFERENCE mode); streamed"),
    ("code-object", "GetObjectAttributes", "only when Lambda keeps no copy (REFERENCE mode)"),
    ("code-object", "ListObjectVersions", "only when Lambda keeps no copy (REFERENCE mode); once per page"),
    ("code-signing", "GetCodeSigningConfig", "only when the function names one"),
    ("code-signing", "DescribeSigningJob", "once per signing job that a configuration names"),
    ("capacity", "GetFunctionScalingConfig", "once per version on managed instances"),
    ("capacity", "GetCapacityProvider", "once per capacity provider that a configuration names"),
    ("container-image", "DownloadCode", "once for each configuration and layer of an image; streamed"),
    ("container-image", "BatchGetImage", "once for each manifest of an image"),
    ("container-image", "GetDownloadUrlForLayer", "once for each configuration and layer of an image"),
    ("tags", "ListTags", "once"),
    // End of the surface of the Lambda API.
    ("function-urls", "ListFunctionUrlConfigs", "once per page"),
    ("event-source-mappings", "ListEventSourceMappings", "for the function, each alias and each published version; once per page"),
    ("event-source-mappings", "GetEventSourceMapping", "once per mapping"),
    // Triggers and identity.
    ("account-mappings", "ListEventSourceMappings", "of the whole account in this Region; once per page"),
    ("eventbridge-rules", "ListRuleNamesByTarget", "for each event bus, with the function, each alias and each published version"),
    ("eventbridge-rules", "DescribeRule", "once per rule that was found or that a resource policy names"),
    ("eventbridge-rules", "ListTargetsByRule", "the same"),
    ("schedules", "GetSchedule", "once per schedule that targets the function or any Lambda API call"),
    ("pipes", "DescribePipe", "once per pipe that calls the function"),
    ("log-subscriptions", "DescribeSubscriptionFilters", "for the function's groups and those that a resource policy names"),
    ("s3-notifications", "GetBucketNotificationConfiguration", "once per bucket that a resource policy names"),
    ("sns-subscriptions", "ListSubscriptionsByTopic", "once per topic that a resource policy names, and page"),
    ("sns-subscriptions", "GetSubscriptionAttributes", "once per subscription that calls the function"),
    ("api-gateways", "GetRestApi", "once per API that a resource policy names: the API, as REST"),
    ("api-gateways", "GetResources", "its resources, methods and integrations"),
    ("api-gateways", "GetAuthorizers", "its authorizers"),
    ("api-gateways", "GetStages", "its stages"),
    ("api-gateways", "GetApi", "the same API, as HTTP or WebSocket"),
    ("api-gateways", "GetRoutes", "its routes"),
    ("api-gateways", "GetIntegrations", "its integrations"),
    ("load-balancer-targets", "DescribeTargetGroups", "once per target group that a resource policy names"),
    ("load-balancer-targets", "DescribeTargetHealth", "the same"),
    ("delivery-targets", "GetQueueUrl", "once per queue that events are sent to; no message is received"),
    ("delivery-targets", "GetQueueAttributes", "the same"),
    ("delivery-targets", "GetTopicAttributes", "once per topic that events are sent to"),
    ("delivery-targets", "DescribeEventBus", "once per event bus that events are sent to"),
    ("delivery-targets", "GetBucketPolicy", "once per bucket that events are sent to"),
    ("function-key", "DescribeKey", "where the function has a key of the customer's"),
    ("function-key", "GetKeyPolicy", "the same"),
    ("function-key", "ListGrants", "the same; once per page"),
    ("role-simulation", "SimulatePrincipalPolicy", "for a fixed list of actions; nothing is done, IAM only decides"),
    ("shared-role-census", "ListFunctions", "once per page; the answers are hashed and not kept"),
    ("organization-policies", "ListParents", "for the account and each unit above it"),
    ("organization-policies", "ListPoliciesForTarget", "twice for each of these"),
    ("organization-policies", "DescribePolicy", "once per policy"),
    ("service-last-accessed", "GenerateServiceLastAccessedDetails", "makes IAM write a report, which expires; changes no setting"),
    ("service-last-accessed", "GetServiceLastAccessedDetails", "every two seconds until the report is there"),
    // Detections.
    ("guardduty-findings", "GetDetector", "only where GuardDuty is on"),
    ("guardduty-findings", "ListFindings", "only where GuardDuty is on: about the function, and about its role; once per page"),
    ("guardduty-findings", "GetFindings", "once per fifty findings"),
    ("security-hub-findings", "GetFindings", "about the function, and about its role; once per page"),
    ("security-hub-findings", "GetFindingHistory", "once per finding and page"),
    (
        "security-hub-findings",
        "GetFindingsV2",
        "only where the newer Security Hub is on: about the function, and about its role; once per page",
    ),
    ("inspector-findings", "ListFindings", "only where Inspector is on; once per page"),
    ("inspector-findings", "ListCoverage", "only where Inspector is on; once per page"),
    ("inspector-findings", "BatchGetFindingDetails", "once per ten findings"),
    ("access-analyzer-findings", "ListFindingsV2", "for each analyzer: about the function, its role and its own layers; once per page"),
    ("access-analyzer-findings", "GetFindingV2", "once per finding and page"),
    ("access-analyzer-findings", "GetAnalyzedResource", "for each analyzer of external access and each of these resources"),
    ("event-subscribers", "DescribeSubscriber", "once per subscriber that targets the function or any Lambda API call"),
    ("event-archives", "DescribeArchive", "once per archive"),
    ("alarm-actions", "DescribeAlarms", "for each of three kinds of alarm; once per page"),
    ("edge-associations", "ListDistributions", "only for a function in us-east-1; once per page"),
    ("named-sources", "DescribeUserPool", "once per user pool that a resource policy names"),
    ("named-sources", "GetTopicRule", "once per IoT rule that a resource policy names"),
    ("named-sources", "ListSecrets", "where a resource policy admits Secrets Manager; no value is read; once per page"),
    ("named-sources", "DescribeConfigRules", "where a resource policy admits AWS Config; once per page"),
    ("named-sources", "DescribeActiveReceiptRuleSet", "where a resource policy admits SES"),
    ("customer-runtime", "GetRuntime", "only where a configuration names a runtime of the customer's"),
    ("customer-runtime", "GetRuntimeAlias", "the same: where its alias points now"),
    ("customer-runtime", "GetRuntimeVersion", "the same: the image of that version"),
    ("customer-runtime", "DownloadCode", "once for each configuration and layer of that image; streamed"),
    ("customer-runtime", "BatchGetImage", "once for each manifest of that image"),
    ("customer-runtime", "GetDownloadUrlForLayer", "once for each configuration and layer of that image"),
    ("recent-invocations", "StopQuery", "only for a query of ours that took too long"),
    ("recent-invocations", "GetTransformer", "once for each log group of the standard class"),
    ("traces", "StartTraceRetrieval", "only where spans go to CloudWatch Logs; once per hundred traces"),
    ("traces", "ListRetrievedTraces", "every few seconds until these are there, then once per page"),
    // End of detections.
    ("execution-role", "GetRolePolicy", "once per inline policy"),
    ("execution-role", "GetPolicy", "once per attached policy, and for the permissions boundary"),
    ("execution-role", "ListPolicyVersions", "once per attached policy, and for the permissions boundary"),
    ("execution-role", "GetPolicyVersion", "once per version of each of these policies"),
    ("freeze-concurrency", "PutFunctionConcurrency", "to 0; on restore to the former value"),
    ("freeze-concurrency", "DeleteFunctionConcurrency", "on restore only, where no reservation was set before"),
    ("quarantine-role", "ListFunctions", "with scope auto only, to learn who else uses the role; once per page"),
    ("quarantine-role", "PutRolePolicy", "one inline policy"),
    ("quarantine-role", "DeleteRolePolicy", "on restore only"),
    ("detach-permissions", "GetRolePolicy", "once per inline policy"),
    ("detach-permissions", "DetachRolePolicy", "once per attached policy"),
    ("detach-permissions", "AttachRolePolicy", "on restore only, once per policy that was attached"),
    ("detach-permissions", "PutRolePolicy", "on restore only, once per inline policy that was there"),
    ("detach-permissions", "DeleteRolePolicy", "once per inline policy"),
];

/// Calls that a parameter's value makes needless: unit, operation (empty: all), parameter, value.
const NEEDLESS: &[(&str, &str, &str, &str)] = &[
    ("control-plane-history", "LookupEvents", "from", "trail"),
    ("credential-activity", "LookupEvents", "from", "trail"),
    ("trail-archive", "", "trail", "none"),
];

/// Whether a step with these parameters makes the call at all. What it does not make stands in no plan and is granted by no policy.
pub(super) fn is_made(unit: &str, call: &Call, params: &Params) -> bool {
    !NEEDLESS.iter().any(|(u, operation, param, value)| {
        *u == unit && (operation.is_empty() || *operation == call.operation) && params.text(param).as_deref() == Some(*value)
    })
}

pub(super) fn how_often(unit: &str, call: &Call) -> Option<&'static str> {
    if let Some((_, _, words)) = PARTICULAR.iter().find(|(u, operation, _)| *u == unit && *operation == call.operation) {
        return Some(words);
    }
    let paged = ["List", "Describe", "Lookup", "Filter"];
    paged.iter().any(|p| call.operation.starts_with(p)).then_some("once per page")
}
