//! A whole run over the scripted wire, from preflight to the sealed zip: what an operator's words, a function that is gone and the judgement on
//! techniques leave in report and bundle.

use crate::bench::critical_to_a11;
use crate::bench::table::Table;
use crate::support::tools::{python_tools, repository};
use crate::support::wire::{self, Answer, World};
use freezeframe::aws::Connector;
use freezeframe::bundle::documents::{Coverage, UnitEnd};
use freezeframe::bundle::source::{BagSource, EntryName};
use freezeframe::clock::{Clock, FakeClock};
use freezeframe::collect::COLLECTORS;
use freezeframe::engine::others::OtherCases;
use freezeframe::engine::preflight::{Missing, PreflightError, preflight_or};
use freezeframe::engine::progress::Silent;
use freezeframe::engine::report::Report;
use freezeframe::engine::run::{Doors, Order, run};
use freezeframe::examine::techniques::{Techniques, Verdict};
use freezeframe::model::exchange::Exchange;
use freezeframe::model::id::RunId;
use freezeframe::model::item::{Group, Item, ItemStatus};
use freezeframe::model::path::BundlePath;
use freezeframe::plan::Plan;
use freezeframe::plan::adjust::Adjustments;
use freezeframe::playbook::{self, Registry};
use freezeframe::store::mem::MemStore;
use serde_json::{Value, json};
use std::process::Command;
use std::sync::Arc;
use tokio::sync::watch;

const ROLE: &str = "arn:aws:iam::123456789012:role/service-role/payments-export-role";

struct Ran {
    report: Report,
    plan: Plan,
    world: Arc<World>,
    dir: tempfile::TempDir,
}

impl Ran {
    fn file(&self, path: &str) -> Vec<u8> {
        let bag = BagSource::open(&self.report.bundles[0].path).unwrap();
        bag.read_small(&BundlePath::parse(path).unwrap(), 64 << 20).unwrap()
    }
    fn items(&self) -> Vec<Item> {
        let lines = String::from_utf8(self.file("meta/items.jsonl")).unwrap();
        lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    }
    /// Every exchange of the bundle, with the round trip in which it was answered.
    fn rounds(&self) -> Vec<(usize, Exchange)> {
        let bag = BagSource::open(&self.report.bundles[0].path).unwrap();
        let sent = self.world.sent();
        let round = |x: &Exchange| sent[x.request_id.as_deref().unwrap()["request-".len()..].parse::<usize>().unwrap() - 1].round;
        let exchanges = bag.files().iter().filter_map(|f| match &f.name {
            EntryName::Path(path) if path.as_str().ends_with(".http.json") => Some(path),
            _ => None,
        });
        let read = |path| serde_json::from_slice::<Exchange>(&bag.read_small(path, 1 << 20).unwrap()).unwrap();
        let mut all: Vec<_> = exchanges.map(read).map(|x| (round(&x), x)).collect();
        // What was asked before there was a bundle (who are we?) is R0.
        let before = all.iter().map(|(n, _)| *n).min().unwrap() - 1;
        all.iter_mut().for_each(|(n, _)| *n -= before);
        all.sort_by_key(|(n, x)| (*n, x.id));
        all
    }
    fn coverage(&self) -> Coverage {
        serde_json::from_slice(&self.file("meta/coverage.json")).unwrap()
    }
    fn techniques(&self) -> Techniques {
        serde_json::from_slice(&self.file("data/00-plan/techniques.json")).unwrap()
    }
    fn status(&self, collector: &str, subject: &str) -> ItemStatus {
        let items = self.items();
        let found: Vec<&Item> = items.iter().filter(|i| i.collector == collector && i.subject.contains(subject)).collect();
        assert_eq!(found.len(), 1, "{collector} {subject}: {found:#?}");
        found[0].status
    }
}

