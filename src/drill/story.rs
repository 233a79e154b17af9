//! The drill's story: what a responder would do in the night, with the drill playing the attacker and a doubtful auditor beside it. Every
//! line it says was seen to be so in this run; one that was not fails the drill.

use super::clients::{connect, seed_clients};
use super::command::{Ended, Shell};
use super::emulator::{Emulator, EmulatorError};
use super::incident::{self, Incident, SeedClients, SeedError, names, operator};
use super::keys::Keys;
use super::stolen;
use super::world::World;
use crate::clock::{self, Clock};
use aws_smithy_types::Blob;
use aws_smithy_types::error::metadata::ProvideErrorMetadata as _;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Debug, thiserror::Error)]
pub enum DrillError {
    #[error("could not prepare the emulator")]
    Emulator(#[from] EmulatorError),
    #[error("could not seed the incident")]
    Seed(#[from] SeedError),
    #[error("could not run freezeframe itself")]
    Command(#[from] std::io::Error),
    #[error("`freezeframe {command}` ended with exit code {code}\n{stderr}")]
    Unexpected { command: String, code: i32, stderr: String },
}

/// How the drill ended.
pub struct Told {
    /// What was claimed and not seen; empty when the drill passed.
    pub failures: Vec<String>,
    pub checks: usize,
    pub bundles: Vec<PathBuf>,
    pub kept: Option<Kept>,
}

/// What `--keep` leaves behind.
pub struct Kept {
    pub endpoint: String,
    /// Lines for a terminal: they hold keys, which are worth nothing outside the emulator.
    pub exports: Vec<String>,
    pub case: String,
}

pub struct Options<'o> {
    /// Where emulator and cases lie: `target/drill`.
    pub root: &'o Path,
    /// The `freezeframe` to run.
    pub program: &'o Path,
    pub keep: bool,
    pub say: &'o (dyn Fn(&str) + Sync),
}

/// The case that the drill opens.
pub const CASE: &str = "IR-2026-0042";

struct Story<'o> {
    say: &'o (dyn Fn(&str) + Sync),
    step: usize,
    began: Instant,
    checks: usize,
    failures: Vec<String>,
}

impl Story<'_> {
    fn chapter(&mut self, title: &str) {
        self.step += 1;
        (self.say)(&format!("\n{}. {title}   [{:.1} s]", self.step, self.began.elapsed().as_secs_f32()));
    }
    fn tell(&self, line: &str) {
        (self.say)(&format!("   {line}"));
    }
    fn check(&mut self, holds: bool, claim: &str) {
        self.checks += 1;
        (self.say)(&format!("   {} {claim}", if holds { "✓" } else { "✗" }));
        if !holds {
            self.failures.push(claim.to_string());
        }
    }
}

