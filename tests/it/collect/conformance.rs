//! What every collector does when AWS answers, has nothing, refuses, throttles, breaks off, or pages: for each call that it declares, so that
//! a new collector is tested the moment it stands in the slice.

use super::{Bag, is_gap, run};
use crate::support::wire::{Answer, World, as_sent, key, placed};
use freezeframe::collect::COLLECTORS;
use freezeframe::model::call::{Access, Call, Service};
use freezeframe::model::exchange::BodyEnd;
use freezeframe::model::gap::GapKind;
use freezeframe::model::item::{Item, ItemStatus};
use std::collections::BTreeSet;

/// Every (collector, call), with what the world's healthy answer is.
fn each_call() -> Vec<(&'static str, &'static Call)> {
    COLLECTORS.iter().map(|c| c.spec()).flat_map(|s| s.calls.iter().map(|c| (s.id, c))).collect()
}

/// `GetFunction` is declared by the collectors of code for its second asking only; the first is the shared look-up's.
fn second_asking(collector: &str, call: &Call) -> bool {
    ["function-code", "version-code"].contains(&collector) && call.operation == "GetFunction"
}

/// Asked only where something is not as it is in the healthy world, or not there where all collectors run: a test of its own says when.
fn conditional(collector: &str, call: &Call) -> bool {
    second_asking(collector, call) || (collector, call.operation) == ("recent-invocations", "StopQuery")
}

/// The world in which this collector makes this call.
fn world_of(collector: &str, call: &Call) -> World {
    match (collector, call.operation) {
        // Transaction Search.
        ("traces", "StartTraceRetrieval" | "ListRetrievedTraces") => {
            let logs = serde_json::json!({"Destination": "CloudWatchLogs", "Status": "ACTIVE"});
            World::default().on("XRay.GetTraceSegmentDestination", [Answer::json(&logs)])
        }
        _ => World::default(),
    }
}

/// What that world leaves open of itself: with Transaction Search, the traces that X-Ray does not index.
fn open(bag: &Bag) -> Vec<(&str, GapKind, &str)> {
    bag.gaps().into_iter().filter(|g| g.2 != "traces that X-Ray does not index").collect()
}

/// Paged, though the name does not say so.
const ALSO_PAGED: &[&str] = &[
    // invocations
    "GetDurableExecutionHistory",
    "GetMetricData",
    "GetQueryResults",
    "GetTraceSummaries",
    "BatchGetTraces",
    // Network and deployment.
    "DescribeStackEvents",
    "GetResourceConfigHistory",
    "GetComplianceDetailsByResource",
    // Detections.
    "GetFindingHistory",
    "GetFindingsV2",
    "GetFindingV2",
    "DescribeAlarms",
    "DescribeConfigRules",
];

fn paged(call: &Call) -> bool {
    if call.operation == "ListTags" {
        return false;
    }
    if ALSO_PAGED.contains(&call.operation) {
        return true;
    }
    // Detections: GuardDuty's operation of that name takes ids, and has no pages.
    if matches!((call.service, call.operation), (Service::Securityhub, "GetFindings")) {
        return true;
    }
    ["List", "Filter", "Lookup"].iter().any(|p| call.operation.starts_with(p))
        || ([Service::Logs, Service::Ec2, Service::Autoscaling].contains(&call.service) && call.operation.starts_with("Describe"))
}

/// Asked with its answer withheld: hashed, and no byte of it kept.
fn withheld(collector: &str, call: &Call) -> bool {
    collector == "shared-role-census" && call.operation == "ListFunctions"
}

/// What the world answers to this collector's call: a trail's file is another object than a function's code.
fn healthy(collector: &str, call: &Call) -> Answer {
    match (collector, call.operation) {
        ("trail-archive", "GetObject") => World::healthy("S3.GetObject@AWSLogs"),
        _ => World::healthy(&key(call)),
    }
}

