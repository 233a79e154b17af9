//! `snapshot` and `run`: a playbook against a function.

use super::args::{AcceptArgs, CollectArgs, Global, RunArgs, SnapshotArgs};
use super::error::CliError;
use super::render::Screen;
use super::session::{self, Session};
use super::summary;
use crate::clock::{Clock as _, SystemClock};
use crate::contain::ContainPermit;
use crate::engine::preflight::Preflight;
use crate::engine::report::Report;
use crate::engine::run::{self as engine, Order};
use crate::model::id::CaseId;
use crate::model::outcome::Outcome;
use crate::plan::Plan;
use crate::plan::adjust::Adjustments;
use crate::playbook::{Playbook, Registry};
use std::path::PathBuf;

pub async fn snapshot(global: &Global, args: SnapshotArgs) -> Result<Outcome, CliError> {
    let (case, dir) = session::case(&args.case)?;
    let playbook = adjusted(args.depth.playbook(), &args.collect, AcceptArgs::default())?;
    let session = Session::connect(global).await?;
    let preflight = session.preflight_or(&args.function, &args.gone.missing()).await?;
    let job = Job { case, dir, playbook, preflight, permit: None };
    execute(&session, session::screen(global), job).await
}

pub async fn run(global: &Global, args: RunArgs) -> Result<Outcome, CliError> {
    let (case, dir) = session::case(&args.case)?;
    let playbook = adjusted(&args.playbook, &args.collect, args.accept)?;
    let screen = session::screen(global);
    let session = Session::connect(global).await?;
    let preflight = session.preflight(&args.function).await?;
    if playbook.contains() {
        let plan = make_plan(&playbook, &preflight);
        confirm(screen, &plan, args.yes)?;
    }
    execute(&session, screen, Job { case, dir, playbook, preflight, permit: None }).await
}

/// The playbook, as the operator wants it.
pub fn adjusted(name_or_path: &str, collect: &CollectArgs, accept: AcceptArgs) -> Result<Playbook, CliError> {
    let mut playbook = super::playbook::load(name_or_path)?;
    let adjustments = Adjustments { accept_shared_role: accept.accept_shared_role, ..collect.adjustments() };
    adjust(&mut playbook, &adjustments, "cannot collect like this")?;
    Ok(playbook)
}

pub fn adjust(playbook: &mut Playbook, adjustments: &Adjustments, what: &str) -> Result<(), CliError> {
    adjustments.apply(&Registry::built_in(), playbook, SystemClock::new().now()).map_err(|e| {
        let hint = e.hint().map(str::to_string);
        let mut face = CliError::new(what).because(e).outcome(Outcome::Usage);
        face.hints.extend(hint);
        face
    })
}

/// What a command wants the engine to do.
pub struct Job {
    pub case: CaseId,
    pub dir: PathBuf,
    pub playbook: Playbook,
    pub preflight: Preflight,
    pub permit: Option<ContainPermit>,
}

pub fn make_plan(playbook: &Playbook, preflight: &Preflight) -> Plan {
    let plan = Plan::make(playbook, &preflight.target, &preflight.known);
    match &preflight.gone {
        Some(gone) => plan.of_gone(gone.clone()),
        None => plan,
    }
}

/// Ask before anything is changed in AWS. Without a terminal and without `--yes` the answer is no.
pub fn confirm(screen: Screen, plan: &Plan, yes: bool) -> Result<(), CliError> {
    if yes {
        return Ok(());
    }
    for line in plan.containment_lines() {
        screen.remark(&line);
    }
    let refused = |why: &str| {
        CliError::new(why).hint("--yes contains without asking; `freezeframe plan …` shows every call").outcome(Outcome::Refused)
    };
    match screen.ask(&format!("Contain {} after the evidence is sealed?", plan.target)) {
        Some(true) => Ok(()),
        Some(false) => Err(refused("not confirmed; nothing was done")),
        None => Err(refused("this playbook contains, and there is no terminal to ask on; nothing was done")),
    }
}

pub async fn execute(session: &Session, screen: Screen, job: Job) -> Result<Outcome, CliError> {
    let plan = make_plan(&job.playbook, &job.preflight);
    let order = Order {
        case: job.case,
        run: session.run.clone(),
        plan,
        trigger: None,
        operator: job.preflight.identity.arn.clone(),
        preflight: job.preflight.exchanges,
        permit: job.permit,
    };
    let doors = session.doors(job.dir.clone(), screen).await?;
    let report: Report = engine::run(order, doors).await.map_err(|e| {
        CliError::new("the run could not be brought to its end")
            .because(e)
            .hint(format!("evidence gathered so far is kept in {}; `freezeframe verify` says what it is worth", job.dir.display()))
            .hint(format!("if anything was contained: freezeframe restore {}", job.dir.file_name().unwrap_or_default().to_string_lossy()))
    })?;
    summary::show(screen, &report);
    Ok(report.outcome)
}
