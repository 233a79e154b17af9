//! The context of one action: its clients (taped, fenced to its calls), target and parameters.

use super::{ActError, ActionSpec};
use crate::aws::fault::Fault;
use crate::aws::record::{Recorder, UnitScope};
use crate::aws::tape::{self, Listening};
use crate::aws::{Aws, Connector};
use crate::model::call::Call;
use crate::model::item::Group;
use crate::model::params::Params;
use crate::model::target::Target;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use std::sync::Arc;

pub struct ActCx<'r> {
    target: &'r Target,
    params: &'r Params,
    aws: Aws,
}

impl<'r> ActCx<'r> {
    pub fn new(
        spec: &'static ActionSpec,
        target: &'r Target,
        params: &'r Params,
        connector: &Connector,
        recorder: Arc<dyn Recorder>,
    ) -> Self {
        let aws = connector.unit(UnitScope { unit: spec.id, group: Group::Contain }, spec.calls, recorder);
        ActCx { target, params, aws }
    }
    pub fn target(&self) -> &Target {
        self.target
    }
    pub fn params(&self) -> &Params {
        self.params
    }
    pub fn aws(&self) -> &Aws {
        &self.aws
    }

    /// Make one call. The inner error is for callers to whom *not found* is an answer; `doing` says in words what was being done.
    pub async fn call<O, E, F>(&self, call: &Call, doing: &str, future: F) -> Result<O, ActError>
    where
        F: Future<Output = Result<O, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        self.aws.pace().turn(call.service, call.operation, self.aws.region()).await;
        // A census reads names and roles; the answer holds the environment of functions that are no part of the case.
        let discard_body =
            (call.operation == "ListFunctions").then_some("it holds the environment values of functions that are no part of the case");
        let (result, exchanges) = tape::listen(Listening { discard_body, ..Listening::default() }, future).await;
        result.map_err(|e| ActError::Call { doing: doing.to_string(), action: call.action, source: Fault::of(&e, &exchanges) })
    }
}

impl ActError {
    /// AWS said that the thing does not exist.
    pub fn is_absent(&self) -> bool {
        matches!(self, ActError::Call { source, .. } if source.class == crate::aws::fault::FaultClass::NotFound)
    }
}
