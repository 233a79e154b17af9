//! Every dependency's licence is on the list, and the list is the one that `deny.toml` shows to `cargo deny`. Read from `cargo metadata`, so
//! that it holds where only the sources are at hand; advisories need their database and stay with cargo-deny.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

/// Licence → why it may be here.
const ALLOWED: &[(&str, &str)] = &[
    ("Apache-2.0", "ours too"),
    ("MIT", "keep the notice"),
    ("BSD-3-Clause", "keep the notice, do not advertise with the authors"),
    ("ISC", "keep the notice"),
    ("Unicode-3.0", "Unicode's data tables; keep the notice"),
    ("Zlib", "do not claim to have written it"),
];

/// The packages that are built here, as `cargo metadata` gives them, our own included. Those of other platforms are left out, because their
/// sources need not be at hand; `cargo deny` sees them all.
pub fn metadata() -> &'static [Value] {
    static PACKAGES: OnceLock<Vec<Value>> = OnceLock::new();
    PACKAGES.get_or_init(|| {
        let version = Command::new(env!("CARGO")).arg("-vV").output().unwrap();
        let version = String::from_utf8(version.stdout).unwrap();
        let host = version.lines().find_map(|l| l.strip_prefix("host: ")).expect("cargo names its host");
        let out = Command::new(env!("CARGO"))
            .args(["metadata", "--offline", "--locked", "--format-version", "1", "--filter-platform", host, "--manifest-path"])
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let all: Value = serde_json::from_slice(&out.stdout).unwrap();
        all["packages"].as_array().unwrap().clone()
    })
}

/// Whether `AND`, `OR` and brackets of an SPDX expression can be met with what is allowed.
fn met(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    // `MIT/Apache-2.0` is the old way of writing OR.
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let ok = either(&tokens, &mut at, allowed);
    assert_eq!(at, tokens.len(), "not an SPDX expression: {expression}");
    ok
}
fn either(tokens: &[&str], at: &mut usize, allowed: &BTreeSet<&str>) -> bool {
    let mut ok = both(tokens, at, allowed);
    while tokens.get(*at) == Some(&"OR") {
        *at += 1;
        ok |= both(tokens, at, allowed);
    }
    ok
}
fn both(tokens: &[&str], at: &mut usize, allowed: &BTreeSet<&str>) -> bool {
    let mut ok = one(tokens, at, allowed);
    while tokens.get(*at) == Some(&"AND") {
        *at += 1;
        ok &= one(tokens, at, allowed);
    }
    ok
}
fn one(tokens: &[&str], at: &mut usize, allowed: &BTreeSet<&str>) -> bool {
    let token = tokens.get(*at).copied().unwrap_or("");
    *at += 1;
    if token == "(" {
        let ok = either(tokens, at, allowed);
        *at += 1;
        return ok;
    }
    if tokens.get(*at) == Some(&"WITH") {
        let exception = tokens.get(*at + 1).copied().unwrap_or("");
        *at += 2;
        return allowed.contains(format!("{token} WITH {exception}").as_str());
    }
    allowed.contains(token)
}

#[test]
fn every_licence_is_on_the_list_and_every_listed_licence_is_needed() {
    let allowed: BTreeSet<&str> = ALLOWED.iter().map(|(name, _)| *name).collect();
    let mut by_licence: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in metadata() {
        let name = format!("{} {}", package["name"].as_str().unwrap(), package["version"].as_str().unwrap());
        let licence = package["license"].as_str().unwrap_or("none stated").to_string();
        by_licence.entry(licence).or_default().push(name);
    }
    assert!(by_licence.values().map(Vec::len).sum::<usize>() > 200, "metadata went missing");
    let mut wrong = String::new();
    for (licence, packages) in &by_licence {
        if !met(licence, &allowed) {
            wrong += &format!("{licence}: {}\n", packages.join(", "));
        }
    }
    assert!(wrong.is_empty(), "not on the list in tests/it/licences.rs and deny.toml:\n{wrong}");
    for (name, _) in ALLOWED {
        let mut without = allowed.clone();
        without.remove(name);
        let needed = by_licence.keys().any(|l| !met(l, &without));
        assert!(needed, "no dependency is under {name}: take it off the list");
    }
}

#[test]
fn deny_toml_holds_the_same_list() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deny.toml")).unwrap();
    let list = text.split("allow = [").nth(1).and_then(|rest| rest.split(']').next()).unwrap();
    let listed: BTreeSet<&str> = list.lines().filter_map(|l| l.trim().trim_end_matches(',').strip_prefix('"')?.strip_suffix('"')).collect();
    assert_eq!(listed, ALLOWED.iter().map(|(name, _)| *name).collect());
}

#[test]
fn expressions_are_read_as_spdx_means_them() {
    let allowed = BTreeSet::from(["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"]);
    for (expression, ok) in [
        ("MIT", true),
        ("GPL-3.0-only", false),
        ("GPL-3.0-only OR MIT", true),
        ("GPL-3.0-only AND MIT", false),
        ("ISC AND (GPL-3.0-only OR MIT)", true),
        ("MIT OR GPL-3.0-only AND GPL-2.0-only", true),
        ("MIT/Apache-2.0", true),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("Apache-2.0", false),
        ("none stated".split(' ').next().unwrap(), false),
    ] {
        assert_eq!(met(expression, &allowed), ok, "{expression}");
    }
}
