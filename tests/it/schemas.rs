//! The committed schemas are what the types generate. `FREEZEFRAME_BLESS=1` rewrites them.

use std::path::Path;

#[test]
fn committed_schemas_equal_the_types() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("evidence-schema");
    let bless = std::env::var_os("FREEZEFRAME_BLESS").is_some();
    let mut expected: Vec<String> = vec!["README.md".into()];
    for (name, text) in freezeframe::bundle::schemas::all().into_iter().chain(freezeframe::cli::schemas::all()) {
        expected.push(name.to_string());
        let path = dir.join(name);
        if bless {
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == text, "{name} is not what the types generate; look at what changed, then run with FREEZEFRAME_BLESS=1");
    }
    let mut found: Vec<String> = std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    expected.sort();
    found.sort();
    assert_eq!(found, expected, "evidence-schema/ holds what the types generate, and nothing else");
    let readme = std::fs::read_to_string(dir.join("README.md")).unwrap();
    for name in expected.iter().filter(|n| n.ends_with(".json")) {
        assert!(readme.contains(name.as_str()), "the README does not mention {name}");
    }
}
