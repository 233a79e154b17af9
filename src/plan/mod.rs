//! Floor 5: intention; still nothing has happened. A [`Plan`] is a playbook after target and registry have been applied: nothing symbolic is
//! left, every call is named.
//!
//! Printing it *is* the dry run (`render.rs`), its calls give the IAM policies (`permits.rs`), and its digest goes into the bundle's journal
//! before the first call, with its canonical bytes as the first item.
//!
//! What it never does: call AWS. So what depends on the answer of a call is said in words ("once per attached policy"), never as a number.

pub mod adjust;
pub mod approval;
pub mod forecast;
pub mod guard;
mod permits;
pub mod pin;
mod render;
pub mod tables;
mod words;

pub use permits::{ATTACHED, Effect, MANAGED, Permissions, Policy, Statement, never_actions};
pub use words::PARTICULAR;

use crate::bundle::secrets::SEAL_CALLS;
use crate::bundle::signer::KMS_CALLS;
use crate::model::call::{Access, Call, Scope, Service};
use crate::model::canon::{self, CanonError};
use crate::model::digest::Sha256;
use crate::model::item::Group;
use crate::model::kms_key::KmsKey;
use crate::model::params::{Params, SINCE, WINDOW};
use crate::model::refusal::Refusal;
use crate::model::restorable::Accept;
use crate::model::target::Target;
use crate::playbook::{ApprovalRule, OnFailure, Phase, PhaseKind, Playbook, Registry, Step, Unit, needed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `plan.schema.json`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// Version of this form: 1.
    pub v: u32,
    pub playbook: String,
    pub playbook_sha256: Sha256,
    pub title: String,
    pub target: Target,
    /// The function is known to be gone: what it left behind is collected all the same.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub gone: Option<Gone>,
    /// What the guardrails objected to when the plan was made. They are asked again before anything is written.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub objections: Vec<Refusal>,
    /// In the order in which they run.
    pub phases: Vec<PlannedPhase>,
    pub permissions: Permissions,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedPhase {
    pub phase: PhaseKind,
    /// What a failing step does to the steps before it; of meaning in a contain phase only.
    pub on_failure: OnFailure,
    /// Why containment may begin before the evidence is verified.
    #[serde(rename = "override", skip_serializing_if = "Option::is_none", default)]
    pub override_reason: Option<String>,
    /// Whose word is needed before anything is changed.
    #[serde(skip_serializing_if = "ApprovalRule::is_default", default)]
    pub approval: ApprovalRule,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub steps: Vec<PlannedStep>,
    /// Units that the playbook names and leaves off.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub off: Vec<String>,
    /// Units that the playbook would run, and that the operator said to skip.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub skipped: Vec<String>,
}

/// What is known of a function that is gone, and from where: there is no configuration left to say it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Gone {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub role_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub log_group: Option<String>,
    /// Who says so: the operator, or an event of CloudTrail.
    pub source: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedStep {
    pub unit: String,
    pub title: String,
    #[serde(flatten)]
    pub what: What,
    /// All of the unit's parameters, defaults included.
    pub params: Params,
    /// How much less than an exact restore the playbook accepts.
    #[serde(skip_serializing_if = "Accept::is_default", default)]
    pub accept: Accept,
    pub calls: Vec<PlannedCall>,
}

/// What a step is for, in the unit's own words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    Collector {
        /// The investigator's question.
        answers: String,
        group: Group,
    },
    Action {
        stops: String,
        does_not_stop: String,
        side_effects: String,
        restore: String,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedCall {
    pub service: Service,
    pub operation: String,
    /// The IAM action; none for what needs none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub action: Option<String>,
    pub access: Access,
    pub scope: Scope,
    /// How often or when, if not simply once.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub how_often: Option<String>,
}

/// What is asked before a plan is made, and again before a pinned one is carried out: who are we, and is there such a function?
pub static PREFLIGHT: &[Call] = &[
    Call::free(Service::Sts, "GetCallerIdentity"),
    // Not GetFunctionConfiguration: this one every reader may call, and its quota is the roomiest.
    Call::read(Service::Lambda, "GetFunction", "lambda:GetFunction", Scope::Function),
];

/// What a watch asks about a function that is contained, beside the reads of the actions that contained it.
pub static WATCH: &[Call] = &[
    // What ran before: role, log group and timeout of every version.
    Call::read(Service::Lambda, "ListVersionsByFunction", "lambda:ListVersionsByFunction", Scope::Function),
    Call::read(Service::Cloudwatch, "GetMetricData", "cloudwatch:GetMetricData", Scope::Any),
    Call::read(Service::Logs, "FilterLogEvents", "logs:FilterLogEvents", Scope::LogGroup),
    Call::read(Service::Cloudtrail, "LookupEvents", "cloudtrail:LookupEvents", Scope::Any),
];

/// What is known of the target beyond its name, if anything: role and log group narrow the IAM policies, and the guardrails judge by all of it.
#[derive(Clone, Debug, Default)]
pub struct Known {
    pub role_arn: Option<String>,
    pub log_group: Option<String>,
    /// The customer's key for the environment.
    pub kms_key: Option<String>,
    pub tags: guard::Tags,
}

impl Plan {
    pub fn make(playbook: &Playbook, target: &Target, known: &Known) -> Plan {
        Self::make_with(&Registry::built_in(), playbook, target, known)
    }

    /// [`Plan::make`] against a registry of one's own: the one that the playbook was read with.
    pub fn make_with(registry: &Registry, playbook: &Playbook, target: &Target, known: &Known) -> Plan {
        let phases: Vec<PlannedPhase> = playbook.phases.iter().map(|p| phase(registry, p)).collect();
        let permissions = permits::of(&phases, target, known);
        Plan {
            v: 1,
            playbook: playbook.name.clone(),
            playbook_sha256: playbook.sha256,
            title: playbook.title.clone(),
            target: target.clone(),
            gone: None,
            objections: vec![],
            phases,
            permissions,
        }
    }

    /// The same plan for a function that is gone.
    pub fn of_gone(self, gone: Gone) -> Plan {
        Plan { gone: Some(gone), ..self }
    }

    /// The same plan, whose bags are signed with this KMS key.
    pub fn signed_with(mut self, key: &KmsKey) -> Plan {
        self.permissions.add_key("Sign", KMS_CALLS, key);
        self
    }

    /// The same plan, the secrets of whose bags are sealed with this KMS key.
    pub fn sealed_with(mut self, key: &KmsKey) -> Plan {
        self.permissions.add_key("SealSecrets", SEAL_CALLS, key);
        self
    }

    /// The same plan with what the guardrails objected to.
    pub fn objected(self, objections: Vec<Refusal>) -> Plan {
        Plan { objections, ..self }
    }

    /// The bytes that are hashed and that go into the bundle.
    pub fn canonical(&self) -> Result<Vec<u8>, CanonError> {
        canon::to_vec("the plan", self)
    }

    pub fn sha256(&self) -> Result<Sha256, CanonError> {
        Ok(Sha256::of(&self.canonical()?))
    }

    pub fn phase(&self, kind: PhaseKind) -> Option<&PlannedPhase> {
        self.phases.iter().find(|p| p.phase == kind)
    }

    /// Whether carrying it out may change anything in AWS.
    pub fn contains(&self) -> bool {
        self.phase(PhaseKind::Contain).is_some()
    }
}

/// The plan's JSON Schema: file name in `evidence-schema/` and content.
pub fn schema() -> (&'static str, String) {
    crate::bundle::schemas::schema::<Plan>("plan.schema.json", "data/00-plan/plan.json: what was going to be asked and done, resolved")
}

fn phase(registry: &Registry, phase: &Phase) -> PlannedPhase {
    let mut steps: Vec<Step> = phase.steps.iter().filter(|s| s.enabled).cloned().collect();
    if phase.phase == PhaseKind::Collect {
        for unit in needed(&steps).into_iter().filter_map(|id| registry.find(id)) {
            if steps.iter().any(|s| s.unit == unit) {
                continue;
            }
            // Off, or not written down at all: what others need is done, with the parameters that it was given.
            let written = phase.steps.iter().find(|s| s.unit == unit).map(|s| s.params.clone());
            steps.push(Step {
                unit,
                params: written.unwrap_or_default(),
                accept: Accept::default(),
                enabled: true,
                skipped: false,
                at: phase.at,
            });
        }
        // Whatever order the author wrote them in, the most volatile evidence goes first. Actions keep the author's order: there it means something.
        steps.sort_by_key(|s| registry.rank(s.unit));
    }
    let mut left_out: Vec<&Step> = phase.steps.iter().filter(|s| !steps.iter().any(|t| t.unit == s.unit)).collect();
    let off = left_out.iter().filter(|s| !s.skipped).map(|s| s.unit.id().to_string()).collect();
    left_out.sort_by_key(|s| registry.rank(s.unit));
    let skipped = left_out.iter().filter(|s| s.skipped).map(|s| s.unit.id().to_string()).collect();
    PlannedPhase {
        phase: phase.phase,
        on_failure: phase.on_failure.unwrap_or_default(),
        override_reason: phase.overrides.clone(),
        approval: phase.approval,
        steps: steps.iter().map(step).collect(),
        off,
        skipped,
    }
}

fn step(step: &Step) -> PlannedStep {
    planned(step.unit, &step.params, step.accept)
}

fn planned(unit: Unit, given: &Params, accept: Accept) -> PlannedStep {
    let what = match unit {
        Unit::Collector(spec) => What::Collector { answers: spec.answers.to_string(), group: spec.group },
        Unit::Action(spec) => What::Action {
            stops: spec.stops.to_string(),
            does_not_stop: spec.does_not_stop.to_string(),
            side_effects: spec.side_effects.to_string(),
            restore: spec.restore.to_string(),
        },
    };
    let mut params = given.clone();
    // An instant says where the window begins; how long it is by default is then no part of the plan.
    let fixed = params.0.contains_key(SINCE);
    for param in unit.params().iter().filter(|p| !(fixed && p.name == WINDOW)) {
        params.0.entry(param.name.to_string()).or_insert_with(|| Value::String(param.default.to_string()));
    }
    let calls = unit.calls().iter().filter(|c| words::is_made(unit.id(), c, &params)).map(|c| call(unit, c)).collect();
    PlannedStep { unit: unit.id().to_string(), title: unit.title().to_string(), what, params, accept, calls }
}

fn call(unit: Unit, call: &Call) -> PlannedCall {
    PlannedCall {
        service: call.service,
        operation: call.operation.to_string(),
        action: call.action.map(str::to_string),
        access: call.access,
        scope: call.scope,
        how_often: words::how_often(unit.id(), call).map(str::to_string),
    }
}
