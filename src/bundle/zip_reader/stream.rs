//! One entry's bytes, held to what its header declares.

use super::{Section, ZipEntry};
use flate2::Crc;
use flate2::bufread::DeflateDecoder;
use std::fs::File;
use std::io::{self, BufReader, Read};

#[derive(Debug)]
enum Source<'a> {
    Stored(Section<'a>),
    Deflated(Box<DeflateDecoder<BufReader<Section<'a>>>>),
}

/// Reads an entry to its end and no further. See [`super::ZipReader::stream`].
#[derive(Debug)]
pub struct EntryStream<'a> {
    source: Source<'a>,
    declared: u64,
    compressed: u64,
    crc32: u32,
    got: u64,
    crc: Crc,
}

impl<'a> EntryStream<'a> {
    pub(super) fn new(file: &'a File, entry: &ZipEntry) -> Self {
        let section = Section::new(file, entry.data_start, entry.data_start.saturating_add(entry.compressed));
        let source = match entry.method {
            0 => Source::Stored(section),
            _ => Source::Deflated(Box::new(DeflateDecoder::new(BufReader::with_capacity(64 << 10, section)))),
        };
        EntryStream { source, declared: entry.size, compressed: entry.compressed, crc32: entry.crc32, got: 0, crc: Crc::new() }
    }

    fn at_end(&self) -> Result<(), String> {
        if self.got < self.declared {
            return Err(format!("it holds {} bytes where its header declares {}", self.got, self.declared));
        }
        if self.crc.sum() != self.crc32 {
            return Err("its checksum (CRC-32) is not the one its header states".into());
        }
        match &self.source {
            Source::Deflated(d) if d.total_in() < self.compressed => {
                Err(format!("{} bytes follow its compressed stream, which no program shows", self.compressed - d.total_in()))
            }
            _ => Ok(()),
        }
    }
}

impl Read for EntryStream<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let lie = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
        if buf.is_empty() {
            return Ok(0);
        }
        let n = match &mut self.source {
            Source::Stored(s) => s.read(buf)?,
            Source::Deflated(d) => d.read(buf).map_err(|e| match e.kind() {
                io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                    lie("its compressed stream is damaged".into())
                }
                _ => e,
            })?,
        };
        if n == 0 {
            self.at_end().map_err(lie)?;
            return Ok(0);
        }
        self.got += n as u64;
        if self.got > self.declared {
            return Err(lie(format!("it holds more than the {} bytes that its header declares", self.declared)));
        }
        self.crc.update(&buf[..n]);
        Ok(n)
    }
}
