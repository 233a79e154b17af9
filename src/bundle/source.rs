//! One view over a bag, whether it lies in a directory or in a zip. Everything that reads a bag (verify, show, examine) reads it through here.
//!
//! What it never does: follow a symbolic link, open a device, believe a size, hold a whole file in memory unless asked for a small one.

use super::zip_reader::{CASE_TWIN, FILE_AND_DIRECTORY, MAX_ENTRIES, Oddity, ZipError, ZipReader, add_parents};
use crate::model::outcome::Outcome;
use crate::model::path::BundlePath;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Deeper directories than any bundle of ours has.
const MAX_DEPTH: usize = 32;
/// What may stand at the top of a bag. A directory with none of these is no bag, and a directory with a stranger among them is reported.
const TOPS: [&str; 8] = ["bagit.txt", "bag-info.txt", "manifest-sha256.txt", "tagmanifest-sha256.txt", "data", "meta", "seal", "tmp"];

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("cannot open `{path}`")]
    Open {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot list `{path}`")]
    List {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot read `{path}` as a zip")]
    Zip {
        path: PathBuf,
        #[source]
        source: ZipError,
    },
    #[error("`{path}` is no bundle: it holds none of bagit.txt, data/, meta/, seal/")]
    NotABag { path: PathBuf },
}

impl OpenError {
    /// A zip that cannot be read is a failed verification; a path that cannot be opened is a failed command.
    pub fn outcome(&self) -> Outcome {
        match self {
            OpenError::Zip { .. } => Outcome::VerificationFailed,
            OpenError::Open { .. } | OpenError::List { .. } | OpenError::NotABag { .. } => Outcome::Failed,
        }
    }
    /// What the user can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            OpenError::Open { .. } | OpenError::List { .. } => {
                "give the path of a bundle: its zip, or the directory that holds its bagit.txt"
            }
            OpenError::Zip { .. } => "compare its length and SHA-256 with the copy it came from, and fetch it again",
            OpenError::NotABag { .. } => "give the bundle itself, not the case directory that holds it",
        }
    }
}

/// Why a file of the bag could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("the bundle has no file `{}`", path.as_str())]
    Missing { path: BundlePath },
    #[error("cannot read `{}`", path.as_str())]
    Read {
        path: BundlePath,
        #[source]
        source: io::Error,
    },
    #[error("`{}` has more than the {limit} bytes that are read of such a file", path.as_str())]
    TooLarge { path: BundlePath, limit: u64 },
}

/// The name of a file in a bag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryName {
    Path(BundlePath),
    /// No path that a bundle may have: hostile text, for display only and only escaped. It cannot be opened.
    Odd(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: EntryName,
    /// As the file system or the zip's directory states it.
    pub bytes: u64,
}

/// Files of a bag that lie neither in a directory nor in a zip: in a bucket.
pub trait Elsewhere: std::fmt::Debug + Send + Sync {
    /// A file's bytes, front to back. Reading blocks.
    fn stream(&self, path: &BundlePath) -> io::Result<Box<dyn Read + '_>>;
}

#[derive(Debug)]
enum Container {
    Elsewhere(Box<dyn Elsewhere>),
    Directory(PathBuf),
    Zip { reader: Box<ZipReader>, index: HashMap<BundlePath, usize> },
}

/// See the module.
#[derive(Debug)]
pub struct BagSource {
    container: Container,
    name: String,
    files: Vec<Entry>,
    oddities: Vec<Oddity>,
    has_tmp: bool,
    /// The zip's entries lie in a directory of the bundle's name.
    within: bool,
}

