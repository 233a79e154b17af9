//! What stands before containment, over the scripted wire: whole runs, from preflight to the sealed zip. Each rule refuses, says where it stands
//! and what lifts it, and can be lifted; evidence is taken either way.

use crate::support::wire::{self, Answer, World};
use async_trait::async_trait;
use freezeframe::aws::Connector;
use freezeframe::bundle::case_journal::CaseJournal;
use freezeframe::bundle::documents::BundleKind;
use freezeframe::bundle::source::BagSource;
use freezeframe::clock::{Clock, FakeClock};
use freezeframe::engine::control::{BY_HAND, Brake, Control};
use freezeframe::engine::guard::Guarding;
use freezeframe::engine::preflight::preflight;
use freezeframe::engine::progress::Silent;
use freezeframe::engine::put_back::{RestoreOrder, put_back};
use freezeframe::engine::report::Report;
use freezeframe::engine::run::{Doors, Order, run};
use freezeframe::engine::{Back, Stand};
use freezeframe::handler::act::{Engine, Guard};
use freezeframe::handler::{Delivery, Did, Handler, HandlerError, Mode, Reply, Settings};
use freezeframe::model::id::RunId;
use freezeframe::model::journal_event::JournalEvent;
use freezeframe::model::outcome::Outcome;
use freezeframe::model::path::BundlePath;
use freezeframe::model::refusal::Refusal;
use freezeframe::plan::Plan;
use freezeframe::plan::guard::{self as rules, Face, Ourselves, Policy};
use freezeframe::playbook;
use freezeframe::store::mem::MemStore;
use freezeframe::store::within::Within;
use freezeframe::store::{Put, Store, StoreError};
use futures_util::FutureExt as _;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::watch;

const FREEZE: &str = "  - phase: contain\n    steps: [ { use: freeze-concurrency } ]\n";
const BOTH: &str = "  - phase: contain\n    steps: [ { use: freeze-concurrency }, { use: quarantine-role, with: { scope: function } } ]\n";
const EVIDENCE: &str = "  - phase: collect\n    steps: [ { use: configuration } ]\n  - phase: seal\n  - phase: verify\n";

/// Evidence first.
fn careful(contain: &str) -> String {
    format!("playbook: careful\ntitle: t\nphases:\n{EVIDENCE}{contain}")
}
/// The bleeding first.
fn hasty(contain: &str) -> String {
    let contain = contain.replace("contain\n", "contain\n    override: Data is leaving now.\n");
    format!("playbook: hasty\ntitle: t\nphases:\n{contain}{EVIDENCE}")
}

/// A function without a reservation that takes one, and a role that takes a policy.
fn world() -> World {
    let reserved = json!({"ReservedConcurrentExecutions": 0});
    let ok = |action: &str| Answer::new(200, "text/xml", format!("<{action}Response><ResponseMetadata/></{action}Response>"));
    World::default()
        .on("Lambda.GetFunctionConcurrency", [Answer::json(&json!({})), Answer::json(&reserved)])
        .on("Lambda.PutFunctionConcurrency", [Answer::json(&reserved)])
        .on("Lambda.GetFunctionConfiguration", [Answer::json(&function(json!({}))["Configuration"])])
        .on("IAM.PutRolePolicy", [ok("PutRolePolicy")])
        .on("IAM.GetRolePolicy", [Answer::error("IAM.GetRolePolicy", 404, "NoSuchEntity")])
}

/// What `GetFunction` says, with this beside it.
fn function(more: Value) -> Value {
    let mut answer: Value = serde_json::from_str(&World::healthy("Lambda.GetFunction").text()).unwrap();
    for (name, value) in more.as_object().unwrap() {
        answer[name] = value.clone();
    }
    answer
}

fn saying(world: World, more: Value) -> World {
    world.on("Lambda.GetFunction", [Answer::json(&function(more))])
}

/// `GetFunction` that says nothing of tags, and `ListTags` that says these.
fn silent(world: World, tags: Value) -> World {
    saying(world, json!({"Tags": null})).on("Lambda.ListTags", [Answer::json(&json!({"Tags": tags}))])
}

fn policy(text: &str) -> Policy {
    rules::read("guard.yaml", text).unwrap()
}

/// Runs of one place: its store, its clock.
struct Place {
    store: Arc<MemStore>,
    control: Arc<dyn Store>,
    clock: Arc<FakeClock>,
    dir: Arc<tempfile::TempDir>,
    runs: AtomicU32,
}

struct Ran {
    report: Report,
    world: Arc<World>,
    journal: Vec<JournalEvent>,
    /// The bundles lie here.
    _dir: Arc<tempfile::TempDir>,
}

