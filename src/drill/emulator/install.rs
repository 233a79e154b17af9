//! The emulator's virtual environment: made once, from pinned packages alone, by whoever comes first.
//!
//! It lies in `emulator-<key>`, where the key covers the list of packages and the Python that runs them; a marker written
//! last says that it is whole, and a file lock lets two drills at once make it once. Nothing is downloaded when it is there.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest as _, Sha256};

use super::{EmulatorError, absolute, tail, write};

pub(crate) const REQUIREMENTS: &str = include_str!("requirements.txt");
/// Names the Python to use instead of the first suitable one on the path.
pub const PYTHON_VARIABLE: &str = "FREEZEFRAME_PYTHON";
const CANDIDATES: &[&str] = &["python3", "python3.13", "python3.12", "python3.11", "python3.10"];
const OLDEST: (u32, u32) = (3, 10);
const MARKER: &str = ".complete";

/// An emulator ready to be started.
#[derive(Debug, Clone)]
pub struct Installed {
    pub python: PathBuf,
}

struct Python {
    program: String,
    /// Version and real path: a system upgrade makes the old environment useless.
    identity: String,
}

pub(super) fn prepare(root: &Path, say: &dyn Fn(&str)) -> Result<Installed, EmulatorError> {
    let root = absolute(root)?;
    fs::create_dir_all(&root).map_err(|source| EmulatorError::WriteFile { path: root.clone(), source })?;
    let python = find_python()?;
    let key = hex::encode(Sha256::digest(format!("{REQUIREMENTS}\0{}", python.identity)));
    let name = format!("emulator-{}", &key[..16]);
    let dir = root.join(&name);
    let installed = Installed { python: dir.join("bin").join("python") };
    if is_whole(&dir, &installed) {
        return Ok(installed);
    }
    let _turn = take_turn(&root.join(format!("{name}.lock")), say)?;
    if is_whole(&dir, &installed) {
        return Ok(installed);
    }
    make(&python, &dir, &installed, &root.join(format!("{name}.log")), say)?;
    Ok(installed)
}

fn is_whole(dir: &Path, installed: &Installed) -> bool {
    dir.join(MARKER).is_file() && installed.python.exists()
}

/// Held until dropped; a process that dies lets go.
fn take_turn(path: &Path, say: &dyn Fn(&str)) -> Result<File, EmulatorError> {
    let locked = |source| EmulatorError::LockInstallation { path: path.to_owned(), source };
    let file = File::options().create(true).truncate(false).write(true).open(path).map_err(locked)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            say("waiting for another drill that is installing the emulator");
            file.lock().map_err(locked)?;
        }
        Err(TryLockError::Error(source)) => return Err(locked(source)),
    }
    Ok(file)
}

fn make(python: &Python, dir: &Path, installed: &Installed, log: &Path, say: &dyn Fn(&str)) -> Result<(), EmulatorError> {
    say("installing the emulator (once; about 25 MB from the Python package index, every file checked against its hash)");
    // Half an environment of a run that died: not worth mending.
    if dir.exists() {
        fs::remove_dir_all(dir).map_err(|source| EmulatorError::WriteFile { path: dir.to_owned(), source })?;
    }
    write(log, b"", 0o644)?;
    let mut venv = Command::new(&python.program);
    venv.args(["-m", "venv"]).arg(dir);
    if !run(&mut venv, log)? {
        let last_line = tail(log).lines().last().unwrap_or("it gave no reason").to_owned();
        return Err(EmulatorError::MakeEnvironment { last_line });
    }
    let list = dir.join("requirements.txt");
    write(&list, REQUIREMENTS.as_bytes(), 0o644)?;
    let mut pip = Command::new(&installed.python);
    pip.args(["-m", "pip", "install", "--require-hashes", "--no-deps", "--only-binary", ":all:", "--no-input"]);
    pip.args(["--disable-pip-version-check", "--progress-bar", "off", "-r"]).arg(&list);
    // A user-wide `pip config` may ask for --user, which an environment refuses.
    pip.env("PIP_USER", "0");
    let mut check = Command::new(&installed.python);
    check.args(["-c", "import ministack.core.arn, hypercorn, cryptography, cbor2, botocore"]);
    if !run(&mut pip, log)? || !run(&mut check, log)? {
        return Err(EmulatorError::InstallPackages { log: log.to_owned(), last_lines: tail(log) });
    }
    write(&dir.join(MARKER), b"", 0o644)
}

/// Run it with its output in the log; whether it succeeded.
fn run(command: &mut Command, log: &Path) -> Result<bool, EmulatorError> {
    let file = || File::options().append(true).open(log);
    let io = |source| EmulatorError::WriteFile { path: log.to_owned(), source };
    let program = command.get_program().to_string_lossy().into_owned();
    // Somebody else's module path would shadow the packages that were checked.
    command.env_remove("PYTHONPATH").env_remove("PYTHONHOME");
    let status = command.stdin(Stdio::null()).stdout(file().map_err(io)?).stderr(file().map_err(io)?).status();
    status.map(|status| status.success()).map_err(|source| EmulatorError::RunProgram { program, source })
}

fn find_python() -> Result<Python, EmulatorError> {
    let named = std::env::var(PYTHON_VARIABLE).ok();
    let candidates: Vec<String> = named.map_or_else(|| CANDIDATES.iter().map(|c| (*c).to_owned()).collect(), |one| vec![one]);
    let found = candidates.iter().find_map(|program| ask(program));
    found.ok_or_else(|| EmulatorError::FindPython { looked_for: candidates.join(", ") })
}

/// What a Python says of itself; `None` when it is none, too old, or one of pyenv's empty shims.
fn ask(program: &str) -> Option<Python> {
    const QUESTION: &str = "import sys, os; print(*sys.version_info[:3], sys.implementation.name, os.path.realpath(sys.executable))";
    let answer = Command::new(program).args(["-I", "-c", QUESTION]).stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(answer.stdout).ok()?;
    let mut words = text.split_whitespace();
    let (major, minor) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    (answer.status.success() && (major, minor) >= OLDEST).then(|| Python { program: program.to_owned(), identity: text.trim().to_owned() })
}

/// Where a system Python is, for tests that need one but no packages.
#[cfg(test)]
pub(crate) fn any_python() -> Option<String> {
    find_python().ok().map(|python| python.program)
}
