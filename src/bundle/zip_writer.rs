//! The transport copy of a bag: a zip that any `unzip` opens, written in constant memory, the same bytes for the same bag.
//!
//! Determinism: entries sorted bytewise, times and owners fixed, compression chosen by name. Zip64 where a file needs it. What it never
//! does: put a byte into the zip that the seal does not vouch for, or replace a file.

use super::fault_point;
use super::payload::Digest;
use super::seal::SealError;
use crate::model::digest::{self, Hasher};
use crate::model::path::BundlePath;
use crate::store::disk;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read as _, Write as _};
use std::path::Path;
use tempfile::TempPath;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, System, ZipWriter};

/// From this size on an entry is written with zip64 fields; below the 4 GiB where it must be, because deflate can make bytes more.
const LARGE: u64 = 0xf000_0000;

/// Writes `files` of the bag in `dir` to `zip`, below one top folder `name`, then `<zip>.sha256`.
pub(super) fn write(dir: &Path, name: &str, files: &BTreeMap<BundlePath, Digest>, zip: &Path) -> Result<(), SealError> {
    let failed = |source| SealError::WriteZip { path: zip.into(), source };
    if fs::symlink_metadata(zip).is_ok() {
        return Err(failed(io::ErrorKind::AlreadyExists.into()));
    }
    let part = zip.with_extension("zip.part");
    match fs::remove_file(&part) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(e)),
        _ => {}
    }
    let file = disk::create_new(&part).map_err(failed)?;
    let temp = TempPath::try_from_path(part).map_err(failed)?;
    let mut out = ZipWriter::new(BufWriter::with_capacity(256 << 10, file));
    for (path, digest) in files {
        entry(&mut out, dir, name, path, digest).map_err(failed)?.then_some(()).ok_or(SealError::Changed { path: path.clone() })?;
        fault_point::reached("zip-entry");
    }
    let finish = || {
        out.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        // The writer went back and forth in the file, so its digest can only be had by reading it.
        let (sha256, _) = digest::of_reader(File::open(&temp)?)?;
        fault_point::reached("zip-written");
        disk::persist(temp, zip)?;
        let dir = zip.parent().unwrap_or(Path::new("."));
        disk::write_new(&zip.with_extension("zip.sha256"), format!("{sha256}  {name}.zip\n").as_bytes())?;
        disk::sync_dir(dir)?;
        fault_point::reached("zipped");
        Ok(())
    };
    finish().map_err(failed)
}

/// Whether the file was what the seal says it is.
fn entry(out: &mut ZipWriter<BufWriter<File>>, dir: &Path, name: &str, path: &BundlePath, digest: &Digest) -> io::Result<bool> {
    let options = SimpleFileOptions::default()
        .compression_method(method(path.as_str()))
        .compression_level(None)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o600)
        .system(System::Unix)
        .large_file(digest.bytes >= LARGE);
    out.start_file(format!("{name}/{}", path.as_str()), options)?;
    // Never more than was sealed: a file that grew would otherwise overrun the size just declared.
    let mut from = File::open(path.under(dir))?.take(digest.bytes + 1);
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; 128 << 10];
    loop {
        let n = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        hasher.update(&buffer[..n]);
        out.write_all(&buffer[..n])?;
    }
    Ok(hasher.finish() == (digest.sha256, digest.bytes))
}

/// Text shrinks; what is compressed already (or unknown) is stored as it is.
fn method(path: &str) -> CompressionMethod {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("json" | "jsonl" | "txt" | "xml" | "html" | "yaml" | "csv" | "md") => CompressionMethod::Deflated,
        _ => CompressionMethod::Stored,
    }
}
