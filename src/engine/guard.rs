//! Where the guardrails' facts come from, and where their word is heard: before the contain phase, and before each write of it.
//!
//! Whoever collects first is asked everything once more before anything is opened for change: between the first look and now lie minutes.
//! Whoever stops the bleeding first is judged by what the first look told (a look that failed is made once more), and what that left open (tags,
//! halt, breaker, rate) is asked while the first setting is read, so that it costs no time of its own.
//!
//! What it never does: decide (`plan::guard` does), stand before a restore, write to AWS.

use super::control::{Control, ControlError, Room};
use super::saga::Gate;
use crate::aws::fault::{Fault, tame};
use crate::aws::record::{HeadRecorder, Recorder, UnitScope};
use crate::aws::tape::{self, Listening};
use crate::aws::{Aws, Connector};
use crate::contain::{Cell, DynAction};
use crate::model::causes::with_causes;
use crate::model::exchange::Exchange;
use crate::model::id::RunId;
use crate::model::item::Group;
use crate::model::refusal::Refusal;
use crate::model::target::Target;
use crate::plan::Known;
use crate::plan::guard::{self, Approval, Face, Judgement, Ourselves, Policy, Rule, Subject, Tags};
use crate::playbook::Invalid;
use crate::store::Store;
use async_trait::async_trait;
use aws_sdk_lambda::operation::get_function::GetFunctionOutput;
use futures_util::future::join;
use serde_json::Value;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;

/// The rules that stand for a run, and the facts that were known when it began.
#[derive(Clone, Debug)]
pub struct Guarding {
    /// A policy that should have been read and could not be is a refusal: nothing is contained without knowing what forbids it.
    pub policy: Result<Arc<Policy>, Refusal>,
    pub known: Known,
    pub ourselves: Ourselves,
    pub face: Face,
    /// The face's own rung asks for an approval, whatever the policy says.
    pub wants_approval: bool,
    /// A policy's `dry-run` was lifted by a word.
    pub in_earnest: bool,
}

impl Default for Guarding {
    /// Nothing is known, so nothing may be contained.
    fn default() -> Self {
        Guarding {
            policy: Ok(Arc::default()),
            known: Known::default(),
            ourselves: Ourselves::default(),
            face: Face::Person,
            wants_approval: false,
            in_earnest: false,
        }
    }
}

impl Guarding {
    pub fn judge(&self, target: &Target, caller: &str, approval: Option<&Approval>) -> Judgement {
        match &self.policy {
            Ok(policy) => guard::judge(policy, &self.subject(target, caller, approval)),
            Err(refusal) => Judgement { refusals: vec![refusal.clone()], ..Judgement::default() },
        }
    }

    /// Objections to writing to this very role.
    fn one_role(&self, target: &Target, caller: &str, arn: &str) -> Vec<Refusal> {
        match &self.policy {
            Ok(policy) => guard::one_role(policy, &self.subject(target, caller, None), arn),
            Err(refusal) => vec![refusal.clone()],
        }
    }

    fn subject<'s>(&'s self, target: &'s Target, caller: &'s str, approval: Option<&'s Approval>) -> Subject<'s> {
        Subject {
            target,
            known: &self.known,
            caller,
            ourselves: &self.ourselves,
            face: self.face,
            wants_approval: self.wants_approval,
            approval,
            in_earnest: self.in_earnest,
        }
    }

    pub(super) fn only_foretells(&self) -> bool {
        !self.in_earnest && self.policy.as_ref().is_ok_and(|p| p.dry_run.is_some())
    }

    pub(super) fn protects_by_tag(&self) -> bool {
        self.policy.as_ref().is_ok_and(|p| p.protects_by_tag())
    }
}

