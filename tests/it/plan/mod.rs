//! Intention. What a plan says is compared word for word with snapshots (`snapshots/`): for the fixed registry, where a change means that the
//! rendering changed, and for what ships, where it means that a responder will read something else. `INSTA_UPDATE=always` rewrites them.

use crate::playbook::units::registry;
use crate::support::tools::{python_tools, repository};
use freezeframe::model::call::{Access, Call};
use freezeframe::model::s3_place::S3Place;
use freezeframe::model::target::Target;
use freezeframe::plan::adjust::Adjustments;
use freezeframe::plan::forecast::FORECAST;
use freezeframe::plan::guard;
use freezeframe::plan::{self, ATTACHED, Effect, Known, MANAGED, PARTICULAR, PREFLIGHT, Plan, Policy, WATCH, What};
use freezeframe::playbook::{self, ALWAYS, PhaseKind, Registry, Unit, parse_with, shipped};
use std::collections::BTreeSet;
use std::process::Command;

fn target() -> Target {
    Target {
        partition: "aws".into(),
        account: "123456789012".into(),
        region: "eu-west-1".into(),
        function: "payments-export".into(),
        qualifier: Some("live".into()),
    }
}

fn of(text: &str, known: &Known) -> Plan {
    Plan::make_with(&registry(), &parse_with(&registry(), "x.yaml", text).unwrap(), &target(), known)
}

fn of_shipped(name: &str) -> Plan {
    Plan::make(&playbook::load(name).unwrap().0, &target(), &Known::default())
}

const BOTH: &str = "\
playbook: both
title: Evidence, then stop
phases:
  - phase: collect
    steps:
      - use: execution-role
      - use: recent-invocations
        with: { window: 7d }
      - use: function-code
  - phase: seal
  - phase: verify
  - phase: contain
    on-failure: unwind
    steps:
      - use: quarantine-role
      - use: freeze-concurrency
        enabled: false
";

#[test]
fn the_dry_run_word_for_word() {
    insta::assert_snapshot!("dry-run", of(BOTH, &Known::default()).to_string());
}

#[test]
fn the_document_word_for_word() {
    let plan = of(BOTH, &Known::default());
    insta::assert_snapshot!("document", serde_json::to_string_pretty(&plan).unwrap());
    assert_eq!(serde_json::from_slice::<Plan>(&plan.canonical().unwrap()).unwrap(), plan, "a plan is read back as it was written");
}

/// Somebody else's validator, on everything that ships, and on a plan with a member too many.
#[test]
fn the_document_follows_its_schema() {
    let dir = tempfile::tempdir().unwrap();
    let (schema, jsonschema) = (repository("evidence-schema/plan.schema.json"), python_tools().join("jsonschema"));
    let valid = |plan: &serde_json::Value| {
        let file = dir.path().join("plan.json");
        std::fs::write(&file, plan.to_string()).unwrap();
        Command::new(&jsonschema).arg("-i").arg(&file).arg(&schema).output().unwrap().status.success()
    };
    for plan in shipped().iter().map(|s| of_shipped(s.name)).chain([of(BOTH, &Known::default())]) {
        let mut plan = serde_json::to_value(&plan).unwrap();
        assert!(valid(&plan), "{}", plan["playbook"]);
        plan["phases"][0]["steps"][0]["invented"] = true.into();
        assert!(!valid(&plan), "the schema is closed");
    }
}

#[test]
fn what_ships_word_for_word() {
    for s in shipped() {
        insta::assert_snapshot!(format!("shipped-{}", s.name), of_shipped(s.name).to_string());
    }
}

