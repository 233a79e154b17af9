"""Where MiniStack 1.5.33 lacks or gets wrong what the actions on sources, asynchronous events, versions and durable executions ask for.

The same rules as in fidelity.py: functions of the package are replaced in memory, at start, each for a reason. The list:

* async_configs        A configuration for asynchronous invocation is told with defaults for what was never set (AWS leaves it out),
                       the function's own is told without `:$LATEST` and kept apart from that of `$LATEST` (AWS: one and the same),
                       and nobody checks that the role may send to the destinations (AWS refuses the put), so that capturing
                       after the role was quarantined would pass here and fail on AWS.
* published_versions   PublishVersion ignores RevisionId (AWS: 412) and CodeSha256 (AWS: 400).
* durable_executions   Pausing and resuming are not known. The list holds only executions of $LATEST unless told otherwise, and one
                       status only; GetDurableExecution tells the payload also to whom asked not to be told. A function is durable
                       by a member `Enabled` that AWS does not have.
* subscribers          EventBridge's newer buses are not known: here subscribers with their state, over the protocol that the API
                       speaks (CBOR). They deliver nothing.
* source_actions       Reading or changing an alias, an asynchronous configuration or a durable execution asks for the permission of
                       another call, or for none: least privilege fails where it holds on AWS, or passes.
"""
import json
import secrets
import string
import time
from urllib.parse import unquote

import cbor2

from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import error_response_json, get_account_id, get_region, json_response
from ministack.services import eventbridge, iam, lambda_durable
from ministack.services import lambda_svc as svc

TOKEN_SECONDS = 15 * 60
SENDS = {"sqs": ("sqs:SendMessage", "SendMessage"), "sns": ("sns:Publish", "Publish"),
         "lambda": ("lambda:InvokeFunction", "InvokeFunction"), "events": ("events:PutEvents", "PutEvents")}


def async_configs():
    put, get, delete = svc._put_event_invoke_config, svc._get_event_invoke_config, svc._delete_event_invoke_config

    def own(qualifier):
        return None if qualifier == "$LATEST" else qualifier

    def may_send(role, arn):
        action, _ = SENDS.get(arn.split(":")[2], (None, None))
        if action is None:
            return True
        context = iam_evaluator.EvalContext(
            principal_arn=role, principal_type="AssumedRole", principal_account=get_account_id(), action=action, resource_arn=arn,
            region=get_region(), source_ip="127.0.0.1", secure_transport=False)
        policies = iam_evaluator._gather_role_policies(role.rsplit("/", 1)[-1], get_account_id())
        return iam_evaluator.evaluate(context, policies).decision == "Allow"

    def put_config(name, qualifier, data):
        ends = data.get("DestinationConfig")
        if not any(k in data for k in ("MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig")):
            return error_response_json(
                "InvalidParameterValueException", "You must specify at least one of error handling or destination setting.", 400)
        role = svc._functions[name]["config"].get("Role", "") if name in svc._functions else ""
        for end in ("OnSuccess", "OnFailure"):
            arn = ((ends or {}).get(end) or {}).get("Destination")
            if role and arn and not may_send(role, arn):
                word = SENDS[arn.split(":")[2]][1]
                return error_response_json(
                    "InvalidParameterValueException",
                    f"The function's execution role does not have permissions to call {word} on {arn}", 400)
        answer = put(name, own(qualifier), data)
        if answer[0] != 200:
            return answer
        config = svc._functions[name]["event_invoke_configs"][own(qualifier) or ""]
        for member in ("MaximumRetryAttempts", "MaximumEventAgeInSeconds"):
            if member not in data:
                config.pop(member, None)
        config["DestinationConfig"] = {"OnSuccess": {}, "OnFailure": {}, **(ends or {})}
        if not own(qualifier):
            config["FunctionArn"] = f"{svc._func_arn(name)}:$LATEST"
        return json_response(config)

    svc._put_event_invoke_config = put_config
    svc._get_event_invoke_config = lambda name, qualifier=None: get(name, own(qualifier))
    svc._delete_event_invoke_config = lambda name, qualifier=None: delete(name, own(qualifier))


def published_versions():
    publish = svc._publish_version

    def publish_version(name, data):
        config = svc._functions[name]["config"] if name in svc._functions else {}
        if data.get("RevisionId") and data["RevisionId"] != config.get("RevisionId"):
            return error_response_json(
                "PreconditionFailedException", "The Revision Id provided does not match the latest Revision Id.", 412)
        if data.get("CodeSha256") and data["CodeSha256"] != config.get("CodeSha256"):
            return error_response_json(
                "InvalidParameterValueException",
                f"CodeSHA256 ({data['CodeSha256']}) is different from current CodeSHA256 in $LATEST ({config.get('CodeSha256')}).", 400)
        return publish(name, data)

    svc._publish_version = publish_version


