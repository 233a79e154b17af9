//! `watch`: whether containment holds, line by line; the answer goes into the case journal.

use super::args::{Global, WatchArgs};
use super::error::CliError;
use super::session::{self, Session};
use crate::aws::fault::tame;
use crate::bundle::case_journal::CaseJournal;
use crate::clock::{Clock, SystemClock};
use crate::engine::preflight;
use crate::engine::watch::{self as engine, Change, WatchDoors, WatchError, WatchOrder};
use crate::model::id::CaseId;
use crate::model::outcome::Outcome;
use crate::model::target::TargetSpec;
use crate::store::dir::DirStore;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub async fn watch(global: &Global, args: WatchArgs) -> Result<Outcome, CliError> {
    let screen = session::screen(global);
    let (case, dir, function) = which(&args).await?;
    let session = Session::connect(global).await?;
    let identity = preflight::identify(&session.connector).await.map_err(session::connection)?;
    let store = DirStore::open(&dir).map_err(|e| CliError::new(format!("cannot use the case directory {}", dir.display())).because(e))?;
    let order = WatchOrder {
        case: case.clone(),
        run: session.run.clone(),
        operator: identity.arn,
        account: identity.account,
        function,
        how_long: args.how_long,
        every: args.every,
    };
    // Lines are what was asked for, unless stdout is kept for the document.
    let tell = |change: &Change| {
        let line = tame(&format!("{}  {}", change.at, change.words), 1_000);
        if screen.json { screen.remark(&line) } else { screen.text(&line) }
    };
    let doors = WatchDoors {
        connector: &session.connector,
        store: Arc::new(store),
        clock: session.clock.clone(),
        interrupt: session::interrupts(screen),
        tell: &tell,
    };
    let report = engine::watch(order, doors).await.map_err(|e| {
        let none = matches!(e, WatchError::NothingHeld(_));
        let face = CliError::new(format!("cannot watch case {case}")).because(e);
        if none { face.hint("a case holds what `run` or `contain` changed, until `restore` has put it back") } else { face }
    })?;
    screen.document(&report);
    screen.text(&tame(&report.headline, 4_000));
    if let Some(trouble) = &report.journal {
        screen.text(&format!("NOT RECORDED in the case journal: {}", trouble.what));
    }
    for function in report.functions.iter().filter(|f| f.watched.holding.outcome() == Outcome::Gaps) {
        screen.remark(&format!("\nwatch on:   freezeframe watch {case} --for 20m        ({})", function.watched.target));
    }
    Ok(report.outcome)
}

/// The case that is meant, and the one function of it, when a function was named.
async fn which(args: &WatchArgs) -> Result<(CaseId, PathBuf, Option<String>), CliError> {
    if let Ok((case, dir)) = session::named_case(&args.what, &args.cases)
        && dir.join("journal").is_dir()
    {
        return Ok((case, dir, None));
    }
    let neither = |why: String| {
        CliError::new(why).hint("name a case, or a function that a case here holds; --cases names where they lie").outcome(Outcome::Usage)
    };
    let shown = tame(&args.what, 200);
    let Ok(spec) = args.what.parse::<TargetSpec>() else { return Err(neither(format!("`{shown}` is neither a case nor a function"))) };
    let mut found = vec![];
    for (case, dir) in cases(&args.cases) {
        for target in functions(&dir).await? {
            let same = |said: &Option<String>, is: &str| said.as_deref().is_none_or(|s| s == is);
            if target.function == spec.function && same(&spec.account, &target.account) && same(&spec.region, &target.region) {
                found.push((case.clone(), dir.clone(), target.arn()));
            }
        }
    }
    match found.as_slice() {
        [] => Err(neither(format!("there is no case `{shown}` in {}, and none there holds a function of that name", args.cases.display()))),
        [(case, dir, arn)] => Ok((case.clone(), dir.clone(), Some(arn.clone()))),
        several => {
            let named: Vec<String> = several.iter().map(|(case, _, arn)| format!("{case} ({arn})")).collect();
            Err(neither(format!("several hold `{shown}`: {}", named.join(", "))).hint("name the case, or the function by its ARN"))
        }
    }
}

fn cases(parent: &Path) -> Vec<(CaseId, PathBuf)> {
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    let mut all: Vec<(CaseId, PathBuf)> = entries
        .filter(|e| e.path().join("journal").is_dir())
        .filter_map(|e| Some((e.file_name().to_str()?.parse().ok()?, e.path())))
        .collect();
    all.sort_by(|a, b| a.0.as_str().cmp(b.0.as_str()));
    all
}

async fn functions(dir: &Path) -> Result<Vec<crate::model::target::Target>, CliError> {
    let broken = |e: Box<dyn std::error::Error + Send + Sync>| {
        CliError::new(format!("cannot read the case journal in {}", dir.display())).because(e)
    };
    let store = DirStore::open(dir).map_err(|e| broken(e.into()))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let journal = CaseJournal::open(Arc::new(store), clock, "").await.map_err(|e| broken(e.into()))?;
    Ok(engine::functions(&journal.events()))
}
