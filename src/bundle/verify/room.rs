//! How much of a bundle's lines is kept while it is looked at: far more than any bundle of ours has, and no more than a computer can hold. A zip of a
//! few megabytes may hold a gigabyte of them.

use super::documents::Strict;
use super::facts::{Facts, ITEMS, REDACTIONS, Trouble};
use super::journal_reader::segment_number;
use crate::bundle::zip_reader::MAX_ENTRIES;
use crate::model::path::BundlePath;

/// An item rests on an exchange, which is two files.
const MAX_ITEMS: u64 = MAX_ENTRIES as u64 / 2;
/// One for each answer with secrets.
const MAX_REDACTIONS: u64 = MAX_ENTRIES as u64 / 2;
/// Of each exchange and each item a line or two, and of the case journal as many.
const MAX_JOURNAL: u64 = 500_000;
/// Of all lines of a kind together. A disclosed copy is made of no more either.
const MAX_BYTES: u64 = 256 << 20;

pub(super) const OVERFULL: &str = "it has more lines than any bundle of ours has, or longer ones: the rest was not read";

/// What there is still room for.
#[derive(Debug)]
pub(super) struct Room {
    lines: u64,
    bytes: u64,
    /// Something did not fit: nothing more does.
    pub full: bool,
}

impl Room {
    const fn of(lines: u64) -> Room {
        Room { lines, bytes: MAX_BYTES, full: false }
    }

    fn take(&mut self, bytes: u64) {
        match (self.lines.checked_sub(1), self.bytes.checked_sub(bytes)) {
            (Some(lines), Some(bytes)) if !self.full => (self.lines, self.bytes) = (lines, bytes),
            _ => self.full = true,
        }
    }
}

#[derive(Debug)]
pub struct Rooms {
    items: Room,
    redactions: Room,
    /// For all segments.
    pub(super) journal: Room,
}

impl Default for Rooms {
    fn default() -> Self {
        Rooms { items: Room::of(MAX_ITEMS), redactions: Room::of(MAX_REDACTIONS), journal: Room::of(MAX_JOURNAL) }
    }
}

impl Facts {
    /// Whether there is room for another line of this file, of so many bytes. Where there is none any more, that is said once, in front of all else: what
    /// else is wrong with so many lines may be more than anybody is told.
    pub(super) fn has_room(&mut self, path: &BundlePath, bytes: usize) -> bool {
        let room = match path.as_str() {
            ITEMS => &mut self.rooms.items,
            REDACTIONS => &mut self.rooms.redactions,
            p if segment_number(p).is_some() => &mut self.rooms.journal,
            _ => return true,
        };
        let was_full = room.full;
        room.take(bytes as u64);
        if room.full && !was_full {
            self.troubles.insert(0, Trouble { path: path.clone(), line: None, what: Strict::Form(OVERFULL.into()) });
        }
        !room.full
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(lines: u64, bytes: u64) -> Room {
        Room { lines, bytes, full: false }
    }

    #[test]
    fn what_does_not_fit_any_more_ends_it() {
        for (mut room, sizes) in [(room(2, 100), [1, 1, 0]), (room(100, 5), [2, 3, 1])] {
            let fit: Vec<bool> = sizes
                .map(|bytes| {
                    room.take(bytes);
                    !room.full
                })
                .into();
            assert_eq!(fit, [true, true, false], "{room:?}");
            room.take(0);
            assert!(room.full, "what is smaller comes after what was left out, so it is left out too");
        }
    }

    #[test]
    fn items_redactions_and_journal_have_room_each_of_its_own_and_it_is_said_once() {
        let mut facts = Facts::default();
        let paths = [ITEMS, REDACTIONS, "meta/journal/000001.jsonl"].map(|p| BundlePath::parse(p).unwrap());
        for (n, path) in paths.iter().enumerate() {
            assert!(facts.has_room(path, 200 << 20) && !facts.has_room(path, 57 << 20) && !facts.has_room(path, 0));
            assert_eq!((facts.troubles.len(), &facts.troubles[0].path), (n + 1, path));
        }
        assert!(!facts.has_room(&BundlePath::parse("meta/journal/000002.jsonl").unwrap(), 0), "the segments share it");
        assert!(facts.has_room(&BundlePath::parse("manifest-sha256.txt").unwrap(), 300 << 20), "it counts for itself");
        assert_eq!(facts.troubles.len(), 3);
    }
}