class DurableConfig(dict):
    """A durable configuration makes a function durable; it has no member that says so."""

    def get(self, key, default=None):
        return True if key == "Enabled" else super().get(key, default)


def durable_executions():
    route, create = lambda_durable.try_route, svc._create_function
    used = {}

    def create_function(data):
        answer = create(data)
        config = svc._functions[data["FunctionName"]]["config"] if data.get("FunctionName") in svc._functions else {}
        if data.get("DurableConfig"):
            config["DurableConfig"] = DurableConfig(data["DurableConfig"])
        return answer

    def change(path, body, word):
        arn = lambda_durable._parse_execution_arn(path)
        record, missing = lambda_durable._require_execution(arn)
        if missing:
            return missing
        token = (arn, word, json.loads(body or b"{}").get("ClientToken"))
        if token[2] and time.time() - used.get(token, 0) < TOKEN_SECONDS:
            return 202, {}, b""
        before, after, event = (("RUNNING", "PAUSED", "ExecutionPaused") if word == "pause"
                                else ("PAUSED", "RUNNING", "ExecutionResumed"))
        if record["Status"] != before:
            return error_response_json(
                "ResourceConflictException", f"The durable execution is {record['Status']}, not {before}.", 409)
        record["Status"] = after
        lambda_durable._emit_history_event(record, event, f"{event}Details", {})
        used[token] = time.time()
        if after == "RUNNING":
            lambda_durable.schedule_resume(record["DurableExecutionArn"])
        return 202, {}, b""

    def listed(name, query, lookup):
        # Asked once for each version and status, as MiniStack can be asked, and put together.
        arn = lookup(name)
        versions = {r["Version"] for r in lambda_durable._executions.values() if r["FunctionArn"] == arn}
        statuses = query.get("Statuses") or [None]
        found = []
        for qualifier in sorted(versions):
            for status in [statuses] if isinstance(statuses, str) else statuses:
                asked = {**query, "Qualifier": qualifier, "MaxItems": "1000", "Marker": ""}
                asked.pop("Statuses", None)
                answer = lambda_durable.handle_list_by_function(name, {**asked, **({"Statuses": [status]} if status else {})}, lookup)
                found += json.loads(answer[2])["DurableExecutions"] if answer[0] == 200 else []
        return json_response({"DurableExecutions": found})

    def try_route(method, path, body, query, function_arn_lookup):
        parts = unquote(path).strip("/").split("/")
        if method == "POST" and parts[1:2] == ["durable-executions"] and parts[-1] in ("pause", "resume"):
            return change("/".join(parts[2:-1]), body, parts[-1])
        if method == "GET" and parts[1:2] == ["functions"] and parts[3:] == ["durable-executions"] and "Qualifier" not in query:
            if function_arn_lookup(parts[2]):
                return listed(parts[2], query, function_arn_lookup)
        answer = route(method, path, body, query, function_arn_lookup)
        told = query.get("IncludeExecutionData", "true")
        if answer and answer[0] == 200 and method == "GET" and parts[1:2] == ["durable-executions"] and "false" in told:
            document = json.loads(answer[2])
            for member in ("InputPayload", "Result", "Error"):
                document.pop(member, None)
            return json_response(document)
        return answer

    svc._create_function, lambda_durable.try_route = create_function, try_route


class Refused(Exception):
    pass


