//! Reading strictly: every field known, every value of its kind, and all that is wrong told at once. What playbooks and the guard policy have
//! in common as files; what their fields mean is each reader's own.

use super::node::{Key, Kind, MAX_BYTES, Node, tree};
use super::problem::{Pos, Problems, choice, nearest, steers};

/// The fields of one block, taken out one after the other; what is left over is unknown.
pub(crate) struct Fields {
    /// `a playbook`, `a phase`, `a step`
    pub of: &'static str,
    pub at: Pos,
    left: Vec<(Key, Node)>,
}

impl Fields {
    pub fn take(&mut self, name: &str) -> Option<(Key, Node)> {
        let place = self.left.iter().position(|(key, _)| key.name == name)?;
        Some(self.left.remove(place))
    }
}

impl Problems<'_> {
    /// The whole text as a tree. `None` when it is too large, empty or no YAML; then that was said.
    pub fn root(&mut self) -> Option<Node> {
        let (noun, text) = (self.noun, self.text);
        if text.len() as u64 > MAX_BYTES {
            self.say(Pos::START, format!("a {noun} has at most {} KiB", MAX_BYTES >> 10));
            return None;
        }
        match tree(noun, text) {
            Ok(Node { at, kind: Kind::Null }) => {
                self.say(at, format!("the {noun} is empty"));
                None
            }
            Ok(root) => Some(root),
            Err((at, why)) => {
                self.say(at, why);
                None
            }
        }
    }

    pub fn fields(&mut self, of: &'static str, node: Node) -> Option<Fields> {
        match node.kind {
            Kind::Map(left) => Some(Fields { of, at: node.at, left }),
            other => {
                self.say(node.at, format!("{of} is a block of `name: value` lines, not {}", other.what()));
                None
            }
        }
    }

    pub fn list(&mut self, key: &Key, node: Node, example: &str) -> Option<Vec<Node>> {
        let what = node.kind.what();
        match node.kind {
            Kind::List(list) if !list.is_empty() => Some(list),
            Kind::Null | Kind::List(_) => {
                self.help(key.at, format!("`{}` is empty", key.name), format!("add `{example}` below it"));
                None
            }
            _ => {
                self.help(node.at, format!("`{}` is a list, not {what}", key.name), format!("begin each entry with a hyphen: `{example}`"));
                None
            }
        }
    }

    pub fn required_text(&mut self, fields: &mut Fields, name: &str, max: usize) -> Option<(Pos, String)> {
        match fields.take(name) {
            Some((key, node)) => {
                let at = node.at;
                self.text(&key, node, max).map(|text| (at, text))
            }
            None => {
                // A near miss among the fields is told as an unknown field with a suggestion; saying both would be noise.
                if !fields.left.iter().any(|(key, _)| nearest(&key.name, [name]).is_some()) {
                    self.say(fields.at, format!("{} without `{name}`", fields.of));
                }
                None
            }
        }
    }

    pub fn text(&mut self, key: &Key, node: Node, max: usize) -> Option<String> {
        let what = node.kind.what();
        match node.kind {
            Kind::Text(text) if text.trim().is_empty() => {
                self.say(node.at, format!("`{}` is empty", key.name));
                None
            }
            Kind::Text(text) if text.chars().count() > max => {
                self.say(node.at, format!("`{}` has at most {max} characters", key.name));
                None
            }
            Kind::Text(text) if text.chars().any(|c| steers(c) && c != '\n') => {
                self.say(node.at, format!("`{}` holds control characters", key.name));
                None
            }
            Kind::Text(text) => Some(text),
            _ => {
                self.say(node.at, format!("`{}` is a text, not {what}; put it in quotes if it looks like something else", key.name));
                None
            }
        }
    }

    pub fn reason(&mut self, key: &Key, node: Node, what: &str) -> Option<String> {
        if matches!(node.kind, Kind::Null | Kind::Bool(_)) || matches!(&node.kind, Kind::Text(t) if t.trim().is_empty()) {
            self.help(
                node.at,
                format!("`{}` says {what}, in words", key.name),
                "it goes into the journal, for whoever reads it afterwards",
            );
            return None;
        }
        self.text(key, node, 500).map(|text| text.trim().to_string())
    }

    pub fn nothing_left(&mut self, fields: Fields, known: &[&str]) {
        for (key, _) in fields.left {
            self.help(key.at, format!("{} has no field `{}`", fields.of, key.name), choice(&key.name, known));
        }
    }
}

/// Lower-case letters, digits and single hyphens.
pub(crate) fn kebab(name: &str) -> bool {
    !name.is_empty() && name.split('-').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
}
