//! Further look-ups that several collectors share (see `facts.rs`): each is made and recorded as the unit's that it belongs to, once in a run,
//! and remembered with its failure. [`LOOKS_UP`] says which unit makes whose, so that a plan with the one holds the other.

use super::cx::{Abort, CollectCx};
use super::event_source_mappings::{self, Mappings};
use super::facts::{Each, Listed, cell};
use super::flow_logs::{self, FlowPlaces};
use super::network_interfaces::{self, Interfaces};
use super::network_paths::{self, Subnets};
use super::reach::VpcFact;
use super::{async_destinations, capacity, tags};
use crate::aws::fault::Fault;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::OnceCell;

/// Units that make a look-up which is recorded as another's. Without the other in the plan its calls would be made and stand in no plan and no
/// IAM policy. (What everybody looks up is always in the plan: `playbook::ALWAYS`.)
pub const LOOKS_UP: &[(&str, &[&str])] = &[
    ("version-code", &["qualified-configuration"]),
    ("layers", &["qualified-configuration"]),
    ("container-image", &["qualified-configuration"]),
    ("code-object", &["qualified-configuration"]),
    ("code-signing", &["qualified-configuration"]),
    ("function-key", &["qualified-configuration"]),
    ("customer-runtime", &["qualified-configuration"]),
    ("file-systems", &["qualified-configuration"]),
    ("delivery-targets", &["async-destinations", "event-source-mappings", "qualified-configuration"]),
    ("deployment", &["tags"]),
    ("network-interfaces", &["capacity", "network-paths", "qualified-configuration"]),
    ("network-paths", &["capacity", "qualified-configuration"]),
    ("network-rules", &["capacity", "network-paths", "qualified-configuration"]),
    ("flow-logs", &["capacity", "network-paths", "network-interfaces", "qualified-configuration"]),
    ("name-resolution", &["capacity", "network-paths", "qualified-configuration"]),
    ("flow-records", &["flow-logs", "capacity", "network-paths", "network-interfaces", "qualified-configuration"]),
];

/// The units whose look-ups `id` makes.
pub fn looks_up(id: &str) -> &'static [&'static str] {
    LOOKS_UP.iter().find(|(unit, _)| *unit == id).map_or(&[], |(_, others)| others)
}

pub(super) type Tags = HashMap<String, String>;

#[derive(Default)]
pub(super) struct Lookups {
    tags: OnceCell<Result<Arc<Tags>, Fault>>,
    mappings: OnceCell<Arc<Mappings>>,
    destinations: OnceCell<Result<Arc<Listed<String>>, Fault>>,
    /// By ARN.
    providers: Each<Result<Arc<VpcFact>, Fault>>,
    subnets: OnceCell<Result<Arc<Subnets>, Fault>>,
    interfaces: OnceCell<Result<Arc<Interfaces>, Fault>>,
    flow_logs: OnceCell<Arc<FlowPlaces>>,
}

impl CollectCx<'_> {
    fn lookups(&self) -> &Lookups {
        &self.shared.facts.lookups
    }

    /// The function's tags.
    pub(super) async fn tags(&self) -> Result<Result<Arc<Tags>, Fault>, Abort> {
        let ask = || async { tags::ask(&self.asking_as(&tags::TAGS)).await };
        self.lookups().tags.get_or_try_init(ask).await.cloned()
    }

    /// The event source mappings of the function, its aliases and versions.
    pub(super) async fn mappings(&self) -> Result<Arc<Mappings>, Abort> {
        let ask = || async { event_source_mappings::ask(&self.asking_as(&event_source_mappings::MAPPINGS)).await.map(Arc::new) };
        self.lookups().mappings.get_or_try_init(ask).await.cloned()
    }

    /// The destinations of asynchronous invocations, of all qualifiers.
    pub(super) async fn destinations(&self) -> Result<Result<Arc<Listed<String>>, Fault>, Abort> {
        let ask = || async { async_destinations::ask(&self.asking_as(&async_destinations::DESTINATIONS)).await };
        self.lookups().destinations.get_or_try_init(ask).await.cloned()
    }

    /// The network of a capacity provider.
    pub(super) async fn provider(&self, arn: &str) -> Result<Result<Arc<VpcFact>, Fault>, Abort> {
        let ask = || async { capacity::ask_provider(&self.asking_as(&capacity::CAPACITY), arn).await };
        cell(&self.lookups().providers, arn).get_or_try_init(ask).await.cloned()
    }

    /// The subnets of the function's configurations; all collectors of one run name the same `ids`.
    pub(super) async fn subnets(&self, ids: &[String]) -> Result<Result<Arc<Subnets>, Fault>, Abort> {
        let ask = || async { network_paths::ask_subnets(&self.asking_as(&network_paths::PATHS), ids).await };
        self.lookups().subnets.get_or_try_init(ask).await.cloned()
    }

    /// Flow logs over the function's network.
    pub(super) async fn flow_logs(&self) -> Result<Arc<FlowPlaces>, Abort> {
        let ask = || async { flow_logs::ask(&self.asking_as(&flow_logs::FLOW)).await.map(Arc::new) };
        self.lookups().flow_logs.get_or_try_init(ask).await.cloned()
    }

    /// The interfaces in those subnets that bear one of those security groups.
    pub(super) async fn interfaces(&self, subnets: &[String], groups: &[String]) -> Result<Result<Arc<Interfaces>, Fault>, Abort> {
        let ask = || async { network_interfaces::ask(&self.asking_as(&network_interfaces::INTERFACES), subnets, groups).await };
        self.lookups().interfaces.get_or_try_init(ask).await.cloned()
    }
}
