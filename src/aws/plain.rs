//! Clients without tape and fence, for whoever stands outside evidence: the drill that seeds an emulator and then looks at it as a
//! stranger would. No collector and no action can reach these, because all they are handed is an [`super::Aws`].

use super::connect::Connector;
use crate::clock::Clock;
use aws_config::BehaviorVersion;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_types::region::Region;
use std::sync::Arc;

/// One principal's keys, as the drill holds them. No `Debug`: the secret must not meet a formatter.
#[derive(Clone)]
pub struct StaticKeys {
    pub access_key_id: String,
    pub secret_access_key: String,
    pub session_token: Option<String>,
}

impl Connector {
    /// A connector for given keys and one endpoint: the emulator. Nothing of the environment's credentials or profiles is used;
    /// `AWS_ENDPOINT_URL_<SERVICE>` is, as everywhere.
    pub async fn for_endpoint(endpoint: &str, region: &str, keys: StaticKeys, clock: Arc<dyn Clock>) -> Connector {
        let credentials = Credentials::new(keys.access_key_id, keys.secret_access_key, keys.session_token, None, "freezeframe-drill");
        let conf = aws_config::defaults(BehaviorVersion::latest())
            .http_client(super::connect::https())
            .region(Region::new(region.to_string()))
            .endpoint_url(endpoint)
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .load()
            .await;
        Connector::assemble(conf, region.to_string(), clock)
    }
}

/// The bare clients.
#[expect(clippy::disallowed_methods, reason = "this folder is where clients are made")]
impl Connector {
    pub fn plain_lambda(&self) -> aws_sdk_lambda::Client {
        aws_sdk_lambda::Client::new(&self.conf)
    }
    pub fn plain_iam(&self) -> aws_sdk_iam::Client {
        aws_sdk_iam::Client::new(&self.conf)
    }
    pub fn plain_logs(&self) -> aws_sdk_cloudwatchlogs::Client {
        aws_sdk_cloudwatchlogs::Client::new(&self.conf)
    }
    pub fn plain_sts(&self) -> aws_sdk_sts::Client {
        aws_sdk_sts::Client::new(&self.conf)
    }
    /// Path-style where an endpoint is set: emulators have no names for buckets.
    pub fn plain_s3(&self) -> aws_sdk_s3::Client {
        let path_style = self.conf.endpoint_url().is_some();
        aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(&self.conf).force_path_style(path_style).build())
    }
}