impl Ran {
    fn writes(&self) -> Vec<String> {
        let writes =
            |k: &String| ["Put", "Delete", "Attach", "Detach", "Update"].iter().any(|w| k.split('.').nth(1).unwrap().starts_with(w));
        self.world.sent().into_iter().map(|s| s.key).filter(writes).collect()
    }
    fn rules(&self) -> Vec<&str> {
        self.report.refusals.iter().map(|r| r.rule.as_str()).collect()
    }
    fn step(&self, key: &str) -> usize {
        self.world.sent().iter().find(|s| s.key == key).unwrap_or_else(|| panic!("{key} was not sent")).step
    }
    /// Refused as a whole: exit 8, nothing written, evidence kept, and the words in report and journal.
    #[track_caller]
    fn refused(&self, rule: &str) -> &Refusal {
        assert_eq!(self.rules(), [rule], "{:#?}", self.report.refusals);
        assert_eq!((self.report.exit_code, self.writes()), (8, vec![]), "{rule}");
        let evidence = self.report.bundles.iter().find(|b| b.kind == BundleKind::Acquisition).expect("evidence is taken all the same");
        assert!(evidence.verified && evidence.path.exists());
        let refusal = &self.report.refusals[0];
        assert!(self.journal.iter().any(|e| matches!(e, JournalEvent::Refused { refusal: r, .. } if r == refusal)), "{:#?}", self.journal);
        assert!(!self.journal.iter().any(|e| matches!(e, JournalEvent::Intent { .. } | JournalEvent::AlreadyContained { .. })));
        assert!(self.report.headline.starts_with(&format!("containment refused ({rule}); ")), "{}", self.report.headline);
        assert!(!refusal.stands.is_empty() && !refusal.lift.is_empty(), "{refusal:?}");
        refusal
    }
    #[track_caller]
    fn contained(&self) {
        assert!(self.report.refusals.is_empty(), "{:#?}", self.report.refusals);
        assert_eq!(self.writes()[0], "Lambda.PutFunctionConcurrency", "{:#?}", self.report.containment);
        assert_eq!(self.report.containment.as_ref().unwrap().cells[0].stand, Stand::Contained);
    }
}

impl Place {
    fn new() -> Place {
        let store = Arc::new(MemStore::new());
        let clock = Arc::new(FakeClock::at("2026-11-20T12:00:00Z").unwrap());
        Place { control: store.clone(), store, clock, dir: Arc::new(tempfile::tempdir().unwrap()), runs: AtomicU32::new(0) }
    }
    fn control(&self) -> Control {
        Control::new(self.control.clone(), self.clock.clone())
    }
    fn doors(&self, connector: Connector, case: &str) -> Doors {
        Doors {
            archive: None,
            straight: false,
            connector,
            store: Arc::new(Within::new(self.store.clone(), &format!("cases/{case}")).unwrap()),
            control: self.control.clone(),
            case_dir: self.dir.path().join(case),
            clock: self.clock.clone(),
            progress: Arc::new(Silent),
            interrupt: watch::channel(false).1,
            others: Arc::new(freezeframe::engine::others::OtherCases::none(self.clock.clone())),
            sealing: Default::default(),
            secrets: Default::default(),
            beside: Arc::new(MemStore::new()),
        }
    }
    async fn journal(&self, case: &str) -> Vec<JournalEvent> {
        let store = Arc::new(Within::new(self.store.clone(), &format!("cases/{case}")).unwrap());
        CaseJournal::open(store, self.clock.clone(), "").await.unwrap().events()
    }
    /// A run of its own case.
    async fn run(&self, playbook: &str, world: World, adjust: impl FnOnce(&mut Guarding)) -> Ran {
        let number = self.runs.fetch_add(1, Ordering::SeqCst);
        self.run_on("payments-export", &format!("IR-{number}"), playbook, world, adjust).await
    }
    async fn run_on(&self, function: &str, case: &str, playbook: &str, world: World, adjust: impl FnOnce(&mut Guarding)) -> Ran {
        let world = Arc::new(world);
        let connector = Connector::from_conf(wire::config(&world), self.clock.clone()).unwrap();
        let seen = preflight(&connector, &function.parse().unwrap()).await.unwrap();
        let playbook = match playbook::load(playbook) {
            Ok((playbook, _)) => playbook,
            Err(_) => playbook::parse("x.yaml", playbook).unwrap(),
        };
        let mut guard = Guarding { known: seen.known.clone(), ..Guarding::default() };
        adjust(&mut guard);
        let order = Order {
            case: case.parse().unwrap(),
            run: RunId::new(1, u128::from(self.runs.fetch_add(1, Ordering::SeqCst))),
            plan: Plan::make(&playbook, &seen.target, &seen.known),
            trigger: None,
            operator: seen.identity.arn,
            preflight: seen.exchanges,
            pinned: None,
            approval: None,
            guard,
            permit: None,
        };
        let report = run(order, self.doors(connector, case)).await.unwrap();
        Ran { report, world, journal: self.journal(case).await, _dir: self.dir.clone() }
    }
    async fn restore(&self, case: &str, world: World) -> Report {
        let world = Arc::new(world);
        let connector = Connector::from_conf(wire::config(&world), self.clock.clone()).unwrap();
        let order = RestoreOrder {
            case: case.parse().unwrap(),
            run: RunId::new(2, u128::from(self.runs.fetch_add(1, Ordering::SeqCst))),
            operator: "arn:aws:sts::123456789012:assumed-role/Responder/ada".into(),
            account: "123456789012".into(),
            only: vec![],
            overrule: vec![],
            dry_run: false,
        };
        put_back(order, self.doors(connector, case)).await.unwrap()
    }
}

