//! What an operator says beside the playbook (`--since`, `--trail`, `--set` and the like), applied to it before the plan is made. Everything ends
//! as a parameter, or as a unit that is skipped, of the plan: nothing symbolic is left, and the plan's digest covers it.
//!
//! What it never does: touch an action beyond what the operator accepts of it in so many words (`--accept-shared-role`), or skip what every
//! collect phase needs. A word that fits nothing is an error with a suggestion.

use crate::clock;
use crate::collect::looks_up;
use crate::model::params::{Param, ParamKind, SINCE, UNTIL, WINDOW, parse_duration};
use crate::model::regions::Choice;
use crate::model::s3_place::S3Place;
use crate::playbook::{ALWAYS, Phase, PhaseKind, Playbook, Registry, Step, Unit, choice, needed};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use std::time::Duration;

/// The parameter by which every collector calls the Regions that it looks in.
const REGIONS: &str = "regions";
const TRAIL_ARCHIVE: &str = "trail-archive";

/// As typed. Empty, it changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adjustments {
    pub since: Option<Instant>,
    pub until: Option<Instant>,
    pub skip: Vec<String>,
    /// Not empty: these and what every collect phase needs, and nothing else.
    pub only: Vec<String>,
    pub max_log_bytes: Option<u64>,
    pub max_events: Option<u64>,
    /// Read this trail's files instead of searching CloudTrail's event history.
    pub trail: Option<S3Place>,
    /// Where to look, for every collector that can look in more than one Region.
    pub regions: Option<Choice>,
    /// `<collector>.<param>=<value>`
    pub set: Vec<String>,
    /// Actions may stop everybody on the role.
    pub accept_shared_role: bool,
}

/// A time, or so long before another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instant {
    At(DateTime<Utc>),
    Ago(Duration),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdjustError {
    #[error("`{text}` is neither a duration (90s, 15m, 24h, 7d) nor a time (2026-11-20T12:00:00Z)")]
    NoInstant { text: String },
    #[error("the window would begin at {since} and end at {until}: nothing can lie in it")]
    EmptyWindow { since: String, until: String },
    #[error("the playbook `{playbook}` collects nothing, so there is nothing to adjust")]
    NoCollectPhase { playbook: String },
    #[error("`{id}` is no collector of the playbook `{playbook}`")]
    NoCollector { id: String, playbook: String, help: String },
    #[error("`{id}` cannot be skipped: what other collectors look up about the function is recorded as its")]
    CannotSkip { id: String },
    #[error("`{id}` is skipped, so it takes no parameter")]
    SetOnSkipped { id: String },
    #[error("`{text}` is not of the form <collector>.<parameter>=<value>")]
    NoSetting { text: String },
    #[error("`{unit}` has no parameter `{name}`")]
    NoParam { unit: String, name: String, help: String },
    #[error("`{name}` of `{unit}`: {objection}")]
    BadValue { unit: String, name: String, objection: String, help: String },
    #[error("{option}: no step of the playbook `{playbook}` asks for it")]
    AcceptsNothing { option: &'static str, playbook: String },
    #[error("{option} bounds nothing in the playbook `{playbook}`")]
    BoundsNothing { option: &'static str, playbook: String },
}

impl AdjustError {
    pub fn hint(&self) -> Option<&str> {
        match self {
            AdjustError::NoCollector { help, .. } | AdjustError::NoParam { help, .. } | AdjustError::BadValue { help, .. } => Some(help),
            AdjustError::NoSetting { .. } => Some("for example --set recent-invocations.max-pages=50"),
            _ => None,
        }
    }
}

/// Fit to be quoted, whatever was typed.
fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_default).collect()
}

impl std::str::FromStr for Instant {
    type Err = AdjustError;

    fn from_str(text: &str) -> Result<Self, AdjustError> {
        if let Some(ago) = parse_duration(text) {
            return Ok(Instant::Ago(ago));
        }
        let at = DateTime::parse_from_rfc3339(text).map_err(|_| AdjustError::NoInstant { text: shown(text) })?;
        Ok(Instant::At(at.with_timezone(&Utc)))
    }
}

