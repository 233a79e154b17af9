//! The table of keys (`issued-keys.json`): which keys Lambda was issued for the function, who used them from where, what they begot, and when
//! the last of them dies. Made of records, wherever those came from; never with a session token in it.

use super::invocation_times::{self, LONGEST, Ran};
use super::key_ledger::{Key, Ledger};
use super::key_signs::{self, Yardstick};
use super::lookup_events::Window;
use super::{Abort, CollectCx};
use crate::clock;
use crate::model::gap::GapKind;
use crate::model::id::ItemId;
use crate::model::item::Sensitivity;
use crate::model::regions;
use chrono::TimeDelta;
use serde_json::{Value, json};

/// Where the records came from.
pub(super) struct Source<'s> {
    /// `event history`, or `the trail's files`.
    pub name: &'static str,
    pub window: Window,
    /// Whether the window ended with the time at which it was taken ([`reaches_now`]).
    pub reaches_now: bool,
    /// Whether more was wanted than the window, and is not kept any more.
    pub lost: bool,
    pub regions: &'s [String],
    pub whole: bool,
    pub items: Vec<ItemId>,
}

pub(super) const SUBJECT: &str = "keys issued to the function: expiry, use, addresses, agents";

/// CloudTrail tells of an event some minutes after it: a window that ends so shortly ago leaves out nothing that could have been had.
/// DOUBT(aws): a quarter of an hour is what AWS has called typical; nothing promises it.
const LAG: TimeDelta = TimeDelta::minutes(15);

/// Whether a window that was taken just now ends now. Where it ends before (`--until`), nobody looked for the keys that were issued since, and
/// these are the ones that live the longest.
pub(super) fn reaches_now(cx: &CollectCx<'_>, (_, to): Window) -> bool {
    to >= cx.server_now() - LAG
}

pub(super) async fn put(cx: &CollectCx<'_>, ledger: &Ledger, source: Source<'_>) -> Result<(), Abort> {
    if ledger.left_out > 0 || ledger.unreadable > 0 {
        let why = format!(
            "{} records, keys or calls did not fit into the table, {} records were not readable; all are in the answers",
            ledger.left_out, ledger.unreadable
        );
        let kind = if ledger.unreadable > 0 { GapKind::Truncated } else { GapKind::TooLarge };
        cx.gap(kind, "table of the keys: records that are not in it", &why)?;
    }
    let timeout = cx.function_or_told().await?.ok().and_then(|f| f.timeout).unwrap_or(LONGEST);
    let (ran, asked) = invocation_times::ask(cx, source.window, timeout).await?;
    let from = source.items.iter().copied().chain(asked).collect();
    let document = document(cx, ledger, &source, timeout, ran.as_ref());
    // Pretty, for people; the values are bounded, so this cannot fail but for a bug.
    let bytes = serde_json::to_vec_pretty(&document).unwrap_or_default();
    cx.derive(SUBJECT, "issued-keys", "json", &bytes, from, Sensitivity::S2)?;
    Ok(())
}

fn document(cx: &CollectCx<'_>, ledger: &Ledger, source: &Source<'_>, timeout: u32, ran: Option<&Ran>) -> Value {
    let target = cx.target();
    let mut keys = ledger.rows();
    let home = [target.region.as_str(), regions::global(&target.partition, &target.region)];
    let measured = key_signs::measure(&keys, ran);
    key_signs::mark(&mut keys, &Yardstick { home, timeout, ran });
    let whole = source.whole && ledger.left_out == 0 && ledger.unreadable == 0;
    // A key that was issued before the window and lives still would be missing, were the window shorter than the longest session.
    let reaches_back = cx.server_now() - source.window.0 >= TimeDelta::hours(12);
    // Of a key that was not looked for nobody knows when it dies.
    let all_alive = whole && reaches_back && source.reaches_now;
    let ours = || keys.iter().filter(|k| k.concerns_us());
    let id = |k: &Key| k.access_key_id.clone();
    let last = ours().filter(|k| k.expires.is_some()).max_by_key(|k| k.expires.clone());
    let unseen: Vec<&Key> = ours().filter(|k| k.expires.is_none() && !k.is_long_lived()).collect();
    let ends = || ours().filter(|k| !k.is_long_lived()).map(|k| k.expires.as_ref().or(k.expires_at_latest.as_ref()));
    let latest = ends().flatten().max().filter(|_| all_alive && ends().all(|end| end.is_some()));
    let suspect: Vec<String> = ours().filter(|k| !k.signs.is_empty()).map(id).collect();
    let invocations = match ran {
        None => json!({"judged": false, "why": "the metric could not be read"}),
        Some(_) if measured.fits() => json!({"judged": true}),
        Some(_) => json!({"judged": false, "why": format!(
            "{} of {} calls with Lambda's agent were made while the function did not run by its metric, so the metric measures something else",
            measured.inside_idle, measured.inside
        )}),
    };
    json!({
        "function": target.arn(),
        "role": ledger.role_arn(),
        "source": source.name,
        "from": clock::stamp(source.window.0),
        "to": clock::stamp(source.window.1),
        "regions": source.regions,
        "complete": whole && !source.lost,
        "lastExpiry": last.and_then(|k| k.expires.clone()),
        "lastToExpire": last.map(id),
        // Whether that is the exact time at which the last one dies that was issued before `to`.
        "lastExpiryIsExact": all_alive && unseen.is_empty(),
        "issueNotSeen": unseen.into_iter().map(id).collect::<Vec<_>>(),
        // Null where keys that live may be missing here.
        "noneLivesPast": latest,
        "longLived": ours().filter(|k| k.is_long_lived()).map(id).collect::<Vec<_>>(),
        "suspect": suspect,
        "functionTimeoutSeconds": timeout,
        "heldAgainstInvocations": invocations,
        "handedOn": ledger.handed_on,
        "keys": keys,
        "notes": [
            "Management events only, unless a trail's files were read that hold more: what was done to objects, items and queues is in no event history.",
            "A key that was issued after `to` is not in this table.",
            "CloudTrail tells of an event some minutes after it; a second look 20 minutes after containment shows the rest.",
            "A sign is a reason to look. An empty list of signs is no sign of innocence: a thief inside the function leaves none.",
            "A long-lived key dies only when it is deleted; a deny on the role does not stop roles that were taken on before.",
        ],
    })
}
