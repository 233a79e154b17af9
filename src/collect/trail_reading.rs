//! Reading a trail's own files: the files come into the bundle as they lie in the bucket; the records about the function, its role, its
//! sessions and the keys that were obtained with them are filtered out of them, session tokens withheld; the digest chain is checked. Read once
//! per run, however many collectors build on it.
//!
//! A file may show that a key was obtained whose use an earlier file holds: the copies in the bundle are gone through again until nothing new
//! turns up, without asking S3 anything twice.
//!
//! Keys, sizes, gzip and JSON are a stranger's: whoever can write into the bucket can write anything.

use super::digest_signature::PublicKeys;
use super::issued_keys;
use super::key_ledger::{Ledger, Whose};
use super::log_file::{self, Held, Odd, Unpacked};
use super::lookup_events::Window;
use super::record_filter::Filter;
use super::trail_archive::KEYS;
use super::trail_digests::{self, Digest};
use super::trail_files::{Files, Got, Short};
use super::trail_listing::{self, Span};
use super::{Abort, Bound, CollectCx, Question};
use crate::aws::fault::tame;
use crate::model::digest::Sha256;
use crate::model::gap::GapKind;
use crate::model::id::ItemId;
use crate::model::item::Sensitivity;
use crate::model::regions;
use crate::model::s3_place::S3Place;
use aws_sdk_cloudtrail::operation::list_public_keys::ListPublicKeysOutput;
use aws_smithy_types::DateTime as Instant;
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Filtered records that are kept; the rest is in the files.
const KEPT: usize = 64 << 20;

/// What the files said.
pub struct TrailReading {
    pub(super) window: Window,
    /// Whether it ended with the time at which the files were listed.
    pub(super) reaches_now: bool,
    pub(super) regions: Vec<String>,
    /// The items that hold the files and the filtered records.
    pub(super) items: Vec<ItemId>,
    /// Which keys were issued, used and handed on.
    pub(super) ledger: Ledger,
    /// Records of calls that changed the function or its role, one on a line.
    pub(super) changes: Vec<u8>,
    /// Why what was read is not all.
    pub(super) short: Option<Short>,
}

/// There is nothing to build on.
#[derive(Clone, Debug)]
pub struct NoTrail {
    pub(super) kind: GapKind,
    pub(super) why: String,
}

impl NoTrail {
    pub(super) fn not_planned() -> Self {
        NoTrail { kind: GapKind::Unsupported, why: "the plan reads no trail's files: `trail-archive` is no part of it".into() }
    }
    fn not_named() -> Self {
        NoTrail { kind: GapKind::Unsupported, why: "no trail was named: `--trail s3://…`, or `trail` of `trail-archive`".into() }
    }
}

/// `cx` must be the context of the `trail-archive` unit (see `facts.rs`).
pub(super) async fn read(cx: &CollectCx<'_>) -> Result<Result<TrailReading, NoTrail>, Abort> {
    let said = cx.params.text("trail").unwrap_or_default();
    let Some(place) = S3Place::parse_or_none(&said).flatten() else {
        cx.not_applicable("log files of a trail in S3", "no trail was named (parameter `trail` of this step, or --trail)")?;
        return Ok(Err(NoTrail::not_named()));
    };
    let role_arn = match cx.function_or_told().await? {
        Ok(fact) => fact.role_arn.clone(),
        Err(fault) => {
            cx.gap_from(&fault, "the execution role, as the configuration names it (the trail's records are filtered without it)")?;
            None
        }
    };
    let files = match Files::open(cx, place).await? {
        Ok(files) => files,
        Err((kind, why)) => return Ok(Err(NoTrail { kind, why: format!("the trail's files could not be read: {why}") })),
    };
    let target = cx.target();
    let whose = Whose { function: target.function.clone(), function_arn: target.arn(), role_arn };
    let mut reading = Reading {
        cx,
        files: &files,
        filter: Filter::new(&target.function, &target.arn(), whose.role_arn.as_deref()),
        ledger: Ledger::new(whose),
        kept: Kept::default(),
        copies: vec![],
        contents: BTreeMap::new(),
        listed: BTreeSet::new(),
        spans: vec![],
        items: vec![],
    };
    let (window, regions) = (cx.window("window"), cx.regions("regions").await?);
    let reaches_now = issued_keys::reaches_now(cx, window);
    let (mut digests, mut from_digests, mut homes) = (vec![], vec![], BTreeSet::from([target.region.clone()]));
    for region in &regions {
        reading.region(region, window).await?;
        let (found, from) = read_digests(cx, &files, region, window, &mut homes).await?;
        digests.extend(found);
        from_digests.extend(from);
    }
    reading.again_until_nothing_is_new().await?;
    let mut keys = PublicKeys::new();
    for home in homes {
        keys.extend(public_keys(cx, &home, window).await?);
    }
    reading.put_records()?;
    reading.put_integrity(&digests, &keys, from_digests)?;
    let Reading { ledger, kept, items, .. } = reading;
    Ok(Ok(TrailReading { window, reaches_now, regions, items, ledger, changes: kept.changes, short: files.short() }))
}

