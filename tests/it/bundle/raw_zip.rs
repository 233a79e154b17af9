//! A zip writer that can lie about everything: no crate that writes zips would.

use flate2::Compression;
use flate2::write::DeflateEncoder;
use std::io::Write as _;

#[derive(Clone)]
pub struct RawEntry {
    pub name: Vec<u8>,
    /// In the local header, where it differs.
    pub local_name: Option<Vec<u8>>,
    pub data: Vec<u8>,
    pub method: u16,
    pub flags: u16,
    pub crc: u32,
    /// Declared uncompressed size, in both headers.
    pub size: u32,
    /// In the local header, where it differs.
    pub local_size: Option<u32>,
    /// Declared compressed size, in both headers, where it is not that of the data.
    pub declared: Option<u32>,
    pub mode: u32,
    pub extra: Vec<u8>,
    /// Extra fields of the local header.
    pub local_extra: Vec<u8>,
    /// Follows the data, as a descriptor does.
    pub behind: Vec<u8>,
    /// Points here instead of to its own header.
    pub offset: Option<u32>,
}

impl RawEntry {
    pub fn stored(name: &str, data: &[u8]) -> RawEntry {
        let mut crc = flate2::Crc::new();
        crc.update(data);
        RawEntry {
            name: name.as_bytes().to_vec(),
            local_name: None,
            size: data.len() as u32,
            local_size: None,
            declared: None,
            crc: crc.sum(),
            data: data.to_vec(),
            method: 0,
            flags: 0,
            mode: 0o100_600,
            extra: vec![],
            local_extra: vec![],
            behind: vec![],
            offset: None,
        }
    }
    pub fn deflated(name: &str, data: &[u8]) -> RawEntry {
        let mut out = DeflateEncoder::new(Vec::new(), Compression::default());
        out.write_all(data).unwrap();
        RawEntry { data: out.finish().unwrap(), method: 8, ..RawEntry::stored(name, data) }
    }
}

#[derive(Clone, Default)]
pub struct RawZip {
    pub entries: Vec<RawEntry>,
    pub prepended: Vec<u8>,
    /// Offsets count what was prepended.
    pub adjusted: bool,
    /// Between the last entry and the directory.
    pub before_directory: Vec<u8>,
    pub comment: Vec<u8>,
    pub appended: Vec<u8>,
    pub declared_entries: Option<u16>,
    /// Where it is not all that are declared.
    pub on_this_disk: Option<u16>,
}

impl RawZip {
    pub fn entry(&mut self, path: &str) -> &mut RawEntry {
        let name = format!("{}/{path}", super::bag::NAME).into_bytes();
        self.entries.iter_mut().find(|e| e.name == name).unwrap()
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut out = self.prepended.clone();
        let base = if self.adjusted { 0 } else { out.len() };
        let mut directory = Vec::new();
        for e in &self.entries {
            let offset = e.offset.unwrap_or((out.len() - base) as u32);
            let local = e.local_name.as_ref().unwrap_or(&e.name);
            out.extend(b"PK\x03\x04\x14\0");
            let fixed = |size: u32| {
                [
                    &e.flags.to_le_bytes()[..],
                    &e.method.to_le_bytes(),
                    &[0, 0, 0x21, 0],
                    &e.crc.to_le_bytes(),
                    &e.declared.unwrap_or(e.data.len() as u32).to_le_bytes(),
                    &size.to_le_bytes(),
                ]
                .concat()
            };
            out.extend(fixed(e.local_size.unwrap_or(e.size)));
            out.extend((local.len() as u16).to_le_bytes());
            out.extend((e.local_extra.len() as u16).to_le_bytes());
            out.extend(local);
            out.extend(&e.local_extra);
            out.extend(&e.data);
            out.extend(&e.behind);
            directory.extend(b"PK\x01\x02\x14\x03\x14\0");
            directory.extend(fixed(e.size));
            for n in [e.name.len() as u16, e.extra.len() as u16, 0, 0, 0] {
                directory.extend(n.to_le_bytes());
            }
            directory.extend((e.mode << 16).to_le_bytes());
            directory.extend(offset.to_le_bytes());
            directory.extend(&e.name);
            directory.extend(&e.extra);
        }
        out.extend(&self.before_directory);
        let start = (out.len() - base) as u32;
        out.extend(&directory);
        out.extend(b"PK\x05\x06\0\0\0\0");
        let count = self.declared_entries.unwrap_or(self.entries.len() as u16);
        out.extend(self.on_this_disk.unwrap_or(count).to_le_bytes());
        out.extend(count.to_le_bytes());
        out.extend((directory.len() as u32).to_le_bytes());
        out.extend(start.to_le_bytes());
        out.extend((self.comment.len() as u16).to_le_bytes());
        out.extend(&self.comment);
        out.extend(&self.appended);
        out
    }
}
