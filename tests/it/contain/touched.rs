//! The guard policy that we print as an example, before every cell that our actions find: it protects what is ours, and keeps us from nothing else.

use super::rig::{Rig, never, nobody, permit, scenarios};
use crate::support::cells::{params_of, target};
use freezeframe::contain::{ACTIONS, Cell};
use freezeframe::engine::log::MemLog;
use freezeframe::engine::{Accept, OnFailure, Step};
use freezeframe::model::id::CellId;
use freezeframe::model::params::Params;
use freezeframe::plan::guard::{EXAMPLE, Ourselves, read};
use serde_json::json;
use std::collections::BTreeSet;

/// As whoever wrote the example would call his own.
fn params(action: &str) -> Params {
    match action {
        "capture-async-events" => serde_json::from_value(json!({"queue": "arn:aws:sqs:eu-west-1:123456789012:ir-quarantine"})).unwrap(),
        "quarantine-role" => serde_json::from_value(json!({"queue": "arn:aws:sqs:eu-west-1:123456789012:freezeframe-quarantine"})).unwrap(),
        "set-permissions-boundary" => {
            let with = json!({"boundary": "arn:aws:iam::123456789012:policy/ir-deny-all", "accept-shared-role": true});
            serde_json::from_value(with).unwrap()
        }
        other => params_of(other),
    }
}

#[tokio::test]
async fn the_example_policy_lets_every_action_have_its_cells() {
    let ours = Ourselves {
        function: Some("freezeframe-responder".into()),
        log_group: Some("/aws/lambda/freezeframe-responder".into()),
        buckets: vec!["evidence-vault".into()],
    };
    // The pattern that a hurried hand writes takes in even more.
    let policies = [EXAMPLE.to_string(), EXAMPLE.replace("freezeframe-*", "freezeframe*")].map(|text| read("guard.yaml", &text).unwrap());
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for (name, world, actions) in scenarios().into_iter().filter(|(_, _, actions)| actions.len() > 1) {
        let (rig, log) = (Rig::new(world), MemLog::default());
        let params: Vec<Params> = actions.iter().map(|a| params(a.spec().id)).collect();
        let steps: Vec<Step<'_>> =
            actions.iter().zip(&params).map(|(a, params)| Step { action: *a, params, accept: Accept::Irreversible }).collect();
        let report = rig.with(&log, &never, &nobody, async |s| s.contain(&steps, &target(), &permit(), OnFailure::Hold, true).await).await;
        for found in report.cells {
            let cell = Cell { id: found.cell, label: found.label, facts: found.facts };
            for policy in &policies {
                assert_eq!(policy.objects_to_cell(&ours, &cell), None, "{name}: {cell:?}");
            }
            // The same beside a function of ours is left alone, whatever the action.
            let mut beside = cell.clone();
            beside.facts["users"] = json!(["freezeframe-quarantine-handler"]);
            assert!(policies[0].objects_to_cell(&ours, &beside).is_some(), "{name}: {beside:?}");
            seen.insert(cell.id.action().to_string());
        }
    }
    assert_eq!(seen.len(), ACTIONS.len(), "{seen:?}");
    let own = Cell { id: CellId("quarantine-role/ir-vault/freezeframe-quarantine-f".into()), label: "x".into(), facts: json!({}) };
    assert!(policies[0].objects_to_cell(&ours, &own).is_some(), "the role itself is one of ours");
}
