"""Where MiniStack 1.5.33 answers differently from AWS in a way that would make the drill lie, and nowhere else.

Nothing on disk is changed: each function below replaces one function of the package in memory, at start. The list:

* code_of_versions     GetFunction of a version or alias hands out $LATEST's zip: our own hash check would cry tampering.
                       And Code.Location has no secret in its query; here it has an (invented) session token and
                       signature as on AWS, so that their redaction can be seen to work.
* execution_sessions   aws:userid of a function's session is "<role name>:<function>" where AWS has "<RoleId>:<function>",
                       so that the quarantine's condition never matches; and the keys are the same for ever, for every
                       environment, without expiry. Here: random keys per environment, RoleId, twelve hours.
* reserved_everywhere  Reserved concurrency is asked of $LATEST alone: at zero, versions and aliases still run. On AWS it
                       covers all of them together.
* resource_policies    GetPolicy without a policy answers 200 (AWS: 404), the unqualified one also shows the statements
                       of aliases and versions, and its RevisionId does not move with the policy. AddPermission and
                       RemovePermission ignore a stale RevisionId (AWS: 412), and take statements of other qualifiers.
* alias_weights        An alias' routing weights are stored but never followed: a canary to a bad version never ran.
                       Followed here by Invoke; event sources still go to the alias' main version.
* throttles_alone      An invocation that is throttled counts as an invocation too. On AWS it counts as a throttle alone (Lambda Developer
                       Guide, "Types of metrics"), or nobody who watches could see that nothing runs.
* log_pages            FilterLogEvents cuts at `limit` without a nextToken, so that a reader believes it has everything;
                       it has no pages of 1 MB, no stream prefix and no startFromHead; lines written by an invocation
                       have no eventId.
* tags_on_leave        GetFunction shows a function's tags to everybody (AWS: only to who may list them, and says nothing
                       otherwise; and nothing of a function without tags), so that a guardrail that takes silence for
                       absence would pass.
* lambda_actions       Reading or deleting a reservation asks for the permission to set one; listing function URLs for GetFunction,
                       and reading one event source mapping for the list: least privilege fails where it holds on AWS, or passes.
* roles_by_path        Permissions on a role are evaluated against its name without the path, so that a policy that names
                       the role's whole ARN (as AWS wants it) grants nothing; two actions that name it by ARN are evaluated
                       against `*`, and SimulatePrincipalPolicy finds no role that has a path.
* simulations          SimulateCustomPolicy decides without the context that it is given, so that a condition on aws:userid never
                       holds: every deny for one function alone would seem to stop nothing.
* layers_by_action     Every read of a layer is authorized as lambda:ListLayers, so that a policy with the real actions
                       (GetLayerVersion, GetLayerVersionPolicy, ListLayerVersions) is denied its layers.
* ec2_filters          Six Describe calls of EC2 hand out everything, whatever filter is given: a snapshot of one function's network would
                       hold the whole account's, and a wrong filter would go unseen. And there is no transit gateway, nor a call to
                       ask for one (AWS: an empty list).
* file_systems_by_name Reads of EFS that name their access point or file system in the query are authorized on `*`, so that a policy that
                       names access points and file systems is denied them; reads of S3 Files are not authorized at all.
* lambda_surface.py    What containment changes of a function: policy documents, URLs, mappings, scaling, code signing; reasons are there.
* vaults               There is no GetBucketPolicyStatus (a bucket that everybody may read would not be told from one that nobody may),
                       and an expected bucket owner who is another account is not refused.
* signed_root          Root keys are accepted with any secret, "test" and every 12-digit number is one, so that every
                       local user may run code as the drill's user. Here: one root key, its signature is checked.

Left alone, because nothing we collect would misread it: everything else, and that is not little (IAM lists ignore
MaxItems, event sources deliver without a resource policy, multipart uploads lose Object Lock, ...).
"""
import base64
import functools
import hashlib
import json
import random
import secrets
import time
from contextvars import ContextVar
from fnmatch import fnmatchcase
from urllib.parse import quote
from xml.etree import ElementTree

from ministack.core import iam_actions, iam_evaluator, lambda_runtime
from ministack.core.responses import error_response_json, json_response
from ministack.services import cloudwatch_logs as logs
from ministack.services import cloudwatch, ec2, iam, s3
from ministack.services import sts
from ministack.services import lambda_svc as svc

import lambda_surface

SESSION_SECONDS = 12 * 3600
PAGE_BYTES = 1024 * 1024
OLDEST_BACKWARDS = 1704067200000


