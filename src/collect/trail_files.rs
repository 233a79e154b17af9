//! The files of a trail in its bucket: where they lie, and bringing them into the bundle. Which there are, `trail_listing.rs` asks.
//!
//! `[prefix/]AWSLogs/[o-org/]<account>/CloudTrail[-Digest]/<region>/yyyy/mm/dd/<name>.json.gz`, listed in the order of their names, which is
//! the order of the days. Keys that are not of this form are not ours to read.

use super::cx::{Abort, CollectCx};
use super::log_file::Held;
use super::question::{Bound, PagesEnd, Question};
use super::trail_archive::{GET, LIST};
use super::trail_listing::{LISTED, Listed, day_of};
use crate::aws::Aws;
use crate::aws::fault::{Fault, FaultClass, tame};
use crate::model::exchange::{BodyEnd, Exchange};
use crate::model::gap::GapKind;
use crate::model::id::ItemId;
use crate::model::item::{ItemStatus, Sensitivity};
use crate::model::regions;
use crate::model::s3_place::S3Place;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use std::sync::{Mutex, PoisonError};

/// A bucket that refuses so often in a row will refuse the rest.
const REFUSALS: u32 = 10;
/// A file that has come into the bundle.
pub(super) struct Got {
    pub key: String,
    /// Its copy there.
    pub held: Held,
    /// `x-amz-meta-signature` and `x-amz-meta-signature-algorithm`: on digests.
    pub signature: Option<String>,
    pub algorithm: Option<String>,
}

pub(super) struct Files<'c> {
    cx: &'c CollectCx<'c>,
    place: S3Place,
    /// Where the bucket lies, if not in the target's Region.
    elsewhere: Option<Aws>,
    /// `…/AWSLogs/[o-org/]<account>/`: one, or one for each organisation that delivers here.
    roots: Vec<String>,
    /// The first reason why something was left. The gap that says it stands in the bundle; whoever builds on the files needs to know.
    short: Mutex<Option<Short>>,
}

/// Why what was read is not all.
pub(super) type Short = (GapKind, String);

