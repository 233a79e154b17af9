//! How often and when a call is made, in words: a dry run that named twelve operations and hid that one of them is made for every policy
//! version would not be honest.

use crate::model::call::Call;

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
    ("async-leftovers", "GetQueueUrl", "once per queue that events fail into"),
    ("async-leftovers", "GetQueueAttributes", "once per such queue; no message is received"),
    ("control-plane-history", "LookupEvents", "several searches, once per page of 50 events; CloudTrail gives 2 requests a second"),
    ("resource-policy", "GetPolicy", "once for the function, each alias and each published version"),
    ("function-urls", "ListFunctionUrlConfigs", "once per page"),
    ("event-source-mappings", "ListEventSourceMappings", "for the function, each alias and each published version; once per page"),
    ("event-source-mappings", "GetEventSourceMapping", "once per mapping"),
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

pub(super) fn how_often(unit: &str, call: &Call) -> Option<&'static str> {
    if let Some((_, _, words)) = PARTICULAR.iter().find(|(u, operation, _)| *u == unit && *operation == call.operation) {
        return Some(words);
    }
    let paged = ["List", "Describe", "Lookup", "Filter"];
    paged.iter().any(|p| call.operation.starts_with(p)).then_some("once per page")
}
