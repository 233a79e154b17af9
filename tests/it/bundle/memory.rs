//! Verifying must not take memory with the size of the evidence.

use super::bag::{Bag, FUNCTION_ZIP, Parts, sha, sha_base64};
use freezeframe::bundle::verify::{Verdict, verify};
use serde_json::json;

/// A bag with a code package of `megabytes`, hard to compress.
fn big(megabytes: usize) -> Bag {
    let mut parts = Parts::good();
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let code: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
    .take(megabytes << 17)
    .flatten()
    .collect();
    let digest = json!(sha(&code));
    let x = parts.exchanges.get_mut("data/10-code/000002-Get.http.json").unwrap();
    (x["body_sha256"], x["body_bytes"]) = (digest.clone(), json!(code.len()));
    parts.items[1]["files"][0] = json!({"path": FUNCTION_ZIP, "bytes": code.len(), "sha256": digest});
    parts.items[1]["provider_digest"]["value"] = json!(sha_base64(&code));
    parts.journal[0][3]["sha256"] = digest;
    parts.payload.insert(FUNCTION_ZIP.into(), code);
    parts.seal()
}

/// The kernel's own count of this process's peak, in kB.
#[cfg(target_os = "linux")]
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status.lines().find_map(|l| l.strip_prefix("VmHWM:")).and_then(|l| l.trim().strip_suffix(" kB")).unwrap().trim().parse().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn two_hundred_megabytes_are_verified_in_a_few() {
    // In a process of its own: other tests share this one's memory.
    if std::env::var_os("FREEZEFRAME_TEST_BIG").is_none() {
        let at = tempfile::tempdir().unwrap();
        for megabytes in [2, 200] {
            std::fs::write(at.path().join(format!("{megabytes}.zip")), big(megabytes).zip().bytes()).unwrap();
        }
        let me = std::env::current_exe().unwrap();
        let out = std::process::Command::new(me)
            .args(["--exact", "bundle::memory::two_hundred_megabytes_are_verified_in_a_few", "--nocapture"])
            .env("FREEZEFRAME_TEST_BIG", at.path())
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
        return;
    }
    let at = std::path::PathBuf::from(std::env::var_os("FREEZEFRAME_TEST_BIG").unwrap());
    let verified = |megabytes: u64| {
        let v = verify(&at.join(format!("{megabytes}.zip"))).unwrap();
        assert_eq!((v.verdict(), v.counts.bytes > megabytes << 20), (Verdict::Whole, true), "{:#?}", v.findings);
        peak()
    };
    // The first brings the program's own pages into memory, of which a test's binary has a great many.
    let (small, large) = (verified(2), verified(200));
    assert!(large < small + (16 << 10), "verifying a hundred times as much took {large} kB at its peak instead of {small} kB");
}
