//! `watch`: after containment, look again and again for a while: are the settings still as the case left them, is the function invoked or turned
//! away, are its credentials used or refused, who changes it? A line for each change, and in the case journal the time at which containment was
//! observed to hold.
//!
//! What holds is judged by `sight`, what is asked by `look`. What this never does: write to AWS (its fence refuses even what the actions
//! declare), end or take a hold of the case, take silence for proof.
//!
//! Cancel safety: what was observed is in the journal as soon as it is seen; a watch may be dropped or killed at any await.

mod followed;
mod look;
mod promises;
mod reading;
mod report;
mod roles;
mod sight;

pub use report::{About, Change, SeenAs, WatchReport, WatchedCell, WatchedFunction};

use super::log::{OpenCell, open_cells};
use super::saga::Trouble;
use crate::aws::Connector;
use crate::bundle::case_journal::CaseJournal;
use crate::bundle::journal::JournalError;
use crate::clock::{Clock, stamp};
use crate::model::digest::Sha256;
use crate::model::id::{CaseId, RunId};
use crate::model::journal_event::{Holding, JournalEvent, WatchRecord};
use crate::model::outcome::Outcome;
use crate::model::target::Target;
use crate::store::Store;
use chrono::TimeDelta;
use followed::{Followed, enough, seen, shown, words};
use promises::{Promise, claims, promises};
use reading::Reader;
use sight::Look;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Stands where a playbook's name stands in other runs.
pub const WATCH: &str = "watch";
/// Changes that the report keeps.
const CHANGES: usize = 2_000;
/// CloudTrail is searched no more often: two requests a second are allowed to the whole account.
const EVENTS_EVERY: Duration = Duration::from_secs(60);
/// Longer ago than this the counters are not read back; what a containment of last week has let in is a question for a snapshot.
const COUNT_BACK: TimeDelta = TimeDelta::hours(3);

#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    #[error("could not read the case journal")]
    ReadJournal(#[source] JournalError),
    #[error("the case holds nothing contained{}", .0.as_ref().map(|f| format!(" of {f}")).unwrap_or_default())]
    NothingHeld(Option<String>),
}

/// What is to be watched, and how long.
pub struct WatchOrder {
    pub case: CaseId,
    pub run: RunId,
    pub operator: String,
    /// The account of the credentials.
    pub account: String,
    /// This function alone; otherwise all that the case holds.
    pub function: Option<String>,
    /// As long as it takes to tell, when nothing is said.
    pub how_long: Option<Duration>,
    pub every: Duration,
}

/// What a watch reaches the world through.
pub struct WatchDoors<'d> {
    pub connector: &'d Connector,
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub interrupt: tokio::sync::watch::Receiver<bool>,
    pub tell: &'d (dyn Fn(&Change) + Sync),
}

/// Where a function lies, and what the journal holds of it now.
fn held(events: &[JournalEvent], function: Option<&str>) -> BTreeMap<String, (Target, Vec<OpenCell>)> {
    let mut all: BTreeMap<String, (Target, Vec<OpenCell>)> = BTreeMap::new();
    for open in open_cells(events) {
        let Some(target) = open.target().map(|t| Target { qualifier: None, ..t }) else { continue };
        if function.is_none_or(|f| f == target.function || f == target.arn()) {
            all.entry(target.arn()).or_insert_with(|| (target, vec![])).1.push(open);
        }
    }
    all
}

/// The functions that a case holds something of.
pub fn functions(events: &[JournalEvent]) -> Vec<Target> {
    held(events, None).into_values().map(|(target, _)| target).collect()
}

/// For each function that the case holds now, and since it does: when it was first observed to hold; or the newest contradiction, when none has held
/// since; or that it could not be told.
pub fn records(events: &[JournalEvent]) -> Vec<WatchRecord> {
    let first_held = |target: &str, since: usize| {
        let mut told: Option<&WatchRecord> = None;
        for event in &events[since..] {
            let JournalEvent::Watched { watched, .. } = event else { continue };
            let news = match told {
                _ if watched.target != target => false,
                None => true,
                Some(_) if watched.holding == Holding::DoesNotHold => true,
                // The same watch, some time later.
                Some(told) if told.holding == Holding::Holds => told.held_at == watched.held_at,
                Some(told) => watched.holding == Holding::Holds || told.holding == Holding::CouldNotTell,
            };
            told = if news { Some(watched) } else { told };
        }
        told.cloned()
    };
    let since = |open: &[OpenCell]| open.iter().filter_map(|o| o.grasps.first()).map(|g| g.at).min().unwrap_or(events.len());
    held(events, None).into_iter().filter_map(|(arn, (_, open))| first_held(&arn, since(&open))).collect()
}

