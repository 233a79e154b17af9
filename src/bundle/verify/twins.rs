//! Redacted twins, looked into: whether a redaction stands wherever one is listed. One twin at a time is in memory, and of bounded size.

use super::facts::Facts;
use crate::bundle::secrets::{self, redaction_at};
use crate::bundle::source::BagSource;
use crate::model::redaction::Redaction;
use std::io::Read as _;

impl Facts {
    /// The twins, once it is known where redactions are to stand in them. They are read a second time, one after another.
    pub(super) fn twins(&mut self, source: &BagSource) {
        for redaction in &self.redactions {
            let path = &redaction.twin.path;
            let at = |at: String| (path.clone(), at);
            let Some(Some((_, bytes))) = self.files.get(path) else { continue }; // missing or unreadable: said elsewhere
            if *bytes > secrets::LARGEST * 2 {
                self.unredacted.extend([at("it is longer than any twin".into())]);
                continue;
            }
            let mut text = vec![];
            let read = source
                .stream(path)
                .map_err(|e| e.to_string())
                .and_then(|from| from.take(secrets::LARGEST * 2).read_to_end(&mut text).map_err(|e| e.to_string()));
            if read.is_ok() {
                self.unredacted.extend(first_unredacted(&text, redaction).map(at));
            }
        }
    }
}

/// Where a redaction is said to stand and does not.
fn first_unredacted(text: &[u8], redaction: &Redaction) -> Option<String> {
    if let Some(rule) = redaction.whole {
        let wanted = secrets::whole(rule, redaction.original.bytes, redaction.original.commit);
        return (text != wanted.as_bytes()).then(|| "the file, which is said to be sealed whole".into());
    }
    let whole: Option<serde_json::Value> = serde_json::from_slice(text).ok();
    let lines: Vec<&[u8]> = text.split(|b| *b == b'\n').collect();
    // Of a file of lines, the line that was parsed last: the fields are in the file's order.
    let mut last: (usize, serde_json::Value) = (0, serde_json::Value::Null);
    redaction.fields.iter().find_map(|field| {
        let stands = match field.at.split_once(':').and_then(|(n, at)| Some((n.parse::<usize>().ok()?, at))) {
            Some((n, at)) if !field.at.starts_with('/') => {
                if last.0 != n {
                    last = (n, lines.get(n.wrapping_sub(1)).and_then(|l| serde_json::from_slice(l).ok()).unwrap_or_default());
                }
                redaction_at(&last.1, at, field.rule)
            }
            _ => whole.as_ref().is_some_and(|value| redaction_at(value, &field.at, field.rule)),
        };
        (!stands).then(|| field.at.clone())
    })
}