fn by(policy_text: &'static str) -> impl FnOnce(&mut Guarding) {
    move |g| g.policy = Ok(Arc::new(policy(policy_text)))
}
fn automatic(g: &mut Guarding) {
    g.face = Face::Automatic;
}

// ── how few steps it may cost ──

/// Issue 4: bleed-first reaches the first containment write in at most three sequential calls after credentials. The guardrails' facts are among
/// them: identity beside function, the reservation, the write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_third_step_is_the_first_write() {
    let slowly = |world: World| world.slow(Duration::from_millis(100));
    for playbook in [&hasty(FREEZE), "contain-first"] {
        let ran = Place::new().run(playbook, slowly(world()), |_| {}).await;
        assert_eq!(ran.writes()[0], "Lambda.PutFunctionConcurrency", "{:#?}", ran.report.containment);
        assert_eq!((ran.step("STS.GetCallerIdentity"), ran.step("Lambda.GetFunction")), (1, 1));
        assert_eq!((ran.step("Lambda.GetFunctionConcurrency"), ran.step("Lambda.PutFunctionConcurrency")), (2, 3), "{playbook}");
    }
    // Nothing said about tags: that is asked while the reservation is read, and heard before the write.
    let ran = Place::new().run(&hasty(FREEZE), slowly(silent(world(), json!({}))), |_| {}).await;
    ran.contained();
    assert_eq!((ran.step("Lambda.ListTags"), ran.step("Lambda.PutFunctionConcurrency")), (2, 3));
    let asked = ran.world.sent();
    assert_eq!(asked.iter().filter(|s| s.key == "Lambda.ListTags").count(), 1, "once, not once a cell");
    // And it is in the bundle, as every call is.
    let bag = BagSource::open(&ran.report.bundles[0].path).unwrap();
    assert!(bag.files().iter().any(|f| format!("{:?}", f.name).contains("ListTags")), "every call is in the bundle");
    // Refused, it is no later, and nothing was written.
    let ran = Place::new().run(&hasty(FREEZE), slowly(silent(world(), json!({"ir:contain": "never"}))), |_| {}).await;
    assert_eq!(ran.step("Lambda.ListTags"), 2);
    ran.refused("contain-tag");
}

/// Who collects first is not judged by what stood there minutes ago.
#[tokio::test]
async fn evidence_first_asks_again_before_it_contains() {
    let never = Answer::json(&function(json!({"Tags": {"ir:contain": "never"}})));
    let world = world().on("Lambda.GetFunction", [World::healthy("Lambda.GetFunction"), World::healthy("Lambda.GetFunction"), never]);
    let ran = Place::new().run(&careful(FREEZE), world, |_| {}).await;
    assert_eq!(ran.refused("contain-tag").stands, "the function's tag ir:contain=never");
}

// ── each rule, refused and lifted ──

#[tokio::test]
async fn a_tag_refuses_and_another_value_lifts() {
    for playbook in [careful(FREEZE), hasty(FREEZE)] {
        let tagged = |value: &str| saying(world(), json!({"Tags": {"ir:contain": value}}));
        Place::new().run(&playbook, tagged("never"), |_| {}).await.refused("contain-tag");
        Place::new().run(&playbook, tagged("approve"), |_| {}).await.refused("contain-tag");
        Place::new().run(&playbook, tagged("auto"), |_| {}).await.contained();
        Place::new().run(&playbook, tagged("never"), by("guard: g\ncontain-tag: ignored\n")).await.contained();
    }
}

#[tokio::test]
async fn tags_that_may_not_be_read_refuse_and_reading_them_lifts() {
    for playbook in [careful(FREEZE), hasty(FREEZE)] {
        let denied = || silent(world(), json!({})).on("Lambda.ListTags", [Answer::error("Lambda.ListTags", 403, "AccessDeniedException")]);
        let ran = Place::new().run(&playbook, denied(), |_| {}).await;
        let refusal = ran.refused("tags-unreadable");
        assert!(refusal.why.contains("AccessDeniedException") && refusal.lift.contains("lambda:ListTags"), "{refusal}");
        let said = saying(world(), json!({"Tags": null, "TagsError": {"ErrorCode": "AccessDeniedException", "Message": "no"}}));
        Place::new().run(&playbook, said, |_| {}).await.refused("tags-unreadable");
        Place::new().run(&playbook, silent(world(), json!({})), |_| {}).await.contained();
        Place::new().run(&playbook, denied(), by("guard: g\ncontain-tag: ignored\n")).await.contained();
    }
}

