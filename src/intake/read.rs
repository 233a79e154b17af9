//! Reading from a stranger's JSON: by name, bounded, of a narrow alphabet, never failing loudly.

use serde_json::{Map, Value};

/// An event's members. An EventBridge envelope when it has `source` and `detail-type`; an invocation's payload otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    members: &'a Map<String, Value>,
}

impl<'a> Event<'a> {
    pub(super) fn of(value: &'a Value) -> Option<Self> {
        value.as_object().map(|members| Event { members })
    }
    pub fn members(&self) -> &'a Map<String, Value> {
        self.members
    }
    pub fn source(&self) -> Option<&'a str> {
        word(self.members.get("source"), 128)
    }
    pub fn detail_type(&self) -> Option<&'a str> {
        word(self.members.get("detail-type"), 256)
    }
    pub fn detail(&self) -> Option<&'a Map<String, Value>> {
        self.members.get("detail")?.as_object()
    }
    pub fn text(&self, name: &str, limit: usize) -> Option<&'a str> {
        word(self.members.get(name), limit)
    }
}

/// A text of at most `limit` printable ASCII characters. Everything that we take from an event (ids, types, ARNs, times) is such a text;
/// what is not is treated as missing, never repaired.
pub(super) fn word(value: Option<&Value>, limit: usize) -> Option<&str> {
    let text = value?.as_str()?;
    (!text.is_empty() && text.len() <= limit && text.bytes().all(|b| b == b' ' || b.is_ascii_graphic())).then_some(text)
}

/// `word` at the end of a path of members.
pub(super) fn at<'a>(from: &'a Map<String, Value>, path: &[&str], limit: usize) -> Option<&'a str> {
    word(value_at(from, path), limit)
}

pub(super) fn value_at<'a>(from: &'a Map<String, Value>, path: &[&str]) -> Option<&'a Value> {
    let (last, dirs) = path.split_last()?;
    let mut here = from;
    for dir in dirs {
        here = here.get(*dir)?.as_object()?;
    }
    here.get(*last)
}

/// An RFC 3339 time, as stated.
pub(super) fn time(text: Option<&str>) -> Option<String> {
    let text = text?;
    chrono::DateTime::parse_from_rfc3339(text).ok()?;
    Some(text.to_string())
}
