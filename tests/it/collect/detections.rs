//! What is particular to the collectors of detections: a service that is off is an answer in words, and whose finding it is.

use super::{Bag, is_gap, run, run_with};
use crate::support::wire::{Answer, World};
use freezeframe::model::gap::GapKind;
use freezeframe::model::item::ItemStatus;
use serde_json::{Value, json};

fn table(bag: &Bag, subject: &str) -> Value {
    serde_json::from_slice(&bag.file(bag.item(subject), 0)).unwrap()
}

fn words<'b>(bag: &'b Bag, subject: &str) -> &'b str {
    let item = bag.item(subject);
    assert_eq!(item.status, ItemStatus::NotApplicable, "{item:?}");
    item.detail.as_deref().unwrap()
}

fn refused(code: &str, message: &str) -> Answer {
    Answer::new(401, "application/json", json!({"message": message}).to_string()).header("x-amzn-errortype", code)
}

// ── GuardDuty ──

#[tokio::test]
async fn guardduty_that_is_off_is_said_with_what_it_means_and_nothing_more_is_asked() {
    let none = Answer::json(&json!({"detectorIds": []}));
    let bag = run(&["guardduty-findings"], World::default().on("GuardDuty.ListDetectors", [none])).await;
    assert_eq!(bag.gaps(), []);
    assert!(words(&bag, "GuardDuty findings about the function and its role").contains("GuardDuty is not on in this Region"));
    assert_eq!(bag.world.sent().iter().filter(|s| s.key.starts_with("GuardDuty.")).count(), 1);
    // A refusal is no "off".
    let denied = Answer::error("GuardDuty.ListDetectors", 403, "AccessDeniedException");
    let bag = run(&["guardduty-findings"], World::default().on("GuardDuty.ListDetectors", [denied])).await;
    assert_eq!(bag.of("guardduty-findings").iter().map(|i| i.status).collect::<Vec<_>>(), [ItemStatus::Gap(GapKind::Denied)]);
}