impl Instant {
    fn before(self, end: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Instant::At(at) => at,
            Instant::Ago(ago) => TimeDelta::from_std(ago).ok().and_then(|ago| end.checked_sub_signed(ago)).unwrap_or(DateTime::UNIX_EPOCH),
        }
        .max(DateTime::UNIX_EPOCH)
    }
}

/// What a window becomes.
enum Bounds {
    /// So long before whenever the collector asks, by AWS's clocks.
    Last(Duration),
    From(DateTime<Utc>),
    To(DateTime<Utc>),
    Between(DateTime<Utc>, DateTime<Utc>),
}

impl Adjustments {
    /// The playbook as the operator wants it. `now` is what durations of `until` are counted from.
    pub fn apply(&self, registry: &Registry, playbook: &mut Playbook, now: DateTime<Utc>) -> Result<(), AdjustError> {
        let name = playbook.name.clone();
        if self.accept_shared_role {
            accept(playbook, ACCEPT_SHARED_ROLE)
                .ok_or(AdjustError::AcceptsNothing { option: "--accept-shared-role", playbook: name.clone() })?;
        }
        if (Adjustments { accept_shared_role: false, ..self.clone() }) == Adjustments::default() {
            return Ok(());
        }
        let Some(phase) = playbook.phases.iter_mut().find(|p| p.phase == PhaseKind::Collect) else {
            return Err(AdjustError::NoCollectPhase { playbook: name });
        };
        add_always(registry, phase);
        let adjusting = Adjusting { playbook: &name };
        adjusting.choose(phase, &self.skip, &self.only)?;
        if let Some(bounds) = self.bounds(now)? {
            adjusting.bound(phase, &bounds)?;
        }
        if let Some(trail) = &self.trail {
            adjusting.read_trail(phase, trail, &self.skip)?;
        }
        if let Some(regions) = &self.regions {
            adjusting.limit(phase, "--regions", |step| {
                let own = param(step.unit, REGIONS).is_some_and(|p| p.kind == ParamKind::Regions);
                own.then(|| (REGIONS, regions.to_string()))
            })?;
        }
        if let Some(bytes) = self.max_log_bytes {
            adjusting.limit(phase, "--max-log-bytes", |step| own(step, "recent-invocations", "max-bytes", bytes))?;
        }
        if let Some(events) = self.max_events {
            adjusting.limit(phase, "--max-events", |step| {
                own(step, step.unit.id(), "max-events", events)
                    // LookupEvents gives fifty on a page; that is the one bound that these collectors have.
                    .or_else(|| {
                        let searches = ["control-plane-history", "credential-activity"];
                        searches.iter().find_map(|unit| own(step, unit, "max-pages", events.div_ceil(50).max(1)))
                    })
            })?;
        }
        self.set.iter().try_for_each(|text| adjusting.set(phase, text))?;
        adjusting.keep_needed(phase, &self.skip)
    }

    fn bounds(&self, now: DateTime<Utc>) -> Result<Option<Bounds>, AdjustError> {
        let until = self.until.map(|u| u.before(now));
        let bounds = match (self.since, until) {
            (None, None) => return Ok(None),
            (Some(Instant::Ago(ago)), None) => Bounds::Last(ago),
            (Some(Instant::At(at)), None) => Bounds::From(at),
            (None, Some(until)) => Bounds::To(until),
            (Some(since), Some(until)) => Bounds::Between(since.before(until), until),
        };
        let empty = |since, until| AdjustError::EmptyWindow { since: clock::stamp(since), until: clock::stamp(until) };
        match bounds {
            Bounds::Last(ago) if ago.is_zero() => Err(empty(now, now)),
            Bounds::From(at) if at >= now => Err(empty(at, now)),
            Bounds::Between(since, until) if since >= until => Err(empty(since, until)),
            bounds => Ok(Some(bounds)),
        }
    }
}

