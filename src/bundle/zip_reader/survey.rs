//! What the directory claims, held against itself, against the local headers, and against the file's length. Nothing is decompressed here.

use super::bytes::{bytes_at, u16_at, u32_at, u64_at};
use super::end::End;
use super::extra::Extra;
use super::records::refuse;
use super::{CASE_TWIN, FILE_AND_DIRECTORY, MAX_NAME, Oddity, ZipEntry};
use std::collections::{HashMap, HashSet};
use std::fs::File;

/// From here on an entry's ratio is looked at; below it even the worst ratio costs nothing.
const BOMB_FLOOR: u64 = 64 << 20;
/// Logs and policies compress 10 to 100 times. Deflate itself cannot do more than 1032 times.
const BOMB_RATIO: u64 = 250;
const DEFLATE_BEST: u64 = 1032;

/// The trick that a name plays, where it plays one.
pub fn name_trick(name: &str) -> Option<&'static str> {
    let body = name.strip_suffix('/').unwrap_or(name);
    let drive = |b: &[u8]| b.len() >= 2 && b[0].is_ascii_alphabetic() && b[1] == b':';
    if name.starts_with('/') {
        Some("its name is an absolute path")
    } else if drive(name.as_bytes()) {
        Some("its name begins with a drive letter")
    } else if name.contains('\\') {
        Some("its name holds a backslash, which is a separator on some systems")
    } else if body.split('/').any(|s| s == "..") {
        Some("its name leads out of the bundle (`..`)")
    } else if name.chars().any(char::is_control) {
        Some("its name holds control characters")
    } else if body.split('/').any(|s| s.is_empty() || s == ".") {
        Some("its name has empty or `.` segments")
    } else {
        None
    }
}

/// The directories that a name lies in, beside those that are known.
pub fn add_parents(name: &str, parents: &mut HashSet<String>) {
    let mut below = name.trim_end_matches('/');
    while let Some((up, _)) = below.rsplit_once('/') {
        if !parents.insert(up.to_string()) {
            break;
        }
        below = up;
    }
}

/// Names that mean two things to two programs. Entries in question stay readable where only one reading is possible.
pub fn names(entries: &mut [ZipEntry], oddities: &mut Vec<Oddity>) {
    let mut seen: HashMap<String, usize> = HashMap::with_capacity(entries.len());
    let mut parents: HashSet<String> = HashSet::new();
    for i in 0..entries.len() {
        if let Some(trick) = name_trick(&entries[i].name) {
            refuse(&mut entries[i], trick, oddities);
            continue;
        }
        let folded = entries[i].name.to_lowercase();
        add_parents(&folded, &mut parents);
        if entries[i].is_dir {
            // Also one in which nothing lies: whoever extracts it has a directory there.
            parents.insert(folded.trim_end_matches('/').to_string());
        }
        match seen.get(&folded) {
            Some(&first) if entries[first].name == entries[i].name => {
                // Which of the two a program shows is its own choice, so neither is evidence.
                refuse(&mut entries[i], "two entries have this name", oddities);
                entries[first].unreadable.get_or_insert("two entries have this name");
            }
            Some(_) => {
                oddities.push(Oddity::of(&entries[i].name, CASE_TWIN));
            }
            None => {
                seen.insert(folded, i);
            }
        }
    }
    for entry in entries.iter_mut().filter(|e| !e.is_dir) {
        if parents.contains(&entry.name.to_lowercase()) {
            refuse(entry, FILE_AND_DIRECTORY, oddities);
        }
    }
}

/// The header in front of each entry's data must say what the directory says, or a streaming reader sees another archive.
pub fn local_headers(file: &File, entries: &mut [ZipEntry], end: &End, oddities: &mut Vec<Oddity>) {
    for entry in entries {
        let head = bytes_at(file, entry.header_start, 30).filter(|h| h.starts_with(b"PK\x03\x04"));
        let Some(head) = head.filter(|_| entry.header_start < end.directory) else {
            refuse(entry, "there is no header where the directory says that it lies", oddities);
            continue;
        };
        let (name_len, extra_len) = (usize::from(u16_at(&head, 26)), usize::from(u16_at(&head, 28)));
        entry.data_start = entry.header_start + 30 + (name_len + extra_len) as u64;
        let variable = bytes_at(file, entry.header_start + 30, name_len + extra_len).unwrap_or_default();
        let name_differs =
            name_len > MAX_NAME || variable.get(..name_len).map(String::from_utf8_lossy).as_deref() != Some(entry.name.as_str());
        if name_differs {
            refuse(entry, "the header in front of it gives another name than the directory", oddities);
        }
        let (mut compressed, mut size) = (u64::from(u32_at(&head, 18)), u64::from(u32_at(&head, 22)));
        let extra = Extra::read(variable.get(name_len..).unwrap_or_default(), &mut [&mut size, &mut compressed]);
        extra.tell(entry.extra, entry, oddities);
        let streamed = entry.flags & 8 != 0; // sizes follow the data; the header may leave them open
        let same_sizes = (compressed, size, u32_at(&head, 14)) == (entry.compressed, entry.size, entry.crc32);
        let open_sizes =
            streamed && (compressed == 0 || compressed == 0xFFFF_FFFF) && (size == 0 || size == 0xFFFF_FFFF) && u32_at(&head, 14) == 0;
        if u16_at(&head, 6) != entry.flags || u16_at(&head, 8) != entry.method || !(same_sizes || open_sizes) {
            refuse(entry, "the header in front of it gives another size, checksum or method than the directory", oddities);
        }
    }
}

