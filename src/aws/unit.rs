//! The clients of one unit: every one taped and fenced, built when first asked for.

use super::connect::Connector;
use super::fence::Fence;
use super::pace::Pace;
use super::tape::Tape;
use aws_types::SdkConfig;
use std::sync::OnceLock;

#[derive(Debug)]
pub struct Aws {
    pub(super) connector: Connector,
    pub(super) tape: Tape,
    pub(super) fence: Fence,
    lambda: OnceLock<aws_sdk_lambda::Client>,
    iam: OnceLock<aws_sdk_iam::Client>,
    logs: OnceLock<aws_sdk_cloudwatchlogs::Client>,
    cloudtrail: OnceLock<aws_sdk_cloudtrail::Client>,
    sts: OnceLock<aws_sdk_sts::Client>,
    s3: OnceLock<aws_sdk_s3::Client>,
}

/// The same three lines for each service; their builders share no trait.
macro_rules! client {
    ($(#[$doc:meta])* $name:ident, $krate:ident) => {
        $(#[$doc])*
        #[expect(clippy::disallowed_methods, reason = "the one place where clients are made")]
        pub fn $name(&self) -> &$krate::Client {
            self.$name.get_or_init(|| {
                $krate::Client::from_conf(
                    $krate::config::Builder::from(self.conf()).interceptor(self.fence.clone()).interceptor(self.tape.clone()).build(),
                )
            })
        }
    };
}

impl Aws {
    pub(super) fn new(connector: Connector, tape: Tape, fence: Fence) -> Self {
        Aws {
            connector,
            tape,
            fence,
            lambda: OnceLock::new(),
            iam: OnceLock::new(),
            logs: OnceLock::new(),
            cloudtrail: OnceLock::new(),
            sts: OnceLock::new(),
            s3: OnceLock::new(),
        }
    }

    fn conf(&self) -> &SdkConfig {
        &self.connector.conf
    }
    pub fn pace(&self) -> &Pace {
        &self.connector.pace
    }
    pub fn region(&self) -> &str {
        self.connector.region()
    }

    client!(lambda, aws_sdk_lambda);
    client!(iam, aws_sdk_iam);
    client!(logs, aws_sdk_cloudwatchlogs);
    client!(cloudtrail, aws_sdk_cloudtrail);
    client!(sts, aws_sdk_sts);

    /// S3, path-style where an endpoint is set: emulators have no names for buckets.
    #[expect(clippy::disallowed_methods, reason = "the one place where clients are made")]
    pub fn s3(&self) -> &aws_sdk_s3::Client {
        self.s3.get_or_init(|| {
            let conf = aws_sdk_s3::config::Builder::from(self.conf()).force_path_style(self.conf().endpoint_url().is_some());
            aws_sdk_s3::Client::from_conf(conf.interceptor(self.fence.clone()).interceptor(self.tape.clone()).build())
        })
    }

    /// The same unit in another Region: same tape, same fence, same pace.
    pub fn in_region(&self, region: &str) -> Aws {
        let mut tape = self.tape.clone();
        tape.region = region.to_string();
        Aws::new(self.connector.in_region(region), tape, self.fence.clone())
    }
}
