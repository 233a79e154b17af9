//! Pinned plans and approvals as files: read with their bounds, written without overwriting anything.

use super::error::CliError;
use crate::model::outcome::Outcome;
use crate::plan::approval::{self, Approval};
use crate::plan::pin::{self, Pinned};
use crate::store::disk;
use std::io::Read as _;
use std::path::Path;

fn bounded(path: &Path, most: u64, what: &str) -> Result<Vec<u8>, CliError> {
    let cannot = |e: std::io::Error| CliError::new(format!("cannot read {what} {}", path.display())).because(e).outcome(Outcome::Usage);
    let mut bytes = vec![];
    std::fs::File::open(path).map_err(cannot)?.take(most + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > most {
        return Err(CliError::new(format!("{} is too large for {what}", path.display())).outcome(Outcome::Usage));
    }
    Ok(bytes)
}

pub fn read_plan(path: &Path) -> Result<Pinned, CliError> {
    let bytes = bounded(path, pin::MAX_BYTES, "the pinned plan")?;
    Pinned::read(&bytes).map_err(|e| {
        CliError::new(format!("cannot carry out {}", path.display()))
            .because(e)
            .hint("`freezeframe plan <playbook> <function> --out plan.json` makes one")
            .outcome(Outcome::Usage)
    })
}

pub fn read_approval(path: &Path) -> Result<Approval, CliError> {
    let bytes = bounded(path, approval::MAX_BYTES, "the approval")?;
    serde_json::from_slice::<Approval>(&bytes).ok().filter(|a| a.v == 1).ok_or_else(|| {
        // The parser's words could quote the file, and the file may hold a session token.
        CliError::new(format!("{} is no approval of this version", path.display()))
            .hint("`freezeframe approve plan.json` makes one")
            .outcome(Outcome::Usage)
    })
}

/// Only the owner can read it, and what lies there already stays.
pub fn write(path: &Path, bytes: &[u8], what: &str) -> Result<(), CliError> {
    disk::write_new(path, bytes).map_err(|e| {
        let exists = e.kind() == std::io::ErrorKind::AlreadyExists;
        let error = CliError::new(format!("cannot write {what} to {}", path.display())).because(e);
        if exists { error.hint("nothing is overwritten: name another file with --out").outcome(Outcome::Usage) } else { error }
    })
}
