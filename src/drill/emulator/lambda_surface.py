"""What containment changes of a function, where MiniStack 1.5.33 lacks it or answers otherwise than AWS. As in fidelity.py, nothing on disk is
changed, and each function says what would be untrue without it:

* documents            Put-, Get- and DeleteResourcePolicy are unknown. Here one document for each name of the function, kept byte for byte;
                       GetPolicy shows it, AddPermission appends to it. And a policy is asked for the name that is called: MiniStack
                       evaluated every statement of the function for each of them.
* surface_actions      Unknown paths are authorized as GetFunction, UpdateFunctionCode or DeleteFunction (deleting provisioned concurrency
                       wants the right to delete the function), changing a mapping as nothing; an invocation by qualifier as one without.
* urls                 The URL of an alias claims to be the function's own, and an empty `Cors` is kept where AWS clears it.
* mappings_settle      A mapping is switched at once, where AWS takes its time and says Disabling; so nobody's waiting was ever seen.
* provisioned_lists    ListProvisionedConcurrencyConfigs is answered by the one configuration of $LATEST, which cannot have any.
* code_signing         Any text is a code signing configuration, none can be made, and unsigned code is taken all the same.
* scaling              Scaling of managed instances is unknown. As on AWS the request is shown until it is applied, then it alone.

Not closed: the resource policy is not asked for anonymous callers of a URL, nor for services (EventBridge, SNS); what PutResourcePolicy
wants beside its own permission (AddPermission, RemovePermission) is not checked.
"""
import hashlib
import json
import re
import threading
import time
from urllib.parse import unquote

from ministack.core import iam_actions
from ministack.core.responses import error_response_json, json_response
from ministack.services import lambda_svc as svc

SETTLES_AFTER = 1.0
LARGEST_POLICY = 20480
FUNCTION = r"^/[\d-]+/functions/([^/]+)"


def refused(code, message, status):
    return error_response_json(code, message, status)


def body_of(answer):
    return json.loads(answer[2])


def document_of(raw):
    return json.loads(raw) if raw else {}


def named(arn):
    """Function and qualifier (empty for none) of a whole ARN."""
    name, qualifier = svc._resolve_request_scoped_name_and_qualifier(arn)
    return name, qualifier or ""


