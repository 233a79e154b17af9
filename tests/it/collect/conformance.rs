//! What every collector does when AWS answers, has nothing, refuses, throttles, breaks off, or pages: for each call that it declares, so that
//! a new collector is tested the moment it stands in the slice. `the_table_has_no_hole` prints which call was put into which situation, and
//! why the others were not.

use super::pages::{self, followed_by, paging};
use super::{Bag, is_gap, run};
use crate::bench::table::Table;
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

/// What AWS may do to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Situation {
    Healthy,
    Absent,
    Denied,
    ThrottledThenHealthy,
    ThrottledOut,
    Truncated,
    Broken,
    ThreePages,
    PageTwoFailing,
}
use Situation::{Absent, Broken, Denied, Healthy, PageTwoFailing, ThreePages, ThrottledOut, ThrottledThenHealthy, Truncated};

const SITUATIONS: [Situation; 9] =
    [Healthy, Absent, Denied, ThrottledThenHealthy, ThrottledOut, Truncated, Broken, ThreePages, PageTwoFailing];

/// Calls that page, and that we ask so that there is one page.
const ONE_PAGE: &[(&str, &str)] = &[
    ("Elastic-Load-Balancing-v2.DescribeTargetGroups", "it is asked for one target group by its ARN"),
    ("CloudFormation.DescribeStacks", "it is asked for one stack by its ARN"),
];

