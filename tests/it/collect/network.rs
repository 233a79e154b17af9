//! What is particular to the collectors of network, deployment and history.

use super::{Bag, is_gap, run, run_with};
use crate::support::wire::{Answer, World};
use freezeframe::model::gap::GapKind;
use freezeframe::model::item::{Item, ItemStatus};
use serde_json::{Value, json};

const NETWORK: [&str; 5] = ["network-interfaces", "network-paths", "network-rules", "flow-logs", "name-resolution"];

fn document(key: &str) -> Value {
    serde_json::from_str(&World::healthy(key).text()).unwrap()
}

/// The world with this change to the configuration of `$LATEST` and none in the versions.
fn world_where(change: impl Fn(&mut Value)) -> World {
    let mut function = document("Lambda.GetFunction");
    change(&mut function["Configuration"]);
    let mut versions = document("Lambda.ListVersionsByFunction");
    for version in versions["Versions"].as_array_mut().unwrap() {
        for member in ["CapacityProviderConfig", "FileSystemConfigs"] {
            version.as_object_mut().unwrap().remove(member);
        }
    }
    World::default().on("Lambda.GetFunction", [Answer::json(&function)]).on("Lambda.ListVersionsByFunction", [Answer::json(&versions)])
}

fn gone(key: &str) -> Answer {
    Answer::error(key, 404, "ResourceNotFoundException")
}

fn sent_to(bag: &Bag, service: &str) -> Vec<String> {
    let of = |s: &crate::support::wire::Sent| s.key.starts_with(service).then(|| format!("{} {} {}", s.key, s.uri, s.body));
    bag.world.sent().iter().filter_map(of).collect()
}

fn detail(item: &Item) -> &str {
    item.detail.as_deref().unwrap_or_default()
}

// ── where the function sits ──

#[tokio::test]
async fn a_function_in_no_vpc_is_told_so_and_what_it_left_behind_is_sought() {
    let world = world_where(|c| c["VpcConfig"] = json!({"SubnetIds": [], "SecurityGroupIds": [], "VpcId": ""}));
    let bag = run(&NETWORK, world).await;
    assert_eq!(bag.gaps(), []);
    for (id, words) in
        [("flow-logs", "no flow logs exist for that"), ("name-resolution", "no query log exists"), ("network-rules", "no security group")]
    {
        let [item] = bag.of(id).try_into().unwrap_or_else(|items| panic!("{id}: {items:?}"));
        assert_eq!(item.status, ItemStatus::NotApplicable, "{id}");
        assert!(detail(item).contains(words) && detail(item).contains("neither $LATEST nor a published version"), "{item:?}");
    }
    // Interfaces outlive the configuration by minutes: they are sought by name.
    let asked = sent_to(&bag, "EC2");
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(asked[0].contains("Filter.1.Name=description&Filter.1.Value.1=AWS%20Lambda%20VPC%20ENI-payments-export-%2A"), "{asked:?}");
    assert_eq!(bag.item("that Lambda made under the name payments-export").status, ItemStatus::Collected);
}

#[tokio::test]
async fn every_configuration_has_its_network_and_each_shared_question_is_put_once() {
    let mut versions = document("Lambda.ListVersionsByFunction");
    versions["Versions"][1]["VpcConfig"] = json!({"SubnetIds": ["subnet-0old"], "SecurityGroupIds": ["sg-0old"], "VpcId": "vpc-0old"});
    let bag = run(&NETWORK, World::default().on("Lambda.ListVersionsByFunction", [Answer::json(&versions)])).await;
    assert_eq!(bag.gaps(), []);
    // Of $LATEST, of version 1, and of the capacity provider that version 2 runs on.
    let [subnets] = sent_to(&bag, "EC2.DescribeSubnets").try_into().unwrap();
    for id in ["subnet-0a1b2c3d4e5f60711", "subnet-0old", "subnet-1"] {
        assert!(subnets.contains(&format!("={id}")), "{subnets}");
    }
    assert_eq!(sent_to(&bag, "EC2.DescribeNetworkInterfaces").len(), 2, "by place, for two collectors; by name");
    assert_eq!(sent_to(&bag, "Lambda.GetCapacityProvider").len(), 1);
    let flow = sent_to(&bag, "EC2.DescribeFlowLogs");
    assert!(
        flow.iter().any(|f| f.contains("=vpc-0old") && f.contains("=subnet-0old"))
            && flow.iter().any(|f| f.contains("=eni-0a1b2c3d4e5f60718"))
    );
    let queries = sent_to(&bag, "Route53Resolver.ListResolverQueryLogConfigAssociations");
    assert_eq!(queries.len(), 2, "one for each VPC: {queries:?}");
}

