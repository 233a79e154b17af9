//! Coverage and summary against the bundle's own items, counted by somebody who knows nothing of our types: what was planned, collected, not found and
//! left open, by group; and for each known technique whether the bundle can show it, rules it out or cannot decide, and why.

use super::{practice, unpacked};
use freezeframe::collect::COLLECTORS;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

fn read(dir: &Path, path: &str) -> Value {
    serde_json::from_slice(&std::fs::read(dir.join(path)).unwrap()).unwrap()
}

fn items(dir: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(dir.join("meta/items.jsonl")).unwrap();
    text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

const ABSENT: [&str; 3] = ["empty", "not_found", "not_applicable"];

#[test]
fn coverage_and_report_count_what_lies_in_the_bundle() {
    let bag = unpacked(&practice().bundles[0]);
    let (coverage, items) = (read(&bag.dir, "meta/coverage.json"), items(&bag.dir));
    let mut counted: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
    for item in &items {
        *counted.entry(item["group"].as_str().unwrap()).or_default().entry(item["status"].as_str().unwrap()).or_default() += 1;
    }
    assert_eq!(coverage["groups"], json!(counted));
    assert_eq!(coverage["gaps"], json!([]));
    assert!(items.iter().all(|i| i["status"] == "collected" || ABSENT.contains(&i["status"].as_str().unwrap())));

    // Every collector of this build, each with its question, and every item under the one that it belongs to.
    let planned = coverage["planned"].as_array().unwrap();
    let units: BTreeSet<&str> = planned.iter().map(|u| u["unit"].as_str().unwrap()).collect();
    let all: BTreeSet<&str> = COLLECTORS.iter().map(|c| c.spec().id).chain(["plan", "techniques"]).collect();
    assert_eq!(units, all);
    for unit in planned {
        assert_eq!(unit["ended"], "done", "{unit:#}");
        assert!(unit["question"].as_str().unwrap().ends_with('?'), "{unit:#}");
        let own = items.iter().filter(|i| i["collector"] == unit["unit"]).map(|i| i["id"].clone());
        assert_eq!(unit["items"], Value::Array(own.collect()), "{}", unit["unit"]);
    }

    // The report says the same by group.
    let report = &practice().ended["snapshot"].1;
    for group in report["groups"].as_array().unwrap() {
        let of = |status: &str| counted[group["group"].as_str().unwrap()].get(status).copied().unwrap_or_default();
        assert_eq!((&group["collected"], &group["gaps"], &group["not_run"]), (&json!(of("collected")), &json!(0), &json!(0)), "{group:#}");
        assert_eq!(group["not_found"], json!(ABSENT.map(of).iter().sum::<u64>()), "{group:#}");
        assert_eq!(group["planned"], json!(planned.iter().filter(|u| u["group"] == group["group"]).count()), "{group:#}");
    }
    assert_eq!(report["groups"].as_array().unwrap().len(), counted.len() - 1, "all but the plan's own");
}

#[test]
fn each_technique_is_judged_with_a_reason_and_with_the_items_that_it_stands_on() {
    let bag = unpacked(&practice().bundles[0]);
    let (told, items) = (read(&bag.dir, "data/00-plan/techniques.json"), items(&bag.dir));
    let techniques = told["techniques"].as_array().unwrap();
    assert_eq!(techniques.len(), 49);
    let mut counts = BTreeMap::from([("can_show", 0), ("ruled_out", 0), ("undecided", 0)]);
    for technique in techniques {
        let (verdict, why) = (technique["verdict"].as_str().unwrap(), technique["why"].as_str().unwrap());
        *counts.get_mut(verdict).unwrap() += 1;
        println!("{:>2} {verdict:<9} {}: {why}", technique["number"], technique["title"].as_str().unwrap());
        let marks = technique["marks"].as_array().unwrap();
        for mark in marks {
            let named = mark["items"].as_array().into_iter().flatten();
            let found: Vec<&Value> = named.map(|id| items.iter().find(|i| i["id"] == *id).expect("an item of this bundle")).collect();
            let fits = |i: &&Value| match mark["state"].as_str().unwrap() {
                "collected" => i["status"] == "collected",
                "absent" => ABSENT.contains(&i["status"].as_str().unwrap()),
                _ => false,
            };
            assert!(found.iter().all(|i| i["collector"] == mark["collector"] && fits(i)), "{technique:#}");
            assert!(["not_yet"].contains(&mark["state"].as_str().unwrap()) || !found.is_empty(), "{technique:#}");
        }
        match verdict {
            // Each collector that is called upon is one that the marks name.
            "can_show" => assert!(why.starts_with("collected: `"), "{technique:#}"),
            "ruled_out" => assert!(why.starts_with("at collection ") && marks.iter().all(|m| m["state"] == "absent"), "{technique:#}"),
            _ => assert!(why.len() > 20, "{technique:#}"),
        }
    }
    println!("{counts:?}");
    assert_eq!(told["counts"], json!(counts));
    assert_eq!(practice().ended["snapshot"].1["techniques"], json!(counts));
    // What the incident is about, and what it is not.
    for (number, verdict) in [(3, "can_show"), (4, "can_show"), (8, "can_show"), (15, "can_show"), (22, "ruled_out"), (24, "ruled_out")] {
        assert_eq!(techniques[number - 1]["verdict"], verdict, "{:#}", techniques[number - 1]);
    }
}

/// LookupEvents gives two requests a second: whoever waits is told how long it will take, by plain lines where there is no terminal.
#[test]
fn whoever_waits_for_cloudtrail_reads_how_long_it_will_take() {
    let stderr = &practice().ended["snapshot"].2;
    let line = stderr.lines().find(|l| l.trim_start().starts_with("LookupEvents: ")).unwrap_or_else(|| panic!("{stderr}"));
    println!("{line}");
    let words = ["searches to go in ", ", about ", " s at 1.5 requests a second in each"];
    assert!(words.iter().all(|w| line.contains(w)), "{line}");
}
