//! A plan pinned to the world: what is to be done, and how everything it would change read when it was made. `plan --out` writes it, a second
//! person reads it, `run --plan` does exactly that, or says what has moved since and does nothing.
//!
//! Beauty of it: nobody approves a wish ("contain this function"), but twelve settings with their before and after. What it never does: ask
//! AWS anything (`engine::survey` does), hold a secret: before-states are policies, numbers and switches, never environment values.

use super::forecast::Forecast;
use super::{Plan, PlannedStep, What};
use crate::model::canon::{self, CanonError};
use crate::model::digest::Sha256;
use crate::model::id::CellId;
use crate::playbook::Registry;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `pinned-plan.schema.json`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pinned {
    /// Version of this form: 1.
    pub v: u32,
    /// Made for this pinning alone, so that an approval can be used once.
    pub nonce: String,
    /// RFC 3339, by our clock.
    pub made_at: String,
    /// Caller identity's ARN.
    pub made_by: String,
    pub plan: Plan,
    /// The function as it was.
    pub function: PinnedFunction,
    /// Every setting that the contain phase would change, in the order of its steps.
    pub cells: Vec<PinnedCell>,
    /// What that means here, as far as it could be read. It moves with every invocation, so it is no part of what must not move.
    pub forecast: Forecast,
    /// Actions that would do nothing, and why.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub troubles: Vec<PinnedTrouble>,
}

/// What tells one state of the function from another: its code and its configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PinnedFunction {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub revision_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub code_sha256: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PinnedCell {
    pub action: String,
    pub cell: CellId,
    /// In words.
    pub label: String,
    /// As it read; absent when it could not be read.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "stated")]
    pub before: Option<Value>,
    /// As it would be set.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "stated")]
    pub after: Option<Value>,
    /// Why it would not be set, if so.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub trouble: Option<String>,
}

/// `null` is a state (no reservation), not the absence of one.
fn stated<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PinnedTrouble {
    pub action: String,
    pub what: String,
}

/// One difference between the world that was planned for and the world that is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Moved {
    pub what: String,
    pub planned: String,
    pub found: String,
}

#[derive(Debug, thiserror::Error)]
pub enum PinError {
    #[error("this is not a pinned plan")]
    Read(#[source] serde_json::Error),
    #[error("the pinned plan has version {0}; this build knows version 1")]
    Version(u32),
    #[error("the plan names `{0}`, which this build does not know")]
    UnknownUnit(String),
    #[error("`{unit}` has no parameter `{name}`, or not with this value")]
    Param { unit: String, name: String },
    #[error("what the plan says of `{0}` is not what this build would do: it was made by another build, or changed by hand")]
    AnotherBuild(String),
}

/// Larger files are no plans.
pub const MAX_BYTES: u64 = 8 << 20;

impl Pinned {
    /// Read one that somebody hands us. Everything in it that decides what is done is checked against this build.
    pub fn read(bytes: &[u8]) -> Result<Pinned, PinError> {
        let pinned: Pinned = serde_json::from_slice(bytes).map_err(PinError::Read)?;
        if pinned.v != 1 {
            return Err(PinError::Version(pinned.v));
        }
        let registry = Registry::built_in();
        for step in pinned.plan.phases.iter().flat_map(|p| &p.steps) {
            check(&registry, step)?;
        }
        Ok(pinned)
    }

    /// What an approval is of.
    pub fn sha256(&self) -> Result<Sha256, CanonError> {
        Ok(Sha256::of(&canon::to_vec("the pinned plan", self)?))
    }

