//! Facts: look-ups that several collectors need, made once and remembered together with their failure. Whoever asks second gets the same
//! answer, or the same fault, and records his own gap from it.
//!
//! The look-ups are made and recorded as the collector's that they belong to (`configuration`, `versions`, `trail-archive`, …), with that
//! collector's parameters, whoever asks first: so a bundle reads the same whichever task was quicker. (A plan that collects anything therefore
//! always holds `configuration`; one that collects something for each version or alias also holds `versions`, `aliases` and
//! `qualified-configuration`; `playbook::needed` says which others follow from parameters.)

use super::aliases::ALIASES;
use super::code::Stored;
use super::configuration::CONFIGURATION;
use super::cx::{Abort, CollectCx};
use super::enabled_regions;
use super::lookups::Lookups;
use super::policy_report::{self, Policies, PolicyFact};
use super::qualified_configuration::QUALIFIED_CONFIGURATION;
use super::qualifier::Qualifier;
use super::question::{Bound, Pages, PagesEnd, Question, Reply};
use super::reach::Reach;
use super::trail_reading::{self, NoTrail, TrailReading};
use super::versions::VERSIONS;
use crate::aws::fault::Fault;
use crate::clock;
use crate::model::exchange::Exchange;
use crate::model::gap::GapKind;
use crate::model::id::ItemId;
use crate::model::item::Sensitivity;
use aws_sdk_lambda::operation::get_function::GetFunctionOutput;
use aws_sdk_lambda::operation::list_aliases::ListAliasesOutput;
use aws_sdk_lambda::operation::list_versions_by_function::ListVersionsByFunctionOutput;
use aws_sdk_lambda::types::{FunctionConfiguration, LoggingConfig};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;

/// What `GetFunction` says of `$LATEST`, a version or an alias, as far as later questions need it. Strings are AWS's own and unchecked.
#[derive(Clone)]
pub struct FunctionFact {
    pub item: ItemId,
    pub revision_id: Option<String>,
    pub code_sha256: Option<String>,
    pub code_size: Option<u64>,
    /// `Zip` or `Image`.
    pub package_type: Option<String>,
    /// Presigned, good for ten minutes: a secret. Never shown, hence no `Debug` on this type.
    pub code_url: Option<String>,
    pub role_arn: Option<String>,
    /// The group that the function really writes to; `None` when the configuration names none (then it is `/aws/lambda/<name>`).
    pub log_group: Option<String>,
    pub layers: Vec<LayerFact>,
    /// ARN of the job that signed the code.
    pub signing_job: Option<String>,
    /// The bucket's object that holds the code, in `REFERENCE` mode: Lambda keeps no copy.
    pub object: Option<S3ObjectFact>,
    /// The image by digest, for a container image.
    pub image_uri: Option<String>,
    /// The customer's key for the code package; `None` for AWS's own.
    pub source_key: Option<String>,
    /// What it names outside itself.
    pub reach: Reach,
    /// Whether it has a durable configuration (which it can only be made with).
    pub durable: bool,
    /// Seconds after which Lambda ends an invocation.
    pub timeout: Option<u32>,
}

/// A layer as a configuration names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerFact {
    /// With its version.
    pub arn: String,
    pub code_size: i64,
    pub signing_job: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3ObjectFact {
    pub bucket: String,
    pub key: String,
    pub version: Option<String>,
}

fn layers_of(conf: &FunctionConfiguration) -> Vec<LayerFact> {
    let fact = |l: &aws_sdk_lambda::types::Layer| {
        Some(LayerFact { arn: l.arn()?.to_string(), code_size: l.code_size(), signing_job: l.signing_job_arn().map(str::to_string) })
    };
    conf.layers().iter().filter_map(fact).collect()
}

