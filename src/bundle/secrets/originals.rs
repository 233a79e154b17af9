//! Originals: what was there before it was redacted, encrypted with age for those who may open it.
//!
//! Each file is encrypted to the bundle's own identity and to every recipient. The own one is made with the draft and lives in this process:
//! by it a run can read again what it sealed. It outlives the run only encrypted, by KMS. What it never does: show or write an identity in
//! clear, encrypt for nobody.

use super::commitment::{CommitKey, NoRandom};
use super::record::StatedSecrets;
use crate::model::kms_key::KmsKey;
use crate::model::redaction::Commitment;
use age::secrecy::{ExposeSecret as _, SecretString};
use age::x25519::Identity;
use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

pub use age::x25519::Recipient;

const CHUNK: usize = 64 << 10;
/// A file of identities is a few lines.
const MAX_IDENTITIES: u64 = 64 << 10;

/// For whom secrets are sealed, and what is sealed whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretsOrder {
    pub recipients: Vec<Recipient>,
    /// Units all of whose files are sealed.
    pub whole: BTreeSet<String>,
}

/// It is no recipient of age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an age recipient is wanted, like age1…; `age-keygen` makes one")]
pub struct BadRecipient;

pub fn parse_recipient(text: &str) -> Result<Recipient, BadRecipient> {
    text.trim().parse().map_err(|_| BadRecipient)
}

/// The bundle's identity as KMS encrypted it.
#[derive(Clone, Debug)]
pub struct WrappedIdentity {
    pub key: KmsKey,
    pub ciphertext: Vec<u8>,
}

/// Encrypts the originals of one bundle.
pub struct Originals {
    own: Identity,
    recipients: Mutex<Vec<Recipient>>,
    whole: BTreeSet<String>,
    key: CommitKey,
}

impl fmt::Debug for Originals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Originals").field("identity", &self.identity()).field("recipients", &self.recipients()).finish_non_exhaustive()
    }
}

impl Originals {
    pub fn new(order: &SecretsOrder) -> Result<Self, NoRandom> {
        let recipients = Mutex::new(order.recipients.clone());
        Ok(Originals { own: Identity::generate(), recipients, whole: order.whole.clone(), key: CommitKey::make()? })
    }

    /// One more who can open what is sealed from now on.
    pub fn also_for(&self, recipient: Recipient) {
        let mut all = self.recipients.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.contains(&recipient) {
            all.push(recipient);
        }
    }

    pub fn commit_key(&self) -> &CommitKey {
        &self.key
    }

    /// Whether everything that `unit` reads is sealed whole.
    pub fn seals_whole(&self, unit: &str) -> bool {
        self.whole.contains(unit)
    }

    /// Public half of the bundle's own identity.
    pub fn identity(&self) -> String {
        self.own.to_public().to_string()
    }

    pub fn recipients(&self) -> Vec<String> {
        self.recipients.lock().unwrap_or_else(PoisonError::into_inner).iter().map(Recipient::to_string).collect()
    }

    pub fn stated(&self, sealed: u64, kms_key: Option<String>) -> StatedSecrets {
        StatedSecrets { sealed, identity: self.identity(), recipients: self.recipients(), kms_key }
    }

    /// The bundle's own identity, for KMS to encrypt. It is handed out for nothing else.
    pub fn to_be_wrapped(&self) -> SecretString {
        self.own.to_string()
    }

    /// Encrypts `from` into `out`; how many bytes it had, and their commitment.
    pub fn seal<W: Write>(&self, mut from: impl Read, out: W) -> io::Result<(W, u64, Commitment)> {
        let (own, recipients) = (self.own.to_public(), self.recipients.lock().unwrap_or_else(PoisonError::into_inner).clone());
        let all = std::iter::once(&own).chain(&recipients).map(|r| r as &dyn age::Recipient);
        let mut out = age::Encryptor::with_recipients(all).map_err(io::Error::other)?.wrap_output(out)?;
        let (mut buffer, mut bytes, mut commit) = (vec![0; CHUNK], 0, self.key.start());
        loop {
            match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => {
                    out.write_all(&buffer[..n])?;
                    commit.update(&buffer[..n]);
                    bytes += n as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok((out.finish()?, bytes, commit.finish()))
    }

    /// What this process sealed itself.
    pub fn open<'r>(&self, sealed: impl Read + Send + 'r) -> Result<Box<dyn Read + Send + 'r>, OpenError> {
        Ok(Box::new(decrypt(sealed, std::slice::from_ref(&self.own))?))
    }
}

/// Why an original cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("cannot read the identities in {}", path.display())]
    ReadIdentities {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} can be read by others than its owner", .0.display())]
    OpenToOthers(PathBuf),
    #[error("there is no identity of age in {0}: a line `AGE-SECRET-KEY-1…` is wanted")]
    NoIdentity(String),
    #[error("it is sealed for others: none of these identities opens it")]
    NotFor,
    #[error("it is no age file, or was changed")]
    Damaged,
    #[error("cannot read the sealed file")]
    Read(#[source] io::Error),
}

