//! A trail's own log files in S3 (`trail: s3://bucket/prefix`), instead of or beside the event history: older than ninety days, without its
//! rate, with data events where the trail records them, and with a digest chain. The files come into the bundle as they lie there; the
//! records about the function, its role and its sessions are filtered out of them into one file, session tokens withheld.
//!
//! Keys, sizes, gzip and JSON are a stranger's: whoever can write into the bucket can write anything.

use super::log_file::{self, Odd, Unpacked};
use super::record_filter::Filter;
use super::trail_digests::{self, Digest};
use super::trail_files::{Files, Got};
use super::{Abort, CollectCx, Collector, CollectorSpec, Volatility};
use crate::aws::fault::tame;
use crate::model::call::{Call, Scope, Service};
use crate::model::digest::Sha256;
use crate::model::gap::GapKind;
use crate::model::id::ItemId;
use crate::model::item::{Group, Sensitivity};
use crate::model::params::{Param, ParamKind};
use crate::model::regions;
use crate::model::s3_place::S3Place;
use async_trait::async_trait;
use aws_sdk_cloudtrail::operation::list_public_keys::ListPublicKeysOutput;
use aws_smithy_types::DateTime as Instant;
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

pub struct TrailArchive;

pub(super) const LIST: Call = Call::read(Service::S3, "ListObjectsV2", "s3:ListBucket", Scope::Any);
pub(super) const GET: Call = Call::read(Service::S3, "GetObject", "s3:GetObject", Scope::Any);
const KEYS: Call = Call::read(Service::Cloudtrail, "ListPublicKeys", "cloudtrail:ListPublicKeys", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
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
        Param { name: "window", kind: ParamKind::Duration, default: "2d", doc: "How far back to read, by whole days of delivery" },
        Param {
            name: "regions",
            kind: ParamKind::RegionSet,
            default: "home",
            doc: "Which Regions' files to read: `home` (the function's and the partition's global one), `all`, or names",
        },
        Param { name: "max-files", kind: ParamKind::Count, default: "5000", doc: "Read so many files, the newest; what is older is a gap" },
        Param {
            name: "max-bytes",
            kind: ParamKind::Bytes,
            default: "512MiB",
            doc: "Read so many packed bytes, the newest; what is older is a gap",
        },
    ],
};

/// Filtered records that are kept; the rest is in the files.
const KEPT: usize = 64 << 20;

#[async_trait]
impl Collector for TrailArchive {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        let said = cx.params.text("trail").unwrap_or_default();
        let Some(place) = S3Place::parse_or_none(&said).flatten() else {
            return cx.not_applicable("log files of a trail in S3", "no trail was named (parameter `trail` of this step)").map(drop);
        };
        let role_arn = match cx.function_or_told().await? {
            Ok(fact) => fact.role_arn.clone(),
            Err(fault) => {
                cx.gap_from(&fault, "the execution role, as the configuration names it (the trail's records are filtered without it)")?;
                None
            }
        };
        let Some(files) = Files::open(cx, place).await? else { return Ok(()) };
        let mut reading = Reading {
            filter: Filter::new(&cx.target().function, &cx.target().arn(), role_arn.as_deref()),
            kept: vec![],
            left_out: 0,
            odd: vec![],
            contents: BTreeMap::new(),
            listed: BTreeSet::new(),
            from: vec![],
            from_digests: vec![],
        };
        let window = cx.window("window");
        let mut homes = BTreeSet::from([cx.target().region.clone()]);
        let mut digests = vec![];
        for region in cx.region_set("regions") {
            reading.region(cx, &files, &region, window).await?;
            let (found, from) = read_digests(cx, &files, &region, window, &mut homes).await?;
            digests.extend(found);
            reading.from_digests.extend(from);
        }
        reading.put_records(cx)?;
        reading.put_integrity(cx, &files, &digests, window)?;
        for home in homes {
            public_keys(cx, &home, window).await?;
        }
        Ok(())
    }
}

struct Reading {
    filter: Filter,
    kept: Vec<u8>,
    left_out: u64,
    odd: Vec<String>,
    /// Key → hash of the unpacked content.
    contents: BTreeMap<String, Sha256>,
    listed: BTreeSet<String>,
    from: Vec<ItemId>,
    from_digests: Vec<ItemId>,
}

impl Reading {
    async fn region(
        &mut self,
        cx: &CollectCx<'_>,
        files: &Files<'_>,
        region: &str,
        window: (DateTime<Utc>, DateTime<Utc>),
    ) -> Result<(), Abort> {
        let listed = files.list("CloudTrail", region, window).await?;
        self.listed.extend(listed.iter().map(|f| f.key.clone()));
        let wanted = files.newest(listed, cx.count("max-files"), cx.bytes("max-bytes"), &format!("older log files of {region}"))?;
        let mut reader = files.read(&format!("CloudTrail log files of {region}"), wanted);
        while let Some(got) = reader.next().await? {
            self.one(cx, got).await?;
        }
        self.from.extend(reader.into_items());
        Ok(())
    }

