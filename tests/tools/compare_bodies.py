#!/usr/bin/env python3
"""Ask the same questions as a bundle, with boto3, and hold the answers against the bundle's bodies.

    compare_bodies.py BAG_DIR FUNCTION [--without SERVICE]

Knows the bundle's written format (NNNNNN-Operation.http.json and the bodies beside them) and nothing of freezeframe's code. What there is to
ask it finds out by itself: aliases, versions, policies and their versions are listed, and each one found is asked about. Endpoint and keys come
from the environment; time windows from the bundle, because the same question needs the same window. Three things must hold:

  every request that this script thought of has its answer in the bundle;
  every body in the bundle is what the same request is answered with now (request ids, presigned queries and page tokens apart);
  every exchange in the bundle has been compared, or is one of a kind that cannot be, which is said.

The bundle asks more than this script thinks of. Those requests are sent again as they stand in the bundle, signed by botocore; what was
downloaded from presigned addresses is downloaded from the addresses that were given just now.

Prints what differs, and a table of what was compared how. Exit code 0 only if nothing differs, nothing is left over and there was something to
compare.
"""
import argparse
import collections
import functools
import hashlib
import json
import pathlib
import re
import sys
import time
import urllib.parse
import xml.etree.ElementTree as ElementTree

import boto3
import botocore.loaders
import botocore.utils
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session

# Of a request: how much to answer at once, from where on, and what window. Two that differ only in these are one question.
PAGING = {"MaxItems", "MaxResults", "maxResults", "limit", "Limit", "Marker", "NextToken", "nextToken", "Version"}
WINDOW = {"StartTime", "EndTime", "startTime", "endTime", "startFromHead"}
# Of an answer.
TOKENS = {"NextToken", "nextToken", "NextMarker", "Marker", "IsTruncated", "ResponseMetadata", "searchedLogStreams"}
# Of an answer, too, on its highest level: numbers given to each asking; the time of asking, or of what goes on meanwhile (trails deliver).
OF_THE_MOMENT = {"JobId", "queryId", "requestId", "RequestId", "HostId", "ApproximateTime", "LatestDeliveryTime", "LatestDigestDeliveryTime",
                 "LatestNotificationTime", "LatestCloudWatchLogsDeliveryTime"}
# Of a request: what is new each time, or signed anew.
ANEW = {"host", "user-agent", "x-amz-user-agent", "amz-sdk-invocation-id", "amz-sdk-request", "x-amz-date", "authorization",
        "x-amz-security-token", "content-length", "x-amz-content-sha256"}
ADDRESS = re.compile(r'https?://[^"\s<\\]+')
LOOKUP_EVERY = 0.55


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
    names = [child.tag.rpartition("}")[2] for child in children]
    if set(names) <= {"member", "item"}:
        return [plain(child) for child in children]
    read = {}
    for name, child in zip(names, children):
        # What is repeated is a list.
        read[name] = plain(child) if names.count(name) == 1 else read.get(name, []) + [plain(child)]
    return read


def unsigned(value):
    """Without what no two answers share: the query of a presigned address."""
    if isinstance(value, dict):
        return {k: unsigned(v) for k, v in value.items()}
    if isinstance(value, list):
        return [unsigned(v) for v in value]
    # By the form of today (X-Amz-Signature) or of old (Signature).
    if isinstance(value, str) and value.startswith("http") and "Signature=" in value:
        return value.partition("?")[0]
    return value


def answer(status, body):
    try:
        text = body.decode("utf-8")
        if text.lstrip().startswith("<"):
            # The operation's name is wrapped around once or twice: Response, Result.
            read = plain(ElementTree.fromstring(text))
            read = {k: v for k, v in read.items() if k != "ResponseMetadata"} if isinstance(read, dict) else {"text": read}
            inner = list(read.values())
            if len(inner) == 1 and isinstance(inner[0], dict) and list(read)[0].endswith("Result"):
                read = inner[0]
        else:
            read = json.loads(text) if text else {}
        read = read if isinstance(read, dict) else {"list": read}
    except (UnicodeDecodeError, json.JSONDecodeError, ElementTree.ParseError):
        read = {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}
    return {"status": status, **{k: unsigned(v) for k, v in read.items() if k not in OF_THE_MOMENT}}


def alone(page):
    """One page: that there is a token is a part of the answer, which one is not."""
    return {k: "a token" if k in TOKENS and isinstance(v, str) else v for k, v in page.items() if k != "ResponseMetadata"}


def whole(pages):
    """The pages of one answer as one: lists joined, tokens left out; what differs from page to page as all that it was."""
    merged = {}
    for page in pages:
        for key, value in page.items():
            if key in TOKENS:
                continue
            if isinstance(value, list) and isinstance(merged.get(key, []), list):
                merged[key] = merged.get(key, []) + value
            elif merged.setdefault(key, value) != value:
                merged[f"{key}, another"] = value
    return merged


