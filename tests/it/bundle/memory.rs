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

/// The kernel's own count of a process's peak.
#[cfg(target_os = "linux")]
#[test]
fn two_hundred_megabytes_are_verified_in_a_few() {
    // In a process of its own: other tests share this one's memory.
    if std::env::var_os("FREEZEFRAME_TEST_BIG").is_none() {
        let at = tempfile::tempdir().unwrap();
        let path = at.path().join("big.zip");
        std::fs::write(&path, big(200).zip().bytes()).unwrap();
        let me = std::env::current_exe().unwrap();
        let out = std::process::Command::new(me)
            .args(["--exact", "bundle::memory::two_hundred_megabytes_are_verified_in_a_few", "--nocapture"])
            .env("FREEZEFRAME_TEST_BIG", &path)
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
        return;
    }
    let path = std::env::var_os("FREEZEFRAME_TEST_BIG").unwrap();
    let v = verify(path.as_ref()).unwrap();
    assert_eq!((v.verdict(), v.counts.bytes > 200 << 20), (Verdict::Whole, true), "{:#?}", v.findings);
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak: u64 =
        status.lines().find_map(|l| l.strip_prefix("VmHWM:")).and_then(|l| l.trim().strip_suffix(" kB")).unwrap().trim().parse().unwrap();
    assert!(peak < 40 << 10, "verifying took {peak} kB at its peak");
}
