//! The drill types the commands that a responder would type: this very program, as a process of its own, with nothing but the emulator's
//! endpoints and one principal's keys in its environment.

use super::emulator::Emulator;
use super::keys::Keys;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The environment under which commands run against the emulator.
#[derive(Clone)]
pub struct Shell {
    program: PathBuf,
    cases: PathBuf,
    env: Vec<(&'static str, String)>,
}

/// How a command ended.
pub struct Ended {
    pub code: i32,
    /// The one document on stdout, `Null` when it was none.
    pub document: Value,
    pub stderr: String,
}

impl Shell {
    /// `program` is the `freezeframe` to run; cases are laid below `cases`.
    pub fn new(program: &Path, emulator: &Emulator, keys: &Keys, cases: &Path) -> Shell {
        let mut env = vec![
            ("AWS_ENDPOINT_URL", emulator.endpoint.clone()),
            ("AWS_ENDPOINT_URL_CLOUDTRAIL", emulator.cloudtrail_endpoint.clone()),
            ("AWS_REGION", emulator.region.clone()),
            ("AWS_ACCESS_KEY_ID", keys.access_key_id.clone()),
            ("AWS_SECRET_ACCESS_KEY", keys.secret_access_key.clone()),
        ];
        if let Some(token) = &keys.session_token {
            env.push(("AWS_SESSION_TOKEN", token.clone()));
        }
        Shell { program: program.to_path_buf(), cases: cases.to_path_buf(), env }
    }

    /// The lines that put a terminal into the same place.
    pub fn exports(&self) -> Vec<String> {
        self.env
            .iter()
            .map(|(k, v)| format!("export {k}={v}"))
            .chain([format!("export FREEZEFRAME_CASES={}", self.cases.display())])
            .collect()
    }

    /// A process with this environment and nothing of the user's own AWS settings.
    pub fn process(&self, args: &[&str]) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("AWS_") || name.to_string_lossy().starts_with("FREEZEFRAME_") {
                command.env_remove(name);
            }
        }
        command
            .args(args)
            .envs(self.env.iter().map(|(k, v)| (*k, v.as_str())))
            .env("FREEZEFRAME_CASES", &self.cases)
            // No profile of the user's may lead the drill to a real account.
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            // Nor may a key of the user's sign what was only practised.
            .env("XDG_CONFIG_HOME", self.cases.join(".config"))
            .stdin(std::process::Stdio::null());
        command
    }

    /// Run `freezeframe <args> --json` to its end.
    pub async fn run(&self, args: &[&str]) -> std::io::Result<Ended> {
        let output = self.process(args).arg("--json").output().await?;
        Ok(Ended {
            code: output.status.code().unwrap_or(-1),
            document: serde_json::from_slice(&output.stdout).unwrap_or(Value::Null),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}
