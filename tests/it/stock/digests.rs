//! `unzip -t`, Python's zipfile, `sha256sum -c`.

use super::{CODE, flip, practice, said, stock, unpacked};
use crate::support::tools::python_tools;
use std::path::Path;
use std::process::Command;

fn python_zipfile(zip: &Path) -> bool {
    let test = "import sys, zipfile; sys.exit(zipfile.ZipFile(sys.argv[1]).testzip() is not None)";
    Command::new(python_tools().join("python3")).args(["-c", test]).arg(zip).output().unwrap().status.success()
}

/// A copy of the acquisition of which one byte, in the middle of the code, differs.
fn changed_zip(dir: &Path) -> std::path::PathBuf {
    let zip = &practice().bundles[0];
    let code = std::fs::read(unpacked(zip).dir.join(CODE)).unwrap();
    let whole = std::fs::read(zip).unwrap();
    let at = whole.windows(code.len()).position(|w| w == code).expect("what is compressed already is stored as it is");
    let copy = dir.join(zip.file_name().unwrap());
    std::fs::write(&copy, whole).unwrap();
    flip(&copy, at + code.len() / 2);
    copy
}

#[test]
fn the_zips_are_zips() {
    for zip in &practice().bundles {
        assert!(python_zipfile(zip), "{}", zip.display());
        if let Some(mut unzip) = stock("unzip") {
            let output = unzip.arg("-t").arg(zip).output().unwrap();
            assert!(output.status.success() && said(&output).contains("No errors detected"), "{}", said(&output));
        }
    }
}

#[test]
fn a_zip_with_a_changed_byte_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let changed = changed_zip(dir.path());
    assert!(!python_zipfile(&changed));
    if let Some(mut unzip) = stock("unzip") {
        assert!(!unzip.arg("-tqq").arg(&changed).output().unwrap().status.success());
    }
}

#[test]
fn the_digest_beside_each_zip_is_its_own() {
    for zip in &practice().bundles {
        let Some(mut sha256sum) = stock("sha256sum") else { return };
        let beside = zip.with_extension("zip.sha256");
        let output = sha256sum.args(["-c", "--strict"]).arg(&beside).current_dir(&practice().case_dir).output().unwrap();
        assert!(output.status.success() && said(&output).ends_with(".zip: OK\n"), "{}", said(&output));
    }
    let dir = tempfile::tempdir().unwrap();
    let changed = changed_zip(dir.path());
    let beside = practice().bundles[0].with_extension("zip.sha256");
    let Some(mut sha256sum) = stock("sha256sum") else { return };
    assert!(!sha256sum.args(["-c", "--strict"]).arg(beside).current_dir(changed.parent().unwrap()).output().unwrap().status.success());
}

#[test]
fn the_manifests_are_lists_for_sha256sum() {
    let check = |dir: &Path, manifest: &str| {
        let mut sha256sum = stock("sha256sum")?;
        Some(sha256sum.args(["-c", "--strict", "--quiet", manifest]).current_dir(dir).output().unwrap())
    };
    for zip in &practice().bundles {
        let bag = unpacked(zip);
        for manifest in ["manifest-sha256.txt", "tagmanifest-sha256.txt"] {
            let Some(output) = check(&bag.dir, manifest) else { return };
            assert!(output.status.success(), "{}", said(&output));
        }
        // Any file that a manifest lists: one byte of it.
        for (manifest, file) in [("manifest-sha256.txt", "data/00-plan/preflight.json"), ("tagmanifest-sha256.txt", "meta/items.jsonl")] {
            let file = bag.dir.join(file);
            if !file.exists() {
                continue;
            }
            flip(&file, 7);
            let Some(output) = check(&bag.dir, manifest) else { return };
            assert!(!output.status.success() && said(&output).contains("FAILED"), "{}", said(&output));
            flip(&file, 7);
        }
    }
}