impl BagSource {
    pub fn open(path: &Path) -> Result<BagSource, OpenError> {
        let open_err = |source| OpenError::Open { path: path.to_path_buf(), source };
        // The path itself may be a link: it is the user's own word. Nothing below it may.
        let meta = fs::metadata(path).map_err(open_err)?;
        let name =
            path.file_name().or(path.canonicalize().ok().as_deref().and_then(Path::file_name)).map(|n| n.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        if meta.is_dir() {
            Self::directory(path, name)
        } else if meta.is_file() {
            Self::zip(path, File::open(path).map_err(open_err)?, name.strip_suffix(".zip").unwrap_or(&name))
        } else {
            Err(open_err(io::Error::new(io::ErrorKind::InvalidInput, "it is neither a file nor a directory")))
        }
    }

    /// The bundle's name as its directory or archive states it: a claim.
    pub fn name(&self) -> &str {
        &self.name
    }
    pub fn is_zip(&self) -> bool {
        matches!(self.container, Container::Zip { .. })
    }
    /// The one directory that the archive holds, as RFC 8493 has it; none for a bag in a directory, or zipped without its own.
    pub fn archive_directory(&self) -> Option<&str> {
        (self.is_zip() && self.within).then_some(self.name.as_str())
    }
    /// Sorted by path; odd names last. A path appears once.
    pub fn files(&self) -> &[Entry] {
        &self.files
    }
    /// What a bundle written by freezeframe would not have.
    pub fn oddities(&self) -> &[Oddity] {
        &self.oddities
    }
    /// Whether there is a `tmp/`, even an empty one.
    pub fn has_tmp(&self) -> bool {
        self.has_tmp
    }

    /// The whole of a file that is known to be small.
    pub fn read_small(&self, path: &BundlePath, limit: u64) -> Result<Vec<u8>, ReadError> {
        let mut bytes = Vec::new();
        let read = self.stream(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|source| ReadError::Read { path: path.clone(), source })?;
        if bytes.len() as u64 > limit {
            return Err(ReadError::TooLarge { path: path.clone(), limit });
        }
        Ok(bytes)
    }

    /// A file's bytes, front to back. From a zip, a lie about its size or checksum comes out as an error at the end: read to the end.
    pub fn stream(&self, path: &BundlePath) -> Result<Box<dyn Read + '_>, ReadError> {
        let missing = || ReadError::Missing { path: path.clone() };
        let read_err = |source| ReadError::Read { path: path.clone(), source };
        match &self.container {
            Container::Elsewhere(files) => {
                if self.entry(path).is_none() {
                    return Err(missing());
                }
                files.stream(path).map_err(read_err)
            }
            Container::Zip { reader, index } => {
                let i = index.get(path).ok_or_else(missing)?;
                Ok(Box::new(reader.stream(*i).map_err(read_err)?))
            }
            Container::Directory(root) => {
                let entry = self.entry(path).ok_or_else(missing)?;
                let (file, listed) = open_plain(&path.under(root)).map_err(read_err)?;
                Ok(Box::new(Listed { file, left: listed.max(entry.bytes) }))
            }
        }
    }

    fn entry(&self, path: &BundlePath) -> Option<&Entry> {
        let at = self.files.binary_search_by(|e| by_name(&e.name, &EntryName::Path(path.clone())));
        at.ok().and_then(|i| self.files.get(i))
    }

    /// A bag whose files lie elsewhere, listed by path and length. `at` is what people call the place.
    pub fn elsewhere(at: &str, name: &str, listed: BTreeMap<String, u64>, files: Box<dyn Elsewhere>) -> Result<BagSource, OpenError> {
        let mut tops = listed.keys().map(|f| f.split('/').next().unwrap_or_default());
        if !tops.any(|t| TOPS.contains(&t)) {
            return Err(OpenError::NotABag { path: at.into() });
        }
        let mut found = Found { files: listed, ..Found::default() };
        if found.files.len() > MAX_ENTRIES {
            found.oddities.push(Oddity::whole(format!("it has more than {MAX_ENTRIES} files; the rest was not read")));
            found.files = found.files.into_iter().take(MAX_ENTRIES).collect();
        }
        let has_tmp = found.files.keys().any(|f| f.starts_with("tmp/"));
        Ok(Self::of(Container::Elsewhere(files), name.into(), found, has_tmp))
    }

    fn directory(root: &Path, name: String) -> Result<BagSource, OpenError> {
        let mut found = Found::default();
        walk(root, "", 0, &mut found)?;
        let mut tops = found.files.keys().chain(&found.directories).map(|f| f.split('/').next().unwrap_or_default());
        if !found.files.is_empty() && !tops.any(|t| TOPS.contains(&t)) {
            return Err(OpenError::NotABag { path: root.to_path_buf() });
        }
        let has_tmp = found.directories.iter().any(|d| d == "tmp");
        Ok(Self::of(Container::Directory(root.to_path_buf()), name, found, has_tmp))
    }

