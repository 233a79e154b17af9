//! Floor 3: keeping sealed bundles where they cannot be changed: a bucket with Object Lock. Sending them there, seeing what is there, reading
//! it back, without a copy on a disk and without ever holding a file in memory.
//!
//! Start at `send.rs` (`prove.rs` believes nothing of what it put, `told.rs` writes down what S3 says, `addenda.rs` states and signs that, `case.rs` brings the case's journal along);
//! `remote.rs` and `fetch.rs` read what it left, `records.rs` what it wrote down. `preflight.rs` looks at a bucket before evidence goes there; `bucket.rs` is the bucket, `parts.rs`
//! what is larger than S3 takes at once, `parcel.rs` the bundle made ready, `record.rs` what is written down; `straight/` carries
//! a bag there while it is made.
//!
//! What it never does: overwrite or delete an object (every put is conditional, and the fence of its client knows no delete), shorten a lock,
//! believe an upload that was not read back, upload a bundle that does not verify.

mod addenda;
mod body;
mod bucket;
mod case;
mod demands;
mod error;
mod fetch;
mod in_effect;
mod parcel;
mod parts;
mod place;
mod preflight;
mod prove;
mod reach;
mod record;
mod records;
mod remote;
mod send;
pub mod straight;
mod told;
mod vault;

pub use bucket::{Asked, Bucket, Checksum, ChecksumKind, MIN_PART};
pub use case::journal_too;
pub use error::ArchiveError;
pub use fetch::{FetchError, Fetched, fetch};
pub use in_effect::{InEffect, lock_words};
pub use parcel::{Parcel, ParcelError};
pub use place::Place;
pub use preflight::{Accepted, Preflight, Property, Verdict};
pub use reach::ReachError;
pub use record::{ArchiveRecord, Archived, AskedRecord, ObjectRecord};
pub use remote::{RemoteError, verify};
pub use send::archive;
pub use vault::{Case, Order, Vault};
