//! A twin, looked into: whether a redaction stands wherever its line lists one, and what its commitment is.
//!
//! A stranger's line may list a hundred thousand places, in texts of millions of bytes. Therefore each text is parsed once, and not once for each
//! place: places are asked for in the order of lines, then of pointers, in which all those within one text come together. A place has one
//! name: were `/00` the place `/0`, the texts on the way there would be parsed for each of their names.

use super::veil::whole;
use crate::model::redaction::{Commitment, Field, Redaction, Rule};
use serde_json::Value;

/// A place where a redaction is said to stand and does not.
pub fn unredacted(twin: &[u8], redaction: &Redaction) -> Option<String> {
    if let Some(rule) = redaction.whole {
        let wanted = whole(rule, redaction.original.bytes, redaction.original.commit);
        return (twin != wanted.as_bytes()).then(|| "the file, which is said to be sealed whole".into());
    }
    missing(twin, &redaction.fields).map(|field| field.at.clone())
}

/// The same of a twin that is a document, and the fields that its line lists.
pub(super) fn missing<'f>(twin: &[u8], fields: &'f [Field]) -> Option<&'f Field> {
    let mut fields: Vec<(Option<usize>, &str, &Field)> = fields.iter().map(|f| (line(&f.at), pointer(&f.at), f)).collect();
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
    missing.map(|(.., field)| field)
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

/// Whether `value` is what stands in a twin where something was redacted by `rule`.
fn is_redaction(value: &Value, rule: Rule) -> bool {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    value.get("redacted") == Some(&Value::Bool(true))
        && text("rule") == Some(rule.as_str())
        && value.get("len").is_some_and(Value::is_u64)
        && text("commit").is_some_and(|c| Commitment::parse(c).is_some())
        && value.as_object().is_some_and(|o| o.keys().eq(["redacted", "rule", "len", "commit"]))
}

/// The commitment of the redaction that stands at `at` of a twin's text (`12:` in front: in that line).
pub fn redacted(twin: &[u8], at: &str) -> Option<Commitment> {
    let (text, pointer) = match at.split_once(':').filter(|_| !at.starts_with('/')) {
        Some((n, pointer)) => (twin.split(|b| *b == b'\n').nth(n.parse::<usize>().ok()?.checked_sub(1)?)?, pointer),
        None => (twin, at),
    };
    let (outer, inner) = pointer.split_once('#').map_or((pointer, None), |(outer, inner)| (outer, Some(inner)));
    let value: Value = serde_json::from_slice(text).ok()?;
    let found = value_at(&value, outer)?;
    match inner {
        Some(inner) => redacted(found.as_str()?.as_bytes(), inner),
        None => Commitment::parse(found.get("commit")?.as_str()?),
    }
}

/// The value that `pointer` names (RFC 6901, and `~2` for `#`), in which no `#` stands.
fn value_at<'v>(value: &'v Value, pointer: &str) -> Option<&'v Value> {
    let names = if pointer.is_empty() { "" } else { pointer.strip_prefix('/')? };
    let steps = (!pointer.is_empty()).then(|| names.split('/')).into_iter().flatten();
    steps.map(unescaped).try_fold(value, |at, name| match (at, name?) {
        (Value::Object(o), name) => o.get(&name),
        (Value::Array(a), name) => a.get(name.parse::<usize>().ok().filter(|n| n.to_string() == name)?),
        _ => None,
    })
}

/// The name that a step of a pointer means. None where `~` stands by itself: RFC 6901 (section 3) knows no such thing.
fn unescaped(step: &str) -> Option<String> {
    let alone = step.split('~').skip(1).any(|behind| !behind.starts_with(['0', '1', '2']));
    (!alone).then(|| step.replace("~2", "#").replace("~1", "/").replace("~0", "~"))
}

/// A JSON document, and the JSON texts that stand in it as strings and lead to what was asked for last.
struct Texts {
    /// What a pointer into it begins with (nothing, then `/a#`, then `/a#/b#`), and the text's value.
    open: Vec<(String, Value)>,
}

impl Texts {
    fn of(document: Value) -> Self {
        Texts { open: vec![(String::new(), document)] }
    }

    /// Whether a redaction by `rule` stands at `pointer`. Cheapest in the order of pointers.
    fn redacted(&mut self, pointer: &str, rule: Rule) -> bool {
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

    #[test]
    fn a_place_has_one_name() {
        let inner = json!(format!("[{}]", redaction())).to_string();
        let twin = format!(r#"{{"l":[{inner},{0}],"~x":{0},"~":{0},"a/b#c":{0}}}"#, redaction());
        let all = ["/l/0#/0", "/l/1", "/~0x", "/~0", "/a~1b~2c"].map(String::from);
        assert_eq!(unredacted(twin.as_bytes(), &line_of(all.clone())), None);
        for other in ["/l/01", "/l/+1", "/l/1 ", "/l/00#/0", "/l/0#/00", "/~x", "/~", "/~3", "/~0~", "/a~1b~2c/", "l/1"] {
            let line = line_of(all.iter().cloned().chain([other.to_string()]));
            assert_eq!(unredacted(twin.as_bytes(), &line).as_deref(), Some(other), "{other}");
            assert_eq!(redacted(twin.as_bytes(), other), None, "{other}");
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
