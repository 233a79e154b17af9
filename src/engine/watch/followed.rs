//! One function that is watched: what was seen of it so far, and what is said of it at the end.

use super::WatchDoors;
use super::look::{Asker, Versions};
use super::report::{SeenAs, WatchedCell, WatchedFunction};
use super::roles::Standing;
use super::sight::{Judgement, Look, Sight};
use crate::aws::fault::tame;
use crate::clock::stamp;
use crate::model::journal_event::{Holding, WatchRecord};
use crate::model::target::Target;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// When nothing was said: as long as it takes to tell, within these bounds.
const SHORTEST: TimeDelta = TimeDelta::minutes(5);
const LONGEST: TimeDelta = TimeDelta::minutes(20);

/// One function, and what was seen of it so far.
pub(super) struct Followed<'t> {
    pub target: &'t Target,
    pub asker: Asker<'t>,
    pub sight: Sight,
    pub versions: Option<Versions>,
    /// Of the roles that versions name and nothing denies.
    pub standings: BTreeMap<String, Standing>,
    pub from: DateTime<Utc>,
    pub until: DateTime<Utc>,
    /// Since when it holds, by our clock.
    pub held_at: Option<DateTime<Utc>>,
    pub now: Option<Judgement>,
    /// Lines of the log that are asked for from here on.
    pub lines_from: Option<DateTime<Utc>>,
    pub events_at: Option<u64>,
    pub cells: Vec<WatchedCell>,
    /// What could not be read, and was told.
    pub unread: BTreeMap<&'static str, String>,
    pub restored: bool,
}

impl<'t> Followed<'t> {
    pub fn new(doors: &WatchDoors<'_>, target: &'t Target) -> Self {
        let now = doors.clock.now();
        Followed {
            target,
            asker: Asker::new(doors.connector, target),
            sight: Sight::default(),
            versions: None,
            standings: BTreeMap::new(),
            from: now,
            until: now,
            held_at: None,
            now: None,
            lines_from: None,
            events_at: None,
            cells: vec![],
            unread: BTreeMap::new(),
            restored: false,
        }
    }

    pub fn record(&self) -> WatchRecord {
        let mut why = self.sight.contrary.clone();
        let holding = match (&self.now, why.is_empty()) {
            (_, false) => Holding::DoesNotHold,
            (Some(now), true) => now.now,
            (None, true) => Holding::CouldNotTell,
        };
        if why.is_empty() {
            why = self.now.as_ref().map_or_else(|| vec!["the first look was not brought to its end".to_string()], |n| n.why.clone());
        }
        WatchRecord {
            target: self.target.arn(),
            holding,
            from: stamp(self.from),
            until: stamp(self.until),
            held_at: self.held_at.map(stamp),
            adrift: self.sight.adrift(),
            why: why.iter().map(|w| tame(w, 400)).collect(),
        }
    }

    pub fn into_report(self) -> WatchedFunction {
        let since = self.sight.claims.invocations;
        let counted = || self.sight.minutes.iter().filter(|(at, _)| since.is_none_or(|since| **at >= since)).map(|(_, m)| m);
        WatchedFunction {
            watched: self.record(),
            running_until: self.sight.claims.running_until.map(|t| stamp(t - self.asker.skew)),
            invocations: counted().map(|m| m.invocations).sum(),
            throttles: counted().map(|m| m.throttles).sum(),
            restored: self.restored,
            cells: self.cells,
        }
    }
}

/// How long to watch when nobody said: until all can be told that waiting tells.
pub(super) fn enough(all: &[Followed<'_>]) -> Duration {
    let each = all.iter().filter_map(|f| Some(f.sight.tells_at()? - f.asker.skew - f.from + TimeDelta::seconds(30)));
    each.max().unwrap_or(SHORTEST).clamp(SHORTEST, LONGEST).to_std().unwrap_or_default()
}

pub(super) fn words(look: &Look) -> &'static str {
    match look {
        Look::AsLeft => "is as we left it",
        Look::Over => "came to its end by itself",
        Look::AsBefore => "READS AS IT DID BEFORE CONTAINMENT",
        Look::Adrift => "WAS CHANGED BY SOMEBODY ELSE",
        Look::Moving => "is being changed",
        Look::Unread(_) => "cannot be read",
    }
}

pub(super) fn seen(look: &Look) -> SeenAs {
    match look {
        Look::AsLeft => SeenAs::AsLeft,
        Look::Over => SeenAs::Over,
        Look::AsBefore => SeenAs::AsBefore,
        Look::Adrift => SeenAs::Drift,
        Look::Moving => SeenAs::Moving,
        Look::Unread(_) => SeenAs::Unread,
    }
}

pub(super) fn shown(state: &Value) -> String {
    tame(&state.to_string(), 200)
}
