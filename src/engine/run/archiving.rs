//! The archive phase.

use super::{Running, until};
use crate::archive::{self, Accepted};
use crate::aws::fault::tame_error;
use crate::engine::progress::Note;
use crate::engine::straight;
use crate::model::outcome::Outcome;

impl Running {
    /// Archives what is sealed and not archived yet. What goes wrong is told, and stops nothing: the bundle lies on the disk, and can be archived
    /// again; containment does not wait for a bucket.
    pub(super) async fn archive(&mut self) {
        let Some(vault) = self.doors.archive.clone() else {
            self.report.notes.push("NOT ARCHIVED: the playbook has an archive phase, and no place was named for it".into());
            self.report.outcome = self.report.outcome.worse(Outcome::Failed);
            return;
        };
        for bundle in self.report.bundles.clone() {
            if self.archived.contains(&bundle.name) {
                continue;
            }
            let order = archive::Order {
                bundle: bundle.path.clone(),
                to: vault.to.clone(),
                asked: vault.asked.clone(),
                accepted: Accepted { unfinished_bundle: !bundle.verified, ..vault.accepted },
                run: self.order.run.clone(),
                operator: self.order.operator.clone(),
                signers: self.doors.sealing.signers().clone(),
            };
            let case = archive::Case { journal: &self.journal, store: &*self.doors.store };
            let progress = self.doors.progress.clone();
            let say = move |line: &str| progress.note(Note::Said(line.to_string()));
            let sending = Box::pin(archive::archive(&vault.bucket, &order, Some(case), &say));
            let sent = match self.finished {
                true => until(&mut self.doors.interrupt, true, sending).await,
                // What was carried lies there already: the rest is a matter of seconds, and makes it a bundle.
                false if self.doors.straight => tokio::time::timeout(straight::LAST_MOMENT, sending).await.ok(),
                false => None,
            };
            let failed = match sent {
                Some(Ok(archived)) => {
                    self.report.outcome = self.report.outcome.worse(archived.outcome);
                    self.report.archives.push(archived);
                    self.archived.insert(bundle.name);
                    continue;
                }
                Some(Err(e)) => tame_error(&e, 1000),
                None => "interrupted".to_string(),
            };
            let again = format!("again: freezeframe archive {} {}", bundle.path.display(), vault.to);
            self.report.notes.push(format!("NOT ARCHIVED: {}: {failed}; {again}", bundle.name));
            self.report.outcome = self.report.outcome.worse(Outcome::Failed);
        }
    }
}