#[derive(Default)]
struct Kept {
    /// `{"file": …, "record": …}`, one on a line.
    lines: Vec<u8>,
    changes: Vec<u8>,
    /// A record that two trails deliver, or two readings find, is one.
    ids: HashSet<String>,
    left_out: u64,
}

/// One record that the filter took.
struct Taken {
    /// The event's, or the hash of a record that has none.
    id: String,
    record: String,
    changes: bool,
}

/// What the filter took of one file, how many records did not fit, how many could not be read.
#[derive(Default)]
struct Filtered {
    taken: Vec<Taken>,
    left: u64,
    /// Records that could not be read, so that nobody can tell whether they are about the function.
    unreadable: u64,
}

struct Reading<'r> {
    cx: &'r CollectCx<'r>,
    files: &'r Files<'r>,
    filter: Filter,
    ledger: Ledger,
    kept: Kept,
    /// Key and copy in the bundle of every log file that came.
    copies: Vec<(String, Held)>,
    /// Key → hash of the unpacked content.
    contents: BTreeMap<String, Sha256>,
    listed: BTreeSet<String>,
    /// How far the listings go.
    spans: Vec<Span>,
    items: Vec<ItemId>,
}

impl Reading<'_> {
    async fn region(&mut self, region: &str, window: Window) -> Result<(), Abort> {
        let listed = self.files.list("CloudTrail", region, window).await?;
        self.listed.extend(listed.files.iter().map(|f| f.key.clone()));
        let target = self.cx.target();
        let own = region == target.region;
        // Elsewhere it is usual that nothing happens.
        let expected = own || region == regions::global(&target.partition, &target.region);
        if let Some(why) = listed.silence(own, window).filter(|_| expected) {
            self.files.gap(GapKind::NotAcquirable, &format!("log files of {region}"), &why)?;
        }
        self.spans.extend(listed.spans);
        let (count, bytes) = (self.cx.count("max-files"), self.cx.bytes("max-bytes"));
        let wanted = self.files.newest(listed.files, count, bytes, &format!("older log files of {region}"))?;
        let mut reader = self.files.read(&format!("CloudTrail log files of {region}"), wanted);
        while let Some(got) = reader.next().await? {
            self.first_time(got).await?;
        }
        self.items.extend(reader.into_items());
        Ok(())
    }

    async fn first_time(&mut self, got: Got) -> Result<(), Abort> {
        let (unpacked, filtered) = unpack(got.held.clone(), self.filter.clone()).await;
        if filtered.unreadable > 0 {
            let subject = tame(&format!("records in {}", got.key), 300);
            let why = format!("{} records are nested too deep, or hold numbers that are none: they are in the file", filtered.unreadable);
            self.files.gap(GapKind::Unsupported, &subject, &why)?;
        }
        self.take(&got.key, filtered);
        if let Some(content) = unpacked.content {
            self.contents.insert(got.key.clone(), content);
        }
        if let Some(odd) = unpacked.odd {
            let kind = if matches!(odd, Odd::Bomb { .. }) { GapKind::TooLarge } else { GapKind::Truncated };
            let subject = tame(&format!("records in {}", got.key), 300);
            self.files.gap(kind, &subject, &format!("{odd}; {} records before were read", unpacked.records))?;
        }
        self.copies.push((got.key, got.held));
        Ok(())
    }

    /// What the ledger has learned since (a role, keys that were obtained) makes more records worth keeping.
    async fn again_until_nothing_is_new(&mut self) -> Result<(), Abort> {
        let depth = u32::try_from(self.cx.count("max-depth")).unwrap_or(u32::MAX);
        // Each round goes one hand further, and one may be needed to learn the role; more rounds than hands find nothing.
        for _ in 0..=depth.saturating_add(1).min(10) {
            let filter = self.filter.knowing(self.ledger.role_arn(), self.ledger.followed(depth));
            if filter == self.filter {
                break;
            }
            self.filter = filter;
            self.cx.say(&format!("{} log files of the trail are gone through again, for keys that were obtained", self.copies.len()));
            for (key, held) in self.copies.clone() {
                let (_, filtered) = unpack(held, self.filter.clone()).await;
                // What does not fit was counted the first time.
                self.take(&key, Filtered { left: 0, ..filtered });
            }
        }
        Ok(())
    }

    fn take(&mut self, file: &str, filtered: Filtered) {
        self.kept.left_out += filtered.left;
        for Taken { id, record, changes } in filtered.taken {
            // Heard again, for what meant nothing before may mean something now; the ledger knows what it has counted.
            self.ledger.hear("", &record);
            if self.kept.ids.contains(&id) {
                continue;
            }
            let line = format!("{{\"file\":{},\"record\":{record}}}\n", Value::from(file));
            if self.kept.lines.len() + line.len() > KEPT {
                self.kept.left_out += 1;
                continue;
            }
            self.kept.lines.extend_from_slice(line.as_bytes());
            if changes {
                self.kept.changes.extend_from_slice(line.as_bytes());
            }
            self.kept.ids.insert(id);
        }
    }

    fn put_records(&mut self) -> Result<(), Abort> {
        if self.kept.left_out > 0 {
            let why = format!("{} records did not fit into {KEPT} bytes; they are in the log files", self.kept.left_out);
            self.files.gap(GapKind::TooLarge, "table of the trail's records: records that are not in it", &why)?;
        }
        const SUBJECT: &str =
            "the trail's records about the function, its role, its sessions and keys obtained by them (session tokens withheld)";
        let item = self.cx.derive(SUBJECT, "trail-events", "jsonl", &self.kept.lines, self.items.clone(), Sensitivity::S2)?;
        self.items.push(item);
        Ok(())
    }

    fn put_integrity(&self, digests: &[Digest], keys: &PublicKeys, from_digests: Vec<ItemId>) -> Result<(), Abort> {
        const SUBJECT: &str = "integrity of the trail's log files: hashes, chain and signatures of the digests";
        if digests.is_empty() {
            let why = "no digest file was found or read: the trail's log file validation is off, or the digests are elsewhere";
            return self.cx.not_applicable(SUBJECT, why).map(drop);
        }
        let reach = |key: &str| trail_listing::reach(&self.spans, key);
        let integrity = trail_digests::check(digests, keys, &self.contents, &self.listed, reach);
        let bytes = serde_json::to_vec_pretty(&integrity).unwrap_or_default();
        let from = self.items.iter().copied().chain(from_digests).collect();
        self.cx.derive(SUBJECT, "trail-integrity", "json", &bytes, from, Sensitivity::S1)?;
        Ok(())
    }
}

