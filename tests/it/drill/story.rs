//! The drill itself, as `cargo drill` plays it.

use crate::support::emulator::{clock, root, seat};
use freezeframe::bundle::documents::BundleKind;
use freezeframe::bundle::verify::{Verdict, verify};
use freezeframe::drill::story::{Options, play};
use std::path::Path;
use std::sync::Mutex;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_claim_of_the_drill_holds() {
    let _seat = seat().await;
    let said = Mutex::new(String::new());
    let say = |line: &str| {
        let mut said = said.lock().unwrap();
        said.push_str(line);
        said.push('\n');
    };
    let program = Path::new(env!("CARGO_BIN_EXE_freezeframe"));
    let told = play(Options { root: &root(), program, keep: false, say: &say }, clock()).await;
    let said = said.into_inner().unwrap();
    let told = told.unwrap_or_else(|e| panic!("{e}\n{said}"));

    assert!(told.failures.is_empty(), "{:#?}\n{said}", told.failures);
    assert!(told.checks >= 16, "only {} checks\n{said}", told.checks);
    let kinds: Vec<BundleKind> = told
        .bundles
        .iter()
        .map(|bundle| {
            let v = verify(bundle).unwrap();
            assert_eq!((v.verdict(), v.gaps.len()), (Verdict::Whole, 0), "{}: {:#?}", bundle.display(), v.findings);
            v.kind.unwrap()
        })
        .collect();
    assert_eq!(kinds, [BundleKind::Acquisition, BundleKind::Containment, BundleKind::Restore]);
    // What was seen to hold is of no use to the next test.
    let place = told.bundles[0].ancestors().nth(3).unwrap();
    assert_eq!(place.parent().map(|p| p.canonicalize().unwrap()), Some(root().canonicalize().unwrap()));
    std::fs::remove_dir_all(place).unwrap();
}
