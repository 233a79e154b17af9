//! What is particular to the actions on a function's sources, asynchronous events, aliases, versions and durable executions.

use super::rig::{Rig, never, nobody, permit};
use crate::support::cells::events::{PARTNER_BUS, SPECIAL, function_arn, subscriber_arn};
use crate::support::cells::qualified::{GOOD_SHA, QUEUE, execution_arn};
use crate::support::cells::{DATE, FUNCTION, Fault, World, params_of, target};
use async_trait::async_trait;
use freezeframe::contain::find;
use freezeframe::engine::log::{IntentLog, LogError, MemLog};
use freezeframe::engine::{Accept, Back, ContainReport, OnFailure, Stand, Step};
use freezeframe::model::journal_event::JournalEvent;
use freezeframe::model::outcome::Outcome;
use freezeframe::model::params::Params;
use serde_json::{Value, json};

async fn contain_accepting(rig: &Rig, log: &dyn IntentLog, action: &str, with: Value, accept: Accept) -> ContainReport {
    let params: Params = if with.is_null() { params_of(action) } else { serde_json::from_value(with).unwrap() };
    let steps = [Step { action: find(action).unwrap(), params: &params, accept }];
    rig.with(log, &never, &nobody, async |s| s.contain(&steps, &target(), &permit(), OnFailure::Hold, false).await).await
}

async fn contain(rig: &Rig, log: &dyn IntentLog, action: &str, with: Value) -> ContainReport {
    contain_accepting(rig, log, action, with, Accept::ExactOnly).await
}

fn new() -> (Rig, MemLog) {
    (Rig::new(World::shared_role()), MemLog::default())
}

/// A log in whose owner's way somebody comes, once the intent is durable and before the write.
struct Meddled<'r, F> {
    inner: MemLog,
    rig: &'r Rig,
    how: F,
}

#[async_trait]
impl<F: Fn(&mut World) + Send + Sync> IntentLog for Meddled<'_, F> {
    async fn append(&self, event: JournalEvent) -> Result<(), LogError> {
        let begun = matches!(event, JournalEvent::Intent { .. } | JournalEvent::RestoreIntent { .. });
        self.inner.append(event).await?;
        if begun {
            self.rig.aws.change(&self.how);
        }
        Ok(())
    }
    fn events(&self) -> Vec<JournalEvent> {
        self.inner.events()
    }
}

/// What an action said when it refused to look for cells.
fn refusal(report: &ContainReport) -> &str {
    assert_eq!((report.outcome(), report.actions.len()), (Outcome::Refused, 1), "{report:?}");
    assert!(report.actions[0].refused);
    &report.actions[0].error.what
}

fn by_hand(action: &str, report: &ContainReport) -> Vec<String> {
    let commands = report.cells.iter().filter(|c| c.stand == Stand::Contained);
    commands
        .flat_map(|c| find(action).unwrap().by_hand(&target(), &c.cell, c.before.as_ref().unwrap()).unwrap())
        .map(|c| c.to_string())
        .collect()
}

// ── asynchronous events ──

#[tokio::test]
async fn capturing_needs_a_queue_and_says_how_to_come_by_one() {
    let (rig, log) = new();
    let report = contain(&rig, &log, "capture-async-events", json!({})).await;
    for word in ["create a standard queue", "sqs:SendMessage", "quarantine-role", "with: { queue:"] {
        assert!(refusal(&report).contains(word), "{word}: {report:?}");
    }
    let report = contain(&rig, &log, "capture-async-events", json!({"queue": format!("{QUEUE}.fifo")})).await;
    assert!(refusal(&report).contains("FIFO"), "{report:?}");
    assert_eq!((rig.aws.landed().len(), log.events().len()), (0, 0));
}

