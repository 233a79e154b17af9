#!/usr/bin/env python3
"""Let everything that the emulator knows call a function: one JSON document, what → a name that a reader must come home with.

    furnish_triggers.py FUNCTION

Each kind of source is made with the statement that lets it in (schedules, pipes and alarms need none of a function's), and so are the function's
own ends: an asynchronous destination, code signing. Two further functions are what it cannot be: one whose code lies in a bucket, one that is durable.
boto3 alone; endpoint and keys come from the environment.
"""
import datetime
import gzip
import io
import json
import sys
import zipfile

import boto3
from botocore.config import Config

function = sys.argv[1]
lam = boto3.client("lambda")
configuration = lam.get_function(FunctionName=function)["Configuration"]
arn, role = configuration["FunctionArn"], configuration["Role"]
region, account = arn.split(":")[3:5]
made = {}


def admit(service, source):
    lam.add_permission(FunctionName=function, StatementId="furnish-" + service.split(".")[0], Action="lambda:InvokeFunction",
                       Principal=service, SourceArn=source)


def s3():
    client = boto3.client("s3")
    client.create_bucket(Bucket="furnished-uploads")
    admit("s3.amazonaws.com", "arn:aws:s3:::furnished-uploads")
    client.put_bucket_notification_configuration(Bucket="furnished-uploads", NotificationConfiguration={"LambdaFunctionConfigurations": [
        {"Id": "furnished-upload", "LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"]}]})
    return "furnished-upload"


def sns():
    client = boto3.client("sns")
    topic = client.create_topic(Name="furnished-topic")["TopicArn"]
    admit("sns.amazonaws.com", topic)
    return client.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=arn, ReturnSubscriptionArn=True)["SubscriptionArn"]


def rest_api():
    client = boto3.client("apigateway")
    api = client.create_rest_api(name="furnished-rest")["id"]
    root = client.get_resources(restApiId=api)["items"][0]["id"]
    client.put_method(restApiId=api, resourceId=root, httpMethod="POST", authorizationType="NONE")
    uri = f"arn:aws:apigateway:{region}:lambda:path/2015-03-31/functions/{arn}/invocations"
    client.put_integration(restApiId=api, resourceId=root, httpMethod="POST", type="AWS_PROXY", integrationHttpMethod="POST", uri=uri)
    client.create_deployment(restApiId=api, stageName="furnished-stage")
    lam.add_permission(FunctionName=function, StatementId="furnish-rest", Action="lambda:InvokeFunction",
                       Principal="apigateway.amazonaws.com", SourceArn=f"arn:aws:execute-api:{region}:{account}:{api}/*/POST/")
    return api


def http_api():
    client = boto3.client("apigatewayv2")
    api = client.create_api(Name="furnished-http", ProtocolType="HTTP")["ApiId"]
    integration = client.create_integration(ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=arn, PayloadFormatVersion="2.0")
    client.create_route(ApiId=api, RouteKey="GET /furnished", Target="integrations/" + integration["IntegrationId"])
    lam.add_permission(FunctionName=function, StatementId="furnish-http", Action="lambda:InvokeFunction",
                       Principal="apigateway.amazonaws.com", SourceArn=f"arn:aws:execute-api:{region}:{account}:{api}/*/GET/furnished")
    return api


def load_balancer():
    client = boto3.client("elbv2")
    group = client.create_target_group(Name="furnished-group", TargetType="lambda")["TargetGroups"][0]["TargetGroupArn"]
    admit("elasticloadbalancing.amazonaws.com", group)
    client.register_targets(TargetGroupArn=group, Targets=[{"Id": arn}])
    return group


