//! How a hold ends: the line that ends it stands behind the look that it tells of, and nothing about the cell stands between the two.
//!
//! Another run of the case may be writing: its intent stands, its write has not been told of. If the write lands after the look and is told of
//! before the line, the line would end a hold over something that is contained. So it is not appended then, and the cell is looked at again. What
//! is told of after the line opens the hold again ([`super::log::open_cells`]).

use super::log::{OpenCell, open_cells};
use super::restore::{Back, RestoreAsk};
use super::saga::{Saga, Trouble};
use crate::model::id::{CellId, RunId};
use crate::model::journal_event::JournalEvent;

impl Saga<'_> {
    /// The same as [`Saga::end_as`], unless it is a dry run.
    pub(super) async fn end(&self, ask: &RestoreAsk<'_>, open: &OpenCell, cell: &CellId, wrote: bool, seen: usize) -> Result<(), Trouble> {
        if ask.dry_run { Ok(()) } else { self.end_as(open, cell, wrote, seen).await }
    }

    /// The holds that we knew of end; one that another run took since goes on. So do all of them if a write of theirs was told of behind the
    /// `seen` lines that were there before the look: see [`Saga::still_held`].
    pub(super) async fn end_as(&self, open: &OpenCell, cell: &CellId, wrote: bool, seen: usize) -> Result<(), Trouble> {
        let newest = open.newest();
        let through = u64::try_from(newest).ok().map(|at| at + 1);
        let event = JournalEvent::Restored { run: self.run.clone(), cell: cell.clone(), wrote, through };
        // Whoever meant to write before, whether or not a restore has ended his hold since: his write may have come later than that. Taken before the
        // journal is asked, which looks at each line while nobody else may.
        let intents = self.log.events().into_iter().take(newest + 1);
        let meant: Vec<RunId> = intents
            .filter_map(|e| match e {
                JournalEvent::Intent { run, cell: c, .. } if c == *cell => Some(run),
                _ => None,
            })
            .collect();
        let own = self.is_own(open);
        let told = |event: &JournalEvent| match event {
            JournalEvent::Applied { run, cell: c } | JournalEvent::ApplyFailed { run, cell: c, .. } => {
                c == cell && !own && run != self.run && meant.contains(run)
            }
            _ => false,
        };
        self.log.append_unless(event, seen, &told).await.map(drop).map_err(|e| Trouble::of(&e))
    }

    /// What was to end and has not, by all that the journal says now: the holds that were there, and those before them whose write came late.
    pub(super) fn still_held(&self, open: &OpenCell, back: &Back) -> Option<OpenCell> {
        if !matches!(back, Back::Restored { .. } | Back::Left { .. } | Back::Over | Back::Released) {
            return None;
        }
        let mut now = open_cells(&self.log.events()).into_iter().find(|o| o.cell == open.cell)?;
        let own = self.is_own(open);
        now.grasps.retain(|g| g.at <= open.newest() && (!own || g.run == *self.run));
        Some(now).filter(|now| !now.grasps.is_empty())
    }

    /// Whether a run takes back its own part alone.
    fn is_own(&self, open: &OpenCell) -> bool {
        open.grasps.iter().all(|g| g.run == *self.run)
    }
}
