//! The responder for real: its zip deployed into the emulator under a role of its own, fired by an event on the bus, calling back into AWS, and
//! its bundle found in S3.

use crate::support::responder_zip;
use crate::support::stage::stranger;
use crate::support::tools::python_tools;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{Environment, FunctionCode, InvocationType, Runtime};
use freezeframe::archive::{Bucket, Place, fetch};
use freezeframe::aws::archive_client::{ARCHIVE_CALLS, LOCK_ACTIONS, STORE_CALLS};
use freezeframe::bundle::verify::{SignatureResult, Verified};
use freezeframe::clock::{Clock, SystemClock};
use freezeframe::drill::clients::{connect, seed_clients};
use freezeframe::drill::emulator::Emulator;
use freezeframe::drill::incident::{self, SeedClients, names, operator};
use freezeframe::model::kms_key::KmsKey;
use freezeframe::model::target::TargetSpec;
use freezeframe::plan::{Known, Plan};
use freezeframe::playbook;
use freezeframe::store::Store;
use freezeframe::store::s3::S3Store;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const RESPONDER: &str = "freezeframe-responder";
const VAULT: &str = "evidence-vault";

/// What the responder may do: exactly what the plan of its playbook names, and its vault. Nothing that changes the suspect.
fn policies(emulator: &Emulator, key: &KmsKey) -> Vec<Value> {
    let (playbook, _) = playbook::load("snapshot-only").unwrap();
    let target = names::FUNCTION.parse::<TargetSpec>().unwrap().resolve("aws", &emulator.account, &emulator.region).unwrap();
    let plan = Plan::make(&playbook, &target, &Known::default()).signed_with(key);
    assert!(plan.permissions.container.is_empty());
    let reader = plan.permissions.reader.iter().map(|p| serde_json::to_value(p).unwrap());
    let vault = |action: &str| {
        let objects = if action.contains("Bucket") || action.contains("Configuration") { "" } else { "/*" };
        json!({"Effect": "Allow", "Action": action, "Resource": format!("arn:aws:s3:::{VAULT}{objects}")})
    };
    let calls = STORE_CALLS.iter().chain(ARCHIVE_CALLS).filter_map(|c| c.action);
    let actions: BTreeSet<&str> = calls.chain(LOCK_ACTIONS.iter().copied()).collect();
    let statements: Vec<Value> = actions.into_iter().map(vault).collect();
    reader.chain([json!({"Version": "2012-10-17", "Statement": statements})]).collect()
}

/// A key that bundles are signed with, made by the account's root with the AWS CLI.
fn signing_key(emulator: &Emulator) -> KmsKey {
    let mut aws = stranger(emulator, python_tools().join("aws"), &emulator.root);
    let made =
        aws.args(["kms", "create-key", "--key-spec", "ECC_NIST_P256", "--key-usage", "SIGN_VERIFY", "--output", "json"]).output().unwrap();
    let made: Value = serde_json::from_slice(&made.stdout).unwrap_or_else(|e| panic!("{e}: {made:?}"));
    KmsKey::parse(made["KeyMetadata"]["Arn"].as_str().unwrap()).unwrap()
}

