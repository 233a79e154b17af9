//! A fault: what went wrong with a call, in our words. The only place that looks into `SdkError`.

use super::fence::Fenced;
use crate::model::causes::{causes, with_causes};
use crate::model::exchange::{BodyEnd, Exchange};
use crate::model::gap::GapKind;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use std::borrow::Cow;
use std::error::Error;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultClass {
    NotFound,
    Denied,
    Throttled,
    /// The credentials ended, or are not valid at all.
    Credentials,
    Truncated,
    TooLarge,
    Timeout,
    /// The operation is unknown to the endpoint.
    Unsupported,
    /// The request was understood and refused (validation, conflict).
    Refused,
    /// Optimistic locking: somebody changed it in between.
    Conflict,
    Server,
    Transport,
    /// Stopped at the fence, or a bug of ours.
    Internal,
}

/// Safe to print and to store: bounded, control characters escaped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}{}", self.code.as_deref().unwrap_or("no answer"), if self.message.is_empty() { "" } else { ": " }, self.message)]
pub struct Fault {
    pub class: FaultClass,
    pub code: Option<String>,
    pub message: String,
    pub status: Option<u16>,
    pub request_id: Option<String>,
}

/// Strangers' text made fit for a terminal and a report: one line, printable, at most `limit` characters.
pub fn tame(text: &str, limit: usize) -> String {
    let mut out: String = text
        .chars()
        .map(|c| {
            if c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') { ' ' } else { c }
        })
        .take(limit + 1)
        .collect();
    if out.chars().count() > limit {
        out = out.chars().take(limit.saturating_sub(1)).collect();
        out.push('…');
    }
    out
}

/// An error and what caused it, made fit in the same way.
pub fn tame_error(error: &(dyn Error + 'static), limit: usize) -> String {
    tame(&with_causes(error), limit)
}

/// The codes with which services ask to be called less often.
pub(super) fn is_throttling(code: &str) -> bool {
    class_of(Some(code), None) == FaultClass::Throttled
}

/// One table from AWS's code (or the status, when there is no code) to a class.
fn class_of(code: Option<&str>, status: Option<u16>) -> FaultClass {
    let Some(code) = code.map(|c| c.rsplit('#').next().unwrap_or(c)) else {
        return match status {
            Some(401 | 403) => FaultClass::Denied,
            Some(404) => FaultClass::NotFound,
            Some(429) => FaultClass::Throttled,
            Some(501) => FaultClass::Unsupported,
            Some(s) if s >= 500 => FaultClass::Server,
            Some(_) => FaultClass::Refused,
            None => FaultClass::Transport,
        };
    };
    match code {
        "ResourceNotFoundException"
        | "NoSuchEntity"
        | "NoSuchEntityException"
        | "NoSuchKey"
        | "NoSuchBucket"
        | "NoSuchVersion"
        | "ProvisionedConcurrencyConfigNotFoundException"
        | "CodeSigningConfigNotFoundException"
        | "NotFound"
        | "404" => FaultClass::NotFound,
        // Triggers and identity: Pipes, KMS and API Gateway; SQS by both of its names; load balancers; Organizations.
        "NotFoundException"
        | "QueueDoesNotExist"
        | "AWS.SimpleQueueService.NonExistentQueue"
        | "TargetGroupNotFound"
        | "TargetNotFoundException"
        | "PolicyNotFoundException"
        | "ChildNotFoundException"
        | "NoSuchBucketPolicy" => FaultClass::NotFound,
        // Network and deployment: EFS by its own names, AWS Config of what it never saw; EC2 names each kind (`InvalidSubnetID.NotFound`).
        "AccessPointNotFound" | "FileSystemNotFound" | "MountTargetNotFound" | "PolicyNotFound" | "ResourceNotDiscoveredException" => {
            FaultClass::NotFound
        }
        _ if code.starts_with("Invalid") && code.ends_with(".NotFound") => FaultClass::NotFound,
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" | "AuthorizationError" | "KMSAccessDeniedException" => {
            FaultClass::Denied
        }
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "SlowDown"
        | "LimitExceededException"
        | "ProvisionedThroughputExceededException"
        | "RequestThrottled"
        | "BandwidthLimitExceeded" => FaultClass::Throttled,
        "ExpiredToken"
        | "ExpiredTokenException"
        | "RequestExpired"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "InvalidSignatureException"
        | "AuthFailure"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "TokenRefreshRequired"
        | "IncompleteSignature" => FaultClass::Credentials,
        "UnknownOperationException"
        | "InvalidAction"
        | "UnknownOperation"
        | "NotImplemented"
        | "UnsupportedOperation"
        | "UnsupportedOperationException"
        | "OptInRequired"
        | "OperationNotPermittedException" => FaultClass::Unsupported,
        "TrailNotFoundException" => FaultClass::NotFound,
        "PreconditionFailedException"
        | "PreconditionFailed"
        | "ConditionalRequestConflict"
        | "ResourceConflictException"
        | "ResourceInUseException"
        | "ConcurrentModification"
        | "ConcurrentModificationException" => FaultClass::Conflict,
        _ => match status {
            Some(429) => FaultClass::Throttled,
            // Whatever it is called: this endpoint has no such operation.
            Some(501) => FaultClass::Unsupported,
            Some(s) if s >= 500 => FaultClass::Server,
            _ => FaultClass::Refused,
        },
    }
}

