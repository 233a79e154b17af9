//! The cases that lie beside one's own as directories: what they hold is not restored under them.
//!
//! A directory that cannot be looked into may be a case, and is told of as one that cannot be read. So is what lies where nothing can be listed:
//! who may enter the parent but not read it sees no siblings, and does not know that there are none.

use crate::engine::others::{CasePlaces, Place};
use crate::model::id::CaseId;
use crate::store::dir::DirStore;
use crate::store::{Store, StoreError};
use async_trait::async_trait;
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;

pub(super) struct Siblings {
    pub parent: PathBuf,
    pub own: OsString,
}

#[async_trait]
impl CasePlaces for Siblings {
    async fn places(&self) -> Result<Vec<Place>, StoreError> {
        // No case can have such a name.
        let unlisted = |source: io::Error| -> Place {
            let place = format!("directory {}", self.parent.display());
            let name = format!("(any in {})", self.parent.display());
            (name, Err(StoreError::ListObjects { folder: ".".into(), place, source: source.into() }))
        };
        let entries = match std::fs::read_dir(&self.parent) {
            Ok(entries) => entries,
            // A directory that is not there (yet) holds no cases.
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(vec![]),
            Err(e) => return Ok(vec![unlisted(e)]),
        };
        let mut found: Vec<Place> = vec![];
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(e) => {
                    found.push(unlisted(e));
                    break;
                }
            };
            let Some(name) = entry.file_name().to_str().and_then(|n| n.parse::<CaseId>().ok()) else { continue };
            if entry.file_name() == self.own {
                continue;
            }
            let path = entry.path();
            let store = match std::fs::metadata(path.join("journal")) {
                Ok(journal) if journal.is_dir() => DirStore::open(&path).map(|store| Arc::new(store) as Arc<dyn Store>),
                Ok(_) => continue,
                Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => continue,
                Err(e) => Err(StoreError::OpenStore { place: format!("directory {}", path.display()), source: e.into() }),
            };
            found.push((name.to_string(), store));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, FakeClock};
    use crate::engine::others::{OtherCases, Others as _};

    #[tokio::test]
    async fn what_cannot_be_looked_into_may_be_a_case() {
        let dir = tempfile::tempdir().unwrap();
        for made in ["IR-1/journal", "IR-2/journal", "control/stops", "no case at all/journal"] {
            std::fs::create_dir_all(dir.path().join(made)).unwrap();
        }
        std::fs::write(dir.path().join("guard.yaml"), "x").unwrap();
        let clock: Arc<dyn Clock> = Arc::new(FakeClock::at("2026-11-20T12:00:00Z").unwrap());
        let siblings = || Siblings { parent: dir.path().into(), own: "IR-1".into() };
        let found: Vec<String> = siblings().places().await.unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(found, ["IR-2"]);
        assert_eq!(OtherCases::open(Box::new(siblings()), clock.clone()).await.unwrap().in_doubt(), None);

        // As good as without permission, also for root: a journal that leads to itself.
        std::fs::create_dir(dir.path().join("IR-7")).unwrap();
        std::os::unix::fs::symlink("journal", dir.path().join("IR-7/journal")).unwrap();
        let others = OtherCases::open(Box::new(siblings()), clock).await.unwrap();
        let (name, why) = others.in_doubt().unwrap();
        assert!(name == "IR-7" && why.contains("IR-7"), "{name}: {why}");

        let none = Siblings { parent: dir.path().join("none"), own: "IR-1".into() };
        assert!(none.places().await.unwrap().is_empty());
    }

    /// Mode 0711 keeps no root out, so by ways that nobody can list: a link that leads to itself, and what is no directory.
    #[tokio::test]
    async fn a_place_that_cannot_be_listed_may_hold_any_case_and_stops_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let (looped, file) = (dir.path().join("cases"), dir.path().join("file"));
        std::os::unix::fs::symlink("cases", &looped).unwrap();
        std::fs::write(&file, "x").unwrap();
        let clock: Arc<dyn Clock> = Arc::new(FakeClock::at("2026-11-20T12:00:00Z").unwrap());
        let siblings = |parent: &std::path::Path| Box::new(Siblings { parent: parent.into(), own: "IR-1".into() });
        let open = async |parent| OtherCases::open(siblings(parent), clock.clone()).await.unwrap();
        for parent in [&looped, &file] {
            let (name, why) = open(parent).await.in_doubt().unwrap();
            assert_eq!(name, format!("(any in {})", parent.display()));
            assert!(why.contains("cannot list") && name.parse::<CaseId>().is_err(), "{why}");
        }

        // Doubt ends when it can be listed.
        let others = open(&looped).await;
        std::fs::remove_file(&looped).unwrap();
        std::fs::create_dir_all(looped.join("IR-2/journal")).unwrap();
        clock.sleep(std::time::Duration::from_secs(2)).await;
        others.look_again().await;
        assert_eq!(others.in_doubt(), None);
    }
}
