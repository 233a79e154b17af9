//! Connecting: the standard chain of profile, Region, endpoint and credentials, with errors that say what to do.

use super::fault::{Fault, FaultClass, tame};
use super::fence::Fence;
use super::pace::Pace;
use super::record::{Recorder, UnitScope};
use super::tape::Tape;
use super::unit::Aws;
use crate::clock::Clock;
use crate::model::call::Call;
use aws_config::BehaviorVersion;
use aws_config::default_provider::region;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::timeout::TimeoutConfig;
use aws_smithy_http_client::{Builder as HttpBuilder, tls};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::SdkConfig;
use aws_types::app_name::AppName;
use aws_types::region::Region;
use std::sync::Arc;
use std::time::Duration;

/// What the user said about the connection; everything unset comes from the standard chain (environment, profile, instance).
#[derive(Clone, Debug, Default)]
pub struct ConnectOptions {
    pub profile: Option<String>,
    pub region: Option<String>,
    pub endpoint_url: Option<String>,
    /// Goes into the user agent, so that later analysts can subtract our own calls.
    pub run: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("no Region is set")]
    NoRegion,
    #[error("there are no credentials to work with")]
    NoCredentials {
        #[source]
        source: Fault,
    },
    #[error("the credentials were not accepted by AWS STS")]
    Credentials {
        #[source]
        source: Fault,
    },
    #[error("could not ask AWS STS who we are")]
    Identity {
        #[source]
        source: Fault,
    },
}

impl ConnectError {
    /// What the user can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            ConnectError::NoRegion => "pass --region, or set AWS_REGION, or `region` in the profile",
            ConnectError::NoCredentials { .. } | ConnectError::Credentials { .. } => {
                "sign in again (`aws sso login --profile …`), choose another --profile, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            }
            ConnectError::Identity { .. } => "check the network, the proxy and --endpoint-url",
        }
    }
}

/// The one HTTP client that all clients of a connector share.
pub(super) fn https() -> SharedHttpClient {
    HttpBuilder::new().tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc)).build_https()
}

/// The credentials of this profile and no others. The Region is the one in which a profile's role is assumed or its sign-on is renewed.
async fn profile_credentials(profile: &str, region: Option<&str>, http: SharedHttpClient) -> ProfileFileCredentialsProvider {
    let region = match region {
        Some(region) => Some(Region::new(region.to_string())),
        None => region::Builder::default().profile_name(profile).build().region().await,
    };
    let conf = ProviderConfig::default().with_http_client(http).with_region(region);
    ProfileFileCredentialsProvider::builder().configure(&conf).profile_name(profile).build()
}

/// Who we are, as STS says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub account: String,
    pub arn: String,
    pub partition: String,
}

/// Credentials, Region, endpoint, the shared HTTP client and the pace: everything but the scope of a unit.
#[derive(Clone, Debug)]
pub struct Connector {
    pub(super) conf: SdkConfig,
    pub(super) pace: Arc<Pace>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) region: String,
}

impl Connector {
    /// Load the standard configuration. No call is made, except to a credential provider when one is needed later.
    pub async fn load(options: &ConnectOptions, clock: Arc<dyn Clock>) -> Result<Connector, ConnectError> {
        Self::load_with(options, clock, https()).await
    }

    /// The same over a given HTTP client: for scripted wires.
    pub async fn load_with(options: &ConnectOptions, clock: Arc<dyn Clock>, http: SharedHttpClient) -> Result<Connector, ConnectError> {
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http.clone())
            // Standard mode: exponential backoff with full jitter. Five attempts outlast the throttling that a busy account sees.
            .retry_config(aws_config::retry::RetryConfig::standard().with_max_attempts(5))
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(5))
                    .read_timeout(Duration::from_secs(30))
                    .operation_attempt_timeout(Duration::from_secs(60))
                    .build(),
            );
        if let Some(profile) = &options.profile {
            // The chain's first link is the environment: a profile named by the user must beat keys of another account that are set there.
            loader = loader.profile_name(profile).credentials_provider(profile_credentials(profile, options.region.as_deref(), http).await);
        }
        if let Some(region) = &options.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(url) = &options.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        let name = format!(
            "freezeframe-{}{}{}",
            env!("CARGO_PKG_VERSION"),
            if options.run.is_some() { "-" } else { "" },
            options.run.as_deref().unwrap_or("")
        );
        if let Ok(name) = AppName::new(name) {
            loader = loader.app_name(name);
        }
        Self::from_conf(loader.load().await, clock)
    }

    /// From a configuration that is complete already: for tests, whose credentials must not come from the environment.
    pub fn from_conf(conf: SdkConfig, clock: Arc<dyn Clock>) -> Result<Connector, ConnectError> {
        let region = conf.region().map(ToString::to_string).ok_or(ConnectError::NoRegion)?;
        Ok(Connector::assemble(conf, region, clock))
    }

    pub(super) fn assemble(conf: SdkConfig, region: String, clock: Arc<dyn Clock>) -> Connector {
        Connector { conf, pace: Arc::new(Pace::new(clock.clone())), clock, region }
    }

    pub fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    pub fn region(&self) -> &str {
        &self.region
    }

    /// The same credentials in another Region, under the same pace.
    pub fn in_region(&self, region: &str) -> Connector {
        let conf = self.conf.clone().into_builder().region(Region::new(region.to_string())).build();
        Connector { conf, region: region.to_string(), ..self.clone() }
    }

    /// `sts:GetCallerIdentity`: needs no permission, and is the first proof that the credentials are good.
    pub async fn identity(&self, aws: &Aws) -> Result<Identity, ConnectError> {
        let (answer, exchanges) = super::tape::listen(Default::default(), aws.sts().get_caller_identity().send()).await;
        let answer = answer.map_err(|e| {
            let source = Fault::of(&e, &exchanges);
            match source.class {
                FaultClass::Credentials if source.status.is_none() => ConnectError::NoCredentials { source },
                FaultClass::Credentials | FaultClass::Denied => ConnectError::Credentials { source },
                _ => ConnectError::Identity { source },
            }
        })?;
        let arn = tame(answer.arn().unwrap_or_default(), 300);
        let partition = arn.split(':').nth(1).filter(|p| !p.is_empty()).unwrap_or("aws").to_string();
        Ok(Identity { account: answer.account().unwrap_or_default().to_string(), arn, partition })
    }

    /// Clients for one unit: taped into `recorder`, fenced to `calls`.
    pub fn unit(&self, scope: UnitScope, calls: &'static [Call], recorder: Arc<dyn Recorder>) -> Aws {
        self.fenced(scope, Fence { unit: scope.unit, calls, reads_only: false }, recorder)
    }

    /// The same, fenced to those of the calls that read.
    pub fn reading(&self, scope: UnitScope, calls: &'static [Call], recorder: Arc<dyn Recorder>) -> Aws {
        self.fenced(scope, Fence { unit: scope.unit, calls, reads_only: true }, recorder)
    }

    fn fenced(&self, scope: UnitScope, fence: Fence, recorder: Arc<dyn Recorder>) -> Aws {
        let tape = Tape { scope, region: self.region.clone(), recorder, clock: self.clock.clone() };
        Aws::new(self.clone(), tape, fence)
    }

    /// The bare configuration, for whoever stands outside evidence: the drill that seeds an emulator, and the archive's upload client.
    pub fn sdk_config(&self) -> &SdkConfig {
        &self.conf
    }
}
