//! `restore`: put back exactly what a case changed, from its journal alone.

use super::args::{Global, RestoreArgs};
use super::documents::RestoreScript;
use super::error::CliError;
use super::render::Screen;
use super::session::{self, Session};
use super::summary;
use crate::bundle::case_journal::CaseJournal;
use crate::clock::SystemClock;
use crate::engine::preflight;
use crate::engine::put_back::{RestoreOrder, put_back};
use crate::engine::script::{Reader, restore_script};
use crate::model::id::{CaseId, CellId};
use crate::model::outcome::Outcome;
use crate::store::dir::DirStore;
use std::path::Path;
use std::sync::Arc;

pub async fn restore(global: &Global, args: RestoreArgs) -> Result<Outcome, CliError> {
    let (case, dir) = session::named_case(&args.case, &args.cases)?;
    if !dir.join("journal").is_dir() {
        return Err(CliError::new(format!("there is no case {case} in {}", args.cases.display()))
            .hint("a case is a directory made by `freezeframe run … --case`; --cases names where they lie")
            .outcome(Outcome::Usage));
    }
    for action in &args.only {
        if crate::contain::find(action).is_none() {
            let known: Vec<&str> = crate::contain::ACTIONS.iter().map(|a| a.spec().id).collect();
            return Err(CliError::new(format!("there is no action `{}`", crate::aws::fault::tame(action, 80)))
                .hint(format!("there are {}", known.join(", ")))
                .outcome(Outcome::Usage));
        }
    }
    let screen = session::screen(global);
    if args.print_script {
        return print_script(screen, &case, &dir, &args.only).await;
    }
    let session = Session::connect(global).await?;
    let identity = preflight::identify(&session.connector).await.map_err(session::connection)?;
    let control = session.control(&args.control, &args.cases)?;
    let sealing = session.sealing(&args.seal).await?;
    let order = |dry_run| RestoreOrder {
        case: case.clone(),
        run: session.run.clone(),
        operator: identity.arn.clone(),
        account: identity.account.clone(),
        only: args.only.clone(),
        overrule: args.overrule.iter().map(|c| CellId(c.clone())).collect(),
        dry_run,
    };
    let failed = |e| {
        CliError::new("the restore could not be brought to its end")
            .because(e)
            .hint(format!("run it again: freezeframe restore {case}; what was put back is recorded and will not be written twice"))
    };
    if !args.dry_run && !args.yes {
        let foretold =
            put_back(order(true), session.doors(dir.clone(), control.clone(), (sealing.clone(), args.seal.secrets()), screen).await?)
                .await
                .map_err(failed)?;
        if foretold.restoration.as_ref().is_some_and(|r| !r.cells.is_empty()) {
            summary::cells(screen, &foretold);
            let refused = |why: &str| {
                CliError::new(why).hint("--yes restores without asking; --dry-run shows what would be done").outcome(Outcome::Refused)
            };
            match screen.ask(&format!("Restore case {case}?")) {
                Some(true) => {}
                Some(false) => return Err(refused("not confirmed; nothing was done")),
                None => return Err(refused("there is no terminal to ask on; nothing was done")),
            }
        }
    }
    let report =
        put_back(order(args.dry_run), session.doors(dir, control, (sealing, args.seal.secrets()), screen).await?).await.map_err(failed)?;
    summary::show(screen, &report);
    Ok(report.outcome)
}

/// From the journal alone: no credentials are needed, and none are looked for.
async fn print_script(screen: Screen, case: &CaseId, dir: &Path, only: &[String]) -> Result<Outcome, CliError> {
    let broken = |e: Box<dyn std::error::Error + Send + Sync>| CliError::new("cannot read the case journal").because(e);
    let store = DirStore::open(dir).map_err(|e| broken(e.into()))?;
    let journal = CaseJournal::open(Arc::new(store), Arc::new(SystemClock::new()), "").await.map_err(|e| broken(e.into()))?;
    let reader = if screen.is_terminal() { Reader::Terminal } else { Reader::File };
    let script = restore_script(&journal.events(), only, reader);
    screen.text(script.trim_end());
    screen.document(&RestoreScript { v: 1, case: case.to_string(), script });
    Ok(Outcome::Complete)
}
