//! Zips with a 64-bit end record: between directory and end of the file lie two records and a locator, and room for a second archive.

use super::bag::{Bag, NAME};
use freezeframe::bundle::source::OpenError;
use freezeframe::bundle::verify::{Verdict, Verification, verify};
use std::error::Error as _;

fn verified(bytes: &[u8]) -> Result<Verification, OpenError> {
    let at = tempfile::tempdir().unwrap();
    let place = at.path().join(format!("{NAME}.zip"));
    std::fs::write(&place, bytes).unwrap();
    verify(&place)
}

/// What ends a zip with 64-bit records.
struct Ending {
    record: Vec<u8>,
    /// Between the record and its locator.
    between: Vec<u8>,
    locator: Vec<u8>,
    end: Vec<u8>,
}

impl Ending {
    /// Of an archive whose end record is `end`, with the 64-bit one at `place`.
    fn of(end: &[u8], place: usize) -> Ending {
        let long = |at: usize, n: usize| {
            let mut eight = [0; 8];
            eight[..n].copy_from_slice(&end[at..at + n]);
            eight
        };
        let record = [
            b"PK\x06\x06".as_slice(),
            &44u64.to_le_bytes(),
            &[45, 3, 45, 0],
            &[0; 8],
            &long(8, 2),
            &long(10, 2),
            &long(12, 4),
            &long(16, 4),
        ];
        let locator = [b"PK\x06\x07".as_slice(), &[0; 4], &(place as u64).to_le_bytes(), &1u32.to_le_bytes()];
        Ending { record: record.concat(), between: vec![], locator: locator.concat(), end: end.to_vec() }
    }

    fn bytes(self) -> Vec<u8> {
        [self.record, self.between, self.locator, self.end].concat()
    }
}

/// Entries and directory of a zip, and its end record.
fn halves(mut bytes: Vec<u8>) -> (Vec<u8>, Vec<u8>) {
    let end = bytes.split_off(bytes.len() - 22);
    (bytes, end)
}

/// The good zip with 64-bit records, changed.
fn zip64(change: impl FnOnce(&mut Ending)) -> Vec<u8> {
    let (body, end) = halves(Bag::good().zip().bytes());
    let mut ending = Ending::of(&end, body.len());
    change(&mut ending);
    [body, ending.bytes()].concat()
}

/// Behind the good archive and its record lies another one with its own, and the locator leads to the first. Some programs go where it leads,
/// others take the record in front of it.
fn two_archives() -> Vec<u8> {
    let (good, end) = halves(Bag::good().zip().bytes());
    let first = Ending::of(&end, good.len());
    let mut other = Bag::good();
    other.edit("meta/README.txt", |_| "Nothing happened here.\n".into());
    let mut other = other.zip();
    (other.prepended, other.adjusted) = ([good.as_slice(), &first.record].concat(), true);
    let (both, other_end) = halves(other.bytes());
    let mut second = Ending::of(&other_end, both.len());
    second.locator = first.locator;
    // Both short records would disagree with one of the long ones: this one defers to whichever is read.
    second.end[8..20].fill(0xff);
    [both, second.bytes()].concat()
}

/// Name, zip, and words of what is said of it.
fn cases() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let numbers = |at: usize, n: u64| move |e: &mut Ending| e.record[at..at + 8].copy_from_slice(&n.to_le_bytes());
    vec![
        ("two archives", two_archives(), "bytes lie between"),
        ("bytes between record and locator", zip64(|e| e.between = b"hidden".repeat(20)), "bytes lie between"),
        (
            "bytes in the record",
            zip64(|e| {
                numbers(4, 64)(e);
                e.between = vec![7; 20];
            }),
            "bytes lie between",
        ),
        ("a record that says it is longer", zip64(numbers(4, 64)), "bytes lie between"),
        (
            "a locator that leads nowhere",
            zip64(|e| {
                e.locator[8..16].copy_from_slice(&7u64.to_le_bytes());
                e.record[0] = b'X';
            }),
            "not where the locator says",
        ),
        ("a locator that leads elsewhere", zip64(|e| e.locator[8..16].copy_from_slice(&7u64.to_le_bytes())), "not where the locator says"),
        ("two end records that disagree", zip64(|e| e.record[32] ^= 1), "disagree"),
        (
            "two end records that disagree about the directory",
            zip64(|e| {
                // To the first program it begins one entry later.
                e.end[16] ^= 1;
            }),
            "disagree",
        ),
        ("a directory beyond any file", zip64(|e| e.record[48..56].fill(0xff)), "beyond any file"),
        ("other count on this disk, in the long record", zip64(|e| e.record[24] ^= 1), "several disks"),
        ("another disk in the long record", zip64(|e| e.record[16] = 1), "several disks"),
        ("another disk in the locator", zip64(|e| e.locator[4] = 1), "several disks"),
        ("several disks by the locator", zip64(|e| e.locator[16] = 2), "several disks"),
        ("prepended", [b"#!/bin/sh\n".to_vec(), zip64(|_| {})].concat(), "in front of the archive"),
    ]
}

/// Every zip of this file, by name.
pub fn zips() -> Vec<(&'static str, Vec<u8>)> {
    let good = [("as it should be", zip64(|_| {})), ("that says nothing twice", zip64(|e| e.end[4..20].fill(0xff)))];
    good.into_iter().chain(cases().into_iter().map(|(name, bytes, _)| (name, bytes))).collect()
}

#[test]
fn a_good_zip_with_64_bit_records_is_whole() {
    for end in [zip64(|_| {}), zip64(|e| e.end[8..20].fill(0xff)), zip64(|e| e.end[4..20].fill(0xff))] {
        let v = verified(&end).unwrap();
        assert_eq!((v.errors().count(), v.verdict()), (0, Verdict::Whole), "{:#?}", v.findings);
    }
}

#[test]
fn whatever_could_be_a_second_archive_is_named() {
    for (name, bytes, words) in cases() {
        match verified(&bytes) {
            Ok(v) => {
                assert!(v.findings.iter().any(|f| f.check == "container" && f.message.contains(words)), "{name}: {:#?}", v.findings);
                assert_eq!(v.verdict(), Verdict::Broken, "{name}");
            }
            Err(e) => {
                let cause = e.source().unwrap().to_string();
                assert!(matches!(e, OpenError::Zip { .. }) && cause.contains(words), "{name}: {cause}");
                assert_eq!(e.outcome().exit_code(), 4, "{name}");
            }
        }
    }
}