def documents():
    get, add, remove = svc._get_policy, svc._add_permission, svc._remove_permission

    def kept(name):
        return svc._functions[name].setdefault("documents", {})

    def revision(text):
        raw = hashlib.sha256(text.encode()).hexdigest()
        return f"{raw[:8]}-{raw[8:12]}-{raw[12:16]}-{raw[16:20]}-{raw[20:32]}"

    def stale(name, qualifier, given):
        shown = get_policy(name, {}, qualifier or None)
        if given and (shown[0] != 200 or body_of(shown)["RevisionId"] != given):
            return refused("PreconditionFailedException", "The RevisionId provided does not match the latest RevisionId.", 412)
        return None

    def statements(text):
        found = json.loads(text).get("Statement", [])
        return found if isinstance(found, list) else [found]

    def get_policy(name, query=None, path_qualifier=None):
        qualifier = svc._qualifier_from_path_or_query(path_qualifier, query) or ""
        text = kept(name).get(qualifier) if name in svc._functions else None
        if text is None or svc._validate_function_qualifier_exists(name, qualifier or None):
            return get(name, query, path_qualifier)
        return json_response({"Policy": text, "RevisionId": revision(text)})

    def add_permission(name, data, query=None, path_qualifier=None):
        qualifier = svc._qualifier_from_path_or_query(path_qualifier, query) or ""
        text = kept(name).get(qualifier) if name in svc._functions else None
        if text is None:
            return add(name, data, query, path_qualifier)
        if no := stale(name, qualifier, data.get("RevisionId")):
            return no
        if data.get("StatementId") in [s.get("Sid") for s in statements(text)]:
            return refused("ResourceConflictException", "The statement id provided already exists.", 409)
        made = add(name, {k: v for k, v in data.items() if k != "RevisionId"}, query, path_qualifier)
        if made[0] == 201:
            # MiniStack's own list is for what AddPermission alone has made.
            policy = json.loads(text)
            policy["Statement"] = statements(text) + [svc._functions[name]["policy"]["Statement"].pop()]
            kept(name)[qualifier] = json.dumps(policy, separators=(",", ":"))
        return made

    def remove_permission(name, sid, query, path_qualifier=None):
        qualifier = svc._qualifier_from_path_or_query(path_qualifier, query) or ""
        text = kept(name).get(qualifier) if name in svc._functions else None
        if text is None:
            return remove(name, sid, query, path_qualifier)
        if no := stale(name, qualifier, svc._qp_first(query or {}, "RevisionId")):
            return no
        left = [s for s in statements(text) if s.get("Sid") != sid]
        if len(left) == len(statements(text)):
            return refused("ResourceNotFoundException", "The resource you requested does not exist.", 404)
        if left:
            kept(name)[qualifier] = json.dumps({**json.loads(text), "Statement": left}, separators=(",", ":"))
        else:
            del kept(name)[qualifier]
        return 204, {}, b""

    def forget(name, qualifier):
        """Statements of AddPermission for exactly this name."""
        arn = svc._policy_resource_arn(name, qualifier or None)
        policy = svc._functions[name]["policy"]
        policy["Statement"] = [s for s in policy["Statement"] if s.get("Resource") != arn]
        kept(name).pop(qualifier, None)

    def resource_policy(method, arn, data, query):
        name, qualifier = named(arn)
        if name not in svc._functions:
            return refused("ResourceNotFoundException", f"Function not found: {arn}", 404)
        shown = get_policy(name, {}, qualifier or None)
        if method == "GET":
            return shown
        if no := svc._validate_function_qualifier_exists(name, qualifier or None):
            return no
        given = data.get("RevisionId") or svc._qp_first(query or {}, "RevisionId")
        if no := stale(name, qualifier, given):
            return no
        if method == "DELETE":
            if shown[0] != 200:
                return shown
            forget(name, qualifier)
            return 204, {}, b""
        text = data.get("Policy", "")
        if len(text) > LARGEST_POLICY:
            return refused("PolicyLengthExceededException", "The permissions policy for the resource is too large.", 400)
        try:
            if not all(isinstance(s, dict) for s in statements(text)):
                raise ValueError("a statement is no object")
        except (ValueError, AttributeError) as e:
            return refused("InvalidParameterValueException", f"The policy is malformed: {e}", 400)
        forget(name, qualifier)
        kept(name)[qualifier] = text
        return json_response({"Policy": text, "RevisionId": revision(text)})

    def policy_for_arn(arn):
        base, sep, _ = arn.partition(":function:")
        name, qualifier = named(unquote(arn)) if sep else ("", "")
        if name not in svc._functions:
            return None
        all_of = list(svc._functions[name]["policy"]["Statement"])
        for of in {"", qualifier}:
            if of in kept(name):
                all_of += statements(kept(name)[of])
        return {"Version": "2012-10-17", "Statement": all_of}, svc.get_account_id()

    svc._get_policy, svc._add_permission, svc._remove_permission = get_policy, add_permission, remove_permission
    svc.function_policy_for_arn = policy_for_arn
    return resource_policy


OF_PATH = [
    (r"^/[\d-]+/resource-policy/", {m: f"{v}ResourcePolicy" for m, v in (("GET", "Get"), ("PUT", "Put"), ("DELETE", "Delete"))}),
    (FUNCTION + r"/function-scaling-config$", {"GET": "GetFunctionScalingConfig", "PUT": "PutFunctionScalingConfig"}),
    (FUNCTION + r"/provisioned-concurrency$",
     {m: f"{v}ProvisionedConcurrencyConfig" for m, v in (("GET", "Get"), ("PUT", "Put"), ("DELETE", "Delete"))}),
    (FUNCTION + r"/code-signing-config$",
     {m: f"{v}FunctionCodeSigningConfig" for m, v in (("GET", "Get"), ("PUT", "Put"), ("DELETE", "Delete"))}),
    (r"^/[\d-]+/code-signing-configs(/|$)", {"GET": "GetCodeSigningConfig", "POST": "CreateCodeSigningConfig"}),
    (FUNCTION + r"/url$", {"PUT": "UpdateFunctionUrlConfig", "DELETE": "DeleteFunctionUrlConfig"}),
    (r"^/[\d-]+/event-source-mappings/[^/]+$", {"PUT": "UpdateEventSourceMapping", "DELETE": "DeleteEventSourceMapping"}),
]


