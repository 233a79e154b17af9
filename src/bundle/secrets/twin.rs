//! A twin, looked into: whether a redaction stands wherever its line lists one.
//!
//! A stranger's line may list a hundred thousand places, in texts of millions of bytes. Therefore each text is parsed once, and not once for each
//! place: places are asked for in the order of lines, then of pointers, in which all those within one text come together.

use super::veil::{is_redaction, value_at, whole};
use crate::model::redaction::{Field, Redaction, Rule};
use serde_json::Value;

/// A place where a redaction is said to stand and does not.
pub fn unredacted(twin: &[u8], redaction: &Redaction) -> Option<String> {
    if let Some(rule) = redaction.whole {
        let wanted = whole(rule, redaction.original.bytes, redaction.original.commit);
        return (twin != wanted.as_bytes()).then(|| "the file, which is said to be sealed whole".into());
    }
    let mut fields: Vec<(Option<usize>, &str, &Field)> = redaction.fields.iter().map(|f| (line(&f.at), pointer(&f.at), f)).collect();
    fields.sort_unstable_by_key(|(line, pointer, _)| (*line, *pointer));
    let mut lines = (1..).zip(twin.split(|b| *b == b'\n'));
    let mut open: Option<(Option<usize>, Texts)> = None;
    let missing = fields.into_iter().find(|(line, pointer, field)| {
        if open.as_ref().is_none_or(|(opened, _)| opened != line) {
            let text = line.map_or(twin, |n| lines.find(|(i, _)| *i == n).map_or(&[], |(_, text)| text));
            open = Some((*line, Texts::of(serde_json::from_slice(text).unwrap_or_default())));
        }
        !open.as_mut().is_some_and(|(_, texts)| texts.redacted(pointer, field.rule))
    });
    missing.map(|(.., field)| field.at.clone())
}

/// Of a place in a file of lines, the number of its line, as it is written.
fn line(at: &str) -> Option<usize> {
    let (number, _) = at.split_once(':').filter(|_| !at.starts_with('/'))?;
    (!number.starts_with('0') && number.bytes().all(|b| b.is_ascii_digit())).then(|| number.parse().ok())?
}

fn pointer(at: &str) -> &str {
    match line(at) {
        Some(_) => at.split_once(':').map_or(at, |(_, pointer)| pointer),
        None => at,
    }
}

/// A JSON document, and the JSON texts that stand in it as strings and lead to what was asked for last.
pub struct Texts {
    /// What a pointer into it begins with (nothing, then `/a#`, then `/a#/b#`), and the text's value.
    open: Vec<(String, Value)>,
}

impl Texts {
    pub fn of(document: Value) -> Self {
        Texts { open: vec![(String::new(), document)] }
    }

    /// Whether a redaction by `rule` stands at `pointer`. Cheapest in the order of pointers.
    pub fn redacted(&mut self, pointer: &str, rule: Rule) -> bool {
        self.open.truncate(self.open.iter().take_while(|(begins, _)| pointer.starts_with(begins)).count());
        while let Some((begins, value)) = self.open.last() {
            let rest = &pointer[begins.len()..];
            let Some((outer, _)) = rest.split_once('#') else { return value_at(value, rest).is_some_and(|v| is_redaction(v, rule)) };
            let text = value_at(value, outer).and_then(Value::as_str);
            let Some(inner) = text.and_then(|t| serde_json::from_str(t).ok()) else { return false };
            self.open.push((format!("{begins}{outer}#"), inner));
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Sha256;
    use serde_json::json;
    use std::time::Instant;

    fn redaction() -> String {
        format!(r#"{{"redacted":true,"rule":"presigned","len":1,"commit":"hmac-sha256:{}"}}"#, "07".repeat(32))
    }
    fn line_of(places: impl IntoIterator<Item = String>) -> Redaction {
        let file = json!({"path": "data/x", "bytes": 1, "sha256": Sha256::ZERO});
        let fields: Vec<_> = places.into_iter().map(|at| json!({"at": at, "rule": "presigned"})).collect();
        let commit = format!("hmac-sha256:{}", "07".repeat(32));
        let value = json!({"twin": file, "sealed": file, "original": {"bytes": 1, "commit": commit}, "fields": fields});
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn places_are_found_in_whatever_order_they_are_listed() {
        let inner = json!(format!(r#"{{"b":{0},"c":{1}}}"#, redaction(), json!(format!(r#"[{}]"#, redaction())))).to_string();
        let twin = format!("{{\"a\":{inner},\"z\":{0}}}\n\n{{\"y\":{0}}}\n", redaction());
        let all = ["3:/y", "1:/a#/c#/0", "1:/z", "1:/a#/b"].map(String::from);
        assert_eq!(unredacted(twin.as_bytes(), &line_of(all.clone())), None);
        for missing in
            ["1:/a", "1:/a#/c", "1:/a#/b#/x", "1:/a#/c#/1", "2:/y", "4:/y", "9:/y", "0:/y", "03:/y", "+3:/y", "/y", "3:y", ":/y", ""]
        {
            let line = line_of(all.iter().cloned().chain([missing.to_string()]));
            assert_eq!(unredacted(twin.as_bytes(), &line).as_deref(), Some(missing), "{missing}");
        }
    }

    /// Parsed for each place, this takes hours.
    #[test]
    fn a_text_is_parsed_once_for_all_places_in_it() {
        const PLACES: usize = 20_000;
        let list = || (0..PLACES).map(|_| redaction()).collect::<Vec<_>>().join(",");
        let inner = json!(format!("[{}]", list())).to_string();
        let began = Instant::now();
        let within = format!("{{\"a\":{inner},\"b\":{inner}}}");
        let places = (0..PLACES).flat_map(|n| [format!("/a#/{n}"), format!("/b#/{n}")]);
        assert_eq!(unredacted(within.as_bytes(), &line_of(places)), None);
        let lines = format!("[{}]\n[{}]\n", list(), list());
        let places = (0..PLACES).flat_map(|n| [format!("1:/{n}"), format!("2:/{n}")]);
        assert_eq!(unredacted(lines.as_bytes(), &line_of(places)), None);
        assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
    }
}
