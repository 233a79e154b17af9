//! STUB of the plan until branch `playbook` is merged.
use crate::model::canon::{self, CanonError};
use crate::model::digest::Sha256;
use crate::model::params::Params;
use crate::model::target::Target;
use crate::playbook::{OnFailure, PhaseKind, Playbook};
use serde::Serialize;
#[derive(Clone, Debug, Serialize)]
pub struct Plan { pub playbook: String, pub target: Target, pub phases: Vec<PlannedPhase>, pub permissions: serde_json::Value }
#[derive(Clone, Debug, Serialize)]
pub struct PlannedPhase { pub phase: PhaseKind, pub on_failure: OnFailure, pub override_reason: Option<String>, pub steps: Vec<PlannedStep> }
#[derive(Clone, Debug, Serialize)]
pub struct PlannedStep { pub unit: String, pub params: Params }
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct PlanError;
impl Plan {
    pub fn make(p: &Playbook, t: &Target) -> Result<Plan, PlanError> {
        let phases = p.phases.iter().map(|ph| PlannedPhase { phase: ph.phase, on_failure: ph.on_failure.unwrap_or_default(), override_reason: ph.overrides.clone(),
            steps: ph.steps.iter().filter(|s| s.enabled).map(|s| PlannedStep { unit: s.unit.id().to_string(), params: s.params.clone() }).collect() }).collect();
        Ok(Plan { playbook: p.name.clone(), target: t.clone(), phases, permissions: serde_json::json!({"all": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}}) })
    }
    pub fn canonical(&self) -> Result<Vec<u8>, CanonError> { canon::to_vec("plan", self) }
    pub fn sha256(&self) -> Result<Sha256, CanonError> { Ok(Sha256::of(&self.canonical()?)) }
    pub fn lines(&self) -> Vec<String> { vec![] }
    pub fn containment_lines(&self) -> Vec<String> { vec![] }
}
