//! Somebody else changes a resource policy between our look and our write: his change is not written over, and no later restore takes it away.

use super::rig::{Rig, never, nobody, permit};
use super::surface::{contain, policy, world};
use crate::support::cells::surface::{Surface, bucket_grant, policy_of};
use crate::support::cells::{FUNCTION, World, target};
use async_trait::async_trait;
use freezeframe::aws::fault::{Fault, FaultClass};
use freezeframe::contain::{ACTIONS, ActCx, ActError, ActionSpec, AwsCli, Cell, ContainPermit, DynAction, Reading, find};
use freezeframe::engine::log::{IntentLog, LogError, MemLog, open_cells};
use freezeframe::engine::{Accept, Back, OnFailure, Stand, Step};
use freezeframe::model::id::CellId;
use freezeframe::model::journal_event::JournalEvent;
use freezeframe::model::outcome::Outcome;
use freezeframe::model::params::Params;
use freezeframe::model::restorable::Restorable;
use freezeframe::model::target::Target;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};

/// A log at whose intents, to contain or to restore, somebody else acts.
struct Meanwhile<'r> {
    log: MemLog,
    rig: &'r Rig,
    act: fn(&mut Surface),
}

#[async_trait]
impl IntentLog for Meanwhile<'_> {
    async fn append(&self, event: JournalEvent) -> Result<(), LogError> {
        if matches!(event, JournalEvent::Intent { .. } | JournalEvent::RestoreIntent { .. }) {
            self.rig.aws.change(|w| (self.act)(&mut w.functions.get_mut(FUNCTION).unwrap().surface));
        }
        self.log.append(event).await
    }
    fn events(&self) -> Vec<JournalEvent> {
        self.log.events()
    }
}

/// What the journal tells of a containment, a letter for each line.
fn kinds(log: &dyn IntentLog) -> String {
    let kind = |e: &JournalEvent| match e {
        JournalEvent::Intent { .. } => 'i',
        JournalEvent::Restored { .. } => 'r',
        JournalEvent::Applied { .. } => 'a',
        JournalEvent::ApplyFailed { .. } => 'f',
        JournalEvent::ReadBack { .. } => 'b',
        _ => '?',
    };
    log.events().iter().map(kind).collect()
}

fn grants(s: &Surface, qualifier: &str) -> Vec<Value> {
    let text = s.policies.get(qualifier);
    text.map_or_else(Vec::new, |text| serde_json::from_str::<Value>(text).unwrap()["Statement"].as_array().unwrap().clone())
}

fn changed(mut world: World, act: fn(&mut Surface)) -> World {
    act(&mut world.functions.get_mut(FUNCTION).unwrap().surface);
    world
}

/// `deny-invocation`, whose first write AWS calls a conflict.
struct AfterAConflict(AtomicBool);
static AFTER_A_CONFLICT: AfterAConflict = AfterAConflict(AtomicBool::new(false));

impl AfterAConflict {
    fn inner() -> &'static dyn DynAction {
        find("deny-invocation").unwrap()
    }
}

#[async_trait]
impl DynAction for AfterAConflict {
    fn spec(&self) -> &'static ActionSpec {
        Self::inner().spec()
    }
    async fn cells(&self, cx: &ActCx<'_>) -> Result<Vec<Cell>, ActError> {
        Self::inner().cells(cx).await
    }
    async fn read(&self, cx: &ActCx<'_>, cell: &CellId) -> Result<Reading<Value>, ActError> {
        Self::inner().read(cx, cell).await
    }
    fn contained(&self, cell: &Cell, before: &Value) -> Result<Value, ActError> {
        Self::inner().contained(cell, before)
    }
    fn restorable(&self, cell: &CellId, before: &Value) -> Result<Restorable, ActError> {
        Self::inner().restorable(cell, before)
    }
    fn shown(&self, cell: &CellId, state: &Value) -> Value {
        Self::inner().shown(cell, state)
    }
    async fn set(&self, cx: &ActCx<'_>, cell: &CellId, to: &Value, permit: &ContainPermit) -> Result<(), ActError> {
        if self.0.swap(true, Ordering::SeqCst) {
            return Self::inner().set(cx, cell, to, permit).await;
        }
        let source = Fault {
            class: FaultClass::Conflict,
            code: Some("PreconditionFailedException".into()),
            message: String::new(),
            status: Some(412),
            request_id: None,
        };
        Err(ActError::Call { doing: "writing".into(), action: None, source })
    }
    fn same(&self, a: &Value, b: &Value) -> bool {
        Self::inner().same(a, b)
    }
    fn by_hand(&self, target: &Target, cell: &CellId, before: &Value) -> Result<Vec<AwsCli>, ActError> {
        Self::inner().by_hand(target, cell, before)
    }
}

