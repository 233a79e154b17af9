//! The responder as Lambda takes it: a zip with one entry, `bootstrap`, which may be executed.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Packs the binary that this test run was built with into `to`.
pub fn write(to: &Path) -> io::Result<()> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        // A build with debugging information is large, and the emulator is on this machine.
        .compression_level(Some(1))
        .last_modified_time(zip::DateTime::default())
        .unix_permissions(0o755);
    let mut zip = ZipWriter::new(File::create(to)?);
    zip.start_file("bootstrap", options)?;
    io::copy(&mut File::open(env!("CARGO_BIN_EXE_freezeframe-responder"))?, &mut zip)?;
    zip.finish()?.flush()
}

#[test]
fn the_zip_holds_one_executable_bootstrap() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("responder.zip");
    write(&path).unwrap();
    let mut archive = zip::ZipArchive::new(File::open(&path).unwrap()).unwrap();
    assert_eq!(archive.len(), 1);
    let mut entry = archive.by_index(0).unwrap();
    assert_eq!((entry.name().unwrap().into_owned().as_str(), entry.unix_mode().map(|m| m & 0o777)), ("bootstrap", Some(0o755)));
    let mut magic = [0; 4];
    io::Read::read_exact(&mut entry, &mut magic).unwrap();
    assert_eq!(&magic, b"\x7fELF");
}
