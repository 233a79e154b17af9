//! The handler with a fake in the engine's place: what it does with one delivery, with many, and with what it must not do.

mod live;

use async_trait::async_trait;
use freezeframe::clock::{Clock, FakeClock};
use freezeframe::handler::explain::explain_with;
use freezeframe::handler::{
    Act, Acted, ActedBundle, Delivery, Did, Found, Handler, HandlerError, Job, LookError, Mode, PlaybookFacts, Reply, Settings,
};
use freezeframe::model::digest::Sha256;
use freezeframe::model::outcome::Outcome;
use freezeframe::model::target::TargetSpec;
use freezeframe::plan::guard::Rule;
use freezeframe::store::Store;
use freezeframe::store::dir::DirStore;
use freezeframe::store::mem::MemStore;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Stands for the engine: notes each job, writes a zip of its own, and can be told to fail or to wait for the interrupt.
#[derive(Default)]
struct Fake {
    jobs: Mutex<Vec<String>>,
    fail_runs: Mutex<u32>,
    /// How the next runs end whose containment is refused: the outcome, and the rules.
    refused: Mutex<VecDeque<(Outcome, &'static [Rule])>>,
    wait_for_interrupt: bool,
    no_such_function: bool,
}

impl Fake {
    fn jobs(&self) -> Vec<String> {
        self.jobs.lock().unwrap().clone()
    }
}

fn shelf(id: &str) -> Option<PlaybookFacts> {
    let contains = match id {
        "snapshot-only" => false,
        "snapshot-and-contain" => true,
        _ => return None,
    };
    Some(PlaybookFacts { id: id.into(), title: id.into(), contains })
}

#[async_trait(?Send)]
impl Act for Fake {
    fn playbook(&self, id: &str) -> Option<PlaybookFacts> {
        shelf(id)
    }
    async fn look(&self, target: &TargetSpec) -> Result<Found, LookError> {
        if self.no_such_function {
            return Err(LookError::NotHere("there is no such function".into()));
        }
        let target = target.resolve("aws", "123456789012", "eu-west-1").map_err(|e| LookError::NotHere(e.to_string()))?;
        Ok(Found {
            target,
            operator: "arn:aws:sts::123456789012:assumed-role/responder/r".into(),
            known: Default::default(),
            preflight: vec![],
        })
    }
    async fn run(&self, job: Job, mut interrupt: watch::Receiver<bool>) -> Result<Acted, Cause> {
        self.jobs.lock().unwrap().push(format!("{} {} {}", job.case, job.playbook, job.found.target));
        let interrupted = self.wait_for_interrupt && interrupt.wait_for(|stop| *stop).await.is_ok();
        std::fs::create_dir_all(&job.case_dir).unwrap();
        let name = format!("ff-payments-export-{}", job.run);
        let zip = job.case_dir.join(format!("{name}.zip"));
        std::fs::write(&zip, format!("zip of {}", job.run)).unwrap();
        if std::mem::take(&mut *self.fail_runs.lock().unwrap()) > 0 {
            return Err("the bundle does not verify".into());
        }
        let bundle = ActedBundle { name, root: Sha256::of(b"root"), zip, verified: !interrupted, place: None };
        let (outcome, rules) = match self.refused.lock().unwrap().pop_front() {
            Some(refused) => refused,
            None if interrupted => (Outcome::Interrupted, &[] as &[Rule]),
            None => (Outcome::Gaps, &[] as &[Rule]),
        };
        Ok(Acted {
            outcome,
            headline: "1 gap: logs denied (open: What did it do?)".into(),
            bundles: vec![bundle],
            gaps: 1,
            refusals: rules.iter().map(|rule| rule.refuses("the store said no", "built in", "asking again")).collect(),
            notes: vec![],
        })
    }
}

struct World {
    fake: Arc<Fake>,
    store: Arc<MemStore>,
    clock: Arc<FakeClock>,
    scratch: tempfile::TempDir,
    settings: Settings,
}

impl World {
    fn new() -> Self {
        World::with(Fake::default())
    }
    fn with(fake: Fake) -> Self {
        World {
            fake: Arc::new(fake),
            store: Arc::new(MemStore::new()),
            clock: Arc::new(FakeClock::at("2026-11-20T12:00:00Z").unwrap()),
            scratch: tempfile::tempdir().unwrap(),
            settings: Settings::default(),
        }
    }
    fn handler(&self) -> Result<Handler, HandlerError> {
        Handler::new(self.settings.clone(), self.scratch.path().into(), self.store.clone(), self.fake.clone(), self.clock.clone())
    }
    async fn deliver(&self, id: &str, event: &[u8]) -> Result<Reply, HandlerError> {
        self.handler().unwrap().handle(event, &Delivery { id: id.into(), deadline: None }).await
    }
    async fn keys(&self) -> Vec<String> {
        self.store.list("").await.unwrap()
    }
    fn scratch_is_empty(&self) -> bool {
        std::fs::read_dir(self.scratch.path()).unwrap().next().is_none()
    }
}

fn event(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/events").join(name)).unwrap()
}

#[tokio::test]
async fn a_good_finding_is_acted_on_once() {
    let world = World::new();
    let reply = world.deliver("d-1", &event("guardduty/good/c2-activity.json")).await.unwrap();
    assert_eq!((reply.did, reply.outcome, reply.gaps), (Did::Acted, Some(Outcome::Gaps), 1));
    let case = reply.case.clone().unwrap();
    assert_eq!(world.fake.jobs(), [format!("{case} snapshot-only arn:aws:lambda:eu-west-1:123456789012:function:payments-export")]);

    // What was said to be kept lies there, with a digest that `sha256sum -c` takes.
    let bundle = &reply.bundles[0];
    let zip = world.store.get(&format!("cases/{case}/{}.zip", bundle.name)).await.unwrap().unwrap();
    assert_eq!(Sha256::of(&zip), bundle.sha256);
    let line = world.store.get(&format!("cases/{case}/{}.zip.sha256", bundle.name)).await.unwrap().unwrap();
    assert_eq!(String::from_utf8(line).unwrap(), format!("{}  {}.zip\n", bundle.sha256, bundle.name));
    assert!(world.scratch_is_empty(), "nothing is left on the disk of a warm function");

    // The same finding, in a new event, to a new invocation.
    let before = world.keys().await;
    let again = world.deliver("d-2", &event("guardduty/good/c2-activity-seen-again.json")).await.unwrap();
    assert_eq!((again.did, again.run.clone()), (Did::AlreadyHandled, reply.run.clone()));
    assert!(again.why.starts_with(&format!("already handled by run {}", reply.run.unwrap())), "{}", again.why);
    assert_eq!((world.fake.jobs().len(), world.keys().await), (1, before));
}

#[tokio::test]
async fn two_findings_about_one_function_are_two_cases() {
    let world = World::new();
    world.deliver("d-1", &event("guardduty/good/c2-activity.json")).await.unwrap();
    let other = String::from_utf8(event("guardduty/good/c2-activity.json"))
        .unwrap()
        .replace("7ac3f0d26e1b4b0f8d8e0c2a9b1d4e55", "00c3f0d26e1b4b0f8d8e0c2a9b1d4e55");
    assert_eq!(world.deliver("d-2", other.as_bytes()).await.unwrap().did, Did::Acted);
    assert_eq!(world.fake.jobs().len(), 2);
}

#[tokio::test]
async fn an_invocation_stands_for_itself_and_its_retry_for_it() {
    let world = World::new();
    let request = event("manual/good/invocation.json");
    assert_eq!(world.deliver("d-1", &request).await.unwrap().did, Did::Acted);
    assert_eq!(world.deliver("d-1", &request).await.unwrap().did, Did::AlreadyHandled);
    assert_eq!(world.deliver("d-2", &request).await.unwrap().did, Did::Acted);
    assert_eq!(world.fake.jobs().len(), 2);
}

#[tokio::test]
async fn a_failed_run_is_tried_again_and_leaves_its_draft() {
    let world = World::with(Fake { fail_runs: Mutex::new(1), ..Fake::default() });
    let finding = event("guardduty/good/c2-activity.json");
    let failed = world.deliver("d-1", &finding).await.unwrap_err();
    assert!(matches!(failed, HandlerError::Run { .. }));
    assert!(!world.scratch_is_empty());
    let kept: Vec<String> = world.keys().await.into_iter().filter(|k| k.ends_with(".zip")).collect();
    assert!(kept.len() == 1 && kept[0].contains("/failed/ff-payments-export-"), "{kept:?}");
    assert_eq!(world.deliver("d-1", &finding).await.unwrap().did, Did::Acted);
    assert_eq!(world.fake.jobs().len(), 2);
}

fn refusing(refused: impl IntoIterator<Item = (Outcome, &'static [Rule])>) -> World {
    World::with(Fake { refused: Mutex::new(refused.into_iter().collect()), ..Fake::default() })
}

/// One answer of S3 or Lambda that did not come must not be the reason that a finding is never contained.
#[tokio::test]
async fn what_could_not_be_asked_is_asked_again_at_the_next_delivery() {
    let finding = event("guardduty/good/c2-activity.json");
    for (outcome, rules) in [
        (Outcome::Refused, &[Rule::FunctionUnreadable, Rule::TagsUnreadable] as &[Rule]),
        (Outcome::Refused, &[Rule::PolicyUnreadable]),
        (Outcome::PartlyContained, &[Rule::ControlUnreadable]),
        (Outcome::Unwound, &[Rule::ControlUnreadable]),
    ] {
        let world = refusing([(outcome, rules)]);
        let error = world.deliver("d-1", &finding).await.unwrap_err();
        assert!(matches!(&error, HandlerError::NotContained { .. }) && error.to_string().contains(rules[0].as_str()), "{error}");
        assert_eq!(world.keys().await.iter().filter(|k| k.ends_with(".zip.sha256")).count(), 1, "the evidence is kept");
        assert!(world.scratch_is_empty());
        // Lambda's own retry, and whatever comes later.
        assert_eq!(world.deliver("d-1", &finding).await.unwrap().did, Did::Acted);
        assert_eq!((world.deliver("d-2", &finding).await.unwrap().did, world.fake.jobs().len()), (Did::AlreadyHandled, 2));
    }
    // Not for ever.
    let world = refusing([(Outcome::Refused, &[Rule::ControlUnreadable] as &[Rule]); 3]);
    for _ in 0..3 {
        world.deliver("d-1", &finding).await.unwrap_err();
    }
    assert_eq!(world.deliver("d-1", &finding).await.unwrap().did, Did::GaveUp);
}

#[tokio::test]
async fn a_refusal_that_time_ends_is_left_to_a_later_delivery_and_one_that_somebody_decided_stands() {
    let finding = event("guardduty/good/c2-activity.json");
    for rules in [&[Rule::RateLimit] as &[Rule], &[Rule::ControlUnreadable, Rule::RateLimit]] {
        let world = refusing([(Outcome::Refused, rules)]);
        // Nothing that a retry within minutes would change: no error.
        let reply = world.deliver("d-1", &finding).await.unwrap();
        assert_eq!((reply.did, reply.outcome), (Did::Acted, Some(Outcome::Refused)));
        assert!(reply.notes.iter().any(|n| n.contains("tries again")), "{:?}", reply.notes);
        assert_eq!((world.deliver("d-2", &finding).await.unwrap().did, world.fake.jobs().len()), (Did::Acted, 2));
    }
    for (outcome, rules) in [
        (Outcome::Refused, &[Rule::Halted] as &[Rule]),
        (Outcome::Refused, &[Rule::ControlUnreadable, Rule::Otherwise]),
        (Outcome::Stuck, &[Rule::ControlUnreadable]),
    ] {
        let world = refusing([(outcome, rules)]);
        assert_eq!(world.deliver("d-1", &finding).await.unwrap().outcome, Some(outcome));
        assert_eq!(world.deliver("d-2", &finding).await.unwrap().did, Did::AlreadyHandled, "{rules:?}");
    }
}

#[tokio::test]
async fn bundles_that_cannot_be_kept_are_not_called_done() {
    let world = World::new();
    let finding = event("guardduty/good/c2-activity.json");
    world.store.refuse_puts_after(1);
    assert!(matches!(world.deliver("d-1", &finding).await, Err(HandlerError::KeepBundles { left, .. }) if left.is_dir()));
    world.store.stop_refusing();
    assert_eq!(world.deliver("d-1", &finding).await.unwrap().did, Did::Acted);
}

#[tokio::test]
async fn collecting_stops_ahead_of_the_deadline() {
    let world = World::with(Fake { wait_for_interrupt: true, ..Fake::default() });
    let began = world.clock.now();
    let delivery = Delivery { id: "d-1".into(), deadline: Some(began + Duration::from_secs(300)) };
    let reply = world.handler().unwrap().handle(&event("guardduty/good/c2-activity.json"), &delivery).await.unwrap();
    assert_eq!(world.clock.now() - began, chrono::TimeDelta::seconds(280), "20 s are left to seal and keep");
    assert_eq!((reply.did, reply.outcome, reply.bundles[0].verified), (Did::Acted, Some(Outcome::Interrupted), false));
    assert!(world.keys().await.iter().any(|k| k.ends_with(".zip.sha256")), "the unfinished bundle is kept");
}

#[tokio::test]
async fn an_unknown_event_is_kept_as_it_came_and_nothing_else_is_done() {
    let world = World::new();
    let raw = b"{\"source\":\"aws.ec2\", \"detail-type\" : \"x\",\n \"detail\":{}}  ";
    for id in ["d-1", "d-2"] {
        let reply = world.deliver(id, raw).await.unwrap();
        assert_eq!(reply.did, Did::Unknown);
        assert_eq!(world.store.get(&reply.event_kept.unwrap()).await.unwrap().unwrap(), raw);
    }
    assert_eq!(world.keys().await, [format!("unknown/{}.json", Sha256::of(raw))]);
    assert_eq!(world.fake.jobs(), Vec::<String>::new());
}

#[tokio::test]
async fn hostile_events_and_samples_change_nothing() {
    let world = World::new();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/events");
    let mut hostile: Vec<PathBuf> = vec![dir.join("guardduty/odd/sample.json"), dir.join("guardduty/odd/archived.json")];
    for source in ["guardduty", "manual"] {
        hostile.extend(std::fs::read_dir(dir.join(source).join("hostile")).unwrap().map(|e| e.unwrap().path()));
    }
    for file in &hostile {
        let reply = world.deliver("d", &std::fs::read(file).unwrap()).await.unwrap();
        assert!(matches!(reply.did, Did::Ignored | Did::Unknown), "{}: {reply:?}", file.display());
        let text = serde_json::to_string(&reply).unwrap();
        assert!(text.len() < 2000 && !text.contains("\\u001b"), "{}: {text}", file.display());
    }
    assert_eq!(world.fake.jobs(), Vec::<String>::new());
    assert!(world.keys().await.iter().all(|k| k.starts_with("unknown/")));
}

#[tokio::test]
async fn containment_takes_more_than_an_event() {
    let mut world = World::new();
    let request = event("manual/good/invocation-with-request.json");
    let reply = world.deliver("d-1", &request).await.unwrap();
    assert_eq!(reply.did, Did::Refused);
    assert!(reply.why.contains("guard policy") && reply.why.contains("FREEZEFRAME_MODE=contain"), "{}", reply.why);
    assert_eq!(world.fake.jobs(), Vec::<String>::new());
    assert_eq!(world.keys().await, [reply.event_kept.unwrap()], "a refused request is kept");

    // Configured to contain, and not allowed to: said at the start.
    world.settings.playbook = "snapshot-and-contain".into();
    assert!(matches!(world.handler(), Err(HandlerError::ModeForbidsPlaybook(_))));
    world.settings.mode = Mode::Contain;
    let reply = world.deliver("d-1", &request).await.unwrap();
    assert_eq!(reply.did, Did::Acted);
    world.settings.playbook = "no-such".into();
    assert!(matches!(world.handler(), Err(HandlerError::NoSuchPlaybook(_))));
}

#[tokio::test]
async fn a_target_that_is_not_ours_is_refused_without_a_lease() {
    let world = World::new();
    let reply = world.deliver("d-1", &event("guardduty/good/qualified-other-partition.json")).await.unwrap();
    assert_eq!(reply.did, Did::Refused);
    assert!(reply.why.contains("partition"), "{}", reply.why);
    let world = World::with(Fake { no_such_function: true, ..Fake::default() });
    let reply = world.deliver("d-1", &event("guardduty/good/c2-activity.json")).await.unwrap();
    assert_eq!((reply.did, reply.why.as_str()), (Did::Refused, "there is no such function"));
    assert_eq!(world.keys().await.len(), 1);
}

/// Two deliveries at the same moment: one run.
#[tokio::test]
async fn racing_deliveries_make_one_run_in_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let (fake, clock) = (Arc::new(Fake::default()), Arc::new(FakeClock::at("2026-11-20T12:00:00Z").unwrap()));
    let mut deliveries = vec![];
    for n in 0..6 {
        let store: Arc<dyn Store> = Arc::new(DirStore::open(dir.path().join("store")).unwrap());
        let handler = Handler::new(Settings::default(), dir.path().into(), store, fake.clone(), clock.clone()).unwrap();
        deliveries.push(async move {
            handler.handle(&event("guardduty/good/c2-activity.json"), &Delivery { id: format!("d-{n}"), deadline: None }).await.unwrap().did
        });
    }
    let did = futures_util::future::join_all(deliveries).await;
    assert_eq!(did.iter().filter(|d| **d == Did::Acted).count(), 1, "{did:?}");
    assert_eq!(fake.jobs().len(), 1);
}

#[tokio::test]
async fn explain_says_what_the_handler_does() {
    let world = World::new();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/events");
    let mut seen = 0;
    for source in ["guardduty", "manual"] {
        for folder in ["good", "odd", "hostile"] {
            for file in std::fs::read_dir(dir.join(source).join(folder)).unwrap() {
                let bytes = std::fs::read(file.unwrap().path()).unwrap();
                let told = explain_with(&bytes, &Settings::default(), &shelf);
                let reply = world.deliver(&format!("d-{seen}"), &bytes).await.unwrap();
                seen += 1;
                if told.acts {
                    // Only AWS knows whether the target is ours.
                    assert!(
                        matches!(reply.did, Did::Acted | Did::AlreadyHandled) || reply.why.contains("credentials are for"),
                        "{reply:?}"
                    );
                    assert_eq!(told.case, reply.case);
                } else {
                    assert_eq!((told.nothing, told.why.as_str()), (Some(reply.did), reply.why.as_str()));
                }
                assert!(told.lines().iter().all(|l| !l.chars().any(char::is_control)), "{:?}", told.lines());
            }
        }
    }
    assert!(seen > 40, "{seen}");
    let told = explain_with(&event("guardduty/good/c2-activity.json"), &Settings::default(), &shelf);
    assert_eq!(
        told.lines()[..3],
        [
            format!(
                "would act: the playbook `snapshot-only` is run in case {}: evidence is taken; nothing in AWS is changed",
                told.case.unwrap()
            ),
            "  source   guardduty".to_string(),
            "  finding  Backdoor:Lambda/C&CActivity.B (7ac3f0d26e1b4b0f8d8e0c2a9b1d4e55), severity 80 of 100".to_string(),
        ]
    );
}
