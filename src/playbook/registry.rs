//! The units that a playbook may name. The real registry is the two slices of floor 3; tests may make a smaller one.

use crate::collect::{COLLECTORS, CollectorSpec};
use crate::contain::{ACTIONS, ActionSpec};
use crate::model::call::Call;
use crate::model::params::Param;
use serde::{Serialize, Serializer};

/// A collector or an action, by its description.
#[derive(Clone, Copy, Debug)]
pub enum Unit {
    Collector(&'static CollectorSpec),
    Action(&'static ActionSpec),
}

impl Unit {
    pub fn id(self) -> &'static str {
        match self {
            Unit::Collector(spec) => spec.id,
            Unit::Action(spec) => spec.id,
        }
    }
    pub fn title(self) -> &'static str {
        match self {
            Unit::Collector(spec) => spec.title,
            Unit::Action(spec) => spec.title,
        }
    }
    pub fn calls(self) -> &'static [Call] {
        match self {
            Unit::Collector(spec) => spec.calls,
            Unit::Action(spec) => spec.calls,
        }
    }
    pub fn params(self) -> &'static [Param] {
        match self {
            Unit::Collector(spec) => spec.params,
            Unit::Action(spec) => spec.params,
        }
    }
}

impl PartialEq for Unit {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Serialize for Unit {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.id())
    }
}

/// Units in the order of their slices: collectors most volatile first, actions as a playbook should use them.
#[derive(Clone, Debug)]
pub struct Registry {
    pub collectors: Vec<&'static CollectorSpec>,
    pub actions: Vec<&'static ActionSpec>,
}

impl Registry {
    pub fn built_in() -> Self {
        Registry { collectors: COLLECTORS.iter().map(|c| c.spec()).collect(), actions: ACTIONS.iter().map(|a| a.spec()).collect() }
    }

    pub fn find(&self, id: &str) -> Option<Unit> {
        let collector = self.collectors.iter().find(|c| c.id == id).map(|c| Unit::Collector(c));
        collector.or_else(|| self.actions.iter().find(|a| a.id == id).map(|a| Unit::Action(a)))
    }

    /// Place in the slice: the order in which steps of a collect phase are started.
    pub fn rank(&self, unit: Unit) -> usize {
        let place = match unit {
            Unit::Collector(spec) => self.collectors.iter().position(|c| c.id == spec.id),
            Unit::Action(spec) => self.actions.iter().position(|a| a.id == spec.id),
        };
        place.unwrap_or(usize::MAX)
    }
}