#[tokio::test]
async fn names_of_an_odd_form_are_a_gap_and_match_nothing() {
    let world = world_where(|c| {
        c["VpcConfig"] = json!({"SubnetIds": ["subnet-*", "subnet-0good"], "SecurityGroupIds": ["sg-?"], "VpcId": "vpc-1\u{1b}[31m"});
    });
    let bag = run(&NETWORK, world).await;
    for id in NETWORK {
        assert!(
            bag.of(id).iter().any(|i| is_gap(i, GapKind::Unsupported) && i.subject.contains("of an odd form")),
            "{id}: {:?}",
            bag.of(id)
        );
    }
    let asked = sent_to(&bag, "EC2").join("\n");
    assert!(
        asked.contains("subnet-0good") && !asked.contains("subnet-%2A") && !asked.contains("sg-%3F") && !asked.contains("31m"),
        "{asked}"
    );
}

#[tokio::test]
async fn what_cannot_be_listed_leaves_open_what_hangs_on_it() {
    let denied = |key: &str| World::default().on(key, [Answer::error(key, 403, "UnauthorizedOperation")]);
    let bag = run(&["network-paths"], denied("EC2.DescribeRouteTables")).await;
    assert!(is_gap(bag.item("peering connections that routes lead into"), GapKind::Denied), "{:?}", bag.gaps());
    assert_eq!(sent_to(&bag, "EC2.DescribeVpcPeeringConnections").len(), 0);

    let bag = run(&["flow-logs"], denied("EC2.DescribeNetworkInterfaces")).await;
    let open = bag.item("flow logs on single network interfaces");
    assert!(is_gap(open, GapKind::Denied) && open.action.as_deref() == Some("ec2:DescribeNetworkInterfaces"), "{open:?}");
    assert_eq!(bag.item("flow logs on the VPCs and subnets").status, ItemStatus::Collected);

    let bag = run(&["name-resolution"], denied("EC2.DescribeVpcs")).await;
    assert!(is_gap(bag.item("DHCP options with the DNS servers"), GapKind::Denied));

    // A capacity provider names no VPC: only its subnets tell. A configuration's own word suffices.
    let bag = run(&["flow-logs"], denied("EC2.DescribeSubnets")).await;
    assert!(is_gap(bag.item("flow logs of the VPC that only its subnets tell"), GapKind::Denied));
    assert!(sent_to(&bag, "EC2.DescribeFlowLogs").iter().any(|f| f.contains("vpc-0a1b2c3d4e5f60710")));
    let world = world_where(|_| {}).on("EC2.DescribeSubnets", [Answer::error("EC2.DescribeSubnets", 403, "UnauthorizedOperation")]);
    let bag = run(&["flow-logs"], world).await;
    assert_eq!(bag.gaps().iter().filter(|g| g.0 == "flow-logs").count(), 0, "{:?}", bag.gaps());

    let key = "Lambda.GetCapacityProvider";
    let bag = run(&["network-rules"], World::default().on(key, [Answer::error(key, 403, "AccessDeniedException")])).await;
    let open = bag.item("of capacity provider arn:aws:lambda");
    assert!(is_gap(open, GapKind::Denied) && open.action.as_deref() == Some("lambda:GetCapacityProvider"), "{open:?}");
}

#[tokio::test]
async fn no_peer_and_no_options_are_said_in_words() {
    let routes = World::healthy("EC2.DescribeRouteTables").text().replace("pcx-0a1b2c3d4e5f60716", "pcx-*");
    let vpcs = World::healthy("EC2.DescribeVpcs").text().replace("dopt-0a1b2c3d4e5f60732", "default");
    let world = World::default()
        .on("EC2.DescribeRouteTables", [Answer::new(200, "text/xml", routes)])
        .on("EC2.DescribeVpcs", [Answer::new(200, "text/xml", vpcs)]);
    let bag = run(&["network-paths", "name-resolution"], world).await;
    assert_eq!(bag.gaps(), []);
    assert_eq!(bag.item("peering connections that routes lead into").status, ItemStatus::NotApplicable);
    assert_eq!(bag.item("DHCP options with the DNS servers").status, ItemStatus::NotApplicable);
}

