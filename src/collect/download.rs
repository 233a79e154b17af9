//! Presigned downloads as questions: however many attempts and addresses it takes, one item.

use super::cx::{Abort, CollectCx};
use super::question::Question;
use crate::aws::fault::{Fault, FaultClass};
use crate::model::exchange::Exchange;
use crate::model::id::ItemId;
use crate::model::item::{ItemStatus, ProviderDigest};
use crate::model::path::BundlePath;

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
            tried = tried.then(Tried { fault: result.err(), exchanges });
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
            Some(ProviderDigest { name: name.into(), value: value.into(), matches: ours.to_base64() == value })
        });
        Ok(Ok(self.draft().add(item)?))
    }
}
