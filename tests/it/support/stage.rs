//! An emulator with the seeded incident in it, and a responder with exactly the permissions that the plan names: where tests of the whole
//! product begin.

use freezeframe::clock::{Clock as _, SystemClock};
use freezeframe::drill::clients::{connect, seed_clients};
use freezeframe::drill::command::{Ended, Shell};
use freezeframe::drill::emulator::Emulator;
use freezeframe::drill::incident::{self, SeedClients, names, operator};
use freezeframe::drill::keys::Keys;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_freezeframe");

/// A running emulator; ends with this process at the latest.
pub struct Stage {
    pub emulator: Emulator,
    /// The account's root: what seeds and what looks on.
    pub aws: SeedClients,
    /// Everything that this stage writes lies below.
    pub dir: PathBuf,
}

impl Stage {
    /// An account with nothing in it. `name` is this stage's own among those of this process.
    pub async fn bare(name: &str) -> Stage {
        // The drill's own directory: whoever comes first, drill or test, installs the emulator for both.
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let installed = Emulator::prepare(&target.join("drill"), &|line| eprintln!("{line}")).unwrap();
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(dir.join("cases")).unwrap();
        let emulator = Emulator::start(&installed, &dir).await.unwrap();
        let root = connect(&emulator, &emulator.root, Arc::new(SystemClock::new())).await;
        Stage { aws: seed_clients(&root), emulator, dir }
    }

    /// An account with the incident in it.
    pub async fn with_incident(name: &str) -> Stage {
        let stage = Stage::bare(name).await;
        incident::seed(&stage.aws, &stage.emulator, SystemClock::new().now()).await.unwrap();
        stage
    }

    pub fn cases(&self) -> PathBuf {
        self.dir.join("cases")
    }

    /// The program under these keys.
    pub fn shell(&self, keys: &Keys) -> Shell {
        Shell::new(Path::new(PROGRAM), &self.emulator, keys, &self.cases())
    }

    pub fn as_root(&self) -> Shell {
        self.shell(&self.emulator.root)
    }

    /// A role session that may do what `plan` says is needed, and nothing else.
    pub async fn responder(&self, plan: &Value) -> Keys {
        let permissions = plan["permissions"].as_object().unwrap().values();
        let statements: Vec<&Value> = permissions.filter_map(|p| p["Statement"].as_array()).flatten().collect();
        operator::create(&self.aws, "ir-responder", &json!({"Version": "2012-10-17", "Statement": statements})).await.unwrap().keys
    }

    /// Somebody else's program that talks to this account under these keys, with none of the caller's own settings.
    pub fn stranger(&self, program: impl AsRef<std::ffi::OsStr>, keys: &Keys) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("AWS_") {
                command.env_remove(name);
            }
        }
        let emulator = &self.emulator;
        command
            .env("AWS_ENDPOINT_URL", &emulator.endpoint)
            .env("AWS_ENDPOINT_URL_CLOUDTRAIL", &emulator.cloudtrail_endpoint)
            .env("AWS_DEFAULT_REGION", &emulator.region)
            .env("AWS_ACCESS_KEY_ID", &keys.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", &keys.secret_access_key)
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("AWS_PAGER", "");
        if let Some(token) = &keys.session_token {
            command.env("AWS_SESSION_TOKEN", token);
        }
        command
    }
}

/// The function that the incident is about.
pub const FUNCTION: &str = names::FUNCTION;

/// The one document of a command that ended with one of these codes.
pub fn document(ended: &Ended, codes: &[i32]) -> Value {
    assert!(codes.contains(&ended.code), "exit {}: {}", ended.code, ended.stderr);
    assert!(ended.document.is_object(), "no document: {}", ended.stderr);
    ended.document.clone()
}
