//! The bucket that cases lie in, as a vault: bags are carried there while they are made (`archive::straight`), below `cases/`, so that a case in
//! the bucket is one folder with its journal, its leases and its bundles, file by file. A function that is cut off leaves there what it had.
//!
//! What is asked of S3 for each object is what the store asks: the lock, the key, the owner of the configuration.

use super::config::{Config, Place};
use crate::archive::{self, Accepted, Asked, Bucket, Vault};
use crate::aws::Connector;
use crate::clock::Clock;
use crate::model::lock::{Lock, Retention};
use crate::store::s3::Keep;
use std::sync::Arc;

#[derive(Clone, Debug)]
pub struct Straight {
    bucket: Bucket,
    to: archive::Place,
    keep: Keep,
    accepted: Accepted,
}

impl Straight {
    /// `None` when cases lie in a directory.
    pub fn of(config: &Config, there: &Connector, clock: &Arc<dyn Clock>) -> Option<Straight> {
        let Place::S3 { bucket, prefix } = &config.store else { return None };
        let to = archive::Place::parse(&format!("s3://{bucket}/{prefix}"))?.below("cases")?;
        let owner = config.keep.owner.clone();
        let bucket = Bucket::new(there.s3_archive(), clock.clone(), &to, owner);
        // A bucket without locks was refused at the start, where locks are asked for.
        let locks = config.keep.retain.is_some() || config.keep.legal_hold;
        let accepted = Accepted { unlocked_bucket: config.accepted.unlocked_bucket || !locks, ..config.accepted };
        Some(Straight { bucket, to, keep: config.keep.clone(), accepted })
    }

    /// For one run: retention counts from now.
    pub(super) fn vault(&self, clock: &dyn Clock) -> Vault {
        let until = self.keep.retain.and_then(|(mode, span)| Some(Retention { mode, until: span.from(clock.now())? }));
        let lock = Lock { retention: until, legal_hold: self.keep.legal_hold, event_hold: None };
        let asked = Asked { lock, kms_key: self.keep.kms_key.clone() };
        Vault { bucket: self.bucket.clone(), to: self.to.clone(), asked, accepted: self.accepted }
    }
}
