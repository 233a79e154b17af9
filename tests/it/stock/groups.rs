//! On the drill's function every group of the evidence has something in it: a group that is empty there is a group that nobody has ever seen
//! filled. The incident itself has no network, no APIs and no schedules, so a second function is furnished with everything that the emulator knows
//! (`tests/tools/furnish.py`, `furnish_triggers.py`), and what no emulator of ours can answer stands below by name.

use super::practice;
use crate::bench::table::Table;
use crate::support::emulator::{Stage, bundle, ok};
use crate::support::stage::stranger;
use crate::support::tools::{python_tools, repository};
use freezeframe::bundle::source::BagSource;
use freezeframe::collect::COLLECTORS;
use freezeframe::drill::incident::names::FUNCTION;
use freezeframe::model::item::{Group, Item, ItemStatus};
use freezeframe::model::path::BundlePath;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Collectors that have collected nothing from the emulator, and why: what they hold has been seen on the scripted wire alone.
const ONLY_SCRIPTED: &[(&str, &str)] = &[
    ("access-analyzer-findings", "MiniStack has no Access Analyzer: the emulator answers as where it is off"),
    ("auto-scaling", "MiniStack has no Application Auto Scaling"),
    ("container-image", "MiniStack's ECR gives addresses of layers at which nobody answers, and resolves no digest"),
    ("customer-runtime", "MiniStack knows no runtimes of customers"),
    ("flow-records", "no flow log of the emulator ever holds a record"),
    ("guardduty-findings", "MiniStack has no GuardDuty: the emulator answers as where it is off"),
    ("security-hub-findings", "MiniStack has no Security Hub: the emulator answers as where it is off"),
];

/// Collectors whose answers here are ours (`unused.py`, ahead of MiniStack): what AWS says where the feature was never used.
const ANSWERED_BY_US: &[&str] = &["runtime-management", "traces"];

/// The ten groups of the evidence inventory. One of ours holds two of them.
fn section(id: &str, group: Group) -> &'static str {
    const CREDENTIALS: [&str; 2] = ["credential-activity", "trail-archive"];
    match group {
        // Records of connections lie beside those of invocations.
        _ if id == "flow-records" => "A9 network",
        Group::Network => "A9 network",
        Group::Code => "A1 code",
        Group::Config => "A2 configuration",
        Group::Policy => "A3 policies",
        Group::Triggers => "A4 triggers",
        Group::Identity => "A5 identity",
        Group::Invocation => "A6 invocations",
        Group::Control if CREDENTIALS.contains(&id) => "A8 credentials",
        Group::Control => "A7 control plane",
        Group::Detections => "A10 detections",
        Group::Plan | Group::Contain => unreachable!("no collector's group"),
    }
}

/// A bundle's items, and what each collector's files hold as text.
fn brought_home(zip: &Path) -> (Vec<Item>, BTreeMap<String, String>) {
    let bag = BagSource::open(zip).unwrap();
    let read = |path: &BundlePath| String::from_utf8_lossy(&bag.read_small(path, 64 << 20).unwrap()).into_owned();
    let lines = read(&BundlePath::parse("meta/items.jsonl").unwrap());
    let items: Vec<Item> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let mut text: BTreeMap<String, String> = BTreeMap::new();
    for item in &items {
        text.entry(item.collector.clone()).or_default().extend(item.files.iter().map(|f| read(&f.path)));
    }
    (items, text)
}

fn count(items: &[&Item], statuses: &[ItemStatus]) -> usize {
    items.iter().filter(|i| statuses.contains(&i.status)).count()
}

/// What is wanting: a section with nothing in it, a collector that left no item. `bare` hears who collected nothing.
fn look(title: &str, items: &[Item], bare: &mut BTreeSet<&'static str>) -> Vec<String> {
    let mut sections: BTreeMap<&str, BTreeSet<&'static str>> = BTreeMap::new();
    for spec in COLLECTORS.iter().map(|c| c.spec()) {
        sections.entry(section(spec.id, spec.group)).or_default().insert(spec.id);
    }
    assert_eq!(sections.len(), 10);
    let head = ["", "collectors", "items", "collected", "empty", "absent", "gaps", "files", "collectors that collected nothing"];
    let mut table = Table::of(&head);
    let mut wanting = vec![];
    // A10 after A9.
    let mut sections: Vec<_> = sections.into_iter().collect();
    sections.sort_by_key(|(name, _)| (name.find(' '), *name));
    for (name, collectors) in sections {
        let own: Vec<&Item> = items.iter().filter(|i| collectors.contains(i.collector.as_str())).collect();
        let collected = count(&own, &[ItemStatus::Collected]);
        let files: usize = own.iter().map(|i| i.files.len()).sum();
        let any = |id: &str, is: fn(&Item) -> bool| own.iter().any(|i| i.collector == id && is(i));
        let nothing: Vec<&str> = collectors.iter().copied().filter(|id| !any(id, |i| i.status == ItemStatus::Collected)).collect();
        wanting.extend(collectors.iter().filter(|id| !any(id, |_| true)).map(|id| format!("{title}: {id} left no item")));
        if collected == 0 || files == 0 {
            wanting.push(format!("{title}: {name} has nothing in it"));
        }
        bare.extend(collectors.iter().copied().filter(|id| nothing.contains(id)));
        let gaps = own.iter().filter(|i| i.status.gap().is_some()).count();
        let absent = count(&own, &[ItemStatus::NotFound, ItemStatus::NotApplicable]);
        let numbers = [collectors.len(), own.len(), collected, count(&own, &[ItemStatus::Empty]), absent, gaps, files];
        table.row([name.to_string()].into_iter().chain(numbers.map(|n| n.to_string())).chain([nothing.join(", ")]));
    }
    println!("{title}\n\n{table}");
    wanting
}

