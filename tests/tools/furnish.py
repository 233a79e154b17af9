#!/usr/bin/env python3
"""Put a function into a network, on file systems, into a stack, and note all names: one JSON document, what → id.

    furnish.py FUNCTION

Beside each thing that belongs to the function stands one of its kind that does not (`decoys`): whoever asks about the function's network must
not come home with the neighbours'. boto3 alone; endpoint and keys come from the environment.
"""
import json
import sys

import boto3

function = sys.argv[1]
ec2, lam = boto3.client("ec2"), boto3.client("lambda")
made, decoys = {}, {}


def network(out, cidr, description):
    vpc = out["vpc"] = ec2.create_vpc(CidrBlock=f"{cidr}.0.0/16")["Vpc"]["VpcId"]
    subnet = out["subnet"] = ec2.create_subnet(VpcId=vpc, CidrBlock=f"{cidr}.1.0/24")["Subnet"]["SubnetId"]
    group = out["group"] = ec2.create_security_group(VpcId=vpc, GroupName=f"group-{cidr}", Description="x")["GroupId"]
    ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[
        {"IpProtocol": "tcp", "FromPort": 4444, "ToPort": 4444, "IpRanges": [{"CidrIp": "203.0.113.77/32"}]}])
    interface = ec2.create_network_interface(SubnetId=subnet, Groups=[group], Description=description)
    out["interface"] = interface["NetworkInterface"]["NetworkInterfaceId"]
    out["endpoint"] = ec2.create_vpc_endpoint(VpcId=vpc, ServiceName="com.amazonaws.us-east-1.s3")["VpcEndpoint"]["VpcEndpointId"]
    out["gateway"] = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=out["gateway"], VpcId=vpc)
    out["nat"] = ec2.create_nat_gateway(SubnetId=subnet, ConnectivityType="private")["NatGateway"]["NatGatewayId"]
    out["routes"] = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=out["routes"], DestinationCidrBlock="0.0.0.0/0", NatGatewayId=out["nat"])
    ec2.associate_route_table(RouteTableId=out["routes"], SubnetId=subnet)
    options = ec2.create_dhcp_options(DhcpConfigurations=[{"Key": "domain-name-servers", "Values": [f"{cidr}.0.9"]}])
    out["options"] = options["DhcpOptions"]["DhcpOptionsId"]
    ec2.associate_dhcp_options(DhcpOptionsId=out["options"], VpcId=vpc)
    log = ec2.create_flow_logs(ResourceIds=[vpc], ResourceType="VPC", TrafficType="ALL", LogDestinationType="s3",
                               LogDestination=f"arn:aws:s3:::flow-{cidr}")
    out["flow_log"] = log["FlowLogIds"][0]


network(made, "10.7", f"AWS Lambda VPC ENI-{function}-0f0f0f0f")
network(decoys, "10.8", "AWS Lambda VPC ENI-another-1e1e1e1e")
peering = ec2.create_vpc_peering_connection(VpcId=made["vpc"], PeerVpcId=decoys["vpc"])["VpcPeeringConnection"]
made["peering"] = peering["VpcPeeringConnectionId"]
ec2.create_route(RouteTableId=made["routes"], DestinationCidrBlock="10.8.0.0/16", VpcPeeringConnectionId=made["peering"])

for out in (made, decoys):
    efs = boto3.client("efs")
    out["efs"] = efs.create_file_system(CreationToken=out["vpc"])["FileSystemId"]
    point = efs.create_access_point(FileSystemId=out["efs"], PosixUser={"Uid": 0, "Gid": 0}, ClientToken=out["vpc"])
    out["efs_point"] = point["AccessPointId"]
    out["efs_mount"] = efs.create_mount_target(FileSystemId=out["efs"], SubnetId=out["subnet"])["MountTargetId"]
shared = boto3.client("s3files")
for out in (decoys, made):
    bucket = "arn:aws:s3:::files-" + out["vpc"]
    out["s3_files"] = shared.create_file_system(bucket=bucket, roleArn="arn:aws:iam::123456789012:role/x")["fileSystemId"]
    s3_point = shared.create_access_point(fileSystemId=out["s3_files"])
    out["s3_point"] = s3_point["accessPointId"]
# A configuration mounts one: the bucket's was a version's.
lam.update_function_configuration(
    FunctionName=function, FileSystemConfigs=[{"Arn": s3_point["accessPointArn"], "LocalMountPath": "/mnt/x"}])
made["version"] = lam.publish_version(FunctionName=function)["Version"]
for out in (made, decoys):
    out["key"] = boto3.client("kms").create_key()["KeyMetadata"]["KeyId"]
lam.update_function_configuration(
    FunctionName=function,
    KMSKeyArn=f"arn:aws:kms:us-east-1:123456789012:key/{made['key']}",
    VpcConfig={"SubnetIds": [made["subnet"]], "SecurityGroupIds": [made["group"]]},
    FileSystemConfigs=[{"Arn": point["AccessPointArn"].replace(decoys["efs_point"], made["efs_point"]), "LocalMountPath": "/mnt/x"}])

cloudformation = boto3.client("cloudformation")
for out, name in ((made, "payments"), (decoys, "another")):
    template = {"Resources": {f"Queue{name}": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": f"stacked-{name}"}}}}
    out["stack"] = cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template))["StackId"]
arn = lam.get_function(FunctionName=function)["Configuration"]["FunctionArn"]
lam.tag_resource(Resource=arn, Tags={"aws:cloudformation:stack-id": made["stack"], "aws:cloudformation:stack-name": "payments"})

config = boto3.client("config")
recorder = {"name": "default", "roleARN": "arn:aws:iam::123456789012:role/config"}
config.put_configuration_recorder(ConfigurationRecorder=recorder)
config.put_delivery_channel(DeliveryChannel={"name": "default", "s3BucketName": "config"})
config.start_configuration_recorder(ConfigurationRecorderName="default")
config.stop_configuration_recorder(ConfigurationRecorderName="default")

sqs = boto3.client("sqs")


def queue(name, **attributes):
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


made["redriven"] = queue("redriven")
made["unprocessed"] = queue("unprocessed", RedrivePolicy=json.dumps({"deadLetterTargetArn": made["redriven"], "maxReceiveCount": 3}))
decoys["queue"] = queue("another-queue")
mapping = lam.list_event_source_mappings(FunctionName=function)["EventSourceMappings"][0]["UUID"]
lam.update_event_source_mapping(UUID=mapping, DestinationConfig={"OnFailure": {"Destination": made["unprocessed"]}})

json.dump({"made": made, "decoys": decoys}, sys.stdout)
