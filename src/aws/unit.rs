//! The clients of one unit: every one taped and fenced, built when first asked for.

use super::connect::Connector;
use super::fence::Fence;
use super::pace::Pace;
use super::tape::Tape;
use aws_types::SdkConfig;
use aws_types::region::Region;
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

    /// CloudTrail of another Region (events of global services lie in one Region of the partition).
    #[expect(clippy::disallowed_methods, reason = "the one place where clients are made")]
    pub fn cloudtrail_in(&self, region: &str) -> aws_sdk_cloudtrail::Client {
        let mut tape = self.tape.clone();
        tape.region = region.to_string();
        let conf = aws_sdk_cloudtrail::config::Builder::from(self.conf()).region(Region::new(region.to_string()));
        aws_sdk_cloudtrail::Client::from_conf(conf.interceptor(self.fence.clone()).interceptor(tape).build())
    }

    /// Lambda of another Region: to say where a function of this name does exist.
    #[expect(clippy::disallowed_methods, reason = "the one place where clients are made")]
    pub fn lambda_in(&self, region: &str) -> aws_sdk_lambda::Client {
        let mut tape = self.tape.clone();
        tape.region = region.to_string();
        let conf = aws_sdk_lambda::config::Builder::from(self.conf()).region(Region::new(region.to_string()));
        aws_sdk_lambda::Client::from_conf(conf.interceptor(self.fence.clone()).interceptor(tape).build())
    }
}