def surface_actions():
    action_of, resource_of = iam_actions.extract_iam_action, iam_actions.extract_resource_arn

    def action(service, method, path, headers, body, query, *more):
        for pattern, by_method in OF_PATH if service == "lambda" else []:
            if re.match(pattern, unquote(path)) and method in by_method:
                name = by_method[method]
                listed = name == "GetProvisionedConcurrencyConfig" and "List" in (query or {})
                return "lambda:" + ("ListProvisionedConcurrencyConfigs" if listed else name)
        return action_of(service, method, path, headers, body, query, *more)

    def resource(service, method, path, headers, body, query, *more, **kw):
        arn = resource_of(service, method, path, headers, body, query, *more, **kw)
        if service != "lambda":
            return arn
        of_itself = re.match(r"^/[\d-]+/(?:resource-policy|code-signing-configs)/(arn:.+)$", unquote(path))
        if of_itself:
            return of_itself[1]
        qualifier = svc._qp_first(query or {}, "Qualifier")
        by_qualifier = unquote(path).rstrip("/").endswith(("/invocations", "/provisioned-concurrency"))
        return f"{arn}:{qualifier}" if by_qualifier and qualifier and isinstance(arn, str) and arn.count(":") == 6 else arn

    iam_actions.extract_iam_action, iam_actions.extract_resource_arn = action, resource


def urls():
    create, update = svc._create_function_url_config, svc._update_function_url_config

    def created(name, data, qualifier):
        answer = create(name, data, qualifier)
        if answer[0] == 201 and qualifier and qualifier != "$LATEST":
            config = svc._function_urls[svc._url_config_key(name, qualifier)]
            config["FunctionArn"] = f"{svc._func_arn(name)}:{qualifier}"
            return json_response(config, status=201)
        return answer

    def updated(name, data, qualifier):
        answer = update(name, data, qualifier)
        config = svc._function_urls.get(svc._url_config_key(name, qualifier))
        if answer[0] == 200 and config and not config.get("Cors"):
            config.pop("Cors", None)
            return json_response(config)
        return answer

    svc._create_function_url_config, svc._update_function_url_config = created, updated


def mappings_settle():
    update = svc._update_esm

    def settling(mapping_id, data):
        mapping = svc._esms.get(mapping_id)
        if mapping and mapping["State"] not in ("Enabled", "Disabled"):
            return refused("ResourceInUseException", "Cannot update the event source mapping because it is in use.", 400)
        before = mapping and mapping["State"]
        answer = update(mapping_id, data)
        if answer[0] == 200 and mapping["State"] != before:
            settled = mapping["State"]
            mapping["State"] = "Enabling" if settled == "Enabled" else "Disabling"
            threading.Timer(SETTLES_AFTER, mapping.update, [{"State": settled}]).start()
            return json_response(svc._esm_response(mapping), 202)
        return answer

    svc._update_esm = settling


def provisioned_list(name):
    if name not in svc._functions:
        return refused("ResourceNotFoundException", f"Function not found: {svc._func_arn(name)}", 404)
    configs = svc._functions[name].get("provisioned_concurrency", {})
    return json_response({"ProvisionedConcurrencyConfigs": [
        {"FunctionArn": f"{svc._func_arn(name)}:{qualifier}", **config} for qualifier, config in sorted(configs.items())]})


