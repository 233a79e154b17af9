//! How a hold ends: the line that ends it stands behind the look that it tells of, and nothing about the cell stands between the two.
//!
//! Another run of the case may be writing: its intent stands, its write has not been told of. If the write lands after the look and is told of
//! before the line, the line would end a hold over something that is contained. So it is not appended then, and the cell is looked at again. What
//! is told of after the line opens the hold again ([`super::log::open_cells`]).

use super::log::{Grip, OpenCell, open_cells};
use super::restore::{Back, RestoreAsk, RestoredCell};
use super::saga::{Saga, Trouble};
use crate::model::id::CellId;
use crate::model::journal_event::JournalEvent;

impl Saga<'_> {
    /// The same as [`Saga::end_as`], unless it is a dry run.
    pub(super) async fn end(&self, ask: &RestoreAsk<'_>, open: &OpenCell, cell: &CellId, wrote: bool, seen: usize) -> Result<(), Trouble> {
        if ask.dry_run { Ok(()) } else { self.end_as(open, cell, wrote, seen).await }
    }

    /// The holds that we knew of end; one that another run took since goes on. So do all of them if a write of theirs was told of behind the
    /// `seen` lines that were there before the look: see [`Saga::ended`].
    pub(super) async fn end_as(&self, open: &OpenCell, cell: &CellId, wrote: bool, seen: usize) -> Result<(), Trouble> {
        let through = u64::try_from(open.newest()).ok().map(|at| at + 1);
        let event = JournalEvent::Restored { run: self.run.clone(), cell: cell.clone(), wrote, through };
        let told = |event: &JournalEvent| match event {
            JournalEvent::Applied { run, cell: c } | JournalEvent::ApplyFailed { run, cell: c, .. } => {
                c == cell && open.grasps.iter().any(|g| g.run == *run && *run != *self.run && matches!(g.grip, Grip::Wrote { .. }))
            }
            _ => false,
        };
        self.log.append_unless(event, seen, &told).await.map(drop).map_err(|e| Trouble::of(&e))
    }

    /// Whether what was to end has ended, by all that the journal says now.
    pub(super) fn ended(&self, open: &OpenCell, entry: &RestoredCell) -> bool {
        let to_end = matches!(entry.back, Back::Restored { .. } | Back::Left { .. } | Back::Over | Back::Released);
        let now = to_end.then(|| open_cells(&self.log.events())).into_iter().flatten().find(|o| o.cell == open.cell);
        now.is_none_or(|now| now.grasps.iter().all(|g| !open.grasps.contains(g)))
    }
}