#[test]
fn a_collect_phase_is_sorted_by_volatility_and_always_holds_the_shared_look_ups() {
    let plan = of(BOTH, &Known::default());
    let units: Vec<&str> = plan.phase(PhaseKind::Collect).unwrap().steps.iter().map(|s| s.unit.as_str()).collect();
    assert_eq!(units, ["configuration", "function-code", "recent-invocations", "execution-role"]);
    let role_only =
        "playbook: x\ntitle: x\nphases:\n  - phase: collect\n    steps: [ { use: execution-role } ]\n  - phase: seal\n  - phase: verify\n";
    let plan = Plan::make(&playbook::parse("x", role_only).unwrap(), &target(), &Known::default());
    for id in ALWAYS {
        assert!(plan.phase(PhaseKind::Collect).unwrap().steps.iter().any(|s| s.unit == id), "{id}");
    }
}

#[test]
fn parameters_are_resolved_with_their_defaults() {
    let plan = of(BOTH, &Known::default());
    let step = plan.phase(PhaseKind::Collect).unwrap().steps.iter().find(|s| s.unit == "recent-invocations").unwrap();
    let given: Vec<String> = ["window", "max-bytes", "max-pages"].iter().map(|n| step.params.text(n).unwrap()).collect();
    assert_eq!(given, ["7d", "64MiB", "1000"]);
}

#[test]
fn the_digest_follows_playbook_target_and_nothing_else() {
    let digest = |text: &str, t: &Target| {
        let playbook = parse_with(&registry(), "x.yaml", text).unwrap();
        Plan::make_with(&registry(), &playbook, t, &Known::default()).sha256().unwrap()
    };
    let here = digest(BOTH, &target());
    assert_eq!(here, digest(BOTH, &target()));
    assert_ne!(here, digest(&BOTH.replace("7d", "8d"), &target()));
    assert_ne!(here, digest(&(BOTH.to_string() + "# a word\n"), &target()), "the playbook's own digest is in the plan");
    assert_ne!(here, digest(BOTH, &Target { function: "payments-import".into(), ..target() }));
}

fn allowed(documents: &[Policy]) -> BTreeSet<String> {
    let statements = documents.iter().flat_map(|p| &p.statement).filter(|s| s.effect == Effect::Allow);
    statements.flat_map(|s| s.action.clone()).collect()
}

fn declared(plan: &Plan, kind: PhaseKind) -> BTreeSet<String> {
    let own = plan.phase(kind).into_iter().flat_map(|p| &p.steps).flat_map(|s| &s.calls).filter_map(|c| c.action.clone());
    // Every run looks at its target first; containment asks the guardrails, and is foretold.
    let around: Vec<&Call> = match (plan.phase(kind), kind) {
        (None, _) => vec![],
        (Some(_), PhaseKind::Contain) => PREFLIGHT.iter().chain(guard::CALLS).chain(FORECAST).chain(WATCH).collect(),
        (Some(_), _) => PREFLIGHT.iter().collect(),
    };
    own.chain(around.into_iter().filter_map(|c| c.action.map(str::to_string))).collect()
}

/// Both directions: nothing that is called is missing, nothing that is not called is granted.
#[test]
fn permissions_cover_the_declared_calls_exactly() {
    let mut plans: Vec<Plan> = shipped().iter().map(|s| of_shipped(s.name)).collect();
    plans.push(of(BOTH, &Known::default()));
    // And each unit alone, so that no unit is covered by another one's calls.
    let registry = Registry::built_in();
    for unit in registry.collectors.iter().map(|c| Unit::Collector(c)).chain(registry.actions.iter().map(|a| Unit::Action(a))) {
        let text = match unit {
            Unit::Collector(c) => {
                let with = match c.id {
                    // Without a trail there is nothing that it would call.
                    "trail-archive" => ", with: { trail: \"s3://trail/org\" }",
                    // The same without a size.
                    "flow-records" => ", with: { flow-bytes: 1MiB }",
                    _ => "",
                };
                format!(
                    "playbook: x\ntitle: x\nphases:\n  - phase: collect\n    steps: [ {{ use: {}{with} }} ]\n  - phase: seal\n  - phase: verify\n",
                    c.id
                )
            }
            Unit::Action(a) => {
                format!("playbook: x\ntitle: x\nphases:\n  - phase: contain\n    override: testing\n    steps: [ {{ use: {} }} ]\n", a.id)
            }
        };
        let plan = Plan::make(&playbook::parse("x", &text).unwrap(), &target(), &Known::default());
        let actions = allowed(&[&plan.permissions.reader[..], &plan.permissions.container[..]].concat());
        for call in unit.calls() {
            assert!(call.action.is_none_or(|a| actions.contains(a)), "{}: {call}", unit.id());
        }
        plans.push(plan);
    }
    for plan in plans {
        assert_eq!(allowed(&plan.permissions.reader), declared(&plan, PhaseKind::Collect), "{}", plan.playbook);
        assert_eq!(allowed(&plan.permissions.container), declared(&plan, PhaseKind::Contain), "{}", plan.playbook);
    }
}

