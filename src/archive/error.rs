//! Why an archive did not come to its end, how that ends the program, and what the person can do.

use super::parcel::ParcelError;
use super::reach::ReachError;
use crate::aws::fault::Fault;
use crate::bundle::journal::JournalError;
use crate::model::canon::CanonError;
use crate::model::outcome::Outcome;
use crate::model::path::{BundlePath, PathError};
use crate::model::refusal::Refusal;
use crate::store::StoreError;
use std::io;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error(transparent)]
    Parcel(#[from] ParcelError),
    #[error(transparent)]
    Reach(#[from] ReachError),
    #[error("the bucket {bucket} is not fit for evidence")]
    Unfit { bucket: String, refusals: Vec<Refusal> },
    #[error("cannot name a place for the bundle below {to}")]
    Name { to: String },
    #[error("cannot see what lies at {place} already")]
    List {
        place: String,
        #[source]
        source: Fault,
    },
    #[error("{key} lies there already and is no file of this bundle")]
    Stranger { key: String },
    #[error("{key} lies there already with other bytes: {what}")]
    Differs { key: String, what: String },
    #[error("cannot put {key}")]
    Put {
        key: String,
        #[source]
        source: Fault,
    },
    #[error("cannot read {key} back")]
    ReadBack {
        key: String,
        #[source]
        source: Fault,
    },
    #[error("{key} was put, and S3 says that there is nothing")]
    Vanished { key: String },
    #[error("cannot read {} again", path.as_str())]
    ReadFile {
        path: BundlePath,
        #[source]
        source: io::Error,
    },
    #[error("cannot write the archive's record down")]
    MakeRecord(#[source] CanonError),
    #[error("cannot name the archive's record")]
    NameRecord(#[source] PathError),
    #[error("cannot read the addenda beside the bundle, in {}", path.display())]
    ReadAddenda {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("there are too many addenda at {place}")]
    Crowded { place: String },
    #[error("cannot keep the archive's record beside the bundle, as {}", path.display())]
    KeepRecord {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot write the transfer into the case journal")]
    Journal(#[source] JournalError),
    #[error("cannot read the case journal, in order to archive it")]
    ReadJournal(#[source] StoreError),
    #[error("a task of the archive broke off")]
    Task(#[source] tokio::task::JoinError),
}

impl ArchiveError {
    pub fn outcome(&self) -> Outcome {
        match self {
            ArchiveError::Parcel(ParcelError::Broken { .. }) => Outcome::VerificationFailed,
            ArchiveError::Parcel(ParcelError::Open { source, .. }) => source.outcome(),
            ArchiveError::Parcel(ParcelError::Unfinished { .. } | ParcelError::NeverSealed { .. }) => Outcome::Refused,
            ArchiveError::Unfit { .. } | ArchiveError::Stranger { .. } | ArchiveError::Differs { .. } => Outcome::Refused,
            _ => Outcome::Failed,
        }
    }

    pub fn hints(&self) -> Vec<String> {
        let hint = match self {
            ArchiveError::Parcel(ParcelError::Broken { path, .. }) => {
                format!("freezeframe verify {} says what is wrong with it", path.display())
            }
            ArchiveError::Parcel(ParcelError::Unfinished { .. }) => "--accept unfinished-bundle archives it as it is".into(),
            ArchiveError::Parcel(ParcelError::Open { source, .. }) => source.hint().into(),
            ArchiveError::Reach(ReachError::OtherRegion { region, .. }) => format!("--bucket-region {region}"),
            ArchiveError::Reach(ReachError::Denied { .. }) => {
                "s3:ListBucket is needed on the bucket, and --expected-bucket-owner must name its account".into()
            }
            ArchiveError::Unfit { refusals, .. } => {
                return refusals.iter().map(|r| format!("{} — what would lift it: {}", r.why, r.lift)).collect();
            }
            ArchiveError::Stranger { .. } | ArchiveError::Differs { .. } => {
                "nothing there was touched; find out who put it, or archive below another prefix".into()
            }
            ArchiveError::Put { .. } | ArchiveError::ReadBack { .. } | ArchiveError::List { .. } | ArchiveError::Vanished { .. } => {
                "run the same command again: what is there already is compared and left, the rest is added".into()
            }
            _ => return vec![],
        };
        vec![hint]
    }
}
