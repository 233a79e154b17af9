//! Floor 3, reading: one file per collector, one line in [`COLLECTORS`].
//!
//! A collector asks AWS and puts what came back (bytes, absences, gaps) into its context. It returns no data and ends no run: a denied or
//! failing call is a gap, and the run goes on. It can write nothing to AWS (its calls are reads, and the fence holds it to them), name no
//! file freely and print nothing. To add one, copy `template.rs`.

mod code;
mod cx;
mod download;
mod facts;
mod paging;
mod qualifier;
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
mod backlog;
mod credential_activity;
mod digest_signature;
mod enabled_regions;
mod invocation_times;
mod issued_keys;
mod key_ledger;
mod key_signs;
mod log_file;
mod lookup_events;
mod record_filter;
mod telling;
mod trail_archive;
mod trail_digests;
mod trail_files;
mod trail_listing;
mod trail_reading;
mod trails;

pub use backlog::Backlog;
pub use telling::Telling;
// The surface of the Lambda API: every read operation, in every qualifier.
mod async_destinations;
mod capacity;
mod code_object;
mod code_signing;
mod container_image;
pub mod lambda_reads;
mod layers;
mod qualified_configuration;
mod recursion;
mod resource_policy_document;
mod runtime_management;
mod tags;
mod version_code;
// ── invocations ──
mod durable_executions;
mod log_pages;
mod log_query;
mod metrics;
mod trace_retrieval;
mod traces;

pub use cx::{Abort, CollectCx, Shared};
pub use facts::{AliasFact, Facts, FunctionFact, LayerFact, Listed, S3ObjectFact, Told, VersionFact};
pub use qualifier::Qualifier;
// Triggers from both ends; identity in depth.
mod account_mappings;
mod api_gateways;
mod delivery_targets;
mod eventbridge_rules;
mod function_key;
pub mod grants;
mod load_balancer_targets;
mod log_subscriptions;
mod organization_policies;
mod pipes;
mod policy_report;
mod qualified;
mod raw_list;
mod role_simulation;
mod s3_notifications;
mod schedules;
mod service_last_accessed;
mod shared_role_census;
mod sns_subscriptions;
pub mod trigger_table;

// Network, deployment, history.
mod auto_scaling;
mod config_history;
mod deployment;
mod file_systems;
mod flow_logs;
mod flow_records;
mod lookups;
mod name_resolution;
mod network;
mod network_interfaces;
mod network_paths;
mod network_rules;
mod reach;

pub use lookups::{LOOKS_UP, looks_up};
pub use reach::{Reach, VpcFact};
// Detections.
mod access_analyzer_findings;
mod alarm_actions;
mod customer_runtime;
mod edge_associations;
mod event_archives;
mod event_subscribers;
mod guardduty_findings;
mod inspector_findings;
mod named_sources;
mod security_hub_findings;

pub use policy_report::{Policies, PolicyFact};
pub use question::{Answer, Bound, Pages, PagesEnd, Question, Reply};
pub use role_simulation::HIGH_RISK;

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
    // invocations: V5
    &durable_executions::DurableExecutions,
    &metrics::Metrics,
    // invocations: V4
    &recent_invocations::RecentInvocations,
    // Triggers from both ends; identity in depth. Schedules may delete themselves after they ran.
    &schedules::Schedules,
    // Network: interfaces go when Lambda needs them no more.
    &network_interfaces::NetworkInterfaces,
    &flow_records::FlowRecords,
    // Detections: kept for ninety days.
    &guardduty_findings::GuarddutyFindings,
    &security_hub_findings::SecurityHubFindings,
    &inspector_findings::InspectorFindings,
    &access_analyzer_findings::AccessAnalyzerFindings,
    // invocations: V3
    &traces::Traces,
    &control_plane_history::ControlPlaneHistory,
    // What the credentials did, and what could have been seen.
    &enabled_regions::EnabledRegions,
    &credential_activity::CredentialActivity,
    &trails::Trails,
    &trail_archive::TrailArchive,
    // End of the credentials.
    // The surface of the Lambda API. Configurations of the versions first: the addresses of their code are asked for with them.
    &qualified_configuration::QualifiedConfiguration,
    &version_code::VersionCode,
    &layers::Layers,
    &container_image::ContainerImage,
    &code_object::CodeObject,
    &code_signing::CodeSigning,
    &resource_policy_document::ResourcePolicyDocument,
    &async_destinations::AsyncDestinations,
    &runtime_management::RuntimeManagement,
    &recursion::Recursion,
    &capacity::Capacity,
    &tags::Tags,
    // End of the surface of the Lambda API.
    &resource_policy::ResourcePolicy,
    &function_urls::FunctionUrls,
    &event_source_mappings::EventSourceMappings,
    &execution_role::ExecutionRole,
    // Triggers from both ends; identity in depth.
    &account_mappings::AccountMappings,
    &eventbridge_rules::EventbridgeRules,
    &pipes::Pipes,
    &log_subscriptions::LogSubscriptions,
    &s3_notifications::S3Notifications,
    &sns_subscriptions::SnsSubscriptions,
    &api_gateways::ApiGateways,
    &load_balancer_targets::LoadBalancerTargets,
    &delivery_targets::DeliveryTargets,
    &function_key::FunctionKey,
    // Detections: the triggers that came with them.
    &event_subscribers::EventSubscribers,
    &event_archives::EventArchives,
    &alarm_actions::AlarmActions,
    &edge_associations::EdgeAssociations,
    &named_sources::NamedSources,
    &customer_runtime::CustomerRuntime,
    // End of detections.
    &role_simulation::RoleSimulation,
    &shared_role_census::SharedRoleCensus,
    &organization_policies::OrganizationPolicies,
    // End of triggers and identity.
    // Network and deployment.
    &network_paths::NetworkPaths,
    &network_rules::NetworkRules,
    &flow_logs::FlowLogs,
    &name_resolution::NameResolution,
    &file_systems::FileSystems,
    &deployment::Deployment,
    &auto_scaling::AutoScaling,
    // End of network and deployment.
    &concurrency::Concurrency,
    &aliases::Aliases,
    &versions::Versions,
    // Triggers from both ends; identity in depth.
    &service_last_accessed::ServiceLastAccessed,
    // History.
    &config_history::ConfigHistory,
];

pub fn find(id: &str) -> Option<&'static dyn Collector> {
    COLLECTORS.iter().copied().find(|c| c.spec().id == id)
}
