//! The process dies: before any journal line, after any, with any write under way, landed or not; while containing, unwinding or restoring.
//! Whatever the journal then holds, restore brings the world back exactly. Of an action alone a death is a future dropped while it waits for ever.
//! Of all actions together it is what a kill leaves: the journal and the world as they are before and after each line (a write under way, landed or
//! not, is the time after its intent and the time before what is said of it). One run is a witness of all its deaths; a third of
//! them is looked at, which is coprime with the four that a cell has, so that each kind of line of each action is met.

use super::rig::{Actions, Rig, Seen, clean_run, left_behind, scenarios};
use crate::support::cells::{Fault, World};
use async_trait::async_trait;
use freezeframe::contain::ACTIONS;
use freezeframe::engine::OnFailure;
use freezeframe::engine::log::{IntentLog, LogError, MemLog};
use freezeframe::model::journal_event::JournalEvent;
use freezeframe::model::outcome::Outcome;
use proptest::prelude::*;
use std::sync::Mutex;
use tokio::sync::Notify;

#[derive(Clone, Copy, Debug)]
enum Death {
    /// At the n-th line from now (1 is the next), before it is durable.
    BeforeLine(usize),
    /// At the n-th line from now, when it is durable and before anybody knew.
    AfterLine(usize),
    /// At the n-th write from now.
    AtWrite(usize, Fault),
}

/// A log whose owner dies at a line.
struct MortalLog {
    inner: MemLog,
    death: Mutex<Option<Death>>,
    died: Notify,
}

impl MortalLog {
    fn of(events: Vec<JournalEvent>, death: Option<Death>) -> Self {
        MortalLog { inner: MemLog::new(events), death: Mutex::new(death), died: Notify::new() }
    }
    async fn die(&self) -> Result<(), LogError> {
        self.died.notify_one();
        std::future::pending().await
    }
}

#[async_trait]
impl IntentLog for MortalLog {
    async fn append(&self, event: JournalEvent) -> Result<(), LogError> {
        let death = {
            let mut death = self.death.lock().unwrap();
            let now = *death;
            *death = match now {
                Some(Death::BeforeLine(n)) => Some(Death::BeforeLine(n.saturating_sub(1))),
                Some(Death::AfterLine(n)) => Some(Death::AfterLine(n.saturating_sub(1))),
                other => other,
            };
            now
        };
        match death {
            Some(Death::BeforeLine(1)) => self.die().await,
            Some(Death::AfterLine(1)) => {
                self.inner.append(event).await?;
                self.die().await
            }
            _ => self.inner.append(event).await,
        }
    }
    fn events(&self) -> Vec<JournalEvent> {
        self.inner.events()
    }
}

enum Command<'c> {
    Contain(&'c Actions, OnFailure),
    Restore,
}

/// Run until the end or until death. Gives what the journal holds then.
async fn mortal(rig: &Rig, events: Vec<JournalEvent>, command: Command<'_>, death: Option<Death>) -> (Vec<JournalEvent>, Option<Outcome>) {
    let log = MortalLog::of(events, death);
    if let Some(Death::AtWrite(n, fault)) = death {
        rig.aws.fault(Some((n, fault)));
    }
    let life = async {
        match command {
            Command::Contain(actions, on_failure) => rig.contain(&log, actions, on_failure).await.outcome(),
            Command::Restore => rig.restore(&log).await.outcome(),
        }
    };
    let outcome = tokio::select! {
        outcome = life => Some(outcome),
        () = log.died.notified() => None,
        () = rig.aws.hung() => None,
    };
    rig.aws.fault(None);
    (log.events(), outcome)
}

fn deaths(writes: usize, lines: usize) -> Vec<Death> {
    let at_lines = (1..=lines).flat_map(|n| [Death::BeforeLine(n), Death::AfterLine(n)]);
    let at_writes = (1..=writes).flat_map(|n| [Death::AtWrite(n, Fault::Hang), Death::AtWrite(n, Fault::HangAfterLanding)]);
    at_lines.chain(at_writes).collect()
}

/// A log that keeps what a death at each of its lines would leave.
struct Witness<'r> {
    inner: MemLog,
    rig: &'r Rig,
    left: Mutex<Vec<(Vec<JournalEvent>, World)>>,
}

impl<'r> Witness<'r> {
    fn of(rig: &'r Rig, events: Vec<JournalEvent>) -> Self {
        Witness { inner: MemLog::new(events), rig, left: Mutex::default() }
    }
    fn keep(&self) {
        self.left.lock().unwrap().push((self.inner.events(), self.rig.aws.world()));
    }
    /// What each death leaves, those that leave the same once.
    fn deaths(self) -> Vec<(Vec<JournalEvent>, World)> {
        let mut all = self.left.into_inner().unwrap();
        all.dedup();
        all
    }
}

