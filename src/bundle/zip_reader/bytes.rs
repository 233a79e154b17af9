//! Numbers in little-endian, and stretches of the file.

use super::Section;
use std::fs::File;
use std::io::Read;

pub fn u16_at(b: &[u8], at: usize) -> u16 {
    b.get(at..at + 2).map_or(0, |s| u16::from_le_bytes([s[0], s[1]]))
}
pub fn u32_at(b: &[u8], at: usize) -> u32 {
    u32::from(u16_at(b, at)) | u32::from(u16_at(b, at + 2)) << 16
}
pub fn u64_at(b: &[u8], at: usize) -> u64 {
    u64::from(u32_at(b, at)) | u64::from(u32_at(b, at + 4)) << 32
}

/// Exactly `n` bytes at `at`, or `None` where the file has not that many.
pub fn bytes_at(file: &File, at: u64, n: usize) -> Option<Vec<u8>> {
    let mut buf = vec![0; n];
    Section::new(file, at, at.checked_add(n as u64)?).read_exact(&mut buf).ok()?;
    Some(buf)
}
