//! The control-plane history of the incident, in the form of real CloudTrail records, dated relative to the drill.
//!
//! Event names carry AWS's version suffixes, roles appear as `AssumedRole` with their session context, the function's own
//! session with `inScopeOf`, refused calls with `errorCode`, and the service's `AssumeRole` with the session token that it
//! issued (as CloudTrail does record it), so that its redaction can be seen to work. The forms were learned from real
//! records; every name, key and address in here is invented.

use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};

use super::{Incident, names};

/// The document that the CloudTrail server reads, and how many events it has.
pub(super) fn document(incident: &Incident, now: DateTime<Utc>) -> (Value, usize) {
    let mut scribe = Scribe { incident, now, entries: Vec::new() };
    scribe.the_beginning();
    scribe.ordinary_weeks();
    scribe.sessions_of_the_functions();
    scribe.the_intrusion();
    scribe.the_unsuspecting_release();
    scribe.the_stolen_session();
    let Scribe { entries, .. } = scribe;
    let (account, region) = (&incident.account, &incident.region);
    let arn = format!("arn:aws:cloudtrail:{region}:{account}:trail/management");
    let trail = json!({"Name": "management", "S3BucketName": format!("cloudtrail-{account}"), "TrailARN": arn,
        "IncludeGlobalServiceEvents": true, "IsMultiRegionTrail": true, "HomeRegion": region,
        "LogFileValidationEnabled": true, "HasCustomEventSelectors": false, "HasInsightSelectors": false,
        "IsOrganizationTrail": false});
    let count = entries.len();
    (json!({"account": account, "trails": [trail], "events": entries}), count)
}

/// Who called, from where, with what.
struct Caller {
    identity: Value,
    address: String,
    agent: &'static str,
}

/// What was called.
#[derive(Default)]
struct Call {
    service: &'static str,
    name: &'static str,
    reads: bool,
    request: Value,
    response: Value,
    refused: bool,
    resources: Vec<(&'static str, String)>,
    region: Option<&'static str>,
}

const LAMBDA_AGENT: &str = "Boto3/1.40.4 md/Botocore#1.40.4 ua/2.1 os/linux#5.10.240-257.959.amzn2.x86_64 md/arch#x86_64 \
    lang/python#3.12.11 md/pyimpl#CPython exec-env/AWS_Lambda_python3.12 cfg/retry-mode#legacy";
const CLI_AGENT: &str = "aws-cli/2.31.3 md/awscrt#0.27.6 ua/2.1 os/linux#6.12.38-kali-amd64 md/arch#x86_64 \
    lang/python#3.13.7 md/pyimpl#CPython cfg/retry-mode#standard md/installer#source";
const PIPELINE_AGENT: &str = "APN/1.0 HashiCorp/1.0 Terraform/1.9.8 terraform-provider-aws/5.74.0 aws-sdk-go-v2/1.32.3";
const CONSOLE_AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0";

struct Scribe<'a> {
    incident: &'a Incident,
    now: DateTime<Utc>,
    entries: Vec<Value>,
}

