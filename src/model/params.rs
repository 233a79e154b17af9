//! Parameters of a playbook step: what a unit takes, and what a step gave.

use super::regions::Choice;
use super::s3_place::S3Place;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// The bounds that an operator's words give to a window, as instants (RFC 3339). No playbook can set them: it outlives every instant.
pub const SINCE: &str = "since";
pub const UNTIL: &str = "until";
/// The parameter that every collector with a window calls it by: how far back to look.
pub const WINDOW: &str = "window";

/// The kind of value that a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamKind {
    /// `own`, `home`, `all`, or names of Regions ([`Choice`]).
    Regions,
    /// `none`, or `s3://bucket/prefix` ([`S3Place`]).
    S3Place,
    /// `90s`, `15m`, `24h`, `7d`.
    Duration,
    /// `500000`, `64KiB`, `16MiB`, `2GiB`.
    Bytes,
    Count,
    /// `none`, or an ARN of this service.
    ArnOf(&'static str),
    /// `none`, or the name of a thing of Lambda's: an alias, a version, a function (letters, digits, `-`, `_`, `$`).
    Name,
    /// `none`, or a `CodeSha256` as Lambda states it: 32 bytes in base64.
    CodeSha256,
    /// One of these words.
    Word(&'static [&'static str]),
}

/// A parameter that a playbook step may set under `with:`.
#[derive(Clone, Copy, Debug)]
pub struct Param {
    pub name: &'static str,
    pub kind: ParamKind,
    pub default: &'static str,
    pub doc: &'static str,
}

impl ParamKind {
    /// What is wrong with `value`, in words; `None` when nothing is.
    pub fn objection(self, value: &Value) -> Option<String> {
        let text = plain(value);
        let ok = match self {
            ParamKind::Regions => text.as_deref().is_some_and(|t| Choice::parse(t).is_some()),
            ParamKind::S3Place => text.as_deref().is_some_and(|t| S3Place::parse_or_none(t).is_some()),
            ParamKind::Duration => text.as_deref().and_then(parse_duration).is_some(),
            ParamKind::Bytes => text.as_deref().and_then(parse_bytes).is_some(),
            ParamKind::Count => text.as_deref().is_some_and(|t| t.parse::<u64>().is_ok()),
            ParamKind::ArnOf(service) => text.as_deref().is_some_and(|t| t == NONE || is_arn_of(t, service)),
            ParamKind::Name => text.as_deref().is_some_and(is_name),
            ParamKind::CodeSha256 => text.as_deref().is_some_and(|t| t == NONE || is_code_sha256(t)),
            ParamKind::Word(words) => text.as_deref().is_some_and(|t| words.contains(&t)),
        };
        (!ok).then(|| match self {
            ParamKind::Regions => "Regions are wanted: own, home, all, or names like eu-west-1,us-east-1".to_string(),
            ParamKind::S3Place => "a place in S3 is wanted, like s3://bucket/prefix, or none".to_string(),
            ParamKind::Duration => "a duration is wanted, like 90s, 15m, 24h or 7d".to_string(),
            ParamKind::Bytes => "a size is wanted, like 500000, 64KiB, 16MiB or 2GiB".to_string(),
            ParamKind::Count => "a whole number is wanted".to_string(),
            ParamKind::ArnOf(service) => format!("an ARN of {service} is wanted, like arn:aws:{service}:eu-west-1:123456789012:…, or none"),
            ParamKind::Name => "a name is wanted: up to 128 letters, digits, `-`, `_`, or none".to_string(),
            ParamKind::CodeSha256 => "a CodeSha256 as Lambda states it is wanted (44 characters of base64), or none".to_string(),
            ParamKind::Word(words) => format!("one of these words is wanted: {}", words.join(", ")),
        })
    }
}

/// The word for a parameter that is not set.
pub const NONE: &str = "none";

/// An ARN of the service with nothing in it that could mean more than itself in a policy.
fn is_arn_of(text: &str, service: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let safe = |b: u8| b.is_ascii_alphanumeric() || b"-_./:+=,@#".contains(&b);
    parts.len() == 6
        && parts[0] == "arn"
        && !parts[1].is_empty()
        && parts[2] == service
        && !parts[5].is_empty()
        && text.len() <= 2_048
        && text.bytes().all(safe)
}

fn is_name(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_$".contains(&b))
}

fn is_code_sha256(text: &str) -> bool {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).is_ok_and(|bytes| bytes.len() == 32)
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(s) => Some(s.clone()),
        Value::Number(n) => Some(n.to_string()),
        Value::Bool(b) => Some(b.to_string()),
        _ => None,
    }
}

/// What a step gave under `with:`. Checked against the unit's parameters when the playbook is read, so that getters need not complain.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Params(pub BTreeMap<String, Value>);

impl Params {
    pub fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).and_then(plain)
    }
    pub fn duration(&self, name: &str) -> Option<Duration> {
        parse_duration(&self.text(name)?)
    }
    pub fn bytes(&self, name: &str) -> Option<u64> {
        parse_bytes(&self.text(name)?)
    }
    pub fn count(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }
    /// What a parameter says whose kind has a [`NONE`]; nothing when it says so.
    pub fn unless_none(&self, name: &str) -> Option<String> {
        self.text(name).filter(|t| t != NONE)
    }
    /// RFC 3339; for [`SINCE`] and [`UNTIL`] alone.
    pub fn instant(&self, name: &str) -> Option<DateTime<Utc>> {
        DateTime::parse_from_rfc3339(&self.text(name)?).ok().map(|t| t.with_timezone(&Utc))
    }
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

/// `90s`, `15m`, `24h`, `7d`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (n, unit) = number_and_unit(text)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    n.checked_mul(seconds).map(Duration::from_secs)
}

/// `500000`, `64KiB`, `16MiB`, `2GiB`.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let (n, unit) = number_and_unit(text)?;
    let shift = match unit {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return None,
    };
    n.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        assert_eq!(parse_duration("24h"), Some(Duration::from_secs(86_400)));
        assert_eq!(parse_bytes("64KiB"), Some(65_536));
        for bad in ["", "h", "1w", "-1s", "1 h", "99999999999999999999d", "18446744073709551615d"] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
        assert_eq!(parse_bytes("1KB"), None);
        assert!(ParamKind::Word(&["on", "off"]).objection(&Value::from("maybe")).unwrap().contains("on, off"));
        for (said, fine) in [("own", true), ("all", true), ("eu-west-1, us-east-1", true), ("", false), ("evil.example/", false)] {
            assert_eq!(ParamKind::Regions.objection(&Value::from(said)).is_none(), fine, "{said}");
        }
        assert!(ParamKind::Count.objection(&Value::from(3)).is_none());
        for (kind, good, bad) in [
            (ParamKind::ArnOf("sqs"), "arn:aws:sqs:eu-west-1:123456789012:q", "arn:aws:sqs:eu-west-1:123456789012:*"),
            (ParamKind::ArnOf("sqs"), "none", "arn:aws:sns:eu-west-1:123456789012:q"),
            (ParamKind::Name, "live-2", "a/b"),
            (ParamKind::CodeSha256, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "47DEQpj8"),
        ] {
            assert!(kind.objection(&Value::from(good)).is_none(), "{good}");
            assert!(kind.objection(&Value::from(bad)).is_some(), "{bad}");
        }
    }
}