#[tokio::test]
async fn only_the_failure_destination_changes() {
    let (rig, log) = new();
    let report = contain(&rig, &log, "capture-async-events", Value::Null).await;
    assert_eq!(report.outcome(), Outcome::Complete, "{report:?}");
    let captured = rig.aws.world().qualified.configs;
    assert_eq!(
        captured.keys().collect::<Vec<_>>(),
        ["$LATEST", "live"],
        "the function itself, and each qualifier that has a configuration"
    );
    let before = World::shared_role().qualified.configs["live"].clone();
    let mut expected = before.clone();
    expected["DestinationConfig"]["OnFailure"]["Destination"] = QUEUE.into();
    assert_eq!(captured["live"], expected);
    assert_eq!(captured["$LATEST"]["DestinationConfig"]["OnFailure"]["Destination"], QUEUE);
    let commands = by_hand("capture-async-events", &report);
    assert!(
        commands[0].starts_with("if why=$(aws lambda get-function-event-invoke-config --function-name payments-export "),
        "{commands:?}"
    );
    assert!(commands[1].contains("--cli-input-json") && commands[1].contains("sns:eu-west-1:123456789012:failed"), "{commands:?}");

    // A function that is gone is not a function without configuration.
    rig.aws.deny("GetFunctionEventInvokeConfig");
    assert_eq!(rig.restore(&log).await.outcome(), Outcome::Stuck);
}

// ── aliases ──

#[tokio::test]
async fn an_alias_goes_only_where_the_hash_is_proven() {
    let (rig, log) = new();
    let with = |alias: &str, version: &str, sha: &str| json!({"alias": alias, "version": version, "code-sha256": sha});
    for (with, word) in [
        (json!({}), "`alias`"),
        (json!({"alias": "live"}), "`version`"),
        (json!({"alias": "live", "version": "1"}), "`code-sha256`"),
        (with("live", "$LATEST", GOOD_SHA), "no published version"),
        (with("live", "live", GOOD_SHA), "no published version"),
        (with("live", "2", GOOD_SHA), "AWS states CodeSha256 two"),
    ] {
        let report = contain(&rig, &log, "repoint-alias", with).await;
        assert!(refusal(&report).contains(word), "{word}: {report:?}");
    }
    assert_eq!((rig.aws.landed().len(), log.events().len()), (0, 0));
    let report = contain(&rig, &log, "repoint-alias", with("live", "99", GOOD_SHA)).await;
    assert_eq!(report.outcome(), Outcome::Failed, "a version that is not there: {report:?}");

    let report = contain(&rig, &log, "repoint-alias", with("live", "1", GOOD_SHA)).await;
    assert_eq!(report.outcome(), Outcome::Complete, "{report:?}");
    let alias = rig.aws.world().qualified.aliases["live"].clone();
    assert_eq!((alias.version.as_str(), &alias.weights, alias.description.as_str()), ("1", &json!({}), "in production"));
    let command = "aws lambda update-alias --function-name payments-export --name live --function-version 2 \
                   --routing-config '{\"AdditionalVersionWeights\":{\"3\":0.1}}' --region eu-west-1";
    assert_eq!(by_hand("repoint-alias", &report), [command]);
}

#[tokio::test]
async fn an_alias_that_somebody_else_moves_meanwhile_is_not_overwritten() {
    let rig = Rig::new(World::shared_role());
    let log = Meddled {
        inner: MemLog::default(),
        rig: &rig,
        how: |w: &mut World| w.qualified.aliases.get_mut("live").unwrap().version = "3".into(),
    };
    let report = contain(&rig, &log, "repoint-alias", Value::Null).await;
    assert_eq!(report.cells[0].stand, Stand::NotHolding, "{report:?}");
    assert!(report.cells[0].error.as_ref().unwrap().what.contains("PreconditionFailed"), "{report:?}");
    assert_eq!(rig.aws.world().qualified.aliases["live"].version, "3", "their word stands");
    assert_eq!(rig.aws.landed().len(), 0);
}

// ── durable executions ──

