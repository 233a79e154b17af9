//! The handler's configuration, from environment variables. The table is in the parent module's documentation.

use crate::archive::Accepted;
use crate::bundle::secrets::parse_recipient;
use crate::collect;
use crate::engine::secrets::Secrets;
use crate::model::kms_key::KmsKey;
use crate::model::lock::{LockMode, Span};
use crate::model::path::BundlePath;
use crate::model::web_address::WebAddress;
use crate::store::s3::Keep;
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

/// How far the handler may go by itself: a ladder, from the lowest rung.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Events are kept, and what would be done is said; nothing is done.
    Observe,
    /// Evidence is taken; a playbook that contains is refused.
    #[default]
    Snapshot,
    /// Evidence is taken; containment is refused for want of an approval, whatever the guard policy says, and a person carries it out.
    ContainWithApproval,
    /// What the guard policy lets through is contained.
    Contain,
}

impl Mode {
    pub const ALL: [Mode; 4] = [Mode::Observe, Mode::Snapshot, Mode::ContainWithApproval, Mode::Contain];
    pub const fn as_str(self) -> &'static str {
        match self {
            Mode::Observe => "observe",
            Mode::Snapshot => "snapshot",
            Mode::ContainWithApproval => "contain-with-approval",
            Mode::Contain => "contain",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What decides about an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub playbook: String,
    pub mode: Mode,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { playbook: "snapshot-only".into(), mode: Mode::default() }
    }
}

/// Where cases are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Dir(PathBuf),
    S3 { bucket: String, prefix: String },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub store: Place,
    pub store_region: Option<String>,
    /// How S3 keeps what is put there.
    pub keep: Keep,
    /// What of the bucket is accepted in words.
    pub accepted: Accepted,
    pub settings: Settings,
    /// The guard policy's file; without one, `guard.yaml` in the store.
    pub guard: Option<PathBuf>,
    /// Local key that signs bundles.
    pub sign_key: Option<PathBuf>,
    /// KMS key that signs bundles.
    pub kms_key: Option<KmsKey>,
    /// For whom secrets are sealed.
    pub secrets: Secrets,
    /// Timestamp authority.
    pub tsa: Option<WebAddress>,
    pub scratch: PathBuf,
    pub log: String,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    #[error("FREEZEFRAME_STORE is not set: s3://bucket/prefix, or a directory's path")]
    NoStore,
    #[error("{name}={value} is not understood: {wanted}")]
    Value { name: &'static str, value: String, wanted: &'static str },
    #[error("FREEZEFRAME_LOCK says who may shorten a retention, and FREEZEFRAME_RETAIN asks for none")]
    LockWithoutRetain,
    #[error("FREEZEFRAME_RETAIN, _LEGAL_HOLD, _SSE_KMS_KEY and _BUCKET_OWNER are about a bucket, and FREEZEFRAME_STORE is a directory")]
    KeepOnDisk,
    #[error("FREEZEFRAME_TSA is set, and no key is: a timestamp is over a signature (FREEZEFRAME_KMS_KEY, FREEZEFRAME_SIGN_KEY)")]
    NothingToStamp,
    #[error("{0} is no variable of freezeframe; it is set in vain, and perhaps another was meant")]
    Unknown(String),
}

const PREFIX: &str = "FREEZEFRAME_";

impl Config {
    pub fn from_env() -> Result<Config, ConfigError> {
        // What is no Unicode is shown with replacement characters, and then not understood.
        Config::from_vars(std::env::vars_os().map(|(k, v)| (k.to_string_lossy().into_owned(), v.to_string_lossy().into_owned())))
    }

