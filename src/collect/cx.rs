//! The context of one collector: its clients, its parameters, and the only ways to put something into the bundle.

use super::facts::{Facts, FunctionFact};
use super::{Collector, CollectorSpec};
use crate::aws::fault::{Fault, FaultClass};
use crate::aws::record::UnitScope;
use crate::aws::tape::{self, Listening};
use crate::aws::{Aws, Connector};
use crate::bundle::documents::StatedTarget;
use crate::bundle::draft::{Draft, DraftError, NewItem};
use crate::model::call::Call;
use crate::model::exchange::Exchange;
use crate::model::gap::GapKind;
use crate::model::id::{ExchangeId, ItemId};
use crate::model::item::{FileRef, ItemStatus, ProviderDigest, Sensitivity};
use crate::model::params::{ParamKind, Params, parse_bytes, parse_duration};
use crate::model::path::BundlePath;
use crate::model::target::Target;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use std::sync::Arc;
use std::time::Duration;

/// Stop the whole run: evidence can no longer be written down.
#[derive(Debug, thiserror::Error)]
pub enum Abort {
    #[error("could not write evidence into the bundle")]
    Evidence(#[from] DraftError),
}

/// What all collectors of one run share.
pub struct Shared {
    pub target: Target,
    pub connector: Connector,
    pub draft: Arc<Draft>,
    pub facts: Facts,
}

/// One question to AWS: which call, in which words, how sensitive the answer may be.
pub struct Question<'q> {
    call: &'q Call,
    subject: String,
    sensitivity: Sensitivity,
    region: Option<String>,
}

impl<'q> Question<'q> {
    pub fn new(call: &'q Call, subject: impl Into<String>) -> Self {
        Question { call, subject: subject.into(), sensitivity: Sensitivity::S1, region: None }
    }
    pub fn sensitivity(mut self, s: Sensitivity) -> Self {
        self.sensitivity = s;
        self
    }
    /// Asked in another Region than the target's: paced there.
    pub fn region(mut self, region: &str) -> Self {
        self.region = Some(region.to_string());
        self
    }
}

/// An answer, with the item that holds it.
pub struct Answer<O> {
    pub output: O,
    pub item: ItemId,
}

/// What became of a question. In every case the item is already in the bundle.
pub enum Reply<O> {
    Got(Answer<O>),
    /// AWS says that it does not exist: an answer, with the fault for whoever needs its words.
    Absent(Fault),
    Gap(Fault),
}

impl<O> Reply<O> {
    pub fn got(self) -> Option<O> {
        match self {
            Reply::Got(a) => Some(a.output),
            Reply::Absent(_) | Reply::Gap(_) => None,
        }
    }
}

/// Limits of a paged question. A limit that bites leaves a gap that says what was left.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    pub pages: u32,
    pub bytes: u64,
}

impl Default for Bound {
    fn default() -> Self {
        // 10,000 pages of anything is an attack or a bug; 256 MiB is more than any list about one function.
        Bound { pages: 10_000, bytes: 256 << 20 }
    }
}

pub struct CollectCx<'r> {
    pub(super) spec: &'static CollectorSpec,
    pub(super) shared: &'r Shared,
    pub(super) params: &'r Params,
    pub(super) aws: Aws,
}

impl<'r> CollectCx<'r> {
    pub fn new(collector: &dyn Collector, shared: &'r Shared, params: &'r Params) -> Self {
        Self::of_spec(collector.spec(), shared, params)
    }

    fn of_spec(spec: &'static CollectorSpec, shared: &'r Shared, params: &'r Params) -> Self {
        let aws = shared.connector.unit(UnitScope { unit: spec.id, group: spec.group }, spec.calls, shared.draft.clone());
        CollectCx { spec, shared, params, aws }
    }

    pub fn aws(&self) -> &Aws {
        &self.aws
    }
    pub fn target(&self) -> &Target {
        &self.shared.target
    }
    pub(super) fn draft(&self) -> &Draft {
        &self.shared.draft
    }

    /// The function as `GetFunction` describes it; asked once per run. `Err` is the fault that the look-up met: record your own gap from it
    /// with [`CollectCx::gap_from`].
    pub async fn function(&self) -> Result<Result<Arc<FunctionFact>, Fault>, Abort> {
        if self.spec.id == super::configuration::CONFIGURATION.id {
            return self.shared.facts.function(self).await;
        }
        let asker = CollectCx::of_spec(&super::configuration::CONFIGURATION, self.shared, self.params);
        self.shared.facts.function(&asker).await
    }

