//! Questions and what becomes of them: the words between a collector and its context.

use crate::aws::fault::{Fault, tame};
use crate::model::call::Call;
use crate::model::gap::GapKind;
use crate::model::id::{ExchangeId, ItemId};
use crate::model::item::Sensitivity;

/// One question to AWS: which call, in which words, how sensitive the answer may be.
pub struct Question<'q> {
    pub(super) call: &'q Call,
    pub(super) subject: String,
    pub(super) sensitivity: Sensitivity,
    pub(super) region: Option<String>,
    pub(super) withhold: Option<&'static str>,
    pub(super) not_in_use: &'static [(&'static str, &'static str)],
    pub(super) not_in_use_saying: &'static [(&'static str, &'static str, &'static str)],
}

impl<'q> Question<'q> {
    /// `subject` may hold names that AWS gave us: it is tamed here.
    pub fn new(call: &'q Call, subject: impl AsRef<str>) -> Self {
        let subject = tame(subject.as_ref(), 300);
        Question { call, subject, sensitivity: Sensitivity::S1, region: None, withhold: None, not_in_use: &[], not_in_use_saying: &[] }
    }
    pub fn sensitivity(mut self, s: Sensitivity) -> Self {
        self.sensitivity = s;
        self
    }
    /// Asked in another Region than the target's: paced there.
    pub fn region(mut self, region: &str) -> Self {
        self.region = Some(region.to_string());
        self
    }
    /// The answer's bytes are hashed and not kept, for this reason: they hold secrets of somebody who is no part of the case. Whoever asks so
    /// derives an item with what may be kept.
    pub fn withhold(mut self, why: &'static str) -> Self {
        self.withhold = Some(why);
        self
    }
    /// Refusals that are answers: by these codes the service says that the account does not use it, and so in which words.
    pub fn not_in_use(mut self, codes: &'static [(&'static str, &'static str)]) -> Self {
        self.not_in_use = codes;
        self
    }
    /// The same where the code has other meanings too: code, what the message must hold, and our words.
    pub fn not_in_use_saying(mut self, codes: &'static [(&'static str, &'static str, &'static str)]) -> Self {
        self.not_in_use_saying = codes;
        self
    }
    pub(super) fn says_not_in_use(&self, fault: &Fault) -> Option<&'static str> {
        let coded = |code: &str| fault.code.as_deref() == Some(code);
        let by_code = self.not_in_use.iter().find(|(code, _)| coded(code)).map(|(_, words)| *words);
        by_code.or_else(|| {
            let said = |said: &str| fault.message.contains(said);
            self.not_in_use_saying.iter().find(|(code, part, _)| coded(code) && said(part)).map(|(.., words)| *words)
        })
    }
}

/// An answer, with the item that holds it.
pub struct Answer<O> {
    pub output: O,
    pub item: ItemId,
    /// Every attempt, the answering one last.
    pub exchanges: Vec<ExchangeId>,
}

/// What became of a question. In every case the item is already in the bundle.
pub enum Reply<O> {
    Got(Answer<O>),
    /// AWS says that it does not exist, or that the service is not in use: an answer, with the fault for whoever needs its words.
    Absent(Fault),
    Gap(Fault),
}

impl<O> Reply<O> {
    pub fn got(self) -> Option<O> {
        self.answer().map(|a| a.output)
    }
    /// The answer with the item that holds it.
    pub fn answer(self) -> Option<Answer<O>> {
        match self {
            Reply::Got(a) => Some(a),
            Reply::Absent(_) | Reply::Gap(_) => None,
        }
    }
}

/// Limits of a paged question. A limit that bites leaves a gap that says what was left.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    pub pages: u32,
    pub bytes: u64,
}

impl Default for Bound {
    fn default() -> Self {
        // 10,000 pages of anything is an attack or a bug; 256 MiB is more than any list about one function.
        Bound { pages: 10_000, bytes: 256 << 20 }
    }
}

/// What became of a paged question. The one item that holds all pages is already in the bundle.
pub struct Pages {
    pub item: ItemId,
    /// Pages that were answered.
    pub read: u32,
    pub end: PagesEnd,
}

pub enum PagesEnd {
    Complete,
    /// We stopped: a bound of ours, or a token that AWS repeated.
    Stopped(GapKind, String),
    /// The page after those that were read failed. With `read == 0` the question as a whole failed.
    Failed(Fault),
}
