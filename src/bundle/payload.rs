//! The files of a draft while they come to be: streamed into `tmp/`, hashed as they pass, then given their name once and for all.

use crate::model::digest::{Sha256, Tee};
use crate::model::item::FileRef;
use crate::model::path::BundlePath;
use crate::store::disk;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempPath;

/// Bytes that are held in memory for each open file.
const BUFFER: usize = 64 << 10;

/// A file in `tmp/` that grows. Dropped, it is removed.
pub(super) struct Part {
    out: Tee<BufWriter<File>>,
    temp: TempPath,
    /// The first write that failed: what was kept then ends there, whatever comes after.
    failed: Option<io::ErrorKind>,
}

/// A part that has ended: all that was written lies in `temp`.
#[derive(Debug)]
pub(super) struct Whole {
    temp: TempPath,
    pub(super) sha256: Sha256,
    pub(super) bytes: u64,
    pub(super) failed: Option<io::ErrorKind>,
}

impl Part {
    pub(super) fn create(path: PathBuf, limit: u64) -> io::Result<Self> {
        let file = disk::create_new(&path)?;
        Ok(Part { out: Tee::new(BufWriter::with_capacity(BUFFER, file), limit), temp: TempPath::try_from_path(path)?, failed: None })
    }

    /// Ends the part. What could not be written to the end of the buffer is an error: then nobody knows what was kept.
    pub(super) fn finish(self) -> io::Result<Whole> {
        let (_, sha256, bytes) = self.out.finish()?;
        Ok(Whole { temp: self.temp, sha256, bytes, failed: self.failed })
    }
}

impl Whole {
    /// To read it before it has its name.
    pub(super) fn open(&self) -> io::Result<File> {
        File::open(&self.temp)
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part").field("temp", &self.temp).field("failed", &self.failed).finish_non_exhaustive()
    }
}

impl Write for Part {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if let Some(kind) = self.failed {
            return Err(kind.into());
        }
        self.out.write(data).inspect_err(|e| {
            if e.kind() != io::ErrorKind::Interrupted {
                self.failed = Some(e.kind());
            }
        })
    }
    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Who hears of each file below `data/` as soon as it has its name, from which moment on it does not change. Heard under the draft's lock, and
/// before any journal line can tell of the file: it must come back at once.
pub trait Follower: fmt::Debug + Send + Sync {
    fn admitted(&self, file: &FileRef);
}

/// Every file below `data/`, with size and digest as they were when it was written.
#[derive(Debug)]
pub(super) struct Payload {
    dir: PathBuf,
    files: BTreeMap<BundlePath, Digest>,
    /// The names in lower case: two names that differ in case alone would become one file where a responder unpacks the bag on a Mac.
    folded: BTreeSet<String>,
    follower: Option<Arc<dyn Follower>>,
}

/// Size and SHA-256 of a file of the bag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digest {
    pub(super) bytes: u64,
    pub(super) sha256: Sha256,
}

impl Payload {
    pub(super) fn new(dir: &Path) -> Self {
        Payload { dir: dir.into(), files: BTreeMap::new(), folded: BTreeSet::new(), follower: None }
    }

    /// The files of a bag that was begun elsewhere; they lie in `dir`.
    pub(super) fn found(dir: &Path, files: BTreeMap<BundlePath, Digest>) -> Self {
        let folded = files.keys().map(|path| path.as_str().to_ascii_lowercase()).collect();
        Payload { dir: dir.into(), files, folded, follower: None }
    }

    /// Tells `follower` of what is here, and then of what comes.
    pub(super) fn follow(&mut self, follower: Arc<dyn Follower>) {
        for (path, Digest { bytes, sha256 }) in &self.files {
            follower.admitted(&FileRef { path: path.clone(), bytes: *bytes, sha256: *sha256 });
        }
        self.follower = Some(follower);
    }

    pub(super) fn is_free(&self, path: &BundlePath) -> bool {
        !self.folded.contains(&path.as_str().to_ascii_lowercase())
    }

    /// Gives the file its name. A name that is taken is an error of kind `AlreadyExists`, and nothing is replaced.
    pub(super) fn admit(&mut self, whole: Whole, path: &BundlePath) -> io::Result<FileRef> {
        if !self.is_free(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let to = path.under(&self.dir);
        if let Some(parent) = to.parent() {
            disk::make_dirs(parent)?;
        }
        disk::persist(whole.temp, &to)?;
        self.folded.insert(path.as_str().to_ascii_lowercase());
        self.files.insert(path.clone(), Digest { bytes: whole.bytes, sha256: whole.sha256 });
        let file = FileRef { path: path.clone(), bytes: whole.bytes, sha256: whole.sha256 };
        if let Some(follower) = &self.follower {
            follower.admitted(&file);
        }
        Ok(file)
    }

    /// Whether exactly this file lies in the bag.
    pub(super) fn holds(&self, file: &FileRef) -> bool {
        self.files.get(&file.path) == Some(&Digest { bytes: file.bytes, sha256: file.sha256 })
    }

    pub(super) fn files(&self) -> &BTreeMap<BundlePath, Digest> {
        &self.files
    }
}