/// On a thread of its own: unpacking is work, not waiting.
async fn unpack(held: Held, filter: Filter) -> (Unpacked, Filtered) {
    let work = tokio::task::spawn_blocking(move || filtered(&held, &filter));
    // A panic in there is the collector's: it becomes a gap of kind internal.
    match work.await {
        Ok(done) => done,
        Err(e) => match e.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => (Unpacked { records: 0, content: None, odd: Some(Odd::Copy(std::io::ErrorKind::Interrupted)) }, Filtered::default()),
        },
    }
}

/// Of one file no more is taken than is kept of all.
fn filtered(held: &Held, filter: &Filter) -> (Unpacked, Filtered) {
    let (mut out, mut bytes) = (Filtered::default(), 0usize);
    let unpacked = log_file::records(held, &mut |text| {
        let record = match filter.take(text) {
            Ok(Some(record)) => record,
            Ok(None) => return,
            Err(_) => return out.unreadable += 1,
        };
        let changes = filter.is_change(&record);
        let id = record.get("eventID").and_then(Value::as_str).map(str::to_string);
        let record = record.to_string();
        bytes = bytes.saturating_add(record.len());
        if bytes > KEPT {
            out.left += 1;
        } else {
            let id = id.unwrap_or_else(|| Sha256::of(record.as_bytes()).to_string());
            out.taken.push(Taken { id, record, changes });
        }
    });
    (unpacked, out)
}