/// What `GetFunction` tells.
pub(super) fn known_of(found: &GetFunctionOutput) -> Known {
    let conf = found.configuration();
    let tags = match (found.tags_error(), found.tags()) {
        (Some(e), _) => Tags::Unreadable(tame(&format!("{}: {}", e.error_code(), e.message()), 200)),
        (None, Some(tags)) if !tags.is_empty() => Tags::Read(tags.iter().map(|(k, v)| (k.clone(), v.clone())).collect()),
        // "Lambda returns tag data only if you have explicit allow permissions for lambda:ListTags" (API reference, GetFunction): silence is
        // not absence. DOUBT(aws): whether an empty map can mean the same is not said, so it is not believed either.
        (None, _) => Tags::Silent,
    };
    Known {
        role_arn: conf.and_then(|c| c.role()).map(str::to_string),
        log_group: conf.and_then(|c| c.logging_config()).and_then(|l| l.log_group()).map(str::to_string),
        kms_key: conf.and_then(|c| c.kms_key_arn()).map(str::to_string),
        tags,
    }
}

/// The policy that lies in a store's root.
pub const STORED: &str = "guard.yaml";

pub enum StoredPolicy {
    None,
    Read(Box<Policy>),
    Invalid(Invalid),
    Unreadable(Box<dyn Error + Send + Sync>),
}

pub async fn stored_policy(store: &dyn Store) -> StoredPolicy {
    let bytes = match store.get(STORED).await {
        Ok(None) => return StoredPolicy::None,
        Ok(Some(bytes)) => bytes,
        Err(e) => return StoredPolicy::Unreadable(e.into()),
    };
    let place = store.describe();
    let file = format!("{}/{STORED}", place.strip_prefix("directory ").unwrap_or(&place));
    match String::from_utf8(bytes) {
        Ok(text) => guard::read(&file, &text).map_or_else(StoredPolicy::Invalid, |p| StoredPolicy::Read(Box::new(p))),
        Err(e) => StoredPolicy::Unreadable(e.into()),
    }
}

const SCOPE: UnitScope = UnitScope { unit: "guard", group: Group::Plan };

async fn read_tags(aws: &Aws, target: &Target) -> Tags {
    let future = aws.lambda().list_tags().resource(target.arn()).send();
    let (answer, exchanges) = tape::listen(Listening::default(), future).await;
    match answer {
        Ok(answer) => Tags::Read(answer.tags().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect()),
        Err(e) => Tags::Unreadable(tame(&Fault::of(&e, &exchanges).to_string(), 200)),
    }
}

/// The facts as they are now. What cannot be read is not known, and the judgement knows what to make of that.
pub async fn look(connector: &Connector, target: &Target, by_tag: bool) -> (Known, Vec<Exchange>) {
    let recorder = Arc::new(HeadRecorder::default());
    let aws = connector.unit(SCOPE, guard::CALLS, recorder.clone());
    let future = aws.lambda().get_function().function_name(&target.function).send();
    let (answer, _) = tape::listen(Listening::default(), future).await;
    let mut known = answer.as_ref().map(known_of).unwrap_or_default();
    if by_tag && !matches!(known.tags, Tags::Read(_) | Tags::Unreadable(_)) {
        known.tags = read_tags(&aws, target).await;
    }
    (known, recorder.taken())
}

/// Stands before the writes of one contain phase.
pub(super) struct Sentry {
    pub control: Control,
    pub guarding: Guarding,
    pub connector: Connector,
    pub recorder: Arc<dyn Recorder>,
    pub target: Target,
    pub run: RunId,
    pub who: String,
    pub approval: Option<Approval>,
    /// Objections to writing to `$LATEST`'s role.
    pub of_role: Vec<Refusal>,
    /// What has to be asked once, before the first write: tags that were left open, room within the rate.
    pub ready: OnceCell<Option<Refusal>>,
    /// Everything that was refused, once each.
    pub said: Mutex<Vec<Refusal>>,
}

impl Sentry {
    pub fn said(&self) -> Vec<Refusal> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Halt and breaker, now; and what has to be asked once.
    pub async fn open(&self) -> Result<(), Refusal> {
        let (stopped, unready) = join(self.stopped(), self.ready.get_or_init(|| self.unready())).await;
        stopped.or(unready.clone()).map_or(Ok(()), Err)
    }

