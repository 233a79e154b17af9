//! What the function's credentials did, wherever they were used: the recipe of `evidence-inventory.md` A8. Sessions under the function's
//! name in each Region; which keys Lambda was issued under the role, and when the last of them dies; then each key by its id, and the keys
//! that were obtained with it. From the records a table of the keys is derived (`issued-keys.json`), without any session token.

use super::key_ledger::{Ledger, Whose};
use super::lookup_events::{LOOKUP, Search, Window};
use super::{Abort, CollectCx, Collector, CollectorSpec, PagesEnd, Volatility};
use crate::clock;
use crate::model::gap::GapKind;
use crate::model::id::ItemId;
use crate::model::item::{Group, Sensitivity};
use crate::model::params::{Param, ParamKind};
use crate::model::regions;
use async_trait::async_trait;
use aws_sdk_cloudtrail::types::LookupAttributeKey;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use serde_json::json;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub struct CredentialActivity;

static SPEC: CollectorSpec = CollectorSpec {
    id: "credential-activity",
    title: "Activity of the function's credentials",
    answers: "What was done with the function's credentials, from where, and until when can they still be used?",
    group: Group::Control,
    volatility: Volatility::V3,
    calls: &[LOOKUP],
    params: &[
        Param { name: "window", kind: ParamKind::Duration, default: "90d", doc: "How far back to look; CloudTrail keeps 90 days here" },
        Param {
            name: "regions",
            kind: ParamKind::RegionSet,
            default: "home",
            doc: "Where to look: `home` (the function's Region and the partition's global one), `all` (every Region enabled by default), or names",
        },
        Param {
            name: "max-pages",
            kind: ParamKind::Count,
            default: "200",
            doc: "Stop each search after so many pages of 50 events; what is older is a gap",
        },
        Param {
            name: "max-keys",
            kind: ParamKind::Count,
            default: "20",
            doc: "Search for so many keys one by one, suspect and newest first; the rest is a gap",
        },
        Param {
            name: "max-depth",
            kind: ParamKind::Count,
            default: "1",
            doc: "Follow keys that were obtained with the function's so many hands far; what lies beyond is a gap",
        },
    ],
};

#[async_trait]
impl Collector for CredentialActivity {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        const SUBJECT: &str = "keys issued under the execution role";
        let target = cx.target();
        let role_arn = match cx.function_or_told().await? {
            Ok(fact) => fact.role_arn.clone(),
            Err(fault) => {
                cx.gap_from(&fault, "the execution role, as the configuration names it (its keys are searched for as far as the function's sessions name it)")?;
                None
            }
        };
        let whose = Whose { function: target.function.clone(), function_arn: target.arn(), role_arn };
        let work = Work {
            cx,
            window: cx.window("window"),
            regions: cx.region_set("regions"),
            ledger: Mutex::new(Ledger::new(whose)),
            searches: Mutex::default(),
        };
        work.by(LookupAttributeKey::Username, vec![target.function.clone()]).await?;
        let role = work.ledger().role_arn().map(str::to_string);
        match role {
            Some(role) => work.by(LookupAttributeKey::ResourceName, vec![role]).await?,
            None => {
                cx.gap(GapKind::Unsupported, SUBJECT, "neither the configuration nor a session of the function names its role")?;
            }
        }
        work.by_key().await?;
        work.table()
    }
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
        let each: Vec<BoxFuture<'_, Result<(), Abort>>> =
            self.regions.iter().map(|region| self.in_region(region, key.clone(), values.clone()).boxed()).collect();
        stream::iter(each).buffer_unordered(32).try_collect().await
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
        let depth = u32::try_from(self.cx.count("max-depth")).unwrap_or(u32::MAX);
        let mut room = usize::try_from(self.cx.count("max-keys")).unwrap_or(usize::MAX);
        loop {
            let mut keys = self.ledger().to_search(depth);
            if keys.is_empty() {
                break;
            }
            if room == 0 {
                let why = format!("{} keys were not searched for one by one, as bounded (max-keys)", keys.len());
                self.cx.gap(GapKind::TooLarge, "events of further keys", &why)?;
                break;
            }
            keys.truncate(room);
            room -= keys.len();
            // Marked before they are searched for: a search that fails has its own gap and is not repeated.
            keys.iter().for_each(|k| self.ledger().searched(k));
            self.cx.say(&format!(
                "{} keys to look up in {} Regions, about {:.0} s",
                keys.len(),
                self.regions.len(),
                keys.len() as f64 / 1.5
            ));
            self.by(LookupAttributeKey::AccessKeyId, keys).await?;
        }
        let beyond = self.ledger().beyond(depth);
        if beyond > 0 {
            let why = format!("{beyond} keys were obtained by hands further away than max-depth follows");
            self.cx.gap(GapKind::TooLarge, "events of keys obtained by further hands", &why)?;
        }
        Ok(())
    }

    fn table(&self) -> Result<(), Abort> {
        let ledger = self.ledger();
        let searches = self.searches.lock().unwrap_or_else(PoisonError::into_inner);
        let target = self.cx.target();
        if ledger.left_out > 0 || ledger.unreadable > 0 {
            let why = format!(
                "{} records, keys or calls did not fit into the table, {} records were not readable; all are in the answers",
                ledger.left_out, ledger.unreadable
            );
            let kind = if ledger.unreadable > 0 { GapKind::Truncated } else { GapKind::TooLarge };
            self.cx.gap(kind, "table of the keys: records that are not in it", &why)?;
        }
        let home = [target.region.as_str(), regions::global(&target.partition, &target.region)];
        let keys = ledger.table(&home);
        let document = json!({
            "function": target.arn(),
            "role": ledger.role_arn(),
            "from": clock::stamp(self.window.0),
            "to": clock::stamp(self.window.1),
            "regions": self.regions,
            "complete": searches.iter().all(|(_, whole)| *whole) && ledger.left_out == 0 && ledger.unreadable == 0,
            "lastExpiry": ledger.last_expiry(),
            "keys": keys,
            "handedOn": ledger.handed_on,
            "notes": [
                "Management events only: what was done to objects, items and queues is in no event history.",
                "CloudTrail tells of an event some minutes after it; a second look 20 minutes after containment shows the rest.",
                "An empty list of signs is no sign of innocence.",
            ],
        });
        // Pretty, for people; the values are bounded, so this cannot fail but for a bug.
        let bytes = serde_json::to_vec_pretty(&document).unwrap_or_default();
        let from = searches.iter().map(|(item, _)| *item).collect();
        self.cx.derive(
            "keys issued to the function: expiry, use, addresses, agents",
            "issued-keys",
            "json",
            &bytes,
            from,
            Sensitivity::S2,
        )?;
        Ok(())
    }
}