#[async_trait]
impl IntentLog for Witness<'_> {
    async fn append(&self, event: JournalEvent) -> Result<(), LogError> {
        self.keep();
        self.inner.append(event).await?;
        self.keep();
        Ok(())
    }
    fn events(&self) -> Vec<JournalEvent> {
        self.inner.events()
    }
}

/// What a death of all actions together leaves, anywhere while they contain.
async fn deaths_of_all(world: &World, actions: &Actions) -> Vec<(Vec<JournalEvent>, World)> {
    let rig = Rig::new(world.clone());
    let witness = Witness::of(&rig, vec![]);
    rig.contain(&witness, actions, OnFailure::Hold).await;
    let (lines, deaths) = (witness.events().len(), witness.deaths());
    assert!(deaths.len() > lines && lines >= 3 * actions.len(), "{} deaths at {lines} lines", deaths.len());
    deaths
}

/// `seen` is of this scenario: one death is often another's, from the journal's and the world's point of view.
async fn comes_back(at: &str, rig: &Rig, events: Vec<JournalEvent>, world: &World, seen: &mut Seen) {
    if !seen.is_new(&events, &rig.aws.world()) {
        return;
    }
    let (events, outcome) = mortal(rig, events, Command::Restore, None).await;
    assert_eq!(outcome, Some(Outcome::Complete), "{at}: {events:#?}");
    assert_eq!(rig.world(), *world, "{at}");
    let writes = rig.aws.landed().len();
    let (_, outcome) = mortal(rig, events, Command::Restore, None).await;
    assert_eq!((outcome, rig.aws.landed().len()), (Some(Outcome::Complete), writes), "{at}: restored once is restored");
}

#[tokio::test]
async fn killed_anywhere_while_containing() {
    for (name, world, actions) in scenarios() {
        let mut seen = Seen::default();
        if actions.len() > 1 {
            for (n, (events, left)) in deaths_of_all(&world, &actions).await.into_iter().enumerate().step_by(3) {
                comes_back(&format!("{name}, death {n}"), &Rig::after(left), events, &world, &mut seen).await;
            }
            continue;
        }
        let (writes, lines) = clean_run(&world, &actions).await;
        for death in deaths(writes, lines) {
            let at = format!("{name}, {death:?}");
            let rig = Rig::new(world.clone());
            let (events, outcome) = mortal(&rig, vec![], Command::Contain(&actions, OnFailure::Hold), Some(death)).await;
            assert_eq!(outcome, None, "{at}: it was meant to die");
            comes_back(&at, &rig, events, &world, &mut seen).await;
        }
    }
}

#[tokio::test]
async fn killed_while_containing_and_contained_again() {
    for (name, world, actions) in scenarios() {
        let mut seen = Seen::default();
        if actions.len() > 1 {
            // A containment more for each, so every fifth.
            for (n, (events, left)) in deaths_of_all(&world, &actions).await.into_iter().enumerate().step_by(5) {
                let (at, rig) = (format!("{name}, death {n}, then again"), Rig::after(left));
                let (events, outcome) = mortal(&rig, events, Command::Contain(&actions, OnFailure::Hold), None).await;
                assert_eq!(outcome, Some(Outcome::Complete), "{at}");
                comes_back(&at, &rig, events, &world, &mut seen).await;
            }
            continue;
        }
        let (writes, lines) = clean_run(&world, &actions).await;
        for death in deaths(writes, lines) {
            let at = format!("{name}, {death:?}, then again");
            let rig = Rig::new(world.clone());
            let (events, _) = mortal(&rig, vec![], Command::Contain(&actions, OnFailure::Hold), Some(death)).await;
            let (events, outcome) = mortal(&rig, events, Command::Contain(&actions, OnFailure::Hold), None).await;
            assert_eq!(outcome, Some(Outcome::Complete), "{at}");
            comes_back(&at, &rig, events, &world, &mut seen).await;
        }
    }
}

