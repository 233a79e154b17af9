//! `plan`: the dry run.

use super::args::{Global, PlanArgs};
use super::error::CliError;
use super::session::{Session, screen};
use crate::model::outcome::Outcome;

pub async fn plan(global: &Global, args: PlanArgs) -> Result<Outcome, CliError> {
    let playbook = super::run::adjusted(&args.playbook, &args.collect, args.accept)?;
    let session = Session::connect(global).await?;
    let preflight = session.preflight_or(&args.function, &args.gone.missing()).await?;
    let plan = super::run::make_plan(&playbook, &preflight);
    let screen = screen(global);
    screen.document(&plan);
    for line in plan.lines() {
        screen.text(&line);
    }
    Ok(Outcome::Complete)
}