    fn of(container: Container, name: String, found: Found, has_tmp: bool) -> BagSource {
        let mut oddities = found.oddities;
        let (mut folded, mut parents, mut files) = (HashSet::new(), HashSet::new(), Vec::new());
        found.files.keys().for_each(|raw| add_parents(&raw.to_lowercase(), &mut parents));
        for (raw, bytes) in found.files {
            let lower = raw.to_lowercase();
            // A bucket holds both; no disk does.
            oddities.extend(parents.contains(&lower).then(|| Oddity::of(&raw, FILE_AND_DIRECTORY)));
            oddities.extend((!folded.insert(lower)).then(|| Oddity::of(&raw, CASE_TWIN)));
            files.push(named(&raw, bytes, &mut oddities));
        }
        files.sort_by(|a, b| by_name(&a.name, &b.name));
        BagSource { container, name, files, oddities, has_tmp, within: false }
    }

    fn zip(path: &Path, file: File, name: &str) -> Result<BagSource, OpenError> {
        let reader = ZipReader::open(file).map_err(|source| OpenError::Zip { path: path.to_path_buf(), source })?;
        let prefix = prefix_of(&reader);
        // Named as in the bag, like every other finding; what is not in it keeps its whole name.
        let inside = |n: &String| n.strip_prefix(&prefix).filter(|n| !n.is_empty()).unwrap_or(n).to_string();
        let mut oddities: Vec<Oddity> =
            reader.oddities().iter().map(|o| Oddity { name: o.name.as_ref().map(inside), what: o.what.clone() }).collect();
        if !reader
            .entries()
            .iter()
            .any(|e| e.name.strip_prefix(&prefix).is_some_and(|n| TOPS.contains(&n.split('/').next().unwrap_or_default())))
        {
            return Err(OpenError::NotABag { path: path.to_path_buf() });
        }
        let (mut index, mut files, mut has_tmp) = (HashMap::new(), Vec::new(), false);
        for (i, entry) in reader.entries().iter().enumerate() {
            let Some(inner) = entry.name.strip_prefix(&prefix) else {
                if !(entry.is_dir && prefix.starts_with(&entry.name)) && super::zip_reader::name_trick(&entry.name).is_none() {
                    oddities.push(Oddity::of(
                        &entry.name,
                        format!("it lies outside the bundle's own directory (`{}`)", prefix.trim_end_matches('/')),
                    ));
                    files.push(Entry { name: EntryName::Odd(entry.name.clone()), bytes: entry.size });
                }
                continue;
            };
            has_tmp |= inner.starts_with("tmp/");
            if entry.is_dir {
                continue;
            }
            if super::zip_reader::name_trick(&entry.name).is_some() {
                files.push(Entry { name: EntryName::Odd(entry.name.clone()), bytes: entry.size }); // said already
                continue;
            }
            let named = named(inner, entry.size, &mut oddities);
            match &named.name {
                // Of two entries of one name the first is listed; neither is read.
                EntryName::Path(p) if index.contains_key(p) => continue,
                EntryName::Path(p) => _ = index.insert(p.clone(), i),
                EntryName::Odd(_) => {}
            }
            files.push(named);
        }
        files.sort_by(|a, b| by_name(&a.name, &b.name));
        let within = !prefix.is_empty();
        let name = if within { prefix.trim_end_matches('/').to_string() } else { name.to_string() };
        Ok(BagSource { container: Container::Zip { reader: Box::new(reader), index }, name, files, oddities, has_tmp, within })
    }
}