    /// What differs, seen from here to `now`. Empty: the world stands still.
    pub fn moved(&self, now: &Pinned) -> Vec<Moved> {
        let mut moved = vec![];
        let mut differ = |what: String, planned: &str, found: &str| {
            if planned != found {
                moved.push(Moved { what, planned: planned.to_string(), found: found.to_string() });
            }
        };
        const NOT_KNOWN: &str = "not known";
        let word = |v: &Option<String>| v.clone().unwrap_or_else(|| NOT_KNOWN.to_string());
        differ("revision of the function".into(), &word(&self.function.revision_id), &word(&now.function.revision_id));
        differ("code of the function".into(), &word(&self.function.code_sha256), &word(&now.function.code_sha256));
        for cell in &self.cells {
            match now.cells.iter().find(|c| same_cell(c, cell)) {
                None => differ(cell.label.clone(), "to be changed", "not there any more"),
                Some(found) => {
                    differ(cell.label.clone(), &state(cell.before.as_ref()), &state(found.before.as_ref()));
                    let after = |c: &PinnedCell| state(c.after.as_ref().map(|v| moment_left_out(&c.action, v)).as_ref());
                    differ(format!("what {} would be set to", cell.label), &after(cell), &after(found));
                }
            }
        }
        for found in now.cells.iter().filter(|f| !self.cells.iter().any(|c| same_cell(c, f))) {
            differ(found.label.clone(), "not there", "new");
        }
        for found in now.troubles.iter().filter(|t| !self.troubles.contains(t)) {
            differ(found.action.clone(), "would be done", &found.what);
        }
        moved
    }
}

/// Actions that deny what was issued until the moment in which they are carried out. That the moment comes later than the plan is what was meant:
/// no move of the world.
const OF_A_MOMENT: [&str; 2] = ["revoke-sessions", "quarantine-role"];

fn same_cell(a: &PinnedCell, b: &PinnedCell) -> bool {
    let name = |c: &PinnedCell| moment_left_out(&c.action, &Value::from(c.cell.0.clone()));
    a.action == b.action && name(a) == name(b)
}

/// A state or a name with its times (`20261120T120000Z`, `2026-11-20T12:00:00Z`) left out, if the action is one of a moment.
fn moment_left_out(action: &str, value: &Value) -> Value {
    let Some(text) = value.as_str().filter(|_| OF_A_MOMENT.contains(&action)) else { return value.clone() };
    const FORMS: [&str; 2] = ["ddddddddTddddddZ", "dddd-dd-ddTdd:dd:ddZ"];
    let is = |at: &str, form: &str| {
        at.len() >= form.len() && at.bytes().zip(form.bytes()).all(|(b, f)| if f == b'd' { b.is_ascii_digit() } else { b == f })
    };
    let (mut out, mut rest) = (String::new(), text);
    while let Some(c) = rest.chars().next() {
        match FORMS.iter().find(|form| is(rest, form)) {
            Some(form) => {
                out.push_str("<then>");
                rest = &rest[form.len()..];
            }
            None => {
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    Value::from(out)
}

/// A state in one line that tells it from others.
fn state(value: Option<&Value>) -> String {
    const SHORT: usize = 60;
    let Some(value) = value else { return "not readable".to_string() };
    let text = value.to_string();
    if text.len() <= SHORT { text } else { format!("sha256 {}", Sha256::of(text.as_bytes())) }
}

/// Whether the step says what this build would do: nobody approves one thing and gets another.
fn check(registry: &Registry, step: &PlannedStep) -> Result<(), PinError> {
    let unit = registry.find(&step.unit).ok_or_else(|| PinError::UnknownUnit(step.unit.clone()))?;
    for (name, value) in &step.params.0 {
        let param = unit.params().iter().find(|p| p.name == name);
        let known = param.map(|p| p.kind.objection(value).is_none());
        // Instants come from the operator's words, not from a playbook.
        let instant = super::SINCE == name || crate::model::params::UNTIL == name;
        if !(known.unwrap_or(false) || (instant && step.params.instant(name).is_some())) {
            return Err(PinError::Param { unit: step.unit.clone(), name: name.clone() });
        }
    }
    let accept_fits = step.accept.is_default() || matches!(step.what, What::Action { .. });
    let ours = super::planned(unit, &step.params, step.accept);
    if ours != *step || !accept_fits {
        return Err(PinError::AnotherBuild(step.unit.clone()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_moment_of_an_action_is_no_move_of_the_world() {
        let cell = |action: &str, time: &str, text: &str| PinnedCell {
            action: action.into(),
            cell: CellId(format!("{action}/r/freezeframe-revoked-sessions-{time}")),
            label: String::new(),
            before: Some(Value::Null),
            after: Some(json!(text)),
            trouble: None,
        };
        let a = cell("revoke-sessions", "20261120T120000Z", "{\"aws:TokenIssueTime\":\"2026-11-20T12:00:00Z\",\"é\":1}");
        let later = cell("revoke-sessions", "20261120T123000Z", "{\"aws:TokenIssueTime\":\"2026-11-20T12:30:00Z\",\"é\":1}");
        assert!(same_cell(&a, &later));
        let after = |c: &PinnedCell| moment_left_out(&c.action, c.after.as_ref().unwrap());
        assert_eq!(after(&a), after(&later));
        assert_ne!(
            after(&a),
            after(&cell("revoke-sessions", "20261120T123000Z", "{\"aws:TokenIssueTime\":\"2026-11-20T12:30:00Z\",\"é\":2}"))
        );
        // Of other actions a time is a state like any other.
        let of = |time| cell("disable-rules", time, "x");
        assert!(!same_cell(&of("20261120T120000Z"), &of("20261120T123000Z")));
    }
}
