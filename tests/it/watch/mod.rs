//! `watch` over the scripted wire, under a clock that moves when it is slept on. The case is written by hand: what a journal says is all that a
//! watch knows of what was done.

mod roles;

use crate::support::wire::{self, Answer, Sent, World};
use freezeframe::aws::Connector;
use freezeframe::bundle::case_journal::CaseJournal;
use freezeframe::clock::{Clock, FakeClock};
use freezeframe::engine::watch::{About, SeenAs, WatchDoors, WatchError, WatchOrder, WatchReport, functions, records, watch};
use freezeframe::model::id::{CellId, RunId};
use freezeframe::model::journal_event::{Holding, JournalEvent, PermitRecord, WatchRecord};
use freezeframe::model::outcome::Outcome;
use freezeframe::model::restorable::Restorable;
use freezeframe::plan::WATCH;
use freezeframe::store::mem::MemStore;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const ARN: &str = "arn:aws:lambda:eu-west-1:123456789012:function:payments-export";
const FREEZE: &str = "freeze-concurrency/payments-export";
const OURS: &str = "01KAGZ00000000000000000RUN";
/// Noon of 2026-11-20, when it was contained.
const NOON: i64 = 1_795_176_000;

fn run() -> RunId {
    RunId(OURS.into())
}
fn cell() -> CellId {
    CellId(FREEZE.into())
}

/// A case that froze the function at noon.
async fn case(clock: &Arc<dyn Clock>) -> Arc<MemStore> {
    let store = Arc::new(MemStore::new());
    let journal = CaseJournal::open(store.clone(), clock.clone(), "responder").await.unwrap();
    let permit = PermitRecord::Override { who: "responder".into(), why: "a test".into() };
    let intent = JournalEvent::Intent {
        run: run(),
        cell: cell(),
        target: ARN.into(),
        before: Value::Null,
        after: json!(0),
        restorable: Restorable::Exactly,
        permit,
    };
    let started = JournalEvent::RunStarted {
        run: run(),
        playbook: "contain-first".into(),
        plan_sha256: freezeframe::model::digest::Sha256::ZERO,
        target: ARN.into(),
    };
    for event in [started, intent, JournalEvent::Applied { run: run(), cell: cell() }] {
        journal.append(event).await.unwrap();
    }
    store
}

fn reserved(n: Option<u32>) -> Answer {
    Answer::json(&n.map_or_else(|| json!({}), |n| json!({"ReservedConcurrentExecutions": n})))
}
/// Counters: minutes after noon, and how many.
fn counted(invocations: &[(i64, u32)], throttles: &[(i64, u32)]) -> Answer {
    let series = |id: &str, all: &[(i64, u32)]| {
        let (times, values): (Vec<i64>, Vec<u32>) = all.iter().map(|(m, n)| (NOON + 60 * m, *n)).unzip();
        json!({"Id": id, "StatusCode": "Complete", "Timestamps": times, "Values": values})
    };
    Answer::json(&json!({"MetricDataResults": [series("invocations", invocations), series("throttles", throttles)]}))
}
fn line(id: &str, seconds: i64, message: &str) -> Value {
    json!({"eventId": id, "timestamp": (NOON + seconds) * 1000, "message": message, "logStreamName": "s"})
}
fn event(id: &str, seconds: i64, name: &str, session: &str, agent: &str, error: Option<&str>) -> Value {
    let at = chrono::DateTime::from_timestamp(NOON + seconds, 0).unwrap().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let mut record = json!({
        "eventID": id, "eventName": name, "eventTime": at, "userAgent": agent, "readOnly": false,
        "userIdentity": {"type": "AssumedRole", "principalId": format!("AROA1:{session}"), "arn": format!("arn:aws:sts::123456789012:assumed-role/r/{session}")},
    });
    if let Some(error) = error {
        record["errorCode"] = error.into();
    }
    json!({"EventId": id, "EventName": name, "EventTime": NOON + seconds, "CloudTrailEvent": record.to_string()})
}