    pub fn from_vars(vars: impl IntoIterator<Item = (String, String)>) -> Result<Config, ConfigError> {
        let mut store = None;
        let mut config = Config {
            store: Place::Dir(PathBuf::new()),
            store_region: None,
            keep: Keep::default(),
            accepted: Accepted::default(),
            settings: Settings::default(),
            guard: None,
            sign_key: None,
            kms_key: None,
            secrets: Secrets::default(),
            tsa: None,
            scratch: PathBuf::from("/tmp"),
            log: "info".into(),
        };
        let (mut retain, mut lock) = (None, None);
        for (name, value) in vars {
            let Some(which) = name.strip_prefix(PREFIX) else { continue };
            let bad = |name, wanted| ConfigError::Value { name, value: shown(&value), wanted };
            match which {
                "STORE" => {
                    store = Some(place(&value).ok_or_else(|| {
                        bad("FREEZEFRAME_STORE", "s3://bucket/prefix (letters, digits, `.`, `_`, `-` and `/`), or a directory's path")
                    })?)
                }
                "STORE_REGION" if word(&value) => config.store_region = Some(value),
                "STORE_REGION" => return Err(bad("FREEZEFRAME_STORE_REGION", "a Region like eu-west-1")),
                "RETAIN" => retain = Some(Span::parse(&value).ok_or_else(|| bad("FREEZEFRAME_RETAIN", "a span like 90d or 7y"))?),
                "LOCK" => lock = Some(LockMode::parse(&value).ok_or_else(|| bad("FREEZEFRAME_LOCK", "governance or compliance"))?),
                "LEGAL_HOLD" if ["on", "off"].contains(&value.as_str()) => config.keep.legal_hold = value == "on",
                "LEGAL_HOLD" => return Err(bad("FREEZEFRAME_LEGAL_HOLD", "on or off")),
                "SSE_KMS_KEY" if (1..=300).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_graphic()) => {
                    config.keep.kms_key = Some(value);
                }
                "SSE_KMS_KEY" => return Err(bad("FREEZEFRAME_SSE_KMS_KEY", "a key's ARN, id or alias")),
                "BUCKET_OWNER" if value.len() == 12 && value.bytes().all(|b| b.is_ascii_digit()) => config.keep.owner = Some(value),
                "BUCKET_OWNER" => return Err(bad("FREEZEFRAME_BUCKET_OWNER", "an account's twelve digits")),
                "ACCEPT" => {
                    for word in value.split(',') {
                        match word.trim() {
                            "unlocked-bucket" => config.accepted.unlocked_bucket = true,
                            "public-bucket" => config.accepted.public_bucket = true,
                            _ => return Err(bad("FREEZEFRAME_ACCEPT", "unlocked-bucket or public-bucket, or both with a comma between")),
                        }
                    }
                }
                "PLAYBOOK" if word(&value) => config.settings.playbook = value,
                "PLAYBOOK" => return Err(bad("FREEZEFRAME_PLAYBOOK", "the name of a shipped playbook")),
                "MODE" => {
                    let known = Mode::ALL.into_iter().find(|m| m.as_str() == value);
                    let wanted = "observe, snapshot, contain-with-approval or contain";
                    config.settings.mode = known.ok_or_else(|| bad("FREEZEFRAME_MODE", wanted))?;
                }
                "GUARD" if !value.is_empty() => config.guard = Some(value.into()),
                "GUARD" => return Err(bad("FREEZEFRAME_GUARD", "the path of a guard policy")),
                "SIGN_KEY" if !value.is_empty() => config.sign_key = Some(value.into()),
                "SIGN_KEY" => return Err(bad("FREEZEFRAME_SIGN_KEY", "the path of a P-256 key, PKCS#8 in PEM")),
                "RECIPIENTS" => {
                    let all: Result<Vec<_>, _> = value.split(',').map(parse_recipient).collect();
                    config.secrets.order.recipients =
                        all.map_err(|_| bad("FREEZEFRAME_RECIPIENTS", "recipients of age (age1…), separated by commas"))?;
                }
                "SECRETS_KEY" => {
                    let wanted = "the ARN of a key, like arn:aws:kms:eu-west-1:123456789012:key/…";
                    config.secrets.kms = Some(KmsKey::parse(&value).ok_or_else(|| bad("FREEZEFRAME_SECRETS_KEY", wanted))?);
                }
                "SEAL_WHOLE" => {
                    let known = |id: &&str| collect::find(id).is_some();
                    let all: Vec<&str> = value.split(',').map(str::trim).collect();
                    if !all.iter().all(known) {
                        return Err(bad("FREEZEFRAME_SEAL_WHOLE", "names of collectors, separated by commas"));
                    }
                    config.secrets.order.whole = all.into_iter().map(str::to_string).collect();
                }
                "KMS_KEY" => {
                    let wanted = "a key's ARN, like arn:aws:kms:eu-west-1:123456789012:key/…";
                    config.kms_key = Some(KmsKey::parse(&value).ok_or_else(|| bad("FREEZEFRAME_KMS_KEY", wanted))?);
                }
                "TSA" => {
                    let wanted = "an address like http://timestamp.example.com/tsr";
                    config.tsa = Some(WebAddress::parse(&value).ok_or_else(|| bad("FREEZEFRAME_TSA", wanted))?);
                }
                "SCRATCH" if !value.is_empty() => config.scratch = value.into(),
                "SCRATCH" => return Err(bad("FREEZEFRAME_SCRATCH", "a directory")),
                "LOG" if ["error", "warn", "info", "debug"].contains(&value.as_str()) => config.log = value,
                "LOG" => return Err(bad("FREEZEFRAME_LOG", "error, warn, info or debug")),
                _ => return Err(ConfigError::Unknown(shown(&name))),
            }
        }
        if config.tsa.is_some() && config.sign_key.is_none() && config.kms_key.is_none() {
            return Err(ConfigError::NothingToStamp);
        }
        config.store = store.ok_or(ConfigError::NoStore)?;
        if retain.is_none() && lock.is_some() {
            return Err(ConfigError::LockWithoutRetain);
        }
        config.keep.retain = retain.map(|span| (lock.unwrap_or(LockMode::Governance), span));
        if matches!(config.store, Place::Dir(_)) && config.keep != Keep::default() {
            return Err(ConfigError::KeepOnDisk);
        }
        Ok(config)
    }
}

