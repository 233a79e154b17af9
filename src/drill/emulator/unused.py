"""Reads that MiniStack does not know, answered as AWS answers them in an account that never used the feature.

Without this every drill would end with the same twenty gaps, and a new one would not be seen among them. It is a thin layer before
MiniStack's own application: these few reads are answered ahead of signature and IAM (everything else passes through untouched), and none
of them can change anything. What each answers, and nothing more:

* lambda GetResourcePolicy               404: no policy document was ever put (statements of AddPermission are GetPolicy's matter)
* lambda GetRuntimeManagementConfig      the default: updates are automatic
* logs   DescribeAccountPolicies         none
* logs   GetDataProtectionPolicy         none for this group
* xray   GetTraceSegmentDestination, GetTraceSummaries, BatchGetTraces    X-Ray itself, which holds no traces
"""
import json
import re
import time

RESOURCE_POLICY = re.compile(r"^/\d{4}-\d{2}-\d{2}/resource-policy/")
RUNTIME = re.compile(r"^/\d{4}-\d{2}-\d{2}/functions/([^/]+)/runtime-management-config$")
NOT_FOUND = {"Type": "User", "Message": "The resource you requested does not exist."}
XRAY = {
    "/GetTraceSegmentDestination": lambda: {"Destination": "XRay", "Status": "ACTIVE"},
    "/TraceSummaries": lambda: {"TraceSummaries": [], "ApproximateTime": int(time.time()), "TracesProcessedCount": 0},
    "/Traces": lambda: {"Traces": [], "UnprocessedTraceIds": []},
}
LARGEST = 1 << 16


def answer(method, path, headers, body, account, region):
    """Status and document, or None when MiniStack is to answer."""
    if method == "GET" and RESOURCE_POLICY.match(path):
        return 404, NOT_FOUND
    runtime = RUNTIME.match(path)
    if method == "GET" and runtime:
        name = runtime.group(1).rsplit(":function:", 1)[-1].split(":")[0]
        return 200, {"UpdateRuntimeOn": "Auto", "FunctionArn": f"arn:aws:lambda:{region}:{account}:function:{name}"}
    target = headers.get("x-amz-target", "")
    if target == "Logs_20140328.DescribeAccountPolicies":
        return 200, {"accountPolicies": []}
    if target == "Logs_20140328.GetDataProtectionPolicy":
        return 200, {"logGroupIdentifier": json.loads(body or b"{}").get("logGroupIdentifier")}
    if "/xray/aws4_request" in headers.get("authorization", "") and path in XRAY:
        return 200, XRAY[path]()
    return None


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
        data = json.dumps(document).encode()
        answered = [(b"content-type", b"application/json"), (b"content-length", str(len(data)).encode()),
                    (b"x-amzn-requestid", b"00000000-0000-4000-8000-%012x" % (time.time_ns() & 0xffffffffffff))]
        if status == 404:
            answered.append((b"x-amzn-errortype", b"ResourceNotFoundException"))
        await send({"type": "http.response.start", "status": status, "headers": answered})
        await send({"type": "http.response.body", "body": data})

    return layered