/// Watch what the case holds.
pub async fn watch(order: WatchOrder, doors: WatchDoors<'_>) -> Result<WatchReport, WatchError> {
    let journal = CaseJournal::open(doors.store.clone(), doors.clock.clone(), &order.operator).await.map_err(WatchError::ReadJournal)?;
    let held = held(&journal.events(), order.function.as_deref());
    if held.is_empty() {
        return Err(WatchError::NothingHeld(order.function));
    }
    let report = WatchReport {
        v: 1,
        outcome: Outcome::Complete,
        exit_code: 0,
        headline: String::new(),
        case: order.case.clone(),
        run: order.run.clone(),
        operator: order.operator.clone(),
        functions: vec![],
        changes: vec![],
        more_changes: 0,
        interrupted: false,
        journal: None,
    };
    let targets: Vec<Target> = held.into_values().map(|(target, _)| target).collect();
    let mut watch = Watch { order: &order, doors: &doors, journal: &journal, report };
    let named = targets.iter().map(Target::to_string).collect::<Vec<_>>().join(", ");
    watch.note(JournalEvent::RunStarted { run: order.run.clone(), playbook: WATCH.into(), plan_sha256: Sha256::ZERO, target: named }).await;
    let mut all: Vec<Followed<'_>> = targets.iter().map(|t| Followed::new(&doors, t)).collect();
    watch.follow(&mut all).await;
    for followed in all {
        let function = followed.into_report();
        watch.note(JournalEvent::Watched { run: order.run.clone(), watched: function.watched.clone() }).await;
        watch.report.functions.push(function);
    }
    watch.report.finish();
    let outcome = watch.report.outcome.sentence().to_string();
    watch.note(JournalEvent::RunEnded { run: order.run.clone(), outcome }).await;
    // The last line may have been the one that was refused.
    watch.report.finish();
    Ok(watch.report)
}

struct Watch<'w> {
    order: &'w WatchOrder,
    doors: &'w WatchDoors<'w>,
    journal: &'w CaseJournal,
    report: WatchReport,
}

