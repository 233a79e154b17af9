//! A place in a bucket: `s3://bucket/prefix`. Below it lie cases, below these bundles, each file of a bundle an object of its own.

use crate::model::path::BundlePath;
use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub bucket: String,
    /// None: the bucket itself.
    prefix: Option<BundlePath>,
}

impl Place {
    /// `None` when it is no such address. A prefix obeys the rules of a path in a bundle, so that nothing in it means anything elsewhere.
    pub fn parse(text: &str) -> Option<Place> {
        let rest = text.strip_prefix("s3://")?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        let bucket_ok = (3..=63).contains(&bucket.len())
            && bucket.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.')
            && edge(bucket.chars().next())
            && edge(bucket.chars().last());
        let prefix = if prefix.is_empty() { None } else { Some(BundlePath::parse(prefix).ok()?) };
        bucket_ok.then(|| Place { bucket: bucket.into(), prefix })
    }

    /// The place below; the names are checked by whoever made them a path.
    pub fn below(&self, folder: &str) -> Option<Place> {
        let prefix = format!("{}{folder}", self.lead());
        Some(Place { bucket: self.bucket.clone(), prefix: Some(BundlePath::parse(&prefix).ok()?) })
    }

    pub fn key(&self, path: &BundlePath) -> String {
        format!("{}{}", self.lead(), path.as_str())
    }

    /// What every key below begins with: `prefix/`, or nothing.
    pub fn lead(&self) -> String {
        self.prefix.as_ref().map_or(String::new(), |p| format!("{}/", p.as_str()))
    }

    pub fn prefix(&self) -> &str {
        self.prefix.as_ref().map_or("", BundlePath::as_str)
    }

    /// The last folder: a bundle's name, where it is one's place.
    pub fn name(&self) -> &str {
        self.prefix().rsplit('/').next().unwrap_or_default()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.prefix {
            Some(prefix) => write!(f, "s3://{}/{}", self.bucket, prefix.as_str()),
            None => write!(f, "s3://{}", self.bucket),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let vault = Place::parse("s3://vault/prod/").unwrap();
        let bundle = vault.below("IR-1/b-1").unwrap();
        assert_eq!((bundle.to_string().as_str(), bundle.name()), ("s3://vault/prod/IR-1/b-1", "b-1"));
        assert_eq!(bundle.key(&BundlePath::parse("data/x").unwrap()), "prod/IR-1/b-1/data/x");
        let bare = Place::parse("s3://vault").unwrap();
        assert_eq!((bare.lead().as_str(), bare.to_string().as_str(), bare.prefix()), ("", "s3://vault", ""));
        assert_eq!(bare.below("IR-1").unwrap().lead(), "IR-1/");
        assert_eq!(vault.below("../x"), None);
        for bad in [
            "",
            "vault/x",
            "s3://",
            "s3://v",
            "s3://Vault",
            "s3://vault/../x",
            "s3://vault/a b",
            "s3://vault//x",
            "S3://vault",
            "https://vault",
        ] {
            assert_eq!(Place::parse(bad), None, "{bad}");
        }
    }
}