/// Play it from beginning to end.
pub async fn play(options: Options<'_>, clock: Arc<dyn Clock>) -> Result<Told, DrillError> {
    let mut story = Story { say: options.say, step: 0, began: Instant::now(), checks: 0, failures: vec![] };
    let place = options.root.join(clock::basic(clock.now()));
    let cases = place.join("cases");
    std::fs::create_dir_all(&cases)?;
    let cases = cases.canonicalize()?;

    story.chapter("A local AWS, with signatures and IAM checked");
    let installed = Emulator::prepare(options.root, &|line| story.tell(line))?;
    let emulator = Emulator::start(&installed, &place).await?;
    story.tell(&format!("MiniStack at {}, CloudTrail at {}", emulator.endpoint, emulator.cloudtrail_endpoint));

    story.chapter("A compromised function with a life behind it");
    let root = connect(&emulator, &emulator.root, clock.clone()).await;
    let aws = seed_clients(&root);
    let incident = incident::seed(&aws, &emulator, clock.now()).await?;
    story.tell(&format!(
        "{}: version {} is not what it should be, and gets {:.0} % of the alias `{}`",
        names::FUNCTION,
        names::BAD_VERSION,
        names::BAD_WEIGHT * 100.0,
        names::ALIAS
    ));
    story.tell(&format!(
        "{} log events, {} control-plane events, {} policies on a role that {} shares",
        incident.logs.events,
        incident.history_events,
        incident.role.managed.len() + 1,
        names::NEIGHBOUR
    ));
    let thief = steal(&aws).await?;
    let loot = connect(&emulator, &thief, clock.clone()).await.plain_s3();
    story.check(
        can_read(&loot, &incident).await.is_ok(),
        "the thief reads the payments bucket from outside with the function's credentials",
    );
    let before = World::read(&aws).await;

    story.chapter("The plan, and a responder with exactly the permissions that it names");
    let as_root = Shell::new(options.program, &emulator, &emulator.root, &cases);
    let plan = expect(as_root.run(&["plan", "snapshot-and-contain", names::FUNCTION]).await?, "plan", &[0])?;
    let policies = operator::policies(&plan.document);
    let operator = operator::create(&aws, "ir-responder", &policies).await?;
    let statements = policies.iter().filter_map(|p| p["Statement"].as_array()).map(Vec::len).sum::<usize>();
    story.check(
        statements > 0,
        &format!("the plan names its IAM policies: {statements} statements in {} documents that fit one role", policies.len()),
    );
    let shell = Shell::new(options.program, &emulator, &operator.keys, &cases);

    story.chapter("freezeframe run snapshot-and-contain payments-export");
    let began = Instant::now();
    let run = expect(shell.run(&["run", "snapshot-and-contain", names::FUNCTION, "--case", CASE, "--yes"]).await?, "run", &[0, 3])?;
    let report = run.document;
    story.tell(&format!("{:.1} s: {}", began.elapsed().as_secs_f32(), report["headline"].as_str().unwrap_or_default()));
    story.check(run.code == 0, "no gap: every question has an answer, under least privilege");
    let mut bundles: Vec<PathBuf> = paths(&report);
    for bundle in &bundles {
        let verified = shell.run(&["verify", &bundle.to_string_lossy()]).await?;
        let counts = &verified.document["counts"];
        story.check(
            verified.code == 0,
            &format!(
                "verify {}: {} — {} files, {} items, {} exchanges",
                bundle.file_name().unwrap_or_default().to_string_lossy(),
                verified.document["verdict"].as_str().unwrap_or("?"),
                counts["files"],
                counts["items"],
                counts["exchanges"]
            ),
        );
    }

    story.chapter("What the stolen credentials did, as the bundle tells it");
    match stolen::Told::read(&shell, bundles.first()).await? {
        None => story.check(false, "the bundle holds a table of the issued keys"),
        Some(told) => {
            story.check(
                told.names_the_thief(),
                &format!("the thief's key {} is called suspect, used from {}", names::STOLEN_KEY_ID, names::THIEF_ADDRESS),
            );
            let dies = stolen::last_expiry(&incident);
            story.check(
                told.last_expiry() == Some(dies.as_str()),
                &format!("the last of {} keys dies at {dies}, to the second", told.keys()),
            );
            story.check(
                told.secrets_sealed > 0 && told.secrets_sealed == told.sealed && told.clear > 0 && told.secrets_in_clear.is_empty(),
                &format!(
                    "secrets lie in clear in none of {} files; {} originals are sealed, and the case's identity opens them",
                    told.clear, told.sealed
                ),
            );
        }
    }

    story.chapter("Contained: does it bite?");
    let refused = aws.lambda.invoke().function_name(names::FUNCTION).payload(Blob::new("{}")).send().await;
    story.check(
        refused.as_ref().is_err_and(|e| e.code() == Some("TooManyRequestsException")),
        "an invocation is refused (TooManyRequestsException)",
    );
    story.check(
        matches!(can_read(&loot, &incident).await, Err(code) if code == "AccessDenied"),
        "the stolen credentials no longer work (AccessDenied)",
    );
    incident.triggers.send_message(&aws, &json!({"id": "p-2001", "amount": 1, "currency": "EUR"})).await?;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    story.check(incident.triggers.messages_waiting(&aws).await? == 1, "a payment sent now waits in its queue: nothing is lost");
    let neighbour = aws.lambda.invoke().function_name(names::NEIGHBOUR).payload(Blob::new("{}")).send().await;
    story.check(
        neighbour.is_ok_and(|n| n.function_error.is_none()),
        &format!("{} on the same role still works: the deny is scoped", names::NEIGHBOUR),
    );
    let contained = World::read(&aws).await;
    let changed = before.differences(&contained);
    story.check(!changed.is_empty(), &format!("a stranger sees {} of {} answers changed", changed.len(), before.len()));

    story.chapter(&format!("freezeframe restore {CASE}"));
    let restore = expect(shell.run(&["restore", CASE, "--yes"]).await?, "restore", &[0])?;
    bundles.extend(paths(&restore.document));
    let after = World::read(&aws).await;
    let left = before.differences(&after);
    story.check(left.is_empty(), &format!("every one of {} answers equals the answer before", before.len()));
    for difference in &left {
        story.tell(difference);
    }
    let answer = incident::function::invoke(&aws, None, &json!({"payments": [{"id": "p-3001", "amount": 7}]})).await?;
    story.check(answer == json!({"exported": 1}), "the function works again");
    story.check(drained(&incident, &aws).await?, "the payment that waited has been exported");
    story.tell("the stolen credentials live again too, until they expire: rotate before you restore for good");

    let kept = if options.keep {
        let kept = Kept { endpoint: emulator.endpoint.clone(), exports: shell.exports(), case: CASE.to_string() };
        emulator.keep(options.root, json!({"case": CASE, "cases": cases}))?;
        Some(kept)
    } else {
        emulator.stop().await;
        None
    };
    (options.say)(&format!("\n{} checks, {} failed, {:.1} s", story.checks, story.failures.len(), story.began.elapsed().as_secs_f32()));
    Ok(Told { failures: story.failures, checks: story.checks, bundles, kept })
}