impl Watch<'_> {
    async fn note(&mut self, event: JournalEvent) {
        if let Err(e) = self.journal.append(event).await {
            self.report.journal = Some(Trouble::of(&e));
        }
    }

    fn say(&mut self, about: About, words: String) {
        let change = Change { at: stamp(self.doors.clock.now()), about, words };
        (self.doors.tell)(&change);
        if self.report.changes.len() < CHANGES {
            self.report.changes.push(change);
        } else {
            self.report.more_changes += 1;
        }
    }

    /// Look until the time is over, or somebody interrupts.
    async fn follow(&mut self, all: &mut [Followed<'_>]) {
        let began = self.doors.clock.monotonic_ns();
        let mut interrupt = self.doors.interrupt.clone();
        loop {
            tokio::select! {
                biased;
                () = interrupted(&mut interrupt) => self.report.interrupted = true,
                () = async { for followed in all.iter_mut() { self.look(followed).await; } } => {}
            }
            if all.iter().all(|f| f.restored) {
                return;
            }
            let how_long = self.order.how_long.unwrap_or_else(|| enough(all));
            let passed = Duration::from_nanos(self.doors.clock.monotonic_ns().saturating_sub(began));
            let left = how_long.saturating_sub(passed);
            if self.report.interrupted || left.is_zero() {
                return;
            }
            tokio::select! {
                biased;
                () = interrupted(&mut interrupt) => { self.report.interrupted = true; return; }
                () = self.doors.clock.sleep(self.order.every.min(left)) => {}
            }
        }
    }

    async fn look(&mut self, f: &mut Followed<'_>) {
        if f.restored {
            return;
        }
        let caught_up = self.journal.catch_up().await.map_err(|e| Trouble::of(&e).what);
        self.reading(f, "the case journal", caught_up);
        let lines = self.journal.lines();
        let events: Vec<JournalEvent> = lines.iter().map(|l| l.event.clone()).collect();
        let Some((_, open)) = held(&events, None).remove(&f.target.arn()) else {
            f.restored = true;
            self.say(
                About::Setting,
                format!("case {} holds nothing of {} any more: it was put back, and is not watched on", self.order.case, f.target),
            );
            return;
        };
        let promises = promises(&lines, &open, f.asker.skew);
        if f.versions.is_none() {
            let read = f.asker.versions().await;
            f.versions = self.reading(f, "the versions", read);
        }
        self.reader().forget_unpublished(f.target, &open, &mut f.versions).await;
        self.reader().standings(f.target, &promises, f.versions.as_ref(), &mut f.standings).await;
        let claimed = claims(&promises, f.versions.as_ref(), &f.standings, f.from + f.asker.skew);
        for words in claimed.credentials.news(&f.sight.claims.credentials) {
            self.say(About::Verdict, format!("{}: {words}", f.target));
        }
        f.sight.claims = claimed;
        if f.now.is_none() && f.sight.claims.invocations.is_none() {
            let words = "nothing that this case holds stops every invocation: that it runs is no contradiction, and is told alone";
            self.say(About::Verdict, format!("{}: {words}", f.target));
        }
        self.settings(f, &events, &open, promises).await;
        self.counters(f).await;
        self.log(f).await;
        self.trail(f, &events).await;
        self.judge(f).await;
    }

    fn reader(&self) -> Reader<'_> {
        Reader { connector: self.doors.connector, account: &self.order.account }
    }

    async fn settings(&mut self, f: &mut Followed<'_>, events: &[JournalEvent], open: &[OpenCell], promises: Vec<Promise>) {
        let mut cells = vec![];
        let mut looks = BTreeMap::new();
        for (open, promise) in open.iter().zip(promises) {
            let (look, found) = self.reader().cell(f.target, events, open).await;
            let before = f.sight.cells.get(&open.cell);
            if before.is_some_and(|b| *b != look) || (before.is_none() && look != Look::AsLeft) {
                let value =
                    found.as_ref().map(|v| format!(" (it reads {}; we left {})", shown(v), shown(&promise.left))).unwrap_or_default();
                self.say(About::Setting, format!("{} {}{value}", open.cell, words(&look)));
            }
            cells.push(WatchedCell {
                cell: open.cell.clone(),
                requested_at: promise.requested_at.map(stamp),
                accepted_at: promise.accepted_at.map(stamp),
                seen: seen(&look),
                left: Some(promise.left),
                found,
                error: if let Look::Unread(why) = &look { Some(why.clone()) } else { None },
            });
            looks.insert(open.cell.clone(), look);
        }
        let gone: Vec<String> = f.sight.cells.keys().filter(|c| !looks.contains_key(*c)).map(ToString::to_string).collect();
        for cell in gone {
            self.say(About::Setting, format!("{cell} is not held by case {} any more: it was put back", self.order.case));
        }
        (f.cells, f.sight.cells) = (cells, looks);
    }

    async fn counters(&mut self, f: &mut Followed<'_>) {
        let now = self.doors.clock.now() + f.asker.skew;
        let since = f.sight.claims.invocations.unwrap_or(f.from + f.asker.skew);
        // All of it at first, then what may still change.
        let from = if matches!(f.sight.counted, Some(Ok(_))) { now - TimeDelta::minutes(15) } else { now - COUNT_BACK };
        let read = f.asker.counters(since.max(from), now).await;
        f.sight.counted = Some(read.as_ref().map(|_| now).map_err(Clone::clone));
        for (at, minute) in self.reading(f, "the counters", read).into_iter().flatten() {
            let known = f.sight.minutes.insert(at, minute);
            if known != Some(minute) && minute != sight::Minute::default() {
                let words = format!(
                    "in the minute of {}: {} invocations, {} throttled, {} failed, at most {} at once",
                    sight::clock(at),
                    minute.invocations,
                    minute.throttles,
                    minute.errors,
                    minute.running
                );
                self.say(About::Counters, words);
            }
        }
    }

    async fn log(&mut self, f: &mut Followed<'_>) {
        let mut groups = f.versions.as_ref().map(|v| v.log_groups.clone()).unwrap_or_default();
        groups.insert(f.target.default_log_group());
        let now = self.doors.clock.now() + f.asker.skew;
        let from = *f.lines_from.get_or_insert(f.from + f.asker.skew);
        let read = f.asker.lines(&groups, from, now).await;
        let Some(lines) = self.reading(f, "the log", read) else { return };
        if lines.new > 0 {
            let ids: Vec<&str> = lines.began.iter().map(|(_, id)| id.as_str()).take(5).collect();
            let began =
                if ids.is_empty() { String::new() } else { format!(", {} invocations began ({})", lines.began.len(), ids.join(", ")) };
            self.say(About::Log, format!("{} new lines{began}", lines.new));
        }
        f.sight.began = f.sight.began.max(lines.began.iter().map(|(at, _)| *at).max());
    }

    async fn trail(&mut self, f: &mut Followed<'_>, events: &[JournalEvent]) {
        let now_ns = self.doors.clock.monotonic_ns();
        if f.events_at.is_some_and(|at| Duration::from_nanos(now_ns.saturating_sub(at)) < EVENTS_EVERY) {
            return;
        }
        f.events_at = Some(now_ns);
        let runs: Vec<&RunId> =
            events.iter().filter_map(|e| if let JournalEvent::RunStarted { run, .. } = e { Some(run) } else { None }).collect();
        // Our user agent names the run (`aws::connect`).
        let ours = |agent: &str| agent.contains("app/freezeframe-") && runs.iter().any(|r| agent.contains(r.0.as_str()));
        let roles: Vec<String> = f.versions.iter().flat_map(|v| v.roles.keys().cloned()).collect();
        let now = self.doors.clock.now() + f.asker.skew;
        let from = f.sight.claims.credentials.first().or(f.sight.claims.invocations).unwrap_or(f.from + f.asker.skew);
        let read = f.asker.events(&roles, from, now, &ours).await;
        for event in self.reading(f, "CloudTrail", read).into_iter().flatten() {
            let how = event.error.as_ref().map_or_else(|| "done".to_string(), |e| format!("refused or failed ({e})"));
            let whose = if event.by_function { "the function's credentials" } else { event.who.as_str() };
            self.say(About::Event, format!("{} at {} by {whose}: {how}", event.name, sight::clock(event.at)));
            f.sight.uses.take(&event);
        }
    }

    /// Told when it begins, when it changes and when it ends.
    fn reading<T>(&mut self, f: &mut Followed<'_>, what: &'static str, read: Result<T, String>) -> Option<T> {
        match read {
            Ok(read) => {
                if f.unread.remove(what).is_some() {
                    self.say(About::Reading, format!("{what} can be read again"));
                }
                Some(read)
            }
            Err(why) => {
                if f.unread.get(what) != Some(&why) {
                    self.say(About::Reading, format!("{what} cannot be read: {why}"));
                    f.unread.insert(what, why);
                }
                None
            }
        }
    }

    /// What it all says now; written down at once when it is something else than before.
    async fn judge(&mut self, f: &mut Followed<'_>) {
        let now = self.doors.clock.now();
        let judged = f.sight.judge(now + f.asker.skew);
        f.until = now;
        let was = f.held_at.is_some();
        f.held_at = if judged.now == Holding::Holds { f.held_at.or(Some(now)) } else { None };
        let news = f.now.as_ref().is_none_or(|n| n.now != judged.now);
        if news {
            let why = if judged.why.is_empty() { String::new() } else { format!(": {}", judged.why.join("; ")) };
            self.say(About::Verdict, format!("{} of {}{why}", judged.now.words(), f.target));
        }
        f.now = Some(judged);
        if news || was != f.held_at.is_some() {
            let watched = f.record();
            self.note(JournalEvent::Watched { run: self.order.run.clone(), watched }).await;
        }
    }
}

async fn interrupted(interrupt: &mut tokio::sync::watch::Receiver<bool>) {
    if interrupt.wait_for(|stop| *stop).await.is_err() {
        // Nobody is left who could.
        std::future::pending::<()>().await;
    }
}
