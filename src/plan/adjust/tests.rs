use super::*;
use crate::model::target::Target;
use crate::plan::{Known, Plan, PlannedStep};
use crate::playbook;

fn now() -> DateTime<Utc> {
    DateTime::parse_from_rfc3339("2026-11-20T12:00:00Z").unwrap().with_timezone(&Utc)
}

fn plan(adjustments: &Adjustments) -> Result<Plan, AdjustError> {
    let target: crate::model::target::TargetSpec = "arn:aws:lambda:eu-west-1:123456789012:function:p".parse().unwrap();
    let target: Target = target.resolve("aws", "123456789012", "eu-west-1").unwrap();
    let mut playbook = playbook::load("snapshot-only").unwrap().0;
    adjustments.apply(&Registry::built_in(), &mut playbook, now())?;
    Ok(Plan::make(&playbook, &target, &Known::default()))
}

fn step<'p>(plan: &'p Plan, id: &str) -> &'p PlannedStep {
    plan.phase(PhaseKind::Collect).unwrap().steps.iter().find(|s| s.unit == id).unwrap()
}

fn texts(plan: &Plan, id: &str, names: &[&str]) -> Vec<Option<String>> {
    names.iter().map(|n| step(plan, id).params.text(n)).collect()
}

fn some(text: &str) -> Option<String> {
    Some(text.to_string())
}

fn since(text: &str) -> Adjustments {
    Adjustments { since: Some(text.parse().unwrap()), ..Default::default() }
}

#[test]
fn nothing_said_changes_nothing_and_anything_said_changes_the_digest() {
    let plain = plan(&Adjustments::default()).unwrap();
    let skipped = plan(&Adjustments { skip: vec!["concurrency".into()], ..Default::default() }).unwrap();
    let bounded = plan(&Adjustments { max_log_bytes: Some(1000), ..Default::default() }).unwrap();
    let digests = [&plain, &plan(&since("2h")).unwrap(), &skipped, &bounded].map(|p| p.sha256().unwrap());
    let distinct: std::collections::BTreeSet<String> = digests.iter().map(ToString::to_string).collect();
    assert_eq!(distinct.len(), 4);
    assert_eq!(plan(&Adjustments::default()).unwrap().sha256().unwrap(), plain.sha256().unwrap());
}

#[test]
fn a_duration_is_counted_from_when_the_collector_asks_and_instants_are_instants() {
    let names = ["window", "since", "until"];
    let p = plan(&since("2h")).unwrap();
    for id in ["recent-invocations", "control-plane-history"] {
        assert_eq!(texts(&p, id, &names), [some("7200s"), None, None], "{id}: every collector that has a window");
    }
    assert!(step(&p, "aliases").params.0.is_empty(), "and no other");
    let p = plan(&since("2026-11-19T00:00:00+01:00")).unwrap();
    assert_eq!(texts(&p, "recent-invocations", &names), [None, some("2026-11-18T23:00:00.000Z"), None]);
    let until = Adjustments { until: Some("1h".parse().unwrap()), ..since("24h") };
    let p = plan(&until).unwrap();
    assert_eq!(
        texts(&p, "recent-invocations", &names),
        [None, some("2026-11-19T11:00:00.000Z"), some("2026-11-20T11:00:00.000Z")],
        "as long before the end"
    );
    let p = plan(&Adjustments { since: None, ..until }).unwrap();
    assert_eq!(texts(&p, "recent-invocations", &names), [some("24h"), None, some("2026-11-20T11:00:00.000Z")]);
}

#[test]
fn a_window_in_which_nothing_can_lie_is_refused() {
    for (s, u) in [("0s", None), ("2026-11-21T00:00:00Z", None), ("2026-11-19T00:00:00Z", Some("2026-11-18T00:00:00Z"))] {
        let all = Adjustments { until: u.map(|u| u.parse().unwrap()), ..since(s) };
        assert!(matches!(plan(&all), Err(AdjustError::EmptyWindow { .. })), "{s} {u:?}");
    }
    for bad in ["yesterday", "", "24", "2026-11-20", "\u{1b}[31m"] {
        let e = bad.parse::<Instant>().unwrap_err();
        assert!(!e.to_string().contains('\u{1b}'));
    }
}

#[test]
fn what_is_skipped_is_named_and_the_shared_look_ups_stay() {
    let p = plan(&Adjustments { skip: vec!["concurrency".into(), "function-urls".into()], ..Default::default() }).unwrap();
    let phase = p.phase(PhaseKind::Collect).unwrap();
    assert_eq!(phase.skipped, ["function-urls", "concurrency"]);
    assert!(!phase.steps.iter().any(|s| phase.skipped.contains(&s.unit)) && phase.off.is_empty());
    assert!(p.to_string().contains("skipped by the operator: function-urls, concurrency"));

    let p = plan(&Adjustments { only: vec!["execution-role".into()], ..Default::default() }).unwrap();
    let phase = p.phase(PhaseKind::Collect).unwrap();
    let kept: Vec<&str> = phase.steps.iter().map(|s| s.unit.as_str()).collect();
    assert!(kept.contains(&"execution-role") && kept.contains(&"configuration"), "{kept:?}");
    assert_eq!(kept.len(), ALWAYS.len() + 1, "{kept:?}");
    assert_eq!(kept.len() + phase.skipped.len(), Registry::built_in().collectors.len());
    let reader = serde_json::to_string(&p.permissions.reader).unwrap();
    assert!(!reader.contains("cloudtrail:LookupEvents"), "the policy shrinks with it");
}

