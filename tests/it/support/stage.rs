//! A local AWS with nothing in it, and other people's programs against it. (`emulator` has the one with the incident.)

use super::emulator::{clock, root, seat};
use freezeframe::drill::Keys;
use freezeframe::drill::clients::{connect, seed_clients};
use freezeframe::drill::emulator::Emulator;
use freezeframe::drill::incident::SeedClients;
use std::ffi::OsStr;
use std::process::Command;
use tempfile::TempDir;
use tokio::sync::SemaphorePermit;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_freezeframe");

/// Fields are dropped in this order: the emulator ends before its files go.
pub struct Empty {
    pub emulator: Emulator,
    /// Plain clients of the account's root.
    pub aws: SeedClients,
    pub files: TempDir,
    _seat: SemaphorePermit<'static>,
}

impl Empty {
    pub async fn set() -> Empty {
        let seat = seat().await;
        let installed = tokio::task::spawn_blocking(|| Emulator::prepare(&root(), &|line| eprintln!("{line}"))).await.unwrap().unwrap();
        let files = tempfile::Builder::new().prefix("test-").tempdir_in(root()).unwrap();
        let emulator = Emulator::start(&installed, files.path()).await.unwrap();
        let aws = seed_clients(&connect(&emulator, &emulator.root, clock()).await);
        Empty { emulator, aws, files, _seat: seat }
    }
}

/// Somebody else's program that talks to this emulator under these keys, with none of the caller's own settings.
pub fn stranger(emulator: &Emulator, program: impl AsRef<OsStr>, keys: &Keys) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(name);
        }
    }
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
