//! The guardrails: facts in, verdicts out. Whoever contains asks here first, the person at the terminal as well as the automatic face.
//!
//! A [`Policy`] (a YAML file, see `policy.rs`; without one, the built-in rules alone) and the facts about a [`Subject`] make a [`Judgement`]:
//! every rule that objects, with where it stands and what would lift it. The strictest rule wins: what is denied by one line is not allowed by
//! another. What could not be read is never taken for permission.
//!
//! What it never does: ask AWS or the store (the engine brings the facts: `engine::guard`, and `engine::control` for halt, breaker and rate),
//! look at restoring (that must always be possible), or decide whether evidence may be taken (always).

mod glob;
mod judge;
mod policy;

pub use glob::Glob;
pub use judge::{Judgement, judge, one_role};
pub use policy::{EXAMPLE, read};

use crate::aws::fault::tame;
use crate::contain::Cell;
use crate::model::call::{Call, Scope, Service};
use crate::model::digest::Sha256;
use crate::model::refusal::Refusal;
use crate::model::target::Target;
use crate::plan::Known;
use crate::playbook::Pos;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What the facts are read by, on top of `sts:GetCallerIdentity`. `GetFunction` tells configuration and tags in one call, but says nothing
/// about tags to whoever may not list them; only then the second one is made.
pub static CALLS: &[Call] = &[
    Call::read(Service::Lambda, "GetFunction", "lambda:GetFunction", Scope::Function),
    Call::read(Service::Lambda, "ListTags", "lambda:ListTags", Scope::Function),
];

/// The tag by which a function's owner says whether it may be contained.
pub const CONTAIN_TAG: &str = "ir:contain";

/// Who is about to contain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Face {
    #[default]
    Person,
    Automatic,
}

/// What a rule says about a function, from the mildest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ruling {
    /// May be contained.
    Auto,
    /// May be contained when somebody else has approved of it.
    Approve,
    Never,
}

impl Ruling {
    pub const ALL: [Ruling; 3] = [Ruling::Never, Ruling::Approve, Ruling::Auto];
    pub const fn as_str(self) -> &'static str {
        match self {
            Ruling::Auto => "auto",
            Ruling::Approve => "approve",
            Ruling::Never => "never",
        }
    }
}

/// Whom a brake stops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Applies {
    #[default]
    Automatic,
    Everyone,
}

impl Applies {
    pub fn to(self, face: Face) -> bool {
        self == Applies::Everyone || face == Face::Automatic
    }
}

/// A line about functions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub ruling: Ruling,
    pub matches: Matcher,
    pub why: String,
    pub at: Pos,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matcher {
    Name(Glob),
    Tag { name: String, value: Glob },
}

/// A line about roles: those that match are never written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleLine {
    pub name: Option<Glob>,
    pub path: Option<Glob>,
    pub why: String,
    pub at: Pos,
}

/// What is ours beyond what can be known by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ours {
    pub functions: Vec<(Glob, Pos)>,
    pub roles: Vec<(Glob, Pos)>,
    pub log_groups: Vec<(Glob, Pos)>,
    pub keys: Vec<(Glob, Pos)>,
    pub buckets: Vec<(Glob, Pos)>,
    /// Queues, rules, topics: whatever a cell may lie in.
    pub others: Vec<(Glob, Pos)>,
}

/// How many functions may be contained within an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    pub applies: Applies,
    pub per_account: u32,
    pub per_organization: u32,
    pub at: Option<Pos>,
}

impl Default for RateLimit {
    fn default() -> Self {
        RateLimit { applies: Applies::Automatic, per_account: 3, per_organization: 10, at: None }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Which file it is; none for the built-in rules.
    pub source: Option<PolicySource>,
    /// The file, byte for byte.
    pub text: Option<String>,
    pub functions: Vec<Line>,
    /// Whether the function's own tag `ir:contain` counts; it does unless the policy says otherwise.
    pub tag_ignored: bool,
    /// About functions that neither a tag nor a line speaks of.
    pub otherwise: Option<(Ruling, Pos)>,
    pub roles: Vec<RoleLine>,
    /// Accounts in which functions may be contained; none: in all.
    pub accounts_only: Option<(Vec<String>, Pos)>,
    pub accounts_never: Vec<(String, Pos)>,
    pub ours: Ours,
    /// Containment is only foretold unless somebody says that he is in earnest.
    pub dry_run: Option<Pos>,
    pub rate: RateLimit,
    pub breaker: (Applies, Option<Pos>),
}

/// The guard policy that stood, for report and bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicySource {
    pub name: String,
    /// As it was given: a file, or an object of the store.
    pub file: String,
    /// Of its text, byte for byte.
    pub sha256: Sha256,
}

impl Policy {
    /// Where a line of it stands.
    pub fn place(&self, at: Option<Pos>) -> String {
        match (&self.source, at) {
            (Some(source), Some(at)) => format!("{}:{}", source.file, at.line),
            (Some(source), None) => format!("built in; {} says nothing else", source.file),
            (None, _) => "built in".to_string(),
        }
    }

    /// Whether a cell lies in something of ours: what it touches is searched for the names that we know.
    pub fn objects_to_cell(&self, ourselves: &Ourselves, cell: &Cell) -> Option<Refusal> {
        judge::cell(self, ourselves, cell)
    }

