//! The tables of the documentation, made from the slices: `tests/it/docs.rs` compares them with what stands between the markers.

use super::permits::granted_on;
use crate::model::call::{Access, Scope};
use crate::model::gap::GapKind;
use crate::model::outcome::Outcome;
use crate::playbook::{self, Registry, Unit};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// How a table is made.
pub type Table = fn() -> String;

/// By the name in its markers.
pub const TABLES: &[(&str, Table)] = &[
    ("collectors", collectors),
    ("actions", actions),
    ("playbooks", playbooks),
    ("permissions", permissions),
    ("exit-codes", exit_codes),
    ("gaps", gaps),
];

/// A cell's text can neither end the cell nor begin markup.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|").replace('<', "&lt;")
}

fn params(unit: Unit) -> String {
    let list: Vec<String> = unit.params().iter().map(|p| format!("`{}` ({})", p.name, p.default)).collect();
    list.join(", ")
}

fn collectors() -> String {
    let mut out = String::from("| collector | the question it answers | parameters (default) |\n|---|---|---|\n");
    for spec in Registry::built_in().collectors {
        let _ = writeln!(out, "| `{}` | {} | {} |", spec.id, cell(spec.answers), params(Unit::Collector(spec)));
    }
    out
}

fn actions() -> String {
    let mut out = String::from("| action | stops | does not stop | side effects | restore |\n|---|---|---|---|---|\n");
    for spec in Registry::built_in().actions {
        let words = [spec.stops, spec.does_not_stop, spec.side_effects, spec.restore].map(cell).join(" | ");
        let _ = writeln!(out, "| `{}` | {words} |", spec.id);
    }
    out
}

fn playbooks() -> String {
    let mut out = String::from("| playbook | what it does | phases |\n|---|---|---|\n");
    for shipped in playbook::shipped() {
        // A test reads every shipped playbook, so that none is missing here.
        if let Ok((playbook, _)) = playbook::load(shipped.name) {
            let phases: Vec<&str> = playbook.phases.iter().map(|p| p.phase.as_str()).collect();
            let _ = writeln!(out, "| `{}` | {} | {} |", playbook.name, cell(&playbook.title), phases.join(" → "));
        }
    }
    out
}

fn permissions() -> String {
    let registry = Registry::built_in();
    // action → (what it is granted on, who needs it)
    let mut rows: BTreeMap<(bool, &str), (Scope, Vec<&str>)> = BTreeMap::new();
    let units = registry.collectors.iter().map(|c| Unit::Collector(c)).chain(registry.actions.iter().map(|a| Unit::Action(a)));
    for unit in units {
        for call in unit.calls() {
            if let Some(action) = call.action {
                let row = rows.entry((call.access == Access::Write, action)).or_insert((call.scope, vec![]));
                if !row.1.contains(&unit.id()) {
                    row.1.push(unit.id());
                }
            }
        }
    }
    let mut out = String::from("| IAM action | | on | for |\n|---|---|---|---|\n");
    for ((write, action), (scope, units)) in rows {
        let on = granted_on(action, scope);
        let units: Vec<String> = units.iter().map(|u| format!("`{u}`")).collect();
        let _ = writeln!(out, "| `{action}` | {} | {on} | {} |", if write { "writes" } else { "reads" }, units.join(", "));
    }
    out
}

fn exit_codes() -> String {
    let mut out = String::from("| exit code | meaning |\n|---|---|\n");
    for outcome in Outcome::ALL {
        let _ = writeln!(out, "| {} | {} |", outcome.exit_code(), cell(outcome.sentence()));
    }
    out
}

fn gaps() -> String {
    let mut out = String::from("| gap | meaning |\n|---|---|\n");
    for kind in GapKind::ALL {
        let _ = writeln!(out, "| `{}` | {} |", kind.as_str(), cell(kind.sentence()));
    }
    out
}
