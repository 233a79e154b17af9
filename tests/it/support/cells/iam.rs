//! What the small AWS knows of IAM.

use super::{ACCOUNT, Parsed, World};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::body::SdkBody;

impl Parsed {
    pub(super) fn iam(&self, world: &mut World) -> HttpResponse {
        let op = self.operation.as_str();
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
                "<Role><Path>{p}</Path><RoleName>{name}</RoleName><RoleId>{id}</RoleId><Arn>arn:aws:iam::{ACCOUNT}:role{p}{name}</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate></Role>",
                p = role.path,
                id = role.id
            )),
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

/// RFC 3986, everything but the unreserved, as IAM does.
fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}