/// Two versions of thirty seconds, on nobody's managed instances.
fn versions(more: Value) -> Answer {
    let version = |name: &str| {
        json!({"FunctionName": "payments-export", "Version": name, "Timeout": 30, "Role": "arn:aws:iam::123456789012:role/service/payments-role",
               "LoggingConfig": {"LogGroup": "/payments/export"}})
    };
    let (latest, mut one) = (version("$LATEST"), version("1"));
    one.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Answer::json(&json!({"Versions": [latest, one]}))
}

/// Nobody does anything.
fn quiet() -> World {
    World::default()
        .on("Lambda.ListVersionsByFunction", [versions(json!({}))])
        .on("Lambda.GetFunctionConcurrency", [reserved(Some(0))])
        .on("CloudWatch.GetMetricData", [counted(&[], &[])])
        .on("CloudWatch-Logs.FilterLogEvents", [Answer::json(&json!({"events": []}))])
        .on("CloudTrail.LookupEvents", [Answer::json(&json!({"Events": []}))])
}

struct Watched {
    report: WatchReport,
    journal: Vec<JournalEvent>,
    told: Vec<String>,
    sent: Vec<Sent>,
}

impl Watched {
    fn record(&self) -> &WatchRecord {
        &self.report.functions[0].watched
    }
    fn says(&self, about: About, words: &str) -> bool {
        self.report.changes.iter().any(|c| c.about == about && c.words.contains(words))
    }
}

async fn watched_for(world: World, how_long: Option<u64>, interrupted: bool) -> Watched {
    watched_with(world, how_long, interrupted, &[]).await
}

/// The case contained these as well: cell and what was written.
async fn watched_with(world: World, how_long: Option<u64>, interrupted: bool, more: &[(&str, Value)]) -> Watched {
    let clock: Arc<dyn Clock> = Arc::new(FakeClock::at("2026-11-20T12:00:00Z").unwrap());
    let store = case(&clock).await;
    let journal = CaseJournal::open(store.clone(), clock.clone(), "responder").await.unwrap();
    for (cell, after) in more {
        let (cell, permit) = (CellId(cell.to_string()), PermitRecord::Override { who: "responder".into(), why: "a test".into() });
        let (before, restorable) = (Value::Null, Restorable::Exactly);
        let intent =
            JournalEvent::Intent { run: run(), cell: cell.clone(), target: ARN.into(), before, after: after.clone(), restorable, permit };
        journal.append(intent).await.unwrap();
        journal.append(JournalEvent::Applied { run: run(), cell }).await.unwrap();
    }
    clock.sleep(Duration::from_secs(10)).await;
    let world = Arc::new(world);
    let connector = Connector::from_conf(wire::config_in(&world, "eu-west-1".into()), clock.clone()).unwrap();
    let told = Mutex::new(vec![]);
    let order = WatchOrder {
        case: "IR-1".parse().unwrap(),
        run: RunId("01KAGZ0000000000000000WATCH".into()),
        operator: "arn:aws:sts::123456789012:assumed-role/ir/me".into(),
        account: "123456789012".into(),
        function: None,
        how_long: how_long.map(Duration::from_secs),
        every: Duration::from_secs(15),
    };
    let doors = WatchDoors {
        connector: &connector,
        store: store.clone(),
        clock: clock.clone(),
        interrupt: tokio::sync::watch::channel(interrupted).1,
        tell: &|change| told.lock().unwrap().push(change.words.clone()),
    };
    let report = watch(order, doors).await.unwrap();
    let journal = CaseJournal::open(store, clock, "").await.unwrap().events();
    Watched { report, journal, told: told.into_inner().unwrap(), sent: world.sent() }
}

async fn watched(world: World) -> Watched {
    watched_for(world, None, false).await
}

