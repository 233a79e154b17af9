//! Addenda on a disk, in `<bundle>.addenda/` beside the bundle. An addendum appears whole or not at all, under a number that nobody else has: its
//! folder is made under another name and then given its own, which the file system does once.
//!
//! Cancel safety: dropped half-way, it leaves nothing but a folder whose name begins with a dot.

use super::{About, AddendumKind, Link, MAX_AROUND, MAX_NUMBER, Ready, STATEMENT, folder, number, ready};
use crate::bundle::fault_point;
use crate::bundle::signing::Signers;
use crate::clock::Clock;
use crate::model::canon::CanonError;
use crate::model::digest::Sha256;
use crate::store::disk;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// So many others may be faster than we are.
const TRIES: u32 = 100;

#[derive(Debug, thiserror::Error)]
pub enum AddendumError {
    #[error("cannot read the addenda in {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot state the addendum")]
    State(#[source] CanonError),
    #[error("cannot write the addendum into {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("there are too many addenda in {}", path.display())]
    TooMany { path: PathBuf },
}

/// An addendum that lies there, durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addendum {
    pub number: u32,
    /// Its folder.
    pub path: PathBuf,
    /// SHA-256 of its statement: what the next one will name.
    pub statement: Sha256,
    /// SHA-256 of its document: what a journal may name.
    pub document: Sha256,
    pub signed_by: Vec<Sha256>,
    /// Signatures that were to be and are not, in words: to be told to a person.
    pub missing: Vec<String>,
}

/// Where the addenda of a bundle lie: beside its zip or directory.
pub fn place(bundle: &Path, name: &str) -> PathBuf {
    let real = bundle.canonicalize().unwrap_or_else(|_| bundle.to_path_buf());
    real.with_file_name(format!("{name}.addenda"))
}

/// Puts an addendum behind those that are there. `place` is made where it is missing.
pub async fn append(
    place: &Path,
    about: &About,
    kind: AddendumKind,
    document: &[u8],
    signers: &Signers,
    clock: &dyn Clock,
) -> Result<Addendum, AddendumError> {
    for _ in 0..TRIES {
        let there = statements(place).map_err(|source| AddendumError::Read { path: place.into(), source })?;
        let link = Link::behind(about.root, &there);
        if link.number > MAX_NUMBER {
            break;
        }
        let ready = ready(about, kind, document, link, signers, clock).await.map_err(AddendumError::State)?;
        let Ready { number, statement, signed_by, missing, files } = ready;
        let path = place.join(folder(number));
        match put(place, number, files.iter().map(|(name, bytes)| (*name, bytes.as_slice()))) {
            Ok(true) => return Ok(Addendum { number, path, statement, document: Sha256::of(document), signed_by, missing }),
            // Somebody was faster: his is the one before ours.
            Ok(false) => {}
            Err(source) => return Err(AddendumError::Write { path: place.into(), source }),
        }
    }
    Err(AddendumError::TooMany { path: place.into() })
}

/// Puts these files under this number, all or none; false when somebody has it already. Blocks until they are durable.
pub(crate) fn put<'f>(place: &Path, number: u32, files: impl IntoIterator<Item = (&'f str, &'f [u8])>) -> io::Result<bool> {
    disk::make_dirs(place)?;
    let making = tempfile::Builder::new().prefix(".making-").tempdir_in(place)?;
    for (name, bytes) in files {
        disk::write_new(&making.path().join(name), bytes)?;
    }
    disk::sync_dir(making.path())?;
    fault_point::reached("addendum-made");
    let to = place.join(folder(number));
    // An empty folder would be replaced, and there is none: each of ours holds a file when it gets its name.
    match fs::rename(making.path(), &to) {
        Ok(()) => {
            let _ = making.keep();
            disk::sync_dir(place)?;
            fault_point::reached("addendum");
            Ok(true)
        }
        Err(_) if fs::symlink_metadata(&to).is_ok() => Ok(false),
        Err(e) => Err(e),
    }
}

/// Number → SHA-256 of its statement; `None` where it has none. Whatever has a number's name has that number.
pub fn statements(place: &Path) -> io::Result<BTreeMap<u32, Option<Sha256>>> {
    let mut there = BTreeMap::new();
    for number in numbers(place)? {
        let bytes = disk::read_bounded(&place.join(folder(number)).join(STATEMENT), MAX_AROUND)?;
        there.insert(number, bytes.map(|b| Sha256::of(&b)));
    }
    Ok(there)
}

/// Every number that is taken; none where there is no such place.
pub fn numbers(place: &Path) -> io::Result<Vec<u32>> {
    let entries = match fs::read_dir(place) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        Err(e) => return Err(e),
    };
    let mut all = vec![];
    for entry in entries {
        all.extend(entry?.file_name().to_str().and_then(number));
        if all.len() > MAX_NUMBER as usize {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it holds more addenda than any bundle has"));
        }
    }
    all.sort_unstable();
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::keys::SigningKey;
    use crate::clock::FakeClock;
    use std::sync::Arc;

    fn about() -> About {
        About { case: "IR-1".parse().unwrap(), bundle: "b".into(), root: Sha256::of(b"root"), operator: "me".into() }
    }

    fn stated(a: &Addendum) -> super::super::AddendumPredicate {
        let bytes = fs::read(a.path.join(STATEMENT)).unwrap();
        assert_eq!(Sha256::of(&bytes), a.statement);
        serde_json::from_slice::<super::super::AddendumStatement>(&bytes).unwrap().predicate
    }

    #[tokio::test]
    async fn each_names_the_one_before_and_no_number_is_shared() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("b.addenda");
        let clock = FakeClock::at("2026-11-20T12:00:00Z").unwrap();
        let mut signers = Signers::default();
        signers.with(Arc::new(SigningKey::make(&dir.path().join("k.pem")).unwrap()));
        let (kind, about) = (AddendumKind::Access, about());
        let first = append(&place, &about, kind, b"{}", &signers, &clock).await.unwrap();
        assert_eq!((first.number, first.signed_by.len(), stated(&first).previous), (1, 1, about.root));
        // What a killed process left of one that it was making is nobody's number.
        fs::create_dir(place.join(".making-x")).unwrap();
        let twenty = (0..20).map(|_| append(&place, &about, kind, b"{}", &signers, &clock));
        let mut all: Vec<Addendum> = futures_util::future::join_all(twenty).await.into_iter().map(Result::unwrap).collect();
        all.push(first);
        all.sort_by_key(|a| a.number);
        assert_eq!(all.iter().map(|a| a.number).collect::<Vec<_>>(), (1..=21).collect::<Vec<_>>());
        for pair in all.windows(2) {
            assert_eq!(stated(&pair[1]).previous, pair[0].statement);
        }
        // One that has no statement is passed over, and named.
        fs::create_dir(place.join("000022")).unwrap();
        fs::write(place.join("000022/access.json"), b"{}").unwrap();
        let next = append(&place, &about, kind, b"{}", &Signers::default(), &clock).await.unwrap();
        let said = stated(&next);
        assert_eq!((next.number, said.unfinished, said.previous, next.signed_by.len()), (23, vec![22], all[20].statement, 0));
    }

    #[test]
    fn a_number_is_taken_once_and_whole() {
        let dir = tempfile::tempdir().unwrap();
        let put = |bytes: &'static [u8]| put(dir.path(), 1, [("access.json", bytes)]).unwrap();
        assert!(put(b"a") && !put(b"b"));
        assert_eq!(fs::read(dir.path().join("000001/access.json")).unwrap(), b"a");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing of the loser is left");
    }
}
