//! What a person or a script sees: stdout, stderr and exit code of the built program, as one text. Nothing here needs a network: what AWS
//! answers is for the emulator's tests (`stock`, `drill`).

mod bundles;
mod connection;
mod custody;
mod disclose;
mod events;
mod help;
pub mod json;
mod key;
mod output;
mod playbooks;
mod redact;
mod refusals;

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The program with nothing of the caller's environment, so that no profile of whoever runs the tests can matter, in a directory of its own.
pub struct Terminal {
    pub dir: tempfile::TempDir,
    env: Vec<(String, String)>,
}

impl Terminal {
    pub fn new() -> Terminal {
        Terminal { dir: tempfile::tempdir().unwrap(), env: vec![] }
    }

    pub fn env(mut self, name: &str, value: &str) -> Terminal {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Keys that no account has, and a Region.
    pub fn with_keys(self) -> Terminal {
        self.env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE").env("AWS_SECRET_ACCESS_KEY", "not-a-secret").env("AWS_REGION", "eu-west-1")
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_freezeframe"));
        command.args(args).current_dir(self.path()).env_clear().stdin(Stdio::null());
        command.env("HOME", self.path()).env("AWS_EC2_METADATA_DISABLED", "true");
        command.envs(self.env.iter().map(|(k, v)| (k, v)));
        command
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Everything that came of it, made the same for every run.
    pub fn transcript(&self, args: &[&str]) -> String {
        self.told(args, self.run(args))
    }

    pub fn transcript_with_input(&self, args: &[&str], input: &[u8]) -> String {
        let mut child = self.command(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        self.told(args, child.wait_with_output().unwrap())
    }

    fn told(&self, args: &[&str], output: Output) -> String {
        let part = |name: &str, bytes: &[u8]| match String::from_utf8_lossy(bytes).trim_end() {
            "" => String::new(),
            text => format!("--- {name}\n{text}\n"),
        };
        let code = output.status.code().map_or("killed by a signal".into(), |c| format!("exit {c}"));
        let all =
            format!("$ freezeframe {}\n{}{}--- {code}", args.join(" "), part("stdout", &output.stdout), part("stderr", &output.stderr));
        redact::redact(&all, self.path())
    }
}
