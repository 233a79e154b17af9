//! The end of an archive: the end record, the 64-bit one in front of it, and where by them the directory lies (APPNOTE 6.3.10, sections 4.3.14 to
//! 4.3.16).
//!
//! Between the directory and the end of the file every byte belongs to one of these records. Programs find them in different ways (backwards from
//! the end, by the locator, by the place right in front of it), and where two ways could lead to two records, none is followed.

use super::bytes::{bytes_at, u16_at, u32_at, u64_at};
use super::records::CENTRAL;
use super::{Oddity, Section, ZipError};
use std::fs::File;
use std::io::Read;

const END: &[u8; 4] = b"PK\x05\x06";
const END64: &[u8; 4] = b"PK\x06\x06";
const LOCATOR64: &[u8; 4] = b"PK\x06\x07";
/// 22 bytes of record and the longest possible comment.
const LONGEST_END: u64 = 22 + 0xFFFF;
/// The 64-bit record without an extensible data sector, which nobody but PKWARE's own encryption writes.
const END64_SIZE: usize = 56;
const LOCATOR64_SIZE: u64 = 20;

const ASTRAY: ZipError = ZipError::Directory("its zip64 end record is not where the locator says");
const TWO_ENDS: ZipError = ZipError::Directory(
    "bytes lie between its zip64 end record and the locator behind it, so that two programs may see two different archives",
);

/// Where the central directory is, in bytes from the start of the file.
#[derive(Debug)]
pub struct End {
    pub directory: u64,
    pub directory_end: u64,
    /// What must be added to every offset, because something lies in front of the archive.
    pub base: u64,
    pub declared: u64,
}

impl End {
    pub fn find(file: &File, length: u64, oddities: &mut Vec<Oddity>) -> Result<End, ZipError> {
        let tail_start = length.saturating_sub(LONGEST_END);
        let mut tail = Vec::new();
        Section::new(file, tail_start, length).read_to_end(&mut tail).map_err(|source| ZipError::Read { part: "end", source })?;
        // A file stored near the end may be a zip itself, so a signature alone means nothing: the record that ends where the file ends is it.
        let candidates: Vec<(u64, bool)> = (0..tail.len().saturating_sub(21))
            .filter(|&i| tail[i..].starts_with(END))
            .map(|i| (i as u64, (tail.len() - i) as u64, 22 + u64::from(u16_at(&tail, i + 20))))
            .filter(|&(_, left, size)| size <= left)
            .map(|(i, left, size)| (tail_start + i, size == left))
            .collect();
        let exact = candidates.iter().filter(|c| c.1).count();
        let at = candidates.iter().rev().find(|c| c.1).or(candidates.last()).map(|c| c.0).ok_or(ZipError::NoEnd)?;
        if exact > 1 {
            oddities.push(Oddity::whole("it has more than one end record, so that two programs may see two different archives"));
        }
        if exact == 0 {
            oddities.push(Oddity::whole("bytes follow the end of the archive, which no digest covers"));
        }
        let record = &tail[usize::try_from(at - tail_start).unwrap_or(0)..];
        if u16_at(record, 20) > 0 && exact > 0 {
            oddities.push(Oddity::whole("it has an archive comment, which no digest covers"));
        }
        let long = Long::before(file, at)?;
        let short = Stated::short(record);
        let disks = [u16_at(record, 4), u16_at(record, 6)];
        let elsewhere = long.is_some() && disks == [0xFFFF; 2]; // the long record says it
        if (disks != [0; 2] && !elsewhere) || short.here != short.count || long.as_ref().is_some_and(|l| l.spans) {
            oddities.push(Oddity::whole("it says that it spans several disks"));
        }
        if long.as_ref().is_some_and(|l| short.differs(&l.stated)) {
            oddities.push(Oddity::whole("its two end records disagree, so that two programs may see two different archives"));
        }
        let (stated, mut directory_end) = long.as_ref().map_or((&short, at), |l| (&l.stated, l.at));
        let stated_end = stated.offset.checked_add(stated.size).ok_or(ZipError::Directory("its place is beyond any file"))?;
        let slack = directory_end.checked_sub(stated_end).ok_or(ZipError::Directory("it would lie beyond its own end record"))?;
        let (mut directory, mut base) = (stated.offset, 0);
        if slack > 0 {
            // Either something was put in front and no offset was adjusted, or something lies between the directory and its end record.
            let is_entry = |at| bytes_at(file, at, 4).as_deref() == Some(CENTRAL);
            if is_entry(directory + slack) && !is_entry(directory) {
                oddities.push(Oddity::whole(format!("{slack} bytes were put in front of the archive, which no digest covers")));
                (directory, base) = (directory + slack, slack);
            } else {
                oddities.push(Oddity::whole(format!("{slack} bytes lie between the directory and its end record, which no digest covers")));
                directory_end = stated_end;
            }
        }
        match &long {
            Some(l) if l.said.checked_add(base) != Some(l.at) => Err(ASTRAY),
            _ => Ok(End { directory, directory_end, base, declared: stated.count }),
        }
    }
}

/// What an end record says of the directory. In the short one a value of all ones means: see the long one.
#[derive(Debug)]
struct Stated {
    /// Entries on this disk: all of them, where there is one disk.
    here: u64,
    count: u64,
    size: u64,
    offset: u64,
}

impl Stated {
    fn short(record: &[u8]) -> Stated {
        let [here, count] = [8, 10].map(|i| u64::from(u16_at(record, i)));
        let [size, offset] = [12, 16].map(|i| u64::from(u32_at(record, i)));
        Stated { here, count, size, offset }
    }

    fn differs(&self, long: &Stated) -> bool {
        let differ = |short: u64, saturated: u64, long: u64| short != saturated && short != long;
        differ(self.count, 0xFFFF, long.count) || differ(self.size, 0xFFFF_FFFF, long.size) || differ(self.offset, 0xFFFF_FFFF, long.offset)
    }
}

/// The 64-bit end record, which lies right in front of its locator.
#[derive(Debug)]
struct Long {
    at: u64,
    /// Where the locator says that it lies: it does not count what was put in front of the archive.
    said: u64,
    stated: Stated,
    spans: bool,
}

impl Long {
    /// What lies in front of the end record at `end`; none where there is no locator.
    fn before(file: &File, end: u64) -> Result<Option<Long>, ZipError> {
        let locator = end.checked_sub(LOCATOR64_SIZE).and_then(|at| Some((at, bytes_at(file, at, 20)?)));
        let Some((locator_at, locator)) = locator.filter(|(_, l)| l.starts_with(LOCATOR64)) else { return Ok(None) };
        let record = |at: u64| bytes_at(file, at, END64_SIZE).filter(|r| r.starts_with(END64));
        let (said, at) = (u64_at(&locator, 8), locator_at.checked_sub(END64_SIZE as u64));
        if Some(said) != at && record(said).is_some() {
            return Err(TWO_ENDS);
        }
        let (at, r) = at.and_then(|at| Some((at, record(at)?))).ok_or(ASTRAY)?;
        // Its length does not count the twelve bytes that state it.
        if u64_at(&r, 4) != END64_SIZE as u64 - 12 {
            return Err(TWO_ENDS);
        }
        let [here, count, size, offset] = [24, 32, 40, 48].map(|i| u64_at(&r, i));
        let disks = [u32_at(&r, 16), u32_at(&r, 20), u32_at(&locator, 4)];
        let spans = disks != [0; 3] || u32_at(&locator, 16) > 1 || here != count;
        Ok(Some(Long { at, said, stated: Stated { here, count, size, offset }, spans }))
    }
}
