//! Tools that are not ours, pinned with hashes, in one virtual environment for all tests.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const REQUIREMENTS: &str = "tests/tools/requirements.txt";
const BUILD_REQUIREMENTS: &str = "tests/tools/build-requirements.txt";

/// The directory of `bagit.py`, `jsonschema`, `aws` and `python3` (with boto3). The first call of a machine installs them, which takes a minute
/// and the network; every later one, in this process or another, finds them there.
pub fn python_tools() -> &'static Path {
    static BIN: OnceLock<PathBuf> = OnceLock::new();
    BIN.get_or_init(|| environment("python3", REQUIREMENTS).unwrap_or_else(|e| panic!("cannot install {REQUIREMENTS}: {e}")))
}

/// A file of this repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The `bin` of a virtual environment of this Python with these packages, each checked against its hash.
pub fn environment(python: &str, requirements: &str) -> Result<PathBuf, String> {
    let identity = run(Command::new(python).args(["-c", "import sys; print(sys.version)"]))?;
    let lists = [requirements, BUILD_REQUIREMENTS].map(|p| fs::read_to_string(repository(p)).unwrap_or_default());
    // Another list or another Python is another environment.
    let hash = super::super::bundle::bag::sha(format!("{identity}\n{}\n{}", lists[0], lists[1]).as_bytes());
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().ok_or("no target directory")?.join("test-tools");
    let home = target.join(&hash[..16]);
    let (bin, complete) = (home.join("bin"), home.join(".complete"));
    fs::create_dir_all(&target).map_err(|e| e.to_string())?;
    let lock = File::create(target.join(format!("{}.lock", &hash[..16]))).map_err(|e| e.to_string())?;
    lock.lock().map_err(|e| e.to_string())?; // released when it is dropped, or when we are killed
    if complete.exists() {
        return Ok(bin);
    }
    let _ = fs::remove_dir_all(&home); // the remains of an installation that was cut off
    run(Command::new(python).args(["-m", "venv"]).arg(&home))?;
    let pip = |arguments: &[&str], list: &str| {
        let mut pip = Command::new(bin.join("pip"));
        run(pip
            .args(["--quiet", "--disable-pip-version-check", "install", "--require-hashes"])
            .args(arguments)
            .arg("-r")
            .arg(repository(list)))
    };
    pip(&[], BUILD_REQUIREMENTS)?;
    pip(&["--no-build-isolation"], requirements)?;
    fs::write(&complete, "").map_err(|e| e.to_string())?;
    Ok(bin)
}

fn run(command: &mut Command) -> Result<String, String> {
    let out = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    if !out.status.success() {
        return Err(format!("{command:?}: {}: {}", out.status, String::from_utf8_lossy(&out.stderr)));
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}
