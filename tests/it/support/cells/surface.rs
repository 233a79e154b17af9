//! What the small AWS knows of a function's surface: versions, aliases, scaling, resource policies, mappings, URLs, provisioned concurrency
//! and code signing. Lists have one entry on a page, so that whoever does not follow the marker is found out.

use super::{ACCOUNT, FUNCTION, Function, Parsed, REGION, World, form_decoded};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::body::SdkBody;
use freezeframe::model::digest::Sha256;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub const OWN_MAPPING: &str = "0f0e0000-0000-4000-8000-000000000000";
pub const ALIAS_MAPPING: &str = "1f0e0000-0000-4000-8000-000000000001";
/// Configurations that the account has: the one enforces, the other warns.
pub const ENFORCING: &str = "arn:aws:lambda:eu-west-1:123456789012:code-signing-config:csc-0000000000000000e";
pub const WARNING: &str = "arn:aws:lambda:eu-west-1:123456789012:code-signing-config:csc-00000000000000000";
pub const FORMER: &str = "arn:aws:lambda:eu-west-1:123456789012:code-signing-config:csc-0000000000000000f";
/// Who calls.
pub const RESPONDER: &str = "arn:aws:iam::123456789012:role/ir/responder";

#[derive(Clone, Debug, PartialEq)]
pub struct Mapping {
    pub state: String,
    pub function_arn: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Surface {
    pub aliases: Vec<String>,
    /// Version → whether it runs on managed instances.
    pub versions: BTreeMap<String, bool>,
    /// Version → ARN of its role, where it was published under another one than `$LATEST` has now.
    pub roles: BTreeMap<String, String>,
    /// What was published for managed instances → its scaling, if it has one.
    pub scaling: BTreeMap<String, Option<Value>>,
    /// Qualifier (empty for none) → text of the policy.
    pub policies: BTreeMap<String, String>,
    /// Lambda knows whole policy documents here.
    pub documents: bool,
    /// Policies that hold this text are refused as public.
    pub public: Option<&'static str>,
    pub mappings: BTreeMap<String, Mapping>,
    /// Qualifier (empty for none) → what can be set.
    pub urls: BTreeMap<String, Value>,
    pub provisioned: BTreeMap<String, u32>,
    pub signing: Option<String>,
}

fn arn(qualifier: &str) -> String {
    let arn = format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{FUNCTION}");
    if qualifier.is_empty() { arn } else { format!("{arn}:{qualifier}") }
}

pub fn bucket_grant(qualifier: &str, sid: &str) -> Value {
    json!({"Sid": sid, "Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "lambda:InvokeFunction",
           "Resource": arn(qualifier), "Condition": {"ArnLike": {"AWS:SourceArn": "arn:aws:s3:::exports"}}})
}

/// As `AddPermission` leaves it.
pub fn policy_of(statements: &[Value]) -> String {
    json!({"Version": "2012-10-17", "Id": "default", "Statement": statements}).to_string()
}

impl Surface {
    /// Nothing but `$LATEST`.
    pub fn bare() -> Surface {
        Surface {
            aliases: vec![],
            versions: [("$LATEST".to_string(), false)].into(),
            roles: BTreeMap::new(),
            scaling: BTreeMap::new(),
            policies: BTreeMap::new(),
            documents: true,
            public: None,
            mappings: BTreeMap::new(),
            urls: BTreeMap::new(),
            provisioned: BTreeMap::new(),
            signing: None,
        }
    }