/// What is asked on behalf of a unit stands in the plan, and in its IAM policy.
#[test]
fn whose_look_ups_a_unit_makes_is_in_the_plan_with_it() {
    let p = plan(&Adjustments { only: vec!["delivery-targets".into()], ..Default::default() }).unwrap();
    let kept: Vec<&str> = p.phase(PhaseKind::Collect).unwrap().steps.iter().map(|s| s.unit.as_str()).collect();
    assert!(kept.contains(&"async-destinations") && kept.contains(&"event-source-mappings"), "{kept:?}");
    let skip = |ids: &[&str]| plan(&Adjustments { skip: ids.iter().map(ToString::to_string).collect(), ..Default::default() });
    assert!(matches!(skip(&["tags"]), Err(AdjustError::CannotSkip { id }) if id == "tags"));
    let p = skip(&["tags", "deployment"]).unwrap();
    assert!(!p.phase(PhaseKind::Collect).unwrap().steps.iter().any(|s| s.unit == "tags"));
    for (id, others) in crate::collect::LOOKS_UP {
        for other in *others {
            assert!(crate::collect::find(id).is_some() && crate::collect::find(other).is_some(), "{id}: {other}");
            assert!(looks_up(other).iter().all(|further| others.contains(further)), "{id}: what {other} looks up, too");
        }
    }
}

#[test]
fn wrong_names_get_a_suggestion() {
    let skip = |id: &str| plan(&Adjustments { skip: vec![id.into()], ..Default::default() }).unwrap_err();
    assert_eq!(skip("recent-invocation").hint(), Some("did you mean `recent-invocations`?"));
    assert!(matches!(skip("configuration"), AdjustError::CannotSkip { .. }));
    assert!(matches!(skip("freeze-concurrency"), AdjustError::NoCollector { .. }), "an action is none");
    let set = |text: &str| plan(&Adjustments { set: vec![text.into()], ..Default::default() });
    assert_eq!(set("recent-invocations.max-page=3").unwrap_err().hint(), Some("did you mean `max-pages`?"));
    assert_eq!(set("aliases.x=3").unwrap_err().hint(), Some("it takes none"));
    let e = set("recent-invocations.max-pages=many").unwrap_err();
    assert_eq!(e.to_string(), "`max-pages` of `recent-invocations`: a whole number is wanted");
    for bad in ["", "x", "x.y", "x=y", "=", ".="] {
        assert!(set(bad).is_err(), "{bad}");
    }
    assert!(matches!(set("recent-invocations.since=2026-01-01T00:00:00Z"), Err(AdjustError::NoParam { .. })));
    let p = set("recent-invocations.max-pages=3").unwrap();
    assert_eq!(texts(&p, "recent-invocations", &["max-pages"]), [some("3")]);
    let both = Adjustments { skip: vec!["concurrency".into()], set: vec!["concurrency.x=1".into()], ..Default::default() };
    assert!(matches!(plan(&both), Err(AdjustError::SetOnSkipped { .. })));
}

#[test]
fn bounds_reach_the_collectors_that_have_them() {
    let p = plan(&Adjustments { max_log_bytes: Some(1 << 20), max_events: Some(120), ..Default::default() }).unwrap();
    assert_eq!(texts(&p, "recent-invocations", &["max-bytes"]), [some("1048576")]);
    assert!(step(&p, "control-plane-history").params.text("max-pages").is_some_and(|n| n == "3" || n == "200"));
    let general_then_particular = Adjustments { set: vec!["recent-invocations.window=3h".into()], ..since("2026-11-19T00:00:00Z") };
    let p = plan(&general_then_particular).unwrap();
    assert_eq!(texts(&p, "recent-invocations", &["window", "since"]), [some("3h"), None]);
    assert_eq!(texts(&p, "control-plane-history", &["window"]), [None]);
}

