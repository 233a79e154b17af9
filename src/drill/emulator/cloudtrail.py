"""A CloudTrail event history of our own: LookupEvents in the form in which AWS answers it.

MiniStack's recorder calls PutFunctionConcurrency "UpdateFunctionCode" and knows no errorCode, no assumed role and no
NextToken, so that our own containment would look like tampering. This server answers from a file that the drill writes.

The forms follow the CloudTrail API model and real records: awsJson1_1, one lookup attribute, pages of at most 50
newest first, times as epoch seconds, CloudTrailEvent as a JSON *string*, ReadOnly as a string, 90 days, two requests
per second per account and Region. What it never does: record anything, or answer a call it does not know.

The file is {"account": "...", "trails": [...], "publicKeys": [...], "events": [{"resources": [...], "event": {record}}]};
trails and keys are answered as they stand there. It is read again whenever it changes. Run alone (`python3 cloudtrail.py FILE`) it prints its port and serves without asking for IAM.
"""
import base64
import hashlib
import json
import os
import re
import secrets
import sys
import threading
import time
import uuid
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TARGET = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101."
SHORT_TARGET = "CloudTrail_20131101."
ATTRIBUTES = {"EventId", "EventName", "ReadOnly", "Username", "ResourceType", "ResourceName", "EventSource",
              "AccessKeyId"}
HISTORY_SECONDS = 90 * 24 * 3600
RATE = 2.0
MAX_BODY = 256 * 1024
CREDENTIAL = re.compile(r"^AWS4-HMAC-SHA256 .*?Credential=([^/,\s]+)/(\d{8})/([a-z0-9-]+)/cloudtrail/aws4_request")


class Refused(Exception):
    """An error as AWS would name it."""

    def __init__(self, code, message=None, status=400):
        super().__init__(code)
        self.code, self.message, self.status = code, message, status


def epoch(text):
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc).timestamp()


def username(identity):
    """What LookupEvents calls Username: the session name of a role, the name of a user, nothing for a service."""
    if identity.get("type") == "AssumedRole":
        return identity.get("principalId", "").partition(":")[2] or None
    if identity.get("type") == "Root":
        return "root"
    return identity.get("userName")


def envelope(entry):
    """One element of `Events`."""
    record = entry["event"]
    identity = record.get("userIdentity", {})
    out = {"EventId": record["eventID"], "EventName": record["eventName"],
           "ReadOnly": "true" if record.get("readOnly") else "false"}
    if identity.get("accessKeyId"):
        out["AccessKeyId"] = identity["accessKeyId"]
    out["EventTime"] = epoch(record["eventTime"])
    out["EventSource"] = record["eventSource"]
    if username(identity):
        out["Username"] = username(identity)
    out["Resources"] = [{"ResourceType": r["type"], "ResourceName": r["name"]} for r in entry.get("resources", [])]
    out["CloudTrailEvent"] = json.dumps(record, separators=(",", ":"))
    return out


def matches(event, key, value):
    if key == "ResourceName":
        return any(r["ResourceName"] == value for r in event["Resources"])
    if key == "ResourceType":
        return any(r["ResourceType"] == value for r in event["Resources"])
    return event.get(key) == value


class History:
    """The events of one file, newest first, reloaded when the file changes."""

    def __init__(self, path):
        self.path, self.stamp, self.lock = path, None, threading.Lock()
        self.account, self.trails, self.events, self.keys = "", [], [], []

    def load(self):
        with self.lock:
            try:
                seen = os.stat(self.path)
            except FileNotFoundError:
                self.stamp, self.account, self.trails, self.events, self.keys = None, "", [], [], []
                return self
            stamp = (seen.st_mtime_ns, seen.st_size, seen.st_ino)
            if stamp != self.stamp:
                with open(self.path, encoding="utf-8") as f:
                    told = json.load(f)
                events = [(e["event"].get("awsRegion"), envelope(e)) for e in told.get("events", [])]
                events.sort(key=lambda e: (-e[1]["EventTime"], e[1]["EventId"]))
                self.account, self.trails, self.events = told.get("account", ""), told.get("trails", []), events
                self.keys = told.get("publicKeys", [])
                self.stamp = stamp
            return self


