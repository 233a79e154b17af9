//! Driving the collectors: all at once, started in the order of the slice, each with its own deadline. A collector that panics becomes a gap of
//! kind *internal*; an interrupt lets go of what is running, records what was lost, and keeps everything else.
//!
//! There is no bound on how many run. The token buckets (`aws/pace.rs`) hand out turns in the order of asking, so the most volatile is asked
//! first, and no more is under way than the buckets let out in a round trip; what a collector streams, it bounds itself. A bound of eight was
//! here once: searches of CloudTrail (two a second) held its places, and the execution role was read two seconds late for no reason.

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
    let mut running = FuturesUnordered::new();
    let mut finished = !*interrupt.borrow();
    let begun = finished;
    if begun {
        for step in steps {
            let spec = step.spec();
            progress.note(Note::UnitStarted { unit: spec.id, title: spec.title });
            running.push(one(step, shared, deadline).map(move |end| (spec.id, end)));
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
            }
            () = interrupted(interrupt) => finished = false,
        }
    }
    // Letting go of what is running finishes its exchanges as dropped; the tape has kept what had arrived.
    drop(running);
    let mut planned = vec![];
    for step in steps {
        let spec = step.spec();
        let ended = match ends.get(spec.id) {
            Some(end) => *end,
            None => {
                let cx = CollectCx::new(step.collector, shared, &step.params);
                cx.gap(GapKind::OutOfTime, "the collector as a whole", "the run was interrupted")?;
                if begun { UnitEnd::CutShort } else { UnitEnd::NotRun }
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
