//! What the small AWS knows of Lambda: the wire form of the operations that actions use.

use super::{ACCOUNT, Function, Parsed, REGION, World};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The operation that method and path mean.
pub fn operation(method: &str, path: &[&str]) -> &'static str {
    match (method, path) {
        ("GET", ["2019-09-30", "functions", _, "concurrency"]) => "GetFunctionConcurrency",
        ("PUT", ["2017-10-31", "functions", _, "concurrency"]) => "PutFunctionConcurrency",
        ("DELETE", ["2017-10-31", "functions", _, "concurrency"]) => "DeleteFunctionConcurrency",
        ("GET", ["2015-03-31", "functions", _, "configuration"]) => "GetFunctionConfiguration",
        ("PUT", ["2015-03-31", "functions", _, "configuration"]) => "UpdateFunctionConfiguration",
        ("GET", ["2015-03-31", "functions"]) => "ListFunctions",
        other => panic!("teach tests/it/support/cells.rs this Lambda call: {other:?}"),
    }
}

/// What path and body say beyond the operation.
pub fn arguments(operation: &str, path: &[&str], body: &[u8], args: &mut BTreeMap<String, String>) {
    if let Some(name) = path.get(2) {
        args.insert("FunctionName".into(), name.to_string());
    }
    if operation == "UpdateFunctionConfiguration" {
        let json: Value = serde_json::from_slice(body).unwrap();
        for (member, value) in json.as_object().unwrap() {
            args.insert(member.clone(), value.as_str().unwrap().to_string());
        }
    }
    if operation == "PutFunctionConcurrency" {
        let json: Value = serde_json::from_slice(body).unwrap();
        args.insert("Reserved".into(), json["ReservedConcurrentExecutions"].to_string());
    }
}

impl Parsed {
    pub(super) fn lambda(&self, world: &mut World) -> HttpResponse {
        let ok = |v: Value| HttpResponse::new(200.try_into().unwrap(), SdkBody::from(v.to_string()));
        let describe = |name: &str, f: &Function| {
            let mut conf = json!({"FunctionName": name, "Role": f.role, "FunctionArn": format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"), "Description": f.description, "RevisionId": f.revision.0.to_string()});
            if let Some(group) = &f.log_group {
                conf["LoggingConfig"] = json!({"LogGroup": group});
            }
            conf
        };
        if self.operation == "ListFunctions" && self.args["Region"] != REGION {
            let there = world.elsewhere.iter().filter(|(region, ..)| *region == self.args["Region"]);
            let all: Vec<Value> = there.map(|(_, name, role)| json!({"FunctionName": name, "Role": role})).collect();
            return ok(json!({ "Functions": all }));
        }
        assert_eq!(self.args["Region"], REGION);
        if self.operation == "ListFunctions" {
            // One on a page, so that whoever does not follow the marker is found out. Published versions only to whoever asks for all.
            let all = self.args.get("FunctionVersion").is_some_and(|v| v == "ALL");
            let told = world.functions.iter().flat_map(|(n, f)| {
                let versions = f.surface.versions.keys().filter(move |v| all || *v == "$LATEST");
                versions.map(move |v| {
                    let mut conf = describe(n, f);
                    conf["Version"] = v.clone().into();
                    if let Some(role) = f.surface.roles.get(v) {
                        conf["Role"] = role.clone().into();
                    }
                    conf
                })
            });
            let told: Vec<Value> = told.collect();
            let at: usize = self.args.get("Marker").map_or(0, |m| m.parse().unwrap());
            let next = (at + 1 < told.len()).then(|| (at + 1).to_string());
            let page: Vec<Value> = told.into_iter().skip(at).take(1).collect();
            return ok(json!({"Functions": page, "NextMarker": next}));
        }
        if let Some(answer) = self.beside_functions(world) {
            return answer;
        }
        let name = &self.args["FunctionName"];
        let Some(f) = world.functions.get_mut(name) else {
            return self.error(404, "ResourceNotFoundException", "Function not found");
        };
        match self.operation.as_str() {
            "GetFunctionConfiguration" if !f.surface.knows(self.args.get("Qualifier").map_or("", String::as_str)) => {
                self.error(404, "ResourceNotFoundException", "Function not found")
            }
            "GetFunctionConfiguration" => {
                let mut conf = describe(name, f);
                if let Some(role) = self.args.get("Qualifier").and_then(|q| f.surface.roles.get(q)) {
                    conf["Role"] = role.clone().into();
                }
                ok(conf)
            }
            "UpdateFunctionConfiguration" => {
                if self.args.get("RevisionId").is_some_and(|r| *r != f.revision.0.to_string()) {
                    return self.error(412, "PreconditionFailedException", "The RevisionId provided does not match the latest RevisionId");
                }
                f.description = self.args["Description"].clone();
                f.revision.0 += 1;
                ok(describe(name, f))
            }
            "GetFunctionConcurrency" => ok(f.reserved.map_or(json!({}), |n| json!({"ReservedConcurrentExecutions": n}))),
            "PutFunctionConcurrency" => {
                f.reserved = Some(self.args["Reserved"].parse().unwrap());
                ok(json!({"ReservedConcurrentExecutions": f.reserved}))
            }
            "DeleteFunctionConcurrency" => {
                f.reserved = None;
                HttpResponse::new(204.try_into().unwrap(), SdkBody::empty())
            }
            _ => self.surface(f),
        }
    }
}
