//! `snapshot` and `run`: a playbook against a function.

use super::archive;
use super::args::{AcceptArgs, CollectArgs, ControlArgs, Global, KmsArgs, RunArgs, SealArgs, SnapshotArgs};
use super::error::CliError;
use super::guard::{foretold, guarding};
use super::pinned;
use super::render::Screen;
use super::session::{self, Session};
use super::summary;
use crate::archive::{Asked, Place, Vault};
use crate::clock::{Clock as _, SystemClock};
use crate::contain::ContainPermit;
use crate::engine::guard::Guarding;
use crate::engine::preflight::Preflight;
use crate::engine::report::Report;
use crate::engine::run::{self as engine, Doors, Order};
use crate::engine::sealing::Sealing;
use crate::engine::secrets::Secrets;
use crate::engine::survey;
use crate::model::id::CaseId;
use crate::model::outcome::Outcome;
use crate::plan::Plan;
use crate::plan::adjust::Adjustments;
use crate::playbook::{PhaseKind, Playbook, Registry};
use crate::store::Store;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub async fn snapshot(global: &Global, args: SnapshotArgs) -> Result<Outcome, CliError> {
    let (case, dir) = session::case(&args.case)?;
    let playbook = adjusted(args.depth.playbook(), &args.collect, AcceptArgs::default())?;
    let session = Session::connect(global).await?;
    let archive = archive::vault(&session, &args.archive, &playbook).await?;
    let missing = args.gone.missing();
    let (preflight, sealing) = tokio::try_join!(session.preflight_or(&args.function, &missing), session.sealing(&args.seal))?;
    // Nothing is contained, so nothing is guarded.
    let control = session.control(&ControlArgs::default(), &args.case.cases)?;
    let guard = Guarding::default();
    let job = Job {
        case,
        dir,
        playbook,
        preflight,
        guard,
        control,
        permit: None,
        seal: args.seal,
        sealing,
        archive,
        straight: args.archive.straight,
    };
    execute(&session, session::screen(global), job).await
}

pub async fn run(global: &Global, args: RunArgs) -> Result<Outcome, CliError> {
    let (case, dir) = session::case(&args.case)?;
    let screen = session::screen(global);
    if let Some(file) = &args.plan {
        return carry_out(global, &args, file, case, dir).await;
    }
    // clap wants both unless there is a pinned plan.
    let (name, function) = (args.playbook.unwrap_or_default(), args.function.unwrap_or_default());
    let playbook = adjusted(&name, &args.collect, args.accept)?;
    let session = Session::connect(global).await?;
    let archive = archive::vault(&session, &args.archive, &playbook).await?;
    // Beside each other: a playbook that bleeds first has no time to ask KMS beforehand.
    let (preflight, sealing) = tokio::try_join!(session.preflight(&function), session.sealing(&args.seal))?;
    let control = session.control(&args.guard.control, &args.case.cases)?;
    let guard = if playbook.contains() { guarding(&args.guard, &*control, &preflight).await? } else { Guarding::default() };
    if playbook.contains() && !foretold(screen, &guard, &preflight, None) {
        let plan = make_plan(&playbook, &preflight, &args.seal.kms, None);
        confirm(screen, &plan, args.yes)?;
    }
    let job = Job {
        case,
        dir,
        playbook,
        preflight,
        guard,
        control,
        permit: None,
        seal: args.seal,
        sealing,
        archive,
        straight: args.archive.straight,
    };
    execute(&session, screen, job).await
}

