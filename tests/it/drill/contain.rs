//! Containment and its end, by a responder with exactly the permissions that the plan names: on evidence or openly without, half-way, under
//! drift, beside another case, and by playbooks of one's own.

use crate::support::emulator::{Stage, bundle, events, ok};
use freezeframe::drill::command::Shell;
use freezeframe::drill::incident::{SeedClients, names, operator};
use freezeframe::model::journal_event::{JournalEvent, PermitRecord};
use serde_json::{Value, json};
use std::path::Path;

const CASE: &str = "IR-2026-0042";
const FREEZE: &str = "freeze-concurrency/payments-export";
const QUARANTINE: &str = "quarantine-role/payments-export-role/freezeframe-quarantine-payments-export";

async fn reserved(aws: &SeedClients) -> Option<i32> {
    aws.lambda.get_function_concurrency().function_name(names::FUNCTION).send().await.unwrap().reserved_concurrent_executions
}

/// A responder under the permissions of this playbook's plan.
async fn responder(stage: &Stage, playbook: &str) -> Shell {
    let policy = stage.permissions(playbook).await;
    stage.shell(&stage.operator("ir-responder", &policy).await)
}

/// `contain` in this case without evidence.
fn bare(case: &str) -> [&str; 7] {
    ["contain", names::FUNCTION, "--case", case, "--without-evidence", "exfiltration is running", "--yes"]
}

/// Cell → what became of it (`stand` of containment, `back` of restore).
fn cells(report: &Value) -> Vec<(&str, &str)> {
    let (part, word) = if report.get("restoration").is_some() { ("restoration", "back") } else { ("containment", "stand") };
    let cells = report[part]["cells"].as_array().unwrap_or_else(|| panic!("{report:#}"));
    cells.iter().map(|c| (c["cell"].as_str().unwrap(), c[word].as_str().unwrap())).collect()
}

