//! `plan`: the dry run.

use super::args::{Global, PlanArgs};
use super::documents::Foretold;
use super::error::CliError;
use super::pinned;
use super::session::{Session, screen};
use crate::aws::record::HeadRecorder;
use crate::engine::survey;
use crate::model::canon;
use crate::model::outcome::Outcome;
use crate::plan::forecast::Forecast;
use std::sync::Arc;

pub async fn plan(global: &Global, args: PlanArgs) -> Result<Outcome, CliError> {
    let playbook = super::run::adjusted(&args.playbook, &args.collect)?;
    let session = Session::connect(global).await?;
    let preflight = session.preflight_or(&args.function, &args.gone.missing()).await?;
    let plan = super::run::make_plan(&playbook, &preflight);
    let screen = screen(global);
    if let Some(out) = &args.out {
        if !plan.contains() {
            return Err(CliError::new(format!("the playbook `{}` changes nothing, so there is nothing to pin", plan.playbook))
                .hint("leave --out away; --json prints the plan")
                .outcome(Outcome::Usage));
        }
        let who = preflight.identity.arn.clone();
        let pinned = survey::pin(&session.connector, &*session.clock, &session.run, &who, &plan)
            .await
            .map_err(|e| CliError::new("cannot look at what the plan would change").because(e))?;
        let bytes = canon::to_vec("the pinned plan", &pinned).map_err(|e| CliError::new("cannot write the plan down").because(e))?;
        pinned::write(out, &bytes, "the pinned plan")?;
        screen.document(&pinned);
        for line in pinned.lines() {
            screen.text(&line);
        }
        screen.remark(&format!("\napprove:    freezeframe approve {}        (another person)", out.display()));
        screen.remark(&format!("carry out:  freezeframe run --plan {} --case …", out.display()));
        return Ok(Outcome::Complete);
    }
    let forecast = match plan.contains() {
        true => Some(survey::forecast(&session.connector, Arc::new(HeadRecorder::default()), &*session.clock, &plan).await),
        false => None,
    };
    screen.document(&Foretold { plan: &plan, forecast: forecast.as_ref() });
    for line in plan.lines().into_iter().chain(forecast.iter().flat_map(Forecast::lines)) {
        screen.text(&line);
    }
    Ok(Outcome::Complete)
}
