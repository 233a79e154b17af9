//! A key of AWS KMS as signer. `Sign` takes a digest, so a statement of any size is signed with one small call; its request id goes into the
//! bag, and CloudTrail keeps the same one: a witness that neither the collector nor whoever holds the bag can change.
//!
//! Over the signed raw path (two operations need no SDK crate). Names and members: botocore 1.43, kms/2014-11-01.

use crate::aws::Connector;
use crate::aws::fault::Fault;
use crate::aws::raw::{JsonVersion, RawCall};
use crate::aws::record::{HeadRecorder, UnitScope};
use crate::aws::tape::{self, Listening};
use crate::bundle::keys::{KeyError, PublicKey};
use crate::bundle::signer::{KMS_CALLS, SignError, Signed, Signer, SignerKind};
use crate::model::call::Service;
use crate::model::digest::Sha256;
use crate::model::item::Group;
use crate::model::kms_key::KmsKey;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::sync::Arc;

#[derive(Debug, thiserror::Error)]
pub enum KmsError {
    #[error("KMS did not say what the public key of {arn} is")]
    GetPublicKey {
        arn: String,
        #[source]
        source: Fault,
    },
    #[error("KMS did not sign")]
    Sign {
        #[source]
        source: Fault,
    },
    #[error("the key {arn} is no ECC_NIST_P256 key to sign with ECDSA_SHA_256: {said}")]
    OtherKey { arn: String, said: String },
    #[error("KMS gave a public key that is none")]
    BadPublicKey(#[source] KeyError),
    #[error("KMS answered without the member {0}")]
    Member(&'static str),
}

impl KmsError {
    pub fn hint(&self) -> &'static str {
        match self {
            KmsError::OtherKey { .. } => "make one: aws kms create-key --key-spec ECC_NIST_P256 --key-usage SIGN_VERIFY",
            _ => "signing needs kms:GetPublicKey and kms:Sign on the key; `freezeframe plan … --kms-key` prints the policy",
        }
    }
}

#[derive(Debug)]
pub struct KmsSigner {
    connector: Connector,
    key: KmsKey,
    public: PublicKey,
}

impl KmsSigner {
    /// Read the public half, and make sure that the key can do what is wanted of it.
    pub async fn connect(connector: &Connector, key: &KmsKey) -> Result<KmsSigner, KmsError> {
        let connector = if connector.region() == key.region() { connector.clone() } else { connector.in_region(key.region()) };
        let arn = || key.arn().to_string();
        let (answer, _) = call(&connector, "GetPublicKey", &json!({"KeyId": key.arn()}))
            .await
            .map_err(|source| KmsError::GetPublicKey { arn: arn(), source })?;
        let text = |member: &str| answer.get(member).and_then(Value::as_str).unwrap_or_default();
        let algorithms = answer.get("SigningAlgorithms").and_then(Value::as_array);
        let can_sign = algorithms.is_some_and(|a| a.iter().any(|a| a == ALGORITHM));
        if text("KeySpec") != "ECC_NIST_P256" || text("KeyUsage") != "SIGN_VERIFY" || !can_sign {
            let said = crate::aws::fault::tame(&format!("{} for {}", text("KeySpec"), text("KeyUsage")), 100);
            return Err(KmsError::OtherKey { arn: arn(), said });
        }
        let der = STANDARD.decode(text("PublicKey")).map_err(|_| KmsError::Member("PublicKey"))?;
        let public = PublicKey::from_der(&der).map_err(KmsError::BadPublicKey)?;
        Ok(KmsSigner { connector, key: key.clone(), public })
    }

    async fn ask(&self, message: &[u8]) -> Result<Signed, KmsError> {
        let digest = Sha256::of(message).to_base64();
        let body = json!({"KeyId": self.key.arn(), "Message": digest, "MessageType": "DIGEST", "SigningAlgorithm": ALGORITHM});
        let (answer, request_id) = call(&self.connector, "Sign", &body).await.map_err(|source| KmsError::Sign { source })?;
        let signature = answer.get("Signature").and_then(Value::as_str).and_then(|s| STANDARD.decode(s).ok());
        Ok(Signed { signature: signature.ok_or(KmsError::Member("Signature"))?, request_id })
    }
}

const ALGORITHM: &str = "ECDSA_SHA_256";

/// The answer, and the request id of its last attempt. These calls stand in no bag (the bag is closed when they are made), so only the head of
/// an exchange is heard.
async fn call(connector: &Connector, operation: &'static str, body: &Value) -> Result<(Value, Option<String>), Fault> {
    let scope = UnitScope { unit: "seal", group: Group::Plan };
    let aws = connector.unit(scope, KMS_CALLS, Arc::new(HeadRecorder::default()));
    let call = RawCall::json(Service::Kms, operation, JsonVersion::V1_1, &format!("TrentService.{operation}"), body);
    let (answer, exchanges) = tape::listen(Listening::default(), aws.raw(call)).await;
    let answer = answer.map_err(|e| Fault::of(&e, &exchanges))?;
    let value = serde_json::from_slice(&answer).map_err(|_| Fault::internal("KMS answered with something that is no JSON"))?;
    Ok((value, exchanges.last().and_then(|x| x.request_id.clone())))
}

#[async_trait]
impl Signer for KmsSigner {
    fn kind(&self) -> SignerKind {
        SignerKind::Kms
    }
    fn public_key(&self) -> &PublicKey {
        &self.public
    }
    fn arn(&self) -> Option<&str> {
        Some(self.key.arn())
    }
    async fn sign(&self, message: &[u8]) -> Result<Signed, SignError> {
        self.ask(message).await.map_err(|e| SignError { key: self.public.fingerprint(), source: e.into() })
    }
}
