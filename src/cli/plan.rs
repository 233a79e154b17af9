//! `plan`: the dry run.

use super::args::{Global, PlanArgs};
use super::error::CliError;
use super::session::{Session, screen};
use crate::model::outcome::Outcome;

pub async fn plan(global: &Global, args: PlanArgs) -> Result<Outcome, CliError> {
    let playbook = super::playbook::load(&args.playbook)?;
    let session = Session::connect(global).await?;
    let preflight = session.preflight(&args.function).await?;
    let plan = super::run::make_plan(&playbook, &preflight);
    let screen = screen(global);
    screen.document(&plan);
    for line in plan.lines() {
        screen.text(&line);
    }
    Ok(Outcome::Complete)
}
