//! The context of one action: its clients (taped, fenced to its calls), target and parameters.

use super::{ActError, ActionSpec};
use crate::aws::fault::Fault;
use crate::aws::raw::RawCall;
use crate::aws::record::{Recorder, UnitScope};
use crate::aws::tape::{self, Listening};
use crate::aws::{Aws, Connector};
use crate::model::call::Call;
use crate::model::digest::Sha256;
use crate::model::id::{CellId, RunId};
use crate::model::item::Group;
use crate::model::params::Params;
use crate::model::target::Target;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A list that goes on after this many pages is a bug or an attack.
const PAGES: u32 = 1_000;

pub struct ActCx<'r> {
    target: &'r Target,
    params: &'r Params,
    aws: Aws,
    remarks: Mutex<Vec<String>>,
    shortfalls: Mutex<Vec<ActError>>,
    run: Option<RunId>,
    /// Revisions as they were last read, by cell.
    revisions: Mutex<BTreeMap<CellId, String>>,
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
        ActCx::with(target, params, aws)
    }
    /// For whoever only looks: what the action declares as a write is refused like anything that it does not declare.
    pub fn reading(
        spec: &'static ActionSpec,
        target: &'r Target,
        params: &'r Params,
        connector: &Connector,
        recorder: Arc<dyn Recorder>,
    ) -> Self {
        ActCx::with(target, params, connector.reading(UnitScope { unit: spec.id, group: Group::Contain }, spec.calls, recorder))
    }
    fn with(target: &'r Target, params: &'r Params, aws: Aws) -> Self {
        ActCx {
            target,
            params,
            aws,
            run: None,
            revisions: Mutex::default(),
            remarks: Mutex::default(),
            shortfalls: Mutex::default(),
            held: vec![],
            aws_time: Mutex::default(),
        }
    }
    /// For tokens that make a write of this run idempotent.
    pub fn of_run(self, run: &RunId) -> Self {
        ActCx { run: Some(run.clone()), ..self }
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

    /// A word for the report where there is nothing to contain, or less than was asked for, and nothing went wrong.
    pub fn remark(&self, words: String) {
        self.remarks.lock().unwrap_or_else(PoisonError::into_inner).push(words);
    }
    pub fn remarks(&self) -> Vec<String> {
        self.remarks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Of what the action was to contain, a part that it has no cell for, and why: told as if that part were an action of its own, so that no run
    /// is complete that left it out. What was found goes on.
    pub fn shortfall(&self, why: ActError) {
        self.shortfalls.lock().unwrap_or_else(PoisonError::into_inner).push(why);
    }
    pub fn shortfalls(&self) -> Vec<ActError> {
        self.shortfalls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same for a write of the same run to the same cell, and for nothing else: AWS takes a repeated write with it as done. Sixty-four
    /// characters, as much as any service takes.
    pub fn token(&self, cell: &CellId, operation: &str) -> String {
        let run = self.run.as_ref().map_or("", |r| r.0.as_str());
        Sha256::of(format!("{run}\0{cell}\0{operation}").as_bytes()).to_string()
    }

    /// Keep what tells the revision that a read of the cell met from any other (AWS's id of it, or the text itself), for the write that follows
    /// from this read: it must not be made when somebody else came in between.
    pub fn note_revision(&self, cell: &CellId, revision: Option<&str>) {
        let mut all = self.revisions.lock().unwrap_or_else(PoisonError::into_inner);
        match revision {
            Some(revision) => all.insert(cell.clone(), revision.to_string()),
            None => all.remove(cell),
        };
    }
    /// The revision that was last read.
    pub fn revision(&self, cell: &CellId) -> Option<String> {
        self.revisions.lock().unwrap_or_else(PoisonError::into_inner).get(cell).cloned()
    }

    /// One call over the raw path to a service that answers in JSON; an empty answer is null.
    pub async fn ask(&self, call: &Call, doing: &str, raw: RawCall) -> Result<Value, ActError> {
        let bytes = self.call(call, doing, self.aws.raw(raw)).await?;
        Ok(serde_json::from_slice(&bytes).unwrap_or_default())
    }

    /// A list over the raw path, all pages of it: `list` and `next` are what the answer calls its entries and the token for more.
    pub async fn ask_all(
        &self,
        call: &Call,
        doing: &str,
        (list, next): (&str, &str),
        page: impl Fn(Option<&str>) -> RawCall,
    ) -> Result<Vec<Value>, ActError> {
        let mut all = vec![];
        let mut token: Option<String> = None;
        for _ in 0..PAGES {
            let mut answer = self.ask(call, doing, page(token.as_deref())).await?;
            if let Some(Value::Array(entries)) = answer.get_mut(list).map(Value::take) {
                all.extend(entries);
            }
            match answer[next].as_str().filter(|t| !t.is_empty()) {
                None => return Ok(all),
                Some(same) if Some(same) == token.as_deref() => break,
                Some(more) => token = Some(more.to_string()),
            }
        }
        Err(ActError::Refused(format!("{doing}: the list has no end")))
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
        match self {
            ActError::Call { source, .. } => source.class == crate::aws::fault::FaultClass::NotFound,
            ActError::Gone { .. } => true,
            _ => false,
        }
    }
    /// The same error as [`ActError::Gone`], where what does not exist is what the cell is part of. Only by the names that Lambda and IAM give it:
    /// a 404 without one may be the word of whoever stands between.
    pub fn gone(self, what: impl Into<String>) -> ActError {
        match self {
            ActError::Call { source, .. } if matches!(source.code.as_deref(), Some("ResourceNotFoundException" | "NoSuchEntity")) => {
                ActError::Gone { what: what.into(), source }
            }
            other => other,
        }
    }
}
