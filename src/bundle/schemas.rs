//! The JSON Schemas of our documents, generated from the types. `evidence-schema/` holds the committed result, and a test compares the two.
//!
//! Every schema is closed: a member that it does not name is an error. A document that gains a member gains a version.

use super::documents::{Coverage, Statement};
use super::dsse::Envelope;
use super::signer::SealingRecord;
use super::verify::Verification;
use crate::model::exchange::Exchange;
use crate::model::invocation::Invocation;
use crate::model::item::Item;
use crate::model::journal_event::JournalLine;
use crate::model::redaction::Redaction;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Form → version, for the documents inside a bundle: what its statement lists under `schemas`.
pub fn versions() -> BTreeMap<String, u32> {
    ["coverage", "exchange", "item", "journal", "redaction", "statement"].into_iter().map(|name| (name.to_string(), 1)).collect()
}

/// File name in `evidence-schema/` and its content.
pub fn all() -> Vec<(&'static str, String)> {
    vec![
        schema::<Item>("item.schema.json", "One line of meta/items.jsonl"),
        schema::<JournalLine>("journal-line.schema.json", "One line of meta/journal/NNNNNN.jsonl"),
        schema::<Redaction>("redaction.schema.json", "One line of meta/redactions.jsonl"),
        schema::<Coverage>("coverage.schema.json", "meta/coverage.json"),
        schema::<Statement>("statement.schema.json", "seal/statement.json"),
        schema::<Envelope>("envelope.schema.json", "seal/statement.dsse.json"),
        schema::<SealingRecord>("sealing.schema.json", "seal/sealing.json"),
        schema::<Exchange>("exchange.schema.json", "data/NN-group/NNNNNN-Operation.http.json"),
        schema::<Invocation>("invocation.schema.json", "One line of data/60-invocation/invocations.jsonl"),
        schema::<Verification>("verification.schema.json", "What `freezeframe verify --json` prints"),
    ]
}

/// The closed schema of `T` as it is written, with an address that no server answers for: a validator needs no network.
pub fn schema<T: JsonSchema>(file: &'static str, what: &str) -> (&'static str, String) {
    let generated: Schema = SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>();
    let mut value = generated.to_value();
    close(&mut value);
    if let Some(root) = value.as_object_mut() {
        root.insert("$id".into(), json!(format!("urn:freezeframe:schema:{}:v1", file.trim_end_matches(".schema.json"))));
        root.insert("title".into(), json!(what));
        // The type's own rules are in its parser; this is as much of them as a pattern can say.
        if let Some(path) = root.get_mut("$defs").and_then(|d| d.get_mut("BundlePath")) {
            *path = json!({
                "type": "string", "maxLength": 480, "pattern": "^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$",
                "description": "A relative path of plain segments, which means the same on every file system, in a zip and in a manifest",
            });
        }
    }
    let sorted = sorted(value);
    (file, format!("{sorted:#}\n"))
}

/// Forbid members that are not named. Where alternatives stand beside an object's own members (a flattened enum), only the whole of it can be
/// closed, so the alternatives are left open and the object gets `unevaluatedProperties`.
fn close(schema: &mut Value) {
    match schema {
        Value::Array(all) => all.iter_mut().for_each(close),
        Value::Object(object) => {
            let combined = ["oneOf", "anyOf", "allOf"].into_iter().any(|k| object.contains_key(k));
            let named = object.get("properties").is_some_and(Value::is_object);
            if named && combined {
                object.insert("unevaluatedProperties".into(), json!(false));
            } else if named && !object.contains_key("additionalProperties") {
                object.insert("additionalProperties".into(), json!(false));
            }
            for (key, inner) in object.iter_mut() {
                match (key.as_str(), inner) {
                    ("properties" | "$defs", Value::Object(members)) => members.values_mut().for_each(close),
                    ("oneOf" | "anyOf" | "allOf", inner) if !named => close(inner),
                    ("items" | "prefixItems" | "additionalProperties", inner) => close(inner),
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

/// Members in the order of their names, so that the text depends on nothing else.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(object) => {
            let by_name: BTreeMap<String, Value> = object.into_iter().map(|(k, v)| (k, sorted(v))).collect();
            Value::Object(by_name.into_iter().collect::<Map<_, _>>())
        }
        Value::Array(all) => Value::Array(all.into_iter().map(sorted).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::all;
    use serde_json::Value;

    /// Counts the objects that name their members and forbid no others, where nothing around them does.
    fn open_objects(schema: &Value, closed_around: bool) -> usize {
        match schema {
            Value::Object(o) => {
                let named = o.get("properties").is_some_and(Value::is_object);
                let closed = o.get("additionalProperties").is_some() || o.get("unevaluatedProperties") == Some(&Value::Bool(false));
                let alternatives = ["oneOf", "anyOf", "allOf"];
                let inner = o.iter().map(|(k, v)| match (k.as_str(), v) {
                    ("properties" | "$defs", Value::Object(m)) => m.values().map(|v| open_objects(v, false)).sum(),
                    (k, v) if alternatives.contains(&k) => open_objects(v, closed && named),
                    (_, v) => open_objects(v, false),
                });
                usize::from(named && !closed && !closed_around) + inner.sum::<usize>()
            }
            Value::Array(a) => a.iter().map(|v| open_objects(v, closed_around)).sum(),
            _ => 0,
        }
    }

    #[test]
    fn every_schema_is_closed() {
        for (name, text) in all() {
            assert_eq!(open_objects(&serde_json::from_str(&text).unwrap(), false), 0, "{name}");
        }
        assert_eq!(open_objects(&serde_json::json!({"$defs": {"X": {"properties": {"a": {}}}}}), false), 1);
    }
}