def code_signing():
    configs = {}
    update = svc._update_code

    def configuration(method, arn, data):
        if method == "POST":
            number = f"csc-{hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:17]}"
            arn = f"arn:aws:lambda:{svc.get_region()}:{svc.get_account_id()}:code-signing-config:{number}"
            configs[arn] = {"CodeSigningConfigId": number, "CodeSigningConfigArn": arn, "LastModified": svc._now_iso(),
                            "AllowedPublishers": data.get("AllowedPublishers", {}),
                            "CodeSigningPolicies": data.get("CodeSigningPolicies", {"UntrustedArtifactOnDeployment": "Warn"})}
            return json_response({"CodeSigningConfig": configs[arn]}, 201)
        if arn not in configs:
            return refused("ResourceNotFoundException", f"The code signing configuration cannot be found: {arn}", 404)
        return json_response({"CodeSigningConfig": configs[arn]})

    def of_function(name, data):
        if name in svc._functions and data.get("CodeSigningConfigArn") not in configs:
            return refused("CodeSigningConfigNotFoundException", "The specified code signing configuration does not exist.", 404)
        return None

    def updated(name, data):
        config = configs.get(svc._functions[name].get("code_signing_config_arn")) if name in svc._functions else None
        # Nothing in the drill is signed.
        if config and config["CodeSigningPolicies"].get("UntrustedArtifactOnDeployment") == "Enforce":
            return refused("CodeVerificationFailedException", "The code signature failed the integrity check or expired.", 400)
        return update(name, data)

    svc._update_code = updated
    return configuration, of_function


def scaling(method, name, data, query):
    qualifier = svc._qp_first(query or {}, "Qualifier") or ""
    function = svc._functions.get(name)
    version = function["versions"].get(qualifier) if function else None
    if not version or not version["config"].get("CapacityProviderConfig"):
        return refused("ResourceNotFoundException", f"Function not found: {svc._func_arn(name)}:{qualifier}", 404)
    state = function.setdefault("scaling", {}).setdefault(qualifier, {"applied": None, "requested": None, "at": 0.0})
    if time.monotonic() - state["at"] > SETTLES_AFTER and state["at"]:
        state.update(applied=state["requested"], requested=None, at=0.0)
    if method == "PUT":
        state.update(requested=data.get("FunctionScalingConfig"), at=time.monotonic())
        if state["requested"] is None:
            state.update(applied=None, at=0.0)
        return json_response({"FunctionState": "Active"}, 202)
    shown = {"AppliedFunctionScalingConfig": state["applied"], "RequestedFunctionScalingConfig": state["requested"]}
    return json_response({"FunctionArn": f"{svc._func_arn(name)}:{qualifier}", **{k: v for k, v in shown.items() if v is not None}})


def apply():
    resource_policy = documents()
    configuration, of_function = code_signing()
    surface_actions()
    urls()
    mappings_settle()
    handle = svc.handle_request

    def answer(method, path, body, query):
        def match(pattern):
            found = re.match(pattern, path)
            return found and [svc._resolve_request_scoped_name(g) if pattern.startswith(FUNCTION) else g for g in found.groups()]

        if found := match(r"^/[\d-]+/resource-policy/(.+)$"):
            return resource_policy(method, found[0], document_of(body), query)
        if found := match(FUNCTION + r"/function-scaling-config$"):
            return scaling(method, found[0], document_of(body), query)
        if method == "GET" and "List" in (query or {}) and (found := match(FUNCTION + r"/provisioned-concurrency$")):
            return provisioned_list(found[0])
        if method in ("GET", "POST") and (found := match(r"^/[\d-]+/code-signing-configs/?(.*)$")):
            return configuration(method, found[0], document_of(body))
        if method == "PUT" and (found := match(FUNCTION + r"/code-signing-config$")):
            return of_function(found[0], document_of(body))
        return None

    async def routed(method, path, headers, body, query_params):
        told = answer(method, unquote(path).rstrip("/"), body, query_params)
        return told if told is not None else await handle(method, path, headers, body, query_params)

    svc.handle_request = routed
