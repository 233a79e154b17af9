#!/usr/bin/env python3
"""A second local AWS, and one snapshot of it: which collectors were answered by an emulator that is not the drill's.

    run.py FREEZEFRAME PYTHON        (by LocalEmu's own Python, as root of a network namespace of its own: `unshare --net`)

PYTHON is the one with the newest boto3, for the stranger.

LocalEmu listens on every interface whatever it is told (`emulators.md`), hence the namespace: without one this refuses to start. It runs no
functions (that needs docker), so what an invocation would leave is not there; what it knows of configuration, policies per qualifier,
CloudTrail, X-Ray, GuardDuty and Security Hub is seeded here with boto3. What LocalEmu refuses to be seeded with is printed, not passed over.

Prints one JSON document: what could not be seeded; how the snapshot ended; for each collector the answers that it got by status, and its items
by status; what a stranger with boto3 says of the bundle (`compare_bodies.py`, without CloudTrail, which records the stranger too).
"""
import collections
import fcntl
import io
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile

import boto3
from botocore.config import Config

PORT, REGION, ACCOUNT = 4570, "us-east-1", "000000000000"
URL = f"http://127.0.0.1:{PORT}"
FUNCTION, ROLE = "payments-export", "payments-export-role"
HERE = pathlib.Path(__file__).resolve().parent


def alone():
    """Loopback is the only interface here, and now it is up."""
    interfaces = [name for _, name in socket.if_nameindex()]
    if interfaces != ["lo"]:
        sys.exit(f"this is no network namespace of its own: {interfaces}; LocalEmu would be open to the network")
    with socket.socket() as s:
        request = struct.pack("16sh", b"lo", 0)
        flags = struct.unpack("16sh", fcntl.ioctl(s, 0x8913, request))[1]  # SIOCGIFFLAGS
        fcntl.ioctl(s, 0x8914, struct.pack("16sh", b"lo", flags | 1))  # SIOCSIFFLAGS, IFF_UP


def start(home):
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "GATEWAY_LISTEN": f"127.0.0.1:{PORT}", "LOCALEMU_HOST": f"127.0.0.1:{PORT}",
           "DNS_ADDRESS": "0", "SKIP_SSL_CERT_DOWNLOAD": "1", "TMPDIR": str(home)}
    log = open(home / "localemu.log", "wb")
    command = [str(pathlib.Path(sys.executable).with_name("localemu")), "start", "--port", str(PORT)]
    process = subprocess.Popen(command, env=env, cwd=home, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"LocalEmu ended while it was starting:\n{(home / 'localemu.log').read_text()[-2000:]}")
        try:
            urllib.request.urlopen(f"{URL}/_localemu/health", timeout=5).read()
            return process
        except OSError:
            time.sleep(0.5)
    sys.exit("LocalEmu did not answer within two minutes")


def archive(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        for name, text in files.items():
            z.writestr(name, text)
    return out.getvalue()


class Seed:
    """Steps that may fail one by one: LocalEmu does not take everything that AWS takes."""

    def __init__(self):
        self.refused = {}
        self.session = boto3.session.Session(region_name=REGION)

    def client(self, service):
        return self.session.client(service, endpoint_url=URL, config=Config(retries={"total_max_attempts": 1}))

    def step(self, what, call, **params):
        try:
            return call(**params)
        except Exception as e:  # Whatever it is: it is told.
            self.refused[what] = f"{type(e).__name__}: {e}"[:200]
            return {}


def identity(seed):
    iam = seed.client("iam")
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    document = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "logs:*", "Resource": "*"}]})
    wider = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
    role = iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(trust), Tags=[{"Key": "team", "Value": "payments"}])["Role"]
    seed.step("inline policy", iam.put_role_policy, RoleName=ROLE, PolicyName="export-write", PolicyDocument=document)
    policy = seed.step("managed policy", iam.create_policy, PolicyName="payments-logs", PolicyDocument=document).get("Policy", {})
    seed.step("second version of a policy", iam.create_policy_version, PolicyArn=policy.get("Arn", ""), PolicyDocument=wider, SetAsDefault=False)
    seed.step("attachment", iam.attach_role_policy, RoleName=ROLE, PolicyArn=policy.get("Arn", ""))
    boundary = seed.step("boundary policy", iam.create_policy, PolicyName="payments-boundary", PolicyDocument=document).get("Policy", {})
    seed.step("permissions boundary", iam.put_role_permissions_boundary, RoleName=ROLE, PermissionsBoundary=boundary.get("Arn", ""))
    seed.step("instance profile", iam.create_instance_profile, InstanceProfileName="payments-box")
    seed.step("role in an instance profile", iam.add_role_to_instance_profile, InstanceProfileName="payments-box", RoleName=ROLE)
    return role["Arn"]