/// RFC 8493 has an archive hold one directory; a zip of the directory's content is read as well.
fn prefix_of(reader: &ZipReader) -> String {
    let names = || reader.entries().iter().filter(|e| super::zip_reader::name_trick(&e.name).is_none()).map(|e| e.name.as_str());
    if names().any(|n| n == "bagit.txt") {
        return String::new();
    }
    let of_bagit = names().find_map(|n| n.strip_suffix("/bagit.txt").filter(|p| !p.contains('/')));
    let of_first = || names().find_map(|n| n.split_once('/').map(|(top, _)| top).filter(|top| !TOPS.contains(top)));
    // Without bagit.txt (an unfinished bag) the tops themselves decide.
    let bare = || names().any(|n| TOPS.contains(&n.split('/').next().unwrap_or_default()));
    match of_bagit {
        Some(top) => format!("{top}/"),
        None if bare() => String::new(),
        None => of_first().map(|top| format!("{top}/")).unwrap_or_default(),
    }
}

fn named(raw: &str, bytes: u64, oddities: &mut Vec<Oddity>) -> Entry {
    let name = BundlePath::parse(raw).map(EntryName::Path).unwrap_or_else(|e| {
        oddities.push(Oddity::of(raw, e.to_string()));
        EntryName::Odd(raw.to_string())
    });
    Entry { name, bytes }
}

/// Paths bytewise, then the odd ones.
fn by_name(a: &EntryName, b: &EntryName) -> std::cmp::Ordering {
    match (a, b) {
        (EntryName::Path(a), EntryName::Path(b)) => a.cmp(b),
        (EntryName::Path(_), EntryName::Odd(_)) => std::cmp::Ordering::Less,
        (EntryName::Odd(_), EntryName::Path(_)) => std::cmp::Ordering::Greater,
        (EntryName::Odd(a), EntryName::Odd(b)) => a.cmp(b),
    }
}

#[derive(Default)]
struct Found {
    files: BTreeMap<String, u64>,
    directories: Vec<String>,
    oddities: Vec<Oddity>,
}

fn walk(root: &Path, below: &str, depth: usize, found: &mut Found) -> Result<(), OpenError> {
    let at = if below.is_empty() { root.to_path_buf() } else { root.join(below) };
    let list_err = |source| OpenError::List { path: at.clone(), source };
    if depth > MAX_DEPTH {
        found.oddities.push(Oddity::of(below, "its directories are nested deeper than a bundle's; they were not read"));
        return Ok(());
    }
    for entry in fs::read_dir(&at).map_err(list_err)? {
        let entry = entry.map_err(list_err)?;
        let raw = entry.file_name().to_string_lossy().into_owned();
        let raw = if below.is_empty() { raw } else { format!("{below}/{raw}") };
        if found.files.len() + found.directories.len() >= MAX_ENTRIES {
            found.oddities.push(Oddity::whole(format!("it has more than {MAX_ENTRIES} files; the rest was not read")));
            return Ok(());
        }
        if entry.file_name().to_str().is_none() {
            found.oddities.push(Oddity::of(&raw, "its name is no UTF-8"));
            continue;
        }
        let meta = fs::symlink_metadata(entry.path()).map_err(list_err)?;
        if meta.is_symlink() {
            found.oddities.push(Oddity::of(&raw, "it is a symbolic link"));
        } else if meta.is_dir() {
            found.directories.push(raw.clone());
            walk(root, &raw, depth + 1, found)?;
        } else if meta.is_file() {
            found.files.insert(raw, meta.len());
        } else {
            found.oddities.push(Oddity::of(&raw, "it is a device, a pipe or a socket"));
        }
    }
    Ok(())
}

/// Open a file that was a plain file when listed and still is, without following a link that took its place.
fn open_plain(path: &Path) -> io::Result<(File, u64)> {
    let listed = fs::symlink_metadata(path)?;
    let changed = || io::Error::new(io::ErrorKind::InvalidData, "it is no longer the plain file that it was when the bundle was listed");
    if !listed.is_file() {
        return Err(changed());
    }
    let file = File::open(path)?;
    let opened = file.metadata()?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        if (listed.dev(), listed.ino()) != (opened.dev(), opened.ino()) {
            return Err(changed());
        }
    }
    if !opened.is_file() {
        return Err(changed());
    }
    Ok((file, opened.len()))
}

/// A file that may not grow while it is read: otherwise reading it might never end.
struct Listed {
    file: File,
    left: u64,
}

impl Read for Listed {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buf)?;
        self.left =
            self.left.checked_sub(n as u64).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it grew while it was read"))?;
        Ok(n)
    }
}
