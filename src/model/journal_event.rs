//! Every kind of line that a journal may hold. The bundle's journal tells how evidence was acquired; the case journal tells what was
//! changed in AWS and put back. Both are chained the same way, and can be checked with `jq` and `sha256sum` alone.

use super::digest::Sha256;
use super::gap::GapKind;
use super::id::{CellId, ExchangeId, ItemId, RunId};
use super::item::{FileRef, Item, ItemStatus};
use super::redaction::{Field, OriginalStated, Rule};
use super::refusal::Refusal;
use super::restorable::Restorable;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One journal line, written as canonical JSON (RFC 8785) and a newline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JournalLine {
    /// Version of this form: 1.
    pub v: u32,
    /// Counts from 1, without holes, over all segments.
    pub seq: u64,
    /// SHA-256 of the line before, without its newline; 64 zeros on the first.
    pub prev: Sha256,
    /// Wall clock, UTC, RFC 3339 with milliseconds.
    pub t: String,
    /// Monotonic nanoseconds since the process began: orders lines where the wall clock jumped.
    pub mono_ns: u64,
    /// Who acted: the caller identity's ARN once it is known.
    pub actor: String,
    #[serde(flatten)]
    pub event: JournalEvent,
}

/// Why a change was allowed before (or without) verified evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "by")]
pub enum PermitRecord {
    /// A verified bundle: its name and root digest.
    Evidence { bundle: String, root: Sha256 },
    /// Somebody's word, written down before the first write.
    Override { who: String, why: String },
}

/// Whose word allowed the change, as AWS STS said it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalRecord {
    /// Caller identity's ARN.
    pub approver: String,
    /// Of the pinned plan that was approved.
    pub plan_sha256: Sha256,
    /// The pinned plan's: it is spent, so that the approval counts once.
    pub nonce: String,
    /// RFC 3339, by the approver's clock.
    pub approved_at: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub note: Option<String>,
}

/// Whether containment was seen to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Holding {
    Holds,
    /// Not known: something could not be read, or it is too early to tell.
    CouldNotTell,
    /// A setting is not as we left it, or the function or its credentials were at work all the same.
    DoesNotHold,
}

impl Holding {
    pub const fn words(self) -> &'static str {
        match self {
            Holding::Holds => "containment holds",
            Holding::CouldNotTell => "could not tell whether containment holds",
            Holding::DoesNotHold => "CONTAINMENT DOES NOT HOLD",
        }
    }
}

/// What a watch saw of one function's containment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WatchRecord {
    /// The function's ARN.
    pub target: String,
    /// Of the whole time between `from` and `until`: the worst that was seen.
    pub holding: Holding,
    /// RFC 3339: the first and the last look.
    pub from: String,
    pub until: String,
    /// Containment was observed to hold at this time, and without a break from then to `until`. None: it was not, or does not any more.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub held_at: Option<String>,
    /// Cells that were seen otherwise than this case left them.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub adrift: Vec<CellId>,
    /// Why it does not hold, or cannot be told.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub why: Vec<String>,
}