def code_of_versions():
    asked = ContextVar("asked", default=None)
    get_function, code_url, serve_code = svc._get_function, svc._presigned_code_url, svc.serve_function_code

    def version_of(func, qualifier):
        alias = func.get("aliases", {}).get(qualifier)
        return alias.get("FunctionVersion") if alias else qualifier

    def get(name, qualifier=None, *args, **kw):
        token = asked.set(qualifier)
        try:
            return get_function(name, qualifier, *args, **kw)
        finally:
            asked.reset(token)

    session = quote(base64.b64encode(b"the drill's invented session token" + secrets.token_bytes(96)).decode(), safe="")

    def url(name):
        made = code_url(name).replace(
            "X-Amz-Signature=ministack-local-presigned",
            f"X-Amz-Security-Token={session}&X-Amz-Signature={secrets.token_hex(32)}")
        return made.replace(f"/{name}?", f"/{name}:{asked.get()}?", 1) if asked.get() else made

    def serve(name, account_id=None, region=None):
        base, _, qualifier = name.partition(":")
        func = svc._functions.get_scoped(account_id, region, base) if account_id and region else svc._functions.get(base)
        record = func and func["versions"].get(version_of(func, qualifier))
        if record and record.get("code_zip"):
            return 200, {"Content-Type": "application/zip"}, record["code_zip"]
        return serve_code(base, account_id, region)

    svc._get_function, svc._presigned_code_url, svc.serve_function_code = get, url, serve