    /// All of it, with a policy of odd bytes.
    pub fn rich() -> Surface {
        let on = |qualifier: &str| Mapping { state: "Enabled".into(), function_arn: arn(qualifier) };
        let cors = json!({"AllowOrigins": ["https://pay.example"], "AllowMethods": ["GET", "POST"], "AllowHeaders": ["x-a"], "ExposeHeaders": ["x-b"],
                          "AllowCredentials": true, "MaxAge": 600});
        Surface {
            aliases: vec!["live".into()],
            versions: [("$LATEST".to_string(), true), ("1".into(), true)].into(),
            scaling: [
                ("$LATEST.PUBLISHED".to_string(), Some(json!({"MinExecutionEnvironments": 3, "MaxExecutionEnvironments": 40}))),
                ("1".into(), None),
            ]
            .into(),
            policies: [(
                String::new(),
                format!(
                    "{{ \"Version\":\"2012-10-17\",\n\t\"Id\": \"a+b 100%25 é & <x>\",  \"Statement\": [ {} ]}}\n",
                    bucket_grant("", "s3")
                ),
            )]
            .into(),
            mappings: [(OWN_MAPPING.to_string(), on("")), (ALIAS_MAPPING.into(), on("live"))].into(),
            urls: [
                (String::new(), json!({"AuthType": "NONE", "InvokeMode": "RESPONSE_STREAM", "Cors": cors})),
                ("live".into(), json!({"AuthType": "NONE", "InvokeMode": "BUFFERED"})),
            ]
            .into(),
            provisioned: [("live".to_string(), 5)].into(),
            ..Surface::bare()
        }
    }

    /// The other starting point: Lambda knows no documents here, and half of the rest.
    pub fn older() -> Surface {
        let mut surface = Surface::rich();
        surface.versions.insert("$LATEST".into(), false);
        surface.scaling = [("1".to_string(), Some(json!({"MaxExecutionEnvironments": 7})))].into();
        surface.documents = false;
        let other = json!({"Sid": "reader", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::999999999999:root"},
                           "Action": "lambda:GetFunction", "Resource": arn("")});
        surface.policies =
            [(String::new(), policy_of(&[other, bucket_grant("", "s3")])), ("live".into(), policy_of(&[bucket_grant("live", "s3-live")]))]
                .into();
        surface.mappings.remove(ALIAS_MAPPING);
        surface.urls.remove("live");
        surface.signing = Some(FORMER.into());
        surface
    }

    /// Whether the function can be called by this qualifier (empty for none).
    pub fn knows(&self, qualifier: &str) -> bool {
        let versions = self.versions.contains_key(qualifier) || self.scaling.contains_key(qualifier);
        qualifier.is_empty() || versions || self.aliases.iter().any(|a| a == qualifier)
    }

    /// See [`World::drift`].
    pub fn drift(&mut self, action: &str, key: &str) -> bool {
        let (name, sid) = key.split_once('/').map_or((key, None), |(n, s)| (n, Some(s)));
        let qualifier = name.split_once(':').map_or("", |(_, q)| q).to_string();
        match (action, sid) {
            ("scale-to-zero", _) => drop(self.scaling.insert(qualifier, Some(json!({"MinExecutionEnvironments": 9})))),
            ("deny-invocation", None) => drop(self.policies.insert(qualifier, "{ \"Id\":\"drifted\" }".into())),
            ("deny-invocation", Some(sid)) => {
                let mut all: Vec<Value> = statements(self.policies.get(&qualifier));
                let mut theirs = bucket_grant(&qualifier, sid);
                theirs["Principal"]["Service"] = json!("sns.amazonaws.com");
                match all.iter_mut().find(|s| s["Sid"] == sid) {
                    Some(s) => *s = theirs,
                    None => all.push(theirs),
                }
                self.policies.insert(qualifier, policy_of(&all));
            }
            // A mapping is on or off.
            ("pause-event-source-mappings", _) => return false,
            ("close-function-urls", _) => {
                let theirs = json!({"AuthType": "NONE", "InvokeMode": "BUFFERED", "Cors": {"AllowOrigins": ["https://other.example"]}});
                self.urls.insert(qualifier, theirs);
            }
            ("release-provisioned-concurrency", _) => drop(self.provisioned.insert(qualifier, 99)),
            ("enforce-code-signing", _) => self.signing = Some(WARNING.into()),
            other => panic!("teach tests/it/support/cells/surface.rs how {other:?} drifts"),
        }
        true
    }
}

fn statements(policy: Option<&String>) -> Vec<Value> {
    policy.map_or_else(Vec::new, |text| serde_json::from_str::<Value>(text).unwrap()["Statement"].as_array().unwrap().clone())
}

fn revision(text: &str) -> String {
    let hex = Sha256::of(text.as_bytes()).to_string();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..32])
}

