//! The local AWS: one Python process on loopback, started for a drill and ended with it.
//!
//! [`Emulator::prepare`] installs it once, [`Emulator::start`] runs it, [`Emulator::stop`] or dropping it ends it. Its
//! standard input is held open by this process, so that even a drill killed with SIGKILL leaves no emulator behind;
//! only [`Emulator::keep`] lets it live on, and then [`kept::stop`] ends it.
//!
//! It runs the drill's functions as the user who started it. Therefore: loopback only, one root key whose secret is made
//! at each start, signatures always checked, and nothing of the caller's environment is handed on.

mod http;
pub mod install;
pub mod kept;

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::keys::Keys;
pub use install::Installed;

pub const ACCOUNT: &str = "123456789012";
pub const REGION: &str = "us-east-1";

/// The emulator's own Python, by file name.
pub(crate) const SOURCES: &[(&str, &str)] = &[
    ("emulator.py", include_str!("emulator/emulator.py")),
    ("fidelity.py", include_str!("emulator/fidelity.py")),
    ("lambda_surface.py", include_str!("emulator/lambda_surface.py")),
    ("sources.py", include_str!("emulator/sources.py")),
    ("cloudtrail.py", include_str!("emulator/cloudtrail.py")),
    ("unused.py", include_str!("emulator/unused.py")),
];

/// Long, because a first start on a busy machine compiles and loads a hundred megabytes of botocore.
const START_LIMIT: Duration = Duration::from_secs(90);
const STOP_LIMIT: Duration = Duration::from_secs(6);
const ROOT_KEY_ID: &str = "AKIADRILLROOTACCOUNT";

#[derive(Debug, thiserror::Error)]
pub enum EmulatorError {
    #[error("no Python 3.10 or newer was found (looked for {looked_for})")]
    FindPython { looked_for: String },
    #[error("cannot make the virtual environment of the emulator: {last_line}")]
    MakeEnvironment { last_line: String },
    #[error("cannot install the emulator's packages; pip's log is {}", log.display())]
    InstallPackages { log: PathBuf, last_lines: String },
    #[error("cannot wait for another drill that is installing the emulator ({})", path.display())]
    LockInstallation {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot write {}", path.display())]
    WriteFile {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot run {program}")]
    RunProgram {
        program: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the emulator ended while it was starting ({status}); its log is {}", log.display())]
    EndedAtStart { status: String, log: PathBuf, last_lines: String },
    #[error("the emulator did not answer within {seconds} s; its log is {}", log.display())]
    AwaitHealth { seconds: u64, log: PathBuf, last_lines: String },
    #[error("cannot tell the emulator to live on")]
    Keep {
        #[source]
        source: std::io::Error,
    },
    #[error("cannot read what a kept emulator left in {}", path.display())]
    ReadKept {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the kept emulator at {endpoint} refused to stop (HTTP {status})")]
    StopKept { endpoint: String, status: u16 },
}

impl EmulatorError {
    /// What to do about it, for the `hint:` lines.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::FindPython { .. } => vec![
                "install Python 3: `apt install python3 python3-venv`, `dnf install python3` or `brew install python`".into(),
                format!("or name one: {}=/path/to/python3", install::PYTHON_VARIABLE),
            ],
            Self::MakeEnvironment { .. } => {
                vec!["on Debian and Ubuntu the module is a package of its own: `apt install python3-venv`".into()]
            }
            Self::InstallPackages { last_lines, .. } => {
                let mut hints: Vec<String> = last_lines.lines().map(str::to_owned).collect();
                hints.push("the first drill downloads about 25 MB from the Python package index; later ones nothing".into());
                hints
            }
            Self::EndedAtStart { last_lines, .. } | Self::AwaitHealth { last_lines, .. } => last_lines.lines().map(str::to_owned).collect(),
            _ => Vec::new(),
        }
    }
}

/// A running emulator. Dropping it ends it, unless it was kept.
#[derive(Debug)]
pub struct Emulator {
    /// Everything but CloudTrail: `AWS_ENDPOINT_URL`.
    pub endpoint: String,
    /// `AWS_ENDPOINT_URL_CLOUDTRAIL`.
    pub cloudtrail_endpoint: String,
    pub account: String,
    pub region: String,
    /// The account's root: for seeding alone. The drill itself runs under [`super::incident::operator`].
    pub root: Keys,
    pub log: PathBuf,
    dir: PathBuf,
    token: String,
    child: Option<Child>,
}

#[derive(serde::Deserialize)]
struct Ready {
    endpoint: String,
    cloudtrail_endpoint: String,
}

impl Emulator {
    /// Install the emulator under `root` (`target/drill`), unless it is there already. Blocking: the first time it
    /// downloads. Two at once wait for each other.
    pub fn prepare(root: &Path, say: &dyn Fn(&str)) -> Result<Installed, EmulatorError> {
        install::prepare(root, say)
    }

