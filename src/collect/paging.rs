//! Questions whose answer comes in pages: one item for all pages, and no page lost without a word.

use super::cx::{Abort, CollectCx, unless_unsaved};
use super::question::{Bound, Pages, PagesEnd, Question};
use crate::aws::fault::{Fault, FaultClass};
use crate::model::exchange::Exchange;
use crate::model::gap::GapKind;
use crate::model::item::ItemStatus;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

impl CollectCx<'_> {
    /// Ask a question whose answer comes in pages. `page` makes the call for a token; `next` finds the token of the page after; `each` sees
    /// every page and says how many entries it held. One item holds all pages. What the bound leaves is a gap.
    ///
    /// Returns true when every page was read.
    pub async fn ask_pages<O, E, F, Fut>(
        &self,
        question: Question<'_>,
        bound: Bound,
        page: F,
        next: impl Fn(&O) -> Option<String>,
        each: impl FnMut(O) -> usize,
    ) -> Result<bool, Abort>
    where
        F: FnMut(Option<String>) -> Fut,
        Fut: Future<Output = Result<O, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        Ok(matches!(self.ask_all(question, bound, page, next, each).await?.end, PagesEnd::Complete))
    }

    /// The same, telling how it ended: for whoever builds on the list.
    pub async fn ask_all<O, E, F, Fut>(
        &self,
        question: Question<'_>,
        bound: Bound,
        mut page: F,
        next: impl Fn(&O) -> Option<String>,
        mut each: impl FnMut(O) -> usize,
    ) -> Result<Pages, Abort>
    where
        F: FnMut(Option<String>) -> Fut,
        Fut: Future<Output = Result<O, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let mut all: Vec<Exchange> = vec![];
        let (mut entries, mut bytes, mut read, mut token) = (0usize, 0u64, 0u32, None::<String>);
        loop {
            self.turn(&question).await;
            let (result, exchanges) = self.hear(&question, page(token.clone())).await;
            bytes += exchanges.iter().map(|x| x.body_bytes).sum::<u64>();
            let output = match result {
                Ok(output) => output,
                Err(e) => {
                    let mut fault = Fault::of(&e, &exchanges);
                    all.extend(exchanges);
                    if read > 0 {
                        fault.message =
                            format!("page {} failed; {entries} entries of the pages before it are kept. {}", read + 1, fault.message);
                        if fault.class == FaultClass::NotFound {
                            // It existed a page ago: this is no answer about absence.
                            fault.class = FaultClass::Server;
                        }
                    }
                    let item = self.no_answer(&question, &fault, &all)?;
                    return Ok(Pages { item, read, end: PagesEnd::Failed(fault) });
                }
            };
            all.extend(exchanges);
            read += 1;
            let following = next(&output).filter(|t| !t.is_empty());
            entries += each(output);
            let end = match following {
                None => PagesEnd::Complete,
                Some(t) if Some(&t) == token.as_ref() => {
                    PagesEnd::Stopped(GapKind::Truncated, "AWS repeated the same page token".to_string())
                }
                Some(_) if read >= bound.pages => PagesEnd::Stopped(
                    GapKind::TooLarge,
                    format!("stopped after {read} pages ({entries} entries, {bytes} bytes), as bounded; there are more"),
                ),
                Some(_) if bytes >= bound.bytes => PagesEnd::Stopped(
                    GapKind::TooLarge,
                    format!("stopped after {bytes} bytes ({entries} entries, {read} pages), as bounded; there are more"),
                ),
                Some(t) => {
                    token = Some(t);
                    continue;
                }
            };
            let (status, detail) = match &end {
                PagesEnd::Stopped(kind, why) => (ItemStatus::Gap(*kind), Some(why.clone())),
                _ if entries == 0 => (ItemStatus::Empty, None),
                _ => (ItemStatus::Collected, None),
            };
            let (status, detail) = unless_unsaved(status, detail, &all);
            let item = self.draft().add(self.item(&question, status, &all, detail))?;
            return Ok(Pages { item, read, end });
        }
    }
}
