//! Who else uses the role: a deny on all of it stops them too, so it is refused unless somebody accepted that in words.
//!
//! Two sources: the functions of the Region (and of those that the step names) of which any version runs under the role, and whom its trust
//! policy admits besides Lambda. What cannot be read counts as others: not knowing who would be hit is no licence to hit them. Regions that no
//! step names do not count as others, but are told.

use super::policy_text::{admitted, is_dead_principal};
use super::role::Role;
use super::{ActCx, ActError};
use crate::aws::Aws;
use crate::aws::fault::tame;
use crate::model::call::{Call, Scope, Service};
use crate::model::params::{Param, ParamKind};
use crate::model::regions::Choice;
use aws_sdk_lambda::types::FunctionVersion;
use serde_json::{Value, json};
use std::collections::BTreeSet;

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

/// 50 versions a page: 100,000 of them. More, and the census counts as failed.
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

/// Of each role everybody but the target's function, in the order of the roles.
pub(super) async fn others(cx: &ActCx<'_>, roles: &[Role]) -> Vec<Users> {
    let mut all: Vec<Users> = roles.iter().map(by_trust).collect();
    let own = &cx.target().region;
    let asked = regions(cx);
    for region in &asked {
        let elsewhere = (region != own).then(|| cx.aws().in_region(region));
        match functions(cx, elsewhere.as_ref().unwrap_or(cx.aws()), roles).await {
            Ok(found) => {
                for (users, mut functions) in all.iter_mut().zip(found) {
                    if region == own {
                        functions.remove(&cx.target().function);
                        users.functions.extend(functions);
                    } else {
                        users.functions.extend(functions.into_iter().map(|n| format!("{region}:{n}")));
                    }
                }
            }
            Err(e) => all.iter_mut().for_each(|users| users.unknown.push(format!("{region}: {e}"))),
        }
    }
    all
}

/// Where functions are looked for, the function's own Region first.
fn regions(cx: &ActCx<'_>) -> Vec<String> {
    let own = &cx.target().region;
    let said = cx.params().text(REGIONS.name).as_deref().and_then(Choice::parse).unwrap_or(Choice::Own);
    let further = said.of(cx.target(), None).into_iter().filter(|r| r != own);
    std::iter::once(own.clone()).chain(further).collect()
}

/// Nobody else was found, so everybody on the role will be met: where nobody was looked for is told, because a role is the same in every Region.
/// Not knowing of other Regions is the common case and decides nothing; a step that wants it otherwise names them.
pub(super) fn tell_where(cx: &ActCx<'_>, role: &Role) {
    let asked = regions(cx);
    let places = if asked.len() > 4 { format!("{} Regions", asked.len()) } else { asked.join(", ") };
    cx.remark(format!(
        "nobody else was found on the role {}, looked for in {places} alone; functions elsewhere that run under it are stopped too (`{}: all`, or \
         names, looks there first)",
        tame(&role.name, 80),
        REGIONS.name
    ));
}

fn by_trust(role: &Role) -> Users {
    let mut users = Users::default();
    match role.trust.as_deref().and_then(admitted) {
        None => users.unknown.push("its trust policy cannot be read".into()),
        Some(all) => users
            .admitted
            .extend(all.into_iter().filter(|who| !LAMBDA.contains(&who.as_str()) && *who != role.arn && !is_dead_principal(who))),
    }
    users
}

/// Of each role the functions of which any version runs under it: `$LATEST` alone would leave out those whose alias still points to a version of
/// before. DOUBT(perf): an account with tens of thousands of versions has hundreds of pages here, ahead of the deny; a step whose scope is said
/// (`function`, or `role` and accepted) takes no census.
async fn functions(cx: &ActCx<'_>, aws: &Aws, roles: &[Role]) -> Result<Vec<BTreeSet<String>>, ActError> {
    let mut users = vec![BTreeSet::new(); roles.len()];
    let mut marker: Option<String> = None;
    for _ in 0..CENSUS_PAGES {
        let call = aws.lambda().list_functions().function_version(FunctionVersion::All).set_marker(marker.clone()).send();
        let page = cx.call(&LIST_FUNCTIONS, "listing the functions of the Region", call).await?;
        for function in page.functions() {
            for (role, users) in roles.iter().zip(&mut users) {
                if function.role() == Some(role.arn.as_str()) {
                    users.extend(function.function_name().map(str::to_string));
                }
            }
        }
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

/// For an action that meets everybody on a role: of each role what was found, for the report; refused where others use it and nobody accepted
/// that.
pub(super) async fn must_be_alone(cx: &ActCx<'_>, roles: &[Role]) -> Vec<Result<Value, ActError>> {
    if cx.params().text(ACCEPT_NAME).as_deref() == Some("true") {
        return roles.iter().map(|_| Ok(json!({"accepted": true}))).collect();
    }
    let alone = |(role, users): (&Role, Users)| {
        if users.nobody() {
            tell_where(cx, role);
            return Ok(users.facts());
        }
        Err(ActError::Refused(format!(
            "this would stop everybody on the role {}, and it is used by {}. Only this function is stopped by quarantine-role with scope function; \
             to stop them all: --{ACCEPT_NAME}, or `with: {{ {ACCEPT_NAME}: true }}` in the playbook",
            tame(&role.name, 80),
            users.words()
        )))
    };
    roles.iter().zip(others(cx, roles).await).map(alone).collect()
}