impl Fault {
    /// `exchanges` are the attempts of this call: how the last body ended tells a truncated answer from an unreadable one.
    pub fn of<E>(error: &SdkError<E, HttpResponse>, exchanges: &[Exchange]) -> Fault
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let last = exchanges.last();
        let status = last.and_then(|x| x.status).or_else(|| error.raw_response().map(|r| r.status().as_u16()));
        let request_id = last.and_then(|x| x.request_id.clone());
        let (class, code, message) = match error {
            SdkError::ServiceError(e) => {
                let code = e.err().code().map(|c| c.rsplit('#').next().unwrap_or(c).split(':').next().unwrap_or(c).to_string());
                (class_of(code.as_deref(), status), code, e.err().message().unwrap_or_default().to_string())
            }
            SdkError::TimeoutError(_) => (FaultClass::Timeout, None, "no answer in time".to_string()),
            other => {
                let class = match last.map(|x| &x.body_end) {
                    _ if in_chain::<Fenced>(other) => FaultClass::Internal,
                    Some(BodyEnd::Failed(_)) => FaultClass::Truncated,
                    Some(BodyEnd::TooLarge(_)) => FaultClass::TooLarge,
                    _ if matches!(other, SdkError::DispatchFailure(d) if d.is_timeout()) => FaultClass::Timeout,
                    _ if names_credentials(other) => FaultClass::Credentials,
                    _ => FaultClass::Transport,
                };
                (class, None, with_causes(other))
            }
        };
        let class = if names_no_stack(code.as_deref(), &message) { FaultClass::NotFound } else { class };
        let class = if class == FaultClass::NotFound && last.is_some_and(|x| names_the_path(&message, &x.uri)) {
            FaultClass::Unsupported
        } else {
            class
        };
        Fault {
            class,
            code: code.map(|c| tame(&c, 80)),
            message: tame(&without_our_request(&message), 400),
            status,
            request_id: request_id.map(|r| tame(&r, 80)),
        }
    }

    /// The gap that this fault leaves. `NotFound` is an answer, not a gap, and must be handled before; should one arrive here it is a bug.
    pub fn gap_kind(&self) -> GapKind {
        match self.class {
            FaultClass::Denied => GapKind::Denied,
            FaultClass::Throttled => GapKind::Throttled,
            FaultClass::Credentials => GapKind::Expired,
            FaultClass::Truncated => GapKind::Truncated,
            FaultClass::TooLarge => GapKind::TooLarge,
            FaultClass::Timeout => GapKind::OutOfTime,
            FaultClass::Unsupported | FaultClass::Refused => GapKind::Unsupported,
            FaultClass::Server | FaultClass::Transport | FaultClass::Conflict => GapKind::Transport,
            FaultClass::NotFound | FaultClass::Internal => GapKind::Internal,
        }
    }

    pub fn internal(message: impl Into<String>) -> Fault {
        Fault { class: FaultClass::Internal, code: None, message: tame(&message.into(), 400), status: None, request_id: None }
    }
}

/// CloudFormation has no code of its own for a stack that does not exist: `ValidationError`, `Stack with id payments does not exist`
/// (boto/boto3#2807), `Stack [payments] does not exist` (cloudtools/stacker#683).
fn names_no_stack(code: Option<&str>, message: &str) -> bool {
    code == Some("ValidationError") && message.starts_with("Stack") && message.trim_end().ends_with(" does not exist")
}

/// Whether what is said to be missing is the address that we asked at (`Function not found: /2021-07-20/functions/f/runtime-management-config`,
/// MiniStack). Then a router did not know the operation, and nobody looked whether the thing exists. Such addresses begin with a date.
fn names_the_path(message: &str, uri: &str) -> bool {
    let path = uri.split_once("://").map_or(uri, |(_, rest)| rest.find('/').map_or("", |at| &rest[at..]));
    let dated = |d: &&str| d.len() == 10 && d.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    path.split('/').nth(1).filter(dated).is_some_and(|date| message.contains(&format!("/{date}/")))
}

