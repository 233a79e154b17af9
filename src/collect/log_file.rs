//! A CloudTrail file as it lies in a trail's bucket: gzip around `{"Records": […]}`, or around a digest. Whoever can write into the bucket can
//! write anything, so a file is unpacked within bounds (of its size, of its ratio, of each record), record by record, and nothing but one
//! record is ever in memory.

use crate::bundle::draft::Draft;
use crate::model::digest::{Hasher, Sha256};
use crate::model::item::FileRef;
use flate2::read::MultiGzDecoder;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::cell::Cell;
use std::fmt;
use std::io::{self, BufReader, Read};
use std::sync::Arc;

/// JSON packs ten or twenty to one; gzip can do a thousand.
const RATIO: u64 = 200;
/// Below this no ratio is suspicious.
const SMALL: u64 = 16 << 20;
/// CloudTrail closes a file long before.
const LARGE: u64 = 1 << 30;
/// CloudTrail's own limit for an event is 256 KB.
const RECORD: u64 = 4 << 20;

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Odd {
    #[error("it unpacks to more than {limit} bytes, or holds a record of more than {RECORD} bytes: read no further")]
    Bomb { limit: u64 },
    #[error("it is no whole gzip stream")]
    Gzip,
    #[error("it is not the JSON that CloudTrail writes")]
    Json,
    #[error("the copy in the bundle cannot be read ({0})")]
    Copy(io::ErrorKind),
}

#[derive(Debug)]
pub(super) struct Unpacked {
    pub records: u64,
    /// Of the whole content, unpacked: what a digest file states. None when it could not be unpacked to its end.
    pub content: Option<Sha256>,
    pub odd: Option<Odd>,
}

/// Unpacks, counts, hashes; stops at the bound.
struct Plain<'c, R> {
    from: R,
    hasher: Hasher,
    limit: u64,
    /// Bytes since the last record ended.
    since: &'c Cell<u64>,
    over: &'c Cell<bool>,
    /// The stream broke; what a decoder answers after that means nothing.
    broken: &'c Cell<bool>,
}

impl<R: Read> Read for Plain<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buf).inspect_err(|_| self.broken.set(true))?;
        self.hasher.update(&buf[..n]);
        self.since.set(self.since.get() + n as u64);
        if self.hasher.bytes() > self.limit || self.since.get() > RECORD {
            self.over.set(true);
            return Err(io::Error::other("more than allowed"));
        }
        Ok(n)
    }
}

fn limit_of(packed: u64) -> u64 {
    packed.saturating_mul(RATIO).clamp(SMALL, LARGE)
}

/// Every record of a log file, as it stands there.
pub(super) fn records(file: &Held, each: &mut dyn FnMut(&str)) -> Unpacked {
    unpack(file, |plain, since| {
        let mut count = 0;
        let mut from = serde_json::Deserializer::from_reader(BufReader::new(plain));
        let mut counting = |record: &str| {
            count += 1;
            since.set(0);
            each(record);
        };
        let result = Document(&mut counting).deserialize(&mut from).and_then(|()| from.end());
        (count, result.is_err())
    })
}

/// A small file as a whole: a digest.
pub(super) fn whole(file: &Held) -> (Unpacked, Vec<u8>) {
    let mut bytes = vec![];
    let unpacked = unpack(file, |plain, _| {
        let failed = plain.take(RECORD).read_to_end(&mut bytes).is_err();
        (0, failed)
    });
    (unpacked, bytes)
}

/// A file of the bundle, to be read as it came.
#[derive(Clone)]
pub(super) struct Held {
    open: Arc<dyn Fn() -> io::Result<Box<dyn Read + Send>> + Send + Sync>,
    /// As many as came, where a redacted twin has other.
    bytes: u64,
}

impl Held {
    pub(super) fn of(draft: Arc<Draft>, file: FileRef, bytes: u64) -> Self {
        Held { open: Arc::new(move || draft.open_file(&file)), bytes }
    }
}

type Stream<'c> = Plain<'c, MultiGzDecoder<BufReader<Box<dyn Read + Send>>>>;

fn unpack(held: &Held, read: impl FnOnce(&mut Stream<'_>, &Cell<u64>) -> (u64, bool)) -> Unpacked {
    let (packed, file) = match (held.open)() {
        Ok(opened) => (held.bytes, opened),
        Err(e) => return Unpacked { records: 0, content: None, odd: Some(Odd::Copy(e.kind())) },
    };
    let (since, over, broken) = (Cell::new(0), Cell::new(false), Cell::new(false));
    let limit = limit_of(packed);
    let mut plain = Plain {
        from: MultiGzDecoder::new(BufReader::new(file)),
        hasher: Hasher::default(),
        limit,
        since: &since,
        over: &over,
        broken: &broken,
    };
    let (records, failed) = read(&mut plain, &since);
    // The rest, for the hash: what stands behind the document belongs to the file. In pieces that no record's bound is meant for.
    let mut piece = [0u8; 8192];
    let rest = loop {
        since.set(0);
        match plain.read(&mut piece) {
            Ok(0) => break Ok(()),
            Ok(_) => {}
            Err(e) => break Err(e),
        }
        if over.get() {
            break Err(io::Error::other("more than allowed"));
        }
    };
    let odd = if over.get() {
        Some(Odd::Bomb { limit })
    } else if rest.is_err() || broken.get() {
        Some(Odd::Gzip)
    } else {
        failed.then_some(Odd::Json)
    };
    let content = matches!(odd, None | Some(Odd::Json)).then(|| plain.hasher.finish().0);
    Unpacked { records, content, odd }
}

/// `{"Records": […]}` with whatever else may stand there.
struct Document<'f>(&'f mut dyn FnMut(&str));

impl<'de> DeserializeSeed<'de> for Document<'_> {
    type Value = ();
    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Document<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with Records")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut found = false;
        while let Some(key) = map.next_key::<String>()? {
            if key == "Records" && !found {
                found = true;
                map.next_value_seed(Records(&mut *self.0))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        if found { Ok(()) } else { Err(A::Error::custom("no Records")) }
    }
}

struct Records<'f>(&'f mut dyn FnMut(&str));

impl<'de> DeserializeSeed<'de> for Records<'_> {
    type Value = ();
    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Records<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of records")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(record) = seq.next_element::<Box<RawValue>>()? {
            (self.0)(record.get());
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "log_file_tests.rs"]
mod tests;
