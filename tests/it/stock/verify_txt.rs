//! The commands of the bundle's own `meta/VERIFY.txt`, given to bash as they stand there.

use super::{CODE, flip, practice, said, stock, unpacked};
use crate::support::tools::python_tools;
use std::io::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};

/// `bash -euo pipefail` with this on standard input, in `dir`.
fn paste(text: &str, dir: &Path) -> Output {
    let path =
        std::env::join_paths([python_tools().to_path_buf()].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())));
    let mut bash = std::process::Command::new("bash")
        .args(["-euo", "pipefail"])
        .current_dir(dir)
        .env("PATH", path.unwrap())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    bash.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    bash.wait_with_output().unwrap()
}

/// The numbered parts, without those that need a program that is not here.
fn parts(text: &str) -> Vec<&str> {
    let here = |part: &str| {
        ["jq", "openssl", "sha256sum"].iter().all(|program| {
            let needed = part.lines().any(|l| !l.starts_with('#') && l.contains(program));
            !needed || stock(program).is_some() || {
                println!("SKIPPED: part {} of VERIFY.txt", part.trim_start().lines().next().unwrap_or_default());
                false
            }
        })
    };
    text.split("\n\n").filter(|p| p.trim_start().starts_with("# ") && p.contains('\n')).skip(1).filter(|p| here(p)).collect()
}

fn text_of(bag: &Path) -> String {
    std::fs::read_to_string(bag.join("meta/VERIFY.txt")).unwrap()
}

#[test]
fn pasted_as_it_stands_from_the_zip_on() {
    if ["jq", "openssl", "sha256sum", "unzip"].iter().any(|p| stock(p).is_none()) {
        return;
    }
    for (zip, code) in practice().bundles.iter().zip([true, false, false]) {
        let text = text_of(&unpacked(zip).dir);
        // The commands for the zip stand in the comment at the top: somebody who reads them there has not unpacked it yet.
        let first: Vec<&str> = text.lines().take_while(|l| l.starts_with('#')).filter_map(|l| l.strip_prefix("#   ")).collect();
        assert_eq!(first.len(), 2, "{text}");
        let place = tempfile::tempdir().unwrap();
        for file in [zip.clone(), zip.with_extension("zip.sha256")] {
            std::fs::copy(&file, place.path().join(file.file_name().unwrap())).unwrap();
        }
        let ca = practice().authority.as_ref().map(|a| format!("export TSA_CA={}\n", a.ca().display()));
        let output = paste(&format!("{}{}\n{text}", ca.unwrap_or_default(), first.join("\n")), place.path());
        let told = said(&output);
        assert!(output.status.success(), "{told}");
        for word in ["content-ok", "root-ok", "chain-ok", "is valid"] {
            assert!(told.contains(word), "{word}: {told}");
        }
        assert_eq!(told.contains(&format!("code-ok {CODE}")), code, "{told}");
        let [local, kms] = &practice().keys;
        assert!(told.contains("statement-ok") && told.contains(&format!("signature-ok {local}")), "{told}");
        // The KMS key was asked for the acquisition alone.
        assert_eq!(told.contains(&format!("signature-ok {kms}")), code, "{told}");
        // And stamped, which openssl checks with the certificate of the authority's CA.
        assert_eq!(told.contains("time-ok"), code && practice().authority.is_some(), "{told}");
        for word in ["DIFFERS", "BROKEN", "ELSEWHERE", "WRONG"] {
            assert!(!told.contains(word), "{told}");
        }
    }
}