/// Whoever may open originals.
pub struct Identities(Vec<Identity>);

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identities").field(&self.public()).finish()
    }
}

impl Identities {
    /// A file as `age-keygen` writes it: comments, and identities one on a line.
    pub fn read(path: &Path) -> Result<Self, OpenError> {
        let failed = |source| OpenError::ReadIdentities { path: path.into(), source };
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(failed)?;
        if open_to_others(&file).map_err(failed)? {
            return Err(OpenError::OpenToOthers(path.into()));
        }
        file.take(MAX_IDENTITIES).read_to_string(&mut text).map_err(failed)?;
        Self::parse(&text).ok_or_else(|| OpenError::NoIdentity(path.display().to_string()))
    }

    pub fn parse(text: &str) -> Option<Self> {
        let lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
        let all: Option<Vec<Identity>> = lines.map(|l| l.parse().ok()).collect();
        all.filter(|all| !all.is_empty()).map(Identities)
    }

    /// A new one, and the text of a file that holds it.
    pub fn make(why: &str) -> (Recipient, SecretString) {
        let identity = Identity::generate();
        let recipient = identity.to_public();
        let text = format!("# {why}\n# public key: {recipient}\n{}\n", identity.to_string().expose_secret());
        (recipient, SecretString::from(text))
    }

    pub fn add(&mut self, mut others: Identities) {
        self.0.append(&mut others.0);
    }

    pub fn public(&self) -> Vec<Recipient> {
        self.0.iter().map(Identity::to_public).collect()
    }

    pub fn open<'r>(&self, sealed: impl Read + 'r) -> Result<Box<dyn Read + 'r>, OpenError> {
        Ok(Box::new(decrypt(sealed, &self.0)?))
    }
}

#[cfg(unix)]
fn open_to_others(file: &std::fs::File) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(file.metadata()?.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn open_to_others(_: &std::fs::File) -> io::Result<bool> {
    Ok(false)
}

fn decrypt<R: Read>(sealed: R, identities: &[Identity]) -> Result<age::stream::StreamReader<R>, OpenError> {
    let decryptor = age::Decryptor::new(sealed).map_err(|e| match e {
        age::DecryptError::Io(source) if source.kind() != io::ErrorKind::UnexpectedEof => OpenError::Read(source),
        _ => OpenError::Damaged,
    })?;
    // A passphrase's cost is set by whoever wrote the file.
    if decryptor.is_scrypt() {
        return Err(OpenError::NotFor);
    }
    decryptor.decrypt(identities.iter().map(|i| i as &dyn age::Identity)).map_err(|e| match e {
        age::DecryptError::NoMatchingKeys => OpenError::NotFor,
        age::DecryptError::Io(source) => OpenError::Read(source),
        _ => OpenError::Damaged,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mut from: impl Read) -> Vec<u8> {
        let mut out = vec![];
        from.read_to_end(&mut out).unwrap();
        out
    }

    #[test]
    fn what_is_sealed_opens_for_each_recipient_and_for_nobody_else() {
        let (recipient, file) = Identities::make("for a test");
        let holder = Identities::parse(file.expose_secret()).unwrap();
        let (_, stranger) = Identities::make("a stranger's");
        let stranger = Identities::parse(stranger.expose_secret()).unwrap();
        let originals = Originals::new(&SecretsOrder { recipients: vec![recipient.clone()], ..SecretsOrder::default() }).unwrap();
        let secret = vec![7u8; 200_000];
        let (sealed, bytes, commit) = originals.seal(&secret[..], vec![]).unwrap();
        assert_eq!((bytes, commit), (200_000, originals.commit_key().of(&secret)));
        assert!(sealed.starts_with(b"age-encryption.org/v1\n"));
        assert_eq!(read(originals.open(&sealed[..]).unwrap()), secret);
        assert_eq!(read(holder.open(&sealed[..]).unwrap()), secret);
        assert!(matches!(stranger.open(&sealed[..]).err(), Some(OpenError::NotFor)));
        assert!(matches!(holder.open(&b"age-encryption.org/v1\nnonsense"[..]).err(), Some(OpenError::Damaged)));
        let wrapped = Identities::parse(originals.to_be_wrapped().expose_secret()).unwrap();
        assert_eq!(read(wrapped.open(&sealed[..]).unwrap()), secret);
        assert_eq!(originals.stated(3, None).recipients, [recipient.to_string()]);

        let mut changed = sealed;
        *changed.last_mut().unwrap() ^= 1;
        let mut out = vec![];
        assert!(holder.open(&changed[..]).unwrap().read_to_end(&mut out).is_err());
    }

    #[test]
    fn identities_show_themselves_nowhere() {
        let originals = Originals::new(&SecretsOrder::default()).unwrap();
        let said = format!("{originals:?}");
        assert!(said.contains("age1") && !said.to_uppercase().contains("AGE-SECRET-KEY"), "{said}");
    }
}