#[tokio::test]
async fn an_execution_that_ends_is_over_and_no_error() {
    let ends = |w: &mut World| {
        for status in w.qualified.executions.values_mut() {
            *status = "SUCCEEDED".into();
        }
    };
    // Between the look and the pause.
    let rig = Rig::new(World::shared_role());
    let log = Meddled { inner: MemLog::default(), rig: &rig, how: ends };
    let report = contain(&rig, &log, "pause-durable-executions", Value::Null).await;
    assert_eq!(report.outcome(), Outcome::Complete, "{report:?}");
    assert!(report.cells.iter().all(|c| c.stand == Stand::Over && c.error.is_none()), "{report:?}");
    let restored = rig.restore(&log).await;
    assert_eq!(restored.outcome(), Outcome::Complete, "{restored:?}");
    assert!(restored.cells.iter().all(|c| c.back == Back::Over), "{restored:?}");
    assert!(rig.restore(&log).await.cells.is_empty(), "the hold is over");

    // Ended, or gone with its history, while it was held.
    let (rig, log) = new();
    let report = contain(&rig, &log, "pause-durable-executions", Value::Null).await;
    assert_eq!((report.outcome(), report.cells.len()), (Outcome::Complete, 2), "only those that run: {report:?}");
    rig.aws.change(|w| {
        w.qualified.executions.insert(execution_arn("$LATEST", "order-1"), "STOPPED".into());
        w.qualified.executions.remove(&execution_arn("3", "order-2"));
    });
    let restored = rig.restore(&log).await;
    assert_eq!(restored.outcome(), Outcome::Complete, "{restored:?}");
    assert!(restored.cells.iter().all(|c| c.back == Back::Over), "{restored:?}");
    assert!(!rig.aws.tried().iter().any(|o| o == "ResumeDurableExecution"));

    // Between the look and the resumption.
    let rig = Rig::new(World::shared_role());
    let log = MemLog::default();
    contain(&rig, &log, "pause-durable-executions", Value::Null).await;
    let log = Meddled { inner: log, rig: &rig, how: ends };
    let restored = rig.restore(&log).await;
    assert_eq!(restored.outcome(), Outcome::Complete, "{restored:?}");
    assert!(restored.cells.iter().all(|c| c.back == Back::Over && c.error.is_none()), "{restored:?}");
}

#[tokio::test]
async fn only_those_that_were_paused_here_are_resumed() {
    for status in ["PAUSED", "PAUSING"] {
        let (rig, log) = new();
        let (theirs, ours) = (execution_arn("$LATEST", "order-1"), execution_arn("3", "order-2"));
        rig.aws.change(|w| w.qualified.executions.insert(theirs.clone(), status.into()));
        let report = contain(&rig, &log, "pause-durable-executions", Value::Null).await;
        let stands: Vec<Stand> = report.cells.iter().map(|c| c.stand).collect();
        assert_eq!(stands, [Stand::AlreadyContained, Stand::Contained], "{report:?}");
        let command = format!(
            "case \"$(aws lambda get-durable-execution --durable-execution-arn {ours} --query Status --output text --region eu-west-1)\" in \
             PAUSED|PAUSING) aws lambda resume-durable-execution --durable-execution-arn {ours} --region eu-west-1;; '') false;; esac"
        );
        assert_eq!(by_hand("pause-durable-executions", &report), [command]);
        rig.restore(&log).await;
        let executions = rig.aws.world().qualified.executions;
        assert_eq!((executions[&theirs].as_str(), executions[&ours].as_str()), (status, "RUNNING"));
    }
}

// ── rules ──

