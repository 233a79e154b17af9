//! Two responders at once, in one case and in two, over one small AWS in which calls overtake each other as a seed says. Whatever they do to each
//! other, no before-state is lost or made of somebody's leavings: in the end everything is as it was. And who was told that a cell is contained
//! finds it so.

use super::rig::{Rig, never, permit};
use crate::support::cells::{FakeAws, Fault, Pauses, ROLE, World, clock, params_of, target};
use async_trait::async_trait;
use freezeframe::bundle::case_journal::CaseJournal;
use freezeframe::contain::{ACTIONS, find};
use freezeframe::engine::log::open_cells;
use freezeframe::engine::others::{CasePlaces, OtherCases, Place};
use freezeframe::engine::{Accept, ContainReport, OnFailure, RestoreAsk, Stand, Step};
use freezeframe::model::digest::Sha256;
use freezeframe::model::id::CellId;
use freezeframe::model::journal_event::JournalEvent;
use freezeframe::model::outcome::Outcome;
use freezeframe::model::params::Params;
use freezeframe::store::mem::MemStore;
use freezeframe::store::{Put, Store, StoreError};
use proptest::prelude::*;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;

/// A store whose answers come when the seed says.
#[derive(Debug)]
struct Slow(MemStore, Pauses);

#[async_trait]
impl Store for Slow {
    async fn put_if_absent(&self, key: &str, bytes: Vec<u8>) -> Result<Put, StoreError> {
        self.1.pause().await;
        let put = self.0.put_if_absent(key, bytes).await;
        self.1.pause().await;
        put
    }
    async fn put_file_if_absent(&self, key: &str, from: &Path) -> Result<Put, StoreError> {
        self.0.put_file_if_absent(key, from).await
    }
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.1.pause().await;
        let got = self.0.get(key).await;
        self.1.pause().await;
        got
    }
    async fn list(&self, below: &str) -> Result<Vec<String>, StoreError> {
        self.1.pause().await;
        self.0.list(below).await
    }
    fn describe(&self) -> String {
        "a slow store".into()
    }
}

struct One(&'static str, Arc<Slow>);
#[async_trait]
impl CasePlaces for One {
    async fn places(&self) -> Result<Vec<Place>, StoreError> {
        Ok(vec![(self.0.to_string(), Ok(self.1.clone() as Arc<dyn Store>))])
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    Contain,
    /// One of its writes fails, and it takes back what it did.
    ContainAndUnwind(usize),
    Restore,
}

/// `FREEZEFRAME_RACES` for a longer look.
fn races() -> u32 {
    std::env::var("FREEZEFRAME_RACES").ok().and_then(|n| n.parse().ok()).unwrap_or(64)
}

/// One of the two. In one case both have the same store and no other case.
struct Responder<'r> {
    rig: &'r Rig,
    store: Arc<Slow>,
    beside: Option<(&'static str, Arc<Slow>)>,
    actions: &'r [&'static str],
    /// The scope that it gives `quarantine-role`: two denies under one name.
    scope: &'static str,
}

impl Responder<'_> {
    async fn others(&self) -> OtherCases {
        match &self.beside {
            Some((name, store)) => OtherCases::open(Box::new(One(name, store.clone())), clock()).await.unwrap(),
            None => OtherCases::none(clock()),
        }
    }

    async fn contain(&self, log: &CaseJournal, others: &OtherCases, on_failure: OnFailure) -> ContainReport {
        let params: Vec<Params> = self.actions.iter().map(|id| self.params(id)).collect();
        let steps: Vec<Step<'_>> = self
            .actions
            .iter()
            .zip(&params)
            .map(|(id, params)| Step { action: find(id).unwrap(), params, accept: Accept::Approximate })
            .collect();
        self.rig.with(log, &never, others, async |s| s.contain(&steps, &target(), &permit(), on_failure, false).await).await
    }

    fn params(&self, id: &str) -> Params {
        match id {
            "quarantine-role" => serde_json::from_value(json!({"scope": self.scope, "accept-shared-role": true})).unwrap(),
            id => params_of(id),
        }
    }

    /// The last containment, if nothing of this responder's came after it.
    async fn live(&self, acts: &[Act]) -> Option<ContainReport> {
        let mut last = None;
        for act in acts {
            let log = CaseJournal::open(self.store.clone(), clock(), "me").await.unwrap();
            let others = self.others().await;
            last = match act {
                Act::Contain => Some(self.contain(&log, &others, OnFailure::Hold).await),
                Act::ContainAndUnwind(n) => {
                    self.rig.aws.fault(Some((*n, Fault::Error)));
                    self.contain(&log, &others, OnFailure::Unwind).await;
                    self.rig.aws.fault(None);
                    None
                }
                Act::Restore => {
                    let ask = RestoreAsk { actions: ACTIONS, ..RestoreAsk::default() };
                    self.rig.with(&log, &never, &others, async |s| s.restore(&ask).await).await;
                    None
                }
            };
        }
        last
    }

    async fn restore(&self) -> Outcome {
        let log = CaseJournal::open(self.store.clone(), clock(), "me").await.unwrap();
        let others = self.others().await;
        let ask = RestoreAsk { actions: ACTIONS, ..RestoreAsk::default() };
        self.rig.with(&log, &never, &others, async |s| s.restore(&ask).await).await.outcome()
    }

    async fn events(&self) -> Vec<JournalEvent> {
        CaseJournal::open(self.store.clone(), clock(), "me").await.unwrap().events()
    }
}

