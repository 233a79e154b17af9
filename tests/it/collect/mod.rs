//! Every collector over the scripted wire: `conformance.rs` is a table over `COLLECTORS` and their calls, `units.rs` what is particular to one.

mod conformance;
mod credentials;
mod detections;
mod echoes;
mod lambda_surface;
mod network;
mod pages;
mod trail_silence;
mod triggers;
mod units;
mod windows;

use crate::support::wire::{self, Sent, World};
use freezeframe::aws::Connector;
use freezeframe::bundle::documents::{BundleKind, ToolRecord};
use freezeframe::bundle::draft::{Draft, DraftInfo};
use freezeframe::bundle::secrets::{Identities, SecretsOrder};
use freezeframe::clock::{Clock, FakeClock};
use freezeframe::collect::{self, CollectCx, Facts, Shared, Telling};
use freezeframe::model::exchange::Exchange;
use freezeframe::model::gap::GapKind;
use freezeframe::model::id::RunId;
use freezeframe::model::item::{Item, ItemStatus};
use freezeframe::model::params::Params;
use freezeframe::model::target::Target;
use std::io::Read as _;
use std::sync::{Arc, Mutex};

/// What a run left behind.
struct Bag {
    draft: Arc<Draft>,
    items: Vec<Item>,
    world: Arc<World>,
    region: String,
    /// What was said of long readings.
    said: Arc<Mutex<Vec<String>>>,
    _dir: tempfile::TempDir,
}

impl Bag {
    fn of(&self, collector: &str) -> Vec<&Item> {
        self.items.iter().filter(|i| i.collector == collector).collect()
    }
    fn item(&self, subject: &str) -> &Item {
        let found: Vec<_> = self.items.iter().filter(|i| i.subject.contains(subject)).collect();
        assert_eq!(
            found.len(),
            1,
            "one item about {subject:?}; there are {:#?}",
            self.items.iter().map(|i| (&i.subject, i.status)).collect::<Vec<_>>()
        );
        found[0]
    }
    fn gaps(&self) -> Vec<(&str, GapKind, &str)> {
        self.items.iter().filter_map(|i| Some((i.collector.as_str(), i.status.gap()?, i.subject.as_str()))).collect()
    }
    fn exchanges(&self, item: &Item) -> Vec<Exchange> {
        item.exchanges.iter().map(|id| self.draft.exchange(*id).unwrap()).collect()
    }
    /// As it came.
    fn file(&self, item: &Item, at: usize) -> Vec<u8> {
        let mut bytes = vec![];
        self.draft.open_file(&item.files[at]).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }
    /// As it lies in clear.
    fn twin(&self, item: &Item, at: usize) -> Vec<u8> {
        std::fs::read(item.files[at].path.under(self.draft.dir())).unwrap()
    }
    fn sent(&self, key: &str) -> Vec<Sent> {
        self.world.sent().into_iter().filter(|s| s.key == key).collect()
    }
    /// Items of `collector` whose exchanges asked for `operation`.
    fn asked(&self, collector: &str, operation: &str) -> Vec<&Item> {
        self.of(collector).into_iter().filter(|i| self.exchanges(i).iter().any(|x| x.operation == operation)).collect()
    }
}

async fn run(collectors: &[&str], world: World) -> Bag {
    // The parameters without which a collector has nothing to ask.
    run_with(collectors, world, r#"{"trail": "s3://trail-archive", "flow-bytes": "1MiB"}"#).await
}

/// One after the other in one run, so that what they share is shared.
async fn run_with(collectors: &[&str], world: World, params: &str) -> Bag {
    let dir = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(FakeClock::at("2026-11-20T12:00:00Z").unwrap());
    let world = Arc::new(world);
    // The one collector that asks nothing elsewhere.
    let config = if collectors == ["edge-associations"] { wire::config_in(&world, "us-east-1".into()) } else { wire::config(&world) };
    let connector = Connector::from_conf(config, clock.clone()).unwrap();
    let region = connector.region().to_string();
    let target = Target {
        partition: "aws".into(),
        account: "123456789012".into(),
        region: region.clone(),
        function: "payments-export".into(),
        qualifier: None,
    };
    let info = DraftInfo {
        case: "IR-TEST".parse().unwrap(),
        run: RunId("01KAGZ0000000000000000TEST".into()),
        kind: BundleKind::Acquisition,
        target: target.clone(),
        playbook: "snapshot-only".into(),
        operator: "ada".into(),
        tool: ToolRecord { name: "freezeframe".into(), version: "0.0.0".into(), commit: None, binary_sha256: None },
        previous: None,
        secrets: SecretsOrder { recipients: vec![Identities::make("a test's").0], ..SecretsOrder::default() },
    };
    let draft = Draft::open(dir.path(), info, clock).unwrap();
    let said: Arc<Mutex<Vec<String>>> = Arc::default();
    let telling = Telling::new({
        let said = said.clone();
        move |line| said.lock().unwrap().push(line.to_string())
    });
    let params: Params = serde_json::from_str(params).unwrap();
    let steps = collectors.iter().map(|id| (id.to_string(), params.clone())).collect();
    let backlog = Default::default();
    let shared = Shared { target, connector, draft: draft.clone(), facts: Facts::default(), params: steps, telling, backlog };
    for id in collectors {
        let collector = collect::find(id).unwrap();
        collector.collect(&CollectCx::new(collector, &shared, &params)).await.unwrap();
    }
    Bag { items: draft.items(), draft, world, region, said, _dir: dir }
}

fn is_gap(item: &Item, kind: GapKind) -> bool {
    item.status == ItemStatus::Gap(kind)
}
