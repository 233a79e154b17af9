//! The context of one action: its clients (taped, fenced to its calls), target and parameters.

use super::{ActError, ActionSpec};
use crate::aws::fault::Fault;
use crate::aws::record::{Recorder, UnitScope};
use crate::aws::tape::{self, Listening};
use crate::aws::{Aws, Connector};
use crate::model::call::Call;
use crate::model::id::CellId;
use crate::model::item::Group;
use crate::model::params::Params;
use crate::model::target::Target;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use chrono::{DateTime, Utc};
use std::sync::{Arc, Mutex, PoisonError};

pub struct ActCx<'r> {
    target: &'r Target,
    params: &'r Params,
    aws: Aws,
    held: Vec<CellId>,
    /// `Date` of the newest answer.
    aws_time: Mutex<Option<DateTime<Utc>>>,
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
        ActCx { target, params, aws, held: vec![], aws_time: Mutex::default() }
    }
    /// The cells of this action that this case or another one holds already.
    pub fn holding(self, held: Vec<CellId>) -> Self {
        ActCx { held, ..self }
    }
    /// Cells of this action that this case or another one holds: an action whose cells vanish from AWS's lists once they are contained (a
    /// policy that is detached) finds them here, so that a second case holds them too.
    pub fn held(&self) -> &[CellId] {
        &self.held
    }
    /// What AWS's clock said with its newest answer; none before the first one.
    pub fn aws_time(&self) -> Option<DateTime<Utc>> {
        *self.aws_time.lock().unwrap_or_else(PoisonError::into_inner)
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
        let (result, exchanges) = tape::listen(Listening::default(), future).await;
        let date = exchanges.last().and_then(|x| DateTime::parse_from_rfc2822(x.server_date.as_deref()?).ok());
        if let Some(date) = date {
            *self.aws_time.lock().unwrap_or_else(PoisonError::into_inner) = Some(date.to_utc());
        }
        result.map_err(|e| ActError::Call { doing: doing.to_string(), action: call.action, source: Fault::of(&e, &exchanges) })
    }
}

impl ActError {
    /// AWS said that the thing does not exist.
    pub fn is_absent(&self) -> bool {
        matches!(self, ActError::Call { source, .. } if source.class == crate::aws::fault::FaultClass::NotFound)
    }
}
