//! What archiving wrote down of a bundle (`seal/addenda/NNNNNN/archive.json`), read by the version that was there first.
//!
//! Object Lock keeps versions; it does not keep anybody who may put objects from putting newer ones on top, records included. The archive puts
//! only where nothing is, so its word is the first version of a key, and a newer one is somebody else's: all that the newest version of a record
//! could show is what a stranger wants to be believed. The files around a record (its statement, signatures, keys) are looked at in the same way.
//!
//! What it says is judged with everything else (`bundle::verify::Stored`). What it never does: end a reading. A record that cannot be read is
//! none, and why not is found.

use super::bucket::{Bucket, Version};
use super::place::Place;
use super::record::ArchiveRecord;
use super::remote::{TRIES, passing};
use crate::aws::fault::Fault;
use crate::bundle::addenda::{AddendumKind, MAX_DOCUMENT, MAX_NUMBER, STATEMENT, WITHIN, folder, number};
use crate::bundle::zip_reader::MAX_ENTRIES;
use crate::model::digest::Sha256;
use crate::model::path::BundlePath;
use std::collections::{BTreeMap, BTreeSet};

/// The version of a file that was there first.
pub(super) struct First {
    pub version: Version,
    /// There are newer ones.
    pub several: bool,
}

/// What all records say together.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// One at least could be read.
    pub any: bool,
    /// The version ids that the last record of this place names; of another place, where there is none of this.
    pub versions: BTreeMap<BundlePath, String>,
    /// The SHA-256 that records state of each file. Were there two, one of them would be wrong, so a third is not kept.
    pub stated: BTreeMap<BundlePath, BTreeSet<Sha256>>,
    /// Of records, and of what lies around them in several versions: the SHA-256 of the first version, or what is wrong with it.
    pub first: BTreeMap<BundlePath, Result<Sha256, String>>,
    /// A record of this place was among them.
    here: bool,
}

impl Records {
    /// Of the files below `seal/addenda/`; one after the other, since each may be long.
    pub async fn read(bucket: &Bucket, place: &Place, addenda: &BTreeMap<BundlePath, First>) -> Records {
        let mut records = Records::default();
        for (path, first) in addenda {
            let Some((number, name)) = file(path) else { continue };
            // Without a statement it was begun, and is nobody's word.
            let record = name == AddendumKind::Archive.document() && stated(addenda, number);
            if !record && !first.several {
                continue;
            }
            let read = match whole(bucket, &first.version).await {
                Ok(bytes) if record => records.take(&bytes, &place.to_string()).map(|()| Sha256::of(&bytes)),
                Ok(bytes) => Ok(Sha256::of(&bytes)),
                Err(fault) => Err(format!("cannot be read: {fault}")),
            };
            records.first.insert(path.clone(), read);
        }
        records
    }

    fn take(&mut self, bytes: &[u8], place: &str) -> Result<(), String> {
        let record: ArchiveRecord = serde_json::from_slice(bytes).map_err(|e| format!("is no record of an archive: {e}"))?;
        if record.v != 1 {
            return Err(format!("is a record of version {}, which this build does not know", record.v));
        }
        if record.objects.len() > MAX_ENTRIES || self.stated.len() > MAX_ENTRIES {
            return Err("names more files than any bundle has".into());
        }
        self.any = true;
        let here = record.place == place;
        if here || !self.here {
            self.versions = record.objects.iter().filter_map(|o| Some((o.path.clone(), o.version_id.clone()?))).collect();
            self.here = here;
        }
        for object in record.objects {
            let stated = self.stated.entry(object.path).or_default();
            if stated.len() < 2 {
                stated.insert(object.sha256);
            }
        }
        Ok(())
    }
}

/// Number and name of a file below `seal/addenda/`. Of numbers beyond any the check of the addenda tells.
fn file(path: &BundlePath) -> Option<(u32, &str)> {
    let (folder, name) = path.as_str().strip_prefix(WITHIN)?.split_once('/')?;
    Some((number(folder).filter(|n| *n <= MAX_NUMBER)?, name))
}

fn stated(addenda: &BTreeMap<BundlePath, First>, number: u32) -> bool {
    BundlePath::parse(&format!("{WITHIN}{}/{STATEMENT}", folder(number))).is_ok_and(|path| addenda.contains_key(&path))
}

/// A version's bytes; what breaks off is begun anew.
async fn whole(bucket: &Bucket, version: &Version) -> Result<Vec<u8>, Fault> {
    let mut tries = 0;
    loop {
        match bucket.get_small(&version.key, version.asked(), MAX_DOCUMENT).await {
            Err(fault) if passing(&fault) && tries < TRIES => tries += 1,
            ended => return ended,
        }
        bucket.pause(tries).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const HERE: &str = "s3://vault/IR-1/b";
    const FILE: &str = "data/x";

    fn record(place: &str, version: &str, of: &[u8]) -> Vec<u8> {
        let object = json!({"path": FILE, "bytes": of.len(), "sha256": Sha256::of(of), "version_id": version, "lock": {"legal_hold": false, "event_hold": false}});
        let record = json!({
            "v": 1, "case": "IR-1", "bundle": "b", "root": Sha256::of(b"root"), "run": "01JD4M3Q3VY0000000000000AB", "operator": "ana",
            "tool": "freezeframe 0.1.0", "at": "2026-11-20T12:00:00Z", "place": place, "asked": {"legal_hold": false}, "bucket": [],
            "accepted": [], "objects": [object], "shortfalls": [],
        });
        record.to_string().into_bytes()
    }

    fn named(records: &Records) -> Option<&str> {
        records.versions.get(&BundlePath::parse(FILE).unwrap()).map(String::as_str)
    }

    /// The chain of addenda is one for all places, so a record of another place may come behind ours.
    #[test]
    fn version_ids_are_those_of_the_last_record_of_this_place() {
        let mut records = Records::default();
        records.take(&record("s3://other/IR-1/b", "o1", b"x"), HERE).unwrap();
        assert_eq!(named(&records), Some("o1"), "a copy of a bucket has its records as well");
        records.take(&record(HERE, "h1", b"x"), HERE).unwrap();
        records.take(&record(HERE, "h2", b"x"), HERE).unwrap();
        records.take(&record("s3://other/IR-1/b", "o2", b"x"), HERE).unwrap();
        assert_eq!(named(&records), Some("h2"));
    }

    #[test]
    fn every_record_states_what_a_file_is() {
        let mut records = Records::default();
        for of in [b"one", b"one", b"two", b"six"] {
            records.take(&record(HERE, "v", of), HERE).unwrap();
        }
        let stated: Vec<_> = records.stated.into_values().collect();
        assert_eq!(stated, [BTreeSet::from([Sha256::of(b"one"), Sha256::of(b"two")])]);
    }

    #[test]
    fn what_is_no_record_is_none_and_says_so() {
        let mut records = Records::default();
        let newer = String::from_utf8(record(HERE, "v", b"x")).unwrap().replace("\"v\":1", "\"v\":2");
        for (bytes, why) in [(b"{}".as_slice(), "is no record of an archive"), (newer.as_bytes(), "of version 2")] {
            let said = records.take(bytes, HERE).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
        assert!(!records.any && records.stated.is_empty());
    }
}
