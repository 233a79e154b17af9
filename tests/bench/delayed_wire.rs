//! A whole standard snapshot of the drill's function with 50 ms held back before each call: how long it takes, how many calls it makes, which of
//! them had to wait for which. Beside it, in the same run and over the same wire, a boto3 script that makes the same reads one after the other
//! (`tests/tools/replay.py`, from the bundle's own list), and a shell script of AWS CLI commands for configuration, policies and identity.
//!
//! `FREEZEFRAME_BENCH_REPEATS` (3) rounds, interleaved; medians are compared. The program is the one that cargo built for the tests, so not an
//! optimised one. The emulator is one Python process: what it needs for its answers is a part of every figure, for all three alike.

use super::chain::{self, Span};
use super::critical_to_a11;
use super::table::Table;
use crate::stock::{Unpacked, said, unpacked};
use crate::support::delay::Delay;
use crate::support::emulator::{Stage, bundle, clock};
use crate::support::stage::stranger;
use crate::support::tools::{python_tools, repository};
use freezeframe::aws::Connector;
use freezeframe::aws::plain::StaticKeys;
use freezeframe::clock::{Clock, SystemClock};
use freezeframe::collect::COLLECTORS;
use freezeframe::drill::incident::names::FUNCTION;
use freezeframe::engine::preflight::{Missing, preflight_or};
use freezeframe::engine::progress::Silent;
use freezeframe::engine::run::{Doors, Order, run};
use freezeframe::model::id::RunId;
use freezeframe::plan::Plan;
use freezeframe::plan::adjust::Adjustments;
use freezeframe::playbook::{self, Registry};
use freezeframe::store::mem::MemStore;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

const HELD_BACK: Duration = Duration::from_millis(50);

/// Lambda's control plane: one limit of 15 a second for the account, without `GetFunction` (100) and `GetPolicy` (15), which have their own.
fn control_plane(span: &Span) -> bool {
    span.service == "Lambda" && !["GetFunction", "GetPolicy"].contains(&span.operation.as_str())
}

