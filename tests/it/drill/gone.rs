//! A function that was deleted after the incident: what it left behind is collected under least privilege, and the bundle says in its first line that
//! there is no function any more, since when, and by whose hand.

use crate::support::emulator::{Stage, bundle, ok};
use freezeframe::drill::incident::{names, operator};
use serde_json::{Value, json};
use std::io::Read;

/// The thief deletes the function, and CloudTrail sees it.
async fn deleted(stage: &Stage) {
    let path = stage.emulator.dir().join("cloudtrail.json");
    let mut history: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let events = history["events"].as_array_mut().unwrap();
    let by_thief =
        |e: &&Value| e["event"]["userIdentity"]["userName"] == names::LEAKED_USER && e["event"]["eventName"] == "AddPermission20150331v2";
    let mut deletion = events.iter().find(by_thief).expect("the thief opened the function").clone();
    let event = &mut deletion["event"];
    event["eventName"] = json!("DeleteFunction20150331");
    event["eventTime"] = json!(stage.incident.seeded_at.format("%Y-%m-%dT%H:%M:%SZ").to_string());
    event["eventID"] = json!("00000fff-0d11-4e11-8e11-d2111d211fff");
    event["requestParameters"] = json!({"functionName": names::FUNCTION});
    event["responseElements"] = Value::Null;
    events.push(deletion);
    stage.emulator.write_history(&history).unwrap();
    stage.aws.lambda.delete_function().function_name(names::FUNCTION).send().await.unwrap();
}

struct Bundle(zip::ZipArchive<std::fs::File>, String);

impl Bundle {
    fn open(path: &std::path::Path) -> Bundle {
        let archive = zip::ZipArchive::new(std::fs::File::open(path).unwrap()).unwrap();
        let root = archive.file_names().next().unwrap().unwrap().split('/').next().unwrap().to_string();
        Bundle(archive, root)
    }
    fn file(&mut self, path: &str) -> String {
        let mut bytes = vec![];
        self.0.by_name(&format!("{}/{path}", self.1)).unwrap().read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_deleted_function_left_behind_is_collected_and_the_bundle_says_so() {
    let stage = Stage::set().await;
    deleted(&stage).await;

    // Without the word nothing is begun, and the way out is named.
    let refused = ok(stage.root().run(&["snapshot", names::FUNCTION, "--case", "IR-1"]).await.unwrap(), 1);
    assert!(refused["hints"].to_string().contains("snapshot --gone"), "{refused:#}");
    assert!(!stage.case("IR-1").exists());

    let plan = ok(stage.root().run(&["plan", "snapshot-only", names::FUNCTION, "--gone"]).await.unwrap(), 0);
    let policies = operator::policies(&plan);
    let statements: Vec<&Value> = policies.iter().filter_map(|p| p["Statement"].as_array()).flatten().collect();
    // Its role is known from CloudTrail, so nothing about roles stands on all of them.
    let role = &stage.incident.role.arn;
    assert!(statements.iter().any(|s| s["Resource"].to_string().contains(role.as_str())), "{plan:#}");
    let keys = stage.operator("ir-late", &policies).await;
    let shell = stage.shell(&keys);

    let report = ok(shell.run(&["snapshot", names::FUNCTION, "--gone", "--case", "IR-2"]).await.unwrap(), 0);
    assert_eq!(report["function_gone"], true);
    let headline = report["headline"].as_str().unwrap();
    assert!(headline.starts_with("the function does not exist any more; no gaps: "), "{headline}");
    println!("{headline}");
    let note = report["notes"].as_array().unwrap().iter().filter_map(Value::as_str).find(|n| n.contains("does not exist any more"));
    let note = note.unwrap_or_else(|| panic!("{report:#}"));
    println!("{note}");
    let thief = format!("arn:aws:iam::{}:user/{}", stage.incident.account, names::LEAKED_USER);
    for words in [role, "configuration: CloudTrail, ", "deleted: CloudTrail, DeleteFunction20150331 ", &format!(" by {thief}")] {
        assert!(note.contains(words), "{words}: {note}");
    }

    let zip = bundle(&report, 0);
    assert_eq!(ok(shell.run(&["verify", &zip.to_string_lossy()]).await.unwrap(), 0)["verdict"], "whole");
    let mut kept = Bundle::open(&zip);
    let items: Vec<Value> = kept.file("meta/items.jsonl").lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let mut told = |collector: &str, subject: &str| {
        let found: Vec<&Value> =
            items.iter().filter(|i| i["collector"] == collector && i["subject"].as_str().unwrap().starts_with(subject)).collect();
        assert!(!found.is_empty(), "{collector}: {subject}");
        assert!(found.iter().all(|i| i["status"] == "collected"), "{found:#?}");
        let files = found.iter().flat_map(|i| i["files"].as_array().unwrap());
        files.map(|f| kept.file(f["path"].as_str().unwrap())).collect::<String>()
    };
    assert!(
        told("control-plane-history", "CloudTrail events in us-east-1 with ResourceName payments-export,")
            .contains("DeleteFunction20150331")
    );
    assert!(told("recent-invocations", "log events of /aws/lambda/payments-export").contains("REPORT RequestId"));
    assert!(told("recent-invocations", "invocations: ").contains("\"request_id\""));
    assert!(told("execution-role", "inline policy export-write").contains("PutObject"));
    assert!(told("role-simulation", "IAM's decisions").contains("s3:GetObject"));
    assert!(told("event-source-mappings", "event source mapping ").contains(names::QUEUE));
    assert!(told("account-mappings", "event source mappings by source").contains(names::QUEUE));
    assert!(told("credential-activity", "keys issued to the function").contains(names::STOLEN_KEY_ID));
    told("service-last-accessed", "IAM's report about the role, asked for");
    told("config-history", "recorders of AWS Config");
    told("shared-role-census", "functions and their roles");
    // What is gone with it is absent, which rules nothing out; that it was deleted can be shown.
    let configuration = items.iter().find(|i| i["collector"] == "configuration").unwrap();
    assert_eq!(configuration["status"], "not_found");
    let techniques: Value = serde_json::from_str(&kept.file("data/00-plan/techniques.json")).unwrap();
    assert_eq!(techniques["counts"]["ruled_out"], 0);
    assert_eq!(techniques["techniques"][38]["verdict"], "can_show", "{:#}", techniques["techniques"][38]);

    // For a person it is the first line.
    let output =
        shell.process(&["snapshot", names::FUNCTION, "--gone", "--case", "IR-3", "--only", "execution-role"]).output().await.unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(stdout.starts_with("the function does not exist any more; "), "{stdout}");
}