#[tokio::test]
async fn flow_records_are_read_of_our_interfaces_only_and_only_when_asked_for() {
    let bag = run(&["flow-records"], World::default()).await;
    assert_eq!(bag.gaps(), []);
    let [asked] = sent_to(&bag, "CloudWatch-Logs.FilterLogEvents").try_into().unwrap();
    assert!(
        asked.contains(r#""logGroupName":"/vpc/flow-logs""#) && asked.contains(r#""logStreamNamePrefix":"eni-0a1b2c3d4e5f60718""#),
        "{asked}"
    );
    assert_eq!(run(&["flow-logs", "flow-records"], World::default()).await.sent("EC2.DescribeFlowLogs").len(), 2, "asked for once");

    let bag = run_with(&["flow-records"], World::default(), "{}").await;
    assert_eq!(bag.of("flow-records").iter().map(|i| i.status).collect::<Vec<_>>(), [ItemStatus::NotApplicable]);
    assert!(bag.world.sent().is_empty(), "nothing is looked up for a step that reads nothing");

    let flow = |from: &str, to: &str| {
        let text = World::healthy("EC2.DescribeFlowLogs").text();
        assert!(text.contains(from));
        World::default().on("EC2.DescribeFlowLogs", [Answer::new(200, "text/xml", text.replace(from, to))])
    };
    let group = "<logGroupName>/vpc/flow-logs</logGroupName>";
    for odd in ["arn:aws:logs:eu-test-0:123456789012:log-group:/x:*", "arn:aws:s3:::x", "a b", "arn:aws:logs:r:1:log-group:/x"] {
        let bag = run(&["flow-records"], flow(group, &format!("<logDestination>{odd}</logDestination>"))).await;
        assert!(is_gap(bag.item("flow records in "), GapKind::Unsupported), "{odd}");
        assert!(sent_to(&bag, "CloudWatch-Logs").is_empty(), "{odd}");
    }
    let bag = run(
        &["flow-records"],
        flow("cloud-watch-logs</logDestinationType>", "s3</logDestinationType><logDestination>arn:aws:s3:::b</logDestination>"),
    )
    .await;
    assert_eq!(bag.gaps(), []);
    assert!(sent_to(&bag, "CloudWatch-Logs").is_empty());
    let denied = World::default().on("EC2.DescribeFlowLogs", [Answer::error("EC2.DescribeFlowLogs", 403, "UnauthorizedOperation")]);
    let bag = run(&["flow-records"], denied).await;
    assert!(is_gap(bag.item("further flow records"), GapKind::Unsupported));
    let bag = run(&["flow-records"], world_where(|c| drop(c.as_object_mut().unwrap().remove("VpcConfig")))).await;
    assert!(detail(bag.of("flow-records")[0]).contains("no flow logs exist"));
}

#[tokio::test]
async fn a_function_that_is_gone_may_have_left_interfaces_and_a_history() {
    let world = World::default()
        .on("Lambda.GetFunction", [gone("Lambda.GetFunction")])
        .on("Lambda.ListVersionsByFunction", [gone("Lambda.ListVersionsByFunction")])
        .on("Lambda.ListTags", [gone("Lambda.ListTags")]);
    let bag = run(&["network-interfaces", "flow-logs", "file-systems", "config-history", "deployment"], world).await;
    assert_eq!(bag.gaps(), []);
    assert_eq!(bag.item("that Lambda made under the name").status, ItemStatus::Collected);
    assert_eq!(bag.item("past configurations of the function").status, ItemStatus::Collected);
    for subject in ["flow logs of $LATEST", "file systems of $LATEST", "the stack that deployed the function"] {
        assert_eq!(detail(bag.item(subject)), "the function does not exist", "{subject}");
    }
}

// ── AWS Config ──

#[tokio::test]
async fn a_recorder_that_is_off_or_missing_is_an_answer_in_words() {
    let mut status = document("Config-Service.DescribeConfigurationRecorderStatus");
    let recorder = &mut status["ConfigurationRecordersStatus"][0];
    recorder["recording"] = json!(false);
    recorder["lastStopTime"] = json!(1_793_520_000.5);
    let world = World::default().on("Config-Service.DescribeConfigurationRecorderStatus", [Answer::json(&status)]);
    let bag = run(&["config-history"], world).await;
    assert_eq!(bag.gaps(), []);
    let off = bag.item("what AWS Config records with default");
    assert!(off.status == ItemStatus::NotApplicable && detail(off).contains("off, since 2026-11-01T"), "{off:?}");
    assert_eq!(bag.item("past configurations of the function").status, ItemStatus::Collected, "what was recorded before is still there");

    let refused = |key: &str| Answer::error(key, 400, "NoAvailableConfigurationRecorderException");
    let world = World::default()
        .on("Config-Service.DescribeConfigurationRecorders", [Answer::json(&json!({"ConfigurationRecorders": []}))])
        .on("Config-Service.DescribeConfigurationRecorderStatus", [Answer::json(&json!({"ConfigurationRecordersStatus": []}))])
        .on("Config-Service.GetResourceConfigHistory", [refused("Config-Service.GetResourceConfigHistory")])
        .on("Config-Service.ListDiscoveredResources", [refused("Config-Service.ListDiscoveredResources")]);
    let bag = run(&["config-history"], world).await;
    assert_eq!(bag.gaps(), []);
    for subject in ["what AWS Config records", "past configurations of the function", "as AWS Config knows it"] {
        let item = bag.item(subject);
        assert!(item.status == ItemStatus::NotApplicable && detail(item).contains("nothing was recorded"), "{item:?}");
    }
    // The words stand beside what AWS said.
    assert_eq!(bag.item("past configurations of the function").files.len(), 1);
}

#[tokio::test]
async fn what_config_never_saw_is_not_found_and_the_role_is_asked_for_by_its_id() {
    let key = "Config-Service.GetResourceConfigHistory";
    let world =
        World::default().when(key, |s| s.says("AWS::Lambda::Function"), [Answer::error(key, 400, "ResourceNotDiscoveredException")]);
    let bag = run(&["config-history"], world).await;
    assert_eq!(bag.gaps(), []);
    assert_eq!(bag.item("past configurations of the function").status, ItemStatus::NotFound);
    assert_eq!(bag.item("past configurations of role payments-role (AROAPAYMENTS)").status, ItemStatus::Collected);
    assert!(sent_to(&bag, key).iter().any(|s| s.contains(r#""resourceId":"AROAPAYMENTS""#)));
    assert!(sent_to(&bag, "Config-Service.ListDiscoveredResources")[0].contains(r#""includeDeletedResources":true"#));
}

// ── deployment ──

fn tagged(tags: Value) -> World {
    World::default().on("Lambda.ListTags", [Answer::json(&json!({"Tags": tags}))])
}

#[tokio::test]
async fn a_stack_is_asked_about_only_under_a_name_of_a_stack() {
    let bag = run(&["deployment"], tagged(json!({"team": "payments"}))).await;
    assert_eq!(bag.item("the stack that deployed the function").status, ItemStatus::NotApplicable);
    for odd in [
        "arn:aws:cloudformation:eu-west-1:210987654321:stack/payments/1",
        "arn:aws:cloudformation:x.evil.example/:123456789012:stack/payments/1",
        "arn:aws-cn:cloudformation:eu-west-1:123456789012:stack/payments/1",
        "arn:aws:cloudformation:eu-west-1:123456789012:stack/payments/1/../2",
        "pay ments",
        "",
        "1payments",
    ] {
        let bag = run(&["deployment"], tagged(json!({"aws:cloudformation:stack-id": odd}))).await;
        assert!(is_gap(bag.item("the stack that deployed the function"), GapKind::Unsupported), "{odd}");
        assert_eq!(sent_to(&bag, "CloudFormation").len(), 0, "{odd}");
    }
    // By name, where the id is not told; in the Region that the ARN names.
    let bag = run(&["deployment"], tagged(json!({"aws:cloudformation:stack-name": "payments"}))).await;
    assert!(sent_to(&bag, "CloudFormation.DescribeStacks")[0].ends_with("StackName=payments"));
    let elsewhere = "arn:aws:cloudformation:eu-test-0:123456789012:stack/payments/1a-2b";
    let bag = run(&["deployment"], tagged(json!({"aws:cloudformation:stack-id": elsewhere}))).await;
    assert!(
        bag.world.sent().iter().filter(|s| s.key.starts_with("CloudFormation")).all(|s| s.host == "cloudformation.eu-test-0.amazonaws.com")
    );
    let stages: Vec<bool> = sent_to(&bag, "CloudFormation.GetTemplate").iter().map(|s| s.contains("TemplateStage=Original")).collect();
    assert!(stages.len() == 2 && stages.contains(&true) && stages.contains(&false));
}

#[tokio::test]
async fn a_stack_that_is_gone_is_not_found_and_tags_that_cannot_be_read_are_a_gap() {
    let no_stack = Answer::new(
        400,
        "text/xml",
        "<ErrorResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\"><Error><Type>Sender</Type><Code>ValidationError</Code>\
         <Message>Stack with id payments does not exist</Message></Error><RequestId>r</RequestId></ErrorResponse>",
    );
    let keys = ["DescribeStacks", "ListStackResources", "GetTemplate", "DescribeStackEvents"];
    let world = keys.iter().fold(World::default(), |w, op| w.on(&format!("CloudFormation.{op}"), [no_stack.clone()]));
    let bag = run(&["deployment"], world).await;
    assert_eq!(bag.gaps(), []);
    assert!(bag.of("deployment").iter().all(|i| i.status == ItemStatus::NotFound));

    let bag =
        run(&["deployment"], World::default().on("Lambda.ListTags", [Answer::error("Lambda.ListTags", 403, "AccessDeniedException")]))
            .await;
    let open = bag.item("the stack that deployed the function");
    assert!(is_gap(open, GapKind::Denied) && open.action.as_deref() == Some("lambda:ListTags"), "{open:?}");
    // With the unit itself in the plan, the tags are still asked for once.
    assert_eq!(run(&["tags", "deployment"], World::default()).await.sent("Lambda.ListTags").len(), 1);
}

// ── file systems ──

#[tokio::test]
async fn file_systems_of_every_kind_are_described_where_they_are_and_nothing_else() {
    let mounts = |arn: &str| {
        let arn = arn.to_string();
        world_where(move |c| c["FileSystemConfigs"] = json!([{"Arn": arn, "LocalMountPath": "/mnt/x"}]))
    };
    let bag = run(&["file-systems"], world_where(|c| drop(c.as_object_mut().unwrap().remove("FileSystemConfigs")))).await;
    assert_eq!(bag.of("file-systems").iter().map(|i| i.status).collect::<Vec<_>>(), [ItemStatus::NotApplicable]);
    for odd in [
        "arn:aws:elasticfilesystem:eu-west-1:1:access-point/fsap-../x",
        "arn:aws:elasticfilesystem:x.evil.example/:1:access-point/fsap-1",
        "arn:aws-cn:elasticfilesystem:eu-west-1:1:access-point/fsap-1",
        "arn:aws:fsx:eu-west-1:1:access-point/fsap-1",
        "fsap-1",
    ] {
        let bag = run(&["file-systems"], mounts(odd)).await;
        assert!(is_gap(bag.item("file system "), GapKind::Unsupported), "{odd}");
        assert!(sent_to(&bag, "EFS").is_empty() && sent_to(&bag, "S3Files").is_empty(), "{odd}");
    }
    let bag = run(&["file-systems"], mounts("arn:aws:elasticfilesystem:eu-test-0:1:access-point/fsap-1")).await;
    assert!(bag.world.sent().iter().filter(|s| s.key.starts_with("EFS")).all(|s| s.host == "elasticfilesystem.eu-test-0.amazonaws.com"));
    assert_eq!(sent_to(&bag, "EFS").len(), 4);
    // An answer that names no file system sends us nowhere.
    let world = mounts("arn:aws:s3files:eu-west-1:1:file-system/fs-1/access-point/fsap-1")
        .on("S3Files.GetAccessPoint", [Answer::json(&json!({"fileSystemId": "fs-1/../../x"}))]);
    let bag = run(&["file-systems"], world).await;
    assert_eq!(sent_to(&bag, "S3Files").len(), 1);
}

#[tokio::test]
async fn a_file_system_without_a_policy_is_not_found() {
    let none = Answer::new(404, "application/json", r#"{"ErrorCode":"PolicyNotFound","Message":"No policy for fs-0a1b2c3d4e5f60734."}"#);
    let bag = run(&["file-systems"], World::default().on("EFS.DescribeFileSystemPolicy", [none])).await;
    assert_eq!(bag.gaps(), []);
    assert_eq!(bag.item("policy of EFS file system").status, ItemStatus::NotFound);
}

// ── what scales, delivers and encrypts ──

#[tokio::test]
async fn only_targets_of_this_function_are_followed() {
    let foreign = json!({"ScalableTargets": [
        {"ResourceId": "function:payments-export:live"}, {"ResourceId": "function:other:live"}, {"ResourceId": 7}]});
    let bag =
        run(&["auto-scaling"], World::default().on("Application-Auto-Scaling.DescribeScalableTargets", [Answer::json(&foreign)])).await;
    assert_eq!(bag.gaps(), []);
    let asked = sent_to(&bag, "Application-Auto-Scaling");
    assert!(asked[0].contains("function:payments-export:live") && asked[0].contains("function:payments-export:2"), "{asked:?}");
    assert!(asked.len() == 4 && !asked.join("").contains("function:other"), "{asked:?}");
    let world = World::default()
        .on("Lambda.ListAliases", [Answer::json(&json!({"Aliases": []}))])
        .on("Lambda.ListVersionsByFunction", [Answer::json(&json!({"Versions": []}))]);
    let bag = run(&["auto-scaling"], world).await;
    assert_eq!(bag.item("scaling of provisioned concurrency").status, ItemStatus::NotApplicable);
    assert!(sent_to(&bag, "Application-Auto-Scaling").is_empty());
}

#[tokio::test]
async fn destinations_and_mappings_are_asked_for_once_and_what_is_missing_of_them_is_said() {
    let bag = run(&["async-destinations", "event-source-mappings", "delivery-targets"], World::default()).await;
    assert_eq!(bag.sent("Lambda.ListFunctionEventInvokeConfigs").len(), 1);
    assert_eq!(bag.sent("Lambda.ListEventSourceMappings").len(), 5, "the function, $LATEST, an alias, two versions: once each");
    assert_eq!(bag.asked("async-destinations", "ListFunctionEventInvokeConfigs").len(), 1);

    let denied = |key: &str| World::default().on(key, [Answer::error(key, 403, "AccessDeniedException")]);
    let bag = run(&["delivery-targets"], denied("Lambda.ListEventSourceMappings")).await;
    assert!(is_gap(bag.item("policies of queues that further event source mappings name"), GapKind::Denied));
    let bag = run(&["delivery-targets"], denied("Lambda.ListFunctionEventInvokeConfigs")).await;
    let open = bag.item("policies of the destinations");
    assert!(is_gap(open, GapKind::Denied) && open.action.as_deref() == Some("lambda:ListFunctionEventInvokeConfigs"), "{open:?}");
}

/// A queue whose dead letters go in a circle, or whose policy is no JSON.
#[tokio::test]
async fn a_redrive_policy_is_followed_once() {
    let circle = |to: &str| {
        let policy = json!({"deadLetterTargetArn": to, "maxReceiveCount": 1}).to_string();
        Answer::json(&json!({"Attributes": {"RedrivePolicy": policy}}))
    };
    let chain = World::default().on("SQS.GetQueueAttributes", [circle("arn:aws:sqs:eu-west-1:123456789012:payments")]);
    let bag = run(&["delivery-targets"], chain).await;
    assert_eq!(bag.gaps(), []);
    assert_eq!(bag.sent("SQS.GetQueueAttributes").len(), 4, "each queue once");
    let odd = Answer::json(&json!({"Attributes": {"RedrivePolicy": "{deadLetterTargetArn"}}));
    let bag = run(&["delivery-targets"], World::default().on("SQS.GetQueueAttributes", [odd])).await;
    assert_eq!((bag.gaps(), bag.sent("SQS.GetQueueAttributes").len()), (vec![], 4));
    let bag = run(&["delivery-targets"], World::default().on("SQS.GetQueueAttributes", [circle("arn:aws:sqs:x.evil.example/#:1:q")])).await;
    assert!(bag.world.sent().iter().all(|s| !s.host.contains("evil")));
    assert_eq!(bag.item("policy of destination arn:aws:sqs:x.evil.example").status, ItemStatus::NotApplicable);
}

#[tokio::test]
async fn keys_of_versions_and_of_packages_are_read_too() {
    let mut version = document("Lambda.GetFunction");
    version["Configuration"]["KMSKeyArn"] = json!("arn:aws:kms:eu-west-1:123456789012:key/of-version-1");
    version["Code"]["SourceKMSKeyArn"] = json!("arn:aws:kms:eu-west-1:123456789012:key/of-the-package");
    let world = World::default().when("Lambda.GetFunction", |s| s.says("Qualifier=1"), [Answer::json(&version)]);
    let bag = run(&["function-key"], world).await;
    assert_eq!(bag.gaps(), []);
    for key in ["11112222-3333-4444-5555-666677778888", "of-version-1", "of-the-package"] {
        assert_eq!(sent_to(&bag, "KMS").iter().filter(|s| s.contains(key)).count(), 3, "{key}: state, policy, grants");
    }
}