/// As it was seeded, for the job that everything else in `stock` looks at.
#[test]
fn every_group_of_the_incident_has_items_and_no_collector_is_silent() {
    let (items, _) = brought_home(&practice().bundles[0]);
    let wanting = look("the incident", &items, &mut BTreeSet::new());
    // It is in no network, which its items say; `furnished` is in one.
    assert_eq!(wanting, ["the incident: A9 network has nothing in it"]);
    let network = items.iter().filter(|i| section_of(i) == Some("A9 network"));
    assert!(network.clone().count() >= 6 && network.clone().all(|i| i.status != ItemStatus::Collected && i.status.gap().is_none()));
}

fn section_of(item: &Item) -> Option<&'static str> {
    freezeframe::collect::find(&item.collector).map(|c| section(c.spec().id, c.spec().group))
}

/// Every kind of source, each found by the collector that it is for, and nobody left who could have collected something and did not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_that_has_everything_leaves_no_group_and_no_collector_empty() {
    let stage = Stage::set().await;
    let furnish = |tool: &str| -> Value {
        let mut command = stranger(&stage.emulator, python_tools().join("python3"), &stage.emulator.root);
        let output = command.arg(repository(&format!("tests/tools/{tool}"))).arg(FUNCTION).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{tool}: {e}: {}", super::said(&output)))
    };
    furnish("furnish.py");
    let made = furnish("furnish_triggers.py");

    let keys = stage.operator("ir-furnished", &stage.permissions("snapshot-only").await).await;
    let report = ok(stage.shell(&keys).run(&["snapshot", FUNCTION, "--case", "IR-1"]).await.unwrap(), 0);
    println!("{}\n", report["headline"].as_str().unwrap());
    let (mut items, mut text) = brought_home(&bundle(&report, 0));
    // What this function cannot be, and what is read only when it is named.
    let root = stage.root();
    for (function, more) in [
        ("furnished-reference", &["--only", "code-object"][..]),
        ("furnished-durable", &["--only", "durable-executions"]),
        (FUNCTION, &["--only", "trail-archive", "--trail", "s3://furnished-trail"]),
    ] {
        let words: Vec<&str> = [&["snapshot", function, "--case", "IR-2"], more].concat();
        let report = ok(root.run(&words).await.unwrap(), 0);
        let (further, texts) = brought_home(&bundle(&report, 0));
        let named = |collector: &str| collector == more[1];
        // A collector that found nothing on the first function is replaced by what it found here.
        items.retain(|i| !named(&i.collector));
        items.extend(further.into_iter().filter(|i| named(&i.collector)));
        text.extend(texts.into_iter().filter(|(collector, _)| named(collector)));
    }

    let mut bare = BTreeSet::new();
    let wanting = look("a function that has everything", &items, &mut bare);
    for (id, why) in ONLY_SCRIPTED {
        println!("only on the scripted wire: {id}: {why}");
    }
    println!("answered by us ahead of the emulator: {}", ANSWERED_BY_US.join(", "));
    assert_eq!(wanting, [""; 0]);
    assert_eq!(bare, ONLY_SCRIPTED.iter().map(|(id, _)| *id).collect(), "a line of ONLY_SCRIPTED is not true any more, or one is missing");
    assert!(ANSWERED_BY_US.iter().all(|id| items.iter().any(|i| i.collector == *id)));

    for (what, collector) in [
        ("s3", "s3-notifications"),
        ("sns", "sns-subscriptions"),
        ("rest_api", "api-gateways"),
        ("http_api", "api-gateways"),
        ("load_balancer", "load-balancer-targets"),
        ("schedule", "schedules"),
        ("pipe", "pipes"),
        ("subscriber", "event-subscribers"),
        ("archive", "event-archives"),
        ("alarm", "alarm-actions"),
        ("logs", "log-subscriptions"),
        ("user_pool", "named-sources"),
        ("secret", "named-sources"),
        ("edge", "edge-associations"),
        ("destination", "async-destinations"),
        ("signing", "code-signing"),
        ("by_reference", "code-object"),
        ("durable", "durable-executions"),
        ("trail", "trail-archive"),
    ] {
        let name = made[what].as_str().unwrap_or_else(|| panic!("{what} could not be made: {}", made[what]));
        // Of an execution its ARN is told, and the name in it; of a trail the thief that it shows.
        let name = if what == "trail" { freezeframe::drill::incident::names::STOLEN_KEY_ID } else { name };
        assert!(text[collector].contains(name), "{collector} did not come home with {what} {name}");
    }
    assert_eq!(made.as_object().unwrap().len(), 19);
}
