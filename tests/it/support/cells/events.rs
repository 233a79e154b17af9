//! What the small AWS knows of event sources: rules on buses, pipes, schedules, subscribers of the newer buses.

use super::asked::{Answer, Asked, absent};
use super::{ACCOUNT, FUNCTION, REGION};
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Events {
    /// By bus and name.
    pub rules: BTreeMap<(String, String), Rule>,
    /// Target, enrichment, current state, by name.
    pub pipes: BTreeMap<String, Pipe>,
    /// As GetSchedule tells them, but for what it makes itself; by group and name.
    pub schedules: BTreeMap<(String, String), Value>,
    pub subscribers: BTreeMap<String, Subscriber>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    pub state: String,
    /// `EventPattern`, `Description`, …
    pub members: Value,
    pub targets: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Pipe {
    pub target: String,
    pub enrichment: Option<String>,
    pub state: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Subscriber {
    pub target: String,
    pub input: Option<String>,
    pub state: String,
    pub revoked: bool,
    /// Where it went on when it last ran again.
    pub resumed: Option<String>,
}

pub fn function_arn() -> String {
    format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{FUNCTION}")
}
pub fn subscriber_arn(name: &str) -> String {
    format!("arn:aws:events:{REGION}:{ACCOUNT}:subscriber/{name}/abcdefghijklmnopqrstuvwxy")
}

pub const PARTNER_BUS: &str = "aws.partner/example.com/payments";
pub const SPECIAL: &str = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS";

impl Events {
    /// Of each kind one that calls the function, one that does not; all with what a careless write would lose.
    pub fn seeded() -> Events {
        let (ours, other) = (function_arn(), format!("{}-2", function_arn()));
        let mut all = Events::default();
        let mut rule = |bus: &str, name: &str, state: &str, members: Value, targets: &[&str]| {
            let targets = targets.iter().map(|t| t.to_string()).collect();
            all.rules.insert((bus.into(), name.into()), Rule { state: state.into(), members, targets });
        };
        let queue = format!("arn:aws:sqs:{REGION}:{ACCOUNT}:audit");
        rule("default", "ledger-closed", "ENABLED", json!({"EventPattern": "{ \"source\": [\"x\"] }"}), &[&format!("{ours}:live"), &queue]);
        let special = json!({"EventPattern": "{\"detail-type\":[\"é\"]}", "Description": "all of it", "RoleArn": "arn:aws:iam::123456789012:role/events"});
        rule(PARTNER_BUS, "trail", SPECIAL, special, &[&ours]);
        rule("default", "another", "ENABLED", json!({"ScheduleExpression": "rate(5 minutes)"}), &[&other]);

        let pipe = |target: &str, state: &str| Pipe { target: target.into(), enrichment: None, state: state.into() };
        all.pipes = [("feed".to_string(), pipe(&format!("{ours}:live"), "RUNNING")), ("other-feed".into(), pipe(&other, "RUNNING"))].into();

        let universal = |function: &str| {
            json!({"Arn": "arn:aws:scheduler:::aws-sdk:lambda:invoke", "RoleArn": "arn:aws:iam::123456789012:role/s",
                   "Input": json!({"FunctionName": function, "Payload": "{}"}).to_string()})
        };
        let schedule = |target: Value| {
            // It begins long after AWS's clock here: one that has begun cannot be put back with its StartDate, and has tests of its own.
            json!({"ScheduleExpression": "cron(0 3 * * ? *)", "ScheduleExpressionTimezone": "Europe/Berlin", "State": "ENABLED",
                   "StartDate": 1_860_000_000.25, "Description": "", "FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15},
                   "ActionAfterCompletion": "NONE", "Target": target, "NotKnownYet": {"Member": [1, null, "é\u{2028}"]}})
        };
        let plain = json!({"Arn": ours, "RoleArn": "arn:aws:iam::123456789012:role/s", "Input": "{ \"odd\" :\t\"a+b%20é\" }\n",
                           "RetryPolicy": {"MaximumRetryAttempts": 0}});
        let key = |group: &str, name: &str| (group.to_string(), name.to_string());
        all.schedules = [
            (key("default", "nightly"), schedule(plain)),
            (key("team", "universal"), schedule(universal(FUNCTION))),
            (key("team", "another"), schedule(universal("another"))),
        ]
        .into();

        let subscriber = |target: &str, input: Option<&str>, revoked| Subscriber {
            target: target.into(),
            input: input.map(str::to_string),
            state: "RUNNING".into(),
            revoked,
            resumed: None,
        };
        let input = json!({"FunctionName": ours}).to_string();
        all.subscribers = [
            (subscriber_arn("orders"), subscriber(&ours, None, false)),
            (subscriber_arn("revoked"), subscriber(&ours, None, true)),
            (subscriber_arn("universal"), subscriber("arn:aws:events:::aws-sdk:lambda:invoke", Some(&input), false)),
            (subscriber_arn("another"), subscriber(&other, None, false)),
        ]
        .into();
        all
    }

    /// The same with less of it.
    pub fn few() -> Events {
        let mut all = Events::seeded();
        all.rules.remove(&(PARTNER_BUS.to_string(), "trail".to_string()));
        all.rules.values_mut().for_each(|r| r.targets.truncate(1));
        all.schedules.remove(&("team".to_string(), "universal".to_string()));
        all.subscribers.remove(&subscriber_arn("universal"));
        all
    }

    pub fn drift(&mut self, action: &str, key: &str) -> bool {
        match action {
            "disable-rules" => {
                let (bus, rule) = key.rsplit_once('/').unwrap();
                let rule = self.rules.get_mut(&(bus.to_string(), rule.to_string())).unwrap();
                rule.state = if rule.members["Description"] == "all of it" { "ENABLED" } else { SPECIAL }.into();
            }
            "disable-schedules" => {
                let (group, name) = key.split_once('/').unwrap();
                let schedule = self.schedules.get_mut(&(group.to_string(), name.to_string())).unwrap();
                (schedule["Description"], schedule["State"]) = ("drifted".into(), "ENABLED".into());
            }
            // Runs or does not run.
            _ => return false,
        }
        true
    }
}

pub fn operation(host: &str, method: &str, path: &[&str], target: &str) -> &'static str {
    const TARGETS: [&str; 7] =
        ["ListEventBuses", "ListRuleNamesByTarget", "DescribeRule", "ListTargetsByRule", "DisableRule", "EnableRule", "PutRule"];
    const SUBSCRIBERS: [&str; 3] = ["ListSubscribers", "DescribeSubscriber", "UpdateSubscriber"];
    let known = |all: &[&'static str], name: &str| all.iter().copied().find(|o| *o == name);
    let found = match (host, method, path) {
        ("events", "POST", [""]) => known(&TARGETS, target.strip_prefix("AWSEvents.").unwrap()),
        ("eventsv2", "POST", ["service", "AWSEventsV2", "operation", name]) => known(&SUBSCRIBERS, name),
        ("pipes", "GET", ["v1", "pipes"]) => Some("ListPipes"),
        ("pipes", "GET", ["v1", "pipes", _]) => Some("DescribePipe"),
        ("pipes", "POST", ["v1", "pipes", _, "stop"]) => Some("StopPipe"),
        ("pipes", "POST", ["v1", "pipes", _, "start"]) => Some("StartPipe"),
        ("scheduler", "GET", ["schedules"]) => Some("ListSchedules"),
        ("scheduler", "GET", ["schedules", _]) => Some("GetSchedule"),
        ("scheduler", "PUT", ["schedules", _]) => Some("UpdateSchedule"),
        _ => None,
    };
    found.unwrap_or_else(|| panic!("teach tests/it/support/cells/events.rs {host} {method} {path:?} {target}"))
}

/// `None` when the operation is of another file.
pub fn answer(asked: &Asked, world: &mut Events, now: i64) -> Option<Answer> {
    Some(match asked.operation {
        "ListEventBuses" | "ListRuleNamesByTarget" | "DescribeRule" | "ListTargetsByRule" | "DisableRule" | "EnableRule" | "PutRule" => {
            rules(asked, world)
        }
        "ListPipes" | "DescribePipe" | "StopPipe" | "StartPipe" => pipes(asked, world),
        "ListSchedules" | "GetSchedule" | "UpdateSchedule" => schedules(asked, world, now),
        "ListSubscribers" | "DescribeSubscriber" | "UpdateSubscriber" => subscribers(asked, world),
        _ => return None,
    })
}

fn rules(asked: &Asked, world: &mut Events) -> Answer {
    let token = asked.body["NextToken"].as_str();
    let bus = asked.body["EventBusName"].as_str().unwrap_or("default");
    match asked.operation {
        "ListEventBuses" => {
            let buses = ["default", PARTNER_BUS].map(|b| json!({"Name": b})).to_vec();
            return asked.page("EventBuses", "NextToken", token, buses);
        }
        "ListRuleNamesByTarget" => {
            let target = asked.text("TargetArn").to_string();
            let of = world.rules.iter().filter(|((b, _), r)| b == bus && r.targets.contains(&target));
            return asked.page("RuleNames", "NextToken", token, of.map(|((_, name), _)| name.clone().into()).collect());
        }
        _ => {}
    }
    let name = asked.body["Name"].as_str().or(asked.body["Rule"].as_str()).unwrap();
    let Some(rule) = world.rules.get_mut(&(bus.to_string(), name.to_string())) else { return Err(absent("Rule")) };
    match asked.operation {
        "DescribeRule" => {
            let mut told = rule.members.clone();
            (told["Name"], told["EventBusName"], told["State"]) = (name.into(), bus.into(), rule.state.clone().into());
            Ok(told)
        }
        "ListTargetsByRule" => {
            asked.page("Targets", "NextToken", token, rule.targets.iter().map(|t| json!({"Id": "1", "Arn": t})).collect())
        }
        "DisableRule" => {
            rule.state = "DISABLED".into();
            Ok(Value::Null)
        }
        "EnableRule" => {
            rule.state = "ENABLED".into();
            Ok(Value::Null)
        }
        _ => {
            // What is left out is gone.
            let mut members = asked.body.clone();
            ["Name", "EventBusName", "State"].iter().for_each(|m| drop(members.as_object_mut().unwrap().remove(*m)));
            (rule.members, rule.state) = (members, asked.text("State").into());
            Ok(json!({"RuleArn": "arn"}))
        }
    }
}

fn pipes(asked: &Asked, world: &mut Events) -> Answer {
    let told = |name: &str, p: &Pipe| json!({"Name": name, "Target": p.target, "Enrichment": p.enrichment, "CurrentState": p.state});
    let Some(name) = asked.path.get(2) else {
        return asked.page("Pipes", "NextToken", asked.query("NextToken"), world.pipes.iter().map(|(n, p)| told(n, p)).collect());
    };
    let Some(pipe) = world.pipes.get_mut(name) else {
        return Err((404, "NotFoundException", format!("Pipe {name} does not exist.")));
    };
    match asked.operation {
        "StopPipe" => pipe.state = "STOPPED".into(),
        "StartPipe" => pipe.state = "RUNNING".into(),
        _ => {}
    }
    Ok(told(name, pipe))
}

fn schedules(asked: &Asked, world: &mut Events, now: i64) -> Answer {
    let Some(name) = asked.path.get(1) else {
        let told = |((group, name), s): (&(String, String), &Value)| json!({"Name": name, "GroupName": group, "State": s["State"], "Target": {"Arn": s["Target"]["Arn"]}});
        return asked.page("Schedules", "NextToken", asked.query("NextToken"), world.schedules.iter().map(told).collect());
    };
    let group = asked.query("groupName").or(asked.body["GroupName"].as_str()).unwrap_or("default");
    let Some(schedule) = world.schedules.get_mut(&(group.to_string(), name.clone())) else { return Err(absent("Schedule")) };
    if asked.operation == "UpdateSchedule" {
        if asked.body["StartDate"].as_f64().is_some_and(|start| start < (now - 300) as f64) {
            let why = "The StartDate you specify cannot be earlier than 5 minutes ago.";
            return Err((400, "ValidationException", why.into()));
        }
        let mut whole = asked.body.clone();
        ["Name", "GroupName"].iter().for_each(|m| drop(whole.as_object_mut().unwrap().remove(*m)));
        *schedule = whole;
        return Ok(json!({"ScheduleArn": "arn"}));
    }
    let mut told = schedule.clone();
    (told["Arn"], told["Name"], told["GroupName"]) = ("arn".into(), name.clone().into(), group.into());
    (told["CreationDate"], told["LastModificationDate"]) = (json!(1.7e9), json!(1.7e9));
    Ok(told)
}

fn subscribers(asked: &Asked, world: &mut Events) -> Answer {
    let told = |arn: &str, s: &Subscriber| {
        let mut told =
            json!({"SubscriberArn": arn, "Name": arn.split('/').nth(1), "EventBusArn": "arn:bus", "TargetArn": s.target, "State": s.state});
        if s.revoked {
            told["Revoked"] = true.into();
        }
        if let Some(input) = &s.input {
            told["InvokeConfiguration"] = json!({"UniversalTargetParameters": {"Input": input}});
        }
        told
    };
    if asked.operation == "ListSubscribers" {
        let token = asked.body["NextToken"].as_str();
        return asked.page("Subscribers", "NextToken", token, world.subscribers.iter().map(|(a, s)| told(a, s)).collect());
    }
    let arn = asked.text("SubscriberArn");
    let Some(subscriber) = world.subscribers.get_mut(arn) else { return Err(absent("Subscriber")) };
    if asked.operation == "UpdateSubscriber" {
        if subscriber.revoked {
            return Err((400, "InvalidStateException", "revoked".into()));
        }
        subscriber.state = asked.text("State").into();
        subscriber.resumed = None;
        if subscriber.state == "RUNNING" && asked.body["ResumePosition"] != "LAST_PROCESSED" {
            // It skipped what came meanwhile; the world is not as before.
            subscriber.resumed = Some(asked.body["ResumePosition"].to_string());
        }
    }
    Ok(told(arn, subscriber))
}
