//! What the small AWS knows of a function's aliases, versions, asynchronous configurations and durable executions.

use super::asked::{Answer, Asked, absent};
use super::events::function_arn;
use super::{ACCOUNT, FUNCTION, REGION};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub const QUEUE: &str = "arn:aws:sqs:eu-west-1:123456789012:quarantine";
/// Version 1, which is good.
pub const GOOD_SHA: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

#[derive(Clone, Debug, PartialEq)]
pub struct Qualified {
    /// Of `$LATEST`: what Lambda tells of its configuration.
    pub latest: Value,
    pub versions: BTreeMap<u32, Value>,
    pub aliases: BTreeMap<String, Alias>,
    /// As it was put, by qualifier; the function's own under `$LATEST`.
    pub configs: BTreeMap<String, Value>,
    /// Status by ARN.
    pub executions: BTreeMap<String, String>,
    /// Tokens by which pauses and resumptions were asked for.
    pub tokens: Tokens,
}

/// What is no state of the world: never a difference.
#[derive(Clone, Debug, Default)]
pub struct Tokens(pub BTreeSet<String>);
impl PartialEq for Tokens {
    fn eq(&self, _: &Tokens) -> bool {
        true
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Alias {
    pub version: String,
    pub weights: Value,
    pub description: String,
}

impl Alias {
    /// Moves with every change, and comes back with it: two worlds that are alike have the same.
    fn revision(&self) -> String {
        format!("{:?}", (&self.version, &self.weights, &self.description))
    }
}

pub fn execution_arn(version: &str, name: &str) -> String {
    format!("{}:{version}/durable-execution/{name}/0f1e2d", function_arn())
}

impl Qualified {
    pub fn seeded() -> Qualified {
        let conf = |sha: &str| {
            json!({"FunctionName": FUNCTION, "CodeSha256": sha, "Timeout": 3, "Environment": {"Variables": {"A": "b"}},
                   "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"}, "LastUpdateStatus": "Successful"})
        };
        let config = json!({"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60, "NotKnownYet": {"Member": 1},
                            "DestinationConfig": {"OnSuccess": {"Destination": "arn:aws:sns:eu-west-1:123456789012:ok"},
                                                  "OnFailure": {"Destination": "arn:aws:sns:eu-west-1:123456789012:failed"}}});
        let alias = Alias { version: "2".into(), weights: json!({"3": 0.1}), description: "in production".into() };
        let executions = [("$LATEST", "order-1", "RUNNING"), ("3", "order-2", "RUNNING"), ("3", "order-3", "SUCCEEDED")];
        Qualified {
            latest: conf("latest"),
            versions: [(1, conf(GOOD_SHA)), (2, conf("two")), (3, conf("three"))].into(),
            aliases: [("live".to_string(), alias)].into(),
            configs: [("live".to_string(), config)].into(),
            executions: executions.map(|(v, n, s)| (execution_arn(v, n), s.to_string())).into(),
            tokens: Tokens::default(),
        }
    }

    /// Another starting point: an empty configuration of the function's own, an alias without weights.
    pub fn plain() -> Qualified {
        let mut all = Qualified::seeded();
        all.configs = [("$LATEST".to_string(), json!({"DestinationConfig": {"OnSuccess": {}, "OnFailure": {}}}))].into();
        all.aliases.get_mut("live").unwrap().weights = json!({});
        all.executions.remove(&execution_arn("3", "order-2"));
        all
    }

    /// Take away what containment leaves behind by design.
    pub fn forget_what_is_left(&mut self) {
        self.versions.retain(|_, v| !v["Description"].as_str().unwrap_or_default().contains("freezeframe"));
    }

    pub fn drift(&mut self, action: &str, key: &str) -> bool {
        match action {
            "repoint-alias" => {
                let alias = self.aliases.get_mut("live").unwrap();
                (alias.version, alias.weights) = ("3".into(), json!({"2": 0.5}));
            }
            "capture-async-events" => {
                let qualifier = key.split_once(':').map_or("$LATEST", |(_, q)| q);
                self.configs.insert(qualifier.into(), json!({"MaximumRetryAttempts": 1}));
            }
            // Runs or is paused; a published version is there or not.
            _ => return false,
        }
        true
    }
}

/// `None` when it is for `lambda` to answer.
pub fn operation(method: &str, path: &[&str], qualified: bool) -> Option<&'static str> {
    Some(match (method, path) {
        ("GET", ["2015-03-31", "functions", _, "aliases"]) => "ListAliases",
        ("GET", ["2015-03-31", "functions", _, "aliases", _]) => "GetAlias",
        ("PUT", ["2015-03-31", "functions", _, "aliases", _]) => "UpdateAlias",
        ("GET", ["2015-03-31", "functions", _, "versions"]) => "ListVersionsByFunction",
        ("POST", ["2015-03-31", "functions", _, "versions"]) => "PublishVersion",
        ("GET", ["2015-03-31", "functions", _, "configuration"]) if qualified => "GetFunctionConfiguration",
        ("GET", ["2019-09-25", "functions", _, "event-invoke-config", "list"]) => "ListFunctionEventInvokeConfigs",
        ("GET", ["2019-09-25", "functions", _, "event-invoke-config"]) => "GetFunctionEventInvokeConfig",
        ("PUT", ["2019-09-25", "functions", _, "event-invoke-config"]) => "PutFunctionEventInvokeConfig",
        ("DELETE", ["2019-09-25", "functions", _, "event-invoke-config"]) => "DeleteFunctionEventInvokeConfig",
        ("GET", ["2025-12-01", "functions", _, "durable-executions"]) => "ListDurableExecutionsByFunction",
        ("GET", ["2025-12-01", "durable-executions", _]) => "GetDurableExecution",
        ("POST", ["2025-12-01", "durable-executions", _, "pause"]) => "PauseDurableExecution",
        ("POST", ["2025-12-01", "durable-executions", _, "resume"]) => "ResumeDurableExecution",
        _ => return None,
    })
}

