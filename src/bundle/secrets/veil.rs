//! Secrets in JSON, found and replaced. The bytes around them stay as they are: a twin differs from its original in the redactions alone.
//!
//! The document is walked level by level over its raw text, so that nothing is written anew but what is replaced. Its depth is bounded, and no
//! object may name a member twice (two readers would read two documents): such a thing is no answer of AWS, and is sealed whole.

use super::commitment::CommitKey;
use super::rules::{EMBEDDED, ENVIRONMENT, SESSION_TOKEN, VARIABLES, is_presigned, may_hold_secret};
use crate::model::redaction::{Commitment, Field, Rule};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

/// AWS's own documents nest a dozen levels deep.
const DEEPEST: usize = 100;
/// A page of fifty versions, each with a hundred variables.
const MOST: usize = 5_000;

/// What came of looking into a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Veiled {
    /// No secret was found; the bytes may lie in clear.
    Clear,
    Twin {
        bytes: Vec<u8>,
        fields: Vec<Field>,
    },
    /// It is no JSON, nests too deep, or holds more secrets than anybody would list: what is in it cannot be told.
    Unreadable,
}

/// Look into `bytes`: one JSON document, or with `lines` one on each line.
pub fn veil(bytes: &[u8], lines: bool, key: &CommitKey) -> Veiled {
    let Ok(text) = std::str::from_utf8(bytes) else { return Veiled::Unreadable };
    let mut found = Found::default();
    let walked = if lines {
        let mut at = 0;
        text.split_inclusive('\n').enumerate().all(|(n, line)| {
            let start = at;
            at += line.len();
            line.trim().is_empty() || document(line, start, format!("{}:", n + 1), key, &mut found).is_some()
        })
    } else {
        text.trim().is_empty() || document(text, 0, String::new(), key, &mut found).is_some()
    };
    match walked {
        false => Veiled::Unreadable,
        true if found.fields.len() > MOST => Veiled::Unreadable,
        true if found.spans.is_empty() => Veiled::Clear,
        true => Veiled::Twin { bytes: replaced(text, &found.spans).into_bytes(), fields: found.fields },
    }
}

/// The twin of a file that is sealed whole.
pub fn whole(rule: Rule, bytes: u64, commit: Commitment) -> String {
    format!("{}\n", shown(rule, bytes, &commit))
}

/// Whether `value` is what stands in a twin where something was redacted by `rule`.
pub(super) fn is_redaction(value: &serde_json::Value, rule: Rule) -> bool {
    let text = |name: &str| value.get(name).and_then(serde_json::Value::as_str);
    value.get("redacted") == Some(&serde_json::Value::Bool(true))
        && text("rule") == Some(rule.as_str())
        && value.get("len").is_some_and(serde_json::Value::is_u64)
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
    let value: serde_json::Value = serde_json::from_slice(text).ok()?;
    let found = value_at(&value, outer)?;
    match inner {
        Some(inner) => redacted(found.as_str()?.as_bytes(), inner),
        None => Commitment::parse(found.get("commit")?.as_str()?),
    }
}

/// The value that `pointer` names, in which no `#` stands.
pub(super) fn value_at<'v>(value: &'v serde_json::Value, pointer: &str) -> Option<&'v serde_json::Value> {
    let names = if pointer.is_empty() { "" } else { pointer.strip_prefix('/')? };
    let steps = (!pointer.is_empty()).then(|| names.split('/')).into_iter().flatten();
    steps.map(|s| s.replace("~2", "#").replace("~1", "/").replace("~0", "~")).try_fold(value, |at, name| match at {
        serde_json::Value::Object(o) => o.get(&name),
        serde_json::Value::Array(a) => a.get(name.parse::<usize>().ok()?),
        _ => None,
    })
}

#[derive(Default)]
struct Found {
    /// What is replaced, by what, in the order of the text.
    spans: Vec<(Range<usize>, String)>,
    fields: Vec<Field>,
}

