//! One run per finding: deliveries are at least once, unordered, and products repeat themselves.
//!
//! A lease is an object `leases/<key>-<n>.json` put where nothing is; how it went is a second object beside it. Nothing is ever replaced, so a
//! take-over is simply the next number: it is free when the run before ended badly, or was cut off without a word. The key is made from the
//! finding's own id (never the event's, which differs with each re-emission), the function, and the playbook: what a snapshot has dealt with,
//! a playbook that contains has not.

use super::Delivery;
use crate::clock::{Clock, stamp};
use crate::model::canon::{self, CanonError};
use crate::model::digest::Sha256;
use crate::model::id::RunId;
use crate::model::outcome::Outcome;
use crate::model::target::Target;
use crate::store::{Put, Store, StoreError};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// So often is a finding tried before it is left to a person.
pub const MAX_TRIES: u32 = 3;
/// How long a run may be at it when the invocation has no deadline: Lambda's longest.
const LONGEST: TimeDelta = TimeDelta::minutes(15);
/// Clocks of two hosts differ. Less than the minute after which Lambda tries again.
const SLACK: TimeDelta = TimeDelta::seconds(30);

#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    #[error("could not name the lease")]
    NameLease(#[source] CanonError),
    #[error("could not reach the leases of the case")]
    Reach(#[source] StoreError),
    #[error("the lease {key} cannot be read; nobody but freezeframe should write there")]
    ReadLease {
        key: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("the lease {key} was there and is gone")]
    Vanished { key: String },
}

/// A finding and who wants it.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    pub finding: &'a str,
    pub target: &'a Target,
    pub playbook: &'a str,
    pub run: &'a RunId,
    pub delivery: &'a Delivery,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct LeaseDoc {
    v: u32,
    run: RunId,
    delivery: String,
    finding: String,
    target: String,
    playbook: String,
    since: String,
    /// After this the holder is dead: its invocation has been cut off.
    until: DateTime<Utc>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct EndDoc {
    v: u32,
    run: RunId,
    outcome: Outcome,
    at: String,
}

/// A lease that is ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    stem: String,
    run: RunId,
}

impl Lease {
    pub fn run(&self) -> &RunId {
        &self.run
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    Ours(Lease),
    Handled { run: RunId, outcome: Outcome, at: String },
    Running { run: RunId, since: String, until: String },
    GaveUp { tries: u32 },
}

/// The leases of a case.
pub struct Leases {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

impl Leases {
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Leases { store, clock }
    }

    pub async fn claim(&self, wanted: Wanted<'_>) -> Result<Claim, LeaseError> {
        // Canonical JSON of a list: no two lists of texts have the same bytes, whatever the texts hold.
        let named =
            canon::to_vec("a lease's name", &[wanted.finding, &wanted.target.arn(), wanted.playbook]).map_err(LeaseError::NameLease)?;
        let key = Sha256::of(&named).to_string();
        let now = self.clock.now();
        let ours = LeaseDoc {
            v: 1,
            run: wanted.run.clone(),
            delivery: wanted.delivery.id.clone(),
            finding: wanted.finding.into(),
            target: wanted.target.arn(),
            playbook: wanted.playbook.into(),
            since: stamp(now),
            until: wanted.delivery.deadline.unwrap_or(now + LONGEST) + SLACK,
        };
        for number in 1..=MAX_TRIES {
            let stem = format!("leases/{}-{number}", &key[..32]);
            if self.put(&format!("{stem}.json"), &ours).await? == Put::Stored {
                return Ok(Claim::Ours(Lease { stem, run: ours.run }));
            }
            let there: LeaseDoc = self.get(&format!("{stem}.json")).await?.ok_or_else(|| LeaseError::Vanished { key: stem.clone() })?;
            if there.run == ours.run {
                // The answer to our put was lost below us and the put repeated.
                return Ok(Claim::Ours(Lease { stem, run: ours.run }));
            }
            match self.get::<EndDoc>(&format!("{stem}.ended.json")).await? {
                Some(end) if may_try_again(end.outcome) => {}
                Some(end) => return Ok(Claim::Handled { run: end.run, outcome: end.outcome, at: end.at }),
                // Lambda repeats an asynchronous invocation under the same id once the one before is over, however that ended.
                None if there.delivery == ours.delivery || now > there.until => {}
                None => return Ok(Claim::Running { run: there.run, since: there.since, until: stamp(there.until) }),
            }
        }
        Ok(Claim::GaveUp { tries: MAX_TRIES })
    }

