//! The surface of the Lambda API: the table of its reads against the SDK and against the collectors, and what is particular to the collectors
//! of versions, layers, bucket objects, signing and capacity.

use super::{Bag, is_gap, run};
use crate::licences::metadata;
use crate::support::tools::{python_tools, repository};
use crate::support::wire::{Answer, Sent, World};
use freezeframe::collect::COLLECTORS;
use freezeframe::collect::lambda_reads::{Decision, LAMBDA_READS};
use freezeframe::model::call::Service;
use freezeframe::model::digest::Sha256;
use freezeframe::model::gap::GapKind;
use freezeframe::model::item::ItemStatus;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

// ── the table ──

/// `get_function_url_config` → `GetFunctionUrlConfig`.
fn camel(snake: &str) -> String {
    let upper = |word: &str| word[..1].to_uppercase() + &word[1..];
    snake.split('_').map(upper).collect()
}

/// Operations of the SDK that read, by the beginnings of their names.
fn reads_of_the_sdk() -> BTreeSet<String> {
    let package = metadata().iter().find(|p| p["name"] == "aws-sdk-lambda").expect("a dependency");
    let folder = Path::new(package["manifest_path"].as_str().unwrap()).with_file_name("src").join("operation");
    let names = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let names = names.filter(|p| p.extension().is_some_and(|e| e == "rs")).map(|p| camel(p.file_stem().unwrap().to_str().unwrap()));
    names.filter(|n| ["Get", "List", "Describe", "BatchGet", "Search", "Head"].iter().any(|p| n.starts_with(p))).collect()
}

#[test]
fn every_read_of_the_lambda_api_is_decided() {
    let sdk = reads_of_the_sdk();
    assert!(sdk.len() >= 38, "the SDK's operations are not where they were: {sdk:?}");
    let table: BTreeSet<String> = LAMBDA_READS.iter().map(|(op, _)| op.to_string()).collect();
    assert_eq!(table.len(), LAMBDA_READS.len(), "an operation stands twice");
    let undecided: Vec<_> = sdk.difference(&table).collect();
    assert!(undecided.is_empty(), "decide in src/collect/lambda_reads.rs: {undecided:?}");
    let newest = reads_of_botocore();
    let known: BTreeSet<String> = sdk.iter().chain(newest.facts.keys()).cloned().collect();
    let gone: Vec<_> = table.difference(&known).collect();
    assert!(gone.is_empty(), "neither the SDK nor botocore {} has such reads: {gone:?}", newest.botocore);
}

#[derive(serde::Deserialize)]
struct Newest {
    botocore: String,
    facts: BTreeMap<String, Taking>,
}
#[derive(serde::Deserialize)]
struct Taking {
    qualifier: bool,
}

