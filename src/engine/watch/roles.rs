//! The roles that a watched function runs under: which of them this case denies and since when, which it leaves alone, and when their credentials
//! were used or refused. Each role by itself: what is missing of one takes nothing from what is known of another. Pure.
//!
//! What it never does: take a role for gone of which AWS did not say so, or one role's refusal for another's.

use super::look::{Event, Versions};
use super::promises::Promise;
use super::sight::{IAM_SPREAD, clock};
use crate::aws::fault::tame;
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;

type Time = DateTime<Utc>;

/// Whether a role that a version names is there at all: a version goes on naming one that was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    There,
    /// AWS said so. Nobody gets credentials of it.
    Gone,
    Unread(String),
}

/// What a case promises of the function's credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Denies {
    /// From then on the role's credentials are refused; those of roles that no version names any more included.
    pub since: BTreeMap<String, Time>,
    /// Roles in use that the case leaves alone though it denies another, and that in words.
    pub left_alone: BTreeMap<String, String>,
    /// A role is denied, and whether it is the only one could not be read.
    pub unknown: bool,
}

/// The newest uses of the function's credentials by role; none where the event named no role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Uses {
    /// AWS let pass.
    pub passed: BTreeMap<Option<String>, Time>,
    pub refused: BTreeMap<Option<String>, Time>,
}

impl Uses {
    /// Of an event that neither was refused nor passed, and of one by somebody else, nothing is kept.
    pub fn take(&mut self, event: &Event) {
        let newest = match &event.error {
            _ if !event.by_function => return,
            _ if event.is_refused() => &mut self.refused,
            None if event.needs_permission() => &mut self.passed,
            _ => return,
        };
        let at = newest.entry(event.role.clone()).or_insert(event.at);
        *at = event.at.max(*at);
    }
}

/// `now` is when a deny counts from of which nobody wrote that AWS took it. A role whose standing is missing is one that was not asked about.
pub(super) fn denies(promises: &[Promise], versions: Option<&Versions>, standings: &BTreeMap<String, Standing>, now: Time) -> Denies {
    let mut since: BTreeMap<String, Time> = BTreeMap::new();
    for promise in promises.iter().filter(|p| p.denies_all()) {
        let at = promise.since(now);
        let first = since.entry(promise.role().to_string()).or_insert(at);
        *first = at.min(*first);
    }
    if since.is_empty() {
        return Denies::default();
    }
    let others = versions.iter().flat_map(|v| &v.roles).filter(|(role, _)| !since.contains_key(*role));
    let left_alone = others.filter_map(|(role, versions)| Some((role.clone(), left_alone(role, versions, standings.get(role))?))).collect();
    Denies { left_alone, unknown: versions.is_none(), since }
}

/// In words; none of a role that is gone.
fn left_alone(role: &str, versions: &[String], standing: Option<&Standing>) -> Option<String> {
    let more = if versions.len() > 5 { format!(" and {} more", versions.len() - 5) } else { String::new() };
    let named = versions.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
    let denied = format!("nothing that this case holds denies the role {} of version {named}{more}", tame(role, 80));
    match standing {
        Some(Standing::Gone) => None,
        Some(Standing::Unread(why)) => Some(format!("{denied}, and whether it still exists could not be read: {why}")),
        Some(Standing::There) | None => Some(format!("{denied}: its credentials go on")),
    }
}

impl Denies {
    /// What is left alone now and was not before, or for another reason.
    pub fn news(&self, before: &Denies) -> Vec<String> {
        let new = self.left_alone.iter().filter(|(role, words)| before.left_alone.get(*role) != Some(words));
        new.map(|(_, words)| words.clone()).collect()
    }

    /// When the first role was denied.
    pub fn first(&self) -> Option<Time> {
        self.since.values().min().copied()
    }

    /// When IAM has spread the last deny.
    pub fn spread(&self) -> Option<Time> {
        self.since.values().max().map(|since| *since + IAM_SPREAD)
    }

    /// From when on it is a contradiction that the role's credentials are not refused. None: they may be of a role that nothing was promised of.
    /// The function's session under a role that no version names, or that is gone, should be able to do nothing once all are denied.
    fn binds(&self, role: Option<&str>) -> Option<Time> {
        if let Some(since) = role.and_then(|r| self.since.get(r)) {
            return Some(*since + IAM_SPREAD);
        }
        let left_alone = role.map_or(!self.left_alone.is_empty(), |r| self.left_alone.contains_key(r));
        if self.unknown || left_alone { None } else { self.spread() }
    }

    /// Uses that should have been refused.
    pub fn against(&self, uses: &Uses) -> Vec<String> {
        let passed = uses.passed.iter().filter(|(role, at)| self.binds(role.as_deref()).is_some_and(|from| **at >= from));
        passed.map(|(role, at)| format!("the function's credentials were used at {}{}, and not refused", clock(*at), under(role))).collect()
    }