/// The answer that says that there is another page, under the token `page-two`.
fn first_of_two(call: &Call) -> Answer {
    let whole = World::healthy(&key(call));
    if call.service == Service::Iam {
        let text = whole.text().replace("<IsTruncated>false</IsTruncated>", "<IsTruncated>true</IsTruncated><Marker>page-two</Marker>");
        return Answer::new(200, "text/xml", text);
    }
    if call.service == Service::Cloudfront {
        let more = "<IsTruncated>true</IsTruncated><NextMarker>page-two</NextMarker>";
        return Answer::new(200, "text/xml", whole.text().replace("<IsTruncated>false</IsTruncated>", more));
    }
    if call.operation == "ListObjectsV2" {
        let more = "<IsTruncated>true</IsTruncated><NextContinuationToken>page-two</NextContinuationToken>";
        return Answer::new(200, "application/xml", whole.text().replace("<IsTruncated>false</IsTruncated>", more));
    }
    if call.service == Service::S3 {
        let more = "<IsTruncated>true</IsTruncated><NextKeyMarker>page-two</NextKeyMarker><NextVersionIdMarker>v</NextVersionIdMarker>";
        return Answer::new(200, "application/xml", whole.text().replace("<IsTruncated>false</IsTruncated>", more));
    }
    if call.service == Service::Sns {
        let text = whole.text().replace("</Subscriptions>", "</Subscriptions><NextToken>page-two</NextToken>");
        return Answer::new(200, "text/xml", text);
    }
    // Network and deployment.
    if call.service == Service::Ec2 {
        let end = format!("</{}Response>", call.operation);
        let text = whole.text().replace(&end, &format!("    <nextToken>page-two</nextToken>\n{end}"));
        return Answer::new(200, "text/xml", text);
    }
    if call.service == Service::Cloudformation {
        let end = format!("</{}Result>", call.operation);
        return Answer::new(200, "text/xml", whole.text().replace(&end, &format!("<NextToken>page-two</NextToken>{end}")));
    }
    let mut body: serde_json::Value = serde_json::from_str(&whole.text()).unwrap();
    let member = match call.service {
        Service::Lambda | Service::Kms => "NextMarker",
        Service::Logs | Service::S3files | Service::Guardduty | Service::Inspector | Service::AccessAnalyzer => "nextToken",
        // AWS Config is of two minds.
        Service::Config if call.operation != "GetComplianceDetailsByResource" => "nextToken",
        _ => "NextToken",
    };
    body[member] = "page-two".into();
    // The group itself on the first page would end the reading of neighbours.
    if let Some(name) = body.pointer_mut("/logGroups/0/logGroupName") {
        *name = "/payments/export-neighbour".into();
    }
    Answer::json(&body)
}

fn on_page_two(world: World, call: &Call, second: Answer) -> World {
    let key = key(call);
    world.on(&key, [first_of_two(call)]).when(&key, |sent| sent.says("page-two"), [second])
}

/// Items of the collector that were asked with this call.
fn asked<'b>(bag: &'b Bag, collector: &str, call: &Call) -> Vec<&'b Item> {
    let mut found = bag.asked(collector, call.operation);
    // Two services of one collector may have operations of one name.
    found.retain(|i| bag.exchanges(i).iter().all(|x| x.service == call.service.sdk_id()));
    assert!(!found.is_empty(), "{collector} asked no {}", call.operation);
    found
}

#[test]
fn the_slice_keeps_its_order_and_reads_only() {
    let specs: Vec<_> = COLLECTORS.iter().map(|c| c.spec()).collect();
    assert_eq!(specs[0].id, "function-code", "its address dies in ten minutes");
    assert!(
        specs.windows(2).all(|w| w[0].volatility >= w[1].volatility),
        "{:?}",
        specs.iter().map(|s| (s.id, s.volatility)).collect::<Vec<_>>()
    );
    assert_eq!(specs.iter().map(|s| s.id).collect::<BTreeSet<_>>().len(), specs.len());
    for spec in specs {
        assert!(spec.answers.ends_with('?') && !spec.title.is_empty(), "{}", spec.id);
        for call in spec.calls {
            assert_eq!(call.access, Access::Read, "{}: {call}", spec.id);
            assert!(World::knows(&key(call)), "{}: tests/data/wire/world has no answer for {}", spec.id, key(call));
        }
        for param in spec.params {
            assert!(param.kind.objection(&param.default.into()).is_none(), "{}: default of {}", spec.id, param.name);
        }
    }
}

