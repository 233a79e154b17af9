//! The context of one collector: its clients, its parameters, and the only ways to put something into the bundle.

use super::backlog::Backlog;
use super::code::Stored;
use super::facts::{AliasFact, Facts, FunctionFact, Listed, VersionFact};
use super::qualifier::Qualifier;
use super::question::{Answer, Question, Reply};
use super::telling::Telling;
use super::trail_reading::{NoTrail, TrailReading};
use super::{Collector, CollectorSpec};
use crate::aws::fault::{Fault, FaultClass, tame};
use crate::aws::record::UnitScope;
use crate::aws::tape::{self, Listening};
use crate::aws::{Aws, Connector};
use crate::bundle::documents::StatedTarget;
use crate::bundle::draft::{Draft, DraftError, NewItem};
use crate::model::exchange::{BodyEnd, Exchange};
use crate::model::gap::GapKind;
use crate::model::id::{ExchangeId, ItemId};
use crate::model::item::{FileRef, ItemStatus, Sensitivity};
use crate::model::params::{ParamKind, Params, SINCE, UNTIL, parse_bytes, parse_duration};
use crate::model::path::BundlePath;
use crate::model::regions::Choice;
use crate::model::target::Target;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;

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
    /// What the steps of the plan say, by unit: a look-up that several need is made with the parameters of the unit that it belongs to.
    pub params: BTreeMap<String, Params>,
    /// How far long readings are.
    pub telling: Telling,
    /// What all searches of CloudTrail together still have before them.
    pub backlog: Backlog,
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
    /// This unit's clients in another Region; `None` for the target's own. Whoever takes the Region from an answer has checked its form.
    pub(super) fn aws_in(&self, region: &str) -> Option<Aws> {
        (region != self.aws.region()).then(|| self.aws.in_region(region))
    }
    pub fn target(&self) -> &Target {
        &self.shared.target
    }
    /// One line for whoever waits: progress of a long reading, never a secret.
    pub(super) fn say(&self, line: &str) {
        self.shared.telling.say(line);
    }
    pub(super) fn draft(&self) -> &Draft {
        &self.shared.draft
    }

    /// The function as `GetFunction` describes it; asked once per run. `Err` is the fault that the look-up met: record your own gap from it
    /// with [`CollectCx::gap_from`].
    pub async fn function(&self) -> Result<Result<Arc<FunctionFact>, Fault>, Abort> {
        self.shared.facts.function(&self.asking_as(&super::configuration::CONFIGURATION)).await
    }

    /// The same; of a function that is gone, what the plan knows of it from elsewhere (its role, its log group), where it knows that it is gone.
    pub async fn function_or_told(&self) -> Result<Result<Arc<FunctionFact>, Fault>, Abort> {
        let fault = match self.function().await? {
            Err(fault) if fault.class == FaultClass::NotFound => fault,
            known => return Ok(known),
        };
        let asked = self.draft().items().iter().find(|i| i.collector == super::configuration::CONFIGURATION.id).map(|i| i.id);
        Ok(asked.and_then(|item| self.shared.facts.gone(item)).ok_or(fault))
    }

    /// All versions of the function, `$LATEST` included; asked once per run. What was listed before a failure is kept, and says so.
    pub async fn versions(&self) -> Result<Result<Arc<Listed<VersionFact>>, Fault>, Abort> {
        self.shared.facts.versions(&self.asking_as(&super::versions::VERSIONS)).await
    }

    /// All aliases of the function; asked once per run.
    pub async fn aliases(&self) -> Result<Result<Arc<Listed<AliasFact>>, Fault>, Abort> {
        self.shared.facts.aliases(&self.asking_as(&super::aliases::ALIASES)).await
    }

    /// A version or an alias as `GetFunction` describes it; asked once per run.
    pub async fn qualified(&self, whose: &Qualifier) -> Result<Result<Arc<FunctionFact>, Fault>, Abort> {
        self.shared.facts.qualified(&self.asking_as(&super::qualified_configuration::QUALIFIED_CONFIGURATION), whose).await
    }

    /// Which file of the bundle holds the bytes with this digest.
    pub(super) fn stored_code(&self, digest: &str) -> Arc<OnceCell<Stored>> {
        self.shared.facts.code(digest)
    }

    /// The resource policy of the function or one of its qualifiers; asked once per run.
    pub(super) async fn policy(&self, whose: &str, qualifier: Option<String>) -> Result<super::policy_report::PolicyFact, Abort> {
        self.shared.facts.policy(&self.asking_as(&super::resource_policy::SPEC), whose, qualifier).await
    }

    /// The same as a document, by the newer call; asked once per run.
    pub(super) async fn policy_document(&self, whose: &str, arn: &str) -> Result<super::policy_report::PolicyFact, Abort> {
        self.shared.facts.policy_document(&self.asking_as(&super::resource_policy_document::SPEC), whose, arn).await
    }

    /// The statements of all resource policies of the function and its qualifiers.
    pub async fn policies(&self) -> Result<Arc<super::policy_report::Policies>, Abort> {
        // Boxed: it asks in turn what others ask, and the type of that future would enter everybody's.
        self.shared.facts.policies(self).boxed().await
    }

    /// Regions that the account has enabled; asked once per run. `None` when the answer named none.
    pub(super) async fn enabled_regions(&self) -> Result<Result<Option<Arc<[String]>>, Fault>, Abort> {
        self.shared.facts.enabled_regions(&self.asking_as(&super::enabled_regions::ENABLED_REGIONS)).await
    }

    /// What the files of the trail say that the plan names; read once per run.
    pub(super) async fn trail(&self) -> Result<Result<Arc<TrailReading>, NoTrail>, Abort> {
        let spec = &super::trail_archive::TRAIL_ARCHIVE;
        if self.spec.id != spec.id && !self.shared.params.contains_key(spec.id) {
            return Ok(Err(NoTrail::not_planned()));
        }
        // Boxed: it asks in turn what others ask, and the type of that future would enter everybody's.
        self.shared.facts.trail(&self.asking_as(spec)).boxed().await
    }

    /// Shared look-ups are made and recorded as the unit's that they belong to, whoever needs them first.
    pub(super) fn asking_as(&self, spec: &'static CollectorSpec) -> CollectCx<'r> {
        CollectCx::of_spec(spec, self.shared, self.shared.params.get(spec.id).unwrap_or(self.params))
    }

    /// Now, as AWS's clocks have it: our clock, corrected by what the last answer's `Date` header showed. A window that ends "now" by a
    /// slow clock of ours would leave out the newest events without a word.
    pub fn server_now(&self) -> DateTime<Utc> {
        let now = self.shared.connector.clock().now();
        now.checked_add_signed(self.shared.facts.skew()).unwrap_or(now)
    }

    /// The time between `now − <the duration parameter>` and now, by AWS's clocks; never before 1970. Where the plan states instants
    /// (`since`, `until`: the operator's words, resolved), they hold instead, but for what has not come yet: of that nobody can tell anything.
    pub fn window(&self, name: &str) -> (DateTime<Utc>, DateTime<Utc>) {
        let now = self.server_now();
        let to = self.params.instant(UNTIL).map_or(now, |until| until.min(now));
        let length = TimeDelta::from_std(self.duration(name)).unwrap_or(TimeDelta::MAX);
        let from = self.params.instant(SINCE).or_else(|| to.checked_sub_signed(length)).unwrap_or(DateTime::UNIX_EPOCH);
        (from.clamp(DateTime::UNIX_EPOCH, to.max(DateTime::UNIX_EPOCH)), to)
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
    /// The Regions that a parameter names ([`Choice`]). For `all` the account is asked which it has enabled; where it does not say, that is a
    /// gap, and those that every account has are taken.
    pub async fn regions(&self, name: &str) -> Result<Vec<String>, Abort> {
        const UNKNOWN: &str = "further Regions that the account may have enabled";
        let said = self.params.text(name).unwrap_or_else(|| self.default_of(name, ParamKind::Regions).to_string());
        let choice = Choice::parse(&said).unwrap_or(Choice::Home);
        let mut enabled = None;
        if choice == Choice::All {
            match self.enabled_regions().await? {
                Ok(Some(regions)) => enabled = Some(regions),
                Ok(None) => drop(self.gap(GapKind::Unsupported, UNKNOWN, "the answer names no Region")?),
                Err(fault) if fault.class == FaultClass::NotFound => drop(self.gap(GapKind::Unsupported, UNKNOWN, &fault.to_string())?),
                Err(fault) => drop(self.gap_from_lookup(&super::enabled_regions::ENABLED_REGIONS, &fault, UNKNOWN)?),
            }
        }
        Ok(choice.of(self.target(), enabled.as_deref()))
    }
    pub(super) fn default_of(&self, name: &str, kind: ParamKind) -> &'static str {
        self.spec.params.iter().find(|p| p.name == name && p.kind == kind).map_or("", |p| p.default)
    }

    /// Ask one question with one call. The item (answer, absence or gap) is written before this returns.
    pub async fn ask<O, E, F>(&self, question: Question<'_>, future: F) -> Result<Reply<O>, Abort>
    where
        F: Future<Output = Result<O, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        self.turn(&question).await;
        let (result, exchanges) = self.hear(&question, future).await;
        match result {
            Ok(output) => {
                let (status, detail) = unless_unsaved(ItemStatus::Collected, None, exchanges.last());
                let item = self.draft().add(self.item(&question, status, &exchanges, detail))?;
                Ok(Reply::Got(Answer { output, item, exchanges: exchanges.iter().map(|x| x.id).collect() }))
            }
            Err(e) => {
                let fault = Fault::of(&e, &exchanges);
                self.no_answer(&question, &fault, &exchanges)?;
                Ok(if fault.class == FaultClass::NotFound || question.says_not_in_use(&fault).is_some() {
                    Reply::Absent(fault)
                } else {
                    Reply::Gap(fault)
                })
            }
        }
    }

    /// Run one call and hear its exchanges.
    pub(super) async fn hear<F: Future>(&self, question: &Question<'_>, future: F) -> (F::Output, Vec<Exchange>) {
        let (output, exchanges) = tape::listen(Listening { discard_body: question.withhold, ..Listening::default() }, future).await;
        if let Some(last) = exchanges.last() {
            self.shared.facts.hear(last);
        }
        self.pay(question, &exchanges);
        (output, exchanges)
    }

    /// An answer that is in the bundle, as JSON: for members that the SDK does not know yet. Nothing when it is not there whole, or too large.
    pub(super) fn answer_of(&self, item: ItemId) -> Option<serde_json::Value> {
        const LARGEST: u64 = 4 << 20;
        let exchanges = self.draft().item(item)?.exchanges;
        let file = self.draft().file_of(*exchanges.last()?).filter(|f| f.bytes <= LARGEST)?;
        serde_json::from_reader(std::io::BufReader::new(self.draft().open_file(&file).ok()?)).ok()
    }

    /// Write something computed from other items (a parsed table, a comparison).
    pub fn derive(
        &self,
        subject: &str,
        name: &str,
        extension: &str,
        bytes: &[u8],
        from: Vec<ItemId>,
        sensitivity: Sensitivity,
    ) -> Result<ItemId, Abort> {
        let path = BundlePath::below(self.spec.group.dir(), name, extension);
        let file = self.draft().put(self.spec.id, &path, bytes)?;
        // Nothing of the kind in what was read: an answer, and no evidence of anything.
        let status = if bytes.is_empty() { ItemStatus::Empty } else { ItemStatus::Collected };
        Ok(self.draft().add(NewItem { files: vec![file], derived_from: from, ..self.blank(subject, status, sensitivity) })?)
    }

    /// The same for a file that must lie at a place of its own.
    pub(super) fn made(&self, subject: &str, file: FileRef, from: ItemId) -> Result<ItemId, Abort> {
        let item = NewItem { files: vec![file], derived_from: vec![from], ..self.blank(subject, ItemStatus::Collected, Sensitivity::S0) };
        Ok(self.draft().add(item)?)
    }

    /// The question does not arise for this target; `why` in words.
    pub fn not_applicable(&self, subject: &str, why: &str) -> Result<ItemId, Abort> {
        let detail = Some(why.to_string());
        Ok(self.draft().add(NewItem { detail, ..self.blank(subject, ItemStatus::NotApplicable, Sensitivity::S0) })?)
    }

    /// A gap that no call of ours left.
    pub fn gap(&self, kind: GapKind, subject: &str, why: &str) -> Result<ItemId, Abort> {
        Ok(self.draft().add(NewItem { detail: Some(why.to_string()), ..self.blank(subject, ItemStatus::Gap(kind), Sensitivity::S0) })?)
    }

    /// Nothing names the execution role: neither the configuration nor, of a function that is gone, what is known from elsewhere.
    pub fn gap_without_role(&self, subject: &str) -> Result<ItemId, Abort> {
        if self.shared.facts.is_told() {
            return self.gap(GapKind::NotAcquirable, subject, "the function is gone, and nothing names the role that it had; --role does");
        }
        self.gap(GapKind::Unsupported, subject, "the configuration names no role")
    }

    /// The function look-up failed, and so this question could not even be put.
    pub fn gap_from(&self, fault: &Fault, subject: &str) -> Result<ItemId, Abort> {
        self.gap_from_lookup(&super::configuration::CONFIGURATION, fault, subject)
    }

    /// The same for the look-up that is `made_by`'s: a denial names the action that was missing there.
    pub(super) fn gap_from_lookup(&self, made_by: &CollectorSpec, fault: &Fault, subject: &str) -> Result<ItemId, Abort> {
        if fault.class == FaultClass::NotFound {
            return self.not_applicable(subject, "the function does not exist");
        }
        let detail = Some(format!("the look-up it depends on ({}) failed: {fault}", made_by.title));
        let action = made_by.calls.first().and_then(|c| c.action).filter(|_| fault.class == FaultClass::Denied).map(str::to_string);
        Ok(self.draft().add(NewItem { detail, action, ..self.blank(subject, ItemStatus::Gap(fault.gap_kind()), Sensitivity::S0) })?)
    }

    /// A shared list is not whole: what was listed has been asked about, the rest is this gap.
    pub fn gap_of_rest<T>(&self, listed: &Listed<T>, subject: &str) -> Result<(), Abort> {
        if let Some((kind, why)) = &listed.unfinished {
            self.gap(*kind, subject, &format!("the list it depends on is not whole: {why}"))?;
        }
        Ok(())
    }

    /// Wait, by the run's clock: for something at AWS that takes its time.
    pub(super) async fn pause(&self, how_long: Duration) {
        self.shared.connector.clock().sleep(how_long).await;
    }

    pub(super) async fn turn(&self, question: &Question<'_>) {
        let region = question.region.as_deref().unwrap_or_else(|| self.aws.region());
        self.aws.pace().turn(question.call.service, question.call.operation, region).await;
    }

    /// One turn was waited for; every further attempt is owed.
    pub(super) fn pay(&self, question: &Question<'_>, exchanges: &[Exchange]) {
        let again = exchanges.len().saturating_sub(1);
        if again > 0 {
            let region = question.region.as_deref().unwrap_or_else(|| self.aws.region());
            self.aws.pace().owe(question.call.service, question.call.operation, region, again);
        }
    }

    /// Record that a question was not answered: absence if AWS says so, else a gap.
    pub(super) fn no_answer(&self, question: &Question<'_>, fault: &Fault, exchanges: &[Exchange]) -> Result<ItemId, Abort> {
        if fault.class == FaultClass::NotFound {
            return Ok(self.draft().add(self.item(question, ItemStatus::NotFound, exchanges, Some(fault.to_string())))?);
        }
        if let Some(words) = question.says_not_in_use(fault) {
            return Ok(self.draft().add(self.item(question, ItemStatus::NotApplicable, exchanges, Some(format!("{words} ({fault})"))))?);
        }
        let mut item = self.item(question, ItemStatus::Gap(fault.gap_kind()), exchanges, Some(fault.to_string()));
        item.action = question.call.action.filter(|_| fault.class == FaultClass::Denied).map(str::to_string);
        Ok(self.draft().add(item)?)
    }

    pub(super) fn item(&self, question: &Question<'_>, status: ItemStatus, exchanges: &[Exchange], detail: Option<String>) -> NewItem {
        // A refused attempt's words are on record as its exchange; they are no part of an answer that came later.
        let answered = matches!(status, ItemStatus::Collected | ItemStatus::Empty);
        let part_of_it = |x: &&Exchange| !answered || x.status.is_some_and(|s| (200..300).contains(&s)) && x.body_end == BodyEnd::Complete;
        let files: Vec<FileRef> = exchanges.iter().filter(part_of_it).filter_map(|x| self.draft().file_of(x.id)).collect();
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
            question: matches!(status, ItemStatus::Gap(_)).then(|| self.spec.answers.to_string()),
            action: None,
        }
    }
}

/// An answer that we understood but could not write down is no evidence: what would have been collected is then a gap.
pub(super) fn unless_unsaved<'x>(
    status: ItemStatus,
    detail: Option<String>,
    of: impl IntoIterator<Item = &'x Exchange>,
) -> (ItemStatus, Option<String>) {
    for exchange in of {
        if let BodyEnd::Unsaved(why) = &exchange.body_end {
            return (
                ItemStatus::Gap(GapKind::Internal),
                Some(format!("the answer ({}) came and could not be saved: {}", exchange.id, tame(why, 200))),
            );
        }
    }
    (status, detail)
}

/// Put questions that do not depend on each other, at most four at once. The first `Abort` ends it.
pub(super) fn at_once<'f>(questions: impl IntoIterator<Item = BoxFuture<'f, Result<(), Abort>>>) -> BoxFuture<'f, Result<(), Abort>> {
    // Boxed, so that the iterator's type (closures over references) does not enter the future of whoever awaits it.
    let questions: Vec<_> = questions.into_iter().collect();
    stream::iter(questions).buffer_unordered(4).try_collect().boxed()
}