#[tokio::test]
async fn a_function_that_may_not_be_read_is_not_contained() {
    let denied = |at: usize| {
        let mut answers = vec![World::healthy("Lambda.GetFunction"); at];
        answers.push(Answer::error("Lambda.GetFunction", 403, "AccessDeniedException"));
        world().on("Lambda.GetFunction", answers)
    };
    let ran = Place::new().run(&hasty(FREEZE), denied(0), |_| {}).await;
    assert!(ran.rules().contains(&"function-unreadable"), "{:?}", ran.rules());
    assert_eq!((ran.report.exit_code, ran.writes()), (8, vec![]));
    let ran = Place::new().run(&careful(FREEZE), denied(2), |_| {}).await;
    assert!(ran.rules().contains(&"function-unreadable"), "{:?}", ran.rules());
    assert_eq!((ran.report.exit_code, ran.writes()), (8, vec![]));
}

/// Stopping the bleeding waits for nobody, and does not give up for one answer that did not come either.
#[tokio::test]
async fn a_first_look_that_was_turned_away_is_made_once_more() {
    let turned_away = Answer::error("Lambda.GetFunction", 403, "AccessDeniedException");
    let once = world().on("Lambda.GetFunction", [turned_away, World::healthy("Lambda.GetFunction")]);
    let ran = Place::new().run(&hasty(FREEZE), once, |_| {}).await;
    ran.contained();
    // Whatever it tells is judged.
    let never = Answer::json(&function(json!({"Tags": {"ir:contain": "never"}})));
    let once = world().on("Lambda.GetFunction", [Answer::error("Lambda.GetFunction", 403, "AccessDeniedException"), never]);
    Place::new().run(&hasty(FREEZE), once, |_| {}).await.refused("contain-tag");
}

#[tokio::test]
async fn lines_of_a_policy_refuse_with_their_place_and_another_line_lifts() {
    let cases = [
        ("guard: g\nfunctions:\n  never:\n    - name: payments-*\n      why: x\n", "function", "guard.yaml:4"),
        ("guard: g\nfunctions:\n  approve:\n    - tag: team=payments\n      why: x\n", "function", "guard.yaml:4"),
        ("guard: g\notherwise: never\n", "otherwise", "guard.yaml:2"),
        ("guard: g\naccounts:\n  never: [\"123456789012\"]\n", "account", "guard.yaml:3"),
        ("guard: g\naccounts:\n  only: [\"999999999999\"]\n", "account", "guard.yaml:3"),
        ("guard: g\nours:\n  functions: [\"pay*\"]\n", "ourselves", "guard.yaml:3"),
        ("guard: g\nours:\n  keys: [11112222-3333-4444-5555-666677778888]\n", "ourselves", "guard.yaml:3"),
        ("guard: g\nours:\n  log-groups: [/payments/export]\n", "ourselves", "guard.yaml:3"),
    ];
    for (text, rule, stands) in cases {
        let ran = Place::new().run(&careful(FREEZE), world(), by(text)).await;
        assert_eq!(ran.refused(rule).stands, stands, "{text}");
        assert_eq!(ran.report.guard.as_ref().map(|g| g.name.as_str()), Some("g"));
        let lifted = text.replace("payments-*", "x").replace("=payments", "=x").replace("otherwise: never", "otherwise: auto");
        let lifted = lifted.replace("123456789012", "999999999999").replace("only: [\"9", "only: [\"123456789012\", \"9");
        let lifted = lifted.replace("pay*", "x").replace("[1111", "[x111").replace("[/payments", "[/x");
        let lifted = policy(&lifted);
        Place::new().run(&careful(FREEZE), world(), |g| g.policy = Ok(Arc::new(lifted))).await.contained();
    }
}

#[tokio::test]
async fn we_never_contain_ourselves() {
    // The function whose role is the role of this very session.
    let ours = "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:sts::123456789012:assumed-role/payments-role/x</Arn><UserId>A:x</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";
    let world_of_ours = || world().on("STS.GetCallerIdentity", [Answer::new(200, "text/xml", ours)]);
    for playbook in [careful(FREEZE), hasty(FREEZE)] {
        let ran = Place::new().run(&playbook, world_of_ours(), automatic).await;
        assert!(ran.rules().contains(&"ourselves"), "{:?}", ran.rules());
        assert_eq!((ran.report.exit_code, ran.writes()), (8, vec![]));
        Place::new().run(&playbook, world_of_ours(), |_| {}).await.refused("ourselves");
        // The function that we run as.
        let own = |g: &mut Guarding| g.ourselves.function = Some("payments-export".into());
        Place::new().run(&playbook, world(), own).await.refused("ourselves");
    }
}