    /// What keeps anybody from saying that all of the function's credentials are refused.
    pub fn open(&self, uses: &Uses, now: Time) -> Vec<String> {
        let mut out = vec![];
        if self.unknown {
            out.push("under which roles its versions run could not be read, so nobody knows that each is denied".to_string());
        }
        out.extend(self.left_alone.iter().map(|(role, words)| {
            let used = uses.passed.get(&Some(role.clone())).map(|at| format!("; they were used at {}", clock(*at)));
            format!("{words}{}", used.unwrap_or_default())
        }));
        // A refusal is as good as waiting, for the role that it is of.
        let refused = |role: &String, since: Time| uses.refused.get(&Some(role.clone())).is_some_and(|at| *at >= since);
        let spreading = self.since.iter().filter(|(role, since)| now < **since + IAM_SPREAD && !refused(role, **since));
        if let Some(last) = spreading.map(|(_, since)| *since).max() {
            out.push(format!("IAM takes minutes to spread a deny: ask again after {}", clock(last + IAM_SPREAD)));
        }
        out
    }
}

fn under(role: &Option<String>) -> String {
    role.as_ref().map(|r| format!(" under the role {}", tame(r, 80))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t(text: &str) -> Time {
        DateTime::parse_from_rfc3339(&format!("2026-11-20T{text}Z")).unwrap().to_utc()
    }
    fn at(role: Option<&str>, time: &str) -> BTreeMap<Option<String>, Time> {
        [(role.map(str::to_string), t(time))].into()
    }
    fn passed(role: Option<&str>, time: &str) -> Uses {
        Uses { passed: at(role, time), ..Uses::default() }
    }
    /// `r` is denied since noon, `s` since a minute later.
    fn two() -> Denies {
        Denies { since: [("r".into(), t("12:00:00")), ("s".into(), t("12:01:00"))].into(), ..Denies::default() }
    }
    /// The same, and `former` is left alone.
    fn beside_former() -> Denies {
        Denies { left_alone: [("former".into(), "it goes on".into())].into(), ..two() }
    }

    #[test]
    fn each_use_is_judged_by_the_deny_of_its_own_role() {
        for denies in [two(), beside_former(), Denies { unknown: true, ..two() }] {
            let broken = |role, time| !denies.against(&passed(Some(role), time)).is_empty();
            assert!(!broken("r", "12:04:59") && broken("r", "12:05:00"));
            assert!(!broken("s", "12:05:59") && broken("s", "12:06:00"));
        }
        assert_eq!(
            two().against(&passed(Some("r"), "12:05:00")),
            ["the function's credentials were used at 2026-11-20T12:05:00Z under the role r, and not refused"]
        );
    }

    #[test]
    fn a_use_of_what_was_left_alone_contradicts_nothing_and_keeps_it_open() {
        let used = passed(Some("former"), "12:09:00");
        assert!(beside_former().against(&used).is_empty());
        assert_eq!(beside_former().open(&used, t("12:10:00")), ["it goes on; they were used at 2026-11-20T12:09:00Z"]);
        assert_eq!(beside_former().open(&Uses::default(), t("12:10:00")), ["it goes on"]);
        // What may be of that role, or of one that nobody could list, is none of the others'.
        assert!(beside_former().against(&passed(None, "12:09:00")).is_empty());
        for role in [None, Some("x")] {
            assert!(Denies { unknown: true, ..two() }.against(&passed(role, "12:09:00")).is_empty());
        }
    }

    #[test]
    fn under_a_role_that_nobody_names_nothing_should_work_either() {
        for denies in [two(), beside_former()] {
            assert!(denies.against(&passed(Some("x"), "12:05:59")).is_empty(), "the last deny has not spread");
            assert_eq!(denies.against(&passed(Some("x"), "12:06:00")).len(), 1);
        }
        assert_eq!(two().against(&passed(None, "12:06:00")).len(), 1);
        assert!(Denies::default().against(&passed(Some("x"), "12:06:00")).is_empty(), "nothing was promised");
    }

    #[test]
    fn a_refusal_spares_the_waiting_for_its_own_role_alone() {
        let open = |refused: &[(Option<&str>, &str)]| {
            let refused = refused.iter().flat_map(|(role, time)| at(*role, time)).collect();
            two().open(&Uses { refused, ..Uses::default() }, t("12:04:00")).join("; ")
        };
        assert!(open(&[]).contains("ask again after 2026-11-20T12:06:00Z"));
        assert!(open(&[(Some("s"), "12:01:30")]).contains("ask again after 2026-11-20T12:05:00Z"), "r is still to come");
        assert_eq!(open(&[(Some("r"), "12:00:30"), (Some("s"), "12:01:30")]), "");
        // Before the deny, or of nobody knows which role.
        for other in [(Some("s"), "12:00:59"), (None, "12:03:00")] {
            assert!(open(&[(Some("r"), "12:00:30"), other]).contains("12:06:00"));
        }
    }

    #[test]
    fn the_newest_use_of_each_role_counts() {
        let event = |role: &str, time: &str, error: Option<&str>| Event {
            at: t(time),
            name: "PutObject".into(),
            who: "x".into(),
            error: error.map(str::to_string),
            by_function: true,
            role: Some(role.into()),
        };
        let mut uses = Uses::default();
        for event in [
            event("r", "12:02:00", None),
            event("r", "12:01:00", None),
            event("s", "12:03:00", Some("AccessDenied")),
            event("s", "12:04:00", Some("NoSuchBucket")),
            Event { by_function: false, ..event("s", "12:05:00", None) },
            Event { name: "GetCallerIdentity".into(), ..event("s", "12:06:00", None) },
        ] {
            uses.take(&event);
        }
        assert_eq!(uses, Uses { passed: at(Some("r"), "12:02:00"), refused: at(Some("s"), "12:03:00") });
    }
}
