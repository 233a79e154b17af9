//! The bucket that the stolen credentials can read.

use super::{Doing as _, Place, SeedClients, SeedError, names};

pub(super) async fn seed(clients: &SeedClients, place: &Place) -> Result<String, SeedError> {
    let bucket = format!("payments-exports-{}", place.account);
    clients.s3.create_bucket().bucket(&bucket).send().await.doing("create the bucket")?;
    let put = clients.s3.put_object().bucket(&bucket).key(names::OBJECT_KEY);
    let body = aws_sdk_s3::primitives::ByteStream::from_static(names::OBJECT_BODY.as_bytes());
    put.content_type("text/csv").body(body).send().await.doing("store the exported payments")?;
    Ok(bucket)
}