    /// Start it and wait until it answers. Everything it writes is below `log_dir`, which no other emulator may use.
    pub async fn start(installed: &Installed, log_dir: &Path) -> Result<Self, EmulatorError> {
        let dir = absolute(log_dir)?;
        let sources = dir.join("emulator");
        let scratch = dir.join("tmp");
        for made in [&sources, &scratch] {
            fs::create_dir_all(made).map_err(|source| EmulatorError::WriteFile { path: made.clone(), source })?;
        }
        for (name, text) in SOURCES {
            write(&sources.join(name), text.as_bytes(), 0o644)?;
        }
        let ready = dir.join("ready.json");
        let _ = fs::remove_file(&ready);
        let log = dir.join("emulator.log");
        let out = OpenOptions::new().create(true).append(true).open(&log);
        let out = out.map_err(|source| EmulatorError::WriteFile { path: log.clone(), source })?;
        let err = out.try_clone().map_err(|source| EmulatorError::WriteFile { path: log.clone(), source })?;
        let root = Keys { access_key_id: ROOT_KEY_ID.into(), secret_access_key: random_hex()?, session_token: None };
        let token = random_hex()?;

        let mut command = Command::new(&installed.python);
        // Functions inherit this environment, so it holds nothing of the caller's but the search path.
        command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.args(["-u".as_ref(), sources.join("emulator.py").as_os_str()]).current_dir(&dir);
        command
            .env("HOME", &scratch)
            .env("TMPDIR", &scratch)
            .env("LANG", "C.UTF-8")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("AWS_ACCESS_KEY_ID", &root.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", &root.secret_access_key)
            .env("MINISTACK_ACCOUNT_ID", ACCOUNT)
            .env("MINISTACK_REGION", REGION)
            .env("DRILL_READY", &ready)
            .env("DRILL_EVENTS", dir.join("cloudtrail.json"))
            .env("DRILL_TOKEN", &token);
        // A process group of its own: a Ctrl-C at the terminal is ours to handle, and the emulator can end its functions.
        let child = command.stdin(Stdio::piped()).stdout(out).stderr(err).process_group(0).spawn();
        let child = child.map_err(|source| EmulatorError::RunProgram { program: installed.python.display().to_string(), source })?;
        let mut started = Self {
            endpoint: String::new(),
            cloudtrail_endpoint: String::new(),
            account: ACCOUNT.into(),
            region: REGION.into(),
            root,
            log,
            dir,
            token,
            child: Some(child),
        };
        started.await_health(&ready).await?;
        Ok(started)
    }

    async fn await_health(&mut self, ready: &Path) -> Result<(), EmulatorError> {
        let begun = Instant::now();
        loop {
            if let Some(Ok(Some(status))) = self.child.as_mut().map(Child::try_wait) {
                let (log, last_lines) = (self.log.clone(), tail(&self.log));
                return Err(EmulatorError::EndedAtStart { status: status.to_string(), log, last_lines });
            }
            let told = fs::read(ready).ok().and_then(|raw| serde_json::from_slice::<Ready>(&raw).ok());
            if let Some(told) = told
                && http::request(&told.endpoint, "GET", "/_ministack/health", &[]).await.is_ok_and(|a| a.status == 200)
            {
                self.endpoint = told.endpoint;
                self.cloudtrail_endpoint = told.cloudtrail_endpoint;
                return Ok(());
            }
            if begun.elapsed() > START_LIMIT {
                let (log, last_lines) = (self.log.clone(), tail(&self.log));
                return Err(EmulatorError::AwaitHealth { seconds: START_LIMIT.as_secs(), log, last_lines });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What CloudTrail answers from now on (see `cloudtrail.py` for the form).
    pub fn write_history(&self, document: &serde_json::Value) -> Result<(), EmulatorError> {
        let path = self.dir.join("cloudtrail.json");
        let fresh = self.dir.join("cloudtrail.json.new");
        write(&fresh, document.to_string().as_bytes(), 0o644)?;
        fs::rename(&fresh, &path).map_err(|source| EmulatorError::WriteFile { path, source })
    }

    /// The directory of this run: logs, CloudTrail history, scratch.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// End it and wait for its end.
    pub async fn stop(mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.stdin.take());
            let begun = Instant::now();
            while matches!(child.try_wait(), Ok(None)) && begun.elapsed() < STOP_LIMIT {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            finish(&mut child);
            let _ = fs::remove_dir_all(self.dir.join("tmp"));
        }
    }

    /// Let it live on after this process, and leave in `root`/running.json (readable by the user alone: it holds keys)
    /// what is needed to talk to it and to end it. `about` is the caller's own, handed back by [`kept::load`].
    pub fn keep(mut self, root: &Path, about: serde_json::Value) -> Result<PathBuf, EmulatorError> {
        let mut child = self.child.take();
        let asked =
            child.as_mut().and_then(|c| c.stdin.as_mut()).map_or(Ok(()), |stdin| stdin.write_all(b"keep\n").and_then(|()| stdin.flush()));
        if let Err(source) = asked {
            self.child = child;
            return Err(EmulatorError::Keep { source });
        }
        let kept = kept::Kept {
            pid: child.as_ref().map_or(0, Child::id),
            endpoint: self.endpoint.clone(),
            cloudtrail_endpoint: self.cloudtrail_endpoint.clone(),
            account: self.account.clone(),
            region: self.region.clone(),
            root: self.root.clone(),
            log: self.log.clone(),
            token: self.token.clone(),
            about,
        };
        let written = kept::save(root, &kept);
        if written.is_err() {
            // Nobody could end it later: end it now.
            self.child = child;
        }
        written
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.stdin.take());
            let begun = Instant::now();
            while matches!(child.try_wait(), Ok(None)) && begun.elapsed() < STOP_LIMIT {
                std::thread::sleep(Duration::from_millis(20));
            }
            finish(&mut child);
            let _ = fs::remove_dir_all(self.dir.join("tmp"));
        }
    }
}

/// Reap it; by force where it did not end by itself (it kills its own process group after four seconds).
fn finish(child: &mut Child) {
    if matches!(child.try_wait(), Ok(None)) {
        let _ = child.kill();
    }
    let _ = child.wait();
}

/// 256 random bits from the operating system.
fn random_hex() -> Result<String, EmulatorError> {
    let path = PathBuf::from("/dev/urandom");
    let mut raw = [0_u8; 32];
    let read = File::open(&path).and_then(|mut file| file.read_exact(&mut raw));
    read.map_err(|source| EmulatorError::RunProgram { program: path.display().to_string(), source })?;
    Ok(hex::encode(raw))
}

fn absolute(path: &Path) -> Result<PathBuf, EmulatorError> {
    std::path::absolute(path).map_err(|source| EmulatorError::WriteFile { path: path.to_owned(), source })
}

pub(crate) fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), EmulatorError> {
    let file = OpenOptions::new().create(true).write(true).truncate(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(bytes)).map_err(|source| EmulatorError::WriteFile { path: path.to_owned(), source })
}

/// The last lines of a log, for a person to read: few, short, and without control characters.
fn tail(log: &Path) -> String {
    let text = fs::read(log).map(|raw| String::from_utf8_lossy(&raw).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines.iter().skip(lines.len().saturating_sub(6));
    let clean = last.map(|line| line.chars().filter(|c| !c.is_control()).take(300).collect::<String>());
    clean.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests;
