//! `contain`: the contain phase of a playbook, on evidence that the case already holds.

use super::args::{ContainArgs, Global};
use super::error::CliError;
use super::guard::{foretold, guarding};
use super::run::{Job, adjust, confirm, execute, make_plan};
use super::session::{self, Session};
use crate::bundle::case_journal::CaseJournal;
use crate::bundle::documents::BundleKind;
use crate::bundle::verify::Verified;
use crate::contain::ContainPermit;
use crate::engine::bag::sealed_bundles;
use crate::model::outcome::Outcome;
use crate::model::target::Target;
use crate::plan::adjust::Adjustments;
use crate::playbook::PhaseKind;
use crate::store::dir::DirStore;
use std::path::Path;
use std::sync::Arc;

pub async fn contain(global: &Global, args: ContainArgs) -> Result<Outcome, CliError> {
    let (case, dir) = session::case(&args.case)?;
    let mut playbook = super::playbook::load(&args.playbook)?;
    playbook.phases.retain(|p| p.phase == PhaseKind::Contain);
    if playbook.phases.is_empty() {
        return Err(CliError::new(format!("the playbook `{}` contains nothing", playbook.name))
            .hint("choose one with a contain phase: --playbook snapshot-and-contain")
            .outcome(Outcome::Usage));
    }
    let accepted = Adjustments { accept_shared_role: args.accept.accept_shared_role, ..Adjustments::default() };
    adjust(&mut playbook, &accepted, "cannot contain like this")?;
    let screen = session::screen(global);
    let session = Session::connect(global).await?;
    let (preflight, sealing) = tokio::try_join!(session.preflight(&args.function), session.sealing(&args.seal))?;
    let permit = match (evidence(&session, &dir, &preflight.target).await?, &args.without_evidence) {
        (Some(verified), _) => ContainPermit::from_evidence(&verified),
        (None, Some(why)) => ContainPermit::by_override(&preflight.identity.arn, why),
        (None, None) => {
            return Err(CliError::new(format!("case {case} holds no verified evidence of {}", preflight.target))
                .hint(format!("snapshot it first: freezeframe snapshot {} --case {case}", preflight.target.function))
                .hint("or say why there is no time for that: --without-evidence \"…\"")
                .outcome(Outcome::Refused));
        }
    };
    let control = session.control(&args.guard.control, &args.case.cases)?;
    let guard = guarding(&args.guard, &*control, &preflight).await?;
    // A refusal is carried through all the same, so that it stands in report and case journal.
    if !foretold(screen, &guard, &preflight, None) {
        confirm(screen, &make_plan(&playbook, &preflight, &args.seal.kms, None), args.yes)?;
    }
    let job = Job {
        case,
        dir,
        playbook,
        preflight,
        guard,
        control,
        permit: Some(permit),
        seal: args.seal,
        sealing,
        archive: None,
        straight: false,
    };
    execute(&session, screen, job).await
}

/// The newest acquisition of this target in the case that still verifies.
async fn evidence(session: &Session, dir: &Path, target: &Target) -> Result<Option<Verified>, CliError> {
    if !dir.exists() {
        return Ok(None);
    }
    let broken = |e: Box<dyn std::error::Error + Send + Sync>| CliError::new("cannot read the case journal").because(e);
    let store = DirStore::open(dir).map_err(|e| broken(e.into()))?;
    let journal = CaseJournal::open(Arc::new(store), session.clock.clone(), "").await.map_err(|e| broken(e.into()))?;
    for sealed in sealed_bundles(&journal.events()) {
        let zip = dir.join(format!("{}.zip", sealed.bundle));
        let Ok(verified) = Verified::read_back(&zip) else { continue };
        let v = verified.verification();
        if verified.root() == sealed.root && v.kind == Some(BundleKind::Acquisition) && v.target.as_deref() == Some(target.arn().as_str()) {
            return Ok(Some(verified));
        }
    }
    Ok(None)
}