/// Play the thief: ask the backdoored version for the credentials in its environment.
async fn steal(aws: &SeedClients) -> Result<Keys, SeedError> {
    let answer = incident::function::invoke(aws, Some(names::BAD_VERSION), &json!({"drill": "whoami"})).await?;
    let text = |name: &str| answer[name].as_str().map(str::to_string);
    match (text("AWS_ACCESS_KEY_ID"), text("AWS_SECRET_ACCESS_KEY")) {
        (Some(access_key_id), Some(secret_access_key)) => {
            Ok(Keys { access_key_id, secret_access_key, session_token: text("AWS_SESSION_TOKEN") })
        }
        _ => Err(SeedError::IncompleteAnswer { doing: "steal the suspect's credentials", missing: "key" }),
    }
}

async fn can_read(s3: &aws_sdk_s3::Client, incident: &Incident) -> Result<(), String> {
    match s3.get_object().bucket(&incident.bucket).key(names::OBJECT_KEY).send().await {
        Ok(_) => Ok(()),
        Err(e) => Err(e.code().unwrap_or("no code").to_string()),
    }
}

async fn drained(incident: &Incident, aws: &SeedClients) -> Result<bool, SeedError> {
    // The queue's visibility timeout is 30 s: a message that was received while throttled comes back only after it.
    for _ in 0..80 {
        if incident.triggers.messages_waiting(aws).await? == 0 {
            return Ok(true);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(false)
}

fn expect(ended: Ended, command: &str, codes: &[i32]) -> Result<Ended, DrillError> {
    if codes.contains(&ended.code) {
        return Ok(ended);
    }
    let stderr = ended.stderr.lines().rev().take(12).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n");
    Err(DrillError::Unexpected { command: command.to_string(), code: ended.code, stderr })
}

/// The bundles that a report names.
fn paths(report: &Value) -> Vec<PathBuf> {
    report["bundles"].as_array().into_iter().flatten().filter_map(|b| b["path"].as_str()).map(PathBuf::from).collect()
}
