//! What the place says in which a bundle is archived, beside what its manifests say: the checksum that S3 keeps, the lock, the versions.
//!
//! The facts are gathered by whoever opened the bundle there (`archive::remote`); here they are judged. Not one of [`super::CHECKS`]: a bundle on
//! a disk has no such place.

use super::Check;
use super::facts::Facts;
use super::findings::{Findings, Level};
use crate::model::digest::Sha256;
use crate::model::path::BundlePath;
use std::collections::{BTreeMap, BTreeSet};

/// What the place says of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// The version that was read.
    pub version: Option<String>,
    /// Base64, as S3 prints it, with `-<parts>` where it is of the parts. None: S3 keeps none, or does not say.
    pub checksum: Option<String>,
    /// What its bytes should have there when they went up in parts: computed while they were read.
    pub computed: Option<String>,
    /// In words: `compliance until 2033-11-21T00:00:00Z`. None: not locked, or not to be seen.
    pub lock: Option<String>,
    /// Older and newer versions and delete markers under the same key.
    pub others: u64,
    /// Why the place says nothing of it.
    pub untold: Option<String>,
    /// A delete marker hides it from whoever does not ask for versions.
    pub hidden: bool,
    /// The version that the archive's own record names, where there is one and names another.
    pub recorded: Option<String>,
    /// What the archive's own records state of its bytes.
    pub stated: BTreeSet<Sha256>,
    /// Of a record, and of what lies around one in several versions: the version that was there first, or what is wrong with it.
    pub first: Option<Result<Sha256, String>>,
}

/// All that the place says. `computed` is filled while files are read, so it is asked for late.
pub struct Stored {
    pub files: Box<dyn Fn() -> BTreeMap<BundlePath, Kept> + Send + Sync>,
    /// There is a record of the archive's end.
    pub recorded: bool,
    /// Files that records name and nothing lies under.
    pub gone: Vec<BundlePath>,
    /// Older versions and delete markers could be listed; else nothing is known of them.
    pub versions_seen: bool,
}

const ASK_VAULT: &str = "Ask who may write to the bucket, and look into CloudTrail's data events for this key.";
const REPLACED: &str = "What was archived lies below it, if it was locked: fetch the version that the record names, and compare.";
const LOCK_IT: &str = "Archive again with --retain or --legal-hold: what is there already is then locked as well.";

impl Check for Stored {
    fn id(&self) -> &'static str {
        "archive"
    }
    fn title(&self) -> &'static str {
        "what S3 says of each object agrees, and none is hidden, doubled or unlocked"
    }
    fn run(&self, facts: &Facts, out: &mut Findings) {
        let files = (self.files)();
        let mut unlocked = 0;
        let mut without = 0;
        for (path, kept) in &files {
            let at = Some(path.as_str());
            if let Some(why) = &kept.untold {
                out.error(at, format!("S3 does not say what it keeps of it: {why}"), ASK_VAULT);
            }
            if let Some(Err(why)) = &kept.first {
                out.error(at, format!("the version of it that was there first {why}"), ASK_VAULT);
            }
            let Some(Some((digest, _))) = facts.files.get(path) else { continue }; // not read: the container check says why
            match (&kept.checksum, &kept.computed) {
                (None, _) => without += 1,
                (Some(theirs), Some(ours)) if theirs != ours => {
                    out.error(at, format!("S3 keeps the checksum {theirs} of it, and its bytes have {ours}"), ASK_VAULT);
                }
                (Some(theirs), None) if *theirs != digest.to_base64() => {
                    out.error(at, format!("S3 keeps the checksum {theirs} of it, and its bytes have {}", digest.to_base64()), ASK_VAULT);
                }
                _ => {}
            }
            for stated in kept.stated.iter().filter(|stated| *stated != digest) {
                out.error(at, format!("a record of the archive states {stated} of it, and its bytes have {digest}"), REPLACED);
            }
            if let Some(Ok(first)) = &kept.first
                && first != digest
            {
                out.error(at, format!("it was put there with {first}, and the newest version of it has {digest}"), REPLACED);
            }
            if kept.hidden {
                out.error(at, "a delete marker hides it: whoever does not ask for versions is told that it is not there", ASK_VAULT);
            }
            if let Some(recorded) = &kept.recorded {
                let found = kept.version.as_deref().unwrap_or("none");
                out.error(at, format!("the archive's record names version {recorded}, and the newest is {found}"), ASK_VAULT);
            } else if kept.others > 0 {
                let what = format!("{} other versions or delete markers lie under its key; the newest was read", kept.others);
                out.warn(at, what, ASK_VAULT);
            }
            unlocked += u64::from(kept.lock.is_none());
        }
        for path in &self.gone {
            out.error(Some(path.as_str()), "a record of the archive names it, and nothing lies there", ASK_VAULT);
        }
        if unlocked > 0 {
            let what =
                format!("{unlocked} of {} objects are not locked, or their locks may not be seen with these credentials", files.len());
            out.warn(None, what, LOCK_IT);
        }
        if without > 0 {
            out.add(Level::Info, None, format!("of {without} objects S3 keeps no SHA-256; their bytes were read all the same"), "");
        }
        if !self.versions_seen {
            let what = "other versions and delete markers may not be listed with these credentials: whether there are any is not known";
            out.warn(None, what, "Verify with credentials that have s3:ListBucketVersions on the bucket.");
        }
        if !self.recorded {
            let what = "there is no record of an archive that came to its end: it is unfinished, or was put there by other means";
            out.warn(None, what, "Archive it again: what is there already is kept, and the rest is added.");
        }
    }
}
