//! P-256 keys, as PEM files that openssl reads and writes: the public one that comes to lie in `seal/`, and the local one that signs.
//!
//! All arithmetic is aws-lc's, which TLS uses too. What it never does: write a private key anywhere but where [`SigningKey::make`] was told,
//! show one in `Debug`, or accept one that others on the machine can read.

use crate::model::digest::Sha256;
use crate::store::disk;
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _, ParsedPublicKey, UnparsedPublicKey,
};
use pem::{EncodeConfig, LineEnding, Pem};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A P-256 key in PEM has some 200 bytes; what is much longer is no key.
pub const MAX_PEM: u64 = 16 << 10;

const PUBLIC: &str = "PUBLIC KEY";
const PRIVATE: &str = "PRIVATE KEY";

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("cannot read the key {}", path.display())]
    ReadKey {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("there is no key {}", .0.display())]
    NoKey(PathBuf),
    #[error("{} can be read by others than its owner", .0.display())]
    OpenToOthers(PathBuf),
    #[error("cannot write the key {}", path.display())]
    WriteKey {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("it is no single PEM block `{0}`")]
    NotPem(&'static str),
    #[error("the key is encrypted with a passphrase, which nobody can type here")]
    Encrypted,
    #[error("it is no P-256 key")]
    NotP256,
    #[error("the cryptographic library could not make a key")]
    MakeKey,
    #[error("the cryptographic library could not sign")]
    Sign,
}

impl KeyError {
    /// What the person can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            KeyError::NoKey(_) => Some("make one: freezeframe key new"),
            KeyError::OpenToOthers(_) => Some("chmod 600 the file, and ask yourself who may have read it"),
            KeyError::Encrypted | KeyError::NotPem(PRIVATE) => {
                Some("PKCS#8 without a passphrase is wanted: openssl pkcs8 -topk8 -nocrypt …")
            }
            KeyError::NotPem(_) => Some("a public key as openssl writes it is wanted: openssl pkey -in … -pubout"),
            KeyError::NotP256 => Some("an ECDSA key on P-256 is wanted (prime256v1, in KMS ECC_NIST_P256)"),
            KeyError::WriteKey { .. } => Some("a key is never replaced: name another file with --out"),
            KeyError::ReadKey { .. } | KeyError::MakeKey | KeyError::Sign => None,
        }
    }
}

/// One public key of P-256, as its SubjectPublicKeyInfo.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    der: Vec<u8>,
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.fingerprint())
    }
}

impl PublicKey {
    /// From a SubjectPublicKeyInfo, in the one form that openssl and KMS give it. A bare point is refused: another tool would see another
    /// fingerprint.
    pub fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        let parsed = ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, der).map_err(|_| KeyError::NotP256)?;
        let canonical = parsed.as_der().map_err(|_| KeyError::NotP256)?;
        if canonical.as_ref() != der {
            return Err(KeyError::NotP256);
        }
        Ok(PublicKey { der: der.to_vec() })
    }

    /// From a file's bytes: one PEM block and nothing else that looks like one.
    pub fn from_pem(bytes: &[u8]) -> Result<Self, KeyError> {
        PublicKey::from_der(only_block(bytes, PUBLIC)?.contents())
    }

    pub fn read(path: &Path) -> Result<Self, KeyError> {
        PublicKey::from_pem(&read(path)?)
    }

    pub fn to_pem(&self) -> String {
        encode(PUBLIC, &self.der)
    }

    /// SHA-256 of the SubjectPublicKeyInfo: `openssl pkey -pubin -in FILE -outform DER | sha256sum`.
    pub fn fingerprint(&self) -> Sha256 {
        Sha256::of(&self.der)
    }

    /// ECDSA over SHA-256 of `message`, the signature in DER.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.der).verify(message, signature).is_ok()
    }
}

/// A local private key. No `Debug` of the secret: aws-lc's own shows the public half alone.
#[derive(Debug)]
pub struct SigningKey {
    pair: EcdsaKeyPair,
    public: PublicKey,
}

