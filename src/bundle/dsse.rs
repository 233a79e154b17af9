//! DSSE, the envelope that carries the statement with its signatures (<https://github.com/secure-systems-lab/dsse>, v1.0.2): what is signed is
//! not the payload but its pre-authentication encoding, so that nobody can take a signature over one kind of document for one over another.

use crate::model::digest::Sha256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the payload is: an in-toto statement.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// `seal/statement.dsse.json`: the bytes of `seal/statement.json`, and who signed them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// Base64 of the very bytes of `seal/statement.json`.
    pub payload: String,
    /// `application/vnd.in-toto+json`
    pub payload_type: String,
    pub signatures: Vec<EnvelopeSignature>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EnvelopeSignature {
    /// SHA-256 of the key's SubjectPublicKeyInfo, in hex.
    pub keyid: Sha256,
    /// Base64 of an ECDSA signature in DER, over SHA-256 of the pre-authentication encoding.
    pub sig: String,
}

impl Envelope {
    pub fn of(payload: &[u8], signatures: &[(Sha256, Vec<u8>)]) -> Envelope {
        let signatures = signatures.iter().map(|(keyid, sig)| EnvelopeSignature { keyid: *keyid, sig: STANDARD.encode(sig) });
        Envelope { payload: STANDARD.encode(payload), payload_type: PAYLOAD_TYPE.into(), signatures: signatures.collect() }
    }

    /// `None` when it is no base64.
    pub fn payload(&self) -> Option<Vec<u8>> {
        STANDARD.decode(&self.payload).ok()
    }
}

impl EnvelopeSignature {
    /// `None` when it is no base64.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        STANDARD.decode(&self.sig).ok()
    }
}

/// The pre-authentication encoding: what is signed.
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut out = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    out.extend_from_slice(payload);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_is_that_of_the_specification() {
        // The protocol document's own test vector.
        assert_eq!(pae("http://example.com/HelloWorld", b"hello world"), b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }

    #[test]
    fn an_envelope_is_written_as_the_specification_names_its_members() {
        let envelope = Envelope::of(b"{}", &[(Sha256::ZERO, vec![1, 2])]);
        let text = serde_json::to_string(&envelope).unwrap();
        let zeros = "0".repeat(64);
        let wanted = format!(
            r#"{{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[{{"keyid":"{zeros}","sig":"AQI="}}]}}"#
        );
        assert_eq!(text, wanted);
        assert_eq!((envelope.payload().unwrap(), envelope.signatures[0].bytes().unwrap()), (b"{}".to_vec(), vec![1, 2]));
    }
}