async fn snapshot(world: World, adjustments: &Adjustments, missing: &Missing) -> Result<Ran, PreflightError> {
    let dir = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(FakeClock::at("2026-11-20T12:00:00Z").unwrap());
    let world = Arc::new(world);
    let connector = Connector::from_conf(wire::config(&world), clock.clone()).unwrap();
    let preflight = preflight_or(&connector, &"payments-export".parse().unwrap(), missing).await?;
    let mut playbook = playbook::load("snapshot-only").unwrap().0;
    adjustments.apply(&Registry::built_in(), &mut playbook, clock.now()).unwrap();
    let plan = Plan::make(&playbook, &preflight.target, &preflight.known);
    let plan = match preflight.gone.clone() {
        Some(gone) => plan.of_gone(gone),
        None => plan,
    };
    let order = Order {
        case: "IR-TEST".parse().unwrap(),
        run: RunId("01KAGZ0000000000000000TEST".into()),
        plan: plan.clone(),
        pinned: None,
        approval: None,
        trigger: None,
        operator: preflight.identity.arn.clone(),
        preflight: preflight.exchanges,
        guard: Default::default(),
        permit: None,
    };
    let doors = Doors {
        archive: None,
        straight: false,
        connector,
        store: Arc::new(MemStore::new()),
        control: Arc::new(MemStore::new()),
        case_dir: dir.path().to_path_buf(),
        clock: clock.clone(),
        progress: Arc::new(Silent),
        // Nobody is left who could interrupt: that must hold up nothing.
        interrupt: watch::channel(false).1,
        others: Arc::new(OtherCases::none(clock)),
        sealing: Default::default(),
        secrets: Default::default(),
        beside: Arc::new(MemStore::new()),
    };
    let report = run(order, doors).await.unwrap();
    Ok(Ran { report, plan, world, dir })
}

fn only(ids: &[&str]) -> Adjustments {
    Adjustments { only: ids.iter().map(ToString::to_string).collect(), ..Default::default() }
}

/// What Lambda answers about a function that was deleted, and what CloudTrail remembers of it.
fn gone(remembered: &[Value]) -> World {
    let events: Vec<Value> = remembered
        .iter()
        .map(|e| json!({"EventId": "e", "EventName": e["eventName"], "EventTime": 1795100000.0, "CloudTrailEvent": e.to_string()}))
        .collect();
    let mut world = World::default().on("CloudTrail.LookupEvents", [Answer::json(&json!({ "Events": events }))]);
    for operation in
        ["GetFunction", "GetPolicy", "GetFunctionConcurrency", "ListVersionsByFunction", "ListAliases", "ListFunctionUrlConfigs"]
    {
        let key = format!("Lambda.{operation}");
        world = world.on(&key, [Answer::error(&key, 404, "ResourceNotFoundException")]);
    }
    world
}

fn configured() -> Value {
    json!({
        "eventSource": "lambda.amazonaws.com", "eventName": "UpdateFunctionConfiguration20150331v2",
        "eventID": "0f1e2d3c", "eventTime": "2026-11-01T10:00:00Z",
        "requestParameters": {"functionName": "payments-export"},
        "responseElements": {"functionName": "payments-export", "role": ROLE, "loggingConfig": {"logGroup": "/payments/export"}},
    })
}

const LEFT_BEHIND: [&str; 8] = [
    "recent-invocations",
    "control-plane-history",
    "event-source-mappings",
    "execution-role",
    // What is about the role or the log group does not end with the function.
    "role-simulation",
    "service-last-accessed",
    "shared-role-census",
    "log-subscriptions",
];

#[tokio::test]
async fn a_function_that_is_gone_is_refused_with_the_way_out() {
    let Err(e) = snapshot(gone(&[]), &Adjustments::default(), &Missing::Refuse).await else { panic!("it is gone") };
    assert!(matches!(e, PreflightError::NoSuchFunction { .. }), "{e}");
    assert!(e.hint().unwrap().contains("--gone"), "{e:?}");
}