impl<'c> Files<'c> {
    /// Find the account's part of the place. Where there is none to read, why; the item that says it is in the bundle.
    pub async fn open(cx: &'c CollectCx<'c>, place: S3Place) -> Result<Result<Files<'c>, Short>, Abort> {
        let base = match place.prefix.split('/').position(|s| s == "AWSLogs") {
            Some(_) => format!("{}/", place.prefix),
            None if place.prefix.is_empty() => "AWSLogs/".to_string(),
            None => format!("{}/AWSLogs/", place.prefix),
        };
        let mut files = Files { cx, place, elsewhere: None, roots: vec![], short: Mutex::default() };
        let parts = match files.parts(&base).await? {
            Ok(parts) => parts,
            Err(short) => return Ok(Err(short)),
        };
        let account = &cx.target().account;
        for part in parts {
            let name = part.strip_prefix(&base).unwrap_or_default().trim_end_matches('/');
            let organisation = name.starts_with("o-") && name.len() <= 34 && name[2..].bytes().all(|b| b.is_ascii_alphanumeric());
            let root = if organisation { format!("{base}{name}/{account}/") } else { format!("{base}{name}/") };
            if (name == account || organisation) && files.roots.len() < 10 && !files.roots.contains(&root) {
                files.roots.push(root);
            }
        }
        if files.roots.is_empty() {
            let why = format!("{}/{base} lists neither account {account} nor an organisation", files.place.bucket);
            let why = tame(&why, 300);
            cx.gap(GapKind::Unsupported, "log files of a trail in S3", &why)?;
            return Ok(Err((GapKind::Unsupported, why)));
        }
        Ok(Ok(files))
    }

    /// Something was left; its gap is in the bundle.
    pub fn fell_short(&self, kind: GapKind, why: &str) {
        self.short.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| (kind, why.to_string()));
    }
    pub fn short(&self) -> Option<Short> {
        self.short.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
    /// A gap of this kind, and so not all.
    pub fn gap(&self, kind: GapKind, subject: &str, why: &str) -> Result<(), Abort> {
        self.fell_short(kind, why);
        self.cx.gap(kind, subject, why).map(drop)
    }
    pub(super) fn note_end(&self, end: &PagesEnd) {
        match end {
            PagesEnd::Complete => {}
            PagesEnd::Stopped(kind, why) => self.fell_short(*kind, why),
            PagesEnd::Failed(fault) => self.fell_short(gap_kind(fault), &fault.to_string()),
        }
    }

    pub(super) fn cx(&self) -> &CollectCx<'_> {
        self.cx
    }
    pub(super) fn roots(&self) -> &[String] {
        &self.roots
    }
    pub fn bucket(&self) -> &str {
        &self.place.bucket
    }
    pub(super) fn aws(&self) -> &Aws {
        self.elsewhere.as_ref().unwrap_or(self.cx.aws())
    }

    /// Accounts and organisations that the trail delivers for. A bucket of another Region says where it is, once.
    async fn parts(&mut self, base: &str) -> Result<Result<Vec<String>, Short>, Abort> {
        const ELSEWHERE: &[(&str, &str)] = &[
            ("PermanentRedirect", "the bucket lies in another Region, and was asked there"),
            ("AuthorizationHeaderMalformed", "the bucket lies in another Region, and was asked there"),
        ];
        for attempt in 0..2 {
            let mut parts = vec![];
            let question = Question::new(&LIST, format!("accounts and organisations under s3://{}/{base}", self.place.bucket));
            let question = if attempt == 0 { question.not_in_use(ELSEWHERE) } else { question };
            let call = || self.aws().s3().list_objects_v2().bucket(&self.place.bucket).prefix(base).delimiter("/");
            let pages = self
                .cx
                .ask_all(
                    question,
                    Bound { pages: 20, ..Bound::default() },
                    |token| call().set_continuation_token(token).send(),
                    next_token,
                    |out| {
                        parts.extend(out.common_prefixes().iter().filter_map(|p| p.prefix().map(str::to_string)).take(LISTED));
                        out.contents().len() + out.common_prefixes().len()
                    },
                )
                .await?;
            match pages.end {
                PagesEnd::Failed(fault) if pages.read == 0 => {
                    let moved = fault.code.as_deref().is_some_and(|c| ELSEWHERE.iter().any(|(e, _)| *e == c));
                    match self.bucket_region(pages.item).filter(|r| moved && *r != self.aws().region()) {
                        Some(region) => self.elsewhere = Some(self.cx.aws().in_region(&region)),
                        None => return Ok(Err((gap_kind(&fault), fault.to_string()))),
                    }
                }
                end => {
                    self.note_end(&end);
                    return Ok(Ok(parts));
                }
            }
        }
        Ok(Err((GapKind::Unsupported, "the bucket is said to lie elsewhere, and elsewhere again".to_string())))
    }

    fn bucket_region(&self, item: ItemId) -> Option<String> {
        let item = self.cx.draft().items().into_iter().find(|i| i.id == item)?;
        let exchange = self.cx.draft().exchange(*item.exchanges.last()?)?;
        let region = exchange.response_headers.iter().find(|h| h.0 == "x-amz-bucket-region").map(|h| h.1.clone())?;
        regions::well_formed(&region).then_some(region)
    }

    /// The newest of the files, in their order; the rest is a gap.
    pub fn newest(&self, mut files: Vec<Listed>, count: u64, bytes: u64, subject: &str) -> Result<Vec<Listed>, Abort> {
        let mut sum = 0u64;
        let fits = |f: &Listed| {
            sum = sum.saturating_add(f.bytes);
            sum <= bytes
        };
        let keep = files.iter().rev().take(usize::try_from(count).unwrap_or(usize::MAX)).map(fits).take_while(|fits| *fits).count();
        let left = files.len() - keep;
        if left > 0 {
            let why = format!("{left} of {} files were not read, as bounded (max-files, max-bytes)", files.len());
            self.gap(GapKind::TooLarge, subject, &why)?;
        }
        Ok(files.split_off(left))
    }

    /// Bring the files into the bundle, eight at a time, in order. `what` names them in the items.
    pub fn read<'f>(&'f self, what: &str, files: Vec<Listed>) -> Reader<'f> {
        let total = files.len();
        let fetches: Vec<BoxFuture<'f, Fetched>> = files.into_iter().map(|f| self.fetch(f.key).boxed()).collect();
        let coming = stream::iter(fetches).buffered(8).boxed();
        Reader { cx: self.cx, files: self, what: what.to_string(), coming, total, done: 0, refused: 0, day: None, items: vec![] }
    }

    async fn fetch(&self, key: String) -> Fetched {
        let question = Question::new(&GET, &key);
        self.cx.turn(&question).await;
        let call = self.aws().s3().get_object().bucket(&self.place.bucket).key(&key);
        // The bytes pass the tape into the bundle; here they are only drained.
        let (result, exchanges) = self
            .cx
            .hear(&question, async {
                let mut out = call.send().await.map_err(Some)?;
                let said = |name: &str| out.metadata().and_then(|m| m.get(name)).map(|s| tame(s, 2000));
                let signed = (said("signature"), said("signature-algorithm"));
                while out.body.try_next().await.map_err(|_| None)?.is_some() {}
                Ok(signed)
            })
            .await;
        let last = exchanges.last();
        let result = match result {
            Err(Some(e)) => Err(Fault::of(&e, &exchanges)),
            Err(None) => Err(broken(last)),
            Ok((signature, algorithm)) => {
                let whole = last.filter(|x| x.body_end == BodyEnd::Complete);
                match whole.and_then(|x| Some((self.cx.draft().file_of(x.id)?, x.body_bytes))) {
                    Some((file, bytes)) => {
                        let held = Held::of(self.cx.shared.draft.clone(), file, bytes);
                        Ok(Got { key: key.clone(), held, signature, algorithm })
                    }
                    None => Err(broken(last)),
                }
            }
        };
        (key, result, exchanges)
    }
}