#[test]
fn each_part_by_itself_and_each_fails_for_its_own_reason() {
    let bag = unpacked(&practice().bundles[0]);
    let at = |path: &str| bag.dir.join(path);
    let text = text_of(&bag.dir);
    let parts = parts(&text);
    for part in &parts {
        let output = paste(part, &bag.dir);
        assert!(output.status.success(), "{part}\n{}", said(&output));
    }
    assert!(!parts.is_empty());
    let fails = |number: u32, word: &str| {
        let Some(part) = parts.iter().find(|p| p.trim_start().starts_with(&format!("# {number}."))) else { return };
        let output = paste(part, &bag.dir);
        assert!(!output.status.success(), "part {number} lets it pass: {}", said(&output));
        assert!(said(&output).contains(word), "part {number}: {}", said(&output));
    };
    flip(&at("data/00-plan/plan.json"), 9);
    fails(1, "CONTENT DIFFERS");
    fails(2, "is invalid");
    flip(&at("data/00-plan/plan.json"), 9);

    std::fs::write(at("data/more"), "").unwrap();
    fails(2, "is invalid");
    std::fs::remove_file(at("data/more")).unwrap();

    let statement = std::fs::read_to_string(at("seal/statement.json")).unwrap();
    let root = statement.find("\"sha256\":").unwrap() + 14;
    flip(&at("seal/statement.json"), root);
    fails(3, "ROOT DIFFERS");
    flip(&at("seal/statement.json"), root);

    // In a line's text, not in its form, so that only the chain can tell.
    let journal = std::fs::read_to_string(at("meta/journal/000001.jsonl")).unwrap();
    flip(&at("meta/journal/000001.jsonl"), journal.find("freezeframe").unwrap());
    fails(4, "CHAIN");
    flip(&at("meta/journal/000001.jsonl"), journal.find("freezeframe").unwrap());
    let last = journal.trim_end().rfind("\"seq\"").unwrap();
    std::fs::write(at("meta/journal/000001.jsonl"), &journal[..journal[..last].rfind('\n').unwrap() + 1]).unwrap();
    fails(4, "CHAIN ENDS ELSEWHERE");
    std::fs::write(at("meta/journal/000001.jsonl"), &journal).unwrap();

    // Of the envelope: a letter inside the payload, and one inside the last signature. Another letter of base64, so that it stays base64.
    let envelope = std::fs::read_to_string(at("seal/statement.dsse.json")).unwrap();
    let respell = |place: usize| {
        let letter = if envelope.as_bytes()[place] == b'A' { "B" } else { "A" };
        let mut other = envelope.clone();
        other.replace_range(place..=place, letter);
        std::fs::write(at("seal/statement.dsse.json"), other).unwrap();
    };
    respell(envelope.find("payload\":\"").unwrap() + 60);
    fails(7, "STATEMENT DIFFERS");
    respell(envelope.rfind("\"sig\":\"").unwrap() + 40);
    fails(7, "SIGNATURE WRONG");
    std::fs::write(at("seal/statement.dsse.json"), &envelope).unwrap();

    if let (Some(authority), Some(part)) = (&practice().authority, parts.iter().find(|p| p.trim_start().starts_with("# 8."))) {
        let trusting = |ca: &Path| paste(&format!("export TSA_CA={}\n{part}", ca.display()), &bag.dir);
        assert!(said(&trusting(&authority.ca())).contains("time-ok"));
        let another = crate::support::tsa::Authority::new().unwrap();
        assert!(said(&trusting(&another.ca())).contains("TIME WRONG"), "another authority's certificate");
        // Another signature under the same stamp.
        respell(envelope.find("\"sig\":\"").unwrap() + 40);
        assert!(said(&trusting(&authority.ca())).contains("TIME WRONG"));
        std::fs::write(at("seal/statement.dsse.json"), &envelope).unwrap();
    }

    flip(&at(CODE), 40);
    fails(6, "CODE DIFFERS");
    flip(&at(CODE), 40);
    for part in &parts {
        assert!(paste(part, &bag.dir).status.success(), "everything is as it was");
    }
}

#[test]
fn in_a_shell_that_goes_on_a_failure_is_said_in_capitals() {
    let bag = unpacked(&practice().bundles[0]);
    flip(&bag.dir.join("data/00-plan/plan.json"), 9);
    let text = text_of(&bag.dir);
    let parts = parts(&text);
    let Some(first) = parts.iter().find(|p| p.trim_start().starts_with("# 1.")) else { return };
    let output = paste(&format!("set +e\n{first}\necho still here"), &bag.dir);
    assert!(
        output.status.success() && said(&output).contains("CONTENT DIFFERS") && said(&output).contains("still here"),
        "{}",
        said(&output)
    );
}