#[tokio::test]
async fn what_a_deleted_function_left_behind_is_collected_and_the_bundle_says_that_it_was_gone() {
    let deleted = json!({
        "eventSource": "lambda.amazonaws.com", "eventName": "DeleteFunction20150331", "eventID": "d", "eventTime": "2026-11-20T09:00:00Z",
        "requestParameters": {"functionName": "payments-export"}, "responseElements": null,
        "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::123456789012:user/build-bot"},
    });
    let ran = snapshot(gone(&[deleted, configured()]), &only(&LEFT_BEHIND), &Missing::Gone { role: None }).await.unwrap();
    // The plan names the role and from where, the policy is narrowed to it, and the digest covers it.
    let told = ran.plan.gone.clone().unwrap();
    assert_eq!((told.role_arn.as_deref(), told.log_group.as_deref()), (Some(ROLE), Some("/payments/export")));
    assert!(told.source.contains("UpdateFunctionConfiguration20150331v2 0f1e2d3c at 2026-11-01T10:00:00Z"), "{}", told.source);
    let deleted = "deleted: CloudTrail, DeleteFunction20150331 d at 2026-11-20T09:00:00Z by arn:aws:iam::123456789012:user/build-bot";
    assert!(told.source.contains(deleted), "{}", told.source);
    assert!(serde_json::to_string(&ran.plan.permissions.reader).unwrap().contains(ROLE));
    assert_eq!(serde_json::from_slice::<Plan>(&ran.file("data/00-plan/plan.json")).unwrap(), ran.plan);
    // Absence is evidence; what is left is collected.
    assert_eq!(ran.status("configuration", "configuration and code location"), ItemStatus::NotFound);
    assert_eq!(ran.status("execution-role", "role payments-export-role: trust"), ItemStatus::Collected);
    assert_eq!(ran.status("recent-invocations", "log events of /payments/export from"), ItemStatus::Collected);
    assert_eq!(ran.status("event-source-mappings", "event source mappings of the function"), ItemStatus::Collected);
    let insights = ran.items().into_iter().find(|i| i.subject == "telemetry of Lambda Insights").unwrap();
    assert!(insights.detail.unwrap().contains("nothing tells whether it had"), "what is not known is not denied");
    assert_eq!(ran.status("role-simulation", "IAM's decisions"), ItemStatus::Collected);
    assert_eq!(ran.status("service-last-accessed", "report about the role, asked for"), ItemStatus::Collected);
    assert_eq!(ran.status("log-subscriptions", "subscription filters of log group /payments/export"), ItemStatus::Collected);
    assert_eq!(
        ran.status("control-plane-history", "CloudTrail events in us-east-1 with ResourceName payments-export-role"),
        ItemStatus::Collected
    );
    assert!(
        ran.report.function_gone && ran.report.headline.starts_with("the function does not exist any more; "),
        "{}",
        ran.report.headline
    );
    assert!(ran.report.notes.iter().any(|n| n.contains(ROLE)), "{:?}", ran.report.notes);
    assert!(ran.report.bundles[0].verified);
    // Everything of it is absent, and that rules nothing out.
    assert_eq!(ran.techniques().counts.ruled_out, 0);
    let deleted = ran.techniques().techniques.into_iter().find(|t| t.number == 39).unwrap();
    assert_eq!(deleted.verdict, Verdict::CanShow, "{deleted:?}");
}

/// Its configuration was read, then somebody deleted it, and the questions that waited for their turn found nothing.
#[tokio::test]
async fn a_function_that_is_deleted_while_it_is_read_is_told_to_be_gone() {
    let key = "Lambda.ListEventSourceMappings";
    let deleted = World::default().on(key, [Answer::error(key, 404, "ResourceNotFoundException")]);
    let ran = snapshot(deleted, &only(&["event-source-mappings"]), &Missing::Refuse).await.unwrap();
    assert_eq!(ran.status("configuration", "configuration and code location"), ItemStatus::Collected);
    let mapping = ran.techniques().techniques.into_iter().find(|t| t.number == 25).unwrap();
    assert_eq!(mapping.verdict, Verdict::Undecided, "{mapping:?}");
    assert!(mapping.why.contains("the function is gone"), "{mapping:?}");
    assert!(
        ran.report.function_gone && ran.report.headline.starts_with("the function does not exist any more; "),
        "{}",
        ran.report.headline
    );
}

