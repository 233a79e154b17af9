//! The function's surface closed and opened again, by a responder with exactly the permissions of the plan: what each action does is seen by the
//! AWS CLI and by callers of all kinds, and after restore every read is as before but for revisions and times. Then the same by hand.

use crate::support::emulator::{Stage, events, ok};
use crate::support::stage::stranger;
use crate::support::tools::{python_tools, repository};
use freezeframe::contain::find;
use freezeframe::drill::Keys;
use freezeframe::drill::incident::{names, operator};
use freezeframe::engine::log::open_cells;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::Output;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const CASE: &str = "IR-2026-0042";

/// A playbook of these steps.
fn playbook(stage: &Stage, name: &str, steps: &[String]) -> String {
    let steps: Vec<String> = steps.iter().map(|s| format!("      - {s}\n")).collect();
    let text = format!(
        "playbook: {name}\ntitle: The function's surface\nphases:\n  - phase: contain\n    override: a rehearsal\n    steps:\n{}",
        steps.concat()
    );
    let path = stage.scratch().join(format!("{name}.yaml"));
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_string()
}

/// The AWS CLI as a person runs it.
fn aws(stage: &Stage, keys: &Keys, words: &[&str]) -> Output {
    stranger(&stage.emulator, python_tools().join("aws"), keys).args(words).args(["--output", "json"]).output().unwrap()
}

fn printed(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// What the CLI complained of; empty when it did not.
fn complaint(output: &Output) -> String {
    if output.status.success() { String::new() } else { String::from_utf8_lossy(&output.stderr).into_owned() }
}

fn lambda<'w>(operation: &'w str, more: &[&'w str]) -> Vec<&'w str> {
    [&["lambda", operation, "--function-name", names::FUNCTION], more].concat()
}

/// Every read that could change, without what says when or which revision.
async fn reads(stage: &Stage) -> BTreeMap<String, Value> {
    let mut command = stranger(&stage.emulator, python_tools().join("python3"), &stage.emulator.root);
    let told = printed(&command.arg(repository("tests/tools/aws_reads.py")).args([names::FUNCTION, names::NEIGHBOUR]).output().unwrap());
    let mut all: BTreeMap<String, Value> = serde_json::from_value(told).unwrap();
    // The pinned CLI is older than this call.
    let function = &stage.incident.function.arn;
    for arn in [function.clone(), format!("{function}:live"), format!("{function}:1"), format!("{function}:4")] {
        let answer = stage.aws.lambda.get_resource_policy().resource_arn(&arn).send().await;
        all.insert(format!("policy document of {arn}"), json!(answer.ok().and_then(|a| a.policy)));
    }
    all.values_mut().for_each(timeless);
    all
}

fn timeless(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|name, _| !["LastModified", "LastModifiedTime", "RevisionId"].contains(&name.as_str()));
            members.values_mut().for_each(timeless);
        }
        Value::Array(all) => all.iter_mut().for_each(timeless),
        _ => {}
    }
}

