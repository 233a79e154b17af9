//! A place in S3: bucket and prefix, as a playbook names them.

/// `s3://bucket/prefix`. It goes into addresses and IAM policies, so it holds nothing that means anything there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Place {
    pub bucket: String,
    /// Without a slash at either end; may be empty.
    pub prefix: String,
}

impl S3Place {
    pub fn parse(text: &str) -> Option<S3Place> {
        let rest = text.strip_prefix("s3://")?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_matches('/');
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        let bucket_ok = (3..=63).contains(&bucket.len())
            && bucket.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.')
            && edge(bucket.chars().next())
            && edge(bucket.chars().last());
        let prefix_ok = prefix.len() <= 512 && prefix.chars().all(|c| c.is_ascii_alphanumeric() || "/-_.=+@!".contains(c));
        (bucket_ok && prefix_ok).then(|| S3Place { bucket: bucket.to_string(), prefix: prefix.to_string() })
    }

    /// `none` is a place too: nowhere.
    pub fn parse_or_none(text: &str) -> Option<Option<S3Place>> {
        if text.trim() == "none" { Some(None) } else { S3Place::parse(text.trim()).map(Some) }
    }
}

impl std::fmt::Display for S3Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let place = S3Place::parse("s3://trail-archive/org/logs/").unwrap();
        assert_eq!((place.bucket.as_str(), place.prefix.as_str()), ("trail-archive", "org/logs"));
        assert_eq!(S3Place::parse("s3://trail").unwrap().prefix, "");
        assert_eq!(S3Place::parse_or_none("none"), Some(None));
        for bad in [
            "",
            "trail",
            "s3://",
            "s3://a",
            "s3://Trail",
            "s3://-trail-",
            "s3://trail/a*",
            "s3://trail/${x}",
            "s3://trail/a b",
            "https://trail/x",
        ] {
            assert_eq!(S3Place::parse_or_none(bad), None, "{bad}");
        }
    }
}