impl FunctionFact {
    pub(super) fn from_output(item: ItemId, out: &GetFunctionOutput) -> Self {
        let conf = out.configuration();
        let own = |s: Option<&str>| s.map(str::to_string);
        FunctionFact {
            item,
            revision_id: own(conf.and_then(|c| c.revision_id())),
            code_sha256: own(conf.and_then(|c| c.code_sha256())),
            code_size: conf.and_then(|c| u64::try_from(c.code_size()).ok()),
            package_type: conf.and_then(|c| c.package_type()).map(|p| p.as_str().to_string()),
            code_url: own(out.code().and_then(|c| c.location())),
            role_arn: own(conf.and_then(|c| c.role())),
            log_group: own(conf.and_then(|c| c.logging_config()).and_then(|l| l.log_group())),
            layers: conf.map(layers_of).unwrap_or_default(),
            signing_job: own(conf.and_then(|c| c.signing_job_arn())),
            object: out.code().and_then(|c| c.resolved_s3_object()).and_then(|o| {
                Some(S3ObjectFact { bucket: own(o.s3_bucket())?, key: own(o.s3_key())?, version: own(o.s3_object_version()) })
            }),
            image_uri: own(out.code().and_then(|c| c.resolved_image_uri())),
            source_key: own(out.code().and_then(|c| c.source_kms_key_arn())).filter(|k| !k.is_empty()),
            reach: conf.map(Reach::of).unwrap_or_default(),
            durable: conf.is_some_and(|c| c.durable_config().is_some()),
            timeout: conf.and_then(|c| c.timeout()).and_then(|t| u32::try_from(t).ok()),
        }
    }
    /// The role's name: the last segment of its ARN (the path before it is not part of the name).
    pub fn role_name(&self) -> Option<&str> {
        self.role_arn
            .as_deref()
            .and_then(|arn| arn.split_once(":role/"))
            .and_then(|(_, path)| path.rsplit('/').next())
            .filter(|n| !n.is_empty())
    }
}

/// One version as `ListVersionsByFunction` lists it.
#[derive(Clone, Debug)]
pub struct VersionFact {
    /// `$LATEST`, or a number.
    pub version: String,
    pub revision_id: Option<String>,
    pub code_sha256: Option<String>,
    pub code_size: Option<u64>,
    pub layers: Vec<LayerFact>,
    pub reach: Reach,
    pub signing_job: Option<String>,
    /// Whether it has a durable configuration.
    pub durable: bool,
}

#[derive(Clone, Debug)]
pub struct AliasFact {
    pub name: String,
    pub arn: Option<String>,
    /// The version that it points at (the one with the larger part of the traffic need not be this one).
    pub version: Option<String>,
}

/// A list, as far as it could be read.
#[derive(Debug)]
pub struct Listed<T> {
    pub item: ItemId,
    pub entries: Vec<T>,
    /// Why there may be entries that are not here.
    pub unfinished: Option<(GapKind, String)>,
}

impl Listed<VersionFact> {
    /// The published versions: all but `$LATEST`.
    pub fn published(&self) -> impl Iterator<Item = &VersionFact> {
        self.entries.iter().filter(|v| !v.version.starts_with("$LATEST"))
    }
}

pub(super) fn listed<T>(pages: Pages, entries: Vec<T>) -> Result<Arc<Listed<T>>, Fault> {
    let unfinished = match pages.end {
        PagesEnd::Complete => None,
        PagesEnd::Stopped(kind, why) => Some((kind, why)),
        PagesEnd::Failed(fault) if pages.read == 0 => return Err(fault),
        PagesEnd::Failed(fault) => Some((fault.gap_kind(), fault.to_string())),
    };
    Ok(Arc::new(Listed { item: pages.item, entries, unfinished }))
}

/// A look-up of which there is one for each name.
pub(super) type Each<T> = Mutex<HashMap<String, Arc<OnceCell<T>>>>;

pub(super) fn cell<T>(of: &Each<T>, name: &str) -> Arc<OnceCell<T>> {
    of.lock().unwrap_or_else(PoisonError::into_inner).entry(name.to_string()).or_default().clone()
}

#[derive(Default)]
pub struct Facts {
    function: OnceCell<Result<Arc<FunctionFact>, Fault>>,
    /// By qualifier.
    qualified: Each<Result<Arc<FunctionFact>, Fault>>,
    /// By the digest that AWS states: which file of the bundle holds it.
    code: Each<Stored>,
    versions: OnceCell<Result<Arc<Listed<VersionFact>>, Fault>>,
    aliases: OnceCell<Result<Arc<Listed<AliasFact>>, Fault>>,
    /// Resource policies by qualifier; and all their statements.
    policy: Mutex<HashMap<Option<String>, Arc<OnceCell<PolicyFact>>>>,
    /// The same by the newer call, by ARN.
    policy_document: Each<PolicyFact>,
    policies: OnceCell<Arc<Policies>>,
    /// Regions that the account has enabled; `None` when the answer named none.
    enabled_regions: OnceCell<Result<Option<Arc<[String]>>, Fault>>,
    /// What a trail's own files say.
    trail: OnceCell<Result<Arc<TrailReading>, NoTrail>>,
    pub(super) lookups: Lookups,
    skew: Mutex<TimeDelta>,
    /// Of a function that is gone: what the plan says of it.
    told: Option<Told>,
}