struct Read {
    seconds: f64,
    /// Until everything but CloudTrail's event history had been read.
    without_history: f64,
    calls: usize,
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    let n = of.len();
    if n.is_multiple_of(2) { (of[n / 2 - 1] + of[n / 2]) / 2.0 } else { of[n / 2] }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a benchmark: minutes, and nothing to fail by"]
async fn delayed_wire() {
    let repeats: usize = std::env::var("FREEZEFRAME_BENCH_REPEATS").ok().and_then(|n| n.parse().ok()).unwrap_or(3);
    let mut stage = Stage::set().await;
    let main = Delay::before(&stage.emulator.endpoint, HELD_BACK);
    let trail = Delay::before(&stage.emulator.cloudtrail_endpoint, HELD_BACK);
    // From here on whoever asks the stage where AWS is goes over the long wire.
    stage.emulator.endpoint = main.url.clone();
    stage.emulator.cloudtrail_endpoint = trail.url.clone();
    python_tools();

    let (mut ours, mut boto3, mut cli, mut unpaced) = (vec![], vec![], vec![], vec![]);
    let mut kept: Option<(PathBuf, Unpacked, usize)> = None;
    for round in 0..repeats {
        drop((main.passed(), trail.passed()));
        let began = Instant::now();
        let ended = stage.root().run(&["snapshot", FUNCTION, "--case", &format!("IR-{round}")]).await.unwrap();
        let seconds = began.elapsed().as_secs_f64();
        assert!([0, 3].contains(&ended.code), "{}\n{:#}", ended.stderr, ended.document);
        let zip = bundle(&ended.document, 0);
        let calls = main.passed().len() + trail.passed().len();
        let read = chain::spans(&zip);
        let last = read.iter().filter(|s| s.operation != "LookupEvents").map(|s| s.to).max().unwrap_or_default();
        let first = read.iter().map(|s| s.from).min().unwrap_or_default();
        // What the process needs before its first call of the bundle and after its last is in the whole; here it is not.
        ours.push(Read { seconds, without_history: (last - first) as f64 / 1000.0, calls });
        let bag = unpacked(&zip);

        let replayed = replay(&stage, &bag.dir);
        if round == 0 {
            println!("\nboto3, answered with another status than in the bundle: {:#}", replayed["otherwise"]);
            println!("boto3, not made: {:#}", replayed["not_made"]);
        }
        let [whole, lookups] = ["seconds", "lookups"].map(|k| replayed[k].as_f64().unwrap());
        boto3.push(Read {
            seconds: whole,
            without_history: whole - lookups,
            calls: usize::try_from(replayed["calls"].as_u64().unwrap()).unwrap(),
        });
        cli.push(aws_cli(&stage));
        unpaced.push(without_pace(&stage).await);
        kept = Some((zip, bag, calls));
        println!("round {}: {:.1} s, boto3 {:.1} s, AWS CLI {:.1} s", round + 1, seconds, boto3[round].seconds, cli[round].seconds);
    }
    let (zip, _bag, wire) = kept.expect("there is a round");
    let paced = chain::spans(&zip);

    println!(
        "\nA standard snapshot of {FUNCTION}, {} ms before each call, {repeats} rounds (medians; each round in brackets)\n",
        HELD_BACK.as_millis()
    );
    let mut all = Table::of(&["", "calls", "wall", "each round", "ratio", "without LookupEvents", "each round", "ratio"]);
    let of = |reads: &[Read], which: fn(&Read) -> f64| median(reads.iter().map(which).collect());
    let snapshots_a11 = median(unpaced.iter().map(|u: &Unpaced| u.a11_seconds).collect());
    let mut row = |name: &str, reads: &[Read]| {
        let each = |which: fn(&Read) -> f64| {
            let wall = of(reads, which);
            let rounds: Vec<String> = reads.iter().map(|r| format!("{:.1}", which(r))).collect();
            [format!("{wall:.1} s"), format!("[{}]", rounds.join(" ")), format!("{:.1} x", wall / of(&ours, which))]
        };
        let calls = [name.to_string(), reads[0].calls.to_string()];
        all.row(calls.into_iter().chain(each(|r| r.seconds)).chain(each(|r| r.without_history)));
    };
    row("freezeframe snapshot (wall: whole process, sealed and verified)", &ours);
    row("boto3, the same reads one after the other (reading alone)", &boto3);
    row("AWS CLI, configuration, policies and identity alone", &cli);
    println!("{all}");
    println!("{wire} requests over the wire, {} exchanges in the bundle (the rest is preflight, before there is a bundle)", paced.len());

    let critical_plane: Vec<&Span> = paced.iter().filter(|s| control_plane(s)).collect();
    println!(
        "Lambda's control plane: {} calls, at most {} in any second, {} in any ten (AWS allows the account 15 a second; by default we take half)",
        critical_plane.len(),
        chain::busiest(critical_plane.iter().copied(), 1000),
        chain::busiest(critical_plane.iter().copied(), 10_000),
    );
    waits("paced, as it is shipped", &paced);

    println!("\nThe same in process, with no turn of a token bucket waited for and without what is CloudTrail's (2 a second there):");
    let last = unpaced.last().expect("there is a round");
    waits("unpaced", &last.spans);
    groups(&last.spans);
    println!("\nconfiguration, policies and identity complete after {snapshots_a11:.2} s (median) unpaced");
    collectors(&paced, &last.spans);
}

/// Longest chain, critical path.
fn waits(what: &str, spans: &[Span]) {
    let end = spans.iter().map(|s| s.to).max().unwrap_or_default();
    let chain = chain::longest(spans);
    let (path, idle) = chain::critical(spans);
    println!("\n{what}: {} calls in {:.1} s; longest chain {}", spans.len(), end as f64 / 1000.0, chain.len());
    println!("critical path: {} calls, {:.1} s of it without a call, by unit:", path.len(), idle as f64 / 1000.0);
    let mut runs: Vec<(String, usize, i64, i64)> = vec![];
    for span in path {
        match runs.last_mut() {
            Some((unit, n, _, to)) if *unit == span.unit => (*n, *to) = (*n + 1, span.to),
            _ => runs.push((span.unit.clone(), 1, span.from, span.to)),
        }
    }
    for (unit, n, from, to) in runs {
        println!("  {:>6.2} – {:>6.2} s  {n:>3} of {unit}", from as f64 / 1000.0, to as f64 / 1000.0);
    }
}

/// What A11 says of the critical path, and what was.
fn groups(spans: &[Span]) {
    println!();
    let mut table = Table::of(&["", "calls", "longest chain", "A11 says", "first sent", "last ended", "the chain"]);
    let mut row = |what: &str, says: &str, of: Vec<&Span>| {
        let chain = chain::longest(of.iter().copied());
        let words = chain.iter().map(|s| s.operation.as_str()).collect::<Vec<_>>().join(" → ");
        let from = of.iter().map(|s| s.from).min().unwrap_or_default() as f64 / 1000.0;
        let to = of.iter().map(|s| s.to).max().unwrap_or_default() as f64 / 1000.0;
        table.row([
            what.into(),
            of.len().to_string(),
            chain.len().to_string(),
            says.into(),
            format!("{from:.2} s"),
            format!("{to:.2} s"),
            words,
        ]);
    };
    row("configuration, policies, identity", "4", spans.iter().filter(|s| critical_to_a11(&s.unit)).collect());
    // The look-up is `configuration`'s.
    let first = spans.iter().find(|s| s.operation == "GetFunction" && s.unit == "configuration");
    row("code of $LATEST", "2", spans.iter().filter(|s| s.unit == "function-code").chain(first).collect());
    println!("{table}");
}

fn collectors(paced: &[Span], unpaced: &[Span]) {
    println!();
    let mut table = Table::of(&["collector", "calls", "chain paced", "chain unpaced", "from", "to", "from unpaced", "to unpaced"]);
    for spec in COLLECTORS.iter().map(|c| c.spec()) {
        let own = |spans: &[Span]| -> (usize, usize, String, String) {
            let own: Vec<&Span> = spans.iter().filter(|s| s.unit == spec.id).collect();
            let s = |ms: Option<i64>| ms.map_or(String::new(), |ms| format!("{:.2}", ms as f64 / 1000.0));
            (own.len(), chain::longest(own.iter().copied()).len(), s(own.iter().map(|s| s.from).min()), s(own.iter().map(|s| s.to).max()))
        };
        let ((calls, chain, from, to), (_, free, free_from, free_to)) = (own(paced), own(unpaced));
        table.row([spec.id.into(), calls.to_string(), chain.to_string(), free.to_string(), from, to, free_from, free_to]);
    }
    println!("{table}");
}

fn replay(stage: &Stage, bag: &Path) -> Value {
    let out = tempfile::tempdir_in(stage.scratch()).unwrap();
    let mut command = stranger(&stage.emulator, python_tools().join("python3"), &stage.emulator.root);
    let output = command.arg(repository("tests/tools/replay.py")).arg(bag).arg(out.path()).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", said(&output)))
}

fn aws_cli(stage: &Stage) -> Read {
    let out = tempfile::tempdir_in(stage.scratch()).unwrap();
    let path = format!("{}:{}", python_tools().display(), std::env::var("PATH").unwrap_or_default());
    let mut command = stranger(&stage.emulator, "bash", &stage.emulator.root);
    let began = Instant::now();
    let output = command.arg(repository("tests/tools/aws_reads.sh")).arg(FUNCTION).arg(out.path()).env("PATH", path).output().unwrap();
    let seconds = began.elapsed().as_secs_f64();
    let calls = said(&output).trim().parse().unwrap_or_else(|e| panic!("{e}: {}", said(&output)));
    Read { seconds, without_history: seconds, calls }
}

/// A clock that tells the time and waits for nobody: so only what a question needs is waited for.
#[derive(Debug)]
struct Impatient(SystemClock);

#[async_trait::async_trait]
impl Clock for Impatient {
    fn now(&self) -> chrono::DateTime<chrono::Utc> {
        self.0.now()
    }
    fn monotonic_ns(&self) -> u64 {
        self.0.monotonic_ns()
    }
    async fn sleep(&self, _: Duration) {
        tokio::task::yield_now().await;
    }
}

struct Unpaced {
    spans: Vec<Span>,
    a11_seconds: f64,
}

/// The standard snapshot in this process. CloudTrail really refuses the third request of a second, so what asks it is left out.
async fn without_pace(stage: &Stage) -> Unpaced {
    let dir = tempfile::tempdir_in(stage.scratch()).unwrap();
    let root = &stage.emulator.root;
    let keys =
        StaticKeys { access_key_id: root.access_key_id.clone(), secret_access_key: root.secret_access_key.clone(), session_token: None };
    let impatient: Arc<dyn Clock> = Arc::new(Impatient(SystemClock::new()));
    let connector = Connector::for_endpoint(&stage.emulator.endpoint, &stage.emulator.region, keys, impatient.clone()).await;
    let preflight = preflight_or(&connector, &FUNCTION.parse().unwrap(), &Missing::default()).await.unwrap();
    let mut playbook = playbook::load("snapshot-only").unwrap().0;
    let asks_cloudtrail = |c: &&&dyn freezeframe::collect::Collector| c.spec().calls.iter().any(|c| c.service.sdk_id() == "CloudTrail");
    let skip: BTreeSet<String> = COLLECTORS.iter().filter(asks_cloudtrail).map(|c| c.spec().id.to_string()).collect();
    let adjustments = Adjustments { skip: skip.into_iter().collect(), ..Default::default() };
    adjustments.apply(&Registry::built_in(), &mut playbook, clock().now()).unwrap();
    let order = Order {
        case: "IR-UNPACED".parse().unwrap(),
        run: RunId("01KAGZ0000000000000000TEST".into()),
        plan: Plan::make(&playbook, &preflight.target, &preflight.known),
        pinned: None,
        approval: None,
        guard: Default::default(),
        trigger: None,
        operator: preflight.identity.arn.clone(),
        preflight: preflight.exchanges,
        permit: None,
    };
    let doors = Doors {
        archive: None,
        straight: false,
        connector,
        store: Arc::new(MemStore::new()),
        control: Arc::new(MemStore::new()),
        case_dir: dir.path().to_path_buf(),
        clock: impatient,
        progress: Arc::new(Silent),
        interrupt: watch::channel(false).1,
        others: Arc::new(freezeframe::engine::others::OtherCases::none(clock())),
        sealing: Default::default(),
        secrets: Default::default(),
        beside: Arc::new(MemStore::new()),
    };
    let report = run(order, doors).await.unwrap();
    let spans = chain::spans(&report.bundles[0].path);
    let a11: BTreeMap<i64, &Span> = spans.iter().filter(|s| critical_to_a11(&s.unit)).map(|s| (s.to, s)).collect();
    let a11_seconds = a11.keys().next_back().copied().unwrap_or_default() as f64 / 1000.0;
    Unpaced { spans, a11_seconds }
}