    pub async fn end(&self, lease: &Lease, outcome: Outcome) -> Result<(), LeaseError> {
        let end = EndDoc { v: 1, run: lease.run.clone(), outcome, at: stamp(self.clock.now()) };
        // `Exists` is our own, put twice by a repeated request: nobody else ends this lease.
        self.put(&format!("{}.ended.json", lease.stem), &end).await.map(|_| ())
    }

    async fn put<T: Serialize>(&self, key: &str, doc: &T) -> Result<Put, LeaseError> {
        let bytes = canon::to_vec("a lease", doc).map_err(LeaseError::NameLease)?;
        self.store.put_if_absent(key, bytes).await.map_err(LeaseError::Reach)
    }

    async fn get<T: for<'de> Deserialize<'de>>(&self, key: &str) -> Result<Option<T>, LeaseError> {
        let Some(bytes) = self.store.get(key).await.map_err(LeaseError::Reach)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|source| LeaseError::ReadLease { key: key.into(), source })
    }
}

/// Gaps, drift and partial containment are results: another run would change what a person now has to look at. A run that failed or was cut
/// short has left something undone; so has one whose containment was refused for want of an answer or of time, which ends its lease as failed.
fn may_try_again(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Failed | Outcome::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::FakeClock;
    use crate::store::mem::MemStore;
    use std::time::Duration;

    struct Case {
        clock: Arc<FakeClock>,
        store: Arc<MemStore>,
        runs: std::cell::Cell<u64>,
    }

    impl Case {
        fn new() -> Self {
            Case {
                clock: Arc::new(FakeClock::at("2026-11-20T12:00:00Z").unwrap()),
                store: Arc::new(MemStore::new()),
                runs: Default::default(),
            }
        }
        fn leases(&self) -> Leases {
            Leases::new(self.store.clone(), self.clock.clone())
        }
        async fn claim(&self, delivery: &str, playbook: &str) -> Result<Claim, LeaseError> {
            self.runs.set(self.runs.get() + 1);
            let target = "arn:aws:lambda:eu-west-1:123456789012:function:p".parse::<crate::model::target::TargetSpec>().unwrap();
            let target = target.resolve("aws", "123456789012", "eu-west-1").unwrap();
            let delivery = Delivery { id: delivery.into(), deadline: None };
            let run = RunId::new(self.runs.get(), 1);
            self.leases().claim(Wanted { finding: "f-1", target: &target, playbook, run: &run, delivery: &delivery }).await
        }
        async fn ours(&self, delivery: &str) -> Lease {
            match self.claim(delivery, "snapshot-only").await.unwrap() {
                Claim::Ours(lease) => lease,
                other => panic!("{other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn one_delivery_gets_it_and_the_others_hear_of_it() {
        let case = Case::new();
        let lease = case.ours("d-1").await;
        assert!(matches!(case.claim("d-2", "snapshot-only").await.unwrap(), Claim::Running { run, .. } if run == lease.run));
        assert!(matches!(case.claim("d-2", "contain-first").await.unwrap(), Claim::Ours(_)), "another playbook is another thing to do");
        case.leases().end(&lease, Outcome::Gaps).await.unwrap();
        assert!(
            matches!(case.claim("d-3", "snapshot-only").await.unwrap(), Claim::Handled { run, outcome: Outcome::Gaps, .. } if run == lease.run)
        );
    }

    #[tokio::test]
    async fn a_run_that_left_something_undone_is_followed_by_another_but_not_for_ever() {
        let case = Case::new();
        for outcome in [Outcome::Failed, Outcome::Interrupted, Outcome::Failed] {
            let lease = case.ours("d").await;
            case.leases().end(&lease, outcome).await.unwrap();
        }
        assert_eq!(case.claim("d", "snapshot-only").await.unwrap(), Claim::GaveUp { tries: 3 });
    }

    #[tokio::test]
    async fn a_dead_holder_is_followed_at_its_end_or_by_its_own_retry() {
        let case = Case::new();
        case.ours("d-1").await;
        case.ours("d-1").await;
        case.clock.sleep(Duration::from_secs(15 * 60 + 29)).await;
        assert!(matches!(case.claim("d-2", "snapshot-only").await.unwrap(), Claim::Running { .. }));
        case.clock.sleep(Duration::from_secs(2)).await;
        case.ours("d-2").await;
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_not_taken_for_free() {
        let case = Case::new();
        let lease = case.ours("d-1").await;
        let other = Case::new();
        other.store.put_if_absent(&format!("{}.json", lease.stem), b"{}".to_vec()).await.unwrap();
        assert!(matches!(other.claim("d-2", "snapshot-only").await, Err(LeaseError::ReadLease { .. })));
    }
}
