#!/usr/bin/env python3
"""Ask the same questions as a bundle, with boto3, and hold the answers against the bundle's bodies.

    compare_bodies.py BAG_DIR FUNCTION [--without SERVICE]

Knows the bundle's written format (items.jsonl, NNNNNN-Operation.http.json) and nothing of freezeframe's code. What there is to ask it finds
out by itself: aliases, versions, policies and their versions are listed, and each one found is asked about. Endpoint and keys come from the
environment; time windows from the bundle, because the same question needs the same window. Two things must hold:

  every request that this script thought of has its answer in the bundle;
  every body in the bundle is what the same request is answered with now (request ids, presigned queries and page tokens apart).

The bundle asks more than this script thinks of. Those requests are sent again as they stand in the bundle, signed by botocore.

Prints what differs and a count. Exit code 0 only if nothing differs and there was something to compare.
"""
import argparse
import functools
import json
import pathlib
import sys
import time
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ElementTree

import boto3
import botocore.loaders
import botocore.utils
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session

# Of a request: how much to answer at once, from where on, and what window. Two that differ only in these are one question.
PAGING = {"MaxItems", "MaxResults", "maxResults", "limit", "Limit", "Marker", "NextToken", "nextToken", "Version"}
WINDOW = {"StartTime", "EndTime", "startTime", "endTime", "startFromHead"}
# Of an answer.
TOKENS = {"NextToken", "nextToken", "NextMarker", "Marker", "IsTruncated", "ResponseMetadata", "searchedLogStreams"}
# Of an answer, too: a number given to each asking, and the time of asking.
OF_THE_MOMENT = {"JobId", "ApproximateTime"}


def bare(name):
    """A function's name, with its qualifier, whichever way it was written."""
    name = urllib.parse.unquote(name)
    return name.split(":function:")[1] if ":function:" in name else name


def question(method, url, headers, body):
    """What a request asks, as a text."""
    parts = urllib.parse.urlsplit(url)
    target = headers.get("x-amz-target")
    if target:
        asked = {k: v for k, v in json.loads(body or "{}").items() if k not in PAGING | WINDOW}
        return f"{target.rpartition('.')[2]} {json.dumps(asked, sort_keys=True)}"
    if method == "POST":
        form = {k: v for k, v in urllib.parse.parse_qsl(body or "") if k not in PAGING}
        if "Action" not in form:
            return f"POST {parts.path} {body}"
        return f"{form.pop('Action')} {json.dumps(form, sort_keys=True)}"
    query = sorted((k, bare(v)) for k, v in urllib.parse.parse_qsl(parts.query) if k not in PAGING)
    path = "/".join(bare(segment) for segment in parts.path.split("/"))
    return f"{method} {path} {json.dumps(query)}"


def plain(element):
    """XML as lists, dictionaries and texts."""
    children = list(element)
    if not children:
        return element.text or ""
    if all(child.tag.rpartition("}")[2] == "member" for child in children):
        return [plain(child) for child in children]
    return {child.tag.rpartition("}")[2]: plain(child) for child in children}


def unsigned(value):
    """Without what no two answers share: the query of a presigned address."""
    if isinstance(value, dict):
        return {k: unsigned(v) for k, v in value.items()}
    if isinstance(value, list):
        return [unsigned(v) for v in value]
    if isinstance(value, str) and "X-Amz-Signature=" in value:
        return value.partition("?")[0]
    return value


def answer(status, body):
    text = body.decode("utf-8")
    if text.lstrip().startswith("<"):
        # The operation's name is wrapped around once or twice: Response, Result.
        read = plain(ElementTree.fromstring(text))
        read = {k: v for k, v in read.items() if k not in {"ResponseMetadata", "RequestId"}}
        inner = list(read.values())
        if len(inner) == 1 and isinstance(inner[0], dict) and list(read)[0].endswith("Result"):
            read = inner[0]
    else:
        read = json.loads(text) if text else {}
    return {"status": status, **unsigned(read)}


def whole(pages):
    """The pages of one answer as one: lists joined, tokens left out."""
    merged = {}
    for page in pages:
        for key, value in page.items():
            if key in TOKENS | OF_THE_MOMENT:
                continue
            if isinstance(value, list) and isinstance(merged.get(key), list):
                merged[key] = merged[key] + value
            else:
                merged.setdefault(key, value)
    return merged


