//! The JSON Schemas of our documents, generated from the types. `evidence-schema/` holds the committed result, and a test compares the two.
//!
//! Every schema is closed: a member that it does not name is an error. A document that gains a member gains a version.

use super::documents::{Coverage, Statement};
use super::verify::Verification;
use crate::model::exchange::Exchange;
use crate::model::item::Item;
use crate::model::journal_event::JournalLine;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Form → version, for the documents inside a bundle: what its statement lists under `schemas`.
pub fn versions() -> BTreeMap<String, u32> {
    ["coverage", "exchange", "item", "journal", "statement"].into_iter().map(|name| (name.to_string(), 1)).collect()
}

/// File name in `evidence-schema/` and its content.
pub fn all() -> Vec<(&'static str, String)> {
    vec![
        schema::<Item>("item.schema.json", "One line of meta/items.jsonl"),
        schema::<JournalLine>("journal-line.schema.json", "One line of meta/journal/NNNNNN.jsonl"),
        schema::<Coverage>("coverage.schema.json", "meta/coverage.json"),
        schema::<Statement>("statement.schema.json", "seal/statement.json"),
        schema::<Exchange>("exchange.schema.json", "data/NN-group/NNNNNN-Operation.http.json"),
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
