//! Opening and handing over the bags of a case: the same for evidence, containment and restore.

use super::progress::{Note, Progress};
use super::report::BundleReport;
use super::run::RunError;
use super::script::{Reader, restore_script};
use super::sealing::{self, Sealing};
use super::secrets::{Prepared, Secrets};
use crate::aws::Connector;
use crate::bundle::case_journal::CaseJournal;
use crate::bundle::changes::{ACTIONS, Changes};
use crate::bundle::documents::{BundleKind, PlannedUnit, Previous, UnitEnd};
use crate::bundle::draft::{Draft, DraftError, DraftInfo, NewItem};
use crate::bundle::tool;
use crate::bundle::verify::Verified;
use crate::clock::Clock;
use crate::model::canon;
use crate::model::id::{CaseId, ItemId, RunId};
use crate::model::item::{Group, ItemStatus};
use crate::model::journal_event::JournalEvent;
use crate::model::path::BundlePath;
use crate::model::target::Target;
use crate::store::Store;
use std::path::Path;
use std::sync::Arc;

/// Whose bag it is.
pub(super) struct Bag<'b> {
    pub case: &'b CaseId,
    pub run: &'b RunId,
    pub playbook: &'b str,
    pub operator: &'b str,
    pub target: &'b Target,
    pub journal: &'b CaseJournal,
    pub case_dir: &'b Path,
    pub clock: &'b Arc<dyn Clock>,
    pub sealing: &'b Sealing,
    pub secrets: &'b Secrets,
    pub connector: &'b Connector,
    /// Where the cases lie: the identities of those without recipients are kept there.
    pub beside: &'b dyn Store,
}

impl Bag<'_> {
    /// A new draft, naming the bag that the case sealed before it; and what a person should know of how its secrets are sealed.
    pub async fn open(&self, kind: BundleKind) -> Result<(Arc<Draft>, Prepared), RunError> {
        let info = DraftInfo {
            case: self.case.clone(),
            run: self.run.clone(),
            kind,
            target: self.target.clone(),
            playbook: self.playbook.to_string(),
            operator: self.operator.to_string(),
            tool: tool::record(),
            previous: sealed_bundles(&self.journal.events()).into_iter().next(),
            secrets: self.secrets.order.clone(),
        };
        let draft = Draft::open(self.case_dir, info, self.clock.clone())?;
        draft.set_actor(self.operator);
        // On the heap, as all that is large below a run: a thread of tokio has two megabytes of stack.
        let prepared = Box::pin(self.secrets.prepare(&draft, self.connector, self.beside, self.case)).await?;
        Ok((draft, prepared))
    }

    /// Close a draft for good, and sign what it then is.
    pub async fn seal(&self, draft: &Draft, planned: Vec<PlannedUnit>, finished: bool) -> Result<sealing::Outcome, RunError> {
        Ok(Box::pin(self.sealing.seal(draft, planned, finished, &**self.clock)).await?)
    }

    /// Hand a sealed bag over as a zip, read the zip back as a stranger would, and write its root into the case journal. An unfinished bag
    /// (interrupted run) is handed over too, but not accepted as evidence for containment.
    pub async fn hand_over(
        &self,
        outcome: &sealing::Outcome,
        finished: bool,
        progress: &dyn Progress,
    ) -> Result<(BundleReport, Option<Verified>), RunError> {
        let sealed = &outcome.sealed;
        let path = sealed.zip()?;
        let verified = if finished { Some(Verified::read_back(&path)?) } else { None };
        let event = JournalEvent::Sealed { run: self.run.clone(), bundle: sealed.name().to_string(), root: sealed.root() };
        self.journal.append(event).await?;
        sealed.discard_dir()?;
        let predicate = &sealed.statement().predicate;
        let report = BundleReport {
            name: sealed.name().to_string(),
            kind: predicate.kind,
            bytes: std::fs::metadata(&path).map(|m| m.len()).unwrap_or_default(),
            path,
            root: sealed.root(),
            items: predicate.items,
            gaps: predicate.gaps,
            verified: verified.is_some(),
            signed_by: outcome.signed_by.clone(),
        };
        progress.note(Note::Said(format!("sealed {} ({} items), root {}", report.name, report.items, report.root)));
        Ok((report, verified))
    }
}

/// The bundles that a case has sealed, newest first.
pub fn sealed_bundles(events: &[JournalEvent]) -> Vec<Previous> {
    events
        .iter()
        .rev()
        .filter_map(|e| match e {
            JournalEvent::Sealed { bundle, root, .. } => Some(Previous { bundle: bundle.clone(), root: *root }),
            _ => None,
        })
        .collect()
}

/// One document of our own in a bag, as an item of `unit`.
pub(super) fn put(
    draft: &Draft,
    group: Group,
    unit: &str,
    name: &str,
    subject: &str,
    extension: &str,
    bytes: &[u8],
) -> Result<ItemId, DraftError> {
    let file = draft.put(unit, &BundlePath::below(group.dir(), name, extension), bytes)?;
    draft.add(NewItem { files: vec![file], ..NewItem::new(group, unit, subject, ItemStatus::Collected) })
}

/// What a change of AWS leaves in its bag, as the unit `name`: its report, the run's lines of the case journal, and how everything that the case
/// then holds is put back by hand.
pub(super) fn put_changes<R: serde::Serialize>(
    draft: &Draft,
    name: &str,
    question: &str,
    report: &R,
    journal: &CaseJournal,
    run: &RunId,
) -> Result<PlannedUnit, RunError> {
    let (all, events) = (journal.lines(), journal.events());
    let own = || all.iter().filter(|l| l.event.run() == Some(run));
    draft.set_stated_changes(Changes::of(own().map(|l| &l.event)));
    let mut lines = vec![];
    for line in own() {
        lines.extend(canon::to_vec("a journal line", line)?);
        lines.push(b'\n');
    }
    let report = canon::to_vec("a report", report)?;
    let script = restore_script(&events, &[], Reader::File);
    let actions = put(draft, Group::Contain, name, "actions", "this run's lines of the case journal", "jsonl", &lines)?;
    debug_assert!(draft.item(actions).is_some_and(|i| i.files[0].path.as_str() == ACTIONS), "where `verify` looks for them");
    let items = vec![
        put(draft, Group::Contain, name, name, "every cell: before, after, and how it stands", "json", &report)?,
        actions,
        put(draft, Group::Contain, name, "restore", "how the case is put back with the aws-cli alone", "sh", script.as_bytes())?,
    ];
    Ok(PlannedUnit { unit: name.into(), title: name.into(), question: question.into(), group: Group::Contain, ended: UnitEnd::Done, items })
}
