//! `Verified`: a bundle that was read back from where it lies and found whole. Only this mints a permit to contain, and only it is examined.

use super::verification::{Verdict, Verification};
use super::verify;
use crate::bundle::source::OpenError;
use crate::model::digest::Sha256;
use std::path::{Path, PathBuf};

/// Cannot be made but by reading a bundle back; see [`Verified::read_back`].
#[derive(Debug)]
pub struct Verified {
    path: PathBuf,
    root: Sha256,
    verification: Verification,
}

#[derive(Debug, thiserror::Error)]
pub enum NotVerified {
    #[error("cannot read back the bundle `{path}`")]
    ReadBack {
        path: PathBuf,
        #[source]
        source: OpenError,
    },
    #[error("`{path}` was read back: {}", verification.verdict.sentence())]
    NotWhole { path: PathBuf, verification: Box<Verification> },
}

impl Verified {
    /// Read the bundle at `path` as a stranger would, and accept it only when it is whole.
    pub fn read_back(path: &Path) -> Result<Verified, NotVerified> {
        let verification = verify(path).map_err(|source| NotVerified::ReadBack { path: path.to_path_buf(), source })?;
        match (verification.verdict, verification.root) {
            (Verdict::Whole, Some(root)) => Ok(Verified { path: path.to_path_buf(), root, verification }),
            _ => Err(NotVerified::NotWhole { path: path.to_path_buf(), verification: Box::new(verification) }),
        }
    }

    /// The bundle's name, as its statement gives it.
    pub fn bundle(&self) -> &str {
        &self.verification.bundle
    }
    pub fn root(&self) -> Sha256 {
        self.root
    }
    /// Where it was read.
    pub fn path(&self) -> &Path {
        &self.path
    }
    pub fn verification(&self) -> &Verification {
        &self.verification
    }
}
