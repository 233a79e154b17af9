//! Which of the declared calls answer in pages, by botocore's models (a name tells too little: `GetResources` pages, `ListTags` does not), and
//! an answer that says that there is another page. So a new collector is turned over page by page without a word from its author.

use crate::support::tools::{python_tools, repository};
use crate::support::wire::{Answer, World, key};
use freezeframe::collect::COLLECTORS;
use freezeframe::model::call::{Call, Service};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// How an answer names the next page: members by their names on the wire.
#[derive(Debug, Deserialize)]
pub struct Paging {
    tokens: Vec<String>,
    /// What says that there is more, beside the token.
    more: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Fact {
    Unknown { unknown: bool },
    Paged(Paging),
}

#[derive(Deserialize)]
struct Facts {
    botocore: String,
    facts: BTreeMap<String, Option<Fact>>,
}

static FACTS: LazyLock<Facts> = LazyLock::new(|| {
    let calls: Vec<(&str, &str)> = COLLECTORS
        .iter()
        .flat_map(|c| c.spec().calls)
        .filter(|c| c.service != Service::Https)
        .map(|c| (c.service.sdk_id(), c.operation))
        .collect();
    let mut command = Command::new(python_tools().join("python3"));
    command.arg(repository("tests/tools/botocore_facts.py")).arg("pages").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(json!(calls).to_string().as_bytes()).unwrap();
    serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap()
});

pub fn botocore() -> &'static str {
    &FACTS.botocore
}

/// How this call's answer pages; `None` where it comes at once.
pub fn paging(call: &Call) -> Option<&'static Paging> {
    if call.service == Service::Https {
        return None;
    }
    match FACTS.facts[&format!("{}.{}", call.service.sdk_id(), call.operation)].as_ref()? {
        Fact::Paged(paging) => Some(paging),
        Fact::Unknown { unknown } => panic!("botocore {} knows no {call} (unknown: {unknown})", FACTS.botocore),
    }
}

/// The healthy answer of a call that pages, with another page after it under `token`.
pub fn followed_by(call: &Call, token: &str) -> Answer {
    let paging = paging(call).unwrap_or_else(|| panic!("{call} has no pages"));
    let whole = World::healthy(&key(call)).text();
    // Of two tokens one name is enough to be recognised by.
    let tokens = || paging.tokens.iter().enumerate().map(|(n, name)| (name, if n == 0 { token } else { "v" }));
    if whole.trim_start().starts_with('<') {
        let mut text = whole;
        // Where the whole answer is one member (CloudFront), what names the next page is said below it.
        let last = |name: &String| name.rsplit('.').next().unwrap_or_default().to_string();
        for more in paging.more.iter().map(last) {
            text = text.replace(&format!("<{more}>false</{more}>"), &format!("<{more}>true</{more}>"));
        }
        let result = format!("</{}Result>", call.operation);
        let end = text.find(&result).or_else(|| text.rfind("</")).unwrap_or_else(|| panic!("{call}: its answer in the world ends nowhere"));
        let members: String =
            tokens().map(|(name, token)| (last(name), token)).map(|(name, token)| format!("<{name}>{token}</{name}>")).collect();
        text.insert_str(end, &members);
        return Answer::new(200, "text/xml", text);
    }
    let mut body: serde_json::Value = serde_json::from_str(&whole).unwrap_or_else(|e| panic!("{call}: {e}"));
    for more in &paging.more {
        body[more] = true.into();
    }
    for (name, token) in tokens() {
        body[name] = token.into();
    }
    // The group itself would end the reading of neighbours.
    if let Some(name) = body.pointer_mut("/logGroups/0/logGroupName") {
        *name = "/payments/export-neighbour".into();
    }
    Answer::json(&body)
}