/// Entries must lie one after another without a hole, from the first byte to the directory.
pub fn extents(file: &File, entries: &mut [ZipEntry], end: &End, oddities: &mut Vec<Oddity>) {
    let mut order: Vec<usize> = (0..entries.len()).filter(|&i| entries[i].data_start > 0).collect();
    order.sort_by_key(|&i| entries[i].header_start);
    let (mut expected, mut before): (u64, Option<usize>) = (end.base, None);
    for i in order {
        let start = entries[i].header_start;
        if start < expected {
            refuse(&mut entries[i], "it lies over another entry", oddities);
            if let Some(b) = before {
                entries[b].unreadable.get_or_insert("another entry lies over it");
            }
        } else {
            behind(file, before.map(|b| &entries[b]), expected, start, oddities);
        }
        let data_end = entries[i].data_start.saturating_add(entries[i].compressed);
        if data_end > end.directory {
            refuse(&mut entries[i], "its data would reach into the directory", oddities);
        }
        if data_end >= expected {
            (expected, before) = (data_end, Some(i));
        }
    }
    if end.directory >= expected {
        behind(file, before.map(|b| &entries[b]), expected, end.directory, oddities);
    }
}

/// What lies behind an entry's data, up to whatever comes next: nothing, or the data descriptor of an entry that was written as a stream.
fn behind(file: &File, entry: Option<&ZipEntry>, from: u64, to: u64, oddities: &mut Vec<Oddity>) {
    let streamed = entry.filter(|e| e.flags & 8 != 0);
    match streamed {
        Some(e) if from == to => oddities.push(Oddity::of(&e.name, "its sizes were to follow its data, and do not")),
        Some(e) if is_descriptor(file, e, from, to - from) => {}
        _ if from == to => {}
        _ => oddities.push(Oddity::whole(format!("{} bytes at {from} belong to no entry, and no digest covers them", to - from))),
    }
}

/// Whether these bytes say what the directory says: with or without a signature, with 32-bit or 64-bit sizes.
fn is_descriptor(file: &File, entry: &ZipEntry, at: u64, length: u64) -> bool {
    let n @ (12 | 16 | 20 | 24) = length else { return false };
    let Some(all) = bytes_at(file, at, n as usize) else { return false };
    let Some(b) = (if matches!(n, 16 | 24) { all.strip_prefix(b"PK\x07\x08") } else { Some(&all[..]) }) else { return false };
    let (compressed, size) = if n < 20 { (u64::from(u32_at(b, 4)), u64::from(u32_at(b, 8))) } else { (u64_at(b, 4), u64_at(b, 12)) };
    (u32_at(b, 0), compressed, size) == (entry.crc32, entry.compressed, entry.size)
}

/// Nobody streams a directory, so its data are looked at here: deflated, nothing is two bytes.
pub fn directories(file: &File, entries: &mut [ZipEntry], oddities: &mut Vec<Oddity>) {
    for entry in entries.iter_mut().filter(|e| e.is_dir && e.method == 8 && e.compressed == 2 && e.data_start > 0) {
        if bytes_at(file, entry.data_start, 2).as_deref() != Some(b"\x03\0") {
            refuse(entry, "it is a directory by its name, yet has content", oddities);
        }
    }
}

/// Sizes that cannot be, or that would make reading a punishment.
pub fn sizes(entries: &mut [ZipEntry], length: u64, oddities: &mut Vec<Oddity>) {
    let total_limit = length.saturating_mul(BOMB_RATIO).max(1 << 30);
    let mut total: u64 = 0;
    for entry in entries {
        total = total.saturating_add(entry.size);
        let ratio = entry.size / entry.compressed.max(1);
        if entry.method == 0 && entry.size != entry.compressed {
            refuse(entry, "it is stored, yet its two sizes differ", oddities);
        } else if entry.size > BOMB_FLOOR && ratio > BOMB_RATIO {
            refuse(entry, "it is a decompression bomb: it would grow more than 250 times", oddities);
        } else if entry.size > DEFLATE_BEST.saturating_mul(entry.compressed.saturating_add(1)) {
            refuse(entry, "it declares more bytes than its data can hold", oddities);
        } else if total > total_limit {
            refuse(entry, "with it the archive would grow more than 250 times", oddities);
        }
    }
}
