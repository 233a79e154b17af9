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
}

impl<'q> Question<'q> {
    /// `subject` may hold names that AWS gave us: it is tamed here.
    pub fn new(call: &'q Call, subject: impl AsRef<str>) -> Self {
        Question { call, subject: tame(subject.as_ref(), 300), sensitivity: Sensitivity::S1, region: None }
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
    /// AWS says that it does not exist: an answer, with the fault for whoever needs its words.
    Absent(Fault),
    Gap(Fault),
}

impl<O> Reply<O> {
    pub fn got(self) -> Option<O> {
        match self {
            Reply::Got(a) => Some(a.output),
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