pub fn answer(asked: &Asked, world: &mut Qualified) -> Answer {
    match asked.operation {
        "ListAliases" | "GetAlias" | "UpdateAlias" => aliases(asked, world),
        "ListVersionsByFunction" | "PublishVersion" | "GetFunctionConfiguration" => versions(asked, world),
        o if o.contains("EventInvokeConfig") => configs(asked, world),
        _ => executions(asked, world),
    }
}

fn function_is_ours(asked: &Asked) -> bool {
    asked.path[2] == FUNCTION
}

fn aliases(asked: &Asked, world: &mut Qualified) -> Answer {
    if !function_is_ours(asked) {
        return Err(absent("Function"));
    }
    let told = |name: &str, a: &Alias| {
        let mut told = json!({"Name": name, "FunctionVersion": a.version, "Description": a.description, "RevisionId": a.revision()});
        if a.weights != json!({}) {
            told["RoutingConfig"] = json!({"AdditionalVersionWeights": a.weights});
        }
        told
    };
    let Some(name) = asked.path.get(4) else {
        return asked.page("Aliases", "NextMarker", asked.query("Marker"), world.aliases.iter().map(|(n, a)| told(n, a)).collect());
    };
    let Some(alias) = world.aliases.get_mut(name) else { return Err(absent("Alias")) };
    if asked.operation == "UpdateAlias" {
        let given = &asked.body["RevisionId"];
        if !given.is_null() && given != &Value::from(alias.revision()) {
            return Err((412, "PreconditionFailedException", "The RevisionId provided does not match the latest RevisionId.".into()));
        }
        if let Some(version) = asked.body["FunctionVersion"].as_str() {
            alias.version = version.into();
        }
        if let Some(weights) = asked.body.pointer("/RoutingConfig/AdditionalVersionWeights") {
            alias.weights = weights.clone();
        }
    }
    Ok(told(name, alias))
}

fn versions(asked: &Asked, world: &mut Qualified) -> Answer {
    if !function_is_ours(asked) {
        return Err(absent("Function"));
    }
    let told = |name: &str, conf: &Value| {
        let mut told = conf.clone();
        (told["Version"], told["FunctionArn"]) = (name.into(), format!("{}:{name}", function_arn()).into());
        told["RevisionId"] = format!("revision of {conf}").into();
        told
    };
    match asked.operation {
        "ListVersionsByFunction" => {
            let published = world.versions.iter().map(|(n, c)| told(&n.to_string(), c));
            let all = [told("$LATEST", &world.latest)].into_iter().chain(published).collect();
            asked.page("Versions", "NextMarker", asked.query("Marker"), all)
        }
        "GetFunctionConfiguration" => {
            let name = asked.query("Qualifier").unwrap();
            let conf = name.parse().ok().and_then(|n: u32| world.versions.get(&n));
            conf.map(|conf| told(name, conf)).ok_or_else(|| absent("Version"))
        }
        _ => {
            let latest = told("$LATEST", &world.latest);
            if asked.body["RevisionId"] != latest["RevisionId"] {
                return Err((412, "PreconditionFailedException", "The Revision Id provided does not match.".into()));
            }
            if asked.body["CodeSha256"] != latest["CodeSha256"] {
                return Err((400, "InvalidParameterValueException", "CodeSHA256 does not match.".into()));
            }
            let number = world.versions.keys().max().map_or(1, |n| n + 1);
            let mut conf = world.latest.clone();
            conf["Description"] = asked.body["Description"].clone();
            world.versions.insert(number, conf.clone());
            Ok(told(&number.to_string(), &conf))
        }
    }
}