#[tokio::test]
async fn a_role_that_nobody_remembers_is_a_gap_and_the_operator_may_know_it() {
    let ran = snapshot(gone(&[]), &only(&LEFT_BEHIND), &Missing::Gone { role: None }).await.unwrap();
    let gap = ran.report.gaps.iter().find(|g| g.collector == "execution-role").expect("unknown is never clean");
    assert!(gap.detail.contains("--role"), "{gap:?}");
    let logs = ran.items().into_iter().filter(|i| i.collector == "recent-invocations" && i.subject.contains("/aws/lambda/payments-export"));
    assert!(logs.filter(|i| i.status == ItemStatus::Collected).count() > 1, "the default group is read all the same");

    let told = Missing::Gone { role: Some("payments-export-role".into()) };
    let ran = snapshot(gone(&[]), &only(&LEFT_BEHIND), &told).await.unwrap();
    assert_eq!(ran.status("execution-role", "role payments-export-role: trust"), ItemStatus::Collected);
    assert!(ran.plan.gone.unwrap().source.starts_with("role: the operator; "));
    let reader = serde_json::to_string(&ran.plan.permissions.reader).unwrap();
    assert!(reader.contains("role/*"), "a bare name may lack its path: {reader}");

    let foreign = Missing::Gone { role: Some("arn:aws:iam::999999999999:role/x".into()) };
    assert!(matches!(snapshot(gone(&[]), &Adjustments::default(), &foreign).await, Err(PreflightError::NotARole { .. })));
}

#[tokio::test]
async fn cloudtrail_that_may_not_be_asked_does_not_stop_the_run() {
    let key = "CloudTrail.LookupEvents";
    let world = gone(&[]).on(key, [Answer::error(key, 400, "AccessDeniedException")]);
    let ran = snapshot(world, &only(&LEFT_BEHIND), &Missing::Gone { role: None }).await.unwrap();
    assert!(ran.plan.gone.unwrap().source.contains("CloudTrail could not be asked"));
    assert!(ran.report.function_gone);
}

#[tokio::test]
async fn gone_is_no_word_against_a_function_that_is_there() {
    let ran = snapshot(World::default(), &only(&["concurrency"]), &Missing::Gone { role: None }).await.unwrap();
    assert!(ran.plan.gone.is_none() && !ran.report.function_gone);
    assert_eq!(ran.status("configuration", "configuration and code location"), ItemStatus::Collected);
}

#[tokio::test]
async fn what_was_skipped_stands_in_coverage_report_and_judgement() {
    let skip = Adjustments { skip: vec!["function-urls".into()], ..Default::default() };
    let ran = snapshot(World::default(), &skip, &Missing::Refuse).await.unwrap();
    let coverage = ran.coverage();
    let unit = coverage.planned.iter().find(|u| u.unit == "function-urls").expect("planned, not run");
    assert_eq!((unit.ended, unit.ended.words(), unit.items.len()), (UnitEnd::SkippedByOperator, "skipped by the operator", 0));
    assert!(ran.world.sent().iter().all(|s| s.key != "Lambda.ListFunctionUrlConfigs"), "it was asked all the same");
    assert_eq!(ran.report.skipped, ["function-urls"]);
    assert!(ran.report.notes.iter().any(|n| n.contains("skipped by the operator: function-urls")));
    let triggers = ran.report.groups.iter().find(|g| g.group == Group::Triggers).unwrap();
    assert!(triggers.not_run >= 1, "{triggers:?}");
    let learnt = ran.techniques().techniques.into_iter().find(|t| t.number == 49).unwrap();
    assert_eq!((learnt.verdict, learnt.why.as_str()), (Verdict::Undecided, "`function-urls` was skipped by the operator"));
    assert!(ran.report.bundles[0].verified, "and the bundle is whole");
}

#[tokio::test]
async fn a_window_of_instants_reaches_the_wire() {
    let words = Adjustments {
        since: Some("2026-11-19T00:00:00Z".parse().unwrap()),
        until: Some("2026-11-20T00:00:00Z".parse().unwrap()),
        ..only(&["recent-invocations", "control-plane-history"])
    };
    let ran = snapshot(World::default(), &words, &Missing::Refuse).await.unwrap();
    let sent = ran.world.sent();
    let bodies =
        |key: &str| -> Vec<Value> { sent.iter().filter(|s| s.key == key).map(|s| serde_json::from_str(&s.body).unwrap()).collect() };
    for b in bodies("CloudWatch-Logs.FilterLogEvents") {
        assert_eq!((&b["startTime"], &b["endTime"]), (&json!(1_795_046_400_000_u64), &json!(1_795_132_800_000_u64)));
    }
    let searches = bodies("CloudTrail.LookupEvents");
    assert!(!searches.is_empty());
    for b in searches {
        assert_eq!((b["StartTime"].as_f64(), b["EndTime"].as_f64()), (Some(1_795_046_400.0), Some(1_795_132_800.0)), "{b}");
    }
}

