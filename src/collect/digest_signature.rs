//! The signature of a trail's digest file: `SHA256withRSA` by a key of CloudTrail's that lives in the trail's home Region and is had from
//! `ListPublicKeys`. Pure. The text that is signed is what the AWS CLI's `validate-logs` (1.45) builds: end time, bucket/key, hex SHA-256 of the
//! unpacked digest, the signature of the digest before (`null` for a first one), joined by line feeds.

use super::trail_digests::Digest;
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::Value;
use std::collections::BTreeMap;

/// Public keys (PKCS#1, DER) by fingerprint.
pub(super) type PublicKeys = BTreeMap<String, Vec<u8>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signed {
    /// By the key that the digest names.
    Valid,
    /// Not by that key, or not over these bytes.
    Invalid,
    /// The key that the digest names is not among those that CloudTrail gave us.
    KeyUnknown,
    /// The object bears no signature of the one known kind.
    Unsigned,
}

pub(super) fn check(digest: &Digest, keys: &PublicKeys) -> Signed {
    const ALGORITHM: Option<&str> = Some("SHA256withRSA");
    let says = |member: &str| digest.document.get(member).and_then(Value::as_str);
    let signature = digest.signature.as_deref().and_then(|s| hex::decode(s).ok());
    let (Some(signature), Some(text)) = (signature, text(digest)) else { return Signed::Unsigned };
    if digest.algorithm.as_deref() != ALGORITHM || says("digestSignatureAlgorithm").is_some_and(|said| Some(said) != ALGORITHM) {
        return Signed::Unsigned;
    }
    let Some(key) = says("digestPublicKeyFingerprint").and_then(|f| keys.get(f)) else { return Signed::KeyUnknown };
    match UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key).verify(text.as_bytes(), &signature) {
        Ok(()) => Signed::Valid,
        Err(_) => Signed::Invalid,
    }
}

