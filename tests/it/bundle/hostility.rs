//! Random damage: no single byte can change unnoticed, and nothing makes the verifier panic.

use super::bag::{Bag, NAME};
use freezeframe::bundle::verify::{Verdict, verify};
use proptest::prelude::*;
use std::io::Read as _;
use std::sync::LazyLock;

static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| Bag::good().zip().bytes());

fn verdict(bytes: &[u8]) -> Option<Verdict> {
    let at = tempfile::tempdir().unwrap();
    let path = at.path().join(format!("{NAME}.zip"));
    std::fs::write(&path, bytes).unwrap();
    verify(&path).ok().map(|v| v.verdict())
}

/// Offsets of entries' data in the good zip: what the digests cover.
fn data_ranges() -> Vec<std::ops::Range<usize>> {
    let zip = Bag::good().zip();
    let mut at = 0;
    zip.entries
        .iter()
        .map(|e| {
            let start = at + 30 + e.name.len();
            at = start + e.data.len();
            start..at
        })
        .collect()
}

fn inflated(data: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    flate2::read::DeflateDecoder::new(data).read_to_end(&mut out).ok()?;
    Some(out)
}

/// Each document in turn replaced by something else: for whoever wants the same damage in every run.
pub fn garbled() -> Vec<(String, Bag)> {
    let mut all = vec![];
    for path in Bag::good().files.keys() {
        let good = &Bag::good().files[path];
        let noise: [(&str, Vec<u8>); 4] = [
            ("emptied", vec![]),
            ("cut in half", good[..good.len() / 2].to_vec()),
            ("noise", (0..300u32).map(|n| (n * n * 7 + n) as u8).collect()),
            ("an endless nest", vec![b'['; 100_000]),
        ];
        for (how, bytes) in noise {
            let mut bag = Bag::good();
            bag.files.insert(path.clone(), bytes);
            all.push((format!("{path} {how}"), bag));
        }
    }
    all
}

/// One byte of the good zip changed, all along it.
pub fn flipped() -> Vec<(String, Vec<u8>)> {
    (0..120)
        .map(|n| {
            let mut bytes = GOOD.clone();
            let at = n * bytes.len() / 120;
            bytes[at] ^= 0x20;
            (format!("byte {n} of 120"), bytes)
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn no_byte_of_the_content_changes_unnoticed(which in any::<prop::sample::Index>(), where_ in any::<prop::sample::Index>(), bit in 0u8..8) {
        let ranges = data_ranges();
        let range = ranges[which.index(ranges.len())].clone();
        let mut bytes = GOOD.clone();
        bytes[range.start + where_.index(range.len())] ^= 1 << bit;
        // The last bits of a deflate stream may be padding, which carries nothing: then no content changed.
        prop_assume!(inflated(&GOOD[range.clone()]).is_none() || inflated(&bytes[range.clone()]) != inflated(&GOOD[range]));
        prop_assert_ne!(verdict(&bytes), Some(Verdict::Whole));
    }

    #[test]
    fn any_byte_may_change_without_a_panic(at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut bytes = GOOD.clone();
        let at = at.index(bytes.len());
        bytes[at] = to;
        let _ = verdict(&bytes);
    }

    #[test]
    fn a_truncated_zip_is_never_whole(len in any::<prop::sample::Index>()) {
        prop_assert_ne!(verdict(&GOOD[..len.index(GOOD.len())]), Some(Verdict::Whole));
    }

    #[test]
    fn garbage_is_survived(mut noise in prop::collection::vec(any::<u8>(), 0..4000), ending in any::<bool>()) {
        if ending {
            // Garbage with a good end reaches further in.
            noise.extend(&GOOD[GOOD.len() - 22..]);
        }
        prop_assert_ne!(verdict(&noise), Some(Verdict::Whole));
    }

    #[test]
    fn garbage_in_the_directory_is_survived(noise in prop::collection::vec(any::<u8>(), 1..200), at in any::<prop::sample::Index>()) {
        let mut bytes = GOOD.clone();
        let start = data_ranges().last().unwrap().end;
        let at = start + at.index(bytes.len() - start);
        let end = (at + noise.len()).min(bytes.len());
        bytes[at..end].copy_from_slice(&noise[..end - at]);
        let _ = verdict(&bytes);
    }

    #[test]
    fn garbage_documents_are_survived(which in any::<prop::sample::Index>(), noise in prop::collection::vec(any::<u8>(), 0..600)) {
        let mut bag = Bag::good();
        let path = bag.files.keys().nth(which.index(bag.files.len())).unwrap().clone();
        bag.files.insert(path, noise);
        let at = tempfile::tempdir().unwrap();
        bag.write_to(at.path());
        prop_assert_ne!(verify(at.path()).unwrap().verdict(), Verdict::Whole);
    }
}
