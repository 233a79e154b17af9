//! What a watch reads of settings: each cell by its own action, which here may read alone.

use super::look::LATEST_PUBLISHED;
use super::promises::SCALE;
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
            Err(e) => {
                let trouble = Trouble::of(&e);
                let lift = trouble.denied.map(|a| format!(" (allow {a})")).unwrap_or_default();
                (Look::Unread(format!("{}{lift}", trouble.what)), None)
            }
        }
    }

    /// Whether nothing of a managed `$LATEST` can run, because it was never published: AWS then knows no scaling of it. Not being able to read
    /// it is no such word.
    pub async fn never_published(&self, target: &Target) -> bool {
        let Some(action) = contain::find(SCALE) else { return false };
        let cell = CellId::new(SCALE, &format!("{}:{LATEST_PUBLISHED}", target.function));
        self.read(action, target, &cell).await.is_err_and(|e| e.is_absent())
    }
}
