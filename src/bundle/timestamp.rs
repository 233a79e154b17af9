//! Timestamps of RFC 3161: what is asked of an authority, and what its answer says. The bytes are read and written by the RustCrypto crates.
//!
//! What is read here is *what* was stamped and *when*. Whether the authority is one to be believed is not: that takes its CA's certificate, which
//! the reader has to bring, and `openssl ts -verify` does it (`meta/VERIFY.txt`). A token that names no such thing could be made by anybody, so
//! checking its signature against the certificate that it carries itself would prove nothing.

use crate::model::digest::Sha256;
use chrono::{DateTime, Utc};
use cms::cert::x509::spki::AlgorithmIdentifier;
use cms::content_info::ContentInfo;
use cms::signed_data::EncapsulatedContentInfo;
use der::asn1::{Int, ObjectIdentifier, OctetString};
use der::{Any, AnyRef, Decode as _, Encode as _, SliceReader, Tag, Tagged as _};
use x509_tsp::{MessageImprint, TimeStampReq, TimeStampResp, TspVersion, TstInfo};

/// A token with its certificates has some kilobytes.
pub const MAX_RESPONSE: usize = 256 << 10;

const SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");

#[derive(Debug, thiserror::Error)]
pub enum StampError {
    #[error("cannot write the request for a timestamp")]
    WriteRequest(#[source] der::Error),
    #[error("it is longer than a timestamp can be")]
    TooLong,
    #[error("it is no answer of RFC 3161 that this build can read")]
    Parse(#[source] der::Error),
    #[error("the authority refused, with the status {0}")]
    Refused(u8),
    #[error("the answer carries no token")]
    NoToken,
    #[error("the token holds {0}, where a timestamp belongs")]
    OtherContent(ObjectIdentifier),
    #[error("the token stamps by the algorithm {0}; SHA-256 was wanted")]
    OtherHash(ObjectIdentifier),
    #[error("its time is none")]
    Time,
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// SHA-256 of what was stamped.
    pub imprint: Sha256,
    pub time: DateTime<Utc>,
    /// Under which the authority stamps, as an OID.
    pub policy: String,
    /// In hex.
    pub serial: String,
    nonce: Option<Vec<u8>>,
}

impl Stamp {
    /// Whether it is the answer to the request with this nonce, about this message.
    pub fn answers(&self, message: &[u8], nonce: Nonce) -> bool {
        self.imprint == Sha256::of(message) && self.nonce.as_deref() == Some(nonce.integer().as_bytes())
    }
}

/// A number that nobody could have known before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce(pub u64);

impl Nonce {
    /// As DER has integers: no sign, no leading zeros.
    fn integer(self) -> Int {
        // The uppermost bit would make it negative, and zero is written with one octet.
        let bytes = (self.0 & (u64::MAX >> 1)).to_be_bytes();
        let from = bytes.iter().position(|b| *b != 0).unwrap_or(7);
        let from = if bytes[from] & 0x80 != 0 { from.saturating_sub(1) } else { from };
        Int::new(&bytes[from..]).expect("eight octets at most, the shortest form of a number that is not negative")
    }
}

/// The request for a timestamp over `message`, certificates wanted.
pub fn request(message: &[u8], nonce: Nonce) -> Result<Vec<u8>, StampError> {
    let null = Any::new(Tag::Null, Vec::new()).map_err(StampError::WriteRequest)?;
    let request = TimeStampReq {
        version: TspVersion::V1,
        message_imprint: MessageImprint {
            hash_algorithm: AlgorithmIdentifier { oid: SHA_256, parameters: Some(null) },
            hashed_message: OctetString::new(Sha256::of(message).as_bytes().as_slice()).map_err(StampError::WriteRequest)?,
        },
        req_policy: None,
        nonce: Some(nonce.integer()),
        cert_req: true,
        extensions: None,
    };
    request.to_der().map_err(StampError::WriteRequest)
}

/// What the authority's whole answer says (`seal/root.tsr`).
pub fn read(response: &[u8]) -> Result<Stamp, StampError> {
    if response.len() > MAX_RESPONSE {
        return Err(StampError::TooLong);
    }
    let response = TimeStampResp::from_der(response).map_err(StampError::Parse)?;
    let status = response.status.status as u8;
    if status > 1 {
        return Err(StampError::Refused(status));
    }
    let token: ContentInfo = response.time_stamp_token.ok_or(StampError::NoToken)?;
    if token.content_type != SIGNED_DATA {
        return Err(StampError::OtherContent(token.content_type));
    }
    let inner = stamped(&token.content).map_err(StampError::Parse)?;
    if inner.econtent_type != TST_INFO {
        return Err(StampError::OtherContent(inner.econtent_type));
    }
    let info = TstInfo::from_der(inner.econtent.ok_or(StampError::NoToken)?.value()).map_err(StampError::Parse)?;
    let imprint = info.message_imprint;
    let digest: Option<[u8; 32]> = imprint.hashed_message.as_bytes().try_into().ok();
    let digest = digest.filter(|_| imprint.hash_algorithm.oid == SHA_256).ok_or(StampError::OtherHash(imprint.hash_algorithm.oid))?;
    let seconds = i64::try_from(info.gen_time.to_unix_duration().as_secs()).map_err(|_| StampError::Time)?;
    Ok(Stamp {
        imprint: Sha256::from_bytes(digest),
        time: DateTime::from_timestamp(seconds, 0).ok_or(StampError::Time)?,
        policy: info.policy.to_string(),
        serial: hex::encode(info.serial_number.as_bytes()),
        nonce: info.nonce.map(|n| n.as_bytes().to_vec()),
    })
}

/// The first three members of a `SignedData`; the third is what was signed. The certificates behind it are for whoever checks the signature, and
/// real authorities send them twice or out of order, which a strict reader of the whole would refuse.
fn stamped(signed: &Any) -> der::Result<EncapsulatedContentInfo> {
    signed.tag().assert_eq(Tag::Sequence)?;
    let mut members = SliceReader::new(signed.value())?;
    let (_version, _digest_algorithms) = (AnyRef::decode(&mut members)?, AnyRef::decode(&mut members)?);
    EncapsulatedContentInfo::decode(&mut members)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An answer of `openssl ts -reply`, OpenSSL 1.1.1, as the x509-tsp crate keeps it among its own tests: over "abc", nonce 314CFCE4E0651827.
    const ANSWER: &str = "3082028430030201003082027B06092A864886F70D010702A082026C30820268020103310F300D060960864801650304020105003081C9060B2A864886F70D0109100104A081B90481B63081B302010106042A0304013031300D060960864801650304020105000420BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD020104180F32303233303630373131323632365A300A020101800201F48101640101FF0208314CFCE4E0651827A048A4463044310B30090603550406130255533113301106035504080C0A536F6D652D5374617465310D300B060355040A0C04546573743111300F06035504030C0854657374205453413182018430820180020101305C3044310B30090603550406130255533113301106035504080C0A536F6D652D5374617465310D300B060355040A0C04546573743111300F06035504030C08546573742054534102146A0DCC59137C11D1C2B092042B4BC51C0D634D24300D06096086480165030402010500A08198301A06092A864886F70D010903310D060B2A864886F70D0109100104301C06092A864886F70D010905310F170D3233303630373131323632365A302B060B2A864886F70D010910020C311C301A3018301604142F36B1B52456F5AC3A1CA09794AE3D0D64AD38C2302F06092A864886F70D01090431220420BAF4CCF82E9B5B3956EADCC87346B407684F26D82B68D0E7DE0D31EA79AF648C300A06082A8648CE3D0403020467306502305A6E1C175B20A93FAB25D14CC5F5A2836D726D6D4A964B66FFBFFCE46276A96475F1408728B3385DCA37C2BA46BE17E1023100C46B7F08D03409A8ECCFD7637765412C3C5EC050E0D39CF48F0F5015950342CB18D8434FF331BA4463C086297C37D07B";

    #[test]
    fn an_answer_of_openssl_is_read() {
        let stamp = read(&hex::decode(ANSWER).unwrap()).unwrap();
        assert!(stamp.answers(b"abc", Nonce(0x314C_FCE4_E065_1827)));
        assert!(!stamp.answers(b"abd", Nonce(0x314C_FCE4_E065_1827)) && !stamp.answers(b"abc", Nonce(1)));
        assert_eq!(
            (stamp.time.to_rfc3339().as_str(), stamp.policy.as_str(), stamp.serial.as_str()),
            ("2023-06-07T11:26:26+00:00", "1.2.3.4.1", "04")
        );
    }

    #[test]
    fn a_request_says_what_is_asked() {
        for nonce in [0, 1, 0x7f, 0x80, 0x8000, u64::MAX, 0x314C_FCE4_E065_1827] {
            let bytes = request(b"abc", Nonce(nonce)).unwrap();
            let asked = TimeStampReq::from_der(&bytes).unwrap();
            assert_eq!(asked.message_imprint.hashed_message.as_bytes(), Sha256::of(b"abc").as_bytes());
            assert!(asked.cert_req);
        }
        // As openssl writes it, but for the certificates, which it was not asked for there.
        let theirs = "30400201013031300D060960864801650304020105000420BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD0208314CFCE4E0651827";
        let ours = hex::encode_upper(request(b"abc", Nonce(0x314C_FCE4_E065_1827)).unwrap());
        assert_eq!(ours, format!("3043{}0101FF", &theirs[4..]));
    }

    #[test]
    fn a_refusal_and_other_things_are_no_stamps() {
        assert!(matches!(read(&hex::decode("30053003020102").unwrap()), Err(StampError::Refused(2))));
        assert!(matches!(read(&hex::decode("30053003020100").unwrap()), Err(StampError::NoToken)));
        assert!(matches!(read(b"<html>"), Err(StampError::Parse(_))));
        assert!(matches!(read(&vec![0x30; MAX_RESPONSE + 1]), Err(StampError::TooLong)));
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
            let mut bytes = hex::decode(ANSWER).unwrap();
            let at = at.index(bytes.len());
            if cut { bytes.truncate(at) } else { bytes[at] = byte }
            let _ = read(&bytes);
        }
    }
}