fn text(digest: &Digest) -> Option<String> {
    let says = |member: &str| digest.document.get(member).and_then(Value::as_str);
    let before = match digest.document.get("previousDigestSignature")? {
        Value::Null => "null",
        Value::String(text) => text,
        _ => return None,
    };
    let (end, bucket, key) = (says("digestEndTime")?, says("digestS3Bucket")?, says("digestS3Object")?);
    Some(format!("{end}\n{bucket}/{key}\n{}\n{before}", digest.content))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Sha256;
    use serde_json::json;

    // A digest, signed with `openssl dgst -sha256 -sign` by a key made for this test: nothing of ours stands on the signing side.
    const KEY: &str = "3082010a0282010100ced37bc941d5f987de5d2ec2338e493466cd5e2dda04aba743750db6fae503828be8fb56c639d71dd1643ded3f42d69d25321dbcecc6db5fa3e45ec6dc6e88fd023a4d889c383285733a12339f46a052bae0189f4585c0bbeb9b33bddfd553e4163a72d0af6f804d1380824f8d8717af9fd6719b2374286ae7525d5847ddf5eb7811ad513294d801578c21cb85e45b2fc5a97f01dc9b45be082bf9f34ca453fda1d5774080e9fbb35a2dd10ed46c70a75d9fe9cff0ca843dde64ae69ccbba8dbe24dcce5b7e69c93c4d484d9f6a030deb56582ed36c9603ba01776978142affac4f7e1ebb9a96afb6c8704274703ca6adcb6a9318cbdc981f1840cad3970393d0203010001";
    const SIGNATURE: &str = "b6231d72e5bb045be3156e48adc4947fc6f12d356d12702585cf33b1fd1bc6053d39f1de327e9e11ce8ec465827073934fd14db346991d118cf5f72c90c594113eba49c4ab7cc560cf7956446cf52ae261e6be850bc8af1a575a115847bc32ef8bae4609bfbf7ba27669f3f3ccb0a63274f0373ca4370c479d8ae4af9f16574c5a76c19433177d954ca6646af0e728e7b61421832459bbfab3d4c9f18c8ad47e445fa82e48197ea7460049a7b361595230792f2c809d64adf7a644dcb650caeb3ba6b29d9f6f2d26658f85811fa4fbf6fdf3898a2bf9a18129e426f7028eb049e0559779d712bb8e9450a8e5e052387b69d991a52c7e5e49c2ae6d77603e3da2";
    const FIRST_SIGNATURE: &str = "149927be23e4829a362ebc1668e1233d83a2c3db0a6e9d62c71d5f2f4334e2faa60502d3aa9d78312704de29acc86b68c35602eb085e4df7b7d066db3dc7f3d56d9ebbf245ebd3c9f59da2e1c62359aa9c964865ad534ca107cfd2742c4298bafe9962271214b1eaac38d451a9bf60f3c11895927c24e79b90bf127f77b8e629cfb26bfef3cacbbf6d602752b428e4feee86df6228f10b26bc852204c09c39cd2d9fd53843d61fab9286fd6586dffed227ec8bbd6c273be73655807416c7c8a2d0c6128f0e3cda8f067bf737e4d8c23629d3e737e7ff6f975c6920a117c9ef1dad5c6348d9233ae5421b96b37f504587cd04e8bf10b70a383c651354f05b0c66";
    const CONTENT: &[u8] = b"the digest as it was unpacked";

    fn keys() -> PublicKeys {
        BTreeMap::from([("f1".to_string(), hex::decode(KEY).unwrap())])
    }
    fn digest(before: Value, signature: &str) -> Digest {
        Digest {
            bucket: "b".into(),
            key: "k".into(),
            content: Sha256::of(CONTENT),
            signature: Some(signature.to_string()),
            algorithm: Some("SHA256withRSA".into()),
            document: json!({"digestEndTime": "2026-11-20T10:00:00Z", "digestS3Bucket": "b", "digestS3Object": "k",
                "digestPublicKeyFingerprint": "f1", "digestSignatureAlgorithm": "SHA256withRSA", "previousDigestSignature": before}),
        }
    }

    #[test]
    fn what_openssl_signed_is_valid_and_nothing_else_is() {
        assert_eq!(check(&digest(json!("0a0b"), SIGNATURE), &keys()), Signed::Valid);
        assert_eq!(check(&digest(Value::Null, FIRST_SIGNATURE), &keys()), Signed::Valid, "a first digest says null");
        let changed = |change: fn(&mut Digest)| {
            let mut d = digest(json!("0a0b"), SIGNATURE);
            change(&mut d);
            check(&d, &keys())
        };
        assert_eq!(changed(|d| d.content = Sha256::of(b"another")), Signed::Invalid);
        assert_eq!(changed(|d| d.document["previousDigestSignature"] = json!("0a0c")), Signed::Invalid);
        assert_eq!(changed(|d| d.document["digestEndTime"] = json!("2026-11-20T11:00:00Z")), Signed::Invalid);
        assert_eq!(changed(|d| d.signature = Some("00".into())), Signed::Invalid);
        assert_eq!(changed(|d| d.document["digestPublicKeyFingerprint"] = json!("f2")), Signed::KeyUnknown);
        assert_eq!(changed(|d| d.signature = None), Signed::Unsigned);
        assert_eq!(changed(|d| d.signature = Some("not hex".into())), Signed::Unsigned);
        assert_eq!(changed(|d| d.algorithm = Some("none".into())), Signed::Unsigned);
        assert_eq!(changed(|d| d.document["digestSignatureAlgorithm"] = json!("MD5withRSA")), Signed::Unsigned);
        assert_eq!(changed(|d| d.document = json!([1])), Signed::Unsigned);
        let garbage = BTreeMap::from([("f1".to_string(), vec![1, 2, 3])]);
        assert_eq!(check(&digest(json!("0a0b"), SIGNATURE), &garbage), Signed::Invalid, "a key that is none vouches for nothing");
    }
}
