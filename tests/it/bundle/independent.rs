//! The hand-made bag, judged by programs that know nothing of freezeframe: they must agree with our verifier, for good and for bad.

use super::bag::{Bag, CONFIG, NAME, Parts, STATEMENT};
use crate::support::tools::{python_tools, repository};
use freezeframe::bundle::verify::verify;
use serde_json::json;
use std::path::Path;
use std::process::{Command, Output};

fn bagit(dir: &Path) -> Output {
    Command::new(python_tools().join("bagit.py")).arg("--validate").arg(dir).output().unwrap()
}

fn schemas(dir: &Path, more: &[&Path]) -> Output {
    let mut command = Command::new(python_tools().join("python3"));
    command.arg(repository("tests/tools/validate_bag.py")).arg(dir).arg(repository("evidence-schema"));
    for m in more {
        command.arg("--verification").arg(m);
    }
    command.output().unwrap()
}

fn written(bag: &Bag) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    bag.write_to(dir.path());
    dir
}

#[test]
fn bagit_py_agrees() {
    let good = bagit(written(&Bag::good()).path());
    assert!(good.status.success(), "{good:?}");
    let damage: [fn(&mut Bag); 4] = [
        |b| b.files.get_mut(CONFIG).unwrap()[3] ^= 1,
        |b| drop(b.files.remove(CONFIG)),
        |b| drop(b.files.insert("data/extra".into(), vec![])),
        |b| b.edit("meta/coverage.json", |t| t + " "),
    ];
    for change in damage {
        let mut bag = Bag::good();
        change(&mut bag);
        let bad = written(&bag);
        assert!(!bagit(bad.path()).status.success());
        assert!(verify(bad.path()).unwrap().errors().next().is_some());
    }
}

#[test]
fn sha256sum_and_unzip_agree() {
    let dir = written(&Bag::good());
    for manifest in ["manifest-sha256.txt", "tagmanifest-sha256.txt"] {
        let out = Command::new("sha256sum").args(["-c", "--strict", "--quiet", manifest]).current_dir(dir.path()).output().unwrap();
        assert!(out.status.success(), "{out:?}");
    }
    let zip = dir.path().join(format!("{NAME}.zip"));
    std::fs::write(&zip, Bag::good().zip().bytes()).unwrap();
    let out = Command::new("unzip").arg("-tqq").arg(&zip).output().unwrap();
    assert!(out.status.success(), "{out:?}");
}

#[test]
fn an_independent_validator_agrees_with_the_schemas() {
    let good = written(&Bag::good());
    let verification = tempfile::NamedTempFile::new().unwrap();
    serde_json::to_writer(&verification, &verify(good.path()).unwrap()).unwrap();
    let out = schemas(good.path(), &[verification.path()]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));

    // A finding and a gap in it too.
    let mut broken = Bag::good();
    broken.edit("meta/README.txt", |t| t + "x");
    serde_json::to_writer(verification.reopen().unwrap(), &verify(written(&broken).path()).unwrap()).unwrap();
    let out = schemas(good.path(), &[verification.path()]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
}

#[test]
fn a_member_that_no_schema_names_is_refused_everywhere() {
    type Change = (&'static str, fn(&mut Parts));
    let changes: [Change; 6] = [
        ("item", |p| p.items[0]["note"] = json!("x")),
        ("file of an item", |p| p.items[0]["files"][0]["note"] = json!("x")),
        ("journal line", |p| p.journal[0][1]["note"] = json!("x")),
        ("coverage", |p| p.coverage["planned"][0]["note"] = json!("x")),
        ("exchange", |p| p.exchanges.values_mut().next().unwrap()["note"] = json!("x")),
        ("statement", |p| p.predicate["target"]["note"] = json!("x")),
    ];
    for (what, change) in changes {
        let mut parts = Parts::good();
        change(&mut parts);
        let dir = written(&parts.seal());
        let out = schemas(dir.path(), &[]);
        assert_eq!(out.status.code(), Some(1), "{what}: {}", String::from_utf8_lossy(&out.stdout));
        let v = verify(dir.path()).unwrap();
        assert!(v.errors().any(|f| f.check == "schema"), "{what}: the verifier must refuse what the schema refuses: {:?}", v.findings);
    }
    let mut no_statement = Bag::good();
    no_statement.files.remove(STATEMENT);
    assert!(!schemas(written(&no_statement).path(), &[]).status.success());
}
