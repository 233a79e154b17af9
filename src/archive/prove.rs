//! That what lies in the bucket is the file: by the checksum that S3 keeps, by that of its parts, or by reading it back.

use super::body;
use super::bucket::{Checksum, ChecksumKind, Stored, broken};
use super::error::ArchiveError;
use super::parcel::ParcelFile;
use super::parts::Composite;
use super::send::Sending;
use crate::model::digest::Hasher;

impl Sending<'_> {
    /// That what lies there is the file: by the checksum that S3 keeps, or by reading it back.
    pub(super) async fn prove(
        &self,
        key: &str,
        file: &ParcelFile,
        stored: &Stored,
        sent: Option<String>,
    ) -> Result<Option<Checksum>, ArchiveError> {
        let differs = |what: String| Err(ArchiveError::Differs { key: key.into(), what });
        if stored.bytes != file.bytes {
            return differs(format!("{} bytes, and the file has {}", stored.bytes, file.bytes));
        }
        let read_failed = |source| ArchiveError::ReadBack { key: key.into(), source };
        let ours = file.sha256.to_base64();
        match &stored.checksum {
            Some(theirs) if theirs.kind == ChecksumKind::FullObject => match theirs.sha256 == ours {
                true => Ok(Some(theirs.clone())),
                false => differs(format!("SHA-256 {}, and the file has {ours}", theirs.sha256)),
            },
            Some(theirs) => {
                let (ours, part_bytes) = match sent {
                    Some(sent) => (sent, self.bucket.part_bytes(file.bytes)),
                    None => {
                        let told = self.bucket.parts_of(key, stored.version.as_deref()).await.map_err(read_failed)?;
                        let part_bytes = told.unwrap_or_else(|| self.bucket.part_bytes(file.bytes));
                        (self.composite(file, part_bytes).await?, part_bytes)
                    }
                };
                match theirs.sha256 == ours {
                    true => Ok(Some(Checksum { part_bytes: Some(part_bytes), ..theirs.clone() })),
                    false => differs(format!("SHA-256 over its parts {}, and the file has {ours}", theirs.sha256)),
                }
            }
            None => {
                let mut body = self.bucket.get(key, stored.version.as_deref()).await.map_err(read_failed)?;
                let mut hasher = Hasher::default();
                while let Some(piece) = body.try_next().await.map_err(|e| read_failed(broken(&e)))? {
                    hasher.update(&piece);
                }
                match hasher.finish() == (file.sha256, file.bytes) {
                    true => Ok(None),
                    false => differs("its bytes were read, and have another SHA-256".into()),
                }
            }
        }
    }

    async fn composite(&self, file: &ParcelFile, part_bytes: u64) -> Result<String, ArchiveError> {
        let mut composite = Composite::new(part_bytes);
        let mut pieces = body::pieces(&self.parcel.source, &file.path, 128 << 10);
        while let Some(piece) = pieces.recv().await {
            composite.update(&piece.map_err(|source| ArchiveError::ReadFile { path: file.path.clone(), source })?);
        }
        Ok(composite.finish())
    }
}