class Stranger:
    """Every answer to every question asked through its clients, as it came over the wire."""

    def __init__(self):
        self.session = boto3.session.Session()
        self.answers, self.request, self.throttled = {}, None, 0

    def client(self, service):
        client = self.session.client(service, config=Config(retries={"total_max_attempts": 1}))
        client.meta.events.register("before-send.*", self.sent)
        client.meta.events.register("response-received.*", self.received)
        return client

    def sent(self, request, **_):
        body = request.body.decode("utf-8") if isinstance(request.body, bytes) else request.body
        headers = {k.lower(): v.decode() if isinstance(v, bytes) else v for k, v in request.headers.items()}
        self.request = question(request.method, request.url, headers, body)

    def received(self, response_dict, **_):
        if response_dict is None:
            return
        body, status = response_dict["body"], response_dict["status_code"]
        if b"ThrottlingException" in body:
            self.throttled += 1
            return
        self.answers.setdefault(self.request, []).append(answer(status, body))

    def ask(self, call, **params):
        """One answer; that there is nothing is one too."""
        try:
            return call(**params)
        except ClientError as e:
            if e.response["Error"]["Code"] in {"ResourceNotFoundException", "NoSuchEntity"}:
                return {}
            raise

    def pages(self, client, operation, **params):
        out = []
        for page in client.get_paginator(operation).paginate(**params):
            out.append(page)
        return out


@functools.cache
def signing_name(service_id):
    """What a service is called in a signature's scope: botocore's models say it."""
    wanted, loader = botocore.utils.hyphenize_service_id(service_id), botocore.loaders.Loader()
    for service in loader.list_available_services("service-2"):
        if botocore.utils.EVENT_ALIASES.get(service, service) == wanted:
            model = loader.load_service_model(service, "service-2")["metadata"]
            if model["serviceId"] == service_id:
                return model.get("signingName", model["endpointPrefix"])
    raise KeyError(f"botocore knows no service {service_id}")


def again(credentials, record):
    """The answer to a request of the bundle, sent again as it was."""
    headers = {k: v for k, v in record["request_headers"] if k in {"content-type", "accept", "x-amz-target"}}
    request = AWSRequest(method=record["method"], url=record["uri"], headers=headers, data=record.get("request_body", ""))
    SigV4Auth(credentials, signing_name(record["service"]), record["region"]).add_auth(request)
    response = URLLib3Session().send(request.prepare())
    return answer(response.status_code, response.content)


def ask_everything(stranger, function, windows, without):
    lam, iam, logs = stranger.client("lambda"), stranger.client("iam"), stranger.client("logs")
    stranger.client("sts").get_caller_identity()
    told = lam.get_function(FunctionName=function)
    conf = told["Configuration"]
    stranger.ask(lam.get_function_concurrency, FunctionName=function)
    aliases = [a["Name"] for p in stranger.pages(lam, "list_aliases", FunctionName=function) for a in p["Aliases"]]
    versions = [v["Version"] for p in stranger.pages(lam, "list_versions_by_function", FunctionName=function) for v in p["Versions"]]
    qualifiers = aliases + [v for v in versions if v != "$LATEST"]
    stranger.ask(lam.get_policy, FunctionName=function)
    for qualifier in qualifiers:
        stranger.ask(lam.get_policy, FunctionName=function, Qualifier=qualifier)
    mappings = {}
    for name in [function] + [f"{function}:{q}" for q in qualifiers]:
        for page in stranger.pages(lam, "list_event_source_mappings", FunctionName=name):
            mappings.update({m["UUID"]: m for m in page["EventSourceMappings"]})
    for uuid in mappings:
        lam.get_event_source_mapping(UUID=uuid)
    stranger.pages(lam, "list_function_url_configs", FunctionName=function)

    role = conf["Role"].rpartition("/")[2]
    boundary = iam.get_role(RoleName=role)["Role"].get("PermissionsBoundary")
    for page in stranger.pages(iam, "list_role_policies", RoleName=role):
        for name in page["PolicyNames"]:
            iam.get_role_policy(RoleName=role, PolicyName=name)
    arns = [p["PolicyArn"] for page in stranger.pages(iam, "list_attached_role_policies", RoleName=role) for p in page["AttachedPolicies"]]
    for arn in arns + ([boundary["PermissionsBoundaryArn"]] if boundary else []):
        iam.get_policy(PolicyArn=arn)
        for page in stranger.pages(iam, "list_policy_versions", PolicyArn=arn):
            for version in page["Versions"]:
                iam.get_policy_version(PolicyArn=arn, VersionId=version["VersionId"])

    group = conf.get("LoggingConfig", {}).get("LogGroup") or f"/aws/lambda/{function}"
    stranger.pages(logs, "describe_log_groups", logGroupNamePrefix=group)
    stranger.pages(logs, "describe_log_streams", logGroupName=group, orderBy="LastEventTime", descending=True)
    stranger.pages(logs, "filter_log_events", logGroupName=group, **windows["FilterLogEvents"])

    if "cloudtrail" not in without:
        trail = stranger.client("cloudtrail")
        for key, value in [("Username", function), ("ResourceName", function), ("ResourceName", conf["FunctionArn"].removesuffix(":$LATEST")), ("ResourceName", role)]:
            token = {}
            while token is not None:
                # Two requests a second for the account and Region, whoever else is asking.
                time.sleep(0.55)
                try:
                    page = trail.lookup_events(LookupAttributes=[{"AttributeKey": key, "AttributeValue": value}], MaxResults=50, **windows["LookupEvents"], **token)
                except ClientError as e:
                    if e.response["Error"]["Code"] != "ThrottlingException":
                        raise
                    continue
                token = {"NextToken": page["NextToken"]} if page.get("NextToken") else None
    return told


