//! The actions on sources, asynchronous events, aliases, versions and durable executions: by a responder with exactly the permissions that the
//! plan names, seen by the AWS CLI, undone by us and then by hand.

use crate::support::emulator::{Stage, events, ok};
use crate::support::stage::stranger;
use crate::support::tools::{python_tools, repository};
use freezeframe::contain::find;
use freezeframe::drill::command::Shell;
use freezeframe::drill::incident::{names, operator};
use freezeframe::engine::log::parse_target;
use freezeframe::model::journal_event::JournalEvent;
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

const CASE: &str = "IR-2026-0077";
const QUEUE: &str = "payments-quarantine";
const SAGA: &str = "payments-saga";

/// The account's own people, at their own terminal.
struct Outside<'s>(&'s Stage);

impl Outside<'_> {
    fn command(&self, program: &str) -> Command {
        stranger(&self.0.emulator, python_tools().join(program), &self.0.emulator.root)
    }
    fn json(&self, what: &str, output: Output) -> Value {
        assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }
    fn aws(&self, words: &[&str]) -> Value {
        let output = self.command("aws").args(words).args(["--output", "json"]).output().unwrap();
        self.json(&words.join(" "), output)
    }
    /// For what the AWS CLI has no command for yet.
    fn botocore(&self, service: &str, operation: &str, arguments: &Value) -> Value {
        let script = repository("tests/tools/botocore_call.py");
        let output = self.command("python3").arg(script).args([service, operation, &arguments.to_string()]).output().unwrap();
        self.json(operation, output)
    }
    /// Every read, but for revision ids and the times of changes, which restore cannot and should not bring back.
    fn reads(&self) -> Value {
        fn scrub(value: &mut Value) {
            match value {
                Value::Object(map) => {
                    ["RevisionId", "LastModified", "LastModificationDate", "LastModifiedTime"].iter().for_each(|k| drop(map.remove(*k)));
                    map.values_mut().for_each(scrub);
                }
                Value::Array(list) => list.iter_mut().for_each(scrub),
                _ => {}
            }
        }
        let output = self.command("python3").arg(repository("tests/tools/source_reads.py")).arg(names::FUNCTION).output().unwrap();
        let mut reads = self.json("source_reads.py", output);
        scrub(&mut reads);
        reads
    }
    fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{resource}", self.0.incident.region, self.0.incident.account)
    }
    fn role(&self) -> String {
        format!("arn:aws:iam::{}:role{}{}", self.0.incident.account, names::ROLE_PATH, names::ROLE)
    }

    /// What a seeded function lacks: a pipe, schedules, a rule that serves others too, a subscriber, an asynchronous configuration, a queue.
    async fn furnish(&self) {
        let (function, role, queue) = (&self.0.incident.function.arn, self.role(), self.arn("sqs", names::QUEUE));
        self.0.aws.query.call("sqs", "AmazonSQS.CreateQueue", json!({"QueueName": QUEUE})).await.unwrap();
        let may_send =
            json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}]}).to_string();
        self.aws(&["iam", "put-role-policy", "--role-name", names::ROLE, "--policy-name", "send", "--policy-document", &may_send]);
        let ends = json!({"OnSuccess": {"Destination": queue}}).to_string();
        let name = ["--function-name", names::FUNCTION];
        self.aws(
            &[
                &["lambda", "put-function-event-invoke-config"],
                &name[..],
                &["--qualifier", names::ALIAS, "--maximum-retry-attempts", "1", "--destination-config", &ends],
            ]
            .concat(),
        );
        let target = format!("{function}:{}", names::ALIAS);
        self.aws(&["pipes", "create-pipe", "--name", "feed", "--source", &queue, "--target", &target, "--role-arn", &role]);
        let odd = "{ \"why\":\t\"nightly + é & 100%\" }";
        for (name, target, input) in [
            ("nightly", target.as_str(), odd.to_string()),
            ("universal", "arn:aws:scheduler:::aws-sdk:lambda:invoke", json!({"FunctionName": names::FUNCTION}).to_string()),
            ("another", "arn:aws:scheduler:::aws-sdk:lambda:invoke", json!({"FunctionName": names::NEIGHBOUR}).to_string()),
        ] {
            let target = json!({"Arn": target, "RoleArn": role, "Input": input, "RetryPolicy": {"MaximumRetryAttempts": 3}}).to_string();
            let schedule = ["--schedule-expression", "cron(0 3 1 1 ? 2035)", "--schedule-expression-timezone", "Europe/Berlin"];
            let window = ["--flexible-time-window", "Mode=FLEXIBLE,MaximumWindowInMinutes=15", "--start-date", "2030-01-01T00:00:00Z"];
            self.aws(&[&["scheduler", "create-schedule", "--name", name, "--target", &target], &schedule[..], &window[..]].concat());
        }
        self.aws(&["events", "put-rule", "--name", "audit", "--event-pattern", "{\"source\": [\"audit\"]}", "--description", "for two"]);
        let targets = json!([{"Id": "1", "Arn": function}, {"Id": "2", "Arn": self.arn("sqs", QUEUE)}]).to_string();
        self.aws(&["events", "put-targets", "--rule", "audit", "--targets", &targets]);
        let bus = self.botocore("eventbridgev2", "CreateEventBus", &json!({"Name": "ledger"}));
        for (name, target) in [("ours", function.clone()), ("theirs", self.arn("lambda", "function:payments-export-2"))] {
            let subscriber = json!({"Name": name, "EventBusArn": bus["EventBusArn"], "StartingPosition": "LATEST",
                                    "InvokeConfiguration": {"RoleArn": role, "TargetArn": target},
                                    "FilterConfiguration": {"Filters": [{"Pattern": "{}", "Scope": "DATA"}]}});
            self.botocore("eventbridgev2", "CreateSubscriber", &subscriber);
        }
    }

    async fn waiting(&self, queue: &str) -> u64 {
        let asked = json!({"QueueUrl": format!("{}/{}/{queue}", self.0.emulator.endpoint, self.0.incident.account), "AttributeNames": ["ApproximateNumberOfMessages"]});
        let told = self.0.aws.query.call("sqs", "AmazonSQS.GetQueueAttributes", asked).await.unwrap();
        told["Attributes"]["ApproximateNumberOfMessages"].as_str().unwrap().parse().unwrap()
    }
}

