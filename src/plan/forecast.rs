//! The forecast: what containment would stop here, what it would not, and what it would cost, told from this function's own life. It turns
//! "callers get 429" into "4,210 invocations in the last hour; no dead-letter queue: asynchronous events are lost".
//!
//! Pure: facts in ([`Outlook`], read by `engine::outlook`), sentences out. What could not be read is said in [`Forecast::unknown`], because a
//! cost that nobody could read is not a cost of nothing. What each action does is from `containment.md` B.1 and B.2.

use super::Plan;
use crate::model::call::{Call, Scope, Service};
use crate::playbook::PhaseKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Everything that the outlook asks: reads.
pub static FORECAST: &[Call] = &[
    Call::read(Service::Lambda, "GetFunction", "lambda:GetFunction", Scope::Function),
    Call::read(Service::Lambda, "ListFunctionEventInvokeConfigs", "lambda:ListFunctionEventInvokeConfigs", Scope::Function),
    Call::read(Service::Lambda, "ListEventSourceMappings", "lambda:ListEventSourceMappings", Scope::Any),
    Call::read(Service::Lambda, "ListProvisionedConcurrencyConfigs", "lambda:ListProvisionedConcurrencyConfigs", Scope::Function),
    Call::read(Service::Lambda, "ListDurableExecutionsByFunction", "lambda:ListDurableExecutionsByFunction", Scope::Function),
    Call::read(Service::Lambda, "ListFunctions", "lambda:ListFunctions", Scope::Any),
    Call::read(Service::Iam, "GetRole", "iam:GetRole", Scope::Role),
    Call::read(Service::Cloudwatch, "GetMetricData", "cloudwatch:GetMetricData", Scope::Any),
    Call::read(Service::Sqs, "GetQueueUrl", "sqs:GetQueueUrl", Scope::Any),
    Call::read(Service::Sqs, "GetQueueAttributes", "sqs:GetQueueAttributes", Scope::Any),
    Call::read(Service::Autoscaling, "DescribeScalableTargets", "application-autoscaling:DescribeScalableTargets", Scope::Any),
];

/// A fact, or why there is none.
pub type Fact<T> = Result<T, String>;

/// What is known of the function's life.
#[derive(Clone, Debug)]
pub struct Outlook {
    /// RFC 3339, by AWS's clock where it was heard.
    pub at: String,
    pub configuration: Fact<Configuration>,
    /// Of the last hour.
    pub traffic: Fact<Traffic>,
    /// Where asynchronous events go that cannot be delivered, beside the dead-letter queue: qualifier and ARN.
    pub failure_destinations: Fact<Vec<(String, String)>>,
    pub mappings: Fact<Vec<Mapping>>,
    pub durable_running: Fact<u64>,
    /// Other functions of the Region on the same role.
    pub role_users: Fact<Vec<String>>,
    /// Principals other than Lambda that may assume the role.
    pub role_trusts: Fact<Vec<String>>,
    /// Qualifier and environments kept warm.
    pub provisioned: Fact<Vec<(String, u64)>>,
    /// Aliases whose provisioned concurrency is scaled by Application Auto Scaling.
    pub autoscaled: Fact<Vec<String>>,
}

