//! The client of a store in S3: without the tape (a bundle cannot hold its own upload, and a journal's segments are not evidence of AWS),
//! but with a fence: it can put, read and list, and nothing else.

use super::connect::Connector;
use super::fence::Fence;
use crate::model::call::{Call, Scope, Service};

/// What a store in S3 does. Granted on the bucket and its objects.
pub static STORE_CALLS: &[Call] = &[
    Call::write(Service::S3, "PutObject", "s3:PutObject", Scope::Any),
    Call::read(Service::S3, "GetObject", "s3:GetObject", Scope::Any),
    Call::read(Service::S3, "HeadObject", "s3:GetObject", Scope::Any),
    // Also what makes S3 answer 404 instead of 403 for an object that does not exist.
    Call::read(Service::S3, "ListObjectsV2", "s3:ListBucket", Scope::Any),
];

impl Connector {
    /// For [`crate::store`]. Path-style where an endpoint is set: emulators have no names for buckets.
    #[expect(clippy::disallowed_methods, reason = "this folder is where clients are made")]
    pub fn s3_plain(&self) -> aws_sdk_s3::Client {
        // The SDK reads these two by itself; of the result it tells nobody whether there was one.
        let own = std::env::var_os("AWS_ENDPOINT_URL_S3").is_some_and(|v| !v.is_empty());
        let path_style = own || self.conf.endpoint_url().is_some();
        let fence = Fence { unit: "store", calls: STORE_CALLS, reads_only: false };
        aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(&self.conf).force_path_style(path_style).interceptor(fence).build())
    }
}