async fn responder(stage: &Stage, playbook: &str) -> Shell {
    let policy = stage.permissions(playbook).await;
    stage.shell(&stage.operator("ir-responder", &policy).await)
}

/// A playbook of these contain steps, as a file.
fn playbook(stage: &Stage, steps: &str) -> String {
    let path = stage.scratch().join("sources.yaml");
    let head = "playbook: sources\ntitle: Sources\nphases:\n  - phase: contain\n    override: a test\n    steps:\n";
    std::fs::write(&path, format!("{head}{steps}")).unwrap();
    path.to_str().unwrap().to_string()
}

/// Cell, without its account and Region, → what became of it.
fn became(report: &Value) -> Vec<(String, String)> {
    let (part, word) = if report.get("restoration").is_some() { ("restoration", "back") } else { ("containment", "stand") };
    let cells = report[part]["cells"].as_array().unwrap_or_else(|| panic!("{report:#}"));
    let name = |cell: &str| cell.split('/').take(3).collect::<Vec<_>>().join("/").replace(":eu-west-1:123456789012:", "::");
    cells.iter().map(|c| (name(c["cell"].as_str().unwrap()), c[word].as_str().unwrap().to_string())).collect()
}

fn differences(before: &Value, after: &Value) -> Vec<String> {
    let both = [before, after].map(|v| v.as_object().unwrap());
    let keys: std::collections::BTreeSet<&String> = both.iter().flat_map(|m| m.keys()).collect();
    keys.into_iter().filter(|k| before[*k] != after[*k]).map(|k| format!("{k}:\n  {}\n  {}", before[k], after[k])).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sources_stop_and_flow_again_as_before() {
    let stage = Stage::set().await;
    let outside = Outside(&stage);
    outside.furnish().await;
    let queue = outside.arn("sqs", QUEUE);
    let sha = stage.incident.function.clean_sha256.clone();
    let steps = format!(
        "      - use: stop-subscribers\n      - use: stop-pipes\n      - use: disable-schedules\n      - use: disable-rules\n        with: {{ accept-shared: true }}\n\
         \x20     - use: repoint-alias\n        with: {{ alias: live, version: \"1\", code-sha256: \"{sha}\" }}\n\
         \x20     - use: capture-async-events\n        with: {{ queue: \"{queue}\" }}\n\
         \x20     - use: freeze-concurrency\n      - use: quarantine-role\n        with: {{ scope: role, accept-shared-role: true }}\n"
    );
    let own = playbook(&stage, &steps);
    let before = outside.reads();
    let shell = responder(&stage, &own).await;
    let run = ok(shell.run(&["run", &own, names::FUNCTION, "--case", CASE, "--yes", "--accept-shared-role"]).await.unwrap(), 0);
    let stood = became(&run);
    assert!(stood.iter().all(|(_, stand)| stand == "contained"), "{stood:#?}");
    assert_eq!(stood.len(), 1 + 1 + 2 + 2 + 1 + 2 + 1 + 1, "{stood:#?}");

    // As the AWS CLI sees it.
    let contained = outside.reads();
    let state = |command: &str, member: &str| contained[command]["printed"][member].clone();
    assert_eq!(state("subscriber ours", "State"), "STOPPED");
    assert_eq!(state("subscriber theirs", "State"), "RUNNING");
    assert_eq!(state("aws pipes describe-pipe --name feed", "CurrentState"), "STOPPED");
    for (name, expected) in [("nightly", "DISABLED"), ("universal", "DISABLED"), ("another", "ENABLED")] {
        let command = format!("aws scheduler get-schedule --name {name} --group-name default");
        assert_eq!(state(&command, "State"), expected, "{name}");
        // Nothing but the state.
        let mut schedule = contained[&command]["printed"].clone();
        schedule["State"] = "ENABLED".into();
        assert_eq!(schedule, before[&command]["printed"], "{name}");
    }
    for rule in [names::RULE, "audit"] {
        assert_eq!(state(&format!("aws events describe-rule --name {rule}"), "State"), "DISABLED", "{rule}");
    }
    let alias = outside.aws(&["lambda", "get-alias", "--function-name", names::FUNCTION, "--name", names::ALIAS]);
    assert_eq!((&alias["FunctionVersion"], alias.get("RoutingConfig")), (&json!("1"), None), "the canary to the bad version has ended");
    let configs =
        state(&format!("aws lambda list-function-event-invoke-configs --function-name {}", names::FUNCTION), "FunctionEventInvokeConfigs");
    let of_alias = configs.as_array().unwrap().iter().find(|c| c["FunctionArn"].as_str().unwrap().ends_with(":live")).unwrap();
    assert_eq!((configs.as_array().unwrap().len(), &of_alias["MaximumRetryAttempts"]), (2, &json!(1)), "{configs:#}");
    assert_eq!(
        of_alias["DestinationConfig"],
        json!({"OnFailure": {"Destination": queue}, "OnSuccess": {"Destination": outside.arn("sqs", names::QUEUE)}})
    );

    // What the attacker sends now is kept with its payload.
    let event = ["lambda", "invoke", "--function-name", names::FUNCTION, "--invocation-type", "Event", "--payload", "{}"];
    let out = stage.scratch().join("out.json");
    outside.aws(&[&event[..], &[out.to_str().unwrap()]].concat());
    for patience in 0.. {
        if outside.waiting(QUEUE).await == 1 {
            break;
        }
        assert!(patience < 60, "the event did not come into the quarantine queue");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }

    let restored = ok(shell.run(&["restore", CASE, "--yes"]).await.unwrap(), 0);
    let back = became(&restored);
    assert!(back.iter().all(|(_, back)| back == "restored"), "{back:#?}");
    let place = |word: &str| back.iter().position(|(cell, _)| cell.starts_with(word)).unwrap();
    assert!(place("freeze-concurrency") < place("quarantine-role"), "{back:#?}");
    assert!(place("quarantine-role") < place("capture-async-events"), "Lambda checks the former destination against the role: {back:#?}");
    assert!(place("capture-async-events") < place("disable-rules"), "{back:#?}");
    assert!(differences(&before, &outside.reads()).is_empty(), "{:#?}", differences(&before, &outside.reads()));

    by_hand(&stage, &shell, &own, &before).await;
}

/// Contained once more, and put back by the commands that the actions say, each run twice, with the AWS CLI. Those of subscribers are known to
/// version 2 of it only; what they say is done through botocore.
async fn by_hand(stage: &Stage, shell: &Shell, own: &str, before: &Value) {
    let (outside, case) = (Outside(stage), "IR-2026-0078");
    ok(shell.run(&["run", own, names::FUNCTION, "--case", case, "--yes"]).await.unwrap(), 0);
    assert!(!differences(before, &outside.reads()).is_empty());
    let mut intents: Vec<(u8, usize, Vec<String>)> = vec![];
    for (at, event) in events(&stage.case(case)).await.into_iter().enumerate() {
        let JournalEvent::Intent { cell, target, before, .. } = event else { continue };
        let action = find(cell.action()).unwrap();
        let commands = action.by_hand(&parse_target(&target).unwrap(), &cell, &before).unwrap();
        assert!(!commands.is_empty(), "{cell}");
        intents.push((action.spec().restore_rank, at, commands.iter().map(ToString::to_string).collect()));
    }
    intents.sort_by_key(|(rank, at, _)| (*rank, std::cmp::Reverse(*at)));
    for command in intents.iter().flat_map(|(_, _, commands)| commands) {
        for round in 1..=2 {
            if let Some(words) = command.strip_prefix("aws eventsv2 update-subscriber --subscriber-arn ") {
                let mut words = words.split(' ');
                let update = json!({"SubscriberArn": words.next(), "State": words.nth(1), "ResumePosition": words.nth(1)});
                assert_eq!((&update["State"], &update["ResumePosition"]), (&json!("RUNNING"), &json!("LAST_PROCESSED")), "{command}");
                outside.botocore("eventbridgev2", "UpdateSubscriber", &update);
                continue;
            }
            let mut sh = stranger(&stage.emulator, Path::new("sh"), &stage.emulator.root);
            let path = format!("{}:{}", python_tools().display(), std::env::var("PATH").unwrap());
            let output = sh.args(["-ec", command]).env("PATH", path).output().unwrap();
            assert!(output.status.success(), "round {round}: {command}\n{}", String::from_utf8_lossy(&output.stderr));
        }
    }
    assert!(differences(before, &outside.reads()).is_empty(), "{:#?}", differences(before, &outside.reads()));
    // We see it too: nothing is left to do.
    let restored = ok(shell.run(&["restore", case, "--yes"]).await.unwrap(), 0);
    let cells = restored["restoration"]["cells"].as_array().unwrap();
    assert!(cells.iter().all(|c| c["back"] == "restored" && c["wrote"] == false), "{restored:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_serves_others_is_refused_by_name_and_the_rest_stops() {
    let stage = Stage::set().await;
    let outside = Outside(&stage);
    outside.furnish().await;
    let shell = responder(&stage, "stop-sources").await;
    let before = outside.reads();
    let run = ok(shell.run(&["run", "stop-sources", names::FUNCTION, "--case", CASE, "--yes"]).await.unwrap(), 5);
    let stood = became(&run);
    let audit = stood.iter().find(|(cell, _)| cell == "disable-rules/default/audit").unwrap();
    assert_eq!(audit.1, "refused", "{stood:#?}");
    assert_eq!(stood.iter().filter(|(_, stand)| stand == "contained").count(), 1 + 1 + 2 + 1, "{stood:#?}");
    let text = run.to_string();
    assert!(text.contains("accept-shared: true") && text.contains(QUEUE), "whom it serves is said");
    assert!(!text.contains("nightly + é & 100%"), "a schedule's input may be a secret");
    assert_eq!(outside.aws(&["events", "describe-rule", "--name", "audit"])["State"], "ENABLED");
    ok(shell.run(&["restore", CASE, "--yes"]).await.unwrap(), 0);
    assert!(differences(&before, &outside.reads()).is_empty(), "{:#?}", differences(&before, &outside.reads()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn executions_pause_and_resume_and_evidence_is_kept() {
    let stage = Stage::set().await;
    let outside = Outside(&stage);
    let code = stage.scratch().join("app.py");
    std::fs::write(&code, "def handler(event, context):\n    return {\"Status\": \"PENDING\"}\n").unwrap();
    let zip = stage.scratch().join("app.zip");
    let zipped = outside.command("python3").args(["-m", "zipfile", "-c"]).args([&zip, &code]).status().unwrap();
    assert!(zipped.success());
    let zip = format!("fileb://{}", zip.display());
    let durable =
        ["--durable-config", "ExecutionTimeout=3600,RetentionPeriodInDays=1", "--handler", "app.handler", "--runtime", "python3.12"];
    outside.aws(
        &[&["lambda", "create-function", "--function-name", SAGA, "--role", &outside.role(), "--zip-file", &zip], &durable[..]].concat(),
    );
    let out = stage.scratch().join("out.json");
    for _ in 0..2 {
        outside.aws(&["lambda", "invoke", "--function-name", SAGA, "--payload", "{}", out.to_str().unwrap()]);
    }
    let executions =
        || outside.aws(&["lambda", "list-durable-executions-by-function", "--function-name", SAGA])["DurableExecutions"].clone();
    let statuses =
        |all: &Value| -> Vec<String> { all.as_array().unwrap().iter().map(|e| e["Status"].as_str().unwrap().to_string()).collect() };
    let running = executions();
    assert_eq!(statuses(&running), ["RUNNING", "RUNNING"]);
    let versions = || outside.aws(&["lambda", "list-versions-by-function", "--function-name", SAGA])["Versions"].clone();
    assert_eq!(versions().as_array().unwrap().len(), 1);

    let own =
        playbook(&stage, "      - use: publish-evidence-version\n        accept: approximate\n      - use: pause-durable-executions\n");
    let plan = ok(stage.root().run(&["plan", &own, SAGA]).await.unwrap(), 0);
    let shell = stage.shell(&stage.operator("ir-saga", &operator::policies(&plan)).await);
    let run = ok(shell.run(&["run", &own, SAGA, "--case", CASE, "--yes"]).await.unwrap(), 0);
    let stood = became(&run);
    assert_eq!(stood.len(), 3, "{stood:#?}");
    assert!(stood.iter().all(|(_, stand)| stand == "contained"), "{stood:#?}");
    assert_eq!(statuses(&executions()), ["PAUSED", "PAUSED"]);
    let kept = versions().as_array().unwrap().clone();
    assert_eq!(kept.len(), 2, "{kept:#?}");
    assert_eq!(kept[0]["CodeSha256"], kept[1]["CodeSha256"]);

    // One is over when it is restored.
    let one = running[0]["DurableExecutionArn"].as_str().unwrap();
    outside.botocore("lambda", "ResumeDurableExecution", &json!({"DurableExecutionArn": one}));
    outside.aws(&["lambda", "stop-durable-execution", "--durable-execution-arn", one]);
    let restored = ok(shell.run(&["restore", CASE, "--yes"]).await.unwrap(), 0);
    let mut back: Vec<String> = became(&restored).into_iter().map(|(_, back)| back).collect();
    back.sort();
    assert_eq!(back, ["left", "over", "restored"], "{restored:#}");
    let mut now = statuses(&executions());
    now.sort();
    assert_eq!(now, ["RUNNING", "STOPPED"]);
    assert_eq!(versions().as_array().unwrap().len(), 2, "evidence is not taken back");
}
