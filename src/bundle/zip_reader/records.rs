//! The end record and the central directory, byte by byte (APPNOTE 6.3.10, sections 4.3.12 to 4.3.16).

use super::{MAX_ENTRIES, MAX_NAME, Oddity, Section, ZipEntry, ZipError};
use std::fs::File;
use std::io::{BufReader, Read};

const END: &[u8; 4] = b"PK\x05\x06";
const END64: &[u8; 4] = b"PK\x06\x06";
const LOCATOR64: &[u8; 4] = b"PK\x06\x07";
const CENTRAL: &[u8; 4] = b"PK\x01\x02";
/// 22 bytes of record and the longest possible comment.
const LONGEST_END: u64 = 22 + 0xFFFF;

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

/// Where the central directory is, in bytes from the start of the file.
#[derive(Debug)]
pub struct End {
    pub directory: u64,
    pub directory_end: u64,
    /// What must be added to every offset, because something lies in front of the archive.
    pub base: u64,
    declared: u64,
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
        if u16_at(record, 4) != u16_at(record, 6) || (u16_at(record, 4) != 0 && u16_at(record, 4) != 0xFFFF) {
            oddities.push(Oddity::whole("it says that it spans several disks"));
        }
        let (mut declared, mut size, mut offset, mut directory_end) =
            (u64::from(u16_at(record, 10)), u64::from(u32_at(record, 12)), u64::from(u32_at(record, 16)), at);

        if let Some(locator) = at.checked_sub(20).and_then(|p| bytes_at(file, p, 20)).filter(|l| l.starts_with(LOCATOR64)) {
            // Offsets in the locator do not count what was put in front of the archive; then the record lies right before the locator.
            let places = [Some(u64_at(&locator, 8)), at.checked_sub(76)];
            let found = places.into_iter().flatten().find_map(|p| Some((p, bytes_at(file, p, 56).filter(|r| r.starts_with(END64))?)));
            let (p, r) = found.ok_or(ZipError::Directory("its zip64 end record is not where the locator says"))?;
            let (count64, size64, offset64) = (u64_at(&r, 32), u64_at(&r, 40), u64_at(&r, 48));
            let differs = |short: u64, saturated: u64, long: u64| short != saturated && short != long;
            if differs(declared, 0xFFFF, count64) || differs(size, 0xFFFF_FFFF, size64) || differs(offset, 0xFFFF_FFFF, offset64) {
                oddities.push(Oddity::whole("its two end records disagree, so that two programs may see two different archives"));
            }
            (declared, size, offset, directory_end) = (count64, size64, offset64, p);
        }
        let stated_end = offset.checked_add(size).ok_or(ZipError::Directory("its place is beyond any file"))?;
        let slack = directory_end.checked_sub(stated_end).ok_or(ZipError::Directory("it would lie beyond its own end record"))?;
        let (mut directory, mut base) = (offset, 0);
        if slack > 0 {
            // Either something was put in front and no offset was adjusted, or something lies between the directory and its end record.
            if bytes_at(file, offset + slack, 4).as_deref() == Some(CENTRAL) && bytes_at(file, offset, 4).as_deref() != Some(CENTRAL) {
                oddities.push(Oddity::whole(format!("{slack} bytes were put in front of the archive, which no digest covers")));
                (directory, base) = (offset + slack, slack);
            } else {
                oddities.push(Oddity::whole(format!("{slack} bytes lie between the directory and its end record, which no digest covers")));
                directory_end = stated_end;
            }
        }
        Ok(End { directory, directory_end, base, declared })
    }
}

