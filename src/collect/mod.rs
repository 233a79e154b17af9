//! Floor 3, reading: one file per collector, one line in [`COLLECTORS`].
//!
//! A collector asks AWS and puts what came back (bytes, absences, gaps) into its context. It returns no data and ends no run: a denied or
//! failing call is a gap, and the run goes on. It can write nothing to AWS (its calls are reads, and the fence holds it to them), name no
//! file freely and print nothing. To add one, copy `template.rs`.

mod cx;
mod download;
mod facts;
mod paging;
mod question;
pub mod template;

mod aliases;
mod caller_identity;
mod concurrency;
mod configuration;
mod control_plane_history;
mod event_source_mappings;
mod execution_role;
mod function_code;
mod function_urls;
mod recent_invocations;
mod resource_policy;
mod versions;
// What the credentials did, and what could have been seen.
mod credential_activity;
mod key_ledger;
mod log_file;
mod lookup_events;
mod record_filter;
mod telling;
mod trail_archive;
mod trail_digests;
mod trail_files;
mod trails;

pub use telling::Telling;

pub use cx::{Abort, CollectCx, Shared};
pub use facts::{AliasFact, Facts, FunctionFact, Listed, VersionFact};
pub use question::{Answer, Bound, Pages, PagesEnd, Question, Reply};

use crate::model::call::Call;
use crate::model::item::Group;
use crate::model::params::Param;
use async_trait::async_trait;

/// How soon the answer may be gone (`evidence-inventory.md`): the sort key of the slice, most volatile first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub enum Volatility {
    /// Durable or immutable.
    V1,
    /// Overwritten by the next change, without history.
    V2,
    /// Weeks.
    V3,
    /// Hours to days.
    V4,
    /// Minutes.
    V5,
}

#[derive(Debug)]
pub struct CollectorSpec {
    /// Kebab-case; used in playbooks, journal and coverage.
    pub id: &'static str,
    pub title: &'static str,
    /// The investigator's question; a gap quotes it as the question left open.
    pub answers: &'static str,
    pub group: Group,
    pub volatility: Volatility,
    pub calls: &'static [Call],
    pub params: &'static [Param],
}

#[async_trait]
pub trait Collector: Send + Sync {
    fn spec(&self) -> &'static CollectorSpec;
    /// `Err` means only: the evidence itself can no longer be written, stop the whole run.
    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort>;
}

/// All collectors, most volatile first. The order is the order of starting: code before all, because its address dies in ten minutes.
pub static COLLECTORS: &[&dyn Collector] = &[
    &function_code::FunctionCode,
    &configuration::Configuration,
    &caller_identity::CallerIdentity,
    &recent_invocations::RecentInvocations,
    &control_plane_history::ControlPlaneHistory,
    // What the credentials did, and what could have been seen.
    &credential_activity::CredentialActivity,
    &trails::Trails,
    &trail_archive::TrailArchive,
    // End of the credentials.
    &resource_policy::ResourcePolicy,
    &function_urls::FunctionUrls,
    &event_source_mappings::EventSourceMappings,
    &execution_role::ExecutionRole,
    &concurrency::Concurrency,
    &aliases::Aliases,
    &versions::Versions,
];

pub fn find(id: &str) -> Option<&'static dyn Collector> {
    COLLECTORS.iter().copied().find(|c| c.spec().id == id)
}
