//! The few ways in which anything is written to a local disk here: new files only, private, and durable when asked.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use tempfile::TempPath;

/// A new file, readable by its owner only; an existing one (or a link in its place) is an error.
pub(crate) fn create_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A new file with all of its bytes on the disk. Its directory is not synced.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A new directory, open to its owner only.
pub(crate) fn make_dir(path: &Path) -> io::Result<()> {
    builder().create(path)
}

/// The directory and whatever is missing above it. Every directory made is durable in its parent.
pub(crate) fn make_dirs(path: &Path) -> io::Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().unwrap_or(Path::new(""));
    make_dirs(parent)?;
    match builder().create(path) {
        Ok(()) => sync_dir(parent),
        // Another task or process made it in the meantime.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(e) => Err(e),
    }
}

fn builder() -> DirBuilder {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

/// Makes names in a directory durable.
pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(path)?.sync_all()
}

/// Makes a file's bytes durable, whoever wrote them.
pub(crate) fn sync_file(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Gives a temporary file its name, atomically (`renameat2` without replacing, or a hard link), unless the name is taken:
/// `AlreadyExists`, and the temporary file is gone.
pub(crate) fn persist(temp: TempPath, to: &Path) -> io::Result<()> {
    temp.persist_noclobber(to).map_err(|e| e.error)
}

/// All bytes of a regular file; `None` when there is none. More than `limit` is an error of kind `FileTooLarge`, and nothing but a regular
/// file is read, so that a link or a device left in its place is never followed.
pub(crate) fn read_bounded(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(None),
        Err(e) => return Err(e),
    };
    if !meta.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {limit} bytes")));
    }
    Ok(Some(bytes))
}