    pub(super) fn state_target(&self, fact: &FunctionFact) {
        self.draft().set_stated_target(StatedTarget {
            arn: self.target().arn(),
            revision_id: fact.revision_id.clone(),
            code_sha256: fact.code_sha256.clone(),
        });
    }

    /// A parameter of this step, or its default. The playbook's lint has checked form and name, so what cannot be read here falls back.
    pub fn duration(&self, name: &str) -> Duration {
        self.params.duration(name).or_else(|| parse_duration(self.default_of(name, ParamKind::Duration))).unwrap_or_default()
    }
    pub fn bytes(&self, name: &str) -> u64 {
        self.params.bytes(name).or_else(|| parse_bytes(self.default_of(name, ParamKind::Bytes))).unwrap_or_default()
    }
    pub fn count(&self, name: &str) -> u64 {
        self.params.count(name).or_else(|| self.default_of(name, ParamKind::Count).parse().ok()).unwrap_or_default()
    }
    fn default_of(&self, name: &str, kind: ParamKind) -> &'static str {
        self.spec.params.iter().find(|p| p.name == name && p.kind == kind).map_or("", |p| p.default)
    }

    /// Ask one question with one call. The item (answer, absence or gap) is written before this returns.
    pub async fn ask<O, E, F>(&self, question: Question<'_>, future: F) -> Result<Reply<O>, Abort>
    where
        F: Future<Output = Result<O, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        self.turn(&question).await;
        let (result, exchanges) = tape::listen(Listening::default(), future).await;
        match result {
            Ok(output) => {
                let item = self.draft().add(self.item(&question, ItemStatus::Collected, &exchanges, None))?;
                Ok(Reply::Got(Answer { output, item }))
            }
            Err(e) => self.no_answer(&question, Fault::of(&e, &exchanges), &exchanges),
        }
    }

    /// Ask a question whose answer comes in pages. `page` makes the call for a token; `next` finds the token of the page after; `each` sees
    /// every page and says how many entries it held. One item holds all pages. What the bound leaves is a gap.
    ///
    /// Returns true when every page was read.
    pub async fn ask_pages<O, E, F, Fut>(
        &self,
        question: Question<'_>,
        bound: Bound,
        mut page: F,
        next: impl Fn(&O) -> Option<String>,
        mut each: impl FnMut(O) -> usize,
    ) -> Result<bool, Abort>
    where
        F: FnMut(Option<String>) -> Fut,
        Fut: Future<Output = Result<O, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let mut all: Vec<Exchange> = vec![];
        let (mut entries, mut bytes, mut pages, mut token) = (0usize, 0u64, 0u32, None::<String>);
        loop {
            self.turn(&question).await;
            let (result, exchanges) = tape::listen(Listening::default(), page(token.clone())).await;
            bytes += exchanges.iter().map(|x| x.body_bytes).sum::<u64>();
            all.extend(exchanges);
            pages += 1;
            let output = match result {
                Ok(output) => output,
                Err(e) => {
                    let mut fault = Fault::of(&e, &all);
                    if pages > 1 {
                        fault.message = format!("page {pages} failed; {entries} entries of the pages before it are kept. {}", fault.message);
                        if fault.class == FaultClass::NotFound {
                            // It existed a page ago: this is no answer about absence.
                            fault.class = FaultClass::Server;
                        }
                    }
                    self.no_answer::<()>(&question, fault, &all)?;
                    return Ok(false);
                }
            };
            let following = next(&output).filter(|t| !t.is_empty());
            entries += each(output);
            let left = match &following {
                None => None,
                Some(t) if Some(t) == token.as_ref() => Some((GapKind::Truncated, "AWS repeated the same page token".to_string())),
                Some(_) if pages >= bound.pages => Some((GapKind::TooLarge, format!("stopped after {pages} pages ({entries} entries); there are more"))),
                Some(_) if bytes >= bound.bytes => Some((GapKind::TooLarge, format!("stopped after {bytes} bytes ({entries} entries); there are more"))),
                Some(_) => {
                    token = following;
                    continue;
                }
            };
            let status = match &left {
                Some((kind, _)) => ItemStatus::Gap(*kind),
                None if entries == 0 => ItemStatus::Empty,
                None => ItemStatus::Collected,
            };
            let complete = left.is_none();
            self.draft().add(self.item(&question, status, &all, left.map(|(_, why)| why)))?;
            return Ok(complete);
        }
    }

    /// Download a presigned address into `wanted`. `digest` is what AWS says the bytes hash to (name and base64 value).
    pub async fn download(
        &self,
        question: Question<'_>,
        url: &str,
        wanted: BundlePath,
        limit: u64,
        digest: Option<(&str, &str)>,
    ) -> Result<Result<ItemId, Fault>, Abort> {
        self.turn(&question).await;
        let (result, exchanges) = self.aws.fetch(question.call.operation, url, wanted, limit).await;
        if let Err(fault) = result {
            self.no_answer::<()>(&question, fault.clone(), &exchanges)?;
            return Ok(Err(fault));
        }
        let mut item = self.item(&question, ItemStatus::Collected, &exchanges, None);
        // Failed attempts stay on record as exchanges; the item's file is the whole body alone.
        item.files = item.files.split_off(item.files.len().saturating_sub(1));
        item.provider_digest = digest.and_then(|(name, value)| {
            let ours = exchanges.last()?.body_sha256?;
            Some(ProviderDigest { name: name.into(), value: value.into(), matches: ours.to_base64() == value })
        });
        Ok(Ok(self.draft().add(item)?))
    }

    /// Write something computed from other items (a parsed table, a comparison).
    pub fn derive(&self, subject: &str, name: &str, extension: &str, bytes: &[u8], from: Vec<ItemId>, sensitivity: Sensitivity) -> Result<ItemId, Abort> {
        let path = BundlePath::below(self.spec.group.dir(), name, extension);
        let file = self.draft().put(&path, bytes)?;
        Ok(self.draft().add(NewItem {
            files: vec![file],
            derived_from: from,
            ..self.blank(subject, ItemStatus::Collected, sensitivity)
        })?)
    }

    /// The question does not arise for this target; `why` in words.
    pub fn not_applicable(&self, subject: &str, why: &str) -> Result<ItemId, Abort> {
        let detail = Some(why.to_string());
        Ok(self.draft().add(NewItem { detail, ..self.blank(subject, ItemStatus::NotApplicable, Sensitivity::S0) })?)
    }

    /// A gap that no call of ours left.
    pub fn gap(&self, kind: GapKind, subject: &str, why: &str) -> Result<ItemId, Abort> {
        let question = Some(self.spec.answers.to_string());
        Ok(self.draft().add(NewItem { detail: Some(why.to_string()), question, ..self.blank(subject, ItemStatus::Gap(kind), Sensitivity::S0) })?)
    }

    /// A shared look-up failed, and so this question could not even be put.
    pub fn gap_from(&self, fault: &Fault, subject: &str) -> Result<ItemId, Abort> {
        if fault.class == FaultClass::NotFound {
            return self.not_applicable(subject, "the function does not exist");
        }
        self.gap(fault.gap_kind(), subject, &format!("the look-up it depends on failed: {fault}"))
    }

    async fn turn(&self, question: &Question<'_>) {
        let region = question.region.as_deref().unwrap_or_else(|| self.aws.region());
        self.aws.pace().turn(question.call.service, question.call.operation, region).await;
    }

    fn no_answer<O>(&self, question: &Question<'_>, fault: Fault, exchanges: &[Exchange]) -> Result<Reply<O>, Abort> {
        if fault.class == FaultClass::NotFound {
            self.draft().add(self.item(question, ItemStatus::NotFound, exchanges, Some(fault.to_string())))?;
            return Ok(Reply::Absent(fault));
        }
        let status = ItemStatus::Gap(fault.gap_kind());
        let mut item = self.item(question, status, exchanges, Some(fault.to_string()));
        item.question = Some(self.spec.answers.to_string());
        item.action = question.call.action.filter(|_| fault.class == FaultClass::Denied).map(str::to_string);
        self.draft().add(item)?;
        Ok(Reply::Gap(fault))
    }

    fn item(&self, question: &Question<'_>, status: ItemStatus, exchanges: &[Exchange], detail: Option<String>) -> NewItem {
        let files: Vec<FileRef> = exchanges.iter().filter_map(|x| self.draft().file_of(x.id)).collect();
        let ids: Vec<ExchangeId> = exchanges.iter().map(|x| x.id).collect();
        NewItem { files, exchanges: ids, detail, ..self.blank(&question.subject, status, question.sensitivity) }
    }

    fn blank(&self, subject: &str, status: ItemStatus, sensitivity: Sensitivity) -> NewItem {
        NewItem {
            group: self.spec.group,
            collector: self.spec.id.to_string(),
            subject: subject.to_string(),
            status,
            sensitivity,
            files: vec![],
            exchanges: vec![],
            derived_from: vec![],
            provider_digest: None,
            detail: None,
            question: None,
            action: None,
        }
    }
}