fn shown(text: &str) -> String {
    text.chars().take(200).flat_map(char::escape_default).collect()
}

fn word(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn place(text: &str) -> Option<Place> {
    let Some(rest) = text.strip_prefix("s3://") else {
        // `S3://`, `s3:/` and other schemes are slips of the pen, no directories.
        return (!text.is_empty() && !text.contains(':')).then(|| Place::Dir(text.into()));
    };
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    let letters = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    let ok = (3..=63).contains(&bucket.len()) && bucket.bytes().all(letters) && (prefix.is_empty() || BundlePath::parse(prefix).is_ok());
    ok.then(|| Place::S3 { bucket: bucket.into(), prefix: prefix.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(vars: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_vars(vars.iter().map(|(k, v)| ((*k).to_string(), (*v).to_string())))
    }

    #[test]
    fn defaults_are_the_careful_ones() {
        let c = of(&[("FREEZEFRAME_STORE", "s3://vault/evidence/"), ("HOME", "/root")]).unwrap();
        assert_eq!(c.store, Place::S3 { bucket: "vault".into(), prefix: "evidence".into() });
        assert_eq!(c.settings, Settings { playbook: "snapshot-only".into(), mode: Mode::Snapshot });
        assert_eq!(c.guard, None);
        assert!(Mode::Observe < Mode::Snapshot && Mode::Snapshot < Mode::ContainWithApproval && Mode::ContainWithApproval < Mode::Contain);
        for mode in Mode::ALL {
            let c = of(&[("FREEZEFRAME_STORE", "/cases"), ("FREEZEFRAME_MODE", mode.as_str())]).unwrap();
            assert_eq!(c.settings.mode, mode);
        }
        assert_eq!(c.scratch, PathBuf::from("/tmp"));
        assert_eq!((c.sign_key, c.kms_key), (None, None));
        let arn = "arn:aws:kms:eu-west-1:123456789012:key/1111-2222";
        let c = of(&[("FREEZEFRAME_STORE", "/cases"), ("FREEZEFRAME_KMS_KEY", arn), ("FREEZEFRAME_SIGN_KEY", "/k.pem")]).unwrap();
        assert_eq!((c.kms_key.unwrap().arn(), c.sign_key.unwrap()), (arn, PathBuf::from("/k.pem")));
        assert_eq!(of(&[("FREEZEFRAME_STORE", "/cases")]).unwrap().store, Place::Dir("/cases".into()));
        assert_eq!(of(&[("FREEZEFRAME_STORE", "s3://vault")]).unwrap().store, Place::S3 { bucket: "vault".into(), prefix: String::new() });
    }

    #[test]
    fn how_a_bucket_keeps_evidence_is_said_in_words() {
        let store = ("FREEZEFRAME_STORE", "s3://vault");
        let c = of(&[store, ("FREEZEFRAME_RETAIN", "7y"), ("FREEZEFRAME_BUCKET_OWNER", "123456789012")]).unwrap();
        assert_eq!((c.keep.retain, c.keep.owner.as_deref()), (Some((LockMode::Governance, Span::Years(7))), Some("123456789012")));
        let c = of(&[store, ("FREEZEFRAME_RETAIN", "90d"), ("FREEZEFRAME_LOCK", "compliance"), ("FREEZEFRAME_LEGAL_HOLD", "on")]).unwrap();
        assert_eq!((c.keep.retain, c.keep.legal_hold), (Some((LockMode::Compliance, Span::Days(90))), true));
        let c = of(&[store, ("FREEZEFRAME_ACCEPT", "unlocked-bucket, public-bucket")]).unwrap();
        assert!(c.accepted.unlocked_bucket && c.accepted.public_bucket && c.keep == Keep::default());
        assert_eq!(of(&[store, ("FREEZEFRAME_LOCK", "compliance")]), Err(ConfigError::LockWithoutRetain));
    }

    #[test]
    fn nothing_is_guessed() {
        assert_eq!(of(&[]), Err(ConfigError::NoStore));
        for (name, value) in [
            ("FREEZEFRAME_MODE", "Contain"),
            ("FREEZEFRAME_MODE", ""),
            ("FREEZEFRAME_MODE", "contain-with-approvals"),
            ("FREEZEFRAME_MOED", "contain"),
            ("FREEZEFRAME_GUARD", ""),
            ("FREEZEFRAME_SIGN_KEY", ""),
            ("FREEZEFRAME_KMS_KEY", "alias/seal"),
            ("FREEZEFRAME_TSA", "timestamp.example.com"),
            ("FREEZEFRAME_TSA", "http://timestamp.example.com"),
            ("FREEZEFRAME_PLAYBOOK", "../x.yaml"),
            ("FREEZEFRAME_STORE", "s3://"),
            ("FREEZEFRAME_STORE", "S3://vault"),
            ("FREEZEFRAME_STORE", "s3://vault/../x"),
            ("FREEZEFRAME_STORE", "s3://Vault/x"),
            ("FREEZEFRAME_STORE", ""),
            ("FREEZEFRAME_LOG", "trace"),
            ("FREEZEFRAME_RETAIN", "7"),
            ("FREEZEFRAME_LOCK", "compliance"),
            ("FREEZEFRAME_LOCK", "forever"),
            ("FREEZEFRAME_LEGAL_HOLD", "yes"),
            ("FREEZEFRAME_BUCKET_OWNER", "12345"),
            ("FREEZEFRAME_ACCEPT", "everything"),
            // About a bucket, and the store is a directory.
            ("FREEZEFRAME_RETAIN", "7y"),
        ] {
            assert!(of(&[("FREEZEFRAME_STORE", "/cases"), (name, value)]).is_err(), "{name}={value}");
        }
    }
}