fn configs(asked: &Asked, world: &mut Qualified) -> Answer {
    if !function_is_ours(asked) {
        return Err(absent("Function"));
    }
    let told = |qualifier: &str, config: &Value| {
        let mut told = config.clone();
        for end in ["OnSuccess", "OnFailure"] {
            if told["DestinationConfig"][end].is_null() {
                told["DestinationConfig"][end] = json!({});
            }
        }
        (told["FunctionArn"], told["LastModified"]) = (format!("{}:{qualifier}", function_arn()).into(), json!(1.7e9));
        told
    };
    if asked.operation == "ListFunctionEventInvokeConfigs" {
        let all = world.configs.iter().map(|(q, c)| told(q, c)).collect();
        return asked.page("FunctionEventInvokeConfigs", "NextMarker", asked.query("Marker"), all);
    }
    let qualifier = asked.query("Qualifier").unwrap_or("$LATEST").to_string();
    let none = || absent("The function's EventInvokeConfig");
    match asked.operation {
        "GetFunctionEventInvokeConfig" => world.configs.get(&qualifier).map(|c| told(&qualifier, c)).ok_or_else(none),
        "DeleteFunctionEventInvokeConfig" => world.configs.remove(&qualifier).map(|_| Value::Null).ok_or_else(none),
        _ => {
            if asked.body.as_object().is_none_or(|b| b.is_empty()) {
                return Err((
                    400,
                    "InvalidParameterValueException",
                    "You must specify at least one of error handling or destination setting.".into(),
                ));
            }
            let mut config = asked.body.clone();
            // As it is told: ends that are not set are empty.
            if config["DestinationConfig"] == json!({"OnSuccess": {}, "OnFailure": {}}) && config.as_object().unwrap().len() > 1 {
                config.as_object_mut().unwrap().remove("DestinationConfig");
            }
            world.configs.insert(qualifier.clone(), config.clone());
            Ok(told(&qualifier, &config))
        }
    }
}

fn executions(asked: &Asked, world: &mut Qualified) -> Answer {
    if asked.operation == "ListDurableExecutionsByFunction" {
        let wanted: BTreeSet<&str> = asked.query.iter().filter(|(k, _)| k == "Statuses").map(|(_, v)| v.as_str()).collect();
        let told = |arn: &String, status: &String| {
            let name = arn.split('/').nth(2);
            json!({"DurableExecutionArn": arn, "DurableExecutionName": name, "Status": status, "StartTimestamp": 1.7e9})
        };
        let of = world.executions.iter().filter(|(_, s)| wanted.is_empty() || wanted.contains(s.as_str()));
        return asked.page("DurableExecutions", "NextMarker", asked.query("Marker"), of.map(|(a, s)| told(a, s)).collect());
    }
    let arn = &asked.path[2];
    assert!(arn.starts_with(&format!("arn:aws:lambda:{REGION}:{ACCOUNT}:")));
    let Some(status) = world.executions.get_mut(arn) else { return Err(absent("Durable execution")) };
    if asked.operation == "GetDurableExecution" {
        assert_eq!(asked.query("IncludeExecutionData"), Some("false"), "payloads are not asked for");
        return Ok(json!({"DurableExecutionArn": arn, "Status": status}));
    }
    let (from, to) = if asked.operation == "PauseDurableExecution" { ("RUNNING", "PAUSED") } else { ("PAUSED", "RUNNING") };
    let token = asked.text("ClientToken").to_string();
    assert!((1..=64).contains(&token.len()), "{token}");
    // Within fifteen minutes a request under a token that was used is taken as done.
    if world.tokens.0.contains(&token) {
        return Ok(Value::Null);
    }
    if status != from {
        return Err((409, "ResourceConflictException", format!("The execution is {status}.")));
    }
    world.tokens.0.insert(token);
    *status = to.into();
    Ok(Value::Null)
}
