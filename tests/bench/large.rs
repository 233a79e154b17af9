//! More than 5 GiB of evidence, one file of it larger than S3 takes at once, through every step: what memory each takes at its peak, and how fast
//! `verify` is beside `sha256sum` on the same files, on one core and on two.
//!
//! `cargo test --test it -- --ignored --nocapture bench::large` (11 GB of disk, ten minutes). `FREEZEFRAME_BENCH_PROGRAM` names a release build; the default is
//! the test's own, in which what hashes is optimised and the rest is not. Sealing and zipping have no command of their own, so a child of this very
//! binary does them.

use super::sink::Sink;
use freezeframe::aws::record::{Recorder as _, UnitScope};
use freezeframe::bundle::documents::{BundleKind, PlannedUnit, UnitEnd};
use freezeframe::bundle::draft::{Draft, DraftInfo, NewItem};
use freezeframe::bundle::tool;
use freezeframe::clock::SystemClock;
use freezeframe::model::digest::Hasher;
use freezeframe::model::exchange::{BodyEnd, Exchange, Header};
use freezeframe::model::id::{ExchangeId, RunId};
use freezeframe::model::item::{Group, ItemStatus};
use freezeframe::model::path::BundlePath;
use freezeframe::model::target::Target;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

const LARGE: u64 = (5 << 30) + (16 << 20);
const SMALL: u64 = 256 << 10;
const MANY: u32 = 1000;
const LIMIT: u64 = 100 << 20;
const CHILD: &str = "FREEZEFRAME_BENCH_SEAL";
const ROUNDS: usize = 3;

/// The kernel's own count of this process's peak, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// Forget the peak so far.
fn forget_peak() {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// A download that came whole.
fn exchange(id: ExchangeId, body: Hasher) -> Exchange {
    let (sha256, bytes) = body.finish();
    Exchange {
        id,
        unit: "bench".into(),
        service: "https".into(),
        operation: "Download".into(),
        region: "eu-west-1".into(),
        attempt: 1,
        invocation: None,
        method: "GET".into(),
        uri: "https://example.com/code".into(),
        uri_sha256: None,
        request_headers: vec![],
        request_body: None,
        sent: "2026-11-20T12:00:00.000Z".into(),
        took_ms: 1,
        status: Some(200),
        response_headers: vec![Header("content-type".into(), "application/octet-stream".into())],
        request_id: None,
        server_date: None,
        body_end: BodyEnd::Complete,
        body_bytes: bytes,
        body_sha256: Some(sha256),
        body_withheld: None,
        body: None,
        sealed: None,
    }
}

/// In the child: draft, seal, zip.
fn seal(case: &Path) {
    let info = DraftInfo {
        case: "IR-LARGE".parse().unwrap(),
        run: RunId("01JD4M3Q3VY0000000000000AB".into()),
        kind: BundleKind::Acquisition,
        target: Target {
            partition: "aws".into(),
            account: "123456789012".into(),
            region: "eu-west-1".into(),
            function: "large".into(),
            qualifier: None,
        },
        playbook: "bench".into(),
        operator: "bench".into(),
        tool: tool::record(),
        previous: None,
        secrets: Default::default(),
    };
    let draft = Draft::open(case, info, Arc::new(SystemClock::new())).unwrap();
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut piece = vec![0; SMALL as usize];
    let mut items = vec![];
    let at = Instant::now();
    for n in 0..=MANY {
        let (name, bytes) = if n == 0 { ("large".to_string(), LARGE) } else { (format!("small-{n:05}"), SMALL) };
        // As the tape does it: a body that passes.
        let id = draft.number();
        let (mut body, mut hasher) = (draft.open_body(id).unwrap(), Hasher::default());
        for _ in 0..bytes / SMALL {
            for word in piece.chunks_exact_mut(8) {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                word.copy_from_slice(&state.to_le_bytes());
            }
            body.write_all(&piece).unwrap();
            hasher.update(&piece);
        }
        drop(body);
        let wanted = BundlePath::parse(&format!("data/10-code/{name}.bin")).unwrap();
        let exchange = draft.finish(&UnitScope { unit: "bench", group: Group::Code }, exchange(id, hasher), Some(wanted));
        let (files, exchanges) = (vec![draft.file_of(exchange.id).unwrap()], vec![exchange.id]);
        let new = NewItem::new(Group::Code, "bench", name, ItemStatus::Collected);
        items.push(draft.add(NewItem { files, exchanges, ..new }).unwrap());
    }
    let drafted = (at.elapsed(), peak());
    forget_peak();
    let unit = PlannedUnit {
        unit: "bench".into(),
        title: "All of it".into(),
        question: "How much?".into(),
        group: Group::Code,
        ended: UnitEnd::Done,
        items,
    };
    let at = Instant::now();
    let sealed = draft.seal(vec![unit], true).unwrap();
    let of_seal = (at.elapsed(), peak());
    forget_peak();
    let at = Instant::now();
    sealed.zip().unwrap();
    let of_zip = (at.elapsed(), peak());
    for (step, (took, peak)) in [("draft", drafted), ("seal", of_seal), ("zip", of_zip)] {
        println!("{step:12} {:7.1} s  {:6.1} MB", took.as_secs_f64(), megabytes(peak));
        assert!(peak < LIMIT, "{step} took {peak}");
    }
}

/// How long it took by the clock and of the processors, and the peak of everything below it. Others may use the machine: the processors' time
/// knows nothing of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Cost {
    took: Duration,
    cpu: Duration,
    peak: u64,
}