#[tokio::test]
async fn a_rule_that_serves_others_needs_a_word_and_the_rest_goes_on() {
    let (rig, log) = new();
    let report = contain(&rig, &log, "disable-rules", json!({})).await;
    assert_eq!(report.outcome(), Outcome::PartlyContained, "{report:?}");
    let by_cell = |id: &str| report.cells.iter().find(|c| c.cell.0 == id).unwrap_or_else(|| panic!("{id}: {report:?}"));
    let shared = by_cell("disable-rules/default/ledger-closed");
    assert_eq!((shared.stand, &shared.facts["others"]), (Stand::Refused, &json!(["arn:aws:sqs:eu-west-1:123456789012:audit"])));
    let why = &shared.error.as_ref().unwrap().what;
    assert!(why.contains("arn:aws:sqs:eu-west-1:123456789012:audit") && why.contains("accept-shared: true"), "{why}");
    assert_eq!(by_cell(&format!("disable-rules/{PARTNER_BUS}/trail")).stand, Stand::Contained);
    let states: Vec<String> = rig.aws.world().events.rules.values().map(|r| r.state.clone()).collect();
    assert_eq!(states, ["DISABLED", "ENABLED", "ENABLED"], "{:?}", rig.aws.world().events.rules);

    // Not knowing whom it serves is no permission either.
    let (rig, log) = new();
    rig.aws.deny("ListTargetsByRule");
    let report = contain(&rig, &log, "disable-rules", json!({})).await;
    assert!(report.cells.iter().all(|c| c.stand == Stand::Refused && c.facts["others"]["unknown"].is_string()), "{report:?}");
    assert_eq!(rig.aws.landed().len(), 0);
}

#[tokio::test]
async fn a_rule_of_another_service_is_left_to_it() {
    let (rig, log) = new();
    rig.aws.change(|w| {
        let rule = w.events.rules.get_mut(&("default".to_string(), "ledger-closed".to_string())).unwrap();
        rule.members["ManagedBy"] = "states.amazonaws.com".into();
    });
    let report = contain(&rig, &log, "disable-rules", Value::Null).await;
    let managed = report.cells.iter().find(|c| c.cell.0.ends_with("/ledger-closed")).unwrap();
    assert_eq!(managed.stand, Stand::Refused, "accepting shared rules does not make it ours");
    assert!(managed.error.as_ref().unwrap().what.contains("states.amazonaws.com"), "{report:?}");
    assert_eq!(rig.aws.landed(), ["DisableRule"], "the other one");
}

#[tokio::test]
async fn a_rule_is_enabled_in_the_way_in_which_it_was() {
    let (rig, log) = new();
    let report = contain(&rig, &log, "disable-rules", Value::Null).await;
    let commands = by_hand("disable-rules", &report);
    assert!(
        commands.iter().any(|c| c == "aws events enable-rule --name ledger-closed --event-bus-name default --region eu-west-1"),
        "{commands:?}"
    );
    assert!(
        commands.iter().any(|c| c.starts_with("aws events put-rule --cli-input-json") && c.contains(SPECIAL) && c.contains("all of it"))
    );
    rig.restore(&log).await;
    assert_eq!(rig.aws.landed(), ["DisableRule", "DisableRule", "EnableRule", "PutRule"]);
    assert_eq!(rig.aws.world(), World::shared_role());
}

// ── pipes ──

#[tokio::test]
async fn pipes_in_between_are_waited_for_or_refused() {
    for (state, stand) in [("START_FAILED", Stand::Refused), ("STOP_FAILED", Stand::Refused), ("STOPPED", Stand::AlreadyContained)] {
        let (rig, log) = new();
        rig.aws.change(|w| w.events.pipes.get_mut("feed").unwrap().state = state.into());
        let report = contain(&rig, &log, "stop-pipes", json!({})).await;
        assert_eq!((report.cells.len(), report.cells[0].stand), (1, stand), "{state}: {report:?}");
        assert_eq!(rig.aws.landed().len(), 0);
    }
    let (rig, log) = new();
    rig.aws.change(|w| w.events.pipes.get_mut("feed").unwrap().state = "UPDATING".into());
    let report = contain(&rig, &log, "stop-pipes", json!({})).await;
    let said = &report.cells[0].error.as_ref().unwrap().what;
    assert!(said.contains("still changing by itself"), "{said}");
}

