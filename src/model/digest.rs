//! SHA-256 as a type, and counting and hashing while bytes pass.

use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use std::fmt;
use std::io::{self, Read, Write};

/// A SHA-256 digest. Displayed and serialised as 64 lower-case hex digits (BagIt's form); AWS's `CodeSha256` is the base64 form.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256([u8; 32]);

impl Sha256 {
    /// 64 zeros: the `prev` of a chain's first line.
    pub const ZERO: Sha256 = Sha256([0; 32]);

    pub fn of(bytes: &[u8]) -> Self {
        Sha256(sha2::Sha256::digest(bytes).into())
    }

    pub fn from_hex(text: &str) -> Option<Self> {
        let mut out = [0; 32];
        // `hex` accepts upper case too; a manifest line with upper case would not be what we wrote, but it is the same digest.
        hex::decode_to_slice(text, &mut out).ok()?;
        Some(Sha256(out))
    }

    /// The form in which AWS reports `CodeSha256` and object checksums.
    pub fn to_base64(self) -> String {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(self.0)
    }

    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Sha256(bytes)
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}
impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl Serialize for Sha256 {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Sha256 {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Sha256::from_hex(&text).ok_or_else(|| serde::de::Error::custom("not 64 hex digits"))
    }
}
impl schemars::JsonSchema for Sha256 {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Sha256".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "SHA-256, lower-case hex"})
    }
}

/// A digest in the making.
#[derive(Clone, Default)]
pub struct Hasher {
    inner: sha2::Sha256,
    bytes: u64,
}

impl Hasher {
    pub fn update(&mut self, data: &[u8]) {
        self.inner.update(data);
        self.bytes += data.len() as u64;
    }
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
    pub fn finish(self) -> (Sha256, u64) {
        (Sha256(self.inner.finalize().into()), self.bytes)
    }
}

/// Counts, hashes and limits what passes to `inner`. A write past the limit fails before a byte of it passes, so that nothing hostile
/// can fill a disk.
pub struct Tee<W> {
    inner: W,
    hasher: Hasher,
    limit: u64,
}

impl<W: Write> Tee<W> {
    pub fn new(inner: W, limit: u64) -> Self {
        Tee { inner, hasher: Hasher::default(), limit }
    }
    pub fn finish(mut self) -> io::Result<(W, Sha256, u64)> {
        self.inner.flush()?;
        let (digest, bytes) = self.hasher.finish();
        Ok((self.inner, digest, bytes))
    }
}

impl<W: Write> Write for Tee<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.hasher.bytes() + data.len() as u64 > self.limit {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than the {} bytes allowed here", self.limit)));
        }
        let n = self.inner.write(data)?;
        self.hasher.update(&data[..n]);
        Ok(n)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Digest and length of everything that `from` yields, in constant memory.
pub fn of_reader(mut from: impl Read) -> io::Result<(Sha256, u64)> {
    let mut hasher = Hasher::default();
    let mut buf = vec![0; 128 << 10];
    loop {
        match from.read(&mut buf) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(n) => hasher.update(&buf[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_vector_in_both_forms() {
        let d = Sha256::of(b"abc"); // FIPS 180-2, appendix B.1
        assert_eq!(d.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(d.to_base64(), "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
        assert_eq!(Sha256::from_hex(&d.to_string()), Some(d));
        assert_eq!(Sha256::from_hex("ba78"), None);
    }

    #[test]
    fn tee_counts_hashes_and_limits() {
        let mut t = Tee::new(Vec::new(), 3);
        t.write_all(b"ab").unwrap();
        assert_eq!(t.write_all(b"cd").unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        t.write_all(b"c").unwrap();
        let (v, d, n) = t.finish().unwrap();
        assert_eq!((v.as_slice(), d, n), (&b"abc"[..], Sha256::of(b"abc"), 3));
    }
}
