//! What the small AWS knows of IAM.

use super::{ACCOUNT, GONE, Parsed, World};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::body::SdkBody;

impl Parsed {
    pub(super) fn iam(&self, world: &mut World) -> HttpResponse {
        let op = self.operation.as_str();
        if op == "SimulateCustomPolicy" {
            return self.simulate();
        }
        let name = &self.args["RoleName"];
        let ok = |result: String| {
            let body = format!(
                "<{op}Response xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><{op}Result>{result}</{op}Result><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{op}Response>"
            );
            HttpResponse::new(200.try_into().unwrap(), SdkBody::from(body))
        };
        let absent = |what: &str| self.error(404, "NoSuchEntity", &format!("The {what} cannot be found."));
        let Some(role) = world.roles.get_mut(name) else { return absent(&format!("role with name {name}")) };
        // One on a page here too.
        let page = |all: Vec<String>| {
            let at: usize = self.args.get("Marker").map_or(0, |m| m.parse().unwrap());
            let more = at + 1 < all.len();
            let marker = if more { format!("<Marker>{}</Marker>", at + 1) } else { String::new() };
            (all.into_iter().skip(at).take(1).collect::<String>(), format!("<IsTruncated>{more}</IsTruncated>{marker}"))
        };
        match op {
            "GetRole" => ok(format!(
                "<Role><Path>{p}</Path><RoleName>{name}</RoleName><RoleId>{id}</RoleId><Arn>arn:aws:iam::{ACCOUNT}:role{p}{name}</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate><AssumeRolePolicyDocument>{trust}</AssumeRolePolicyDocument>{bound}</Role>",
                p = role.path,
                id = role.id,
                trust = percent_encoded(&role.trust),
                bound = role.boundary.as_ref().map_or(String::new(), |b| format!(
                    "<PermissionsBoundary><PermissionsBoundaryType>PermissionsBoundaryPolicy</PermissionsBoundaryType><PermissionsBoundaryArn>{b}</PermissionsBoundaryArn></PermissionsBoundary>"
                ))
            )),
            "UpdateAssumeRolePolicy" => {
                let text = &self.args["PolicyDocument"];
                // Identities that are gone are kept where they stand and taken from nobody.
                if text.contains(GONE) {
                    return self.error(400, "MalformedPolicyDocument", &format!("Invalid principal in policy: \"AWS\":\"{GONE}\""));
                }
                role.trust = text.clone();
                ok(String::new())
            }
            "PutRolePermissionsBoundary" => {
                role.boundary = Some(self.args["PermissionsBoundary"].clone());
                ok(String::new())
            }
            "DeleteRolePermissionsBoundary" => match role.boundary.take() {
                Some(_) => ok(String::new()),
                None => absent("permissions boundary"),
            },
            "GetRolePolicy" => match role.inline.get(&self.args["PolicyName"]) {
                Some(text) => ok(format!(
                    "<RoleName>{name}</RoleName><PolicyName>{}</PolicyName><PolicyDocument>{}</PolicyDocument>",
                    self.args["PolicyName"],
                    percent_encoded(text)
                )),
                None => absent("role policy with that name"),
            },
            "PutRolePolicy" => {
                role.inline.insert(self.args["PolicyName"].clone(), self.args["PolicyDocument"].clone());
                ok(String::new())
            }
            "DeleteRolePolicy" => match role.inline.remove(&self.args["PolicyName"]) {
                Some(_) => ok(String::new()),
                None => absent("role policy with that name"),
            },
            "ListRolePolicies" => {
                let (members, end) = page(role.inline.keys().map(|n| format!("<member>{n}</member>")).collect());
                ok(format!("<PolicyNames>{members}</PolicyNames>{end}"))
            }
            "ListAttachedRolePolicies" => {
                let member = |a: &String| {
                    format!("<member><PolicyName>{}</PolicyName><PolicyArn>{a}</PolicyArn></member>", a.rsplit('/').next().unwrap())
                };
                let (members, end) = page(role.attached.iter().map(member).collect());
                ok(format!("<AttachedPolicies>{members}</AttachedPolicies>{end}"))
            }
            "AttachRolePolicy" => {
                role.attached.insert(self.args["PolicyArn"].clone());
                ok(String::new())
            }
            "DetachRolePolicy" => match role.attached.remove(&self.args["PolicyArn"]) {
                true => ok(String::new()),
                false => absent("policy"),
            },
            other => panic!("teach tests/it/support/cells.rs {other}"),
        }
    }
}

impl Parsed {
    /// Denied is what any `Deny` of the second document names, its conditions met when the context says so: enough for denies of our own form.
    fn simulate(&self) -> HttpResponse {
        let numbered = |prefix: &str| {
            let keys = (1..).map(move |n| format!("{prefix}.member.{n}"));
            keys.map_while(|k| self.args.get(&k)).cloned().collect::<Vec<String>>()
        };
        let document: serde_json::Value = serde_json::from_str(&self.args["PolicyInputList.member.2"]).unwrap();
        let userid = (1..)
            .map_while(|n| self.args.get(&format!("ContextEntries.member.{n}.ContextKeyName")).map(|k| (n, k)))
            .find(|(_, k)| *k == "aws:userid")
            .map(|(n, _)| self.args[&format!("ContextEntries.member.{n}.ContextKeyValues.member.1")].clone());
        let members: String = numbered("ActionNames")
            .iter()
            .map(|action| {
                let named = |s: &serde_json::Value, list: &str| s[list].as_array().is_some_and(|all| all.iter().any(|a| a == action.as_str()));
                let denied = document["Statement"].as_array().unwrap().iter().any(|s| {
                    let whom = &s["Condition"]["StringLike"]["aws:userid"];
                    (whom.is_null() && s["Condition"]["ArnLike"].is_null() || whom.as_str() == userid.as_deref() && userid.is_some())
                        && (s.get("NotAction").is_some() && !named(s, "NotAction") || named(s, "Action"))
                });
                let decision = if denied { "explicitDeny" } else { "allowed" };
                format!("<member><EvalActionName>{action}</EvalActionName><EvalResourceName>*</EvalResourceName><EvalDecision>{decision}</EvalDecision></member>")
            })
            .collect();
        let body = format!(
            "<SimulateCustomPolicyResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><SimulateCustomPolicyResult><IsTruncated>false</IsTruncated><EvaluationResults>{members}</EvaluationResults></SimulateCustomPolicyResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></SimulateCustomPolicyResponse>"
        );
        HttpResponse::new(200.try_into().unwrap(), SdkBody::from(body))
    }
}

/// RFC 3986, everything but the unreserved, as IAM does.
fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}