    /// Each cell is judged by the role that it writes to: a version may run under another one than `$LATEST`.
    fn of_its_role(&self, cell: &Cell) -> Option<Refusal> {
        match cell.facts.get("role_arn").and_then(Value::as_str) {
            Some(arn) => self.guarding.one_role(&self.target, &self.who, arn).into_iter().next(),
            None => self.of_role.first().cloned(),
        }
    }

    fn policy(&self) -> Arc<Policy> {
        self.guarding.policy.as_ref().map_or_else(|_| Arc::default(), Clone::clone)
    }

    async fn stopped(&self) -> Option<Refusal> {
        let standing = match self.control.standing().await {
            Ok(standing) => standing,
            Err(e) => return Some(self.unreadable("whether somebody has halted containment could not be read", &e)),
        };
        let place = |key: &str| format!("{}/{key}", self.control.describe());
        let more = |n: usize| if n > 1 { format!(", and {} more", n - 1) } else { String::new() };
        if let Some(stop) = standing.halts.first() {
            let why = format!("containment was halted by {} at {}: {}{}", stop.by, stop.at, stop.why, more(standing.halts.len()));
            let lift = if stop.key == super::control::BY_HAND {
                format!("whoever put it there deletes {}", stop.key)
            } else {
                "freezeframe resume --why …".to_string()
            };
            return Some(Rule::Halted.refuses(why, place(&stop.key), lift));
        }
        let (applies, at) = self.policy().breaker;
        let stop = standing.breakers.first().filter(|_| applies.to(self.guarding.face))?;
        let why = format!("the breaker has been open since {} ({}): {}{}", stop.at, stop.by, stop.why, more(standing.breakers.len()));
        let stands = format!("{} ({})", place(&stop.key), self.policy().place(at));
        Some(Rule::Breaker.refuses(why, stands, "look at what went wrong, then freezeframe resume --breaker --why …"))
    }

    async fn unready(&self) -> Option<Refusal> {
        let mut guarding = self.guarding.clone();
        if guarding.protects_by_tag() && matches!(guarding.known.tags, Tags::NotAsked | Tags::Silent) {
            let aws = self.connector.unit(SCOPE, guard::CALLS, self.recorder.clone());
            guarding.known.tags = read_tags(&aws, &self.target).await;
            let judged = guarding.judge(&self.target, &self.who, self.approval.as_ref());
            if let Some(refusal) = judged.refusals.into_iter().next() {
                return Some(refusal);
            }
        }
        let policy = self.policy();
        if !policy.rate.applies.to(self.guarding.face) {
            return None;
        }
        match self.control.claim(&policy.rate, &self.target, &self.run, &self.who).await {
            Ok(Room::Yes) => None,
            Ok(Room::No { limit, account, from }) => {
                let of = account.map_or_else(|| "the organisation".to_string(), |a| format!("account {a}"));
                let why = format!("{limit} functions of {of} were contained within the hour already; there is room again from {from}");
                Some(Rule::RateLimit.refuses(why, policy.place(policy.rate.at), "waiting, a person at a terminal, or another `rate-limit`"))
            }
            Err(e) => Some(self.unreadable("how many functions were contained within the hour could not be counted", &e)),
        }
    }

    fn unreadable(&self, what: &str, error: &ControlError) -> Refusal {
        let why = format!("{what}: {}", with_causes(error));
        Rule::ControlUnreadable.refuses(why, "built in", format!("make {} readable and writable", self.control.describe()))
    }
}

#[async_trait]
impl Gate for Sentry {
    async fn may(&self, action: &dyn DynAction, cell: &Cell) -> Result<(), Refusal> {
        let of_role = if action.spec().writes_roles() { self.of_its_role(cell) } else { None };
        let ours = self.policy().objects_to_cell(&self.guarding.ourselves, cell);
        let leave = match ours.or(of_role) {
            Some(refusal) => Err(refusal),
            None => self.open().await,
        };
        if let Err(refusal) = &leave {
            let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
            if !said.contains(refusal) {
                said.push(refusal.clone());
            }
        }
        leave
    }
}