impl Scribe<'_> {
    fn push(&mut self, ago: Duration, by: &Caller, call: Call) {
        let number = self.entries.len();
        let at = self.now - ago;
        let host = format!("{}.{}.amazonaws.com", call.service, self.incident.region);
        let mut record = json!({
            "eventVersion": "1.11",
            "userIdentity": by.identity,
            "eventTime": stamp(at),
            "eventSource": format!("{}.amazonaws.com", call.service),
            "eventName": call.name,
            "awsRegion": call.region.unwrap_or(&self.incident.region),
            "sourceIPAddress": by.address,
            "userAgent": by.agent,
        });
        if call.refused {
            let arn = by.identity["arn"].as_str().unwrap_or_default();
            let action = format!("{}:{}", call.service, bare(call.name));
            record["errorCode"] = json!("AccessDenied");
            record["errorMessage"] = json!(format!(
                "User: {arn} is not authorized to perform: {action} on resource: * \
                because no identity-based policy allows the {action} action"
            ));
        }
        record["requestParameters"] = call.request;
        record["responseElements"] = if call.refused { Value::Null } else { call.response };
        record["requestID"] = json!(format!("{number:08x}-0d11-4c11-9111-d2111d211000"));
        record["eventID"] = json!(format!("{number:08x}-0d11-4e11-8e11-d2111d211{number:03x}"));
        record["readOnly"] = json!(call.reads);
        record["eventType"] = json!("AwsApiCall");
        record["managementEvent"] = json!(true);
        record["recipientAccountId"] = json!(self.incident.account);
        record["eventCategory"] = json!("Management");
        if by.identity["type"] != "AWSService" {
            record["tlsDetails"] = json!({"tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256",
                                          "clientProvidedHostHeader": host});
        }
        let resources: Vec<Value> = call.resources.iter().map(|(kind, name)| json!({"type": kind, "name": name})).collect();
        self.entries.push(json!({"resources": resources, "event": record}));
    }

    fn role_session(&self, role_arn: &str, role_id: &str, session: &str, key: &str, since: DateTime<Utc>) -> Value {
        let account = &self.incident.account;
        let role = role_arn.rsplit('/').next().unwrap_or_default();
        json!({
            "type": "AssumedRole",
            "principalId": format!("{role_id}:{session}"),
            "arn": format!("arn:aws:sts::{account}:assumed-role/{role}/{session}"),
            "accountId": account,
            "accessKeyId": key,
            "sessionContext": {
                "sessionIssuer": {"type": "Role", "principalId": role_id, "arn": role_arn, "accountId": account, "userName": role},
                "attributes": {"creationDate": stamp(since), "mfaAuthenticated": "false"},
            },
        })
    }

    /// A session that Lambda opened for a function.
    fn function_session(&self, function: &str, key: &str, since: DateTime<Utc>) -> Value {
        let role = &self.incident.role;
        let mut identity = self.role_session(&role.arn, &role.id, function, key, since);
        let arn = format!("arn:aws:lambda:{}:{}:function:{function}", self.incident.region, self.incident.account);
        identity["inScopeOf"] = json!({
            "issuerType": "AWS::Lambda::Function",
            "credentialsIssuedTo": arn,
            "credentialsIssuedToVersion": format!("{arn}:{}", names::BAD_VERSION),
        });
        identity
    }

    fn pipeline(&self, at: Duration) -> Caller {
        let arn = format!("arn:aws:iam::{}:role/deploy-pipeline", self.incident.account);
        let since = self.now - at - Duration::minutes(4);
        let identity = self.role_session(&arn, "AROADRILLDEPLOYROLE01", "github-actions", "ASIADRILLPIPELINE001", since);
        Caller { identity, address: "198.51.100.20".into(), agent: PIPELINE_AGENT }
    }

    fn person(&self, at: Duration) -> Caller {
        let arn =
            format!("arn:aws:iam::{}:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_ReadOnly_5d1f0a9c3b7e2468", self.incident.account);
        let since = self.now - at - Duration::minutes(31);
        let identity = self.role_session(&arn, "AROADRILLREADONLY0001", "ines.keller", "ASIADRILLPERSON00001", since);
        Caller { identity, address: "198.51.100.41".into(), agent: CONSOLE_AGENT }
    }

    /// The build user whose key leaked, in the hands of the intruder.
    fn intruder(&self) -> Caller {
        let account = &self.incident.account;
        let identity = json!({"type": "IAMUser", "principalId": "AIDADRILLBUILDBOT0001", "accountId": account,
            "arn": format!("arn:aws:iam::{account}:user/{}", names::LEAKED_USER),
            "accessKeyId": names::LEAKED_KEY_ID, "userName": names::LEAKED_USER});
        Caller { identity, address: names::THIEF_ADDRESS.into(), agent: CLI_AGENT }
    }

    fn on_function(&self) -> Vec<(&'static str, String)> {
        vec![("AWS::Lambda::Function", names::FUNCTION.into()), ("AWS::Lambda::Function", self.incident.function.arn.clone())]
    }

    fn on_role(&self) -> Vec<(&'static str, String)> {
        vec![("AWS::IAM::Role", names::ROLE.into()), ("AWS::IAM::Role", self.incident.role.arn.clone())]
    }

    /// A call to Lambda about the suspect.
    fn lambda(&self, name: &'static str, extra: Value, response: Value) -> Call {
        let mut request = json!({"functionName": names::FUNCTION});
        if let (Some(all), Value::Object(more)) = (request.as_object_mut(), extra) {
            all.extend(more);
        }
        Call { service: "lambda", name, request, response, resources: self.on_function(), ..Call::default() }
    }

    fn configuration(&self, version: &str, sha256: &str, at: Duration) -> Value {
        let suffix = if version == "$LATEST" { String::new() } else { format!(":{version}") };
        json!({"functionName": names::FUNCTION, "functionArn": format!("{}{suffix}", self.incident.function.arn),
            "runtime": "python3.12", "role": self.incident.role.arn, "handler": "app.handler", "timeout": 3,
            "memorySize": 128, "lastModified": (self.now - at).format("%Y-%m-%dT%H:%M:%S.000+0000").to_string(),
            "codeSha256": sha256, "version": version, "environment": {}, "packageType": "Zip", "architectures": ["x86_64"],
            "layers": [{"arn": self.incident.layer_version_arn}], "tracingConfig": {"mode": "PassThrough"}, "state": "Active"})
    }

    fn deploy(&mut self, at: Duration, by: &Caller, sha256: &str, version: &str) {
        let code = json!({"publish": false, "dryRun": false});
        let updated = self.lambda("UpdateFunctionCode20150331v2", code, self.configuration("$LATEST", sha256, at));
        self.push(at, by, updated);
        let at = at - Duration::seconds(9);
        let published = self.lambda("PublishVersion20150331", json!({}), self.configuration(version, sha256, at));
        self.push(at, by, published);
    }

    fn the_beginning(&mut self) {
        let at = Duration::days(62);
        let by = self.pipeline(at);
        let iam = |name, request, resources| Call { service: "iam", name, request, resources, ..Call::default() };
        let role = self.incident.role.clone();
        let trust = json!({"roleName": names::ROLE, "path": names::ROLE_PATH, "assumeRolePolicyDocument": role.trust.to_string()});
        self.push(at, &by, iam("CreateRole", trust, self.on_role()));
        let inline = json!({"roleName": names::ROLE, "policyName": role.inline.0, "policyDocument": role.inline.1.to_string()});
        self.push(at - Duration::seconds(5), &by, iam("PutRolePolicy", inline, self.on_role()));
        for policy in &role.managed {
            let made = json!({"policyName": policy.name, "policyDocument": policy.versions[0].to_string()});
            self.push(at - Duration::seconds(8), &by, iam("CreatePolicy", made, vec![("AWS::IAM::Policy", policy.arn.clone())]));
            let mut on = self.on_role();
            on.push(("AWS::IAM::Policy", policy.arn.clone()));
            let attached = json!({"roleName": names::ROLE, "policyArn": policy.arn});
            self.push(at - Duration::seconds(11), &by, iam("AttachRolePolicy", attached, on));
        }
        let sha = self.incident.function.clean_sha256.clone();
        let at = at - Duration::seconds(40);
        let layer = json!({"layerName": names::LAYER, "compatibleRuntimes": ["python3.12"]});
        let layer = Call { service: "lambda", name: "PublishLayerVersion20181031", request: layer, ..Call::default() };
        self.push(at, &by, layer);
        let created = json!({"runtime": "python3.12", "role": role.arn, "handler": "app.handler", "code": {}, "environment": {},
                             "publish": false, "packageType": "Zip", "layers": [self.incident.layer_version_arn]});
        let created = self.lambda("CreateFunction20150331", created, self.configuration("$LATEST", &sha, at));
        self.push(at, &by, created);
        let published = self.lambda("PublishVersion20150331", json!({}), self.configuration("1", &sha, at));
        self.push(at - Duration::seconds(12), &by, published);
        let alias = self.lambda("CreateAlias20150331", json!({"name": names::ALIAS, "functionVersion": "1"}), Value::Null);
        self.push(at - Duration::seconds(15), &by, alias);
        let mapping = json!({"eventSourceArn": self.incident.triggers.queue_arn, "batchSize": 10, "enabled": true});
        let mapping = self.lambda("CreateEventSourceMapping20150331", mapping, Value::Null);
        self.push(at - Duration::seconds(21), &by, mapping);
    }

    /// What goes on in any account: plans of the pipeline, people looking, calls that have nothing to do with us.
    fn ordinary_weeks(&mut self) {
        for week in 1..9 {
            let at = Duration::days(7 * week) + Duration::hours(3);
            let by = self.pipeline(at);
            for name in ["GetFunction20150331v2", "GetPolicy20150331v2", "ListVersionsByFunction20150331"] {
                let read = Call { reads: true, ..self.lambda(name, json!({}), Value::Null) };
                self.push(at, &by, read);
            }
            let role = Call {
                service: "iam",
                name: "GetRole",
                reads: true,
                request: json!({"roleName": names::ROLE}),
                resources: self.on_role(),
                ..Call::default()
            };
            self.push(at - Duration::seconds(2), &by, role);
        }
        for day in 1..25 {
            let at = Duration::days(day) + Duration::minutes(day * 17);
            let by = self.person(at);
            let (service, name) = [
                ("ec2", "DescribeInstances"),
                ("s3", "ListBuckets"),
                ("monitoring", "DescribeAlarms"),
                ("lambda", "ListFunctions20150331"),
            ][(day % 4) as usize];
            self.push(at, &by, Call { service, name, reads: true, ..Call::default() });
        }
    }

    /// Lambda assumes the role for each new environment, and CloudTrail keeps the token that it issued.
    fn sessions_of_the_functions(&mut self) {
        for half_day in 1..9 {
            let at = Duration::hours(12 * half_day + 2);
            self.assume_for(names::FUNCTION, &format!("ASIADRILLEXPORT{half_day:05}"), at);
            if half_day % 2 == 0 {
                self.assume_for(names::NEIGHBOUR, &format!("ASIADRILLREPORT{half_day:05}"), at - Duration::minutes(6));
            }
        }
        // Calls of the function itself, from inside AWS.
        for hour in 1..13 {
            let at = Duration::hours(hour * 2) + Duration::minutes(11);
            let key = format!("ASIADRILLEXPORT{:05}", 1 + hour / 6);
            let identity = self.function_session(names::FUNCTION, &key, self.now - at - Duration::hours(1));
            let by = Caller { identity, address: "54.240.197.12".into(), agent: LAMBDA_AGENT };
            self.push(at, &by, self.about_bucket("GetBucketLocation"));
        }
    }

    fn assume_for(&mut self, function: &str, key: &str, at: Duration) {
        let role = &self.incident.role;
        let assumed = format!("arn:aws:sts::{}:assumed-role/{}/{function}", self.incident.account, names::ROLE);
        let identity = json!({"type": "AWSService", "invokedBy": "lambda.amazonaws.com"});
        let by = Caller { identity, address: "lambda.amazonaws.com".into(), agent: "lambda.amazonaws.com" };
        let until = self.now - at + Duration::hours(12);
        let response = json!({
            "credentials": {"accessKeyId": key, "sessionToken": format!("IQoJb3JpZ2luX2VjE{}{key}//////////wEaCXVzLWVhc3QtMSJH", names::TOKEN_MARKER),
                            "expiration": until.format("%b %-d, %Y, %-I:%M:%S %p").to_string()},
            "assumedRoleUser": {"assumedRoleId": format!("{}:{function}", role.id), "arn": assumed},
        });
        let resources = vec![
            ("AWS::IAM::AccessKey", key.to_owned()),
            ("AWS::STS::AssumedRole", format!("{}:{function}", role.id)),
            ("AWS::STS::AssumedRole", assumed),
            ("AWS::IAM::Role", role.arn.clone()),
        ];
        let call = Call {
            service: "sts",
            name: "AssumeRole",
            reads: true,
            response,
            resources,
            request: json!({"roleArn": role.arn, "roleSessionName": function}),
            ..Call::default()
        };
        self.push(at, &by, call);
        let (account, arn) = (&self.incident.account, &self.incident.role.arn);
        if let Some(record) = self.entries.last_mut().and_then(|entry| entry.get_mut("event")) {
            record["resources"] = json!([{"accountId": account, "type": "AWS::IAM::Role", "ARN": arn}]);
            record["sharedEventID"] = json!(format!("5a{:06x}-0d11-4511-8511-d2111d211000", at.num_minutes()));
        }
    }

    fn the_intrusion(&mut self) {
        let by = self.intruder();
        let at = |minutes: i64| Duration::days(6) - Duration::minutes(minutes);
        let look = |service, name, refused| Call { service, name, reads: true, refused, ..Call::default() };
        self.push(at(0), &by, look("sts", "GetCallerIdentity", false));
        self.push(at(1), &by, look("iam", "ListUsers", true));
        self.push(at(2), &by, look("lambda", "ListFunctions20150331", false));
        let read = Call { reads: true, ..self.lambda("GetFunction20150331v2", json!({}), Value::Null) };
        self.push(at(4), &by, read);
        let make_user = Call { service: "iam", name: "CreateUser", refused: true, ..Call::default() };
        self.push(at(6), &by, make_user);
        let (bad, clean) = (self.incident.function.bad_sha256.clone(), self.incident.function.clean_sha256.clone());
        self.deploy(at(19), &by, &bad, names::BAD_VERSION);
        let put_back = self.lambda(
            "UpdateFunctionCode20150331v2",
            json!({"publish": false, "dryRun": false}),
            self.configuration("$LATEST", &clean, at(20)),
        );
        self.push(at(20), &by, put_back);
        let weights = json!({"name": names::ALIAS, "functionVersion": "1",
                             "routingConfig": {"additionalVersionWeights": {names::BAD_VERSION: names::BAD_WEIGHT}}});
        let moved = self.lambda("UpdateAlias20150331", weights, Value::Null);
        self.push(at(23), &by, moved);
        let open = json!({"statementId": names::PUBLIC_STATEMENT, "action": "lambda:InvokeFunctionUrl", "principal": "*",
                          "functionUrlAuthType": "NONE"});
        let said = json!({"Sid": names::PUBLIC_STATEMENT, "Effect": "Allow", "Principal": "*", "Action": "lambda:InvokeFunctionUrl",
            "Resource": self.incident.function.arn, "Condition": {"StringEquals": {"lambda:FunctionUrlAuthType": "NONE"}}});
        let opened = self.lambda("AddPermission20150331v2", open, json!({"statement": said.to_string()}));
        self.push(at(27), &by, opened);
        let url = json!({"functionUrl": self.incident.function.url, "functionArn": self.incident.function.arn, "authType": "NONE"});
        let url = self.lambda("CreateFunctionUrlConfig", json!({"authType": "NONE"}), url);
        self.push(at(28), &by, url);
        if let Some(broad) = self.incident.role.managed.iter().find(|policy| policy.name == names::BROAD_POLICY).cloned() {
            let document = broad.versions.last().map(Value::to_string);
            let request = json!({"policyArn": broad.arn, "policyDocument": document, "setAsDefault": true});
            let widened = Call {
                service: "iam",
                name: "CreatePolicyVersion",
                request,
                resources: vec![("AWS::IAM::Policy", broad.arn)],
                ..Call::default()
            };
            self.push(at(33), &by, widened);
        }
    }

    /// The owners' next release: a clean version 3 as the alias' main version. Nobody looked at the weights.
    fn the_unsuspecting_release(&mut self) {
        let at = Duration::days(4);
        let by = self.pipeline(at);
        let clean = self.incident.function.clean_sha256.clone();
        self.deploy(at, &by, &clean, names::MAIN_VERSION);
        let alias = self.lambda("UpdateAlias20150331", json!({"name": names::ALIAS, "functionVersion": names::MAIN_VERSION}), Value::Null);
        self.push(at - Duration::seconds(30), &by, alias);
    }

    /// The function's credentials, used from outside: same key, foreign address, no Lambda in the user agent.
    fn the_stolen_session(&mut self) {
        let since = Duration::hours(9);
        self.assume_for(names::FUNCTION, names::STOLEN_KEY_ID, since);
        let identity = self.function_session(names::FUNCTION, names::STOLEN_KEY_ID, self.now - since);
        let inside = Caller { identity: identity.clone(), address: "54.240.197.12".into(), agent: LAMBDA_AGENT };
        self.push(since - Duration::minutes(1), &inside, self.about_bucket("GetBucketLocation"));
        let outside = Caller { identity, address: names::THIEF_ADDRESS.into(), agent: CLI_AGENT };
        let look = |service, name, refused, region| Call { service, name, reads: true, refused, region, ..Call::default() };
        let at = |minutes: i64| since - Duration::minutes(40) - Duration::minutes(minutes);
        self.push(at(0), &outside, look("sts", "GetCallerIdentity", false, None));
        self.push(at(2), &outside, look("s3", "ListBuckets", false, None));
        for (minute, name) in [(3, "GetBucketLocation"), (4, "GetBucketPolicy"), (5, "GetBucketVersioning")] {
            self.push(at(minute), &outside, self.about_bucket(name));
        }
        for (minute, service, name) in [
            (7, "iam", "ListUsers"),
            (8, "iam", "GetAccountAuthorizationDetails"),
            (9, "secretsmanager", "ListSecrets"),
            (12, "lambda", "ListFunctions20150331"),
            (13, "dynamodb", "ListTables"),
        ] {
            self.push(at(minute), &outside, look(service, name, true, None));
        }
        // And in a Region where the function has never been.
        self.push(at(20), &outside, look("sts", "GetCallerIdentity", false, Some("eu-west-1")));
        self.push(at(21), &outside, look("ec2", "DescribeInstances", true, Some("eu-west-1")));
    }

    fn about_bucket(&self, name: &'static str) -> Call {
        let bucket = self.incident.bucket.clone();
        Call {
            service: "s3",
            name,
            reads: true,
            request: json!({"bucketName": bucket, "Host": format!("{bucket}.s3.amazonaws.com")}),
            resources: vec![("AWS::S3::Bucket", bucket)],
            ..Call::default()
        }
    }
}

fn stamp(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The IAM action's name: the event's without Lambda's API version.
fn bare(name: &str) -> &str {
    name.find("20").map_or(name, |at| &name[..at])
}

#[cfg(test)]
pub(crate) mod tests;