/// A journal in lines that a person can read: long states as eight digits of their hash.
fn lines(events: &[JournalEvent]) -> String {
    fn short(v: &serde_json::Value) -> String {
        match v.to_string() {
            long if long.len() > 40 => Sha256::of(long.as_bytes()).to_string()[..8].to_string(),
            text => text,
        }
    }
    let mut out = String::new();
    for event in events {
        let v = serde_json::to_value(event).unwrap();
        let states = ["before", "after", "state", "from", "to", "found", "case", "wrote", "through", "holds"];
        let states: Vec<String> = states.iter().filter(|k| !v[**k].is_null()).map(|k| format!("{k}={}", short(&v[*k]))).collect();
        out += &format!("  {} {} {} {}\n", v["run"], v["ev"], v["cell"], states.join(" "));
    }
    out
}

/// Whether the cell is as containment makes it: by a look at the world, not by our own code's opinion.
fn contained(world: &World, original: &World, cell: &CellId) -> bool {
    let role = &world.roles[ROLE];
    match (cell.action(), cell.key().splitn(3, '/').collect::<Vec<_>>().as_slice()) {
        ("freeze-concurrency", [f]) => world.functions[*f].reserved == Some(0),
        ("quarantine-role", [_, p]) | ("revoke-sessions", [_, p]) => role.inline.get(*p).is_some_and(|t| t.contains("IRQuarantine")),
        ("block-role-assumption", _) => role.trust.contains("IRBlockAssumption"),
        ("set-permissions-boundary", _) => role.boundary != original.roles[ROLE].boundary,
        ("detach-permissions", ["attached", _, arn]) => !role.attached.contains(*arn),
        ("pause-event-source-mappings", [uuid]) => world.functions[&target().function].surface.mappings[*uuid].state == "Disabled",
        ("detach-permissions", ["inline", _, p]) => !role.inline.contains_key(*p),
        other => panic!("teach tests/it/contain/race.rs what {other:?} looks like"),
    }
}

fn any_acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![3 => Just(Act::Contain), 2 => Just(Act::Restore), 1 => (1..4usize).prop_map(Act::ContainAndUnwind)];
    proptest::collection::vec(act, 1..4)
}

/// Which of the actions on the role and the function; others than these have files of their own.
const RACED: [&str; 7] = [
    "freeze-concurrency",
    "quarantine-role",
    "revoke-sessions",
    "block-role-assumption",
    "set-permissions-boundary",
    "detach-permissions",
    // Waits for all of them, and must not for ever.
    "pause-event-source-mappings",
];

fn any_actions() -> impl Strategy<Value = Vec<&'static str>> {
    proptest::sample::subsequence(RACED.to_vec(), 1..4)
}

