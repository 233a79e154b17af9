//! A stranger's zip, read suspiciously: every oddity becomes a finding, and what can still be read safely is read.
//!
//! The directory is walked here rather than by crate `zip`, whose reader is made to be forgiving: it keys entries by name (so the second of two
//! entries of one name vanishes without a word), looks for another end record when the first does not please it, and stops at its first error.
//! Here there is one reading of an archive, and wherever another reader might see something else, that is said.
//!
//! What it never does: extract to disk, hold an entry in memory, follow a name, decompress past a declared size.

mod bytes;
mod end;
mod extra;
mod records;
mod stream;
mod survey;

pub(super) use survey::{add_parents, name_trick};

pub use stream::EntryStream;

use end::End;
use extra::Extra;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// More entries than any bundle of ours has; beyond them the rest is left unread.
pub const MAX_ENTRIES: usize = 200_000;
/// Names longer than this are no path of a bundle (480 bytes below one directory name), and are not kept.
const MAX_NAME: usize = 1024;

/// Something about the container that a bundle written by freezeframe does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oddity {
    /// The entry or file, as named there: hostile text.
    pub name: Option<String>,
    pub what: String,
}

/// Said of files in a directory and of entries in a zip alike.
pub(super) const CASE_TWIN: &str = "another file has this name but for upper and lower case: on some systems one overwrites the other";
/// The same.
pub(super) const FILE_AND_DIRECTORY: &str = "its name is a directory's as well";

impl Oddity {
    pub(super) fn of(name: &str, what: impl Into<String>) -> Self {
        Oddity { name: Some(name.to_string()), what: what.into() }
    }
    pub(super) fn whole(what: impl Into<String>) -> Self {
        Oddity { name: None, what: what.into() }
    }
}

/// The zip's structure cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum ZipError {
    #[error("cannot read the zip's {part}")]
    Read {
        part: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("this is no zip, or its end was cut off: it has no end-of-directory record")]
    NoEnd,
    #[error("the zip's directory cannot be found: {0}")]
    Directory(&'static str),
}

/// One line of the central directory that could be understood.
#[derive(Clone, Debug)]
pub struct ZipEntry {
    /// As stored; bytes that are no UTF-8 replaced (and reported).
    pub name: String,
    pub is_dir: bool,
    pub size: u64,
    /// Why the bytes must not be read, where they must not. The oddity that says so is in the list as well.
    pub unreadable: Option<&'static str>,
    method: u16,
    flags: u16,
    crc32: u32,
    compressed: u64,
    header_start: u64,
    data_start: u64,
    /// As the directory has them.
    extra: Extra,
}

#[derive(Debug)]
pub struct ZipReader {
    file: File,
    entries: Vec<ZipEntry>,
    oddities: Vec<Oddity>,
}

impl ZipReader {
    pub fn open(file: File) -> Result<ZipReader, ZipError> {
        let length = (&file).seek(SeekFrom::End(0)).map_err(|source| ZipError::Read { part: "length", source })?;
        let mut oddities = Vec::new();
        let end = End::find(&file, length, &mut oddities)?;
        let mut entries = records::walk_directory(&file, &end, &mut oddities)?;
        survey::names(&mut entries, &mut oddities);
        survey::local_headers(&file, &mut entries, &end, &mut oddities);
        survey::extents(&file, &mut entries, &end, &mut oddities);
        survey::directories(&file, &mut entries, &mut oddities);
        survey::sizes(&mut entries, length, &mut oddities);
        Ok(ZipReader { file, entries, oddities })
    }

    /// In the order of the central directory; names may repeat.
    pub fn entries(&self) -> &[ZipEntry] {
        &self.entries
    }

    pub fn oddities(&self) -> &[Oddity] {
        &self.oddities
    }

    /// The bytes of entry `index`, never more than it declares; a lie about size, checksum or compression comes out as an error of kind
    /// `InvalidData`, at the end at the latest.
    pub fn stream(&self, index: usize) -> io::Result<EntryStream<'_>> {
        let entry = self.entries.get(index).ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such entry"))?;
        if let Some(why) = entry.unreadable {
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        Ok(EntryStream::new(&self.file, entry))
    }
}

/// A stretch of the file as a reader of its own. It reads at a place, not at the handle's position, so that any number of them share one handle
/// on any number of threads: an archive sends several files of a zip at once.
#[derive(Debug)]
pub(super) struct Section<'a> {
    file: &'a File,
    at: u64,
    end: u64,
}

impl<'a> Section<'a> {
    fn new(file: &'a File, at: u64, end: u64) -> Self {
        Section { file, at, end: end.max(at) }
    }
}

#[cfg(unix)]
fn read_at(file: &File, buf: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buf, at)
}

#[cfg(windows)]
fn read_at(file: &File, buf: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buf, at)
}

impl Read for Section<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let want = usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(buf.len());
        if want == 0 {
            return Ok(0);
        }
        let n = read_at(self.file, &mut buf[..want], self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use zip::write::SimpleFileOptions;

    #[test]
    fn several_threads_read_several_entries_through_one_handle() {
        let contents: Vec<Vec<u8>> = (0u64..4).map(|n| (0u64..60_000).flat_map(|i| (i * (n + 3) / 7).to_le_bytes()).collect()).collect();
        let mut writer = zip::ZipWriter::new(tempfile::tempfile().unwrap());
        for (n, content) in contents.iter().enumerate() {
            writer.start_file(n.to_string(), SimpleFileOptions::default()).unwrap();
            writer.write_all(content).unwrap();
        }
        let reader = ZipReader::open(writer.finish().unwrap()).unwrap();
        std::thread::scope(|scope| {
            for (n, content) in contents.iter().enumerate() {
                let reader = &reader;
                scope.spawn(move || {
                    for _ in 0..20 {
                        let mut read = vec![];
                        reader.stream(n).unwrap().read_to_end(&mut read).unwrap();
                        assert!(read == *content, "entry {n} is not what was written");
                    }
                });
            }
        });
    }
}