    /// Whether anything in it rests on tags.
    pub fn protects_by_tag(&self) -> bool {
        !self.tag_ignored || self.functions.iter().any(|l| matches!(l.matches, Matcher::Tag { .. }))
    }
}

/// The function's tags, as far as they were told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Tags {
    /// Nobody asked.
    #[default]
    NotAsked,
    /// `GetFunction` said nothing about tags: there are none, or we may not list them.
    Silent,
    Read(BTreeMap<String, String>),
    /// Asked for, and not told; why.
    Unreadable(String),
}

/// Who we are, as far as the process knows: what is never contained.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ourselves {
    /// The Lambda function that we run as.
    pub function: Option<String>,
    pub log_group: Option<String>,
    /// Where evidence, journals and these very controls are kept.
    pub buckets: Vec<String>,
}

impl Ourselves {
    /// From what Lambda tells its functions (Lambda Developer Guide, "Defined runtime environment variables").
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Ourselves {
        let set = |name: &str| var(name).filter(|v| !v.is_empty());
        Ourselves { function: set("AWS_LAMBDA_FUNCTION_NAME"), log_group: set("AWS_LAMBDA_LOG_GROUP_NAME"), buckets: vec![] }
    }
}

/// Somebody else's consent, checked by whoever brings it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Caller identity's ARN of who approved.
    pub by: String,
}

/// What is judged, and for whom.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'s> {
    pub target: &'s Target,
    pub known: &'s Known,
    /// Caller identity's ARN.
    pub caller: &'s str,
    pub ourselves: &'s Ourselves,
    pub face: Face,
    /// The face's own rung asks for an approval, whatever the policy says.
    pub wants_approval: bool,
    pub approval: Option<&'s Approval>,
    pub in_earnest: bool,
}

/// How a refusal may come to its end: from the soonest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ends {
    /// Something could not be read; asked again it may be.
    Asked,
    /// By time alone.
    Waited,
    /// When somebody decides otherwise.
    Decided,
}

impl Ends {
    /// Of all these refusals together; none for no refusal. A rule that this build does not know is somebody's decision.
    pub fn of(refusals: &[Refusal]) -> Option<Ends> {
        let rule = |r: &Refusal| Rule::ALL.into_iter().find(|rule| rule.as_str() == r.rule);
        refusals.iter().map(|r| rule(r).map_or(Ends::Decided, Rule::ends)).max()
    }
}

/// The rules, by the names under which they refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    Account,
    Ourselves,
    FunctionUnreadable,
    Function,
    ContainTag,
    TagsUnreadable,
    Otherwise,
    ServiceLinkedRole,
    Role,
    Mode,
    DryRun,
    RateLimit,
    Breaker,
    Halted,
    PolicyUnreadable,
    ControlUnreadable,
}

impl Rule {
    pub const ALL: [Rule; 16] = [
        Rule::Account,
        Rule::Ourselves,
        Rule::FunctionUnreadable,
        Rule::Function,
        Rule::ContainTag,
        Rule::TagsUnreadable,
        Rule::Otherwise,
        Rule::ServiceLinkedRole,
        Rule::Role,
        Rule::Mode,
        Rule::DryRun,
        Rule::RateLimit,
        Rule::Breaker,
        Rule::Halted,
        Rule::PolicyUnreadable,
        Rule::ControlUnreadable,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Rule::Account => "account",
            Rule::Ourselves => "ourselves",
            Rule::FunctionUnreadable => "function-unreadable",
            Rule::Function => "function",
            Rule::ContainTag => "contain-tag",
            Rule::TagsUnreadable => "tags-unreadable",
            Rule::Otherwise => "otherwise",
            Rule::ServiceLinkedRole => "service-linked-role",
            Rule::Role => "role",
            Rule::Mode => "mode",
            Rule::DryRun => "dry-run",
            Rule::RateLimit => "rate-limit",
            Rule::Breaker => "breaker",
            Rule::Halted => "halted",
            Rule::PolicyUnreadable => "policy-unreadable",
            Rule::ControlUnreadable => "control-unreadable",
        }
    }

    /// What it takes to get past it.
    pub const fn ends(self) -> Ends {
        match self {
            Rule::FunctionUnreadable | Rule::TagsUnreadable | Rule::PolicyUnreadable | Rule::ControlUnreadable => Ends::Asked,
            Rule::RateLimit => Ends::Waited,
            Rule::Account
            | Rule::Ourselves
            | Rule::Function
            | Rule::ContainTag
            | Rule::Otherwise
            | Rule::ServiceLinkedRole
            | Rule::Role
            | Rule::Mode
            | Rule::DryRun
            | Rule::Breaker
            | Rule::Halted => Ends::Decided,
        }
    }

    /// The refusal, fit to be shown: what it quotes may be a stranger's (a tag, say).
    pub fn refuses(self, why: impl AsRef<str>, stands: impl AsRef<str>, lift: impl AsRef<str>) -> Refusal {
        Refusal {
            rule: self.as_str().to_string(),
            why: tame(why.as_ref(), 400),
            stands: tame(stands.as_ref(), 300),
            lift: tame(lift.as_ref(), 400),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests;