class Stranger:
    """Every answer to every question asked through its clients, as it came over the wire."""

    def __init__(self):
        self.session = boto3.session.Session()
        self.answers, self.request, self.throttled = {}, None, 0
        self.credentials = self.session.get_credentials().get_frozen_credentials()
        self.http, self.addresses, self.looked = URLLib3Session(), {}, 0.0

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
        self.note_addresses(body)

    def note_addresses(self, body):
        """Addresses for downloading, by what they are without their signature."""
        for url in ADDRESS.findall(body.decode("utf-8", "replace").replace("\\u0026", "&").replace("\\/", "/")):
            self.addresses[url.partition("?")[0]] = url.replace("&amp;", "&")

    def look_up_slowly(self):
        """CloudTrail: two requests a second for the account and Region, whoever else is asking."""
        time.sleep(max(0.0, self.looked + LOOKUP_EVERY - time.monotonic()))
        self.looked = time.monotonic()

    def again(self, record):
        """Status and body that a request of the bundle is answered with, sent again as it was."""
        while True:
            if record["operation"] == "LookupEvents":
                self.look_up_slowly()
            response = self.http.send(signed(self.credentials, record))
            if b"ThrottlingException" not in response.content:
                self.note_addresses(response.content)
                return response.status_code, response.content
            self.throttled += 1

    def download(self, record):
        """The same for a presigned address; None if no answer has named one."""
        url = self.addresses.get(record["uri"].partition("?")[0])
        if url is None:
            return None
        response = self.http.send(AWSRequest(method="GET", url=url).prepare())
        return response.status_code, response.content

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


def cbor(value):
    """RFC 8949, as far as requests of the bundle go."""

    def head(major, n):
        for size, info in ((0, n), (1, 24), (2, 25), (4, 26), (8, 27)):
            if n < (24 if size == 0 else 1 << 8 * size):
                return bytes([major << 5 | info]) + (n.to_bytes(size, "big") if size else b"")
        raise OverflowError(n)

    if isinstance(value, bool) or value is None:
        return {False: b"\xf4", True: b"\xf5", None: b"\xf6"}[value]
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(cbor, value))
    return head(5, len(value)) + b"".join(cbor(k) + cbor(v) for k, v in value.items())


def signed(credentials, record):
    """A request of the bundle, ready to be sent again."""
    body = record.get("request_body", "")
    if ["smithy-protocol", "rpc-v2-cbor"] in record["request_headers"]:
        # Recorded as the JSON that says the same.
        body = cbor(json.loads(body))
    request = AWSRequest(method=record["method"], url=record["uri"], data=body)
    for name, value in record["request_headers"]:
        if name not in ANEW:
            request.headers[name] = value
    auth = S3SigV4Auth if record["service"] == "S3" else SigV4Auth
    auth(credentials, signing_name(record["service"]), record["region"]).add_auth(request)
    return request.prepare()


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
    stranger.pages(logs, "filter_log_events", logGroupName=group, **windows[f"FilterLogEvents {json.dumps({'logGroupName': group})}"])

    if "cloudtrail" not in without:
        trail = stranger.client("cloudtrail")
        for key, value in [("Username", function), ("ResourceName", function), ("ResourceName", conf["FunctionArn"].removesuffix(":$LATEST")), ("ResourceName", role)]:
            attributes = [{"AttributeKey": key, "AttributeValue": value}]
            window = windows[f"LookupEvents {json.dumps({'LookupAttributes': attributes})}"]
            token = {}
            while token is not None:
                stranger.look_up_slowly()
                try:
                    page = trail.lookup_events(LookupAttributes=attributes, MaxResults=50, **window, **token)
                except ClientError as e:
                    if e.response["Error"]["Code"] != "ThrottlingException":
                        raise
                    continue
                token = {"NextToken": page["NextToken"]} if page.get("NextToken") else None
    return told


def in_bundle(bag):
    """The records of all exchanges, in the order in which they were sent."""
    return sorted((json.loads(p.read_text()) for p in bag.glob("data/**/*.http.json")), key=lambda r: r["id"])


def asked_in(record):
    headers = {name: value for name, value in record["request_headers"]}
    return question(record["method"], record["uri"], headers, record.get("request_body"))


def window_of(record):
    if "x-amz-target" not in (name for name, _ in record["request_headers"]):
        return {}
    return {k: v for k, v in json.loads(record.get("request_body") or "{}").items() if k in WINDOW}


# Exchanges that cannot be held against an answer of now: how to tell one, and why.
NOT_COMPARABLE = [
    ("repeated: another attempt of the same call stands beside it", lambda r, last: r["attempt"] < last[r.get("invocation")] and r.get("invocation")),
    ("no answer came, or not all of it", lambda r, _: r.get("status") is None or r["body_end"]["how"] not in ("complete", "unsaved")),
]