#[tokio::test]
async fn what_holds_is_recorded_with_the_time_from_which_it_was_seen_to() {
    let w = watched(quiet()).await;
    assert_eq!((w.report.outcome, w.record().holding), (Outcome::Complete, Holding::Holds), "{:#?}", w.report);
    // Taken at noon; a minute to spread, a whole minute, three until CloudWatch has counted it.
    let held = w.record().held_at.clone().unwrap();
    assert!(("2026-11-20T12:05:00".."2026-11-20T12:05:30").contains(&held.as_str()), "{held}");
    assert!(w.report.headline.starts_with("containment holds of") && w.report.headline.contains(&held), "{}", w.report.headline);
    let cell = &w.report.functions[0].cells[0];
    assert_eq!((cell.seen, &cell.left, &cell.found), (SeenAs::AsLeft, &Some(json!(0)), &Some(json!(0))));
    assert_eq!(cell.accepted_at.as_deref(), Some("2026-11-20T12:00:00.000Z"));
    // Thirty seconds is the timeout of every version.
    assert_eq!(w.report.functions[0].running_until.as_deref(), Some("2026-11-20T12:00:30.000Z"));

    // Written down when it was seen, and again at the end; the hold goes on.
    let lines: Vec<&WatchRecord> =
        w.journal.iter().filter_map(|e| if let JournalEvent::Watched { watched, .. } = e { Some(watched) } else { None }).collect();
    let seen: Vec<(Holding, Option<&str>)> = lines.iter().map(|r| (r.holding, r.held_at.as_deref())).collect();
    assert_eq!(seen, [(Holding::CouldNotTell, None), (Holding::Holds, Some(held.as_str())), (Holding::Holds, Some(held.as_str()))]);
    assert_eq!(records(&w.journal), [w.record().clone()]);
    assert_eq!(functions(&w.journal).len(), 1);
    assert!(matches!(w.journal.last(), Some(JournalEvent::RunEnded { .. })));

    // It asked nothing but what it declares, and that many times.
    let allowed = |key: &str| key == "Lambda.GetFunctionConcurrency" || WATCH.iter().any(|c| wire::key(c) == key);
    assert!(w.sent.iter().all(|s| allowed(&s.key)), "{:?}", w.sent.iter().map(|s| &s.key).collect::<std::collections::BTreeSet<_>>());
    assert!(w.sent.iter().filter(|s| s.key == "Lambda.GetFunctionConcurrency").count() > 10);
    // IAM's events are in one Region.
    assert!(w.sent.iter().any(|s| s.key == "CloudTrail.LookupEvents" && s.host.contains("us-east-1") && s.says("payments-role")));
}

#[tokio::test]
async fn somebody_elses_change_is_named_when_it_is_seen() {
    let answers = [reserved(Some(0)), reserved(Some(0)), reserved(Some(5))];
    let w = watched(quiet().on("Lambda.GetFunctionConcurrency", answers)).await;
    assert_eq!((w.report.outcome, w.record().holding), (Outcome::Stuck, Holding::DoesNotHold));
    assert_eq!((&w.record().adrift, &w.record().held_at), (&vec![cell()], &None));
    assert!(
        w.says(About::Setting, "freeze-concurrency/payments-export WAS CHANGED BY SOMEBODY ELSE (it reads 5; we left 0)"),
        "{:?}",
        w.told
    );
    assert_eq!(w.told.iter().filter(|t| t.contains("CHANGED BY SOMEBODY")).count(), 1, "told once");
    assert_eq!(w.report.functions[0].cells[0].seen, SeenAs::Drift);
    // What it reads as now is not for a watch to judge away: the case holds it as before.
    assert_eq!(functions(&w.journal).len(), 1);

    let back = watched(quiet().on("Lambda.GetFunctionConcurrency", [reserved(None)])).await;
    assert!(back.says(About::Setting, "READS AS IT DID BEFORE CONTAINMENT"), "{:?}", back.told);
    assert_eq!(back.report.outcome, Outcome::Stuck);
}

