"""Reads that MiniStack does not know, answered as AWS answers them in an account that never used the feature.

Without this every drill would end with the same twenty gaps, and a new one would not be seen among them. It is a thin layer before
MiniStack's own application: these few reads are answered ahead of signature and IAM (everything else passes through untouched), and none
of them can change anything. What each answers, and nothing more:

* lambda GetRuntimeManagementConfig      the default: updates are automatic
* logs   DescribeAccountPolicies         none
* logs   GetDataProtectionPolicy         none for this group
* logs   GetTransformer                  none for this group
* logs   GetStorageTierPolicy            the default: standard
* xray   GetTraceSegmentDestination, GetTraceSummaries, BatchGetTraces    X-Ray itself, which holds no traces
* config GetResourceConfigHistory, ListDiscoveredResources    400: there is no recorder, and was none (MiniStack says so itself when
                                         it is asked for recorders; it has no history to ask for)
* config GetComplianceDetailsByResource  none: no rule judged anything
* application-autoscaling DescribeScalableTargets    none
* route53resolver ListResolverQueryLogConfigAssociations, ListResolverRuleAssociations    none
* guardduty ListDetectors                none: GuardDuty is off
* securityhub GetFindings                401: the account is not subscribed (Security Hub CSPM is off)
* securityhub DescribeSecurityHubV2      404: the newer Security Hub is off
* access-analyzer ListAnalyzers          none
"""
import json
import re
import time

RUNTIME = re.compile(r"^/\d{4}-\d{2}-\d{2}/functions/([^/]+)/runtime-management-config$")
XRAY = {
    "/GetTraceSegmentDestination": lambda: {"Destination": "XRay", "Status": "ACTIVE"},
    "/TraceSummaries": lambda: {"TraceSummaries": [], "ApproximateTime": int(time.time()), "TracesProcessedCount": 0},
    "/Traces": lambda: {"Traces": [], "UnprocessedTraceIds": []},
}
# Network, deployment, history: by X-Amz-Target.
NO_RECORDER = 400, {"__type": "NoAvailableConfigurationRecorderException",
                    "message": "There is no configuration recorder available to record your resources."}
NEVER_USED = {
    "StarlingDoveService.GetResourceConfigHistory": NO_RECORDER,
    "StarlingDoveService.ListDiscoveredResources": NO_RECORDER,
    "StarlingDoveService.GetComplianceDetailsByResource": (200, {"EvaluationResults": []}),
    "AnyScaleFrontendService.DescribeScalableTargets": (200, {"ScalableTargets": []}),
    "Route53Resolver.ListResolverQueryLogConfigAssociations": (200, {
        "TotalCount": 0, "TotalFilteredCount": 0, "ResolverQueryLogConfigAssociations": []}),
    "Route53Resolver.ListResolverRuleAssociations": (200, {"MaxResults": 100, "ResolverRuleAssociations": []}),
}
# Services that are off, by credential scope: what they answer to the first question, which is the only one then.
OFF = {
    ("guardduty", "GET", "/detector"): lambda account: (200, {"detectorIds": []}),
    ("securityhub", "POST", "/findings"): lambda account: (401, {
        "__type": "InvalidAccessException", "message": f"Account {account} is not subscribed to AWS Security Hub"}),
    ("securityhub", "GET", "/hubv2"): lambda account: (404, {"message": "Security Hub is not enabled."}),
    ("access-analyzer", "GET", "/analyzer"): lambda account: (200, {"analyzers": []}),
}
SCOPE = re.compile(r"Credential=[^/]+/\d{8}/[^/]+/([^/]+)/aws4_request")
LARGEST = 1 << 16


def answer(method, path, headers, body, account, region):
    """Status and document, or None when MiniStack is to answer."""
    runtime = RUNTIME.match(path)
    if method == "GET" and runtime:
        name = runtime.group(1).rsplit(":function:", 1)[-1].split(":")[0]
        return 200, {"UpdateRuntimeOn": "Auto", "FunctionArn": f"arn:aws:lambda:{region}:{account}:function:{name}"}
    target = headers.get("x-amz-target", "")
    if target == "Logs_20140328.DescribeAccountPolicies":
        return 200, {"accountPolicies": []}
    if target == "Logs_20140328.GetDataProtectionPolicy":
        return 200, {"logGroupIdentifier": json.loads(body or b"{}").get("logGroupIdentifier")}
    if target in NEVER_USED:
        status, document = NEVER_USED[target]
        return status, dict(document)
    if target == "Logs_20140328.GetTransformer":
        return 200, {}
    if target == "Logs_20140328.GetStorageTierPolicy":
        return 200, {"storageTier": "STANDARD"}
    if "/xray/aws4_request" in headers.get("authorization", "") and path in XRAY:
        return 200, XRAY[path]()
    scope = SCOPE.search(headers.get("authorization", ""))
    off = scope and OFF.get((scope[1], method, path))
    return off(account) if off else None


def before(app, account, region):
    """MiniStack's ASGI application with these answers before it."""

    async def layered(scope, receive, send):
        if scope["type"] != "http":
            return await app(scope, receive, send)
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        body, replay = b"", []
        if headers.get("x-amz-target", "").startswith("Logs_20140328.GetData"):
            while len(body) <= LARGEST:
                message = await receive()
                replay.append(message)
                body += message.get("body", b"")
                if not message.get("more_body"):
                    break
        told = answer(scope["method"], scope["path"], headers, body, account, region)
        if told is None:
            async def again():
                return replay.pop(0) if replay else await receive()
            return await app(scope, again, send)
        # Answered before its request is read to the end, the connection would be closed under a client that keeps it.
        while not replay or replay[-1].get("more_body"):
            replay.append(await receive())
        status, document = told
        code = document.pop("__type", "ResourceNotFoundException") if status >= 400 else None
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        form = b"application/cbor" if data is document else b"application/json"
        answered = [(b"content-type", form), (b"content-length", str(len(data)).encode()),
                    (b"x-amzn-requestid", b"00000000-0000-4000-8000-%012x" % (time.time_ns() & 0xffffffffffff))]
        if code:
            answered.append((b"x-amzn-errortype", code.encode()))
        await send({"type": "http.response.start", "status": status, "headers": answered})
        await send({"type": "http.response.body", "body": data})

    return layered