#[derive(Clone, Debug, Default)]
pub struct Configuration {
    pub timeout_s: u64,
    pub managed_instances: bool,
    pub dead_letter: Option<String>,
    pub durable: bool,
    /// The CloudFormation stack that it was deployed by, or another tag that says who owns its configuration.
    pub deployed_by: Option<String>,
    pub edge: bool,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Traffic {
    pub invocations: u64,
    pub asynchronous: u64,
    pub url_requests: u64,
    /// The oldest record that a stream consumer has not read yet.
    pub iterator_age_ms: u64,
}

#[derive(Clone, Debug)]
pub struct Mapping {
    pub source: String,
    pub enabled: bool,
    /// Of a queue; streams have none.
    pub queue: Option<Fact<Queue>>,
}

#[derive(Clone, Debug, Default)]
pub struct Queue {
    pub waiting: u64,
    pub in_flight: u64,
    pub visibility_s: u64,
    pub retention_s: u64,
    /// After so many receives a message moves to the dead-letter queue.
    pub max_receives: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    Stops,
    DoesNotStop,
    Costs,
    /// Something that may undo containment by itself.
    FightsBack,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Foretold {
    pub action: String,
    pub effect: Effect,
    pub text: String,
}

/// `data/90-contain/forecast.json`, and part of plan and report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Forecast {
    /// When the facts were read: RFC 3339.
    pub at: String,
    pub foretold: Vec<Foretold>,
    /// What could not be read, and so is not foretold.
    pub unknown: Vec<String>,
}

/// Credentials that Lambda issues to a function live so long (`evidence-inventory.md` §0.5).
const CREDENTIALS_HOURS: i64 = 12;
/// An asynchronous invocation on Managed Instances may run so long (`containment.md` B.1).
const MANAGED_MINUTES: u64 = 90;

/// What the plan's contain phase would do here.
pub fn foretell(plan: &Plan, o: &Outlook) -> Forecast {
    let actions: Vec<&str> =
        plan.phases.iter().filter(|p| p.phase == PhaseKind::Contain).flat_map(|p| &p.steps).map(|s| s.unit.as_str()).collect();
    let mut t = Teller { plan, o, actions, out: Forecast { at: o.at.clone(), foretold: vec![], unknown: unknown(o) } };
    t.invocations();
    t.asynchronous();
    t.mappings();
    t.role();
    t.fights_back();
    t.out
}

fn unknown(o: &Outlook) -> Vec<String> {
    let mut out = vec![];
    let mut note = |what: &str, why: Option<&String>| out.extend(why.map(|why| format!("{what}: {why}")));
    note("the configuration (how long an invocation can run, whether there is a dead-letter queue)", o.configuration.as_ref().err());
    note("how often the function runs", o.traffic.as_ref().err());
    note("where asynchronous events go that fail", o.failure_destinations.as_ref().err());
    note("which queues and streams feed it", o.mappings.as_ref().err());
    note("whether durable executions are running", o.durable_running.as_ref().err());
    note("which other functions use its role", o.role_users.as_ref().err());
    note("who else may assume its role", o.role_trusts.as_ref().err());
    note("whether environments are kept warm", o.provisioned.as_ref().err());
    note("whether something scales it", o.autoscaled.as_ref().err());
    for m in o.mappings.iter().flatten() {
        note(&format!("how full {} is", m.source), m.queue.as_ref().and_then(|q| q.as_ref().err()));
    }
    out
}

struct Teller<'a> {
    plan: &'a Plan,
    o: &'a Outlook,
    actions: Vec<&'a str>,
    out: Forecast,
}

