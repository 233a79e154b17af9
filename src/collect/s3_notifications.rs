//! Notifications of the buckets that the resource policies admit: which objects fire the function, and what else the bucket fires. S3 knows
//! no search by target, so a bucket that no statement names cannot be found from here.

use super::cx::at_once;
use super::trigger_table::{self, Source, Way};
use super::{Abort, CollectCx, Collector, CollectorSpec, Question, Volatility};
use crate::model::call::{Call, Scope, Service};
use crate::model::item::Group;
use async_trait::async_trait;
use futures_util::FutureExt;

pub struct S3Notifications;

const GET: Call = Call::read(Service::S3, "GetBucketNotificationConfiguration", "s3:GetBucketNotification", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "s3-notifications",
    title: "S3 notifications",
    answers: "Which buckets fire the function, on which objects, and is one of them not ours?",
    group: Group::Triggers,
    volatility: Volatility::V2,
    calls: &[GET],
    params: &[],
};

#[async_trait]
impl Collector for S3Notifications {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        let buckets = trigger_table::sources(cx, Way::Bucket, "S3 buckets").await?;
        if buckets.is_empty() {
            return cx.not_applicable("S3 notifications", "no statement that was read admits a bucket by its name").map(drop);
        }
        at_once(buckets.into_iter().map(|bucket| notifications(cx, bucket).boxed())).await
    }
}

async fn notifications(cx: &CollectCx<'_>, bucket: Source) -> Result<(), Abort> {
    let question = Question::new(&GET, format!("notifications of bucket {}", bucket.resource));
    cx.ask(question, cx.aws().s3().get_bucket_notification_configuration().bucket(&bucket.resource).send()).await?;
    Ok(())
}
