//! Every hand-made bundle of these tests in one list, by name: for whoever wants to judge all of them.
//!
//! Made anew by code in each run; only the keys, and the time that an authority stamps, differ from run to run.

use super::bag::{Bag, NAME};
use crate::support::tools::repository;
use crate::support::tsa::Authority;
use freezeframe::bundle::verify::DemandedKey;
use std::path::{Path, PathBuf};

/// How it lies there.
pub enum Form {
    Directory(Bag, fn(&Path)),
    Zip(Vec<u8>),
}

pub struct Fixture {
    pub name: String,
    pub form: Form,
    pub keys: Vec<DemandedKey>,
}

impl Fixture {
    /// Writes it below `at`, and says where it is.
    pub fn write(&self, at: &Path) -> PathBuf {
        match &self.form {
            Form::Directory(bag, change) => {
                let place = at.join("bag");
                bag.write_to(&place);
                change(&place);
                place
            }
            Form::Zip(bytes) => {
                let place = at.join(format!("{NAME}.zip"));
                std::fs::write(&place, bytes).unwrap();
                place
            }
        }
    }
}

/// All of them; those with a stamp only where there is an openssl.
pub fn all() -> Vec<Fixture> {
    let mut all = vec![];
    // A bag is a directory and a zip: both are judged.
    let mut both = |name: String, bag: Bag, keys: Vec<DemandedKey>| {
        all.push(Fixture { name: format!("{name} (zip)"), form: Form::Zip(bag.zip().bytes()), keys: keys.clone() });
        all.push(Fixture { name, form: Form::Directory(bag, |_| {}), keys });
    };
    for (name, bag, ..) in super::broken::cases() {
        both(format!("broken: {name}"), bag, vec![]);
    }
    for (name, bag, keys, _) in super::provoked::bags() {
        both(format!("provoked: {name}"), bag, keys);
    }
    for case in super::signed::cases() {
        both(format!("signed: {}", case.name), case.bag, case.keys);
    }
    for (name, bag) in super::signed::half_seals() {
        both(format!("half a seal: {name}"), bag, vec![]);
    }
    for (name, bag, ..) in Authority::new().iter().flat_map(super::stamped::cases) {
        both(format!("stamped: {name}"), bag, vec![]);
    }
    for (name, bag, _) in super::redacted::bags() {
        both(format!("redacted: {name}"), bag, vec![]);
    }
    for (name, bag) in super::hostility::garbled() {
        both(format!("garbled: {name}"), bag, vec![]);
    }
    let zip = |name: String, bytes| Fixture { name, form: Form::Zip(bytes), keys: vec![] };
    all.extend(super::hostile_zip::zips().into_iter().map(|(name, bytes)| zip(format!("hostile zip: {name}"), bytes)));
    all.extend(super::provoked::zips().into_iter().map(|(name, bytes)| zip(format!("provoked zip: {name}"), bytes)));
    all.extend(super::zip64::zips().into_iter().map(|(name, bytes)| zip(format!("zip64: {name}"), bytes)));
    all.extend(super::hostility::flipped().into_iter().map(|(name, bytes)| zip(format!("flipped: {name}"), bytes)));
    all.push(zip("kept: v1".into(), std::fs::read(repository("tests/data/bundles/good/v1.zip")).unwrap()));
    #[cfg(unix)]
    for (name, change, _) in super::broken::directories() {
        all.push(Fixture { name: format!("directory: {name}"), form: Form::Directory(Bag::good(), change), keys: vec![] });
    }
    let nothing = |at: &Path| {
        std::fs::remove_dir_all(at).unwrap();
        std::fs::create_dir(at).unwrap();
    };
    let case = |at: &Path| {
        std::fs::rename(at, at.with_extension("one")).unwrap();
        std::fs::create_dir(at).unwrap();
        std::fs::rename(at.with_extension("one"), at.join("one")).unwrap();
    };
    for (name, change) in [("nothing in it", nothing as fn(&Path)), ("a bundle one below", case)] {
        all.push(Fixture { name: format!("directory: {name}"), form: Form::Directory(Bag::good(), change), keys: vec![] });
    }
    all
}