/// What is known from elsewhere (CloudTrail, the operator) of a function that is gone. Unchecked, like AWS's own words.
#[derive(Clone, Debug, Default)]
pub struct Told {
    pub role_arn: Option<String>,
    pub log_group: Option<String>,
}

impl Facts {
    pub fn told(told: Option<Told>) -> Self {
        Facts { told, ..Facts::default() }
    }

    pub(super) fn is_told(&self) -> bool {
        self.told.is_some()
    }

    /// The function that is gone, as far as the plan knows it; `item` is the one that says that it is gone.
    pub(super) fn gone(&self, item: ItemId) -> Option<Arc<FunctionFact>> {
        let told = self.told.as_ref()?;
        let logging = LoggingConfig::builder().set_log_group(told.log_group.clone()).build();
        let conf = FunctionConfiguration::builder().set_role(told.role_arn.clone()).logging_config(logging).build();
        Some(Arc::new(FunctionFact::from_output(item, &GetFunctionOutput::builder().configuration(conf).build())))
    }

    /// `cx` must be the context of the `configuration` unit (see the module's words).
    pub(super) async fn function(&self, cx: &CollectCx<'_>) -> Result<Result<Arc<FunctionFact>, Fault>, Abort> {
        self.function
            .get_or_try_init(|| async {
                let question =
                    Question::new(&CONFIGURATION.calls[0], "configuration and code location of $LATEST").sensitivity(Sensitivity::S3);
                let future = cx.aws().lambda().get_function().function_name(&cx.target().function).send();
                Ok(match cx.ask(question, future).await? {
                    Reply::Got(answer) => {
                        let fact = FunctionFact::from_output(answer.item, &answer.output);
                        cx.state_target(&fact);
                        Ok(Arc::new(fact))
                    }
                    Reply::Absent(fault) | Reply::Gap(fault) => Err(fault),
                })
            })
            .await
            .cloned()
    }

    /// The same for a version or an alias. `cx` must be the context of the `qualified-configuration` unit.
    pub(super) async fn qualified(&self, cx: &CollectCx<'_>, whose: &Qualifier) -> Result<Result<Arc<FunctionFact>, Fault>, Abort> {
        cell(&self.qualified, &whose.name)
            .get_or_try_init(|| async {
                let question = Question::new(&QUALIFIED_CONFIGURATION.calls[0], format!("configuration of {}", whose.words))
                    .sensitivity(Sensitivity::S3);
                let future = cx.aws().lambda().get_function().function_name(&cx.target().function).qualifier(&whose.name).send();
                Ok(match cx.ask(question, future).await? {
                    Reply::Got(answer) => Ok(Arc::new(FunctionFact::from_output(answer.item, &answer.output))),
                    Reply::Absent(fault) | Reply::Gap(fault) => Err(fault),
                })
            })
            .await
            .cloned()
    }

    /// Where the bytes with this digest (in AWS's words) are or will be: whoever fills the cell stores them, the others wait for him.
    pub(super) fn code(&self, digest: &str) -> Arc<OnceCell<Stored>> {
        cell(&self.code, digest)
    }

    /// `cx` must be the context of the `versions` unit.
    pub(super) async fn versions(&self, cx: &CollectCx<'_>) -> Result<Result<Arc<Listed<VersionFact>>, Fault>, Abort> {
        self.versions
            .get_or_try_init(|| async {
                let mut entries = vec![];
                // The list holds the environment of every version.
                let question = Question::new(&VERSIONS.calls[0], "list of versions").sensitivity(Sensitivity::S3);
                let call = || cx.aws().lambda().list_versions_by_function().function_name(&cx.target().function);
                let pages = cx
                    .ask_all(
                        question,
                        Bound::default(),
                        |marker| call().set_marker(marker).send(),
                        |out: &ListVersionsByFunctionOutput| out.next_marker().map(str::to_string),
                        |out| {
                            entries.extend(out.versions().iter().filter_map(|v| {
                                Some(VersionFact {
                                    version: v.version()?.to_string(),
                                    revision_id: v.revision_id().map(str::to_string),
                                    code_sha256: v.code_sha256().map(str::to_string),
                                    code_size: u64::try_from(v.code_size()).ok(),
                                    layers: layers_of(v),
                                    reach: Reach::of(v),
                                    signing_job: v.signing_job_arn().map(str::to_string),
                                    durable: v.durable_config().is_some(),
                                })
                            }));
                            out.versions().len()
                        },
                    )
                    .await?;
                Ok(listed(pages, entries))
            })
            .await
            .cloned()
    }

