//! What made a bundle: this program's name, version, commit and the digest of its own binary.

use super::documents::ToolRecord;
use crate::model::digest;
use std::sync::OnceLock;

/// Set by whoever builds a release (`FREEZEFRAME_COMMIT=$(git rev-parse HEAD) cargo build --release`).
const COMMIT: Option<&str> = option_env!("FREEZEFRAME_COMMIT");

pub fn name_and_version() -> String {
    format!("{} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
}

/// Read once per process; a binary that cannot be read (deleted, no `/proc`) leaves the digest unknown rather than wrong.
pub fn record() -> ToolRecord {
    static RECORD: OnceLock<ToolRecord> = OnceLock::new();
    RECORD
        .get_or_init(|| ToolRecord {
            name: env!("CARGO_PKG_NAME").to_string(),
            version: env!("CARGO_PKG_VERSION").to_string(),
            commit: COMMIT.map(str::to_string),
            binary_sha256: std::env::current_exe().and_then(std::fs::File::open).and_then(digest::of_reader).ok().map(|(sha256, _)| sha256),
        })
        .clone()
}