/// Key, what came of it, and the attempts.
type Fetched = (String, Result<Got, Fault>, Vec<Exchange>);

/// Files on their way into the bundle: one item for each day, one for each file that fails.
pub(super) struct Reader<'f> {
    cx: &'f CollectCx<'f>,
    files: &'f Files<'f>,
    what: String,
    coming: BoxStream<'f, Fetched>,
    total: usize,
    done: usize,
    /// Failures in a row.
    refused: u32,
    day: Option<(String, Vec<Exchange>)>,
    items: Vec<ItemId>,
}

impl Reader<'_> {
    /// The next file that came. After `None` all items are in the bundle.
    pub async fn next(&mut self) -> Result<Option<Got>, Abort> {
        while self.refused < REFUSALS {
            let Some((key, result, exchanges)) = self.coming.next().await else { break };
            self.done += 1;
            if self.done.is_multiple_of(200) {
                self.cx.say(&format!("{}: {} of {}", self.what, self.done, self.total));
            }
            let of = day_of(&key);
            if self.day.as_ref().is_some_and(|(d, _)| *d != of) {
                self.put_day()?;
            }
            match result {
                Ok(got) => {
                    self.refused = 0;
                    self.day.get_or_insert_with(|| (of, vec![])).1.extend(exchanges);
                    return Ok(Some(got));
                }
                Err(fault) => {
                    self.refused += 1;
                    let question = Question::new(&GET, format!("{}: {key}", self.what)).sensitivity(Sensitivity::S3);
                    self.cx.no_answer(&question, &fault, &exchanges)?;
                    self.files.fell_short(gap_kind(&fault), &fault.to_string());
                    if self.refused == REFUSALS && self.done < self.total {
                        let kind = gap_kind(&fault);
                        let why = format!("{} files were not asked for after {REFUSALS} failures in a row", self.total - self.done);
                        self.cx.gap(kind, &format!("further {}", self.what), &why)?;
                    }
                }
            }
        }
        self.put_day()?;
        Ok(None)
    }

    fn put_day(&mut self) -> Result<(), Abort> {
        if let Some((day, exchanges)) = self.day.take() {
            // A record of AssumeRole holds a session token.
            let question = Question::new(&GET, format!("{}, delivered {day}", self.what)).sensitivity(Sensitivity::S3);
            self.items.push(self.cx.draft().add(self.cx.item(&question, ItemStatus::Collected, &exchanges, None))?);
        }
        Ok(())
    }

    /// The items of the files that came.
    pub fn into_items(self) -> Vec<ItemId> {
        self.items
    }
}

/// A file that is listed and not there, or a bucket that is gone, is no proof about what it held.
fn gap_kind(fault: &Fault) -> GapKind {
    if fault.class == FaultClass::NotFound { GapKind::Truncated } else { fault.gap_kind() }
}

/// A body that did not come whole, by how it ended.
fn broken(last: Option<&Exchange>) -> Fault {
    let (class, message) = match last.map(|x| &x.body_end) {
        Some(BodyEnd::TooLarge(why)) => (FaultClass::TooLarge, why.clone()),
        Some(BodyEnd::Unsaved(why)) => (FaultClass::Internal, format!("the bytes could not be saved here: {why}")),
        Some(BodyEnd::Complete) => (FaultClass::Truncated, "the bytes are not what their checksum says, or there are none".to_string()),
        _ => (FaultClass::Truncated, "the object's body ended early".to_string()),
    };
    Fault {
        class,
        code: None,
        message: tame(&message, 300),
        status: last.and_then(|x| x.status),
        request_id: last.and_then(|x| x.request_id.clone()),
    }
}

pub(super) fn next_token(out: &ListObjectsV2Output) -> Option<String> {
    out.next_continuation_token().filter(|_| out.is_truncated() == Some(true)).map(str::to_string)
}
