//! Code, downloaded once for each digest: `$LATEST` and most versions share their bytes, and the same package is neither asked for nor stored
//! twice. What is stored is held against AWS's own words; only bytes that agree with `CodeSha256` stand in for another's.

use super::cx::{Abort, CollectCx};
use super::download::Tried;
use super::facts::FunctionFact;
use super::question::{Question, Reply};
use crate::aws::fault::tame;
use crate::model::call::{Call, Scope, Service};
use crate::model::gap::GapKind;
use crate::model::id::ItemId;
use crate::model::item::{FileRef, Sensitivity};
use crate::model::params::{Param, ParamKind};
use crate::model::path::BundlePath;
use std::sync::Arc;

pub(super) const DOWNLOAD: Call = Call::free(Service::Https, "DownloadCode");
pub(super) const ADDRESS_AGAIN: Call = Call::read(Service::Lambda, "GetFunction", "lambda:GetFunction", Scope::Function);
pub(super) const MAX_BYTES: Param =
    Param { name: "max-bytes", kind: ParamKind::Bytes, default: "2GiB", doc: "Largest package to download; a larger one leaves a gap" };
/// Lambda takes at most 250 MB unzipped, so no package should be larger; one that AWS itself calls larger is let through.
const USUAL_LIMIT: u64 = 300 << 20;

/// Bytes of the bundle that agree with the digest that AWS states for them.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub item: ItemId,
    pub subject: String,
    pub file: FileRef,
}

/// Why a cell stays empty. In the first case an item says it already.
pub(super) enum NotStored {
    Recorded,
    Aborted(Abort),
}

impl From<Abort> for NotStored {
    fn from(e: Abort) -> Self {
        NotStored::Aborted(e)
    }
}

/// Whose code it is. `qualifier` is `None` for `$LATEST`.
pub(super) struct Whose<'q> {
    pub words: &'q str,
    pub qualifier: Option<&'q str>,
}

impl Whose<'_> {
    fn subject(&self) -> String {
        tame(&format!("code of {}", self.words), 300)
    }
    fn file_name(&self) -> String {
        self.qualifier.map_or_else(|| "$LATEST".to_string(), |q| format!("v{q}"))
    }
}

/// The most that a package may have which is said to have `stated` bytes.
pub(super) fn limit(cx: &CollectCx<'_>, stated: Option<u64>) -> u64 {
    let size = stated.unwrap_or_default();
    cx.bytes(MAX_BYTES.name).min(USUAL_LIMIT.max(size.saturating_add(size / 10)))
}

/// Put the code that `fact` describes into the bundle, or say whose bytes it shares, or leave a gap.
pub(super) async fn obtain(cx: &CollectCx<'_>, whose: &Whose<'_>, fact: &FunctionFact) -> Result<(), Abort> {
    let subject = whose.subject();
    if fact.package_type.as_deref() == Some("Image") {
        return match fact.image_uri.as_deref() {
            Some(uri) => {
                cx.not_applicable(&subject, &format!("it is a container image, which `container-image` reads: {}", tame(uri, 300)))
            }
            None => cx.gap(GapKind::Unsupported, &subject, "it is a container image, and GetFunction did not resolve its address"),
        }
        .map(drop);
    }
    let Some(url) = fact.code_url.as_deref() else {
        cx.gap(
            GapKind::Unsupported,
            &subject,
            "GetFunction answered without an address for the code; Code.Error in its answer may say why",
        )?;
        return Ok(());
    };
    let Some(digest) = fact.code_sha256.as_deref() else {
        return match download(cx, whose, fact, url).await {
            Err(NotStored::Aborted(e)) => Err(e),
            Ok(_) | Err(NotStored::Recorded) => Ok(()),
        };
    };
    let cell = cx.stored_code(digest);
    match cell.get_or_try_init(|| download(cx, whose, fact, url)).await {
        Ok(stored) if stored.subject != subject => {
            let question = Question::new(&DOWNLOAD, &subject).sensitivity(Sensitivity::S3);
            cx.same_bytes(&question, stored, ("CodeSha256", digest)).map(drop)
        }
        Ok(_) | Err(NotStored::Recorded) => Ok(()),
        Err(NotStored::Aborted(e)) => Err(e),
    }
}

async fn download(cx: &CollectCx<'_>, whose: &Whose<'_>, fact: &FunctionFact, url: &str) -> Result<Stored, NotStored> {
    let question = Question::new(&DOWNLOAD, whose.subject()).sensitivity(Sensitivity::S3);
    let mut tried = fetch(cx, &question, whose, fact, url).await;
    let mut notes = vec![];
    let mut newer = None;
    if tried.expired() {
        match again(cx, whose).await? {
            Some(second) => {
                notes.push(since(fact, &second));
                if let Some(url) = second.code_url.clone() {
                    tried = tried.then(fetch(cx, &question, whose, &second, &url).await);
                    newer = Some(second);
                }
            }
            None => notes.push("the presigned address was refused, and GetFunction gave no second one".to_string()),
        }
    }
    let stated = newer.as_deref().unwrap_or(fact);
    if tried.fault.is_none()
        && let Some(size) = stated.code_size
        && size != tried.bytes()
    {
        notes.push(format!("CodeSize says {size} bytes, {} came", tried.bytes()));
    }
    let digest = stated.code_sha256.as_deref().map(|value| ("CodeSha256", value));
    let detail = (!notes.is_empty()).then(|| notes.join("; "));
    // Bytes of a later revision, or other bytes than AWS says, are nobody else's.
    let file = if stated.code_sha256 == fact.code_sha256 && tried.agrees_with(digest) { tried.file(cx) } else { None };
    match (cx.settle_download(&question, tried, digest, detail)?, file) {
        (Ok(item), Some(file)) => Ok(Stored { item, subject: whose.subject(), file }),
        _ => Err(NotStored::Recorded),
    }
}

async fn fetch(cx: &CollectCx<'_>, question: &Question<'_>, whose: &Whose<'_>, fact: &FunctionFact, url: &str) -> Tried {
    let path = BundlePath::below(cx.spec.group.dir(), &whose.file_name(), "zip");
    cx.try_download(question, url, path, limit(cx, fact.code_size)).await
}

/// The address has expired (ten minutes, or less when the caller's session ended): ask for another, once.
async fn again(cx: &CollectCx<'_>, whose: &Whose<'_>) -> Result<Option<Arc<FunctionFact>>, Abort> {
    let subject = format!("configuration and code location of {}, asked again for a fresh address", whose.words);
    let question = Question::new(&ADDRESS_AGAIN, subject).sensitivity(Sensitivity::S3);
    let call = cx.aws().lambda().get_function().function_name(&cx.target().function);
    let reply = cx.ask(question, call.set_qualifier(whose.qualifier.map(str::to_string)).send()).await?;
    Ok(match reply {
        Reply::Got(answer) => Some(Arc::new(FunctionFact::from_output(answer.item, &answer.output))),
        Reply::Absent(_) | Reply::Gap(_) => None,
    })
}

/// Whether the function changed between the two answers.
fn since(before: &FunctionFact, after: &FunctionFact) -> String {
    let shown = |id: &Option<String>| tame(id.as_deref().unwrap_or("none"), 60);
    if before.revision_id == after.revision_id {
        "the first address was refused; a fresh one was asked for, and RevisionId had not changed".to_string()
    } else {
        format!(
            "the first address was refused; when a fresh one was asked for, RevisionId had changed from {} to {}: this is the code of the later revision",
            shown(&before.revision_id),
            shown(&after.revision_id)
        )
    }
}