def subscribers():
    handle = eventbridge.handle_request
    held = {"bus": {}, "subscriber": {}}

    def made(kind, name, **members):
        end = "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(25))
        arn = f"arn:aws:events:{get_region()}:{get_account_id()}:{kind}/{name}/{end}"
        now = int(time.time())
        return arn, {"Name": name, "CreationTime": now, "LastModifiedTime": now, **members}

    def of(asked):
        if asked.get("SubscriberArn") not in held["subscriber"]:
            raise Refused("ResourceNotFoundException", "The subscriber does not exist.")
        return held["subscriber"][asked["SubscriberArn"]]

    def create_event_bus(asked):
        arn, bus = made("event-busv2", asked["Name"], State="ACTIVE")
        held["bus"][arn] = {**bus, "EventBusArn": arn}
        return held["bus"][arn]

    def create_subscriber(asked):
        members = {k: v for k, v in asked.items() if k not in ("Name", "ClientToken", "Tags")}
        arn, subscriber = made("subscriber", asked["Name"], **{"State": "RUNNING", "Type": "UNORDERED", **members})
        held["subscriber"][arn] = {**subscriber, "SubscriberArn": arn}
        return held["subscriber"][arn]

    def list_subscribers(asked):
        # One on a page.
        at = int(asked.get("NextToken", "0"))
        entries = list(held["subscriber"].values())
        summary = [{"SubscriberArn": s["SubscriberArn"], "Name": s["Name"], "EventBusArn": s["EventBusArn"], "State": s["State"],
                    "Type": s["Type"], "TargetArn": s["InvokeConfiguration"]["TargetArn"]} for s in entries[at:at + 1]]
        return {"Subscribers": summary, **({"NextToken": str(at + 1)} if at + 1 < len(entries) else {})}

    def update_subscriber(asked):
        subscriber = of(asked)
        subscriber.update({k: v for k, v in asked.items() if k not in ("SubscriberArn", "ResumePosition")})
        subscriber["LastModifiedTime"] = int(time.time())
        return subscriber

    operations = {"CreateEventBus": create_event_bus, "CreateSubscriber": create_subscriber, "ListSubscribers": list_subscribers,
                  "DescribeSubscriber": of, "UpdateSubscriber": update_subscriber}

    def written(answer):
        # Timestamps are tagged.
        return cbor2.dumps({k: cbor2.CBORTag(1, v) if k.endswith("Time") else v for k, v in answer.items()})

    async def handle_request(method, path, headers, body, query_params):
        operation = subscriber_operation(path)
        if operation is None:
            return await handle(method, path, headers, body, query_params)
        form = {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
        try:
            if operation not in operations:
                raise Refused("UnknownOperationException", f"{operation} is not known.")
            return 200, form, written(operations[operation](cbor2.loads(body) if body else {}))
        except Refused as refused:
            code, message = refused.args
            return 400, form, cbor2.dumps({"__type": f"com.amazonaws.eventbridgev2#{code}", "message": message})

    eventbridge.handle_request = handle_request


def subscriber_operation(path):
    start = "/service/AWSEventsV2/operation/"
    return path[len(start):] if path.startswith(start) else None


def source_actions():
    action_of, resource_of, lambda_action = iam_actions.extract_iam_action, iam_actions.extract_resource_arn, iam_actions._lambda_action
    configs = {"GET": "GetFunctionEventInvokeConfig", "PUT": "PutFunctionEventInvokeConfig", "DELETE": "DeleteFunctionEventInvokeConfig"}
    aliases = {"GET": "GetAlias", "PUT": "UpdateAlias", "DELETE": "DeleteAlias"}
    executions = {"pause": "PauseDurableExecution", "resume": "ResumeDurableExecution", "stop": "StopDurableExecution",
                  "history": "GetDurableExecutionHistory", "state": "GetDurableExecutionState"}

    def of_lambda(method, path):
        parts = [p for p in path.split("/") if p]
        if parts[1:2] == ["durable-executions"]:
            return executions.get(parts[-1], "GetDurableExecution")
        if parts[1:2] == ["functions"] and parts[3:] == ["durable-executions"]:
            return "ListDurableExecutionsByFunction"
        if parts[1:2] == ["functions"] and parts[3:] == ["event-invoke-config", "list"]:
            return "ListFunctionEventInvokeConfigs"
        if parts[1:2] == ["functions"] and parts[3:] == ["event-invoke-config"]:
            return configs.get(method)
        if parts[1:2] == ["functions"] and parts[3:4] == ["aliases"] and len(parts) == 5:
            return aliases.get(method)
        return lambda_action(method, path)

    def action(service, method, path, *args, **kwargs):
        operation = subscriber_operation(path) if service == "events" else None
        return f"events:{operation}" if operation else action_of(service, method, path, *args, **kwargs)

    def resource(service, method, path, headers, body, *args, **kwargs):
        if service == "events" and subscriber_operation(path):
            return (cbor2.loads(body) if body else {}).get("SubscriberArn", "*")
        parts = [p for p in path.split("/") if p]
        if service == "lambda" and parts[1:2] == ["durable-executions"]:
            return "/".join(parts[2:-1] if parts[-1] in executions else parts[2:])
        return resource_of(service, method, path, headers, body, *args, **kwargs)

    iam_actions._lambda_action, iam_actions.extract_iam_action, iam_actions.extract_resource_arn = of_lambda, action, resource


def apply():
    async_configs()
    published_versions()
    durable_executions()
    subscribers()
    source_actions()