#[tokio::test]
async fn a_break_is_not_forgotten_when_it_is_over() {
    let answers = [reserved(Some(0)), reserved(Some(5)), reserved(Some(0))];
    let w = watched(quiet().on("Lambda.GetFunctionConcurrency", answers)).await;
    assert_eq!(w.record().holding, Holding::DoesNotHold);
    assert!(w.record().held_at.is_some() && w.record().adrift.is_empty(), "it holds again, since then: {:?}", w.record());
    assert!(w.record().why[0].contains("was changed by somebody else"));
}

#[tokio::test]
async fn an_invocation_in_spite_of_it_is_a_contradiction() {
    let w = watched(quiet().on("CloudWatch.GetMetricData", [counted(&[(0, 3)], &[]), counted(&[(0, 3), (3, 2)], &[])])).await;
    assert_eq!(w.report.outcome, Outcome::Stuck);
    assert_eq!(w.record().why, ["2 invocations in the minute of 2026-11-20T12:03:00Z"], "those of the minute of containment count not");
    assert!(w.says(About::Counters, "in the minute of 2026-11-20T12:00:00Z: 3 invocations"), "{:?}", w.told);

    let lines = [
        line("1", 5, "START RequestId: 8ff5e7c1-1111-4222-8333-444455556666 Version: 1"),
        line("2", 200, "secret-of-the-function"),
        line("3", 205, "START RequestId: 9ff5e7c1-1111-4222-8333-444455556666 Version: 1"),
    ];
    let w = watched(quiet().on("CloudWatch-Logs.FilterLogEvents", [Answer::json(&json!({"events": lines}))])).await;
    assert_eq!(w.record().why, ["an invocation began at 2026-11-20T12:03:25Z, as its log says"], "{:?}", w.report);
    // Two groups; the line of before the watch began is nobody's news, and each is counted once.
    assert!(w.says(About::Log, "2 new lines, 1 invocations began (9ff5e7c1-1111-4222-8333-444455556666)"), "{:?}", w.told);
    assert!(!format!("{:?} {:?}", w.report, w.journal).contains("secret-of-the-function"));
}

#[tokio::test]
async fn being_turned_away_is_seen_sooner_than_silence() {
    let w =
        watched_for(quiet().on("CloudWatch.GetMetricData", [counted(&[], &[(0, 1)]), counted(&[], &[(0, 1), (1, 4)])]), Some(90), false)
            .await;
    assert_eq!((w.report.outcome, w.report.functions[0].throttles), (Outcome::Complete, 5), "{:#?}", w.report);
    assert!(w.record().held_at.as_deref().unwrap() < "2026-11-20T12:02:00");
}

#[tokio::test]
async fn what_cannot_be_read_is_not_held() {
    for (key, what) in
        [("CloudWatch.GetMetricData", "cloudwatch:GetMetricData"), ("Lambda.GetFunctionConcurrency", "lambda:GetFunctionConcurrency")]
    {
        let denied = Answer::error(key, 403, "AccessDeniedException");
        let w = watched(quiet().on(key, [denied])).await;
        assert_eq!((w.report.outcome, w.record().holding), (Outcome::Gaps, Holding::CouldNotTell), "{key}");
        assert!(
            w.told.iter().any(|t| t.contains(&format!("allow {what}")))
                || w.record().why.iter().any(|t| t.contains(&format!("allow {what}"))),
            "{:?}",
            w.told
        );
        assert_eq!(w.record().held_at, None);
    }
    // Silenced logs and a trail that may not be asked are told; the counters stand for themselves.
    for (key, what) in [("CloudWatch-Logs.FilterLogEvents", "logs:FilterLogEvents"), ("CloudTrail.LookupEvents", "cloudtrail:LookupEvents")]
    {
        let w = watched(quiet().on(key, [Answer::error(key, 400, "AccessDeniedException")])).await;
        assert!(w.report.outcome == Outcome::Complete && w.says(About::Reading, &format!("allow {what}")), "{:?}", w.told);
    }
    let short = watched_for(quiet(), Some(30), false).await;
    assert_eq!(short.report.outcome, Outcome::Gaps);
    assert!(short.report.headline.contains("ask again after 2026-11-20T12:05:00Z"), "{}", short.report.headline);
}