/// Nobody in particular calls the function's URL.
async fn anonymous(stage: &Stage) -> String {
    let host = stage.incident.function.url.trim_start_matches("https://").trim_end_matches('/');
    let mut stream = TcpStream::connect(stage.emulator.endpoint.trim_start_matches("http://")).await.unwrap();
    let body = json!({"payments": [{"id": "p-1", "amount": 1}]}).to_string();
    let request = format!("POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split_whitespace().nth(1).unwrap_or_default().to_string()
}

/// More of everything than the incident has: warm environments, cross-origin rules, a URL of the alias, a version on managed instances.
async fn dress(stage: &Stage) -> String {
    let client = &stage.aws.lambda;
    let warm = client.put_provisioned_concurrency_config().function_name(names::FUNCTION).qualifier(names::ALIAS);
    warm.provisioned_concurrent_executions(2).send().await.unwrap();
    let cors = aws_sdk_lambda::types::Cors::builder().allow_origins("https://pay.example").allow_methods("POST").max_age(60);
    let url =
        client.update_function_url_config().function_name(names::FUNCTION).cors(cors.allow_credentials(true).expose_headers("x-a").build());
    url.send().await.unwrap();
    let url = client.create_function_url_config().function_name(names::FUNCTION).qualifier(names::ALIAS);
    url.auth_type(aws_sdk_lambda::types::FunctionUrlAuthType::None).send().await.unwrap();

    let provider = aws_sdk_lambda::types::LambdaManagedInstancesCapacityProviderConfig::builder()
        .capacity_provider_arn("arn:aws:lambda:us-east-1:123456789012:capacity-provider:shared");
    let managed = aws_sdk_lambda::types::CapacityProviderConfig::builder()
        .lambda_managed_instances_capacity_provider_config(provider.build().unwrap())
        .build();
    let update = client.update_function_configuration().function_name(names::FUNCTION).capacity_provider_config(managed);
    update.send().await.unwrap();
    let version = client.publish_version().function_name(names::FUNCTION).send().await.unwrap();
    assert_eq!(version.version(), Some("4"));
    let scaling = aws_sdk_lambda::types::FunctionScalingConfig::builder().min_execution_environments(2).max_execution_environments(6);
    let scaling =
        client.put_function_scaling_config().function_name(names::FUNCTION).qualifier("4").function_scaling_config(scaling.build());
    scaling.send().await.unwrap();
    freezeframe::drill::incident::function::settled(client).await.unwrap();
    for turn in 0.. {
        let asked = client.get_function_scaling_config().function_name(names::FUNCTION).qualifier("4").send().await.unwrap();
        if asked.applied_function_scaling_config.is_some() && asked.requested_function_scaling_config.is_none() {
            break;
        }
        assert!(turn < 240, "the scaling is not applied after a minute");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }

    let publishers = aws_sdk_lambda::types::AllowedPublishers::builder()
        .signing_profile_version_arns("arn:aws:signer:us-east-1:123456789012:/signing-profiles/releases/v1")
        .build()
        .unwrap();
    let enforce = aws_sdk_lambda::types::CodeSigningPolicies::builder()
        .untrusted_artifact_on_deployment(aws_sdk_lambda::types::CodeSigningPolicy::Enforce)
        .build();
    let config = client.create_code_signing_config().allowed_publishers(publishers).code_signing_policies(enforce);
    config.send().await.unwrap().code_signing_config.unwrap().code_signing_config_arn
}

/// Somebody of the account who may do anything with Lambda.
async fn developer(stage: &Stage) -> Keys {
    let all = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "lambda:*", "Resource": "*"}]});
    stage.operator("developer", &[all]).await
}

fn stands<'r>(report: &'r Value, part: &str, word: &str) -> Vec<(&'r str, &'r str)> {
    let cells = report[part]["cells"].as_array().unwrap_or_else(|| panic!("{report:#}"));
    cells.iter().map(|c| (c["cell"].as_str().unwrap(), c[word].as_str().unwrap())).collect()
}

