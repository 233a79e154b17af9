//! The survey: everything that a plan would change, as it reads now. Made for `plan --out`, and made again right before a pinned plan is carried
//! out: what moved in between is named, and then nothing is done.
//!
//! What it never does: write. It is the saga's dry run and one `GetFunction`.

use super::log::MemLog;
use super::run::RunError;
use super::saga::{Saga, Stand, Step, Unguarded};
use super::{outlook, preflight};
use crate::aws::Connector;
use crate::aws::record::{HeadRecorder, Recorder};
use crate::clock::{self, Clock};
use crate::contain::{self, ContainPermit};
use crate::model::id::{CellId, RunId};
use crate::model::target::Target;
use crate::plan::forecast::{Forecast, foretell};
use crate::plan::pin::{Moved, Pinned, PinnedCell, PinnedTrouble};
use crate::plan::{Plan, PlannedPhase};
use crate::playbook::{OnFailure, PhaseKind};
use std::sync::Arc;

/// The actions of a contain phase, as the saga takes them.
pub(super) fn steps(phase: &PlannedPhase) -> Result<Vec<Step<'_>>, RunError> {
    let step = |s: &'_ crate::plan::PlannedStep| contain::find(&s.unit).ok_or_else(|| RunError::UnknownUnit(s.unit.clone()));
    phase.steps.iter().map(|s| Ok(Step { action: step(s)?, params: &s.params, accept: s.accept })).collect()
}

/// Pin the plan to the world as it is. A function that cannot be looked at is an error: nobody could tell whether it moved.
pub async fn pin(connector: &Connector, clock: &dyn Clock, run: &RunId, who: &str, plan: &Plan) -> Result<Pinned, RunError> {
    let function = preflight::function_now(connector, &plan.target).await.map_err(RunError::Survey)?;
    let forecast = forecast(connector, Arc::new(HeadRecorder::default()), clock, plan).await;
    let (mut cells, mut troubles) = (vec![], vec![]);
    for phase in plan.phases.iter().filter(|p| p.phase == PhaseKind::Contain) {
        let log = MemLog::default();
        let saga = Saga {
            connector,
            recorder: Arc::new(HeadRecorder::default()),
            account: &plan.target.account,
            who,
            run,
            log: &log,
            clock,
            stop: &|| false,
            others: &|_: &CellId, _: &Target| None,
            gate: &Unguarded,
            progress: &|_| {},
        };
        // A dry run changes nothing, so any permit does.
        let permit = ContainPermit::by_override(who, "survey: nothing is written");
        let found = saga.contain(&steps(phase)?, &plan.target, &permit, OnFailure::Hold, true).await;
        cells.extend(found.cells.into_iter().map(|c| PinnedCell {
            action: c.action.to_string(),
            cell: c.cell,
            label: c.label,
            before: c.before,
            after: c.after,
            trouble: c.error.filter(|_| c.stand != Stand::WouldContain).map(|t| t.what),
        }));
        troubles.extend(found.actions.into_iter().map(|a| PinnedTrouble { action: a.action.to_string(), what: a.error.what }));
    }
    Ok(Pinned {
        v: 1,
        nonce: run.to_string(),
        made_at: clock::stamp(clock.now()),
        made_by: who.to_string(),
        plan: plan.clone(),
        function,
        cells,
        forecast,
        troubles,
    })
}

/// What containment would mean here.
pub async fn forecast(connector: &Connector, recorder: Arc<dyn Recorder>, clock: &dyn Clock, plan: &Plan) -> Forecast {
    foretell(plan, &outlook::look(connector, recorder, &plan.target, clock).await)
}

/// What has moved since the plan was pinned.
pub async fn moved(connector: &Connector, clock: &dyn Clock, run: &RunId, who: &str, pinned: &Pinned) -> Result<Vec<Moved>, RunError> {
    let now = pin(connector, clock, run, who, &pinned.plan).await?;
    Ok(pinned.moved(&now))
}
