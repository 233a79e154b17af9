//! One bundle per way of being broken: exactly the checks that should fire do.

use super::bag::{Bag, CONFIG, FUNCTION_ZIP, NAME, Parts, STATEMENT, exchange, sha};
use freezeframe::bundle::verify::{Level, NotVerified, Verdict, Verification, Verified, verify};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;

/// Checks that found an error or something to warn of.
pub fn fired(v: &Verification) -> BTreeSet<(&'static str, Level)> {
    v.findings.iter().filter(|f| f.level != Level::Info).map(|f| (f.check, f.level)).collect()
}

/// Verify the bag as a directory and as a zip; both must say the same.
fn both(bag: &Bag) -> Verification {
    let at = tempfile::tempdir().unwrap();
    let dir = at.path().join(NAME);
    bag.write_to(&dir);
    let zip = at.path().join(format!("{NAME}.zip"));
    std::fs::write(&zip, bag.zip().bytes()).unwrap();
    let (as_dir, as_zip) = (verify(&dir).unwrap(), verify(&zip).unwrap());
    assert_eq!(as_dir, as_zip, "a directory and a zip of the same bag must be judged alike");
    as_dir
}

pub fn parts(change: impl FnOnce(&mut Parts)) -> Bag {
    let mut parts = Parts::good();
    change(&mut parts);
    parts.seal()
}
/// Changed after sealing, by somebody who does not know the format.
pub fn after(change: impl FnOnce(&mut Bag)) -> Bag {
    let mut bag = Bag::good();
    change(&mut bag);
    bag
}
/// Changed, and all manifests and the statement's subject made anew.
pub fn forged(change: impl FnOnce(&mut Bag)) -> Bag {
    let mut bag = after(change);
    bag.seal_again();
    bag
}

use Level::{Error, Warn};
pub type Expected = &'static [(&'static str, Level)];