class Comparison:
    def __init__(self, bag, originals, stranger):
        self.bag, self.originals, self.stranger = bag, originals, stranger
        # Service → how → exchanges.
        self.table = collections.defaultdict(collections.Counter)
        self.wrong = self.questions = 0

    def differs(self, asked, bundle, now):
        self.wrong += 1
        print(f"answered otherwise: {asked}\n  bundle   {ascii(bundle)[:2000]}\n  stranger {ascii(now)[:2000]}")

    def body(self, record):
        if "sealed" in record:
            # What lies in the bundle is a redacted twin.
            return (self.originals / record["body"].removesuffix(".redacted.json")).read_bytes()
        return (self.bag / record["body"]).read_bytes() if "body" in record else b""

    def hold(self, asked, records):
        """The exchanges of one question."""
        self.questions += 1
        thought_of = self.stranger.answers.get(asked)
        kept = all("body" in r for r in records)
        if thought_of is not None and kept:
            for record in records:
                self.table[record["service"]]["the stranger's own question"] += 1
            bundle, now = whole(answer(r["status"], self.body(r)) for r in records), whole(thought_of)
            if bundle != now:
                self.differs(asked, bundle, now)
            return
        for record in records:
            if record["service"] == "https":
                how, told = "downloaded again", self.stranger.download(record)
            else:
                how, told = "sent again as it stood", self.stranger.again(record)
            if told is None:
                print(f"not explained: no answer names the address of {asked}")
                self.table[record["service"]]["not explained"] += 1
                continue
            self.table[record["service"]][how + ("" if kept else ", by length" if record["body_bytes"] else ", without a body")] += 1
            status, body = told
            if record["service"] == "https" or ("body" not in record and record["body_bytes"]):
                # Bytes as they are; or a body that was withheld, of which only the length is on record.
                withheld = "body_sha256" not in record
                bundle = record["status"], record["body_bytes"] if withheld else record["body_sha256"]
                now = status, len(body) if withheld else hashlib.sha256(body).hexdigest()
            else:
                bundle, now = alone(answer(record["status"], self.body(record))), alone(answer(status, body))
            if bundle != now:
                self.differs(asked, bundle, now)


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("bag", type=pathlib.Path)
    args.add_argument("function")
    args.add_argument("--originals", type=pathlib.Path, required=True, help="where `freezeframe unseal` put them")
    args.add_argument("--without", action="append", default=[], help="leave this service out")
    args = args.parse_args()
    records = in_bundle(args.bag)
    # The same question needs the same window; asked again with another it is another question.
    windows = {}
    for record in records:
        if record["operation"] in {"FilterLogEvents", "LookupEvents"}:
            windows.setdefault(asked_in(record), window_of(record))
    stranger = Stranger()
    ask_everything(stranger, args.function, windows, args.without)

    comparison = Comparison(args.bag, args.originals, stranger)
    last = {r.get("invocation"): r["attempt"] for r in records}
    questions = {}
    for record in records:
        if record["service"].lower().replace(" ", "") in args.without:
            comparison.table[record["service"]]["left out as asked"] += 1
            continue
        why = next((why for why, tells in NOT_COMPARABLE if tells(record, last)), None)
        if why is not None:
            comparison.table[record["service"]][why] += 1
        elif record["service"] == "https":
            # After everything that may name its address.
            questions.setdefault(f"~ {record['method']} {record['uri']}", []).append(record)
        else:
            asked = asked_in(record)
            if windows.get(asked, window_of(record)) != window_of(record):
                asked += f" in another window: {window_of(record)}"
            questions.setdefault(asked, []).append(record)
    for asked in sorted(stranger.answers.keys() - questions.keys()):
        comparison.wrong += 1
        print(f"not in the bundle: {asked}")
    for asked in sorted(questions):
        try:
            comparison.hold(asked, questions[asked])
        except Exception as e:  # Whatever it is, the exchange has not been compared.
            comparison.table[questions[asked][0]["service"]]["not explained"] += len(questions[asked])
            print(f"not explained: {asked}: {type(e).__name__}: {e}")

    kinds = collections.Counter()
    print(f"{'service':28} {'exchanges':>9}  how they were compared")
    for service, how in sorted(comparison.table.items()):
        print(f"{service:28} {sum(how.values()):9}  " + "; ".join(f"{n} {kind}" for kind, n in sorted(how.items())))
        kinds.update(how)
    left_over = len(records) - sum(kinds.values()) + kinds["not explained"]
    print(f"{len(records)} exchanges, {comparison.questions} questions: " + "; ".join(f"{n} {kind}" for kind, n in sorted(kinds.items())))
    own = kinds["the stranger's own question"]
    print(f"{comparison.wrong} wrong, {left_over} not explained, {stranger.throttled} requests throttled")
    return 1 if comparison.wrong or left_over or own < 25 else 0


if __name__ == "__main__":
    sys.exit(main())
