//! Sealed originals and disclosed copies, as other people's programs see them: a reader of age files that shares no code with ours
//! (`tests/checker/open_age.mjs`, on Node's own cryptography), `age` itself where it is installed, openssl, sha256sum, bagit.py.

use super::{practice, said, stock, unpacked};
use crate::support::tools::{python_tools, repository};
use freezeframe::drill::incident::names::SECRET_VARIABLES;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The identity that the case got, since nobody was named.
fn identity() -> PathBuf {
    practice().case_dir.with_extension("identity")
}

fn redactions(bag: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(bag.join("meta/redactions.jsonl")).unwrap();
    text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

/// What these words print, with the identity and a sealed file behind them.
fn opened(words: &[&str], sealed: &Path) -> Vec<u8> {
    let output = Command::new(words[0]).args(&words[1..]).arg(identity()).arg(sealed).output().unwrap();
    assert!(output.status.success(), "{words:?} {}: {}", sealed.display(), said(&output));
    output.stdout
}

fn each_original_opens(words: &[&str]) {
    let bag = unpacked(&practice().bundles[0]);
    let all = redactions(&bag.dir);
    assert!(all.len() > 5, "{} originals", all.len());
    for line in &all {
        let ours = practice().originals.join(line["twin"]["path"].as_str().unwrap());
        let theirs = opened(words, &bag.dir.join(line["sealed"]["path"].as_str().unwrap()));
        assert!(theirs == std::fs::read(&ours).unwrap(), "{}", ours.display());
    }
}

#[test]
fn a_reader_of_age_files_that_is_not_ours_opens_each_original() {
    let script = repository("tests/checker/open_age.mjs");
    each_original_opens(&["node", script.to_str().unwrap()]);
}

#[test]
fn age_opens_each_original() {
    if stock("age").is_some() {
        each_original_opens(&["age", "-d", "-i"]);
    }
}

#[test]
fn a_leaked_value_is_shown_to_be_the_redacted_one_by_openssl_and_by_us() {
    let (code, told, stderr) = &practice().ended["unseal --prove"];
    assert_eq!(*code, 0, "{stderr}");
    let place = &told["places"][0];
    let (name, value) = SECRET_VARIABLES[0];
    assert!(place["at"].as_str().unwrap().ends_with(&format!("/Environment/Variables/{name}")), "{told:#}");
    if stock("openssl").is_none() {
        return;
    }
    let bag = unpacked(&practice().bundles[0]);
    let script = repository("tests/checker/open_age.mjs");
    let key = opened(&["node", script.to_str().unwrap()], &bag.dir.join("data/sealed/commitment-key.age"));
    let key = String::from_utf8(key).unwrap();
    let leaked = bag.dir.join("leaked");
    std::fs::write(&leaked, value).unwrap();
    let mut openssl = Command::new("openssl");
    openssl.args(["dgst", "-sha256", "-mac", "HMAC", "-macopt", &format!("hexkey:{}", key.trim())]).arg(&leaked);
    let output = openssl.output().unwrap();
    let commit = said(&output).trim().rsplit(' ').next().unwrap().to_string();
    let twin: Value = serde_json::from_slice(&std::fs::read(bag.dir.join(place["path"].as_str().unwrap())).unwrap()).unwrap();
    let redaction = twin.pointer(place["at"].as_str().unwrap()).unwrap();
    assert_eq!(redaction["commit"], format!("hmac-sha256:{commit}"), "{redaction}");
    assert_eq!(redaction["len"], value.len());
}

#[test]
fn no_secret_lies_in_clear_in_the_bundle_or_in_its_copy() {
    let copy = PathBuf::from(practice().ended["disclose"].1["path"].as_str().unwrap());
    for zip in [&practice().bundles[0], &practice().bundles[1], &practice().bundles[2], &copy] {
        let bag = unpacked(zip);
        let mut looked_at = 0;
        let mut dirs = vec![bag.dir.clone()];
        while let Some(dir) = dirs.pop() {
            for path in std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()) {
                if path.is_dir() {
                    dirs.push(path);
                    continue;
                }
                // What the function printed is evidence as it stands.
                if path.to_string_lossy().contains("/data/60-invocation/") {
                    continue;
                }
                looked_at += 1;
                let bytes = std::fs::read(&path).unwrap();
                for secret in SECRET_VARIABLES.iter().map(|(_, v)| *v).chain(["X-Amz-Signature="]) {
                    assert!(!bytes.windows(secret.len()).any(|w| w == secret.as_bytes()), "{} holds {}…", path.display(), &secret[..8]);
                }
            }
        }
        assert!(looked_at > 20, "{looked_at}");
    }
}

#[test]
fn a_disclosed_copy_stands_by_itself_before_stock_programs() {
    let told = &practice().ended["disclose"].1;
    let bag = unpacked(Path::new(told["path"].as_str().unwrap()));
    assert!(!bag.dir.join("data/sealed").exists());
    let bagit = Command::new(python_tools().join("bagit.py")).arg("--validate").arg(&bag.dir).output().unwrap();
    assert!(bagit.status.success() && said(&bagit).contains("is valid"), "{}", said(&bagit));
    let info = std::fs::read_to_string(bag.dir.join("bag-info.txt")).unwrap();
    assert!(info.contains(&format!("Source-Bag-Digest: {}\n", told["source_root"].as_str().unwrap())), "{info}");
    if stock("sha256sum").is_none() {
        return;
    }
    // The source's own manifest: everything that is there is as it was; what is missing is sealed.
    let mut sum = Command::new("sha256sum");
    sum.args(["-c", "--strict", "--quiet", "--ignore-missing", "meta/source/manifest-sha256.txt"]).current_dir(&bag.dir);
    let output = sum.output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let root = Command::new("sha256sum").arg("meta/source/tagmanifest-sha256.txt").current_dir(&bag.dir).output().unwrap();
    assert!(said(&root).starts_with(told["source_root"].as_str().unwrap()), "{}", said(&root));
}

#[test]
fn what_was_opened_and_disclosed_stands_in_custody() {
    let (_, told, _) = &practice().ended["custody acquisition"];
    let said: Vec<&str> = told["case_chain"].as_array().unwrap().iter().filter_map(|e| e["what"].as_str()).collect();
    for wanted in ["opened", "to compare them", "without sealed originals"] {
        assert!(said.iter().any(|s| s.contains(wanted)), "{wanted}: {said:#?}");
    }
    let (code, _, stderr) = &practice().ended["unseal into a directory that is there"];
    assert!(*code == 2 && stderr.contains("exists already"), "{stderr}");
}
