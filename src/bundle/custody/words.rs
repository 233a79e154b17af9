//! One sentence for each kind of journal line.

use crate::model::journal_event::{JournalEvent as E, PermitRecord};

/// Exchanges and what they gave, counted.
pub fn acquired(requests: u64, items: u64, gaps: u64) -> String {
    let open = if gaps == 0 { String::new() } else { format!(", {gaps} of them gaps") };
    format!("asked AWS {requests} times and recorded {items} outcomes{open}")
}

pub fn of(event: &E) -> String {
    match event {
        E::BundleOpen { case, target, tool, operator, .. } => {
            format!("opened the bundle for case {case} about {target}, for {operator}, with {tool}")
        }
        E::Clock { skew_ms, .. } => format!("compared clocks: AWS's differs by {skew_ms} ms"),
        E::Plan { playbook, sha256 } => format!("wrote the plan of `{playbook}` down ({sha256})"),
        E::Req { .. } => acquired(1, 0, 0),
        E::ItemStored { .. } => acquired(0, 1, 0),
        E::Gap { .. } => acquired(0, 0, 1),
        E::Redact { twin, fields: 0, .. } => format!("sealed the original of {} whole", twin.path.as_str()),
        E::Redact { twin, fields, .. } => format!("redacted {fields} secrets in {} and sealed the original", twin.path.as_str()),
        E::Interrupted { by } => format!("was interrupted by {by}"),
        E::SealedFor { identity, .. } => format!("seals the bundle's secrets for {identity} and those who hold its key"),
        E::Carried { files, .. } => format!("had {files} files in the bucket"),
        E::Reopen { operator, tool, from, .. } => {
            format!("the run had died: {operator} reopened the bundle from what lay at {from}, with {tool}")
        }
        E::Seal { items, gaps, finished } => {
            let how = if *finished { "" } else { ", unfinished" };
            format!("sealed the bundle{how}: {items} items, {gaps} gaps")
        }
        E::CaseOpen { case, tool, operator, .. } => format!("opened the case {case}, for {operator}, with {tool}"),
        E::Sealed { bundle, root, .. } => format!("the bundle {bundle} was sealed and read back, root {root}"),
        E::Access { bundle, originals, with, why, .. } => {
            let why = why.as_deref().map(|w| format!(": {w}")).unwrap_or_default();
            format!("opened {originals} sealed originals of {bundle} with {}{why}", with.join(", "))
        }
        E::Disclosed { bundle, copy, copy_root, .. } => format!("copied {bundle} without sealed originals: {copy}, root {copy_root}"),
        E::Transfer { bundle, to, record, objects, .. } => {
            format!("archived {bundle} at {to}: {objects} objects, read back (record {record})")
        }
        E::RunStarted { run, playbook, target, .. } => format!("began the run {run} of `{playbook}` against {target}"),
        E::RunEnded { run, outcome } => format!("ended the run {run}: {outcome}"),
        E::Approval { approval, .. } => format!("{} had approved the plan at {}", approval.approver, approval.approved_at),
        E::Refused { cell, refusal, .. } => match cell {
            Some(cell) => format!("refused to contain {cell}: {} (rule `{}`)", refusal.why, refusal.rule),
            None => format!("refused to contain: {} (rule `{}`)", refusal.why, refusal.rule),
        },
        E::Intent { cell, target, permit, .. } => {
            let because = match permit {
                PermitRecord::Evidence { bundle, root } => format!("on the evidence of {bundle}, root {root}"),
                PermitRecord::Override { who, why } => format!("without evidence, on the word of {who}: {why}"),
            };
            format!("was about to contain {cell} of {target}, {because}")
        }
        E::AlreadyContained { cell, .. } => format!("found {cell} contained already, and holds it"),
        E::Applied { cell, .. } => format!("changed {cell}"),
        E::ApplyFailed { cell, error, .. } => format!("could not be sure to have changed {cell}: {error}"),
        E::ReadBack { cell, holds, .. } => {
            format!("read {cell} back: it {}", if *holds { "reads as it should" } else { "does NOT read as it should" })
        }
        E::RestoreIntent { cell, .. } => format!("was about to put {cell} back"),
        E::Restored { cell, wrote: false, through: None, .. } => format!("let go of {cell}: nothing was written"),
        E::Restored { cell, wrote, .. } => {
            format!("put {cell} back{}", if *wrote { "" } else { ": it read as before already, nothing was written" })
        }
        E::RestoreFailed { cell, error, .. } => format!("could NOT put {cell} back: {error}"),
        E::Drift { cell, .. } => format!("found {cell} changed by somebody else, and left it alone"),
        E::DriftOverruled { cell, who, .. } => {
            format!("set {cell} back although somebody else had changed it, or may hold it, on the word of {who}")
        }
        E::HeldElsewhere { cell, case, .. } => format!("left {cell} contained, because case {case} holds it too"),
        E::Watched { watched, .. } => watched.words(),
    }
}
