//! Bundles that were made once and stay in the repository: whatever changes in the code, evidence sealed by an older build must stay whole.

use crate::support::tools::repository;
use freezeframe::bundle::verify::{Verdict, verify};

#[test]
fn bundles_of_old_stay_whole_and_keep_their_root() {
    let dir = repository("tests/data/bundles/good");
    let mut seen = 0;
    for entry in std::fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "zip") {
            let v = verify(&path).unwrap();
            let root = std::fs::read_to_string(path.with_extension("root")).unwrap();
            assert_eq!(
                (v.verdict(), v.root.map(|r| r.to_string()).as_deref()),
                (Verdict::Whole, Some(root.trim())),
                "{path:?}: {:#?}",
                v.findings
            );
            seen += 1;
        }
    }
    assert!(seen > 0, "no bundle in {dir:?}");
}

/// Makes the bundle that is kept for the present version of the form, where there is none: `FREEZEFRAME_BLESS=1`. Never replaces one.
#[test]
fn the_present_form_has_a_kept_bundle() {
    let zip = repository("tests/data/bundles/good/v1.zip");
    if std::env::var_os("FREEZEFRAME_BLESS").is_some() && !zip.exists() {
        let bag = super::bag::Bag::good();
        std::fs::create_dir_all(zip.parent().unwrap()).unwrap();
        std::fs::write(zip.with_extension("root"), bag.root() + "\n").unwrap();
        std::fs::write(&zip, bag.zip().bytes()).unwrap();
    }
    assert!(zip.exists(), "run with FREEZEFRAME_BLESS=1 once");
}
