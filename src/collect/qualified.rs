//! The ARNs under which a function can be called: its own, the same with `$LATEST` written out, and one for each alias and published version.
//! Whoever points at a function points at one of them, and is found under that one only.

use super::aliases::ALIASES;
use super::cx::{Abort, CollectCx};
use super::qualifier::{LATEST, LATEST_PUBLISHED, has_published_latest};
use super::versions::VERSIONS;
use crate::aws::fault::{Fault, FaultClass};
use crate::model::gap::GapKind;

pub(super) struct Named {
    /// `the function`, `$LATEST`, `alias live`, `version 3`.
    pub whose: String,
    pub arn: String,
    pub qualifier: Option<String>,
}

fn named(cx: &CollectCx<'_>, kind: &str, name: &str) -> Named {
    Named { whose: format!("{kind} {name}"), arn: format!("{}:{name}", cx.target().arn()), qualifier: Some(name.to_string()) }
}

/// All names, the function's own first. What could not be listed leaves a gap about `what` (a plural: "EventBridge rules").
pub(super) async fn names(cx: &CollectCx<'_>, what: &str) -> Result<Vec<Named>, Abort> {
    match cx.aliases().await? {
        Ok(list) => cx.gap_of_rest(&list, &format!("{what} of further aliases"))?,
        Err(fault) => drop(cx.gap_from_lookup(&ALIASES, &fault, &format!("{what} of the aliases"))?),
    }
    match cx.versions().await? {
        Ok(list) => cx.gap_of_rest(&list, &format!("{what} of further versions"))?,
        Err(fault) => drop(cx.gap_from_lookup(&VERSIONS, &fault, &format!("{what} of the published versions"))?),
    }
    Ok(listed(cx).await?.0)
}

/// The same without a word about what is missing, but why something may be.
pub(super) async fn listed(cx: &CollectCx<'_>) -> Result<(Vec<Named>, Option<(GapKind, String)>), Abort> {
    let arn = cx.target().arn();
    let latest = Named { whose: LATEST.into(), arn: format!("{arn}:{LATEST}"), qualifier: Some(LATEST.into()) };
    let mut all = vec![Named { whose: "the function".into(), arn, qualifier: None }, latest];
    let mut unfinished = None;
    let failed = |fault: Fault| (fault.class != FaultClass::NotFound).then(|| (fault.gap_kind(), fault.to_string()));
    match cx.aliases().await? {
        Ok(list) => {
            all.extend(list.entries.iter().map(|a| named(cx, "alias", &a.name)));
            unfinished = unfinished.or_else(|| list.unfinished.clone());
        }
        Err(fault) => unfinished = unfinished.or_else(|| failed(fault)),
    }
    match cx.versions().await? {
        Ok(list) => {
            all.extend(list.published().map(|v| named(cx, "version", &v.version)));
            all.extend(has_published_latest(&list).then(|| named(cx, "version", LATEST_PUBLISHED)));
            unfinished = unfinished.or_else(|| list.unfinished.clone());
        }
        Err(fault) => unfinished = unfinished.or_else(|| failed(fault)),
    }
    Ok((all, unfinished))
}

/// Whether `arn` is the function's, with or without a qualifier.
pub(super) fn is_ours(cx: &CollectCx<'_>, arn: &str) -> bool {
    arn.strip_prefix(cx.target().arn().as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}
