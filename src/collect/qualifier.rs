//! Qualifiers: the aliases and published versions of the function, each of which has a configuration, a policy and a runtime of its own.
//! Whoever asks something of every one of them does it through here, so that a list that could not be read leaves a gap each time.

use super::aliases::ALIASES;
use super::cx::{Abort, CollectCx, at_once};
use super::versions::VERSIONS;
use futures_util::future::BoxFuture;

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

pub(super) const LATEST_PUBLISHED: &str = "$LATEST.PUBLISHED";

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
            // On managed instances `$LATEST` runs as it was last published; that version has no number and no list shows it.
            if list.entries.iter().any(|v| v.version == "$LATEST" && v.reach.capacity_provider.is_some()) {
                versions.push(Qualifier::version(LATEST_PUBLISHED));
            }
            at_once(versions.into_iter().map(ask)).await?;
            cx.gap_of_rest(&list, &format!("{what} of further versions"))
        }
        Err(fault) => cx.gap_from_lookup(&VERSIONS, &fault, &format!("{what} of the published versions")).map(drop),
    }
}