/// `run --plan`: exactly that, or nothing.
async fn carry_out(global: &Global, args: &RunArgs, file: &Path, case: CaseId, dir: PathBuf) -> Result<Outcome, CliError> {
    let pinned = pinned::read_plan(file)?;
    let approval = args.approval.as_deref().map(pinned::read_approval).transpose()?;
    let screen = session::screen(global);
    let session = Session::connect(global).await?;
    let archive = archive::vault_of(&session, &args.archive, pinned.plan.phase(PhaseKind::Archive).is_some()).await?;
    let arn = pinned.plan.target.arn();
    let (preflight, sealing) = tokio::try_join!(session.preflight(&arn), session.sealing(&args.seal))?;
    let look = survey::moved(&session.connector, &*session.clock, &session.run, &preflight.identity.arn, &pinned).await;
    let moved = look.map_err(|e| CliError::new("cannot look at what the plan would change").because(e))?;
    if !moved.is_empty() {
        return Err(CliError::new("the world has moved since the plan was made; nothing was done")
            .more(moved.iter().map(|m| format!("  {}: planned {}, found {}", m.what, m.planned, m.found)))
            .hint("look at what moved, then make the plan anew: freezeframe plan … --out plan.json")
            .outcome(Outcome::Refused));
    }
    let control = session.control(&args.guard.control, &args.case.cases)?;
    let guard = guarding(&args.guard, &*control, &preflight).await?;
    if !foretold(screen, &guard, &preflight, approval.as_ref().map(|a| a.approver.as_str())) {
        confirm(screen, &pinned.plan, args.yes)?;
    }
    let order = Order {
        case,
        run: session.run.clone(),
        plan: pinned.plan.clone(),
        pinned: Some(pinned),
        approval,
        trigger: None,
        operator: preflight.identity.arn.clone(),
        preflight: preflight.exchanges,
        guard,
        permit: None,
    };
    carry(&session, screen, order, dir, control, (sealing, args.seal.secrets(), (archive, args.archive.straight))).await
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
    pub guard: Guarding,
    pub control: Arc<dyn Store>,
    pub permit: Option<ContainPermit>,
    /// Where what is sealed is archived, if anywhere.
    pub archive: Option<Vault>,
    /// Carried there while it is made.
    pub straight: bool,
    pub seal: SealArgs,
    pub sealing: Arc<Sealing>,
}

pub fn make_plan(playbook: &Playbook, preflight: &Preflight, kms: &KmsArgs, archive: Option<(&Place, &Asked)>) -> Plan {
    let plan = Plan::make(playbook, &preflight.target, &preflight.known);
    let plan = match &kms.kms_key {
        Some(key) => plan.signed_with(key),
        None => plan,
    };
    let plan = match archive {
        Some((to, asked)) => plan.archived_at(to, asked),
        None => plan,
    };
    let plan = match &kms.secrets_key {
        Some(key) => plan.sealed_with(key),
        None => plan,
    };
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
    let plan = make_plan(&job.playbook, &job.preflight, &job.seal.kms, job.archive.as_ref().map(|v| (&v.to, &v.asked)));
    let order = Order {
        case: job.case,
        run: session.run.clone(),
        plan,
        pinned: None,
        approval: None,
        trigger: None,
        operator: job.preflight.identity.arn.clone(),
        preflight: job.preflight.exchanges,
        guard: job.guard,
        permit: job.permit,
    };
    carry(session, screen, order, job.dir, job.control, (job.sealing, job.seal.secrets(), (job.archive, job.straight))).await
}

async fn carry(
    session: &Session,
    screen: Screen,
    order: Order,
    dir: PathBuf,
    control: Arc<dyn Store>,
    (sealing, secrets, archive): (Arc<Sealing>, Arc<Secrets>, (Option<Vault>, bool)),
) -> Result<Outcome, CliError> {
    let (archive, straight) = archive;
    let doors = Doors { archive, straight, ..session.doors(dir.clone(), control, (sealing, secrets), screen).await? };
    let report: Report = engine::run(order, doors).await.map_err(|e| {
        CliError::new("the run could not be brought to its end")
            .because(e)
            .hint(format!("evidence gathered so far is kept in {}; `freezeframe verify` says what it is worth", dir.display()))
            .hint(format!("if anything was contained: freezeframe restore {}", dir.file_name().unwrap_or_default().to_string_lossy()))
    })?;
    summary::show(screen, &report);
    Ok(report.outcome)
}
