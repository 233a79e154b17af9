//! Floor 2: the evidence format. A bundle is a BagIt 1.0 bag (RFC 8493) about one target, built as a directory, handed over as a zip.
//!
//! `Draft` (may be added to) → `Sealed` (may not) → `Verified` (was read back and checked as a stranger would). The order is in the types:
//! there is no way back, and nothing but a `Verified` mints a permit to contain.
//!
//! ```text
//! <case>/<bundle>/                 <account>-<region>-<function>-<UTC basic>-<run ULID>[-containment|-restore]
//!   bagit.txt  bag-info.txt        tag files of RFC 8493
//!   manifest-sha256.txt            every file below data/, sorted bytewise
//!   tagmanifest-sha256.txt         every other file outside seal/ but itself: its digest is the bundle's ROOT
//!   data/NN-group/…                bodies as AWS sent them (`<n>-<Operation>.<ext>`), each with `<n>-<Operation>.http.json`; secrets redacted
//!   data/sealed/…                  the originals of what is redacted, encrypted with age
//!   meta/items.jsonl               one line per question asked, each with exactly one status
//!   meta/coverage.json             what was planned, and what came of it, gaps named
//!   meta/journal/000001.jsonl …    hash-chained
//!   meta/redactions.jsonl          which file is a redacted twin, and of which original
//!   meta/README.txt  meta/VERIFY.txt
//!   seal/statement.json            in-toto Statement v1 over the root digest
//!   seal/statement.dsse.json       its signatures, if there are any; public-key.pem, kms-public.pem, sealing.json (what came of signing)
//!   tmp/                           while drafting only; a bag that still has it is unfinished
//! ```
//!
//! Containment and restore write bags of their own (kind `containment`, `restore`) into the same case, each naming the root of the bag before
//! it in its statement: so a sealed bundle never changes, and an addendum is checked by the very same checks.
//!
//! Where to start: `draft.rs` (what units see), then `seal.rs`. `payload.rs` holds the files while they come to be, `veiling.rs` parts secrets from
//! the rest (`secrets/`), `recorder.rs` is the draft as the tape sees it, `reopen.rs` takes up a bag whose run died
//! (`begun_seal.rs`: while it was being sealed), `chain.rs` the rule of both
//! journals (`journal.rs` in a bag, `case_journal.rs` in a store),
//! `fault_point.rs` where a test may kill a debug build between two writes.
//!
//! What it never does: talk to AWS, decide what to collect, print.

pub mod addenda;
pub mod begun_seal;
pub mod case_journal;
mod certification;
pub mod chain;
pub mod changes;
pub mod custody;
pub mod disclose;
pub mod documents;
pub mod draft;
pub mod dsse;
pub(crate) mod fault_point;
pub mod journal;
pub mod keys;
pub mod manifest;
pub mod opening;
mod payload;
pub use payload::Follower;
mod recorder;
pub mod reopen;
pub mod schemas;
pub mod seal;
pub mod secrets;
pub mod signer;
pub mod signing;
pub mod source;
mod text;
pub mod timestamp;
pub mod tool;
mod veiling;
pub mod verify;
pub mod zip_reader;
mod zip_writer;

#[cfg(test)]
mod draft_tests;
