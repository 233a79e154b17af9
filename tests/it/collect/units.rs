//! What is particular to one collector.

use super::{Bag, is_gap, run, run_with};
use crate::support::wire::{Answer, Sent, World};
use freezeframe::collect;
use freezeframe::model::call::Service;
use freezeframe::model::digest::Sha256;
use freezeframe::model::gap::GapKind;
use freezeframe::model::item::ItemStatus;
use serde_json::{Value, json};

pub(super) fn healthy_json(key: &str) -> Value {
    serde_json::from_str(&World::healthy(key).text()).unwrap()
}

/// `GetFunction` with one change.
fn function(change: impl FnOnce(&mut Value)) -> Answer {
    let mut body = healthy_json("Lambda.GetFunction");
    change(&mut body);
    Answer::json(&body)
}

fn subjects(bag: &Bag, collector: &str) -> Vec<String> {
    let mut all: Vec<_> = bag.of(collector).iter().map(|i| i.subject.clone()).collect();
    all.sort();
    all
}

// ── function-code ──

#[tokio::test]
async fn code_is_kept_under_its_name_and_held_against_what_aws_says() {
    let bag = run(&["function-code"], World::default()).await;
    let item = bag.item("code of $LATEST");
    assert_eq!(item.files.iter().map(|f| f.path.as_str()).collect::<Vec<_>>(), ["data/10-code/v-LATEST.zip"]);
    let digest = item.provider_digest.as_ref().unwrap();
    assert!(digest.matches && digest.name == "CodeSha256");
    assert_eq!(digest.value, Sha256::of(&bag.file(item, 0)).to_base64());
    assert_eq!(item.detail, None);
    let [download] = bag.exchanges(item).try_into().unwrap();
    assert!(
        !download.uri.contains("presigned") && download.uri_sha256.is_some(),
        "the signature is no part of the record: {}",
        download.uri
    );
    assert!(bag.sent("https.DownloadCode")[0].uri.contains("presigned-signature"), "but it was sent");
}

#[tokio::test]
async fn code_that_differs_from_what_aws_says_is_recorded_not_refused() {
    let world = World::default().on("https.DownloadCode", [Answer::new(200, "application/zip", "not what CodeSha256 says")]);
    let bag = run(&["function-code"], world).await;
    let item = bag.item("code of $LATEST");
    assert_eq!(item.status, ItemStatus::Collected);
    assert!(!item.provider_digest.as_ref().unwrap().matches);
    assert_eq!(item.detail.as_deref(), Some("CodeSize says 163 bytes, 24 came"));
    assert_eq!(bag.file(item, 0), b"not what CodeSha256 says");
}

#[tokio::test]
async fn an_expired_address_is_renewed_once() {
    let refused = Answer::new(403, "application/xml", "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>");
    for (later, said) in [
        ("rev-latest", "RevisionId had not changed"),
        ("rev-of-the-attacker", "RevisionId had changed from rev-latest to rev-of-the-attacker"),
    ] {
        let fresh = function(|f| {
            f["Code"]["Location"] = json!("https://code.example/fresh?X-Amz-Signature=second");
            f["Configuration"]["RevisionId"] = json!(later);
        });
        let world = World::default().on("Lambda.GetFunction", [World::healthy("Lambda.GetFunction"), fresh]).when(
            "https.DownloadCode",
            |s| s.says("/snapshots/"),
            [refused.clone()],
        );
        let bag = run(&["function-code"], world).await;
        assert_eq!(bag.gaps(), []);
        let item = bag.item("code of $LATEST");
        assert!(item.detail.as_deref().unwrap().contains(said), "{item:?}");
        assert_eq!(bag.exchanges(item).iter().map(|x| x.status.unwrap()).collect::<Vec<_>>(), [403, 200]);
        assert_eq!(item.files.len(), 1);
        assert!(item.provider_digest.as_ref().unwrap().matches);
        assert_eq!(bag.sent("Lambda.GetFunction").len(), 2);
    }
    // Refused again: one gap, no third asking.
    let bag = run(&["function-code"], World::default().on("https.DownloadCode", [refused])).await;
    assert!(is_gap(bag.item("code of $LATEST"), GapKind::Expired));
    assert_eq!((bag.sent("Lambda.GetFunction").len(), bag.sent("https.DownloadCode").len()), (2, 2));
}