pub fn cases() -> Vec<(&'static str, Bag, Verdict, Expected)> {
    use Verdict::{Broken, Unfinished, Whole};
    let segment = |n: u32| format!("meta/journal/{n:06}.jsonl");
    vec![
        ("good", Bag::good(), Whole, &[]),
        // ── payload ──
        ("flipped byte", after(|b| b.files.get_mut(CONFIG).unwrap()[3] ^= 1), Broken, &[("manifest", Error)]),
        (
            "flipped byte of the code",
            after(|b| b.files.get_mut(FUNCTION_ZIP).unwrap()[30] ^= 1),
            Broken,
            &[("manifest", Error), ("provider-digest", Error)],
        ),
        ("truncated to nothing", after(|b| b.files.get_mut(CONFIG).unwrap().clear()), Broken, &[("manifest", Error)]),
        ("missing", after(|b| drop(b.files.remove(CONFIG))), Broken, &[("manifest", Error)]),
        ("extra", after(|b| drop(b.files.insert("data/20-config/extra.json".into(), b"{}".to_vec()))), Broken, &[("manifest", Error)]),
        (
            "renamed",
            after(|b| {
                let bytes = b.files.remove(CONFIG).unwrap();
                b.files.insert("data/20-config/renamed.json".into(), bytes);
            }),
            Broken,
            &[("manifest", Error)],
        ),
        (
            "line listed twice",
            after(|b| {
                b.edit("manifest-sha256.txt", |t| format!("{t}{}\n", t.lines().next().unwrap()));
                b.files.remove("tagmanifest-sha256.txt");
                b.manifests_but_payload();
            }),
            Broken,
            &[("manifest", Error)],
        ),
        (
            "bad line",
            after(|b| {
                b.edit("manifest-sha256.txt", |t| format!("{t}nonsense\n"));
                b.manifests_but_payload();
            }),
            Broken,
            &[("manifest", Error)],
        ),
        (
            "line that leads out",
            after(|b| {
                b.edit("manifest-sha256.txt", |t| format!("{t}{}  ../../etc/passwd\n", sha(b"")));
                b.manifests_but_payload();
            }),
            Broken,
            &[("manifest", Error)],
        ),
        // ── tag files ──
        ("changed README", after(|b| b.edit("meta/README.txt", |t| t + "x")), Broken, &[("tag-manifest", Error)]),
        ("missing README", after(|b| drop(b.files.remove("meta/README.txt"))), Broken, &[("tag-manifest", Error)]),
        ("unlisted tag file", after(|b| drop(b.files.insert("meta/note.txt".into(), vec![]))), Broken, &[("tag-manifest", Error)]),
        ("unknown tag file, listed", forged(|b| drop(b.files.insert("meta/note.txt".into(), vec![]))), Whole, &[("layout", Warn)]),
        ("unknown file in seal/", after(|b| drop(b.files.insert("seal/other.sig".into(), vec![1]))), Whole, &[("layout", Warn)]),
        (
            "wrong root",
            after(|b| b.edit(STATEMENT, |t| t.replace(&sha(&Bag::good().files["tagmanifest-sha256.txt"]), &sha(b"x")))),
            Broken,
            &[("root", Error)],
        ),
        (
            "manifests made anew, statement not",
            after(|b| {
                let s = b.files[STATEMENT].clone();
                b.files.insert("meta/README.txt".into(), b"x".to_vec());
                b.manifests();
                b.files.insert(STATEMENT.into(), s);
            }),
            Broken,
            &[("root", Error)],
        ),
        ("unknown statement type", after(|b| b.edit(STATEMENT, |t| t.replace("Statement/v1", "Statement/v9"))), Broken, &[("root", Error)]),
        ("unknown form version", forged(|b| b.predicate["schemas"]["item"] = json!(2)), Broken, &[("root", Error)]),
        (
            "another subject",
            after(|b| b.edit(STATEMENT, |t| t.replace("tagmanifest-sha256.txt", "manifest-sha256.txt"))),
            Broken,
            &[("root", Error)],
        ),
        // ── layout ──
        (
            "payload-oxum wrong",
            after(|b| {
                b.edit("bag-info.txt", |t| t.replace("Payload-Oxum: ", "Payload-Oxum: 1"));
                b.manifests();
            }),
            Broken,
            &[("layout", Error)],
        ),
        (
            "payload-oxum missing",
            after(|b| {
                b.edit("bag-info.txt", |t| t.replace("Payload-Oxum", "Oxum"));
                b.manifests();
            }),
            Broken,
            &[("layout", Error)],
        ),
        (
            "another case in bag-info",
            after(|b| {
                b.edit("bag-info.txt", |t| t.replace("0042", "0043"));
                b.manifests();
            }),
            Broken,
            &[("layout", Error)],
        ),
        ("bagit.txt of another version", forged(|b| b.edit("bagit.txt", |t| t.replace("1.0", "0.97"))), Broken, &[("layout", Error)]),
        ("no bagit.txt", forged(|b| drop(b.files.remove("bagit.txt"))), Broken, &[("layout", Error)]),
        ("no coverage", forged(|b| drop(b.files.remove("meta/coverage.json"))), Broken, &[("layout", Error)]),
        (
            "no journal",
            forged(|b| {
                b.files.remove(&segment(1));
                b.files.remove(&segment(2));
            }),
            Broken,
            &[("layout", Error)],
        ),
        (
            "fetch.txt",
            forged(|b| drop(b.files.insert("fetch.txt".into(), b"https://evil.example/x 1 data/x\n".to_vec()))),
            Broken,
            &[("layout", Error)],
        ),
        ("a name that no bundle has", after(|b| drop(b.files.insert("meta/.DS_Store".into(), vec![0]))), Broken, &[("container", Error)]),
        (
            "names that differ in case",
            forged(|b| drop(b.files.insert("meta/readme.txt".into(), vec![0]))),
            Broken,
            &[("container", Error), ("layout", Warn)],
        ),
        // ── unfinished ──
        ("tmp left", after(|b| drop(b.files.insert("tmp/000001.part".into(), vec![7]))), Unfinished, &[("layout", Warn)]),
        ("no statement", after(|b| drop(b.files.remove(STATEMENT))), Unfinished, &[("layout", Warn)]),
        (
            "killed while collecting",
            after(|b| {
                b.files.retain(|p, _| p.starts_with("data/") || p.starts_with("meta/journal/"));
                b.files.insert("tmp/000009.part".into(), vec![7]);
                b.files.get_mut(&segment(2)).unwrap().truncate(500);
            }),
            Unfinished,
            &[("layout", Warn), ("chain", Warn), ("schema", Warn)],
        ),
        (
            "killed while sealing",
            after(|b| {
                b.files.remove(STATEMENT);
                b.files.remove("tagmanifest-sha256.txt");
                b.files.get_mut("manifest-sha256.txt").unwrap().truncate(300);
                b.files.insert("tmp/statement.json".into(), vec![]);
            }),
            Unfinished,
            &[("layout", Warn), ("manifest", Warn)],
        ),
        (
            "interrupted, drained and sealed",
            parts(|p| {
                p.predicate["finished"] = json!(false);
                p.coverage["finished"] = json!(false);
                p.journal[1].last_mut().unwrap()["finished"] = json!(false);
            }),
            Unfinished,
            &[("layout", Warn)],
        ),
        // ── chain: every manifest made anew, so that nothing but the chain can tell ──
        (
            "cut tail",
            forged(|b| b.edit(&segment(2), |t| t.lines().take(3).map(|l| format!("{l}\n")).collect())),
            Broken,
            &[("chain", Error), ("custody", Error)],
        ),
        ("cut tail, to the byte", forged(|b| b.edit(&segment(2), |t| t.trim_end().to_string())), Broken, &[("chain", Error)]),
        (
            "cut middle",
            forged(|b| b.edit(&segment(1), |t| t.lines().enumerate().filter(|(n, _)| *n != 2).map(|(_, l)| format!("{l}\n")).collect())),
            Broken,
            &[("chain", Error), ("custody", Error)],
        ),
        (
            "reordered lines",
            forged(|b| {
                b.edit(&segment(1), |t| {
                    let mut l: Vec<&str> = t.lines().collect();
                    l.swap(2, 3);
                    l.join("\n") + "\n"
                })
            }),
            Broken,
            &[("chain", Error)],
        ),
        ("changed line", forged(|b| b.edit(&segment(1), |t| t.replacen("user/ana", "user/eve", 1))), Broken, &[("chain", Error)]),
        (
            "segments swapped",
            forged(|b| {
                let (x, y) = (b.files[&segment(1)].clone(), b.files[&segment(2)].clone());
                b.files.insert(segment(1), y);
                b.files.insert(segment(2), x);
            }),
            Broken,
            &[("chain", Error), ("custody", Error)],
        ),
        (
            "segment renamed",
            forged(|b| {
                let y = b.files.remove(&segment(2)).unwrap();
                b.files.insert(segment(3), y);
            }),
            Broken,
            &[("chain", Error)],
        ),
        ("segment removed", forged(|b| drop(b.files.remove(&segment(2)))), Broken, &[("chain", Error), ("custody", Error)]),
        ("another head stated", forged(|b| b.predicate["journalHead"] = json!(sha(b"x"))), Broken, &[("chain", Error)]),
        (
            "journal changed and nothing else",
            after(|b| b.edit(&segment(1), |t| t.replacen("user/ana", "user/eve", 1))),
            Broken,
            &[("chain", Error), ("tag-manifest", Error)],
        ),
        // ── schema ──
        ("item without status", parts(|p| drop(p.items[0].as_object_mut().unwrap().remove("status"))), Broken, &[("schema", Error)]),
        ("item with an unknown member", parts(|p| p.items[0]["note"] = json!("x")), Broken, &[("schema", Error)]),
        ("coverage with a hidden member", parts(|p| p.coverage["planned"][0]["why"] = json!("x")), Broken, &[("schema", Error)]),
        ("coverage of an unknown version", parts(|p| p.coverage["v"] = json!(2)), Broken, &[("schema", Error)]),
        (
            "exchange of the wrong type",
            parts(|p| p.exchanges.values_mut().next().unwrap()["attempt"] = json!("one")),
            Broken,
            &[("schema", Error)],
        ),
        ("path that leads out", parts(|p| p.items[0]["files"][0]["path"] = json!("data/../../x")), Broken, &[("schema", Error)]),
        ("unknown journal event", parts(|p| p.journal[1].insert(0, json!({"ev": "teleport"}))), Broken, &[("schema", Error)]),
        ("coverage is no JSON", forged(|b| b.edit("meta/coverage.json", |t| t + "}")), Broken, &[("schema", Error)]),
        ("statement is no JSON", after(|b| b.edit(STATEMENT, |t| t + "}")), Broken, &[("schema", Error)]),
        (
            "a credential recorded",
            parts(|p| p.exchanges.values_mut().next().unwrap()["request_headers"] = json!([["Authorization", "AWS4-HMAC-SHA256 x"]])),
            Whole,
            &[("schema", Warn)],
        ),
        (
            "a presigned query recorded",
            parts(|p| p.exchanges.values_mut().next().unwrap()["uri"] = json!("https://s3/x?X-Amz-Signature=abc")),
            Whole,
            &[("schema", Warn)],
        ),
        // ── items ──
        (
            "item names a file that is nowhere",
            parts(|p| p.items[0]["files"][0]["path"] = json!("data/20-config/none.json")),
            Broken,
            &[("items", Error)],
        ),
        ("item states another digest", parts(|p| p.items[0]["files"][0]["sha256"] = json!(sha(b"x"))), Broken, &[("items", Error)]),
        ("item states another size", parts(|p| p.items[0]["files"][0]["bytes"] = json!(1)), Broken, &[("items", Error)]),
        ("item rests on no exchange", parts(|p| p.items[0]["exchanges"] = json!(["x000099"])), Broken, &[("items", Error)]),
        ("item computed from nothing", parts(|p| p.items[0]["derived_from"] = json!(["i000099"])), Broken, &[("items", Error)]),
        (
            "two items of one number",
            parts(|p| {
                p.items[1]["id"] = json!("i000001");
            }),
            Broken,
            &[("items", Error), ("coverage", Error), ("custody", Error)],
        ),
        (
            "file that nothing names",
            parts(|p| drop(p.payload.insert("data/20-config/smuggled.json".into(), b"{}".to_vec()))),
            Broken,
            &[("items", Error)],
        ),
        (
            "exchange with another body digest",
            parts(|p| p.exchanges.values_mut().next().unwrap()["body_sha256"] = json!(sha(b"x"))),
            Broken,
            &[("items", Error), ("custody", Error)],
        ),
        (
            "exchange record with a taken number",
            parts(|p| {
                let x = exchange(1, "Again", 200, None);
                p.exchanges.insert("data/20-config/000009-Again.http.json".into(), x);
            }),
            Broken,
            &[("items", Error)],
        ),
        // ── coverage ──
        (
            "coverage hides a gap",
            parts(|p| {
                p.coverage["gaps"] = json!([]);
            }),
            Broken,
            &[("coverage", Error)],
        ),
        (
            "coverage calls a gap an answer",
            parts(|p| {
                p.coverage["groups"]["invocation"] = json!({"collected": 1});
            }),
            Broken,
            &[("coverage", Error)],
        ),
        (
            "coverage claims what is not there",
            parts(|p| p.coverage["planned"][0]["items"] = json!(["i000001", "i000077"])),
            Broken,
            &[("coverage", Error)],
        ),
        (
            "coverage gives an item to another unit",
            parts(|p| p.coverage["planned"][0]["unit"] = json!("unit-b")),
            Broken,
            &[("coverage", Error)],
        ),
        (
            "coverage counts a group that is not there",
            parts(|p| p.coverage["groups"]["control"] = json!({"collected": 3})),
            Broken,
            &[("coverage", Error)],
        ),
        ("gap without its question", parts(|p| p.coverage["gaps"][0]["question"] = json!(" ")), Broken, &[("coverage", Error)]),
        ("coverage says it was interrupted", parts(|p| p.coverage["finished"] = json!(false)), Broken, &[("coverage", Error)]),
        (
            "unit done without a trace",
            parts(|p| {
                p.coverage["planned"]
                    .as_array_mut()
                    .unwrap()
                    .push(json!({"unit": "unit-z", "title": "t", "question": "q", "group": "config", "ended": "done", "items": []}))
            }),
            Whole,
            &[("coverage", Warn)],
        ),
        (
            "statement counts fewer gaps",
            parts(|p| {
                p.predicate["gaps"] = json!(0);
                p.journal[1].last_mut().unwrap()["gaps"] = json!(0);
            }),
            Broken,
            &[("coverage", Error)],
        ),
        // ── custody ──
        ("journal is silent about an exchange", parts(|p| drop(p.journal[0].remove(1))), Broken, &[("custody", Error)]),
        ("journal is silent about an item", parts(|p| drop(p.journal[0].remove(2))), Broken, &[("custody", Error)]),
        (
            "journal tells of an item that was taken away",
            parts(|p| p.journal[0].push(json!({"ev": "item-stored", "item": "i000050", "subject": "s", "status": "collected"}))),
            Broken,
            &[("custody", Error)],
        ),
        (
            "journal tells of an exchange that was taken away",
            parts(|p| p.journal[0].push(json!({"ev": "req", "exchange": "x000050", "unit": "u", "operation": "o"}))),
            Broken,
            &[("custody", Error)],
        ),
        ("journal gives another status", parts(|p| p.journal[0][1]["status"] = json!(500)), Broken, &[("custody", Error)]),
        ("journal gives an item another status", parts(|p| p.journal[0][2]["status"] = json!("denied")), Broken, &[("custody", Error)]),
        ("journal of another bundle", parts(|p| p.journal[0][0]["bundle"] = json!("other")), Broken, &[("custody", Error)]),
        ("journal without a sealing line", parts(|p| drop(p.journal[1].pop())), Broken, &[("custody", Error)]),
        // ── provider ──
        (
            "CodeSha256 is another, recorded as a match",
            parts(|p| p.items[1]["provider_digest"]["value"] = json!(super::bag::sha_base64(b"x"))),
            Broken,
            &[("provider-digest", Error)],
        ),
        (
            "CodeSha256 is another, and recorded so",
            parts(|p| {
                p.items[1]["provider_digest"]["value"] = json!(super::bag::sha_base64(b"x"));
                p.items[1]["provider_digest"]["matches"] = json!(false);
            }),
            Whole,
            &[("provider-digest", Warn)],
        ),
        (
            "CodeSha256 matches, recorded as a mismatch",
            parts(|p| p.items[1]["provider_digest"]["matches"] = json!(false)),
            Broken,
            &[("provider-digest", Error)],
        ),
        (
            "provider digest of no known form",
            parts(|p| p.items[1]["provider_digest"]["value"] = json!("crc32:abcd")),
            Whole,
            &[("provider-digest", Warn)],
        ),
    ]
}

