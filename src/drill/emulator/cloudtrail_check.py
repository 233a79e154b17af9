"""Checks of cloudtrail.py over its own socket: `python3 cloudtrail_check.py EVENTS_FILE ROLE_SESSION REGION`.

The file is the one that the seeder writes. Prints one JSON document of what was seen; any broken promise is a failure.
"""
import json
import sys
import threading
import time
import urllib.error
import urllib.request

import cloudtrail

FILE, SESSION, REGION = sys.argv[1:4]
SIGNED = f"AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20260101/{REGION}/cloudtrail/aws4_request, SignedHeaders=host, Signature=00"


def start():
    """A server with a full bucket, so that one check's questions do not throttle the next one's."""
    server = cloudtrail.listen(cloudtrail.CloudTrail(FILE))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}/"


def call(url, operation, body, authorization=SIGNED):
    headers = {"X-Amz-Target": cloudtrail.TARGET + operation, "Content-Type": "application/x-amz-json-1.1"}
    if authorization:
        headers["Authorization"] = authorization
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request) as answer:
            assert answer.headers["Content-Type"] == "application/x-amz-json-1.1" and answer.headers["x-amzn-RequestId"]
            return 200, json.load(answer)
    except urllib.error.HTTPError as no:
        return no.code, json.load(no)


def patiently(url, body):
    while True:
        status, answer = call(url, "LookupEvents", body)
        if answer.get("__type") != "ThrottlingException":
            return status, answer
        time.sleep(0.3)


def refused(code, body, operation="LookupEvents", **kw):
    status, answer = call(start(), operation, body, **kw)
    assert (status, answer["__type"]) == (400, code), (code, status, answer)
    assert operation != "LookupEvents" or answer.get("message"), answer


def main():
    told = json.load(open(FILE, encoding="utf-8"))
    here = [e["event"] for e in told["events"] if e["event"]["awsRegion"] == REGION]
    url, seen, pages, token = start(), [], 0, None
    while pages == 0 or token:
        status, page = patiently(url, {"NextToken": token} if token else {})
        assert status == 200 and 1 <= len(page["Events"]) <= 50, page
        seen, pages, token = seen + page["Events"], pages + 1, page.get("NextToken")
    assert len(seen) == len(here) > 50 and pages >= 2, (len(seen), len(here), pages)
    assert sorted(e["EventId"] for e in seen) == sorted(e["eventID"] for e in here)
    times = [e["EventTime"] for e in seen]
    assert times == sorted(times, reverse=True) and all(isinstance(t, (int, float)) for t in times)
    for event in seen:
        assert isinstance(event["CloudTrailEvent"], str) and event["ReadOnly"] in ("true", "false"), event
        assert json.loads(event["CloudTrailEvent"])["eventID"] == event["EventId"]

    url = start()
    status, mine = patiently(url, {"LookupAttributes": [{"AttributeKey": "Username", "AttributeValue": SESSION}]})
    assert mine["Events"] and all(e["Username"] == SESSION for e in mine["Events"]), mine
    status, first = patiently(url, {"MaxResults": 1})
    assert len(first["Events"]) == 1 and first["NextToken"]
    status, other = patiently(url, {"MaxResults": 1, "StartTime": 1, "NextToken": first["NextToken"]})
    assert other["__type"] == "InvalidNextTokenException", other
    status, none = patiently(url, {"StartTime": time.time() + 3600})
    assert none == {"Events": []}, none

    url = start()
    statuses = [call(url, "LookupEvents", {"MaxResults": 1}) for _ in range(4)]
    throttled = [a for s, a in statuses if s == 400]
    assert throttled and all(a == {"__type": "ThrottlingException", "message": "Rate exceeded"} for a in throttled), statuses
    assert statuses[0][0] == statuses[1][0] == 200
    time.sleep(0.6)
    assert call(url, "LookupEvents", {"MaxResults": 1})[0] == 200

    two = [{"AttributeKey": "EventName", "AttributeValue": "x"}, {"AttributeKey": "Username", "AttributeValue": "y"}]
    refused("InvalidLookupAttributesException", {"LookupAttributes": two})
    refused("InvalidLookupAttributesException", {"LookupAttributes": [{"AttributeKey": "Colour", "AttributeValue": "x"}]})
    refused("InvalidTimeRangeException", {"StartTime": 20, "EndTime": 10})
    refused("InvalidMaxResultsException", {"MaxResults": 51})
    refused("InvalidNextTokenException", {"NextToken": "bm9wZQ=="})
    refused("MissingAuthenticationTokenException", {}, authorization=None)
    refused("UnknownOperationException", {}, operation="DeleteTrail")
    status, trails = call(start(), "DescribeTrails", {})
    assert status == 200 and trails["trailList"][0]["TrailARN"].startswith("arn:aws:cloudtrail:"), trails
    named = {"TrailName": trails["trailList"][0]["TrailARN"]}
    status, selectors = call(start(), "GetEventSelectors", named)
    assert status == 200 and selectors["EventSelectors"][0]["IncludeManagementEvents"] is True, selectors
    status, enriched = call(start(), "GetEventConfiguration", named)
    assert status == 200 and enriched["MaxEventSize"] == "Standard", enriched
    assert call(start(), "ListPublicKeys", {}) == (200, {"PublicKeyList": told.get("publicKeys", [])})
    refused("InsightNotEnabledException", named, operation="GetInsightSelectors")
    refused("TrailNotFoundException", {"TrailName": "none"}, operation="GetEventSelectors")
    assert call(start(), "ListEventDataStores", {}) == (200, {"EventDataStores": []})
    print(json.dumps({"events": len(seen), "pages": pages, "throttled": len(throttled), "by_session": len(mine["Events"])}))


main()
