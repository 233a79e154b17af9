//! What spans cases and faces: halt, breaker, and how often something was contained. It lies in the store beside the cases, and whoever contains
//! reads it: halt and breaker before each write, the rate before the first.
//!
//! ```text
//! control/KILL                        put there by hand: nothing is contained while it is there
//! control/stops/halt-000001.json      `freezeframe halt`; lifted once halt-000001.lifted.json is beside it
//! control/stops/breaker-000001.json   the same, put by a run whose containment did not hold or whose restore got stuck
//! control/rate/<hour>/000001.json     one containment: whose account, which function, when
//! ```
//!
//! A store can neither replace nor delete, so everything is a numbered object put where nothing is: of two that race for a number, one has it.
//! What it never does: stand in the way of a restore, take what it cannot read for permission, delete `control/KILL` (nobody here could).

use crate::aws::fault::tame;
use crate::clock::{Clock, stamp};
use crate::model::canon::{self, CanonError};
use crate::model::id::RunId;
use crate::model::target::Target;
use crate::plan::guard::RateLimit;
use crate::store::{Put, Store, StoreError};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::{join, join_all};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Put there by hand (`aws s3 cp - s3://…/control/KILL`), by somebody who may have no freezeframe.
pub const BY_HAND: &str = "control/KILL";
const STOPS: &str = "control/stops";
const RATE: &str = "control/rate";
/// So often may others be faster before we give up.
const TRIES: u32 = 32;
/// What somebody put into `control/KILL` is quoted no further.
const WHY: usize = 300;

