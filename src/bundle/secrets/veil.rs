//! Secrets in JSON, found and replaced. The bytes around them stay as they are: a twin differs from its original in the redactions alone.
//!
//! The document is walked level by level over its raw text, so that nothing is written anew but what is replaced. Its depth is bounded, no
//! object may name a member twice (two readers would read two documents), no number may be beyond a double: such a thing is no answer of AWS, and
//! is sealed whole.
//!
//! What is found here others must find as well: before a twin is handed out, the check that `verify` makes is made on it (`twin.rs`). A document in
//! which it fails is sealed whole; otherwise whoever can put one string into an answer could make a bundle that is broken when it is read back.

use super::commitment::CommitKey;
use super::rules::{EMBEDDED, ENVIRONMENT, LARGEST, SESSION_TOKEN, VARIABLES, is_presigned, may_hold_secret};
use super::twin::missing;
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
/// How long the list of places may be: names that strangers chose stand in it, and a line of `meta/redactions.jsonl` that is longer than 4 MiB is
/// not read.
const LONGEST_LIST: usize = 2 << 20;
/// Names that serde_json gives a meaning to: what it takes for the object is another one than stands there.
const RESERVED: &str = "$serde_json::private::";

/// What came of looking into a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Veiled {
    /// No secret was found; the bytes may lie in clear.
    Clear,
    Twin {
        bytes: Vec<u8>,
        fields: Vec<Field>,
    },
    /// It is no JSON that everybody reads alike, nests too deep, or holds more secrets than anybody would list: what is in it cannot be told.
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
    if !walked {
        return Veiled::Unreadable;
    }
    if found.spans.is_empty() {
        return Veiled::Clear;
    }
    let twin = replaced(text, &found.spans).into_bytes();
    // A redaction has more quotes than the string that it stands for, and in a text within texts each of them is escaped over and over.
    if twin.len() as u64 > 2 * LARGEST || missing(&twin, &found.fields).is_some() {
        return Veiled::Unreadable;
    }
    Veiled::Twin { bytes: twin, fields: found.fields }
}

/// The twin of a file that is sealed whole.
pub fn whole(rule: Rule, bytes: u64, commit: Commitment) -> String {
    format!("{}\n", shown(rule, bytes, &commit))
}

#[derive(Default)]
struct Found {
    /// What is replaced, by what, in the order of the text.
    spans: Vec<(Range<usize>, String)>,
    fields: Vec<Field>,
    /// How long the list of the fields is, as JSON.
    listed: usize,
}

impl Found {
    /// None where that is more than a list may hold: no more is gathered then, for a name may be as long as the document.
    fn add(&mut self, span: Range<usize>, by: String, fields: Vec<Field>) -> Option<()> {
        self.listed += fields.iter().map(|f| serde_json::to_string(f).map_or(LONGEST_LIST, |line| line.len() + 1)).sum::<usize>();
        self.spans.push((span, by));
        self.fields.extend(fields);
        (self.fields.len() <= MOST && self.listed <= LONGEST_LIST).then_some(())
    }
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
                    if !seen.insert(name) || name.starts_with(RESERVED) {
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
                if is_presigned(text.as_bytes()) && !matches!(opens, Some(b'{' | b'[')) {
                    self.redact(raw, at, Rule::Presigned, text.as_bytes())?;
                } else if matches!(opens, Some(b'{' | b'[')) && self.embedded(raw, at, depth).is_none() && may_hold_secret(text.as_bytes())
                {
                    // A JSON text that is none (AWS Config's states are, and CloudTrail's events).
                    self.redact(raw, at, Rule::Unreadable, text.as_bytes())?;
                }
            }
            b'-' | b'0'..=b'9' if !is_number(raw.get()) => return None,
            _ => {}
        }
        Some(())
    }

    fn member(&mut self, name: &str, value: &RawValue, at: &str, inside: Inside, depth: usize) -> Option<()> {
        let is_string = value.get().starts_with('"');
        if inside == Inside::Variables {
            return match is_string {
                true => self.redact(value, at, Rule::Environment, string(value)?.as_bytes()),
                false => self.redact(value, at, Rule::Environment, value.get().as_bytes()),
            };
        }
        if is_string && name.eq_ignore_ascii_case(SESSION_TOKEN) {
            return self.redact(value, at, Rule::SessionToken, string(value)?.as_bytes());
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
            self.found.add(self.span(value), by, inner.fields)?;
        }
        Some(())
    }

    fn redact(&mut self, raw: &RawValue, at: &str, rule: Rule, secret: &[u8]) -> Option<()> {
        let by = shown(rule, secret.len() as u64, &self.key.of(secret));
        self.found.add(self.span(raw), by, vec![Field { at: at.to_string(), rule }])
    }

    /// Where in the file `raw`, which is a piece of `self.text`, stands.
    fn span(&self, raw: &RawValue) -> Range<usize> {
        let from = raw.get().as_ptr() as usize - self.text.as_ptr() as usize + self.start;
        from..from + raw.get().len()
    }
}

pub(super) fn shown(rule: Rule, len: u64, commit: &Commitment) -> String {
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

/// Whether a number is one for every reader: what a raw walk lets pass, `1e999` for one, makes a document unreadable to whoever wants its value.
fn is_number(text: &str) -> bool {
    serde_json::from_str::<serde_json::Number>(text).is_ok() && text.parse::<f64>().is_ok_and(f64::is_finite)
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
