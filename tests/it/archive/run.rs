//! Archiving as a part of a run: after sealing, by the very same code, and never in containment's way.

use super::vault::{PLACE, VAULT};
use crate::support::emulator::{Stage, ok};
use freezeframe::drill::incident::names::FUNCTION;
use serde_json::json;
use std::fs;

const CASE: &str = "IR-2026-0042";
const PLAYBOOK: &str = "\
playbook: keep-contain-keep
title: Evidence into the vault, then containment, and that into the vault too
phases:
  - phase: collect
    steps:
      - use: configuration
      - use: tags
  - phase: seal
  - phase: verify
  - phase: archive
  - phase: contain
    steps:
      - use: freeze-concurrency
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_run_seals_is_archived_by_the_same_code() {
    let stage = Stage::set().await;
    let shell = stage.root();
    let file = stage.scratch().join("keep.yaml");
    fs::write(&file, PLAYBOOK).unwrap();
    let run = |more: &'static [&'static str]| {
        let args = [&["run", file.to_str().unwrap(), FUNCTION, "--case", CASE, "--yes"], more].concat();
        let shell = shell.clone();
        async move { shell.run(&args).await.unwrap() }
    };

    // Said before anything is done: no place, no bucket, no lock.
    let nowhere = run(&[]).await;
    assert!(nowhere.code == 2 && nowhere.stderr.contains("no place is named for it"), "{}", nowhere.stderr);
    let half = shell.run(&["snapshot", FUNCTION, "--case", CASE, "--retain", "7y"]).await.unwrap();
    assert!(half.code == 2 && half.stderr.contains("it is said how to archive, and not where"), "{}", half.stderr);
    let none = run(&["--archive", PLACE]).await;
    assert!(none.code == 1 && none.stderr.contains("nothing was done") && none.stderr.contains("there is no bucket"), "{}", none.stderr);
    stage.aws.s3.create_bucket().bucket(VAULT).send().await.unwrap();
    let unfit = run(&["--archive", PLACE]).await;
    assert!(unfit.code == 8 && unfit.stderr.contains("cannot lock objects"), "{}", unfit.stderr);
    assert!(!stage.case(CASE).exists(), "nothing was begun");
    stage.aws.s3.delete_bucket().bucket(VAULT).send().await.unwrap();
    stage.aws.s3.create_bucket().bucket(VAULT).object_lock_enabled_for_bucket(true).send().await.unwrap();

    let done = ok(run(&["--archive", PLACE, "--retain", "1d"]).await, 0);
    let (bundles, archives) = (done["bundles"].as_array().unwrap(), done["archives"].as_array().unwrap());
    assert_eq!((bundles.len(), archives.len()), (2, 2), "{done:#}");
    for (bundle, archived) in bundles.iter().zip(archives) {
        assert_eq!((&bundle["name"], &bundle["root"], &archived["shortfalls"]), (&archived["bundle"], &archived["root"], &json!([])));
        let told = ok(shell.run(&["verify", archived["place"].as_str().unwrap()]).await.unwrap(), 0);
        assert_eq!((&told["verdict"], &told["root"]), (&json!("whole"), &bundle["root"]));
    }
    let there = ok(shell.run(&["list", PLACE]).await.unwrap(), 0);
    assert_eq!(
        (&there["cases"][0]["standing"], there["cases"][0]["bundles"].as_array().map(Vec::len)),
        (&json!("contained"), Some(2)),
        "{there:#}"
    );
    // The journal in the vault is the journal, to its last line.
    let segments = fs::read_dir(stage.case(CASE).join("journal")).unwrap().count();
    let listed = stage.aws.s3.list_objects_v2().bucket(VAULT).prefix(format!("prod/{CASE}/journal/")).send().await.unwrap();
    assert_eq!(listed.contents().len(), segments);

    // A bucket that goes away between the look and the put takes nothing of the run with it.
    ok(shell.run(&["restore", CASE, "--yes"]).await.unwrap(), 0);
}
