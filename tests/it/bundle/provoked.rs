//! Bundles for the findings that no other table here provokes: one each, named by what is wrong.

use super::bag::{Bag, NAME, Parts};
use super::broken::{after, forged, parts};
use super::raw_zip::{RawEntry, RawZip};
use super::signed::signed;
use freezeframe::bundle::verify::DemandedKey;
use serde_json::json;

const SEGMENT: &str = "meta/journal/000002.jsonl";

/// Name, bag, demanded keys, and words of the finding that it is for.
pub fn bags() -> Vec<(&'static str, Bag, Vec<DemandedKey>, &'static str)> {
    let manifest = |change: &dyn Fn(String) -> String| {
        after(|b| {
            b.edit("manifest-sha256.txt", change);
            b.manifests_but_payload();
        })
    };
    let tags = |change: &dyn Fn(String) -> String| {
        after(|b| {
            b.edit("tagmanifest-sha256.txt", change);
            b.statement();
        })
    };
    let info = |line: &'static str| {
        after(|b| {
            b.edit("bag-info.txt", |t| t + line);
            b.manifests();
        })
    };
    let unlisted = |path: &'static str| tags(&move |t| t.lines().filter(|l| !l.ends_with(path)).map(|l| format!("{l}\n")).collect());
    let zeros = "0".repeat(64);
    let plain = |bag, says| (bag, vec![], says);
    type Row = (&'static str, (Bag, Vec<DemandedKey>, &'static str));
    let all: Vec<Row> = vec![
        ("payload manifest lists a tag file", plain(manifest(&|t| format!("{t}{zeros}  bagit.txt\n")), "which is not below data/")),
        ("manifest line without a digest", plain(manifest(&|t| format!("{t}xyz  data/x\n")), "does not begin with a SHA-256")),
        ("manifest line without a path", plain(manifest(&|t| format!("{t}{zeros}\n")), "not of the form")),
        (
            "manifest line that is no UTF-8",
            plain(
                after(|b| {
                    b.files.get_mut("manifest-sha256.txt").unwrap().extend(b"\xff\n");
                    b.manifests_but_payload();
                }),
                "no UTF-8, or endless",
            ),
        ),
        ("tag manifest lists payload", plain(tags(&|t| format!("{t}{zeros}  data/20-config/x\n")), "which is not its to list")),
        ("tag manifest is silent about coverage", plain(unlisted("meta/coverage.json"), "the root digest does not cover it")),
        ("tag manifest is silent about a segment", plain(unlisted("meta/journal/000002.jsonl"), "a segment was added")),
        ("two sums of the payload", plain(info("Payload-Oxum: 1.1\n"), "times where once is right")),
        ("bag-info with a line that is none", plain(info("nonsense\n"), "not of the form `Label: value`")),
        (
            "bag-info that is no UTF-8",
            plain(
                after(|b| {
                    b.files.get_mut("bag-info.txt").unwrap().push(0xff);
                    b.manifests();
                }),
                "no UTF-8",
            ),
        ),
        (
            "an endless journal line",
            plain(
                forged(|b| b.files.get_mut(SEGMENT).unwrap().extend([vec![b'x'; 5 << 20], vec![b'\n']].concat())),
                "longer than any of ours",
            ),
        ),
        (
            "an endless item",
            plain(
                forged(|b| b.files.get_mut("meta/items.jsonl").unwrap().extend([vec![b'x'; 5 << 20], vec![b'\n']].concat())),
                "longer than any of ours",
            ),
        ),
        ("an endless document", plain(forged(|b| drop(b.files.insert("meta/coverage.json".into(), vec![b' '; 17 << 20]))), "far longer")),
        (
            "a journal line in another form of the same",
            plain(forged(|b| b.edit(SEGMENT, |t| t.replacen("\"v\":1", "\"v\": 1", 1))), "no canonical JSON"),
        ),
        ("a journal line of another version", plain(forged(|b| b.edit(SEGMENT, |t| t.replacen("\"v\":1", "\"v\":2", 1))), "of version 2")),
        (
            "a journal line with another number",
            plain(forged(|b| b.edit(SEGMENT, |t| t.replacen("\"seq\":6", "\"seq\":7", 1))), "comes next"),
        ),
        (
            "a body without its digest",
            plain(
                parts(|p| drop(p.exchanges.values_mut().next().unwrap().as_object_mut().unwrap().remove("body_sha256"))),
                "states no digest",
            ),
        ),
        (
            "coverage lists a gap that is none",
            plain(
                parts(|p| {
                    let mut more = p.coverage["gaps"][0].clone();
                    more["subject"] = json!("another");
                    p.coverage["gaps"].as_array_mut().unwrap().push(more);
                }),
                "lists a gap that no item has",
            ),
        ),
        (
            "journal tells of an item twice",
            plain(
                parts(|p| {
                    let again = p.journal[0][2].clone();
                    p.journal[0].push(again);
                }),
                "of i000001 twice",
            ),
        ),
        ("journal that does not begin with the opening", plain(parts(|p| drop(p.journal[0].remove(0))), "does not open a bundle")),
        (
            "journal sealed with other numbers",
            plain(parts(|p| p.journal[1].last_mut().unwrap()["items"] = json!(5)), "it was sealed with 5"),
        ),
        ("unfinished, and nothing of meta/ written", plain(after(|b| b.files.retain(|p, _| p.starts_with("data/"))), "not written yet")),
        (
            "unfinished, and an item's file is not there",
            plain(
                after(|b| {
                    b.files.retain(|p, _| !p.starts_with("seal/") && !p.ends_with("manifest-sha256.txt"));
                    b.files.remove(super::bag::CONFIG);
                }),
                "neither there nor listed",
            ),
        ),
        (
            "a later item computed from one that cannot be read",
            plain(
                parts(|p| {
                    p.items[0]["note"] = json!(1);
                    p.items[1]["derived_from"] = json!(["i000001"]);
                }),
                "/note",
            ),
        ),
        ("an optional member with nothing in it", plain(parts(|p| p.items[0]["detail"] = json!(null)), "/detail")),
        ("an optional list with nothing in it", plain(parts(|p| p.items[0]["derived_from"] = json!([])), "/derived_from")),
        ("a number with a fraction of nothing", plain(parts(|p| p.coverage["groups"]["config"]["collected"] = json!(1.0)), "float")),
        ("a case that no case is named", plain(parts(|p| p.predicate["case"] = json!("../IR")), "case id")),
        ("a digest in hexadecimal", plain(parts(hex_digest), "")),
        (
            "a member twice in one item",
            plain(
                forged(|b| b.edit("meta/items.jsonl", |t| t.replacen("{\"collector\"", "{\"collector\":\"x\",\"collector\"", 1))),
                "duplicate",
            ),
        ),
    ];
    let stamps = stamps().into_iter().map(|(name, stamp, says)| {
        let bag = signed(|p| p.predicate["timestampAuthority"] = json!("http://tsa.example.com/tsr"));
        (name, plain(with(bag, "seal/root.tsr", stamp), says))
    });
    all.into_iter().chain(stamps).map(|(name, (bag, keys, says))| (name, bag, keys, says)).collect()
}