/// The digests of a Region, with the Regions whose keys sign them.
async fn read_digests(
    cx: &CollectCx<'_>,
    files: &Files<'_>,
    region: &str,
    window: Window,
    homes: &mut BTreeSet<String>,
) -> Result<(Vec<Digest>, Vec<ItemId>), Abort> {
    let listed = files.list("CloudTrail-Digest", region, window).await?;
    let wanted = files.newest(listed.files, cx.count("max-files"), cx.bytes("max-bytes"), &format!("older digest files of {region}"))?;
    let mut found = vec![];
    let mut reader = files.read(&format!("CloudTrail digest files of {region}"), wanted);
    while let Some(got) = reader.next().await? {
        homes.extend(home_of(&got.key).filter(|_| homes.len() < 20));
        let (unpacked, bytes) = log_file::whole(&got.held);
        match (unpacked.content, unpacked.odd, serde_json::from_slice(&bytes)) {
            (Some(content), None, Ok(document)) => {
                let Got { key, signature, algorithm, .. } = got;
                found.push(Digest { bucket: files.bucket().to_string(), key, content, signature, algorithm, document });
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

/// `<account>_CloudTrail-Digest_<region>_<trail>_<home>_<time>[_backfill].json.gz`; a trail's name may hold underscores.
fn home_of(key: &str) -> Option<String> {
    let name = key.strip_suffix(".json.gz")?;
    let name = name.strip_suffix("_backfill").unwrap_or(name);
    name.rsplit('_').nth(1).filter(|h| regions::well_formed(h)).map(str::to_string)
}

/// The keys with which the digests of this time were signed. Until now, not until the window's end: a digest that was made up later is signed
/// by a key of that time.
async fn public_keys(cx: &CollectCx<'_>, region: &str, (from, to): Window) -> Result<PublicKeys, Abort> {
    let elsewhere = cx.aws_in(region);
    let client = elsewhere.as_ref().unwrap_or(cx.aws()).cloudtrail();
    let instant = |t: DateTime<Utc>| Instant::from_millis(t.timestamp_millis());
    let call = || client.list_public_keys().start_time(instant(from)).end_time(instant(cx.server_now().max(to)));
    let mut keys = PublicKeys::new();
    // What a refusal leaves open stands in the table too, as signatures whose key is not known.
    cx.ask_pages(
        Question::new(&KEYS, format!("public keys that sign digest files in {region}")).region(region),
        Bound::default(),
        |token| call().set_next_token(token).send(),
        |out: &ListPublicKeysOutput| out.next_token().map(str::to_string),
        |out| {
            for key in out.public_key_list().iter().take(10_000) {
                if let (Some(fingerprint), Some(value)) = (key.fingerprint(), key.value()) {
                    keys.insert(fingerprint.to_string(), value.as_ref().to_vec());
                }
            }
            out.public_key_list().len()
        },
    )
    .await?;
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::home_of;

    #[test]
    fn the_home_of_a_trail_stands_before_the_time() {
        let key = "a/AWSLogs/1/CloudTrail-Digest/eu-west-1/2026/11/20/1_CloudTrail-Digest_eu-west-1_my_trail_us-east-1_20261120T100000Z";
        assert_eq!(home_of(&format!("{key}.json.gz")).as_deref(), Some("us-east-1"));
        assert_eq!(home_of(&format!("{key}_backfill.json.gz")).as_deref(), Some("us-east-1"));
        for bad in ["", "x.json.gz", "1_evil.example_2026.json.gz", "1_us-east-1_2026"] {
            assert_eq!(home_of(bad), None, "{bad}");
        }
    }
}
