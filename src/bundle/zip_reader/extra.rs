//! Extra fields, behind an entry's name in the directory and in the header in front of its data (APPNOTE 6.3.10, sections 4.5 and 4.6).

use super::bytes::{u16_at, u64_at};
use super::records::refuse;
use super::{Oddity, ZipEntry};

/// What stands in them that changes what an entry is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extra {
    /// They do not fit their own lengths, or say the same twice.
    malformed: bool,
    second_name: bool,
    encrypted: bool,
}

impl Extra {
    /// Walks them, and puts 64-bit values in the place of those of `values` that are all ones: in the order in which the format has them, size,
    /// compressed size, place of the header.
    pub fn read(mut fields: &[u8], values: &mut [&mut u64]) -> Extra {
        let (mut found, mut zip64_seen) = (Extra::default(), false);
        while !fields.is_empty() {
            let (id, len) = (u16_at(fields, 0), usize::from(u16_at(fields, 2)));
            let Some(data) = fields.get(4..4 + len) else {
                found.malformed = true;
                break;
            };
            match id {
                0x0001 if zip64_seen => found.malformed = true,
                0x0001 => {
                    zip64_seen = true;
                    found.malformed |= !saturated(data, values);
                }
                0x7075 => found.second_name = true,
                0x9901 => found.encrypted = true,
                _ => {}
            }
            fields = &fields[4 + len..];
        }
        found
    }

    /// Says what is odd about these, but for what was said of `before` already.
    pub fn tell(self, before: Extra, entry: &mut ZipEntry, oddities: &mut Vec<Oddity>) {
        if self.malformed && !before.malformed {
            oddities.push(Oddity::of(&entry.name, "its extra fields are malformed"));
        }
        if self.second_name && !before.second_name {
            oddities.push(Oddity::of(&entry.name, "it carries a second name (Unicode path field), which some programs use instead"));
        }
        if self.encrypted && !before.encrypted {
            refuse(entry, "it is encrypted", oddities);
        }
    }
}

/// False where there are fewer values than are wanted.
fn saturated(data: &[u8], values: &mut [&mut u64]) -> bool {
    let mut at = 0;
    for value in values.iter_mut().filter(|v| ***v == 0xFFFF_FFFF) {
        if at + 8 > data.len() {
            return false;
        }
        **value = u64_at(data, at);
        at += 8;
    }
    true
}
