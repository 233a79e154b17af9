//! An emulator that outlived its drill (`--keep`): where it is, and how it is ended.
//!
//! It is ended by a request that carries its token, never by its process id, which may be somebody else's by now.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::super::keys::Keys;
use super::{EmulatorError, http, write};

const FILE: &str = "running.json";
const STOP_LIMIT: Duration = Duration::from_secs(10);

#[derive(Clone, Serialize, Deserialize)]
pub struct Kept {
    pub pid: u32,
    pub endpoint: String,
    pub cloudtrail_endpoint: String,
    pub account: String,
    pub region: String,
    pub root: Keys,
    pub log: PathBuf,
    pub(super) token: String,
    /// Whatever the drill wanted to remember: case, operator's keys, bundle.
    pub about: serde_json::Value,
}

/// How the stop of a kept emulator ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// Nothing was kept.
    NoneKept,
    /// It ended on our word.
    Ended,
    /// It had ended before.
    WasGone,
}

pub(super) fn save(root: &Path, kept: &Kept) -> Result<PathBuf, EmulatorError> {
    let path = root.join(FILE);
    let json = |source: serde_json::Error| EmulatorError::WriteFile { path: path.clone(), source: source.into() };
    let bytes = serde_json::to_vec_pretty(kept).map_err(json)?;
    // Removed first: the mode below applies to a new file only.
    let _ = fs::remove_file(&path);
    write(&path, &bytes, 0o600)?;
    Ok(path)
}

/// The emulator that was kept under `root`, if any.
pub fn load(root: &Path) -> Result<Option<Kept>, EmulatorError> {
    let path = root.join(FILE);
    match fs::read(&path) {
        Ok(raw) => match serde_json::from_slice(&raw) {
            Ok(kept) => Ok(Some(kept)),
            Err(source) => Err(EmulatorError::ReadKept { path, source: source.into() }),
        },
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(EmulatorError::ReadKept { path, source }),
    }
}

/// End it, wait for its end, and forget it.
pub async fn stop(root: &Path) -> Result<Stopped, EmulatorError> {
    let Some(kept) = load(root)? else { return Ok(Stopped::NoneKept) };
    let asked = http::request(&kept.cloudtrail_endpoint, "POST", "/_drill/stop", &[("x-drill-token", &kept.token)]).await;
    let stopped = match asked {
        Ok(answer) if answer.status == 200 => {
            let begun = Instant::now();
            while http::request(&kept.cloudtrail_endpoint, "GET", "/", &[]).await.is_ok() && begun.elapsed() < STOP_LIMIT {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Stopped::Ended
        }
        Ok(answer) => return Err(EmulatorError::StopKept { endpoint: kept.endpoint, status: answer.status }),
        Err(_) => Stopped::WasGone,
    };
    if let Some(dir) = kept.log.parent() {
        let _ = fs::remove_dir_all(dir.join("tmp"));
    }
    let _ = fs::remove_file(root.join(FILE));
    Ok(stopped)
}
