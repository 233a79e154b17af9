//! YAML as a tree of values that know where they stand. Everything after this speaks of lines and columns. Playbooks are read through it, and
//! the guard policy (`plan::guard`); `noun` is what the file is called in complaints.
//!
//! A playbook is a stranger's file until it has been read: its size, depth and number of nodes are bounded, and what could make a small
//! file large (anchors, aliases, merge keys) is refused, because no playbook needs it.

use super::problem::Pos;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::{Error, Location, Spanned};
use std::fmt;

/// No playbook comes near it; the largest shipped one has 3 KiB.
pub const MAX_BYTES: u64 = 256 << 10;
const MAX_DEPTH: usize = 16;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub at: Pos,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Key {
    pub at: Pos,
    pub name: String,
}

impl Kind {
    /// What stands there, in the words of somebody who does not know YAML's.
    pub fn what(&self) -> &'static str {
        match self {
            Kind::Null => "nothing",
            Kind::Bool(_) => "true or false",
            Kind::Number(_) => "a number",
            Kind::Text(_) => "a text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a block of `name: value` lines",
        }
    }
}

/// The text as a tree, or where it stops being YAML and why.
pub(crate) fn tree(noun: &str, text: &str) -> Result<Node, (Pos, String)> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_documents: 1,
            max_nodes: 20_000,
            max_anchors: 0,
            max_aliases: 0,
        },
        merge_keys: serde_saphyr::options::MergeKeyPolicy::Error,
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::Error,
        // `scope: on` would otherwise be a boolean.
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options::<Node>(text, options).map_err(|e| (e.location().map_or(Pos::START, pos), words(noun, &e)))
}

fn pos(at: Location) -> Pos {
    let n = |v: u64| usize::try_from(v).unwrap_or(usize::MAX).max(1);
    Pos { line: n(at.line()), column: n(at.column()) }
}

fn words(noun: &str, error: &Error) -> String {
    match error.without_snippet() {
        Error::Budget { breach, .. } => match breach {
            BudgetBreach::Aliases { .. } | BudgetBreach::Anchors { .. } => {
                format!("a {noun} has no anchors (`&`) and no aliases (`*`)")
            }
            BudgetBreach::Documents { .. } => format!("a {noun} is one document; remove what follows `---`"),
            _ => format!("no {noun} is this deep or this large"),
        },
        Error::MergeKeyNotAllowed { .. } => format!("a {noun} has no merge keys (`<<`)"),
        Error::MultipleDocuments { .. } => format!("a {noun} is one document; remove what follows `---`"),
        Error::DuplicateMappingKey { key, .. } => match key {
            Some(key) => format!("`{key}` is given twice"),
            None => "a field is given twice".to_string(),
        },
        other => {
            // The parser appends the place to its sentence; we have it already.
            let text = other.to_string();
            let text = text.split(" at line ").next().unwrap_or(&text);
            format!("this is not YAML: {text}")
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let Spanned { value, referenced, .. } = Spanned::<Kind>::deserialize(d)?;
        Ok(Node { at: pos(referenced), kind: value })
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(KindVisitor)
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }
    fn visit_none<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }
    fn visit_some<D: Deserializer<'de>>(self, d: D) -> Result<Kind, D::Error> {
        Kind::deserialize(d)
    }
    fn visit_bool<E>(self, v: bool) -> Result<Kind, E> {
        Ok(Kind::Bool(v))
    }
    fn visit_i64<E>(self, v: i64) -> Result<Kind, E> {
        Ok(Kind::Number(v.into()))
    }
    fn visit_u64<E>(self, v: u64) -> Result<Kind, E> {
        Ok(Kind::Number(v.into()))
    }
    fn visit_f64<E>(self, v: f64) -> Result<Kind, E> {
        Ok(Number::from_f64(v).map_or(Kind::Null, Kind::Number))
    }
    fn visit_str<E>(self, v: &str) -> Result<Kind, E> {
        Ok(Kind::Text(v.to_string()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Kind, A::Error> {
        let mut list = Vec::new();
        while let Some(node) = seq.next_element()? {
            list.push(node);
        }
        Ok(Kind::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Kind, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let key = Key { at: pos(key.referenced), name: key.value };
            entries.push((key, map.next_value()?));
        }
        Ok(Kind::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_know_where_they_stand() {
        let node = tree("playbook", "a: 1\nb:\n  - x: on\n  - 24h\nc:\n").unwrap();
        let Kind::Map(top) = node.kind else { panic!("{node:?}") };
        let places: Vec<_> = top.iter().map(|(k, v)| (k.name.as_str(), k.at.line, k.at.column, v.at.line)).collect();
        assert_eq!(places[..2], [("a", 1, 1, 1), ("b", 2, 1, 3)]);
        let Kind::List(list) = &top[1].1.kind else { panic!() };
        let Kind::Map(first) = &list[0].kind else { panic!() };
        assert_eq!((&first[0].1.kind, first[0].1.at), (&Kind::Text("on".into()), Pos { line: 3, column: 8 }));
        assert_eq!(top[2].1.kind, Kind::Null);
    }

    #[test]
    fn what_makes_small_files_large_is_refused() {
        let bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n";
        let deep = "[".repeat(40) + &"]".repeat(40);
        for text in [bomb, deep.as_str(), "a: 1\n---\nb: 2\n", "x: &y {a: 1}\nz:\n  <<: *y\n", "a: [1, 2\n", "a: 1\na: 2\n", "a: !evil x\n"]
        {
            let (at, why) = tree("playbook", text).unwrap_err();
            assert!(at.line >= 1 && !why.is_empty(), "{text}: {at:?} {why}");
        }
        let wide = "- x\n".repeat(40_000);
        assert!(tree("playbook", &wide).is_err());
    }
}
