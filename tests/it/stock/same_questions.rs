//! A stranger with boto3 asks the same questions and gets the same answers.

use super::practice;

#[test]
fn a_stranger_is_told_what_the_bundle_holds() {
    let (same, said) = &practice().compared;
    println!("{said}");
    assert!(same, "{said}");
}

#[test]
fn a_stranger_notices_a_changed_answer() {
    let (same, said) = &practice().compared_changed;
    assert!(!same, "{said}");
    for changed in ["answered otherwise: GET /2015-03-31/functions/payments-export/policy", "answered otherwise: GetRole "] {
        assert!(said.contains(changed), "{said}");
    }
}