impl Teller<'_> {
    fn does(&self, action: &str) -> bool {
        self.actions.contains(&action)
    }

    fn say(&mut self, action: &str, effect: Effect, text: impl Into<String>) {
        self.out.foretold.push(Foretold { action: action.to_string(), effect, text: text.into() });
    }

    fn invocations(&mut self) {
        let action = "freeze-concurrency";
        if !self.does(action) {
            return;
        }
        if let Ok(t) = &self.o.traffic {
            let url = if t.url_requests > 0 { format!(", {} of them through its URL", t.url_requests) } else { String::new() };
            self.say(
                action,
                Effect::Stops,
                format!("every new invocation; there were {} in the last hour{url}. Whoever waits for an answer gets 429", t.invocations),
            );
        }
        if let Ok(c) = &self.o.configuration {
            let longest = if c.managed_instances { format!("{MANAGED_MINUTES} minutes") } else { format!("{} s", c.timeout_s) };
            self.say(action, Effect::DoesNotStop, format!("an invocation that runs already: it can go on for up to {longest}"));
            if c.managed_instances && !self.does("scale-to-zero") {
                self.say(action, Effect::DoesNotStop, "Managed Instances, on which this function runs: `scale-to-zero` does");
            }
            if c.edge {
                self.say(action, Effect::DoesNotStop, "copies at CloudFront edges, which linger for hours");
            }
        }
        if let Ok(n @ 1..) = self.o.durable_running {
            let held = if self.does("pause-durable-executions") { "paused by this plan" } else { "not paused by this plan" };
            self.say(action, Effect::DoesNotStop, format!("waits and callbacks of {n} running durable executions ({held})"));
        }
        for (qualifier, n) in self.o.provisioned.iter().flatten() {
            self.say(
                action,
                Effect::Costs,
                format!("{n} environments are kept warm for {qualifier}: they are paid for, and may make AWS refuse a reservation of zero"),
            );
        }
    }

    fn asynchronous(&mut self) {
        let action = "freeze-concurrency";
        let Ok(c) = &self.o.configuration else { return };
        if !self.does(action) || self.does("capture-async-events") {
            return;
        }
        let many = self.o.traffic.as_ref().map_or_else(|_| "an unknown number".to_string(), |t| t.asynchronous.to_string());
        let mut to: Vec<String> = c.dead_letter.iter().cloned().collect();
        to.extend(self.o.failure_destinations.iter().flatten().map(|(q, arn)| format!("{arn} (for {q})")));
        let text = match (to.is_empty(), self.o.failure_destinations.is_ok()) {
            (false, _) => format!("asynchronous events ({many} in the last hour) go at once, without a retry, to {}", to.join(", ")),
            (true, true) => format!(
                "asynchronous events ({many} in the last hour) are LOST: there is no dead-letter queue and no failure destination (`capture-async-events` would keep them)"
            ),
            (true, false) => format!(
                "asynchronous events ({many} in the last hour) may be lost: there is no dead-letter queue, and whether there is a failure destination could not be read"
            ),
        };
        self.say(action, Effect::Costs, text);
    }

    fn mappings(&mut self) {
        let action = "freeze-concurrency";
        if !self.does(action) {
            return;
        }
        let paused = self.does("pause-event-source-mappings");
        for m in self.o.mappings.iter().flatten().filter(|m| m.enabled) {
            let text = match &m.queue {
                _ if paused => format!("{} is paused by this plan: its records wait where they are", m.source),
                Some(Ok(q)) => {
                    let held = format!(
                        "{}: {} messages wait and {} are in flight, kept for {} hours",
                        m.source,
                        q.waiting,
                        q.in_flight,
                        q.retention_s / 3600
                    );
                    match q.max_receives {
                        // Every failed attempt takes one visibility timeout.
                        Some(n) => format!(
                            "{held}; throttled deliveries count as receives: after {n} of them (about {} minutes) a message moves to the dead-letter queue",
                            (n * q.visibility_s).div_ceil(60).max(1)
                        ),
                        None => format!("{held}; throttled deliveries raise the receive count, and no redrive policy moves anything"),
                    }
                }
                Some(Err(_)) => format!("{}: messages gain receive counts and may move to a dead-letter queue", m.source),
                None => {
                    let age = self.o.traffic.as_ref().map_or(0, |t| t.iterator_age_ms / 1000);
                    format!(
                        "{}: records wait in the stream until its retention ends (24 hours unless it was raised); the oldest unread one is {age} s old",
                        m.source
                    )
                }
            };
            self.say(action, Effect::Costs, text);
        }
    }

    fn role(&mut self) {
        let on_role: Vec<&str> = self
            .actions
            .iter()
            .copied()
            .filter(|a| {
                ["quarantine-role", "detach-permissions", "revoke-sessions", "block-role-assumption", "set-permissions-boundary"]
                    .contains(a)
            })
            .collect();
        let Some(action) = on_role.first().copied() else {
            let until = self.credentials_until();
            if self.does("freeze-concurrency") {
                self.say(
                    "freeze-concurrency",
                    Effect::DoesNotStop,
                    format!("credentials that were issued to the function, stolen or not: they live until {until} at the latest"),
                );
            }
            return;
        };
        self.say(
            action,
            Effect::Stops,
            format!(
                "credentials issued so far, which would live until {} at the latest, as soon as IAM has spread the change (minutes)",
                self.credentials_until()
            ),
        );
        self.say(
            action,
            Effect::DoesNotStop,
            "sessions of other roles that were assumed already, tokens from GetWebIdentityToken, data already copied",
        );
        for action in on_role {
            let wide = action != "quarantine-role" || self.param(action, "scope").as_deref() == Some("role");
            let names = |all: &[String]| {
                let shown: Vec<&str> = all.iter().take(8).map(String::as_str).collect();
                format!("{}{}", shown.join(", "), if all.len() > 8 { format!(" and {} more", all.len() - 8) } else { String::new() })
            };
            if let Some(users) = self.o.role_users.as_ref().ok().filter(|u| !u.is_empty()) {
                let text = match wide {
                    true => format!("{} other functions on the role stop as well: {}", users.len(), names(users)),
                    false => format!(
                        "{} other functions use the role ({}); the deny meets this function's sessions alone",
                        users.len(),
                        names(users)
                    ),
                };
                self.say(action, Effect::Costs, text);
            }
            let own = self.param(action, "regions").is_none_or(|r| r == "own");
            let whole = wide || self.o.role_trusts.as_ref().is_ok_and(Vec::is_empty);
            let auto = self.param(action, "scope").as_deref() != Some("function");
            if self.o.role_users.as_ref().is_ok_and(Vec::is_empty) && own && whole && auto {
                let region = &self.plan.target.region;
                let text =
                    format!("functions of other Regions that run under the role stop as well: they were looked for in {region} alone");
                self.say(action, Effect::Costs, text);
            }
            if let Some(trusts) = self.o.role_trusts.as_ref().ok().filter(|t| wide && !t.is_empty()) {
                self.say(action, Effect::Costs, format!("others may assume the role, and are met as well: {}", names(trusts)));
            }
        }
    }

    fn param(&self, action: &str, name: &str) -> Option<String> {
        let steps = self.plan.phases.iter().filter(|p| p.phase == PhaseKind::Contain).flat_map(|p| &p.steps);
        steps.filter(|s| s.unit == action).find_map(|s| s.params.text(name))
    }

    fn credentials_until(&self) -> String {
        let at = chrono::DateTime::parse_from_rfc3339(&self.o.at).ok();
        let end = at.and_then(|t| t.checked_add_signed(chrono::TimeDelta::hours(CREDENTIALS_HOURS)));
        end.map_or_else(|| "twelve hours from now".to_string(), |t| crate::clock::stamp(t.to_utc()))
    }

    fn fights_back(&mut self) {
        let Some(first) = self.actions.first().copied() else { return };
        if let Some(owner) = self.o.configuration.as_ref().ok().and_then(|c| c.deployed_by.clone()) {
            self.say(
                first,
                Effect::FightsBack,
                format!("the function is deployed by {owner}: the next deployment may set back what is contained; tell its owner"),
            );
        }
        for alias in self.o.autoscaled.iter().flatten() {
            self.say(first, Effect::FightsBack, format!("Application Auto Scaling scales {alias} and may give it environments again"));
        }
    }
}