def function(seed, role):
    lam, kms, logs, sqs = seed.client("lambda"), seed.client("kms"), seed.client("logs"), seed.client("sqs")
    layer = seed.step("layer", lam.publish_layer_version, LayerName="payments-common", Content={"ZipFile": archive({"python/common.py": "x = 1\n"})})
    key = seed.step("key", kms.create_key).get("KeyMetadata", {})
    queue = seed.step("queue", sqs.create_queue, QueueName="payments-queue").get("QueueUrl", "")
    dead = seed.step("dead-letter queue", sqs.create_queue, QueueName="payments-dead").get("QueueUrl", "")
    arn = lambda url: seed.step("queue's ARN", sqs.get_queue_attributes, QueueUrl=url, AttributeNames=["QueueArn"]).get("Attributes", {}).get("QueueArn", "")
    group = "/payments/export"
    seed.step("log group", logs.create_log_group, logGroupName=group)
    lam.create_function(
        FunctionName=FUNCTION, Runtime="python3.12", Role=role, Handler="app.handler", Code={"ZipFile": archive({"app.py": "def handler(e, c): return 1\n"})},
        Environment={"Variables": {"TABLE": "payments"}}, Layers=[layer["LayerVersionArn"]] if layer else [], KMSKeyArn=key.get("Arn", ""),
        DeadLetterConfig={"TargetArn": arn(dead)}, TracingConfig={"Mode": "Active"}, LoggingConfig={"LogFormat": "JSON", "LogGroup": group},
        Tags={"team": "payments"})
    seed.step("version 1", lam.publish_version, FunctionName=FUNCTION)
    # Answers 500 and does it all the same (`emulators.md`).
    seed.step("new code", lam.update_function_code, FunctionName=FUNCTION, ZipFile=archive({"app.py": "def handler(e, c): return 2\n"}))
    seed.step("version 2", lam.publish_version, FunctionName=FUNCTION)
    seed.step("alias", lam.create_alias, FunctionName=FUNCTION, Name="live", FunctionVersion="1")
    for n, qualifier in enumerate([None, "1", "live"]):
        params = {"Qualifier": qualifier} if qualifier else {}
        seed.step(f"permission on {qualifier}", lam.add_permission, FunctionName=FUNCTION, StatementId=f"events-{n}", Action="lambda:InvokeFunction",
                  Principal="events.amazonaws.com", SourceArn=f"arn:aws:events:{REGION}:{ACCOUNT}:rule/nightly", **params)
    seed.step("concurrency", lam.put_function_concurrency, FunctionName=FUNCTION, ReservedConcurrentExecutions=5)
    seed.step("URL", lam.create_function_url_config, FunctionName=FUNCTION, AuthType="AWS_IAM")
    seed.step("mapping", lam.create_event_source_mapping, FunctionName=FUNCTION, EventSourceArn=arn(queue), Enabled=False)
    seed.step("destinations", lam.put_function_event_invoke_config, FunctionName=FUNCTION, MaximumRetryAttempts=1, DestinationConfig={"OnFailure": {"Destination": arn(dead)}})
    seed.step("recursion", lam.put_function_recursion_config, FunctionName=FUNCTION, RecursiveLoop="Terminate")
    signing = seed.step("code signing configuration", lam.create_code_signing_config, AllowedPublishers={
        "SigningProfileVersionArns": [f"arn:aws:signer:{REGION}:{ACCOUNT}:/signing-profiles/p/0123456789"]}).get("CodeSigningConfig", {})
    seed.step("code signing", lam.put_function_code_signing_config, FunctionName=FUNCTION, CodeSigningConfigArn=signing.get("CodeSigningConfigArn", ""))
    seed.step("log stream", logs.create_log_stream, logGroupName=group, logStreamName="2026/11/21/[$LATEST]0123456789abcdef")
    now = int(time.time() * 1000)
    report = {"time": "2026-11-21T00:00:00.000Z", "type": "platform.report", "record": {"requestId": "6b4f1b0e-0000-4000-8000-000000000001", "status": "success",
              "metrics": {"durationMs": 12.3, "billedDurationMs": 13, "memorySizeMB": 128, "maxMemoryUsedMB": 40}}}
    seed.step("log events", logs.put_log_events, logGroupName=group, logStreamName="2026/11/21/[$LATEST]0123456789abcdef",
              logEvents=[{"timestamp": now - 1000, "message": json.dumps(report)}])


