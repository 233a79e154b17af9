//! Straight to S3: a bag is carried into the bucket while it is made, so that a process that dies (a function cut off, a host lost) leaves there
//! what it had gathered, and somebody else can seal it (`salvage.rs`).
//!
//! The draft stays where it is, on the local disk, exactly as without; the **carrier** (`carrier.rs`) follows it. Each file goes up as soon as it
//! has its final name, by the very put that archiving uses (`If-None-Match: *`, SHA-256, lock, key, owner). What could not be carried is put by
//! the archive at the end, which finds everything else there and leaves it.
//!
//! The one promise that everything rests on: **what the journal in the bucket tells of lies in the bucket.** A segment is put when all files that
//! were admitted before it ended are there, and segments go up one after the other, the first one (the bag was opened) before anything else; a
//! record of an exchange goes up behind its body.
//! So a bag that was left at any moment is one whose journal is whole as far as it goes, with a few files more than it tells of, and these say
//! by themselves where they come from.
//!
//! Two processes never own the same segment: the one that comes second is told that another lies there, and puts nothing more.
//!
//! What it never does: hold up or fail a collector, touch the draft's files, delete, give up its place to a stranger's object.

mod carrier;
mod case_store;
mod salvage;

pub use carrier::{Carried, Carrier};
pub use case_store::{CaseStoreError, case_store};
pub use salvage::{CARRYING_PAUSE, Claimed, Look, StillAlive, claim, holds_more, look};