fn hex_digest(p: &mut Parts) {
    let path = p.items[1]["files"][0]["sha256"].clone();
    p.items[1]["provider_digest"] = json!({"name": "ImageDigest", "value": format!("sha256:{}", path.as_str().unwrap()), "matches": true});
}

fn with(mut bag: Bag, path: &str, bytes: Vec<u8>) -> Bag {
    bag.files.insert(path.into(), bytes);
    bag
}

/// One element in DER.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let length = match body.len() {
        n @ 0..128 => vec![n as u8],
        n @ 128..256 => vec![0x81, n as u8],
        n => vec![0x82, (n >> 8) as u8, n as u8],
    };
    [vec![tag], length, body].concat()
}

/// Answers of RFC 3161 that are no stamp of ours: what is in them, and words of the finding.
fn stamps() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let number = |n: u8| der(2, &[&[n]]);
    let signed_data = der(6, &[&hex::decode("2a864886f70d010702").unwrap()]);
    let tst_info = der(6, &[&hex::decode("2a864886f70d0109100104").unwrap()]);
    let data = der(6, &[&hex::decode("2a864886f70d010701").unwrap()]);
    let sha512 = der(0x30, &[&der(6, &[&hex::decode("608648016503040203").unwrap()])]);
    let imprint = der(0x30, &[&sha512, &der(4, &[&[7; 64]])]);
    let token = der(0x30, &[&number(1), &der(6, &[&[0x2a, 3, 4]]), &imprint, &number(4), &der(0x18, &[b"20261120120100Z"])]);
    let content = |kind: &[u8], body: &[u8]| der(0x30, &[kind, &der(0xa0, &[body])]);
    let signed = |inner: &[u8]| der(0x30, &[&number(3), &der(0x31, &[]), inner]);
    let answer = |rest: &[u8]| der(0x30, &[&der(0x30, &[&number(0)]), rest]);
    vec![
        ("a stamp that was refused", der(0x30, &[&der(0x30, &[&number(2)])]), "the authority refused"),
        ("a stamp without a token", answer(&[]), "carries no token"),
        ("a stamp of another kind", answer(&content(&data, &der(4, &[b"x"]))), "where a timestamp belongs"),
        (
            "a stamp with another kind inside",
            answer(&content(&signed_data, &signed(&content(&data, &der(4, &[b"x"]))))),
            "where a timestamp belongs",
        ),
        (
            "a stamp by another algorithm",
            answer(&content(&signed_data, &signed(&content(&tst_info, &der(4, &[&token]))))),
            "SHA-256 was wanted",
        ),
        ("an endless stamp", vec![0x30; 300 << 10], "longer than a timestamp can be"),
    ]
}

