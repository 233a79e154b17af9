//! A trail's own log files in S3 (`trail: s3://bucket/prefix`), instead of or beside the event history: older than ninety days, without its
//! rate, with data events where the trail records them, and with a digest chain. The reading itself is `trail_reading.rs`: collectors that take
//! their events `from: trail` share it.

use super::{Abort, CollectCx, Collector, CollectorSpec, Volatility};
use crate::model::call::{Call, Scope, Service};
use crate::model::item::Group;
use crate::model::params::{Param, ParamKind};
use async_trait::async_trait;

pub struct TrailArchive;

pub(super) const LIST: Call = Call::read(Service::S3, "ListObjectsV2", "s3:ListBucket", Scope::Any);
pub(super) const GET: Call = Call::read(Service::S3, "GetObject", "s3:GetObject", Scope::Any);
pub(super) const KEYS: Call = Call::read(Service::Cloudtrail, "ListPublicKeys", "cloudtrail:ListPublicKeys", Scope::Any);

pub(super) static TRAIL_ARCHIVE: CollectorSpec = CollectorSpec {
    id: "trail-archive",
    title: "A trail's log files in S3",
    answers: "What did a trail record about the function, its role and its sessions, and has the record been changed since?",
    group: Group::Control,
    volatility: Volatility::V2,
    calls: &[LIST, GET, KEYS],
    params: &[
        Param {
            name: "trail",
            kind: ParamKind::S3Place,
            default: "none",
            doc: "Where the trail delivers: `s3://bucket/prefix`, the prefix being what stands before `AWSLogs/`; `none` to leave it",
        },
        Param { name: "window", kind: ParamKind::Duration, default: "7d", doc: "How far back to read, by whole days of delivery" },
        Param {
            name: "regions",
            kind: ParamKind::Regions,
            default: "home",
            doc: "Which Regions' files to read: `own`, `home` (with the partition's global one), `all` that the account has enabled, or names",
        },
        Param {
            name: "max-files",
            kind: ParamKind::Count,
            default: "5000",
            doc: "Read so many files of each Region, the newest; what is older is a gap",
        },
        Param {
            name: "max-bytes",
            kind: ParamKind::Bytes,
            default: "512MiB",
            doc: "Read so many packed bytes of each Region, the newest; what is older is a gap",
        },
        super::credential_activity::MAX_DEPTH,
    ],
};

#[async_trait]
impl Collector for TrailArchive {
    fn spec(&self) -> &'static CollectorSpec {
        &TRAIL_ARCHIVE
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        // All items are written by the shared reading itself.
        cx.trail().await?.ok();
        Ok(())
    }
}