/// Every entry that can be understood. Memory is bounded by the limits on entries and names, whatever the header declares.
pub fn walk_directory(file: &File, end: &End, oddities: &mut Vec<Oddity>) -> Result<Vec<ZipEntry>, ZipError> {
    let mut from = BufReader::with_capacity(64 << 10, Section::new(file, end.directory, end.directory_end));
    let mut left = end.directory_end - end.directory;
    let mut entries: Vec<ZipEntry> = Vec::new();
    let mut seen: u64 = 0;
    while left > 0 {
        if seen as usize >= MAX_ENTRIES {
            oddities.push(Oddity::whole(format!("it has more than {MAX_ENTRIES} entries; the rest was not read")));
            return Ok(entries);
        }
        let mut head = [0; 46];
        if left < 46 || from.read_exact(&mut head).is_err() || !head.starts_with(CENTRAL) {
            oddities.push(Oddity::whole(format!("its directory is damaged after {seen} entries; the rest was not read")));
            return Ok(entries);
        }
        let [name_len, extra_len, comment_len] = [28, 30, 32].map(|i| usize::from(u16_at(&head, i)));
        let mut variable = vec![0; name_len + extra_len + comment_len];
        if from.read_exact(&mut variable).is_err() {
            oddities.push(Oddity::whole(format!("its directory is cut off after {seen} entries")));
            return Ok(entries);
        }
        left = left.saturating_sub(46 + variable.len() as u64);
        seen += 1;
        let (raw_name, rest) = variable.split_at(name_len);
        let (extra, comment) = rest.split_at(extra_len);
        let cut = &raw_name[..name_len.min(MAX_NAME)];
        let name = String::from_utf8_lossy(cut).into_owned();
        if name_len > MAX_NAME {
            oddities.push(Oddity::of(&name, "its name is longer than any path of a bundle; it was not read"));
            continue;
        }
        if std::str::from_utf8(raw_name).is_err() {
            oddities.push(Oddity::of(&name, "its name is no UTF-8, so that each program shows another one"));
        }
        if !comment.is_empty() {
            oddities.push(Oddity::of(&name, "it has a comment, which no digest covers"));
        }
        let mut entry = ZipEntry {
            is_dir: name.ends_with('/'),
            name,
            flags: u16_at(&head, 8),
            method: u16_at(&head, 10),
            crc32: u32_at(&head, 16),
            compressed: u64::from(u32_at(&head, 20)),
            size: u64::from(u32_at(&head, 24)),
            header_start: u64::from(u32_at(&head, 42)),
            data_start: 0,
            unreadable: None,
        };
        if !extra_fields(extra, &mut entry, oddities) {
            oddities.push(Oddity::of(&entry.name, "its extra fields are malformed"));
        }
        match entry.header_start.checked_add(end.base) {
            Some(at) => entry.header_start = at,
            None => refuse(&mut entry, "it lies beyond any file", oddities),
        }
        examine_attributes(&mut entry, u32_at(&head, 38), oddities);
        entries.push(entry);
    }
    if seen != end.declared {
        oddities.push(Oddity::whole(format!("it declares {} entries and lists {seen}", end.declared)));
    }
    Ok(entries)
}

/// Note an oddity because of which the entry's bytes are not read.
pub fn refuse(entry: &mut ZipEntry, why: &'static str, oddities: &mut Vec<Oddity>) {
    oddities.push(Oddity::of(&entry.name, why));
    entry.unreadable.get_or_insert(why);
}

/// Take the zip64 sizes in; false where the fields do not fit their own lengths.
fn extra_fields(mut extra: &[u8], entry: &mut ZipEntry, oddities: &mut Vec<Oddity>) -> bool {
    let mut zip64_seen = false;
    while !extra.is_empty() {
        if extra.len() < 4 {
            return false;
        }
        let (id, len) = (u16_at(extra, 0), usize::from(u16_at(extra, 2)));
        let Some(data) = extra.get(4..4 + len) else { return false };
        match id {
            0x0001 if zip64_seen => return false,
            0x0001 => {
                zip64_seen = true;
                let mut at = 0;
                for value in [&mut entry.size, &mut entry.compressed, &mut entry.header_start] {
                    if *value == 0xFFFF_FFFF {
                        if at + 8 > data.len() {
                            return false;
                        }
                        *value = u64_at(data, at);
                        at += 8;
                    }
                }
            }
            0x7075 => {
                oddities.push(Oddity::of(&entry.name, "it carries a second name (Unicode path field), which some programs use instead"))
            }
            0x9901 => refuse(entry, "it is encrypted", oddities),
            _ => {}
        }
        extra = &extra[4 + len..];
    }
    true
}

fn examine_attributes(entry: &mut ZipEntry, external: u32, oddities: &mut Vec<Oddity>) {
    if entry.flags & 0x2041 != 0 {
        refuse(entry, "it is encrypted", oddities);
    }
    if entry.method != 0 && entry.method != 8 {
        refuse(entry, "it is compressed in a way that bundles do not use (neither stored nor deflate)", oddities);
    }
    // The mode is believed whatever system the entry says it was made on: some programs do too.
    let kind = external >> 16 & 0o170_000;
    match kind {
        0 | 0o100_000 => {}
        0o040_000 => {
            if !entry.is_dir {
                refuse(entry, "it is a directory by its mode and a file by its name", oddities);
            }
        }
        0o120_000 => refuse(entry, "it is a symbolic link", oddities),
        _ => refuse(entry, "it is a device, a pipe or a socket", oddities),
    }
    if entry.is_dir && (entry.size > 0 || entry.compressed > 0 && entry.method == 0) {
        refuse(entry, "it is a directory by its name, yet has content", oddities);
    }
}