fn assert_as_before(before: &BTreeMap<String, Value>, after: &BTreeMap<String, Value>) {
    let differing: Vec<String> = before
        .iter()
        .filter(|(question, answer)| after.get(*question) != Some(answer))
        .map(|(question, answer)| format!("{question}\n  before {answer}\n  after  {}", after.get(question).unwrap_or(&Value::Null)))
        .collect();
    assert!(differing.is_empty() && before.len() == after.len(), "{}", differing.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_door_is_closed_seen_to_be_closed_and_opened_exactly() {
    let stage = Stage::set().await;
    let (config, developer) = (dress(&stage).await, developer(&stage).await);
    let root = stage.emulator.root.clone();
    let zip = stage.scratch().join("unsigned.zip");
    std::fs::write(&zip, freezeframe::drill::incident::code::clean().unwrap()).unwrap();
    let zip = format!("fileb://{}", zip.display());
    let out = stage.scratch().join("answer").display().to_string();
    let invoke =
        |qualifier: &'static [&'static str]| aws(&stage, &developer, &[&lambda("invoke", qualifier)[..], &[out.as_str()]].concat());
    let mapping = stage.incident.triggers.mapping_id.clone();
    let mapping = || printed(&aws(&stage, &root, &["lambda", "get-event-source-mapping", "--uuid", &mapping]))["State"].clone();

    let own = playbook(
        &stage,
        "doors",
        &[
            "{ use: release-provisioned-concurrency }".into(),
            "{ use: scale-to-zero }".into(),
            "{ use: pause-event-source-mappings }".into(),
            "{ use: deny-invocation, with: { deny-updates-except: \"arn:aws:iam::123456789012:role/ir-responder\" } }".into(),
            "{ use: close-function-urls }".into(),
            format!("{{ use: enforce-code-signing, with: {{ config: \"{config}\" }} }}"),
        ],
    );
    let responder = stage.shell(&stage.operator("ir-responder", &stage.permissions(&own).await).await);
    tokio::time::sleep(Duration::from_millis(1100)).await; // the scaling that `dress` asked for settles
    let before = reads(&stage).await;
    assert!(before.len() > 45, "{}", before.len());
    assert_eq!((complaint(&invoke(&[])), anonymous(&stage).await.as_str()), (String::new(), "200"));

    let report = ok(responder.run(&["run", &own, names::FUNCTION, "--case", CASE, "--yes"]).await.unwrap(), 0);
    let cells = stands(&report, "containment", "stand");
    let count = |action: &str| cells.iter().filter(|(c, stand)| c.starts_with(action) && *stand == "contained").count();
    for (action, number) in [
        ("release-provisioned-concurrency/", 1),
        ("scale-to-zero/payments-export:4", 1),
        ("pause-event-source-mappings/", 1),
        // The function, its alias and four versions.
        ("deny-invocation/", 6),
        ("close-function-urls/", 2),
        ("enforce-code-signing/", 1),
    ] {
        assert_eq!(count(action), number, "{action}: {cells:#?}");
    }
    assert_eq!(cells.len(), 12, "{cells:#?}");

    // As others see it.
    let qualified: [&'static [&'static str]; 4] = [&[], &["--qualifier", "live"], &["--qualifier", "2"], &["--qualifier", "4"]];
    for qualifier in qualified {
        let refused = complaint(&invoke(qualifier));
        assert!(refused.contains("AccessDenied") && refused.contains("explicit deny"), "{qualifier:?}: {refused:?}");
    }
    let url = printed(&aws(&stage, &root, &lambda("get-function-url-config", &[])));
    assert_eq!((&url["AuthType"], &url["Cors"]["MaxAge"], &url["Cors"]["ExposeHeaders"]), (&json!("AWS_IAM"), &json!(60), &json!(["x-a"])));
    assert_eq!(anonymous(&stage).await, "403");
    assert_eq!(mapping(), "Disabled");
    let queue = &stage.incident.triggers;
    queue.send_message(&stage.aws, &json!({"id": "p-2000", "amount": 5, "currency": "EUR"})).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(queue.messages_waiting(&stage.aws).await.unwrap(), 1, "nobody fetches");
    let warm = complaint(&aws(&stage, &root, &lambda("get-provisioned-concurrency-config", &["--qualifier", "live"])));
    assert!(warm.contains("ProvisionedConcurrencyConfigNotFoundException"), "{warm}");
    let scaling = printed(&aws(&stage, &root, &lambda("get-function-scaling-config", &["--qualifier", "4"])));
    let none = json!({"MinExecutionEnvironments": 0, "MaxExecutionEnvironments": 0});
    assert!(scaling["AppliedFunctionScalingConfig"] == none || scaling["RequestedFunctionScalingConfig"] == none, "{scaling}");
    let unsigned = complaint(&aws(&stage, &root, &lambda("update-function-code", &["--zip-file", &zip])));
    assert!(unsigned.contains("CodeVerificationFailedException"), "{unsigned}");
    let update = complaint(&aws(&stage, &developer, &lambda("publish-version", &[])));
    assert!(update.contains("AccessDenied"), "nobody but the responder changes it: {update}");
    let policy = printed(&aws(&stage, &root, &lambda("get-policy", &[])))["Policy"].as_str().unwrap().to_string();
    assert!(policy.contains(names::PUBLIC_STATEMENT) && policy.contains("FreezeframeDenyInvocation"), "{policy}");

    let report = ok(responder.run(&["restore", CASE, "--yes"]).await.unwrap(), 0);
    let back = stands(&report, "restoration", "back");
    assert!(back.len() == 12 && back.iter().all(|(_, b)| *b == "restored"), "{back:#?}");
    assert!(back.last().unwrap().0.starts_with("pause-event-source-mappings/"), "{back:#?}");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_as_before(&before, &reads(&stage).await);
    for qualifier in &qualified[..3] {
        assert_eq!(complaint(&invoke(qualifier)), "");
    }
    assert_eq!(anonymous(&stage).await, "200");
    for _ in 0..40 {
        if queue.messages_waiting(&stage.aws).await.unwrap() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    panic!("the queue is not emptied again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn single_grants_come_back_and_so_does_everything_by_hand() {
    let stage = Stage::set().await;
    let config = dress(&stage).await;
    let steps = |with: &str| {
        vec![
            "{ use: release-provisioned-concurrency }".to_string(),
            "{ use: scale-to-zero }".into(),
            "{ use: pause-event-source-mappings }".into(),
            format!("{{ use: deny-invocation, with: {{ {with} }} }}"),
            "{ use: close-function-urls }".into(),
            format!("{{ use: enforce-code-signing, with: {{ config: \"{config}\" }} }}"),
        ]
    };
    let own = playbook(&stage, "grants", &steps("how: statements"));
    let responder = stage.shell(&stage.operator("ir-responder", &stage.permissions(&own).await).await);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let before = reads(&stage).await;
    let run = ["run", own.as_str(), names::FUNCTION, "--case", CASE, "--yes"];
    let report = ok(responder.run(&run).await.unwrap(), 0);
    let taken: Vec<&str> =
        stands(&report, "containment", "stand").into_iter().map(|(c, _)| c).filter(|c| c.starts_with("deny-invocation")).collect();
    assert_eq!(
        taken,
        ["deny-invocation/payments-export/FunctionURLAllowPublicAccess", "deny-invocation/payments-export:live/AllowLedgerRule"]
    );
    let gone = complaint(&aws(&stage, &stage.emulator.root, &lambda("get-policy", &["--qualifier", "live"])));
    assert!(gone.contains("ResourceNotFoundException"), "{gone}");
    ok(responder.run(&["restore", CASE, "--yes"]).await.unwrap(), 0);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_as_before(&before, &reads(&stage).await);

    // No freezeframe at hand: the commands alone, run twice, with root's keys and the stock CLI.
    let other = "IR-2026-0043";
    ok(responder.run(&["run", own.as_str(), names::FUNCTION, "--case", other, "--yes"]).await.unwrap(), 0);
    let mut held = open_cells(&events(&stage.case(other)).await);
    held.reverse();
    for _ in 0..2 {
        for open in &held {
            let action = find(open.cell.action()).unwrap();
            for command in action.by_hand(&open.target().unwrap(), &open.cell, open.before().unwrap()).unwrap() {
                let mut shell = stranger(&stage.emulator, "sh", &stage.emulator.root);
                let path = format!("{}:{}", python_tools().display(), std::env::var("PATH").unwrap());
                let done = shell.env("PATH", path).arg("-c").arg(command.to_string()).output().unwrap();
                assert!(done.status.success(), "{command}\n{}", String::from_utf8_lossy(&done.stderr));
            }
            if open.cell.action() == "pause-event-source-mappings" {
                tokio::time::sleep(Duration::from_millis(1100)).await; // AWS refuses a change of what is changing
            }
        }
    }
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_as_before(&before, &reads(&stage).await);
    let report = ok(responder.run(&["restore", other, "--yes"]).await.unwrap(), 0);
    assert!(report["restoration"]["cells"].as_array().unwrap().iter().all(|c| c["wrote"] == false), "{report:#}");
}

/// A responder without the right to write is told which right it lacks, and nothing is changed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_only_look_changes_nothing_and_is_told_what_is_missing() {
    let stage = Stage::set().await;
    let writes = [
        ("release-provisioned-concurrency", "lambda:DeleteProvisionedConcurrencyConfig"),
        ("pause-event-source-mappings", "lambda:UpdateEventSourceMapping"),
        ("deny-invocation", "lambda:PutResourcePolicy"),
        ("close-function-urls", "lambda:UpdateFunctionUrlConfig"),
    ];
    dress(&stage).await;
    let own = playbook(&stage, "looking", &writes.map(|(action, _)| format!("{{ use: {action} }}")));
    let all = stage.permissions(&own).await;
    let less = stage.operator("ir-junior", &operator::lacking(&all, &writes.map(|(_, right)| right))).await;
    let before = reads(&stage).await;
    let report = ok(stage.shell(&less).run(&["run", &own, names::FUNCTION, "--case", CASE, "--yes"]).await.unwrap(), 1);
    for cell in report["containment"]["cells"].as_array().unwrap() {
        let (_, right) = writes.iter().find(|(action, _)| cell["action"] == *action).unwrap();
        assert_eq!((&cell["stand"], &cell["error"]["denied"]), (&json!("not-holding"), &json!(right)), "{cell:#}");
    }
    assert_as_before(&before, &reads(&stage).await);
}
