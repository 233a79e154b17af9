//! A hold in doubt is a hold: a case whose journal cannot be read may hold anything, so while there is one, restore sets nothing back but what
//! somebody named.
//!
//! What it never does: doubt what needs no write (a cell that is as before already, a hold that merely ends).

use super::log::OpenCell;
use super::restore::{Back, RestoreAsk, RestoredCell};
use super::saga::{Saga, Trouble};
use crate::model::journal_event::JournalEvent;

impl Saga<'_> {
    /// A case of which nobody can say what it holds, and why not. What could not be read is read once more first.
    pub(super) async fn in_doubt(&self) -> Option<(String, String)> {
        self.others.in_doubt()?;
        self.others.look_again().await;
        self.others.in_doubt()
    }

    /// Doubt: whether to go on all the same.
    pub(super) async fn doubt_overruled(&self, open: &OpenCell, ask: &RestoreAsk<'_>, entry: &mut RestoredCell) -> Result<bool, Trouble> {
        // Who named a cell that had drifted as well has said so once.
        let said = std::mem::replace(&mut entry.overruled, ask.overrule.contains(&open.cell));
        if entry.overruled && !said && !ask.dry_run {
            let (run, cell, who) = (self.run.clone(), open.cell.clone(), self.who.to_string());
            self.journal(JournalEvent::DriftOverruled { run, cell, who }).await?;
        }
        Ok(entry.overruled)
    }

    /// Left contained, for all that nobody knows.
    pub(super) async fn doubted(&self, case: String, why: &str, dry_run: bool, entry: &mut RestoredCell) -> Result<(), Trouble> {
        let why = Trouble::saying(format!(
            "the journal of case {case} cannot be read, so it may hold {cell}; make it readable and restore again, or name the cell: \
             --overrule {cell} ({why})",
            cell = entry.cell
        ));
        entry.back = Back::InDoubt { case };
        if dry_run {
            entry.error = Some(why);
            return Ok(());
        }
        self.failed(entry, why).await
    }
}
