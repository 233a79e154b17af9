//! What the credentials did, and what could have been seen: `credential-activity`, `trails`, `trail-archive`, `enabled-regions`; and the two that
//! have their events from a trail's files when told.

use super::{Bag, is_gap, run, run_with};
use crate::support::wire::{Answer, Sent, World};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use flate2::Compression;
use flate2::write::GzEncoder;
use freezeframe::model::digest::Sha256;
use freezeframe::model::gap::GapKind;
use freezeframe::model::item::{ItemStatus, Sensitivity};
use serde_json::{Value, json};
use std::io::Write;

pub(super) const LOOKUP: &str = "CloudTrail.LookupEvents";
/// What the drill's session tokens hold, so that one which escapes is seen.
const TOKEN_MARKER: &str = "DRILLTOKENxMUSTxNOTxLEAVE";
const ROLE: &str = "arn:aws:iam::123456789012:role/service/payments-role";

pub(super) fn page(records: &[Value], next: Option<&str>) -> Answer {
    let events: Vec<Value> = records
        .iter()
        .map(|r| {
            json!({"EventId": r["eventID"], "EventName": r["eventName"], "EventTime": 1795172400.0, "EventSource": "sts.amazonaws.com",
                "CloudTrailEvent": r.to_string()})
        })
        .collect();
    Answer::json(&json!({"Events": events, "NextToken": next}))
}

pub(super) fn issue(id: &str, key: &str, session: &str) -> Value {
    json!({"eventID": id, "eventName": "AssumeRole", "eventSource": "sts.amazonaws.com", "awsRegion": "us-east-1",
        "eventTime": format!("2026-11-20T0{}:00:00Z", key.len() % 10),
        "userIdentity": {"type": "AWSService", "invokedBy": "lambda.amazonaws.com"}, "sourceIPAddress": "lambda.amazonaws.com",
        "requestParameters": {"roleArn": ROLE, "roleSessionName": session},
        "responseElements": {"credentials": {"accessKeyId": key, "sessionToken": format!("IQoJb3JpZ2luX2VjE{TOKEN_MARKER}{key}"),
            "expiration": "Nov 20, 2026, 11:31:02 PM"}}})
}

/// A call by a session of the function (whose Region is the test's own), from elsewhere.
fn stolen(id: &str, key: &str) -> Value {
    let function = "arn:aws:lambda:@REGION@:123456789012:function:payments-export";
    json!({"eventID": id, "eventName": "ListBuckets", "eventSource": "s3.amazonaws.com", "awsRegion": "us-east-1",
        "eventTime": "2026-11-20T10:00:00Z", "sourceIPAddress": "203.0.113.66", "userAgent": "aws-cli/2.31.3",
        "userIdentity": {"type": "AssumedRole", "accessKeyId": key, "principalId": "AROAX:payments-export",
            "sessionContext": {"sessionIssuer": {"arn": ROLE}},
            "inScopeOf": {"credentialsIssuedTo": function, "credentialsIssuedToVersion": format!("{function}:2")}}})
}

pub(super) fn searches(kind: &'static str) -> impl Fn(&Sent) -> bool {
    move |s| s.says(&format!("\"AttributeKey\":\"{kind}\""))
}

/// Nothing anywhere, but what is scripted on top.
pub(super) fn quiet() -> World {
    World::default().on(LOOKUP, [page(&[], None)])
}

pub(super) fn table(bag: &Bag, subject: &str) -> Value {
    serde_json::from_slice(&bag.file(bag.item(subject), 0)).unwrap()
}

// ── credential-activity ──

#[tokio::test]
async fn keys_are_listed_with_their_end_and_use_and_the_token_is_sealed() {
    let role = page(&[issue("i1", "ASIADRILLEXPORT00001", "payments-export"), issue("i2", "ASIADRILLREPORT00001", "refund-report")], None);
    let world = quiet().when(LOOKUP, searches("ResourceName"), [role]).when(
        LOOKUP,
        searches("AccessKeyId"),
        [page(&[stolen("u1", "ASIADRILLEXPORT00001")], None)],
    );
    let bag = run(&["credential-activity"], world).await;
    assert_eq!(bag.gaps(), []);
    let document = table(&bag, "keys issued to the function");
    assert_eq!(document["complete"], true);
    assert_eq!(document["lastExpiry"], "2026-11-20T23:31:02.000Z");
    let keys = document["keys"].as_array().unwrap();
    let own = keys.iter().find(|k| k["accessKeyId"] == "ASIADRILLEXPORT00001").unwrap();
    assert_eq!((&own["ofThisFunction"], &own["searchedById"], &own["uses"]), (&json!(true), &json!(true), &json!(1)));
    assert_eq!((&own["sourceIPs"], &own["sourceEvent"]), (&json!(["203.0.113.66"]), &json!("i1")));
    assert!(own["signs"][0].as_str().unwrap().contains("not Lambda's"), "{own}");
    assert_eq!((&document["suspect"], &document["lastToExpire"]), (&json!(["ASIADRILLEXPORT00001"]), &json!("ASIADRILLEXPORT00001")));
    assert_eq!((&document["lastExpiryIsExact"], &document["noneLivesPast"]), (&json!(true), &json!("2026-11-20T23:31:02.000Z")));
    assert_eq!((&document["functionTimeoutSeconds"], &document["heldAgainstInvocations"]["judged"]), (&json!(30), &json!(true)));
    let neighbour = keys.iter().find(|k| k["accessKeyId"] == "ASIADRILLREPORT00001").unwrap();
    assert_eq!((&neighbour["ofThisFunction"], &neighbour["searchedById"]), (&json!(false), &json!(false)));

    // Each key of the function, in the function's Region and in the global one; the neighbour's in none.
    let mut asked: Vec<String> = bag
        .sent(LOOKUP)
        .iter()
        .filter(|s| searches("AccessKeyId")(s))
        .map(|s| format!("{} {}", s.host, s.says("ASIADRILLEXPORT00001")))
        .collect();
    asked.sort();
    assert_eq!(asked, [format!("cloudtrail.{}.amazonaws.com true", bag.region), "cloudtrail.us-east-1.amazonaws.com true".to_string()]);

    // The body is evidence and holds the token: sealed. Nothing that lies in clear does.
    let holding = bag.item("in us-east-1 with ResourceName");
    assert_eq!(holding.sensitivity, Sensitivity::S3);
    assert!(String::from_utf8(bag.file(holding, 0)).unwrap().contains(TOKEN_MARKER));
    let twin = String::from_utf8(bag.twin(holding, 0)).unwrap();
    assert!(!twin.contains(TOKEN_MARKER) && twin.contains("session-token") && twin.contains("ASIADRILLEXPORT00001"), "{twin}");
    let derived = bag.item("keys issued to the function");
    assert!(derived.files[0].path.as_str().ends_with("data/70-control/issued-keys.json"), "{derived:?}");
    assert_eq!(derived.derived_from.len(), 9, "two Regions, by name, role and key; and the metric of ninety days, in three forms");
    assert!(!document.to_string().contains(TOKEN_MARKER));
    assert!(!serde_json::to_string(&bag.items).unwrap().contains(TOKEN_MARKER));
    assert!(bag.said.lock().unwrap().iter().all(|line| !line.contains(TOKEN_MARKER) && !line.contains("ASIA")));
}

