//! The cases that lie beside one's own as directories: what they hold is not restored under them.
//!
//! A directory that cannot be looked into may be a case, and is told of as one that cannot be read.

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
        let listing = |source: io::Error| {
            let place = format!("directory {}", self.parent.display());
            StoreError::ListObjects { folder: ".".into(), place, source: source.into() }
        };
        let entries = match std::fs::read_dir(&self.parent) {
            Ok(entries) => entries,
            // A directory that is not there (yet) holds no cases.
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(vec![]),
            Err(e) => return Err(listing(e)),
        };
        let mut found: Vec<Place> = vec![];
        for entry in entries {
            let entry = entry.map_err(listing)?;
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

        // And a place that is there and no directory is no place without cases.
        let file = Siblings { parent: dir.path().join("guard.yaml"), own: "IR-1".into() };
        assert!(file.places().await.is_err());
        let none = Siblings { parent: dir.path().join("none"), own: "IR-1".into() };
        assert!(none.places().await.unwrap().is_empty());
    }
}