fn replaced(text: &str, spans: &[(Range<usize>, String)]) -> String {
    let mut out = String::with_capacity(text.len() + spans.len() * 64);
    let mut at = 0;
    for (span, by) in spans {
        out.push_str(&text[at..span.start]);
        out.push_str(by);
        at = span.end;
    }
    out.push_str(&text[at..]);
    out
}

/// Walk one document, `text`, that begins at `start` of the file. None where it is no JSON.
fn document(text: &str, start: usize, prefix: String, key: &CommitKey, found: &mut Found) -> Option<()> {
    let raw: &RawValue = serde_json::from_str(text).ok()?;
    Walk { text, start, key, found }.value(raw, &prefix, Inside::Anything, 0)
}

/// Where a value stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Anything,
    /// Directly in an object named `Environment`.
    Environment,
    /// Directly in `Environment.Variables`.
    Variables,
}

struct Walk<'w> {
    text: &'w str,
    start: usize,
    key: &'w CommitKey,
    found: &'w mut Found,
}

impl Walk<'_> {
    fn value(&mut self, raw: &RawValue, at: &str, inside: Inside, depth: usize) -> Option<()> {
        if depth > DEEPEST {
            return None;
        }
        match raw.get().as_bytes().first()? {
            b'{' => {
                let members: Members<'_> = serde_json::from_str(raw.get()).ok()?;
                let mut seen = HashSet::new();
                for (name, value) in &members.0 {
                    if !seen.insert(name) {
                        return None;
                    }
                    self.member(name, value, &format!("{at}/{}", escaped(name)), inside, depth)?;
                }
            }
            b'[' => {
                let all: Vec<&RawValue> = serde_json::from_str(raw.get()).ok()?;
                for (n, value) in all.into_iter().enumerate() {
                    self.value(value, &format!("{at}/{n}"), Inside::Anything, depth + 1)?;
                }
            }
            b'"' => {
                let text: Cow<'_, str> = string(raw)?;
                let opens = text.trim_start().as_bytes().first();
                if is_presigned(&text) && !matches!(opens, Some(b'{' | b'[')) {
                    self.redact(raw, at, Rule::Presigned, text.as_bytes());
                } else if matches!(opens, Some(b'{' | b'[')) && self.embedded(raw, at, depth).is_none() && may_hold_secret(text.as_bytes())
                {
                    // A JSON text that is none (AWS Config's states are, and CloudTrail's events).
                    self.redact(raw, at, Rule::Unreadable, text.as_bytes());
                }
            }
            _ => {}
        }
        Some(())
    }

    fn member(&mut self, name: &str, value: &RawValue, at: &str, inside: Inside, depth: usize) -> Option<()> {
        let is_string = value.get().starts_with('"');
        if inside == Inside::Variables {
            match is_string {
                true => self.redact(value, at, Rule::Environment, string(value)?.as_bytes()),
                false => self.redact(value, at, Rule::Environment, value.get().as_bytes()),
            }
            return Some(());
        }
        if is_string && name.eq_ignore_ascii_case(SESSION_TOKEN) {
            self.redact(value, at, Rule::SessionToken, string(value)?.as_bytes());
            return Some(());
        }
        if is_string && name == EMBEDDED {
            // What is no JSON there may hold anything, and with it the whole file.
            return self.embedded(value, at, depth);
        }
        let inside = match inside {
            Inside::Environment if name.eq_ignore_ascii_case(VARIABLES) => Inside::Variables,
            _ if name.eq_ignore_ascii_case(ENVIRONMENT) => Inside::Environment,
            _ => Inside::Anything,
        };
        self.value(value, at, inside, depth + 1)
    }

    /// A JSON text in a string. None where it is none.
    fn embedded(&mut self, value: &RawValue, at: &str, depth: usize) -> Option<()> {
        let text = string(value)?;
        let mut inner = Found::default();
        let raw: &RawValue = serde_json::from_str(&text).ok()?;
        Walk { text: &text, start: 0, key: self.key, found: &mut inner }.value(raw, &format!("{at}#"), Inside::Anything, depth + 1)?;
        if !inner.spans.is_empty() {
            let by = serde_json::to_string(&replaced(&text, &inner.spans)).ok()?;
            self.found.spans.push((self.span(value), by));
            self.found.fields.append(&mut inner.fields);
        }
        Some(())
    }

    fn redact(&mut self, raw: &RawValue, at: &str, rule: Rule, secret: &[u8]) {
        let by = shown(rule, secret.len() as u64, &self.key.of(secret));
        self.found.spans.push((self.span(raw), by));
        self.found.fields.push(Field { at: at.to_string(), rule });
    }

    /// Where in the file `raw`, which is a piece of `self.text`, stands.
    fn span(&self, raw: &RawValue) -> Range<usize> {
        let from = raw.get().as_ptr() as usize - self.text.as_ptr() as usize + self.start;
        from..from + raw.get().len()
    }
}

