use super::*;
use std::collections::BTreeMap;

/// Package → how many hashes, read the way pip reads the list.
fn pins() -> BTreeMap<String, usize> {
    let joined = install::REQUIREMENTS.replace("\\\n", " ");
    let lines = joined.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let mut words = line.split_whitespace();
            let pin = words.next().unwrap_or_default().to_owned();
            let hashes = words
                .map(|word| word.strip_prefix("--hash=sha256:").unwrap_or_else(|| panic!("{word} in {line}")))
                .inspect(|hash| assert!(hash.len() == 64 && hash.chars().all(|c| c.is_ascii_hexdigit()), "{hash}"));
            (pin, hashes.count())
        })
        .collect()
}

#[test]
fn every_package_is_pinned_to_one_version_and_has_hashes() {
    let pins = pins();
    for (pin, hashes) in &pins {
        let (name, version) = pin.split_once("==").unwrap_or_else(|| panic!("{pin} is not pinned"));
        assert!(!name.is_empty() && version.chars().all(|c| c.is_ascii_alphanumeric() || c == '.'), "{pin}");
        assert!(*hashes > 0, "{pin} has no hash");
    }
    for wanted in ["ministack==1.5.33", "cryptography==45.0.7", "cbor2==5.9.0"] {
        assert!(pins.contains_key(wanted), "{wanted} is missing");
    }
    // Compiled ones need a wheel per platform and Python, or the list serves this machine alone.
    for (compiled, at_least) in [("cryptography", 20), ("cbor2", 20), ("cffi", 40), ("pyyaml", 40)] {
        let (pin, hashes) = pins.iter().find(|(pin, _)| pin.starts_with(compiled)).unwrap();
        assert!(*hashes >= at_least, "{pin} has {hashes} hashes");
    }
}

#[test]
fn a_tail_is_short_and_clean() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let lines: Vec<String> = (0..50).map(|n| format!("line {n}\x1b[31m\n")).collect();
    write(&log, lines.concat().as_bytes(), 0o644).unwrap();
    assert_eq!(tail(&log).lines().count(), 6);
    assert!(tail(&log).ends_with("line 49[31m"), "{:?}", tail(&log));
    assert_eq!(tail(&dir.path().join("missing")), "");
}

#[test]
fn keys_are_not_shown() {
    let keys = Keys { access_key_id: "AKIAEXAMPLE".into(), secret_access_key: "hush".into(), session_token: Some("hush too".into()) };
    assert_eq!(format!("{keys:?}"), r#"Keys { access_key_id: "AKIAEXAMPLE", .. }"#);
}

#[test]
fn a_kept_emulator_is_remembered_privately() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    assert!(kept::load(dir.path()).unwrap().is_none());
    let keys = Keys { access_key_id: "A".into(), secret_access_key: "b".into(), session_token: None };
    let one = kept::Kept {
        pid: 1,
        endpoint: "http://127.0.0.1:1".into(),
        cloudtrail_endpoint: "http://127.0.0.1:1".into(),
        account: ACCOUNT.into(),
        region: REGION.into(),
        root: keys.clone(),
        log: dir.path().join("emulator.log"),
        token: "t".into(),
        about: serde_json::json!({"case": "IR-1"}),
    };
    let path = kept::save(dir.path(), &one).unwrap();
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    let back = kept::load(dir.path()).unwrap().unwrap();
    assert_eq!((back.root, back.about), (keys, one.about));
}