/// A version with another timeout, or on instances that heed no reservation.
#[tokio::test]
async fn what_runs_is_asked_of_every_version() {
    let long = watched(quiet().on("Lambda.ListVersionsByFunction", [versions(json!({"Timeout": 600}))])).await;
    assert!(long.record().held_at.as_deref().unwrap() >= "2026-11-20T12:10:00", "{:?}", long.record());
    let managed = json!({"CapacityProviderConfig": {"LambdaManagedInstancesCapacityProviderConfig": {"CapacityProviderArn": "arn:aws:lambda:eu-west-1:123456789012:capacity-provider:p"}}});
    let invoked = counted(&[(3, 2)], &[]);
    let w = watched(quiet().on("Lambda.ListVersionsByFunction", [versions(managed)]).on("CloudWatch.GetMetricData", [invoked])).await;
    assert_eq!(w.report.outcome, Outcome::Complete, "what this case did not promise is not broken");
    assert!(w.says(About::Verdict, "nothing that this case holds stops every invocation"), "{:?}", w.told);
    // What cannot be read is taken for the longest.
    let denied = Answer::error("Lambda.ListVersionsByFunction", 403, "AccessDeniedException");
    let w = watched(quiet().on("Lambda.ListVersionsByFunction", [denied])).await;
    assert_eq!(w.report.functions[0].running_until.as_deref(), Some("2026-11-20T12:15:00.000Z"));
    assert!(w.says(About::Reading, "allow lambda:ListVersionsByFunction"));
}

/// A managed `$LATEST` runs as it was last published, if it ever was.
#[tokio::test]
async fn a_latest_that_was_never_published_need_not_stand_at_zero() {
    let managed = json!({"LambdaManagedInstancesCapacityProviderConfig": {"CapacityProviderArn": "arn:aws:lambda:eu-west-1:123456789012:capacity-provider:p"}});
    let version =
        |name: &str| json!({"FunctionName": "payments-export", "Version": name, "Timeout": 30, "CapacityProviderConfig": managed});
    let zero = json!({"min": 0, "max": 0});
    let scaled = Answer::json(&json!({"AppliedFunctionScalingConfig": {"MinExecutionEnvironments": 0, "MaxExecutionEnvironments": 0}}));
    let key = "Lambda.GetFunctionScalingConfig";
    for (published, claimed) in [
        (Answer::error(key, 404, "ResourceNotFoundException"), true),
        (Answer::error(key, 403, "AccessDeniedException"), false),
        (scaled.clone(), false),
    ] {
        let all = Answer::json(&json!({"Versions": [version("$LATEST"), version("1")]}));
        let world = quiet().on("Lambda.ListVersionsByFunction", [all]).on(key, [scaled.clone()]);
        let world = world.when(key, |s| s.uri.contains("LATEST"), [published]);
        let w = watched_with(world, Some(30), false, &[("scale-to-zero/payments-export:1", zero.clone())]).await;
        assert_eq!(w.says(About::Verdict, "nothing that this case holds stops every invocation"), !claimed, "{:?}", w.told);
    }
}

#[tokio::test]
async fn who_does_what_is_told_but_for_ourselves() {
    let events = json!({"Events": [
        event("a", 65, "UpdateFunctionCode20150331v2", "mallory", "aws-cli/2", None),
        event("b", 1, "PutFunctionConcurrency20171031", "me", &format!("aws-sdk-rust/1 app/freezeframe-0.1.0-{OURS}"), None),
        event("c", 70, "GetObject\u{1b}[2J", "payments-export", "Boto3", Some("AccessDenied")),
    ]});
    let w = watched(quiet().on("CloudTrail.LookupEvents", [Answer::json(&events)])).await;
    let told: Vec<&String> = w.report.changes.iter().filter(|c| c.about == About::Event).map(|c| &c.words).collect();
    assert_eq!(
        told,
        [
            "UpdateFunctionCode20150331v2 at 2026-11-20T12:01:05Z by arn:aws:sts::123456789012:assumed-role/r/mallory: done",
            "GetObject [2J at 2026-11-20T12:01:10Z by the function's credentials: refused or failed (AccessDenied)"
        ]
    );
}