#[tokio::test]
async fn the_judgement_is_an_item_of_its_own_and_follows_its_schema() {
    let none = Answer::error("Lambda.GetPolicy", 404, "ResourceNotFoundException");
    let no_grants = World::default().on("Lambda.GetPolicy", [none.clone()]).on("Lambda.GetResourcePolicy", [none]);
    let ran = snapshot(no_grants, &Adjustments::default(), &Missing::Refuse).await.unwrap();
    let techniques = ran.techniques();
    assert_eq!(techniques.techniques.len(), 49);
    assert_eq!(Some(techniques.counts), ran.report.techniques);
    let verdict = |n: u8| techniques.techniques.iter().find(|t| t.number == n).unwrap().verdict;
    assert_eq!((verdict(7), verdict(17), verdict(46)), (Verdict::RuledOut, Verdict::CanShow, Verdict::Undecided));
    let items = ran.items();
    let item = items.iter().find(|i| i.collector == "techniques").unwrap();
    assert_eq!(item.group, Group::Plan);
    assert!(!item.derived_from.is_empty() && item.derived_from.iter().all(|id| items.iter().any(|i| i.id == *id && i.id < item.id)));
    assert!(ran.coverage().planned.iter().any(|u| u.unit == "techniques" && u.items == [item.id]));
    // Every item of every group is counted once, the plan's own excepted.
    let counted: u64 = ran.report.groups.iter().map(|g| g.collected + g.not_found + g.gaps).sum();
    assert_eq!(counted, items.iter().filter(|i| i.group != Group::Plan).count() as u64);

    let file = ran.dir.path().join("techniques.json");
    std::fs::write(&file, ran.file("data/00-plan/techniques.json")).unwrap();
    let schema = repository("evidence-schema/techniques.schema.json");
    assert!(Command::new(python_tools().join("jsonschema")).arg("-i").arg(&file).arg(schema).output().unwrap().status.success());
}

/// The critical path of the evidence inventory (A11): what is asked of the function, its policies and its role is answered after four round
/// trips, its code after two. More would mean that something waits which need not.
#[tokio::test]
async fn configuration_policies_and_identity_take_four_round_trips_and_code_two() {
    let ran = snapshot(World::default().in_rounds(), &Adjustments::default(), &Missing::Refuse).await.unwrap();
    let open: Vec<_> = ran.report.gaps.iter().filter(|g| critical_to_a11(&g.collector) || g.collector == "function-code").collect();
    assert!(open.is_empty(), "{open:?}");
    let rounds = ran.rounds();
    let specs: Vec<_> = COLLECTORS.iter().map(|c| c.spec()).collect();
    let mut table = Table::of(&["collector", "calls", "rounds", "each round"]);
    for spec in &specs {
        let own: Vec<usize> = rounds.iter().filter(|(_, x)| x.unit == spec.id).map(|(n, _)| *n).collect();
        let deepest = own.iter().max().copied().unwrap_or_default();
        let each: Vec<String> = (1..=deepest).map(|n| own.iter().filter(|at| **at == n).count().to_string()).collect();
        table.row([spec.id.to_string(), own.len().to_string(), deepest.to_string(), each.join(" ")]);
    }
    println!("{table}{} calls in {} round trips", rounds.len(), rounds.iter().map(|(n, _)| *n).max().unwrap());

    let late: Vec<String> = rounds
        .iter()
        .filter(|(n, x)| *n > 4 && critical_to_a11(&x.unit))
        .map(|(n, x)| format!("round {n}: {} of {}", x.operation, x.unit))
        .collect();
    assert_eq!(late, [""; 0]);
    let code: Vec<_> = rounds.iter().filter(|(_, x)| x.unit == "function-code").map(|(n, x)| (*n, x.operation.as_str())).collect();
    assert_eq!(code, [(2, "DownloadCode")]);
    // The four are needed: the test would see a shorter path, too.
    let deepest: Vec<_> = rounds.iter().filter(|(_, x)| x.operation == "GetPolicyVersion").map(|(n, _)| *n).collect();
    assert!(!deepest.is_empty() && deepest.iter().all(|n| *n == 4), "{deepest:?}");
}