/// Runs `command` on these cores.
fn measured(cores: &str, endpoint: Option<&str>, command: &[&str]) -> Cost {
    const MEASURE: &str = "import resource,subprocess,sys\n\
        code=subprocess.run(sys.argv[1:],stdout=subprocess.DEVNULL).returncode\n\
        r=resource.getrusage(resource.RUSAGE_CHILDREN)\n\
        print(r.ru_maxrss,r.ru_utime+r.ru_stime)\nsys.exit(code)";
    let mut run = Command::new("taskset");
    run.args(["-c", cores, "python3", "-c", MEASURE]).args(command);
    for (name, value) in [("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "x"), ("AWS_REGION", "eu-west-1")] {
        run.env(name, value);
    }
    if let Some(endpoint) = endpoint {
        run.env("AWS_ENDPOINT_URL", endpoint);
    }
    let at = Instant::now();
    let out = run.output().unwrap();
    let took = at.elapsed();
    assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
    let told = String::from_utf8(out.stdout).unwrap();
    let (peak, cpu) = told.trim().split_once(' ').unwrap();
    Cost { took, cpu: Duration::from_secs_f64(cpu.parse().unwrap()), peak: peak.parse::<u64>().unwrap() << 10 }
}

/// The medians of both times, and the highest peak.
fn median(all: &[Cost]) -> Cost {
    let of = |time: fn(&Cost) -> Duration| {
        let mut times: Vec<Duration> = all.iter().map(time).collect();
        times.sort();
        times[times.len() / 2]
    };
    Cost { took: of(|c| c.took), cpu: of(|c| c.cpu), peak: all.iter().map(|c| c.peak).max().unwrap() }
}

#[test]
#[ignore = "5 GiB: run by name"]
fn five_gibibytes() {
    if let Some(case) = std::env::var_os(CHILD) {
        return seal(Path::new(&case));
    }
    let files = tempfile::Builder::new().prefix("bench-").tempdir_in("/tmp").unwrap();
    let case = files.path().join("IR-LARGE");
    std::fs::create_dir(&case).unwrap();
    let program = std::env::var("FREEZEFRAME_BENCH_PROGRAM").unwrap_or_else(|_| env!("CARGO_BIN_EXE_freezeframe").into());
    println!("program {program}");
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "bench::large::five_gibibytes", "--ignored", "--nocapture"])
        .env(CHILD, &case)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{told}{}", String::from_utf8_lossy(&child.stderr));
    told.lines().filter(|l| l.ends_with(" MB")).for_each(|l| println!("{l}"));

    let zip = std::fs::read_dir(&case).unwrap().map(|e| e.unwrap().path()).find(|p| p.extension().is_some_and(|e| e == "zip")).unwrap();
    let dir: PathBuf = zip.with_extension("");
    let (at, zip) = (dir.to_str().unwrap(), zip.to_str().unwrap());
    let gib = (LARGE + u64::from(MANY) * SMALL) as f64 / f64::from(1 << 30);
    let show = |what: &str, c: Cost| {
        let (took, cpu) = (c.took.as_secs_f64(), c.cpu.as_secs_f64());
        println!("{what:24} {took:7.2} s  {cpu:7.2} s of processor  {:5.2} GiB/s  {:6.1} MB", gib / took, megabytes(c.peak));
    };
    // Beside each other and in turns, so that what else the machine does meets both.
    for (cores, hands) in [("0", "1"), ("0,1", "2")] {
        let all = format!("find {at} -type f -print0 | xargs -0 -P {hands} -n 16 sha256sum");
        let commands: [(&str, Vec<&str>); 4] = [
            ("verify, directory", vec![&program, "verify", at]),
            ("sha256sum, its files", vec!["sh", "-c", &all]),
            ("verify, zip", vec![&program, "verify", zip]),
            ("sha256sum, the zip", vec!["sha256sum", zip]),
        ];
        let mut took: Vec<Vec<Cost>> = vec![vec![]; commands.len()];
        for _ in 0..ROUNDS {
            for (n, (_, command)) in commands.iter().enumerate() {
                took[n].push(measured(cores, None, command));
            }
        }
        println!("cores {cores}, medians of {ROUNDS}");
        let medians: Vec<Cost> = took.iter().map(|all| median(all)).collect();
        commands.iter().zip(&medians).for_each(|((what, _), m)| show(what, *m));
        for (what, n) in [("directory", 0), ("zip", 2)] {
            let (ours, theirs) = (medians[n], medians[n + 1]);
            let by = |time: fn(&Cost) -> Duration| time(&ours).as_secs_f64() / time(&theirs).as_secs_f64();
            println!("verify : sha256sum, {what}: {:.2} by the clock, {:.2} of the processors", by(|c| c.took), by(|c| c.cpu));
            assert!(ours.peak < LIMIT, "{what}: {}", ours.peak);
        }
    }
    let sink = Sink::open(dir.clone());
    let place = format!("s3://evidence-vault/IR-LARGE/{}", dir.file_name().unwrap().to_str().unwrap());
    for (what, command) in [
        ("archive", vec![program.as_str(), "archive", at, "s3://evidence-vault"]),
        ("archive again", vec![&program, "archive", at, "s3://evidence-vault"]),
        ("verify, in the bucket", vec![&program, "verify", &place]),
    ] {
        let cost = measured("0,1", Some(&sink.endpoint), &command);
        show(what, cost);
        assert!(cost.peak < LIMIT, "{what}: {}", cost.peak);
    }
}
