//! A seeded local AWS for one test, and the program itself as a process against it. What a test needs is installed and started here.
//!
//! At most two run at a time: each is a Python process with functions below it, and the machine has other tests to run.

use freezeframe::bundle::case_journal::CaseJournal;
use freezeframe::clock::{Clock, SystemClock};
use freezeframe::drill::Keys;
use freezeframe::drill::clients::{connect, seed_clients};
use freezeframe::drill::command::{Ended, Shell};
use freezeframe::drill::emulator::Emulator;
use freezeframe::drill::incident::{self, Incident, SeedClients, names, operator};
use freezeframe::drill::world::World;
use freezeframe::model::journal_event::JournalEvent;
use freezeframe::store::dir::DirStore;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};

static SEATS: Semaphore = Semaphore::const_new(2);

/// `target/drill`: where the emulator is installed, once for all tests and for `cargo drill`.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/drill")
}

pub fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

/// Wait for a turn. Whoever starts an emulator by other means than [`Stage`] takes one as well.
pub async fn seat() -> SemaphorePermit<'static> {
    SEATS.acquire().await.expect("the semaphore is never closed")
}

/// The incident, freshly seeded, and how the world was then. Fields are dropped in this order: the emulator ends before its files go.
pub struct Stage {
    pub emulator: Emulator,
    /// Plain clients of the account's root: where AWS, the attacker and the doubtful auditor stand.
    pub aws: SeedClients,
    pub incident: Incident,
    pub before: World,
    /// Cases are laid here.
    pub cases: PathBuf,
    files: TempDir,
    _seat: SemaphorePermit<'static>,
}

impl Stage {
    pub async fn set() -> Stage {
        let seat = seat().await;
        let installed = tokio::task::spawn_blocking(|| Emulator::prepare(&root(), &|line| eprintln!("{line}"))).await.unwrap().unwrap();
        let files = tempfile::Builder::new().prefix("test-").tempdir_in(root()).unwrap();
        let emulator = Emulator::start(&installed, files.path()).await.unwrap();
        let aws = seed_clients(&connect(&emulator, &emulator.root, clock()).await);
        let incident = incident::seed(&aws, &emulator, clock().now()).await.unwrap();
        let before = World::read(&aws).await;
        assert!(before.len() > 15);
        let cases = files.path().join("cases");
        std::fs::create_dir(&cases).unwrap();
        Stage { emulator, aws, incident, before, cases, files, _seat: seat }
    }

    /// A directory of the test's own, gone with it.
    pub fn scratch(&self) -> &Path {
        self.files.path()
    }
    pub fn case(&self, name: &str) -> PathBuf {
        self.cases.join(name)
    }

    /// A terminal of the principal with these keys.
    pub fn shell(&self, keys: &Keys) -> Shell {
        Shell::new(Path::new(env!("CARGO_BIN_EXE_freezeframe")), &self.emulator, keys, &self.cases)
    }
    pub fn root(&self) -> Shell {
        self.shell(&self.emulator.root)
    }

    /// The policies that the plan of this playbook names.
    pub async fn permissions(&self, playbook: &str) -> Vec<Value> {
        let plan = ok(self.root().run(&["plan", playbook, names::FUNCTION]).await.unwrap(), 0);
        let policies = operator::policies(&plan);
        assert!(!policies.is_empty());
        policies
    }
    /// A role session with exactly these policies. `name` must be new.
    pub async fn operator(&self, name: &str, policies: &[Value]) -> Keys {
        operator::create(&self.aws, name, policies).await.unwrap().keys
    }

    /// Every answer that a stranger gets now equals the answer before.
    pub async fn assert_as_before(&self, when: &str) {
        let differences = self.before.differences(&World::read(&self.aws).await);
        assert!(differences.is_empty(), "{when}, the world is not as before:\n{}", differences.join("\n"));
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.files.disable_cleanup(true);
            eprintln!("cases and the emulator's log are kept in {}", self.files.path().display());
        }
    }
}

/// The document of a command that had to end with this code.
#[track_caller]
pub fn ok(ended: Ended, code: i32) -> Value {
    assert_eq!(ended.code, code, "{}\n{:#}", ended.stderr, ended.document);
    ended.document
}

/// The case journal as restore reads it.
pub async fn events(case: &Path) -> Vec<JournalEvent> {
    let store = Arc::new(DirStore::open(case).unwrap());
    CaseJournal::open(store, clock(), "a test").await.unwrap().events()
}

/// The zip of the only bundle, or of the one at `n`, that a report names.
#[track_caller]
pub fn bundle(report: &Value, n: usize) -> PathBuf {
    PathBuf::from(report["bundles"][n]["path"].as_str().unwrap_or_else(|| panic!("no bundle {n} in {report:#}")))
}