/// The second asking for an address, which is the one call that `conformance.rs` cannot reach: in every situation of its table.
#[tokio::test]
async fn a_second_asking_is_a_question_like_any_other() {
    const K: &str = "Lambda.GetFunction";
    let throttled = || Answer::error(K, 429, "TooManyRequestsException");
    let situations: [(Vec<Answer>, ItemStatus, usize); 7] = [
        (vec![], ItemStatus::Collected, 1),
        (vec![Answer::error(K, 404, "ResourceNotFoundException")], ItemStatus::NotFound, 1),
        (vec![Answer::error(K, 403, "AccessDeniedException")], ItemStatus::Gap(GapKind::Denied), 1),
        (vec![throttled(), World::healthy(K)], ItemStatus::Collected, 2),
        (vec![throttled()], ItemStatus::Gap(GapKind::Throttled), 5),
        (vec![World::healthy(K).cut()], ItemStatus::Gap(GapKind::Truncated), 5),
        (vec![Answer::Broken], ItemStatus::Gap(GapKind::Transport), 5),
    ];
    for (collector, qualifier, healthy) in [("function-code", "", K), ("version-code", "Qualifier=2", "Lambda.GetFunction@Qualifier=2")] {
        for (then, status, attempts) in &situations {
            let asks = move |sent: &Sent| sent.uri.ends_with(qualifier) && (sent.uri.contains('?') != qualifier.is_empty());
            let answers = [World::healthy(healthy)].into_iter().chain(then.iter().cloned());
            let world = World::default()
                .when(K, asks, answers)
                .on("https.DownloadCode", [Answer::error("https.DownloadCode", 403, "AccessDenied")]);
            let bag = run(&[collector], world).await;
            let items: Vec<_> = bag.of(collector).into_iter().filter(|i| i.subject.contains("asked again for a fresh address")).collect();
            let item = items.iter().find(|i| qualifier.is_empty() || i.subject.contains("version 2")).unwrap();
            assert_eq!((item.status, item.exchanges.len()), (*status, *attempts), "{collector}: {item:?}");
        }
    }
}

