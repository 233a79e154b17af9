//! What most commands need first: a clock, a connection, a case directory, and somebody listening for Ctrl-C.

use super::args::{CaseArgs, Global, SealArgs};
use super::error::CliError;
use super::key;
use super::render::Screen;
use super::siblings::Siblings;
use crate::aws::{ConnectError, ConnectOptions, Connector};
use crate::clock::{Clock, SystemClock};
use crate::engine::others::OtherCases;
use crate::engine::preflight::{self, Missing, Preflight, PreflightError};
use crate::engine::run::Doors;
use crate::engine::sealing::kms::KmsSigner;
use crate::engine::sealing::{Sealing, Tsa};
use crate::engine::secrets::Secrets;
use crate::model::id::{CaseId, RunId};
use crate::model::outcome::Outcome;
use crate::model::target::TargetSpec;
use crate::store::Store;
use crate::store::dir::DirStore;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;

pub struct Session {
    pub clock: Arc<dyn Clock>,
    pub connector: Connector,
    pub run: RunId,
}

/// The number of a run that begins now.
pub fn run_id(clock: &dyn Clock) -> RunId {
    let now = u64::try_from(clock.now().timestamp_millis()).unwrap_or_default();
    RunId::new(now, ulid::Ulid::generate().random())
}

pub fn screen(global: &Global) -> Screen {
    Screen { json: global.json, quiet: global.quiet }
}

impl Session {
    pub async fn connect(global: &Global) -> Result<Session, CliError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let run = run_id(&*clock);
        let options = ConnectOptions {
            profile: global.profile.clone(),
            region: global.region.clone(),
            endpoint_url: global.endpoint_url.clone(),
            run: Some(run.to_string()),
        };
        let connector = Connector::load(&options, clock.clone()).await.map_err(|e| connection(e.into()))?;
        Ok(Session { clock, connector, run })
    }

    pub async fn preflight(&self, function: &str) -> Result<Preflight, CliError> {
        self.preflight_or(function, &Missing::Refuse).await
    }

    /// The same, with what to do about a function that is not there.
    pub async fn preflight_or(&self, function: &str, missing: &Missing) -> Result<Preflight, CliError> {
        let spec: TargetSpec =
            function.parse().map_err(|e| CliError::new("cannot tell which function is meant").because(e).outcome(Outcome::Usage))?;
        preflight::preflight_or(&self.connector, &spec, missing).await.map_err(connection)
    }

    /// The doors of a run in this case. Ctrl-C drains from here on.
    pub async fn doors(
        &self,
        case_dir: PathBuf,
        control: Arc<dyn Store>,
        (sealing, secrets): (Arc<Sealing>, Arc<Secrets>),
        screen: Screen,
    ) -> Result<Doors, CliError> {
        let others = Arc::new(self.other_cases(&case_dir, screen).await?);
        let store = DirStore::open(&case_dir)
            .map_err(|e| CliError::new(format!("cannot use the case directory {}", case_dir.display())).because(e))?;
        let parent = case_dir.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let beside = DirStore::open(parent)
            .map_err(|e| CliError::new(format!("cannot use the directory of the cases {}", parent.display())).because(e))?;
        Ok(Doors {
            secrets,
            beside: Arc::new(beside),
            control,
            connector: self.connector.clone(),
            store: Arc::new(store),
            case_dir,
            clock: self.clock.clone(),
            progress: Arc::new(screen.progress()),
            interrupt: interrupts(screen),
            others,
            archive: None,
            straight: false,
            sealing,
        })
    }

    /// Who we are, as AWS says it.
    pub async fn identity(&self) -> Result<String, CliError> {
        Ok(preflight::identify(&self.connector).await.map_err(connection)?.arn)
    }

    /// The local key that will sign, if there is one: for what is done without AWS.
    pub fn local_sealing(args: &SealArgs) -> Result<Sealing, CliError> {
        let mut sealing = Sealing::default();
        if let Some(path) = args.sign_key.clone().or_else(key::found) {
            sealing.with_local(&path).map_err(|e| key::cannot(format!("cannot sign with {}", path.display()), e))?;
        }
        Ok(sealing)
    }

    /// The keys that will sign. One that was named and cannot be had is an error now, while nothing has been done.
    pub async fn sealing(&self, args: &SealArgs) -> Result<Arc<Sealing>, CliError> {
        let mut sealing = Self::local_sealing(args)?;
        if let Some(key) = &args.kms.kms_key {
            let signer = KmsSigner::connect(&self.connector, key).await.map_err(|e| {
                let hint = e.hint();
                CliError::new("cannot sign with the KMS key; nothing was done").because(e).hint(hint)
            })?;
            sealing.with(Arc::new(signer));
        }
        if let Some(address) = &args.tsa {
            if !sealing.signs() {
                return Err(CliError::new(
                    "there is nothing to be stamped: a timestamp is over the signature, and no key is there to sign",
                )
                .hint("freezeframe key new, --sign-key FILE or --kms-key ARN")
                .outcome(Outcome::Usage));
            }
            sealing.stamped_by(Tsa::new(&self.connector, address));
        }
        Ok(Arc::new(sealing))
    }

    /// The cases that lie beside this one: what they hold is not restored under them.
    async fn other_cases(&self, case_dir: &Path, screen: Screen) -> Result<OtherCases, CliError> {
        let parent = case_dir.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let siblings = Siblings { parent: parent.to_path_buf(), own: case_dir.file_name().unwrap_or_default().to_os_string() };
        let others = OtherCases::open(Box::new(siblings), self.clock.clone())
            .await
            .map_err(|e| CliError::new(format!("cannot read the other cases in {}", parent.display())).because(e))?;
        for (name, why) in others.unreadable() {
            screen.remark(&format!("warning: the journal of case {name} cannot be read, so what it holds is not known: {why}"));
        }
        Ok(others)
    }
}

pub fn connection(error: PreflightError) -> CliError {
    let hint = match &error {
        PreflightError::Connect(ConnectError::NoRegion) => Some(ConnectError::NoRegion.hint().to_string()),
        other => other.hint(),
    };
    let usage =
        matches!(error, PreflightError::Target(_) | PreflightError::NotARole { .. } | PreflightError::Connect(ConnectError::NoRegion));
    let mut face = CliError::new("could not begin").because(error);
    face.hints.extend(hint);
    if usage { face.outcome(Outcome::Usage) } else { face }
}

pub fn case(args: &CaseArgs) -> Result<(CaseId, PathBuf), CliError> {
    named_case(&args.case, &args.cases)
}

pub fn named_case(name: &str, cases: &Path) -> Result<(CaseId, PathBuf), CliError> {
    let id: CaseId = name.parse().map_err(|e| CliError::new("the case cannot have this name").because(e).outcome(Outcome::Usage))?;
    let dir = cases.join(id.as_str());
    Ok((id, dir))
}

/// Becomes true at the first Ctrl-C. Collection then lets go, records and seals; a write that has begun is brought to its recorded end.
pub fn interrupts(screen: Screen) -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            if *sender.borrow() {
                screen.remark("still draining; what was gathered is being written down");
            } else {
                screen.remark("interrupted: draining, recording, sealing what there is");
            }
            if sender.send(true).is_err() {
                break;
            }
        }
    });
    receiver
}