def execution_sessions():
    def credentials(config):
        account, _region = lambda_runtime._account_region_from_function_config(config)
        role = config.get("Role", "")
        function = config.get("FunctionName", "")[:64]
        key, secret, token = sts._gen_session_access_key(), sts._gen_secret(), sts._gen_session_token()
        sts.register_session(key, {
            "Arn": f"arn:aws:sts::{account}:assumed-role/{role.rsplit('/', 1)[-1]}/{function}",
            "UserId": f"{sts._role_id(role)}:{function}",
            "SecretAccessKey": secret, "SessionToken": token, "AccountId": account, "PrincipalType": "AssumedRole",
            "Expiration": time.time() + SESSION_SECONDS,
        })
        return {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": token}

    lambda_runtime.execution_credentials = svc.execution_credentials = credentials


def reserved_everywhere():
    reserved = svc._reserved_concurrency

    def of_function(func, config):
        try:
            account, region = svc._account_region_from_function_config(config)
            func = svc._functions.get_scoped(account, region, config.get("FunctionName")) or func
        except ValueError:
            pass  # no function ARN: an execution that is not a function's, MiniStack's own answer stands
        return reserved(func, config)

    svc._reserved_concurrency = of_function


def resource_policies():
    add, remove = svc._add_permission, svc._remove_permission

    def own(name, qualifier):
        """The statements of exactly this function, alias or version: on AWS each has a policy of its own."""
        arn = svc._policy_resource_arn(name, qualifier)
        return [s for s in svc._functions[name]["policy"]["Statement"] if s.get("Resource") == arn]

    def revision(statements):
        raw = hashlib.sha256(json.dumps(statements, sort_keys=True).encode()).hexdigest()
        return f"{raw[:8]}-{raw[8:12]}-{raw[12:16]}-{raw[16:20]}-{raw[20:32]}"

    def none():
        return error_response_json("ResourceNotFoundException", "The resource you requested does not exist.", 404)

    def stale(name, qualifier, given):
        if given and given != revision(own(name, qualifier)):
            return error_response_json(
                "PreconditionFailedException",
                "The RevisionId provided does not match the latest RevisionId. Call the GetPolicy API to retrieve the "
                "latest RevisionId", 412)
        return None

    def unknown(name, qualifier):
        if name not in svc._functions:
            return error_response_json("ResourceNotFoundException", f"Function not found: {svc._func_arn(name)}", 404)
        return svc._validate_function_qualifier_exists(name, qualifier)

    def get_policy(name, query=None, path_qualifier=None):
        qualifier = svc._qualifier_from_path_or_query(path_qualifier, query)
        if no := unknown(name, qualifier):
            return no
        statements = own(name, qualifier)
        if not statements:
            return none()
        policy = {"Version": "2012-10-17", "Id": "default", "Statement": statements}
        return json_response({"Policy": json.dumps(policy, separators=(",", ":")), "RevisionId": revision(statements)})

    def add_permission(name, data, query=None, path_qualifier=None):
        qualifier = svc._qualifier_from_path_or_query(path_qualifier, query)
        if no := unknown(name, qualifier) or stale(name, qualifier, data.get("RevisionId")):
            return no
        return add(name, data, query, path_qualifier)

    def remove_permission(name, sid, query, path_qualifier=None):
        qualifier = svc._qualifier_from_path_or_query(path_qualifier, query)
        if no := unknown(name, qualifier) or stale(name, qualifier, svc._qp_first(query or {}, "RevisionId")):
            return no
        if sid not in [s.get("Sid") for s in own(name, qualifier)]:
            return none()
        return remove(name, sid, query, path_qualifier)

    svc._get_policy, svc._add_permission, svc._remove_permission = get_policy, add_permission, remove_permission


def alias_weights():
    invoke = svc._invoke

    async def weighted(name, event, headers, path_qualifier=None, query_params=None):
        qualifier = path_qualifier or svc._qp_first(query_params or {}, "Qualifier")
        alias = svc._functions.get(name, {}).get("aliases", {}).get(qualifier) if name in svc._functions else None
        weights = ((alias or {}).get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
        dice = random.random()
        for version, weight in weights.items():
            if dice < weight:
                return await invoke(name, event, headers, version, {})
            dice -= weight
        return await invoke(name, event, headers, path_qualifier, query_params)

    svc._invoke = weighted


def throttles_alone():
    count = svc._emit_lambda_metrics

    def counted(function_name, duration_ms, error, throttle):
        if not throttle:
            return count(function_name, duration_ms, error, throttle)
        return cloudwatch.record_metric("AWS/Lambda", "Throttles", 1, "Count", {"FunctionName": function_name})

    svc._emit_lambda_metrics = counted


def log_pages():
    def event_id(event, stream, index):
        if "eventId" not in event:
            made = hashlib.sha256(f"{stream}\0{index}\0{event['timestamp']}\0{event['message']}".encode()).hexdigest()
            event["eventId"] = str(int(made[:46], 16)).zfill(56)
        return event["eventId"]

    def filter_log_events(data):
        group = logs._resolve_log_group_name(data)
        if group not in logs._log_groups:
            return error_response_json("ResourceNotFoundException", "The specified log group does not exist.", 400)
        wanted = logs._compile_filter_pattern(data.get("filterPattern", ""))
        names, prefix = data.get("logStreamNames"), data.get("logStreamNamePrefix")
        if names and prefix:
            return error_response_json(
                "InvalidParameterException", "logStreamNames and logStreamNamePrefix are mutually exclusive.", 400)
        start, end = data.get("startTime") or 0, data.get("endTime")
        head = data.get("startFromHead") is not False
        asked = json.dumps([group, data.get("filterPattern"), names, prefix, start, end], sort_keys=True)
        mark = hashlib.sha256(asked.encode()).hexdigest()[:16]
        after = None
        if data.get("nextToken"):
            try:
                made_for, head, *after = json.loads(base64.b64decode(data["nextToken"], validate=True))
            except (ValueError, TypeError):
                made_for = None
            if made_for != mark:
                return error_response_json("InvalidParameterException", "The specified nextToken is invalid.", 400)
        elif not head and start < OLDEST_BACKWARDS:
            return error_response_json(
                "InvalidParameterException", "startFromHead false needs a startTime on or after Jan 1, 2024.", 400)
        found = []
        with logs._log_events_lock:
            for name, stream in logs._log_groups[group]["streams"].items():
                if (names and name not in names) or (prefix and not name.startswith(prefix)):
                    continue
                for index, event in enumerate(stream["events"]):
                    at = event["timestamp"]
                    # The API model: "events with a timestamp later than this time are not returned", equal ones are.
                    if at < start or (end is not None and at > end) or not wanted(event["message"]):
                        continue
                    place = [at, name, index]
                    if after is None or (place > after if head else place < after):
                        found.append((place, event))
            found.sort(key=lambda f: f[0], reverse=not head)
            page, size = [], 0
            for (at, name, index), event in found[:min(data.get("limit", 10000), 10000)]:
                size += len(event["message"].encode()) + 26
                if page and size > PAGE_BYTES:
                    break
                page.append({"logStreamName": name, "timestamp": at, "message": event["message"],
                             "ingestionTime": event["ingestionTime"], "eventId": event_id(event, name, index)})
        answer = {"events": page, "searchedLogStreams": []}
        if len(page) < len(found):
            place = json.dumps([mark, head, *found[len(page) - 1][0]])
            answer["nextToken"] = base64.b64encode(place.encode()).decode()
        return json_response(answer)

    logs._filter_log_events = filter_log_events


def signed_root(root_key):
    def is_root(key):
        # The empty key is an unsigned request: only function URLs and the like get here with it.
        return not key or key == root_key

    iam_evaluator.is_root_access_key = sts.is_root_access_key = is_root
    # What asks _is_root_key wants to skip the signature check.
    iam_evaluator._is_root_key = lambda key: not key


def roles_by_path():
    """IAM evaluates a role by its whole ARN, path included; MiniStack left the path out, so that a policy that named the ARN was no use."""
    resource_of, policies_of = iam_actions.extract_resource_arn, iam_evaluator._gather_role_policies

    def resource_arn(*args, **kwargs):
        arn = resource_of(*args, **kwargs)
        if arn == "*" and (kwargs.get("service") or args[0]) == "iam":
            # SimulatePrincipalPolicy and GenerateServiceLastAccessedDetails name the role by its ARN.
            params = kwargs.get("query_params") or (args[5] if len(args) > 5 else {})
            named = iam_actions._query_param(params, "PolicySourceArn") or iam_actions._query_param(params, "Arn")
            arn = named or arn
        role = isinstance(arn, str) and ":role/" in arn and iam._roles.get(arn.rsplit("/", 1)[-1])
        return role["Arn"] if role else arn

    iam_actions.extract_resource_arn = resource_arn
    # Simulation takes the path for a part of the name, finds no such role, and decides on no policies at all.
    iam_evaluator._gather_role_policies = lambda role, account: policies_of(role.rsplit("/", 1)[-1], account)


def lambda_actions():
    action_of = iam_actions._lambda_action
    of_reservation = {"GET": "GetFunctionConcurrency", "PUT": "PutFunctionConcurrency", "DELETE": "DeleteFunctionConcurrency"}

    def action(method, path):
        parts = [p for p in path.split("/") if p]
        if parts[1:2] == ["functions"] and parts[3:] == ["concurrency"]:
            return of_reservation.get(method)
        if parts[1:2] == ["functions"] and parts[3:] == ["urls"]:
            return "ListFunctionUrlConfigs"
        if parts[1:2] == ["event-source-mappings"] and len(parts) == 3 and method == "GET":
            return "GetEventSourceMapping"
        return action_of(method, path)

    iam_actions._lambda_action = action


def tags_on_leave():
    get_function = svc._get_function

    def get(name, *args, **kw):
        status, headers, body = get_function(name, *args, **kw)
        if status != 200:
            return status, headers, body
        answer = json.loads(body)
        # Whose signature this request passed; nobody's for root.
        key = iam_evaluator._verified_key.get()
        refused = key and iam_evaluator.enforce(key, "lambda:ListTags", "lambda", svc.get_region(), svc._func_arn(name))
        if refused or not answer.get("Tags"):
            answer.pop("Tags", None)
        return json_response(answer)

    svc._get_function = get


def simulations():
    simulate = iam._simulate_custom_policy

    def with_context(p):
        keys, n = {}, 1
        while name := iam._p(p, f"ContextEntries.member.{n}.ContextKeyName"):
            keys[name.lower()] = iam._p(p, f"ContextEntries.member.{n}.ContextKeyValues.member.1")
            n += 1
        plain = iam_evaluator.EvalContext
        # The handler looks the class up when it runs, and nothing else runs meanwhile.
        iam_evaluator.EvalContext = functools.partial(plain, principal_keys=keys)
        try:
            return simulate(p)
        finally:
            iam_evaluator.EvalContext = plain

    iam._IAM_HANDLERS["SimulateCustomPolicy"] = with_context


def layers_by_action():
    """GetLayerVersionByArn is granted by lambda:GetLayerVersion on the layer that its query names."""
    action_of, resource_of = iam_actions._lambda_action, iam_actions.extract_resource_arn

    def lambda_action(method, path):
        parts = [p for p in path.split("/") if p]
        if method != "GET" or "functions" in parts or "layers" not in parts:
            return action_of(method, path)
        rest = parts[parts.index("layers") + 1:]
        if rest[-1:] == ["policy"]:
            return "GetLayerVersionPolicy"
        # Without a name it would be ListLayers too; nothing in the drill lists them.
        return "ListLayerVersions" if rest[-1:] == ["versions"] else "GetLayerVersion"

    def resource_arn(service, method, path, headers, body, query_params, *args, **kwargs):
        arn = (query_params or {}).get("Arn") if service == "lambda" and path.rstrip("/").endswith("/layers") else None
        arn = arn[0] if isinstance(arn, list) else arn
        return arn or resource_of(service, method, path, headers, body, query_params, *args, **kwargs)

    iam_actions._lambda_action, iam_actions.extract_resource_arn = lambda_action, resource_arn


# What MiniStack does not look at: filter → path of the element that it is about.
EC2_FILTERS = {
    "DescribeNetworkInterfaces": {"subnet-id": "subnetId", "group-id": "groupSet/item/groupId", "description": "description"},
    "DescribeSecurityGroups": {"group-id": "groupId"},
    "DescribeVpcEndpoints": {"vpc-id": "vpcId"},
    "DescribeNetworkAcls": {"association.subnet-id": "associationSet/item/subnetId"},
    "DescribeDhcpOptions": {"dhcp-options-id": "dhcpOptionsId"},
    "DescribeVpcPeeringConnections": {"vpc-peering-connection-id": "vpcPeeringConnectionId"},
}
EC2_NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"


def ec2_filters():
    def path(text):
        return "/".join(f"{{{EC2_NAMESPACE}}}{step}" for step in text.split("/"))

    def filtered(describe, known):
        def answer(params):
            status, headers, body = describe(params)
            wanted = {known[name]: values for name, values in ec2._parse_filters(params).items() if name in known}
            if status != 200 or not wanted:
                return status, headers, body
            document = ElementTree.fromstring(body)
            for entries in document:
                for item in list(entries):
                    said = {place: [e.text or "" for e in item.findall(path(place))] for place in wanted}
                    if not all(any(fnmatchcase(text, v) for text in said[place] for v in values) for place, values in wanted.items()):
                        entries.remove(item)
            return status, headers, ElementTree.tostring(document, encoding="utf-8", xml_declaration=True)
        return answer

    ElementTree.register_namespace("", EC2_NAMESPACE)
    for operation, known in EC2_FILTERS.items():
        ec2._ACTION_MAP[operation] = filtered(ec2._ACTION_MAP[operation], known)
    ec2._ACTION_MAP["DescribeTransitGatewayVpcAttachments"] = lambda params: ec2._xml(
        200, "DescribeTransitGatewayVpcAttachmentsResponse", "<transitGatewayVpcAttachments/>")


def file_systems_by_name():
    iam_actions.SERVICE_TO_IAM_NAMESPACE["s3files"] = "s3files"
    iam_actions._BOTOCORE_SERVICE_MAP["s3files"] = ["s3files"]
    resource_of = iam_actions.extract_resource_arn

    def resource_arn(service, method, path, headers, body, query_params, region, account_id, *args, **kwargs):
        def asked(name):
            value = (query_params or {}).get(name)
            return value[0] if isinstance(value, list) else value

        place = f"{region}:{account_id}"
        if service == "elasticfilesystem" and asked("AccessPointId"):
            return f"arn:aws:elasticfilesystem:{place}:access-point/{asked('AccessPointId')}"
        if service == "elasticfilesystem" and asked("FileSystemId"):
            return f"arn:aws:elasticfilesystem:{place}:file-system/{asked('FileSystemId')}"
        if service == "s3files":
            kind, name = ([p for p in path.split("/") if p] + ["", ""])[:2]
            if kind == "access-points":
                return f"arn:aws:s3files:{place}:file-system/-/access-point/{name}"
            return f"arn:aws:s3files:{place}:file-system/{asked('fileSystemId') or name}"
        return resource_of(service, method, path, headers, body, query_params, region, account_id, *args, **kwargs)

    iam_actions.extract_resource_arn = resource_arn


def vaults():
    dispatch = s3._dispatch

    def asked(method, bucket, key, headers, body, query_params):
        wanted, owner = headers.get("x-amz-expected-bucket-owner"), bucket and s3._bucket_owner_account(bucket)
        if wanted and owner and wanted != owner:
            return s3._error("AccessDenied", "Access Denied", 403)
        if method == "GET" and bucket and not key and "policyStatus" in query_params:
            if not owner:
                return s3._no_such_bucket(bucket)
            policy = s3._bucket_policies.get(bucket)
            if not policy:
                return s3._error("NoSuchBucketPolicy", "The bucket policy does not exist", 404)
            public = "true" if s3._policy_is_public(policy) else "false"
            text = f'<PolicyStatus xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsPublic>{public}</IsPublic></PolicyStatus>'
            return 200, {"Content-Type": "application/xml"}, text.encode()
        return dispatch(method, bucket, key, headers, body, query_params)

    s3._dispatch = asked


def apply(root_key):
    vaults()
    file_systems_by_name()
    ec2_filters()
    lambda_actions()
    roles_by_path()
    layers_by_action()
    simulations()
    code_of_versions()
    tags_on_leave()
    execution_sessions()
    reserved_everywhere()
    resource_policies()
    alias_weights()
    throttles_alone()
    log_pages()
    lambda_surface.apply()
    signed_root(root_key)
