//! Driving the collectors: started in the order of the slice, a bounded number at a time, each with its own deadline. A collector that
//! panics becomes a gap of kind *internal*; an interrupt lets go of what is running, records what was lost, and keeps everything else.

use super::progress::{Note, Progress};
use crate::bundle::documents::{PlannedUnit, UnitEnd};
use crate::collect::{Abort, CollectCx, Collector, CollectorSpec, Shared};
use crate::model::gap::GapKind;
use crate::model::params::Params;
use futures_util::FutureExt as _;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::time::Duration;
use tokio::sync::watch;

/// One collector with what its step gave it.
pub struct GatherStep {
    pub collector: &'static dyn Collector,
    pub params: Params,
}

impl GatherStep {
    fn spec(&self) -> &'static CollectorSpec {
        self.collector.spec()
    }
}

/// How many collectors run at a time. More would only queue at the token buckets.
const AT_ONCE: usize = 8;

pub struct Gathered {
    pub planned: Vec<PlannedUnit>,
    /// False when the run was interrupted.
    pub finished: bool,
}

async fn one(step: &GatherStep, shared: &Shared, deadline: Duration) -> Result<UnitEnd, Abort> {
    let cx = CollectCx::new(step.collector, shared, &step.params);
    let work = AssertUnwindSafe(step.collector.collect(&cx)).catch_unwind();
    match tokio::time::timeout(deadline, work).await {
        Ok(Ok(result)) => result.map(|()| UnitEnd::Done),
        Ok(Err(_panic)) => {
            // The panic's text may hold anything (bytes of an answer, say); it went to stderr by the hook and stays out of the bundle.
            cx.gap(GapKind::Internal, "the collector itself", "it panicked; what it had put into the bundle before is kept")?;
            Ok(UnitEnd::Panicked)
        }
        Err(_elapsed) => {
            cx.gap(GapKind::OutOfTime, "the collector as a whole", &format!("it did not end within {} s", deadline.as_secs()))?;
            Ok(UnitEnd::CutShort)
        }
    }
}

/// Ends when somebody interrupts. That nobody can any more (the sender is gone) is no interrupt: then it never ends, and must not hold up
/// whoever waits for something beside it.
async fn interrupted(interrupt: &mut watch::Receiver<bool>) {
    if interrupt.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Run all steps. `Err` only when evidence can no longer be written.
pub async fn gather(
    steps: &[GatherStep],
    shared: &Shared,
    deadline: Duration,
    interrupt: &mut watch::Receiver<bool>,
    progress: &dyn Progress,
) -> Result<Gathered, Abort> {
    let mut ends: BTreeMap<&'static str, UnitEnd> = BTreeMap::new();
    let mut waiting = steps.iter();
    let mut running = FuturesUnordered::new();
    let begin = |step| {
        let spec = GatherStep::spec(step);
        progress.note(Note::UnitStarted { unit: spec.id, title: spec.title });
        one(step, shared, deadline).map(move |end| (spec.id, end))
    };
    let mut finished = !*interrupt.borrow();
    if finished {
        for step in waiting.by_ref().take(AT_ONCE) {
            running.push(begin(step));
        }
    }
    while finished && !running.is_empty() {
        tokio::select! {
            Some((id, end)) = running.next() => {
                ends.insert(id, end?);
                let items = shared.draft.items();
                let own = items.iter().filter(|i| i.collector == id);
                let gaps = own.clone().filter(|i| i.status.gap().is_some()).count();
                progress.note(Note::UnitEnded { unit: id, items: own.count(), gaps });
                if let Some(step) = waiting.next() {
                    running.push(begin(step));
                }
            }
            () = interrupted(interrupt) => finished = false,
        }
    }
    // Letting go of what is running finishes its exchanges as dropped; the tape has kept what had arrived.
    drop(running);
    let begun = steps.len() - waiting.len();
    let mut planned = vec![];
    for (at, step) in steps.iter().enumerate() {
        let spec = step.spec();
        let ended = match ends.get(spec.id) {
            Some(end) => *end,
            None => {
                let cx = CollectCx::new(step.collector, shared, &step.params);
                cx.gap(GapKind::OutOfTime, "the collector as a whole", "the run was interrupted")?;
                if at < begun { UnitEnd::CutShort } else { UnitEnd::NotRun }
            }
        };
        planned.push(PlannedUnit {
            unit: spec.id.to_string(),
            title: spec.title.to_string(),
            question: spec.answers.to_string(),
            group: spec.group,
            ended,
            items: shared.draft.items().iter().filter(|i| i.collector == spec.id).map(|i| i.id).collect(),
        });
    }
    Ok(Gathered { planned, finished })
}