impl Forecast {
    pub fn lines(&self) -> Vec<String> {
        let mut out = vec![String::new(), format!("What that means here (read {}):", self.at)];
        for (effect, word) in [
            (Effect::Stops, "stops"),
            (Effect::DoesNotStop, "does not stop"),
            (Effect::Costs, "costs"),
            (Effect::FightsBack, "fights back"),
        ] {
            for f in self.foretold.iter().filter(|f| f.effect == effect) {
                super::render::say_after(
                    &mut out,
                    &format!("   {word:<14}"),
                    &format!("{} ({})", crate::aws::fault::tame(&f.text, 1500), f.action),
                );
            }
        }
        for unknown in &self.unknown {
            super::render::say_after(&mut out, "   NOT KNOWN     ", &crate::aws::fault::tame(unknown, 500));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::target::Target;
    use crate::plan::Known;

    fn plan() -> Plan {
        let (playbook, _) = crate::playbook::load("snapshot-and-contain").unwrap();
        let target = Target {
            partition: "aws".into(),
            account: "123456789012".into(),
            region: "eu-west-1".into(),
            function: "payments".into(),
            qualifier: None,
        };
        Plan::make(&playbook, &target, &Known::default())
    }

    fn outlook() -> Outlook {
        let queue = Queue { waiting: 40, in_flight: 2, visibility_s: 30, retention_s: 345_600, max_receives: Some(5) };
        let q = "arn:aws:sqs:eu-west-1:123456789012:q".to_string();
        Outlook {
            at: "2026-11-21T04:00:00Z".into(),
            configuration: Ok(Configuration {
                timeout_s: 30,
                deployed_by: Some("CloudFormation (stack pay)".into()),
                ..Default::default()
            }),
            traffic: Ok(Traffic { invocations: 4210, asynchronous: 7, url_requests: 3, iterator_age_ms: 0 }),
            failure_destinations: Ok(vec![]),
            mappings: Ok(vec![Mapping { source: q, enabled: true, queue: Some(Ok(queue)) }]),
            durable_running: Ok(0),
            role_users: Ok(vec!["payments-report".into()]),
            role_trusts: Ok(vec![]),
            provisioned: Ok(vec![]),
            autoscaled: Ok(vec![]),
        }
    }

    fn told(o: &Outlook, effect: Effect) -> String {
        let all = foretell(&plan(), o).foretold;
        all.into_iter().filter(|f| f.effect == effect).map(|f| f.text).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn it_speaks_of_this_function() {
        let o = outlook();
        assert!(told(&o, Effect::Stops).contains("4210 in the last hour, 3 of them through its URL"));
        let costs = told(&o, Effect::Costs);
        assert!(costs.contains("asynchronous events (7 in the last hour) are LOST"), "{costs}");
        assert!(costs.contains("40 messages wait and 2 are in flight") && costs.contains("after 5 of them (about 3 minutes)"), "{costs}");
        assert!(costs.contains("1 other functions use the role (payments-report)"), "{costs}");
        assert!(told(&o, Effect::DoesNotStop).contains("up to 30 s"));
        assert!(told(&o, Effect::Stops).contains("until 2026-11-21T16:00:00"));
        assert!(told(&o, Effect::FightsBack).contains("stack pay"));
        assert!(foretell(&plan(), &o).unknown.is_empty());
    }

    #[test]
    fn a_role_that_nobody_else_was_seen_to_use_may_be_used_where_nobody_looked() {
        let mut o = outlook();
        assert!(!told(&o, Effect::Costs).contains("other Regions"), "the deny meets this function alone");
        o.role_users = Ok(vec![]);
        let costs = told(&o, Effect::Costs);
        assert!(costs.contains("functions of other Regions") && costs.contains("in eu-west-1 alone"), "{costs}");
        o.role_trusts = Ok(vec!["arn:aws:iam::1:root".into()]);
        assert!(!told(&o, Effect::Costs).contains("other Regions"), "somebody else is met already, so nobody else is");
    }

    #[test]
    fn a_dead_letter_queue_is_no_loss_and_an_unread_destination_is_not_none() {
        let mut o = outlook();
        o.configuration.as_mut().unwrap().dead_letter = Some("arn:dlq".into());
        assert!(told(&o, Effect::Costs).contains("go at once, without a retry, to arn:dlq"));
        o.configuration.as_mut().unwrap().dead_letter = None;
        o.failure_destinations = Err("denied".into());
        let costs = told(&o, Effect::Costs);
        assert!(costs.contains("may be lost") && !costs.contains("LOST"), "{costs}");
    }

    #[test]
    fn what_could_not_be_read_is_said() {
        let denied = || "denied".to_string();
        let o = Outlook {
            at: "2026-11-21T04:00:00Z".into(),
            configuration: Err(denied()),
            traffic: Err(denied()),
            failure_destinations: Err(denied()),
            mappings: Ok(vec![Mapping { source: "arn:q".into(), enabled: true, queue: Some(Err(denied())) }]),
            durable_running: Err(denied()),
            role_users: Err(denied()),
            role_trusts: Err(denied()),
            provisioned: Err(denied()),
            autoscaled: Err(denied()),
        };
        let forecast = foretell(&plan(), &o);
        assert_eq!(forecast.unknown.len(), 9, "{:#?}", forecast.unknown);
        assert!(!forecast.foretold.iter().any(|f| f.text.contains("LOST")), "{forecast:#?}");
    }
}
