//! The function under suspicion: from what a person or an event says to an exact target.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A function that is known exactly.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Target {
    pub partition: String,
    pub account: String,
    pub region: String,
    pub function: String,
    /// `$LATEST`, a version number or an alias, if one was named. Evidence is always read for the whole function; the qualifier is what
    /// the finding pointed at.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub qualifier: Option<String>,
}

/// What was typed: a name, a partial ARN (`123456789012:function:name`) or a full one. Missing parts come from the caller's identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetSpec {
    pub partition: Option<String>,
    pub account: Option<String>,
    pub region: Option<String>,
    pub function: String,
    pub qualifier: Option<String>,
}

/// The text names no Lambda function.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    #[error(
        "`{0}` is not a Lambda function: use a name, `name:qualifier`, or an ARN like arn:aws:lambda:eu-west-1:123456789012:function:name"
    )]
    NotAFunction(String),
    #[error("`{text}` names a {kind}; freezeframe handles Lambda functions only")]
    OtherService { text: String, kind: &'static str },
    #[error("the target says {part} {stated}, the credentials are for {actual}; use credentials (or --region) of {stated}")]
    Elsewhere { part: &'static str, stated: String, actual: String },
}

fn shown(text: &str) -> String {
    text.chars().take(200).flat_map(char::escape_default).collect()
}

fn name_ok(s: &str, max: usize) -> bool {
    !s.is_empty() && s.len() <= max && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

impl std::str::FromStr for TargetSpec {
    type Err = TargetError;

    /// Forms as in the Lambda API's `FunctionName` (1 to 64 characters for a name, up to 140 with the ARN around it).
    fn from_str(text: &str) -> Result<Self, TargetError> {
        let bad = || TargetError::NotAFunction(shown(text));
        if text.len() > 300 || !text.is_ascii() {
            return Err(bad());
        }
        let parts: Vec<&str> = text.split(':').collect();
        let (partition, region, account, rest): (Option<&str>, Option<&str>, Option<&str>, &[&str]) = match parts.as_slice() {
            ["arn", partition, "lambda", region, account, "function", rest @ ..] => (Some(partition), Some(region), Some(account), rest),
            ["arn", _, "lambda", _, _, other, ..] => {
                let kind = match *other {
                    "layer" => "layer",
                    "event-source-mapping" => "event source mapping",
                    "code-signing-config" => "code signing configuration",
                    "capacity-provider" => "capacity provider",
                    _ => "Lambda resource that is no function",
                };
                return Err(TargetError::OtherService { text: shown(text), kind });
            }
            ["arn", _, service, ..] => {
                let kind = match *service {
                    "lambda-core" => "Lambda MicroVM, Web Function or runtime",
                    "cloudfront" => "CloudFront function",
                    _ => "resource of another service",
                };
                return Err(TargetError::OtherService { text: shown(text), kind });
            }
            [account, "function", rest @ ..] => (None, None, Some(account), rest),
            ["function", rest @ ..] => (None, None, None, rest),
            rest => (None, None, None, rest),
        };
        let (function, qualifier) = match rest {
            [name] => (*name, None),
            [name, qualifier] => (*name, Some(*qualifier)),
            _ => return Err(bad()),
        };
        let digits = |a: &str| a.len() == 12 && a.bytes().all(|b| b.is_ascii_digit());
        let ok = name_ok(function, 64)
            && qualifier.is_none_or(|q| q == "$LATEST" || q == "$LATEST.PUBLISHED" || name_ok(q, 128))
            && account.is_none_or(digits)
            && region.is_none_or(|r| name_ok(r, 32))
            && partition.is_none_or(|p| p == "aws" || (p.starts_with("aws-") && name_ok(p, 32)));
        if !ok {
            return Err(bad());
        }
        let own = |s: Option<&str>| s.map(str::to_string);
        Ok(TargetSpec {
            partition: own(partition),
            account: own(account),
            region: own(region),
            function: function.into(),
            qualifier: own(qualifier),
        })
    }
}

impl TargetSpec {
    /// Complete the target with the caller's own account and Region; a stated part that differs is an error, because we would otherwise read
    /// (and contain) a function of the same name somewhere else.
    pub fn resolve(&self, partition: &str, account: &str, region: &str) -> Result<Target, TargetError> {
        for (part, stated, actual) in
            [("partition", &self.partition, partition), ("account", &self.account, account), ("Region", &self.region, region)]
        {
            if let Some(stated) = stated
                && stated != actual
            {
                return Err(TargetError::Elsewhere { part, stated: stated.clone(), actual: actual.to_string() });
            }
        }
        Ok(Target {
            partition: partition.into(),
            account: account.into(),
            region: region.into(),
            function: self.function.clone(),
            qualifier: self.qualifier.clone(),
        })
    }
}

impl Target {
    /// The unqualified function ARN.
    pub fn arn(&self) -> String {
        format!("arn:{}:lambda:{}:{}:function:{}", self.partition, self.region, self.account, self.function)
    }
    /// Where Lambda logs by default, when the configuration names no other group.
    pub fn default_log_group(&self) -> String {
        format!("/aws/lambda/{}", self.function)
    }
}
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.arn())?;
        match &self.qualifier {
            Some(q) => write!(f, ":{q}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_the_api_takes() {
        for (text, function, qualifier, account) in [
            ("payments", "payments", None, None),
            ("payments:live", "payments", Some("live"), None),
            ("payments:$LATEST", "payments", Some("$LATEST"), None),
            ("123456789012:function:payments", "payments", None, Some("123456789012")),
            ("arn:aws:lambda:eu-west-1:123456789012:function:payments:7", "payments", Some("7"), Some("123456789012")),
            ("arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:p", "p", None, Some("123456789012")),
        ] {
            let t: TargetSpec = text.parse().unwrap();
            assert_eq!((t.function.as_str(), t.qualifier.as_deref(), t.account.as_deref()), (function, qualifier, account), "{text}");
        }
    }

    #[test]
    fn look_alikes_are_refused_by_name() {
        let e = "arn:aws:lambda-core:eu-west-1:123456789012:runtime:x".parse::<TargetSpec>().unwrap_err();
        assert!(matches!(e, TargetError::OtherService { kind: "Lambda MicroVM, Web Function or runtime", .. }));
        let e = "arn:aws:lambda:eu-west-1:123456789012:layer:x:1".parse::<TargetSpec>().unwrap_err();
        assert!(matches!(e, TargetError::OtherService { kind: "layer", .. }));
        for bad in [
            "",
            "a b",
            "x:y:z:w",
            "../x",
            "a;rm",
            "arn:aws:lambda:eu-west-1:12345:function:p",
            "arn:evil:lambda:r:123456789012:function:p",
            "\u{1b}[31m",
        ] {
            assert!(bad.parse::<TargetSpec>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_target_elsewhere_is_refused() {
        let t: TargetSpec = "arn:aws:lambda:eu-west-1:123456789012:function:p".parse().unwrap();
        assert!(matches!(t.resolve("aws", "123456789012", "us-east-1"), Err(TargetError::Elsewhere { part: "Region", .. })));
        assert_eq!(t.resolve("aws", "123456789012", "eu-west-1").unwrap().arn(), "arn:aws:lambda:eu-west-1:123456789012:function:p");
    }
}
