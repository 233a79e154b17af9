//! Presigned downloads as questions: however many attempts and addresses it takes, one item.

use super::code::Stored;
use super::cx::{Abort, CollectCx};
use super::question::Question;
use crate::aws::fault::{Fault, FaultClass};
use crate::aws::tape::{self, Listening};
use crate::model::digest::Sha256;
use crate::model::exchange::Exchange;
use crate::model::id::ItemId;
use crate::model::item::{FileRef, ItemStatus, ProviderDigest};
use crate::model::path::BundlePath;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::byte_stream::ByteStream;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// AWS prints SHA-256 in base64 (`CodeSha256`) or as OCI does (`sha256:<hex>`).
fn same_digest(ours: &Sha256, value: &str) -> bool {
    ours.to_base64() == value || value.strip_prefix("sha256:").is_some_and(|hex| Sha256::from_hex(hex) == Some(*ours))
}

/// Read a body to its end; the tape keeps it. What goes wrong on the way looks to the asker like an answer that could not be read.
async fn drain<E>(mut body: ByteStream) -> Result<(), SdkError<E, HttpResponse>> {
    while body.try_next().await.map_err(SdkError::construction_failure)?.is_some() {}
    Ok(())
}

/// A download that has been tried, and is not recorded yet.
pub(super) struct Tried {
    pub fault: Option<Fault>,
    exchanges: Vec<Exchange>,
}

impl Tried {
    /// The address was refused: presigned ones live ten minutes.
    pub fn expired(&self) -> bool {
        self.fault.as_ref().is_some_and(|f| f.class == FaultClass::Credentials)
    }
    /// Bytes of the body that came last.
    pub fn bytes(&self) -> u64 {
        self.exchanges.last().map_or(0, |x| x.body_bytes)
    }
    /// Whether the body that came last hashes to what AWS says. False where it says nothing.
    pub fn agrees_with(&self, digest: Option<(&str, &str)>) -> bool {
        let ours = self.exchanges.last().and_then(|x| x.body_sha256);
        self.fault.is_none() && digest.zip(ours).is_some_and(|((_, value), ours)| same_digest(&ours, value))
    }
    /// The file that the last body became.
    pub fn file(&self, cx: &CollectCx<'_>) -> Option<FileRef> {
        cx.draft().file_of(self.exchanges.last()?.id)
    }
    pub fn then(mut self, mut later: Tried) -> Tried {
        self.exchanges.append(&mut later.exchanges);
        Tried { fault: later.fault, exchanges: self.exchanges }
    }
}

impl CollectCx<'_> {
    /// Download a presigned address into `wanted`. `digest` is what AWS says the bytes hash to (name and base64 value).
    pub async fn download(
        &self,
        question: Question<'_>,
        url: &str,
        wanted: BundlePath,
        limit: u64,
        digest: Option<(&str, &str)>,
    ) -> Result<Result<ItemId, Fault>, Abort> {
        let tried = self.try_download(&question, url, wanted, limit).await;
        self.settle_download(&question, tried, digest, None)
    }

    /// A body that breaks off is asked for again, twice: over a bad line a big package deserves more than one try, and the address is good
    /// for minutes. The part that came stays in the bundle each time.
    pub(super) async fn try_download(&self, question: &Question<'_>, url: &str, wanted: BundlePath, limit: u64) -> Tried {
        let mut tried = Tried { fault: None, exchanges: vec![] };
        for _ in 0..3 {
            self.turn(question).await;
            let (result, exchanges) = self.aws().fetch(question.call.operation, url, wanted.clone(), limit).await;
            self.pay(question, &exchanges);
            tried = tried.then(Tried { fault: result.err(), exchanges });
            if !tried.fault.as_ref().is_some_and(|f| f.class == FaultClass::Truncated) {
                break;
            }
        }
        tried
    }

    /// A body that an SDK client streams (an S3 object), into `wanted`: tried again when it breaks off, as a download is.
    pub(super) async fn try_stream<E, F>(&self, question: &Question<'_>, wanted: BundlePath, limit: u64, call: impl Fn() -> F) -> Tried
    where
        F: Future<Output = Result<ByteStream, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let mut tried = Tried { fault: None, exchanges: vec![] };
        for _ in 0..3 {
            self.turn(question).await;
            let how = Listening { wanted: Some(wanted.clone()), withhold_query: false, limit, discard_body: None };
            let (result, exchanges) = tape::listen(how, async { drain(call().await?).await }).await;
            self.pay(question, &exchanges);
            let fault = result.err().map(|e| Fault::of(&e, &exchanges));
            tried = tried.then(Tried { fault, exchanges });
            if !tried.fault.as_ref().is_some_and(|f| f.class == FaultClass::Truncated) {
                break;
            }
        }
        tried
    }

    pub(super) fn settle_download(
        &self,
        question: &Question<'_>,
        tried: Tried,
        digest: Option<(&str, &str)>,
        detail: Option<String>,
    ) -> Result<Result<ItemId, Fault>, Abort> {
        if let Some(mut fault) = tried.fault {
            if let Some(detail) = detail {
                fault.message = format!("{}; {detail}", fault.message);
            }
            self.no_answer(question, &fault, &tried.exchanges)?;
            return Ok(Err(fault));
        }
        let mut item = self.item(question, ItemStatus::Collected, &tried.exchanges, detail);
        item.provider_digest = digest.and_then(|(name, value)| {
            let ours = tried.exchanges.last()?.body_sha256?;
            Some(ProviderDigest { name: name.into(), value: value.into(), matches: same_digest(&ours, value) })
        });
        Ok(Ok(self.draft().add(item)?))
    }

    /// The answer to this question is in the bundle already, under another's name: the same digest, stored once.
    pub(super) fn same_bytes(&self, question: &Question<'_>, stored: &Stored, digest: (&str, &str)) -> Result<ItemId, Abort> {
        let detail = format!("the same {} as {}: downloaded and stored once", digest.0, stored.subject);
        let mut item = self.item(question, ItemStatus::Collected, &[], Some(detail));
        item.files.push(stored.file.clone());
        item.derived_from.push(stored.item);
        item.provider_digest = Some(ProviderDigest { name: digest.0.into(), value: digest.1.into(), matches: true });
        Ok(self.draft().add(item)?)
    }

    /// A part of an answer, as a file of its own, with the digest that AWS states for it.
    pub(super) fn computed(&self, question: &Question<'_>, file: FileRef, from: ItemId, digest: (&str, &str)) -> Result<ItemId, Abort> {
        let mut item = self.item(question, ItemStatus::Collected, &[], None);
        item.provider_digest =
            Some(ProviderDigest { name: digest.0.into(), value: digest.1.into(), matches: same_digest(&file.sha256, digest.1) });
        item.files.push(file);
        item.derived_from.push(from);
        Ok(self.draft().add(item)?)
    }
}
