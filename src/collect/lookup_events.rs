//! Searches in CloudTrail's event history (`LookupEvents`): ninety days, management events, one attribute a time, newest first, fifty events a
//! page, two requests a second for the whole account and Region, of which we take one and a half. So searches may take minutes, and say so.

use super::backlog::Backlog;
use super::{Abort, Bound, CollectCx, Pages, Question};
use crate::clock;
use crate::model::call::{Call, Scope, Service};
use crate::model::gap::GapKind;
use crate::model::item::Sensitivity;
use crate::model::params::{Param, ParamKind};
use aws_sdk_cloudtrail::operation::lookup_events::LookupEventsOutput;
use aws_sdk_cloudtrail::types::{Event, LookupAttribute, LookupAttributeKey};
use aws_smithy_types::DateTime as Instant;
use chrono::{DateTime, TimeDelta, Utc};

pub(super) const LOOKUP: Call = Call::read(Service::Cloudtrail, "LookupEvents", "cloudtrail:LookupEvents", Scope::Any);

/// Where a collector has its events from.
pub(super) const FROM: Param = Param {
    name: "from",
    kind: ParamKind::Word(&["history", "trail"]),
    default: "history",
    doc: "`history` searches CloudTrail's event history; `trail` takes what `trail-archive` reads of a trail's own files instead",
};

pub(super) const MAX_PAGES: Param = Param {
    name: "max-pages",
    kind: ParamKind::Count,
    default: "200",
    doc: "Stop each search after so many pages of 50 events; what is older is a gap",
};

/// From, to: the same for all searches of a collector.
pub(super) type Window = (DateTime<Utc>, DateTime<Utc>);

/// The event history goes back so far (API reference of `LookupEvents`; CloudTrail User Guide, "Working with CloudTrail event history").
/// DOUBT(aws): of what is older it answers that there is nothing, or that the range is none; either tells nothing, so it is not asked.
const KEPT: TimeDelta = TimeDelta::days(90);
/// So much of a window may have grown too old since somebody said "ninety days" (or what another service keeps), while it was planned,
/// approved and waited for.
pub(super) const GROWN: TimeDelta = TimeDelta::hours(1);

/// What the event history holds of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub window: Window,
    /// Until when it holds nothing of what was wanted; a gap says so.
    pub lost: Option<DateTime<Utc>>,
}

/// `None` when all of it is older.
fn held((from, to): Window, now: DateTime<Utc>) -> Option<Held> {
    let oldest = now - KEPT;
    let lost = (from < oldest - GROWN).then_some(oldest);
    (to > oldest).then_some(Held { window: (from.max(oldest), to), lost })
}

/// One search.
#[derive(Clone)]
pub(super) struct Search<'s> {
    pub region: &'s str,
    pub key: LookupAttributeKey,
    pub value: &'s str,
    pub window: Window,
    pub max_pages: u32,
}