/// Where a call is put into this situation, if not here.
enum Elsewhere {
    /// A test of this name.
    In(&'static str),
    /// It cannot get there.
    Never(&'static str),
}

fn elsewhere(collector: &str, call: &Call, what: Situation) -> Option<Elsewhere> {
    // Declared by the collectors of code for its second asking only; the first is the shared look-up's, which is in the table.
    if ["function-code", "version-code"].contains(&collector) && call.operation == "GetFunction" && paging(call).is_none() {
        return Some(match what {
            ThreePages | PageTwoFailing => Elsewhere::Never("it answers at once, says botocore"),
            _ => Elsewhere::In("a_second_asking_is_a_question_like_any_other"),
        });
    }
    match (collector, call.operation, what) {
        ("recent-invocations", "StopQuery", ThreePages | PageTwoFailing) => {}
        ("recent-invocations", "StopQuery", _) => return Some(Elsewhere::In("a_running_query_is_waited_for_and_not_for_ever")),
        ("layers", "GetLayerVersionByArn", Absent) => {
            return Some(Elsewhere::In("a_layer_that_was_deleted_still_runs_and_is_a_gap"));
        }
        // One world cannot have its traces in two places; and one function is in one Region.
        ("traces", "StartTraceRetrieval" | "ListRetrievedTraces", Healthy) => return Some(Elsewhere::In("absence_is_an_answer")),
        ("edge-associations", _, Healthy) => {
            return Some(Elsewhere::In("of_distributions_only_what_runs_the_function_is_told_with_its_path"));
        }
        _ => {}
    }
    match what {
        // To a presigned address a 403 says that it expired.
        Absent | Denied | Broken if call.service == Service::Https => {
            Some(Elsewhere::In("a_presigned_address_that_gives_nothing_is_a_gap"))
        }
        ThreePages | PageTwoFailing if paging(call).is_none() => Some(Elsewhere::Never("it answers at once, says botocore")),
        ThreePages | PageTwoFailing => ONE_PAGE.iter().find(|(k, _)| *k == key(call)).map(|(_, why)| Elsewhere::Never(why)),
        _ => None,
    }
}

/// The calls that this file puts into a situation.
fn calls_for(what: Situation) -> Vec<(&'static str, &'static Call)> {
    each_call().into_iter().filter(|(collector, call)| elsewhere(collector, call, what).is_none()).collect()
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

/// Page one; then `second` under the token `page-two`; then the healthy answer under `page-three`.
fn in_pages(world: World, call: &Call, second: Answer) -> World {
    let key = key(call);
    let world = world.on(&key, [followed_by(call, "page-two")]).when(&key, |sent| sent.says("page-two"), [second]);
    world.when(&key, |sent| sent.says("page-three"), [World::healthy(&key)])
}

/// A call is asked to come back later.
fn throttled(call: &Call) -> (u16, Answer) {
    let (status, code) = match call.service {
        Service::Lambda => (429, "TooManyRequestsException"),
        Service::Https => (503, "SlowDown"),
        _ => (400, "ThrottlingException"),
    };
    (status, Answer::error(&key(call), status, code))
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
    for (collector, call) in calls_for(Healthy) {
        asked(&bag, collector, call);
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
    for (collector, call) in calls_for(Absent) {
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
    for (collector, call) in calls_for(Denied) {
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
    for (collector, call) in calls_for(ThrottledThenHealthy) {
        let (status, refusal) = throttled(call);
        let world = world_of(collector, call).on(&key(call), [refusal, healthy(collector, call)]);
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
async fn throttling_that_does_not_end_is_a_gap_after_so_many_attempts() {
    for (collector, call) in calls_for(ThrottledOut) {
        let (status, refusal) = throttled(call);
        let bag = run(&[collector], world_of(collector, call).on(&key(call), [refusal])).await;
        let most = if call.service == Service::Https { 3 } else { 5 };
        for item in asked(&bag, collector, call) {
            assert!(is_gap(item, GapKind::Throttled), "{collector}: {call}: {item:?}");
            let attempts: Vec<_> = bag.exchanges(item).iter().map(|x| (x.attempt, x.status)).collect();
            assert_eq!(attempts, (1..=most).map(|n| (n, Some(status))).collect::<Vec<_>>(), "{collector}: {call}: all are on tape");
            assert!(item.question.is_some(), "{item:?}");
        }
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_a_gap_and_its_part_is_kept() {
    for (collector, call) in calls_for(Truncated) {
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
    for (collector, call) in calls_for(Broken) {
        let bag = run(&[collector], world_of(collector, call).on(&key(call), [Answer::Broken])).await;
        for item in asked(&bag, collector, call) {
            assert!(is_gap(item, GapKind::Transport), "{collector}: {call}: {item:?}");
            assert!(bag.exchanges(item).iter().all(|x| x.body_end == BodyEnd::NoResponse && x.status.is_none()));
        }
    }
}

#[tokio::test]
async fn three_pages_are_one_item() {
    let mut wrong = vec![];
    for (collector, call) in calls_for(ThreePages) {
        let bag = run(&[collector], in_pages(world_of(collector, call), call, followed_by(call, "page-three"))).await;
        assert_eq!(open(&bag), [], "{collector}: {call}");
        for item in asked(&bag, collector, call) {
            let kept = if withheld(collector, call) { 0 } else { 3 };
            if (item.status, item.files.len(), item.exchanges.len()) != (ItemStatus::Collected, kept, 3) {
                wrong.push(format!("{collector}: {call}: {:?}, {} files, {} pages", item.status, item.files.len(), item.exchanges.len()));
            }
        }
        if !bag.sent(&key(call)).iter().any(|s| s.says("page-three")) {
            wrong.push(format!("{collector}: {call}: the third page was not asked for"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_failing_second_page_keeps_the_first_and_says_so() {
    for (collector, call) in calls_for(PageTwoFailing) {
        let k = key(call);
        let gone = if call.service == Service::Iam { "NoSuchEntity" } else { "ResourceNotFoundException" };
        for (second, kind) in [
            (Answer::error(&k, 403, "AccessDeniedException"), GapKind::Denied),
            // It was there a page ago: this is no proof of absence.
            (Answer::error(&k, 404, gone), GapKind::Transport),
        ] {
            let bag = run(&[collector], in_pages(world_of(collector, call), call, second)).await;
            for item in asked(&bag, collector, call) {
                assert!(is_gap(item, kind), "{collector}: {call}: {item:?}");
                assert!(
                    item.detail.as_deref().is_some_and(|d| d.contains("page 2 failed; ") && d.contains("entries of the pages before")),
                    "{collector}: {call}: {item:?}"
                );
                if !withheld(collector, call) {
                    let first = placed(followed_by(call, "page-two").text().as_bytes(), &bag.region);
                    assert_eq!(bag.file(item, 0), as_sent(&k, first));
                }
            }
        }
    }
}

#[tokio::test]
async fn a_page_token_that_repeats_ends_the_reading() {
    for (collector, call) in calls_for(ThreePages) {
        let bag = run(&[collector], world_of(collector, call).on(&key(call), [followed_by(call, "page-two")])).await;
        for item in asked(&bag, collector, call) {
            assert!(is_gap(item, GapKind::Truncated), "{collector}: {call}: {item:?}");
            assert_eq!(item.files.len(), if withheld(collector, call) { 0 } else { 2 }, "{collector}: {call}");
        }
    }
}

/// Every collector in every situation that its calls can get into; what this file cannot do to a call, another test does, or nobody can.
#[test]
fn the_table_has_no_hole() {
    let head: Vec<String> = ["collector", "calls"].into_iter().map(str::to_string).chain(SITUATIONS.map(|s| format!("{s:?}"))).collect();
    let mut table = Table::of(&head.iter().map(String::as_str).collect::<Vec<_>>());
    let (mut notes, mut elsewhere_in, mut total) = (BTreeSet::new(), BTreeSet::new(), [0; SITUATIONS.len()]);
    let (mut in_others, mut in_none) = (0, 0);
    for spec in COLLECTORS.iter().map(|c| c.spec()) {
        let mut row = vec![spec.id.to_string(), spec.calls.len().to_string()];
        for (n, what) in SITUATIONS.into_iter().enumerate() {
            let mut here = 0;
            for call in spec.calls {
                match elsewhere(spec.id, call, what) {
                    None => here += 1,
                    Some(Elsewhere::In(test)) => {
                        in_others += 1;
                        elsewhere_in.insert(test);
                        notes.insert(format!("{}: {call}: {what:?}: in {test}", spec.id));
                    }
                    // Pages are the one thing that not every call has.
                    Some(Elsewhere::Never(why)) => {
                        assert!(matches!(what, ThreePages | PageTwoFailing), "{}: {call}: {why}", spec.id);
                        in_none += 1;
                        if paging(call).is_some() {
                            notes.insert(format!("{}: {call}: one page: {why}", spec.id));
                        }
                    }
                }
            }
            total[n] += here;
            row.push(if here == 0 { "–".into() } else { here.to_string() });
        }
        if spec.calls.iter().all(|c| paging(c).is_none()) {
            notes.insert(format!("{}: none of its calls pages", spec.id));
        }
        table.row(row);
    }
    table.row(["all".to_string(), each_call().len().to_string()].into_iter().chain(total.map(|n| n.to_string())));
    let (collectors, calls, here) = (COLLECTORS.len(), each_call().len(), total.iter().sum::<usize>());
    assert_eq!(here + in_others + in_none, calls * SITUATIONS.len());
    println!("{table}(pages as botocore {} has them)\n", pages::botocore());
    println!(
        "{collectors} collectors with {calls} calls in {} situations: {here} here, {in_others} in tests of their own (below), {in_none} where a call has \
        no second page\n",
        SITUATIONS.len()
    );
    println!("{}", notes.iter().cloned().collect::<Vec<_>>().join("\n"));
    // The tests that stand in for this file's exist.
    let sources =
        [include_str!("conformance.rs"), include_str!("detections.rs"), include_str!("units.rs"), include_str!("lambda_surface.rs")];
    for test in elsewhere_in {
        assert!(sources.iter().any(|s| s.contains(&format!("async fn {test}()"))), "{test}");
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
