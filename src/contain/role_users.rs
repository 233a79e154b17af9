//! Who else uses the role: a deny on all of it stops them too, so it is refused unless somebody accepted that in words.
//!
//! Two sources: the functions of the Region (and of those that the step names) that run under the role, and whom its trust policy admits
//! besides Lambda. What cannot be read counts as others: not knowing who would be hit is no licence to hit them.

use super::policy_text::{admitted, is_dead_principal};
use super::role::Role;
use super::{ActCx, ActError};
use crate::aws::Aws;
use crate::aws::fault::tame;
use crate::model::call::{Call, Scope, Service};
use crate::model::params::{Param, ParamKind};
use crate::model::regions::Choice;
use serde_json::{Value, json};

pub(super) const LIST_FUNCTIONS: Call = Call::read(Service::Lambda, "ListFunctions", "lambda:ListFunctions", Scope::Any);

pub(super) const REGIONS: Param = Param {
    name: "regions",
    kind: ParamKind::Regions,
    default: "own",
    doc: "where other functions of the role are looked for: own, home, all (those that every account has), or names with commas between",
};

const ACCEPT_NAME: &str = "accept-shared-role";

pub(super) const ACCEPT: Param = Param {
    name: ACCEPT_NAME,
    kind: ParamKind::Word(&["false", "true"]),
    default: "false",
    doc: "whether everybody else who uses the role may be stopped too; without it a role that others use is refused",
};

/// 50 functions a page: 100,000 functions. More, and the census counts as failed.
const CENSUS_PAGES: u32 = 2_000;
/// So many are named; the rest is counted.
const NAMED: usize = 50;

/// Lambda itself, and its replicas at the edge, whose functions lie in the census of us-east-1.
const LAMBDA: [&str; 2] = ["lambda.amazonaws.com", "edgelambda.amazonaws.com"];

#[derive(Debug, Default)]
pub(super) struct Users {
    /// Other functions; those of another Region as `<region>:<name>`.
    functions: Vec<String>,
    /// Whom else the trust policy admits.
    admitted: Vec<String>,
    /// What could not be asked.
    unknown: Vec<String>,
}

impl Users {
    pub fn nobody(&self) -> bool {
        self.functions.is_empty() && self.admitted.is_empty() && self.unknown.is_empty()
    }

    pub fn facts(&self) -> Value {
        let list = |all: &[String]| all.iter().take(NAMED).map(|n| tame(n, 200)).collect::<Vec<_>>();
        json!({
            "functions": list(&self.functions),
            "functions_counted": self.functions.len(),
            "admitted": list(&self.admitted),
            "unknown": list(&self.unknown),
        })
    }

    fn words(&self) -> String {
        let mut parts = vec![];
        let mut say = |what: &str, all: &[String]| {
            if !all.is_empty() {
                let more = if all.len() > 5 { format!(" and {} more", all.len() - 5) } else { String::new() };
                let named: Vec<String> = all.iter().take(5).map(|n| tame(n, 120)).collect();
                parts.push(format!("{what} {}{more}", named.join(", ")));
            }
        };
        say(if self.functions.len() == 1 { "the function" } else { "the functions" }, &self.functions);
        say("whoever its trust policy admits:", &self.admitted);
        say("perhaps others, which could not be asked:", &self.unknown);
        parts.join("; ")
    }
}

/// Everybody but the target's function.
pub(super) async fn others(cx: &ActCx<'_>, role: &Role) -> Users {
    let mut users = Users::default();
    match role.trust.as_deref().and_then(admitted) {
        None => users.unknown.push("its trust policy cannot be read".into()),
        Some(all) => users
            .admitted
            .extend(all.into_iter().filter(|who| !LAMBDA.contains(&who.as_str()) && *who != role.arn && !is_dead_principal(who))),
    }
    let own = &cx.target().region;
    let said = cx.params().text(REGIONS.name).as_deref().and_then(Choice::parse).unwrap_or(Choice::Own);
    let mut regions = said.of(cx.target(), None);
    regions.retain(|r| r != own);
    for region in std::iter::once(own).chain(&regions) {
        let elsewhere = (region != own).then(|| cx.aws().in_region(region));
        match functions(cx, elsewhere.as_ref().unwrap_or(cx.aws()), role).await {
            Ok(all) if region == own => users.functions.extend(all.into_iter().filter(|n| *n != cx.target().function)),
            Ok(all) => users.functions.extend(all.into_iter().map(|n| format!("{region}:{n}"))),
            Err(e) => users.unknown.push(format!("{region}: {e}")),
        }
    }
    users
}

async fn functions(cx: &ActCx<'_>, aws: &Aws, role: &Role) -> Result<Vec<String>, ActError> {
    let mut users = vec![];
    let mut marker: Option<String> = None;
    for _ in 0..CENSUS_PAGES {
        let call = aws.lambda().list_functions().set_marker(marker.clone()).send();
        let page = cx.call(&LIST_FUNCTIONS, "listing the functions of the Region", call).await?;
        let using = page.functions().iter().filter(|f| f.role() == Some(role.arn.as_str()));
        users.extend(using.filter_map(|f| f.function_name()).map(str::to_string));
        match page.next_marker().filter(|m| !m.is_empty()) {
            None => return Ok(users),
            Some(next) if Some(next) == marker.as_deref() => {
                return Err(ActError::Refused("AWS repeated a page of the list of functions".into()));
            }
            Some(next) => marker = Some(next.to_string()),
        }
    }
    Err(ActError::Refused("the list of functions has no end".into()))
}

/// For an action that meets everybody on the role. What was found, for the report; refused where others use the role and nobody accepted it.
pub(super) async fn must_be_alone(cx: &ActCx<'_>, role: &Role) -> Result<Value, ActError> {
    if cx.params().text(ACCEPT_NAME).as_deref() == Some("true") {
        return Ok(json!({"accepted": true}));
    }
    let users = others(cx, role).await;
    if users.nobody() {
        return Ok(users.facts());
    }
    Err(ActError::Refused(format!(
        "this would stop everybody on the role {}, and it is used by {}. Only this function is stopped by quarantine-role with scope function; \
         to stop them all: --{ACCEPT_NAME}, or `with: {{ {ACCEPT_NAME}: true }}` in the playbook",
        tame(&role.name, 80),
        users.words()
    )))
}
