//! Straight to S3 as a part of a run: each bag is carried to the vault while it is made (`archive::straight`), and what the vault then lacks is
//! put by the archive at the end, as ever.
//!
//! What it never does: hold up evidence or containment for a bucket. What went wrong on the way is said in the report, and nothing else.

use super::progress::Note;
use super::run::Running;
use crate::archive;
use crate::archive::straight::Carrier;
use crate::aws::fault::tame_error;
use crate::bundle::draft::{Draft, DraftError};
use std::sync::Arc;
use std::time::Duration;

/// So long the first write waits for what was read before it to be out of this host.
pub(super) const BEFORE_A_WRITE: Duration = Duration::from_secs(3);
/// So long an interrupted run goes on archiving: a function that is about to be cut off has seconds.
pub(super) const LAST_MOMENT: Duration = Duration::from_secs(8);
/// So long a sealed bag waits for its last files to be carried, where somebody waits for containment, or for the end.
const BRIEF: Duration = Duration::from_secs(5);
/// And where nobody does. What is left then is the archive's.
const LONG: Duration = Duration::from_secs(60);
const CASE: Duration = Duration::from_secs(5);

impl Running {
    /// The case journal as it is now, into the vault: whoever finds the bag there finds its case. A place that is another case's is not carried
    /// to.
    pub(super) async fn bring_case(&mut self) {
        let Some(vault) = self.doors.archive.as_ref().filter(|_| self.doors.straight) else { return };
        let case = archive::Case { journal: &self.journal, store: &*self.doors.store };
        let why = match tokio::time::timeout(CASE, archive::journal_too(vault, &self.order.case, case)).await {
            Ok(Ok(())) => return,
            Ok(Err(e @ archive::ArchiveError::Differs { .. })) => {
                self.doors.straight = false;
                self.report.notes.push(format!("NOT CARRIED while it was made: {}", tame_error(&e, 1000)));
                return;
            }
            Ok(Err(e)) => tame_error(&e, 1000),
            Err(_) => format!("there was no answer within {} seconds", CASE.as_secs()),
        };
        self.report.notes.push(format!("the case journal did not come into the vault before collection: {why}"));
    }

    /// Begins to carry a draft that is still empty.
    pub(super) fn carry(&mut self, draft: &Arc<Draft>) -> Result<(), DraftError> {
        let Some(vault) = self.doors.archive.as_ref().filter(|_| self.doors.straight) else { return Ok(()) };
        let Some(place) = vault.to.below(self.order.case.as_str()).and_then(|case| case.below(draft.name())) else {
            self.report.notes.push(format!("NOT CARRIED while it was made: {} cannot have a place below {}", draft.name(), vault.to));
            return Ok(());
        };
        self.doors.progress.note(Note::Said(format!("carrying {} to {place} as it is made", draft.name())));
        self.carrier = Some(Carrier::follow(draft, vault, place)?);
        Ok(())
    }

    /// The draft is closed: its last files and the journal's last segment, as far as they can be had.
    pub(super) async fn land(&mut self) {
        let Some(carrier) = self.carrier.take() else { return };
        let carried = carrier.finish(if self.order.plan.contains() || !self.finished { BRIEF } else { LONG }).await;
        let done = format!("carried {} files ({} bytes) while they were gathered; {} left", carried.files, carried.bytes, carried.left);
        if let Some(trouble) = &carried.trouble {
            self.report.notes.push(format!("not everything could be carried at once, and the archive puts the rest: {done}; {trouble}"));
        }
        self.doors.progress.note(Note::Said(done));
    }
}
