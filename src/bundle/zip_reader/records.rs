//! The central directory, byte by byte (APPNOTE 6.3.10, section 4.3.12).

use super::bytes::{u16_at, u32_at};
use super::end::End;
use super::extra::Extra;
use super::{MAX_ENTRIES, MAX_NAME, Oddity, Section, ZipEntry, ZipError};
use std::fs::File;
use std::io::{BufReader, Read};

pub const CENTRAL: &[u8; 4] = b"PK\x01\x02";

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
            extra: Extra::default(),
        };
        entry.extra = Extra::read(extra, &mut [&mut entry.size, &mut entry.compressed, &mut entry.header_start]);
        entry.extra.tell(Extra::default(), &mut entry, oddities);
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
    // Nobody reads a directory's bytes. Some programs deflate them, and two bytes are what becomes of none.
    if entry.is_dir && (entry.size > 0 || !matches!((entry.method, entry.compressed), (_, 0) | (8, 2))) {
        refuse(entry, "it is a directory by its name, yet has content", oddities);
    }
}