#[test]
fn exactly_the_intended_checks_fire() {
    let mut failures = Vec::new();
    for (name, bag, verdict, expected) in cases() {
        let v = both(&bag);
        let expected: BTreeSet<_> = expected.iter().copied().collect();
        if fired(&v) != expected || v.verdict() != verdict {
            failures.push(format!("{name}: {:?}, expected {verdict:?} {expected:?}\n{:#?}", v.verdict(), v.findings));
        }
        for f in v.findings.iter().filter(|f| f.level != Level::Info) {
            assert!(!f.message.is_empty() && f.remedy.ends_with('.'), "{name}: a finding says what, and what to do: {f:?}");
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_check_has_a_bundle_that_it_fires_on() {
    let covered: BTreeSet<&str> = cases()
        .iter()
        .flat_map(|c| c.3.iter().map(|e| e.0))
        .chain(super::signed::covered())
        .chain(super::redacted::covered())
        .chain(["timestamp"])
        .collect();
    let all: BTreeSet<&str> = freezeframe::bundle::verify::CHECKS.iter().map(|c| c.id()).collect();
    assert_eq!(covered, all);
}

#[test]
fn a_good_bundle_is_told_as_it_is() {
    let bag = Bag::good();
    let v = both(&bag);
    assert_eq!((v.verdict(), v.outcome().exit_code(), v.finished), (Verdict::Whole, 0, true));
    assert_eq!((v.bundle.as_str(), v.case.as_deref(), v.root.unwrap().to_string()), (NAME, Some("IR-2026-0042"), bag.root()));
    let c = v.counts;
    assert_eq!((c.files, c.items, c.gaps, c.exchanges, c.journal_lines), (bag.files.len() as u64, 4, 1, 4, 11));
    assert_eq!(c.bytes, bag.files.values().map(|b| b.len() as u64).sum::<u64>());
    assert_eq!((v.gaps.len(), v.gaps[0].question.as_str()), (1, "What did it do?"));
    assert_eq!((v.provider_digests.len(), v.provider_digests[0].recomputed_match), (1, Some(true)));
    let info: Vec<_> = v.findings.iter().map(|f| (f.check, f.level)).collect();
    assert_eq!(info, [("signature", Level::Info)]);
}

#[test]
fn only_a_whole_bundle_is_verified() {
    let at = tempfile::tempdir().unwrap();
    let whole = at.path().join("whole");
    Bag::good().write_to(&whole);
    let v = Verified::read_back(&whole).unwrap();
    assert_eq!((v.bundle(), v.root().to_string()), (NAME, Bag::good().root()));

    let unfinished = at.path().join("unfinished");
    after(|b| drop(b.files.remove(STATEMENT))).write_to(&unfinished);
    let Err(NotVerified::NotWhole { verification, .. }) = Verified::read_back(&unfinished) else { panic!() };
    assert_eq!(verification.outcome().exit_code(), 4);
    assert!(matches!(Verified::read_back(&at.path().join("nowhere")), Err(NotVerified::ReadBack { .. })));
}

/// What somebody did to the directory of a good bag, and what fires.
#[cfg(unix)]
pub type Meddled = (&'static str, fn(&Path), Expected);

#[cfg(unix)]
pub fn directories() -> Vec<Meddled> {
    use std::os::unix::fs::symlink;
    const CONTAINER: Expected = &[("container", Error)];
    vec![
        ("link", |d| symlink("/etc/hostname", d.join("meta/link.txt")).unwrap(), CONTAINER),
        ("link to a directory", |d| symlink("/etc", d.join("data/up")).unwrap(), CONTAINER),
        ("socket", |d| drop(std::os::unix::net::UnixListener::bind(d.join("meta/s")).unwrap()), CONTAINER),
        ("a name that is no UTF-8", |d| std::fs::write(d.join(odd()), "x").unwrap(), CONTAINER),
        ("directories without end", |d| std::fs::create_dir_all(d.join("data/x".to_string() + &"/x".repeat(40))).unwrap(), CONTAINER),
        // Its target is not read, so the file is missing.
        (
            "link in the place of a listed file",
            |d| {
                std::fs::rename(d.join(CONFIG), d.with_extension("copy")).unwrap();
                symlink(d.with_extension("copy"), d.join(CONFIG)).unwrap();
            },
            &[("container", Error), ("manifest", Error)],
        ),
    ]
}

#[cfg(unix)]
fn odd() -> std::ffi::OsString {
    use std::os::unix::ffi::OsStringExt as _;
    std::ffi::OsString::from_vec(b"meta/\xff".to_vec())
}

#[cfg(unix)]
#[test]
fn links_and_pipes_in_a_directory_are_found_and_not_followed() {
    for (name, make, expected) in directories() {
        let at = tempfile::tempdir().unwrap();
        // A socket's path must be short.
        let dir = at.path().join("bag");
        Bag::good().write_to(&dir);
        make(&dir);
        let v = verify(&dir).unwrap();
        assert_eq!(fired(&v), expected.iter().copied().collect(), "{name}: {:#?}", v.findings);
    }
}
