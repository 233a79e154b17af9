//! `plan`: the dry run.

use super::args::{Global, PlanArgs};
use super::documents::Foretold;
use super::error::CliError;
use super::guard::guarding;
use super::pinned;
use super::session::{Session, screen};
use crate::aws::record::HeadRecorder;
use crate::engine::guard;
use crate::engine::preflight::Preflight;
use crate::engine::survey;
use crate::model::canon;
use crate::model::outcome::Outcome;
use crate::plan::Plan;
use crate::plan::forecast::Forecast;
use std::path::PathBuf;
use std::sync::Arc;

pub async fn plan(global: &Global, args: PlanArgs) -> Result<Outcome, CliError> {
    let playbook = super::run::adjusted(&args.playbook, &args.collect, args.accept)?;
    let session = Session::connect(global).await?;
    let preflight = session.preflight_or(&args.function, &args.gone.missing()).await?;
    let screen = screen(global);
    let asked = super::archive::asked(&args.archive.how, &*session.clock)?;
    let plan = super::run::make_plan(&playbook, &preflight, &args.kms, args.archive.to.as_ref().map(|to| (to, &asked)));
    let plan = if plan.contains() { judged(&session, &args, &preflight, plan).await? } else { plan };
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

/// The plan with what the guardrails say of it now. They are asked again before anything is written.
async fn judged(session: &Session, args: &PlanArgs, preflight: &Preflight, plan: Plan) -> Result<Plan, CliError> {
    let cases = std::env::var_os("FREEZEFRAME_CASES").map_or_else(|| PathBuf::from("."), PathBuf::from);
    let control = session.control(&args.guard.control, &cases)?;
    let mut guarding = guarding(&args.guard, &*control, preflight).await?;
    // Nobody is in a hurry here, so nothing is left open.
    let (known, _) = guard::look(&session.connector, &plan.target, true).await;
    guarding.known = known;
    let judged = guarding.judge(&plan.target, &preflight.identity.arn, None);
    Ok(plan.objected(judged.refusals.into_iter().chain(judged.of_role).chain(judged.dry_run).collect()))
}