#[tokio::test]
async fn a_role_is_left_alone_and_the_function_stopped() {
    for (role, text, rule) in [
        ("arn:aws:iam::123456789012:role/aws-service-role/x.amazonaws.com/AWSServiceRoleForX", "guard: g\n", "service-linked-role"),
        ("arn:aws:iam::123456789012:role/service/payments-role", "guard: g\nroles:\n  never: [ { path: /service/, why: x } ]\n", "role"),
    ] {
        for playbook in [careful(BOTH), hasty(BOTH)] {
            let mut conf = function(json!({}))["Configuration"].clone();
            conf["Role"] = json!(role);
            conf["Version"] = json!("$LATEST");
            let versions = Answer::json(&json!({"Versions": [conf]}));
            let world = saying(world(), json!({"Configuration": conf})).on("Lambda.ListVersionsByFunction", [versions]);
            let ran = Place::new().run(&playbook, world, by(text)).await;
            assert_eq!(ran.rules(), [rule], "{:#?}", ran.report.refusals);
            assert_eq!(ran.writes(), ["Lambda.PutFunctionConcurrency"]);
            let cells = &ran.report.containment.as_ref().unwrap().cells;
            assert_eq!(cells[0].stand, Stand::Contained);
            assert_eq!(ran.report.outcome, Outcome::PartlyContained);
            assert!(ran.report.headline.starts_with("containment refused in part"), "{}", ran.report.headline);
            let refused = |e: &JournalEvent| matches!(e, JournalEvent::Refused { cell: Some(c), .. } if c.action() == "quarantine-role");
            assert!(ran.journal.iter().any(refused), "{:#?}", ran.journal);
        }
    }
}

/// `$LATEST` may run under a role that is left alone, and a published version under another; or the other way round.
#[tokio::test]
async fn each_role_is_judged_by_itself() {
    let text = "guard: g\nroles:\n  never: [ { path: /platform/, why: x } ]\n";
    let arn = |path: &str| format!("arn:aws:iam::123456789012:role{path}");
    for (latest, published) in [("/platform/payments-role", "/service/former"), ("/service/payments-role", "/platform/former")] {
        for playbook in [careful(BOTH), hasty(BOTH)] {
            let version = |name: &str, path: &str| {
                let mut conf = function(json!({}))["Configuration"].clone();
                (conf["Version"], conf["Role"]) = (name.into(), arn(path).into());
                conf
            };
            let all = json!({"Versions": [version("$LATEST", latest), version("7", published)]});
            let world = saying(world(), json!({"Configuration": version("$LATEST", latest)}));
            let ran = Place::new().run(&playbook, world.on("Lambda.ListVersionsByFunction", [Answer::json(&all)]), by(text)).await;
            assert_eq!(ran.rules(), ["role"], "{:#?}", ran.report.refusals);
            assert_eq!(ran.writes(), ["Lambda.PutFunctionConcurrency", "IAM.PutRolePolicy"], "{latest}");
            let refused = ran.report.containment.as_ref().unwrap().cells.iter().filter(|c| c.stand == Stand::Refused);
            let refused: Vec<&str> = refused.map(|c| c.facts["role_arn"].as_str().unwrap()).collect();
            assert_eq!(refused, [arn([latest, published].into_iter().find(|p| p.starts_with("/platform")).unwrap())]);
        }
    }
}

/// Our own inline policy is called `freezeframe-quarantine-…`, and is no function of ours.
#[tokio::test]
async fn a_role_is_quarantined_under_a_policy_that_calls_our_functions_as_the_example_does() {
    for playbook in [careful(BOTH), hasty(BOTH)] {
        let ran = Place::new().run(&playbook, world(), by("guard: g\nours:\n  functions: [\"freezeframe-*\"]\n")).await;
        assert!(ran.report.refusals.is_empty(), "{:#?}", ran.report.refusals);
        assert_eq!(ran.writes(), ["Lambda.PutFunctionConcurrency", "IAM.PutRolePolicy"]);
    }
}

#[tokio::test]
async fn a_dry_run_foretells_and_a_word_makes_it_earnest() {
    for playbook in [careful(FREEZE), hasty(FREEZE)] {
        let ran = Place::new().run(&playbook, world(), by("guard: g\ndry-run: true\n")).await;
        ran.refused("dry-run");
        let foretold = ran.report.containment.as_ref().unwrap();
        assert_eq!((foretold.dry_run, foretold.cells[0].stand), (true, Stand::WouldContain));
        let earnest = |g: &mut Guarding| {
            by("guard: g\ndry-run: true\n")(g);
            g.in_earnest = true;
        };
        Place::new().run(&playbook, world(), earnest).await.contained();
        // A dry run is no way around another rule.
        let both = by("guard: g\ndry-run: true\notherwise: never\n");
        Place::new().run(&playbook, world(), both).await.refused("otherwise");
    }
}