impl SigningKey {
    /// A new key in a new file, `0600`, its directory `0700` where it has to be made. Never replaces one.
    pub fn make(path: &Path) -> Result<Self, KeyError> {
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new()).map_err(|_| KeyError::MakeKey)?;
        let key = SigningKey::from_pkcs8(document.as_ref())?;
        let failed = |source| KeyError::WriteKey { path: path.into(), source };
        let parent = path.parent().unwrap_or(Path::new(""));
        disk::make_dirs(parent).map_err(failed)?;
        disk::write_new(path, encode(PRIVATE, document.as_ref()).as_bytes()).map_err(failed)?;
        disk::sync_dir(parent).map_err(failed)?;
        Ok(key)
    }

    /// A key that is there: PKCS#8 in PEM, readable by its owner alone.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let block = only_block(&read(path)?, PRIVATE)?;
        // What is no private key may lie open.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let meta = std::fs::metadata(path).map_err(|source| KeyError::ReadKey { path: path.into(), source })?;
            if meta.permissions().mode() & 0o077 != 0 {
                return Err(KeyError::OpenToOthers(path.into()));
            }
        }
        SigningKey::from_pkcs8(block.contents())
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der).map_err(|_| KeyError::NotP256)?;
        let public = PublicKey::from_der(pair.public_key().as_der().map_err(|_| KeyError::NotP256)?.as_ref())?;
        Ok(SigningKey { pair, public })
    }

    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The signature in DER.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let signature = self.pair.sign(&SystemRandom::new(), message).map_err(|_| KeyError::Sign)?;
        Ok(signature.as_ref().to_vec())
    }
}

fn read(path: &Path) -> Result<Vec<u8>, KeyError> {
    // A link is followed here: the path is the operator's own word, and keys are mounted as links in more than one place.
    let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    match disk::read_bounded(&real, MAX_PEM) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(KeyError::NoKey(path.into())),
        Err(source) => Err(KeyError::ReadKey { path: path.into(), source }),
    }
}

fn only_block(bytes: &[u8], tag: &'static str) -> Result<Pem, KeyError> {
    if bytes.len() as u64 > MAX_PEM {
        return Err(KeyError::NotPem(tag));
    }
    let mut blocks = pem::parse_many(bytes).map_err(|_| KeyError::NotPem(tag))?;
    match (blocks.pop(), blocks.is_empty()) {
        (Some(block), true) if block.tag() == tag => Ok(block),
        (Some(block), true) if block.tag() == "ENCRYPTED PRIVATE KEY" => Err(KeyError::Encrypted),
        _ => Err(KeyError::NotPem(tag)),
    }
}

fn encode(tag: &str, der: &[u8]) -> String {
    pem::encode_config(&Pem::new(tag, der), EncodeConfig::new().set_line_ending(LineEnding::LF))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_was_made_can_be_read_and_what_it_signs_holds() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/er/key.pem");
        let made = SigningKey::make(&path).unwrap();
        let read = SigningKey::read(&path).unwrap();
        assert_eq!(made.public(), read.public());
        let signature = read.sign(b"message").unwrap();
        assert!(made.public().verifies(b"message", &signature));
        assert!(!made.public().verifies(b"massage", &signature));
        let mut other = signature;
        *other.last_mut().unwrap() ^= 1;
        assert!(!made.public().verifies(b"message", &other) && !made.public().verifies(b"message", b""));
        assert!(matches!(SigningKey::make(&path), Err(KeyError::WriteKey { .. })), "a key is never replaced");
        let shown = format!("{made:?}");
        let secret = std::fs::read_to_string(&path).unwrap();
        assert!(secret.lines().skip(1).all(|line| !shown.contains(line)), "{shown}");
        let public = PublicKey::from_pem(made.public().to_pem().as_bytes()).unwrap();
        assert_eq!(public.fingerprint(), made.public().fingerprint());
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.pem");
        SigningKey::make(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(SigningKey::read(&path), Err(KeyError::OpenToOthers(_))));
        assert!(matches!(SigningKey::read(&dir.path().join("none")), Err(KeyError::NoKey(_))));
    }

    #[test]
    fn what_is_no_key_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let key = SigningKey::make(&dir.path().join("key.pem")).unwrap();
        let good = key.public().to_pem();
        let p384 = EcdsaKeyPair::generate(&aws_lc_rs::signature::ECDSA_P384_SHA384_ASN1_SIGNING).unwrap();
        let p384 = encode(PUBLIC, p384.public_key().as_der().unwrap().as_ref());
        let point = encode(PUBLIC, key.pair.public_key().as_ref());
        let long = encode(PUBLIC, &[key.public().der.as_slice(), &[0]].concat());
        for bad in ["", "nonsense", &good.replace("PUBLIC", "PRIVATE"), &format!("{good}{good}"), &p384, &point, &long, &good[..90]] {
            assert!(PublicKey::from_pem(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(PublicKey::from_pem(&vec![b'-'; 1 << 20]).is_err());
        let locked = dir.path().join("locked.pem");
        disk::write_new(&locked, encode("ENCRYPTED PRIVATE KEY", b"x").as_bytes()).unwrap();
        assert!(matches!(SigningKey::read(&locked), Err(KeyError::Encrypted)));
    }
}
