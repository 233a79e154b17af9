//! For whom the secrets of a run's bags are sealed, and how each bag's own identity outlives the run.
//!
//! Named recipients need nothing from here. With a KMS key, the bag's identity is encrypted by it before the first file is sealed, with case
//! and bundle as encryption context: CloudTrail then tells of every opening whose case it was. With neither, or where KMS would not, the case has
//! an identity of its own beside it. What it never does: begin a bag whose secrets nobody could open.

use crate::aws::Connector;
use crate::aws::fault::{Fault, tame};
use crate::aws::raw::{JsonVersion, RawCall};
use crate::aws::record::{HeadRecorder, UnitScope};
use crate::aws::tape::{self, Listening};
use crate::bundle::draft::{Draft, DraftError};
use crate::bundle::secrets::{Identities, Recipient, SEAL_CALLS, SecretsOrder, UNSEAL_CALLS, WrappedIdentity};
use crate::model::call::{Call, Service};
use crate::model::id::CaseId;
use crate::model::item::Group;
use crate::model::kms_key::KmsKey;
use crate::store::{Store, StoreError};
use age::secrecy::ExposeSecret as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::sync::Arc;

/// What a run is told about sealing secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secrets {
    pub order: SecretsOrder,
    /// Encrypts the identity of each bag.
    pub kms: Option<KmsKey>,
}

#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    #[error("could not keep an identity that opens the case's secrets")]
    KeepIdentity(#[source] StoreError),
    #[error("the identity beside the case ({0}) is none of age, or is not there although somebody just put it there")]
    OddIdentity(String),
    #[error("could not keep what opens the bundle's secrets")]
    Draft(#[from] DraftError),
}

/// Where the identities of cases without recipients lie: beside the cases.
pub fn identity_key(case: &CaseId) -> String {
    format!("{case}.identity")
}

impl Secrets {
    /// Make sure that somebody can open what will be sealed of `draft`; what a person should know of it.
    pub(super) async fn prepare(
        &self,
        draft: &Draft,
        connector: &Connector,
        beside: &dyn Store,
        case: &CaseId,
    ) -> Result<Vec<String>, SecretsError> {
        let mut notes = vec![];
        if let Some(key) = &self.kms {
            match wrap(connector, key, draft, case).await {
                Ok(wrapped) => draft.wrapped(&wrapped)?,
                Err(fault) => {
                    let why = tame(&fault.to_string(), 300);
                    notes.push(format!("the identity of {} is NOT encrypted with the KMS key {}: {why}", draft.name(), key.arn()));
                }
            }
        }
        let nobody = self.order.recipients.is_empty() && (self.kms.is_none() || !notes.is_empty());
        if nobody {
            draft.originals().also_for(local(beside, case).await?);
            let place = beside.describe();
            let key = identity_key(case);
            notes
                .push(format!("secrets are sealed for the identity {key} in {place}: keep it apart from the evidence, and do not lose it"));
        }
        Ok(notes)
    }
}

/// The identity beside the case, made where there is none. Of two that make one at once, both use the one that was first.
async fn local(beside: &dyn Store, case: &CaseId) -> Result<Recipient, SecretsError> {
    let key = identity_key(case);
    let there = async || -> Result<Option<Recipient>, SecretsError> {
        let Some(bytes) = beside.get(&key).await.map_err(SecretsError::KeepIdentity)? else { return Ok(None) };
        let all = std::str::from_utf8(&bytes).ok().and_then(Identities::parse).ok_or_else(|| SecretsError::OddIdentity(key.clone()))?;
        Ok(all.public().into_iter().next())
    };
    if let Some(recipient) = there().await? {
        return Ok(recipient);
    }
    let (_, text) = Identities::make(&format!("opens the sealed originals of case {case} (age -d -i, freezeframe unseal)"));
    beside.put_if_absent(&key, text.expose_secret().as_bytes().to_vec()).await.map_err(SecretsError::KeepIdentity)?;
    there().await?.ok_or(SecretsError::OddIdentity(key))
}

fn context(case: &CaseId, bundle: &str) -> Value {
    json!({"case": case.to_string(), "bundle": bundle})
}

async fn wrap(connector: &Connector, key: &KmsKey, draft: &Draft, case: &CaseId) -> Result<WrappedIdentity, Fault> {
    let secret = draft.originals().to_be_wrapped();
    let plaintext = STANDARD.encode(secret.expose_secret());
    let body = json!({"KeyId": key.arn(), "Plaintext": plaintext, "EncryptionContext": context(case, draft.name())});
    let answer = call(connector, key, SEAL_CALLS, "Encrypt", &body).await?;
    let ciphertext = answer.get("CiphertextBlob").and_then(Value::as_str).and_then(|s| STANDARD.decode(s).ok());
    let ciphertext =
        ciphertext.filter(|c| !c.is_empty()).ok_or_else(|| Fault::internal("KMS answered without the member CiphertextBlob"))?;
    Ok(WrappedIdentity { key: key.clone(), ciphertext })
}

/// The identity of a bundle that KMS encrypted.
pub async fn unwrap(connector: &Connector, key: &KmsKey, ciphertext: &[u8], case: &CaseId, bundle: &str) -> Result<Identities, Fault> {
    let body = json!({"KeyId": key.arn(), "CiphertextBlob": STANDARD.encode(ciphertext), "EncryptionContext": context(case, bundle)});
    let answer = call(connector, key, UNSEAL_CALLS, "Decrypt", &body).await?;
    let plaintext = answer.get("Plaintext").and_then(Value::as_str).and_then(|s| STANDARD.decode(s).ok()).unwrap_or_default();
    let identities = std::str::from_utf8(&plaintext).ok().and_then(Identities::parse);
    identities.ok_or_else(|| Fault::internal("what KMS decrypted is no identity of age"))
}

/// Over the signed raw path (two operations need no SDK crate). Names and members: botocore 1.43, kms/2014-11-01. Nothing of it is kept: the
/// request of one and the answer of the other hold the identity in clear.
async fn call(connector: &Connector, key: &KmsKey, calls: &'static [Call], operation: &'static str, body: &Value) -> Result<Value, Fault> {
    let connector = if connector.region() == key.region() { connector.clone() } else { connector.in_region(key.region()) };
    let aws = connector.unit(UnitScope { unit: "seal", group: Group::Plan }, calls, Arc::new(HeadRecorder::default()));
    let call = RawCall::json(Service::Kms, operation, JsonVersion::V1_1, &format!("TrentService.{operation}"), body);
    let (answer, exchanges) = tape::listen(Listening::default(), aws.raw(call)).await;
    let answer = answer.map_err(|e| Fault::of(&e, &exchanges))?;
    serde_json::from_slice(&answer).map_err(|_| Fault::internal("KMS answered with something that is no JSON"))
}