#[tokio::test]
async fn a_pipe_that_the_function_only_enriches_needs_a_word() {
    let (rig, log) = new();
    rig.aws.change(|w| {
        let pipe = w.events.pipes.get_mut("other-feed").unwrap();
        pipe.enrichment = Some(function_arn());
    });
    let report = contain(&rig, &log, "stop-pipes", json!({})).await;
    let stands: Vec<_> = report.cells.iter().map(|c| (c.cell.key(), c.stand)).collect();
    assert_eq!(stands, [("feed", Stand::Contained), ("other-feed", Stand::Refused)]);
    let report = contain(&rig, &log, "stop-pipes", json!({"accept-shared": true})).await;
    assert_eq!(report.cells[1].stand, Stand::Contained, "{report:?}");
    let command = "case \"$(aws pipes describe-pipe --name other-feed --query CurrentState --output text --region eu-west-1)\" in STOPPED) \
                   aws pipes start-pipe --name other-feed --region eu-west-1;; '') false;; esac";
    assert_eq!(by_hand("stop-pipes", &report), [command]);
}

// ── schedules ──

#[tokio::test]
async fn a_schedule_is_put_whole_and_shown_without_its_input() {
    let (rig, log) = new();
    let report = contain(&rig, &log, "disable-schedules", Value::Null).await;
    let cells: Vec<&str> = report.cells.iter().map(|c| c.cell.key()).collect();
    assert_eq!(cells, ["default/nightly", "team/universal"], "a universal target is known by its input");
    let key = ("default".to_string(), "nightly".to_string());
    let (before, after) = (World::shared_role().events.schedules[&key].clone(), rig.aws.world().events.schedules[&key].clone());
    let mut expected = before.clone();
    expected["State"] = "DISABLED".into();
    assert_eq!(after, expected, "every other member is as it was, those that this program does not know included");

    let shown = serde_json::to_string(&report).unwrap();
    assert!(!shown.contains("a+b%20é"), "a schedule's input may be a secret: {shown}");
    let restored = rig.restore(&log).await;
    assert!(!serde_json::to_string(&restored).unwrap().contains("a+b%20é"));
    assert_eq!(rig.aws.world(), World::shared_role());
    let journal = serde_json::to_string(&log.events()).unwrap();
    assert!(journal.contains("a+b%20é"), "the journal must hold what restore needs");
    let Some(JournalEvent::Intent { before, cell, .. }) = log.events().into_iter().find(|e| matches!(e, JournalEvent::Intent { .. }))
    else {
        panic!()
    };
    let command = find("disable-schedules").unwrap().by_hand(&target(), &cell, &before).unwrap()[0].to_string();
    assert!(
        command.contains("then aws scheduler update-schedule --cli-input-json '{") && command.contains("\"State\":\"ENABLED\""),
        "{command}"
    );
}

/// Schedules with that StartDate, in a world whose clock says this.
fn starting(start: f64, date: &'static str) -> World {
    let mut world = World::shared_role();
    world.events.schedules.values_mut().for_each(|s| s["StartDate"] = start.into());
    World { date, ..world }
}

/// Every other member as it was, that of a schedule which is not ours too.
fn but_for_start(world: &World) -> Vec<Value> {
    let mut schedules: Vec<Value> = world.events.schedules.values().cloned().collect();
    schedules.iter_mut().for_each(|s| drop(s.as_object_mut().unwrap().remove("StartDate")));
    schedules
}

