//! The seeded incident: a payment function that somebody has been at.
//!
//! The story. A build user's access key leaked. With it somebody published a version of `payments-export` with extra code,
//! put clean code back, sent a tenth of the alias' calls to the bad version, opened a function URL to the world and widened
//! a managed policy to `s3:*`. Since then the function's session credentials have been used from outside. The owners
//! published a third, clean version without noticing the second.
//!
//! [`seed`] builds all of it in the emulator and returns an [`Incident`]: what was made, for tests to compare with. One
//! file per concern; to add to the incident, add to the file of the concern (or a file and a line in [`seed`]) and, if
//! a test should see it, to [`names`] or [`Incident`].
//!
//! It is for the emulator alone: it takes whatever clients it is given, and it never deletes.

pub mod bucket;
pub mod code;
pub mod function;
pub mod history;
pub mod identity;
pub mod logs;
pub mod names;
pub mod operator;
pub mod triggers;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::emulator::Emulator;

/// Clients for the emulator under its root keys. `sts` is also used with other keys, for the operator's session.
pub struct SeedClients {
    pub lambda: aws_sdk_lambda::Client,
    pub iam: aws_sdk_iam::Client,
    pub logs: aws_sdk_cloudwatchlogs::Client,
    pub s3: aws_sdk_s3::Client,
    pub sts: aws_sdk_sts::Client,
    /// SQS and EventBridge, for which there is no SDK crate in the tree.
    pub query: Box<dyn JsonCall>,
}

/// One signed awsJson call: `service` is the signing name (`sqs`, `events`), `target` the whole `X-Amz-Target`. The
/// content type is `application/x-amz-json-1.0` for `sqs` and `1.1` for `events`.
#[async_trait]
pub trait JsonCall: Send + Sync {
    async fn call(&self, service: &str, target: &str, body: serde_json::Value) -> Result<serde_json::Value, String>;
}

#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    #[error("cannot {doing}")]
    Call {
        doing: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("cannot {doing}: the emulator's answer has no {missing}")]
    IncompleteAnswer { doing: &'static str, missing: &'static str },
    #[error("cannot pack the function's code")]
    PackCode {
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("cannot write the CloudTrail history")]
    WriteHistory {
        #[source]
        source: super::emulator::EmulatorError,
    },
    #[error("{role} cannot be given its policies: {size} where IAM takes {limit}")]
    PolicyTooLarge { role: String, size: usize, limit: usize },
    #[error("cannot read the policy document for {role}")]
    ReadPolicy {
        role: String,
        #[source]
        source: serde_json::Error,
    },
}

/// Name what was being done when a call failed.
pub(crate) trait Doing<T> {
    fn doing(self, doing: &'static str) -> Result<T, SeedError>;
}

impl<T, E: Into<Box<dyn std::error::Error + Send + Sync>>> Doing<T> for Result<T, E> {
    fn doing(self, doing: &'static str) -> Result<T, SeedError> {
        self.map_err(|source| SeedError::Call { doing, source: source.into() })
    }
}

/// The same for a member that an answer should have had.
pub(crate) trait Answered<T> {
    fn answered(self, doing: &'static str, missing: &'static str) -> Result<T, SeedError>;
}

impl<T> Answered<T> for Option<T> {
    fn answered(self, doing: &'static str, missing: &'static str) -> Result<T, SeedError> {
        self.ok_or(SeedError::IncompleteAnswer { doing, missing })
    }
}

/// What was seeded: what [`names`] cannot say beforehand.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    pub account: String,
    pub region: String,
    pub seeded_at: DateTime<Utc>,
    pub role: identity::Role,
    pub layer_version_arn: String,
    pub function: function::Suspect,
    pub triggers: triggers::Triggers,
    pub logs: logs::Written,
    pub bucket: String,
    /// Events of the seeded CloudTrail history.
    pub history_events: usize,
}

/// Build the whole incident. `now` is when the drill begins: everything is dated relative to it.
pub async fn seed(clients: &SeedClients, emulator: &Emulator, now: DateTime<Utc>) -> Result<Incident, SeedError> {
    let place = Place { account: emulator.account.clone(), region: emulator.region.clone() };
    let bucket = bucket::seed(clients, &place).await?;
    let role = identity::seed(clients, &place, &bucket).await?;
    let layer_version_arn = function::publish_layer(clients).await?;
    let suspect = function::seed(clients, &place, &role, &layer_version_arn, &bucket).await?;
    let triggers = triggers::seed(clients, &place).await?;
    let written = logs::seed(clients, now).await?;
    function::live_a_little(clients, &triggers).await?;
    let incident = Incident {
        account: place.account,
        region: place.region,
        seeded_at: now,
        role,
        layer_version_arn,
        function: suspect,
        triggers,
        logs: written,
        bucket,
        history_events: 0,
    };
    let (document, history_events) = history::document(&incident, now);
    emulator.write_history(&document).map_err(|source| SeedError::WriteHistory { source })?;
    Ok(Incident { history_events, ..incident })
}

/// Where it happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub account: String,
    pub region: String,
}

impl Place {
    #[must_use]
    pub fn function_arn(&self, name: &str) -> String {
        format!("arn:aws:lambda:{}:{}:function:{name}", self.region, self.account)
    }

    #[must_use]
    pub fn policy_arn(&self, name: &str) -> String {
        format!("arn:aws:iam::{}:policy/{name}", self.account)
    }
}
