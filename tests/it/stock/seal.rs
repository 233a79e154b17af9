//! The signatures of the practice: a local key's and a KMS key's (of the emulator), demanded by fingerprint; KMS itself says that what the bag
//! holds is its key, and that the signature is its own.

use super::{practice, unpacked};
use freezeframe::bundle::verify::{DemandedKey, Finding, Level, SignatureResult, Verdict, verify_with};
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
        // What openssl alone can say of the stamp is all that is left to be compared; and for whom secrets are sealed is told.
        let told = |f: &&Finding| !(f.check == "secrets" && f.level == Level::Info);
        let left: Vec<&str> = v.findings.iter().filter(told).map(|f| f.check).collect();
        assert_eq!((v.verdict(), left), (Verdict::Whole, v.timestamp.iter().map(|_| "timestamp").collect()), "{:#?}", v.findings);
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

#[test]
fn custody_tells_the_whole_case_from_any_of_its_bundles() {
    let told = |name: &str| &practice().ended[name];
    let what = |entries: &Value| entries.as_array().unwrap().iter().map(|e| e["what"].as_str().unwrap().to_string()).collect::<Vec<_>>();
    for name in ["custody acquisition", "custody containment", "custody restore"] {
        let (code, d, stderr) = told(name);
        assert_eq!((*code, &d["chain"]["broken"]), (0, &Value::Null), "{stderr}");
        let bundles = d["bundles"].as_array().unwrap();
        let kinds: Vec<&str> = bundles.iter().map(|b| b["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["acquisition", "containment", "restore"], "{name}");
        assert!(
            bundles.iter().all(|b| b["same_root"] == true && b["verdict"] == "whole" && !b["signed_by"].as_array().unwrap().is_empty())
        );
        let case = what(&d["case_chain"]);
        for word in ["opened the case", "was about to contain", "changed ", "read ", "was about to put", "put "] {
            assert!(case.iter().any(|w| w.starts_with(word)), "{word}: {case:#?}");
        }
        let entries = d["case_chain"].as_array().unwrap();
        let who = |e: &Value| e["who"].as_str().unwrap_or_default().to_string();
        // Opening and copying need no AWS, so they are told of the system's user.
        let (local, aws): (Vec<&Value>, Vec<&Value>) = entries.iter().partition(|e| who(e).contains("local user"));
        assert!(aws.iter().all(|e| who(e).starts_with("arn:aws:sts::")), "{aws:#?}");
        let did = |e: &&Value| ["opened ", "copied "].iter().any(|w| e["what"].as_str().is_some_and(|t| t.starts_with(w)));
        assert!(local.len() == 3 && local.iter().all(did), "{local:#?}");
    }
    // A bag of containment tells by itself who changed what and when, without the case beside it.
    let chain = what(&told("custody containment").1["chain"]["entries"]);
    let at = |word: &str| chain.iter().position(|w| w.starts_with(word)).unwrap_or_else(|| panic!("{word}: {chain:#?}"));
    assert!(at("opened the bundle") < at("was about to contain") && at("was about to contain") < at("changed "), "{chain:#?}");
    assert!(at("changed ") < at("sealed the bundle"), "{chain:#?}");
}

#[test]
fn the_form_for_the_certifier_is_filled_in_and_signed_by_nobody() {
    let bag = unpacked(&practice().bundles[0]);
    let form = std::fs::read_to_string(bag.dir.join("meta/CERTIFICATION.md")).unwrap();
    let name = practice().bundles[0].file_stem().unwrap().to_str().unwrap();
    for word in [name, "IR-2026-0042", "902(14)", "SHA-256", "Signature: ____"] {
        assert!(form.contains(word), "{word}: {form}");
    }
}