/// What a parameter makes needless is neither said nor granted; and the trail's own place is all that is granted of S3 for it.
#[test]
fn a_trail_is_read_instead_of_the_history_and_only_where_it_is() {
    let words = |text: &str| {
        let adjustments = Adjustments { trail: S3Place::parse(text), ..Default::default() };
        let mut playbook = playbook::load("snapshot-only").unwrap().0;
        let now = "2026-11-20T12:00:00Z".parse().unwrap();
        adjustments.apply(&Registry::built_in(), &mut playbook, now).unwrap();
        Plan::make(&playbook, &target(), &Known::default())
    };
    let (history, trail) = (words("none"), words("s3://org-trail/logs"));
    let actions = |plan: &Plan| allowed(&plan.permissions.reader);
    assert!(actions(&history).contains("cloudtrail:LookupEvents") && !actions(&history).contains("s3:ListBucket"));
    assert!(!actions(&trail).contains("cloudtrail:LookupEvents") && actions(&trail).contains("cloudtrail:ListPublicKeys"));
    let resources = |action: &str| -> Vec<String> {
        let statements = trail.permissions.reader.iter().flat_map(|p| &p.statement);
        statements.filter(|s| s.action.iter().any(|a| a == action)).flat_map(|s| s.resource.clone()).collect()
    };
    assert_eq!(resources("s3:ListBucket"), ["arn:aws:s3:::org-trail"]);
    assert_eq!(resources("s3:GetObject"), ["arn:aws:s3:::org-trail/logs/*"]);
    assert!(
        trail.permissions.notes.iter().any(|n| n.contains("kms:Decrypt") && n.contains("trail's files")),
        "{:?}",
        trail.permissions.notes
    );
    let step = |plan: &Plan, id: &str| plan.phase(PhaseKind::Collect).unwrap().steps.iter().find(|s| s.unit == id).unwrap().clone();
    assert_eq!(step(&trail, "credential-activity").params.text("from").as_deref(), Some("trail"));
    assert!(step(&history, "trail-archive").calls.is_empty());
}

#[test]
fn the_reader_can_change_nothing_and_the_container_cannot_destroy() {
    let plan = of_shipped("snapshot-and-contain");
    let writes: BTreeSet<String> = plan
        .phases
        .iter()
        .flat_map(|p| &p.steps)
        .flat_map(|s| &s.calls)
        .filter(|c| c.access == Access::Write)
        .filter_map(|c| c.action.clone())
        .collect();
    assert!(writes.len() >= 4, "{writes:?}");
    assert!(allowed(&plan.permissions.reader).is_disjoint(&writes));
    let container = plan.permissions.container;
    let denied = container.iter().flat_map(|p| &p.statement).find(|s| s.effect == Effect::Deny).unwrap();
    assert_eq!((denied.action.clone(), denied.resource.clone()), (plan::never_actions(), vec!["*".to_string()]));
    assert!(allowed(&container).is_disjoint(&denied.action.iter().cloned().collect()));
}