/// The parameter by which an action on the role is told that others may be stopped with it.
const ACCEPT_SHARED_ROLE: &str = "accept-shared-role";

/// Say yes to this parameter of every step that contains and is on. `None` when there is no such step.
fn accept(playbook: &mut Playbook, name: &str) -> Option<()> {
    let contain = playbook.phases.iter_mut().filter(|p| p.phase == PhaseKind::Contain);
    let mut accepted = None;
    for step in contain.flat_map(|p| &mut p.steps).filter(|s| s.enabled && param(s.unit, name).is_some()) {
        step.params.0.insert(name.to_string(), Value::String("true".into()));
        accepted = Some(());
    }
    accepted
}

/// What every collect phase holds stands in it, so that its windows can be set too.
fn add_always(registry: &Registry, phase: &mut Phase) {
    for unit in ALWAYS.iter().filter_map(|id| registry.find(id)) {
        if !phase.steps.iter().any(|s| s.unit == unit) {
            phase.steps.push(Step {
                unit,
                params: Default::default(),
                accept: Default::default(),
                enabled: true,
                skipped: false,
                at: phase.at,
            });
        }
    }
}

/// `unit`'s parameter of this name, if the step is that unit's and it has one; with the value.
fn own(step: &Step, unit: &str, name: &'static str, value: u64) -> Option<(&'static str, String)> {
    (step.unit.id() == unit && param(step.unit, name).is_some()).then(|| (name, value.to_string()))
}

fn param(unit: Unit, name: &str) -> Option<&'static Param> {
    unit.params().iter().find(|p| p.name == name)
}

struct Adjusting<'p> {
    playbook: &'p str,
}

