//! bagit.py of the Library of Congress, and a JSON Schema validator.

use super::{CODE, flip, practice, said, unpacked};
use crate::bundle::checker::both;
use crate::support::tools::{python_tools, repository};
use std::path::Path;
use std::process::{Command, Output};

fn bagit(dir: &Path) -> Output {
    Command::new(python_tools().join("bagit.py")).arg("--validate").arg(dir).output().unwrap()
}

fn schemas(dir: &Path, verification: Option<&Path>) -> Output {
    let mut command = Command::new(python_tools().join("python3"));
    command.arg(repository("tests/tools/validate_bag.py")).arg(dir).arg(repository("evidence-schema"));
    if let Some(verification) = verification {
        command.arg("--verification").arg(verification);
    }
    command.output().unwrap()
}

#[test]
fn bagit_py_says_valid() {
    for zip in &practice().bundles {
        let output = bagit(&unpacked(zip).dir);
        assert!(output.status.success() && said(&output).contains("is valid"), "{}", said(&output));
    }
}

#[test]
fn bagit_py_says_invalid_of_one_byte_and_of_one_file_more() {
    let bag = unpacked(&practice().bundles[0]);
    flip(&bag.dir.join(CODE), 100);
    assert!(!bagit(&bag.dir).status.success());
    flip(&bag.dir.join(CODE), 100);
    assert!(bagit(&bag.dir).status.success());
    std::fs::write(bag.dir.join("data/more.json"), "{}").unwrap();
    assert!(!bagit(&bag.dir).status.success());
}

#[test]
fn every_document_of_every_bundle_is_of_its_form() {
    for (zip, verified) in practice().bundles.iter().zip(["acquisition", "containment", "restore"]) {
        let named = format!("verify-{verified}.json");
        let (_, verification) = practice().documents.iter().find(|(_, path)| path.ends_with(&named)).unwrap();
        let output = schemas(&unpacked(zip).dir, Some(verification));
        assert!(output.status.success(), "{}", said(&output));
        println!("{verified}: {}", said(&output).replace('\n', ", "));
    }
}

#[test]
fn a_member_more_is_not_of_the_form() {
    let bag = unpacked(&practice().bundles[0]);
    let items = bag.dir.join("meta/items.jsonl");
    let text = std::fs::read_to_string(&items).unwrap();
    std::fs::write(&items, text.replacen("{\"", "{\"note\":1,\"", 1)).unwrap();
    let output = schemas(&bag.dir, None);
    assert!(!output.status.success() && said(&output).contains("note"), "{}", said(&output));
}

/// The checker in `tests/checker/` knows nothing of freezeframe but the written format.
#[test]
fn a_checker_of_the_written_format_says_what_verify_says() {
    let mut bundles = practice().bundles.to_vec();
    bundles.push(practice().ended["disclose"].1["path"].as_str().unwrap().into());
    let bags: Vec<_> = bundles.iter().map(|zip| unpacked(zip)).collect();
    let changed = [unpacked(&bundles[0]), unpacked(&bundles[1])];
    flip(&changed[0].dir.join(CODE), 100);
    flip(&changed[1].dir.join("data/90-contain/actions.jsonl"), 100);
    let places = bundles.iter().cloned().chain(bags.iter().chain(&changed).map(|b| b.dir.clone()));
    let Some(opinions) = both(&places.map(|p| (p, vec![])).collect::<Vec<_>>()) else { return };
    for (n, (verify, checker)) in opinions.iter().enumerate() {
        assert_eq!(verify, checker, "bundle {n}");
        assert_eq!(verify.code, if n < 8 { 0 } else { 4 }, "bundle {n}: {verify:?}");
    }
}
