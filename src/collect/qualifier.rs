//! Qualifiers: the aliases and published versions of the function, each of which has a configuration, a policy and a runtime of its own.
//! Whoever asks something of every one of them does it through here, so that a list that could not be read leaves a gap each time.

use super::aliases::ALIASES;
use super::cx::{Abort, CollectCx, at_once};
use super::facts::{FunctionFact, Listed, VersionFact};
use super::qualified_configuration::QUALIFIED_CONFIGURATION;
use super::versions::VERSIONS;
use crate::aws::fault::{Fault, FaultClass};
use futures_util::future::BoxFuture;
use std::sync::Arc;

/// `live` or `7`, with the words for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Qualifier {
    /// `alias live`, `version 7`.
    pub words: String,
    pub name: String,
}

impl Qualifier {
    pub fn alias(name: &str) -> Self {
        Qualifier { words: format!("alias {name}"), name: name.to_string() }
    }
    pub fn version(name: &str) -> Self {
        Qualifier { words: format!("version {name}"), name: name.to_string() }
    }
}

/// What the function's own ARN means, and a qualifier that can be written out: the models (botocore 1.44.5) take it in the ARN of a mapping
/// (`CreateEventSourceMapping`), of a policy (`PutResourcePolicy`) and of a rule's target, and whoever points there is found under that ARN only.
pub(super) const LATEST: &str = "$LATEST";
pub(super) const LATEST_PUBLISHED: &str = "$LATEST.PUBLISHED";

/// A refusal of [`LATEST`] itself as the name of what is asked about. The models let it through, but `AddPermission` refuses it with this code ("We
/// currently do not support adding policies for $LATEST.": terraform-aws-modules/terraform-aws-lambda, issue 36).
/// DOUBT(aws): that who refuses the name in the question has refused it in the writing too; the shape of both is the same.
pub(super) const LATEST_REFUSED: &[(&str, &str)] =
    &[("InvalidParameterValueException", "Lambda takes no `$LATEST` in this place, so that nothing can have been put under it")];

/// On managed instances `$LATEST` runs as it was last published; that version has no number and no list shows it.
pub(super) fn has_published_latest(list: &Listed<VersionFact>) -> bool {
    let managed = |v: &VersionFact| v.version == LATEST && v.reach.capacity_provider.is_some();
    list.entries.iter().any(|v| v.version == LATEST_PUBLISHED || managed(v))
}

/// That version as `GetFunction` describes it: it keeps what `$LATEST` may have been cleaned of since. `None` where there is none; a fault has left
/// its gap about `what`: `layers`.
pub(super) async fn published_latest(
    cx: &CollectCx<'_>,
    list: &Listed<VersionFact>,
    what: &str,
) -> Result<Result<Option<Arc<FunctionFact>>, Fault>, Abort> {
    if !has_published_latest(list) {
        return Ok(Ok(None));
    }
    let whose = Qualifier::version(LATEST_PUBLISHED);
    match cx.qualified(&whose).await? {
        Ok(fact) => Ok(Ok(Some(fact))),
        // Nothing has been published yet: the look-up's own item says so.
        Err(fault) if fault.class == FaultClass::NotFound => Ok(Ok(None)),
        Err(fault) => {
            cx.gap_from_lookup(&QUALIFIED_CONFIGURATION, &fault, &format!("{what} of {}", whose.words))?;
            Ok(Err(fault))
        }
    }
}

type Asking<'f> = BoxFuture<'f, Result<(), Abort>>;

/// Ask of every alias. `what` names the question where the aliases could not be listed: `resource policies`.
pub(super) async fn each_alias<'f>(
    cx: &'f CollectCx<'_>,
    what: &str,
    ask: &(dyn Fn(Qualifier) -> Asking<'f> + Send + Sync),
) -> Result<(), Abort> {
    match cx.aliases().await? {
        Ok(list) => {
            at_once(list.entries.iter().map(|a| ask(Qualifier::alias(&a.name)))).await?;
            cx.gap_of_rest(&list, &format!("{what} of further aliases"))
        }
        Err(fault) => cx.gap_from_lookup(&ALIASES, &fault, &format!("{what} of the aliases")).map(drop),
    }
}

/// Ask of every published version.
pub(super) async fn each_version<'f>(
    cx: &'f CollectCx<'_>,
    what: &str,
    ask: &(dyn Fn(Qualifier) -> Asking<'f> + Send + Sync),
) -> Result<(), Abort> {
    match cx.versions().await? {
        Ok(list) => {
            let mut versions: Vec<Qualifier> = list.published().map(|v| Qualifier::version(&v.version)).collect();
            if has_published_latest(&list) {
                versions.push(Qualifier::version(LATEST_PUBLISHED));
            }
            at_once(versions.into_iter().map(ask)).await?;
            cx.gap_of_rest(&list, &format!("{what} of further versions"))
        }
        Err(fault) => cx.gap_from_lookup(&VERSIONS, &fault, &format!("{what} of the published versions")).map(drop),
    }
}