impl Adjusting<'_> {
    fn known(&self, phase: &Phase, id: &str) -> Result<usize, AdjustError> {
        phase.steps.iter().position(|s| s.unit.id() == id).ok_or_else(|| {
            let ids: Vec<&str> = phase.steps.iter().map(|s| s.unit.id()).collect();
            AdjustError::NoCollector { id: shown(id), playbook: self.playbook.to_string(), help: choice(id, &ids) }
        })
    }

    fn choose(&self, phase: &mut Phase, skip: &[String], only: &[String]) -> Result<(), AdjustError> {
        for id in only {
            let at = self.known(phase, id)?;
            phase.steps[at].enabled = true;
        }
        for id in skip {
            let at = self.known(phase, id)?;
            if ALWAYS.contains(&id.as_str()) {
                return Err(AdjustError::CannotSkip { id: id.clone() });
            }
            phase.steps[at].skipped |= phase.steps[at].enabled;
        }
        let needed: Vec<&str> = only.iter().flat_map(|id| looks_up(id)).copied().collect();
        for step in phase.steps.iter_mut().filter(|s| s.enabled) {
            let id = step.unit.id();
            step.skipped |= !only.is_empty() && !ALWAYS.contains(&id) && !needed.contains(&id) && !only.iter().any(|o| o == id);
            step.enabled = !step.skipped;
        }
        // A skipped unit whose look-ups another one makes would be asked all the same, and stand in no plan.
        let made: Vec<&str> = phase.steps.iter().filter(|s| s.enabled).flat_map(|s| looks_up(s.unit.id())).copied().collect();
        if let Some(id) = skip.iter().find(|id| made.contains(&id.as_str())) {
            return Err(AdjustError::CannotSkip { id: id.clone() });
        }
        Ok(())
    }

    fn bound(&self, phase: &mut Phase, bounds: &Bounds) -> Result<(), AdjustError> {
        let mut bounded = false;
        for step in phase.steps.iter_mut().filter(|s| param(s.unit, WINDOW).is_some_and(|p| p.kind == ParamKind::Duration)) {
            bounded = true;
            let mut put = |name: &str, value: String| step.params.0.insert(name.to_string(), Value::String(value));
            match bounds {
                Bounds::Last(ago) => drop(put(WINDOW, format!("{}s", ago.as_secs()))),
                Bounds::From(since) => drop(put(SINCE, clock::stamp(*since))),
                Bounds::To(until) => drop(put(UNTIL, clock::stamp(*until))),
                Bounds::Between(since, until) => {
                    put(SINCE, clock::stamp(*since));
                    put(UNTIL, clock::stamp(*until));
                }
            }
            if step.params.0.contains_key(SINCE) {
                step.params.0.remove(WINDOW);
            }
        }
        if bounded { Ok(()) } else { Err(self.nothing("--since or --until")) }
    }

    /// The trail's files, and who has events from them. Searches of the event history are then not made.
    fn read_trail(&self, phase: &mut Phase, trail: &S3Place, skip: &[String]) -> Result<(), AdjustError> {
        let at = self.known(phase, TRAIL_ARCHIVE)?;
        if skip.iter().any(|id| id == TRAIL_ARCHIVE) {
            return Err(AdjustError::SetOnSkipped { id: TRAIL_ARCHIVE.to_string() });
        }
        let step = &mut phase.steps[at];
        // `--only` means these and what they need.
        (step.enabled, step.skipped) = (true, false);
        step.params.0.insert("trail".to_string(), Value::String(trail.to_string()));
        for step in phase.steps.iter_mut() {
            if param(step.unit, "from").is_some_and(|p| p.kind.objection(&Value::from("trail")).is_none()) {
                step.params.0.insert("from".to_string(), Value::from("trail"));
            }
        }
        Ok(())
    }

    /// What `--only` left out and the rest needs is done all the same; what was skipped by name and is needed is an error.
    fn keep_needed(&self, phase: &mut Phase, skip: &[String]) -> Result<(), AdjustError> {
        for id in needed(&phase.steps) {
            if skip.iter().any(|s| s == id) {
                return Err(AdjustError::CannotSkip { id: id.to_string() });
            }
            if let Some(step) = phase.steps.iter_mut().find(|s| s.unit.id() == id && s.skipped) {
                (step.enabled, step.skipped) = (true, false);
            }
        }
        Ok(())
    }

    fn limit(
        &self,
        phase: &mut Phase,
        option: &'static str,
        of: impl Fn(&Step) -> Option<(&'static str, String)>,
    ) -> Result<(), AdjustError> {
        let mut bounded = false;
        for step in &mut phase.steps {
            if let Some((name, value)) = of(step) {
                bounded = true;
                step.params.0.insert(name.to_string(), Value::String(value));
            }
        }
        if bounded { Ok(()) } else { Err(self.nothing(option)) }
    }

    fn nothing(&self, option: &'static str) -> AdjustError {
        AdjustError::BoundsNothing { option, playbook: self.playbook.to_string() }
    }

    fn set(&self, phase: &mut Phase, text: &str) -> Result<(), AdjustError> {
        let parts = text.split_once('=').and_then(|(place, value)| Some((place.split_once('.')?, value)));
        let Some(((id, name), value)) = parts else { return Err(AdjustError::NoSetting { text: shown(text) }) };
        let at = self.known(phase, id)?;
        let step = &mut phase.steps[at];
        let unit = step.unit;
        if step.skipped {
            return Err(AdjustError::SetOnSkipped { id: id.to_string() });
        }
        let Some(param) = param(unit, name) else {
            let names: Vec<&str> = unit.params().iter().map(|p| p.name).collect();
            let help = if names.is_empty() { "it takes none".to_string() } else { choice(name, &names) };
            return Err(AdjustError::NoParam { unit: id.to_string(), name: shown(name), help });
        };
        let value = Value::String(value.to_string());
        if let Some(objection) = param.kind.objection(&value) {
            let help = format!("{}; default {}", param.doc, param.default);
            return Err(AdjustError::BadValue { unit: id.to_string(), name: param.name.to_string(), objection, help });
        }
        // What is set by name overrules the general word.
        if name == WINDOW {
            step.params.0.remove(SINCE);
        }
        step.params.0.insert(param.name.to_string(), value);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