#[tokio::test]
async fn killed_anywhere_while_restoring() {
    for (name, world, actions) in scenarios() {
        let mut seen = Seen::default();
        if actions.len() > 1 {
            let rig = Rig::new(world.clone());
            let (events, _) = mortal(&rig, vec![], Command::Contain(&actions, OnFailure::Hold), None).await;
            let witness = Witness::of(&rig, events);
            rig.restore(&witness).await;
            for (n, (events, left)) in witness.deaths().into_iter().enumerate().step_by(3) {
                comes_back(&format!("{name}, restoring, death {n}"), &Rig::after(left), events, &world, &mut seen).await;
            }
            continue;
        }
        // For each cell: the intent to restore, and the end of it; of what stays by design the end alone.
        let (writes, _) = clean_run(&world, &actions).await;
        let left = left_behind(&world, &actions).await;
        for death in deaths(writes - left, 2 * writes - left) {
            let at = format!("{name}, restoring, {death:?}");
            let rig = Rig::new(world.clone());
            let (events, _) = mortal(&rig, vec![], Command::Contain(&actions, OnFailure::Hold), None).await;
            let (events, outcome) = mortal(&rig, events, Command::Restore, Some(death)).await;
            assert_eq!(outcome, None, "{at}: it was meant to die");
            comes_back(&at, &rig, events, &world, &mut seen).await;
        }
    }
}

#[tokio::test]
async fn every_truncation_of_the_journal() {
    // Lines lost after they were durable must not happen; but if the tail is lost together with what it spoke of, it is as if the process
    // had died there. The world is what the kept intents' writes made of it, the last one landed or not.
    for (name, world, actions) in scenarios() {
        let mut seen = Seen::default();
        let whole = Rig::new(world.clone());
        let (events, _) = mortal(&whole, vec![], Command::Contain(&actions, OnFailure::Hold), None).await;
        for k in (0..=events.len()).step_by(if actions.len() == 1 { 1 } else { 5 }) {
            let kept = MemLog::new(events.clone()).truncated(k).events();
            let begun = kept.iter().filter(|e| matches!(e, JournalEvent::Intent { .. })).count();
            let applied = kept.iter().filter(|e| matches!(e, JournalEvent::Applied { .. })).count();
            for landed in applied..=begun {
                let at = format!("{name}, first {k} lines, {landed} writes landed");
                let rig = Rig::new(world.clone());
                rig.aws.fault(Some((landed + 1, Fault::Hang)));
                let log = MemLog::default();
                tokio::select! {
                    _ = rig.contain(&log, &actions, OnFailure::Hold) => {}
                    () = rig.aws.hung() => {}
                }
                rig.aws.fault(None);
                assert_eq!(rig.aws.landed().len(), landed, "{at}");
                comes_back(&at, &rig, kept.clone(), &world, &mut seen).await;
            }
        }
    }
}

/// One step of a case's life.
#[derive(Clone, Debug)]
enum Act {
    Contain { which: Vec<usize>, unwind: bool, death: Option<Death>, fault: Option<(usize, Fault)> },
    Restore { death: Option<Death>, fault: Option<(usize, Fault)> },
}

fn any_death() -> impl Strategy<Value = Option<Death>> {
    let one = prop_oneof![
        (1..20usize).prop_map(Death::BeforeLine),
        (1..20usize).prop_map(Death::AfterLine),
        (1..8usize, any::<bool>()).prop_map(|(n, l)| Death::AtWrite(n, if l { Fault::HangAfterLanding } else { Fault::Hang })),
    ];
    proptest::option::of(one)
}
fn any_fault() -> impl Strategy<Value = Option<(usize, Fault)>> {
    proptest::option::of((1..8usize, (0..Fault::FAILING.len()).prop_map(|i| Fault::FAILING[i])))
}
fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => (proptest::collection::vec(0..ACTIONS.len(), 1..4), any::<bool>(), any_death(), any_fault())
            .prop_map(|(which, unwind, death, fault)| Act::Contain { which, unwind, death, fault }),
        1 => (any_death(), any_fault()).prop_map(|(death, fault)| Act::Restore { death, fault }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_life_of_a_case_ends_well(acts in proptest::collection::vec(any_act(), 1..6), own in any::<bool>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = if own { World::own_role_with_reservation() } else { World::shared_role() };
            let rig = Rig::new(world.clone());
            let mut events = vec![];
            for act in &acts {
                let (Act::Contain { death, fault, .. } | Act::Restore { death, fault }) = act;
                rig.aws.fault(*fault);
                let chosen: Actions;
                let command = match act {
                    Act::Contain { which, unwind, .. } => {
                        chosen = which.iter().map(|i| ACTIONS[*i]).collect();
                        Command::Contain(&chosen, if *unwind { OnFailure::Unwind } else { OnFailure::Hold })
                    }
                    Act::Restore { .. } => Command::Restore,
                };
                events = mortal(&rig, events, command, *death).await.0;
            }
            comes_back(&format!("{acts:?}"), &rig, events, &world, &mut Seen::default()).await;
        });
    }
}