#[tokio::test]
async fn a_healthy_world_leaves_no_gap_and_every_declared_call_is_made() {
    let all: Vec<_> = COLLECTORS.iter().map(|c| c.spec().id).collect();
    let bag = run(&all, World::default()).await;
    assert_eq!(bag.gaps(), []);
    for (collector, call) in each_call() {
        let elsewhere = collector == "edge-associations" || ["StartTraceRetrieval", "ListRetrievedTraces"].contains(&call.operation);
        if !elsewhere && !conditional(collector, call) {
            asked(&bag, collector, call);
        }
    }
    for item in &bag.items {
        let kept_none = item.collector == "shared-role-census" && item.subject.contains("not kept");
        assert!(!item.files.is_empty() || item.status == ItemStatus::NotApplicable || kept_none, "{item:?}");
        for file in &item.files {
            assert_eq!(std::fs::read(file.path.under(bag.draft.dir())).unwrap().len() as u64, file.bytes);
        }
    }
    // Bodies are kept as they came: a member that the SDK does not know is in evidence, white space and all.
    let kept = bag.file(bag.item("configuration and code location"), 0);
    assert_eq!(String::from_utf8(kept).unwrap(), World::healthy("Lambda.GetFunction").text());
    let mut asked: Vec<_> = bag.sent("Lambda.GetFunction").iter().map(|s| s.uri.split_once('?').map_or("", |q| q.1).to_string()).collect();
    asked.sort();
    assert_eq!(asked, ["", "Qualifier=1", "Qualifier=2", "Qualifier=live"], "each shared look-up is made once");
    assert_eq!(bag.sent("Lambda.ListVersionsByFunction").len(), 1);
}

#[tokio::test]
async fn absence_is_an_answer() {
    for (collector, call) in each_call() {
        if conditional(collector, call) || call.service == Service::Https {
            continue;
        }
        let code = if call.service == Service::Iam { "NoSuchEntity" } else { "ResourceNotFoundException" };
        let bag = run(&[collector], world_of(collector, call).on(&key(call), [Answer::error(&key(call), 404, code)])).await;
        assert_eq!(open(&bag), [], "{collector}: {call}");
        for item in asked(&bag, collector, call) {
            assert_eq!(item.status, ItemStatus::NotFound, "{collector}: {call}");
            assert_eq!(item.files.len(), 1, "the 404's body is the proof: {item:?}");
        }
    }
}

#[tokio::test]
async fn denial_is_a_gap_that_names_the_action() {
    for (collector, call) in each_call() {
        if conditional(collector, call) || call.service == Service::Https {
            continue;
        }
        let code = if call.service == Service::Lambda { "AccessDeniedException" } else { "AccessDenied" };
        let bag = run(&[collector], world_of(collector, call).on(&key(call), [Answer::error(&key(call), 403, code)])).await;
        let answers = freezeframe::collect::find(collector).unwrap().spec().answers;
        for item in asked(&bag, collector, call) {
            assert!(is_gap(item, GapKind::Denied), "{collector}: {call}: {item:?}");
            assert_eq!(item.action.as_deref(), call.action);
            assert_eq!(item.question.as_deref(), Some(answers));
            assert!(item.detail.as_deref().is_some_and(|d| d.contains("as scripted")), "AWS's own words: {item:?}");
            assert_eq!(bag.exchanges(item).len(), 1, "a denial is not retried");
        }
    }
}