#[tokio::test]
async fn a_grant_that_somebody_adds_meanwhile_is_contained_with_the_rest_and_stays() {
    for (qualifier, act) in [
        (
            "$LATEST",
            (|s| drop(s.policies.insert(String::new(), policy_of(&[bucket_grant("", "s3"), bucket_grant("", "new")])))) as fn(&mut Surface),
        ),
        ("live", |s| drop(s.policies.insert("live".into(), policy_of(&[bucket_grant("live", "new")])))),
        ("$LATEST", |s| drop(s.policies.remove(""))),
    ] {
        let rig = Rig::new(World::shared_role());
        let log = Meanwhile { log: MemLog::default(), rig: &rig, act };
        let report = contain(&rig, &log, "deny-invocation", json!({"only": qualifier})).await;
        assert_eq!((report.cells[0].stand, &report.cells[0].error), (Stand::Contained, &None), "{report:?}");
        assert_eq!((rig.aws.landed().len(), kinds(&log)), (1, "iriab".to_string()), "what was not written is no hold");
        // Once more, as somebody does who saw that it took two tries.
        let report = contain(&rig, &log.log, "deny-invocation", json!({"only": qualifier})).await;
        assert_eq!(report.cells[0].stand, Stand::AlreadyContained, "{report:?}");
        assert_eq!(rig.restore(&log.log).await.outcome(), Outcome::Complete);
        assert_eq!(rig.aws.world(), changed(World::shared_role(), act), "what they did is theirs");
    }
}

/// Another grant at each look.
fn restless(s: &mut Surface) {
    let mut all = grants(s, "");
    all.push(bucket_grant("", &format!("new{}", all.len())));
    s.policies.insert(String::new(), policy_of(&all));
}

#[tokio::test]
async fn a_policy_that_never_rests_is_given_up_and_not_held() {
    let with = json!({"only": "$LATEST"});
    let rig = Rig::new(World::shared_role());
    let log = Meanwhile { log: MemLog::default(), rig: &rig, act: restless };
    let report = contain(&rig, &log, "deny-invocation", with.clone()).await;
    assert_eq!((report.outcome(), report.cells[0].stand), (Outcome::Failed, Stand::Untouched), "{report:?}");
    let what = &report.cells[0].error.as_ref().unwrap().what;
    assert!(what.contains("somebody changed the policy of") && what.contains("the last of 8 tries"), "{what}");
    assert_eq!((rig.aws.landed().len(), kinds(&log), open_cells(&log.events())), (0, "ir".repeat(8), vec![]));
    let theirs = rig.aws.world();
    assert_eq!(rig.restore(&log.log).await.cells.len(), 0);
    // When it rests it is contained as it is, and goes back to that.
    assert_eq!(contain(&rig, &log.log, "deny-invocation", with).await.cells[0].stand, Stand::Contained);
    assert_eq!(rig.restore(&log.log).await.outcome(), Outcome::Complete);
    assert_eq!(rig.aws.world(), theirs);
}

#[tokio::test]
async fn a_run_that_dies_over_a_policy_that_somebody_changed_leaves_no_hold() {
    let with = json!({"only": "$LATEST"});
    let rig = Rig::new(World::shared_role());
    let log = Meanwhile { log: MemLog::default(), rig: &rig, act: restless };
    contain(&rig, &log, "deny-invocation", with.clone()).await;
    // Behind the line that takes the first intent back.
    let (log, theirs) = (log.log.truncated(2), changed(World::shared_role(), restless));
    let rig = Rig::after(theirs.clone());
    assert_eq!(contain(&rig, &log, "deny-invocation", with).await.cells[0].stand, Stand::Contained);
    assert_eq!(rig.restore(&log).await.outcome(), Outcome::Complete);
    assert_eq!(rig.aws.world(), theirs);
}

#[tokio::test]
async fn an_intent_that_something_was_sent_for_stays() {
    let rig = Rig::new(World::shared_role());
    let act: fn(&mut Surface) = |s| drop(s.policies.insert(String::new(), policy_of(&[bucket_grant("", "new")])));
    let log = Meanwhile { log: MemLog::default(), rig: &rig, act };
    let params: Params = serde_json::from_value(json!({"only": "$LATEST"})).unwrap();
    let steps = [Step { action: &AFTER_A_CONFLICT, params: &params, accept: Accept::ExactOnly }];
    let report = rig.with(&log, &never, &nobody, async |s| s.contain(&steps, &target(), &permit(), OnFailure::Hold, false).await).await;
    assert_eq!(report.cells[0].stand, Stand::NotHolding, "{report:?}");
    let what = &report.cells[0].error.as_ref().unwrap().what;
    assert!(what.contains("somebody changed the policy of") && what.contains("while it was being written"), "{what}");
    assert_eq!((kinds(&log), open_cells(&log.events()).len()), ("ifb".to_string(), 1), "the first try may have landed");
}

