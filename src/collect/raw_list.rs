//! Questions over the signed raw path: the answer as JSON, and lists of it in pages.

use super::cx::{Abort, CollectCx};
use super::question::{Bound, Pages, Question, Reply};
use crate::aws::Aws;
use crate::aws::raw::RawCall;
use serde_json::Value;

/// What a list and its page token are called in an answer.
#[derive(Clone, Copy)]
pub(super) struct Members {
    pub list: &'static str,
    pub next: &'static str,
}

/// The raw path has held the answer to be JSON already; an empty one is null.
fn value(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_default()
}

impl CollectCx<'_> {
    /// Ask one question whose answer is JSON. `aws` says in which Region.
    pub(super) async fn ask_json(&self, question: Question<'_>, aws: &Aws, call: RawCall) -> Result<Reply<Value>, Abort> {
        let future = async { aws.raw(call).await.map(|bytes| value(&bytes)) };
        self.ask(question.region(aws.region()), future).await
    }

    /// Ask for a list in JSON; `call` makes the call for a page token, `each` sees every entry.
    pub(super) async fn ask_json_list(
        &self,
        question: Question<'_>,
        aws: &Aws,
        members: Members,
        call: impl Fn(Option<String>) -> RawCall,
        each: impl FnMut(&Value),
    ) -> Result<Pages, Abort> {
        self.ask_json_pages(question, aws, Bound::default(), members, call, each).await
    }

    /// The same within a bound.
    pub(super) async fn ask_json_pages(
        &self,
        question: Question<'_>,
        aws: &Aws,
        bound: Bound,
        members: Members,
        call: impl Fn(Option<String>) -> RawCall,
        mut each: impl FnMut(&Value),
    ) -> Result<Pages, Abort> {
        self.ask_all(
            question.region(aws.region()),
            bound,
            |token| {
                let call = call(token);
                async move { aws.raw(call).await.map(|bytes| value(&bytes)) }
            },
            |out: &Value| out[members.next].as_str().map(str::to_string),
            |out| {
                let entries = out[members.list].as_array().map(Vec::as_slice).unwrap_or_default();
                entries.iter().for_each(&mut each);
                entries.len()
            },
        )
        .await
    }
}

/// A member that is a text; nothing when it is missing or something else.
pub(super) fn text(value: &Value, member: &str) -> Option<String> {
    value[member].as_str().map(str::to_string)
}
