//! Commitments: HMAC-SHA256 of a secret under a key that is itself sealed. Whoever may open the key can show that a leaked value is the one
//! that was redacted; whoever may not learns nothing by guessing, however short the secret is.

use crate::model::redaction::Commitment;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::{self, SystemRandom};
use std::fmt;

/// 32 random bytes, made for one bundle.
#[derive(Clone)]
pub struct CommitKey([u8; 32]);

impl fmt::Debug for CommitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CommitKey(…)")
    }
}

/// The operating system gave no random bytes.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the system gave no random bytes")]
pub struct NoRandom;

impl CommitKey {
    pub fn make() -> Result<Self, NoRandom> {
        use rand::SecureRandom as _;
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandom)?;
        Ok(CommitKey(bytes))
    }

    pub fn of(&self, secret: &[u8]) -> Commitment {
        let mut running = self.start();
        running.update(secret);
        running.finish()
    }

    /// For what is streamed.
    pub fn start(&self) -> Committing {
        Committing(hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.0)))
    }

    /// As it is sealed: hex digits and a newline.
    pub fn to_text(&self) -> String {
        format!("{}\n", hex::encode(self.0))
    }

    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.strip_suffix(b"\n")?, &mut bytes).ok()?;
        Some(CommitKey(bytes))
    }
}

pub struct Committing(hmac::Context);

impl Committing {
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
    pub fn finish(self) -> Commitment {
        let mut out = [0; 32];
        // HMAC-SHA256's tag has 32 bytes (RFC 4868); `zip` would drop none.
        out.iter_mut().zip(self.0.sign().as_ref()).for_each(|(to, from)| *to = *from);
        Commitment::from_bytes(out)
    }
}

#[cfg(test)]
mod tests {
    use super::{CommitKey, Commitment};

    /// RFC 4231, test case 2, with its key filled up to 32 bytes by zeros (which HMAC does itself with shorter keys).
    #[test]
    fn rfc_4231_case_2() {
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        let said = CommitKey(key).of(b"what do ya want for nothing?");
        assert_eq!(said.to_string(), "hmac-sha256:5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert_eq!(Commitment::parse(&said.to_string()), Some(said));
        assert_eq!(Commitment::parse("hmac-sha256:5BDC"), None);
    }

    #[test]
    fn a_key_goes_through_its_text_and_shows_itself_nowhere() {
        let key = CommitKey::make().unwrap();
        let text = key.to_text();
        assert_eq!(CommitKey::parse(text.as_bytes()).unwrap().of(b"x"), key.of(b"x"));
        assert_ne!(CommitKey::make().unwrap().of(b"x"), key.of(b"x"));
        assert!(!format!("{key:?}").contains(text.trim()));
    }
}