/// The operation that method, path and query mean; `None` when it is not of this file.
pub fn operation(method: &str, path: &[&str], query: &BTreeMap<String, String>) -> Option<&'static str> {
    Some(match (method, path) {
        ("GET", [_, "functions", _, "versions"]) => "ListVersionsByFunction",
        ("GET", [_, "functions", _, "aliases"]) => "ListAliases",
        ("GET", ["2025-11-30", "functions", _, "function-scaling-config"]) => "GetFunctionScalingConfig",
        ("PUT", ["2025-11-30", "functions", _, "function-scaling-config"]) => "PutFunctionScalingConfig",
        ("GET", ["2026-07-09", "resource-policy", _]) => "GetResourcePolicy",
        ("PUT", ["2026-07-09", "resource-policy", _]) => "PutResourcePolicy",
        ("DELETE", ["2026-07-09", "resource-policy", _]) => "DeleteResourcePolicy",
        ("GET", ["2015-03-31", "functions", _, "policy"]) => "GetPolicy",
        ("POST", ["2015-03-31", "functions", _, "policy"]) => "AddPermission",
        ("DELETE", ["2015-03-31", "functions", _, "policy", _]) => "RemovePermission",
        ("GET", ["2015-03-31", "event-source-mappings"]) => "ListEventSourceMappings",
        ("GET", ["2015-03-31", "event-source-mappings", _]) => "GetEventSourceMapping",
        ("PUT", ["2015-03-31", "event-source-mappings", _]) => "UpdateEventSourceMapping",
        ("GET", ["2021-10-31", "functions", _, "urls"]) => "ListFunctionUrlConfigs",
        ("GET", ["2021-10-31", "functions", _, "url"]) => "GetFunctionUrlConfig",
        ("PUT", ["2021-10-31", "functions", _, "url"]) => "UpdateFunctionUrlConfig",
        ("GET", ["2019-09-30", "functions", _, "provisioned-concurrency"]) if query.contains_key("List") => {
            "ListProvisionedConcurrencyConfigs"
        }
        ("GET", ["2019-09-30", "functions", _, "provisioned-concurrency"]) => "GetProvisionedConcurrencyConfig",
        ("PUT", ["2019-09-30", "functions", _, "provisioned-concurrency"]) => "PutProvisionedConcurrencyConfig",
        ("DELETE", ["2019-09-30", "functions", _, "provisioned-concurrency"]) => "DeleteProvisionedConcurrencyConfig",
        ("GET", ["2020-06-30", "functions", _, "code-signing-config"]) => "GetFunctionCodeSigningConfig",
        ("PUT", ["2020-06-30", "functions", _, "code-signing-config"]) => "PutFunctionCodeSigningConfig",
        ("DELETE", ["2020-06-30", "functions", _, "code-signing-config"]) => "DeleteFunctionCodeSigningConfig",
        ("GET", ["2020-04-22", "code-signing-configs", _]) => "GetCodeSigningConfig",
        _ => return None,
    })
}

/// What path and body say beyond the operation.
pub fn arguments(operation: &str, path: &[&str], body: &[u8], args: &mut BTreeMap<String, String>) {
    args.insert("Body".into(), String::from_utf8(body.to_vec()).unwrap());
    let named = path.get(2).map(|p| form_decoded(p)).unwrap_or_default();
    match operation {
        "GetResourcePolicy" | "PutResourcePolicy" | "DeleteResourcePolicy" => {
            let rest = named.strip_prefix(&arn("")).expect("a policy of the function");
            args.insert("Qualifier".into(), rest.trim_start_matches(':').to_string());
            args.insert("FunctionName".into(), FUNCTION.into());
        }
        "GetEventSourceMapping" | "UpdateEventSourceMapping" => drop(args.insert("Uuid".into(), named)),
        "GetCodeSigningConfig" => drop(args.insert("Config".into(), named)),
        "RemovePermission" => {
            args.insert("FunctionName".into(), named);
            args.insert("Sid".into(), form_decoded(path[4]));
        }
        "ListEventSourceMappings" => {}
        _ => drop(args.insert("FunctionName".into(), named)),
    }
}

