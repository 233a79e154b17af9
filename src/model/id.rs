//! Newtypes for everything that has a name, so that a case cannot be passed for a run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The text is not usable as an id; says which rule it broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a valid {what}: {rule}")]
pub struct IdError {
    what: &'static str,
    text: String,
    rule: &'static str,
}

/// The investigation's name as the responder knows it. It becomes a directory and an S3 prefix, hence the narrow alphabet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct CaseId(#[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"))] String);

impl CaseId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl FromStr for CaseId {
    type Err = IdError;
    fn from_str(s: &str) -> Result<Self, IdError> {
        let err = |rule| IdError { what: "case id", text: s.chars().take(80).flat_map(char::escape_default).collect(), rule };
        if s.is_empty() || s.len() > 64 {
            return Err(err("use 1 to 64 characters"));
        }
        if !s.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
            return Err(err("use letters, digits, `.`, `_` and `-` only"));
        }
        if !s.as_bytes()[0].is_ascii_alphanumeric() || s.ends_with('.') {
            return Err(err("begin with a letter or a digit, and do not end with a dot"));
        }
        // Beside the cases lies what spans them.
        if s.eq_ignore_ascii_case("control") {
            return Err(err("choose another: `control` is the folder of what spans cases"));
        }
        Ok(CaseId(s.to_string()))
    }
}
impl TryFrom<String> for CaseId {
    type Error = IdError;
    fn try_from(s: String) -> Result<Self, IdError> {
        s.parse()
    }
}
impl From<CaseId> for String {
    fn from(c: CaseId) -> String {
        c.0
    }
}
impl fmt::Display for CaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One execution of one plan: a ULID, so that runs sort by their start.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct RunId(pub String);

impl RunId {
    /// A fresh id for a run that starts `at_ms` (Unix milliseconds) with 80 random bits.
    pub fn new(at_ms: u64, random: u128) -> Self {
        RunId(ulid::Ulid::from_parts(at_ms, random).to_string())
    }
}
impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{:06}"), self.0)
            }
        }
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let t = String::deserialize(d)?;
                t.strip_prefix($prefix).and_then(|n| n.parse().ok()).map($name)
                    .ok_or_else(|| serde::de::Error::custom(concat!("not of the form ", $prefix, "000001")))
            }
        }
        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> { stringify!($name).into() }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "pattern": concat!("^", $prefix, "[0-9]{6,}$")})
            }
        }
    };
}
numbered!(
    /// The outcome of one question, numbered within its bundle.
    ItemId, "i"
);
numbered!(
    /// One HTTP attempt, numbered within its bundle.
    ExchangeId, "x"
);

/// One independently writable piece of remote state: `<action>/<key>`, for example `freeze-concurrency/payments-export`.
/// The key is whatever the action needs to find the cell again from the journal alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct CellId(pub String);

impl CellId {
    pub fn new(action: &str, key: &str) -> Self {
        CellId(format!("{action}/{key}"))
    }
    /// The part after the action's id.
    pub fn key(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, key)| key)
    }
    pub fn action(&self) -> &str {
        self.0.split_once('/').map_or(self.0.as_str(), |(action, _)| action)
    }
}
impl fmt::Display for CellId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_ids_cannot_leave_their_directory() {
        for good in ["IR-2026-0042", "a", "2026.11", "x_1"] {
            assert_eq!(good.parse::<CaseId>().unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", "a/b", "../x", "a\\b", "-rf", "a b", "é", "a.", &"x".repeat(65)] {
            assert!(bad.parse::<CaseId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn numbered_ids_round_trip() {
        let id = ExchangeId(12);
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"x000012\"");
        assert_eq!(serde_json::from_str::<ExchangeId>("\"x000012\"").unwrap(), id);
        assert!(serde_json::from_str::<ExchangeId>("\"i000012\"").is_err());
    }

    #[test]
    fn cells_keep_slashes_in_their_key() {
        let c = CellId::new("detach-permissions", "attached/arn:aws:iam::1:policy/a/b");
        assert_eq!((c.action(), c.key()), ("detach-permissions", "attached/arn:aws:iam::1:policy/a/b"));
    }
}