def schedule():
    boto3.client("scheduler").create_schedule(
        Name="furnished-schedule", ScheduleExpression="cron(0 3 1 1 ? 2035)", FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": arn, "RoleArn": role})
    return "furnished-schedule"


def pipe():
    queue = boto3.client("sqs").create_queue(QueueName="furnished-feed")["QueueUrl"]
    source = f"arn:aws:sqs:{region}:{account}:" + queue.rsplit("/", 1)[-1]
    boto3.client("pipes").create_pipe(Name="furnished-pipe", Source=source, Target=arn, RoleArn=role)
    return "furnished-pipe"


def subscriber():
    client = boto3.client("eventbridgev2")
    bus = client.create_event_bus(Name="furnished-bus")["EventBusArn"]
    client.create_subscriber(Name="furnished-subscriber", EventBusArn=bus, StartingPosition="LATEST",
                             InvokeConfiguration={"RoleArn": role, "TargetArn": arn})
    return "furnished-subscriber"


def archive():
    boto3.client("events").create_archive(
        ArchiveName="furnished-archive", EventSourceArn=f"arn:aws:events:{region}:{account}:event-bus/default", RetentionDays=7)
    return "furnished-archive"


def alarm():
    boto3.client("cloudwatch").put_metric_alarm(
        AlarmName="furnished-alarm", Namespace="AWS/Lambda", MetricName="Errors", Statistic="Sum", Period=60, EvaluationPeriods=1,
        Threshold=1.0, ComparisonOperator="GreaterThanThreshold", AlarmActions=[arn])
    return "furnished-alarm"


def logs():
    client = boto3.client("logs")
    client.create_log_group(logGroupName="/furnished/source")
    admit("logs.amazonaws.com", f"arn:aws:logs:{region}:{account}:log-group:/furnished/source:*")
    client.put_subscription_filter(logGroupName="/furnished/source", filterName="furnished-filter", filterPattern="", destinationArn=arn)
    return "furnished-filter"


def user_pool():
    client = boto3.client("cognito-idp")
    pool = client.create_user_pool(PoolName="furnished-pool", LambdaConfig={"PreSignUp": arn})["UserPool"]["Id"]
    admit("cognito-idp.amazonaws.com", f"arn:aws:cognito-idp:{region}:{account}:userpool/{pool}")
    return pool


def secret():
    boto3.client("secretsmanager").create_secret(Name="furnished-secret", SecretString="worth nothing")
    lam.add_permission(FunctionName=function, StatementId="furnish-secret", Action="lambda:InvokeFunction",
                       Principal="secretsmanager.amazonaws.com")
    return "furnished-secret"


def edge():
    origin = {"Id": "o", "DomainName": "furnished.example", "CustomOriginConfig": {
        "HTTPPort": 80, "HTTPSPort": 443, "OriginProtocolPolicy": "https-only"}}
    behaviour = {"TargetOriginId": "o", "ViewerProtocolPolicy": "https-only", "ForwardedValues": {
        "QueryString": False, "Cookies": {"Forward": "none"}}, "MinTTL": 0, "LambdaFunctionAssociations": {"Quantity": 1, "Items": [
            {"LambdaFunctionARN": arn + ":1", "EventType": "viewer-request", "IncludeBody": True}]}}
    made = boto3.client("cloudfront").create_distribution(DistributionConfig={
        "CallerReference": "furnished", "Comment": "", "Enabled": True, "Origins": {"Quantity": 1, "Items": [origin]},
        "DefaultCacheBehavior": behaviour})
    return made["Distribution"]["Id"]


def destination():
    queue = boto3.client("sqs").create_queue(QueueName="furnished-failures")["QueueUrl"]
    target = f"arn:aws:sqs:{region}:{account}:" + queue.rsplit("/", 1)[-1]
    send = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": target}]}
    boto3.client("iam").put_role_policy(RoleName=role.rpartition("/")[2], PolicyName="furnished-send", PolicyDocument=json.dumps(send))
    lam.put_function_event_invoke_config(FunctionName=function, DestinationConfig={"OnFailure": {"Destination": target}})
    return target


def signing():
    publisher = f"arn:aws:signer:{region}:{account}:/signing-profiles/furnished/v1"
    config = lam.create_code_signing_config(AllowedPublishers={"SigningProfileVersionArns": [publisher]},
                                            CodeSigningPolicies={"UntrustedArtifactOnDeployment": "Warn"})["CodeSigningConfig"]
    lam.put_function_code_signing_config(FunctionName=function, CodeSigningConfigArn=config["CodeSigningConfigArn"])
    return config["CodeSigningConfigArn"]


def by_reference():
    """Another function: what Lambda keeps no copy of lies in the account's bucket."""
    client, package = boto3.client("s3"), io.BytesIO()
    with zipfile.ZipFile(package, "w") as z:
        z.writestr("app.py", "def handler(event, context):\n    return event\n")
    client.create_bucket(Bucket="furnished-code")
    client.put_bucket_versioning(Bucket="furnished-code", VersioningConfiguration={"Status": "Enabled"})
    version = client.put_object(Bucket="furnished-code", Key="app.zip", Body=package.getvalue())["VersionId"]
    lam.create_function(FunctionName="furnished-reference", Runtime="python3.12", Role=role, Handler="app.handler", Code={
        "S3Bucket": "furnished-code", "S3Key": "app.zip", "S3ObjectVersion": version, "S3ObjectStorageMode": "REFERENCE"})
    return "furnished-code"


def durable():
    """Another function, for it can only be made so: with one execution behind it."""
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as z:
        z.writestr("app.py", "def handler(event, context):\n    return event\n")
    lam.create_function(FunctionName="furnished-durable", Runtime="python3.12", Role=role, Handler="app.handler",
                        Code={"ZipFile": package.getvalue()}, DurableConfig={"ExecutionTimeout": 600, "RetentionPeriodInDays": 1})
    lam.invoke(FunctionName="furnished-durable", InvocationType="Event", Payload=b"{}")
    return "furnished-durable:$LATEST/durable-execution/"


def trail():
    """The files that the trail would have delivered: what the event history holds, a file for each day of the last, for something always happens."""
    history = boto3.client("cloudtrail", config=Config(retries={"mode": "adaptive", "total_max_attempts": 30})).get_paginator("lookup_events")
    now = datetime.datetime.now(datetime.timezone.utc)
    days = {(now - datetime.timedelta(days=ago)).strftime("%Y-%m-%d"): [] for ago in range(9)}
    for event in (json.loads(e["CloudTrailEvent"]) for page in history.paginate() for e in page["Events"]):
        days.setdefault(event["eventTime"][:10], []).append(event)
    client = boto3.client("s3")
    client.create_bucket(Bucket="furnished-trail")
    for day, records in days.items():
        name = f"{account}_CloudTrail_{region}_{day.replace('-', '')}T2355Z_furnished0000000.json.gz"
        key = f"AWSLogs/{account}/CloudTrail/{region}/{day.replace('-', '/')}/{name}"
        client.put_object(Bucket="furnished-trail", Key=key, Body=gzip.compress(json.dumps({"Records": records}).encode()))
    return "furnished-trail"


for make in (s3, sns, rest_api, http_api, load_balancer, schedule, pipe, subscriber, archive, alarm, logs, user_pool, secret, edge,
             destination, signing, by_reference, durable, trail):
    try:
        made[make.__name__] = make()
    except Exception as e:  # the test names what is missing, with the emulator's words
        made[make.__name__] = {"failed": f"{type(e).__name__}: {e}"}

json.dump(made, sys.stdout)
