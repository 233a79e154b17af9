//! What a restore has not put back, and what it therefore does not switch on: queues, streams, rules and schedules that would feed a function which
//! still cannot work. Each message would fail, and be counted, until it lies in the dead-letter queue; a source that stays off keeps it. Which
//! source waits for what the actions say themselves ([`crate::contain::Bearing`]): a source that is kept off without need loses what its retention ends.
//!
//! The function may be contained by others: by another case, or by an earlier run of a case that unwinds. Their journals say what they left and
//! the world says whether it stands. Whether they gave way is no question here: a case that gave way to us is still the author of what we found.
//!
//! Nobody waits for ever. Sources alone wait, and only for what is no source; that is put back by a restore of the case that holds it, which waits
//! for nothing. So of two cases that are restored in turn each has put back all but its sources after one turn, and its sources after the next; what
//! is stuck or has drifted a person looks at, or names the sources.
//!
//! What it never does: keep back what somebody named.

use super::log::OpenCell;
use super::restore::{Back, RestoreAsk};
use super::saga::{Saga, Unread};
use crate::contain::{self, ActionSpec, DynAction};
use crate::model::id::{CellId, RunId};
use crate::model::params::Params;
use serde_json::Value;

/// A cell that stays contained.
struct Kept {
    cell: CellId,
    /// The functions (their ARNs, as journalled) that it was contained for.
    targets: Vec<String>,
    /// `None` is an action that nobody here knows.
    spec: Option<&'static ActionSpec>,
    /// The other case that contained it, where no line of this restore is about it.
    case: Option<String>,
}

/// What stays contained, as far as this restore has come.
pub(super) struct StillContained<'a> {
    actions: &'a [&'static dyn DynAction],
    kept: Vec<Kept>,
    /// What this restore put back, or would, and to which state; `None` is over.
    back: Vec<(CellId, Option<Value>)>,
    /// What others of this case contained, and whether they were asked for already.
    besides: Vec<OpenCell>,
    asked: bool,
}

fn targets(open: &OpenCell) -> Vec<String> {
    open.grasps.iter().map(|g| g.target.clone()).collect()
}

/// Of a cell what other runs than this one took hold of.
pub(super) fn of_other_runs(mut open: OpenCell, run: &RunId) -> Option<OpenCell> {
    open.grasps.retain(|g| g.run != *run);
    (!open.grasps.is_empty()).then_some(open)
}

impl<'a> StillContained<'a> {
    /// `besides` are cells of the same case that this restore leaves as they are.
    pub fn new(actions: &'a [&'static dyn DynAction], besides: Vec<OpenCell>) -> Self {
        StillContained { actions, kept: vec![], back: vec![], besides, asked: false }
    }

    pub fn note(&mut self, open: &OpenCell) {
        let action = self.actions.iter().find(|a| a.spec().id == open.cell.action());
        self.kept.push(Kept { cell: open.cell.clone(), targets: targets(open), spec: action.map(|a| a.spec()), case: None });
    }

    /// The same for a cell that was to be put back, if that did not come about.
    pub fn heed(&mut self, open: &OpenCell, back: &Back) {
        match back {
            Back::HeldElsewhere { .. } | Back::InDoubt { .. } | Back::Drift | Back::Stuck | Back::NotBegun => self.note(open),
            Back::Restored { .. } | Back::WouldRestore => self.back.push((open.cell.clone(), open.before().cloned())),
            Back::Over => self.back.push((open.cell.clone(), None)),
            // What we found contained and let go is the world's as it was, unless somebody else keeps it so: that is noted where it is known.
            Back::Left { .. } | Back::Released | Back::Waits { .. } => {}
        }
    }

    /// Why this one would only feed failures; none for what feeds nothing, and for what was named.
    pub fn keeps_off(&self, action: &dyn DynAction, open: &OpenCell, ask: &RestoreAsk<'_>) -> Option<Back> {
        let named = ask.overrule.contains(&open.cell) || ask.only.iter().any(|a| a == open.cell.action());
        if named {
            return None;
        }
        let fed = |target: &String| open.grasps.iter().any(|g| g.target == *target);
        let hinders = |k: &&Kept| k.cell != open.cell && action.spec().waits_for(k.spec) && k.targets.iter().any(fed);
        self.kept.iter().find(hinders).map(|k| Back::Waits { on: k.cell.clone(), case: k.case.clone() })
    }
}

impl Saga<'_> {
    /// Before the first of our sources: what others have contained on the same functions, and has not been put back.
    pub(super) async fn heed_others(&self, sources: &[String], still: &mut StillContained<'_>) {
        if std::mem::replace(&mut still.asked, true) {
            return;
        }
        let ours = std::mem::take(&mut still.besides).into_iter().map(|open| (None, open));
        let theirs = self.others.contained().into_iter().map(|(case, open)| (Some(case), open));
        for (case, open) in ours.chain(theirs) {
            let action = contain::find(open.cell.action());
            let keeps = action.is_none_or(|a| a.spec().keeps_sources_off());
            if keeps && open.grasps.iter().any(|g| sources.contains(&g.target)) && self.stands(action, &open, still).await {
                still.kept.push(Kept { targets: targets(&open), cell: open.cell, spec: action.map(|a| a.spec()), case });
            }
        }
    }

    /// Whether what somebody else left is not back as it was before him. Not knowing is no such word.
    async fn stands(&self, action: Option<&'static dyn DynAction>, open: &OpenCell, still: &StillContained<'_>) -> bool {
        let Some(action) = action else { return true };
        let state = match still.back.iter().find(|(cell, _)| *cell == open.cell) {
            Some((_, Some(state))) => state.clone(),
            Some((_, None)) => return false,
            None => {
                let (Some(target), params) = (open.target(), Params::default()) else { return true };
                let Ok(cx) = self.cx(action, &target, &params) else { return true };
                match self.settled(action, &cx, &open.cell).await {
                    Ok(state) => state,
                    Err(Unread::Over | Unread::Gone(_)) => return false,
                    Err(Unread::Failed(_) | Unread::Stopped) => return true,
                }
            }
        };
        match (open.before(), open.found()) {
            (Some(before), _) => !action.same(before, &state),
            (None, Some(found)) => action.same(found, &state),
            (None, None) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contain::{ACTIONS, find};
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
        let mut still = StillContained::new(ACTIONS, vec![]);
        let waits = |on: &OpenCell| Some(Back::Waits { on: on.cell.clone(), case: None });
        for back in [Back::Restored { wrote: true }, Back::Left { what: "x".into() }, Back::Over, Back::Released, Back::WouldRestore] {
            still.heed(&quarantine, &back);
        }
        // Not as it was, and nothing that keeps a poller's calls from coming to anything.
        let deny = open("deny-invocation/f:7", &["f"]);
        still.heed(&deny, &Back::Stuck);
        still.heed(&open("enforce-code-signing/f", &["f"]), &Back::Drift);
        assert_eq!(still.keeps_off(mapping, &ours, &RestoreAsk::default()), None, "all is back");
        let rule = open("disable-rules/default/r", &["f"]);
        assert_eq!(still.keeps_off(find("disable-rules").unwrap(), &rule, &RestoreAsk::default()), waits(&deny));
        still.heed(&quarantine, &Back::NotBegun);
        assert_eq!(still.keeps_off(mapping, &ours, &RestoreAsk::default()), waits(&quarantine));
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
