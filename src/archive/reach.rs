//! Whether a bucket is there at all: under this name, in this Region, and its expected owner's.

use super::bucket::Bucket;
use crate::aws::fault::{Fault, tame};

/// The bucket could not be reached under this name, owner or Region.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    #[error("cannot reach the bucket {bucket}")]
    Ask {
        bucket: String,
        #[source]
        source: Box<Fault>,
    },
    #[error("the bucket {bucket} lies in {region}, and S3 was asked in another Region")]
    OtherRegion { bucket: String, region: String },
    #[error("there is no bucket {bucket}")]
    None { bucket: String },
    #[error("the bucket {bucket} may not be reached{}", owner.as_ref().map(|o| format!(", or is not account {o}'s")).unwrap_or_default())]
    Denied {
        bucket: String,
        owner: Option<String>,
        #[source]
        source: Box<Fault>,
    },
}

impl Bucket {
    /// Whether the bucket is there, and is its expected owner's; the Region that S3 names.
    pub async fn reach(&self) -> Result<Option<String>, ReachError> {
        let request = self.client.head_bucket().bucket(&self.name).set_expected_bucket_owner(self.owner.clone());
        let error = match request.send().await {
            Ok(answer) => return Ok(answer.bucket_region().map(|r| tame(r, 40))),
            Err(error) => error,
        };
        let bucket = self.name.clone();
        let region = error.raw_response().and_then(|r| r.headers().get("x-amz-bucket-region")).map(|r| tame(r, 40));
        let source = Box::new(Fault::of(&error, &[]));
        Err(match (source.status, region) {
            (Some(301 | 307 | 400), Some(region)) => ReachError::OtherRegion { bucket, region },
            (Some(404), _) => ReachError::None { bucket },
            (Some(403), _) => ReachError::Denied { bucket, owner: self.owner.clone(), source },
            _ => ReachError::Ask { bucket, source },
        })
    }
}
