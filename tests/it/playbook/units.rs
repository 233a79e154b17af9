//! A registry that stays as it is, so that what is said here about the language does not change when a collector is added.

use freezeframe::collect::{CollectorSpec, Volatility};
use freezeframe::contain::{ActionSpec, Bearing};
use freezeframe::model::call::{Call, Scope, Service};
use freezeframe::model::item::Group;
use freezeframe::model::params::{Param, ParamKind};
use freezeframe::playbook::Registry;

static CONFIGURATION: CollectorSpec = CollectorSpec {
    id: "configuration",
    title: "Configuration of $LATEST",
    answers: "How is the function configured?",
    group: Group::Config,
    volatility: Volatility::V5,
    calls: &[Call::read(Service::Lambda, "GetFunction", "lambda:GetFunction", Scope::Function)],
    params: &[],
};
static CODE: CollectorSpec = CollectorSpec {
    id: "function-code",
    title: "Code of $LATEST",
    answers: "What code would run?",
    group: Group::Code,
    volatility: Volatility::V5,
    calls: &[Call::read(Service::Lambda, "GetFunction", "lambda:GetFunction", Scope::Function), Call::free(Service::Https, "GetCode")],
    params: &[],
};
static INVOCATIONS: CollectorSpec = CollectorSpec {
    id: "recent-invocations",
    title: "Recent invocations",
    answers: "What did the function do, and when?",
    group: Group::Invocation,
    volatility: Volatility::V3,
    calls: &[Call::read(Service::Logs, "FilterLogEvents", "logs:FilterLogEvents", Scope::LogGroup)],
    params: &[
        Param { name: "window", kind: ParamKind::Duration, default: "24h", doc: "How far back" },
        Param { name: "max-bytes", kind: ParamKind::Bytes, default: "64MiB", doc: "Stop after this much" },
        Param { name: "max-pages", kind: ParamKind::Count, default: "1000", doc: "Stop after this many pages" },
    ],
};
static ROLE: CollectorSpec = CollectorSpec {
    id: "execution-role",
    title: "Execution role",
    answers: "What may the function do?",
    group: Group::Identity,
    volatility: Volatility::V2,
    calls: &[
        Call::read(Service::Iam, "GetRole", "iam:GetRole", Scope::Role),
        Call::read(Service::Iam, "ListAttachedRolePolicies", "iam:ListAttachedRolePolicies", Scope::Role),
        Call::read(Service::Iam, "GetPolicyVersion", "iam:GetPolicyVersion", Scope::Policy),
    ],
    params: &[],
};
static HISTORY: CollectorSpec = CollectorSpec {
    id: "control-plane-history",
    title: "Control-plane history",
    answers: "Who changed the function?",
    group: Group::Control,
    volatility: Volatility::V1,
    calls: &[Call::read(Service::Cloudtrail, "LookupEvents", "cloudtrail:LookupEvents", Scope::Any)],
    params: &[],
};

static FREEZE: ActionSpec = ActionSpec {
    id: "freeze-concurrency",
    title: "Freeze the function",
    stops: "every new invocation",
    does_not_stop: "what is running",
    side_effects: "async events go to the dead-letter queue",
    restore: "sets the concurrency that was there, or removes the setting",
    calls: &[
        Call::read(Service::Lambda, "GetFunctionConcurrency", "lambda:GetFunctionConcurrency", Scope::Function),
        Call::write(Service::Lambda, "PutFunctionConcurrency", "lambda:PutFunctionConcurrency", Scope::Function),
        Call::write(Service::Lambda, "DeleteFunctionConcurrency", "lambda:DeleteFunctionConcurrency", Scope::Function),
    ],
    params: &[],
    restore_rank: 10,
    bearing: Bearing::Disables,
};
static QUARANTINE: ActionSpec = ActionSpec {
    id: "quarantine-role",
    title: "Quarantine the execution role",
    stops: "every use of the role's credentials",
    does_not_stop: "grants to other principals",
    side_effects: "nothing but one inline policy",
    restore: "removes the inline policy",
    calls: &[
        Call::read(Service::Iam, "GetRolePolicy", "iam:GetRolePolicy", Scope::Role),
        Call::write(Service::Iam, "PutRolePolicy", "iam:PutRolePolicy", Scope::Role),
        Call::write(Service::Iam, "DeleteRolePolicy", "iam:DeleteRolePolicy", Scope::Role),
    ],
    params: &[Param { name: "scope", kind: ParamKind::Word(&["auto", "function", "role"]), default: "auto", doc: "Whom the deny hits" }],
    restore_rank: 90,
    bearing: Bearing::Disables,
};

pub fn registry() -> Registry {
    Registry { collectors: vec![&CONFIGURATION, &CODE, &INVOCATIONS, &ROLE, &HISTORY], actions: vec![&FREEZE, &QUARANTINE] }
}