async fn deploy(aws: &SeedClients, emulator: &Emulator, key: &KmsKey, zip: &Path) {
    let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]});
    let role =
        aws.iam.create_role().role_name(RESPONDER).assume_role_policy_document(trust.to_string()).send().await.unwrap().role.unwrap();
    operator::grant(aws, RESPONDER, &policies(emulator, key)).await.unwrap();
    aws.s3.create_bucket().bucket(VAULT).object_lock_enabled_for_bucket(true).send().await.unwrap();
    aws.s3.create_bucket().bucket("deployments").send().await.unwrap();
    let body = aws_sdk_s3::primitives::ByteStream::from_path(zip).await.unwrap();
    aws.s3.put_object().bucket("deployments").key("responder.zip").body(body).send().await.unwrap();
    let variables = [
        ("FREEZEFRAME_STORE", format!("s3://{VAULT}/prod")),
        ("FREEZEFRAME_RETAIN", "1d".into()),
        ("FREEZEFRAME_LOCK", "compliance".into()),
        ("FREEZEFRAME_KMS_KEY", key.arn().to_string()),
        // The emulator gives `provided` functions no endpoint; AWS gives them none either, and there it is right.
        ("AWS_ENDPOINT_URL", emulator.endpoint.clone()),
        ("AWS_ENDPOINT_URL_CLOUDTRAIL", emulator.cloudtrail_endpoint.clone()),
    ];
    let environment = Environment::builder().set_variables(Some(variables.map(|(k, v)| (k.to_string(), v)).into())).build();
    let code = FunctionCode::builder().s3_bucket("deployments").s3_key("responder.zip").build();
    let create = aws.lambda.create_function().function_name(RESPONDER).runtime(Runtime::from("provided.al2023")).handler("bootstrap");
    create.role(role.arn()).code(code).environment(environment).timeout(180).memory_size(512).send().await.unwrap();

    let function = format!("arn:aws:lambda:{}:{}:function:{RESPONDER}", emulator.region, emulator.account);
    let pattern = json!({"detail-type": ["GuardDuty Finding", "freezeframe snapshot request"]}).to_string();
    aws.query.call("events", "AWSEvents.PutRule", json!({"Name": "findings", "EventPattern": pattern, "State": "ENABLED"})).await.unwrap();
    let put = json!({"Rule": "findings", "Targets": [{"Id": "responder", "Arn": function}]});
    assert_eq!(aws.query.call("events", "AWSEvents.PutTargets", put).await.unwrap()["FailedEntryCount"], 0);
}

/// A finding as GuardDuty sends it, about the seeded suspect.
fn finding(emulator: &Emulator) -> Value {
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/events/guardduty/good/c2-activity.json")).unwrap();
    let text = text.replace("123456789012", &emulator.account).replace("eu-west-1", &emulator.region);
    let mut event: Value = serde_json::from_str(&text).unwrap();
    let lambda = &mut event["detail"]["resource"]["lambdaDetails"];
    lambda["functionArn"] = json!(format!("arn:aws:lambda:{}:{}:function:{}", emulator.region, emulator.account, names::FUNCTION));
    event
}

async fn put_event(aws: &SeedClients, event: &Value) {
    let entry = json!({"Source": event["source"], "DetailType": event["detail-type"], "Detail": event["detail"].to_string(), "EventBusName": "default"});
    let answer = aws.query.call("events", "AWSEvents.PutEvents", json!({"Entries": [entry]})).await.unwrap();
    assert_eq!(answer["FailedEntryCount"], 0, "{answer}");
}

async fn invoke(aws: &SeedClients, event: &Value) -> Value {
    let answer = aws.lambda.invoke().function_name(RESPONDER).payload(Blob::new(event.to_string())).send().await.unwrap();
    let payload: Value = serde_json::from_slice(answer.payload().unwrap().as_ref()).unwrap();
    assert_eq!(answer.function_error(), None, "{payload}");
    payload
}

/// What the responder said, for when it does not do what it should.
async fn said(aws: &SeedClients) -> String {
    let events = aws.logs.filter_log_events().log_group_name(format!("/aws/lambda/{RESPONDER}")).send().await;
    let lines = events.map(|e| e.events().iter().filter_map(|e| e.message()).map(str::to_string).collect::<Vec<_>>());
    lines.map_or_else(|e| format!("no log: {e:?}"), |l| l.join("\n"))
}