    /// `cx` must be the context of the `aliases` unit.
    pub(super) async fn aliases(&self, cx: &CollectCx<'_>) -> Result<Result<Arc<Listed<AliasFact>>, Fault>, Abort> {
        self.aliases
            .get_or_try_init(|| async {
                let mut entries = vec![];
                let question = Question::new(&ALIASES.calls[0], "list of aliases with their routing");
                let call = || cx.aws().lambda().list_aliases().function_name(&cx.target().function);
                let pages = cx
                    .ask_all(
                        question,
                        Bound::default(),
                        |marker| call().set_marker(marker).send(),
                        |out: &ListAliasesOutput| out.next_marker().map(str::to_string),
                        |out| {
                            entries.extend(out.aliases().iter().filter_map(|a| {
                                Some(AliasFact {
                                    name: a.name()?.to_string(),
                                    arn: a.alias_arn().map(str::to_string),
                                    version: a.function_version().map(str::to_string),
                                })
                            }));
                            out.aliases().len()
                        },
                    )
                    .await?;
                Ok(listed(pages, entries))
            })
            .await
            .cloned()
    }

    /// `cx` must be the context of the `resource-policy` unit.
    pub(super) async fn policy(&self, cx: &CollectCx<'_>, whose: &str, qualifier: Option<String>) -> Result<PolicyFact, Abort> {
        let cell = self.policy.lock().unwrap_or_else(PoisonError::into_inner).entry(qualifier.clone()).or_default().clone();
        cell.get_or_try_init(|| policy_report::ask(cx, whose, qualifier)).await.cloned()
    }

    /// `cx` must be the context of the `resource-policy-document` unit.
    pub(super) async fn policy_document(&self, cx: &CollectCx<'_>, whose: &str, arn: &str) -> Result<PolicyFact, Abort> {
        cell(&self.policy_document, arn).get_or_try_init(|| policy_report::ask_document(cx, whose, arn)).await.cloned()
    }

    pub(super) async fn policies(&self, cx: &CollectCx<'_>) -> Result<Arc<Policies>, Abort> {
        self.policies.get_or_try_init(|| async { Ok(Arc::new(policy_report::all(cx).await?)) }).await.cloned()
    }

    /// `cx` must be the context of the `enabled-regions` unit.
    pub(super) async fn enabled_regions(&self, cx: &CollectCx<'_>) -> Result<Result<Option<Arc<[String]>>, Fault>, Abort> {
        self.enabled_regions
            .get_or_try_init(|| async { Ok(enabled_regions::ask(cx).await?.map(|regions| regions.map(Arc::from))) })
            .await
            .cloned()
    }

    /// `cx` must be the context of the `trail-archive` unit.
    pub(super) async fn trail(&self, cx: &CollectCx<'_>) -> Result<Result<Arc<TrailReading>, NoTrail>, Abort> {
        self.trail.get_or_try_init(|| async { Ok(trail_reading::read(cx).await?.map(Arc::new)) }).await.cloned()
    }

    /// Note how far AWS's clock is from ours, from an answer that just came.
    pub(super) fn hear(&self, exchange: &Exchange) {
        if let Some((skew, _)) = measured_skew(exchange) {
            // `Date` is cut to whole seconds: less than two say nothing.
            let skew = if skew.abs() < TimeDelta::seconds(2) { TimeDelta::zero() } else { skew };
            *self.skew.lock().unwrap_or_else(PoisonError::into_inner) = skew;
        }
    }

    /// Server time minus local time by the last answer; zero when none bore a date.
    pub(super) fn skew(&self) -> TimeDelta {
        *self.skew.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Server minus local time, and the round trip, from one exchange.
pub(super) fn measured_skew(exchange: &Exchange) -> Option<(TimeDelta, u64)> {
    let sent = DateTime::parse_from_rfc3339(&exchange.sent).ok()?.with_timezone(&Utc);
    let received = sent.checked_add_signed(TimeDelta::try_milliseconds(i64::try_from(exchange.took_ms).ok()?)?)?;
    Some((clock::skew(exchange.server_date.as_deref()?, sent, received)?, exchange.took_ms))
}
