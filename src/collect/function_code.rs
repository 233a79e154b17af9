//! The code of `$LATEST`, through the presigned address that `GetFunction` gives. Streamed to disk, hashed on the way, and held against what
//! AWS says of it: `CodeSha256` and `CodeSize`. A difference is recorded, never fatal: the bytes are the evidence.

use super::download::Tried;
use super::facts::FunctionFact;
use super::{Abort, CollectCx, Collector, CollectorSpec, Question, Reply, Volatility};
use crate::model::call::{Call, Scope, Service};
use crate::model::gap::GapKind;
use crate::model::item::{Group, Sensitivity};
use crate::model::params::{Param, ParamKind};
use crate::model::path::BundlePath;
use async_trait::async_trait;
use std::sync::Arc;

pub struct FunctionCode;

const DOWNLOAD: Call = Call::free(Service::Https, "DownloadCode");
const ADDRESS_AGAIN: Call = Call::read(Service::Lambda, "GetFunction", "lambda:GetFunction", Scope::Function);
const SUBJECT: &str = "code of $LATEST";
/// Lambda takes at most 250 MB unzipped, so no package should be larger; one that AWS itself calls larger is let through.
const USUAL_LIMIT: u64 = 300 << 20;

static SPEC: CollectorSpec = CollectorSpec {
    id: "function-code",
    title: "Code of $LATEST",
    answers: "What code runs when the function is invoked without a version?",
    group: Group::Code,
    volatility: Volatility::V5,
    calls: &[DOWNLOAD, ADDRESS_AGAIN],
    params: &[Param {
        name: "max-bytes",
        kind: ParamKind::Bytes,
        default: "2GiB",
        doc: "Largest package to download; a larger one leaves a gap",
    }],
};

#[async_trait]
impl Collector for FunctionCode {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        let fact = match cx.function().await? {
            Ok(fact) => fact,
            Err(fault) => {
                cx.gap_from(&fault, SUBJECT)?;
                return Ok(());
            }
        };
        if fact.package_type.as_deref() == Some("Image") {
            cx.gap(GapKind::Unsupported, SUBJECT, "the function is a container image, which this version of freezeframe does not download; its address and digest are in the configuration")?;
            return Ok(());
        }
        let Some(url) = fact.code_url.clone() else {
            cx.gap(
                GapKind::Unsupported,
                SUBJECT,
                "GetFunction answered without an address for the code; Code.Error in its answer may say why",
            )?;
            return Ok(());
        };
        let question = Question::new(&DOWNLOAD, SUBJECT).sensitivity(Sensitivity::S3);
        let mut tried = fetch(cx, &question, &fact, &url).await;
        let mut notes = vec![];
        let mut stated = fact.clone();
        if tried.expired() {
            match again(cx).await? {
                Some(newer) => {
                    notes.push(since(&fact, &newer));
                    if let Some(url) = newer.code_url.clone() {
                        tried = tried.then(fetch(cx, &question, &newer, &url).await);
                        stated = newer;
                    }
                }
                None => notes.push("the presigned address was refused, and GetFunction gave no second one".to_string()),
            }
        }
        if tried.fault.is_none()
            && let Some(size) = stated.code_size
            && size != tried.bytes()
        {
            notes.push(format!("CodeSize says {size} bytes, {} came", tried.bytes()));
        }
        let digest = stated.code_sha256.as_deref().map(|value| ("CodeSha256", value));
        let detail = (!notes.is_empty()).then(|| notes.join("; "));
        cx.settle_download(&question, tried, digest, detail)?.ok();
        Ok(())
    }
}

async fn fetch(cx: &CollectCx<'_>, question: &Question<'_>, fact: &FunctionFact, url: &str) -> Tried {
    let size = fact.code_size.unwrap_or_default();
    let limit = cx.bytes("max-bytes").min(USUAL_LIMIT.max(size.saturating_add(size / 10)));
    cx.try_download(question, url, BundlePath::below(SPEC.group.dir(), "$LATEST", "zip"), limit).await
}

/// The address has expired (ten minutes, or less when the caller's session ended): ask for another, once.
async fn again(cx: &CollectCx<'_>) -> Result<Option<Arc<FunctionFact>>, Abort> {
    let question = Question::new(&ADDRESS_AGAIN, "configuration and code location of $LATEST, asked again for a fresh address")
        .sensitivity(Sensitivity::S3);
    let reply = cx.ask(question, cx.aws().lambda().get_function().function_name(&cx.target().function).send()).await?;
    Ok(match reply {
        Reply::Got(answer) => Some(Arc::new(FunctionFact::from_output(answer.item, &answer.output))),
        Reply::Absent(_) | Reply::Gap(_) => None,
    })
}

/// Whether the function changed between the two answers.
fn since(before: &FunctionFact, after: &FunctionFact) -> String {
    let shown = |id: &Option<String>| crate::aws::fault::tame(id.as_deref().unwrap_or("none"), 60);
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
