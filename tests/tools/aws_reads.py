#!/usr/bin/env python3
"""Every read that containment could change, as the AWS CLI prints it: one JSON document, command → what it printed.

    aws_reads.py FUNCTION...

Runs the AWS CLI's own entry point, many commands in one process, because each start of it costs most of a second. What there is to ask about
(role, aliases, policies) is found by earlier commands. Endpoint and keys come from the environment.
"""
import contextlib
import io
import json
import sys

from awscli.clidriver import create_clidriver

told = {}
# One stream for the whole process: the CLI keeps hold of the one that it met first.
printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
with contextlib.redirect_stdout(printed):
    driver = create_clidriver()


def aws(*words):
    """What `aws <words>` prints, parsed; what it complained of where it failed."""
    printed.buffer.seek(0)
    printed.buffer.truncate()
    err = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(err):
        code = driver.main([*words, "--output", "json"])
    printed.flush()
    text = printed.buffer.getvalue().decode("utf-8")
    answer = {"exit": code}
    if text.strip():
        answer["printed"] = json.loads(text)
    if code:
        answer["error"] = err.getvalue().strip()
    location = answer.get("printed", {}).get("Code", {})
    if "Location" in location:
        # A presigned address: a new signature each time.
        location["Location"] = location["Location"].partition("?")[0]
    told["aws " + " ".join(words)] = answer
    return answer.get("printed", {})


def surface(name):
    """What else can be set on the function and each of its names."""
    aws("lambda", "get-function-code-signing-config", *name)
    aws("lambda", "list-provisioned-concurrency-configs", *name)
    for mapping in aws("lambda", "list-event-source-mappings", *name).get("EventSourceMappings", []):
        aws("lambda", "get-event-source-mapping", "--uuid", mapping["UUID"])
    for url in aws("lambda", "list-function-url-configs", *name).get("FunctionUrlConfigs", []):
        qualifier = url["FunctionArn"].split(":")[7:]
        aws("lambda", "get-function-url-config", *name, *(["--qualifier", *qualifier] if qualifier else []))
    for version in aws("lambda", "list-versions-by-function", *name).get("Versions", []):
        if version["Version"] != "$LATEST":
            aws("lambda", "get-policy", *name, "--qualifier", version["Version"])
            if "CapacityProviderConfig" in version:
                aws("lambda", "get-function-scaling-config", *name, "--qualifier", version["Version"])


def main():
    roles = set()
    for function in sys.argv[1:]:
        name = ("--function-name", function)
        roles.add(aws("lambda", "get-function", *name)["Configuration"]["Role"].rpartition("/")[2])
        for command in ("get-function-configuration", "get-function-concurrency", "get-policy", "list-versions-by-function", "list-function-url-configs", "list-event-source-mappings"):
            aws("lambda", command, *name)
        for alias in aws("lambda", "list-aliases", *name).get("Aliases", []):
            aws("lambda", "get-alias", *name, "--name", alias["Name"])
            aws("lambda", "get-policy", *name, "--qualifier", alias["Name"])
        surface(name)
    for role in sorted(roles):
        name = ("--role-name", role)
        aws("iam", "get-role", *name)
        for policy in aws("iam", "list-role-policies", *name)["PolicyNames"]:
            aws("iam", "get-role-policy", *name, "--policy-name", policy)
        for policy in aws("iam", "list-attached-role-policies", *name)["AttachedPolicies"]:
            arn = ("--policy-arn", policy["PolicyArn"])
            aws("iam", "get-policy", *arn)
            for version in aws("iam", "list-policy-versions", *arn)["Versions"]:
                aws("iam", "get-policy-version", *arn, "--version-id", version["VersionId"])
    print(json.dumps(told, indent=1, sort_keys=True))


if __name__ == "__main__":
    main()