def around(seed):
    """What points at the function, what happened, and what was found."""
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{FUNCTION}"
    events, scheduler, xray = seed.client("events"), seed.client("scheduler"), seed.client("xray")
    seed.step("rule", events.put_rule, Name="nightly", ScheduleExpression="rate(1 day)")
    seed.step("rule's target", events.put_targets, Rule="nightly", Targets=[{"Id": "1", "Arn": arn}])
    seed.step("schedule", scheduler.create_schedule, Name="hourly", ScheduleExpression="rate(1 hour)", FlexibleTimeWindow={"Mode": "OFF"},
              Target={"Arn": arn, "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/{ROLE}"})
    sns = seed.client("sns")
    topic = seed.step("topic", sns.create_topic, Name="payments").get("TopicArn", "")
    seed.step("subscription", sns.subscribe, TopicArn=topic, Protocol="lambda", Endpoint=arn)
    seed.step("permission for the topic", seed.client("lambda").add_permission, FunctionName=FUNCTION, StatementId="sns", Action="lambda:InvokeFunction",
              Principal="sns.amazonaws.com", SourceArn=topic)
    lam, api, balancer = seed.client("lambda"), seed.client("apigateway"), seed.client("elbv2")
    rest = seed.step("API", api.create_rest_api, name="payments").get("id", "")
    group = seed.step("target group", balancer.create_target_group, Name="payments", TargetType="lambda").get("TargetGroups", [{}])[0]
    seed.step("inbox", seed.client("s3").create_bucket, Bucket="payments-inbox")
    for name, principal, source in [
            ("s3", "s3", "arn:aws:s3:::payments-inbox"), ("elb", "elasticloadbalancing", group.get("TargetGroupArn", "")),
            ("api", "apigateway", f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{rest}/*/POST/export")]:
        seed.step(f"permission for {name}", lam.add_permission, FunctionName=FUNCTION, StatementId=name, Action="lambda:InvokeFunction",
                  Principal=f"{principal}.amazonaws.com", SourceArn=source)
    seed.step("organisation", seed.client("organizations").create_organization, FeatureSet="ALL")
    trace = f"1-{int(time.time()):x}-0123456789abcdef01234567"
    segment = {"name": FUNCTION, "id": "0123456789abcdef", "trace_id": trace, "start_time": time.time() - 60, "end_time": time.time() - 59,
               "origin": "AWS::Lambda", "aws": {"resource_arn": arn}}
    seed.step("trace", xray.put_trace_segments, TraceSegmentDocuments=[json.dumps(segment)])
    watch = seed.client("cloudwatch")
    seed.step("metrics", watch.put_metric_data, Namespace="AWS/Lambda", MetricData=[
        {"MetricName": "Invocations", "Dimensions": [{"Name": "FunctionName", "Value": FUNCTION}], "Value": 1, "Unit": "Count"}])
    s3, trail = seed.client("s3"), seed.client("cloudtrail")
    seed.step("trail's bucket", s3.create_bucket, Bucket="payments-trail")
    seed.step("trail", trail.create_trail, Name="management", S3BucketName="payments-trail")
    seed.step("logging", trail.start_logging, Name="management")
    seed.step("selectors", trail.put_event_selectors, TrailName="management", EventSelectors=[{"ReadWriteType": "All", "IncludeManagementEvents": True}])
    duty = seed.client("guardduty")
    detector = seed.step("detector", duty.create_detector, Enable=True).get("DetectorId", "")
    seed.step("GuardDuty finding", duty.create_sample_findings, DetectorId=detector, FindingTypes=["Backdoor:Lambda/C&CActivity.B"])
    hub = seed.client("securityhub")
    seed.step("Security Hub", hub.enable_security_hub)
    seed.step("Security Hub finding", hub.batch_import_findings, Findings=[{
        "SchemaVersion": "2018-10-08", "Id": "f-1", "ProductArn": f"arn:aws:securityhub:{REGION}:{ACCOUNT}:product/{ACCOUNT}/default", "GeneratorId": "g",
        "AwsAccountId": ACCOUNT, "Types": ["TTPs"], "CreatedAt": "2026-11-20T12:00:00Z", "UpdatedAt": "2026-11-20T12:00:00Z",
        "Severity": {"Label": "HIGH"}, "Title": "t", "Description": "d", "Resources": [{"Type": "AwsLambdaFunction", "Id": arn}]}])


def met(bag):
    """Collector → answers by status, items by status."""
    told = collections.defaultdict(lambda: {"answers": collections.Counter(), "items": collections.Counter(), "unanswered": {}})
    for path in sorted(bag.glob("data/**/*.http.json")):
        record = json.loads(path.read_text())
        unit = told[record["unit"]]
        unit["answers"][str(record.get("status"))] += 1
        if record.get("status") is None or record["status"] >= 400:
            body = (bag / record["body"]).read_text(errors="replace")[:160] if "body" in record else ""
            unit["unanswered"].setdefault(f"{record['service']}:{record['operation']} {record.get('status')}", body)
    for line in (bag / "meta/items.jsonl").read_text().splitlines():
        item = json.loads(line)
        status = item["status"]
        told[item["collector"]]["items"][status if isinstance(status, str) else json.dumps(status)] += 1
    return told


def main():
    alone()
    with tempfile.TemporaryDirectory() as temporary:
        home = pathlib.Path(temporary)
        localemu = start(home)
        try:
            keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
            os.environ.update(keys)
            seed = Seed()
            function(seed, identity(seed))
            around(seed)
            env = {"PATH": os.environ["PATH"], "HOME": str(home), "AWS_ENDPOINT_URL": URL, "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION,
                   "FREEZEFRAME_CASES": str(home / "cases"), "AWS_EC2_METADATA_DISABLED": "true", **keys}
            ended = subprocess.run([sys.argv[1], "snapshot", FUNCTION, "--case", "IR-LOCALEMU", "--json"], env=env, capture_output=True)
            try:
                report = json.loads(ended.stdout)
                bundle = report["bundles"][0]["path"]
            except (ValueError, LookupError):
                sys.exit(f"no snapshot (exit code {ended.returncode}): {ended.stdout.decode()[-2000:]}\n{ended.stderr.decode()[-2000:]}")
            with zipfile.ZipFile(bundle) as z:
                z.extractall(home / "bag")
            bag = home / "bag" / pathlib.Path(bundle).stem
            verified = subprocess.run([sys.argv[1], "verify", bundle], env=env, capture_output=True).returncode
            stranger = subprocess.run([sys.argv[2], "-B", str(HERE.parent / "tools/compare_bodies.py"), str(bag), FUNCTION, "--without", "cloudtrail"],
                                      env=env, capture_output=True, text=True)
            print(json.dumps({
                "not_seeded": seed.refused, "code": ended.returncode, "headline": report.get("headline"), "verify": verified,
                "mismatches": report.get("mismatches", []),
                "gaps": [f"{g['collector']}: {g['kind']}: {g['subject']}: {g['detail']}"[:300] for g in report.get("gaps", [])],
                "collectors": met(bag), "stranger": (stranger.stdout + stranger.stderr[-1500:]).splitlines()}))
        finally:
            os.killpg(localemu.pid, signal.SIGTERM)
            try:
                localemu.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(localemu.pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
