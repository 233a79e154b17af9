//! The only way to name a file in a bundle.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Why a text cannot be a path in a bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{shown}` cannot be a path in a bundle: {rule}")]
pub struct PathError {
    shown: String,
    rule: &'static str,
}

/// A relative path of plain segments (`[A-Za-z0-9._-]`), so that it means the same on every file system, in a zip, in a manifest and as
/// an S3 key, and can leave no directory. It has no string traits on purpose: ask for [`BundlePath::as_str`] and know what you do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct BundlePath(String);

const MAX_SEGMENT: usize = 120;
const MAX_PATH: usize = 480;
/// Device names that Windows reserves whatever the extension.
const RESERVED: [&str; 6] = ["con", "prn", "aux", "nul", "com", "lpt"];

impl BundlePath {
    /// Parse a path that somebody else wrote (a manifest, a zip). Refuses rather than repairs.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let err = |rule| PathError { shown: text.chars().take(120).flat_map(char::escape_default).collect(), rule };
        if text.is_empty() || text.len() > MAX_PATH {
            return Err(err("it must have 1 to 480 bytes"));
        }
        for segment in text.split('/') {
            if segment.is_empty() || segment.len() > MAX_SEGMENT {
                return Err(err("each segment must have 1 to 120 bytes"));
            }
            if segment.starts_with('.') || segment.ends_with('.') {
                return Err(err("no segment may begin or end with a dot"));
            }
            if !segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
                return Err(err("only letters, digits, `.`, `_` and `-` may appear"));
            }
            let stem = segment.split('.').next().unwrap_or_default().to_ascii_lowercase();
            let stem = stem.trim_end_matches(|c: char| c.is_ascii_digit());
            if RESERVED.contains(&stem) {
                return Err(err("it holds a name reserved on Windows"));
            }
        }
        Ok(BundlePath(text.to_string()))
    }

    /// A path below `dir` whose last segment is made from `name`, whatever that holds: forbidden characters become `-`, `$LATEST` becomes
    /// `v-LATEST`, and a name that had to be changed or cut gets eight digits of its own hash, so that two names never meet in one file.
    pub fn below(dir: &str, name: &str, extension: &str) -> Self {
        let clean: String = name
            .replace("$LATEST", "v-LATEST")
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' })
            .collect();
        let trimmed = clean.trim_matches(|c| c == '.' || c == '-');
        let mut stem: String = trimmed.chars().take(80).collect();
        let plain = name.replace("$LATEST", "v-LATEST");
        let candidate = if extension.is_empty() { format!("{dir}/{stem}") } else { format!("{dir}/{stem}.{extension}") };
        if stem != plain || BundlePath::parse(&candidate).is_err() {
            let tail = &super::digest::Sha256::of(name.as_bytes()).to_string()[..8];
            stem = if stem.is_empty() { format!("n-{tail}") } else { format!("n-{stem}-{tail}") };
        }
        BundlePath(if extension.is_empty() { format!("{dir}/{stem}") } else { format!("{dir}/{stem}.{extension}") })
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
    pub fn under(&self, root: &Path) -> PathBuf {
        root.join(&self.0)
    }
    /// First segment: `data`, `meta`, `seal`, or a tag file's own name.
    pub fn top(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }
}
impl TryFrom<String> for BundlePath {
    type Error = PathError;
    fn try_from(s: String) -> Result<Self, PathError> {
        BundlePath::parse(&s)
    }
}
impl From<BundlePath> for String {
    fn from(p: BundlePath) -> String {
        p.0
    }
}

#[cfg(test)]
mod tests {
    use super::BundlePath;
    use proptest::prelude::*;

    #[test]
    fn hostile_paths_are_refused() {
        for bad in [
            "",
            "/etc/passwd",
            "../x",
            "data/../x",
            "data//x",
            "data/.x",
            "a\\b",
            "data/x y",
            "C:/x",
            "data/con.txt",
            "data/COM1",
            "data/x.",
            "data/é",
            "data/\0",
        ] {
            assert!(BundlePath::parse(bad).is_err(), "{bad:?}");
        }
        assert!(BundlePath::parse("data/10-code/v-LATEST.zip").is_ok());
        assert!(BundlePath::parse("data/10-code/console.txt").is_ok());
    }

    #[test]
    fn names_are_kept_where_they_can_be() {
        assert_eq!(BundlePath::below("data/10-code", "$LATEST", "zip").as_str(), "data/10-code/v-LATEST.zip");
        assert_eq!(BundlePath::below("data/30-policy", "000003-GetPolicy", "json").as_str(), "data/30-policy/000003-GetPolicy.json");
        assert!(BundlePath::below("data/x", "2026/11/20/[$LATEST]abc", "jsonl").as_str().starts_with("data/x/n-2026-11-20--v-LATEST-abc-"));
    }

    proptest! {
        #[test]
        fn every_made_path_parses_and_is_its_own(a in ".{0,200}", b in ".{0,200}") {
            let (pa, pb) = (BundlePath::below("data/60-invocation", &a, "jsonl"), BundlePath::below("data/60-invocation", &b, "jsonl"));
            prop_assert!(BundlePath::parse(pa.as_str()).is_ok(), "{}", pa.as_str());
            // `$LATEST` and `v-LATEST` are the one pair that may meet; neither is a legal name of the other kind of thing.
            prop_assert!(a == b || pa != pb || a.contains("LATEST"));
        }
    }
}
