//! What a secret is. One line here is one line of the table in `evidence-schema/README.md`.

use crate::model::item::Group;
use crate::model::path::BundlePath;

/// What is longer is not held in memory to be looked into, and is sealed whole. AWS's answers are 1 MB (LookupEvents) to 6 MB.
pub const LARGEST: u64 = 32 << 20;

/// Members, compared without case.
pub(super) const ENVIRONMENT: &str = "environment";
pub(super) const VARIABLES: &str = "variables";
pub(super) const SESSION_TOKEN: &str = "sessiontoken";
/// A JSON text in a string: CloudTrail's LookupEvents.
pub(super) const EMBEDDED: &str = "CloudTrailEvent";

/// Whether a text is a presigned address or part of one, or holds a request that we signed, with our session token among its headers: where a
/// signature does not match, services answer with what they would have signed (amzn/selling-partner-api-models#1900, aws/aws-sdk-js#168).
pub fn is_presigned(text: &[u8]) -> bool {
    holds_one(text, &["x-amz-signature=", "x-amz-security-token=", "x-amz-security-token:"])
}

/// How a file of the payload is looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    Not,
    /// See [`OPAQUE`].
    Opaque,
    Json,
    JsonLines,
    /// By how it begins, whatever its name: an answer may come without a content type, and a trail's log file is `application/json` in one bucket
    /// and `application/x-gzip` in another.
    Begins,
    /// The same, but gzip is left alone: layers of an image are gzip too.
    BeginsAsJson,
}

/// By the name that a file will have (`.json`, `.jsonl`), or else by how it begins. Log lines are evidence as they stand: what a function printed is not taken apart, and is sealed as a
/// whole where the operator wants it.
pub fn looked_into(path: &BundlePath) -> Look {
    let name = path.as_str();
    if name.starts_with(Group::Invocation.dir()) || name.ends_with(".http.json") {
        return Look::Not;
    }
    match () {
        () if name.ends_with(".json") => Look::Json,
        () if name.ends_with(".jsonl") => Look::JsonLines,
        () if name.starts_with(Group::Code.dir()) => Look::BeginsAsJson,
        () => Look::Begins,
    }
}

/// Answers that hold what a function is made with, its environment included, in a language that is not looked into: they are sealed whole.
/// (CloudFormation: the template as it was given, and `ResourceProperties` of each event.)
pub const OPAQUE: &[&str] = &["GetTemplate", "DescribeStackEvents"];

/// Whether a text that cannot be walked as JSON may hold what would be redacted there. Coarse: it is sealed if in doubt. Names stand without
/// their closing quote, for in a JSON text within a string a backslash stands before it.
pub fn may_hold_secret(text: &[u8]) -> bool {
    holds_one(text, &["\"sessiontoken", "\"environment", "x-amz-signature", "x-amz-security-token"])
}

/// Whether an answer in XML names credentials. S3 echoes the caller's whole session token in `<Token-0>` (`ExpiredToken`, `InvalidToken`), and the
/// request that was signed, its `x-amz-security-token` included, where a signature does not match.
pub fn echoes_credentials(markup: &[u8]) -> bool {
    holds_one(markup, &["<token-", "<sessiontoken", "x-amz-security-token", "x-amz-signature"])
}

/// Compared byte by byte, without a copy in lower case.
fn holds_one(text: &[u8], marks: &[&str]) -> bool {
    marks.iter().any(|mark| text.windows(mark.len()).any(|w| w.eq_ignore_ascii_case(mark.as_bytes())))
}