pub fn zips() -> Vec<(&'static str, Vec<u8>)> {
    let played = |play: &dyn Fn(&mut RawZip)| {
        let mut zip = Bag::good().zip();
        play(&mut zip);
        zip.bytes()
    };
    vec![
        ("an empty segment in a name", played(&|z| z.entries.push(RawEntry::stored(&format!("{NAME}/data//x"), b"x")))),
        (
            "a file that is a directory by its mode",
            played(&|z| z.entries.push(RawEntry { mode: 0o040_700, ..RawEntry::stored(&format!("{NAME}/seal/d"), b"") })),
        ),
        ("a directory with content", played(&|z| z.entries.push(RawEntry::stored(&format!("{NAME}/seal/d/"), b"x")))),
        ("a name longer than any", played(&|z| z.entries.push(RawEntry::stored(&format!("{NAME}/data/{}", "x".repeat(200)), b"x")))),
        ("a damaged journal segment", played(&|z| z.entry(SEGMENT).data[0] = 0xff)),
        ("a damaged statement", played(&|z| z.entry("seal/statement.json").data[0] = 0xff)),
        ("damaged items", played(&|z| z.entry("meta/items.jsonl").data[0] = 0xff)),
        ("a damaged tag manifest", played(&|z| z.entry("tagmanifest-sha256.txt").data[0] = 0xff)),
        ("several disks", ended(&|end| end[4] = 1)),
        ("a comment to an entry", commented()),
        ("a directory that is cut off", ended(&|end| end[12] -= 20)),
        ("a directory beyond its end", ended(&|end| end[15] = 0x70)),
        ("entries that reach into the directory", played(&|z| z.entries.last_mut().unwrap().declared = Some(1 << 20))),
        (
            "a bomb of many",
            played(&|z| {
                z.entries.extend((0..20).map(|n| {
                    let name = format!("{NAME}/seal/{n:02}");
                    RawEntry { method: 8, size: 60 << 20, ..RawEntry::stored(&name, &[0xff; 70_000]) }
                }))
            }),
        ),
        (
            "an entry beyond any file",
            played(&|z| {
                // Something in front moves every offset, and this one is at the end of all numbers.
                z.prepended = b"#!/bin/sh\n".to_vec();
                let e = z.entry(super::bag::CONFIG);
                e.offset = Some(u32::MAX);
                e.extra = [&[1, 0, 8, 0][..], &[0xff; 8]].concat();
            }),
        ),
        ("more items than any bundle has", lines_without_end("meta/items.jsonl", 100_001)),
        ("more redactions than any bundle has", lines_without_end("meta/redactions.jsonl", 100_001)),
        ("a longer journal than any bundle has", lines_without_end(SEGMENT, 500_001)),
        ("more files listed than any bundle has", lines_without_end("manifest-sha256.txt", 200_001)),
        ("a damaged exchange", played(&|z| z.entry("data/20-config/000001-GetFunctionConfiguration.http.json").data[0] = 0xff)),
    ]
}

/// The good zip with many lines behind those of one file, and all else made anew.
fn lines_without_end(path: &str, count: usize) -> Vec<u8> {
    let bag = after(|b| {
        b.files.entry(path.into()).or_default().extend(b"x\n".repeat(count));
        if path == "manifest-sha256.txt" { b.manifests_but_payload() } else { b.seal_again() }
    });
    bag.zip().bytes()
}

/// The good zip with its end record changed.
fn ended(change: &dyn Fn(&mut [u8])) -> Vec<u8> {
    let mut bytes = Bag::good().zip().bytes();
    let at = bytes.len() - 22;
    change(&mut bytes[at..]);
    bytes
}

/// The good zip whose last entry has a comment.
fn commented() -> Vec<u8> {
    let mut bytes = Bag::good().zip().bytes();
    let end = bytes.len() - 22;
    let at = bytes.windows(4).rposition(|w| w == b"PK\x01\x02").unwrap();
    bytes[at + 32] = 5;
    bytes.splice(end..end, *b"hello");
    bytes[end + 5 + 12] += 5;
    bytes
}

#[test]
fn lines_without_end_are_not_read_to_their_end() {
    for (path, count) in
        [("meta/items.jsonl", 100_001), ("meta/redactions.jsonl", 100_001), (SEGMENT, 500_001), ("manifest-sha256.txt", 200_001)]
    {
        let at = tempfile::tempdir().unwrap();
        let place = at.path().join(format!("{NAME}.zip"));
        std::fs::write(&place, lines_without_end(path, count)).unwrap();
        let v = freezeframe::bundle::verify::verify(&place).unwrap();
        let of = if path.starts_with("meta/") { "schema" } else { "manifest" };
        let said = v.findings.iter().find(|f| f.check == of).unwrap();
        assert!(said.message.contains("the rest was not read") && said.path.as_deref() == Some(path), "{path}: {:#?}", v.findings);
        assert_eq!(super::broken::fired(&v), [(of, freezeframe::bundle::verify::Level::Error)].into(), "{path}: {:#?}", v.findings);
    }
}

#[test]
fn each_says_what_it_is_for() {
    for (name, bag, keys, says) in bags() {
        let at = tempfile::tempdir().unwrap();
        bag.write_to(at.path());
        let v = freezeframe::bundle::verify::verify_with(at.path(), &keys).unwrap();
        assert!(says.is_empty() || v.findings.iter().any(|f| f.message.contains(says)), "{name}: {:#?}", v.findings);
    }
}
