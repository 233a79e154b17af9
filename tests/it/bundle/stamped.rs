//! Timestamps, made by openssl over the signatures of hand-made bundles.

use super::bag::{Bag, Parts};
use super::broken::{Expected, fired};
use super::signed::{ENVELOPE, signed};
use crate::support::tsa::Authority;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{Duration, SecondsFormat, Utc};
use freezeframe::bundle::verify::{Level, Verdict, Verification, verify};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

const TSR: &str = "seal/root.tsr";
const SEALING: &str = "seal/sealing.json";
const URL: &str = "http://tsa.example.com/tsr";

fn signature(bag: &Bag) -> Vec<u8> {
    let envelope: Value = serde_json::from_slice(&bag.files[ENVELOPE]).unwrap();
    STANDARD.decode(envelope["signatures"][0]["sig"].as_str().unwrap()).unwrap()
}

/// Sealed so long ago, and stamped now.
fn stamped(authority: &Arc<Authority>, ago: Duration, change: impl FnOnce(&mut Parts)) -> Bag {
    let mut bag = signed(|p| {
        p.predicate["sealed"] = json!((Utc::now() - ago).to_rfc3339_opts(SecondsFormat::Millis, true));
        p.predicate["timestampAuthority"] = json!(URL);
        change(p);
    });
    let stamp = authority.stamp(&signature(&bag));
    bag.files.insert(TSR.into(), stamp);
    bag
}

fn judged(bag: &Bag) -> Verification {
    let dir = tempfile::tempdir().unwrap();
    bag.write_to(dir.path());
    verify(dir.path()).unwrap()
}

type Case = (&'static str, Bag, Verdict, Expected, &'static str);

pub fn cases(authority: &Arc<Authority>) -> Vec<Case> {
    let good = || stamped(authority, Duration::zero(), |_| {});
    let after = |change: &dyn Fn(&mut Bag)| {
        let mut bag = good();
        change(&mut bag);
        bag
    };
    let note = |ended: &str| json!({"v": 1, "signatures": [], "timestamp": {"authority": URL, "ended": ended, "at": "2026-11-20T12:01:00.000Z", "detail": "no answer"}});
    use Level::{Error, Warn};
    vec![
        ("good", good(), Verdict::Whole, &[], "by an authority whose certificate was not looked at"),
        (
            "of something else",
            after(&|b| drop(b.files.insert(TSR.into(), authority.stamp(b"something else")))),
            Verdict::Broken,
            &[("timestamp", Error)],
            "it stamps something else",
        ),
        (
            "garbage",
            after(&|b| drop(b.files.insert(TSR.into(), b"<html>".to_vec()))),
            Verdict::Broken,
            &[("timestamp", Error)],
            "no answer of RFC 3161",
        ),
        ("cut", after(&|b| b.files.get_mut(TSR).unwrap().truncate(200)), Verdict::Broken, &[("timestamp", Error)], "no answer of RFC 3161"),
        (
            "older than the seal",
            stamped(authority, Duration::days(-1), |_| {}),
            Verdict::Whole,
            &[("timestamp", Warn)],
            "before the bundle says it was sealed",
        ),
        (
            "older than the seal by a clock that was known to be wrong",
            stamped(authority, Duration::days(-1), |p| p.predicate["clockSkewMs"] = json!(-86_400_000)),
            Verdict::Whole,
            &[],
            "",
        ),
        (
            "late",
            stamped(authority, Duration::hours(3), |_| {}),
            Verdict::Whole,
            &[("timestamp", Warn)],
            "minutes after the bundle was sealed",
        ),
        ("taken away", after(&|b| drop(b.files.remove(TSR))), Verdict::Broken, &[("timestamp", Error)], "it was taken away"),
        (
            "not to be had, and said so",
            after(&|b| {
                b.files.remove(TSR);
                b.files.insert(SEALING.into(), serde_jcs::to_vec(&note("failed")).unwrap());
            }),
            Verdict::Whole,
            &[("timestamp", Warn)],
            "did not: no answer",
        ),
        (
            "not there, though it is noted as made",
            after(&|b| {
                b.files.remove(TSR);
                b.files.insert(SEALING.into(), serde_jcs::to_vec(&note("done")).unwrap());
            }),
            Verdict::Broken,
            &[("timestamp", Error)],
            "it was taken away",
        ),
        (
            "by an authority that the statement does not name",
            {
                let mut bag = signed(|p| p.predicate["sealed"] = json!(Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)));
                let stamp = authority.stamp(&signature(&bag));
                bag.files.insert(TSR.into(), stamp);
                bag
            },
            Verdict::Whole,
            &[("timestamp", Warn)],
            "the statement names no authority",
        ),
        (
            "of an unsigned bundle",
            {
                let mut bag = Bag::good();
                bag.files.insert(TSR.into(), authority.stamp(b"x"));
                bag
            },
            Verdict::Broken,
            &[("timestamp", Error)],
            "it stamps something else",
        ),
    ]
}

#[test]
fn a_stamp_is_read_and_what_is_wrong_with_it_is_found() {
    let Some(authority) = Authority::new() else { return };
    let mut failures = vec![];
    for (name, bag, verdict, fires, says) in cases(&authority) {
        let v = judged(&bag);
        let said = says.is_empty() || v.findings.iter().any(|f| f.message.contains(says) && !f.remedy.is_empty());
        if fired(&v) != fires.iter().copied().collect::<BTreeSet<_>>() || v.verdict() != verdict || !said {
            failures.push(format!("{name}: {:?}, expected {verdict:?} {fires:?}\n{:#?}", v.verdict(), v.findings));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));

    let v = judged(&stamped(&authority, Duration::zero(), |_| {})).timestamp.unwrap();
    assert_eq!((v.of_this_signature, v.authority.as_deref(), v.policy.as_str()), (true, Some(URL), "1.2.3.4.1"));
}