    async fn one(&mut self, cx: &CollectCx<'_>, got: Got) -> Result<(), Abort> {
        let (unpacked, records) = unpack(got.path.clone(), self.filter.clone()).await;
        for record in records {
            let line = serde_json::json!({"file": got.key, "record": record}).to_string();
            if self.kept.len() + line.len() > KEPT {
                self.left_out += 1;
                continue;
            }
            self.kept.extend_from_slice(line.as_bytes());
            self.kept.push(b'\n');
        }
        if let Some(content) = unpacked.content {
            self.contents.insert(got.key.clone(), content);
        }
        if let Some(odd) = unpacked.odd {
            let kind = if matches!(odd, Odd::Bomb { .. }) { GapKind::TooLarge } else { GapKind::Truncated };
            let subject = format!("records in {}", got.key);
            cx.gap(kind, &tame(&subject, 300), &format!("{odd}; {} records before were read", unpacked.records))?;
            self.odd.push(got.key);
        }
        Ok(())
    }

    fn put_records(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        if self.left_out > 0 {
            let why = format!("{} records did not fit into {KEPT} bytes; they are in the log files", self.left_out);
            cx.gap(GapKind::TooLarge, "table of the trail's records: records that are not in it", &why)?;
        }
        const SUBJECT: &str = "the trail's records about the function, its role and its sessions (session tokens withheld)";
        cx.derive(SUBJECT, "trail-events", "jsonl", &self.kept, self.from.clone(), Sensitivity::S2)?;
        Ok(())
    }

    fn put_integrity(
        &self,
        cx: &CollectCx<'_>,
        files: &Files<'_>,
        digests: &[Digest],
        window: (DateTime<Utc>, DateTime<Utc>),
    ) -> Result<(), Abort> {
        const SUBJECT: &str = "integrity of the trail's log files: hashes and chain (signatures were not checked)";
        if digests.is_empty() {
            let why = "no digest file was found or read: the trail's log file validation is off, or the digests are elsewhere";
            return cx.not_applicable(SUBJECT, why).map(drop);
        }
        let mut from = self.from.clone();
        from.extend(&self.from_digests);
        let covered = |key: &str| files.covers("CloudTrail", key, window);
        let integrity = trail_digests::check(digests, &self.contents, &self.listed, covered);
        let bytes = serde_json::to_vec_pretty(&integrity).unwrap_or_default();
        cx.derive(SUBJECT, "trail-integrity", "json", &bytes, from, Sensitivity::S1)?;
        Ok(())
    }
}

/// On a thread of its own: unpacking is work, not waiting.
async fn unpack(path: PathBuf, filter: Filter) -> (Unpacked, Vec<Value>) {
    let work = tokio::task::spawn_blocking(move || {
        let mut kept = vec![];
        let unpacked = log_file::records(&path, &mut |record| kept.extend(filter.take(record)));
        (unpacked, kept)
    });
    // A panic in there is the collector's: it becomes a gap of kind internal.
    match work.await {
        Ok(done) => done,
        Err(e) => match e.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => (Unpacked { records: 0, content: None, odd: Some(Odd::Copy(std::io::ErrorKind::Interrupted)) }, vec![]),
        },
    }
}

/// The digests of a Region, with the Regions whose keys sign them.
async fn read_digests(
    cx: &CollectCx<'_>,
    files: &Files<'_>,
    region: &str,
    window: (DateTime<Utc>, DateTime<Utc>),
    homes: &mut BTreeSet<String>,
) -> Result<(Vec<Digest>, Vec<ItemId>), Abort> {
    let listed = files.list("CloudTrail-Digest", region, window).await?;
    let wanted = files.newest(listed, cx.count("max-files"), cx.bytes("max-bytes"), &format!("older digest files of {region}"))?;
    let mut found = vec![];
    let mut reader = files.read(&format!("CloudTrail digest files of {region}"), wanted);
    while let Some(got) = reader.next().await? {
        // `<account>_CloudTrail-Digest_<region>_<trail>_<home>_<time>.json.gz`; a trail's name may hold underscores.
        let home = got.key.rsplit('_').nth(1).filter(|h| regions::well_formed(h) && homes.len() < 20);
        homes.extend(home.map(str::to_string));
        let (unpacked, bytes) = log_file::whole(&got.path);
        match (unpacked.content, unpacked.odd, serde_json::from_slice(&bytes)) {
            (Some(content), None, Ok(document)) => {
                found.push(Digest { bucket: files.bucket().to_string(), key: got.key, content, signature: got.signature, document });
            }
            (_, odd, _) => {
                let subject = tame(&format!("digest {}", got.key), 300);
                cx.gap(GapKind::Truncated, &subject, &odd.unwrap_or(Odd::Json).to_string())?;
            }
        }
    }
    let from = reader.into_items();
    Ok((found, from))
}

/// The keys with which the digests of this time were signed: whoever checks the signatures later needs them.
async fn public_keys(cx: &CollectCx<'_>, region: &str, (from, to): (DateTime<Utc>, DateTime<Utc>)) -> Result<(), Abort> {
    let elsewhere = (region != cx.aws().region()).then(|| cx.aws().in_region(region));
    let client = elsewhere.as_ref().unwrap_or(cx.aws()).cloudtrail();
    let instant = |t: DateTime<Utc>| Instant::from_millis(t.timestamp_millis());
    let call = || client.list_public_keys().start_time(instant(from)).end_time(instant(to));
    cx.ask_pages(
        super::Question::new(&KEYS, format!("public keys that sign digest files in {region}")).region(region),
        super::Bound::default(),
        |token| call().set_next_token(token).send(),
        |out: &ListPublicKeysOutput| out.next_token().map(str::to_string),
        |out| out.public_key_list().len(),
    )
    .await?;
    Ok(())
}