/// The same by the newest model that there is: botocore's, which is out before an SDK crate is.
fn reads_of_botocore() -> Newest {
    let mut command = Command::new(python_tools().join("python3"));
    let output = command.arg(repository("tests/tools/botocore_facts.py")).args(["reads", "Lambda"]).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn every_read_of_the_newest_botocore_is_decided() {
    let newest = reads_of_botocore();
    assert!(newest.facts.len() >= 38, "the model's operations are not where they were");
    let table: BTreeMap<&str, Decision> = LAMBDA_READS.iter().copied().collect();
    let undecided: Vec<_> = newest.facts.keys().filter(|op| !table.contains_key(op.as_str())).collect();
    assert!(undecided.is_empty(), "decide in src/collect/lambda_reads.rs (botocore {}): {undecided:?}", newest.botocore);
    let sdk = reads_of_the_sdk();
    let newer: Vec<_> = newest.facts.keys().filter(|op| !sdk.contains(*op)).collect();
    println!("botocore {}: {} reads, of which the SDK does not have {newer:?}", newest.botocore, newest.facts.len());
}

/// What takes a qualifier is asked under each that there is. Where a qualifier is none for this question, AWS's own words say so.
#[tokio::test]
async fn what_takes_a_qualifier_is_asked_under_every_qualifier() {
    // `Qualifier` of GetFunctionScalingConfig: `\$LATEST\.PUBLISHED|[0-9]+`; of GetRuntimeManagementConfig: "$LATEST or a published version
    // number"; without one ListDurableExecutionsByFunction "returns executions across all versions", and an alias is none of them.
    let versions_alone = ["GetFunctionScalingConfig", "GetRuntimeManagementConfig", "ListDurableExecutionsByFunction"];
    let all: Vec<&str> = COLLECTORS.iter().map(|c| c.spec().id).collect();
    let bag = run(&all, World::default()).await;
    let mut seen = 0;
    for (operation, Taking { qualifier }) in reads_of_botocore().facts {
        let by = LAMBDA_READS.iter().any(|(op, decision)| *op == operation && matches!(decision, Decision::By(_)));
        if !qualifier || !by {
            continue;
        }
        seen += 1;
        let asked = qualifiers(&bag, &format!("Lambda.{operation}"));
        let asked: BTreeSet<&str> = asked.iter().map(|q| q.split('&').next().unwrap_or_default()).collect();
        // In the world `$LATEST` alone is durable, and version 2 alone runs on managed instances: nothing else has an answer.
        let wanted: &[&str] = match operation.as_str() {
            "GetFunctionScalingConfig" => &["2"],
            "ListDurableExecutionsByFunction" => &["%24LATEST"],
            _ if versions_alone.contains(&operation.as_str()) => &["1", "2"],
            _ => &["1", "2", "live"],
        };
        for name in wanted {
            assert!(asked.contains(*name), "{operation} is not asked of {name}: {asked:?}");
        }
    }
    assert!(seen >= 5, "{seen}");
}

#[test]
fn what_the_table_says_is_what_the_collectors_declare() {
    let mut declared: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for spec in COLLECTORS.iter().map(|c| c.spec()) {
        for call in spec.calls.iter().filter(|c| c.service == Service::Lambda) {
            declared.entry(call.operation).or_default().insert(spec.id);
        }
    }
    let table: BTreeMap<&str, Decision> = LAMBDA_READS.iter().copied().collect();
    for (operation, decision) in LAMBDA_READS {
        let by = declared.get(operation).cloned().unwrap_or_default();
        match decision {
            Decision::By(ids) => {
                let said: BTreeSet<&str> = ids.iter().copied().collect();
                assert!(!said.is_empty() && said.is_subset(&by), "{operation}: said to be by {said:?}, declared by {by:?}");
            }
            Decision::Within(other) => {
                assert_eq!(by, BTreeSet::new(), "{operation}");
                assert!(matches!(table.get(other), Some(Decision::By(_))), "{operation} is within {other}, which is not collected");
            }
            Decision::Not(why) => {
                assert_eq!(by, BTreeSet::new(), "{operation}");
                assert!(why.split_whitespace().count() >= 5, "{operation}: {why:?} is no reason");
            }
        }
    }
    for operation in declared.keys() {
        assert!(table.contains_key(operation), "{operation} is declared and not in the table");
    }
}

/// What stands as *within* must be so: every member of the one answer is one of the other's entries (AWS's own words, by the SDK's types).
#[test]
fn what_is_said_to_be_within_another_answer_is() {
    let package = metadata().iter().find(|p| p["name"] == "aws-sdk-lambda").expect("a dependency");
    let source = Path::new(package["manifest_path"].as_str().unwrap()).with_file_name("src");
    let members = |file: &str| -> BTreeSet<String> {
        let text = std::fs::read_to_string(source.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        let text = text.split("pub struct").nth(1).expect("a struct").split('}').next().unwrap();
        text.lines()
            .filter_map(|l| l.trim().strip_prefix("pub ")?.split(':').next().map(str::to_string))
            .filter(|m| !m.starts_with('_'))
            .collect()
    };
    for (one, many) in [
        ("operation/get_alias/_get_alias_output.rs", "types/_alias_configuration.rs"),
        ("operation/get_function_configuration/_get_function_configuration_output.rs", "types/_function_configuration.rs"),
        (
            "operation/get_function_event_invoke_config/_get_function_event_invoke_config_output.rs",
            "types/_function_event_invoke_config.rs",
        ),
        ("operation/get_function_url_config/_get_function_url_config_output.rs", "types/_function_url_config.rs"),
        (
            "operation/get_layer_version/_get_layer_version_output.rs",
            "operation/get_layer_version_by_arn/_get_layer_version_by_arn_output.rs",
        ),
        (
            "operation/get_provisioned_concurrency_config/_get_provisioned_concurrency_config_output.rs",
            "types/_provisioned_concurrency_config_list_item.rs",
        ),
    ] {
        let (one_s, many_s) = (members(one), members(many));
        assert!(one_s.len() > 3, "{one}: {one_s:?}");
        let missing: Vec<_> = one_s.difference(&many_s).collect();
        assert!(missing.is_empty(), "{many} lacks {missing:?} of {one}");
    }
    assert_eq!(LAMBDA_READS.iter().filter(|(_, d)| matches!(d, Decision::Within(_))).count(), 6, "compare the new one here");
}

// ── versions and aliases ──

fn healthy_json(key: &str) -> Value {
    serde_json::from_str(&World::healthy(key).text()).unwrap()
}

fn denied(key: &str) -> [Answer; 1] {
    [Answer::error(key, 403, "AccessDeniedException")]
}

fn qualifiers(bag: &Bag, key: &str) -> Vec<String> {
    let mut all: Vec<_> = bag.sent(key).iter().map(|s| s.uri.split_once("Qualifier=").map_or("", |q| q.1).to_string()).collect();
    all.sort();
    all
}

#[tokio::test]
async fn code_that_versions_share_is_downloaded_and_stored_once() {
    let bag = run(&["function-code", "version-code"], World::default()).await;
    assert_eq!(bag.gaps(), []);
    assert_eq!(bag.sent("https.DownloadCode").len(), 2, "$LATEST and version 2; version 1 is what $LATEST is");
    let (latest, one, two) = (bag.item("code of $LATEST"), bag.item("code of version 1"), bag.item("code of version 2"));
    assert_eq!(one.files, latest.files);
    assert_eq!((&one.derived_from[..], one.exchanges.len()), (&[latest.id][..], 0));
    assert!(one.detail.as_deref().unwrap().contains("the same CodeSha256 as code of $LATEST"), "{one:?}");
    assert_eq!(two.files.iter().map(|f| f.path.as_str()).collect::<Vec<_>>(), ["data/10-code/v2.zip"]);
    for item in [latest, one, two] {
        let digest = item.provider_digest.as_ref().unwrap();
        assert!(digest.matches && digest.value == Sha256::of(&bag.file(item, 0)).to_base64(), "{item:?}");
    }
}

#[tokio::test]
async fn bytes_that_are_not_what_aws_says_stand_in_for_nobody() {
    let world = World::default().when("https.DownloadCode", |s| !s.says("version-2"), [Answer::new(200, "application/zip", "others")]);
    let bag = run(&["function-code", "version-code"], world).await;
    assert_eq!(bag.sent("https.DownloadCode").len(), 3, "version 1 does not trust what $LATEST got");
    for subject in ["code of $LATEST", "code of version 1"] {
        let item = bag.item(subject);
        assert!(!item.provider_digest.as_ref().unwrap().matches && item.exchanges.len() == 1, "{item:?}");
    }
    assert!(bag.item("code of version 2").provider_digest.as_ref().unwrap().matches);
}

#[tokio::test]
async fn a_download_that_failed_is_tried_by_the_next_version() {
    let bag = run(&["function-code", "version-code"], {
        let refused = Answer::new(500, "text/plain", "no");
        World::default().when(
            "https.DownloadCode",
            |s| !s.says("version-2"),
            [refused.clone(), refused.clone(), refused, World::healthy("https.DownloadCode")],
        )
    })
    .await;
    assert_eq!(bag.gaps(), [("function-code", GapKind::Transport, "code of $LATEST")]);
    assert_eq!(bag.item("code of version 1").exchanges.len(), 1);
}

#[tokio::test]
async fn a_version_s_expired_address_is_renewed_for_that_version() {
    let refused = Answer::new(403, "application/xml", "<Error><Code>AccessDenied</Code></Error>");
    let world =
        World::default().when("https.DownloadCode", |s| s.says("version-2"), [refused, World::healthy("https.DownloadCode@version-2")]);
    let bag = run(&["version-code"], world).await;
    assert_eq!(bag.gaps(), []);
    assert_eq!(qualifiers(&bag, "Lambda.GetFunction"), ["1", "2", "2"]);
    let item = bag.item("code of version 2");
    assert!(item.provider_digest.as_ref().unwrap().matches && item.exchanges.len() == 2, "{item:?}");
}

#[tokio::test]
async fn what_cannot_be_read_of_a_version_is_that_version_s_gap() {
    let world = World::default().when("Lambda.GetFunction", |s| s.says("Qualifier=2"), denied("Lambda.GetFunction"));
    let bag = run(&["qualified-configuration", "version-code", "code-object"], world).await;
    let mut gaps = bag.gaps();
    gaps.sort();
    assert_eq!(
        gaps,
        [
            ("code-object", GapKind::Denied, "bucket object of the code of version 2"),
            ("qualified-configuration", GapKind::Denied, "configuration of version 2"),
            ("version-code", GapKind::Denied, "code of version 2"),
        ]
    );
    assert!(bag.items.iter().filter(|i| i.status.gap().is_some()).all(|i| i.action.as_deref() == Some("lambda:GetFunction")));
    assert_eq!(bag.item("configuration of alias live").status, ItemStatus::Collected);
    assert_eq!(bag.item("code of version 1").status, ItemStatus::Collected);
}

#[tokio::test]
async fn a_version_that_went_between_list_and_question_is_no_gap() {
    let gone = [Answer::error("Lambda.GetFunction", 404, "ResourceNotFoundException")];
    let bag = run(&["version-code"], World::default().when("Lambda.GetFunction", |s| s.says("Qualifier=2"), gone)).await;
    assert_eq!(bag.gaps(), []);
    assert_eq!(bag.item("code of version 2").status, ItemStatus::NotApplicable);
    assert_eq!(bag.item("configuration of version 2").status, ItemStatus::NotFound);
}

#[tokio::test]
async fn lists_that_cannot_be_read_leave_a_gap_in_every_question_that_needs_them() {
    let world = World::default()
        .on("Lambda.ListVersionsByFunction", denied("Lambda.ListVersionsByFunction"))
        .on("Lambda.ListAliases", denied("Lambda.ListAliases"));
    let all = [
        "qualified-configuration",
        "version-code",
        "layers",
        "code-object",
        "code-signing",
        "runtime-management",
        "capacity",
        "resource-policy-document",
    ];
    let bag = run(&all, world).await;
    for id in all {
        let of_versions =
            |i: &&freezeframe::model::item::Item| i.action.as_deref() == Some("lambda:ListVersionsByFunction") && i.collector == id;
        assert_eq!(bag.items.iter().filter(of_versions).count(), 1, "{id}");
    }
}

/// The world with `$LATEST` on managed instances.
fn managed() -> World {
    let mut list = healthy_json("Lambda.ListVersionsByFunction");
    list["Versions"][0]["CapacityProviderConfig"] = list["Versions"][2]["CapacityProviderConfig"].clone();
    World::default().on("Lambda.ListVersionsByFunction", [Answer::json(&list)])
}

fn of_the_published(sent: &Sent) -> bool {
    sent.says("%24LATEST.PUBLISHED")
}

/// Published with them, and then `$LATEST` was cleaned.
#[tokio::test]
async fn what_only_the_published_latest_names_is_followed() {
    let mut published = healthy_json("Lambda.GetFunction");
    let job = |id: &str| format!("arn:aws:signer:eu-west-1:123456789012:/signing-jobs/{id}");
    let layer =
        json!({"Arn": "arn:aws:lambda:eu-west-1:123456789012:layer:shadow:1", "CodeSize": 131, "SigningJobArn": job("of-the-layer")});
    let configuration = &mut published["Configuration"];
    configuration["Layers"] = json!([layer]);
    configuration["SigningJobArn"] = json!(job("of-the-published"));
    configuration["DeadLetterConfig"]["TargetArn"] = json!("arn:aws:sqs:eu-west-1:123456789012:published-dead");
    let mount = "arn:aws:elasticfilesystem:eu-west-1:123456789012:access-point/fsap-0published";
    configuration["FileSystemConfigs"] = json!([{"Arn": mount, "LocalMountPath": "/mnt/x"}]);
    let units = ["layers", "file-systems", "code-signing", "delivery-targets", "event-source-mappings"];
    let bag = run(&units, managed().when("Lambda.GetFunction", of_the_published, [Answer::json(&published)])).await;
    assert_eq!(bag.gaps(), []);
    assert_eq!(bag.item("code of layer arn:aws:lambda:eu-west-1:123456789012:layer:shadow:1").status, ItemStatus::Collected);
    assert_eq!(bag.item("EFS access point fsap-0published").status, ItemStatus::Collected);
    assert_eq!(bag.item("signing job of-the-published of version $LATEST.PUBLISHED").status, ItemStatus::Collected);
    assert_eq!(bag.item("signing job of-the-layer of layer").status, ItemStatus::Collected);
    assert_eq!(bag.item("policy and attributes of queue arn:aws:sqs:eu-west-1:123456789012:published-dead").status, ItemStatus::Collected);
    assert_eq!(bag.item("event source mappings of version $LATEST.PUBLISHED").status, ItemStatus::Collected);
    assert_eq!(qualifiers(&bag, "Lambda.GetFunction"), ["", "%24LATEST.PUBLISHED"], "asked once, and of nothing else");

    // Where nothing has been published there is nothing to follow; where it may not be read, that is a gap with each question.
    let gone = [Answer::error("Lambda.GetFunction", 404, "ResourceNotFoundException")];
    let bag = run(&units, managed().when("Lambda.GetFunction", of_the_published, gone)).await;
    assert_eq!(bag.gaps(), []);
    let bag = run(&units, managed().when("Lambda.GetFunction", of_the_published, denied("Lambda.GetFunction"))).await;
    let mut open: Vec<_> = bag.gaps().into_iter().map(|(_, _, subject)| subject).collect();
    open.sort_unstable();
    assert_eq!(
        open,
        [
            "configuration of version $LATEST.PUBLISHED",
            "dead-letter queue of version $LATEST.PUBLISHED",
            "file systems of version $LATEST.PUBLISHED",
            "layers of version $LATEST.PUBLISHED",
            "which job signed the code of version $LATEST.PUBLISHED",
        ]
    );
}

#[tokio::test]
async fn what_is_published_of_latest_on_managed_instances_is_a_version_too() {
    let bag = run(&["qualified-configuration", "runtime-management"], managed()).await;
    assert_eq!(qualifiers(&bag, "Lambda.GetFunction"), ["%24LATEST.PUBLISHED", "1", "2", "live"]);
    assert_eq!(qualifiers(&bag, "Lambda.GetRuntimeManagementConfig"), ["", "%24LATEST.PUBLISHED", "1", "2"]);
}

#[tokio::test]
async fn an_operation_that_the_endpoint_does_not_know_is_no_absence() {
    // MiniStack's words for a path without a route.
    let body = r#"{"message": "Function not found: /2021-07-20/functions/payments-export/runtime-management-config"}"#;
    let unknown = Answer::new(404, "application/json", body).header("x-amzn-errortype", "ResourceNotFoundException");
    let bag = run(&["runtime-management"], World::default().on("Lambda.GetRuntimeManagementConfig", [unknown])).await;
    assert_eq!(bag.of("runtime-management").iter().filter(|i| is_gap(i, GapKind::Unsupported)).count(), 3);
}

// ── one question each ──

#[tokio::test]
async fn policy_documents_are_asked_of_the_function_latest_every_alias_and_every_version() {
    let bag = run(&["resource-policy-document"], World::default()).await;
    let arn = format!("arn%3Aaws%3Alambda%3A{}%3A123456789012%3Afunction%3Apayments-export", bag.region);
    let mut whole: Vec<_> = bag.sent("Lambda.GetResourcePolicy").iter().map(|s| s.uri.rsplit('/').next().unwrap().to_string()).collect();
    whole.sort();
    assert_eq!(whole, [arn.clone(), format!("{arn}%3A%24LATEST"), format!("{arn}%3A1"), format!("{arn}%3A2"), format!("{arn}%3Alive")]);
}

#[tokio::test]
async fn runtime_management_is_asked_of_latest_and_of_every_version() {
    let bag = run(&["runtime-management"], World::default()).await;
    assert_eq!(qualifiers(&bag, "Lambda.GetRuntimeManagementConfig"), ["", "1", "2"]);
}

#[tokio::test]
async fn a_layer_is_kept_with_its_policy_and_its_siblings() {
    let bag = run(&["layers"], World::default()).await;
    assert_eq!(bag.gaps(), []);
    let item = bag.item("code of layer arn:aws:lambda:eu-west-1:123456789012:layer:shared-tools:3");
    assert!(item.provider_digest.as_ref().unwrap().matches, "{item:?}");
    assert!(item.files[0].path.as_str().starts_with("data/10-code/n-layer-layer-shared-tools-3-"), "{item:?}");
    assert!(
        bag.sent("Lambda.GetLayerVersionPolicy")[0]
            .uri
            .ends_with("/layers/arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Alayer%3Ashared-tools/versions/3/policy")
    );
    assert_eq!(bag.item("versions of layer").status, ItemStatus::Collected);
}

#[tokio::test]
async fn a_layer_of_another_account_that_is_refused_is_a_gap_with_its_arn_size_and_what_names_it() {
    let mut list = healthy_json("Lambda.ListVersionsByFunction");
    let foreign = "arn:aws:lambda:eu-west-1:999999999999:layer:theirs:12";
    let job = "arn:aws:signer:eu-west-1:999999999999:/signing-jobs/0f1e";
    list["Versions"][1]["Layers"] = json!([{"Arn": foreign, "CodeSize": 4711, "SigningJobArn": job}]);
    let world = World::default().on("Lambda.ListVersionsByFunction", [Answer::json(&list)]).when(
        "Lambda.GetLayerVersionByArn",
        |s| s.says("999999999999"),
        denied("Lambda.GetLayerVersionByArn"),
    );
    let bag = run(&["layers"], world).await;
    let [(_, GapKind::Denied, subject)] = bag.gaps()[..] else { panic!("{:?}", bag.gaps()) };
    assert_eq!(subject, format!("layer {foreign} (4711 bytes by the configuration, which states no hash, signed by {job})"));
    assert_eq!(bag.item("layer arn:aws:lambda:eu-west-1:999999999999:layer:theirs:12 (").action.as_deref(), Some("lambda:GetLayerVersion"));
    assert_eq!(bag.item(&format!("policy of layer {foreign}")).status, ItemStatus::NotApplicable);
    assert_eq!(bag.sent("Lambda.GetLayerVersionPolicy").len(), 1, "only that account's to read");

    // Described, and not handed out: then its hash is known.
    let mut about = healthy_json("Lambda.GetLayerVersionByArn");
    let hash = about["Content"]["CodeSha256"].as_str().unwrap().to_string();
    about["Content"]["Location"] = Value::Null;
    let bag = run(&["layers"], World::default().on("Lambda.GetLayerVersionByArn", [Answer::json(&about)])).await;
    let gap = bag.item("code of layer");
    assert!(
        is_gap(gap, GapKind::Unsupported) && gap.detail.as_deref().unwrap().contains(&format!("bytes with CodeSha256 {hash}")),
        "{gap:?}"
    );
    let refused = Answer::error("https.DownloadCode", 403, "AccessDenied");
    let bag = run(&["layers"], World::default().on("https.DownloadCode", [refused])).await;
    let gap = bag.item("code of layer");
    assert!(gap.status.gap().is_some() && gap.detail.as_deref().unwrap().contains(&format!("bytes with CodeSha256 {hash}")), "{gap:?}");
}

#[tokio::test]
async fn a_layer_that_was_deleted_still_runs_and_is_a_gap() {
    let key = "Lambda.GetLayerVersionByArn";
    let bag = run(&["layers"], World::default().on(key, [Answer::error(key, 404, "ResourceNotFoundException")])).await;
    assert_eq!(bag.item("bytes by the configuration").status, ItemStatus::NotFound, "the 404 is on record");
    let gap = bag.item("code of layer");
    assert!(is_gap(gap, GapKind::NotAcquirable), "{gap:?}");
    let why = gap.detail.as_deref().unwrap();
    assert!(why.contains("was deleted") && why.contains("bytes by the configuration"), "{why}");
}

#[tokio::test]
async fn what_names_itself_a_layer_and_is_none_breaks_nothing() {
    let mut list = healthy_json("Lambda.ListVersionsByFunction");
    list["Versions"][2]["Layers"] = json!([{"Arn": "../../../../etc/passwd\u{1b}[31m", "CodeSize": -1}, {"Arn": "arn:aws:lambda:r:123456789012:layer:x:99999999999999999999", "CodeSize": 1}]);
    let bag = run(&["layers"], World::default().on("Lambda.ListVersionsByFunction", [Answer::json(&list)])).await;
    assert_eq!(bag.items.iter().filter(|i| is_gap(i, GapKind::Unsupported) && i.subject.starts_with("policy of layer")).count(), 2);
    assert!(bag.items.iter().all(|i| !i.subject.contains('\u{1b}') && i.files.iter().all(|f| f.path.as_str().starts_with("data/"))));
}

#[tokio::test]
async fn no_layer_no_bucket_no_signer_no_instances_are_answers() {
    let mut list = healthy_json("Lambda.ListVersionsByFunction");
    for member in ["Layers", "CapacityProviderConfig"] {
        list["Versions"][2].as_object_mut().unwrap().remove(member);
    }
    let world = World::default()
        .on("Lambda.ListVersionsByFunction", [Answer::json(&list)])
        .on("Lambda.GetFunction", [World::healthy("Lambda.GetFunction")])
        .on("Lambda.GetFunctionCodeSigningConfig", [Answer::json(&json!({}))]);
    let bag = run(&["layers", "code-object", "code-signing", "capacity"], world).await;
    assert_eq!(bag.gaps(), []);
    for subject in ["layers", "bucket object of the code", "signing jobs", "managed instances"] {
        assert!(bag.items.iter().any(|i| i.subject == subject && i.status == ItemStatus::NotApplicable), "{subject}");
    }
    assert_eq!(bag.items.iter().find(|i| i.subject == "code signing configuration").unwrap().status, ItemStatus::NotApplicable);
}

#[tokio::test]
async fn code_in_a_bucket_is_streamed_by_its_very_version() {
    let bag = run(&["code-object"], World::default()).await;
    assert_eq!(bag.gaps(), []);
    let item = bag.item("code of version 2 in s3://payments-deployments/builds/export 2.zip version obj-version-2");
    assert!(item.provider_digest.as_ref().unwrap().matches, "{item:?}");
    assert!(item.files[0].path.as_str().starts_with("data/10-code/n-object-s3"), "{item:?}");
    let sent = &bag.sent("S3.GetObject")[0];
    assert!(
        sent.says("/builds/export%202.zip") && sent.says("versionId=obj-version-2") && sent.host.starts_with("payments-deployments.s3."),
        "{sent:?}"
    );
    assert!(bag.sent("S3.GetObjectAttributes")[0].says("versionId=obj-version-2"));
    assert!(bag.sent("S3.ListObjectVersions")[0].says("prefix=builds%2Fexport%202.zip"));
}

#[tokio::test]
async fn code_in_a_bucket_that_was_replaced_or_deleted_is_said() {
    let bag = run(&["code-object"], World::default().on("S3.GetObject", [Answer::new(200, "application/zip", "replaced")])).await;
    assert!(!bag.item("code of version 2 in s3").provider_digest.as_ref().unwrap().matches);
    let gone = Answer::error("S3.GetObject", 404, "NoSuchVersion");
    let bag = run(&["code-object"], World::default().on("S3.GetObject", [gone])).await;
    assert_eq!(bag.item("code of version 2 in s3").status, ItemStatus::NotFound);
}

#[tokio::test]
async fn a_bucket_object_breaking_off_is_tried_again_and_bounded() {
    let healthy = World::healthy("S3.GetObject");
    let bag = run(&["code-object"], World::default().on("S3.GetObject", [healthy.clone().cut(), healthy])).await;
    let item = bag.item("code of version 2 in s3");
    assert_eq!((item.status, item.exchanges.len()), (ItemStatus::Collected, 2));
    let bag = super::run_with(&["code-object"], World::default(), r#"{"max-bytes": "100"}"#).await;
    let item = bag.item("code of version 2 in s3");
    assert!(is_gap(item, GapKind::TooLarge), "{item:?}");
    assert_eq!(item.exchanges.len(), 1, "what is too large is not asked for again");
}

#[tokio::test]
async fn what_is_signed_names_its_job_once() {
    let mut list = healthy_json("Lambda.ListVersionsByFunction");
    let job = list["Versions"][2]["Layers"][0]["SigningJobArn"].clone();
    list["Versions"][1]["SigningJobArn"] = job;
    let bag = run(&["code-signing"], World::default().on("Lambda.ListVersionsByFunction", [Answer::json(&list)])).await;
    assert_eq!(bag.gaps(), []);
    let [sent] = &bag.sent("signer.DescribeSigningJob")[..] else { panic!() };
    assert_eq!(sent.uri, "/signing-jobs/11111111-2222-3333-4444-555555555555");
    let item = bag.item("signing job 11111111");
    assert!(item.subject.ends_with("of layer arn:aws:lambda:eu-west-1:123456789012:layer:shared-tools:3, version 1"), "{}", item.subject);
    assert_eq!(bag.item("code signing configuration arn:").status, ItemStatus::Collected);
}

#[tokio::test]
async fn scaling_is_asked_of_what_runs_on_managed_instances() {
    let mut function = healthy_json("Lambda.GetFunction");
    function["Configuration"]["CapacityProviderConfig"] =
        healthy_json("Lambda.ListVersionsByFunction")["Versions"][2]["CapacityProviderConfig"].clone();
    let bag = run(&["capacity"], World::default().on("Lambda.GetFunction", [Answer::json(&function)])).await;
    assert_eq!(bag.gaps(), []);
    assert_eq!(qualifiers(&bag, "Lambda.GetFunctionScalingConfig"), ["%24LATEST.PUBLISHED", "2"]);
    assert_eq!(bag.sent("Lambda.GetCapacityProvider").len(), 1, "one provider, named twice");
}

// ── container images ──

const MANIFEST: &str = "8ebca3cff2f791346cff89adffb3ac857b7cc5eba1f53e9f9cc06d935bcd1d80";

#[tokio::test]
async fn an_image_becomes_a_layout_of_blobs_by_digest() {
    let bag = run(&["container-image"], World::default()).await;
    assert_eq!(bag.gaps(), []);
    let root = bag.draft.dir().join("data/10-code/image");
    let read = |name: &str| -> Value { serde_json::from_slice(&std::fs::read(root.join(name)).unwrap()).unwrap() };
    assert_eq!(read("oci-layout"), json!({"imageLayoutVersion": "1.0.0"}));
    let index = read("index.json");
    assert_eq!(index["manifests"][0]["digest"], format!("sha256:{MANIFEST}"));
    // Whoever reads the layout follows digests and sizes, and each file is what its name says.
    let blob = |digest: &Value, size: &Value| {
        let hex = digest.as_str().unwrap().strip_prefix("sha256:").unwrap().to_string();
        let bytes = std::fs::read(root.join("blobs/sha256").join(&hex)).unwrap();
        assert_eq!((Sha256::of(&bytes).to_string(), json!(bytes.len())), (hex, size.clone()));
        bytes
    };
    let of_index = &index["manifests"][0];
    let manifest: Value = serde_json::from_slice(&blob(&of_index["digest"], &of_index["size"])).unwrap();
    for part in [&manifest["config"], &manifest["layers"][0]] {
        blob(&part["digest"], &part["size"]);
    }
    assert_eq!(std::fs::read_dir(root.join("blobs/sha256")).unwrap().count(), 3);
    let stated = bag.items.iter().filter(|i| i.provider_digest.is_some()).map(|i| i.provider_digest.as_ref().unwrap().matches);
    assert_eq!(stated.collect::<Vec<_>>(), [true; 3]);
    let [sent] = &bag.sent("ECR.BatchGetImage")[..] else { panic!() };
    let body: Value = serde_json::from_str(&sent.body).unwrap();
    assert_eq!((&body["registryId"], &body["repositoryName"]), (&json!("123456789012"), &json!("team/app")));
    assert_eq!(body["imageIds"], json!([{"imageDigest": format!("sha256:{MANIFEST}")}]));
}

#[tokio::test]
async fn an_image_that_is_gone_from_ecr_is_a_gap_that_cannot_be_closed() {
    let gone = Answer::json(&json!({"images": [], "failures": [{"imageId": {}, "failureCode": "ImageNotFound", "failureReason": "x"}]}));
    let bag = run(&["container-image"], World::default().on("ECR.BatchGetImage", [gone])).await;
    let [(_, GapKind::NotAcquirable, subject)] = bag.gaps()[..] else { panic!("{:?}", bag.gaps()) };
    assert!(bag.item(subject).detail.as_deref().unwrap().contains("ECR says: ImageNotFound"));
    assert!(bag.sent("ECR.GetDownloadUrlForLayer").is_empty());
}

#[tokio::test]
async fn a_manifest_or_a_layer_that_is_not_its_digest_is_recorded_not_refused() {
    let mut answer = healthy_json("ECR.BatchGetImage");
    let text = answer["images"][0]["imageManifest"].as_str().unwrap().replace("\"size\"", "\"size\" ");
    answer["images"][0]["imageManifest"] = json!(text);
    let world = World::default()
        .on("ECR.BatchGetImage", [Answer::json(&answer)])
        .on("https.DownloadCode", [Answer::new(200, "application/octet-stream", "others")]);
    let bag = run(&["container-image"], world).await;
    assert_eq!(bag.gaps(), []);
    let stated = bag.items.iter().filter_map(|i| Some(i.provider_digest.as_ref()?.matches));
    assert_eq!(stated.collect::<Vec<_>>(), [false; 3]);
}

#[tokio::test]
async fn an_image_whose_address_did_not_resolve_is_a_gap_and_no_absence() {
    let mut function = healthy_json("Lambda.GetFunction");
    function["Configuration"]["PackageType"] = json!("Image");
    function["Code"] = json!({"RepositoryType": "ECR", "ImageUri": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app:latest"});
    let unresolved = || [Answer::json(&function)];
    let bag = run(&["container-image"], World::default().on("Lambda.GetFunction", unresolved())).await;
    let mut gaps = bag.gaps();
    gaps.sort();
    let whose = ["container image of $LATEST", "container image of version 1", "container image of version 2"];
    assert_eq!(gaps, whose.map(|subject| ("container-image", GapKind::Unsupported, subject)));
    assert_eq!(bag.of("container-image").len(), 3, "nowhere is it said that there is none");
    // One that did not resolve leaves the others as they are.
    let bag = run(&["container-image"], World::default().when("Lambda.GetFunction", |s| !s.says("Qualifier"), unresolved())).await;
    assert_eq!(bag.gaps(), [("container-image", GapKind::Unsupported, "container image of $LATEST")]);
    assert_eq!(bag.sent("ECR.BatchGetImage").len(), 1);
}

#[tokio::test]
async fn an_image_elsewhere_is_not_asked_for() {
    let mut function = healthy_json("Lambda.GetFunction");
    function["Configuration"]["PackageType"] = json!("Image");
    for uri in [
        format!("123456789012.dkr.ecr.evil.example/x.amazonaws.com/app@sha256:{MANIFEST}"),
        format!("registry.example/app@sha256:{MANIFEST}"),
    ] {
        function["Code"]["ResolvedImageUri"] = json!(uri);
        let world = World::default().on("Lambda.GetFunction", [Answer::json(&function)]);
        let bag = run(&["function-code", "container-image"], world).await;
        assert_eq!(bag.item("code of $LATEST").status, ItemStatus::NotApplicable, "another collector's");
        assert!(
            bag.gaps().iter().any(|(_, kind, subject)| *kind == GapKind::Unsupported && subject.contains("container image of $LATEST")),
            "{uri}"
        );
        assert!(bag.sent("ECR.BatchGetImage").is_empty());
    }
}
