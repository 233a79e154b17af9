#!/usr/bin/env python3
"""Read again, one call after the other, everything that a bundle read: the script that somebody in a hurry would write with boto3.

    replay.py BAG_DIR OUT_DIR

Knows the bundle's written format (NNNNNN-Operation.http.json) and nothing of freezeframe's code. Every request is sent as it stands there, in
the order in which they were sent, signed by botocore over botocore's own HTTP session, each after the answer to the one before; each answer
is written to a file. (That favours the script: a client of boto3 would also build the request from its parameters and parse the answer.)
Refused attempts are not repeated on purpose: a request that the bundle had to retry is sent once. CloudTrail's LookupEvents keeps to two a
second, as AWS does. Endpoint and keys come from the environment.

Prints one JSON document: calls made, those answered with another status than in the bundle, those that could not be made with why, seconds, and how
many of them went into LookupEvents.
"""
import json
import pathlib
import sys
import time

import boto3
from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session

from compare_bodies import ADDRESS, signed, signing_name

LOOKUP_EVERY = 0.5


def main():
    bag, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    records = [json.loads(p.read_text()) for p in sorted(bag.glob("data/**/*.http.json"))]
    records.sort(key=lambda r: r["id"])
    last_of = {r.get("invocation") or r["id"]: r["id"] for r in records}
    records = [r for r in records if last_of[r.get("invocation") or r["id"]] == r["id"]]
    # What reading botocore's models costs is not counted.
    for service in {r["service"] for r in records} - {"https"}:
        signing_name(service)
    began = time.monotonic()
    credentials = boto3.session.Session().get_credentials().get_frozen_credentials()
    http = URLLib3Session()
    addresses, otherwise, not_made, calls, looked, lookups = {}, [], [], 0, 0.0, 0.0
    for record in records:
        started = time.monotonic()
        if record["service"] == "https":
            # The bundle keeps no signature: the address is taken from what was answered just now.
            url = addresses.get(record["uri"].partition("?")[0])
            if url is None:
                not_made.append(f"{record['operation']} {record['uri']}: no answer named its address")
                continue
            request = AWSRequest(method="GET", url=url).prepare()
        else:
            if record["operation"] == "LookupEvents":
                time.sleep(max(0.0, looked + LOOKUP_EVERY - time.monotonic()))
                looked = time.monotonic()
            request = signed(credentials, record)
        response = http.send(request)
        body = response.content
        calls += 1
        (out / f"{calls:06}").write_bytes(body)
        if response.status_code != record.get("status"):
            otherwise.append(f"{record['service']}:{record['operation']} {record.get('status')} -> {response.status_code} {body[:120]!r}")
        if record["operation"] == "LookupEvents":
            lookups += time.monotonic() - started
        for url in ADDRESS.findall(body.decode("utf-8", "replace").replace("\\u0026", "&").replace("\\/", "/")):
            addresses[url.partition("?")[0]] = url.replace("&amp;", "&")
    seconds = time.monotonic() - began
    print(json.dumps({"calls": calls, "otherwise": otherwise, "not_made": not_made, "seconds": seconds, "lookups": lookups}))


if __name__ == "__main__":
    main()