#[tokio::test]
async fn the_automatic_face_contains_what_somebody_said_it_may() {
    for playbook in [careful(FREEZE), hasty(FREEZE)] {
        Place::new().run(&playbook, world(), automatic).await.refused("otherwise");
        let tagged = saying(world(), json!({"Tags": {"ir:contain": "auto"}}));
        Place::new().run(&playbook, tagged, automatic).await.contained();
        // Its rung may want an approval of everything.
        let tagged = saying(world(), json!({"Tags": {"ir:contain": "auto"}}));
        let wants = |g: &mut Guarding| {
            automatic(g);
            g.wants_approval = true;
        };
        Place::new().run(&playbook, tagged, wants).await.refused("mode");
    }
}

// ── halt, breaker, rate ──

#[tokio::test]
async fn a_halt_stops_everybody_and_says_who_when_and_why() {
    for playbook in [careful(FREEZE), hasty(FREEZE)] {
        let place = Place::new();
        place.control().stop(Brake::Halt, "arn:aws:sts::1:assumed-role/Lead/eve", "wrong account").await.unwrap();
        for face in [Face::Person, Face::Automatic] {
            let auto = |g: &mut Guarding| {
                by("guard: g\notherwise: auto\n")(g);
                g.face = face;
            };
            let ran = place.run(&playbook, world(), auto).await;
            let refusal = ran.refused("halted");
            for words in ["Lead/eve", "2026-11-20T12:00:00.000Z", "wrong account"] {
                assert!(refusal.why.contains(words), "{refusal}");
            }
            assert_eq!(refusal.stands, "memory/control/stops/halt-000001.json");
            assert!(refusal.lift.contains("freezeframe resume"));
        }
        place.control().lift(Brake::Halt, "eve", "over").await.unwrap();
        place.run(&playbook, world(), |_| {}).await.contained();
        place.control.put_if_absent(BY_HAND, b"stop it".to_vec()).await.unwrap();
        assert!(place.run(&playbook, world(), |_| {}).await.refused("halted").why.contains("stop it"));
    }
}

/// Read before each write: what was said while the first was under way stops the second, and nothing stands before the restore.
#[tokio::test]
async fn a_halt_in_the_middle_stops_what_is_left_and_restoring_stays_possible() {
    let place = Place::new();
    let (control, halting) = (place.control(), Answer::json(&json!({"ReservedConcurrentExecutions": 0})));
    let halt = move |_: &wire::Sent| {
        control.stop(Brake::Halt, "eve", "wrong function").now_or_never().expect("a store in memory waits for nothing").unwrap();
        true
    };
    let ran =
        place.run_on("payments-export", "IR-1", &hasty(BOTH), world().when("Lambda.PutFunctionConcurrency", halt, [halting]), |_| {}).await;
    assert_eq!((ran.writes(), ran.rules()), (vec!["Lambda.PutFunctionConcurrency".to_string()], vec!["halted"]));
    let stands: Vec<Stand> = ran.report.containment.as_ref().unwrap().cells.iter().map(|c| c.stand).collect();
    assert_eq!((stands, ran.report.exit_code), (vec![Stand::Contained, Stand::Refused], 5));

    let zero = Answer::json(&json!({"ReservedConcurrentExecutions": 0}));
    let back = World::default()
        .on("Lambda.GetFunctionConcurrency", [zero, Answer::json(&json!({}))])
        .on("Lambda.DeleteFunctionConcurrency", [Answer::new(204, "application/json", "")]);
    let report = place.restore("IR-1", back).await;
    assert_eq!(report.exit_code, 0, "{:#?}", report.restoration);
    assert_eq!(report.restoration.unwrap().cells[0].back, Back::Restored { wrote: true });
    assert_eq!(place.control().standing().await.unwrap().halts.len(), 1, "halted all the while");
}

#[tokio::test]
async fn a_containment_that_does_not_hold_opens_the_breaker_for_the_automatic_face() {
    let place = Place::new();
    let auto = |g: &mut Guarding| {
        by("guard: g\notherwise: auto\n")(g);
        g.face = Face::Automatic;
    };
    let slack = world().on("Lambda.GetFunctionConcurrency", [Answer::json(&json!({}))]);
    let ran = place.run(&hasty(FREEZE), slack, |_| {}).await;
    assert_eq!(ran.report.containment.as_ref().unwrap().cells[0].stand, Stand::NotHolding);
    assert!(ran.report.notes.iter().any(|n| n.contains("the breaker is open now")), "{:?}", ran.report.notes);
    let stop = place.control().standing().await.unwrap().breakers.remove(0);
    assert!(stop.why.contains("payments-export") && stop.by.contains(&ran.report.run.to_string()), "{stop:?}");

    let ran = place.run(&hasty(FREEZE), world(), auto).await;
    assert!(ran.refused("breaker").lift.contains("resume --breaker"));
    place.run(&hasty(FREEZE), world(), |_| {}).await.contained();
    place.run(&hasty(FREEZE), world(), by("guard: g\nbreaker: everyone\n")).await.refused("breaker");
    place.control().lift(Brake::Breaker, "eve", "looked").await.unwrap();
    place.run(&hasty(FREEZE), world(), auto).await.contained();
}

