//! `key`, and `verify --key`.

use super::Terminal;
use crate::bundle::bag::NAME;
use crate::bundle::signed::signed;
use serde_json::Value;

fn document(terminal: &Terminal, args: &[&str]) -> (i32, Value, String) {
    let output = terminal.run(&[args, &["--json"]].concat());
    let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{args:?}: {e}: {output:?}"));
    (output.status.code().unwrap(), document, String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_key_is_made_once_shown_and_never_printed() {
    let terminal = Terminal::new();
    let (code, made, stderr) = document(&terminal, &["key", "new"]);
    assert_eq!(code, 0, "{stderr}");
    let path = terminal.path().join(".config/freezeframe/sign-key.pem");
    assert_eq!(made["path"], path.to_str().unwrap());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |p: &std::path::Path| std::fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    }
    let secret = std::fs::read_to_string(&path).unwrap();
    let line = secret.lines().nth(1).unwrap();
    let (_, shown, _) = document(&terminal, &["key", "show"]);
    assert_eq!((&shown["fingerprint"], &shown["public_key"]), (&made["fingerprint"], &made["public_key"]));
    assert!(!made.to_string().contains(line) && !stderr.contains(line));
    let text = terminal.transcript(&["key", "show"]);
    assert!(text.contains("-----BEGIN PUBLIC KEY-----") && text.contains(made["fingerprint"].as_str().unwrap()) && !text.contains(line));

    let (code, again, _) = document(&terminal, &["key", "new"]);
    assert_eq!((code, std::fs::read_to_string(&path).unwrap()), (1, secret));
    assert!(again["hints"].to_string().contains("--out"), "{again:#}");
    let (code, other, _) = document(&terminal, &["key", "new", "--out", "mine.pem"]);
    assert_ne!((code, &other["fingerprint"]), (0, &made["fingerprint"]));
    // What is given to others: the public half, from a file of its own.
    std::fs::write(terminal.path().join("public.pem"), other["public_key"].as_str().unwrap()).unwrap();
    assert_eq!(document(&terminal, &["key", "show", "public.pem"]).1["fingerprint"], other["fingerprint"]);
}

#[test]
fn openssl_reads_the_key_and_sees_the_same_fingerprint() {
    let Some(mut openssl) = crate::stock::stock("openssl") else { return };
    let terminal = Terminal::new();
    let (_, made, _) = document(&terminal, &["key", "new", "--out", "k.pem"]);
    let der = openssl.args(["pkey", "-in", "k.pem", "-pubout", "-outform", "DER"]).current_dir(terminal.path()).output().unwrap();
    assert!(der.status.success(), "{der:?}");
    assert_eq!(made["fingerprint"], crate::bundle::bag::sha(&der.stdout));
}

#[test]
fn a_key_that_is_none_or_lies_open_is_refused() {
    let terminal = Terminal::new();
    std::fs::write(terminal.path().join("nonsense.pem"), "nonsense").unwrap();
    for (args, code, hint) in [
        (&["key", "show"][..], 1, "freezeframe key new"),
        (&["key", "show", "nonsense.pem"], 1, "openssl"),
        (&["verify", "x.zip", "--key", "nonsense.pem"], 2, "64 hexadecimal digits"),
        (&["verify", "x.zip", "--key", "abc"], 2, "64 hexadecimal digits"),
    ] {
        let (ended, error, _) = document(&terminal, args);
        assert_eq!(ended, code, "{args:?}: {error:#}");
        assert!(error["hints"].to_string().contains(hint), "{args:?}: {error:#}");
    }
    let (ended, error, _) = document(&terminal, &["snapshot", "f", "--case", "c", "--kms-key", "alias/seal"]);
    assert!(ended == 2 && error["error"].to_string().contains("an alias can be pointed elsewhere"), "{error:#}");
}

#[test]
fn verify_demands_a_key() {
    let terminal = Terminal::new();
    let bag = signed(|_| {});
    std::fs::write(terminal.path().join(format!("{NAME}.zip")), bag.zip().bytes()).unwrap();
    let zip = format!("{NAME}.zip");
    let (code, v, _) = document(&terminal, &["verify", &zip]);
    assert_eq!((code, v["signatures"].as_array().unwrap().len()), (0, 2));
    let id = v["signatures"][0]["key"].as_str().unwrap();
    assert!(v["findings"].to_string().contains("which you must compare"), "{v:#}");
    std::fs::write(terminal.path().join("theirs.pem"), &bag.files["seal/kms-public.pem"]).unwrap();
    let (code, v, _) = document(&terminal, &["verify", &zip, "--key", id, "--key", "theirs.pem"]);
    assert_eq!((code, v["findings"].as_array().unwrap().len()), (0, 0), "{v:#}");
    let (code, v, _) = document(&terminal, &["verify", &zip, "--key", &"0".repeat(64)]);
    let checks: Vec<&str> =
        v["findings"].as_array().unwrap().iter().filter(|f| f["level"] == "error").map(|f| f["check"].as_str().unwrap()).collect();
    assert_eq!((code, v["verdict"].as_str(), &checks[..]), (4, Some("broken"), &["key"][..]), "{v:#}");
}
