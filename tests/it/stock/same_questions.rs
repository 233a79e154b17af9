//! A stranger with boto3 asks the same questions and gets the same answers: every exchange of the bundle is held against an answer of now, or
//! is of a kind that cannot be, which `compare_bodies.py` says and counts.

use super::practice;

#[test]
fn a_stranger_is_told_what_the_bundle_holds() {
    let (same, said) = &practice().compared;
    println!("{said}");
    assert!(same, "{said}");
    assert!(said.contains("0 wrong, 0 not explained"), "{said}");
}

#[test]
fn a_stranger_notices_a_changed_answer() {
    let (same, said) = &practice().compared_changed;
    assert!(!same, "{said}");
    // The last one the stranger did not think of: it is sent again as it stands.
    for changed in ["GET /2015-03-31/functions/payments-export/policy", "GetRole ", "POST /TraceSummaries"] {
        let changed = &format!("answered otherwise: {changed}");
        assert!(said.contains(changed), "{said}");
    }
    assert!(said.contains("not explained: GET / []") && said.contains(" wrong, 1 not explained"), "{said}");
}
