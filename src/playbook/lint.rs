//! Rules that span steps: the order of phases, and what the order means for the evidence.

use super::problem::{Pos, Problems};
use super::{Phase, PhaseKind};
use std::collections::BTreeMap;

pub(super) fn phases(phases: &[Phase], problems: &mut Problems<'_>) {
    once_each(phases, problems);
    evidence_in_order(phases, problems);
    contain_after_verify(phases, problems);
    archive_after_verify(phases, problems);
    for phase in phases {
        steps(phase, problems);
        capture_before_freeze(phase, problems);
    }
}

fn place(phases: &[Phase], kind: PhaseKind) -> Option<usize> {
    phases.iter().position(|p| p.phase == kind)
}

fn once_each(phases: &[Phase], problems: &mut Problems<'_>) {
    for (i, phase) in phases.iter().enumerate() {
        if place(phases, phase.phase) != Some(i) {
            problems.say(phase.at, format!("a second {} phase; a playbook has each phase once", phase.phase));
        }
    }
}

/// What was collected is sealed, what was sealed is verified: a playbook that left one out would hand over evidence that nobody checked.
fn evidence_in_order(phases: &[Phase], problems: &mut Problems<'_>) {
    let chain = [PhaseKind::Collect, PhaseKind::Seal, PhaseKind::Verify];
    for pair in chain.windows(2) {
        let [before, after] = pair else { continue };
        match (place(phases, *before), place(phases, *after)) {
            (Some(b), Some(a)) if a < b => {
                problems.help(phases[a].at, format!("{after} before {before}"), "the order is collect, seal, verify");
            }
            (Some(b), None) => {
                problems.help(
                    phases[b].at,
                    format!("{before} without {after}"),
                    format!("add `- phase: {after}` after it; evidence is collected, sealed and verified"),
                );
            }
            (None, Some(a)) => {
                problems.help(
                    phases[a].at,
                    format!("{after} without {before}"),
                    format!("there is nothing to {after}; add `- phase: {before}` before it"),
                );
            }
            _ => {}
        }
    }
}

fn contain_after_verify(phases: &[Phase], problems: &mut Problems<'_>) {
    let Some(contain) = place(phases, PhaseKind::Contain) else { return };
    let verified_first = place(phases, PhaseKind::Verify).is_some_and(|verify| verify < contain);
    let phase = &phases[contain];
    match (&phase.overrides, verified_first) {
        (None, false) => problems.help(
            phase.at,
            "contain before verify: the world would be changed before the evidence is safe",
            "move contain after verify, or say why with `override: \"…\"`",
        ),
        (Some(_), true) => problems.help(
            phase.at,
            "`override`, but contain comes after verify and needs none",
            "remove `override`; the verified bundle is the permit",
        ),
        _ => {}
    }
}

/// A bundle that nobody has checked is not archived: with Object Lock it would stay wrong for years.
fn archive_after_verify(phases: &[Phase], problems: &mut Problems<'_>) {
    let Some(archive) = place(phases, PhaseKind::Archive) else { return };
    if place(phases, PhaseKind::Verify).is_none_or(|verify| archive < verify) {
        problems.help(phases[archive].at, "archive before verify", "move it after verify; what is archived was checked before");
    }
}

/// From the freeze on Lambda diverts asynchronous events without a retry: what comes before the queue is named is lost, or mixed into somebody's
/// dead-letter queue.
fn capture_before_freeze(phase: &Phase, problems: &mut Problems<'_>) {
    let place = |id: &str| phase.steps.iter().position(|s| s.unit.id() == id && s.enabled);
    if let (Some(capture), Some(freeze)) = (place("capture-async-events"), place("freeze-concurrency"))
        && freeze < capture
    {
        problems.help(
            phase.steps[capture].at,
            "`capture-async-events` after `freeze-concurrency`: the asynchronous events in between would be lost",
            format!("move it before `freeze-concurrency` (line {})", phase.steps[freeze].at.line),
        );
    }
}

fn steps(phase: &Phase, problems: &mut Problems<'_>) {
    let mut seen: BTreeMap<&str, Pos> = BTreeMap::new();
    for step in &phase.steps {
        let id = step.unit.id();
        // `all` adds only what is not there, so a repetition was written by hand.
        if let Some(first) = seen.insert(id, step.at) {
            problems.help(step.at, format!("`{id}` is used twice"), format!("it stands on line {} already", first.line));
        }
        if super::ALWAYS.contains(&id) && !step.enabled {
            problems.help(step.at, format!("`{id}` cannot be off"), "what other collectors look up about the function is recorded as its");
        }
    }
    if !phase.steps.is_empty() && phase.steps.iter().all(|s| !s.enabled) {
        problems.help(phase.at, format!("every step of this {} phase is off", phase.phase), "remove the phase, or enable a step");
    }
}
