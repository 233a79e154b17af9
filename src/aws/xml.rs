//! Reading the few members that a next question needs out of an XML answer. The answer itself is kept as it came; nothing is built from this.

use roxmltree::{Document, ParsingOptions};
use std::collections::BTreeMap;

/// Nodes that we are ready to look at: an API answer of 64 MiB cannot hold more that make sense.
const NODES: u32 = 2_000_000;

fn parse(bytes: &[u8]) -> Option<Document<'_>> {
    let text = std::str::from_utf8(bytes).ok()?;
    // No document type definitions: entities are how XML is made to explode.
    let options = ParsingOptions { allow_dtd: false, nodes_limit: NODES, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).ok()
}

/// The text of the first element called `name`, wherever it is.
pub fn first(bytes: &[u8], name: &str) -> Option<String> {
    parse(bytes)?.descendants().find(|n| n.tag_name().name() == name).and_then(|n| n.text()).map(|t| t.trim().to_string())
}

/// The texts of all elements called `name` whose parent is called `within`.
pub fn all_within(bytes: &[u8], within: &str, name: &str) -> Vec<String> {
    let Some(document) = parse(bytes) else { return vec![] };
    document
        .descendants()
        .filter(|n| n.tag_name().name() == name && n.parent().is_some_and(|p| p.tag_name().name() == within))
        .filter_map(|n| n.text().map(|t| t.trim().to_string()))
        .collect()
}

/// For each element called `name` in one called `within`: its children that hold a text, by name. Entries of a list that have several members.
pub fn records(bytes: &[u8], within: &str, name: &str) -> Vec<BTreeMap<String, String>> {
    let Some(document) = parse(bytes) else { return vec![] };
    let entries =
        document.descendants().filter(|n| n.tag_name().name() == name && n.parent().is_some_and(|p| p.tag_name().name() == within));
    entries
        .map(|e| {
            e.children()
                .filter_map(|c| Some((c.tag_name().name().to_string(), c.text()?.trim().to_string())))
                .filter(|(k, _)| !k.is_empty())
                .collect()
        })
        .collect()
}

/// For each element called `name`: its children that hold a text, by name, and those of everything that it lies in, the nearest first where two
/// have one name. An entry with its surroundings.
pub fn with_surroundings(bytes: &[u8], name: &str) -> Vec<BTreeMap<String, String>> {
    let Some(document) = parse(bytes) else { return vec![] };
    let entries = document.descendants().filter(|n| n.is_element() && n.tag_name().name() == name);
    entries
        .map(|entry| {
            let mut texts = BTreeMap::new();
            for child in entry.ancestors().flat_map(|a| a.children()).filter(roxmltree::Node::is_element) {
                if let Some(text) = child.text().map(str::trim).filter(|t| !t.is_empty()) {
                    texts.entry(child.tag_name().name().to_string()).or_insert_with(|| text.to_string());
                }
            }
            texts
        })
        .collect()
}

/// Whether this is XML that we are ready to read at all: an answer that is not is no answer.
pub fn readable(bytes: &[u8]) -> bool {
    parse(bytes).is_some()
}

/// How many elements called `name` have a parent called `within`: the entries of a list.
pub fn count_within(bytes: &[u8], within: &str, name: &str) -> usize {
    parse(bytes).map_or(0, |d| {
        d.descendants().filter(|n| n.tag_name().name() == name && n.parent().is_some_and(|p| p.tag_name().name() == within)).count()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_and_bombs_are_not_lit() {
        let answer = br#"<R xmlns="http://x"><subnetSet><item><subnetId>a</subnetId></item><item><subnetId> b </subnetId></item></subnetSet><nextToken>t</nextToken></R>"#;
        assert_eq!(all_within(answer, "item", "subnetId"), ["a", "b"]);
        assert_eq!(first(answer, "nextToken").as_deref(), Some("t"));
        assert_eq!(count_within(answer, "subnetSet", "item"), 2);
        assert_eq!(records(answer, "subnetSet", "item")[1]["subnetId"], "b");
        assert!(readable(answer) && !readable(b"<html><p>not closed</html>"));
        assert_eq!(first(b"<!DOCTYPE x [<!ENTITY a \"b\">]><x>&a;</x>", "x"), None);
        assert_eq!(first(b"\xff<x>", "x"), None);
    }
}
