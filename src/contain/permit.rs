//! The permit: nobody can set a cell without one, and one is minted only from verified evidence, from somebody's written word, or from the
//! journal that is being restored. Evidence before containment is thereby a matter of types, not of discipline.

use crate::bundle::verify::Verified;
use crate::model::journal_event::PermitRecord;

#[derive(Clone, Debug)]
pub struct ContainPermit {
    record: PermitRecord,
}

impl ContainPermit {
    /// A bundle that was sealed and read back as a stranger would.
    pub fn from_evidence(verified: &Verified) -> Self {
        ContainPermit { record: PermitRecord::Evidence { bundle: verified.bundle().to_string(), root: verified.root() } }
    }
    /// Somebody's word. It stands in every intent, which is durable before the write.
    pub fn by_override(who: &str, why: &str) -> Self {
        ContainPermit { record: PermitRecord::Override { who: who.to_string(), why: why.to_string() } }
    }
    /// Putting back what a journalled intent recorded.
    pub fn to_restore(who: &str) -> Self {
        ContainPermit { record: PermitRecord::Override { who: who.to_string(), why: "restore from the case journal".to_string() } }
    }
    pub fn record(&self) -> &PermitRecord {
        &self.record
    }
}
