//! On the drill's function every group of the evidence has something in it: a group that is empty there is a group that nobody has ever seen
//! filled.

use super::practice;
use crate::bench::table::Table;
use freezeframe::bundle::source::BagSource;
use freezeframe::collect::COLLECTORS;
use freezeframe::model::item::{Item, ItemStatus};
use freezeframe::model::path::BundlePath;
use std::collections::{BTreeMap, BTreeSet};

fn items() -> Vec<Item> {
    let bag = BagSource::open(&practice().bundles[0]).unwrap();
    let lines = bag.read_small(&BundlePath::parse("meta/items.jsonl").unwrap(), 64 << 20).unwrap();
    String::from_utf8(lines).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

#[test]
fn every_group_has_items_and_no_collector_is_silent() {
    let items = items();
    let mut groups: BTreeMap<_, BTreeSet<&str>> = BTreeMap::new();
    for spec in COLLECTORS.iter().map(|c| c.spec()) {
        groups.entry(spec.group).or_default().insert(spec.id);
    }
    let mut table =
        Table::of(&["group", "collectors", "items", "collected", "empty", "absent", "gaps", "files", "collectors that collected nothing"]);
    let mut wanting = vec![];
    for (group, collectors) in groups {
        let own: Vec<&Item> = items.iter().filter(|i| i.group == group).collect();
        let count = |statuses: &[ItemStatus]| own.iter().filter(|i| statuses.contains(&i.status)).count();
        let collected = count(&[ItemStatus::Collected]);
        let files: usize = own.iter().map(|i| i.files.len()).sum();
        let any = |id: &str, is: fn(&Item) -> bool| own.iter().any(|i| i.collector == id && is(i));
        let bare: Vec<&str> = collectors.iter().copied().filter(|id| !any(id, |i| i.status == ItemStatus::Collected)).collect();
        wanting.extend(collectors.iter().filter(|id| !any(id, |_| true)).map(|id| format!("{id} left no item")));
        if collected == 0 || files == 0 {
            wanting.push(format!("group {} has nothing in it", group.as_str()));
        }
        let gaps = own.iter().filter(|i| i.status.gap().is_some()).count();
        table.row(
            [group.as_str().to_string()]
                .into_iter()
                .chain(
                    [
                        collectors.len(),
                        own.len(),
                        collected,
                        count(&[ItemStatus::Empty]),
                        count(&[ItemStatus::NotFound, ItemStatus::NotApplicable]),
                        gaps,
                        files,
                    ]
                    .map(|n| n.to_string()),
                )
                .chain([bare.join(", ")]),
        );
    }
    println!("{table}");
    assert_eq!(wanting, [""; 0]);
}