#[tokio::test]
async fn a_schedule_that_has_begun_is_disabled_and_put_back_without_its_start() {
    const LATER: &str = "Sat, 21 Nov 2026 12:34:56 GMT";
    let day = 1_795_178_096.0;
    for (start, at_first, later) in [
        // Begun long ago; within the five minutes that Scheduler allows; while it was disabled; not yet.
        (1_760_000_000.25, false, false),
        (day - 200.0, false, false),
        (day + 3_600.0, true, false),
        (day + 86_400.0 * 30.0, true, true),
    ] {
        let world = starting(start, DATE);
        let (rig, log) = (Rig::new(world.clone()), MemLog::default());
        let report = contain(&rig, &log, "disable-schedules", Value::Null).await;
        assert_eq!(report.outcome(), Outcome::Complete, "{start}: {report:?}");
        let ours = |w: &World| w.events.schedules[&("default".to_string(), "nightly".to_string())].clone();
        assert_eq!((ours(&rig.aws.world())["StartDate"].is_f64(), &ours(&rig.aws.world())["State"]), (at_first, &json!("DISABLED")));
        let again = contain(&rig, &log, "disable-schedules", Value::Null).await;
        assert!(again.cells.iter().all(|c| c.stand == Stand::AlreadyContained), "{start}: {again:?}");

        rig.aws.change(|w| w.date = LATER);
        let restored = rig.restore(&log).await;
        assert_eq!(restored.outcome(), Outcome::Complete, "{start}: {restored:?}");
        assert_eq!(ours(&rig.aws.world())["StartDate"].is_f64(), later, "{start}");
        assert_eq!(but_for_start(&rig.aws.world()), but_for_start(&world), "{start}");
    }
}

#[tokio::test]
async fn a_rate_that_counts_from_its_start_wants_a_word() {
    let mut world = starting(1_760_000_000.25, DATE);
    world.events.schedules.values_mut().for_each(|s| s["ScheduleExpression"] = "rate(1 day)".into());
    let (rig, log) = (Rig::new(world), MemLog::default());
    let report = contain(&rig, &log, "disable-schedules", Value::Null).await;
    assert_eq!((report.outcome(), rig.aws.landed().len()), (Outcome::Refused, 0), "{report:?}");
    assert!(report.cells[0].error.as_ref().unwrap().what.contains("StartDate"), "{report:?}");
    let report = contain_accepting(&rig, &log, "disable-schedules", Value::Null, Accept::Approximate).await;
    assert_eq!(report.outcome(), Outcome::Complete, "{report:?}");
    assert_eq!(rig.restore(&log).await.outcome(), Outcome::Complete);
}

// ── subscribers ──

#[tokio::test]
async fn a_subscriber_goes_on_after_the_last_event_that_it_processed() {
    let (rig, log) = new();
    let report = contain(&rig, &log, "stop-subscribers", Value::Null).await;
    let mut cells: Vec<String> = report.cells.iter().map(|c| c.cell.key().to_string()).collect();
    cells.sort();
    assert_eq!(cells, [subscriber_arn("orders"), subscriber_arn("universal")], "a revoked one delivers nothing: {report:?}");
    assert_eq!(rig.aws.world().events.subscribers[&subscriber_arn("orders")].state, "STOPPED");
    let command = format!(
        "aws eventsv2 update-subscriber --subscriber-arn {} --state RUNNING --resume-position LAST_PROCESSED --region eu-west-1",
        subscriber_arn("orders")
    );
    assert_eq!(by_hand("stop-subscribers", &report)[0], command);
    // One is revoked while it is stopped: nothing is left to put back.
    rig.aws.change(|w| w.events.subscribers.get_mut(&subscriber_arn("universal")).unwrap().revoked = true);
    let restored = rig.restore(&log).await;
    assert_eq!(restored.outcome(), Outcome::Complete, "{restored:?}");
    let backs: Vec<&Back> = restored.cells.iter().map(|c| &c.back).collect();
    assert_eq!(backs, [&Back::Over, &Back::Restored { wrote: true }]);
    assert_eq!(
        rig.aws.world().events.subscribers[&subscriber_arn("orders")],
        World::shared_role().events.subscribers[&subscriber_arn("orders")]
    );
}

// ── evidence version ──