#[test]
fn a_trail_is_read_instead_of_the_event_history() {
    let trail = |more: Adjustments| plan(&Adjustments { trail: S3Place::parse("s3://org-trail/logs/"), ..more });
    let p = trail(Adjustments::default()).unwrap();
    assert_eq!(texts(&p, "trail-archive", &["trail"]), [some("s3://org-trail/logs")]);
    for id in ["control-plane-history", "credential-activity"] {
        assert_eq!(texts(&p, id, &["from"]), [some("trail")], "{id}");
        assert!(step(&p, id).calls.iter().all(|c| c.operation != "LookupEvents"), "{id}");
    }
    // `--only` means these and what they need.
    let p = trail(Adjustments { only: vec!["credential-activity".into()], ..Default::default() }).unwrap();
    assert_eq!(texts(&p, "trail-archive", &["trail"]), [some("s3://org-trail/logs")]);
    assert!(!p.phase(PhaseKind::Collect).unwrap().skipped.contains(&"trail-archive".to_string()));
    let e = trail(Adjustments { skip: vec!["trail-archive".into()], ..Default::default() }).unwrap_err();
    assert!(matches!(e, AdjustError::SetOnSkipped { .. }), "{e}");
    let beside = trail(Adjustments { set: vec!["credential-activity.from=history".into()], ..Default::default() }).unwrap();
    assert_eq!(texts(&beside, "credential-activity", &["from"]), [some("history")], "what is set by name overrules");
    let mut playbook = playbook::load("triage").unwrap().0;
    let e =
        Adjustments { trail: S3Place::parse("s3://org-trail"), ..Default::default() }.apply(&Registry::built_in(), &mut playbook, now());
    assert!(matches!(e, Err(AdjustError::NoCollector { .. })), "{e:?}");
}

#[test]
fn regions_reach_every_collector_that_can_look_in_more_than_one() {
    let regions = |text: &str, more: Adjustments| plan(&Adjustments { regions: Choice::parse(text), ..more });
    let p = regions("eu-west-1 sa-east-1", Adjustments::default()).unwrap();
    for id in ["credential-activity", "trail-archive", "shared-role-census"] {
        assert_eq!(texts(&p, id, &["regions"]), [some("eu-west-1,sa-east-1")], "{id}");
    }
    // Whoever looks in all of them needs to know which the account has.
    let only = Adjustments { only: vec!["credential-activity".into()], ..Default::default() };
    let has = |p: &Plan| p.phase(PhaseKind::Collect).unwrap().steps.iter().any(|s| s.unit == "enabled-regions");
    assert!(has(&regions("all", only.clone()).unwrap()) && !has(&regions("home", only).unwrap()));
    let skip = Adjustments { skip: vec!["enabled-regions".into()], ..Default::default() };
    assert!(matches!(regions("all", skip.clone()), Err(AdjustError::CannotSkip { .. })));
    assert!(regions("home", skip).is_ok());
    let mut playbook = playbook::load("triage").unwrap().0;
    let all = Adjustments { regions: Some(Choice::All), ..Default::default() };
    let e = all.apply(&Registry::built_in(), &mut playbook, now()).unwrap_err();
    assert!(matches!(e, AdjustError::BoundsNothing { option: "--regions", .. }), "{e}");
}

#[test]
fn a_playbook_that_collects_nothing_takes_no_words() {
    let text = "playbook: x\ntitle: x\nphases:\n  - phase: contain\n    override: testing\n    steps: [ { use: freeze-concurrency } ]\n";
    let mut playbook = playbook::parse("x", text).unwrap();
    let e = since("1h").apply(&Registry::built_in(), &mut playbook, now()).unwrap_err();
    assert!(matches!(e, AdjustError::NoCollectPhase { .. }));
}

#[test]
fn a_shared_role_is_accepted_for_every_step_that_asks() {
    let target: crate::model::target::TargetSpec = "arn:aws:lambda:eu-west-1:123456789012:function:p".parse().unwrap();
    let target: Target = target.resolve("aws", "123456789012", "eu-west-1").unwrap();
    let accepted = Adjustments { accept_shared_role: true, ..Default::default() };
    let mut playbook = playbook::load("snapshot-and-contain").unwrap().0;
    for step in playbook.phases.iter_mut().filter(|p| p.phase == PhaseKind::Contain).flat_map(|p| &mut p.steps) {
        step.enabled = true;
    }
    accepted.apply(&Registry::built_in(), &mut playbook, now()).unwrap();
    let plan = Plan::make(&playbook, &target, &Known::default());
    let said =
        |id: &str| plan.phase(PhaseKind::Contain).unwrap().steps.iter().find(|s| s.unit == id).unwrap().params.text(ACCEPT_SHARED_ROLE);
    for id in ["quarantine-role", "revoke-sessions", "block-role-assumption", "set-permissions-boundary", "detach-permissions"] {
        assert_eq!(said(id).as_deref(), Some("true"), "{id}");
    }
    assert_eq!(said("freeze-concurrency"), None);
    // Where no step asks, the word fits nothing; and a step that is off is not turned on by it.
    assert!(matches!(
        Adjustments::apply(&accepted, &Registry::built_in(), &mut playbook::load("snapshot-only").unwrap().0, now()),
        Err(AdjustError::AcceptsNothing { .. })
    ));
}