fn shown(rule: Rule, len: u64, commit: &Commitment) -> String {
    /// The members, in this order.
    #[derive(Serialize)]
    struct Shown<'s> {
        redacted: bool,
        rule: &'s str,
        len: u64,
        commit: String,
    }
    let shown = Shown { redacted: true, rule: rule.as_str(), len, commit: commit.to_string() };
    serde_json::to_string(&shown).expect("two strings, a number and a boolean are JSON")
}

fn string(raw: &RawValue) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Text<'t>(#[serde(borrow)] Cow<'t, str>);
    serde_json::from_str::<Text<'_>>(raw.get()).ok().map(|t| t.0)
}

/// RFC 6901, and `~2` for `#`, which is ours.
fn escaped(name: &str) -> Cow<'_, str> {
    if name.contains(['~', '/', '#']) { name.replace('~', "~0").replace('/', "~1").replace('#', "~2").into() } else { name.into() }
}

/// The members of an object, doubled names included, in their order.
struct Members<'m>(Vec<(Cow<'m, str>, &'m RawValue)>);

impl<'de: 'm, 'm> Deserialize<'de> for Members<'m> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                #[derive(Deserialize)]
                struct Name<'n>(#[serde(borrow)] Cow<'n, str>);
                let mut all = vec![];
                while let Some((Name(name), value)) = map.next_entry::<Name<'de>, &RawValue>()? {
                    all.push((name, value));
                }
                Ok(all)
            }
        }
        d.deserialize_map(Each).map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::super::twin::Texts;
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn key() -> CommitKey {
        CommitKey::parse(format!("{}\n", "07".repeat(32)).as_bytes()).unwrap()
    }
    fn twin(text: &str) -> (String, Vec<(String, Rule)>) {
        match veil(text.as_bytes(), false, &key()) {
            Veiled::Twin { bytes, fields } => {
                let value: Value = serde_json::from_slice(&bytes).unwrap();
                for f in &fields {
                    assert!(Texts::of(value.clone()).redacted(&f.at, f.rule), "{} of {value}", f.at);
                }
                (String::from_utf8(bytes).unwrap(), fields.into_iter().map(|f| (f.at, f.rule)).collect())
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn environment_values_go_and_everything_else_stays_to_the_byte() {
        let text = "{ \"FunctionName\" :\"f\",\n \"Environment\":{\"Variables\":{\"A\":\"s\\u0065cret\" , \"B\":\"\"}}}\n";
        let (said, fields) = twin(text);
        let at = |name: &str| (format!("/Environment/Variables/{name}"), Rule::Environment);
        assert_eq!(fields, [at("A"), at("B")]);
        let a = shown(Rule::Environment, 6, &key().of(b"secret"));
        let b = shown(Rule::Environment, 0, &key().of(b""));
        assert_eq!(said, format!("{{ \"FunctionName\" :\"f\",\n \"Environment\":{{\"Variables\":{{\"A\":{a} , \"B\":{b}}}}}}}\n"));
    }

    #[test]
    fn tokens_in_an_event_in_a_string_go_and_the_access_key_stays() {
        let inner =
            json!({"eventName": "AssumeRole", "responseElements": {"credentials": {"accessKeyId": "ASIA1", "sessionToken": "FwoG \"x\""}}});
        let text = json!({"Events": [{"EventId": "1"}, {"CloudTrailEvent": inner.to_string()}]}).to_string();
        let (said, fields) = twin(&text);
        assert_eq!(fields, [("/Events/1/CloudTrailEvent#/responseElements/credentials/sessionToken".to_string(), Rule::SessionToken)]);
        assert!(!said.contains("FwoG"), "{said}");
        assert!(said.contains("ASIA1"), "{said}");
    }

    #[test]
    fn a_json_text_in_any_string_is_looked_into_and_one_that_is_torn_is_redacted_if_in_doubt() {
        let state = json!({"environment": {"variables": {"DB": "hunter2"}}}).to_string();
        let torn = &state[..state.len() - 4];
        let policy = json!({"Version": "2012-10-17"}).to_string();
        let (said, fields) =
            twin(&json!({"configurationItems": [{"configuration": state}, {"configuration": torn}, {"policy": policy}]}).to_string());
        let at = |n: usize, rest: &str| format!("/configurationItems/{n}/configuration{rest}");
        assert_eq!(fields, [(at(0, "#/environment/variables/DB"), Rule::Environment), (at(1, ""), Rule::Unreadable)]);
        assert!(!said.contains("hunter2") && said.contains("2012-10-17"), "{said}");
    }

    #[test]
    fn presigned_addresses_go_wherever_they_stand() {
        let (said, fields) = twin(
            r#"{"Code":{"Location":"https://b.s3.amazonaws.com/k?versionId=1&x-amz-SIGNATURE=abc"},"L":["no","https://x/?X-Amz-Security-Token=t"]}"#,
        );
        assert_eq!(fields, [("/Code/Location".to_string(), Rule::Presigned), ("/L/1".to_string(), Rule::Presigned)]);
        assert!(!said.contains("abc") && !said.contains("Token=t"), "{said}");
    }

    #[test]
    fn what_holds_none_is_clear_and_what_cannot_be_read_is_said() {
        for clear in ["", " \n", "{}", "[1,2]", r#"{"Environment":{"Error":{"Message":"denied"}},"environment":{"variables":"HIDDEN"}}"#] {
            assert_eq!(veil(clear.as_bytes(), false, &key()), Veiled::Clear, "{clear}");
        }
        let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
        for torn in
            [r#"{"Environment":{"Variables":{"A":"se"#, "{} {}", "\u{0}", r#"{"a":1,"\u0061":2}"#, &deep, r#"{"CloudTrailEvent":"{torn"}"#]
        {
            assert_eq!(veil(torn.as_bytes(), false, &key()), Veiled::Unreadable, "{torn}");
        }
        assert_eq!(veil(b"\"\xff\"", false, &key()), Veiled::Unreadable);
    }

    #[test]
    fn lines_are_numbered() {
        let text = "{\"a\":1}\n\n{\"sessionToken\":\"t\"}\n";
        let Veiled::Twin { bytes, fields } = veil(text.as_bytes(), true, &key()) else { panic!() };
        assert_eq!(fields, [Field { at: "3:/sessionToken".into(), rule: Rule::SessionToken }]);
        assert!(bytes.starts_with(b"{\"a\":1}\n\n{\"sessionToken\":{\"redacted\":true,"));
    }

    proptest! {
        /// However a document is built around it, a variable's value is not in the twin, and the twin is JSON of the same shape.
        #[test]
        fn no_value_survives(names in proptest::collection::vec("[A-Za-z_~/#]{0,6}", 0..5), secret in "[a-z]{12}", pad in "[ \n\t]{0,3}") {
            let mut value = json!({"Environment": {"Variables": {"X": secret}}});
            for name in names {
                value = json!({ name: [value], "!": 1 });
            }
            let text = format!("{pad}{value}{pad}");
            let (said, fields) = twin(&text);
            prop_assert_eq!(fields.len(), 1);
            prop_assert!(!said.contains(&secret));
        }

        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}\",:a-zA-Z\\\\ ]{0,80}") {
            let _ = veil(&bytes, false, &key());
            let _ = veil(text.as_bytes(), true, &key());
        }
    }
}