/// The scopes that the two of them give `quarantine-role`.
fn any_scopes() -> impl Strategy<Value = [&'static str; 2]> {
    let one = || proptest::sample::select(vec!["role", "function", "sessions"]);
    (one(), one()).prop_map(|(a, b)| [a, b])
}

fn run(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future);
}

/// Both restore, in turn, until both are through; then nothing is left of either.
async fn all_goes_back(at: &str, both: [&Responder<'_>; 2], original: &World) {
    let mut outcomes = vec![];
    for round in 0..3 {
        outcomes = vec![both[0].restore().await, both[1].restore().await];
        if outcomes.iter().all(|o| *o == Outcome::Complete) {
            break;
        }
        assert!(round < 2, "{at}: {outcomes:?}\n{}\n{}", lines(&both[0].events().await), lines(&both[1].events().await));
    }
    let rig = both[0].rig;
    assert_eq!(rig.aws.world(), *original, "{at}: {outcomes:?}\n{}\n{}", lines(&both[0].events().await), lines(&both[1].events().await));
    for r in both {
        assert!(open_cells(&r.events().await).is_empty(), "{at}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: races(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn two_cases(first in any_acts(), second in any_acts(), mine in any_actions(), theirs in any_actions(), scopes in any_scopes(), seed in any::<u64>()) {
        run(async {
            let original = World::shared_role();
            let pauses = Pauses::seeded(seed);
            let rig = Rig::on(FakeAws::pausing(original.clone(), pauses.clone()));
            let stores = [0, 1].map(|_| Arc::new(Slow(MemStore::new(), pauses.clone())));
            let a = Responder { rig: &rig, store: stores[0].clone(), beside: Some(("B", stores[1].clone())), actions: &mine, scope: scopes[0] };
            let b = Responder { rig: &rig, store: stores[1].clone(), beside: Some(("A", stores[0].clone())), actions: &theirs, scope: scopes[1] };
            let (told_a, told_b) = tokio::join!(a.live(&first), b.live(&second));
            let at = format!("{first:?} beside {second:?}, {scopes:?}, seed {seed}");
            // Who was told that it holds, and let nothing go since, finds it so whatever the other one did.
            for (told, who) in [(told_a, "A"), (told_b, "B")] {
                for cell in told.iter().flat_map(|t| &t.cells).filter(|c| matches!(c.stand, Stand::Contained | Stand::AlreadyContained)) {
                    let world = rig.aws.world();
                    assert!(
                        contained(&world, &original, &cell.cell),
                        "{at}: {who} was told {:?} of {}\n{}\n{}", cell.stand, cell.cell, lines(&a.events().await), lines(&b.events().await)
                    );
                }
            }
            all_goes_back(&at, [&a, &b], &original).await;
        });
    }

    #[test]
    fn one_case(first in any_acts(), second in any_acts(), mine in any_actions(), theirs in any_actions(), scopes in any_scopes(), seed in any::<u64>()) {
        run(async {
            let original = World::shared_role();
            let pauses = Pauses::seeded(seed);
            let rig = Rig::on(FakeAws::pausing(original.clone(), pauses.clone()));
            let store = Arc::new(Slow(MemStore::new(), pauses.clone()));
            let a = Responder { rig: &rig, store: store.clone(), beside: None, actions: &mine, scope: scopes[0] };
            let b = Responder { rig: &rig, store, beside: None, actions: &theirs, scope: scopes[1] };
            tokio::join!(a.live(&first), b.live(&second));
            let at = format!("{first:?} and {second:?}, {scopes:?}, seed {seed}");
            // What the case holds no more is not contained any more: nothing is left behind that no journal knows of.
            let (events, world) = (a.events().await, rig.aws.world());
            let open = open_cells(&events);
            let touched = events.iter().filter_map(|e| match e {
                JournalEvent::Intent { cell, .. } => Some(cell),
                _ => None,
            });
            for cell in touched.filter(|c| open.iter().all(|o| o.cell != **c)) {
                assert!(!contained(&world, &original, cell), "{at}: {cell} is contained and nobody's\n{}", lines(&events));
            }
            all_goes_back(&at, [&a, &b], &original).await;
        });
    }
}
