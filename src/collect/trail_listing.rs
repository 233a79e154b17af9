//! Which files of a trail the bucket lists, in the order of their names, which is the order of the days; and how far a listing can be relied on:
//! one that broke off says nothing of what would have come after.

use super::cx::Abort;
use super::lookup_events::Window;
use super::question::{Bound, PagesEnd, Question};
use super::trail_archive::LIST;
use super::trail_files::{Files, next_token};
use crate::model::gap::GapKind;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use chrono::TimeDelta;
use std::collections::{BTreeMap, BTreeSet};

/// Keys that we are ready to sort: half a year of a busy Region.
pub(super) const LISTED: usize = 200_000;

/// A file as the bucket lists it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Listed {
    pub key: String,
    pub bytes: u64,
}

/// The files of one kind and Region.
pub(super) struct Listing {
    /// In the order of their keys.
    pub files: Vec<Listed>,
    /// One for each root that was listed.
    pub spans: Vec<Span>,
}

impl Listing {
    pub fn is_whole(&self) -> bool {
        self.spans.iter().all(|s| s.broke_off_after.is_none())
    }

    /// Why the files are no whole record of the window, in words, though the listing is whole: there are none at all, or none of some days. A
    /// trail that was stopped, or not there yet, looks like an account in which nothing happened; nothing but the trail itself tells them apart.
    ///
    /// `own`: the target's own Region. There every whole day of the window must have a file: whoever runs there is issued keys, and that is an
    /// event. Elsewhere days without any are usual.
    pub fn silence(&self, own: bool, (from, to): Window) -> Option<String> {
        const UNKNOWN: &str = "nothing happened, or no trail recorded it (`trails` tells which trails there are, and since when they log)";
        if !self.is_whole() {
            return None;
        }
        if self.files.is_empty() {
            return Some(format!("the bucket holds none for this account in the window: {UNKNOWN}"));
        }
        let held: BTreeSet<String> = self.files.iter().map(|f| day_of(&f.key)).collect();
        let whole_days = from.date_naive().iter_days().skip(1).take_while(|day| *day < to.date_naive() && own);
        let silent: Vec<String> = whole_days.map(|day| day.format("%Y-%m-%d").to_string()).filter(|day| !held.contains(day)).collect();
        match silent.as_slice() {
            [] => None,
            [day] => Some(format!("the bucket holds none of {day}: {UNKNOWN}")),
            [first, .., last] => Some(format!("the bucket holds none of {} days from {first} to {last}: {UNKNOWN}", silent.len())),
        }
    }
}

/// What was listed below one prefix: the keys after `after`, up to `end`.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub prefix: String,
    pub after: String,
    pub end: String,
    /// The last key before the listing broke off (`after` when it showed none). `None` when it came to its end.
    pub broke_off_after: Option<String>,
}

/// Whether a listing would have shown a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// It would: a key that is not listed is not there.
    Within,
    /// It did not look there: before the window's first day or after its last, or nowhere near.
    Outside,
    /// It broke off before it came there.
    BrokeOff,
}

pub(super) fn reach(spans: &[Span], key: &str) -> Reach {
    // No prefix is another's beginning: each ends in a Region and a slash.
    let Some(span) = spans.iter().find(|s| key.starts_with(&s.prefix)) else { return Reach::Outside };
    if key <= span.after.as_str() || key > span.end.as_str() {
        return Reach::Outside;
    }
    match &span.broke_off_after {
        Some(last) if key > last.as_str() => Reach::BrokeOff,
        _ => Reach::Within,
    }
}

impl Files<'_> {
    /// Keys of one kind (`CloudTrail`, `CloudTrail-Digest`) of a Region, from the first day of the window on.
    pub async fn list(&self, kind: &str, region: &str, (from, to): Window) -> Result<Listing, Abort> {
        let mut found: BTreeMap<String, u64> = BTreeMap::new();
        let mut spans = vec![];
        let mut left = 0usize;
        for root in self.roots() {
            let prefix = format!("{root}{kind}/{region}/");
            let after = format!("{prefix}{}", from.format("%Y/%m/%d"));
            // The day after the window's last: what happens before midnight is delivered after.
            let end = format!("{prefix}{}", (to + TimeDelta::days(2)).format("%Y/%m/%d"));
            let call = || self.aws().s3().list_objects_v2().bucket(self.bucket()).prefix(&prefix).start_after(&after);
            let subject = format!("{kind} files of {region} since {} in s3://{}/{prefix}", from.format("%Y-%m-%d"), self.bucket());
            let (mut last, left_before) = (after.clone(), left);
            let pages = self
                .cx()
                .ask_all(
                    Question::new(&LIST, subject),
                    Bound { pages: 400, ..Bound::default() },
                    |token| call().set_continuation_token(token).send(),
                    |out: &ListObjectsV2Output| {
                        let beyond =
                            out.contents().last().and_then(|o| o.key()).is_some_and(|k| k.starts_with(&prefix) && k > end.as_str());
                        next_token(out).filter(|_| !beyond)
                    },
                    |out| {
                        for object in out.contents() {
                            let Some(key) = object.key().filter(|k| is_file(&prefix, k) && *k > after.as_str() && *k <= end.as_str())
                            else {
                                continue;
                            };
                            if found.len() < LISTED {
                                found.insert(key.to_string(), u64::try_from(object.size().unwrap_or_default()).unwrap_or_default());
                                last = key.to_string();
                            } else {
                                left += 1;
                            }
                        }
                        out.contents().len()
                    },
                )
                .await?;
            self.note_end(&pages.end);
            let whole = matches!(pages.end, PagesEnd::Complete) && left == left_before;
            spans.push(Span { prefix, after, end, broke_off_after: (!whole).then_some(last) });
        }
        if left > 0 {
            let why = format!("{left} more are listed than are sorted");
            self.gap(GapKind::TooLarge, &format!("further {kind} files of {region}"), &why)?;
        }
        Ok(Listing { files: found.into_iter().map(|(key, bytes)| Listed { key, bytes }).collect(), spans })
    }
}

