//! What a watch reads of settings: each cell by its own action, which here may read alone; and what else those actions can tell.

use super::look::{LATEST_PUBLISHED, Versions};
use super::promises::{Promise, SCALE};
use super::roles::Standing;
use super::sight::Look;
use crate::aws::Connector;
use crate::aws::fault::tame;
use crate::aws::record::HeadRecorder;
use crate::contain::{self, ActCx, DynAction, Reading};
use crate::engine::log::{OpenCell, restores_begun};
use crate::engine::saga::Trouble;
use crate::model::id::CellId;
use crate::model::journal_event::JournalEvent;
use crate::model::params::Params;
use crate::model::target::Target;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Through whom, and what may be reached.
pub(super) struct Reader<'r> {
    pub connector: &'r Connector,
    /// Of the credentials.
    pub account: &'r str,
}

impl Reader<'_> {
    async fn read(&self, action: &'static dyn DynAction, target: &Target, cell: &CellId) -> Result<Reading<Value>, contain::ActError> {
        let params = Params::default();
        let connector =
            if self.connector.region() == target.region { self.connector.clone() } else { self.connector.in_region(&target.region) };
        let cx = ActCx::reading(action.spec(), target, &params, &connector, Arc::new(HeadRecorder::default()));
        action.read(&cx, cell).await
    }

    /// How the cell looks, and what it reads as.
    pub async fn cell(&self, target: &Target, events: &[JournalEvent], open: &OpenCell) -> (Look, Option<Value>) {
        let Some(action) = contain::find(open.cell.action()) else {
            return (Look::Unread(format!("this build knows no action `{}`", tame(open.cell.action(), 80))), None);
        };
        if target.account != self.account {
            return (Look::Unread(format!("it lies in account {}, the credentials are of {}", target.account, self.account)), None);
        }
        match self.read(action, target, &open.cell).await {
            Ok(Reading::Over) => (Look::Over, None),
            Ok(Reading::Moving) => (Look::Moving, None),
            Ok(Reading::Settled(state)) => {
                let as_left = open.is_ours(|after| action.same(after, &state)) || open.found().is_some_and(|s| action.same(s, &state));
                let look = match (as_left, open.before()) {
                    (true, _) => Look::AsLeft,
                    // Somebody of this case is putting it back just now.
                    (false, _) if restores_begun(events, &open.cell, None).open => Look::Moving,
                    (false, Some(before)) if action.same(before, &state) => Look::AsBefore,
                    (false, _) => Look::Adrift,
                };
                (look, Some(action.shown(&open.cell, &state)))
            }
            Err(e) => (Look::Unread(no(&e)), None),
        }
    }

    /// A managed `$LATEST` that was never published need not stand at zero. Asked only where that decides what the case promises.
    pub async fn forget_unpublished(&self, target: &Target, open: &[OpenCell], versions: &mut Option<Versions>) {
        let scaled: Vec<&str> = open.iter().filter(|o| o.cell.action() == SCALE).map(|o| o.cell.key()).collect();
        let Some(versions) = versions.as_mut().filter(|v| v.managed.contains(LATEST_PUBLISHED) && !scaled.is_empty()) else { return };
        if !scaled.iter().any(|key| key.ends_with(LATEST_PUBLISHED)) && self.never_published(target).await {
            versions.managed.remove(LATEST_PUBLISHED);
        }
    }

    /// Whether nothing of a managed `$LATEST` can run, because it was never published: AWS then knows no scaling of it. Not being able to read
    /// it is no such word.
    async fn never_published(&self, target: &Target) -> bool {
        let Some(action) = contain::find(SCALE) else { return false };
        let cell = CellId::new(SCALE, &format!("{}:{LATEST_PUBLISHED}", target.function));
        self.read(action, target, &cell).await.is_err_and(|e| e.is_absent())
    }

    /// Whether the roles are there that versions name and nothing denies, where the case denies another one. What AWS has said is gone is not asked
    /// about again: if it is made anew, its use is seen in CloudTrail.
    pub async fn standings(
        &self,
        target: &Target,
        promises: &[Promise],
        versions: Option<&Versions>,
        known: &mut BTreeMap<String, Standing>,
    ) {
        let denies: Vec<&Promise> = promises.iter().filter(|p| p.denies_all()).collect();
        let Some(deny) = denies.first() else { return };
        for role in versions.iter().flat_map(|v| v.roles.keys()) {
            if denies.iter().all(|p| p.role() != role) && known.get(role) != Some(&Standing::Gone) {
                known.insert(role.clone(), self.standing(target, &deny.on(role)).await);
            }
        }
    }

    /// Of the role that a cell is on. Asked as the cells of the case are, so that it takes no permission beyond theirs; an action on a role fails
    /// with *absent* when IAM says that there is no such role, and not when it merely knows no such policy.
    async fn standing(&self, target: &Target, cell: &CellId) -> Standing {
        let Some(action) = contain::find(cell.action()) else { return Standing::Unread("no action can ask".into()) };
        if target.account != self.account {
            return Standing::Unread(format!("it lies in account {}, the credentials are of {}", target.account, self.account));
        }
        match self.read(action, target, cell).await {
            Ok(_) => Standing::There,
            Err(e) if e.is_absent() => Standing::Gone,
            Err(e) => Standing::Unread(no(&e)),
        }
    }
}

fn no(error: &contain::ActError) -> String {
    let trouble = Trouble::of(error);
    let lift = trouble.denied.map(|a| format!(" (allow {a})")).unwrap_or_default();
    format!("{}{lift}", trouble.what)
}
