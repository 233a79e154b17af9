//! The signatures of the practice: a local key's and a KMS key's (of the emulator), demanded by fingerprint; KMS itself says that what the bag
//! holds is its key, and that the signature is its own.

use super::{practice, unpacked};
use freezeframe::bundle::verify::{DemandedKey, SignatureResult, Verdict, verify_with};
use freezeframe::model::digest::Sha256;
use serde_json::Value;

fn demanded(fingerprints: &[String]) -> Vec<DemandedKey> {
    fingerprints.iter().map(|f| DemandedKey::Fingerprint(Sha256::from_hex(f).unwrap())).collect()
}

#[test]
fn every_bag_is_signed_with_the_keys_that_were_asked_for() {
    let keys = &practice().keys;
    for (zip, keys) in practice().bundles.iter().zip([&keys[..], &keys[..1], &keys[..1]]) {
        let v = verify_with(zip, &demanded(keys)).unwrap();
        assert_eq!((v.verdict(), v.findings.len()), (Verdict::Whole, 0), "{:#?}", v.findings);
        assert!(v.signatures.iter().all(|s| s.result == SignatureResult::Holds && s.demanded));
        assert_eq!(v.signatures.len(), keys.len());
    }
    let v = verify_with(&practice().bundles[1], &demanded(&keys[1..])).unwrap();
    assert_eq!(v.verdict(), Verdict::Broken, "the KMS key did not sign the containment");
}

#[test]
fn the_statement_tells_how_every_cell_ended() {
    let ends: Vec<Vec<String>> = practice()
        .bundles
        .iter()
        .map(|zip| {
            let text = std::fs::read_to_string(unpacked(zip).dir.join("seal/statement.json")).unwrap();
            let statement: Value = serde_json::from_str(&text).unwrap();
            let cells = statement["predicate"]["containment"].as_array().cloned().unwrap_or_default();
            cells.iter().map(|c| c["ended"].as_str().unwrap().to_string()).collect()
        })
        .collect();
    assert_eq!(ends, [vec![], vec!["holds"; 2], vec!["restored"; 2]]);
}

#[test]
fn what_kms_was_asked_is_noted_beside_the_seal() {
    let text = std::fs::read_to_string(unpacked(&practice().bundles[0]).dir.join("seal/sealing.json")).unwrap();
    let note: Value = serde_json::from_str(&text).unwrap();
    let all = note["signatures"].as_array().unwrap();
    assert_eq!(all.len(), 2);
    assert!(all.iter().all(|s| s["ended"] == "done"), "{note:#}");
    let kms = all.iter().find(|s| s["signer"]["kind"] == "kms").unwrap();
    assert!(kms["request_id"].as_str().is_some_and(|id| id.len() > 8), "its request id stands in CloudTrail too: {note:#}");
}