/// Of a case that was watched several times, what whoever looks at it later should hear.
#[tokio::test]
async fn the_first_time_that_it_was_seen_to_hold_is_told_until_it_was_broken() {
    let clock: Arc<dyn Clock> = Arc::new(FakeClock::at("2026-11-20T12:00:00Z").unwrap());
    let journal = CaseJournal::open(case(&clock).await, clock, "").await.unwrap();
    let told = async |holding, held_at: Option<&str>, until: &str| {
        let watched = WatchRecord {
            target: ARN.into(),
            holding,
            from: "0".into(),
            until: until.into(),
            held_at: held_at.map(str::to_string),
            adrift: vec![],
            why: vec![],
        };
        journal.append(JournalEvent::Watched { run: run(), watched }).await.unwrap();
        let [one] = records(&journal.events()).try_into().unwrap();
        (one.holding, one.held_at.unwrap_or_default(), one.until)
    };
    let is = |holding, held_at: &str, until: &str| (holding, held_at.to_string(), until.to_string());
    use Holding::{CouldNotTell, DoesNotHold, Holds};
    assert_eq!(told(CouldNotTell, None, "1").await, is(CouldNotTell, "", "1"));
    assert_eq!(told(Holds, Some("2"), "2").await, is(Holds, "2", "2"));
    assert_eq!(told(Holds, Some("2"), "3").await, is(Holds, "2", "3"), "the end of the same watch");
    assert_eq!(told(CouldNotTell, None, "4").await, is(Holds, "2", "3"));
    assert_eq!(told(Holds, Some("5"), "5").await, is(Holds, "2", "3"), "it was known already");
    assert_eq!(told(DoesNotHold, None, "6").await, is(DoesNotHold, "", "6"));
    assert_eq!(told(CouldNotTell, None, "7").await, is(DoesNotHold, "", "6"));
    assert_eq!(told(Holds, Some("8"), "8").await, is(Holds, "8", "8"));
}

#[tokio::test]
async fn an_interrupt_ends_it_with_a_record() {
    let w = watched_for(quiet(), None, true).await;
    assert_eq!((w.report.outcome, w.report.exit_code, w.report.interrupted), (Outcome::Interrupted, 130, true));
    assert!(matches!(w.journal.as_slice(), [.., JournalEvent::Watched { .. }, JournalEvent::RunEnded { .. }]), "{:?}", w.journal);
}

#[tokio::test]
async fn a_case_that_holds_nothing_is_not_watched_and_a_journal_that_refuses_is_told() {
    let clock: Arc<dyn Clock> = Arc::new(FakeClock::at("2026-11-20T12:00:00Z").unwrap());
    let connector = Connector::from_conf(wire::config(&Arc::new(quiet())), clock.clone()).unwrap();
    let go = async |store: Arc<MemStore>, function: Option<&str>| {
        let order = WatchOrder {
            case: "IR-1".parse().unwrap(),
            run: RunId("r".into()),
            operator: "me".into(),
            account: "123456789012".into(),
            function: function.map(str::to_string),
            how_long: Some(Duration::from_secs(10)),
            every: Duration::from_secs(5),
        };
        let doors = WatchDoors {
            connector: &connector,
            store,
            clock: clock.clone(),
            interrupt: tokio::sync::watch::channel(false).1,
            tell: &|_| {},
        };
        watch(order, doors).await
    };
    assert!(matches!(go(Arc::new(MemStore::new()), None).await, Err(WatchError::NothingHeld(None))));
    let store = case(&clock).await;
    assert!(matches!(go(store.clone(), Some("another")).await, Err(WatchError::NothingHeld(Some(_)))));
    store.refuse_puts_after(0);
    let report = go(store, None).await.unwrap();
    assert!(report.journal.is_some() && report.outcome == Outcome::Failed, "{report:?}");
}