impl WatchRecord {
    /// For reports of what is done with the case later.
    pub fn words(&self) -> String {
        let held = self.held_at.as_deref().unwrap_or("no time");
        let why = self.why.first().map(|w| format!(" ({w})")).unwrap_or_default();
        match self.holding {
            Holding::Holds => format!("{} was observed to be contained from {held} on (watched until {})", self.target, self.until),
            Holding::DoesNotHold if self.held_at.is_some() => {
                format!(
                    "containment of {} was seen broken{why}, and to hold again from {held} on (watched until {})",
                    self.target, self.until
                )
            }
            Holding::DoesNotHold | Holding::CouldNotTell => {
                format!("{} was watched until {}: {}{why}", self.target, self.until, self.holding.words())
            }
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "ev")]
pub enum JournalEvent {
    // ── a bundle's life ──
    BundleOpen {
        case: String,
        run: RunId,
        bundle: String,
        target: String,
        tool: String,
        operator: String,
    },
    /// Our clock beside the server's: `skew_ms` = server − local, known to half a round trip and the one second of `Date`.
    Clock {
        server_date: String,
        skew_ms: i64,
        rtt_ms: u64,
    },
    Plan {
        playbook: String,
        sha256: Sha256,
    },
    /// An exchange ended. The whole record lies in its `.http.json`.
    Req {
        exchange: ExchangeId,
        unit: String,
        operation: String,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        status: Option<u16>,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        request_id: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        sha256: Option<Sha256>,
    },
    /// A file was redacted: `twin` lies in clear, `sealed` is the original. Where in it: `meta/redactions.jsonl`.
    Redact {
        twin: FileRef,
        sealed: FileRef,
        original: OriginalStated,
        /// How many secrets were replaced; 0 where all of it is sealed.
        fields: u64,
        /// Where, as it will stand in `meta/redactions.jsonl`: where the bundle is carried to a bucket while it is made.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        places: Option<Vec<Field>>,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        whole: Option<Rule>,
    },
    ItemStored {
        item: ItemId,
        subject: String,
        status: ItemStatus,
        /// The item itself, as it will stand in `meta/items.jsonl`: where the bundle is carried to a bucket while it is made, so that it can be
        /// sealed there when the run dies. Of one too long for a line, without its files and exchanges.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        whole: Option<Box<Item>>,
    },
    Gap {
        item: ItemId,
        kind: GapKind,
        subject: String,
    },
    /// The run was interrupted; what follows is draining.
    Interrupted {
        by: String,
    },
    /// For whom the bundle's secrets are sealed: where it is carried to a bucket while it is made.
    SealedFor {
        /// The bundle's own identity, public half.
        identity: String,
        recipients: Vec<String>,
        /// The key that the identity is encrypted with, in `seal/identity.kms`.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        kms_key: Option<String>,
    },
    /// How much of the bundle lies in the bucket that it is carried to; written when half a minute had nothing else to tell, so that a run that is
    /// at it can be told from one that died.
    Carried {
        files: u64,
        bytes: u64,
    },
    /// The run that made the bundle had died. From here on somebody else writes, from what lay in the bucket: lines `req` that follow are of
    /// exchanges whose records were found, and of which no line told.
    Reopen {
        run: RunId,
        tool: String,
        operator: String,
        /// Where it lay: `s3://bucket/prefix/case/bundle`
        from: String,
    },
    Seal {
        items: u64,
        gaps: u64,
        finished: bool,
    },

