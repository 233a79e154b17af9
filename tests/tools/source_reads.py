#!/usr/bin/env python3
"""What the AWS CLI says of a function's sources, asynchronous events, aliases and versions: one JSON document, command → what it printed.

    source_reads.py FUNCTION

Like aws_reads.py, and by its means. Subscribers of the newer event buses are asked for through botocore: the AWS CLI of these tests has no
command for them yet. Endpoint and keys come from the environment.
"""
import json
import sys

import botocore.session

from aws_reads import aws, told


def main():
    name = ("--function-name", sys.argv[1])
    for command in ("get-function-configuration", "get-function-concurrency", "list-versions-by-function", "list-aliases",
                    "list-function-event-invoke-configs", "get-policy"):
        aws("lambda", command, *name)
    for rule in aws("events", "list-rules").get("Rules", []):
        aws("events", "describe-rule", "--name", rule["Name"])
        aws("events", "list-targets-by-rule", "--rule", rule["Name"])
    for pipe in aws("pipes", "list-pipes").get("Pipes", []):
        aws("pipes", "describe-pipe", "--name", pipe["Name"])
    for schedule in aws("scheduler", "list-schedules").get("Schedules", []):
        aws("scheduler", "get-schedule", "--name", schedule["Name"], "--group-name", schedule["GroupName"])
    eventsv2 = botocore.session.get_session().create_client("eventbridgev2")
    for page in eventsv2.get_paginator("list_subscribers").paginate():
        for subscriber in page["Subscribers"]:
            answer = eventsv2.describe_subscriber(SubscriberArn=subscriber["SubscriberArn"])
            answer.pop("ResponseMetadata")
            told[f"subscriber {subscriber['Name']}"] = {"exit": 0, "printed": answer}
    role = aws("lambda", "get-function-configuration", *name)["Role"].rpartition("/")[2]
    aws("iam", "list-role-policies", "--role-name", role)
    print(json.dumps(told, indent=1, sort_keys=True, default=str))


if __name__ == "__main__":
    main()