#[tokio::test]
async fn a_finding_is_read_once_whoever_names_it_and_keeps_its_revision() {
    let bag = run(&["guardduty-findings"], World::default()).await;
    assert_eq!(bag.gaps(), []);
    let lists = bag.sent("GuardDuty.ListFindings");
    assert_eq!(lists.len(), 2);
    assert!(lists.iter().any(|s| s.says(r#"{"resource.lambdaDetails.functionName":{"equals":["payments-export"]}}"#)), "{lists:?}");
    assert!(lists.iter().any(|s| s.says(r#"{"resource.accessKeyDetails.userName":{"equals":["payments-role"]}}"#)), "{lists:?}");
    assert!(lists.iter().all(|s| !s.says("archived")), "archived ones too");
    let [sent] = bag.sent("GuardDuty.GetFindings").try_into().unwrap();
    assert_eq!(sent.body.matches("60c0ffee60c0ffee60c0ffee60c0ffee").count(), 1, "{}", sent.body);
    let table = table(&bag, "GuardDuty in one table");
    assert_eq!(table["detectors"][0]["lambdaProtection"], "ENABLED");
    let finding = &table["findings"][0];
    assert_eq!((&finding["revisionId"], &finding["functionVersion"]), (&json!("rev-2"), &json!("2")));
    assert_eq!(table["revisionOfLatestNow"], "rev-latest");
    let mut by: Vec<_> = finding["foundBy"].as_array().unwrap().iter().map(|b| b.as_str().unwrap()).collect();
    by.sort_unstable();
    assert_eq!(by, ["function", "role"]);
}

#[tokio::test]
async fn bounds_of_guardduty_leave_gaps_and_batches_hold_fifty() {
    let ids: Vec<String> = (0..120).map(|n| format!("{n:032x}")).collect();
    let world = || World::default().on("GuardDuty.ListFindings", [Answer::json(&json!({"findingIds": ids}))]);
    let bag = run_with(&["guardduty-findings"], world(), r#"{"max-findings": 60}"#).await;
    let mut asked: Vec<usize> = bag.sent("GuardDuty.GetFindings").iter().map(|s| s.body.matches("00000000000000").count() / 2).collect();
    asked.sort_unstable();
    assert_eq!(bag.sent("GuardDuty.GetFindings").len(), 2, "{asked:?}");
    assert!(is_gap(bag.item("further GuardDuty findings in full"), GapKind::TooLarge));
    // The world's one finding is no answer to sixty ids.
    assert_eq!(bag.items.iter().filter(|i| i.subject.starts_with("some of: ") && is_gap(i, GapKind::Truncated)).count(), 2);
}

#[tokio::test]
async fn lambda_protection_that_nobody_speaks_of_is_unknown() {
    let mute = Answer::json(&json!({"status": "ENABLED", "serviceRole": "r"}));
    let bag = run(&["guardduty-findings"], World::default().on("GuardDuty.GetDetector", [mute])).await;
    assert_eq!(table(&bag, "GuardDuty in one table")["detectors"][0]["lambdaProtection"], Value::Null);
}

// ── Security Hub ──

#[tokio::test]
async fn an_account_that_is_not_subscribed_is_an_answer_and_another_refusal_is_not() {
    let off = || refused("InvalidAccessException", "Account 123456789012 is not subscribed to AWS Security Hub");
    let gone = Answer::error("SecurityHub.DescribeSecurityHubV2", 404, "ResourceNotFoundException");
    let world = World::default().on("SecurityHub.GetFindings", [off()]).on("SecurityHub.DescribeSecurityHubV2", [gone]);
    let bag = run(&["security-hub-findings"], world).await;
    assert_eq!(bag.gaps(), []);
    for about in ["function", "execution role"] {
        assert!(words(&bag, &format!("findings (ASFF) about the {about}")).contains("Security Hub CSPM is not on in this Region"));
    }
    assert!(words(&bag, "Security Hub findings (OCSF)").contains("not on in this Region"));
    assert!(bag.sent("SecurityHub.GetFindingsV2").is_empty() && bag.sent("SecurityHub.GetFindingHistory").is_empty());

    let other = refused("InvalidAccessException", "Account 123456789012 is not an administrator for this organization");
    let bag = run(&["security-hub-findings"], World::default().on("SecurityHub.GetFindings", [other])).await;
    assert_eq!(bag.gaps().len(), 2, "{:?}", bag.gaps());
}

#[tokio::test]
async fn a_hub_that_does_not_say_whether_it_is_on_is_asked_all_the_same() {
    let denied = Answer::error("SecurityHub.DescribeSecurityHubV2", 403, "AccessDeniedException");
    let bag = run(&["security-hub-findings"], World::default().on("SecurityHub.DescribeSecurityHubV2", [denied])).await;
    let sent = bag.sent("SecurityHub.GetFindingsV2");
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|s| s.says("resources.uid") && s.says(r#""Operator":"OR""#)));
}

#[tokio::test]
async fn findings_are_sought_by_exact_names_and_each_history_is_read_once() {
    let bag = run(&["security-hub-findings"], World::default()).await;
    let arn = format!("arn:aws:lambda:{}:123456789012:function:payments-export", bag.region);
    let sent = bag.sent("SecurityHub.GetFindings");
    assert!(
        sent[0].says(&format!(r#"{{"Value":"{arn}","Comparison":"EQUALS"}},{{"Value":"{arn}:","Comparison":"PREFIX"}}"#)),
        "{}",
        sent[0].body
    );
    assert!(sent[1].says("role/service/payments-role") && !sent[1].says("PREFIX"), "{}", sent[1].body);
    assert_eq!(bag.sent("SecurityHub.GetFindingHistory").len(), 1, "both searches find the same one");
    let bag = run_with(&["security-hub-findings"], World::default(), r#"{"max-histories": 0}"#).await;
    assert!(is_gap(bag.item("histories of further Security Hub findings"), GapKind::TooLarge));
}

// ── Inspector ──

#[tokio::test]
async fn inspector_that_is_off_is_said_and_a_refusal_to_say_it_decides_nothing() {
    let healthy = World::healthy("Inspector2.BatchGetAccountStatus").text();
    let off = Answer::new(200, "application/json", healthy.replacen("ENABLED", "DISABLED", 1));
    let bag = run(&["inspector-findings"], World::default().on("Inspector2.BatchGetAccountStatus", [off])).await;
    assert_eq!(bag.gaps(), []);
    assert!(words(&bag, "Inspector findings about the function").contains("Inspector is not on in this Region"));
    assert!(bag.sent("Inspector2.ListFindings").is_empty());

    let denied = Answer::error("Inspector2.BatchGetAccountStatus", 403, "AccessDeniedException");
    let bag = run(&["inspector-findings"], World::default().on("Inspector2.BatchGetAccountStatus", [denied])).await;
    assert_eq!(bag.sent("Inspector2.ListFindings").len(), 1);
    let arn = format!("arn:aws:lambda:{}:123456789012:function:payments-export", bag.region);
    assert!(bag.sent("Inspector2.ListFindings")[0].says(&format!(r#"{{"comparison":"PREFIX","value":"{arn}:"}}"#)), "no neighbour's");
}

#[tokio::test]
async fn details_that_inspector_has_not_are_an_answer_and_those_it_refuses_a_gap() {
    for (code, gaps) in [("FINDING_DETAILS_NOT_FOUND", 0), ("INTERNAL_ERROR", 1)] {
        let none = json!({"findingDetails": [], "errors": [{"findingArn": "f", "errorCode": code, "errorMessage": "m"}]});
        let bag = run(&["inspector-findings"], World::default().on("Inspector2.BatchGetFindingDetails", [Answer::json(&none)])).await;
        assert_eq!(bag.gaps().len(), gaps, "{code}: {:?}", bag.gaps());
    }
    let many: Vec<Value> = (0..25).map(|n| json!({"findingArn": format!("arn:{n}")})).collect();
    let world = World::default().on("Inspector2.ListFindings", [Answer::json(&json!({"findings": many}))]);
    let bag = run_with(&["inspector-findings"], world, r#"{"max-details": 22}"#).await;
    assert_eq!(bag.sent("Inspector2.BatchGetFindingDetails").len(), 3, "ten at once");
    assert!(is_gap(bag.item("details of further Inspector findings"), GapKind::TooLarge));
}

// ── the triggers that came with them ──

#[tokio::test]
async fn of_distributions_only_what_runs_the_function_is_told_with_its_path() {
    let bag = run(&["edge-associations"], World::default()).await;
    assert_eq!(bag.gaps(), []);
    assert!(bag.sent("CloudFront.ListDistributions").iter().all(|s| s.host == "cloudfront.amazonaws.com"));
    let table = table(&bag, "where CloudFront runs the function");
    let rows: Vec<_> = table["associations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| (a["distribution"].as_str().unwrap(), a["path"].as_str(), a["function"].as_str().unwrap().rsplit(':').next().unwrap()))
        .collect();
    assert_eq!(rows, [("E1OURS", None, "1"), ("E1OURS", Some("api/*"), "2")]);
    assert_eq!(table["associations"][1]["domain"], "d111.cloudfront.net");
    // Elsewhere the question does not arise.
    let bag = run(&["edge-associations", "concurrency"], World::default()).await;
    assert!(words(&bag, "CloudFront distributions that run the function").contains("us-east-1 only"));
    assert!(bag.sent("CloudFront.ListDistributions").is_empty());
}

#[tokio::test]
async fn subscribers_speak_cbor_and_those_of_ours_are_read_as_json_beside_it() {
    let bag = run(&["event-subscribers"], World::default()).await;
    assert_eq!(bag.gaps(), []);
    let mut read: Vec<_> = bag.items.iter().filter(|i| i.subject.starts_with("what subscriber ")).collect();
    read.sort_by_key(|i| i.id);
    assert_eq!(read.len(), 2, "ours and the universal one; no neighbour's");
    let document: Value = serde_json::from_slice(&bag.file(read[0], 0)).unwrap();
    assert_eq!(document["InvokeConfiguration"]["LambdaParameters"]["Qualifier"], "2");
    let list = bag.item("subscribers of the account");
    assert!(list.files[0].path.as_str().ends_with(".cbor"), "{list:?}");
    let asked = bag.exchanges(list);
    assert_eq!(asked[0].request_body.as_deref(), Some(r#"{"MaxResults":100}"#), "what we asked can be read, too");
    let sent = &bag.sent("EventBridgeV2.ListSubscribers")[0];
    assert_eq!((sent.host.split('.').next(), sent.uri.as_str()), (Some("eventsv2"), "/service/AWSEventsV2/operation/ListSubscribers"));
    // A page of a proxy is no empty list.
    let proxy = Answer::new(200, "text/html", "<html>sign in</html>");
    let bag = run(&["event-subscribers"], World::default().on("EventBridgeV2.ListSubscribers", [proxy])).await;
    assert!(is_gap(bag.item("subscribers of the account"), GapKind::Transport));
}

#[tokio::test]
async fn alarms_of_every_kind_are_sought_by_what_they_call() {
    let bag = run(&["alarm-actions"], World::default()).await;
    let sent = bag.sent("CloudWatch.DescribeAlarms");
    let mut kinds: Vec<String> = sent.iter().map(|s| serde_json::from_str::<Value>(&s.body).unwrap()["AlarmTypes"].to_string()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, [r#"["CompositeAlarm"]"#, r#"["LogAlarm"]"#, r#"["MetricAlarm"]"#]);
    let arn = format!("arn:aws:lambda:{}:123456789012:function:payments-export", bag.region);
    assert!(sent.iter().all(|s| s.says(&format!(r#""ActionPrefix":"{arn}""#))));
}

#[tokio::test]
async fn sources_of_other_services_are_asked_where_a_statement_admits_them() {
    let bag = run(&["named-sources"], World::default()).await;
    assert_eq!(bag.gaps(), []);
    let pool = bag.sent("Cognito-Identity-Provider.DescribeUserPool");
    assert!(pool[0].says(&format!(r#"{{"UserPoolId":"{}_Ab12Cd34"}}"#, bag.region)), "{pool:?}");
    assert_eq!(bag.sent("IoT.GetTopicRule")[0].uri, "/rules/door");
    let none = Answer::error("Lambda.GetPolicy", 404, "ResourceNotFoundException");
    let world = World::default().on("Lambda.GetPolicy", [none.clone()]).on("Lambda.GetResourcePolicy", [none]);
    let bag = run(&["named-sources"], world).await;
    assert_eq!(bag.item("sources of other services").status, ItemStatus::NotApplicable);
    assert!(bag.world.sent().iter().all(|s| s.key.starts_with("Lambda.")));
    assert!(bag.world.sent().iter().all(|s| !s.key.contains("GetSecretValue")));
}

// ── the customer's runtime ──

#[tokio::test]
async fn a_runtime_of_the_customers_is_followed_to_its_image() {
    let bag = run(&["customer-runtime"], World::default()).await;
    assert_eq!(bag.gaps(), []);
    let alias = bag.sent("Lambda-Core.GetRuntimeAlias");
    let name = "arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Aruntime%2Fhardened";
    assert_eq!(alias[0].uri, format!("/2026-10-01/runtimes/{name}/aliases/live"));
    assert_eq!(bag.sent("Lambda-Core.GetRuntimeVersion")[0].uri, format!("/2026-10-01/runtimes/{name}/versions/3"));
    let root = bag.draft.dir().join("data/10-code/runtime");
    let index: Value = serde_json::from_slice(&std::fs::read(root.join("index.json")).unwrap()).unwrap();
    let digest = index["manifests"][0]["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap().to_string();
    assert!(root.join("blobs/sha256").join(digest).exists());
    // Beside the function's own image, whole in itself.
    let bag = run(&["container-image", "customer-runtime"], World::default()).await;
    assert_eq!(bag.gaps(), []);
    for layout in ["image", "runtime"] {
        let blobs = bag.draft.dir().join("data/10-code").join(layout).join("blobs/sha256");
        assert_eq!(std::fs::read_dir(blobs).unwrap().count(), 3, "{layout}");
    }
}

#[tokio::test]
async fn a_function_on_a_runtime_of_lambdas_has_none_and_a_mute_answer_is_a_gap() {
    let mut body: Value = serde_json::from_str(&World::healthy("Lambda.GetFunction").text()).unwrap();
    body["Configuration"].as_object_mut().unwrap().remove("RuntimeConfig");
    let bag = run(&["customer-runtime"], World::default().on("Lambda.GetFunction", [Answer::json(&body)])).await;
    assert_eq!(bag.item("customer-managed runtime").status, ItemStatus::NotApplicable);
    let mute = Answer::json(&json!({"Name": "live"}));
    let bag = run(&["customer-runtime"], World::default().on("Lambda-Core.GetRuntimeAlias", [mute])).await;
    assert_eq!(bag.gaps().iter().map(|g| g.1).collect::<Vec<_>>(), [GapKind::Unsupported]);
}

// ── Access Analyzer ──

#[tokio::test]
async fn without_an_analyzer_nothing_was_judged_and_that_is_said() {
    let none = Answer::json(&json!({"analyzers": []}));
    let bag = run(&["access-analyzer-findings"], World::default().on("AccessAnalyzer.ListAnalyzers", [none])).await;
    assert_eq!(bag.gaps(), []);
    assert!(words(&bag, "Access Analyzer findings about the function").contains("no analyzer"));
}

#[tokio::test]
async fn a_neighbours_finding_is_not_read_and_unused_access_has_no_analyzed_resource() {
    let bag = run(&["access-analyzer-findings"], World::default()).await;
    assert_eq!(bag.gaps(), []);
    let read: Vec<_> = bag.sent("AccessAnalyzer.GetFindingV2").iter().map(|s| s.uri.clone()).collect();
    assert_eq!(read.len(), 2, "the one finding, of each analyzer: {read:?}");
    assert!(read.iter().all(|uri| uri.contains("000000000001?") && uri.contains("analyzerArn=arn%3Aaws%3Aaccess-analyzer")), "{read:?}");
    let judged = bag.sent("AccessAnalyzer.GetAnalyzedResource");
    assert!(!judged.is_empty() && judged.iter().all(|s| s.says("analyzer%2Faccount") && !s.says("analyzer%2Funused")), "{judged:?}");
    let lists = bag.sent("AccessAnalyzer.ListFindingsV2");
    assert_eq!(lists.iter().filter(|s| s.says(r#"{"contains":["#)).count(), 2);
    assert!(lists.iter().any(|s| s.says(r#""eq":["arn:aws:iam::123456789012:role/service/payments-role""#)), "{lists:?}");
}
