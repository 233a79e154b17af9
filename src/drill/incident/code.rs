//! The code that the incident runs: harmless, and the same bytes at every seeding.

use std::io::{Cursor, Write as _};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::SeedError;

const APP: &str = include_str!("suspect/app.py");
const HOOK: &str = include_str!("suspect/hook.py");
const METRICS: &str = include_str!("suspect/metrics.py");
const COMMON: &str = include_str!("suspect/payments_common.py");
const REPORT: &str = include_str!("suspect/report.py");

/// What versions 1 and 3 and `$LATEST` hold.
pub fn clean() -> Result<Vec<u8>, SeedError> {
    pack(&[("app.py", APP)])
}

/// Version 2: the same handler, wrapped by a module that has no business there. Asked `{"drill": "whoami"}` it answers
/// with the credentials of its environment.
pub fn backdoored() -> Result<Vec<u8>, SeedError> {
    pack(&[("app.py", &format!("{APP}{HOOK}")), ("vendor/__init__.py", ""), ("vendor/metrics.py", METRICS)])
}

pub fn layer() -> Result<Vec<u8>, SeedError> {
    pack(&[("python/payments_common.py", COMMON)])
}

pub fn neighbour() -> Result<Vec<u8>, SeedError> {
    pack(&[("app.py", REPORT)])
}

/// Stored, not deflated, with the zip epoch as time: no library version and no clock gets into the bytes.
fn pack(files: &[(&str, &str)]) -> Result<Vec<u8>, SeedError> {
    let packing = |source: Box<dyn std::error::Error + Send + Sync>| SeedError::PackCode { source };
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(zip::DateTime::default())
        .unix_permissions(0o644);
    for (name, text) in files {
        zip.start_file(*name, options).map_err(|e| packing(e.into()))?;
        zip.write_all(text.as_bytes()).map_err(|e| packing(e.into()))?;
    }
    Ok(zip.finish().map_err(|e| packing(e.into()))?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest as _, Sha256};

    #[test]
    fn the_same_bytes_every_time() {
        for make in [clean, backdoored, layer, neighbour] {
            assert_eq!(make().unwrap(), make().unwrap());
        }
        // A changed hash is no fault in itself; it means that every drill from now on has another CodeSha256.
        let hashes: Vec<String> =
            [clean, backdoored].iter().map(|make| hex::encode(Sha256::digest(make().unwrap()))[..16].to_owned()).collect();
        assert_eq!(hashes, ["6d848090e3f44811", "631a5d09408944c9"]);
    }

    #[test]
    fn only_the_bad_version_has_the_hook() {
        let names = |zip: Vec<u8>| {
            let mut archive = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
            (0..archive.len()).map(|n| archive.by_index(n).unwrap().name().unwrap().into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(clean().unwrap()), ["app.py"]);
        assert_eq!(names(backdoored().unwrap()), ["app.py", "vendor/__init__.py", "vendor/metrics.py"]);
        assert!(!APP.contains("vendor") && HOOK.contains("vendor.metrics"));
    }
}
