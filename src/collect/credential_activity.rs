//! What the function's credentials did, wherever they were used: the recipe of `evidence-inventory.md` A8. Sessions under the function's
//! name in each Region; which keys Lambda was issued under the role, and when the last of them dies; then each key by its id, and the keys
//! that were obtained with it. From the records a table of the keys is derived (`issued_keys.rs`), without any session token.
//!
//! The records are CloudTrail's event history, or a trail's own files (`from: trail`), which `trail_reading.rs` has filtered.

use super::issued_keys::{self, Source};
use super::key_ledger::{Ledger, Whose};
use super::lookup_events::{FROM, Held, LOOKUP, MAX_PAGES, Search, Window};
use super::{Abort, CollectCx, Collector, CollectorSpec, PagesEnd, Volatility, metrics};
use crate::model::gap::GapKind;
use crate::model::id::ItemId;
use crate::model::item::Group;
use crate::model::params::{Param, ParamKind};
use async_trait::async_trait;
use aws_sdk_cloudtrail::types::LookupAttributeKey;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub struct CredentialActivity;

pub(super) const MAX_DEPTH: Param = Param {
    name: "max-depth",
    kind: ParamKind::Count,
    default: "1",
    doc: "Follow keys that were obtained with the function's so many hands far; what lies beyond is a gap",
};

static SPEC: CollectorSpec = CollectorSpec {
    id: "credential-activity",
    title: "Activity of the function's credentials",
    answers: "What was done with the function's credentials, from where, and until when can they still be used?",
    group: Group::Control,
    volatility: Volatility::V3,
    calls: &[LOOKUP, metrics::DATA],
    params: &[
        FROM,
        Param { name: "window", kind: ParamKind::Duration, default: "90d", doc: "How far back to look; CloudTrail keeps 90 days here" },
        Param {
            name: "regions",
            kind: ParamKind::Regions,
            default: "home",
            doc: "Where to look: `own`, `home` (with the partition's global one), `all` that the account has enabled, or names",
        },
        MAX_PAGES,
        Param {
            name: "max-keys",
            kind: ParamKind::Count,
            default: "20",
            doc: "Search for so many keys one by one, suspect and newest first; the rest is a gap",
        },
        MAX_DEPTH,
    ],
};

#[async_trait]
impl Collector for CredentialActivity {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        if cx.reads_trail() { of_trail(cx).await } else { of_history(cx).await }
    }
}

async fn of_trail(cx: &CollectCx<'_>) -> Result<(), Abort> {
    let reading = match cx.trail().await? {
        Ok(reading) => reading,
        Err(no) => return cx.gap(no.kind, issued_keys::SUBJECT, &no.why).map(drop),
    };
    if let Some((kind, why)) = &reading.short {
        cx.gap(*kind, "events of the keys in files of the trail that were not read", &format!("what was read is not all: {why}"))?;
    }
    beyond(cx, &reading.ledger)?;
    let source = Source {
        name: "the trail's files",
        window: reading.window,
        reaches_now: reading.reaches_now,
        lost: false,
        regions: &reading.regions,
        whole: reading.short.is_none(),
        items: reading.items.clone(),
    };
    issued_keys::put(cx, &reading.ledger, source).await
}

async fn of_history(cx: &CollectCx<'_>) -> Result<(), Abort> {
    const SUBJECT: &str = "keys issued under the execution role";
    let target = cx.target();
    let role_arn = match cx.function_or_told().await? {
        Ok(fact) => fact.role_arn.clone(),
        Err(fault) => {
            let subject =
                "the execution role, as the configuration names it (its keys are searched for as far as the function's sessions name it)";
            cx.gap_from(&fault, subject)?;
            None
        }
    };
    let whose = Whose { function: target.function.clone(), function_arn: target.arn(), role_arn };
    let regions = cx.regions("regions").await?;
    // Of keys about which nothing can be asked there is no table.
    let Some(Held { window, lost }) = cx.history_window()? else { return Ok(()) };
    let reaches_now = issued_keys::reaches_now(cx, window);
    let work = Work { cx, window, regions, ledger: Mutex::new(Ledger::new(whose)), searches: Mutex::default() };
    work.by(LookupAttributeKey::Username, vec![target.function.clone()]).await?;
    let role = work.ledger().role_arn().map(str::to_string);
    match role {
        Some(role) => work.by(LookupAttributeKey::ResourceName, vec![role]).await?,
        None => {
            cx.gap(GapKind::Unsupported, SUBJECT, "neither the configuration nor a session of the function names its role")?;
        }
    }
    work.by_key().await?;
    let Work { window, regions, ledger, searches, .. } = work;
    let ledger = ledger.into_inner().unwrap_or_else(PoisonError::into_inner);
    let searches = searches.into_inner().unwrap_or_else(PoisonError::into_inner);
    let source = Source {
        name: "event history",
        window,
        reaches_now,
        lost: lost.is_some(),
        regions: &regions,
        whole: searches.iter().all(|(_, whole)| *whole),
        items: searches.iter().map(|(item, _)| *item).collect(),
    };
    issued_keys::put(cx, &ledger, source).await
}