#[tokio::test]
async fn a_restore_that_gets_stuck_opens_it_too() {
    let place = Place::new();
    place.run_on("payments-export", "IR-1", &hasty(FREEZE), world(), |_| {}).await.contained();
    let denied = Answer::error("Lambda.DeleteFunctionConcurrency", 403, "AccessDeniedException");
    let stuck = World::default()
        .on("Lambda.GetFunctionConcurrency", [Answer::json(&json!({"ReservedConcurrentExecutions": 0}))])
        .on("Lambda.DeleteFunctionConcurrency", [denied]);
    let report = place.restore("IR-1", stuck).await;
    assert_eq!(report.outcome, Outcome::Stuck);
    assert_eq!(place.control().standing().await.unwrap().breakers.len(), 1, "{:?}", report.notes);
}

#[tokio::test]
async fn the_automatic_face_contains_three_functions_an_hour() {
    let place = Place::new();
    let auto = |g: &mut Guarding| {
        by("guard: g\notherwise: auto\n")(g);
        g.face = Face::Automatic;
    };
    for (n, playbook) in [careful(FREEZE), hasty(FREEZE), hasty(FREEZE)].iter().enumerate() {
        place.run_on(&format!("f{n}"), &format!("IR-{n}"), playbook, world(), auto).await.contained();
    }
    for (n, playbook) in [careful(FREEZE), hasty(FREEZE)].iter().enumerate() {
        let ran = place.run_on("f9", &format!("IR-9{n}"), playbook, world(), auto).await;
        let refusal = ran.refused("rate-limit");
        assert!(refusal.why.contains("2026-11-20T13:00") && refusal.lift.contains("waiting"), "{refusal}");
    }
    place.run_on("f9", "IR-5", &hasty(FREEZE), world(), |_| {}).await.contained();
    let everyone = by("guard: g\nrate-limit:\n  applies-to: everyone\n");
    assert_eq!(place.run_on("f8", "IR-6", &hasty(FREEZE), world(), everyone).await.refused("rate-limit").stands, "guard.yaml:2");
    place.clock.sleep(Duration::from_secs(3_600)).await;
    place.run_on("f9", "IR-7", &hasty(FREEZE), world(), auto).await.contained();
}

/// A store that cannot be listed.
#[derive(Debug)]
struct Unlistable(MemStore);
#[async_trait]
impl Store for Unlistable {
    async fn put_if_absent(&self, key: &str, bytes: Vec<u8>) -> Result<Put, StoreError> {
        self.0.put_if_absent(key, bytes).await
    }
    async fn put_file_if_absent(&self, key: &str, from: &Path) -> Result<Put, StoreError> {
        self.0.put_file_if_absent(key, from).await
    }
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.get(key).await
    }
    async fn list(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        Err(StoreError::ListObjects { folder: folder.into(), place: self.describe(), source: "AccessDenied".into() })
    }
    fn describe(&self) -> String {
        "s3://vault/prod".into()
    }
}

#[tokio::test]
async fn controls_that_cannot_be_read_are_no_permission() {
    for playbook in [careful(FREEZE), hasty(FREEZE)] {
        let place = Place { control: Arc::new(Unlistable(MemStore::new())), ..Place::new() };
        let ran = place.run(&playbook, world(), |_| {}).await;
        let refusal = ran.refused("control-unreadable");
        assert!(refusal.why.contains("AccessDenied") && refusal.lift.contains("s3://vault/prod"), "{refusal}");
    }
}

#[tokio::test]
async fn the_policy_that_stood_is_in_the_bundle() {
    let text = "guard: acme\notherwise: auto\n";
    let ran = Place::new().run(&careful(FREEZE), world(), by(text)).await;
    ran.contained();
    for bundle in &ran.report.bundles {
        let bag = BagSource::open(&bundle.path).unwrap();
        let kept = bag.read_small(&BundlePath::parse("data/00-plan/guard-policy.yaml").unwrap(), 1 << 20).unwrap();
        assert_eq!(kept, text.as_bytes());
    }
    assert_eq!(ran.report.guard.unwrap().file, "guard.yaml");
}

// ── the responder ──

struct Responder {
    place: Place,
    mode: Mode,
    playbook: &'static str,
}