/// `yyyy/mm/dd/<name>.json.gz` below the prefix.
fn is_file(prefix: &str, key: &str) -> bool {
    let Some(rest) = key.strip_prefix(prefix) else { return false };
    let parts: Vec<&str> = rest.split('/').collect();
    let digits = |text: &str, n: usize| text.len() == n && text.bytes().all(|b| b.is_ascii_digit());
    matches!(parts.as_slice(), [y, m, d, name] if digits(y, 4) && digits(m, 2) && digits(d, 2) && name.ends_with(".json.gz"))
        && key.len() <= 1024
        && key.bytes().all(|b| b.is_ascii_graphic())
}

/// `yyyy-mm-dd` of a key that [`is_file`].
pub(super) fn day_of(key: &str) -> String {
    let parts: Vec<&str> = key.rsplit('/').skip(1).take(3).collect();
    parts.into_iter().rev().collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, Utc};

    #[test]
    fn only_keys_of_the_form_are_files() {
        let prefix = "AWSLogs/1/CloudTrail/eu-west-1/";
        let key = format!("{prefix}2026/11/20/1_CloudTrail_eu-west-1_20261120T1200Z_x.json.gz");
        assert!(is_file(prefix, &key));
        assert_eq!(day_of(&key), "2026-11-20");
        for bad in [
            "2026/11/20/",
            "2026/11/20/x.json",
            "2026/11/x.json.gz",
            "2026/11/20/a/x.json.gz",
            "2026/1/20/x.json.gz",
            "2026/11/20/\u{1b}x.json.gz",
        ] {
            assert!(!is_file(prefix, &format!("{prefix}{bad}")), "{bad}");
        }
        assert!(!is_file(prefix, "elsewhere/2026/11/20/x.json.gz"));
    }

    #[test]
    fn silence_is_no_proof_of_quiet() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let window = (at("2026-11-16T23:50:00Z"), at("2026-11-20T00:10:00Z"));
        let listing = |days: &[&str], broke_off: bool| {
            let files = days.iter().map(|d| Listed { key: format!("AWSLogs/1/CloudTrail/eu-west-1/{d}/x.json.gz"), bytes: 1 }).collect();
            let span =
                Span { prefix: String::new(), after: String::new(), end: String::new(), broke_off_after: broke_off.then(String::new) };
            Listing { files, spans: vec![span] }
        };
        let said = |days: &[&str], own: bool| listing(days, false).silence(own, window).unwrap_or_default();
        assert!(said(&[], true).contains("none for this account") && said(&[], false).contains("none for this account"));
        // The order of the keys is not that of the days where two organisations deliver; the first and the last day are no whole ones.
        assert_eq!(said(&["2026/11/18", "2026/11/19", "2026/11/17"], true), "");
        assert!(said(&["2026/11/17", "2026/11/18"], true).contains("none of 2026-11-19: nothing happened, or"), "it may have been stopped");
        assert!(said(&["2026/11/20"], true).contains("none of 3 days from 2026-11-17 to 2026-11-19"), "it may be new");
        assert!(said(&["2026/11/16", "2026/11/17", "2026/11/19", "2026/11/20"], true).contains("none of 2026-11-18"), "and started again");
        assert_eq!(said(&["2026/11/12"], false), "", "a quiet Region is no stopped trail");
        let today = (at("2026-11-19T23:00:00Z"), at("2026-11-20T23:00:00Z"));
        assert_eq!(listing(&["2026/11/20"], false).silence(true, today), None, "no whole day");
        assert_eq!(listing(&[], true).silence(true, window), None, "of what was not listed there is a gap already");
    }

    #[test]
    fn a_listing_vouches_for_what_it_showed_and_for_no_more() {
        let span = |region: &str, broke_off_after: Option<&str>| {
            let prefix = format!("AWSLogs/1/CloudTrail/{region}/");
            let at = |rest: &str| format!("{prefix}{rest}");
            Span { after: at("2026/11/13"), end: at("2026/11/22"), broke_off_after: broke_off_after.map(at), prefix: prefix.clone() }
        };
        let spans = [span("eu-west-1", Some("2026/11/15/c.json.gz")), span("eu-west-2", None), span("eu-west-3", Some("2026/11/13"))];
        for (key, reached) in [
            ("eu-west-1/2026/11/12/a.json.gz", Reach::Outside),
            ("eu-west-1/2026/11/13/a.json.gz", Reach::Within),
            ("eu-west-1/2026/11/15/c.json.gz", Reach::Within),
            ("eu-west-1/2026/11/15/d.json.gz", Reach::BrokeOff),
            ("eu-west-1/2026/11/22/a.json.gz", Reach::Outside),
            ("eu-west-2/2026/11/15/d.json.gz", Reach::Within),
            ("eu-west-3/2026/11/13/a.json.gz", Reach::BrokeOff),
            ("sa-east-1/2026/11/15/d.json.gz", Reach::Outside),
        ] {
            assert_eq!(reach(&spans, &format!("AWSLogs/1/CloudTrail/{key}")), reached, "{key}");
        }
        assert_eq!(reach(&spans, ""), Reach::Outside);
    }
}