async fn await_key(aws: &SeedClients, vault: &S3Store, begins_with: &str, ends_with: &str) -> String {
    let began = Instant::now();
    loop {
        let keys = vault.list("").await.unwrap();
        if let Some(key) = keys.iter().find(|k| k.starts_with(begins_with) && k.ends_with(ends_with)) {
            return key.clone();
        }
        let waited = began.elapsed();
        if waited > Duration::from_secs(90) {
            panic!(
                "no {begins_with}…{ends_with} in the vault after {waited:?}\nthere are: {keys:?}\nthe responder said: {}",
                said(aws).await
            );
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_finding_on_the_bus_becomes_a_verified_bundle_in_s3() {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("drill");
    let installed = Emulator::prepare(&root, &|_| {}).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(&installed, &dir.path().join("emulator")).await.unwrap();
    let connector = connect(&emulator, &emulator.root, clock.clone()).await;
    let aws = seed_clients(&connector);
    incident::seed(&aws, &emulator, clock.now()).await.unwrap();
    let zip = dir.path().join("responder.zip");
    responder_zip::write(&zip).unwrap();
    let key = signing_key(&emulator);
    deploy(&aws, &emulator, &key, &zip).await;
    let vault = S3Store::new(connector.s3_plain(), clock.clone(), VAULT, "prod").unwrap();

    // Fired by the bus, under the function's own role.
    let request = json!({"source": "soar.example", "detail-type": "freezeframe snapshot request", "detail": {"function": names::FUNCTION, "case": "IR-2026-0041"}});
    put_event(&aws, &request).await;
    let record = await_key(&aws, &vault, "cases/IR-2026-0041/", "/seal/addenda/000001/archive.json").await;
    let place = Place::parse(&format!("s3://{VAULT}/prod/{}", record.trim_end_matches("/seal/addenda/000001/archive.json"))).unwrap();
    let bucket = Bucket::new(connector.s3_archive(), clock.clone(), &place, None);
    let fetched = fetch(&bucket, &place, dir.path()).await.unwrap();
    let verified = Verified::read_back(&fetched.path).unwrap();
    // It was carried there while it was made.
    let segments = vault.list(&format!("{}/meta/journal", place.prefix().trim_start_matches("prod/"))).await.unwrap();
    assert!(segments.len() > 1, "{segments:?}");
    // Under the function's own role, with the key that it may use for nothing but this.
    let signatures = &verified.verification().signatures;
    let signed: Vec<_> = signatures.iter().map(|s| (s.arn.as_deref(), s.result)).collect();
    assert_eq!(signed, [(Some(key.arn()), SignatureResult::Holds)], "{:?}", verified.verification().findings);
    assert_eq!(place.name(), verified.bundle());
    // Locked as the responder's configuration says: bundle and journal alike.
    for key in [record.as_str(), segments[0].as_str(), "cases/IR-2026-0041/journal/000001.jsonl"] {
        let head = aws.s3.head_object().bucket(VAULT).key(format!("prod/{key}")).send().await.unwrap();
        assert_eq!(head.object_lock_mode().map(|m| m.as_str()), Some("COMPLIANCE"), "{key}");
    }

    // A finding of GuardDuty's. The emulator lets nobody but AWS put one on the bus, and is right; so it comes as the bus would deliver it,
    // asynchronously.
    let event = finding(&emulator);
    let asynchronous =
        aws.lambda.invoke().function_name(RESPONDER).invocation_type(InvocationType::Event).payload(Blob::new(event.to_string()));
    asynchronous.send().await.unwrap();
    await_key(&aws, &vault, "cases/GD-", "/seal/addenda/000001/archive.json").await;

    // The same finding again: nothing is done. (Once the first run is written down as ended.)
    await_key(&aws, &vault, "cases/GD-", ".ended.json").await;
    let before = vault.list("").await.unwrap();
    let again = invoke(&aws, &event).await;
    assert_eq!(again["did"], "already-handled", "{again}");
    assert_eq!(vault.list("").await.unwrap(), before);

    // A request by hand, about the same function, opens a case of its own.
    let reply = invoke(&aws, &json!({"function": names::FUNCTION, "case": "IR-2026-0042"})).await;
    assert_eq!((&reply["did"], &reply["case"]), (&json!("acted"), &json!("IR-2026-0042")), "{reply}");
    let there = reply["bundles"][0]["at"].as_str().unwrap();
    assert!(there.starts_with(&format!("s3://{VAULT}/prod/cases/IR-2026-0042/")) && !there.ends_with(".zip"), "{reply}");
    // The plan's own policy is enough. MiniStack 1.5.33 wants lambda:PutFunctionConcurrency for GetFunctionConcurrency (its iam_actions.py
    // maps the path whatever the method), which no snapshot should be given; nothing else may be missing.
    assert!(reply["gaps"] == 0 || reply["why"].as_str().unwrap().starts_with("1 gap: concurrency denied"), "{reply}");

    // What is not known is kept; what contains is refused.
    let unknown = invoke(&aws, &json!({"hello": "world"})).await;
    assert!(vault.get(unknown["event_kept"].as_str().unwrap()).await.unwrap().is_some());
    let refused = invoke(&aws, &json!({"function": names::FUNCTION, "case": "IR-2026-0043", "playbook": "snapshot-and-contain"})).await;
    assert_eq!(refused["did"], "refused", "{refused}");
    emulator.stop().await;
}