impl Responder {
    fn new(mode: Mode) -> Responder {
        Responder { place: Place::new(), mode, playbook: "contain-first" }
    }
    async fn fire(&self, world: World) -> (Reply, Arc<World>) {
        let (replied, world) = self.try_to_fire(world).await;
        (replied.unwrap(), world)
    }
    /// GuardDuty's finding about `payments-export`, through handler and engine.
    async fn try_to_fire(&self, world: World) -> (Result<Reply, HandlerError>, Arc<World>) {
        let world = Arc::new(world);
        let clock = self.place.clock.clone();
        let connector = Connector::from_conf(wire::config(&world), clock.clone()).unwrap().in_region("eu-west-1");
        let ourselves = Ourselves { function: Some("freezeframe-responder".into()), ..Ourselves::default() };
        let guard = Guard { policy: None, ourselves, mode: self.mode };
        let engine = Arc::new(Engine::new(connector, clock.clone(), self.place.store.clone(), guard));
        let settings = Settings { playbook: self.playbook.into(), mode: self.mode };
        let handler = Handler::new(settings, self.place.dir.path().into(), self.place.store.clone(), engine, clock).unwrap();
        let event = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/events/guardduty/good/c2-activity.json");
        let replied = handler.handle(&std::fs::read(event).unwrap(), &Delivery { id: "d-1".into(), deadline: None }).await;
        (replied, world)
    }
}

fn wrote(world: &World) -> bool {
    world.sent().iter().any(|s| s.key.contains(".Put"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_finding_climbs_the_responders_ladder() {
    let tagged = |value: &str| saying(world(), json!({"Tags": {"ir:contain": value}}));

    // Only watching: nothing is asked of AWS.
    let (reply, asked) = Responder::new(Mode::Observe).fire(tagged("auto")).await;
    assert_eq!((reply.did, asked.sent().len()), (Did::Observed, 0));
    assert!(reply.why.contains("would run the playbook `contain-first`") && reply.event_kept.unwrap().starts_with("observed/"));

    // Only evidence.
    let snapshot = Responder { playbook: "snapshot-only", ..Responder::new(Mode::Snapshot) };
    let (reply, asked) = snapshot.fire(tagged("auto")).await;
    assert_eq!((reply.did, wrote(&asked), reply.bundles.len()), (Did::Acted, false, 1));

    // Evidence, and containment waits for a person; said with the rule, its place and what lifts it.
    let (reply, asked) = Responder::new(Mode::ContainWithApproval).fire(tagged("auto")).await;
    assert_eq!((reply.did, reply.outcome, wrote(&asked)), (Did::Acted, Some(Outcome::Refused), false));
    assert_eq!((reply.refusals[0].rule.as_str(), reply.refusals.len()), ("mode", 1));
    assert!(reply.why.starts_with("containment refused (mode)") && !reply.bundles.is_empty(), "{}", reply.why);

    // Contain: but only what somebody said it may.
    let (reply, asked) = Responder::new(Mode::Contain).fire(world()).await;
    assert_eq!((reply.outcome, wrote(&asked), reply.refusals[0].rule.as_str()), (Some(Outcome::Refused), false, "otherwise"));
    assert!(reply.bundles.iter().all(|b| b.verified));
    let (reply, asked) = Responder::new(Mode::Contain).fire(tagged("never")).await;
    assert_eq!((wrote(&asked), reply.refusals[0].rule.as_str()), (false, "contain-tag"));
    let (reply, asked) = Responder::new(Mode::Contain).fire(tagged("auto")).await;
    assert!(wrote(&asked) && reply.refusals.is_empty(), "{:?}", reply.refusals);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_responder_reads_policy_and_halt_in_its_store() {
    let responder = Responder::new(Mode::Contain);
    let put = async |r: &Responder, key: &str, text: &str| r.place.store.put_if_absent(key, text.as_bytes().to_vec()).await.unwrap();
    put(&responder, "guard.yaml", "guard: acme\notherwise: auto\n").await;
    let (reply, asked) = responder.fire(world()).await;
    assert!(wrote(&asked) && reply.refusals.is_empty(), "{:?}", reply.refusals);

    // One that cannot be read lets nothing through, and evidence is taken all the same; Lambda hears of a failure, and delivers again.
    let responder = Responder::new(Mode::Contain);
    put(&responder, "guard.yaml", "guard: acme\notherwise: perhaps\n").await;
    let (replied, asked) = responder.try_to_fire(saying(world(), json!({"Tags": {"ir:contain": "auto"}}))).await;
    let Err(HandlerError::NotContained { why, .. }) = replied else { panic!("{replied:?}") };
    assert!(!wrote(&asked) && why.contains("policy-unreadable") && why.contains("guard.yaml:2"), "{why}");
    let keys = responder.place.store.list("").await.unwrap();
    assert!(keys.iter().any(|k| k.ends_with(".zip.sha256")), "{keys:?}");

    let responder = Responder::new(Mode::Contain);
    responder.place.control().stop(Brake::Halt, "eve", "audit").await.unwrap();
    let (reply, asked) = responder.fire(saying(world(), json!({"Tags": {"ir:contain": "auto"}}))).await;
    assert_eq!((wrote(&asked), reply.refusals[0].rule.as_str()), (false, "halted"));
}
