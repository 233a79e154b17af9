//! The world as a stranger reads it: everything that containment could touch, asked with plain clients that know nothing of our cells. Two
//! worlds are compared as text, so that "restored exactly" is not our own code's opinion of itself.

use super::incident::{SeedClients, names};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use std::collections::BTreeMap;
use std::fmt::Debug;

/// Question → the SDK's own rendering of the answer (which masks sensitive members), without request ids, revision ids and times of change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World(BTreeMap<String, String>);

fn answer<O: Debug, E: ProvideErrorMetadata, R>(result: Result<O, aws_smithy_runtime_api::client::result::SdkError<E, R>>) -> String {
    match result {
        Ok(output) => without_fleeting(&format!("{output:#?}")),
        Err(e) => format!("refused: {}", e.code().unwrap_or("no code")),
    }
}

/// What differs with every call, or with every update and can be set back by nobody: `_request_id: Some(\n "…",\n ),` and the like.
const FLEETING: [&str; 5] = ["_request_id:", "_extended_request_id:", "last_modified:", "last_modified_time:", "revision_id:"];

fn without_fleeting(text: &str) -> String {
    let mut out = String::new();
    let mut skipping = false;
    for line in text.lines() {
        let trimmed = line.trim_start();
        if FLEETING.iter().any(|f| trimmed.starts_with(f)) {
            skipping = line.ends_with('(');
            continue;
        }
        if skipping {
            skipping = !trimmed.starts_with(')');
            continue;
        }
        out.push_str(line);
        out.push('\n');
    }
    out
}

impl World {
    pub async fn read(clients: &SeedClients) -> World {
        let (lambda, iam) = (&clients.lambda, &clients.iam);
        let mut all = BTreeMap::new();
        for function in [names::FUNCTION, names::NEIGHBOUR] {
            let mut put = |what: &str, text| all.insert(format!("{function} {what}"), text);
            put("concurrency", answer(lambda.get_function_concurrency().function_name(function).send().await));
            put("configuration", answer(lambda.get_function_configuration().function_name(function).send().await));
            put("policy", answer(lambda.get_policy().function_name(function).send().await));
            put("aliases", answer(lambda.list_aliases().function_name(function).send().await));
            put("versions", answer(lambda.list_versions_by_function().function_name(function).send().await));
            put("mappings", answer(lambda.list_event_source_mappings().function_name(function).send().await));
            put("urls", answer(lambda.list_function_url_configs().function_name(function).send().await));
        }
        all.insert("alias policy".into(), answer(lambda.get_policy().function_name(names::FUNCTION).qualifier(names::ALIAS).send().await));
        all.insert("role".into(), answer(iam.get_role().role_name(names::ROLE).send().await));
        let inline = iam.list_role_policies().role_name(names::ROLE).send().await;
        for name in inline.as_ref().map(|l| l.policy_names().to_vec()).unwrap_or_default() {
            let policy = iam.get_role_policy().role_name(names::ROLE).policy_name(&name).send().await;
            all.insert(format!("inline policy {name}"), answer(policy));
        }
        all.insert("inline policies".into(), answer(inline));
        let attached = iam.list_attached_role_policies().role_name(names::ROLE).send().await;
        // IAM promises no order; the set is what is compared.
        let mut arns: Vec<String> =
            attached.map(|l| l.attached_policies().iter().filter_map(|p| p.policy_arn().map(str::to_string)).collect()).unwrap_or_default();
        arns.sort();
        all.insert("attached policies".into(), arns.join("\n"));
        World(all)
    }

    /// How many questions were asked.
    pub fn len(&self) -> usize {
        self.0.len()
    }
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every question that is answered differently, with both answers.
    pub fn differences(&self, other: &World) -> Vec<String> {
        let keys: std::collections::BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
        keys.into_iter()
            .filter(|k| self.0.get(*k) != other.0.get(*k))
            .map(|k| {
                format!(
                    "{k}:\n  before: {}\n  after:  {}",
                    self.0.get(k).map_or("–", |s| s.trim()),
                    other.0.get(k).map_or("–", |s| s.trim())
                )
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::without_fleeting;

    #[test]
    fn only_what_is_fleeting_is_dropped() {
        let text = "Out {\n    a: Some(\n        1,\n    ),\n    _request_id: Some(\n        \"x\",\n    ),\n    b: 2,\n}";
        assert_eq!(without_fleeting(text), "Out {\n    a: Some(\n        1,\n    ),\n    b: 2,\n}\n");
        assert_eq!(without_fleeting("a\n    _request_id: None,\nb"), "a\nb\n");
        let text =
            "Out {\n    revision_id: Some(\n        \"x\",\n    ),\n    last_modified: Some(\n        \"t\",\n    ),\n    timeout: 3,\n}";
        assert_eq!(without_fleeting(text), "Out {\n    timeout: 3,\n}\n");
    }
}
