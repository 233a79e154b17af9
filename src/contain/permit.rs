//! The permit: nobody can set a cell without one, and one is minted only from verified evidence, from somebody's written word, or from the
//! journal that is being restored. Evidence before containment is thereby a matter of types, not of discipline.

use crate::bundle::verify::Verified;
use crate::model::journal_event::PermitRecord;

#[derive(Clone, Debug)]
pub struct ContainPermit {
    record: PermitRecord,
    restores: bool,
}

impl ContainPermit {
    /// A bundle that was sealed and read back as a stranger would.
    pub fn from_evidence(verified: &Verified) -> Self {
        ContainPermit { record: PermitRecord::Evidence { bundle: verified.bundle().to_string(), root: verified.root() }, restores: false }
    }
    /// Somebody's word. It stands in every intent, which is durable before the write.
    pub fn by_override(who: &str, why: &str) -> Self {
        ContainPermit { record: PermitRecord::Override { who: who.to_string(), why: why.to_string() }, restores: false }
    }
    /// Putting back what a journalled intent recorded.
    pub fn to_restore(who: &str) -> Self {
        ContainPermit {
            record: PermitRecord::Override { who: who.to_string(), why: "restore from the case journal".to_string() },
            restores: true,
        }
    }
    /// Whether a cell is being put back: for the few actions of which putting back is more than setting.
    pub fn restores(&self) -> bool {
        self.restores
    }
    pub fn record(&self) -> &PermitRecord {
        &self.record
    }
}