#[tokio::test]
async fn a_presigned_address_that_gives_nothing_is_a_gap() {
    let downloading: Vec<&str> = collect::COLLECTORS
        .iter()
        .map(|c| c.spec())
        .filter(|s| s.calls.iter().any(|c| c.service == Service::Https))
        .map(|s| s.id)
        .collect();
    assert!(downloading.len() >= 4, "{downloading:?}");
    for (answer, kind) in [
        (Answer::error("https.DownloadCode", 404, "NoSuchKey"), GapKind::Transport),
        // Expired, and so is the one that was asked for in its place.
        (Answer::error("https.DownloadCode", 403, "AccessDenied"), GapKind::Expired),
        (Answer::Broken, GapKind::Transport),
    ] {
        for collector in &downloading {
            let bag = run(&[collector], World::default().on("https.DownloadCode", [answer.clone()])).await;
            let tried: Vec<_> = bag.of(collector).into_iter().filter(|i| bag.exchanges(i).iter().any(|x| x.service == "https")).collect();
            assert!(!tried.is_empty(), "{collector}");
            for item in tried {
                assert!(is_gap(item, kind), "{collector}: {item:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_download_that_breaks_off_is_tried_again() {
    let healthy = World::healthy("https.DownloadCode");
    let bag = run(&["function-code"], World::default().on("https.DownloadCode", [healthy.clone().cut(), healthy])).await;
    let item = bag.item("code of $LATEST");
    assert_eq!((item.status, item.exchanges.len()), (ItemStatus::Collected, 2));
    assert_eq!(item.files[0].path.as_str(), "data/10-code/v-LATEST.zip");
    assert!(bag.exchanges(item)[0].body.is_some(), "the part that came is in the bag too");
}

#[tokio::test]
async fn what_cannot_be_downloaded_is_a_gap_in_plain_words() {
    let image = function(|f| f["Configuration"]["PackageType"] = json!("Image"));
    let addressless = function(|f| f["Code"]["Location"] = Value::Null);
    let elsewhere = function(|f| f["Code"]["Location"] = json!("file:///etc/passwd"));
    for (answer, kind, words) in [
        (image, GapKind::Unsupported, "container image"),
        (addressless, GapKind::Unsupported, "without an address"),
        (elsewhere, GapKind::Internal, "no http(s) address"),
    ] {
        let bag = run(&["function-code"], World::default().on("Lambda.GetFunction", [answer])).await;
        let item = bag.item("code of $LATEST");
        assert!(is_gap(item, kind) && item.detail.as_deref().unwrap().contains(words), "{item:?}");
        assert!(bag.sent("https.DownloadCode").is_empty());
    }
    let bag = run_with(&["function-code"], World::default(), r#"{"max-bytes": "100"}"#).await;
    let item = bag.item("code of $LATEST");
    assert!(is_gap(item, GapKind::TooLarge), "{item:?}");
    assert!(item.files.iter().all(|f| f.bytes <= 100));
}

#[tokio::test]
async fn a_failed_look_up_is_remembered_and_each_dependent_says_so() {
    let world = World::default()
        .on("Lambda.GetFunction", [Answer::error("Lambda.GetFunction", 403, "AccessDeniedException")])
        .on("CloudWatch-Logs.DescribeLogGroups", [World::healthy("CloudWatch-Logs.DescribeLogGroups")]);
    let bag = run(&["function-code", "configuration", "execution-role", "recent-invocations", "control-plane-history"], world).await;
    assert_eq!(bag.sent("Lambda.GetFunction").len(), 1);
    let mut gaps = bag.gaps();
    gaps.sort();
    assert_eq!(
        gaps,
        [
            ("configuration", GapKind::Denied, "configuration and code location of $LATEST"),
            ("control-plane-history", GapKind::Denied, "CloudTrail events about the execution role"),
            ("execution-role", GapKind::Denied, "execution role"),
            ("function-code", GapKind::Denied, "code of $LATEST"),
            ("recent-invocations", GapKind::Denied, "which log group the function writes to (the default group was read)"),
        ]
    );
    assert!(bag.items.iter().filter(|i| i.status.gap().is_some()).all(|i| i.action.as_deref() == Some("lambda:GetFunction")));
    assert!(bag.sent("CloudWatch-Logs.FilterLogEvents")[0].says("/aws/lambda/payments-export"));
    assert_eq!(bag.sent("CloudTrail.LookupEvents").len(), 2);
}

#[tokio::test]
async fn a_function_that_is_gone_leaves_its_logs_and_its_history() {
    let world = World::default()
        .on("Lambda.GetFunction", [Answer::error("Lambda.GetFunction", 404, "ResourceNotFoundException")])
        .on("CloudWatch-Logs.DescribeLogGroups", [World::healthy("CloudWatch-Logs.DescribeLogGroups")]);
    let bag = run(&["function-code", "execution-role", "recent-invocations", "control-plane-history"], world).await;
    assert_eq!(bag.gaps(), []);
    assert_eq!(bag.item("configuration and code location").status, ItemStatus::NotFound);
    assert_eq!(bag.item("code of $LATEST").status, ItemStatus::NotApplicable);
    assert_eq!(bag.item("log events of /aws/lambda/payments-export").status, ItemStatus::Collected);
}

// ── resource-policy, event-source-mappings ──

#[tokio::test]
async fn policies_are_read_of_the_function_every_alias_and_every_version() {
    let bag = run(&["resource-policy"], World::default()).await;
    let asked: Vec<_> = subjects(&bag, "resource-policy").into_iter().filter(|s| s.starts_with("resource policy of")).collect();
    assert_eq!(
        asked,
        [
            "resource policy of alias live",
            "resource policy of the function",
            "resource policy of version 1",
            "resource policy of version 2"
        ]
    );
    let mut qualifiers: Vec<_> =
        bag.sent("Lambda.GetPolicy").iter().map(|s| s.uri.split_once("Qualifier=").map_or("", |q| q.1).to_string()).collect();
    qualifiers.sort();
    assert_eq!(qualifiers, ["", "1", "2", "live"]);
}

#[tokio::test]
async fn a_list_that_is_not_whole_leaves_a_gap_for_the_rest() {
    let mut first = healthy_json("Lambda.ListAliases");
    first["NextMarker"] = json!("page-two");
    for (collector, what) in [("resource-policy", "resource policies"), ("event-source-mappings", "event source mappings")] {
        let world = World::default()
            .on("Lambda.ListAliases", [Answer::json(&first)])
            .when("Lambda.ListAliases", |s| s.says("page-two"), [Answer::error("Lambda.ListAliases", 403, "AccessDeniedException")])
            .on("Lambda.ListVersionsByFunction", [Answer::error("Lambda.ListVersionsByFunction", 403, "AccessDeniedException")]);
        let bag = run(&[collector], world).await;
        let gap = bag.item(&format!("{what} of further aliases"));
        assert!(is_gap(gap, GapKind::Denied) && gap.detail.as_deref().unwrap().contains("page 2 failed"), "{gap:?}");
        let gap = bag.item(&format!("{what} of the published versions"));
        assert_eq!(gap.action.as_deref(), Some("lambda:ListVersionsByFunction"));
        assert!(
            bag.of(collector).iter().any(|i| i.subject.ends_with("of alias live") && i.status == ItemStatus::Collected),
            "the listed alias was asked"
        );
    }
}

#[tokio::test]
async fn mappings_are_listed_under_every_name_and_each_is_read_once() {
    let bag = run(&["event-source-mappings"], World::default()).await;
    let arn = format!("arn%3Aaws%3Alambda%3A{}%3A123456789012%3Afunction%3Apayments-export", bag.region);
    let mut names: Vec<_> =
        bag.sent("Lambda.ListEventSourceMappings").iter().map(|s| s.uri.split_once("FunctionName=").unwrap().1.to_string()).collect();
    names.sort();
    let qualified = ["%24LATEST", "1", "2", "live"].map(|q| format!("{arn}%3A{q}"));
    assert_eq!(names, [&qualified[..], &["payments-export".to_string()]].concat());
    assert_eq!(bag.sent("Lambda.GetEventSourceMapping").len(), 1, "one mapping, listed five times");
}

#[tokio::test]
async fn empty_lists_are_empty_not_missing() {
    let world = World::default()
        .on("Lambda.ListAliases", [Answer::json(&json!({"Aliases": []}))])
        .on("Lambda.ListEventSourceMappings", [Answer::json(&json!({"EventSourceMappings": []}))])
        .on("Lambda.ListFunctionUrlConfigs", [Answer::json(&json!({"FunctionUrlConfigs": []}))])
        .on("CloudTrail.LookupEvents", [Answer::json(&json!({"Events": []}))]);
    let bag = run(&["aliases", "event-source-mappings", "function-urls", "control-plane-history", "concurrency"], world).await;
    assert_eq!(bag.gaps(), []);
    for subject in ["list of aliases", "event source mappings of the function", "function URLs"] {
        let item = bag.item(subject);
        assert_eq!((item.status, item.files.len()), (ItemStatus::Empty, 1), "{subject}");
    }
    assert!(bag.of("control-plane-history").iter().all(|i| i.status == ItemStatus::Empty));
    // No reservation is an answer without the member, and is kept as such: it is not a reservation of zero.
    let item = bag.item("reserved concurrency");
    assert_eq!((item.status, bag.file(item, 0)), (ItemStatus::Collected, b"{}\n".to_vec()));
}

// ── execution-role ──

#[tokio::test]
async fn every_version_of_every_policy_is_read_the_boundary_s_too() {
    let bag = run(&["execution-role"], World::default()).await;
    let asked: Vec<_> = bag.sent("IAM.GetPolicyVersion").iter().map(|s| s.body.clone()).collect();
    for (policy, version) in [("wide", "v1"), ("wide", "v2"), ("boundary", "v1"), ("boundary", "v2")] {
        let matching =
            asked.iter().filter(|b| b.contains(&format!("policy%2F{policy}")) && b.contains(&format!("VersionId={version}"))).count();
        assert_eq!(matching, 1, "{policy} {version}: {asked:?}");
    }
    assert!(bag.sent("IAM.GetRole")[0].body.contains("RoleName=payments-role"), "the name without the path");
    assert_eq!(bag.item("inline policy inline-one").status, ItemStatus::Collected);
}

#[tokio::test]
async fn a_role_without_a_boundary_says_so() {
    let text = World::healthy("IAM.GetRole").text();
    let (a, b) =
        (text.find("<PermissionsBoundary>").unwrap(), text.find("</PermissionsBoundary>").unwrap() + "</PermissionsBoundary>".len());
    let bag = run(
        &["execution-role"],
        World::default().on("IAM.GetRole", [Answer::new(200, "text/xml", format!("{}{}", &text[..a], &text[b..]))]),
    )
    .await;
    assert_eq!(bag.gaps(), []);
    assert_eq!(bag.item("permissions boundary").status, ItemStatus::NotApplicable);
}

// ── recent-invocations ──

#[tokio::test]
async fn logs_are_read_from_the_group_that_the_function_uses_newest_first() {
    let bag = run_with(&["recent-invocations"], World::default(), r#"{"window": "2h"}"#).await;
    let [sent] = bag.sent("CloudWatch-Logs.FilterLogEvents").try_into().unwrap();
    let body: Value = serde_json::from_str(&sent.body).unwrap();
    assert_eq!(body["logGroupName"], "/payments/export");
    assert_eq!(body["startFromHead"], false);
    assert_eq!(body["endTime"].as_i64().unwrap() - body["startTime"].as_i64().unwrap(), 7_200_000);
    assert!(body.get("unmask").is_none());
    let streams: Value = serde_json::from_str(&bag.sent("CloudWatch-Logs.DescribeLogStreams")[0].body).unwrap();
    assert_eq!((&streams["orderBy"], &streams["descending"]), (&json!("LastEventTime"), &json!(true)));
}

#[tokio::test]
async fn each_bound_on_logs_that_bites_is_a_gap() {
    let page = |token: &str| {
        let mut body = healthy_json("CloudWatch-Logs.FilterLogEvents");
        body["nextToken"] = json!(token);
        Answer::json(&body)
    };
    for (params, pages, words) in [
        (r#"{"max-pages": 2}"#, 2, "stopped after 2 pages (4 entries"),
        (r#"{"max-bytes": "600"}"#, 2, "bytes (4 entries, 2 pages), as bounded"),
    ] {
        let world = World::default()
            .on("CloudWatch-Logs.FilterLogEvents", [page("a"), page("b"), page("c"), World::healthy("CloudWatch-Logs.FilterLogEvents")]);
        let bag = run_with(&["recent-invocations"], world, params).await;
        let item = bag.item("log events of");
        assert!(is_gap(item, GapKind::TooLarge), "{item:?}");
        assert!(item.detail.as_deref().unwrap().contains(words), "{item:?}");
        assert_eq!((item.files.len(), bag.sent("CloudWatch-Logs.FilterLogEvents").len()), (pages, pages));
        assert!(item.question.is_some());
    }
}

#[tokio::test]
async fn streams_older_than_the_window_end_the_list_without_a_gap() {
    let mut body = healthy_json("CloudWatch-Logs.DescribeLogStreams");
    body["nextToken"] = json!("older");
    body["logStreams"][0]["lastEventTimestamp"] = json!(1_700_000_000_000_i64);
    let bag = run(&["recent-invocations"], World::default().on("CloudWatch-Logs.DescribeLogStreams", [Answer::json(&body)])).await;
    assert_eq!(bag.gaps(), []);
    assert_eq!(bag.sent("CloudWatch-Logs.DescribeLogStreams").iter().filter(|s| s.says("/payments/export")).count(), 1);
}

#[tokio::test]
async fn a_slow_clock_of_ours_does_not_cut_off_the_newest_events() {
    // Our clock says 12:00:00 when AWS's says 12:10.
    let world = World::default().dated("Fri, 20 Nov 2026 12:10:00 GMT");
    let bag = run(&["recent-invocations"], world).await;
    let body: Value = serde_json::from_str(&bag.sent("CloudWatch-Logs.FilterLogEvents")[0].body).unwrap();
    let end = body["endTime"].as_i64().unwrap() - 1_795_176_000_000; // 2026-11-20T12:00:00Z
    assert!((600_000..660_000).contains(&end), "{end}");
}

// ── invocations: both groups, and what is put together from them ──

fn lines(bag: &Bag) -> Vec<Value> {
    let item = bag.item("invocations: ");
    assert_eq!(item.files[0].path.as_str(), "data/60-invocation/invocations.jsonl");
    String::from_utf8(bag.file(item, 0)).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

fn class_of_default_group(class: &str) -> World {
    let mut body = healthy_json("CloudWatch-Logs.DescribeLogGroups.default-group");
    body["logGroups"][0]["logGroupClass"] = json!(class);
    World::default().when("CloudWatch-Logs.DescribeLogGroups", |s| s.says("/aws/lambda/"), [Answer::json(&body)])
}

fn query(status: &str) -> Answer {
    let mut body = healthy_json("CloudWatch-Logs.GetQueryResults");
    body["status"] = json!(status);
    Answer::json(&body)
}

#[tokio::test]
async fn the_default_group_is_read_too_by_query_where_its_class_wants_that() {
    let bag = run_with(&["recent-invocations"], World::default(), r#"{"window": "2h"}"#).await;
    let [sent] = bag.sent("CloudWatch-Logs.StartQuery").try_into().unwrap();
    let body: Value = serde_json::from_str(&sent.body).unwrap();
    assert_eq!((&body["logGroupName"], &body["limit"]), (&json!("/aws/lambda/payments-export"), &json!(100_000)));
    assert_eq!(body["endTime"].as_i64().unwrap() - body["startTime"].as_i64().unwrap(), 7200, "seconds, not milliseconds");
    let records = lines(&bag);
    let ids: Vec<_> = records.iter().map(|r| (r["request_id"].as_str().unwrap(), r["version"].as_str().unwrap())).collect();
    assert_eq!(
        ids,
        [("00000000-0000-4000-8000-000000000007", "7"), ("00000000-0000-4000-8000-000000000001", "$LATEST")],
        "in the order of time"
    );
    assert_eq!((&records[0]["duration_ms"], &records[0]["memory_mb"]), (&json!(250.1), &json!(256)));
    assert_eq!(records[0]["start"], "2026-11-20T11:40:01.000Z");
    // Each record says in which answer its lines lie.
    let (filtered, queried) = (bag.item("log events of"), bag.item("events, by query"));
    let exchange = |r: &Value| r["source"][0]["exchange"].as_str().unwrap().to_string();
    assert_eq!((exchange(&records[0]), exchange(&records[1])), (queried.exchanges[0].to_string(), filtered.exchanges[0].to_string()));
    let mut from = bag.item("invocations: ").derived_from.clone();
    from.sort();
    let mut both = vec![filtered.id, queried.id];
    both.sort();
    assert_eq!(from, both);
    let settings = bag.item("metric filters, data protection and transformer");
    assert_eq!(settings.status, ItemStatus::NotApplicable);
    assert!(bag.sent("CloudWatch-Logs.GetDataProtectionPolicy").iter().all(|s| s.says("/payments/export")));
}

#[tokio::test]
async fn telemetry_of_lambda_insights_is_pointed_at_where_the_layer_is_there() {
    let mut body = healthy_json("Lambda.GetFunction");
    body["Configuration"]["Layers"] =
        json!([{"Arn": "arn:aws:lambda:eu-west-1:580247275435:layer:LambdaInsightsExtension:60", "CodeSize": 1}]);
    let bag = run(&["recent-invocations"], World::default().on("Lambda.GetFunction", [Answer::json(&body)])).await;
    let item = bag.item("telemetry of Lambda Insights");
    let pointer: Value = serde_json::from_slice(&bag.file(item, 0)).unwrap();
    assert_eq!((item.status, &pointer["logGroup"]), (ItemStatus::Collected, &json!("/aws/lambda-insights")));
    let bag = run(&["recent-invocations"], World::default()).await;
    assert_eq!(bag.item("telemetry of Lambda Insights").status, ItemStatus::NotApplicable);
}

#[tokio::test]
async fn a_running_query_is_waited_for_and_not_for_ever() {
    let world = World::default().on("CloudWatch-Logs.GetQueryResults", [query("Scheduled"), query("Running"), query("Complete")]);
    let bag = run(&["recent-invocations"], world).await;
    assert_eq!(bag.gaps(), []);
    assert_eq!(bag.item("events, by query").exchanges.len(), 3);
    assert_eq!(lines(&bag).len(), 2, "a line that came twice is one line");
    for (status, kind) in [("Running", GapKind::OutOfTime), ("Failed", GapKind::Transport)] {
        let bag = run(&["recent-invocations"], World::default().on("CloudWatch-Logs.GetQueryResults", [query(status)])).await;
        assert!(is_gap(bag.item("events, by query"), kind), "{status}: {:?}", bag.item("events, by query"));
        assert!(bag.sent("CloudWatch-Logs.GetQueryResults").len() <= 26);
        // One that runs on is stopped; one that has ended is left alone.
        let stopped = bag.sent("CloudWatch-Logs.StopQuery");
        assert_eq!(stopped.len(), usize::from(status == "Running"), "{status}");
        assert!(stopped.iter().all(|s| s.says(healthy_json("CloudWatch-Logs.StartQuery")["queryId"].as_str().unwrap())), "{stopped:?}");
    }
}

#[tokio::test]
async fn events_that_are_only_forwarded_are_a_gap_and_an_ordinary_group_is_filtered() {
    let bag = run(&["recent-invocations"], class_of_default_group("DELIVERY")).await;
    let item = bag.item("events in log group /aws/lambda/payments-export");
    assert!(is_gap(item, GapKind::NotAcquirable) && item.detail.as_deref().unwrap().contains("DELIVERY"), "{item:?}");
    let bag = run(&["recent-invocations"], class_of_default_group("STANDARD")).await;
    assert_eq!(bag.sent("CloudWatch-Logs.FilterLogEvents").len(), 2);
    // The scripted world answers both groups with the same events: they are one invocation.
    assert_eq!(lines(&bag).len(), 1);
    let bag = run(&["recent-invocations"], class_of_default_group("ESSENTIALS")).await;
    assert_eq!((bag.sent("CloudWatch-Logs.StartQuery").len(), bag.gaps()), (1, vec![]), "a class newer than our SDK is asked by query");
}

#[tokio::test]
async fn events_that_name_no_invocation_are_not_made_into_one() {
    let mut body = healthy_json("CloudWatch-Logs.FilterLogEvents");
    for event in body["events"].as_array_mut().unwrap() {
        event["message"] = json!("REPORT RequestId: \u{1b}[2J Duration: 1 ms");
    }
    let mut none = healthy_json("CloudWatch-Logs.GetQueryResults");
    none["results"] = json!([]);
    let world = World::default()
        .on("CloudWatch-Logs.FilterLogEvents", [Answer::json(&body)])
        .on("CloudWatch-Logs.GetQueryResults", [Answer::json(&none)]);
    let bag = run(&["recent-invocations"], world).await;
    assert_eq!(bag.item("invocations").status, ItemStatus::NotApplicable);
    assert_eq!(bag.gaps(), []);
    let denied = |key: &str| Answer::error(key, 403, "AccessDeniedException");
    let world = World::default()
        .on("CloudWatch-Logs.FilterLogEvents", [denied("CloudWatch-Logs.FilterLogEvents")])
        .on("CloudWatch-Logs.StartQuery", [denied("CloudWatch-Logs.StartQuery")]);
    let bag = run(&["recent-invocations"], world).await;
    assert!(bag.gaps().len() == 2 && bag.items.iter().all(|i| !i.subject.starts_with("invocations")), "{:?}", bag.items);
}

// ── metrics ──

#[tokio::test]
async fn metrics_are_read_by_the_minute_under_every_alias_and_executed_version() {
    let bag = run(&["metrics"], World::default()).await;
    let mut seen = vec![];
    for sent in bag.sent("CloudWatch.GetMetricData") {
        let body: Value = serde_json::from_str(&sent.body).unwrap();
        let queries = body["MetricDataQueries"].as_array().unwrap();
        let minutes = (body["EndTime"].as_i64().unwrap() - body["StartTime"].as_i64().unwrap()) / 60;
        assert_eq!(minutes, 3 * 24 * 60);
        assert!(queries.len() as i64 * minutes <= 100_800 && queries.len() <= 500);
        for q in queries {
            assert_eq!(q["MetricStat"]["Period"], 60);
            seen.push(q["Label"].as_str().unwrap().to_string());
        }
    }
    for label in [
        "Invocations Sum FunctionName=payments-export",
        "Url4xxCount Sum FunctionName=payments-export",
        "Invocations Sum FunctionName=payments-export Resource=payments-export:live",
        "Errors Sum ExecutedVersion=7 FunctionName=payments-export Resource=payments-export:live",
        "NewerThanOurList Maximum FunctionName=payments-export",
    ] {
        assert_eq!(seen.iter().filter(|s| *s == label).count(), 1, "{label}: {seen:?}");
    }
    let bag = run_with(&["metrics"], World::default(), r#"{"max-metrics": 1}"#).await;
    let left = bag.item("further metrics");
    assert!(is_gap(left, GapKind::TooLarge) && left.detail.as_deref().unwrap().starts_with("3 listed metrics"), "{left:?}");
}

#[tokio::test]
async fn a_series_that_cloudwatch_refuses_is_a_gap() {
    let mut body = healthy_json("CloudWatch.GetMetricData");
    body["MetricDataResults"][1]["StatusCode"] = json!("Forbidden");
    let bag = run_with(&["metrics"], World::default().on("CloudWatch.GetMetricData", [Answer::json(&body)]), r#"{"window": "1h"}"#).await;
    assert_eq!(bag.gaps().len(), 1, "{:?}", bag.gaps());
}

// ── traces ──

/// Transaction Search, and how a retrieval goes.
pub(super) fn retrieving(answers: impl IntoIterator<Item = Value>) -> World {
    let logs = Answer::json(&json!({ "Destination": "CloudWatchLogs", "Status": "ACTIVE" }));
    let answers: Vec<Answer> = answers.into_iter().map(|a| Answer::json(&a)).collect();
    World::default().on("XRay.GetTraceSegmentDestination", [logs]).on("XRay.ListRetrievedTraces", answers)
}

#[tokio::test]
async fn a_retrieval_from_the_spans_is_waited_for_and_not_for_ever() {
    let status = |s: &str| json!({"RetrievalStatus": s, "Traces": []});
    let done = healthy_json("XRay.ListRetrievedTraces");
    let bag = run(&["traces"], retrieving([status("SCHEDULED"), status("RUNNING"), done])).await;
    let start = bag.sent("XRay.StartTraceRetrieval");
    let [start] = start.as_slice() else { panic!("{start:?}") };
    let body: Value = serde_json::from_str(&start.body).unwrap();
    assert_eq!(body["EndTime"].as_i64().unwrap() - body["StartTime"].as_i64().unwrap(), 86_400, "seconds");
    let item = bag.item("traces in full, retrieval 1");
    assert_eq!((item.status, item.files.len()), (ItemStatus::Collected, 3), "what it said while it ran is on record");
    assert_eq!(bag.gaps().len(), 1, "{:?}", bag.gaps());
    for (said, kind) in [("RUNNING", GapKind::OutOfTime), ("TIMEOUT", GapKind::Transport), ("FAILED", GapKind::Transport)] {
        let bag = run(&["traces"], retrieving([status(said)])).await;
        assert!(is_gap(bag.item("rest of traces in full, retrieval 1"), kind), "{said}");
        assert!(bag.sent("XRay.ListRetrievedTraces").len() <= 27, "{said}");
    }
    let bag =
        run(&["traces"], retrieving([healthy_json("XRay.ListRetrievedTraces")]).on("XRay.StartTraceRetrieval", [Answer::json(&json!({}))]))
            .await;
    assert!(is_gap(bag.item("traces in full, retrieval 1"), GapKind::Unsupported));
}

#[tokio::test]
async fn traces_that_go_elsewhere_are_named_and_not_taken_for_none() {
    let world = World::default()
        .on("XRay.GetTraceSegmentDestination", [Answer::json(&json!({ "Destination": "CloudWatchLogs", "Status": "ACTIVE" }))]);
    let bag = run(&["traces"], world).await;
    let item = bag.item("traces that X-Ray does not index");
    assert!(is_gap(item, GapKind::NotAcquirable) && item.detail.as_deref().unwrap().contains("aws/spans"), "{item:?}");
    assert!(bag.sent("XRay.BatchGetTraces").is_empty());
    assert_eq!(bag.item("traces in full, retrieval 1").status, ItemStatus::Collected);
    let bag = run(&["traces"], World::default()).await;
    assert_eq!(bag.sent("XRay.GetTraceSummaries").len(), 4, "a day in slices of six hours");
    assert!(bag.sent("XRay.GetTraceSummaries").iter().all(|s| s.says(r#"service(\"payments-export\")"#)));
    assert_eq!(bag.sent("XRay.BatchGetTraces").len(), 1, "a trace that is listed twice is read once");
    // A list that could not be read is no proof that there was nothing.
    let bag = run(
        &["traces"],
        World::default().on("XRay.GetTraceSummaries", [Answer::error("XRay.GetTraceSummaries", 403, "AccessDeniedException")]),
    )
    .await;
    assert!(bag.gaps().len() == 4 && bag.items.iter().all(|i| i.subject != "traces in full"), "{:?}", bag.items);
    let left = Answer::json(&json!({ "Traces": [], "UnprocessedTraceIds": ["1-6b000000-1e2c502e358361800241fd45"] }));
    let bag = run(&["traces"], World::default().on("XRay.BatchGetTraces", [left])).await;
    assert_eq!(bag.gaps().iter().map(|g| g.1).collect::<Vec<_>>(), [GapKind::Truncated]);
}

#[tokio::test]
async fn more_traces_than_wanted_are_read_newest_first() {
    let summaries: Vec<Value> = (0..12)
        .map(|n| json!({ "Id": format!("1-6b00000{n:x}-1e2c502e358361800241fd45") }))
        .chain([json!({ "Id": "not a trace; DROP" })])
        .collect();
    let world = World::default().on("XRay.GetTraceSummaries", [Answer::json(&json!({ "TraceSummaries": summaries }))]);
    let bag = run_with(&["traces"], world, r#"{"window": "1h", "max-traces": 7}"#).await;
    let sent = bag.sent("XRay.BatchGetTraces");
    assert_eq!(sent.len(), 2, "five at once");
    assert!(sent.iter().any(|s| s.says("1-6b00000b-")) && !sent.iter().any(|s| s.says("1-6b000004-") || s.says("DROP")));
    assert!(is_gap(bag.item("older traces"), GapKind::TooLarge));
}

// ── durable-executions ──

#[tokio::test]
async fn durable_executions_are_asked_of_durable_versions_running_ones_first() {
    let bag = run(&["durable-executions"], World::default()).await;
    let sent = bag.sent("Lambda.ListDurableExecutionsByFunction");
    assert!(sent[0].says("Statuses=RUNNING") && sent[0].says("Qualifier=%24LATEST"), "{sent:?}");
    assert_eq!((sent.len(), bag.sent("Lambda.GetDurableExecution").len()), (2, 1), "an execution that is listed twice is read once");
    assert!(bag.sent("Lambda.GetDurableExecutionHistory")[0].says("IncludeExecutionData=true"));
    // A published version may be durable where $LATEST is not any more.
    let mut versions = healthy_json("Lambda.ListVersionsByFunction");
    let published = versions["Versions"].as_array_mut().unwrap().iter_mut().find(|v| v["Version"] == "2").unwrap();
    published["DurableConfig"] = json!({ "ExecutionTimeout": 60 });
    let plain = function(|f| drop(f["Configuration"].as_object_mut().unwrap().remove("DurableConfig")));
    let world = World::default().on("Lambda.GetFunction", [plain.clone()]).on("Lambda.ListVersionsByFunction", [Answer::json(&versions)]);
    let bag = run(&["durable-executions"], world).await;
    assert!(bag.sent("Lambda.ListDurableExecutionsByFunction").iter().all(|s| s.says("Qualifier=2")));
    let bag = run(&["durable-executions"], World::default().on("Lambda.GetFunction", [plain])).await;
    assert_eq!(bag.item("durable executions").status, ItemStatus::NotApplicable);
    assert!(bag.sent("Lambda.ListDurableExecutionsByFunction").is_empty());
    let denied = Answer::error("Lambda.ListVersionsByFunction", 403, "AccessDeniedException");
    let plain = function(|f| drop(f["Configuration"].as_object_mut().unwrap().remove("DurableConfig")));
    let bag =
        run(&["durable-executions"], World::default().on("Lambda.GetFunction", [plain]).on("Lambda.ListVersionsByFunction", [denied]))
            .await;
    assert!(bag.of("durable-executions").iter().all(|i| is_gap(i, GapKind::Denied)), "unknown is not clean: {:?}", bag.items);
}

// ── control-plane-history ──

#[tokio::test]
async fn history_is_searched_by_name_arn_and_role_each_in_its_region() {
    let bag = run(&["control-plane-history"], World::default()).await;
    let mut asked: Vec<_> = bag
        .sent("CloudTrail.LookupEvents")
        .iter()
        .map(|s| {
            let body: Value = serde_json::from_str(&s.body).unwrap();
            let attribute = &body["LookupAttributes"][0];
            let days = (body["EndTime"].as_f64().unwrap() - body["StartTime"].as_f64().unwrap()) / 86_400.0;
            assert_eq!((days, &body["MaxResults"]), (90.0, &json!(50)));
            (
                s.host.clone(),
                attribute["AttributeKey"].as_str().unwrap().to_string(),
                attribute["AttributeValue"].as_str().unwrap().to_string(),
            )
        })
        .collect();
    asked.sort();
    let own = format!("cloudtrail.{}.amazonaws.com", bag.region);
    let arn = format!("arn:aws:lambda:{}:123456789012:function:payments-export", bag.region);
    let (name, role) = ("payments-export".to_string(), "payments-role".to_string());
    let by = |key: &str| key.to_string();
    assert_eq!(
        asked,
        [
            (own.clone(), by("ResourceName"), arn),
            (own, by("ResourceName"), name),
            ("cloudtrail.us-east-1.amazonaws.com".to_string(), by("ResourceName"), role),
        ]
    );
    let there = bag.item("CloudTrail events in us-east-1");
    assert_eq!(bag.exchanges(there)[0].region, "us-east-1");
}

// ── caller-identity ──

#[tokio::test]
async fn the_caller_s_item_holds_who_with_what_and_how_late() {
    let world = World::default().dated("Fri, 20 Nov 2026 11:59:00 GMT");
    let bag = run(&["caller-identity"], world).await;
    let item = bag.item("caller, user agent and clock");
    assert_eq!(item.derived_from, [bag.item("identity of the caller").id]);
    let record: Value = serde_json::from_slice(&bag.file(item, 0)).unwrap();
    assert_eq!(record["arn"], "arn:aws:sts::123456789012:assumed-role/Responder/ada");
    assert_eq!(record["clockSkewMs"], -60_000);
    assert!(record["userAgent"].as_str().is_some_and(|a| a.contains("aws-sdk-rust")), "{record}");
    let journal = std::fs::read_to_string(bag.draft.dir().join("meta/journal/000001.jsonl")).unwrap();
    assert!(journal.contains(r#""ev":"clock""#) && journal.contains(r#""skew_ms":-60000"#), "{journal}");
    assert!(journal.contains(r#""actor":"arn:aws:sts::123456789012:assumed-role/Responder/ada""#));
}
