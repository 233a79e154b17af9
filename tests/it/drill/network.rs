//! A function in a network, on file systems, in a stack, behind queues: all of it is collected under least privilege, and nothing of the
//! neighbours'. The things are made by boto3 (`tests/tools/furnish.py`), beside one of each kind that is not the function's.

use crate::support::emulator::{Stage, bundle, ok};
use crate::support::stage::stranger;
use crate::support::tools::{python_tools, repository};
use freezeframe::drill::incident::names;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

const UNITS: [&str; 11] = [
    "network-interfaces",
    "network-paths",
    "network-rules",
    "flow-logs",
    "name-resolution",
    "file-systems",
    "deployment",
    "config-history",
    "auto-scaling",
    "delivery-targets",
    "function-key",
];

/// Whatever these collectors brought home, as text, by item.
fn brought_home(zip: &Path) -> BTreeMap<String, (Value, String)> {
    let mut archive = zip::ZipArchive::new(File::open(zip).unwrap()).unwrap();
    let root = archive.file_names().next().unwrap().unwrap().split('/').next().unwrap().to_string();
    let mut text = |path: &str| {
        let mut bytes = vec![];
        archive.by_name(&format!("{root}/{path}")).unwrap().read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let items: Vec<Value> = text("meta/items.jsonl").lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let ours = items.into_iter().filter(|i| UNITS.contains(&i["collector"].as_str().unwrap()));
    ours.map(|item| {
        let files = item["files"].as_array().into_iter().flatten().map(|f| text(f["path"].as_str().unwrap())).collect();
        (format!("{}: {}", item["collector"].as_str().unwrap(), item["subject"].as_str().unwrap()), (item, files))
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_surrounds_the_function_is_collected_and_nobody_elses() {
    let stage = Stage::set().await;
    let mut furnish = stranger(&stage.emulator, python_tools().join("python3"), &stage.emulator.root);
    let output = furnish.arg(repository("tests/tools/furnish.py")).arg(names::FUNCTION).output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)));

    let keys = stage.operator("ir-network", &stage.permissions("snapshot-only").await).await;
    let shell = stage.shell(&keys);
    let report = ok(shell.run(&["snapshot", names::FUNCTION, "--case", "IR-NET"]).await.unwrap(), 0);
    let zip = bundle(&report, 0);
    assert_eq!(ok(shell.run(&["verify", &zip.to_string_lossy()]).await.unwrap(), 0)["verdict"], "whole");

    let home = brought_home(&zip);
    let all: String = home.values().map(|(_, files)| files.as_str()).collect();
    for (what, id) in told["made"].as_object().unwrap() {
        assert!(all.contains(id.as_str().unwrap()), "nothing says {what} {id}; there are {:#?}", home.keys());
    }
    for (what, id) in told["decoys"].as_object().unwrap() {
        // The other end of the peering is named by it, and that is right.
        let peer = |name: &str| what == "vpc" && name.contains("peering connections");
        let strangers: Vec<&String> =
            home.iter().filter(|(name, (_, files))| files.contains(id.as_str().unwrap()) && !peer(name)).map(|(name, _)| name).collect();
        assert!(strangers.is_empty(), "a stranger's {what} {id} in {strangers:?}");
    }
    // The rule by which data could leave, and what AWS Config cannot know.
    assert!(all.contains("203.0.113.77/32") && all.contains("4444"));
    let off = &home["config-history: what AWS Config records with default"].0;
    assert!(off["detail"].as_str().unwrap().contains("this recorder is off, since 20"), "{off:#}");

    // A network that the function has left is told by what it left behind.
    let off = stage.aws.lambda.update_function_configuration().function_name(names::FUNCTION);
    off.vpc_config(aws_sdk_lambda::types::VpcConfig::builder().build()).send().await.unwrap();
    let report = ok(shell.run(&["snapshot", names::FUNCTION, "--case", "IR-LEFT", "--only", "flow-logs"]).await.unwrap(), 0);
    let home = brought_home(&bundle(&report, 0));
    let named = &home[&format!("network-interfaces: network interfaces that Lambda made under the name {}", names::FUNCTION)];
    assert!(named.0["status"] == "collected" && named.1.contains(told["made"]["interface"].as_str().unwrap()), "{named:?}");
    let flow = &home["flow-logs: flow logs"].0;
    assert!(flow["status"] == "not_applicable" && flow["detail"].as_str().unwrap().contains("no flow logs exist"), "{flow:#}");
}