    // ── a case's life ──
    CaseOpen {
        case: String,
        run: RunId,
        tool: String,
        operator: String,
    },
    /// A bundle of this case was sealed and read back as a stranger would.
    Sealed {
        run: RunId,
        bundle: String,
        root: Sha256,
    },
    /// Sealed originals of a bundle were about to be opened.
    Access {
        run: RunId,
        bundle: String,
        root: Sha256,
        /// How many.
        originals: u64,
        /// What they were opened with: the recipients whose identity was given, or a KMS key.
        with: Vec<String>,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        why: Option<String>,
    },
    /// A copy of a bundle, without sealed originals, was made for somebody.
    Disclosed {
        run: RunId,
        bundle: String,
        root: Sha256,
        copy: String,
        copy_root: Sha256,
    },
    /// A bundle was copied to another place, and what that place said of it was read back: the whole is in the record of that digest.
    Transfer {
        run: RunId,
        bundle: String,
        root: Sha256,
        /// `s3://bucket/prefix/case/bundle`
        to: String,
        /// Of `seal/addenda/NNNNNN/archive.json` there.
        record: Sha256,
        objects: u64,
        bytes: u64,
    },
    RunStarted {
        run: RunId,
        playbook: String,
        plan_sha256: Sha256,
        target: String,
    },
    RunEnded {
        run: RunId,
        outcome: String,
    },
    /// A second person's word on the plan, checked with STS and spent.
    Approval {
        run: RunId,
        approval: ApprovalRecord,
    },
    /// Containment was asked for, and refused: all of it before the first write, or the cell that is named.
    Refused {
        run: RunId,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        cell: Option<CellId>,
        #[serde(flatten)]
        refusal: Refusal,
    },
    /// Durable before the write: how to put the cell back.
    Intent {
        run: RunId,
        cell: CellId,
        target: String,
        before: Value,
        after: Value,
        restorable: Restorable,
        permit: PermitRecord,
    },
    /// The cell already was as containment would make it: nothing written, yet it counts as a hold of this case.
    AlreadyContained {
        run: RunId,
        cell: CellId,
        target: String,
        state: Value,
    },
    Applied {
        run: RunId,
        cell: CellId,
    },
    /// The write failed; it may have landed all the same.
    ApplyFailed {
        run: RunId,
        cell: CellId,
        error: String,
    },
    /// What the cell read as after the write.
    ReadBack {
        run: RunId,
        cell: CellId,
        state: Value,
        holds: bool,
    },
    RestoreIntent {
        run: RunId,
        cell: CellId,
        from: Value,
        to: Value,
    },
    /// The cell reads as it did before, or nothing is left that could (it stays by design, or is over by itself); `wrote` tells whether that took a write.
    /// By a run that contains, it takes back an intent of which nothing was written.
    Restored {
        run: RunId,
        cell: CellId,
        wrote: bool,
        /// How many lines of the journal it speaks of: a hold that another run took later goes on. Absent, it ends what its own run did to the
        /// cell, or everything when that run did nothing to it.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        through: Option<u64>,
    },
    RestoreFailed {
        run: RunId,
        cell: CellId,
        error: String,
    },
    /// The cell is neither as we left it nor as it was: somebody else's change, left alone.
    Drift {
        run: RunId,
        cell: CellId,
        expected: Value,
        found: Value,
    },
    /// Somebody named the cell and had it set to the recorded state although it had drifted, or although a case that cannot be read may hold it.
    DriftOverruled {
        run: RunId,
        cell: CellId,
        who: String,
    },
    /// Another case holds the cell, so it was left contained.
    HeldElsewhere {
        run: RunId,
        cell: CellId,
        case: String,
    },
    /// What a watch saw up to this line; its run's last one is the whole of it. It changes nothing that the case holds.
    Watched {
        run: RunId,
        #[serde(flatten)]
        watched: WatchRecord,
    },
}

impl JournalEvent {
    /// The run that the line belongs to; lines of a bundle's own journal name it once, when the bundle is opened.
    pub fn run(&self) -> Option<&RunId> {
        use JournalEvent as E;
        match self {
            E::BundleOpen { run, .. }
            | E::Reopen { run, .. }
            | E::CaseOpen { run, .. }
            | E::Sealed { run, .. }
            | E::Transfer { run, .. }
            | E::Access { run, .. }
            | E::Disclosed { run, .. }
            | E::RunStarted { run, .. }
            | E::RunEnded { run, .. }
            | E::Approval { run, .. }
            | E::Refused { run, .. }
            | E::Intent { run, .. }
            | E::AlreadyContained { run, .. }
            | E::Applied { run, .. }
            | E::ApplyFailed { run, .. }
            | E::ReadBack { run, .. }
            | E::RestoreIntent { run, .. }
            | E::Restored { run, .. }
            | E::RestoreFailed { run, .. }
            | E::Drift { run, .. }
            | E::DriftOverruled { run, .. }
            | E::HeldElsewhere { run, .. }
            | E::Watched { run, .. } => Some(run),
            E::Clock { .. }
            | E::Plan { .. }
            | E::Req { .. }
            | E::Redact { .. }
            | E::ItemStored { .. }
            | E::Gap { .. }
            | E::Interrupted { .. }
            | E::Carried { .. }
            | E::SealedFor { .. }
            | E::Seal { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_broken_is_not_said_to_have_held() {
        let record = |holding, held_at: Option<&str>| WatchRecord {
            target: "f".into(),
            holding,
            from: "1".into(),
            until: "9".into(),
            held_at: held_at.map(str::to_string),
            adrift: vec![],
            why: if holding == Holding::Holds { vec![] } else { vec!["x".into()] },
        };
        assert_eq!(record(Holding::Holds, Some("5")).words(), "f was observed to be contained from 5 on (watched until 9)");
        assert_eq!(
            record(Holding::DoesNotHold, Some("7")).words(),
            "containment of f was seen broken (x), and to hold again from 7 on (watched until 9)"
        );
        assert_eq!(record(Holding::DoesNotHold, None).words(), "f was watched until 9: CONTAINMENT DOES NOT HOLD (x)");
        assert_eq!(record(Holding::CouldNotTell, None).words(), "f was watched until 9: could not tell whether containment holds (x)");
    }
}