/// Keys of hands that are further away than we follow.
fn beyond(cx: &CollectCx<'_>, ledger: &Ledger) -> Result<(), Abort> {
    let beyond = ledger.beyond(max_depth(cx));
    if beyond > 0 {
        let why = format!("{beyond} keys were obtained by hands further away than max-depth follows");
        cx.gap(GapKind::TooLarge, "events of keys obtained by further hands", &why)?;
    }
    Ok(())
}

fn max_depth(cx: &CollectCx<'_>) -> u32 {
    u32::try_from(cx.count(MAX_DEPTH.name)).unwrap_or(u32::MAX)
}

struct Work<'c, 'r> {
    cx: &'c CollectCx<'r>,
    window: Window,
    regions: Vec<String>,
    ledger: Mutex<Ledger>,
    /// The items of all searches, and whether each is whole.
    searches: Mutex<Vec<(ItemId, bool)>>,
}

impl Work<'_, '_> {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // Whoever panicked left a ledger that lacks a record, no wrong one.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One search for each value in each Region: the Regions side by side (each has its own rate), the values one after the other.
    async fn by(&self, key: LookupAttributeKey, values: Vec<String>) -> Result<(), Abort> {
        self.regions.iter().for_each(|region| self.cx.expect_searches(region, values.len()));
        self.cx.say_how_long();
        let each: Vec<BoxFuture<'_, Result<(), Abort>>> =
            self.regions.iter().map(|region| self.in_region(region, key.clone(), values.clone()).boxed()).collect();
        stream::iter(each).buffer_unordered(64).try_collect().await
    }

    async fn in_region(&self, region: &str, key: LookupAttributeKey, values: Vec<String>) -> Result<(), Abort> {
        for value in values {
            let search = Search { region, key: key.clone(), value: &value, window: self.window, max_pages: self.cx.max_pages() };
            let hear = |event: &aws_sdk_cloudtrail::types::Event| {
                if let Some(record) = event.cloud_trail_event() {
                    self.ledger().hear(region, record);
                }
            };
            if let Some(pages) = self.cx.lookup(search, hear).await? {
                let whole = matches!(pages.end, PagesEnd::Complete);
                self.searches.lock().unwrap_or_else(PoisonError::into_inner).push((pages.item, whole));
            }
        }
        Ok(())
    }

    /// Each key by its id: events that bear no session name are found only so. What one round obtains, the next one searches for.
    async fn by_key(&self) -> Result<(), Abort> {
        let depth = max_depth(self.cx);
        let mut room = usize::try_from(self.cx.count("max-keys")).unwrap_or(usize::MAX);
        loop {
            let mut keys = self.ledger().to_search(depth);
            if keys.is_empty() {
                break;
            }
            if room == 0 {
                let named = keys.iter().take(10).cloned().collect::<Vec<_>>().join(", ");
                let more = if keys.len() > 10 { ", …" } else { "" };
                let why = format!("{} keys were not searched for one by one, as bounded (max-keys): {named}{more}", keys.len());
                self.cx.gap(GapKind::TooLarge, "events of further keys", &why)?;
                break;
            }
            keys.truncate(room);
            room -= keys.len();
            // Marked before they are searched for: a search that fails has its own gap and is not repeated.
            keys.iter().for_each(|k| self.ledger().searched(k));
            self.by(LookupAttributeKey::AccessKeyId, keys).await?;
        }
        beyond(self.cx, &self.ledger())
    }
}