#[tokio::test]
async fn throttling_is_outlasted_and_stays_visible() {
    for (collector, call) in each_call() {
        if conditional(collector, call) {
            continue;
        }
        let (status, code) = match call.service {
            Service::Lambda => (429, "TooManyRequestsException"),
            Service::Https => (503, "SlowDown"),
            _ => (400, "ThrottlingException"),
        };
        let world = world_of(collector, call).on(&key(call), [Answer::error(&key(call), status, code), healthy(collector, call)]);
        let bag = run(&[collector], world).await;
        assert_eq!(open(&bag), [], "{collector}: {call}");
        let tried: Vec<_> = asked(&bag, collector, call).into_iter().filter(|i| i.exchanges.len() > 1).collect();
        assert_eq!(tried.len(), 1, "{collector}: {call}");
        let attempts = bag.exchanges(tried[0]);
        assert_eq!(attempts.iter().map(|x| (x.attempt, x.status)).collect::<Vec<_>>(), [(1, Some(status)), (2, Some(200))]);
        assert_eq!(attempts[0].invocation, attempts[1].invocation);
        assert_eq!(tried[0].files.len(), usize::from(!withheld(collector, call)), "the refusal is an exchange, not a part of the answer");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_a_gap_and_its_part_is_kept() {
    for (collector, call) in each_call() {
        if conditional(collector, call) {
            continue;
        }
        let bag = run(&[collector], world_of(collector, call).on(&key(call), [World::healthy(&key(call)).cut()])).await;
        let whole = World::healthy(&key(call));
        let Answer::Http { body, .. } = whole else { panic!() };
        for item in asked(&bag, collector, call) {
            assert!(is_gap(item, GapKind::Truncated), "{collector}: {call}: {item:?}");
            let exchanges = bag.exchanges(item);
            assert!(exchanges.iter().all(|x| matches!(&x.body_end, BodyEnd::Failed(why) if why.contains("as scripted"))), "{exchanges:?}");
            if withheld(collector, call) {
                assert!(item.files.is_empty(), "{item:?}");
                continue;
            }
            let body = as_sent(&key(call), placed(&body, &bag.region));
            assert_eq!(bag.file(item, 0), &body[..body.len().div_ceil(2)], "{collector}: {call}");
        }
    }
}

#[tokio::test]
async fn a_connection_that_breaks_is_a_gap() {
    for (collector, call) in each_call() {
        if conditional(collector, call) || call.service == Service::Https {
            continue;
        }
        let bag = run(&[collector], world_of(collector, call).on(&key(call), [Answer::Broken])).await;
        for item in asked(&bag, collector, call) {
            assert!(is_gap(item, GapKind::Transport), "{collector}: {call}: {item:?}");
            assert!(bag.exchanges(item).iter().all(|x| x.body_end == BodyEnd::NoResponse && x.status.is_none()));
        }
    }
}

#[tokio::test]
async fn two_pages_are_one_item() {
    let mut seen = 0;
    for (collector, call) in each_call().into_iter().filter(|(_, call)| paged(call)) {
        seen += 1;
        let bag = run(&[collector], on_page_two(world_of(collector, call), call, World::healthy(&key(call)))).await;
        assert_eq!(open(&bag), [], "{collector}: {call}");
        for item in asked(&bag, collector, call) {
            let kept = if withheld(collector, call) { 0 } else { 2 };
            assert_eq!((item.status, item.files.len()), (ItemStatus::Collected, kept), "{collector}: {call}");
        }
        assert!(bag.sent(&key(call)).iter().any(|s| s.says("page-two")));
    }
    assert!(seen >= 11, "{seen} paged calls");
}

#[tokio::test]
async fn a_failing_second_page_keeps_the_first_and_says_so() {
    for (collector, call) in each_call().into_iter().filter(|(_, call)| paged(call)) {
        let k = key(call);
        let gone = if call.service == Service::Iam { "NoSuchEntity" } else { "ResourceNotFoundException" };
        for (second, kind) in [
            (Answer::error(&k, 403, "AccessDeniedException"), GapKind::Denied),
            // It was there a page ago: this is no proof of absence.
            (Answer::error(&k, 404, gone), GapKind::Transport),
        ] {
            let bag = run(&[collector], on_page_two(world_of(collector, call), call, second)).await;
            for item in asked(&bag, collector, call) {
                assert!(is_gap(item, kind), "{collector}: {call}: {item:?}");
                assert!(
                    item.detail.as_deref().is_some_and(|d| d.contains("page 2 failed; ") && d.contains("entries of the pages before")),
                    "{item:?}"
                );
                if !withheld(collector, call) {
                    let first = placed(first_of_two(call).text().as_bytes(), &bag.region);
                    assert_eq!(bag.file(item, 0), as_sent(&k, first));
                }
            }
        }
    }
}

#[tokio::test]
async fn a_page_token_that_repeats_ends_the_reading() {
    for (collector, call) in each_call().into_iter().filter(|(_, call)| paged(call)) {
        let bag = run(&[collector], world_of(collector, call).on(&key(call), [first_of_two(call)])).await;
        for item in asked(&bag, collector, call) {
            assert!(is_gap(item, GapKind::Truncated), "{collector}: {call}: {item:?}");
            assert_eq!(item.files.len(), if withheld(collector, call) { 0 } else { 2 });
        }
    }
}

#[tokio::test]
async fn an_endpoint_that_never_answers_is_out_of_time() {
    let call = &freezeframe::collect::find("concurrency").unwrap().spec().calls[0];
    let bag = run(&["concurrency"], World::default().on(&key(call), [Answer::Never])).await;
    let item = bag.item("reserved concurrency");
    assert!(is_gap(item, GapKind::OutOfTime), "{item:?}");
    assert_eq!(bag.exchanges(item).len(), 5, "every attempt is on tape, though none was answered");
}