def in_bundle(bag, without):
    """Question → its answer's pages, and the records of their requests, through items.jsonl; the code's bytes; the windows asked for."""
    records = {}
    for path in sorted(bag.glob("data/**/*.http.json")):
        record = json.loads(path.read_text())
        if "body" in record:
            records[record["body"]] = record
    answers, requests, windows, code = {}, {}, {}, None
    for line in (bag / "meta/items.jsonl").read_text().splitlines():
        for file in json.loads(line).get("files", []):
            record = records.get(file["path"])
            if record is None or record["service"].lower().replace(" ", "") in without:
                continue
            body = (bag / file["path"]).read_bytes()
            if record["service"] == "https":
                if file["path"] == "data/10-code/v-LATEST.zip":
                    code = body
                continue
            headers = {name: value for name, value in record["request_headers"]}
            asked = question(record["method"], record["uri"], headers, record.get("request_body"))
            if record["operation"] in {"FilterLogEvents", "LookupEvents"}:
                windows[record["operation"]] = {k: v for k, v in json.loads(record["request_body"]).items() if k in WINDOW}
            answers.setdefault(asked, []).append(answer(record["status"], body))
            requests.setdefault(asked, []).append(record)
    return answers, requests, windows, code


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("bag", type=pathlib.Path)
    args.add_argument("function")
    args.add_argument("--without", action="append", default=[], help="leave this service out")
    args = args.parse_args()
    kept, requests, windows, code = in_bundle(args.bag, args.without)
    stranger = Stranger()
    told = ask_everything(stranger, args.function, windows, args.without)

    wrong = alone = 0
    credentials = stranger.session.get_credentials().get_frozen_credentials()
    for asked in sorted(stranger.answers.keys() | kept.keys()):
        if asked not in kept:
            wrong += 1
            print(f"not in the bundle: {asked}")
            continue
        now = stranger.answers.get(asked)
        if now is None:
            # The stranger asks what an investigator would ask first; the bundle asks more.
            alone += 1
            now = [again(credentials, record) for record in requests[asked]]
        if whole(kept[asked]) != whole(now):
            wrong += 1
            print(f"answered otherwise: {asked}\n  bundle   {ascii(whole(kept[asked]))[:2000]}\n  stranger {ascii(whole(now))[:2000]}")
    with urllib.request.urlopen(told["Code"]["Location"]) as response:
        if code is None or response.read() != code:
            wrong += 1
            print("the code differs")
    events = sum(len(whole(kept[a]).get("Events", [])) for a in kept)
    print(f"{len(kept)} questions, {events} control-plane events, {len(code or b'')} bytes of code, {stranger.throttled} requests throttled, {alone} of them sent again as they stood, {wrong} wrong")
    return 1 if wrong or len(kept) - alone < 25 else 0


if __name__ == "__main__":
    sys.exit(main())