class Bucket:
    """Two requests a second, with room for two at once."""

    def __init__(self):
        self.lock, self.level, self.at = threading.Lock(), {}, {}

    def take(self, key):
        with self.lock:
            now = time.monotonic()
            level = min(RATE, self.level.get(key, RATE) + (now - self.at.get(key, now)) * RATE)
            self.at[key], allowed = now, level >= 1.0
            self.level[key] = level - 1.0 if allowed else level
            return allowed


class CloudTrail:
    def __init__(self, path, authorize=None):
        self.history, self.bucket, self.authorize = History(path), Bucket(), authorize
        self.seal = secrets.token_bytes(16)

    def answer(self, method, path, headers, body):
        """(status, document) for one request."""
        try:
            return 200, self.dispatch(method, path, headers, body)
        except Refused as no:
            return no.status, {"__type": no.code, **({"message": no.message} if no.message else {})}

    def dispatch(self, method, path, headers, body):
        given = {name.lower(): value for name, value in headers}
        signed = CREDENTIAL.match(given.get("authorization", ""))
        if not given.get("authorization"):
            raise Refused("MissingAuthenticationTokenException", "Missing Authentication Token")
        if not signed:
            raise Refused("IncompleteSignatureException", "Authorization header is not a SigV4 header for cloudtrail.")
        target = given.get("x-amz-target", "")
        operation = next((target[len(p):] for p in (TARGET, SHORT_TARGET) if target.startswith(p)), None)
        serve = {"LookupEvents": self.lookup, "DescribeTrails": self.describe_trails,
                 "GetTrailStatus": self.trail_status, "GetEventSelectors": self.event_selectors,
                 "GetInsightSelectors": self.insight_selectors, "ListPublicKeys": self.public_keys,
                 "GetEventConfiguration": self.event_configuration,
                 "ListEventDataStores": self.event_data_stores}.get(operation)
        if method != "POST" or path != "/" or serve is None:
            raise Refused("UnknownOperationException")
        if self.authorize:
            self.authorize(method, path, headers, body, operation, signed[3])
        try:
            asked = json.loads(body or b"{}")
        except ValueError:
            asked = None
        if not isinstance(asked, dict):
            raise Refused("SerializationException")
        history = self.history.load()
        if operation == "LookupEvents" and not self.bucket.take((history.account, signed[3])):
            raise Refused("ThrottlingException", "Rate exceeded")
        return serve(history, signed[3], asked)

    def lookup(self, history, region, asked):
        attributes = asked.get("LookupAttributes") or []
        if len(attributes) > 1:
            raise Refused("InvalidLookupAttributesException", "You can specify only one lookup attribute.")
        for attribute in attributes:
            if attribute.get("AttributeKey") not in ATTRIBUTES or not attribute.get("AttributeValue"):
                raise Refused("InvalidLookupAttributesException", "The lookup attribute is not valid.")
        start, end = asked.get("StartTime"), asked.get("EndTime")
        if start is not None and end is not None and start > end:
            raise Refused("InvalidTimeRangeException", "The start time must be before the end time.")
        size = asked.get("MaxResults", 50)
        if type(size) is not int or not 1 <= size <= 50:
            raise Refused("InvalidMaxResultsException", "MaxResults must be between 1 and 50.")
        if asked.get("EventCategory") not in (None, "insight"):
            raise Refused("InvalidEventCategoryException", "The event category is not valid.")
        oldest = time.time() - HISTORY_SECONDS
        found = [] if asked.get("EventCategory") else [
            event for where, event in history.events
            if where == region and event["EventTime"] >= max(start or oldest, oldest)
            and (end is None or event["EventTime"] <= end)
            and all(matches(event, a["AttributeKey"], a["AttributeValue"]) for a in attributes)]
        # The token is good for the same question only, as on AWS.
        question = json.dumps([region, attributes, start, end, asked.get("EventCategory")], sort_keys=True)
        if asked.get("NextToken") is not None:
            after = self.position(asked["NextToken"], question)
            found = [e for e in found if (-e["EventTime"], e["EventId"]) > after]
        page = {"Events": found[:size]}
        if len(found) > size:
            page["NextToken"] = self.token(found[size - 1], question)
        return page

    def token(self, last, question):
        place = json.dumps([-last["EventTime"], last["EventId"]]).encode()
        return base64.b64encode(self.mark(place, question) + place).decode()

    def position(self, token, question):
        try:
            raw = base64.b64decode(token, validate=True)
            place = raw[16:]
            if not secrets.compare_digest(raw[:16], self.mark(place, question)):
                raise ValueError(token)
            return tuple(json.loads(place))
        except (ValueError, TypeError):
            raise Refused("InvalidNextTokenException", "The specified NextToken is not valid.") from None

    def mark(self, place, question):
        return hashlib.sha256(self.seal + question.encode() + b"\0" + place).digest()[:16]

    def describe_trails(self, history, _region, asked):
        wanted = asked.get("trailNameList") or []
        return {"trailList": [t for t in history.trails if not wanted or t["Name"] in wanted or t["TrailARN"] in wanted]}

    def trail(self, history, name):
        for trail in history.trails:
            if name in (trail["Name"], trail["TrailARN"]):
                return trail
        raise Refused("TrailNotFoundException", f"Unknown trail: {name} for the user: {history.account}")

    def event_selectors(self, history, _region, asked):
        # What a trail has that nobody ever changed: all management events, no data events.
        selector = {"ReadWriteType": "All", "IncludeManagementEvents": True, "DataResources": [], "ExcludeManagementEventSources": []}
        return {"TrailARN": self.trail(history, asked.get("TrailName"))["TrailARN"], "EventSelectors": [selector]}

    def insight_selectors(self, history, _region, asked):
        self.trail(history, asked.get("TrailName"))
        raise Refused("InsightNotEnabledException", "Insights is not enabled on the trail.")

    def event_configuration(self, history, _region, asked):
        return {"TrailARN": self.trail(history, asked.get("TrailName"))["TrailARN"], "MaxEventSize": "Standard",
                "ContextKeySelectors": [], "AggregationConfigurations": []}

    def public_keys(self, history, _region, _asked):
        return {"PublicKeyList": history.keys}

    def event_data_stores(self, _history, _region, _asked):
        return {"EventDataStores": []}

    def trail_status(self, history, _region, asked):
        self.trail(history, asked.get("Name"))
        return {"IsLogging": True, "LatestDeliveryTime": time.time() - 240.0}


def handler(service, extra=None):
    """An HTTP handler class; `extra(method, path, headers)` may answer first (the drill's own stop request)."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version, sys_version = "Server", ""

        def serve(self):
            size = int(self.headers.get("content-length") or 0)
            if size > MAX_BODY:
                self.close_connection = True
                return self.send(413, {"__type": "RequestEntityTooLargeException"})
            body = self.rfile.read(size)
            given = [(k, v) for k, v in self.headers.items()]
            taken = extra and extra(self.command, self.path, self.headers)
            return self.send(*(taken or service.answer(self.command, self.path, given, body)))

        do_GET = do_POST = do_PUT = do_DELETE = serve

        def send(self, status, document):
            data = json.dumps(document, separators=(",", ":")).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("x-amzn-RequestId", str(uuid.uuid4()))
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_args):
            pass  # request lines are the log of the caller, not ours

    return Handler


def listen(service, extra=None, port=0):
    """A server on loopback, not yet serving."""
    server = ThreadingHTTPServer(("127.0.0.1", port), handler(service, extra))
    server.daemon_threads = True
    return server


if __name__ == "__main__":
    alone = listen(CloudTrail(sys.argv[1]))
    print(alone.server_address[1], flush=True)
    alone.serve_forever()