/// Of every shipped playbook: documents that IAM takes, as many as a role takes, none of them empty, each with ids of its own.
#[test]
fn the_policies_fit_one_role() {
    for s in shipped() {
        for known in [Known::default(), known_at_length()] {
            let permissions = Plan::make(&playbook::load(s.name).unwrap().0, &target(), &known).permissions;
            let all: Vec<&Policy> = permissions.reader.iter().chain(&permissions.container).collect();
            assert!(!all.is_empty() && all.len() <= ATTACHED, "{}: {} documents", s.name, all.len());
            for document in all {
                let ids: BTreeSet<&String> = document.statement.iter().map(|s| &s.sid).collect();
                assert_eq!(ids.len(), document.statement.len(), "{}", s.name);
                assert!((1..=MANAGED).contains(&document.characters()), "{}: {}", s.name, document.characters());
            }
        }
    }
    // Whoever attaches the first document alone can already not destroy.
    let first = of_shipped("contain-fully").permissions.container.swap_remove(0).statement.swap_remove(0);
    assert_eq!((first.effect, first.action), (Effect::Deny, plan::never_actions()));
}

/// The longest names that IAM and CloudWatch Logs allow.
fn known_at_length() -> Known {
    let role = format!("arn:aws:iam::123456789012:role/{}/{}", "p".repeat(500), "r".repeat(64));
    Known { role_arn: Some(role), log_group: Some("g".repeat(512)), ..Known::default() }
}

#[test]
fn writes_never_stand_on_everything() {
    for s in shipped() {
        let plan = of_shipped(s.name);
        let writes: BTreeSet<&String> = plan
            .phases
            .iter()
            .flat_map(|p| &p.steps)
            .flat_map(|s| &s.calls)
            .filter(|c| c.access == Access::Write)
            .filter_map(|c| c.action.as_ref())
            .collect();
        for statement in plan.permissions.container.iter().flat_map(|p| &p.statement).filter(|s| s.effect == Effect::Allow) {
            if statement.action.iter().any(|a| writes.contains(a)) {
                assert!(!statement.resource.iter().any(|r| r == "*" || r.ends_with(":function:*")), "{statement:?}");
            }
        }
    }
}

#[test]
fn what_is_known_narrows_the_policies_and_what_is_odd_does_not() {
    let known = Known {
        role_arn: Some("arn:aws:iam::123456789012:role/service-role/pay".into()),
        log_group: Some("/custom/pay".into()),
        ..Known::default()
    };
    let text = of(BOTH, &known).permission_lines().concat();
    assert!(text.contains("role/service-role/pay\"") && text.contains("log-group:/custom/pay:*\""), "{text}");
    assert!(!text.contains("role/*") && !text.contains("is taken to be"), "{text}");
    // The default group holds what was logged before the function was told to log elsewhere.
    assert!(text.contains("log-group:/aws/lambda/payments-export:*\""), "{text}");
    let odd = Known { role_arn: Some("arn:aws:iam::*:role/*".into()), log_group: Some("*".into()), ..Known::default() };
    assert_eq!(of(BOTH, &odd).permission_lines(), of(BOTH, &Known::default()).permission_lines());
}

#[test]
fn an_action_says_what_it_stops_and_how_it_is_restored() {
    for s in shipped() {
        for step in of_shipped(s.name).phase(PhaseKind::Contain).iter().flat_map(|p| &p.steps) {
            let What::Action { stops, does_not_stop, side_effects, restore, .. } = &step.what else { panic!("{}", step.unit) };
            let text = of_shipped(s.name).lines().join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
            for words in [stops, does_not_stop, side_effects, restore] {
                assert!(text.contains(words.as_str()), "{}: {words}", step.unit);
            }
        }
    }
}

/// A line about a call that nobody makes any more would be a lie.
#[test]
fn what_is_particular_belongs_to_a_declared_call() {
    let registry = Registry::built_in();
    for (unit, operation, _) in PARTICULAR {
        let found = registry.find(unit).unwrap_or_else(|| panic!("no unit {unit}"));
        assert!(found.calls().iter().any(|c| c.operation == *operation), "{unit} does not declare {operation}");
    }
}