/// A refusal up to where it goes on to tell what would have been signed, for that has our session token in it: "The request signature we calculated
/// does not match … The Canonical String for this request should have been 'GET …' (amzn/selling-partner-api-models#1900, aws/aws-sdk-js#168).
fn without_our_request(message: &str) -> Cow<'_, str> {
    const MARKS: [&str; 2] = ["the canonical string", "x-amz-security-token"];
    let begins = |mark: &str| message.as_bytes().windows(mark.len()).position(|w| w.eq_ignore_ascii_case(mark.as_bytes()));
    match MARKS.into_iter().filter_map(begins).min() {
        // Where a mark begins is a boundary, for its letters are ASCII.
        Some(at) => format!("{} …", message[..at].trim_end()).into(),
        None => message.into(),
    }
}

fn in_chain<T: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|e| e.is::<T>())
}

fn names_credentials(error: &(dyn Error + 'static)) -> bool {
    in_chain::<aws_credential_types::provider::error::CredentialsError>(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_row_for_each_class() {
        for (code, status, class) in [
            (Some("ResourceNotFoundException"), Some(404), FaultClass::NotFound),
            (Some("com.amazonaws#NoSuchEntity"), Some(404), FaultClass::NotFound),
            (Some("AccessDeniedException"), Some(403), FaultClass::Denied),
            (Some("InvalidSubnetID.NotFound"), Some(400), FaultClass::NotFound),
            (Some("FileSystemNotFound"), Some(404), FaultClass::NotFound),
            (Some("UnauthorizedOperation"), Some(403), FaultClass::Denied),
            (Some("InvalidParameterValue"), Some(400), FaultClass::Refused),
            (Some("TooManyRequestsException"), Some(429), FaultClass::Throttled),
            (Some("ExpiredTokenException"), Some(400), FaultClass::Credentials),
            (Some("UnknownOperationException"), Some(404), FaultClass::Unsupported),
            (Some("PreconditionFailedException"), Some(412), FaultClass::Conflict),
            (Some("ServiceException"), Some(500), FaultClass::Server),
            (Some("InternalFailure"), Some(501), FaultClass::Unsupported),
            (Some("InvalidParameterValueException"), Some(400), FaultClass::Refused),
            (None, Some(403), FaultClass::Denied),
            (None, Some(503), FaultClass::Server),
            (None, None, FaultClass::Transport),
        ] {
            assert_eq!(class_of(code, status), class, "{code:?} {status:?}");
        }
    }

    #[test]
    fn a_router_that_does_not_know_an_address_says_nothing_about_absence() {
        let uri = "http://127.0.0.1:4566/2021-07-20/functions/f/runtime-management-config?Qualifier=1";
        assert!(names_the_path("Function not found: /2021-07-20/functions/f/runtime-management-config", uri));
        assert!(!names_the_path("Function not found: arn:aws:lambda:eu-west-1:123456789012:function:f", uri));
        assert!(!names_the_path("no object /2021-07-20/", "https://bucket.s3.amazonaws.com/key"));
    }

    #[test]
    fn a_stack_that_does_not_exist_is_an_absence() {
        for (code, message, absent) in [
            ("ValidationError", "Stack with id payments does not exist", true),
            ("ValidationError", "Stack [arn:aws:cloudformation:eu-west-1:1:stack/payments/x] does not exist", true),
            ("ValidationError", "Stack name must be specified", false),
            ("ValidationError", "Parameter Stack does not exist in template", false),
            ("AccessDenied", "Stack with id payments does not exist", false),
        ] {
            assert_eq!(names_no_stack(Some(code), message), absent, "{code}: {message}");
        }
    }

    #[test]
    fn a_refusal_that_tells_what_we_signed_ends_before_it() {
        use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
        use aws_smithy_types::body::SdkBody;
        use aws_smithy_types::error::ErrorMetadata;
        let said = "The request signature we calculated does not match the signature you provided.";
        let told = "GET\n/2015-03-31\n\nhost:lambda\nX-Amz-Security-Token:FwoGZXIvYXdz\n";
        for (message, kept) in [
            (format!("{said}\n\nThe Canonical String for this request should have been\n'{told}'"), format!("{said} …")),
            (format!("{said} é {told}"), format!("{said} é GET /2015-03-31  host:lambda …")),
            (said.to_string(), said.to_string()),
        ] {
            let refused = ErrorMetadata::builder().code("InvalidSignatureException").message(message).build();
            let answer = HttpResponse::new(403u16.try_into().unwrap(), SdkBody::empty());
            let fault = Fault::of(&SdkError::service_error(refused, answer), &[]);
            assert_eq!((fault.class, fault.message), (FaultClass::Credentials, kept));
        }
    }

    #[test]
    fn strangers_text_is_tamed() {
        assert_eq!(tame("a\u{1b}[31mb\nc\u{202e}d", 80), "a [31mb c d");
        assert_eq!(tame("abcdef", 4), "abc…");
    }
}