#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error("could not read halt and breaker")]
    ReadStops(#[source] StoreError),
    #[error("could not put {key}")]
    PutStop {
        key: String,
        #[source]
        source: StoreError,
    },
    #[error("could not count what was contained lately")]
    Count(#[source] StoreError),
    #[error("could not write down")]
    Write(#[source] CanonError),
    #[error("others were faster {TRIES} times")]
    Crowded,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brake {
    /// Somebody's word.
    Halt,
    /// A run's own.
    Breaker,
}

impl Brake {
    pub const fn as_str(self) -> &'static str {
        match self {
            Brake::Halt => "halt",
            Brake::Breaker => "breaker",
        }
    }
}

/// One stop that nobody has lifted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Stop {
    /// The object's key.
    pub key: String,
    pub by: String,
    pub at: String,
    pub why: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct StopDoc {
    v: u32,
    by: String,
    at: String,
    why: String,
}

/// What stands in the way now, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    pub halts: Vec<Stop>,
    pub breakers: Vec<Stop>,
}

/// Whether one more function may be contained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Room {
    Yes,
    /// So many others were contained within the hour, where at most `limit` may be; there is room again at `from`.
    No {
        limit: u32,
        account: Option<String>,
        from: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Contained {
    v: u32,
    at: DateTime<Utc>,
    account: String,
    /// The function's ARN.
    target: String,
    run: RunId,
    by: String,
}

#[derive(Clone, Debug)]
pub struct Control {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

impl Control {
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Control {
        Control { store, clock }
    }

    /// For messages: where it all lies.
    pub fn describe(&self) -> String {
        self.store.describe()
    }

    /// Two reads beside each other; more only when something stands in the way.
    pub async fn standing(&self) -> Result<Standing, ControlError> {
        let (by_hand, keys) = join(self.store.get(BY_HAND), self.store.list(STOPS)).await;
        let by_hand = by_hand.map_err(ControlError::ReadStops)?;
        let keys: BTreeSet<String> = keys.map_err(ControlError::ReadStops)?.into_iter().collect();
        let mut standing = Standing { halts: by_hand.map(|bytes| read_stop(BY_HAND, &bytes)).into_iter().collect(), breakers: vec![] };
        for brake in [Brake::Halt, Brake::Breaker] {
            for key in open(&keys, brake) {
                // It was listed a moment ago; that it cannot be got does not lift it.
                let bytes = self.store.get(&key).await.map_err(ControlError::ReadStops)?.unwrap_or_default();
                let into = if brake == Brake::Halt { &mut standing.halts } else { &mut standing.breakers };
                into.push(read_stop(&key, &bytes));
            }
        }
        Ok(standing)
    }

    /// Put a stop. Returns its key.
    pub async fn stop(&self, brake: Brake, by: &str, why: &str) -> Result<String, ControlError> {
        let bytes = self.doc(by, why)?;
        for _ in 0..TRIES {
            let keys = self.store.list(STOPS).await.map_err(ControlError::ReadStops)?;
            let next = keys.iter().filter_map(|k| number(k, brake)).max().unwrap_or(0) + 1;
            let key = format!("{STOPS}/{}-{next:06}.json", brake.as_str());
            let failed = |source| ControlError::PutStop { key: key.clone(), source };
            if self.store.put_if_absent(&key, bytes.clone()).await.map_err(failed)? == Put::Stored {
                return Ok(key);
            }
            // Ours, after an answer that was lost and a put that was repeated?
            if self.store.get(&key).await.map_err(failed)?.as_deref() == Some(&bytes) {
                return Ok(key);
            }
        }
        Err(ControlError::Crowded)
    }

    /// Lift every stop of this kind that stands, but for one put by hand. Returns what was lifted.
    pub async fn lift(&self, brake: Brake, by: &str, why: &str) -> Result<Vec<Stop>, ControlError> {
        let standing = self.standing().await?;
        let stops = if brake == Brake::Halt { standing.halts } else { standing.breakers };
        let mut lifted = vec![];
        for stop in stops.into_iter().filter(|s| s.key != BY_HAND) {
            let key = format!("{}.lifted.json", stop.key.trim_end_matches(".json"));
            // That somebody else was faster does no harm.
            self.store.put_if_absent(&key, self.doc(by, why)?).await.map_err(|source| ControlError::PutStop { key, source })?;
            lifted.push(stop);
        }
        Ok(lifted)
    }

    fn doc(&self, by: &str, why: &str) -> Result<Vec<u8>, ControlError> {
        let doc = StopDoc { v: 1, by: tame(by, 300), at: stamp(self.clock.now()), why: tame(why, WHY) };
        canon::to_vec("a stop", &doc).map_err(ControlError::Write)
    }

    /// Count this containment, if there is room for it. The same function within the hour counts once.
    ///
    /// Who races for a number and loses it counts again, so the limit holds among all who share a store. At the turn of the hour two could have
    /// a first number each; so whoever has put looks again, and gives way (his number stays used) when the other makes it one too many.
    pub async fn claim(&self, limit: &RateLimit, target: &Target, run: &RunId, by: &str) -> Result<Room, ControlError> {
        for _ in 0..TRIES {
            let now = self.clock.now();
            let (lately, next) = self.lately(now).await?;
            let others = without(&lately, target);
            if others.len() < lately.len() {
                return Ok(Room::Yes);
            }
            let no = full(limit, &others, target);
            if no != Room::Yes {
                return Ok(no);
            }
            let entry =
                Contained { v: 1, at: now, account: target.account.clone(), target: target.arn(), run: run.clone(), by: tame(by, 300) };
            let bytes = canon::to_vec("a count", &entry).map_err(ControlError::Write)?;
            let key = format!("{RATE}/{}/{next:06}.json", hour(now));
            if self.store.put_if_absent(&key, bytes.clone()).await.map_err(ControlError::Count)? == Put::Exists
                && self.store.get(&key).await.map_err(ControlError::Count)? != Some(bytes)
            {
                continue;
            }
            let (lately, _) = self.lately(now).await?;
            return Ok(full(limit, &without(&lately, target), target));
        }
        Err(ControlError::Crowded)
    }

    /// What was contained within the last hour, and the next free number of this one.
    async fn lately(&self, now: DateTime<Utc>) -> Result<(Vec<Contained>, u32), ControlError> {
        let hours = [hour(now), hour(now - TimeDelta::hours(1))];
        let folders = join_all(hours.iter().map(|h| async move { self.store.list(&format!("{RATE}/{h}")).await })).await;
        let folders: Vec<Vec<String>> = folders.into_iter().collect::<Result<_, _>>().map_err(ControlError::Count)?;
        let number = |k: &String| k.rsplit('/').next()?.strip_suffix(".json")?.parse::<u32>().ok();
        let next = folders[0].iter().filter_map(number).max().unwrap_or(0) + 1;
        let entries = join_all(folders.iter().flatten().map(|key| self.store.get(key))).await;
        let mut lately = vec![];
        for bytes in entries {
            let bytes = bytes.map_err(ControlError::Count)?.unwrap_or_default();
            // What cannot be read counts as a containment of just now, of nobody knows what.
            let entry = serde_json::from_slice(&bytes).unwrap_or_else(|_| Contained {
                v: 1,
                at: now,
                account: String::new(),
                target: String::new(),
                run: RunId(String::new()),
                by: String::new(),
            });
            // Clocks of two hosts differ: what lies a little in the future counts too.
            if now - entry.at < TimeDelta::hours(1) {
                lately.push(entry);
            }
        }
        lately.sort_by_key(|e| e.at);
        Ok((lately, next))
    }
}

/// `2026112012`
fn hour(at: DateTime<Utc>) -> String {
    at.format("%Y%m%d%H").to_string()
}

/// When each other function was last contained.
fn without(lately: &[Contained], target: &Target) -> Vec<Contained> {
    lately.iter().filter(|e| e.target != target.arn()).cloned().collect()
}

fn full(limit: &RateLimit, others: &[Contained], target: &Target) -> Room {
    let reached = |most: u32, account: Option<&str>| {
        // A function counts once, by its newest containment.
        let mut functions: BTreeMap<String, DateTime<Utc>> = BTreeMap::new();
        for (n, entry) in others.iter().enumerate().filter(|(_, e)| account.is_none_or(|a| e.account == a || e.account.is_empty())) {
            // Without a name it is a function of its own.
            let name = if entry.target.is_empty() { format!("{n}") } else { entry.target.clone() };
            functions.insert(name, entry.at);
        }
        let mut times: Vec<DateTime<Utc>> = functions.into_values().collect();
        times.sort_unstable();
        // There is room again once so many have aged out that one less than the limit is left.
        let most = most as usize;
        (times.len() >= most).then(|| {
            let frees = times.get(times.len() - most).map(|at| stamp(*at + TimeDelta::hours(1)));
            frees.unwrap_or_else(|| "never: the limit is zero".to_string())
        })
    };
    if let Some(from) = reached(limit.per_account, Some(&target.account)) {
        return Room::No { limit: limit.per_account, account: Some(target.account.clone()), from };
    }
    if let Some(from) = reached(limit.per_organization, None) {
        return Room::No { limit: limit.per_organization, account: None, from };
    }
    Room::Yes
}

/// `control/stops/halt-000007.json` → 7. Nothing else is a stop of this kind.
fn number(key: &str, brake: Brake) -> Option<u32> {
    let name = key.strip_prefix(STOPS)?.strip_prefix('/')?.strip_prefix(brake.as_str())?.strip_prefix('-')?;
    name.strip_suffix(".json")?.parse().ok()
}

fn open(keys: &BTreeSet<String>, brake: Brake) -> Vec<String> {
    let lifted = |key: &&String| keys.contains(&format!("{}.lifted.json", key.trim_end_matches(".json")));
    keys.iter().filter(|k| number(k, brake).is_some()).filter(|k| !lifted(k)).cloned().collect()
}

/// Whatever its bytes are, it is a stop: somebody may have written it by hand.
fn read_stop(key: &str, bytes: &[u8]) -> Stop {
    match serde_json::from_slice::<StopDoc>(bytes) {
        Ok(doc) => Stop { key: key.into(), by: tame(&doc.by, 300), at: tame(&doc.at, 40), why: tame(&doc.why, WHY) },
        Err(_) => {
            let text = tame(String::from_utf8_lossy(&bytes[..bytes.len().min(4 * WHY)]).trim(), WHY);
            let why = if text.is_empty() { "no reason given".to_string() } else { text };
            Stop { key: key.into(), by: "somebody, by hand".into(), at: "a time that it does not say".into(), why }
        }
    }
}

#[cfg(test)]
mod tests;