/// Between the look and the write lies the journal, which takes seconds: a deployment adds its grant just then.
#[tokio::test]
async fn a_grant_that_somebody_adds_while_a_document_goes_back_stays() {
    fn granted(s: &mut Surface, qualifier: &str) {
        let mut all = grants(s, qualifier);
        all.push(bucket_grant(qualifier, "new"));
        s.policies.insert(qualifier.into(), policy_of(&all));
    }
    for (only, qualifier, act) in [
        // A document to be put back, and one to be deleted.
        ("$LATEST", "", (|s| granted(s, "")) as fn(&mut Surface)),
        ("live", "live", |s| granted(s, "live")),
    ] {
        let (rig, log) = (Rig::new(World::shared_role()), MemLog::default());
        contain(&rig, &log, "deny-invocation", json!({"only": only})).await;
        let log = Meanwhile { log, rig: &rig, act };
        let report = rig.restore(&log).await;
        assert_eq!((report.outcome(), &report.cells[0].back), (Outcome::Stuck, &Back::Stuck), "{report:?}");
        assert!(report.cells[0].error.as_ref().unwrap().what.contains("somebody changed the policy"), "{report:?}");
        assert_eq!(rig.aws.landed().len(), 1, "containment's own write alone: {:?}", rig.aws.landed());
        let sids: Vec<String> =
            policy(&rig, qualifier)["Statement"].as_array().unwrap().iter().map(|s| s["Sid"].as_str().unwrap().to_string()).collect();
        assert_eq!(sids.last().unwrap(), "new");

        // Looked at anew it is drift; who names it knows what he does.
        assert_eq!(rig.restore(&log.log).await.cells[0].back, Back::Drift);
        let overrule = [report.cells[0].cell.clone()];
        let ask = freezeframe::engine::RestoreAsk { actions: ACTIONS, overrule: &overrule, ..Default::default() };
        assert_eq!(rig.restore_with(&log.log, &ask).await.outcome(), Outcome::Complete);
        assert_eq!(rig.aws.world(), World::shared_role());
    }
}

#[tokio::test]
async fn a_single_statement_is_taken_out_and_made_again_only_as_it_was_read() {
    let with = json!({"only": "$LATEST", "how": "statements"});
    let theirs: fn(&mut Surface) = |s| {
        s.drift("deny-invocation", "payments-export/s3");
    };
    let beside: fn(&mut Surface) = |s| {
        let mut all = grants(s, "");
        if all.iter().all(|s| s["Sid"] != "new") {
            all.push(bucket_grant("", "new"));
        }
        s.policies.insert(String::new(), policy_of(&all));
    };
    let start = || world(|s| drop(s.policies.insert(String::new(), policy_of(&[bucket_grant("", "s3")]))));

    // While it is contained: what is taken out is what the journal knows.
    let rig = Rig::new(start());
    let log = Meanwhile { log: MemLog::default(), rig: &rig, act: theirs };
    let report = contain(&rig, &log, "deny-invocation", with.clone()).await;
    assert_eq!((report.cells[0].stand, kinds(&log).as_str()), (Stand::Contained, "iriab"), "{report:?}");
    assert_eq!(rig.restore(&log.log).await.outcome(), Outcome::Complete);
    assert_eq!(rig.aws.world(), changed(start(), theirs));

    // While it goes back: theirs of the same name stays.
    let (rig, log) = (Rig::new(start()), MemLog::default());
    contain(&rig, &log, "deny-invocation", with.clone()).await;
    let contained = rig.aws.world();
    let report = rig.restore(&Meanwhile { log, rig: &rig, act: theirs }).await;
    assert_eq!(report.cells[0].back, Back::Stuck, "{report:?}");
    assert_eq!(rig.aws.world(), changed(contained, theirs));

    // What another statement says is no reason to leave this one.
    let rig = Rig::new(start());
    let log = Meanwhile { log: MemLog::default(), rig: &rig, act: beside };
    assert_eq!(contain(&rig, &log, "deny-invocation", with).await.cells[0].stand, Stand::Contained);
    assert_eq!(rig.restore(&log).await.outcome(), Outcome::Complete);
    assert_eq!(policy(&rig, "")["Statement"], json!([bucket_grant("", "new"), bucket_grant("", "s3")]));
}