impl CollectCx<'_> {
    /// Whether the step has its events from a trail's files.
    pub(super) fn reads_trail(&self) -> bool {
        self.params.text(FROM.name).as_deref() == Some("trail")
    }

    pub(super) fn max_pages(&self) -> u32 {
        u32::try_from(self.count(MAX_PAGES.name)).unwrap_or(u32::MAX).max(1)
    }

    /// The step's window, as far as the event history holds it. What is older is a gap; `None` when that is all.
    pub(super) fn history_window(&self) -> Result<Option<Held>, Abort> {
        let (from, to) = self.window("window");
        let held = held((from, to), self.server_now());
        let lost = match held {
            None => to,
            Some(Held { lost: Some(oldest), .. }) => oldest,
            Some(Held { lost: None, .. }) => return Ok(held),
        };
        let subject = format!("CloudTrail events from {} to {}", clock::stamp(from), clock::stamp(lost));
        let why = "CloudTrail's event history keeps 90 days; a trail's files may hold what is older (`trail-archive`, `from: trail`)";
        self.gap(GapKind::NotAcquirable, &subject, why)?;
        Ok(held)
    }

    fn backlog(&self) -> &Backlog {
        &self.shared.backlog
    }

    /// So many searches are about to be made in this Region: whoever waits is told how long all of them will take.
    pub(super) fn expect_searches(&self, region: &str, searches: usize) {
        self.backlog().expect(region, searches);
    }
    pub(super) fn say_how_long(&self) {
        if let Some(line) = self.backlog().line(self.shared.connector.clock().monotonic_ns()) {
            self.say(&line);
        }
    }

    /// Search, and show every event to `each`. The one item with all pages is in the bundle when this returns; `None` when there could be no
    /// search.
    pub(super) async fn lookup(&self, search: Search<'_>, mut each: impl FnMut(&Event)) -> Result<Option<Pages>, Abort> {
        let Search { region, key, value, window: (from, to), max_pages } = search;
        let begun = self.backlog().begin(region);
        let instant = |t: DateTime<Utc>| Instant::from_millis(t.timestamp_millis());
        let named = key.as_str().to_string();
        let subject = format!("CloudTrail events in {region} with {named} {value}, from {} to {}", clock::stamp(from), clock::stamp(to));
        let Ok(attribute) = LookupAttribute::builder().attribute_key(key).attribute_value(value).build() else {
            self.gap(GapKind::Internal, &subject, "the search could not be put together")?;
            return Ok(None);
        };
        let elsewhere = self.aws_in(region);
        let client = elsewhere.as_ref().unwrap_or(self.aws()).cloudtrail();
        let call =
            || client.lookup_events().lookup_attributes(attribute.clone()).start_time(instant(from)).end_time(instant(to)).max_results(50);
        let mut page = 0u32;
        let pages = self
            .ask_all(
                // AssumeRole events hold session tokens; all of them hold people's names and addresses.
                Question::new(&LOOKUP, subject).region(region).sensitivity(Sensitivity::S3),
                Bound { pages: max_pages, ..Bound::default() },
                |token| call().set_next_token(token).send(),
                |out: &LookupEventsOutput| out.next_token().map(str::to_string),
                |out| {
                    page += 1;
                    if out.next_token().is_some() {
                        let oldest = out.events().last().and_then(|e| e.event_time()).map_or(to.timestamp(), |t| t.secs());
                        begun.pages_ahead(left_to_read(page, max_pages, (from.timestamp(), to.timestamp()), oldest));
                        self.say_how_long();
                    }
                    out.events().iter().for_each(&mut each);
                    out.events().len()
                },
            )
            .await?;
        drop(begun);
        self.say_how_long();
        Ok(Some(pages))
    }
}

/// Pages still to come, were events as dense in the rest of the window as in the part that has been read; never beyond the bound, and one at
/// least.
fn left_to_read(read: u32, bound: u32, (from, to): (i64, i64), oldest: i64) -> u32 {
    let covered = (to - oldest).clamp(1, (to - from).max(1)) as f64;
    let rest = (oldest - from).max(0) as f64;
    let left = (f64::from(read) * rest / covered).ceil();
    // A float that is too large saturates.
    (left as u32).max(1).min(bound.saturating_sub(read))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_follows_from_what_was_read_and_never_exceeds_the_bound() {
        assert_eq!(left_to_read(10, 200, (0, 100), 90), 90, "a tenth was read in ten pages");
        assert_eq!(left_to_read(10, 50, (0, 100), 90), 40);
        assert_eq!(left_to_read(3, 200, (0, 100), 0), 1, "there is a token, so there is a page");
        assert_eq!(left_to_read(3, 200, (0, 100), 5_000), 197, "an event from after the window says nothing, and breaks nothing");
        assert_eq!(left_to_read(3, 2, (0, 0), 0), 0);
    }

    #[test]
    fn a_window_is_held_as_far_as_ninety_days_from_now() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let ago = |days| now - TimeDelta::days(days);
        let whole = |window| Some(Held { window, lost: None });
        assert_eq!(held((ago(90), now), now), whole((ago(90), now)));
        assert_eq!(held((ago(20), ago(10)), now), whole((ago(20), ago(10))));
        // Ninety days, said some minutes ago: what is searched is named as it is, and nothing that was wanted is lost.
        assert_eq!(held((ago(90) - TimeDelta::minutes(20), now), now), whole((ago(90), now)));
        assert_eq!(held((ago(120), ago(10)), now), Some(Held { window: (ago(90), ago(10)), lost: Some(ago(90)) }));
        assert_eq!(held((ago(120), ago(100)), now), None);
    }
}