fn permits(events: &[JournalEvent]) -> Vec<&PermitRecord> {
    events.iter().filter_map(|e| if let JournalEvent::Intent { permit, .. } = e { Some(permit) } else { None }).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evidence_comes_first_or_somebody_says_why_not() {
    let stage = Stage::set().await;
    let shell = responder(&stage, "snapshot-and-contain").await;
    let contain = ["contain", names::FUNCTION, "--case", CASE, "--yes"];

    let refused = shell.run(&contain).await.unwrap();
    assert!(refused.stderr.contains("holds no verified evidence") && refused.stderr.contains("--without-evidence"), "{}", refused.stderr);
    ok(refused, 8);
    assert!(!stage.case(CASE).exists(), "a refusal opens no case");
    stage.assert_as_before("after a refusal").await;

    let snapshot = ok(shell.run(&["snapshot", names::FUNCTION, "--case", CASE]).await.unwrap(), 0);
    stage.assert_as_before("after a snapshot").await;
    // There is no terminal to ask on, and nobody said yes.
    ok(shell.run(&contain[..4]).await.unwrap(), 8);
    stage.assert_as_before("after nobody said yes").await;

    let contained = ok(shell.run(&contain).await.unwrap(), 0);
    assert_eq!(cells(&contained), [(FREEZE, "contained"), (QUARANTINE, "contained")]);
    assert_eq!(reserved(&stage.aws).await, Some(0));
    let journal = events(&stage.case(CASE)).await;
    for permit in permits(&journal) {
        let PermitRecord::Evidence { bundle, root } = permit else { panic!("{permit:?}") };
        assert_eq!(
            (bundle.as_str(), root.to_string().as_str()),
            (snapshot["bundles"][0]["name"].as_str().unwrap(), snapshot["bundles"][0]["root"].as_str().unwrap())
        );
    }
    assert_eq!(permits(&journal).len(), 2);

    // Once more: it holds already, nothing is written, and one restore ends both.
    let again = ok(shell.run(&contain).await.unwrap(), 0);
    assert_eq!(cells(&again), [(FREEZE, "already-contained"), (QUARANTINE, "already-contained")]);
    let foretold = ok(shell.run(&["restore", CASE, "--dry-run"]).await.unwrap(), 0);
    assert_eq!(cells(&foretold), [(FREEZE, "would-restore"), (QUARANTINE, "would-restore")]);
    assert_eq!(reserved(&stage.aws).await, Some(0), "a dry run writes nothing");
    ok(shell.run(&["restore", CASE, "--yes"]).await.unwrap(), 0);
    stage.assert_as_before("restored").await;

    // Evidence that was tampered with is none.
    spoil(Path::new(&bundle(&snapshot, 0)));
    ok(shell.run(&contain).await.unwrap(), 8);
    stage.assert_as_before("after spoilt evidence was refused").await;

    let other = "IR-2026-0043";
    let contained = ok(shell.run(&bare(other)).await.unwrap(), 0);
    assert_eq!(cells(&contained), [(FREEZE, "contained"), (QUARANTINE, "contained")]);
    let journal = events(&stage.case(other)).await;
    for permit in permits(&journal) {
        assert!(
            matches!(permit, PermitRecord::Override { who, why } if why == "exfiltration is running" && who.contains("ir-responder")),
            "{permit:?}"
        );
    }
    ok(shell.run(&["restore", other, "--yes"]).await.unwrap(), 0);
    stage.assert_as_before("restored without evidence").await;
}

/// Changes one byte of the function's code in a bundle's zip. Not just any byte of the zip: the time in an entry's header is no evidence, and
/// no digest covers it.
fn spoil(bundle: &Path) {
    let mut bytes = std::fs::read(bundle).unwrap();
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(&bytes)).unwrap();
    let code = zip.file_names().map(|n| n.unwrap().into_owned()).find(|n| n.ends_with("/data/10-code/v-LATEST.zip")).unwrap();
    let at = zip.by_name(&code).unwrap().data_start().unwrap() as usize;
    bytes[at + 30] ^= 1;
    std::fs::write(bundle, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drift_is_told_and_left_alone_until_it_is_named() {
    let stage = Stage::set().await;
    let shell = responder(&stage, "snapshot-and-contain").await;
    ok(shell.run(&bare(CASE)).await.unwrap(), 0);
    let by_hand = stage.aws.lambda.put_function_concurrency().function_name(names::FUNCTION).reserved_concurrent_executions(5);
    by_hand.send().await.unwrap();

    let drifted = ok(shell.run(&["restore", CASE, "--yes"]).await.unwrap(), 7);
    assert_eq!(cells(&drifted), [(FREEZE, "drift"), (QUARANTINE, "restored")]);
    assert!(drifted["headline"].as_str().unwrap().contains(FREEZE), "{:#}", drifted["headline"]);
    let cell = &drifted["restoration"]["cells"][0];
    assert_eq!((&cell["before"], &cell["left"], &cell["found"]), (&Value::Null, &json!(0), &json!(5)));
    assert_eq!(reserved(&stage.aws).await, Some(5), "somebody else's change is left alone");
    let differences = stage.before.differences(&freezeframe::drill::world::World::read(&stage.aws).await);
    assert!(differences.iter().all(|d| d.starts_with("payments-export concurrency")) && differences.len() == 1, "{differences:#?}");

    // Saying nothing new changes nothing; naming another cell neither.
    ok(shell.run(&["restore", CASE, "--yes", "--overrule", QUARANTINE]).await.unwrap(), 7);
    assert_eq!(reserved(&stage.aws).await, Some(5));
    let overruled = ok(shell.run(&["restore", CASE, "--yes", "--overrule", FREEZE]).await.unwrap(), 0);
    assert_eq!(cells(&overruled), [(FREEZE, "restored")]);
    stage.assert_as_before("overruled").await;
    let journal = events(&stage.case(CASE)).await;
    assert!(
        journal
            .iter()
            .any(|e| matches!(e, JournalEvent::DriftOverruled { cell, who, .. } if cell.0 == FREEZE && who.contains("ir-responder"))),
        "{journal:#?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_case_holds_stays_contained() {
    let stage = Stage::set().await;
    let shell = responder(&stage, "snapshot-and-contain").await;
    let (first, second) = ("IR-2026-0042", "IR-2026-0043");
    ok(shell.run(&bare(first)).await.unwrap(), 0);
    let found = ok(shell.run(&bare(second)).await.unwrap(), 0);
    assert_eq!(cells(&found), [(FREEZE, "already-contained"), (QUARANTINE, "already-contained")]);

    let held = ok(shell.run(&["restore", first, "--yes"]).await.unwrap(), 5);
    assert_eq!(cells(&held), [(FREEZE, "held-elsewhere"), (QUARANTINE, "held-elsewhere")]);
    assert_eq!(held["restoration"]["cells"][0]["case"], second);
    assert!(held["headline"].as_str().unwrap().contains(second), "{}", held["headline"]);
    assert_eq!(reserved(&stage.aws).await, Some(0));

    // The second never wrote: its hold ends, and there is nothing for it to put back.
    let released = ok(shell.run(&["restore", second, "--yes"]).await.unwrap(), 0);
    assert_eq!(cells(&released), [(FREEZE, "released"), (QUARANTINE, "released")]);
    assert_eq!(reserved(&stage.aws).await, Some(0), "the first case still wants to put it back itself");
    let back = ok(shell.run(&["restore", first, "--yes"]).await.unwrap(), 0);
    assert_eq!(cells(&back), [(FREEZE, "restored"), (QUARANTINE, "restored")]);
    stage.assert_as_before("both cases restored").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bleed_first_writes_the_override_down_before_it_writes_to_aws() {
    let stage = Stage::set().await;
    let shell = responder(&stage, "contain-first").await;
    let run = ok(shell.run(&["run", "contain-first", names::FUNCTION, "--case", CASE, "--yes"]).await.unwrap(), 0);
    assert_eq!(cells(&run), [(FREEZE, "contained"), (QUARANTINE, "contained")]);
    let kinds: Vec<&str> = run["bundles"].as_array().unwrap().iter().map(|b| b["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["containment", "acquisition"]);
    for n in 0..2 {
        let verified = ok(shell.run(&["verify", bundle(&run, n).to_str().unwrap()]).await.unwrap(), 0);
        assert_eq!(verified["verdict"], "whole");
    }

    let journal = events(&stage.case(CASE)).await;
    let at = |wanted: fn(&JournalEvent) -> bool| journal.iter().position(wanted).unwrap_or_else(|| panic!("{journal:#?}"));
    let said = at(
        |e| matches!(e, JournalEvent::Intent { permit: PermitRecord::Override { why, .. }, .. } if why.starts_with("Data is leaving now")),
    );
    let sealed = at(|e| matches!(e, JournalEvent::Sealed { bundle, .. } if !bundle.ends_with("-containment")));
    assert!(said < at(|e| matches!(e, JournalEvent::Applied { .. })) && said < sealed, "{journal:#?}");
    assert_eq!(permits(&journal).iter().filter(|p| matches!(p, PermitRecord::Override { .. })).count(), 2);

    ok(shell.run(&["restore", CASE, "--yes"]).await.unwrap(), 0);
    stage.assert_as_before("restored").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_word_in_the_playbook_detaches_every_permission_and_restore_brings_all_back() {
    let stage = Stage::set().await;
    let shown = stage.root().process(&["playbook", "show", "snapshot-and-contain"]).output().await.unwrap();
    let text = String::from_utf8(shown.stdout).unwrap();
    let own = stage.scratch().join("mine.yaml");
    let (before, detach) = text.split_at(text.find("use: detach-permissions").unwrap());
    std::fs::write(&own, format!("{before}{}", detach.replacen("enabled: false", "with: { accept-shared-role: true }", 1))).unwrap();
    let own = own.to_str().unwrap();

    let shell = responder(&stage, own).await;
    let run = ok(shell.run(&["run", own, names::FUNCTION, "--case", CASE, "--yes", "--accept-shared-role"]).await.unwrap(), 0);
    assert_eq!(cells(&run).len(), 2 + 3, "{run:#}");
    assert!(cells(&run).iter().all(|(_, stand)| *stand == "contained"), "{run:#}");
    let iam = &stage.aws.iam;
    let attached = iam.list_attached_role_policies().role_name(names::ROLE).send().await.unwrap();
    let inline = iam.list_role_policies().role_name(names::ROLE).send().await.unwrap();
    assert_eq!(
        (attached.attached_policies().len(), inline.policy_names()),
        (0, &["freezeframe-quarantine-payments-export".to_string()][..])
    );

    let restored = ok(shell.run(&["restore", CASE, "--yes"]).await.unwrap(), 0);
    // Denies are lifted last.
    assert_eq!(cells(&restored).last(), Some(&(QUARANTINE, "restored")));
    assert_eq!(cells(&restored).len(), 5);
    stage.assert_as_before("restored").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_could_be_contained_is_held_when_the_rest_is_denied() {
    let stage = Stage::set().await;
    let all = stage.permissions("snapshot-and-contain").await;
    let less = stage.operator("ir-junior", &operator::lacking(&all, &["iam:PutRolePolicy"])).await;
    let run = stage.shell(&less).run(&["run", "snapshot-and-contain", names::FUNCTION, "--case", CASE, "--yes"]).await.unwrap();
    let run = ok(run, 5);
    assert_eq!(cells(&run), [(FREEZE, "contained"), (QUARANTINE, "not-holding")]);
    assert_eq!(run["containment"]["cells"][1]["error"]["denied"], "iam:PutRolePolicy");
    assert_eq!(reserved(&stage.aws).await, Some(0));
    ok(stage.shell(&less).run(&["restore", CASE, "--yes"]).await.unwrap(), 0);
    stage.assert_as_before("restored").await;
}