#[tokio::test]
async fn an_evidence_version_must_be_accepted_and_is_left() {
    let (rig, log) = new();
    let report = contain(&rig, &log, "publish-evidence-version", Value::Null).await;
    assert_eq!((report.outcome(), report.cells[0].stand), (Outcome::Refused, Stand::Refused), "{report:?}");
    assert_eq!(rig.aws.landed().len(), 0);

    let report = contain_accepting(&rig, &log, "publish-evidence-version", Value::Null, Accept::Approximate).await;
    assert_eq!(report.outcome(), Outcome::Complete, "{report:?}");
    let kept = rig.aws.world().qualified.versions[&4].clone();
    assert_eq!(kept["CodeSha256"], "latest");
    let restored = rig.restore(&log).await;
    assert_eq!(restored.outcome(), Outcome::Complete, "{restored:?}");
    assert!(matches!(&restored.cells[0].back, Back::Left { what } if what.contains("$LATEST")), "{restored:?}");
    assert_eq!(rig.aws.landed(), ["PublishVersion"], "nothing is taken back");
    assert!(by_hand("publish-evidence-version", &report).is_empty());

    // It is kept already: nothing is published again. Once $LATEST is other code, there is something to keep again.
    let report = contain_accepting(&rig, &log, "publish-evidence-version", Value::Null, Accept::Approximate).await;
    assert_eq!(report.cells[0].stand, Stand::AlreadyContained, "{report:?}");
    rig.aws.change(|w| w.qualified.latest["Timeout"] = 4.into());
    let report = contain_accepting(&rig, &log, "publish-evidence-version", Value::Null, Accept::Approximate).await;
    assert_eq!((report.cells[0].stand, rig.aws.world().qualified.versions.len()), (Stand::Contained, 5), "{report:?}");
}

#[tokio::test]
async fn nothing_is_said_to_be_left_that_never_landed() {
    let (rig, log) = new();
    rig.aws.fault(Some((1, Fault::Error)));
    let report = contain_accepting(&rig, &log, "publish-evidence-version", Value::Null, Accept::Approximate).await;
    assert_eq!(report.cells[0].stand, Stand::NotHolding, "{report:?}");
    let restored = rig.restore(&log).await;
    assert_eq!(restored.cells[0].back, Back::Restored { wrote: false }, "{restored:?}");

    // What stays stays whether or not it can be looked at.
    contain_accepting(&rig, &log, "publish-evidence-version", Value::Null, Accept::Approximate).await;
    rig.aws.deny("ListVersionsByFunction");
    let restored = rig.restore(&log).await;
    assert!(matches!(&restored.cells[0].back, Back::Left { .. }), "{restored:?}");
}

#[tokio::test]
async fn other_code_than_was_looked_at_is_not_published_as_evidence() {
    let rig = Rig::new(World::shared_role());
    let log = Meddled { inner: MemLog::default(), rig: &rig, how: |w: &mut World| w.qualified.latest["CodeSha256"] = "another".into() };
    let report = contain_accepting(&rig, &log, "publish-evidence-version", Value::Null, Accept::Approximate).await;
    assert_eq!(report.cells[0].stand, Stand::NotHolding, "{report:?}");
    assert_eq!(rig.aws.landed().len(), 0);
}

#[tokio::test]
async fn no_version_is_published_where_that_would_run_code() {
    let snap_start: fn(&mut World) = |w| w.qualified.latest["SnapStart"]["ApplyOn"] = "PublishedVersions".into();
    let managed: fn(&mut World) =
        |w| w.qualified.latest["CapacityProviderConfig"] = json!({"LambdaManagedInstancesCapacityProviderConfig": {}});
    for (how, word) in [(snap_start, "initialisation"), (managed, "managed instances")] {
        let (rig, log) = new();
        rig.aws.change(how);
        let report = contain_accepting(&rig, &log, "publish-evidence-version", Value::Null, Accept::Irreversible).await;
        assert!(refusal(&report).contains(word), "{report:?}");
        assert_eq!(rig.aws.landed().len(), 0);
    }
}

#[test]
fn sources_flow_again_last() {
    let rank = |id: &str| find(id).unwrap().spec().restore_rank;
    assert!(rank("quarantine-role") < rank("capture-async-events"), "Lambda checks the former destination against the role");
    for source in ["disable-rules", "stop-pipes", "disable-schedules", "stop-subscribers", "pause-durable-executions"] {
        assert!(rank("capture-async-events") < rank(source), "{source}: what calls the function comes when it can work again");
    }
    assert_eq!(FUNCTION, target().function);
}