fn ok(status: u16, v: Value) -> HttpResponse {
    HttpResponse::new(status.try_into().unwrap(), SdkBody::from(v.to_string()))
}
fn nothing() -> HttpResponse {
    HttpResponse::new(204.try_into().unwrap(), SdkBody::empty())
}

impl Parsed {
    fn page<T>(&self, member: &str, all: Vec<T>, describe: impl Fn(T) -> Value) -> HttpResponse {
        let at: usize = self.args.get("Marker").map_or(0, |m| m.parse().unwrap());
        let next = (at + 1 < all.len()).then(|| (at + 1).to_string());
        let page: Vec<Value> = all.into_iter().skip(at).take(1).map(describe).collect();
        ok(200, json!({member: page, "NextMarker": next}))
    }

    fn missing(&self) -> HttpResponse {
        self.error(404, "ResourceNotFoundException", "The resource you requested does not exist.")
    }

    /// What belongs to no one function by its path.
    pub(super) fn beside_functions(&self, world: &mut World) -> Option<HttpResponse> {
        let body: Value = self.args.get("Body").and_then(|b| serde_json::from_str(b).ok()).unwrap_or_default();
        let describe = |uuid: &str, m: &Mapping| {
            json!({"UUID": uuid, "State": m.state, "FunctionArn": m.function_arn, "EventSourceArn": "arn:aws:sqs:eu-west-1:123456789012:orders",
                   "BatchSize": 10})
        };
        let mappings = world.functions.values_mut().flat_map(|f| f.surface.mappings.iter_mut());
        Some(match self.operation.as_str() {
            "ListEventSourceMappings" => {
                // By the bare name, those of its aliases too: they are then listed twice.
                let name = &self.args["FunctionName"];
                let of = |m: &Mapping| m.function_arn == *name || (name == FUNCTION && m.function_arn.starts_with(&arn("")));
                let all: Vec<(String, Mapping)> = mappings.filter(|(_, m)| of(m)).map(|(u, m)| (u.clone(), m.clone())).collect();
                self.page("EventSourceMappings", all, |(uuid, m)| describe(&uuid, &m))
            }
            "GetEventSourceMapping" | "UpdateEventSourceMapping" => {
                let Some((uuid, mapping)) = mappings.into_iter().find(|(u, _)| **u == self.args["Uuid"]) else {
                    return Some(self.missing());
                };
                if self.operation.starts_with("Update") {
                    assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["Enabled"], "nothing else of a mapping is named");
                    mapping.state = if body["Enabled"] == true { "Enabled" } else { "Disabled" }.into();
                }
                ok(202, describe(uuid, mapping))
            }
            "GetCodeSigningConfig" => {
                let config = &self.args["Config"];
                let policy = match config.as_str() {
                    ENFORCING | FORMER => "Enforce",
                    WARNING => "Warn",
                    _ => return Some(self.missing()),
                };
                ok(
                    200,
                    json!({"CodeSigningConfig": {"CodeSigningConfigId": "csc-1", "CodeSigningConfigArn": config, "LastModified": "2026-01-01T00:00:00Z",
                    "AllowedPublishers": {"SigningProfileVersionArns": ["arn:aws:signer:eu-west-1:123456789012:/signing-profiles/p/v"]},
                    "CodeSigningPolicies": {"UntrustedArtifactOnDeployment": policy}}}),
                )
            }
            _ => return None,
        })
    }

    pub(super) fn surface(&self, f: &mut Function) -> HttpResponse {
        let body: Value = self.args.get("Body").and_then(|b| serde_json::from_str(b).ok()).unwrap_or_default();
        let qualifier = self.args.get("Qualifier").cloned().unwrap_or_default();
        let (latest, group) = (f.role.clone(), f.log_group.clone());
        let s = &mut f.surface;
        if !s.knows(&qualifier) {
            return self.error(404, "ResourceNotFoundException", &format!("Function not found: {}", arn(&qualifier)));
        }
        let stale = |now: Option<&String>| {
            let given = self.args.get("RevisionId").cloned().or_else(|| body["RevisionId"].as_str().map(str::to_string));
            given.is_some_and(|given| now.is_none_or(|text| revision(text) != given))
        };
        match self.operation.as_str() {
            "ListVersionsByFunction" => self.page("Versions", s.versions.iter().collect(), |(version, managed)| {
                let role = s.roles.get(version).unwrap_or(&latest);
                let mut conf = json!({"FunctionName": FUNCTION, "Version": version, "Role": role});
                if let Some(group) = group.as_ref().filter(|_| *version == "$LATEST") {
                    conf["LoggingConfig"] = json!({"LogGroup": group});
                }
                if *managed {
                    conf["CapacityProviderConfig"] =
                        json!({"LambdaManagedInstancesCapacityProviderConfig": {"CapacityProviderArn": "arn:aws:lambda:eu-west-1:123456789012:capacity-provider:p"}});
                }
                conf
            }),
            "ListAliases" => self.page("Aliases", s.aliases.iter().collect(), |name| json!({"Name": name, "FunctionVersion": "1"})),
            "GetFunctionScalingConfig" => match s.scaling.get(&qualifier) {
                None => self.missing(),
                // As one that has settled: AWS then states no request any more.
                Some(config) => ok(200, json!({"FunctionArn": arn(&qualifier), "AppliedFunctionScalingConfig": config})),
            },
            "PutFunctionScalingConfig" => {
                s.scaling.insert(qualifier, body.get("FunctionScalingConfig").cloned());
                ok(202, json!({"FunctionState": "Active"}))
            }
            "GetResourcePolicy" | "PutResourcePolicy" | "DeleteResourcePolicy" if !s.documents => {
                self.error(404, "UnknownOperationException", "Unknown operation")
            }
            "GetResourcePolicy" | "GetPolicy" => match s.policies.get(&qualifier) {
                Some(text) => ok(200, json!({"Policy": text, "RevisionId": revision(text)})),
                None => self.missing(),
            },
            "PutResourcePolicy" => {
                let text = body["Policy"].as_str().unwrap();
                assert!(text.len() <= 20_480, "Lambda's limit");
                assert!(body.get("RevisionId").is_some() || !s.policies.contains_key(&qualifier), "a policy is replaced by its revision only");
                if stale(s.policies.get(&qualifier)) {
                    return self.error(412, "PreconditionFailedException", "The RevisionId provided does not match");
                }
                if s.public.is_some_and(|p| text.contains(p)) {
                    return self.error(400, "PublicPolicyException", "The policy would grant public access");
                }
                s.policies.insert(qualifier, text.to_string());
                ok(200, json!({"Policy": text, "RevisionId": revision(text)}))
            }
            "DeleteResourcePolicy" => {
                if stale(s.policies.get(&qualifier)) {
                    return self.error(412, "PreconditionFailedException", "The RevisionId provided does not match");
                }
                s.policies.remove(&qualifier).map_or_else(|| self.missing(), |_| nothing())
            }
            "AddPermission" => {
                let mut all = statements(s.policies.get(&qualifier));
                if stale(s.policies.get(&qualifier)) {
                    return self.error(412, "PreconditionFailedException", "The RevisionId provided does not match");
                }
                if all.iter().any(|t| t["Sid"] == body["StatementId"]) {
                    return self.error(409, "ResourceConflictException", "The statement id provided already exists.");
                }
                let mut made = json!({"Sid": body["StatementId"], "Effect": "Allow", "Principal": {"Service": body["Principal"]}, "Action": body["Action"],
                                      "Resource": arn(&qualifier)});
                if let Some(source) = body.get("SourceArn") {
                    made["Condition"]["ArnLike"]["AWS:SourceArn"] = source.clone();
                }
                all.push(made.clone());
                s.policies.insert(qualifier, policy_of(&all));
                ok(201, json!({"Statement": made.to_string()}))
            }
            "RemovePermission" => {
                let mut all = statements(s.policies.get(&qualifier));
                if stale(s.policies.get(&qualifier)) {
                    return self.error(412, "PreconditionFailedException", "The RevisionId provided does not match");
                }
                let before = all.len();
                all.retain(|t| t["Sid"] != self.args["Sid"].as_str());
                if all.len() == before {
                    return self.missing();
                }
                match all.is_empty() {
                    true => s.policies.remove(&qualifier),
                    false => s.policies.insert(qualifier, policy_of(&all)),
                };
                nothing()
            }
            "ListFunctionUrlConfigs" => self.page("FunctionUrlConfigs", s.urls.iter().collect(), |(qualifier, url)| described(qualifier, url)),
            "GetFunctionUrlConfig" => s.urls.get(&qualifier).map_or_else(|| self.missing(), |url| ok(200, described(&qualifier, url))),
            "UpdateFunctionUrlConfig" => {
                let Some(url) = s.urls.get_mut(&qualifier) else { return self.missing() };
                // What is left out stays; an empty `Cors` is none.
                for (member, value) in body.as_object().unwrap() {
                    url[member] = value.clone();
                }
                if url["Cors"] == json!({}) {
                    url.as_object_mut().unwrap().remove("Cors");
                }
                ok(200, described(&qualifier, url))
            }
            "ListProvisionedConcurrencyConfigs" => self.page("ProvisionedConcurrencyConfigs", s.provisioned.iter().collect(), |(qualifier, n)| {
                json!({"FunctionArn": arn(qualifier), "RequestedProvisionedConcurrentExecutions": n, "Status": "READY"})
            }),
            "GetProvisionedConcurrencyConfig" => match s.provisioned.get(&qualifier) {
                Some(n) => ok(200, json!({"RequestedProvisionedConcurrentExecutions": n, "Status": "IN_PROGRESS"})),
                None => self.error(404, "ProvisionedConcurrencyConfigNotFoundException", "No Provisioned Concurrency Config found"),
            },
            "PutProvisionedConcurrencyConfig" => {
                let wanted = body["ProvisionedConcurrentExecutions"].as_u64().unwrap();
                s.provisioned.insert(qualifier, wanted.try_into().unwrap());
                ok(202, json!({"RequestedProvisionedConcurrentExecutions": wanted, "Status": "IN_PROGRESS"}))
            }
            "DeleteProvisionedConcurrencyConfig" => {
                s.provisioned.remove(&qualifier);
                nothing()
            }
            "GetFunctionCodeSigningConfig" => ok(200, json!({"FunctionName": FUNCTION, "CodeSigningConfigArn": s.signing.clone().unwrap_or_default()})),
            "PutFunctionCodeSigningConfig" => {
                s.signing = body["CodeSigningConfigArn"].as_str().map(str::to_string);
                ok(200, json!({"FunctionName": FUNCTION, "CodeSigningConfigArn": s.signing}))
            }
            "DeleteFunctionCodeSigningConfig" => match s.signing.take() {
                Some(_) => nothing(),
                None => self.error(404, "CodeSigningConfigNotFoundException", "The specified code signing configuration does not exist."),
            },
            other => panic!("teach tests/it/support/cells/surface.rs {other}"),
        }
    }
}

fn described(qualifier: &str, url: &Value) -> Value {
    let mut all = json!({"FunctionUrl": format!("https://abcdefghijklmnopqrstuvwxyz{qualifier}.lambda-url.eu-west-1.on.aws/"), "FunctionArn": arn(qualifier),
                         "CreationTime": "2026-01-01T00:00:00Z", "LastModifiedTime": "2026-01-01T00:00:00Z"});
    all.as_object_mut().unwrap().extend(url.as_object().unwrap().clone());
    all
}

/// `GetCallerIdentity`.
pub fn caller() -> HttpResponse {
    let body = format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult><Arn>arn:aws:sts::{ACCOUNT}:assumed-role/responder/tester</Arn>\
         <UserId>AROA:tester</UserId><Account>{ACCOUNT}</Account></GetCallerIdentityResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
    );
    HttpResponse::new(200.try_into().unwrap(), SdkBody::from(body))
}
