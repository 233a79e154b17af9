//! What a restore has not put back, and what it therefore does not switch on: queues, streams, rules and schedules that would feed a function which
//! still cannot work. Each message would fail, and be counted, until it lies in the dead-letter queue; a source that stays off keeps it.
//!
//! What it never does: keep back what somebody named.

use super::log::OpenCell;
use super::restore::{Back, RestoreAsk};
use crate::contain::DynAction;
use crate::model::id::CellId;

/// Cells that stay contained, each with the functions (their ARNs, as journalled) that it was contained for.
#[derive(Debug, Default)]
pub(super) struct StillContained(Vec<(CellId, Vec<String>)>);

impl StillContained {
    pub fn note(&mut self, open: &OpenCell) {
        self.0.push((open.cell.clone(), open.grasps.iter().map(|g| g.target.clone()).collect()));
    }

    /// The same for a cell that was to be put back, if that did not come about.
    pub fn heed(&mut self, open: &OpenCell, back: &Back) {
        let stays = match back {
            Back::HeldElsewhere { .. } | Back::InDoubt { .. } | Back::Drift | Back::Stuck | Back::NotBegun => true,
            // What we found contained and let go is the world's as it was, unless another case keeps it so: that is noted where it is known.
            Back::Restored { .. } | Back::Left { .. } | Back::Over | Back::Released | Back::WouldRestore | Back::Waits { .. } => false,
        };
        if stays {
            self.note(open);
        }
    }

    /// The cell without which this one would only feed failures; none for what feeds nothing, and for what was named.
    pub fn keeps_off(&self, action: &dyn DynAction, open: &OpenCell, ask: &RestoreAsk<'_>) -> Option<CellId> {
        let named = ask.overrule.contains(&open.cell) || ask.only.iter().any(|a| a == open.cell.action());
        if named || !action.spec().feeds() {
            return None;
        }
        let fed = |target: &String| open.grasps.iter().any(|g| g.target == *target);
        self.0.iter().find(|(cell, targets)| *cell != open.cell && targets.iter().any(fed)).map(|(cell, _)| cell.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contain::find;
    use crate::engine::log::{Grasp, Grip};
    use crate::model::id::RunId;
    use serde_json::json;

    fn open(cell: &str, targets: &[&str]) -> OpenCell {
        let grasp =
            |target: &&str| Grasp { run: RunId("r".into()), target: target.to_string(), grip: Grip::Found { state: json!(0) }, at: 0 };
        OpenCell { cell: CellId(cell.into()), grasps: targets.iter().map(grasp).collect(), gave_way: false }
    }

    #[test]
    fn a_source_is_kept_off_by_its_own_function_alone_and_never_when_it_is_named() {
        let mapping = find("pause-event-source-mappings").unwrap();
        let (ours, theirs) = (open("pause-event-source-mappings/1", &["f"]), open("pause-event-source-mappings/2", &["g"]));
        let quarantine = open("quarantine-role/r/p", &["e", "f"]);
        let mut still = StillContained::default();
        for back in [Back::Restored { wrote: true }, Back::Left { what: "x".into() }, Back::Over, Back::Released, Back::WouldRestore] {
            still.heed(&quarantine, &back);
        }
        assert_eq!(still.keeps_off(mapping, &ours, &RestoreAsk::default()), None, "all is back");
        still.heed(&quarantine, &Back::NotBegun);
        assert_eq!(still.keeps_off(mapping, &ours, &RestoreAsk::default()), Some(quarantine.cell));
        assert_eq!(still.keeps_off(mapping, &theirs, &RestoreAsk::default()), None, "another function of the case");
        assert_eq!(
            still.keeps_off(find("freeze-concurrency").unwrap(), &open("freeze-concurrency/f", &["f"]), &RestoreAsk::default()),
            None
        );
        let named = RestoreAsk { only: &["pause-event-source-mappings".into()], ..RestoreAsk::default() };
        assert_eq!(still.keeps_off(mapping, &ours, &named), None);
        let named = RestoreAsk { overrule: std::slice::from_ref(&ours.cell), ..RestoreAsk::default() };
        assert_eq!(still.keeps_off(mapping, &ours, &named), None);
    }
}