#[tokio::test]
async fn keys_beyond_the_bound_are_a_gap_and_the_suspect_go_first() {
    let keys = ["ASIADRILLEXPORT000001", "ASIADRILLEXPORT0000002", "ASIADRILLEXPORT00000003"];
    let issued: Vec<Value> = keys.iter().map(|k| issue(k, k, "payments-export")).collect();
    let world = quiet().when(LOOKUP, searches("ResourceName"), [page(&issued, None)]).when(
        LOOKUP,
        searches("Username"),
        // The oldest of the three was used from elsewhere.
        [page(&[stolen("u1", keys[0]), stolen("u1", keys[0])], None)],
    );
    let bag = run_with(&["credential-activity"], world, r#"{"max-keys": 1}"#).await;
    let gap = bag.item("events of further keys");
    assert!(is_gap(gap, GapKind::TooLarge) && gap.detail.as_deref().unwrap().starts_with("2 keys were not searched for"), "{gap:?}");
    assert!(keys[1..].iter().all(|k| gap.detail.as_deref().unwrap().contains(k)), "what was left is named: {gap:?}");
    let by_key: Vec<_> = bag.sent(LOOKUP).into_iter().filter(|s| searches("AccessKeyId")(s)).collect();
    assert!(by_key.len() == 2 && by_key.iter().all(|s| s.says(keys[0])), "{by_key:?}");
}

#[tokio::test]
async fn regions_are_asked_as_chosen() {
    let asked = |bag: &Bag| {
        let mut hosts: Vec<_> = bag.sent(LOOKUP).into_iter().filter(|s| searches("Username")(s)).map(|s| s.host).collect();
        hosts.sort();
        hosts.dedup();
        hosts
    };
    let bag = run_with(&["credential-activity"], quiet(), r#"{"regions": "all"}"#).await;
    assert_eq!(bag.gaps(), []);
    let hosts = asked(&bag);
    assert_eq!(hosts.len(), 19, "seventeen by default, one that was opted into, and the test's own: {hosts:?}");
    assert!(hosts.iter().any(|h| h.contains("af-south-1")) && !hosts.iter().any(|h| h.contains("me-south-1")), "{hosts:?}");
    assert_eq!(bag.of("enabled-regions").len(), 1, "the question stands under the collector that it belongs to");
    assert_eq!(table(&bag, "keys issued to the function")["regions"][0], "us-east-1", "the global one first");

    // Where the account does not say, the ones by default are asked, and the rest is open.
    let key = "EC2.DescribeRegions";
    let world = quiet().on(key, [Answer::error(key, 403, "UnauthorizedOperation")]);
    let bag = run_with(&["credential-activity"], world, r#"{"regions": "all"}"#).await;
    assert_eq!(asked(&bag).len(), 18);
    let gap = bag.item("further Regions that the account may have enabled");
    assert!(is_gap(gap, GapKind::Denied) && gap.action.as_deref() == Some("ec2:DescribeRegions"), "{gap:?}");
    let bag = run_with(&["credential-activity"], quiet().on(key, [Answer::new(200, "text/xml", "<a/>")]), r#"{"regions": "all"}"#).await;
    assert!(is_gap(bag.item("further Regions"), GapKind::Unsupported));

    for (said, host) in [("sa-east-1", "sa-east-1"), ("own", "eu-test-")] {
        let bag = run_with(&["credential-activity"], quiet(), &json!({"regions": said}).to_string()).await;
        assert!(bag.sent(LOOKUP).iter().all(|s| s.host.contains(host)), "{said}");
        assert!(bag.of("enabled-regions").is_empty());
    }
}

#[tokio::test]
async fn the_census_counts_in_every_region_when_told() {
    let bag = run_with(&["shared-role-census"], World::default(), r#"{"regions": "all"}"#).await;
    assert_eq!(bag.gaps(), []);
    assert_eq!(bag.sent("Lambda.ListFunctions").len(), 19);
    assert_eq!(table(&bag, "functions and their roles")["regions"].as_array().unwrap().len(), 19);
    let bag = run_with(&["shared-role-census"], World::default(), "{}").await;
    assert_eq!(bag.sent("Lambda.ListFunctions").len(), 1, "its own by default");
}

#[tokio::test]
async fn a_region_that_refuses_leaves_its_gap_and_an_incomplete_table() {
    let world = quiet().when(LOOKUP, |s| s.host.contains("us-east-1"), [Answer::error(LOOKUP, 400, "AccessDeniedException")]);
    let bag = run(&["credential-activity"], world).await;
    assert_eq!(bag.gaps().len(), 2, "{:?}", bag.gaps());
    assert_eq!(table(&bag, "keys issued to the function")["complete"], false);
}

#[tokio::test]
async fn a_role_that_the_configuration_does_not_tell_is_learned_from_a_session() {
    let denied = Answer::error("Lambda.GetFunction", 403, "AccessDeniedException");
    let world = quiet().on("Lambda.GetFunction", [denied]).when(
        LOOKUP,
        searches("Username"),
        [page(&[stolen("u1", "ASIADRILLEXPORT00001")], None)],
    );
    let bag = run(&["credential-activity"], world).await;
    let gaps: Vec<_> = bag.gaps().into_iter().map(|g| (g.0, g.1)).collect();
    assert_eq!(gaps, [("configuration", GapKind::Denied), ("credential-activity", GapKind::Denied)]);
    assert!(bag.sent(LOOKUP).iter().any(|s| searches("ResourceName")(s) && s.says(ROLE)));
    assert_eq!(table(&bag, "keys issued to the function")["role"], ROLE);
}

#[tokio::test]
async fn hostile_records_are_counted_not_believed() {
    let hostile = Answer::json(&json!({"Events": [
        {"EventId": "a", "CloudTrailEvent": "{"}, {"EventId": "b"}, {"EventId": "c", "CloudTrailEvent": "[[[[[["},
        {"EventId": "d", "CloudTrailEvent": issue("i", "\u{1b}[31mASIA\" evil", "payments-export").to_string()}]}));
    let bag = run(&["credential-activity"], World::default().on(LOOKUP, [hostile])).await;
    let gap = bag.item("records that are not in it");
    assert!(gap.detail.as_deref().unwrap().contains("records were not readable"), "{gap:?}");
    assert!(bag.sent(LOOKUP).iter().all(|s| !searches("AccessKeyId")(s)), "what looks like no key is asked about nowhere");
    assert!(!table(&bag, "keys issued to the function").to_string().contains("\\u001b"));
}

#[tokio::test]
async fn whoever_waits_is_told_how_long() {
    let pages = (1..=40).map(|n| page(&[issue(&format!("i{n}"), "ASIADRILLREPORT00001", "other")], Some(&format!("t{n}"))));
    let world = quiet().when(LOOKUP, searches("ResourceName"), pages.chain([page(&[], None)]));
    let bag = run(&["credential-activity"], world).await;
    let said = bag.said.lock().unwrap().clone();
    assert!(said.len() >= 2 && said.len() < 10, "now and then, not for every page: {said:?}");
    assert!(said.iter().all(|l| l.starts_with("LookupEvents: ") && l.contains(" to go in ") && l.contains("at 1.5 requests a second")));
    // Many searches of one page each: known beforehand.
    let issued: Vec<Value> = (1..=20).map(|n| issue(&format!("i{n}"), &format!("ASIADRILLEXPORT{n:05}"), "payments-export")).collect();
    let bag = run(&["credential-activity"], quiet().when(LOOKUP, searches("ResourceName"), [page(&issued, None)])).await;
    let said = bag.said.lock().unwrap().clone();
    assert!(
        said.iter().any(|l| l == "LookupEvents: 40 searches to go in 2 Regions, about 14 s at 1.5 requests a second in each"),
        "{said:?}"
    );
}

#[tokio::test]
async fn what_a_key_obtained_is_followed_into_every_region() {
    let mut taken = stolen("a1", "ASIADRILLEXPORT00001");
    taken["eventName"] = json!("AssumeRole");
    taken["responseElements"] = json!({"assumedRoleUser": {"arn": "arn:aws:sts::123456789012:assumed-role/admin/x"},
        "credentials": {"accessKeyId": "ASIAADMIN1", "sessionToken": TOKEN_MARKER, "expiration": "Nov 20, 2026, 11:59:00 PM"}});
    let mut further = stolen("a2", "ASIAADMIN1");
    further["eventName"] = json!("CreateAccessKey");
    further["userIdentity"] = json!({"type": "AssumedRole", "accessKeyId": "ASIAADMIN1", "principalId": "AROAADMIN:x"});
    further["responseElements"] = json!({"accessKey": {"accessKeyId": "AKIABACKUP1", "userName": "backup"}});
    let world =
        quiet().when(LOOKUP, searches("Username"), [page(&[taken], None)]).when(LOOKUP, |s| s.says("ASIAADMIN1"), [page(&[further], None)]);
    let bag = run(&["credential-activity"], world).await;
    let document = table(&bag, "keys issued to the function");
    let searched: Vec<&str> = ["ASIADRILLEXPORT00001", "ASIAADMIN1", "AKIABACKUP1"]
        .into_iter()
        .filter(|k| bag.sent(LOOKUP).iter().filter(|s| searches("AccessKeyId")(s) && s.says(k)).count() == 2)
        .collect();
    assert_eq!(searched, ["ASIADRILLEXPORT00001", "ASIAADMIN1"], "one hand far, in both Regions");
    assert!(is_gap(bag.item("events of keys obtained by further hands"), GapKind::TooLarge));
    assert_eq!((&document["lastToExpire"], &document["longLived"]), (&json!("ASIAADMIN1"), &json!(["AKIABACKUP1"])));
    let handed: Vec<_> = document["handedOn"].as_array().unwrap().iter().map(|h| (h["name"].clone(), h["principal"].clone())).collect();
    assert_eq!(
        handed,
        [(json!("AssumeRole"), json!("arn:aws:sts::123456789012:assumed-role/admin/x")), (json!("CreateAccessKey"), json!("backup"))]
    );
    assert!(!document.to_string().contains(TOKEN_MARKER));
}

#[tokio::test]
async fn a_key_that_was_used_while_nothing_ran_is_suspect_whatever_its_agent_says() {
    let mut forged = stolen("u9", "ASIADRILLEXPORT00001");
    forged["userAgent"] = json!("Boto3/1 exec-env/AWS_Lambda_python3.12");
    forged["eventTime"] = json!("2026-11-20T03:00:00Z");
    let own = |n: u32| {
        let mut own = forged.clone();
        own["eventID"] = json!(format!("o{n}"));
        own["eventTime"] = json!(format!("2026-11-20T11:4{n}:10Z"));
        own
    };
    let world = quiet().when(LOOKUP, searches("Username"), [page(&[own(3), own(4), forged.clone()], None)]);
    let bag = run(&["credential-activity"], world).await;
    let key = &table(&bag, "keys issued to the function")["keys"][0];
    assert_eq!(key["signs"], json!(["called while no invocation was running, by the function's metric (1 calls)"]), "{key}");
    // Without the metric nothing is claimed by it.
    let metric = "CloudWatch.GetMetricData";
    let world = quiet()
        .when(LOOKUP, searches("Username"), [page(&[own(3), own(4), forged], None)])
        .on(metric, [Answer::error(metric, 403, "AccessDenied")]);
    let bag = run(&["credential-activity"], world).await;
    let document = table(&bag, "keys issued to the function");
    assert_eq!((&document["keys"][0]["signs"], &document["heldAgainstInvocations"]["judged"]), (&json!([]), &json!(false)));
    assert!(bag.gaps().iter().all(|g| g.1 == GapKind::Denied) && bag.gaps().len() == 3, "{:?}", bag.gaps());
}

// ── trails ──

#[tokio::test]
async fn trails_say_what_could_have_been_seen() {
    let bag = run(&["trails"], World::default()).await;
    assert_eq!(bag.gaps(), []);
    let table = table(&bag, "what the trails record");
    let trail = &table["trails"][0];
    assert_eq!((&trail["ofOrganisation"], &trail["isLogging"], &trail["logFileValidation"]), (&json!(true), &json!(true), &json!(true)));
    assert_eq!(trail["selectors"]["managementEvents"][0]["name"], "Management events");
    assert_eq!(trail["selectors"]["dataEvents"][0]["fields"][1]["equals"], json!(["AWS::Lambda::Function"]));
    assert_eq!((&trail["eventSize"], &trail["enrichedWith"][0]["keys"]), (&json!("Large"), &json!(["team"])));
    assert!(bag.item("status of organisation trail arn:aws:cloudtrail:").subject.contains("/management"));
    let store = &self::table(&bag, "what the event data stores record")["stores"][0];
    assert_eq!((&store["retentionDays"], &store["selectors"][0]["name"]), (&json!(2557), &json!("all management")));
    let asked = &bag.sent("CloudTrail.GetEventSelectors")[0];
    assert!(asked.says(&format!("arn:aws:cloudtrail:{}:123456789012:trail/management", bag.region)), "shadow trails answer to ARNs only");
}

#[tokio::test]
async fn a_trail_without_insights_is_an_answer_and_an_unknown_operation_is_not() {
    let key = "CloudTrail.GetInsightSelectors";
    let bag = run(&["trails"], World::default().on(key, [Answer::error(key, 400, "InsightNotEnabledException")])).await;
    assert_eq!(bag.gaps(), []);
    assert_eq!(bag.item("Insights selectors").status, ItemStatus::NotApplicable);
    let bag = run(&["trails"], World::default().on(key, [Answer::error(key, 400, "UnknownOperationException")])).await;
    assert!(is_gap(bag.item("Insights selectors"), GapKind::Unsupported));
    // Removed between the list and the question.
    let key = "CloudTrail.GetEventSelectors";
    let bag = run(&["trails"], World::default().on(key, [Answer::error(key, 400, "TrailNotFoundException")])).await;
    assert_eq!(bag.item("event selectors of").status, ItemStatus::NotFound);
    assert_eq!(table(&bag, "what the trails record")["trails"][0]["selectors"], Value::Null, "unknown, not empty");
}

#[tokio::test]
async fn no_trail_is_an_answer() {
    let bag = run(&["trails"], World::default().on("CloudTrail.DescribeTrails", [Answer::json(&json!({"trailList": []}))])).await;
    assert_eq!(bag.gaps(), []);
    assert_eq!(bag.item("trails that record").status, ItemStatus::Empty);
    assert_eq!(table(&bag, "what the trails record")["trails"], json!([]));
    let none = Answer::json(&json!({"EventDataStores": []}));
    let bag = run(&["trails"], World::default().on("CloudTrail.ListEventDataStores", [none])).await;
    assert_eq!((bag.gaps(), bag.item("event data stores of CloudTrail Lake").status), (vec![], ItemStatus::Empty));
}

// ── trail-archive ──

pub(super) const LIST: &str = "S3.ListObjectsV2";
const GET: &str = "S3.GetObject";
const LOGS: &str = "AWSLogs/123456789012/CloudTrail/us-east-1/2026/11/20/";
const DIGESTS: &str = "AWSLogs/123456789012/CloudTrail-Digest/us-east-1/2026/11/20/";

pub(super) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(vec![], Compression::best());
    out.write_all(content).unwrap();
    out.finish().unwrap()
}

pub(super) fn listing(keys: &[String], parts: &[&str]) -> Answer {
    let contents: String = keys.iter().map(|k| format!("<Contents><Key>{k}</Key><Size>100</Size></Contents>")).collect();
    let parts: String = parts.iter().map(|p| format!("<CommonPrefixes><Prefix>{p}</Prefix></CommonPrefixes>")).collect();
    let body = format!("<ListBucketResult><Name>trail-archive</Name><IsTruncated>false</IsTruncated>{contents}{parts}</ListBucketResult>");
    Answer::new(200, "application/xml", body)
}

pub(super) fn log_key(n: usize) -> String {
    format!("{LOGS}123456789012_CloudTrail_us-east-1_20261120T11{n:02}Z_x.json.gz")
}
pub(super) fn digest_key(hour: usize) -> String {
    format!("{DIGESTS}123456789012_CloudTrail-Digest_us-east-1_management_us-east-1_20261120T{hour:02}0000Z.json.gz")
}
pub(super) fn log_file(records: &[Value]) -> Vec<u8> {
    json!({"Records": records}).to_string().into_bytes()
}

/// A bucket with these log files and digests: key, and the object's bytes with its signature.
pub(super) fn bucket(logs: &[(String, Vec<u8>)], digests: &[(String, Vec<u8>, &str)]) -> World {
    let logs_listed: Vec<String> = logs.iter().map(|l| l.0.clone()).collect();
    let digests_listed: Vec<String> = digests.iter().map(|d| d.0.clone()).collect();
    let is = |s: &Sent, prefix: &str| s.uri.contains(&format!("prefix={}", prefix.replace('/', "%2F")));
    let mut world = World::default()
        .on(LIST, [listing(&[], &[])])
        .when(LIST, |s| s.uri.contains("delimiter"), [listing(&[], &["AWSLogs/123456789012/"])])
        .when(LIST, move |s| is(s, "AWSLogs/123456789012/CloudTrail/us-east-1/"), [listing(&logs_listed, &[])])
        .when(LIST, move |s| is(s, "AWSLogs/123456789012/CloudTrail-Digest/us-east-1/"), [listing(&digests_listed, &[])]);
    let objects = logs.iter().map(|(k, b)| (k, b, "")).chain(digests.iter().map(|(k, b, s)| (k, b, *s)));
    for (key, body, signature) in objects {
        let key = format!("/{key}");
        let answer = Answer::new(200, "application/json", body.clone()).header("x-amz-meta-signature", signature);
        let answer = answer.header("x-amz-meta-signature-algorithm", "SHA256withRSA");
        world = world.when(GET, move |s| s.uri.starts_with(&key), [answer]);
    }
    world
}

/// Where these files lie, and nowhere else: the Region of the test, which is not known beforehand, has none.
pub(super) const IN_ONE_REGION: &str = r#"{"trail": "s3://trail-archive", "regions": "us-east-1"}"#;

#[tokio::test]
async fn without_a_trail_nothing_is_asked() {
    for params in ["{}", r#"{"trail": "none"}"#] {
        let bag = run_with(&["trail-archive"], World::default(), params).await;
        assert_eq!(bag.item("log files of a trail").status, ItemStatus::NotApplicable);
        assert_eq!(bag.world.sent().len(), 0);
    }
}

#[tokio::test]
async fn log_files_come_as_they_lie_and_records_are_filtered_without_tokens() {
    let bag = run(&["trail-archive"], World::default()).await;
    assert_eq!(bag.gaps(), []);
    let item = bag.item("CloudTrail log files of us-east-1, delivered 2026-11-20");
    assert_eq!(item.sensitivity, Sensitivity::S3);
    let whole = World::healthy("S3.GetObject@AWSLogs");
    let Answer::Http { body, .. } = whole else { panic!() };
    assert_eq!(bag.file(item, 0), body, "the object, byte for byte");
    let twin = String::from_utf8(bag.twin(item, 0)).unwrap();
    assert!(twin.starts_with("{\"redacted\":true,\"rule\":\"packed\","), "what holds tokens is sealed: {twin}");
    let events = bag.item("records about the function");
    let lines = String::from_utf8(bag.file(events, 0)).unwrap();
    assert_eq!(lines.lines().count(), 1, "somebody else's call is not about the function: {lines}");
    assert!(lines.contains("ASIAWORLDEXPORT00001") && lines.contains("[withheld]") && !lines.contains("TOKEN-MUST-NOT-LEAVE"), "{lines}");
    assert_eq!(bag.item("integrity of the trail").status, ItemStatus::NotApplicable);
    // Both of the Regions, from the first day of the window on.
    let asked: Vec<String> = bag.sent(LIST).into_iter().map(|s| s.uri).filter(|u| u.contains("start-after")).collect();
    assert_eq!(asked.len(), 4, "{asked:?}");
    assert!(asked.iter().all(|u| u.contains("2026%2F11%2F13")), "{asked:?}");
}

#[tokio::test]
async fn hostile_files_are_gaps_and_the_others_are_read() {
    let good = log_file(&[issue("i1", "ASIADRILLEXPORT00001", "payments-export")]);
    let whole = gzip(&good);
    let files = [
        (log_key(1), gzip(&[vec![b' '; 40 << 20], good.clone()].concat())),
        (log_key(2), gzip(&log_file(&[issue("i2", "ASIADRILLEXPORT00002", "payments-export")]))[..100].to_vec()),
        (log_key(3), b"not gzip at all".to_vec()),
        (log_key(4), gzip(br#"{"Records": [{"a": }]}"#)),
        (log_key(5), whole.clone()),
        // Keys of another form are not fetched, whatever the bucket says.
        (format!("{LOGS}../../etc/passwd.json.gz"), whole.clone()),
        ("AWSLogs/999999999999/CloudTrail/us-east-1/2026/11/20/x.json.gz".to_string(), whole.clone()),
    ];
    let bag = run_with(&["trail-archive"], bucket(&files, &[]), IN_ONE_REGION).await;
    let mut gaps: Vec<_> = bag.gaps().into_iter().map(|(_, kind, subject)| (subject[subject.len() - 16..].to_string(), kind)).collect();
    gaps.sort();
    let of = |n: usize| log_key(n)[log_key(n).len() - 16..].to_string();
    assert_eq!(gaps, [(of(1), GapKind::TooLarge), (of(2), GapKind::Truncated), (of(3), GapKind::Truncated), (of(4), GapKind::Truncated)]);
    assert_eq!(bag.sent(GET).len(), 5);
    assert_eq!(bag.item("log files of us-east-1, delivered").files.len(), 5, "they are evidence all the same");
    let lines = String::from_utf8(bag.file(bag.item("records about the function"), 0)).unwrap();
    assert!(lines.contains(&log_key(5)) && !lines.contains(TOKEN_MARKER), "{lines}");
}

/// A key of CloudTrail's, as it were: made here, so that digests can be signed.
struct Signer {
    key: RsaKeyPair,
    fingerprint: &'static str,
}

impl Signer {
    fn new(fingerprint: &'static str) -> Signer {
        Signer { key: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(), fingerprint }
    }
    /// The text is put together here a second time, from the words of AWS's guide: end time, place, hash, signature before.
    fn sign(&self, digest: &Value) -> String {
        let text = |m: &str| digest[m].as_str().unwrap_or("null").to_string();
        let hash = Sha256::of(digest.to_string().as_bytes());
        let signed = format!(
            "{}\n{}/{}\n{hash}\n{}",
            text("digestEndTime"),
            text("digestS3Bucket"),
            text("digestS3Object"),
            text("previousDigestSignature")
        );
        let mut out = vec![0; self.key.public_modulus_len()];
        self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut out).unwrap();
        hex::encode(out)
    }
    fn listed(&self) -> Answer {
        let value = base64::engine::general_purpose::STANDARD.encode(self.key.public_key().as_ref());
        Answer::json(&json!({"PublicKeyList": [{"Value": value, "Fingerprint": self.fingerprint,
            "ValidityStartTime": 1794000000.0, "ValidityEndTime": 1796000000.0}]}))
    }
}

#[tokio::test]
async fn the_chain_of_digests_is_checked_to_its_signatures() {
    let signer = Signer::new("f1");
    let logs = [log_file(&[json!({"eventID": "1"})]), log_file(&[json!({"eventID": "2"})]), log_file(&[json!({"eventID": "3"})])];
    let named = |n: usize, content: &[u8]| json!({"s3Bucket": "trail-archive", "s3Object": log_key(n), "hashAlgorithm": "SHA-256", "hashValue": Sha256::of(content).to_string()});
    let digest = |hour: usize, files: Vec<Value>, before: Option<(usize, &Value, &str)>| {
        json!({"awsAccountId": "123456789012", "digestEndTime": format!("2026-11-20T{hour:02}:00:00Z"),
            "digestS3Bucket": "trail-archive", "digestS3Object": digest_key(hour), "logFiles": files,
            "digestPublicKeyFingerprint": "f1", "digestSignatureAlgorithm": "SHA256withRSA",
            "previousDigestS3Object": before.map(|b| digest_key(b.0)),
            "previousDigestHashValue": before.map(|b| Sha256::of(b.1.to_string().as_bytes()).to_string()),
            "previousDigestHashAlgorithm": "SHA-256", "previousDigestSignature": before.map(|b| b.2)})
    };
    let first = digest(9, vec![named(1, &logs[0]), named(2, &logs[1])], None);
    let second = digest(10, vec![named(7, b"removed")], Some((9, &first, &signer.sign(&first))));
    // Its predecessor is not the one that it states; it is signed all the same.
    let third = digest(11, vec![], Some((10, &json!("another"), &signer.sign(&second))));
    // Somebody who has no key of CloudTrail's would have the third log file vouched for.
    let forged = digest(12, vec![named(3, &logs[2])], Some((11, &third, &signer.sign(&third))));
    let mut foreign = digest(13, vec![], None);
    foreign["digestPublicKeyFingerprint"] = json!("f2");
    let thief = Signer::new("f1");
    let signatures = [signer.sign(&first), signer.sign(&second), signer.sign(&third), thief.sign(&forged), thief.sign(&foreign)];
    let digests: Vec<(String, Vec<u8>, &str)> = [&first, &second, &third, &forged, &foreign]
        .iter()
        .zip(&signatures)
        .zip(9..)
        .map(|((d, s), hour)| (digest_key(hour), gzip(d.to_string().as_bytes()), s.as_str()))
        .collect();
    // The second log file was changed after delivery; the seventh is gone.
    let changed = log_file(&[json!({"eventID": "not 2"})]);
    let files = [(log_key(1), gzip(&logs[0])), (log_key(2), gzip(&changed)), (log_key(3), gzip(&logs[2]))];
    let world = bucket(&files, &digests).on("CloudTrail.ListPublicKeys", [signer.listed()]);
    let bag = run_with(&["trail-archive"], world, IN_ONE_REGION).await;
    assert_eq!(bag.gaps(), [], "a changed record is a finding, no gap");
    let found = table(&bag, "integrity of the trail");
    assert_eq!((&found["digests"], &found["agree"], &found["agreeSigned"], &found["links"]), (&json!(5), &json!(1), &json!(1), &json!(1)));
    assert_eq!(found["differ"], json!([log_key(2)]));
    assert_eq!(found["missing"], json!([log_key(7)]));
    assert_eq!(found["inNoDigest"], json!([log_key(3)]), "what a forged digest states is not believed");
    assert_eq!(found["brokenLinks"], json!([digest_key(11)]));
    assert_eq!(
        found["signatures"],
        json!({"valid": 3, "invalid": [digest_key(12)], "keyUnknown": [digest_key(13)], "unsigned": []}),
        "{found:#}"
    );
    let mut homes: Vec<_> = bag.sent("CloudTrail.ListPublicKeys").into_iter().map(|s| s.host).collect();
    homes.sort();
    assert_eq!(homes, [format!("cloudtrail.{}.amazonaws.com", bag.region), "cloudtrail.us-east-1.amazonaws.com".to_string()]);

    // Keys that CloudTrail does not give: nothing is claimed of the signatures, and that is a gap.
    let key = "CloudTrail.ListPublicKeys";
    let world = bucket(&files, &digests).on(key, [Answer::error(key, 400, "AccessDeniedException")]);
    let bag = run_with(&["trail-archive"], world, IN_ONE_REGION).await;
    assert!(bag.gaps().iter().all(|g| g.1 == GapKind::Denied && g.2.starts_with("public keys")) && bag.gaps().len() == 2);
    let found = table(&bag, "integrity of the trail");
    assert_eq!((&found["signatures"]["valid"], found["signatures"]["keyUnknown"].as_array().unwrap().len()), (&json!(0), 5));
    assert_eq!((&found["agree"], &found["agreeSigned"]), (&json!(2), &json!(0)), "by their hashes alone");
}

#[tokio::test]
async fn bounds_keep_the_newest_files_and_name_the_rest() {
    let file = gzip(&log_file(&[]));
    let files: Vec<_> = (1..=4).map(|n| (log_key(n), file.clone())).collect();
    for (params, kept) in [
        (r#"{"trail": "s3://trail-archive", "max-files": 1}"#, 1),
        (r#"{"trail": "s3://trail-archive", "max-bytes": "250"}"#, 2),
        (r#"{"trail": "s3://trail-archive", "max-bytes": "1"}"#, 0),
    ] {
        let bag = run_with(&["trail-archive"], bucket(&files, &[]), params).await;
        let gap = bag.item("older log files of us-east-1");
        assert!(is_gap(gap, GapKind::TooLarge), "{gap:?}");
        assert!(gap.detail.as_deref().unwrap().starts_with(&format!("{} of 4 files", 4 - kept)), "{gap:?}");
        assert_eq!(bag.sent(GET).len(), kept);
        assert!(kept == 0 || bag.sent(GET).iter().any(|s| s.uri.contains(&log_key(4))), "the newest");
    }
}

#[tokio::test]
async fn a_bucket_that_refuses_every_file_is_not_asked_for_all() {
    let files: Vec<_> = (1..=40).map(|n| (log_key(n), vec![])).collect();
    let world = bucket(&files, &[]).when(GET, |_| true, [Answer::error(GET, 403, "AccessDenied")]);
    let bag = run(&["trail-archive"], world).await;
    let gap = bag.item("further CloudTrail log files");
    assert!(is_gap(gap, GapKind::Denied) && gap.detail.as_deref().unwrap().starts_with("30 files"), "{gap:?}");
    assert!(bag.sent(GET).len() < 20);
}

#[tokio::test]
async fn a_bucket_of_another_region_is_asked_there() {
    let moved = Answer::new(301, "application/xml", "<Error><Code>PermanentRedirect</Code><Message>as scripted</Message></Error>")
        .header("x-amz-bucket-region", "eu-south-9");
    let world = World::default().when(LIST, |s| !s.host.contains("eu-south-9"), [moved]);
    let bag = run_with(&["trail-archive"], world, IN_ONE_REGION).await;
    assert_eq!(bag.gaps(), []);
    assert_eq!(bag.item("log files of us-east-1, delivered").status, ItemStatus::Collected);
    assert!(bag.sent(GET).iter().all(|s| s.host.contains("eu-south-9")));
    let nowhere = Answer::new(301, "application/xml", "<Error><Code>PermanentRedirect</Code><Message>as scripted</Message></Error>")
        .header("x-amz-bucket-region", "evil.example/");
    let bag = run(&["trail-archive"], World::default().on(LIST, [nowhere])).await;
    assert!(bag.world.sent().iter().all(|s| !s.host.contains("evil")));
    assert!(bag.sent(GET).is_empty());
}

#[tokio::test]
async fn an_organisation_s_trail_is_found_and_a_wrong_place_says_so() {
    let parts = ["AWSLogs/o-a1b2c3d4e5/", "AWSLogs/../", "AWSLogs/999999999999/"];
    let world = World::default().on(LIST, [listing(&[], &[])]).when(LIST, |s| s.uri.contains("delimiter"), [listing(&[], &parts)]);
    let bag = run(&["trail-archive"], world).await;
    let asked: Vec<String> = bag.sent(LIST).into_iter().map(|s| s.uri).filter(|u| !u.contains("delimiter")).collect();
    assert!(!asked.is_empty() && asked.iter().all(|u| u.contains("AWSLogs%2Fo-a1b2c3d4e5%2F123456789012%2FCloudTrail")), "{asked:?}");
    let world = World::default().on(LIST, [listing(&[], &["AWSLogs/999999999999/"])]);
    let bag = run(&["trail-archive"], world).await;
    let gap = bag.item("log files of a trail");
    assert!(is_gap(gap, GapKind::Unsupported) && gap.detail.as_deref().unwrap().contains("neither account 123456789012"), "{gap:?}");
}

// ── events from a trail's files ──

pub(super) const BOTH: &[&str] = &["credential-activity", "control-plane-history", "trail-archive"];
const FROM_TRAIL: &str = r#"{"trail": "s3://trail-archive", "from": "trail", "regions": "us-east-1"}"#;

/// Two log files: in the later one the thief takes a role, in the earlier one that role's key is used. (Delivery keeps no order.)
fn chained() -> Vec<(String, Vec<u8>)> {
    let mut taken = stolen("a1", "ASIADRILLEXPORT00001");
    taken["eventName"] = json!("AssumeRole");
    // No scope, as in older records: role and name tell whose session it is. (The wire cannot fill the test's Region into packed files.)
    taken["userIdentity"]["inScopeOf"] = Value::Null;
    taken["responseElements"] =
        json!({"credentials": {"accessKeyId": "ASIAADMIN1", "sessionToken": TOKEN_MARKER, "expiration": "Nov 21, 2026, 12:30:00 AM"}});
    let by_admin = json!({"eventID": "b1", "eventName": "ListUsers", "eventSource": "iam.amazonaws.com", "awsRegion": "us-east-1",
        "eventTime": "2026-11-20T10:30:00Z", "sourceIPAddress": "203.0.113.66", "userAgent": "aws-cli/2", "readOnly": true,
        "userIdentity": {"type": "AssumedRole", "accessKeyId": "ASIAADMIN1", "principalId": "AROAADMIN:x"}});
    let changed = json!({"eventID": "c1", "eventName": "UpdateFunctionCode20150331v2", "eventSource": "lambda.amazonaws.com",
        "awsRegion": "us-east-1", "eventTime": "2026-11-20T09:00:00Z", "readOnly": false,
        "requestParameters": {"functionName": "payments-export"}, "userIdentity": {"type": "IAMUser", "accessKeyId": "AKIABUILD1"}});
    vec![
        (log_key(1), gzip(&log_file(&[by_admin, changed]))),
        (log_key(2), gzip(&log_file(&[issue("i1", "ASIADRILLEXPORT00001", "payments-export"), taken]))),
    ]
}

#[tokio::test]
async fn a_trail_s_files_are_read_once_for_all_and_no_event_history_is_searched() {
    let files = chained();
    let bag = run_with(BOTH, bucket(&files, &[]), FROM_TRAIL).await;
    assert_eq!(bag.gaps(), []);
    assert!(bag.sent(LOOKUP).is_empty());
    assert_eq!(bag.sent(GET).len(), 2, "each file once");
    let document = table(&bag, "keys issued to the function");
    assert_eq!((&document["source"], &document["complete"]), (&json!("the trail's files"), &json!(true)));
    assert_eq!(document["lastToExpire"], "ASIAADMIN1", "a key that a later file shows was looked for in the earlier one");
    let keys = document["keys"].as_array().unwrap();
    let admin = keys.iter().find(|k| k["accessKeyId"] == "ASIAADMIN1").unwrap();
    assert_eq!((&admin["uses"], &admin["depth"], &admin["obtainedWith"]), (&json!(1), &json!(1), &json!("ASIADRILLEXPORT00001")));
    let events = String::from_utf8(bag.file(bag.item("keys obtained by them"), 0)).unwrap();
    assert_eq!(events.lines().count(), 4, "{events}");
    let changes = String::from_utf8(bag.file(bag.item("calls that changed the function"), 0)).unwrap();
    assert!(changes.lines().count() == 1 && changes.contains("UpdateFunctionCode") && changes.contains(&log_key(1)), "{changes}");
    assert_eq!(bag.item("calls that changed the function").collector, "control-plane-history");
    for text in [&events, &changes, &document.to_string()] {
        assert!(!text.contains(TOKEN_MARKER), "{text}");
    }
    assert!(bag.items.iter().all(|i| i.collector != "trail-archive" || i.id < bag.item("keys issued to the function").id), "read first");
}

#[tokio::test]
async fn what_the_files_do_not_show_whole_is_open_for_whoever_builds_on_them() {
    let mut files = chained();
    files[0].1.truncate(40);
    let bag = run_with(BOTH, bucket(&files, &[]), FROM_TRAIL).await;
    let whose: Vec<_> = bag.gaps().into_iter().map(|g| (g.0, g.1)).collect();
    for collector in BOTH {
        assert!(whose.contains(&(collector, GapKind::Truncated)), "{collector}: {whose:?}");
    }
    let document = table(&bag, "keys issued to the function");
    assert_eq!((&document["complete"], &document["lastExpiryIsExact"]), (&json!(false), &json!(false)));

    // No trail to read: denied, unnamed, or no part of the plan.
    let denied = World::default().on(LIST, [Answer::error(LIST, 403, "AccessDenied")]);
    let bag = run_with(BOTH, denied, FROM_TRAIL).await;
    let gaps = bag.gaps();
    assert!(gaps.len() == 3 && gaps.iter().all(|g| g.1 == GapKind::Denied), "{gaps:?}");
    assert!(bag.sent(LOOKUP).is_empty(), "the history was not asked for");
    for (collectors, params) in [(BOTH, r#"{"from": "trail"}"#), (&BOTH[..2], FROM_TRAIL)] {
        let bag = run_with(collectors, World::default(), params).await;
        let gaps: Vec<_> = bag.gaps().into_iter().map(|g| (g.0, g.1)).collect();
        assert_eq!(gaps, [("credential-activity", GapKind::Unsupported), ("control-plane-history", GapKind::Unsupported)]);
    }
}

#[tokio::test]
async fn quiet_files_are_an_answer() {
    let bag = run_with(BOTH, bucket(&[(log_key(1), gzip(&log_file(&[])))], &[]), FROM_TRAIL).await;
    assert_eq!(bag.gaps(), []);
    assert_eq!(bag.item("keys obtained by them").status, ItemStatus::Empty);
    assert_eq!(bag.item("calls that changed the function").status, ItemStatus::Empty);
    assert_eq!(table(&bag, "keys issued to the function")["keys"], json!([]));
}
